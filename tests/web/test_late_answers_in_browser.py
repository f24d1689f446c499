"""In a real browser: answers that come late, in another order, or not at all, and a session that ends meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, Route, expect
from tests.offers import Offer
from tests.web.test_customer_in_browser import offer
from tests.world import OWNER, World, build_world

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Addition, AdditionChange, AgreementType
from counterfoil.billing.models import BillingRun
from counterfoil.catalog.commands import PriceTierInput, create_price_model
from counterfoil.catalog.models import PriceModelKind
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.platform.models import User
from counterfoil.quotes.links import token_of

__all__ = ["offer"]  # fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture
def world(transactional_db: None) -> World:
    return build_world()


@pytest.fixture
def page(browser: Browser, live_server: Any, world: World) -> Iterator[Page]:
    """Somebody who may do everything, signed in."""
    person = User.objects.create_user("olivia@northwind.example", PASSWORD, name="Olivia", roles=["owner"])
    client = Client()
    client.force_login(person)
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
    context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def seats(world: World) -> Addition:
    """Seventeen seats at 22.00 a month."""
    agreement = create_agreement(
        actor=OWNER,
        company_id=world.acme.pk,
        agreement_type_id=world.haas.pk,
        name="Seats",
        start_date=date(2026, 1, 1),
        additions=[AdditionInput(product_id=world.lease.pk, quantity=Decimal(17), unit_price=Decimal(22))],
    )
    return agreement.additions.get()


def hold(page: Page, address: str) -> list[Route]:
    """Hold back what is asked of ``address`` from now on."""
    late: list[Route] = []
    page.route(re.compile(address), lambda route: late.append(route))
    return late


def wait_for(page: Page, late: list[Route], count: int) -> None:
    while len(late) < count:
        page.wait_for_timeout(20)


def sign_out(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


def sign_in(page: Page) -> None:
    page.fill("input[type=email]", "olivia@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def toasts(page: Page) -> Locator:
    return page.locator(".cf-toast")


def change_of(seats: Addition) -> str:
    return f"/agreements/{seats.agreement_id}/additions/{seats.pk}/change/"


# -- late, and in another order ----------------------------------------------------------------------------------------


def test_what_is_offered_is_for_what_was_typed_last(page: Page) -> None:
    page.goto("/opportunities/new/")
    late = hold(page, "/pick/products/")
    product = page.locator("[name=lines-0-product_id]")
    product.click()
    for typed in ("HAAS", "SRV-NI"):
        product.fill(typed)
        page.wait_for_timeout(200)
    wait_for(page, late, 3)
    for route in reversed(late):
        with page.expect_response(route.request.url):
            route.continue_()
    offered = page.locator(f"datalist#{product.get_attribute('list')} option")
    page.wait_for_timeout(50)
    expect(offered).to_have_count(1)
    expect(offered).to_have_attribute("value", "SRV-NI")


def test_a_figure_of_an_older_quantity_is_shown_as_such(page: Page) -> None:
    model = create_price_model(
        actor=OWNER, name="Seats", kind=PriceModelKind.GRADUATED, tiers=[PriceTierInput(None, Decimal(75))]
    )
    page.goto(f"/price-models/{model.pk}/")
    result = page.locator("#price-result")
    old = re.compile("is-old")
    late = hold(page, "/price/")
    page.fill("#quantity", "3")
    expect(result).to_have_class(old)
    wait_for(page, late, 1)
    late.pop().continue_()
    expect(result).to_contain_text("225.00")
    expect(result).not_to_have_class(old)


def test_terms_that_are_being_replaced_are_not_typed_in(page: Page, world: World) -> None:
    other = AgreementType.objects.create(name="Racks", kind=world.haas.kind)
    page.goto("/agreements/new/")
    late = hold(page, "/agreements/new/")
    page.select_option("[name=agreement_type_id]", str(other.pk))
    terms, notes = page.locator("#terms"), page.locator("#terms [name=internal_notes]")
    expect(terms).to_have_js_property("inert", True)
    wait_for(page, late, 1)
    page.unroute_all()
    expect(terms).to_have_js_property("inert", False)
    expect(notes).to_have_count(1)


def test_a_run_is_cancelled_though_its_progress_came_while_one_was_asked(page: Page, seats: Addition) -> None:
    run = start_billing_run(actor=OWNER, through=date(2026, 1, 1), now=timezone.now())
    page.goto(f"/billing-runs/{run.pk}/")
    with page.expect_response("**/progress/"):
        page.get_by_role("button", name="Cancel the run").click()
    with page.expect_response("**/progress/"):
        pass
    page.click("#confirm-yes")
    expect(page.locator("#run")).to_contain_text("cancelled")
    assert BillingRun.objects.get().status == "cancelled"


# -- nobody answers ----------------------------------------------------------------------------------------------------


def test_a_preview_goes_on_when_the_network_is_back(page: Page, seats: Addition) -> None:
    page.goto(change_of(seats))
    page.fill("[name=on]", "2026-02-01")
    expect(page.locator("#preview")).to_contain_text("Nothing would change")
    page.route(re.compile("preview"), lambda route: route.abort())
    for quantity in ("19", "20"):
        page.fill("[name=quantity]", quantity)
        page.wait_for_timeout(350)
    expect(toasts(page)).to_have_count(1)
    expect(toasts(page)).to_contain_text("cannot be reached")
    expect(page.locator("#preview")).to_have_class(re.compile("is-old"))
    page.unroute_all()
    expect(page.locator("#preview")).to_contain_text("440.00")
    expect(page.locator("#preview")).not_to_have_class(re.compile("is-old"))
    expect(toasts(page)).to_have_count(0)


def test_a_customer_sees_that_totals_are_not_yet_those_of_his_choice(
    browser: Browser, live_server: Any, offer: Offer
) -> None:
    page = browser.new_page(base_url=live_server.url)
    page.goto(f"/q/{token_of(offer.link)}/")
    totals = page.locator("#totals")
    expect(totals).to_contain_text("300.00")
    page.route(re.compile("/totals/"), lambda route: route.abort())
    page.get_by_label("Add Backup").check()
    expect(totals).to_contain_text("not yet those of your choice")
    page.unroute_all()
    expect(totals).to_contain_text("450.00")
    expect(totals).not_to_contain_text("not yet those of your choice")
    page.close()


# -- signed out meanwhile ----------------------------------------------------------------------------------------------


def test_who_is_signed_out_while_typing_signs_in_beside_the_form_and_sends_it(page: Page, seats: Addition) -> None:
    page.goto(change_of(seats))
    sign_out(page)
    page.fill("[name=quantity]", "20")
    expect(toasts(page)).to_contain_text("You are signed out. What you typed is still here")
    expect(page.locator("#preview")).not_to_contain_text("Password")
    with page.context.expect_page() as opening:
        toasts(page).get_by_role("link").click()
    beside = opening.value
    sign_in(beside)
    beside.wait_for_url(f"**{change_of(seats)}")
    expect(toasts(page)).to_have_count(0)
    page.get_by_role("button", name="Change it").click()
    page.wait_for_url(f"**/agreements/{seats.agreement_id}/")
    assert AdditionChange.objects.get(addition=seats, quantity=20)


def test_what_is_sent_after_the_session_ended_is_said_not_to_be_saved(page: Page, seats: Addition) -> None:
    page.goto(change_of(seats))
    page.fill("[name=quantity]", "20")
    sign_out(page)
    page.get_by_role("button", name="Change it").click()
    expect(toasts(page)).to_contain_text("You were signed out, and what you sent was not saved")
    sign_in(page)
    page.wait_for_url(f"**{change_of(seats)}")
    assert not AdditionChange.objects.filter(addition=seats, quantity=20).exists()


@pytest.mark.parametrize("is_there", [False, True], ids=["no network", "no session"])
def test_a_picker_says_why_it_offers_nothing(page: Page, is_there: bool) -> None:
    page.goto("/opportunities/new/")
    if is_there:
        sign_out(page)
    else:
        page.route(re.compile("/pick/"), lambda route: route.abort())
    page.fill("[name=lines-0-product_id]", "SRV")
    expect(toasts(page)).to_contain_text("You are signed out" if is_there else "cannot be reached")
    expect(toasts(page)).to_have_count(1)
