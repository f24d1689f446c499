"""What people do with the product catalog.

What they do with offers, price models and schedules, bundles and commitment rules stands in the modules named after
that; all of it is found here.
"""

from __future__ import annotations

from decimal import Decimal

from counterfoil.catalog import policies
from counterfoil.catalog.bundles import BundleComponentInput, set_bundle_components
from counterfoil.catalog.commitment_rules import (
    UpliftInput,
    create_commitment_rule,
    install_commitment_rules,
    update_commitment_rule,
)
from counterfoil.catalog.models import Category, ExpenseType, Product, RateType, Subcategory, WorkRole, WorkType
from counterfoil.catalog.offers import create_offer, deactivate_offer, make_offers, reactivate_offer, update_offer
from counterfoil.catalog.pricing import (
    PriceTierInput,
    PricingBreakInput,
    create_price_model,
    create_pricing_schedule,
    update_price_model,
    update_pricing_schedule,
)
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_vendor
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.records import (
    UNSET,
    Unset,
    change,
    fetch,
    record_changes,
    refuse_negative,
    save_checked,
)

__all__ = [
    "BundleComponentInput",
    "PriceTierInput",
    "PricingBreakInput",
    "UpliftInput",
    "create_category",
    "create_commitment_rule",
    "create_expense_type",
    "create_offer",
    "create_price_model",
    "create_pricing_schedule",
    "create_product",
    "create_subcategory",
    "create_work_role",
    "create_work_type",
    "deactivate_offer",
    "deactivate_product",
    "install_commitment_rules",
    "make_offers",
    "reactivate_offer",
    "reactivate_product",
    "set_bundle_components",
    "update_commitment_rule",
    "update_expense_type",
    "update_offer",
    "update_price_model",
    "update_pricing_schedule",
    "update_product",
    "update_work_role",
    "update_work_type",
]

OFFICE = (Role.SALES, Role.PROCUREMENT, Role.FINANCE)

refuse_as("catalog_product_identifier_key", "duplicate", "There is a product with that identifier already.")
refuse_as("catalog_category_name_key", "duplicate", "There is a category of that name already.")
refuse_as("catalog_workrole_name_key", "duplicate", "There is a work role of that name already.")
refuse_as("catalog_worktype_name_key", "duplicate", "There is a work type of that name already.")
refuse_as("catalog_expensetype_name_key", "duplicate", "There is an expense type of that name already.")
refuse_as("subcategory_once_per_category", "duplicate", "The category has a subcategory of that name already.")


@command(roles=OFFICE)
def create_category(*, actor: Actor, name: str) -> Category:
    """Add a product category.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``.
    """
    category = Category(name=name.strip())
    if Category.objects.filter(name__iexact=category.name).exists():
        raise DomainError("duplicate", f"There is a category “{category.name}” already.", field="name")
    save_checked(category)
    audit.record(actor, "catalog.category.created", f"added the category {category.name}", category)
    return category


@command(roles=OFFICE)
def create_subcategory(*, actor: Actor, category_id: int, name: str) -> Subcategory:
    """Add a division of a category.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``.
    """
    category = fetch(Category, category_id, field="category_id")
    subcategory = Subcategory(category=category, name=name.strip())
    if category.subcategories.filter(name__iexact=subcategory.name).exists():
        raise DomainError("duplicate", f"{category.name} has a subcategory “{subcategory.name}” already.", field="name")
    save_checked(subcategory)
    audit.record(
        actor, "catalog.subcategory.created", f"added the subcategory {subcategory.name} to {category.name}", category
    )
    return subcategory


