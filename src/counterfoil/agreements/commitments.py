"""Additions that are committed for a term: whether they may be fewer, or end, before it does."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Max

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
    after = addition.committed_through + _DAY
    history = _this_term(addition, after)
    for purchase in history:
        if purchase.since >= after:
            break
        commitment = Commitment(Period(purchase.since, after), addition.cancellation_days)
        binding = min(
            values.quantity for values in history if purchase.since <= values.since <= commitment.window_end + _DAY
        )
        if binding > quantity:
            commitment.check_last_day(last_day, field)


def _this_term(addition: Addition, after: date) -> list[Values]:
    """What the addition has been since its term began: with its first day, or with the latest renewal."""
    renewed = addition.changes.filter(origin__action=LineAction.RENEW, effective_date__lt=after)
    began = renewed.aggregate(day=Max("effective_date"))["day"] or date.min
    return [values for values in history_of(addition) if values.since >= began]


def ensure_may_end(agreement: Agreement, last_day: date, field: str) -> None:
    """Refuse to end an agreement with ``last_day`` while an addition of its own is committed for longer.

    Raises:
        DomainError: ``committed``, with the day the term ends.
    """
    for addition in agreement.additions.exclude(committed_through=None).prefetch_related("changes"):
        if addition.cancelled_date is None or addition.cancelled_date > last_day:
            ensure_may_shrink(addition, last_day, field)
