"""A quote on paper: the offer as it was sent, and the accepted one with the record attached.

Both are made of the content that :mod:`counterfoil.quotes.record` writes; nothing else is asked, so the PDF of an
acceptance can say nothing that its record does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from counterfoil.companies.queries import msp_settings
from counterfoil.core.calendar import format_date
from counterfoil.core.money import format_money
from counterfoil.platform.documents import Template, as_svg, render_pdf
from counterfoil.quotes.record import FILE, Content

LOGO: Final = "logo.svg"
SIGNATURE: Final = "signature.svg"
#: Strokes as the page draws them: moves and lines within 600 x 200.
STROKES: Final = re.compile(r"(?:[ML]\d{1,3}(?:\.\d)? \d{1,3}(?:\.\d)?){2,9000}")
TITLES: Final = {"change": "Change quote", "renewal": "Renewal quote", "coterm": "Co-term quote"}

Values = dict[str, Any]


def quote_pdf(offer: Content, *, timestamp: datetime) -> bytes:
    """An offer as PDF/A-3b, to read and pass on; it is not signed."""
    return _pdf(offer, None, timestamp)


def accepted_pdf(content: Content, record: bytes, *, timestamp: datetime) -> bytes:
    """An accepted quote as PDF/A-3b with its record attached, before it is signed.

    Args:
        content: what ``record`` says.
        record: the canonical JSON, attached byte for byte.
        timestamp: when it was accepted.
    """
    return _pdf(content, record, timestamp)


def signature_svg(path: str) -> bytes:
    """Drawn strokes as a picture."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 200" width="600" height="200">'
        f'<path d="{path}" fill="none" stroke="#16202a" stroke-width="3" stroke-linecap="round" '
        'stroke-linejoin="round"/></svg>'
    ).encode()


def _pdf(content: Content, record: bytes | None, timestamp: datetime) -> bytes:
    settings = msp_settings()
    files = {LOGO: as_svg(bytes(settings.logo), settings.logo_type)} if settings.logo else {}
    accepted = content.get("acceptance")
    if accepted and accepted["signature"]["kind"] == "drawn":
        files[SIGNATURE] = signature_svg(accepted["signature"]["value"])
    if record is not None:
        files[FILE] = record
    values = _values(content) | {
        "brand": settings.brand_colour,
        "paper": settings.paper,
        "logo": LOGO if settings.logo else "",
        "footer": settings.invoice_footer,
        "record": FILE if record is not None else "",
    }
    return render_pdf(Template.QUOTE, values, timestamp=timestamp, files=files)


def _values(content: Content) -> Values:
    """What ``quote.typ`` is filled with."""
    quote, totals = content["quote"], content["totals"]
    accepted = content.get("acceptance")
    return {
        "sender": {
            "name": content["seller"]["name"],
            "lines": [*content["seller"]["address"], *filter(None, [" · ".join(content["seller"]["reach"])])],
        },
        "title": TITLES.get(quote["kind"], "Quote"),
        "number": quote["number"],
        "subtitle": f"Version {quote['version']}" + (", accepted" if accepted else ""),
        "name": quote["name"],
        "mark": "",
        "keywords": [quote["number"], content["customer"]["name"]],
        "currency": quote["currency"],
        "customer": {
            "name": content["customer"]["name"],
            "lines": [*filter(None, [content["customer"]["contact"]]), *content["customer"]["address"]],
        },
        "facts": [[name, value] for name, value in _facts(content) if value],
        "asks": _asks(totals),
        "text": quote["introduction"],
        "groups": [_group(section) for section in content["sections"]],
        "sums": list(_sums(totals)),
        "terms": content["terms_and_conditions"],
        "accepted": _acceptance(accepted) if accepted else None,
    }


def _facts(content: Content) -> Iterable[tuple[str, str]]:
    quote = content["quote"]
    yield "Sent", _day(quote["sent_on"])
    yield "Valid until", _day(quote["expires_on"])
    yield "Payment", quote["payment_terms"]
    if accepted := content.get("acceptance"):
        yield "Accepted", _moment(accepted["accepted_at"])
        yield "Your PO", accepted["customer_po"]


