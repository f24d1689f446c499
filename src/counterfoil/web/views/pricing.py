"""Pages: price models with their calculator, pricing schedules, commitment rules."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse

from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import PriceMethod, PriceModel, PriceModelKind, Refund, SeatsDown
from counterfoil.catalog.pricing import break_words
from counterfoil.companies.queries import companies
from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_quantity
from counterfoil.core.pricing import price_of
from counterfoil.core.pricing.curve import curve
from counterfoil.platform.audit import trail_of
from counterfoil.platform.records import plain_number
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import (
    ChoiceOf,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    PageForm,
    PriceField,
    ProductField,
    QuantityField,
    form_page,
    may,
    posted,
)
from counterfoil.web.lists import Chips, Column, ListSpec, show_list
from counterfoil.web.parts import as_lines
from counterfoil.web.terms import BILLINGS, TERMS, TermField
from counterfoil.web.views.offers import OfferField

_ACTIVE: Final = (Chips("active", (("True", "Active"), ("False", "Inactive"))),)

# -- price models ------------------------------------------------------------------------------------------------------

PRICE_MODELS: Final = ListSpec(
    name="Price models",
    columns=(
        Column("name", "Price model", kind="key"),
        Column("kind", "Kind", lambda model: model.get_kind_display().partition(":")[0], sort="kind", card="note"),
        Column("tiers", "Tiers", lambda model: len(model.tiers.all()), kind="quantity", card="figure"),
        Column("offer_count", "Offers", kind="quantity", sort="offer_count", card="figure"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=_ACTIVE,
    sort="name",
    url=lambda model: reverse("web:price_model", args=[model.pk]),
)


class PriceModelForm(PageForm):
    """How a price follows from a quantity."""

    rows = (("name", "kind"), ("included_quantity", "minimum_quantity"), ("minimum_amount", "package_size"))

    name = forms.CharField(label="Name", max_length=60)
    kind = forms.ChoiceField(label="Kind", choices=PriceModelKind.choices)
    included_quantity = QuantityField(label="Included", required=False, help_text="Not billed.")
    minimum_quantity = QuantityField(label="Billed at least", required=False, help_text="Units.")
    minimum_amount = PriceField(label="At least", required=False, help_text="The price is never less.")
    package_size = QuantityField(label="Units in a package", required=False)
    active = forms.BooleanField(label="Active", required=False, initial=True)

    def given(self) -> dict[str, Any]:
        """What was entered; an empty number is the command's own."""
        return {name: value for name, value in super().given().items() if value is not None}


class TierForm(LineForm):
    """A range of quantities."""

    up_to = QuantityField(label="Up to and with", required=False)
    unit_price = PriceField(label="Price of one", required=False)
    flat_amount = PriceField(label="Once", required=False)


def price_models(request: HttpRequest) -> HttpResponse:
    """The price models."""
    can = may(request, add=commands.create_price_model)
    return show_list(request, PRICE_MODELS, queries.price_models(), "web/catalog/price_models.html", {"may": can})


def _tier_lines(request: HttpRequest, model: PriceModel | None) -> LineEditor:
    initial = [
        {"up_to": tier.up_to, "unit_price": tier.unit_price, "flat_amount": tier.flat_amount}
        for tier in (model.tiers.all() if model else ())
    ]
    return LineEditor(
        request, TierForm, title="Tiers", add="Add a tier", initial=initial, blank=0 if initial else 3, required=True,
        note="in ascending order; the last one may be without an end. Of a percentage, 0.02 is 2 %",
    )  # fmt: skip


def _tiers(lines: LineEditor) -> list[commands.PriceTierInput]:
    return [commands.PriceTierInput(**line) for line in lines.given()]


def _model_deed(title: str, button: str) -> Deed:
    return Deed(
        title=title,
        button=button,
        back=reverse("web:price_models"),
        then=lambda made: reverse("web:price_model", args=[made.pk]),
        said=lambda made: f"{made.name} was saved.",
        crumbs=(("Price models", reverse("web:price_models")),),
    )


def price_model_new(request: HttpRequest) -> HttpResponse:
    """A new price model."""
    form, lines = PriceModelForm(posted(request)), _tier_lines(request, None)
    del form.fields["active"]

    def make() -> object:
        with as_lines("tiers"):
            return commands.create_price_model(actor=actor_of(request), tiers=_tiers(lines), **form.given())

    deed = _model_deed("New price model", "Make the price model")
    return form_page(request, commands.create_price_model, form, make, deed, lines=lines)


