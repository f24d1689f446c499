"""In a real browser: a deal from the first line of its quote to what was bought and billed otherwise, and its mending.

Twenty-five people get Microsoft 365 Business Premium for three years, prepaid. Procurement buys one year, and finance
bills by the month (WE-29): each difference is named in dollars before the order is sent and the invoice is closed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from tests.offers import make_draft
from tests.world import FINANCE, OWNER, SALES, World, build_world

from counterfoil.agreements.commands import update_addition, update_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.billing.commands import invoice_agreements_through
from counterfoil.billing.models import Invoice
from counterfoil.catalog.commands import create_offer, create_product
from counterfoil.catalog.models import Category, Product
from counterfoil.matching.commands import set_hold_rule
from counterfoil.matching.matching import drain
from counterfoil.matching.models import MatchException
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.procurement.models import PurchaseOrder
from counterfoil.procurement.queries import demand
from counterfoil.quotes.commands import create_approval_rule, send_quote, withdraw_quote
from counterfoil.quotes.links import create_link, token_of
from counterfoil.quotes.models import Quote, QuoteLine, QuoteVersion, VersionStatus

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PREMIUM = "Microsoft 365 Business Premium"
#: Term, billing, price and cost of a licence for each billing.
OFFERS = (
    ("month:1", "month:1", "26.40", "24.00"),
    ("year:1", "year:1", "277.20", "252.00"),
    ("year:3", "year:3", "792.00", "720.00"),
)

Visit = Callable[..., Page]


@pytest.fixture
def world() -> World:
    cache.clear()
    return build_world(on=today().replace(day=1))


@pytest.fixture
def visit(browser: Browser, live_server: Any) -> Iterator[Visit]:
    """A browser of somebody with a role, or of nobody; what its pages complain about fails the test."""
    contexts, complaints = [], []

    def open_as(role: Role | None = None, *, width: int = 1280) -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, base_url=live_server.url)
        contexts.append(context)
        if role is not None:
            person = User.objects.create_user(f"{role}@northwind.example", name=f"{role.title()} Person", roles=[role])
            client = Client()
            client.force_login(person)
            context.add_cookies(
                [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
            )
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        return page

    yield open_as
    for context in contexts:
        context.close()
    # A refusal of a document that is held, a quote that is over: the browser logs their status as errors.
    # Whoever leaves a page aborts what it still asks for.
    harmless = re.compile(r"status of (409|410|422)|htmx:(sendAbort|afterRequest)")
    assert not [text for text in complaints if not harmless.search(text)]


def today() -> date:
    return timezone.localdate()


def licence(world: World) -> Product:
    """Sold by the month, for a year and for three."""
    product = create_product(
        actor=OWNER, identifier="M365-BP", description=PREMIUM, product_class="Agreement", accounting_type="Service",
        category_id=Category.objects.get(name="SaaS").pk, price=Decimal("26.40"), cost=Decimal(24),
        billing_cycle="month:1", vendor_id=world.ingram.pk, vendor_sku="CFQ7TTC0LCHC",
    )  # fmt: skip
    for term, cycle, price, cost in OFFERS:
        create_offer(
            actor=OWNER, product_id=product.pk, term=term, billing_cycle=cycle, price=Decimal(price),
            cost=Decimal(cost), vendor_sku=f"CFQ7TTC0LCHC:{term}",
        )  # fmt: skip
    return product


def fits(page: Page) -> bool:
    """Whether nothing of the page lies beside the screen."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def confirm(page: Page, button: str) -> None:
    """Press a button of the page, and the last one of the question it asks."""
    page.locator("main").get_by_role("button", name=button, exact=True).first.click()
    page.locator("dialog[open]").get_by_role("button").last.click()


def write(page: Page, name: str, value: str) -> None:
    """Type into a cell of the editor, and leave it."""
    cell = page.get_by_label(name, exact=True)
    cell.fill(value)
    with page.expect_response(lambda answer: "/lines/" in answer.url):
        cell.press("Tab")


def add(page: Page, typed: str, found: str = "") -> None:
    """Find something in the catalog by typing, and add the first or what is ``found`` by keyboard."""
    search = page.get_by_label("Search the catalog")
    search.fill(typed)
    count = page.locator("[data-line]").count()
    if not found:
        search.press("Enter")  # without waiting for what is found
    else:
        choice = page.locator("#catalog-results").get_by_role("button", name=found)
        expect(page.locator(f"#catalog-results [data-typed='{typed}']")).to_be_visible()
        while not choice.evaluate("each => each === document.activeElement"):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    expect(page.locator("[data-line]")).to_have_count(count + 1)
    expect(page.locator("[data-line] [name=quantity]").last).to_be_focused()


def build(page: Page) -> None:
    """The salesperson's quote: a server, licences for three years, and an option."""
    page.goto("/quotes/new/")
    page.fill("[name=company_id]", "Acme Corp")
    page.fill("[name=name]", "Office for 25")
    page.locator("main form button.btn-primary").click()
    page.wait_for_url(re.compile(r"/quotes/\d+/$"))
    add(page, "SRV-NI")
    add(page, "premium", "3 years, prepaid")
    add(page, "HAAS")


