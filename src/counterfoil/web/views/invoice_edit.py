"""Pages: writing an invoice by hand, changing a draft and its lines, taking a down payment into account."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements.models import Agreement, AgreementStatus
from counterfoil.billing import commands, queries
from counterfoil.billing.down_payments import down_payments
from counterfoil.billing.models import InvoiceStatus, InvoiceType, LineKind
from counterfoil.billing.special import BY_HAND, NewLine
from counterfoil.companies.models import BillingTerms
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.orders.models import SalesOrder, SalesOrderStatus
from counterfoil.tax.models import TaxCode
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    MoneyField,
    PageForm,
    PriceField,
    ProductField,
    QuantityField,
    asked_id,
    form_page,
    posted,
    run_deed,
)
from counterfoil.web.views.invoices import find, name_of

KINDS: Final = [(LineKind.SERVICE.value, "Service"), (LineKind.PRODUCT.value, "Product"), ("expense", "Expense")]


def draft_for(pk: int) -> Any:
    """The draft to change.

    Raises:
        DomainError: ``wrong_state`` once it is closed: there is nothing to fill in then.
    """
    found = find(pk)
    if found.status != InvoiceStatus.DRAFT:
        raise DomainError(
            "wrong_state", f"{found} is closed; only a draft can be changed.", hint="What is closed stays as it is."
        )
    return found


def deed_of(found: Any, title: str, said: str, intro: str = "", button: str = "Save") -> Deed:
    """A deed on an invoice that leads back to it."""
    here = reverse("web:invoice", args=[found.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: said,
        crumbs=(("Invoices", reverse("web:invoices")), (name_of(found), here)),
        intro=intro,
    )


# -- the head ----------------------------------------------------------------------------------------------------------


class HeadForm(PageForm):
    """Dates, terms, the customer's own number, and what is printed around the lines."""

    rows = (("date", "due_date", "terms_id"), ("customer_po", "reference", "attention"))

    date = DayField(label="Invoice date")
    due_date = DayField(label="Due", help_text="A new date or new terms move it, unless you change it too.")
    terms_id = ChoiceOf(label="Terms", required=False, empty="As they are")
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)
    reference = forms.CharField(label="Reference", max_length=50, required=False)
    attention = forms.CharField(label="Attention of", max_length=100, required=False)
    top_comment = forms.CharField(
        label="Text above the lines", max_length=6000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )
    bottom_comment = forms.CharField(
        label="Text below", max_length=6000, required=False, widget=forms.Textarea(attrs={"rows": 3})
    )

    def given(self) -> dict[str, Any]:
        """What was changed: a due date left as it is follows the invoice date."""
        return {name: value for name, value in self.cleaned_data.items() if name in self.changed_data}


_HEAD: Final = ("date", "due_date", "customer_po", "reference", "attention", "top_comment", "bottom_comment")


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the head of a draft."""
    found = draft_for(pk)
    form = HeadForm(posted(request), initial={name: getattr(found, name) for name in _HEAD})
    form.fields["terms_id"].offer(BillingTerms.objects.all())  # type: ignore[attr-defined]
    return form_page(
        request,
        commands.update_invoice,
        form,
        lambda: commands.update_invoice(actor=actor_of(request), invoice_id=pk, **form.given()),
        deed_of(found, "Dates, terms and texts", "The draft was changed."),
    )


class BillToForm(PageForm):
    """To whom the invoice goes."""

    bill_to = CompanyField(
        label="Bill to",
        kind="companies",
        help_text="A customer or an internal company, by name or identifier.",
    )


def bill_to(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a draft to another company."""
    found = draft_for(pk)
    form = BillToForm(posted(request), initial={"bill_to": found.bill_to_id})
    return form_page(
        request,
        commands.change_bill_to,
        form,
        lambda: commands.change_bill_to(
            actor=actor_of(request), invoice_id=pk, company_id=form.cleaned_data["bill_to"]
        ),
        deed_of(found, "Change the bill-to", "The bill-to was changed."),
        template="web/bill/bill_to.html",
        context={"invoice": found},
    )


