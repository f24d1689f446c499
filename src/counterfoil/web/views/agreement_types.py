"""Pages: agreement types, the templates of agreements, with their rates and what they leave out or let in."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import AgreementKind, AgreementParameters, AgreementType, ApplicationUnits
from counterfoil.agreements.parameters import COPIED, without_effect
from counterfoil.core.calendar import Cycle
from counterfoil.core.money import format_money, round_money
from counterfoil.platform.audit import trail_of
from counterfoil.platform.records import plain_number
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import Deed, form_page, may, posted, run_deed
from counterfoil.web.lists import Chips, Column, ListSpec, show_list
from counterfoil.web.views.agreement_edit import ParametersForm, Section, initial_of
from counterfoil.web.views.agreement_rates import rates_of

TYPES: Final = ListSpec(
    name="Agreement types",
    columns=(
        Column("name", "Agreement type", kind="key", note="description"),
        Column("kind", "Kind", "get_kind_display", sort="kind", card="note"),
        Column("billed", "Billed", lambda row: billed_in_words(row), card="note"),
        Column("covers", "Covers", lambda row: covers_in_words(row), card="wide"),
        Column("prepayment", "Prepaid", kind="yes", sort="prepayment"),
        Column("agreements", "Agreements", "agreement_count", kind="quantity", sort="agreement_count", card="figure"),
        Column("active", "Active", kind="yes", sort="active"),
    ),
    chips=(Chips("kind", AgreementKind.choices),),
    sort="name",
    url=lambda row: reverse("web:agreement_type", args=[row.pk]),
)

TYPE: Final = Section(
    "type", "Agreement type", "", (("name", "kind"), ("description", "invoice_prefix"), ("prepayment", "active"))
)


def billed_in_words(record: AgreementParameters) -> str:
    """``Monthly, in advance``."""
    if record.bill_one_time:
        return "Once"
    timing = "in arrears" if record.billing_timing == "arrears" else "in advance"
    return f"{Cycle.parse(record.billing_cycle).label}, {timing}"


def covers_in_words(record: AgreementParameters) -> str:
    """``Time, 10 hours a month``; nothing where nothing is covered."""
    kinds = [name for name in ("time", "expenses", "products") if getattr(record, f"covers_{name}")]
    if not kinds:
        return ""
    units = "" if record.application_units == "amount" else f" {record.application_units}"
    if record.application_unlimited:
        much = "without limit"
    elif record.application_limit is None:
        much = f"by {record.application_units}"
    else:
        cycle = Cycle.parse(record.application_cycle).label.lower()
        cycle = "for the whole term" if record.application_one_time else cycle
        much = f"{_figure(record, 'application_limit')}{units}, {cycle}"
    return f"{', '.join(kinds).capitalize()}: {much}"


def _figure(record: AgreementParameters, name: str) -> str:
    """What is billed, and a limit that is an amount, as money; hours, incidents and days as plain numbers."""
    value = getattr(record, name)
    is_limit = name in ("application_limit", "overrun_limit") and record.application_units == ApplicationUnits.AMOUNT
    is_amount = is_limit or name in ("billing_amount", "hourly_rate")
    return format_money(value) if is_amount and round_money(value) == value else plain_number(value)


class AgreementTypeForm(ParametersForm):
    """A template of agreements."""

    sections = (TYPE, *ParametersForm.sections)

    name = forms.CharField(label="Name", max_length=50)
    kind = forms.ChoiceField(label="Kind", choices=AgreementKind.choices)
    description = forms.CharField(label="Description", max_length=200, required=False)
    invoice_prefix = forms.CharField(
        label="Invoice prefix", max_length=5, required=False, help_text="Gives its invoices numbers of their own."
    )
    prepayment = forms.BooleanField(
        label="Prepaid", required=False, help_text="What is billed is deferred, and earned as it is used."
    )
    active = forms.BooleanField(label="Active", required=False, initial=True)


def type_list(request: HttpRequest) -> HttpResponse:
    """All agreement types."""
    rows = queries.agreement_types()
    can = may(request, add=commands.create_agreement_type, install=commands.install_agreement_types)
    kinds = set(AgreementType.objects.values_list("kind", flat=True))
    lacks = bool(set(AgreementKind) - {AgreementKind.OTHER} - kinds)
    return show_list(request, TYPES, rows, "web/agreements/types.html", {"may": can, "lacks": lacks})


@require_POST
def type_install(request: HttpRequest) -> HttpResponse:
    """Add the five usual kinds."""
    return run_deed(
        request,
        lambda: commands.install_agreement_types(actor=actor_of(request)),
        then=reverse("web:agreement_types"),
        said=lambda made: f"{len(made)} agreement types were added.",
    )


def _type(pk: int) -> AgreementType:
    found = queries.agreement_types().select_related("terms").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def type_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """A type: what it proposes."""
    found = _type(pk)
    form = AgreementTypeForm(initial=initial_of(found))
    context = {
        "type": found,
        "billed": billed_in_words(found),
        "covers": covers_in_words(found),
        "notes": list(without_effect(found)),
        "facts": facts_of(found, form),
        "rates": rates_of(found),
        "may": may(request, edit=commands.update_agreement_type, add=commands.create_agreement),
        "trail": trail_of(found)[:12],
    }
    return render(request, "web/agreements/type.html", context)


def facts_of(record: AgreementParameters, form: ParametersForm) -> list[tuple[str, list[tuple[str, str]]]]:
    """The parameters in words, section by section: what is not set is left out."""
    said: list[tuple[str, list[tuple[str, str]]]] = []
    for section in ParametersForm.sections:
        rows = [(str(form.fields[name].label), text) for name in section.names if (text := _in_words(record, name))]
        if rows:
            said.append((section.title, rows))
    return said


def _in_words(record: AgreementParameters, name: str) -> str:
    if name not in COPIED:
        return ""
    value = getattr(record, name)
    if name.endswith("_cycle"):
        return Cycle.parse(value).label
    if name == "terms_id":
        return str(record.terms) if record.terms else ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if getattr(AgreementParameters._meta.get_field(name), "choices", None):
        return str(getattr(record, f"get_{name}_display")())
    return "" if value in (None, 0) else _figure(record, name)


def _deed(title: str, button: str, found: AgreementType | None = None) -> Deed:
    crumbs = [("Agreement types", reverse("web:agreement_types"))]
    back = reverse("web:agreement_types")
    if found is not None:
        back = reverse("web:agreement_type", args=[found.pk])
        crumbs.append((found.name, back))
    return Deed(
        title=title,
        button=button,
        back=back,
        then=lambda made: reverse("web:agreement_type", args=[made.pk]),
        said=lambda made: f"{made.name} was saved.",
        crumbs=tuple(crumbs),
    )


def _shown(record: AgreementParameters) -> dict[str, Any]:
    return {"notes": list(without_effect(record)), "of_type": True}


def type_new(request: HttpRequest) -> HttpResponse:
    """A new type; ``?kind=`` names the kind to begin with."""
    kind = request.GET.get("kind", AgreementKind.OTHER)
    like = queries.agreement_types().filter(kind=kind).first() or AgreementType(kind=AgreementKind.OTHER)
    form = AgreementTypeForm(posted(request), initial=initial_of(like) | {"kind": like.kind, "terms_of": "new"})
    form.offer()
    form.kind_shown = like.kind
    del form.fields["active"]
    return form_page(
        request,
        commands.create_agreement_type,
        form,
        lambda: commands.create_agreement_type(actor=actor_of(request), **form.given()),
        _deed("New agreement type", "Make the type"),
        template="web/agreements/form.html",
        context=_shown(like),
    )


def type_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a type; agreements that are there do not change."""
    found = _type(pk)
    names = ("name", "kind", "description", "invoice_prefix", "active")
    initial = initial_of(found) | {name: getattr(found, name) for name in names} | {"terms_of": str(pk)}
    form = AgreementTypeForm(posted(request), initial=initial)
    form.offer()
    form.kind_shown = found.kind
    return form_page(
        request,
        commands.update_agreement_type,
        form,
        lambda: commands.update_agreement_type(actor=actor_of(request), agreement_type_id=pk, **form.given()),
        _deed(f"Change {found.name}", "Save", found),
        template="web/agreements/form.html",
        context=_shown(found),
    )


urlpatterns = [
    path("agreement-types/", type_list, name="agreement_types"),
    path("agreement-types/new/", type_new, name="agreement_type_new"),
    path("agreement-types/usual/", type_install, name="agreement_types_usual"),
    path("agreement-types/<int:pk>/", type_detail, name="agreement_type"),
    path("agreement-types/<int:pk>/edit/", type_edit, name="agreement_type_edit"),
]
