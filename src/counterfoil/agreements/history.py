"""The history of an addition as its changes keep it: what follows from a change for those after it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from itertools import takewhile
from typing import Final

from counterfoil.agreements.commitments import is_renewal
from counterfoil.agreements.models import Addition, AdditionChange
from counterfoil.agreements.terms import Values
from counterfoil.catalog.queries import tier_model
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing import price_of
from counterfoil.platform.records import plain_number

#: What an addition is worth, and what therefore has a history.
VALUES: Final = ("quantity", "less_included", "unit_price", "unit_cost")


def rows_of(addition: Addition) -> list[AdditionChange]:
    """The whole history as rows; that of an addition never changed before is what it has been from the first."""
    rows = list(addition.changes.select_related("origin").order_by("effective_date"))
    if not rows:
        first = {name: getattr(addition, name) for name in VALUES}
        rows = [AdditionChange.objects.create(addition=addition, effective_date=addition.effective_date, **first)]
    return rows


def carry_on(
    rows: Iterable[AdditionChange],
    row: AdditionChange,
    before: Values,
    changed: dict[str, Decimal],
    more: Decimal | None = None,
) -> list[AdditionChange]:
    """The later rows that had taken a value over, with the new one; with ``more`` all have so many more.

    The next renewal, and what follows it, is a term of its own.
    """
    touched: dict[date, AdditionChange] = {}
    later = sorted(
        (each for each in rows if each.effective_date > row.effective_date), key=lambda each: each.effective_date
    )
    later = list(takewhile(lambda each: not is_renewal(each), later))
    if more:
        changed = {name: value for name, value in changed.items() if name != "quantity"}
        for each in later:
            _add_to(each, more)
            touched[each.effective_date] = each
    for name, value in changed.items():
        for each in later:
            if getattr(each, name) != getattr(before, name):
                break
            setattr(each, name, value)
            touched[each.effective_date] = each
    return [touched[day] for day in sorted(touched)]


def _add_to(row: AdditionChange, more: Decimal) -> None:
    """So many more on a later row, at the price of its price model where it had that."""
    model, quantity = row.addition.price_model, row.quantity + more
    if quantity < 0:
        raise DomainError(
            "invalid",
            f"Of {row.addition} there are {plain_number(row.quantity)} from {format_date(row.effective_date)} on;"
            f" {plain_number(-more)} cannot be taken away.",
            field="more", hint="Take that change back first.",
        )  # fmt: skip
    if model is not None and row.unit_price == price_of(tier_model(model), row.quantity).unit_price:
        row.unit_price = price_of(tier_model(model), quantity).unit_price
    row.quantity = quantity


def take_latest(addition: Addition) -> None:
    """Keep what holds last on the addition itself."""
    latest = addition.changes.order_by("effective_date").last()
    if latest is not None:
        for name in VALUES:
            setattr(addition, name, getattr(latest, name))
        addition.save(update_fields=list(VALUES))
