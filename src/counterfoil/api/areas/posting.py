"""The accounting interface: what waits for the books, batches and their transfer, GL mapping."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from django.db.models import QuerySet
from pydantic import Field

from counterfoil.accounting import commands, queries
from counterfoil.accounting.models import AccountingSettings, Batch, BatchExport, BatchItem, GLMapping
from counterfoil.api.area import Area
from counterfoil.api.fields import Money
from counterfoil.api.shapes import answer, many, row, shape

area = Area("Accounting interface")

unposted = row(queries.UnpostedRow, ready=bool, source=str)


def exports_without_files() -> QuerySet[BatchExport]:
    """What was exported, without the bytes."""
    return BatchExport.objects.defer("content")


items = shape(BatchItem)
exports = shape(BatchExport, without=("content",), source=exports_without_files)
exported_file = answer(
    "ExportedFile",
    "A QuickBooks Desktop file.",
    exports.head,
    content_base64=(str, Field(description="The bytes of the file, in base64.")),
)
batches = shape(
    Batch,
    extra={"item_count": int, "item_total": Money},
    parts={"items": items, "exports": exports},
    source=queries.batches,
)
mappings = shape(GLMapping)
accounting_settings = shape(AccountingSettings)


def with_content(export: BatchExport) -> dict[str, Any]:
    """The export with its bytes, which may not be text in any encoding that JSON knows."""
    content = b64encode(bytes(export.content)).decode()
    return exports.head.model_validate(export).model_dump() | {"content_base64": content}


def _place(each: queries.UnpostedRow) -> tuple[str, int]:
    return each.source_type, each.source_id


area.rows("/unposted/procurement", unposted, queries.unposted_procurement, key=_place)
area.rows("/unposted/invoices", unposted, queries.unposted_invoices, key=_place)
area.rows("/unposted/journal-entries", unposted, queries.unposted_journal_entries, key=_place)

area.records("/batches", batches, queries.batches)
area.post("/batches", commands.create_batch, batches)
area.detail("/batches/{batch_id}", batches)
area.delete("/batches/{batch_id}", commands.delete_batch)
area.report("/batches/{batch_id}/entries", row(queries.BatchEntries), queries.batch_entries)
area.act("/batches/{batch_id}/remove", commands.remove_from_batch, batches)
area.act("/batches/{batch_id}/transfer", commands.transfer_batch, batches)
area.act("/batches/{batch_id}/export", commands.export_batch_iif, exported_file, show=with_content)
area.act("/batches/{batch_id}/export/confirm", commands.confirm_export, exports)
area.act("/batches/{batch_id}/export/mark-not-imported", commands.mark_not_imported, exports)

area.records("/gl-mappings", mappings, queries.mappings)
area.post("/gl-mappings", commands.set_mapping, mappings)
area.delete("/gl-mappings/{mapping_id}", commands.remove_mapping)
area.report("/gl-roles", many(row(queries.MappableRole)), queries.mappable_roles)
area.put("/accounting-settings", commands.set_procurement_date, accounting_settings)
