"""Page: what expires, what is nearly used up, what has changed since it was billed, what is parked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Case, DecimalField, F, Q, QuerySet, Sum, When
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import Agreement, AgreementStatus, BillingState
from counterfoil.usage.models import Allocation
from counterfoil.usage.queries import RecapRow, current_recaps
from counterfoil.web.actions import today
from counterfoil.web.forms import may

#: Days ahead within which what ends is shown.
AHEAD: Final = (30, 60, 90)
#: From which share of the allocation on it is nearly used up.
NEARLY: Final = Decimal("0.8")
#: How many rows a list has at most; there are counts above.
SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Ending:
    """An agreement that comes to its end."""

    agreement: Agreement
    days: int
    monthly: Decimal


@dataclass(frozen=True, slots=True)
class Running:
    """An agreement whose allocation runs out."""

    agreement: Agreement
    recap: RecapRow
    granted: Decimal
    used: Decimal
    share: Decimal


def status(request: HttpRequest) -> HttpResponse:
    """Limits and renewals."""
    on = today()
    asked = request.GET.get("days", "")
    days = int(asked) if asked in {str(each) for each in AHEAD} else AHEAD[-1]
    counts = _ending(on, AHEAD[-1]).aggregate(**{f"n{each}": _count_until(on + timedelta(days=each)) for each in AHEAD})
    changed = _states().filter(changed_from__isnull=False).order_by("changed_from", "pk")
    parked = _states().filter(parked_at__isnull=False).order_by("parked_at", "pk")
    context: dict[str, Any] = {
        "days": days,
        "ahead": [(each, counts[f"n{each}"] or 0) for each in AHEAD],
        "ending": [
            Ending(row, (row.end_date - on).days if row.end_date else 0, queries.monthly_value(row, on=on))
            for row in queries.with_cycle_value(_ending(on, days).select_related("company"), on=on)[:SHOWN]
        ],
        "running": _nearly_used_up(on),
        "changed": list(changed[:SHOWN]),
        "changed_count": changed.count(),
        "parked": list(parked[:SHOWN]),
        "parked_count": parked.count(),
        "may": may(request, unpark=commands.unpark_agreement, renew=commands.renew_agreement),
    }
    return render(request, "web/agreements/status.html", context)


def _ending(on: date, days: int) -> QuerySet[Agreement]:
    """What ends within so many days and is not renewed yet, soonest first."""
    return Agreement.objects.filter(
        status=AgreementStatus.ACTIVE, end_date__gte=on, end_date__lte=on + timedelta(days=days), renewed_by=None
    ).order_by("end_date", "pk")


def _count_until(day: date) -> Sum:
    return Sum(Case(When(end_date__lte=day, then=1), default=0))


def _states() -> QuerySet[BillingState]:
    return BillingState.objects.select_related("agreement__company")


def _nearly_used_up(on: date) -> list[Running]:
    """Allocations of which most is gone, the emptiest first; narrowed down by what stands written."""
    in_period = Q(allocations__pool_start__lte=on) & (
        Q(allocations__pool_end__gt=on) | Q(allocations__pool_end__isnull=True)
    )
    drawn = Coalesce(Sum("allocations__drawn", filter=in_period), Decimal(0), output_field=DecimalField())
    wanted = (
        Agreement.objects.filter(status=AgreementStatus.ACTIVE, application_limit__gt=0)
        .filter(pk__in=Allocation.objects.filter(_pool_of(on)).values("agreement_id"))
        .annotate(drawn=drawn)
        .filter(drawn__gte=F("application_limit") * NEARLY / 2)
        .values_list("pk", flat=True)
    )
    recaps = current_recaps(on=on, agreement_ids=list(wanted[:500]))
    named = Agreement.objects.select_related("company").in_bulk(list(recaps))
    rows = []
    for pk, row in recaps.items():
        granted = row.starting_units + row.carried_in_units + row.adjustment_units + row.lapsed_units
        used = -row.used_units
        if granted <= 0 or used >= granted * NEARLY:
            share = used * 100 / granted if granted > 0 else Decimal(100)
            rows.append(Running(named[pk], row, granted, used, share))
    return sorted(rows, key=lambda each: each.share, reverse=True)[:SHOWN]


def _pool_of(on: date) -> Q:
    return Q(pool_start__lte=on) & (Q(pool_end__gt=on) | Q(pool_end__isnull=True))


urlpatterns = [path("agreements/status/", status, name="agreement_status")]
