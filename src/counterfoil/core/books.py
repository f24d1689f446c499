"""What the books look like to somebody outside: plain frozen values handed to the export adapters.

Amounts are exact decimals in the books' currency, at most two decimals, never negative in ``debit`` and ``credit``.
Where one signed figure stands for a balance or a movement, a debit is positive and a credit is negative.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class AccountType(StrEnum):
    """Kinds of ledger account, as accounting packages tell them apart."""

    BANK = "bank"
    ACCOUNTS_RECEIVABLE = "accounts_receivable"
    OTHER_CURRENT_ASSET = "other_current_asset"
    INVENTORY = "inventory"
    FIXED_ASSET = "fixed_asset"
    ACCUMULATED_DEPRECIATION = "accumulated_depreciation"
    ACCOUNTS_PAYABLE = "accounts_payable"
    OTHER_CURRENT_LIABILITY = "other_current_liability"
    SALES_TAX_PAYABLE = "sales_tax_payable"
    LONG_TERM_LIABILITY = "long_term_liability"
    EQUITY = "equity"
    INCOME = "income"
    COST_OF_GOODS_SOLD = "cost_of_goods_sold"
    EXPENSE = "expense"
    OTHER_INCOME = "other_income"
    OTHER_EXPENSE = "other_expense"


@dataclass(frozen=True, slots=True)
class ExportAccount:
    """One account of the chart. ``parent`` is the code of the account it is shown under."""

    code: str
    name: str
    type: AccountType
    parent: str | None = None
    control: bool = False
    """True when a sub-ledger (receivables, payables, inventory, fixed assets) stands behind the account."""


@dataclass(frozen=True, slots=True)
class ExportLine:
    """One side of an entry: exactly one of ``debit`` and ``credit`` differs from zero, or neither."""

    account_code: str
    debit: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    company_name: str = ""
    memo: str = ""

    @property
    def signed(self) -> Decimal:
        """The movement with its sign: debit positive, credit negative."""
        return self.debit - self.credit


@dataclass(frozen=True, slots=True)
class ExportEntry:
    """A posted journal entry and the document and step that caused it."""

    number: str
    date: dt.date
    memo: str
    source_type: str
    source_id: str
    source_label: str
    step: str
    company_name: str
    lines: tuple[ExportLine, ...]


@dataclass(frozen=True, slots=True)
class BalanceAssertion:
    """What an account must hold at the end of ``date``, as somebody other than the ledger worked it out.

    ``balance`` is debit-positive. ``origin`` names the sub-ledger that computed it ("inventory valuation").
    """

    account_code: str
    date: dt.date
    balance: Decimal
    origin: str


@dataclass(frozen=True, slots=True)
class LedgerExport:
    """A company's ledger. ``entries`` may be a stream: it is read once, in the order given."""

    company_name: str
    currency: str
    accounts: tuple[ExportAccount, ...]
    entries: Iterable[ExportEntry]
    assertions: tuple[BalanceAssertion, ...] = ()


class ItemKind(StrEnum):
    """What is sold. We own the stock, so an accounting package sees inventory as a part it does not count."""

    SERVICE = "service"
    PART = "part"
    INVENTORY = "inventory"


@dataclass(frozen=True, slots=True)
class IifTaxItem:
    """A sales tax as QuickBooks Desktop names it: the rate in percent, and the agency (a vendor) it is owed to."""

    name: str
    agency: str
    rate: Decimal
    account_code: str


@dataclass(frozen=True, slots=True)
class IifCustomer:
    """A bill-to company; ``address`` is what goes on its invoices, at most five lines."""

    name: str
    address: tuple[str, ...] = ()
    email: str = ""
    terms: str = ""
    taxable: bool = True
    tax_item: IifTaxItem | None = None
    company_name: str = ""


@dataclass(frozen=True, slots=True)
class IifVendor:
    """A company we buy from, or an agency we owe sales tax."""

    name: str
    address: tuple[str, ...] = ()
    terms: str = ""
    company_name: str = ""


@dataclass(frozen=True, slots=True)
class IifItem:
    """A product as it may stand on an invoice line. Accounts are codes of the chart."""

    name: str
    kind: ItemKind
    description: str
    income_account: str
    cogs_account: str | None = None
    asset_account: str | None = None
    price: Decimal = Decimal(0)
    cost: Decimal = Decimal(0)
    taxable: bool = False
    vendor: str = ""


@dataclass(frozen=True, slots=True)
class IifBillLine:
    """What a bill pays for: ``amount`` is debit-positive."""

    account_code: str
    amount: Decimal
    memo: str = ""


@dataclass(frozen=True, slots=True)
class IifBill:
    """A vendor's bill. A negative total is a vendor credit."""

    number: str
    date: dt.date
    due_date: dt.date
    vendor: str
    payable_account: str
    lines: tuple[IifBillLine, ...]
    terms: str = ""
    memo: str = ""

    @property
    def total(self) -> Decimal:
        """What is owed to the vendor."""
        return sum((line.amount for line in self.lines), Decimal(0))


@dataclass(frozen=True, slots=True)
class IifInvoiceLine:
    """One sold line. ``amount`` is what the customer pays for it before tax; positive is income."""

    account_code: str
    item: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    memo: str = ""
    taxable: bool = False
    service_date: dt.date | None = None


@dataclass(frozen=True, slots=True)
class IifTaxLine:
    """The tax charged by one tax item on an invoice."""

    tax_item: IifTaxItem
    amount: Decimal


@dataclass(frozen=True, slots=True)
class IifInvoice:
    """A customer's invoice. A negative total is a credit memo."""

    number: str
    date: dt.date
    due_date: dt.date
    customer: str
    receivable_account: str
    lines: tuple[IifInvoiceLine, ...]
    taxes: tuple[IifTaxLine, ...] = ()
    address: tuple[str, ...] = ()
    terms: str = ""
    memo: str = ""

    @property
    def total(self) -> Decimal:
        """What the customer owes, tax included."""
        return sum((line.amount for line in self.lines), Decimal(0)) + sum(
            (tax.amount for tax in self.taxes), Decimal(0)
        )


@dataclass(frozen=True, slots=True)
class IifJournal:
    """A journal entry that is neither a bill nor an invoice."""

    number: str
    date: dt.date
    memo: str
    lines: tuple[ExportLine, ...]


IifDocument = IifBill | IifInvoice | IifJournal


@dataclass(frozen=True, slots=True)
class IifBatch:
    """One accounting batch for QuickBooks Desktop, with every account, company and item its documents name.

    ``realm`` is the QuickBooks company file it is meant for. ``untaxed`` is the zero-rate tax item that invoices
    without tax carry, because QuickBooks wants a tax line on each invoice once sales tax is switched on.
    """

    realm: str
    batch_number: str
    accounts: tuple[ExportAccount, ...]
    customers: tuple[IifCustomer, ...] = ()
    vendors: tuple[IifVendor, ...] = ()
    items: tuple[IifItem, ...] = ()
    documents: tuple[IifDocument, ...] = ()
    untaxed: IifTaxItem | None = None


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A finished file: the same books always give the same bytes."""

    name: str
    content: bytes
    sha256: str
