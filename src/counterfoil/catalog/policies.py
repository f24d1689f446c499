"""What fits together in a product."""

from __future__ import annotations

from typing import Final

from counterfoil.catalog.models import AccountingType, Product, ProductClass
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError

#: The accounting type that goes with a class unless another is chosen.
DEFAULT_ACCOUNTING_TYPES: Final[dict[str, str]] = {
    ProductClass.AGREEMENT: AccountingType.SERVICE,
    ProductClass.BUNDLE: AccountingType.OTHER_CHARGE,
    ProductClass.INVENTORY: AccountingType.INVENTORY_PART,
    ProductClass.NON_INVENTORY: AccountingType.NON_INVENTORY_PART,
    ProductClass.SERVICE: AccountingType.SERVICE,
}

#: Classes of things that are bought, received and shipped.
GOODS: Final = frozenset({ProductClass.INVENTORY, ProductClass.NON_INVENTORY})

#: Relations that show a product is in use.
_USES: Final = ("quote_lines", "additions", "order_lines", "purchase_order_lines", "invoice_lines")


def ensure_consistent(product: Product) -> None:
    """Refuse a product whose class, serials, cycle and shipping contradict each other.

    Raises:
        DomainError: ``invalid`` or ``required``, with the field.
    """
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


def ensure_unused(product: Product, what: str, field: str) -> None:
    """Refuse to change what the product's documents rely on.

    Raises:
        DomainError: ``conflict``.
    """
    if any(getattr(product, relation).exists() for relation in _USES):
        raise DomainError(
            "conflict",
            f"{product.identifier} is on documents already, so its {what} stays.",
            field=field,
            hint="Make a new product and deactivate this one.",
        )
