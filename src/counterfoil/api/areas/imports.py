"""CSV files of companies and products: looked at first, then taken in, all rows or none."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.shapes import Out, row
from counterfoil.catalog import imports as catalog
from counterfoil.companies import imports as companies
from counterfoil.platform.imports import Column, PlannedRow, RowError

area = Area("Imports")


class ImportAnswer(Out):
    """What an import did; with `preview`, what it would do (`rows`) or what stands in its way (`errors`)."""

    preview: bool
    created: int
    updated: int
    unchanged: int
    also: list[str]
    rows: list[row(PlannedRow)]  # type: ignore[misc]
    errors: list[row(RowError)]  # type: ignore[misc]


area.upload("/imports/companies", companies.preview_companies, companies.import_companies, ImportAnswer)
area.report("/imports/companies/columns", list[row(Column, "ImportColumn")], companies.columns)  # type: ignore[misc]
area.upload("/imports/products", catalog.preview_products, catalog.import_products, ImportAnswer)
area.report("/imports/products/columns", list[row(Column, "ImportColumn")], catalog.columns)  # type: ignore[misc]
