"""Pages: opportunities, their lines, and what they are converted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements.queries import agreement_types
from counterfoil.catalog.models import ProductClass
from counterfoil.companies.queries import billing_terms, sellable_companies
from counterfoil.core.errors import DomainError
from counterfoil.flows.conversion import ORDERED, convert_to_agreement, convert_to_sales_order
from counterfoil.quotes import commands, queries
from counterfoil.quotes.models import Opportunity, OpportunityStatus, QuoteLine
from counterfoil.tax.queries import tax_codes
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    CYCLES,
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    PageForm,
    PriceField,
    ProductField,
    QuantityField,
    asked_id,
    form_page,
    may,
    posted,
    require,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import address_of, side_of
from counterfoil.web.views.waiting import waits_of

CRUMBS: Final = (("Sell", "/opportunities/"), ("Opportunities", "/opportunities/"))

OPPORTUNITIES = ListSpec(
    name="Opportunities",
    columns=(
        Column("number", "Number", kind="key"),
        Column("name", "Name", sort="name", card="note"),
        Column("company", "Company", "company.name", sort="company__name", card="note"),
        Column("status", "State", kind="state", sort="status", card="note"),
        Column("expected_close", "Expected", kind="date", sort="expected_close"),
        Column("unconverted", "Lines to convert", "unconverted_count", kind="quantity", sort="unconverted_count"),
        Column("monthly", "A month", lambda o: _worth(o)[0], kind="money"),
        Column("value", "Value", lambda o: _worth(o)[1], kind="money", card="figure"),
    ),
    chips=(Chips("status", OpportunityStatus.choices),),
    sort="-number",
    url=lambda opportunity: reverse("web:opportunity", args=[opportunity.pk]),
    placeholder="Number, name or company",
)


def _worth(opportunity: Any) -> tuple[Decimal, Decimal]:
    """What it brings a month, and once and over its term; worked out once for each row."""
    if not hasattr(opportunity, "worth"):
        totals = queries.totals_of(opportunity.lines.all())
        opportunity.worth = (totals.monthly_revenue, totals.revenue)
    worth: tuple[Decimal, Decimal] = opportunity.worth
    return worth


class OpportunityForm(PageForm):
    """What a deal is about."""

    rows = (("company_id", "name"), ("expected_close", "customer_po"))

    company_id = CompanyField(label="Company")
    name = forms.CharField(label="Name", max_length=100, help_text="Such as “Rack server lease”.")
    expected_close = DayField(label="Expected close", required=False)
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)
    notes = forms.CharField(label="Notes", required=False, widget=forms.Textarea(attrs={"rows": 2}))


class QuoteLineForm(LineForm):
    """A product quoted; what is left empty comes from the catalog."""

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
    unit_cost = PriceField(label="Unit cost", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_cost"}))
    unit_price = PriceField(
        label="Unit price", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_price"})
    )
    billing_cycle = forms.ChoiceField(
        label="Billed",
        choices=[("", "Once"), *CYCLES],
        required=False,
        widget=forms.Select(attrs={"data-fill": "billing_cycle"}),
    )
    cycles = forms.IntegerField(
        label="Times",
        required=False,
        min_value=1,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "placeholder": "open", "class": "is-short"}),
    )
    start_date = DayField(label="First day", required=False)


def opportunities(request: HttpRequest) -> HttpResponse:
    """All deals."""
    rows = queries.opportunities(search=search_of(request)).prefetch_related("lines")
    return show_list(
        request,
        OPPORTUNITIES,
        rows,
        "web/sell/opportunities.html",
        {"may": may(request, add=commands.create_opportunity)},
    )


def new(request: HttpRequest) -> HttpResponse:
    """A new deal with its lines."""
    form = OpportunityForm(posted(request), initial={"company_id": asked_id(request, "company")})
    lines = LineEditor(
        request, QuoteLineForm, title="Lines", blank=2,
        note="Cost, price and recurrence come from the catalog unless you write others",
    )  # fmt: skip
    return form_page(
        request,
        commands.create_opportunity,
        form,
        lambda: commands.create_opportunity(
            actor=actor_of(request),
            lines=[commands.QuoteLineInput(**line) for line in lines.given()],
            **form.given(),
        ),
        Deed(
            title="New opportunity",
            button="Make the opportunity",
            back=reverse("web:opportunities"),
            then=lambda made: reverse("web:opportunity", args=[made.pk]),
            said=lambda made: f"{made.number} was made.",
            crumbs=CRUMBS,
        ),
        lines=lines,
    )


def _find(pk: int) -> Opportunity:
    found = queries.opportunity(pk)
    if found is None:
        raise Http404
    return found


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A deal: lines, what they are worth, what has been converted."""
    opportunity = _find(pk)
    rows = queries.line_rows(pk)
    open_rows = [row for row in rows if row.conversion is None]
    can = may(
        request,
        edit=commands.update_opportunity,
        agree=convert_to_agreement,
        order=convert_to_sales_order,
        lose=commands.lose_opportunity,
        quote=commands.create_quote,
    )
    totals = queries.totals_of([row.line for row in rows])
    # Without an end in sight, what counts is the month.
    value = (
        ("Every month", totals.monthly_revenue)
        if totals.open_ended and not totals.revenue
        else ("Value", totals.revenue)
    )
    is_lost = opportunity.status == OpportunityStatus.LOST
    context = {
        "opportunity": opportunity,
        "rows": [(row, address_of(*_target(row))) for row in rows],
        "totals": totals,
        "value_label": value[0],
        "value": value[1],
        "remaining": queries.totals_of([row.line for row in open_rows]),
        "open_count": len(open_rows),
        "quotes": list(queries.quotes(opportunity_id=pk)),
        "can_agree": can["agree"] and not is_lost and any(_is_agreed(row.line) for row in open_rows),
        "can_order": can["order"] and not is_lost and any(_is_ordered(row.line) for row in open_rows),
        "may": can,
        **(waits_of(request, opportunity_id=pk) if open_rows else {}),
        **side_of(opportunity),
    }
    return render(request, "web/sell/opportunity.html", context)


