"""What people do with coverage: adjust an allocation, set rates, list what is left out or let in.

None of it reaches work that is billed; what is not billed is covered anew when the allocation is decided again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

from django.db import models

from counterfoil.agreements.additions import OFFICE
from counterfoil.agreements.models import (
    Adjustment,
    Agreement,
    AgreementType,
    ApplicationUnits,
    CoverageItem,
    WorkRoleRate,
    WorkTypeRate,
)
from counterfoil.catalog.models import RateType
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor
from counterfoil.platform.records import check_fields, contents_of, fetch, plain_number, refuse_negative

_OWNERS: Final = ("id", "agreement_id", "agreement_type_id")

RowT = TypeVar("RowT", WorkRoleRate, WorkTypeRate, CoverageItem)


@dataclass(frozen=True, slots=True)
class WorkRoleRateInput:
    """The rate of a work role under an agreement.

    Attributes:
        work_role_id: null stands for all roles.
        rate_type: Custom replaces, AdjAmount adds (or takes off), Multiplier multiplies.
        rate: an hour's price, what is added, or the factor.
        effective_date: first day; null is from ever.
        ending_date: last day; null is without end.
    """

    work_role_id: int | None
    rate: Decimal
    rate_type: str = RateType.CUSTOM
    effective_date: date | None = None
    ending_date: date | None = None


@dataclass(frozen=True, slots=True)
class WorkTypeRateInput:
    """How a work type is billed under an agreement.

    Attributes:
        work_type_id: null stands for all types.
        rate_type: Custom replaces, AdjAmount adds (or takes off), Multiplier multiplies.
        rate: an hour's price, what is added, or the factor.
        bill_time: Billable, DoNotBill or NoCharge; empty as the entry or the agreement says.
        hours_min: billed at least, an entry.
        hours_max: billed at most.
        round_hours_to: billed hours are rounded up to a multiple of it.
        overage_rate_type: how the rate of what is not covered differs.
        overage_rate: by how much.
        effective_date: first day; null is from ever.
        ending_date: last day; null is without end.
    """

    work_type_id: int | None
    rate: Decimal = Decimal(1)
    rate_type: str = RateType.MULTIPLIER
    bill_time: str = ""
    hours_min: Decimal | None = None
    hours_max: Decimal | None = None
    round_hours_to: Decimal | None = None
    overage_rate_type: str = ""
    overage_rate: Decimal | None = None
    effective_date: date | None = None
    ending_date: date | None = None


@dataclass(frozen=True, slots=True)
class CoverageItemInput:
    """One thing that is left out, or alone let in; exactly one of the four.

    Attributes:
        work_role_id: a work role.
        work_type_id: a work type.
        expense_type_id: an expense type.
        product_id: a product.
    """

    work_role_id: int | None = None
    work_type_id: int | None = None
    expense_type_id: int | None = None
    product_id: int | None = None


# -- adjustments -------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def add_adjustment(*, actor: Actor, agreement_id: int, on: date, amount: Decimal, description: str) -> Adjustment:
    """Give something to an allocation, or take it away, in its units; it lives one application cycle (WE-22).

    Args:
        actor: who adjusts it.
        agreement_id: whose allocation.
        on: first day it counts; before the start it counts from the start.
        amount: above zero adds, below takes away.
        description: why.

    Raises:
        DomainError: ``invalid`` for zero or parts of a cent; ``required`` without a description.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    if not amount:
        raise DomainError("invalid", "An adjustment of zero changes nothing.", field="amount")
    adjustment = Adjustment(agreement=agreement, date=on, amount=amount, description=description.strip())
    check_fields(adjustment, relations=False)
    adjustment.save()
    audit.record(
        actor, "agreements.adjustment.added",
        f"adjusted {agreement.number} by {in_units(agreement, amount)} from {format_date(on)}:"
        f" {adjustment.description}", agreement,
    )  # fmt: skip
    return adjustment


@command(roles=OFFICE)
def remove_adjustment(*, actor: Actor, adjustment_id: int) -> None:
    """Take an adjustment back.

    Raises:
        DomainError: ``not_found``.
    """
    agreement = fetch(Agreement, fetch(Adjustment, adjustment_id).agreement_id, lock=True)
    adjustment = fetch(Adjustment, adjustment_id, lock=True)
    adjustment.delete()
    audit.record(
        actor, "agreements.adjustment.removed",
        f"took back the adjustment of {agreement.number} by {in_units(agreement, adjustment.amount)} from"
        f" {format_date(adjustment.date)}: {adjustment.description}", agreement,
    )  # fmt: skip


