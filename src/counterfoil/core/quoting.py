"""What a quote comes to: lines with their discounts, options and bundles, and totals whose parts always add up.

    priced = price_quote(lines, sections, discount=Discount("percent", Decimal(5)), picks=Picks(frozenset({3})))
    priced.totals.monthly.price

A line's net unit price is rounded to 8 decimals and its amount is quantity x unit price, rounded to the cent: what the
customer signs is what is billed. Discounts are taken one after another, the line's, its section's, the quote's, each
off what the one before left. A discount in per cent is taken off every line; one by amount off the one-time lines
alone, in proportion to what they come to, so that the parts add up to it (largest remainder). Lines that take away
from what the customer has (decreases and cancellations) count below zero and are not discounted by section or quote:
they are worth what they were bought for.

A discount by amount that is larger than what it would be taken off is refused, also when a customer's picks make it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from counterfoil.core.bills import quantity_text
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.money import (
    ZERO,
    allocate,
    extend,
    format_money,
    multiply,
    round_money,
    round_to,
    settle,
    sum_money,
)
from counterfoil.core.pricing import price_of, terms
from counterfoil.core.pricing.terms import ensure_whole_cycles
from counterfoil.core.quote_values import (
    NO_DISCOUNT,
    NOTHING,
    Deposit,
    Discount,
    Due,
    Extended,
    Kind,
    Picks,
    PricedLine,
    PricedQuote,
    QuotedLine,
    QuotedSection,
    SectionTotals,
    Step,
    Sums,
    Taken,
    TaxEstimate,
    TaxOf,
    Totals,
    percent_of,
)

__all__ = [
    "NOTHING",
    "NO_DISCOUNT",
    "Deposit",
    "Discount",
    "Due",
    "Extended",
    "Kind",
    "Picks",
    "PricedLine",
    "PricedQuote",
    "QuotedLine",
    "QuotedSection",
    "SectionTotals",
    "Sums",
    "Taken",
    "TaxEstimate",
    "TaxOf",
    "Totals",
    "cycles_in",
    "cycles_of",
    "percent_of",
    "price_quote",
]

_HUNDRED: Final = Decimal(100)
_PRICE_PLACES: Final = 8


# -- pricing -----------------------------------------------------------------------------------------------------------


def price_quote(
    lines: Sequence[QuotedLine],
    sections: Sequence[QuotedSection] = (),
    discount: Discount = NO_DISCOUNT,
    *,
    picks: Picks | None = None,
    tax: TaxOf | None = None,
    deposit: Deposit | None = None,
    options: bool = True,
    done: PricedQuote | None = None,
) -> PricedQuote:
    """Price a quote as it was written, or as the customer picks.

    Args:
        lines: in order; a component may stand anywhere.
        sections: with the discounts on their lines.
        discount: on the whole.
        picks: the customer's; without, selection and quantities are as quoted.
        tax: what the tax on given amounts is; asked for one-time and for recurring lines.
        deposit: what is asked for in advance.
        options: whether the totals with all options taken are wanted.
        done: the same quote and picks priced before; what it lacks (tax, the totals with all options) is added.

    Raises:
        DomainError: ``invalid`` for a pick that is not offered or out of bounds, a choice group without exactly one
            chosen line, a discount larger than what it is taken off, a term that is not whole cycles.
    """
    picked = picks or Picks()
    taken = _taken(lines, picked)
    quantities = _quantities(lines, picked.quantities)
    if done is None:
        done = _priced(lines, sections, discount, taken, quantities, deposit or Deposit())
    left = {line.key for line in lines if line.optional} - taken
    with_options = None
    if left and options:
        with_options = _totals(lines, _with_all(lines, sections, discount, taken | left, quantities, done.lines))
    if with_options is None and tax is None:
        return done
    return replace(done, with_options=with_options, tax=None if tax is None else _tax(lines, done.lines, tax))


def _priced(
    lines: Sequence[QuotedLine],
    sections: Sequence[QuotedSection],
    discount: Discount,
    taken: set[int],
    quantities: Mapping[int, Decimal],
    deposit: Deposit,
) -> PricedQuote:
    priced = _price_lines(lines, sections, discount, taken, quantities)
    totals = _totals(lines, priced)
    return PricedQuote(
        lines=tuple(priced),
        totals=totals,
        sections=_section_totals(lines, sections, priced, totals),
        deposit=_deposit(deposit, totals),
    )


def cycles_of(line: QuotedLine) -> int | None:
    """How many cycles a line is billed: as said, or as many as its term holds; ``None`` without an end.

    Raises:
        DomainError: ``invalid`` when the term is not a whole number of billing cycles.
    """
    if not line.billing_cycle:
        return None
    if line.cycles is not None or not line.term:
        return line.cycles
    return cycles_in(line.term, line.billing_cycle)


def cycles_in(term: str, billing_cycle: str) -> int:
    """How many billing cycles a term holds: 36 months in three years.

    Raises:
        DomainError: ``invalid`` when it is not a whole number.
    """
    return _cycles_in(term, billing_cycle)


@lru_cache(maxsize=256)  # many lines are of few terms
def _cycles_in(term: str, billing_cycle: str) -> int:
    ensure_whole_cycles(term, billing_cycle)
    return terms.cycles_in(term, billing_cycle) or 1


@lru_cache(maxsize=256)
def _per_month(billing_cycle: str) -> Fraction:
    return Cycle.parse(billing_cycle).per_month


# -- picks -------------------------------------------------------------------------------------------------------------


def _taken(lines: Sequence[QuotedLine], picks: Picks) -> set[int]:
    """The keys of all lines that count, but for components, which follow their bundles."""
    known = {line.key for line in lines}
    if picks.selected is not None and (unknown := picks.selected - known):
        raise DomainError("invalid", f"The quote has no line {min(map(str, unknown))}.", field="selected")
    groups: dict[str, int] = {}
    taken: set[int] = set()
    for line in lines:
        if not line.optional and not line.choice_group:
            taken.add(line.key)
            continue
        selected = line.selected if picks.selected is None else line.key in picks.selected
        if selected:
            taken.add(line.key)
        if line.choice_group:
            groups[line.choice_group] = groups.get(line.choice_group, 0) + selected
    for group, count in groups.items():
        if count != 1:
            raise DomainError(
                "invalid",
                f"Choose one of “{group}”; {'none is' if not count else f'{count} are'} chosen.",
                field="selected",
            )
    return taken


def _quantities(lines: Sequence[QuotedLine], wanted: Mapping[int, Decimal]) -> dict[int, Decimal]:
    quantities = {line.key: line.quantity for line in lines}
    if unknown := wanted.keys() - quantities.keys():
        raise DomainError("invalid", f"The quote has no line {min(map(str, unknown))}.", field="quantities")
    for line in lines:
        if line.key in wanted and wanted[line.key] != line.quantity:
            _check_quantity(line, wanted[line.key])
            quantities[line.key] = wanted[line.key]
    for line in lines:
        if line.bundle is not None and line.bundle_quantity is not None:
            many = Decimal(1) if line.fixed_quantity else quantities[line.bundle]
            quantities[line.key] = round_to(multiply(line.bundle_quantity, many), 6)
    return quantities


def _check_quantity(line: QuotedLine, wanted: Decimal) -> None:
    name, where = line.label or f"line {line.key}", f"quantities.{line.key}"
    if line.quantity_min is None and line.quantity_max is None:
        raise DomainError("invalid", f"The quantity of {name} is fixed at {quantity_text(line.quantity)}.", field=where)
    low = line.quantity if line.quantity_min is None else line.quantity_min
    high = line.quantity if line.quantity_max is None else line.quantity_max
    if not wanted.is_finite() or not low <= wanted <= high:
        raise DomainError(
            "invalid",
            f"The quantity of {name} may lie between {quantity_text(low)} and {quantity_text(high)}.",
            field=where,
        )
    if _decimals(wanted) > max(map(_decimals, (line.quantity, low, high))):
        raise DomainError("invalid", f"{quantity_text(wanted)} has more decimals than {name} is sold in.", field=where)


def _decimals(number: Decimal) -> int:
    return len(quantity_text(number).partition(".")[2])


# -- lines -------------------------------------------------------------------------------------------------------------


class _Work:
    """A line while it is being priced: exact until a discount by amount asks for cents."""

    __slots__ = ("amount", "counts", "line", "list_amount", "list_price", "quantity", "said", "unit")

    def __init__(self, line: QuotedLine, quantity: Decimal, counts: bool) -> None:
        self.line, self.quantity, self.counts = line, quantity, counts
        self.amount: Decimal | None = None
        self.said: list[Step] = []
        if line.model is None:
            self.list_price = line.list_price
        else:
            found = price_of(line.model, quantity)
            self.list_price = found.unit_price
            self.said.extend(found.explanation)
        self.unit = self.list_price
        self.list_amount = extend(quantity, self.list_price)
        self.said.append(Extended(quantity, self.list_price, self.list_amount))

    def take(self, discount: Discount, whose: str) -> None:
        """Take off a discount in per cent, or an amount that is this line's alone."""
        if discount.kind == "percent":
            rest = 1 - discount.value / _HUNDRED
            if self.amount is None:
                self.unit = multiply(self.unit, rest)
            else:
                self.amount = multiply(self.amount, rest)
            self.said.append(Taken(discount.kind, discount.value, whose))
        else:
            self.take_amount(discount.value, whose)

    def take_amount(self, amount: Decimal, whose: str) -> None:
        """Take cents off."""
        there = self.in_cents()
        if amount > there:
            name = self.line.label or f"line {self.line.key}"
            raise _too_large(amount, there, f"what {name} comes to")
        self.amount = sum_money([there, -amount])
        self.said.append(Taken("amount", amount, whose))

    def in_cents(self) -> Decimal:
        """What is left, to the cent."""
        if self.amount is None:
            return extend(self.quantity, round_to(self.unit, _PRICE_PLACES))
        return round_money(self.amount)

    def done(self) -> PricedLine:
        """The line, priced."""
        line, sign = self.line, self.line.sign
        if self.amount is None:
            unit_price = round_to(self.unit, _PRICE_PLACES)
        else:
            unit_price = round_to(Fraction(round_money(self.amount)) / Fraction(self.quantity), _PRICE_PLACES)
        amount = extend(self.quantity, unit_price)
        if self.amount is not None and amount != round_money(self.amount):
            raise DomainError(
                "invalid",
                f"{format_money(self.amount)} for {quantity_text(self.quantity)} units is no unit price of 8 decimals.",
                field="discount_value",
                hint="Give the discount in per cent.",
            )
        if len(self.said) > 1 and amount != self.list_amount:
            self.said.append(Extended(self.quantity, unit_price, amount))
        cost = extend(self.quantity, line.unit_cost)
        share = line.first_share
        return PricedLine(
            key=line.key,
            counts=self.counts,
            quantity=self.quantity,
            list_price=self.list_price,
            unit_price=unit_price,
            list_amount=sign * self.list_amount,
            amount=sign * amount,
            cost=sign * cost,
            cycles=cycles_of(line),
            first_amount=None if share is None else sign * _part(self.quantity, unit_price, share),
            first_cost=None if share is None else sign * _part(self.quantity, line.unit_cost, share),
            steps=tuple(self.said),
        )


