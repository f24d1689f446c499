"""Pages: the list of agreements, and an agreement with all that hangs on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Final

from django.db.models import prefetch_related_objects
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse

from counterfoil.agreements import commands, queries
from counterfoil.agreements.commitments import term_through
from counterfoil.agreements.models import Addition, Agreement, AgreementStatus, BillingState
from counterfoil.agreements.parameters import without_effect
from counterfoil.agreements.terms import Values, billing_amount_on, billing_amounts, history_of, values_on
from counterfoil.billing import commands as billing
from counterfoil.billing import queries as invoices
from counterfoil.billing.breakage import earn_lapsed, prepaid
from counterfoil.billing.deposits import deposits_of
from counterfoil.core.calendar import format_date
from counterfoil.core.money import extend, format_money
from counterfoil.flows.upcoming import next_invoices, next_period
from counterfoil.platform.models import AuditHead
from counterfoil.platform.records import plain_number
from counterfoil.usage.queries import RecapRow, recap, used_up
from counterfoil.web import navigation
from counterfoil.web.actions import today
from counterfoil.web.forms import may
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import side_of
from counterfoil.web.views.agreement_changes import find
from counterfoil.web.views.agreement_edit import ParametersForm
from counterfoil.web.views.agreement_rates import rates_of
from counterfoil.web.views.agreement_types import billed_in_words, covers_in_words, facts_of
from counterfoil.web.views.waiting import waits_of

#: How many application periods stand in the recap, and how many events in the history of the additions.
PERIODS: Final = 6
EVENTS: Final = 40


def _spec() -> ListSpec:
    on = today()
    gone = used_up(on=on)

    def state(row: Agreement) -> str:
        return "used_up" if row.pk in gone else str(row.status)

    return ListSpec(
        name="Agreements",
        columns=(
            Column("number", "Number", kind="key"),
            Column("name", "Name", sort="name", card="note"),
            Column("company", "Company", "company.name", sort="company__name", card="note"),
            Column("type", "Type", "type.name", sort="type__name"),
            Column("status", "State", state, kind="state", sort="status", card="note"),
            Column("start_date", "From", kind="date", sort="start_date"),
            Column("end_date", "Last day", kind="date", sort="end_date"),
            Column("additions", "Additions", "addition_count", kind="quantity"),
            Column("monthly", "A month", lambda row: queries.monthly_value(row, on=on), kind="money", card="figure"),
        ),
        chips=(Chips("status", AgreementStatus.choices),),
        sort="-number",
        url=lambda agreement: reverse("web:agreement", args=[agreement.pk]),
        placeholder="Number, name or company",
    )


@navigation.waiting
def agreements_wait() -> navigation.Waits:
    """Agreements with a period that has begun and is not invoiced, and parked ones."""
    return {
        "agreements_to_invoice": queries.agreements_to_invoice(through=today()),
        "agreements_parked": BillingState.objects.filter(parked_at__isnull=False),
    }


def agreements(request: HttpRequest) -> HttpResponse:
    """All agreements with what they are worth a month."""
    rows = queries.with_cycle_value(queries.agreements(search=search_of(request)), on=today())
    context = {"may": may(request, add=commands.create_agreement), "monthly": _monthly_value(today())}
    return show_list(request, _spec(), rows, "web/agreements/list.html", context)


def _monthly_value(on: date) -> Decimal:
    """What all agreements are worth a month; reckoned again only when somebody did something, or on another day."""
    global _known
    state = (AuditHead.objects.exclude(seq=0).values_list("hash", flat=True).first(), on)
    if _known is None or _known[0] != state:
        _known = (state, queries.total_monthly_value(on=on))
    return _known[1]


_known: tuple[tuple[str | None, date], Decimal] | None = None


# -- one agreement -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdditionView:
    """An addition as it is today, and what is to come."""

    addition: Addition
    now: Values
    amount: Decimal
    to_come: str
    is_over: bool
    committed: date | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something in the history of the additions, as ``<c-thread>`` shows it."""

    icon: str
    title: str
    on: date
    note: str
    amount: Decimal | None = None
    state: str = ""
    url: str = ""
    current: bool = False
    difference: str = ""


