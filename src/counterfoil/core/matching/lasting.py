"""How long it goes on: billed after what was signed or bought has ended, bought after what is billed has.

What is bought for a term is owed for it, also when the customer gives it up or has fewer of it.

Only what nothing else says already: a day or a term that differs from the quote has an exception of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

from counterfoil.core.matching import said
from counterfoil.core.matching.bought import bought_until
from counterfoil.core.matching.changed import quoted_end
from counterfoil.core.matching.dollars import OPEN_MONTHS, for_days, for_months, over_time, per_month
from counterfoil.core.matching.legs import AgreementLeg, PurchaseLeg, QuoteLeg, QuoteThread
from counterfoil.core.matching.look import Look, days_match
from counterfoil.core.money import ZERO

_DAY: Final = timedelta(days=1)
_MONTH: Final = Fraction(1)
#: What else says that something begins, ends or lasts otherwise than quoted.
_TIMES: Final = frozenset({"term", "start_date", "end_date"})


def match_lasting(look: Look, thread: QuoteThread) -> None:
    """Compare the ends of what was signed, of what is bought and of what is billed; the last of all comparisons."""
    for line in thread.agreements:
        if _is_billed_after(thread, {line.id}, line.start) and not _says(look, "agreement"):
            _billed_beyond_signed(look, thread, line)
    if not thread.purchases or _says(look, "agreement"):
        return
    if thread.invoices and not _says(look, "purchase"):
        _billed_beyond_bought(look, thread)
    if (last := _billing_ends(thread)) is not None:
        _bought_beyond_billed(look, thread.purchases, last)
    if thread.asked and len(thread.agreements) == 1 and not _says(look, "purchase"):
        _bought_for_more(look, thread, thread.agreements[0])


def _says(look: Look, leg: str, line_id: int | None = None) -> bool:
    return any(
        found.code in _TIMES and found.actual_leg == leg and line_id in (None, found.line_id) for found in look.found
    )


def _is_billed_after(thread: QuoteThread, additions: Collection[int], day: date, before: date = date.max) -> bool:
    """Whether anything is billed of additions that begins after a day, and before another."""
    return any(
        line.regular
        and line.addition_id in additions
        and line.service_start is not None
        and day < line.service_start < before
        for line in thread.invoices
    )


def _billed_beyond_signed(look: Look, thread: QuoteThread, line: AgreementLeg) -> None:
    """What was signed for a term and is billed on without a renewal. The successor of an agreement is one."""
    quote = look.quote
    signed = quoted_end(quote, line, (), [ask for ask in thread.asked if ask.action == "renew"])
    if signed is None or line.start > signed or not _is_billed_after(thread, {line.id}, signed):
        return
    if line.ends is not None and (line.ends <= signed or days_match(look, signed, line.ends)):
        return
    amount = (line.quantity - line.less_included) * line.unit_price if line.billing_option == "Billable" else ZERO
    if line.ends is None:
        monthly = for_months(-amount, line.billing_cycle, _MONTH)
        dollars = monthly, for_months(-amount, line.billing_cycle, OPEN_MONTHS)
    else:
        dollars = ZERO, for_days(-amount, line.billing_cycle, (line.ends - signed).days)
    text = f"{quote.label} ends {quote.product} on {said.day(signed)} and nothing renews it; {line.label} bills it on."
    look.add("end_date", "agreement", line.label, said.day(signed), said.day(line.ends), text, dollars, line.id)


def _billed_beyond_bought(look: Look, thread: QuoteThread) -> None:
    """A term that has to be bought anew. What a quote renews is bought with that quote."""
    quote = look.quote
    if not quote.unit_cost or not any(line.purchase_item for line in thread.agreements):
        return
    bought = [_bound_until(quote, line) for line in thread.purchases]
    last = None if None in bought else max(day for day in bought if day is not None)
    if last is None:
        return
    renewed = min((ask.start for ask in thread.asked if ask.action == "renew"), default=date.max)
    if not _is_billed_after(thread, {line.id for line in thread.agreements}, last, renewed):
        return
    label = thread.purchases[-1].label
    text = (
        f"{label} buys {quote.product} of {quote.label} until {said.day(last)}; it is billed on, and not bought anew."
    )
    dollars = over_time(quote.unit_cost * quote.quantity, quote)
    look.add("missing_purchase", "purchase", label, "another term", said.day(last), text, dollars)


def _bought_beyond_billed(look: Look, purchases: Sequence[PurchaseLeg], last: date) -> None:
    """What the customer has ended, as agreed, and is still owed to the vendor: a cost that nobody is billed for."""
    quote = look.quote
    for line in purchases:
        until = _bound_until(quote, line)
        if until is None or until <= last or _says(look, "purchase", line.id):
            continue
        if days_match(look, last, until, line.vendor_id):
            continue
        since = last if line.start is None else max(last, line.start - _DAY)
        cost = for_days(line.quantity * line.unit_cost, line.billing_cycle or line.term, (until - since).days)
        text = (
            f"{quote.product} of {quote.label} is billed until {said.day(last)};"
            f" {line.label} buys it until {said.day(until)}."
        )
        expected, actual = said.day(last), said.day(until)
        look.add("end_date", "purchase", line.label, expected, actual, text, (ZERO, cost), line.id, "agreement")


def _bought_for_more(look: Look, thread: QuoteThread, addition: AgreementLeg) -> None:
    """Some that the customer has given up, as agreed, and that are still owed to the vendor."""
    fewer = [ask.start for ask in thread.asked if ask.action == "decrease" and ask.addition_id == addition.id]
    if not fewer or any((found.code, found.actual_leg) == ("quantity", "purchase") for found in look.found):
        return
    since = max(fewer)
    owed = [(line, until) for line in thread.purchases if (until := _bound_until(look.quote, line)) and until >= since]
    bought, billed = sum((line.quantity for line, _ in owed), ZERO), addition.quantity
    if not owed or bought <= billed or look.tolerance("quantity", owed[-1][0].vendor_id).covers(billed, bought):
        return
    line, until = owed[-1]
    days = (until - max(since, line.start or since)).days + 1
    cost = for_days((bought - billed) * line.unit_cost, line.billing_cycle or line.term, days)
    expected, actual = said.number(billed), said.number(bought)
    text = (
        f"{look.quote.product} of {look.quote.label} is billed for {expected} from {said.day(since)} on;"
        f" {line.label} buys {actual} until {said.day(until)}."
    )
    look.add("quantity", "purchase", line.label, expected, actual, text, (ZERO, cost), line.id, "agreement")


def _billing_ends(thread: QuoteThread) -> date | None:
    """The last day on which the line is billed; none while that is open.

    More of what runs ends when a quote cancels that; with its agreement it may go on in a successor.
    """
    is_cancelled = any(ask.action in ("cancel", "decrease") for ask in thread.asked)
    if thread.quote.action == "increase" and not is_cancelled:
        return None
    if thread.agreements:
        ends = [line.ends for line in thread.agreements]
        return None if None in ends else max(day for day in ends if day is not None)
    return thread.changed.cancelled if thread.changed and is_cancelled else None


def _bound_until(quote: QuoteLeg, line: PurchaseLeg) -> date | None:
    """The last day that is owed to the vendor. What is bought by the month goes on, and ends, with any month."""
    if line.term and per_month(line.term) >= 1 and line.end is None:
        return None
    return bought_until(quote, line)