@command(roles=OFFICE)
def create_product(
    *,
    actor: Actor,
    identifier: str,
    description: str,
    product_class: str,
    category_id: int,
    subcategory_id: int | None = None,
    accounting_type: str = "",
    customer_description: str = "",
    unit_of_measure: str = "each",
    cost: Decimal = ZERO,
    price: Decimal = ZERO,
    taxable: bool = True,
    serialized: bool = False,
    vendor_id: int | None = None,
    vendor_sku: str = "",
    special_order: bool = False,
    drop_ship: bool = False,
    billing_cycle: str = "",
) -> Product:
    """Add a product. Without an accounting type it gets the one that goes with its class.

    Args:
        actor: who adds it.
        identifier: the product's key, as it stands on documents.
        description: one line.
        product_class: Agreement, Bundle, Inventory, NonInventory or Service.
        category_id: its category.
        subcategory_id: a division of that category.
        accounting_type: InventoryPart, NonInventoryPart, OtherCharge or Service.
        customer_description: what the customer reads.
        unit_of_measure: of quantity, cost and price.
        cost: default unit cost.
        price: default unit price; of an agreement product per billing cycle.
        taxable: whether sales tax applies.
        serialized: whether each unit has a serial number (goods only).
        vendor_id: whom it is bought from; must be a vendor.
        vendor_sku: the vendor's key of it.
        special_order: buy the full quantity whatever is in stock.
        drop_ship: the vendor ships to the customer.
        billing_cycle: of agreement products: ``month:1`` or ``monthly``.

    Raises:
        DomainError: ``required``, ``invalid``, ``not_found``, ``duplicate``, with the field.
    """
    product = Product(
        identifier=identifier.strip(),
        description=description.strip(),
        product_class=product_class,
        accounting_type=accounting_type or policies.DEFAULT_ACCOUNTING_TYPES.get(product_class, ""),
        category_id=category_id,
        subcategory_id=subcategory_id,
        customer_description=customer_description.strip(),
        unit_of_measure=unit_of_measure.strip(),
        cost=cost,
        price=price,
        taxable=taxable,
        serialized=serialized,
        vendor_id=vendor_id,
        vendor_sku=vendor_sku.strip(),
        special_order=special_order,
        drop_ship=drop_ship,
        billing_cycle=billing_cycle.strip(),
    )
    _check_product(product)
    save_checked(product)
    audit.record(
        actor, "catalog.product.created",
        f"added the product {product.identifier}, {product.description} ({product.product_class})", product,
    )  # fmt: skip
    return product


@command(roles=OFFICE)
def update_product(
    *,
    actor: Actor,
    product_id: int,
    identifier: str | Unset = UNSET,
    description: str | Unset = UNSET,
    product_class: str | Unset = UNSET,
    category_id: int | Unset = UNSET,
    subcategory_id: int | Unset | None = UNSET,
    accounting_type: str | Unset = UNSET,
    customer_description: str | Unset = UNSET,
    unit_of_measure: str | Unset = UNSET,
    cost: Decimal | Unset = UNSET,
    price: Decimal | Unset = UNSET,
    taxable: bool | Unset = UNSET,
    serialized: bool | Unset = UNSET,
    vendor_id: int | Unset | None = UNSET,
    vendor_sku: str | Unset = UNSET,
    special_order: bool | Unset = UNSET,
    drop_ship: bool | Unset = UNSET,
    billing_cycle: str | Unset = UNSET,
) -> Product:
    """Change what is given of a product. Lines that are there keep what they say; another class takes its type along.

    Raises:
        DomainError: as :func:`create_product`; ``conflict`` for another class, unit or serial rule once it is on
            documents.
    """
    product = fetch(Product, product_id, lock=True)
    if product_class is not UNSET and product_class != product.product_class and accounting_type is UNSET:
        accounting_type = policies.DEFAULT_ACCOUNTING_TYPES.get(product_class, UNSET)
    changes = change(
        product,
        identifier=identifier,
        description=description,
        product_class=product_class,
        category_id=category_id,
        subcategory_id=subcategory_id,
        accounting_type=accounting_type,
        customer_description=customer_description,
        unit_of_measure=unit_of_measure,
        cost=cost,
        price=price,
        taxable=taxable,
        serialized=serialized,
        vendor_id=vendor_id,
        vendor_sku=vendor_sku,
        special_order=special_order,
        drop_ship=drop_ship,
        billing_cycle=billing_cycle,
    )
    for field, words in policies.FIXED_ONCE_USED.items():
        if field in changes:
            policies.ensure_unused(product, words, field)
    _check_product(product)
    save_checked(product)
    record_changes(actor, "catalog.product.changed", f"changed {product.identifier}", changes, product)
    return product


