"""Pages: work roles, work types and expense types, by which time and expenses are priced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse

from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import RateType
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import Deed, PageForm, PriceField, QuantityField, form_page, may, posted
from counterfoil.web.lists import Chips, Column, ListSpec, show_list


class WorkRoleForm(PageForm):
    """In which capacity somebody works."""

    rows = (("hourly_rate", "hourly_cost"),)

    name = forms.CharField(label="Name", max_length=50)
    hourly_rate = PriceField(label="Hourly rate", required=False, help_text="Where nothing else says otherwise.")
    hourly_cost = PriceField(label="Hourly cost", required=False, help_text="Fully burdened, for profitability.")
    active = forms.BooleanField(label="Active", required=False, initial=True)


class WorkTypeForm(PageForm):
    """What kind of work it is."""

    rows = (("rate_type", "rate"), ("hours_min", "hours_max", "round_hours_to"))

    name = forms.CharField(label="Name", max_length=50)
    rate_type = forms.ChoiceField(label="Its rate is", choices=RateType.choices, initial=RateType.MULTIPLIER)
    rate = PriceField(label="Rate", help_text="1.5 as a multiplier: half as much again.")
    cost_multiplier = PriceField(label="Cost multiplier", required=False)
    hours_min = QuantityField(label="Billed at least", unit="h", required=False, help_text="An entry.")
    hours_max = QuantityField(label="Billed at most", unit="h", required=False)
    round_hours_to = QuantityField(label="Rounded up to", unit="h", required=False, help_text="0.25: a quarter.")
    active = forms.BooleanField(label="Active", required=False, initial=True)


class ExpenseTypeForm(PageForm):
    """What an expense was for."""

    name = forms.CharField(label="Name", max_length=50)
    taxable = forms.BooleanField(label="Taxable", required=False)
    active = forms.BooleanField(label="Active", required=False, initial=True)


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the three: its list, its form and its commands."""

    key: str
    noun: str
    spec: ListSpec
    form: type[PageForm]
    rows: Callable[..., QuerySet[Any]]
    create: Callable[..., Any]
    update: Callable[..., Any]
    about: str


def _spec(name: str, key: str, *columns: Column) -> ListSpec:
    return ListSpec(
        name=name,
        columns=(
            Column("name", name[:-1], kind="key"),
            *columns,
            Column("active", "Active", kind="yes", sort="active"),
        ),
        chips=(Chips("active", (("True", "Active"), ("False", "Inactive"))),),
        sort="name",
        url=lambda row: reverse(f"web:{key}", args=[row.pk]),
    )


KINDS: Final = (
    Kind(
        "work_role", "work role",
        _spec(
            "Work roles", "work_role",
            Column("hourly_rate", "Hourly rate", kind="price", sort="hourly_rate", card="figure"),
            Column("hourly_cost", "Hourly cost", kind="price", sort="hourly_cost", card="figure"),
        ),
        WorkRoleForm, queries.work_roles, commands.create_work_role, commands.update_work_role,
        "A work role is the capacity in which somebody works: engineer, project manager. Its rate is the last resort; "
        "an agreement, its type or the work type may say otherwise.",
    ),
    Kind(
        "work_type", "work type",
        _spec(
            "Work types", "work_type",
            Column("rate_type", "Its rate is", "get_rate_type_display", sort="rate_type", card="note"),
            Column("rate", "Rate", kind="price", sort="rate", card="figure"),
            Column("hours_min", "At least, h", kind="quantity", sort="hours_min"),
            Column("hours_max", "At most, h", kind="quantity", sort="hours_max"),
            Column("round_hours_to", "Rounded to, h", kind="quantity", sort="round_hours_to"),
        ),
        WorkTypeForm, queries.work_types, commands.create_work_type, commands.update_work_type,
        "A work type is the kind of work: regular, after hours, on site. It multiplies or adjusts the role's rate, and "
        "says how hours are rounded.",
    ),
    Kind(
        "expense_type", "expense type",
        _spec("Expense types", "expense_type", Column("taxable", "Taxable", kind="yes", sort="taxable")),
        ExpenseTypeForm, queries.expense_types, commands.create_expense_type, commands.update_expense_type,
        "An expense type is what an expense was for: mileage, meals, parking.",
    ),
)  # fmt: skip


def _list(kind: Kind) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        context = {"may": may(request, add=kind.create), "kind": kind, "new": reverse(f"web:{kind.key}_new")}
        return show_list(request, kind.spec, kind.rows(), "web/usage/setup.html", context)

    return view


def _deed(kind: Kind, title: str, button: str) -> Deed:
    here = reverse(f"web:{kind.key}s")
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.name} was saved.",
        crumbs=((kind.spec.name, here),),
    )


def _given(form: PageForm) -> dict[str, Any]:
    """What was entered; of the numbers, what was left empty is the command's default."""
    return {name: value for name, value in form.given().items() if value is not None or name == "hours_max"}


def _new(kind: Kind) -> Callable[[HttpRequest], HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        form = kind.form(posted(request))
        del form.fields["active"]
        return form_page(
            request,
            kind.create,
            form,
            lambda: kind.create(actor=actor_of(request), **_given(form)),
            _deed(kind, f"New {kind.noun}", f"Make the {kind.noun}"),
        )

    return view


def _edit(kind: Kind) -> Callable[..., HttpResponse]:
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        found = kind.rows().filter(pk=pk).first()
        if found is None:
            raise Http404
        form = kind.form(posted(request), initial={name: getattr(found, name) for name in kind.form.base_fields})
        return form_page(
            request,
            kind.update,
            form,
            lambda: kind.update(actor=actor_of(request), **{f"{kind.key}_id": pk}, **_given(form)),
            _deed(kind, f"Change {found.name}", "Save"),
        )

    return view


urlpatterns = [
    pattern
    for kind in KINDS
    for pattern in (
        path(f"{kind.key.replace('_', '-')}s/", _list(kind), name=f"{kind.key}s"),
        path(f"{kind.key.replace('_', '-')}s/new/", _new(kind), name=f"{kind.key}_new"),
        path(f"{kind.key.replace('_', '-')}s/<int:pk>/", _edit(kind), name=kind.key),
    )
]
