"""Looking at threads and purchase orders: what differs becomes exceptions, and holds by the rules.

Nothing here asks who may: commands do, and what runs by itself (the job, the inspectors of holds) calls it directly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q

from counterfoil.core.matching import (
    Difference,
    PurchaseLeg,
    QuoteThread,
    match_purchase,
    match_quote_thread,
)
from counterfoil.matching.exceptions import Finding, Settled, settle
from counterfoil.matching.holding import Documents, refresh_holds
from counterfoil.matching.loading import (
    Rules,
    Span,
    accepted_chunks,
    current_rules,
    load_purchases,
    load_threads,
    purchase_order_chunks,
)
from counterfoil.matching.models import MatchKind, ThreadToMatch
from counterfoil.matching.unquoted import unquoted_beside
from counterfoil.platform.anyof import array_text

#: So many threads are loaded and matched at a time, whatever their number: memory stays flat.
CHUNK: Final = 4000
#: So many are taken from the list of changed ones at a time, in a transaction of their own.
DRAINED_AT_ONCE: Final = 500

#: Leg that differs -> the column of an exception that names its line.
_LINE: Final = {
    "agreement": "addition_id",
    "order": "order_line_id",
    "purchase": "purchase_order_line_id",
    "bill": "bill_line_id",
    "invoice": "invoice_line_id",
}


@dataclass(slots=True)
class Matched:
    """How many threads and purchase order lines were looked at, and what became of their exceptions."""

    threads: int = 0
    purchase_lines: int = 0
    opened: int = 0
    changed: int = 0
    mended: int = 0

    def add(self, settled: Settled) -> frozenset[str]:
        """Count what was settled; the legs on which something was."""
        self.opened += settled.opened
        self.changed += settled.changed
        self.mended += settled.mended
        return frozenset(row.actual_leg for row in settled.rows)

    def include(self, part: Matched) -> None:
        """Count what was matched in part."""
        self.threads += part.threads
        self.purchase_lines += part.purchase_lines
        self.opened += part.opened
        self.changed += part.changed
        self.mended += part.mended


def match_lines(
    *,
    origin_ids: Sequence[int] = (),
    purchase_order_ids: Sequence[int] = (),
    now: datetime,
    rules: Rules | None = None,
    always_hold: bool = False,
) -> Matched:
    """Match the threads of quoted lines, and purchase orders with what arrived and is billed; some thousand at most.

    Args:
        origin_ids: the quoted lines; those that nobody has accepted have no thread.
        purchase_order_ids: the purchase orders.
        now: an aware instant; its day where the MSP is decides what is overdue.
        rules: as they were when a larger match began.
        always_hold: look at the holds even where no exception has changed.
    """
    rules = rules or current_rules()
    matched, documents = Matched(), Documents(purchase_orders=set(purchase_order_ids))
    quoted = _match_threads(origin_ids, rules, rules.day(now), matched, documents) if origin_ids else []
    bought = _match_orders(purchase_order_ids, rules, matched, documents) if purchase_order_ids else {}
    with transaction.atomic():
        unquoted, gone = unquoted_beside(documents)
        looked_at = Q(origin__any=list(origin_ids)) | Q(key__any=gone)
        legs = matched.add(settle(MatchKind.QUOTE, looked_at, [*quoted, *unquoted], now=now))
        if purchase_order_ids:
            of_orders = Q(purchase_order_line__any=list(bought))
            legs |= matched.add(settle(MatchKind.PURCHASE, of_orders, chain.from_iterable(bought.values()), now=now))
        if always_hold or legs:
            refresh_holds(documents if always_hold else documents.held_by(legs))
    return matched


# -- quote threads -----------------------------------------------------------------------------------------------------


def _match_threads(
    origin_ids: Sequence[int], rules: Rules, today: date, matched: Matched, documents: Documents
) -> list[Finding]:
    findings: list[Finding] = []
    tolerances, currency = rules.tolerances, rules.currency
    for thread in load_threads(origin_ids, rules):
        matched.threads += 1
        _documents_of(thread, documents)
        found = match_quote_thread(thread, tolerances, on=today, currency=currency)
        if found:
            findings += [_of_thread(thread, difference) for difference in found]
    return findings


def _documents_of(thread: QuoteThread, documents: Documents) -> None:
    if thread.changed:
        documents.agreements.add(thread.changed.agreement_id)
    for agreement in thread.agreements:
        documents.agreements.add(agreement.agreement_id)
    for order in thread.orders:
        documents.orders.add(order.order_id)
    for purchase in thread.purchases:
        documents.purchase_orders.add(purchase.purchase_order_id)
    for invoice in thread.invoices:
        documents.invoices.add(invoice.invoice_id)


def _of_thread(thread: QuoteThread, difference: Difference) -> Finding:
    quote, leg, line_id = thread.quote, difference.actual_leg, difference.line_id
    lines: dict[str, Any] = {_LINE[leg]: line_id} if line_id is not None and leg in _LINE else {}
    if leg == "invoice" and line_id is not None:
        lines["addition_id"] = next((line.addition_id for line in thread.invoices if line.id == line_id), None)
    vendor = next((line.vendor_id for line in thread.purchases if leg == "purchase" and line.id == line_id), None)
    return Finding(
        key=f"quote:{quote.id}:{difference.code}:{leg}:{line_id or 0}",
        **_words(difference),
        company_id=quote.company_id,
        vendor_id=vendor,
        product_id=quote.product_id,
        origin_id=quote.id,
        **lines,
    )


def _words(difference: Difference) -> dict[str, Any]:
    return {
        "code": difference.code,
        "expected_leg": difference.expected_leg,
        "actual_leg": difference.actual_leg,
        "expected": difference.expected,
        "actual": difference.actual,
        "message": difference.message,
        "what_to_do": difference.what_to_do,
        "monthly": difference.monthly,
        "over_term": difference.over_term,
    }


# -- purchase orders ---------------------------------------------------------------------------------------------------


def _match_orders(
    purchase_order_ids: Sequence[int], rules: Rules, matched: Matched, documents: Documents
) -> dict[int, list[Finding]]:
    """What is found of each line of purchase orders."""
    findings: dict[int, list[Finding]] = {}
    for thread in load_purchases(purchase_order_ids):
        matched.purchase_lines += 1
        documents.bills.update(bill.bill_id for bill in thread.bills)
        if thread.purchase is not None:
            found = match_purchase(thread, rules.tolerances)
            findings[thread.purchase.id] = [_of_purchase(thread.purchase, difference) for difference in found]
    return findings


def _of_purchase(line: PurchaseLeg, difference: Difference) -> Finding:
    return Finding(
        key=f"purchase:{line.id}:{difference.code}:{difference.actual_leg}:{difference.line_id or 0}",
        **_words(difference),
        company_id=line.company_id,
        vendor_id=line.vendor_id,
        product_id=line.product_id,
        purchase_order_line_id=line.id,
        bill_line_id=difference.line_id if difference.actual_leg == "bill" else None,
    )


# -- many --------------------------------------------------------------------------------------------------------------


def match_all(*, now: datetime, span: Span | None = None, chunk: int = CHUNK) -> Matched:
    """Match every thread and purchase order, or those of which something is dated in a span; each chunk on its own."""
    rules, total = current_rules(), Matched()
    for ids in accepted_chunks(chunk, span):
        total.include(match_lines(origin_ids=ids, now=now, rules=rules))
    for ids in purchase_order_chunks(chunk, span):
        total.include(match_lines(purchase_order_ids=ids, now=now, rules=rules))
    if total.opened > _MANY:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE matching_matchexception")
    return total


#: So many exceptions opened at once are told to the planner, which would find out a minute later: until then it takes
#: all that are open for one, and looks at each of them for every thread that is matched.
_MANY: Final = 100


def drain(*, now: datetime) -> Matched:
    """Match what has changed since it was matched, oldest first, until nothing is left.

    Several may do it at once: what one has taken the others pass over. What changes meanwhile is noted anew.
    """
    total = Matched()
    while True:
        with transaction.atomic():
            origins, orders = _take()
            if not origins and not orders:
                return total
            total.include(match_lines(origin_ids=origins, purchase_order_ids=orders, now=now))


_TAKE: Final = """
    DELETE FROM matching_threadtomatch WHERE id = ANY(ARRAY(
        SELECT id FROM matching_threadtomatch ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    )) RETURNING origin_id, purchase_order_id
