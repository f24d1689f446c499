"""Invoices from agreements and sales orders, drafts and what becomes of them, customers' payments."""

from __future__ import annotations

from typing import Any

from counterfoil.api.area import Area
from counterfoil.api.errors import Refusal
from counterfoil.api.fields import Money
from counterfoil.api.shapes import Out, shape
from counterfoil.billing import commands, queries
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax, Payment, PaymentApplication

area = Area("Billing")

lines = shape(InvoiceLine, name="LineOfInvoice", without=("invoice",))
taxes = shape(InvoiceTax, without=("invoice",))
invoices = shape(
    Invoice,
    extra={"paid": Money, "balance": Money},
    parts={"lines": lines, "taxes": taxes},
    source=queries.invoices,
)
invoice_lines = shape(InvoiceLine)
applications = shape(PaymentApplication)
payments = shape(Payment, parts={"applications": applications})


class ParkedAgreement(Out):
    """An agreement that was not invoiced, and why; the others were."""

    agreement_id: int
    agreement: str
    period_start: str
    reason: Refusal


class InvoicingRun(Out):
    """What a run made."""

    invoice_ids: list[int]
    parked: list[ParkedAgreement]


def shown_run(run: commands.InvoicingRun) -> dict[str, Any]:
    """The run as it is answered."""
    return {
        "invoice_ids": [invoice.pk for invoice in run.invoices],
        "parked": [
            {
                "agreement_id": parked.agreement_id,
                "agreement": parked.agreement,
                "period_start": parked.period_start.isoformat(),
                "reason": parked.reason.as_dict(),
            }
            for parked in run.parked
        ],
    }


area.post("/agreements/{agreement_id}/invoice", commands.invoice_agreement, invoices)
area.post("/invoicing-runs", commands.invoice_agreements_through, InvoicingRun, show=shown_run)
area.post("/sales-orders/{order_id}/invoice", commands.invoice_sales_order, invoices)

area.records("/invoices", invoices, queries.invoices)
area.detail("/invoices/{invoice_id}", invoices)
area.patch("/invoices/{invoice_id}", commands.update_invoice, invoices)
area.delete("/invoices/{invoice_id}", commands.delete_draft_invoice)
area.act("/invoices/{invoice_id}/change-bill-to", commands.change_bill_to, invoices)
area.act("/invoices/{invoice_id}/close", commands.close_invoice, invoices)
area.detail("/invoice-lines/{line_id}", invoice_lines)
area.patch("/invoice-lines/{line_id}", commands.update_invoice_line, invoice_lines)

area.records("/payments", payments, queries.payments)
area.post("/payments", commands.record_payment, payments)
area.detail("/payments/{payment_id}", payments)
