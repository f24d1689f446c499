"""Recurring billing: what an agreement should have billed, less what it has booked, is its next bill.

For every charge (the billing amount, each addition) and every period of the agreement's grid there is one desired
amount, derived from the dated history of the charge. What invoices and credit memos carry for that charge and period is
subtracted. Back-dated additions, changes of quantity or price, cancellations, in advance or in arrears are then one
rule; running twice adds nothing; and a preview is the same call.

The desired amount of a charge and period is rounded once, from the exact sum over its stretches, and shared out to the
lines by largest remainder: in which order runs are made never changes a cent.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import count, pairwise
from typing import Final, NamedTuple

from counterfoil.core.bills import TEXT_LENGTH, amount_text, check_bounds, days_text, present, price_text, quantity_text
from counterfoil.core.calendar import Period, billing_period, format_date, months_between, whole_period
from counterfoil.core.charges import (
    Bill,
    BilledItem,
    BillKind,
    Booked,
    Changes,
    Charge,
    Credits,
    OneOff,
    Step,
    Terms,
    Timing,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, extend, multiply, round_money, round_to, settle, sum_money
from counterfoil.core.proration import WHOLE, ProrationMethod, Share, prorate

__all__ = [
    "Bill",
    "BillKind",
    "BilledItem",
    "Booked",
    "Changes",
    "Charge",
    "Credits",
    "OneOff",
    "Step",
    "Terms",
    "Timing",
    "bills_due",
    "check_bounds",
    "next_due",
    "present",
]

_DAY: Final = timedelta(days=1)


# -- the bills ---------------------------------------------------------------------------------------------------------


def bills_due(
    terms: Terms,
    charges: Sequence[Charge],
    one_offs: Sequence[OneOff] = (),
    booked: Iterable[Booked] = (),
    *,
    through: date,
    billed: Collection[date] = (),
    cancelled: Collection[date] = (),
    first: int = 0,
    changed_from: date | None = None,
) -> list[Bill]:
    """The bills that fall due on or before ``through`` (WE-19), oldest first: desired minus booked.

    Every period that is due and not yet billed has its bill, if there is anything on it. Differences of periods billed
    before ride on the first bill made; with none, they make an adjustment or a credit memo where changes are billed
    immediately, where the latest period due has come up empty, and where no further period will come; else they wait.
    What is to be given back makes a credit memo at once with ``credits="credit_memo"``, and where it is more than the
    bill it would ride on.

    Args:
        terms: how the agreement is billed.
        charges: what it bills, in the order of the lines.
        one_offs: amounts billed once.
        booked: what is booked for these charges and one-offs; other keys are left alone.
        through: the last due date.
        billed: first days of the periods that have their invoice.
        cancelled: first days of the periods that were written off: nothing is desired for them, and no bill made.
        first: the grid's period from which on to look: those before are settled, as is what is booked for them.
        changed_from: the first day on which something has changed since the last run: billed periods that end before
            it are settled. Without it every billed period is compared.

    Raises:
        DomainError: ``conflict`` when something is booked for a period that is not on the grid.
    """
    ledger = _Ledger(booked)
    horizon = max((through, *billed, *ledger.starts))
    due: list[tuple[_Slot, list[BilledItem]]] = []
    differences: list[BilledItem] = []
    latest_is_unbilled = comes_later = False
    for slot in _slots(terms, cancelled, first):
        if slot.period.start > horizon:
            comes_later = comes_later or slot.exists
            break
        is_due = slot.is_covered and slot.due <= through
        is_billed = slot.period.start in billed
        if is_billed or not slot.is_covered:
            is_settled = changed_from is not None and slot.period.end <= changed_from
            if not is_settled and (slot.is_covered or ledger.rows):
                differences += _all_differences(terms, charges, slot, ledger)
        elif is_due:
            items, late = _period_items(terms, charges, slot, ledger)
            due.append((slot, items))
            differences += late
        else:
            comes_later = True
        if is_due:
            latest_is_unbilled = not is_billed
        ledger.visit(slot)
    ledger.refuse_strays(charges, terms, first)

    loose: list[BilledItem] = []
    for one_off in one_offs:
        if one_off.on > through:
            continue
        if rows := ledger.of_key(one_off.key):
            differences += _one_off_difference(terms, one_off, rows)
        else:
            target = next((items for slot, items in due if slot.due >= one_off.on), loose)
            target.append(_one_off_item(one_off))

    last_bill = terms.one_time or not comes_later
    return _assemble(terms, charges, due, differences, loose, at_once=last_bill, came_empty=latest_is_unbilled)


def _assemble(
    terms: Terms,
    charges: Sequence[Charge],
    due: Sequence[tuple[_Slot, list[BilledItem]]],
    differences: list[BilledItem],
    loose: list[BilledItem],
    *,
    at_once: bool,
    came_empty: bool,
) -> list[Bill]:
    """Put differences where they belong: on the first bill, on one of their own, on a credit memo, or nowhere yet."""
    given_back: list[BilledItem] = []
    if terms.credits == "credit_memo" and differences:
        given_back = [item for item in differences if item.is_credit]
        differences = [item for item in differences if not item.is_credit]
    at_once = at_once or terms.changes == "immediately"
    made = [(slot, items) for slot, items in due if items]
    if differences and made and sum_money(item.amount for item in [*differences, *made[0][1]]) < 0:
        given_back += [item for item in differences if item.is_credit]
        differences = [item for item in differences if not item.is_credit]
    bills = [Bill("period", slot.billed_period, tuple(items)) for slot, items in made]
    rest = list(loose) if at_once else []
    if differences and made:
        bills[0] = Bill("period", bills[0].period, _in_order(charges, differences, made[0][1]))
    elif differences and (at_once or came_empty):
        rest = [*differences, *rest]
    if rest:
        net = sum_money(item.amount for item in rest)
        bills.append(Bill("credit_memo" if net < 0 else "adjustment", None, _in_order(charges, rest, ())))
    if given_back:
        bills.append(Bill("credit_memo", None, _in_order(charges, given_back, ())))
    return bills


def _in_order(
    charges: Sequence[Charge], differences: Sequence[BilledItem], items: Sequence[BilledItem]
) -> tuple[BilledItem, ...]:
    """By charge; of each the differences of earlier periods first."""
    place = {charge.key: index for index, charge in enumerate(charges)}
    return tuple(sorted([*differences, *items], key=lambda item: place.get(item.key, len(place))))


def next_due(terms: Terms, n: int) -> date | None:
    """The day the n-th period falls due: its first day in advance, its last in arrears; None after the last period."""
    slot = _slot(terms, n)
    return slot.due if slot.exists else None


# -- the grid and the books --------------------------------------------------------------------------------------------


class _Slot(NamedTuple):
    """A period of the grid: ``whole`` is what a proration divides by, ``end`` the first day no longer billed in it."""

    n: int
    period: Period
    whole: Period
    end: date
    due: date
    exists: bool
    is_covered: bool
    label: str

    @property
    def billed_period(self) -> Period:
        """The period, cut at the agreement's last day."""
        return self.period if self.end == self.period.end else Period(self.period.start, self.end)


