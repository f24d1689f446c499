"""What an hour of work is billed at: the levels that may say so, and how an hour's length is rounded.

A row of a level says a rate (*custom*), or changes the one below it (*adjustment*, *multiplier*). The highest level
with a custom rate decides; the changes above it are applied to it, the lowest first. A work type changes the rate of
the work role wherever that comes from, so its row is applied after all of them; only a ticket and the entry itself
come later. The agreement's row for a work type stands instead of the work type's own set-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum, StrEnum
from fractions import Fraction
from typing import Final, Literal

from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply, round_money, round_to

_RATE_PLACES: Final = 8


class RateType(StrEnum):
    """What a row does to the rate below it (WE-3: of 100.00, custom 200 gives 200, adjustment 25 gives 125)."""

    CUSTOM = "custom"
    ADJUSTMENT = "adjustment"
    MULTIPLIER = "multiplier"


class RateLevel(IntEnum):
    """Who says the rate; the lowest number goes first."""

    ENTRY = 1
    TICKET = 2
    AGREEMENT_WORK_TYPE = 3
    AGREEMENT_WORK_ROLE = 4
    AGREEMENT = 5
    COMPANY = 6
    MEMBER = 7
    WORK_TYPE = 8
    WORK_ROLE = 9

    @property
    def words(self) -> str:
        """``agreement's work type``."""
        return _LEVEL_WORDS[self]


_LEVEL_WORDS: Final = {
    RateLevel.ENTRY: "this entry",
    RateLevel.TICKET: "the ticket",
    RateLevel.AGREEMENT_WORK_TYPE: "the agreement's work type",
    RateLevel.AGREEMENT_WORK_ROLE: "the agreement's work role",
    RateLevel.AGREEMENT: "the agreement",
    RateLevel.COMPANY: "the company",
    RateLevel.MEMBER: "the member",
    RateLevel.WORK_TYPE: "the work type",
    RateLevel.WORK_ROLE: "the work role",
}


@dataclass(frozen=True, slots=True)
class RateRow:
    """One dated row of a level.

    ``effective`` is the first day it applies and ``ends`` the first on which it no longer does; None leaves that side
    open. ``rate`` None says nothing of the rate, only of the hours. ``overage_rate`` is for what an agreement does not
    cover. ``minimum``, ``maximum`` and ``increment`` are hours.
    """

    level: RateLevel
    rate: Decimal | None
    type: RateType = RateType.CUSTOM
    name: str = ""
    effective: date | None = None
    ends: date | None = None
    overage_rate: Decimal | None = None
    overage_type: RateType = RateType.CUSTOM
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    increment: Decimal | None = None

    def __post_init__(self) -> None:
        for kind, rate in ((self.type, self.rate), (self.overage_type, self.overage_rate)):
            if rate is not None and rate < 0 and kind is not RateType.ADJUSTMENT:
                raise DomainError("invalid", "A rate or multiplier cannot be below zero.", field="rate")

    def in_force(self, on: date) -> bool:
        """Whether it applies to work of that day."""
        return (self.effective is None or self.effective <= on) and (self.ends is None or on < self.ends)


@dataclass(frozen=True, slots=True)
class HoursRule:
    """How worked hours become billed ones: to the increment first, then at least the minimum, at most the maximum.

    ``rounding`` is ``half_up`` to the nearest increment, or ``up`` to the next. None leaves a step out.
    """

    minimum: Decimal | None = None
    maximum: Decimal | None = None
    increment: Decimal | None = None
    rounding: Literal["half_up", "up"] = "half_up"

    def __post_init__(self) -> None:
        if self.increment is not None and self.increment <= 0:
            raise DomainError("invalid", "The rounding increment must be above zero.", field="increment")
        if self.minimum is not None and self.maximum is not None and self.maximum < self.minimum:
            raise DomainError("invalid", "The maximum hours are below the minimum.", field="maximum")


@dataclass(frozen=True, slots=True)
class ResolvedRate:
    """An hour's rate, what it becomes beyond an agreement's coverage, and how both came about.

    ``level`` is where the rate itself was found, before anything was added to it or multiplied.
    """

    rate: Decimal
    overage_rate: Decimal
    level: RateLevel
    hours: HoursRule
    explanation: str


@dataclass(frozen=True, slots=True)
class BilledHours:
    """Hours as billed, and why they are not the hours worked, if so."""

    hours: Decimal
    explanation: str


def apply_rate(base: Decimal, type: RateType, rate: Decimal) -> Decimal:
    """The rate a row makes of ``base``, to 8 decimals; an adjustment does not take it below zero. WE-3."""
    if type is RateType.CUSTOM:
        return rate
    changed = base + rate if type is RateType.ADJUSTMENT else multiply(base, rate)
    return max(round_to(changed, _RATE_PLACES), Decimal(0))


