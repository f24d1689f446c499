"""Prices against oracles that count one unit at a time."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.money import extend
from counterfoil.core.pricing import KINDS, Tier, TierKind, TierModel, price_of

prices = st.integers(0, 10_000_000).map(lambda units: D(units).scaleb(-4))
quantities = st.integers(0, 400)


@st.composite
def models(draw: st.DrawFn, kinds: tuple[TierKind, ...] = KINDS, *, plain: bool = False) -> TierModel:
    """A model with an open end; ``plain`` without minimums and included quantities."""
    kind = draw(st.sampled_from(kinds))
    ends = () if kind in {"per_unit", "package", "percentage"} else draw(st.sets(st.integers(1, 300), max_size=4))
    tiers = tuple(
        Tier(
            None if end is None else D(end),
            D(0) if kind == "stair_step" and end is not None else draw(prices),
            draw(prices),
        )
        for end in (*sorted(ends), None)
    )
    size = draw(st.integers(1, 40).map(D))
    if plain:
        return TierModel(kind, tiers, package_size=size)
    minimum, included = draw(quantities.map(D)), draw(quantities.map(D))
    return TierModel(kind, tiers, minimum, included, draw(prices), size)


def tier_of(model: TierModel, unit: int) -> int:
    """Which tier a unit lies in, by looking at them one after the other."""
    for index, tier in enumerate(model.tiers):
        if tier.up_to is None or unit <= tier.up_to:
            return index
    raise AssertionError("the last tier is open")


@given(models(("graduated",), plain=True), quantities)
def test_graduated_is_what_the_units_cost_one_by_one(model: TierModel, quantity: int) -> None:
    total, reached = D(0), set()
    for unit in range(1, quantity + 1):
        index = tier_of(model, unit)
        total += model.tiers[index].unit_price
        reached.add(index)
    total += sum((model.tiers[index].flat_amount for index in reached), D(0))
    assert price_of(model, D(quantity)).amount == total


@given(models(("volume",), plain=True), quantities)
def test_volume_is_every_unit_at_the_last_ones_price(model: TierModel, quantity: int) -> None:
    total = D(0)
    if quantity:
        last = model.tiers[tier_of(model, quantity)]
        for _ in range(quantity):
            total += last.unit_price
        total += last.flat_amount
    assert price_of(model, D(quantity)).amount == total


@given(models(("package",), plain=True), quantities)
def test_packages_are_opened_one_after_the_other(model: TierModel, quantity: int) -> None:
    left, opened = D(quantity), 0
    while left > 0:
        left -= model.package_size
        opened += 1
    expected = opened * model.tiers[0].unit_price + (model.tiers[0].flat_amount if quantity else 0)
    assert price_of(model, D(quantity)).amount == expected


@given(models(("per_unit", "graduated", "package", "percentage")), st.lists(quantities, min_size=2))
def test_more_never_costs_less_where_every_unit_adds(model: TierModel, asked: list[int]) -> None:
    amounts = [price_of(model, D(quantity)).amount for quantity in sorted(asked)]
    assert all(less <= more for less, more in pairwise(amounts))


@given(models(), st.integers(0, 4_000_000).map(lambda units: D(units).scaleb(-4)))
def test_the_lines_of_the_explanation_add_up_to_the_amount(model: TierModel, quantity: D) -> None:
    priced = price_of(model, quantity)
    said = [D(line.rpartition(" = ")[2].replace(",", "")) for line in priced.explanation if " = " in line]
    assert sum(said, D(0)) == priced.amount


@given(models(), st.integers(1, 4_000_000).map(lambda units: D(units).scaleb(-4)))
def test_quantity_times_unit_price_is_the_amount_to_the_cent(model: TierModel, quantity: D) -> None:
    priced = price_of(model, quantity)
    assert abs(extend(quantity, priced.unit_price) - priced.amount) <= D("0.0101")


@given(models())
def test_a_price_is_at_least_the_minimum(model: TierModel) -> None:
    assert price_of(model, D(0)).amount >= model.minimum_amount
