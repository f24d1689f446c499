from dataclasses import replace
from decimal import Decimal as D
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money
from counterfoil.core.salestax import (
    EVERYWHERE,
    Basis,
    BookedLevel,
    BookedLine,
    Kind,
    LevelTax,
    TaxableLine,
    TaxLevel,
    TaxLevels,
    TaxResult,
    compute_tax,
    tax_of_credit,
)

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


# -- caps, amounts a unit, tax on tax, exemptions ----------------------------------------------------------------------

TENNESSEE = [
    TaxLevel("State", D("0.07"), 1),
    TaxLevel("Local", D("0.025"), 2, single_unit_maximum=D("1600")),
    TaxLevel("Single article", D("0.0275"), 3, single_unit_minimum=D("1600"), single_unit_maximum=D("3200")),
]


def parts(result: TaxResult) -> list[str]:
    """What the levels take, and the total."""
    return [str(level.amount) for level in result.by_level] + [str(result.total)]


@pytest.mark.parametrize(
    ("amount", "quantity", "expected"),
    [
        ("5000.00", "1", ["350.00", "40.00", "44.00", "434.00"]),
        ("2000.00", "2", ["140.00", "50.00", "0.00", "190.00"]),
        ("1600.00", "1", ["112.00", "40.00", "0.00", "152.00"]),
        ("1700.00", "1", ["119.00", "40.00", "2.75", "161.75"]),
        ("10000.00", "2", ["700.00", "80.00", "88.00", "868.00"]),
        ("2500.00", "0.5", ["175.00", "20.00", "22.00", "217.00"]),
        ("-5000.00", "1", ["-350.00", "-40.00", "-44.00", "-434.00"]),
        ("-5000.00", "-1", ["-350.00", "-40.00", "-44.00", "-434.00"]),
        ("0.00", "1", ["0.00", "0.00", "0.00", "0.00"]),
        ("100.00", "0", ["7.00", "2.50", "0.00", "9.50"]),
    ],
)
def test_we_17_single_unit_bounds(amount: str, quantity: str, expected: list[str]) -> None:
    """WE-17: 350 + 40 + 44 = 434 on one article of 5,000; two of 1,000 each stay below the second bound."""
    assert parts(compute_tax([TaxableLine(1, D(amount), quantity=D(quantity))], TENNESSEE)) == expected


def test_a_discount_counts_before_the_single_unit_bounds() -> None:
    """5,000 less 10 % is an article of 4,500; less 80 % of 1,000."""
    assert parts(compute_tax([TaxableLine(1, D("4500.00"))], TENNESSEE)) == ["315.00", "40.00", "44.00", "399.00"]
    assert parts(compute_tax([TaxableLine(1, D("1000.00"))], TENNESSEE)) == ["70.00", "25.00", "0.00", "95.00"]


def test_no_more_of_a_line_than_the_taxable_maximum_is_taxed() -> None:
    """As in Arkansas: the local tax stops at 2,500.00 of a line, the state tax does not."""
    levels = [TaxLevel("State", D("0.065")), TaxLevel("Local", D("0.01"), taxable_max=D("2500"))]
    lines = [TaxableLine("a", D("4000.00")), TaxableLine("b", D("1000.00")), TaxableLine("c", D("-4000.00"))]
    result = compute_tax(lines, levels)
    assert [(x.name, x.taxable_amount, x.amount) for x in result.by_level] == [
        ("State", D("1000.00"), D("65.00")),
        ("Local", D("1000.00"), D("10.00")),
    ]
    assert result.by_line == {"a": D("285.00"), "b": D("75.00"), "c": D("-285.00")}


@pytest.mark.parametrize(
    ("quantity", "amount", "expected"),
    [("3", "30.00", "4.50"), ("-3", "-30.00", "-4.50"), ("2", "-20.00", "-3.00"), ("3", "0.00", "0.00")],
)
def test_an_amount_a_unit(quantity: str, amount: str, expected: str) -> None:
    """1.50 for each device; a device that is given away or covered bears none."""
    fee = TaxLevel("Device fee", D("1.50"), rate_type="amount")
    result = compute_tax([TaxableLine(1, D(amount), quantity=D(quantity))], [fee])
    assert (result.total, result.by_level[0].taxable_amount) == (D(expected), D(amount))
    assert (result.by_level[0].rate, result.by_level[0].rate_type) == (D(0), "amount")


