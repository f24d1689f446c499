"""What the customer's choices can make of a quote: the most it can come to, and the least it can leave.

    choices = Choices(lines, sections, discount, priced)
    choices.dearest("monthly"), choices.least_profitable()

A customer chooses line by line: takes an option or leaves it, takes one of a group, goes up or down with a quantity
within its bounds; components go with their bundle. What one choice adds to a total hangs on no other one, for prices
follow from a line's own quantity and its own discounts in per cent. So the most is found choice by choice. The lowest
margin is the greatest cost for what is paid, a ratio of two such sums: from the ratio found so far, each choice is made
that raises cost above it, until none does (Dinkelbach's method, which ends at the greatest ratio).

Of a quantity, its bounds are looked at and where a tier, a package or a minimum of its price model begins or ends: in
between, amount and cost run straight. Discounts by amount that are shared out among lines are the same
whatever is chosen; choices that would leave too little to take them off are refused to the customer, and passed over
here as far as they leave no price. Usage, an estimate, counts in none of this.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from math import lcm
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from counterfoil.core.bills import quantity_text
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, from_units, multiply, round_to, round_units, units_of
from counterfoil.core.pricing import TierModel, price_of
from counterfoil.core.quote_values import NO_DISCOUNT, Discount, PricedLine, PricedQuote, QuotedLine, QuotedSection
from counterfoil.core.quoting import price_quote

Measure = Literal["one_time", "monthly", "whole_term"]


class Margin(NamedTuple):
    """What is paid, and what that costs: one-time, over the terms, and a year of what is open-ended."""

    price: Decimal
    cost: Decimal


class _Weight(NamedTuple):
    """What a line adds to the totals: cents, times what makes them whole numbers."""

    one_time: int = 0
    monthly: int = 0
    whole_term: int = 0
    price: int = 0
    cost: int = 0

    def plus(self, other: _Weight, times: int = 1) -> _Weight:
        return _Weight(*(mine + times * others for mine, others in zip(self, other, strict=True)))


_NOTHING: Final = _Weight()


class _Choice(NamedTuple):
    """What is chosen from, and what is chosen as the quote was written."""

    ways: tuple[_Weight, ...]
    now: _Weight


def has_choices(lines: Iterable[QuotedLine]) -> bool:
    """Whether the customer may choose anything."""
    return any(line.optional or line.choice_group or _is_open(line) for line in lines)


class Choices:
    """The choices that a quote leaves the customer.

    Args:
        lines: of the quote.
        sections: with the discounts on their lines.
        discount: on the whole.
        priced: what the quote comes to as it was written.
    """

    def __init__(
        self,
        lines: Sequence[QuotedLine],
        sections: Sequence[QuotedSection],
        discount: Discount,
        priced: PricedQuote,
    ) -> None:
        self._scale = lcm(*{_per_month(line.billing_cycle).denominator for line in lines})
        self._sections = {section.key: section.discount for section in sections}
        self._discount = discount
        self._priced = {done.key: done for done in priced.lines}
        self._components: dict[int, list[QuotedLine]] = {}
        for line in lines:
            if line.bundle is not None:
                self._components.setdefault(line.bundle, []).append(line)
        self._now = _NOTHING
        for line, done in zip(lines, priced.lines, strict=True):
            if done.counts:
                self._now = self._now.plus(self._weight(line, done))
        self._choices = [self._choice(group) for group in _groups(lines)]

    def dearest(self, measure: Measure) -> Decimal:
        """The most that a total can come to."""
        value: Callable[[_Weight], int] = attrgetter(measure)
        most = value(self._now) + sum(max(map(value, one.ways)) - value(one.now) for one in self._choices)
        return self._money(most)

    def least_profitable(self) -> Margin:
        """What is paid and what it costs with the choices that leave the lowest margin."""
        found = self._now
        while found.price or found.cost <= 0:  # nothing paid for what costs something: there is no less
            # Cost above what the ratio found so far lets expect; from a quote without a price: cost itself.
            per_price, per_cost = (found.cost, found.price) if found.price > 0 else (0, 1)

            def gain(way: _Weight, per_price: int = per_price, per_cost: int = per_cost) -> int:
                return way.cost * per_cost - way.price * per_price

            picked = self._with_a_price([max(one.ways, key=gain) for one in self._choices], gain)
            if gain(picked) <= gain(found) or picked.price < 0:
                break
            found = picked
        return Margin(self._money(found.price), self._money(found.cost))

    def _with_a_price(self, picks: list[_Weight], gain: Callable[[_Weight], int]) -> _Weight:
        """What picks come to; where nothing is left to pay, dearer ones are put in that lose least by it."""
        total = self._sum(picks)
        if total.price >= 0:
            return total
        dearer = [max(one.ways, key=attrgetter("price")) for one in self._choices]
        for at in sorted(range(len(picks)), key=lambda at: gain(picks[at]) - gain(dearer[at])):
            picks[at] = dearer[at]
            if (total := self._sum(picks)).price > 0:
                break
        return total

    def _sum(self, picks: Iterable[_Weight]) -> _Weight:
        total = self._now
        for one, way in zip(self._choices, picks, strict=True):
            total = total.plus(one.now, -1).plus(way)
        return total

    def _money(self, value: int) -> Decimal:
        return from_units(round_units(value, self._scale))

    # -- one choice ----------------------------------------------------------------------------------------------------

    def _choice(self, group: Sequence[QuotedLine]) -> _Choice:
        ways, now = [], _NOTHING
        if group[0].optional:
            ways.append(_NOTHING)
        for line in group:
            with_components = [line, *self._components.get(line.key, ())]
            for quantity in _quantities(line, with_components):
                try:
                    way = self._way(line, with_components, quantity)
                except DomainError:  # there is no price for so many: the customer is refused
                    continue
                ways.append(way)
                if quantity == line.quantity and self._priced[line.key].counts:
                    now = way
        return _Choice(tuple(ways), now)

    def _way(self, line: QuotedLine, with_components: Iterable[QuotedLine], quantity: Decimal) -> _Weight:
        total = _NOTHING
        for each in with_components:
            many = quantity if each is line else _of_component(each, quantity)
            total = total.plus(self._weight(each, self._at(each, many)))
        return total

    def _at(self, line: QuotedLine, quantity: Decimal) -> PricedLine:
        """A line at a quantity, without its share of discounts by amount."""
        done = self._priced[line.key]
        section = self._sections.get(line.section or 0, NO_DISCOUNT)
        shares = done.counts and "amount" in {section.kind, self._discount.kind}
        if quantity == done.quantity and not shares:
            return done
        if not shares and line.model is None and line.discount.kind != "amount" and line.first_share is None:
            amount, cost = extend(quantity, done.unit_price), extend(quantity, line.unit_cost)
            return replace(done, quantity=quantity, amount=line.sign * amount, cost=line.sign * cost)
        alone = replace(line, quantity=quantity, optional=False, choice_group="", bundle=None, section=0)
        inside = QuotedSection(0, section if section.kind == "percent" else NO_DISCOUNT)
        whole = self._discount if self._discount.kind == "percent" else NO_DISCOUNT
        return price_quote([alone], [inside], whole).lines[0]

    def _weight(self, line: QuotedLine, done: PricedLine) -> _Weight:
        if line.is_usage:
            return _NOTHING
        amount, cost = self._whole(done.amount), self._whole(done.cost)
        if not line.billing_cycle:
            return _Weight(one_time=amount, whole_term=amount, price=amount, cost=cost)
        share = _per_month(line.billing_cycle)
        monthly = amount * share.numerator // share.denominator
        if done.term_amount is None or done.term_cost is None:
            yearly_cost = 12 * cost * share.numerator // share.denominator
            return _Weight(monthly=monthly, price=12 * monthly, cost=yearly_cost)
        term = self._whole(done.term_amount)
        return _Weight(monthly=monthly, whole_term=term, price=term, cost=self._whole(done.term_cost))

    def _whole(self, amount: Decimal) -> int:
        return units_of(amount, 2) * self._scale


def _groups(lines: Iterable[QuotedLine]) -> list[list[QuotedLine]]:
    """Lines that are chosen together: of a group one is taken; any other choice is a line's alone."""
    groups: dict[str | int, list[QuotedLine]] = {}
    for line in lines:
        if line.choice_group or line.optional or _is_open(line):
            groups.setdefault(line.choice_group or line.key, []).append(line)
    return list(groups.values())


