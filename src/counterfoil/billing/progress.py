"""Progress invoices: parts of a sales order's services and fixed fees, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from django.db.models import Q, QuerySet

from counterfoil.billing.deposits import take_deposits_off
from counterfoil.billing.drafts import (
    amounts,
    attention_of,
    check_billable,
    set_bill_to,
    set_terms,
    tax_code_of,
    terms_for,
    write_draft,
)
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceType, LineKind
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
    take_deposits_off(actor, [invoice])
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
