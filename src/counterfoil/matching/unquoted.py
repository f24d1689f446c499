"""Lines that were entered by hand beside quoted ones: on an agreement, order, purchase order or invoice of a quote."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

from counterfoil.core.matching import what_to_do
from counterfoil.core.matching.dollars import for_months
from counterfoil.core.money import ZERO, extend
from counterfoil.matching.exceptions import Finding
from counterfoil.matching.holding import Documents
from counterfoil.matching.loading import union_of
from counterfoil.platform.anyof import array_text
from counterfoil.platform.records import plain_number


class _Leg(NamedTuple):
    """How lines of a leg are found: what is read of them and where, and which of them are beside a quote.

    Read are number of the document, company, vendor, quantity, unit cost of what is bought, and its billing cycle.
    """

    read: str
    tables: str
    document: str
    is_unquoted: str
    column: str


_LEGS: Final = {
    "agreement": _Leg(
        "d.number, d.company_id, NULL::bigint, l.quantity, 0, ''",
        "agreements_addition l JOIN agreements_agreement d ON d.id = l.agreement_id",
        "l.agreement_id",
        "d.opportunity_id IS NOT NULL AND l.cancelled_date IS NULL",
        "addition_id",
    ),
    "order": _Leg(
        "d.number, d.company_id, NULL::bigint, l.quantity, 0, ''",
        "orders_salesorderline l JOIN orders_salesorder d ON d.id = l.order_id",
        "l.order_id",
        "d.opportunity_id IS NOT NULL AND d.status <> 'cancelled'",
        "order_line_id",
    ),
    "purchase": _Leg(
        "d.number, NULL::bigint, d.vendor_id, l.quantity - l.quantity_cancelled, l.unit_cost,"
        " coalesce(nullif(l.billing_cycle, ''), l.term)",
        "procurement_purchaseorderline l JOIN procurement_purchaseorder d ON d.id = l.purchase_order_id",
        "l.purchase_order_id",
        "d.status <> 'cancelled' AND EXISTS ("
        "SELECT 1 FROM procurement_purchaseorderline s WHERE s.purchase_order_id = d.id AND s.origin_id IS NOT NULL)",
        "purchase_order_line_id",
    ),
    "invoice": _Leg(
        "coalesce(d.number, 'draft invoice ' || d.id), d.company_id, NULL::bigint, l.quantity, 0, ''",
        "billing_invoiceline l JOIN billing_invoice d ON d.id = l.invoice_id",
        "l.invoice_id",
        "l.addition_id IS NULL AND l.order_line_id IS NULL AND l.charge_id IS NULL AND l.agreement_id IS NULL"
        " AND l.down_payment_id IS NULL AND l.credited_line_id IS NULL"
        " AND d.type NOT IN ('credit_memo', 'down_payment')",
        "invoice_line_id",
    ),
}
#: The lines of documents of a leg.
_OF_LEG: Final = """
    SELECT l.origin_id IS NULL AND {leg.is_unquoted} AS is_unquoted, l.id, l.product_id, l.description, {leg.read}
    FROM {leg.tables} WHERE {leg.document} = ANY(%s)
"""
#: Those of them that are unquoted, and those that stand as such among the exceptions.
_UNQUOTED: Final = """
    SELECT e.id, l.* FROM ({lines}) l
    LEFT JOIN matching_matchexception e ON e.key = 'unquoted:' || l.label || ':' || l.id AND e.status <> 'mended'
    WHERE l.is_unquoted OR e.id IS NOT NULL
"""


def unquoted_beside(documents: Documents) -> tuple[list[Finding], list[str]]:
    """Lines of the documents that no quote has; and the keys of those that were found so, and are not so any more.

    Nothing is lost by what is billed beside a quote; what is bought costs.
    """
    asked = {
        "agreement": documents.agreements,
        "order": documents.orders,
        "purchase": documents.purchase_orders,
        "invoice": documents.invoices,
    }
    found, gone = [], []
    parts = [(leg, _OF_LEG.format(leg=_LEGS[leg]), [array_text(ids)]) for leg, ids in asked.items() if ids]
    for _, leg, is_unquoted, line_id, *read in union_of(parts, _UNQUOTED):
        key = f"unquoted:{leg}:{line_id}"
        if is_unquoted:
            found.append(_finding(key, leg, line_id, *read))
        else:
            gone.append(key)
    return found, gone


def _finding(
    key: str,
    leg: str,
    line_id: int,
    product_id: int | None,
    description: str,
    document: str,
    company_id: int | None,
    vendor_id: int | None,
    quantity: Decimal,
    unit_cost: Decimal,
    cycle: str,
) -> Finding:
    cost = extend(quantity, unit_cost) if unit_cost else ZERO
    lines: dict[str, Any] = {_LEGS[leg].column: line_id}
    return Finding(
        key=key,
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
