"""What the pages of the books do in a real browser: tick boxes, running totals, the schedule while one types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.web import deal as deals
from tests.world import build_world

from counterfoil.accounting.models import Batch
from counterfoil.assets.models import Asset
from counterfoil.ledger.models import JournalEntry
from counterfoil.platform.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture
def page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """The unposted procurement of a server that is shipped, opened by somebody of finance."""
    deals.ship(deals.receive(deals.buy(deals.convert(deals.quote(build_world(), 2)))))
    User.objects.create_user("finn@northwind.example", PASSWORD, name="Finn Books", roles=["finance"])
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/accounts/login/?next=/unposted/")
    page.fill("input[type=email]", "finn@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/unposted/**")
    yield page
    context.close()
    assert complaints == []


def test_everything_is_ticked_batched_transferred_and_capitalised(page: Page) -> None:
    page.check("[data-tick-all]")
    assert page.locator("input[name=item]:checked").count() == 2
    page.get_by_role("button", name="Batch the ticked").click()
    page.wait_for_url("**/batches/*/")
    page.get_by_role("button", name="Transfer", exact=True).click()
    expect(page.locator("#confirm")).to_contain_text("2 entries are posted, all or none.")
    page.click("#confirm-yes")
    expect(page.locator("main")).to_contain_text("What happened to each")
    assert Batch.objects.get().status == "transferred"

    page.goto("/assets/to-capitalise/")
    page.get_by_role("link", name="Capitalise", exact=True).click()
    schedule = page.locator("#preview")
    expect(schedule).to_contain_text("Straight line, full month, 36 months")
    page.select_option("[name=method]", "sum_of_years")
    expect(schedule).to_contain_text("Sum of years' digits")
    page.fill("[name=salvage]", "600")
    expect(schedule).to_contain_text("600.00 is left")
    page.fill("[name=salvage]", "9000")
    expect(schedule).to_contain_text("salvage")
    expect(schedule).not_to_contain_text("is left")
    assert not Asset.objects.exists()
    page.fill("[name=salvage]", "600")
    page.fill("[name=on]", "2026-01-31")
    page.get_by_role("button", name="Capitalise", exact=True).click()
    expect(page.locator(".cf-toasts")).to_contain_text("is in the books with 3,600.00.")
    book = Asset.objects.get().books.get()
    assert (book.method, book.salvage) == ("sum_of_years", 600)


def test_an_entry_by_hand_counts_along(page: Page) -> None:
    page.goto("/journal/new/")
    foot = page.locator("tfoot")
    page.fill("[name=memo]", "Rent of January")
    page.fill("[name=on]", "2026-01-15")
    page.select_option("[name=lines-0-account]", "6100")
    page.fill("[name=lines-0-debit]", "1,200.50")
    expect(foot).to_contain_text("Out of balance: 1,200.50 is missing on the credit side")
    page.select_option("[name=lines-1-account]", "1000")
    page.fill("[name=lines-1-credit]", "1200")
    page.get_by_role("button", name="Add a line").click()
    page.select_option("[name=lines-2-account]", "6200")
    page.fill("[name=lines-2-credit]", ".5")
    expect(foot).to_contain_text("In balance")
    page.get_by_role("button", name="Post the entry").click()
    expect(page.locator(".cf-toasts")).to_contain_text("is in the books.")
    expect(page.locator("h1")).to_have_text(JournalEntry.objects.get(source_type="manual").number)