@lru_cache(maxsize=4096)
def _slot(terms: Terms, n: int) -> _Slot:
    """The n-th period; many agreements have the same."""
    period = whole = billing_period(terms.anchor, terms.cycle, n, terms.base)
    if n == 0 and terms.base != "contract" and terms.prorate_first_bill:
        whole = whole_period(terms.anchor, terms.cycle, 0, terms.base)
    end, exists = period.end, True
    if terms.last_day is not None:
        exists = period.start <= terms.last_day
        end = min(end, terms.last_day + _DAY)
    due = period.start if terms.timing == "advance" else end - _DAY
    return _Slot(n, period, whole, end, due, exists, exists, period.label)


def _slots(terms: Terms, cancelled: Collection[date], first: int) -> Iterator[_Slot]:
    for n in count(first):
        slot = _slot(terms, n)
        yield slot._replace(is_covered=False) if slot.period.start in cancelled else slot


class _Ledger:
    """What is booked, by charge and period."""

    def __init__(self, booked: Iterable[Booked]) -> None:
        self.rows: dict[Hashable, dict[date, list[Booked]]] = {}
        self.starts: set[date] = set()
        self._visited: set[date] = set()
        for row in booked:
            self.rows.setdefault(row.key, {}).setdefault(row.period_start, []).append(row)
            self.starts.add(row.period_start)

    def of(self, key: Hashable, start: date) -> Sequence[Booked]:
        """What is booked for a charge and the period that begins on ``start``."""
        return self.rows.get(key, {}).get(start, ()) if self.rows else ()

    def of_key(self, key: Hashable) -> Sequence[Booked]:
        """All that is booked under a key."""
        return [row for rows in self.rows.get(key, {}).values() for row in rows]

    def visit(self, slot: _Slot) -> None:
        """Note that a period of the grid begins then."""
        if self.rows:
            self._visited.add(slot.period.start)

    def refuse_strays(self, charges: Sequence[Charge], terms: Terms, first: int) -> None:
        """Refuse to go on when something is booked for a period the grid does not have: it would be billed twice."""
        if not self.starts - self._visited:
            return
        settled = billing_period(terms.anchor, terms.cycle, first, terms.base).start if first else date.min
        for charge in charges:
            for start in self.rows.get(charge.key, ()):
                if start >= settled and start not in self._visited:
                    raise DomainError(
                        "conflict",
                        f"Something is billed for a period from {format_date(start)}, but none begins then.",
                        hint="The billing cycle or its first day was changed: set it back, or credit what was billed.",
                    )


