"""How Counterfoil writes things down: amounts, quantities, dates, states. Display only; nothing here changes a value.

Loaded in every template (a builtin of the template engine), so pages need no ``{% load %}``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final

from django import template
from django.forms import BoundField, CheckboxInput, RadioSelect, Select, SelectMultiple
from django.http import HttpRequest
from django.template.context import RequestContext
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counterfoil.core.money import format_money, multiply
from counterfoil.core.states import words
from counterfoil.platform.records import plain_number

register = template.Library()

#: States that need somebody's eye. Every other state is shown quietly.
TONES: Final[dict[str, str]] = {
    "blocked": "act",
    "due": "act",
    "exported": "act",
    "not_imported": "act",
    "overdue": "bad",
    "parked": "act",
    "partially_received": "act",
    "to_receive": "act",
    "to_ship": "act",
    "unposted": "act",
    "unbilled": "act",
    "under_billed": "act",
    "over_billed": "act",
    "orphaned": "act",
    "not_reconciled": "act",
    "exact": "good",
    "reconciled": "good",
    "waiting": "act",
    "uncertain": "act",
    "error": "bad",
    "failed": "bad",
    "refused": "bad",
    "accepted": "good",
    "covered": "good",
    "active": "good",
    "confirmed": "good",
    "done": "good",
    "in_service": "good",
    "paid": "good",
    "posted": "good",
    "received": "good",
    "shipped": "good",
    "transferred": "good",
    "won": "good",
    "draft": "faint",
    "written_off": "faint",
    "do_not_bill": "faint",
    "no_charge": "faint",
    "cancelled": "faint",
    "ended": "faint",
    "lost": "faint",
}

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@register.filter
def money(value: Decimal | int | None) -> str:
    """``1,234.50``, below zero ``(1,234.50)``; nothing for ``None``."""
    return "" if value is None or value == "" else format_money(Decimal(value))


@register.filter
def unit_price(value: Decimal | None) -> str:
    """A price or cost of one unit: at least two decimals and no trailing zeros beyond (``0.00125``, ``150.00``)."""
    if value is None or value == "":
        return ""
    whole, _, decimals = _plain(abs(Decimal(value))).partition(".")
    text = f"{whole}.{decimals.ljust(2, '0')}"
    return f"({text})" if value < 0 else text


@register.filter
def quantity(value: Decimal | int | None) -> str:
    """A quantity without trailing zeros: ``3``, ``1,000``, ``0.5``; below zero ``(3)``."""
    if value is None or value == "":
        return ""
    text = _plain(abs(Decimal(value)))
    return f"({text})" if value < 0 else text


@register.filter
def plain(value: Decimal | None) -> str:
    """A number for an input: ``1000``, ``0.5``."""
    return "" if value is None else plain_number(Decimal(value))


@register.filter
def percent(value: Decimal | None) -> str:
    """A rate as people write it: ``0.0625`` is ``6.25%``."""
    return "" if value is None or value == "" else f"{quantity(multiply(Decimal(value), Decimal(100)))}%"


@register.filter
def is_negative(value: Any) -> bool:
    """Whether an amount is below zero."""
    return isinstance(value, Decimal | int) and value < 0


@register.filter
def is_zero(value: Any) -> bool:
    """Whether an amount is nothing (``None`` counts)."""
    return value is None or value == "" or Decimal(value) == 0


@register.filter
def day(value: date | datetime | None) -> str:
    """``15 Mar 2026``. An instant is shown as the day it is in the company's time zone."""
    if not value:
        return ""
    if isinstance(value, datetime):
        value = timezone.localtime(value)
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


@register.filter
def moment(value: datetime | None) -> str:
    """``15 Mar 2026, 14:05`` in the company's time zone."""
    return f"{day(value)}, {timezone.localtime(value):%H:%M}" if value else ""


@register.filter
def zoned_moment(value: datetime | None) -> str:
    """``15 Mar 2026, 14:05 CDT``: for those who need not be where the company is."""
    return f"{moment(value)} {timezone.localtime(value):%Z}" if value else ""


@register.filter
def month(value: date | None) -> str:
    """``Mar 2026``."""
    return f"{MONTHS[value.month - 1]} {value.year}" if value else ""


@register.simple_tag
def period(start: date | None, end: date | None) -> str:
    """A half-open period ``[start, end)`` as people write it: ``1–31 Mar 2026``; open-ended ``from 1 Mar 2026``."""
    if not start:
        return ""
    if not end:
        return f"from {day(start)}"
    last = end - timedelta(days=1)
    if last <= start:
        return day(start)
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day}–{day(last)}"
    if start.year == last.year:
        return f"{start.day} {MONTHS[start.month - 1]} – {day(last)}"
    return f"{day(start)} – {day(last)}"


@register.filter
def state_words(value: str) -> str:
    """A state as it is said: ``in_service`` is *in service*."""
    return words(str(value)) if value else ""


