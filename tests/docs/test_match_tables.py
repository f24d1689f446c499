"""The tables of the page on the match are what its rules give."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.core.test_matching import USUAL, agreed, asks, bought, changed, found_in, invoiced, quote, thread_of
from tests.docs.test_tables import amount, table

from counterfoil.core.matching import CATALOGUE, Tolerance

PAGE = "match.md"
D = Decimal
LATER = date(2026, 3, 15)

#: What the rows of the page change, by their words.
CHANGES: dict[str, dict[str, Any]] = {
    "bought at 756.00": {"purchases": {"unit_cost": D(756)}},
    "bought 27": {"purchases": {"quantity": D(27)}},
    "bought 24": {"purchases": {"quantity": D(24)}},
    "agreement has 24": {"agreements": {"quantity": D(24)}},
    "agreement has 756.00": {"agreements": {"unit_price": D(756)}},
    "bought for 1 year at 240.00": {
        "purchases": {"term": "year:1", "billing_cycle": "year:1", "unit_cost": D(240)}
    },
    "agreement bills monthly at 22.00": {"agreements": {"billing_cycle": "month:1", "unit_price": D(22)}},
    "agreement bills monthly at 792.00": {"agreements": {"billing_cycle": "month:1"}},
    "agreement ends 365 days early": {"agreements": {"ends": date(2028, 2, 29), "cancelled": date(2028, 2, 29)}},
    "agreement begins 14 days later": {"agreements": {"start": LATER}},
    "bought from 14 days later": {"purchases": {"start": LATER}},
}  # fmt: skip


@pytest.mark.parametrize("row", table(PAGE, "change"), ids=lambda row: row["change"])
def test_dollars(row: dict[str, str]) -> None:
    line = quote()
    ((leg, change),) = CHANGES[row["change"]].items()
    make = {"purchases": bought, "agreements": agreed}[leg]
    (found,) = found_in(thread_of(line, **{"invoices": (), leg: (make(line, **change),)}))
    assert (found.code, found.monthly, found.over_term) == (
        row["code"], amount(row["a month"]), amount(row["over the term"]),
    )  # fmt: skip


FOURTH = {"period_start": date(2029, 3, 1), "service_start": date(2029, 3, 1), "service_end": date(2032, 3, 1)}


def goes_on(change: str) -> dict[str, Any]:
    """The legs of a thread in which one thing goes on when another has ended, by the words of the page."""
    line = quote()
    ended = {"ends": date(2028, 2, 29), "cancelled": date(2028, 2, 29)}
    left = line._replace(id=2, action="cancel", start=date(2028, 3, 1))
    short = {"ends": date(2026, 3, 14), "cancelled": date(2026, 3, 14)}
    return {
        "billed for a fourth year without a renewal": {"invoices": (invoiced(line, **FOURTH),)},
        "ended by the customer a year early, and bought for all three": {
            "agreements": (agreed(line, **ended),), "asked": (asks(left),), "invoices": ()
        },
        "20 of 25 left by a change quote a year early, and all bought": {
            "agreements": (agreed(line, quantity=D(20)),),
            "changes": (
                changed(line, date(2026, 3, 1), 25, price="792"),
                changed(line, date(2028, 3, 1), 20, 2, price="792"),
            ),
            "asked": (asks(left, action="decrease", quantity=D(5)),),
        },
        "billed by the agreement's successor, and not bought anew": {
            "agreements": (
                agreed(line, ends=date(2029, 2, 28)), agreed(line, id=12, start=date(2029, 3, 1))
            ),
            "invoices": (invoiced(line, addition_id=12, **FOURTH),),
        },
        "ended on 14 Mar 2026, and billed by a draft for all three years": {
            "agreements": (agreed(line, purchase_item=False, **short),),
            "asked": (asks(left, start=date(2026, 3, 15)),), "purchases": (),
        },
    }[change]  # fmt: skip


@pytest.mark.parametrize("row", table(PAGE, "goes on"), ids=lambda row: row["goes on"])
def test_dollars_of_what_goes_on(row: dict[str, str]) -> None:
    (found,) = found_in(thread_of(quote(), **goes_on(row["goes on"])))
    assert (found.code, found.actual_leg, found.monthly, found.over_term) == (
        row["code"], row["on"], amount(row["a month"]), amount(row["over the term"]),
    )  # fmt: skip


def test_the_example() -> None:
    line = quote(unit_cost=D(648))
    found = found_in(
        thread_of(
            line,
            agreements=(agreed(line, billing_cycle="month:1", unit_price=D(22)),),
            purchases=(bought(line, term="year:1", billing_cycle="year:1", unit_cost=D(216)),),
            invoices=(),
        )
    )
    said = [
        (each.code, each.actual_leg, each.expected, each.actual, each.monthly, each.over_term) for each in found
    ]  # fmt: skip
    assert said == [
        (row["found"], row["on"], row["quoted"], row["there"], amount(row["a month"]), amount(row["over the term"]))
        for row in table(PAGE, "found")
    ]


def test_codes() -> None:
    rows = {row["code"]: (row["means"], row["holds"].replace(" ", "")) for row in table(PAGE, "code")}
    assert rows == {code.code: (code.meaning, code.holds) for code in CATALOGUE.values()}


@pytest.mark.parametrize("row", table(PAGE, "tolerance"), ids=lambda row: row["tolerance"])
def test_tolerances(row: dict[str, str]) -> None:
    percent = re.search(r"(\d+) %", row["tolerance"])
    of = re.search(r"(?:or |^)(\d+)(?:,|$)", row["tolerance"])
    tolerance = Tolerance(
        D(percent[1]) if percent else None, D(of[1]) if of else None, narrower="narrower" in row["tolerance"]
    )
    for column, matches in (("matches", True), ("does not", False)):
        for actual in row[column].split(", "):
            assert tolerance.covers(D(row["expected"]), D(actual)) is matches, actual


def test_what_an_installation_begins_with() -> None:
    from counterfoil.matching.commands import DEFAULT_TOLERANCES

    assert {(measure, percent, value) for measure, percent, value in DEFAULT_TOLERANCES} == {
        ("unit_cost", D(2), D(25)), ("quantity", None, D(0)), ("unit_price", None, D(0)),
    }  # fmt: skip
    assert USUAL.of("unit_cost", None, None, None) == Tolerance(D(2), D(25))
