"""A price by quantity, for a picture: at which quantities a model is worth looking at."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from counterfoil.core.pricing.model import price_of
from counterfoil.core.pricing.tiers import Priced, TierModel

_POINTS: Final = 48
_LEAST: Final = 20


def curve(model: TierModel) -> list[tuple[Decimal, Priced]]:
    """Quantities from one to well beyond the last tier's start, each with its price; tier ends are among them.

    A model whose last tier ends is shown up to there.
    """
    ends = [tier.up_to for tier in model.tiers if tier.up_to is not None]
    last = max([*ends, model.package_size if model.kind == "package" else Decimal(1)])
    reach = last if model.tiers[-1].up_to is not None else max(last * 2, Decimal(_LEAST))
    step = max(int(reach) // _POINTS, 1)
    quantities = {Decimal(n) for n in range(step, int(reach) + 1, step)} | set(ends)
    if step == 1 or not quantities:
        quantities.add(min(Decimal(1), reach))
    return [(quantity, price_of(model, quantity)) for quantity in sorted(quantities)]
