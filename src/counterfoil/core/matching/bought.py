"""A quoted line against what is bought for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Final

from counterfoil.core.matching import said
from counterfoil.core.matching.changed import begins_with, steps
from counterfoil.core.matching.dollars import (
    for_days,
    for_months,
    in_cycle,
    months_of,
    over_time,
    per_month,
    quoted_cycle,
    quoted_months,
    term_end,
)
from counterfoil.core.matching.legs import AgreementLeg, AskedLeg, ChangeLeg, PurchaseLeg, QuoteLeg, QuoteThread
from counterfoil.core.matching.look import Look, days_match, in_words, same_length, term_code
from counterfoil.core.money import ZERO, round_money

_NOTHING: Final = Decimal(0)
_DAY: Final = timedelta(days=1)


def match_purchases(look: Look, thread: QuoteThread) -> None:
    """Compare how much was bought, and each purchase order line."""
    if not look.quote.is_usage:
        _bought_by_term(look, thread)
    since = {change.start for change in thread.changes} | {line.start for line in thread.agreements[1:]}
    for line in thread.purchases:
        # What was added or renewed since begins on its own day, and ends with what is there.
        is_later = line.start in since and line.start != look.quote.start
        _bought_line(look, line, is_later)


def _bought_by_term(look: Look, thread: QuoteThread) -> None:
    """How much was bought of what was quoted, and anew for the successors of its agreement."""
    if len(thread.agreements) < 2:
        _bought(look, thread, thread.purchases, thread.changes)
        return
    first, *others = thread.agreements
    successors = {line.start: line for line in others if line.start > first.start}
    ids = {line.id for line in successors.values()}
    lines = [line for line in thread.purchases if line.start not in successors]
    if lines:
        _bought(look, thread, lines, [change for change in thread.changes if change.addition_id not in ids])
    for start, addition in successors.items():
        again = [line for line in thread.purchases if line.start == start]
        if again:
            _bought_anew(look, addition, [each for each in thread.changes if each.addition_id == addition.id], again)


def _bought_anew(
    look: Look, addition: AgreementLeg, changes: Sequence[ChangeLeg], lines: Sequence[PurchaseLeg]
) -> None:
    """As many as the successor has, or has had."""
    had = [change.quantity for change in changes] or [addition.quantity]
    total, last = sum((line.quantity for line in lines), _NOTHING), lines[-1]
    expected = min(max(total, min(had)), max(had))
    if look.tolerance("quantity", last.vendor_id).covers(expected, total):
        return
    wanted, actual = said.number(expected), said.number(total)
    text = f"{addition.label} has {wanted} {look.quote.product}; {last.label} buys {actual}."
    dollars = _cost_over_time(look.quote, last, (total - expected) * last.unit_cost)
    look.add("quantity", "purchase", last.label, wanted, actual, text, dollars, last.id, "agreement")


def _bought(look: Look, thread: QuoteThread, lines: Sequence[PurchaseLeg], changes: Sequence[ChangeLeg]) -> None:
    """How much was bought, against what was quoted and what was changed by hand since."""
    quote = look.quote
    total = lines[0].quantity if len(lines) == 1 else sum((line.quantity for line in lines), _NOTHING)
    if total == quote.quantity and len(changes) < 2:
        return
    low, high = _wanted(quote, changes, thread.asked)
    if thread.asked and thread.agreements:
        low -= max(quote.quantity - begins_with(quote, thread.agreements[0], thread.asked), _NOTHING)
    if low <= total <= high:
        return
    if len(lines) > 1 and _bought_again(lines, low, high):
        return
    last = lines[-1]
    if len(lines) > 1 and all(line.quantity == quote.quantity for line in lines):
        for line in lines[1:]:
            text = f"{line.label} buys {line.product} for {quote.label} once more, beside {lines[0].label}."
            dollars = _cost_over_time(quote, line, line.quantity * line.unit_cost)
            look.add("duplicate", "purchase", line.label, lines[0].label, line.label, text, dollars, line.id)
        return
    expected = low if total < low else high
    if total < expected and not quoted_cycle(quote):
        return  # the rest of goods is still to be bought; a licence is bought at once
    if look.tolerance("quantity", last.vendor_id).covers(expected, total):
        return
    text = f"{quote.label} quotes {said.number(expected)} {quote.product}; {last.label} buys {said.number(total)}."
    dollars = _cost_over_time(quote, last, (total - expected) * last.unit_cost)
    look.add("quantity", "purchase", last.label, said.number(expected), said.number(total), text, dollars, last.id)


def _bought_again(lines: Sequence[PurchaseLeg], low: Decimal, high: Decimal) -> bool:
    """Whether a licence was bought anew for each of its terms."""
    starts: dict[date | None, Decimal] = {}
    for line in lines:
        starts[line.start] = starts.get(line.start, _NOTHING) + line.quantity
    return len(starts) > 1 and None not in starts and all(low <= each <= high for each in starts.values())


def _wanted(quote: QuoteLeg, changes: Sequence[ChangeLeg], asked: Sequence[AskedLeg]) -> tuple[Decimal, Decimal]:
    """The least and the most that may have been bought: as quoted, and as it was changed since.

    More by a change quote is bought on that quote's thread; fewer may have been bought before.
    """
    high = quantity = quote.quantity
    taken = _NOTHING
    for _, history in groupby(changes, key=lambda change: change.addition_id):
        for step in steps(tuple(history), asked):
            quantity += step.more - step.quoted
            high = max(high, quantity)
            taken -= min(step.quoted, _NOTHING)
    if quote.action != "new" and (not quote.term or per_month(quote.term) >= 1):
        return _NOTHING, high  # what was bought goes on from month to month, too many as well
    return quantity - taken, high


def _cost_over_time(quote: QuoteLeg, line: PurchaseLeg, cost: Decimal) -> tuple[Decimal, Decimal]:
    """A cost for each of the purchase's cycles, over the quoted term."""
    return over_time(in_cycle(cost, _paid_every(line), quoted_cycle(quote)), quote)


