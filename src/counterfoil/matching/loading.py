"""Threads loaded for the match: a constant number of statements for as many threads as a chunk has, columns only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import connection

from counterfoil.billing.models import ENTERED_BY
from counterfoil.companies.models import MspSettings
from counterfoil.core.matching import (
    AgreementLeg,
    AskedLeg,
    BillLeg,
    ChangeLeg,
    InvoiceLeg,
    OrderLeg,
    PurchaseLeg,
    PurchaseThread,
    QuoteLeg,
    QuoteThread,
    ReceiptLeg,
    Tolerance,
    ToleranceRule,
    Tolerances,
)
from counterfoil.matching.models import Bounds
from counterfoil.platform.anyof import array_text

#: Lines that the customer has accepted: of an accepted version, or converted from an opportunity.
_QUOTES: Final = """
    SELECT q.id, coalesce(k.number, o.number), q.product_id, p.identifier, p.product_class, p.category_id,
        o.company_id, q.quantity, coalesce(c.unit_price, q.unit_price), coalesce(c.unit_cost, q.unit_cost),
        q.term, q.billing_cycle, q.cycles, q.is_usage,
        q.price_model_id IS NOT NULL, CASE WHEN q.start_policy <> 'on_delivery' THEN q.start_date END, q.align_to,
        coalesce(v.currency, %(currency)s), q.action, coalesce(c.target, ''), q.addition_id
    FROM quotes_quoteline q
    JOIN quotes_opportunity o ON o.id = q.opportunity_id
    JOIN catalog_product p ON p.id = q.product_id
    LEFT JOIN quotes_quoteversion v ON v.id = q.version_id
    LEFT JOIN quotes_quote k ON k.id = v.quote_id
    LEFT JOIN quotes_lineconversion c ON c.line_id = q.id
    WHERE q.id = ANY(%(ids)s) AND (c.id IS NOT NULL OR (v.status = 'accepted' AND q.selected))
"""
_ADDITIONS: Final = """
    SELECT a.origin_id, a.id, g.number, g.id, a.product_id, p.identifier, a.quantity, a.less_included, a.unit_price,
        a.billing_option, a.term, coalesce(h.billing_cycle, g.billing_cycle), g.billing_timing = 'arrears',
        a.effective_date, a.cancelled_date, least(a.cancelled_date, g.end_date, g.cancelled_on), g.status = 'active',
        a.purchase_item, coalesce(h.bill_one_time OR NOT h.prorate, g.bill_one_time OR NOT g.prorate)
    FROM agreements_addition a
    JOIN agreements_agreement g ON g.id = a.agreement_id
    LEFT JOIN agreements_agreement h ON h.id = g.parent_id
    JOIN catalog_product p ON p.id = a.product_id
    WHERE {which}
    ORDER BY a.origin_id, a.id
"""
_AGREEMENTS: Final = _ADDITIONS.format(which="a.origin_id = ANY(%(ids)s)")
#: What lines of change quotes change.
_CHANGED: Final = _ADDITIONS.format(which="a.id = ANY(%(ids)s)")
_CHANGES: Final = """
    SELECT addition_id, origin_id, effective_date, quantity, less_included, unit_price
    FROM agreements_additionchange WHERE addition_id = ANY(%(ids)s)
    ORDER BY addition_id, effective_date
"""
#: What accepted lines ask of additions: from their day on, or else from that of their acceptance.
_ASKED: Final = """
    SELECT * FROM (
        SELECT q.addition_id, q.id, q.action, q.quantity, q.unit_price,
            coalesce(
                q.start_date,
                (SELECT min(d.effective_date) FROM agreements_additionchange d WHERE d.origin_id = q.id),
                (s.accepted_at AT TIME ZONE %(time_zone)s)::date
            ) AS start,
            q.term, q.billing_cycle, q.cycles, q.align_to,
            EXISTS (SELECT 1 FROM agreements_addition x WHERE x.origin_id = q.id)
        FROM quotes_quoteline q
        JOIN quotes_lineconversion c ON c.line_id = q.id
        LEFT JOIN quotes_acceptance s ON s.version_id = q.version_id
        WHERE q.addition_id = ANY(%(ids)s)
        ORDER BY c.id
    ) q WHERE q.start IS NOT NULL
