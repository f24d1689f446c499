"""From copy to cancellation: what people do with an agreement as a whole, and with a family of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from counterfoil.agreements import billing_state
from counterfoil.agreements.additions import OFFICE, active_agreement, ensure_priced_right
from counterfoil.agreements.commitments import ensure_may_end, goes_on_monthly, term_through
from counterfoil.agreements.coverage import copy_rates_and_items
from counterfoil.agreements.history import VALUES
from counterfoil.agreements.models import Addition, Agreement, AgreementStatus, BillingState
from counterfoil.agreements.parameters import values_of
from counterfoil.agreements.terms import billing_amount_on, values_on
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_active, ensure_customer
from counterfoil.companies.queries import bill_to_of, tax_code_id_of
from counterfoil.core.calendar import add_months, format_date, months_between
from counterfoil.core.errors import DomainError
from counterfoil.core.money import multiply, round_money, round_to
from counterfoil.core.states import check_transition
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor
from counterfoil.platform.lookup import locked_all
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import UNSET, Unset, check_fields, fetch, plain_number

_DAY: Final = timedelta(days=1)

#: What a child shares with its parent, since one invoice bills both; and what it is called.
SHARED: Final = {
    "billing_cycle": "billing cycle",
    "cycle_base": "cycle base",
    "billing_timing": "timing",
    "bill_one_time": "one-time billing",
    "bill_to_id": "bill-to",
}


# -- ending ------------------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def cancel_agreement(*, actor: Actor, agreement_id: int, on: date, reason: str) -> Agreement:
    """End an agreement before its time. ``on`` is the last day it is billed for.

    What is billed beyond that day is given back as the agreement says: not at all, on the next invoice, or by a credit
    memo. The day before the start cancels it altogether.

    Raises:
        DomainError: ``wrong_state`` unless it is active; ``required`` without a reason; ``invalid`` before its start or
            after its last day; ``committed`` while an addition is owed for longer; ``conflict`` with children, and
            while a run bills it.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    check_transition("agreement", agreement.number, agreement.status, AgreementStatus.CANCELLED)
    if not reason.strip():
        raise DomainError("required", "Say why the agreement is cancelled.", field="reason")
    if on < agreement.start_date - _DAY:
        raise DomainError(
            "invalid", f"{agreement.number} starts on {format_date(agreement.start_date)}; it cannot end before.",
            field="on",
        )  # fmt: skip
    _refuse_after_end(agreement, on)
    _refuse_with_children(agreement)
    ensure_may_end(agreement, on, "on")
    agreement.status = AgreementStatus.CANCELLED
    agreement.cancelled_on = on
    agreement.cancel_reason = reason.strip()
    check_fields(agreement, relations=False)
    agreement.save(update_fields=["status", "cancelled_on", "cancel_reason"])
    billing_state.touch(agreement, on)
    audit.record(
        actor, "agreements.agreement.cancelled",
        f"cancelled {agreement.number} with {format_date(on)} as its last day: {agreement.cancel_reason}", agreement,
    )  # fmt: skip
    return agreement


@command(roles=OFFICE)
def end_agreement(*, actor: Actor, agreement_id: int, on: date) -> Agreement:
    """Let an agreement come to its end, with ``on`` as its last day; it is not renewed.

    Raises:
        DomainError: ``wrong_state`` unless it is active; ``invalid`` before its start or after its last day;
            ``committed`` while an addition is owed for longer; ``conflict`` with children, and while a run bills it.
    """
    agreement = fetch(Agreement, agreement_id, lock=True)
    check_transition("agreement", agreement.number, agreement.status, AgreementStatus.ENDED)
    _refuse_before_start(agreement, on)
    _refuse_after_end(agreement, on)
    _refuse_with_children(agreement)
    ensure_may_end(agreement, on, "on")
    agreement.status, agreement.end_date = AgreementStatus.ENDED, on
    agreement.save(update_fields=["status", "end_date"])
    billing_state.touch(agreement, on)
    audit.record(
        actor, "agreements.agreement.ended", f"ended {agreement.number} with {format_date(on)} as its last day",
        agreement,
    )  # fmt: skip
    return agreement


def _refuse_before_start(agreement: Agreement, on: date) -> None:
    if on < agreement.start_date:
        raise DomainError(
            "invalid", f"{agreement.number} starts on {format_date(agreement.start_date)}; it cannot end before.",
            field="on",
        )  # fmt: skip


def _refuse_after_end(agreement: Agreement, on: date) -> None:
    if agreement.end_date is not None and on > agreement.end_date:
        raise DomainError(
            "invalid", f"{agreement.number} ends on {format_date(agreement.end_date)} anyway.", field="on",
            hint="Change its last day to have it go on.",
        )  # fmt: skip


