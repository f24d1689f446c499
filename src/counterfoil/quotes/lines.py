"""Lines of a draft: added from the catalog, changed, moved, removed. Prices follow at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from counterfoil.catalog.models import BundleComponent, Offer, Product, ProductClass
from counterfoil.catalog.prices import PriceAsk, PriceFound, prices_for
from counterfoil.catalog.queries import products_for_lines
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply
from counterfoil.platform.commands import command
from counterfoil.platform.copying import take_ids
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    plain_number,
)
from counterfoil.quotes.editing import finish, open_version, save_positions, save_selected
from counterfoil.quotes.joining import begin_on, first_share, joins
from counterfoil.quotes.line_prices import (
    cycle_of,
    ensure_on_offer,
    load_price_model,
)
from counterfoil.quotes.line_rules import billed_alike, check_line, check_together, ensure_addition, settle_choices
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteVersion, StartPolicy
from counterfoil.quotes.pricing import lines_of

SELLERS: Final = (Role.SALES,)
_NO_PRICE: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class NewQuoteLine:
    """A line as it is quoted; what is left empty comes from the offer, or from the product.

    Attributes:
        product_id: what is quoted; a bundle brings its components.
        quantity: in the product's unit.
        offer_id: how it is sold: term, billing cycle, price, cost.
        section_id: where it stands; ``after_id`` behind which line, empty: last.
        list_price: per unit and billing cycle, before discounts; of a bundle: for all that is in it.
        unit_cost: likewise.
        description: one line; ``customer_text`` stands beneath it.
        discount_kind: ``percent`` or ``amount``, with its ``discount_value``; an amount is off each billing cycle.
        price_model_id: a tier model instead of a unit price.
        term: ``year:1``, ``billing_cycle``: ``month:1``, ``cycles``: how many; empty is open-ended.
        is_usage: billed by what is used; the quantity is an estimate.
        start_policy: ``on_acceptance``, ``fixed_date``, ``on_delivery``, ``aligned``.
        start_date: first day billed; ``align_to``: the anniversary; ``proration``: how its first period is measured.
        optional: the customer may leave it; ``selected``: it counts until then.
        choice_group: of the lines of a group one is chosen.
        hidden: the customer does not see it.
        quantity_min: the customer may go down to; ``quantity_max``: up to.
        action: ``new``, or what it does to an ``addition_id``.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    offer_id: int | None = None
    section_id: int | None = None
    after_id: int | None = None
    list_price: Decimal | None = None
    unit_cost: Decimal | None = None
    description: str | None = None
    customer_text: str | None = None
    discount_kind: str = ""
    discount_value: Decimal = Decimal(0)
    price_model_id: int | None = None
    taxable: bool | None = None
    term: str | None = None
    billing_cycle: str | None = None
    cycles: int | None = None
    is_usage: bool = False
    start_policy: str = StartPolicy.ON_ACCEPTANCE
    start_date: date | None = None
    align_to: date | None = None
    proration: str = ""
    optional: bool = False
    selected: bool = True
    choice_group: str = ""
    hidden: bool = False
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None
    action: str = LineAction.NEW
    addition_id: int | None = None


#: Its short name, where no other new lines are about.
NewLine = NewQuoteLine