def _is_open(line: QuotedLine) -> bool:
    return line.quantity_min is not None or line.quantity_max is not None


@lru_cache(maxsize=256)  # many lines are of few cycles
def _per_month(billing_cycle: str) -> Fraction:
    return Cycle.parse(billing_cycle).per_month if billing_cycle else Fraction(1)


def _of_component(line: QuotedLine, bundles: Decimal) -> Decimal:
    if line.bundle_quantity is None:
        return line.quantity
    return round_to(multiply(line.bundle_quantity, Decimal(1) if line.fixed_quantity else bundles), 6)


# -- quantities that are looked at -------------------------------------------------------------------------------------


def _quantities(line: QuotedLine, with_components: Iterable[QuotedLine]) -> list[Decimal]:
    """The bounds of what may be chosen, and where price models turn in between."""
    if not _is_open(line):
        return [line.quantity]
    low = line.quantity if line.quantity_min is None else line.quantity_min
    high = line.quantity if line.quantity_max is None else line.quantity_max
    places = max(len(quantity_text(number).partition(".")[2]) for number in (line.quantity, low, high))
    found = {units_of(number, places) for number in (low, line.quantity, high)}
    for each in with_components:
        times = Decimal(1) if each is line else each.bundle_quantity
        if each.model is not None and times and (each is line or not each.fixed_quantity):
            found |= _turns(each.model, times, places, units_of(low, places), units_of(high, places))
    return [from_units(units, places) for units in sorted(found)]


def _turns(model: TierModel, times: Decimal, places: int, low: int, high: int) -> set[int]:
    """Where a price model turns, in steps of the last decimal: the last step before and the first one behind.

    In between, the price is a straight line, or of packages a stair with even steps, of which both ends are given.

    Args:
        model: of what there are ``times`` as many as are chosen.
        times: 1 but for a component.
        places: decimals that may be chosen.
        low: from where on; ``high``: up to where.
    """

    def around(quantity: Fraction) -> set[int]:
        steps = quantity / Fraction(times) * 10**places // 1
        return {min(max(each, low), high) for each in (steps, steps + 1)}

    def priced(steps: int) -> Decimal | None:
        try:
            return price_of(model, multiply(times, from_units(steps, places))).amount
        except DomainError:  # beyond the last tier
            return None

    included = Fraction(model.included_quantity)
    edges = [Fraction(0), Fraction(model.minimum_quantity), *(Fraction(t.up_to) for t in model.tiers if t.up_to)]
    found = {low, high}.union(*(around(included + edge) for edge in edges))
    if model.minimum_amount:
        for before, behind in pairwise(sorted(found)):
            inside = range(before, behind)
            least = bisect_right(inside, False, key=lambda steps: priced(steps) != model.minimum_amount)
            found |= {min(before + least, high), max(before + least - 1, low)}
    if model.kind == "package":
        size = Fraction(model.package_size)
        for steps in tuple(found):
            begun = (Fraction(times) * steps / 10**places - included) // size
            found |= around(included + begun * size) | around(included + (begun + 1) * size)
    return found
