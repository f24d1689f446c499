"""Page: what an agreement covers, entry by entry in the order decided; deciding it anew, looked at first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements.models import Agreement, CoverageOrder
from counterfoil.core.coverage_terms import Reason
from counterfoil.core.errors import DomainError
from counterfoil.core.money import sum_money
from counterfoil.platform.records import plain_number
from counterfoil.usage import commands, queries
from counterfoil.usage.models import Allocation, Charge
from counterfoil.usage.queries import ReallocationRow, RecapRow
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import may, require, run_deed
from counterfoil.web.views.agreement_changes import find
from counterfoil.web.views.agreement_types import covers_in_words
from counterfoil.web.views.usage import allocation_of, state_of

#: How many entries of a period, and how many differences, a page shows.
SHOWN: Final = 400

#: Why something is not covered, in words.
REASONS: Final[dict[str, str]] = {
    Reason.COVERED: "",
    Reason.DO_NOT_BILL: "not to be billed",
    Reason.NO_CHARGE: "no charge",
    Reason.OUTSIDE_DATES: "outside the agreement's dates",
    Reason.KIND: "this kind is not covered",
    Reason.TIME_ONLY: "hours are drawn by time alone",
    Reason.WORK_ROLE: "its work role is left out",
    Reason.WORK_TYPE: "its work type is left out",
    Reason.EXPENSE_TYPE: "its expense type is left out",
    Reason.PRODUCT: "the product is left out",
    Reason.NO_LIMIT: "no limit is set",
    Reason.EXPIRED: "the agreement had expired",
    Reason.USED_UP: "the allocation is used up",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An entry and what is covered of it; ``left`` is what remained of the allocation after it."""

    charge: Charge
    allocation: Allocation | None
    state: str
    why: str
    left: Decimal | None


def coverage(request: HttpRequest, pk: int) -> HttpResponse:
    """The entries of an application period in the order decided, or what deciding anew would change."""
    agreement = find(pk)
    on = today()
    pools = queries.recap(agreement_id=pk, on=on)
    pool = _chosen(request, pools)
    context: dict[str, Any] = {
        "agreement": agreement,
        "covers": covers_in_words(agreement),
        "pools": pools[::-1],
        "pool": pool,
        "units": "" if agreement.application_units == "amount" else agreement.application_units,
        "as_saved": agreement.coverage_order == CoverageOrder.AS_SAVED,
        "may": may(request, decide=commands.reallocate_agreement, enter=commands.enter_time),
    }
    if request.GET.get("again"):
        require(request, commands.reallocate_agreement)
        update_rates = request.GET.get("update_rates") == "yes"
        return render(request, "web/agreements/reallocate.html", {**context, **_again(agreement, update_rates)})
    context["rows"] = _rows(agreement, pool)
    context["total"] = sum_money(row.charge.amount for row in context["rows"])
    context["covered"] = sum_money(row.allocation.covered_amount for row in context["rows"] if row.allocation)
    context["overage"] = sum_money(row.allocation.overage_amount for row in context["rows"] if row.allocation)
    return render(request, "web/agreements/coverage.html", context)


def _chosen(request: HttpRequest, pools: tuple[RecapRow, ...]) -> RecapRow | None:
    """The period asked for, else the present one, else the last."""
    asked = request.GET.get("period", "")
    named = [row for row in pools if row.period_start.isoformat() == asked]
    current = [row for row in pools if row.is_current]
    found = named or current or list(pools)
    return found[-1] if found else None


def _rows(agreement: Agreement, pool: RecapRow | None) -> list[Row]:
    through: date | None = pool.period_end if pool else None
    found = queries.charges(
        agreement_id=agreement.pk, since=pool.period_start if pool else None, through=through
    ).order_by("id" if agreement.coverage_order == CoverageOrder.AS_SAVED else "date", "id")
    left = None
    if pool is not None and not agreement.application_unlimited:
        left = pool.starting_units + pool.carried_in_units + pool.adjustment_units + pool.lapsed_units
    rows = []
    for charge in found[:SHOWN]:
        allocation = allocation_of(charge)
        if allocation is not None and left is not None:
            left -= allocation.drawn
        why = REASONS.get(allocation.reason, "") if allocation else ""
        rows.append(Row(charge, allocation, state_of(charge), why, left if allocation and allocation.drawn else None))
    return rows


def _again(agreement: Agreement, update_rates: bool) -> dict[str, Any]:
    """What deciding anew would change; nothing is written."""
    try:
        rows = queries.preview_reallocation(agreement_id=agreement.pk, update_rates=update_rates)
    except DomainError as refusal:
        return {"refusal": refusal, "differences": [], "update_rates": update_rates}
    changed: list[ReallocationRow] = [row for row in rows if row.changes and not row.billed]
    return {
        "update_rates": update_rates,
        "decided": len(rows),
        "billed": sum(row.billed for row in rows),
        "count": len(changed),
        "differences": changed[:SHOWN],
        "before": sum_money(row.old_overage_amount for row in rows if not row.billed),
        "after": sum_money(row.new_overage_amount for row in rows if not row.billed),
    }


@require_POST
def reallocate(request: HttpRequest, pk: int) -> HttpResponse:
    """Decide anew, as it was looked at."""
    return run_deed(
        request,
        lambda: commands.reallocate_agreement(
            actor=actor_of(request), agreement_id=pk, update_rates=request.POST.get("update_rates") == "yes"
        ),
        then=reverse("web:agreement_coverage", args=[pk]),
        said=lambda done: f"Decided anew: {plain_number(Decimal(done.changed))} of {done.charges} entries changed.",
    )


urlpatterns = [
    path("agreements/<int:pk>/coverage/", coverage, name="agreement_coverage"),
    path("agreements/<int:pk>/coverage/decide/", reallocate, name="agreement_reallocate"),
]