def _part(quantity: Decimal, price: Decimal, share: Fraction) -> Decimal:
    """A share of quantity x price, rounded once: as it will be billed."""
    return round_money(Fraction(multiply(quantity, price)) * share)


def _price_lines(
    lines: Sequence[QuotedLine],
    sections: Sequence[QuotedSection],
    discount: Discount,
    taken: set[int],
    quantities: Mapping[int, Decimal],
) -> list[PricedLine]:
    works = []
    for line in lines:
        work = _Work(line, quantities[line.key], _counts(line, taken))
        if line.discount:
            work.take(line.discount, "")
        works.append(work)
    for section in sections:
        if section.discount:
            inside = [work for work in works if work.line.section == section.key]
            _take_together(inside, section.discount, f" of the section {section.title}".rstrip())
    if discount:
        _take_together(works, discount, " of the quote")
    return [work.done() for work in works]


def _with_all(
    lines: Sequence[QuotedLine],
    sections: Sequence[QuotedSection],
    discount: Discount,
    taken: set[int],
    quantities: Mapping[int, Decimal],
    priced: Sequence[PricedLine],
) -> list[PricedLine]:
    """The lines with all options taken; prices are others only where an amount is shared out among what is taken."""
    if discount.kind == "amount":
        return _price_lines(lines, sections, discount, taken, quantities)
    sharing = {section.key for section in sections if section.discount.kind == "amount"}
    among = [line for line in lines if line.section in sharing]
    anew = {done.key: done for done in _price_lines(among, sections, discount, taken, quantities)}
    return [
        anew.get(line.key) or (done if done.counts or not _counts(line, taken) else replace(done, counts=True))
        for line, done in zip(lines, priced, strict=True)
    ]


