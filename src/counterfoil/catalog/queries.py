"""What is known about products, for pages, API and reports."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q, QuerySet

from counterfoil.catalog.models import Category, ExpenseType, Product, Subcategory, WorkRole, WorkType
from counterfoil.core.errors import DomainError
from counterfoil.platform.aggregates import count_of


def products(
    *,
    search: str = "",
    product_class: str = "",
    category_id: int | None = None,
    vendor_id: int | None = None,
    active: bool | None = None,
) -> QuerySet[Product]:
    """Products by identifier, with category, subcategory and vendor; filtered by words, class, category, vendor."""
    rows = Product.objects.select_related("category", "subcategory", "vendor")
    for word in search.split():
        rows = rows.filter(
            Q(identifier__icontains=word) | Q(description__icontains=word) | Q(vendor_sku__icontains=word)
        )
    if product_class:
        rows = rows.filter(product_class=product_class)
    if category_id is not None:
        rows = rows.filter(category_id=category_id)
    if vendor_id is not None:
        rows = rows.filter(vendor_id=vendor_id)
    return rows if active is None else rows.filter(active=active)


def product(product_id: int) -> Product | None:
    """One product with category, subcategory and vendor."""
    return products().filter(pk=product_id).first()


def categories() -> QuerySet[Category]:
    """Categories with their subcategories and ``product_count``."""
    return Category.objects.prefetch_related("subcategories").annotate(product_count=count_of(Category, "products"))


def subcategories(category_id: int | None = None) -> QuerySet[Subcategory]:
    """Subcategories, of one category or of all."""
    rows = Subcategory.objects.select_related("category")
    return rows if category_id is None else rows.filter(category_id=category_id)


def work_roles(*, active: bool | None = None) -> QuerySet[WorkRole]:
    """Work roles by name."""
    return WorkRole.objects.all() if active is None else WorkRole.objects.filter(active=active)


def work_types(*, active: bool | None = None) -> QuerySet[WorkType]:
    """Work types by name."""
    return WorkType.objects.all() if active is None else WorkType.objects.filter(active=active)


def expense_types(*, active: bool | None = None) -> QuerySet[ExpenseType]:
    """Expense types by name."""
    return ExpenseType.objects.all() if active is None else ExpenseType.objects.filter(active=active)


def products_for_lines(product_ids: Iterable[int]) -> dict[int, Product]:
    """The active products of new lines, by id, in one query.

    Args:
        product_ids: one for each line, in order; may repeat.

    Raises:
        DomainError: ``not_found`` or ``invalid`` (a product that is not active), naming the line.
    """
    wanted = list(product_ids)
    found = Product.objects.in_bulk(set(wanted))
    for index, product_id in enumerate(wanted):
        product = found.get(product_id)
        field = f"lines[{index}].product_id"
        if product is None:
            raise DomainError("not_found", f"There is no product with the id {product_id}.", field=field)
        if not product.active:
            raise DomainError("invalid", f"{product.identifier} is no longer on the catalog.", field=field)
    return found