def _check_product(product: Product) -> None:
    policies.ensure_consistent(product)
    refuse_negative({"cost": product.cost, "price": product.price})
    if Product.objects.filter(identifier__iexact=product.identifier).exclude(pk=product.pk).exists():
        raise DomainError("duplicate", f"There is a product “{product.identifier}” already.", field="identifier")
    if product.vendor_id is not None:
        ensure_vendor(fetch(Company, product.vendor_id, field="vendor_id"))
    if product.subcategory_id is not None:
        subcategory = fetch(Subcategory, product.subcategory_id, field="subcategory_id")
        if subcategory.category_id != product.category_id:
            raise DomainError(
                "invalid", f"{subcategory.name} is not a subcategory of the category chosen.", field="subcategory_id"
            )


@command(roles=OFFICE)
def deactivate_product(*, actor: Actor, product_id: int) -> Product:
    """Take a product off the catalog; what was quoted and ordered goes on."""
    return _set_active(actor, product_id, active=False)


@command(roles=OFFICE)
def reactivate_product(*, actor: Actor, product_id: int) -> Product:
    """Put a product on the catalog again."""
    return _set_active(actor, product_id, active=True)


def _set_active(actor: Actor, product_id: int, *, active: bool) -> Product:
    product = fetch(Product, product_id, lock=True)
    product.active = active
    product.save(update_fields=["active"])
    deed = "reactivated" if active else "deactivated"
    audit.record(actor, f"catalog.product.{deed}", f"{deed} the product {product.identifier}", product)
    return product


# -- work and expenses -------------------------------------------------------------------------------------------------


@command(roles=OFFICE)
def create_work_role(*, actor: Actor, name: str, hourly_rate: Decimal = ZERO, hourly_cost: Decimal = ZERO) -> WorkRole:
    """Add a capacity in which somebody works.

    Args:
        actor: who adds it.
        name: Engineer, Project manager, ...
        hourly_rate: what an hour is billed at where nothing else says so.
        hourly_cost: what an hour costs, fully burdened; without it profit is overstated.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``, with the field.
    """
    role = WorkRole(name=name.strip(), hourly_rate=hourly_rate, hourly_cost=hourly_cost)
    _save_work_role(role)
    audit.record(actor, "catalog.work_role.created", f"added the work role {role.name}", role)
    return role


