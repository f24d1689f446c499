"""What of agreements is not invoiced yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

from django.db import connection

from counterfoil.agreements.billing_state import cancelled_starts, invoiced_starts, period_of
from counterfoil.agreements.models import Agreement
from counterfoil.agreements.queries import all_periods
from counterfoil.billing.rating import Asked, rate
from counterfoil.billing.runs import due_agreements
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, round_money, sum_money
from counterfoil.ledger.models import AccountingPeriod
from counterfoil.ledger.queries import books_reach

#: As many agreements are rated to say what is not billed; with more of them, it is summed up at today's prices.
_RATED: Final = 100


def period_to_bill(agreement: Agreement, period_start: date | None) -> Period:
    """The period that starts on ``period_start``; without one the earliest that is not invoiced.

    Raises:
        DomainError: ``already_invoiced``; ``invalid`` when no period starts then or it is cancelled; ``wrong_state``
            when the agreement has no period left.
    """
    billed, cancelled = invoiced_starts(agreement), cancelled_starts(agreement)
    for period in all_periods(agreement):
        if period_start is None and period.start not in billed | cancelled:
            return period
        if period.start == period_start:
            if period.start in billed:
                raise DomainError("already_invoiced", f"{agreement} is invoiced for {period.label} already.")
            if period.start in cancelled:
                raise DomainError("invalid", f"{period.label} of {agreement} was cancelled.", field="period_start")
            return period
        if period_start is not None and period.start > period_start:
            break
    if period_start is None:
        raise DomainError("wrong_state", f"{agreement} is invoiced to its end; nothing is left to bill.")
    raise DomainError(
        "invalid",
        f"No billing period of {agreement} starts on {format_date(period_start)}.",
        field="period_start",
        hint=f"Its periods are counted from {format_date(agreement.bill_start_date)}.",
    )


@dataclass(frozen=True, slots=True)
class UnbilledPeriod:
    """A period that is due and not invoiced, and what its invoice comes to before tax."""

    agreement_id: int
    agreement: str
    name: str
    company_id: int
    customer: str
    period: Period
    amount: Decimal


def unbilled_periods(
    *, through: date, agreement_id: int | None = None, company_id: int | None = None
) -> list[UnbilledPeriod]:
    """Every invoice that is due through a day (WE-19) and not made, oldest first; children are on their parent's.

    An agreement that cannot be billed stands there with its next period and nothing.
    """
    ids = due_agreements(through=through, company_id=company_id)
    if agreement_id is not None:
        ids = [pk for pk in ids if pk == agreement_id]
    rating = rate(ids, Asked(through, bounded=False))
    billed = {invoice.agreement_id for invoice in rating.invoices}
    named = {
        pk: (name, customer)
        for pk, name, customer in Agreement.objects.filter(pk__in=billed).values_list("pk", "name", "company__name")
    }
    rows = [
        UnbilledPeriod(
            agreement_id=invoice.agreement_id,
            agreement=invoice.agreement,
            name=named[invoice.agreement_id][0],
            company_id=invoice.company_id,
            customer=named[invoice.agreement_id][1],
            period=Period(invoice.period_start, invoice.period_end),
            amount=invoice.subtotal,
        )
        for invoice in rating.invoices
    ]
    left_out = Agreement.objects.filter(pk__in=[each.agreement_id for each in rating.parked])
    rows += [
        UnbilledPeriod(
            agreement_id=agreement.pk,
            agreement=agreement.number,
            name=agreement.name,
            company_id=agreement.company_id,
            customer=agreement.company.name,
            period=period_of(agreement, agreement.billing_state.next_period),
            amount=ZERO,
        )
        for agreement in left_out.select_related("company", "billing_state", "parent")
    ]
    return sorted(rows, key=lambda row: (row.period.start, row.agreement_id))


@dataclass(frozen=True, slots=True)
class Unbilled:
    """What is due and not invoiced: of how many agreements, and what it comes to before tax."""

    agreements: int
    amount: Decimal


_AT_TODAYS_PRICES: Final = """
    WITH family AS (
        SELECT a.id, a.billing_amount FROM agreements_agreement a
        WHERE a.id = ANY(%(ids)s) OR a.parent_id = ANY(%(ids)s)
    )
    SELECT coalesce((SELECT sum(billing_amount) FROM family), 0) + coalesce((
        SELECT sum(round(greatest(d.quantity - d.less_included, 0) * d.unit_price, 2))
        FROM agreements_addition d JOIN family f ON f.id = d.agreement_id
        WHERE d.billing_option = 'Billable' AND d.effective_date <= %(on)s
            AND (d.cancelled_date IS NULL OR d.cancelled_date >= %(on)s)
    ), 0)
"""


def unbilled(*, through: date) -> Unbilled:
    """What is due through a day, in a sum: to the cent for some agreements; for many, one period of each as it is then.

    Quick enough for a page however many agreements there are.
    """
    ids = due_agreements(through=through)
    if len(ids) <= _RATED:
        rows = unbilled_periods(through=through)
        return Unbilled(len({row.agreement_id for row in rows}), sum_money(row.amount for row in rows))
    with connection.cursor() as cursor:
        cursor.execute(_AT_TODAYS_PRICES, {"ids": ids, "on": through})
        row = cursor.fetchone()
    return Unbilled(len(ids), round_money(row[0]) if row else ZERO)


def refuse_beyond_the_books(through: date, periods: Iterable[AccountingPeriod] | None = None) -> None:
    """Refuse to look for periods after the last accounting period: a slip of the year would bill decades.

    Args:
        through: the last day to bill.
        periods: the accounting periods, where they are known.

    Raises:
        DomainError: ``period_missing``.
    """
    reaches = books_reach(through) if periods is None else any(period.end > through for period in periods)
    if not reaches:
        raise DomainError(
            "period_missing",
            f"The books do not reach {format_date(through)}: there is no accounting period so late.",
            field="through",
            hint=f"Check the year, or open the periods of {through.year} under Books, Periods.",
        )
