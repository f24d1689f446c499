"""Where the price of a quoted line comes from: the catalog, or the hand of whoever quotes.

A price that is the catalog's for the quantity so far follows the quantity: it becomes that of the break that the new
one reaches, of the customer's pricing schedules, of the schedule for all, or of the offer. Any other price was set by
hand and stays. Nothing but the price itself tells the two apart, so whoever types the catalog's price again is back
with the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.catalog.models import Offer, PriceModel, Product, ProductClass
from counterfoil.catalog.prices import PriceAsk, PriceFound, price_book, prices_for
from counterfoil.core.bills import price_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import multiply, round_to
from counterfoil.platform.records import fetch
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteVersion

#: What is quoted by the catalog; other lines are about what the customer has, at its price.
FROM_CATALOG = (LineAction.NEW, LineAction.RENEW)


@dataclass(frozen=True, slots=True)
class Reached:
    """What the catalog has for the new quantity of a line.

    Attributes:
        price: per unit and billing cycle; ``cost`` likewise.
        model: the price model it is by, if it is by one.
        taken: whether the line's price is the catalog's, so that it follows.
        words: what is said about it.
    """

    price: Decimal
    cost: Decimal
    model: PriceModel | None
    taken: bool
    words: str


def quantities_with(lines: Iterable[QuoteLine], wanted: Mapping[int, Decimal]) -> dict[int, Decimal]:
    """The quantities that some lines get, by id, with those of the components that follow from their bundles'."""
    found = dict(wanted)
    for line in lines:
        if line.bundle_id is not None and line.bundle_id in wanted:
            found[line.pk] = component_quantity(line, wanted[line.bundle_id])
    return found


def component_quantity(line: QuoteLine, bundles: Decimal) -> Decimal:
    """How many there are of a component with so many bundles."""
    each: Decimal | None = line.bundle_quantity
    if each is None:
        return Decimal(line.quantity)
    return round_to(multiply(each, Decimal(1) if line.fixed_quantity else bundles), 6)


def breaks_reached(
    version: QuoteVersion,
    lines: Iterable[QuoteLine],
    former: Mapping[int, Decimal],
    new: Mapping[int, Decimal],
    on: date,
) -> dict[int, Reached]:
    """What the catalog of a day says of lines whose quantity changes: those for which that is another price.

    Args:
        version: with its customer.
        lines: all of it, with their products.
        former: quantities that changed, by the id of the line.
        new: what they became.
        on: the day whose prices hold.
    """
    moving = [line for line in lines if line.pk in new and new[line.pk] != former[line.pk] and _may_follow(line)]
    if not moving:
        return {}
    offers = _offers_of(moving)
    company_id = version.quote.opportunity.company_id if version.quote.opportunity else None
    book = price_book([(line.product, offers.get(line.offer_id or 0)) for line in moving], company_id=company_id, on=on)
    if not book.breaks:  # by its price model alone: that says it when the line is priced
        moving = [line for line in moving if line.price_model_id is None]
    found = {}
    for line in moving:
        offer = offers.get(line.offer_id or 0)
        try:
            before, after = (book.find(PriceAsk(line.product, many[line.pk], offer)) for many in (former, new))
        except DomainError:  # the offer's tiers end before: who is priced by them hears it when priced
            continue
        is_the_catalogs = round_to(before.price, 8) == line.list_price
        taken = is_the_catalogs and _model_id(before, offer) == line.price_model_id
        if reached := _reached(after, before, offer, line, taken):
            found[line.pk] = reached
    return found


def _reached(
    after: PriceFound, before: PriceFound, offer: Offer | None, line: QuoteLine, taken: bool
) -> Reached | None:
    """``None`` where nothing changes, or a price model that the line has says it anyway."""
    model = offer.price_model if offer is not None and after.tier_model is not None else None
    by_its_model = line.price_model_id is not None and (not taken or _model_id(after, offer) == line.price_model_id)
    if by_its_model or after.price == before.price:
        return None
    price = f"{price_text(after.price)} ({after.source})"
    words = f"Price {price}" if taken else f"The price stays as it was set; the catalog's is {price}"
    return Reached(after.price, after.cost if line.unit_cost == before.cost else line.unit_cost, model, taken, words)


def _may_follow(line: QuoteLine) -> bool:
    """What is priced within its bundle has no price of its own."""
    return line.action in FROM_CATALOG and bool(line.list_price or line.price_model_id or not _in_bundle(line))


def _model_id(found: PriceFound, offer: Offer | None) -> int | None:
    return offer.price_model_id if offer is not None and found.tier_model is not None else None


def _in_bundle(line: QuoteLine) -> bool:
    return line.bundle_id is not None or line.product.product_class == ProductClass.BUNDLE


def _offers_of(lines: Iterable[QuoteLine]) -> dict[int, Offer]:
    wanted = {line.offer_id for line in lines if line.offer_id is not None}
    return Offer.objects.select_related("price_model").in_bulk(wanted) if wanted else {}


def reprice(version: QuoteVersion, lines: Sequence[QuoteLine], on: date) -> None:
    """Give lines the catalog's price and cost; of bundles and components what is priced with the bundle stays so.

    Raises:
        DomainError: ``invalid`` when a price model has no price for so many.
    """
    opportunity = version.quote.opportunity
    offers = _offers_of(lines)
    asks = [PriceAsk(line.product, line.quantity, offers.get(line.offer_id or 0)) for line in lines]
    found = prices_for(asks, company_id=opportunity.company_id if opportunity else None, on=on)
    for line, price in zip(lines, found, strict=True):
        if line.list_price or not _in_bundle(line):
            line.list_price = price.price
        if line.unit_cost or not _in_bundle(line):
            line.unit_cost = price.cost
        offer = offers.get(line.offer_id or 0)
        line.price_model = offer.price_model if offer and price.tier_model is not None and line.list_price else None


def ensure_on_offer(product: Product, offer: Offer | None, on: date, prefix: str) -> None:
    """Refuse an offer of another product, and one that is not on offer that day.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    if offer is None:
        return
    if offer.product_id != product.pk:
        raise DomainError("invalid", f"{offer} is no offer of {product}.", field=f"{prefix}offer_id")
    ended = offer.effective_to is not None and offer.effective_to < on
    if not offer.active or ended or (offer.effective_from is not None and offer.effective_from > on):
        raise DomainError(
            "invalid", f"{offer} is not on offer now.", field=f"{prefix}offer_id", hint="Choose another offer."
        )


def cycle_of(product: Product, offer: Offer | None) -> str:
    """How often something is billed: by its offer, else by the product."""
    return product.billing_cycle if offer is None else offer.billing_cycle or product.billing_cycle


def load_price_model(line: QuoteLine) -> None:
    """Give a line the price model that it names.

    Raises:
        DomainError: ``not_found``.
    """
    if line.price_model_id is not None:
        line.price_model = fetch(PriceModel, line.price_model_id, field="price_model_id")
