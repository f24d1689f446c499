"""The lines of a purchase order: what they buy, for whose demand, for which term, into which bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.agreements.models import Addition, Agreement, AgreementStatus
from counterfoil.catalog.models import Offer, Product, ProductClass
from counterfoil.catalog.policies import optional_cycle
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.states import words
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform.amounts import check_price, check_quantity
from counterfoil.platform.lookup import existing, locked_all
from counterfoil.platform.records import plain_number as plain
from counterfoil.procurement.demand import Part, parts_of, sold_as
from counterfoil.procurement.models import PurchaseOrderLine
from counterfoil.procurement.queries import bought_of


@dataclass(frozen=True, slots=True)
class PurchaseLine:
    """A line to buy: what a sales order line or an addition still demands, or a product of its own.

    Attributes:
        order_line_id: the sales order line whose demand this covers; its product is bought.
        addition_id: the addition of an agreement whose demand this covers; its product is bought.
        origin_id: of an addition, the signed line whose part of the quantity is bought; ``None`` is the oldest part
            of which something is still to be bought.
        product_id: the product of a line that covers no demand.
        quantity: in the product's unit; ``None`` is all that is still demanded (1 where nothing is).
        unit_cost: per unit and billing cycle; ``None`` is as quoted, else the offer's, else the product's.
        bin_id: where it will be received into (inventory products).
        description: empty is that of the order line, addition or product.
        vendor_sku: empty is the offer's, else the product's.
        offer_id: which offer of the product is bought; ``None`` is that of the order line or addition.
        term: for how long it is bought (``year:1``); ``None`` is as it was sold, else as the offer says.
        billing_cycle: how often the vendor bills it; ``None`` as for the term.
        start_date: first day of the term; ``None`` is as it was sold.
        end_date: last day of a term that is shortened to end with another; ``None`` is as it was sold.
    """

    order_line_id: int | None = None
    product_id: int | None = None
    quantity: Decimal | None = None
    unit_cost: Decimal | None = None
    bin_id: int | None = None
    description: str = ""
    vendor_sku: str = ""
    addition_id: int | None = None
    origin_id: int | None = None
    offer_id: int | None = None
    term: str | None = None
    billing_cycle: str | None = None
    start_date: date | None = None
    end_date: date | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """What purchase order lines are bought for, by id, held until the transaction ends."""

    order_lines: dict[int, SalesOrderLine]
    additions: dict[int, Addition]


def demanding(lines: Sequence[PurchaseLine]) -> Sources:
    """The sales order lines and additions that are bought for, held with their orders and agreements.

    Orders and agreements come first, as everywhere.
    """
    return Sources(
        demanding_order_lines({line.order_line_id for line in lines if line.order_line_id is not None}),
        demanding_additions({line.addition_id for line in lines if line.addition_id is not None}),
    )


def demanding_order_lines(order_line_ids: set[int]) -> dict[int, SalesOrderLine]:
    """The sales order lines, held after their orders."""
    orders = SalesOrder.objects.filter(lines__in=order_line_ids).values_list("pk", flat=True)
    locked_all(SalesOrder.objects.all(), set(orders))
    rows = SalesOrderLine.objects.select_related("order", "product", "offer")
    return locked_all(rows, order_line_ids, "order_line")


def demanding_additions(addition_ids: set[int]) -> dict[int, Addition]:
    """The additions, held after their agreements."""
    agreements = Agreement.objects.filter(additions__in=addition_ids).values_list("pk", flat=True)
    locked_all(Agreement.objects.all(), set(agreements))
    rows = Addition.objects.select_related("agreement", "product", "offer", "origin__offer")
    return locked_all(rows.prefetch_related("changes__origin__offer"), addition_ids, "addition")


@dataclass(frozen=True, slots=True)
class _Defaults:
    """What a line is when nothing else is said: as it was ordered or sold, or as the catalog has the product."""

    product: Product
    description: str
    quantity: Decimal
    unit_cost: Decimal
    origin_id: int | None = None
    offer: Offer | None = None
    term: str = ""
    billing_cycle: str = ""
    start_date: date | None = None
    end_date: date | None = None


def line_of(line: PurchaseLine, sources: Sources, where: str) -> PurchaseOrderLine:
    """The row of a line, with its defaults filled in and the demand it covers checked.

    Raises:
        DomainError: ``required``, ``not_found``, ``more_than_ordered``, ``wrong_state``, ``invalid``.
    """
    if sum(source is not None for source in (line.order_line_id, line.addition_id)) == 2:
        raise DomainError("invalid", "A line is bought for an order or for an agreement, not both.", field=where)
    if line.quantity is not None:
        check_quantity(line.quantity, f"{where}.quantity")
    order_line = sources.order_lines.get(line.order_line_id or 0)
    addition = sources.additions.get(line.addition_id or 0)
    if order_line is not None:
        given = _as_ordered(order_line, line.quantity, where)
    elif addition is not None:
        given = _as_sold(addition, line, where)
    elif line.product_id is not None:
        product = existing(Product.objects.all(), line.product_id, f"{where}.product")
        given = _Defaults(product, product.description, Decimal(1), product.cost)
    else:
        raise DomainError("required", "Choose a sales order line, an addition or a product.", field=f"{where}.product")
    return _row(line, given, order_line, addition, where)


def _row(
    line: PurchaseLine, given: _Defaults, order_line: SalesOrderLine | None, addition: Addition | None, where: str
) -> PurchaseOrderLine:
    """The row, with another offer's term, cost and SKU where another offer is chosen."""
    offer, cost, term, cycle = given.offer, given.unit_cost, given.term, given.billing_cycle
    if line.offer_id is not None and (offer is None or offer.pk != line.offer_id):
        offer = existing(Offer.objects.all(), line.offer_id, f"{where}.offer")
        cost, term, cycle = offer.cost or cost, offer.term or term, offer.billing_cycle or cycle
    return PurchaseOrderLine(
        product=given.product,
        description=line.description.strip() or given.description,
        quantity=given.quantity if line.quantity is None else line.quantity,
        unit_cost=cost if line.unit_cost is None else line.unit_cost,
        vendor_sku=line.vendor_sku.strip() or (offer.vendor_sku if offer else "") or given.product.vendor_sku,
        bin_id=line.bin_id,
        order_line=order_line,
        addition=addition,
        offer=offer,
        term=term if line.term is None else line.term,
        billing_cycle=cycle if line.billing_cycle is None else line.billing_cycle,
        start_date=line.start_date or given.start_date,
        end_date=line.end_date or given.end_date,
        origin_id=given.origin_id,
    )


