"""Posting: a business document in, a balanced journal out.

Each ``post_*`` function knows one document. It asks the ``accounts`` resolver which account plays which role for which
product, company, tax level or asset, so the rules hold for any chart of accounts. Amounts come in as whole cents. A
negative amount (a credit memo, a return) lands on the opposite side. A document that moves no money gives ``None``.

What a lease of a server bought for 3,600.00 posts, the two ways accounting allows:

=====================  =============================  ==================================
document               option 1, non-inventory        option 2, inventory
=====================  =============================  ==================================
receipt                Dr COGS / Cr GRNI              Dr inventory / Cr GRNI
vendor's bill          Dr GRNI / Cr accounts payable  the same
zero-price invoice     nothing                        Dr COGS / Cr inventory
capitalisation         none                           Dr fixed asset / Cr COGS
each month end         none                           Dr depreciation / Cr accumulated
=====================  =============================  ==================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, round_money, sum_money

#: Whatever identifies a record to the caller: a primary key, a code, or nothing.
Key = int | str | None


class GlRole(StrEnum):
    """What a journal line is for. The general ledger mapping turns a role (and a key) into an account."""

    ACCOUNTS_RECEIVABLE = "accounts_receivable"
    AGREEMENT_REVENUE = "agreement_revenue"
    PRODUCT_REVENUE = "product_revenue"
    SERVICE_REVENUE = "service_revenue"
    EXPENSE_REVENUE = "expense_revenue"
    SALES_TAX_PAYABLE = "sales_tax_payable"
    DEFERRED_REVENUE = "deferred_revenue"
    COGS = "cogs"
    INVENTORY = "inventory"
    GRNI = "grni"
    ACCOUNTS_PAYABLE = "accounts_payable"
    PURCHASE_PRICE_VARIANCE = "purchase_price_variance"
    FREIGHT_IN = "freight_in"
    PURCHASE_TAX = "purchase_tax"
    FIXED_ASSET = "fixed_asset"
    ACCUMULATED_DEPRECIATION = "accumulated_depreciation"
    DEPRECIATION_EXPENSE = "depreciation_expense"
    GAIN_LOSS_ON_DISPOSAL = "gain_loss_on_disposal"
    BANK = "bank"
    RETAINED_EARNINGS = "retained_earnings"


class Accounts(Protocol):
    """Finds the account that plays ``role`` for ``key``: a product, a company, a tax level, an asset, or nothing.

    It raises ``DomainError("gl_mapping_missing")`` when no account does.
    """

    def __call__(self, role: GlRole, key: Key) -> str:
        """The account's code."""
        ...


@dataclass(frozen=True, slots=True)
class PostingLine:
    """One side of a journal: an account's code with a debit or a credit, and what it is about."""

    account: str
    debit: Decimal = ZERO
    credit: Decimal = ZERO
    memo: str = ""
    role: GlRole | None = None
    company_key: Key = None
    source_line_key: Key = None
    item_key: Key = None

    @property
    def net(self) -> Decimal:
        """Debit less credit."""
        return sum_money((self.debit, -self.credit))


@dataclass(frozen=True, slots=True)
class JournalDraft:
    """A journal entry ready to be written. ``source_type``, ``source_id`` and ``step`` say which posting it is.

    Lines of zero are dropped; nothing is merged.

    Raises:
        DomainError: ``unbalanced`` when debits and credits differ, nothing is left to post, an amount is negative or
            stands on both sides; ``invalid`` when an amount is not in whole cents.
    """

    date: date
    source_type: str
    source_id: Key
    step: str
    memo: str
    lines: tuple[PostingLine, ...]

    def __post_init__(self) -> None:
        lines = tuple(line for line in self.lines if line.debit or line.credit)
        object.__setattr__(self, "lines", lines)
        if not lines:
            raise self._refusal("unbalanced", "has no amounts")
        debits, credits = ZERO, ZERO
        for line in lines:
            debit, credit = line.debit, line.credit
            if debit < 0 or credit < 0:
                raise self._refusal("unbalanced", f"has a negative amount on {line.account}")
            if debit and credit:
                raise self._refusal("unbalanced", f"has a line on both sides of {line.account}")
            amount = debit or credit
            if round_money(amount) != amount:
                raise self._refusal("invalid", f"has a part of a cent on {line.account}")
            debits, credits = sum_money((debits, debit)), sum_money((credits, credit))
        if debits != credits:
            raise self._refusal(
                "unbalanced",
                f"does not balance: debits {format_money(debits)}, credits {format_money(credits)}",
            )

    def _refusal(self, code: str, what: str) -> DomainError:
        name = f"The journal entry “{self.memo}” of {format_date(self.date)}"
        return DomainError(code, f"{name} {what}.", field="lines")

    @property
    def total(self) -> Decimal:
        """The sum of the debits, which is that of the credits."""
        return sum_money(line.debit for line in self.lines)

    def by_account(self) -> dict[str, Decimal]:
        """Debit less credit of each account, in the order of the lines."""
        balances: dict[str, Decimal] = {}
        for line in self.lines:
            balances[line.account] = sum_money((balances.get(line.account, ZERO), line.net))
        return balances


