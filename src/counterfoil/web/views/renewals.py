"""Pages: the calendar of renewals, its address for other programs, and bringing additions to one anniversary."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.companies.queries import my_company
from counterfoil.core.calendar import add_months, format_month, month_end, month_start
from counterfoil.core.coterm import Proposal
from counterfoil.core.errors import DomainError
from counterfoil.flows import renewal_calendar
from counterfoil.flows.accepted import start_delivered
from counterfoil.flows.changes import renewal_day
from counterfoil.flows.renewal_calendar import KINDS, Entry, entries
from counterfoil.flows.renewals import coterm_proposal, may_end_together, propose_coterm, propose_renewal
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import DayField, asked_id, may, parse_day, run_deed
from counterfoil.web.views.waiting import waits_of

#: How many months the page shows, and the feed reaches ahead.
MONTHS: Final = 12
FEED_MONTHS: Final = 24
#: How many days back the feed goes: what has just passed stays in view.
FEED_BACK: Final = timedelta(days=31)
CALENDAR: Final = "text/calendar; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Month:
    """A month of the calendar with what falls into it."""

    first: date
    label: str
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many of each kind, where there are any."""
        counted = [(label, sum(entry.kind == kind for entry in self.entries)) for kind, label in KINDS.items()]
        return [(label, count) for label, count in counted if count]


@require_GET
def renewals(request: HttpRequest) -> HttpResponse:
    """Twelve months of renewals, windows, co-terms and agreement ends, and what to do about each."""
    first = month_start(parse_day(request.GET.get("from")) or today())
    company_id = asked_id(request, "company")
    found = entries(since=first, until=month_end(add_months(first, MONTHS - 1)), company_id=company_id)
    by_month = {key: tuple(group) for key, group in groupby(found, key=lambda entry: month_start(entry.day))}
    days = [add_months(first, index) for index in range(MONTHS)]
    secret = renewal_calendar.calendar_secret()
    can = may(request, renew=propose_renewal, address=renewal_calendar.renew_calendar_address, start=start_delivered)
    context: dict[str, Any] = {
        "months": [Month(day, format_month(day), by_month.get(day, ())) for day in days],
        "count": len(found),
        "earlier": add_months(first, -MONTHS),
        "later": add_months(first, MONTHS),
        "company": company_id,
        "may": can,
        "address": request.build_absolute_uri(reverse("web:renewal_feed", args=[secret])) if secret else "",
        "today": today(),
        **waits_of(request),
    }
    return render(request, "web/renewals/calendar.html", context)


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Begin what waited for goods that have been delivered."""
    return run_deed(
        request,
        lambda: start_delivered(actor=actor_of(request), on=today()),
        then=reverse("web:renewals"),
        said=lambda made: f"{len(made)} agreements were made." if made else "Nothing has been delivered since.",
    )


@require_POST
def renewal_quote(request: HttpRequest) -> HttpResponse:
    """Make the renewal quote of the additions named."""
    ids = _ids(request.POST.getlist("addition"))
    quote = propose_renewal(actor=actor_of(request), addition_ids=ids, on=today())
    messages.success(request, f"{quote} was drafted: {quote.name}.")
    return redirect("web:quote", quote.pk)


def _ids(texts: list[str]) -> list[int]:
    return [int(text) for part in texts for text in part.split(",") if text.isdecimal() and len(text) < 19]


# -- one anniversary ---------------------------------------------------------------------------------------------------


class AnniversaryForm(forms.Form):
    """On which day several are to end together."""

    end = DayField(
        label="First day after", required=False, help_text="Empty: the earliest on which nobody is cut short."
    )


def coterm(request: HttpRequest) -> HttpResponse:
    """What it takes and costs to bring additions to one anniversary; and the quote for it."""
    source = request.POST if request.method == "POST" else request.GET
    ids = _ids(source.getlist("addition"))
    form = AnniversaryForm(source if "end" in source else None)
    end = form.cleaned_data["end"] if form.is_bound and form.is_valid() else None
    proposal: Proposal | None = None
    refusal: DomainError | None = None
    choices: list[Any] = []
    try:
        together = may_end_together(ids, today())
        choices = [(addition, renewal_day(addition, today()), addition.pk in ids) for addition in together]
        proposal = coterm_proposal(addition_ids=ids, on=today(), end=end)
        if request.method == "POST" and form.is_valid():
            quote = propose_coterm(actor=actor_of(request), on=today(), addition_ids=ids, end=proposal.end)
            return redirect("web:quote", quote.pk)
    except DomainError as error:
        refusal = error
    context = {
        "form": form,
        "ids": ids,
        "choices": choices,
        "proposal": proposal,
        "last": proposal.end - timedelta(days=1) if proposal else None,
        "refusal": refusal,
        "may": may(request, propose=propose_coterm),
    }
    status = 422 if refusal is not None and request.method == "POST" else 200
    return render(request, "web/renewals/coterm.html", context, status=status)


# -- the feed ----------------------------------------------------------------------------------------------------------


@require_POST
def address_renew(request: HttpRequest) -> HttpResponse:
    """Give the calendar another address."""
    return run_deed(
        request,
        lambda: renewal_calendar.renew_calendar_address(actor=actor_of(request)),
        then=reverse("web:renewals"),
        said="The calendar has a new address; the former one answers no more.",
    )


@require_POST
def address_close(request: HttpRequest) -> HttpResponse:
    """Take the address away."""
    return run_deed(
        request,
        lambda: renewal_calendar.close_calendar_address(actor=actor_of(request)),
        then=reverse("web:renewals"),
        said="The calendar can no longer be read from outside.",
    )


@login_not_required
@require_GET
def renewal_feed(request: HttpRequest, secret: str) -> HttpResponse:
    """The calendar for other programs, which cannot sign in: whoever knows the address reads it."""
    if not renewal_calendar.opens_calendar(secret):
        raise Http404
    on = today()
    seller = my_company()
    text = renewal_calendar.feed(
        name=f"{seller.name if seller else 'Counterfoil'}: renewals",
        since=on - FEED_BACK,
        until=add_months(on, FEED_MONTHS),
        now=now(),
        address=lambda entry: request.build_absolute_uri(reverse("web:agreement", args=[entry.agreement_id])),
    )
    return HttpResponse(text, content_type=CALENDAR, headers={"Cache-Control": "private, max-age=900"})


urlpatterns = [
    path("renewals/", renewals, name="renewals"),
    path("renewals/start-delivered/", start, name="start_delivered"),
    path("renewals/quote/", renewal_quote, name="renewal_quote"),
    path("renewals/one-anniversary/", coterm, name="coterm"),
    path("renewals/address/", address_renew, name="renewal_address"),
    path("renewals/address/close/", address_close, name="renewal_address_close"),
    path("calendar/<str:secret>.ics", renewal_feed, name="renewal_feed"),
]
