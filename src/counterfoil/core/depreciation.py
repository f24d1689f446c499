"""Depreciation schedules: the book methods by the month, US MACRS by the tax year.

Rounding is cumulative: a line is the rounded exact total to date less what was booked before, so no cent is lost and
the last line takes the rest. Declining balance and sum of years' digits are computed by the year of the asset's life,
as the textbooks print them, and each year's figure is spread evenly over its months.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from counterfoil.core.calendar import add_months, month_start, months_between
from counterfoil.core.errors import DomainError
from counterfoil.core.money import CENT, ZERO, format_money, round_money, round_to, sum_money


class Method(StrEnum):
    """How the cost is spread over the life."""

    STRAIGHT_LINE = "straight_line"
    DECLINING_BALANCE_150 = "declining_balance_150"
    DECLINING_BALANCE_200 = "declining_balance_200"
    SUM_OF_YEARS = "sum_of_years"
    UNITS_OF_USE = "units_of_use"
    MACRS_3 = "macrs_3"
    MACRS_5 = "macrs_5"
    MACRS_7 = "macrs_7"
    MACRS_10 = "macrs_10"
    MACRS_15 = "macrs_15"
    MACRS_20 = "macrs_20"

    @property
    def macrs_years(self) -> int | None:
        """The recovery period of a MACRS class; None for a book method."""
        name, _, years = self.value.partition("_")
        return int(years) if name == "macrs" else None


class Convention(StrEnum):
    """When depreciation begins in relation to the day the asset is placed in service."""

    FULL_MONTH = "full_month"
    NEXT_MONTH = "next_month"
    MID_MONTH = "mid_month"
    HALF_YEAR = "half_year"
    MID_QUARTER = "mid_quarter"
    DAILY = "daily"


_DECLINING: Final = {
    Method.DECLINING_BALANCE_150: Fraction(3, 2),
    Method.DECLINING_BALANCE_200: Fraction(2),
}
_MACRS_CONVENTIONS: Final = (Convention.HALF_YEAR, Convention.MID_QUARTER)
_MAX_LIFE: Final = 1200


@dataclass(frozen=True, slots=True)
class DepreciationTerms:
    """What is depreciated, and how.

    MACRS looks at neither salvage nor ``life_months``. ``switch_to_straight_line`` concerns declining balance alone:
    without it the asset may not be fully written off at the end of its life.

    Raises:
        DomainError: ``invalid``, with the field, for a negative or fractional-cent cost, a salvage above the cost, a
            life of no months, or a convention the method does not know.
    """

    method: Method
    convention: Convention
    cost: Decimal
    salvage: Decimal
    in_service: date
    life_months: int
    switch_to_straight_line: bool = True

    def __post_init__(self) -> None:
        _check_amounts(self.cost, self.salvage)
        is_macrs = self.method.macrs_years is not None
        if not is_macrs and not 0 < self.life_months <= _MAX_LIFE:
            raise DomainError("invalid", f"The life must be 1 to {_MAX_LIFE} months.", field="life_months")
        if is_macrs and self.convention not in _MACRS_CONVENTIONS:
            raise DomainError("invalid", "MACRS uses the half-year or the mid-quarter convention.", field="convention")
        if not is_macrs and self.convention is Convention.MID_QUARTER:
            raise DomainError("invalid", "The mid-quarter convention belongs to MACRS.", field="convention")

    @property
    def base(self) -> Decimal:
        """What there is to depreciate: cost less salvage; the whole cost for MACRS."""
        return self.cost if self.method.macrs_years else sum_money((self.cost, -self.salvage))


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One month's depreciation, or for MACRS one tax year's; ``[start, end)`` are whole calendar months or years."""

    sequence: int
    start: date
    end: date
    amount: Decimal
    accumulated: Decimal
    net_book_value: Decimal
    explanation: str


