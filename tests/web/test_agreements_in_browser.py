"""Agreements edited in a real browser: a block from its type, a quantity changed with its preview, work covered."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.web.test_lease_in_browser import Desk, desk

__all__ = ["desk"]  # fixture

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, reset_sequences=True)]


def set_the_stage(desk: Desk) -> None:
    """A customer, an agreement product, a work role and the usual types of agreement."""
    desk.go("/companies/new/")
    desk.fill(identifier="Acme", name="Acme Corp", kind="Customer", account_number="A1", terms_id="Net 30")
    desk.press("Make the company")
    desk.go("/products/new/")
    desk.fill(
        identifier="M365", description="Mailbox", product_class="Agreement", billing_cycle="Monthly",
        category_id="HaaS", price="22",
    )  # fmt: skip
    desk.press("Make the product")
    desk.go("/work-roles/new/")
    desk.fill(name="Engineer", hourly_rate="120", hourly_cost="50")
    desk.press("Make the work role")
    desk.go("/agreement-types/")
    if desk.page.get_by_role("button", name="Add the usual kinds").count():
        desk.press("Add the usual kinds")
    desk.reads("Recurring block", "Managed service")


def make_a_block(desk: Desk) -> None:
    """The type proposes the terms: choosing it swaps them in, and only what matters is open."""
    page = desk.page
    desk.go("/agreements/new/")
    desk.fill(company_id="Acme", name="Ten hours", start_date="2026-01-01", agreement_type_id="Hosting")
    expect(page.locator("#section-coverage")).not_to_have_attribute("open", "")
    desk.fill(agreement_type_id="Recurring block")
    expect(page.locator("#section-coverage")).to_have_attribute("open", "")
    expect(page.locator("[name=application_units]")).to_have_value("hours")
    desk.fill(application_limit="10", billing_amount="1000", lines__0__product_id="M365", lines__0__quantity="17")
    desk.press("Make the agreement")
    desk.reads("AGR-0001", "Ten hours", "17", "374.00")


def test_a_block_is_made_changed_and_drawn_on(desk: Desk) -> None:
    set_the_stage(desk)
    make_a_block(desk)
    page = desk.page

    page.locator("main").get_by_role("link", name="Quantity or price").click()
    page.fill("[name=on]", "2026-02-01")
    page.fill("[name=quantity]", "20")
    # 17 x 22.00 and 1,000.00 in January; three mailboxes more in February.
    expect(page.locator("#preview")).to_contain_text("1,374.00")
    expect(page.locator("#preview")).to_contain_text("1,440.00")
    expect(page.locator("#preview")).to_contain_text("66.00")
    desk.fill(reason="Three new people")
    desk.press("Change it")
    desk.reads("quantity 17 → 20", "Three new people")

    desk.press("Change")
    page.locator("#section-changes summary").click()
    desk.fill(carry_over="yes", carry_over_days="31", credits="Credit memo at once")
    desk.press("Save")
    page.get_by_text("All terms").click()
    desk.reads("Carry over what is unused", "Credit memo at once")

    desk.go("/usage/time/new/?company=2&agreement=1")
    desk.fill(
        on="2026-01-05", lines__0__hours="12", lines__0__description="Migration", lines__0__work_role_id="Engineer"
    )
    page.keyboard.press("Enter")
    page.wait_for_url("**/usage/")
    desk.row("Migration", "1,440.00", "1,200.00", "240.00")
    desk.go("/agreements/1/coverage/?period=2026-01-01")
    row = desk.row("Migration", "Partly covered")
    row.locator("summary").click()
    expect(row.locator(".cf-explain-body")).to_contain_text("10")


def test_what_is_wrong_is_said_beside_its_field_and_nothing_typed_is_lost(desk: Desk) -> None:
    set_the_stage(desk)
    desk.go("/agreements/new/")
    desk.fill(company_id="Acme", name="Wrong", start_date="2026-01-01", agreement_type_id="Recurring block")
    expect(desk.page.locator("[name=application_units]")).to_have_value("hours")
    desk.fill(application_limit="5", application_unlimited="yes")
    desk.page.get_by_role("button", name="Make the agreement").click()
    expect(desk.page.locator("#id_application_limit_error")).to_contain_text("unlimited or has a limit")
    expect(desk.page.locator("[name=name]")).to_have_value("Wrong")
    desk.complaints.clear()  # the browser notes the refusal's status
    desk.fill(application_unlimited="no")
    desk.press("Make the agreement")
    desk.reads("Recap", "of 5 hours used" if desk.page.locator(".cf-gauge").count() else "grants nothing today")
    desk.page.wait_for_load_state("networkidle")  # a part still loads, and would meet the emptying of the tables
