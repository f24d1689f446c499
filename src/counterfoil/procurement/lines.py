"""The lines of a purchase order: what they buy, for whose demand, into which bin."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from counterfoil.catalog.models import Product, ProductClass
from counterfoil.core.errors import DomainError
from counterfoil.core.states import words
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform.amounts import check_price, check_quantity
from counterfoil.platform.lookup import existing, locked_all
from counterfoil.platform.records import plain_number as plain
from counterfoil.procurement.models import PurchaseOrderLine
from counterfoil.procurement.queries import bought_of


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """A line to buy: what a sales order line still demands, or a product of its own.

    Attributes:
        order_line_id: the sales order line whose demand this covers; its product is bought.
        product_id: the product of a line that covers no demand.
        quantity: in the product's unit; ``None`` is all that the order line still demands (1 without one).
        unit_cost: ``None`` is the order line's cost, or the product's where that is zero.
        bin_id: where it will be received into (inventory products).
        description: empty is that of the order line or product.
        vendor_sku: empty is the product's.
    """

    order_line_id: int | None = None
    product_id: int | None = None
    quantity: Decimal | None = None
    unit_cost: Decimal | None = None
    bin_id: int | None = None
    description: str = ""
    vendor_sku: str = ""


def demanding(order_line_ids: set[int]) -> dict[int, SalesOrderLine]:
    """The sales order lines that are bought for, held with their orders: orders first, as everywhere."""
    orders = SalesOrder.objects.filter(lines__in=order_line_ids).values_list("pk", flat=True)
    locked_all(SalesOrder.objects.all(), set(orders))
    return locked_all(SalesOrderLine.objects.select_related("order", "product"), order_line_ids, "order_line")


def line_of(line: PurchaseLine, demand: SalesOrderLine | None, where: str) -> PurchaseOrderLine:
    """The row of a line, with its defaults filled in and the demand it covers checked."""
    if demand is not None:
        product, description, origin_id = demand.product, demand.description, demand.origin_id
        left = demand.quantity - bought_of([demand])[demand.pk]
        quantity = left if line.quantity is None else line.quantity
        if line.quantity is not None:
            check_quantity(line.quantity, f"{where}.quantity")
        check_demand(demand, quantity, field=f"{where}.quantity")
        cost = demand.unit_cost or product.cost
    elif line.product_id is not None:
        product = existing(Product.objects.all(), line.product_id, f"{where}.product")
        description, origin_id, cost = product.description, None, product.cost
        quantity = Decimal(1) if line.quantity is None else line.quantity
    else:
        raise DomainError("required", "Choose a sales order line or a product.", field=f"{where}.product")
    return PurchaseOrderLine(
        product=product,
        description=line.description.strip() or description,
        quantity=quantity,
        unit_cost=cost if line.unit_cost is None else line.unit_cost,
        vendor_sku=line.vendor_sku.strip() or product.vendor_sku,
        bin_id=line.bin_id,
        order_line=demand,
        origin_id=origin_id,
    )


def check_demand(
    demand: SalesOrderLine, quantity: Decimal, *, besides: PurchaseOrderLine | None = None, field: str = "quantity"
) -> None:
    """Refuse to buy more for a sales order line than it demands; ``besides`` is the line that is being changed."""
    if demand.order.status != SalesOrderStatus.OPEN:
        raise DomainError("wrong_state", f"{demand.order} is {words(demand.order.status)}; it demands nothing.", field)
    bought = bought_of([demand], besides=besides)[demand.pk]
    left = demand.quantity - bought
    if quantity > left or left <= 0:
        raise DomainError(
            "more_than_ordered",
            f"{demand.order} needs {plain(demand.quantity)} {demand.product}; {plain(bought)} of it bought or shipped"
            f" already, {plain(max(left, Decimal(0)))} left to buy.",
            field=field,
        )


def check_line(line: PurchaseOrderLine, where: str) -> None:
    """Refuse a line that buys what is never bought, has an impossible quantity or cost, or an unfit bin."""
    product = line.product
    if product.product_class in (ProductClass.BUNDLE, ProductClass.AGREEMENT):
        raise DomainError(
            "wrong_product_class",
            f"{product} is of class {product.product_class}: it is sold, never bought.",
            field=f"{where}.product",
        )
    check_quantity(line.quantity, f"{where}.quantity")
    check_price(line.unit_cost, f"{where}.unit_cost")
    if line.bin_id is None:
        return
    # Bins belong to inventory, which stands above; the foreign key knows them without an import.
    bins = PurchaseOrderLine._meta.get_field("bin").related_model
    existing(bins._default_manager.all(), line.bin_id, f"{where}.bin")
    if not product.is_stocked:
        raise DomainError("invalid", f"{product} is not kept in stock; it goes into no bin.", field=f"{where}.bin")
