"""A quoted line against what it became: the addition of an agreement, a change of one, a line of a sales order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from counterfoil.core.matching import said
from counterfoil.core.matching.dollars import for_days, in_cycle, over_time, quoted_cycle
from counterfoil.core.matching.legs import AgreementLeg, ChangeLeg, OrderLeg, QuoteLeg, QuoteThread
from counterfoil.core.matching.look import (
    Look,
    compare_frequency,
    compare_price,
    compare_product,
    compare_quantity,
    compare_start,
    days_match,
    same_length,
    term_code,
)
from counterfoil.core.money import ZERO

_NOTHING: Final = Decimal(0)
_DAY: Final = timedelta(days=1)


def match_agreements(look: Look, thread: QuoteThread) -> None:
    """Compare the addition that the line became."""
    first, *others = thread.agreements
    for other in others:
        if other.active and first.active and _overlap(first, other):
            text = f"{other.label} has {other.product} of {look.quote.label} once more, beside {first.label}."
            look.add("duplicate", "agreement", other.label, first.label, other.label, text, line_id=other.id)
    line = first
    compare_product(look, "agreement", line)
    quantity, unit_price = _as_added(look.quote, line, thread.changes)
    if not look.quote.is_usage:
        compare_quantity(look, "agreement", line.label, line.id, look.quote.quantity, quantity)
    compare_price(
        look, "agreement", line.label, line.id, quantity, look.quote.unit_price, unit_price, line.billing_cycle
    )  # fmt: skip
    compare_frequency(look, "agreement", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)
    if not any(change.origin_id for change in thread.changes):  # a renewal has its own term and end
        _agreement_term(look, line)
    compare_start(look, "agreement", line.label, line.id, line.start)
    if len(thread.changes) > 1:
        _changes_by_hand(look, line, thread.changes)


def _overlap(one: AgreementLeg, other: AgreementLeg) -> bool:
    """Whether both bill at the same time: a renewed line begins when its predecessor has ended."""
    return (one.cancelled is None or other.start <= one.cancelled) and (
        other.cancelled is None or one.start <= other.cancelled
    )


def _as_added(quote: QuoteLeg, line: AgreementLeg, changes: Sequence[ChangeLeg]) -> tuple[Decimal, Decimal]:
    """Quantity and price the addition began with: the oldest change keeps them."""
    of: AgreementLeg | ChangeLeg = line
    for change in changes:
        if change.addition_id == line.id:
            of = change
            break
    billed = line.billing_option == "Billable"
    return _billed(quote, of), of.unit_price if billed else _NOTHING


def _billed(quote: QuoteLeg, line: AgreementLeg | ChangeLeg) -> Decimal:
    """The quantity that is billed; what a price model includes is in its price."""
    return line.quantity if quote.has_price_model else line.quantity - line.less_included


def _agreement_term(look: Look, line: AgreementLeg) -> None:
    quote = look.quote
    if line.term and line.term != quote.term and not same_length(line.term, quote):
        expected, actual = said.term(term_code(quote)), said.term(line.term)
        text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} has {actual}."
        look.add("term", "agreement", line.label, expected, actual, text, line_id=line.id)
    if quote.align_to and line.ends:
        _agreement_end(look, line, quote.align_to - _DAY, line.ends)


def _agreement_end(look: Look, line: AgreementLeg, expected: date, actual: date) -> None:
    if actual == expected or days_match(look, expected, actual):
        return
    quote = look.quote
    text = f"{quote.label} ends on {said.day(expected)}; {line.label} on {said.day(actual)}."
    amount = for_days(quote.unit_price * quote.quantity, quoted_cycle(quote), (expected - actual).days)
    look.add("end_date", "agreement", line.label, said.day(expected), said.day(actual), text, (ZERO, amount), line.id)


def _changes_by_hand(look: Look, line: AgreementLeg, changes: Sequence[ChangeLeg]) -> None:
    """What was changed beside any quote, if it is still other than quoted."""
    own = [change for change in changes if change.addition_id == line.id]
    agreed_quantity, agreed_price = _billed(look.quote, own[0]), own[0].unit_price
    for before, change in pairwise(own):
        if change.origin_id is not None:
            agreed_quantity += _billed(look.quote, change) - _billed(look.quote, before)
            agreed_price = change.unit_price
    now = own[-1]
    quantity = _billed(look.quote, now)
    if (quantity, now.unit_price) == (agreed_quantity, agreed_price):
        return
    expected = f"{said.number(agreed_quantity)} at {said.price(agreed_price)}"
    actual = f"{said.number(quantity)} at {said.price(now.unit_price)}"
    text = f"{line.label} was changed by hand on {said.day(now.start)}: {look.quote.product} {actual}, not {expected}."
    cycle = quoted_cycle(look.quote)
    less = in_cycle(agreed_quantity * agreed_price - quantity * now.unit_price, line.billing_cycle, cycle)
    look.add("changed_by_hand", "agreement", line.label, expected, actual, text, over_time(less, look.quote), line.id)


def match_quoted_changes(look: Look, thread: QuoteThread) -> None:
    """A line of a change quote: the change that it made, or the addition that renews."""
    quote = look.quote
    for line in thread.agreements:
        compare_product(look, "agreement", line)
        compare_quantity(
            look, "agreement", line.label, line.id, quote.quantity, _as_added(quote, line, thread.changes)[0]
        )
    for change in thread.quoted_changes:
        if quote.action == "renew":
            made = change.quantity
        elif change.before is None:
            continue
        else:
            made = abs(change.quantity - change.before)
        compare_quantity(look, "agreement", change.label, change.addition_id, quote.quantity, made)
        if quote.action in ("increase", "renew") and not quote.has_price_model:
            compare_price(
                look, "agreement", change.label, change.addition_id, quote.quantity, quote.unit_price,
                change.unit_price, "",
            )  # fmt: skip
        compare_start(look, "agreement", change.label, change.addition_id, change.start)


def match_orders(look: Look, orders: Sequence[OrderLeg]) -> None:
    """Compare the sales order lines that the line became."""
    quote, first = look.quote, orders[0]
    if len(orders) > 1:
        if all(line.quantity == quote.quantity for line in orders):
            for other in orders[1:]:
                text = f"{other.label} has {other.product} of {quote.label} once more, beside {first.label}."
                look.add("duplicate", "order", other.label, first.label, other.label, text, line_id=other.id)
        else:
            compare_quantity(
                look, "order", orders[-1].label, orders[-1].id, quote.quantity,
                sum((line.quantity for line in orders), _NOTHING),
            )  # fmt: skip
    else:
        compare_quantity(look, "order", first.label, first.id, quote.quantity, first.quantity)
    for line in orders:
        compare_product(look, "order", line)
        compare_price(look, "order", line.label, line.id, line.quantity, quote.unit_price, line.unit_price, "")
        if line.term and line.term != quote.term and not same_length(line.term, quote):
            expected, actual = said.term(term_code(quote)), said.term(line.term)
            text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} has {actual}."
            look.add("term", "order", line.label, expected, actual, text, line_id=line.id)
        compare_frequency(look, "order", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)
        if line.term or line.billing_cycle:
            compare_start(look, "order", line.label, line.id, line.start)