@dataclass(frozen=True, slots=True)
class ReceivedLine:
    """A received line at its full extended cost. ``is_inventory``: the product's class and type are both Inventory."""

    key: Key
    item_key: Key
    cost: Decimal
    is_inventory: bool
    memo: str = ""


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line of a vendor's bill: what the goods were received at, and what the vendor bills for them.

    ``recurs``: it is billed in every cycle and was received at nothing, so all of it is cost now.
    """

    key: Key
    item_key: Key
    received_cost: Decimal
    billed: Decimal
    memo: str = ""
    recurs: bool = False


@dataclass(frozen=True, slots=True)
class Charge:
    """Freight or tax on a vendor's bill; ``role`` is ``FREIGHT_IN`` or ``PURCHASE_TAX``."""

    role: GlRole
    amount: Decimal
    memo: str = ""
    key: Key = None


@dataclass(frozen=True, slots=True)
class InvoicedLine:
    """A line of a customer's invoice. ``role`` is the revenue it earns, or ``DEFERRED_REVENUE`` when billed ahead.

    ``map_key`` picks the revenue account (a product, an agreement type). ``cost`` is what an inventory line takes out
    of stock; it is not used for other lines, whose cost was expensed at receipt. ``stock`` names accounts the cost was
    received to, with what of it each has; the rest stands on the mapped account. ``released`` is what covered work
    earns of revenue that was billed ahead and deferred; ``deferred_key`` picks the account it was deferred on.
    """

    key: Key
    role: GlRole
    amount: Decimal
    map_key: Key = None
    item_key: Key = None
    is_inventory: bool = False
    cost: Decimal = ZERO
    memo: str = ""
    stock: tuple[tuple[str, Decimal], ...] = ()
    released: Decimal = ZERO
    deferred_key: Key = None


@dataclass(frozen=True, slots=True)
class TaxAmount:
    """Sales tax of one level; ``key`` picks the payable account."""

    key: Key
    amount: Decimal
    memo: str = ""


def post_receipt(
    *, accounts: Accounts, on: date, source_id: Key, vendor: Key, lines: Sequence[ReceivedLine], memo: str
) -> JournalDraft | None:
    """Goods received, not invoiced yet.

    ====================================  =========  =========
    per line                              debit      credit
    ====================================  =========  =========
    Inventory, or COGS if non-inventory   full cost
    Goods received not invoiced                      full cost
    ====================================  =========  =========
    """

    def entries() -> Iterator[PostingLine]:
        for line in lines:
            about = (line.memo or memo, vendor, line.key, line.item_key)
            role = GlRole.INVENTORY if line.is_inventory else GlRole.COGS
            yield from _debit(accounts, role, line.item_key, line.cost, *about)
            yield from _credit(accounts, GlRole.GRNI, line.item_key, line.cost, *about)

    return _draft(on, "receipt", source_id, "receipt", memo, entries())


def post_vendor_bill(
    *,
    accounts: Accounts,
    on: date,
    source_id: Key,
    vendor: Key,
    lines: Sequence[BilledLine],
    memo: str,
    charges: Sequence[Charge] = (),
) -> JournalDraft | None:
    """The vendor's bill for what was received.

    ====================================  =============  ==========
    line                                  debit          credit
    ====================================  =============  ==========
    Goods received not invoiced           received cost
    Purchase price variance               if dearer      if cheaper
    COGS, of what recurs                  billed
    Freight, purchase tax                 charge
    Accounts payable                                     total
    ====================================  =============  ==========
    """

    def entries() -> Iterator[PostingLine]:
        for line in lines:
            about = (line.memo or memo, vendor, line.key, line.item_key)
            variance = sum_money((line.billed, -line.received_cost))
            yield from _debit(accounts, GlRole.GRNI, line.item_key, line.received_cost, *about)
            rest = GlRole.COGS if line.recurs else GlRole.PURCHASE_PRICE_VARIANCE
            yield from _debit(accounts, rest, line.item_key, variance, *about)
        for charge in charges:
            yield from _debit(accounts, charge.role, charge.key, charge.amount, charge.memo or memo, vendor)
        total = sum_money([*(x.billed for x in lines), *(x.amount for x in charges)])
        yield from _credit(accounts, GlRole.ACCOUNTS_PAYABLE, vendor, total, memo, vendor)

    return _draft(on, "vendor_bill", source_id, "bill", memo, entries())


