"""The match of a quoted line with what descends from it: agreement or sales order, purchase order, invoice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Final, NamedTuple

from counterfoil.core.calendar import Cycle
from counterfoil.core.matching import said
from counterfoil.core.matching.catalogue import what_to_do
from counterfoil.core.matching.dollars import (
    for_days,
    for_months,
    in_cycle,
    months_of,
    over_time,
    quoted_cycle,
    quoted_months,
)
from counterfoil.core.matching.legs import (
    GOODS,
    LEGS,
    AgreementLeg,
    ChangeLeg,
    Difference,
    InvoiceLeg,
    OrderLeg,
    PurchaseLeg,
    QuoteLeg,
    QuoteThread,
)
from counterfoil.core.matching.tolerance import Measure, Tolerance, Tolerances
from counterfoil.core.money import ZERO, round_money

_NOTHING: Final = Decimal(0)
_DAY: Final = timedelta(days=1)
#: A period is missing on invoices when it has been due for so many days.
OVERDUE_DAYS: Final = 35


class _Step(NamedTuple):
    """What is billed from a day on, and whether a quote says so."""

    since: date
    quantity: Decimal
    unit_price: Decimal
    leg: str


class _Look:
    """One look at a thread: what differs is collected here."""

    __slots__ = ("found", "quote", "tolerances")

    def __init__(self, quote: QuoteLeg, tolerances: Tolerances) -> None:
        self.quote, self.tolerances = quote, tolerances
        self.found: list[Difference] = []

    def tolerance(self, measure: Measure, vendor_id: int | None = None) -> Tolerance:
        return self.tolerances.of(measure, vendor_id, self.quote.category_id, self.quote.company_id)

    def add(
        self,
        code: str,
        leg: str,
        where: str,
        expected: str,
        actual: str,
        message: str,
        dollars: tuple[Decimal, Decimal] = (ZERO, ZERO),
        line_id: int | None = None,
        expected_leg: str = "quote",
    ) -> None:
        self.found.append(
            Difference(
                code, expected_leg, leg, expected, actual, message, what_to_do(code, where), *dollars, line_id=line_id
            )
        )


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
    look = _Look(quote, tolerances)
    if quote.action != "new":
        _quoted_changes(look, thread)
    elif thread.agreements:
        _agreements(look, thread)
    if thread.orders:
        _orders(look, thread.orders)
    if thread.purchases:
        _purchases(look, thread)
    if thread.invoices:
        _invoices(look, thread)
    _missing(look, thread, on)
    if quote.currency != currency and (thread.agreements or thread.orders or thread.purchases or thread.invoices):
        text = f"“{quote.product}” was quoted in {quote.currency}; everything after it is in {currency}."
        look.add("currency", _first_leg(thread), "the quote", quote.currency, currency, text)
    if thread.shipped_serials and thread.received_serials and not thread.shipped_serials <= thread.received_serials:
        _serials(look, thread)
    return tuple(look.found)


def _first_leg(thread: QuoteThread) -> str:
    if thread.agreements:
        return "agreement"
    return "order" if thread.orders else "purchase" if thread.purchases else "invoice"


# -- what both the agreement and the order are held against ------------------------------------------------------------


def _product(look: _Look, leg: str, line: AgreementLeg | OrderLeg | InvoiceLeg) -> None:
    quote = look.quote
    if line.product_id != quote.product_id and line.product_id is not None:
        text = f"{quote.label} quotes {quote.product}; {line.label} has {line.product}."
        look.add("product", leg, line.label, quote.product, line.product, text, line_id=line.id)


def _quantity(
    look: _Look, leg: str, label: str, line_id: int | None, expected: Decimal, actual: Decimal, of: str = "quote"
) -> None:
    """Fewer on a billed leg are not billed; more are billed beside the quote."""
    if actual == expected or look.tolerance("quantity").covers(expected, actual):
        return
    quote = look.quote
    text = f"{_source(look, of)} {said.number(expected)} {quote.product}; {label} bills {said.number(actual)}."
    dollars = over_time((expected - actual) * quote.unit_price, quote)
    look.add("quantity", leg, label, said.number(expected), said.number(actual), text, dollars, line_id, of)


def _price(
    look: _Look,
    leg: str,
    label: str,
    line_id: int | None,
    quantity: Decimal,
    expected: Decimal,
    actual: Decimal,
    cycle: str,
    of: str = "quote",
) -> None:
    """``actual`` is for one ``cycle``; it is held against ``expected`` for the quoted one."""
    if actual == expected and (not cycle or cycle == look.quote.billing_cycle):
        return
    quote = look.quote
    here = in_cycle(actual, cycle, quoted_cycle(quote))
    if here == expected or look.tolerance("unit_price").covers(expected, here, quantity):
        return
    text = f"{_source(look, of)} {quote.product} at {said.price(expected)}; {label} bills {said.price(here)}."
    dollars = over_time((expected - here) * quantity, quote)
    look.add("unit_price", leg, label, said.price(expected), said.price(here), text, dollars, line_id, of)


def _source(look: _Look, leg: str) -> str:
    return f"{look.quote.label} quotes" if leg == "quote" else f"The {LEGS[leg].lower()} has"


def _start(look: _Look, leg: str, label: str, line_id: int, actual: date | None) -> None:
    """A billed leg that begins later than quoted is not billed for the days between."""
    quote = look.quote
    if quote.start is None or actual is None or actual == quote.start or _days_match(look, quote.start, actual):
        return
    text = f"{quote.label} begins on {said.day(quote.start)}; {label} on {said.day(actual)}."
    amount = for_days(quote.unit_price * quote.quantity, quoted_cycle(quote), (actual - quote.start).days)
    look.add(
        "start_date", leg, label, said.day(quote.start), said.day(actual), text, (ZERO, amount), line_id
    )  # fmt: skip


def _days_match(look: _Look, expected: date, actual: date, vendor_id: int | None = None) -> bool:
    # A percentage of a date means nothing: of days, only the amount counts.
    tolerance = look.tolerance("days", vendor_id)
    return abs((actual - expected).days) <= (tolerance.amount or _NOTHING)


# -- agreement ---------------------------------------------------------------------------------------------------------


def _agreements(look: _Look, thread: QuoteThread) -> None:
    first, *others = thread.agreements
    for other in others:
        if other.active and first.active and _overlap(first, other):
            text = f"{other.label} has {other.product} of {look.quote.label} once more, beside {first.label}."
            look.add("duplicate", "agreement", other.label, first.label, other.label, text, line_id=other.id)
    line = first
    _product(look, "agreement", line)
    quantity, unit_price = _as_added(look.quote, line, thread.changes)
    if not look.quote.is_usage:
        _quantity(look, "agreement", line.label, line.id, look.quote.quantity, quantity)
    _price(
        look, "agreement", line.label, line.id, quantity, look.quote.unit_price, unit_price, line.billing_cycle
    )  # fmt: skip
    _frequency(look, "agreement", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)
    if not any(change.origin_id for change in thread.changes):  # a renewal has its own term and end
        _agreement_term(look, line)
    _start(look, "agreement", line.label, line.id, line.start)
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


def _agreement_term(look: _Look, line: AgreementLeg) -> None:
    quote = look.quote
    if line.term and line.term != quote.term and not _same_length(line.term, quote):
        expected, actual = said.term(_term_code(quote)), said.term(line.term)
        text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} has {actual}."
        look.add("term", "agreement", line.label, expected, actual, text, line_id=line.id)
    if quote.align_to and line.ends:
        _agreement_end(look, line, quote.align_to - _DAY, line.ends)


def _frequency(
    look: _Look, leg: str, label: str, line_id: int, cycle: str, unit_price: Decimal, quantity: Decimal
) -> None:
    quote = look.quote
    wanted = quoted_cycle(quote)
    if not wanted or not cycle or cycle == wanted or months_of(cycle) == months_of(wanted):
        return
    expected, actual = said.frequency(quote.term, quote.billing_cycle), said.frequency("", cycle)
    first_bill = quote.quantity * quote.unit_price - quantity * unit_price
    text = f"{quote.label} quotes {_in_words(quote)}; {label} bills {actual}."
    look.add(
        "billing_frequency", leg, label, expected, actual, text, (ZERO, round_money(first_bill)), line_id
    )  # fmt: skip


def _in_words(quote: QuoteLeg) -> str:
    term = f"{said.term(quote.term)} " if quote.term else ""
    return f"{quote.product} {term}{said.frequency(quote.term, quote.billing_cycle)}"


def _term_code(quote: QuoteLeg) -> str:
    if quote.term or not (quote.cycles and quote.billing_cycle):
        return quote.term
    cycle = Cycle.parse(quote.billing_cycle)
    return f"{cycle.unit}:{cycle.count * quote.cycles}"


def _same_length(term: str, quote: QuoteLeg) -> bool:
    """Whether a term is as long as what the customer is committed to; without commitment, as long as one cycle."""
    months = quoted_months(quote)
    if months is None and quote.billing_cycle:
        months = months_of(quote.billing_cycle)
    return months_of(term) == months


def _agreement_end(look: _Look, line: AgreementLeg, expected: date, actual: date) -> None:
    if actual == expected or _days_match(look, expected, actual):
        return
    quote = look.quote
    text = f"{quote.label} ends on {said.day(expected)}; {line.label} on {said.day(actual)}."
    amount = for_days(quote.unit_price * quote.quantity, quoted_cycle(quote), (expected - actual).days)
    look.add("end_date", "agreement", line.label, said.day(expected), said.day(actual), text, (ZERO, amount), line.id)


def _changes_by_hand(look: _Look, line: AgreementLeg, changes: Sequence[ChangeLeg]) -> None:
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


def _quoted_changes(look: _Look, thread: QuoteThread) -> None:
    """A line of a change quote: the change that it made, or the addition that renews."""
    quote = look.quote
    for line in thread.agreements:
        _product(look, "agreement", line)
        _quantity(look, "agreement", line.label, line.id, quote.quantity, _as_added(quote, line, thread.changes)[0])
    for change in thread.quoted_changes:
        if quote.action == "renew":
            made = change.quantity
        elif change.before is None:
            continue
        else:
            made = abs(change.quantity - change.before)
        _quantity(look, "agreement", change.label, change.addition_id, quote.quantity, made)
        if quote.action in ("increase", "renew") and not quote.has_price_model:
            _price(
                look, "agreement", change.label, change.addition_id, quote.quantity, quote.unit_price,
                change.unit_price, "",
            )  # fmt: skip
        _start(look, "agreement", change.label, change.addition_id, change.start)


# -- sales order -------------------------------------------------------------------------------------------------------


def _orders(look: _Look, orders: Sequence[OrderLeg]) -> None:
    quote, first = look.quote, orders[0]
    if len(orders) > 1:
        if all(line.quantity == quote.quantity for line in orders):
            for other in orders[1:]:
                text = f"{other.label} has {other.product} of {quote.label} once more, beside {first.label}."
                look.add("duplicate", "order", other.label, first.label, other.label, text, line_id=other.id)
        else:
            _quantity(
                look, "order", orders[-1].label, orders[-1].id, quote.quantity,
                sum((line.quantity for line in orders), _NOTHING),
            )  # fmt: skip
    else:
        _quantity(look, "order", first.label, first.id, quote.quantity, first.quantity)
    for line in orders:
        _product(look, "order", line)
        _price(look, "order", line.label, line.id, line.quantity, quote.unit_price, line.unit_price, "")
        if line.term and line.term != quote.term and not _same_length(line.term, quote):
            expected, actual = said.term(_term_code(quote)), said.term(line.term)
            text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} has {actual}."
            look.add("term", "order", line.label, expected, actual, text, line_id=line.id)
        _frequency(look, "order", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)
        if line.term or line.billing_cycle:
            _start(look, "order", line.label, line.id, line.start)


# -- purchase order ----------------------------------------------------------------------------------------------------


def _purchases(look: _Look, thread: QuoteThread) -> None:
    if not look.quote.is_usage:
        _bought(look, thread)
    since = {change.start for change in thread.changes}
    for line in thread.purchases:
        # What was added since begins on its own day, and ends with what is there.
        is_later = line.start in since and line.start != look.quote.start
        _bought_line(look, line, is_later)


def _bought(look: _Look, thread: QuoteThread) -> None:
    """How much was bought, against what was quoted and what was changed by hand since."""
    quote, lines = look.quote, thread.purchases
    total = lines[0].quantity if len(lines) == 1 else sum((line.quantity for line in lines), _NOTHING)
    if total == quote.quantity and len(thread.changes) < 2:
        return
    low, high = _wanted(quote, thread.changes)
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


def _wanted(quote: QuoteLeg, changes: Sequence[ChangeLeg]) -> tuple[Decimal, Decimal]:
    """The least and the most that may have been bought: as quoted, and as it was changed since.

    More by a change quote is bought on that quote's thread; fewer may have been bought before.
    """
    high = quantity = quote.quantity
    taken = _NOTHING
    for before, change in pairwise(changes):
        more = change.quantity - before.quantity
        if change.addition_id != before.addition_id:
            continue
        if change.origin_id is None:
            quantity += more
            high = max(high, quantity)
        elif more < 0:
            taken -= more
    return quantity - taken, high


def _cost_over_time(quote: QuoteLeg, line: PurchaseLeg, cost: Decimal) -> tuple[Decimal, Decimal]:
    """A cost for each of the purchase's cycles, over the quoted term."""
    return over_time(in_cycle(cost, _paid_every(line), quoted_cycle(quote)), quote)


