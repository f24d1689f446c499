"""What fits together in a product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pghistory.models
from django.db.models import ManyToOneRel

from counterfoil.catalog.models import AccountingType, Offer, PriceModel, Product, ProductClass, RateType, WorkType
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError

#: The accounting type that goes with a class unless another is chosen.
DEFAULT_ACCOUNTING_TYPES: Final[dict[str, str]] = {
    ProductClass.AGREEMENT: AccountingType.SERVICE.value,
    ProductClass.BUNDLE: AccountingType.OTHER_CHARGE.value,
    ProductClass.INVENTORY: AccountingType.INVENTORY_PART.value,
    ProductClass.NON_INVENTORY: AccountingType.NON_INVENTORY_PART.value,
    ProductClass.SERVICE: AccountingType.SERVICE.value,
}

#: Classes of things that are bought, received and shipped.
GOODS: Final = frozenset({ProductClass.INVENTORY, ProductClass.NON_INVENTORY})

#: What documents rely on, and how it is called.
FIXED_ONCE_USED: Final = {"product_class": "class", "serialized": "rule on serial numbers", "unit_of_measure": "unit"}

#: Relations that show a product is in use.
_USES: Final = ("quote_lines", "additions", "order_lines", "purchase_order_lines", "invoice_lines")


def ensure_consistent(product: Product) -> None:
    """Refuse a product whose class, type, serials, cycle and shipping contradict each other.

    Raises:
        DomainError: ``invalid`` or ``required``, with the field.
    """
    stocked = product.product_class == ProductClass.INVENTORY
    if stocked != (product.accounting_type == AccountingType.INVENTORY_PART):
        raise DomainError(
            "invalid",
            f"{product.identifier} is of class {product.product_class} and type {product.accounting_type}:"
            " what is stock here is stock in the books, and nothing else is.",
            field="accounting_type",
            hint="Class Inventory goes with type InventoryPart.",
        )
    is_goods = product.product_class in GOODS
    if product.serialized and not is_goods:
        raise DomainError(
            "invalid",
            f"{product.identifier} is of class {product.product_class}; only goods have serial numbers.",
            field="serialized",
            hint="Choose class Inventory or NonInventory, or no serial numbers.",
        )
    if product.product_class == ProductClass.AGREEMENT:
        if not product.billing_cycle:
            raise DomainError(
                "required",
                f"{product.identifier} is an agreement product: how often is it billed?",
                field="billing_cycle",
                hint="Choose a billing cycle, such as month:1.",
            )
        product.billing_cycle = cycle_code(product.billing_cycle)
    elif product.billing_cycle:
        raise DomainError(
            "invalid",
            f"{product.identifier} is of class {product.product_class}; only agreement products have a billing cycle.",
            field="billing_cycle",
        )
    if product.drop_ship and product.product_class == ProductClass.INVENTORY:
        raise DomainError(
            "invalid",
            f"{product.identifier} is kept in stock, so it cannot be drop-shipped.",
            field="drop_ship",
            hint="Choose class NonInventory for what the vendor ships to the customer.",
        )


def cycle_code(text: str, field: str = "billing_cycle") -> str:
    """The stored form of a billing cycle: ``monthly`` is ``month:1``.

    Raises:
        DomainError: ``invalid``.
    """
    try:
        return Cycle.parse(text).code
    except DomainError as error:
        raise DomainError(error.code, error.message, field=field, hint=error.hint) from error


def optional_cycle(text: str, field: str = "billing_cycle") -> str:
    """The stored form of a term or billing cycle that may be empty.

    Raises:
        DomainError: ``invalid``.
    """
    return cycle_code(text, field) if text.strip() else ""


def is_used(record: Offer | PriceModel) -> bool:
    """Whether a document of any context names the offer or price model."""
    return any(
        relation.related_model._default_manager.filter(**{relation.field.name: record.pk}).exists()
        for relation in record._meta.get_fields(include_hidden=True)
        if isinstance(relation, ManyToOneRel)
        and relation.related_model._meta.app_label != record._meta.app_label
        and not issubclass(relation.related_model, pghistory.models.Event)
    )


def ensure_unused(product: Product, what: str, field: str) -> None:
    """Refuse to change what the product's documents rely on.

    Raises:
        DomainError: ``conflict``.
    """
    if used_among([product.pk]):
        raise DomainError(
            "conflict",
            stays(product, what),
            field=field,
            hint="Make a new product and deactivate this one.",
        )


def used_among(product_ids: Sequence[int]) -> set[int]:
    """Which of the products are on documents, with one query for each kind of document."""
    rows = Product.objects.filter(pk__in=product_ids)
    return {
        pk for relation in _USES for pk in rows.filter(**{f"{relation}__isnull": False}).values_list("pk", flat=True)
    }


def stays(product: Product, what: str) -> str:
    """Why something of a product cannot be changed any more."""
    return f"{product.identifier} is on documents already, so its {what} stays."


def ensure_rates_make_sense(kind: WorkType) -> None:
    """Refuse a work type with a rate below zero, work that costs less than its wages, or hours that contradict.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    if kind.rate < 0 and kind.rate_type != RateType.ADJUST:
        raise DomainError("invalid", "A rate or multiplier cannot be below zero.", field="rate")
    if kind.cost_multiplier < 1:
        raise DomainError(
            "invalid",
            "The cost multiplier must be 1 or more: an hour of any kind costs at least its wages.",
            field="cost_multiplier",
        )
    for name in ("hours_min", "hours_max", "round_hours_to"):
        if (getattr(kind, name) or 0) < 0:
            raise DomainError("invalid", f"The {name.replace('_', ' ')} cannot be below zero.", field=name)
    if kind.hours_max is not None and kind.hours_max < max(kind.hours_min, kind.round_hours_to):
        raise DomainError(
            "invalid", "The most hours billed are below the minimum or what is rounded to.", field="hours_max"
        )
