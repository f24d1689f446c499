"""A billing run in a real browser: its preview, its progress, its end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.world import OWNER, build_world

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.billing.models import BillingRun, Invoice
from counterfoil.companies.models import Company
from counterfoil.flows.billing_work import Worker
from counterfoil.platform.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "keen-otter-Lantern-42"


@pytest.fixture
def page(browser: Browser, live_server: Any) -> Iterator[Page]:
    """The start of a run over three agreements, one of them with a customer that is not active any more."""
    world = build_world()
    for company, price in ((world.acme, 150), (world.globex, 900), (world.acme, 75)):
        create_agreement(
            actor=OWNER,
            company_id=company.pk,
            agreement_type_id=world.haas.pk,
            name="Server as a service",
            start_date=date(2026, 1, 1),
            additions=[AdditionInput(product_id=world.lease.pk, unit_price=Decimal(price))],
        )
    Company.objects.filter(pk=world.globex.pk).update(active=False)
    User.objects.create_user("finn@northwind.example", PASSWORD, name="Finn Books", roles=["finance"])
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=live_server.url)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/accounts/login/?next=/billing-runs/new/")
    page.fill("input[type=email]", "finn@northwind.example")
    page.fill("input[type=password]", PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/billing-runs/new/")
    yield page
    context.close()
    assert complaints == []


def test_a_run_is_previewed_started_watched_and_finished(page: Page) -> None:
    page.fill("[name=through]", "2026-01-01")
    page.fill("[name=invoice_date]", "2026-01-01")
    expect(page.locator("#preview-busy")).not_to_be_visible()
    page.get_by_role("button", name="Preview").click()
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Would be parked")
    expect(preview).to_contain_text("225.00")
    page.select_option("[name=mode]", "close")
    page.get_by_role("button", name="Start the run").click()
    page.click("#confirm-yes")
    page.wait_for_url("**/billing-runs/*/")
    expect(page.locator("#run")).to_contain_text("Rating: 0 %")

    worker = Worker(BillingRun.objects.get().pk)
    assert worker.step()  # rated
    expect(page.locator("#run")).to_contain_text("Rating: 50 %")
    expect(page.locator("#run")).to_contain_text("It is mended")
    while worker.step():
        pass
    expect(page.locator("#run")).to_contain_text("Done: 100 %")
    expect(page.locator("#run")).to_contain_text("finished RUN-0001: 2 invoices")
    assert [invoice.number for invoice in Invoice.objects.order_by("pk")] == ["INV-0001", "INV-0002"]

    page.get_by_role("button", name="It is mended").click()
    expect(page.locator("#run")).to_contain_text("Mended")
    page.get_by_role("link", name="See the invoices").click()
    expect(page.locator("main")).to_contain_text("INV-0002")
