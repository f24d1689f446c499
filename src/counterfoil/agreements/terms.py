"""An agreement as ``core`` takes it: terms, charges with their history, and what it covers. Reading only, no rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple, cast

from counterfoil.agreements.models import Addition, Agreement, BillingOption
from counterfoil.core.calendar import Cycle, CycleBase
from counterfoil.core.charges import Changes, Charge, Credits, Step, Terms, Timing
from counterfoil.core.coverage_terms import CoverageTerms, Kind, Selection, Units
from counterfoil.core.money import ZERO
from counterfoil.core.proration import ProrationMethod

_ONE: Final = Decimal(1)
_DAY: Final = timedelta(days=1)

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
    if any(amount for _, amount in amounts):
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


_KINDS: Final[tuple[tuple[str, Kind], ...]] = (
    ("covers_time", "time"),
    ("covers_expenses", "expense"),
    ("covers_products", "product"),
)


def coverage_terms_of(agreement: Agreement, *, tax_rate: Decimal = ZERO) -> CoverageTerms:
    """What an agreement covers.

    Args:
        agreement: with its coverage items.
        tax_rate: what its billing amount is taxed at; matters where tax is drawn from the block (WE-5).

    Raises:
        DomainError: ``invalid``, where parameters contradict each other.
    """
    last = last_day(agreement)
    return CoverageTerms(
        units=cast(Units, agreement.application_units),
        limit=agreement.application_limit,
        unlimited=agreement.application_unlimited,
        cycle=Cycle.parse(agreement.application_cycle),
        anchor=agreement.start_date,
        start=agreement.start_date,
        end=None if last is None else max(last, agreement.start_date) + _DAY,
        base=cast(CycleBase, agreement.application_base),
        one_time=agreement.application_one_time,
        covers=frozenset(kind for name, kind in _KINDS if getattr(agreement, name)),
        covers_sales_tax=agreement.covers_sales_tax,
        prepayment=agreement.prepayment,
        tax_rate=tax_rate,
        carry_over=agreement.carry_over,
        carry_over_days=agreement.carry_over_days,
        allow_overruns=agreement.allow_overruns,
        overrun_limit=agreement.overrun_limit,
        overrun_from="next_period" if agreement.overrun_from == "next_period" else "arrears",
        expire_when_zero=agreement.expire_when_zero,
        selection=_selection_of(agreement),
        order="as_saved" if agreement.coverage_order == "as_saved" else "by_date",
    )


def _selection_of(agreement: Agreement) -> Selection:
    items = list(agreement.coverage_items.all())
    return Selection(
        mode="only" if agreement.selection == "only" else "all_but",
        work_roles=frozenset(item.work_role_id for item in items if item.work_role_id),
        work_types=frozenset(item.work_type_id for item in items if item.work_type_id),
        expense_types=frozenset(item.expense_type_id for item in items if item.expense_type_id),
        products=frozenset(item.product_id for item in items if item.product_id),
    )
