"""Lines of a draft changed, moved and removed; prices follow at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from counterfoil.catalog.models import Offer
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.copying import update_rows
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing
from counterfoil.platform.records import (
    UNSET,
    Changes,
    Unset,
    change,
    changes_in_words,
    fetch,
    plain_number,
)
from counterfoil.quotes.editing import finish, open_version, save_selected
from counterfoil.quotes.joining import begin_on, first_period, first_share, joins
from counterfoil.quotes.line_prices import (
    FROM_CATALOG,
    Reached,
    breaks_reached,
    component_quantity,
    cycle_of,
    ensure_on_offer,
    load_price_model,
    quantities_with,
    reprice,
)
from counterfoil.quotes.line_rules import check_line, check_together, settle_choices
from counterfoil.quotes.models import QuoteLine, QuoteVersion, StartPolicy
from counterfoil.quotes.pricing import lines_of, share_of
from counterfoil.quotes.seen import SeenLine, ensure_as_seen

SELLERS: Final = (Role.SALES,)


@dataclass(frozen=True, slots=True)
class Moved:
    """A line that is to stand in a section; in none without a ``section_id``."""

    line_id: int
    section_id: int | None = None


# -- changed -----------------------------------------------------------------------------------------------------------


@command(roles=SELLERS)
def update_version_line(
    *,
    actor: Actor,
    line_id: int,
    on: date,
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
    seen: SeenLine | None = None,
) -> QuoteLine:
    """Change what is given of a line of a draft; all prices that follow from it change with it.

    A price that is the catalog's for the quantity so far becomes that of the break that a new quantity reaches; one
    that was set by hand stays. A line that joins an agreement begins within one of its periods.

    Args:
        actor: who.
        line_id: of a draft.
        on: the day whose prices hold, and on which a line begins that ends with an anniversary and has no first day.
        **others: as :class:`NewQuoteLine`; ``bundle_quantity`` of a component: how many for each bundle, or in all
            when that is ``fixed_quantity``.
        seen: values as they were seen a while ago: what others have changed since is not overwritten.

    Raises:
        DomainError: ``conflict`` for what is another than was seen; ``quote_is_sent``; ``invalid``, ``required``,
            ``not_found``, with the field.
    """
    version, lines, line = _open_line(line_id)
    given: dict[str, Any] = {
        "section_id": section_id,
        "description": description,
        "customer_text": customer_text,
        "quantity": quantity,
        "quantity_min": quantity_min,
        "quantity_max": quantity_max,
        "list_price": list_price,
        "unit_cost": unit_cost,
        "discount_kind": discount_kind,
        "discount_value": discount_value,
        "price_model_id": price_model_id,
        "taxable": taxable,
        "term": term,
        "billing_cycle": billing_cycle,
        "cycles": cycles,
        "is_usage": is_usage,
        "start_policy": start_policy,
        "start_date": start_date,
        "align_to": align_to,
        "proration": proration,
        "optional": optional,
        "selected": selected,
        "choice_group": choice_group,
        "bundle_quantity": bundle_quantity,
        "fixed_quantity": fixed_quantity,
        "hidden": hidden,
    }
    given = {name: value for name, value in given.items() if value is not UNSET}
    ensure_as_seen(line, seen, given)
    return _change_line(actor, version, lines, line, given, on)


def _change_line(
    actor: Actor, version: QuoteVersion, lines: Sequence[QuoteLine], line: QuoteLine, given: dict[str, Any], on: date
) -> QuoteLine:
    """Set what is given of a line, by field, and all that follows from it."""
    share, former = share_of(line), {one.pk: one.quantity for one in lines}
    if line.bundle_id is not None and given.get("quantity", line.quantity) != line.quantity:
        raise DomainError(
            "invalid", "The quantity of a component follows from its bundle's.", field="quantity",
            hint="Change the quantity of the bundle, or how many there are for each.",
        )  # fmt: skip
    if given.get("start_date") is not None:
        given.setdefault("start_policy", StartPolicy.FIXED_DATE)
    elif given.get("start_policy", StartPolicy.FIXED_DATE) != StartPolicy.FIXED_DATE:
        given["start_date"] = None
    changes = change(line, **given)
    if "section_id" in changes:
        _ensure_section(version, line.section_id)
    if "price_model_id" in changes:
        load_price_model(line)
    if line.bundle_id is None and line.bundle_quantity is not None:
        raise DomainError("invalid", "Only components are counted by the bundle.", field="bundle_quantity")
    if line.bundle_quantity is not None and line.bundle_quantity <= 0:
        raise DomainError("invalid", "The quantity for each bundle must be above zero.", field="bundle_quantity")
    if joins(version, line) and changes.keys() & _OF_ALIGNMENT:
        begin_on(line, on)
    if "align_to" in changes and line.align_to is None:  # what followed from it goes with it
        share, line.first_amount, line.explanation = None, None, ""
        line.cycles = given.get("cycles")
    check_line(line)
    reached: dict[int, Reached] = {}
    if changes.keys() & _OF_QUANTITY and not given.keys() & _PRICES:
        reached = breaks_reached(version, lines, former, _quantities(lines, line), on)
        _take_breaks(lines, reached, line, changes)
    _move_components(lines, line, changes)
    save_selected(one for one in settle_choices(lines, line) if one is not line)
    check_together(lines)
    if not changes:
        audit.record_nothing()
        return line
    said = f"changed {line.product}: {changes_in_words(changes)}"
    if joins(version, line):
        share = first_share(version, line, share)
    finish(
        actor, version, "quotes.line.changed", "; ".join([said, *(one.words for one in reached.values())]),
        lines=lines, shares={} if share is None else {line.pk: share}, unsaved=line, line_id=line.pk,
        notes={pk: one.words for pk, one in reached.items()},
    )  # fmt: skip
    if joins(version, line):
        _explain_anew(version, line)
    return line


#: What the beginning of a line that joins an agreement follows from.
_OF_ALIGNMENT: Final = frozenset({"align_to", "start_date", "start_policy", "billing_cycle"})
#: Whoever sets one of these has set the price by hand.
_PRICES: Final = frozenset({"list_price", "price_model_id"})
_OF_QUANTITY: Final = frozenset({"quantity", "bundle_quantity", "fixed_quantity"})


def _quantities(lines: Sequence[QuoteLine], changed: QuoteLine) -> dict[int, Decimal]:
    """What the changed line and, of a bundle, its components come to."""
    if changed.bundle_id is None:
        return quantities_with(lines, {changed.pk: changed.quantity})
    bundle = next(line for line in lines if line.pk == changed.bundle_id)
    return {changed.pk: component_quantity(changed, bundle.quantity)}


def _take_breaks(
    lines: Sequence[QuoteLine], reached: Mapping[int, Reached], changed: QuoteLine, changes: Changes
) -> None:
    """Set the prices that follow; those of components are written at once, the changed line is saved with its own."""
    rows = []
    for line in lines:
        if line.pk not in reached or not reached[line.pk].taken:
            continue
        price = reached[line.pk]
        if line is changed:
            changes["list_price"] = (line.list_price, price.price)
        line.list_price, line.unit_cost, line.price_model = price.price, price.cost, price.model
        if line is not changed:
            rows.append((line.pk, line.list_price, line.unit_cost, line.price_model_id))
    if rows:
        update_rows(QuoteLine, ["list_price", "unit_cost", "price_model"], rows)


def _explain_anew(version: QuoteVersion, line: QuoteLine) -> None:
    """The explanation names the price, which has been found meanwhile."""
    found = first_period(version, line)
    if found is not None and found.explanation != line.explanation:
        line.explanation = found.explanation
        line.save(update_fields=["explanation"])


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
    ensure_on_offer(line.product, offer, on, "")
    former = line.offer
    line.offer, line.term, line.cycles = offer, offer.term, None
    line.billing_cycle = cycle_of(line.product, offer)
    reprice(version, [line], on)
    check_line(line)
    check_together(lines)
    said = f"quoted {line.product} as {offer}" + (f" instead of {former}" if former else "")
    finish(actor, version, "quotes.line.changed", said, lines=lines, unsaved=line, line_id=line.pk)
    return line


@command(roles=SELLERS)
def reprice_version(*, actor: Actor, version_id: int, on: date) -> QuoteVersion:
    """Take the catalog's prices and costs of a day for all lines; discounts stay.

    Raises:
        DomainError: ``quote_is_sent``; ``invalid`` when a price model has no price for so many.
    """
    version = open_version(version_id)
    lines = lines_of(version)
    reprice(version, [line for line in lines if line.action in FROM_CATALOG], on)
    update_rows(
        QuoteLine,
        ["list_price", "unit_cost", "price_model"],
        [(line.pk, line.list_price, line.unit_cost, line.price_model_id) for line in lines],
    )
    check_together(lines)
    finish(actor, version, "quotes.version.repriced", "took the catalog's prices", lines=lines)
    return version


def _open_line(line_id: int) -> tuple[QuoteVersion, list[QuoteLine], QuoteLine]:
    """A line of a draft with its version, held, and all the lines beside it."""
    found = existing(QuoteLine.objects.select_related("version").only("version__quote_id"), line_id, "line_id")
    if found.version is None:
        raise DomainError("wrong_state", f"“{found}” stands on an opportunity, on no quote.", field="line_id")
    version = open_version(found.version.pk, found.version.quote_id)
    lines = lines_of(version)
    line = next((one for one in lines if one.pk == line_id), None)
    if line is None:  # removed meanwhile
        raise DomainError("not_found", f"There is no quote line with the id {line_id}.", field="line_id")
    return version, lines, line


def _ensure_section(version: QuoteVersion, section_id: int | None) -> None:
    if section_id is not None and not version.sections.filter(pk=section_id).exists():
        raise DomainError("not_found", f"{version} has no section with the id {section_id}.", field="section_id")


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
    save_selected(settle_choices(left))
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
