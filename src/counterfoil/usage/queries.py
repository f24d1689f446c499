"""What is known about time, expenses and products: what agreements cover of them, and what waits to be billed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    Case,
    Count,
    DecimalField,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from counterfoil.agreements.models import Adjustment, Agreement, AgreementStatus, BillingOption
from counterfoil.core.coverage import OPEN_END, Pool, pool_label
from counterfoil.platform.fields import money_field
from counterfoil.platform.lookup import existing
from counterfoil.usage import allocating
from counterfoil.usage.models import Allocation, Charge, OpenPart

#: What is billed of a charge: what its agreement does not cover, if it is billed at all and not written off.
_DUE: Final = Case(
    When(~Q(billing_option=BillingOption.BILLABLE) | Q(written_off_at__isnull=False), then=Value(Decimal(0))),
    default=Coalesce("allocation__overage_amount", "amount"),
    output_field=money_field(),
)


def charges(
    *,
    search: str = "",
    company_id: int | None = None,
    agreement_id: int | None = None,
    kind: str = "",
    status: str = "",
    ticket: str = "",
    since: date | None = None,
    through: date | None = None,
) -> QuerySet[Charge]:
    """Time, expenses and products, newest first, with what covers them and ``due_amount``, what is billed of them.

    Args:
        search: words of the description, the ticket, the member or the company's name.
        company_id: of one customer.
        agreement_id: applied to one agreement.
        kind: time, expense or product.
        status: ``open`` (to be billed), ``billed`` or ``written_off``.
        ticket: of one ticket.
        since: first day.
        through: last day.
    """
    rows = Charge.objects.select_related(
        "company", "agreement", "site", "work_role", "work_type", "expense_type", "product", "allocation"
    ).annotate(due_amount=_DUE)
    for word in search.split():
        rows = rows.filter(
            Q(description__icontains=word)
            | Q(ticket__icontains=word)
            | Q(member__icontains=word)
            | Q(company__name__icontains=word)
        )
    same = {"company_id": company_id, "agreement_id": agreement_id, "kind": kind, "ticket": ticket}
    within = {"date__gte": since, "date__lte": through}
    rows = rows.filter(**{name: value for name, value in (same | within).items() if value})
    return rows.filter(_STATUSES[status]) if status in _STATUSES else rows


#: What an overrun limit cuts in two: part of it rides on the agreement's invoice, the rest is billed by itself.
SPLIT: Final = Q(
    billing_option=BillingOption.BILLABLE,
    allocation__bill_from__isnull=False,
    allocation__overrun_quantity__gt=0,
    allocation__overrun_quantity__lt=F("allocation__overage_quantity"),
    allocation__overrun_amount__gt=0,
    allocation__overrun_amount__lt=F("allocation__overage_amount"),
)


def is_split(charge: Charge) -> bool:
    """Whether a charge with its allocation loaded is one of :data:`SPLIT`."""
    found: Allocation | None = getattr(charge, "allocation", None)
    return (
        found is not None
        and charge.billing_option == BillingOption.BILLABLE
        and found.bill_from is not None
        and 0 < found.overrun_quantity < found.overage_quantity
        and 0 < found.overrun_amount < found.overage_amount
    )


_STATUSES: Final = {
    "open": (Q(billed=False) | ~Q(open_part="")) & Q(written_off_at=None),
    "billed": Q(billed=True, open_part=""),
    "written_off": Q(written_off_at__isnull=False),
}


def charge(charge_id: int) -> Charge | None:
    """One charge with everything a page shows of it."""
    return charges().filter(pk=charge_id).first()


def charges_to_bill(
    *, through: date, company_id: int | None = None, agreement_id: int | None = None
) -> QuerySet[Charge]:
    """What an invoice of work, expenses and products shows: all that is open through a day, oldest first.

    Covered work is among it, at nothing due, and so is what is shown at no charge; what is not to be billed is not.
    Overruns wait for the end of their period; what of the same entry is beyond the limit does not. Decide the
    agreements anew before billing by it (:func:`counterfoil.usage.allocating.refresh`), since their terms may have
    changed.
    """
    is_due = Q(allocation__bill_from__isnull=True) | Q(allocation__bill_from__lte=through + timedelta(days=1))
    is_due |= Q(open_part=OpenPart.BEYOND) | (SPLIT & Q(billed=False))
    rows = charges(company_id=company_id, agreement_id=agreement_id, status="open", through=through)
    return rows.filter(is_due).exclude(billing_option=BillingOption.DO_NOT_BILL).order_by("date", "id")


@dataclass(frozen=True, slots=True)
class UnbilledRow:
    """What of a customer's work, expenses and products waits to be billed."""

    company_id: int
    company: str
    charges: int
    first_date: date
    last_date: date
    covered_amount: Decimal
    due_amount: Decimal