def _counts(line: QuotedLine, taken: set[int]) -> bool:
    return line.key in taken and (line.bundle is None or line.bundle in taken)


def _take_together(works: Iterable[_Work], discount: Discount, whose: str) -> None:
    """Take off the discount of a section or of the quote."""
    sold = [work for work in works if work.line.sign > 0]
    if discount.kind == "percent":
        for work in sold:
            work.take(discount, whose)
        return
    once = [work for work in sold if work.counts and not work.line.billing_cycle and not work.line.is_usage]
    weights = [work.in_cents() for work in once]
    if discount.value > (there := sum_money(weights)):
        raise _too_large(discount.value, there, f"what the one-time lines{whose} come to")
    if once:
        for work, share in zip(once, allocate(round_money(discount.value), weights), strict=True):
            if share:
                work.take_amount(share, f", its share of the discount{whose}")


def _too_large(discount: Decimal, there: Decimal, what: str) -> DomainError:
    return DomainError(
        "invalid",
        f"A discount of {format_money(discount)} is more than {what}: {format_money(there)}.",
        field="discount_value",
        hint="A discount by amount is taken off one-time lines alone; give one in per cent for what recurs.",
    )


# -- totals ------------------------------------------------------------------------------------------------------------


def _totals(lines: Sequence[QuotedLine], priced: Sequence[PricedLine]) -> Totals:
    once: list[PricedLine] = []
    by_cycle: dict[tuple[str, bool], list[PricedLine]] = {}
    ending: list[PricedLine] = []
    for line, done in zip(lines, priced, strict=True):
        if not done.counts:
            continue
        if not line.billing_cycle and not line.is_usage:
            once.append(done)
            continue
        kind = "usage" if line.is_usage else "ending" if done.cycles is not None else "open"
        by_cycle.setdefault((line.billing_cycle or "month:1", kind == "usage"), []).append(done)
        if kind == "ending":
            ending.append(done)
    recurring = {code: found for (code, usage), found in by_cycle.items() if not usage}
    usage = {code: found for (code, is_usage), found in by_cycle.items() if is_usage}
    open_ended = {code: [d for d in found if d.cycles is None] for code, found in recurring.items()}
    one_time, term = _sums(once), _term_sums(ending)
    return Totals(
        one_time=one_time,
        monthly=_per(recurring, 1),
        yearly=_per(recurring, 12),
        term=term,
        value=one_time + term + _per(open_ended, 12),
        usage_monthly=_per(usage, 1),
        first=sum_money(done.due_first for found in recurring.values() for done in found),
        open_ended=any(open_ended.values()),
    )


