"""Pages: what begins with the delivery of its goods, begun by hand from a day, or cancelled."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse

from counterfoil.flows.waiting import WaitingLines, cancel_waiting, start_waiting, stuck_lines, waiting
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import DayField, Deed, PageForm, form_page, may, posted


@navigation.waiting
def lines_wait() -> navigation.Waits:
    """Accepted lines that begin on delivery, of whose goods nothing will be delivered any more."""
    return {"stuck_lines": stuck_lines().order_by()}


def waits_of(request: HttpRequest, **of: int) -> dict[str, Any]:
    """What ``web/includes/waiting_lines.html`` shows: all that waits, or what waits of a record."""
    return {"waits": waiting(**of), "may_wait": may(request, start=start_waiting)["start"]}


class StartForm(PageForm):
    """From when it is billed."""

    rows = (("start_date", "reason"),)

    start_date = DayField(label="From", help_text="The first day it is billed for.")
    reason = forms.CharField(label="Reason", max_length=200, required=False, help_text="For the audit trail.")


class CancelForm(PageForm):
    """Why nothing comes of it."""

    reason = forms.CharField(label="Reason", max_length=200)


def start(request: HttpRequest, version_id: int) -> HttpResponse:
    """Begin what waits, from a day."""
    found = _find(version_id)
    form = StartForm(posted(request), initial={"start_date": today()})
    return form_page(
        request,
        start_waiting,
        form,
        lambda: start_waiting(actor=actor_of(request), line_ids=found.line_ids, **form.given()),
        _deed(
            found, "Begin what waits for its goods", "Begin it",
            then=lambda made: reverse("web:agreement", args=[made[0].pk]), said="It has begun.",
        ),
    )  # fmt: skip


def cancel(request: HttpRequest, version_id: int) -> HttpResponse:
    """Give it up."""
    found = _find(version_id)
    form = CancelForm(posted(request))
    return form_page(
        request,
        cancel_waiting,
        form,
        lambda: cancel_waiting(actor=actor_of(request), line_ids=found.line_ids, **form.given()),
        _deed(
            found, "Cancel what waits for its goods", "Cancel it",
            then=lambda _: reverse("web:opportunity", args=[found.opportunity_id]), said="It was cancelled.",
        ),
    )  # fmt: skip


def _find(version_id: int) -> WaitingLines:
    found = waiting(version_id=version_id)
    if not found:
        raise Http404
    return found[0]


def _deed(found: WaitingLines, title: str, button: str, *, then: Any, said: str) -> Deed:
    names = ", ".join(line.description for line in found.lines)
    back = reverse("web:opportunity", args=[found.opportunity_id])
    return Deed(
        title=title,
        button=button,
        back=back,
        then=then,
        said=lambda _: said,
        crumbs=(("Renewals", reverse("web:renewals")), (found.quote, reverse("web:quote", args=[found.quote_id]))),
        intro=f"{names}, of {found.company}. {found.why}",
    )


urlpatterns = [
    path("renewals/waiting/<int:version_id>/start/", start, name="waiting_start"),
    path("renewals/waiting/<int:version_id>/cancel/", cancel, name="waiting_cancel"),
]
