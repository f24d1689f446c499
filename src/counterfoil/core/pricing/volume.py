"""All units at the price of the tier the quantity reaches, and that tier's amount once.

WE-9: of tiers to 250 at 1, to 500 at 2 and beyond at 3, 1,000 units cost 3 × 1,000 = 3,000.
"""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.money import multiply
from counterfoil.core.pricing.tiers import Part, TierModel, range_words


def parts(model: TierModel, quantity: Decimal) -> list[Part]:
    """``above 500: 1000 × 3.00 = 3,000.00``.

    Raises:
        DomainError: ``invalid`` beyond the last tier.
    """
    lower, tier = model.tier_reached(quantity)
    words = range_words(lower, tier)
    found = [Part(f"{words}once", tier.flat_amount)] if tier.flat_amount else []
    if tier.unit_price or not found:
        each = f"{words}{quantity_text(quantity)} × {price_text(tier.unit_price)}"
        found.append(Part(each, multiply(quantity, tier.unit_price)))
    return found
