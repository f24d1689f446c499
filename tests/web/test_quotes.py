"""The quote editor and the pages around it, through the real commands."""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal as D

import pytest
from django.test import Client
from django.urls import reverse
from tests.accepted import TODAY, accepted, by, convert, m365
from tests.web.pages import sign_in
from tests.world import SALES, World

from counterfoil.platform.identity import Role
from counterfoil.platform.models import AuditEntry
from counterfoil.quotes.commands import (
    add_section,
    create_quote,
    update_section,
    update_version,
    update_version_line,
)
from counterfoil.quotes.models import ApprovalRule, Quote, QuoteLine, QuoteSection, QuoteVersion
from counterfoil.quotes.pricing import price_version
from counterfoil.quotes.seen import SeenSection

pytestmark = pytest.mark.django_db


def new_quote(client: Client, name: str = "Server lease") -> Quote:
    answer = client.post(reverse("web:quote_new"), {"company_id": "Acme Corp", "name": name, "template_id": ""})
    assert answer.status_code == 302
    return Quote.objects.get(name=name)


def add(client: Client, quote: Quote, identifier_id: int, **more: object) -> QuoteLine:
    answer = client.post(reverse("web:quote_line_add", args=[quote.pk]), {"product_id": identifier_id, **more})
    assert answer.status_code == 200
    line = json.loads(answer["HX-Trigger-After-Settle"])["counterfoil:line-added"]["line"]
    return QuoteLine.objects.get(pk=line)


def cell(client: Client, line: QuoteLine, **values: str) -> tuple[int, str]:
    assert line.version is not None
    answer = client.post(reverse("web:quote_line_cell", args=[line.version.quote_id, line.pk]), values)
    line.refresh_from_db()
    return answer.status_code, answer.content.decode()


@pytest.fixture
def seller(client: Client, world: World) -> Client:
    sign_in(client, Role.SALES)
    return client


def test_a_line_is_added_changed_and_its_figures_come_back(seller: Client, world: World) -> None:
    quote = new_quote(seller)
    line = add(seller, quote, world.lease.pk)

    status, said = cell(seller, line, quantity="5")
    assert (status, line.quantity) == (200, D(5))
    assert f'id="sums-{line.pk}"' in said
    assert "750.00" in said
    status, said = cell(seller, line, discount="10%")
    assert (line.discount_kind, line.discount_value, line.unit_price) == ("percent", D(10), D(135))
    assert "675.00" in said
    assert 'id="quote-totals"' in said
    status, _ = cell(seller, line, discount="")
    assert (status, line.unit_price) == (200, D(150))


def test_a_change_sends_the_lines_whose_figures_it_moves_and_no_others(seller: Client, world: World) -> None:
    quote = new_quote(seller)
    first, second, lease = (add(seller, quote, each.pk) for each in (*(world.server_noninventory,) * 2, world.lease))
    for line in (first, second):
        cell(seller, line, list_price="1000")

    _, said = cell(seller, first, description="Server in the cellar")
    assert [f"sums-{line.pk}" in said for line in (first, second, lease)] == [True, False, False]
    version = quote.versions.get()
    update_version(actor=SALES, version_id=version.pk, discount_kind="amount", discount_value=D(100))
    _, said = cell(seller, first, quantity="3")  # a larger part of the discount by amount falls on it
    assert [f"sums-{line.pk}" in said for line in (first, second, lease)] == [True, True, False]
    assert seller.post(reverse("web:quote_line_cell", args=[quote.pk, 0]), {"quantity": "1"}).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("quantity", "many", ""), ("quantity", "-1", ""), ("list_price", "1.2.3", ""), ("discount", "150%", "")],
)
def test_what_is_wrong_is_said_beside_the_line_and_nothing_changes(
    seller: Client, world: World, field: str, value: str, words: str
) -> None:
    line = add(seller, new_quote(seller), world.lease.pk)
    before = (line.quantity, line.list_price, line.discount_value)

    status, said = cell(seller, line, **{field: value})

    assert status == 422
    assert f'id="error-{line.pk}"' in said
    assert words in said
    assert (line.quantity, line.list_price, line.discount_value) == before


