"""Pages: invoices, invoicing agreements, customers' payments, sales tax."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_POST

from counterfoil.billing import commands, queries
from counterfoil.billing.commands import InvoicePayment, InvoicingRun, Parked
from counterfoil.billing.models import Invoice, InvoiceStatus, Payment
from counterfoil.billing.recurring import refuse_beyond_the_books
from counterfoil.billing.remittances import remit_sales_tax
from counterfoil.companies.queries import company as find_company
from counterfoil.companies.queries import my_company
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import accounts_by_type, balance_of_types, entries_of
from counterfoil.platform.audit import trail_of
from counterfoil.tax.models import TaxRemittance
from counterfoil.tax.queries import remittances
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.bookkeeping import posted as posted_entries
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    MoneyField,
    PageForm,
    PriceField,
    form_page,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import side_of


@navigation.waiting
def billing_waits() -> dict[str, int]:
    """Drafts that nobody has closed yet."""
    return {"draft_invoices": Invoice.objects.filter(status=InvoiceStatus.DRAFT).count()}


# -- invoices ----------------------------------------------------------------------------------------------------------


def state_of(invoice: Any, on: date) -> str:
    """How an invoice with its ``balance`` stands on the day ``on``."""
    if invoice.status == InvoiceStatus.DRAFT:
        return "draft"
    if not invoice.balance:
        return "paid" if invoice.total else "closed"
    return "overdue" if invoice.due_date < on else "open"


def _invoice_list(on: date) -> ListSpec:
    unpaid = Q(status=InvoiceStatus.CLOSED, balance__gt=0)
    states = {
        "draft": ("Draft", Q(status=InvoiceStatus.DRAFT)),
        "unpaid": ("Unpaid", unpaid),
        "overdue": ("Overdue", unpaid & Q(due_date__lt=on)),
        "closed": ("Closed", Q(status=InvoiceStatus.CLOSED)),
    }
    return ListSpec(
        name="Invoices",
        columns=(
            Column("number", "Number", lambda row: row.number or f"Draft {row.pk}", kind="key", sort="number"),
            Column("bill_to", "Bill to", "bill_to_name", sort="bill_to_name", card="note"),
            Column("source", "For", _source_of, note=lambda row: row.customer_po),
            Column("date", "Date", kind="date", sort="date"),
            Column("due", "Due", "due_date", kind="date", sort="due_date"),
            Column("state", "State", lambda row: state_of(row, on), kind="state", card="note"),
            Column("subtotal", "Before tax", "subtotal", kind="money", sort="subtotal", total="subtotal"),
            Column("tax", "Tax", "tax_total", kind="money", sort="tax_total", total="tax_total"),
            Column("total", "Total", "total", kind="money", sort="total", total="total", card="figure"),
            Column("balance", "Open", "balance", kind="money", sort="balance", total="balance", card="figure"),
        ),
        chips=(
            Chips(
                "state",
                [(key, label) for key, (label, _) in states.items()],
                where={key: condition for key, (_, condition) in states.items()},
            ),
        ),
        sort="-date",
        url=lambda row: reverse("web:invoice", args=[row.pk]),
        placeholder="Number, customer, agreement, order or PO",
    )


def _source_of(invoice: Invoice) -> str:
    of = invoice.agreement or invoice.sales_order
    return f"{of}" if of else ""


def invoices(request: HttpRequest) -> HttpResponse:
    """All invoices."""
    rows = queries.invoices(search=search_of(request), company_id=_number(request, "company"))
    can = may(
        request,
        invoice=commands.invoice_agreements_through,
        close=commands.close_invoice,
        pay=commands.record_payment,
    )
    return show_list(request, _invoice_list(today()), rows, "web/bill/invoices.html", {"may": can})


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() else None


def _find(pk: int) -> Any:
    found = queries.invoices().select_related("bill_to__terms", "tax_code").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """An invoice as the customer gets it, with what was paid and how it is booked."""
    found = _find(pk)
    mine = my_company()
    site = mine.sites.first() if mine else None
    context = {
        "invoice": found,
        "number": found.number or f"Draft {found.pk}",
        "state": state_of(found, today()),
        "lines": queries.lines_of_invoice(pk),
        "taxes": list(found.taxes.all()),
        "sender": mine,
        "sender_address": site.address_lines if site else [],
        "payments": list(queries.payments_of_invoice(pk)),
        "deliveries": list(queries.deliveries(invoice_id=pk)),
        "entries": posted_entries(entries_of("invoice", pk).prefetch_related("lines__company")),
        "is_draft": found.status == InvoiceStatus.DRAFT,
        "is_internal": found.bill_to_kind == "internal",
        "may": may(request, edit=commands.update_invoice, pay=commands.record_payment),
        **side_of(found),
    }
    return render(request, "web/bill/invoice.html", context)


class HeadForm(PageForm):
    """Dates and the customer's own number."""

    rows = (("date", "due_date"),)

    date = DayField(label="Invoice date")
    due_date = DayField(label="Due", help_text="A new invoice date moves it by the terms, unless you change it too.")
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)

    def given(self) -> dict[str, Any]:
        """What was changed: a due date left as it is follows the invoice date."""
        return {name: value for name, value in self.cleaned_data.items() if name in self.changed_data}


