"""Page: what accepted lines become, rule by rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse

from counterfoil.agreements.queries import agreement_types
from counterfoil.catalog.models import ProductClass
from counterfoil.catalog.queries import categories
from counterfoil.core.errors import DomainError
from counterfoil.quotes.models import ConversionRule
from counterfoil.quotes.routing import ConversionRuleInput, conversion_rules, set_conversion_rules
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import ChoiceOf, Deed, LineEditor, LineForm, PageForm, form_page, posted

RECURRING: Final = (("", "All lines"), ("yes", "Recurring"), ("no", "One-time"))


class RuleForm(LineForm):
    """A rule; one without a target is left out."""

    target = forms.ChoiceField(
        label="Become",
        required=False,
        choices=[("", "Choose …"), *ConversionRule._meta.get_field("target").flatchoices],
    )
    recurring = forms.ChoiceField(label="Lines", choices=RECURRING, required=False)
    product_class = forms.ChoiceField(label="Class", required=False, choices=[("", "Any class"), *ProductClass.choices])
    category_id = ChoiceOf(label="Category", required=False, empty="Any category")
    agreement_type_id = ChoiceOf(label="Agreement type", required=False, empty="None")
    join_running = forms.BooleanField(label="Join a running one", required=False)

    def __init__(self, *args: Any, offered: Mapping[str, Sequence[Any]], **options: Any) -> None:
        super().__init__(*args, **options)
        for name, records in offered.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]

    def is_wanted(self) -> bool:
        """Whether a target is chosen."""
        return bool(self.cleaned_data.get("target"))


def rules(request: HttpRequest) -> HttpResponse:
    """All rules in the order in which they are read; the first that fits a line holds."""
    lines = LineEditor(
        request,
        RuleForm,
        title="Rules",
        add="Add a rule",
        note="read from the top; the first that fits holds, and what fits none is kept for later",
        initial=[_initial(rule) for rule in conversion_rules()],
        blank=0,
        options={"offered": {"category_id": list(categories()), "agreement_type_id": list(agreement_types())}},
    )
    back = reverse("web:conversion_rules")
    deed = Deed(
        title="Conversion rules",
        button="Save the rules",
        back=back,
        then=lambda made: back,
        said=lambda made: f"{len(made)} conversion rules were saved.",
        intro="What the lines of a quote become when the customer accepts it.",
    )
    return form_page(
        request, set_conversion_rules, PageForm(posted(request)), lambda: _save(request, lines), deed, lines=lines
    )


def _initial(rule: ConversionRule) -> dict[str, Any]:
    recurring = {None: "", True: "yes", False: "no"}[rule.recurring]
    names = ("target", "product_class", "category_id", "agreement_type_id", "join_running")
    return {name: getattr(rule, name) for name in names} | {"recurring": recurring}


def _save(request: HttpRequest, lines: LineEditor) -> list[ConversionRule]:
    given = [
        ConversionRuleInput(**{**row, "recurring": {"yes": True, "no": False}.get(row.get("recurring", ""))})
        for row in lines.given()
    ]
    try:
        return set_conversion_rules(actor=actor_of(request), rules=given)
    except DomainError as refusal:
        if refusal.field is not None:  # the page calls them lines
            refusal.field = refusal.field.replace("rules[", "lines[")
        raise


urlpatterns = [path("conversion-rules/", rules, name="conversion_rules")]
