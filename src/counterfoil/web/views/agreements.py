"""Pages: agreements, their additions, what is invoiced next and what has been."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import Addition, Agreement, AgreementStatus, BillingOption
from counterfoil.billing import commands as billing
from counterfoil.billing import queries as invoices
from counterfoil.companies.queries import billing_terms, sellable_companies
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, sum_money
from counterfoil.tax.queries import tax_codes
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    CYCLES,
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
    may,
    posted,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import side_of

#: How many invoices to come are previewed.
PREVIEWED = 3


def _spec() -> ListSpec:
    on = today()
    return ListSpec(
        name="Agreements",
        columns=(
            Column("number", "Number", kind="key"),
            Column("name", "Name", sort="name", card="note"),
            Column("company", "Company", "company.name", sort="company__name", card="note"),
            Column("type", "Type", "type.name", sort="type__name"),
            Column("status", "State", kind="state", sort="status", card="note"),
            Column("start_date", "From", kind="date", sort="start_date"),
            Column("end_date", "Last day", kind="date", sort="end_date"),
            Column("additions", "Additions", "addition_count", kind="quantity", sort="addition_count"),
            Column("monthly", "A month", lambda row: queries.monthly_value(row, on=on), kind="money", card="figure"),
        ),
        chips=(Chips("status", AgreementStatus.choices),),
        sort="-number",
        url=lambda agreement: reverse("web:agreement", args=[agreement.pk]),
        placeholder="Number, name or company",
    )


@navigation.waiting
def agreements_wait() -> dict[str, int]:
    """Agreements with a period that has begun and is not invoiced."""
    return {"agreements_to_invoice": queries.agreements_to_invoice(through=today()).count()}


class AgreementForm(PageForm):
    """What a customer is billed for in every cycle."""

    rows = (
        ("company_id", "agreement_type_id"),
        ("start_date", "first_billing_date", "end_date"),
        ("billing_cycle", "billing_amount"),
        ("bill_to_id", "customer_po"),
        ("tax_code_id", "terms_id"),
    )

    company_id = CompanyField(label="Company")
    agreement_type_id = ChoiceOf(label="Agreement type")
    name = forms.CharField(label="Name", max_length=100, help_text="Prints on the invoice.")
    start_date = DayField(label="Start")
    first_billing_date = DayField(label="First billing date", required=False, help_text="Empty: the start.")
    end_date = DayField(label="Last day", required=False, help_text="Empty: no ending date.")
    billing_cycle = forms.ChoiceField(label="Billed", choices=CYCLES)
    billing_amount = MoneyField(label="Billing amount", required=False, help_text="Every cycle, beside the additions.")
    bill_to_id = ChoiceOf(label="Bill to", required=False, empty="The company's own bill-to")
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="That of the site or company")
    terms_id = ChoiceOf(label="Terms", required=False, empty="Those of the bill-to")

    def offer(self) -> None:
        """Fill the choices."""
        choices: dict[str, Sequence[Any]] = {
            "agreement_type_id": list(queries.agreement_types()),
            "bill_to_id": list(sellable_companies()),
            "tax_code_id": list(tax_codes(active=True)),
            "terms_id": list(billing_terms()),
        }
        for name, records in choices.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """What was entered; no billing amount is none."""
        given = super().given()
        if given.get("billing_amount") is None:
            del given["billing_amount"]
        return given


class AdditionLine(LineForm):
    """A product billed with the agreement."""

    product_id = ProductField(label="Product")
    description = forms.CharField(
        label="Description",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"data-fill": "description", "class": "is-words"}),
    )
    quantity = QuantityField(
        label="Quantity", required=False, widget=forms.TextInput(attrs={"placeholder": "1", "class": "is-short"})
    )
    unit_price = PriceField(
        label="Price a cycle", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_price"})
    )
    unit_cost = PriceField(
        label="Cost a cycle", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_cost"})
    )
    effective_date = DayField(label="From", required=False)


class AdditionForm(AdditionLine, PageForm):
    """An addition on a page of its own."""

    rows = (
        ("quantity", "less_included"),
        ("unit_price", "unit_cost"),
        ("effective_date", "cancelled_date"),
        ("billing_option", "serial_number"),
    )

    less_included = QuantityField(label="Less included", required=False, help_text="Not billed: part of the agreement.")
    cancelled_date = DayField(label="Last day billed", required=False)
    billing_option = forms.ChoiceField(label="Billing", choices=BillingOption.choices)
    serial_number = forms.CharField(label="Serial number", max_length=50, required=False)
    invoice_text = forms.CharField(
        label="Text on the invoice", required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


def _crumbs(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Agreements", reverse("web:agreements")), *more)


def agreements(request: HttpRequest) -> HttpResponse:
    """All agreements with what they are worth a month."""
    rows = queries.agreements(search=search_of(request))
    context = {
        "may": may(request, add=commands.create_agreement),
        "monthly": queries.total_monthly_value(on=today()),
    }
    return show_list(request, _spec(), rows, "web/agreements/list.html", context)


def new(request: HttpRequest) -> HttpResponse:
    """A new agreement with its additions."""
    form = AgreementForm(posted(request), initial={"start_date": today(), "company_id": asked_id(request, "company")})
    form.offer()
    lines = LineEditor(
        request, AdditionLine, title="Additions", add="Add an addition", blank=1,
        note="Price and cost come from the catalog unless you write others",
    )  # fmt: skip
    return form_page(
        request,
        commands.create_agreement,
        form,
        lambda: commands.create_agreement(
            actor=actor_of(request),
            additions=[commands.AdditionInput(**line) for line in lines.given()],
            **form.given(),
        ),
        Deed(
            title="New agreement",
            button="Make the agreement",
            back=reverse("web:agreements"),
            then=lambda made: reverse("web:agreement", args=[made.pk]),
            said=lambda made: f"{made.number} was made.",
            crumbs=_crumbs(),
        ),
        lines=lines,
    )


def _find(pk: int) -> Agreement:
    found = queries.agreement(pk)
    if found is None:
        raise Http404
    return found


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """An agreement: additions, what is invoiced next, what has been."""
    agreement = _find(pk)
    on = today()
    upcoming = [
        {"period": period, "lines": lines, "amount": sum_money(line.amount for line in lines)}
        for period in queries.next_periods(agreement, PREVIEWED)
        for lines in [queries.period_lines(agreement, period)]
    ]
    can = may(
        request,
        edit=commands.update_agreement,
        add=commands.add_addition,
        cancel=commands.cancel_agreement,
        invoice=billing.invoice_agreement,
    )
    made = invoices.invoices(agreement_id=pk)
    context = {
        "agreement": agreement,
        "additions": [
            (addition, extend(addition.quantity - addition.less_included, addition.unit_price))
            for addition in queries.additions(pk)
        ],
        "cycle": Cycle.parse(agreement.billing_cycle).label,
        "monthly": queries.monthly_value(agreement, on=max(on, agreement.start_date)),
        "upcoming": upcoming,
        "invoices": list(made[:12]),
        "may": can,
        "can_invoice": can["invoice"] and bool(upcoming),
        "is_active": agreement.status == AgreementStatus.ACTIVE,
        **side_of(agreement),
    }
    return render(request, "web/agreements/agreement.html", context)


def _deed(agreement: Agreement, title: str, button: str, said: str) -> Deed:
    here = reverse("web:agreement", args=[agreement.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: f"{agreement.number} {said}.",
        crumbs=_crumbs((agreement.number, here)),
    )


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what may be changed of an agreement."""
    agreement = _find(pk)
    names = ("name", "end_date", "billing_amount", "bill_to_id", "customer_po", "tax_code_id", "terms_id")
    form = AgreementForm(posted(request), initial={name: getattr(agreement, name) for name in names})
    form.offer()
    for name in ("company_id", "agreement_type_id", "start_date", "first_billing_date", "billing_cycle"):
        del form.fields[name]
    form.fields["bill_to_id"].required = True
    return form_page(
        request,
        commands.update_agreement,
        form,
        lambda: commands.update_agreement(actor=actor_of(request), agreement_id=pk, **form.given()),
        _deed(agreement, f"Change {agreement.number}", "Save", "was changed"),
    )


