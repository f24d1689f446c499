"""What a bundle costs and sells for, from its components."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from counterfoil.core.errors import DomainError
from counterfoil.core.money import multiply, sum_money

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Component:
    """So many for each bundle; or, ``fixed``, so many however many bundles there are. Price and cost per unit."""

    quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    fixed: bool = False

    def quantity_in(self, bundles: Decimal) -> Decimal:
        """How many go into that many bundles."""
        return self.quantity if self.fixed else multiply(self.quantity, bundles)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """Exact amounts of all the components of a number of bundles."""

    price: Decimal
    cost: Decimal


def roll_up(components: Iterable[Component], bundles: Decimal = Decimal(1)) -> RolledUp:
    """What the components of so many bundles sell for and cost."""
    found = [(component.quantity_in(bundles), component) for component in components]
    return RolledUp(
        sum_money(multiply(quantity, component.unit_price) for quantity, component in found),
        sum_money(multiply(quantity, component.unit_cost) for quantity, component in found),
    )


def refuse_cycle(bundle: Key, made_of: Mapping[Key, Sequence[Key]], names: Mapping[Key, str]) -> None:
    """Refuse a bundle that holds itself, at whatever depth.

    Args:
        bundle: whose components change.
        made_of: the components of every bundle, those of ``bundle`` as they shall be.
        names: what the records are called, for the refusal.

    Raises:
        DomainError: ``invalid``, naming the way round.
    """
    trail: list[Key] = []
    done: set[Key] = set()

    def visit(key: Key) -> None:
        trail.append(key)
        for component in made_of.get(key, ()):
            if component == bundle:
                way = " → ".join(map(names.__getitem__, (*trail, bundle)))
                raise DomainError("invalid", f"A bundle cannot hold itself: {way}.", field="components")
            if component not in done:
                visit(component)
        done.add(trail.pop())

    visit(bundle)
