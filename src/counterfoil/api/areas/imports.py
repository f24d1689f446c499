"""Files of companies, products, work and sales tax rates: looked at first, then taken in, all rows or none."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.shapes import answer, many, row
from counterfoil.catalog import imports as catalog
from counterfoil.catalog import price_lists
from counterfoil.companies import imports as companies
from counterfoil.platform.imports import Column, PlannedRow, RowError
from counterfoil.tax import imports as tax
from counterfoil.usage import imports as usage

area = Area("Imports")


import_answer = answer(
    "ImportAnswer",
    "What an import did; with `preview`, what it would do (`rows`) or what stands in its way (`errors`).",
    preview=bool,
    created=int,
    updated=int,
    unchanged=int,
    also=list[str],
    rows=many(row(PlannedRow)),
    errors=many(row(RowError)),
)
columns = many(row(Column, "ImportColumn"))

area.upload("/imports/companies", companies.preview_companies, companies.import_companies, import_answer)
area.report("/imports/companies/columns", columns, companies.columns)
area.upload("/imports/products", catalog.preview_products, catalog.import_products, import_answer)
area.report("/imports/products/columns", columns, catalog.columns)
area.upload("/imports/price-lists", price_lists.preview_price_list, price_lists.import_price_list, import_answer)
area.report("/imports/price-lists/columns", columns, price_lists.columns)
area.upload("/imports/sst-rates", tax.preview_sst_rates, tax.import_sst_rates, import_answer)
area.report("/imports/sst-rates/columns", columns, tax.columns)
area.upload("/imports/usage", usage.preview_usage, usage.import_usage, import_answer)
area.report("/imports/usage/columns", columns, usage.columns)