@dataclass(frozen=True, slots=True)
class RecapView:
    """An application period as the gauge shows it."""

    row: RecapRow
    granted: Decimal
    used: Decimal
    share: Decimal
    whole: Decimal
    is_over: bool


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """An agreement: its recap, additions with their history, what is invoiced next, what has been, its family."""
    agreement = find(pk)
    on = today()
    prefetch_related_objects(
        [agreement], "additions__product", "additions__changes", "additions__origin__opportunity", "billing_amounts"
    )
    additions = sorted(agreement.additions.all(), key=lambda each: each.position)
    following = next_period(agreement) if agreement.status == AgreementStatus.ACTIVE else None
    is_covering = agreement.application_unlimited or agreement.application_limit is not None
    periods = recap(agreement_id=pk, on=on) if is_covering else ()
    current = next((row for row in reversed(periods) if row.is_current), None)
    can = may(
        request,
        edit=commands.update_agreement,
        add=commands.add_addition,
        cancel=commands.cancel_agreement,
        invoice=billing.invoice_agreement,
        period=commands.cancel_period,
        create=commands.create_agreement,
    )
    is_active = agreement.status == AgreementStatus.ACTIVE
    is_used_up = agreement.expire_when_zero and pk in used_up(on=on, agreement_ids=[pk])
    context = {
        "agreement": agreement,
        "shown_state": "used_up" if is_used_up else agreement.status,
        "today": on,
        "additions": [_addition_view(each, on) for each in additions],
        "history": sorted(_events(agreement, additions, on), key=lambda event: event.on, reverse=True)[:EVENTS],
        "billed": billed_in_words(agreement),
        "covers": covers_in_words(agreement),
        "is_covering": is_covering,
        "notes": list(without_effect(agreement)),
        "amount": billing_amount_on(agreement, max(on, agreement.start_date)),
        "monthly": queries.monthly_value(agreement, on=max(on, agreement.start_date)),
        "recap": _recap_view(current) if current else None,
        "periods": [_recap_view(row) for row in periods[-PERIODS:][::-1]] if is_covering else [],
        "next_period": following,
        "adjustments": list(agreement.adjustments.order_by("-date", "-id")) if is_covering else [],
        "cancelled": list(agreement.cancelled_periods.order_by("-period_start")),
        "children": sorted(agreement.children.all(), key=lambda each: each.number),
        "rates": rates_of(agreement),
        "facts": facts_of(agreement, ParametersForm()),
        "state": getattr(agreement, "billing_state", None),
        "renewed_by": getattr(agreement, "renewed_by", None),
        "invoices": list(invoices.invoices(agreement_id=pk)[:12]),
        "may": can,
        "may_change": can["edit"] and is_active,
        "can_invoice": can["invoice"] and following is not None,
        "is_active": is_active,
        **waits_of(request, agreement_id=pk),
        "deposits": deposits_of(agreement=agreement),
        "prepaid": next(iter(prepaid(on=on, agreement_ids=[pk])), None) if agreement.prepayment else None,
        "may_earn": may(request, earn=earn_lapsed)["earn"],
        **side_of(agreement),
    }
    return render(request, "web/agreements/agreement.html", context)


def upcoming(request: HttpRequest, pk: int) -> HttpResponse:
    """The next invoices, by the engine of the billing run; a part of the agreement's page."""
    found = next_invoices(pk)
    return render(request, "web/agreements/upcoming.html", {"upcoming": found, "asked": pk})


def _addition_view(addition: Addition, on: date) -> AdditionView:
    now = values_on(addition, max(on, addition.effective_date))
    coming = [values for values in history_of(addition) if values.since > max(on, addition.effective_date)]
    is_over = addition.never_in_force or (addition.cancelled_date is not None and addition.cancelled_date < on)
    to_come = f"from {format_date(coming[0].since)}: {_difference(now, coming[0])}" if coming and not is_over else ""
    committed = term_through(addition, on)
    return AdditionView(addition, now, extend(now.billed_quantity, now.unit_price), to_come, is_over, committed)


def _difference(before: Values, after: Values) -> str:
    """``quantity 45 → 51, price 22 → 23.5``."""
    names = (("quantity", "quantity"), ("less_included", "included"), ("unit_price", "price"), ("unit_cost", "cost"))
    return ", ".join(
        f"{words} {plain_number(getattr(before, name))} → {plain_number(getattr(after, name))}"
        for name, words in names
        if getattr(before, name) != getattr(after, name)
    )


def _events(agreement: Agreement, additions: list[Addition], on: date) -> Iterator[Event]:
    """What has become of the additions and the billing amount, and what will."""
    amounts = billing_amounts(agreement)
    for (_, old), (since, new) in pairwise(amounts):
        words = f"{format_money(old)} → {format_money(new)}"
        yield Event("cash", "Billing amount", since, words, new - old, _ahead(since, on))
    for addition in additions:
        history = history_of(addition)
        first = history[0]
        yield Event(
            "plus", addition.description, addition.effective_date,
            f"{plain_number(first.quantity)} × {format_money(first.unit_price)}",
            extend(first.billed_quantity, first.unit_price), _ahead(addition.effective_date, on),
        )  # fmt: skip
        reasons = {row.effective_date: row.reason for row in addition.changes.all()}
        for before, after in pairwise(history):
            reason = reasons.get(after.since, "")
            yield Event(
                "pencil", addition.description, after.since,
                _difference(before, after) + (f" · {reason}" if reason else ""),
                extend(after.billed_quantity, after.unit_price) - extend(before.billed_quantity, before.unit_price),
                _ahead(after.since, on),
            )  # fmt: skip
        if addition.cancelled_date is not None:
            last = values_on(addition, addition.cancelled_date)
            gone = addition.cancelled_date + timedelta(days=1)
            through = format_date(addition.cancelled_date)
            yield Event(
                "ban", addition.description, gone,
                "cancelled, never in force" if addition.never_in_force else f"cancelled, billed through {through}",
                -extend(last.billed_quantity, last.unit_price), _ahead(gone, on),
            )  # fmt: skip


def _ahead(day: date, on: date) -> str:
    return "to come" if day > on else ""


def _recap_view(row: RecapRow) -> RecapView:
    granted = row.starting_units + row.carried_in_units + row.adjustment_units + row.lapsed_units
    used = -row.used_units
    whole = max(granted, used)
    share = used * 100 / whole if whole > 0 else Decimal(0)
    return RecapView(row, granted, used, share, whole, is_over=row.overrun_units > 0)


urlpatterns = [
    path("agreements/", agreements, name="agreements"),
    path("agreements/<int:pk>/", detail, name="agreement"),
    path("agreements/<int:pk>/upcoming/", upcoming, name="agreement_upcoming"),
]
