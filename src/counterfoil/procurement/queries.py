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
from counterfoil.orders.models import SalesOrderLine
from counterfoil.platform.aggregates import sum_of
from counterfoil.platform.fields import quantity_field
from counterfoil.procurement.demand import DemandRow, demand, demand_count
from counterfoil.procurement.models import (
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderStatus,
    VendorBill,
    VendorBillLine,
    VendorPayment,
    VendorPaymentApplication,
)

__all__ = [
    "DemandRow",
    "PurchaseOrderLineRow",
    "VendorBillRow",
    "balances_of_bills",
    "billable_lines",
    "billed_of",
    "bills",
    "bought_of",
    "demand",
    "demand_count",
    "lines_of_bill",
    "lines_of_purchase_order",
    "orders_to_bill",
    "orders_to_receive",
    "payables_total",
    "purchase_orders",
    "received_of",
    "vendor_bills",
    "vendor_payments",
]

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
    """A purchase order line with what became of it.

    ``awaited`` is neither received nor cancelled; ``to_bill`` is what the vendor's next bill can be for.
    """

    line: PurchaseOrderLine
    received: Decimal
    billed: Decimal
    awaited: Decimal
    to_bill: Decimal
    amount: Decimal


def lines_of_purchase_order(purchase_order_id: int) -> list[PurchaseOrderLineRow]:
    """The lines of a purchase order with what has arrived, is billed and is awaited."""
    return _with_progress(PurchaseOrderLine.objects.filter(purchase_order=purchase_order_id))


def billable_lines(vendor_id: int) -> list[PurchaseOrderLineRow]:
    """Lines of a vendor that have arrived and can be billed, oldest first; a subscription in each of its cycles."""
    arrived = PurchaseOrderLine.objects.filter(purchase_order__vendor=vendor_id, receipt_lines__isnull=False).distinct()
    return [row for row in _with_progress(arrived) if row.to_bill > 0]


def _with_progress(lines: QuerySet[PurchaseOrderLine]) -> list[PurchaseOrderLineRow]:
    rows = list(
        lines.select_related(
            "purchase_order", "product", "bin__warehouse", "order_line__order", "addition__agreement", "offer"
        ).order_by("purchase_order_id", "position")
    )
    received, billed = received_of(rows), billed_of(rows)
    return [
        PurchaseOrderLineRow(
            line=row,
            received=received[row.pk],
            billed=billed[row.pk],
            awaited=row.quantity - row.quantity_cancelled - received[row.pk],
            to_bill=row.to_bill(received[row.pk], billed[row.pk]),
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
