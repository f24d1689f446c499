"""The customer's pages: without an account, with what was quoted and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pypdf import PdfReader
from tests.offers import NOW, TODAY, Offer, make_draft, make_offer
from tests.smtp import Mailbox, smtp_server
from tests.web.pages import sign_in, text_of
from tests.world import SALES, World

from counterfoil.core.canonical import sha256_of
from counterfoil.core.errors import DomainError
from counterfoil.platform.identity import Role
from counterfoil.quotes.links import create_link, revoke_link, token_of
from counterfoil.quotes.models import (
    Acceptance,
    QuoteLine,
    QuoteMessage,
    QuoteVersion,
    QuoteVisit,
    VersionStatus,
    VisitKind,
)
from counterfoil.quotes.pricing import recalculate
from counterfoil.quotes.versions import new_version, send_quote, withdraw_quote

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Coordinates]:
    cache.clear()  # how often an address has asked
    with time_machine.travel(NOW, tick=False) as travelled:
        yield travelled


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with smtp_server() as mailbox:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", mailbox.port, False
        settings.EMAIL_USE_SSL, settings.EMAIL_HOST_USER, settings.EMAIL_TIMEOUT = False, "", 5
        settings.DEFAULT_FROM_EMAIL = "Counterfoil <billing@northwind.example>"
        yield mailbox


@pytest.fixture
def offer(world: World) -> Offer:
    return make_offer(world)


def address(offer: Offer, page: str = "") -> str:
    return f"/q/{token_of(offer.link)}/{page}"


def form(offer: Offer, *taken: str, seats: str = "10", **changes: str) -> dict[str, Any]:
    """The page as the customer fills it in; ``seen`` is what the page would have carried."""
    names = taken or ("basic",)
    fields = {
        "version": str(offer.version.pk),
        "take": [str(offer.lines[name].pk) for name in names if name == "backup"],
        "choose-Support": next(str(offer.lines[name].pk) for name in names if name != "backup"),
        f"quantity-{offer.lines['seats'].pk}": seats,
        "name": "Jane Doe",
        "title": "CFO",
        "email": "jane@acme.example",
        "signature_kind": "typed",
        "typed": "Jane Doe",
        "consent": "yes",
    }
    picks = offer.picks(*names, seats=int(seats))
    return fields | {"seen": str(offer.seen(picks))} | changes


def test_the_quote_opens_without_an_account_and_says_the_essentials_first(client: Client, offer: Offer) -> None:
    answer = client.get(address(offer))

    assert answer.status_code == 200
    text = text_of(answer)
    assert text.index("Office for Acme") < text.index("3,600.00") < text.index("300.00") < text.index("1 Apr 2026")
    assert "Rack server" in text
    assert "Support: choose one" in text
    assert answer["Cache-Control"] == "no-store"
    assert "noindex" in answer["X-Robots-Tag"]
    assert "style=" not in answer.content.decode()
    offer.version.refresh_from_db()
    assert offer.version.status == VersionStatus.VIEWED
    client.get(address(offer))
    assert [visit.kind for visit in QuoteVisit.objects.all()] == [VisitKind.VIEWED]  # looked at, once


def test_what_is_paid_ahead_is_said_first_and_on_the_receipt(client: Client, world: World) -> None:
    """Ten seats for three years at 36.00 each: 360.00 now, though that is 10.00 a month."""
    version, lines = make_draft(world)
    QuoteLine.objects.filter(pk=lines["seats"].pk).update(
        billing_cycle="year:3", term="year:3", list_price=36, unit_price=36
    )
    recalculate(QuoteVersion.objects.get(pk=version.pk))
    sent = send_quote(actor=SALES, version_id=version.pk, on=TODAY, now=NOW)
    offer = Offer(sent, create_link(actor=SALES, quote_id=sent.quote_id, now=NOW), lines)
    glance = "Once 3,600.00 USD First bill of what recurs 460.00 USD Per month 110.00 USD"
    assert glance in text_of(client.get(address(offer)))
    client.post(address(offer, "accept/"), form(offer))
    assert glance in text_of(client.get(address(offer)))
    paper = " ".join(text_of_pdf(bytes(Acceptance.objects.get().pdf)).lower().split())
    assert "first bill of what recurs 460.00 usd a month 110.00 usd" in paper


def test_staff_who_look_at_it_are_no_visit(client: Client, offer: Offer) -> None:
    sign_in(client, Role.SALES)

    assert client.get(address(offer)).status_code == 200
    assert not QuoteVisit.objects.exists()


def test_totals_move_with_what_is_picked(client: Client, offer: Offer) -> None:
    answer = client.post(address(offer, "totals/"), form(offer, "backup", "premium", seats="12"))

    assert "640.00" in text_of(answer)
    assert f'id="amount-{offer.lines["seats"].pk}" hx-swap-oob="true">240.00' in answer.content.decode()
    assert 'value="3600.00 640.00 3600.00"' in answer.content.decode()
    too_many = client.post(address(offer, "totals/"), form(offer) | {f"quantity-{offer.lines['seats'].pk}": "21"})
    assert "may lie between 5 and 20" in text_of(too_many)
    assert 'name="seen" value=""' in too_many.content.decode()


def test_accepting_gives_a_receipt_with_the_signed_pdf(client: Client, offer: Offer) -> None:
    answer = client.post(address(offer, "accept/"), form(offer, "backup", "premium", seats="12"))

    assert answer.status_code == 302, text_of(answer)[:2000]
    made = Acceptance.objects.get()
    receipt = client.get(address(offer))
    assert made.record_sha256 in text_of(receipt)
    assert "640.00" in text_of(receipt)
    assert re.search(r"on \d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d [A-Z]{3,4}\.", text_of(receipt)), "a time has its zone"
    assert (made.ip_address, made.name, made.link_id) == ("127.0.0.1", "Jane Doe", offer.link.pk)
    pdf = client.get(address(offer, "quote.pdf"))
    assert sha256_of(pdf.content) == made.pdf_sha256
    assert sha256_of(client.get(address(offer, "record.json")).content) == made.record_sha256


def test_pressing_twice_shows_the_receipt_and_accepts_once(client: Client, offer: Offer) -> None:
    filled = form(offer)

    assert client.post(address(offer, "accept/"), filled).status_code == 302
    assert client.post(address(offer, "accept/"), filled).status_code == 302
    assert Acceptance.objects.count() == 1
    other = client.post(address(offer, "accept/"), filled | {"name": "John Roe", "email": "john@acme.example"})
    assert "Jane Doe has accepted" in text_of(other)
    assert Acceptance.objects.count() == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"consent": ""}, "Tick that you accept"),
        ({"name": " "}, "Enter your name"),
        ({"typed": ""}, "Type your name as signature"),
        ({"signature_kind": "drawn", "drawn": "<script>"}, "Draw your signature"),
        ({"email": "nobody"}, "valid email"),
        ({"seen": "1.00 1.00 1.00"}, "not those you saw"),
        ({"seen": ""}, "not those you saw"),
        ({"seen": "sNaN 1 1"}, "not those you saw"),
        ({"take": "9" * 5000, "seen": ""}, "not those you saw"),
        ({"version": "9" * 5000, "seen": ""}, "not those you saw"),
        ({"name": "J" * 100_000}, "At most 100 characters"),
        ({"choose-Support": ""}, "Choose one of"),
    ],
)
def test_what_is_missing_is_said_and_nothing_that_was_typed_is_lost(
    client: Client, offer: Offer, changes: dict[str, str], says: str
) -> None:
    answer = client.post(address(offer, "accept/"), form(offer, customer_po="PO-77", **changes))

    assert answer.status_code == 422
    assert says in text_of(answer)
    assert 'value="PO-77"' in answer.content.decode()
    assert not Acceptance.objects.exists()
    assert not QuoteLine.objects.filter(version=offer.version, opportunity__isnull=False).exists()


def test_a_drawn_signature_is_in_the_record(client: Client, offer: Offer) -> None:
    drawn = {"signature_kind": "drawn", "drawn": "M10.5 20L30 40.1L60 50M100 100L110 120"}

    assert client.post(address(offer, "accept/"), form(offer, **drawn)).status_code == 302
    assert b'"signature":{"kind":"drawn","value":"M10.5 20L30' in bytes(Acceptance.objects.get().record)


def test_asking_and_declining(client: Client, offer: Offer) -> None:
    assert client.post(address(offer, "question/"), {"text": "Is <b>setup</b> included?"}).status_code == 302
    assert "Is &lt;b&gt;setup&lt;/b&gt; included?" in client.get(address(offer)).content.decode()
    assert QuoteMessage.objects.get().author == "Jane Doe"
    assert client.post(address(offer, "decline/"), {"reason": " "}).status_code == 422
    assert client.post(address(offer, "decline/"), {"reason": "Too dear."}).status_code == 302
    offer.version.refresh_from_db()
    assert (offer.version.status, offer.version.close_reason) == (VersionStatus.DECLINED, "Too dear.")
    assert "You have declined" in text_of(client.get(address(offer)))
    assert client.post(address(offer, "accept/"), form(offer)).status_code == 410


@pytest.mark.parametrize(
    ("happens", "says", "status"),
    [
        ("revoked", "This link has been withdrawn", 410),
        ("link over", "This link has expired", 410),
        ("quote over", "This quote has expired", 410),
        ("superseded", "A new version is on its way", 410),
        ("withdrawn", "This quote has been withdrawn", 410),
        ("unknown", "No quote here", 404),
        ("forged", "No quote here", 404),
    ],
)
def test_a_clear_page_when_it_does_not_open(
    client: Client, offer: Offer, clock: time_machine.Coordinates, happens: str, says: str, status: int
) -> None:
    filled, where = form(offer), address(offer)
    if happens == "revoked":
        revoke_link(actor=SALES, link_id=offer.link.pk, now=NOW)
    elif happens == "link over":
        clock.move_to(NOW + timedelta(days=400))
    elif happens == "quote over":
        clock.move_to(NOW + timedelta(days=31))
    elif happens == "superseded":
        new_version(actor=SALES, version_id=offer.version.pk, on=TODAY, now=NOW)
    elif happens == "withdrawn":
        withdraw_quote(actor=SALES, version_id=offer.version.pk, now=NOW)
    else:
        where = "/q/nothing/" if happens == "unknown" else f"{where[:-6]}AAAAA/"

    for answer in (client.get(where), client.post(f"{where}accept/", filled), client.get(f"{where}quote.pdf")):
        assert answer.status_code == status
        assert says in text_of(answer)
        assert "Sign in" not in text_of(answer)
    assert not Acceptance.objects.exists()


def test_a_version_that_took_its_place_is_shown_by_the_same_link_and_the_old_page_cannot_accept_it(
    client: Client, offer: Offer
) -> None:
    filled = form(offer)
    newer = new_version(actor=SALES, version_id=offer.version.pk, on=TODAY, now=NOW)
    send_quote(actor=SALES, version_id=newer.pk, on=TODAY, now=NOW)

    answer = client.post(address(offer, "accept/"), filled)

    assert answer.status_code == 422
    assert "took the place of" in text_of(answer)
    assert not Acceptance.objects.exists()
    assert "version 2" in text_of(client.get(address(offer)))


def text_of_pdf(content: bytes) -> str:
    """What a PDF says, on its pages, about itself and in the files attached to it."""
    reader = PdfReader(BytesIO(content))
    attached = [data.decode() for files in reader.attachments.values() for data in files]
    return " ".join([*(page.extract_text() for page in reader.pages), str(reader.metadata), *attached])


def test_nothing_of_cost_margin_hidden_lines_remarks_or_other_customers_is_in_any_answer(
    client: Client, world: World
) -> None:
    version, lines = make_draft(world)
    hidden = QuoteLine.objects.create(
        version=version, product=world.server_inventory, position=9, description="Secret labour part", quantity=1,
        bundle=lines["server"], bundle_quantity=1, hidden=True, unit_cost=Decimal("1234.56"),
        list_price=Decimal("155.01"),
    )  # fmt: skip
    recalculate(QuoteVersion.objects.get(pk=version.pk))
    QuoteVersion.objects.filter(pk=version.pk).update(comment="Give them 20 percent if they moan")
    sent = send_quote(actor=SALES, version_id=version.pk, on=TODAY, now=NOW)
    offer = Offer(sent, create_link(actor=SALES, quote_id=sent.quote_id, now=NOW), lines)
    secrets = [
        "2711.17",
        "2,711.17",
        "13.37",
        "1234.56",
        "1,234.56",
        "155.01",
        "Secret labour",
        "moan",
        "Globex",
        "margin",
    ]

    pages = [
        client.get(address(offer)),
        client.post(address(offer, "totals/"), form(offer)),
        client.get(address(offer, "quote.pdf")),
    ]
    pages.append(client.post(address(offer, "accept/"), form(offer, consent="")))
    assert client.post(address(offer, "accept/"), form(offer)).status_code == 302
    pages += [client.get(address(offer, page)) for page in ("", "quote.pdf", "record.json")]

    assert hidden.hidden
    for answer in pages:
        raw = text_of_pdf(answer.content) if answer["Content-Type"] == "application/pdf" else answer.content.decode()
        assert not [secret for secret in secrets if secret.lower() in raw.lower()], answer.request["PATH_INFO"]
        assert not re.search(r"\bcost", raw, re.IGNORECASE)


def test_staff_pages_stay_closed_and_links_of_others_open_nothing_more(
    client: Client, world: World, offer: Offer
) -> None:
    other = make_offer(world)
    taken = client.post(address(offer, "accept/"), form(offer) | {"version": str(other.version.pk)})

    assert taken.status_code == 422
    assert "another quote" in text_of(taken)
    assert not Acceptance.objects.exists()
    assert client.get("/").status_code == 302
    assert client.get(f"/q/{token_of(offer.link)}").status_code in (301, 404)


def test_who_asks_too_often_has_to_wait(client: Client, offer: Offer) -> None:
    answers = [client.post(address(offer, "decline/"), {"reason": ""}, REMOTE_ADDR="198.51.100.9") for _ in range(12)]

    assert {answer.status_code for answer in answers[:10]} == {422}
    assert answers[-1].status_code == 429
    assert answers[-1]["Retry-After"] == "60"


def test_a_code_by_mail(client: Client, world: World, mailbox: Mailbox) -> None:
    offer = make_offer(world, ask_code=True)
    without = client.post(address(offer, "accept/"), form(offer))
    assert "code" in text_of(without)

    said = client.post(address(offer, "code/"), form(offer), headers={"HX-Request": "true"})

    assert "j…@acme.example" in text_of(said)
    code = re.search(r"is (\d{6})", mailbox.taken[-1].get_content())
    assert code
    wrong = "000000" if code[1] != "000000" else "000001"
    assert client.post(address(offer, "accept/"), form(offer, code=wrong)).status_code == 422
    assert client.post(address(offer, "accept/"), form(offer, code=code[1])).status_code == 302
    made = Acceptance.objects.get()
    assert made.code_verified


def test_a_code_that_cannot_be_mailed_is_our_trouble(
    client: Client, world: World, mailbox: Mailbox, settings: Any
) -> None:
    """Without a mail server nobody could ever accept: such a quote is not sent. The customer reads of no settings."""
    offer = make_offer(world, ask_code=True)
    settings.EMAIL_HOST = ""
    with pytest.raises(DomainError, match="asks for a one-time code") as refused:
        make_offer(world, ask_code=True)
    assert (refused.value.code, refused.value.field) == ("mail_not_configured", "ask_code")
    said = text_of(client.post(address(offer, "code/"), form(offer), headers={"HX-Request": "true"}))
    assert said == "The code could not be sent; that is on our side. Please tell us."


def test_the_verification_page(client: Client, offer: Offer) -> None:
    client.post(address(offer, "accept/"), form(offer))
    made = Acceptance.objects.get()
    pdf, record = bytes(made.pdf), bytes(made.record)

    def check(**sent: Any) -> str:
        return text_of(client.post("/verify/", sent))

    def file(content: bytes, name: str) -> SimpleUploadedFile:
        return SimpleUploadedFile(name, content)

    assert client.get("/verify/").status_code == 200
    genuine = check(file=file(pdf, "q.pdf"))
    assert "Genuine and unchanged" in genuine
    assert "by Jane Doe" in genuine
    assert "entry" in genuine
    assert "Genuine and unchanged" in check(file=file(record, "record.json"))
    by_print = check(fingerprint=made.pdf_sha256.upper())
    assert "Genuine and unchanged" in by_print
    assert "Jane" not in by_print
    spoiled = bytearray(pdf)
    spoiled[len(pdf) // 3] ^= 1
    assert "Not genuine" in check(file=file(bytes(spoiled), "q.pdf"))
    assert "Not genuine" in check(file=file(record.replace(b"3600.00", b"3500.00"), "r.json"))
    assert "Not genuine" in check(fingerprint="0" * 64)
    assert "64 digits" in check(fingerprint="xyz")
    assert "Choose the PDF" in check()
    assert client.get("/verify/certificate.pem").content.startswith(b"-----BEGIN CERTIFICATE")


def test_settings_of_quotes(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)
    answer = client.post(
        "/quotes/settings/",
        {"valid_days": "14", "ask_code": "on", "terms_and_conditions": "Net 30.", "consent": "I accept."},
    )

    assert answer.status_code == 302
    version, _ = make_draft(world)
    assert (version.ask_code, version.terms_and_conditions) == (True, "Net 30.")
    assert version.expires_on == TODAY + timedelta(days=14)
