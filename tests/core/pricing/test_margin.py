"""From cost to price and back."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.pricing import margin
from counterfoil.core.pricing.margin import Method, price_by_rule

costs = st.integers(1, 10_000_000).map(lambda units: D(units).scaleb(-2))
percents = st.integers(0, 9_900).map(lambda units: D(units).scaleb(-2))


@pytest.mark.parametrize(
    ("method", "value", "price", "words"),
    [
        ("price", "95", "95", "95.00"),
        ("markup", "25", "100", "cost 80.00 + 25 %"),
        ("margin", "20", "100", "cost 80.00 at a margin of 20 %"),
        ("discount", "10", "108", "120.00 − 10 %"),
        ("amount_off", "15.50", "104.50", "120.00 − 15.50"),
        ("amount_off", "200", "0", "120.00 − 200.00"),
    ],
)
def test_a_price_by_rule_of_cost_80_and_price_120(method: Method, value: str, price: str, words: str) -> None:
    found = price_by_rule(method, D(value), price=D(120), cost=D(80))
    assert (found.price, found.words) == (D(price), words)


def test_we_32_margin_of_5000_with_a_profit_of_2400() -> None:
    assert margin.margin_of(D(2600), D(5000)) == 48


@given(costs, percents)
def test_markup_there_and_back(cost: D, percent: D) -> None:
    price = margin.price_by_markup(cost, percent)
    assert abs((margin.markup_of(cost, price) or D(0)) - percent) <= D("1e-4")


@given(costs, percents)
def test_margin_there_and_back(cost: D, percent: D) -> None:
    price = margin.price_by_margin(cost, percent)
    assert abs((margin.margin_of(cost, price) or D(0)) - percent) <= D("1e-4")


@given(costs, percents)
def test_discount_there_and_back(price: D, percent: D) -> None:
    discounted = margin.price_by_discount(price, percent)
    assert abs((margin.discount_of(price, discounted) or D(0)) - percent) <= D("1e-4")


@given(costs, percents)
def test_the_same_per_cent_of_margin_gives_the_dearer_price(cost: D, percent: D) -> None:
    assert margin.price_by_margin(cost, percent) >= margin.price_by_markup(cost, percent)


def test_shares_of_nothing_are_not_known() -> None:
    assert margin.margin_of(D(5), D(0)) is None
    assert margin.markup_of(D(0), D(5)) is None
    assert margin.change_of(D(0), D(5)) is None
    assert margin.change_of(D(20), D(19)) == -5


@pytest.mark.parametrize(("method", "value"), [("margin", "100"), ("discount", "100.01")])
def test_impossible_shares_are_refused(method: Method, value: str) -> None:
    with pytest.raises(DomainError) as refused:
        price_by_rule(method, D(value), price=D(120), cost=D(80))
    assert refused.value.field == "value"
