"""The match of a quoted line with what descends from it: agreement or sales order, purchase order, invoice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from counterfoil.core.calendar import Cycle
from counterfoil.core.matching import said
from counterfoil.core.matching.billed import match_invoices
from counterfoil.core.matching.bought import match_purchases
from counterfoil.core.matching.changed import match_change
from counterfoil.core.matching.dollars import for_months, months_of, over_time, per_month
from counterfoil.core.matching.lasting import match_lasting
from counterfoil.core.matching.legs import GOODS, AgreementLeg, Difference, Leg, QuoteThread, leg_of
from counterfoil.core.matching.look import Look
from counterfoil.core.matching.sold import match_agreements, match_orders
from counterfoil.core.matching.tolerance import Tolerances

#: A period is missing on invoices when it has been due for so many days.
OVERDUE_DAYS: Final = 35
_MOST_PERIODS: Final = 600
_DAY: Final = timedelta(days=1)


def match_quote_thread(
    thread: QuoteThread, tolerances: Tolerances, *, on: date, currency: str = "USD"
) -> tuple[Difference, ...]:
    """Everything that differs between a quoted line and what descends from it; nothing where all is as quoted.

    Costs and prices of other billing cycles are compared for the quoted cycle, so that a wrong frequency alone is not a
    wrong price as well. What an invoice takes over from an agreement that differs already is said once, of the
    agreement.

    Args:
        thread: the legs, alive: no cancelled purchase orders and sales orders, no reversed invoices.
        tolerances: how far costs, prices, quantities and days may be off.
        on: today, for what is overdue.
        currency: of the books.
    """
    quote = thread.quote
    look = Look(quote, tolerances)
    if len(thread.agreements) > 1:
        thread = _without_what_never_ran(thread)
    if thread.agreements:
        match_agreements(look, thread)
    elif thread.changed:
        match_change(look, thread, thread.changed)
    if thread.orders:
        match_orders(look, thread.orders)
    if thread.purchases:
        match_purchases(look, thread)
    if thread.invoices:
        match_invoices(look, thread)
    match_lasting(look, thread)
    _missing(look, thread, on)
    if quote.currency != currency:
        _currency(look, thread, currency)
    if thread.shipped_serials and thread.received_serials and not thread.shipped_serials <= thread.received_serials:
        _serials(look, thread)
    return tuple(look.found)


def _without_what_never_ran(thread: QuoteThread) -> QuoteThread:
    """What was cancelled from its first day on says nothing beside what replaced it."""
    ran = tuple(line for line in thread.agreements if _is_in_force(line))
    if len(ran) in (0, len(thread.agreements)):
        return thread
    ids = {line.id for line in ran}
    return replace(thread, agreements=ran, changes=tuple(each for each in thread.changes if each.addition_id in ids))


def _is_in_force(line: AgreementLeg) -> bool:
    return line.ends is None or line.ends >= line.start


def _currency(look: Look, thread: QuoteThread, currency: str) -> None:
    """Said of the first leg that is billed, and of what is bought: each is held by its own."""
    quote = look.quote
    billed: tuple[Leg, ...] = thread.agreements[:1] or thread.orders[:1] or thread.invoices[:1]
    text = f"“{quote.product}” was quoted in {quote.currency}; everything after it is in {currency}."
    for line in (*billed, *thread.purchases):
        look.add("currency", leg_of(line), "the quote", quote.currency, currency, text, line_id=line.id)


def _missing(look: Look, thread: QuoteThread, on: date) -> None:
    quote = look.quote
    worth = over_time(quote.unit_price * quote.quantity, quote)
    if quote.product_class == "Bundle":
        return  # its components are what is sold
    if quote.converted == "agreement" and not thread.agreements:
        if quote.action == "new" or (quote.action == "renew" and _is_over(thread)):
            text = f"{quote.product} of {quote.label} was converted to an agreement, but no addition bills it."
            look.add("missing_agreement", "agreement", quote.label, "an addition", "none", text, worth)
    elif quote.converted == "sales_order" and not thread.orders:
        text = f"{quote.product} of {quote.label} was converted to a sales order, but stands on none."
        look.add("missing_order", "order", quote.label, "a sales order line", "none", text, worth)
    if thread.changed and not thread.purchases and quote.action == "renew" and quote.term and quote.unit_cost:
        _not_bought_anew(look, thread, thread.changed, on)
    elif thread.invoices and not thread.purchases:
        _never_bought(look, thread)
    elif thread.purchases and not thread.invoices:
        _never_billed(look, thread, on)


def _is_over(thread: QuoteThread) -> bool:
    """Whether what a line renews has ended, so that it goes on as another addition or not at all.

    What a quote has cancelled that was accepted afterwards is not to go on.
    """
    line = thread.changed
    own = next((n for n, ask in enumerate(thread.asked) if ask.id == thread.quote.id), None)
    if line is None or line.ends is None or own is None or line.ends >= thread.asked[own].start:
        return False
    since = line.ends + _DAY
    return not any(
        ask.action in ("cancel", "decrease") and max(ask.start, line.start) == since for ask in thread.asked[own:]
    )


def _never_bought(look: Look, thread: QuoteThread) -> None:
    quote = look.quote
    wanted = any(line.purchase_item for line in thread.agreements)
    if not wanted or not quote.unit_cost:
        return
    label = thread.invoices[0].label
    text = f"{label} bills {quote.product} of {quote.label}, which was never ordered from a vendor."
    dollars = over_time(quote.unit_cost * quote.quantity, quote)
    look.add("missing_purchase", "purchase", label, "a purchase order", "none", text, dollars)


def _not_bought_anew(look: Look, thread: QuoteThread, line: AgreementLeg, on: date) -> None:
    """Renewed, the new term has begun, and nobody has ordered it. From month to month what was bought goes on."""
    quote = look.quote
    own = next((ask for ask in thread.asked if ask.id == quote.id and not ask.apart), None)
    if own is None or own.start > on or not (line.purchase_item and line.active) or per_month(quote.term) >= 1:
        return
    if line.ends is not None and line.ends < own.start:
        return
    text = (
        f"{quote.label} renews {quote.product} from {said.day(own.start)} on, which was not ordered from a vendor anew."
    )
    dollars = over_time(quote.unit_cost * quote.quantity, quote)
    look.add("missing_purchase", "purchase", line.label, "a purchase order", "none", text, dollars)


def _never_billed(look: Look, thread: QuoteThread, on: date) -> None:
    """Bought and sent, and its first period has been due for weeks."""
    quote = look.quote
    if not quote.unit_price or all(line.status == "draft" for line in thread.purchases):
        return
    due = [
        (Cycle.parse(line.billing_cycle).after(line.start, 1) if line.in_arrears else line.start, line)
        for line in thread.agreements
        if line.active and line.billing_option == "Billable" and line.unit_price and _is_in_force(line)
    ]
    overdue = [(day, line) for day, line in due if (on - day).days > OVERDUE_DAYS]
    if not overdue:
        return
    day, line = overdue[0]
    monthly, _ = over_time(quote.unit_price * quote.quantity, quote)
    periods = 1
    while Cycle.parse(line.billing_cycle).after(day, periods) <= on and periods < _MOST_PERIODS:
        periods += 1
    unbilled = for_months(line.quantity * line.unit_price, line.billing_cycle, periods * months_of(line.billing_cycle))
    text = f"{quote.product} of {quote.label} is bought; {line.label} should have billed it since {said.day(day)}."
    look.add("missing_invoice", "invoice", line.label, said.day(day), "none", text, (monthly, unbilled))


def _serials(look: Look, thread: QuoteThread) -> None:
    other = sorted(thread.shipped_serials - thread.received_serials)
    if look.quote.product_class not in GOODS:
        return
    expected, actual = ", ".join(sorted(thread.received_serials)), ", ".join(other)
    text = f"Shipped for {look.quote.label} is {actual}; received for it is {expected}."
    look.add("serials", "shipment", "the shipment", expected, actual, text, expected_leg="receipt")