@register.filter
def tone(value: str) -> str:
    """How loudly a state is shown: ``act`` (somebody must), ``bad``, ``good``, ``faint``, or plain."""
    return TONES.get(str(value).lower().replace(" ", "_"), "plain")


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """A decorative icon from the sprite; the names are listed in ``tools/vendor_assets.py``."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', css, sprite(), name
    )


@cache
def sprite() -> str:
    """Address of the icon sprite."""
    return static("vendor/tabler/icons.svg")


_NONE: Final = SafeString('<span class="cf-none" aria-label="none">–</span>')


@register.filter
def amount(value: Decimal | int | None, quiet: str = "") -> SafeString:
    """An amount as ``<c-amount>`` shows it, for tables with hundreds of them; ``|amount:"quiet"`` makes zeros faint."""
    css = "cf-amount is-negative" if is_negative(value) else "cf-amount"
    if quiet and is_zero(value):
        css += " is-zero"
    return format_html('<span class="{}">{}</span>', css, _NONE if value is None or value == "" else money(value))


@register.filter
def cell_html(cell: Any) -> SafeString:
    """A :class:`counterfoil.web.lists.Cell`. A page has hundreds, so no template is rendered for each."""
    column = cell.column
    shown = _CELLS[column.kind](cell.value)
    if cell.url:
        shown = format_html(
            '<a{} href="{}">{}</a>', SafeString(' class="cf-key"' if column.kind == "key" else ""), cell.url, shown
        )
    note = format_html("<small>{}</small>", cell.note) if cell.note else ""
    card = ""
    if column.card_place:
        card = format_html(' data-card="{}" data-label="{}"', column.card_place, column.label)
    return format_html('<td class="{}"{}>{}{}</td>', "is-num" if column.is_numeric else "", card, shown, note)


def _date_cell(value: date | None) -> SafeString:
    return (
        format_html('<time class="cf-date" datetime="{}">{}</time>', value.isoformat(), day(value)) if value else _NONE
    )


def _state_cell(value: Any) -> SafeString | str:
    if not value:
        return ""
    said = state_words(value)
    return format_html('<span class="cf-badge is-{}">{}</span>', tone(value), said[:1].upper() + said[1:])


def _yes_cell(value: Any) -> SafeString | str:
    return format_html('{}<span class="visually-hidden">yes</span>', icon("check")) if value else ""


def _text_cell(value: Any) -> Any:
    return "" if value is None else value


#: How a list writes a value, by the kind of its column.
_CELLS: Final[dict[str, Callable[[Any], Any]]] = {
    "text": _text_cell,
    "key": _text_cell,
    "state": _state_cell,
    "money": amount,
    "price": unit_price,
    "quantity": quantity,
    "percent": percent,
    "date": _date_cell,
    "month": month,
    "moment": moment,
    "yes": _yes_cell,
}


@register.filter
def control(field: BoundField, name: str = "") -> SafeString:
    """A form field's input in our look, tied to its help and errors; ``name`` says what it is where no label stands."""
    widget = field.field.widget
    css = "form-select" if isinstance(widget, Select | SelectMultiple) else "form-control"
    if isinstance(widget, CheckboxInput | RadioSelect):
        css = "form-check-input"
    attrs: dict[str, Any] = {"class": f"{widget.attrs.get('class', '')} {css}".strip()}
    described = [f"{field.id_for_label}_{part}" for part, shown in _notes(field) if shown]
    if field.errors:
        attrs["class"] += " is-invalid"
        attrs["aria-invalid"] = "true"
    if name:
        attrs["aria-label"] = name
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return field.as_widget(attrs=attrs)


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """Whether the label stands after the input."""
    return isinstance(field.field.widget, CheckboxInput)


@register.simple_tag(takes_context=True)
def with_query(context: RequestContext, **changes: Any) -> str:
    """The current page's query string with some parameters changed; an empty value removes one.

    ``<a href="{% with_query sort='number' after='' %}">``
    """
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    for name, value in changes.items():
        query.pop(name, None)
        if value not in (None, ""):
            query[name] = str(value)
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def sort_state(context: RequestContext, key: str) -> dict[str, str]:
    """For a sortable head: ``current`` (``ascending``, ``descending`` or empty) and the ``link`` that turns it."""
    request: HttpRequest = context["request"]
    sort = request.GET.get("sort", "")
    current = {key: "ascending", f"-{key}": "descending"}.get(sort, "")
    query = request.GET.copy()
    query["sort"] = f"-{key}" if current == "ascending" else key
    query.pop("after", None)
    query.pop("before", None)
    return {"current": current, "link": f"?{query.urlencode()}"}


@register.simple_tag(takes_context=True)
def chip_state(context: RequestContext, name: str, value: str) -> dict[str, Any]:
    """For a filter chip: whether it is ``current``, and the ``link`` that sets it (or lifts it when it is set)."""
    request: HttpRequest = context["request"]
    current = request.GET.get(name, "") == str(value)
    query = request.GET.copy()
    for gone in (name, "after", "before"):
        query.pop(gone, None)
    if value and not current:
        query[name] = str(value)
    return {"current": current, "link": f"?{query.urlencode()}"}


def _notes(field: BoundField) -> Iterable[tuple[str, bool]]:
    return (("help", bool(field.help_text)), ("error", bool(field.errors)))


def _plain(value: Decimal) -> str:
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