def unbilled(*, through: date) -> tuple[UnbilledRow, ...]:
    """What waits to be billed through a day, by customer, most first (one statement)."""
    beyond = F("allocation__overage_amount") - F("allocation__overrun_amount")
    waits = SPLIT & Q(billed=False, allocation__bill_from__gt=through + timedelta(days=1))
    due = Case(
        When(Q(open_part=OpenPart.BEYOND) | waits, then=beyond),
        When(open_part=OpenPart.OVERRUN, then=F("allocation__overrun_amount")),
        default=_DUE,
        output_field=money_field(),
    )
    rows = (
        charges_to_bill(through=through)
        .order_by()
        .values("company_id", "company__name")
        .annotate(
            count=Count("id"),
            first=Min("date"),
            last=Max("date"),
            covered=Coalesce(Sum("allocation__covered_amount"), Value(Decimal(0)), output_field=money_field()),
            due=Sum(due),
        )
        .order_by("-due", "company__name")
    )
    return tuple(
        UnbilledRow(
            row["company_id"], row["company__name"], row["count"], row["first"], row["last"], row["covered"], row["due"]
        )
        for row in rows
    )


# -- coverage ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RecapRow:
    """The running balance of one application period of an agreement, in its units (WE-26).

    ``remaining`` = starting + carried in + adjustments + used + lapsed, where used and lapsed are zero or below;
    ``available`` counts what may be overrun, and is empty without a bound. ``period_end`` is the last day, empty for a
    one-time agreement without end.
    """

    agreement_id: int
    agreement: str
    label: str
    period_start: date
    period_end: date | None
    application_units: str
    starting_units: Decimal
    carried_in_units: Decimal
    adjustment_units: Decimal
    used_units: Decimal
    lapsed_units: Decimal
    remaining_units: Decimal
    overrun_units: Decimal
    available_units: Decimal | None
    expired: bool
    is_current: bool


def recap(*, agreement_id: int, on: date) -> tuple[RecapRow, ...]:
    """The application periods of an agreement through a day, oldest first, as its charges have been decided.

    Raises:
        DomainError: ``not_found``.
    """
    agreement = existing(Agreement.objects.all(), agreement_id)
    return _recap(_standing([agreement], on)[agreement.pk], on)


def current_recaps(*, on: date, agreement_ids: list[int] | None = None) -> dict[int, RecapRow]:
    """The application period a day lies in, by agreement; for a list (a constant number of statements)."""
    rows = Agreement.objects.filter(Q(application_limit__isnull=False) | Q(application_unlimited=True))
    if agreement_ids is not None:
        rows = rows.filter(pk__in=agreement_ids)
    found = {}
    for pk, outcome in _standing(rows, on).items():
        current = [row for row in _recap(outcome, on) if row.is_current]
        if current:
            found[pk] = current[0]
    return found


