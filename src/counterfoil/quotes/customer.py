"""A quote as its customer sees it: no cost, no margin, nothing hidden.

What is hidden is not left out of the amounts: a hidden component's price stands in its bundle's, so that what the
customer sees adds up to the totals. This is what is shown, signed and printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.core.money import ZERO


@dataclass(frozen=True, slots=True)
class CustomerLine:
    """A line of a quote for the customer; amounts before tax, below zero where something is taken away.

    Attributes:
        key: names the line in picks and questions.
        section: key of its section; ``None`` for a line in none.
        description: one line; ``text`` what stands beneath it.
        identifier: of the product.
        quantity: as picked.
        quantity_min: the customer may go down to, ``quantity_max`` up to; both ``None`` for a fixed quantity.
        unit: the unit of measure.
        list_price: per unit before discounts; equal to ``unit_price`` without.
        unit_price: per unit and billing cycle, hidden components rolled up.
        amount: for one billing cycle, or once.
        discount_amount: what discounts took off of it.
        recurrence: ``Once``, ``Monthly``, ``3 years, billed yearly``.
        term: ``year:3``; ``billing_cycle``: ``month:1``, empty for once. As they are quoted, for machines.
        cycles: how many cycles are billed; ``None`` for once, and without an end.
        start: when it begins, in words; empty for what is sold once.
        align_to: the first day after its shortened term, if it is aligned.
        first_amount: of the shortened first period.
        explanation: how a shortened first period or a tier price came about.
        is_usage: the quantity is an estimate.
        optional: may be left; ``choice_group``: of these one is chosen; ``taken``: it is in the totals.
        bundle: key of the bundle it is part of.
        action: ``new``, ``increase``, ``decrease``, ``cancel`` or ``renew``.
        taxable: whether tax applies.
    """

    key: int
    section: int | None
    description: str
    text: str
    identifier: str
    quantity: Decimal
    quantity_min: Decimal | None
    quantity_max: Decimal | None
    unit: str
    list_price: Decimal
    unit_price: Decimal
    amount: Decimal
    discount_amount: Decimal
    recurrence: str
    term: str
    billing_cycle: str
    cycles: int | None
    start: str
    align_to: date | None
    first_amount: Decimal | None
    explanation: tuple[str, ...]
    is_usage: bool
    optional: bool
    choice_group: str
    taken: bool
    bundle: int | None
    action: str
    taxable: bool


@dataclass(frozen=True, slots=True)
class CustomerSection:
    """A section with its lines; the first may have no title and key ``None``: lines in no section."""

    key: int | None
    title: str
    text: str
    lines: tuple[CustomerLine, ...]
    one_time: Decimal
    monthly: Decimal


@dataclass(frozen=True, slots=True)
class CustomerTotals:
    """What is taken comes to.

    Attributes:
        one_time: paid once, before tax; ``monthly``, ``yearly``: what recurs, brought to a month and a year.
        term: recurring lines with an end over all their cycles.
        whole_term: one-time and term.
        open_ended: something recurs without an end.
        first: what falls due at first of what recurs.
        usage_monthly: estimate, in none of the others.
        discount_one_time: what discounts took off the one-time lines, ``discount_monthly``: a month.
        tax_one_time: estimate; ``None`` when there is none. ``tax_recurring``: on the first period.
        deposit: what is asked for in advance.
    """

    one_time: Decimal
    monthly: Decimal
    yearly: Decimal
    term: Decimal
    whole_term: Decimal
    open_ended: bool
    first: Decimal
    usage_monthly: Decimal
    discount_one_time: Decimal
    discount_monthly: Decimal
    tax_one_time: Decimal | None
    tax_recurring: Decimal | None
    deposit: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class CustomerQuote:
    """A version of a quote for its customer.

    Attributes:
        quote: its number; ``version``: the version's; ``version_id`` for links.
        name: what it is about; ``kind``: ``new``, ``change``, ``renewal``, ``coterm``.
        status: of the version; ``content_sha256``: of the content that was sent.
        company: the customer's name; ``contact``: who it is addressed to; ``site``: its address, line by line.
        seller: the MSP's name.
        currency: ISO code.
        sent_on: the day it was sent; ``expires_on``: the last day it can be accepted.
        sections: with lines, in order.
        totals: of what is taken; ``with_options``: if all options were taken, ``None`` when none is left.
        introduction: text before the lines; ``terms_and_conditions``: after them; ``payment_terms``: name.
        ask_code: accepting takes a one-time code.
    """

    version_id: int
    quote: str
    version: int
    name: str
    kind: str
    status: str
    content_sha256: str
    company: str
    contact: str
    site: tuple[str, ...]
    seller: str
    currency: str
    sent_on: date | None
    expires_on: date | None
    introduction: str
    terms_and_conditions: str
    payment_terms: str
    ask_code: bool
    sections: tuple[CustomerSection, ...]
    totals: CustomerTotals
    with_options: CustomerTotals | None = None
