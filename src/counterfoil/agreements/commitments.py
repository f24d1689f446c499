"""Additions that are committed for a term: whether they may be fewer, or end, before it does."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from counterfoil.agreements.models import Addition, AdditionChange, Agreement
from counterfoil.agreements.terms import Values, history_of, is_monthly, values_on
from counterfoil.catalog.models import SeatsDown
from counterfoil.core.calendar import Cycle, Period, billing_period, period_index
from counterfoil.core.commitment import Commitment
from counterfoil.quotes.models import LineAction

_DAY: Final = timedelta(days=1)


class _Term(NamedTuple):
    """A term an addition has: what it has been in it, the first day after it, and whether it renewed another one."""

    history: tuple[Values, ...]
    after: date
    is_renewal: bool


def ensure_may_shrink(addition: Addition, last_day: date, field: str, quantity: Decimal = Decimal(0)) -> None:
    """Refuse to keep no more than ``quantity`` after ``last_day``, where more is committed.

    Each purchase, the first as every increase, opens a window of its own (WE-14); what is given back in it never was
    committed. A renewal buys all of it anew. Where seats go down at renewal alone, a renewal opens a window and no
    other purchase does.

    Raises:
        DomainError: ``committed``, with the day the term ends.
    """
    if addition.committed_through is None or addition.seats_down == SeatsDown.ANY_TIME:
        return
    term = _term_of(addition, addition.committed_through, last_day)
    at_renewal = addition.seats_down == SeatsDown.RENEWAL
    for index, purchase in enumerate(term.history):
        if purchase.since >= term.after:
            break
        has_window = not at_renewal or (index == 0 and term.is_renewal)
        commitment = Commitment(
            Period(purchase.since, term.after),
            addition.cancellation_days if has_window else 0,
            addition.cancellation_days if at_renewal else None,
        )
        binding = min(
            values.quantity for values in term.history if purchase.since <= values.since <= commitment.window_end + _DAY
        )
        if binding > quantity:
            commitment.check_last_day(last_day, field)


def _term_of(addition: Addition, committed: date, last_day: date) -> _Term:
    """The term that would be cut short after ``last_day``.

    A term begins with the addition, or with a renewal, and goes on to the next.
    """
    if last_day > committed and goes_on_monthly(addition):
        month = _month_of(addition, committed, last_day)
        begun = values_on(addition, month.start)._replace(since=month.start)
        later = (values for values in history_of(addition) if values.since in month and values.since > month.start)
        return _Term((begun, *later), month.end, is_renewal=True)
    after, began, is_renewal = committed + _DAY, date.min, False
    renewed = addition.changes.filter(origin__action=LineAction.RENEW, effective_date__lt=after)
    for renewal in renewed.order_by("effective_date").values_list("effective_date", flat=True):
        if last_day < renewal:
            after = renewal
            break
        began, is_renewal = renewal, True
    return _Term(tuple(values for values in history_of(addition) if values.since >= began), after, is_renewal)


def is_renewal(change: AdditionChange) -> bool:
    """Whether another term begins with a change."""
    return change.origin is not None and change.origin.action == LineAction.RENEW


def goes_on_monthly(addition: Addition) -> bool:
    """Whether it is committed for a month, and again for each month that it is not ended."""
    return addition.committed_through is not None and bool(addition.term) and is_monthly(addition.term)


def _month_of(addition: Addition, committed: date, day: date) -> Period:
    """The month that a month-to-month addition is committed for on a day after its first month."""
    cycle, anchor = Cycle.parse(addition.term), committed + _DAY
    days = (addition.effective_date, *(values.since for values in history_of(addition)))
    anchor = next((day for day in days if cycle.after(day, 1) == anchor), anchor)  # what began on the 31st: no drift
    return billing_period(anchor, cycle, period_index(anchor, cycle, day))


def term_through(addition: Addition, day: date) -> date | None:
    """The last day of the term an addition has on a day; of what goes on month by month, that of the month.

    ``None`` where it is not committed. After the end of a longer term that is still its last day.
    """
    committed = addition.committed_through
    if committed is None or day <= committed or not goes_on_monthly(addition):
        return committed
    if addition.cancelled_date is not None and day > addition.cancelled_date:
        day = max(committed, addition.cancelled_date)
    return committed if day == committed else _month_of(addition, committed, day).inclusive_end


def ensure_may_end(agreement: Agreement, last_day: date, field: str) -> None:
    """Refuse to end an agreement with ``last_day`` while an addition of its own is committed for longer.

    Raises:
        DomainError: ``committed``, with the day the term ends.
    """
    for addition in agreement.additions.exclude(committed_through=None).prefetch_related("changes"):
        if addition.cancelled_date is None or addition.cancelled_date > last_day:
            ensure_may_shrink(addition, last_day, field)
