"""Invoices of every kind, drafts and what becomes of them, credits, customers' payments and statements."""

from __future__ import annotations

import datetime as dt
from typing import Any

from counterfoil.api.area import Area
from counterfoil.api.errors import Refusal
from counterfoil.api.fields import Money
from counterfoil.api.shapes import Out, many, row, shape
from counterfoil.billing import breakage, charges, commands, deposits, down_payments, queries, statements
from counterfoil.billing.models import (
    BillingSettings,
    CreditApplication,
    Grouping,
    Invoice,
    InvoiceLine,
    InvoiceTax,
    Payment,
    PaymentApplication,
    PaymentReversal,
)
from counterfoil.companies.queries import local_date

area = Area("Billing")

lines = shape(InvoiceLine, name="LineOfInvoice", without=("invoice",))
taxes = shape(InvoiceTax, without=("invoice",))
invoices = shape(
    Invoice,
    extra={"settled": Money},
    parts={"lines": lines, "taxes": taxes},
    source=queries.invoices,
)
invoice_lines = shape(InvoiceLine)
credit_applications = shape(CreditApplication)
applications = shape(PaymentApplication)
payments = shape(Payment, parts={"applications": applications})
payment_reversals = shape(PaymentReversal)
settings = shape(BillingSettings)


class ParkedAgreement(Out):
    """An agreement that was not invoiced, and why; the others were."""

    agreement_id: int
    agreement: str
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
                "reason": parked.reason.as_dict(),
            }
            for parked in run.parked
        ],
    }


class CompanyLeftOut(Out):
    """A company whose work was not billed, and why; the others' was."""

    company_id: int
    company: str
    reason: Refusal


class ChargesBilled(Out):
    """What was drafted."""

    invoice_ids: list[int]
    left_out: list[CompanyLeftOut]


def shown_charges_billed(billed: charges.ChargesBilled) -> dict[str, Any]:
    """What was billed, as it is answered."""
    return {
        "invoice_ids": [invoice.pk for invoice in billed.invoices],
        "left_out": [
            {"company_id": left.company_id, "company": left.company, "reason": left.reason.as_dict()}
            for left in billed.left_out
        ],
    }


class InvoiceNotClosed(Out):
    """A draft that was not closed, and why; the others were."""

    invoice_id: int
    invoice: str
    reason: Refusal


class Closing(Out):
    """The invoices that were closed, in the order of their numbers."""

    invoice_ids: list[int]
    not_closed: list[InvoiceNotClosed]


def shown_closing(closing: commands.Closing) -> dict[str, Any]:
    """What was closed, as it is answered."""
    return {
        "invoice_ids": [invoice.pk for invoice in closing.invoices],
        "not_closed": [
            {"invoice_id": left.invoice_id, "invoice": left.invoice, "reason": left.reason.as_dict()}
            for left in closing.not_closed
        ],
    }


class WorkToBill(Out):
    """An invoice that would be made of what is open. ``amount`` is before tax."""

    company_id: int
    company: str
    bill_to_id: int
    bill_to: str
    tax_code_id: int | None
    tax_code: str
    site_id: int | None
    site: str
    customer_po: str
    ticket: str
    first_date: dt.date
    charge_ids: list[int]
    covered_amount: Money
    amount: Money


def work_to_bill(
    *, through: dt.date, company_id: int | None = None, grouping: Grouping | None = None
) -> list[WorkToBill]:
    """The invoices that would be made of the work that is open through a day.

    Args:
        through: the last day of the work.
        company_id: of one customer.
        grouping: what makes an invoice of its own; the company's rule, else the MSP's, when it is not given.
    """
    return [
        WorkToBill(
            company_id=group.company.pk,
            company=group.company.name,
            bill_to_id=group.bill_to.pk,
            bill_to=group.bill_to.name,
            tax_code_id=group.tax_code.pk if group.tax_code else None,
            tax_code=str(group.tax_code or ""),
            site_id=group.site.pk if group.site else None,
            site=str(group.site or ""),
            customer_po=group.customer_po,
            ticket=group.ticket,
            first_date=group.first_date,
            charge_ids=[charge.pk for charge in group.charges],
            covered_amount=group.covered_amount,
            amount=group.amount,
        )
        for group in charges.charges_to_bill(through=through, company_id=company_id, grouping=grouping)
    ]


class DownPayment(Out):
    """A closed down payment with what is left of it, before tax."""

    invoice_id: int
    number: str
    date: dt.date
    company_id: int
    company: str
    subtotal: Money
    used: Money
    remaining: Money


def open_down_payments(*, company_id: int | None = None, for_invoice_id: int | None = None) -> list[DownPayment]:
    """Down payments of which something is left, the oldest first.

    Args:
        company_id: of this bill-to.
        for_invoice_id: those that can be applied to this draft.
    """
    return [
        DownPayment(
            invoice_id=found.invoice.pk,
            number=found.invoice.number or "",
            date=found.invoice.date,
            company_id=found.invoice.bill_to_id,
            company=found.invoice.bill_to_name,
            subtotal=found.invoice.subtotal,
            used=found.used,
            remaining=found.remaining,
        )
        for found in down_payments.down_payments(company_id=company_id, for_invoice_id=for_invoice_id)
    ]


