"""The legal record of an acceptance: what was offered, what was picked, who accepted it, as one canonical JSON text.

Everything in it is what the customer saw (:mod:`counterfoil.quotes.customer`), in words and figures that stand on
their own: no number of it has to be looked up. Amounts are texts. The PDF is made of this content and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from counterfoil.companies.models import Company, Site
from counterfoil.companies.queries import msp_settings, my_company
from counterfoil.core.canonical import canonical_json
from counterfoil.platform.models import AuditHead
from counterfoil.platform.records import plain_number
from counterfoil.quotes.customer import CustomerLine, CustomerQuote, CustomerSection, CustomerTotals
from counterfoil.quotes.models import QuoteVersion

#: Says which form a record has; it changes when the form does.
FORMAT: Final = "counterfoil/acceptance/1"
#: The name under which the record is attached to its PDF.
FILE: Final = "record.json"

Content = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """How somebody accepted.

    Attributes:
        name: who; ``title`` and ``email`` as given.
        customer_po: the customer's purchase order number.
        consent: the sentence that was agreed to.
        signature_kind: ``typed`` or ``drawn``; ``signature`` the typed name, or the strokes as an SVG path.
        code_verified: a one-time code sent to ``email`` was entered.
        accepted_at: when, aware.
        ip_address: from where; ``user_agent``: with which browser.
        link: number of the link it was done by; ``link_made_for`` whom that was made for.
    """

    name: str
    title: str
    email: str
    customer_po: str
    consent: str
    signature_kind: str
    signature: str
    code_verified: bool
    accepted_at: datetime
    ip_address: str | None
    user_agent: str
    link: int
    link_made_for: str


def offer_of(version: QuoteVersion, view: CustomerQuote) -> Content:
    """What is offered, as it goes into the record and onto paper: plain values, amounts as texts."""
    opportunity = version.quote.opportunity
    return {
        "seller": _seller(view),
        "customer": {
            "name": view.company,
            "contact": view.contact,
            "account_number": opportunity.company.account_number if opportunity else "",
            "address": list(view.site),
        },
        "quote": {
            "number": view.quote,
            "version": view.version,
            "name": view.name,
            "kind": view.kind,
            "currency": view.currency,
            "sent_on": view.sent_on and view.sent_on.isoformat(),
            "expires_on": view.expires_on and view.expires_on.isoformat(),
            "payment_terms": view.payment_terms,
            "introduction": view.introduction,
            "content_sha256": view.content_sha256,
        },
        "sections": [_section(section) for section in view.sections if section.lines],
        "totals": _totals(view.totals),
        "terms_and_conditions": view.terms_and_conditions,
    }


def record_of(offer: Content, signed: Signed) -> bytes:
    """The record, as canonical JSON (RFC 8785).

    It names the newest entry of the audit trail at this moment: it was made after that one, and before the one that
    keeps its hash.
    """
    head = AuditHead.objects.filter(id=1).first()
    return canonical_json(
        {
            "format": FORMAT,
            **offer,
            "acceptance": {
                "name": signed.name,
                "title": signed.title,
                "email": signed.email,
                "email_verified_by_code": signed.code_verified,
                "customer_po": signed.customer_po,
                "consent": signed.consent,
                "signature": {"kind": signed.signature_kind, "value": signed.signature},
                "accepted_at": signed.accepted_at.astimezone(UTC).isoformat(timespec="milliseconds"),
                "ip_address": signed.ip_address,
                "user_agent": signed.user_agent,
                "link": {"number": signed.link, "made_for": signed.link_made_for},
            },
            "previous_audit_entry": {"seq": head.seq if head else 0, "hash": head.hash if head else "0" * 64},
        }
    )


# -- parts -------------------------------------------------------------------------------------------------------------


def _seller(view: CustomerQuote) -> Content:
    settings, company = msp_settings(), my_company()
    reach = (company.phone, settings.reply_to, company.website) if company else ()
    return {"name": view.seller, "address": _address(company), "reach": [each for each in reach if each]}


def _address(company: Company | None) -> Sequence[str]:
    site: Site | None = company.sites.first() if company else None
    return site.address_lines if site else []


def _section(section: CustomerSection) -> Content:
    return {
        "title": section.title,
        "text": section.text,
        "lines": [_line(line) for line in section.lines],
    }


def _line(line: CustomerLine) -> Content:
    return {
        "line": line.key,
        "bundle": line.bundle,
        "product": line.identifier,
        "description": line.description,
        "text": line.text,
        "action": line.action,
        "quantity": plain_number(line.quantity),
        "quantity_min": None if line.quantity_min is None else plain_number(line.quantity_min),
        "quantity_max": None if line.quantity_max is None else plain_number(line.quantity_max),
        "unit": line.unit,
        "list_price": plain_number(line.list_price),
        "unit_price": plain_number(line.unit_price),
        "discount": _money(line.discount_amount),
        "amount": _money(line.amount),
        "recurrence": line.recurrence,
        "term": line.term,
        "billing_cycle": line.billing_cycle,
        "cycles": line.cycles,
        "start": line.start,
        "aligned_to": line.align_to and line.align_to.isoformat(),
        "first_amount": None if line.first_amount is None else _money(line.first_amount),
        "explanation": list(line.explanation),
        "usage": line.is_usage,
        "optional": line.optional,
        "choice_group": line.choice_group,
        "taken": line.taken,
        "taxable": line.taxable,
    }


def _totals(totals: CustomerTotals) -> Content:
    return {
        "one_time": _money(totals.one_time),
        "monthly": _money(totals.monthly),
        "yearly": _money(totals.yearly),
        "term": _money(totals.term),
        "whole_term": _money(totals.whole_term),
        "open_ended": totals.open_ended,
        "first_period": _money(totals.first),
        "usage_monthly": _money(totals.usage_monthly),
        "tax_estimate_one_time": None if totals.tax_one_time is None else _money(totals.tax_one_time),
        "tax_estimate_first_period": None if totals.tax_recurring is None else _money(totals.tax_recurring),
        "deposit": _money(totals.deposit),
    }


def _money(amount: Decimal) -> str:
    """To the cent: ``3600.00``, ``-12.50``."""
    whole, _, decimals = plain_number(amount).partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"
