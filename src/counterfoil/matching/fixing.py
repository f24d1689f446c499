"""Mending a line of a reconciliation in one action: a dated quantity change, a new addition, or the end of one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db.models import Q

from counterfoil.agreements.commands import AdditionInput, add_addition, cancel_addition, change_addition
from counterfoil.agreements.models import Agreement, AgreementStatus
from counterfoil.agreements.quantities import AdditionOn, additions_on
from counterfoil.agreements.queries import running_on
from counterfoil.catalog.models import Product
from counterfoil.core.calendar import Cycle, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, round_to, sum_money
from counterfoil.matching.comparing import Compared
from counterfoil.matching.models import ExceptionStatus, MatchException, MatchKind, VendorStatement
from counterfoil.matching.reconciliation import (
    compared_of,
    findings_of,
    latest_reconciled,
    settle_reconciled,
    usual_offers,
)
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked
from counterfoil.platform.records import plain_number

_OFFICE: Final = (Role.SALES, Role.FINANCE)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fixed:
    """What was done to mend a line, in words, and how its exception stands now."""

    exception_id: int
    status: str
    done: tuple[str, ...]


@command(roles=_OFFICE)
def fix_line(
    *, actor: Actor, exception_id: int, effective_date: date, now: datetime, agreement_id: int | None = None
) -> Fixed:
    """Bill what the vendor says from a day on, and compare the line again.

    Additions are changed from ``effective_date`` on, prorated as their agreement says, days that are billed already
    caught up on or given back: more goes to the largest addition, less is taken from the largest first. What is not
    billed at all becomes an addition at the price of schedule, offer or product; what the vendor does not have at all
    ends the day before.

    Args:
        actor: who mends it.
        exception_id: an exception of a reconciliation.
        effective_date: first day the vendor's quantity holds.
        now: an aware instant.
        agreement_id: where an addition is added, when the customer has several agreements.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for what is mended, for unknown names and customers without an
            agreement; ``required`` when the agreement has to be named; and what changing additions refuses
            (``committed``, ``invalid``).
    """
    exception = locked(MatchException.objects.filter(kind=MatchKind.RECONCILIATION), exception_id, "exception_id")
    row, statement = _line_of(exception)
    on_day = additions_on(
        on=effective_date, later=effective_date, product_ids={row.product_id}, company_ids={row.company_id}
    )
    additions = [each for each in on_day if not row.term or each.term == row.term]
    reason = f"Reconciled with {statement.number}"
    if not row.theirs:
        done = [_end(actor, addition, effective_date, reason) for addition in additions if addition.quantity]
    elif additions:
        done = _change(actor, additions, row.theirs, effective_date, reason)
    else:
        done = [_add(actor, row, effective_date, agreement_id)]
    if not done:
        raise DomainError(
            "invalid",
            f"On {format_date(effective_date)} it is billed as the vendor says already.",
            field="effective_date",
            hint="Choose a day within the statement's period.",
        )
    compared = compared_of(statement, companies={row.company_id}, products={row.product_id})
    scope = Q(vendor=statement.vendor_id, company=row.company_id, product=row.product_id)
    settle_reconciled(scope, findings_of(statement, compared), now=now)
    exception.refresh_from_db()
    audit.record(
        actor, "matching.line.fixed",
        f"mended “{exception.message}” from {format_date(effective_date)}: {'; '.join(done)}", exception,
    )  # fmt: skip
    return Fixed(exception.pk, exception.status, tuple(done))


def _line_of(exception: MatchException) -> tuple[Compared, VendorStatement]:
    """The line as it is now, and the statement that it is compared with."""
    if exception.status == ExceptionStatus.MENDED:
        raise DomainError("wrong_state", "That is mended already.", field="exception_id")
    if exception.company_id is None or exception.product_id is None or exception.vendor_id is None:
        raise DomainError("wrong_state", exception.message, field="exception_id", hint="Say first what the name means.")
    statement = latest_reconciled(exception.vendor_id)
    term = exception.key.split(":", 4)[4]
    if statement is not None:
        rows = compared_of(statement, companies={exception.company_id}, products={exception.product_id})
        for row in rows:
            if row.term == term and row.status != "exact":
                return row, statement
    raise DomainError(
        "wrong_state", "What is billed agrees with the vendor meanwhile.", field="exception_id",
        hint="Reconcile the statement again.",
    )  # fmt: skip


def _change(actor: Actor, additions: list[AdditionOn], wanted: Decimal, on: date, reason: str) -> list[str]:
    """Bring the additions to ``wanted`` together."""
    gap = wanted - sum_money(addition.quantity for addition in additions)
    done = []
    for addition in sorted(additions, key=lambda each: (-each.quantity, -each.addition_id)):
        step = gap if gap > 0 else max(gap, -addition.quantity)
        if not step:
            continue
        changed = change_addition(
            actor=actor, addition_id=addition.addition_id, on=on, quantity=addition.quantity + step, reason=reason
        )
        done.append(
            f"{changed.description} from {plain_number(addition.quantity)} to {plain_number(addition.quantity + step)}"
        )
        gap -= step
    return done


def _end(actor: Actor, addition: AdditionOn, on: date, reason: str) -> str:
    """End an addition the day before; one that has just begun stays with nothing."""
    was = plain_number(addition.quantity)
    if addition.first_day < on:
        ended = cancel_addition(actor=actor, addition_id=addition.addition_id, on=on - _DAY, reason=reason)
        return f"{ended.description} ({was}) ended"
    emptied = change_addition(actor=actor, addition_id=addition.addition_id, on=on, quantity=Decimal(0), reason=reason)
    return f"{emptied.description} from {was} to 0"


def _add(actor: Actor, row: Compared, on: date, agreement_id: int | None) -> str:
    """Bill it with the customer's agreement, at the price of a month for as many months as its cycle has."""
    agreement = _agreement(row.company_id, on, agreement_id)
    product = Product.objects.get(pk=row.product_id)
    offer = usual_offers([product.pk]).get((product.pk, row.term))
    per_month = Cycle.parse(agreement.billing_cycle).per_month
    added = add_addition(
        actor=actor,
        agreement_id=agreement.pk,
        addition=AdditionInput(
            product_id=product.pk,
            quantity=row.theirs,
            unit_price=round_to(row.unit_price / per_month, 8),
            unit_cost=round_to(Fraction(row.unit_cost) / per_month, 8),
            effective_date=on,
            offer_id=offer.pk if offer else None,
            term=row.term,
        ),
    )
    return (
        f"{plain_number(added.quantity)} {added.description} at {format_money(added.unit_price)} added to"
        f" {agreement.number}"
    )


def _agreement(company_id: int, on: date, agreement_id: int | None) -> Agreement:
    running = list(running_on(on).filter(company=company_id, status=AgreementStatus.ACTIVE).order_by("pk")[:20])
    chosen = [each for each in running if agreement_id in (None, each.pk)]
    if len(chosen) == 1:
        return chosen[0]
    if not chosen:
        raise DomainError(
            "wrong_state", f"The customer has no agreement that runs on {format_date(on)}.", field="agreement_id",
            hint="Make one first.",
        )  # fmt: skip
    raise DomainError(
        "required", "The customer has several agreements: say which one bills it.", field="agreement_id",
        hint=f"They are {', '.join(f'{each.number} ({each.name})' for each in running)}.",
    )  # fmt: skip
