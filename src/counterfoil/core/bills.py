"""Bills as people see them: the words of their lines, the lines as printed, and what no bill may be."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

from counterfoil.core.calendar import Period, format_date
from counterfoil.core.charges import Bill, BilledItem, Booked, Charge
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money, sum_money

TEXT_LENGTH: Final = 299  #: characters an explanation may have


# -- words -------------------------------------------------------------------------------------------------------------


def quantity_text(quantity: Decimal) -> str:
    """Without idle zeros: ``2``, ``0.5``."""
    return _quantity_text(str(quantity))


@lru_cache(maxsize=2048)  # by text: a number that was just read takes longer to hash
def _quantity_text(quantity: str) -> str:
    text = f"{Decimal(quantity):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price_text(price: Decimal) -> str:
    """At least two decimals, and no idle zeros after them: ``22.00``, ``0.00425``."""
    return _price_text(str(price))


@lru_cache(maxsize=10_000)
def _price_text(price: str) -> str:
    whole, _, decimals = f"{Decimal(price):,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def amount_text(amount: Decimal) -> str:
    """To the cent; below zero in parentheses."""
    return f"{amount:,.2f}" if amount >= 0 else f"({-amount:,.2f})"


def days_text(period: Period) -> str:
    """``15–31 Mar 2019``, as short as it may be."""
    start, last = period.start, period.inclusive_end
    if start == last:
        return format_date(start)
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day}–{format_date(last)}"
    first = format_date(start)
    return f"{first.removesuffix(f' {start.year}') if start.year == last.year else first} – {format_date(last)}"


# -- print -------------------------------------------------------------------------------------------------------------


def present(items: Sequence[BilledItem]) -> tuple[BilledItem, ...]:
    """One printed line for each charge: its catch-up merged into its regular line where the quantities are the same.

    WE-2: 2 at 12.06 for 15 to 31 March and 2 at 22.00 for April are shown as 2 at 34.06. For print alone: what is
    stored, and later handed in as :class:`Booked`, are the lines apart.
    """
    groups: dict[tuple[Hashable, Decimal, bool], list[BilledItem]] = {}
    for item in items:
        groups.setdefault((item.key, item.quantity, item.is_credit), []).append(item)
    return tuple(_merged(group) if len(group) > 1 else group[0] for group in groups.values())


def _merged(group: Sequence[BilledItem]) -> BilledItem:
    days = Period(min(item.service.start for item in group), max(item.service.end for item in group))
    price = sum_money(item.unit_price for item in group)
    amount = sum_money(item.amount for item in group)
    since = min((item.prorated_from for item in group if item.prorated_from), default=None)
    text = " + ".join(f"{amount_text(item.amount)} ({days_text(item.service)})" for item in group)
    if len(text) > TEXT_LENGTH // 2:
        text = f"{len(group)} parts, {days_text(days)}"
    text = f"{quantity_text(group[0].quantity)} × {price_text(round_money(price))}: {text} = {amount_text(amount)}"
    if since:
        text += f"; prorated with a start date of {format_date(since)}"
    return group[-1]._replace(
        service=days,
        unit_price=price,
        amount=amount,
        cost=sum_money(item.cost for item in group),
        explanation=text[:TEXT_LENGTH],
        prorated_from=since,
    )


# -- bounds ------------------------------------------------------------------------------------------------------------


def check_bounds(
    bills: Sequence[Bill],
    charges: Sequence[Charge] = (),
    booked: Iterable[Booked] = (),
    *,
    usual: Decimal | None = None,
    max_bills: int = 24,
    max_factor: int = 100,
) -> None:
    """Refuse what no run should make, so that a person looks at the agreement before its customer does.

    Args:
        bills: what :func:`bills_due` gave for one agreement.
        charges: what it was given.
        booked: what it was given.
        usual: the amount of the last regular bill; a bill may not exceed ``max_factor`` times it. None: no such limit.
        max_bills: how many bills one run may make for an agreement.
        max_factor: see ``usual``.

    Raises:
        DomainError: ``absurd_amount`` for too many bills, too much on one, more units on a day than the charge has, or
            more given back than was billed.
    """
    if len(bills) > max_bills:
        raise _absurd(
            f"One run would make {len(bills)} bills; {max_bills} are allowed.", "Check the first billing date."
        )
    for bill in bills:
        if usual and abs(bill.amount) > max_factor * abs(usual):
            amount, last = amount_text(bill.amount), amount_text(usual)
            message = f"The bill comes to {amount}, more than {max_factor} times the last, {last}."
            raise _absurd(message, "Check quantities and prices.")
    items = [item for bill in bills for item in bill.items]
    if len({(item.key, item.period.start) for item in items}) == len(items) and not any(i.is_credit for i in items):
        return
    by_period: dict[tuple[Hashable, date], list[BilledItem]] = {}
    for item in items:
        by_period.setdefault((item.key, item.period.start), []).append(item)
    rows: dict[tuple[Hashable, date], list[Booked]] = {}
    for row in booked:
        rows.setdefault((row.key, row.period_start), []).append(row)
    by_key = {charge.key: charge for charge in charges}
    for (key, start), group in by_period.items():
        if charge := by_key.get(key):
            _check_units(charge, group)
            _check_credit(charge, group, rows.get((key, start), ()))


def _check_units(charge: Charge, group: Sequence[BilledItem]) -> None:
    """Lines that charge the same days may together not charge more units than there are."""
    most = max(step.quantity for step in charge.steps)
    for day in {item.service.start for item in group} if len(group) > 1 else ():
        units = sum_money(item.quantity for item in group if day in item.service)
        if units > most:
            raise _absurd(
                f"{quantity_text(units)} units would be billed for {format_date(day)}, "
                f"and there are {quantity_text(most)}.",
                "Check the changes of this addition.",
            )


def _check_credit(charge: Charge, group: Sequence[BilledItem], rows: Sequence[Booked]) -> None:
    net = sum_money(item.amount for item in group)
    booked = sum_money(row.amount for row in rows)
    if net < 0 <= booked and net + booked < 0 and all(step.unit_price >= 0 for step in charge.steps):
        raise _absurd(
            f"{amount_text(-net)} would be given back for {group[0].period.label}, "
            f"but {amount_text(booked)} was billed.",
            "Check the credit memos of this agreement.",
        )


def _absurd(message: str, hint: str) -> DomainError:
    return DomainError("absurd_amount", message, hint=hint)
