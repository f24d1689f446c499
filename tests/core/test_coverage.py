"""What an agreement covers, entry by entry and period by period."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal as D
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.calendar import BIWEEKLY, MONTHLY, QUARTERLY, WEEKLY, YEARLY, Cycle, Period
from counterfoil.core.coverage import (
    OPEN_END,
    Adjustment,
    Allocation,
    BillableOption,
    Coverage,
    CoverageTerms,
    Draw,
    Entry,
    Pool,
    Reason,
    Selection,
    application_periods,
    pool_label,
    reallocate,
)
from counterfoil.core.errors import DomainError

JAN, FEB, MAR, APR = (date(2026, month, 1) for month in (1, 2, 3, 4))


def terms(units: Any = "hours", limit: str | None = "20", **others: Any) -> CoverageTerms:
    told: dict[str, Any] = {"cycle": MONTHLY, "anchor": JAN, "start": JAN} | others
    return CoverageTerms(units=units, limit=None if limit is None else D(limit), **told)


def day(month: int, number: int) -> date:
    return date(2026, month, number)


def work(key: str, on: date, hours: str, rate: str = "100", saved: int = 0, **others: Any) -> Entry:
    told: dict[str, Any] = {"kind": "time"} | others
    return Entry(key=key, on=on, saved=saved, quantity=D(hours), rate=D(rate), amount=D(hours) * D(rate), **told)


def run(
    agreement: CoverageTerms,
    entries: Sequence[Entry],
    adjustments: Sequence[Adjustment] = (),
    through: date = date(2026, 3, 31),
) -> Coverage:
    return reallocate(agreement, entries, adjustments, through=through)


def by_key(coverage: Coverage) -> dict[Any, Allocation]:
    return {allocation.key: allocation for allocation in coverage.allocations}


def covered(coverage: Coverage) -> dict[Any, str]:
    return {x.key: f"{x.covered_quantity.normalize():f}" for x in coverage.allocations}


def recap(pool: Pool) -> tuple[D, ...]:
    """Starting, carried in, adjustments, used, remaining, overrun."""
    return pool.starting, pool.carried_in, pool.adjustments, pool.used, pool.remaining, pool.overrun


# how much is left


def test_a_block_of_ten_hours_shows_what_is_left_on_each_invoice() -> None:
    """WE-1: what is dated after the invoice does not count."""
    block = terms(limit="10", one_time=True, start=MAR)
    entries = [work("a", day(3, 5), "3"), work("b", day(3, 12), "2"), work("c", day(3, 20), "1")]
    for invoiced, left in ((day(3, 7), "7"), (day(3, 15), "5")):
        dated = [entry for entry in entries if entry.on <= invoiced]
        assert run(block, dated, through=invoiced).pools[0].remaining == D(left)


def test_the_recap_adds_up() -> None:
    """WE-26: 20 + 5 - 27 is -2 with overruns; without, 25 are used and 2 are billed."""
    entries = [work("a", day(1, 10), "15"), work("b", day(1, 20), "12")]
    extra = [Adjustment(day(1, 2), D(5), "for the move")]
    allowed = run(terms(allow_overruns=True), entries, extra, day(1, 31))
    assert recap(allowed.pools[0]) == (20, 0, 5, -27, -2, 2)
    assert by_key(allowed)["b"].overrun_amount == 200
    strict = run(terms(), entries, extra, day(1, 31))
    assert recap(strict.pools[0]) == (20, 0, 5, -25, 0, 0)
    assert (by_key(strict)["b"].overage_quantity, by_key(strict)["b"].overage_amount) == (2, 200)


def test_overruns_have_a_limit() -> None:
    agreement = terms(allow_overruns=True, overrun_limit=D(2))
    first = run(agreement, [work("a", day(1, 10), "21")], through=day(1, 31))
    assert first.pools[0].available == 1
    more = run(agreement, [work("a", day(1, 10), "21"), work("b", day(1, 11), "5")], through=day(1, 31))
    late = by_key(more)["b"]
    assert (late.overrun_quantity, late.overage_quantity, late.overage_amount) == (1, 4, 400)
    assert (more.pools[0].remaining, more.pools[0].available) == (-2, 0)


def test_an_overrun_can_be_taken_from_the_next_period() -> None:
    agreement = terms(allow_overruns=True, overrun_limit=D(5), overrun_from="next_period")
    entries = [work("a", day(1, 10), "23"), work("b", day(2, 10), "18")]
    result = run(agreement, entries, through=day(2, 28))
    assert [recap(pool) for pool in result.pools] == [(20, 0, 0, -23, -3, 3), (20, -3, 0, -18, -1, 1)]
    assert [pool.available for pool in result.pools] == [0, 4]  # January could take 2 more, but February has none
    assert by_key(result)["a"].overage_quantity == by_key(result)["a"].overrun_quantity == 0
    assert by_key(result)["a"].draws == (Draw(JAN, False, D(20)), Draw(FEB, False, D(3)))
    assert "3 hours in advance from the period of 1 Feb 2026" in by_key(result)["a"].explanation


def test_no_more_than_the_overrun_limit_is_taken_from_the_next_period() -> None:
    agreement = terms(allow_overruns=True, overrun_limit=D(2), overrun_from="next_period")
    entries = [work("a", day(1, 10), "25"), work("b", day(2, 10), "30")]
    result = run(agreement, entries, through=day(2, 28))
    assert [x.overage_quantity for x in result.allocations] == [3, 10]
    assert [recap(pool) for pool in result.pools] == [(20, 0, 0, -22, -2, 2), (20, -2, 0, -20, -2, 2)]
    billed = [replace(entry, pinned=by_key(result)[entry.key]) for entry in entries]
    assert run(agreement, billed, through=day(2, 28)).pools == result.pools


def test_the_last_period_has_no_next_one_to_overrun_into() -> None:
    agreement = terms(allow_overruns=True, overrun_from="next_period", end=FEB)
    assert by_key(run(agreement, [work("a", day(1, 10), "23")]))["a"].overage_quantity == 3


# sales tax: WE-5

BLOCK = terms("amount", "15000", one_time=True, tax_rate=D("0.06"), prepayment=True)
HOURS = [work(str(n), day(1, 1) + timedelta(days=n % 30), "1", saved=n, tax_rate=D("0.06")) for n in range(1, 152)]


@pytest.mark.parametrize(
    ("agreement", "limit", "drawn", "tax"),
    [
        pytest.param(BLOCK, "15000", "100", "0", id="scenario 1: the limit does not include sales tax"),
        pytest.param(
            replace(BLOCK, covers_sales_tax=True), "15900", "106", "6", id="scenario 2: the limit covers sales tax"
        ),
        pytest.param(
            replace(BLOCK, covers_sales_tax=True, prepayment=False),
            "15000",
            "100",
            "0",
            id="without prepayment the option has no effect",
        ),
    ],
)
def test_15000_at_6_percent_lasts_150_hours(agreement: CoverageTerms, limit: str, drawn: str, tax: str) -> None:
    result = run(agreement, HOURS)
    assert result.pools[0].starting == D(limit)
    *first, last = result.allocations
    assert {(x.covered_amount, x.covered_tax, x.drawn) for x in first} == {(D(100), D(tax), D(drawn))}
    assert (last.covered_amount, last.overage_quantity, last.overage_amount) == (0, 1, 100)
    assert last.reason is Reason.USED_UP
    assert result.pools[0].remaining == 0


def test_a_block_is_granted_with_the_tax_of_its_first_day() -> None:
    agreement = terms(
        "amount", "1000", covers_sales_tax=True, prepayment=True, tax_rate=D("0.06"),
        later_tax_rates=((day(2, 15), D("0.07")), (day(3, 1), D("0.08"))),
    )  # fmt: skip
    pools = run(agreement, [], through=day(3, 31)).pools
    assert [pool.starting for pool in pools] == [1060, 1060, 1080]
    assert agreement.allocation == 1060


def test_an_agreement_in_hours_covers_no_sales_tax() -> None:
    agreement = terms(covers_sales_tax=True, prepayment=True, tax_rate=D("0.06"))
    result = run(agreement, [work("a", JAN, "1", tax_rate=D("0.06"))])
    assert (result.pools[0].starting, result.allocations[0].covered_tax) == (20, 0)


def test_an_exempt_item_draws_no_tax() -> None:
    result = run(replace(BLOCK, covers_sales_tax=True), [work("a", JAN, "1"), work("b", JAN, "1", tax_rate=D("0.06"))])
    assert [x.drawn for x in result.allocations] == [100, 106]


def test_the_last_of_the_block_is_used_to_the_cent() -> None:
    agreement = replace(BLOCK, limit=D("100"), covers_sales_tax=True)
    first, second = run(
        agreement, [work("a", JAN, "0.5", tax_rate=D("0.06")), work("b", FEB, "1", tax_rate=D("0.06"))]
    ).allocations
    assert (first.drawn, first.covered_tax) == (53, 3)
    assert (second.drawn, second.covered_amount, second.covered_tax, second.overage_amount) == (53, 50, 3, 50)
    assert second.explanation == (
        "0.5 of 1 hour covered: 53.00 drawn, 50.00 and 3.00 sales tax; 0.5 hours at 100.00 not covered: 50.00 billed; "
        "0.00 left of 1 Jan 2026 onward."
    )


# in which order


def test_back_dated_work_is_covered_by_its_date_or_as_it_was_saved() -> None:
    entries = [work("late", day(1, 20), "20", saved=1), work("back-dated", day(1, 5), "5", saved=2)]
    assert covered(run(terms(), entries)) == {"back-dated": "5", "late": "15"}
    assert covered(run(terms(order="as_saved"), entries)) == {"late": "20", "back-dated": "0"}


def test_of_one_day_what_was_entered_first_is_covered_first() -> None:
    entries = [work("second", day(1, 5), "15", saved=2), work("first", day(1, 5), "15", saved=1)]
    assert covered(run(terms(), entries)) == {"first": "15", "second": "5"}


def test_what_was_billed_keeps_its_allocation() -> None:
    entries = [work("late", day(1, 20), "20", saved=1), work("back-dated", day(1, 5), "5", saved=2)]
    billed = by_key(run(terms(), entries[:1]))["late"]
    pinned = [replace(entries[0], pinned=billed), entries[1]]
    result = run(terms(), pinned)
    assert by_key(result)["late"] is billed
    assert by_key(result)["back-dated"].overage_quantity == 5


def test_what_was_billed_stays_when_the_limit_is_cut() -> None:
    entry = work("a", day(1, 20), "20")
    billed = by_key(run(terms(), [entry]))["a"]
    result = run(terms(limit="12"), [replace(entry, pinned=billed), work("b", day(1, 3), "1")])
    assert by_key(result)["a"] == billed
    assert by_key(result)["b"].reason is Reason.USED_UP
    assert recap(result.pools[0]) == (12, 0, 0, -20, -8, 8)


# carry-over and adjustments


@pytest.mark.parametrize(
    ("days", "march"),
    [pytest.param(None, (20, 20, 0, 0, 40, 0), id="for good"), pytest.param(20, (20, 5, 0, 0, 20, 0), id="20 days")],
)
def test_what_is_left_is_carried_over_for_its_life(days: int | None, march: tuple[int, ...]) -> None:
    entries = [work("a", day(1, 10), "15"), work("b", day(2, 10), "5")]
    result = run(terms(carry_over=True, carry_over_days=days), entries, through=day(3, 31))
    january, february, third = result.pools
    assert recap(january) == (20, 0, 0, -15, 5, 0)
    assert recap(february) == (20, 5, 0, -5, 20, 0)
    # February's 20 live to 20 March; January's were used first.
    assert by_key(result)["b"].draws == (Draw(JAN, False, D(5)),)
    assert "5 hours carried over from the period of 1 Jan 2026" in by_key(result)["b"].explanation
    if days is None:
        assert recap(third) == march
    else:
        assert (third.carried_in, third.lapsed, third.remaining) == (20, -20, 20)


def test_the_oldest_is_used_first_and_lapses() -> None:
    entries = [work("a", day(2, 10), "3"), work("b", day(2, 25), "2")]
    result = run(terms(limit="2", carry_over=True, carry_over_days=15), entries, through=day(2, 28))
    assert by_key(result)["a"].draws == (Draw(JAN, False, D(2)), Draw(FEB, False, D(1)))
    assert (by_key(result)["b"].covered_quantity, by_key(result)["b"].overage_quantity) == (1, 1)


def test_nothing_is_carried_over_unless_agreed() -> None:
    assert [recap(pool) for pool in run(terms(), [], through=day(2, 1)).pools] == [(20, 0, 0, 0, 20, 0)] * 2


def test_an_adjustment_lives_one_contract_year() -> None:
    """WE-22: dated 1 March, usable until the last of February, not until 31 December."""
    agreement = terms(limit="0", cycle=YEARLY)
    extra = [Adjustment(MAR, D(5))]
    on = [day(2, 28), MAR, date(2026, 12, 31), date(2027, 2, 28), date(2027, 3, 1)]
    entries = [work(str(i), when, "1") for i, when in enumerate(on)]
    result = run(agreement, entries, extra, date(2027, 3, 31))
    assert list(covered(result).values()) == ["0", "1", "1", "1", "0"]
    assert by_key(result)["1"].draws == (Draw(MAR, True, D(1)),)
    first, second = result.pools
    assert recap(first) == (0, 0, 5, -2, 3, 0)
    assert (second.carried_in, second.used, second.lapsed, second.remaining) == (3, -1, -2, 0)


def test_what_lapses_first_is_used_first() -> None:
    """Hours that are carried over for good wait for the adjustment, which is younger but lapses."""
    agreement, extra = terms(carry_over=True), [Adjustment(day(1, 5), D(5))]
    (entry,) = run(agreement, [work("a", day(1, 10), "8")], extra).allocations
    assert entry.draws == (Draw(day(1, 5), True, D(5)), Draw(JAN, False, D(3)))


def test_what_ends_with_its_period_is_simply_not_carried_on() -> None:
    january, february, *_ = run(terms(), [], [Adjustment(JAN, D(5))]).pools
    assert (january.remaining, january.lapsed, february.carried_in) == (25, 0, 0)


def test_a_removal_takes_from_its_period_before_the_work() -> None:
    result = run(terms(), [work("a", day(1, 10), "18")], [Adjustment(day(1, 20), D(-5))], day(1, 31))
    assert recap(result.pools[0]) == (20, 0, -5, -15, 0, 0)
    assert by_key(result)["a"].overage_quantity == 3


def test_a_removal_does_not_touch_what_was_billed() -> None:
    entry = work("a", day(1, 10), "18")
    billed = by_key(run(terms(), [entry]))["a"]
    result = run(terms(), [replace(entry, pinned=billed)], [Adjustment(day(1, 20), D(-5))], day(1, 31))
    assert recap(result.pools[0]) == (20, 0, -5, -18, -3, 3)
    assert result.pools[0].available == 0


def test_a_block_expires_when_nothing_is_left() -> None:
    block = terms(limit="2", one_time=True, expire_when_zero=True)
    entries = [work("a", day(1, 10), "3"), work("same day", day(1, 10), "1", saved=1), work("b", day(2, 1), "1")]
    result = run(block, entries, [Adjustment(day(1, 20), D(5))])
    assert result.pools[0].expired
    assert result.pools[0].available == 0
    assert [x.reason for x in result.allocations] == [Reason.USED_UP, Reason.EXPIRED, Reason.EXPIRED]
    assert by_key(result)["b"].explanation == (
        "Not covered: the agreement expired when nothing was left of it. Billed: 100.00."
    )
    assert not run(block, [work("a", day(1, 10), "1")]).pools[0].expired


# what may be covered at all

NOT_COVERED: list[tuple[Reason, CoverageTerms, dict[str, Any]]] = [
    (Reason.KIND, terms("amount", "1000"), {"kind": "product"}),
    (Reason.TIME_ONLY, terms(covers=frozenset({"time", "expense"})), {"kind": "expense"}),
    (Reason.NO_LIMIT, terms(limit=None), {}),
    (Reason.OUTSIDE_DATES, terms(start=day(1, 11)), {}),
    (Reason.OUTSIDE_DATES, terms(end=day(1, 10)), {}),
    (Reason.WORK_ROLE, terms(selection=Selection(work_roles=frozenset({7}))), {"work_role": 7}),
    (Reason.WORK_TYPE, terms(selection=Selection(work_types=frozenset({8}))), {"work_type": 8}),
    (Reason.WORK_ROLE, terms(selection=Selection("only", work_roles=frozenset({7}))), {"work_role": 9}),
    (Reason.WORK_TYPE, terms(selection=Selection("only", work_types=frozenset({7}))), {"work_role": 9}),
    (Reason.WORK_ROLE, terms(selection=Selection("only")), {}),
    (
        Reason.EXPENSE_TYPE,
        terms("amount", covers=frozenset({"expense"}), selection=Selection(expense_types=frozenset({1}))),
        {"kind": "expense", "item": 1},
    ),
    (
        Reason.PRODUCT,
        terms("amount", covers=frozenset({"product"}), selection=Selection("only", expense_types=frozenset({1}))),
        {"kind": "product", "item": 1},
    ),
]


@pytest.mark.parametrize(("reason", "agreement", "facts"), NOT_COVERED)
def test_what_is_not_covered_is_billed(reason: Reason, agreement: CoverageTerms, facts: dict[str, Any]) -> None:
    (result,) = run(agreement, [work("a", day(1, 10), "2", **facts)]).allocations
    assert result.reason is reason
    assert (result.covered_quantity, result.overage_quantity, result.overage_amount, result.drawn) == (0, 2, 200, 0)
    assert result.explanation.startswith("Not covered:")
    assert result.explanation.endswith("Billed: 200.00.")


def test_a_role_that_is_listed_is_covered_with_any_type() -> None:
    agreement = terms(selection=Selection("only", work_roles=frozenset({7})))
    assert run(agreement, [work("a", JAN, "1", work_role=7, work_type=3)]).allocations[0].reason is Reason.COVERED


@pytest.mark.parametrize("option", [BillableOption.DO_NOT_BILL, BillableOption.NO_CHARGE])
def test_what_is_not_billable_draws_nothing(option: BillableOption) -> None:
    result = run(terms(), [work("a", JAN, "2", option=option)])
    (allocation,) = result.allocations
    assert allocation.reason.value == option.value
    assert allocation.overage_amount == allocation.covered_amount == 0
    assert result.pools[0].used == 0


def test_an_unlimited_agreement_covers_all_and_starts_with_nothing() -> None:
    result = run(terms(limit=None, unlimited=True), [work("a", JAN, "500")], through=JAN)
    assert by_key(result)["a"].explanation == "500 hours covered; unlimited."
    assert recap(result.pools[0])[:4] == (0, 0, 0, -500)
    assert result.pools[0].available is None


def test_what_is_beyond_has_its_own_rate() -> None:
    agreement = terms(limit="1", allow_overruns=True, overrun_limit=D(1))
    (allocation,) = run(agreement, [work("a", JAN, "3", overage_rate=D(80))]).allocations
    assert (allocation.covered_amount, allocation.overrun_amount, allocation.overage_amount) == (100, 80, 80)
    assert allocation.explanation == (
        "1 of 3 hours covered; 1 hour at 80.00 overrun: 80.00 billed with the agreement; "
        "1 hour at 80.00 not covered: 80.00 billed; 0 hours left of Jan 2026."
    )


# incidents


def test_a_ticket_is_one_incident_however_many_entries_it_has() -> None:
    agreement = terms("incidents", "1", covers=frozenset({"time", "product"}))
    entries = [
        work("a", day(1, 5), "1", incident="T1"),
        work("b", day(1, 6), "1", incident="T2"),
        work("c", day(1, 7), "2", incident="T1"),
        work("d", day(2, 7), "1", incident="T1", kind="product"),
        work("e", day(2, 8), "1", incident="T2"),
    ]
    result = run(agreement, entries, through=day(2, 28))
    assert {key: (x.reason, x.drawn) for key, x in by_key(result).items()} == {
        "a": (Reason.COVERED, 1),
        "b": (Reason.COVERED, 0),  # goes with its ticket, which February pays for
        "c": (Reason.COVERED, 0),
        "d": (Reason.COVERED, 0),
        "e": (Reason.COVERED, 1),
    }
    assert [pool.used for pool in result.pools] == [-1, -1]
    assert by_key(run(agreement, entries[:3]))["b"].reason is Reason.USED_UP


def test_an_incident_is_not_split() -> None:
    agreement = terms("incidents", "1", allow_overruns=True, overrun_limit=D(1))
    entries = [work(key, day(1, n), "1") for n, key in enumerate("abc", 1)]
    assert [(x.covered_amount, x.overrun_amount, x.overage_amount) for x in run(agreement, entries).allocations] == [
        (100, 0, 0),
        (0, 100, 0),
        (0, 0, 100),
    ]
    half = run(terms("incidents", "1.5"), entries)
    assert [x.drawn for x in half.allocations] == [1, 0, 0]
    assert half.pools[0].remaining == D("0.5")


# periods


@pytest.mark.parametrize(
    ("agreement", "through", "starts"),
    [
        (terms(start=day(1, 15), anchor=day(1, 15)), day(3, 20), [day(1, 15), day(2, 15), day(3, 15)]),
        (terms(start=day(1, 15), base="calendar"), day(3, 20), [day(1, 15), FEB, MAR]),
        (terms(start=day(2, 10), base="calendar", cycle=QUARTERLY), day(4, 1), [day(2, 10), APR]),
        (terms(start=day(2, 10), base="calendar", cycle=YEARLY), date(2027, 1, 1), [day(2, 10), date(2027, 1, 1)]),
        (terms(start=day(1, 1), base="calendar", cycle=WEEKLY), day(1, 12), [JAN, day(1, 5), day(1, 12)]),
        (terms(start=day(1, 1), cycle=BIWEEKLY), day(1, 16), [JAN, day(1, 15)]),
        (terms(start=JAN, anchor=day(3, 31)), day(3, 1), [JAN, day(1, 31), day(2, 28)]),
        (terms(start=MAR), day(2, 1), []),
        (terms(start=JAN, cycle=Cycle("month", 5), end=day(7, 1)), day(12, 1), [JAN, day(6, 1)]),
    ],
)
def test_application_periods(agreement: CoverageTerms, through: date, starts: list[date]) -> None:
    periods = application_periods(agreement, through)
    assert [period.start for period in periods] == starts
    assert all(first.end == second.start for first, second in pairwise(periods))
    if agreement.end:
        assert periods[-1].end == agreement.end


def test_a_one_time_agreement_has_one_pool() -> None:
    assert application_periods(terms(one_time=True), MAR) == (Period(JAN, OPEN_END),)
    assert application_periods(terms(one_time=True, end=FEB), MAR) == (Period(JAN, FEB),)
    assert pool_label(Period(JAN, OPEN_END)) == "1 Jan 2026 onward"
    assert pool_label(Period(JAN, FEB)) == "Jan 2026"


# refusals


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: terms(limit="-1"), "invalid"),
        (lambda: terms("amount", "0.001"), "invalid"),
        (lambda: terms(overrun_limit=D(-1)), "invalid"),
        (lambda: terms(carry_over_days=-1), "invalid"),
        (lambda: terms(end=JAN), "invalid"),
        (lambda: terms(tax_rate=D(-1)), "invalid"),
        (lambda: work("a", JAN, "-1"), "invalid"),
        (lambda: work("a", JAN, "0.001", "1"), "invalid"),
        (lambda: run(terms(), [work("a", JAN, "1"), work("a", FEB, "1")]), "conflict"),
        (lambda: run(terms("amount"), [], [Adjustment(JAN, D("0.001"))]), "invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, code: str) -> None:
    with pytest.raises(DomainError) as refusal:
        make()
    assert refusal.value.code == code


# laws, for any agreement and any work

DAYS = st.dates(date(2026, 1, 1), date(2026, 6, 30))
TENTHS = st.integers(0, 80).map(lambda n: D(n) / 10)


@st.composite
def agreements(draw: st.DrawFn) -> CoverageTerms:
    units = draw(st.sampled_from(["amount", "hours", "incidents"]))
    return CoverageTerms(
        units=units,
        limit=D(draw(st.sampled_from(["0", "3", "10", "400"]))),
        cycle=draw(st.sampled_from([WEEKLY, MONTHLY, QUARTERLY, Cycle("week", 3)])),
        anchor=draw(st.sampled_from([JAN, date(2025, 12, 31), day(2, 10)])),
        start=draw(st.sampled_from([JAN, day(1, 20)])),
        end=draw(st.sampled_from([None, day(5, 17)])),
        unlimited=draw(st.integers(0, 9)) == 0,
        base=draw(st.sampled_from(["contract", "calendar"])),
        one_time=draw(st.booleans()),
        covers=frozenset({"time", "product"}),
        covers_sales_tax=draw(st.booleans()),
        prepayment=True,
        tax_rate=D("0.0725"),
        carry_over=draw(st.booleans()),
        carry_over_days=draw(st.sampled_from([None, 0, 10, 45])),
        allow_overruns=draw(st.booleans()),
        overrun_limit=draw(st.sampled_from([None, D(0), D(2), D(150)])),
        overrun_from=draw(st.sampled_from(["arrears", "next_period"])),
        order=draw(st.sampled_from(["by_date", "as_saved"])),
    )


@st.composite
def entries_of(draw: st.DrawFn) -> list[Entry]:
    rows = draw(st.lists(st.tuples(DAYS, TENTHS, st.sampled_from([0, 1, 2, 3, 4])), max_size=14))
    saved = draw(st.permutations(range(len(rows))))
    return [
        work(
            str(i),
            on,
            str(hours),
            "33.3" if i % 3 else "100",
            saved=saved[i],
            kind=("time", "product", "expense")[i % 7 % 3],
            tax_rate=D("0.0725") if i % 2 else D(0),
            incident=ticket or None,
            option=BillableOption.NO_CHARGE if i % 11 == 10 else BillableOption.BILLABLE,
        )
        for i, (on, hours, ticket) in enumerate(rows)
    ]


ADJUSTMENTS = st.lists(st.builds(Adjustment, DAYS, st.sampled_from([D(5), D(1), D(60), D(-2), D(-30)])), max_size=4)


@given(agreements(), entries_of(), ADJUSTMENTS)
def test_every_entry_is_covered_overrun_or_billed_and_no_cent_is_lost(
    agreement: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment]
) -> None:
    result = by_key(run(agreement, entries, adjustments, day(6, 30)))
    assert len(result) == len(entries)
    for entry in entries:
        x = result[entry.key]
        parts = (x.covered_quantity, x.overrun_quantity, x.overage_quantity)
        amounts = (x.covered_amount, x.overrun_amount, x.overage_amount)
        assert min(*parts, *amounts, x.covered_tax, x.drawn, x.overrun_drawn) >= 0
        if entry.option is BillableOption.BILLABLE:
            assert (sum(parts), sum(amounts)) == (entry.quantity, entry.amount)
            if entry.amount:
                assert (x.reason is Reason.COVERED) == (x.overage_amount == 0)
        else:
            assert not any((*parts, *amounts))
        if not agreement.unlimited:
            assert sum(draw.units for draw in x.draws) == x.drawn - x.overrun_drawn


@given(agreements(), entries_of(), ADJUSTMENTS)
def test_the_pools_tell_what_was_drawn_and_no_more_than_there_was(
    agreement: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment]
) -> None:
    result = run(agreement, entries, adjustments, day(6, 30))
    for pool in result.pools:
        inside = [x for x in result.allocations if x.pool == pool.period]
        assert pool.used == -sum(x.drawn for x in inside)
        if agreement.unlimited:
            assert pool.available is None
            continue
        removed = sum((a.amount for a in adjustments if a.amount < 0 and a.on in pool.period), D(0))
        headroom = agreement.overrun_limit if agreement.allow_overruns else D(0)
        if headroom is not None:
            assert pool.overrun <= headroom - removed
            assert sum(x.overrun_drawn for x in inside) <= headroom
        assert pool.remaining + pool.overrun >= 0
        assert pool.available is None or pool.available >= 0
    if not agreement.unlimited:
        granted = agreement.allocation * (len(result.pools) + 1)
        added = sum((a.amount for a in adjustments if a.amount > 0), D(0))
        within = sum(x.drawn - x.overrun_drawn for x in result.allocations)
        assert within <= granted + added


@given(agreements(), entries_of(), ADJUSTMENTS)
def test_one_period_hands_over_to_the_next(
    agreement: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment]
) -> None:
    """What is carried for good is what the period before had left, less the overruns billed in arrears."""
    carrying = replace(agreement, carry_over=True, carry_over_days=None, unlimited=False, one_time=False)
    if carrying.overrun_from == "next_period":
        carrying = replace(carrying, allow_overruns=False)
    result = run(carrying, entries, [a for a in adjustments if a.amount < 0], day(6, 30))
    for before, after in pairwise(result.pools):
        assert after.carried_in == before.remaining + before.overrun


@given(agreements(), entries_of(), ADJUSTMENTS, st.randoms(use_true_random=False))
def test_by_date_the_order_of_saving_does_not_matter(
    agreement: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment], random: Any
) -> None:
    agreement = replace(agreement, order="by_date")
    dated = list({entry.on: entry for entry in entries}.values())
    saved = list(range(len(dated)))
    random.shuffle(saved)
    shuffled = [replace(entry, saved=n) for entry, n in zip(dated, saved, strict=True)]
    random.shuffle(shuffled)
    first = run(agreement, dated, adjustments, day(6, 30))
    assert run(agreement, shuffled, adjustments[::-1], day(6, 30)) == first


@given(agreements(), entries_of(), ADJUSTMENTS, st.data())
def test_running_again_changes_nothing_whatever_was_billed_meanwhile(
    agreement: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment], data: st.DataObject
) -> None:
    first = run(agreement, entries, adjustments, day(6, 30))
    found = by_key(first)
    billed = set(data.draw(st.sets(st.sampled_from(sorted(found)))) if found else ())
    again = run(
        agreement,
        [replace(entry, pinned=found[entry.key]) if entry.key in billed else entry for entry in entries],
        adjustments,
        day(6, 30),
    )
    assert {key: _outcome(x) for key, x in by_key(again).items()} == {key: _outcome(x) for key, x in found.items()}
    assert again.pools == first.pools


def _outcome(x: Allocation) -> Allocation:
    """The words tell what was left when it was decided, which is after what was billed."""
    return replace(x, explanation="")


@given(agreements(), agreements(), entries_of(), ADJUSTMENTS)
def test_billed_allocations_survive_any_change_of_terms(
    old: CoverageTerms, new: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment]
) -> None:
    before = run(old, entries, (), day(6, 30))
    found = by_key(before)
    pinned = [replace(entry, pinned=found[entry.key]) for entry in entries]
    after = run(new, pinned, adjustments, day(6, 30))
    assert by_key(after) == found


@given(agreements(), entries_of(), ADJUSTMENTS)
def test_without_carry_over_each_period_simply_counts_down(
    agreement: CoverageTerms, entries: list[Entry], adjustments: list[Adjustment]
) -> None:
    plain = replace(
        agreement, units="hours", one_time=False, carry_over=False, unlimited=False, allow_overruns=False,
        order="by_date",
    )  # fmt: skip
    result = run(plain, entries, (), day(6, 30))
    for pool in result.pools:
        left = pool.starting
        for entry in sorted((e for e in entries if e.on in pool.period), key=lambda e: (e.on, e.saved)):
            if entry.kind == "time" and entry.option is BillableOption.BILLABLE:
                hours = min(left, entry.quantity)
                assert by_key(result)[entry.key].covered_quantity == hours
                left -= hours
        assert pool.remaining == left