def _paid_every(line: PurchaseLeg) -> str:
    return line.billing_cycle or line.term


def _bought_line(look: _Look, line: PurchaseLeg, is_later: bool) -> None:
    quote = look.quote
    if line.product_id != quote.product_id:
        text = f"{quote.label} quotes {quote.product}; {line.label} buys {line.product}."
        dollars = _cost_over_time(quote, line, line.quantity * line.unit_cost)
        look.add("product", "purchase", line.label, quote.product, line.product, text, dollars, line.id)
    if quote.unit_cost and (line.unit_cost != quote.unit_cost or line.billing_cycle != quote.billing_cycle):
        _cost(look, line)  # what was quoted without a cost has none to be held against
    if quote.term or line.term or line.billing_cycle:
        _bought_term(look, line, is_later)


def _cost(look: _Look, line: PurchaseLeg) -> None:
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


def _bought_term(look: _Look, line: PurchaseLeg, is_later: bool) -> None:
    quote = look.quote
    term_differs = _term_of_purchase(look, line)
    wanted, paid = quoted_cycle(quote), _paid_every(line)
    both_prepaid = _is_prepaid(quote.term, quote.billing_cycle) and _is_prepaid(line.term, line.billing_cycle)
    if wanted and paid and not both_prepaid and months_of(paid) != months_of(wanted):
        expected = said.frequency(quote.term, quote.billing_cycle)
        actual = said.frequency(line.term, line.billing_cycle)
        text = f"{quote.label} quotes {_in_words(quote)}; {line.label} is billed {actual}."
        earlier = line.quantity * line.unit_cost - quote.quantity * quote.unit_cost
        dollars = ZERO, round_money(earlier)
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