def post_customer_invoice(
    *,
    accounts: Accounts,
    on: date,
    source_id: Key,
    customer: Key,
    lines: Sequence[InvoicedLine],
    memo: str,
    taxes: Sequence[TaxAmount] = (),
) -> JournalDraft | None:
    """An invoice, or with negative amounts a credit memo. Nothing to post if it is all zero and moves no stock.

    ====================================  =====  ======
    line                                  debit  credit
    ====================================  =====  ======
    Accounts receivable                   total
    Revenue, per line                            amount
    Deferred revenue, per covered line    earned
    Revenue, per covered line                    earned
    Sales tax payable, per level                 tax
    COGS, per inventory line              cost
    Inventory, per inventory line                cost
    ====================================  =====  ======

    Inventory is credited where the goods were received to, which need not be where they would be received to now.
    """

    def entries() -> Iterator[PostingLine]:
        total = sum_money([*(x.amount for x in lines), *(x.amount for x in taxes)])
        yield from _debit(accounts, GlRole.ACCOUNTS_RECEIVABLE, customer, total, memo, customer)
        for line in lines:
            about = (line.memo or memo, customer, line.key, line.item_key)
            yield from _credit(accounts, line.role, line.map_key, line.amount, *about)
            yield from _debit(accounts, GlRole.DEFERRED_REVENUE, line.deferred_key, line.released, *about)
            yield from _credit(accounts, line.role, line.map_key, line.released, *about)
        for tax in taxes:
            yield from _credit(accounts, GlRole.SALES_TAX_PAYABLE, tax.key, tax.amount, tax.memo or memo, customer)
        for line in lines:
            if line.is_inventory:
                about = (line.memo or memo, customer, line.key, line.item_key)
                yield from _debit(accounts, GlRole.COGS, line.item_key, line.cost, *about)
                for account, cost in line.stock:
                    yield from _credit(_always(account), GlRole.INVENTORY, line.item_key, cost, *about)
                rest = sum_money([line.cost, *(-cost for _, cost in line.stock)])
                yield from _credit(accounts, GlRole.INVENTORY, line.item_key, rest, *about)

    return _draft(on, "invoice", source_id, "invoice", memo, entries())


def post_capitalisation_from_cogs(
    *, accounts: Accounts, on: date, source_id: Key, item: Key, asset: Key, cost: Decimal, memo: str
) -> JournalDraft | None:
    """Take the cost a zero-price invoice sent to COGS back onto the balance sheet.

    =============  ======  ======
    line           debit   credit
    =============  ======  ======
    Fixed asset    cost
    COGS                   cost
    =============  ======  ======

    Date it in the period of that invoice: else one month shows the cost as COGS and the next as negative COGS.
    """
    return _pair(
        accounts, on, "asset", source_id, "capitalisation", memo, cost, (GlRole.FIXED_ASSET, asset), (GlRole.COGS, item)
    )


def post_lease_capitalisation(
    *, accounts: Accounts, on: date, source_id: Key, item: Key, asset: Key, cost: Decimal, memo: str
) -> JournalDraft | None:
    """Take leased goods out of stock onto the balance sheet directly, with no invoice and no detour through COGS.

    =============  ======  ======
    line           debit   credit
    =============  ======  ======
    Fixed asset    cost
    Inventory              cost
    =============  ======  ======
    """
    debit, credit = (GlRole.FIXED_ASSET, asset), (GlRole.INVENTORY, item)
    return _pair(accounts, on, "asset", source_id, "capitalisation", memo, cost, debit, credit)


def post_depreciation(
    *, accounts: Accounts, on: date, source_id: Key, asset: Key, amount: Decimal, memo: str
) -> JournalDraft | None:
    """Depreciation of one asset for the month ``on`` lies in; the step names the month (``depreciation:2026-01``).

    =========================  ======  ======
    line                       debit   credit
    =========================  ======  ======
    Depreciation expense       amount
    Accumulated depreciation           amount
    =========================  ======  ======
    """
    debit, credit = (GlRole.DEPRECIATION_EXPENSE, asset), (GlRole.ACCUMULATED_DEPRECIATION, asset)
    return _pair(accounts, on, "asset", source_id, f"depreciation:{on:%Y-%m}", memo, amount, debit, credit)


