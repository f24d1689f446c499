"""What is known about agreements: lists, their periods, what a period bills, their history, and the monthly value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count, islice, takewhile
from typing import Final, cast

from django.db.models import Max, Q, QuerySet

from counterfoil.agreements.billing_state import cancelled_starts
from counterfoil.agreements.models import (
    Addition,
    Agreement,
    AgreementStatus,
    AgreementType,
    BillingOption,
    BillingState,
)
from counterfoil.agreements.parameters import without_effect
from counterfoil.agreements.terms import (
    ChargeKey,
    billing_amount_on,
    charges_of,
    history_of,
    is_monthly,
    last_day,
    own_charges_of,
    quantity_on,
    terms_of,
    values_on,
)
from counterfoil.agreements.worth import monthly_value, total_monthly_value, total_monthly_values, with_cycle_value
from counterfoil.core.calendar import Period, billing_period, format_date, period_index
from counterfoil.core.charges import BilledItem
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, extend, sum_money
from counterfoil.core.recurring import bills_due, next_due
from counterfoil.platform.aggregates import count_of

__all__ = [
    "AdditionSpan",
    "AdditionTimeline",
    "PeriodLine",
    "Standing",
    "addition_state",
    "additions",
    "agreement",
    "agreement_notes",
    "agreement_types",
    "agreements",
    "agreements_to_invoice",
    "all_periods",
    "billed_through",
    "billing_amount_on",
    "changed_since_billed",
    "charges_of",
    "expiring",
    "history_of",
    "is_monthly",
    "last_day",
    "monthly_value",
    "next_periods",
    "own_charges_of",
    "parked",
    "period_amount",
    "period_lines",
    "periods",
    "quantity_on",
    "running_on",
    "shown_state",
    "standing",
    "terms_of",
    "timeline",
    "total_monthly_value",
    "total_monthly_values",
    "values_on",
    "with_cycle_value",
    "with_history",
]

#: The states that pages show, and what they are called; they follow from the dates.
STATES: Final = {
    "active": "Active",
    "inactive": "Not begun",
    "expired": "Expired",
    "cancelled": "Cancelled",
}


# -- lists -------------------------------------------------------------------------------------------------------------


def agreements(
    *,
    search: str = "",
    status: str = "",
    state: str = "",
    on: date | None = None,
    company_id: int | None = None,
    agreement_type_id: int | None = None,
    parent_id: int | None = None,
    parked: bool | None = None,
) -> QuerySet[Agreement]:
    """Agreements, newest first, with ``addition_count``; filtered by words, status, company, type, parent.

    Args:
        search: words of the number, the name or the company's name.
        status: as it was decided: active, cancelled or ended.
        state: as it shows on the day ``on``: active, inactive, expired or cancelled.
        on: the day, for ``state``.
        company_id: whose they are.
        agreement_type_id: their template.
        parent_id: the agreement they are billed with.
        parked: left out by billing runs until they are mended, or not.

    Raises:
        DomainError: ``required`` for a state without a day.
    """
    rows = Agreement.objects.select_related(
        "company", "bill_to", "type", "tax_code", "terms", "site", "opportunity", "parent", "billing_state"
    ).annotate(addition_count=count_of(Agreement, "additions"))
    for word in search.split():
        rows = rows.filter(Q(number__icontains=word) | Q(name__icontains=word) | Q(company__name__icontains=word))
    if state:
        if on is None:
            raise DomainError("required", "Say for which day the state is asked.", field="on")
        rows = rows.filter(_in_state(state, on))
    for name, value in (
        ("status", status),
        ("company_id", company_id),
        ("type_id", agreement_type_id),
        ("parent_id", parent_id),
    ):
        if value:
            rows = rows.filter(**{name: value})
    if parked is not None:
        rows = rows.filter(billing_state__parked_at__isnull=not parked)
    return rows


def agreement(agreement_id: int) -> Agreement | None:
    """One agreement with everything a page shows of it."""
    rows = with_history(agreements().select_related("contact", "renews", "renewed_by"))
    return rows.prefetch_related("additions__product").filter(pk=agreement_id).first()


#: What :func:`with_history` loads.
HISTORY: Final = ("additions__changes", "billing_amounts", "children__additions__changes", "children__billing_amounts")


def with_history(rows: QuerySet[Agreement]) -> QuerySet[Agreement]:
    """The agreements with all that :func:`period_lines` and :func:`charges_of` read, in a fixed number of queries."""
    return rows.prefetch_related(*HISTORY)


def agreement_types(*, active: bool | None = None) -> QuerySet[AgreementType]:
    """Agreement types with ``agreement_count``."""
    rows = AgreementType.objects.select_related("terms").annotate(agreement_count=count_of(AgreementType, "agreements"))
    return rows if active is None else rows.filter(active=active)


def additions(agreement_id: int) -> QuerySet[Addition]:
    """The additions of an agreement, in order, with product, changes, and the quote line they come from."""
    rows = Addition.objects.filter(agreement_id=agreement_id)
    return rows.select_related("product", "origin__opportunity").prefetch_related("changes")


def running_on(on: date) -> QuerySet[Agreement]:
    """Agreements that run on the day ``on``."""
    return Agreement.objects.filter(
        Q(end_date__isnull=True) | Q(end_date__gte=on),
        Q(cancelled_on__isnull=True) | Q(cancelled_on__gte=on),
        start_date__lte=on,
    )


def expiring(*, on: date, within_days: int = 90) -> QuerySet[Agreement]:
    """Active agreements whose last day is within so many days of ``on`` and that are not renewed; soonest first."""
    return (
        Agreement.objects.filter(
            status=AgreementStatus.ACTIVE,
            end_date__gte=on,
            end_date__lte=on + timedelta(days=within_days),
            renewed_by__isnull=True,
        )
        .select_related("company", "type", "billing_state")
        .order_by("end_date", "pk")
    )


def parked() -> QuerySet[Agreement]:
    """Agreements that billing runs leave out until they are mended, with their ``billing_state``; longest first."""
    return (
        Agreement.objects.filter(billing_state__parked_at__isnull=False)
        .select_related("company", "type", "billing_state")
        .order_by("billing_state__parked_at", "pk")
    )


def changed_since_billed() -> QuerySet[Agreement]:
    """Agreements of which something that is billed already has changed, and no run has looked at it yet."""
    return (
        Agreement.objects.filter(billing_state__changed_from__isnull=False)
        .select_related("company", "type", "billing_state")
        .order_by("billing_state__changed_from", "pk")
    )


def agreements_to_invoice(*, through: date) -> QuerySet[Agreement]:
    """Agreements that a billing run through that day takes: a period falls due, or billed time has changed."""
    return Agreement.objects.filter(
        Q(billing_state__due_on__lte=through) | Q(billing_state__changed_from__isnull=False),
        billing_state__parked_at__isnull=True,
    )


# -- states ------------------------------------------------------------------------------------------------------------


def shown_state(agreement: Agreement, *, on: date) -> str:
    """A key of :data:`STATES`: not begun before its start, expired after its last day, cancelled when it was."""
    if agreement.status == AgreementStatus.CANCELLED:
        return "cancelled"
    if on < agreement.start_date:
        return "inactive"
    return "expired" if agreement.end_date is not None and on > agreement.end_date else "active"


def _in_state(state: str, on: date) -> Q:
    is_over = Q(end_date__isnull=False, end_date__lt=on)
    kept = ~Q(status=AgreementStatus.CANCELLED)
    return {
        "cancelled": Q(status=AgreementStatus.CANCELLED),
        "inactive": kept & Q(start_date__gt=on),
        "expired": kept & Q(start_date__lte=on) & is_over,
        "active": kept & Q(start_date__lte=on) & ~is_over,
    }.get(state, Q(pk__in=[]))


def addition_state(addition: Addition, *, on: date) -> str:
    """``inactive`` before its first day, ``cancelled`` after its last, ``expired`` after the agreement's, or active.

    What was never in force is ``cancelled`` on every day.
    """
    last = last_day(addition.agreement)
    if addition.never_in_force or (addition.cancelled_date is not None and on > addition.cancelled_date):
        return "cancelled"
    if on < addition.effective_date:
        return "inactive"
    return "expired" if last is not None and on > last else "active"


def agreement_notes(agreement: Agreement) -> tuple[str, ...]:
    """What a page says about an agreement's parameters: those without effect, and what was probably not meant."""
    notes = list(without_effect(agreement))
    if agreement.parent is not None:
        notes.append(
            f"It is billed with {agreement.parent.number}: by its periods, proration, credits, terms and tax code."
        )
    return tuple(notes)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an agreement stands on a day.

    ``state`` as :func:`shown_state`. ``due_on`` is when the next period is billed, ``changed_from`` the first day from
    which billed time has changed, ``parked_reason`` why runs leave it out. ``notes`` are those of
    :func:`agreement_notes`.
    """

    state: str
    monthly_value: Decimal
    billed_through: date | None
    next_period: str
    next_amount: Decimal
    due_on: date | None
    changed_from: date | None
    parked_reason: str
    parked_hint: str
    notes: tuple[str, ...]


def standing(*, agreement_id: int, on: date) -> Standing:
    """Where an agreement stands on the day ``on``: state, worth, what is billed next, what holds it up.

    Raises:
        DomainError: ``not_found``.
    """
    found = agreement(agreement_id)
    if found is None:
        raise DomainError("not_found", f"There is no agreement with the id {agreement_id}.", field="agreement_id")
    state: BillingState | None = getattr(found, "billing_state", None)
    is_billed = found.parent_id is None
    following = next_periods(found) if is_billed else ()
    return Standing(
        state=shown_state(found, on=on),
        monthly_value=monthly_value(found, on=on),
        billed_through=billed_through(found) if is_billed else None,
        next_period=following[0].label if following else "",
        next_amount=period_amount(found, following[0]) if following else ZERO,
        due_on=state.due_on if state else None,
        changed_from=state.changed_from if state else None,
        parked_reason=state.parked_reason if state and state.parked_at else "",
        parked_hint=state.parked_hint if state and state.parked_at else "",
        notes=agreement_notes(found),
    )


# -- periods -----------------------------------------------------------------------------------------------------------


def all_periods(agreement: Agreement) -> Iterator[Period]:
    """The billing periods from the first billing date on, the last one cut at the end; endless without an end."""
    terms = terms_of(agreement)
    for n in count():
        period = billing_period(terms.anchor, terms.cycle, n, terms.base)
        if terms.last_day is not None and period.start > terms.last_day:
            return
        end = period.end if terms.last_day is None else min(period.end, terms.last_day + timedelta(days=1))
        yield Period(period.start, end)


def periods(agreement: Agreement, *, through: date) -> tuple[Period, ...]:
    """Every billing period that begins on or before ``through`` (WE-19), invoiced or not."""
    return tuple(takewhile(lambda period: period.start <= through, all_periods(agreement)))


def next_periods(agreement: Agreement, count: int = 1) -> tuple[Period, ...]:
    """The next ``count`` periods after what has been billed, without cancelled ones; fewer when there are no more.

    Of an agreement that is billed once, those in which something begins.
    """
    billed_to, cancelled = billed_through(agreement), cancelled_starts(agreement)
    unbilled: Iterator[Period] = (
        period
        for period in all_periods(agreement)
        if (billed_to is None or period.start > billed_to) and period.start not in cancelled
    )
    if agreement.bill_one_time:
        latest = max((charge.effective for charge in charges_of(agreement)), default=date.min)
        begun = takewhile(lambda period: period.start <= latest, unbilled)
        unbilled = (period for period in begun if period_lines(agreement, period))
    return tuple(islice(unbilled, count))


def billed_through(agreement: Agreement) -> date | None:
    """The last day billed so far, by invoices that are drafts or closed; ``None`` before the first."""
    standing = agreement.invoices.filter(reversed_by=None, is_adjustment=False).exclude(type="credit_memo")
    end = standing.aggregate(end=Max("period_end"))["end"]
    return None if end is None else end - timedelta(days=1)


# -- amounts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeriodLine:
    """What an agreement bills for one period, or for some days of it: its billing amount (no addition) or one addition.

    ``amount`` and ``cost`` are to the cent, before tax; ``unit_price`` is prorated. ``service`` are the days it is for,
    and ``explanation`` says how the amount comes about.
    """

    agreement: Agreement
    addition: Addition | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    unit_cost: Decimal
    cost: Decimal
    taxable: bool
    service: Period
    explanation: str


def period_lines(agreement: Agreement, period: Period) -> tuple[PeriodLine, ...]:
    """What is billed for ``period`` as things stand: amount and additions, then the children's; parts in part (WE-2).

    What earlier periods still owe is not in it, nor what is booked already. ``DoNotBill`` additions carry cost alone
    and do not appear; ``NoCharge`` ones do, at zero.

    Raises:
        DomainError: ``invalid`` when no period of the agreement begins then.
    """
    terms = terms_of(agreement)
    n = period_index(terms.anchor, terms.cycle, period.start, terms.base)
    if billing_period(terms.anchor, terms.cycle, n, terms.base).start != period.start:
        raise DomainError(
            "invalid", f"No billing period of {agreement} starts on {format_date(period.start)}.", field="period_start",
            hint=f"Its periods are counted from {format_date(terms.anchor)}.",
        )  # fmt: skip
    due = next_due(terms, n)
    if due is None:  # it has ended before
        return ()
    family = {member.pk: member for member in (agreement, *agreement.children.all())}
    by_id = {each.pk: (member, each) for member in family.values() for each in member.additions.all()}
    bills = bills_due(terms, charges_of(agreement), through=due, first=n)
    items = next((bill.items for bill in bills if bill.period and bill.period.start == period.start), ())
    return tuple(_period_line(item, family, by_id) for item in items)


def _period_line(
    item: BilledItem, family: dict[int, Agreement], by_id: dict[int, tuple[Agreement, Addition]]
) -> PeriodLine:
    kind, pk = cast(ChargeKey, item.key)
    member, addition = by_id[pk] if kind == "addition" else (family[pk], None)
    return PeriodLine(
        agreement=member,
        addition=addition,
        description=addition.description if addition else member.name,
        quantity=item.quantity,
        unit_price=item.unit_price,
        amount=item.amount,
        unit_cost=values_on(addition, item.service.start).unit_cost if addition else ZERO,
        cost=item.cost,
        taxable=addition.taxable if addition else member.billing_amount_taxable,
        service=item.service,
        explanation=item.explanation,
    )


def period_amount(agreement: Agreement, period: Period) -> Decimal:
    """What an agreement bills for ``period``, before tax."""
    return sum_money(line.amount for line in period_lines(agreement, period))


# -- history -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AdditionSpan:
    """Days on which an addition has one quantity, price and cost. ``last`` is empty where nothing ends it.

    ``amount`` is what a whole cycle of it bills. ``reason`` is why it changed then.
    """

    first: date
    last: date | None
    quantity: Decimal
    less_included: Decimal
    billed_quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    amount: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class AdditionTimeline:
    """An addition with all that it has been and will be, oldest first; ``state`` as :func:`addition_state`."""

    addition: Addition
    addition_id: int
    state: str
    spans: tuple[AdditionSpan, ...]


def timeline(*, agreement_id: int, on: date) -> tuple[AdditionTimeline, ...]:
    """The additions of an agreement with their changes, in order; ``state`` is that of the day ``on``. Two queries."""
    rows = additions(agreement_id).select_related("agreement")
    return tuple(
        AdditionTimeline(addition, addition.pk, addition_state(addition, on=on), _spans(addition)) for addition in rows
    )


def _spans(addition: Addition) -> tuple[AdditionSpan, ...]:
    end = min((day for day in (addition.cancelled_date, last_day(addition.agreement)) if day is not None), default=None)
    reasons = {row.effective_date: row.reason for row in addition.changes.all()}
    history = history_of(addition)
    spans = []
    for values, after in zip(history, (*history[1:], None), strict=True):
        last = after.since - timedelta(days=1) if after else end
        if end is not None and last is not None and last > end:
            last = end
        if last is not None and last < values.since and values.since > addition.effective_date:
            continue  # it ends before this change
        is_billed = addition.billing_option == BillingOption.BILLABLE
        spans.append(
            AdditionSpan(
                first=max(values.since, addition.effective_date),
                last=last,
                quantity=values.quantity,
                less_included=values.less_included,
                billed_quantity=values.billed_quantity,
                unit_price=values.unit_price,
                unit_cost=values.unit_cost,
                amount=extend(values.billed_quantity, values.unit_price) if is_billed else ZERO,
                reason=reasons.get(values.since, ""),
            )
        )
    return tuple(spans)
