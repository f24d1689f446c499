"""Co-terms: which may be, the first shortened period by each method, and several brought to one anniversary."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from counterfoil.core.calendar import MONTHLY, QUARTERLY, TRIENNIAL, YEARLY, Cycle, Period, add_months
from counterfoil.core.charges import Terms
from counterfoil.core.commitment import Refund, refund
from counterfoil.core.coterm import (
    Candidate,
    Target,
    align,
    calendar_anniversary,
    check_alignment,
    common_anniversary,
    first_term_end,
    own_terms,
    propose,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money
from counterfoil.core.proration import ProrationMethod as M

D = Decimal
ONE = D(1)
OCT_1 = date(2024, 10, 1)


# -- the first period --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cycle", "start", "end", "price", "amount", "words"),
    [
        (YEARLY, date(2024, 7, 1), OCT_1, "264", "66.54", "92 of 365 days"),
        (MONTHLY, date(2024, 1, 15), date(2024, 2, 1), "22", "12.06", "17 of 31 days"),
        (TRIENNIAL, date(2024, 7, 1), OCT_1, "792", "66.54", "92 of 1095 days"),
    ],
)
def test_we_15_a_line_bought_later_ends_with_the_first(
    cycle: Cycle, start: date, end: date, price: str, amount: str, words: str
) -> None:
    aligned = align(start=start, end=end, cycle=cycle, quantity=ONE, unit_price=D(price))
    assert (aligned.first_amount, aligned.share.words, aligned.total) == (D(amount), words, D(amount))
    assert aligned.first == Period(start, end)
    assert aligned.is_shortened
    assert words in aligned.explanation


@pytest.mark.parametrize(
    ("method", "start", "amount", "words"),
    [
        (M.ACTUAL_DAYS, date(2026, 7, 15), "56.42", "78 of 365 days"),
        (M.WHOLE_MONTHS, date(2026, 7, 15), "66.00", "3 of 12 months"),
        (M.THIRTY_360, date(2026, 7, 15), "55.73", "76 of 360 days"),
        (M.ANNIVERSARY_MONTHS, date(2026, 7, 15), "44.00", "2 of 12 months"),
        (M.ANNIVERSARY_MONTHS, date(2026, 7, 1), "66.00", "3 of 12 months"),
        (M.ANNIVERSARY_MONTHS_BEGUN, date(2026, 7, 15), "66.00", "3 of 12 months"),
        (M.ANNIVERSARY_MONTHS, date(2026, 9, 15), "0.00", "0 of 12 months"),
    ],
)
def test_the_shortened_year_by_each_method(method: M, start: date, amount: str, words: str) -> None:
    """264.00 a year, up to 30 Sep 2026: by days, whole months, 30/360, and months to the anniversary (Adobe VIP)."""
    aligned = align(start=start, end=date(2026, 10, 1), cycle=YEARLY, quantity=ONE, unit_price=D(264), method=method)
    assert (aligned.total, aligned.share.words) == (D(amount), words)
    assert (aligned.first_amount, words in aligned.explanation) == (D(amount), True)
    if method is M.THIRTY_360:
        assert round_money(Fraction(264 * 76, 360)) == D(amount)


def test_monthly_billing_counts_back_from_the_anniversary_so_the_first_month_is_the_short_one() -> None:
    aligned = align(start=date(2026, 1, 15), end=date(2026, 5, 1), cycle=MONTHLY, quantity=D(2), unit_price=D(22))
    assert (aligned.first, aligned.share.words) == (Period(date(2026, 1, 15), date(2026, 2, 1)), "17 of 31 days")
    assert (aligned.first_amount, aligned.total) == (D("24.13"), D("156.13"))
    assert (aligned.terms.anchor, aligned.cycles) == (date(2026, 1, 1), 4)


def test_a_line_that_joins_an_agreement_is_billed_by_its_periods() -> None:
    """264.00 from 1 Jul on an agreement whose year is that from 1 Oct 2023, which has 366 days."""
    joined = Terms(cycle=YEARLY, anchor=date(2023, 10, 1))
    aligned = align(start=date(2024, 7, 1), end=OCT_1, cycle=MONTHLY, quantity=ONE, unit_price=D(264), terms=joined)
    assert (aligned.share.words, aligned.first_amount) == ("92 of 366 days", D("66.36"))

    calendar = Terms(cycle=QUARTERLY, anchor=date(2026, 1, 10), base="calendar")
    aligned = align(
        start=date(2026, 2, 10), end=date(2026, 10, 1), cycle=QUARTERLY, quantity=ONE, unit_price=D(90), terms=calendar
    )
    assert (aligned.share.words, aligned.first_amount, aligned.total) == ("50 of 90 days", D("50.00"), D("230.00"))


def test_nothing_is_aligned_beyond_its_agreement() -> None:
    ending = Terms(cycle=MONTHLY, anchor=date(2026, 1, 1), last_day=date(2026, 6, 30))
    with pytest.raises(DomainError, match="ends on 30 Jun 2026, before 31 Jul 2026"):
        align(start=date(2026, 3, 3), end=date(2026, 8, 1), cycle=MONTHLY, quantity=ONE, unit_price=ONE, terms=ending)


def test_nobody_waits_for_an_anniversary_far_away() -> None:
    with pytest.raises(DomainError, match="within 20 years"):
        align(start=OCT_1, end=date(2045, 1, 1), cycle=MONTHLY, quantity=ONE, unit_price=ONE)
    with pytest.raises(DomainError, match="before the first day"):
        Target(date.min)


def test_an_anniversary_on_a_31st_is_kept_through_shorter_months() -> None:
    terms = own_terms(date(2026, 3, 5), date(2026, 5, 31), MONTHLY)
    assert terms.anchor == date(2026, 1, 31)
    assert own_terms(date(2026, 2, 28), date(2026, 3, 31), MONTHLY).anchor == date(2026, 1, 31)
    leap = own_terms(date(2025, 3, 1), date(2028, 2, 29), YEARLY)
    assert leap.anchor == date(2024, 2, 29)


# -- what may be -------------------------------------------------------------------------------------------------------


def allowed(target: Target, term: Cycle, **more: object) -> None:
    check_alignment(target, term=term, **{"start": date(2024, 7, 1), **more})  # type: ignore[arg-type]


def test_we_15_what_may_align_to_what() -> None:
    allowed(Target(OCT_1, YEARLY), YEARLY)
    allowed(Target(OCT_1, TRIENNIAL), YEARLY)
    allowed(Target(OCT_1, YEARLY), TRIENNIAL)
    allowed(Target(OCT_1, MONTHLY), MONTHLY)
    allowed(Target(OCT_1, TRIENNIAL), MONTHLY)
    allowed(Target(OCT_1), TRIENNIAL)
    allowed(Target(OCT_1, YEARLY), YEARLY, current_end=OCT_1)


@pytest.mark.parametrize(
    ("target", "term", "more", "said"),
    [
        (Target(OCT_1, MONTHLY, "Exchange"), YEARLY, {}, r"cannot be aligned to one bought by the month \(Exchange\)"),
        (Target(OCT_1, MONTHLY), TRIENNIAL, {}, "bought by the month"),
        (Target(OCT_1, YEARLY), YEARLY, {"current_end": date(2024, 10, 2)}, "runs until 1 Oct 2024"),
        (Target(date(2024, 7, 1), YEARLY), YEARLY, {}, "starts on 1 Jul 2024, after 30 Jun 2024"),
        (Target(OCT_1, YEARLY), YEARLY, {"may_coterm": False}, "does not allow a co-term"),
    ],
)
def test_we_15_what_may_not(target: Target, term: Cycle, more: dict[str, object], said: str) -> None:
    with pytest.raises(DomainError, match=said) as refused:
        allowed(target, term, **more)
    assert (refused.value.code, refused.value.field) == ("invalid", "align_to")


@pytest.mark.parametrize(
    ("bought", "term", "last_day"),
    [
        (date(2026, 7, 15), MONTHLY, date(2026, 7, 31)),
        (date(2026, 7, 31), MONTHLY, date(2026, 7, 31)),
        (date(2026, 7, 15), YEARLY, date(2027, 6, 30)),
        (date(2026, 3, 31), YEARLY, date(2027, 2, 28)),
        (date(2027, 3, 1), YEARLY, date(2028, 2, 29)),
        (date(2026, 7, 15), TRIENNIAL, date(2029, 6, 30)),
    ],
)
def test_we_25_aligned_to_the_calendar(bought: date, term: Cycle, last_day: date) -> None:
    assert calendar_anniversary(bought, term) - timedelta(days=1) == last_day


def test_terms_of_days_have_no_calendar() -> None:
    with pytest.raises(DomainError, match="months or years"):
        calendar_anniversary(OCT_1, Cycle("day", 30))


@pytest.mark.parametrize(
    ("term", "end", "first_end"),
    [
        (YEARLY, date(2024, 10, 1), date(2024, 10, 1)),
        (YEARLY, date(2025, 7, 15), date(2025, 7, 15)),
        (YEARLY, date(2025, 7, 16), date(2024, 7, 16)),
        (YEARLY, date(2027, 10, 1), date(2024, 10, 1)),
        (TRIENNIAL, date(2027, 7, 1), date(2027, 7, 1)),
        (TRIENNIAL, date(2027, 10, 1), date(2024, 10, 1)),
        (MONTHLY, date(2027, 10, 1), date(2024, 8, 1)),
    ],
)
def test_a_first_term_is_no_longer_than_a_whole_one(term: Cycle, end: date, first_end: date) -> None:
    assert first_term_end(date(2024, 7, 15), end, term) == first_end


# -- one anniversary ---------------------------------------------------------------------------------------------------


def subscription(name: str, end: date, price: str = "365", quantity: int = 1, **more: object) -> Candidate:
    fields: dict[str, object] = {"cycle": YEARLY, "term": YEARLY, **more}
    return Candidate(name, name, D(quantity), D(price), end, **fields)  # type: ignore[arg-type]


FOUR = (
    subscription("Backup", date(2026, 3, 15)),
    subscription("Exchange", date(2026, 6, 1)),
    subscription("Visio", date(2026, 8, 22)),
    subscription("Teams", date(2026, 11, 3)),
)


def test_we_15_four_renewals_come_together_on_1_january() -> None:
    end = common_anniversary(FOUR, month=1)
    assert end == date(2027, 1, 1)
    proposal = propose(FOUR, Target(end))
    assert [(line.candidate.name, line.part, line.amount) for line in proposal.lines] == [
        ("Backup", "292 of 365 days", D("292.00")),
        ("Exchange", "214 of 365 days", D("214.00")),
        ("Visio", "132 of 365 days", D("132.00")),
        ("Teams", "59 of 365 days", D("59.00")),
    ]
    assert (proposal.total, proposal.refused) == (D("697.00"), ())


def test_the_earliest_anniversary_is_the_latest_end() -> None:
    assert common_anniversary(FOUR) == date(2026, 11, 3)
    assert common_anniversary(FOUR, month=11, day=3) == date(2026, 11, 3)
    assert common_anniversary(FOUR, month=11, day=2) == date(2027, 11, 2)
    for month, day in ((13, 1), (2, 29)):
        with pytest.raises(DomainError, match="1 to 28"):
            common_anniversary(FOUR, month=month, day=day)
    with pytest.raises(DomainError, match="Choose"):
        common_anniversary([])


def test_who_cannot_come_along_is_named_and_costs_nothing() -> None:
    proposal = propose(FOUR, Target(date(2026, 8, 22)))
    assert [line.amount for line in proposal.lines] == [D("160.00"), D("82.00"), D("0.00")]
    assert [(candidate.name, "2 Nov 2026" in why) for candidate, why in proposal.refused] == [("Teams", True)]
    monthly = subscription("Phone", date(2026, 8, 1), "10", cycle=MONTHLY, term=MONTHLY)
    fixed = subscription("Fixed", date(2026, 8, 1), may_coterm=False)
    proposal = propose((monthly, fixed), Target(date(2026, 10, 15)))
    assert [(line.part, line.amount) for line in proposal.lines] == [("14 of 31 days and 2 months", D("24.52"))]
    assert [candidate.name for candidate, _ in proposal.refused] == ["Fixed"]


# -- giving back -------------------------------------------------------------------------------------------------------

YEAR = Period(date(2026, 1, 1), date(2027, 1, 1))


@pytest.mark.parametrize(
    ("last_day", "how", "amount", "words"),
    [
        (date(2026, 1, 3), "prorated", "1190.14", "1,200.00 × 362 of 365 days = 1,190.14"),
        (date(2025, 12, 31), "prorated", "1200.00", "1,200.00 × the whole period = 1,200.00"),
        (date(2026, 1, 3), "full", "1200.00", "1,200.00, all of it"),
        (date(2026, 1, 3), "none", "0.00", "nothing"),
        (date(2026, 12, 31), "prorated", "0.00", "nothing"),
    ],
)
def test_we_14_what_is_given_back(last_day: date, how: Refund, amount: str, words: str) -> None:
    assert refund(D("1200.00"), YEAR, last_day, how) == (D(amount), words)


def test_nothing_is_given_back_of_a_time_before() -> None:
    with pytest.raises(DomainError, match="before"):
        refund(ONE, YEAR, date(2025, 12, 30))


# -- whatever the dates ------------------------------------------------------------------------------------------------

days = st.dates(date(2023, 1, 1), date(2029, 12, 31))
cycles = st.sampled_from([MONTHLY, QUARTERLY, YEARLY, TRIENNIAL, Cycle("month", 5)])
prices = st.decimals(D("0.01"), D("900"), places=2)


@given(start=days, length=st.integers(1, 1500), cycle=cycles, price=prices, method=st.sampled_from(list(M)))
def test_an_aligned_line_costs_no_more_than_whole_cycles_and_ends_on_the_day(
    start: date, length: int, cycle: Cycle, price: Decimal, method: M
) -> None:
    end = start + timedelta(days=length)
    aligned = align(start=start, end=end, cycle=cycle, quantity=ONE, unit_price=price, method=method)
    assert aligned.service == Period(start, end)
    assert aligned.first.start == start
    assert aligned.first.end <= end
    assert 0 <= aligned.first_amount <= min(price, aligned.total)
    n = 0
    while cycle.after(end, -(n + 1)) >= start:
        n += 1
    assert aligned.total <= price * (n + 1)
    assert (aligned.cycles == 1) is (aligned.first.end == end)
    if aligned.terms.anchor != start:
        rest = aligned.total - aligned.first_amount
        assert rest == price * ((n - 1) if aligned.first.days and cycle.after(end, -n) == start else n)


@given(start=days, length=st.integers(1, 366), price=prices)
def test_by_days_the_parts_before_and_after_a_day_make_the_whole(start: date, length: int, price: Decimal) -> None:
    end = start + timedelta(days=length)
    assume(end <= add_months(start, 12))
    aligned = align(start=start, end=end, cycle=YEARLY, quantity=ONE, unit_price=price)
    whole = (add_months(start, 12) - start).days
    assert aligned.first_amount == round_money(Fraction(price) * length / whole)


@given(
    ends=st.lists(st.dates(date(2026, 1, 1), date(2027, 6, 30)), min_size=1, max_size=6),
    month=st.integers(1, 12),
    day=st.integers(1, 28),
)
def test_a_common_anniversary_cuts_nobody_short(ends: list[date], month: int, day: int) -> None:
    candidates = [subscription(str(index), end) for index, end in enumerate(ends)]
    end = common_anniversary(candidates, month, day)
    assert (end.month, end.day) == (month, day)
    assert max(ends) <= end < add_months(max(ends), 12) + timedelta(days=1)
    proposal = propose(candidates, Target(end))
    assert not proposal.refused
    assert proposal.total == sum(line.amount for line in proposal.lines)
    assert all(line.service is None or line.service.end == end for line in proposal.lines)


@given(paid=prices, length=st.integers(1, 1100), used=st.integers(0, 1100))
def test_what_is_used_and_what_is_given_back_are_what_was_paid(paid: Decimal, length: int, used: int) -> None:
    assume(used <= length)
    period = Period(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=length))
    amount, _ = refund(paid, period, period.start + timedelta(days=used - 1))
    kept = round_money(Fraction(paid) * used / length)
    assert abs(amount + kept - paid) <= D("0.01")
