"""What something costs: for whom, how many, on which day, and where the price comes from.

The order of precedence: the pricing schedules of the company, then the schedule for all companies, then the offer, then
the product. Within schedules the most particular break counts (the offer's, the product's, the category's, that for
everything), and of those that the quantity reaches the one with the highest ``from_quantity``; of two schedules that
are even, the one that began last.

A break that states an amount (a price, an amount off) is per unit and billing cycle, so it holds for an offer only if
it names it or the offer is billed as the product is: 20.00 a month is no price of a prepaid year.

A bundle's price and cost are its own, or those of its components by the catalog (``price_from_components``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Final, cast

from django.db.models import Q

from counterfoil.catalog.models import (
    BundleComponent,
    Offer,
    PriceMethod,
    PriceModel,
    PricingBreak,
    PricingScheduleCompany,
    Product,
    ProductClass,
)
from counterfoil.core.bills import quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, round_to
from counterfoil.core.pricing import Priced, Tier, TierKind, TierModel, price_of
from counterfoil.core.pricing.bundle import Component, roll_up
from counterfoil.core.pricing.margin import Method, price_by_rule
from counterfoil.core.pricing.terms import term_words
from counterfoil.platform.records import fetch, refuse_not_positive

_PLACES: Final = 8
_AMOUNTS: Final = frozenset({PriceMethod.PRICE, PriceMethod.AMOUNT_OFF})


@dataclass(frozen=True, slots=True)
class PriceAsk:
    """A product, perhaps by an offer of it, and how many."""

    product: Product
    quantity: Decimal
    offer: Offer | None = None


@dataclass(frozen=True, slots=True)
class PriceFound:
    """Price and cost per unit (and billing cycle) for the quantity asked for.

    ``tier_model`` is what the price follows from when the quantity changes; None where it is a plain unit price.
    ``source`` says where the price was found, ``explanation`` how a tier model made it.
    """

    price: Decimal
    cost: Decimal
    tier_model: TierModel | None
    source: str
    explanation: tuple[str, ...] = ()


def tier_model(price_model: PriceModel) -> TierModel:
    """The price model as the core prices by it; its tiers are read (one query unless they are prefetched)."""
    tiers = sorted(price_model.tiers.all(), key=lambda tier: (tier.up_to is None, tier.up_to))
    return TierModel(
        cast(TierKind, price_model.kind),
        tuple(Tier(tier.up_to, tier.unit_price, tier.flat_amount) for tier in tiers),
        price_model.minimum_quantity,
        price_model.included_quantity,
        price_model.minimum_amount,
        price_model.package_size,
    )


def price_for(
    product: Product, *, offer: Offer | None = None, company_id: int | None = None, quantity: Decimal, on: date
) -> PriceFound:
    """The price and cost of one product.

    Args:
        product: what is sold.
        offer: how it is sold; None: by the product's own price.
        company_id: to whom; None: to nobody in particular.
        quantity: how many.
        on: the day that schedules must be in force.

    Raises:
        DomainError: ``invalid`` when the offer's price model has no price for so many.
    """
    return prices_for([PriceAsk(product, quantity, offer)], company_id=company_id, on=on)[0]


@dataclass(frozen=True, slots=True)
class QuotedPrice:
    """What so many of a product cost somebody: the unit price to 8 decimals, the amount rounded once, and why."""

    quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    amount: Decimal
    source: str
    explanation: tuple[str, ...]


def quoted_price(
    *, product_id: int, offer_id: int | None = None, company_id: int | None = None, quantity: Decimal, on: date
) -> QuotedPrice:
    """What a product costs: by the company's schedules, that for all, the offer, or the product itself.

    Raises:
        DomainError: ``not_found``; ``invalid`` for an offer of another product, a quantity that is not above zero, or
            one that the price model has no price for.
    """
    product = fetch(Product, product_id, field="product_id")
    offer = None if offer_id is None else fetch(Offer, offer_id, field="offer_id")
    if offer is not None and offer.product_id != product.pk:
        raise DomainError("invalid", f"That is no offer of {product.identifier}.", field="offer_id")
    refuse_not_positive("quantity", quantity)
    found = price_for(product, offer=offer, company_id=company_id, quantity=quantity, on=on)
    amount = extend(quantity, found.price)
    return QuotedPrice(quantity, found.price, found.cost, amount, found.source, found.explanation)


def price_by_model(price_model_id: int, quantity: Decimal) -> Priced:
    """What a quantity costs by a price model, with the explanation tier by tier.

    Raises:
        DomainError: ``not_found``; ``invalid`` for a quantity that the model has no price for.
    """
    return price_of(tier_model(fetch(PriceModel, price_model_id)), quantity)


def prices_for(asks: Sequence[PriceAsk], *, company_id: int | None = None, on: date) -> list[PriceFound]:
    """:func:`price_for` for many lines, in order, with a fixed number of queries.

    Raises:
        DomainError: as :func:`price_for`.
    """
    if not asks:
        return []
    book = price_book([(ask.product, ask.offer) for ask in asks], company_id=company_id, on=on)
    return [book.find(ask) for ask in asks]


def price_book(sold: Iterable[tuple[Product, Offer | None]], *, company_id: int | None = None, on: date) -> PriceBook:
    """What prices of products, by offers of them or not, follow from: to ask for several quantities."""
    products_and_offers = list(sold)
    components = _components() if any(_is_bundle(product) for product, _ in products_and_offers) else {}
    offers = [offer for _, offer in products_and_offers] + [row.offer for rows in components.values() for row in rows]
    return PriceBook(
        breaks=_breaks_in_force(company_id, on),
        model_ids={offer.price_model_id for offer in offers if offer and offer.price_model_id},
        components=components,
    )


# -- finding -----------------------------------------------------------------------------------------------------------


@dataclass
class PriceBook:
    """Everything that prices follow from, loaded once. ``breaks`` stand in order of precedence."""

    breaks: Mapping[tuple[str, int | None], Sequence[PricingBreak]]
    model_ids: Collection[int]
    components: Mapping[int, Sequence[BundleComponent]] = field(default_factory=dict)

    @cached_property
    def models(self) -> dict[int, TierModel]:
        """The price models of the offers, by id; loaded when the first of them is asked for."""
        return _tier_models(self.model_ids)

    def find(self, ask: PriceAsk) -> PriceFound:
        """The price by the schedules, else by the catalog.

        Raises:
            DomainError: ``invalid`` when the offer's price model has no price for so many.
        """
        found = self._in_catalog(ask)
        if (row := self._break(ask)) is None:
            return found
        by_rule = price_by_rule(cast(Method, row.method), row.value, price=found.price, cost=found.cost)
        reached = f", from {quantity_text(row.from_quantity)}" if row.from_quantity else ""
        return PriceFound(by_rule.price, found.cost, None, f"{row.schedule.name}{reached}: {by_rule.words}")

    def _break(self, ask: PriceAsk) -> PricingBreak | None:
        keys: list[tuple[str, int | None]] = [
            ("product", ask.product.pk),
            ("category", ask.product.category_id),
            ("everything", None),
        ]
        if ask.offer is not None:
            keys.insert(0, ("offer", ask.offer.pk))
        for for_all in (False, True):
            for key in keys:
                for row in self.breaks.get(key, ()):
                    if row.schedule.for_all_companies is for_all and _holds(row, ask):
                        return row
        return None

    def _in_catalog(self, ask: PriceAsk) -> PriceFound:
        offer, product = ask.offer, ask.product
        if offer is None:
            found = PriceFound(product.price, product.cost, None, "the product's price")
        elif offer.price_model_id is not None:
            model = self.models[offer.price_model_id]
            priced = price_of(model, ask.quantity)
            source = f"offer {offer_name(offer)}, by its price model"
            found = PriceFound(priced.unit_price, offer.cost, model, source, priced.explanation)
        else:
            found = PriceFound(offer.price, offer.cost, None, f"offer {offer_name(offer)}")
        if _is_bundle(product) and (rows := self.components.get(product.pk)):
            return self._from_components(ask, found, rows)
        return found

    def _from_components(self, ask: PriceAsk, own: PriceFound, rows: Sequence[BundleComponent]) -> PriceFound:
        """The bundle's price and cost with what its components say of them."""
        parts = []
        for row in rows:
            needed = row.quantity if row.fixed_quantity else row.quantity * ask.quantity
            found = self._in_catalog(PriceAsk(row.product, needed, row.offer))
            price = found.price if row.unit_price is None else row.unit_price
            parts.append(Component(row.quantity, price, found.cost, row.fixed_quantity))
        rolled = roll_up(parts, ask.quantity)
        found = own
        if ask.product.cost_from_components:
            found = replace(found, cost=_each(rolled.cost, ask.quantity))
        if ask.product.price_from_components:
            price = _each(rolled.price, ask.quantity)
            found = replace(found, price=price, tier_model=None, explanation=(), source="the bundle's components")
        return found


