"""Lines of a draft: added from the catalog, changed, moved, removed. Prices follow at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from counterfoil.catalog.models import BundleComponent, Offer, PriceModel, Product, ProductClass
from counterfoil.catalog.prices import PriceAsk, PriceFound, prices_for
from counterfoil.catalog.queries import products_for_lines
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.copying import take_ids, update_rows
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    changes_in_words,
    fetch,
    plain_number,
)
from counterfoil.quotes.editing import finish, open_version
from counterfoil.quotes.line_rules import billed_alike, check_line, check_together, ensure_addition, settle_choices
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteVersion, StartPolicy
from counterfoil.quotes.pricing import lines_of, share_of

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


@dataclass(frozen=True, slots=True)
class Moved:
    """A line that is to stand in a section; in none without a ``section_id``."""

    line_id: int
    section_id: int | None = None


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
    QuoteLine.objects.bulk_create(every)
    _save_positions(line for line in arranged if line.pk not in new)
    _save_selected(line for line in settled if line.pk not in new)
    said = ", ".join(
        f"{plain_number(group[0].quantity)} × {group[0].product.identifier} at {format_money(group[0].list_price)}"
        for group in made
    )
    finish(actor, version, "quotes.line.added", f"quoted {said}", lines=arranged, line_ids=[g[0].pk for g in made])
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
        _ensure_offer(product, offer, on, prefix)
        quoted = _line(version, line, product, offer, next(found))
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
    cycle = given.billing_cycle if given.billing_cycle is not None else _cycle_of(product, offer)
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
    _ensure_price_model(line)
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
        billing_cycle=_cycle_of(product, offer),
        bundle_quantity=part.quantity,
        fixed_quantity=part.fixed_quantity,
        hidden=not part.shown,
    )
    line.unit_price = line.list_price
    return line


def _needed(part: BundleComponent, bundles: Decimal) -> Decimal:
    return part.quantity if part.fixed_quantity else multiply(part.quantity, bundles)


def _cycle_of(product: Product, offer: Offer | None) -> str:
    return product.billing_cycle if offer is None else offer.billing_cycle or product.billing_cycle


def _offers(given: Sequence[NewQuoteLine]) -> dict[int, Offer]:
    wanted = {line.offer_id for line in given if line.offer_id is not None}
    found = Offer.objects.select_related("price_model").in_bulk(wanted) if wanted else {}
    for index, line in enumerate(given):
        if line.offer_id is not None and line.offer_id not in found:
            raise DomainError(
                "not_found", f"There is no offer with the id {line.offer_id}.", field=f"lines[{index}].offer_id"
            )
    return found


def _ensure_offer(product: Product, offer: Offer | None, on: date, prefix: str) -> None:
    if offer is None:
        return
    if offer.product_id != product.pk:
        raise DomainError("invalid", f"{offer} is no offer of {product}.", field=f"{prefix}offer_id")
    ended = offer.effective_to is not None and offer.effective_to < on
    if not offer.active or ended or (offer.effective_from is not None and offer.effective_from > on):
        raise DomainError(
            "invalid", f"{offer} is not on offer now.", field=f"{prefix}offer_id", hint="Choose another offer."
        )


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


# -- changed -----------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def update_version_line(
    *,
    actor: Actor,
    line_id: int,
    section_id: int | Unset | None = UNSET,
    description: str | Unset = UNSET,
    customer_text: str | Unset = UNSET,
    quantity: Decimal | Unset = UNSET,
    quantity_min: Decimal | Unset | None = UNSET,
    quantity_max: Decimal | Unset | None = UNSET,
    list_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    discount_kind: str | Unset = UNSET,
    discount_value: Decimal | Unset = UNSET,
    price_model_id: int | Unset | None = UNSET,
    taxable: bool | Unset = UNSET,
    term: str | Unset = UNSET,
    billing_cycle: str | Unset = UNSET,
    cycles: int | Unset | None = UNSET,
    is_usage: bool | Unset = UNSET,
    start_policy: str | Unset = UNSET,
    start_date: date | Unset | None = UNSET,
    align_to: date | Unset | None = UNSET,
    proration: str | Unset = UNSET,
    optional: bool | Unset = UNSET,
    selected: bool | Unset = UNSET,
    choice_group: str | Unset = UNSET,
    bundle_quantity: Decimal | Unset = UNSET,
    fixed_quantity: bool | Unset = UNSET,
    hidden: bool | Unset = UNSET,
) -> QuoteLine:
    """Change what is given of a line of a draft; all prices that follow from it change with it.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid``, ``required``, ``not_found``, with the field.
    """
    version, lines, line = _open_line(line_id)
    share = share_of(line)
    if line.bundle_id is not None and quantity is not UNSET and quantity != line.quantity:
        raise DomainError(
            "invalid", "The quantity of a component follows from its bundle's.", field="quantity",
            hint="Change the quantity of the bundle, or how many there are for each.",
        )  # fmt: skip
    if isinstance(start_date, date) and start_policy is UNSET:
        start_policy = StartPolicy.FIXED_DATE
    if start_policy is not UNSET and start_policy != StartPolicy.FIXED_DATE and start_date is UNSET:
        start_date = None
    changes = change(
        line,
        section_id=section_id,
        description=description,
        customer_text=customer_text,
        quantity=quantity,
        quantity_min=quantity_min,
        quantity_max=quantity_max,
        list_price=list_price,
        unit_cost=unit_cost,
        discount_kind=discount_kind,
        discount_value=discount_value,
        price_model_id=price_model_id,
        taxable=taxable,
        term=term,
        billing_cycle=billing_cycle,
        cycles=cycles,
        is_usage=is_usage,
        start_policy=start_policy,
        start_date=start_date,
        align_to=align_to,
        proration=proration,
        optional=optional,
        selected=selected,
        choice_group=choice_group,
        bundle_quantity=bundle_quantity,
        fixed_quantity=fixed_quantity,
        hidden=hidden,
    )
    _ensure_section(version, line.section_id)
    _ensure_price_model(line)
    if line.bundle_id is None and line.bundle_quantity is not None:
        raise DomainError("invalid", "Only components are counted by the bundle.", field="bundle_quantity")
    if line.bundle_quantity is not None and line.bundle_quantity <= 0:
        raise DomainError("invalid", "The quantity for each bundle must be above zero.", field="bundle_quantity")
    check_line(line)
    _move_components(lines, line, changes)
    line.save()
    _save_selected(one for one in settle_choices(lines, line) if one is not line)
    if changes.keys() & {"selected", "optional", "choice_group"}:
        line.save(update_fields=["selected"])
    check_together(lines)
    said = f"changed {line.product}: {changes_in_words(changes)}"
    if changes:
        shares = {line.pk: share} if share is not None else None
        finish(actor, version, "quotes.line.changed", said, lines=lines, shares=shares, line_id=line.pk)
    else:
        audit.record(actor, "quotes.line.changed", f"{said} on {version}", version.quote, line_id=line.pk)
    return line


def _move_components(lines: Sequence[QuoteLine], line: QuoteLine, changes: Mapping[str, object]) -> None:
    """Components stand in the section of their bundle."""
    if "section_id" not in changes:
        return
    if line.bundle_id is not None:
        raise DomainError("invalid", "A component stands with its bundle.", field="section_id")
    moved = [one for one in lines if one.bundle_id == line.pk]
    for one in moved:
        one.section_id = line.section_id
    if moved:
        update_rows(QuoteLine, ["section"], [(one.pk, one.section_id) for one in moved])


@command(roles=SELLERS)
def choose_offer(*, actor: Actor, line_id: int, offer_id: int, on: date) -> QuoteLine:
    """Quote another offer of the same product: its term, billing cycle, price and cost.

    Raises:
        DomainError: ``quote_is_sent``; ``not_found``; ``invalid`` for an offer of another product, or not on offer.
    """
    version, lines, line = _open_line(line_id)
    offer = fetch(Offer, offer_id, field="offer_id")
    _ensure_offer(line.product, offer, on, "")
    former = line.offer
    line.offer, line.term, line.cycles = offer, offer.term, None
    line.billing_cycle = _cycle_of(line.product, offer)
    _reprice(version, [line], on)
    check_line(line)
    line.save()
    check_together(lines)
    said = f"quoted {line.product} as {offer}" + (f" instead of {former}" if former else "")
    finish(actor, version, "quotes.line.changed", said, lines=lines, line_id=line.pk)
    return line


@command(roles=SELLERS)
def reprice_version(*, actor: Actor, version_id: int, on: date) -> QuoteVersion:
    """Take the catalog's prices and costs of a day for all lines; discounts stay.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid`` when a price model has no price for so many.
    """
    version = open_version(version_id)
    lines = lines_of(version)
    _reprice(version, [line for line in lines if line.action in (LineAction.NEW, LineAction.RENEW)], on)
    update_rows(
        QuoteLine,
        ["list_price", "unit_cost", "price_model"],
        [(line.pk, line.list_price, line.unit_cost, line.price_model_id) for line in lines],
    )
    check_together(lines)
    finish(actor, version, "quotes.version.repriced", "took the catalog's prices", lines=lines)
    return version


def _reprice(version: QuoteVersion, lines: Sequence[QuoteLine], on: date) -> None:
    """The catalog's price and cost; of bundles and components what is priced with the bundle stays so."""
    opportunity = version.quote.opportunity
    offers = Offer.objects.select_related("price_model").in_bulk({line.offer_id for line in lines if line.offer_id})
    asks = [PriceAsk(line.product, line.quantity, offers.get(line.offer_id or 0)) for line in lines]
    found = prices_for(asks, company_id=opportunity.company_id if opportunity else None, on=on)
    for line, price in zip(lines, found, strict=True):
        in_bundle = line.bundle_id is not None or line.product.product_class == ProductClass.BUNDLE
        if line.list_price or not in_bundle:
            line.list_price = price.price
        if line.unit_cost or not in_bundle:
            line.unit_cost = price.cost
        offer = offers.get(line.offer_id or 0)
        line.price_model = offer.price_model if offer and price.tier_model is not None and line.list_price else None


