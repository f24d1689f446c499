"""What a quote comes to: lines, discounts, options, bundles, totals; and that the parts always add up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, round_money, sum_money
from counterfoil.core.pricing import Tier, TierModel
from counterfoil.core.quoting import (
    Deposit,
    Discount,
    Due,
    Picks,
    PricedQuote,
    QuotedLine,
    QuotedSection,
    Sums,
    cycles_in,
    price_quote,
)

D = Decimal


def line(key: int, quantity: str, price: str, cost: str = "0", **more: Any) -> QuotedLine:
    """A line named by a number."""
    return QuotedLine(key, D(quantity), D(price), D(cost), **more)


def percent(value: str) -> Discount:
    return Discount("percent", D(value))


def amount(value: str) -> Discount:
    return Discount("amount", D(value))


# -- lines and discounts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantity", "price", "discount", "unit_price", "total"),
    [
        ("10", "22.00", Discount(), "22.00", "220.00"),
        ("10", "22.00", percent("10"), "19.80", "198.00"),
        ("3", "9.99", percent("33.3"), "6.66333", "19.99"),
        ("3", "100", amount("100"), "66.66666667", "200.00"),
        ("7", "0.33333333", Discount(), "0.33333333", "2.33"),
        ("1", "5", percent("100"), "0", "0.00"),
    ],
)
def test_amount_is_quantity_times_net_unit_price(
    quantity: str, price: str, discount: Discount, unit_price: str, total: str
) -> None:
    priced = price_quote([line(1, quantity, price, discount=discount)]).lines[0]
    assert (priced.unit_price, priced.amount) == (D(unit_price), D(total))
    assert priced.amount == extend(priced.quantity, priced.unit_price)


def test_discounts_are_taken_one_after_another_each_off_what_is_left() -> None:
    quote = price_quote(
        [line(1, "10", "100", section=1, discount=percent("10"))],
        [QuotedSection(1, percent("10"), "Hardware")],
        percent("10"),
    )
    assert quote.lines[0].unit_price == D("72.9")
    assert quote.lines[0].discount_amount == D("271.00")
    assert quote.lines[0].explanation == (
        "10 × 100.00 = 1,000.00",
        "less 10 %",
        "less 10 % of the section Hardware",
        "less 10 % of the quote",
        "10 × 72.90 = 729.00",
    )


def test_a_discount_by_amount_is_shared_out_among_one_time_lines_alone() -> None:
    quote = price_quote(
        [line(1, "1", "10"), line(2, "1", "10"), line(3, "1", "10"), line(4, "5", "20", billing_cycle="month:1")],
        discount=amount("10.00"),
    )
    assert [priced.discount_amount for priced in quote.lines] == [D("3.34"), D("3.33"), D("3.33"), D(0)]
    assert quote.totals.one_time == Sums(D("30.00"), D("20.00"), D("0.00"))
    assert quote.totals.monthly.price == D("100.00")


def test_a_discount_by_amount_larger_than_what_is_sold_once_is_refused() -> None:
    with pytest.raises(
        DomainError, match=r"A discount of 50.00 is more than what the one-time lines of the quote"
    ) as e:
        price_quote([line(1, "1", "40"), line(2, "1", "60", billing_cycle="month:1")], discount=amount("50"))
    assert (e.value.code, e.value.field) == ("invalid", "discount_value")


def test_a_discount_of_a_line_larger_than_the_line_is_refused() -> None:
    with pytest.raises(DomainError, match=r"more than what Laptop comes to: 40\.00"):
        price_quote([line(1, "1", "40", discount=amount("40.01"), label="Laptop")])


@pytest.mark.parametrize("value", ["100.01", "-1"])
def test_a_discount_lies_between_nothing_and_everything(value: str) -> None:
    with pytest.raises(DomainError, match="between 0 and 100 %"):
        percent(value)


def test_what_is_taken_away_counts_below_zero_and_is_not_discounted_with_the_quote() -> None:
    quote = price_quote(
        [
            line(1, "10", "20", "15", billing_cycle="month:1"),
            line(2, "4", "20", "15", billing_cycle="month:1", sign=-1),
        ],
        discount=percent("10"),
    )
    assert [priced.amount for priced in quote.lines] == [D("180.00"), D("-80.00")]
    assert quote.totals.monthly == Sums(D("120.00"), D("100.00"), D("90.00"))


def test_a_tier_model_prices_the_line_and_says_how() -> None:
    model = TierModel("graduated", (Tier(D(10), D(5)), Tier(None, D(4))))
    priced = price_quote([line(1, "15", "0", model=model, billing_cycle="month:1")]).lines[0]
    assert (priced.list_price, priced.amount) == (D("4.66666667"), D("70.00"))
    assert len(priced.explanation) > 1


# -- totals ------------------------------------------------------------------------------------------------------------


def test_totals_are_split_by_how_often_they_are_paid() -> None:
    quote = price_quote(
        [
            line(1, "2", "900", "700"),
            line(2, "10", "22", "18", billing_cycle="month:1", term="year:1"),
            line(3, "1", "1200", "1000", billing_cycle="year:1", term="year:3"),
            line(4, "1", "50", "20", billing_cycle="month:3"),
            line(5, "1000", "0.02", "0.01", billing_cycle="month:1", is_usage=True),
        ]
    )
    totals = quote.totals
    assert totals.one_time == Sums(D("1800.00"), D("1800.00"), D("1400.00"))
    assert totals.monthly.price == D("336.67")  # 220 + 100 + 16.666..., rounded once
    assert totals.yearly.price == D("4040.00")  # 2,640 + 1,200 + 200
    assert totals.term == Sums(D("6240.00"), D("6240.00"), D("5160.00"))  # 12 x 220 + 3 x 1,200
    assert totals.value.price == D("8240.00")  # 1,800 + 6,240 + a year of 50 a quarter
    assert totals.whole_term.price == D("8040.00")
    assert totals.usage_monthly.price == D("20.00")
    assert totals.first == D("1470.00")
    assert totals.open_ended
    assert (totals.one_time.margin, totals.one_time.margin_percent) == (D("400.00"), D("22.2"))


def test_prepaid_is_one_cycle() -> None:
    quote = price_quote([line(1, "1", "760", billing_cycle="year:3", term="year:3")])
    assert (quote.lines[0].cycles, quote.totals.term.price) == (1, D("760.00"))
    assert quote.totals.monthly.price == D("21.11")


@pytest.mark.parametrize(
    ("term", "cycle", "count"),
    [("year:3", "month:1", 36), ("year:1", "month:6", 2), ("week:4", "week:2", 2), ("day:10", "day:10", 1)],
)
def test_cycles_of_a_term(term: str, cycle: str, count: int) -> None:
    assert cycles_in(term, cycle) == count


@pytest.mark.parametrize(("term", "cycle"), [("year:1", "month:5"), ("month:1", "year:1"), ("month:1", "week:2")])
def test_a_term_that_is_not_whole_cycles_is_refused(term: str, cycle: str) -> None:
    with pytest.raises(DomainError, match="not a whole number"):
        cycles_in(term, cycle)


def test_a_first_period_shortened_by_a_co_term() -> None:
    """WE-15: 92 of 365 days of 264.00 a year are 66.54; the years after are whole."""
    coterm = line(1, "1", "264", "200", billing_cycle="year:1", cycles=3, first_share=Fraction(92, 365))
    quote = price_quote([coterm])
    assert quote.lines[0].first_amount == D("66.54")
    assert quote.totals.first == D("66.54")
    assert quote.totals.term == Sums(D("594.54"), D("594.54"), D("450.41"))


def test_sections_add_up_to_the_totals_to_the_cent() -> None:
    lines = [line(n, "1", "100", billing_cycle="month:3", section=n) for n in (1, 2, 3)]
    quote = price_quote(lines, [QuotedSection(n) for n in (1, 2, 3)])
    assert quote.totals.monthly.price == D("100.00")
    assert [section.monthly for section in quote.sections] == [D("33.34"), D("33.33"), D("33.33")]


# -- options, groups, bundles ------------------------------------------------------------------------------------------


def options() -> list[QuotedLine]:
    return [
        line(1, "1", "100"),
        line(2, "1", "30", optional=True, selected=False),
        line(3, "5", "10", billing_cycle="month:1", choice_group="Backup", selected=True),
        line(4, "5", "16", billing_cycle="month:1", choice_group="Backup", selected=False),
    ]


def test_options_left_stand_apart() -> None:
    quote = price_quote(options())
    assert (quote.totals.one_time.price, quote.totals.monthly.price) == (D("100.00"), D("50.00"))
    assert quote.with_options is not None
    assert (quote.with_options.one_time.price, quote.with_options.monthly.price) == (D("130.00"), D("50.00"))
    assert [priced.counts for priced in quote.lines] == [True, False, True, False]


def test_a_customer_picks_options_and_the_other_of_a_group() -> None:
    quote = price_quote(options(), picks=Picks(frozenset({2, 4})))
    assert (quote.totals.one_time.price, quote.totals.monthly.price) == (D("130.00"), D("80.00"))
    assert quote.with_options is None


@pytest.mark.parametrize(("selected", "said"), [({2}, "none is"), ({3, 4}, "2 are")])
def test_of_a_group_exactly_one_is_chosen(selected: set[int], said: str) -> None:
    with pytest.raises(DomainError, match=f"Choose one of “Backup”; {said} chosen"):
        price_quote(options(), picks=Picks(frozenset(selected)))


def test_a_pick_that_was_not_offered_is_refused() -> None:
    with pytest.raises(DomainError, match="no line 9"):
        price_quote(options(), picks=Picks(frozenset({4, 9})))
    with pytest.raises(DomainError, match="no line 9"):
        price_quote(options(), picks=Picks(None, {9: D(1)}))


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [("4", "between 5 and 20"), ("21", "between 5 and 20"), ("7.5", "more decimals"), ("NaN", "between 5 and 20")],
)
def test_quantities_out_of_bounds_are_refused(wanted: str, refusal: str) -> None:
    seats = line(1, "10", "22", quantity_min=D(5), quantity_max=D(20), label="Seats")
    with pytest.raises(DomainError, match=refusal) as e:
        price_quote([seats], picks=Picks(None, {1: D(wanted)}))
    assert e.value.field == "quantities.1"


def test_a_quantity_within_bounds_is_priced() -> None:
    seats = line(1, "10", "22", quantity_max=D(20))
    assert price_quote([seats], picks=Picks(None, {1: D(15)})).totals.one_time.price == D("330.00")
    with pytest.raises(DomainError, match="between 10 and 20"):
        price_quote([seats], picks=Picks(None, {1: D(9)}))


def test_a_fixed_quantity_is_not_the_customers_to_change() -> None:
    with pytest.raises(DomainError, match="is fixed at 10"):
        price_quote([line(1, "10", "22")], picks=Picks(None, {1: D(11)}))


def test_components_follow_their_bundle() -> None:
    lines = [
        line(1, "3", "0", optional=True, selected=False, quantity_max=D(9)),
        line(2, "1", "40", bundle=1, bundle_quantity=D(2)),
        line(3, "1", "500", bundle=1, bundle_quantity=D(1), fixed_quantity=True),
    ]
    left = price_quote(lines)
    assert left.totals.one_time.price == D("0.00")
    assert left.with_options is not None
    assert left.with_options.one_time.price == D("740.00")
    taken = price_quote(lines, picks=Picks(frozenset({1}), {1: D(4)}))
    assert [priced.quantity for priced in taken.lines] == [D(4), D(8), D(1)]
    assert taken.totals.one_time.price == D("820.00")


# -- tax and deposit ---------------------------------------------------------------------------------------------------


def test_tax_is_asked_for_what_is_paid_once_and_for_a_first_period() -> None:
    asked: list[list[Due]] = []

    def six_percent(due: Any) -> Decimal:
        asked.append(list(due))
        return round_money(sum_money(one.amount for one in due) * D("0.06"))

    quote = price_quote(
        [
            line(1, "1", "100"),
            line(2, "2", "50", billing_cycle="month:1"),
            line(3, "1", "9", optional=True, selected=False),
        ],
        tax=six_percent,
    )
    assert asked == [[Due(1, D("100.00"), D(1))], [Due(2, D("100.00"), D(2))]]
    assert quote.tax is not None
    assert (quote.tax.one_time, quote.tax.recurring) == (D("6.00"), D("6.00"))


@pytest.mark.parametrize(
    ("deposit", "asked"),
    [(Deposit("percent", D(30)), "30.03"), (Deposit("amount", D(50)), "50.00"), (Deposit("amount", D(999)), "120.09")],
)
def test_deposit(deposit: Deposit, asked: str) -> None:
    quote = price_quote([line(1, "1", "100.09"), line(2, "1", "20", billing_cycle="month:1")], deposit=deposit)
    assert quote.deposit == D(asked)


# -- whatever is picked ------------------------------------------------------------------------------------------------

CYCLES = ("", "month:1", "month:3", "year:1", "week:2")
prices = st.decimals(0, 10_000, places=4)
quantities = st.decimals("0.01", 500, places=2)
percents = st.builds(Discount, st.just("percent"), st.decimals(0, 100, places=2))


@st.composite
def quoted(draw: st.DrawFn) -> list[QuotedLine]:
    """Lines of every kind: optional ones, a choice group, a bundle with components."""
    lines = []
    for key in range(1, draw(st.integers(1, 9)) + 1):
        cycle = draw(st.sampled_from(CYCLES))
        lines.append(
            QuotedLine(
                key,
                draw(quantities),
                draw(prices),
                draw(prices),
                discount=draw(st.just(Discount()) | percents),
                section=draw(st.sampled_from((None, 1, 2))),
                billing_cycle=cycle,
                cycles=draw(st.none() | st.integers(1, 60)) if cycle else None,
                optional=draw(st.booleans()),
                selected=draw(st.booleans()),
                sign=draw(st.sampled_from((1, 1, 1, -1))),
            )
        )
    for key in (100, 101, 102)[: draw(st.sampled_from((0, 2, 3)))]:
        lines.append(QuotedLine(key, D(1), draw(prices), choice_group="One of", selected=key == 100))
    if draw(st.booleans()):
        lines.append(QuotedLine(200, draw(quantities), draw(prices), optional=True, selected=draw(st.booleans())))
        for key in (201, 202):
            lines.append(
                QuotedLine(key, D(1), draw(prices), draw(prices), bundle=200, bundle_quantity=draw(quantities),
                           fixed_quantity=draw(st.booleans()))
            )  # fmt: skip
    return lines


@st.composite
def picked(draw: st.DrawFn) -> tuple[list[QuotedLine], Picks]:
    lines = draw(quoted())
    chosen = {one.key for one in lines if one.optional and draw(st.booleans())}
    if group := [one.key for one in lines if one.choice_group]:
        chosen.add(draw(st.sampled_from(group)))
    return lines, Picks(frozenset(chosen))


def selected_by_hand(lines: list[QuotedLine], picks: Picks) -> set[int]:
    assert picks.selected is not None
    taken = {one.key for one in lines if not (one.optional or one.choice_group) or one.key in picks.selected}
    return {one.key for one in lines if one.key in taken and (one.bundle is None or one.bundle in taken)}


def check_adds_up(lines: list[QuotedLine], quote: PricedQuote, taken: set[int]) -> None:
    """Totals are the sums of what is taken; every amount is quantity x unit price; no part is lost."""
    given = {one.key: one for one in lines}
    assert [priced.key for priced in quote.lines] == [one.key for one in lines]
    for priced in quote.lines:
        assert priced.amount == given[priced.key].sign * extend(priced.quantity, priced.unit_price)
        assert priced.list_amount == priced.amount + priced.discount_amount
    counted = [priced for priced in quote.lines if priced.counts]
    assert {priced.key for priced in counted} == taken
    once = [priced for priced in counted if not given[priced.key].billing_cycle]
    recurring = [priced for priced in counted if given[priced.key].billing_cycle]
    ending = [priced for priced in recurring if given[priced.key].cycles]
    assert quote.totals.one_time.price == sum((p.amount for p in once), D(0))
    assert quote.totals.one_time.cost == sum((p.cost for p in once), D(0))
    assert quote.totals.one_time.discount == sum((p.discount_amount for p in once), D(0))
    assert quote.totals.first == sum((p.amount for p in recurring), D(0))
    assert quote.totals.term.price == sum((p.amount * (p.cycles or 0) for p in ending), D(0))
    months = sum(
        (Fraction(p.amount) * Cycle.parse(given[p.key].billing_cycle).per_month for p in recurring), Fraction(0)
    )
    assert quote.totals.monthly.price == round_money(months)
    assert quote.totals.yearly.price == round_money(months * 12)
    assert sum((s.one_time for s in quote.sections), D(0)) == quote.totals.one_time.price
    assert sum((s.monthly for s in quote.sections), D(0)) == quote.totals.monthly.price
    assert quote.totals.one_time.margin == quote.totals.one_time.price - quote.totals.one_time.cost


@given(picked(), st.just(Discount()) | percents, percents)
def test_totals_are_the_sum_of_what_is_taken_whatever_is_picked(
    case: tuple[list[QuotedLine], Picks], discount: Discount, of_section: Discount
) -> None:
    lines, picks = case
    sections = [QuotedSection(1), QuotedSection(2, of_section)]
    check_adds_up(lines, price_quote(lines, sections, discount, picks=picks), selected_by_hand(lines, picks))


@given(picked(), st.fractions(0, 1), percents)
def test_a_discount_by_amount_is_taken_off_to_the_cent(
    case: tuple[list[QuotedLine], Picks], part: Fraction, of_section: Discount
) -> None:
    lines, picks = case
    sections = [QuotedSection(1, of_section), QuotedSection(2)]
    before = price_quote(lines, sections, picks=picks)
    sold = [
        p for p, one in zip(before.lines, lines, strict=True) if p.counts and not one.billing_cycle and one.sign > 0
    ]
    off = round_money(Fraction(sum((p.amount for p in sold), D(0))) * part)
    after = price_quote(lines, sections, amount(str(off)), picks=picks)
    check_adds_up(lines, after, selected_by_hand(lines, picks))
    assert before.totals.one_time.price - after.totals.one_time.price == off
    for was, now in zip(before.lines, after.lines, strict=True):
        assert now.amount == was.amount or was in sold


@given(picked())
def test_all_options_taken_is_what_is_announced(case: tuple[list[QuotedLine], Picks]) -> None:
    lines, picks = case
    announced = price_quote(lines, picks=picks, sections=[QuotedSection(1), QuotedSection(2)])
    assert picks.selected is not None
    everything = picks.selected | {one.key for one in lines if one.optional}
    taken = price_quote(lines, picks=Picks(everything), sections=[QuotedSection(1), QuotedSection(2)])
    assert (announced.with_options or announced.totals) == taken.totals


@given(quoted(), st.randoms())
def test_the_order_of_lines_does_not_change_percent_totals(lines: list[QuotedLine], random: Any) -> None:
    shuffled = list(lines)
    random.shuffle(shuffled)
    sections = [QuotedSection(1, percent("7")), QuotedSection(2)]
    assert price_quote(lines, sections).totals == price_quote(shuffled, sections).totals


def test_a_line_is_found_by_its_key() -> None:
    quote = price_quote([line(1, "1", "5"), replace(line(2, "1", "6"), label="Second")])
    assert quote.line(2).amount == D("6.00")