def test_from_the_first_line_of_a_quote_to_the_mending_of_what_was_bought_otherwise(world: World, visit: Visit) -> None:
    licence(world)
    create_approval_rule(
        actor=OWNER, name="Big discounts", measure="discount", threshold=Decimal(1), approver_role="finance"
    )
    sales, finance, buyer = visit(Role.SALES), visit(Role.FINANCE), visit(Role.PROCUREMENT)

    build(sales)
    price_and_order(sales)
    link = approve_and_send(sales, finance)
    accept(visit(width=390), link)
    agreement = what_came_of_it(sales)

    buy_for_a_year(buyer)
    send_and_be_refused(buyer)
    see_exceptions(finance)
    mend_and_send(buyer)

    close_and_be_refused(finance, bill_monthly(agreement))


def price_and_order(page: Page) -> None:
    """Totals and margin move with what is typed; a line goes up by keyboard."""
    totals = page.locator("#quote-totals")
    write(page, "Price of Rack server", "4,000")
    write(page, f"Quantity of {PREMIUM}", "25")
    expect(totals).to_contain_text("23,800.00")
    expect(totals).to_contain_text("Margin 15.6%")
    write(page, "Discount on Rack server: 10% or an amount", "10%")
    expect(totals).to_contain_text("23,400.00")
    expect(totals).to_contain_text("Needs approval")

    page.get_by_role("button", name=f"More about {PREMIUM}").click()
    details = page.locator("[id^=details-]:has(form)")
    details.get_by_label("At least").fill("20")
    details.get_by_label("At most").fill("30")
    details.get_by_role("button", name="Save").click()
    expect(page.locator("#quote-lines")).to_contain_text("20 to 30 as the customer likes")
    page.get_by_role("button", name="More about Server as a service").click()
    details.get_by_label("The customer may take it or leave it").check()
    details.get_by_label("Taken unless the customer says otherwise").uncheck()
    details.get_by_role("button", name="Save").click()
    expect(page.locator("#quote-lines")).to_contain_text("Optional")

    with page.expect_response("**/lines/order/") as moved:
        page.get_by_label(f"Quantity of {PREMIUM}").press("Alt+ArrowUp")
    moved.value.finished()
    first = QuoteLine.objects.order_by("position")[0]
    assert (first.description, first.quantity) == (PREMIUM, Decimal(25))
    assert fits(page)


def approve_and_send(sales: Page, finance: Page) -> str:
    """Somebody else approves; the link of the customer."""
    sales.get_by_role("button", name="Ask for approval").click()
    expect(sales.locator("main")).to_contain_text("Big discounts")
    finance.goto(sales.url)
    finance.get_by_label("Comment on Big discounts").fill("As agreed")
    finance.get_by_role("button", name="Approve").click()
    expect(finance.locator("main")).to_contain_text("As agreed")
    sales.reload()
    sales.get_by_role("link", name="Send", exact=True).click()
    sales.fill("[name=name]", "Jane Doe")
    sales.fill("[name=email]", "jane@acme.example")
    sales.locator("main form button.btn-primary").click()
    expect(sales.locator("main")).to_contain_text("stands still")
    return token_of(Quote.objects.get().links.get())


def accept(phone: Page, token: str) -> None:
    """The customer takes the option and two more seats, and signs."""
    phone.goto(f"/q/{token}/")
    totals = phone.locator("#totals")
    expect(totals).to_contain_text("3,600.00")
    phone.get_by_label(f"Quantity of {PREMIUM}").fill("31")
    expect(totals).to_contain_text("may lie between 20 and 30")
    phone.get_by_label(f"Quantity of {PREMIUM}").fill("27")
    phone.get_by_label("Add Server as a service").check()
    expect(totals).to_contain_text("744.00")
    assert fits(phone)
    assert "margin" not in phone.content().lower()
    phone.get_by_label("Your title").fill("CFO")
    phone.get_by_placeholder("Your name").fill("Jane Doe")
    phone.locator("input[name=consent]").check()
    phone.get_by_role("button", name="Accept quote").click()
    expect(phone.locator("h1")).to_have_text("Accepted", timeout=20_000)
    assert fits(phone)


def what_came_of_it(page: Page) -> Agreement:
    """Agreements, order and demand, each line of them from the line that was signed."""
    signed = {line.description: line for line in QuoteLine.objects.filter(opportunity__isnull=False)}
    assert signed[PREMIUM].quantity == 27
    agreement = Agreement.objects.get(billing_cycle="year:3")
    addition = agreement.additions.get()
    assert (addition.origin, addition.quantity, addition.term) == (signed[PREMIUM], 27, "year:3")
    (ordered,) = SalesOrder.objects.get().lines.all()
    assert ordered.origin == signed["Rack server"]
    wanted = {row.origin_id: row for row in demand()}
    assert set(wanted) == {signed[PREMIUM].pk, signed["Rack server"].pk}
    assert wanted[signed[PREMIUM].pk].terms.startswith("3 years, prepaid")
    page.reload()
    expect(page.locator("main")).to_contain_text(agreement.number)
    return agreement


