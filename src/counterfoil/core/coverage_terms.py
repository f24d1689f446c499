"""The words of coverage: an agreement's terms, what is applied to it, and what becomes of that.

:mod:`counterfoil.core.coverage` decides.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final, Literal

from counterfoil.core.calendar import Cycle, Period, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, multiply, round_money, sum_money

Kind = Literal["time", "expense", "product"]
Units = Literal["amount", "hours", "incidents"]

#: The end of a pool that has none: a one-time agreement without an end date.
OPEN_END: Final = date.max

NONE: Final = Decimal(0)
_MONDAY: Final = date(2001, 1, 1)


class BillableOption(StrEnum):
    """What was said of the entry itself; only what is billable draws on an agreement."""

    BILLABLE = "billable"
    DO_NOT_BILL = "do_not_bill"
    NO_CHARGE = "no_charge"


class Reason(StrEnum):
    """Why an entry, or the rest of it, is not covered; ``covered`` when all of it is."""

    COVERED = "covered"
    DO_NOT_BILL = "do_not_bill"
    NO_CHARGE = "no_charge"
    OUTSIDE_DATES = "outside_dates"
    KIND = "kind"
    TIME_ONLY = "time_only"
    WORK_ROLE = "work_role"
    WORK_TYPE = "work_type"
    EXPENSE_TYPE = "expense_type"
    PRODUCT = "product"
    NO_LIMIT = "no_limit"
    EXPIRED = "expired"
    USED_UP = "used_up"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which roles, types and products are covered: all but those named, or only those.

    With ``only``, an empty list does not narrow the choice, unless all lists of that kind of entry are empty: then
    nothing of the kind is covered.
    """

    mode: Literal["all_but", "only"] = "all_but"
    work_roles: frozenset[Hashable] = frozenset()
    work_types: frozenset[Hashable] = frozenset()
    expense_types: frozenset[Hashable] = frozenset()
    products: frozenset[Hashable] = frozenset()

    def refuses(self, entry: Entry) -> Reason | None:
        """Why the entry is not among what is covered, if it is not."""
        tests: tuple[tuple[frozenset[Hashable], Hashable | None, Reason], ...]
        if entry.kind == "time":
            tests = (
                (self.work_roles, entry.work_role, Reason.WORK_ROLE),
                (self.work_types, entry.work_type, Reason.WORK_TYPE),
            )
        elif entry.kind == "expense":
            tests = ((self.expense_types, entry.item, Reason.EXPENSE_TYPE),)
        else:
            tests = ((self.products, entry.item, Reason.PRODUCT),)
        if self.mode == "all_but":
            return next((reason for named, item, reason in tests if item in named), None)
        if not any(named for named, _, _ in tests):
            return tests[0][2]
        return next((reason for named, item, reason in tests if named and item not in named), None)


