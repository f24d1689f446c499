"""Invoices and statements as PDF, mailing them, and how the MSP shows itself on them."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.utils import timezone

from counterfoil.api.area import Area
from counterfoil.api.errors import Refusal
from counterfoil.api.shapes import Out, shape
from counterfoil.billing import delivery, documents
from counterfoil.billing.models import Delivery
from counterfoil.billing.queries import deliveries
from counterfoil.companies import commands as companies
from counterfoil.companies.models import MspSettings
from counterfoil.companies.queries import local_date, msp_settings

PDF = "application/pdf"

area = Area("Documents")

mailed = shape(Delivery, source=deliveries)
settings = shape(MspSettings, name="MspSettings", without=("logo",))


class NotDelivered(Out):
    """An invoice that was not mailed, and why."""

    invoice_id: int
    invoice: str
    reason: Refusal


class Deliveries(Out):
    """What was queued, and what was left out."""

    delivery_ids: list[int]
    left_out: list[NotDelivered]


def shown_deliveries(done: delivery.Deliveries) -> dict[str, Any]:
    """The deliveries as they are answered."""
    return {
        "delivery_ids": [row.pk for row in done.queued],
        "left_out": [
            {"invoice_id": each.invoice_id, "invoice": each.invoice, "reason": each.reason.as_dict()}
            for each in done.left_out
        ],
    }


def invoice_pdf(invoice_id: int) -> documents.Document:
    """The PDF of an invoice. That of a closed invoice is kept from the first time on and never changes.

    Raises:
        DomainError: ``not_found``.
    """
    return documents.invoice_document(invoice_id, now=timezone.now())


def invoice_copy_pdf(invoice_id: int, settled_on: date | None = None) -> documents.Document:
    """A copy of an invoice that tells what was paid and credited through a day; today, if none is given.

    Raises:
        DomainError: ``not_found``.
    """
    now = timezone.now()
    return documents.invoice_copy(invoice_id, settled_on=settled_on or local_date(now), now=now)


def statement_pdf(company_id: int, as_of: date | None = None) -> documents.Document:
    """What a customer owes at the end of a day, as PDF; today, if none is given.

    Raises:
        DomainError: ``not_found``.
    """
    now = timezone.now()
    return documents.statement_document(company_id, as_of=as_of or local_date(now), now=now)


area.download("/invoices/{invoice_id}/pdf", PDF, invoice_pdf)
area.download("/invoices/{invoice_id}/copy-pdf", PDF, invoice_copy_pdf)
area.download("/companies/{company_id}/statement-pdf", PDF, statement_pdf)

area.act("/invoices/{invoice_id}/deliver", delivery.deliver_invoice, mailed)
area.act("/invoices/deliver", delivery.deliver_invoices, Deliveries, show=shown_deliveries)
area.records("/deliveries", mailed, deliveries)
area.detail("/deliveries/{delivery_id}", mailed)

area.report("/msp-settings", settings.full, msp_settings)
area.patch("/msp-settings", companies.update_msp_settings, settings)
area.post_file("/msp-settings/logo", companies.set_msp_logo, settings)
area.delete("/msp-settings/logo", companies.remove_msp_logo)