@dataclass(frozen=True, slots=True)
class YearLine:
    """A calendar year's depreciation, with where it leaves the asset on 31 December."""

    year: int
    amount: Decimal
    accumulated: Decimal
    net_book_value: Decimal


@dataclass(frozen=True, slots=True)
class _Span:
    """A stretch of the asset's life over which depreciation runs evenly."""

    months: int
    amount: Fraction
    rule: str


def schedule(terms: DepreciationTerms) -> tuple[ScheduleLine, ...]:
    """Every line of the asset's life, zero lines included.

    Months follow the convention: ``full_month`` begins with the month of service, ``next_month`` with the one after;
    ``mid_month`` takes half of the first and of one more month at the end; ``half_year`` charges six months' worth in
    the calendar year of service, spread over its months in service, and then a month's worth each month; ``daily``
    takes of the first and the last month the days in service.

    Raises:
        DomainError: ``invalid`` for units of use, which depends on the use: see :func:`units_depreciation`.
    """
    if terms.method is Method.UNITS_OF_USE:
        raise DomainError("invalid", "Units of use has no schedule: it follows the units used.", field="method")
    if terms.method.macrs_years is not None:
        return _macrs_schedule(terms)
    spans = _spans(terms)
    lines: list[ScheduleLine] = []
    booked = ZERO
    for start, elapsed in _months(terms):
        exact, span, month = _total_to_date(spans, elapsed)
        accumulated = round_money(exact)
        why = f"{span.rule}, month {month} of {span.months}"
        lines.append(_line(terms, len(lines) + 1, start, add_months(start, 1), booked, accumulated, why))
        booked = accumulated
    return tuple(lines)


def yearly(lines: Sequence[ScheduleLine]) -> tuple[YearLine, ...]:
    """The schedule by calendar year."""
    by_year: dict[int, list[ScheduleLine]] = {}
    for line in lines:
        by_year.setdefault(line.start.year, []).append(line)
    return tuple(
        YearLine(year, sum_money(x.amount for x in group), group[-1].accumulated, group[-1].net_book_value)
        for year, group in by_year.items()
    )


def units_depreciation(
    cost: Decimal, salvage: Decimal, total_units: Decimal, usage: Sequence[Decimal]
) -> tuple[Decimal, ...]:
    """Units of use: each period's share of cost less salvage, as its units stand to the units expected in all.

    Use beyond what was expected costs nothing more: the net book value stays at the salvage.

    Raises:
        DomainError: ``invalid`` for impossible amounts, no units expected, or a negative use.
    """
    _check_amounts(cost, salvage)
    if total_units <= 0:
        raise DomainError("invalid", "The units expected in all must be above zero.", field="total_units")
    amounts: list[Decimal] = []
    used, booked = Fraction(0), ZERO
    for units in usage:
        if units < 0:
            raise DomainError("invalid", "Units used cannot be negative.", field="usage")
        used = min(used + Fraction(units), Fraction(total_units))
        accumulated = round_money(Fraction(sum_money((cost, -salvage))) * used / Fraction(total_units))
        amounts.append(sum_money((accumulated, -booked)))
        booked = accumulated
    return tuple(amounts)


def macrs_percentages(years: int, convention: Convention, quarter: int = 1) -> tuple[Decimal, ...]:
    """The percentages of Pub. 946, Tables A-1 to A-5, computed from the rule behind them.

    200 % declining balance (150 % for 15- and 20-year property) on what is left, or straight line over the rest of
    the recovery period as soon as that is no less. Each figure is rounded as printed, to 0.01 % (0.001 % for 20-year
    property), before the next is computed; the last takes what is left, so they add up to 100. The print departs from
    its rule twice: 7-year property of the second quarter takes 0.01 less in the first year and more in the last, as it
    does here; 20-year property of the first has 7.000 for 7.008, which would not add up to 100, and is not followed.

    Args:
        years: the recovery period: 3, 5, 7, 10, 15 or 20.
        convention: half-year, or mid-quarter with the ``quarter`` (1 to 4) in which the property is placed in service.
    """
    first = Fraction(1, 2) if convention is Convention.HALF_YEAR else Fraction(9 - 2 * quarter, 8)
    rate = Fraction(2 if years <= 10 else Fraction(3, 2)) / years
    places = 3 if years == 20 else 2
    left, figures, portion, life = Decimal(100), list[Decimal](), first, Fraction(years)
    while life > portion:
        figure = round_to(Fraction(left) * max(rate * portion, portion / life), places)
        figures.append(figure)
        left -= figure
        life -= portion
        portion = Fraction(1)
    figures.append(left)
    if (years, first) == (7, Fraction(5, 8)):
        figures[0], figures[-1] = figures[0] - CENT, figures[-1] + CENT
    return tuple(figures)