class BillToForm(PageForm):
    """To whom the invoice goes."""

    bill_to = CompanyField(
        label="Bill to",
        kind="companies",
        help_text="A customer or an internal company, by name or identifier.",
    )


class LineForm(PageForm):
    """What can be changed on a line."""

    description = forms.CharField(label="Description", max_length=200)
    unit_price = PriceField(label="Price of one")
    taxable = forms.BooleanField(label="Taxable", required=False)


def _draft(request: HttpRequest, pk: int) -> Any:
    """The draft to change.

    Raises:
        DomainError: ``wrong_state`` once it is closed: there is nothing to fill in then.
    """
    found = _find(pk)
    if found.status != InvoiceStatus.DRAFT:
        raise DomainError(
            "wrong_state", f"{found} is closed; only a draft can be changed.", hint="What is closed stays as it is."
        )
    return found


def _deed(found: Invoice, title: str, said: str, intro: str = "") -> Deed:
    here = reverse("web:invoice", args=[found.pk])
    name = found.number or f"Draft {found.pk}"
    return Deed(
        title=title,
        button="Save",
        back=here,
        then=lambda _: here,
        said=lambda _: said,
        crumbs=(("Invoices", reverse("web:invoices")), (name, here)),
        intro=intro,
    )


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the head of a draft."""
    found = _draft(request, pk)
    names = ("date", "due_date", "customer_po")
    form = HeadForm(posted(request), initial={name: getattr(found, name) for name in names})
    return form_page(
        request,
        commands.update_invoice,
        form,
        lambda: commands.update_invoice(actor=actor_of(request), invoice_id=pk, **form.given()),
        _deed(found, "Dates and customer PO", "The draft was changed."),
    )


def bill_to(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a draft to another company."""
    found = _draft(request, pk)
    form = BillToForm(posted(request), initial={"bill_to": found.bill_to_id})
    return form_page(
        request,
        commands.change_bill_to,
        form,
        lambda: commands.change_bill_to(
            actor=actor_of(request), invoice_id=pk, company_id=form.cleaned_data["bill_to"]
        ),
        _deed(found, "Change the bill-to", "The bill-to was changed."),
        template="web/bill/bill_to.html",
        context={"invoice": found},
    )


