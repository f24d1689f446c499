"""Pages: what can be capitalised, and capitalising it with a preview of its schedule."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET

from counterfoil.agreements.models import Agreement
from counterfoil.assets import commands, queries
from counterfoil.assets.books import Depreciation, terms_of
from counterfoil.assets.models import AssetCategory
from counterfoil.assets.sources import cost_in_cogs
from counterfoil.billing.models import InvoiceLine
from counterfoil.core.depreciation import Method, YearLine, schedule, yearly
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, format_money, parse_money, parse_quantity, sum_money
from counterfoil.inventory.queries import shipped_not_relieved, unrelieved
from counterfoil.orders.models import SalesOrderLine
from counterfoil.platform.lookup import existing
from counterfoil.platform.records import plain_number
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    DayField,
    Deed,
    MoneyField,
    PageForm,
    QuantityField,
    form_page,
    posted,
    require,
)
from counterfoil.web.views.assets import (
    ASSETS_CRUMB,
    CONVENTION_NAMES,
    METHOD_NAMES,
    asset_rights,
    period_name,
    plot_of,
)


@require_GET
def candidates(request: HttpRequest) -> HttpResponse:
    """What can be capitalised: cost-only invoice lines in the books, and shipped stock."""
    context = {
        "invoice_lines": queries.invoice_lines_to_capitalise(),
        "shipped": shipped_not_relieved(),
        "may": asset_rights(request),
    }
    return render(request, "web/assets/candidates.html", context)


class CapitaliseForm(PageForm):
    """How an asset is entered in the books; what is left empty is as usual for its category."""

    rows = (
        ("category_id", "agreement_id"),
        ("on", "in_service_date", "quantity"),
        ("method", "convention"),
        ("life_months", "salvage", "total_units"),
    )

    category_id = ChoiceOf(label="Category")
    agreement_id = ChoiceOf(
        label="Agreement", required=False, empty="Of the same opportunity", help_text="Earns its cost back."
    )
    description = forms.CharField(label="Description", max_length=200, required=False)
    on = DayField(label="Date of the entry")
    in_service_date = DayField(label="In service from")
    quantity = QuantityField(label="Quantity", required=False)
    method = forms.ChoiceField(
        label="Method",
        required=False,
        choices=[("", "As the category"), *((m.value, name) for m, name in METHOD_NAMES.items())],
    )
    convention = forms.ChoiceField(
        label="Convention",
        required=False,
        choices=[("", "As the category"), *((c.value, name) for c, name in CONVENTION_NAMES.items())],
    )
    life_months = forms.IntegerField(label="Life in months", required=False, min_value=1, max_value=1200)
    salvage = MoneyField(label="Salvage value", required=False, help_text="What it is worth at the end.")
    total_units = QuantityField(label="Units expected in all", required=False, help_text="For units of use.")
    tax_book = forms.BooleanField(
        label="Keep a US tax book as well (MACRS, 5-year property, half-year)", required=False
    )

    def __init__(self, *args: Any, company_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["category_id"].offer(queries.categories())  # type: ignore[attr-defined]
        agreements = Agreement.objects.filter(company=company_id).order_by("number")
        self.fields["agreement_id"].offer(agreements, lambda each: f"{each.number} {each.name}")  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """What was entered, by argument of the command; what is empty is left to the command."""
        given = {name: value for name, value in self.cleaned_data.items() if value not in (None, "")}
        given["tax_book"] = commands.MACRS_5 if given.get("tax_book") else None
        return given


def _capitalising() -> Deed:
    return Deed(
        title="Capitalise",
        button="Capitalise",
        back=reverse("web:assets_to_capitalise"),
        then=lambda done: reverse("web:asset", args=[done.pk]),
        said=lambda done: f"{done.number} is in the books with {format_money(done.cost)}.",
        crumbs=(ASSETS_CRUMB, ("To capitalise", reverse("web:assets_to_capitalise"))),
    )


def capitalise_invoice_line(request: HttpRequest, pk: int) -> HttpResponse:
    """Capitalise a line of a cost-only invoice: out of cost of goods sold."""
    require(request, commands.capitalise_from_invoice_line)
    line = existing(InvoiceLine.objects.select_related("invoice__company", "product", "order_line__order"), pk)
    source = cost_in_cogs(line)
    form = CapitaliseForm(
        posted(request),
        company_id=line.invoice.company_id,
        initial={"on": source.booked_on, "in_service_date": source.booked_on, "description": line.description},
    )
    del form.fields["quantity"]
    context = {
        "cost": source.amount,
        "available": line.quantity,
        "what": line.description,
        "where": f"{line.invoice}, at {line.invoice.company.name}",
        "explanation": f"Debits the fixed asset and credits {source.account}, where the invoice booked the cost.",
    }
    return form_page(
        request,
        commands.capitalise_from_invoice_line,
        form,
        lambda: commands.capitalise_from_invoice_line(actor=actor_of(request), invoice_line_id=pk, **form.given()),
        _capitalising(),
        template="web/assets/capitalise.html",
        context=context,
    )


def capitalise_order_line(request: HttpRequest, pk: int) -> HttpResponse:
    """Capitalise shipped stock of a sales order line: straight out of inventory."""
    require(request, commands.capitalise_from_stock)
    line = existing(SalesOrderLine.objects.select_related("order__company", "product"), pk)
    rest = unrelieved([line])[pk]
    form = CapitaliseForm(
        posted(request),
        company_id=line.order.company_id,
        initial={
            "on": today(),
            "in_service_date": today(),
            "description": line.description,
            "quantity": rest.quantity,
        },
    )
    context = {
        "cost": rest.cost,
        "available": rest.quantity,
        "what": line.description,
        "where": f"{line.order}, at {line.order.company.name}",
        "explanation": "Debits the fixed asset and credits inventory, with no detour through cost of goods sold.",
    }
    return form_page(
        request,
        commands.capitalise_from_stock,
        form,
        lambda: commands.capitalise_from_stock(actor=actor_of(request), order_line_id=pk, **form.given()),
        _capitalising(),
        template="web/assets/capitalise.html",
        context=context,
    )


@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """The schedule that an asset would get, as a part of the form's page; nothing is written."""
    form = CapitaliseForm(request.GET, company_id=0)
    for name in ("agreement_id", "on", "description"):
        del form.fields[name]
    context: dict[str, Any] = {}
    try:
        cost = parse_money(request.GET.get("cost", ""), "cost")
        available = parse_quantity(request.GET.get("available", ""), "quantity")
        if form.is_valid():
            context = _previewed(form, _share(cost, available, form.cleaned_data["quantity"]))
        else:
            context = {"waits": "The schedule appears when the form is filled in."}
    except DomainError as refusal:
        context = {"waits": " ".join(part for part in (refusal.message, refusal.hint) if part)}
    return render(request, "web/assets/preview.html", context)


