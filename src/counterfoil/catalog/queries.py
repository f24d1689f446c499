"""What is known about products and what they cost, for pages, API and reports."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date

from django.db.models import Q, QuerySet

from counterfoil.catalog.models import (
    BundleComponent,
    Category,
    CommitmentRule,
    ExpenseType,
    Offer,
    PriceModel,
    PricingSchedule,
    Product,
    Subcategory,
    WorkRole,
    WorkType,
)
from counterfoil.catalog.prices import (
    PriceAsk,
    PriceFound,
    QuotedPrice,
    offer_name,
    price_by_model,
    price_for,
    prices_for,
    quoted_price,
    tier_model,
)
from counterfoil.core.errors import DomainError
from counterfoil.platform.aggregates import count_of

__all__ = [
    "PriceAsk",
    "PriceFound",
    "QuotedPrice",
    "offer_name",
    "price_by_model",
    "price_for",
    "prices_for",
    "quoted_price",
    "tier_model",
]


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


def products_for_lines(product_ids: Iterable[int], sold: Collection[int] = ()) -> dict[int, Product]:
    """The active products of new lines, by id, in one query.

    Args:
        product_ids: one for each line, in order; may repeat.
        sold: products of lines that a customer was offered: what was offered holds, whatever the catalog says since.

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
        if not product.active and product_id not in sold:
            raise DomainError("invalid", f"{product.identifier} is no longer on the catalog.", field=field)
    return found


def ensure_offers_fit(lines: Iterable[tuple[int, int | None, int | None]]) -> None:
    """Refuse lines whose offer is of another product, or that name an offer or price model that is not there.

    Args:
        lines: product, offer and price model of each, by their ids.

    Raises:
        DomainError: ``not_found`` or ``invalid``, naming the line.
    """
    rows = list(lines)
    offered = Offer.objects.in_bulk({offer_id for _, offer_id, _ in rows if offer_id is not None})
    models = PriceModel.objects.in_bulk({model_id for _, _, model_id in rows if model_id is not None})
    for index, (product_id, offer_id, model_id) in enumerate(rows):
        if offer_id is not None and offer_id not in offered:
            raise DomainError("not_found", f"There is no offer with the id {offer_id}.", f"lines[{index}].offer_id")
        if offer_id is not None and offered[offer_id].product_id != product_id:
            raise DomainError("invalid", "The offer is for another product.", field=f"lines[{index}].offer_id")
        if model_id is not None and model_id not in models:
            field = f"lines[{index}].price_model_id"
            raise DomainError("not_found", f"There is no price model with the id {model_id}.", field=field)


# -- selling -----------------------------------------------------------------------------------------------------------


def offers(*, product_id: int | None = None, active: bool | None = None, search: str = "") -> QuerySet[Offer]:
    """Offers with product, vendor, price model and commitment rule."""
    rows = Offer.objects.select_related("product", "vendor", "price_model", "commitment_rule")
    for word in search.split():
        rows = rows.filter(
            Q(product__identifier__icontains=word)
            | Q(product__description__icontains=word)
            | Q(vendor_sku__icontains=word)
            | Q(name__icontains=word)
        )
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    return rows if active is None else rows.filter(active=active)


def offer_label(offer: Offer) -> str:
    """An offer with its product, as one names it: ``M365-BP: 1 year, billed monthly``."""
    return f"{offer.product.identifier}: {offer_name(offer)}"


def offers_for(product: Product, on: date) -> QuerySet[Offer]:
    """The offers a product can be sold by on a day, shortest term first as the codes sort."""
    return in_effect(offers(product_id=product.pk, active=True), on)


def in_effect(rows: QuerySet[Offer], on: date) -> QuerySet[Offer]:
    """Those of the offers whose dates hold the day."""
    return rows.filter(
        Q(effective_from__isnull=True) | Q(effective_from__lte=on),
        Q(effective_to__isnull=True) | Q(effective_to__gte=on),
    )


def price_models(*, active: bool | None = None) -> QuerySet[PriceModel]:
    """Price models with their tiers and ``offer_count``."""
    rows = PriceModel.objects.prefetch_related("tiers").annotate(offer_count=count_of(PriceModel, "offers"))
    return rows if active is None else rows.filter(active=active)


def commitment_rules(*, active: bool | None = None) -> QuerySet[CommitmentRule]:
    """Commitment rules with their uplifts and ``offer_count``."""
    rows = CommitmentRule.objects.prefetch_related("uplifts").annotate(offer_count=count_of(CommitmentRule, "offers"))
    return rows if active is None else rows.filter(active=active)


def pricing_schedules(*, active: bool | None = None) -> QuerySet[PricingSchedule]:
    """Pricing schedules with their companies and breaks."""
    rows = PricingSchedule.objects.prefetch_related(
        "companies__company", "breaks__offer__product", "breaks__product", "breaks__category"
    )
    return rows if active is None else rows.filter(active=active)


def components_of(bundle: Product) -> QuerySet[BundleComponent]:
    """What a bundle is made of, in order, with products and offers."""
    return bundle.components.select_related("product", "offer").order_by("position")
