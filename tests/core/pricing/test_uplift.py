"""Offers' prices from one base price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.uplift import UpliftRow, in_effect, uplifted_price

APRIL_2025 = date(2025, 4, 1)


@pytest.mark.parametrize(
    ("term", "cycle", "percent", "price", "words"),
    [
        ("year:1", "year:1", "0", "264.00", "12 × 22.00"),
        ("year:1", "month:1", "5", "23.10", "22.00 + 5 %"),
        ("month:1", "month:1", "20", "26.40", "22.00 + 20 %"),
        ("year:3", "year:1", "0", "264.00", "12 × 22.00"),
        ("year:3", "year:3", "-10", "712.80", "36 × (22.00 − 10 %)"),
    ],
)
def test_we_16_prices_by_term_and_billing(term: str, cycle: str, percent: str, price: str, words: str) -> None:
    made = uplifted_price(D("22.00"), UpliftRow(term, cycle, D(percent)))
    assert (made.price, made.words) == (D(price), words)


def test_we_16_the_uplift_of_the_day_counts() -> None:
    before, since = UpliftRow("year:1", "month:1", D(0)), UpliftRow("year:1", "month:1", D(5), APRIL_2025)
    assert in_effect([since, before], date(2025, 3, 31)) == [before]
    assert in_effect([since, before], APRIL_2025) == [since]


def test_uplifts_that_make_no_price_are_refused() -> None:
    with pytest.raises(DomainError, match="whole number"):
        UpliftRow("year:1", "month:5", D(0))
    with pytest.raises(DomainError, match="100 %"):
        UpliftRow("year:1", "year:1", D(-100))
    with pytest.raises(DomainError, match="days and weeks"):
        uplifted_price(D(22), UpliftRow("week:4", "week:1", D(0)))
