"""What is to be bought: what open sales orders and agreements need and no purchase order covers yet."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from django.db.models import F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from counterfoil.agreements.commitments import is_renewal
from counterfoil.agreements.models import Addition, AdditionChange, AgreementStatus
from counterfoil.agreements.terms import is_monthly
from counterfoil.core.calendar import Cycle
from counterfoil.core.pricing.terms import term_words
from counterfoil.orders import queries as orders
from counterfoil.orders.models import SalesOrderLine
from counterfoil.platform.aggregates import sum_of
from counterfoil.platform.fields import quantity_field
from counterfoil.procurement.models import PurchaseOrderLine, PurchaseOrderStatus
from counterfoil.quotes.models import LineAction, QuoteLine

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

NOTHING = Decimal(0)


class Covered(TypedDict):
    """What of an addition is on purchase orders."""

    on_purchase_orders: Decimal


@dataclass(frozen=True, slots=True)
class DemandRow:
    """A sales order line, or a part of an addition's quantity, of which something is still to be bought.

    An addition that was increased has a part for each signed line: its first quantity, and every increase; one that was
    renewed for another term has all of it to buy anew. ``term``,
    ``billing_cycle``, ``start_date`` and ``end_date`` are how it was sold, and so how it is to be bought; ``end_date``
    is the last day of a term that is shortened to end with another. ``unit_cost`` is as quoted.
    """

    order_line_id: int | None
    order_id: int | None
    order_number: str
    addition_id: int | None
    agreement_id: int | None
    agreement_number: str
    origin_id: int | None
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
    offer_id: int | None
    term: str
    billing_cycle: str
    start_date: date | None
    end_date: date | None

    @property
    def key(self) -> str:
        """What it is known by among the rows: ``order-7``, ``addition-3-2026-03-01`` (a part by its first day)."""
        if self.order_line_id is not None:
            return f"order-{self.order_line_id}"
        return f"addition-{self.addition_id}-{self.start_date}"

    @property
    def terms(self) -> str:
        """How it is to be bought, in words: ``3 years, prepaid, from 1 Mar 2026``."""
        return term_words(self.term, self.billing_cycle, self.start_date, self.end_date)


def demand(
    *,
    vendor_id: int | None = None,
    order_id: int | None = None,
    agreement_id: int | None = None,
    on: date | None = None,
) -> list[DemandRow]:
    """What open sales orders and running agreements need and nobody has bought or shipped from stock yet.

    By vendor; within one by term, billing frequency and start. ``on_hand`` is the product's stock in all bins: shipping
    from there needs no buying.

    Args:
        vendor_id: of this vendor alone: the offer's, or the product's.
        order_id: of this sales order alone.
        agreement_id: of this agreement alone.
        on: what is cancelled but still runs on this day counts; without it nothing that is cancelled does.
    """
    rows: list[DemandRow] = []
    if agreement_id is None:
        rows += _of_orders(order_id)
    if order_id is None:
        rows += _of_additions(additions_to_buy(agreement_id=agreement_id, on=on))
    if vendor_id is not None:
        rows = [row for row in rows if row.vendor_id == vendor_id]
    return sorted(rows, key=_place)


def demand_count(*, on: date | None = None) -> int:
    """How many order lines and additions have something to buy."""
    return orders.demand().count() + additions_to_buy(on=on).count()


def _place(row: DemandRow) -> tuple[object, ...]:
    """By vendor, those without one last; then what is bought alike together; then in order of time."""
    return (
        not row.vendor,
        row.vendor,
        row.term,
        row.billing_cycle,
        row.start_date or date.min,
        row.addition_id is not None,
        row.order_id or row.agreement_id,
        row.order_line_id or row.addition_id,
    )


def _of_orders(order_id: int | None) -> Iterable[DemandRow]:
    rows = list(orders.demand(order_id=order_id).select_related("offer__vendor"))
    on_hand = dict(
        SalesOrderLine.objects.filter(pk__in=[row.pk for row in rows])
        .order_by()
        .values_list("pk")
        .annotate(total=Sum("product__stock__quantity"))
    )
    for row in rows:
        vendor = (row.offer.vendor if row.offer else None) or row.product.vendor
        yield DemandRow(
            order_line_id=row.pk,
            order_id=row.order_id,
            order_number=row.order.number,
            addition_id=None,
            agreement_id=None,
            agreement_number="",
            origin_id=row.origin_id,
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
            vendor_id=vendor.pk if vendor else None,
            vendor=vendor.name if vendor else "",
            vendor_sku=(row.offer.vendor_sku if row.offer else "") or row.product.vendor_sku,
            offer_id=row.offer_id,
            term=row.term,
            billing_cycle=row.billing_cycle,
            start_date=row.start_date,
            end_date=None,
        )


# -- additions ---------------------------------------------------------------------------------------------------------


def additions_to_buy(
    *, agreement_id: int | None = None, on: date | None = None
) -> QuerySet[WithAnnotations[Addition, Covered]]:
    """Additions of running agreements that are bought and of which more is sold than is on purchase orders."""
    runs = Q(cancelled_date__isnull=True)
    if on is not None:
        runs |= Q(cancelled_date__gte=on)
    alive = ~Q(purchase_order_lines__purchase_order__status=PurchaseOrderStatus.CANCELLED)
    rows = (
        Addition.objects.filter(runs, purchase_item=True, agreement__status=AgreementStatus.ACTIVE)
        .exclude(cancelled_date__lt=F("effective_date"))  # never in force
        .annotate(
            on_purchase_orders=sum_of(Addition, "purchase_order_lines__quantity", quantity_field(), alive)
            - sum_of(Addition, "purchase_order_lines__quantity_cancelled", quantity_field(), alive)
        )
        .filter(on_purchase_orders__lt=F("quantity") + Coalesce(_had_before_renewals(), NOTHING))
    )
    return rows if agreement_id is None else rows.filter(agreement=agreement_id)


#: Terms of a month and less, and none: they go on, and so does what is bought for them.
_GOES_ON = Q(origin__term__in=("", "month:1")) | Q(origin__term__startswith="day") | Q(origin__term__startswith="week")


def _had_before_renewals() -> Subquery:
    """How many an addition had when each of its terms ended, all terms together."""
    changes = AdditionChange.objects.order_by()
    before = changes.filter(addition=OuterRef("addition"), effective_date__lt=OuterRef("effective_date"))
    renewals = changes.filter(addition=OuterRef("pk"), origin__action=LineAction.RENEW).exclude(_GOES_ON)
    had = Subquery(before.order_by("-effective_date").values("quantity")[:1])
    return Subquery(renewals.annotate(had=had).values("addition").annotate(total=Sum("had")).values("total"))


@dataclass(slots=True)
class Part:
    """A part of an addition's quantity: what one signed line brought, from which day on, and what is bought of it."""

    quantity: Decimal
    start: date
    unit_cost: Decimal
    origin: QuoteLine | None
    bought: Decimal = NOTHING

    @property
    def open(self) -> Decimal:
        """What is still to be bought of it."""
        return self.quantity - self.bought


