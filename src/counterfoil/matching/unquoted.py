"""Lines that were entered by hand beside quoted ones: on an agreement, order, purchase order or invoice of a quote."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from django.db import connection
from django.db.models import Q

from counterfoil.core.matching import what_to_do
from counterfoil.core.matching.dollars import for_months
from counterfoil.core.money import ZERO, extend
from counterfoil.matching.exceptions import Finding
from counterfoil.matching.holding import Documents
from counterfoil.platform.anyof import array_text
from counterfoil.platform.records import plain_number

#: leg, line, document, company, vendor, product, its name, quantity, unit cost of what is bought, its billing cycle
_UNQUOTED: Final = """
    SELECT 'agreement', a.id, g.number, g.company_id, NULL::bigint, a.product_id, a.description, a.quantity, 0, ''
    FROM agreements_addition a JOIN agreements_agreement g ON g.id = a.agreement_id
    WHERE g.id = ANY(%(agreements)s) AND a.origin_id IS NULL AND g.opportunity_id IS NOT NULL
        AND a.cancelled_date IS NULL
    UNION ALL
    SELECT 'order', l.id, o.number, o.company_id, NULL, l.product_id, l.description, l.quantity, 0, ''
    FROM orders_salesorderline l JOIN orders_salesorder o ON o.id = l.order_id
    WHERE o.id = ANY(%(orders)s) AND l.origin_id IS NULL AND o.opportunity_id IS NOT NULL AND o.status <> 'cancelled'
    UNION ALL
    SELECT 'purchase', l.id, o.number, NULL, o.vendor_id, l.product_id, l.description,
        l.quantity - l.quantity_cancelled, l.unit_cost, coalesce(nullif(l.billing_cycle, ''), l.term)
    FROM procurement_purchaseorderline l JOIN procurement_purchaseorder o ON o.id = l.purchase_order_id
    WHERE o.id = ANY(%(purchase_orders)s) AND l.origin_id IS NULL AND o.status <> 'cancelled'
        AND EXISTS (
            SELECT 1 FROM procurement_purchaseorderline s WHERE s.purchase_order_id = o.id AND s.origin_id IS NOT NULL
        )
    UNION ALL
    SELECT 'invoice', l.id, coalesce(i.number, 'draft invoice ' || i.id), i.company_id, NULL, l.product_id,
        l.description, l.quantity, 0, ''
    FROM billing_invoiceline l JOIN billing_invoice i ON i.id = l.invoice_id
    WHERE i.id = ANY(%(invoices)s) AND l.origin_id IS NULL AND l.addition_id IS NULL AND l.order_line_id IS NULL
        AND l.charge_id IS NULL AND l.agreement_id IS NULL AND l.down_payment_id IS NULL AND l.credited_line_id IS NULL
        AND i.type NOT IN ('credit_memo', 'down_payment')
"""
_LINES: Final = {
    "agreement": "addition_id",
    "order": "order_line_id",
    "purchase": "purchase_order_line_id",
    "invoice": "invoice_line_id",
}


class _Unquoted:
    """Which exceptions the search below decides on."""

    @staticmethod
    def within(documents: Documents) -> Q:
        """Those of lines of the documents."""
        of_documents = Q(addition__agreement__any=documents.agreements)
        of_documents |= Q(order_line__order__any=documents.orders)
        of_documents |= Q(purchase_order_line__purchase_order__any=documents.purchase_orders)
        of_documents |= Q(invoice_line__invoice__any=documents.invoices)
        return Q(code="unquoted", origin=None) & of_documents


UNQUOTED: Final = _Unquoted


def unquoted_beside(documents: Documents) -> list[Finding]:
    """Lines of the documents that no quote has: nothing is lost by what is billed beside it, what is bought costs."""
    asked = {
        "agreements": array_text(documents.agreements),
        "orders": array_text(documents.orders),
        "purchase_orders": array_text(documents.purchase_orders),
        "invoices": array_text(documents.invoices),
    }
    with connection.cursor() as cursor:
        cursor.execute(_UNQUOTED, asked)
        return [_finding(*row) for row in cursor.fetchall()]


def _finding(
    leg: str,
    line_id: int,
    document: str,
    company_id: int | None,
    vendor_id: int | None,
    product_id: int | None,
    description: str,
    quantity: Decimal,
    unit_cost: Decimal,
    cycle: str,
) -> Finding:
    cost = extend(quantity, unit_cost) if unit_cost else ZERO
    lines: dict[str, Any] = {_LINES[leg]: line_id}
    return Finding(
        key=f"unquoted:{leg}:{line_id}",
        code="unquoted",
        expected_leg="quote",
        actual_leg=leg,
        expected="nothing",
        actual=f"{plain_number(quantity)} {description}",
        message=f"{document} has {plain_number(quantity)} “{description}”, entered by hand beside what was quoted.",
        what_to_do=what_to_do("unquoted", document),
        monthly=for_months(cost, cycle, Fraction(1)) if cycle else ZERO,
        over_term=cost,
        company_id=company_id,
        vendor_id=vendor_id,
        product_id=product_id,
        **lines,
    )
