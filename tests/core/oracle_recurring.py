"""What recurring billing should come to, written from the rules, day by day: slow and obvious.

It shares nothing with the engine but its input and the calendar of the periods.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

from counterfoil.core.calendar import Period, billing_period, whole_period
from counterfoil.core.charges import Bill, Booked, Charge, Terms
from counterfoil.core.money import round_money

DAY = timedelta(days=1)


def days_of(period: Period) -> list[date]:
    return [period.start + n * DAY for n in range(period.days)]


def in_effect(terms: Terms, charge: Charge, day: date) -> bool:
    """Whether a charge is in effect on a day."""
    return (
        day >= terms.anchor
        and day >= charge.effective
        and (charge.last_day is None or day <= charge.last_day)
        and (terms.last_day is None or day <= terms.last_day)
    )


def price_on(charge: Charge, day: date) -> Fraction:
    """Quantity times price on a day: the last step that has begun, or the first of all."""
    begun = [step for step in charge.steps if step.start <= day] or [charge.steps[0]]
    return Fraction(begun[-1].quantity) * Fraction(begun[-1].unit_price)


def desired(terms: Terms, charge: Charge, n: int, cancelled: Collection[date] = ()) -> Decimal:
    """What a charge is worth in the n-th period, to the cent, by actual days."""
    period = billing_period(terms.anchor, terms.cycle, n, terms.base)
    divisor = period
    if terms.prorate_first_bill:
        divisor = whole_period(terms.anchor, terms.cycle, n, terms.base)
    if period.start in cancelled:
        return Decimal("0.00")
    days = [day for day in days_of(period) if in_effect(terms, charge, day)]
    if not days:
        return Decimal("0.00")
    if terms.one_time:
        before = in_effect(terms, charge, period.start - DAY)
        return Decimal("0.00") if before else round_money(price_on(charge, days[0]))
    if terms.prorate:
        return round_money(sum((price_on(charge, day) for day in days), Fraction(0)) / divisor.days)
    if days[0] == period.start:
        return round_money(price_on(charge, days[0]) * period.days / divisor.days)
    if in_effect(terms, charge, period.end):
        return Decimal("0.00")
    return round_money(price_on(charge, days[0]))


def is_due(terms: Terms, n: int, through: date) -> bool:
    """Whether the n-th period is due: on its first day in advance, on the last day billed of it in arrears."""
    days = days_of(billing_period(terms.anchor, terms.cycle, n, terms.base))
    if terms.last_day is not None:
        days = [day for day in days if day <= terms.last_day]
    return bool(days) and (days[0] if terms.timing == "advance" else days[-1]) <= through


def as_booked(*bills: Bill) -> list[Booked]:
    """The lines of bills as they are stored and handed in again."""
    return [
        Booked(i.key, i.period.start, i.amount, i.cost, i.quantity, i.unit_price, i.service.start, i.service.end)
        for bill in bills
        for i in bill.items
    ]


def starts_of(*bills: Bill) -> set[date]:
    """First days of the periods that bills are for."""
    return {bill.period.start for bill in bills if bill.period}
