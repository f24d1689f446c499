"""What open exceptions hold, by the rules: drafts of purchase orders and invoices, vendor bills, agreements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from counterfoil.core.matching import CATALOGUE
from counterfoil.core.money import format_money
from counterfoil.matching.models import HoldRule
from counterfoil.platform.anyof import array_text
from counterfoil.platform.holds import set_holds

SOURCE: Final = "matching"
PURCHASE_ORDER: Final = "procurement.purchaseorder"
VENDOR_BILL: Final = "procurement.vendorbill"
INVOICE: Final = "billing.invoice"
AGREEMENT: Final = "agreements.agreement"


@dataclass(slots=True)
class Documents:
    """Ids of documents."""

    agreements: set[int] = field(default_factory=set)
    orders: set[int] = field(default_factory=set)
    purchase_orders: set[int] = field(default_factory=set)
    bills: set[int] = field(default_factory=set)
    invoices: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class HoldCodes:
    """The codes of differences that hold each kind of document."""

    purchase_order: tuple[str, ...]
    vendor_bill: tuple[str, ...]
    invoice: tuple[str, ...]


def hold_codes() -> HoldCodes:
    """By the rules as they are; a code without a rule holds what it does by default."""
    rules: dict[str, Any] = {**CATALOGUE, **{rule.code: rule for rule in HoldRule.objects.all()}}

    def holding(is_held: Callable[[Any], bool]) -> tuple[str, ...]:
        return tuple(code for code, rule in rules.items() if is_held(rule))

    return HoldCodes(
        holding(lambda rule: rule.holds_purchase_order),
        holding(lambda rule: rule.holds_vendor_bill),
        holding(lambda rule: rule.holds_invoice),
    )


#: Open exceptions of documents, by the label of the document: its id, the exception's key, words, hint, dollars and id.
#: A purchase order and an invoice are held as drafts. A bill is held by what it bills otherwise than was ordered or has
#: arrived, and by what was ordered otherwise than quoted; a draft invoice by its own lines, and by the agreements and
#: orders that it bills; an agreement with the one that it is billed with.
_HOLDING: Final = {
    PURCHASE_ORDER: """
        SELECT o.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM procurement_purchaseorder o
        JOIN procurement_purchaseorderline l ON l.purchase_order_id = o.id
        JOIN matching_matchexception e ON e.purchase_order_line_id = l.id
        WHERE o.id = ANY(%s) AND e.code = ANY(%s) AND o.status = 'draft' AND e.status = 'open'
            AND e.actual_leg = 'purchase'
    """,
    VENDOR_BILL: """
        SELECT DISTINCT b.bill_id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM procurement_vendorbillline b
        JOIN matching_matchexception e ON (
            e.bill_line_id = b.id OR (e.bill_line_id IS NULL AND e.purchase_order_line_id = b.purchase_order_line_id)
        )
        WHERE b.bill_id = ANY(%s) AND e.code = ANY(%s) AND e.status = 'open' AND e.kind IN ('quote', 'purchase')
    """,
    INVOICE: """
        SELECT DISTINCT i.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM billing_invoice i
        JOIN billing_invoiceline l ON l.invoice_id = i.id
        JOIN matching_matchexception e
            ON e.origin_id = l.origin_id AND (e.invoice_line_id = l.id OR e.invoice_line_id IS NULL)
        WHERE i.id = ANY(%s) AND e.code = ANY(%s) AND i.status = 'draft'
            AND i.type NOT IN ('credit_memo', 'down_payment') AND e.status = 'open' AND e.kind = 'quote'
            AND e.actual_leg IN ('agreement', 'order', 'invoice')
    """,
    AGREEMENT: """
        SELECT DISTINCT t.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM agreements_agreement t
        JOIN agreements_agreement g ON g.id = t.id OR g.parent_id = t.id
        JOIN agreements_addition a ON a.agreement_id = g.id
        JOIN matching_matchexception e ON e.addition_id = a.id
        WHERE t.id = ANY(%s) AND e.code = ANY(%s) AND e.status = 'open' AND e.kind = 'quote'
            AND e.actual_leg = 'agreement'
    """,
}
#: Parents of the agreements, drafts that bill the same quoted lines as the agreements and orders, bills of the orders.
_BESIDE: Final = """
    SELECT 1, parent_id FROM agreements_agreement WHERE id = ANY(%(agreements)s) AND parent_id IS NOT NULL
    UNION
    SELECT 2, i.id
    FROM (
        SELECT origin_id FROM agreements_addition WHERE agreement_id = ANY(%(agreements)s)
        UNION SELECT origin_id FROM orders_salesorderline WHERE order_id = ANY(%(orders)s)
    ) o
    JOIN billing_invoiceline l ON l.origin_id = o.origin_id
    JOIN billing_invoice i ON i.id = l.invoice_id AND i.status = 'draft'
    UNION
    SELECT 3, b.bill_id FROM procurement_purchaseorderline l
    JOIN procurement_vendorbillline b ON b.purchase_order_line_id = l.id
    WHERE l.purchase_order_id = ANY(%(purchase_orders)s)
"""


def refresh_holds(documents: Documents) -> None:
    """Make the holds of documents those that their open exceptions ask for; call it in a transaction."""
    codes = hold_codes()
    beside = _beside(documents)
    _refresh(PURCHASE_ORDER, documents.purchase_orders, codes.purchase_order)
    _refresh(VENDOR_BILL, documents.bills | beside[3], codes.vendor_bill)
    _refresh(INVOICE, documents.invoices | beside[2], codes.invoice)
    _refresh(AGREEMENT, documents.agreements | beside[1], codes.invoice)


def _beside(documents: Documents) -> dict[int, set[int]]:
    """The documents that are held with those: by 1 agreements, 2 draft invoices, 3 vendor bills."""
    found: dict[int, set[int]] = {1: set(), 2: set(), 3: set()}
    if documents.agreements or documents.orders or documents.purchase_orders:
        asked = {
            "agreements": array_text(documents.agreements),
            "orders": array_text(documents.orders),
            "purchase_orders": array_text(documents.purchase_orders),
        }
        with connection.cursor() as cursor:
            cursor.execute(_BESIDE, asked)
            for what, pk in cursor.fetchall():
                found[what].add(pk)
    return found


def _refresh(label: str, ids: set[int], codes: tuple[str, ...]) -> None:
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(_HOLDING[label], [array_text(ids), list(codes)])
        rows = sorted(cursor.fetchall(), key=lambda row: row[-1])
    wanted = {(row[0], row[1]): {"reason": with_dollars(row[2], row[4], row[5]), "hint": row[3]} for row in rows}
    set_holds(label, SOURCE, wanted, ids)


def with_dollars(message: str, monthly: Decimal, over_term: Decimal) -> str:
    """The words of a difference, and what it costs as long as nobody mends it."""
    dollars = [f"{format_money(monthly)} a month"] if monthly else []
    dollars += [f"{format_money(over_term)} over the term"] if over_term else []
    return f"{message.rstrip('.')} ({', '.join(dollars)})." if dollars else message
