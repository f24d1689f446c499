"""Down payments: what is left of them, and applying them to invoices. Progress invoices of a sales order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from django.db.models import Max, Q, QuerySet, Sum

from counterfoil.billing.drafts import (
    amounts,
    attention_of,
    check_billable,
    draft_of,
    set_bill_to,
    set_terms,
    tax_code_of,
    terms_for,
    write_draft,
)
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceType, LineKind
from counterfoil.billing.taxing import reckon
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, extend, format_money, round_money, round_to, sum_money
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked, locked_all
from counterfoil.platform.records import plain_number as plain

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
        if (not open_only or any(left[row.pk].values())) and (target is None or not _refusal(row, target))
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


def _refusal(down_payment: Invoice, invoice: Invoice) -> str:
    """Why a down payment is not for that invoice; empty when it is."""
    if down_payment.bill_to_id != invoice.bill_to_id:
        return f"{down_payment} was not billed to {invoice.bill_to_name}."
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
    invoice = draft_of(invoice_id)
    down_payment = locked(
        Invoice.objects.select_related("agreement", "sales_order"), down_payment_id, "down_payment_id"
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
    if refusal := _refusal(down_payment, invoice):
        raise DomainError("invalid", refusal, field="down_payment_id")


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


# -- progress ----------------------------------------------------------------------------------------------------------


@command(roles=FINANCE)
def invoice_progress(
    *,
    actor: Actor,
    order_id: int,
    on: date,
    percent: Decimal | None = None,
    amount: Decimal | None = None,
    line_ids: Sequence[int] | None = None,
) -> Invoice:
    """Draft a progress invoice: a part of a sales order's services and fixed fees. Later invoices bill the rest.

    Args:
        actor: who invoices.
        order_id: the sales order.
        on: the invoice date.
        percent: of what was ordered, 0 to 100; or
        amount: so much before tax, shared out to the lines by what is left of them.
        line_ids: only these lines of the order; all that are not kept in stock when they are not given.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a cancelled order; ``invalid`` unless exactly one of percent
            and amount is given, or for more than is left; ``already_invoiced`` when nothing is left.
    """
    orders = SalesOrder.objects.select_related(
        "company__tax_code", "bill_to__terms", "bill_to__tax_code", "site__tax_code", "terms", "tax_code"
    )
    order = locked(orders, order_id)
    if order.status == SalesOrderStatus.CANCELLED:
        raise DomainError("wrong_state", f"{order} is cancelled; nothing can be invoiced.")
    if (percent is None) == (amount is None):
        raise DomainError("invalid", "Give either a percentage or an amount.", field="amount")
    check_billable(order.bill_to)
    wanted = Q() if line_ids is None else Q(pk__in=line_ids)
    ids = set(order.lines.filter(wanted).values_list("pk", flat=True))
    ordered = sorted(locked_all(SalesOrderLine.objects.select_related("product"), ids).values(), key=_position)
    services = [line for line in ordered if not line.product.is_stocked]
    rest = unbilled_of(services)
    if not any(rest[line.pk].amount > 0 for line in services):
        raise DomainError("already_invoiced", f"No service or fixed fee of {order} is left to invoice.")
    parts = _by_percent(services, rest, percent) if percent is not None else _by_amount(services, rest, amount)
    invoice = Invoice(
        type=InvoiceType.PROGRESS,
        company=order.company,
        date=on,
        sales_order=order,
        site=order.site,
        customer_po=order.customer_po,
        tax_code=tax_code_of(order.tax_code, order.site, order.company),
    )
    set_bill_to(invoice, order.bill_to)
    invoice.attention = attention_of(order.bill_to)
    set_terms(invoice, terms_for(bill_to=order.bill_to, chosen=order.terms))
    write_draft(invoice, [_progress_line(line, rest[line.pk], parts[line.pk]) for line in services if parts[line.pk]])
    text = f"drafted a progress invoice of {order}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.drafted", text, invoice, order=order.number)
    return invoice


def _position(line: SalesOrderLine) -> int:
    return line.position


@dataclass(frozen=True, slots=True)
class Unbilled:
    """What of a sales order line that is not kept in stock has not been invoiced (drafts count as invoiced)."""

    quantity: Decimal
    amount: Decimal


def unbilled_of(lines: Iterable[SalesOrderLine]) -> dict[int, Unbilled]:
    """What is left to invoice of each line, by its id: parts billed by progress leave exactly the rest.

    What a progress invoice billed counts with its amount; what others billed with the price it was ordered at, so that
    a price changed on one invoice is not made up for by the next.
    """
    rows = list(lines)
    billed: dict[int | None, list[tuple[Decimal, Decimal, str]]] = {}
    found = InvoiceLine.objects.filter(order_line__in=[row.pk for row in rows])
    for pk, quantity, amount, type in _billed(found):
        billed.setdefault(pk, []).append((quantity, amount, type))
    left = {}
    for row in rows:
        parts = billed.get(row.pk, [])
        done = sum_money(a if type == InvoiceType.PROGRESS else extend(q, row.unit_price) for q, a, type in parts)
        left[row.pk] = Unbilled(
            row.quantity - sum_money(q for q, _, _ in parts), sum_money([extend(row.quantity, row.unit_price), -done])
        )
    return left


def _billed(found: QuerySet[InvoiceLine]) -> Iterable[tuple[int | None, Decimal, Decimal, str]]:
    """Lines of invoices and of what reversed them, with the type of the invoice."""
    rows = found.order_by().values_list("order_line", "quantity", "amount", "invoice__type", "invoice__credits__type")
    return ((pk, quantity, amount, credited or type) for pk, quantity, amount, type, credited in rows)


def _by_percent(lines: Sequence[SalesOrderLine], rest: dict[int, Unbilled], percent: Decimal) -> dict[int, Decimal]:
    if not 0 < percent <= 100:
        raise DomainError("invalid", "A percentage lies between 0 and 100.", field="percent")
    parts = {
        line.pk: round_money(Fraction(extend(line.quantity, line.unit_price)) * Fraction(percent) / 100)
        for line in lines
    }
    for line in lines:
        # The last part may have to give up the cents that rounding the others has taken.
        if parts[line.pk] > rest[line.pk].amount + Decimal("0.05"):
            raise DomainError(
                "invalid",
                f"{plain(percent)} % of “{line.description}” is more than the"
                f" {format_money(rest[line.pk].amount)} that is left.",
                field="percent",
            )
        parts[line.pk] = min(parts[line.pk], rest[line.pk].amount)
    return parts


def _by_amount(
    lines: Sequence[SalesOrderLine], rest: dict[int, Unbilled], amount: Decimal | None
) -> dict[int, Decimal]:
    assert amount is not None  # percent or amount
    check_amount(amount, "amount")
    left = [max(rest[line.pk].amount, ZERO) for line in lines]
    if amount > sum_money(left):
        raise DomainError("invalid", f"{format_money(sum_money(left))} is left to invoice.", field="amount")
    return {line.pk: part for line, part in zip(lines, allocate(amount, left), strict=True)}


def _progress_line(line: SalesOrderLine, rest: Unbilled, amount: Decimal) -> InvoiceLine:
    """A part of an order line as a part of its quantity; the last part takes what is left of it."""
    full = extend(line.quantity, line.unit_price)
    quantity = rest.quantity
    if amount != rest.amount:
        quantity = min(round_to(Fraction(line.quantity) * Fraction(amount) / Fraction(full), 6), rest.quantity)
    share = round_to(Fraction(amount) * 100 / Fraction(full), 2)
    return InvoiceLine(
        kind=LineKind.SERVICE,
        product=line.product,
        description=line.description,
        quantity=quantity,
        unit_price=line.unit_price,
        amount=amount,
        cost=extend(quantity, line.unit_cost),
        taxable=line.taxable,
        explanation=f"{plain(share)} % of {format_money(full)}; {format_money(rest.amount - amount)} is left"[:300],
        order_line=line,
        origin_id=line.origin_id,
    )
