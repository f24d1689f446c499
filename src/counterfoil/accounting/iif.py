"""A transferred batch for QuickBooks Desktop: its documents, and every account, company and product they name.

We own the stock, so what QuickBooks gets of it are journal entries: receipts, and the cost of what invoices sold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from itertools import product as every_choice
from typing import Final

from counterfoil.accounting.documents import InvoiceDocument, load_invoices
from counterfoil.accounting.exports import export_account
from counterfoil.accounting.mapping import MappedAccounts, load_accounts
from counterfoil.accounting.models import Batch, BatchItem, SourceType
from counterfoil.accounting.queries import entries_of_items
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.catalog.models import Product, ProductClass
from counterfoil.companies.models import Company, CompanyKind
from counterfoil.companies.queries import my_company
from counterfoil.core.books import (
    ExportLine,
    IifBatch,
    IifBill,
    IifBillLine,
    IifCustomer,
    IifDocument,
    IifInvoice,
    IifInvoiceLine,
    IifItem,
    IifJournal,
    IifTaxItem,
    IifTaxLine,
    IifVendor,
    ItemKind,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import multiply, round_to
from counterfoil.core.posting import GlRole, Key
from counterfoil.ledger.models import Account, AccountType, JournalEntry, JournalLine
from counterfoil.platform.records import plain_number
from counterfoil.procurement.models import VendorBill
from counterfoil.tax.models import TaxLevel

#: The item of an agreement's own billing amount, which is no product.
BILLING_AMOUNT: Final = "Agreement billing"

#: The zero-rate tax item that QuickBooks Desktop sets up by itself when sales tax is switched on.
UNTAXED: Final = "Out of State"

#: Longest reference number QuickBooks Desktop takes.
_REFERENCE: Final = 11

_REVENUE: Final = frozenset({AccountType.INCOME, AccountType.OTHER_INCOME})
_DEFERRED: Final = frozenset({AccountType.DEFERRED_REVENUE})
_STOCK_AND_COST: Final = frozenset({AccountType.INVENTORY, AccountType.COGS, AccountType.EXPENSE})


#: How many ways of dividing an entry's accounts among an invoice's lines are tried before today's mapping is taken.
_TRIES: Final = 4096

#: On which account a line of an invoice was booked: (line, whether deferred revenue is meant) -> code.
LineAccounts = Mapping[tuple[Key, bool], str]

#: A role and the key that the mapping finds its account by.
_Asked = tuple[GlRole, Key]


def _accounts_of_lines(
    document: InvoiceDocument, booked: Sequence[JournalLine], mapped: MappedAccounts
) -> LineAccounts:
    """On which accounts the lines of an invoice were booked.

    An entry made by transferring a document names the line beside each account. That of a billing run has one line an
    account: there the mapping tells, wherever its answer of today gives the entry's amounts; where it was changed
    since, the entry's accounts are divided among the lines so that the amounts come out.

    Raises:
        DomainError: ``gl_mapping_missing`` for a line of zero, which nothing was booked for, without an account.
    """
    kinds = _REVENUE | _DEFERRED
    lines = [line for line in booked if line.account.type in kinds]
    named: dict[tuple[Key, bool], str] = {
        (line.source_line_id, line.account.type in _DEFERRED): line.account.code for line in lines
    }
    asked: dict[tuple[Key, bool], _Asked] = {}
    moved: dict[_Asked, Decimal] = defaultdict(Decimal)
    for line in document.lines:
        earning, ahead = (line.role, line.map_key), (GlRole.DEFERRED_REVENUE, line.deferred_key)
        asked[line.key, line.role == GlRole.DEFERRED_REVENUE] = earning
        moved[earning] += line.amount + line.released
        if line.released:
            asked[line.key, True] = ahead
            moved[ahead] -= line.released
    together = _divided(moved, [line for line in lines if line.source_line_id is None], mapped)
    return {where: named.get(where) or together.get(what) or mapped(*what) for where, what in asked.items()}


def _divided(
    moved: Mapping[_Asked, Decimal], lines: Sequence[JournalLine], mapped: MappedAccounts
) -> dict[_Asked, str]:
    """Accounts of an entry that has them without the lines, such that each has moved what the entry says."""
    if not lines:
        return {}
    nets = {line.account.code: line.credit - line.debit for line in lines}
    choices = []
    for what in moved:
        ahead = what[0] == GlRole.DEFERRED_REVENUE
        here = [line.account.code for line in lines if (line.account.type in _DEFERRED) == ahead]
        choices.append(list(dict.fromkeys([*_mapped_today(mapped, what), *here])))
    for codes in islice(every_choice(*choices), _TRIES):
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for code, amount in zip(codes, moved.values(), strict=True):
            sums[code] += amount
        if {code: net for code, net in sums.items() if net} == nets:
            return dict(zip(moved, codes, strict=True))
    return {}


def _mapped_today(mapped: MappedAccounts, what: _Asked) -> list[str]:
    try:
        return [mapped(*what)]
    except DomainError:  # mapped no more
        return []


def iif_batch(batch: Batch) -> IifBatch:
    """The batch with all its documents and lists.

    Raises:
        DomainError: ``gl_mapping_missing`` for a line of zero, which nothing was booked for, without an account.
    """
    return _Builder(batch).build()


class _Builder:
    """Collects the documents of a batch and the names they use."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.items: list[BatchItem] = list(batch.items.order_by("id"))
        self.entries = entries_of_items(self.items)
        self.lines: dict[int, list[JournalLine]] = defaultdict(list)
        rows = JournalLine.objects.filter(entry__in=self.entries.values()).select_related("account", "company")
        for line in rows.order_by("entry_id", "position"):
            self.lines[line.entry_id].append(line)
        self.accounts: set[str] = set()
        self.customers: dict[int, Company] = {}
        self.vendors: dict[int, Company] = {}
        self.products: dict[int, Product] = {}
        self.income: dict[int | None, str] = {}
        self.agencies: set[str] = set()

    def build(self) -> IifBatch:
        """Documents in booking order, then the lists of what they named."""
        documents: list[IifDocument] = [
            *self._receipts(),
            *self._bills(),
            *self._invoices(),
            *self._direct_entries(),
        ]
        company = my_company()
        items = self._items()
        untaxed = self._untaxed() if any(isinstance(document, IifInvoice) for document in documents) else None
        return IifBatch(
            realm=company.identifier if company else "",
            batch_number=self.batch.number,
            customers=tuple(self._customer(row) for _, row in sorted(self.customers.items())),
            vendors=self._vendors(),
            items=items,
            documents=tuple(documents),
            untaxed=untaxed,
            accounts=tuple(
                export_account(row) for row in Account.objects.filter(code__in=self.accounts).order_by("code")
            ),
        )

    # Documents

    def _ids(self, kind: SourceType) -> list[int]:
        return sorted(item.source_id for item in self.items if item.source_type == kind)

    def _lines_of(self, entry: JournalEntry | None) -> list[JournalLine]:
        return self.lines[entry.pk] if entry else []

    def _receipts(self) -> Iterable[IifJournal]:
        for pk in self._ids(SourceType.RECEIPT):
            entry = self.entries.get((SourceType.RECEIPT.value, pk))
            if entry:
                yield self._journal(entry, self._lines_of(entry))

    def _direct_entries(self) -> Iterable[IifJournal]:
        for pk in self._ids(SourceType.JOURNAL_ENTRY):
            entry = self.entries[SourceType.JOURNAL_ENTRY.value, pk]
            yield self._journal(entry, self._lines_of(entry))

    def _journal(self, entry: JournalEntry, lines: Sequence[JournalLine]) -> IifJournal:
        return IifJournal(entry.number, entry.date, entry.memo, tuple(self._journal_line(line) for line in lines))

    def _journal_line(self, line: JournalLine) -> ExportLine:
        """QuickBooks wants a name on receivable and payable lines, and none elsewhere."""
        name = ""
        if line.company and line.account.type == AccountType.RECEIVABLE:
            name = self._customer_name(line.company)
        elif line.company and line.account.type == AccountType.PAYABLE:
            name = self._vendor_name(line.company)
        return ExportLine(self._account(line.account.code), line.debit, line.credit, name, line.memo)

    def _bills(self) -> Iterable[IifBill]:
        rows = VendorBill.objects.filter(pk__in=self._ids(SourceType.VENDOR_BILL)).select_related("vendor__terms")
        for bill in rows.order_by("pk"):
            lines = self._lines_of(self.entries.get((SourceType.VENDOR_BILL.value, bill.pk)))
            payable = next(line.account.code for line in lines if line.account.type == AccountType.PAYABLE)
            short = len(bill.vendor_invoice_number) <= _REFERENCE and bill.vendor_invoice_number.isascii()
            yield IifBill(
                number=bill.vendor_invoice_number if short else bill.number,
                date=bill.date,
                due_date=bill.due_date,
                vendor=self._vendor_name(bill.vendor),
                payable_account=self._account(payable),
                lines=tuple(
                    IifBillLine(self._account(line.account.code), line.debit - line.credit, line.memo)
                    for line in lines
                    if line.account.type != AccountType.PAYABLE
                ),
                terms=bill.vendor.terms.name if bill.vendor.terms else "",
                memo=f"{bill.number}, {bill.vendor_invoice_number}",
            )

    def _invoices(self) -> Iterable[IifInvoice | IifJournal]:
        ids = self._ids(SourceType.INVOICE)
        rows = (
            Invoice.objects.filter(pk__in=ids)
            .select_related("bill_to__terms")
            .prefetch_related("lines__product__vendor", "taxes")
            .order_by("pk")
        )
        documents = {document.source_id: document for document in load_invoices(Invoice.objects.filter(pk__in=ids))}
        accounts = load_accounts(set().union(*(x.product_ids for x in documents.values())) if documents else set())
        for invoice in rows:
            entry = self.entries.get((SourceType.INVOICE.value, invoice.pk))
            booked = self._lines_of(entry)
            on = _accounts_of_lines(documents[invoice.pk], booked, accounts)
            yield self._invoice(invoice, booked, on, accounts)
            apart = [line for line in booked if line.account.type in _STOCK_AND_COST]
            earned = tuple(self._earned(invoice, on))
            if entry and (apart or earned):
                lines = (*(self._journal_line(line) for line in apart), *earned)
                yield IifJournal(entry.number, entry.date, entry.memo, lines)

    def _earned(self, invoice: Invoice, on: LineAccounts) -> Iterable[ExportLine]:
        """What covered work earned of deferred revenue; the invoice itself says nothing of it."""
        for line in invoice.lines.all():
            if line.released_amount:
                debit, credit = on[line.pk, True], on[line.pk, False]
                if line.released_amount < 0:
                    debit, credit = credit, debit
                amount = abs(line.released_amount)
                yield ExportLine(self._account(debit), debit=amount, memo=line.description)
                yield ExportLine(self._account(credit), credit=amount, memo=line.description)

    def _invoice(
        self, invoice: Invoice, booked: Sequence[JournalLine], on: LineAccounts, accounts: MappedAccounts
    ) -> IifInvoice:
        receivable = next((x.account.code for x in booked if x.account.type == AccountType.RECEIVABLE), None)
        taxable = bool(invoice.tax_total)
        lines = []
        for line in invoice.lines.all():
            account = self._account(on[line.pk, line.deferred])
            lines.append(self._sold(invoice, line, account, taxable=taxable and line.taxable))
        return IifInvoice(
            number=str(invoice),
            date=invoice.date,
            due_date=invoice.due_date,
            customer=self._customer_name(invoice.bill_to),
            receivable_account=self._account(receivable or accounts(GlRole.ACCOUNTS_RECEIVABLE, invoice.bill_to_id)),
            lines=tuple(lines),
            taxes=tuple(self._taxes(invoice, booked)),
            address=(invoice.bill_to_name, *invoice.bill_to_address.splitlines())[:5],
            terms=invoice.bill_to.terms.name if invoice.bill_to.terms else "",
            memo=f"{self.batch.number} {invoice}",
        )

    def _sold(self, invoice: Invoice, line: InvoiceLine, account: str, *, taxable: bool) -> IifInvoiceLine:
        if line.product:
            self.products.setdefault(line.product.pk, line.product)
        self.income.setdefault(line.product_id, account)
        return IifInvoiceLine(
            account_code=account,
            item=line.product.identifier if line.product else BILLING_AMOUNT,
            quantity=line.quantity,
            price=line.unit_price,
            amount=line.amount,
            memo=line.description,
            taxable=taxable,
            service_date=invoice.period_start,
        )

    def _taxes(self, invoice: Invoice, booked: Sequence[JournalLine]) -> Iterable[IifTaxLine]:
        codes = [line.account.code for line in booked if line.account.type == AccountType.SALES_TAX]
        for tax in invoice.taxes.all():
            if not tax.amount:
                continue
            percent = multiply(tax.rate, Decimal(100))
            self.agencies.add(tax.agency)
            name = f"{tax.level} {plain_number(percent)}%"
            yield IifTaxLine(IifTaxItem(name, tax.agency, percent, self._account(codes[0])), tax.amount)

    # Lists

    def _account(self, code: str) -> str:
        self.accounts.add(code)
        return code

    def _customer_name(self, company: Company) -> str:
        self.customers.setdefault(company.pk, company)
        return company.name

    def _vendor_name(self, company: Company) -> str:
        """QuickBooks keeps customers and vendors in one list of names, so one who is both gets a mark as a vendor."""
        self.vendors.setdefault(company.pk, company)
        return f"{company.name} (V)" if company.kind == CompanyKind.BOTH else company.name

    def _customer(self, company: Company) -> IifCustomer:
        site = company.sites.first()
        return IifCustomer(
            name=company.name,
            address=(company.name, *(site.address_lines if site else ())),
            email=company.invoice_email,
            terms=company.terms.name if company.terms else "",
            taxable=company.tax_code_id is not None and not company.is_internal,
        )

    def _vendors(self) -> tuple[IifVendor, ...]:
        for product in self.products.values():
            if product.vendor:
                self._vendor_name(product.vendor)
        vendors = []
        for _, company in sorted(self.vendors.items()):
            site = company.sites.first()
            vendors.append(
                IifVendor(
                    name=self._vendor_name(company),
                    address=tuple(site.address_lines) if site else (),
                    terms=company.terms.name if company.terms else "",
                    company_name=company.name,
                )
            )
        return tuple(vendors)

    def _items(self) -> tuple[IifItem, ...]:
        accounts = load_accounts(self.products.keys())
        items = [self._item(product, accounts) for _, product in sorted(self.products.items())]
        if None in self.income:
            items.append(IifItem(BILLING_AMOUNT, ItemKind.SERVICE, "Agreement billing amount", self.income[None]))
        return tuple(items)

    def _item(self, product: Product, accounts: MappedAccounts) -> IifItem:
        kinds = {
            ProductClass.INVENTORY.value: ItemKind.INVENTORY,
            ProductClass.NON_INVENTORY.value: ItemKind.PART,
        }
        kind = kinds.get(product.product_class, ItemKind.SERVICE)
        bought = kind != ItemKind.SERVICE
        return IifItem(
            name=product.identifier,
            kind=kind,
            description=product.description,
            income_account=self.income[product.pk],
            cogs_account=self._account(accounts(GlRole.COGS, product.pk)) if bought else None,
            asset_account=self._account(accounts(GlRole.INVENTORY, product.pk)) if product.is_stocked else None,
            price=round_to(product.price, 5),
            cost=round_to(product.cost, 5) if bought else Decimal(0),
            taxable=product.taxable,
            vendor=self._vendor_name(product.vendor) if product.vendor else "",
        )

    def _untaxed(self) -> IifTaxItem:
        """The zero-rate tax item; QuickBooks wants an agency on it."""
        level = TaxLevel.objects.order_by("pk").first()
        agency = min(self.agencies) if self.agencies else level.agency if level else "Sales tax agency"
        payable = self._account(load_accounts(set())(GlRole.SALES_TAX_PAYABLE, None))
        return IifTaxItem(UNTAXED, agency, Decimal(0), payable)
