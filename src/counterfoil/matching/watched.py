"""Triggers that note which threads have changed, on the tables of their legs.

They stand on proxies here, so that the contexts below need not know that anybody watches. Each is one look at all rows
of a statement; what it notes is added to a list and never waits for anybody.
"""

from __future__ import annotations

import pgtrigger

from counterfoil.agreements.models import Addition, AdditionChange, Agreement
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.inventory.models import ReceiptLine, SerialNumber
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine, VendorBillLine
from counterfoil.quotes.models import LineConversion, QuoteLine

_OLD = "SELECT * FROM old_rows"
_NEW = "SELECT * FROM new_rows"
_BOTH = "SELECT * FROM old_rows UNION ALL SELECT * FROM new_rows"


def noting(rows: str, *, insert: bool = True, update: bool = True, delete: bool = True) -> list[pgtrigger.Trigger]:
    """Triggers that note the threads of changed rows.

    Args:
        rows: SQL that gives origin and purchase order of the threads, from ``n``: the rows that were written.
        insert: whether new rows count.
        update: whether changed ones do, as they were and as they are.
        delete: whether deleted ones do.
    """
    wanted = {
        "insert": (insert, pgtrigger.Insert, _NEW, {"new": "new_rows"}),
        "update": (update, pgtrigger.Update, _BOTH, {"old": "old_rows", "new": "new_rows"}),
        "delete": (delete, pgtrigger.Delete, _OLD, {"old": "old_rows"}),
    }
    return [
        pgtrigger.Trigger(
            name=f"thread_changed_by_{name}",
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(**tables),  # type: ignore[no-untyped-call]
            func=f"""
                EXECUTE $query$
                    WITH n AS ({these})
                    INSERT INTO matching_threadtomatch (origin_id, purchase_order_id)
                    SELECT DISTINCT origin, purchase_order FROM ({rows}) t(origin, purchase_order)
                    WHERE origin IS NOT NULL OR purchase_order IS NOT NULL
                $query$;
                RETURN NULL;
            """,  # noqa: S608 - made of what is written below
        )
        for name, (is_wanted, operation, these, tables) in wanted.items()
        if is_wanted
    ]


#: A line that was entered by hand is looked at with the thread of a line beside it; an addition with the lines of
#: change quotes that ask something of it.
_ADDITION = """
    SELECT coalesce(n.origin_id, (
        SELECT min(s.origin_id) FROM agreements_addition s WHERE s.agreement_id = n.agreement_id
    )), NULL::bigint FROM n
    UNION ALL
    SELECT q.id, NULL::bigint FROM n JOIN quotes_quoteline q ON q.addition_id = n.id AND q.opportunity_id IS NOT NULL
"""
_CHANGE = """
    SELECT a.origin_id, NULL::bigint FROM n JOIN agreements_addition a ON a.id = n.addition_id
    UNION ALL
    SELECT q.id, NULL::bigint FROM n
    JOIN quotes_quoteline q ON q.addition_id = n.addition_id AND q.opportunity_id IS NOT NULL
"""
#: What the additions of an agreement, and those of its children, are billed by; and with them the change quotes.
_AGREEMENT = """
    WITH touched AS (
        SELECT a.id, a.origin_id
        FROM (
            SELECT id FROM n GROUP BY id HAVING count(DISTINCT (
                parent_id, billing_cycle, billing_timing, bill_one_time, prorate, end_date, cancelled_on, status
            )) > 1
        ) c
        CROSS JOIN LATERAL (
            SELECT c.id UNION ALL SELECT d.id FROM agreements_agreement d WHERE d.parent_id = c.id
        ) g
        JOIN agreements_addition a ON a.agreement_id = g.id
    )
    SELECT origin_id, NULL::bigint FROM touched
    UNION ALL
    SELECT q.id, NULL::bigint
    FROM touched t JOIN quotes_quoteline q ON q.addition_id = t.id AND q.opportunity_id IS NOT NULL
"""
_ORDER_LINE = """
    SELECT coalesce(n.origin_id, (
        SELECT min(s.origin_id) FROM orders_salesorderline s WHERE s.order_id = n.order_id
    )), NULL::bigint FROM n
"""
_PURCHASE_LINE = "SELECT n.origin_id, n.purchase_order_id FROM n"
_OF_PURCHASE_LINE = """
    SELECT p.origin_id, p.purchase_order_id
    FROM n JOIN procurement_purchaseorderline p ON p.id = n.purchase_order_line_id
"""


