"""Shares of a period, by every method."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.calendar import MONTHLY, QUARTERLY, WEEKLY, YEARLY, Cycle, Period, nth_period
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money
from counterfoil.core.proration import WHOLE, ProrationMethod, prorate

M = ProrationMethod
WEEK = Period(date(2026, 1, 5), date(2026, 1, 12))
JANUARY = Period(date(2026, 1, 1), date(2026, 2, 1))
QUARTER = Period(date(2026, 1, 1), date(2026, 4, 1))
YEAR = Period(date(2026, 1, 1), date(2027, 1, 1))


def first_days(whole: Period, days: int) -> Period:
    return Period(whole.start, whole.start + timedelta(days=days))


def last_days(whole: Period, days: int) -> Period:
    return Period(whole.end - timedelta(days=days), whole.end)


@pytest.mark.parametrize(
    ("price", "whole", "days", "amount"),
    [
        (70, WEEK, 5, "50.00"),
        (70, WEEK, 6, "60.00"),
        (930, JANUARY, 23, "690.00"),
        (930, JANUARY, 16, "480.00"),
        (930, JANUARY, 28, "840.00"),
        (930, JANUARY, 27, "810.00"),
    ],
)
def test_actual_days(price: int, whole: Period, days: int, amount: str) -> None:
    """WE-11."""
    share = prorate(M.ACTUAL_DAYS, whole, first_days(whole, days))
    assert round_money(price * share.fraction) == Decimal(amount)
    assert share.words == f"{days} of {whole.days} days"
    assert prorate(M.ACTUAL_DAYS, whole, last_days(whole, days)).fraction == share.fraction


@pytest.mark.parametrize(
    ("price", "whole", "days", "amount", "words"),
    [
        (90, QUARTER, 13, "0.00", "0 of 3 months"),
        (90, QUARTER, 21, "30.00", "1 of 3 months"),
        (120, YEAR, 134, "40.00", "4 of 12 months"),
        (120, YEAR, 138, "50.00", "5 of 12 months"),
        (120, YEAR, 364, "120.00", "12 of 12 months"),
    ],
)
def test_whole_months_by_the_threshold(price: int, whole: Period, days: int, amount: str, words: str) -> None:
    """WE-11."""
    share = prorate(M.WHOLE_MONTHS, whole, first_days(whole, days))
    assert (round_money(price * share.fraction), share.words) == (Decimal(amount), words)


def test_the_last_part_is_the_price_less_the_first() -> None:
    """WE-11: 100.00 a month from 19 Feb to 18 Aug 2018 is 593.77 by days, 600.00 with the remainder."""
    february, august = nth_period(date(2018, 2, 1), MONTHLY, 0), nth_period(date(2018, 8, 1), MONTHLY, 0)
    first = prorate(M.REMAINDER, february, Period(date(2018, 2, 19), february.end))
    by_days = prorate(M.ACTUAL_DAYS, august, first_days(august, 18))
    rest = prorate(M.REMAINDER, august, first_days(august, 18), first=first)
    amounts = [round_money(100 * share.fraction) for share in (first, by_days, rest)]
    assert amounts == [Decimal("35.71"), Decimal("58.06"), Decimal("64.29")]
    assert amounts[0] + 500 + amounts[1] == Decimal("593.77")
    assert amounts[0] + 500 + amounts[2] == Decimal("600.00")
    assert rest.words == "the rest after 10 of 28 days"


@pytest.mark.parametrize(
    ("start", "free", "begun"),
    [
        (date(2026, 1, 2), "11 of 12 months", "12 of 12 months"),
        (date(2026, 6, 1), "7 of 12 months", "7 of 12 months"),
        (date(2026, 6, 2), "6 of 12 months", "7 of 12 months"),
        (date(2026, 12, 15), "0 of 12 months", "1 of 12 months"),
    ],
)
def test_whole_months_to_the_anniversary(start: date, free: str, begun: str) -> None:
    used = Period(start, YEAR.end)
    assert prorate(M.ANNIVERSARY_MONTHS, YEAR, used).words == free
    assert prorate(M.ANNIVERSARY_MONTHS_BEGUN, YEAR, used).words == begun


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (date(2026, 2, 15), "16 of 30 days"),
        (date(2026, 2, 2), "29 of 30 days"),
        (date(2026, 1, 15), "16 of 30 days"),
        (date(2026, 1, 31), "1 of 30 days"),
        (date(2026, 4, 16), "15 of 30 days"),
    ],
)
def test_months_of_thirty_days(start: date, words: str) -> None:
    month = nth_period(start.replace(day=1), MONTHLY, 0)
    assert prorate(M.THIRTY_360, month, Period(start, month.end)).words == words


def test_elapsed_or_remaining() -> None:
    """WE-12: five units more at 20.00 with 49.9 % of the period elapsed: the rest, 50.1 %, is charged."""
    whole = Period(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=1000))
    remaining = prorate(M.ACTUAL_DAYS, whole, Period(whole.start + timedelta(days=499), whole.end))
    assert round_money(5 * 20 * remaining.fraction) == Decimal("50.10")
    assert round_money(5 * 20 * (1 - remaining.fraction)) == Decimal("49.90")


def test_days_outside_the_period_are_refused() -> None:
    with pytest.raises(DomainError) as refusal:
        prorate(M.ACTUAL_DAYS, JANUARY, Period(date(2026, 1, 30), date(2026, 2, 2)))
    assert refusal.value.code == "invalid"


cycles = st.sampled_from([WEEKLY, Cycle("week", 5), MONTHLY, QUARTERLY, YEARLY, Cycle("month", 5), Cycle("day", 45)])


@given(
    method=st.sampled_from(list(M)),
    anchor=st.dates(date(2023, 1, 1), date(2028, 12, 31)),
    cycle=cycles,
    n=st.integers(0, 8),
    data=st.data(),
)
def test_stretches_add_up_to_their_service(
    method: ProrationMethod, anchor: date, cycle: Cycle, n: int, data: st.DataObject
) -> None:
    whole = nth_period(anchor, cycle, n)
    assert prorate(method, whole, whole) == WHOLE
    marks = data.draw(st.sets(st.integers(0, whole.days), min_size=2, max_size=5).map(sorted))
    days = [whole.start + timedelta(days=mark) for mark in marks]
    service = Period(days[0], days[-1])
    stretches = [Period(*pair) for pair in pairwise(days)]
    parts = [prorate(method, whole, used, service=service) for used in stretches]
    assert all(0 <= part.fraction <= 1 for part in parts)
    assert sum((part.fraction for part in parts), Fraction(0)) == prorate(method, whole, service).fraction


@given(anchor=st.dates(date(2023, 1, 1), date(2028, 12, 31)), cycle=cycles, cut=st.integers(1, 26))
def test_a_whole_period_cut_in_two_is_still_whole(anchor: date, cycle: Cycle, cut: int) -> None:
    whole = nth_period(anchor, cycle, 0)
    day = whole.start + timedelta(days=min(cut, whole.days - 1))
    for method in M:
        halves = (Period(whole.start, day), Period(day, whole.end))
        assert sum(prorate(method, whole, half, service=whole).fraction for half in halves) == 1, method
