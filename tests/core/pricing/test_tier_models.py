"""Prices that follow from a quantity, each explained tier by tier."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from counterfoil.core.errors import DomainError
from counterfoil.core.pricing import Tier, TierKind, TierModel, price_of


def tiers(*rows: tuple[int | None, str] | tuple[int | None, str, str]) -> tuple[Tier, ...]:
    """Rows of end, unit price and, perhaps, amount."""
    return tuple(Tier(None if row[0] is None else D(row[0]), *map(D, row[1:])) for row in rows)


CALLS = TierModel("graduated", tiers((100, "0.10"), (500, "0.08"), (None, "0.06")))
SLABS = tiers((250, "1"), (500, "2"), (None, "3"))
FLAT_SLABS = tiers((250, "0", "10"), (500, "0", "20"), (None, "0", "30"))
FLAT_WITH_OVERAGE = tiers((5, "0"), (7, "0", "200"), (9, "0", "100"), (None, "75"))
STEPS = TierModel("stair_step", tiers((10, "0", "50"), (20, "0", "100"), (None, "0", "150")))
SEATS = TierModel("graduated", tiers((2, "250"), (5, "125"), (10, "90"), (None, "75")))


@pytest.mark.parametrize(
    ("model", "quantity", "amount"),
    [
        pytest.param(CALLS, "600", "48", id="we_9_graduated_per_unit"),
        pytest.param(TierModel("graduated", SLABS), "1000", "2250", id="we_9_slab_graduated"),
        pytest.param(TierModel("volume", SLABS), "1000", "3000", id="we_9_volume_of_the_same_tiers"),
        pytest.param(TierModel("graduated", FLAT_SLABS), "1000", "60", id="we_9_flat_fees_cumulative"),
        pytest.param(TierModel("volume", FLAT_SLABS), "1000", "30", id="we_9_flat_fee_of_the_tier_reached"),
        pytest.param(TierModel("stair_step", FLAT_SLABS), "1000", "30", id="we_9_reached_tier_only_as_a_step"),
        pytest.param(TierModel("graduated", FLAT_WITH_OVERAGE), "8.5", "300", id="we_9_flat_tiers_8_5_units"),
        pytest.param(TierModel("graduated", FLAT_WITH_OVERAGE), "9", "300", id="we_9_flat_tiers_to_the_brim"),
        pytest.param(TierModel("graduated", FLAT_WITH_OVERAGE), "11", "450", id="we_9_overage_75_beyond"),
        pytest.param(STEPS, "25", "150", id="we_9_stair_step"),
        pytest.param(TierModel("volume", tiers((19, "10"), (None, "9"))), "21", "189", id="we_9_volume_all_at_9"),
        pytest.param(SEATS, "17", "1850", id="we_9_graduated_seats"),
    ],
)
def test_worked_prices(model: TierModel, quantity: str, amount: str) -> None:
    assert price_of(model, D(quantity)).amount == D(amount)


@pytest.mark.parametrize(
    ("model", "quantity", "lines"),
    [
        (
            CALLS,
            "600",
            [
                "up to 100: 100 × 0.10 = 10.00",
                "above 100 to 500: 400 × 0.08 = 32.00",
                "above 500: 100 × 0.06 = 6.00",
            ],
        ),
        (TierModel("volume", SLABS), "1000", ["above 500: 1000 × 3.00 = 3,000.00"]),
        (
            TierModel("graduated", FLAT_WITH_OVERAGE),
            "11",
            [
                "up to 5: 5 × 0.00 = 0.00",
                "above 5 to 7: once = 200.00",
                "above 7 to 9: once = 100.00",
                "above 9: 2 × 75.00 = 150.00",
            ],
        ),
        (STEPS, "25", ["above 20: the step's amount = 150.00"]),
        (TierModel("package", tiers((None, "25")), package_size=D(10)), "21", ["3 packages of 10 × 25.00 = 75.00"]),
        (TierModel("percentage", tiers((None, "0.029", "0.30"))), "1000", ["once = 0.30", "2.9 % of 1,000.00 = 29.00"]),
        (
            TierModel("per_unit", tiers((None, "2.50")), included_quantity=D(5), minimum_amount=D(60)),
            "25",
            ["5 of 25 included", "20 × 2.50 = 50.00", "up to the minimum of 60.00 = 10.00"],
        ),
        (
            TierModel("per_unit", tiers((None, "2.50")), minimum_quantity=D(10)),
            "3",
            ["at least 10 are billed", "10 × 2.50 = 25.00"],
        ),
    ],
)
def test_a_price_explains_itself_tier_by_tier(model: TierModel, quantity: str, lines: list[str]) -> None:
    assert list(price_of(model, D(quantity)).explanation) == lines


def test_we_18_what_is_included_is_not_billed() -> None:
    model = TierModel("per_unit", tiers((None, "10")), included_quantity=D(5))
    assert price_of(model, D(25)).amount == D(200)
    assert price_of(model, D(5)).amount == 0


def test_the_unit_price_is_the_amount_by_the_quantity_to_8_decimals() -> None:
    assert price_of(SEATS, D(17)).unit_price == D("108.82352941")
    assert price_of(SEATS, D(0)).unit_price == 0


@pytest.mark.parametrize(
    ("quantity", "amount"), [("0", "0"), ("10", "50"), ("10.5", "100"), ("20", "100"), ("20.000001", "150")]
)
def test_a_tier_reaches_up_to_and_with_its_end(quantity: str, amount: str) -> None:
    assert price_of(STEPS, D(quantity)).amount == D(amount)


def test_beyond_the_last_step_units_may_have_a_price_of_their_own() -> None:
    model = TierModel("stair_step", tiers((10, "0", "50"), (20, "0", "100"), (None, "4", "100")))
    assert price_of(model, D(25)).amount == D(120)


@pytest.mark.parametrize("kind", ["volume", "graduated", "stair_step"])
def test_a_quantity_beyond_the_last_end_is_refused(kind: TierKind) -> None:
    model = TierModel(kind, tiers((5, "0", "10"), (9, "0", "20")))
    assert price_of(model, D(9)).amount in {D(20), D(30)}
    with pytest.raises(DomainError, match=r"9\.5 are more than the 9") as refused:
        price_of(model, D("9.5"))
    assert refused.value.field == "quantity"


@pytest.mark.parametrize(
    ("kind", "rows", "field"),
    [
        ("volume", (), "tiers"),
        ("per_unit", ((10, "1"),), "tiers"),
        ("package", ((10, "1"), (None, "2")), "tiers"),
        ("percentage", ((10, "1"), (None, "2")), "tiers"),
        ("volume", ((10, "1"), (10, "2")), "tiers[1].up_to"),
        ("graduated", ((10, "1"), (5, "2")), "tiers[1].up_to"),
        ("graduated", ((None, "1"), (5, "2")), "tiers[0].up_to"),
        ("graduated", ((0, "1"), (None, "2")), "tiers[0].up_to"),
        ("graduated", ((5, "-1"), (None, "2")), "tiers[0].unit_price"),
        ("stair_step", ((5, "1", "10"), (None, "2")), "tiers[0].unit_price"),
    ],
)
def test_tiers_that_contradict_each_other_are_refused(
    kind: TierKind, rows: tuple[tuple[int | None, str], ...], field: str
) -> None:
    with pytest.raises(DomainError) as refused:
        TierModel(kind, tiers(*rows))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("name", "value"),
    [("minimum_quantity", "-1"), ("included_quantity", "-1"), ("minimum_amount", "-1"), ("package_size", "0")],
)
def test_amounts_of_a_model_below_zero_are_refused(name: str, value: str) -> None:
    with pytest.raises(DomainError) as refused:
        TierModel("package", tiers((None, "1")), **{name: D(value)})
    assert refused.value.field == name


def test_a_negative_quantity_is_refused() -> None:
    with pytest.raises(DomainError, match="below zero"):
        price_of(SEATS, D(-1))
