"""How pages write things down, what stands in the navigation, and that no template breaks the security policy."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone
from django_cotton.compiler_regex import CottonCompiler

from counterfoil.platform.identity import Role
from counterfoil.web import navigation
from counterfoil.web.templatetags import counterfoil as tags

WEB = Path(navigation.__file__).parent
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))


def rendered(source: str, path: str = "/", **context: object) -> str:
    """The HTML of a piece of template, with runs of blanks made one."""
    template = engines["django"].from_string(CottonCompiler().process(source))
    return " ".join(template.render(context, RequestFactory().get(path)).split())


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("0"), "0.00"),
        (Decimal("1234.5"), "1,234.50"),
        (Decimal("1234567.0000"), "1,234,567.00"),
        (Decimal("-12.06"), "(12.06)"),
        (Decimal("-0.001"), "0.00"),
        (None, ""),
    ],
)
def test_amounts_have_two_decimals_and_parentheses_below_zero(value: Decimal | None, written: str) -> None:
    assert tags.money(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("1.000000"), "1"),
        (Decimal("1000.000000"), "1,000"),
        (Decimal("0.500000"), "0.5"),
        (Decimal("100"), "100"),
        (Decimal("1E+3"), "1,000"),
        (Decimal("-2.250000"), "(2.25)"),
    ],
)
def test_quantities_have_no_trailing_zeros(value: Decimal, written: str) -> None:
    assert tags.quantity(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("150.00000000"), "150.00"),
        (Decimal("0.00125000"), "0.00125"),
        (Decimal("-3600"), "(3,600.00)"),
    ],
)
def test_unit_prices_keep_what_they_have_beyond_the_cent(value: Decimal, written: str) -> None:
    assert tags.unit_price(value) == written


@pytest.mark.parametrize(
    ("rate", "written"), [("0.06", "6%"), ("0.0625", "6.25%"), ("1", "100%"), ("0.333333", "33.3333%")]
)
def test_rates_are_written_as_percent(rate: str, written: str) -> None:
    assert tags.percent(Decimal(rate)) == written


def test_dates_are_written_with_the_month_in_letters() -> None:
    assert tags.day(date(2026, 3, 15)) == "15 Mar 2026"
    assert tags.day(datetime(2026, 3, 5, 12, tzinfo=UTC)) == "5 Mar 2026"
    assert tags.moment(datetime(2026, 3, 5, 12, 7, tzinfo=UTC)) == "5 Mar 2026, 12:07"
    assert tags.zoned_moment(datetime(2026, 3, 5, 12, 7, tzinfo=UTC)) == "5 Mar 2026, 12:07 UTC"
    with timezone.override("America/Chicago"):
        assert tags.zoned_moment(datetime(2026, 3, 15, 12, 7, tzinfo=UTC)) == "15 Mar 2026, 07:07 CDT"
    assert tags.zoned_moment(None) == ""


@pytest.mark.parametrize(
    ("start", "end", "written"),
    [
        (date(2026, 3, 1), date(2026, 4, 1), "1–31 Mar 2026"),
        (date(2026, 3, 15), date(2026, 4, 15), "15 Mar – 14 Apr 2026"),
        (date(2026, 12, 15), date(2027, 1, 15), "15 Dec 2026 – 14 Jan 2027"),
        (date(2026, 3, 1), date(2026, 3, 2), "1 Mar 2026"),
        (date(2026, 3, 1), None, "from 1 Mar 2026"),
    ],
)
def test_a_half_open_period_is_shown_with_its_last_day(start: date, end: date | None, written: str) -> None:
    assert tags.period(start, end) == written


def test_what_people_typed_is_escaped_in_components() -> None:
    nasty = "<img src=x onerror='a\"b'>"
    for source in (
        '<c-page-head :title="name" subtitle="{{ name }}" />',
        '<c-fact label="{{ name }}">{{ name }}</c-fact>',
        '<c-confirm action="/x/" label="Go" question="Cancel {{ name }}?" />',
        '<c-field name="a" label="L" value="{{ name }}" :placeholder="name" />',
        '<c-table caption="{{ name }}"><tr></tr></c-table>',
    ):
        html = rendered(source, name=nasty)
        assert "<img" not in re.sub(r'"[^"]*"', '""', html), source
        assert html.count('a"b') == 0, source


def test_a_list_without_rows_says_what_to_do_first() -> None:
    source = (
        '<c-table caption="Orders" :rows="rows">{% for row in rows %}<tr><td>{{ row }}</td></tr>{% endfor %}'
        '<c-slot name="empty"><c-empty-state title="No orders yet" href="/demand/" action="See demand" /></c-slot>'
        "</c-table>"
    )
    assert "No orders yet" in rendered(source, rows=[])
    assert "<table" not in rendered(source, rows=[])
    assert "<td>PO-1</td>" in rendered(source, rows=["PO-1"])
    assert "No orders yet" not in rendered(source, rows=["PO-1"])


def test_sorting_turns_round_and_forgets_the_page() -> None:
    head = '<c-th sort="total">Total</c-th>'
    assert 'href="?state=sent&amp;sort=-total"' in rendered(head, "/?state=sent&sort=total&after=9")
    assert 'aria-sort="ascending"' in rendered(head, "/?sort=total")
    assert 'aria-sort="descending"' in rendered(head, "/?sort=-total")


def test_a_chip_sets_its_filter_and_lifts_it_again() -> None:
    chip = '<c-chip name="state" value="sent">Sent</c-chip>'
    assert 'href="?q=acme&amp;state=sent"' in rendered(chip, "/?q=acme&after=9")
    assert 'href="?q=acme" aria-current="true"' in rendered(chip, "/?q=acme&state=sent")


def test_the_error_of_a_field_stands_beside_it_and_is_read_out_with_it() -> None:
    from django import forms

    class PriceForm(forms.Form):
        price = forms.DecimalField(help_text="Per period.")

    html = rendered('<c-field :field="form.price" />', form=PriceForm({"price": "abc"}))
    assert 'aria-describedby="id_price_help id_price_error"' in html
    assert 'aria-invalid="true"' in html
    assert 'id="id_price_error"' in html
    assert 'value="abc"' in html


def test_a_journal_out_of_balance_is_called_so() -> None:
    line = SimpleNamespace(account_number="1300", account_name="Inventory", debit=Decimal("5"), credit=None)
    entry = SimpleNamespace(number="JE-1", on=date(2026, 1, 5), lines=[line], debit=Decimal("5"), credit=Decimal("4"))
    assert "Out of balance" in rendered('<c-journal :entries="entries" />', entries=[entry])
    entry.credit = Decimal("5.0000")
    assert "Out of balance" not in rendered('<c-journal :entries="entries" />', entries=[entry])


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every item of the navigation at /its-name/, home at /."""
    where = {"web:home": "/", "web:demand": "/purchase-orders/demand/"}
    monkeypatch.setattr(
        navigation, "_address", lambda name: where.get(name, f"/{name.removeprefix('web:').replace('_', '-')}/")
    )


