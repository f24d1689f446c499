"""Pages: the list of invoices, an invoice as the customer gets it, closing and deleting drafts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements.models import Agreement
from counterfoil.billing import commands, queries
from counterfoil.billing.delivery import deliver_invoices
from counterfoil.billing.deposits import used_on
from counterfoil.billing.down_payments import down_payments
from counterfoil.billing.models import BillingRun, Invoice, InvoiceStatus, InvoiceType
from counterfoil.companies.models import Company
from counterfoil.companies.queries import my_company
from counterfoil.core.errors import DomainError
from counterfoil.ledger.queries import entries_of
from counterfoil.platform.lookup import load_related
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.bookkeeping import posted as posted_entries
from counterfoil.web.forms import asked_id, may, run_deed
from counterfoil.web.invoice_lines import grouped_lines
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import side_of


@navigation.waiting
def billing_waits() -> navigation.Waits:
    """Drafts that nobody has closed yet."""
    return {"draft_invoices": Invoice.objects.filter(status=InvoiceStatus.DRAFT)}


def state_of(invoice: Any, on: date) -> str:
    """How an invoice stands on the day ``on``; one that was taken back says so where that is known."""
    if invoice.status == InvoiceStatus.DRAFT:
        return "draft"
    if getattr(invoice, "is_reversed", False):
        return "reversed"
    if not invoice.balance:
        return "paid" if invoice.total > 0 else "applied" if invoice.total else "closed"
    if invoice.balance < 0:
        return "to_apply"
    return "overdue" if invoice.due_date < on else "open"


# -- the list ----------------------------------------------------------------------------------------------------------


def _invoice_list(on: date) -> ListSpec:
    closed = Q(status=InvoiceStatus.CLOSED)
    states = {
        "draft": ("Draft", Q(status=InvoiceStatus.DRAFT)),
        "unpaid": ("Unpaid", closed & Q(balance__gt=0)),
        "overdue": ("Overdue", closed & Q(balance__gt=0) & Q(due_date__lt=on)),
        "credit": ("Credit left", closed & Q(balance__lt=0)),
        "closed": ("Closed", closed),
    }
    return ListSpec(
        name="Invoices",
        columns=(
            Column("number", "Number", lambda row: row.number or f"Draft {row.pk}", kind="key", sort="number"),
            Column("type", "Type", lambda row: InvoiceType(row.type).label, sort="type"),
            Column("bill_to", "Bill to", "bill_to_name", sort="bill_to_name", card="note"),
            Column("source", "For", _source_of, note=lambda row: row.customer_po),
            Column("date", "Date", kind="date", sort="date"),
            Column("due", "Due", "due_date", kind="date", sort="due_date"),
            Column("state", "State", lambda row: state_of(row, on), kind="state", card="note"),
            Column("subtotal", "Before tax", "subtotal", kind="money", sort="subtotal", hidden=True),
            Column("tax", "Tax", "tax_total", kind="money", sort="tax_total", hidden=True),
            Column("total", "Total", "total", kind="money", sort="total", total="total", card="figure"),
            Column("balance", "Open", "balance", kind="money", sort="balance", total="balance", card="figure"),
        ),
        chips=(
            Chips(
                "state",
                [(key, label) for key, (label, _) in states.items()],
                where={key: condition for key, (_, condition) in states.items()},
            ),
            Chips("type", InvoiceType.choices),
        ),
        sort="-date",
        url=lambda row: reverse("web:invoice", args=[row.pk]),
        placeholder="Number, customer, agreement, order or PO",
    )


def _source_of(invoice: Invoice) -> str:
    of = invoice.agreement or invoice.sales_order
    return f"{of}" if of else ""


@dataclass(frozen=True, slots=True)
class Only:
    """What the list was narrowed to by a link."""

    words: str
    url: str


def invoices(request: HttpRequest) -> HttpResponse:
    """All invoices, or those of a company (``?company=``), an agreement or a billing run."""
    rows, only = _narrowed(
        request,
        queries.invoices(
            search=search_of(request),
            company_id=asked_id(request, "company"),
            agreement_id=asked_id(request, "agreement"),
        ),
    )
    rows = rows.annotate(is_reversed=Exists(Invoice.objects.filter(reverses=OuterRef("pk"))))
    can = may(
        request,
        invoice=commands.create_invoice,
        close=commands.close_invoices,
        pay=commands.record_payment,
    )
    return show_list(request, _invoice_list(today()), rows, "web/bill/invoices.html", {"may": can, "only": only})


def _narrowed(request: HttpRequest, rows: QuerySet[Invoice]) -> tuple[QuerySet[Invoice], Only | None]:
    run_id, agreement_id, company_id = (asked_id(request, name) or 0 for name in ("run", "agreement", "company"))
    if run := BillingRun.objects.filter(pk=run_id).first():
        return rows.filter(run=run), Only(f"Of billing run {run}", reverse("web:billing_run", args=[run.pk]))
    if agreement := Agreement.objects.filter(pk=agreement_id).first():
        return rows, Only(
            f"Of agreement {agreement.number} {agreement.name}", reverse("web:agreement", args=[agreement.pk])
        )
    if company := Company.objects.filter(pk=company_id).first():
        return rows, Only(f"Of {company.name}", reverse("web:company", args=[company.pk]))
    return rows, None


@require_POST
def bulk(request: HttpRequest) -> HttpResponse:
    """Close, or mail, the invoices that are ticked; the list comes back as it was filtered."""
    chosen = [int(pk) for pk in request.POST.getlist("invoice") if pk.isascii() and pk.isdecimal()]
    back = redirect(f"{reverse('web:invoices')}?{request.GET.urlencode()}")
    if not chosen:
        messages.warning(request, "Tick the invoices first.")
        return back
    if request.POST.get("deed") == "mail":
        _mail(request, chosen)
    else:
        _close(request, chosen)
    return back


@require_POST
def close_drafts(request: HttpRequest) -> HttpResponse:
    """Close every draft that can be closed; what cannot stays a draft, with the reason."""
    drafts = queries.invoices(status=InvoiceStatus.DRAFT).order_by("date", "id")
    _close(request, list(drafts.values_list("pk", flat=True)))
    return redirect("web:invoices")


#: Refusals that are told one by one.
TOLD = 8


def _close(request: HttpRequest, ids: list[int]) -> None:
    done = commands.close_invoices(actor=actor_of(request), invoice_ids=ids, now=now())
    for left in done.not_closed[:TOLD]:
        messages.error(request, f"{left.invoice} stays as it is: {left.reason.message}")
    _more(request, len(done.not_closed))
    if count := len(done.invoices):
        messages.success(request, f"{count} invoice{'s were' if count > 1 else ' was'} closed.")


def _mail(request: HttpRequest, ids: list[int]) -> None:
    try:
        done = deliver_invoices(actor=actor_of(request), invoice_ids=ids, now=now())
    except DomainError as refusal:
        if refusal.code != "mail_not_configured":
            raise
        messages.error(request, " ".join(filter(None, (refusal.message, refusal.hint))))
        return
    for left in done.left_out[:TOLD]:
        messages.error(request, f"{left.invoice} was not mailed: {left.reason.message}")
    _more(request, len(done.left_out))
    if count := len(done.queued):
        messages.success(request, f"{count} invoice{'s are' if count > 1 else ' is'} on the way.")


def _more(request: HttpRequest, refused: int) -> None:
    if refused > TOLD:
        messages.error(request, f"And {refused - TOLD} more.")


# -- an invoice --------------------------------------------------------------------------------------------------------


def find(pk: int) -> Any:
    """The invoice with what its page names.

    Raises:
        Http404: there is none.
    """
    found = queries.invoices().select_related(None).select_related("company", "bill_to").filter(pk=pk).first()
    if found is None:
        raise Http404
    load_related([found], "agreement", "sales_order")
    return found


def name_of(invoice: Invoice) -> str:
    """Its number, or which draft it is."""
    return invoice.number or f"Draft {invoice.pk}"


@dataclass(frozen=True, slots=True)
class Settled:
    """A payment or credit that settles a part of an invoice, or what of a credit memo was used."""

    kind: str
    number: str
    url: str
    on: date
    reference: str
    amount: Decimal


def settlements(invoice: Invoice) -> list[Settled]:
    """What settles an invoice, by date."""
    found = [
        Settled(
            "Payment",
            row.payment.number,
            reverse("web:payment", args=[row.payment_id]),
            row.date or row.payment.date,
            row.payment.reference,
            row.amount,
        )
        for row in queries.payments_of_invoice(invoice.pk)
    ]
    for credit in invoice.credits_received.select_related("credit_memo"):
        memo = credit.credit_memo
        found.append(
            Settled(
                "Credit", str(memo), reverse("web:invoice", args=[memo.pk]), credit.date, memo.top_comment,
                credit.amount,
            )
        )  # fmt: skip
    for use in invoice.credit_applications.select_related("invoice"):
        other = use.invoice
        found.append(
            Settled("Applied to", str(other), reverse("web:invoice", args=[other.pk]), use.date, "", use.amount)
        )
    return sorted(found, key=lambda row: row.on)


def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """An invoice as the customer gets it, with what was paid and how it is booked."""
    found = find(pk)
    found.is_reversed = hasattr(found, "reversed_by")
    mine = my_company()
    site = mine.sites.first() if mine else None
    is_draft = found.status == InvoiceStatus.DRAFT
    can = may(
        request,
        edit=commands.update_invoice,
        add=commands.add_invoice_line,
        apply=commands.apply_down_payment,
        pay=commands.record_payment,
        credit=commands.credit_invoice,
    )
    groups = grouped_lines(found)
    context = {
        "invoice": found,
        "number": name_of(found),
        "state": state_of(found, today()),
        "title": "Credit memo" if found.is_credit_memo else _TITLES.get(found.type, "Invoice"),
        "groups": groups,
        "has_headings": len(groups) > 1,
        "is_covered": any(group.covered for group in groups),
        "taxes": list(found.taxes.all()),
        "sender": mine,
        "sender_address": site.address_lines if site else [],
        "settlements": [] if is_draft else settlements(found),
        "credit_memos": list(found.credit_memos.order_by("pk")),
        "down_payments": down_payments(for_invoice_id=pk) if is_draft and can["apply"] else [],
        "used_on": used_on(found) if found.type == InvoiceType.DOWN_PAYMENT and not is_draft else None,
        "deliveries": list(queries.deliveries(invoice_id=pk)),
        "entries": posted_entries(entries_of("invoice", pk).prefetch_related("lines__company")),
        "is_draft": is_draft,
        "is_internal": found.bill_to_kind == "internal",
        "takes_lines": is_draft and found.credits_id is None,
        "may": can,
        **side_of(found, *([BillingRun(pk=found.run_id)] if found.run_id else [])),
    }
    return render(request, "web/bill/invoice.html", context)


_TITLES = {InvoiceType.DOWN_PAYMENT.value: "Down payment invoice", InvoiceType.PROGRESS.value: "Progress invoice"}


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a draft."""
    return run_deed(
        request,
        lambda: commands.close_invoice(actor=actor_of(request), invoice_id=pk, now=now()),
        then=reverse("web:invoice", args=[pk]),
        said=lambda made: f"{made.number} is closed. It is booked with the next batch.",
    )


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a draft."""
    return run_deed(
        request,
        lambda: commands.delete_draft_invoice(actor=actor_of(request), invoice_id=pk),
        then=reverse("web:invoices"),
        said="The draft was deleted. What it would have billed can be invoiced again.",
    )


urlpatterns: list[URLPattern] = [
    path("invoices/", invoices, name="invoices"),
    path("invoices/bulk/", bulk, name="invoices_bulk"),
    path("invoices/close/", close_drafts, name="invoices_close"),
    path("invoices/<int:pk>/", invoice, name="invoice"),
    path("invoices/<int:pk>/close/", close, name="invoice_close"),
    path("invoices/<int:pk>/delete/", delete, name="invoice_delete"),
]
