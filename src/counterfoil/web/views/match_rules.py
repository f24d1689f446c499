"""Page: how far quote, purchase and bill may be apart, and what a difference holds."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.catalog.queries import categories
from counterfoil.matching import commands, queries
from counterfoil.matching.models import Bounds, MatchTolerance, Measure
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import ChoiceOf, CompanyField, Deed, PageForm, PriceField, form_page, may, posted, run_deed

#: What a rule can hold: the command's argument, and its column.
HOLDS: Final = (
    ("holds_purchase_order", "Purchase order"),
    ("holds_vendor_bill", "Vendor bill"),
    ("holds_invoice", "Invoice"),
)


def particular(row: MatchTolerance) -> tuple[Any, ...]:
    """The order of tolerances: by measure, the one that holds first on top."""
    named = (row.vendor_id, row.company_id, row.category_id)
    return (Measure.values.index(row.measure), -sum(pk is not None for pk in named), *(pk is None for pk in named))


@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    """Tolerances, the most particular first, and what a difference of each kind holds."""
    context = {
        "tolerances": sorted(queries.tolerances(), key=particular),
        "codes": [
            (
                code,
                [
                    (f"{name}:{code.code}", label, getattr(code, name)) if _can(code, name) else None
                    for name, label in HOLDS
                ],
            )
            for code in queries.match_codes()
        ],
        "holds": [label for _, label in HOLDS],
        "may": may(request, change=commands.set_tolerance, hold=commands.set_hold_rule),
    }
    return render(request, "web/match/rules.html", context)


def _can(code: queries.CodeRow, name: str) -> bool:
    """Whether a difference of the code can hold the documents of a column."""
    return name == "holds_invoice" or not code.of_statement


class ToleranceForm(PageForm):
    """How far a measure may be off, and for whom."""

    rows = (("percent", "amount", "bounds"), ("vendor_id", "company_id", "category_id"))

    measure = forms.ChoiceField(label="Measure", choices=Measure.choices)
    percent = PriceField(label="Percentage", unit="%", required=False, help_text="Of what was expected.")
    amount = PriceField(
        label="Amount",
        required=False,
        help_text="In its own unit; of cost and price: dollars on the line.",
    )
    bounds = forms.ChoiceField(label="Where both are given", choices=Bounds.choices)
    vendor_id = CompanyField(label="Vendor", kind="vendors", required=False, help_text="Empty: of any vendor.")
    company_id = CompanyField(label="Customer", required=False, help_text="Empty: for any customer.")
    category_id = ChoiceOf(label="Category", required=False, empty="Any category")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "category_id" in self.fields:
            self.fields["category_id"].offer(list(categories()))  # type: ignore[attr-defined]


def tolerance_new(request: HttpRequest) -> HttpResponse:
    """Add a tolerance; one for the same measure and scope is replaced."""
    form = ToleranceForm(posted(request))
    return form_page(
        request,
        commands.set_tolerance,
        form,
        lambda: commands.set_tolerance(actor=actor_of(request), **form.given()),
        _deed("New tolerance", "A difference up to and with the bound matches. Terms and billing have no tolerance."),
    )


def tolerance(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the bounds of a tolerance; what it is for stays."""
    found = next((row for row in queries.tolerances() if row.pk == pk), None)
    if found is None:
        raise Http404
    names = ("percent", "amount", "bounds")
    form = ToleranceForm(posted(request), initial={name: getattr(found, name) for name in names})
    for name in set(form.fields) - set(names):
        del form.fields[name]
    scope = {name: getattr(found, name) for name in ("measure", "vendor_id", "company_id", "category_id")}
    whose = ", ".join(str(each) for each in (found.vendor, found.company, found.category) if each) or "everything"
    return form_page(
        request,
        commands.set_tolerance,
        form,
        lambda: commands.set_tolerance(actor=actor_of(request), **scope, **form.given()),
        _deed(f"{found.get_measure_display()}: {whose}", "A difference up to and with the bound matches."),
    )


def _deed(title: str, intro: str) -> Deed:
    here = reverse("web:match_rules")
    return Deed(
        title=title,
        button="Save the tolerance",
        back=here,
        then=lambda _: here,
        said=lambda _: "The tolerance was saved. It counts from the next match on.",
        crumbs=(("Match rules", here),),
        intro=intro,
    )


@require_POST
def tolerance_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a tolerance; the next less particular one holds."""
    return run_deed(
        request,
        lambda: commands.remove_tolerance(actor=actor_of(request), tolerance_id=pk),
        then=reverse("web:match_rules"),
        said="The tolerance was removed. It counts from the next match on.",
    )


@require_POST
def hold_rules(request: HttpRequest) -> HttpResponse:
    """Save what the kinds of difference hold, as far as it was changed."""
    changed = 0
    for code in queries.match_codes():
        ticked = {name: f"{name}:{code.code}" in request.POST for name, _ in HOLDS}
        if ticked != {name: getattr(code, name) for name, _ in HOLDS}:
            commands.set_hold_rule(actor=actor_of(request), code=code.code, **ticked)
            changed += 1
    said = f"{changed} rule{'' if changed == 1 else 's'} changed; documents were held and released."
    messages.success(request, said if changed else "Nothing was changed.")
    return redirect("web:match_rules")


urlpatterns = [
    path("match/rules/", rules, name="match_rules"),
    path("match/rules/holds/", hold_rules, name="hold_rules"),
    path("match/rules/tolerances/new/", tolerance_new, name="match_tolerance_new"),
    path("match/rules/tolerances/<int:pk>/", tolerance, name="match_tolerance"),
    path("match/rules/tolerances/<int:pk>/remove/", tolerance_remove, name="match_tolerance_remove"),
]
