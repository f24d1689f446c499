from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.calendar import (
    BIWEEKLY,
    CYCLES,
    MONTHLY,
    QUARTERLY,
    TRIENNIAL,
    WEEKLY,
    YEARLY,
    Cycle,
    Period,
    add_months,
    billing_period,
    calendar_month,
    format_date,
    month_end,
    month_start,
    months_between,
    next_month_end,
    nth_period,
    period_index,
    periods_through,
    whole_period,
)
from counterfoil.core.errors import DomainError

days = st.dates(date(1990, 1, 1), date(2090, 12, 31))


def test_an_agreement_anchored_on_the_31st_returns_to_it_after_february() -> None:
    starts = [nth_period(date(2026, 1, 31), MONTHLY, n).start for n in range(5)]
    assert starts == [date(2026, 1, 31), date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30), date(2026, 5, 31)]


def test_a_leap_day_anchor_returns_to_the_leap_day() -> None:
    assert [nth_period(date(2024, 2, 29), YEARLY, n).start.day for n in range(5)] == [29, 28, 28, 28, 29]


@given(anchor=days, cycle=st.sampled_from(list(CYCLES.values())), n=st.integers(-20, 60))
def test_periods_touch_and_never_overlap(anchor: date, cycle: Cycle, n: int) -> None:
    assert nth_period(anchor, cycle, n).end == nth_period(anchor, cycle, n + 1).start
    assert nth_period(anchor, cycle, 0).start == anchor


@pytest.mark.parametrize(
    ("start", "end", "label"),
    [
        (date(2026, 1, 1), date(2026, 2, 1), "Jan 2026"),
        (date(2026, 1, 1), date(2026, 4, 1), "1 Jan 2026 – 31 Mar 2026"),
        (date(2026, 1, 15), date(2026, 2, 15), "15 Jan 2026 – 14 Feb 2026"),
        (date(2026, 3, 15), date(2026, 3, 16), "15 Mar 2026"),
    ],
)
def test_periods_are_shown_inclusive(start: date, end: date, label: str) -> None:
    assert Period(start, end).label == label


def test_through_the_31st_and_through_the_1st_of_april() -> None:
    """WE-19."""
    january = date(2026, 1, 1)
    assert [p.label for p in periods_through(january, MONTHLY, date(2026, 3, 31))] == [
        "Jan 2026",
        "Feb 2026",
        "Mar 2026",
    ]
    assert periods_through(january, MONTHLY, date(2026, 4, 1))[-1].label == "Apr 2026"
    assert periods_through(january, MONTHLY, date(2025, 12, 31)) == ()


def test_a_three_year_agreement_has_36_months_and_no_more() -> None:
    periods = periods_through(date(2026, 1, 1), MONTHLY, date(2040, 1, 1), end=date(2029, 1, 1))
    assert len(periods) == 36
    assert periods[-1].label == "Dec 2028"


def test_the_last_period_is_cut_at_the_end() -> None:
    quarters = periods_through(date(2026, 1, 1), QUARTERLY, date(2026, 12, 31), end=date(2026, 5, 16))
    assert [p.label for p in quarters] == ["1 Jan 2026 – 31 Mar 2026", "1 Apr 2026 – 15 May 2026"]


@pytest.mark.parametrize(
    ("day", "months", "result"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 3, 31), -1, date(2026, 2, 28)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 1, 15), -13, date(2024, 12, 15)),
    ],
)
def test_adding_months_clamps_to_the_month_end(day: date, months: int, result: date) -> None:
    assert add_months(day, months) == result


@given(start=days, months=st.integers(0, 400), extra=st.integers(0, 27))
def test_whole_months_between_two_days(start: date, months: int, extra: int) -> None:
    end = add_months(start, months)
    assert months_between(start, end) == months
    assert months_between(end, start) == -months
    first = month_start(start)
    assert months_between(first, add_months(first, months) + timedelta(days=extra)) == months


def test_month_edges() -> None:
    assert month_start(date(2026, 2, 14)) == date(2026, 2, 1)
    assert month_end(date(2024, 2, 14)) == date(2024, 2, 29)
    assert next_month_end(date(2026, 1, 31)) == date(2026, 2, 28)
    assert calendar_month(date(2026, 12, 31)) == Period(date(2026, 12, 1), date(2027, 1, 1))


def test_days_in_and_out_of_a_period() -> None:
    january = calendar_month(date(2026, 1, 10))
    assert date(2026, 1, 31) in january
    assert date(2026, 2, 1) not in january
    assert january.days == 31
    assert january.overlap(Period(date(2026, 1, 20), date(2026, 3, 1))) == Period(date(2026, 1, 20), date(2026, 2, 1))
    assert january.overlap(Period(date(2026, 2, 1), date(2026, 3, 1))) is None


@pytest.mark.parametrize("cycle", [*CYCLES.values(), Cycle("day", 10), Cycle("month", 5)])
def test_a_cycle_reads_back_from_its_code(cycle: Cycle) -> None:
    assert Cycle.parse(cycle.code) == cycle


