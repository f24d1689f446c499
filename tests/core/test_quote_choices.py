"""The most a quote can come to and the least it can leave, against trying every choice there is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import product
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.pricing import KINDS, Tier, TierModel
from counterfoil.core.quote_choices import Choices, Measure, has_choices
from counterfoil.core.quoting import (
    NO_DISCOUNT,
    Discount,
    Picks,
    PricedQuote,
    QuotedLine,
    QuotedSection,
    price_quote,
)


def D(text: str) -> Decimal:
    return Decimal(text)


def choices(lines: Sequence[QuotedLine], sections: Sequence[QuotedSection] = (), discount: Discount = NO_DISCOUNT,
            ) -> Choices:  # fmt: skip
    return Choices(lines, sections, discount, price_quote(lines, sections, discount))


def every_pick(lines: Sequence[QuotedLine], sections: Sequence[QuotedSection], discount: Discount
               ) -> Iterator[PricedQuote]:  # fmt: skip
    """Each quote that the customer can make of it, priced: whole quantities only."""
    groups = {line.choice_group for line in lines if line.choice_group}
    selections: list[list[frozenset[int]]] = [
        [frozenset({line.key}) for line in lines if line.choice_group == group] for group in sorted(groups)
    ] + [[frozenset(), frozenset({line.key})] for line in lines if line.optional]
    quantities = [
        [(line.key, Decimal(many)) for many in range(int(line.quantity_min or line.quantity),
                                                     int(line.quantity_max or line.quantity) + 1)]
        for line in lines if line.quantity_min is not None or line.quantity_max is not None
    ]  # fmt: skip
    for selected in product(*selections):
        for many in product(*quantities):
            try:
                yield price_quote(lines, sections, discount, picks=Picks(frozenset().union(*selected), dict(many)))
            except DomainError:  # a tier that is not there: refused to the customer
                continue


# -- a field's examples ------------------------------------------------------------------------------------------------


def test_the_dearest_of_a_group_counts_whichever_is_chosen() -> None:
    lines = [
        QuotedLine(1, D("1"), D("1000"), D("600"), choice_group="Server"),
        QuotedLine(2, D("1"), D("9000"), D("8800"), choice_group="Server", selected=False),
        QuotedLine(3, D("10"), D("22"), D("18"), billing_cycle="month:1", term="year:1", quantity_max=D("40")),
    ]
    found = choices(lines)
    assert found.dearest("one_time") == D("9000.00")
    assert found.dearest("monthly") == D("880.00")
    assert found.dearest("whole_term") == D("19560.00")


def test_the_lowest_margin_is_where_the_worst_is_taken_and_the_best_is_left() -> None:
    """1,000 at 40 % with 900 at 50 % which may be left, and one of 100 at 10 % which may be taken: 408 of 1,100."""
    lines = [
        QuotedLine(1, D("1"), D("1000"), D("600")),
        QuotedLine(2, D("1"), D("900"), D("450"), optional=True),
        QuotedLine(3, D("1"), D("100"), D("90"), optional=True, selected=False),
    ]
    assert choices(lines).least_profitable() == (D("1100.00"), D("690.00"))


def test_fewer_of_what_is_profitable() -> None:
    lines = [
        QuotedLine(1, D("10"), D("100"), D("10"), quantity_min=D("1")),
        QuotedLine(2, D("1"), D("100"), D("90")),
    ]
    assert choices(lines).least_profitable() == (D("200.00"), D("100.00"))


def test_more_at_a_cheaper_tier_can_cost_less_and_the_dearest_lies_before_it() -> None:
    volume = TierModel("volume", (Tier(D("100"), D("10")), Tier(None, D("8"))))
    lines = [QuotedLine(1, D("50"), model=volume, unit_cost=D("7"), quantity_min=D("10"), quantity_max=D("110"))]
    assert choices(lines).dearest("one_time") == D("1000.00")
    price, cost = choices(lines).least_profitable()
    assert cost / price == D("0.875")


def test_a_component_goes_with_its_bundle() -> None:
    lines = [
        QuotedLine(1, D("1"), D("0"), quantity_max=D("3"), optional=True, selected=False),
        QuotedLine(2, D("2"), D("4000"), D("3900"), bundle=1, bundle_quantity=D("2")),
        QuotedLine(3, D("1"), D("100"), D("90"), bundle=1, bundle_quantity=D("1"), fixed_quantity=True),
    ]
    assert choices(lines).dearest("one_time") == D("24100.00")


def test_a_discount_by_amount_is_taken_off_once() -> None:
    """Of 1,000 and 9,000 less 500; what is chosen now bears the discount, what is chosen then bears it as well."""
    lines = [
        QuotedLine(1, D("1"), D("1000"), D("100"), choice_group="Server"),
        QuotedLine(2, D("1"), D("9000"), D("100"), choice_group="Server", selected=False),
    ]
    assert choices(lines, discount=Discount("amount", D("500"))).dearest("one_time") == D("8500.00")
    section = [QuotedSection(7, Discount("amount", D("500")))]
    lines = [QuotedLine(line.key, D("1"), line.list_price, section=7, choice_group="Server", selected=line.selected)
             for line in lines]  # fmt: skip
    assert choices(lines, section).dearest("one_time") == D("8500.00")


def test_choices_that_leave_less_than_the_discount_are_passed_over() -> None:
    """Five parts that may each be left, less 50: one of them at 950 with its cost of 500 is the least there can be."""
    lines = [QuotedLine(key, D("1"), D("1000"), D("500"), optional=True) for key in range(5)]
    assert choices(lines, discount=Discount("amount", D("50"))).least_profitable() == (D("950.00"), D("500.00"))


def test_what_is_given_away_and_what_costs_nothing() -> None:
    gift = [QuotedLine(1, D("1"), D("0"), D("40"), optional=True, selected=False)]
    assert choices(gift).least_profitable() == (D("0.00"), D("40.00"))
    free = [QuotedLine(1, D("1"), D("10"), D("0"), optional=True, selected=False)]
    assert choices(free).least_profitable() == (D("0.00"), D("0.00"))
    assert choices([QuotedLine(1, D("1"), D("10"), D("3"))]).least_profitable() == (D("10.00"), D("3.00"))


def test_a_gift_alone_is_worse_than_a_gift_with_something_that_is_paid() -> None:
    lines = [
        QuotedLine(1, D("1"), D("0"), D("40")),
        QuotedLine(2, D("1"), D("100"), D("90"), optional=True, selected=False),
    ]
    assert choices(lines).least_profitable() == (D("0.00"), D("40.00"))


def test_usage_counts_in_none() -> None:
    lines = [QuotedLine(1, D("5"), D("10"), billing_cycle="month:1", is_usage=True, quantity_max=D("500"))]
    assert choices(lines).dearest("monthly") == choices(lines).dearest("whole_term") == D("0.00")


def test_what_is_fixed_leaves_no_choice() -> None:
    assert not has_choices([QuotedLine(1, D("1"), D("10"))])
    assert has_choices([QuotedLine(1, D("1"), D("10"), quantity_min=D("1"))])


# -- against every choice there is -------------------------------------------------------------------------------------

#: Tens, and per cents of which three leave whole cents: what is rounded is not what is tried here.
tens = st.integers(0, 30).map(lambda n: Decimal(10 * n))
percents = st.sampled_from([NO_DISCOUNT, Discount("percent", D("10")), Discount("percent", D("50"))])


@st.composite
def models(draw: st.DrawFn) -> TierModel:
    kind = draw(st.sampled_from(KINDS))
    minimums = {
        "minimum_quantity": Decimal(draw(st.integers(0, 4))),
        "included_quantity": Decimal(draw(st.integers(0, 3))),
        "minimum_amount": draw(st.sampled_from([D("0"), D("250"), D("600")])),
    }
    if kind in {"per_unit", "package", "percentage"}:
        tiers: tuple[Tier, ...] = (Tier(None, draw(tens), draw(tens)),)
    else:
        ends = sorted(draw(st.sets(st.integers(1, 9), min_size=1, max_size=2)))
        step = kind == "stair_step"
        tiers = (
            *(Tier(Decimal(end), D("0") if step else draw(tens), draw(tens)) for end in ends),
            *([] if draw(st.booleans()) else [Tier(None, draw(tens), draw(tens))]),
        )
    return TierModel(kind, tiers, package_size=Decimal(draw(st.integers(2, 4))), **minimums)


@st.composite
def quotes(draw: st.DrawFn) -> list[QuotedLine]:
    lines: list[QuotedLine] = []
    for key in range(1, draw(st.integers(1, 3)) + 1):
        how = draw(st.sampled_from(["fixed", "optional", "group", "bundle"]))
        quantity = draw(st.integers(2, 6))
        cycle, term = draw(st.sampled_from([("", ""), ("month:1", ""), ("month:1", "year:1"), ("year:1", "")]))
        near, far = (quantity - 1, quantity + 1), [(1, None), (None, 11), (1, 12)]
        bounds = draw(st.sampled_from([(None, None), near, *([] if lines else far)]))
        line = QuotedLine(
            key, Decimal(quantity), draw(tens), draw(tens), draw(percents),
            section=draw(st.sampled_from([None, 7])),
            model=draw(st.none() | models()),
            billing_cycle=cycle, term=term,
            optional=how == "optional", selected=how != "optional" and (how != "group" or not any(
                each.choice_group for each in lines)),
            choice_group="A" if how == "group" else "",
            quantity_min=None if bounds[0] is None else Decimal(bounds[0]),
            quantity_max=None if bounds[1] is None else Decimal(bounds[1]),
        )  # fmt: skip
        lines.append(line)
        if how == "bundle":
            lines.append(QuotedLine(
                key + 100, Decimal(1), draw(tens), draw(tens), bundle=key, model=draw(st.none() | models()),
                bundle_quantity=Decimal(draw(st.integers(1, 2))), fixed_quantity=draw(st.booleans()),
            ))  # fmt: skip
    return lines


@settings(max_examples=60)
@given(quotes(), percents, percents)
def test_no_choice_comes_to_more_and_none_leaves_less(
    lines: list[QuotedLine], of_section: Discount, of_quote: Discount
) -> None:
    sections = [QuotedSection(7, of_section)]
    try:
        found = choices(lines, sections, of_quote)
    except DomainError:  # as it is written, there is no price for it
        return
    tried = [priced.totals for priced in every_pick(lines, sections, of_quote)]
    measures: tuple[Measure, ...] = ("one_time", "monthly", "whole_term")
    for measure in measures:
        assert found.dearest(measure) == max(getattr(each, measure).price for each in tried)
    price, cost = found.least_profitable()
    assert any((each.value.price, each.value.cost) == (price, cost) for each in tried)
    for each in tried:
        # What is paid over cost, without dividing by a price of nothing: cost1 / price1 >= cost2 / price2.
        assert cost * each.value.price >= each.value.cost * price


def test_two_hundred_lines_are_looked_at_in_a_blink() -> None:
    """All of them open: more than any quote has."""
    lines = [
        QuotedLine(key, D("10"), D("22.50"), D("18"), billing_cycle="month:1", term="year:1", quantity_min=D("5"),
                   quantity_max=D("50"), optional=key % 2 == 0)
        for key in range(200)
    ]  # fmt: skip
    priced = price_quote(lines)
    started = process_time()
    found = Choices(lines, (), NO_DISCOUNT, priced)
    found.dearest("monthly"), found.least_profitable()
    assert process_time() - started < 0.05


@pytest.mark.parametrize("sign", [1, -1])
def test_taking_away_counts_below_zero(sign: int) -> None:
    lines = [
        QuotedLine(1, D("10"), D("100"), D("80"), billing_cycle="month:1"),
        QuotedLine(2, D("2"), D("100"), D("80"), billing_cycle="month:1", sign=-1, optional=True, selected=sign > 0,
                   quantity_max=D("4")),
    ]  # fmt: skip
    assert choices(lines).dearest("monthly") == D("1000.00")