"""


def _take() -> tuple[list[int], list[int]]:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [DRAINED_AT_ONCE])
        taken = cursor.fetchall()
    return sorted({o for o, _ in taken if o is not None}), sorted({p for _, p in taken if p is not None})


def forget_changes_of(*, origin_ids: Iterable[int] = (), purchase_order_ids: Iterable[int] = ()) -> None:
    """Take threads off the list that were matched just now, in this transaction."""
    wanted = Q(origin_id__any=list(origin_ids), purchase_order_id=None)
    wanted |= Q(purchase_order_id__any=list(purchase_order_ids), origin_id=None)
    ThreadToMatch.objects.filter(wanted).delete()


def origins_of(label: str, ids: Iterable[int]) -> list[int]:
    """The quoted lines behind documents: purchase orders, vendor bills, invoices, agreements, sales orders."""
    with connection.cursor() as cursor:
        cursor.execute(_ORIGINS[label], [array_text(ids)])
        return [row[0] for row in cursor.fetchall()]


_ORIGINS: Final = {
    "quotes.quote": """
        SELECT l.id FROM quotes_quoteline l JOIN quotes_quoteversion v ON v.id = l.version_id
        WHERE v.quote_id = ANY(%s) AND l.opportunity_id IS NOT NULL
    """,
    "procurement.purchaseorder": """
        SELECT DISTINCT origin_id FROM procurement_purchaseorderline
        WHERE purchase_order_id = ANY(%s) AND origin_id IS NOT NULL
    """,
    "procurement.vendorbill": """
        SELECT DISTINCT l.origin_id FROM procurement_vendorbillline b
        JOIN procurement_purchaseorderline l ON l.id = b.purchase_order_line_id
        WHERE b.bill_id = ANY(%s) AND l.origin_id IS NOT NULL
    """,
    "billing.invoice": """
        SELECT DISTINCT origin_id FROM billing_invoiceline WHERE invoice_id = ANY(%s) AND origin_id IS NOT NULL
    """,
    "agreements.agreement": """
        SELECT DISTINCT origin_id FROM agreements_addition WHERE agreement_id = ANY(%s) AND origin_id IS NOT NULL
    """,
    "orders.salesorder": """
        SELECT DISTINCT origin_id FROM orders_salesorderline WHERE order_id = ANY(%s) AND origin_id IS NOT NULL
    """,
}
