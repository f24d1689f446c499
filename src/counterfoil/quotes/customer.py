"""A quote as its customer sees it: no cost, no margin, nothing hidden.

What is hidden is not left out of the amounts: a hidden component's price stands in its bundle's, so that what the
customer sees adds up to the totals. This is what is shown, signed and printed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from counterfoil.companies.queries import local_date, msp_settings, my_company
from counterfoil.core.calendar import format_date
from counterfoil.core.money import ZERO, round_to, sum_money
from counterfoil.core.pricing.terms import term_words
from counterfoil.core.quoting import PricedLine, PricedQuote, TaxEstimate, Totals
from counterfoil.quotes.models import QuoteLine, QuoteVersion, StartPolicy
from counterfoil.quotes.pricing import Picks, lines_of, price_version

DAY: Final = timedelta(days=1)


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


def customer_view(version: QuoteVersion, picks: Picks | None = None, *, on: date | None = None) -> CustomerQuote:
    """What the customer sees of a version, as it is quoted or as they pick.

    Args:
        version: in any state; whether it may be shown is the caller's to decide.
        picks: the customer's.
        on: the day for the tax estimate; without it there is none.

    Raises:
        DomainError: as :func:`counterfoil.quotes.pricing.price_version`.
    """
    return view_of(version, price_version(version, picks, on=on))


def view_of(version: QuoteVersion, priced: PricedQuote) -> CustomerQuote:
    """What the customer sees of a version that is priced already."""
    quote, opportunity = version.quote, version.quote.opportunity
    settings, seller = msp_settings(), my_company()
    company = opportunity.company if opportunity else None
    contact = version.contact or (opportunity.contact if opportunity else None)
    site = version.site or (opportunity.site if opportunity else None)
    if site is None and company is not None:
        site = company.sites.first()  # the default one
    return CustomerQuote(
        version_id=version.pk,
        quote=quote.number,
        version=version.number,
        name=quote.name,
        kind=quote.kind,
        status=version.status,
        content_sha256=version.content_sha256,
        company=company.name if company else "",
        contact=contact.name if contact else "",
        site=tuple(site.address_lines) if site else (),
        seller=settings.legal_name or (seller.name if seller else ""),
        currency=version.currency,
        sent_on=None if version.sent_at is None else local_date(version.sent_at),
        expires_on=version.expires_on,
        introduction=version.introduction,
        terms_and_conditions=version.terms_and_conditions,
        payment_terms=version.terms.name if version.terms else "",
        ask_code=version.ask_code,
        sections=_sections(version, priced),
        totals=_totals(priced.totals, priced.tax, priced.deposit),
        with_options=None if priced.with_options is None else _totals(priced.with_options, None, ZERO),
    )


def _sections(version: QuoteVersion, priced: PricedQuote) -> tuple[CustomerSection, ...]:
    shown = _shown_lines(lines_of(version), {line.key: line for line in priced.lines})
    titles = {section.pk: (section.title, section.text) for section in version.sections.all()}
    found = []
    for totals in priced.sections:
        title, text = titles.get(totals.key or 0, ("", ""))
        lines = tuple(line for line in shown if line.section == totals.key)
        if lines or totals.one_time or totals.monthly:
            found.append(CustomerSection(totals.key, title, text, lines, totals.one_time, totals.monthly))
    return tuple(found)


def _shown_lines(lines: Iterable[QuoteLine], priced: Mapping[int, PricedLine]) -> list[CustomerLine]:
    """The lines that are not hidden; the amounts of hidden components stand in their bundle's."""
    shown: dict[int, CustomerLine] = {}
    hidden: dict[int, list[PricedLine]] = {}
    for line in lines:
        if not line.hidden:
            shown[line.pk] = _line(line, priced[line.pk])
        elif line.bundle_id is not None:
            hidden.setdefault(line.bundle_id, []).append(priced[line.pk])
    for bundle_id, parts in hidden.items():
        if any(part.list_amount for part in parts) and bundle_id in shown:
            shown[bundle_id] = _with_hidden(shown[bundle_id], parts)
    return list(shown.values())


def _with_hidden(bundle: CustomerLine, parts: Iterable[PricedLine]) -> CustomerLine:
    within = list(parts)
    amount = sum_money([bundle.amount, *(part.amount for part in within)])
    off = sum_money([bundle.discount_amount, *(part.discount_amount for part in within)])
    return replace(
        bundle,
        list_price=_each(sum_money([amount, off]), bundle.quantity),
        unit_price=_each(amount, bundle.quantity),
        amount=amount,
        discount_amount=off,
        explanation=(),
    )


def _each(amount: Decimal, quantity: Decimal) -> Decimal:
    return round_to(Fraction(amount) / Fraction(quantity), 8)


def _line(line: QuoteLine, priced: PricedLine) -> CustomerLine:
    open_to_change = line.quantity_min is not None or line.quantity_max is not None
    said = priced.explanation if line.price_model_id else ()
    return CustomerLine(
        key=line.pk,
        section=line.section_id,
        description=line.description,
        text=line.customer_text,
        identifier=line.product.identifier,
        quantity=priced.quantity,
        quantity_min=(line.quantity if line.quantity_min is None else line.quantity_min) if open_to_change else None,
        quantity_max=(line.quantity if line.quantity_max is None else line.quantity_max) if open_to_change else None,
        unit=line.product.unit_of_measure,
        list_price=priced.list_price,
        unit_price=priced.unit_price,
        amount=priced.amount,
        discount_amount=priced.discount_amount,
        recurrence=recurrence_words(line),
        term=line.term,
        billing_cycle=line.billing_cycle,
        cycles=priced.cycles,
        start=start_words(line),
        align_to=line.align_to,
        first_amount=priced.first_amount,
        explanation=(*said, line.explanation) if line.explanation else said,
        is_usage=line.is_usage,
        optional=line.optional,
        choice_group=line.choice_group,
        taken=priced.counts,
        bundle=line.bundle_id,
        action=line.action,
        taxable=line.taxable,
    )


def recurrence_words(line: QuoteLine) -> str:
    """``Once``; ``1 year, billed monthly``; ``3 years, prepaid``; ``Billed monthly``."""
    words = term_words(line.term, line.billing_cycle)
    if line.cycles and not line.term:
        words += f", {line.cycles} times"
    return words[:1].upper() + words[1:]


def start_words(line: QuoteLine) -> str:
    """When a recurring line begins (``On acceptance``, ``1 Feb 2026``), and when an aligned one ends."""
    if not line.billing_cycle:
        return ""
    if line.start_date is not None:
        begins = format_date(line.start_date)
    else:
        begins = "On delivery" if line.start_policy == StartPolicy.ON_DELIVERY else "On acceptance"
    return begins if line.align_to is None else f"{begins}, until {format_date(line.align_to - DAY)}"


def _totals(totals: Totals, tax: TaxEstimate | None, deposit: Decimal) -> CustomerTotals:
    return CustomerTotals(
        one_time=totals.one_time.price,
        monthly=totals.monthly.price,
        yearly=totals.yearly.price,
        term=totals.term.price,
        whole_term=totals.whole_term.price,
        open_ended=totals.open_ended,
        first=totals.first,
        usage_monthly=totals.usage_monthly.price,
        discount_one_time=totals.one_time.discount,
        discount_monthly=totals.monthly.discount,
        tax_one_time=None if tax is None else tax.one_time,
        tax_recurring=None if tax is None else tax.recurring,
        deposit=deposit,
    )
