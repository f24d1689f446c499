"""The routes, one module per part of the business, in the order of the way of a dollar."""

from __future__ import annotations

from typing import Final

from counterfoil.api.area import Area
from counterfoil.api.areas import (
    agreements,
    assets,
    billing,
    books,
    catalog,
    companies,
    documents,
    imports,
    leaks,
    matching,
    orders,
    people,
    posting,
    pricing,
    procurement,
    quote_versions,
    quotes,
    renewals,
    reports,
    runs,
    stock,
    tax,
    usage,
    vendor_statements,
)

AREAS: Final[tuple[Area, ...]] = (
    companies.area,
    catalog.area,
    pricing.area,
    imports.area,
    tax.area,
    quotes.area,
    quote_versions.area,
    agreements.area,
    renewals.area,
    orders.area,
    procurement.area,
    stock.area,
    usage.area,
    billing.area,
    runs.area,
    documents.area,
    posting.area,
    books.area,
    assets.area,
    vendor_statements.area,
    matching.area,
    leaks.area,
    reports.area,
    people.area,
)