def _refuse_with_children(agreement: Agreement) -> None:
    children = agreement.children.filter(status=AgreementStatus.ACTIVE).order_by("number")
    if numbers := list(children.values_list("number", flat=True)):
        raise DomainError(
            "conflict", f"{agreement.number} bills {', '.join(numbers)} with it.",
            hint="Cancel or detach them first.",
        )  # fmt: skip


# -- copying and renewing ----------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def copy_agreement(
    *,
    actor: Actor,
    agreement_id: int,
    on: date,
    name: str = "",
    company_id: int | None = None,
    end_date: date | None = None,
    first_billing_date: date | None = None,
) -> Agreement:
    """Make an agreement like another one, with its parameters, additions, rates and coverage.

    Start, end and first billing date are new; notes, serial numbers, family and cancellation are not taken along.

    Args:
        actor: who copies it.
        agreement_id: what is copied.
        on: its first day; additions are as they are on that day.
        name: the same when it is not given.
        company_id: the same company when it is not given; another one's bill-to, tax code and terms are its own.
        end_date: last day; null means no ending date.
        first_billing_date: cycles are counted from here; the first day when it is not given.

    Raises:
        DomainError: ``not_found``, ``invalid``, and as ``create_agreement``.
    """
    source = fetch(Agreement, agreement_id, lock=True)
    company = source.company if company_id is None else fetch(Company, company_id, field="company_id")
    who: dict[str, Any] = _same_customer(source) if company == source.company else _other_customer(source, company)
    copy = _successor(source, on, end_date, name=name.strip() or source.name, **who)
    copy.bill_start_date = first_billing_date or on
    lasting = [addition for addition in _additions_of(source) if addition.cancelled_date is None]
    _save_with(copy, source, lasting, on, keep_units=False)
    audit.record(
        actor, "agreements.agreement.copied",
        f"copied {source.number} to {copy.number}, {copy.name}, for {company.name} from {format_date(on)}", copy,
    )  # fmt: skip
    return copy


@command(roles=OFFICE)
def renew_agreement(
    *,
    actor: Actor,
    agreement_id: int,
    last_day: date | None = None,
    end_date: date | Unset | None = UNSET,
    uplift_percent: Decimal = Decimal(0),
    name: str = "",
) -> Agreement:
    """Make the agreement's successor, from the day after its last day, as it is then; its children are renewed with it.

    Args:
        actor: who renews it.
        agreement_id: the predecessor; it ends on its last day.
        last_day: the predecessor's, where it has no ending date.
        end_date: the successor's; as long again as the predecessor when it is not given, null means no ending date.
        uplift_percent: how much more additions and the billing amount cost: 5 is 5 %.
        name: the same when it is not given.

    Raises:
        DomainError: ``wrong_state`` unless it is active; ``duplicate`` when it is renewed already; ``required`` without
            any last day; ``invalid`` for a last day after its end or an uplift of minus 100 % and less; ``conflict``
            while a run bills it.
    """
    agreement = active_agreement(agreement_id)
    children = locked_children(agreement)
    if uplift_percent <= -100:
        raise DomainError("invalid", "The uplift must be above minus 100 %.", field="uplift_percent")
    last = last_day or agreement.end_date
    if last is None:
        raise DomainError(
            "required", f"{agreement.number} has no ending date; say which day is its last.", field="last_day"
        )
    _refuse_before_start(agreement, last)
    _refuse_after_end(agreement, last)
    successor = _renew(actor, agreement, last, end_date, uplift_percent, name.strip() or agreement.name)
    for child in children:
        if child.status != AgreementStatus.ACTIVE:
            continue
        if (child.end_date is None or child.end_date >= last) and not Agreement.objects.filter(renews=child).exists():
            child_end = child.end_date if child.end_date is None or child.end_date > last else UNSET
            _renew(actor, child, last, child_end, uplift_percent, child.name, parent=successor)
    return successor


