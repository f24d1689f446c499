"""Amounts, quantities and prices as commands take them: refused when a column cannot keep them, never rounded."""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_to


def check_amount(value: Decimal, field: str, *, zero: bool = False) -> None:
    """Refuse an amount of money that is not above zero (not below, with ``zero``) or has a part of a cent.

    Raises:
        DomainError: ``invalid``.
    """
    _check(value, field, places=2, digits=15, zero=zero, what="An amount")


def check_quantity(value: Decimal, field: str) -> None:
    """Refuse a quantity that is not above zero or has more than six decimals.

    Raises:
        DomainError: ``invalid``.
    """
    _check(value, field, places=6, digits=12, zero=False, what="A quantity")


def check_price(value: Decimal, field: str) -> None:
    """Refuse a unit price or unit cost below zero or with more than eight decimals.

    Raises:
        DomainError: ``invalid``.
    """
    _check(value, field, places=8, digits=12, zero=True, what="A price or cost")


def _check(value: Decimal, field: str, *, places: int, digits: int, zero: bool, what: str) -> None:
    if not value.is_finite() or abs(value) >= Decimal(10) ** digits:
        raise DomainError("invalid", f"{what} has at most {digits} digits before the point.", field=field)
    if value < 0 or (not zero and value == 0):
        raise DomainError("invalid", f"{what} must {'not be below' if zero else 'be above'} zero.", field=field)
    if round_to(value, places) != value:
        raise DomainError("invalid", f"{what} has at most {places} decimals.", field=field)
