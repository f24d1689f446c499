"""What people do with additions: add, correct, change from a day on, cancel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import Max

from counterfoil.agreements import billing_state
from counterfoil.agreements.commitments import ensure_may_shrink, is_renewal
from counterfoil.agreements.history import VALUES, carry_on, rows_of, take_latest
from counterfoil.agreements.models import Addition, AdditionChange, Agreement, AgreementStatus, BillingOption
from counterfoil.agreements.terms import Values, billing_amounts, history_of, last_day, values_on
from counterfoil.catalog.models import Product, ProductClass, SeatsDown
from counterfoil.catalog.policies import cycle_code
from counterfoil.catalog.queries import ensure_offers_fit, products_for_lines, tier_model
from counterfoil.companies.policies import ensure_billable
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, multiply, sum_money
from counterfoil.core.pricing import price_of
from counterfoil.core.states import words
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    changes_in_words,
    check_fields,
    fetch,
    plain_number,
    record_changes,
    refuse_negative,
)

OFFICE: Final = (Role.SALES, Role.FINANCE)

_DATES: Final = ("effective_date", "cancelled_date")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class AdditionInput:
    """An addition as it is entered; what is left empty comes from the product or the agreement.

    Attributes:
        product_id: what is billed; any class but Bundle.
        quantity: in the product's unit.
        unit_price: per unit and billing cycle of the agreement.
        unit_cost: likewise.
        description: one line.
        invoice_text: more, for the invoice.
        less_included: how many units the agreement covers already.
        billing_option: Billable, DoNotBill or NoCharge.
        taxable: whether sales tax applies.
        effective_date: first day it is billed for.
        cancelled_date: last day it is billed for, where it is known; the day before its first: never in force.
        serial_number: of the unit leased.
        purchase_item: bought for this agreement.
        origin_id: the quote line it comes from.
        committed_through: last day of the term it is owed for; empty where it may end any day.
        cancellation_days: on how many days from its first it may be given back all the same; 0: never.
        seats_down: when there may be fewer of it: ``window``, also at ``renewal`` alone, or ``any_time``.
        offer_id: what it is sold by.
        term: what it is bought for, ``year:1``.
        price_model_id: what a changed quantity is priced with.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    unit_cost: Decimal | None = None
    description: str | None = None
    invoice_text: str = ""
    less_included: Decimal = Decimal(0)
    billing_option: str = BillingOption.BILLABLE
    taxable: bool | None = None
    effective_date: date | None = None
    cancelled_date: date | None = None
    serial_number: str = ""
    purchase_item: bool = False
    origin_id: int | None = None
    committed_through: date | None = None
    cancellation_days: int = 7
    seats_down: SeatsDown = SeatsDown.WINDOW
    offer_id: int | None = None
    term: str = ""
    price_model_id: int | None = None


# -- adding ------------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def add_addition(*, actor: Actor, agreement_id: int, addition: AdditionInput) -> Addition:
    """Bill a product with an agreement; days that are billed already are caught up on.

    Raises:
        DomainError: ``bundle_as_addition``; ``wrong_state`` unless the agreement is active; ``invalid`` outside its
            dates; ``conflict`` while a run bills it; ``price_on_internal_company``, ``required``, ``not_found``.
    """
    return add_all(actor, active_agreement(agreement_id), [addition])[0]


def add_all(actor: Actor, agreement: Agreement, inputs: Sequence[AdditionInput]) -> list[Addition]:
    """Add several to a locked agreement, within another command."""
    quoted = {given.product_id for given in inputs if given.origin_id is not None}
    products = products_for_lines((given.product_id for given in inputs), quoted)
    ensure_offers_fit((given.product_id, given.offer_id, given.price_model_id) for given in inputs)
    last = agreement.additions.aggregate(last=Max("position"))["last"] or 0
    additions = []
    for index, given in enumerate(inputs):
        product = products[given.product_id]
        addition = Addition(
            agreement=agreement,
            position=last + index + 1,
            product=product,
            description=(given.description if given.description is not None else product.description).strip(),
            invoice_text=given.invoice_text.strip(),
            quantity=given.quantity,
            less_included=given.less_included,
            unit_price=product.price if given.unit_price is None else given.unit_price,
            unit_cost=product.cost if given.unit_cost is None else given.unit_cost,
            billing_option=given.billing_option,
            taxable=product.taxable if given.taxable is None else given.taxable,
            effective_date=given.effective_date or agreement.start_date,
            cancelled_date=given.cancelled_date,
            serial_number=given.serial_number.strip(),
            purchase_item=given.purchase_item,
            origin_id=given.origin_id,
            committed_through=given.committed_through,
            cancellation_days=given.cancellation_days,
            seats_down=given.seats_down,
            offer_id=given.offer_id,
            term=cycle_code(given.term, f"lines[{index}].term") if given.term else "",
            price_model_id=given.price_model_id,
        )
        _refuse_bundle(product, f"lines[{index}].product_id")
        _check_addition(addition, prefix=f"lines[{index}].")
        additions.append(addition)
        audit.record(
            actor, "agreements.addition.added",
            f"added {plain_number(addition.quantity)} × {product.identifier} at {format_money(addition.unit_price)}"
            f" per cycle to {agreement.number} from {format_date(addition.effective_date)}",
            agreement,
        )  # fmt: skip
    ensure_priced_right(agreement, [*agreement.additions.all(), *additions])
    if additions:
        billing_state.touch(agreement, min(addition.effective_date for addition in additions))
    return Addition.objects.bulk_create(additions)


