"""What makes a line of a quote whole: which of its fields go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from counterfoil.catalog.models import ProductClass
from counterfoil.catalog.policies import cycle_code
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.terms import cycles_in, ensure_whole_cycles
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.quoting import Discount, Kind
from counterfoil.platform.records import check_fields, plain_number, refuse_negative, refuse_not_positive
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteVersion, StartPolicy


def check_line(line: QuoteLine, prefix: str = "") -> None:
    """Refuse a line whose fields contradict each other; codes are brought to their usual form.

    Raises:
        DomainError: ``invalid``, ``required``, with the field.
    """
    refuse_not_positive("quantity", line.quantity, prefix)
    refuse_negative({"list_price": line.list_price, "unit_cost": line.unit_cost}, prefix)
    _check_recurrence(line, prefix)
    _check_start(line, prefix)
    _check_choice(line, prefix)
    _check_bounds(line, prefix)
    Discount(cast(Kind, line.discount_kind), line.discount_value)
    if line.discount_kind == "" and line.discount_value:
        raise DomainError("required", "Is the discount in per cent, or an amount?", field=f"{prefix}discount_kind")
    if (line.action == LineAction.NEW) != (line.addition_id is None):
        raise DomainError(
            "required", "Name the addition that the line changes, cancels or renews; a new line names none.",
            field=f"{prefix}addition_id",
        )  # fmt: skip
    check_fields(line, prefix=prefix, relations=False)


def _check_recurrence(line: QuoteLine, prefix: str) -> None:
    product = line.product
    if product.product_class == ProductClass.AGREEMENT:
        line.billing_cycle = cycle_code(line.billing_cycle or product.billing_cycle, f"{prefix}billing_cycle")
        if line.term:
            line.term = cycle_code(line.term, f"{prefix}term")
            ensure_whole_cycles(line.term, line.billing_cycle)
    elif line.billing_cycle or line.cycles is not None or line.is_usage:
        raise DomainError(
            "invalid",
            f"{product.identifier} is of class {product.product_class}, sold once; only agreement products recur.",
            field=f"{prefix}billing_cycle",
            hint="Leave the recurrence empty, or quote an agreement product.",
        )
    if line.cycles is None or line.align_to is not None:
        return
    if line.cycles < 1:
        raise DomainError("invalid", "A line runs for at least one cycle.", field=f"{prefix}cycles")
    if line.term and line.cycles != cycles_in(line.term, line.billing_cycle):
        raise DomainError(
            "invalid", f"The term has {cycles_in(line.term, line.billing_cycle)} cycles, not {line.cycles}.",
            field=f"{prefix}cycles", hint="Leave the cycles empty: they follow from the term.",
        )  # fmt: skip


def _check_start(line: QuoteLine, prefix: str) -> None:
    if not line.billing_cycle and (line.start_date is not None or line.align_to is not None):
        raise DomainError("invalid", "What is sold once has no days it runs for.", field=f"{prefix}start_date")
    if line.start_date is not None and line.start_policy == StartPolicy.ON_ACCEPTANCE:
        line.start_policy = StartPolicy.FIXED_DATE
    if line.align_to is not None and line.start_policy == StartPolicy.ON_ACCEPTANCE:
        line.start_policy = StartPolicy.ALIGNED
    if line.start_policy == StartPolicy.FIXED_DATE and line.start_date is None:
        raise DomainError("required", "On which date does it begin?", field=f"{prefix}start_date")
    if line.start_policy == StartPolicy.ALIGNED and line.align_to is None:
        raise DomainError("required", "With which anniversary does it end?", field=f"{prefix}align_to")
    if line.start_date is not None and line.align_to is not None and line.align_to <= line.start_date:
        raise DomainError(
            "invalid", f"It begins on {format_date(line.start_date)}; its anniversary comes after that.",
            field=f"{prefix}align_to",
        )  # fmt: skip
    aligned = line.align_to is not None and line.action == LineAction.NEW
    rule = line.offer.commitment_rule if aligned and line.offer is not None else None
    if rule is not None and not rule.may_coterm:
        raise DomainError(
            "invalid", "Its commitment rule does not allow a co-term.", field=f"{prefix}align_to",
            hint="Let it run for its own term, or choose an offer whose rule allows it.",
        )  # fmt: skip
    if line.proration and line.proration not in list(ProrationMethod):
        raise DomainError("invalid", f"There is no proration method {line.proration}.", field=f"{prefix}proration")


def _check_choice(line: QuoteLine, prefix: str) -> None:
    if line.optional and line.choice_group:
        raise DomainError(
            "invalid", "Of a choice group one line is taken: none of them is optional besides.",
            field=f"{prefix}optional",
        )  # fmt: skip
    if line.bundle_id is not None and (line.optional or line.choice_group):
        raise DomainError("invalid", "A component is taken with its bundle.", field=f"{prefix}optional")
    if line.hidden and (line.optional or line.choice_group or _is_open(line)):
        raise DomainError("invalid", "What the customer may choose cannot be hidden.", field=f"{prefix}hidden")


def _check_bounds(line: QuoteLine, prefix: str) -> None:
    if not _is_open(line):
        return
    if line.bundle_id is not None:
        raise DomainError(
            "invalid", "The quantity of a component follows from its bundle's.", field=f"{prefix}quantity_min"
        )
    low = line.quantity if line.quantity_min is None else line.quantity_min
    high = line.quantity if line.quantity_max is None else line.quantity_max
    refuse_not_positive("quantity_min", low, prefix)
    if not low <= line.quantity <= high:
        raise DomainError(
            "invalid",
            f"The quantity is {plain_number(line.quantity)}; the customer may change it from at most that"
            " to at least that.",
            field=f"{prefix}quantity_min" if low > line.quantity else f"{prefix}quantity_max",
        )


def _is_open(line: QuoteLine) -> bool:
    return line.quantity_min is not None or line.quantity_max is not None


def check_together(lines: Iterable[QuoteLine]) -> None:
    """Refuse hidden lines whose price nobody would see, and components of what is no bundle of the version.

    Raises:
        DomainError: ``invalid``.
    """
    rows = list(lines)
    by_key = {line.pk: line for line in rows}
    for line in rows:
        bundle = None if line.bundle_id is None else by_key.get(line.bundle_id)
        if line.bundle_id is not None and (bundle is None or bundle.bundle_id is not None or bundle.hidden):
            raise DomainError("invalid", f"“{line}” is a component of no bundle of this version.", field="bundle_id")
        priced = line.list_price or line.price_model_id
        if line.hidden and priced and (bundle is None or not billed_alike(line, bundle)):
            raise DomainError(
                "invalid",
                f"“{line}” is hidden and has a price of its own, which no line that is shown could carry.",
                field="hidden",
                hint="Show it, set its price to zero, or put it into a bundle that is billed as often.",
            )


def billed_alike(line: QuoteLine, bundle: QuoteLine) -> bool:
    """Whether the price of a component can stand in its bundle's."""
    return (line.billing_cycle, line.term, line.cycles, line.is_usage, line.align_to) == (
        bundle.billing_cycle, bundle.term, bundle.cycles, bundle.is_usage, bundle.align_to,
    )  # fmt: skip