def _paid_every(line: PurchaseLeg) -> str:
    return line.billing_cycle or line.term


def _bought_line(look: Look, line: PurchaseLeg, is_later: bool) -> None:
    quote = look.quote
    if line.product_id != quote.product_id:
        text = f"{quote.label} quotes {quote.product}; {line.label} buys {line.product}."
        dollars = _cost_over_time(quote, line, line.quantity * line.unit_cost)
        look.add("product", "purchase", line.label, quote.product, line.product, text, dollars, line.id)
    same = line.unit_cost == quote.unit_cost and (
        line.billing_cycle == quote.billing_cycle or _other_rhythm(quote, line)
    )
    if quote.unit_cost and not same:
        _cost(look, line)  # what was quoted without a cost has none to be held against
    if quote.term or line.term or line.billing_cycle:
        _bought_term(look, line, is_later)


def _cost(look: Look, line: PurchaseLeg) -> None:
    quote = look.quote
    cost = in_cycle(line.unit_cost, _paid_every(line), quoted_cycle(quote))
    expected = quote.unit_cost
    if cost == expected or look.tolerance("unit_cost", line.vendor_id).covers(expected, cost, line.quantity):
        return
    text = (
        f"{quote.label} reckons with {said.price(expected)} for {quote.product}; {line.label} pays {said.price(cost)}."
    )
    dollars = over_time((cost - expected) * line.quantity, quote)
    look.add("unit_cost", "purchase", line.label, said.price(expected), said.price(cost), text, dollars, line.id)


