"""What open exceptions hold, by the rules: drafts of purchase orders and invoices, vendor bills, agreements."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from django.db.models import QuerySet

from counterfoil.core.matching import CATALOGUE
from counterfoil.core.money import format_money
from counterfoil.matching.loading import Part, rows_of, union_of
from counterfoil.matching.models import MatchException
from counterfoil.platform.anyof import array_text
from counterfoil.platform.holds import set_holds

SOURCE: Final = "matching"
PURCHASE_ORDER: Final = "procurement.purchaseorder"
VENDOR_BILL: Final = "procurement.vendorbill"
INVOICE: Final = "billing.invoice"
AGREEMENT: Final = "agreements.agreement"


#: Legs of what is bought. A difference on one of them holds purchase orders and vendor bills, on any other one
#: invoices and agreements.
_BOUGHT: Final = frozenset({"purchase", "receipt", "bill"})


@dataclass(slots=True)
class Documents:
    """Ids of documents."""

    agreements: set[int] = field(default_factory=set)
    orders: set[int] = field(default_factory=set)
    purchase_orders: set[int] = field(default_factory=set)
    bills: set[int] = field(default_factory=set)
    invoices: set[int] = field(default_factory=set)

    def held_by(self, legs: frozenset[str]) -> Documents:
        """Those of them that differences on the legs can hold."""
        found = Documents()
        if legs & _BOUGHT:
            found.purchase_orders, found.bills = self.purchase_orders, self.bills
        if legs - _BOUGHT:
            found.agreements, found.orders, found.invoices = self.agreements, self.orders, self.invoices
        return found


def hold_codes() -> dict[str, list[str]]:
    """The codes of differences that hold each kind of document, by the rules as they are.

    A code without a rule holds what it does by default. Whatever holds an invoice holds its agreement.
    """
    rules = {
        code.code: (code.holds_purchase_order, code.holds_vendor_bill, code.holds_invoice)
        for code in CATALOGUE.values()
    }
    rules |= {code: tuple(holds) for code, *holds in rows_of(_RULES, [])}
    order, bill, invoice = ([code for code, holds in rules.items() if holds[n]] for n in range(3))
    return {PURCHASE_ORDER: order, VENDOR_BILL: bill, INVOICE: invoice, AGREEMENT: invoice}


_RULES: Final = "SELECT code, holds_purchase_order, holds_vendor_bill, holds_invoice FROM matching_holdrule"

#: Open exceptions of documents, by the label of the document: its id, the exception's key, words, hint, dollars and id.
#: A purchase order and an invoice are held as drafts. A bill is held by what it bills otherwise than was ordered or has
#: arrived, and by what was ordered otherwise than quoted; a draft invoice by its own lines, and by the agreements and
#: orders that it bills; an agreement with the one that it is billed with, and by what a vendor's statement shows of it.
_HOLDING: Final = (
    (PURCHASE_ORDER, """
        SELECT o.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM procurement_purchaseorder o
        JOIN procurement_purchaseorderline l ON l.purchase_order_id = o.id
        JOIN matching_matchexception e ON e.purchase_order_line_id = l.id
        WHERE o.id = ANY(%s) AND e.code = ANY(%s) AND o.status = 'draft' AND e.status = 'open'
            AND e.actual_leg = 'purchase'
    """),
    (VENDOR_BILL, """
        SELECT DISTINCT b.bill_id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM procurement_vendorbillline b
        JOIN matching_matchexception e ON (
            e.bill_line_id = b.id OR (e.bill_line_id IS NULL AND e.purchase_order_line_id = b.purchase_order_line_id)
        )
        WHERE b.bill_id = ANY(%s) AND e.code = ANY(%s) AND e.status = 'open' AND e.kind IN ('quote', 'purchase')
    """),
    (INVOICE, """
        SELECT DISTINCT i.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM billing_invoice i
        JOIN billing_invoiceline l ON l.invoice_id = i.id
        JOIN matching_matchexception e
            ON e.origin_id = l.origin_id AND (e.invoice_line_id = l.id OR e.invoice_line_id IS NULL)
        WHERE i.id = ANY(%s) AND e.code = ANY(%s) AND i.status = 'draft'
            AND i.type NOT IN ('credit_memo', 'down_payment') AND e.status = 'open' AND e.kind = 'quote'
            AND e.actual_leg IN ('agreement', 'order', 'invoice')
    """),
    (INVOICE, """
        SELECT DISTINCT i.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM billing_invoice i
        JOIN billing_invoiceline l ON l.invoice_id = i.id
        JOIN matching_matchexception e ON e.addition_id = l.addition_id
        WHERE i.id = ANY(%s) AND e.code = ANY(%s) AND i.status = 'draft' AND e.status = 'open'
            AND e.kind = 'reconciliation'
    """),
    (AGREEMENT, """
        SELECT DISTINCT t.id, e.key, e.message, e.what_to_do, e.monthly, e.over_term, e.id
        FROM agreements_agreement t
        JOIN agreements_agreement g ON g.id = t.id OR g.parent_id = t.id
        JOIN agreements_addition a ON a.agreement_id = g.id
        JOIN matching_matchexception e ON e.addition_id = a.id
        WHERE t.id = ANY(%s) AND e.code = ANY(%s) AND e.status = 'open' AND e.actual_leg IN ('agreement', 'addition')
    """),
)  # fmt: skip
#: What is held with agreements: those they are billed with, and drafts that bill them, or what they and orders came of.
_BILLED_WITH: Final = "SELECT parent_id FROM agreements_agreement WHERE id = ANY(%s) AND parent_id IS NOT NULL"
_DRAFTS: Final = """
    SELECT i.id
    FROM (
        SELECT invoice_id FROM billing_invoiceline WHERE agreement_id = ANY(%s)
        UNION
        SELECT l.invoice_id
        FROM (
            SELECT origin_id FROM agreements_addition WHERE agreement_id = ANY(%s)
            UNION SELECT origin_id FROM orders_salesorderline WHERE order_id = ANY(%s)
        ) o
        JOIN billing_invoiceline l ON l.origin_id = o.origin_id
    ) l
    JOIN billing_invoice i ON i.id = l.invoice_id AND i.status = 'draft'
