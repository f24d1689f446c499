"""Fixed assets: capitalised either way, depreciated, disposed of."""

from __future__ import annotations

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.areas.billing import invoice_lines
from counterfoil.api.areas.books import entries
from counterfoil.api.shapes import many, row, shape
from counterfoil.assets import commands, queries
from counterfoil.assets.models import Asset, AssetCategory, DepreciationBook, DepreciationLine
from counterfoil.platform.lookup import existing

area = Area("Assets")

categories = shape(AssetCategory)
depreciation_books = shape(DepreciationBook, without=("asset",))
assets = shape(Asset, parts={"books": depreciation_books})
schedule_lines = shape(DepreciationLine, without=("book",))


def list_assets(*, status: str = "", company_id: int | None = None, agreement_id: int | None = None) -> QuerySet[Asset]:
    """Assets, of a customer or an agreement."""
    found = Asset.objects.filter(status=status) if status else Asset.objects.all()
    found = found if company_id is None else found.filter(company_id=company_id)
    return found if agreement_id is None else found.filter(agreement_id=agreement_id)


def schedule_of(*, asset_id: int, book: str = "book") -> QuerySet[DepreciationLine]:
    """The schedule of an asset in one set of books (`book` or `tax`); posted lines have their entry."""
    existing(Asset.objects.all(), asset_id)
    return queries.schedule_of(asset_id, book)


area.records("/asset-categories", categories, queries.categories)
area.post("/asset-categories", commands.create_asset_category, categories)
area.detail("/asset-categories/{category_id}", categories)

area.records("/assets", assets, list_assets)
area.detail("/assets/{asset_id}", assets)
area.records("/assets-to-capitalise", invoice_lines, queries.invoice_lines_to_capitalise)
area.post("/assets/capitalise-from-invoice-line", commands.capitalise_from_invoice_line, assets)
area.post("/assets/capitalise-from-stock", commands.capitalise_from_stock, assets)
area.report("/assets/{asset_id}/schedule", many(schedule_lines.head), schedule_of)
area.act("/assets/{asset_id}/units", commands.record_units, schedule_lines)
area.act("/assets/{asset_id}/dispose", commands.dispose_asset, assets)

area.rows("/depreciation-due", row(queries.DueRow), queries.due_depreciation, key=lambda each: each.asset_id)
area.post("/depreciation-runs", commands.post_depreciation, many(entries.head))