def _refuse_bundle(product: Product, field: str) -> None:
    if product.product_class == ProductClass.BUNDLE:
        raise DomainError(
            "bundle_as_addition",
            f"{product.identifier} is a bundle; a bundle cannot be an addition.",
            field=field,
            hint="Add the products it is made of.",
        )


def _check_addition(addition: Addition, prefix: str = "") -> None:
    check_values(addition, prefix)
    agreement, last = addition.agreement, last_day(addition.agreement)
    if addition.effective_date < agreement.start_date:
        raise DomainError(
            "invalid", f"The addition cannot start before the agreement, on {format_date(agreement.start_date)}.",
            field=f"{prefix}effective_date",
        )  # fmt: skip
    if last is not None and addition.effective_date > last:
        raise DomainError(
            "invalid", f"The addition would start after the agreement's last day, {format_date(last)}.",
            field=f"{prefix}effective_date",
        )  # fmt: skip
    if addition.cancelled_date is not None and addition.cancelled_date < addition.effective_date - _DAY:
        raise DomainError(
            "invalid",
            f"The last day cannot lie before the first, {format_date(addition.effective_date)}.",
            field=f"{prefix}cancelled_date",
            hint="The day before the first says that it was never in force.",
        )
    if addition.committed_through is not None and addition.committed_through < addition.effective_date:
        raise DomainError(
            "invalid",
            f"It cannot be committed until before its first day, {format_date(addition.effective_date)}.",
            field=f"{prefix}committed_through",
        )
    check_fields(addition, prefix=prefix, relations=False)


