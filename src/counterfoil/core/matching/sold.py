"""A quoted line against what it became: the addition of an agreement, a line of a sales order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from counterfoil.core.matching import said
from counterfoil.core.matching.changed import begins_with, changed_by_hand, quoted_end
from counterfoil.core.matching.dollars import for_days
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


def match_agreements(look: Look, thread: QuoteThread) -> None:
    """Compare the addition that the line became."""
    quote = look.quote
    line, *others = thread.agreements
    for other in others:
        if other.active and line.active and _overlap(line, other):
            text = f"{other.label} has {other.product} of {quote.label} once more, beside {line.label}."
            look.add("duplicate", "agreement", other.label, line.label, other.label, text, line_id=other.id)
    changes = [change for change in thread.changes if change.addition_id == line.id]
    compare_product(look, "agreement", line)
    quantity, unit_price = _as_added(quote, line, changes)
    if not quote.is_usage:
        compare_quantity(look, "agreement", line.label, line.id, begins_with(quote, line, thread.asked), quantity)
    if unit_price != quote.unit_price:
        compare_price(
            look, "agreement", line.label, line.id, quantity, quote.unit_price, unit_price, line.billing_cycle
        )  # fmt: skip
    compare_frequency(look, "agreement", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)
    if not any(ask.action == "renew" and ask.addition_id == line.id for ask in thread.asked):
        _agreement_term(look, line)  # a renewal has its own
    compare_start(look, "agreement", line.label, line.id, line.start)
    _agreement_end(look, thread)
    if len(changes) > 1:
        changed_by_hand(look, line, changes, thread.asked)


def _overlap(one: AgreementLeg, other: AgreementLeg) -> bool:
    """Whether both bill at the same time: a renewed line begins when its predecessor has ended."""
    return (one.ends is None or other.start <= one.ends) and (other.ends is None or one.start <= other.ends)


def _as_added(quote: QuoteLeg, line: AgreementLeg, changes: Sequence[ChangeLeg]) -> tuple[Decimal, Decimal]:
    """Quantity and price the addition began with, as billed: the oldest change keeps them.

    What a price model includes is in its price.
    """
    of = changes[0] if changes else line
    quantity = of.quantity if quote.has_price_model else of.quantity - of.less_included
    return quantity, of.unit_price if line.billing_option == "Billable" else _NOTHING


def _agreement_term(look: Look, line: AgreementLeg) -> None:
    quote = look.quote
    if line.term and line.term != quote.term and not same_length(line.term, quote):
        expected, actual = said.term(term_code(quote)), said.term(line.term)
        text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} has {actual}."
        look.add("term", "agreement", line.label, expected, actual, text, line_id=line.id)


def _agreement_end(look: Look, thread: QuoteThread) -> None:
    """A line that ends otherwise than was accepted. What is not co-termed may go on; a successor goes on for it."""
    last = max(thread.agreements, key=lambda line: line.ends or date.max)
    changes = [change for change in thread.changes if change.addition_id == last.id]
    quote, actual = look.quote, last.ends
    expected = quoted_end(quote, last, changes, thread.asked)
    if expected is None or actual is None or (actual > expected and not quote.align_to):
        return
    if days_match(look, expected, actual):
        return
    text = f"{quote.label} ends on {said.day(expected)}; {last.label} on {said.day(actual)}."
    billed = (last.quantity - last.less_included) * last.unit_price if last.billing_option == "Billable" else _NOTHING
    dollars = ZERO, for_days(billed, last.billing_cycle, (expected - actual).days)
    look.add("end_date", "agreement", last.label, said.day(expected), said.day(actual), text, dollars, last.id)


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
