"""Pages: an agreement is made and changed, with all its parameters; only the sections that matter stand open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse, reverse_lazy
from django.utils.html import format_html
from django.utils.safestring import SafeString

from counterfoil.agreements import commands, queries
from counterfoil.agreements.lifecycle import SHARED
from counterfoil.agreements.models import Agreement, AgreementKind, AgreementParameters, AgreementType, BillingState
from counterfoil.agreements.parameters import COPIED, without_effect
from counterfoil.companies.models import Company
from counterfoil.companies.queries import billing_terms, company, sellable_companies
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.tax.queries import tax_codes
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
)

FORM: Final = "web/agreements/form.html"

#: What stays once something is billed, and why.
_FIXED: Final = (
    "start_date", "first_billing_date", "billing_cycle", "cycle_base", "bill_one_time", "prorate", "prorate_first_bill",
    "proration",
)  # fmt: skip

#: The sections that matter for each kind of agreement; the others are folded.
_OPEN: Final[dict[str, frozenset[str]]] = {
    AgreementKind.ONE_TIME_BLOCK: frozenset({"who", "dates", "type", "billing", "coverage"}),
    AgreementKind.RECURRING_BLOCK: frozenset({"who", "dates", "type", "billing", "coverage"}),
    AgreementKind.MANAGED_SERVICE: frozenset({"who", "dates", "type", "billing", "coverage"}),
    AgreementKind.HOSTING: frozenset({"who", "dates", "type", "billing"}),
    AgreementKind.USER_BASED: frozenset({"who", "dates", "type", "billing"}),
    AgreementKind.OTHER: frozenset({"who", "dates", "type", "billing"}),
}


# -- fields ------------------------------------------------------------------------------------------------------------


class CycleInput(forms.MultiWidget):
    """``every [3] [months]``."""

    def __init__(self) -> None:
        units = (("week", "weeks"), ("month", "months"), ("year", "years"))
        count = forms.NumberInput(attrs={"min": "1", "max": "9999", "aria-label": "Every how many"})
        super().__init__([count, forms.Select(attrs={"aria-label": "Unit"}, choices=units)])

    def decompress(self, value: str | None) -> list[str | None]:
        """``month:3`` is 3 months."""
        unit, _, count = (value or "").partition(":")
        return [count or None, unit or "month"]

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Both inputs; a code or a name under the field's own name does as well."""
        return self.decompress(data[name]) if name in data else super().value_from_datadict(data, files, name)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Each with the look of its kind."""
        context = super().get_context(name, value, attrs)
        unit = context["widget"]["subwidgets"][1]["attrs"]
        unit["class"] = unit.get("class", "").replace("form-control", "form-select")
        return context

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        """The two inputs side by side."""
        inputs = super().render(name, value, attrs, renderer)
        return format_html('<div class="cf-cycle"><span>every</span>{}</div>', inputs)


class CycleField(forms.MultiValueField):
    """How often: any number of weeks, months or years, as its code ``month:3``."""

    def __init__(self, **options: Any) -> None:
        fields = (forms.IntegerField(min_value=1), forms.CharField())
        super().__init__(fields=fields, widget=CycleInput(), require_all_fields=False, **options)

    def compress(self, data_list: list[Any]) -> str:
        """The code; nothing when no number was entered."""
        if not data_list or not data_list[0]:
            return ""
        try:
            return Cycle.parse(f"{data_list[1]}:{data_list[0]}").code
        except DomainError as refusal:
            raise forms.ValidationError(refusal.message) from refusal


def _chosen(name: str, label: str, help_text: str = "") -> forms.ChoiceField:
    choices = getattr(AgreementParameters._meta.get_field(name), "choices", None) or ()
    return forms.ChoiceField(label=label, choices=list(choices), help_text=help_text)


def _ticked(label: str, help_text: str = "") -> forms.BooleanField:
    return forms.BooleanField(label=label, required=False, help_text=help_text)


# -- the form ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that belong together."""

    key: str
    title: str
    note: str
    rows: tuple[tuple[str, ...], ...]

    @property
    def names(self) -> Iterable[str]:
        """Its fields."""
        return (name for row in self.rows for name in row)


@dataclass(frozen=True, slots=True)
class Shown:
    """A section as the page shows it."""

    key: str
    title: str
    note: str
    rows: list[list[forms.BoundField]]
    is_open: bool


