"""Each tier's units at that tier's price, and the amount of every tier reached, once.

WE-9: to 100 at 0.10, to 500 at 0.08 and beyond at 0.06, 600 units cost 10 + 32 + 6 = 48. With amounts instead of unit
prices the amounts add up: 0 to 5 units, 200 more to 7, 100 more to 9 makes 300 for 8.5 units; a last tier without an
end prices the overage by the unit.
"""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.money import multiply
from counterfoil.core.pricing.tiers import Part, Tier, TierModel, range_words


def parts(model: TierModel, quantity: Decimal) -> list[Part]:
    """``up to 100: 100 × 0.10 = 10.00``, ``above 100 to 500: 400 × 0.08 = 32.00``, ...

    Raises:
        DomainError: ``invalid`` beyond the last tier.
    """
    model.tier_reached(quantity)
    return [
        part
        for lower, tier in model.ranges()
        if lower < quantity
        for part in _tier_parts(lower, tier, quantity if tier.up_to is None else min(quantity, tier.up_to))
    ]


def _tier_parts(lower: Decimal, tier: Tier, upper: Decimal) -> list[Part]:
    words = range_words(lower, tier)
    found = [Part(f"{words}once", tier.flat_amount)] if tier.flat_amount else []
    if tier.unit_price or not found:
        units = upper - lower
        each = f"{words}{quantity_text(units)} × {price_text(tier.unit_price)}"
        found.append(Part(each, multiply(units, tier.unit_price)))
    return found
