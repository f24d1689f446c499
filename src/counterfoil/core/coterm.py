"""Co-terms: lines that end together. A first period is cut short, priced as a part, and says how.

A line is aligned when it ends with another's term, or on a date that several share. Its amounts are those of recurring
billing (:mod:`counterfoil.core.recurring`): what is quoted for the first, shortened period is what will be billed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from counterfoil.core.calendar import (
    Cycle,
    Period,
    add_months,
    format_date,
    month_end,
    month_start,
    months_between,
    period_index,
    whole_period,
)
from counterfoil.core.charges import BilledItem, Charge, Step, Terms
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.core.proration import ProrationMethod, Share, prorate
from counterfoil.core.recurring import bills_due

_DAY: Final = timedelta(days=1)
#: How far ahead an anniversary may lie.
MOST_YEARS: Final = 20
_TO_ANNIVERSARY: Final = (ProrationMethod.ANNIVERSARY_MONTHS, ProrationMethod.ANNIVERSARY_MONTHS_BEGUN)


# -- what may be aligned -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """What a line is to end with: the end of somebody's term, or a date that several are to share.

    Attributes:
        end: the first day after it, the anniversary.
        term: of what it is the end; ``None`` for a plain date.
        name: what that is called.
    """

    end: date
    term: Cycle | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if self.end == date.min:
            raise DomainError("invalid", "Nothing ends before the first day there is.", field="end")


def check_alignment(
    target: Target,
    *,
    term: Cycle | None,
    start: date,
    current_end: date | None = None,
    may_coterm: bool = True,
    field: str = "align_to",
) -> None:
    """Refuse an alignment that vendors do not allow (Microsoft's new commerce, Partner Center documentation).

    A monthly term may end with anything; a term of a year or more with nothing that is bought by the month.

    Args:
        target: what it is to end with.
        term: the line's own; ``None`` for a line without one.
        start: its first day.
        current_end: the first day after the term it has now, for what runs already.
        may_coterm: whether the commitment rule allows co-terms at all.
        field: the input, for the refusal.

    Raises:
        DomainError: ``invalid``, saying which rule stands against it.
    """
    last = format_date(target.end - _DAY)
    if not may_coterm:
        raise DomainError(
            "invalid", "Its commitment rule does not allow a co-term.", field=field,
            hint="Let it run for its own term, or choose an offer whose rule allows it.",
        )  # fmt: skip
    if target.end <= start:
        raise DomainError("invalid", f"It starts on {format_date(start)}, after {last}.", field=field)
    if current_end is not None and target.end < current_end:
        now = format_date(current_end - _DAY)
        raise DomainError(
            "invalid", f"It runs until {now}; it cannot be aligned to end before, on {last}.", field=field
        )
    if term is not None and not _is_short(term) and target.term is not None and _is_short(target.term):
        name = f" ({target.name})" if target.name else ""
        raise DomainError(
            "invalid", f"A term of a year or more cannot be aligned to one bought by the month{name}.", field=field,
            hint="Align it to another annual term, or to a date.",
        )  # fmt: skip


def _is_short(term: Cycle) -> bool:
    """Whether a term is bought by the month, as against by the year."""
    return term.months is None or term.months < 12


def calendar_anniversary(start: date, term: Cycle) -> date:
    """The first day after a term that is aligned to calendar months (WE-25).

    A monthly term ends with the month it is bought in; one of 12 months with the 11th calendar month after.

    Raises:
        DomainError: ``invalid`` for a term of days or weeks.
    """
    if term.months is None:
        raise DomainError("invalid", "Only a term of months or years ends with a calendar month.", field="term")
    return month_end(add_months(month_start(start), term.months - 1)) + _DAY


def first_term_end(start: date, end: date, term: Cycle) -> date:
    """The first day after the first term of a line that is aligned to ``end``: no longer than a whole term.

    Terms are counted back from ``end``, so an annual line aligned to the end of three years is first shortened to its
    next anniversary, and renews for whole years from there on.
    """
    n = 0
    while term.after(end, -(n + 1)) > start:
        n += 1
    return term.after(end, -n)


# -- one line ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Alignment:
    """An aligned line with its amounts.

    Attributes:
        service: all its days, up to the anniversary.
        terms: how it is billed: its periods are counted from ``terms.anchor``.
        first: the days of the first period it is billed for.
        share: what of a whole period these are.
        first_amount: what is billed for them.
        cycles: how many periods are billed, the first included.
        total: what is billed for all its days.
        explanation: how the first amount comes about.
    """

    service: Period
    terms: Terms
    first: Period
    share: Share
    first_amount: Decimal
    cycles: int
    total: Decimal
    explanation: str

    @property
    def is_shortened(self) -> bool:
        """Whether the first period is less than a whole one."""
        return self.share.part != self.share.of


def own_terms(start: date, end: date, cycle: Cycle, method: ProrationMethod = ProrationMethod.ACTUAL_DAYS) -> Terms:
    """How an aligned line is billed that joins nobody's agreement, so that its first period is the short one.

    Where all of it fits into one cycle, that cycle is counted from its first day: 1 Jul to 1 Oct is 92 of the 365 days
    that the year from 1 Jul has (WE-15). Otherwise, and where months to the anniversary are counted (Adobe VIP),
    cycles are counted back from the anniversary, to a day that later months need not cut.
    """
    anchor = start
    if method in _TO_ANNIVERSARY or cycle.after(start, 1) < end:
        n = 1
        while (anchor := cycle.after(end, -n)) > start or cycle.after(anchor, n) != end:
            n += 1
    return Terms(cycle=cycle, anchor=anchor, method=method, last_day=end - _DAY)


def align(
    *,
    start: date,
    end: date,
    cycle: Cycle,
    quantity: Decimal,
    unit_price: Decimal,
    method: ProrationMethod = ProrationMethod.ACTUAL_DAYS,
    terms: Terms | None = None,
) -> Alignment:
    """Price a line from ``start`` up to the anniversary ``end``, as it will be billed.

    Args:
        start: its first day.
        end: the first day after its last.
        cycle: how often it is billed.
        quantity: units.
        unit_price: per unit and cycle.
        method: how the shortened period is measured.
        terms: of the agreement it joins; ``cycle`` and ``method`` are then that agreement's. Its own otherwise.

    Raises:
        DomainError: ``invalid`` for an end that is not after the start, or beyond the agreement's last day.
    """
    service = Period(start, end)
    if end > add_months(start, 12 * MOST_YEARS):
        raise DomainError("invalid", f"A term ends within {MOST_YEARS} years.", field="align_to")
    terms = terms or own_terms(start, end, cycle, method)
    if terms.last_day is not None and terms.last_day < service.inclusive_end:
        last = format_date(service.inclusive_end)
        raise DomainError(
            "invalid", f"The agreement ends on {format_date(terms.last_day)}, before {last}.", field="align_to"
        )
    charge = Charge("line", (Step(start, quantity, unit_price),), max(start, terms.anchor), service.inclusive_end)
    n = period_index(terms.anchor, terms.cycle, start, terms.base)
    items = [item for bill in bills_due(terms, [charge], through=end, first=n) for item in bill.items]
    whole = whole_period(terms.anchor, terms.cycle, n, terms.base)
    first = Period(max(start, whole.start), min(whole.end, end))
    firsts = [item for item in items if whole.start <= item.period.start < whole.end]
    share = prorate(terms.method, whole, first)
    return Alignment(
        service=service,
        terms=terms,
        first=first,
        share=share,
        first_amount=_sum(firsts),
        cycles=period_index(terms.anchor, terms.cycle, service.inclusive_end, terms.base) - n + 1,
        total=_sum(items),
        explanation=firsts[0].explanation if firsts else f"{share.words}: nothing is charged for {first.label}",
    )


def _sum(items: Iterable[BilledItem]) -> Decimal:
    return sum_money(item.amount for item in items)


# -- several, brought to one anniversary -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that runs and could end with others.

    Attributes:
        key: what the caller knows it by.
        name: what people call it.
        quantity: units.
        unit_price: per unit and cycle.
        current_end: the first day after the term it has now.
        cycle: how often it is billed.
        term: what it was bought for; ``None`` when it has none.
        terms: of its agreement; its own otherwise.
        method: how a part of a period is measured, where it has no agreement.
        may_coterm: whether its commitment rule allows it.
    """

    key: Hashable
    name: str
    quantity: Decimal
    unit_price: Decimal
    current_end: date
    cycle: Cycle
    term: Cycle | None = None
    terms: Terms | None = None
    method: ProrationMethod = ProrationMethod.ACTUAL_DAYS
    may_coterm: bool = True


@dataclass(frozen=True, slots=True)
class ProposedLine:
    """What bringing one of them to the anniversary takes: from when to when, which part, and what it costs."""

    candidate: Candidate
    service: Period | None
    part: str
    amount: Decimal
    explanation: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """Several brought to one anniversary, and its cost. ``refused`` says who cannot come along, and why."""

    end: date
    lines: tuple[ProposedLine, ...]
    refused: tuple[tuple[Candidate, str], ...]

    @property
    def total(self) -> Decimal:
        """What it costs, before tax."""
        return sum_money(line.amount for line in self.lines)


def common_anniversary(candidates: Sequence[Candidate], month: int | None = None, day: int = 1) -> date:
    """The earliest day on which all of them can end together: none may be cut short.

    Args:
        candidates: what is to end together.
        month: on this month's ``day``, if one is wanted: four that renew on 15 Mar, 1 Jun, 22 Aug and 3 Nov come
            together on the next 1 Jan (WE-15).
        day: 1 to 28.

    Raises:
        DomainError: ``required`` without candidates; ``invalid`` for a day that not every year has.
    """
    if not candidates:
        raise DomainError("required", "Choose what is to end together.", field="addition_ids")
    latest = max(candidate.current_end for candidate in candidates)
    if month is None:
        return latest
    if not 1 <= month <= 12 or not 1 <= day <= 28:
        raise DomainError("invalid", "An anniversary is a day from 1 to 28 of a month.", field="day")
    this_year = date(latest.year, month, day)
    return this_year if this_year >= latest else date(latest.year + 1, month, day)


def propose(candidates: Sequence[Candidate], target: Target) -> Proposal:
    """Bring several to one anniversary: each runs on from its current end, for a shortened term that ends then."""
    lines: list[ProposedLine] = []
    refused: list[tuple[Candidate, str]] = []
    for each in candidates:
        if each.current_end == target.end:
            lines.append(ProposedLine(each, None, "", ZERO, "It ends then already"))
            continue
        try:
            check_alignment(
                target,
                term=each.term,
                start=min(each.current_end, target.end - _DAY),
                current_end=each.current_end,
                may_coterm=each.may_coterm,
            )
            aligned = align(
                start=each.current_end,
                end=target.end,
                cycle=each.cycle,
                quantity=each.quantity,
                unit_price=each.unit_price,
                method=each.method,
                terms=each.terms,
            )
        except DomainError as refusal:
            refused.append((each, refusal.message))
            continue
        lines.append(ProposedLine(each, aligned.service, _part(aligned), aligned.total, aligned.explanation))
    return Proposal(target.end, tuple(lines), tuple(refused))


def _part(aligned: Alignment) -> str:
    """``17 of 31 days``; with whole periods after the first: ``17 of 31 days and 4 months``; else ``5 months``."""
    if aligned.first.end == aligned.service.end:
        return aligned.share.words
    begin = aligned.first.end if aligned.is_shortened else aligned.service.start
    months = months_between(begin, aligned.service.end)
    left = (aligned.service.end - add_months(begin, months)).days
    counted = [f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in ((months, "month"), (left, "day")) if n]
    return " and ".join([*([aligned.share.words] if aligned.is_shortened else []), " ".join(counted)])