"""
_ORDERS: Final = """
    SELECT l.origin_id, l.id, o.number, o.id, l.product_id, p.identifier, l.quantity, l.unit_price, l.term,
        l.billing_cycle, l.start_date
    FROM orders_salesorderline l
    JOIN orders_salesorder o ON o.id = l.order_id AND o.status <> 'cancelled'
    JOIN catalog_product p ON p.id = l.product_id
    WHERE l.origin_id = ANY(%(ids)s)
    ORDER BY l.origin_id, l.id
"""
_PURCHASE: Final = """
    SELECT l.origin_id, l.id, o.number, o.id, o.vendor_id, l.product_id, p.identifier, p.product_class, p.category_id,
        {company}, CASE WHEN o.status = 'cancelled' THEN 0 ELSE l.quantity - l.quantity_cancelled END,
        l.unit_cost, l.term, l.billing_cycle, l.start_date, l.end_date, o.status
    FROM procurement_purchaseorderline l
    JOIN procurement_purchaseorder o ON o.id = l.purchase_order_id
    JOIN catalog_product p ON p.id = l.product_id
"""
#: Bought for a quoted line: whose it is, is quoted.
_PURCHASES: Final = f"""
    {_PURCHASE.format(company="NULL")}
    WHERE l.origin_id = ANY(%(ids)s) AND o.status <> 'cancelled' AND l.quantity > l.quantity_cancelled
    ORDER BY l.origin_id, l.id
"""
_PURCHASES_OF_ORDERS: Final = f"""
    {_PURCHASE.format(company="coalesce(so.company_id, g.company_id)")}
    LEFT JOIN orders_salesorderline sl ON sl.id = l.order_line_id
    LEFT JOIN orders_salesorder so ON so.id = sl.order_id
    LEFT JOIN agreements_addition a ON a.id = l.addition_id
    LEFT JOIN agreements_agreement g ON g.id = a.agreement_id
    WHERE l.purchase_order_id = ANY(%(ids)s)
    ORDER BY l.id
"""
_RECEIPTS: Final = """
    SELECT r.purchase_order_line_id, r.id, h.number, r.product_id, p.identifier, r.quantity
    FROM inventory_receiptline r
    JOIN inventory_receipt h ON h.id = r.receipt_id
    JOIN catalog_product p ON p.id = r.product_id
    WHERE r.purchase_order_line_id = ANY(%(ids)s)
    ORDER BY r.id
"""
_BILLS: Final = """
    SELECT l.purchase_order_line_id, l.id, b.number, b.id, b.date, l.quantity, l.unit_cost, l.amount
    FROM procurement_vendorbillline l JOIN procurement_vendorbill b ON b.id = l.bill_id
    WHERE l.purchase_order_line_id = ANY(%(ids)s)
    ORDER BY l.id