BILLING: Final = Section(
    "billing", "Recurring invoicing", "what is billed, how often and when",
    (
        ("billing_cycle", "cycle_base", "billing_timing"),
        ("billing_amount", "billing_amount_taxable", "bill_one_time"),
    ),
)  # fmt: skip
CHANGES: Final = Section(
    "changes", "Parts of a period, changes and credits", "proration, and what is billed already",
    (
        ("prorate", "prorate_first_bill", "one_line_per_addition"), ("proration",), ("changes", "credits"),
    ),
)  # fmt: skip
COVERAGE: Final = Section(
    "coverage", "Application and coverage", "which work, expenses and products it covers, and how much",
    (
        ("covers_time", "covers_expenses", "covers_products"),
        ("application_units", "application_limit", "application_unlimited"),
        ("application_cycle", "application_base", "application_one_time"),
        ("covers_sales_tax", "expire_when_zero"),
        ("carry_over", "carry_over_days"),
        ("allow_overruns", "overrun_limit", "overrun_from"),
        ("coverage_order", "selection"),
    ),
)  # fmt: skip
RATES: Final = Section(
    "rates", "Rates and billing options", "what is billed for work that is applied to it",
    (("hourly_rate",), ("bill_time", "bill_expenses", "bill_products")),
)  # fmt: skip
PAPER: Final = Section(
    "paper", "Invoice presentation", "terms, and what invoices show of covered work",
    (("terms_id", "tax_code_id"), ("show_covered_time", "show_covered_expenses", "show_covered_products"),
     ("invoice_text",), ("internal_notes",)),
)  # fmt: skip


class ParametersForm(PageForm):
    """The parameters that a type proposes and an agreement has, in sections."""

    sections: tuple[Section, ...] = (BILLING, CHANGES, COVERAGE, RATES, PAPER)

    billing_cycle = CycleField(label="Billed")
    cycle_base = _chosen("cycle_base", "Cycles are counted", "By the calendar, the first period is cut short.")
    billing_timing = _chosen("billing_timing", "Billed in")
    billing_amount = MoneyField(label="Billing amount", required=False, help_text="Every cycle, beside the additions.")
    billing_amount_taxable = _ticked("The billing amount is taxable")
    bill_one_time = _ticked("Billed once", "Everything is billed with the period in which it begins.")
    prorate = _ticked("Prorate", "A part of a period is billed as a part.")
    prorate_first_bill = _ticked("Prorate the first bill too")
    one_line_per_addition = _ticked("One line per addition", "A prorated part stands with the full period.")
    proration = _chosen("proration", "Parts are measured by")
    credits = _chosen("credits", "What is billed and then cancelled", "Given back or not.")
    changes = _chosen("changes", "A change to a billed period is billed")
    application_units = _chosen("application_units", "The allocation counts")
    application_limit = QuantityField(
        label="Limit", required=False, help_text="Each application period, in those units. Empty covers nothing."
    )
    application_unlimited = _ticked("Unlimited")
    application_cycle = CycleField(label="An application period lasts")
    application_base = _chosen("application_base", "Periods are counted")
    application_one_time = _ticked("One allocation for the whole term")
    covers_time = _ticked("Covers time")
    covers_expenses = _ticked("Covers expenses")
    covers_products = _ticked("Covers products")
    covers_sales_tax = _ticked(
        "Covers sales tax",
        "Tax is drawn from the block: the limit becomes the amount plus tax. Without prepayment on the type covering"
        " sales tax has no effect.",
    )
    carry_over = _ticked("Carry over what is unused")
    carry_over_days = forms.IntegerField(
        label="For so many days", min_value=0, required=False, help_text="Empty: without limit."
    )
    expire_when_zero = _ticked("Expire when it is used up")
    allow_overruns = _ticked("Allow overruns")
    overrun_limit = QuantityField(label="Overrun limit", required=False, help_text="Empty: without limit.")
    overrun_from = _chosen("overrun_from", "An overrun is")
    coverage_order = _chosen(
        "coverage_order", "Entries draw on it", "By date, whoever was entered first; as saved, whatever the date."
    )
    selection = _chosen("selection", "It covers", "The list has a page of its own, under Rates and lists.")
    hourly_rate = PriceField(
        label="Hourly rate", required=False, help_text="Where no rate of a work role or work type says otherwise."
    )
    bill_time = _chosen("bill_time", "Time is")
    bill_expenses = _chosen("bill_expenses", "Expenses are")
    bill_products = _chosen("bill_products", "Products are")
    show_covered_time = _ticked("Show covered time")
    show_covered_expenses = _ticked("Show covered expenses")
    show_covered_products = _ticked("Show covered products")
    terms_id = ChoiceOf(label="Terms", required=False, empty="Those the bill-to has today")

    #: The type or agreement whose parameters the form was filled with; absent when a program posts a few fields.
    terms_of = forms.CharField(required=False, widget=forms.HiddenInput)
    kind_shown: str = AgreementKind.OTHER

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.is_bound and "terms_of" not in self.data:
            for name in COPIED:
                if name in self.fields:
                    self.fields[name].required = False

    def offer(self) -> None:
        """Fill the choices."""
        self.fields["terms_id"].offer(list(billing_terms()))  # type: ignore[attr-defined]

    def head(self) -> list[Shown]:
        """The sections above the terms: who, what and when."""
        return self._shown(each for each in self.sections if each not in ParametersForm.sections)

    def terms(self) -> list[Shown]:
        """The sections of the parameters."""
        return self._shown(ParametersForm.sections)

    def _shown(self, sections: Iterable[Section]) -> list[Shown]:
        """Open are those that matter for the kind, and those in which something has to be mended."""
        opened = _OPEN.get(self.kind_shown, _OPEN[AgreementKind.OTHER])
        return [
            Shown(
                each.key, each.title, each.note, rows,
                is_open=each.key in opened or any(name in self.errors for name in each.names),
            )
            for each in sections
            if (rows := [row for names in each.rows if (row := [self[n] for n in names if n in self.fields])])
        ]  # fmt: skip

    def given(self) -> dict[str, Any]:
        """What was entered. What the sender did not know of stays as it is, or as the type says."""
        sent = {key.removesuffix("_0") for key in self.data}
        whole = bool(self.cleaned_data.pop("terms_of", ""))
        given = {
            name: value
            for name, value in super().given().items()
            if name in sent or (whole and isinstance(self.fields[name], forms.BooleanField))
        }
        if "billing_amount" in given and given["billing_amount"] is None:
            given["billing_amount"] = Decimal(0)
        kept = {name for name in given if self.fields[name].disabled}
        empty = {name for name in given if name in COPIED and given[name] == ""}
        return {name: value for name, value in given.items() if name not in kept | empty}