# -- what is desired ---------------------------------------------------------------------------------------------------


class _Span(NamedTuple):
    """Days of a period on which a charge has one quantity and price, and the share of the period they stand for."""

    service: Period
    step: Step
    share: Share

    def exact(self) -> Fraction:
        return Fraction(multiply(self.step.quantity, self.step.unit_price)) * self.share.fraction

    def exact_cost(self) -> Fraction:
        if not self.step.unit_cost:
            return Fraction(0)
        return Fraction(multiply(self.step.units_of_cost, self.step.unit_cost)) * self.share.fraction


def _spans(terms: Terms, charge: Charge, slot: _Slot) -> list[_Span]:
    """What a charge is worth in a period; nothing where it is not in effect or nothing is counted."""
    if not slot.is_covered:
        return []
    period = slot.period
    start = charge.effective if charge.effective > period.start else period.start
    end = slot.end
    if charge.last_day is not None and charge.last_day < end:
        end = charge.last_day + _DAY
    if start >= end:
        return []
    if terms.one_time:
        begins = charge.effective in period or (slot.n == 0 and charge.effective < period.start)
        spans = [_Span(period, _step_on(charge, start), WHOLE)] if begins else []
    elif not terms.prorate:
        spans = _unprorated(terms, charge, slot, start, end)
    else:
        service = period if start == period.start and end == period.end else Period(start, end)
        spans = _prorated(terms, charge, slot, service)
    return [span for span in spans if span.share.part and (span.step.quantity or span.step.units_of_cost)]


def _step_on(charge: Charge, day: date) -> Step:
    steps = charge.steps
    for step in reversed(steps):
        if step.start <= day:
            return step
    return steps[0]


def _unprorated(terms: Terms, charge: Charge, slot: _Slot, start: date, end: date) -> list[_Span]:
    """In full, at the terms of the period's first day; from the next period on for what begins within this one."""
    period = slot.period
    if start == period.start:
        return [_Span(period, _step_on(charge, start), prorate(terms.method, slot.whole, period))]
    ends_here = end < period.end or charge.last_day == period.inclusive_end or terms.last_day == period.inclusive_end
    return [_Span(period, _step_on(charge, start), WHOLE)] if ends_here else []


def _prorated(terms: Terms, charge: Charge, slot: _Slot, service: Period) -> list[_Span]:
    steps = charge.steps
    is_whole = service is slot.whole
    if is_whole and (len(steps) == 1 or steps[-1].start <= service.start):
        return [_Span(service, steps[-1], WHOLE)]
    first = None
    if terms.method is ProrationMethod.REMAINDER and service.end < slot.whole.end and service.start == slot.whole.start:
        first = _first_share(terms, charge, slot, service.end)
    spans: list[_Span] = []
    for index, step in enumerate(steps):
        start = max(service.start, step.start) if index else service.start
        end = min(service.end, steps[index + 1].start) if index + 1 < len(steps) else service.end
        if start < end:
            used = Period(start, end)
            share = prorate(terms.method, slot.whole, used, service=service, first=first)
            spans.append(_Span(used, step, share))
    return spans