def mid_quarter_applies(basis_by_quarter: Sequence[Decimal]) -> bool:
    """Whether a tax year's MACRS property must use the mid-quarter convention: over 40 % of its basis came in Q4.

    ``basis_by_quarter`` are the four quarters' bases, after § 179 and before bonus depreciation (Pub. 946).
    """
    return Fraction(basis_by_quarter[3]) > Fraction(2, 5) * sum(map(Fraction, basis_by_quarter))


@dataclass(frozen=True, slots=True)
class TaxBasis:
    """How the cost is deducted for tax: at once under § 179, at once as bonus, and the rest under MACRS."""

    section_179: Decimal
    bonus: Decimal
    macrs: Decimal


def tax_basis(cost: Decimal, section_179: Decimal = ZERO, bonus_rate: Decimal = ZERO) -> TaxBasis:
    """Split the cost in the order the law has it: § 179 first, bonus on the rest, MACRS on what is left then.

    Raises:
        DomainError: ``invalid`` when § 179 exceeds the cost or the bonus rate is not 0 to 1.
    """
    if not 0 <= section_179 <= cost:
        raise DomainError("invalid", "The § 179 deduction must lie between zero and the cost.", field="section_179")
    if not 0 <= bonus_rate <= 1:
        raise DomainError("invalid", "The bonus rate must lie between 0 and 100 %.", field="bonus_rate")
    rest = sum_money((cost, -section_179))
    bonus = round_money(Fraction(rest) * Fraction(bonus_rate))
    return TaxBasis(section_179, bonus, sum_money((rest, -bonus)))


def _check_amounts(cost: Decimal, salvage: Decimal) -> None:
    if not cost.is_finite() or cost < 0 or round_money(cost) != cost:
        raise DomainError("invalid", "The cost must be an amount in whole cents, not below zero.", field="cost")
    if not salvage.is_finite() or salvage < 0 or round_money(salvage) != salvage:
        raise DomainError("invalid", "The salvage must be an amount in whole cents, not below zero.", field="salvage")
    if salvage > cost:
        raise DomainError(
            "invalid",
            f"The salvage, {format_money(salvage)}, is more than the cost, {format_money(cost)}.",
            field="salvage",
        )


def _line(
    terms: DepreciationTerms, sequence: int, start: date, end: date, booked: Decimal, accumulated: Decimal, why: str
) -> ScheduleLine:
    amount, left = sum_money((accumulated, -booked)), sum_money((terms.cost, -accumulated))
    return ScheduleLine(sequence, start, end, amount, accumulated, left, why)


def _macrs_schedule(terms: DepreciationTerms) -> tuple[ScheduleLine, ...]:
    quarter = (terms.in_service.month + 2) // 3
    lines: list[ScheduleLine] = []
    percent, booked = Fraction(0), ZERO
    for figure in macrs_percentages(terms.method.macrs_years or 0, terms.convention, quarter):
        percent += Fraction(figure)
        accumulated = round_money(Fraction(terms.cost) * percent / 100)
        year = terms.in_service.year + len(lines)
        why = f"{figure} % of {format_money(terms.cost)}"
        lines.append(_line(terms, len(lines) + 1, date(year, 1, 1), date(year + 1, 1, 1), booked, accumulated, why))
        booked = accumulated
    return tuple(lines)


