"""In a real browser: a form that is sent again, by Back or by two presses, and one that two people have open."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Page, expect
from tests.web.pages import sign_in, text_of
from tests.web.test_late_answers_in_browser import page, seats, toasts, world
from tests.world import SALES, World

from counterfoil.agreements.models import Addition, Agreement
from counterfoil.catalog.models import Product
from counterfoil.quotes.commands import create_quote
from counterfoil.quotes.models import Opportunity

__all__ = ["page", "seats", "world"]  # fixtures

MADE = re.compile(r"/opportunities/\d+/$")

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_what_was_made_is_not_made_again_by_going_back(page: Page) -> None:
    page.goto("/opportunities/new/")
    page.fill("[name=company_id]", "Acme Corp")
    page.fill("[name=name]", "Rack server")
    page.locator("main form button.btn-primary").click()
    page.wait_for_url(MADE)
    made = page.url
    page.go_back()
    expect(page.locator("[name=name]")).to_have_value("Rack server")
    page.fill("[name=company_id]", "Acme Corp")
    page.locator("main form button.btn-primary").click()
    expect(toasts(page)).to_contain_text("done already")
    assert page.url == made
    page.go_back()
    page.fill("[name=company_id]", "Acme Corp")
    page.fill("[name=name]", "Another server")
    page.locator("main form button.btn-primary").click()
    page.wait_for_url(MADE)
    assert list(Opportunity.objects.order_by("pk").values_list("name", flat=True)) == ["Rack server", "Another server"]


def test_two_who_change_an_agreement_lose_nothing_in_silence(page: Page, seats: Addition) -> None:
    address = f"/agreements/{seats.agreement_id}/edit/"
    page.goto(address)
    other = page.context.new_page()
    other.goto(address)
    other.fill("[name=name]", "Mailboxes")
    other.get_by_role("button", name="Save", exact=True).click()
    other.wait_for_url(f"**/agreements/{seats.agreement_id}/")

    page.fill("[name=customer_po]", "PO-9")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**/agreements/{seats.agreement_id}/")
    agreement = Agreement.objects.get()
    assert (agreement.name, agreement.customer_po) == ("Mailboxes", "PO-9")


def test_two_who_change_the_same_price_are_told(page: Page, world: World) -> None:
    lease = Product.objects.get(pk=world.lease.pk)
    address = f"/products/{lease.pk}/"
    page.goto(address)
    other = page.context.new_page()
    other.goto(address)
    for tab, price in ((other, "160"), (page, "170")):
        tab.fill("[name=price]", price)
        tab.get_by_role("button", name="Save", exact=True).click()
        tab.wait_for_load_state()
    said = page.locator("#id_price_error")
    expect(said).to_contain_text("This was changed meanwhile: it is 160 by now")
    expect(page.locator("[name=price]")).to_have_value("170")
    lease.refresh_from_db()
    assert lease.price == 160
    page.get_by_role("button", name="Save", exact=True).click()
    expect(said).not_to_be_visible()
    lease.refresh_from_db()
    assert lease.price == 170


def test_a_second_press_on_what_asks_leaves_the_question_open(page: Page, seats: Addition) -> None:
    page.goto(f"/agreements/{seats.agreement_id}/")
    page.locator("form[data-confirm] button").first.dblclick()
    page.wait_for_timeout(100)
    expect(page.locator("#confirm")).to_be_visible()
    assert page.url.endswith(f"/agreements/{seats.agreement_id}/")


@pytest.fixture
def offered(world: World) -> dict[str, Any]:
    return {"company_id": "Acme Corp", "name": "Rack server", "sent_once": "a-page-of-its-own",
            "lines-TOTAL_FORMS": 0, "lines-INITIAL_FORMS": 0}  # fmt: skip


def test_the_same_page_makes_it_once_and_a_refusal_leaves_it_to_be_sent(
    client: Client, offered: dict[str, Any]
) -> None:
    sign_in(client, "sales")
    refused = client.post("/opportunities/new/", offered | {"company_id": "Nobody"})
    assert refused.status_code == 422, text_of(refused)
    first, second = (client.post("/opportunities/new/", offered) for _ in range(2))
    assert first.status_code == second.status_code == 302
    assert first["Location"] == second["Location"]
    third = client.post("/opportunities/new/", offered | {"sent_once": "another-page"})
    assert third["Location"] != first["Location"]
    assert Opportunity.objects.count() == 2


def test_a_button_that_is_pressed_again_on_an_old_page_does_not_undo_itself(client: Client, world: World) -> None:
    sign_in(client, "owner")
    address = f"/products/{world.lease.pk}/"
    assert '<input type="hidden" name="active" value="no">' in client.get(address).content.decode()
    for _ in range(2):
        client.post(f"{address}active/", {"active": "no"})
        assert not Product.objects.get(pk=world.lease.pk).active
    assert '<input type="hidden" name="active" value="yes">' in client.get(address).content.decode()


def test_a_new_version_is_made_of_the_one_that_was_looked_at(client: Client, world: World) -> None:
    sign_in(client, "sales")
    quote = create_quote(actor=SALES, name="Office", on=date(2026, 1, 1), company_id=world.acme.pk)
    address = f"/quotes/{quote.pk}/"
    assert '<input type="hidden" name="of" value="1">' in client.get(address).content.decode()
    answers = [client.post(f"{address}versions/new/", {"of": "1"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 409]
    assert "There is a version 2 of" in text_of(answers[1])
    assert quote.versions.count() == 2
