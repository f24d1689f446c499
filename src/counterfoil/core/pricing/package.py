"""Whole packages: a package that is begun is paid for."""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.money import multiply
from counterfoil.core.pricing.tiers import Part, TierModel


def parts(model: TierModel, quantity: Decimal) -> list[Part]:
    """``3 packages of 10 × 25.00 = 75.00`` for 21 units, and the amount owed once."""
    (tier,) = model.tiers
    found = [Part("once", tier.flat_amount)] if tier.flat_amount else []
    count = packages(quantity, model.package_size)
    noun = "package" if count == 1 else "packages"
    words = f"{count:,} {noun} of {quantity_text(model.package_size)} × {price_text(tier.unit_price)}"
    return [*found, Part(words, multiply(Decimal(count), tier.unit_price))]


def packages(quantity: Decimal, size: Decimal) -> int:
    """How many packages hold ``quantity``: rounded up."""
    whole, rest = divmod(quantity, size)
    return int(whole) + bool(rest)
