"""In a real browser, on a phone: what ends is renewed with one button, and two terms are brought to one anniversary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from tests.accepted import accepted, by, convert, m365
from tests.world import World, build_world

from counterfoil.agreements.models import Addition
from counterfoil.core.calendar import add_months, format_date
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.quotes.models import Quote

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, reset_sequences=True)]


@pytest.fixture
def world(transactional_db: None) -> World:
    return build_world(on=timezone.localdate().replace(day=1))


@pytest.fixture
def running(world: World) -> tuple[Addition, Addition]:
    """Acme's licences: ten for a year that has seven weeks left, four for one that ends two months after it."""
    offer = m365(world)["billed monthly"]
    first = add_months(timezone.localdate() + timedelta(days=49), -12)
    made = [
        convert(accepted(world, [by(offer, seats)]), start).agreements[0].additions.get()
        for seats, start in ((10, first), (4, add_months(first, 2)))
    ]
    return made[0], made[1]


@pytest.fixture
def page(browser: Browser, live_server: Any, running: tuple[Addition, Addition]) -> Iterator[Page]:
    """The calendar on a narrow screen, seen by somebody of sales."""
    User.objects.create_user("sam@northwind.example", name="Sam Seller", roles=[Role.SALES])
    client = Client()
    client.force_login(User.objects.get(email="sam@northwind.example"))
    context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=live_server.url)
    session = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    context.add_cookies([session])  # type: ignore[list-item]
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.goto("/renewals/")
    yield page
    assert not complaints
    context.close()


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def ends(addition: Addition) -> date:
    """The first day after the term."""
    assert addition.committed_through is not None
    return addition.committed_through + timedelta(days=1)


def row_of(page: Page, addition: Addition) -> Any:
    """The renewal's row in the calendar."""
    return page.locator("main tbody tr").filter(has_text=f"Renewal: {addition.agreement.number}")


def test_a_renewal_is_quoted_with_one_button(page: Page, running: tuple[Addition, Addition]) -> None:
    soon, _ = running
    row = row_of(page, soon)
    expect(row).to_contain_text("10 × Microsoft 365 Business Premium")
    expect(row).to_contain_text(format_date(ends(soon) - timedelta(days=1)))
    expect(row).to_contain_text("231.00")
    assert fits(page)
    row.get_by_role("button", name="Renewal quote").dblclick()
    page.wait_for_url("**/quotes/*/")
    quote = Quote.objects.get(kind="renewal")
    expect(page.locator("h1")).to_contain_text(quote.number)
    line = quote.versions.get().lines.get()
    assert (line.action, line.quantity, line.addition, line.start_date) == ("renew", 10, soon, ends(soon))

    page.goto("/renewals/")
    expect(row_of(page, soon).get_by_role("link", name=quote.number)).to_be_visible()
    expect(row_of(page, soon).get_by_role("button", name="Renewal quote")).to_have_count(0)


def test_two_terms_are_brought_to_one_anniversary(page: Page, running: tuple[Addition, Addition]) -> None:
    """The earlier term goes on for two months, so that both end together."""
    soon, later = running
    row_of(page, soon).get_by_role("link", name="One anniversary").click()
    expect(page.locator("h1")).to_have_text("One anniversary")
    both = page.get_by_role("checkbox")
    expect(both).to_have_count(2)
    page.get_by_label(f"Microsoft 365 Business Premium on {later.agreement.number}").check()
    assert fits(page)
    page.get_by_role("button", name="Reckon").click()
    proposal = page.locator("main")
    expect(proposal).to_contain_text(f"All end with {format_date(ends(later) - timedelta(days=1))}")
    expect(proposal).to_contain_text("462.00")  # two months of 10 at 23.10
    assert fits(page)

    page.locator("[name=end]").first.fill(f"{ends(soon) - timedelta(days=1):%Y-%m-%d}")
    page.get_by_role("button", name="Reckon").click()
    expect(proposal).to_contain_text("Cannot come along")
    expect(page.get_by_role("button", name="Make the co-term quote")).to_have_count(0)

    page.locator("[name=end]").first.fill("")
    page.get_by_role("button", name="Reckon").click()
    page.get_by_role("button", name="Make the co-term quote").click()
    page.wait_for_url("**/quotes/*/")
    quote = Quote.objects.get(kind="coterm")
    expect(page.locator("#quote-totals")).to_contain_text("462.00")
    assert {line.addition for line in quote.versions.get().lines.all()} <= {soon, later}
    assert fits(page)


def test_the_calendar_gets_an_address_and_loses_it(page: Page) -> None:
    page.get_by_role("button", name="Make an address").click()
    address = page.get_by_label("Address of the calendar")
    expect(address).to_be_visible()
    first = address.input_value()
    assert page.request.get(first).text().startswith("BEGIN:VCALENDAR")
    page.get_by_role("button", name="Take it away").click()
    page.locator("dialog[open]").get_by_role("button", name="Take it away").click()
    expect(page.get_by_role("button", name="Make an address")).to_be_visible()
    assert page.request.get(first).status == 404
    assert fits(page)
