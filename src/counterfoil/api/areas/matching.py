"""The three-way match: exceptions, threads side by side, matching anew, tolerances and what is held."""

from __future__ import annotations

from datetime import date

from counterfoil.api.area import Area
from counterfoil.api.shapes import many, row, shape
from counterfoil.matching import commands, queries
from counterfoil.matching.matching import Matched
from counterfoil.matching.models import HoldRule, MatchException, MatchTolerance
from counterfoil.platform.lookup import existing
from counterfoil.quotes.models import QuoteLine

area = Area("Match")

#: Lines of bills, invoices and statements have no name of their own.
_NAMELESS = ("bill_line", "invoice_line", "statement_line")

exceptions = shape(
    MatchException,
    without=_NAMELESS,
    extra={f"{name}_id": int | None for name in _NAMELESS},
    source=queries.exceptions,
)
tolerances = shape(MatchTolerance, source=queries.tolerances)
hold_rules = shape(HoldRule)
matched = row(Matched)


def thread(*, line_id: int, on: date) -> list[queries.ThreadView]:
    """The thread of a quoted line side by side as it is on a day; nothing while nobody has accepted the line."""
    existing(QuoteLine.objects.all(), line_id)
    return queries.thread_views([line_id], on=on)


area.records("/match-exceptions", exceptions, queries.exceptions)
area.report("/match-exceptions/totals", many(row(queries.ExceptionTotal)), queries.exception_totals)
area.detail("/match-exceptions/{exception_id}", exceptions)
area.act("/match-exceptions/{exception_id}/override", commands.override_exception, exceptions)
area.act("/match-exceptions/{exception_id}/reopen", commands.reopen_exception, exceptions)

area.report("/quote-lines/{line_id}/thread", many(row(queries.ThreadView)), thread)

area.act("/purchase-orders/{purchase_order_id}/match", commands.match_order, matched)
area.act("/match/threads", commands.match_threads, matched)
area.act("/match/purchase-orders", commands.match_purchase_orders, matched)
area.act("/match/changed", commands.match_changed, matched)
area.act("/match/everything", commands.match_everything, matched)

area.rows("/match-codes", row(queries.CodeRow), queries.match_codes, key=lambda each: each.code)
area.put("/hold-rules", commands.set_hold_rule, hold_rules)
area.records("/match-tolerances", tolerances, queries.tolerances)
area.put("/match-tolerances", commands.set_tolerance, tolerances)
area.delete("/match-tolerances/{tolerance_id}", commands.remove_tolerance)
