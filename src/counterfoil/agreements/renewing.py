"""What people do with an addition whose term ends: renew it for another term."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from counterfoil.agreements import billing_state
from counterfoil.agreements.additions import (
    OFFICE,
    check_values,
    ensure_priced_right,
    lock_addition,
)
from counterfoil.agreements.commitments import ensure_may_shrink
from counterfoil.agreements.history import VALUES, carry_on, rows_of, take_latest
from counterfoil.agreements.models import Addition, AdditionChange, Agreement, AgreementStatus
from counterfoil.agreements.terms import last_day, values_on
from counterfoil.catalog.models import SeatsDown
from counterfoil.catalog.queries import ensure_offers_fit
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor
from counterfoil.platform.records import UNSET, Unset, check_fields, plain_number, refuse_negative

_DAY: Final = timedelta(days=1)


@command(roles=OFFICE)
def renew_addition(
    *,
    actor: Actor,
    addition_id: int,
    on: date,
    quantity: Decimal,
    unit_price: Decimal,
    unit_cost: Decimal,
    through: date | None = None,
    committed_through: date | Unset | None = UNSET,
    offer_id: int | None = None,
    term: str = "",
    price_model_id: int | None = None,
    cancellation_days: int = 7,
    seats_down: SeatsDown | Unset = UNSET,
    origin_id: int | None = None,
) -> Addition:
    """Bill an addition on for another term from the day ``on``, at its quantity and prices; nothing is paid twice.

    A renewal is a purchase of its own: it opens another cancellation window, and fewer units may be renewed than there
    were. The agreement goes on as long; what else is on it ends when it would have.

    Args:
        actor: who renews it.
        addition_id: which; its agreement must be active.
        on: the first day of the new term, no earlier than the day after the term it has.
        quantity: all units from then on.
        unit_price: per unit and cycle.
        unit_cost: likewise.
        through: last day of the new term; none where it is open-ended.
        committed_through: the day until which it is owed; the new term's last when it is not given, none where it may
            end any day. What goes on month by month is committed for one.
        offer_id: what it is sold by from now on.
        term: what it is bought for.
        price_model_id: what a changed quantity is priced with.
        cancellation_days: on how many days from ``on`` it may be given back.
        seats_down: when there may be fewer of it; as before when it is not given.
        origin_id: the line of the renewal quote it comes from.

    Raises:
        DomainError: ``wrong_state`` unless the agreement is active; ``invalid`` for a day within the term it has, or
            one after it would have ended with a gap; ``not_found``; ``price_on_internal_company``; ``conflict`` while a
            run bills it.
    """
    addition = lock_addition(addition_id)
    agreement = addition.agreement
    if agreement.status != AgreementStatus.ACTIVE:
        raise DomainError("wrong_state", f"{agreement.number} is {agreement.status}; nothing on it can be renewed.")
    refuse_negative({"quantity": quantity, "unit_price": unit_price, "unit_cost": unit_cost})
    ensure_offers_fit([(addition.product_id, offer_id, price_model_id)])
    _check_days(addition, on, through)
    before = values_on(addition, on)
    if quantity < before.quantity:
        ensure_may_shrink(addition, on - _DAY, "quantity", quantity)
    _keep_values(addition, on, quantity, unit_price, unit_cost, origin_id)
    _go_on(agreement, addition, through)
    addition.committed_through = through if isinstance(committed_through, Unset) else committed_through
    if not isinstance(seats_down, Unset):
        addition.seats_down = seats_down
    addition.cancellation_days = cancellation_days
    addition.offer_id, addition.term, addition.price_model_id = offer_id, term, price_model_id
    check_fields(addition, relations=False)
    addition.save()
    ensure_priced_right(agreement, agreement.additions.all())
    billing_state.touch(agreement, on)
    until = f" to {format_date(through)}" if through else ", no ending date"
    audit.record(
        actor, "agreements.addition.renewed",
        f"renewed {addition.description} on {agreement.number} from {format_date(on)}{until}:"
        f" {plain_number(quantity)} at {format_money(unit_price)}", agreement,
    )  # fmt: skip
    return addition


def _check_days(addition: Addition, on: date, through: date | None) -> None:
    if through is not None and through < on:
        raise DomainError("invalid", f"The new term cannot end before {format_date(on)}.", field="through")
    ends = [day for day in (addition.cancelled_date, last_day(addition.agreement)) if day is not None]
    ended = min(ends, default=None)
    if ended is not None and on > ended + _DAY:
        raise DomainError(
            "invalid", f"{addition.description} ends on {format_date(ended)}; there would be a gap until then.",
            field="on", hint="Renew it from the next day on, or sell it anew.",
        )  # fmt: skip
    if on <= addition.effective_date or (addition.committed_through is not None and on <= addition.committed_through):
        until = addition.committed_through or addition.effective_date
        raise DomainError(
            "invalid", f"{addition.description} has a term until {format_date(until)}; it is renewed from then on.",
            field="on",
        )  # fmt: skip


def _keep_values(
    addition: Addition, on: date, quantity: Decimal, unit_price: Decimal, unit_cost: Decimal, origin_id: int | None
) -> None:
    """The new term's values as a change of its own, also where they are what they were."""
    before = values_on(addition, on)
    values = dict(zip(VALUES, (quantity, min(before.less_included, quantity), unit_price, unit_cost), strict=True))
    rows = rows_of(addition)
    row = next((row for row in rows if row.effective_date == on), None)
    if row is None:
        row = AdditionChange(addition=addition, effective_date=on)
        rows.append(row)
    for name, value in values.items():
        setattr(row, name, value)
    row.reason, row.origin_id = "Renewed", origin_id
    changed = {name: value for name, value in values.items() if getattr(before, name) != value}
    for each in (row, *carry_on(rows, row, before, changed, quantity - before.quantity)):
        check_values(each)
        check_fields(each, relations=False)
        each.save()
    take_latest(addition)


def _go_on(agreement: Agreement, renewed: Addition, through: date | None) -> None:
    """The agreement lasts as long as the addition; its other additions end when they would have."""
    end = agreement.end_date
    renewed.cancelled_date = through
    if end is None or (through is not None and through <= end):
        return
    others = [other for other in agreement.additions.exclude(pk=renewed.pk) if (other.cancelled_date or end) >= end]
    for other in others:
        if other.effective_date <= end:
            other.cancelled_date = end
            other.save(update_fields=["cancelled_date"])
    agreement.end_date = through
    agreement.save(update_fields=["end_date"])