def parts_of(additions: Collection[Addition], besides: PurchaseOrderLine | None = None) -> dict[int, list[Part]]:
    """The parts of each addition's quantity, oldest first, by its id, with what is bought of each.

    A purchase counts for the part whose quote line it descends from; what is beyond that, for the oldest that is open.
    ``besides`` leaves out a purchase order line that is about to change.

    Args:
        additions: with ``origin``, and ``changes`` (and the origins of these) if they were fetched before.
        besides: see above.
    """
    lines = (
        PurchaseOrderLine.objects.filter(addition__in=[each.pk for each in additions])
        .exclude(purchase_order__status=PurchaseOrderStatus.CANCELLED)
        .exclude(pk=besides.pk if besides else 0)
        .order_by()
        .values_list("addition", "origin")
        .annotate(total=Sum(F("quantity") - F("quantity_cancelled")))
    )
    bought: dict[int, list[tuple[int | None, Decimal]]] = defaultdict(list)
    for addition_id, origin_id, total in lines:
        bought[addition_id or 0].append((origin_id, total))
    return {each.pk: _covered(_history(each), bought[each.pk]) for each in additions}


def _history(addition: Addition) -> list[Part]:
    """What each change brought; what a decrease takes away, the youngest of its term lose first."""
    changes = list(addition.changes.all())
    if not changes:
        return [Part(addition.quantity, addition.effective_date, addition.unit_cost, addition.origin)]
    first, *later = changes
    parts = [Part(first.quantity, first.effective_date, first.unit_cost, first.origin or addition.origin)]
    over: list[Part] = []  # of the terms before
    held = first.quantity
    for change in later:
        if _begins_term(change):
            over, parts, held = [*over, *parts], [], NOTHING
        more, held = change.quantity - held, change.quantity
        if more > 0:
            parts.append(Part(more, change.effective_date, change.unit_cost, change.origin or addition.origin))
        while more < 0 and parts:
            taken = min(parts[-1].quantity, -more)
            parts[-1].quantity -= taken
            more += taken
            if not parts[-1].quantity:
                parts.pop()
    return [*over, *parts]