def _bought_term(look: Look, line: PurchaseLeg, is_later: bool) -> None:
    quote = look.quote
    term_differs = _term_of_purchase(look, line)
    if _other_rhythm(quote, line):
        expected = said.frequency(quote.term, quote.billing_cycle)
        actual = said.frequency(line.term, line.billing_cycle)
        text = f"{quote.label} quotes {in_words(quote)}; {line.label} is billed {actual}."
        dollars = ZERO, round_money(line.quantity * line.unit_cost - quote.quantity * quote.unit_cost)
        if line.unit_cost == quote.unit_cost:  # the quoted cost in another rhythm, which is no other cost besides
            cost = in_cycle(line.unit_cost, _paid_every(line), quoted_cycle(quote))
            dollars = over_time((cost - line.unit_cost) * line.quantity, quote)
        look.add("billing_frequency", "purchase", line.label, expected, actual, text, dollars, line.id)
    if is_later:
        return
    start_differs = False
    if quote.start and line.start and line.start != quote.start:
        start_differs = _start_of_purchase(look, line, quote.start, line.start)
    # More of what runs already ends with it, which the quote need not say.
    is_new = quote.action == "new"
    if (quote.align_to or (line.end and is_new)) and not term_differs and not start_differs:
        _end_of_purchase(look, line)


def _other_rhythm(quote: QuoteLeg, line: PurchaseLeg) -> bool:
    """Whether it is paid more or less often than was quoted. Prepaid is prepaid, however long the terms are."""
    wanted, paid = quoted_cycle(quote), _paid_every(line)
    both_prepaid = _is_prepaid(quote.term, quote.billing_cycle) and _is_prepaid(line.term, line.billing_cycle)
    return bool(wanted and paid) and not both_prepaid and months_of(paid) != months_of(wanted)


def _is_prepaid(term: str, cycle: str) -> bool:
    return bool(term) and cycle in ("", term)


def _term_of_purchase(look: Look, line: PurchaseLeg) -> bool:
    """What is bought for another time than it is sold: owed beyond the sale, or to be bought again."""
    quote = look.quote
    if line.term == quote.term:
        return False
    if line.term and same_length(line.term, quote):
        return False
    if not line.term and quoted_months(quote) is None:
        return False  # neither side is committed
    expected, actual = said.term(term_code(quote)), said.term(line.term)
    sold = quoted_months(quote) or (months_of(quote.billing_cycle) if quote.billing_cycle else Fraction(0))
    bought = months_of(line.term) if line.term else Fraction(0)
    cycle = _paid_every(line)
    exposure = for_months(line.quantity * line.unit_cost, cycle, abs(bought - sold)) if cycle else ZERO
    what = "owed beyond what is sold" if bought > sold else "still to be bought, at a cost nobody has promised"
    text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} buys {actual}: the rest is {what}."
    look.add("term", "purchase", line.label, expected, actual, text, (ZERO, exposure), line.id)
    return True


def _start_of_purchase(look: Look, line: PurchaseLeg, expected: date, actual: date) -> bool:
    if days_match(look, expected, actual, line.vendor_id):
        return False
    quote = look.quote
    text = f"{quote.label} begins on {said.day(expected)}; {line.label} on {said.day(actual)}."
    amount = for_days(line.quantity * line.unit_cost, _paid_every(line), (expected - actual).days)
    look.add(
        "start_date", "purchase", line.label, said.day(expected), said.day(actual), text, (ZERO, amount), line.id
    )  # fmt: skip
    return True


def _end_of_purchase(look: Look, line: PurchaseLeg) -> None:
    """A co-termed line ends with another's term on both sides; where a side does not say so, its term does."""
    quote = look.quote
    expected = quote.align_to - _DAY if quote.align_to else _natural_end(quote.start or line.start, quote.term)
    actual = bought_until(quote, line)
    if expected == actual or expected is None or actual is None:
        return
    if days_match(look, expected, actual, line.vendor_id):
        return
    text = f"{quote.label} ends on {said.day(expected)}; {line.label} on {said.day(actual)}."
    amount = for_days(line.quantity * line.unit_cost, _paid_every(line), abs((actual - expected).days))
    look.add(
        "end_date", "purchase", line.label, said.day(expected), said.day(actual), text, (ZERO, amount), line.id
    )  # fmt: skip


def bought_until(quote: QuoteLeg, line: PurchaseLeg) -> date | None:
    """The last day of what is bought for a term."""
    return line.end or _natural_end(line.start or quote.start, line.term)


def _natural_end(start: date | None, term: str) -> date | None:
    return term_end(start, term) if start and term else None
