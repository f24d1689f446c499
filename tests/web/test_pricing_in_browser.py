"""In a real browser: a price model reckons while one types, and a price list shows its changes before it counts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.world import SALES, World, build_world

from counterfoil.catalog.commands import (
    BundleComponentInput,
    PriceTierInput,
    create_price_model,
    make_offers,
    set_bundle_components,
)
from counterfoil.catalog.models import CommitmentRule, Offer, PriceModelKind, Product
from counterfoil.companies.models import MspSettings
from counterfoil.platform.models import User
from counterfoil.web.actions import today

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture
def world(transactional_db: None) -> World:
    return build_world()


@pytest.fixture
def page(browser: Browser, live_server: Any, world: World) -> Iterator[Page]:
    """The price models, seen by somebody of sales."""
    assert MspSettings.objects.exists()
    User.objects.create_user("sam@northwind.example", PASSWORD, name="Sam Sales", roles=["sales"])
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.goto("/accounts/login/?next=/price-models/")
    page.fill("input[type=email]", "sam@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/price-models/")
    yield page
    context.close()
    assert complaints == []


def test_we_9_what_do_17_cost(page: Page) -> None:
    tiers = [PriceTierInput(D(up_to), D(price)) for up_to, price in ((2, 250), (5, 125), (10, 90))]
    model = create_price_model(
        actor=SALES, name="Seats", kind=PriceModelKind.GRADUATED, tiers=[*tiers, PriceTierInput(None, D(75))]
    )
    page.goto(f"/price-models/{model.pk}/")
    result = page.locator("#price-result")
    expect(result).to_contain_text("1,850.00")
    expect(page.locator("canvas")).to_have_count(2)
    page.fill("#quantity", "3")
    expect(result).to_contain_text("above 2 to 5: 1 × 125.00 = 125.00")
    page.fill("#quantity", "3x")
    expect(result).to_contain_text("is not a number")


def test_a_price_list_shows_its_changes_and_is_taken_over(page: Page, world: World) -> None:
    rule = CommitmentRule.objects.get(name="Microsoft new commerce")
    make_offers(
        actor=SALES, product_id=world.lease.pk, commitment_rule_id=rule.pk, unit_price=D(22), unit_cost=D(18),
        vendor_id=world.dell.pk, on=today(),
    )  # fmt: skip
    page.goto("/price-lists/")
    page.fill("[name=vendor_id]", "Dell Direct")
    content = b"product,term,billing,cost\r\nHAAS-SRV,1 year,monthly,20.79\r\nHAAS-SRV,1 month,monthly,20\r\n"
    page.set_input_files("[name=file]", {"name": "list.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Look at it").click()
    row = page.locator("main tr", has_text="1 year, billed monthly")
    expect(row).to_contain_text("18.90")
    expect(row).to_contain_text("20.79")
    expect(row).to_contain_text("10.0")
    page.get_by_role("button", name="Take it over").click()
    page.wait_for_url("**/offers/")
    assert Offer.objects.get(term="year:1", billing_cycle="month:1").cost == D("20.79")


def test_the_pages_fit_a_narrow_screen(page: Page, world: World) -> None:
    bundle = Product.objects.create(
        identifier="WORKPLACE", description="Workplace", product_class="Bundle", accounting_type="OtherCharge",
        category=world.lease.category, price_from_components=True,
    )  # fmt: skip
    set_bundle_components(actor=SALES, product_id=bundle.pk, components=[BundleComponentInput(world.lease.pk, D(2))])
    rule = CommitmentRule.objects.get(name="Microsoft new commerce")
    page.set_viewport_size({"width": 390, "height": 900})
    for address in (
        f"/products/{bundle.pk}/", f"/products/{bundle.pk}/components/", f"/products/{world.lease.pk}/",
        f"/products/{world.lease.pk}/offers/usual/", "/offers/", "/price-lists/", "/pricing-schedules/new/",
        f"/commitment-rules/{rule.pk}/", "/commitment-rules/",
    ):  # fmt: skip
        page.goto(address)
        expect(page.locator("main h1")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


@pytest.mark.parametrize(("before", "after"), [("", "3500"), ("35", "00")], ids=["not begun", "half typed"])
def test_what_one_types_stands_however_late_the_catalog_answers(page: Page, before: str, after: str) -> None:
    """A line's product says what it costs, 3,600.00; whoever is in that cell by then has the last word."""
    page.goto("/opportunities/new/")
    late: list[Route] = []
    page.route("**/pick/products/**", lambda route: late.append(route))
    page.fill("[name=lines-0-product_id]", "SRV-NI")
    cost, description = page.locator("[name=lines-0-unit_cost]"), page.locator("[name=lines-0-description]")
    cost.click()
    page.keyboard.type(before)
    while not late:
        page.wait_for_timeout(50)
    for route in late:
        route.continue_()
    page.unroute("**/pick/products/**")
    expect(description).to_have_value("Rack server")
    page.keyboard.type(after)
    expect(cost).to_have_value("3500")
