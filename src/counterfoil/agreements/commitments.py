"""Additions that are committed for a term: whether they may be fewer, or end, before it does."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from counterfoil.agreements.models import Addition, Agreement
from counterfoil.agreements.terms import Values, history_of
from counterfoil.core.calendar import Period
from counterfoil.core.commitment import Commitment
from counterfoil.quotes.models import LineAction

_DAY: Final = timedelta(days=1)


def ensure_may_shrink(addition: Addition, last_day: date, field: str, quantity: Decimal = Decimal(0)) -> None:
    """Refuse to keep no more than ``quantity`` after ``last_day``, where more is committed.

    Each purchase, the first as every increase, opens a window of its own (WE-14); what is given back in it never was
    committed. A renewal buys all of it anew.

    Raises:
        DomainError: ``committed``, with the day the term ends.
    """
    if addition.committed_through is None:
        return
    history, after = _term_of(addition, last_day + _DAY, addition.committed_through + _DAY)
    for purchase in history:
        if purchase.since >= after:
            break
        commitment = Commitment(Period(purchase.since, after), addition.cancellation_days)
        binding = min(
            values.quantity for values in history if purchase.since <= values.since <= commitment.window_end + _DAY
        )
        if binding > quantity:
            commitment.check_last_day(last_day, field)


def _term_of(addition: Addition, day: date, after: date) -> tuple[list[Values], date]:
    """What the addition has been in the term that ``day`` cuts short, and the first day after that term.

    A term begins with the addition, or with a renewal, and goes on to the next.
    """
    renewed = addition.changes.filter(origin__action=LineAction.RENEW, effective_date__lt=after)
    began = date.min
    for renewal in renewed.order_by("effective_date").values_list("effective_date", flat=True):
        if day <= renewal:
            after = renewal
            break
        began = renewal
    return [values for values in history_of(addition) if values.since >= began], after


def ensure_may_end(agreement: Agreement, last_day: date, field: str) -> None:
    """Refuse to end an agreement with ``last_day`` while an addition of its own is committed for longer.

    Raises:
        DomainError: ``committed``, with the day the term ends.
    """
    for addition in agreement.additions.exclude(committed_through=None).prefetch_related("changes"):
        if addition.cancelled_date is None or addition.cancelled_date > last_day:
            ensure_may_shrink(addition, last_day, field)
