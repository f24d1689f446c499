"""Invoices as documents and by mail: kept once made, sent once for a request, tried again when that is safe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from pypdf import PdfReader
from tests.racing import at_once
from tests.smtp import Mailbox, smtp_server
from tests.trade import NOW, D, order_of
from tests.worker import do_jobs
from tests.world import FINANCE, SALES, World

from counterfoil.billing.commands import InvoicePayment, close_invoice, invoice_sales_order, record_payment
from counterfoil.billing.delivery import (
    LONGEST,
    WAITS,
    deliver_invoice,
    deliver_invoices,
    hand_over,
    look_after_deliveries,
)
from counterfoil.billing.documents import invoice_copy, invoice_document, statement_document
from counterfoil.billing.models import Delivery, Invoice, InvoiceDocument
from counterfoil.companies.commands import ContactInput, add_contact, update_company, update_msp_settings
from counterfoil.core.errors import DomainError
from counterfoil.platform.models import AuditEntry

JAN_1, FEB_1 = date(2026, 1, 1), date(2026, 2, 1)
LATER = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with smtp_server() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", server.port, False
        settings.EMAIL_USE_SSL, settings.EMAIL_HOST_USER, settings.EMAIL_TIMEOUT = False, "", 5
        settings.DEFAULT_FROM_EMAIL = "Counterfoil <billing@northwind.example>"
        yield server


def drafted(world: World, price: str = "150") -> Invoice:
    line = order_of(world, world.server_noninventory, price=price)
    return invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=JAN_1)


def closed(world: World, price: str = "150") -> Invoice:
    return close_invoice(actor=FINANCE, invoice_id=drafted(world, price).pk, now=NOW)


def asked(invoice: Invoice, **more: Any) -> Delivery:
    return deliver_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW, **{"to": ["ap@acme.example"]} | more)


def refusal(**more: Any) -> DomainError:
    with pytest.raises(DomainError) as refused:
        deliver_invoice(actor=FINANCE, now=NOW, **more)
    return refused.value


def text_of(pdf: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


# -- documents ---------------------------------------------------------------------------------------------------------


def test_the_pdf_of_a_closed_invoice_is_kept_and_stays_the_same(world: World) -> None:
    invoice = closed(world)
    first = invoice_document(invoice.pk, now=LATER)
    assert (first.name, first.is_record) == ("Invoice-INV-0001.pdf", True)
    text = text_of(first.content)
    for words in ("Invoice INV-0001", "Acme Corp", "Rack server", "150.00", "Michigan 6%", "159.00", "31 Jan 2026"):
        assert words in text, words
    kept = InvoiceDocument.objects.get()
    assert (kept.sha256, kept.rendered_at) == (sha256(first.content).hexdigest(), LATER)

    update_msp_settings(actor=FINANCE, legal_name="Another Name LLC", brand_colour="#aa0000")
    assert invoice_document(invoice.pk, now=LATER + timedelta(days=9)) == first
    made = PdfReader(io.BytesIO(first.content)).metadata
    assert made is not None
    assert made.creation_date == NOW


def test_a_kept_document_cannot_be_changed_or_deleted(world: World) -> None:
    invoice_document(closed(world).pk, now=LATER)
    with pytest.raises(DatabaseError), transaction.atomic():
        InvoiceDocument.objects.update(content=b"x")
    with pytest.raises(DatabaseError), transaction.atomic():
        InvoiceDocument.objects.all().delete()


def test_a_draft_is_marked_and_not_kept(world: World) -> None:
    document = invoice_document(drafted(world).pk, now=LATER)
    assert not document.is_record
    assert "DRAFT" in text_of(document.content)
    assert not InvoiceDocument.objects.exists()


def test_a_copy_tells_what_was_paid_through_a_day(world: World) -> None:
    invoice = closed(world)
    record_payment(
        actor=FINANCE, company_id=world.acme.pk, on=FEB_1, amount=D("59.00"), reference="check 1881",
        applications=[InvoicePayment(invoice.pk, D("59.00"))],
    )  # fmt: skip
    paid = text_of(invoice_copy(invoice.pk, settled_on=FEB_1, now=LATER).content)
    assert "Paid 1 Feb 2026, check 1881 (59.00)" in paid
    assert "Balance due 100.00 USD" in paid
    before = text_of(invoice_copy(invoice.pk, settled_on=JAN_1, now=LATER).content)
    assert "Balance due 159.00 USD" in before
    assert "Balance due 159.00 USD" in text_of(invoice_document(invoice.pk, now=LATER).content)


def test_a_statement_tells_what_is_open_at_a_day(world: World) -> None:
    closed(world)
    closed(world, "1000")
    text = text_of(statement_document(world.acme.pk, as_of=date(2026, 2, 15), now=LATER).content)
    for words in ("Statement", "15 Feb 2026", "INV-0001", "159.00", "INV-0002", "1,060.00", "1,219.00", "15 days late"):
        assert words in text, words


# -- asking ------------------------------------------------------------------------------------------------------------


def test_a_mailed_invoice_arrives_with_its_pdf(committed_world: World, mailbox: Mailbox) -> None:
    invoice = closed(committed_world)
    update_company(actor=SALES, company_id=committed_world.acme.pk, invoice_cc="cfo@acme.example; ap@acme.example")
    update_msp_settings(actor=FINANCE, reply_to="questions@northwind.example", remit_to="ACH 072000326\r\n4411223344")
    row = asked(invoice, message="Dear all,\n\nthank you.")
    assert (row.status, row.cc) == ("queued", ["cfo@acme.example"])
    do_jobs()

    (got,) = mailbox.taken
    assert (got["To"], got["Cc"], got["Reply-To"]) == (
        "ap@acme.example", "cfo@acme.example", "questions@northwind.example",
    )  # fmt: skip
    assert got["Subject"] == "Invoice INV-0001 from Northwind IT"
    assert got["From"] == "Northwind IT <billing@northwind.example>"
    body = got.get_body()
    assert body is not None
    for words in ("Dear all,", "Invoice: INV-0001", "Amount: 159.00 USD", "Due: 31 Jan 2026", "ACH 072000326"):
        assert words in body.get_content()
    (attachment,) = got.iter_attachments()
    assert attachment.get_filename() == "Invoice-INV-0001.pdf"
    assert attachment.get_content() == invoice_document(invoice.pk, now=LATER).content
    row.refresh_from_db()
    assert (row.status, row.attempts, row.error, row.message_id) == ("sent", 1, "", got["Message-ID"])
    assert row.sent_at is not None
    entry = AuditEntry.objects.order_by("-seq")[0]
    assert (entry.verb, entry.actor_name) == ("billing.invoice.delivery_sent", "Counterfoil")
    assert entry.sentence == "mailed INV-0001 to ap@acme.example"


def test_it_goes_to_the_companys_address_or_to_its_billing_contacts(world: World, mailbox: Mailbox) -> None:
    invoice = closed(world)
    assert refusal(invoice_id=invoice.pk).field == "to"
    contact = ContactInput(name="Ann", email="ann@acme.example", is_billing=True)
    add_contact(actor=SALES, company_id=world.acme.pk, contact=contact)
    add_contact(actor=SALES, company_id=world.acme.pk, contact=ContactInput(name="Bob", email="bob@acme.example"))
    assert asked(invoice, to=()).to == ["ann@acme.example"]
    update_company(actor=SALES, company_id=world.acme.pk, invoice_email="ap@acme.example")
    assert asked(invoice, to=()).to == ["ap@acme.example"]
    assert asked(invoice, to=["Ap@acme.example", " x@y.example ", "x@y.example"], cc=["x@y.example"]).cc == []


def test_what_cannot_be_mailed_is_refused_clearly(world: World, mailbox: Mailbox, settings: Any) -> None:
    draft, invoice = drafted(world), closed(world)
    assert refusal(invoice_id=draft.pk, to=["a@b.example"]).code == "wrong_state"
    bad = refusal(invoice_id=invoice.pk, to=["a@b.example", "nobody"])
    assert (bad.code, bad.field) == ("invalid", "to")
    assert "“nobody”" in bad.message
    assert refusal(invoice_id=invoice.pk, to=["a@b.example"], cc=["x\ny@z.example"]).field == "cc"
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert refusal(invoice_id=invoice.pk, to=["a@b.example"]).code == "mail_not_configured"
    assert not Delivery.objects.exists()
    with pytest.raises(DomainError) as refused:
        deliver_invoice(actor=SALES, invoice_id=invoice.pk, now=NOW)
    assert refused.value.code == "role_required"


def test_many_are_mailed_each_to_its_own_and_those_that_cannot_are_left_out(world: World, mailbox: Mailbox) -> None:
    update_company(actor=SALES, company_id=world.acme.pk, invoice_email="ap@acme.example")
    first, second, draft = closed(world), closed(world), drafted(world)
    asked(first)
    done = deliver_invoices(actor=FINANCE, invoice_ids=[first.pk, second.pk, draft.pk, 999, second.pk], now=NOW)
    assert [(row.invoice, row.to) for row in done.queued] == [(second, ["ap@acme.example"])]
    assert [(each.invoice_id, each.reason.code) for each in done.left_out] == [
        (first.pk, "duplicate"), (draft.pk, "wrong_state"), (999, "not_found"),
    ]  # fmt: skip
    again = deliver_invoices(actor=FINANCE, invoice_ids=[first.pk], now=NOW, again=True)
    assert [row.invoice for row in again.queued] == [first]


# -- once and no more --------------------------------------------------------------------------------------------------


def test_a_repeated_request_is_one_mail(world: World, mailbox: Mailbox) -> None:
    invoice = closed(world)
    first, second = asked(invoice, request_key="k1"), asked(invoice, request_key="k1")
    assert first == second
    for _ in range(3):
        hand_over(first.pk, now=NOW)
    assert len(mailbox.taken) == 1
    assert refusal(invoice_id=closed(world).pk, to=["a@b.example"], request_key="k1").code == "conflict"


def test_two_workers_with_the_same_delivery_send_it_once(committed_world: World, mailbox: Mailbox) -> None:
    row = asked(closed(committed_world))
    results = at_once(*[lambda: hand_over(row.pk, now=NOW)] * 4)
    assert sorted(str(each) for each in results) == ["None", "None", "None", "sent"]
    assert len(mailbox.taken) == 1


def test_a_delayed_mail_is_tried_again_until_it_goes(world: World, mailbox: Mailbox) -> None:
    mailbox.busy = 2
    row = asked(closed(world))
    now = NOW
    for attempt in (1, 2):
        assert hand_over(row.pk, now=now) == "queued"
        row.refresh_from_db()
        assert (row.attempts, row.retry_at) == (attempt, now + timedelta(minutes=WAITS[attempt - 1]))
        assert "Greylisted" in row.error
        now = row.retry_at
    assert hand_over(row.pk, now=now) == "sent"
    row.refresh_from_db()
    assert (row.status, row.error, row.retry_at) == ("sent", "", None)
    assert len(mailbox.taken) == 1


def test_after_the_last_try_it_has_failed(world: World, mailbox: Mailbox) -> None:
    mailbox.busy = 1000
    row = asked(closed(world))
    became = [hand_over(row.pk, now=NOW) for _ in range(len(WAITS) + 3)]
    assert became == ["queued"] * len(WAITS) + ["failed", None, None]


@pytest.mark.parametrize(
    ("answer", "status"), [("554 5.7.1 Spam", "failed"), ("451 4.3.0 Later", "queued"), (None, "uncertain")]
)
def test_what_the_server_says_is_what_becomes_of_it(
    world: World, mailbox: Mailbox, answer: str | None, status: str
) -> None:
    mailbox.answers = [answer]
    row = asked(closed(world))
    assert hand_over(row.pk, now=NOW) == status
    row.refresh_from_db()
    assert row.error
    expected_then = {"queued": "sent"}.get(status)
    assert hand_over(row.pk, now=NOW) == expected_then


def test_a_job_that_died_while_sending_is_not_repeated_by_itself(world: World, mailbox: Mailbox) -> None:
    row = asked(closed(world))
    Delivery.objects.update(status="sending", attempts=1, attempted_at=NOW)
    look_after_deliveries(now=NOW + LONGEST)
    row.refresh_from_db()
    assert row.status == "sending"
    look_after_deliveries(now=NOW + LONGEST + timedelta(seconds=1))
    row.refresh_from_db()
    assert row.status == "uncertain"
    assert "may have arrived" in row.error
    assert hand_over(row.pk, now=LATER) is None
    assert mailbox.taken == []


def test_a_delivery_whose_job_was_lost_gets_another(committed_world: World, mailbox: Mailbox) -> None:
    row = asked(closed(committed_world))
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")
    look_after_deliveries(now=NOW + LONGEST + timedelta(seconds=1))
    do_jobs()
    row.refresh_from_db()
    assert row.status == "sent"
    assert len(mailbox.taken) == 1


def test_a_request_that_is_rolled_back_sends_nothing(committed_world: World, mailbox: Mailbox) -> None:
    invoice = closed(committed_world)
    with transaction.atomic():
        asked(invoice)
        transaction.set_rollback(True)
    do_jobs()
    assert mailbox.taken == []
    assert not Delivery.objects.exists()
