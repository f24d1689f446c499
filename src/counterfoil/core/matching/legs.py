"""The legs of a thread as plain values, and what the match answers with.

Legs are tuples: a hundred thousand threads are made of them, straight from the columns they are loaded from.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple

#: Names of the legs, as exceptions and pages say them.
LEGS: Final[dict[str, str]] = {
    "quote": "Quote",
    "agreement": "Agreement",
    "order": "Sales order",
    "purchase": "Purchase order",
    "receipt": "Receipt",
    "bill": "Vendor bill",
    "invoice": "Invoice",
    "shipment": "Shipment",
}

#: Product classes that are bought as goods: received before their bill is due.
GOODS: Final = frozenset({"Inventory", "NonInventory"})


class QuoteLeg(NamedTuple):
    """A line as the customer accepted it.

    ``converted`` is what it was converted to, if it was; ``addition_id`` the addition that its ``action`` changes.
    """

    id: int
    label: str
    product_id: int
    product: str
    product_class: str
    category_id: int | None
    company_id: int
    quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    term: str
    billing_cycle: str
    cycles: int | None
    is_usage: bool
    has_price_model: bool
    start: date | None
    align_to: date | None
    currency: str
    action: str
    converted: str
    addition_id: int | None = None


class AgreementLeg(NamedTuple):
    """An addition, with its agreement's billing cycle. ``ends`` is its last day.

    ``in_whole_periods``: a period that it runs in is billed in full.
    """

    origin_id: int
    id: int
    label: str
    agreement_id: int
    product_id: int
    product: str
    quantity: Decimal
    less_included: Decimal
    unit_price: Decimal
    billing_option: str
    term: str
    billing_cycle: str
    in_arrears: bool
    start: date
    cancelled: date | None
    ends: date | None
    active: bool
    purchase_item: bool
    in_whole_periods: bool = False


class ChangeLeg(NamedTuple):
    """What holds of an addition from a day on; the first keeps what it began with. ``origin_id`` is that of a quote."""

    addition_id: int
    origin_id: int | None
    start: date
    quantity: Decimal
    less_included: Decimal
    unit_price: Decimal


class AskedLeg(NamedTuple):
    """What an accepted line asks of an addition that runs: so many more or fewer from a day on, or a renewal.

    ``apart`` says that it became an addition of its own instead: more at another price, or billed otherwise.
    """

    addition_id: int
    id: int
    action: str
    quantity: Decimal
    unit_price: Decimal
    start: date
    term: str
    billing_cycle: str
    cycles: int | None
    align_to: date | None
    apart: bool


class OrderLeg(NamedTuple):
    """A sales order line that descends from the line."""

    origin_id: int
    id: int
    label: str
    order_id: int
    product_id: int
    product: str
    quantity: Decimal
    unit_price: Decimal
    term: str
    billing_cycle: str
    start: date | None


class PurchaseLeg(NamedTuple):
    """A purchase order line; its quantity is what of it is not cancelled. ``end`` is its last day."""

    origin_id: int | None
    id: int
    label: str
    purchase_order_id: int
    vendor_id: int
    product_id: int
    product: str
    product_class: str
    category_id: int | None
    company_id: int | None
    quantity: Decimal
    unit_cost: Decimal
    term: str
    billing_cycle: str
    start: date | None
    end: date | None
    status: str


class ReceiptLeg(NamedTuple):
    """What arrived of a purchase order line."""

    purchase_order_line_id: int
    id: int
    label: str
    product_id: int
    product: str
    quantity: Decimal


class BillLeg(NamedTuple):
    """What a vendor bills of a purchase order line."""

    purchase_order_line_id: int
    id: int
    label: str
    bill_id: int
    date: date
    quantity: Decimal
    unit_cost: Decimal
    amount: Decimal


class InvoiceLeg(NamedTuple):
    """A line of an invoice that stands (neither reversed nor credited). ``whole`` bills its invoice's whole period.

    Service days are half-open. What is ``closed`` never changes again: what was changed since is caught up on; not so a
    price that somebody entered by hand.
    """

    origin_id: int
    id: int
    label: str
    invoice_id: int
    addition_id: int | None
    order_line_id: int | None
    product_id: int | None
    product: str
    quantity: Decimal
    unit_price: Decimal
    billing_cycle: str
    period_start: date | None
    service_start: date | None
    service_end: date | None
    regular: bool
    whole: bool
    closed: bool = False
    priced_by_hand: bool = False


_LEG_OF: Final[dict[type, str]] = {
    QuoteLeg: "quote",
    AgreementLeg: "agreement",
    OrderLeg: "order",
    PurchaseLeg: "purchase",
    InvoiceLeg: "invoice",
}


Leg = QuoteLeg | AgreementLeg | OrderLeg | PurchaseLeg | InvoiceLeg


def leg_of(line: Leg) -> str:
    """The name of the leg that a line is."""
    return _LEG_OF[type(line)]


@dataclass(frozen=True, slots=True)
class QuoteThread:
    """A quoted line with everything that descends from it.

    ``changes`` are those of its additions, oldest first. ``changed`` is the addition that a line of a change quote
    changes, with its ``history``. ``asked`` is what accepted lines ask of any of them, in the order of acceptance.
    """

    quote: QuoteLeg
    agreements: tuple[AgreementLeg, ...] = ()
    changes: tuple[ChangeLeg, ...] = ()
    changed: AgreementLeg | None = None
    history: tuple[ChangeLeg, ...] = ()
    asked: tuple[AskedLeg, ...] = ()
    orders: tuple[OrderLeg, ...] = ()
    purchases: tuple[PurchaseLeg, ...] = ()
    invoices: tuple[InvoiceLeg, ...] = ()
    received_serials: frozenset[str] = frozenset()
    shipped_serials: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PurchaseThread:
    """A purchase order line with what arrived and what the vendor bills of it; without one, a bill for nothing."""

    purchase: PurchaseLeg | None
    receipts: tuple[ReceiptLeg, ...] = ()
    bills: tuple[BillLeg, ...] = ()


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two legs.

    ``monthly`` is what it costs us a month, below zero what we gain; ``over_term`` the same over the term, over twelve
    months for what has no end, or once. ``line_id`` is the line of the actual leg, where there is one.
    """

    code: str
    expected_leg: str
    actual_leg: str
    expected: str
    actual: str
    message: str
    what_to_do: str
    monthly: Decimal
    over_term: Decimal
    line_id: int | None = None
