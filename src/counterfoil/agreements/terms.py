"""An agreement as billing takes it: terms, and charges with their history. Reading only, no rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Final, Literal, NamedTuple, cast

from counterfoil.agreements.models import Addition, Agreement, BillingOption
from counterfoil.core.calendar import Cycle, CycleBase
from counterfoil.core.charges import Changes, Charge, Credits, Step, Terms, Timing
from counterfoil.core.money import ZERO
from counterfoil.core.proration import ProrationMethod

_ONE: Final = Decimal(1)

#: What a charge is known by: the billing amount of an agreement, or an addition, each by its id.
ChargeKey = tuple[Literal["amount", "addition"], int]


class Values(NamedTuple):
    """What an addition is from a day on: units, units included, and price and cost of one for a cycle."""

    since: date
    quantity: Decimal
    less_included: Decimal
    unit_price: Decimal
    unit_cost: Decimal

    @property
    def billed_quantity(self) -> Decimal:
        """Quantity less what is included, never below zero."""
        return max(self.quantity - self.less_included, Decimal(0))


def is_monthly(term: str) -> bool:
    """Whether a term is a month (or less), and goes on from month to month."""
    months = Cycle.parse(term).months
    return months is None or months <= 1


def head_of(agreement: Agreement) -> Agreement:
    """The agreement whose invoices bill it: its parent, or itself."""
    return agreement if agreement.parent_id is None else cast(Agreement, agreement.parent)


def last_day(agreement: Agreement) -> date | None:
    """The last day it is billed for; ``None`` when it has no ending date."""
    return min((day for day in (agreement.end_date, agreement.cancelled_on) if day is not None), default=None)


def terms_of(agreement: Agreement) -> Terms:
    """How an agreement is billed. A child is billed by its parent's terms."""
    return Terms(
        cycle=Cycle.parse(agreement.billing_cycle),
        anchor=agreement.bill_start_date,
        base=cast(CycleBase, agreement.cycle_base),
        timing=cast(Timing, agreement.billing_timing),
        prorate=agreement.prorate,
        prorate_first_bill=agreement.prorate_first_bill,
        method=ProrationMethod(agreement.proration),
        last_day=last_day(agreement),
        one_time=agreement.bill_one_time,
        credits=cast(Credits, agreement.credits),
        changes=cast(Changes, agreement.changes),
    )


def history_of(addition: Addition) -> tuple[Values, ...]:
    """What the addition has been and will be, oldest first; the first reaches back to its effective date."""
    rows = sorted(addition.changes.all(), key=lambda row: row.effective_date)
    if not rows:
        return (_values(addition, addition.effective_date),)
    return tuple(_values(row, row.effective_date) for row in rows)


def _values(record: object, since: date) -> Values:
    return Values(since, *(getattr(record, name) for name in Values._fields[1:]))


def values_on(addition: Addition, day: date) -> Values:
    """What holds on a day, whether or not the addition is in effect then."""
    history = history_of(addition)
    return next((values for values in reversed(history) if values.since <= day), history[0])


def quantity_on(addition: Addition, day: date) -> Decimal:
    """How many units there are on a day; zero outside the addition's dates."""
    last = addition.cancelled_date
    if day < addition.effective_date or (last is not None and day > last):
        return Decimal(0)
    return values_on(addition, day).quantity


def billing_amounts(agreement: Agreement) -> tuple[tuple[date, Decimal], ...]:
    """The billing amount from each day on, oldest first; the first reaches back to the first billing date."""
    rows = sorted(agreement.billing_amounts.all(), key=lambda row: row.effective_date)
    if not rows:
        return ((agreement.bill_start_date, agreement.billing_amount),)
    return tuple((row.effective_date, row.billing_amount) for row in rows)


def billing_amount_on(agreement: Agreement, day: date) -> Decimal:
    """The billing amount that holds on a day."""
    amounts = billing_amounts(agreement)
    return next((amount for since, amount in reversed(amounts) if since <= day), amounts[0][1])


def charges_of(agreement: Agreement) -> tuple[Charge, ...]:
    """Everything an agreement's invoice bills: its amount, its additions, then those of its children (WE-18).

    Additions that are not billed (``DoNotBill``) have no charge: their cost shows in the profit alone. Those of no
    charge have a price of zero. Costs count the included units as well.
    """
    family = [agreement, *sorted(agreement.children.all(), key=lambda child: child.pk)]
    return tuple(charge for member in family for charge in _own_charges(member))


def own_charges_of(agreement: Agreement) -> tuple[Charge, ...]:
    """The same without its children."""
    return tuple(_own_charges(agreement))


def _own_charges(agreement: Agreement) -> Iterator[Charge]:
    start, end = agreement.bill_start_date, last_day(agreement)
    amounts = billing_amounts(agreement)
    if agreement.billing_amount or agreement.billing_amounts.all():
        # A step of no units makes no line: an amount of zero is not printed.
        steps = tuple(Step(since, _ONE if amount else ZERO, amount) for since, amount in amounts)
        yield Charge(("amount", agreement.pk), steps, start, end)
    for addition in sorted(agreement.additions.all(), key=lambda addition: addition.position):
        if addition.billing_option == BillingOption.DO_NOT_BILL:
            continue
        is_free = addition.billing_option == BillingOption.NO_CHARGE
        steps = tuple(
            Step(row.since, row.billed_quantity, ZERO if is_free else row.unit_price, row.unit_cost, row.quantity)
            for row in history_of(addition)
        )
        last = min((day for day in (end, addition.cancelled_date) if day is not None), default=None)
        yield Charge(("addition", addition.pk), steps, max(start, addition.effective_date), last)