def buy_for_a_year(page: Page) -> None:
    """Procurement takes the licences out of the demand, and changes the term."""
    page.goto("/demand/")
    for box in page.locator("main tbody input[type=checkbox]").all():
        box.uncheck()
    page.get_by_role("checkbox", name="Buy M365-BP").check()
    page.get_by_role("button", name="Make a purchase order").click()
    expect(page.locator("[name=lines-0-term]")).to_have_value("year:3")
    page.select_option("[name=lines-0-term]", "year:1")
    page.select_option("[name=lines-0-billing_cycle]", "year:1")
    page.fill("[name=lines-0-unit_cost]", "252")
    page.locator("main form button.btn-primary").click()
    page.wait_for_url(re.compile(r"/purchase-orders/\d+/$"))


def send_and_be_refused(page: Page) -> None:
    """The order is held: for its term and for its billing, in dollars."""
    confirm(page, "Send")
    said = page.locator("main")
    expect(said).to_contain_text("is held and cannot be sent")
    expect(said).to_contain_text(f"{Quote.objects.get()} quotes M365-BP for 3 years; PO-0001 buys 1 year")
    # Two of three years at 252 for each of 27 seats; and 36 a seat more than the 720 of three years at once.
    expect(said).to_contain_text("a cost nobody has promised (13,608.00 over the term).")
    expect(said).to_contain_text("PO-0001 pays 756.00 (27.00 a month, 972.00 over the term).")
    assert PurchaseOrder.objects.get().status == "draft"


def see_exceptions(page: Page) -> None:
    """What was found, for finance to see."""
    drain(now=timezone.now())  # as every minute
    page.goto("/match/")
    rows = page.locator("main tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.filter(has_text="buys 1 year")).to_contain_text("13,608.00")
    expect(rows.filter(has_text="pays 756.00")).to_contain_text("972.00")
    rows.first.get_by_role("link").first.click()
    expect(page.locator("main")).to_contain_text("Choose the quoted term on PO-0001")


def mend_and_send(page: Page) -> None:
    """The line as it was quoted can be sent."""
    page.goto(f"/purchase-orders/{PurchaseOrder.objects.get().pk}/")
    page.get_by_role("link", name="Change M365-BP").click()
    page.select_option("[name=term]", "year:3")
    page.select_option("[name=billing_cycle]", "year:3")
    page.fill("[name=unit_cost]", "720")
    page.locator("main form button.btn-primary").click()
    confirm(page, "Send")
    expect(page.locator(".cf-toasts")).to_contain_text("was sent.")
    drain(now=timezone.now())
    assert not MatchException.objects.filter(status="open").exists()


def bill_monthly(agreement: Agreement) -> Invoice:
    """Somebody sets the agreement to monthly: nothing is drafted. It is, while the rule for that holds nothing."""
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, billing_cycle="month:1")
    update_addition(actor=FINANCE, addition_id=agreement.additions.get().pk, unit_price=Decimal(22))
    invoice_agreements_through(actor=FINANCE, through=today(), agreement_ids=[agreement.pk])
    assert not Invoice.objects.exists()
    set_hold_rule(actor=OWNER, code="billing_frequency")
    invoice_agreements_through(actor=FINANCE, through=today(), agreement_ids=[agreement.pk])
    set_hold_rule(actor=OWNER, code="billing_frequency", holds_invoice=True)
    return Invoice.objects.get()


def close_and_be_refused(page: Page, draft: Invoice) -> None:
    """The invoice is held for its billing, and says what is not billed."""
    page.goto(f"/invoices/{draft.pk}/")
    confirm(page, "Close")
    said = page.locator("main")
    expect(said).to_contain_text("is held and cannot be closed")
    expect(said).to_contain_text("quotes M365-BP 3 years prepaid;")
    expect(said).to_contain_text("bills monthly (20,790.00 over the term)")  # 35 of 36 months of 27 seats at 22
    draft.refresh_from_db()
    assert draft.status == "draft"


def test_an_offer_that_has_expired_and_one_that_was_withdrawn_say_so(world: World, visit: Visit) -> None:
    long_ago, version = timezone.now() - timedelta(days=9), make_draft(world)[0]
    QuoteVersion.objects.filter(pk=version.pk).update(expires_on=today() - timedelta(days=1))
    sent = send_quote(actor=SALES, version_id=version.pk, on=long_ago.date(), now=long_ago)
    token = token_of(create_link(actor=SALES, quote_id=sent.quote_id, now=timezone.now()))
    phone = visit(width=390)
    phone.goto(f"/q/{token}/")
    expect(phone.locator("h1")).to_have_text("This quote has expired")
    assert fits(phone)

    withdraw_quote(actor=SALES, version_id=sent.pk, now=timezone.now(), reason="Sold out")
    phone.goto(f"/q/{token}/")
    expect(phone.locator("h1")).to_have_text("This quote has been withdrawn")
    expect(phone.locator("body")).not_to_contain_text("Sold out")
    assert QuoteVersion.objects.get(pk=sent.pk).status == VersionStatus.WITHDRAWN