"""
#: Lines that stand: of invoices that are neither reversed nor reversals, credits, or asked for in advance. A price was
#: entered by hand when the explanation says so of the very figures of the line.
_INVOICES: Final = """
    SELECT l.origin_id, l.id, coalesce(i.number, 'draft invoice ' || i.id), i.id, l.addition_id, l.order_line_id,
        l.product_id, coalesce(p.identifier, ''), l.quantity, l.unit_price,
        l.period_start, l.service_start, l.service_end,
        NOT i.is_adjustment AND l.quantity > 0 AND l.unit_price >= 0
            AND (l.period_start IS NULL OR i.period_start IS NULL OR l.period_start = i.period_start),
        l.service_start IS NOT NULL AND l.service_start = l.period_start AND l.service_end = l.period_end,
        i.status <> 'draft',
        starts_with(
            l.explanation,
            trim_scale(l.quantity)::text || ' × ' || trim_scale(l.unit_price)::text || %(entered_by)s
        )
    FROM billing_invoiceline l
    JOIN billing_invoice i ON i.id = l.invoice_id
    LEFT JOIN catalog_product p ON p.id = l.product_id
    WHERE l.origin_id = ANY(%(ids)s) AND i.type NOT IN ('credit_memo', 'down_payment') AND l.down_payment_id IS NULL
        AND l.charge_id IS NULL AND l.credited_line_id IS NULL
        AND NOT EXISTS (SELECT 1 FROM billing_invoice r WHERE r.reverses_id = i.id)
    ORDER BY l.origin_id, l.id
"""
_SERIALS: Final = """
    SELECT p.origin_id, FALSE, s.serial
    FROM procurement_purchaseorderline p
    JOIN inventory_receiptline r ON r.purchase_order_line_id = p.id
    JOIN inventory_serialnumber s ON s.receipt_line_id = r.id
    WHERE p.origin_id = ANY(%(ids)s)
    UNION ALL
    SELECT o.origin_id, TRUE, s.serial
    FROM orders_salesorderline o
    JOIN inventory_shipmentline h ON h.order_line_id = o.id
    JOIN inventory_serialnumber s ON s.shipment_line_id = h.id
    WHERE o.origin_id = ANY(%(ids)s)
"""
_RULES: Final = """
    SELECT s.currency, s.time_zone, t.measure, t.percent, t.amount, t.bounds, t.vendor_id, t.category_id, t.company_id
    FROM companies_mspsettings s LEFT JOIN matching_matchtolerance t ON TRUE
    WHERE s.id = 1
"""
_NO_LEGS: Final = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """Tolerances, the currency of the books and the time zone of the MSP, as they were when a match began."""

    tolerances: Tolerances
    currency: str
    time_zone: str

    def day(self, now: datetime) -> date:
        """What day it is for the MSP."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()


def current_rules() -> Rules:
    """The rules as they are now."""
    rows = rows_of(_RULES, {})
    currency, time_zone = rows[0][:2] if rows else (MspSettings().currency, MspSettings().time_zone)
    return Rules(
        Tolerances(
            ToleranceRule(measure, Tolerance(percent, amount, bounds == Bounds.NARROWER), *of)
            for _, _, measure, percent, amount, bounds, *of in rows
            if measure
        ),
        currency,
        time_zone,
    )


# -- threads -----------------------------------------------------------------------------------------------------------


def load_threads(origin_ids: Sequence[int], rules: Rules) -> Iterator[QuoteThread]:
    """The threads of those of the lines that were accepted; drafts have none yet."""
    asked = {"ids": array_text(origin_ids), "currency": rules.currency}
    quotes = [QuoteLeg._make(row) for row in rows_of(_QUOTES, asked)]
    agreements = _grouped(AgreementLeg._make, rows_of(_AGREEMENTS, asked))
    additions = {line.id: line for lines in agreements.values() for line in lines}
    quoted = {quote.addition_id for quote in quotes if quote.addition_id}
    if beyond := quoted - additions.keys():
        additions |= {row[1]: AgreementLeg._make(row) for row in rows_of(_CHANGED, {"ids": array_text(beyond)})}
    changes, wishes = _changes(additions, quoted, rules) if additions else ({}, {})
    orders = _grouped(OrderLeg._make, rows_of(_ORDERS, asked))
    purchases = _grouped(PurchaseLeg._make, rows_of(_PURCHASES, asked))
    invoices = _invoices(rows_of(_INVOICES, asked | {"entered_by": ENTERED_BY}), additions)
    received, shipped = _serials(rows_of(_SERIALS, asked)) if orders and purchases else ({}, {})
    nobody: frozenset[str] = frozenset()
    for quote in quotes:
        pk = quote.id
        own: Sequence[AgreementLeg] = agreements.get(pk, _NO_LEGS)
        changed = additions.get(quote.addition_id) if quote.addition_id else None
        yield QuoteThread(
            quote,
            tuple(own),
            _of(own, changes),
            changed,
            _of((changed,), changes) if changed else _NO_LEGS,
            _of((*own, changed) if changed else own, wishes),
            tuple(orders.get(pk, _NO_LEGS)),
            tuple(purchases.get(pk, _NO_LEGS)),
            tuple(invoices.get(pk, _NO_LEGS)),
            received.get(pk, nobody),
            shipped.get(pk, nobody),
        )