def current(path: str) -> list[str]:
    sections = navigation.links_for(path, frozenset({Role.FINANCE}), {})
    return [link.label for section in sections for link in section.links if link.current]


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/", ["Home"]),
        ("/purchase-orders/", ["Purchase orders"]),
        ("/purchase-orders/3/receive/", ["Purchase orders"]),
        ("/purchase-orders/demand/", ["Demand"]),
        ("/nowhere/", []),
    ],
)
def test_one_place_is_current(path: str, label: list[str]) -> None:
    assert current(path) == label


@pytest.mark.usefixtures("addresses")
def test_counts_of_what_waits_add_up_by_section() -> None:
    sections = navigation.links_for("/", frozenset({Role.VIEWER}), {"demand": 2, "to_receive": 1})
    counts = {section.label: section.count for section in sections}
    assert counts["Buy"] == 3
    assert counts["Stock"] == 0


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(("role", "sees"), [(Role.OWNER, True), (Role.FINANCE, False)])
def test_people_are_managed_by_the_owner_alone(role: Role, sees: bool) -> None:
    labels = [link.label for section in navigation.links_for("/", frozenset({role}), {}) for link in section.links]
    assert ("People" in labels) is sees


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.relative_to(WEB).as_posix())
def test_templates_hold_no_inline_script_style_or_handler(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text)
    assert not re.search(r"<style\b|\sstyle=", text)
    assert not re.search(r"\son[a-z]+=|\shx-on", text)
    assert not re.search(r"(?:src|href)=[\"'](?:https?:)?//", text)


def test_every_icon_named_is_in_the_sprite() -> None:
    sprite = (WEB / "static/vendor/tabler/icons.svg").read_text()
    held = set(re.findall(r'<symbol id="([^"]+)"', sprite))
    named = {section.icon for section in navigation.SECTIONS}
    for template in TEMPLATES:
        named |= set(re.findall(r"{% icon ['\"]([\w-]+)['\"]", template.read_text()))
        named |= set(re.findall(r'icon_name="([\w-]+)"', template.read_text()))
    assert len(named) > 20
    assert named <= held


def test_vendored_files_are_those_recorded() -> None:
    tool = Path(__file__).parents[2] / "tools" / "vendor_assets.py"
    checked = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