def post_disposal(
    *,
    accounts: Accounts,
    on: date,
    source_id: Key,
    asset: Key,
    cost: Decimal,
    accumulated: Decimal,
    memo: str,
    proceeds: Decimal = ZERO,
    bank: Key = None,
) -> JournalDraft | None:
    """An asset sold or scrapped: it leaves with its accumulated depreciation, and what is left is a gain or a loss.

    =========================  ============  =======
    line                       debit         credit
    =========================  ============  =======
    Bank                       proceeds
    Accumulated depreciation   accumulated
    Fixed asset                              cost
    Gain or loss on disposal   loss          gain
    =========================  ============  =======
    """
    loss = sum_money((cost, -accumulated, -proceeds))
    lines = [
        *_debit(accounts, GlRole.BANK, bank, proceeds, memo),
        *_debit(accounts, GlRole.ACCUMULATED_DEPRECIATION, asset, accumulated, memo),
        *_credit(accounts, GlRole.FIXED_ASSET, asset, cost, memo),
        *_debit(accounts, GlRole.GAIN_LOSS_ON_DISPOSAL, asset, loss, memo),
    ]
    return _draft(on, "asset", source_id, "disposal", memo, lines)


def post_customer_payment(
    *, accounts: Accounts, on: date, source_id: Key, customer: Key, amount: Decimal, memo: str, bank: Key = None
) -> JournalDraft | None:
    """Money from a customer: Dr bank / Cr accounts receivable."""
    debit, credit = (GlRole.BANK, bank), (GlRole.ACCOUNTS_RECEIVABLE, customer)
    return _pair(accounts, on, "customer_payment", source_id, "payment", memo, amount, debit, credit, customer)


def post_vendor_payment(
    *, accounts: Accounts, on: date, source_id: Key, vendor: Key, amount: Decimal, memo: str, bank: Key = None
) -> JournalDraft | None:
    """Money to a vendor: Dr accounts payable / Cr bank."""
    debit, credit = (GlRole.ACCOUNTS_PAYABLE, vendor), (GlRole.BANK, bank)
    return _pair(accounts, on, "vendor_payment", source_id, "payment", memo, amount, debit, credit, vendor)


def post_tax_remittance(
    *, accounts: Accounts, on: date, source_id: Key, taxes: Sequence[TaxAmount], memo: str, bank: Key = None
) -> JournalDraft | None:
    """Sales tax paid to the authority: Dr sales tax payable per level / Cr bank."""
    lines = [
        entry
        for tax in taxes
        for entry in _debit(accounts, GlRole.SALES_TAX_PAYABLE, tax.key, tax.amount, tax.memo or memo)
    ]
    total = sum_money(tax.amount for tax in taxes)
    return _draft(
        on, "tax_remittance", source_id, "payment", memo, [*lines, *_credit(accounts, GlRole.BANK, bank, total, memo)]
    )


def reverse(draft: JournalDraft, on: date) -> JournalDraft:
    """The entry that undoes ``draft``: sides swapped, dated ``on``, its step marked ``:reversal``."""
    swapped = tuple(
        PostingLine(
            account=line.account,
            debit=line.credit,
            credit=line.debit,
            memo=line.memo,
            role=line.role,
            company_key=line.company_key,
            source_line_key=line.source_line_key,
            item_key=line.item_key,
        )
        for line in draft.lines
    )
    memo = f"Reversal of {draft.memo}"
    return JournalDraft(on, draft.source_type, draft.source_id, f"{draft.step}:reversal", memo, swapped)


def _always(account: str) -> Accounts:
    """Accounts that are known: one that plays every role."""
    return lambda role, key: account


def _debit(
    accounts: Accounts,
    role: GlRole,
    map_key: Key,
    amount: Decimal,
    memo: str,
    company_key: Key = None,
    source_line_key: Key = None,
    item_key: Key = None,
) -> Iterator[PostingLine]:
    """A debit of ``amount``, a credit where it is negative, nothing (and no account looked up) where it is zero."""
    if amount:
        debit, credit = (amount, ZERO) if amount > 0 else (ZERO, -amount)
        yield PostingLine(accounts(role, map_key), debit, credit, memo, role, company_key, source_line_key, item_key)


def _credit(
    accounts: Accounts,
    role: GlRole,
    map_key: Key,
    amount: Decimal,
    memo: str,
    company_key: Key = None,
    source_line_key: Key = None,
    item_key: Key = None,
) -> Iterator[PostingLine]:
    return _debit(accounts, role, map_key, -amount, memo, company_key, source_line_key, item_key)


def _pair(
    accounts: Accounts,
    on: date,
    source_type: str,
    source_id: Key,
    step: str,
    memo: str,
    amount: Decimal,
    debit: tuple[GlRole, Key],
    credit: tuple[GlRole, Key],
    company_key: Key = None,
) -> JournalDraft | None:
    lines = [
        *_debit(accounts, *debit, amount, memo, company_key),
        *_credit(accounts, *credit, amount, memo, company_key),
    ]
    return _draft(on, source_type, source_id, step, memo, lines)


def _draft(
    on: date, source_type: str, source_id: Key, step: str, memo: str, lines: Iterable[PostingLine]
) -> JournalDraft | None:
    entries = tuple(lines)
    return JournalDraft(on, source_type, source_id, step, memo, entries) if entries else None
