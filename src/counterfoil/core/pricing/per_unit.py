"""Every unit at the same price, after an amount owed once, if any."""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.money import multiply
from counterfoil.core.pricing.tiers import Part, TierModel


def parts(model: TierModel, quantity: Decimal) -> list[Part]:
    """``17 × 9.00 = 153.00``, and the amount owed once."""
    (tier,) = model.tiers
    found = [Part("once", tier.flat_amount)] if tier.flat_amount else []
    words = f"{quantity_text(quantity)} × {price_text(tier.unit_price)}"
    return [*found, Part(words, multiply(quantity, tier.unit_price))]