@dataclass(frozen=True, slots=True)
class CoverageTerms:
    """What an agreement covers.

    Args:
        units: what the limit counts. Hours are drawn by time alone.
        limit: the allocation of each application period, in units; None covers nothing, unless ``unlimited``.
        cycle: how long an application period is.
        base: ``contract`` counts periods from ``anchor``; ``calendar`` from 1 January, weeks from Monday. The first
            and the last period are cut at the agreement's dates and grant the whole limit all the same.
        end: the first day no longer covered; None for none.
        one_time: one pool for the agreement's whole life, whatever the cycle.
        covers_sales_tax: together with ``prepayment`` and units of amount, tax is drawn from the block and the limit
            is raised by the tax on it at ``tax_rate``; otherwise it has no effect (WE-5).
        tax_rate: what the billing amount is taxed at, 0.06 for 6 %.
        later_tax_rates: what it is taxed at from some day on, by day; a period is granted what holds on its first.
        carry_over: what is left at a period's end can still be used: ``carry_over_days`` long, or without end.
        allow_overruns: whether more than the allocation may be drawn, each period up to ``overrun_limit`` (None: any
            amount); billed with the agreement's invoice in ``arrears``, or taken from the ``next_period``'s allocation.
        expire_when_zero: the agreement closes for good once nothing is available.
        order: ``by_date``, or ``as_saved``: who was entered first is covered first, however old the work.

    Raises:
        DomainError: ``invalid``, with the field.
    """

    units: Units
    limit: Decimal | None
    cycle: Cycle
    anchor: date
    start: date
    end: date | None = None
    unlimited: bool = False
    base: Literal["contract", "calendar"] = "contract"
    one_time: bool = False
    covers: frozenset[Kind] = frozenset({"time"})
    covers_sales_tax: bool = False
    prepayment: bool = False
    tax_rate: Decimal = NONE
    later_tax_rates: tuple[tuple[date, Decimal], ...] = ()
    carry_over: bool = False
    carry_over_days: int | None = None
    allow_overruns: bool = False
    overrun_limit: Decimal | None = None
    overrun_from: Literal["arrears", "next_period"] = "arrears"
    expire_when_zero: bool = False
    selection: Selection = Selection()
    order: Literal["by_date", "as_saved"] = "by_date"

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 0:
            raise DomainError("invalid", "The application limit cannot be below zero.", field="application_limit")
        if self.overrun_limit is not None and self.overrun_limit < 0:
            raise DomainError("invalid", "The overrun limit cannot be below zero.", field="overrun_limit")
        if self.carry_over_days is not None and self.carry_over_days < 0:
            raise DomainError("invalid", "What is carried over lives zero days or more.", field="carry_over_days")
        if self.end is not None and self.end <= self.start:
            raise DomainError("invalid", "The agreement must end after its start.", field="end")
        if min(self.tax_rate, *(rate for _, rate in self.later_tax_rates), NONE) < 0:
            raise DomainError("invalid", "The tax rate cannot be below zero.", field="tax_rate")
        if self.units == "amount":
            for amount in (self.limit, self.overrun_limit):
                check_cents(amount or ZERO)

    @property
    def draws_tax(self) -> bool:
        """Whether sales tax is drawn from the block rather than never computed."""
        return self.covers_sales_tax and self.prepayment and self.units == "amount"

    @property
    def allocation(self) -> Decimal:
        """What the first application period starts with; 0 when unlimited."""
        return self.allocation_on(self.start)

    def allocation_on(self, first: date) -> Decimal:
        """What the application period that begins on ``first`` starts with; 0 when unlimited."""
        if self.limit is None or self.unlimited:
            return NONE
        if not self.draws_tax:
            return self.limit
        rates = [rate for day, rate in self.later_tax_rates if day <= first]
        return with_tax(self.limit, rates[-1] if rates else self.tax_rate)


@dataclass(frozen=True, slots=True)
class Draw:
    """What was taken from one lot: a period's own, by its first day, or an adjustment's, by its date; in units."""

    lot: date
    adjustment: bool
    units: Decimal


@dataclass(frozen=True, slots=True)
class Allocation:
    """What becomes of one entry: ``covered`` + ``overrun`` + ``overage`` are the whole of it.

    ``covered`` is never invoiced again. ``overrun`` was drawn beyond the allocation and is billed with the agreement in
    arrears. ``overage`` is billed by itself, now. Both are at the overage rate where there is one, and both are taxed
    as they are billed; ``covered_tax`` was drawn from a block that had paid for it.

    ``drawn`` is what the pool gave, in its units, the overrun included; ``draws`` says from which lots.
    """

    key: Hashable
    pool: Period | None
    covered_quantity: Decimal
    covered_amount: Decimal
    covered_tax: Decimal
    overrun_quantity: Decimal
    overrun_amount: Decimal
    overage_quantity: Decimal
    overage_amount: Decimal
    drawn: Decimal
    overrun_drawn: Decimal
    draws: tuple[Draw, ...]
    reason: Reason
    explanation: str


