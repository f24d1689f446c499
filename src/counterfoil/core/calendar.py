"""Billing dates: cycles, periods counted from an anchor without drift, and month arithmetic.

Periods are half-open ``[start, end)`` inside and shown inclusive, as people write them.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from fractions import Fraction
from typing import Final, Literal, get_args

from counterfoil.core.errors import DomainError

Unit = Literal["day", "week", "month", "year"]

#: What the billing periods are counted from: the contract's own first day, or the boundaries of the calendar.
CycleBase = Literal["contract", "calendar"]

_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MAX_COUNT: Final = 1200
_MEAN_MONTH_DAYS: Final = Fraction(146_097, 4_800)  # 400 years have 146,097 days and 4,800 months


def format_date(day: date) -> str:
    """``15 Mar 2026``, whatever the locale."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def format_month(day: date) -> str:
    """``Mar 2026``."""
    return f"{_MONTHS[day.month - 1]} {day.year}"


def month_start(day: date) -> date:
    """The first of the day's month."""
    return day.replace(day=1)


def month_end(day: date) -> date:
    """The last day of the day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def next_month_end(day: date) -> date:
    """The last day of the month after the day's month."""
    return month_end(add_months(month_start(day), 1))


def add_months(day: date, months: int) -> date:
    """The same day of the month ``months`` later (or earlier), or that month's last day where there is no such day.

    Raises:
        DomainError: ``invalid`` beyond the years that dates have, 1 to 9999.
    """
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    if not MINYEAR <= year <= MAXYEAR:
        raise DomainError("invalid", f"That reaches into the year {year}; dates go from the year 1 to 9999.")
    if day.day <= 28:  # every month has these
        return date(year, month + 1, day.day)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def months_between(start: date, end: date) -> int:
    """Whole months from ``start`` to ``end`` (31 Jan to 28 Feb is one); negative when ``end`` comes first."""
    if end < start:
        return -months_between(end, start)
    months = (end.year - start.year) * 12 + end.month - start.month
    return months if add_months(start, months) <= end else months - 1


@dataclass(frozen=True, slots=True)
class Cycle:
    """How often something recurs: every ``count`` units. Stored as its code, ``month:3``."""

    unit: Unit
    count: int

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit) or not 1 <= self.count <= _MAX_COUNT:
            raise DomainError("invalid", f"“{self.unit}:{self.count}” is not a billing cycle.", field="cycle")

    @classmethod
    def parse(cls, code: str) -> Cycle:
        """Read ``month:1``, or a name in :data:`CYCLES` such as ``quarterly``.

        Raises:
            DomainError: ``invalid`` when it is neither.
        """
        if named := CYCLES.get(code.strip().lower()):
            return named
        unit, _, count = code.strip().partition(":")
        if unit in get_args(Unit) and count.isascii() and count.isdigit() and len(count) <= 4:
            return cls(unit, int(count))  # type: ignore[arg-type]  # just checked
        raise DomainError(
            "invalid", f"“{code}” is not a billing cycle.", field="cycle", hint="Write month:1, or monthly."
        )

    @property
    def code(self) -> str:
        """``month:1``."""
        return f"{self.unit}:{self.count}"

    @property
    def label(self) -> str:
        """``Monthly``, ``Every 5 months``."""
        for name, cycle in CYCLES.items():
            if cycle == self:
                return name.capitalize()
        return f"Every {self.count} {self.unit}s"

    @property
    def months(self) -> int | None:
        """Length in months; None for days and weeks, which do not fit into months."""
        return {"month": self.count, "year": 12 * self.count}.get(self.unit)

    @property
    def per_month(self) -> Fraction:
        """How many cycles there are in a month: a third for a quarter. Days and weeks by the mean Gregorian month."""
        if (months := self.months) is not None:
            return Fraction(1, months)
        return _MEAN_MONTH_DAYS / (self.count * (7 if self.unit == "week" else 1))

    def after(self, anchor: date, n: int) -> date:
        """The start of the n-th cycle from ``anchor`` (0 is the anchor itself), without drift."""
        if (months := self.months) is not None:
            return add_months(anchor, n * months)
        return anchor + timedelta(days=n * self.count * (7 if self.unit == "week" else 1))


WEEKLY: Final = Cycle("week", 1)
BIWEEKLY: Final = Cycle("week", 2)
MONTHLY: Final = Cycle("month", 1)
BIMONTHLY: Final = Cycle("month", 2)
QUARTERLY: Final = Cycle("month", 3)
SEMIANNUAL: Final = Cycle("month", 6)
YEARLY: Final = Cycle("year", 1)
BIENNIAL: Final = Cycle("year", 2)
TRIENNIAL: Final = Cycle("year", 3)