def _as_ordered(demand: SalesOrderLine, quantity: Decimal | None, where: str) -> _Defaults:
    left = demand.quantity - bought_of([demand])[demand.pk]
    check_demand(demand, left if quantity is None else quantity, field=f"{where}.quantity")
    offer = demand.offer
    return _Defaults(
        product=demand.product,
        description=demand.description,
        quantity=left,
        unit_cost=demand.unit_cost or (offer.cost if offer else Decimal(0)) or demand.product.cost,
        origin_id=demand.origin_id,
        offer=offer,
        term=demand.term or (offer.term if offer else ""),
        billing_cycle=demand.billing_cycle or (offer.billing_cycle if offer else ""),
        start_date=demand.start_date,
    )


def _as_sold(addition: Addition, line: PurchaseLine, where: str) -> _Defaults:
    parts = parts_of([addition])[addition.pk]
    part = _part(parts, line.origin_id)
    quantity = (part.open if part else Decimal(0)) if line.quantity is None else line.quantity
    check_addition(addition, quantity, parts, field=f"{where}.quantity")
    assert part is not None  # something is left to buy
    sold = sold_as(addition, part)
    origin = part.origin
    return _Defaults(
        product=addition.product,
        description=addition.description,
        quantity=part.open,
        unit_cost=sold.unit_cost,
        origin_id=origin.pk if origin else None,
        offer=addition.offer or (origin.offer if origin else None),
        term=sold.term,
        billing_cycle=sold.billing_cycle,
        start_date=sold.start_date,
        end_date=sold.end_date,
    )


def _part(parts: Sequence[Part], origin_id: int | None) -> Part | None:
    """The oldest part with something to buy, of the signed line that is asked for if one is."""
    open_parts = [part for part in parts if part.open > 0]
    of_line = (part for part in open_parts if part.origin is not None and part.origin.pk == origin_id)
    return next(of_line, None) or next(iter(open_parts), None)


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


def check_addition(addition: Addition, quantity: Decimal, parts: Sequence[Part], *, field: str = "quantity") -> None:
    """Refuse to buy more for an addition than is sold with it; ``parts`` are its parts with what is bought."""
    agreement = addition.agreement
    if agreement.status != AgreementStatus.ACTIVE:
        raise DomainError("wrong_state", f"{agreement} is {words(agreement.status)}; it demands nothing.", field)
    bought = sum((part.bought for part in parts), Decimal(0))
    left = sum((part.open for part in parts), Decimal(0))
    if quantity > left or left <= 0:
        raise DomainError(
            "more_than_ordered",
            f"{agreement.number} has {plain(bought + left)} {addition.product}; {plain(bought)} of it bought already,"
            f" {plain(left)} left to buy.",
            field=field,
            hint="Change the quantity of the addition first, or buy without it.",
        )


def check_line(line: PurchaseOrderLine, where: str) -> None:
    """Refuse a line that buys what is never bought, has an impossible quantity, cost or term, or an unfit bin."""
    product = line.product
    if product.product_class == ProductClass.BUNDLE:
        raise DomainError(
            "wrong_product_class",
            f"{product} is of class {product.product_class}: buy what it is made of.",
            field=f"{where}.product",
        )
    check_quantity(line.quantity, f"{where}.quantity")
    check_price(line.unit_cost, f"{where}.unit_cost")
    _check_term(line, where)
    if line.bin_id is None:
        return
    # Bins belong to inventory, which stands above; the foreign key knows them without an import.
    bins = PurchaseOrderLine._meta.get_field("bin").related_model
    existing(bins._default_manager.all(), line.bin_id, f"{where}.bin")
    if not product.is_stocked:
        raise DomainError("invalid", f"{product} is not kept in stock; it goes into no bin.", field=f"{where}.bin")


def _check_term(line: PurchaseOrderLine, where: str) -> None:
    """Codes become what they are stored as: ``monthly`` is ``month:1``."""
    if line.offer is not None and line.offer.product_id != line.product.pk:
        raise DomainError(
            "invalid", f"“{line.offer}” is no offer of {line.product}.", field=f"{where}.offer",
            hint="Choose an offer of the product that is bought.",
        )  # fmt: skip
    line.term = optional_cycle(line.term, f"{where}.term")
    line.billing_cycle = optional_cycle(line.billing_cycle, f"{where}.billing_cycle")
    if line.end_date is None:
        return
    if line.start_date is None:
        raise DomainError("required", "Say when the term begins that ends on that day.", field=f"{where}.start_date")
    if line.end_date < line.start_date:
        raise DomainError(
            "invalid", f"A term cannot end before {format_date(line.start_date)}, its first day.",
            field=f"{where}.end_date",
        )  # fmt: skip