def in_units(agreement: Agreement, amount: Decimal) -> str:
    """``10 hours``, ``(250.00)``."""
    if agreement.application_units == ApplicationUnits.AMOUNT:
        return format_money(amount)
    return f"{plain_number(amount)} {agreement.application_units}"


# -- rates and lists ---------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def set_work_role_rates(*, actor: Actor, agreement_id: int, rates: Sequence[WorkRoleRateInput]) -> Agreement:
    """Say what work roles are billed at under an agreement; the list replaces the one before.

    Raises:
        DomainError: ``invalid`` for a negative rate or two rates of a role on one day; ``not_found``.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    if _replace(agreement, "agreement", WorkRoleRate, rates, _check_role_rates):
        _say(actor, agreement, "work_role_rates", f"set {_counted(len(rates), 'work role rate')} of {agreement.number}")
    return agreement


@command(roles=OFFICE)
def set_work_type_rates(*, actor: Actor, agreement_id: int, rates: Sequence[WorkTypeRateInput]) -> Agreement:
    """Say how work types are billed under an agreement; the list replaces the one before.

    Raises:
        DomainError: ``invalid`` for negative numbers, a minimum above the maximum or two rates of a type on one day;
            ``not_found``.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    if _replace(agreement, "agreement", WorkTypeRate, rates, _check_type_rates):
        _say(actor, agreement, "work_type_rates", f"set {_counted(len(rates), 'work type rate')} of {agreement.number}")
    return agreement


