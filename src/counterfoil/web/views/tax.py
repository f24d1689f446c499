"""Pages: tax codes with their levels and exemptions, customers' exemption certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, TypeVar

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse

from counterfoil.catalog.models import Category, ExpenseType, WorkRole
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply, parse_decimal
from counterfoil.platform.audit import trail_of
from counterfoil.platform.records import plain_number
from counterfoil.tax import commands, queries
from counterfoil.tax.models import ExemptionCertificate, LevelRateType, TaxBasis, TaxCode, TaxLevel
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    MoneyField,
    NumberField,
    PageForm,
    PriceField,
    form_page,
    may,
    posted,
)
from counterfoil.web.lists import Column, ListSpec, search_of, show_list

T = TypeVar("T")

TAX_CODES: Final = ListSpec(
    name="Tax codes",
    columns=(
        Column("identifier", "Tax code", kind="key"),
        Column("description", "Description", sort="description", card="note"),
        Column("levels", "Levels", lambda code: ", ".join(level.name for level in code.levels.all()), card="wide"),
        Column("rate", "Rate", "combined_rate", kind="percent", sort="combined_rate", card="figure"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    sort="identifier",
    url=lambda code: reverse("web:tax_code", args=[code.pk]),
    placeholder="Tax code or description",
)

CERTIFICATES: Final = ListSpec(
    name="Exemption certificates",
    columns=(
        Column("company", "Customer", "company.name", kind="key", sort="company__name"),
        Column("number", "Number", sort="number", card="note"),
        Column("reason", "Reason", sort="reason", card="note"),
        Column("scope", "Frees from", lambda row: _scope(row), card="wide"),
        Column("valid_from", "From", kind="date", sort="valid_from"),
        Column("expires_on", "Expires on", kind="date", sort="expires_on", card="figure"),
        Column("counts", "Today", lambda row: _standing(row, today()), card="note"),
    ),
    sort="company",
    url=lambda row: reverse("web:tax_certificate", args=[row.pk]),
    placeholder="Customer, number or reason",
)

CODE_FORM: Final = "web/tax/code_form.html"

#: What a level taxes, as one chooses it: services, expenses, products.
KINDS: Final = {
    "": ("Everything", (True, True, True)),
    "products": ("Products", (False, False, True)),
    "services": ("Services", (True, False, False)),
    "expenses": ("Expenses", (False, True, False)),
    "products_services": ("Products and services", (True, False, True)),
    "products_expenses": ("Products and expenses", (False, True, True)),
    "services_expenses": ("Services and expenses", (True, True, False)),
    "nothing": ("Nothing", (False, False, False)),
}


# -- tax codes ---------------------------------------------------------------------------------------------------------


class RateField(NumberField):
    """A rate in per cent or an amount a unit: which of them, another field says."""

    parse = staticmethod(lambda text, field: parse_decimal(text.strip().removesuffix("%"), field, places=6, digits=8))


class PositionsField(forms.CharField):
    """Numbers of levels: ``1, 2``."""

    def clean(self, value: Any) -> tuple[int, ...]:
        """The numbers, in order."""
        parts = super().clean(value).replace(",", " ").split()
        if not all(part.isdecimal() and 1 <= int(part) <= 6 for part in parts):
            raise forms.ValidationError("Write the numbers of levels, 1 to 6: 1, 2.")
        return tuple(sorted({int(part) for part in parts}))

    def prepare_value(self, value: Any) -> Any:
        """Stored numbers with commas; what was typed as it is."""
        return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value


class TaxCodeForm(PageForm):
    """A sales tax as it applies at a place."""

    rows = (("identifier", "description"), ("caption", "state"), ("effective_date", "cancel_date"))

    identifier = forms.CharField(label="Tax code", max_length=12)
    description = forms.CharField(label="Description", max_length=60, required=False)
    caption = forms.CharField(
        label="Called on invoices",
        max_length=25,
        required=False,
        help_text="Where the levels are not shown; empty: Sales tax.",
    )
    state = forms.CharField(
        label="State", max_length=2, required=False, help_text="Two letters, for certificates that are for a state."
    )
    effective_date = DayField(label="In effect from", required=False)
    cancel_date = DayField(
        label="Cancelled as of", required=False, help_text="From that day on nothing is billed with it."
    )
    shown = forms.BooleanField(label="Invoices show each level", required=False, initial=True)
    active = forms.BooleanField(label="Active", required=False, initial=True)
    levels_from = DayField(
        label="Levels hold from",
        required=False,
        help_text="The day a rate changes: before it the former levels still hold. Empty corrects what holds now.",
    )


class TaxLevelForm(LineForm):
    """A level of a tax code."""

    name = forms.CharField(label="Level", max_length=40, widget=forms.TextInput(attrs={"placeholder": "State"}))
    rate = RateField(label="Rate: % or amount", widget=forms.TextInput(attrs={"placeholder": "6"}))
    rate_type = forms.ChoiceField(label="Type", choices=LevelRateType.choices, required=False, initial="percent")
    agency = forms.CharField(label="Paid to", max_length=60)
    kinds = forms.ChoiceField(
        label="Taxes", choices=[(key, label) for key, (label, _) in KINDS.items()], required=False
    )
    taxable_max = MoneyField(label="Taxable maximum", required=False, help_text="The most that is taxed of a line.")
    compound_on = PositionsField(
        label="Also taxes the tax of levels", required=False, help_text="Numbers of levels above it: 1, 2."
    )
    single_unit_minimum = PriceField(
        label="Single unit minimum", required=False, help_text="Of a unit's price, what is above it is taxed."
    )
    single_unit_maximum = PriceField(
        label="Single unit maximum", required=False, help_text="Of a unit's price, what is up to it is taxed."
    )
    jurisdiction = forms.CharField(
        label="Jurisdiction",
        max_length=12,
        required=False,
        help_text="For rate files: state, type and code.",
        widget=forms.TextInput(attrs={"placeholder": "05-45-05"}),
    )

    @property
    def has_rules(self) -> bool:
        """Whether more than name, rate and agency was entered, or something of it has to be mended."""
        rules = ("kinds", "taxable_max", "compound_on", "single_unit_minimum", "single_unit_maximum", "jurisdiction")
        return any(self[name].value() or self[name].errors for name in rules)

    def is_wanted(self) -> bool:
        """What is chosen beforehand makes no level."""
        return bool(self.cleaned_data.get("name"))

    def level(self) -> commands.TaxLevelInput:
        """What was entered, as the command takes it; a rate in per cent is a share of one."""
        given = self.given()
        services, expenses, products = KINDS[given.pop("kinds", "")][1]
        kind = LevelRateType(given.pop("rate_type", LevelRateType.PERCENT))
        if kind == LevelRateType.PERCENT:
            given["rate"] = multiply(given["rate"], Decimal("0.01"))
        return commands.TaxLevelInput(
            rate_type=kind, taxes_services=services, taxes_expenses=expenses, taxes_products=products, **given
        )


def tax_code_list(request: HttpRequest) -> HttpResponse:
    """All tax codes, with the rates of today."""
    can = may(request, add=commands.create_tax_code, settings=commands.set_tax_basis)
    basis = TaxBasis(queries.tax_basis()).label.lower()
    rows = queries.tax_codes(search=search_of(request), on=today())
    return show_list(request, TAX_CODES, rows, "web/tax/codes.html", {"may": can, "basis": basis})


def tax_code(request: HttpRequest, pk: int) -> HttpResponse:
    """A tax code: its levels as they hold today, as they were and will be, and what it exempts."""
    found, on = _tax_code(pk), today()
    history = list(queries.level_history(pk))
    context = {
        "code": found,
        "today": on,
        "levels": [_shown(row) for row in history if _holds(row, on)],
        "others": [_shown(row) for row in history if not _holds(row, on)],
        "exemptions": list(queries.exemptions(pk)),
        "may": may(request, edit=commands.update_tax_code),
        "trail": trail_of(found)[:12],
    }
    return render(request, "web/tax/code.html", context)


def tax_code_new(request: HttpRequest) -> HttpResponse:
    """A new tax code."""
    form = TaxCodeForm(posted(request))
    del form.fields["active"], form.fields["levels_from"]
    lines = LineEditor(request, TaxLevelForm, title="Levels", add="Add a level", blank=1, required=True)

    def make() -> TaxCode:
        return commands.create_tax_code(actor=actor_of(request), levels=_levels(lines), **form.given())

    deed = Deed(
        title="New tax code",
        button="Make the tax code",
        back=reverse("web:tax_codes"),
        then=lambda made: reverse("web:tax_code", args=[made.pk]),
        said=lambda made: f"{made.identifier} was made.",
        crumbs=_crumbs(),
    )
    run = _in_lines(make)
    return form_page(request, commands.create_tax_code, form, run, deed, lines=lines, template=CODE_FORM)


def tax_code_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a tax code, or its levels from a day on."""
    found = _tax_code(pk)
    names = [name for name in TaxCodeForm.base_fields if name != "levels_from"]
    form = TaxCodeForm(posted(request), initial={name: getattr(found, name) for name in names})
    initial = [_entered(row) for row in queries.level_rows(pk)]
    lines = LineEditor(
        request, TaxLevelForm, title="Levels", add="Add a level", blank=0, required=True, initial=initial
    )

    def change() -> TaxCode:
        return commands.update_tax_code(actor=actor_of(request), tax_code_id=pk, levels=_levels(lines), **form.given())

    deed, run = _code_deed(found, f"Change the tax code {found.identifier}", "Save"), _in_lines(change)
    return form_page(request, commands.update_tax_code, form, run, deed, lines=lines, template=CODE_FORM)


