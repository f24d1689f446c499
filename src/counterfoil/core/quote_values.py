"""The values of :mod:`counterfoil.core.quoting`: the lines and discounts of a quote, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, multiply, round_money, round_to, sum_money
from counterfoil.core.pricing import TierModel

Kind = Literal["", "percent", "amount"]


# -- what goes in ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount in ``percent`` (10 is 10 %) or by ``amount``; none without a kind."""

    kind: Kind = ""
    value: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        if self.kind == "percent" and not 0 <= self.value <= 100:
            raise DomainError(
                "invalid",
                f"A discount lies between 0 and 100 %; {quantity_text(self.value)} does not.",
                field="discount_value",
            )
        if self.value < 0:
            raise DomainError("invalid", "A discount cannot be negative.", field="discount_value")

    def __bool__(self) -> bool:
        return bool(self.kind and self.value)


NO_DISCOUNT: Final = Discount()


@dataclass(frozen=True, slots=True)
class QuotedLine:
    """A line as staff wrote it.

    Attributes:
        key: names the line.
        label: what people call it in a refusal.
        quantity: in the product's unit; of a component it follows from its bundle's.
        list_price: per unit and billing cycle, before discounts; with a ``model``, it follows from that.
        unit_cost: likewise.
        discount: of this line alone; an amount is taken off each billing cycle.
        section: key of its section, if any.
        model: a tier model it is priced with.
        billing_cycle: ``month:1``; empty is one-time.
        term: ``year:3``; empty is none.
        cycles: how many are billed; empty: what the term holds, or open-ended without a term.
        is_usage: billed by what is used; the quantity is an estimate and counts apart.
        optional: the customer may take it or leave it.
        selected: it is taken (of an optional line, or of a line of a choice group).
        choice_group: of the lines of a group, exactly one is selected.
        bundle: key of the bundle it is a component of.
        bundle_quantity: so many for each bundle; ``fixed_quantity``: so many however many bundles.
        quantity_min: the customer may go down to; ``quantity_max``: up to.
        sign: -1 for what is taken away from what the customer has.
        first_share: what a first period shortened by a co-term is of a whole one.
    """

    key: int
    quantity: Decimal
    list_price: Decimal = Decimal(0)
    unit_cost: Decimal = Decimal(0)
    discount: Discount = NO_DISCOUNT
    section: int | None = None
    model: TierModel | None = None
    billing_cycle: str = ""
    term: str = ""
    cycles: int | None = None
    is_usage: bool = False
    optional: bool = False
    selected: bool = True
    choice_group: str = ""
    bundle: int | None = None
    bundle_quantity: Decimal | None = None
    fixed_quantity: bool = False
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None
    sign: Literal[1, -1] = 1
    first_share: Fraction | None = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class QuotedSection:
    """A section and the discount on its lines."""

    key: int
    discount: Discount = NO_DISCOUNT
    title: str = ""


@dataclass(frozen=True, slots=True)
class Deposit:
    """What is asked for in advance: per cent of the one-time total, or an amount."""

    kind: Kind = ""
    value: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Picks:
    """What a customer picked.

    Attributes:
        selected: the optional lines that are taken, and the chosen one of each choice group; every other optional line
            is left. ``None`` leaves the selection as it was quoted.
        quantities: of the lines whose quantity may be changed; the others stay as quoted.
    """

    selected: frozenset[int] | None = None
    quantities: Mapping[int, Decimal] = field(default_factory=dict)


class Due(NamedTuple):
    """What falls due of a line at first, to be taxed."""

    key: int
    amount: Decimal
    quantity: Decimal


#: The tax on what falls due at once.
TaxOf = Callable[[Sequence[Due]], Decimal]


# -- what comes out ----------------------------------------------------------------------------------------------------


class Taken(NamedTuple):
    """That a discount was taken off."""

    kind: Kind
    value: Decimal
    whose: str

    @property
    def words(self) -> str:
        """``less 10 % of the quote``."""
        much = f"{quantity_text(self.value)} %" if self.kind == "percent" else format_money(self.value)
        return f"less {much}{self.whose}"


class Extended(NamedTuple):
    """A quantity at a unit price, and what that comes to."""

    quantity: Decimal
    unit_price: Decimal
    amount: Decimal

    @property
    def words(self) -> str:
        """``10 × 22.00 = 220.00``."""
        return f"{quantity_text(self.quantity)} × {price_text(self.unit_price)} = {format_money(self.amount)}"