# -- lines -------------------------------------------------------------------------------------------------------------


class ChangeLineForm(PageForm):
    """What can be changed on a line."""

    rows = (("quantity", "unit_price", "kind"),)

    description = forms.CharField(label="Description", max_length=200)
    quantity = QuantityField(label="Quantity")
    unit_price = PriceField(label="Price of one")
    kind = forms.ChoiceField(label="Taxed as", choices=KINDS)
    taxable = forms.BooleanField(label="Taxable", required=False)

    def given(self) -> dict[str, Any]:
        """What was changed."""
        return {name: value for name, value in self.cleaned_data.items() if name in self.changed_data}


def _line_form(request: HttpRequest, row: Any) -> tuple[ChangeLineForm, str]:
    """The form with the fields that may change, and a sentence on those that may not."""
    names = ("description", "quantity", "unit_price", "kind", "taxable")
    form = ChangeLineForm(posted(request), initial={name: getattr(row, name) for name in names})
    fixed: tuple[str, ...] = ()
    intro = ""
    if row.credited_line_id or row.down_payment_id:
        fixed = ("quantity", "unit_price", "kind", "taxable")
        intro = "Its amount and tax follow from another invoice. Take it off and enter it anew to change them."
    elif row.period_start or row.order_line_id or row.addition_id or row.charge_id:
        fixed = ("quantity", "kind", *(("unit_price",) if row.covered_amount else ()))
        intro = "Quantity and cost are those of what was delivered or agreed; they do not change here."
        if row.agreement_id and row.period_start and not row.charge_id:
            intro += (
                " A price you enter holds until something of this period changes: then the difference to what the"
                " agreement comes to is billed. To bill another price for good, change it on the agreement."
            )
    for name in fixed:
        del form.fields[name]
    return form, intro


