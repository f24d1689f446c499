"""The documents that are transferred to the books, as plain values, and the journal each of them makes.

They are loaded set-based: a constant number of statements however many there are. The unposted lists, the preview of
a batch, its transfer and the verification all use the drafts made here.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum

from counterfoil.accounting.mapping import agreement_key
from counterfoil.accounting.models import AccountingSettings, BatchItem, BatchStatus, ProcurementDate, SourceType
from counterfoil.accounting.relief import Taken, relief_of
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, LineKind
from counterfoil.catalog.models import ProductClass
from counterfoil.core.costing import Layer, issue, issued_cost
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.core.posting import (
    Accounts,
    BilledLine,
    Charge,
    GlRole,
    InvoicedLine,
    JournalDraft,
    Key,
    ReceivedLine,
    TaxAmount,
    post_customer_invoice,
    post_receipt,
    post_vendor_bill,
)
from counterfoil.inventory.models import Receipt, ReceiptLine
from counterfoil.ledger.models import AccountType, JournalEntry, JournalLine
from counterfoil.procurement.models import VendorBill, VendorBillLine

#: The documents that make an entry when they are transferred, in the order in which they are booked.
DOCUMENTS = (SourceType.RECEIPT, SourceType.VENDOR_BILL, SourceType.INVOICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What every document has.

    ``date`` is the date it is booked on; ``amount`` is the total it states, ``parts`` what its lines add up to.
    """

    source_id: int
    number: str
    date: dt.date
    company_id: int
    company: str
    account_number: str
    amount: Decimal
    memo: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptDocument(Document):
    """Goods received, booked at cost against goods received, not invoiced."""

    source_type = SourceType.RECEIPT
    lines: tuple[ReceivedLine, ...]

    def draft(self, accounts: Accounts) -> JournalDraft | None:
        """The journal it makes."""
        return post_receipt(
            accounts=accounts,
            on=self.date,
            source_id=self.source_id,
            vendor=self.company_id,
            lines=self.lines,
            memo=self.memo,
        )

    @property
    def parts(self) -> Decimal:
        """Cost of all lines."""
        return sum_money(line.cost for line in self.lines)

    @property
    def books(self) -> str:
        """What it will book, in a word."""
        stocked = sum_money(line.cost for line in self.lines if line.is_inventory)
        expensed = sum_money(line.cost for line in self.lines if not line.is_inventory)
        return _in_words((stocked, "to inventory"), (expensed, "to cost of goods sold"))

    @property
    def product_ids(self) -> set[int]:
        """The products it names."""
        return {line.item_key for line in self.lines if isinstance(line.item_key, int)}