def settle_choices(lines: Sequence[QuoteLine], chosen: QuoteLine | None = None) -> list[QuoteLine]:
    """Bring selections in order: what is neither optional nor in a group is taken, of a group exactly one line.

    Args:
        lines: all of a version.
        chosen: whoever was selected last wins its group.

    Returns:
        The lines that changed.
    """
    changed = []
    taken: dict[str, int] = {}
    if chosen is not None and chosen.choice_group and chosen.selected:
        taken[chosen.choice_group] = chosen.pk
    for line in lines:
        if line.choice_group and line.selected:
            taken.setdefault(line.choice_group, line.pk)
    for line in lines:
        if line.choice_group:
            wanted = taken.setdefault(line.choice_group, line.pk) == line.pk
        else:
            wanted = line.selected if line.optional else True
        if line.selected != wanted:
            line.selected = wanted
            changed.append(line)
    return changed


def ensure_addition(version: QuoteVersion, line: QuoteLine, prefix: str = "") -> None:
    """Refuse an addition that the customer does not have (a higher context's record, known by its key alone).

    Raises:
        DomainError: ``not_found``; ``invalid`` for a line of another product.
    """
    if line.addition_id is None:
        return
    opportunity = version.quote.opportunity
    rows = cast(Any, QuoteLine._meta.get_field("addition")).related_model.objects.filter(pk=line.addition_id)
    found: Mapping[str, Any] | None = rows.values("product_id", "quantity", "agreement__company_id").first()
    if opportunity is None or found is None or found["agreement__company_id"] != opportunity.company_id:
        raise DomainError(
            "not_found", f"The customer has no addition with the id {line.addition_id}.", field=f"{prefix}addition_id"
        )
    if found["product_id"] != line.product_id and line.action != LineAction.RENEW:
        raise DomainError(
            "invalid", f"That addition is of another product than {line.product}.", field=f"{prefix}addition_id",
            hint="Cancel it with one line and quote the other product with another.",
        )  # fmt: skip
    if line.action == LineAction.DECREASE and line.quantity > found["quantity"]:
        raise DomainError(
            "invalid", f"There are {plain_number(found['quantity'])} to take away from.", field=f"{prefix}quantity"
        )
