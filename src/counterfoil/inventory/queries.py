"""What is in stock, where, at what value, and what has left it without being invoiced or capitalised yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import F, Q, QuerySet, Sum

from counterfoil.catalog.models import Product
from counterfoil.core.costing import Layer
from counterfoil.core.money import ZERO, sum_money
from counterfoil.inventory.models import (
    Bin,
    MovementKind,
    Receipt,
    SerialNumber,
    SerialStatus,
    Shipment,
    StockBalance,
    StockMovement,
    Warehouse,
)
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform.aggregates import sum_of
from counterfoil.platform.fields import money_field, quantity_field
from counterfoil.platform.records import plain_number as plain

NOTHING = Decimal(0)


def layers_of(product: Product, bin_id: int, on: date) -> list[Layer]:
    """What is left in a bin of each receipt dated through ``on``, oldest first, with the serials still there."""
    movements = (
        StockMovement.objects.filter(kind=MovementKind.RECEIPT, product=product, bin=bin_id, date__lte=on)
        .annotate(
            gone=Sum("consumed_by__quantity", default=NOTHING),
            gone_value=Sum("consumed_by__value", default=ZERO),
        )
        .order_by("date", "id")
    )
    serials: dict[int, list[str]] = {}
    held = SerialNumber.objects.filter(product=product, bin=bin_id, status=SerialStatus.IN_STOCK)
    for receipt_line_id, serial in held.values_list("receipt_line_id", "serial"):
        serials.setdefault(receipt_line_id, []).append(serial)
    return [
        Layer(
            key=move.pk,
            quantity=move.quantity + move.gone,
            cost=move.value + move.gone_value,
            serials=tuple(serials.get(move.receipt_line_id or 0, ())),
        )
        for move in movements
        if move.quantity + move.gone > 0
    ]


def places_of(product_ids: Iterable[int]) -> dict[int, list[StockBalance]]:
    """Where each product lies now, by its id."""
    places: dict[int, list[StockBalance]] = {}
    for balance in on_hand().filter(product__in=list(product_ids)):
        places.setdefault(balance.product_id, []).append(balance)
    return places


def serials_in_stock(product_ids: Iterable[int]) -> list[SerialNumber]:
    """The serialized units of these products that are in stock, oldest receipt first."""
    held = SerialNumber.objects.filter(product__in=list(product_ids), status=SerialStatus.IN_STOCK)
    return list(
        held.select_related("bin__warehouse", "receipt_line__purchase_order_line").order_by("receipt_line", "pk")
    )


def orders_to_ship(*, search: str = "") -> QuerySet[SalesOrder]:
    """Open sales orders of which something has arrived, or lies in stock, and was not shipped yet."""
    ready = (
        SalesOrderLine.objects.filter(
            order__status=SalesOrderStatus.OPEN, product__product_class__in=("Inventory", "NonInventory")
        )
        .annotate(
            shipped=sum_of(SalesOrderLine, "shipment_lines__quantity", quantity_field()),
            arrived=sum_of(SalesOrderLine, "purchase_order_lines__receipt_lines__quantity", quantity_field()),
            held=sum_of(SalesOrderLine, "product__stock__quantity", quantity_field()),
        )
        .filter(
            Q(product__product_class="Inventory", held__gt=0)
            | Q(product__product_class="NonInventory", arrived__gt=F("shipped")),
            quantity__gt=F("shipped"),
        )
    )
    found = SalesOrder.objects.filter(pk__in=ready.order_by().values("order")).select_related("company")
    for word in search.split():
        found = found.filter(Q(number__icontains=word) | Q(company__name__icontains=word))
    return found


def whereabouts(product: Product) -> str:
    """Where a product lies, for a sentence: ``3 in HQ / Main, 1 in Acme / Rack``."""
    held = StockBalance.objects.filter(product=product, quantity__gt=0).select_related("bin__warehouse")
    return ", ".join(f"{plain(balance.quantity)} in {balance.bin}" for balance in held) or "none"


def on_hand(
    *, product_id: int | None = None, bin_id: int | None = None, warehouse_id: int | None = None, search: str = ""
) -> QuerySet[StockBalance]:
    """Quantity and value per product and bin, now; empty places left out."""
    balances = StockBalance.objects.filter(quantity__gt=0).select_related("product__category", "bin__warehouse")
    for word in search.split():
        balances = balances.filter(
            Q(product__identifier__icontains=word)
            | Q(product__description__icontains=word)
            | Q(bin__name__icontains=word)
            | Q(bin__warehouse__name__icontains=word)
        )
    if product_id is not None:
        balances = balances.filter(product=product_id)
    if bin_id is not None:
        balances = balances.filter(bin=bin_id)
    if warehouse_id is not None:
        balances = balances.filter(bin__warehouse=warehouse_id)
    return balances.order_by("bin__warehouse__name", "bin__name", "product__identifier")


@dataclass(frozen=True, slots=True)
class ValuationRow:
    """A product in a bin at a date: how many, and what they cost."""

    warehouse_id: int
    warehouse: str
    customer: str
    bin_id: int
    bin: str
    product_id: int
    product: str
    description: str
    quantity: Decimal
    value: Decimal


def valuation(*, as_of: date, warehouse_id: int | None = None) -> list[ValuationRow]:
    """The inventory valuation per warehouse, bin and product at the end of ``as_of``, from the movements."""
    moves = StockMovement.objects.filter(date__lte=as_of)
    if warehouse_id is not None:
        moves = moves.filter(bin__warehouse=warehouse_id)
    rows = (
        moves.values(
            "bin__warehouse_id",
            "bin__warehouse__name",
            "bin__warehouse__company__name",
            "bin_id",
            "bin__name",
            "product_id",
            "product__identifier",
            "product__description",
        )
        .annotate(held=Sum("quantity"), worth=Sum("value"))
        .exclude(held=0, worth=0)
        .order_by("bin__warehouse__name", "bin__name", "product__identifier")
    )
    return [
        ValuationRow(
            warehouse_id=row["bin__warehouse_id"],
            warehouse=row["bin__warehouse__name"],
            customer=row["bin__warehouse__company__name"] or "",
            bin_id=row["bin_id"],
            bin=row["bin__name"],
            product_id=row["product_id"],
            product=row["product__identifier"],
            description=row["product__description"],
            quantity=row["held"],
            value=row["worth"],
        )
        for row in rows
    ]


def shipped_of(lines: Iterable[SalesOrderLine]) -> dict[int, Decimal]:
    """How many of each sales order line have been shipped, by its id."""
    return {pk: done.quantity for pk, done in _done(lines, "shipment_lines").items()}


@dataclass(frozen=True, slots=True)
class Done:
    """How many, and what they cost together."""

    quantity: Decimal = NOTHING
    cost: Decimal = ZERO


def received_for(lines: Iterable[SalesOrderLine]) -> dict[int, Done]:
    """What has arrived on purchase orders for each sales order line, by its id."""
    return _done(lines, "purchase_order_lines__receipt_lines")


def capitalised_of(lines: Iterable[SalesOrderLine]) -> dict[int, Done]:
    """What of each sales order line was capitalised out of stock, by its id."""
    return _done(lines, "assets", Q(assets__capitalised_from="inventory"))


def unrelieved(lines: Iterable[SalesOrderLine]) -> dict[int, Done]:
    """What of each stocked sales order line was shipped and neither invoiced (drafts count) nor capitalised, by its id.

    Its cost is still in the inventory account, or will be when its receipt is transferred.
    """
    rows = list(lines)
    shipped = _done(rows, "shipment_lines")
    invoiced = _done(rows, "invoice_lines", Q(invoice_lines__relieves_stock=True))
    capitalised = capitalised_of(rows)
    return {
        row.pk: Done(
            shipped[row.pk].quantity - invoiced[row.pk].quantity - capitalised[row.pk].quantity,
            sum_money([shipped[row.pk].cost, -invoiced[row.pk].cost, -capitalised[row.pk].cost]),
        )
        for row in rows
    }


def _done(lines: Iterable[SalesOrderLine], path: str, condition: Q | None = None) -> dict[int, Done]:
    """Sums of quantity and cost over a relation of the lines. What stands above is reached by the reverse relation."""
    ids = [line.pk for line in lines]
    rows = SalesOrderLine.objects.filter(condition or Q(), pk__in=ids).order_by().values_list("pk")
    sums = rows.annotate(quantities=Sum(f"{path}__quantity", default=NOTHING), costs=Sum(f"{path}__cost", default=ZERO))
    found = {pk: Done(quantity, cost) for pk, quantity, cost in sums}
    return {pk: found.get(pk, Done()) for pk in ids}


@dataclass(frozen=True, slots=True)
class ShippedRow:
    """Stock at a customer whose cost has not left the inventory account."""

    order_line_id: int
    order_id: int
    order_number: str
    customer: str
    product: str
    description: str
    quantity: Decimal
    value: Decimal


def shipped_not_relieved() -> list[ShippedRow]:
    """What was shipped out of stock and is neither invoiced nor capitalised yet, oldest order first."""
    lines = list(
        SalesOrderLine.objects.filter(shipment_lines__bin__isnull=False)
        .distinct()
        .select_related("order__company", "product")
        .order_by("order_id", "position")
    )
    rest = unrelieved(lines)
    return [
        ShippedRow(
            order_line_id=line.pk,
            order_id=line.order_id,
            order_number=line.order.number,
            customer=line.order.company.name,
            product=line.product.identifier,
            description=line.description,
            quantity=rest[line.pk].quantity,
            value=rest[line.pk].cost,
        )
        for line in lines
        if rest[line.pk].quantity > 0
    ]


def serial_numbers(
    *, search: str = "", product_id: int | None = None, status: str | None = None
) -> QuerySet[SerialNumber]:
    """Serialized units by part of their serial number, with where they came from and went to."""
    serials = SerialNumber.objects.select_related(
        "product",
        "bin__warehouse",
        "receipt_line__receipt__purchase_order",
        "shipment_line__shipment__order__company",
    )
    if search.strip():
        serials = serials.filter(serial__icontains=search.strip())
    if product_id is not None:
        serials = serials.filter(product=product_id)
    if status:
        serials = serials.filter(status=status)
    return serials.order_by("serial")


def warehouses(*, only_active: bool = True) -> QuerySet[Warehouse]:
    """Warehouses with their bins."""
    found = Warehouse.objects.select_related("company").prefetch_related("bins")
    return found.filter(active=True) if only_active else found


def warehouses_with_value() -> QuerySet[Warehouse]:
    """All warehouses with their bins and the ``value`` of what lies in them."""
    value = sum_of(Warehouse, "bins__stock__value", money_field())
    return warehouses(only_active=False).annotate(value=value)


def bins(*, warehouse_id: int | None = None) -> QuerySet[Bin]:
    """Active bins of active warehouses, to choose from."""
    found = Bin.objects.filter(active=True, warehouse__active=True).select_related("warehouse")
    return found.filter(warehouse=warehouse_id) if warehouse_id is not None else found


def bins_of_customers() -> dict[str, int]:
    """The first bin of each customer warehouse, by the customer's name: where goods bought for that customer go."""
    found = Bin.objects.filter(active=True, warehouse__active=True, warehouse__company__isnull=False)
    return dict(found.order_by("-pk").values_list("warehouse__company__name", "pk"))