def _of(lines: Iterable[AgreementLeg], by_addition: dict[int, list[Any]]) -> tuple[Any, ...]:
    """What there is of each of the additions."""
    return tuple(leg for line in lines for leg in by_addition.get(line.id, _NO_LEGS)) if by_addition else _NO_LEGS


def _changes(
    additions: dict[int, AgreementLeg], quoted: Collection[int], rules: Rules
) -> tuple[dict[int, list[ChangeLeg]], dict[int, list[AskedLeg]]]:
    """The changes of additions; and what accepted lines ask of those that were changed or cancelled, or are quoted."""
    changes = _grouped(ChangeLeg._make, rows_of(_CHANGES, {"ids": array_text(additions)}))
    touched = changes.keys() | quoted | {line.id for line in additions.values() if line.cancelled}
    if not touched:
        return changes, {}
    asked = {"ids": array_text(touched), "time_zone": rules.time_zone}
    return changes, _grouped(AskedLeg._make, rows_of(_ASKED, asked))


def _invoices(rows: Iterable[tuple[Any, ...]], additions: dict[int, AgreementLeg]) -> dict[int, list[InvoiceLeg]]:
    """The lines of invoices; one of an agreement is billed as often as its addition."""
    cycles = {line.id: line.billing_cycle for line in additions.values()}
    return _grouped(lambda row: InvoiceLeg._make((*row[:10], cycles.get(row[4], ""), *row[10:])), rows)


def load_purchases(purchase_order_ids: Sequence[int]) -> Iterator[PurchaseThread]:
    """The lines of purchase orders with what arrived and what is billed of each."""
    lines = [PurchaseLeg._make(row) for row in rows_of(_PURCHASES_OF_ORDERS, {"ids": array_text(purchase_order_ids)})]
    asked = {"ids": array_text(line.id for line in lines)}
    receipts = _grouped(ReceiptLeg._make, rows_of(_RECEIPTS, asked))
    bills = _grouped(BillLeg._make, rows_of(_BILLS, asked))
    for line in lines:
        yield PurchaseThread(line, tuple(receipts.get(line.id, _NO_LEGS)), tuple(bills.get(line.id, _NO_LEGS)))


def _grouped(make: Any, rows: Iterable[tuple[Any, ...]]) -> dict[int, list[Any]]:
    """Legs by the thread (or line) in their first column."""
    found: dict[int, list[Any]] = {}
    for row in rows:
        if row[0] in found:
            found[row[0]].append(make(row))
        else:
            found[row[0]] = [make(row)]
    return found


def _serials(rows: Iterable[tuple[Any, ...]]) -> tuple[dict[int, frozenset[str]], dict[int, frozenset[str]]]:
    received: dict[int, set[str]] = defaultdict(set)
    shipped: dict[int, set[str]] = defaultdict(set)
    for thread, is_shipped, serial in rows:
        (shipped if is_shipped else received)[thread].add(serial)
    return (
        {pk: frozenset(serials) for pk, serials in received.items()},
        {pk: frozenset(serials) for pk, serials in shipped.items()},
    )


