"""What vendors write, in our terms."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from counterfoil.core.errors import DomainError
from counterfoil.matching.words import cycle_of, is_seats, read_day, read_number, signed, term_of


@pytest.mark.parametrize(
    ("text", "frequency", "days", "term", "cycle"),
    [
        # Microsoft's samples
        ("One-Year commitment for monthly/yearly billing", "Monthly", 31, "year:1", "month:1"),
        ("One-Year commitment for monthly/yearly billing", "", 365, "year:1", "year:1"),
        ("One-Year commitment for monthly/yearly billing", "", 154, "year:1", "year:1"),
        ("One-Year commitment for yearly billing", "", 365, "year:1", "year:1"),
        ("One-Month commitment for monthly billing", "Monthly", 31, "month:1", "month:1"),
        ("One-Month commitment for monthly billing", "", None, "month:1", "month:1"),
        ("One-Month commitment for trial", "", 31, "month:1", ""),
        ("Three-3 Years commitment for monthly/3 Years/yearly billing", "Monthly", 31, "year:3", "month:1"),
        ("Three-3 Years commitment for monthly/3 Years/yearly billing", "", 365, "year:3", "year:1"),
        ("Three-3 Years commitment for monthly/3 Years/yearly billing", "", 1096, "year:3", "year:3"),
        ("1 year, monthly", "", None, "year:1", "month:1"),
        ("1 Year Subscription", "", None, "year:1", ""),
        # others
        ("Monthly term, Monthly billing", "", None, "month:1", "month:1"),
        ("P1Y", "P1M", None, "year:1", "month:1"),
        ("36 months", "annual", None, "year:3", "year:1"),
        ("Annual", "Monthly", None, "year:1", "month:1"),
        ("month:1", "month:1", None, "month:1", "month:1"),
        ("", "", None, "", ""),
        ("Pay as you go", "", None, "", ""),
    ],
)
def test_terms_and_cycles(text: str, frequency: str, days: int | None, term: str, cycle: str) -> None:
    assert (term_of(text), cycle_of(text, frequency, days)) == (term, cycle)


def test_charges_that_are_money_alone() -> None:
    assert [is_seats(kind) for kind in ("new", "cycleCharge", "Cancel fee", "", "customerCredit", "Tax")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "amount", "kind", "expected"),
    [
        ("10", "45", "new", "10"),
        ("-10", "-45", "removeQuantity", "-10"),
        ("10", "-45", "Cancel fee", "-10"),
        ("8", "36", "removeQuantity", "8"),  # what is charged anew for those that stay
        ("10", "0", "cancelImmediate", "-10"),  # a trial costs nothing
        ("25", "0", "new", "25"),
    ],
)
def test_a_credit_takes_away_however_it_is_written(quantity: str, amount: str, kind: str, expected: str) -> None:
    assert signed(Decimal(quantity), Decimal(amount), kind) == Decimal(expected)


def test_days_and_numbers() -> None:
    for text in ("2026-03-15", "2026-03-15T00:00:00Z", "3/15/2026 23:59", "15 Mar 2026", "'3/15/2026 12:00:00 AM"):
        assert read_day(text, "charge_start") == date(2026, 3, 15)
    assert read_day(" ", "charge_start") is None
    assert [read_number(text, "unit_cost", places=8) for text in ("'14.40", "$1,234.5", "", "0.0209496384791679")] == [
        Decimal("14.40"), Decimal("1234.5"), Decimal(0), Decimal("0.02094964"),
    ]  # fmt: skip
    for text in ("31/12/2026", "soon"):
        with pytest.raises(DomainError, match="is not a date"):
            read_day(text, "charge_start")