@dataclass(frozen=True, slots=True)
class BillLine:
    """A line of a vendor's bill: ``quantity`` billed of a purchase order line for ``billed``.

    ``recurs`` marks what is billed in every cycle: nothing was received for it that could be cleared.
    """

    key: int
    product_id: int
    purchase_order_line_id: int
    quantity: Decimal
    billed: Decimal
    memo: str
    received_cost: Decimal = ZERO
    recurs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BillDocument(Document):
    """A vendor's bill; it clears what the billed quantity was received at.

    ``waits_for`` names the receipts (id and number) that must be in the books before it; ``not_received`` the lines
    that bill more than was received at all.
    """

    source_type = SourceType.VENDOR_BILL
    lines: tuple[BillLine, ...]
    freight: Decimal
    tax: Decimal
    waits_for: tuple[tuple[int, str], ...] = ()
    not_received: tuple[str, ...] = ()

    def draft(self, accounts: Accounts) -> JournalDraft | None:
        """The journal it makes."""
        charges = [
            Charge(GlRole.FREIGHT_IN, self.freight, f"Freight, {self.memo}"),
            Charge(GlRole.PURCHASE_TAX, self.tax, f"Tax, {self.memo}"),
        ]
        return post_vendor_bill(
            accounts=accounts,
            on=self.date,
            source_id=self.source_id,
            vendor=self.company_id,
            lines=[BilledLine(x.key, x.product_id, x.received_cost, x.billed, x.memo, x.recurs) for x in self.lines],
            memo=self.memo,
            charges=charges,
        )

    @property
    def parts(self) -> Decimal:
        """What all lines bill, freight and tax."""
        return sum_money([*(line.billed for line in self.lines), self.freight, self.tax])

    @property
    def books(self) -> str:
        """What it will book, in a word."""
        return _in_words((self.amount, "to accounts payable"))

    @property
    def product_ids(self) -> set[int]:
        """The products it names."""
        return {line.product_id for line in self.lines}


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDocument(Document):
    """A closed customer invoice: receivable, revenue and tax; the cost of stock it sells leaves inventory.

    ``waits_for`` names the receipts (id and number) of the goods it sells that must be in the books before it;
    ``booked_later`` what it takes of receipts that are, or would be, booked on a later date than the invoice.
    """

    source_type = SourceType.INVOICE
    lines: tuple[InvoicedLine, ...]
    taxes: tuple[TaxAmount, ...]
    waits_for: tuple[tuple[int, str], ...] = ()
    booked_later: tuple[Taken, ...] = ()

    def draft(self, accounts: Accounts) -> JournalDraft | None:
        """The journal it makes; ``None`` for a zero invoice that moves no stock."""
        return post_customer_invoice(
            accounts=accounts,
            on=self.date,
            source_id=self.source_id,
            customer=self.company_id,
            lines=self.lines,
            taxes=self.taxes,
            memo=self.memo,
        )

    @property
    def parts(self) -> Decimal:
        """All lines and taxes."""
        return sum_money([*(line.amount for line in self.lines), *(tax.amount for tax in self.taxes)])

    @property
    def books(self) -> str:
        """What it will book, in a word."""
        ahead = sum_money(line.amount for line in self.lines if line.role == GlRole.DEFERRED_REVENUE)
        return _in_words(
            (sum_money([*(line.amount for line in self.lines), -ahead]), "revenue"),
            (ahead, "deferred revenue"),
            (sum_money(line.released for line in self.lines), "of deferred revenue earned"),
            (sum_money(tax.amount for tax in self.taxes), "sales tax"),
            (self.relieved, "from inventory to cost of goods sold"),
        )

    @property
    def relieved(self) -> Decimal:
        """Cost that leaves inventory."""
        return sum_money(line.cost for line in self.lines if line.is_inventory)

    @property
    def product_ids(self) -> set[int]:
        """The products it names."""
        return {line.item_key for line in self.lines if isinstance(line.item_key, int)}


AnyDocument = ReceiptDocument | BillDocument | InvoiceDocument


def _in_words(*parts: tuple[Decimal, str]) -> str:
    return ", ".join(f"{format_money(amount)} {where}" for amount, where in parts if amount) or "nothing to book"


def is_transferred(source_type: SourceType) -> Q:
    """Rows of a document that are in the books: an entry books them, or a transferred batch held them."""
    booked = JournalEntry.objects.filter(source_type=source_type.value, source_id=OuterRef("pk"))
    batched = BatchItem.objects.filter(
        source_type=source_type.value, source_id=OuterRef("pk"), batch__status=BatchStatus.TRANSFERRED
    )
    return Q(Exists(booked)) | Q(Exists(batched))


def unposted_receipts() -> QuerySet[Receipt]:
    """Receipts that are not in the books."""
    return Receipt.objects.filter(~is_transferred(SourceType.RECEIPT))


def unposted_bills() -> QuerySet[VendorBill]:
    """Vendor bills that are not in the books."""
    return VendorBill.objects.filter(~is_transferred(SourceType.VENDOR_BILL))


def unposted_closed_invoices() -> QuerySet[Invoice]:
    """Closed invoices that are not in the books."""
    return Invoice.objects.filter(~is_transferred(SourceType.INVOICE), status=InvoiceStatus.CLOSED)


def procurement_date() -> str:
    """Which date receipts are booked on: a value of :class:`ProcurementDate`."""
    row = AccountingSettings.objects.filter(pk=1).first()
    return row.procurement_date if row else ProcurementDate.PO_DATE.value


def load_receipts(receipts: QuerySet[Receipt]) -> list[ReceiptDocument]:
    """Receipts as documents, by id."""
    by_po_date = procurement_date() == ProcurementDate.PO_DATE
    rows = receipts.select_related("purchase_order__vendor").prefetch_related("lines__product").order_by("pk")
    return [_receipt(row, by_po_date) for row in rows]


