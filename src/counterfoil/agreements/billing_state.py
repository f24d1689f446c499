"""How far an agreement is billed, kept right by whatever changes it. See :class:`~.models.BillingState`."""

from __future__ import annotations

from datetime import date
from typing import Final

from django.db.models import Exists, OuterRef, Q

from counterfoil.agreements.models import Agreement, BillingState
from counterfoil.agreements.terms import head_of, terms_of
from counterfoil.core.calendar import Period, billing_period, period_index
from counterfoil.core.errors import DomainError
from counterfoil.core.recurring import next_due
from counterfoil.platform.lookup import is_there
from counterfoil.platform.models import Hold

#: The label under which agreements are held; a billing run parks what is.
HELD: Final = "agreements.agreement"


def lock(agreement: Agreement) -> BillingState:
    """The state of an agreement, held until the transaction ends; a child's is its parent's.

    Take the lock after that of the agreement itself, whoever takes both.

    Raises:
        DomainError: ``conflict`` while a billing run is writing its invoices.
    """
    head = head_of(agreement)
    state = BillingState.objects.select_for_update().filter(agreement=head).first()
    if state is None:
        state = BillingState.objects.create(agreement=head, due_on=next_due(terms_of(head), 0))
    if state.run_id is not None:
        raise DomainError(
            "conflict", f"{head.number} is being billed by a run; try again in a moment.",
            hint="The run gives it free as soon as its invoices are written.",
        )  # fmt: skip
    return state


def touch(agreement: Agreement, since: date | None = None) -> BillingState:
    """Note that what is billed from the day ``since`` on may have changed, and reckon when it falls due next.

    What no invoice has reached yet need not be noted: it is billed as it is then.

    Raises:
        DomainError: ``conflict``, as :func:`lock`.
    """
    state = lock(agreement)
    head = head_of(agreement)
    reached = _reached(head, state) if since is not None else None
    if since is not None and reached is not None and since < reached:
        state.changed_from = min(since, state.changed_from or since)
    _reckon(head, state)
    return state


def _reached(head: Agreement, state: BillingState) -> date | None:
    """The first day that no invoice has reached. One before it may be reversed, and is billed again or reissued."""
    ends = [period_of(head, state.next_period).start] if state.next_period else []
    if invoiced := invoiced_starts(head):
        n = index_of(head, max(invoiced))
        ends += [] if n is None else [period_of(head, n).end]
    return max(ends, default=None)


def reckon_due(agreement: Agreement) -> BillingState:
    """Pass over the periods that are invoiced or cancelled, and reckon when the next one falls due.

    Raises:
        DomainError: ``conflict``, as :func:`lock`.
    """
    return touch(agreement)


def back_to(agreement: Agreement, n: int) -> BillingState:
    """Look at the grid's ``n``-th period (and those after it) again: its invoice or its cancellation is gone.

    Raises:
        DomainError: ``conflict``, as :func:`lock`.
    """
    state = lock(agreement)
    state.next_period = min(state.next_period, n)
    _reckon(head_of(agreement), state)
    return state


def _reckon(head: Agreement, state: BillingState) -> None:
    done = invoiced_starts(head) | cancelled_starts(head)
    terms = terms_of(head)
    while (due := next_due(terms, state.next_period)) is not None:
        if period_of(head, state.next_period).start not in done:
            break
        state.next_period += 1
    state.due_on = due if head.parent_id is None else None
    state.save(update_fields=["next_period", "due_on", "changed_from"])


def follow_parent(child: Agreement) -> None:
    """A child has no due date of its own."""
    BillingState.objects.filter(agreement=child).update(due_on=None, changed_from=None)


def period_of(agreement: Agreement, n: int) -> Period:
    """The grid's ``n``-th period (the first is 0), not cut at the agreement's end."""
    terms = terms_of(agreement)
    return billing_period(terms.anchor, terms.cycle, n, terms.base)


def index_of(agreement: Agreement, start: date) -> int | None:
    """Which period of the grid begins on ``start``; ``None`` when none does."""
    terms = terms_of(agreement)
    n = period_index(terms.anchor, terms.cycle, start, terms.base)
    return n if period_of(agreement, n).start == start else None


def invoiced_starts(agreement: Agreement) -> set[date]:
    """First days of the periods that have their invoice, drafts included; not those whose invoice was reversed."""
    rows = agreement.invoices.filter(period_start__isnull=False, is_adjustment=False, reversed_by=None).exclude(
        type="credit_memo"
    )
    return {start for start in rows.order_by().values_list("period_start", flat=True) if start is not None}


def cancelled_starts(agreement: Agreement) -> set[date]:
    """First days of the periods that are cancelled or written off."""
    return set(agreement.cancelled_periods.order_by().values_list("period_start", flat=True))


def let_go_released() -> int:
    """Let what was parked because it was held be billed again, where nothing holds it any more; how many there are."""
    if not is_there("SELECT 1 FROM agreements_billingstate WHERE parked_at IS NOT NULL AND parked_code = 'held'"):
        return 0
    parked = BillingState.objects.filter(parked_code="held", parked_at__isnull=False)
    family = Agreement.objects.filter(
        Q(pk=OuterRef("object_id")) & (Q(pk=OuterRef(OuterRef("pk"))) | Q(parent=OuterRef(OuterRef("pk"))))
    )
    holds = Hold.objects.filter(Exists(family), label=HELD, released_at=None)
    return parked.filter(~Exists(holds)).update(parked_code="", parked_reason="", parked_hint="", parked_at=None)