def _is_prepaid(term: str, cycle: str) -> bool:
    return bool(term) and cycle in ("", term)


def _term_of_purchase(look: _Look, line: PurchaseLeg) -> bool:
    """What is bought for another time than it is sold: owed beyond the sale, or to be bought again."""
    quote = look.quote
    if line.term == quote.term:
        return False
    if line.term and _same_length(line.term, quote):
        return False
    if not line.term and quoted_months(quote) is None:
        return False  # neither side is committed
    expected, actual = said.term(_term_code(quote)), said.term(line.term)
    sold = quoted_months(quote) or (months_of(quote.billing_cycle) if quote.billing_cycle else Fraction(0))
    bought = months_of(line.term) if line.term else Fraction(0)
    cycle = _paid_every(line)
    exposure = for_months(line.quantity * line.unit_cost, cycle, abs(bought - sold)) if cycle else ZERO
    what = "owed beyond what is sold" if bought > sold else "still to be bought, at a cost nobody has promised"
    text = f"{quote.label} quotes {quote.product} for {expected}; {line.label} buys {actual}: the rest is {what}."
    look.add("term", "purchase", line.label, expected, actual, text, (ZERO, exposure), line.id)
    return True


def _start_of_purchase(look: _Look, line: PurchaseLeg, expected: date, actual: date) -> bool:
    if _days_match(look, expected, actual, line.vendor_id):
        return False
    quote = look.quote
    text = f"{quote.label} begins on {said.day(expected)}; {line.label} on {said.day(actual)}."
    amount = for_days(line.quantity * line.unit_cost, _paid_every(line), (expected - actual).days)
    look.add(
        "start_date", "purchase", line.label, said.day(expected), said.day(actual), text, (ZERO, amount), line.id
    )  # fmt: skip
    return True


