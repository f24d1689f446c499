"""The price of a quantity by any tier model."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_to, sum_money
from counterfoil.core.pricing import graduated, package, per_unit, percentage, stair_step, volume
from counterfoil.core.pricing.tiers import Part, Priced, TierKind, TierModel

_PRICE_PLACES: Final = 8

#: How each kind prices the quantity to bill, which is above zero.
_PARTS: Final[dict[TierKind, Callable[[TierModel, Decimal], list[Part]]]] = {
    "per_unit": per_unit.parts,
    "volume": volume.parts,
    "graduated": graduated.parts,
    "stair_step": stair_step.parts,
    "package": package.parts,
    "percentage": percentage.parts,
}


def price_of(model: TierModel, quantity: Decimal) -> Priced:
    """What ``quantity`` costs by ``model``, and how that comes about. WE-9.

    Args:
        model: the tiers and their kind.
        quantity: units; of a percentage the amount it is taken of. What is included comes off first, then at least
            the minimum quantity is billed.

    Raises:
        DomainError: ``invalid`` for a quantity below zero, or beyond the end of the last tier.
    """
    if quantity < 0:
        raise DomainError("invalid", "A quantity cannot be below zero.", field="quantity")
    billed, remarks = _billed(model, quantity)
    parts = _PARTS[model.kind](model, billed) if billed else []
    amount = sum_money(part.amount for part in parts)
    if amount < model.minimum_amount:
        parts.append(Part(f"up to the minimum of {price_text(model.minimum_amount)}", model.minimum_amount - amount))
        amount = model.minimum_amount
    explanation = (*remarks, *map(str, parts))
    return Priced(amount, _per_unit(amount, quantity), explanation)


def _billed(model: TierModel, quantity: Decimal) -> tuple[Decimal, list[str]]:
    """The quantity to bill, and what is to be said about it."""
    remarks = []
    included = min(quantity, model.included_quantity)
    billed = quantity - included
    if included:
        remarks.append(f"{quantity_text(included)} of {quantity_text(quantity)} included")
    if billed < model.minimum_quantity:
        remarks.append(f"at least {quantity_text(model.minimum_quantity)} are billed")
        billed = model.minimum_quantity
    return billed, remarks


def _per_unit(amount: Decimal, quantity: Decimal) -> Decimal:
    if not quantity:
        return Decimal(0)
    return round_to(Fraction(amount) / Fraction(quantity), _PRICE_PLACES)
