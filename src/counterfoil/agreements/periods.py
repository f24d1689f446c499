"""What people do with billing periods: leave one out, bill another amount from a day on, mend what is parked."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from counterfoil.agreements import billing_state
from counterfoil.agreements.additions import OFFICE, ensure_priced_right
from counterfoil.agreements.models import Agreement, BillingAmountChange, BillingState, CancelledPeriod
from counterfoil.agreements.terms import billing_amount_on, head_of, last_day
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import check_fields, fetch, refuse_negative


@command(roles=(Role.FINANCE,))
def cancel_period(
    *, actor: Actor, agreement_id: int, period_start: date, reason: str, write_off: bool = False
) -> CancelledPeriod:
    """Leave one billing period out, while the agreement goes on.

    Args:
        actor: who cancels it.
        agreement_id: of the agreement, not of a child.
        period_start: its first day.
        reason: why it is not billed.
        write_off: it was owed and is given up; otherwise it was never intended.

    Raises:
        DomainError: ``required`` without a reason; ``invalid`` when no period starts then; ``already_invoiced``;
            ``duplicate`` when it is cancelled already; ``conflict`` for a child, and while a run bills it.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    _refuse_child(agreement)
    if not reason.strip():
        raise DomainError("required", "Say why the period is not billed.", field="reason")
    period = _period_from(agreement, period_start)
    if period.start in billing_state.invoiced_starts(agreement):
        raise DomainError(
            "already_invoiced", f"{agreement.number} is invoiced for {period.label} already.", field="period_start",
            hint="Delete the draft, or credit the invoice.",
        )  # fmt: skip
    if period.start in billing_state.cancelled_starts(agreement):
        raise DomainError("duplicate", f"{period.label} of {agreement.number} is cancelled already.", "period_start")
    billing_state.lock(agreement)
    cancelled = CancelledPeriod(
        agreement=agreement,
        period_start=period.start,
        period_end=period.end,
        written_off=write_off,
        reason=reason.strip(),
    )
    check_fields(cancelled, relations=False)
    cancelled.save()
    billing_state.touch(agreement, period.start)
    verb = "wrote off" if write_off else "cancelled"
    audit.record(
        actor, "agreements.period.cancelled",
        f"{verb} {period.label} of {agreement.number}: {cancelled.reason}", agreement,
    )  # fmt: skip
    return cancelled


@command(roles=(Role.FINANCE,))
def reopen_period(*, actor: Actor, agreement_id: int, period_start: date) -> Agreement:
    """Bill a cancelled period after all, with the next run.

    Raises:
        DomainError: ``not_found`` when it is not cancelled; ``conflict`` while a run bills the agreement.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    cancelled = agreement.cancelled_periods.filter(period_start=period_start).first()
    if cancelled is None:
        raise DomainError(
            "not_found", f"{agreement.number} has no cancelled period from {format_date(period_start)}.",
            field="period_start",
        )  # fmt: skip
    billing_state.lock(agreement)
    cancelled.delete()
    n = billing_state.index_of(agreement, period_start)
    if n is not None and agreement.parent_id is None:
        billing_state.back_to(agreement, n)
    label = Period(cancelled.period_start, cancelled.period_end).label
    audit.record(actor, "agreements.period.reopened", f"reopened {label} of {agreement.number}", agreement)
    return agreement


@command(roles=OFFICE)
def change_billing_amount(*, actor: Actor, agreement_id: int, on: date, billing_amount: Decimal) -> Agreement:
    """Bill another amount from the day ``on``; what held before is kept. The same day again replaces.

    A day that is billed already is caught up on, or given back as the agreement says.

    Raises:
        DomainError: ``invalid`` for a negative amount, the amount it already is, or a day outside the agreement;
            ``conflict`` while a run bills it; ``price_on_internal_company``.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    last = last_day(agreement)
    if on < agreement.start_date or (last is not None and on > last):
        until = f" to {format_date(last)}" if last else " on"
        raise DomainError(
            "invalid", f"{agreement.number} runs from {format_date(agreement.start_date)}{until}.", field="on"
        )
    before = billing_amount_on(agreement, on)
    set_billing_amount(agreement, on, billing_amount)
    audit.record(
        actor, "agreements.billing_amount.changed",
        f"changed the billing amount of {agreement.number} from {format_money(before)} to"
        f" {format_money(billing_amount)} from {format_date(on)}", agreement,
    )  # fmt: skip
    return agreement


def set_billing_amount(agreement: Agreement, on: date, billing_amount: Decimal) -> None:
    """Write the amount from a day on into the history of a locked agreement.

    Raises:
        DomainError: as :func:`change_billing_amount`.
    """
    refuse_negative({"billing_amount": billing_amount})
    if billing_amount_on(agreement, on) == billing_amount:
        raise DomainError(
            "invalid", f"The billing amount is {format_money(billing_amount)} on {format_date(on)} already.",
            field="billing_amount",
        )  # fmt: skip
    billing_state.lock(agreement)
    first = agreement.bill_start_date
    if not agreement.billing_amounts.exists() and on > first:
        BillingAmountChange.objects.create(
            agreement=agreement, effective_date=first, billing_amount=agreement.billing_amount
        )
    row = agreement.billing_amounts.filter(effective_date=max(on, first)).first()
    row = row or BillingAmountChange(agreement=agreement, effective_date=max(on, first))
    row.billing_amount = billing_amount
    check_fields(row, relations=False)
    row.save()
    latest = agreement.billing_amounts.order_by("effective_date").last()
    agreement.billing_amount = latest.billing_amount if latest else billing_amount
    check_fields(agreement, relations=False)
    agreement.save(update_fields=["billing_amount"])
    ensure_priced_right(agreement, agreement.additions.all())
    billing_state.touch(agreement, on)


@command(roles=(Role.FINANCE,))
def unpark_agreement(*, actor: Actor, agreement_id: int) -> Agreement:
    """Let billing runs bill a parked agreement again: it is mended, or what looked absurd is right.

    Raises:
        DomainError: ``wrong_state`` unless it is parked; ``conflict`` while a run bills it.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    state = billing_state.lock(agreement)
    if state.parked_at is None:
        raise DomainError("wrong_state", f"{agreement.number} is not parked.")
    reason = state.parked_reason
    # The code stays until it is billed: what somebody has looked at and let go on is not held up for the same again.
    BillingState.objects.filter(pk=state.pk).update(parked_reason="", parked_hint="", parked_at=None)
    audit.record(
        actor, "agreements.agreement.unparked", f"lets {agreement.number} be billed again; it was parked: {reason}",
        head_of(agreement),
    )  # fmt: skip
    return agreement


def _refuse_child(agreement: Agreement) -> None:
    if agreement.parent is not None:
        raise DomainError(
            "conflict", f"{agreement.number} is billed with {agreement.parent.number}, which has the periods.",
            hint="Cancel the additions of the child instead, or detach it.",
        )  # fmt: skip


def _period_from(agreement: Agreement, start: date) -> Period:
    n = billing_state.index_of(agreement, start)
    last = last_day(agreement)
    if n is None or (last is not None and start > last):
        raise DomainError(
            "invalid", f"No billing period of {agreement.number} starts on {format_date(start)}.",
            field="period_start",
            hint=f"Its periods are counted from {format_date(agreement.bill_start_date)}.",
        )  # fmt: skip
    return billing_state.period_of(agreement, n)
