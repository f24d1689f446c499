"""PDFs, mailing and the look of documents through the pages."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pypdf import PdfReader
from tests.platform.test_documents import SVG, png
from tests.trade import NOW, order_of
from tests.web.pages import done, errors_beside, post, refused, sign_in, text_of
from tests.world import FINANCE, World

from counterfoil.billing.commands import close_invoice, invoice_sales_order
from counterfoil.billing.models import Delivery, Invoice, InvoiceDocument
from counterfoil.companies.models import MspSettings
from counterfoil.platform.identity import Role


@pytest.fixture
def invoice(client: Client, world: World) -> Invoice:
    sign_in(client, Role.FINANCE)
    line = order_of(world, world.server_noninventory, price="150")
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=NOW.date())
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


@pytest.fixture
def mail_server(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "smtp.northwind.example"


def pdf_text(answer: Any) -> str:
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)


def test_the_invoice_page_leads_to_its_pdf(client: Client, invoice: Invoice) -> None:
    page = client.get(f"/invoices/{invoice.pk}/").content.decode()
    assert f'href="/invoices/{invoice.pk}/pdf/"' in page
    assert f'href="/invoices/{invoice.pk}/send/"' in page
    answer = client.get(f"/invoices/{invoice.pk}/pdf/")
    assert "INV-0001" in pdf_text(answer)
    assert answer["Content-Disposition"] == 'inline; filename="Invoice-INV-0001.pdf"'
    assert "object-src 'self'" in answer["Content-Security-Policy"]
    assert bytes(InvoiceDocument.objects.get().content) == answer.content
    assert "Copy with payments through" in pdf_text(client.get(f"/invoices/{invoice.pk}/pdf/?copy=1"))
    assert client.get("/invoices/999/pdf/").status_code == 404


def test_a_customers_statement(client: Client, invoice: Invoice) -> None:
    assert f'href="/companies/{invoice.bill_to_id}/statement/"' in (
        client.get(f"/companies/{invoice.bill_to_id}/").content.decode()
    )
    assert "INV-0001" in pdf_text(client.get(f"/companies/{invoice.bill_to_id}/statement/"))
    assert "Nothing is open" in pdf_text(client.get(f"/companies/{invoice.bill_to_id}/statement/?as_of=2025-01-01"))


def test_an_invoice_is_mailed_from_its_page_once(client: Client, invoice: Invoice, mail_server: None) -> None:
    send = f"/invoices/{invoice.pk}/send/"
    page = client.get(send).content.decode()
    assert 'name="request_key"' in page
    sent = {"to": "ap@acme.example, cfo@acme.example", "cc": "", "message": "Hello", "request_key": "abc"}
    assert done(post(client, send, sent)) == f"/invoices/{invoice.pk}/"
    done(post(client, send, sent))
    row = Delivery.objects.get()
    assert (row.to, row.cc, row.message) == (["ap@acme.example", "cfo@acme.example"], [], "Hello")
    said = text_of(client.get(f"/invoices/{invoice.pk}/"))
    assert "ap@acme.example, cfo@acme.example" in said
    assert "Queued" in said
    page = refused(post(client, send, {"to": "nobody", "request_key": "x"}))
    assert "“nobody” is no e-mail address" in errors_beside(page, "to")


def test_without_a_mail_server_it_says_what_to_do(client: Client, invoice: Invoice) -> None:
    assert "No mail server is configured" in text_of(client.get(f"/invoices/{invoice.pk}/send/"))
    refused(
        post(client, f"/invoices/{invoice.pk}/send/", {"to": "a@b.example", "request_key": "x"}),
        "COUNTERFOIL_SMTP_HOST",
    )


def test_many_are_mailed_from_one_page(client: Client, invoice: Invoice, world: World, mail_server: None) -> None:
    assert "INV-0001" in text_of(client.get("/invoices/send/"))
    refused(client.post("/invoices/send/", {}), "Choose the invoices")
    refused(client.post("/invoices/send/", {"invoice": [invoice.pk]}), "1 could not be mailed", "no e-mail address")
    world.acme.invoice_email = "ap@acme.example"
    world.acme.save()
    done(client.post("/invoices/send/", {"invoice": [invoice.pk]}))
    assert "Every closed invoice has been mailed" in text_of(client.get("/invoices/send/"))


def test_logo_colour_and_words_are_set_with_a_preview(client: Client, invoice: Invoice) -> None:
    page = client.get("/documents/").content.decode()
    assert 'enctype="multipart/form-data"' in page
    words = {
        "legal_name": "Northwind IT LLC", "reply_to": "billing@northwind.example", "brand_colour": "#0044aa",
        "paper": "a4", "time_zone": "America/Detroit", "remit_to": "ACH 1\r\nACH 2", "invoice_footer": "Tax ID 38",
    }  # fmt: skip
    done(client.post("/documents/", words | {"logo": SimpleUploadedFile("logo.svg", SVG)}))
    found = MspSettings.objects.get()
    assert (found.legal_name, found.logo_type, found.remit_to) == ("Northwind IT LLC", "svg", "ACH 1\nACH 2")
    answer = client.get("/documents/logo/")
    assert (answer["Content-Type"], answer.content) == ("image/svg+xml", SVG)
    assert "sandbox" in answer["Content-Security-Policy"]
    assert client.get("/documents/preview/").content.startswith(b"\x89PNG")
    assert "Northwind IT LLC" in pdf_text(client.get(f"/invoices/{invoice.pk}/pdf/"))

    bad = client.post("/documents/", words | {"legal_name": "Other", "logo": SimpleUploadedFile("x.png", b"GIF89a")})
    assert "PNG, JPEG or SVG" in errors_beside(refused(bad), "logo")
    found.refresh_from_db()
    assert (found.legal_name, found.logo_type) == ("Northwind IT LLC", "svg")
    assert "Write it as" in errors_beside(
        refused(post(client, "/documents/", words | {"brand_colour": "red"})), "brand_colour"
    )

    done(client.post("/documents/", words | {"logo": SimpleUploadedFile("x.png", png(9, 9))}))
    assert client.get("/documents/logo/")["Content-Type"] == "image/png"
    done(post(client, "/documents/", words | {"no_logo": "on"}))
    assert client.get("/documents/logo/").status_code == 404


def test_who_may_not_change_the_look_or_mail(client: Client, invoice: Invoice) -> None:
    sign_in(client, Role.SALES)
    assert client.get("/documents/").status_code == 403
    assert client.get("/invoices/send/").status_code == 403
    assert client.get(f"/invoices/{invoice.pk}/send/").status_code == 403
    assert client.get(f"/invoices/{invoice.pk}/pdf/").status_code == 200