# -- added -------------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def add_version_lines(*, actor: Actor, version_id: int, lines: Sequence[NewQuoteLine], on: date) -> list[QuoteLine]:
    """Quote products on a draft; bundles come with their components.

    Args:
        actor: who.
        version_id: the draft.
        lines: what is quoted, in order.
        on: the day whose prices and offers hold.

    Returns:
        The lines named, without the components that came with them.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid``, ``required``, ``not_found``, with the field.
    """
    version = open_version(version_id)
    if not lines:
        raise DomainError("required", "Name at least one line.", field="lines")
    there = lines_of(version)
    made = _made(version, lines, on)
    every = [line for group in made for line in group]
    for line, key in zip(every, take_ids(QuoteLine, len(every)), strict=True):
        line.pk = key
    for group in made:
        for component in group[1:]:
            component.bundle_id = group[0].pk
            component.hidden = component.hidden and (not component.list_price or billed_alike(component, group[0]))
    arranged = _inserted(there, made, lines)
    for position, line in enumerate(arranged, start=1):
        line.position = position
    check_together(arranged)
    for line in every:  # a group that has its chosen line keeps it
        others = (one for one in there if one.choice_group == line.choice_group)
        if line.choice_group and any(one.selected for one in others):
            line.selected = False
    settled = settle_choices(arranged)
    new = {line.pk for line in every}
    found = {line.pk: first_share(version, line) for line in every if joins(version, line)}
    shares = {pk: share for pk, share in found.items() if share is not None}
    QuoteLine.objects.bulk_create(every)
    save_positions(line for line in arranged if line.pk not in new)
    save_selected(line for line in settled if line.pk not in new)
    said = ", ".join(
        f"{plain_number(group[0].quantity)} × {group[0].product.identifier} at {format_money(group[0].list_price)}"
        for group in made
    )
    finish(
        actor, version, "quotes.line.added", f"quoted {said}",
        lines=arranged, shares=shares, line_ids=[g[0].pk for g in made],
    )  # fmt: skip
    return [group[0] for group in made]


def _made(version: QuoteVersion, given: Sequence[NewQuoteLine], on: date) -> list[list[QuoteLine]]:
    """The lines, each with its components behind it; not saved yet."""
    products = products_for_lines(line.product_id for line in given)
    offers = _offers(given)
    components = _components(products)
    opportunity = version.quote.opportunity
    asks = []
    for line in given:
        asks.append(PriceAsk(products[line.product_id], line.quantity, offers.get(line.offer_id or 0)))
        for part in components.get(line.product_id, ()):
            asks.append(PriceAsk(part.product, _needed(part, line.quantity), part.offer))
    found = iter(prices_for(asks, company_id=opportunity.company_id if opportunity else None, on=on))
    sections = set(version.sections.values_list("pk", flat=True))
    made = []
    for index, line in enumerate(given):
        prefix = f"lines[{index}]."
        if line.section_id is not None and line.section_id not in sections:
            raise DomainError("not_found", f"{version} has no such section.", field=f"{prefix}section_id")
        product, offer = products[line.product_id], offers.get(line.offer_id or 0)
        ensure_on_offer(product, offer, on, prefix)
        quoted = _line(version, line, product, offer, next(found))
        if joins(version, quoted):
            begin_on(quoted, on)
        check_line(quoted, prefix)
        ensure_addition(version, quoted, prefix)
        parts = components.get(line.product_id, ())
        on_bundle = line.list_price is not None or not product.price_from_components
        if parts and not on_bundle:
            quoted.list_price = _NO_PRICE
        if parts and product.cost_from_components and line.unit_cost is None:
            quoted.unit_cost = _NO_PRICE
        group = [quoted]
        for part in parts:
            component = _component(quoted, part, next(found), priced=not on_bundle, costed=product.cost_from_components)
            check_line(component, prefix)
            group.append(component)
        made.append(group)
    return made