@command(roles=OFFICE)
def update_work_role(
    *,
    actor: Actor,
    work_role_id: int,
    name: str | Unset = UNSET,
    hourly_rate: Decimal | Unset = UNSET,
    hourly_cost: Decimal | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> WorkRole:
    """Change what is given of a work role. Work that is entered already keeps its rate.

    Raises:
        DomainError: as :func:`create_work_role`; ``not_found``.
    """
    role = fetch(WorkRole, work_role_id, lock=True)
    changes = change(role, name=name, hourly_rate=hourly_rate, hourly_cost=hourly_cost, active=active)
    _save_work_role(role)
    record_changes(actor, "catalog.work_role.changed", f"changed the work role {role.name}", changes, role)
    return role


def _save_work_role(role: WorkRole) -> None:
    _refuse_same_name(role)
    refuse_negative({"hourly_rate": role.hourly_rate, "hourly_cost": role.hourly_cost})
    save_checked(role)


@command(roles=OFFICE)
def create_work_type(
    *,
    actor: Actor,
    name: str,
    rate_type: RateType = RateType.MULTIPLIER,
    rate: Decimal = Decimal(1),
    cost_multiplier: Decimal = Decimal(1),
    hours_min: Decimal = ZERO,
    hours_max: Decimal | None = None,
    round_hours_to: Decimal = ZERO,
) -> WorkType:
    """Add a kind of work.

    Args:
        actor: who adds it.
        name: Regular, After hours, ...
        rate_type: whether ``rate`` replaces the work role's rate, is added to it, or multiplies it.
        rate: an amount an hour, or a factor.
        cost_multiplier: what such an hour costs, in hours of regular cost; 1 or more.
        hours_min: billed at least, an entry.
        hours_max: billed at most, an entry.
        round_hours_to: hours are rounded up to a multiple of it; 0 does not round.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``, with the field.
    """
    kind = WorkType(
        name=name.strip(),
        rate_type=rate_type,
        rate=rate,
        cost_multiplier=cost_multiplier,
        hours_min=hours_min,
        hours_max=hours_max,
        round_hours_to=round_hours_to,
    )
    _save_work_type(kind)
    audit.record(actor, "catalog.work_type.created", f"added the work type {kind.name}", kind)
    return kind


@command(roles=OFFICE)
def update_work_type(
    *,
    actor: Actor,
    work_type_id: int,
    name: str | Unset = UNSET,
    rate_type: RateType | Unset = UNSET,
    rate: Decimal | Unset = UNSET,
    cost_multiplier: Decimal | Unset = UNSET,
    hours_min: Decimal | Unset = UNSET,
    hours_max: Decimal | Unset | None = UNSET,
    round_hours_to: Decimal | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> WorkType:
    """Change what is given of a work type. Work that is entered already keeps its rate and hours.

    Raises:
        DomainError: as :func:`create_work_type`; ``not_found``.
    """
    kind = fetch(WorkType, work_type_id, lock=True)
    changes = change(
        kind,
        name=name,
        rate_type=rate_type,
        rate=rate,
        cost_multiplier=cost_multiplier,
        hours_min=hours_min,
        hours_max=hours_max,
        round_hours_to=round_hours_to,
        active=active,
    )
    _save_work_type(kind)
    record_changes(actor, "catalog.work_type.changed", f"changed the work type {kind.name}", changes, kind)
    return kind


def _save_work_type(kind: WorkType) -> None:
    _refuse_same_name(kind)
    policies.ensure_rates_make_sense(kind)
    save_checked(kind)


@command(roles=OFFICE)
def create_expense_type(*, actor: Actor, name: str, taxable: bool = False) -> ExpenseType:
    """Add what an expense can be for.

    Raises:
        DomainError: ``required``, ``invalid``, ``duplicate``.
    """
    kind = ExpenseType(name=name.strip(), taxable=taxable)
    _refuse_same_name(kind)
    save_checked(kind)
    audit.record(actor, "catalog.expense_type.created", f"added the expense type {kind.name}", kind)
    return kind


@command(roles=OFFICE)
def update_expense_type(
    *,
    actor: Actor,
    expense_type_id: int,
    name: str | Unset = UNSET,
    taxable: bool | Unset = UNSET,
    active: bool | Unset = UNSET,
) -> ExpenseType:
    """Change what is given of an expense type. Expenses that are entered already stay taxable or not.

    Raises:
        DomainError: as :func:`create_expense_type`; ``not_found``.
    """
    kind = fetch(ExpenseType, expense_type_id, lock=True)
    changes = change(kind, name=name, taxable=taxable, active=active)
    _refuse_same_name(kind)
    save_checked(kind)
    record_changes(actor, "catalog.expense_type.changed", f"changed the expense type {kind.name}", changes, kind)
    return kind


def _refuse_same_name(record: WorkRole | WorkType | ExpenseType) -> None:
    """Names differ in more than capitals."""
    record.name = record.name.strip()
    if type(record)._default_manager.filter(name__iexact=record.name).exclude(pk=record.pk).exists():
        what = record._meta.verbose_name
        raise DomainError("duplicate", f"There is a {what} “{record.name}” already.", field="name")