#: The cycles that have a name, as the field calls them.
CYCLES: Final[dict[str, Cycle]] = {
    "weekly": WEEKLY,
    "biweekly": BIWEEKLY,
    "monthly": MONTHLY,
    "bimonthly": BIMONTHLY,
    "quarterly": QUARTERLY,
    "semiannual": SEMIANNUAL,
    "yearly": YEARLY,
    "biennial": BIENNIAL,
    "triennial": TRIENNIAL,
}


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """Days from ``start`` up to, but not including, ``end``."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise DomainError("invalid", f"A period must end after {format_date(self.start)}, its start.", field="end")

    @property
    def inclusive_end(self) -> date:
        """The last day in the period, as people write it."""
        return self.end - timedelta(days=1)

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days

    @property
    def label(self) -> str:
        """``Jan 2026`` for a whole calendar month, else ``1 Jan 2026 – 14 Jan 2026``."""
        if self.start.day == 1 and self.inclusive_end == month_end(self.start):
            return format_month(self.start)
        if self.days == 1:
            return format_date(self.start)
        return f"{format_date(self.start)} – {format_date(self.inclusive_end)}"

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day < self.end

    def overlap(self, other: Period) -> Period | None:
        """The days both have, if any."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Period(start, end) if start < end else None


def calendar_month(day: date) -> Period:
    """The calendar month the day lies in."""
    first = month_start(day)
    return Period(first, add_months(first, 1))


def nth_period(anchor: date, cycle: Cycle, n: int) -> Period:
    """The n-th period counted from ``anchor`` (the first is 0).

    Both ends are reckoned from the anchor's own day, so a short month does not move the later ones: an anchor of
    31 Jan gives 31 Jan, 28 Feb, 31 Mar.
    """
    return Period(cycle.after(anchor, n), cycle.after(anchor, n + 1))


def billing_period(anchor: date, cycle: Cycle, n: int, base: CycleBase = "contract") -> Period:
    """The n-th billing period (the first is 0).

    ``contract`` counts from the anchor's own day (:func:`nth_period`). ``calendar`` cuts at the calendar's boundaries,
    so the first period, which begins on the anchor, may be short: see :func:`whole_period` for where it cuts.
    """
    if base == "contract":
        return nth_period(anchor, cycle, n)
    whole = whole_period(anchor, cycle, n, base)
    return whole if n else Period(anchor, whole.end)


def whole_period(anchor: date, cycle: Cycle, n: int, base: CycleBase = "contract") -> Period:
    """The n-th billing period uncut: what a proration divides by.

    By the calendar, weeks begin on Monday (several at a time are counted from the anchor's week); months, quarters and
    years are counted from 1 January of the anchor's year, so a quarter begins in January, April, July and October, and
    five months begin in January, June, November, April. Days have no boundaries: they are counted from the anchor.
    """
    if base == "contract" or cycle.unit == "day":
        return nth_period(anchor, cycle, n)
    if (months := cycle.months) is not None:
        new_year = date(anchor.year, 1, 1)
        first = (anchor.month - 1) // months + n
        return Period(add_months(new_year, first * months), add_months(new_year, (first + 1) * months))
    monday = anchor - timedelta(days=anchor.weekday())
    return nth_period(monday, cycle, n)


def period_index(anchor: date, cycle: Cycle, day: date, base: CycleBase = "contract") -> int:
    """Which billing period the day lies in; 0 for a day before the first."""
    if day <= anchor:
        return 0
    if (months := cycle.months) is None:
        origin = whole_period(anchor, cycle, 0, base).start
        return (day - origin).days // (cycle.after(origin, 1) - origin).days
    if base == "contract":
        return months_between(anchor, day) // months
    return ((day.year - anchor.year) * 12 + day.month - 1) // months - (anchor.month - 1) // months


def periods_through(anchor: date, cycle: Cycle, through: date, end: date | None = None) -> tuple[Period, ...]:
    """Every period that has begun on or before ``through`` (WE-19), from the anchor's on.

    ``end`` is the first day that is no longer covered: nothing begins on or after it, and the last period is cut there.
    """
    periods: list[Period] = []
    while (start := cycle.after(anchor, len(periods))) <= through and (end is None or start < end):
        stop = cycle.after(anchor, len(periods) + 1)
        periods.append(Period(start, stop if end is None else min(stop, end)))
    return tuple(periods)
