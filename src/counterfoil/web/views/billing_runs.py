"""Pages: billing runs, from their preview to what became of them."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.accounting.models import Batch
from counterfoil.agreements.commands import unpark_agreement
from counterfoil.agreements.models import AgreementType, BillingState
from counterfoil.billing.models import BillingRun, RunMode, RunStatus
from counterfoil.billing.runs import billing_runs, due_agreements, parked_in_run, run_progress, unfinished_run
from counterfoil.core.calendar import add_months, month_end, month_start
from counterfoil.core.errors import DomainError
from counterfoil.flows import billing_run as commands
from counterfoil.flows.billing_preview import preview_billing_run
from counterfoil.platform.audit import trail_of
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, attempt, now, today
from counterfoil.web.forms import ChoiceOf, CompanyField, DayField, PageForm, may, posted, require, run_deed
from counterfoil.web.lists import Chips, Column, ListSpec, show_list
from counterfoil.web.sent import once, token

#: Rows of a preview that are shown, those with the largest changes.
MOST_ROWS: Final = 200

RUNS: Final = ListSpec(
    name="Billing runs",
    columns=(
        Column("number", "Number", kind="key", sort="id"),
        Column("through", "Through", kind="date", sort="through", card="note"),
        Column("mode", "Makes", lambda run: RunMode(run.mode).label, card="note"),
        Column("status", "State", lambda run: run.status, kind="state", card="note"),
        Column("by", "Started by", "started_by"),
        Column("started", "Started", lambda run: run.started_at.date(), kind="date", sort="started_at"),
        Column("agreements", "Looked at", "agreement_count", kind="quantity"),
        Column("parked", "Parked", "parked_count", kind="quantity"),
        Column("invoices", "Invoices", "invoice_count", kind="quantity", card="figure"),
        Column("total", "Total", "total", kind="money", sort="total", card="figure"),
    ),
    chips=(Chips("status", [("finished", "Finished"), ("paused", "Paused"), ("cancelled", "Cancelled")]),),
    sort="-number",
    url=lambda run: reverse("web:billing_run", args=[run.pk]),
    placeholder="Number",
)


@navigation.waiting
def runs_wait() -> navigation.Waits:
    """Runs that somebody has to resume or cancel."""
    return {"billing_runs": BillingRun.objects.filter(status=RunStatus.PAUSED)}


class RunForm(PageForm):
    """What is billed, and how far the run goes."""

    rows = (("through", "invoice_date"), ("agreement_type", "company"))

    through = DayField(label="Through", help_text="Every period that falls due by this day is billed.")
    invoice_date = DayField(
        label="Invoice date", required=False, help_text="Empty: each invoice has the day its period falls due."
    )
    mode = forms.ChoiceField(
        label="Make",
        choices=[
            (RunMode.DRAFT.value, "Drafts, to be looked at and closed later"),
            (RunMode.CLOSE.value, "Closed invoices, numbered without a gap"),
            (RunMode.TRANSFER.value, "Closed invoices, booked at once"),
        ],
    )
    agreement_type = ChoiceOf(label="Agreement type", required=False, empty="All")
    company = CompanyField(label="Customer", required=False, help_text="Empty: all of them.")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["agreement_type"].offer(AgreementType.objects.all())  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """By argument of the command."""
        given = self.cleaned_data
        return {
            "through": given["through"],
            "invoice_date": given["invoice_date"],
            "mode": RunMode(given["mode"]),
            "agreement_type_id": given["agreement_type"],
            "company_id": given["company"],
        }


def _usual() -> dict[str, date | str]:
    """The month that ends, or has just ended, billed on the first of the next."""
    on = today()
    through = month_end(on) if on.day > 20 else month_end(add_months(on, -1))
    return {"through": through, "invoice_date": month_start(add_months(through, 1)), "mode": RunMode.DRAFT.value}


def runs(request: HttpRequest) -> HttpResponse:
    """All billing runs."""
    can = may(request, start=commands.start_billing_run)
    return show_list(request, RUNS, billing_runs(), "web/bill/runs.html", {"may": can})


def new(request: HttpRequest) -> HttpResponse:
    """Choose what is billed; the preview follows beneath, and from it the run is started."""
    if request.method == "POST":
        require(request, commands.start_billing_run)
    form, refusal = RunForm(posted(request), initial=_usual()), None
    if request.method == "POST" and form.is_valid():
        address, refusal = attempt(form, lambda: once(request, lambda: _start(request, form)))
        if address is not None:
            return redirect(address)
    context = {
        "form": form,
        "refusal": refusal,
        "waiting": len(due_agreements(through=today())),
        "under_way": unfinished_run(),
        "may": may(request, start=commands.start_billing_run),
        "sent": token(),
    }
    return render(request, "web/bill/run_new.html", context, status=422 if form.errors or refusal else 200)


def _start(request: HttpRequest, form: RunForm) -> str:
    """Start the run; its address."""
    made = commands.start_billing_run(actor=actor_of(request), now=now(), **form.given())
    return reverse("web:billing_run", args=[made.pk])


def preview(request: HttpRequest) -> HttpResponse:
    """What a run would make: the part of the page beneath the form."""
    form, refusal, found = RunForm(request.GET), None, None
    if form.is_valid():
        try:
            found = preview_billing_run(most_rows=MOST_ROWS, **form.given())
        except DomainError as error:
            refusal = error
    context = {"form": form, "found": found, "refusal": refusal, "most": MOST_ROWS}
    return render(request, "web/bill/run_preview.html", context, status=200 if found else 422)


def run(request: HttpRequest, pk: int) -> HttpResponse:
    """A run: its progress while it works, and what became of it."""
    return render(request, "web/bill/run.html", _run_context(request, pk))


def progress(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of a run's page that moves; it asks for itself again until the run has come to a stop."""
    return render(request, "web/bill/run_progress.html", _run_context(request, pk))