def _target(row: queries.QuoteLineRow) -> tuple[str, int | None]:
    if row.conversion is None:
        return "", None
    label = {"agreement": "agreements.agreement", "sales_order": "orders.salesorder"}.get(row.conversion.target, "")
    return label, row.conversion.target_id if label else None


def _is_agreed(line: QuoteLine) -> bool:
    return line.product.product_class == ProductClass.AGREEMENT


def _is_ordered(line: QuoteLine) -> bool:
    return line.product.product_class in ORDERED


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what a deal is about."""
    opportunity = _find(pk)
    form = OpportunityForm(
        posted(request),
        initial={name: getattr(opportunity, name) for name in ("name", "expected_close", "customer_po", "notes")},
    )
    del form.fields["company_id"]
    return form_page(
        request,
        commands.update_opportunity,
        form,
        lambda: commands.update_opportunity(actor=actor_of(request), opportunity_id=pk, **form.given()),
        _deed(opportunity, "Change", "Save", "was changed"),
    )


def _deed(opportunity: Opportunity, title: str, button: str, said: str) -> Deed:
    here = reverse("web:opportunity", args=[opportunity.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: f"{opportunity.number} {said}.",
        crumbs=(*CRUMBS[1:], (opportunity.number, here)),
    )


class OneLineForm(QuoteLineForm, PageForm):
    """A line on a page of its own."""

    rows = (("quantity", "unit_cost", "unit_price"), ("billing_cycle", "cycles", "start_date"))


def line_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a line."""
    opportunity = _find(pk)
    form = OneLineForm(posted(request))

    def add() -> QuoteLine:
        line = commands.QuoteLineInput(**LineForm.given(form))
        return commands.add_quote_line(actor=actor_of(request), opportunity_id=pk, line=line)

    return form_page(
        request, commands.add_quote_line, form, add, _deed(opportunity, "Add a line", "Add the line", "has a new line")
    )


