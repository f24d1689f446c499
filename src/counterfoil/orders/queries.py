"""What is known about sales orders: how far each line has come, and what must still be bought."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Greatest

from counterfoil.catalog.models import ProductClass
from counterfoil.core.money import extend, sum_money
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform.aggregates import count_of, sum_of
from counterfoil.platform.fields import money_field, quantity_field

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations


class Progress(TypedDict):
    """How far an order line has come, in the product's unit."""

    on_purchase_orders: Decimal
    received: Decimal
    shipped: Decimal
    invoiced: Decimal
    capitalised: Decimal


class Demand(Progress):
    """How far an order line has come and what of it must still be bought."""

    to_purchase: Decimal


def sales_orders(*, search: str = "", status: str = "", company_id: int | None = None) -> QuerySet[SalesOrder]:
    """Sales orders, newest first, with ``line_count``; filtered by words, status, company."""
    rows = SalesOrder.objects.select_related("company", "bill_to", "site", "opportunity", "tax_code", "terms").annotate(
        line_count=count_of(SalesOrder, "lines")
    )
    for word in search.split():
        rows = rows.filter(
            Q(number__icontains=word) | Q(company__name__icontains=word) | Q(customer_po__icontains=word)
        )
    if status:
        rows = rows.filter(status=status)
    return rows if company_id is None else rows.filter(company_id=company_id)


def sales_order(order_id: int) -> SalesOrder | None:
    """One sales order with everything its page shows beside the lines."""
    return sales_orders().filter(pk=order_id).first()


def _total(path: str, where: Q | None = None) -> Any:
    return sum_of(SalesOrderLine, path, quantity_field(), where)


def lines() -> QuerySet[WithAnnotations[SalesOrderLine, Progress]]:
    """Order lines with how far each has come, in the product's unit.

    Annotations: ``on_purchase_orders`` (without what was cancelled), ``received``, ``shipped``, ``invoiced`` (drafts
    included), ``capitalised``.
    """
    alive = ~Q(purchase_order_lines__purchase_order__status="cancelled")
    return SalesOrderLine.objects.select_related("product", "order", "origin").annotate(
        on_purchase_orders=_total("purchase_order_lines__quantity", alive)
        - _total("purchase_order_lines__quantity_cancelled", alive),
        received=_total("purchase_order_lines__receipt_lines__quantity"),
        shipped=_total("shipment_lines__quantity"),
        invoiced=_total("invoice_lines__quantity"),
        capitalised=_total("assets__quantity"),
    )


def _at_least_zero(quantity: Decimal) -> Decimal:
    return max(Decimal(0), quantity)


@dataclass(frozen=True, slots=True)
class OrderLineRow:
    """An order line with its amounts (before tax) and how far it has come."""

    line: SalesOrderLine
    amount: Decimal
    cost: Decimal
    on_purchase_orders: Decimal
    received: Decimal
    shipped: Decimal
    invoiced: Decimal
    capitalised: Decimal

    @property
    def to_purchase(self) -> Decimal:
        """What is neither on a purchase order nor shipped from stock yet; zero for services."""
        if self.line.product.product_class not in PURCHASED:
            return Decimal(0)
        taken = max(self.on_purchase_orders, self.shipped)
        return _at_least_zero(self.line.quantity - taken)

    @property
    def to_ship(self) -> Decimal:
        """What has not been shipped yet."""
        return _at_least_zero(self.line.quantity - self.shipped)

    @property
    def to_invoice(self) -> Decimal:
        """What is on no invoice yet, drafts included."""
        return _at_least_zero(self.line.quantity - self.invoiced)


#: Classes of what must be bought.
PURCHASED = (ProductClass.INVENTORY, ProductClass.NON_INVENTORY)


def order_lines(order_id: int) -> tuple[OrderLineRow, ...]:
    """The lines of an order, in order, with amounts and progress (one query)."""
    return tuple(
        OrderLineRow(
            line,
            extend(line.quantity, line.unit_price),
            extend(line.quantity, line.unit_cost),
            line.on_purchase_orders,
            line.received,
            line.shipped,
            line.invoiced,
            line.capitalised,
        )
        for line in lines().filter(order_id=order_id).order_by("position")
    )


@dataclass(frozen=True, slots=True)
class OrderTotals:
    """An order's price and cost, before tax, in the MSP's currency."""

    price: Decimal
    cost: Decimal

    @property
    def margin(self) -> Decimal:
        """Price less cost."""
        return self.price - self.cost


def totals(rows: tuple[OrderLineRow, ...]) -> OrderTotals:
    """What the lines of an order add up to."""
    return OrderTotals(sum_money(row.amount for row in rows), sum_money(row.cost for row in rows))


def with_amounts(rows: QuerySet[SalesOrder]) -> QuerySet[SalesOrder]:
    """Orders with ``price`` and ``cost``: what their lines add up to before tax, unrounded."""
    own = SalesOrderLine.objects.filter(order=OuterRef("pk")).order_by().values("order")
    amounts = {
        name: Coalesce(
            Subquery(own.annotate(total=Sum(F("quantity") * F(path))).values("total")),
            Value(Decimal(0)),
            output_field=money_field(),
        )
        for name, path in (("price", "unit_price"), ("cost", "unit_cost"))
    }
    return rows.annotate(**amounts)


def orders_to_invoice() -> QuerySet[SalesOrder]:
    """Open orders of which something was shipped, or needs no shipping, and is on no invoice yet."""
    ready = lines().filter(
        Q(product__product_class__in=PURCHASED, shipped__gt=F("invoiced"))
        | (~Q(product__product_class__in=PURCHASED) & Q(quantity__gt=F("invoiced"))),
        order__status=SalesOrderStatus.OPEN,
    )
    return SalesOrder.objects.filter(pk__in=ready.order_by().values("order"))


# -- demand ------------------------------------------------------------------------------------------------------------


def demand(
    *, vendor_id: int | None = None, order_id: int | None = None
) -> QuerySet[WithAnnotations[SalesOrderLine, Demand]]:
    """Lines of open orders that must still be bought, with ``to_purchase``; by vendor, then order.

    Services and agreement products are never bought. What was shipped without a purchase order came from stock.
    """
    rows = (
        lines()
        .filter(order__status=SalesOrderStatus.OPEN, product__product_class__in=PURCHASED)
        .select_related("product__vendor", "order__company", "order__site")
        .annotate(to_purchase=F("quantity") - Greatest(F("on_purchase_orders"), F("shipped")))
        .filter(to_purchase__gt=0)
        .order_by(F("product__vendor__name").asc(nulls_last=True), "order_id", "position")
    )
    if vendor_id is not None:
        rows = rows.filter(product__vendor_id=vendor_id)
    return rows if order_id is None else rows.filter(order_id=order_id)