def test_tax_on_tax() -> None:
    """5 % on 100.00, then 9.975 % on 105.00: 10.47375, together 15.47375."""
    levels = [TaxLevel("Federal", D("0.05")), TaxLevel("Province", D("0.09975"), compound_on=(1,))]
    result = compute_tax([TaxableLine(1, D("100.00"))], levels)
    assert result.total == D("15.47")
    assert [(x.taxable_amount, x.amount) for x in result.by_level] == [
        (D("100.00"), D("5.00")),
        (D("105.00"), D("10.47")),
    ]


def test_tax_on_tax_on_tax_is_exact() -> None:
    """Rates of eight decimals multiplied three times over."""
    rate = D("0.12345679")
    levels = [TaxLevel("A", rate), TaxLevel("B", rate, compound_on=(1,)), TaxLevel("C", rate, compound_on=(1, 2))]
    result = compute_tax([TaxableLine(1, D("99999999.99"))], levels)
    assert result.total == round_money(Fraction(D("99999999.99")) * ((1 + Fraction(rate)) ** 3 - 1))


def test_a_cap_holds_for_the_price_and_not_for_the_tax_on_it() -> None:
    levels = [TaxLevel("A", D("0.10")), TaxLevel("B", D("0.10"), taxable_max=D("50"), compound_on=(1,))]
    assert parts(compute_tax([TaxableLine(1, D("100.00"))], levels)) == ["10.00", "6.00", "16.00"]


def test_what_is_exempt_at_a_level_is_not_taxed_on_its_tax() -> None:
    levels = [TaxLevel("A", D("0.10"), 1), TaxLevel("B", D("0.10"), 2, compound_on=(1,))]
    lines = [TaxableLine("a", D("100.00"), exempt=frozenset({1})), TaxableLine("b", D("100.00"), exempt=frozenset({2}))]
    result = compute_tax(lines, levels)
    assert result.by_line == {"a": D("10.00"), "b": D("10.00")}
    assert [(x.taxable_amount, x.exempt_amount) for x in result.by_level] == [(D("100.00"), D("100.00"))] * 2


@pytest.mark.parametrize(
    ("kind", "expected"), [("service", ["4.00", "0.00"]), ("expense", ["0.00", "2.00"]), ("product", ["4.00", "2.00"])]
)
def test_levels_tax_services_expenses_or_products(kind: Kind, expected: list[str]) -> None:
    levels = [TaxLevel("State", D("0.04"), taxes_expenses=False), TaxLevel("City", D("0.02"), taxes_services=False)]
    result = compute_tax([TaxableLine(1, D("100.00"), kind=kind)], levels)
    assert [str(x.amount) for x in result.by_level] == expected
    assert all(x.exempt_amount == 0 for x in result.by_level)


def test_a_customer_with_a_certificate_pays_none_and_it_is_seen_what_was_exempt() -> None:
    lines = [TaxableLine(1, D("100.00"), exempt=EVERYWHERE), TaxableLine(2, D("50.00"), taxable=False)]
    result = compute_tax(lines, THREE_LEVELS)
    assert result.total == 0
    assert [(x.taxable_amount, x.exempt_amount) for x in result.by_level] == [(D("0.00"), D("100.00"))] * 3


