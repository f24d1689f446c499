"""What a difference costs, a month and over the term.

========================  ======================================================================================
difference                dollars
========================  ======================================================================================
bought dearer             (cost - quoted cost) x quantity, each billing cycle
bought more               (quantity - quoted quantity) x cost, each billing cycle
billed less or cheaper    quoted amount - billed amount, each billing cycle
term of a purchase        cost of the months between the two terms: owed beyond what is sold, or still to be bought
billing frequency         nothing a month; what is collected later (or paid earlier) than was quoted, once
start date                the days between at the monthly amount x 12 / 365
end date                  the same: owed longer than sold or billed, or still to be bought
billed on after the end   what it bills a month, gained; over the term up to its last day, or for twelve months
days of a draft           its share for the days that it bills beside those of the addition, gained
another term              what the quoted term costs
========================  ======================================================================================
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from counterfoil.core.calendar import Cycle
from counterfoil.core.matching.legs import AskedLeg, QuoteLeg
from counterfoil.core.money import ZERO, round_money, round_to

#: Of what has no end, as many months are counted.
OPEN_MONTHS: Final = Fraction(12)
_DAYS_IN_MONTH: Final = Fraction(365, 12)
_DAY: Final = timedelta(days=1)


@lru_cache(maxsize=1024)
def per_month(cycle: str) -> Fraction:
    """How many billing cycles there are in a month."""
    return Cycle.parse(cycle).per_month


@lru_cache(maxsize=1024)
def months_of(code: str) -> Fraction:
    """The length of a term or cycle in months."""
    return 1 / per_month(code)


def quoted_cycle(quote: QuoteLeg) -> str:
    """How often the line is billed; what has a term alone is billed for all of it. Empty is once."""
    return quote.billing_cycle or quote.term


def quoted_months(quote: QuoteLeg) -> Fraction | None:
    """How long the customer is committed, in months; ``None`` for what has no end."""
    if quote.term:
        return months_of(quote.term)
    if quote.cycles and quote.billing_cycle:
        return quote.cycles * months_of(quote.billing_cycle)
    return None


@lru_cache(maxsize=4096)  # of many lines a few terms, and a few days on which they begin
def term_end(start: date, term: str) -> date:
    """The last day of a term."""
    return Cycle.parse(term).after(start, 1) - _DAY


def last_day(line: QuoteLeg | AskedLeg, start: date) -> date | None:
    """The last day that a line is quoted for: by its anniversary, its cycles or its term; none where it is open.

    A term of a month goes on month by month until it is cancelled.
    """
    if line.align_to is not None and line.align_to > start:
        return line.align_to - _DAY
    if line.cycles and line.billing_cycle:
        return Cycle.parse(line.billing_cycle).after(start, line.cycles) - _DAY
    if line.term and months_of(line.term) != 1:
        return term_end(start, line.term)
    return None


def in_cycle(amount: Decimal, cycle: str, wanted: str) -> Decimal:
    """An amount for one ``cycle`` as an amount for one ``wanted`` cycle: 22 a month is 792 for three years."""
    if not cycle or not wanted or cycle == wanted:
        return amount
    return round_to(Fraction(amount) * per_month(cycle) / per_month(wanted), 8)


def over_time(amount: Decimal, quote: QuoteLeg) -> tuple[Decimal, Decimal]:
    """An amount for each of the line's billing cycles as dollars a month, and over its term or once."""
    cycle = quoted_cycle(quote)
    if not cycle:
        return ZERO, round_money(amount)
    monthly = Fraction(amount) * per_month(cycle)
    months = quoted_months(quote)
    return round_money(monthly), round_money(monthly * (OPEN_MONTHS if months is None else months))


def for_months(amount: Decimal, cycle: str, months: Fraction) -> Decimal:
    """What so many months come to at an amount for one billing cycle."""
    return round_money(Fraction(amount) * per_month(cycle) * months)


def for_days(amount: Decimal, cycle: str, days: int) -> Decimal:
    """What so many days come to at an amount for one billing cycle, a year having 365; nothing for what is once."""
    if not cycle:
        return ZERO
    return round_money(Fraction(amount) * per_month(cycle) * days / _DAYS_IN_MONTH)
