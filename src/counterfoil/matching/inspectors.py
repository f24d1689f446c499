"""Documents are matched right before their deciding step, so that no hold is decided by figures out of date."""

from __future__ import annotations

from typing import Final

from django.db import connection
from django.utils import timezone

from counterfoil.matching.holding import AGREEMENT, INVOICE, PURCHASE_ORDER, VENDOR_BILL, Documents, refresh_holds
from counterfoil.matching.matching import match_lines, origins_of
from counterfoil.platform.anyof import AMONG, array_text
from counterfoil.platform.holds import inspector
from counterfoil.platform.lookup import is_there

_ORDERS_OF_BILLS: Final = """
    SELECT DISTINCT l.purchase_order_id FROM procurement_vendorbillline b
    JOIN procurement_purchaseorderline l ON l.id = b.purchase_order_line_id WHERE b.bill_id = ANY(%s)
"""
_CHANGED: Final = f"""
    SELECT DISTINCT a.origin_id FROM agreements_addition a
    JOIN agreements_agreement g ON g.id = a.agreement_id
    JOIN matching_threadtomatch t ON t.origin_id = a.origin_id
    WHERE g.id = {AMONG} OR g.parent_id = {AMONG}
"""  # noqa: S608 - our own


@inspector(PURCHASE_ORDER)
def look_at_purchase_orders(ids: list[int]) -> None:
    """Before one is sent."""
    origins = origins_of(PURCHASE_ORDER, ids)
    match_lines(origin_ids=origins, purchase_order_ids=ids, now=timezone.now(), always_hold=True)


@inspector(VENDOR_BILL)
def look_at_vendor_bills(ids: list[int]) -> None:
    """Before one is paid."""
    origins, orders = origins_of(VENDOR_BILL, ids), _ids(_ORDERS_OF_BILLS, ids)
    match_lines(origin_ids=origins, purchase_order_ids=orders, now=timezone.now())
    refresh_holds(Documents(bills=set(ids)))


@inspector(INVOICE)
def look_at_invoices(ids: list[int]) -> None:
    """Before one is closed."""
    match_lines(origin_ids=origins_of(INVOICE, ids), now=timezone.now())
    refresh_holds(Documents(invoices=set(ids)))


@inspector(AGREEMENT)
def look_at_agreements(ids: list[int]) -> None:
    """Before they are billed: there may be thousands, so only those that have changed since they were matched."""
    if not is_there("SELECT 1 FROM matching_threadtomatch"):
        return
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, {"of": array_text(ids)})
        changed = [row[0] for row in cursor.fetchall()]
    if changed:
        match_lines(origin_ids=changed, now=timezone.now())


def _ids(sql: str, ids: list[int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [array_text(ids)])
        return [row[0] for row in cursor.fetchall()]
