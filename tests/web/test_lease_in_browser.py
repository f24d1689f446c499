"""The twelve steps in a real browser, for both options, from an empty database to the reports."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from counterfoil.flows.setup import set_up_msp
from counterfoil.platform.users import create_first_owner

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, reset_sequences=True)]

PROCUREMENT, INVOICES = "/unposted/", "/unposted/invoices/"
EMAIL, PASSWORD = "olivia@northwind.example", "keen-otter-Lantern-42"


class Desk:
    """A signed-in person at a browser, who fills forms by the names of their inputs and presses what is written."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.address = page, address
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def go(self, path: str) -> None:
        self.settle()
        answer = self.page.goto(self.address + path)
        assert answer is not None
        assert answer.ok, f"{path} answered {answer.status}"

    def settle(self) -> None:
        """Wait for the answers that the page waits for: one given up by leaving is an error on the console.

        A preview is asked for a quarter of a second after the last key.
        """
        if self.page.locator("[hx-trigger*='delay:']").count():
            self.page.wait_for_timeout(350)
        expect(self.page.locator(".htmx-request")).to_have_count(0)

    def fill(self, **values: str) -> None:
        """Fill inputs of the page's form; a select takes its text, a tick box "yes" or "no"."""
        for name, value in values.items():
            control = self.page.locator(f"main [name='{name.replace('__', '-')}']:not([type=hidden])").first
            kind = control.evaluate("e => e.tagName == 'SELECT' ? 'select' : e.type")
            if kind == "select":
                control.select_option(label=value)
            elif kind == "checkbox":
                control.set_checked(value == "yes")
            else:
                control.fill(value)

    def press(self, text: str) -> None:
        """Press the button or link of that text in the page, and confirm if it asks."""
        main = self.page.locator("main")
        target = main.get_by_role("button", name=text, exact=True).or_(main.get_by_role("link", name=text, exact=True))
        self.settle()
        with self.page.expect_navigation(timeout=30_000) as going:
            target.first.click()
            dialog = self.page.locator("dialog[open]")
            if dialog.count():
                dialog.get_by_role("button").last.click()
        answer = going.value
        assert answer is not None
        assert answer.ok, f"{text!r} was refused:\n{self.page.locator('main').inner_text()}"

    def reads(self, *texts: str) -> None:
        for text in texts:
            expect(self.page.locator("main")).to_contain_text(text)

    def row(self, *texts: str) -> Locator:
        """The table row that holds all of ``texts``."""
        rows = self.page.locator("main tr")
        for text in texts:
            rows = rows.filter(has_text=text)
        expect(rows.first).to_be_visible()
        return rows.first


@pytest.fixture
def desk(browser: Browser, live_server: Any) -> Iterator[Desk]:
    """An installation as ``counterfoil init`` leaves it, and its owner at a browser."""
    owner = create_first_owner(email=EMAIL, name="Olivia Owner", password=PASSWORD).actor()
    set_up_msp(actor=owner, name="Northwind IT", identifier="NorthwindIT", on=date(2026, 1, 1))
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(20_000)
    desk = Desk(context.new_page(), live_server.url)
    desk.page.goto(f"{live_server.url}/accounts/login/")
    desk.page.fill("input[type=email]", EMAIL)
    desk.page.fill("input[type=password]", PASSWORD)
    desk.page.get_by_role("button", name="Sign in", exact=True).click()
    desk.page.wait_for_url(f"{live_server.url}/")
    yield desk
    desk.settle()
    context.close()
    assert desk.complaints == []


def set_the_stage(desk: Desk, *, stocked: bool) -> None:
    """Steps 1 to 3: tax code, companies, products, and for option 2 a customer warehouse with its bin."""
    desk.go("/tax-codes/new/")
    desk.fill(identifier="MI", lines__0__name="Michigan", lines__0__rate="6", lines__0__agency="Michigan Treasury")
    desk.press("Make the tax code")
    for identifier, name, kind, tax in (
        ("Acme", "Acme Corp", "Customer", "MI"),
        ("Ingram", "Ingram Micro", "Vendor", "None: no sales tax"),
        ("NorthwindHaaS", "Northwind HaaS", "Internal company", "None: no sales tax"),
    ):
        desk.go("/companies/new/")
        desk.fill(
            identifier=identifier, name=name, kind=kind, account_number=identifier, terms_id="Net 30", tax_code_id=tax
        )
        desk.press("Make the company")
    desk.go("/products/new/")
    desk.fill(
        identifier="SRV",
        description="Rack server",
        product_class="Inventory" if stocked else "Non-inventory",
        category_id="Hardware",
        cost="3600",
        vendor_id="Ingram",
        serialized="yes" if stocked else "no",
    )
    desk.press("Make the product")
    desk.go("/products/new/")
    desk.fill(
        identifier="HAAS-SRV",
        description="Server as a service",
        product_class="Agreement",
        billing_cycle="Monthly",
        category_id="HaaS",
        price="150",
    )
    desk.press("Make the product")
    if stocked:
        desk.go("/warehouses/new/")
        desk.fill(name="Acme Corp", company_id="Acme")
        desk.press("Make the warehouse")
        desk.go("/warehouses/1/bins/new/")
        desk.fill(name="Acme rack")
        desk.press("Make the bin")


