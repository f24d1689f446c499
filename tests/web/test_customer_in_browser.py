"""A customer on a phone: picks, signs and accepts; declines; comes too late."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Browser, Page, expect
from tests.offers import Offer, make_draft
from tests.world import SALES, build_world

from counterfoil.quotes.links import create_link, token_of
from counterfoil.quotes.models import Acceptance, QuoteMessage, QuoteVersion, VersionStatus
from counterfoil.quotes.versions import send_quote, withdraw_quote

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True, reset_sequences=True)]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "has_touch": True}


@pytest.fixture
def offer() -> Offer:
    cache.clear()
    now = timezone.now()
    world = build_world(on=now.date())
    version, lines = make_draft(world)
    QuoteVersion.objects.filter(pk=version.pk).update(
        expires_on=now.date() + timedelta(days=30),
        introduction="Thank you for talking with us. This is what we would do for you.",
        terms_and_conditions="Prices hold until the quote expires.\n\nInvoices are due in thirty days.",
    )
    sent = send_quote(actor=SALES, version_id=version.pk, on=now.date(), now=now)
    return Offer(sent, create_link(actor=SALES, quote_id=sent.quote_id, now=now), lines)


@pytest.fixture
def page(browser: Browser, offer: Offer, live_server: Any) -> Iterator[Page]:
    context = browser.new_context(**PHONE)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{live_server.url}/q/{token_of(offer.link)}/")
    yield page
    context.close()
    assert not [text for text in complaints if "410" not in text]


def fits(page: Page) -> bool:
    """Whether nothing sticks out to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def test_picking_drawing_and_accepting(page: Page, offer: Offer) -> None:
    expect(page.locator("h1")).to_have_text("Office for Acme")
    assert fits(page)
    totals = page.locator("#totals")
    expect(totals).to_contain_text("300.00")
    page.get_by_label("Add Backup").check()
    expect(totals).to_contain_text("450.00")
    page.get_by_label("Premium support").check()
    page.get_by_label("Quantity of Seats").fill("12")
    expect(totals).to_contain_text("640.00")
    expect(page.locator("#glance")).to_contain_text("640.00")
    expect(page.locator(f"#amount-{offer.lines['seats'].pk}")).to_have_text("240.00")
    page.get_by_label("Quantity of Seats").fill("99")
    expect(totals).to_contain_text("may lie between 5 and 20")
    page.get_by_label("Quantity of Seats").fill("12")
    expect(totals).to_contain_text("640.00")

    page.get_by_label("Your title").fill("CFO")
    page.get_by_label("Your purchase order number").fill("PO-77")
    page.get_by_role("radio", name="Draw").check()
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 30, box["y"] + 50)
    page.mouse.down()
    for step in range(1, 12):
        page.mouse.move(box["x"] + 30 + 15 * step, box["y"] + 50 + (20 if step % 2 else -20))
    page.mouse.up()
    assert page.locator("input[name=drawn]").input_value().startswith("M")
    page.locator("input[name=consent]").check()
    assert fits(page)
    page.get_by_role("button", name="Accept quote").click()

    expect(page.locator("h1")).to_have_text("Accepted", timeout=20_000)
    made = Acceptance.objects.get()
    expect(page.locator("main")).to_contain_text(made.record_sha256)
    assert (made.name, made.customer_po, made.signature_kind) == ("Jane Doe", "PO-77", "drawn")
    assert fits(page)
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download the signed PDF").click()
    content = downloading.value.path().read_bytes()
    assert content == bytes(made.pdf)

    page.get_by_role("link", name="upload the PDF on the verification page").click()
    page.locator("input[type=file]").set_input_files(
        {"name": "q.pdf", "mimeType": "application/pdf", "buffer": content}
    )
    page.get_by_role("button", name="Check").click()
    expect(page.locator("#found")).to_contain_text("Genuine and unchanged")


def test_a_question_leaves_what_was_picked_and_typed(page: Page, offer: Offer) -> None:
    page.get_by_label("Quantity of Seats").fill("12")
    page.get_by_label("Add Backup").check()
    page.get_by_label("Your title").fill("CFO")
    expect(page.locator("#totals")).to_contain_text("490.00")
    page.get_by_label("Ask us").fill("Is setup included?")
    page.get_by_role("button", name="Send the question").click()
    expect(page.locator("#talk")).to_contain_text("Is setup included?")
    expect(page.get_by_label("Ask us")).to_have_value("")
    expect(page.get_by_label("Quantity of Seats")).to_have_value("12")
    expect(page.get_by_label("Your title")).to_have_value("CFO")
    expect(page.locator("#totals")).to_contain_text("490.00")
    assert QuoteMessage.objects.count() == 1


def test_a_quote_that_is_withdrawn_while_it_is_read_says_so_at_the_next_pick(page: Page, offer: Offer) -> None:
    withdraw_quote(actor=SALES, version_id=offer.version.pk, now=timezone.now(), reason="Sold out")
    page.get_by_label("Add Backup").check()
    expect(page.locator("h1")).to_have_text("This quote has been withdrawn")


def test_asking_then_declining(page: Page, offer: Offer) -> None:
    page.get_by_label("Ask us").fill("Is setup included?")
    page.get_by_role("button", name="Send the question").click()
    expect(page.locator("#talk")).to_contain_text("Is setup included?")
    page.get_by_text("Decline this quote").click()
    page.get_by_label("Why?").fill("We have found another one.")
    page.locator("#decline").get_by_role("button", name="Decline").click()

    expect(page.locator("h1")).to_have_text("You have declined this quote")
    assert QuoteVersion.objects.get(pk=offer.version.pk).status == VersionStatus.DECLINED


def test_a_page_left_open_until_the_link_is_over(page: Page, offer: Offer) -> None:
    page.get_by_label("Your title").fill("CFO")
    page.get_by_placeholder("Your name").fill("Jane Doe")
    page.locator("input[name=consent]").check()
    type(offer.link).objects.filter(pk=offer.link.pk).update(expires_at=timezone.now())
    page.get_by_role("button", name="Accept quote").click()

    expect(page.locator("h1")).to_have_text("This link has expired")
    assert fits(page)
    assert not Acceptance.objects.exists()
