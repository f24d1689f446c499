"""Billing runs: previewed, started, watched, paused, resumed and cancelled."""

from __future__ import annotations

import datetime as dt
from typing import Any

from counterfoil.api.area import Area
from counterfoil.api.errors import Refusal
from counterfoil.api.fields import Money
from counterfoil.api.shapes import Out, row, shape
from counterfoil.billing import runs
from counterfoil.billing.models import BillingRun, ParkedInRun, RunMode
from counterfoil.flows import billing_run
from counterfoil.flows.billing_preview import preview_billing_run

area = Area("Billing runs")

billing_runs = shape(BillingRun, source=runs.billing_runs)
parked = shape(ParkedInRun)


class PreviewedAgreement(Out):
    """What an agreement would be billed, beside its last invoice, before tax."""

    agreement_id: int
    agreement: str
    customer: str
    periods: str
    invoice_count: int
    last: Money | None
    amount: Money
    difference: Money
    why: str


class WouldBeParked(Out):
    """An agreement that a run would leave out, and why."""

    agreement_id: int
    agreement: str
    reason: Refusal


class BillingPreview(Out):
    """What a run would make; the agreements with the largest changes first."""

    agreements: int
    invoices: int
    subtotal: Money
    tax: Money
    total: Money
    rows: list[PreviewedAgreement]
    parked: list[WouldBeParked]


def preview_run(
    *,
    through: dt.date,
    invoice_date: dt.date | None = None,
    mode: RunMode = RunMode.DRAFT,
    agreement_type_id: int | None = None,
    company_id: int | None = None,
    most_rows: int = 200,
) -> dict[str, Any]:
    """What a billing run with the same choices would make. Nothing is written."""
    found = preview_billing_run(
        through=through,
        invoice_date=invoice_date,
        mode=mode,
        agreement_type_id=agreement_type_id,
        company_id=company_id,
        most_rows=most_rows,
    )
    return {
        "agreements": found.agreements,
        "invoices": found.invoices,
        "subtotal": found.subtotal,
        "tax": found.tax,
        "total": found.total,
        "rows": [
            {
                "agreement_id": each.agreement_id,
                "agreement": each.agreement,
                "customer": each.customer,
                "periods": each.periods,
                "invoice_count": len(each.invoices),
                "last": each.last,
                "amount": each.amount,
                "difference": each.difference,
                "why": each.why,
            }
            for each in found.rows
        ],
        "parked": [
            {"agreement_id": each.agreement_id, "agreement": each.agreement, "reason": each.reason.as_dict()}
            for each in found.parked
        ],
    }


area.report("/billing-preview", BillingPreview, preview_run)
area.records("/billing-runs", billing_runs, runs.billing_runs)
area.post("/billing-runs", billing_run.start_billing_run, billing_runs)
area.detail("/billing-runs/{run_id}", billing_runs)
area.report("/billing-runs/{run_id}/progress", row(runs.RunProgress, percent=int), runs.run_progress)
area.act("/billing-runs/{run_id}/pause", billing_run.pause_billing_run, billing_runs)
area.act("/billing-runs/{run_id}/resume", billing_run.resume_billing_run, billing_runs)
area.act("/billing-runs/{run_id}/cancel", billing_run.cancel_billing_run, billing_runs)
area.records("/parked-in-runs", parked, runs.parked_in_run)