def receipts(*, purchase_order_id: int | None = None, search: str = "") -> QuerySet[Receipt]:
    """Receipts, newest first, with their ``cost``."""
    found = Receipt.objects.select_related("purchase_order__vendor").annotate(cost=Sum("lines__cost", default=ZERO))
    if purchase_order_id is not None:
        found = found.filter(purchase_order=purchase_order_id)
    if search.strip():
        wanted = search.strip()
        found = found.filter(
            Q(number__icontains=wanted)
            | Q(packing_slip__icontains=wanted)
            | Q(purchase_order__number__icontains=wanted)
            | Q(purchase_order__vendor__name__icontains=wanted)
        )
    return found.order_by("-id")


def shipments(*, order_id: int | None = None, search: str = "") -> QuerySet[Shipment]:
    """Shipments, newest first, with their ``cost``."""
    found = Shipment.objects.select_related("order__company").annotate(cost=Sum("lines__cost", default=ZERO))
    if order_id is not None:
        found = found.filter(order=order_id)
    if search.strip():
        wanted = search.strip()
        found = found.filter(
            Q(number__icontains=wanted)
            | Q(tracking_number__icontains=wanted)
            | Q(order__number__icontains=wanted)
            | Q(order__company__name__icontains=wanted)
        )
    return found.order_by("-id")


@dataclass(frozen=True, slots=True)
class ShippableRow:
    """A sales order line with what was ordered, shipped and is on hand for it."""

    line: SalesOrderLine
    shipped: Decimal
    to_ship: Decimal
    on_hand: Decimal


def lines_to_ship(order_id: int) -> list[ShippableRow]:
    """The goods of a sales order; on hand is the stock in all bins, or what arrived for it if it is not stocked."""
    lines = list(
        SalesOrderLine.objects.filter(order=order_id, product__product_class__in=("Inventory", "NonInventory"))
        .select_related("product", "order")
        .order_by("position")
    )
    shipped, arrived = shipped_of(lines), received_for(lines)
    stock = dict(
        StockBalance.objects.filter(product__in=[line.product_id for line in lines])
        .order_by()
        .values_list("product")
        .annotate(held=Sum("quantity"))
    )
    return [
        ShippableRow(
            line=line,
            shipped=shipped[line.pk],
            to_ship=line.quantity - shipped[line.pk],
            on_hand=(
                stock.get(line.product_id, NOTHING)
                if line.product.is_stocked
                else arrived[line.pk].quantity - shipped[line.pk]
            ),
        )
        for line in lines
    ]