"""
#: What is held with purchase orders.
_BILLS: Final = """
    SELECT b.bill_id FROM procurement_purchaseorderline l
    JOIN procurement_vendorbillline b ON b.purchase_order_line_id = l.id
    WHERE l.purchase_order_id = ANY(%s)
"""


def documents_of(exceptions: QuerySet[MatchException]) -> Documents:
    """The documents that exceptions are about."""
    rows = exceptions.values_list(
        "addition__agreement_id",
        "order_line__order_id",
        "purchase_order_line__purchase_order_id",
        "bill_line__bill_id",
        "invoice_line__invoice_id",
    )
    found = Documents()
    sets = (found.agreements, found.orders, found.purchase_orders, found.bills, found.invoices)
    for row in rows.order_by():
        for ids, pk in zip(sets, row, strict=True):
            if pk is not None:
                ids.add(pk)
    return found


def refresh_holds(documents: Documents) -> None:
    """Make the holds of documents those that their open exceptions ask for; call it in a transaction."""
    among, codes = _with_those_beside(documents), hold_codes()
    parts = [(label, sql, [array_text(among[label]), codes[label]]) for label, sql in _HOLDING if among[label]]
    rows = sorted(union_of(parts), key=lambda row: row[-1])
    wanted = {
        (label, pk, key): {"reason": with_dollars(message, monthly, over_term), "hint": hint}
        for label, pk, key, message, hint, monthly, over_term, _ in rows
    }
    set_holds(SOURCE, wanted, among)


def _with_those_beside(documents: Documents) -> dict[str, set[int]]:
    """Ids of the documents and of those that are held with them, by label."""
    found = {
        PURCHASE_ORDER: set(documents.purchase_orders),
        VENDOR_BILL: set(documents.bills),
        INVOICE: set(documents.invoices),
        AGREEMENT: set(documents.agreements),
    }
    agreements, orders = array_text(documents.agreements), array_text(documents.orders)
    parts: list[Part] = []
    if documents.purchase_orders:
        parts.append((VENDOR_BILL, _BILLS, [array_text(documents.purchase_orders)]))
    if documents.agreements:
        parts.append((AGREEMENT, _BILLED_WITH, [agreements]))
    if documents.agreements or documents.orders:
        parts.append((INVOICE, _DRAFTS, [agreements, agreements, orders]))
    for label, pk in union_of(parts):
        found[label].add(pk)
    return found


def with_dollars(message: str, monthly: Decimal, over_term: Decimal) -> str:
    """The words of a difference, and what it costs as long as nobody mends it."""
    dollars = [f"{format_money(monthly)} a month"] if monthly else []
    dollars += [f"{format_money(over_term)} over the term"] if over_term else []
    return f"{message.rstrip('.')} ({', '.join(dollars)})." if dollars else message
