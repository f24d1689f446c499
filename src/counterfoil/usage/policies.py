"""What may be charged to whom, and what of it can still be changed."""

from __future__ import annotations

from typing import Final

from counterfoil.agreements.models import Agreement
from counterfoil.catalog.models import Product, ProductClass
from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.platform.records import refuse_negative
from counterfoil.usage.models import Charge, ChargeKind

#: Years in which work can lie; anything else is a slip of the pen.
_YEARS: Final = range(2000, 2100)
_MOST_HOURS: Final = 1000
#: What leaves a warehouse, is billed in cycles or stands for others is sold elsewhere.
_ELSEWHERE: Final = {
    ProductClass.INVENTORY: "It is kept in stock: sell it by a sales order, so that it leaves the warehouse.",
    ProductClass.AGREEMENT: "It is billed in cycles: add it to the agreement.",
    ProductClass.BUNDLE: "Enter the products of the bundle.",
}


def ensure_sound(charge: Charge) -> None:
    """Refuse a charge whose date or hours are a slip, or whose parts do not go together.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    if charge.date.year not in _YEARS:
        raise DomainError("invalid", f"{charge.date.isoformat()} cannot be meant.", field="on")
    if charge.quantity <= 0:
        raise DomainError("invalid", "Enter how much was used, more than zero.", field=_quantity_name(charge))
    if charge.kind == ChargeKind.TIME and charge.quantity > _MOST_HOURS:
        raise DomainError("invalid", f"One entry has at most {_MOST_HOURS} hours.", field="hours")
    refuse_negative({"unit_price": charge.unit_price, "unit_cost": charge.unit_cost})
    if charge.rate_override is not None:
        refuse_negative({"rate": charge.rate_override})


def ensure_agreement_of(company: Company, agreement: Agreement | None) -> None:
    """Refuse an agreement of another company.

    Raises:
        DomainError: ``invalid``.
    """
    if agreement is not None and agreement.company_id != company.pk:
        raise DomainError(
            "invalid", f"Agreement {agreement.number} is not one of {company.name}'s.", field="agreement_id"
        )


def ensure_usable(product: Product) -> None:
    """Refuse a product that is not simply used for a customer.

    Raises:
        DomainError: ``wrong_product_class``; ``invalid`` when it is not active.
    """
    if (hint := _ELSEWHERE.get(ProductClass(product.product_class))) is not None:
        raise DomainError(
            "wrong_product_class",
            f"{product.identifier} is of class {product.product_class} and cannot be entered as used.",
            field="product_id",
            hint=hint,
        )
    if not product.active:
        raise DomainError("invalid", f"{product.identifier} is no longer on the catalog.", field="product_id")


def ensure_open(charge: Charge) -> None:
    """Refuse to change what is billed or written off.

    Raises:
        DomainError: ``already_invoiced`` or ``wrong_state``.
    """
    if charge.billed:
        raise DomainError(
            "already_invoiced",
            f"“{charge.description}” is on an invoice and cannot be changed.",
            hint="Delete the draft, or credit the invoice.",
        )
    if charge.written_off_at is not None:
        raise DomainError(
            "wrong_state", f"“{charge.description}” is written off.", hint="Take the write-off back first."
        )


def _quantity_name(charge: Charge) -> str:
    return "hours" if charge.kind == ChargeKind.TIME else "quantity"
