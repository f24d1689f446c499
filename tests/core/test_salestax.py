from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.salestax import Basis, TaxableLine, TaxLevel, TaxResult, compute_tax

SIX = [TaxLevel("Ohio", D("0.06"))]
THREE_LEVELS = [TaxLevel("State", D("0.04")), TaxLevel("County", D("0.0225")), TaxLevel("City", D("0.01"))]


def tax(amounts: list[str], levels: list[TaxLevel], basis: Basis = "invoice") -> TaxResult:
    return compute_tax([TaxableLine(i, D(amount)) for i, amount in enumerate(amounts)], levels, basis)


@pytest.mark.parametrize(
    ("amount", "rate", "expected"),
    [
        ("0.75", "0.06", "0.05"),
        ("10.75", "0.06", "0.65"),
        ("150.75", "0.06", "9.05"),
        ("1.41", "0.06", "0.08"),
        ("150.00", "0.06", "9.00"),
        ("15000.00", "0.06", "900.00"),
        ("75.00", "0.06", "4.50"),
        ("-0.75", "0.06", "-0.05"),
        ("0.00", "0.06", "0.00"),
        ("0.08", "0.06", "0.00"),
    ],
)
@pytest.mark.parametrize("basis", ["line", "invoice"])
def test_tax_is_rounded_half_up_once_from_the_exact_product(
    amount: str, rate: str, expected: str, basis: Basis
) -> None:
    assert str(tax([amount], [TaxLevel("State", D(rate))], basis).total) == expected


def test_seven_small_lines_by_line_and_by_invoice() -> None:
    levels = [TaxLevel("Combined", D("0.0825"))]
    by_line = tax(["0.99"] * 7, levels, "line")
    by_invoice = tax(["0.99"] * 7, levels, "invoice")
    assert (by_line.total, list(by_line.by_line.values())) == (D("0.56"), [D("0.08")] * 7)
    assert by_invoice.total == D("0.57")
    assert list(by_invoice.by_line.values()) == [D("0.09"), *[D("0.08")] * 6]


def test_levels_are_combined_before_rounding() -> None:
    result = tax(["33.37"], THREE_LEVELS)
    assert result.total == D("2.42")
    assert [(x.name, x.amount, x.taxable_amount) for x in result.by_level] == [
        ("State", D("1.34"), D("33.37")),
        ("County", D("0.75"), D("33.37")),
        ("City", D("0.33"), D("33.37")),
    ]


def test_an_untaxed_line_bears_no_tax() -> None:
    lines = [TaxableLine("server", D("150.00")), TaxableLine("labour", D("80.00"), taxable=False)]
    result = compute_tax(lines, SIX)
    assert result.by_line == {"server": D("9.00"), "labour": D("0.00")}
    assert result.by_level[0].taxable_amount == D("150.00")


def test_no_levels_and_no_lines() -> None:
    assert tax(["150.00"], []).total == 0
    assert compute_tax([], SIX).by_level[0].amount == 0


def test_lines_that_cancel_out_bear_their_own_tax() -> None:
    result = tax(["100.00", "-100.00"], SIX)
    assert result.total == 0
    assert list(result.by_line.values()) == [D("6.00"), D("-6.00")]


def test_cents_from_rounding_lines_that_cancel_out_still_find_a_level() -> None:
    """0.0078 rounds up three times, 0.0234 down once: a cent is left although the lines sum to zero."""
    result = tax(["0.13", "0.13", "0.13", "-0.39"], SIX, "line")
    assert result.total == D("0.01")
    assert [level.amount for level in result.by_level] == [D("0.01")]


@pytest.mark.parametrize("rate", ["-0.01", "1.01", "6"])
def test_a_rate_outside_0_to_100_percent_is_refused(rate: str) -> None:
    with pytest.raises(DomainError):
        TaxLevel("State", D(rate))


def test_two_lines_with_one_key_are_refused() -> None:
    with pytest.raises(DomainError):
        compute_tax([TaxableLine(1, D("1.00")), TaxableLine(1, D("2.00"))], SIX)


amounts = st.integers(-(10**7), 10**7).map(lambda n: D(n).scaleb(-2))
rates = st.integers(0, 150_000).map(lambda n: D(n).scaleb(-6))


@given(
    lines=st.lists(st.tuples(amounts, st.booleans()), max_size=8),
    level_rates=st.lists(rates, max_size=4),
    basis=st.sampled_from(["line", "invoice"]),
)
def test_parts_always_add_up_and_a_credit_mirrors_the_invoice(
    lines: list[tuple[D, bool]], level_rates: list[D], basis: Basis
) -> None:
    levels = [TaxLevel(f"L{i}", rate) for i, rate in enumerate(level_rates)]
    result = compute_tax([TaxableLine(i, a, t) for i, (a, t) in enumerate(lines)], levels, basis)
    credit = compute_tax([TaxableLine(i, -a, t) for i, (a, t) in enumerate(lines)], levels, basis)
    assert sum(result.by_line.values()) == result.total
    assert sum(level.amount for level in result.by_level) == (result.total if levels else 0)
    assert credit.total == -result.total
    exact = sum(a for a, t in lines if t) * sum(level_rates)
    tolerance = D("0.005") * (max(1, len(lines)) if basis == "line" else 1)
    assert abs(result.total - exact) <= tolerance
    assert all(result.by_line[i] == 0 for i, (_, taxed) in enumerate(lines) if not taxed)