def _each(amount: Decimal, quantity: Decimal) -> Decimal:
    return round_to(Fraction(amount) / Fraction(quantity), _PLACES) if quantity else amount


def _holds(row: PricingBreak, ask: PriceAsk) -> bool:
    """Whether the quantity reaches the break, and an amount is per the billing cycle of what is sold."""
    if ask.quantity < row.from_quantity:
        return False
    if row.method not in _AMOUNTS or ask.offer is None or row.offer_id is not None:
        return True
    return ask.offer.billing_cycle == ask.product.billing_cycle


def offer_name(offer: Offer) -> str:
    """What an offer is called: its name, or its term and billing in words."""
    return offer.name or term_words(offer.term, offer.billing_cycle)


def _is_bundle(product: Product) -> bool:
    return product.product_class == ProductClass.BUNDLE


# -- loading -----------------------------------------------------------------------------------------------------------


def _breaks_in_force(company_id: int | None, on: date) -> dict[tuple[str, int | None], list[PricingBreak]]:
    """The breaks for a company on a day by what they are for; those that go first stand first."""
    whose = Q(schedule__for_all_companies=True)
    if company_id is not None:
        theirs = PricingScheduleCompany.objects.filter(company_id=company_id)
        whose |= Q(schedule_id__in=theirs.values("schedule_id"))
    in_force = (
        Q(schedule__active=True)
        & _reaches(on, "schedule__start_date", "schedule__end_date")
        & _reaches(on, "start_date", "end_date")
    )
    rows = PricingBreak.objects.filter(whose, in_force).select_related("schedule")
    found: dict[tuple[str, int | None], list[PricingBreak]] = defaultdict(list)
    for row in sorted(rows, key=_precedence):
        found[_subject(row)].append(row)
    return found


