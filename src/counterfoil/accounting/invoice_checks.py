"""Verification of invoices: their sums, what is open of them, and what was billed ahead."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from django.db.models import F, Sum
from django.db.models.functions import Coalesce

from counterfoil.accounting.checks import Check, compare, no_faults
from counterfoil.agreements.models import Agreement
from counterfoil.billing.models import (
    CreditApplication,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    InvoiceTax,
    InvoiceType,
    Payment,
    PaymentApplication,
)
from counterfoil.core.money import ZERO, format_money


def invoices_add_up() -> Check:
    """Lines and taxes of each invoice add up to its subtotal, tax, cost and total."""
    lines: dict[int, tuple[Decimal, ...]] = {
        pk: tuple(sums)
        for pk, *sums in InvoiceLine.objects.values_list("invoice")
        .annotate(a=Sum("amount"), t=Sum("tax_amount"), c=Sum("cost"))
        .order_by()
    }
    taxes = dict(InvoiceTax.objects.values_list("invoice").annotate(total=Sum("amount")).order_by())

    def faults() -> Iterator[str]:
        for invoice in Invoice.objects.order_by("id"):
            amount, tax_of_lines, cost = lines.get(invoice.pk, (ZERO, ZERO, ZERO))
            tax = taxes.get(invoice.pk, ZERO)
            for what, held, due in (
                ("subtotal", invoice.subtotal, amount),
                ("tax", invoice.tax_total, tax),
                ("tax shared out to its lines", tax_of_lines, tax),
                ("cost", invoice.cost_total, cost),
                ("total", invoice.total, amount + tax),
            ):
                if held != due:
                    yield f"Invoice {invoice}: {what} is {format_money(held)}, its parts give {format_money(due)}"

    return no_faults("invoices", "Invoices add up", Invoice.objects.count(), faults())


def payments_are_applied() -> Check:
    """No payment settles more than came in."""
    paid = Payment.objects.annotate(applied=Coalesce(Sum("applications__amount"), ZERO))
    faults = (
        f"{payment}: {format_money(payment.amount)} came in, it settles {format_money(payment.applied)}"
        for payment in paid.filter(applied__gt=F("amount")).order_by("id")
    )
    return no_faults("applications", "Payments settle no more than came in", Payment.objects.count(), faults)


def balances_tie() -> Check:
    """What is open of each closed invoice and credit memo: its total less payments and credits."""
    due: dict[int, Decimal] = dict(Invoice.objects.filter(status=InvoiceStatus.CLOSED).values_list("pk", "total"))
    held = dict(Invoice.objects.filter(status=InvoiceStatus.CLOSED).values_list("pk", "balance"))
    for rows, sign in (
        (PaymentApplication.objects.filter(payment__reversal=None).values_list("invoice"), -1),
        (CreditApplication.objects.values_list("invoice"), -1),
        (CreditApplication.objects.values_list("credit_memo"), 1),
    ):
        for pk, amount in rows.annotate(total=Sum("amount")).order_by():
            due[pk] = due.get(pk, ZERO) + sign * amount
    return compare(
        "balances",
        "Balances of invoices: totals less payments and credits",
        due,
        held,
        lambda pk: f"Invoice {Invoice.objects.get(pk=pk)}",
    )


def deferred_revenue_is_not_overdrawn() -> Check:
    """Of no agreement is more earned than was billed ahead; of no down payment more used or given back than paid."""
    lines = InvoiceLine.objects.filter(invoice__status=InvoiceStatus.CLOSED).order_by()
    billed = lines.filter(deferred=True, agreement__isnull=False, down_payment=None, period_start__isnull=False)
    ahead = dict(billed.values_list("agreement").annotate(s=Sum("amount")))
    earned = dict(lines.exclude(released_amount=0).values_list("agreement").annotate(s=Sum("released_amount")))
    paid = dict(
        lines.filter(deferred=True, invoice__type=InvoiceType.DOWN_PAYMENT)
        .values_list("invoice")
        .annotate(s=Sum("amount"))
    )
    used = dict(lines.filter(down_payment__isnull=False).values_list("down_payment").annotate(s=-Sum("amount")))
    credited = lines.filter(down_payment=None, credited_line__invoice__type=InvoiceType.DOWN_PAYMENT)
    for pk, amount in credited.values_list("credited_line__invoice").annotate(s=-Sum("amount")):
        used[pk] = used.get(pk, ZERO) + amount

    def faults() -> Iterator[str]:
        for pk, amount in earned.items():
            if amount > ahead.get(pk, ZERO):
                agreement = Agreement.objects.filter(pk=pk).first() or "none"
                behind = format_money(ahead.get(pk, ZERO))
                yield f"Agreement {agreement}: {format_money(amount)} earned, {behind} billed ahead"
        for pk, amount in sorted(used.items()):
            if amount > paid.get(pk, ZERO):
                yield f"Down payment {Invoice.objects.get(pk=pk)}: {format_money(amount)} used of it or given back"

    return no_faults("deferred", "No more is earned than was billed ahead", len(ahead) + len(paid), faults())
