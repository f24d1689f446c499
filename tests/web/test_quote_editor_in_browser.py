"""The quote editor in a real browser, by keyboard alone: add, reorder, undo, two people at once, a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, Route, expect
from tests.world import OWNER, SALES, World, build_world

from counterfoil.catalog.commands import create_pricing_schedule
from counterfoil.catalog.models import PriceMethod, Product
from counterfoil.catalog.pricing import PricingBreakInput
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.quotes.commands import NewLine, add_section, add_version_lines, create_quote
from counterfoil.quotes.models import QuoteLine, QuoteSection, QuoteVersion

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


Visit = Callable[..., Page]


@pytest.fixture
def version() -> QuoteVersion:
    """A draft with a server, and licences in a section of their own; from ten servers on one costs 3,600."""
    cache.clear()
    day = timezone.localdate().replace(day=1)
    world: World = build_world(on=day)
    server = world.server_noninventory
    Product.objects.filter(pk=server.pk).update(price=4000, cost=3000)
    Product.objects.filter(pk=world.server_inventory.pk).update(description="Second server", price=1000)
    create_pricing_schedule(
        actor=OWNER, name="Volume", for_all_companies=True,
        breaks=[PricingBreakInput(product_id=server.pk, from_quantity=D(10), method=PriceMethod.PRICE, value=D(3600))],
    )  # fmt: skip
    quote = create_quote(actor=SALES, name="Office", on=day, company_id=world.acme.pk)
    draft = quote.versions.get()
    section = add_section(actor=SALES, version_id=draft.pk, title="Services")
    lines = [NewLine(server.pk, D(2)), NewLine(world.lease.pk, D(5), section_id=section.pk)]
    add_version_lines(actor=SALES, version_id=draft.pk, lines=lines, on=timezone.localdate())
    return draft


@pytest.fixture
def visit(browser: Browser, live_server: Any, version: QuoteVersion) -> Iterator[Visit]:
    """The quote in a browser of its own; what the page complains about fails the test."""
    contexts, complaints = [], []
    person = User.objects.create_user("sam@northwind.example", name="Sam", roles=[Role.SALES])

    def open_quote(*, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, base_url=live_server.url)
        contexts.append(context)
        client = Client()
        client.force_login(person)
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"/quotes/{version.quote_id}/")
        return page

    yield open_quote
    for context in contexts:
        context.close()
    assert not complaints


def quantity(page: Page, name: str = "Rack server") -> Locator:
    return page.get_by_label(f"Quantity of {name}", exact=True)


def order(page: Page) -> list[str]:
    return [cell.input_value() for cell in page.locator("[data-line] [name=description]").all()]


def first_line() -> QuoteLine:
    return QuoteLine.objects.order_by("position")[0]


def test_a_quote_is_built_and_mended_by_keyboard(visit: Visit) -> None:
    page = visit()
    said, totals = page.locator("#quote-said"), page.locator("#quote-totals")

    page.keyboard.press("c")  # to the catalog
    page.keyboard.type("SRV-INV")
    page.keyboard.press("Enter")
    expect(page.locator("[data-line]")).to_have_count(3)
    expect(page.locator("[data-line] [name=quantity]:focus")).to_have_value("1")
    page.keyboard.type("40")  # the quantity of what was added
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_value("40")

    expect(totals).to_contain_text("48,000.00")

    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(quantity(page)).to_be_focused()
    page.keyboard.type("12")
    page.keyboard.press("Enter")
    expect(page.locator("#quote-lines")).to_contain_text("Price 3,600.00 (Volume, from 10")
    expect(page.get_by_label("Price of Rack server")).to_have_value("3,600.00")
    expect(totals).to_contain_text("83,200.00")

    page.keyboard.press("Control+z")
    expect(quantity(page)).to_have_value("2")
    expect(page.get_by_label("Price of Rack server")).to_have_value("4,000.00")
    expect(totals).to_contain_text("48,000.00")
    expect(said).to_contain_text("Quantity of Rack server: 2 again")

    before = order(page)
    with page.expect_response("**/lines/order/"):
        page.keyboard.press("Alt+ArrowDown")
    expect(page.locator("[data-section]:not([data-section='']) [data-line]").first).to_contain_text("Once")
    with page.expect_response("**/lines/order/"):
        page.keyboard.press("Control+z")
    assert order(page) == before

    page.keyboard.press("Control+z")  # the quantity of what was added
    page.keyboard.press("Control+z")  # what was added
    expect(page.locator("[data-line]")).to_have_count(2)
    page.keyboard.press("Control+z")
    expect(said).to_contain_text("nothing to undo")


def test_what_is_wrong_stays_as_it_was_typed_until_it_is_right(visit: Visit) -> None:
    page = visit()
    cell = quantity(page)
    cell.fill("many")
    cell.press("Tab")
    alert = page.locator("[data-line]").first.get_by_role("alert")
    expect(alert).not_to_be_empty()
    expect(cell).to_have_value("many")
    expect(cell).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Search the catalog").fill("HAAS")  # the lines are sent anew
    page.get_by_label("Search the catalog").press("Enter")
    expect(page.locator("[data-line]")).to_have_count(3)
    expect(cell).to_have_value("many")
    cell.focus()
    cell.press("Escape")
    expect(cell).to_have_value("2")
    expect(alert).to_have_count(0)
    cell.fill("1,000")
    cell.press("Enter")
    expect(page.locator("#quote-totals")).to_contain_text("3,600,000.00")
    assert first_line().quantity == 1000


def test_a_price_that_changes_under_the_cursor_is_typed_over(visit: Visit) -> None:
    """Ten servers cost 3,600.00 each: the price comes while somebody is about to type another."""
    page = visit()
    price = page.locator("[data-line]").first.locator("[name=list_price]")
    late: list[Route] = []
    page.route("**/lines/*/", lambda route: late.append(route))
    quantity(page).fill("10")
    price.focus()
    page.keyboard.press("Control+a")
    while not late:
        page.wait_for_timeout(50)
    late[0].continue_()
    page.unroute("**/lines/*/")
    expect(price).to_have_value("3,600.00")
    page.keyboard.type("3500")
    page.keyboard.press("Enter")
    expect(page.locator("#quote-totals")).to_contain_text("35,000.00")
    assert first_line().unit_price == 3500


def hold(page: Page, address: str) -> Callable[[], None]:
    """Hold back what is asked of ``address`` from now on, until it is let go by what this returns."""
    late: list[Route] = []
    is_open = False

    def take(route: Route) -> None:
        route.continue_() if is_open else late.append(route)

    def let_go() -> None:
        nonlocal is_open
        page.wait_for_timeout(150)
        assert late
        is_open = True
        for route in late:
            route.continue_()

    page.route(re.compile(address), take)
    return let_go


def find_in_the_catalog(page: Page, words: str) -> Locator:
    page.locator("#catalog-search").fill(words)
    expect(page.locator(f"[data-typed='{words}']")).to_be_visible()
    return page.locator("[data-add]").first


def test_a_line_that_is_added_before_a_quantity_is_saved(visit: Visit) -> None:
    """The lines are sent anew only after the quantity: what it comes to is what both come to."""
    page = visit()
    add = find_in_the_catalog(page, "SRV-INV")
    let_go = hold(page, r"/lines/\d+/$")
    quantity(page).fill("12")
    add.click()
    expect(page.locator("[data-line]")).to_have_count(2)
    let_go()
    expect(page.locator("[data-line]")).to_have_count(3)
    expect(page.locator("#quote-totals")).to_contain_text("44,200.00")
    expect(quantity(page)).to_have_value("12")
    expect(quantity(page)).not_to_have_attribute("aria-invalid", "true")
    quantity(page).fill("5")
    quantity(page).press("Enter")
    expect(page.locator("#quote-totals")).to_contain_text("21,000.00")
    assert first_line().quantity == 5


def test_what_is_typed_before_the_last_is_saved_comes_after_it(visit: Visit) -> None:
    page = visit()
    let_go = hold(page, r"/lines/\d+/$")
    for wanted in ("12", "13"):
        quantity(page).fill(wanted)
        quantity(page).press("Enter")
    let_go()
    expect(page.locator("#quote-totals")).to_contain_text("46,800.00")
    expect(quantity(page)).not_to_have_attribute("aria-invalid", "true")
    assert first_line().quantity == 13


def test_a_late_answer_takes_nobody_from_what_he_types(visit: Visit) -> None:
    page = visit()
    add = find_in_the_catalog(page, "SRV-INV")
    let_go = hold(page, "/lines/add/$")
    add.click()
    quantity(page).focus()
    page.keyboard.type("1")
    page.locator("[data-more]").last.click()
    page.locator("textarea[name=customer_text]").fill("As discussed")
    quantity(page).focus()
    page.keyboard.press("End")
    let_go()
    expect(page.locator("[data-line]")).to_have_count(3)
    page.wait_for_timeout(100)  # what comes with the line has been put where it belongs
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    expect(page.locator("#quote-totals")).to_contain_text("51,400.00")
    expect(page.locator("textarea[name=customer_text]")).to_have_value("As discussed")
    assert first_line().quantity == 14


def test_a_quote_is_sent_with_the_quantity_that_was_just_typed(visit: Visit) -> None:
    page = visit()
    let_go = hold(page, r"/lines/\d+/$")
    quantity(page).fill("12")
    page.get_by_role("link", name="Send", exact=True).click()
    page.wait_for_timeout(100)
    assert page.url.endswith(f"/quotes/{first_line().version.quote_id}/")
    let_go()
    page.wait_for_url("**/send/")
    assert first_line().quantity == 12

    page.go_back()
    quantity(page).fill("a dozen")
    page.get_by_role("link", name="Send", exact=True).click()
    expect(quantity(page)).to_have_attribute("aria-invalid", "true")
    page.wait_for_timeout(100)
    assert not page.url.endswith("/send/"), "what was refused is looked at first"


def test_a_double_click_adds_once(visit: Visit) -> None:
    page = visit()
    find_in_the_catalog(page, "SRV-INV").dblclick()
    expect(page.locator("[data-line]")).to_have_count(3)
    page.locator("#new-section").fill("Cabling")
    let_go = hold(page, "/sections/new/$")
    page.get_by_role("button", name="Add a section").dblclick()
    let_go()
    expect(page.locator("[data-section]")).to_have_count(3)
    page.wait_for_timeout(200)
    assert QuoteLine.objects.count() == 3
    assert QuoteSection.objects.count() == 2


def test_two_who_change_the_same_are_told(visit: Visit) -> None:
    one, other = visit(), visit()
    quantity(one).fill("7")
    quantity(one).press("Enter")
    expect(one.locator("#quote-totals")).to_contain_text("28,000.00")

    quantity(other).fill("9")
    quantity(other).press("Tab")
    alert = other.locator("[data-line]").first.get_by_role("alert")
    expect(alert).to_contain_text("Somebody has changed this meanwhile: quantity from 2 to 7.")
    expect(quantity(other)).to_have_value("9")
    assert first_line().quantity == 7
    other.get_by_label("Price of Rack server").fill("3,900")  # another cell of the line goes through
    other.get_by_label("Price of Rack server").press("Enter")
    expect(other.locator("#quote-totals")).to_contain_text("27,300.00")
    expect(quantity(other)).to_have_value("9")
    quantity(other).press("Enter")  # all the same
    expect(other.locator("#quote-totals")).to_contain_text("35,100.00")
    assert (first_line().quantity, first_line().list_price) == (9, 3900)

    details(one, "Unit cost", "2,900")
    one.keyboard.press("Control+z")  # it is 9 by now: the other's change stands
    expect(one.locator("[data-line]").first.get_by_role("alert")).to_contain_text("quantity from 7 to 9")
    assert (first_line().quantity, first_line().unit_cost) == (9, 2900)


def test_what_is_gone_and_what_is_new_is_said(visit: Visit) -> None:
    one, other = visit(), visit()
    one.get_by_role("button", name="More about Rack server").press("Enter")
    one.get_by_role("button", name="Take it off the quote").press("Enter")
    one.locator("dialog[open]").get_by_role("button", name="Take it off").press("Enter")
    expect(one.locator("[data-line]")).to_have_count(1)

    quantity(other).fill("3")
    quantity(other).press("Enter")
    alert = other.locator("[data-line]").first.get_by_role("alert")
    expect(alert).to_contain_text("somebody has taken it off meanwhile")
    expect(quantity(other)).to_have_value("3")
    quantity(other, "Server as a service").press("Alt+ArrowUp")
    expect(other.locator(".cf-toasts")).to_contain_text("Lines were added or taken off meanwhile")
    expect(other.locator("[data-line]")).to_have_count(1)


def test_the_details_of_a_line_open_where_it_stands_and_close_again(visit: Visit) -> None:
    page = visit()
    more = page.get_by_role("button", name="More about Rack server")
    more.press("Enter")
    expect(page.locator("[data-line]").first.locator("form").first).to_be_visible()
    expect(more).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(page.locator(".cf-qline-place")).to_have_count(0)
    expect(more).to_be_focused()


def test_two_who_open_the_details_both_get_what_they_changed(visit: Visit) -> None:
    one, other = visit(), visit()
    other.get_by_role("button", name="More about Rack server").press("Enter")
    expect(other.get_by_label("Unit cost")).to_be_visible()
    details(one, "Unit cost", "2,900")
    other.get_by_label("At most").fill("20")
    other.get_by_role("button", name="Save").press("Enter")
    expect(other.locator("#quote-lines")).to_contain_text("2 to 20 as the customer likes")
    assert (first_line().unit_cost, first_line().quantity_max) == (2900, 20)


def details(page: Page, name: str, value: str) -> None:
    page.get_by_role("button", name="More about Rack server").press("Enter")
    page.get_by_label(name).fill(value)
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.locator(".cf-qline-place")).to_have_count(0)


def test_a_narrow_screen_shows_all_of_it(visit: Visit) -> None:
    page = visit(width=390, height=844)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    quantity(page).fill("11")
    quantity(page).press("Enter")
    expect(page.locator("#quote-totals")).to_contain_text("39,600.00")
    page.get_by_role("button", name="More about Rack server").click()
    expect(page.get_by_label("Unit cost")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
