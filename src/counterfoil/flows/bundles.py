"""Bundles are sold as what they are made of.

A price of the bundle's own is shared out to its components that are billed as often, by what these come to: to all that
the customer took, whether they are converted at once, when the goods are delivered, or by hand later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from counterfoil.catalog.models import ProductClass
from counterfoil.core.money import allocate, extend, round_to
from counterfoil.platform.identity import Actor
from counterfoil.quotes.commands import record_conversion
from counterfoil.quotes.models import ConversionTarget, QuoteLine

_PRICE_PLACES: Final = 8


@dataclass(frozen=True, slots=True)
class TakenBundle:
    """A bundle that the customer took, with the components that are billed as often as it, and the others."""

    head: QuoteLine
    alike: tuple[QuoteLine, ...]
    others: tuple[QuoteLine, ...]

    @property
    def is_sold_in_parts(self) -> bool:
        """Whether its components bill all of it; a price of its own that none of them can take has to be kept."""
        return bool(self.alike) or not (self.head.unit_price or self.head.unit_cost)


def bundles_of(version_ids: Iterable[int]) -> list[TakenBundle]:
    """The bundles of accepted versions, an outer one before those it holds, with their components as they were signed.

    A bundle within a bundle is one line for both.
    """
    rows = QuoteLine.objects.filter(version__in=set(version_ids), opportunity__isnull=False)
    taken = list(rows.select_related("product", "conversion").order_by("position"))
    inside: dict[int, list[QuoteLine]] = {}
    for line in taken:
        if line.bundle_id is not None:
            inside.setdefault(line.bundle_id, []).append(line)
    found: list[TakenBundle] = []
    waiting = [line for line in taken if line.bundle_id is None]
    while waiting:
        line = waiting.pop(0)
        components = inside.get(line.pk, [])
        waiting += components
        if components and line.product.product_class == ProductClass.BUNDLE:
            alike = tuple(each for each in components if each.billing_cycle == line.billing_cycle and not each.is_usage)
            others = tuple(each for each in components if each not in alike)
            found.append(TakenBundle(line, alike, others))
    return found


def share_out(lines: Sequence[QuoteLine]) -> None:
    """Add to components among ``lines`` their shares of what their bundles sell for and cost, to the cent.

    The lines in memory change; the signed ones stay.
    """
    priced: dict[int, QuoteLine] = {}
    for bundle in bundles_of(line.version_id for line in lines if line.version_id and line.bundle_id):
        if bundle.alike:
            _share(bundle)
            priced |= {component.pk: component for component in bundle.alike}
    for line in lines:
        if (as_sold := priced.get(line.pk)) is not None:
            line.unit_price, line.unit_cost = as_sold.unit_price, as_sold.unit_cost


def _share(bundle: TakenBundle) -> None:
    head, components = bundle.head, bundle.alike
    for name in ("unit_price", "unit_cost"):
        if not getattr(head, name):
            continue
        own = [extend(component.quantity, getattr(component, name)) for component in components]
        costs = [extend(component.quantity, component.unit_cost) for component in components]
        shares = allocate(extend(head.quantity, getattr(head, name)), own if any(own) else costs)
        for component, amount, share in zip(components, own, shares, strict=True):
            exact = Fraction(amount + share) / Fraction(component.quantity)
            setattr(component, name, round_to(exact, _PRICE_PLACES))


def record_bundles(actor: Actor, version_ids: Iterable[int]) -> None:
    """Note that a bundle became what the first of its components became, once one of them was converted."""
    for bundle in reversed(bundles_of(version_ids)):
        head = bundle.head
        if hasattr(head, "conversion") or not bundle.is_sold_in_parts or head.opportunity_id is None:
            continue
        ids = [component.pk for component in (*bundle.alike, *bundle.others)]
        rows = QuoteLine.objects.filter(pk__in=ids, conversion__isnull=False).select_related("conversion")
        became = sorted(rows.order_by("position"), key=lambda line: line.conversion.target == ConversionTarget.NOTHING)
        if became:
            first = became[0]
            record_conversion(
                actor=actor,
                opportunity_id=head.opportunity_id,
                line_ids=[head.pk],
                target=first.conversion.target,
                target_id=first.conversion.target_id,
                target_number=first.conversion.target_number,
            )
