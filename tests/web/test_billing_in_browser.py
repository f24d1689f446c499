"""In a real browser: an invoice from its first line to its PDF, a part of it credited, its customer's account."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.world import build_world

from counterfoil.billing.models import Invoice
from counterfoil.platform.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture(params=[1280, 390], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, live_server: Any) -> Iterator[Page]:
    """The list of invoices, seen by somebody of finance."""
    build_world()
    User.objects.create_user("finn@northwind.example", PASSWORD, name="Finn Books", roles=["finance"])
    context = browser.new_context(viewport={"width": request.param, "height": 900}, base_url=live_server.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.goto("/accounts/login/?next=/invoices/")
    page.fill("input[type=email]", "finn@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/invoices/")
    yield page
    context.close()
    assert complaints == []


def confirm(page: Page, button: str) -> None:
    """Press a button of the page, and the last one of the question it asks."""
    page.locator("main").get_by_role("button", name=button, exact=True).click()
    page.locator("dialog[open]").get_by_role("button").last.click()


def fits(page: Page) -> bool:
    """Whether nothing of the page lies beside the screen."""
    found: bool = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return found


def test_an_invoice_is_written_closed_had_as_pdf_and_credited(page: Page) -> None:
    expect(page.locator("main")).to_contain_text("No invoices yet")
    page.goto("/invoices/new/")
    page.fill("[name=company_id]", "Acme Corp")
    page.fill("[name=on]", "2026-03-10")
    page.fill("[name=lines-0-description]", "Rack and cabling")
    page.fill("[name=lines-0-quantity]", "2")
    page.fill("[name=lines-0-unit_price]", "412.50")
    page.fill("[name=lines-1-description]", "Electrician")
    page.fill("[name=lines-1-unit_price]", "900")
    page.select_option("[name=lines-1-kind]", "service")
    page.select_option("[name=lines-1-taxable]", "no")
    page.get_by_role("button", name="Add a line").click()
    page.fill("[name=lines-2-description]", "Travel")
    page.fill("[name=lines-2-unit_price]", "40")
    page.get_by_role("button", name="Make the draft").click()
    page.wait_for_url("**/invoices/*/")
    paper = page.locator(".cf-paper")
    expect(paper).to_contain_text("Michigan 6% of 865.00")
    expect(paper).to_contain_text("1,816.90")
    assert fits(page)

    paper.get_by_text("825.00").first.click()
    expect(paper).to_contain_text("2 × 412.50 = 825.00")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Take Travel off").click()
    page.locator("dialog[open]").get_by_role("button").last.click()
    expect(paper).to_contain_text("1,774.50")
    confirm(page, "Close")
    expect(page.locator("h1")).to_have_text("INV-0001")

    answer = page.context.request.get(page.get_by_role("link", name="PDF").get_attribute("href") or "")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF-")

    page.get_by_role("link", name="Credit a part of it").click()
    line = Invoice.objects.get().lines.get(description="Electrician")
    page.fill("[name=on]", "2026-03-12")
    page.fill("[name=reason]", "He came for half a day")
    page.fill(f"[name=amount_{line.pk}]", "450")
    page.get_by_role("button", name="Make the credit memo").click()
    expect(page.locator(".cf-paper-title")).to_contain_text("Credit memo")
    expect(page.locator(".cf-paper")).to_contain_text("(450.00)")
    confirm(page, "Close")
    expect(page.locator("h1")).to_have_text("CM-0001")
    page.get_by_role("link", name="Apply it", exact=True).click()
    page.get_by_role("button", name="Apply it").click()
    expect(page.locator(".cf-paper")).to_contain_text("Applied to INV-0001")
    assert Invoice.objects.get(number="INV-0001").balance == Decimal("1324.50")

    page.get_by_role("link", name="Account of Acme Corp").click()
    expect(page.locator("main")).to_contain_text("1,324.50")
    assert fits(page)


def test_ticked_drafts_are_closed_from_the_list(page: Page) -> None:
    for name in ("Acme Corp", "Globex Ltd"):
        page.goto("/invoices/new/")
        page.fill("[name=company_id]", name)
        page.fill("[name=on]", "2026-03-10")
        page.fill("[name=lines-0-description]", "Rack")
        page.fill("[name=lines-0-unit_price]", "100")
        page.get_by_role("button", name="Make the draft").click()
        page.wait_for_url("**/invoices/*/")
    page.goto("/invoices/?state=draft")
    for box in page.locator("main tbody input[type=checkbox]").all():
        box.check()
    confirm(page, "Close")
    expect(page.locator(".cf-toasts")).to_contain_text("2 invoices were closed.")
    assert fits(page)
    page.goto("/invoices/ageing/")
    expect(page.locator("main")).to_contain_text("212.00")
    assert page.locator("canvas[data-plot]").is_visible()
    assert fits(page)