def check_values(record: Addition | AdditionChange, prefix: str = "") -> None:
    """Refuse values below zero, and more included than there is.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    refuse_negative({name: getattr(record, name) for name in VALUES}, prefix)
    if record.less_included > record.quantity:
        raise DomainError(
            "invalid",
            f"{plain_number(record.less_included)} cannot be included of {plain_number(record.quantity)}.",
            field=f"{prefix}less_included",
        )


def ensure_priced_right(agreement: Agreement, additions: Iterable[Addition]) -> None:
    """Refuse a price for an internal company, and My Company altogether.

    Raises:
        DomainError: ``price_on_internal_company``, ``my_company_not_billable``.
    """
    prices: list[Decimal] = []
    if agreement.bill_to.is_internal:
        prices = [
            multiply(values.billed_quantity, values.unit_price)
            for addition in additions
            if addition.billing_option == BillingOption.BILLABLE
            for values in (history_of(addition) if addition.pk else (_as_entered(addition),))
        ]
        prices += [amount for _, amount in billing_amounts(agreement)]
    ensure_billable(agreement.company, agreement.bill_to, price_total=sum_money(prices))


def _as_entered(addition: Addition) -> Values:
    return Values(addition.effective_date, *(getattr(addition, name) for name in VALUES))


# -- correcting --------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def update_addition(
    *,
    actor: Actor,
    addition_id: int,
    description: str | Unset = UNSET,
    invoice_text: str | Unset = UNSET,
    taxable: bool | Unset = UNSET,
    serial_number: str | Unset = UNSET,
    purchase_item: bool | Unset = UNSET,
    billing_option: str | Unset = UNSET,
    effective_date: date | Unset = UNSET,
    cancelled_date: date | Unset | None = UNSET,
    quantity: Decimal | Unset = UNSET,
    less_included: Decimal | Unset = UNSET,
    unit_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    committed_through: date | Unset | None = UNSET,
    cancellation_days: int | Unset = UNSET,
    seats_down: SeatsDown | Unset = UNSET,
) -> Addition:
    """Correct an addition. Its dates may move any time: what is billed already is caught up on or given back.

    Quantity, price, cost and billing option are corrected as if they had been so from the first, and so only until the
    addition is billed or has changes; from then on they change from a day on (``change_addition``).

    Raises:
        DomainError: ``already_invoiced`` for what has to be changed from a day on; ``invalid``; ``committed`` for a
            last day before its term ends; ``wrong_state`` after the agreement's last day; ``conflict`` while a run
            bills it; ``price_on_internal_company``.
    """
    addition = lock_addition(addition_id)
    agreement = addition.agreement
    if agreement.status != AgreementStatus.ACTIVE:
        raise closed(agreement)
    changes = change(
        addition,
        description=description.strip() if isinstance(description, str) else description,
        invoice_text=invoice_text.strip() if isinstance(invoice_text, str) else invoice_text,
        taxable=taxable,
        serial_number=serial_number.strip() if isinstance(serial_number, str) else serial_number,
        purchase_item=purchase_item,
        billing_option=billing_option,
        effective_date=effective_date,
        cancelled_date=cancelled_date,
        quantity=quantity,
        less_included=less_included,
        unit_price=unit_price,
        unit_cost=unit_cost,
        committed_through=committed_through,
        cancellation_days=cancellation_days,
        seats_down=seats_down,
    )
    _check_addition(addition)
    if "cancelled_date" in changes and addition.cancelled_date is not None:
        ensure_may_shrink(addition, addition.cancelled_date, "cancelled_date")
    if fixed := next((name for name in (*VALUES, "billing_option") if name in changes), None):
        _refuse_once_billed(addition, fixed)
    if "effective_date" in changes:
        _move_start(addition)
    ensure_priced_right(agreement, [*agreement.additions.exclude(pk=addition.pk), addition])
    addition.save()
    moved = [day for name in _DATES if name in changes for day in changes[name] if day is not None]
    billing_state.touch(agreement, min(moved, default=addition.effective_date if fixed else None))
    record_changes(
        actor,
        "agreements.addition.corrected",
        f"corrected {addition.description} on {agreement.number}",
        changes,
        agreement,
    )
    return addition


def _refuse_once_billed(addition: Addition, field: str) -> None:
    is_billed = addition.invoice_lines.exists()
    if not is_billed and not addition.changes.exists():
        return
    what = "The billing option" if field == "billing_option" else f"The {field.replace('_', ' ')}"
    if field == "billing_option":
        hint = "Change its price to zero from a day on, or cancel it and add it anew."
    else:
        hint = "Change it from a day on; its history is kept."
    why = "has been billed" if is_billed else "has changes"
    raise DomainError(
        "already_invoiced", f"{what} stays as it was: {addition.description} {why}.", field=field, hint=hint
    )


def _move_start(addition: Addition) -> None:
    """The first row of the history begins with the addition."""
    rows = list(addition.changes.order_by("effective_date")[:2])
    if len(rows) > 1 and addition.effective_date >= rows[1].effective_date:
        raise DomainError(
            "invalid", f"{addition.description} changes on {format_date(rows[1].effective_date)}; it starts before.",
            field="effective_date", hint="Remove that change first.",
        )  # fmt: skip
    if rows:
        rows[0].effective_date = addition.effective_date
        rows[0].save(update_fields=["effective_date"])


# -- changing from a day on --------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def change_addition(
    *,
    actor: Actor,
    addition_id: int,
    on: date,
    quantity: Decimal | Unset = UNSET,
    more: Decimal | Unset = UNSET,
    less_included: Decimal | Unset = UNSET,
    unit_price: Decimal | Unset = UNSET,
    unit_cost: Decimal | Unset = UNSET,
    reason: str = "",
    origin_id: int | None = None,
) -> Addition:
    """Change quantity, price or cost of an addition from the day ``on``: one dated action, which keeps the history.

    A second change for the same day replaces the first; that of a renewal stays the beginning of its term. What is not
    given stays as it is on that day. A day that is billed already is caught up on, or given back as the agreement says
    (WE-2, WE-8). Later changes of something else take the new value over: a price raised from February also holds after
    a change of quantity in March. So many more or fewer also hold after later changes of the quantity. A renewal that
    follows stays as it was signed. Another quantity of an addition with a price model is priced by it, unless a price
    is given.

    Args:
        actor: who changes it.
        addition_id: which.
        on: first day it holds.
        quantity: all units from then on, not the difference.
        more: or so many more than there are on that day; below zero so many fewer.
        less_included: of which so many are included.
        unit_price: per unit and cycle.
        unit_cost: likewise.
        reason: for the history.
        origin_id: the line of a change quote it comes from.

    Raises:
        DomainError: ``required`` when nothing is given; ``invalid`` when nothing would differ, before the effective
            date or after the last day, for fewer than none, and for a quantity beside a difference; ``committed`` for
            fewer than are owed until the term ends; ``conflict`` while a run bills it; ``price_on_internal_company``.
    """
    addition = lock_addition(addition_id)
    agreement = addition.agreement
    given = {
        name: value
        for name, value in zip(VALUES, (quantity, less_included, unit_price, unit_cost), strict=True)
        if isinstance(value, Decimal)
    }
    if not given and isinstance(more, Unset):
        raise DomainError("required", "Say what changes: quantity, included units, price or cost.", field="quantity")
    _refuse_outside(addition, on, "on")
    before = values_on(addition, on)
    if isinstance(more, Decimal):
        if "quantity" in given:
            raise DomainError("invalid", "Say how many there are, or how many more; not both.", field="more")
        given["quantity"] = before.quantity + more
    if addition.price_model is not None and "quantity" in given and "unit_price" not in given:
        given["unit_price"] = price_of(tier_model(addition.price_model), given["quantity"]).unit_price
    changed = {name: value for name, value in given.items() if getattr(before, name) != value}
    if not changed:
        raise DomainError(
            "invalid", f"Nothing would change: {addition.description} is so on {format_date(on)} already.", field="on"
        )
    if changed.get("quantity", before.quantity) < before.quantity:
        ensure_may_shrink(addition, on - _DAY, "on", changed["quantity"])
    rows = rows_of(addition)
    row = next((row for row in rows if row.effective_date == on), None)
    if row is None:
        row = AdditionChange(addition=addition, effective_date=on, **{name: getattr(before, name) for name in VALUES})
        rows.append(row)
    for name, value in changed.items():
        setattr(row, name, value)
    row.reason = reason.strip()
    if not is_renewal(row):  # a term begins with its day, whatever else changes on it
        row.origin_id = origin_id
    followers = carry_on(rows, row, before, changed, more if isinstance(more, Decimal) else None)
    for each in (row, *followers):
        check_values(each)
        check_fields(each, relations=False)
        each.save()
    take_latest(addition)
    ensure_priced_right(agreement, agreement.additions.all())
    billing_state.touch(agreement, on)
    also = f", carried on to the change of {format_date(followers[0].effective_date)}" if followers else ""
    said = changes_in_words({name: (getattr(before, name), value) for name, value in changed.items()})
    audit.record(
        actor, "agreements.addition.changed",
        f"changed {addition.description} on {agreement.number} from {format_date(on)}: {said}{also}"
        + (f" ({row.reason})" if row.reason else ""), agreement,
    )  # fmt: skip
    return addition


@command(roles=OFFICE)
def remove_addition_change(*, actor: Actor, addition_id: int, on: date) -> Addition:
    """Take a change back that begins on ``on``; what held before it holds on, until the next change.

    Raises:
        DomainError: ``not_found`` when nothing changes on that day; ``invalid`` for the first day, and that of a
            renewal; ``conflict`` while a run bills it.
    """
    addition = lock_addition(addition_id)
    agreement = addition.agreement
    rows = list(addition.changes.select_related("origin").order_by("effective_date"))
    row = next((row for row in rows if row.effective_date == on), None)
    if row is None:
        raise DomainError("not_found", f"{addition.description} does not change on {format_date(on)}.", field="on")
    if row is rows[0]:
        raise DomainError(
            "invalid", f"{addition.description} starts with what it is on {format_date(on)}.",
            field="on", hint="Change it from that day instead, or cancel the addition.",
        )  # fmt: skip
    if is_renewal(row):
        raise DomainError(
            "invalid", f"{addition.description} is renewed from {format_date(on)} on; its term begins with that day.",
            field="on", hint="Change it from that day instead, or cancel the addition.",
        )  # fmt: skip
    row.delete()
    take_latest(addition)
    if len(rows) == 2:  # what is left is what it has always been
        rows[0].delete()
    ensure_priced_right(agreement, agreement.additions.all())
    billing_state.touch(agreement, on)
    audit.record(
        actor, "agreements.addition.change_removed",
        f"took back the change of {addition.description} on {agreement.number} from {format_date(on)} on:"
        f" {plain_number(row.quantity)} at {format_money(row.unit_price)}", agreement,
    )  # fmt: skip
    return addition


# -- cancelling --------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def cancel_addition(*, actor: Actor, addition_id: int, on: date, reason: str = "") -> Addition:
    """Stop billing an addition; ``on`` is the last day it is billed for.

    With the day before its first, it was never in force, and nothing of it is billed. What is billed beyond the last
    day is given back as the agreement says.

    Raises:
        DomainError: ``invalid`` before the day before its first, or after the agreement's last day; ``committed`` while
            it is owed for longer; ``conflict`` while a run bills it.
    """
    addition = lock_addition(addition_id)
    agreement = addition.agreement
    if on != addition.effective_date - _DAY:
        _refuse_outside(addition, on, "on", within_own=False)
    former = addition.cancelled_date
    if former == on:
        raise DomainError(
            "invalid", f"{addition.description} has {format_date(on)} as its last day already.", field="on"
        )
    ensure_may_shrink(addition, on, "on")
    addition.cancelled_date = on
    addition.save(update_fields=["cancelled_date"])
    billing_state.touch(agreement, min(on, former or on))
    audit.record(
        actor, "agreements.addition.cancelled",
        f"cancelled {addition.description} on {agreement.number} "
        + ("from its first day on" if addition.never_in_force else f"with {format_date(on)} as its last day")
        + (f": {reason.strip()}" if reason.strip() else ""), agreement,
    )  # fmt: skip
    return addition


@command(roles=OFFICE)
def uncancel_addition(*, actor: Actor, addition_id: int) -> Addition:
    """Bill a cancelled addition on, without a gap.

    Raises:
        DomainError: ``wrong_state`` unless it has a last day, or when the agreement is not active; ``conflict`` while a
            run bills it.
    """
    addition = lock_addition(addition_id)
    agreement = addition.agreement
    if agreement.status != AgreementStatus.ACTIVE:
        raise closed(agreement)
    former = addition.cancelled_date
    if former is None:
        raise DomainError("wrong_state", f"{addition.description} has no last day; it goes on already.")
    addition.cancelled_date = None
    addition.save(update_fields=["cancelled_date"])
    billing_state.touch(agreement, former)
    audit.record(
        actor, "agreements.addition.uncancelled",
        f"bills {addition.description} on {agreement.number} on after {format_date(former)}", agreement,
    )  # fmt: skip
    return addition


# -- finding -----------------------------------------------------------------------------------------------------------


def active_agreement(agreement_id: int) -> Agreement:
    """The agreement, locked.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` unless it is active.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    if agreement.status != AgreementStatus.ACTIVE:
        raise closed(agreement)
    return agreement


def closed(agreement: Agreement) -> DomainError:
    """Why nothing can be changed any more."""
    return DomainError(
        "wrong_state", f"{agreement.number} is {words(agreement.status)}; it can no longer be changed.",
        hint="Its additions can still change until its last day.",
    )  # fmt: skip


def lock_addition(addition_id: int) -> Addition:
    """The addition, its agreement locked before it is read.

    Raises:
        DomainError: ``not_found``.
    """
    agreement = fetch(Agreement, fetch(Addition, addition_id).agreement_id, lock=True)
    addition = fetch(Addition, addition_id, lock=True)
    addition.agreement = agreement
    return addition


def _refuse_outside(addition: Addition, on: date, field: str, *, within_own: bool = True) -> None:
    """Refuse a day on which the addition is not in effect."""
    if on < addition.effective_date:
        raise DomainError(
            "invalid", f"{addition.description} starts on {format_date(addition.effective_date)}, after that day.",
            field=field,
        )  # fmt: skip
    last = last_day(addition.agreement)
    if last is not None and on > last:
        raise DomainError(
            "invalid", f"The last day of {addition.agreement.number} is {format_date(last)}, before that day.",
            field=field,
        )  # fmt: skip
    if within_own and addition.cancelled_date is not None and on > addition.cancelled_date:
        raise DomainError(
            "invalid", f"{addition.description} is cancelled; its last day is {format_date(addition.cancelled_date)}.",
            field=field, hint="Bill it on first.",
        )  # fmt: skip