def _asks(totals: Content) -> list[Values]:
    """The figures one looks for first; at least one."""
    found = [("Once", totals["one_time"])]
    if Decimal(totals["first_period"]) != Decimal(totals["monthly"]):  # prepaid, or shortened at first
        found.append(("First bill of what recurs", totals["first_period"]))
    found.append(("A month", totals["monthly"]))
    if Decimal(totals["term"]):
        found.append(("Over the whole term", totals["whole_term"]))
    shown = [(name, amount) for name, amount in found if Decimal(amount)] or found[:1]
    return [{"name": name, "amount": _amount(amount)} for name, amount in shown]


def _group(section: Content) -> Values:
    return {
        "heading": section["title"],
        "text": section["text"],
        "lines": [_line(line) for line in section["lines"]],
    }


def _line(line: Content) -> Values:
    return {
        "description": line["description"],
        "notes": list(_notes(line)),
        "quantity": " ".join(filter(None, (_number(line["quantity"]), _unit(line["unit"])))),
        "price": _price(line["unit_price"]),
        "amount": _amount(line["amount"]),
        "recurrence": line["recurrence"],
        "taken": line["taken"],
        "inside": line["bundle"] is not None,
    }


def _notes(line: Content) -> Iterable[str]:
    if line["text"]:
        yield line["text"]
    when = f"from {line['start']}" if line["start"][:1].isdigit() else line["start"].lower()
    yield " · ".join(filter(None, (line["recurrence"], when and f"begins {when}" if line["billing_cycle"] else "")))
    if Decimal(line["discount"]):
        yield f"{_price(line['list_price'])} before discounts"
    if line["first_amount"] is not None:
        yield f"first period {_amount(line['first_amount'])}"
    yield from line["explanation"]
    if not line["taken"]:
        yield "Offered, not taken"
    elif line["choice_group"]:
        yield f"{line['choice_group']}: chosen"
    if line["usage"]:
        yield "Billed by what is used; this is an estimate"


def _sums(totals: Content) -> Iterable[Values]:
    rows = [
        ("Once, before tax", totals["one_time"]),
        ("Estimated tax on it", totals["tax_estimate_one_time"]),
        ("A month", totals["monthly"]),
        ("A year", totals["yearly"]),
        ("First period of what recurs", totals["first_period"]),
        ("Estimated tax on it", totals["tax_estimate_first_period"]),
        ("Usage, estimated, a month", totals["usage_monthly"]),
        ("Whole term", totals["whole_term"] if Decimal(totals["term"]) else None),
        ("Deposit on acceptance", totals["deposit"]),
    ]
    for name, amount in rows:
        if amount is not None and Decimal(amount):
            yield {"name": name, "amount": _amount(amount)}


def _acceptance(accepted: Content) -> Values:
    signature = accepted["signature"]
    by_code = ", confirmed by a code" if accepted["email_verified_by_code"] else ""
    facts = [
        ("Name", accepted["name"]),
        ("Title", accepted["title"]),
        ("E-mail", f"{accepted['email']}{by_code}"),
        ("When", _moment(accepted["accepted_at"])),
        ("From", accepted["ip_address"] or ""),
        ("Browser", accepted["user_agent"][:120]),
    ]
    return {
        "consent": accepted["consent"],
        "typed": signature["value"] if signature["kind"] == "typed" else "",
        "drawn": SIGNATURE if signature["kind"] == "drawn" else "",
        "facts": [[name, value] for name, value in facts if value],
    }


# -- words -------------------------------------------------------------------------------------------------------------


def _day(text: str | None) -> str:
    return format_date(date.fromisoformat(text)) if text else ""


def _moment(text: str) -> str:
    """The instant in the MSP's time zone, with its offset."""
    local = datetime.fromisoformat(text).astimezone(ZoneInfo(msp_settings().time_zone))
    return f"{format_date(local.date())}, {local:%H:%M:%S} {local:%Z}"


def _amount(text: str) -> str:
    return format_money(Decimal(text))


def _number(text: str) -> str:
    whole, _, decimals = text.partition(".")
    return f"{int(whole):,}" + (f".{decimals}" if decimals else "")


def _unit(unit: str) -> str:
    """A unit of measure, unless it goes without saying."""
    return "" if unit.lower() in {"each", "ea", "unit"} else unit


def _price(text: str) -> str:
    whole, _, decimals = text.partition(".")
    return f"{int(whole):,}.{decimals.ljust(2, '0')}"