def _end_of_purchase(look: _Look, line: PurchaseLeg) -> None:
    """A co-termed line ends with another's term on both sides; where a side does not say so, its term does."""
    quote = look.quote
    expected = quote.align_to - _DAY if quote.align_to else _natural_end(quote.start or line.start, quote.term)
    actual = line.end or _natural_end(line.start or quote.start, line.term)
    if expected == actual or expected is None or actual is None:
        return
    if _days_match(look, expected, actual, line.vendor_id):
        return
    text = f"{quote.label} ends on {said.day(expected)}; {line.label} on {said.day(actual)}."
    amount = for_days(line.quantity * line.unit_cost, _paid_every(line), abs((actual - expected).days))
    look.add(
        "end_date", "purchase", line.label, said.day(expected), said.day(actual), text, (ZERO, amount), line.id
    )  # fmt: skip


def _natural_end(start: date | None, term: str) -> date | None:
    return Cycle.parse(term).after(start, 1) - _DAY if start and term else None


# -- invoice -----------------------------------------------------------------------------------------------------------


def _invoices(look: _Look, thread: QuoteThread) -> None:
    steps = {line.id: _steps(look.quote, line, thread.changes) for line in thread.agreements}
    cycles = {line.id: line.billing_cycle for line in thread.agreements}
    orders = {line.id: line for line in thread.orders}
    # What the agreement or order has otherwise already is said there.
    if not any(found.code == "product" and found.actual_leg != "purchase" for found in look.found):
        for line in thread.invoices:
            _product(look, "invoice", line)
    seen: Counter[tuple[object, ...]] = Counter()
    billed: dict[int, list[InvoiceLeg]] = {}
    for line in thread.invoices:
        if line.addition_id in steps:
            _agreement_line(look, line, steps[line.addition_id], cycles[line.addition_id])
            same = (line.addition_id, line.period_start, line.service_start, line.quantity, line.unit_price)
            seen[same] += 1
            if line.regular and seen[same] == 2:
                _billed_twice(look, line)
        elif line.order_line_id in orders:
            billed.setdefault(line.order_line_id, []).append(line)
        elif not line.addition_id and not line.order_line_id:
            _hand_made(look, line)
    for pk, lines in billed.items():
        _order_lines(look, orders[pk], lines)


