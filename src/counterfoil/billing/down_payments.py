"""Down payments: what is left of them, and applying them to invoices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Max, Sum

from counterfoil.billing.drafts import (
    amounts,
    draft_of,
)
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceType
from counterfoil.billing.taxing import reckon
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, format_money, sum_money
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked

FINANCE = (Role.FINANCE,)
NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class DownPaymentRow:
    """A down payment with what of it has not been applied or credited, before tax."""

    invoice: Invoice
    remaining: Decimal

    @property
    def used(self) -> Decimal:
        """What has been applied or credited, drafts included."""
        return sum_money([self.invoice.subtotal, -self.remaining])


def down_payments(
    *, company_id: int | None = None, for_invoice_id: int | None = None, open_only: bool = True
) -> list[DownPaymentRow]:
    """Closed down payments with what is left of them, the oldest first.

    Args:
        company_id: of this bill-to.
        for_invoice_id: those that can be applied to this draft.
        open_only: only those of which something is left.
    """
    found = Invoice.objects.filter(type=InvoiceType.DOWN_PAYMENT, status=InvoiceStatus.CLOSED)
    found = found.select_related("company", "bill_to", "agreement", "sales_order").order_by("date", "id")
    if company_id is not None:
        found = found.filter(bill_to=company_id)
    target = None
    if for_invoice_id is not None:
        target = Invoice.objects.filter(pk=for_invoice_id).first()
        found = found.filter(bill_to=target.bill_to_id) if target else found.none()
    rows = list(found)
    left = remaining_of(rows)
    return [
        DownPaymentRow(row, sum_money(left[row.pk].values()))
        for row in rows
        if (not open_only or any(left[row.pk].values())) and (target is None or not refusal(row, target))
    ]


def remaining_of(invoices: Iterable[Invoice]) -> dict[int, dict[int, Decimal]]:
    """What is left of each line of down payments: billed, less applied and credited; by invoice, then line."""
    rows = InvoiceLine.objects.filter(invoice__in=[row.pk for row in invoices]).order_by("invoice_id", "position")
    left: dict[int, dict[int, Decimal]] = {}
    for pk, invoice_id, amount in rows.values_list("pk", "invoice_id", "amount"):
        left.setdefault(invoice_id, {})[pk] = amount
    credited = InvoiceLine.objects.filter(credited_line__invoice__in=left, down_payment__isnull=True).order_by()
    for invoice_id, pk, amount in credited.values_list("credited_line__invoice", "credited_line").annotate(
        total=Sum("amount")
    ):
        left[invoice_id][pk] = sum_money([left[invoice_id][pk], amount])
    applied = InvoiceLine.objects.filter(down_payment__in=left).order_by()
    for invoice_id, total in applied.values_list("down_payment").annotate(total=Sum("amount")):
        parts = left[invoice_id]
        for pk, taken in zip(parts, allocate(-total, list(parts.values())), strict=True) if total else ():
            parts[pk] = sum_money([parts[pk], -taken])
    return left


def refusal(down_payment: Invoice, invoice: Invoice) -> str:
    """Why a down payment is not for that invoice; empty when it is.

    What is for a sales order or an agreement is also for what was sold with it, on the same opportunity.
    """
    if down_payment.bill_to_id != invoice.bill_to_id:
        return f"{down_payment} was not billed to {invoice.bill_to_name}."
    if not down_payment.ticket and _deal_of(down_payment) in _deals_of(invoice):
        return ""
    if (agreement := down_payment.agreement) is not None and invoice.agreement_id != agreement.pk:
        lines = invoice.lines.filter(agreement=agreement)
        if not lines.exists():
            return f"{down_payment} is for {agreement} alone."
    if down_payment.sales_order_id is not None and invoice.sales_order_id != down_payment.sales_order_id:
        return f"{down_payment} is for {down_payment.sales_order} alone."
    if down_payment.ticket and not (
        invoice.ticket == down_payment.ticket or invoice.lines.filter(charge__ticket=down_payment.ticket).exists()
    ):
        return f"{down_payment} is for ticket {down_payment.ticket} alone."
    return ""


def _deal_of(down_payment: Invoice) -> int:
    """The opportunity of what it is for; 0 without one."""
    source = down_payment.sales_order or down_payment.agreement
    return (source.opportunity_id or 0) if source is not None else 0


def _deals_of(invoice: Invoice) -> set[int]:
    """The opportunities an invoice bills something of."""
    sources = (invoice.sales_order, invoice.agreement)
    deals = {source.opportunity_id for source in sources if source is not None and source.opportunity_id is not None}
    children = invoice.lines.filter(agreement__parent__isnull=False, agreement__opportunity__isnull=False)
    return deals | set(children.values_list("agreement__opportunity", flat=True))


@command(roles=FINANCE)
def apply_down_payment(
    *, actor: Actor, invoice_id: int, down_payment_id: int, amount: Decimal | None = None
) -> Invoice:
    """Take a down payment into account on a draft: a line below zero for each way it was taxed.

    What was taxed as a down payment takes that tax off again, so that no tax is charged twice; what was not leaves the
    tax of the invoice as it is.

    Args:
        actor: who applies it.
        invoice_id: the draft.
        down_payment_id: a closed down payment of the same bill-to.
        amount: before tax; as much as is left and the draft comes to when it is not given.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a down payment that is not closed or nothing is left of, or a
            draft that takes none; ``invalid`` for more than is left or than the draft comes to.
    """
    down_payment = Invoice(pk=down_payment_id)
    return apply_to_draft(actor, draft_of(invoice_id), down_payment, amount)


def apply_to_draft(actor: Actor, invoice: Invoice, down_payment: Invoice, amount: Decimal | None = None) -> Invoice:
    """As :func:`apply_down_payment`, to a draft that is held, within another command."""
    down_payment = locked(
        Invoice.objects.select_related("agreement", "sales_order"), down_payment.pk, "down_payment_id"
    )
    _check_applicable(invoice, down_payment)
    left = remaining_of([down_payment]).get(down_payment.pk, {})
    remaining, most = sum_money(left.values()), max(invoice.subtotal, ZERO)
    amount = min(remaining, most) if amount is None else amount
    if not remaining:
        raise DomainError("wrong_state", f"Nothing is left of {down_payment}.", field="down_payment_id")
    check_amount(amount, "amount")
    if amount > remaining:
        raise DomainError("invalid", f"{format_money(remaining)} is left of {down_payment}.", field="amount")
    if amount > most:
        raise DomainError("invalid", f"{invoice} comes to {format_money(most)} before tax.", field="amount")
    _add_applied(invoice, down_payment, left, amount)
    reckon(invoice)
    text = f"applied {format_money(amount)} of down payment {down_payment} to {invoice}: {amounts(invoice)}"
    audit.record(actor, "billing.down_payment.applied", text, invoice, down_payment=down_payment.number)
    return invoice


def _check_applicable(invoice: Invoice, down_payment: Invoice) -> None:
    if invoice.type in (InvoiceType.DOWN_PAYMENT, InvoiceType.CREDIT_MEMO):
        raise DomainError("wrong_state", "A down payment is applied to an invoice, not to another special one.")
    if down_payment.type != InvoiceType.DOWN_PAYMENT or down_payment.status != InvoiceStatus.CLOSED:
        raise DomainError("wrong_state", f"{down_payment} is not a closed down payment.", field="down_payment_id")
    if reason := refusal(down_payment, invoice):
        raise DomainError("invalid", reason, field="down_payment_id")


def _add_applied(invoice: Invoice, down_payment: Invoice, left: dict[int, Decimal], amount: Decimal) -> None:
    """Lines below zero that together are ``amount``, each taxed as the lines of the down payment that it stands for."""
    sources = {line.pk: line for line in down_payment.lines.all() if left.get(line.pk)}
    taxed = down_payment.tax_total != 0
    parts: dict[tuple[str, int | None, bool], Decimal] = {}
    for line, part in zip(sources.values(), allocate(amount, [left[pk] for pk in sources]), strict=True):
        key = (line.kind, line.product_id, line.taxable and taxed)
        parts[key] = sum_money([parts.get(key, ZERO), part])
    position = invoice.lines.aggregate(last=Max("position"))["last"] or 0
    InvoiceLine.objects.bulk_create(
        InvoiceLine(
            invoice=invoice,
            position=position + index,
            kind=kind,
            product_id=product_id,
            description=f"Down payment {down_payment.number} of {format_date(down_payment.date)}",
            quantity=Decimal(-1),
            unit_price=part,
            amount=-part,
            taxable=taxable and not invoice.bill_to.is_internal,
            deferred=True,
            agreement_id=down_payment.agreement_id,
            down_payment=down_payment,
            explanation=f"{format_money(part)} of {format_money(down_payment.subtotal)}"
            + (", with the tax that was charged on it" if taxable else ", on which no tax was charged"),
        )
        for index, ((kind, product_id, taxable), part) in enumerate(parts.items(), start=1)
        if part
    )