class PrepaidAgreement(Out):
    """How an agreement with prepayment stands, before tax.

    ``lapsed`` of what is ``deferred`` can no longer be used, and is not earned yet.
    """

    agreement_id: int
    agreement: str
    billed: Money
    earned: Money
    given_up: Money
    deferred: Money
    lapsed: Money


def prepaid_agreements(*, on: dt.date | None = None) -> list[dict[str, Any]]:
    """What was billed ahead for work, by agreement: earned by work, earned as it lapsed unused, still deferred.

    Args:
        on: what could no longer be used on that day has lapsed; today when it is not given.
    """
    names = ("billed", "earned", "given_up", "deferred")
    rows = breakage.prepaid(on=on or local_date(dt.datetime.now(dt.UTC)))
    return [
        {"agreement_id": row.agreement.pk, "agreement": row.agreement.number, "lapsed": row.amount}
        | {name: getattr(row, name) for name in names}
        for row in sorted(rows, key=lambda row: row.agreement.pk)
    ]


class StatementLine(Out):
    """What moved the account on a day; ``balance`` is what it came to."""

    date: dt.date
    kind: str
    number: str
    reference: str
    charge: Money
    credit: Money
    balance: Money
    due_date: dt.date | None


class Ages(Out):
    """What is owed by days past due."""

    current: Money
    days_30: Money
    days_60: Money
    days_90: Money
    older: Money
    total: Money


class Statement(Out):
    """A bill-to's account over some days, and what it owes at their end."""

    company_id: int
    company: str
    since: dt.date
    until: dt.date
    opening: Money
    closing: Money
    entries: list[StatementLine]
    ages: Ages


def statement(*, company_id: int, since: dt.date, until: dt.date) -> dict[str, Any]:
    """The account of a bill-to: invoices, credit memos and payments by date, with a running balance.

    Args:
        company_id: the bill-to.
        since: first day.
        until: last day.
    """
    found = statements.statement(company_id=company_id, since=since, until=until)
    return {
        "company_id": found.company.pk,
        "company": found.company.name,
        "since": found.since,
        "until": found.until,
        "opening": found.opening,
        "closing": found.closing,
        "entries": found.entries,
        "ages": found.ages,
    }


# -- making invoices

area.post("/agreements/{agreement_id}/invoice", commands.invoice_agreement, invoices)
area.post("/invoicing-runs", commands.invoice_agreements_through, InvoicingRun, show=shown_run)
area.post("/sales-orders/{order_id}/invoice", commands.invoice_sales_order, invoices)
area.post("/sales-orders/{order_id}/progress-invoice", commands.invoice_progress, invoices)
area.report("/work-to-bill", many(WorkToBill), work_to_bill)
area.post("/work-to-bill/invoices", commands.bill_charges, ChargesBilled, show=shown_charges_billed)

area.records("/invoices", invoices, queries.invoices)
area.post("/invoices", commands.create_invoice, invoices)
area.act("/invoices/close", commands.close_invoices, Closing, show=shown_closing)
area.detail("/invoices/{invoice_id}", invoices)
area.patch("/invoices/{invoice_id}", commands.update_invoice, invoices)
area.delete("/invoices/{invoice_id}", commands.delete_draft_invoice)
area.act("/invoices/{invoice_id}/change-bill-to", commands.change_bill_to, invoices)
area.act("/invoices/{invoice_id}/close", commands.close_invoice, invoices)

# -- lines of a draft

area.post("/invoices/{invoice_id}/lines", commands.add_invoice_line, invoice_lines)
area.act("/invoices/{invoice_id}/reorder", commands.reorder_invoice_lines, invoices)
area.detail("/invoice-lines/{line_id}", invoice_lines)
area.patch("/invoice-lines/{line_id}", commands.update_invoice_line, invoice_lines)
area.delete("/invoice-lines/{line_id}", commands.remove_invoice_line)

# -- down payments and credits

area.report("/down-payments", many(DownPayment), open_down_payments)
area.act("/invoices/take-deposits-off", deposits.take_deposits_off_drafts, many(invoices.head))
area.rows("/prepaid-agreements", PrepaidAgreement, prepaid_agreements, key=lambda row: row["agreement_id"])
area.act("/prepaid-agreements/earn-lapsed", breakage.earn_lapsed, many(invoices.head))
area.act("/invoices/{invoice_id}/apply-down-payment", commands.apply_down_payment, invoices)
area.post("/invoices/{invoice_id}/credit", commands.credit_invoice, invoices)
area.post("/invoices/{invoice_id}/reverse", commands.reverse_invoice, invoices)
area.post("/invoices/{invoice_id}/reissue", commands.reissue_invoice, invoices)
area.post("/invoices/{credit_memo_id}/apply-credit", commands.apply_credit, credit_applications)

# -- payments and statements

area.records("/payments", payments, queries.payments)
area.post("/payments", commands.record_payment, payments)
area.report("/payments/unapplied", many(row(queries.UnappliedPayment)), queries.unapplied_payments)
area.detail("/payments/{payment_id}", payments)
area.act("/payments/{payment_id}/apply", commands.apply_payment, payments)
area.post("/payments/{payment_id}/reverse", commands.reverse_payment, payment_reversals)
area.report("/companies/{company_id}/statement", Statement, statement)
area.report("/invoices/{invoice_id}/blocks", many(row(statements.BlockRow)), statements.blocks_of_invoice)

area.report("/billing-settings", settings.full, queries.billing_settings)
area.patch("/billing-settings", commands.update_billing_settings, settings)