def line_edit(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Change a line that has not been converted."""
    opportunity = _find(pk)
    line = queries.lines(pk).filter(pk=line_id).first()
    if line is None:
        raise Http404
    names = ("description", "quantity", "unit_cost", "unit_price", "billing_cycle", "cycles", "start_date")
    form = OneLineForm(posted(request), initial={name: getattr(line, name) for name in names})
    del form.fields["product_id"]
    for name in ("description", "quantity", "unit_cost", "unit_price"):
        form.fields[name].required = True

    def change() -> QuoteLine:
        return commands.update_quote_line(actor=actor_of(request), line_id=line_id, **form.given())

    deed = _deed(opportunity, f"Change {line.product.identifier}", "Save the line", "was changed")
    return form_page(request, commands.update_quote_line, form, change, deed)


@require_POST
def line_remove(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Take a line out."""
    return run_deed(
        request,
        lambda: commands.remove_quote_line(actor=actor_of(request), line_id=line_id),
        then=reverse("web:opportunity", args=[pk]),
        said="The line was removed.",
    )


# -- conversion --------------------------------------------------------------------------------------------------------


class ConversionForm(PageForm):
    """Who is billed, and how. What is left empty comes from the lines and the company."""

    bill_to_id = ChoiceOf(label="Bill to", required=False, empty="The company's own bill-to")
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="That of the site or company")
    terms_id = ChoiceOf(label="Terms", required=False, empty="Those of the bill-to")

    def offer(self, **more: Sequence[Any]) -> None:
        """Fill the choices."""
        choices: dict[str, Sequence[Any]] = {
            "bill_to_id": list(sellable_companies()),
            "tax_code_id": list(tax_codes(active=True)),
            "terms_id": list(billing_terms()),
            **more,
        }
        for name, records in choices.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]


class AgreementConversionForm(ConversionForm):
    """How the agreement is made."""

    rows = (
        ("agreement_type_id", "name"),
        ("start_date", "first_billing_date", "end_date"),
        ("tax_code_id", "terms_id"),
    )
    field_order = ("agreement_type_id", "name", "start_date")

    agreement_type_id = ChoiceOf(label="Agreement type")
    name = forms.CharField(label="Name", max_length=100, help_text="Prints on the invoice.")
    start_date = DayField(label="Start")
    first_billing_date = DayField(label="First billing date", help_text="Cycles are counted from here.")
    end_date = DayField(label="Last day", required=False, help_text="Empty: from the lines' number of cycles.")


class OrderConversionForm(ConversionForm):
    """How the sales order is made."""

    rows = (("on", "bill_to_id"), ("tax_code_id", "terms_id"))
    field_order = ("on",)

    on = DayField(label="Order date")


def _choices(request: HttpRequest, rows: tuple[queries.QuoteLineRow, ...], fits: Any, why: str) -> list[dict[str, Any]]:
    """The lines to tick: those that fit are ticked, the others say why they cannot be."""
    sent = set(request.POST.getlist("line_ids")) if request.method == "POST" else None
    choices = []
    for row in rows:
        reason = ""
        if row.conversion is not None:
            reason = f"Converted to {row.conversion.target_number}"
        elif not fits(row.line):
            reason = why.format(product_class=row.line.product.get_product_class_display())
        ticked = not reason and (sent is None or str(row.line.pk) in sent)
        choices.append({"row": row, "reason": reason, "ticked": ticked})
    return choices


