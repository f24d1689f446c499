"""What an agreement earns: profit, margin, effective rate and contribution; and the write-down to a limit.

Hours are the hours worked, not those billed: rounded hours make an agreement look worse than it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, format_money, multiply, round_money, round_to, sum_money

_RATIO_PLACES: Final = 4


@dataclass(frozen=True, slots=True)
class WorkRecord:
    """Work and its value at the rate agreed, in whole cents."""

    key: Hashable
    hours: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class WrittenDown:
    """A record's share of the limit; ``written_down`` is what it lost, zero or more."""

    key: Hashable
    amount: Decimal
    written_down: Decimal


@dataclass(frozen=True, slots=True)
class WriteDown:
    """Every record's share, and the rate an hour is worth by it (None without hours)."""

    records: tuple[WrittenDown, ...]
    total: Decimal
    effective_rate: Decimal | None
    explanation: str


def write_down(limit: Decimal, records: Sequence[WorkRecord]) -> WriteDown:
    """Bring the records down to ``limit`` together, each by its share of the value; the parts add up (WE-4).

    Nothing changes while the value is within the limit.

    Raises:
        DomainError: ``invalid`` for a limit or an amount below zero, or not in whole cents.
    """
    for amount in (limit, *(record.amount for record in records)):
        if amount < 0 or round_money(amount) != amount:
            raise DomainError("invalid", f"{amount} is not an amount in whole cents, zero or more.", field="limit")
    value = sum_money(record.amount for record in records)
    hours = sum_money(record.hours for record in records)
    if value <= limit:
        shares, words = [record.amount for record in records], f"{format_money(value)} is within {format_money(limit)}."
    else:
        shares = allocate(limit, [record.amount for record in records])
        words = f"{format_money(value)} is written down to {format_money(limit)}, each record by its share."
    total = sum_money(shares)
    return WriteDown(
        records=tuple(
            WrittenDown(record.key, share, sum_money((record.amount, -share)))
            for record, share in zip(records, shares, strict=True)
        ),
        total=total,
        effective_rate=_per(total, hours),
        explanation=words,
    )


@dataclass(frozen=True, slots=True)
class Profitability:
    """What was earned; WE-32 has the formulas.

    ``margin`` is a ratio (0.48 is 48 %), None when nothing was billed; ``effective_rate`` (billed less the additions'
    cost, an hour) and ``contribution`` (profit an hour) are None without hours. ``warning`` says what makes the
    figures doubtful.
    """

    billed: Decimal
    additions_cost: Decimal
    labour_cost: Decimal
    hours: Decimal
    profit: Decimal
    margin: Decimal | None
    effective_rate: Decimal | None
    contribution: Decimal | None
    warning: str


def profitability(
    *, billed: Decimal, additions_cost: Decimal, labour_cost: Decimal, hours: Decimal, months: int = 1
) -> Profitability:
    """The profit of an agreement (WE-32); with ``months``, what one of them comes to (12 for a year billed at once).

    Raises:
        DomainError: ``invalid`` for fewer than one month or hours below zero.
    """
    if months < 1 or hours < 0:
        raise DomainError("invalid", "Profit is reckoned over at least one month and no hours below zero.")
    cost = sum_money((additions_cost, labour_cost))
    profit = sum_money((billed, -cost))
    return Profitability(
        billed=_monthly(billed, months),
        additions_cost=_monthly(additions_cost, months),
        labour_cost=_monthly(labour_cost, months),
        hours=round_to(Fraction(hours) / months, 6),
        profit=_monthly(profit, months),
        margin=round_to(Fraction(profit) / Fraction(billed), _RATIO_PLACES) if billed else None,
        effective_rate=_per(sum_money((billed, -additions_cost)), hours),
        contribution=_per(profit, hours),
        warning="The hours worked cost nothing: set the members' hourly cost." if hours and not labour_cost else "",
    )


def labour_cost(hours: Decimal, hourly_cost: Decimal, multiplier: Decimal = Decimal(1)) -> Decimal:
    """What hours cost: the member's burdened cost times the work type's cost multiplier (1 or more).

    Raises:
        DomainError: ``invalid`` for a multiplier below 1, which would make work cheaper than the wages for it.
    """
    if multiplier < 1:
        raise DomainError("invalid", "The cost multiplier must be 1 or more.", field="cost_multiplier")
    return round_money(multiply(hours, hourly_cost, multiplier))


def target_hours(
    *, billed: Decimal, additions_cost: Decimal, target_cost_ratio: Decimal, hourly_cost: Decimal
) -> Decimal:
    """How many hours the agreement bears if all its cost is to be ``target_cost_ratio`` of what is billed; 2 decimals.

    Zero when the additions alone cost more.

    Raises:
        DomainError: ``invalid`` when an hour costs nothing.
    """
    if hourly_cost <= 0:
        raise DomainError("invalid", "An hour must cost something.", field="hourly_cost")
    left = Fraction(target_cost_ratio) * Fraction(billed) - Fraction(additions_cost)
    return max(round_to(left / Fraction(hourly_cost), 2), ZERO)


def _per(amount: Decimal, hours: Decimal) -> Decimal | None:
    return round_money(Fraction(amount) / Fraction(hours)) if hours else None


def _monthly(amount: Decimal, months: int) -> Decimal:
    return round_money(Fraction(amount) / months)
