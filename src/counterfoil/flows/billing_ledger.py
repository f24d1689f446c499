"""What the invoices of a billing run book, without a look at the database for each.

The journal is that of :func:`counterfoil.core.posting.post_customer_invoice`, with the lines of an account taken
together: an agreement of many additions is one receivable, one revenue and one tax line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

from counterfoil.accounting.documents import revenue_of
from counterfoil.accounting.mapping import MappedAccounts, agreement_key, load_accounts
from counterfoil.accounting.models import BatchItem, SourceType
from counterfoil.billing.models import InvoiceLine, InvoiceType
from counterfoil.billing.rated import RatedInvoice, RatedLine
from counterfoil.core.bills import amount_text
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.core.posting import GlRole, Key
from counterfoil.ledger.commands import Chart, NetEntry
from counterfoil.ledger.models import AccountingPeriod, PeriodStatus
from counterfoil.platform.copying import copy_rows

_ITEM_COLUMNS: Final = ("batch", "source_type", "source_id", "source_label", "description", "date", "amount")


class Books:
    """The GL mapping and the accounting periods as they are when a worker begins: an account is looked up once."""

    def __init__(self) -> None:
        self._mapped: MappedAccounts = load_accounts(None)
        self._known: dict[tuple[GlRole, Key], str] = {}
        self._earned: dict[tuple[Any, ...], str] = {}
        self._periods = list(AccountingPeriod.objects.order_by("start"))
        self.chart = Chart(self._periods, self._mapped.ids)

    def __call__(self, role: GlRole, key: Key) -> str:
        """The account's code, as :class:`counterfoil.core.posting.Accounts` is asked for it.

        Raises:
            DomainError: ``gl_mapping_missing``.
        """
        known = self._known.get((role, key))
        if known is None:
            known = self._known[role, key] = self._mapped(role, key)
        return known

    def examine(self, invoice: RatedInvoice) -> None:
        """Refuse an invoice that cannot go to the books.

        Raises:
            DomainError: ``gl_mapping_missing``, ``period_missing``, ``period_closed``.
        """
        invoice.books = _described(invoice)
        if self.nets(invoice):
            check_open(self._periods, invoice.date)

    def nets(self, invoice: RatedInvoice) -> dict[str, Decimal]:
        """Debit less credit of each account that the invoice moves, receivables first; nothing for a zero invoice.

        Raises:
            DomainError: ``gl_mapping_missing``.
        """
        if invoice.nets is None:
            invoice.nets = self._nets(invoice)
        return invoice.nets

    def _nets(self, invoice: RatedInvoice) -> dict[str, Decimal]:
        nets: dict[str, Decimal] = {}
        if invoice.total:
            nets[self(GlRole.ACCOUNTS_RECEIVABLE, None)] = invoice.total
        for line in invoice.lines:
            if line.amount or line.released_amount:
                type_id = invoice.types[line.agreement_id or invoice.agreement_id]
                asked = (line.product_id, type_id, line.kind, line.deferred, line.charge_id is None)
                earned = self._earned.get(asked)
                if earned is None:
                    earned = self._earned[asked] = self._earned_on(line, type_id)
                nets[earned] = nets.get(earned, ZERO) - line.amount - line.released_amount
            if line.released_amount:
                deferred = self(GlRole.DEFERRED_REVENUE, self._deferred_key(invoice, line))
                nets[deferred] = nets.get(deferred, ZERO) + line.released_amount
        for tax in invoice.taxes:
            if tax.amount:
                payable = self(GlRole.SALES_TAX_PAYABLE, tax.level)
                nets[payable] = nets.get(payable, ZERO) - tax.amount
        return {account: net for account, net in nets.items() if net}

    def entry(self, invoice: RatedInvoice, pk: int, number: str) -> NetEntry | None:
        """The entry of an invoice under its number; ``None`` when it moves no money."""
        nets = self.nets(invoice)
        if not nets:
            return None
        kind = "Credit memo" if invoice.type == InvoiceType.CREDIT_MEMO else "Invoice"
        memo = f"{kind} {number}, {invoice.bill_to_name}"
        companies = {self(GlRole.ACCOUNTS_RECEIVABLE, None): invoice.bill_to_id}
        return NetEntry(invoice.date, SourceType.INVOICE.value, pk, number, "invoice", memo, nets, companies)

    def _earned_on(self, line: RatedLine, type_id: int) -> str:
        """The account that a line earns on, or is deferred on."""
        plain = InvoiceLine(
            kind=line.kind, product_id=line.product_id, deferred=line.deferred, charge_id=line.charge_id
        )
        return self(*revenue_of(plain, type_id))

    def _deferred_key(self, invoice: RatedInvoice, line: RatedLine) -> Key:
        return agreement_key(None, invoice.types[line.agreement_id or invoice.agreement_id])


def check_open(periods: Sequence[AccountingPeriod], on: date) -> None:
    """Refuse a day that lies in no open accounting period.

    Raises:
        DomainError: ``period_missing``, ``period_closed``.
    """
    period = next((each for each in periods if each.start <= on < each.end), None)
    if period is None:
        raise DomainError(
            "period_missing",
            f"There is no accounting period for {format_date(on)}.",
            field="invoice_date",
            hint=f"Open the periods of {on.year} under Books, Periods.",
        )
    if period.status == PeriodStatus.CLOSED:
        raise DomainError(
            "period_closed",
            f"{period.start:%B %Y} is closed; nothing can be posted on {format_date(on)}.",
            field="invoice_date",
            hint="Choose a date in an open period, or ask the owner to reopen the period.",
        )


def put_into_batch(batch_id: int, invoices: Sequence[RatedInvoice], ids: Sequence[int], numbers: Sequence[str]) -> None:
    """Note invoices in the batch that takes them to the books."""
    copy_rows(
        BatchItem,
        _ITEM_COLUMNS,
        (
            (batch_id, SourceType.INVOICE.value, pk, number, x.books, x.date, x.total)
            for pk, number, x in zip(ids, numbers, invoices, strict=True)
        ),
    )


def _described(invoice: RatedInvoice) -> str:
    """As batches of single documents say it: whom it is for and what it books."""
    ahead = sum_money([line.amount for line in invoice.lines if line.deferred])
    released = sum_money([line.released_amount for line in invoice.lines if line.released_amount])
    parts = (
        (invoice.subtotal - ahead, "revenue"),
        (ahead, "deferred revenue"),
        (released, "of deferred revenue earned"),
        (invoice.tax_total, "sales tax"),
    )
    books = ", ".join(f"{amount_text(amount)} {where}" for amount, where in parts if amount) or "nothing to book"
    return f"{invoice.bill_to_name}: {books}"[:200]