def test_sections_take_lines_and_a_discount_of_their_own(seller: Client, world: World) -> None:
    quote = new_quote(seller)
    answer = seller.post(reverse("web:quote_section_new", args=[quote.pk]), {"title": "Hardware"})
    section = QuoteSection.objects.get(title="Hardware")
    assert json.loads(answer["HX-Trigger-After-Settle"]) == {"counterfoil:section-added": {"section": section.pk}}
    lease = add(seller, quote, world.lease.pk)
    server = add(seller, quote, world.server_noninventory.pk, section_id=section.pk)
    assert server.section_id == section.pk
    cell(seller, server, list_price="1000")

    seller.post(reverse("web:quote_section", args=[quote.pk, section.pk]), {"discount": "100"})
    server.refresh_from_db()
    assert server.unit_price == D(900)
    order = f"{server.pk}:,{lease.pk}:{section.pk}"
    refused = seller.post(reverse("web:quote_order", args=[quote.pk]), {"order": order})
    assert "counterfoil:toast" in refused["HX-Trigger-After-Settle"], "the discount has nothing to be taken off then"
    seller.post(reverse("web:quote_section", args=[quote.pk, section.pk]), {"discount": ""})
    assert seller.post(reverse("web:quote_order", args=[quote.pk]), {"order": order}).status_code == 200
    moved = QuoteLine.objects.filter(version__quote=quote).order_by("position").values_list("pk", "section_id")
    assert list(moved) == [(server.pk, None), (lease.pk, section.pk)]
    seller.post(reverse("web:quote_section_remove", args=[quote.pk, section.pk]))
    assert set(QuoteLine.objects.filter(version__quote=quote).values_list("section_id", flat=True)) == {None}


def test_the_catalog_is_searched_as_one_types(seller: Client, world: World) -> None:
    quote = new_quote(seller)
    found = seller.get(reverse("web:quote_catalog", args=[quote.pk]), {"q": "rack"}).content.decode()
    assert "SRV-NI" in found
    assert "HAAS-SRV" not in found
    assert (
        "Nothing in the catalog"
        in seller.get(reverse("web:quote_catalog", args=[quote.pk]), {"q": "zeppelin"}).content.decode()
    )


def test_a_nul_in_what_is_typed_is_passed_over(seller: Client, world: World) -> None:
    url = reverse("web:quote_catalog", args=[new_quote(seller).pk])
    assert "SRV-NI" in seller.get(url, {"q": "ra\0ck"}).content.decode()
    assert seller.get(url + "?q=%00").status_code == 200


def test_what_is_billed_by_use_is_said_in_the_details(seller: Client, world: World) -> None:
    """An estimate stands apart: nothing is left of it in what recurs."""
    line = add(seller, new_quote(seller), world.lease.pk)
    assert line.version is not None
    url = reverse("web:quote_line_details", args=[line.version.quote_id, line.pk])
    assert "Billed by what is used" in seller.post(url).content.decode()
    sent = {"unit_cost": "20", "start_policy": "on_acceptance", "billing_cycle": "month:1", "is_usage": "on"}
    answer = seller.post(url, sent)
    line.refresh_from_db()
    assert line.is_usage
    assert "By usage, estimated" in answer.content.decode()
    priced = price_version(QuoteVersion.objects.get(pk=line.version_id))
    assert (priced.totals.monthly.price, priced.totals.usage_monthly.price) == (0, line.list_price)
    seller.post(url, {name: value for name, value in sent.items() if name != "is_usage"})
    line.refresh_from_db()
    assert not line.is_usage
    once = add(seller, line.version.quote, world.server_noninventory.pk)
    page = seller.post(reverse("web:quote_line_details", args=[line.version.quote_id, once.pk])).content.decode()
    assert "Unit cost" in page
    assert "Billed by what is used" not in page


def test_a_save_that_changes_nothing_leaves_no_trace(seller: Client, world: World) -> None:
    line = add(seller, new_quote(seller), world.lease.pk)
    assert line.version is not None
    section = add_section(actor=SALES, version_id=line.version_id, title="Cloud")
    before = AuditEntry.objects.count()
    update_version_line(actor=SALES, line_id=line.pk, quantity=line.quantity, on=TODAY)
    cell(seller, line, quantity=f"{line.quantity.normalize():f}")
    update_section(actor=SALES, section_id=section.pk, title="Cloud")
    update_section(actor=SALES, section_id=section.pk, seen=SeenSection(title="Cloud"), title="Cloud")
    update_version(actor=SALES, version_id=line.version_id, name=line.version.quote.name)
    assert AuditEntry.objects.count() == before
    update_section(actor=SALES, section_id=section.pk, title="Clouds")
    assert AuditEntry.objects.count() == before + 1


def test_options_are_set_in_the_details(seller: Client, world: World) -> None:
    line = add(seller, new_quote(seller), world.lease.pk)
    assert line.version is not None
    url = reverse("web:quote_line_details", args=[line.version.quote_id, line.pk])
    sent = {
        "optional": "on", "quantity_min": "1", "quantity_max": "10", "unit_cost": "20", "start_policy": "on_acceptance",
        "billing_cycle": "month:1", "cycles": "36", "customer_text": "With next-day exchange.",
    }  # fmt: skip
    answer = seller.post(url, sent)
    line.refresh_from_db()
    assert answer["HX-Retarget"] == "#quote-lines"
    assert (line.optional, line.selected, line.quantity_max, line.cycles) == (True, False, D(10), 36)
    wrong = seller.post(url, sent | {"quantity_min": "20"})
    assert wrong.status_code == 422