def _receipt(row: Receipt, by_po_date: bool) -> ReceiptDocument:
    order, vendor = row.purchase_order, row.purchase_order.vendor
    lines = tuple(
        ReceivedLine(line.pk, line.product_id, line.cost, line.is_stocked, f"{line.product.identifier}, {row.number}")
        for line in row.lines.all()
    )
    return ReceiptDocument(
        source_id=row.pk,
        number=row.number,
        date=order.order_date if by_po_date else row.date,
        company_id=vendor.pk,
        company=vendor.name,
        account_number=vendor.account_number,
        amount=sum_money(line.cost for line in lines),
        memo=f"Receipt {row.number} on {order.number}, {vendor.name}",
        lines=lines,
    )


def load_bills(bills: QuerySet[VendorBill], groups: Mapping[int, Collection[int]] | None = None) -> list[BillDocument]:
    """Vendor bills as documents, by id, each line with the cost its quantity was received at.

    Args:
        bills: which; not in the books yet.
        groups: bill id -> the receipts that will be in the books before it because they are in the same batch.
    """
    rows = list(bills.select_related("vendor").prefetch_related("lines__purchase_order_line__product").order_by("pk"))
    documents = [_bill(row) for row in rows]
    groups = groups or {}
    clearing = Clearing.load({line.purchase_order_line_id for document in documents for line in document.lines})
    by_group: dict[frozenset[int], list[BillDocument]] = defaultdict(list)
    for document in documents:
        by_group[frozenset(groups.get(document.source_id, ()))].append(document)
    costed = {}
    for with_receipts, members in by_group.items():
        state = clearing.fresh(with_receipts)
        for document in members:
            costed[document.source_id] = state.take(document)
    return [costed[document.source_id] for document in documents]


def booked_bills() -> list[BillDocument]:
    """The bills in the books, in the order they were booked, with what each cleared, worked out anew."""
    entry = JournalEntry.objects.filter(source_type="vendor_bill", source_id=OuterRef("pk")).values("id")[:1]
    rows = (
        VendorBill.objects.annotate(entry=entry)
        .filter(entry__isnull=False)
        .select_related("vendor")
        .prefetch_related("lines__purchase_order_line__product")
        .order_by("entry")
    )
    documents = [_bill(row) for row in rows]
    booked = Clearing.load({line.purchase_order_line_id for document in documents for line in document.lines})
    state = Clearing(booked.received, {}, {}).fresh()
    return [state.take(document) for document in documents]


def _bill(row: VendorBill) -> BillDocument:
    lines = tuple(
        BillLine(
            key=line.pk,
            product_id=line.purchase_order_line.product_id,
            purchase_order_line_id=line.purchase_order_line_id,
            quantity=line.quantity,
            billed=line.amount,
            memo=f"{line.purchase_order_line.product.identifier}, {row.number}",
            recurs=line.purchase_order_line.recurs,
        )
        for line in row.lines.all()
    )
    return BillDocument(
        source_id=row.pk,
        number=row.number,
        date=row.date,
        company_id=row.vendor_id,
        company=row.vendor.name,
        account_number=row.vendor.account_number,
        amount=row.total,
        memo=f"Bill {row.vendor_invoice_number} of {row.vendor.name}",
        lines=lines,
        freight=row.freight,
        tax=row.tax,
    )


@dataclass(frozen=True, slots=True)
class _Received:
    """What arrived of a purchase order line with one receipt."""

    receipt_id: int
    number: str
    quantity: Decimal
    cost: Decimal
    posted: bool


