"""Random histories of additions, changes, cancellations and runs come to what the day-by-day oracle says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import count, takewhile

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.oracle_recurring import as_booked, desired, is_due, starts_of

from counterfoil.core.calendar import MONTHLY, QUARTERLY, YEARLY, Cycle, billing_period, whole_period
from counterfoil.core.money import sum_money
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.recurring import (
    Bill,
    Booked,
    Charge,
    OneOff,
    Step,
    Terms,
    bills_due,
    check_bounds,
    present,
)

FIRST, LAST = date(2023, 11, 15), date(2025, 3, 31)
DAY = timedelta(days=1)
days = st.dates(FIRST, LAST)
quantities = st.one_of(st.integers(0, 12).map(Decimal), st.decimals(0, 5, places=2))
prices = st.one_of(st.decimals(0, 100, places=2), st.decimals(0, 3, places=5))
steps = st.builds(Step, start=days, quantity=quantities, unit_price=prices, unit_cost=prices, cost_quantity=st.none())
Key = tuple[object, date]


class Office:
    """An agreement, its history, and what it was billed."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.charges: dict[int, Charge] = {}
        self.one_offs: list[OneOff] = []
        self.invoices: list[tuple[Bill, list[Booked]]] = []
        self.cancelled: set[date] = set()
        self.touched = date.max
        self.owed_again: set[Key] = set()  # what a deleted invoice had billed: a credit of it may stand alone for now

    # -- what people do

    def touch(self, *dates: date) -> None:
        self.touched = min((self.touched, *dates))

    def add(self, step: Step) -> None:
        key = len(self.charges)
        self.charges[key] = Charge(key, (step,), step.start)
        self.touch(step.start)

    def change(self, which: int, step: Step) -> None:
        if self.charges:
            charge = self.charges[which % len(self.charges)]
            steps = (*(s for s in charge.steps if s.start < step.start), step)
            self.charges[which % len(self.charges)] = charge._replace(steps=steps)
            self.touch(step.start, charge.effective if step.start <= charge.steps[0].start else step.start)

    def move(self, which: int, effective: date) -> None:
        if self.charges:
            charge = self.charges[which % len(self.charges)]
            self.charges[which % len(self.charges)] = charge._replace(effective=effective)
            self.touch(effective, charge.effective)

    def end(self, which: int, last_day: date | None) -> None:
        if self.charges:
            charge = self.charges[which % len(self.charges)]
            self.charges[which % len(self.charges)] = charge._replace(last_day=last_day)
            self.touch(*(day for day in (last_day, charge.last_day) if day))

    def end_soon(self, which: int, days_later: int) -> None:
        if self.charges:
            self.end(which, self.charges[which % len(self.charges)].effective + days_later * DAY)

    def swap(self, which: int, step: Step) -> None:
        """The old through the day before, the new from the day on; on its first day the old was never in force."""
        if self.charges:
            old = self.charges[which % len(self.charges)]
            first = max(step.start, old.effective)
            self.end(which, first - DAY)
            self.add(step._replace(start=first))

    def cancel(self, last_day: date | None) -> None:
        self.touch(*(day for day in (last_day, self.terms.last_day) if day))
        self.terms = replace(self.terms, last_day=last_day)

    def write_off(self, n: int) -> None:
        start = billing_period(self.terms.anchor, self.terms.cycle, n, self.terms.base).start
        if start not in self.billed:
            self.cancelled.add(start)
            self.touch(start)

    def reopen(self) -> None:
        self.touch(*self.cancelled or {date.max})
        self.cancelled.clear()

    def delete_invoice(self, which: int) -> None:
        if self.invoices:
            _, rows = self.invoices.pop(which % len(self.invoices))
            self.touch(*(row.period_start for row in rows))
            self.owed_again |= {(row.key, row.period_start) for row in rows}

    # -- the run

    @property
    def billed(self) -> set[date]:
        return starts_of(*(bill for bill, _ in self.invoices))

    @property
    def booked(self) -> list[Booked]:
        return [row for _, rows in self.invoices for row in rows]

    def preview(self, through: date, changed_from: date | None = None) -> list[Bill]:
        return bills_due(
            self.terms,
            list(self.charges.values()),
            self.one_offs,
            self.booked,
            through=through,
            billed=self.billed,
            cancelled=self.cancelled,
            changed_from=changed_from,
        )

    def run(self, through: date) -> list[Bill]:
        bills = self.preview(through)
        assert self.preview(through) == bills
        check_bounds(bills, list(self.charges.values()), self.booked, max_bills=999)
        for bill in bills:
            self.invoices.append((bill, as_booked(bill)))
        assert self.preview(through) == [], "a second run bills nothing"
        self.examine(bills)
        return bills

    def examine(self, bills: list[Bill]) -> None:
        for bill in bills:
            assert bill.items
            assert (bill.kind == "period") == (bill.period is not None)
            assert sum_money(item.amount for item in present(bill.items)) == bill.amount
            for item in bill.items:
                assert len(item.explanation) < 300
                assert item.is_credit == (item.amount < 0)
        starts = Counter(bill.period.start for bill, _ in self.invoices if bill.period)
        assert not starts or max(starts.values()) == 1, "a period has one bill"
        overdrawn = {key for key, amount in self.totals().items() if amount < 0}
        assert overdrawn <= self.owed_again, "no more is given back than was billed"
        self.owed_again &= overdrawn

    def totals(self) -> dict[Key, Decimal]:
        totals: dict[Key, Decimal] = {}
        for row in self.booked:
            totals[row.key, row.period_start] = totals.get((row.key, row.period_start), Decimal("0.00")) + row.amount
        return totals

    def wanted(self, through: date) -> dict[Key, Decimal]:
        """What the oracle says for each charge and every period billed or due."""
        wanted = {}
        for n in range(40):
            start = billing_period(self.terms.anchor, self.terms.cycle, n, self.terms.base).start
            if start in self.billed or is_due(self.terms, n, through):
                for charge in self.charges.values():
                    wanted[charge.key, start] = desired(self.terms, charge, n, self.cancelled)
        return wanted