def _share(cost: Decimal, available: Decimal, quantity: Decimal | None) -> Decimal:
    """What ``quantity`` of the ``available`` units cost, as the command shares it out.

    Raises:
        DomainError: ``invalid`` for more than there are, or none.
    """
    if quantity is None:
        return cost
    if not 0 < quantity <= available:
        raise DomainError("invalid", f"There are {plain_number(available)} to capitalise.", field="quantity")
    return allocate(cost, [quantity, available - quantity])[0]


def _previewed(form: CapitaliseForm, cost: Decimal) -> dict[str, Any]:
    given = form.cleaned_data
    category = existing(AssetCategory.objects.all(), given["category_id"], "category_id")
    how = Depreciation(
        given["method"] or None, given["convention"] or None, given["life_months"], given["salvage"] or ZERO
    )
    terms = terms_of(how, category, cost, given["in_service_date"])
    if terms.method is Method.UNITS_OF_USE:
        return {"waits": "Units of use has no schedule ahead: each month follows the units you record."}
    lines = schedule(terms)
    years: tuple[YearLine, ...] = yearly(lines)
    return {
        "years": years,
        "first": lines[0],
        "last": lines[-1],
        "first_name": period_name(lines[0]),
        "last_name": period_name(lines[-1]),
        "terms": ", ".join(
            (METHOD_NAMES[terms.method], CONVENTION_NAMES[terms.convention].lower(), f"{terms.life_months} months")
        ),
        "total": sum_money(line.amount for line in lines),
        "plot": plot_of(cost, lines),
    }


urlpatterns: list[URLPattern] = [
    path("assets/to-capitalise/", candidates, name="assets_to_capitalise"),
    path("assets/to-capitalise/invoice-line/<int:pk>/", capitalise_invoice_line, name="capitalise_invoice_line"),
    path("assets/to-capitalise/order-line/<int:pk>/", capitalise_order_line, name="capitalise_order_line"),
    path("assets/to-capitalise/preview/", preview, name="schedule_preview"),
]
