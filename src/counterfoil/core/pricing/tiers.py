"""What tier models are made of, and which of them make sense."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, get_args

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.errors import DomainError

TierKind = Literal["per_unit", "volume", "graduated", "stair_step", "package", "percentage"]

KINDS: Final[tuple[TierKind, ...]] = get_args(TierKind)

#: Models with one price: a single tier, without an end.
_ONE_TIER: Final = frozenset({"per_unit", "package", "percentage"})


@dataclass(frozen=True, slots=True)
class Tier:
    """A range of quantities: above the tier before, up to and with ``up_to`` (None: no end).

    ``unit_price`` is per unit, per package, or the share of a percentage (0.02 is 2 %). ``flat_amount`` is owed once,
    when the tier is reached.
    """

    up_to: Decimal | None
    unit_price: Decimal = Decimal(0)
    flat_amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TierModel:
    """How a price follows from a quantity.

    Tiers are in ascending order, so ranges neither overlap nor leave a gap. A last tier without an end prices whatever
    lies beyond (the overage); where the last one ends, more than that has no price and is refused.

    ``included_quantity`` is not billed; of the rest at least ``minimum_quantity`` is. The price is at least
    ``minimum_amount``. ``package_size`` is the number of units in a package.

    Raises:
        DomainError: ``required`` or ``invalid``, with the field, for a model that makes no sense.
    """

    kind: TierKind
    tiers: tuple[Tier, ...]
    minimum_quantity: Decimal = Decimal(0)
    included_quantity: Decimal = Decimal(0)
    minimum_amount: Decimal = Decimal(0)
    package_size: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DomainError("invalid", f"“{self.kind}” is no kind of price model.", field="kind")
        for name in ("minimum_quantity", "included_quantity", "minimum_amount"):
            if getattr(self, name) < 0:
                raise DomainError("invalid", f"The {name.replace('_', ' ')} cannot be below zero.", field=name)
        if self.package_size <= 0:
            raise DomainError("invalid", "A package holds more than nothing.", field="package_size")
        _check_tiers(self.kind, self.tiers)

    def ranges(self) -> Iterator[tuple[Decimal, Tier]]:
        """Each tier with the quantity above which it begins."""
        lower = Decimal(0)
        for tier in self.tiers:
            yield lower, tier
            if tier.up_to is not None:
                lower = tier.up_to

    def tier_reached(self, quantity: Decimal) -> tuple[Decimal, Tier]:
        """The tier the quantity lies in, with where it begins.

        Raises:
            DomainError: ``invalid`` beyond the last tier's end.
        """
        for lower, tier in self.ranges():
            if tier.up_to is None or quantity <= tier.up_to:
                return lower, tier
        raise self.beyond(quantity)

    def beyond(self, quantity: Decimal) -> DomainError:
        """The refusal of a quantity that no tier prices."""
        last = self.tiers[-1].up_to or Decimal(0)
        return DomainError(
            "invalid",
            f"{quantity_text(quantity)} are more than the {quantity_text(last)} that there is a price for.",
            field="quantity",
            hint="Add a last tier without an end to the price model: what the units beyond cost.",
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a price and where it comes from: ``100 × 0.10`` and 10.00."""

    words: str
    amount: Decimal

    def __str__(self) -> str:
        return f"{self.words} = {price_text(self.amount)}"


@dataclass(frozen=True, slots=True)
class Priced:
    """The price of a quantity.

    ``amount`` is exact; ``unit_price`` is the amount by the quantity asked for, to 8 decimals (0 for no quantity). The
    amounts after “=” in ``explanation`` add up to ``amount``; lines without one are remarks.
    """

    amount: Decimal
    unit_price: Decimal
    explanation: tuple[str, ...]


def range_words(lower: Decimal, tier: Tier) -> str:
    """``up to 100: ``, ``above 100 to 500: ``, ``above 500: ``; nothing for a range that is everything."""
    if tier.up_to is None:
        return f"above {quantity_text(lower)}: " if lower else ""
    upper = quantity_text(tier.up_to)
    return f"above {quantity_text(lower)} to {upper}: " if lower else f"up to {upper}: "


def _check_tiers(kind: TierKind, tiers: tuple[Tier, ...]) -> None:
    if not tiers:
        raise DomainError("required", "A price model has at least one tier.", field="tiers")
    if kind in _ONE_TIER and (len(tiers) > 1 or tiers[0].up_to is not None):
        words = kind.replace("_", " ")
        raise DomainError(
            "invalid",
            f"A {words} price has one tier without an end.",
            field="tiers",
            hint="Choose volume, graduated or stair-step for prices that change with the quantity.",
        )
    lower = Decimal(0)
    for index, tier in enumerate(tiers):
        field = f"tiers[{index}]"
        if tier.unit_price < 0 or tier.flat_amount < 0:
            raise DomainError("invalid", "A tier's price cannot be below zero.", field=f"{field}.unit_price")
        if tier.up_to is None:
            if index < len(tiers) - 1:
                raise DomainError("invalid", "Only the last tier is without an end.", field=f"{field}.up_to")
        elif tier.up_to <= lower:
            raise DomainError(
                "invalid",
                f"The tier ends at {quantity_text(tier.up_to)}, which is not above {quantity_text(lower)},"
                " where it begins.",
                field=f"{field}.up_to",
                hint="Put the tiers in ascending order.",
            )
        else:
            lower = tier.up_to
        if kind == "stair_step" and tier.unit_price and tier.up_to is not None:
            raise DomainError(
                "invalid",
                "A step has one amount; only beyond the last step do units have a price of their own.",
                field=f"{field}.unit_price",
            )