Action = Callable[[Office], object]
changes: st.SearchStrategy[Action] = st.one_of(
    st.builds(lambda s: lambda o: o.add(s), steps),
    st.builds(lambda w, s: lambda o: o.change(w, s), st.integers(0, 3), steps),
    st.builds(lambda w, s: lambda o: o.change(w, s), st.integers(0, 3), steps),
    st.builds(lambda w, d: lambda o: o.move(w, d), st.integers(0, 3), days),
    st.builds(lambda w, d: lambda o: o.end(w, d), st.integers(0, 3), st.one_of(st.none(), days)),
    st.builds(lambda w, n: lambda o: o.end_soon(w, n), st.integers(0, 3), st.integers(-1, 20)),
    st.builds(lambda w, s: lambda o: o.swap(w, s), st.integers(0, 3), steps),
    st.builds(lambda d: lambda o: o.cancel(d), st.one_of(st.none(), days)),
    st.builds(lambda n: lambda o: o.write_off(n), st.integers(0, 12)),
    st.builds(lambda: lambda o: o.reopen()),
)
runs: st.SearchStrategy[Action] = st.builds(lambda d: lambda o: o.run(d), days)
deletions: st.SearchStrategy[Action] = st.builds(lambda w: lambda o: o.delete_invoice(w), st.integers(0, 9))
terms_of = st.builds(
    Terms,
    cycle=st.sampled_from([MONTHLY, MONTHLY, QUARTERLY, YEARLY, Cycle("week", 6), Cycle("month", 5)]),
    anchor=st.one_of(st.dates(FIRST, FIRST + 120 * DAY), st.sampled_from([date(2024, 1, 31), date(2024, 2, 29)])),
    base=st.sampled_from(["contract", "calendar"]),
    timing=st.sampled_from(["advance", "arrears"]),
    prorate=st.sampled_from([True, True, False]),
    prorate_first_bill=st.booleans(),
    one_time=st.sampled_from([False, False, False, True]),
)


def nonzero(totals: dict[Key, Decimal]) -> dict[Key, Decimal]:
    return {key: amount for key, amount in totals.items() if amount}


@given(
    terms=terms_of,
    credits_=st.sampled_from(["next_invoice", "credit_memo"]),
    later=st.sampled_from(["next_invoice", "immediately"]),
    first=steps,
    story=st.lists(st.one_of(changes, runs, runs, deletions), max_size=10),
)
@settings(max_examples=150)
def test_however_it_is_run_the_sum_is_what_the_oracle_says(
    terms: Terms, credits_: str, later: str, first: Step, story: list[Action]
) -> None:
    office = Office(replace(terms, credits=credits_, changes=later))
    office.add(first)
    for action in story:
        action(office)
    office.terms = replace(office.terms, changes="immediately")
    office.run(LAST)
    assert nonzero(office.totals()) == nonzero(office.wanted(LAST))


def test_a_credit_outlives_the_deleted_draft_it_was_for_until_its_period_is_due_again() -> None:
    """February was drafted at 100.00 and 50.00 of it credited; the draft goes, the credit memo stays."""
    terms = Terms(MONTHLY, date(2024, 1, 1), "contract", "advance", credits="credit_memo", changes="immediately")
    february = date(2024, 2, 1)
    office = Office(terms)
    office.add(Step(date(2024, 1, 1), Decimal(1), Decimal(100), Decimal(0)))
    office.run(february)
    office.change(0, Step(february, Decimal(1), Decimal(50), Decimal(0)))
    office.run(february)
    office.delete_invoice(1)
    assert office.run(date(2024, 1, 15)) == []
    assert office.totals()[0, february] == -50
    (bill,) = office.run(february)
    assert [(item.period.start, item.amount) for item in bill.items] == [(february, Decimal(100))]
    assert office.totals()[0, february] == 50


