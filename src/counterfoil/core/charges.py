"""What recurring billing is told and what it answers: terms, charges with their history, what is booked, bills."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from counterfoil.core.calendar import Cycle, CycleBase, Period
from counterfoil.core.money import ZERO, sum_money
from counterfoil.core.proration import ProrationMethod

Timing = Literal["advance", "arrears"]
Credits = Literal["none", "next_invoice", "credit_memo"]
Changes = Literal["next_invoice", "immediately"]
BillKind = Literal["period", "adjustment", "credit_memo"]


@dataclass(frozen=True, slots=True)
class Terms:
    """How an agreement is billed.

    Args:
        cycle: how often.
        anchor: the first day billed; periods are counted from it.
        base: ``contract`` counts periods from the anchor, ``calendar`` cuts them at the calendar's boundaries.
        timing: whether a period falls due on its first day (``advance``) or its last (``arrears``).
        prorate: whether parts of a period are charged in part. If not, a charge that begins within a period is billed
            from the next one on, in full; one that also ends before that is billed in full, once.
        prorate_first_bill: whether the short first period of a calendar base is charged in part.
        method: how parts are measured.
        last_day: the last day billed: the end or the cancellation, whichever comes first.
        one_time: every charge is billed once and in full, with the period in which it begins, at the terms it has then.
        credits: what becomes of time that was billed and is no longer due. ``none``: nothing is given back.
            ``next_invoice``: lines below zero on the next invoice, or a credit memo where they would bring it below
            zero. ``credit_memo``: a credit memo at once.
        changes: whether charges for periods already billed wait for the next invoice or are billed at once.
    """

    cycle: Cycle
    anchor: date
    base: CycleBase = "contract"
    timing: Timing = "advance"
    prorate: bool = True
    prorate_first_bill: bool = True
    method: ProrationMethod = ProrationMethod.ACTUAL_DAYS
    last_day: date | None = None
    one_time: bool = False
    credits: Credits = "none"
    changes: Changes = "next_invoice"


class Step(NamedTuple):
    """What a charge is from ``start`` on, until its next step.

    ``quantity`` is the billed one: less what is included, never negative. Price and cost are per unit and cycle;
    ``cost_quantity`` is what the cost counts, if that differs from what is billed.
    """

    start: date
    quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal = ZERO
    cost_quantity: Decimal | None = None

    @property
    def units_of_cost(self) -> Decimal:
        """How many units bear the cost."""
        return self.quantity if self.cost_quantity is None else self.cost_quantity


class Charge(NamedTuple):
    """One thing billed each period: its steps, oldest first, from ``effective`` through ``last_day``.

    The first step reaches back to ``effective``. What is not charged for has a price of zero.
    """

    key: Hashable
    steps: tuple[Step, ...]
    effective: date
    last_day: date | None = None


@dataclass(frozen=True, slots=True)
class OneOff:
    """An amount billed once, with the first bill that falls due on or after ``on``."""

    key: Hashable
    on: date
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    cost: Decimal
    words: str


@dataclass(frozen=True, slots=True)
class Booked:
    """A line that an invoice (drafts included) or a credit memo carries: a :class:`BilledItem` as it was stored.

    ``period_start`` is the first day of its grid period; ``start`` and ``end`` are its service days, half-open.
    ``by_hand`` marks a credit that somebody gave: it stays given, is not billed again, and is not given back twice.
    """

    key: Hashable
    period_start: date
    amount: Decimal
    cost: Decimal
    quantity: Decimal
    unit_price: Decimal
    start: date
    end: date
    by_hand: bool = False


class BilledItem(NamedTuple):
    """One line of a bill.

    ``period`` is the grid period it belongs to, ``service`` the days it charges. ``unit_price`` is prorated, at eight
    places; ``amount`` and ``cost`` are to the cent, below zero for a credit. ``prorated_from`` is the day a charge for
    part of a period begins, where that is later than the period.
    """

    key: Hashable
    period: Period
    service: Period
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    cost: Decimal
    explanation: str
    prorated_from: date | None = None
    is_credit: bool = False


class Bill(NamedTuple):
    """A bill to be made: for a period, for differences on their own, or a credit memo (amounts below zero)."""

    kind: BillKind
    period: Period | None
    items: tuple[BilledItem, ...]

    @property
    def amount(self) -> Decimal:
        """What its lines come to, before tax."""
        return sum_money(item.amount for item in self.items)
