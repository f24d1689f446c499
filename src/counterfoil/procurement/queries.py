"""What is to be bought, is on order, has arrived, is billed and is owed to vendors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from counterfoil.core.money import ZERO, multiply, round_money, sum_money
from counterfoil.ledger.models import JournalEntry
from counterfoil.orders import queries as orders
from counterfoil.orders.models import SalesOrderLine
from counterfoil.platform.aggregates import sum_of
from counterfoil.platform.fields import quantity_field
from counterfoil.procurement.models import (
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderStatus,
    VendorBill,
    VendorBillLine,
    VendorPayment,
    VendorPaymentApplication,
)

NOTHING = Decimal(0)


def bought_of(lines: Iterable[SalesOrderLine], besides: PurchaseOrderLine | None = None) -> dict[int, Decimal]:
    """What of each sales order line needs no more buying, by its id: what is on purchase orders, or was shipped.

    What was shipped out of stock without having been bought for the order counts as well. ``besides`` leaves out a
    purchase order line that is about to change.
    """
    ids = [line.pk for line in lines]
    purchased = (
        PurchaseOrderLine.objects.filter(order_line__in=ids)
        .exclude(purchase_order__status=PurchaseOrderStatus.CANCELLED)
        .exclude(pk=besides.pk if besides else 0)
        .order_by()
        .values_list("order_line")
        .annotate(total=Sum(F("quantity") - F("quantity_cancelled")))
    )
    shipped = (
        SalesOrderLine.objects.filter(pk__in=ids, shipment_lines__isnull=False)
        .order_by()
        .values_list("pk")
        .annotate(total=Sum("shipment_lines__quantity"))
    )
    bought, gone = dict(purchased), dict(shipped)
    return {pk: max(bought.get(pk, NOTHING), gone.get(pk, NOTHING)) for pk in ids}


def received_of(lines: Iterable[PurchaseOrderLine]) -> dict[int, Decimal]:
    """How many of each purchase order line have arrived, by its id."""
    return _sums_of(lines, "receipt_lines__quantity")


def billed_of(lines: Iterable[PurchaseOrderLine]) -> dict[int, Decimal]:
    """How many of each purchase order line the vendor has billed, by its id."""
    return _sums_of(lines, "bill_lines__quantity")


def _sums_of(lines: Iterable[PurchaseOrderLine], path: str) -> dict[int, Decimal]:
    ids = [line.pk for line in lines]
    rows = PurchaseOrderLine.objects.filter(pk__in=ids).order_by().values_list("pk").annotate(total=Sum(path))
    found = dict(rows)
    return {pk: found.get(pk) or NOTHING for pk in ids}


@dataclass(frozen=True, slots=True)
class DemandRow:
    """A sales order line of which something is still to be bought."""

    order_line_id: int
    order_id: int
    order_number: str
    customer: str
    product_id: int
    product: str
    description: str
    product_class: str
    ordered: Decimal
    bought: Decimal
    to_buy: Decimal
    on_hand: Decimal
    unit_cost: Decimal
    vendor_id: int | None
    vendor: str
    vendor_sku: str


def demand(*, vendor_id: int | None = None, order_id: int | None = None) -> list[DemandRow]:
    """What open sales orders need and nobody has bought or shipped from stock yet, by vendor, then order.

    ``on_hand`` is the product's stock in all bins: shipping from there needs no buying.
    """
    rows = list(orders.demand(vendor_id=vendor_id, order_id=order_id))
    on_hand = dict(
        SalesOrderLine.objects.filter(pk__in=[row.pk for row in rows])
        .order_by()
        .values_list("pk")
        .annotate(total=Sum("product__stock__quantity"))
    )
    return [
        DemandRow(
            order_line_id=row.pk,
            order_id=row.order_id,
            order_number=row.order.number,
            customer=row.order.company.name,
            product_id=row.product_id,
            product=row.product.identifier,
            description=row.description,
            product_class=row.product.product_class,
            ordered=row.quantity,
            bought=row.on_purchase_orders,
            to_buy=row.to_purchase,
            on_hand=on_hand.get(row.pk) or NOTHING,
            unit_cost=row.unit_cost or row.product.cost,
            vendor_id=row.product.vendor_id,
            vendor=row.product.vendor.name if row.product.vendor else "",
            vendor_sku=row.product.vendor_sku,
        )
        for row in rows
    ]


def purchase_orders(
    *, status: str | None = None, vendor_id: int | None = None, search: str = ""
) -> QuerySet[PurchaseOrder]:
    """Purchase orders, newest first, with ``total`` (the lines' cost, unrounded) and ``line_count``."""
    orders = PurchaseOrder.objects.select_related("vendor", "terms").annotate(
        line_count=Count("lines"),
        total=Sum((F("lines__quantity") - F("lines__quantity_cancelled")) * F("lines__unit_cost"), default=ZERO),
    )
    if status:
        orders = orders.filter(status=status)
    if vendor_id is not None:
        orders = orders.filter(vendor=vendor_id)
    if search.strip():
        words = search.strip()
        orders = orders.filter(
            pk__in=PurchaseOrder.objects.filter(
                Q(number__icontains=words)
                | Q(vendor__name__icontains=words)
                | Q(vendor_order_number__icontains=words)
                | Q(lines__description__icontains=words)
                | Q(lines__product__identifier__icontains=words)
            ).values("pk")
        )
    return orders.order_by("-id")


@dataclass(frozen=True, slots=True)
class PurchaseOrderLineRow:
    """A purchase order line with what became of it. ``awaited`` is neither received nor cancelled."""

    line: PurchaseOrderLine
    received: Decimal
    billed: Decimal
    awaited: Decimal
    amount: Decimal


def lines_of_purchase_order(purchase_order_id: int) -> list[PurchaseOrderLineRow]:
    """The lines of a purchase order with what has arrived, is billed and is awaited."""
    return _with_progress(PurchaseOrderLine.objects.filter(purchase_order=purchase_order_id))


def billable_lines(vendor_id: int) -> list[PurchaseOrderLineRow]:
    """Lines of a vendor that have arrived and are not billed in full, oldest first."""
    arrived = PurchaseOrderLine.objects.filter(purchase_order__vendor=vendor_id, receipt_lines__isnull=False).distinct()
    return [row for row in _with_progress(arrived) if row.billed < row.received]


def _with_progress(lines: QuerySet[PurchaseOrderLine]) -> list[PurchaseOrderLineRow]:
    rows = list(
        lines.select_related("purchase_order", "product", "bin__warehouse", "order_line__order").order_by(
            "purchase_order_id", "position"
        )
    )
    received, billed = received_of(rows), billed_of(rows)
    return [
        PurchaseOrderLineRow(
            line=row,
            received=received[row.pk],
            billed=billed[row.pk],
            awaited=row.quantity - row.quantity_cancelled - received[row.pk],
            amount=round_money(multiply(row.quantity - row.quantity_cancelled, row.unit_cost)),
        )
        for row in rows
    ]


def balances_of_bills(bills: Iterable[VendorBill]) -> dict[int, Decimal]:
    """What is open of each vendor bill, by its id."""
    rows = list(bills)
    paid = dict(
        VendorBill.objects.filter(pk__in=[bill.pk for bill in rows])
        .order_by()
        .values_list("pk")
        .annotate(total=Sum("applications__amount"))
    )
    return {bill.pk: bill.total - (paid.get(bill.pk) or ZERO) for bill in rows}


@dataclass(frozen=True, slots=True)
class VendorBillRow:
    """A vendor bill with what is open on it and whether it is in the books."""

    bill: VendorBill
    balance: Decimal
    posted: bool


def vendor_bills(*, vendor_id: int | None = None, only_open: bool = False, search: str = "") -> list[VendorBillRow]:
    """Vendors' bills, newest first."""
    bills = VendorBill.objects.select_related("vendor").order_by("-id")
    if vendor_id is not None:
        bills = bills.filter(vendor=vendor_id)
    if search.strip():
        words = search.strip()
        bills = bills.filter(
            Q(number__icontains=words) | Q(vendor_invoice_number__icontains=words) | Q(vendor__name__icontains=words)
        )
    rows = list(bills)
    balances = balances_of_bills(rows)
    posted = set(
        JournalEntry.objects.filter(source_type="vendor_bill", source_id__in=balances).values_list(
            "source_id", flat=True
        )
    )
    return [
        VendorBillRow(bill, balances[bill.pk], bill.pk in posted) for bill in rows if balances[bill.pk] or not only_open
    ]


def orders_to_bill() -> QuerySet[PurchaseOrder]:
    """Purchase orders of which more has arrived than the vendor has billed, oldest first."""
    lines = PurchaseOrderLine.objects.annotate(
        received=sum_of(PurchaseOrderLine, "receipt_lines__quantity", quantity_field()),
        billed=sum_of(PurchaseOrderLine, "bill_lines__quantity", quantity_field()),
    ).filter(received__gt=F("billed"))
    return PurchaseOrder.objects.filter(pk__in=lines.values("purchase_order")).select_related("vendor").order_by("id")


def orders_to_receive(*, search: str = "") -> QuerySet[PurchaseOrder]:
    """Sent purchase orders, with ``awaited``: how many units have not arrived and are not cancelled."""
    return purchase_orders(status=PurchaseOrderStatus.SENT, search=search).annotate(
        awaited=sum_of(PurchaseOrder, "lines__quantity", quantity_field())
        - sum_of(PurchaseOrder, "lines__quantity_cancelled", quantity_field())
        - sum_of(PurchaseOrder, "lines__receipt_lines__quantity", quantity_field())
    )


def bills(*, vendor_id: int | None = None, search: str = "", as_of: date | None = None) -> QuerySet[VendorBill]:
    """Vendors' bills, newest first, each with ``paid`` and ``balance`` and whether it is ``posted``."""
    paid = VendorPaymentApplication.objects.filter(bill=OuterRef("pk")).order_by()
    if as_of is not None:
        paid = paid.filter(payment__date__lte=as_of)
    entries = JournalEntry.objects.filter(source_type="vendor_bill", source_id=OuterRef("pk"))
    found = VendorBill.objects.select_related("vendor").annotate(
        paid=Coalesce(Subquery(paid.values("bill").annotate(sum=Sum("amount")).values("sum")), ZERO),
        balance=F("total") - F("paid"),
        posted=Exists(entries),
    )
    if vendor_id is not None:
        found = found.filter(vendor=vendor_id)
    if search.strip():
        words = search.strip()
        found = found.filter(
            Q(number__icontains=words) | Q(vendor_invoice_number__icontains=words) | Q(vendor__name__icontains=words)
        )
    return found.order_by("-id")


def lines_of_bill(bill_id: int) -> QuerySet[VendorBillLine]:
    """The lines of a vendor's bill with what they bill."""
    return VendorBillLine.objects.filter(bill=bill_id).select_related(
        "purchase_order_line__product", "purchase_order_line__purchase_order"
    )


def vendor_payments(*, vendor_id: int | None = None) -> QuerySet[VendorPayment]:
    """Payments to vendors, newest first, with the bills they settle."""
    payments = VendorPayment.objects.select_related("vendor", "bank_account").prefetch_related("applications__bill")
    return payments.filter(vendor=vendor_id) if vendor_id is not None else payments


def payables_total(*, as_of: date) -> Decimal:
    """What is owed to all vendors on bills dated through ``as_of``, less what was paid by then."""
    owed = VendorBill.objects.filter(date__lte=as_of).aggregate(total=Sum("total", default=ZERO))["total"]
    paid = VendorPayment.objects.filter(date__lte=as_of).aggregate(total=Sum("amount", default=ZERO))["total"]
    return sum_money([owed, -paid])
