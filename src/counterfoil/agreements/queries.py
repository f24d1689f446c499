"""What is known about agreements: their periods, what a period is worth, and the monthly value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import count, islice, takewhile

from django.db.models import F, Max, Q, QuerySet

from counterfoil.agreements.models import Addition, Agreement, AgreementStatus, AgreementType, BillingOption
from counterfoil.core.calendar import Cycle, Period, nth_period
from counterfoil.core.money import extend, round_money, sum_money
from counterfoil.platform.aggregates import count_of


def agreements(
    *, search: str = "", status: str = "", company_id: int | None = None, agreement_type_id: int | None = None
) -> QuerySet[Agreement]:
    """Agreements, newest first, with ``addition_count`` and their additions; filtered by words, status, company."""
    rows = (
        Agreement.objects.select_related("company", "bill_to", "type", "tax_code", "terms", "site", "opportunity")
        .prefetch_related("additions__product")
        .annotate(addition_count=count_of(Agreement, "additions"))
    )
    for word in search.split():
        rows = rows.filter(Q(number__icontains=word) | Q(name__icontains=word) | Q(company__name__icontains=word))
    if status:
        rows = rows.filter(status=status)
    if company_id is not None:
        rows = rows.filter(company_id=company_id)
    if agreement_type_id is not None:
        rows = rows.filter(type_id=agreement_type_id)
    return rows


def agreement(agreement_id: int) -> Agreement | None:
    """One agreement with everything a page shows of it."""
    return agreements().filter(pk=agreement_id).first()


def agreement_types() -> QuerySet[AgreementType]:
    """Agreement types with ``agreement_count``."""
    return AgreementType.objects.annotate(agreement_count=count_of(AgreementType, "agreements"))


def additions(agreement_id: int) -> QuerySet[Addition]:
    """The additions of an agreement, in order, with product and the quote line they come from."""
    return Addition.objects.filter(agreement_id=agreement_id).select_related("product", "origin__opportunity")


# -- periods -----------------------------------------------------------------------------------------------------------


def last_day(agreement: Agreement) -> date | None:
    """The last day it is billed for; ``None`` when it has no ending date."""
    return min((day for day in (agreement.end_date, agreement.cancelled_on) if day is not None), default=None)


def all_periods(agreement: Agreement) -> Iterator[Period]:
    """The billing periods from the first billing date on, the last one cut at the end; endless without an end."""
    cycle, last = Cycle.parse(agreement.billing_cycle), last_day(agreement)
    for n in count():
        period = nth_period(agreement.bill_start_date, cycle, n)
        if last is not None and period.start > last:
            return
        yield period if last is None else Period(period.start, min(period.end, last + timedelta(days=1)))


def periods(agreement: Agreement, *, through: date) -> tuple[Period, ...]:
    """Every billing period that begins on or before ``through`` (WE-19), invoiced or not."""
    return tuple(takewhile(lambda period: period.start <= through, all_periods(agreement)))


def next_periods(agreement: Agreement, count: int = 1) -> tuple[Period, ...]:
    """The next ``count`` periods after what has been billed; fewer when the agreement ends before."""
    billed_to = billed_through(agreement)
    unbilled = (period for period in all_periods(agreement) if billed_to is None or period.start > billed_to)
    return tuple(islice(unbilled, count))


def billed_through(agreement: Agreement) -> date | None:
    """The last day billed so far, by invoices that are drafts or closed; ``None`` before the first."""
    return _day_before(agreement.invoices.aggregate(end=Max("period_end"))["end"])


def addition_billed_through(addition: Addition) -> date | None:
    """The last day an addition has been billed for; ``None`` before the first."""
    return _day_before(addition.invoice_lines.aggregate(end=Max("invoice__period_end"))["end"])


def _day_before(day: date | None) -> date | None:
    return None if day is None else day - timedelta(days=1)


# -- amounts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeriodLine:
    """What an agreement bills for one period: its billing amount (no addition) or one addition.

    ``amount`` is quantity × unit price, to the cent, before tax; zero for what is not charged.
    """

    addition: Addition | None
    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    unit_cost: Decimal
    taxable: bool


def is_effective(addition: Addition, period: Period) -> bool:
    """Whether an addition is billed for some day of the period."""
    ends_before = addition.cancelled_date is not None and addition.cancelled_date < period.start
    return addition.effective_date < period.end and not ends_before


def period_lines(agreement: Agreement, period: Period) -> tuple[PeriodLine, ...]:
    """What is billed for ``period``: the billing amount, then the additions in order.

    A period is billed in full (WE-18). ``DoNotBill`` additions carry cost alone and do not appear; ``NoCharge`` ones
    do, at zero.
    """
    lines = []
    if agreement.billing_amount:
        lines.append(
            PeriodLine(
                None,
                agreement.name,
                Decimal(1),
                agreement.billing_amount,
                round_money(agreement.billing_amount),
                Decimal(0),
                agreement.billing_amount_taxable,
            )
        )
    for addition in agreement.additions.all():
        if addition.billing_option == BillingOption.DO_NOT_BILL or not is_effective(addition, period):
            continue
        price = addition.unit_price if addition.billing_option == BillingOption.BILLABLE else Decimal(0)
        quantity = max(addition.quantity - addition.less_included, Decimal(0))
        lines.append(
            PeriodLine(
                addition,
                addition.description,
                quantity,
                price,
                extend(quantity, price),
                addition.unit_cost,
                addition.taxable,
            )
        )
    return tuple(lines)


def period_amount(agreement: Agreement, period: Period) -> Decimal:
    """What an agreement bills for ``period``, before tax."""
    return sum_money(line.amount for line in period_lines(agreement, period))


def monthly_value(agreement: Agreement, *, on: date) -> Decimal:
    """What an agreement is worth a month (MRR) on the day ``on``, before tax; zero when it does not run then."""
    last = last_day(agreement)
    if on < agreement.start_date or (last is not None and on > last):
        return round_money(Decimal(0))
    amount = period_amount(agreement, Period(on, on + timedelta(days=1)))
    return round_money(Fraction(amount) * Cycle.parse(agreement.billing_cycle).per_month)


def total_monthly_value(*, on: date, among: Iterable[Agreement] | None = None) -> Decimal:
    """The monthly value of all agreements that run on the day ``on`` (two queries)."""
    rows = running_on(on).prefetch_related("additions") if among is None else among
    return sum_money(monthly_value(agreement, on=on) for agreement in rows)


def running_on(on: date) -> QuerySet[Agreement]:
    """Agreements that run on the day ``on``."""
    return Agreement.objects.filter(
        Q(end_date__isnull=True) | Q(end_date__gte=on),
        Q(cancelled_on__isnull=True) | Q(cancelled_on__gte=on),
        start_date__lte=on,
    )


def agreements_to_invoice(*, through: date) -> QuerySet[Agreement]:
    """Active agreements with a period that has begun by ``through`` and is on no invoice yet, drafts included."""
    return (
        Agreement.objects.filter(status=AgreementStatus.ACTIVE, bill_start_date__lte=through)
        .annotate(billed_to=Max("invoices__period_end"))
        .filter(
            Q(billed_to__isnull=True)
            | (Q(billed_to__lte=through) & (Q(end_date__isnull=True) | Q(end_date__gte=F("billed_to"))))
        )
    )
