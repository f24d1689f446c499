"""Between cost and price: markup is a share of the cost, margin and discount are shares of the price.

Shares are in per cent (25 is 25 %). Prices and costs come out to 8 decimals, per cents too. A cost of 80.00 at 25 %
markup is a price of 100.00, whose margin is 20 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_to

Method = Literal["price", "markup", "margin", "discount", "amount_off"]

_PLACES: Final = 8
_WHOLE: Final = 100


def price_by_markup(cost: Decimal, percent: Decimal) -> Decimal:
    """Cost and so much of it again. The inverse of :func:`markup_of`."""
    return round_to(Fraction(cost) * (1 + Fraction(percent) / _WHOLE), _PLACES)


def price_by_margin(cost: Decimal, percent: Decimal) -> Decimal:
    """The price of which so much is not cost. The inverse of :func:`margin_of`.

    Raises:
        DomainError: ``invalid`` from 100 % on: no price is all margin while there is a cost.
    """
    if percent >= _WHOLE:
        raise DomainError("invalid", "A margin is below 100 %.", field="value")
    return round_to(Fraction(cost) / (1 - Fraction(percent) / _WHOLE), _PLACES)


def price_by_discount(price: Decimal, percent: Decimal) -> Decimal:
    """The price less so much of it. The inverse of :func:`discount_of`.

    Raises:
        DomainError: ``invalid`` above 100 %.
    """
    if percent > _WHOLE:
        raise DomainError("invalid", "A discount is at most 100 %.", field="value")
    return round_to(Fraction(price) * (1 - Fraction(percent) / _WHOLE), _PLACES)


def markup_of(cost: Decimal, price: Decimal) -> Decimal | None:
    """Markup in per cent of cost; None where there is no cost."""
    return _share(price - cost, cost)


def margin_of(cost: Decimal, price: Decimal) -> Decimal | None:
    """Margin in per cent of price (WE-32: 2,400 of 5,000 is 48 %); None where there is no price."""
    return _share(price - cost, price)


def discount_of(list_price: Decimal, price: Decimal) -> Decimal | None:
    """Discount in per cent of the list price; None where there is none."""
    return _share(list_price - price, list_price)


def change_of(old: Decimal, new: Decimal) -> Decimal | None:
    """By how many per cent ``new`` is above ``old`` (below: negative); None where there was nothing."""
    return _share(new - old, old)


@dataclass(frozen=True, slots=True)
class RulePrice:
    """A price found by a rule, and how: ``cost 80.00 + 25 %``."""

    price: Decimal
    words: str


def price_by_rule(method: Method, value: Decimal, *, price: Decimal, cost: Decimal) -> RulePrice:
    """The unit price that a pricing rule makes of the price and cost of the catalog.

    Args:
        method: ``price`` takes the value as it is; ``markup`` goes from the cost, ``margin`` too; ``discount`` and
            ``amount_off`` from the price, not below zero.
        value: a price, an amount, or per cent.
        price: per unit, without the rule.
        cost: per unit.

    Raises:
        DomainError: ``invalid`` for a margin of 100 % or a discount above it.
    """
    if method == "price":
        return RulePrice(value, price_text(value))
    share = f"{quantity_text(value)} %"
    if method == "markup":
        return RulePrice(price_by_markup(cost, value), f"cost {price_text(cost)} + {share}")
    if method == "margin":
        return RulePrice(price_by_margin(cost, value), f"cost {price_text(cost)} at a margin of {share}")
    if method == "discount":
        return RulePrice(price_by_discount(price, value), f"{price_text(price)} − {share}")
    return RulePrice(max(price - value, Decimal(0)), f"{price_text(price)} − {price_text(value)}")


def _share(part: Decimal, whole: Decimal) -> Decimal | None:
    if not whole:
        return None
    return round_to(Fraction(part) / Fraction(whole) * _WHOLE, _PLACES)
