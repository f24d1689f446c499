"""PDFs and mail over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.api.client import Api, MakeApi
from tests.platform.test_documents import SVG, png
from tests.trade import NOW, order_of
from tests.world import FINANCE, World

from counterfoil.billing.commands import close_invoice, invoice_sales_order
from counterfoil.billing.models import Invoice
from counterfoil.companies.models import MspSettings
from counterfoil.platform.identity import Role


@pytest.fixture
def invoice(world: World) -> Invoice:
    line = order_of(world, world.server_noninventory, price="150")
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=NOW.date())
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def test_an_invoice_is_had_as_pdf(owner: Api, invoice: Invoice) -> None:
    answer = owner.send("GET", f"/invoices/{invoice.pk}/pdf")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/pdf")
    assert answer["Content-Disposition"] == 'attachment; filename="Invoice-INV-0001.pdf"'
    assert answer.content.startswith(b"%PDF-")
    assert owner.send("GET", f"/invoices/{invoice.pk}/pdf").content == answer.content
    for path in (
        f"/invoices/{invoice.pk}/copy-pdf?settled_on=2026-02-01",
        f"/companies/{invoice.bill_to_id}/statement-pdf",
    ):
        assert owner.send("GET", path).content.startswith(b"%PDF-")
    owner.get("/invoices/999/pdf", status=404)


def test_mail_is_refused_without_a_server_and_queued_with_one(owner: Api, invoice: Invoice, settings: Any) -> None:
    refused = owner.post(f"/invoices/{invoice.pk}/deliver", {"to": ["ap@acme.example"]}, status=409)
    assert refused["code"] == "mail_not_configured"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    made = owner.act(f"/invoices/{invoice.pk}/deliver", {"to": ["ap@acme.example"], "request_key": "k"})
    assert (made["status"], made["to"], made["invoice"]) == ("queued", ["ap@acme.example"], "INV-0001")
    assert owner.act(f"/invoices/{invoice.pk}/deliver", {"to": ["x@y.example"], "request_key": "k"})["id"] == made["id"]
    assert [row["id"] for row in owner.get(f"/deliveries?invoice_id={invoice.pk}")["items"]] == [made["id"]]
    assert owner.get(f"/deliveries/{made['id']}")["subject"] == "Invoice INV-0001 from Northwind IT"
    many = owner.act("/invoices/deliver", {"invoice_ids": [invoice.pk]})
    assert many["delivery_ids"] == []
    assert [each["reason"]["code"] for each in many["left_out"]] == ["duplicate"]


def test_the_msps_documents_are_set_up(owner: Api, make_api: MakeApi, world: World) -> None:
    changed = owner.patch("/msp-settings", {"legal_name": "Northwind IT LLC", "brand_colour": "#0044aa"})
    assert (changed["legal_name"], changed["logo_type"]) == ("Northwind IT LLC", "")
    assert owner.get("/msp-settings") == changed
    assert owner.patch("/msp-settings", {"brand_colour": "blue"}, status=422)["field"] == "brand_colour"
    assert owner.patch("/msp-settings", {"time_zone": "Mars/Olympus"}, status=422)["field"] == "time_zone"
    for content, kind in ((SVG, "svg"), (png(30, 10), "png")):
        answer = upload(owner, content)
        assert (answer.status_code, answer.json()["logo_type"]) == (200, kind), answer.content
    assert bytes(MspSettings.objects.get().logo) == png(30, 10)
    assert upload(owner, b"GIF89a").json()["code"] == "invalid"
    assert upload(make_api(Role.SALES), SVG).status_code == 403
    owner.delete("/msp-settings/logo")
    assert owner.get("/msp-settings")["logo_type"] == ""
    owner.delete("/msp-settings/logo", status=409)


def upload(api: Api, content: bytes) -> Any:
    file = {"file": SimpleUploadedFile("logo.bin", content)}
    return Client().post("/api/v1/msp-settings/logo", file, headers=api.headers)