def _begins_term(change: AdditionChange) -> bool:
    return (
        is_renewal(change)
        and change.origin is not None
        and bool(change.origin.term)
        and not is_monthly(change.origin.term)
    )


def _covered(parts: list[Part], bought: Sequence[tuple[int | None, Decimal]]) -> list[Part]:
    over = NOTHING
    for origin_id, total in bought:
        over += _cover((part for part in parts if part.origin and part.origin.pk == origin_id), total)
    _cover(parts, over)
    return parts


def _cover(parts: Iterable[Part], quantity: Decimal) -> Decimal:
    """Count a purchase for the parts, in their order; what is left over."""
    for part in parts:
        taken = min(part.open, quantity)
        part.bought += taken
        quantity -= taken
    return quantity


@dataclass(frozen=True, slots=True)
class Sold:
    """How a part of an addition was sold, and so is to be bought."""

    offer_id: int | None
    term: str
    billing_cycle: str
    unit_cost: Decimal
    start_date: date
    end_date: date | None


def sold_as(addition: Addition, part: Part) -> Sold:
    """As the signed line says; else as the addition and its offer say, billed as often as the agreement is."""
    origin = part.origin
    offer = addition.offer or (origin.offer if origin else None)
    term = (origin.term if origin else "") or addition.term or (offer.term if offer else "")
    cycle = (origin.billing_cycle if origin else "") or (offer.billing_cycle if offer else "")
    cost = (origin.unit_cost if origin else NOTHING) or part.unit_cost or (offer.cost if offer else NOTHING)
    return Sold(
        offer_id=offer.pk if offer else None,
        term=term,
        billing_cycle=cycle or addition.agreement.billing_cycle,
        unit_cost=cost or addition.product.cost,
        start_date=part.start,
        end_date=_shortened_end(addition, part, term),
    )


def _shortened_end(addition: Addition, part: Part, term: str) -> date | None:
    """The last day of a term that ends with another; ``None`` for a term of full length."""
    if part.origin is not None and part.origin.align_to is not None:
        return part.origin.align_to - timedelta(days=1)
    last = addition.committed_through
    if last is None or not term or last < part.start:
        return None
    return last if last < Cycle.parse(term).after(part.start, 1) - timedelta(days=1) else None


def _of_additions(additions: QuerySet[WithAnnotations[Addition, Covered]]) -> Iterable[DemandRow]:
    rows = list(
        additions.select_related(
            "agreement__company", "product__vendor", "offer__vendor", "origin__offer__vendor"
        ).prefetch_related("changes__origin__offer__vendor")
    )
    parts = parts_of(rows)
    for addition in rows:
        for part in parts[addition.pk]:
            if part.open > 0:
                yield _row_of(addition, part)


def _row_of(addition: Addition, part: Part) -> DemandRow:
    sold, agreement, product = sold_as(addition, part), addition.agreement, addition.product
    offer = addition.offer or (part.origin.offer if part.origin else None)
    vendor = (offer.vendor if offer else None) or product.vendor
    return DemandRow(
        order_line_id=None,
        order_id=None,
        order_number="",
        addition_id=addition.pk,
        agreement_id=agreement.pk,
        agreement_number=agreement.number,
        origin_id=part.origin.pk if part.origin else None,
        customer=agreement.company.name,
        product_id=product.pk,
        product=product.identifier,
        description=addition.description,
        product_class=product.product_class,
        ordered=part.quantity,
        bought=part.bought,
        to_buy=part.open,
        on_hand=NOTHING,
        unit_cost=sold.unit_cost,
        vendor_id=vendor.pk if vendor else None,
        vendor=vendor.name if vendor else "",
        vendor_sku=(offer.vendor_sku if offer else "") or product.vendor_sku,
        offer_id=sold.offer_id,
        term=sold.term,
        billing_cycle=sold.billing_cycle,
        start_date=sold.start_date,
        end_date=sold.end_date,
    )