def rows_of(sql: str, parameters: dict[str, Any] | list[Any]) -> list[tuple[Any, ...]]:
    """All rows of a select."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


#: A select: what its rows are labelled with, its SQL, and its parameters.
Part = tuple[str, str, list[Any]]


def union_of(parts: Sequence[Part], within: str = "{lines}") -> list[tuple[Any, ...]]:
    """The rows of several selects in one statement, each row behind the label of its select; or of SQL around them."""
    if not parts:
        return []
    labelled = (f"SELECT '{label}' AS label, part.* FROM ({sql}) part" for label, sql, _ in parts)  # noqa: S608 - ours
    lines = " UNION ALL ".join(labelled)
    return rows_of(within.format(lines=lines), [value for _, _, values in parts for value in values])


# -- which threads there are -------------------------------------------------------------------------------------------

_ACCEPTED: Final = """
    SELECT q.id FROM quotes_quoteline q
    LEFT JOIN quotes_quoteversion v ON v.id = q.version_id
    WHERE q.opportunity_id IS NOT NULL AND q.id > %(after)s
        AND (v.status = 'accepted' OR EXISTS (SELECT 1 FROM quotes_lineconversion c WHERE c.line_id = q.id))
        {within}
    ORDER BY q.id LIMIT %(most)s
"""
_WITHIN: Final = """
    AND (
        EXISTS (SELECT 1 FROM quotes_lineconversion c WHERE c.line_id = q.id
            AND c.converted_at::date BETWEEN %(since)s AND %(through)s)
        OR EXISTS (SELECT 1 FROM agreements_addition a WHERE a.origin_id = q.id AND (
            a.effective_date BETWEEN %(since)s AND %(through)s
            OR EXISTS (SELECT 1 FROM agreements_additionchange d WHERE d.addition_id = a.id
                AND d.effective_date BETWEEN %(since)s AND %(through)s)))
        OR EXISTS (SELECT 1 FROM procurement_purchaseorderline p
            JOIN procurement_purchaseorder o ON o.id = p.purchase_order_id
            WHERE p.origin_id = q.id AND o.order_date BETWEEN %(since)s AND %(through)s)
        OR EXISTS (SELECT 1 FROM billing_invoiceline l JOIN billing_invoice i ON i.id = l.invoice_id
            WHERE l.origin_id = q.id AND i.date BETWEEN %(since)s AND %(through)s)
    )
"""
_BOUGHT: Final = """
    SELECT o.id FROM procurement_purchaseorder o WHERE o.id > %(after)s {within} ORDER BY o.id LIMIT %(most)s
"""
_BOUGHT_WITHIN: Final = """
    AND (o.order_date BETWEEN %(since)s AND %(through)s OR EXISTS (
        SELECT 1 FROM procurement_purchaseorderline l
        JOIN procurement_vendorbillline x ON x.purchase_order_line_id = l.id
        JOIN procurement_vendorbill b ON b.id = x.bill_id
        WHERE l.purchase_order_id = o.id AND b.date BETWEEN %(since)s AND %(through)s))
"""


@dataclass(frozen=True, slots=True)
class Span:
    """First and last day of a period."""

    since: Any
    through: Any


def accepted_chunks(size: int, span: Span | None = None) -> Iterator[list[int]]:
    """Ids of all accepted lines, chunk by chunk; of a period those of which something is dated in it."""
    return _chunks(_ACCEPTED, _WITHIN, size, span)


def purchase_order_chunks(size: int, span: Span | None = None) -> Iterator[list[int]]:
    """Ids of all purchase orders, chunk by chunk; of a period those that were ordered or billed in it."""
    return _chunks(_BOUGHT, _BOUGHT_WITHIN, size, span)


def _chunks(sql: str, within: str, size: int, span: Span | None) -> Iterator[list[int]]:
    after = 0
    asked = {} if span is None else {"since": span.since, "through": span.through}
    statement = sql.format(within=within if span else "")
    while ids := [row[0] for row in rows_of(statement, asked | {"after": after, "most": size})]:
        yield ids
        after = ids[-1]
