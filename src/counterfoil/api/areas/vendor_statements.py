"""What vendors say that customers have, held against what is billed; their names, and bills from their files."""

from __future__ import annotations

from typing import Any

from counterfoil.api.area import Area
from counterfoil.api.areas.procurement import bills
from counterfoil.api.shapes import answer, many, row, shape
from counterfoil.matching import column_mappings, fixing, names, reconciliation, statements, vendor_bills
from counterfoil.matching.models import ColumnMapping, NameAlias, VendorStatement, VendorStatementLine
from counterfoil.matching.statements import ImportedStatement, StatementPreview
from counterfoil.matching.vendor_bills import BillsPreview, PlannedBill
from counterfoil.procurement.models import VendorBill

area = Area("Vendor statements")

vendor_statements = shape(VendorStatement, extra={"unknown_lines": int}, source=statements.statements)
lines = shape(VendorStatementLine)
mappings = shape(ColumnMapping)
aliases = shape(NameAlias)

statement_import = answer(
    "VendorStatementImport",
    "A statement that was imported (`fresh`, or there already); with `preview`, what importing the file would do.",
    preview=bool,
    statement_id=int | None,
    number=str,
    fresh=bool,
    plan=row(StatementPreview) | None,
)
bills_import = answer(
    "VendorBillsImport",
    "The bills that were entered; with `preview`, how the file's lines are found on purchase orders.",
    preview=bool,
    bills=many(bills.head),
    plan=row(BillsPreview) | None,
)


def _statement_import(done: ImportedStatement | StatementPreview) -> dict[str, Any]:
    if isinstance(done, ImportedStatement):
        made = {"statement_id": done.statement.pk, "number": done.statement.number, "fresh": done.fresh}
        return {"preview": False, **made, "plan": None}
    return {"preview": True, "statement_id": None, "number": done.imported_as, "fresh": False, "plan": done}


def _bills_import(done: list[VendorBill] | BillsPreview) -> dict[str, Any]:
    if isinstance(done, BillsPreview):
        return {"preview": True, "bills": [], "plan": done}
    return {"preview": False, "bills": done, "plan": None}


area.records("/vendor-statements", vendor_statements, statements.statements)
area.upload(
    "/vendor-statements", statements.preview_statement, statements.import_statement, statement_import, _statement_import
)
area.detail("/vendor-statements/{statement_id}", vendor_statements)
area.delete("/vendor-statements/{statement_id}", statements.delete_statement)
area.act(
    "/vendor-statements/{statement_id}/reconcile",
    reconciliation.reconcile_statement,
    row(reconciliation.Reconciliation),
)
area.report("/vendor-statements/{statement_id}/bill", row(PlannedBill), vendor_bills.plan_statement_bill)
area.post("/vendor-statements/{statement_id}/bill", vendor_bills.bill_statement, bills)
area.records("/vendor-statement-lines", lines, statements.statement_lines)
area.rows(
    "/vendor-statement-comparison",
    row(reconciliation.ComparedRow),
    reconciliation.comparison,
    key=lambda each: (each.company_id, each.product_id, each.term),
)

area.rows(
    "/vendor-names",
    row(names.NameToConfirm),
    names.names_to_confirm,
    key=lambda each: (each.kind, each.text, each.sku),
)
area.rows("/vendor-aliases", row(names.AliasRow), names.aliases, key=lambda each: each.id)
area.post("/vendor-aliases", names.confirm_alias, aliases)
area.post("/vendor-aliases/confirm", names.confirm_names, many(aliases.head))
area.delete("/vendor-aliases/{alias_id}", names.remove_alias)

area.act("/match-exceptions/{exception_id}/fix", fixing.fix_line, row(fixing.Fixed))

area.rows("/column-mappings", row(column_mappings.MappingRow), column_mappings.mappings, key=lambda each: each.name)
area.post("/column-mappings", column_mappings.create_column_mapping, mappings)
area.detail("/column-mappings/{column_mapping_id}", mappings)
area.patch("/column-mappings/{column_mapping_id}", column_mappings.update_column_mapping, mappings)
area.delete("/column-mappings/{column_mapping_id}", column_mappings.delete_column_mapping)

area.upload(
    "/vendor-bills/import",
    vendor_bills.preview_vendor_bills,
    vendor_bills.import_vendor_bills,
    bills_import,
    _bills_import,
)