def convert_agreement(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose the lines that become an agreement."""
    opportunity, rows = _find(pk), queries.line_rows(pk)
    choices = _choices(request, rows, _is_agreed, "{product_class}: convert it to a sales order")
    starts = [row.line.start_date for row in rows if row.line.start_date and row.conversion is None]
    first = min(starts, default=today())
    form = AgreementConversionForm(
        posted(request), initial={"name": opportunity.name, "start_date": first, "first_billing_date": first}
    )
    form.offer(agreement_type_id=list(agreement_types()))
    deed = replace(
        _deed(opportunity, f"Convert {opportunity.number} to an agreement", "Make the agreement", ""),
        then=lambda made: reverse("web:agreement", args=[made.pk]),
        said=lambda made: f"{made.number} was made of {opportunity.number}.",
    )
    return form_page(
        request,
        convert_to_agreement,
        form,
        lambda: convert_to_agreement(
            actor=actor_of(request), opportunity_id=pk, line_ids=_ticked(request, rows), on=today(), **form.given()
        ),
        deed,
        template="web/sell/convert.html",
        context={"choices": choices, "opportunity": opportunity},
    )


def convert_order(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose the lines that become a sales order."""
    opportunity, rows = _find(pk), queries.line_rows(pk)
    choices = _choices(request, rows, _is_ordered, "{product_class}: convert it to an agreement")
    form = OrderConversionForm(posted(request), initial={"on": today()})
    form.offer()
    deed = replace(
        _deed(opportunity, f"Convert {opportunity.number} to a sales order", "Make the sales order", ""),
        then=lambda made: reverse("web:sales_order", args=[made.pk]),
        said=lambda made: f"{made.number} was made of {opportunity.number}.",
    )
    return form_page(
        request,
        convert_to_sales_order,
        form,
        lambda: convert_to_sales_order(
            actor=actor_of(request), opportunity_id=pk, line_ids=_ticked(request, rows), **form.given()
        ),
        deed,
        template="web/sell/convert.html",
        context={"choices": choices, "opportunity": opportunity},
    )


def _ticked(request: HttpRequest, rows: tuple[queries.QuoteLineRow, ...]) -> list[int]:
    known = {str(row.line.pk): row.line.pk for row in rows}
    sent = request.POST.getlist("line_ids")
    if unknown := [value for value in sent if value not in known]:
        raise DomainError("not_found", f"There is no line {unknown[0]} on this opportunity.", field="line_ids")
    return [known[value] for value in sent]


# -- won and lost ------------------------------------------------------------------------------------------------------


@require_POST
def win(request: HttpRequest, pk: int) -> HttpResponse:
    """The deal was won."""
    return run_deed(
        request,
        lambda: commands.win_opportunity(actor=actor_of(request), opportunity_id=pk),
        then=reverse("web:opportunity", args=[pk]),
        said=lambda won: f"{won.number} is won.",
    )


class LoseForm(PageForm):
    """Why a deal was lost."""

    reason = forms.CharField(label="Reason", required=False, max_length=100)


def lose(request: HttpRequest, pk: int) -> HttpResponse:
    """The deal was lost."""
    opportunity = _find(pk)
    form = LoseForm(posted(request))
    return form_page(
        request,
        commands.lose_opportunity,
        form,
        lambda: commands.lose_opportunity(actor=actor_of(request), opportunity_id=pk, **form.given()),
        _deed(opportunity, f"{opportunity.number} was lost", "Mark as lost", "is lost"),
    )


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """A lost deal is talked about again."""
    require(request, commands.reopen_opportunity)
    return run_deed(
        request,
        lambda: commands.reopen_opportunity(actor=actor_of(request), opportunity_id=pk),
        then=reverse("web:opportunity", args=[pk]),
        said=lambda opportunity: f"{opportunity.number} is open again.",
    )


urlpatterns = [
    path("opportunities/", opportunities, name="opportunities"),
    path("opportunities/new/", new, name="opportunity_new"),
    path("opportunities/<int:pk>/", detail, name="opportunity"),
    path("opportunities/<int:pk>/edit/", edit, name="opportunity_edit"),
    path("opportunities/<int:pk>/lines/new/", line_new, name="quote_line_new"),
    path("opportunities/<int:pk>/lines/<int:line_id>/", line_edit, name="quote_line"),
    path("opportunities/<int:pk>/lines/<int:line_id>/remove/", line_remove, name="quote_line_remove"),
    path("opportunities/<int:pk>/agreement/", convert_agreement, name="convert_to_agreement"),
    path("opportunities/<int:pk>/order/", convert_order, name="convert_to_sales_order"),
    path("opportunities/<int:pk>/win/", win, name="opportunity_win"),
    path("opportunities/<int:pk>/lose/", lose, name="opportunity_lose"),
    path("opportunities/<int:pk>/reopen/", reopen, name="opportunity_reopen"),
]
