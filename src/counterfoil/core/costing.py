"""What goods cost when they leave stock: FIFO, LIFO, average, or by serial number.

Every method has one signature: it is given the layers in the order they came in, and says how much of each is issued
and at what cost. Costs are whole cents. The caller keeps each layer's rest, quantity and cost, and the last unit takes
all of it: what a layer was bought for is what its units cost as they leave.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from counterfoil.core.errors import DomainError
from counterfoil.core.money import allocate, round_money, sum_money


@dataclass(frozen=True, slots=True)
class Layer:
    """What is left of one receipt line: how many, what they cost in all, and their serial numbers, if any."""

    key: int | str
    quantity: Decimal
    cost: Decimal
    serials: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.quantity <= 0 or self.cost < 0 or round_money(self.cost) != self.cost:
            raise DomainError("invalid", f"Layer {self.key} needs a quantity and a cost in whole cents.")
        if self.serials and len(self.serials) != self.quantity:
            raise DomainError(
                "invalid", f"Layer {self.key} has {len(self.serials)} serial numbers for {self.quantity}."
            )


@dataclass(frozen=True, slots=True)
class Issue:
    """What leaves one layer."""

    key: int | str
    quantity: Decimal
    cost: Decimal
    serials: tuple[str, ...] = ()


def issue(method: str, layers: Sequence[Layer], quantity: Decimal, serials: Sequence[str] = ()) -> tuple[Issue, ...]:
    """What ``quantity`` costs as it leaves ``layers`` (oldest first), layer by layer.

    Args:
        method: a key of :data:`METHODS`: ``fifo``, ``lifo``, ``average`` or ``serial``.
        layers: what is in stock.
        quantity: how many leave.
        serials: which units leave; required by ``serial``, not allowed by the others.

    Raises:
        DomainError: ``not_in_stock`` when there is less, or not that serial; ``serials_required`` when the serials
            do not say which units leave; ``conflict`` when one serial is in stock twice; ``invalid`` otherwise.
    """
    if method not in METHODS:
        raise DomainError("invalid", f"“{method}” is not a costing method.", field="method", hint=", ".join(METHODS))
    if quantity <= 0:
        raise DomainError("invalid", "The quantity must be above zero.", field="quantity")
    held = sum_money(layer.quantity for layer in layers)
    if quantity > held:
        raise DomainError(
            "not_in_stock", f"Only {held.normalize():f} of {quantity.normalize():f} are in stock.", field="quantity"
        )
    return METHODS[method](layers, quantity, tuple(serials))


def issued_cost(issues: Sequence[Issue]) -> Decimal:
    """What the issues cost together."""
    return sum_money(issue.cost for issue in issues)


def _fifo(layers: Sequence[Layer], quantity: Decimal, serials: tuple[str, ...]) -> tuple[Issue, ...]:
    _refuse_serials(layers, serials)
    issues: list[Issue] = []
    for layer in layers:
        if not quantity:
            break
        taken = min(quantity, layer.quantity)
        issues.append(Issue(layer.key, taken, _share(layer, taken)))
        quantity -= taken
    return tuple(issues)


def _lifo(layers: Sequence[Layer], quantity: Decimal, serials: tuple[str, ...]) -> tuple[Issue, ...]:
    return _fifo(layers[::-1], quantity, serials)


def _average(layers: Sequence[Layer], quantity: Decimal, serials: tuple[str, ...]) -> tuple[Issue, ...]:
    """Units leave oldest first, all at the average cost of what is in stock.

    The cost is what the pool loses, so a layer's own cost may be more or less: keep the pool's value, not the layers'.
    """
    taken = _fifo(layers, quantity, serials)
    pool = Fraction(sum_money(layer.cost for layer in layers))
    held = Fraction(sum_money(layer.quantity for layer in layers))
    costs = allocate(round_money(pool * Fraction(quantity) / held), [x.quantity for x in taken])
    return tuple(Issue(x.key, x.quantity, cost) for x, cost in zip(taken, costs, strict=True))


def _serial(layers: Sequence[Layer], quantity: Decimal, serials: tuple[str, ...]) -> tuple[Issue, ...]:
    if len(serials) != quantity or len(set(serials)) != len(serials):
        raise DomainError(
            "serials_required",
            f"Name the serial number of each unit, once: {len(set(serials))} given for {quantity.normalize():f}.",
            field="serials",
        )
    copies = Counter(serial for layer in layers for serial in layer.serials)
    for serial in serials:
        if not copies[serial]:
            raise DomainError("not_in_stock", f"Serial number {serial} is not in stock.", field="serials")
        if copies[serial] > 1:
            raise DomainError(
                "conflict",
                f"Serial number {serial} is in stock {copies[serial]} times, so its cost is not known.",
                field="serials",
                hint="Correct the receipts first.",
            )
    wanted = set(serials)
    issues: list[Issue] = []
    for layer in layers:
        mine = tuple(serial for serial in layer.serials if serial in wanted)
        if mine:
            issues.append(Issue(layer.key, Decimal(len(mine)), _share(layer, Decimal(len(mine))), mine))
    return tuple(issues)


def _refuse_serials(layers: Sequence[Layer], serials: tuple[str, ...]) -> None:
    """Serialized units must be named, and only they can be: never guess which one left."""
    if serials:
        raise DomainError("invalid", "Serial numbers are issued by the serial method alone.", field="serials")
    if any(layer.serials for layer in layers):
        raise DomainError("serials_required", "Name the serial number of each unit that leaves.", field="serials")


def _share(layer: Layer, quantity: Decimal) -> Decimal:
    return round_money(Fraction(layer.cost) * Fraction(quantity) / Fraction(layer.quantity))


#: The costing methods by name, all called alike: ``(layers, quantity, serials)``.
METHODS: Final[dict[str, Callable[[Sequence[Layer], Decimal, tuple[str, ...]], tuple[Issue, ...]]]] = {
    "fifo": _fifo,
    "lifo": _lifo,
    "average": _average,
    "serial": _serial,
}
