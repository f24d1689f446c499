"""The first page: what waits for me, money this month, recurring revenue, profit, what happened last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone

from counterfoil.core.calendar import format_month
from counterfoil.flows import overview
from counterfoil.platform.identity import Role
from counterfoil.platform.models import AuditEntry
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of
from counterfoil.web.remembered import remembered
from counterfoil.web.threads import address_of

ACTIVITY_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Queue:
    """Work that can wait for somebody.

    Attributes:
        key: into the counts of what waits.
        words: what it is, with ``%s`` where the ending of one or several goes.
        url_name: where it is done.
        role: whose work it is.
    """

    key: str
    words: str
    url_name: str
    role: Role
    icon: str
    endings: tuple[str, str] = ("", "s")

    def text(self, count: int) -> str:
        """What waits, for that many."""
        return self.words % self.endings[count != 1]


QUEUES: Final = (
    Queue("opportunities", "open opportunit%s", "web:opportunities", Role.SALES, "target", ("y", "ies")),
    Queue("quotes_in_approval", "quote%s to approve", "web:quotes", Role.FINANCE, "shield-check"),
    Queue("stuck_lines", "line%s without a delivery to wait for", "web:renewals", Role.SALES, "alert-triangle"),
    Queue("match_exceptions", "difference%s to mend", "web:match_exceptions", Role.FINANCE, "arrows-exchange"),
    Queue("demand", "line%s to buy", "web:demand", Role.PROCUREMENT, "shopping-cart"),
    Queue("to_receive", "order%s to receive", "web:receiving", Role.PROCUREMENT, "package-import"),
    Queue("to_bill", "vendor bill%s to enter", "web:vendor_bills", Role.PROCUREMENT, "receipt-2"),
    Queue("to_ship", "order%s to ship", "web:shipping", Role.PROCUREMENT, "truck-delivery"),
    Queue("agreements_to_invoice", "agreement%s to invoice", "web:invoice_agreements", Role.FINANCE, "contract"),
    Queue("orders_to_invoice", "sales order%s to invoice", "web:sales_orders", Role.FINANCE, "checklist"),
    Queue("draft_invoices", "draft%s to close", "web:invoices", Role.FINANCE, "file-invoice"),
    Queue("unposted", "unposted record%s", "web:unposted", Role.FINANCE, "book"),
    Queue("open_batches", "batch%s to transfer", "web:batches", Role.FINANCE, "packages", ("", "es")),
    Queue("depreciation_due", "asset%s with depreciation due", "web:assets", Role.FINANCE, "trending-down"),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue with somebody's work in it."""

    text: str
    count: int
    url: str
    icon: str


@dataclass(frozen=True, slots=True)
class Activity:
    """An entry of the audit trail, with the page of its record."""

    entry: AuditEntry
    url: str


@dataclass(frozen=True, slots=True)
class StepToTake:
    """Something a new installation needs."""

    title: str
    text: str
    url: str
    action: str
    done: bool


def home(request: HttpRequest) -> HttpResponse:
    """What waits, and how things stand."""
    local = timezone.localtime()
    on = local.date()
    steps = overview.first_steps()
    context: dict[str, Any] = {
        "greeting": _greeting(local, actor_of(request).name),
        "today": on,
        "waiting": _waiting(request),
        "activity": [
            Activity(entry, address_of(entry.object_type, entry.object_id))
            for entry in AuditEntry.objects.order_by("-seq")[:ACTIVITY_SHOWN]
        ],
    }
    if steps is not None:
        return render(request, "web/home/first_steps.html", {**context, "steps": _steps(steps), "done": steps.done})
    recurring, profit, money = remembered(
        "how things stand",
        lambda: (overview.recurring_by_month(on), overview.profit_by_month(on), overview.money_this_month(on)),
    )
    context |= {
        "money": money,
        "mrr": recurring[-1][1],
        "mrr_before": recurring[-2][1],
        "recurring_plot": _plot(
            [month for month, _ in recurring],
            ("mrr", "Recurring a month", [amount for _, amount in recurring], "bar", "plot-2"),
        ),
        "profit_plot": _plot(
            [row.month for row in profit],
            ("revenue", "Revenue", [row.revenue for row in profit], "bar", "plot-cash"),
            ("profit", "Net profit", [row.profit for row in profit], "bar", "plot-2"),
        ),
        "profit_year": profit[-1],
        "ending": overview.ending_agreements(on)[:6],
    }
    return render(request, "web/home/home.html", context)


def _greeting(local: datetime, name: str) -> str:
    part = "morning" if local.hour < 12 else "afternoon" if local.hour < 18 else "evening"
    return f"Good {part}, {name.split()[0]}"


def _waiting(request: HttpRequest) -> list[Waiting]:
    """The queues that hold work for the signed-in person; somebody who only looks sees all of them."""
    actor = actor_of(request)
    only_looks = actor.roles == {Role.VIEWER}
    waits = {**navigation.counts_for(request), "opportunities": overview.open_opportunities()}
    mine = [queue for queue in QUEUES if waits.get(queue.key) and (actor.may(queue.role) or only_looks)]
    return [
        Waiting(queue.text(waits[queue.key]), waits[queue.key], url, queue.icon)
        for queue in mine
        if (url := _url(queue.url_name))
    ]


def _url(name: str, *args: object) -> str:
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def _plot(months: Sequence[date], *series: tuple[str, str, list[Decimal], str, str]) -> dict[str, Any]:
    return {
        "labels": [format_month(month) for month in months],
        "kind": "bar",
        "series": [
            {"key": key, "label": label, "values": [str(value) for value in values], "style": style, "colour": colour}
            for key, label, values, style, colour in series
        ],
    }


def _steps(found: overview.FirstSteps) -> list[StepToTake]:
    imports = _url("web:imports")
    mine = _url("web:company", found.my_company_id) if found.my_company_id else _url("web:companies")
    return [
        StepToTake(
            "Your company's details",
            "Its name and address print on every invoice. Accounts, periods and the usual terms are there already.",
            mine,
            "My Company",
            found.address,
        ),
        StepToTake(
            "Products",
            "What you sell, lease and bill every month: from a CSV file, with a preview, or one by one.",
            imports,
            "Import products",
            found.products,
        ),
        StepToTake(
            "Companies",
            "Customers and vendors with their addresses, terms and tax codes.",
            imports,
            "Import companies",
            found.companies,
        ),
        StepToTake(
            "The first opportunity",
            "Quote it once: the agreement, the order, the purchase and the invoice all follow from its lines.",
            _url("web:opportunity_new"),
            "New opportunity",
            found.opportunity,
        ),
    ]


urlpatterns: list[URLPattern] = [path("", home, name="home")]
