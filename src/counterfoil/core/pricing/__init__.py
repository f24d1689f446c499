"""Prices that follow from a quantity: tier models (WE-9), and price, cost, markup and margin.

:func:`price_of` prices a quantity by a :class:`TierModel` and says how, tier by tier. The models stand one to a file:
per unit, volume, graduated, stair-step, package and percentage. :mod:`counterfoil.core.pricing.margin` goes from cost
to price and back, :mod:`counterfoil.core.pricing.bundle` from components to a bundle.
"""

from __future__ import annotations

from counterfoil.core.pricing.model import price_of
from counterfoil.core.pricing.tiers import KINDS, Part, Priced, Tier, TierKind, TierModel

__all__ = ["KINDS", "Part", "Priced", "Tier", "TierKind", "TierModel", "price_of"]
