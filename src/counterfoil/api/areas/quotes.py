"""Opportunities, their lines, and what they are converted to."""

from __future__ import annotations

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.areas.agreements import agreements
from counterfoil.api.areas.orders import orders
from counterfoil.api.fields import Money, Number
from counterfoil.api.shapes import many, row, shape
from counterfoil.flows import conversion
from counterfoil.platform.lookup import existing
from counterfoil.quotes import commands, queries
from counterfoil.quotes.models import LineConversion, Opportunity, QuoteLine

area = Area("Opportunities")

conversions = shape(LineConversion, without=("line",))
lines = shape(QuoteLine, extra={"conversion": conversions.head | None}, related=("conversion",))
opportunities = shape(
    Opportunity,
    extra={"line_count": int, "unconverted_count": int},
    parts={"lines": lines},
    source=queries.opportunities,
)
totals = row(queries.Totals, "OpportunityTotals", revenue=Money, cost=Money, profit=Money, margin=Number | None)


def remainder(*, opportunity_id: int) -> QuerySet[QuoteLine]:
    """The lines that are not converted yet, in the order of the quote."""
    existing(Opportunity.objects.all(), opportunity_id)
    return queries.unconverted_lines(opportunity_id)


def opportunity_totals(*, opportunity_id: int) -> queries.Totals:
    """What the lines are worth: once, by the month, and over the term."""
    existing(Opportunity.objects.all(), opportunity_id)
    return queries.totals(opportunity_id)


area.records("/opportunities", opportunities, queries.opportunities)
area.post("/opportunities", commands.create_opportunity, opportunities)
area.detail("/opportunities/{opportunity_id}", opportunities)
area.patch("/opportunities/{opportunity_id}", commands.update_opportunity, opportunities)
area.report("/opportunities/{opportunity_id}/remainder", many(lines.head), remainder)
area.report("/opportunities/{opportunity_id}/totals", totals, opportunity_totals)
area.act("/opportunities/{opportunity_id}/win", commands.win_opportunity, opportunities)
area.act("/opportunities/{opportunity_id}/lose", commands.lose_opportunity, opportunities)
area.act("/opportunities/{opportunity_id}/reopen", commands.reopen_opportunity, opportunities)

area.post("/opportunities/{opportunity_id}/lines", commands.add_quote_line, lines)
area.put("/opportunities/{opportunity_id}/line-order", commands.reorder_quote_lines, opportunities)
area.detail("/quote-lines/{line_id}", lines)
area.patch("/quote-lines/{line_id}", commands.update_quote_line, lines)
area.delete("/quote-lines/{line_id}", commands.remove_quote_line)

area.post("/opportunities/{opportunity_id}/convert-to-agreement", conversion.convert_to_agreement, agreements)
area.post("/opportunities/{opportunity_id}/convert-to-sales-order", conversion.convert_to_sales_order, orders)