def _sums(priced: Sequence[PricedLine]) -> Sums:
    return Sums(
        sum_money(done.list_amount for done in priced),
        sum_money(done.amount for done in priced),
        sum_money(done.cost for done in priced),
    )


def _term_sums(priced: Sequence[PricedLine]) -> Sums:
    return Sums(
        sum_money(done.term_list or ZERO for done in priced),
        sum_money(done.term_amount or ZERO for done in priced),
        sum_money(done.term_cost or ZERO for done in priced),
    )


def _per(by_cycle: Mapping[str, Sequence[PricedLine]], months: int) -> Sums:
    """What cycles come to in so many months: exact, then rounded once."""
    exact = [Fraction(0), Fraction(0), Fraction(0)]
    for code, priced in by_cycle.items():
        times = _per_month(code) * months
        for index, part in enumerate(_sums(priced).parts):
            exact[index] += Fraction(part) * times
    return Sums(*map(round_money, exact))


def _section_totals(
    lines: Sequence[QuotedLine], sections: Sequence[QuotedSection], priced: Sequence[PricedLine], totals: Totals
) -> tuple[SectionTotals, ...]:
    """Subtotals; the months are settled among them so that they add up."""
    once: dict[int | None, Decimal] = {None: ZERO} | {section.key: ZERO for section in sections}
    cycles: dict[tuple[int | None, str], Decimal] = {}
    for line, done in zip(lines, priced, strict=True):
        if not done.counts or line.is_usage:
            continue
        if line.billing_cycle:
            at = (line.section, line.billing_cycle)
            cycles[at] = sum_money([cycles.get(at, ZERO), done.amount])
        else:
            once[line.section] = sum_money([once[line.section], done.amount])
    months = dict.fromkeys(once, Fraction(0))
    for (key, code), amount in cycles.items():
        months[key] += Fraction(amount) * _per_month(code)
    settled = settle(totals.monthly.price, list(months.values()))
    used = {line.section for line in lines}
    return tuple(
        SectionTotals(key, once[key], month)
        for key, month in zip(once, settled, strict=True)
        if key is not None or None in used
    )


def _tax(lines: Sequence[QuotedLine], priced: Sequence[PricedLine], tax: TaxOf) -> TaxEstimate:
    counting = [(line, done) for line, done in zip(lines, priced, strict=True) if done.counts and not line.is_usage]
    once = [Due(done.key, done.amount, done.quantity) for line, done in counting if not line.billing_cycle]
    recurring = [Due(done.key, done.due_first, done.quantity) for line, done in counting if line.billing_cycle]
    return TaxEstimate(tax(once) if once else ZERO, tax(recurring) if recurring else ZERO)


def _deposit(deposit: Deposit, totals: Totals) -> Decimal:
    if deposit.kind == "percent":
        asked = round_money(Fraction(totals.one_time.price) * Fraction(deposit.value) / 100)
    elif deposit.kind == "amount":
        asked = round_money(deposit.value)
    else:
        return ZERO
    return max(ZERO, min(asked, sum_money([totals.one_time.price, totals.first])))