@dataclass(slots=True)
class Clearing:
    """How goods received, not invoiced is cleared, purchase order line by purchase order line.

    The billed quantity is taken from the receipts in the order they were booked in, each at its own cost. A bill clears
    what is then due less what was cleared before it, so a line that is billed in full ends at exactly zero.
    """

    received: dict[int, list[_Received]]
    billed: dict[int, Decimal]
    cleared: dict[int, Decimal]
    available: frozenset[int] = field(default_factory=frozenset)

    @classmethod
    def load(cls, purchase_order_line_ids: Collection[int]) -> Clearing:
        """The state of these purchase order lines in the books, in three statements."""
        received: dict[int, list[_Received]] = defaultdict(list)
        for row in _received_rows(purchase_order_line_ids):
            received[row["purchase_order_line"]].append(
                _Received(row["receipt"], row["receipt__number"], row["quantity"], row["cost"], row["posted"])
            )
        bill_lines = VendorBillLine.objects.filter(
            Exists(JournalEntry.objects.filter(source_type="vendor_bill", source_id=OuterRef("bill"))),
            purchase_order_line__in=purchase_order_line_ids,
        )
        line_of: dict[int, int] = {}
        billed: dict[int, Decimal] = defaultdict(lambda: ZERO)
        for pk, po_line, quantity in bill_lines.values_list("pk", "purchase_order_line", "quantity"):
            line_of[pk] = po_line
            billed[po_line] += quantity
        return cls(received, dict(billed), _cleared(line_of))

    def fresh(self, with_receipts: Iterable[int] = ()) -> Clearing:
        """A copy to work on, in which ``with_receipts`` are as good as booked."""
        posted = {item.receipt_id for items in self.received.values() for item in items if item.posted}
        return Clearing(self.received, dict(self.billed), dict(self.cleared), frozenset({*posted, *with_receipts}))

    def take(self, bill: BillDocument) -> BillDocument:
        """The bill with the cost its quantities were received at, or with what it waits for; moves the state on."""
        lines: list[BillLine] = []
        waits: dict[int, str] = {}
        short: list[str] = []
        for line in bill.lines:
            if line.recurs:
                lines.append(line)
                continue
            key = line.purchase_order_line_id
            through = self.billed.get(key, ZERO) + line.quantity
            there = [x for x in self.received.get(key, []) if x.receipt_id in self.available]
            if sum_money(x.quantity for x in there) < through:
                missing = [x for x in self.received.get(key, []) if x.receipt_id not in self.available]
                waits |= {x.receipt_id: x.number for x in missing}
                if sum_money(x.quantity for x in self.received.get(key, [])) < through:
                    short.append(line.memo)
                lines.append(line)
                continue
            due = cost_of_first(there, through)
            lines.append(replace(line, received_cost=sum_money((due, -self.cleared.get(key, ZERO)))))
            self.billed[key], self.cleared[key] = through, due
        return replace(bill, lines=tuple(lines), waits_for=tuple(sorted(waits.items())), not_received=tuple(short))


def cost_of_first(received: Sequence[_Received], quantity: Decimal) -> Decimal:
    """What the first ``quantity`` that arrived cost: whole receipts at their cost, the last one in proportion."""
    layers = [Layer(index, item.quantity, item.cost) for index, item in enumerate(received)]
    return issued_cost(issue("fifo", layers, quantity))


def _received_rows(purchase_order_line_ids: Collection[int]) -> Iterable[Any]:
    """Receipt lines in the order they were booked; those not booked come last, by id."""
    booked = JournalEntry.objects.filter(source_type="receipt", source_id=OuterRef("receipt"))
    batched = BatchItem.objects.filter(
        source_type="receipt", source_id=OuterRef("receipt"), batch__status=BatchStatus.TRANSFERRED
    )
    return (
        ReceiptLine.objects.filter(purchase_order_line__in=purchase_order_line_ids)
        .annotate(entry=booked.values("id")[:1], posted=Exists(booked) | Exists(batched))
        .order_by(F("entry").asc(nulls_last=True), "pk")
        .values("purchase_order_line", "receipt", "receipt__number", "quantity", "cost", "posted")
    )


def _cleared(line_of: Mapping[int, int]) -> dict[int, Decimal]:
    """What the booked bills took out of GRNI, by purchase order line; ``line_of``: bill line -> that line."""
    rows = (
        JournalLine.objects.filter(
            entry__source_type="vendor_bill", account__type=AccountType.GRNI, source_line_id__in=line_of
        )
        .values("source_line_id")
        .annotate(net=Sum("debit") - Sum("credit"))
        .order_by()
    )
    cleared: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for row in rows:
        cleared[line_of[row["source_line_id"] or 0]] += row["net"]
    return dict(cleared)


def load_unposted_invoices(
    invoices: QuerySet[Invoice], groups: Mapping[int, Collection[int]] | None = None
) -> list[InvoiceDocument]:
    """Invoices as documents, by id, with the receipts and the inventory accounts of the goods they sell.

    Args:
        invoices: which; closed, and not in the books yet.
        groups: invoice id -> the receipts that will be in the books before it because they are in the same batch.
    """
    documents = load_invoices(invoices)
    relieving = InvoiceLine.objects.filter(
        invoice__in=[document.source_id for document in documents], relieves_stock=True, order_line__isnull=False
    )
    order_lines = {pk for pk in relieving.values_list("order_line", flat=True) if pk is not None}
    taken = relief_of(order_lines, by_po_date=procurement_date() == ProcurementDate.PO_DATE) if order_lines else {}
    groups = groups or {}
    return [_relieving(document, taken, groups.get(document.source_id, ())) for document in documents]