def line(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Change a line of a draft."""
    found = draft_for(pk)
    row = queries.lines_of_invoice(pk).filter(pk=line_id).first()
    if row is None:
        raise Http404
    form, intro = _line_form(request, row)
    return form_page(
        request,
        commands.update_invoice_line,
        form,
        lambda: commands.update_invoice_line(actor=actor_of(request), line_id=line_id, **form.given()),
        deed_of(found, "Change the line", "The line was changed.", intro),
    )


class NewLineForm(LineForm):
    """A line to be put on a draft."""

    product_id = ProductField(label="Product", required=False)
    description = forms.CharField(
        label="Description", max_length=200, required=False, widget=forms.TextInput(attrs={"class": "is-words"})
    )
    quantity = QuantityField(label="Quantity", required=False)
    unit_price = PriceField(label="Price of one", required=False)
    kind = forms.ChoiceField(label="Taxed as", choices=KINDS, required=False, initial=LineKind.PRODUCT.value)
    taxable = forms.ChoiceField(label="Taxable", choices=[("", "Usual"), ("yes", "Yes"), ("no", "No")], required=False)

    def is_wanted(self) -> bool:
        """A line that nothing was typed in is left out: kind and tax are chosen from the first."""
        return any(self.cleaned_data.get(name) for name in ("product_id", "description", "unit_price"))

    def line(self) -> NewLine:
        """What was entered."""
        given = self.given()
        kind, taxable = given.pop("kind", None), given.pop("taxable", None)
        return NewLine(
            **given, kind=LineKind(kind) if kind else None, taxable=None if taxable is None else taxable == "yes"
        )


def _lines_editor(request: HttpRequest, *, blank: int = 1, required: bool = True) -> LineEditor:
    return LineEditor(
        request,
        NewLineForm,
        blank=blank,
        required=required,
        note="left empty, description and price are the product's; a price below zero gives back",
    )


def _entered(lines: LineEditor) -> list[NewLine]:
    return [form.line() for form in lines.filled if isinstance(form, NewLineForm)]


class NoFields(PageForm):
    """A form of lines alone."""


def line_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add lines to a draft."""
    found = draft_for(pk)
    lines = _lines_editor(request)

    def add() -> Any:
        actor = actor_of(request)
        for index, each in enumerate(_entered(lines)):
            try:
                added = commands.add_invoice_line(actor=actor, invoice_id=pk, line=each)
            except DomainError as refusal:
                refusal.field = (refusal.field or "line").replace("line", f"lines[{index}]", 1)
                raise
        return added

    return form_page(
        request,
        commands.add_invoice_line,
        NoFields(posted(request)),
        _all_or_nothing(add),
        deed_of(found, f"Add lines to {name_of(found).lower()}", "The lines were added.", button="Add them"),
        lines=lines,
    )


def _all_or_nothing(run: Any) -> Any:
    def together() -> Any:
        with transaction.atomic():
            return run()

    return together


@require_POST
def line_remove(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Take a line off a draft."""
    return run_deed(
        request,
        lambda: commands.remove_invoice_line(actor=actor_of(request), line_id=line_id),
        then=reverse("web:invoice", args=[pk]),
        said="The line was taken off. What it billed can be billed again.",
    )


# -- down payments -----------------------------------------------------------------------------------------------------


class DownPaymentForm(PageForm):
    """How much of which down payment."""

    rows = (("down_payment_id", "amount"),)

    down_payment_id = ChoiceOf(label="Down payment")
    amount = MoneyField(
        label="Amount before tax", required=False, help_text="Left empty, as much as is left and the draft comes to."
    )


def down_payment(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a down payment into account on a draft."""
    found = draft_for(pk)
    rows = down_payments(for_invoice_id=pk)
    form = DownPaymentForm(posted(request))
    form.fields["down_payment_id"].choices = [  # type: ignore[attr-defined]
        (row.invoice.pk, f"{row.invoice.number}: {format_money(row.remaining)} left") for row in rows
    ]
    return form_page(
        request,
        commands.apply_down_payment,
        form,
        lambda: commands.apply_down_payment(actor=actor_of(request), invoice_id=pk, **form.given()),
        deed_of(
            found,
            "Apply a down payment",
            "The down payment was taken into account.",
            "A line below zero takes off what was paid down, with the tax that was charged on it.",
            button="Apply it",
        ),
    )


# -- a new invoice -----------------------------------------------------------------------------------------------------


class NewInvoiceForm(PageForm):
    """The head of an invoice written by hand."""

    rows = (
        ("company_id", "on", "terms_id"),
        ("customer_po", "reference", "tax_code_id"),
        ("agreement_id", "order_id", "ticket"),
    )

    company_id = CompanyField(label="Customer")
    on = DayField(label="Invoice date")
    terms_id = ChoiceOf(label="Terms", required=False, empty="The customer's")
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)
    reference = forms.CharField(label="Reference", max_length=50, required=False)
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="The site's or customer's")
    agreement_id = ChoiceOf(label="For the agreement", required=False, empty="None")
    order_id = ChoiceOf(label="For the sales order", required=False, empty="None")
    ticket = forms.CharField(label="For the ticket", max_length=30, required=False)
    top_comment = forms.CharField(
        label="Text above the lines", max_length=6000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


#: What each type is for, as one chooses it.
TYPES: Final = (
    ("miscellaneous", "Miscellaneous", "Anything that comes from no agreement, order or work."),
    ("down_payment", "Down payment", "Money ahead: deferred until it is taken off later invoices."),
    ("progress", "Progress", "A part of a sales order's services, by percent or amount."),
    ("credit_memo", "Credit memo", "Gives back what no invoice is named for. To credit an invoice, open it."),
)


def new(request: HttpRequest) -> HttpResponse:
    """Write an invoice by hand: miscellaneous, down payment, progress or credit memo (``?type=``)."""
    wanted = request.GET.get("type", InvoiceType.MISCELLANEOUS.value)
    if wanted == InvoiceType.PROGRESS:
        return _new_progress(request)
    kind = InvoiceType(wanted) if wanted in BY_HAND else InvoiceType.MISCELLANEOUS
    customer = asked_id(request, "company")
    form = NewInvoiceForm(posted(request), initial={"on": today(), "company_id": customer})
    form.fields["terms_id"].offer(BillingTerms.objects.all())  # type: ignore[attr-defined]
    form.fields["tax_code_id"].offer(TaxCode.objects.filter(active=True))  # type: ignore[attr-defined]
    _offer_sources(form, kind, customer)
    lines = _lines_editor(request, blank=2)

    def create() -> Any:
        given = {name: value for name, value in form.given().items() if value not in (None, "")}
        return commands.create_invoice(actor=actor_of(request), type=kind, lines=_entered(lines), **given)

    return form_page(
        request,
        commands.create_invoice,
        form,
        create,
        _new_deed(f"New {kind.label.lower()}" if kind in BY_HAND[1:] else "New invoice"),
        lines=lines,
        template="web/bill/new.html",
        context={"types": TYPES, "chosen": kind.value},
    )


def _offer_sources(form: NewInvoiceForm, kind: InvoiceType, company_id: int | None) -> None:
    """A down payment can be for one agreement, order or ticket; other invoices name none."""
    if kind != InvoiceType.DOWN_PAYMENT:
        for name in ("agreement_id", "order_id", "ticket"):
            del form.fields[name]
        return
    agreements = Agreement.objects.filter(status=AgreementStatus.ACTIVE).order_by("-id")
    orders = SalesOrder.objects.exclude(status=SalesOrderStatus.CANCELLED).order_by("-id")
    if company_id is not None:
        agreements, orders = agreements.filter(company=company_id), orders.filter(company=company_id)
    form.fields["agreement_id"].offer(agreements[:OFFERED], lambda row: f"{row.number} {row.name}")  # type: ignore[attr-defined]
    form.fields["order_id"].offer(orders[:OFFERED])  # type: ignore[attr-defined]


#: How many agreements and orders are offered to choose from.
OFFERED: Final = 300


def _new_deed(title: str) -> Deed:
    return Deed(
        title=title,
        button="Make the draft",
        back=reverse("web:invoices"),
        then=lambda made: reverse("web:invoice", args=[made.pk]),
        said=lambda _: "The draft was made. Look it over, then close it.",
        crumbs=(("Invoices", reverse("web:invoices")),),
    )


class ProgressForm(PageForm):
    """How much of a sales order is billed now."""

    rows = (("order_id", "on"), ("percent", "amount"))

    order_id = ChoiceOf(label="Sales order")
    on = DayField(label="Invoice date")
    percent = QuantityField(label="Percent of what was ordered", required=False, unit="%")
    amount = MoneyField(label="Or an amount before tax", required=False)


def _new_progress(request: HttpRequest) -> HttpResponse:
    form = ProgressForm(posted(request), initial={"on": today(), "order_id": asked_id(request, "order")})
    orders = SalesOrder.objects.exclude(status=SalesOrderStatus.CANCELLED).select_related("company").order_by("-id")
    form.fields["order_id"].offer(orders[:OFFERED], lambda row: f"{row.number}, {row.company.name}")  # type: ignore[attr-defined]
    return form_page(
        request,
        commands.invoice_progress,
        form,
        lambda: commands.invoice_progress(actor=actor_of(request), **form.given()),
        _new_deed("New progress invoice"),
        template="web/bill/new.html",
        context={"types": TYPES, "chosen": "progress"},
    )


urlpatterns: list[URLPattern] = [
    path("invoices/new/", new, name="invoice_new"),
    path("invoices/<int:pk>/edit/", edit, name="invoice_edit"),
    path("invoices/<int:pk>/bill-to/", bill_to, name="invoice_bill_to"),
    path("invoices/<int:pk>/lines/new/", line_new, name="invoice_line_new"),
    path("invoices/<int:pk>/lines/<int:line_id>/", line, name="invoice_line"),
    path("invoices/<int:pk>/lines/<int:line_id>/remove/", line_remove, name="invoice_line_remove"),
    path("invoices/<int:pk>/down-payment/", down_payment, name="invoice_down_payment"),
]