def _first_share(terms: Terms, charge: Charge, slot: _Slot, end: date) -> Share | None:
    """The share a charge's first part had, if the charge runs for whole cycles and ends on ``end`` for good."""
    begin = max(charge.effective, terms.anchor)
    length = months_between(begin, end) if terms.cycle.months else (end - begin).days
    unit = terms.cycle.months or (terms.cycle.after(begin, 1) - begin).days
    if length % unit or terms.cycle.after(begin, length // unit) != end:
        return None
    for n in range(slot.n - 1, -1, -1):
        there = _slot(terms, n)
        if begin in there.period:
            return prorate(terms.method, there.whole, Period(begin, there.period.end))
    return None


# -- lines -------------------------------------------------------------------------------------------------------------


def _period_items(
    terms: Terms, charges: Sequence[Charge], slot: _Slot, ledger: _Ledger
) -> tuple[list[BilledItem], list[BilledItem]]:
    """The lines of a period not yet billed, less what is booked for it already; and what is booked beyond that."""
    items: list[BilledItem] = []
    late: list[BilledItem] = []
    for charge in charges:
        if ledger.rows and (rows := ledger.of(charge.key, slot.period.start)):
            for item in _differences(terms, charge, slot, rows):
                (late if item.is_credit else items).append(item)
        else:
            items += _lines(charge, slot, _spans(terms, charge, slot))
    return items, late


def _all_differences(terms: Terms, charges: Sequence[Charge], slot: _Slot, ledger: _Ledger) -> list[BilledItem]:
    found: list[BilledItem] = []
    for charge in charges:
        rows = ledger.of(charge.key, slot.period.start)
        if rows:
            found += _differences(terms, charge, slot, rows)
        elif slot.is_covered:
            lines = _lines(charge, slot, _spans(terms, charge, slot))
            found += [line for line in lines if line.amount or line.cost]
    return found


def _lines(charge: Charge, slot: _Slot, spans: Sequence[_Span]) -> list[BilledItem]:
    """Where nothing is booked: one line for each stretch."""
    if len(spans) == 1:
        service, step, share = spans[0]
        if share.part == share.of:
            amount = extend(step.quantity, step.unit_price)
            cost = extend(step.units_of_cost, step.unit_cost) if step.unit_cost else ZERO
            quantity, price = step.quantity, step.unit_price
            text = f"{quantity_text(quantity)} × {price_text(price)} for {slot.label} = {amount_text(amount)}"
            text = text[:TEXT_LENGTH]
            return [BilledItem(charge.key, slot.period, service, quantity, price, amount, cost, text)]
    return [
        _line(charge.key, slot, span.service, span.step.quantity, span.step.unit_price, span.share, amount, cost)
        for span, amount, cost in zip(
            spans, _settled([s.exact() for s in spans]), _settled([s.exact_cost() for s in spans]), strict=True
        )
    ]


def _line(
    key: Hashable,
    slot: _Slot,
    service: Period,
    quantity: Decimal,
    unit_price: Decimal,
    share: Share,
    amount: Decimal,
    cost: Decimal,
    before: str = "",
    is_credit: bool = False,
) -> BilledItem:
    """A line for part of a period (or all of it), with how its amount comes about; ``before`` says what it changes."""
    product = f"{before}{quantity_text(quantity)} × {price_text(unit_price)}"
    since: date | None = None
    if share.part == share.of:
        text = f"{product} for {slot.label} = {amount_text(amount)}"
    else:
        text = f"{product} × {share.words} ({days_text(service)}) = {amount_text(amount)}"
        if service.start > slot.whole.start and amount > 0:
            since = service.start
            text += f"; prorated with a start date of {format_date(since)}"
    prorated = unit_price if share.part == share.of else round_to(Fraction(unit_price) * share.fraction, 8)
    return BilledItem(key, slot.period, service, quantity, prorated, amount, cost, text[:TEXT_LENGTH], since, is_credit)


def _settled(parts: Sequence[Fraction]) -> list[Decimal]:
    if len(parts) < 2:
        return [round_money(part) for part in parts]
    return settle(round_money(sum(parts, Fraction(0))), parts)


def _differences(terms: Terms, charge: Charge, slot: _Slot, rows: Sequence[Booked]) -> list[BilledItem]:
    """Where something is booked: the lines that make it what is desired. Nothing is given back with ``none``."""
    spans = _spans(terms, charge, slot)
    if len(spans) == 1 and spans[0].share.part == spans[0].share.of:
        desired = extend(spans[0].step.quantity, spans[0].step.unit_price)
    else:
        desired = round_money(sum((span.exact() for span in spans), Fraction(0)))
    given = -sum_money(row.amount for row in rows if row.by_hand)
    rows = [row for row in rows if not row.by_hand]
    booked = sum_money(row.amount for row in rows)
    amount = round_money(sum_money((desired, -booked)))
    if not amount or (amount < 0 and terms.credits == "none"):
        return []
    if amount < 0 and given:
        return _beyond_given(charge.key, slot.period, amount, given)
    cost = round_money(sum((span.exact_cost() for span in spans), Fraction(0)))
    cost = round_money(sum_money((cost, *(-row.cost for row in rows))))
    is_credit = amount < 0
    changes = _changes(terms, charge, slot, spans, rows)
    amounts = settle(amount, [change.exact() for change in changes]) if changes else []
    if not changes or any((part < 0) != is_credit for part in amounts if part):
        text = f"{slot.label}: {amount_text(desired)} due less {amount_text(booked)} billed = {amount_text(amount)}"
        return [_difference(charge.key, slot.period, amount, cost, text)]
    costs = allocate(cost, [abs(part) for part in amounts])
    return [
        _line(charge.key, slot, c.service, c.quantity, c.unit_price, c.share, part, part_cost, c.before, is_credit)
        for c, part, part_cost in zip(changes, amounts, costs, strict=True)
        if part
    ]


def _beyond_given(key: Hashable, period: Period, amount: Decimal, given: Decimal) -> list[BilledItem]:
    """What is to be given back beyond what somebody has credited by hand already."""
    rest = min(sum_money((amount, given)), ZERO)
    if not rest:
        return []
    text = f"{period.label}: {amount_text(amount)} to give back, {amount_text(given)} credited already"
    return [_difference(key, period, rest, ZERO, f"{text} = {amount_text(rest)}")]


def _difference(key: Hashable, period: Period, amount: Decimal, cost: Decimal, text: str) -> BilledItem:
    """One line with a difference, where it cannot be told as units and prices."""
    return BilledItem(key, period, period, Decimal(1), amount, amount, cost, text[:TEXT_LENGTH], is_credit=amount < 0)


class _Change(NamedTuple):
    """A quantity more or less, or a price more or less, for some days."""

    service: Period
    quantity: Decimal
    unit_price: Decimal
    share: Share
    before: str

    def exact(self) -> Fraction:
        return Fraction(multiply(self.quantity, self.unit_price)) * self.share.fraction


def _changes(
    terms: Terms, charge: Charge, slot: _Slot, spans: Sequence[_Span], rows: Sequence[Booked]
) -> list[_Change]:
    """What has changed since one flat line was booked; nothing where it cannot be told line by line."""
    row = rows[0]
    if len(rows) > 1 or not slot.period.start <= row.start < row.end <= slot.period.end:
        return []
    booked_days = Period(row.start, row.end)
    share = prorate(terms.method, slot.whole, booked_days)
    price = _price_behind(row, share, charge)
    if price is None:
        return []
    booked = Fraction(multiply(row.quantity, price)) * share.fraction
    marks = sorted({row.start, row.end, *(day for span in spans for day in (span.service.start, span.service.end))})
    service = Period(marks[0], marks[-1])
    changes: list[_Change] = []
    for start, end in pairwise(marks):
        days = Period(start, end)
        step = next((span.step for span in spans if start in span.service), None)
        old = row.quantity if start in booked_days else Decimal(0)
        new, new_price = (step.quantity, step.unit_price) if step else (Decimal(0), price)
        if step is None and not old:
            continue
        part = prorate(terms.method, slot.whole, days, service=service)
        if new != old:
            before = f"{quantity_text(new)} less {quantity_text(old)} billed: " if old else ""
            changes.append(_Change(days, new - old, new_price, part, before))
        if old and new_price != price:
            before = f"price {price_text(new_price)} less {price_text(price)} billed: "
            changes.append(_Change(days, old, new_price - price, part, before))
    exact = sum((span.exact() for span in spans), Fraction(0))
    adds_up = sum((change.exact() for change in changes), Fraction(0)) == exact - booked
    return changes if adds_up and round_money(booked) == row.amount else []


def _price_behind(row: Booked, share: Share, charge: Charge) -> Decimal | None:
    """The price for a whole period behind a booked line's prorated one, if it is one that the charge has had."""
    if share.part == share.of:
        return row.unit_price
    prices = (step.unit_price for step in reversed(charge.steps))
    return next((p for p in prices if round_to(Fraction(p) * share.fraction, 8) == row.unit_price), None)


def _one_off_item(one_off: OneOff) -> BilledItem:
    day = Period(one_off.on, one_off.on + _DAY)
    amount, cost = round_money(one_off.amount), round_money(one_off.cost)
    return BilledItem(
        one_off.key, day, day, one_off.quantity, one_off.unit_price, amount, cost, one_off.words[:TEXT_LENGTH]
    )


def _one_off_difference(terms: Terms, one_off: OneOff, rows: Sequence[Booked]) -> list[BilledItem]:
    booked = sum_money(row.amount for row in rows)
    amount = sum_money((round_money(one_off.amount), -booked))
    if not amount or (amount < 0 and terms.credits == "none"):
        return []
    day = Period(one_off.on, one_off.on + _DAY)
    cost = sum_money((round_money(one_off.cost), *(-row.cost for row in rows)))
    tail = f": {amount_text(one_off.amount)} due less {amount_text(booked)} billed = {amount_text(amount)}"
    text = one_off.words[: TEXT_LENGTH - len(tail)] + tail
    return [_difference(one_off.key, day, amount, cost, text)]
