"""Accepted lines that change what runs: more or fewer of an addition, its cancellation, its renewal.

Each is one dated change with the signed line as its origin; the commitment rules hold (WE-14, WE-16, WE-23).
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from counterfoil.agreements.commands import (
    add_addition,
    cancel_addition,
    change_addition,
    renew_addition,
)
from counterfoil.agreements.commitments import ensure_may_shrink, term_through
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.agreements.queries import last_day, quantity_on, values_on
from counterfoil.core.calendar import Cycle, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.flows.recurring_lines import (
    Recurring,
    addition_of,
    cancellation_days,
    committed_through,
    convert_recurring,
    record,
    seats_down,
    when,
)
from counterfoil.platform.identity import Actor
from counterfoil.quotes.models import LineAction, QuoteLine, QuoteVersion
from counterfoil.quotes.routing import AGREEMENT, conversion_rules, rule_for

_DAY: Final = timedelta(days=1)


def apply_change(actor: Actor, version: QuoteVersion, line: QuoteLine, on: date) -> list[Agreement]:
    """Do what a line says to its addition; the agreements that changed.

    Raises:
        DomainError: ``committed`` for fewer than are owed; ``invalid`` for a day on which the addition does not run;
            and as the commands of agreements refuse.
    """
    addition = line.addition
    assert addition is not None  # the database asks for one
    agreement = addition.agreement
    if line.action == LineAction.RENEW:
        return _renew(actor, version, line, addition, on)
    start = line.start_date or on
    if line.action == LineAction.INCREASE:
        _increase(actor, line, addition, start)
    else:
        if on > start:  # told today, whatever day it is to hold from: a window that has closed stays closed
            _ensure_still_open(line, addition, on)
        _take_away(actor, line, addition, start)
    record(actor, agreement, [line])
    return [agreement]


def _increase(actor: Actor, line: QuoteLine, addition: Addition, start: date) -> None:
    """More of it at its price; at another price an addition of its own beside it that ends with it."""
    there = values_on(addition, start)
    same = (line.unit_price, line.unit_cost) == (there.unit_price, there.unit_cost)
    if same or addition.price_model_id is not None:
        change_addition(
            actor=actor,
            addition_id=addition.pk,
            on=start,
            more=line.quantity,
            reason=f"Quote {line.version.quote if line.version else ''}"[:200],
            origin_id=line.pk,
        )
        return
    end = last_day(addition.agreement)
    own = Recurring(line, start, addition.cancelled_date or end)
    add_addition(
        actor=actor,
        agreement_id=addition.agreement_id,
        addition=addition_of(own, end, committed=addition.committed_through),
    )


def _ensure_still_open(line: QuoteLine, addition: Addition, on: date) -> None:
    """Refuse to take away what is committed by the day the customer accepts, though it was quoted in the window."""
    left = max(quantity_on(addition, on) - line.quantity, ZERO)
    ensure_may_shrink(addition, on - _DAY, "start_date", ZERO if line.action == LineAction.CANCEL else left)


def _take_away(actor: Actor, line: QuoteLine, addition: Addition, start: date) -> None:
    """Fewer of it from a day on; none left is a cancellation with the day before as its last."""
    there = quantity_on(addition, start)
    if line.action == LineAction.DECREASE and line.quantity > there:
        raise DomainError(
            "invalid",
            f"Of {addition.description} there are {there.normalize():f} on {format_date(start)};"
            f" {line.quantity.normalize():f} cannot be taken away.",
            field="quantity",
            hint="Ask for a new quote.",
        )
    reason = f"Quote {line.version.quote if line.version else ''}"[:200]
    if line.quantity < there:
        change_addition(
            actor=actor,
            addition_id=addition.pk,
            on=start,
            more=-line.quantity,
            reason=reason,
            origin_id=line.pk,
        )
        return
    last = max(start, addition.effective_date) - _DAY  # from its first day on: it was never in force
    if addition.cancelled_date is None or addition.cancelled_date > last:  # what ends before is not billed on
        cancel_addition(actor=actor, addition_id=addition.pk, on=last, reason=reason)


def _renew(actor: Actor, version: QuoteVersion, line: QuoteLine, addition: Addition, on: date) -> list[Agreement]:
    """For another term on its agreement; another product, or billed otherwise, it goes on as an addition of its own."""
    agreement = addition.agreement
    first = line.start_date or renewal_day(addition, on) or on
    each = Recurring(line, first, when(line, first)[1], rule_for(line, list(conversion_rules())))
    is_swap = line.product_id != addition.product_id
    if is_swap or each.cycle.per_month != Cycle.parse(agreement.billing_cycle).per_month:
        ends = [day for day in (addition.cancelled_date, last_day(agreement)) if day is not None]
        if not ends or min(ends) >= first:
            cancel_addition(actor=actor, addition_id=addition.pk, on=first - _DAY, reason=f"Renewed by {version.quote}")
        if each.rule is None or each.rule.target != AGREEMENT:
            return [agreement]
        return [agreement, *convert_recurring(actor, version, [each], first)]
    renew_addition(
        actor=actor,
        addition_id=addition.pk,
        on=first,
        quantity=line.quantity,
        unit_price=line.unit_price,
        unit_cost=line.unit_cost,
        through=each.last,
        committed_through=committed_through(line, first),
        offer_id=line.offer_id,
        term=line.term,
        price_model_id=line.price_model_id,
        cancellation_days=cancellation_days(line),
        seats_down=seats_down(line),
        origin_id=line.pk,
    )
    record(actor, agreement, [line])
    return [agreement]


def renewal_day(addition: Addition, on: date | None = None) -> date | None:
    """The first day after the term it has: after what is committed, else after its last day or its agreement's.

    What goes on month by month ends with the month of the day ``on``, or with its first.
    """
    committed = addition.committed_through if on is None else term_through(addition, on)
    ends = [committed, addition.cancelled_date, last_day(addition.agreement)]
    known = [day for day in ends if day is not None]
    return min(known) + _DAY if known else None
