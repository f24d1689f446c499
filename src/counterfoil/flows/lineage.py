"""Which records lie on one thread: up from a document to the lines it is about, down again to what came of them.

A fixed number of queries, however many lines there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db import models
from django.db.models import Count, Q, Sum

from counterfoil.accounting.models import BatchItem
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.agreements.queries import HISTORY, with_history
from counterfoil.assets.models import Asset, BookName, DepreciationLine
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus
from counterfoil.inventory.models import Receipt, ReceiptLine, ShipmentLine
from counterfoil.ledger.models import JournalEntry
from counterfoil.orders.models import SalesOrderLine
from counterfoil.procurement.models import PurchaseOrderLine, VendorBill, VendorBillLine
from counterfoil.quotes.models import Quote, QuoteLine, QuoteVersion

#: How many invoices of an agreement a thread shows; older ones are counted.
INVOICES_SHOWN: Final = 3

# -- upward: which lines it is about -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seeds:
    """Ids of the lines a document is about."""

    origins: set[int] = field(default_factory=set)
    order_lines: set[int] = field(default_factory=set)
    purchase_lines: set[int] = field(default_factory=set)
    additions: set[int] = field(default_factory=set)
    agreements: set[int] = field(default_factory=set)
    invoices: set[int] = field(default_factory=set)
    assets: set[int] = field(default_factory=set)
    versions: set[int] = field(default_factory=set)


def _from_quote(rows: models.QuerySet[QuoteLine]) -> _Seeds:
    return _Seeds(origins=set(rows.values_list("pk", flat=True)))


def _from_version(version: QuoteVersion) -> _Seeds:
    """What was taken of it; of one that is not accepted the agreement it would change."""
    taken = QuoteLine.objects.filter(version=version, opportunity__isnull=False)
    seeds = _from_quote(taken)
    seeds.versions.add(version.pk)
    if version.quote.agreement_id:
        seeds.agreements.add(version.quote.agreement_id)
    return seeds


def _from_quote_document(quote: Quote) -> _Seeds:
    """The accepted version of a quote, or else its latest."""
    latest = quote.versions.order_by(models.Case(models.When(status="accepted", then=0), default=1), "-number").first()
    return _from_version(latest) if latest is not None else _Seeds()


def _from_additions(rows: models.QuerySet[Addition], agreement_ids: Iterable[int] = ()) -> _Seeds:
    pairs = list(rows.values_list("pk", "origin", "agreement"))
    changes = QuoteLine.objects.filter(addition__in=[pk for pk, _, _ in pairs], conversion__isnull=False).order_by()
    return _Seeds(
        origins={origin for _, origin, _ in pairs if origin} | set(changes.values_list("pk", flat=True)),
        additions={pk for pk, _, _ in pairs},
        agreements={*agreement_ids, *(agreement for _, _, agreement in pairs)},
    )


def _from_order_lines(rows: models.QuerySet[SalesOrderLine]) -> _Seeds:
    pairs = list(rows.values_list("pk", "origin"))
    return _Seeds(origins={origin for _, origin in pairs if origin}, order_lines={pk for pk, _ in pairs})


def _from_purchase_lines(rows: models.QuerySet[PurchaseOrderLine]) -> _Seeds:
    found = list(rows.values_list("pk", "origin", "order_line", "addition", "addition__agreement"))
    return _Seeds(
        origins={origin for _, origin, *_ in found if origin},
        order_lines={line for _, _, line, _, _ in found if line},
        purchase_lines={pk for pk, *_ in found},
        additions={addition for _, _, _, addition, _ in found if addition},
        agreements={agreement for *_, agreement in found if agreement},
    )


def _from_invoice_lines(rows: models.QuerySet[InvoiceLine], invoice_ids: Iterable[int] = ()) -> _Seeds:
    found = list(rows.values_list("invoice", "origin", "order_line", "addition", "addition__agreement"))
    return _Seeds(
        origins={origin for _, origin, _, _, _ in found if origin},
        order_lines={line for _, _, line, _, _ in found if line},
        additions={addition for _, _, _, addition, _ in found if addition},
        agreements={agreement for *_, agreement in found if agreement},
        invoices={*invoice_ids, *(invoice for invoice, *_ in found)},
    )


def _from_invoice(invoice: Invoice) -> _Seeds:
    seeds = _from_invoice_lines(InvoiceLine.objects.filter(invoice=invoice), [invoice.pk])
    if invoice.agreement_id:
        seeds.agreements.add(invoice.agreement_id)
    return seeds


def _from_asset(asset: Asset) -> _Seeds:
    return _Seeds(
        origins={asset.origin_id} if asset.origin_id else set(),
        order_lines={asset.order_line_id} if asset.order_line_id else set(),
        agreements={asset.agreement_id} if asset.agreement_id else set(),
        assets={asset.pk},
    )


_PURCHASES = PurchaseOrderLine.objects
_STARTS: Final[Mapping[str, Callable[[Any], _Seeds]]] = {
    "quotes.opportunity": lambda o: _from_quote(QuoteLine.objects.filter(opportunity=o)),
    "quotes.quote": _from_quote_document,
    "quotes.quoteversion": _from_version,
    "quotes.quoteline": lambda o: _Seeds(origins={o.pk}),
    "agreements.agreement": lambda o: _from_additions(Addition.objects.filter(agreement=o), [o.pk]),
    "agreements.addition": lambda o: _from_additions(Addition.objects.filter(pk=o.pk)),
    "orders.salesorder": lambda o: _from_order_lines(SalesOrderLine.objects.filter(order=o)),
    "orders.salesorderline": lambda o: _from_order_lines(SalesOrderLine.objects.filter(pk=o.pk)),
    "procurement.purchaseorder": lambda o: _from_purchase_lines(_PURCHASES.filter(purchase_order=o)),
    "procurement.purchaseorderline": lambda o: _from_purchase_lines(_PURCHASES.filter(pk=o.pk)),
    "procurement.vendorbill": lambda o: _from_purchase_lines(_PURCHASES.filter(bill_lines__bill=o)),
    "procurement.vendorbillline": lambda o: _from_purchase_lines(_PURCHASES.filter(bill_lines=o)),
    "inventory.receipt": lambda o: _from_purchase_lines(_PURCHASES.filter(receipt_lines__receipt=o)),
    "inventory.receiptline": lambda o: _from_purchase_lines(_PURCHASES.filter(receipt_lines=o)),
    "inventory.shipment": lambda o: _from_order_lines(SalesOrderLine.objects.filter(shipment_lines__shipment=o)),
    "inventory.shipmentline": lambda o: _from_order_lines(SalesOrderLine.objects.filter(shipment_lines=o)),
    "billing.invoice": _from_invoice,
    "billing.invoiceline": lambda o: _from_invoice_lines(InvoiceLine.objects.filter(pk=o.pk)),
    "assets.asset": _from_asset,
}

#: What a journal entry may book -> the record's model.
SOURCES: Final[Mapping[str, type[models.Model]]] = {
    "receipt": Receipt,
    "vendor_bill": VendorBill,
    "invoice": Invoice,
    "asset": Asset,
}


def _seeds_of(obj: models.Model) -> _Seeds | None:
    if isinstance(obj, JournalEntry):
        model = SOURCES.get(obj.source_type)
        source = model._default_manager.filter(pk=obj.source_id).first() if model else None
        return _seeds_of(source) if source else None
    start = _STARTS.get(obj._meta.label_lower)
    if start is None:
        return None
    seeds = start(obj)
    if seeds.origins:
        opportunities = set(
            QuoteLine.objects.filter(pk__in=seeds.origins).order_by().values_list("opportunity", flat=True).distinct()
        )
        if len(opportunities) == 1:
            seeds.origins = set(QuoteLine.objects.filter(opportunity__in=opportunities).values_list("pk", flat=True))
    return seeds


def lineage_of(obj: models.Model) -> Lineage | None:
    """The records on the thread of ``obj``; ``None`` for what has no thread."""
    seeds = _seeds_of(obj)
    return Lineage(seeds, obj) if seeds is not None else None


# -- downward: every record of the thread ------------------------------------------------------------------------------


class Lineage:
    """The records of a thread, each kind fetched once, and not at all where nothing leads to it.

    Where a record may be found by one table or by another its id is looked up first: a condition on both at once would
    read the whole of them.
    """

    def __init__(self, seeds: _Seeds, start: models.Model) -> None:
        self.start = start
        self.quote_lines: list[QuoteLine] = []
        self.order_lines: list[SalesOrderLine] = []
        self.purchase_lines: list[PurchaseOrderLine] = []
        self.receipt_lines: list[ReceiptLine] = []
        self.bill_lines: list[VendorBillLine] = []
        self.shipment_lines: list[ShipmentLine] = []
        self.assets: list[Asset] = []
        if seeds.origins:
            self.quote_lines += QuoteLine.objects.filter(pk__in=seeds.origins).select_related(
                "opportunity", "product", "conversion", "addition"
            )
        self.versions = self._find_versions(seeds)
        self.agreements = self._find_agreements(seeds)
        if seeds.origins or seeds.order_lines or seeds.purchase_lines or seeds.additions:
            self._find_deliveries(seeds)
        ordered = [line.pk for line in self.order_lines]
        self._find_invoices(seeds, ordered)
        if seeds.origins or ordered or seeds.assets:
            wanted = Q(origin__in=seeds.origins) | Q(order_line__in=ordered) | Q(pk__in=seeds.assets)
            self.assets += Asset.objects.filter(wanted).order_by("pk")
        self._find_books()

    def _find_versions(self, seeds: _Seeds) -> list[QuoteVersion]:
        """The versions of quotes that the lines stand on, with their acceptances (without what was signed)."""
        ids = seeds.versions | {line.version_id for line in self.quote_lines if line.version_id}
        if not ids:
            return []
        rows = QuoteVersion.objects.filter(pk__in=ids).select_related("quote", "acceptance")
        return list(rows.defer("acceptance__record", "acceptance__pdf", "acceptance__signature").order_by("pk"))

    def _find_agreements(self, seeds: _Seeds) -> list[Agreement]:
        """With all that tells what they bill."""
        ids = set(seeds.agreements)
        ids.update(line.addition.agreement_id for line in self.quote_lines if line.addition is not None)
        if seeds.origins:
            made = Addition.objects.filter(origin__in=seeds.origins).order_by().values_list("pk", "agreement")
            for addition, agreement in made:
                seeds.additions.add(addition)
                ids.add(agreement)
        if isinstance(self.start, Agreement) and ids == {self.start.pk}:
            models.prefetch_related_objects([self.start], *HISTORY)
            return [self.start]
        return list(with_history(Agreement.objects.filter(pk__in=ids)).order_by("pk")) if ids else []

    def _find_deliveries(self, seeds: _Seeds) -> None:
        """What was ordered, bought, received, shipped and billed by vendors."""
        self.order_lines += (
            SalesOrderLine.objects.filter(Q(origin__in=seeds.origins) | Q(pk__in=seeds.order_lines))
            .select_related("order", "product")
            .order_by("order_id", "position")
        )
        ordered = [line.pk for line in self.order_lines]
        wanted = Q(origin__in=seeds.origins) | Q(order_line__in=ordered) | Q(pk__in=seeds.purchase_lines)
        wanted |= Q(addition__in=seeds.additions)
        self.purchase_lines += (
            _PURCHASES.filter(wanted)
            .select_related("purchase_order__vendor", "order_line", "addition")
            .order_by("purchase_order_id", "position")
        )
        bought = [line.pk for line in self.purchase_lines]
        if bought:
            received = ReceiptLine.objects.filter(purchase_order_line__in=bought)
            self.receipt_lines += received.select_related("receipt").order_by("receipt_id")
            billed = VendorBillLine.objects.filter(purchase_order_line__in=bought)
            self.bill_lines += billed.select_related("bill", "purchase_order_line").order_by("bill_id")
        if ordered:
            shipped = ShipmentLine.objects.filter(order_line__in=ordered)
            self.shipment_lines += shipped.select_related("shipment").order_by("shipment_id")

    def _find_invoices(self, seeds: _Seeds, ordered: list[int]) -> None:
        """Invoices of the orders; of the agreements the latest few, and the one asked for."""
        wanted = set(seeds.invoices)
        self.agreement_closed = 0
        self.agreement_invoices: set[int] = set()
        if self.agreements:
            rows = Invoice.objects.filter(agreement__in=self.agreements).order_by("-period_start", "-pk")
            made = list(rows.values_list("pk", "status"))
            wanted.update(pk for pk, _ in made[:INVOICES_SHOWN])
            self.agreement_invoices = {pk for pk, _ in made}
            self.agreement_closed = sum(status == InvoiceStatus.CLOSED for _, status in made)
        self.invoiced = Decimal(0)
        if ordered:
            lines = InvoiceLine.objects.filter(order_line__in=ordered).order_by()
            for pk, quantity in lines.values_list("invoice", "quantity"):
                wanted.add(pk)
                self.invoiced += quantity
        self.invoices = list(Invoice.objects.filter(pk__in=wanted).order_by("date", "pk")) if wanted else []

    def _find_books(self) -> None:
        """Journal entries and batches of the documents, and how far the assets are depreciated."""
        sources: dict[str, set[int]] = {
            "receipt": {line.receipt_id for line in self.receipt_lines},
            "vendor_bill": {line.bill_id for line in self.bill_lines},
            "invoice": {invoice.pk for invoice in self.invoices},
            "asset": {asset.pk for asset in self.assets},
        }
        about = Q()
        for source_type, ids in sources.items():
            if ids:
                about |= Q(source_type=source_type, source_id__in=ids)
        self.entries: dict[tuple[str, int], list[JournalEntry]] = defaultdict(list)
        self.transferred: dict[tuple[str, int], bool] = {}
        self.depreciation: dict[int, dict[str, Any]] = {}
        if not about:
            return
        for entry in JournalEntry.objects.filter(about).exclude(step__startswith="depreciation").order_by("date", "pk"):
            self.entries[entry.source_type, entry.source_id].append(entry)
        if self.agreement_invoices:  # all of them, shown or not
            about |= Q(source_type="invoice", source_id__any=self.agreement_invoices)
        self.transferred = {
            (source_type, source_id): status == "transferred"
            for source_type, source_id, status in BatchItem.objects.filter(about).values_list(
                "source_type", "source_id", "batch__status"
            )
        }
        if not self.assets:
            return
        booked = Q(entry__isnull=False)
        self.depreciation = {
            row["book__asset"]: dict(row)
            for row in DepreciationLine.objects.filter(book__asset__in=sources["asset"], book__name=BookName.BOOK)
            .order_by()
            .values("book__asset")
            .annotate(
                months=Count("pk"),
                booked=Count("pk", filter=booked),
                amount=Sum("amount", filter=booked),
                last=models.Max("entry__date"),
            )
        }

    def is_start(self, record: models.Model) -> bool:
        """Whether the thread was asked for from ``record``."""
        return type(self.start) is type(record) and bool(self.start.pk == record.pk)
