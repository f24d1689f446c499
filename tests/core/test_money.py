from decimal import Decimal as D
from decimal import localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.money import (
    allocate,
    extend,
    format_money,
    multiply,
    parse_money,
    parse_quantity,
    parse_unit_price,
    round_money,
    round_to,
    settle,
    sum_money,
)

cents = st.integers(-(10**11), 10**11).map(lambda n: D(n).scaleb(-2))


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [
        ("0.045", "0.05"),
        ("0.0846", "0.08"),
        ("0.645", "0.65"),
        ("9.045", "9.05"),
        ("-0.045", "-0.05"),
        ("-0.001", "0.00"),
        ("2", "2.00"),
        ("12345678901234567890.125", "12345678901234567890.13"),
    ],
)
def test_rounding_is_half_up_from_the_exact_value(exact: str, rounded: str) -> None:
    assert str(round_money(D(exact))) == rounded
    assert str(round_money(Fraction(exact))) == rounded


def test_rounding_to_a_unit_price_and_to_whole_yen() -> None:
    assert str(round_to(Fraction(1, 3), 8)) == "0.33333333"
    assert str(round_to(D("2.000000005"), 8)) == "2.00000001"
    assert str(round_money(D("150.5"), minor_units=0)) == "151"
    assert str(round_money(Fraction(301, 2), minor_units=0)) == "151"


def test_a_long_product_is_not_rounded_on_the_way() -> None:
    quantity, price = D("999999999999.999999"), D("999999999999.99999999")
    with localcontext() as context:
        context.prec = 5
        assert Fraction(multiply(quantity, price)) == Fraction(quantity) * Fraction(price)
        assert sum_money([D("99999999.99"), D("0.01")]) == D("100000000.00")
    assert extend(D("3"), D("1.115")) == D("3.35")


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        ("100.00", ["1", "1", "1"], ["33.34", "33.33", "33.33"]),
        ("-100.00", ["1", "1", "1"], ["-33.34", "-33.33", "-33.33"]),
        ("0.05", ["1", "0", "1"], ["0.03", "0.00", "0.02"]),
        ("0.05", ["0", "0"], ["0.03", "0.02"]),
        ("4.80", ["100", "-20"], ["6.00", "-1.20"]),
        ("2.42", ["0.04", "0.0225", "0.01"], ["1.34", "0.75", "0.33"]),
        ("0.00", ["5", "7"], ["0.00", "0.00"]),
        ("0.00", ["5", "-5"], ["0.00", "0.00"]),
    ],
)
def test_shares_add_up_to_the_cent(total: str, weights: list[str], parts: list[str]) -> None:
    assert [str(part) for part in allocate(D(total), [D(w) for w in weights])] == parts


@pytest.mark.parametrize(("total", "weights"), [("1.00", []), ("1.00", ["1", "-1"]), ("1.005", ["1", "1"])])
def test_what_cannot_be_shared_is_refused(total: str, weights: list[str]) -> None:
    with pytest.raises(DomainError) as refusal:
        allocate(D(total), [D(w) for w in weights])
    assert refusal.value.code == "invalid"


@given(total=cents, weights=st.lists(st.integers(0, 10**6).map(D), min_size=1, max_size=12))
def test_allocation_loses_no_cent_and_is_fair(total: D, weights: list[D]) -> None:
    parts = allocate(total, weights)
    assert sum(parts) == total
    assert allocate(-total, weights) == [-part for part in parts]
    whole = sum(weights)
    if whole:
        for part, weight in zip(parts, weights, strict=True):
            assert abs(Fraction(part) - Fraction(total) * Fraction(weight) / Fraction(whole)) < Fraction(1, 100)
            assert weight or not part


@given(st.lists(st.fractions(-1000, 1000, max_denominator=10**6), min_size=1, max_size=8))
def test_settling_keeps_every_part_within_a_cent(parts: list[Fraction]) -> None:
    total = round_money(sum(parts, Fraction(0)))
    settled = settle(total, parts)
    assert sum(settled) == total
    assert all(abs(Fraction(s) - p) < Fraction(1, 100) for s, p in zip(settled, parts, strict=True))


def test_settling_refuses_a_total_that_is_not_the_sum() -> None:
    with pytest.raises(DomainError):
        settle(D("5.00"), [Fraction(1), Fraction(1)])


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1234.5", "1234.50"),
        ("1,234.50", "1234.50"),
        (" 12,345,678 ", "12345678.00"),
        ("(5.00)", "-5.00"),
        ("-5", "-5.00"),
        ("$1,800.00", "1800.00"),
        ("-$3", "-3.00"),
        ("($3)", "-3.00"),
        (".5", "0.50"),
        ("-0", "0.00"),
        ("1.5000", "1.50"),
        ("0000000000000000001", "1.00"),
    ],
)
def test_amounts_as_people_write_them(text: str, amount: str) -> None:
    assert str(parse_money(text, "amount")) == amount


@pytest.mark.parametrize(
    "text",
    [
        "abc", "1e5", "NaN", "Infinity", "-inf", "1,23.00", "12,34", ",123", "1.2.3", "--1", "-(1)", "(-1)", "1 000",
        "0x10", "1_000", "٣", "1.", ".", "-", "()", "1.005", "1234567890123456", "1" * 5000, "$$1",
    ],
)  # fmt: skip
def test_rubbish_is_refused_beside_its_field(text: str) -> None:
    with pytest.raises(DomainError) as refusal:
        parse_money(text, "unit_price")
    assert (refusal.value.code, refusal.value.field) == ("invalid", "unit_price")


def test_an_empty_amount_is_missing_rather_than_zero() -> None:
    with pytest.raises(DomainError) as refusal:
        parse_money("  ", "cost")
    assert refusal.value.code == "required"


def test_unit_prices_and_quantities_have_their_own_decimals() -> None:
    assert parse_unit_price("0.00001234", "price") == D("0.00001234")
    assert parse_quantity("2.5", "quantity") == D("2.5")
    with pytest.raises(DomainError):
        parse_quantity("0.0000001", "quantity")


@given(cents)
def test_a_printed_amount_reads_back(amount: D) -> None:
    assert parse_money(format_money(amount), "amount") == amount
    assert parse_money(format_money(amount, "minus"), "amount") == amount


def test_negatives_stand_in_parentheses() -> None:
    assert format_money(D("-3450")) == "(3,450.00)"
    assert format_money(D("-3450"), "minus") == "-3,450.00"
    assert format_money(D("-0.001")) == "0.00"