def _reaches(on: date, start: str, end: str) -> Q:
    return (Q(**{f"{start}__isnull": True}) | Q(**{f"{start}__lte": on})) & (
        Q(**{f"{end}__isnull": True}) | Q(**{f"{end}__gte": on})
    )


def _precedence(row: PricingBreak) -> tuple[Decimal, int, int]:
    """The highest quantity first, then the schedule that began last, then the newest break."""
    began = row.start_date or row.schedule.start_date or date.min
    return -row.from_quantity, -began.toordinal(), -row.pk


def _subject(row: PricingBreak) -> tuple[str, int | None]:
    for name, key in (("offer", row.offer_id), ("product", row.product_id), ("category", row.category_id)):
        if key is not None:
            return name, key
    return "everything", None


def _tier_models(price_model_ids: Iterable[int]) -> dict[int, TierModel]:
    wanted = set(price_model_ids)
    if not wanted:
        return {}
    return {row.pk: tier_model(row) for row in PriceModel.objects.filter(pk__in=wanted).prefetch_related("tiers")}


def _components() -> dict[int, list[BundleComponent]]:
    """The components of every bundle, with their products and offers; bundles hold bundles, so all are read at once."""
    found: dict[int, list[BundleComponent]] = defaultdict(list)
    for row in BundleComponent.objects.select_related("product", "offer").order_by("bundle_id", "position"):
        found[row.bundle_id].append(row)
    return found
