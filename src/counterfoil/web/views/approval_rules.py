"""Pages: which quotes somebody has to approve before they are sent."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.views.decorators.http import require_GET

from counterfoil.core.money import format_money
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.platform.records import plain_number
from counterfoil.quotes import approvals
from counterfoil.quotes.models import ApprovalMeasure, ApprovalRule
from counterfoil.quotes.queries import approval_rules
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import ChoiceOf, Deed, PageForm, PriceField, form_page, may, posted
from counterfoil.web.lists import Chips, Column, ListSpec, show_list

PER_CENT: Final = (ApprovalMeasure.DISCOUNT, ApprovalMeasure.MARGIN)
ROLES: Final = (
    ("", "The owner"),
    (Role.SALES.value, "Anybody of sales"),
    (Role.PROCUREMENT.value, "Anybody of procurement"),
    (Role.FINANCE.value, "Anybody of finance"),
)


def _threshold(rule: ApprovalRule) -> str:
    if rule.measure in PER_CENT:
        return f"{plain_number(rule.threshold)} %"
    return format_money(rule.threshold)


def _who(rule: ApprovalRule) -> str:
    if rule.approver is not None:
        return str(rule.approver)
    return dict(ROLES).get(rule.approver_role, rule.approver_role)


RULES: Final = ListSpec(
    name="Approval rules",
    columns=(
        Column("name", "Rule", kind="key"),
        Column("measure", "Looks at", "get_measure_display", sort="measure", card="note"),
        Column("threshold", "Threshold", _threshold, card="figure"),
        Column("who", "Who approves", _who, card="note"),
        Column("active", "In force", kind="yes", sort="active"),
    ),
    chips=(Chips("active", (("True", "In force"), ("False", "Switched off"))),),
    sort="name",
    url=lambda rule: reverse("web:approval_rule", args=[rule.pk]),
)


@require_GET
def rules(request: HttpRequest) -> HttpResponse:
    """The rules by name."""
    context = {"may": may(request, add=approvals.create_approval_rule)}
    return show_list(request, RULES, approval_rules(), "web/quotes/approval_rules.html", context)


class RuleForm(PageForm):
    """When somebody has to approve a quote, and who."""

    rows = (("measure", "threshold"), ("approver_id", "approver_role"))

    name = forms.CharField(label="Name", max_length=100, help_text="Stands on the request: Deep discount.")
    measure = forms.ChoiceField(label="Looks at", choices=ApprovalMeasure.choices)
    threshold = PriceField(label="Threshold", help_text="Per cent (15 is 15 %) or an amount, as the measure says.")
    approver_id = ChoiceOf(label="A person", required=False, empty="Nobody in particular")
    approver_role = forms.ChoiceField(
        label="Or by role", choices=ROLES, required=False, help_text="Nobody approves what they asked for themselves."
    )
    active = forms.BooleanField(label="In force", required=False, initial=True)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        able = [*approvals.APPROVERS, Role.OWNER]
        people = User.objects.filter(is_active=True, roles__overlap=able).order_by("name")
        self.fields["approver_id"].offer(list(people))  # type: ignore[attr-defined]


def rule_new(request: HttpRequest) -> HttpResponse:
    """Make a rule."""
    form = RuleForm(posted(request))
    del form.fields["active"]
    return form_page(
        request,
        approvals.create_approval_rule,
        form,
        lambda: approvals.create_approval_rule(actor=actor_of(request), **form.given()),
        _deed("New approval rule"),
    )


def rule(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a rule, or switch it off; what was approved stays approved."""
    found = approval_rules().filter(pk=pk).first()
    if found is None:
        raise Http404
    form = RuleForm(posted(request), initial={name: getattr(found, name) for name in RuleForm.base_fields})
    return form_page(
        request,
        approvals.update_approval_rule,
        form,
        lambda: approvals.update_approval_rule(actor=actor_of(request), rule_id=pk, **form.given()),
        _deed(found.name),
    )


def _deed(title: str) -> Deed:
    here = reverse("web:approval_rules")
    return Deed(
        title=title,
        button="Save the rule",
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.name} was saved.",
        crumbs=(("Approval rules", here),),
        intro="A quote that falls under a rule is sent only once somebody has approved exactly what it says.",
    )


urlpatterns = [
    path("quotes/approval-rules/", rules, name="approval_rules"),
    path("quotes/approval-rules/new/", rule_new, name="approval_rule_new"),
    path("quotes/approval-rules/<int:pk>/", rule, name="approval_rule"),
]