def test_a_line_that_joins_an_agreement_is_aligned_by_its_periods(seller: Client, world: World) -> None:
    offer = m365(world)["three"]
    (agreement,) = convert(accepted(world, [by(offer)]), date(2026, 1, 1)).agreements
    quote = create_quote(actor=SALES, name="More", on=TODAY, company_id=world.acme.pk, agreement_id=agreement.pk)
    line = add(seller, quote, offer.product_id, offer_id=offer.pk)
    sent = {
        "unit_cost": "18", "start_policy": "aligned", "term": "year:3", "billing_cycle": "month:1",
        "start_date": "2030-03-17", "align_to": "2030-06-01",
    }  # fmt: skip
    seller.post(reverse("web:quote_line_details", args=[quote.pk, line.pk]), sent)
    line.refresh_from_db()
    assert (line.align_to, line.first_amount) == (date(2030, 6, 1), D("10.65"))  # 22.00 x 15/31


def test_approval_is_asked_given_and_void_after_a_change(client: Client, world: World) -> None:
    ApprovalRule.objects.create(name="Big discounts", measure="discount", threshold=D(15), approver_role="finance")
    seller = sign_in(client, Role.SALES)
    quote = new_quote(client)
    line = add(client, quote, world.lease.pk)
    cell(client, line, discount="20%")
    page = client.get(reverse("web:quote", args=[quote.pk])).content.decode()
    assert "Needs approval" in page
    assert reverse("web:quote_submit", args=[quote.pk]) in page
    assert reverse("web:quote_send", args=[quote.pk]) not in page
    client.post(reverse("web:quote_submit", args=[quote.pk]))

    approver = sign_in(client, Role.FINANCE)
    approver.name = "Finn"
    approver.save()
    page = client.get(reverse("web:quote", args=[quote.pk])).content.decode()
    decide = re.search(r'action="(/quotes/approvals/\d+/)"', page)
    assert decide
    client.post(decide[1], {"decision": "approve"})

    client.force_login(seller)
    send = reverse("web:quote_send", args=[quote.pk])
    page = client.get(reverse("web:quote", args=[quote.pk])).content.decode()
    assert send in page
    assert "Needs approval" not in page
    assert "Needs approval" in cell(client, line, discount="25%")[1]
    assert send not in client.get(reverse("web:quote", args=[quote.pk])).content.decode()


def test_a_sent_quote_stands_still_until_there_is_a_new_version(seller: Client, world: World) -> None:
    quote = new_quote(seller)
    line = add(seller, quote, world.lease.pk)
    sent = seller.post(reverse("web:quote_send", args=[quote.pk]), {"name": "Jane Roe", "email": "jane@acme.example"})
    assert sent.status_code == 302
    page = seller.get(reverse("web:quote", args=[quote.pk])).content.decode()
    assert "stands still" in page
    assert "http://testserver/q/" in page
    assert cell(seller, line, quantity="9")[0] == 422
    assert line.quantity == 1

    seller.post(reverse("web:quote_new_version", args=[quote.pk]))
    second = QuoteVersion.objects.get(quote=quote, number=2)
    copied = second.lines.get()
    cell(seller, copied, quantity="9")
    seller.post(reverse("web:quote_section_new", args=[quote.pk]), {"title": "More"})
    compared = seller.get(reverse("web:quote_compare", args=[quote.pk])).content.decode()
    assert "Quantity" in compared
    assert "1,350.00" in compared


def test_a_template_begins_other_quotes(seller: Client, world: World) -> None:
    quote = new_quote(seller, "Server lease, three years")
    add(seller, quote, world.lease.pk)
    seller.post(reverse("web:quote_make_template", args=[quote.pk]))
    template = Quote.objects.get(is_template=True)
    assert template.name in seller.get(reverse("web:quote_templates")).content.decode()

    seller.post(
        reverse("web:quote_new"), {"company_id": "Globex Ltd", "name": "Their server", "template_id": template.pk}
    )
    begun = Quote.objects.get(name="Their server")
    assert QuoteLine.objects.get(version__quote=begun).product == world.lease


def test_others_may_look_and_not_change(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)
    quote = new_quote(client)
    line = add(client, quote, world.lease.pk)
    sign_in(client, Role.VIEWER)
    page = client.get(reverse("web:quote", args=[quote.pk])).content.decode()
    assert "catalog-search" not in page
    assert "New version" not in page
    assert cell(client, line, quantity="2")[0] == 422
    assert line.quantity == 1
    assert client.get(reverse("web:quote_new")).status_code == 403


def test_the_list_shows_what_quotes_come_to(seller: Client, world: World) -> None:
    quote = new_quote(seller)
    add(seller, quote, world.lease.pk)
    page = seller.get(reverse("web:quotes")).content.decode()
    assert "Server lease" in page
    assert "150.00" in page
