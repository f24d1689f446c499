"""The accounting interface: what waits for the books, batches and their transfer, GL mapping."""

from __future__ import annotations

from counterfoil.accounting import commands, queries
from counterfoil.accounting.models import AccountingSettings, Batch, BatchItem, GLMapping
from counterfoil.api.area import Area
from counterfoil.api.fields import Money
from counterfoil.api.shapes import many, row, shape

area = Area("Accounting interface")

unposted = row(queries.UnpostedRow, ready=bool, source=str)
items = shape(BatchItem)
batches = shape(Batch, extra={"item_count": int, "item_total": Money}, parts={"items": items}, source=queries.batches)
mappings = shape(GLMapping)
accounting_settings = shape(AccountingSettings)


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

area.records("/gl-mappings", mappings, queries.mappings)
area.post("/gl-mappings", commands.set_mapping, mappings)
area.delete("/gl-mappings/{mapping_id}", commands.remove_mapping)
area.report("/gl-roles", many(row(queries.MappableRole)), queries.mappable_roles)
area.put("/accounting-settings", commands.set_procurement_date, accounting_settings)