def used_up(*, on: date, agreement_ids: list[int] | None = None) -> frozenset[int]:
    """The agreements that expire when nothing is left and of which nothing was left on the day, or before.

    They cover nothing any more, whatever is added later; ConnectWise shows them as Expired. Of many agreements only
    those are decided that have drawn as much as their limit (a constant number of statements).
    """
    rows = Agreement.objects.filter(expire_when_zero=True, application_unlimited=False, application_limit__isnull=False)
    rows = rows.filter(start_date__lte=on).exclude(status=AgreementStatus.CANCELLED)
    if agreement_ids is not None:
        rows = rows.filter(pk__in=agreement_ids)
    drawn = Allocation.objects.filter(agreement=OuterRef("pk")).order_by().values("agreement").annotate(n=Sum("drawn"))
    less = Adjustment.objects.filter(agreement=OuterRef("pk"), amount__lt=0).order_by().values("agreement")
    nothing = Value(Decimal(0), DecimalField())
    rows = rows.annotate(
        drawn=Coalesce(Subquery(drawn.values("n")), nothing),
        less=Coalesce(Subquery(less.annotate(n=Sum("amount")).values("n")), nothing),
    ).filter(application_limit__lte=F("drawn") - F("less"))
    found = list(rows)
    outcomes = allocating.decide(found, through=on) if found else {}
    return frozenset(
        pk
        for pk, outcome in outcomes.items()
        if any(pool.expired and pool.period.start <= on for pool in outcome.coverage.pools)
    )


def _standing(agreements: Iterable[Agreement], on: date) -> dict[int, allocating.Outcome]:
    """The pools as written allocations have left them (a constant number of statements)."""
    known = list(agreements)
    drawn = allocating.settled([agreement.pk for agreement in known])
    return allocating.decide(known, through=on, charges={}, settled=drawn)


def _recap(outcome: allocating.Outcome, on: date) -> tuple[RecapRow, ...]:
    return tuple(_recap_row(outcome.agreement, pool, on) for pool in outcome.coverage.pools)


def _recap_row(agreement: Agreement, pool: Pool, on: date) -> RecapRow:
    return RecapRow(
        agreement_id=agreement.pk,
        agreement=agreement.number,
        label=pool_label(pool.period),
        period_start=pool.period.start,
        period_end=None if pool.period.end == OPEN_END else pool.period.inclusive_end,
        application_units=agreement.application_units,
        starting_units=pool.starting,
        carried_in_units=pool.carried_in,
        adjustment_units=pool.adjustments,
        used_units=pool.used,
        lapsed_units=pool.lapsed,
        remaining_units=pool.remaining,
        overrun_units=pool.overrun,
        available_units=pool.available,
        expired=pool.expired,
        is_current=on in pool.period,
    )


@dataclass(frozen=True, slots=True)
class ReallocationRow:
    """What becomes of one charge when its agreement is decided anew. ``billed`` ones stay as they are."""

    charge_id: int
    on: date
    kind: str
    description: str
    quantity: Decimal
    amount: Decimal
    billed: bool
    changes: bool
    old_covered_quantity: Decimal
    old_covered_amount: Decimal
    old_overage_amount: Decimal
    new_covered_quantity: Decimal
    new_covered_amount: Decimal
    new_overage_amount: Decimal
    reason: str
    explanation: str


def preview_reallocation(*, agreement_id: int, update_rates: bool = False) -> tuple[ReallocationRow, ...]:
    """What deciding an agreement anew would change, charge by charge in the order of date; nothing is written.

    Raises:
        DomainError: ``not_found``; and as :func:`counterfoil.usage.commands.reallocate_agreement`.
    """
    agreement = existing(Agreement.objects.all(), agreement_id)
    found = allocating.charges_of([agreement_id])
    if update_rates:
        allocating.rerate(found.get(agreement_id, []))
    outcome = allocating.decide([agreement], charges=found)[agreement_id]
    return tuple(_reallocation_row(decision) for decision in outcome.decisions)


def _reallocation_row(decision: allocating.Decision) -> ReallocationRow:
    charge, new = decision.charge, decision.new
    old: Any = decision.old or Allocation(charge=charge)
    return ReallocationRow(
        charge_id=charge.pk,
        on=charge.date,
        kind=charge.kind,
        description=charge.description,
        quantity=charge.billed_quantity,
        amount=charge.amount,
        billed=charge.billed,
        changes=decision.matters,
        old_covered_quantity=old.covered_quantity,
        old_covered_amount=old.covered_amount,
        old_overage_amount=old.overage_amount,
        new_covered_quantity=new.covered_quantity,
        new_covered_amount=new.covered_amount,
        new_overage_amount=new.overage_amount,
        reason=new.reason,
        explanation=new.explanation,
    )