class WatchedQuoteLine(QuoteLine):
    """A quoted line that stands on an opportunity: accepted, or quoted there directly."""

    class Meta:
        proxy = True
        triggers = noting("SELECT n.id, NULL::bigint FROM n WHERE n.opportunity_id IS NOT NULL", delete=False)


class WatchedConversion(LineConversion):
    """What a line was converted to."""

    class Meta:
        proxy = True
        triggers = noting("SELECT n.line_id, NULL::bigint FROM n", update=False, delete=False)


class WatchedAddition(Addition):
    """An addition."""

    class Meta:
        proxy = True
        triggers = noting(_ADDITION)


class WatchedAdditionChange(AdditionChange):
    """A change of an addition."""

    class Meta:
        proxy = True
        triggers = noting(_CHANGE)


class WatchedAgreement(Agreement):
    """What of an agreement decides how its additions are billed."""

    class Meta:
        proxy = True
        triggers = noting(
            _AGREEMENT,
            insert=False,
            delete=False,
        )


class WatchedOrderLine(SalesOrderLine):
    """A sales order line."""

    class Meta:
        proxy = True
        triggers = noting(_ORDER_LINE)


class WatchedOrder(SalesOrder):
    """A sales order that is cancelled, or opened again."""

    class Meta:
        proxy = True
        triggers = noting(
            "SELECT l.origin_id, NULL::bigint FROM n JOIN orders_salesorderline l ON l.order_id = n.id",
            insert=False,
            delete=False,
        )


class WatchedPurchaseLine(PurchaseOrderLine):
    """A purchase order line."""

    class Meta:
        proxy = True
        triggers = noting(_PURCHASE_LINE)


class WatchedPurchaseOrder(PurchaseOrder):
    """A purchase order that is sent, closed or cancelled."""

    class Meta:
        proxy = True
        triggers = noting(
            "SELECT l.origin_id, n.id FROM n JOIN procurement_purchaseorderline l ON l.purchase_order_id = n.id",
            insert=False,
            delete=False,
        )


class WatchedReceiptLine(ReceiptLine):
    """What arrived."""

    class Meta:
        proxy = True
        triggers = noting(_OF_PURCHASE_LINE)


class WatchedBillLine(VendorBillLine):
    """What a vendor bills."""

    class Meta:
        proxy = True
        triggers = noting(_OF_PURCHASE_LINE)


class WatchedSerialNumber(SerialNumber):
    """A unit that was shipped."""

    class Meta:
        proxy = True
        triggers = noting(
            """
            SELECT o.origin_id, NULL::bigint FROM n JOIN inventory_shipmentline s ON s.id = n.shipment_line_id
            JOIN orders_salesorderline o ON o.id = s.order_line_id
            """,
            insert=False,
            delete=False,
        )


class WatchedInvoice(Invoice):
    """A draft that is closed."""

    class Meta:
        proxy = True
        triggers = noting(
            """
            SELECT l.origin_id, NULL::bigint
            FROM (SELECT id FROM n GROUP BY id HAVING count(DISTINCT status) = 2) i
            JOIN billing_invoiceline l ON l.invoice_id = i.id AND l.origin_id IS NOT NULL
            """,
            insert=False,
            delete=False,
        )


class WatchedInvoiceLine(InvoiceLine):
    """A line of an invoice, whether that is written before or after it.

    What an invoice has beside a line is looked up invoice by invoice: joined, a billing run would read all invoices.
    """

    class Meta:
        proxy = True
        triggers = noting("""
            SELECT origin_id, NULL::bigint FROM n WHERE origin_id IS NOT NULL
            UNION ALL
            SELECT (
                SELECT min(s.origin_id) FROM billing_invoice i JOIN billing_invoiceline s ON s.invoice_id = i.id
                WHERE i.id = m.invoice_id
            ), NULL::bigint
            FROM (SELECT DISTINCT invoice_id FROM n WHERE origin_id IS NULL) m
        """)