def _line(
    version: QuoteVersion, given: NewQuoteLine, product: Product, offer: Offer | None, found: PriceFound
) -> QuoteLine:
    model_id = given.price_model_id
    if model_id is None and given.list_price is None and found.tier_model is not None and offer is not None:
        model_id = offer.price_model_id
    cycle = given.billing_cycle if given.billing_cycle is not None else cycle_of(product, offer)
    line = QuoteLine(
        version=version,
        section_id=given.section_id,
        position=1,
        product=product,
        offer=offer,
        description=(product.description if given.description is None else given.description).strip(),
        customer_text=(product.customer_description if given.customer_text is None else given.customer_text).strip(),
        quantity=given.quantity,
        quantity_min=given.quantity_min,
        quantity_max=given.quantity_max,
        list_price=found.price if given.list_price is None else given.list_price,
        unit_cost=found.cost if given.unit_cost is None else given.unit_cost,
        discount_kind=given.discount_kind,
        discount_value=given.discount_value,
        price_model_id=model_id,
        taxable=product.taxable if given.taxable is None else given.taxable,
        term=(offer.term if offer else "") if given.term is None else given.term.strip(),
        billing_cycle=cycle.strip(),
        cycles=given.cycles,
        is_usage=given.is_usage,
        start_policy=given.start_policy,
        start_date=given.start_date,
        align_to=given.align_to,
        proration=given.proration,
        optional=given.optional,
        selected=given.selected,
        choice_group=given.choice_group.strip(),
        hidden=given.hidden,
        action=given.action,
        addition_id=given.addition_id,
    )
    line.unit_price = line.list_price
    load_price_model(line)
    return line


def _component(bundle: QuoteLine, part: BundleComponent, found: PriceFound, *, priced: bool, costed: bool) -> QuoteLine:
    """A component of a bundle: priced itself, or within the bundle's price."""
    product, offer = part.product, part.offer
    if product.product_class == ProductClass.BUNDLE:
        raise DomainError(
            "invalid", f"{bundle.product} contains the bundle {product}; bundles are not nested.", field="product_id"
        )
    own = found.price if part.unit_price is None else part.unit_price
    model_id = offer.price_model_id if priced and part.unit_price is None and offer and found.tier_model else None
    line = QuoteLine(
        version=bundle.version,
        section_id=bundle.section_id,
        position=1,
        product=product,
        offer=offer,
        description=product.description,
        customer_text=product.customer_description,
        quantity=_needed(part, bundle.quantity),
        list_price=own if priced else _NO_PRICE,
        unit_cost=found.cost if costed else _NO_PRICE,
        price_model_id=model_id,
        taxable=product.taxable,
        term=offer.term if offer else "",
        billing_cycle=cycle_of(product, offer),
        bundle_quantity=part.quantity,
        fixed_quantity=part.fixed_quantity,
        hidden=not part.shown,
    )
    line.unit_price = line.list_price
    return line


def _needed(part: BundleComponent, bundles: Decimal) -> Decimal:
    return part.quantity if part.fixed_quantity else multiply(part.quantity, bundles)


def _offers(given: Sequence[NewQuoteLine]) -> dict[int, Offer]:
    wanted = {line.offer_id for line in given if line.offer_id is not None}
    found = Offer.objects.select_related("price_model").in_bulk(wanted) if wanted else {}
    for index, line in enumerate(given):
        if line.offer_id is not None and line.offer_id not in found:
            raise DomainError(
                "not_found", f"There is no offer with the id {line.offer_id}.", field=f"lines[{index}].offer_id"
            )
    return found


def _components(products: Mapping[int, Product]) -> dict[int, list[BundleComponent]]:
    bundles = [pk for pk, product in products.items() if product.product_class == ProductClass.BUNDLE]
    found: dict[int, list[BundleComponent]] = {}
    if bundles:
        rows = BundleComponent.objects.filter(bundle__in=bundles).select_related("product", "offer__price_model")
        for row in rows:
            found.setdefault(row.bundle_id, []).append(row)
    return found


def _inserted(
    there: Sequence[QuoteLine], made: Sequence[list[QuoteLine]], given: Sequence[NewQuoteLine]
) -> list[QuoteLine]:
    """All lines in their order, the new ones behind those they name."""
    arranged = list(there)
    for group, line in zip(made, given, strict=True):
        at = len(arranged)
        if line.after_id is not None:
            before = [index for index, one in enumerate(arranged) if line.after_id in (one.pk, one.bundle_id)]
            if not before:
                raise DomainError("not_found", "The line to stand behind is not there.", field="after_id")
            at = before[-1] + 1
        arranged[at:at] = group
    return arranged