WHO: Final = Section(
    "who", "Who and what", "",
    (
        ("company_id", "agreement_type_id"), ("name", "customer_po"), ("bill_to_id", "site_id", "contact_id"),
    ),
)  # fmt: skip
DATES: Final = Section("dates", "Dates", "", (("start_date", "first_billing_date", "end_date"),))


class AgreementForm(ParametersForm):
    """What a customer is billed for in every cycle, and what work that covers."""

    sections = (WHO, DATES, *ParametersForm.sections)

    company_id = CompanyField(label="Company")
    agreement_type_id = ChoiceOf(
        label="Agreement type",
        help_text="It proposes the terms below; change what you like.",
        widget=forms.Select(
            attrs={"hx-get": reverse_lazy("web:agreement_new"), "hx-target": "#terms", "hx-swap": "outerHTML"}
        ),
    )
    name = forms.CharField(label="Name", max_length=100, help_text="Prints on the invoice.")
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)
    bill_to_id = ChoiceOf(label="Bill to", required=False, empty="The company's own bill-to")
    site_id = ChoiceOf(label="Site", required=False, empty="No site of its own")
    contact_id = ChoiceOf(label="Contact", required=False, empty="None")
    start_date = DayField(label="Start")
    first_billing_date = DayField(label="First billing date", required=False, help_text="Empty: the start.")
    end_date = DayField(label="Last day", required=False, help_text="Empty: no ending date.")
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="That of the site or company")
    invoice_text = forms.CharField(
        label="Text on invoices", required=False, max_length=6000, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Printed above the lines.",
    )  # fmt: skip
    internal_notes = forms.CharField(
        label="Internal notes", required=False, max_length=6000, widget=forms.Textarea(attrs={"rows": 2})
    )

    def offer(self) -> None:
        """Fill the choices."""
        super().offer()
        choices: dict[str, Sequence[Any]] = {
            "agreement_type_id": list(queries.agreement_types().filter(active=True)),
            "bill_to_id": list(sellable_companies()),
            "tax_code_id": list(tax_codes(active=True)),
        }
        for name, records in choices.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]

    def offer_of(self, customer: Company | None) -> None:
        """Sites and contacts of the company, once it is known."""
        for name, records in (("site_id", "sites"), ("contact_id", "contacts")):
            found = list(getattr(customer, records).all()) if customer else []
            if found:
                self.fields[name].offer(found)  # type: ignore[attr-defined]
            else:
                del self.fields[name]


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
    less_included = QuantityField(
        label="Included", required=False, widget=forms.TextInput(attrs={"placeholder": "0", "class": "is-short"})
    )
    unit_price = PriceField(
        label="Price a cycle", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_price"})
    )
    unit_cost = PriceField(
        label="Cost a cycle", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_cost"})
    )
    effective_date = DayField(label="From", required=False)


# -- pages -------------------------------------------------------------------------------------------------------------


def initial_of(record: AgreementParameters) -> dict[str, Any]:
    """The parameters of a type or an agreement, as a form shows them."""
    return {name: getattr(record, name) for name in COPIED}


