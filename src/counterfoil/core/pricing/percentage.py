"""A share of an amount, after an amount owed once, if any: the quantity is the amount it is taken of."""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.money import multiply
from counterfoil.core.pricing.tiers import Part, TierModel


def parts(model: TierModel, quantity: Decimal) -> list[Part]:
    """``2 % of 1,000.00 = 20.00``, and the amount owed once."""
    (tier,) = model.tiers
    found = [Part("once", tier.flat_amount)] if tier.flat_amount else []
    words = f"{quantity_text(tier.unit_price * 100)} % of {price_text(quantity)}"
    return [*found, Part(words, multiply(quantity, tier.unit_price))]
