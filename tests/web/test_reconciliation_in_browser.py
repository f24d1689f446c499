"""In a real browser: a vendor's file with a wrong name is imported, the name confirmed, a line mended."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.matching.licences import SIMPLE, billed, csv_of, licence
from tests.world import World, build_world

from counterfoil.agreements.models import AdditionChange
from counterfoil.matching.models import MatchException, NameAlias
from counterfoil.platform.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture
def world(transactional_db: None) -> World:
    return build_world()


@pytest.fixture
def page(browser: Browser, live_server: Any, world: World) -> Iterator[Page]:
    """The vendors' statements on a narrow screen, seen by somebody of finance."""
    User.objects.create_user("fay@northwind.example", PASSWORD, name="Fay Finance", roles=["finance"])
    context = browser.new_context(viewport={"width": 390, "height": 844}, base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.goto("/accounts/login/?next=/match/statements/")
    page.fill("input[type=email]", "fay@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/match/statements/")
    yield page
    assert not complaints
    context.close()


def is_within_the_screen(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_wrong_name_is_confirmed_and_a_line_mended(page: Page, world: World) -> None:
    billed(world, licence(world), 10)
    content = csv_of(SIMPLE, ("Acme Crop Inc.", "Business Premium", 12, 18))
    page.get_by_role("link", name="Import a file").first.click()
    page.get_by_label("CSV or XLSX file").set_input_files(
        {"name": "march.csv", "mimeType": "text/csv", "buffer": content}
    )
    page.get_by_label("Vendor", exact=True).fill("Ingram Micro")
    page.locator("[name=period_start]").fill("2026-03-01")
    page.locator("[name=period_end]").fill("2026-03-31")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_text("perhaps Acme Corp: to confirm")).to_be_visible()
    assert is_within_the_screen(page)

    page.get_by_role("button", name="Import it").click()
    names = page.locator("#names")
    expect(names.get_by_label("“Acme Crop Inc.” means", exact=True)).to_contain_text("Acme Corp (")
    assert is_within_the_screen(page)
    names.get_by_role("button", name="Confirm “Acme Crop Inc.”").click()
    expect(page.get_by_text("every name is understood")).to_be_visible()
    assert NameAlias.objects.get().company == world.acme

    page.get_by_role("link", name="Fix it").click()
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-03-01")
    page.get_by_role("button", name="Fix it").click()
    expect(page.get_by_role("link", name="Fix it")).to_have_count(0)
    change = AdditionChange.objects.get(effective_date="2026-03-01")
    assert change.quantity == Decimal(12)
    assert not MatchException.objects.filter(status="open").exists()