def resolve_rate(rows: Iterable[RateRow], *, on: date, rounding: Literal["half_up", "up"] = "half_up") -> ResolvedRate:
    """The rate of an hour worked on ``on``.

    Args:
        rows: every row that concerns this entry: its own role's, its own type's, its member's. Of one level, the row
            that took effect last counts.
        on: the day of the work.
        rounding: how hours are taken to the increment, where a row names one.

    Raises:
        DomainError: ``required`` when no level says a rate; ``invalid`` when the hours' bounds contradict each other.
    """
    rows_in_force = _latest_by_level(rows, on)
    chain = [row for row in rows_in_force if row.rate is not None]
    found = next((row for row in chain if row.type is RateType.CUSTOM), None)
    if found is None or found.rate is None:
        raise DomainError(
            "required",
            "Nothing says what this hour is billed at.",
            field="rate",
            hint="Enter a rate, or set one on the work role.",
        )
    rate = found.rate
    words = [f"{_rate(rate)} of {_who(found)}"]
    for row in _changes(chain, found):
        assert row.rate is not None
        rate = apply_rate(rate, row.type, row.rate)
        words.append(_change(row.type, row.rate, _who(row)))
    explanation = f"{_rate(rate)} an hour: {', '.join(words)}."
    overage_rate, said = _overage(rate, rows_in_force)
    hours = HoursRule(
        minimum=_first(row.minimum for row in rows_in_force),
        maximum=_first(row.maximum for row in rows_in_force),
        increment=_first(row.increment for row in rows_in_force),
        rounding=rounding,
    )
    return ResolvedRate(rate, overage_rate, found.level, hours, explanation + said)


def bill_hours(worked: Decimal, rule: HoursRule) -> BilledHours:
    """The hours to bill for the hours worked. No hours worked are no hours billed, whatever the minimum.

    Raises:
        DomainError: ``invalid`` for hours below zero.
    """
    if worked < 0:
        raise DomainError("invalid", "Hours cannot be below zero.", field="hours")
    if not worked:
        return BilledHours(worked, "")
    hours, steps = worked, []
    if rule.increment is not None:
        hours = _to_increment(worked, rule.increment, rule.rounding)
        if hours != worked:
            way = "up to the next" if rule.rounding == "up" else "to the nearest"
            steps.append(f"rounded {way} {_hours(rule.increment)}")
    if rule.minimum is not None and hours < rule.minimum:
        hours = rule.minimum
        steps.append(f"at least {_hours(hours)}")
    if rule.maximum is not None and hours > rule.maximum:
        hours = rule.maximum
        steps.append(f"at most {_hours(hours)}")
    explanation = f"{_hours(hours)} for {_hours(worked)} worked: {', '.join(steps)}." if steps else ""
    return BilledHours(hours, explanation)


def _latest_by_level(rows: Iterable[RateRow], on: date) -> list[RateRow]:
    latest: dict[RateLevel, RateRow] = {}
    for row in rows:
        if not row.in_force(on):
            continue
        other = latest.get(row.level)
        if other is None or (other.effective or date.min) < (row.effective or date.min):
            latest[row.level] = row
    return [latest[level] for level in sorted(latest)]


def _changes(chain: Sequence[RateRow], found: RateRow) -> list[RateRow]:
    """The rows that change the rate found, in the order they are applied."""
    above = [row for row in reversed(chain) if row.level < found.level and row.type is not RateType.CUSTOM]
    if found.level <= RateLevel.AGREEMENT_WORK_TYPE:
        return above
    of_type = [row for row in chain if row.level in (RateLevel.AGREEMENT_WORK_TYPE, RateLevel.WORK_TYPE)][:1]
    of_type = [row for row in of_type if row.type is not RateType.CUSTOM and row is not found]
    below = [row for row in above if row.level > RateLevel.AGREEMENT_WORK_TYPE and row.level != RateLevel.WORK_TYPE]
    later = [row for row in above if row.level < RateLevel.AGREEMENT_WORK_TYPE]
    return below + of_type + later


def _overage(rate: Decimal, rows: Sequence[RateRow]) -> tuple[Decimal, str]:
    row = next((row for row in rows if row.overage_rate is not None), None)
    if row is None or row.overage_rate is None:
        return rate, ""
    overage = apply_rate(rate, row.overage_type, row.overage_rate)
    return overage, f" {_rate(overage)} for what the agreement does not cover, by {_who(row)}."


def _to_increment(hours: Decimal, increment: Decimal, rounding: str) -> Decimal:
    steps = Fraction(hours) / Fraction(increment)
    whole = Decimal(-(-steps.numerator // steps.denominator)) if rounding == "up" else round_to(steps, 0)
    return multiply(whole, increment)


def _first(values: Iterable[Decimal | None]) -> Decimal | None:
    return next((value for value in values if value is not None), None)


def _change(type: RateType, rate: Decimal, who: str) -> str:
    if type is RateType.MULTIPLIER:
        return f"times {rate.normalize():f} by {who}"
    return f"{'less' if rate < 0 else 'plus'} {_rate(abs(rate))} by {who}"


def _who(row: RateRow) -> str:
    return f"{row.level.words} {row.name}" if row.name else row.level.words


def _rate(rate: Decimal) -> str:
    """To the cent where that is all there is; otherwise with every decimal."""
    return format_money(rate) if round_money(rate) == rate else f"{rate.normalize():f}"


def _hours(hours: Decimal) -> str:
    return f"{hours.normalize():f} {'hour' if hours == 1 else 'hours'}"
