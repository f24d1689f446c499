"""Page: what was paid ahead for work, how much of it is earned, and what lapsed unused."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.billing.breakage import earn_lapsed, prepaid
from counterfoil.billing.models import Invoice
from counterfoil.core.money import sum_money
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import may, run_deed


@require_GET
def prepayments(request: HttpRequest) -> HttpResponse:
    """Every agreement with prepayment: billed ahead, earned, lapsed, deferred."""
    rows = prepaid(on=today())
    context = {
        "rows": rows,
        "today": today(),
        "deferred": sum_money(row.deferred for row in rows),
        "lapsed": sum_money(row.amount for row in rows),
        "may": may(request, earn=earn_lapsed),
    }
    return render(request, "web/bill/prepaid.html", context)


@require_POST
def earn(request: HttpRequest) -> HttpResponse:
    """Earn what lapsed unused, of one agreement or of all."""
    asked = request.POST.get("agreement", "")
    ids = [int(asked)] if asked.isdecimal() and len(asked) < 19 else None
    return run_deed(
        request,
        lambda: earn_lapsed(actor=actor_of(request), on=today(), now=now(), agreement_ids=ids),
        then=reverse("web:agreement", args=ids) if ids else reverse("web:prepaid"),
        said=_said,
    )


def _said(made: list[Invoice]) -> str:
    if not made:
        return "Nothing has lapsed that is not earned."
    return f"What lapsed is earned, on {', '.join(invoice.number or '' for invoice in made[:5])}."


urlpatterns = [
    path("prepaid/", prepayments, name="prepaid"),
    path("prepaid/earn/", earn, name="prepaid_earn"),
]