def line(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Change a line of a draft."""
    found = _draft(request, pk)
    row = queries.lines_of_invoice(pk).filter(pk=line_id).first()
    if row is None:
        raise Http404
    names = ("description", "unit_price", "taxable")
    form = LineForm(posted(request), initial={name: getattr(row, name) for name in names})
    return form_page(
        request,
        commands.update_invoice_line,
        form,
        lambda: commands.update_invoice_line(actor=actor_of(request), line_id=line_id, **form.given()),
        _deed(
            found,
            "Change the line",
            "The line was changed.",
            "Quantity and cost are those of what was delivered or agreed; they do not change here.",
        ),
    )


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
def close_drafts(request: HttpRequest) -> HttpResponse:
    """Close every draft that can be closed; what cannot stays a draft, with the reason."""
    actor, closed = actor_of(request), 0
    for draft in queries.invoices(status=InvoiceStatus.DRAFT).order_by("date", "id"):
        try:
            commands.close_invoice(actor=actor, invoice_id=draft.pk, now=now())
            closed += 1
        except DomainError as refusal:
            if refusal.code == "role_required":
                raise
            messages.error(request, f"{draft} to {draft.bill_to_name} stays a draft: {refusal.message}")
    if closed:
        messages.success(request, f"{closed} invoice{'s were' if closed > 1 else ' was'} closed.")
    return redirect("web:invoices")


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a draft."""
    return run_deed(
        request,
        lambda: commands.delete_draft_invoice(actor=actor_of(request), invoice_id=pk),
        then=reverse("web:invoices"),
        said="The draft was deleted. What it would have billed can be invoiced again.",
    )


# -- invoicing agreements ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unbilled:
    """An agreement with its periods that are not invoiced."""

    periods: tuple[queries.UnbilledPeriod, ...]
    parked: Parked | None = None

    @property
    def first(self) -> queries.UnbilledPeriod:
        """The earliest of them."""
        return self.periods[0]

    @property
    def amount(self) -> Decimal:
        """All of them, before tax."""
        return sum_money(row.amount for row in self.periods)


class RunForm(PageForm):
    """Which agreements, and how the invoices are dated."""

    through = DayField()
    agreement = forms.TypedMultipleChoiceField(
        coerce=int, error_messages={"required": "Tick the agreements that are to be invoiced."}
    )
    invoice_date = DayField(required=False)


def invoice_agreements(request: HttpRequest) -> HttpResponse:
    """What agreements have not been invoiced through a date; draft the invoices of those that are ticked."""
    through = parse_day(request.POST.get("through") or request.GET.get("through")) or today()
    rows = _unbilled(through)
    form, run, refusal = RunForm(posted(request)), None, None
    form.fields["agreement"].choices = [(row.first.agreement_id, row.first.agreement) for row in rows]  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        try:
            run = commands.invoice_agreements_through(
                actor=actor_of(request),
                through=form.cleaned_data["through"],
                agreement_ids=form.cleaned_data["agreement"],
                invoice_date=form.cleaned_data["invoice_date"],
            )
        except DomainError as error:
            refusal = error
        else:
            if not run.parked:
                messages.success(request, _drafted(run))
                return redirect(f"{reverse('web:invoices')}?state=draft")
            rows = _unbilled(through, run)
    context = {
        "through": through,
        "rows": sorted(rows, key=lambda row: row.parked is None),
        "total": sum_money(row.amount for row in rows),
        "count": sum(len(row.periods) for row in rows),
        "form": form,
        "run": run,
        "said": _drafted(run) if run else "",
        "refusal": refusal,
        "ticked": set(request.POST.getlist("agreement")) if request.method == "POST" and not run else None,
        "may": may(request, run=commands.invoice_agreements_through),
    }
    status = 422 if request.method == "POST" and not run else 200
    return render(request, "web/bill/agreements.html", context, status=status)


def parse_day(text: str | None) -> date | None:
    """The date in an address, if it is one."""
    try:
        return parse_date(text or "")
    except ValueError:
        return None


def _unbilled(through: date, run: InvoicingRun | None = None) -> list[Unbilled]:
    refuse_beyond_the_books(through)
    parked = {each.agreement_id: each for each in run.parked} if run else {}
    rows = sorted(queries.unbilled_periods(through=through), key=lambda row: row.agreement_id)
    return [
        Unbilled(tuple(periods), parked.get(agreement_id))
        for agreement_id, periods in groupby(rows, key=lambda row: row.agreement_id)
    ]


def _drafted(run: InvoicingRun) -> str:
    count = len(run.invoices)
    total = format_money(sum_money(each.total for each in run.invoices))
    return f"{count} invoice{'s were' if count != 1 else ' was'} drafted, {total} with tax."


# -- payments ----------------------------------------------------------------------------------------------------------

PAYMENTS: Final = ListSpec(
    name="Payments",
    columns=(
        Column("number", "Number", kind="key"),
        Column("company", "Customer", "company.name", sort="company__name", card="note"),
        Column("date", "Date", kind="date", sort="date", card="note"),
        Column("reference", "Reference", sort="reference"),
        Column("bank", "Into", "bank_account.name", sort="bank_account__name"),
        Column("settles", "Settles", lambda row: ", ".join(str(each.invoice) for each in row.applications.all())),
        Column("amount", "Amount", kind="money", sort="amount", total="amount", card="figure"),
    ),
    sort="-date",
    url=lambda row: reverse("web:payment", args=[row.pk]),
    placeholder="Number, customer or reference",
)


def payments(request: HttpRequest) -> HttpResponse:
    """Money that came in."""
    rows = queries.payments(search=search_of(request), company_id=_number(request, "company"))
    owed = sum_money(row.total for row in queries.receivables(as_of=today()))
    can = may(request, pay=commands.record_payment, remit=remit_sales_tax)
    return show_list(request, PAYMENTS, rows, "web/bill/payments.html", {"may": can, "owed": owed})


def payment(request: HttpRequest, pk: int) -> HttpResponse:
    """A payment: what it settles, and how it is booked."""
    found = queries.payments().filter(pk=pk).first()
    if found is None:
        raise Http404
    context = {
        "payment": found,
        "applications": list(found.applications.all()),
        "entries": posted_entries(entries_of("customer_payment", pk).prefetch_related("lines__company")),
        "trail": trail_of(found),
    }
    return render(request, "web/bill/payment.html", context)


class PaymentForm(PageForm):
    """Money from a customer; each open invoice has a field of its own for what of it is settled."""

    rows = (("on", "amount"), ("bank_account", "reference"))

    on = DayField(label="Received on")
    amount = MoneyField(label="Amount")
    bank_account = ChoiceOf(label="Into", required=False, empty="The default bank account")
    reference = forms.CharField(label="Reference", max_length=60, required=False, help_text="Check number or the like.")

    def __init__(self, data: Any, open_invoices: list[Any], **options: Any) -> None:
        super().__init__(data, **options)
        self.open_invoices = open_invoices
        self.fields["bank_account"].offer(accounts_by_type(AccountType.BANK))  # type: ignore[attr-defined]
        for each in open_invoices:
            self.fields[f"invoice_{each.pk}"] = MoneyField(label=f"Of {each.number}", required=False)

    def layout(self) -> list[list[forms.BoundField]]:
        """The fields above the invoices."""
        return [row for row in super().layout() if not row[0].name.startswith("invoice_")]

    def invoice_rows(self) -> list[tuple[Any, forms.BoundField]]:
        """Each open invoice with its field."""
        return [(each, self[f"invoice_{each.pk}"]) for each in self.open_invoices]

    def applications(self) -> list[InvoicePayment]:
        """What is settled, as entered."""
        entered = [(each.pk, self.cleaned_data.get(f"invoice_{each.pk}")) for each in self.open_invoices]
        return [InvoicePayment(pk, amount) for pk, amount in entered if amount]

    def name_of(self, refusal: DomainError) -> str | None:
        """The field a refusal is about."""
        field = refusal.field or ""
        for index, each in enumerate(self.applications()):
            if field.startswith(f"applications[{index}]"):
                return f"invoice_{each.invoice_id}"
        return field or None


def new_payment(request: HttpRequest) -> HttpResponse:
    """Record a payment: first who paid, then how much and for which invoices."""
    company_id = _number(request, "company")
    customer = find_company(company_id) if company_id else None
    if customer is None:
        rows = [row for row in queries.receivables(as_of=date.max) if row.total]
        return render(request, "web/bill/payment_from.html", {"rows": rows, "total": sum_money(r.total for r in rows)})
    owed: list[Any] = list(queries.open_invoices(company_id=customer.pk))  # each with its balance
    form = PaymentForm(posted(request), owed, initial={"on": today()})

    def record() -> Payment:
        given = form.cleaned_data
        try:
            return commands.record_payment(
                actor=actor_of(request),
                company_id=customer.pk,
                on=given["on"],
                amount=given["amount"],
                applications=form.applications(),
                bank_account_id=given["bank_account"],
                reference=given["reference"],
            )
        except DomainError as refusal:
            refusal.field = form.name_of(refusal)
            raise

    deed = Deed(
        title=f"Payment from {customer.name}",
        button="Record the payment",
        back=reverse("web:payments"),
        then=lambda made: reverse("web:payment", args=[made.pk]),
        said=lambda made: f"{made.number} of {format_money(made.amount)} was recorded and booked.",
        crumbs=(("Payments", reverse("web:payments")),),
    )
    context = {"owed": sum_money(each.balance for each in owed), "today": today()}
    return form_page(
        request, commands.record_payment, form, record, deed, template="web/bill/payment_new.html", context=context
    )


# -- sales tax ---------------------------------------------------------------------------------------------------------


class RemitForm(PageForm):
    """A payment to an agency."""

    rows = (("agency", "amount"), ("on", "bank_account"))

    agency = forms.ChoiceField(label="Agency")
    amount = MoneyField(label="Amount")
    on = DayField(label="Paid on")
    bank_account = ChoiceOf(label="From", required=False, empty="The default bank account")
    reference = forms.CharField(label="Reference", max_length=60, required=False, help_text="Confirmation number.")


def sales_tax(request: HttpRequest) -> HttpResponse:
    """What is owed to each tax agency, and paying it."""
    rows = queries.tax_owed(through=today())
    form = RemitForm(posted(request), initial={"on": today(), **_suggested(request, rows)})
    form.fields["agency"].choices = [(row.agency, row.agency) for row in rows]  # type: ignore[attr-defined]
    form.fields["bank_account"].offer(accounts_by_type(AccountType.BANK))  # type: ignore[attr-defined]

    def remit() -> TaxRemittance:
        given = form.given()
        return remit_sales_tax(actor=actor_of(request), bank_account_id=given.pop("bank_account"), **given)

    can = may(request, remit=remit_sales_tax)
    context = {
        "rows": rows,
        "owed": sum_money(row.owed for row in rows),
        "unbooked": sum_money(row.unbooked for row in rows),
        "in_books": sum_money([-balance_of_types(AccountType.SALES_TAX, through=today())]),
        "remittances": remittances()[:12],
        "may": can,
        "today": today(),
    }
    if not can["remit"]:
        return render(request, "web/bill/sales_tax.html", context)
    here = reverse("web:tax_remittances")
    deed = Deed(
        title="Sales tax",
        button="Pay it",
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.number}: {format_money(made.amount)} was paid to {made.agency}.",
    )
    return form_page(request, remit_sales_tax, form, remit, deed, template="web/bill/sales_tax.html", context=context)