def _relieving(
    document: InvoiceDocument, taken: Mapping[int, tuple[Taken, ...]], with_receipts: Collection[int]
) -> InvoiceDocument:
    parts = {line.key: taken.get(line.key, ()) if isinstance(line.key, int) else () for line in document.lines}
    every = {part.receipt_id: part for line_parts in parts.values() for part in line_parts}
    return replace(
        document,
        lines=tuple(replace(line, stock=_by_account(parts[line.key])) for line in document.lines),
        waits_for=tuple(
            (pk, part.number) for pk, part in sorted(every.items()) if not part.account and pk not in with_receipts
        ),
        booked_later=tuple(part for _, part in sorted(every.items()) if part.booked_on > document.date),
    )


def _by_account(parts: Iterable[Taken]) -> tuple[tuple[str, Decimal], ...]:
    """What is taken from each account; what is booked with this batch goes by the mapping, as its receipt does."""
    costs: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for part in parts:
        if part.account:
            costs[part.account] += part.cost
    return tuple(costs.items())


def load_invoices(invoices: QuerySet[Invoice]) -> list[InvoiceDocument]:
    """Invoices as documents, by id, by their own lines alone."""
    rows = invoices.select_related("bill_to", "agreement").prefetch_related(
        "lines__product", "lines__agreement", "taxes"
    )
    return [_invoice(row) for row in rows.order_by("pk")]


def _invoice(row: Invoice) -> InvoiceDocument:
    return InvoiceDocument(
        source_id=row.pk,
        number=str(row),
        date=row.date,
        company_id=row.bill_to_id,
        company=row.bill_to_name,
        account_number=row.bill_to.account_number,
        amount=row.total,
        memo=f"{'Credit memo' if row.is_credit_memo else 'Invoice'} {row}, {row.bill_to_name}",
        lines=tuple(_invoiced_line(row, line) for line in row.lines.all()),
        taxes=tuple(TaxAmount(tax.level, tax.amount, f"{tax.level}, {row}") for tax in row.taxes.all()),
    )


def _invoiced_line(invoice: Invoice, line: InvoiceLine) -> InvoicedLine:
    """A line as the posting rules know it, with the account it earns on and the one it was deferred on."""
    agreement = line.agreement or invoice.agreement
    agreement_type_id = agreement.type_id if agreement else None
    role, map_key = revenue_of(line, agreement_type_id)
    return InvoicedLine(
        key=line.pk,
        role=role,
        amount=line.amount,
        map_key=map_key,
        item_key=line.product_id,
        is_inventory=line.relieves_stock,
        cost=line.cost if line.relieves_stock else ZERO,
        memo=line.description,
        released=line.released_amount,
        deferred_key=_deferred_key(agreement_type_id),
    )


def revenue_of(line: InvoiceLine, agreement_type_id: int | None) -> tuple[GlRole, Key]:
    """What a line earns, and the key of its account.

    What is billed ahead is deferred. An addition and a billing amount are revenue of the agreement; work, expenses and
    products, covered or not, are revenue of their kind.
    """
    if line.deferred:
        return GlRole.DEFERRED_REVENUE, _deferred_key(agreement_type_id)
    if agreement_type_id is not None and line.charge_id is None and line.order_line_id is None:
        return GlRole.AGREEMENT_REVENUE, agreement_key(line.product_id, agreement_type_id)
    if line.kind == LineKind.EXPENSE:
        return GlRole.EXPENSE_REVENUE, line.product_id
    is_service = line.product.product_class == ProductClass.SERVICE if line.product else line.kind == LineKind.SERVICE
    return (GlRole.SERVICE_REVENUE if is_service else GlRole.PRODUCT_REVENUE), line.product_id


def _deferred_key(agreement_type_id: int | None) -> Key:
    """Deferred and earned on one account: that of the agreement type, whatever the product."""
    return None if agreement_type_id is None else agreement_key(None, agreement_type_id)


def refuse_unknown(kind: str, wanted: Collection[int], found: Iterable[AnyDocument]) -> None:
    """Refuse ids that are not there or are in the books already.

    Raises:
        DomainError: ``not_found``.
    """
    missing = sorted(set(wanted) - {document.source_id for document in found})
    if missing:
        raise DomainError(
            "not_found",
            f"There is no unposted {kind} with the id {', '.join(map(str, missing))}.",
            hint="Reload the unposted list: it may be in the books meanwhile.",
        )
