"""Proration: the exact share of a billing period that some of its days are charged with, and how it is said.

A share is a whole number of days or months out of the period's, so it explains itself: 17 of 31 days. Days are counted
with both ends (WE-2): from the 15th to the 31st there are 17.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from typing import Final

from counterfoil.core.calendar import Period, add_months, months_between
from counterfoil.core.errors import DomainError


class ProrationMethod(StrEnum):
    """How a part of a period is measured. Those that count months count days where the period has no whole months."""

    #: Days used out of the days the period has.
    ACTUAL_DAYS = "actual_days"
    #: Whole months of 30.4 days; 16 days or more that are left over count as one more.
    WHOLE_MONTHS = "whole_months"
    #: Actual days; the last part of a term of whole cycles is the price less its first part.
    REMAINDER = "remainder"
    #: Whole months to the end of the period; the month in which it begins is free (Adobe VIP).
    ANNIVERSARY_MONTHS = "anniversary_months"
    #: Months to the end of the period; the month in which it begins counts whole.
    ANNIVERSARY_MONTHS_BEGUN = "anniversary_months_begun"
    #: Months of 30 days: a 31st does not count, and February has 30.
    THIRTY_360 = "thirty_360"


_EXTRA_MONTH_FROM: Final = 16  # days left over after the whole months


@dataclass(frozen=True, slots=True)
class Share:
    """``part`` out of ``of``, and how people say it: ``17 of 31 days``. Exact."""

    part: int
    of: int
    words: str

    @property
    def fraction(self) -> Fraction:
        """The share as a number from 0 to 1."""
        return Fraction(self.part, self.of)


#: All of a period.
WHOLE: Final = Share(1, 1, "the whole period")


def prorate(
    method: ProrationMethod, whole: Period, used: Period, *, service: Period | None = None, first: Share | None = None
) -> Share:
    """The share of ``whole`` that the days ``used`` are charged with (WE-11).

    The shares of the stretches of one ``service`` add up to the share of the service.

    Args:
        method: how parts are measured.
        whole: the uncut billing period.
        used: the days charged, within ``whole``.
        service: all days of ``whole`` that are charged, where ``used`` is one stretch of them; else ``used`` itself.
        first: for ``remainder``, the share that the term's first part was charged with, where ``service`` is its last.

    Raises:
        DomainError: ``invalid`` when the days lie outside the period or the service.
    """
    service = service or used
    if not whole.start <= service.start <= used.start or not used.end <= service.end <= whole.end:
        raise DomainError("invalid", f"{used.label} is not part of {whole.label}.")
    if method is ProrationMethod.REMAINDER and first is not None:
        part = (first.of - first.part) * used.days
        return Share(part, first.of * service.days, f"the rest after {first.words}{_stretch(used, service)}")
    if used == whole:
        return WHOLE
    months = 0 if method in (ProrationMethod.ACTUAL_DAYS, ProrationMethod.REMAINDER) else _whole_months(whole)
    if months and method is ProrationMethod.WHOLE_MONTHS:
        before = 0 if used.start == service.start else _by_threshold(service.start, used.start)
        upto = min(_by_threshold(service.start, used.end), months)
        return _of(upto - min(before, months), months, "month")
    if months and method in (ProrationMethod.ANNIVERSARY_MONTHS, ProrationMethod.ANNIVERSARY_MONTHS_BEGUN):
        begun = method is ProrationMethod.ANNIVERSARY_MONTHS_BEGUN
        ahead, after = (_months_to(whole.end, day, begun) for day in (used.start, used.end))
        return _of(min(ahead, months) - min(after, months), months, "month")
    if months and method is ProrationMethod.THIRTY_360:
        return _of(_days_360(used), _days_360(whole), "day")
    return _of(used.days, whole.days, "day")


def _of(part: int, of: int, unit: str) -> Share:
    return Share(part, of, f"{part} of {of} {unit}{'' if of == 1 else 's'}")


def _stretch(used: Period, service: Period) -> str:
    return "" if used == service else f", {used.days} of {service.days} days of it"


def _whole_months(period: Period) -> int:
    """How many months the period is, 0 when it is not whole ones; a month's end may stand for a later day."""
    months = months_between(period.start, period.end)
    exact = add_months(period.start, months) == period.end or add_months(period.end, -months) == period.start
    return months if exact else 0


def _by_threshold(start: date, end: date) -> int:
    """Whole months of 30.4 days, and one more for 16 days or more left over."""
    tenths = (end - start).days * 10
    months, left = divmod(tenths, 304)
    return months + (left >= _EXTRA_MONTH_FROM * 10)


def _months_to(end: date, day: date, begun: bool) -> int:
    months = months_between(day, end)
    return months + (begun and add_months(day, months) < end)


def _days_360(period: Period) -> int:
    start, end = ((day.year * 12 + day.month) * 30 + min(day.day, 30) for day in (period.start, period.end))
    return end - start
