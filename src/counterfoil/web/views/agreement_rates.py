"""Pages: rates of work roles and work types under an agreement or a type, and what it leaves out or alone lets in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import Agreement, AgreementType, BillingOption
from counterfoil.catalog.models import RateType
from counterfoil.catalog.queries import expense_types, work_roles, work_types
from counterfoil.core.errors import DomainError
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
    posted,
)

T = TypeVar("T")


class WorkRoleRateLine(LineForm):
    """The rate of a work role."""

    work_role_id = ChoiceOf(label="Work role", required=False, empty="All roles")
    rate_type = forms.ChoiceField(label="Rate is", choices=RateType.choices, required=False)
    rate = PriceField(label="Rate", required=False)
    effective_date = DayField(label="From", required=False)
    ending_date = DayField(label="Last day", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["work_role_id"].offer(list(work_roles()))  # type: ignore[attr-defined]

    def is_wanted(self) -> bool:
        """A line without a rate is none."""
        return self.cleaned_data.get("rate") is not None

    def given(self) -> dict[str, Any]:
        """What was entered; no role stands for all."""
        return {"work_role_id": None, **super().given()}


class WorkTypeRateLine(LineForm):
    """How a work type is billed."""

    work_type_id = ChoiceOf(label="Work type", required=False, empty="All types")
    rate_type = forms.ChoiceField(
        label="Rate is", choices=RateType.choices, required=False, initial=RateType.MULTIPLIER
    )
    rate = PriceField(label="Rate", required=False)
    bill_time = forms.ChoiceField(
        label="Billing", choices=[("", "As the entry says"), *BillingOption.choices], required=False
    )
    hours_min = QuantityField(label="At least, h", required=False)
    hours_max = QuantityField(label="At most, h", required=False)
    round_hours_to = QuantityField(label="Round to, h", required=False)
    overage_rate_type = forms.ChoiceField(
        label="Overage rate is", choices=[("", "The same"), *RateType.choices], required=False
    )
    overage_rate = PriceField(label="Overage rate", required=False)
    effective_date = DayField(label="From", required=False)
    ending_date = DayField(label="Last day", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["work_type_id"].offer(list(work_types()))  # type: ignore[attr-defined]

    def is_wanted(self) -> bool:
        """A line that says nothing is none."""
        chosen = {"work_type_id", "rate_type"}
        return any(value not in (None, "") for name, value in self.cleaned_data.items() if name not in chosen)

    def given(self) -> dict[str, Any]:
        """What was entered; no type stands for all."""
        return {"work_type_id": None, **super().given()}


class CoverageItemLine(LineForm):
    """One thing that is left out, or alone let in."""

    work_role_id = ChoiceOf(label="Work role", required=False, empty="-")
    work_type_id = ChoiceOf(label="or work type", required=False, empty="-")
    expense_type_id = ChoiceOf(label="or expense type", required=False, empty="-")
    product_id = ProductField(label="or product", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, rows in (
            ("work_role_id", work_roles()), ("work_type_id", work_types()), ("expense_type_id", expense_types()),
        ):  # fmt: skip
            self.fields[name].offer(list(rows))  # type: ignore[attr-defined]


#: What is listed: its title, the form of a line, the input of the command, and the commands of an agreement and a type.
_LISTS: dict[str, tuple[str, type[LineForm], Callable[..., Any], Callable[..., Any], Callable[..., Any], str]] = {
    "work-roles": (
        "Rates of work roles", WorkRoleRateLine, commands.WorkRoleRateInput, commands.set_work_role_rates,
        commands.set_type_work_role_rates, "work_role_rates",
    ),
    "work-types": (
        "Rates of work types", WorkTypeRateLine, commands.WorkTypeRateInput, commands.set_work_type_rates,
        commands.set_type_work_type_rates, "work_type_rates",
    ),
    "items": (
        "Left out or let in", CoverageItemLine, commands.CoverageItemInput, commands.set_coverage_items,
        commands.set_type_coverage_items, "coverage_items",
    ),
}  # fmt: skip


def rates_of(owner: Agreement | AgreementType) -> dict[str, Sequence[Any]]:
    """The lists of an agreement or a type, with names."""
    return {
        "work_role_rates": list(owner.work_role_rates.select_related("work_role")),
        "work_type_rates": list(owner.work_type_rates.select_related("work_type")),
        "coverage_items": list(
            owner.coverage_items.select_related("work_role", "work_type", "expense_type", "product")
        ),
    }


def agreement_rates(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """The list of an agreement."""
    found = queries.agreement(pk)
    if found is None:
        raise Http404
    here = reverse("web:agreement", args=[pk])
    crumbs = (("Agreements", reverse("web:agreements")), (found.number, here))
    return _page(request, found, kind, here, "agreement_id", crumbs)


def type_rates(request: HttpRequest, pk: int, kind: str) -> HttpResponse:
    """The list of an agreement type."""
    found = queries.agreement_types().filter(pk=pk).first()
    if found is None:
        raise Http404
    here = reverse("web:agreement_type", args=[pk])
    crumbs = (("Agreement types", reverse("web:agreement_types")), (found.name, here))
    return _page(request, found, kind, here, "agreement_type_id", crumbs)


def _page(
    request: HttpRequest,
    owner: Agreement | AgreementType,
    kind: str,
    here: str,
    argument: str,
    crumbs: tuple[tuple[str, str], ...],
) -> HttpResponse:
    if kind not in _LISTS:
        raise Http404
    title, line, make, of_agreement, of_type, rows = _LISTS[kind]
    command = of_agreement if isinstance(owner, Agreement) else of_type
    initial = [{name: getattr(row, name) for name in line.base_fields} for row in getattr(owner, rows).all()]
    lines = LineEditor(
        request,
        line,
        title=title,
        add="Add a line",
        blank=0 if initial else 1,
        initial=initial,
        note=_note(owner, kind),
    )
    given = "items" if kind == "items" else "rates"

    def run() -> Any:
        inputs = [make(**each) for each in lines.given()]
        return _in_lines(given, lambda: command(actor=actor_of(request), **{argument: owner.pk, given: inputs}))

    deed = Deed(
        title=title,
        button="Save",
        back=here,
        then=lambda _: here,
        said=lambda _: f"{title} of {owner} were saved.",
        crumbs=crumbs,
        intro="What is not billed yet follows when coverage is decided anew; invoices that are there do not change.",
    )
    return form_page(request, command, PageForm(posted(request)), run, deed, lines=lines)


def _note(owner: Agreement | AgreementType, kind: str) -> str:
    if kind == "items":
        return owner.get_selection_display().lower()
    return "custom replaces the rate, an amount is added or taken off, a multiplier multiplies"


def _in_lines(given: str, run: Callable[[], T]) -> T:
    """Run it; what it refuses of ``rates[1]`` is said in the second line."""
    try:
        return run()
    except DomainError as error:
        name, bracket, where = (error.field or "").partition("[")
        if name in (given, "rates", "items") and bracket:
            error.field = f"lines[{where}"
        raise


urlpatterns = [
    path("agreements/<int:pk>/rates/<slug:kind>/", agreement_rates, name="agreement_rates"),
    path("agreement-types/<int:pk>/rates/<slug:kind>/", type_rates, name="agreement_type_rates"),
]
