"""In a real browser: the logo is chosen and seen, an invoice becomes a PDF and is mailed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from tests.platform.test_documents import SVG
from tests.smtp import Mailbox, smtp_server
from tests.trade import NOW, order_of
from tests.world import FINANCE, build_world

from counterfoil.billing.commands import close_invoice, invoice_sales_order
from counterfoil.billing.delivery import hand_over
from counterfoil.billing.models import Delivery, Invoice
from counterfoil.companies.commands import update_company
from counterfoil.platform.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with smtp_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        settings.EMAIL_USE_SSL, settings.EMAIL_HOST_USER = False, ""
        settings.DEFAULT_FROM_EMAIL = "Counterfoil <billing@northwind.example>"
        yield server


@pytest.fixture
def page(browser: Browser, live_server: Any, mailbox: Mailbox) -> Iterator[Page]:
    """A closed invoice of 159.00 to Acme, seen by somebody of finance."""
    world = build_world()
    line = order_of(world, world.server_noninventory, price="150")
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=NOW.date())
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    update_company(actor=FINANCE, company_id=world.acme.pk, invoice_email="ap@acme.example")
    User.objects.create_user("finn@northwind.example", PASSWORD, name="Finn Books", roles=["finance"])
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda told: complaints.append(told.text) if told.type == "error" else None)
    page.goto("/accounts/login/?next=/documents/")
    page.fill("input[type=email]", "finn@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/documents/")
    yield page
    context.close()
    assert complaints == []


def width_of(page: Page, selector: str) -> int:
    """Of the picture itself, once it is loaded; 0 when it is broken."""
    page.wait_for_function("selector => document.querySelector(selector)?.complete", arg=selector)
    width: int = page.eval_on_selector(selector, "picture => picture.naturalWidth")
    return width


def test_a_logo_is_chosen_and_seen_on_an_example(page: Page) -> None:
    assert width_of(page, ".cf-preview") > 800
    page.set_input_files("[name=logo]", {"name": "logo.svg", "mimeType": "image/svg+xml", "buffer": SVG})
    page.fill("[name=legal_name]", "Northwind IT LLC")
    page.fill("[name=brand_colour]", "#aa3300")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".cf-toasts")).to_contain_text("look like this now")
    assert width_of(page, ".cf-logo") > 0
    assert width_of(page, ".cf-preview") > 800
    expect(page.locator("[name=brand_colour]")).to_have_value("#aa3300")


def test_an_invoice_is_had_as_pdf_and_mailed(page: Page, mailbox: Mailbox) -> None:
    invoice = Invoice.objects.get()
    page.goto(f"/invoices/{invoice.pk}/")
    link = page.get_by_role("link", name="PDF", exact=True)
    answer = page.request.get(str(link.get_attribute("href")))
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.body().startswith(b"%PDF-")

    page.get_by_role("link", name="Send", exact=True).click()
    expect(page.locator("[name=to]")).to_have_value("ap@acme.example")
    page.fill("[name=message]", "Thank you.")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".cf-toasts")).to_contain_text("INV-0001 goes to ap@acme.example.")
    expect(page.locator("main")).to_contain_text("Queued")
    hand_over(Delivery.objects.get().pk, now=timezone.now())
    page.reload()
    expect(page.locator("main")).to_contain_text("Sent")
    (got,) = mailbox.taken
    (attachment,) = got.iter_attachments()
    assert attachment.get_content() == answer.body()

    page.goto("/invoices/send/")
    expect(page.locator("main")).to_contain_text("Every closed invoice has been mailed")