def _open_line(line_id: int) -> tuple[QuoteVersion, list[QuoteLine], QuoteLine]:
    """A line of a draft with its version, held, and all the lines beside it."""
    found = fetch(QuoteLine, line_id, field="line_id")
    if found.version_id is None:
        raise DomainError("wrong_state", f"“{found}” stands on an opportunity, on no quote.", field="line_id")
    version = open_version(found.version_id)
    lines = lines_of(version)
    line = next((one for one in lines if one.pk == line_id), None)
    if line is None:  # removed meanwhile
        raise DomainError("not_found", f"There is no quote line with the id {line_id}.", field="line_id")
    return version, lines, line


def _ensure_section(version: QuoteVersion, section_id: int | None) -> None:
    if section_id is not None and not version.sections.filter(pk=section_id).exists():
        raise DomainError("not_found", f"{version} has no section with the id {section_id}.", field="section_id")


def _ensure_price_model(line: QuoteLine) -> None:
    if line.price_model_id is not None:
        line.price_model = fetch(PriceModel, line.price_model_id, field="price_model_id")


# -- removed and moved -------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def remove_version_line(*, actor: Actor, line_id: int) -> None:
    """Take a line off a draft, a bundle with its components.

    Raises:
        DomainError: ``quote_is_sent``; ``not_found``.
    """
    version, lines, line = _open_line(line_id)
    left = [one for one in lines if line_id not in (one.pk, one.bundle_id)]
    said = f"took {plain_number(line.quantity)} × {line.product} off"
    gone = [one.pk for one in lines if line_id in (one.pk, one.bundle_id)]
    QuoteLine.objects.filter(pk__in=gone).delete()
    _save_selected(settle_choices(left))
    finish(actor, version, "quotes.line.removed", said, lines=left)