def new(request: HttpRequest) -> HttpResponse:
    """A new agreement with its additions; its type proposes the terms."""
    chosen = _asked_type(request)
    customer = company(asked_id(request, "company") or 0)
    shown_type = request.POST.get("terms_of", "")
    initial = {"start_date": today(), "company_id": customer.pk if customer else None}
    if chosen is not None:
        initial |= initial_of(chosen) | {"agreement_type_id": chosen.pk, "terms_of": str(chosen.pk)}
    form = AgreementForm(posted(request), initial=initial)
    form.offer()
    form.offer_of(customer)
    form.kind_shown = chosen.kind if chosen else AgreementKind.OTHER
    if request.headers.get("HX-Target") == "terms":  # another type was chosen: its terms
        return render(request, "web/agreements/terms.html", _terms_context(form, chosen))
    lines = LineEditor(
        request, AdditionLine, title="Additions", add="Add an addition", blank=1,
        note="Price and cost come from the catalog unless you write others",
    )  # fmt: skip

    def make() -> Agreement:
        given = form.given()
        if shown_type and shown_type != str(given["agreement_type_id"]):
            raise DomainError(
                "conflict", "The terms below are those of another type.", field="agreement_type_id",
                hint="Choose the type again to see its own, then save.",
            )  # fmt: skip
        return commands.create_agreement(
            actor=actor_of(request),
            additions=[commands.AdditionInput(**line) for line in lines.given()],
            **{name: value for name, value in given.items() if value is not None or name in COPIED},
        )

    return form_page(
        request,
        commands.create_agreement,
        form,
        make,
        Deed(
            title="New agreement",
            button="Make the agreement",
            back=reverse("web:agreements"),
            then=lambda made: reverse("web:agreement", args=[made.pk]),
            said=lambda made: f"{made.number} was made.",
            crumbs=(("Agreements", reverse("web:agreements")),),
        ),
        lines=lines,
        template=FORM,
        context=_terms_context(form, chosen),
    )


def _asked_type(request: HttpRequest) -> AgreementType | None:
    """The type that is asked for or was sent; the only one where there is one."""
    types = queries.agreement_types().filter(active=True)
    wanted = request.POST.get("agreement_type_id") or request.GET.get("agreement_type_id", "")
    if wanted.isdecimal() and len(wanted) < 19:
        return types.filter(pk=int(wanted)).first()
    found = list(types[:2])
    return found[0] if len(found) == 1 else None


def _terms_context(form: ParametersForm, record: AgreementParameters | None) -> dict[str, Any]:
    return {"form": form, "notes": list(without_effect(record)) if record is not None else []}


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what may be changed of an agreement."""
    agreement = queries.agreement(pk)
    if agreement is None:
        raise Http404
    names = ("name", "customer_po", "bill_to_id", "site_id", "contact_id", "start_date", "end_date", "tax_code_id",
             "invoice_text", "internal_notes")  # fmt: skip
    initial = {name: getattr(agreement, name) for name in names} | initial_of(agreement)
    initial |= {"first_billing_date": agreement.bill_start_date, "terms_of": agreement.number}
    form = AgreementForm(posted(request), initial=initial)
    form.offer()
    form.offer_of(agreement.company)
    form.kind_shown = agreement.type.kind
    for name in ("company_id", "agreement_type_id"):
        del form.fields[name]
    form.fields["bill_to_id"].required = True
    form.fields["start_date"].required = not form.is_bound or "terms_of" in form.data
    _fix(form, agreement)
    here = reverse("web:agreement", args=[pk])
    return form_page(
        request,
        commands.update_agreement,
        form,
        lambda: commands.update_agreement(actor=actor_of(request), agreement_id=pk, **form.given()),
        Deed(
            title=f"Change {agreement.number}",
            button="Save",
            back=here,
            then=lambda _: here,
            said=lambda _: f"{agreement.number} was changed.",
            crumbs=(("Agreements", reverse("web:agreements")), (agreement.number, here)),
        ),
        template=FORM,
        context=_terms_context(form, agreement),
    )


def _fix(form: AgreementForm, agreement: Agreement) -> None:
    """Show what stays as it is, and why, instead of refusing it afterwards."""
    if BillingState.objects.filter(agreement=agreement, next_period__gt=0).exists():
        for name in _FIXED:
            form.fields[name].disabled = True
        form.fields["billing_cycle"].help_text = "It has been billed: its cycle, first date and proration stay."
    if agreement.parent is not None:
        for name in SHARED:
            form.fields[name].disabled = True
        form.fields["bill_to_id"].help_text = f"It is billed with {agreement.parent.number} and shares this."


urlpatterns = [
    path("agreements/new/", new, name="agreement_new"),
    path("agreements/<int:pk>/edit/", edit, name="agreement_edit"),
]
