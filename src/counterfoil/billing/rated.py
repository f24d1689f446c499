"""Rated invoices: what will be written, as plain values in the order of the columns they are copied to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from counterfoil.core.errors import DomainError

if TYPE_CHECKING:
    from counterfoil.billing.columns import LastInvoice

NOTHING: Final = Decimal(0)


class RatedLine(NamedTuple):
    """A line; its fields are columns of :class:`counterfoil.billing.models.InvoiceLine`."""

    position: int
    kind: str
    product_id: int | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    cost: Decimal
    relieves_stock: bool
    taxable: bool
    tax_amount: Decimal
    explanation: str
    covered_quantity: Decimal
    covered_amount: Decimal
    released_amount: Decimal
    hidden: bool
    deferred: bool
    agreement_id: int | None
    addition_id: int | None
    period_start: date
    period_end: date
    service_start: date
    service_end: date
    charge_id: int | None
    origin_id: int | None


class RatedTax(NamedTuple):
    """A level of tax; its fields are columns of :class:`counterfoil.billing.models.InvoiceTax`."""

    position: int
    level: str
    agency: str
    rate: Decimal
    taxable_amount: Decimal
    exempt_amount: Decimal
    amount: Decimal


@dataclass(slots=True)
class RatedInvoice:
    """An invoice or credit memo that is not written yet.

    ``types`` are the types of the agreement and its children, by id; ``prefix`` is that of the type's own numbers.
    ``nets`` is what it books by account, and ``books`` the same in words, once somebody has looked it up.
    """

    agreement_id: int
    agreement: str
    types: dict[int, int]
    prefix: str
    type: str
    company_id: int
    bill_to_id: int
    bill_to_kind: str
    bill_to_name: str
    bill_to_address: str
    attention: str
    site_id: int | None
    date: dt.date
    due_date: dt.date
    terms_name: str
    period_start: dt.date
    period_end: dt.date
    revision: int
    is_adjustment: bool
    reissues_id: int | None
    customer_po: str
    top_comment: str
    tax_code_id: int | None
    subtotal: Decimal
    tax_total: Decimal
    total: Decimal
    cost_total: Decimal
    lines: Sequence[RatedLine]
    taxes: Sequence[RatedTax]
    books: str = ""
    nets: dict[str, Decimal] | None = None


class StateAfter(NamedTuple):
    """How an agreement stands once its invoices are written; ``was_parked``: it is not any more."""

    agreement_id: int
    next_period: int
    due_on: date | None
    changed_from: date | None
    was_parked: bool


class Parked(NamedTuple):
    """An agreement that cannot be billed, and why."""

    agreement_id: int
    agreement: str
    reason: DomainError


@dataclass(slots=True)
class Rating:
    """What some agreements come to. ``last`` is what each was billed before, by agreement."""

    invoices: list[RatedInvoice] = field(default_factory=list)
    states: list[StateAfter] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)
    last: dict[int, LastInvoice] = field(default_factory=dict)