def _renew(
    actor: Actor,
    agreement: Agreement,
    last: date,
    end_date: date | Unset | None,
    uplift: Decimal,
    name: str,
    *,
    parent: Agreement | None = None,
) -> Agreement:
    if (former := Agreement.objects.filter(renews=agreement).first()) is not None:
        raise DomainError("duplicate", f"{agreement.number} is renewed by {former.number} already.")
    start = last + _DAY
    end = _as_long_again(agreement, last) if isinstance(end_date, Unset) else end_date
    successor = _successor(agreement, start, end, name=name, **_same_customer(agreement))
    successor.renews, successor.parent = agreement, parent or agreement.parent
    successor.billing_amount = round_money(_raised(billing_amount_on(agreement, last), uplift))
    successor.invoice_text = agreement.invoice_text
    running = [a for a in _additions_of(agreement) if a.effective_date <= last <= (a.cancelled_date or last)]
    if agreement.end_date != last:
        agreement.end_date = last
        agreement.save(update_fields=["end_date"])
        billing_state.touch(agreement, last)
    _save_with(successor, agreement, running, last, keep_units=True, uplift=uplift)
    raised = f", prices raised by {plain_number(uplift)} %" if uplift else ""
    audit.record(
        actor, "agreements.agreement.renewed",
        f"renewed {agreement.number} as {successor.number} from {format_date(start)}"
        + (f" to {format_date(end)}" if end else ", no ending date") + raised, successor,
    )  # fmt: skip
    return successor


def _as_long_again(agreement: Agreement, last: date) -> date | None:
    """The last day of a second term: as many months, or else days, as the first had; none where that had none."""
    if agreement.end_date is None:
        return None
    start, after = agreement.start_date, agreement.end_date + _DAY
    months = months_between(start, after)
    if months and add_months(start, months) == after:
        return add_months(last + _DAY, months) - _DAY
    return last + (after - start)


def _raised(amount: Decimal, percent: Decimal) -> Fraction:
    return Fraction(multiply(amount, 100 + percent)) / 100


def _raised_price(price: Decimal, percent: Decimal) -> Decimal:
    """To as many decimals as the price has, two at least."""
    exponent = price.normalize().as_tuple().exponent
    places = max(2, -exponent) if isinstance(exponent, int) else 2
    return round_to(_raised(price, percent), places) if percent else price


def _additions_of(agreement: Agreement) -> Iterable[Addition]:
    return agreement.additions.select_related("product").prefetch_related("changes").order_by("position")


def _successor(source: Agreement, start: date, end: date | None, **fields: Any) -> Agreement:
    if end is not None and end < start:
        raise DomainError("invalid", f"It cannot end before it starts on {format_date(start)}.", field="end_date")
    return Agreement(
        number=take_number("agreement"),
        type=source.type,
        start_date=start,
        end_date=end,
        bill_start_date=start,
        **{**values_of(source), **fields},
    )


def _same_customer(source: Agreement) -> dict[str, Any]:
    names = ("company_id", "contact_id", "bill_to_id", "site_id", "tax_code_id", "customer_po", "opportunity_id")
    return {name: getattr(source, name) for name in names}


def _other_customer(source: Agreement, company: Company) -> dict[str, Any]:
    ensure_customer(company)
    bill_to = bill_to_of(company)
    ensure_active(bill_to, "bill_to_id")
    return {
        "company": company,
        "bill_to": bill_to,
        "tax_code_id": tax_code_id_of(company),
        "terms_id": source.type.terms_id or bill_to.terms_id or company.terms_id,
    }


def _save_with(
    agreement: Agreement,
    source: Agreement,
    additions: Iterable[Addition],
    on: date,
    *,
    keep_units: bool,
    uplift: Decimal = Decimal(0),
) -> None:
    """Save a new agreement with what it takes over from another one, as it is on a day."""
    check_fields(agreement, relations=False)
    if agreement.bill_start_date < agreement.start_date:
        raise DomainError(
            "invalid", f"The first billing date lies before the start, {format_date(agreement.start_date)}.",
            field="first_billing_date",
        )  # fmt: skip
    agreement.save()
    BillingState.objects.create(agreement=agreement)
    copies = []
    for position, addition in enumerate(additions, start=1):
        committed = term_through(addition, on + _DAY) or on
        goes_on, is_rolling = keep_units and committed > on, goes_on_monthly(addition)
        values = values_on(addition, on)._replace(unit_price=_raised_price(values_on(addition, on).unit_price, uplift))
        copies.append(
            Addition(
                agreement=agreement,
                position=position,
                product=addition.product,
                description=addition.description,
                invoice_text=addition.invoice_text,
                billing_option=addition.billing_option,
                taxable=addition.taxable,
                purchase_item=addition.purchase_item,
                offer_id=addition.offer_id,
                term=addition.term,
                price_model_id=None if uplift else addition.price_model_id,
                # A term that goes on is the one it was bought for, whose window is the predecessor's; each month of
                # what goes on by the month has a window of its own.
                committed_through=committed if goes_on else None,
                cancellation_days=0 if goes_on and not is_rolling else addition.cancellation_days,
                seats_down=addition.seats_down,
                effective_date=agreement.start_date,
                serial_number=addition.serial_number if keep_units else "",
                origin_id=addition.origin_id if keep_units else None,
                **{name: getattr(values, name) for name in VALUES},
            )
        )
    ensure_priced_right(agreement, copies)
    Addition.objects.bulk_create(copies)
    copy_rates_and_items(source, agreement)
    billing_state.touch(agreement, agreement.bill_start_date)


