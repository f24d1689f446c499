"""The tables of the page on the match are what its rules give."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.core.test_matching import USUAL, agreed, bought, found_in, quote, thread_of
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
