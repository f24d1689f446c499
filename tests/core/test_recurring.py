"""Recurring billing: the worked examples, and stories of what changes after it was billed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from tests.core.oracle_recurring import as_booked, starts_of

from counterfoil.core.calendar import MONTHLY, QUARTERLY, WEEKLY, YEARLY, Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.recurring import (
    Bill,
    BilledItem,
    Booked,
    Charge,
    OneOff,
    Step,
    Terms,
    bills_due,
    check_bounds,
    next_due,
    present,
)

JAN, MAR, APR, MAY = date(2026, 1, 1), date(2026, 3, 1), date(2026, 4, 1), date(2026, 5, 1)
MONTH = Terms(MONTHLY, MAR)


def charge(key: str, quantity: str, price: str, effective: date = MAR, last_day: date | None = None) -> Charge:
    return Charge(key, (Step(effective, Decimal(quantity), Decimal(price)),), effective, last_day)


def changed(old: Charge, on: date, quantity: str, price: str) -> Charge:
    return old._replace(steps=(*old.steps, Step(on, Decimal(quantity), Decimal(price))))


def said(bills: Sequence[Bill]) -> list[tuple[str, str, str]]:
    """Every line of every bill: what it is on, what it is for, and what it comes to."""
    return [(b.period.label if b.period else b.kind, str(i.key), str(i.amount)) for b in bills for i in b.items]


def again(terms: Terms, charges: Sequence[Charge], made: Sequence[Bill], through: date) -> list[Bill]:
    """The next run, with all that was made before."""
    return bills_due(terms, charges, booked=as_booked(*made), through=through, billed=starts_of(*made))


SEATS = charge("seats", "10", "31.00")
ENDED = SEATS._replace(last_day=date(2026, 3, 20))


# -- the worked examples -----------------------------------------------------------------------------------------------


def test_an_addition_in_the_middle_of_march_is_caught_up_in_april() -> None:
    """WE-2."""
    terms = Terms(MONTHLY, date(2019, 3, 1))
    old = charge("old", "2", "22.00", date(2019, 3, 1))
    march = bills_due(terms, [old], through=date(2019, 3, 1))
    assert said(march) == [("Mar 2019", "old", "44.00")]

    new = charge("new", "2", "22.00", date(2019, 3, 15))
    assert again(terms, [old, new], march, date(2019, 3, 31)) == []
    april = again(terms, [old, new], march, date(2019, 4, 1))
    assert [item.explanation for item in april[0].items] == [
        "2 × 22.00 for Apr 2019 = 44.00",
        "2 × 22.00 × 17 of 31 days (15–31 Mar 2019) = 24.13; prorated with a start date of 15 Mar 2019",
        "2 × 22.00 for Apr 2019 = 44.00",
    ]
    assert [str(item.amount) for item in april[0].items] == ["44.00", "24.13", "44.00"]
    assert april[0].items[1].unit_price == Decimal("12.06451613")
    assert april[0].items[1].prorated_from == date(2019, 3, 15)

    shown = present(april[0].items)
    assert [(item.key, item.quantity, item.unit_price, item.amount) for item in shown] == [
        ("old", Decimal(2), Decimal("22.00"), Decimal("44.00")),
        ("new", Decimal(2), Decimal("34.06451613"), Decimal("68.13")),
    ]
    assert shown[1].explanation == (
        "2 × 34.06: 24.13 (15–31 Mar 2019) + 44.00 (1–30 Apr 2019) = 68.13; prorated with a start date of 15 Mar 2019"
    )
    assert again(terms, [old, new], [*march, *april], date(2019, 4, 30)) == []


def test_two_licences_more_on_the_17th() -> None:
    """WE-8."""
    ten = charge("licence", "10", "20.00")
    march = bills_due(MONTH, [ten], through=MAR)
    twelve = changed(ten, date(2026, 3, 17), "12", "20.00")
    april = again(MONTH, [twelve], march, APR)
    assert [(str(i.quantity), str(i.amount)) for i in april[0].items] == [("2", "19.35"), ("12", "240.00")]
    assert april[0].items[0].explanation == (
        "12 less 10 billed: 2 × 20.00 × 15 of 31 days (17–31 Mar 2026) = 19.35; "
        "prorated with a start date of 17 Mar 2026"
    )
    assert present(april[0].items) == april[0].items, "other quantities, other lines"


def test_two_licences_more_when_april_is_billed_already() -> None:
    """WE-8, billed in advance: from 17 March to 30 April, with the May invoice."""
    ten = charge("licence", "10", "20.00")
    made = bills_due(MONTH, [ten], through=APR)
    twelve = changed(ten, date(2026, 3, 17), "12", "20.00")
    may = again(MONTH, [twelve], made, MAY)
    assert said(may) == [
        ("May 2026", "licence", "19.35"),
        ("May 2026", "licence", "40.00"),
        ("May 2026", "licence", "240.00"),
    ]
    at_once = again(replace(MONTH, changes="immediately"), [twelve], made, APR)
    assert said(at_once) == [("adjustment", "licence", "19.35"), ("adjustment", "licence", "40.00")]
    assert [(i.quantity, i.amount) for i in present(at_once[0].items)] == [(Decimal(2), Decimal("59.35"))]


def test_a_quantity_changed_before_it_was_billed() -> None:
    """WE-13."""
    terms = replace(MONTH, timing="arrears")
    five, ten = charge("a", "1", "5.00"), changed(charge("b", "1", "10.00"), date(2026, 3, 17), "2", "10.00")
    bills = bills_due(terms, [five, ten], through=date(2026, 3, 31))
    assert said(bills) == [("Mar 2026", "a", "5.00"), ("Mar 2026", "b", "5.16"), ("Mar 2026", "b", "9.68")]
    assert sum(item.amount for item in bills[0].items if item.key == "b") == Decimal("14.84")


def test_six_months_from_the_19th_come_to_six_prices() -> None:
    """WE-11: calendar months from 19 Feb to 18 Aug 2018, 100.00 a month."""
    terms = Terms(MONTHLY, date(2018, 2, 19), base="calendar", last_day=date(2018, 8, 18))
    fee = charge("fee", "1", "100.00", date(2018, 2, 19))
    by_days = [bill.amount for bill in bills_due(terms, [fee], through=date(2018, 12, 31))]
    assert by_days == [Decimal("35.71"), *[Decimal("100.00")] * 5, Decimal("58.06")]
    terms = replace(terms, method=ProrationMethod.REMAINDER)
    assert sum(bill.amount for bill in bills_due(terms, [fee], through=date(2018, 12, 31))) == Decimal("600.00")


def test_the_remainder_needs_a_term_of_whole_cycles() -> None:
    """An agreement cancelled on some day has no last part: its days are charged."""
    terms = Terms(
        MONTHLY,
        date(2018, 2, 19),
        base="calendar",
        last_day=date(2018, 8, 5),
        method=ProrationMethod.REMAINDER,
    )
    bills = bills_due(terms, [charge("fee", "1", "100.00", date(2018, 2, 19))], through=date(2018, 12, 31))
    assert bills[-1].items[0].explanation == "1 × 100.00 × 5 of 31 days (1–5 Aug 2018) = 16.13"


@pytest.mark.parametrize(("first_whole", "amounts"), [(True, ["100.00", "0.00"]), (False, ["35.71", "64.29"])])
def test_a_term_of_one_month_over_two_calendar_months(first_whole: bool, amounts: list[str]) -> None:
    """With the first bill whole there is nothing left for the last."""
    terms = Terms(
        MONTHLY,
        date(2018, 2, 19),
        base="calendar",
        last_day=date(2018, 3, 18),
        method=ProrationMethod.REMAINDER,
        prorate_first_bill=not first_whole,
    )
    bills = bills_due(terms, [charge("fee", "1", "100.00", date(2018, 2, 19))], through=date(2018, 12, 31))
    assert [str(bill.amount) for bill in bills] == [amount for amount in amounts if amount != "0.00"]


def test_a_term_that_fits_its_periods_has_no_remainder() -> None:
    terms = replace(MONTH, method=ProrationMethod.REMAINDER, last_day=date(2026, 4, 30))
    seats = changed(SEATS, date(2026, 4, 16), "20", "31.00")
    assert [bill.amount for bill in bills_due(terms, [seats], through=MAY)] == [Decimal("310.00"), Decimal("465.00")]


def test_the_billing_amount_and_an_addition() -> None:
    """WE-18: 500.00 and 25 units, 5 included, at 10.00."""
    bills = bills_due(MONTH, [charge("amount", "1", "500.00"), charge("users", "20", "10.00")], through=MAR)
    assert [bill.amount for bill in bills] == [Decimal("700.00")]


def test_through_the_31st_and_through_the_1st() -> None:
    """WE-19."""
    seats = [charge("seats", "1", "10.00", JAN)]
    terms = Terms(MONTHLY, JAN)
    assert len(bills_due(terms, seats, through=date(2026, 3, 31))) == 3
    assert len(bills_due(terms, seats, through=APR)) == 4
    assert len(bills_due(replace(terms, timing="arrears"), seats, through=date(2026, 3, 30))) == 2
    assert len(bills_due(replace(terms, timing="arrears"), seats, through=date(2026, 3, 31))) == 3
    assert next_due(terms, 2) == MAR
    assert next_due(replace(terms, timing="arrears"), 2) == date(2026, 3, 31)
    assert next_due(replace(terms, timing="arrears", last_day=date(2026, 3, 20)), 2) == date(2026, 3, 20)
    assert next_due(replace(terms, last_day=date(2026, 3, 20)), 3) is None


def test_the_charge_cycle_of_a_plan_bought_on_the_15th() -> None:
    """WE-23."""
    terms = Terms(MONTHLY, date(2022, 2, 15))
    (bill,) = bills_due(terms, [charge("plan", "1", "9.00", date(2022, 2, 15))], through=date(2022, 3, 14))
    assert bill.items[0].explanation == "1 × 9.00 for 15 Feb 2022 – 14 Mar 2022 = 9.00"


def test_a_yearly_plan_cancelled_on_the_third_day() -> None:
    """WE-14: 1,200.00 for 365 days; 362 of them are given back less nothing else."""
    terms = Terms(YEARLY, JAN, credits="credit_memo")
    plan = charge("plan", "1", "1200.00", JAN)
    made = bills_due(terms, [plan], through=JAN)
    (memo,) = again(replace(terms, last_day=date(2026, 1, 3)), [plan], made, date(2026, 1, 4))
    assert (memo.kind, memo.amount) == ("credit_memo", Decimal("-1190.14"))
    assert memo.items[0].explanation == (
        "0 less 1 billed: -1 × 1,200.00 × 362 of 365 days (4 Jan – 31 Dec 2026) = (1,190.14)"
    )


# -- what is given back ------------------------------------------------------------------------------------------------


def test_nothing_is_given_back_by_default() -> None:
    march = bills_due(MONTH, [SEATS], through=MAR)
    assert again(MONTH, [ENDED], march, APR) == []


def test_unused_days_on_the_next_invoice() -> None:
    terms, other = replace(MONTH, credits="next_invoice"), charge("other", "1", "200.00")
    march = bills_due(terms, [SEATS, other], through=MAR)
    assert again(terms, [ENDED, other], march, date(2026, 3, 31)) == []
    april = again(terms, [ENDED, other], march, APR)
    assert said(april) == [("Apr 2026", "seats", "-110.00"), ("Apr 2026", "other", "200.00")]
    assert april[0].items[0].is_credit
    assert again(terms, [ENDED, other], [*march, *april], APR) == []


def test_unused_days_on_a_credit_memo_at_once() -> None:
    terms, other = replace(MONTH, credits="credit_memo"), charge("other", "1", "200.00")
    march = bills_due(terms, [SEATS, other], through=MAR)
    memo = again(terms, [ENDED, other], march, date(2026, 3, 21))
    assert [(bill.kind, bill.amount) for bill in memo] == [("credit_memo", Decimal("-110.00"))]


def test_a_credit_beyond_the_next_invoice_is_a_credit_memo() -> None:
    terms, other = replace(MONTH, credits="next_invoice"), charge("other", "1", "100.00")
    march = bills_due(terms, [SEATS, other], through=MAR)
    april = again(terms, [ENDED, other], march, APR)
    assert said(april) == [("Apr 2026", "other", "100.00"), ("credit_memo", "seats", "-110.00")]


def test_a_credit_does_not_wait_for_an_invoice_that_will_not_come() -> None:
    """The next period has come up empty, or the agreement has ended: the credit comes on its own."""
    terms = replace(MONTH, credits="next_invoice")
    march = bills_due(terms, [SEATS], through=MAR)
    assert again(terms, [ENDED], march, date(2026, 3, 31)) == []
    assert said(again(terms, [ENDED], march, APR)) == [("credit_memo", "seats", "-110.00")]
    over = replace(terms, last_day=date(2026, 3, 20))
    for through in (date(2026, 3, 21), MAY):
        assert said(again(over, [SEATS], march, through)) == [("credit_memo", "seats", "-110.00")]


def test_periods_billed_ahead_of_a_cancellation_are_given_back() -> None:
    terms = replace(MONTH, credits="credit_memo")
    made = bills_due(terms, [SEATS], through=MAY)
    memo = again(replace(terms, last_day=date(2026, 3, 20)), [SEATS], made, MAY)
    assert said(memo) == [
        ("credit_memo", "seats", "-110.00"),
        ("credit_memo", "seats", "-310.00"),
        ("credit_memo", "seats", "-310.00"),
    ]


def test_a_second_change_of_a_billed_period_is_one_line_with_both_amounts() -> None:
    ten = charge("licence", "10", "20.00")
    twelve = changed(ten, date(2026, 3, 17), "12", "20.00")
    terms = replace(MONTH, changes="immediately", credits="credit_memo")
    made = bills_due(terms, [ten], through=MAR)
    made += again(terms, [twelve], made, MAR)
    bills = again(terms, [changed(twelve, date(2026, 3, 25), "9", "20.00")], made, MAR)
    assert [item.explanation for item in bills[0].items] == ["Mar 2026: 205.81 due less 219.35 billed = (13.54)"]
    assert bills[0].kind == "credit_memo"


def test_a_change_that_units_and_days_do_not_tell_is_one_line_with_both_amounts() -> None:
    """Eleven days more, none of them a month, make 70 days 81: of two months, three."""
    terms = Terms(QUARTERLY, JAN, method=ProrationMethod.WHOLE_MONTHS, changes="immediately")
    seat = charge("seat", "1", "90.00", date(2026, 1, 21))
    made = bills_due(terms, [seat], through=JAN)
    (bill,) = again(terms, [seat._replace(effective=date(2026, 1, 10))], made, JAN)
    assert [item.explanation for item in bill.items] == [
        "1 Jan 2026 – 31 Mar 2026: 90.00 due less 60.00 billed = 30.00"
    ]


def test_fewer_units_at_a_higher_price_are_one_line_with_both_amounts() -> None:
    terms = replace(MONTH, changes="immediately", credits="credit_memo")
    made = bills_due(terms, [SEATS], through=MAR)
    (bill,) = again(terms, [changed(charge("seats", "10", "31.00"), MAR, "8", "40.00")], made, MAR)
    assert [item.explanation for item in bill.items] == ["Mar 2026: 320.00 due less 310.00 billed = 10.00"]


def test_a_line_changed_by_hand_is_made_up_for_in_one_line() -> None:
    (march,) = bills_due(MONTH, [SEATS], through=MAR)
    rows = [replace(row, amount=Decimal("300.00")) for row in as_booked(march)]
    more = changed(SEATS, MAR, "12", "31.00")
    bills = bills_due(MONTH, [more], booked=rows, through=APR, billed={MAR})
    assert bills[0].items[0].explanation == "Mar 2026: 372.00 due less 300.00 billed = 72.00"


def test_an_invoice_made_again_leaves_out_what_another_has_caught_up() -> None:
    ten = charge("licence", "10", "20.00")
    march = bills_due(MONTH, [ten], through=MAR)
    twelve = changed(ten, date(2026, 3, 17), "12", "20.00")
    april = again(MONTH, [twelve], march, APR)
    made_again = again(MONTH, [twelve], april, APR)
    assert [item.explanation for item in made_again[0].items] == [
        "10 × 20.00 × 16 of 31 days (1–16 Mar 2026) = 103.23",
        (
            "12 less 2 billed: 10 × 20.00 × 15 of 31 days (17–31 Mar 2026) = 96.77; "
            "prorated with a start date of 17 Mar 2026"
        ),
    ]
    assert said(made_again[:1])[0][0] == "Mar 2026"
    assert again(MONTH, [twelve], [*april, *made_again], APR) == []


def test_a_new_price_in_a_billed_period() -> None:
    seats = changed(SEATS, date(2026, 3, 22), "10", "34.10")
    march = bills_due(MONTH, [SEATS], through=MAR)
    april = again(MONTH, [seats], march, APR)
    assert [item.explanation for item in april[0].items] == [
        (
            "price 34.10 less 31.00 billed: 10 × 3.10 × 10 of 31 days (22–31 Mar 2026) = 10.00; "
            "prorated with a start date of 22 Mar 2026"
        ),
        "10 × 34.10 for Apr 2026 = 341.00",
    ]


# -- without proration, one time, written off --------------------------------------------------------------------------


def test_without_proration_an_addition_waits_for_its_first_whole_period() -> None:
    terms = replace(MONTH, prorate=False)
    late = charge("late", "1", "50.00", date(2026, 3, 10))
    assert said(bills_due(terms, [late], through=APR)) == [("Apr 2026", "late", "50.00")]
    assert said(bills_due(terms, [late._replace(last_day=date(2026, 4, 10))], through=MAY)) == [
        ("Apr 2026", "late", "50.00")
    ]


@pytest.mark.parametrize("last_day", [date(2026, 3, 10), date(2026, 3, 31)])
def test_a_set_up_fee_lies_within_one_period(last_day: date) -> None:
    fee = charge("set-up", "1", "250.00", date(2026, 3, 10), last_day)
    assert said(bills_due(replace(MONTH, prorate=False), [fee], through=MAY)) == [("Mar 2026", "set-up", "250.00")]


def test_without_proration_the_last_period_bills_what_began_in_it() -> None:
    """No later period could bill it."""
    terms = replace(MONTH, prorate=False, last_day=date(2026, 3, 31))
    assert said(bills_due(terms, [charge("late", "1", "50.00", date(2026, 3, 10))], through=MAY)) == [
        ("Mar 2026", "late", "50.00")
    ]


def test_a_one_time_agreement_is_billed_once_and_in_full() -> None:
    terms = replace(MONTH, one_time=True)
    block = charge("block", "1", "1500.00")
    more = charge("more", "1", "300.00", date(2026, 4, 20))
    bills = bills_due(terms, [block, more], through=date(2026, 12, 31))
    assert said(bills) == [("Mar 2026", "block", "1500.00"), ("Apr 2026", "more", "300.00")]


def test_a_period_written_off_has_no_bill() -> None:
    bills = bills_due(MONTH, [SEATS], through=MAY, cancelled={APR})
    assert [bill.period.label for bill in bills if bill.period] == ["Mar 2026", "May 2026"]


def test_a_period_with_nothing_in_effect_has_no_bill() -> None:
    assert bills_due(Terms(MONTHLY, JAN), [SEATS], through=date(2026, 2, 28)) == []


def test_what_is_not_charged_is_shown_with_its_cost() -> None:
    tool = Charge("tool", (Step(MAR, Decimal(3), Decimal(0), Decimal("4.00"), Decimal(5)),), MAR)
    (bill,) = bills_due(MONTH, [tool], through=MAR)
    assert [(item.quantity, item.amount, item.cost) for item in bill.items] == [
        (Decimal(3), Decimal("0.00"), Decimal("20.00"))
    ]


def test_cost_follows_the_same_share_as_the_price() -> None:
    part = Charge("part", (Step(MAR, Decimal(2), Decimal(22), Decimal(10)),), date(2026, 3, 15))
    (bill,) = bills_due(MONTH, [part], through=MAR)
    assert [(item.amount, item.cost) for item in bill.items] == [(Decimal("24.13"), Decimal("10.97"))]


@pytest.mark.parametrize(("prorate_first", "amount"), [(True, "150.00"), (False, "300.00")])
def test_the_short_first_period_of_a_calendar_base(prorate_first: bool, amount: str) -> None:
    terms = Terms(MONTHLY, date(2026, 4, 16), base="calendar", prorate_first_bill=prorate_first)
    bills = bills_due(terms, [charge("fee", "1", "300.00", APR)], through=MAY)
    assert said(bills) == [("16 Apr 2026 – 30 Apr 2026", "fee", amount), ("May 2026", "fee", "300.00")]


def test_an_overage_comes_with_the_first_bill_that_falls_due_after_it() -> None:
    overage = OneOff("overage", date(2026, 3, 31), Decimal(3), Decimal(100), Decimal(300), Decimal(0), "3 h over")
    march = bills_due(MONTH, [SEATS], [overage], through=MAR)
    assert said(march) == [("Mar 2026", "seats", "310.00")]
    april = bills_due(MONTH, [SEATS], [overage], as_booked(*march), through=date(2026, 4, 20), billed=starts_of(*march))
    assert said(april) == [("Apr 2026", "seats", "310.00"), ("Apr 2026", "overage", "300.00")]
    more = replace(overage, amount=Decimal(350))
    made = [*march, *april]
    may = bills_due(MONTH, [SEATS], [more], as_booked(*made), through=MAY, billed=starts_of(*made))
    assert said(may) == [("May 2026", "seats", "310.00"), ("May 2026", "overage", "50.00")]


def test_an_overage_of_the_day_a_bill_falls_due_is_on_it() -> None:
    overage = OneOff("overage", APR, Decimal(1), Decimal(100), Decimal(100), Decimal(0), "1 h over")
    assert said(bills_due(MONTH, [SEATS], [overage], through=APR, first=1)) == [
        ("Apr 2026", "seats", "310.00"),
        ("Apr 2026", "overage", "100.00"),
    ]


def test_an_overage_alone_makes_the_bill_of_its_period() -> None:
    overage = OneOff("overage", date(2026, 3, 31), Decimal(3), Decimal(100), Decimal(300), Decimal(0), "3 h over")
    assert said(bills_due(MONTH, [], [overage], through=APR)) == [("Apr 2026", "overage", "300.00")]
    ended = replace(MONTH, last_day=date(2026, 3, 31))
    assert said(bills_due(ended, [], [overage], through=APR)) == [("adjustment", "overage", "300.00")]


def test_periods_before_the_first_looked_at_are_settled() -> None:
    assert said(bills_due(MONTH, [SEATS], through=MAY, first=2)) == [("May 2026", "seats", "310.00")]


@pytest.mark.parametrize(
    ("anchor", "labels"),
    [
        (date(2026, 1, 31), ["31 Jan 2026 – 27 Feb 2026", "28 Feb 2026 – 30 Mar 2026", "31 Mar 2026 – 29 Apr 2026"]),
        (date(2024, 1, 30), ["30 Jan 2024 – 28 Feb 2024", "29 Feb 2024 – 29 Mar 2024", "30 Mar 2024 – 29 Apr 2024"]),
    ],
)
def test_month_ends_do_not_drift(anchor: date, labels: list[str]) -> None:
    terms = Terms(MONTHLY, anchor)
    bills = bills_due(terms, [charge("a", "1", "9.99", anchor)], through=date(anchor.year, 4, 1))
    assert [bill.period.label for bill in bills if bill.period] == labels
    assert {bill.amount for bill in bills} == {Decimal("9.99")}


@pytest.mark.parametrize("cycle", [WEEKLY, Cycle("week", 3), QUARTERLY, Cycle("month", 7), Cycle("year", 3)])
def test_any_cycle_bills_its_price(cycle: Cycle) -> None:
    bills = bills_due(Terms(cycle, JAN), [charge("a", "2", "7.50", JAN)], through=date(2030, 1, 1))
    assert {bill.amount for bill in bills} == {Decimal("15.00")}


# -- safety ------------------------------------------------------------------------------------------------------------


def test_something_billed_off_the_grid_stops_the_agreement() -> None:
    made = bills_due(MONTH, [SEATS], through=APR)
    with pytest.raises(DomainError, match="none begins then") as refusal:
        again(replace(MONTH, anchor=date(2026, 3, 10)), [SEATS], made, MAY)
    assert refusal.value.code == "conflict"


def test_other_keys_are_left_alone() -> None:
    stray = Booked("by hand", date(2026, 3, 3), Decimal(5), Decimal(0), Decimal(1), Decimal(5), MAR, APR)
    assert said(bills_due(MONTH, [SEATS], booked=[stray], through=MAR)) == [("Mar 2026", "seats", "310.00")]


def test_absurd_results_are_refused() -> None:
    decades = bills_due(Terms(WEEKLY, date(2016, 1, 1)), [charge("a", "1", "1.00", JAN)], through=date(2027, 1, 1))
    with pytest.raises(DomainError, match="One run would make 54 bills; 24 are allowed"):
        check_bounds(decades)
    bills = bills_due(MONTH, [charge("a", "5000", "31.00")], through=MAR)
    check_bounds(bills, usual=None)
    check_bounds(bills, usual=Decimal("1550.00"))
    with pytest.raises(DomainError, match=r"155,000\.00, more than 100 times the last, 310.00") as refusal:
        check_bounds(bills, usual=Decimal("310.00"))
    assert refusal.value.code == "absurd_amount"


def test_units_billed_twice_for_a_day_are_refused() -> None:
    (bill,) = bills_due(MONTH, [SEATS], through=MAR)
    check_bounds([bill], [SEATS])
    with pytest.raises(DomainError, match="20 units would be billed for 1 Mar 2026, and there are 10"):
        check_bounds([Bill("period", bill.period, bill.items * 2)], [SEATS])


def test_a_credit_beyond_what_was_billed_is_refused() -> None:
    (bill,) = bills_due(MONTH, [SEATS], through=MAR)
    back: list[BilledItem] = [item._replace(amount=-item.amount, is_credit=True) for item in bill.items]
    memo = Bill("credit_memo", None, tuple(back))
    check_bounds([memo], [SEATS], as_booked(bill))
    with pytest.raises(DomainError, match=r"310.00 would be given back for Mar 2026, but 100.00 was billed"):
        check_bounds([memo], [SEATS], [replace(as_booked(bill)[0], amount=Decimal(100))])


def test_the_longest_explanation_fits() -> None:
    step = Step(JAN, Decimal("999999999999.123456"), Decimal("999999999999.12345678"))
    terms = Terms(Cycle("month", 7), JAN, changes="immediately")
    made = bills_due(terms, [Charge("a", (step,), date(2026, 2, 3))], through=JAN)
    more = step._replace(start=date(2026, 5, 5), unit_price=Decimal("999999999999.87654321"))
    made += again(terms, [Charge("a", (step, more), date(2026, 2, 3))], made, JAN)
    assert all(100 < len(item.explanation) < 300 for bill in made for item in bill.items)


class TestCreditedByHand:
    """10 licences at 20.00 were billed for January, and somebody credited part of it by hand."""

    def month(self, quantity: str, *given: str, last_day: date | None = None) -> list[Decimal]:
        start = date(2026, 1, 1)
        charge = Charge("licences", (Step(start, Decimal(quantity), Decimal("20.00")),), start, last_day)
        booked = [
            Booked(
                "licences", start, Decimal("200.00"), Decimal(0), Decimal(10), Decimal("20.00"), start, date(2026, 2, 1)
            ),
            *(
                Booked(
                    "licences", start, -Decimal(g), Decimal(0), Decimal(-1), Decimal(g), start, date(2026, 2, 1), True
                )
                for g in given
            ),
        ]
        terms = Terms(MONTHLY, start, credits="credit_memo", changes="immediately")
        bills = bills_due(terms, [charge], booked=booked, through=start, billed={start})
        return [bill.amount for bill in bills]

    def test_a_credit_by_hand_stays_and_is_not_billed_again(self) -> None:
        assert self.month("10", "40.00") == []

    def test_a_correction_of_the_same_thing_gives_nothing_back_twice(self) -> None:
        assert self.month("8", "40.00") == []
        assert self.month("8", "25.00") == [Decimal("-15.00")]
        assert self.month("8", "15.00", "25.00") == []

    def test_more_than_was_credited_is_given_back_as_far_as_it_goes_beyond(self) -> None:
        assert self.month("5", "40.00") == [Decimal("-60.00")]

    def test_what_was_credited_whole_is_not_given_back_when_the_charge_is_cancelled(self) -> None:
        assert self.month("0", "200.00") == []

    def test_more_units_are_billed_on_top(self) -> None:
        assert self.month("12", "40.00") == [Decimal("40.00")]