@command(roles=OFFICE)
def set_coverage_items(*, actor: Actor, agreement_id: int, items: Sequence[CoverageItemInput]) -> Agreement:
    """Say which roles, types and products an agreement leaves out, or alone lets in; the list replaces the one before.

    Raises:
        DomainError: ``invalid`` unless each names one thing; ``duplicate`` for one named twice; ``not_found``.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    verb = "alone lets in" if agreement.selection == "only" else "leaves out"
    if _replace(agreement, "agreement", CoverageItem, items, _check_items):
        _say(actor, agreement, "coverage_items", f"{agreement.number} {verb} {_counted(len(items), 'thing')}")
    return agreement


@command(roles=OFFICE)
def set_type_work_role_rates(
    *, actor: Actor, agreement_type_id: int, rates: Sequence[WorkRoleRateInput]
) -> AgreementType:
    """Say what work roles are billed at under new agreements of a type; agreements that are there keep theirs.

    Raises:
        DomainError: as :func:`set_work_role_rates`.
    """
    kind = fetch(AgreementType, agreement_type_id, lock=True)
    if _replace(kind, "agreement_type", WorkRoleRate, rates, _check_role_rates):
        _say(actor, kind, "work_role_rates", f"set {_counted(len(rates), 'work role rate')} of the type {kind.name}")
    return kind


@command(roles=OFFICE)
def set_type_work_type_rates(
    *, actor: Actor, agreement_type_id: int, rates: Sequence[WorkTypeRateInput]
) -> AgreementType:
    """Say how work types are billed under new agreements of a type; agreements that are there keep theirs.

    Raises:
        DomainError: as :func:`set_work_type_rates`.
    """
    kind = fetch(AgreementType, agreement_type_id, lock=True)
    if _replace(kind, "agreement_type", WorkTypeRate, rates, _check_type_rates):
        _say(actor, kind, "work_type_rates", f"set {_counted(len(rates), 'work type rate')} of the type {kind.name}")
    return kind


@command(roles=OFFICE)
def set_type_coverage_items(
    *, actor: Actor, agreement_type_id: int, items: Sequence[CoverageItemInput]
) -> AgreementType:
    """Say what new agreements of a type leave out, or alone let in; agreements that are there keep theirs.

    Raises:
        DomainError: as :func:`set_coverage_items`.
    """
    kind = fetch(AgreementType, agreement_type_id, lock=True)
    if _replace(kind, "agreement_type", CoverageItem, items, _check_items):
        _say(actor, kind, "coverage_items", f"set {_counted(len(items), 'thing')} the type {kind.name} lists")
    return kind


def copy_rates_and_items(source: Agreement | AgreementType, agreement: Agreement) -> None:
    """Give a new agreement the rates and the list of a type or of another agreement."""
    owner = "agreement" if isinstance(source, Agreement) else "agreement_type"
    for model in (WorkRoleRate, WorkTypeRate, CoverageItem):
        rows: Any = model._default_manager.filter(**{owner: source}).order_by("pk")
        names = [field.attname for field in model._meta.local_fields if field.attname not in _OWNERS]
        copies: Any = [model(agreement=agreement, **{name: getattr(row, name) for name in names}) for row in rows]
        model._default_manager.bulk_create(copies)


def _replace(
    owner: Agreement | AgreementType,
    role: str,
    model: type[RowT],
    inputs: Sequence[Any],
    check: Callable[[list[Any]], None],
) -> bool:
    """Write a list in place of the one before; whether it is another."""
    rows = [model(**{role: owner}, **asdict(given)) for given in inputs]
    check(rows)
    listed = "items" if model is CoverageItem else "rates"
    for index, row in enumerate(rows):
        check_fields(row, prefix=f"{listed}[{index}].")
    standing = model._default_manager.filter(**{role: owner})
    if contents_of(standing.order_by("pk")) == contents_of(rows):
        audit.record_nothing()
        return False
    standing.delete()
    model._default_manager.bulk_create(rows)
    return True


def _check_role_rates(rows: list[WorkRoleRate]) -> None:
    for index, row in enumerate(rows):
        _check_rate(row, f"rates[{index}].")
    _refuse_two_at_once(rows, "work_role_id")


def _check_type_rates(rows: list[WorkTypeRate]) -> None:
    for index, row in enumerate(rows):
        prefix = f"rates[{index}]."
        _check_rate(row, prefix)
        hours = ("hours_min", "hours_max", "round_hours_to")
        refuse_negative({name: value for name in hours if (value := getattr(row, name)) is not None}, prefix)
        if row.hours_min is not None and row.hours_max is not None and row.hours_max < row.hours_min:
            raise DomainError("invalid", "The maximum hours are below the minimum.", field=f"{prefix}hours_max")
        if bool(row.overage_rate_type) != (row.overage_rate is not None):
            missing = "overage_rate" if row.overage_rate_type else "overage_rate_type"
            raise DomainError("required", "A rate of overage takes both its kind and its rate.", f"{prefix}{missing}")
        if row.overage_rate is not None and row.overage_rate_type != RateType.ADJUST:
            refuse_negative({"overage_rate": row.overage_rate}, prefix)
    _refuse_two_at_once(rows, "work_type_id")


def _check_rate(row: WorkRoleRate | WorkTypeRate, prefix: str) -> None:
    if row.rate_type != RateType.ADJUST:
        refuse_negative({"rate": row.rate}, prefix)
    if row.effective_date and row.ending_date and row.ending_date < row.effective_date:
        raise DomainError(
            "invalid", f"The rate cannot end before it starts on {format_date(row.effective_date)}.",
            field=f"{prefix}ending_date",
        )  # fmt: skip


def _refuse_two_at_once(rows: Iterable[WorkRoleRate | WorkTypeRate], name: str) -> None:
    """Two rates of one role or type on one day would leave open which holds."""
    seen: dict[int | None, list[tuple[date, date]]] = {}
    for index, row in enumerate(rows):
        first, last = row.effective_date or date.min, row.ending_date or date.max
        for other_first, other_last in seen.setdefault(getattr(row, name), []):
            if first <= other_last and other_first <= last:
                raise DomainError(
                    "invalid", "Two rates of the same role or type hold on the same day.",
                    field=f"rates[{index}].effective_date", hint="End the first before the second begins.",
                )  # fmt: skip
        seen[getattr(row, name)].append((first, last))


def _check_items(rows: list[CoverageItem]) -> None:
    seen: set[tuple[int | None, ...]] = set()
    for index, row in enumerate(rows):
        named = (row.work_role_id, row.work_type_id, row.expense_type_id, row.product_id)
        if sum(each is not None for each in named) != 1:
            raise DomainError(
                "invalid", "Name one thing a row: a work role, a work type, an expense type or a product.",
                field=f"items[{index}]",
            )  # fmt: skip
        if named in seen:
            raise DomainError("duplicate", "That is listed twice.", field=f"items[{index}]")
        seen.add(named)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _say(actor: Actor, record: models.Model, what: str, sentence: str) -> None:
    audit.record(actor, f"agreements.{what}.set", sentence, record)