@pytest.mark.parametrize(
    ("levels", "field"),
    [
        ([TaxLevel(f"L{i}", D("0.01")) for i in range(7)], "levels"),
        ([TaxLevel("A", D("0.01"), 1), TaxLevel("B", D("0.01"), 1)], "levels"),
        ([TaxLevel("A", D("0.01"), 7)], "levels"),
        ([TaxLevel("A", D("0.01"), compound_on=(1,))], "compound_on"),
        ([TaxLevel("A", D("0.01"), compound_on=(2,)), TaxLevel("B", D("0.01"))], "compound_on"),
    ],
)
def test_levels_that_do_not_go_together_are_refused(levels: list[TaxLevel], field: str) -> None:
    with pytest.raises(DomainError) as refused:
        TaxLevels(levels)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"rate_type": "amount", "rate": D("-1")}, "rate"),
        ({"rate_type": "amount", "taxable_max": D("1")}, "rate_type"),
        ({"taxable_max": D("-1")}, "taxable_max"),
        ({"single_unit_minimum": D("2"), "single_unit_maximum": D("1")}, "single_unit_minimum"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(DomainError) as refused:
        replace(SIX[0], **changed)
    assert refused.value.field == field


# -- taxed agreements, discounts, down payments ------------------------------------------------------------------------


def test_we_5_an_agreement_is_taxed_once_and_what_exceeds_it_again() -> None:
    """WE-5: 15,000.00 at 6 % is invoiced at 15,900.00; hours 1 to 150 bear none; hour 151 is 100.00 + 6.00."""
    agreement = tax(["15000.00"], SIX)
    assert (agreement.total, D("15000.00") + agreement.total) == (D("900.00"), D("15900.00"))
    covered = [TaxableLine(hour, D("0.00"), kind="service") for hour in range(1, 151)]
    excess = TaxableLine(151, D("100.00"), kind="service")
    result = compute_tax([*covered, excess], SIX)
    assert result.total == D("6.00")
    assert {hour: paid for hour, paid in result.by_line.items() if paid} == {151: D("6.00")}


@pytest.mark.parametrize(
    ("quantity", "price", "covered", "expected"),
    [("4", "100.00", "400.00", "0.00"), ("4", "100.00", "250.00", "9.00"), ("4", "100.00", "0.00", "24.00")],
)
def test_tax_is_on_what_an_agreement_does_not_cover(quantity: str, price: str, covered: str, expected: str) -> None:
    amount = D(quantity) * D(price) - D(covered)
    line = TaxableLine(1, amount, kind="service", quantity=D(quantity))
    assert compute_tax([line], SIX).total == D(expected)


def test_a_discount_line_takes_its_tax_off() -> None:
    """200.00 less a discount of 20.00 is taxed like 180.00, whether the discount is a line or part of the price."""
    as_line = tax(["200.00", "-20.00"], SIX)
    assert (as_line.total, as_line.by_level[0].taxable_amount) == (D("10.80"), D("180.00"))
    assert tax(["180.00"], SIX).total == D("10.80")


def test_a_down_payment_is_taxed_when_it_is_billed_and_taken_off_with_its_tax() -> None:
    """Of 1,000.00 a part of 400.00 was billed before: what remains bears the tax that remains."""
    first, rest = tax(["400.00"], SIX), tax(["1000.00", "-400.00"], SIX)
    assert (first.total, rest.total) == (D("24.00"), D("36.00"))
    assert first.total + rest.total == tax(["1000.00"], SIX).total


def test_an_untaxed_down_payment_leaves_all_the_tax_to_the_last_invoice() -> None:
    rest = compute_tax([TaxableLine("work", D("1000.00")), TaxableLine("deposit", D("-400.00"), taxable=False)], SIX)
    assert rest.total == D("60.00")


# -- credits -----------------------------------------------------------------------------------------------------------


def booked(
    lines: list[TaxableLine], levels: list[TaxLevel], basis: Basis
) -> tuple[list[BookedLine], list[BookedLevel]]:
    """The lines and levels of an invoice as it was billed."""
    ready = TaxLevels(levels)
    result = compute_tax(lines, ready, basis)
    taxed = [ready.applied(line.kind, line.exempt)[1] if line.taxable else () for line in lines]
    return (
        [
            BookedLine(x.key, x.amount, result.by_line[x.key], levels=frozenset(ready[i].position for i in at))
            for x, at in zip(lines, taxed, strict=True)
        ],
        [BookedLevel(x.name, x.rate, x.amount, x.position) for x in result.by_level],
    )


def test_a_credit_has_the_rate_and_the_rounding_of_what_it_corrects() -> None:
    """Seven lines of 0.99 were taxed 0.57 together, the first bearing 0.09: that is what comes back."""
    lines, levels = booked([TaxableLine(i, D("0.99")) for i in range(7)], [TaxLevel("All", D("0.0825"))], "invoice")
    assert tax_of_credit(lines, levels, {0: D("0.99")}).total == D("-0.09")
    assert tax_of_credit(lines, levels, {1: D("0.99")}).total == D("-0.08")
    whole = tax_of_credit(lines, levels, {i: D("0.99") for i in range(7)})
    assert (whole.total, whole.by_level[0].amount, whole.by_level[0].taxable_amount) == (
        D("-0.57"),
        D("-0.57"),
        D("-6.93"),
    )


def test_a_credit_gives_back_at_the_levels_that_taxed_the_line() -> None:
    levels = [TaxLevel("State", D("0.06"), 1), TaxLevel("City", D("0.02"), 2)]
    sold = [TaxableLine("exempt in town", D("100.00"), exempt=frozenset({2})), TaxableLine("server", D("100.00"))]
    lines, billed = booked(sold, levels, "invoice")
    back = tax_of_credit(lines, billed, {"exempt in town": D("50.00")})
    assert [(x.name, x.taxable_amount, x.amount) for x in back.by_level] == [
        ("State", D("-50.00"), D("-3.00")),
        ("City", D("0.00"), D("0.00")),
    ]
    assert back.by_line == {"exempt in town": D("-3.00")}


def test_a_credit_of_an_exempt_line_takes_exempt_sales_back() -> None:
    lines = [BookedLine("taxed", D("100.00"), D("6.00")), BookedLine("exempt", D("50.00"), D("0.00"))]
    back = tax_of_credit(
        lines, [BookedLevel("State", D("0.06"), D("6.00"), 1)], {"taxed": D("10.00"), "exempt": D("20.00")}
    )
    (level,) = back.by_level
    assert (level.taxable_amount, level.exempt_amount, level.amount) == (D("-10.00"), D("-20.00"), D("-0.60"))


@pytest.mark.parametrize("credit", ["100.01", "-0.01"])
def test_no_more_is_credited_than_was_billed(credit: str) -> None:
    line = BookedLine("a", D("100.00"), D("6.00"))
    with pytest.raises(DomainError) as refused:
        tax_of_credit([line], [BookedLevel("State", D("0.06"), D("6.00"), 1)], {"a": D(credit)})
    assert refused.value.field == "lines"


def test_a_line_that_was_never_billed_cannot_be_credited() -> None:
    with pytest.raises(DomainError) as refused:
        tax_of_credit([BookedLine("a", D("1.00"), D("0.06"))], [], {"b": D("1.00")})
    assert refused.value.code == "not_found"


# -- against a slow oracle ---------------------------------------------------------------------------------------------


def oracle(line: TaxableLine, levels: list[TaxLevel]) -> list[tuple[Fraction, Fraction]]:
    """Base and tax of a line at each level, written from the rules in fractions."""
    found: dict[int, tuple[Fraction, Fraction]] = {}
    for level in levels:
        base = tax = Fraction(0)
        if line.taxable and level.taxes(line.kind) and level.position not in line.exempt:
            sign = 1 if line.amount > 0 else -1
            size, quantity = abs(Fraction(line.amount)), abs(Fraction(line.quantity))
            if level.rate_type == "amount":
                base = sign * size
                tax = sign * quantity * Fraction(level.rate) if size else tax
            else:
                unit = size / (quantity or 1)
                top = min(unit, Fraction(level.single_unit_maximum)) if level.single_unit_maximum is not None else unit
                bottom = Fraction(level.single_unit_minimum or 0)
                size = max(top - bottom, Fraction(0)) * (quantity or 1)
                size = min(size, Fraction(level.taxable_max)) if level.taxable_max is not None else size
                base = sign * size + sum(found[p][1] for p in level.compound_on)
                tax = base * Fraction(level.rate)
        found[level.position] = base, tax
    return [found[level.position] for level in levels]


prices = st.none() | st.integers(0, 5_000_00).map(lambda n: D(n).scaleb(-2))
quantities = st.integers(-10_000_000, 10_000_000).map(lambda n: D(n).scaleb(-6)) | st.integers(-9, 9).map(D)
kinds = st.sampled_from(["service", "expense", "product"])


@st.composite
def tax_lines(draw: st.DrawFn) -> list[TaxableLine]:
    count = draw(st.integers(0, 6))
    exempt = st.frozensets(st.integers(1, 6), max_size=6)
    return [
        TaxableLine(i, draw(amounts), draw(st.booleans()), draw(kinds), draw(quantities), draw(exempt))
        for i in range(count)
    ]


@st.composite
def tax_levels(draw: st.DrawFn) -> list[TaxLevel]:
    levels = []
    for position in range(1, draw(st.integers(0, 6)) + 1):
        flags = {f"taxes_{kind}s": draw(st.booleans()) for kind in ("service", "expense", "product")}
        if draw(st.integers(0, 4)) == 0:
            fee = draw(st.integers(0, 10**9))
            levels.append(TaxLevel(f"L{position}", D(fee).scaleb(-8), position, "amount", **flags))
            continue
        low, high = draw(prices), draw(prices)
        if low is not None and high is not None and low >= high:
            low = None
        compound = draw(st.frozensets(st.integers(1, position - 1))) if position > 1 else frozenset()
        levels.append(
            TaxLevel(
                f"L{position}",
                draw(rates),
                position,
                taxable_max=draw(prices),
                single_unit_minimum=low,
                single_unit_maximum=high,
                compound_on=tuple(sorted(compound)),
                **flags,
            )
        )
    return levels


@given(lines=tax_lines(), levels=tax_levels(), basis=st.sampled_from(["line", "invoice"]), plain=st.booleans())
def test_it_is_what_fractions_give(lines: list[TaxableLine], levels: list[TaxLevel], basis: Basis, plain: bool) -> None:
    """Total and bases to the cent; what lines and levels take is their exact part, down or up to a cent."""
    if plain:
        levels = [TaxLevel(x.name, x.rate, x.position) for x in levels if x.rate_type == "percent"]
    table = [oracle(line, levels) for line in lines]
    result = compute_tax(lines, levels, basis)
    by_line = [sum((tax for _, tax in row), Fraction(0)) for row in table]
    by_level = [sum((row[j][1] for row in table), Fraction(0)) for j in range(len(levels))]
    if basis == "line":
        assert list(result.by_line.values()) == [round_money(part) for part in by_line]
    else:
        assert result.total == round_money(sum(by_line, Fraction(0)))
        assert all(
            abs(Fraction(a) - b) < Fraction(1, 100) for a, b in zip(result.by_line.values(), by_line, strict=True)
        )
    assert sum(result.by_line.values()) == result.total
    assert sum(level.amount for level in result.by_level) == result.total
    added = Fraction(result.total) - sum(by_level, Fraction(0))
    whole = sum(abs(part) for part in by_level)
    for j, level in enumerate(result.by_level):
        assert level.taxable_amount == round_money(sum((row[j][0] for row in table), Fraction(0)))
        if whole:
            assert abs(Fraction(level.amount) - by_level[j] - added * abs(by_level[j]) / whole) < Fraction(1, 100)
    mirror = compute_tax([line._replace(amount=-line.amount) for line in lines], levels, basis)
    assert mirror.total == -result.total
    assert mirror.by_line == {key: -tax for key, tax in result.by_line.items()}
    assert [x.amount for x in mirror.by_level] == [-x.amount for x in result.by_level]


@given(lines=tax_lines(), levels=tax_levels(), basis=st.sampled_from(["line", "invoice"]), data=st.data())
def test_credits_that_give_back_everything_give_back_the_tax(
    lines: list[TaxableLine], levels: list[TaxLevel], basis: Basis, data: st.DataObject
) -> None:
    """In any number of parts, by line and by level, to the cent."""
    billed, at = booked(lines, levels, basis)
    left = {line.key: line.amount for line in billed}
    by_line, by_level = {line.key: D(0) for line in billed}, [D(0)] * len(levels)
    for final in [False] * data.draw(st.integers(0, 3)) + [True]:
        credit = {}
        for line in billed:
            share = D(1) if final else data.draw(st.integers(0, 100)) * D("0.01")
            credit[line.key] = round_money(left[line.key] * share)
        part = tax_of_credit(billed, at, credit)
        assert part.total == sum(part.by_line.values()) == (sum(x.amount for x in part.by_level) if levels else 0)
        for key, amount in credit.items():
            left[key] -= amount
            by_line[key] += part.by_line[key]
        by_level = [had + x.amount for had, x in zip(by_level, part.by_level, strict=True)]
        billed = [line._replace(credited=line.credited + credit[line.key]) for line in billed]
    assert not any(left.values())
    assert by_line == {line.key: -line.tax for line in billed}
    assert by_level == [-level.amount for level in at]


def test_a_level_in_the_result_says_which_it_is() -> None:
    found = compute_tax([TaxableLine(1, D("100.00"))], [TaxLevel("Ohio", D("0.0575"), 2, agency="Ohio Taxation")])
    assert found.by_level == (
        LevelTax("Ohio", D("0.0575"), D("100.00"), D("5.75"), D("0.00"), 2, "Ohio Taxation", "percent"),
    )