#: A step on the way to an amount; words where a tier model gives them.
Step = str | Taken | Extended


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line and what it comes to; below zero where it takes away from what the customer has.

    Attributes:
        key: as given.
        counts: whether it is in the totals: taken, and not of a bundle that is left.
        quantity: as picked, or as follows from the bundle's.
        list_price: per unit before discounts.
        unit_price: per unit after all discounts, 8 decimals.
        list_amount: quantity x list price, rounded; for one billing cycle, or once.
        amount: quantity x unit price, rounded.
        cost: quantity x unit cost, rounded.
        cycles: how many cycles are billed; ``None`` for one-time and open-ended lines.
        first_amount: of the first period, where a co-term shortens it.
        first_cost: likewise.
        steps: how the amount came about; ``explanation`` says it in words.
    """

    key: int
    counts: bool
    quantity: Decimal
    list_price: Decimal
    unit_price: Decimal
    list_amount: Decimal
    amount: Decimal
    cost: Decimal
    cycles: int | None = None
    first_amount: Decimal | None = None
    first_cost: Decimal | None = None
    steps: tuple[Step, ...] = ()

    @property
    def explanation(self) -> tuple[str, ...]:
        """How the amount came about, step by step."""
        return tuple(step if isinstance(step, str) else step.words for step in self.steps)

    @property
    def discount_amount(self) -> Decimal:
        """What all discounts take off."""
        return sum_money([self.list_amount, -self.amount])

    @property
    def margin(self) -> Decimal:
        """Amount less cost, for one billing cycle or once."""
        return sum_money([self.amount, -self.cost])

    @property
    def margin_percent(self) -> Decimal | None:
        """Margin in per cent of the amount, to one decimal; ``None`` for an amount of nothing."""
        return percent_of(self.margin, self.amount)

    @property
    def due_first(self) -> Decimal:
        """What falls due at first: once, or for the first period."""
        return self.amount if self.first_amount is None else self.first_amount

    @property
    def term_amount(self) -> Decimal | None:
        """What all its cycles come to; ``None`` for one-time and open-ended lines."""
        return _over_term(self.cycles, self.amount, self.first_amount)

    @property
    def term_list(self) -> Decimal | None:
        """Likewise, before discounts."""
        return _over_term(self.cycles, self.list_amount, None if self.first_amount is None else self._first_list)

    @property
    def term_cost(self) -> Decimal | None:
        """Likewise, the cost."""
        return _over_term(self.cycles, self.cost, self.first_cost)

    @property
    def _first_list(self) -> Decimal:
        assert self.first_amount is not None
        if not self.amount:
            return ZERO
        return round_money(Fraction(self.list_amount) * Fraction(self.first_amount) / Fraction(self.amount))


def _over_term(cycles: int | None, amount: Decimal, first: Decimal | None) -> Decimal | None:
    if cycles is None:
        return None
    if first is None:
        return multiply(amount, Decimal(cycles))
    return sum_money([first, multiply(amount, Decimal(cycles - 1))])


@dataclass(frozen=True, slots=True)
class Sums:
    """What lines come to: before discounts, what is charged, and what it costs."""

    list: Decimal = ZERO
    price: Decimal = ZERO
    cost: Decimal = ZERO

    @property
    def discount(self) -> Decimal:
        """What all discounts take off."""
        return sum_money([self.list, -self.price])

    @property
    def discount_percent(self) -> Decimal | None:
        """In per cent of the list, to one decimal; ``None`` without a list price."""
        return percent_of(self.discount, self.list)

    @property
    def margin(self) -> Decimal:
        """Price less cost."""
        return sum_money([self.price, -self.cost])

    @property
    def margin_percent(self) -> Decimal | None:
        """In per cent of the price, to one decimal; ``None`` without a price."""
        return percent_of(self.margin, self.price)

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(sum_money(pair) for pair in zip(self.parts, other.parts, strict=True)))

    @property
    def parts(self) -> tuple[Decimal, Decimal, Decimal]:
        """List, price and cost."""
        return self.list, self.price, self.cost


NOTHING: Final = Sums()


@dataclass(frozen=True, slots=True)
class Totals:
    """What is taken comes to, before tax.

    Attributes:
        one_time: what is paid once.
        monthly: what recurs, brought to a month and rounded once.
        yearly: what recurs, brought to a year and rounded once.
        term: what the recurring lines with an end come to over all their cycles.
        value: one-time and term, and a year of what is open-ended. Margin and discount of the quote are those of this.
        usage_monthly: the estimate of usage lines, brought to a month; in none of the others.
        first: what falls due at first of what recurs.
        open_ended: whether something recurs without an end.
    """

    one_time: Sums = NOTHING
    monthly: Sums = NOTHING
    yearly: Sums = NOTHING
    term: Sums = NOTHING
    value: Sums = NOTHING
    usage_monthly: Sums = NOTHING
    first: Decimal = ZERO
    open_ended: bool = False

    @property
    def whole_term(self) -> Sums:
        """One-time and term."""
        return self.one_time + self.term


@dataclass(frozen=True, slots=True)
class SectionTotals:
    """What the lines of a section come to; ``key`` is ``None`` for lines in no section. They add up to the totals."""

    key: int | None
    one_time: Decimal
    monthly: Decimal


@dataclass(frozen=True, slots=True)
class TaxEstimate:
    """The tax on what is paid once, and on a first period of what recurs."""

    one_time: Decimal = ZERO
    recurring: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class PricedQuote:
    """A quote and what it comes to, in the order of its lines.

    Attributes:
        lines: every line, taken or not.
        totals: of what is taken.
        sections: subtotals, in the order of the sections; lines in none come first.
        with_options: the totals if all options were taken; ``None`` when nothing optional is left.
        tax: estimate; ``None`` when no tax was asked for.
        deposit: what is asked for in advance; never more than what falls due at first.
    """

    lines: tuple[PricedLine, ...]
    totals: Totals
    sections: tuple[SectionTotals, ...] = ()
    with_options: Totals | None = None
    tax: TaxEstimate | None = None
    deposit: Decimal = ZERO

    def line(self, key: int) -> PricedLine:
        """The line with that key."""
        return next(line for line in self.lines if line.key == key)


def percent_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """``part`` in per cent of ``whole``, to one decimal; ``None`` of nothing."""
    return round_to(Fraction(part) / Fraction(whole) * 100, 1) if whole else None