@command(roles=SELLERS)
def reorder_version_lines(
    *, actor: Actor, version_id: int, line_ids: Sequence[int], moved: Sequence[Moved] = ()
) -> QuoteVersion:
    """Put the lines of a draft in another order, and some of them into another section.

    Args:
        actor: who.
        version_id: the draft.
        line_ids: every line once, in the order they are to stand.
        moved: lines that go to another section; components go with their bundle.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid`` unless every line is named once; ``not_found``.
    """
    version = open_version(version_id)
    lines = {line.pk: line for line in lines_of(version)}
    if sorted(line_ids) != sorted(lines):
        raise DomainError("invalid", "Name every line of the version once.", field="line_ids")
    known = {None, *version.sections.values_list("pk", flat=True)}
    for one in moved:
        if one.line_id not in lines or one.section_id not in known:
            raise DomainError("not_found", f"{version} has no such line or section.", field="moved")
        lines[one.line_id].section_id = one.section_id
    arranged = [lines[line_id] for line_id in line_ids]
    for line in arranged:
        if line.bundle_id is not None:
            line.section_id = lines[line.bundle_id].section_id
    rows = [(line.pk, place, line.section_id) for place, line in enumerate(arranged, start=1)]
    update_rows(QuoteLine, ["position", "section"], rows)
    for place, line in enumerate(arranged, start=1):
        line.position = place
    finish(actor, version, "quotes.lines.reordered", "put the lines in another order", lines=arranged)
    return version


def _save_positions(lines: Iterable[QuoteLine]) -> None:
    rows = [(line.pk, line.position) for line in lines]
    if rows:
        update_rows(QuoteLine, ["position"], rows)


def _save_selected(lines: Iterable[QuoteLine]) -> None:
    rows = [(line.pk, line.selected) for line in lines]
    if rows:
        update_rows(QuoteLine, ["selected"], rows)
