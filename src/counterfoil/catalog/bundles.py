"""What people do with bundles: what they are made of, and whether that makes their price and cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from counterfoil.catalog.models import BundleComponent, Offer, Product, ProductClass
from counterfoil.catalog.offers import SELLING
from counterfoil.core.bills import quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.bundle import refuse_cycle
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    check_fields,
    contents_of,
    fetch,
    record_changes,
)

refuse_as("bundle_component_position_once", "conflict", "Somebody else is changing the same bundle. Try again.")
refuse_as("bundle_is_not_in_itself", "invalid", "A bundle cannot hold itself.")


@dataclass(frozen=True, slots=True)
class BundleComponentInput:
    """A product in a bundle.

    Attributes:
        product_id: what it is.
        quantity: so many for each bundle; or, fixed, so many however many bundles are sold.
        offer_id: how it is sold within the bundle.
        fixed_quantity: whether the quantity is not multiplied by the number of bundles.
        shown: whether the customer sees it.
        unit_price: within this bundle; empty: the catalog's.
    """

    product_id: int
    quantity: Decimal = Decimal(1)
    offer_id: int | None = None
    fixed_quantity: bool = False
    shown: bool = True
    unit_price: Decimal | None = None


@command(roles=SELLING)
def set_bundle_components(
    *,
    actor: Actor,
    product_id: int,
    components: Sequence[BundleComponentInput],
    price_from_components: bool | Unset = UNSET,
    cost_from_components: bool | Unset = UNSET,
) -> Product:
    """Say what a bundle is made of, as a whole and in order. What was quoted keeps its components.

    Args:
        actor: who says it.
        product_id: a product of class Bundle.
        components: products, of which some may be bundles themselves.
        price_from_components: whether the bundle's price is that of its components, or its own.
        cost_from_components: likewise for its cost.

    Raises:
        DomainError: ``not_found``; ``wrong_product_class`` for a product that is no bundle; ``invalid`` for a component
            that is off the catalog, an offer of another product, or a bundle that comes round to itself.
    """
    bundle = fetch(Product, product_id, lock=True)
    if bundle.product_class != ProductClass.BUNDLE:
        raise DomainError(
            "wrong_product_class",
            f"{bundle.identifier} is of class {bundle.product_class}; only bundles have components.",
            field="product_id",
        )
    changes = change(bundle, price_from_components=price_from_components, cost_from_components=cost_from_components)
    rows = _checked(bundle, components)
    _refuse_coming_round(bundle, rows)
    if changes:
        bundle.save(update_fields=list(changes))
    said = []
    if contents_of(bundle.components.order_by("position")) != contents_of(rows):
        bundle.components.all().delete()
        BundleComponent.objects.bulk_create(rows)
        said.append(_in_words(rows))
    record_changes(actor, "catalog.bundle.set", f"set the components of {bundle.identifier}", changes, bundle, *said)
    return bundle


def _checked(bundle: Product, components: Sequence[BundleComponentInput]) -> list[BundleComponent]:
    """The rows to write, with products and offers looked up at once."""
    products = Product.objects.in_bulk({given.product_id for given in components})
    offers = Offer.objects.in_bulk({given.offer_id for given in components if given.offer_id is not None})
    rows = []
    for index, given in enumerate(components):
        prefix = f"components[{index}]."
        product = products.get(given.product_id)
        if product is None:
            raise DomainError(
                "not_found", f"There is no product with the id {given.product_id}.", field=f"{prefix}product_id"
            )
        if not product.active:
            raise DomainError(
                "invalid", f"{product.identifier} is no longer on the catalog.", field=f"{prefix}product_id"
            )
        offer = None if given.offer_id is None else offers.get(given.offer_id)
        if given.offer_id is not None and (offer is None or offer.product_id != product.pk):
            raise DomainError("invalid", f"That is no offer of {product.identifier}.", field=f"{prefix}offer_id")
        if given.quantity <= 0:
            raise DomainError("invalid", "The quantity must be above zero.", field=f"{prefix}quantity")
        if given.unit_price is not None and given.unit_price < 0:
            raise DomainError("invalid", "The price cannot be below zero.", field=f"{prefix}unit_price")
        row = BundleComponent(
            bundle=bundle,
            position=index + 1,
            product=product,
            offer=offer,
            quantity=given.quantity,
            fixed_quantity=given.fixed_quantity,
            shown=given.shown,
            unit_price=given.unit_price,
        )
        check_fields(row, prefix=prefix, relations=False)
        rows.append(row)
    return rows


def _refuse_coming_round(bundle: Product, rows: Sequence[BundleComponent]) -> None:
    """Refuse a bundle that holds itself; the other bundles stay as they are until this is decided."""
    made_of: dict[int, list[int]] = defaultdict(list)
    names = {bundle.pk: bundle.identifier} | {row.product_id: row.product.identifier for row in rows}
    others = BundleComponent.objects.exclude(bundle=bundle).select_for_update(of=("self",), no_key=True)
    for row in others.select_related("bundle", "product").order_by("pk"):
        made_of[row.bundle_id].append(row.product_id)
        names |= {row.bundle_id: row.bundle.identifier, row.product_id: row.product.identifier}
    made_of[bundle.pk] = [row.product_id for row in rows]
    refuse_cycle(bundle.pk, made_of, names)


def _in_words(rows: Sequence[BundleComponent]) -> str:
    return (
        ", ".join(
            f"{quantity_text(row.quantity)} {row.product.identifier}"
            + (" in all" if row.fixed_quantity else "")
            + ("" if row.shown else " (hidden)")
            for row in rows
        )
        or "none"
    )
