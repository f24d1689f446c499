"""The match of a purchase order line with what arrived and with what the vendor bills.

Goods are matched three ways: no more is billed than has arrived. Services and licences are matched two ways. What is
bought for a term is billed once for each period that has begun, however early or late the bills come in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from counterfoil.core.calendar import Cycle, period_index
from counterfoil.core.matching import said
from counterfoil.core.matching.catalogue import what_to_do
from counterfoil.core.matching.legs import GOODS, BillLeg, Difference, PurchaseLeg, PurchaseThread
from counterfoil.core.matching.tolerance import Tolerance, Tolerances
from counterfoil.core.money import ZERO, extend, format_money, round_money

_NOTHING: Final = Decimal(0)
#: So long before a period begins its bill may come.
_EARLY: Final = timedelta(days=10)


def match_purchase(thread: PurchaseThread, tolerances: Tolerances) -> tuple[Difference, ...]:
    """Everything that differs between a purchase order line, its receipts and its bills.

    Dollars are what the vendor asks for beyond what was ordered or has arrived, once.
    """
    purchase = thread.purchase
    if purchase is None:
        return tuple(_unordered(bill) for bill in thread.bills)
    found: list[Difference] = []
    quantities = tolerances.of("quantity", purchase.vendor_id, purchase.category_id, purchase.company_id)
    received = _received(found, purchase, thread, quantities)
    if thread.bills:
        costs = tolerances.of("unit_cost", purchase.vendor_id, purchase.category_id, purchase.company_id)
        amounts = tolerances.of("amount", purchase.vendor_id, purchase.category_id, purchase.company_id)
        for bill in thread.bills:
            _cost(found, purchase, bill, costs)
            _amount(found, bill, amounts)
        _billed(found, purchase, thread.bills, received, quantities)
    return tuple(found)


def _unordered(bill: BillLeg) -> Difference:
    text = f"{bill.label} bills {said.number(bill.quantity)} at {said.price(bill.unit_cost)} that nobody has ordered."
    return Difference(
        "missing_purchase", "purchase", "bill", "a purchase order", "none", text,
        what_to_do("missing_purchase", bill.label), ZERO, round_money(bill.amount), bill.id,
    )  # fmt: skip


def _received(found: list[Difference], purchase: PurchaseLeg, thread: PurchaseThread, allowed: Tolerance) -> Decimal:
    total = _NOTHING
    for receipt in thread.receipts:
        total += receipt.quantity
        if receipt.product_id != purchase.product_id:
            text = f"{purchase.label} orders {purchase.product}; {receipt.label} received {receipt.product}."
            found.append(
                Difference(
                    "product", "purchase", "receipt", purchase.product, receipt.product, text,
                    what_to_do("product", receipt.label), ZERO, round_money(receipt.quantity * purchase.unit_cost),
                    receipt.id,
                )
            )  # fmt: skip
    if total > purchase.quantity and not allowed.covers(purchase.quantity, total):
        last = thread.receipts[-1]
        more = total - purchase.quantity
        ordered = f"{said.number(purchase.quantity)} {purchase.product}"
        text = f"{purchase.label} orders {ordered}; {said.number(total)} arrived."
        found.append(
            Difference(
                "over_received", "purchase", "receipt", said.number(purchase.quantity), said.number(total), text,
                what_to_do("over_received", last.label), ZERO, round_money(more * purchase.unit_cost), last.id,
            )
        )  # fmt: skip
    return total


def _cost(found: list[Difference], purchase: PurchaseLeg, bill: BillLeg, allowed: Tolerance) -> None:
    ordered, billed = purchase.unit_cost, bill.unit_cost
    if billed == ordered or allowed.covers(ordered, billed, bill.quantity):
        return
    text = (
        f"{purchase.label} orders {purchase.product} at {said.price(ordered)}; {bill.label} bills {said.price(billed)}."
    )
    more = round_money((billed - ordered) * bill.quantity)
    found.append(
        Difference(
            "unit_cost", "purchase", "bill", said.price(ordered), said.price(billed), text,
            what_to_do("unit_cost", bill.label), ZERO, more, bill.id,
        )
    )  # fmt: skip


def _amount(found: list[Difference], bill: BillLeg, allowed: Tolerance) -> None:
    expected = extend(bill.quantity, bill.unit_cost)
    if bill.amount == expected or allowed.covers(expected, bill.amount):
        return
    text = (
        f"{said.number(bill.quantity)} at {said.price(bill.unit_cost)} is {format_money(expected)};"
        f" {bill.label} bills {format_money(bill.amount)}."
    )
    found.append(
        Difference(
            "amount", "bill", "bill", format_money(expected), format_money(bill.amount), text,
            what_to_do("amount", bill.label), ZERO, round_money(bill.amount - expected), bill.id,
        )
    )  # fmt: skip


def _billed(
    found: list[Difference],
    purchase: PurchaseLeg,
    bills: Sequence[BillLeg],
    received: Decimal,
    allowed: Tolerance,
) -> None:
    if purchase.term or purchase.billing_cycle:  # billed anew in every cycle
        _billed_in_cycles(found, purchase, bills, allowed)
        return
    total = sum((bill.quantity for bill in bills), _NOTHING)
    limit, code = purchase.quantity, "over_invoiced"
    if purchase.product_class in GOODS and received < limit:
        limit, code = received, "not_received"
    if total <= limit or allowed.covers(limit, total):
        return
    _too_much(found, purchase, bills, limit, total, code)


def _billed_in_cycles(
    found: list[Difference], purchase: PurchaseLeg, bills: Sequence[BillLeg], allowed: Tolerance
) -> None:
    """No more than is ordered on one day, nor by any day more than the periods begun until then come to."""
    cycle = Cycle.parse(purchase.billing_cycle or purchase.term)
    same_day: dict[date, list[BillLeg]] = {}
    for bill in sorted(bills, key=lambda bill: (bill.date, bill.id)):
        same_day.setdefault(bill.date, []).append(bill)
    first = min(same_day)
    anchor = first if purchase.start is None else min(first, purchase.start)
    before: list[BillLeg] = []
    billed = _NOTHING
    for day, group in same_day.items():
        total = sum((bill.quantity for bill in group), _NOTHING)
        if total > purchase.quantity and not allowed.covers(purchase.quantity, total):
            _too_much(found, purchase, group, purchase.quantity, total, "over_invoiced")
            total = purchase.quantity
        elif total > 0:
            due = purchase.quantity * (period_index(anchor, cycle, day + _EARLY) + 1)
            if billed + total > due and not allowed.covers(due, billed + total):
                again = [*before[-1:], *group]
                both = sum((bill.quantity for bill in again), _NOTHING)
                _too_much(found, purchase, again, purchase.quantity, both, "over_invoiced")
                total = due - billed
        billed += total
        before = group


def _too_much(
    found: list[Difference], purchase: PurchaseLeg, bills: Sequence[BillLeg], limit: Decimal, total: Decimal, code: str
) -> None:
    last = bills[-1]
    first = bills[0]
    if (
        len(bills) > 1
        and code == "over_invoiced"
        and all((bill.quantity, bill.amount) == (first.quantity, first.amount) for bill in bills)
    ):
        text = f"{last.label} bills {said.number(last.quantity)} {purchase.product} that {first.label} has billed."
        found.append(
            Difference(
                "duplicate", "bill", "bill", first.label, last.label, text, what_to_do("duplicate", last.label), ZERO,
                round_money(last.amount), last.id,
            )
        )  # fmt: skip
        return
    which = "are ordered" if code == "over_invoiced" else "have arrived"
    of = f"{said.number(limit)} {purchase.product} of {purchase.label}"
    text = f"{of} {which}; {said.number(total)} are billed."
    more = round_money((total - limit) * last.unit_cost)
    leg = "purchase" if code == "over_invoiced" else "receipt"
    found.append(
        Difference(
            code, leg, "bill", said.number(limit), said.number(total), text, what_to_do(code, last.label), ZERO, more,
            last.id,
        )
    )  # fmt: skip