def _steps(quote: QuoteLeg, line: AgreementLeg, changes: Sequence[ChangeLeg]) -> list[_Step]:
    """What the addition bills, from which day on. What is as quoted is said to be so."""
    free = line.billing_option != "Billable"
    steps = [
        _Step(
            change.start,
            change.quantity - change.less_included,
            _NOTHING if free else change.unit_price,
            "agreement",
        )
        for change in changes
        if change.addition_id == line.id
    ]
    if not steps:
        price = _NOTHING if free else line.unit_price
        leg = "quote" if (price, line.quantity) == (quote.unit_price, quote.quantity) else "agreement"
        steps = [_Step(line.start, line.quantity - line.less_included, price, leg)]
    return steps


def _agreement_line(look: _Look, line: InvoiceLeg, steps: Sequence[_Step], cycle: str) -> None:
    """A line of an agreement's invoice against what the agreement had at the time; parts of periods are prorated."""
    if not (line.regular and line.whole):
        return
    step = steps[0]
    for later in steps[1:]:
        if line.service_start is not None and later.since <= line.service_start:
            step = later
    expected = in_cycle(step.unit_price, cycle, quoted_cycle(look.quote))
    if line.unit_price != step.unit_price:
        _price(
            look, "invoice", line.label, line.id, line.quantity, expected, line.unit_price, line.billing_cycle or cycle,
            step.leg,
        )  # fmt: skip
    if not look.quote.is_usage and line.quantity != step.quantity:
        _quantity(look, "invoice", line.label, line.id, step.quantity, line.quantity, step.leg)
    if line.billing_cycle and line.billing_cycle != cycle:
        _frequency(look, "invoice", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)