def _price_model(pk: int) -> PriceModel:
    found = queries.price_models().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def price_model(request: HttpRequest, pk: int) -> HttpResponse:
    """A price model: what so many cost, and a picture; who may change it does so here."""
    found = _price_model(pk)
    form = PriceModelForm(posted(request), initial={name: getattr(found, name) for name in PriceModelForm.base_fields})
    lines = _tier_lines(request, found)

    def save() -> object:
        with as_lines("tiers"):
            return commands.update_price_model(
                actor=actor_of(request), price_model_id=pk, tiers=_tiers(lines), **form.given()
            )

    context = {"model": found, "trail": trail_of(found)[:12], "plots": _plots(found), **_priced(request, found)}
    if not may(request, change=commands.update_price_model)["change"]:
        return render(request, "web/catalog/price_model.html", context)
    return form_page(
        request, commands.update_price_model, form, save, _model_deed(found.name, "Save"), lines=lines,
        template="web/catalog/price_model_form.html", context=context,
    )  # fmt: skip


def price_model_price(request: HttpRequest, pk: int) -> HttpResponse:
    """What a quantity costs, for the calculator."""
    return render(request, "web/catalog/price_result.html", _priced(request, _price_model(pk)))


def _priced(request: HttpRequest, model: PriceModel) -> dict[str, Any]:
    """The calculator's answer, or why there is none."""
    asked = request.GET.get("quantity", "17")
    try:
        return {"asked": asked, "priced": price_of(queries.tier_model(model), parse_quantity(asked, "quantity"))}
    except DomainError as error:
        return {"asked": asked, "priced": None, "why_not": error}


def _plots(model: PriceModel) -> dict[str, Any]:
    """Price and unit price by quantity."""
    points = curve(queries.tier_model(model))
    labels = [plain_number(quantity) for quantity, _ in points]

    def plot(label: str, values: list[str], colour: str) -> dict[str, Any]:
        series = {"key": "price", "label": label, "values": values, "style": "line", "colour": colour}
        return {"labels": labels, "kind": "line", "stacked": False, "series": [series]}

    return {
        "amount": plot("Price", [str(priced.amount) for _, priced in points], "plot-1"),
        "each": plot("Price of one", [str(priced.unit_price) for _, priced in points], "plot-2"),
    }


# -- pricing schedules -------------------------------------------------------------------------------------------------

