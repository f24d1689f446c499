"""What people do with commitment rules; those of Microsoft and Adobe are put there by the setup and can be changed.

Sources of the rules that are installed: Microsoft's documentation of new-commerce subscriptions (cancellation within
seven days of purchase or renewal, with a prorated refund; seats go down only then) and its notice of 5 % more for
annual terms billed monthly from 1 April 2025; for perpetual software 30 days with a full refund, for SaaS of the
marketplace 72 hours; Adobe's VIP guide (licences are returned within 14 days, or end the day before the anniversary).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from counterfoil.catalog import policies
from counterfoil.catalog.models import CommitmentRule, Refund, SeatsDown, Uplift
from counterfoil.catalog.offers import SELLING
from counterfoil.core.bills import quantity_text
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.terms import term_words
from counterfoil.core.pricing.uplift import UpliftRow
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    check_fields,
    fetch,
    record_changes,
    save_checked,
)

refuse_as("catalog_commitmentrule_name_key", "duplicate", "There is a commitment rule of that name already.")
refuse_as("uplift_once", "duplicate", "There is an uplift for that term, billing and day already.")


@dataclass(frozen=True, slots=True)
class UpliftInput:
    """A way of buying, and how many per cent more than the base price it costs.

    Attributes:
        term: ``month:1``, ``year:1``, ``year:3``.
        billing_cycle: ``month:1``; the term itself is prepaid.
        percent: 5 is 5 % more, 0 the base price, -10 is 10 % less.
        effective_from: first day; empty: always.
    """

    term: str
    billing_cycle: str
    percent: Decimal = Decimal(0)
    effective_from: date | None = None


MICROSOFT: Final = "Microsoft new commerce"
_APRIL_2025: Final = date(2025, 4, 1)

#: What the setup installs: the fields of each rule and its uplifts.
USUAL_RULES: Final[tuple[tuple[dict[str, Any], tuple[UpliftInput, ...]], ...]] = (
    (
        {
            "name": MICROSOFT,
            "description": "Licences by the seat. Seats can be added at any time and run to the end of the term; each"
            " addition may be given back within 168 hours. Afterwards the whole term is owed.",
            "cancellation_hours": 168,
            "refund": Refund.PRORATED,
            "seats_down": SeatsDown.WINDOW,
            "may_coterm": True,
            "notice_days": 1,
        },
        (
            UpliftInput("year:1", "year:1"),
            UpliftInput("year:1", "month:1"),
            UpliftInput("year:1", "month:1", Decimal(5), _APRIL_2025),
            UpliftInput("year:3", "year:3"),
            UpliftInput("year:3", "year:1"),
            UpliftInput("year:3", "month:1"),
            UpliftInput("month:1", "month:1", Decimal(20)),
        ),
    ),
    (
        {
            "name": "Microsoft perpetual software",
            "description": "Bought once. It may be returned within 30 days for everything that was paid.",
            "cancellation_hours": 30 * 24,
            "refund": Refund.FULL,
            "seats_down": SeatsDown.WINDOW,
            "may_coterm": False,
            "notice_days": 0,
        },
        (),
    ),
    (
        {
            "name": "Microsoft marketplace SaaS",
            "description": "SaaS of other publishers. It may be cancelled within 72 hours of purchase or renewal.",
            "cancellation_hours": 72,
            "refund": Refund.FULL,
            "seats_down": SeatsDown.WINDOW,
            "may_coterm": False,
            "notice_days": 1,
        },
        (),
    ),
    (
        {
            "name": "Adobe VIP",
            "description": "Licences end the day before the anniversary, twelve months after the first order, and are"
            " priced by whole months until then. Returns within 14 days of the order; else fewer at the anniversary.",
            "cancellation_hours": 14 * 24,
            "refund": Refund.FULL,
            "seats_down": SeatsDown.WINDOW,
            "may_coterm": True,
            "notice_days": 1,
        },
        (UpliftInput("year:1", "year:1"),),
    ),
)


@command(roles=SELLING)
def install_commitment_rules(*, actor: Actor) -> list[CommitmentRule]:
    """Add the usual commitment rules, those of Microsoft and Adobe. A rule that is there already stays as it is.

    Returns:
        The rules that were added.
    """
    there = set(CommitmentRule.objects.values_list("name", flat=True))
    made = []
    for fields, uplifts in USUAL_RULES:
        if fields["name"] not in there:
            rule = CommitmentRule.objects.create(**fields)
            _write_uplifts(rule, uplifts)
            made.append(rule)
    names = ", ".join(rule.name for rule in made) or "none, all are there"
    audit.record(actor, "catalog.commitment_rules.installed", f"added the usual commitment rules: {names}")
    return made


@command(roles=SELLING)
def create_commitment_rule(
    *,
    actor: Actor,
    name: str,
    description: str = "",
    cancellation_hours: int = 168,
    refund: Refund = Refund.PRORATED,
    seats_down: SeatsDown = SeatsDown.WINDOW,
    may_coterm: bool = True,
    notice_days: int = 1,
    uplifts: Sequence[UpliftInput] = (),
) -> CommitmentRule:
    """Add a rule of what a vendor's term binds to.

    Args:
        actor: who adds it.
        name: what it is called.
        description: in words.
        cancellation_hours: so long after a purchase or renewal it may be cancelled; 0: never.
        refund: what is given back then: the days that are left, everything, or nothing.
        seats_down: when the quantity may go down.
        may_coterm: whether its end can be aligned to another's.
        notice_days: changes to a renewal are made so many days before.
        uplifts: what each term and billing costs more than the base price; 0 % for the base itself.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``, with the field.
    """
    rule = CommitmentRule(
        name=name.strip(),
        description=description.strip(),
        cancellation_hours=cancellation_hours,
        refund=Refund(refund),
        seats_down=SeatsDown(seats_down),
        may_coterm=may_coterm,
        notice_days=notice_days,
    )
    _save_rule(rule)
    _write_uplifts(rule, uplifts)
    audit.record(
        actor, "catalog.commitment_rule.created", f"added the commitment rule {rule.name}: {_in_words(rule)}", rule
    )
    return rule


@command(roles=SELLING)
def update_commitment_rule(
    *,
    actor: Actor,
    commitment_rule_id: int,
    name: str | Unset = UNSET,
    description: str | Unset = UNSET,
    cancellation_hours: int | Unset = UNSET,
    refund: Refund | Unset = UNSET,
    seats_down: SeatsDown | Unset = UNSET,
    may_coterm: bool | Unset = UNSET,
    notice_days: int | Unset = UNSET,
    uplifts: Sequence[UpliftInput] | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> CommitmentRule:
    """Change what is given of a commitment rule; uplifts are set as a whole. Offers keep their prices.

    Raises:
        DomainError: as :func:`create_commitment_rule`; ``not_found``.
    """
    rule = fetch(CommitmentRule, commitment_rule_id, lock=True)
    changes = change(
        rule,
        name=name if name is UNSET else name.strip(),
        description=description if description is UNSET else description.strip(),
        cancellation_hours=cancellation_hours,
        refund=refund if refund is UNSET else Refund(refund),
        seats_down=seats_down if seats_down is UNSET else SeatsDown(seats_down),
        may_coterm=may_coterm,
        notice_days=notice_days,
        active=active,
    )
    _save_rule(rule)
    also = []
    if uplifts is not UNSET:
        before = _uplifts_in_words(rule)
        rule.uplifts.all().delete()
        _write_uplifts(rule, uplifts)
        if (now := _uplifts_in_words(rule)) != before:
            also.append(f"uplifts from {before} to {now}")
    deed = f"changed the commitment rule {rule.name}"
    record_changes(actor, "catalog.commitment_rule.changed", deed, changes, rule, *also)
    return rule


def _save_rule(rule: CommitmentRule) -> None:
    if CommitmentRule.objects.filter(name__iexact=rule.name).exclude(pk=rule.pk).exists():
        raise DomainError("duplicate", f"There is a commitment rule “{rule.name}” already.", field="name")
    save_checked(rule)


def _write_uplifts(rule: CommitmentRule, uplifts: Sequence[UpliftInput]) -> None:
    """Write the uplifts of a rule that has none."""
    rows, seen = [], set()
    for index, given in enumerate(uplifts):
        prefix = f"uplifts[{index}]."
        term = policies.cycle_code(given.term, f"{prefix}term")
        cycle = policies.cycle_code(given.billing_cycle, f"{prefix}billing_cycle")
        try:
            UpliftRow(term, cycle, given.percent, given.effective_from)
        except DomainError as error:
            raise DomainError(error.code, error.message, field=prefix + (error.field or ""), hint=error.hint) from error
        if (key := (term, cycle, given.effective_from)) in seen:
            raise DomainError(
                "duplicate", f"{term_words(term, cycle)} stands there twice.", field=f"{prefix}billing_cycle"
            )
        seen.add(key)
        row = Uplift(
            rule=rule,
            term=term,
            billing_cycle=cycle,
            percent=given.percent,
            effective_from=given.effective_from,
        )
        check_fields(row, prefix=prefix, relations=False)
        rows.append(row)
    Uplift.objects.bulk_create(rows)


def _in_words(rule: CommitmentRule) -> str:
    window = f"{rule.cancellation_hours} hours" if rule.cancellation_hours else "no window"
    return f"{window}, refund {rule.refund}, seats down {rule.seats_down.replace('_', ' ')}; {_uplifts_in_words(rule)}"


def _uplifts_in_words(rule: CommitmentRule) -> str:
    return (
        "; ".join(
            f"{term_words(row.term, row.billing_cycle)} {quantity_text(row.percent)} %"
            + (f" from {format_date(row.effective_from)}" if row.effective_from else "")
            for row in rule.uplifts.all()
        )
        or "no uplifts"
    )