def _suggested(request: HttpRequest, rows: list[queries.TaxOwedRow]) -> dict[str, Any]:
    """The agency one came for, with all that is owed to it."""
    wanted = request.GET.get("agency")
    for row in rows:
        if row.owed > ZERO and wanted in (None, row.agency):
            return {"agency": row.agency, "amount": format_money(row.owed)}
    return {}


urlpatterns: list[URLPattern] = [
    path("invoices/", invoices, name="invoices"),
    path("invoices/agreements/", invoice_agreements, name="invoice_agreements"),
    path("invoices/close/", close_drafts, name="invoices_close"),
    path("invoices/<int:pk>/", invoice, name="invoice"),
    path("invoices/<int:pk>/edit/", edit, name="invoice_edit"),
    path("invoices/<int:pk>/bill-to/", bill_to, name="invoice_bill_to"),
    path("invoices/<int:pk>/lines/<int:line_id>/", line, name="invoice_line"),
    path("invoices/<int:pk>/close/", close, name="invoice_close"),
    path("invoices/<int:pk>/delete/", delete, name="invoice_delete"),
    path("payments/", payments, name="payments"),
    path("payments/new/", new_payment, name="payment_new"),
    path("payments/<int:pk>/", payment, name="payment"),
    path("payments/sales-tax/", sales_tax, name="tax_remittances"),
]
