"""The lines of the quote editor as HTML: a quote may have hundreds, and a template takes half a millisecond for each.

A line is bare cells; what sends them, moves them and opens their details is ``quote.js``, once for all of them.
"""

from __future__ import annotations

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from counterfoil.core.money import format_money
from counterfoil.web.quote_rows import LineView
from counterfoil.web.templatetags.counterfoil import quantity, unit_price

register = template.Library()

_EDITABLE = (
    '<li class="{css}" id="line-{pk}" data-line="{pk}">'
    '<button type="button" class="cf-qline-drag" data-drag aria-label="Move {name}"></button>'
    '<div class="cf-qline-name">'
    '<input class="cf-qcell" name="description" value="{name}" aria-label="Description" maxlength="200">'
    '<div class="cf-qline-words" id="words-{pk}">{words}</div></div>'
    '<input class="cf-qcell is-quantity" name="quantity" value="{quantity}" inputmode="decimal"'
    ' aria-label="Quantity of {name}">'
    '<input class="cf-qcell" name="list_price" value="{price}" inputmode="decimal" aria-label="Price of {name}">'
    '<input class="cf-qcell" name="discount" value="{discount}" inputmode="decimal" placeholder="–"'
    ' aria-label="Discount on {name}: 10% or an amount">'
    '<div class="cf-qline-sums" id="sums-{pk}">{sums}</div>{more}</li>'
)
_STILL = (
    '<li class="{css}" id="line-{pk}" data-line="{pk}"><span></span>'
    '<div class="cf-qline-name"><strong>{name}</strong><div class="cf-qline-words">{words}</div></div>'
    '<span class="cf-qline-sums">{quantity}</span><span class="cf-qline-sums">{price}</span>'
    '<span class="cf-qline-sums">{discount}</span><div class="cf-qline-sums">{sums}</div>{more}</li>'
)
_MORE = (
    '<button type="button" class="btn btn-icon btn-ghost cf-qline-more" data-more aria-label="More about {}"></button>'
)
_CHANGED = (
    '<div class="cf-qline-sums" id="sums-{pk}" data-cells data-quantity="{quantity}" data-list_price="{price}"'
    ' data-discount="{discount}" data-description="{name}" hx-swap-oob="true">{sums}</div>'
    '<div class="cf-qline-words" id="words-{pk}" hx-swap-oob="true">{words}{note}</div>'
)


@register.filter
def editable_line(row: LineView) -> SafeString:
    """A line with cells to type in."""
    return format_html(_EDITABLE, css=_css(row), more=format_html(_MORE, row.line.description), **_values(row))


@register.filter
def still_line(row: LineView) -> SafeString:
    """A line as it stands."""
    values = _values(row) | {"discount": row.discount or "–"}
    return format_html(_STILL, css=_css(row), more=format_html(_MORE, row.line.description), **values)


@register.filter
def changed_line(row: LineView) -> SafeString:
    """What a change made of a line, put where it stands; the values of its cells go along."""
    note = format_html('<span class="cf-qnote" role="status">{}</span>', row.note) if row.note else ""
    return format_html(_CHANGED, note=note, **_values(row))


def _css(row: LineView) -> str:
    return f"cf-qline{'' if row.counts else ' is-left-out'}{' is-component' if row.line.bundle_id else ''}"


def _values(row: LineView) -> dict[str, object]:
    return {
        "pk": row.line.pk,
        "name": row.line.description,
        "quantity": quantity(row.line.quantity),
        "price": unit_price(row.line.list_price),
        "discount": row.discount,
        "sums": _sums(row),
        "words": format_html_join("", "<span>{}</span>", ((word,) for word in _words(row))),
    }


def _words(row: LineView) -> list[str]:
    return [row.recurrence, *row.words, *row.explanation]


def _sums(row: LineView) -> SafeString:
    """What a line comes to."""
    each = format_html("<small>{} each</small>", unit_price(row.unit_price)) if row.net_differs else ""
    margin = row.margin
    said = "no margin" if margin is None else f"{margin}% margin"
    css = SafeString(' class="text-danger"') if row.loses else ""
    return format_html("{}{}<small{}>{}</small>", format_money(row.amount), each, css, said)
