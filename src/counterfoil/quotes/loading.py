"""How a version is read with what belongs to it, in few and cheap statements.

What most versions do not have (a site, a contact, a tax code of their own) is asked for apart: a statement that joins
ten tables takes longer to plan than to answer.
"""

from __future__ import annotations

from typing import Final

from django.db.models import Prefetch, QuerySet, prefetch_related_objects

from counterfoil.catalog.models import PriceModel, Product
from counterfoil.quotes.models import QuoteLine, QuoteVersion

#: The customer of a version, and who pays for it.
_CUSTOMER: Final = "quote__opportunity__company__bill_to"
_SELDOM: Final = ("site", "contact", "terms", "tax_code", "quote__opportunity__site", "quote__opportunity__contact")


def with_customer(rows: QuerySet[QuoteVersion]) -> QuerySet[QuoteVersion]:
    """Versions with quote, customer, site, contact, terms and tax code."""
    return rows.select_related(_CUSTOMER).prefetch_related(*_SELDOM)


def lines_of(version: QuoteVersion) -> list[QuoteLine]:
    """The lines of a version in order, with products and price models: four queries, none when they are loaded."""
    if version.recalculated is not None:
        return list(version.recalculated.lines)
    if "lines" not in getattr(version, "_prefetched_objects_cache", {}):
        prefetch_related_objects([version], Prefetch("lines", QuoteLine.objects.order_by("position")))
        _give_products(list(version.lines.all()))
    return list(version.lines.all())


def _give_products(lines: list[QuoteLine]) -> None:
    """Many lines are of few products: each is read once."""
    products = Product.objects.in_bulk({line.product_id for line in lines})
    wanted = {line.price_model_id for line in lines if line.price_model_id is not None}
    models = PriceModel.objects.prefetch_related("tiers").in_bulk(wanted) if wanted else {}
    for line in lines:
        line.product = products[line.product_id]
        if line.price_model_id is not None:
            line.price_model = models[line.price_model_id]