@require_POST
def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """Invoice the period that the page showed; posting it twice does not bill the period after it."""
    try:
        start = date.fromisoformat(request.POST.get("period", ""))
    except ValueError as error:
        raise DomainError("required", "Say which period is to be invoiced.", field="period") from error
    made = billing.invoice_agreement(actor=actor_of(request), agreement_id=pk, period_start=start)
    messages.success(request, "A draft invoice of the next period was made.")
    return redirect("web:invoice", made.pk)


class CancelForm(PageForm):
    """The last day, and why."""

    rows = (("on", "reason"),)

    on = DayField(label="Last day")
    reason = forms.CharField(label="Reason", max_length=100)


def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """It ends before its last day."""
    agreement = _find(pk)
    form = CancelForm(posted(request), initial={"on": today()})
    return form_page(
        request,
        commands.cancel_agreement,
        form,
        lambda: commands.cancel_agreement(actor=actor_of(request), agreement_id=pk, **form.given()),
        _deed(agreement, f"Cancel {agreement.number}", "Cancel the agreement", "was cancelled"),
    )


def addition_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a product to an agreement."""
    agreement = _find(pk)
    form = AdditionForm(posted(request), initial={"effective_date": max(today(), agreement.start_date)})

    def add() -> Addition:
        return commands.add_addition(
            actor=actor_of(request), agreement_id=pk, addition=commands.AdditionInput(**LineForm.given(form))
        )

    return form_page(
        request, commands.add_addition, form, add, _deed(agreement, "Add an addition", "Add it", "has a new addition")
    )


def addition(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """Change an addition."""
    agreement = _find(pk)
    found = queries.additions(pk).filter(pk=addition_id).first()
    if found is None:
        raise Http404
    names = [name for name in AdditionForm.base_fields if name != "product_id"]
    form = AdditionForm(posted(request), initial={name: getattr(found, name) for name in names})
    del form.fields["product_id"]
    for name in ("description", "quantity", "less_included", "unit_price", "unit_cost", "effective_date"):
        form.fields[name].required = True
    return form_page(
        request,
        commands.update_addition,
        form,
        lambda: commands.update_addition(actor=actor_of(request), addition_id=addition_id, **form.given()),
        _deed(agreement, f"Change {found.product.identifier}", "Save the addition", "was changed"),
    )


class CancelAdditionForm(PageForm):
    """The last day it is billed for."""

    on = DayField(label="Last day billed")


def addition_cancel(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """It is billed no more."""
    agreement = _find(pk)
    form = CancelAdditionForm(posted(request), initial={"on": today()})
    return form_page(
        request,
        commands.cancel_addition,
        form,
        lambda: commands.cancel_addition(actor=actor_of(request), addition_id=addition_id, **form.given()),
        _deed(agreement, "Cancel an addition", "Cancel the addition", "has one addition less"),
    )


urlpatterns = [
    path("agreements/", agreements, name="agreements"),
    path("agreements/new/", new, name="agreement_new"),
    path("agreements/<int:pk>/", detail, name="agreement"),
    path("agreements/<int:pk>/edit/", edit, name="agreement_edit"),
    path("agreements/<int:pk>/invoice/", invoice, name="agreement_invoice"),
    path("agreements/<int:pk>/cancel/", cancel, name="agreement_cancel"),
    path("agreements/<int:pk>/additions/new/", addition_new, name="addition_new"),
    path("agreements/<int:pk>/additions/<int:addition_id>/", addition, name="addition"),
    path("agreements/<int:pk>/additions/<int:addition_id>/cancel/", addition_cancel, name="addition_cancel"),
]