# -- families ----------------------------------------------------------------------------------------------------------


def locked_children(parent: Agreement) -> list[Agreement]:
    """The children of a locked agreement, locked as well; before its billing state is, as their own commands do."""
    return list(parent.children.select_for_update(of=("self",), no_key=True).order_by("pk"))


@command(roles=OFFICE)
def attach_child(*, actor: Actor, agreement_id: int, parent_id: int) -> Agreement:
    """Bill an agreement on the invoice of another one; it keeps its own limits, rates and additions.

    Its parts are then billed by the parent's periods, proration and credits.

    Args:
        actor: who attaches it.
        agreement_id: the child.
        parent_id: the parent; of the same billing cycle, cycle base, timing and bill-to.

    Raises:
        DomainError: ``conflict`` for itself, when one of them has a parent or the child has children, when they differ
            in what they must share, or when the child was billed for other periods; ``wrong_state`` unless both are
            active.
    """
    found = locked_all(Agreement.objects.all(), {agreement_id, parent_id}, "parent_id")
    child, parent = found[agreement_id], found[parent_id]
    for agreement in (child, parent):
        check_transition("agreement", agreement.number, agreement.status, AgreementStatus.ENDED)
    _refuse_family(child, parent)
    billing_state.lock(parent)
    own = billing_state.lock(child)
    for n in range(own.next_period):
        start = billing_state.period_of(child, n).start
        if billing_state.index_of(parent, start) is None:
            raise DomainError(
                "conflict", f"{child.number} is billed for a period from {format_date(start)},"
                f" and {parent.number} has none that begins then.", field="parent_id",
                hint="End it and make a new agreement under that parent.",
            )  # fmt: skip
    unbilled = billing_state.period_of(child, own.next_period).start
    child.parent = parent
    child.save(update_fields=["parent"])
    billing_state.follow_parent(child)
    billing_state.touch(parent, min(unbilled, own.changed_from or unbilled))
    audit.record(
        actor, "agreements.agreement.attached", f"bills {child.number}, {child.name}, with {parent.number}", child
    )
    return child


def _refuse_family(child: Agreement, parent: Agreement) -> None:
    refusal = ""
    if child == parent:
        refusal = f"{child.number} cannot be its own parent."
    elif child.parent_id is not None:
        refusal = f"{child.number} is billed with another agreement already; detach it first."
    elif parent.parent_id is not None:
        refusal = f"{parent.number} is a child itself; there is one level."
    elif child.children.exists():
        refusal = f"{child.number} has children itself; there is one level."
    else:
        differing = [words for name, words in SHARED.items() if getattr(child, name) != getattr(parent, name)]
        if differing:
            refusal = (
                f"{child.number} and {parent.number} differ in {' and '.join(differing)}; what is billed on one invoice"
                " has to agree in that."
            )
    if refusal:
        raise DomainError("conflict", refusal, field="parent_id")


@command(roles=OFFICE)
def detach_child(*, actor: Actor, agreement_id: int) -> Agreement:
    """Bill a child on invoices of its own again, from the period on that its parent has not billed.

    Raises:
        DomainError: ``wrong_state`` unless it has a parent; ``conflict`` when it was billed for periods that its own
            first billing date does not give, and while a run bills it.
    """
    child = fetch(Agreement, agreement_id, lock=True)
    parent = child.parent
    if parent is None:
        raise DomainError("wrong_state", f"{child.number} is billed by itself already.")
    family = billing_state.lock(child)
    child.parent = None
    own = billing_state.lock(child)
    own.next_period = 0
    for n in range(family.next_period):
        period = billing_state.period_of(parent, n)
        if period.end <= child.bill_start_date:
            continue
        if billing_state.index_of(child, period.start) != own.next_period:
            raise DomainError(
                "conflict", f"{child.number} was billed with {parent.number} for {period.label}, and its own periods,"
                f" from {format_date(child.bill_start_date)}, begin on other days.",
                hint="End it and make a new agreement instead.",
            )  # fmt: skip
        own.next_period += 1
    child.save(update_fields=["parent"])
    own.changed_from = family.changed_from if own.next_period else None
    own.save(update_fields=["next_period", "changed_from"])
    billing_state.reckon_due(child)
    billing_state.reckon_due(parent)
    audit.record(
        actor, "agreements.agreement.detached", f"bills {child.number} by itself, no longer with {parent.number}", child
    )
    return child
