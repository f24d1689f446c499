"""The tables of the page on recurring billing are what its rules give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.core.oracle_recurring import DAY, as_booked, starts_of
from tests.docs.test_tables import amount, table

from counterfoil.core.calendar import MONTHLY, YEARLY, Cycle, Period, billing_period
from counterfoil.core.money import round_money
from counterfoil.core.proration import ProrationMethod, prorate
from counterfoil.core.recurring import Bill, Charge, Step, Terms, bills_due, present

PAGE = "recurring-billing.md"
MAR = date(2026, 3, 1)
MONTH = Terms(MONTHLY, MAR)


def day(text: str) -> date:
    return datetime.strptime(text, "%d %b %Y").date()


def span(text: str) -> Period:
    first, last = map(day, text.split(" to "))
    return Period(first, last + DAY)


def charge(quantity: int, price: str, since: date, *later: tuple[date, int, str]) -> Charge:
    steps = [(since, quantity, price), *later]
    return Charge("a", tuple(Step(on, Decimal(units), Decimal(each)) for on, units, each in steps), since)


def then(terms: Terms, charges: Sequence[Charge], made: Sequence[Bill], through: date) -> list[Bill]:
    return bills_due(terms, charges, booked=as_booked(*made), through=through, billed=starts_of(*made))


def we_2() -> list[Bill]:
    terms, old = Terms(MONTHLY, date(2019, 3, 1)), charge(2, "22", date(2019, 3, 1))
    march = bills_due(terms, [old], through=date(2019, 3, 1))
    new = charge(2, "22", date(2019, 3, 15))._replace(key="b")
    return then(terms, [old, new], march, date(2019, 4, 1))


def we_2_in_one_line() -> list[Bill]:
    (april,) = we_2()
    return [april._replace(items=present(april.items))]


def we_8(billed: date = MAR, through: date = date(2026, 4, 1)) -> list[Bill]:
    made = bills_due(MONTH, [charge(10, "20", MAR)], through=billed)
    return then(MONTH, [charge(10, "20", MAR, (date(2026, 3, 17), 12, "20"))], made, through)


def we_13() -> list[Bill]:
    seats = charge(1, "10", MAR, (date(2026, 3, 17), 2, "10"))
    return bills_due(replace(MONTH, timing="arrears"), [seats], through=date(2026, 3, 31))


def we_14() -> list[Bill]:
    terms, plan = Terms(YEARLY, date(2026, 1, 1), credits="credit_memo"), charge(1, "1200", date(2026, 1, 1))
    made = bills_due(terms, [plan], through=date(2026, 1, 1))
    return then(replace(terms, last_day=date(2026, 1, 3)), [plan], made, date(2026, 1, 4))


def price_rises() -> list[Bill]:
    made = bills_due(MONTH, [charge(10, "31", MAR)], through=MAR)
    return then(MONTH, [charge(10, "31", MAR, (date(2026, 3, 22), 10, "34.10"))], made, date(2026, 4, 1))


def changed_twice() -> list[Bill]:
    terms = replace(MONTH, changes="immediately", credits="credit_memo")
    more, fewer = (date(2026, 3, 17), 12, "20"), (date(2026, 3, 25), 9, "20")
    made = bills_due(terms, [charge(10, "20", MAR)], through=MAR)
    made += then(terms, [charge(10, "20", MAR, more)], made, MAR)
    return then(terms, [charge(10, "20", MAR, more, fewer)], made, MAR)


STORIES: dict[str, Callable[[], list[Bill]]] = {
    "WE-2: 2 more from 15 Mar": we_2,
    "WE-2, one line an addition": we_2_in_one_line,
    "WE-8: 10 become 12 on 17 Mar": we_8,
    "WE-8, with April billed already": lambda: we_8(date(2026, 4, 1), date(2026, 5, 1)),
    "WE-13: 1 becomes 2 on 17 Mar, in arrears": we_13,
    "WE-14: cancelled on the third day": we_14,
    "price rises on 22 Mar": price_rises,
    "12 become 9 on 25 Mar, after 10 became 12": changed_twice,
}
ROWS = table(PAGE, "story")


def test_every_story_is_told() -> None:
    assert {row["story"] for row in ROWS} == set(STORIES)


@pytest.mark.parametrize("story", STORIES)
def test_the_lines_of_a_story_are_those_of_its_bills(story: str) -> None:
    said = [(row["bill"], row["explanation"], amount(row["amount"])) for row in ROWS if row["story"] == story]
    assert said == [
        (bill.period.label if bill.period else bill.kind.replace("_", " "), item.explanation, item.amount)
        for bill in STORIES[story]()
        for item in bill.items
    ]


@pytest.mark.parametrize("row", table(PAGE, "proration"), ids=lambda row: f"{row['proration']}, {row['share']}")
def test_parts_of_a_period(row: dict[str, str]) -> None:
    method = ProrationMethod(row["proration"].replace(" ", "_"))
    share = prorate(method, span(row["period"]), span(row["days used"]))
    assert share.words == row["share"]
    assert round_money(Fraction(amount(row["price"])) * share.fraction) == amount(row["amount"])


@pytest.mark.parametrize("row", table(PAGE, "base"), ids=lambda row: f"{row['base']} {row['cycle']}")
def test_periods(row: dict[str, str]) -> None:
    base = "calendar" if row["base"] == "calendar" else "contract"
    said = row["periods"].split("; ")
    cycle = Cycle.parse(row["cycle"])
    assert said == [billing_period(day(row["first day"]), cycle, n, base).label for n in range(len(said))]