SCHEDULES: Final = ListSpec(
    name="Pricing schedules",
    columns=(
        Column("name", "Pricing schedule", kind="key"),
        Column("whom", "For", lambda row: _whom(row), card="note"),
        Column("breaks", "Prices", lambda row: "; ".join(break_words(each) for each in row.breaks.all()), card="wide"),
        Column("start_date", "From", kind="date", sort="start_date"),
        Column("end_date", "To", kind="date", sort="end_date"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=_ACTIVE,
    sort="name",
    url=lambda row: reverse("web:pricing_schedule", args=[row.pk]),
)


def _whom(schedule: Any) -> str:
    if schedule.for_all_companies:
        return "All companies"
    return ", ".join(row.company.name for row in schedule.companies.all()) or "Nobody yet"


class ScheduleForm(PageForm):
    """Prices for some companies, or for all."""

    rows = (("name", "start_date", "end_date"),)

    name = forms.CharField(label="Name", max_length=60)
    start_date = DayField(label="From", required=False)
    end_date = DayField(label="To", required=False, help_text="Last day.")
    for_all_companies = forms.BooleanField(label="For all companies, where they have no schedule", required=False)
    company_ids = forms.TypedMultipleChoiceField(
        label="For these companies", coerce=int, required=False, widget=forms.SelectMultiple(attrs={"size": 6})
    )
    active = forms.BooleanField(label="Active", required=False, initial=True)

    def offer(self, kept: Collection[int] = ()) -> None:
        """Fill the choices: active customers, and whom the schedule is for already."""
        self.fields["company_ids"].choices = [  # type: ignore[attr-defined]
            (company.pk, company.name)
            for company in companies()
            if company.pk in kept or (company.active and company.is_customer)
        ]


class BreakForm(LineForm):
    """A price of a schedule."""

    product_id = ProductField(label="Product", required=False)
    offer_id = OfferField(label="or offer", required=False)
    category_id = ChoiceOf(label="or category", required=False, empty="Any")
    from_quantity = QuantityField(label="From", required=False)
    method = forms.ChoiceField(label="How", choices=[("", "Choose …"), *PriceMethod.choices], required=False)
    value = PriceField(label="Value", required=False)
    start_date = DayField(label="First day", required=False)
    end_date = DayField(label="Last day", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["category_id"].offer(queries.categories())  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A line says how a price is found, and with which value."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if any(value not in (None, "") for value in given.values()):
            for name in ("method", "value"):
                if given.get(name) in (None, "") and name not in self.errors:
                    self.add_error(name, "Enter it.")
        return given


def pricing_schedules(request: HttpRequest) -> HttpResponse:
    """The pricing schedules."""
    can = may(request, add=commands.create_pricing_schedule)
    return show_list(request, SCHEDULES, queries.pricing_schedules(), "web/catalog/schedules.html", {"may": can})


def _break_lines(request: HttpRequest, schedule: Any) -> LineEditor:
    names = (*BreakForm.base_fields,)
    initial = [{name: getattr(row, name) for name in names} for row in (schedule.breaks.all() if schedule else ())]
    return LineEditor(
        request, BreakForm, title="Prices", add="Add a price", initial=initial, blank=0 if initial else 3,
        note="for one of product, offer and category; none of them: for everything. The most particular one counts",
    )  # fmt: skip


def _breaks(lines: LineEditor) -> list[commands.PricingBreakInput]:
    return [commands.PricingBreakInput(**line) for line in lines.given()]


def _schedule_deed(title: str, button: str) -> Deed:
    here = reverse("web:pricing_schedules")
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.name} was saved.",
        crumbs=(("Pricing schedules", here),),
        intro="The schedules of a company go before the one for all companies; both before the offer and the product.",
    )


def pricing_schedule_new(request: HttpRequest) -> HttpResponse:
    """A new pricing schedule."""
    form, lines = ScheduleForm(posted(request)), _break_lines(request, None)
    form.offer()
    del form.fields["active"]

    def make() -> object:
        with as_lines("breaks"):
            return commands.create_pricing_schedule(actor=actor_of(request), breaks=_breaks(lines), **form.given())

    deed = _schedule_deed("New pricing schedule", "Make the schedule")
    return form_page(request, commands.create_pricing_schedule, form, make, deed, lines=lines)


def pricing_schedule(request: HttpRequest, pk: int) -> HttpResponse:
    """A pricing schedule."""
    found = queries.pricing_schedules().filter(pk=pk).first()
    if found is None:
        raise Http404
    initial = {name: getattr(found, name) for name in ("name", "start_date", "end_date", "for_all_companies", "active")}
    initial["company_ids"] = [row.company_id for row in found.companies.all()]
    form, lines = ScheduleForm(posted(request), initial=initial), _break_lines(request, found)
    form.offer(initial["company_ids"])

    def save() -> object:
        with as_lines("breaks"):
            return commands.update_pricing_schedule(
                actor=actor_of(request), pricing_schedule_id=pk, breaks=_breaks(lines), **form.given()
            )

    return form_page(
        request, commands.update_pricing_schedule, form, save, _schedule_deed(found.name, "Save"), lines=lines,
        template="web/catalog/setup_form.html", context={"trail": trail_of(found)[:12]},
    )  # fmt: skip


# -- commitment rules --------------------------------------------------------------------------------------------------

RULES: Final = ListSpec(
    name="Commitment rules",
    columns=(
        Column("name", "Commitment rule", kind="key", note="description"),
        Column("cancellation_hours", "Window, h", kind="quantity", sort="cancellation_hours", card="figure"),
        Column("refund", "Refund", "get_refund_display", sort="refund"),
        Column("seats_down", "Seats go down", "get_seats_down_display", sort="seats_down", card="note"),
        Column("may_coterm", "Co-terms", kind="yes", sort="may_coterm"),
        Column("offer_count", "Offers", kind="quantity", sort="offer_count", card="figure"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=_ACTIVE,
    sort="name",
    url=lambda rule: reverse("web:commitment_rule", args=[rule.pk]),
)


class RuleForm(PageForm):
    """What a vendor's term binds to."""

    rows = (("cancellation_hours", "refund"), ("seats_down", "notice_days"))

    name = forms.CharField(label="Name", max_length=60)
    description = forms.CharField(label="In words", required=False, widget=forms.Textarea(attrs={"rows": 2}))
    cancellation_hours = forms.IntegerField(
        label="Cancellation window, hours", min_value=0, max_value=87600, initial=168,
        help_text="From each purchase and renewal on; 0: never.",
    )  # fmt: skip
    refund = forms.ChoiceField(label="Given back then", choices=Refund.choices)
    seats_down = forms.ChoiceField(label="Seats may go down", choices=SeatsDown.choices, initial=SeatsDown.WINDOW)
    notice_days = forms.IntegerField(
        label="Notice, days", min_value=0, max_value=365, initial=1, help_text="Before a renewal."
    )
    may_coterm = forms.BooleanField(label="Its end can be aligned to another's", required=False, initial=True)
    active = forms.BooleanField(label="Active", required=False, initial=True)


class UpliftForm(LineForm):
    """A way of buying, and what it costs more."""

    term = TermField(TERMS, length=True, label="Term")
    billing_cycle = TermField(BILLINGS, length=False, label="Billed")
    percent = PriceField(label="More than the base price", unit="%", required=False)
    effective_from = DayField(label="From", required=False)


def commitment_rules(request: HttpRequest) -> HttpResponse:
    """The commitment rules."""
    can = may(request, add=commands.create_commitment_rule)
    return show_list(request, RULES, queries.commitment_rules(), "web/catalog/rules.html", {"may": can})


def _uplift_lines(request: HttpRequest, rule: Any) -> LineEditor:
    initial = [
        {name: getattr(row, name) for name in UpliftForm.base_fields} for row in (rule.uplifts.all() if rule else ())
    ]
    return LineEditor(
        request, UpliftForm, title="Terms and uplifts", add="Add a term", initial=initial, blank=0 if initial else 3,
        note="0 % is the base price; of one term and billing the row counts that took effect last",
    )  # fmt: skip


def _uplifts(lines: LineEditor) -> list[commands.UpliftInput]:
    return [commands.UpliftInput(**{"term": "", "billing_cycle": "", **line}) for line in lines.given()]


def _rule_deed(title: str, button: str) -> Deed:
    here = reverse("web:commitment_rules")
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.name} was saved.",
        crumbs=(("Commitment rules", here),),
    )


def commitment_rule_new(request: HttpRequest) -> HttpResponse:
    """A new commitment rule."""
    form, lines = RuleForm(posted(request)), _uplift_lines(request, None)
    del form.fields["active"]

    def make() -> object:
        with as_lines("uplifts"):
            return commands.create_commitment_rule(actor=actor_of(request), uplifts=_uplifts(lines), **form.given())

    deed = _rule_deed("New commitment rule", "Make the rule")
    return form_page(request, commands.create_commitment_rule, form, make, deed, lines=lines)


def commitment_rule(request: HttpRequest, pk: int) -> HttpResponse:
    """A commitment rule."""
    found = queries.commitment_rules().filter(pk=pk).first()
    if found is None:
        raise Http404
    form = RuleForm(posted(request), initial={name: getattr(found, name) for name in RuleForm.base_fields})
    lines = _uplift_lines(request, found)

    def save() -> object:
        with as_lines("uplifts"):
            return commands.update_commitment_rule(
                actor=actor_of(request), commitment_rule_id=pk, uplifts=_uplifts(lines), **form.given()
            )

    return form_page(
        request, commands.update_commitment_rule, form, save, _rule_deed(found.name, "Save"), lines=lines,
        template="web/catalog/setup_form.html", context={"trail": trail_of(found)[:12]},
    )  # fmt: skip


urlpatterns = [
    path("price-models/", price_models, name="price_models"),
    path("price-models/new/", price_model_new, name="price_model_new"),
    path("price-models/<int:pk>/", price_model, name="price_model"),
    path("price-models/<int:pk>/price/", price_model_price, name="price_model_price"),
    path("pricing-schedules/", pricing_schedules, name="pricing_schedules"),
    path("pricing-schedules/new/", pricing_schedule_new, name="pricing_schedule_new"),
    path("pricing-schedules/<int:pk>/", pricing_schedule, name="pricing_schedule"),
    path("commitment-rules/", commitment_rules, name="commitment_rules"),
    path("commitment-rules/new/", commitment_rule_new, name="commitment_rule_new"),
    path("commitment-rules/<int:pk>/", commitment_rule, name="commitment_rule"),
]
