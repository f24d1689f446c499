"""One amount for everything up to a step; beyond the last step, units may have a price of their own.

WE-9: 1–10 for 50, 11–20 for 100, 21 and more for 150: 25 seats cost 150.
"""

from __future__ import annotations

from decimal import Decimal

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.money import multiply
from counterfoil.core.pricing.tiers import Part, TierModel, range_words


def parts(model: TierModel, quantity: Decimal) -> list[Part]:
    """``above 20: the step's amount = 150.00``; with a price beyond the last step, the units above it too.

    Raises:
        DomainError: ``invalid`` beyond the last step.
    """
    lower, tier = model.tier_reached(quantity)
    words = range_words(lower, tier)
    found = [Part(f"{words}the step's amount", tier.flat_amount)]
    if tier.unit_price:
        beyond = quantity - lower
        each = f"{words}{quantity_text(beyond)} × {price_text(tier.unit_price)}"
        found.append(Part(each, multiply(beyond, tier.unit_price)))
    return found