def _billed_twice(look: _Look, line: InvoiceLeg) -> None:
    period = said.day(line.period_start)
    text = f"{line.label} bills {line.product} of {look.quote.label} for the period from {period} once more."
    look.add("duplicate", "invoice", line.label, period, period, text, line_id=line.id)


def _order_lines(look: _Look, order: OrderLeg, lines: Sequence[InvoiceLeg]) -> None:
    total = sum((line.quantity for line in lines), _NOTHING)
    if total > order.quantity:
        _quantity(look, "invoice", lines[-1].label, lines[-1].id, order.quantity, total, "order")
    for line in lines:
        if line.unit_price != order.unit_price:
            _price(
                look, "invoice", line.label, line.id, line.quantity, order.unit_price, line.unit_price, "", "order"
            )  # fmt: skip


def _hand_made(look: _Look, line: InvoiceLeg) -> None:
    """A line that names the quoted one without agreement or order between them."""
    quote = look.quote
    if not line.regular:
        return
    _price(look, "invoice", line.label, line.id, line.quantity, quote.unit_price, line.unit_price, line.billing_cycle)
    if line.quantity != quote.quantity and not quote.is_usage:
        _quantity(look, "invoice", line.label, line.id, quote.quantity, line.quantity)
    _frequency(look, "invoice", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)


# -- what is missing ---------------------------------------------------------------------------------------------------


def _missing(look: _Look, thread: QuoteThread, on: date) -> None:
    quote = look.quote
    worth = over_time(quote.unit_price * quote.quantity, quote)
    if quote.product_class == "Bundle":
        return  # its components are what is sold
    if quote.converted == "agreement" and not (thread.agreements or thread.quoted_changes):
        if quote.action in ("new", "renew"):
            text = f"{quote.product} of {quote.label} was converted to an agreement, but no addition bills it."
            look.add("missing_agreement", "agreement", quote.label, "an addition", "none", text, worth)
    elif quote.converted == "sales_order" and not thread.orders:
        text = f"{quote.product} of {quote.label} was converted to a sales order, but stands on none."
        look.add("missing_order", "order", quote.label, "a sales order line", "none", text, worth)
    if thread.invoices and not thread.purchases:
        _never_bought(look, thread)
    elif thread.purchases and not thread.invoices:
        _never_billed(look, thread, on)


def _never_bought(look: _Look, thread: QuoteThread) -> None:
    quote = look.quote
    wanted = any(line.purchase_item for line in thread.agreements)
    if not wanted or not quote.unit_cost:
        return
    label = thread.invoices[0].label
    text = f"{label} bills {quote.product} of {quote.label}, which was never ordered from a vendor."
    dollars = over_time(quote.unit_cost * quote.quantity, quote)
    look.add("missing_purchase", "purchase", label, "a purchase order", "none", text, dollars)


def _never_billed(look: _Look, thread: QuoteThread, on: date) -> None:
    """Bought and sent, and its first period has been due for weeks."""
    quote = look.quote
    if not quote.unit_price or all(line.status == "draft" for line in thread.purchases):
        return
    due = [
        (Cycle.parse(line.billing_cycle).after(line.start, 1) if line.in_arrears else line.start, line)
        for line in thread.agreements
        if line.active and line.billing_option == "Billable" and line.unit_price
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


_MOST_PERIODS: Final = 600


def _serials(look: _Look, thread: QuoteThread) -> None:
    other = sorted(thread.shipped_serials - thread.received_serials)
    if look.quote.product_class not in GOODS:
        return
    expected, actual = ", ".join(sorted(thread.received_serials)), ", ".join(other)
    text = f"Shipped for {look.quote.label} is {actual}; received for it is {expected}."
    look.add("serials", "shipment", "the shipment", expected, actual, text, expected_leg="receipt")