def _spans(terms: DepreciationTerms) -> list[_Span]:
    """The life in stretches of even depreciation: one for straight line, else one for each year of the life."""
    base = Fraction(terms.base)
    if terms.method is Method.STRAIGHT_LINE:
        return [_Span(terms.life_months, base, f"{format_money(terms.base)} over the life")]
    lengths = [min(12, terms.life_months - done) for done in range(0, terms.life_months, 12)]
    if terms.method is Method.SUM_OF_YEARS:
        return _sum_of_years(base, lengths)
    return _declining_balance(terms, lengths)


def _sum_of_years(base: Fraction, lengths: Sequence[int]) -> list[_Span]:
    """Each year weighs as many years as remain at its beginning: 5/15, 4/15, ... of a five-year life."""
    weights = [sum(lengths[year:]) * length for year, length in enumerate(lengths)]
    whole, amount = sum(weights), format_money(round_money(base))
    return [
        _Span(length, base * weight / whole, f"Year {year}: {Fraction(weight, whole)} of {amount}")
        for year, (length, weight) in enumerate(zip(lengths, weights, strict=True), 1)
    ]


def _declining_balance(terms: DepreciationTerms, lengths: Sequence[int]) -> list[_Span]:
    """A fixed rate of the net book value, never below salvage; straight line from when that writes off no less."""
    rate = _DECLINING[terms.method] * 12 / terms.life_months
    left, salvage, life = Fraction(terms.cost), Fraction(terms.salvage), terms.life_months
    spans: list[_Span] = []
    for year, length in enumerate(lengths, 1):
        declining, straight = left * rate * length / 12, (left - salvage) * length / life
        switched = terms.switch_to_straight_line and straight >= declining
        amount = straight if switched else min(declining, left - salvage)
        percent = f"{round_to(rate * 100, 2)} %"
        how = "straight line over the rest" if switched else f"{percent} of {format_money(round_money(left))}"
        spans.append(_Span(length, amount, f"Year {year}: {how}"))
        left -= amount
        life -= length
    return spans


def _total_to_date(spans: Sequence[_Span], elapsed: Fraction) -> tuple[Fraction, _Span, int]:
    """Depreciation after ``elapsed`` months of life, the span that lies in, and the month of that span."""
    total = Fraction(0)
    for span in spans[:-1]:
        if elapsed <= span.months:
            break
        total += span.amount
        elapsed -= span.months
    else:
        span = spans[-1]
    return total + span.amount * elapsed / span.months, span, -int(-elapsed // 1)


def _months(terms: DepreciationTerms) -> Iterator[tuple[date, Fraction]]:
    """Each calendar month that bears depreciation, with the months of life that have elapsed at its end."""
    first, life = month_start(terms.in_service), Fraction(terms.life_months)
    if terms.convention is Convention.NEXT_MONTH:
        first = add_months(first, 1)
    elapsed, n = Fraction(0), 0
    while elapsed < life:
        n += 1
        elapsed = min(life, _elapsed(terms, first, n))
        yield add_months(first, n - 1), elapsed


def _elapsed(terms: DepreciationTerms, first: date, n: int) -> Fraction:
    """Months of life elapsed at the end of the n-th calendar month from ``first``."""
    match terms.convention:
        case Convention.MID_MONTH:
            return n - Fraction(1, 2)
        case Convention.HALF_YEAR:
            in_first_year = 13 - first.month
            return Fraction(6 * n, in_first_year) if n <= in_first_year else Fraction(6 + n - in_first_year)
        case Convention.DAILY:
            end = add_months(first, n)
            whole = months_between(terms.in_service, end)
            began, ends = add_months(terms.in_service, whole), add_months(terms.in_service, whole + 1)
            return whole + Fraction((end - began).days, (ends - began).days)
        case _:
            return Fraction(n)
