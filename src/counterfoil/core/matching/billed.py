"""A quoted line against the invoices: each line against what agreement or order had at the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final, NamedTuple

from counterfoil.core.matching import said
from counterfoil.core.matching.dollars import in_cycle, quoted_cycle
from counterfoil.core.matching.legs import AgreementLeg, ChangeLeg, InvoiceLeg, OrderLeg, QuoteLeg, QuoteThread
from counterfoil.core.matching.look import Look, compare_frequency, compare_price, compare_product, compare_quantity
from counterfoil.core.money import ZERO, round_money

_NOTHING: Final = Decimal(0)
_DAY: Final = timedelta(days=1)


class _Step(NamedTuple):
    """What is billed from a day on, and whether a quote says so."""

    since: date
    quantity: Decimal
    unit_price: Decimal
    leg: str


def match_invoices(look: Look, thread: QuoteThread) -> None:
    """Compare what has been billed, in drafts and closed invoices."""
    steps = {line.id: _steps(look.quote, line, thread.changes) for line in thread.agreements}
    additions = {line.id: line for line in thread.agreements}
    orders = {line.id: line for line in thread.orders}
    # What the agreement or order has otherwise already is said there.
    if not any(found.code == "product" and found.actual_leg != "purchase" for found in look.found):
        for line in thread.invoices:
            compare_product(look, "invoice", line)
    seen: Counter[tuple[object, ...]] = Counter()
    billed: dict[int, list[InvoiceLeg]] = {}
    for line in thread.invoices:
        if line.addition_id in steps:
            addition = additions[line.addition_id]
            if not line.closed:  # billing catches up by itself on what has changed since it was closed
                _agreement_line(look, line, steps[line.addition_id], addition.billing_cycle)
                _service_days(look, line, addition)
            elif line.priced_by_hand and not _is_caught_up(line, thread.invoices):
                _agreement_price(look, line, steps[line.addition_id], addition.billing_cycle)
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


def _is_caught_up(line: InvoiceLeg, lines: Sequence[InvoiceLeg]) -> bool:
    """Whether billing has looked at its period again: it bills what is due then less all that was billed."""
    return any(
        not later.regular
        and later.id > line.id
        and (later.addition_id, later.period_start) == (line.addition_id, line.period_start)
        for later in lines
    )


def _agreement_price(look: Look, line: InvoiceLeg, steps: Sequence[_Step], cycle: str) -> _Step | None:
    """The price of an agreement's line against what it was then; parts of periods are prorated, and say nothing."""
    if not (line.regular and line.whole):
        return None
    step = steps[0]
    for later in steps[1:]:
        if line.service_start is not None and later.since <= line.service_start:
            step = later
    expected = in_cycle(step.unit_price, cycle, quoted_cycle(look.quote))
    if line.unit_price != step.unit_price:
        compare_price(
            look, "invoice", line.label, line.id, line.quantity, expected, line.unit_price, line.billing_cycle or cycle,
            step.leg,
        )  # fmt: skip
    return step


def _agreement_line(look: Look, line: InvoiceLeg, steps: Sequence[_Step], cycle: str) -> None:
    """A line of an agreement's invoice against what the agreement had at the time."""
    step = _agreement_price(look, line, steps, cycle)
    if step is None:
        return
    if not look.quote.is_usage and line.quantity != step.quantity:
        compare_quantity(look, "invoice", line.label, line.id, step.quantity, line.quantity, step.leg)
    if line.billing_cycle and line.billing_cycle != cycle:
        compare_frequency(look, "invoice", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)


def _service_days(look: Look, line: InvoiceLeg, addition: AgreementLeg) -> None:
    """A draft older than the addition's last day, or its first, bills days on which it does not run."""
    if not line.regular or line.service_start is None or line.service_end is None:
        return
    first, last = line.service_start, line.service_end - _DAY
    since, until = max(first, addition.start), min(last, addition.ends or last)
    if (since, until) == (first, last) or (addition.in_whole_periods and since <= until):
        return
    days = (line.service_end - first).days
    beside = days - max((until - since).days + 1, 0)
    runs = f"begins on {said.day(addition.start)}" if since > first else f"ends on {said.day(addition.ends)}"
    expected = f"{said.day(since)} to {said.day(until)}" if since <= until else "none"
    actual = f"{said.day(first)} to {said.day(last)}"
    text = f"{line.product} of {addition.label} {runs}; {line.label} bills it for {actual}."
    too_much = round_money(Fraction(line.quantity * line.unit_price) * beside / days)
    look.add(
        "service_days", "invoice", line.label, expected, actual, text, (ZERO, -too_much), line.id, "agreement"
    )  # fmt: skip


def _billed_twice(look: Look, line: InvoiceLeg) -> None:
    period = said.day(line.period_start)
    text = f"{line.label} bills {line.product} of {look.quote.label} for the period from {period} once more."
    look.add("duplicate", "invoice", line.label, period, period, text, line_id=line.id)


def _order_lines(look: Look, order: OrderLeg, lines: Sequence[InvoiceLeg]) -> None:
    total = sum((line.quantity for line in lines), _NOTHING)
    if total > order.quantity:
        compare_quantity(look, "invoice", lines[-1].label, lines[-1].id, order.quantity, total, "order")
    for line in lines:
        if line.unit_price != order.unit_price:
            compare_price(
                look, "invoice", line.label, line.id, line.quantity, order.unit_price, line.unit_price, "", "order"
            )  # fmt: skip


def _hand_made(look: Look, line: InvoiceLeg) -> None:
    """A line that names the quoted one without agreement or order between them."""
    quote = look.quote
    if not line.regular:
        return
    if line.unit_price != quote.unit_price:
        compare_price(
            look, "invoice", line.label, line.id, line.quantity, quote.unit_price, line.unit_price, line.billing_cycle
        )  # fmt: skip
    if line.quantity != quote.quantity and not quote.is_usage:
        compare_quantity(look, "invoice", line.label, line.id, quote.quantity, line.quantity)
    compare_frequency(look, "invoice", line.label, line.id, line.billing_cycle, line.unit_price, line.quantity)