class ExemptionForm(LineForm):
    """What a tax code does not tax."""

    category_id = ChoiceOf(label="Product category", required=False, empty="-")
    expense_type_id = ChoiceOf(label="or expense type", required=False, empty="-")
    work_role_id = ChoiceOf(label="or work role", required=False, empty="-")
    positions = PositionsField(label="At the levels; empty: at all", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, model in (("category_id", Category), ("expense_type_id", ExpenseType), ("work_role_id", WorkRole)):
            self.fields[name].offer(list(model._default_manager.all()))  # type: ignore[attr-defined]

    def is_wanted(self) -> bool:
        """Whether something is named."""
        return any(self.cleaned_data.get(name) for name in ("category_id", "expense_type_id", "work_role_id"))


def tax_exemptions(request: HttpRequest, pk: int) -> HttpResponse:
    """What a tax code exempts."""
    found = _tax_code(pk)
    names = list(ExemptionForm.base_fields)
    initial = [{name: getattr(row, name) for name in names} for row in queries.exemptions(pk)]
    form = PageForm(posted(request))
    lines = LineEditor(
        request,
        ExemptionForm,
        title="Not taxed",
        add="Add an exemption",
        blank=0 if initial else 1,
        initial=initial,
        note="a category, an expense type or a work role each",
    )

    def change() -> TaxCode:
        exemptions = [commands.TaxExemptionInput(**line) for line in lines.given()]
        return commands.update_tax_code(actor=actor_of(request), tax_code_id=pk, exemptions=exemptions)

    deed = _code_deed(found, f"What {found.identifier} exempts", "Save")
    return form_page(request, commands.update_tax_code, form, _in_lines(change), deed, lines=lines)


class BasisForm(PageForm):
    """What is rounded."""

    basis = forms.ChoiceField(
        label="Sales tax is rounded to the cent on",
        choices=TaxBasis.choices,
        help_text="The seller chooses and keeps to it. Invoices that are there do not change.",
    )


def tax_rounding(request: HttpRequest) -> HttpResponse:
    """Choose what is rounded."""
    form = BasisForm(posted(request), initial={"basis": queries.tax_basis()})
    here = reverse("web:tax_codes")
    deed = Deed(
        title="What is rounded",
        button="Save",
        back=here,
        then=lambda _: here,
        said=lambda made: f"Sales tax is rounded on {made.get_basis_display().lower()} now.",
        crumbs=_crumbs(),
    )
    return form_page(
        request,
        commands.set_tax_basis,
        form,
        lambda: commands.set_tax_basis(actor=actor_of(request), basis=TaxBasis(form.cleaned_data["basis"])),
        deed,
    )


# -- certificates ------------------------------------------------------------------------------------------------------


class CertificateForm(PageForm):
    """A customer's exemption certificate."""

    rows = (("company_id", "number"), ("reason",), ("tax_code_id", "state"), ("valid_from", "expires_on"))

    company_id = CompanyField(label="Customer", help_text="Who gets the invoices.")
    number = forms.CharField(label="Number", max_length=40)
    reason = forms.CharField(label="Reason", max_length=60, help_text="Resale, government, non-profit, ...")
    tax_code_id = ChoiceOf(label="For the tax code", required=False, empty="All of them")
    state = forms.CharField(label="or for all of a state", max_length=2, required=False, help_text="Two letters.")
    valid_from = DayField(label="Counts from")
    expires_on = DayField(label="Expires on", required=False, help_text="The last day it counts; empty: never.")
    notes = forms.CharField(label="Notes", max_length=2000, required=False, widget=forms.Textarea(attrs={"rows": 3}))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["tax_code_id"].offer(list(queries.tax_codes(active=True)))  # type: ignore[attr-defined]


def certificate_list(request: HttpRequest) -> HttpResponse:
    """All certificates; those that expire soon, or did lately, stand above."""
    context = {
        "may": may(request, add=commands.add_exemption_certificate),
        "expiring": [(row, _standing(row, today())) for row in queries.certificates_expiring(on=today())],
    }
    rows = queries.certificates(search=search_of(request))
    return show_list(request, CERTIFICATES, rows, "web/tax/certificates.html", context)


def certificate_new(request: HttpRequest) -> HttpResponse:
    """Record a certificate."""
    form = CertificateForm(posted(request), initial={"valid_from": today()})
    deed = _certificate_deed("New exemption certificate", "Add the certificate")
    return form_page(
        request,
        commands.add_exemption_certificate,
        form,
        lambda: commands.add_exemption_certificate(actor=actor_of(request), **form.given()),
        deed,
    )


def certificate(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a certificate: renew it, or end it."""
    found = queries.certificates().filter(pk=pk).first()
    if found is None:
        raise Http404
    names = [name for name in CertificateForm.base_fields if name != "company_id"]
    form = CertificateForm(posted(request), initial={name: getattr(found, name) for name in names})
    del form.fields["company_id"]
    deed = _certificate_deed(f"Certificate {found.number} of {found.company}", "Save")
    return form_page(
        request,
        commands.update_exemption_certificate,
        form,
        lambda: commands.update_exemption_certificate(actor=actor_of(request), certificate_id=pk, **form.given()),
        deed,
    )


# -- words and ways ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownLevel:
    """A level in words."""

    position: int
    name: str
    rate: str
    agency: str
    taxes: str
    rules: str
    days: str


def _shown(row: TaxLevel) -> ShownLevel:
    is_percent = row.rate_type == LevelRateType.PERCENT
    return ShownLevel(
        row.position,
        row.name,
        f"{plain_number(row.rate * 100)}%" if is_percent else f"{format_money(row.rate)} a unit",
        row.agency,
        KINDS[_kinds(row)][0],
        "; ".join(_rules(row)),
        _days(row.valid_from, row.valid_to),
    )


def _rules(row: TaxLevel) -> list[str]:
    """What limits or raises its base."""
    low, high, said = row.single_unit_minimum, row.single_unit_maximum, []
    if low is not None and high is not None:
        said.append(f"a unit's price from {format_money(low)} to {format_money(high)}")
    elif low is not None:
        said.append(f"a unit's price above {format_money(low)}")
    elif high is not None:
        said.append(f"a unit's price up to {format_money(high)}")
    if row.taxable_max is not None:
        said.append(f"at most {format_money(row.taxable_max)} of a line")
    if row.compound_on:
        said.append(f"also the tax of level {' and '.join(map(str, row.compound_on))}")
    if row.jurisdiction:
        said.append(f"rates of {row.jurisdiction}")
    return said


def _days(first: date | None, after: date | None) -> str:
    """The days it holds, as people write them; ``after`` is the first day it no longer does."""
    start = f"from {format_date(first)}" if first else ""
    return " ".join(part for part in (start, f"before {format_date(after)}" if after else "") if part) or "always"


def _kinds(row: TaxLevel) -> str:
    flags = (row.taxes_services, row.taxes_expenses, row.taxes_products)
    return next(key for key, (_, which) in KINDS.items() if which == flags)


def _holds(row: TaxLevel, on: date) -> bool:
    return (row.valid_from is None or row.valid_from <= on) and (row.valid_to is None or row.valid_to > on)


def _entered(row: TaxLevel) -> dict[str, Any]:
    """A level as it is typed in the editor."""
    names = ("name", "agency", "rate_type", "taxable_max", "single_unit_minimum", "single_unit_maximum")
    rate = multiply(row.rate, Decimal(100)) if row.rate_type == LevelRateType.PERCENT else row.rate
    return {
        **{name: getattr(row, name) for name in names},
        "rate": rate,
        "kinds": _kinds(row),
        "compound_on": row.compound_on,
        "jurisdiction": row.jurisdiction,
    }


def _levels(lines: LineEditor) -> list[commands.TaxLevelInput]:
    return [form.level() for form in lines.filled if isinstance(form, TaxLevelForm)]


def _in_lines(run: Callable[[], T]) -> Callable[[], T]:
    """Run it; what it refuses of ``levels[1]`` or ``exemptions[1]`` is said in the second line."""

    def deed() -> T:
        try:
            return run()
        except DomainError as error:
            name, bracket, where = (error.field or "").partition("[")
            if name in ("levels", "exemptions") and bracket:
                error.field = f"lines[{where}"
            raise

    return deed


def _scope(row: ExemptionCertificate) -> str:
    return str(row.tax_code or (f"All of {row.state}" if row.state else "All tax codes"))


def _standing(row: ExemptionCertificate, on: date) -> str:
    if row.valid_from > on:
        return "Not yet"
    return "Expired" if row.expires_on and row.expires_on < on else "Counts"


def _tax_code(pk: int) -> TaxCode:
    found = queries.tax_codes(on=today()).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _crumbs(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Tax codes", reverse("web:tax_codes")), *more)


def _code_deed(found: TaxCode, title: str, button: str) -> Deed:
    here = reverse("web:tax_code", args=[found.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.identifier} was saved.",
        crumbs=_crumbs((found.identifier, here)),
    )


def _certificate_deed(title: str, button: str) -> Deed:
    here = reverse("web:tax_certificates")
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda made: f"The certificate {made.number} of {made.company} was saved.",
        crumbs=_crumbs(("Exemption certificates", here)),
    )


urlpatterns = [
    path("tax-codes/", tax_code_list, name="tax_codes"),
    path("tax-codes/new/", tax_code_new, name="tax_code_new"),
    path("tax-codes/rounding/", tax_rounding, name="tax_rounding"),
    path("tax-codes/certificates/", certificate_list, name="tax_certificates"),
    path("tax-codes/certificates/new/", certificate_new, name="tax_certificate_new"),
    path("tax-codes/certificates/<int:pk>/", certificate, name="tax_certificate"),
    path("tax-codes/<int:pk>/", tax_code, name="tax_code"),
    path("tax-codes/<int:pk>/edit/", tax_code_edit, name="tax_code_edit"),
    path("tax-codes/<int:pk>/exemptions/", tax_exemptions, name="tax_exemptions"),
]
