"""What open exceptions hold, by the rules: drafts of purchase orders and invoices, vendor bills, agreements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection

from counterfoil.core.matching import CATALOGUE
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


#: Open exceptions of a document: its id, the exception's key, words and hint.
_OF_PURCHASE_ORDERS: Final = """
    SELECT o.id, e.key, e.message, e.what_to_do
    FROM matching_matchexception e
    JOIN procurement_purchaseorderline l ON l.id = e.purchase_order_line_id
    JOIN procurement_purchaseorder o ON o.id = l.purchase_order_id AND o.status = 'draft'
    WHERE o.id = ANY(%(ids)s) AND e.status = 'open' AND e.actual_leg = 'purchase' AND e.code = ANY(%(codes)s)
    ORDER BY e.id
"""
#: What the vendor bills otherwise than ordered or received, and bills of what was ordered otherwise than quoted.
_OF_BILLS: Final = """
    SELECT DISTINCT b.bill_id, e.key, e.message, e.what_to_do, e.id
    FROM procurement_vendorbillline b
    JOIN matching_matchexception e
        ON (e.bill_line_id = b.id OR (e.bill_line_id IS NULL AND e.purchase_order_line_id = b.purchase_order_line_id))
    WHERE b.bill_id = ANY(%(ids)s) AND e.status = 'open' AND e.kind IN ('quote', 'purchase')
        AND e.code = ANY(%(codes)s)
    ORDER BY e.id
"""
#: Of drafts: differences of their own lines, and of the agreements and orders that they bill.
_OF_INVOICES: Final = """
    SELECT DISTINCT i.id, e.key, e.message, e.what_to_do, e.id
    FROM billing_invoice i
    JOIN billing_invoiceline l ON l.invoice_id = i.id
    JOIN matching_matchexception e
        ON e.invoice_line_id = l.id OR (e.invoice_line_id IS NULL AND e.origin_id = l.origin_id)
    WHERE i.id = ANY(%(ids)s) AND i.status = 'draft' AND i.type NOT IN ('credit_memo', 'down_payment')
        AND e.status = 'open' AND e.kind = 'quote' AND e.actual_leg IN ('agreement', 'order', 'invoice')
        AND e.code = ANY(%(codes)s)
    ORDER BY e.id
"""
#: An agreement, and the one that it is billed with.
_OF_AGREEMENTS: Final = """
    SELECT DISTINCT t.id, e.key, e.message, e.what_to_do, e.id
    FROM matching_matchexception e
    JOIN agreements_addition a ON a.id = e.addition_id
    JOIN agreements_agreement g ON g.id = a.agreement_id
    CROSS JOIN LATERAL (VALUES (g.id), (g.parent_id)) t(id)
    WHERE t.id = ANY(%(ids)s) AND e.status = 'open' AND e.kind = 'quote' AND e.actual_leg = 'agreement'
        AND e.code = ANY(%(codes)s)
    ORDER BY e.id
"""
_PARENTS: Final = "SELECT parent_id FROM agreements_agreement WHERE id = ANY(%s) AND parent_id IS NOT NULL"
#: Drafts that bill the same quoted lines as the agreements and orders.
_DRAFTS: Final = """
    SELECT DISTINCT i.id FROM billing_invoice i JOIN billing_invoiceline l ON l.invoice_id = i.id
    WHERE i.status = 'draft' AND l.origin_id IN (
        SELECT origin_id FROM agreements_addition WHERE agreement_id = ANY(%s) AND origin_id IS NOT NULL
        UNION SELECT origin_id FROM orders_salesorderline WHERE order_id = ANY(%s) AND origin_id IS NOT NULL
    )
"""
_BILLS: Final = """
    SELECT DISTINCT b.bill_id FROM procurement_vendorbillline b
    JOIN procurement_purchaseorderline l ON l.id = b.purchase_order_line_id WHERE l.purchase_order_id = ANY(%s)
"""


def refresh_holds(documents: Documents) -> None:
    """Make the holds of documents those that their open exceptions ask for; call it in a transaction."""
    codes = hold_codes()
    agreements = documents.agreements | _ids(_PARENTS, documents.agreements)
    invoices = documents.invoices | _ids(_DRAFTS, documents.agreements, documents.orders)
    bills = documents.bills | _ids(_BILLS, documents.purchase_orders)
    _refresh(PURCHASE_ORDER, _OF_PURCHASE_ORDERS, documents.purchase_orders, codes.purchase_order)
    _refresh(VENDOR_BILL, _OF_BILLS, bills, codes.vendor_bill)
    _refresh(INVOICE, _OF_INVOICES, invoices, codes.invoice)
    _refresh(AGREEMENT, _OF_AGREEMENTS, agreements, codes.invoice)


def _refresh(label: str, sql: str, ids: set[int], codes: tuple[str, ...]) -> None:
    if not ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(sql, {"ids": array_text(ids), "codes": list(codes)})
        rows = cursor.fetchall()
    wanted = {(row[0], row[1]): {"reason": row[2], "hint": row[3]} for row in rows}
    set_holds(label, SOURCE, wanted, ids)


def _ids(sql: str, *given: Iterable[int]) -> set[int]:
    if not any(given):
        return set()
    with connection.cursor() as cursor:
        cursor.execute(sql, [array_text(ids) for ids in given])
        return {row[0] for row in cursor.fetchall()}