def quote_and_convert(desk: Desk) -> None:
    """Steps 4 to 6: an opportunity with both lines, converted to an agreement and to a sales order."""
    desk.go("/opportunities/new/")
    desk.fill(
        company_id="Acme",
        name="Server for Acme",
        lines__0__product_id="SRV",
        lines__0__quantity="1",
        lines__0__unit_cost="3600",
        lines__0__unit_price="0",
        lines__1__product_id="HAAS-SRV",
        lines__1__quantity="1",
        lines__1__unit_cost="0",
        lines__1__unit_price="150",
        lines__1__billing_cycle="Monthly",
        lines__1__cycles="36",
        lines__1__start_date="2026-01-01",
    )
    desk.press("Make the opportunity")
    desk.press("Convert to agreement")
    desk.fill(agreement_type_id="HaaS")
    desk.press("Make the agreement")
    desk.reads("AGR-0001", "150.00", "Acme Corp")
    desk.go("/opportunities/1/")
    desk.reads("not converted yet")
    desk.press("Convert to sales order")
    desk.fill(on="2026-01-02")
    desk.press("Make the sales order")
    desk.reads("SO-0001", "3,600.00")


def buy_and_receive(desk: Desk, *, stocked: bool) -> None:
    """Steps 7 and 8: purchase order from the demand, received with the vendor's bill, and shipped."""
    desk.go("/demand/")
    desk.row("SRV").locator("input[type=checkbox]").check()
    desk.press("Make a purchase order")
    desk.fill(order_date="2026-01-05")
    desk.press("Make the draft")
    desk.press("Send")
    desk.go("/receiving/1/")
    desk.fill(on="2026-01-10", vendor_invoice_number="V-88213", vendor_invoice_date="2026-01-10")
    if stocked:
        desk.fill(lines__0__bin_id="Acme Corp / Acme rack", lines__0__serials="SN-1001")
    desk.press("Receive")
    desk.reads("RCV-0001")
    if stocked:
        desk.go("/stock/")
        desk.row("SRV", "3,600.00")
        desk.go("/sales-orders/1/ship/")
        desk.fill(on="2026-01-10", lines__0__serials="SN-1001")
        desk.press("Ship")
        desk.reads("SHP-0001")


def transfer(desk: Desk, queue: str, through: str, *entries: str) -> None:
    """Steps 9 and 11: batch what is ready, look at its entries, transfer it."""
    desk.go(queue)
    desk.fill(through=through)
    desk.press("Batch all that is ready")
    desk.reads(*entries)
    desk.press("Transfer")
    desk.reads("Transferred")


def bill_agreement(desk: Desk) -> None:
    """Step 5, the other half: the first month invoiced with its tax."""
    desk.go("/agreements/1/")
    desk.press("Invoice next period")
    desk.reads("150.00", "9.00", "159.00")
    desk.press("Close")
    desk.reads("INV-000")


def invoice_the_cost(desk: Desk) -> None:
    """Step 10: the sales order's invoice, cost only, billed to the internal company."""
    desk.go("/sales-orders/1/")
    desk.press("Invoice")
    desk.fill(on="2026-01-15")
    desk.press("Make the draft invoice")
    desk.press("Change the bill-to")
    desk.fill(bill_to="Northwind HaaS")
    desk.press("Save")
    desk.reads("Northwind HaaS", "0.00")
    desk.press("Close")


def capitalise_and_depreciate(desk: Desk) -> None:
    """Step 12: from COGS to fixed assets, then the first month's depreciation."""
    desk.go("/assets/to-capitalise/")
    desk.press("Capitalise")
    desk.press("Capitalise")
    desk.reads("FA-0001", "3,600.00")
    desk.go("/assets/depreciation/")
    desk.fill(through="2026-01-31")
    desk.press("Show what is due")
    desk.reads("100.00")
    desk.press("Post 100.00")


def read_the_reports(
    desk: Desk, *, profit: str, cogs: str | None = None, depreciation: str | None = None, book_value: str | None = None
) -> None:
    """What the month of January says of the option."""
    desk.go("/reports/profit-and-loss/?from=2026-01-01&to=2026-01-31")
    desk.row("HaaS Revenue", "150.00")
    desk.row("Net profit", profit)
    for account, figure in (("COGS - Hardware", cogs), ("Depreciation - HaaS", depreciation)):
        if figure:
            desk.row(account, figure)
    desk.go("/reports/balance-sheet/?from=2026-01-01&to=2026-01-31")
    desk.row("Accounts Payable", "3,600.00")
    desk.row("Sales Tax Payable", "9.00")
    if book_value:
        desk.row("Fixed Assets - HaaS", "3,600.00")
        desk.row("Accumulated Depreciation - HaaS", book_value)
    desk.go("/reports/verify/")
    expect(desk.page.locator("main")).not_to_contain_text("differs")


def test_option_1_expenses_the_server(desk: Desk) -> None:
    set_the_stage(desk, stocked=False)
    quote_and_convert(desk)
    buy_and_receive(desk, stocked=False)
    transfer(desk, PROCUREMENT, "2026-01-15", "COGS - Hardware", "Goods Received Not Invoiced", "Accounts Payable")
    bill_agreement(desk)
    transfer(desk, INVOICES, "2026-01-31", "HaaS Revenue", "Sales Tax Payable")
    read_the_reports(desk, profit="(3,450.00)", cogs="3,600.00")


def test_option_2_capitalises_it(desk: Desk) -> None:
    set_the_stage(desk, stocked=True)
    quote_and_convert(desk)
    buy_and_receive(desk, stocked=True)
    transfer(desk, PROCUREMENT, "2026-01-15", "Inventory", "Goods Received Not Invoiced", "Accounts Payable")
    invoice_the_cost(desk)
    transfer(desk, INVOICES, "2026-01-15", "COGS - Hardware", "Inventory")
    capitalise_and_depreciate(desk)
    bill_agreement(desk)
    transfer(desk, INVOICES, "2026-01-31", "HaaS Revenue", "Sales Tax Payable")
    read_the_reports(desk, profit="50.00", depreciation="100.00", book_value="(100.00)")