def test_cycles_have_the_names_of_the_field() -> None:
    assert Cycle.parse("Quarterly") == QUARTERLY
    assert (QUARTERLY.label, Cycle("month", 5).label, WEEKLY.months, YEARLY.months) == (
        "Quarterly",
        "Every 5 months",
        None,
        12,
    )
    assert nth_period(date(2026, 1, 1), WEEKLY, 2).label == "15 Jan 2026 – 21 Jan 2026"
    assert format_date(date(2026, 3, 5)) == "5 Mar 2026"


@pytest.mark.parametrize(
    "code", ["", "month", "month:0", "month:-1", "decade:1", "month:1.5", "month:99999", "month:²"]
)
def test_what_is_not_a_cycle_is_refused(code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        Cycle.parse(code)
    assert refusal.value.field == "cycle"


def test_a_period_must_have_a_day() -> None:
    with pytest.raises(DomainError):
        Period(date(2026, 1, 1), date(2026, 1, 1))


@pytest.mark.parametrize(("day", "months"), [(date(9999, 12, 1), 1), (date(1, 1, 31), -1), (date(2026, 1, 1), 10**6)])
def test_a_month_beyond_the_calendar_is_refused(day: date, months: int) -> None:
    with pytest.raises(DomainError, match="the year 1 to 9999"):
        add_months(day, months)


@pytest.mark.parametrize(
    ("ordered", "last_day"),
    [
        (date(2026, 7, 31), date(2026, 8, 30)),
        (date(2026, 4, 30), date(2026, 5, 29)),
        (date(2026, 2, 28), date(2026, 3, 27)),
        (date(2024, 2, 29), date(2024, 3, 28)),
    ],
)
def test_an_order_on_the_last_day_of_a_month_ends_a_day_before_it(ordered: date, last_day: date) -> None:
    """WE-24."""
    assert billing_period(ordered, MONTHLY, 0).inclusive_end == last_day


def test_the_first_charge_of_a_plan_bought_on_the_15th() -> None:
    """WE-23: bought on 15 Feb 2022, billed monthly: 15 Feb to 14 Mar."""
    assert billing_period(date(2022, 2, 15), MONTHLY, 0).label == "15 Feb 2022 – 14 Mar 2022"


@pytest.mark.parametrize(
    ("anchor", "cycle", "labels"),
    [
        (date(2026, 1, 20), MONTHLY, ["20 Jan 2026 – 31 Jan 2026", "Feb 2026", "Mar 2026"]),
        (date(2026, 2, 10), QUARTERLY, ["10 Feb 2026 – 31 Mar 2026", "1 Apr 2026 – 30 Jun 2026"]),
        (date(2026, 2, 10), Cycle("month", 6), ["10 Feb 2026 – 30 Jun 2026", "1 Jul 2026 – 31 Dec 2026"]),
        (date(2026, 7, 1), YEARLY, ["1 Jul 2026 – 31 Dec 2026", "1 Jan 2027 – 31 Dec 2027"]),
        (date(2026, 7, 1), TRIENNIAL, ["1 Jul 2026 – 31 Dec 2028", "1 Jan 2029 – 31 Dec 2031"]),
        (date(2026, 7, 1), Cycle("month", 5), ["1 Jul 2026 – 31 Oct 2026", "1 Nov 2026 – 31 Mar 2027"]),
        (date(2026, 1, 1), WEEKLY, ["1 Jan 2026 – 4 Jan 2026", "5 Jan 2026 – 11 Jan 2026"]),
        (date(2026, 1, 1), BIWEEKLY, ["1 Jan 2026 – 11 Jan 2026", "12 Jan 2026 – 25 Jan 2026"]),
        (date(2026, 1, 1), Cycle("day", 10), ["1 Jan 2026 – 10 Jan 2026", "11 Jan 2026 – 20 Jan 2026"]),
    ],
)
def test_periods_by_the_calendar(anchor: date, cycle: Cycle, labels: list[str]) -> None:
    assert [billing_period(anchor, cycle, n, "calendar").label for n in range(len(labels))] == labels


@given(anchor=days, cycle=st.sampled_from(list(CYCLES.values())), n=st.integers(0, 60))
def test_calendar_periods_touch_and_lie_in_their_whole(anchor: date, cycle: Cycle, n: int) -> None:
    period, whole = billing_period(anchor, cycle, n, "calendar"), whole_period(anchor, cycle, n, "calendar")
    assert period.end == billing_period(anchor, cycle, n + 1, "calendar").start == whole.end
    assert anchor in billing_period(anchor, cycle, 0, "calendar")
    assert period == whole if n else whole.start <= anchor == period.start
    assert whole_period(anchor, cycle, n) == nth_period(anchor, cycle, n)


@given(
    anchor=days,
    cycle=st.sampled_from([*CYCLES.values(), Cycle("month", 5), Cycle("week", 3), Cycle("day", 10)]),
    after=st.integers(0, 5000),
    base=st.sampled_from(["contract", "calendar"]),
)
def test_every_day_from_the_anchor_on_lies_in_its_period(anchor: date, cycle: Cycle, after: int, base: str) -> None:
    day = anchor + timedelta(days=after)
    assert day in billing_period(anchor, cycle, period_index(anchor, cycle, day, base), base)
    assert period_index(anchor, cycle, anchor - timedelta(days=1), base) == 0
