"""Page: what is to change on an agreement, as a quote for the customer to accept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse

from counterfoil.agreements.commitments import term_through
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.agreements.queries import addition_state, additions, agreement
from counterfoil.catalog.models import Offer
from counterfoil.catalog.queries import in_effect, offers
from counterfoil.core.bills import quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_quantity
from counterfoil.core.pricing.terms import term_words
from counterfoil.flows.renewals import ChangeInput, propose_change, propose_renewal
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import DayField, parse_day, require
from counterfoil.web.sent import once, token


@dataclass(frozen=True, slots=True)
class Choice:
    """An addition and what was entered for it."""

    addition: Addition
    committed: date | None
    offers: list[tuple[Offer, str]]
    quantity: str
    swap: str
    cancel: bool


class ChangeDayForm(forms.Form):
    """From when the changes hold."""

    start_date = DayField(label="From")


def quote_change(request: HttpRequest, pk: int) -> HttpResponse:
    """More or fewer of an addition, another offer instead, or its end: chosen here, accepted by the customer."""
    require(request, propose_change)
    found = agreement(pk)
    if found is None:
        raise Http404
    sent = request.POST if request.method == "POST" else None
    form = ChangeDayForm(sent, initial={"start_date": parse_day(request.GET.get("from")) or today()})
    refusal: DomainError | None = None
    if sent is not None and form.is_valid():
        try:
            return redirect(once(request, lambda: _propose(request, found, form.cleaned_data["start_date"])))
        except DomainError as error:
            refusal = error
    context = {
        "agreement": found,
        "form": form,
        "choices": _choices(found, sent or {}),
        "refusal": refusal,
        "sent": token(),
    }
    return render(request, "web/agreements/quote_change.html", context, status=200 if sent is None else 422)


def _propose(request: HttpRequest, found: Agreement, start: Any) -> str:
    """Make the quote that was asked for; its address."""
    actor, on = actor_of(request), today()
    if request.POST.get("renew"):
        quote = propose_renewal(actor=actor, agreement_id=found.pk, on=on)
    else:
        changes = [change for addition in _running(found) if (change := _change(addition, request.POST)) is not None]
        quote = propose_change(actor=actor, agreement_id=found.pk, changes=changes, start_date=start, on=on)
    return reverse("web:quote", args=[quote.pk])


def _running(found: Agreement) -> list[Addition]:
    day = today()
    return [row for row in additions(found.pk) if addition_state(row, on=day) in ("active", "upcoming")]


def _change(addition: Addition, sent: Any) -> ChangeInput | None:
    """What was entered for an addition; nothing when it stays as it is."""
    if sent.get(f"cancel-{addition.pk}"):
        return ChangeInput(addition.pk, "cancel")
    if (swap := sent.get(f"swap-{addition.pk}", "")).isdecimal():
        return ChangeInput(addition.pk, "swap", offer_id=int(swap))
    text = sent.get(f"quantity-{addition.pk}", "").strip()
    if not text:
        return None
    then: Decimal = parse_quantity(text, "changes")
    if then <= 0:
        there = quantity_text(addition.quantity)
        raise DomainError(
            "invalid",
            f"“Then” is how many of {addition.description} there are to be, of {there} now; {text} cannot be.",
            field="changes",
            hint="To take 3 of 27 away, enter 24; to take all away, tick “End it”.",
        )
    more = then - addition.quantity
    if not more:
        return None
    return ChangeInput(addition.pk, "increase" if more > 0 else "decrease", abs(more))


def _choices(found: Agreement, sent: Any) -> list[Choice]:
    running = _running(found)
    sold_by: dict[int, list[tuple[Offer, str]]] = {}
    for offer in in_effect(offers(active=True), today()).filter(product__in={row.product_id for row in running}):
        sold_by.setdefault(offer.product_id, []).append((offer, term_words(offer.term, offer.billing_cycle)))
    return [
        Choice(
            row,
            term_through(row, today()),
            [(offer, words) for offer, words in sold_by.get(row.product_id, []) if offer.pk != row.offer_id],
            sent.get(f"quantity-{row.pk}", ""),
            sent.get(f"swap-{row.pk}", ""),
            bool(sent.get(f"cancel-{row.pk}")),
        )
        for row in running
    ]


urlpatterns = [path("agreements/<int:pk>/quote/", quote_change, name="agreement_quote_change")]
