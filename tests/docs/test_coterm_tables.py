"""The tables of the pages on co-terms and conversion are what the rules give."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from tests.docs.test_tables import amount, table

from counterfoil.core.calendar import YEARLY, Cycle, Period
from counterfoil.core.commitment import refund
from counterfoil.core.coterm import (
    Candidate,
    Target,
    align,
    calendar_anniversary,
    check_alignment,
    common_anniversary,
    propose,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.proration import ProrationMethod

PAGE = "co-term.md"
CONVERSION = "conversion.md"
DAY = timedelta(days=1)


def day(text: str) -> date:
    return datetime.strptime(text, "%d %b %Y").date()


@pytest.mark.parametrize("row", table(PAGE, "method"), ids=lambda row: f"{row['method']} {row['from']}")
def test_first_periods(row: dict[str, str]) -> None:
    """WE-15 and Adobe VIP."""
    aligned = align(
        start=day(row["from"]),
        end=day(row["up to"]) + DAY,
        cycle=Cycle.parse(row["cycle"]),
        quantity=Decimal(1),
        unit_price=amount(row["price"]),
        method=ProrationMethod(row["method"]),
    )
    assert (aligned.share.words, aligned.first_amount) == (row["first part"], amount(row["first amount"]))
    assert aligned.total == amount(row["all of it"])


@pytest.mark.parametrize("row", table(CONVERSION, "paid"), ids=lambda row: row["last day"])
def test_what_is_given_back(row: dict[str, str]) -> None:
    """WE-14."""
    first, last = map(day, row["period"].split(" to "))
    back, _ = refund(amount(row["paid"]), Period(first, last + DAY), day(row["last day"]))
    assert back == amount(row["given back"])


@pytest.mark.parametrize("row", table(PAGE, "a term of"), ids=lambda row: row["a term of"])
def test_what_may_align_to_what(row: dict[str, str]) -> None:
    """WE-15."""
    term, start = Cycle.parse(row["a term of"]), date(2026, 1, 1)
    for code in filter(None, row["may end with one of"].split(", ")):
        check_alignment(Target(date(2026, 6, 1), Cycle.parse(code)), term=term, start=start)
    for code in filter(None, row["or not"].split(", ")):
        with pytest.raises(DomainError):
            check_alignment(Target(date(2026, 6, 1), Cycle.parse(code)), term=term, start=start)


@pytest.mark.parametrize("row", table(PAGE, "bought"), ids=lambda row: f"{row['bought']} {row['term']}")
def test_calendar_months(row: dict[str, str]) -> None:
    """WE-25."""
    assert calendar_anniversary(day(row["bought"]), Cycle.parse(row["term"])) - DAY == day(row["last day"])


def test_one_anniversary() -> None:
    """WE-15."""
    rows = table(PAGE, "renews on")
    candidates = [
        Candidate(i, row["renews on"], Decimal(1), Decimal(365), day(row["renews on"]), YEARLY, YEARLY)
        for i, row in enumerate(rows)
    ]
    proposal = propose(candidates, Target(common_anniversary(candidates, month=1)))
    assert [(line.part, line.amount) for line in proposal.lines] == [
        (row["part of a year"], amount(row["amount"])) for row in rows
    ]
    assert proposal.end == date(2027, 1, 1)