@dataclass(frozen=True, slots=True)
class Entry:
    """Time, an expense or a product applied to the agreement.

    Args:
        key: what identifies it; unique among the entries.
        saved: its place in the order of entry; decides between entries of one date.
        quantity: hours as billed, or units.
        rate: an hour's or unit's price, for the explanation.
        amount: what it would be billed at, in whole cents, before tax.
        tax_rate: what it would be taxed at; drawn from the block where that covers tax.
        item: the expense type or the product.
        incident: the ticket; an agreement in incidents is drawn once for all its entries. None: one by itself.
        overage_rate: an hour's or unit's price where it is not covered; None for the same.
        pinned: the allocation it was billed with, which stays.

    Raises:
        DomainError: ``invalid`` for a quantity or an amount below zero or not in whole cents.
    """

    key: Hashable
    on: date
    saved: int
    kind: Kind
    quantity: Decimal
    rate: Decimal
    amount: Decimal
    tax_rate: Decimal = NONE
    work_role: Hashable | None = None
    work_type: Hashable | None = None
    item: Hashable | None = None
    option: BillableOption = BillableOption.BILLABLE
    incident: Hashable | None = None
    overage_rate: Decimal | None = None
    pinned: Allocation | None = None

    def __post_init__(self) -> None:
        if self.quantity < 0 or self.amount < 0:
            raise DomainError("invalid", "What is applied to an agreement cannot be below zero.", field="quantity")
        check_cents(self.amount)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Units added to what may be drawn from ``on``, or taken away; it lives one application cycle (WE-22)."""

    on: date
    amount: Decimal
    words: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """The recap of one application period, in units (WE-26).

    ``remaining`` is ``starting + carried_in + adjustments + used + lapsed``, where ``used`` and ``lapsed`` are zero or
    below. ``carried_in`` is what earlier lots still give on the first day, less what the period before has taken in
    advance. ``overrun`` is what was drawn beyond the allocation. ``available`` is what may still be drawn, overruns
    included; None when there is no bound.
    """

    period: Period
    starting: Decimal
    carried_in: Decimal
    adjustments: Decimal
    used: Decimal
    lapsed: Decimal
    overrun: Decimal
    available: Decimal | None
    expired: bool

    @property
    def remaining(self) -> Decimal:
        """What is left of the allocation; below zero after an overrun."""
        return sum_money((self.starting, self.carried_in, self.adjustments, self.used, self.lapsed))


@dataclass(frozen=True, slots=True)
class Coverage:
    """An allocation for each entry, in the order they were decided (billed ones first), and the pools by date."""

    allocations: tuple[Allocation, ...]
    pools: tuple[Pool, ...]


def application_periods(terms: CoverageTerms, through: date) -> tuple[Period, ...]:
    """The application periods that have begun on or before ``through``, cut at the agreement's dates."""
    if terms.start > through:
        return ()
    if terms.one_time:
        return (Period(terms.start, terms.end or OPEN_END),)
    anchor, cycle = _anchor(terms), terms.cycle
    n = 0
    while cycle.after(anchor, n) > terms.start:
        n -= 1
    while cycle.after(anchor, n + 1) <= terms.start:
        n += 1
    periods: list[Period] = []
    start = terms.start
    while start <= through and (terms.end is None or start < terms.end):
        n += 1
        stop = cycle.after(anchor, n)
        periods.append(Period(start, min(stop, terms.end) if terms.end else stop))
        start = stop
    return tuple(periods)


def pool_label(period: Period) -> str:
    """The period as people write it: ``Mar 2026``, or ``1 Mar 2026 onward`` where it has no end."""
    return f"{format_date(period.start)} onward" if period.end == OPEN_END else period.label


def with_tax(amount: Decimal, rate: Decimal) -> Decimal:
    """The amount and the tax on it."""
    return amount + round_money(multiply(amount, rate))


def check_cents(amount: Decimal) -> None:
    """Refuse an amount that is not in whole cents."""
    if round_money(amount) != amount:
        raise DomainError("invalid", f"{amount} is not an amount in whole cents.", field="amount")


def _anchor(terms: CoverageTerms) -> date:
    if terms.base == "contract":
        return terms.anchor
    return _MONDAY if terms.cycle.unit in ("day", "week") else date(terms.start.year, 1, 1)
