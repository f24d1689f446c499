"""What agreements are worth a month (MRR), reckoned by the database for any number of them and days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db import connection
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from counterfoil.agreements.models import Agreement
from counterfoil.core.calendar import Cycle
from counterfoil.core.money import round_money
from counterfoil.platform.fields import price_field

#: Every stretch of days on which a billing amount or an addition has one value for a cycle, exact.
_PARTS: Final = """
    SELECT d.agreement_id, greatest(d.quantity - d.less_included, 0) * d.unit_price AS amount,
        d.effective_date AS first_day, d.cancelled_date AS last_day
    FROM agreements_addition d
    WHERE d.billing_option = 'Billable'
        AND NOT EXISTS (SELECT 1 FROM agreements_additionchange c WHERE c.addition_id = d.id)
    UNION ALL
    SELECT d.agreement_id, greatest(c.quantity - c.less_included, 0) * c.unit_price,
        CASE WHEN lag(c.id) OVER w IS NULL THEN d.effective_date ELSE c.effective_date END,
        least(d.cancelled_date, lead(c.effective_date) OVER w - 1)
    FROM agreements_additionchange c JOIN agreements_addition d ON d.id = c.addition_id
    WHERE d.billing_option = 'Billable'
    WINDOW w AS (PARTITION BY d.agreement_id, c.addition_id ORDER BY c.effective_date)
    UNION ALL
    SELECT a.id, a.billing_amount, a.start_date, NULL
    FROM agreements_agreement a
    WHERE a.billing_amount > 0
        AND NOT EXISTS (SELECT 1 FROM agreements_billingamountchange c WHERE c.agreement_id = a.id)
    UNION ALL
    SELECT c.agreement_id, c.billing_amount,
        CASE WHEN lag(c.id) OVER w IS NULL THEN '-infinity' ELSE c.effective_date END,
        lead(c.effective_date) OVER w - 1
    FROM agreements_billingamountchange c
    WINDOW w AS (PARTITION BY c.agreement_id ORDER BY c.effective_date)
"""

#: The first and the last day on which a part counts: those of the part and of the agreement both.
_FIRST: Final = "greatest(a.start_date, p.first_day)"
_LAST: Final = "least(a.end_date, a.cancelled_on, p.last_day, 'infinity')"

#: The parts summed up by which of the days asked for they begin after, and through how many of them they last.
_TOTALS: Final = f"""
    SELECT a.billing_cycle, width_bucket({_FIRST} - 1, t.days), width_bucket({_LAST}, t.days), sum(p.amount)
    FROM ({_PARTS}) p
    JOIN agreements_agreement a ON a.id = p.agreement_id AND NOT a.bill_one_time
    CROSS JOIN (SELECT %s::date[] AS days) t
    GROUP BY 1, 2, 3
"""  # noqa: S608 - put together from the texts above

_OF_ONE: Final = f"""
    coalesce((
        SELECT sum(p.amount)
        FROM ({_PARTS}) p
        JOIN agreements_agreement a ON a.id = p.agreement_id AND NOT a.bill_one_time
        WHERE p.agreement_id = agreements_agreement.id AND %s BETWEEN {_FIRST} AND {_LAST}
    ), 0)
"""  # noqa: S608 - put together from the texts above


def total_monthly_values(days: Sequence[date]) -> list[Decimal]:
    """The monthly value of all agreements on each of the days, before tax; one statement.

    What is billed once is not recurring and does not count. Rounded once, from the exact sum.
    """
    ordered = sorted(set(days))
    sums = [Fraction(0)] * len(ordered)
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, [ordered])
        for cycle, begins, ends, amount in cursor.fetchall():
            value = Fraction(amount) * Cycle.parse(cycle).per_month
            for index in range(begins, ends):
                sums[index] += value
    by_day = dict(zip(ordered, map(round_money, sums), strict=True))
    return [by_day[day] for day in days]


def total_monthly_value(*, on: date) -> Decimal:
    """The monthly value of all agreements that run on the day ``on``."""
    return total_monthly_values([on])[0]


def with_cycle_value(rows: QuerySet[Agreement], *, on: date) -> QuerySet[Agreement]:
    """The agreements with ``cycle_value``: what each is worth a cycle on the day, exact, without its children."""
    return rows.annotate(cycle_value=RawSQL(_OF_ONE, [on], output_field=price_field()))  # noqa: S611 - a constant


def monthly_value(agreement: Agreement, *, on: date | None = None) -> Decimal:
    """What an agreement is worth a month, before tax; zero when it does not run or is billed once.

    Args:
        agreement: without its children. Where it comes from :func:`with_cycle_value`, nothing is asked of the database.
        on: the day; not needed then.
    """
    value = agreement.__dict__.get("cycle_value")
    if value is None:
        if on is None:
            raise TypeError("monthly_value() takes the day, or an agreement with its cycle_value")
        found = with_cycle_value(Agreement.objects.filter(pk=agreement.pk), on=on).order_by().only("pk").get()
        value = found.__dict__["cycle_value"]
    return round_money(Fraction(value) * Cycle.parse(agreement.billing_cycle).per_month)