@given(terms=terms_of, first=steps, story=st.lists(st.tuples(st.lists(changes, max_size=3), days), max_size=5))
@settings(max_examples=100)
def test_what_was_billed_is_never_given_back_where_nothing_is_to_be(
    terms: Terms, first: Step, story: list[tuple[list[Action], date]]
) -> None:
    office = Office(replace(terms, changes="immediately"))
    office.add(first)
    level: dict[Key, Decimal] = {}
    for actions, through in story:
        for action in actions:
            action(office)
        bills = office.run(through)
        assert all(item.amount > 0 or not item.is_credit for bill in bills for item in bill.items)
        for key, amount in office.wanted(through).items():
            level[key] = max(level.get(key, amount), amount)
        assert nonzero(office.totals()) == nonzero(level)


@given(terms=terms_of, first=steps, story=st.lists(st.tuples(st.lists(changes, max_size=3), days), max_size=5))
@settings(max_examples=60)
def test_looking_from_the_first_change_on_finds_all_that_has_changed(
    terms: Terms, first: Step, story: list[tuple[list[Action], date]]
) -> None:
    office = Office(replace(terms, changes="immediately", credits="credit_memo"))
    office.add(first)
    for actions, through in story:
        for action in actions:
            action(office)
        assert office.preview(through, changed_from=office.touched) == office.preview(through)
        office.run(through)
        office.touched = date.max


@given(
    terms=terms_of.map(lambda terms: replace(terms, prorate=True, one_time=False)),
    first=days,
    after=st.integers(0, 60),
    runs_at=st.lists(days, max_size=3),
)
@settings(max_examples=60)
def test_a_swap_bills_every_day_once(terms: Terms, first: date, after: int, runs_at: list[date]) -> None:
    """Of a price that every day has a whole cent of: old and new together come to what the old alone would."""
    step = Step(first, Decimal(1), Decimal(math.lcm(*lengths_of_periods(terms))))
    alone = Office(replace(terms, credits="next_invoice", changes="immediately"))
    alone.add(step)
    alone.run(LAST)
    swapped = Office(alone.terms)
    swapped.add(step)
    for through in runs_at[:1]:
        swapped.run(through)
    swapped.swap(0, step._replace(start=first + after * DAY))
    for through in [*runs_at[1:], LAST]:
        swapped.run(through)
    assert by_period(swapped) == by_period(alone)


def lengths_of_periods(terms: Terms) -> set[int]:
    """How many days the periods have that are billed through the last day of these tests, a short first one too."""
    grid = (billing_period(terms.anchor, terms.cycle, n, terms.base) for n in count())
    lengths = {period.days for period in takewhile(lambda period: period.start <= LAST, grid)}
    return lengths | {whole_period(terms.anchor, terms.cycle, 0, terms.base).days}


def by_period(office: Office) -> dict[date, Decimal]:
    """What was billed for each period, whichever charge it was for."""
    sums: dict[date, Decimal] = {}
    for (_, start), amount in office.totals().items():
        sums[start] = sums.get(start, Decimal(0)) + amount
    return {start: amount for start, amount in sums.items() if amount}


@given(terms=terms_of, method=st.sampled_from(list(ProrationMethod)), first=steps, story=st.lists(changes, max_size=6))
@settings(max_examples=100)
def test_every_method_bills_the_same_in_one_run_as_in_many(
    terms: Terms, method: ProrationMethod, first: Step, story: list[Action]
) -> None:
    totals = []
    for run_between in (False, True):
        office = Office(replace(terms, method=method, credits="next_invoice", changes="immediately"))
        office.add(first)
        for n, action in enumerate(story):
            action(office)
            if run_between:
                office.run(FIRST + n * 70 * DAY)
        # What was billed beyond a write-off is not comparable: a billed period cannot be written off.
        office.cancelled = set()
        office.run(LAST)
        totals.append(nonzero(office.totals()))
    assert totals[0] == totals[1]


@given(
    terms=terms_of,
    later=st.sampled_from(["next_invoice", "immediately"]),
    first=steps,
    offs=st.lists(st.tuples(days, st.decimals(0, 500, places=2)), max_size=4),
    throughs=st.lists(days, max_size=5),
)
@settings(max_examples=60)
def test_an_amount_billed_once_is_billed_once(
    terms: Terms, later: str, first: Step, offs: list[tuple[date, Decimal]], throughs: list[date]
) -> None:
    office = Office(replace(terms, changes=later))
    office.add(first)
    office.one_offs = [
        OneOff(("off", n), on, Decimal(1), amount, amount, Decimal(0), "overage") for n, (on, amount) in enumerate(offs)
    ]
    for through in throughs:
        before = {row.key for row in office.booked}
        for bill in office.run(through):
            new = [item for item in bill.items if isinstance(item.key, tuple)]
            assert all(item.service.start <= through and item.key not in before for item in new)
    office.terms = replace(office.terms, changes="immediately")
    office.run(LAST)
    billed = {row.key: row.amount for row in office.booked if isinstance(row.key, tuple)}
    assert billed == {("off", n): amount for n, (_, amount) in enumerate(offs)}
    assert len(billed) == sum(isinstance(row.key, tuple) for row in office.booked)
