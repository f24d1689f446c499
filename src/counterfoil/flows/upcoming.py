"""The next invoices of an agreement, as they stand and as they would be after a change; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import islice, takewhile, zip_longest
from typing import Final

from django.db import transaction

from counterfoil.agreements import billing_state
from counterfoil.agreements.models import Agreement
from counterfoil.agreements.queries import charges_of, period_lines
from counterfoil.agreements.terms import head_of, terms_of
from counterfoil.billing.columns import overages_due
from counterfoil.billing.rated import RatedInvoice
from counterfoil.billing.rating import Asked, rate
from counterfoil.core.calendar import Period
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.core.recurring import next_due
from counterfoil.platform.lookup import existing

#: How many invoices to come are shown.
SHOWN: Final = 3
_ANY_DAY: Final = date(9999, 12, 30)
_FARTHEST: Final = 600  # periods that are looked at, should all of them be invoiced or cancelled


@dataclass(frozen=True, slots=True)
class Upcoming:
    """What an agreement is billed next, by the engine of the billing run.

    ``periods`` are the next ones without an invoice, whether there is anything to bill for them or not; ``refusal``
    says why a run would park the agreement.
    """

    agreement: Agreement
    periods: tuple[Period, ...]
    invoices: tuple[RatedInvoice, ...]
    refusal: DomainError | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """An invoice to come, as it stands and as it would be after a change."""

    before: RatedInvoice | None
    after: RatedInvoice | None

    @property
    def amount(self) -> Decimal:
        """How much more (or, below zero, less) it would come to, before tax."""
        return (self.after.subtotal if self.after else ZERO) - (self.before.subtotal if self.before else ZERO)


def next_invoices(agreement_id: int, *, count: int = SHOWN) -> Upcoming:
    """The next invoices of an agreement; those of a child are its parent's.

    Raises:
        DomainError: ``not_found``.
    """
    agreement = head_of(existing(Agreement.objects.select_related("parent", "billing_state"), agreement_id))
    unbilled = list(islice(_unbilled(agreement), count))
    if not unbilled:
        return Upcoming(agreement, (), ())
    rating = rate([agreement.pk], Asked(through=max(due for due, _ in unbilled), bounded=False))
    refusal = rating.parked[0].reason if rating.parked else None
    return Upcoming(agreement, tuple(period for _, period in unbilled), tuple(rating.invoices[:count]), refusal)


def next_period(agreement: Agreement) -> Period | None:
    """The next period of an agreement that has neither an invoice nor been cancelled; none for a child.

    Of an agreement that is billed once, the next in which something begins, or that bills work beyond what it covers.
    """
    if agreement.parent_id is not None:
        return None
    periods = (period for _, period in _unbilled(agreement))
    if agreement.bill_one_time and not overages_due(_ANY_DAY).filter(agreement=agreement).exists():
        latest = max((charge.effective for charge in charges_of(agreement)), default=date.min)
        begun = takewhile(lambda period: period.start <= latest, periods)
        periods = (period for period in begun if period_lines(agreement, period))
    return next(periods, None)


def _unbilled(agreement: Agreement) -> Iterator[tuple[date, Period]]:
    """Due date and period of those that have neither an invoice nor been cancelled, in order."""
    state = getattr(agreement, "billing_state", None)
    terms = terms_of(agreement)
    gone = billing_state.invoiced_starts(agreement) | billing_state.cancelled_starts(agreement)
    first = state.next_period if state else 0
    for n in range(first, first + _FARTHEST):
        due = next_due(terms, n)
        if due is None:
            return
        period = billing_state.period_of(agreement, n)
        if period.start not in gone:
            yield due, period


def what_if(agreement_id: int, change: Callable[[], object], *, count: int = SHOWN) -> list[Difference]:
    """What a change would make of the next invoices: it is made, looked at, and taken back.

    Args:
        agreement_id: whose invoices.
        change: runs the command; whatever it writes is undone.
        count: of how many invoices.

    Raises:
        DomainError: what the command refuses.
    """
    before = next_invoices(agreement_id, count=count).invoices
    with transaction.atomic():
        change()
        after = next_invoices(agreement_id, count=count).invoices
        transaction.set_rollback(True)
    return [Difference(was, becomes) for was, becomes in zip_longest(before, after)]
