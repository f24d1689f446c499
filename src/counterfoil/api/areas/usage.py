"""Time, expenses and products used for customers; what agreements cover of them, and deciding that anew."""

from __future__ import annotations

from counterfoil.api import fields
from counterfoil.api.area import Area
from counterfoil.api.shapes import many, row, shape
from counterfoil.usage import commands, queries
from counterfoil.usage.models import Allocation, Charge

area = Area("Time, expenses and coverage")

allocations = shape(Allocation, without=("charge",))
charges = shape(
    Charge,
    extra={"due_amount": fields.Money, "allocation": allocations.full | None},
    related=("allocation", "allocation__agreement"),
    source=queries.charges,
)
recap_row = row(queries.RecapRow)

area.records("/charges", charges, queries.charges)
area.detail("/charges/{charge_id}", charges)
area.post("/charges/time", commands.enter_time, charges)
area.post("/charges/expenses", commands.enter_expense, charges)
area.post("/charges/products", commands.enter_product, charges)
area.patch("/charges/{charge_id}", commands.update_charge, charges)
area.delete("/charges/{charge_id}", commands.delete_charge)
area.act("/charges/{charge_id}/write-off", commands.write_off_charge, charges)
area.act("/charges/{charge_id}/restore", commands.restore_charge, charges)
area.rows("/unbilled", row(queries.UnbilledRow), queries.unbilled, key=lambda each: each.company_id)

area.report("/agreements/{agreement_id}/recap", many(recap_row), queries.recap)
area.report("/agreements/{agreement_id}/reallocation", many(row(queries.ReallocationRow)), queries.preview_reallocation)
area.act("/agreements/{agreement_id}/reallocate", commands.reallocate_agreement, row(commands.Reallocation))
