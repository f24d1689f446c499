"""What a customer has paid down on a deal is taken off its invoices as they are drafted.

A deposit that was accepted with a quote is a down payment for its sales order, or for its agreement. Once it is paid,
the next drafts of what was sold with it take it off, the oldest first, until nothing is left of it: invoices of the
order and of the agreements of one opportunity alike. What is not paid yet is offered on the draft, not taken off by
itself. A line that took a deposit off can be removed from a draft; what is left can be applied elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q, QuerySet, Value

from counterfoil.agreements.models import Agreement
from counterfoil.billing.down_payments import DownPaymentRow, apply_to_draft, refusal, remaining_of
from counterfoil.billing.drafts import draft_of
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceType
from counterfoil.core.money import sum_money
from counterfoil.orders.models import SalesOrder
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import is_there

#: What takes a deposit off by itself.
_TAKING = (InvoiceType.STANDARD, InvoiceType.AGREEMENT, InvoiceType.PROGRESS)


def take_deposits_off(actor: Actor, invoices: Iterable[Invoice]) -> list[Invoice]:
    """Apply what is paid down on their deals to new drafts; those that took something, with their new totals.

    Args:
        actor: who drafted them.
        invoices: drafts, in the order in which they take.
    """
    drafts = [draft for draft in invoices if draft.type in _TAKING and draft.subtotal > 0]
    if not drafts:
        return []
    paid = list(_paid({draft.bill_to_id for draft in drafts}))
    if not paid:
        return []
    changed = []
    for draft in drafts:
        for row in rows_of(deposit for deposit in paid if not refusal(deposit, draft)):
            if row.remaining > 0 and draft.subtotal > 0:
                apply_to_draft(actor, draft, row.invoice)
                changed.append(draft)
    return list({draft.pk: draft for draft in changed}.values())


@command(roles=(Role.FINANCE,))
def take_deposits_off_drafts(*, actor: Actor, invoice_ids: Sequence[int]) -> list[Invoice]:
    """Take off drafts what is paid down on their deals, in the order they were made; those that took something.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for an invoice that is closed.
    """
    changed = take_deposits_off(actor, [draft_of(pk) for pk in sorted(set(invoice_ids))])
    text = f"took deposits off {len(changed)} of {len(set(invoice_ids))} drafts"
    audit.record(actor, "billing.deposits.taken_off", text, invoices=[draft.pk for draft in changed])
    return changed


def _paid(bill_to_ids: Iterable[int] | None = None) -> QuerySet[Invoice]:
    """Down payments for something named that were paid in full, the oldest first; of some bill-tos, or of all."""
    named = Q(sales_order__isnull=False) | Q(agreement__isnull=False)
    rows = Invoice.objects.filter(
        named, type=InvoiceType.DOWN_PAYMENT, status=InvoiceStatus.CLOSED, balance=0, subtotal__gt=0, reversed_by=None
    )
    if bill_to_ids is not None:
        rows = rows.filter(bill_to__in=list(bill_to_ids))
    return rows.select_related("agreement", "sales_order").order_by("date", "id")


def rows_of(invoices: Iterable[Invoice]) -> list[DownPaymentRow]:
    """Down payments with what is left of each."""
    found = list(invoices)
    left = remaining_of(found) if found else {}
    return [DownPaymentRow(row, sum_money(left.get(row.pk, {}).values())) for row in found]


def agreements_with_deposits(agreement_ids: Sequence[int]) -> list[int]:
    """Those of the agreements whose next invoice takes a paid deposit off, in order; few statements for any number."""
    if not is_there("SELECT 1 FROM billing_invoice WHERE type = 'down_payment'"):
        return []
    open_rows = [row.invoice for row in rows_of(_paid()) if row.remaining > 0]
    if not open_rows:
        return []
    bill_tos = {row.bill_to_id for row in open_rows}
    deals = {opportunity for row in open_rows if (opportunity := opportunity_of(row)) is not None}
    own = {row.agreement_id for row in open_rows if row.agreement_id is not None}
    taking = Q(pk__in=own) | Q(children__in=own) | Q(opportunity__in=deals) | Q(children__opportunity__in=deals)
    found = Agreement.objects.filter(taking, bill_to__in=bill_tos).values_list("pk", flat=True)
    return sorted(set(found) & set(agreement_ids))


def opportunity_of(invoice: Invoice) -> int | None:
    """The deal a down payment is for, by its sales order or its agreement."""
    source = invoice.sales_order or invoice.agreement
    return source.opportunity_id if source is not None else None


def deposits_of(*, order: SalesOrder | None = None, agreement: Agreement | None = None) -> list[DownPaymentRow]:
    """The down payments for a sales order or agreement, or its deal, drafts as well, with what is left of each."""
    source = order or agreement
    assert source is not None  # one of them is given
    orders = {order.pk} if order is not None else set()
    agreements = {agreement.pk} if agreement is not None else set()
    if source.opportunity_id is not None:  # looked up first: a condition on their deal would read all invoices
        for is_order, pk in _sold_on(source.opportunity_id):
            (orders if is_order else agreements).add(pk)
    mine = Q(sales_order__in=orders) | Q(agreement__in=agreements)
    rows = Invoice.objects.filter(mine, type=InvoiceType.DOWN_PAYMENT, reversed_by=None)
    return rows_of(rows.order_by("date", "id"))


def _sold_on(opportunity_id: int) -> Iterable[tuple[bool, int]]:
    """The sales orders and the agreements of a deal: whether it is an order, and its id."""
    orders = SalesOrder.objects.filter(opportunity=opportunity_id).order_by().annotate(is_order=Value(True))
    agreements = Agreement.objects.filter(opportunity=opportunity_id).order_by().annotate(is_order=Value(False))
    return orders.values_list("is_order", "pk").union(agreements.values_list("is_order", "pk"), all=True)


@dataclass(frozen=True, slots=True)
class Used:
    """What a down payment was used for: the lines that took it off, or credited it, or undid that; what is left."""

    lines: tuple[InvoiceLine, ...]
    remaining: Decimal


def used_on(down_payment: Invoice) -> Used:
    """Where a down payment was taken off or credited, the first first."""
    own = list(down_payment.lines.values_list("pk", flat=True))
    used = Q(down_payment=down_payment) | Q(credited_line__in=own)
    lines = InvoiceLine.objects.filter(used).select_related("invoice")
    (row,) = rows_of([down_payment])
    return Used(tuple(lines.order_by("invoice__date", "invoice_id", "position")), row.remaining)