def _run_context(request: HttpRequest, pk: int) -> dict[str, Any]:
    found = billing_runs().filter(pk=pk).first()
    moving = run_progress(pk)
    if found is None or moving is None:
        raise Http404
    parked = list(parked_in_run(pk))
    still = set(BillingState.objects.filter(agreement__in=[p.agreement_id for p in parked]).exclude(
        parked_at=None
    ).values_list("agreement", flat=True))  # fmt: skip
    return {
        "run": found,
        "progress": moving,
        "mode": RunMode(found.mode).label,
        "is_moving": found.status in (RunStatus.RATING, RunStatus.NUMBERED),
        "is_paused": found.status == RunStatus.PAUSED,
        "can_cancel": RunStatus.NUMBERED not in (found.status, found.paused_in),
        "parked": [(each, each.agreement_id in still) for each in parked],
        "batch": Batch.objects.filter(pk=found.batch_id).first() if found.batch_id else None,
        "trail": trail_of(found)[:20],
        "may": may(request, steer=commands.pause_billing_run, mend=unpark_agreement),
    }


@require_POST
def steer(request: HttpRequest, pk: int, deed: str) -> HttpResponse:
    """Pause, resume or cancel a run."""
    command, said = {
        "pause": (commands.pause_billing_run, "{} is paused."),
        "resume": (commands.resume_billing_run, "{} goes on."),
        "cancel": (commands.cancel_billing_run, "{} was cancelled."),
    }[deed]
    return run_deed(
        request,
        lambda: command(actor=actor_of(request), run_id=pk),
        then=reverse("web:billing_run", args=[pk]),
        said=lambda found: said.format(found.number),
    )


@require_POST
def unpark(request: HttpRequest, pk: int, agreement_id: int) -> HttpResponse:
    """Say that what parked an agreement is mended: the next run takes it again."""
    return run_deed(
        request,
        lambda: unpark_agreement(actor=actor_of(request), agreement_id=agreement_id),
        then=reverse("web:billing_run", args=[pk]),
        said=lambda agreement: f"The next run takes {agreement.number} again.",
    )


urlpatterns = [
    path("billing-runs/", runs, name="billing_runs"),
    path("billing-runs/new/", new, name="billing_run_new"),
    path("billing-runs/preview/", preview, name="billing_run_preview"),
    path("billing-runs/<int:pk>/", run, name="billing_run"),
    path("billing-runs/<int:pk>/progress/", progress, name="billing_run_progress"),
    path("billing-runs/<int:pk>/unpark/<int:agreement_id>/", unpark, name="billing_run_unpark"),
    *(
        path(f"billing-runs/<int:pk>/{deed}/", steer, {"deed": deed}, name=f"billing_run_{deed}")
        for deed in ("pause", "resume", "cancel")
    ),
]
