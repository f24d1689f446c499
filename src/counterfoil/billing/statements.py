"""A customer's account: statements with a running balance, and the remaining balance of one-time blocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from django.db.models import QuerySet, Sum

from counterfoil.agreements.models import Agreement
from counterfoil.billing.models import Invoice, InvoiceStatus, Payment, PaymentReversal
from counterfoil.billing.queries import ReceivableRow, receivables
from counterfoil.companies.models import Company
from counterfoil.core.coverage import pool_label
from counterfoil.core.money import ZERO, sum_money
from counterfoil.platform.lookup import existing
from counterfoil.usage import allocating
from counterfoil.usage.models import Allocation

Day = date
EntryKind = Literal["invoice", "credit_memo", "payment", "payment_reversal"]


@dataclass(frozen=True, slots=True)
class StatementEntry:
    """What moved a customer's account on a day. ``amount`` is above zero for what they owe, below for what they paid.

    ``record_id`` is that of the invoice, or of the payment; ``balance`` is what the account comes to after it.
    """

    date: date
    kind: EntryKind
    number: str
    reference: str
    amount: Decimal
    balance: Decimal
    record_id: int
    due_date: Day | None = None

    @property
    def charge(self) -> Decimal:
        """What was charged; zero for what was given."""
        return max(self.amount, ZERO)

    @property
    def credit(self) -> Decimal:
        """What was paid or credited; zero for what was charged."""
        return max(-self.amount, ZERO)


@dataclass(frozen=True, slots=True)
class Statement:
    """A bill-to's account from ``since`` to ``until`` (both inclusive), and what it owes then by age."""

    company: Company
    since: date
    until: date
    opening: Decimal
    entries: tuple[StatementEntry, ...]
    ages: ReceivableRow

    @property
    def closing(self) -> Decimal:
        """What the account comes to at the end of ``until``."""
        return self.entries[-1].balance if self.entries else self.opening


def statement(*, company_id: int, since: date, until: date) -> Statement:
    """The account of a bill-to: invoices, credit memos and payments by date, with a running balance.

    Args:
        company_id: the bill-to.
        since: first day.
        until: last day.

    Raises:
        DomainError: ``not_found``.
    """
    company = existing(Company.objects.select_related("terms"), company_id, "company_id")
    opening = sum_money(_moved(rows, before=since) for rows in _sources(company))
    balance = opening
    entries = []
    for day, kind, number, reference, amount, pk, due in _entries(company, since, until):
        balance = sum_money([balance, amount])
        entries.append(StatementEntry(day, kind, number, reference, amount, balance, pk, due))
    empty = ReceivableRow(company.pk, company.name, ZERO, ZERO, ZERO, ZERO, ZERO)
    ages = next(iter(receivables(as_of=until, company_id=company.pk)), empty)
    return Statement(company, since, until, opening, tuple(entries), ages)


def _sources(company: Company) -> tuple[tuple[QuerySet[Any], str, int], ...]:
    """What moves the account: rows, the name of the amount, and its sign."""
    return (
        (Invoice.objects.filter(bill_to=company, status=InvoiceStatus.CLOSED), "total", 1),
        (Payment.objects.filter(company=company), "amount", -1),
        (PaymentReversal.objects.filter(payment__company=company), "payment__amount", 1),
    )


def _moved(source: tuple[QuerySet[Any], str, int], *, before: date) -> Decimal:
    rows, amount, sign = source
    return sign * (rows.filter(date__lt=before).order_by().aggregate(total=Sum(amount))["total"] or ZERO)


_Row = tuple[date, EntryKind, str, str, Decimal, int, date | None]


def _entries(company: Company, since: date, until: date) -> list[_Row]:
    invoices, payments, reversals = (rows.filter(date__range=(since, until)) for rows, _, _ in _sources(company))
    found: list[_Row] = []
    for invoice in invoices.select_related("agreement", "sales_order"):
        kind: EntryKind = "credit_memo" if invoice.is_credit_memo else "invoice"
        about = invoice.customer_po or str(invoice.agreement or invoice.sales_order or "")
        due = None if invoice.is_credit_memo else invoice.due_date
        found.append((invoice.date, kind, invoice.number, about, invoice.total, invoice.pk, due))
    for row in payments:
        found.append((row.date, "payment", row.number, row.reference, -row.amount, row.pk, None))
    for row in reversals.select_related("payment"):
        number, amount = row.payment.number, row.payment.amount
        found.append((row.date, "payment_reversal", number, row.reason, amount, row.payment_id, None))
    order = ("invoice", "credit_memo", "payment", "payment_reversal")
    return sorted(found, key=lambda entry: (entry[0], order.index(entry[1]), entry[5]))


@dataclass(frozen=True, slots=True)
class BlockRow:
    """What is left of a one-time block at the date of an invoice (WE-1), in the agreement's units."""

    agreement_id: int
    agreement: str
    label: str
    application_units: str
    granted: Decimal
    used: Decimal

    @property
    def remaining(self) -> Decimal:
        """What can still be used."""
        return self.granted - self.used


def blocks_of_invoice(invoice_id: int) -> list[BlockRow]:
    """What is left of the one-time blocks that an invoice bills or draws on: what is billed and dated by then (WE-1).

    Work dated after the invoice, and work that is not billed, does not count.
    """
    invoice = existing(Invoice.objects.all(), invoice_id)
    lines = invoice.lines.filter(agreement__isnull=False).values_list("agreement", flat=True)
    named = {pk for pk in (invoice.agreement_id, *lines) if pk is not None}
    blocks = Agreement.objects.filter(pk__in=named, application_one_time=True, application_unlimited=False).exclude(
        application_limit=None
    )
    found = []
    for pk, outcome in allocating.decide(blocks, through=invoice.date).items():
        pools = outcome.coverage.pools
        if not pools:
            continue
        drawn = Allocation.objects.filter(agreement=pk, charge__billed=True, charge__date__lte=invoice.date)
        used = drawn.aggregate(total=Sum("drawn"))["total"] or Decimal(0)
        granted = pools[0].starting + sum_money(row.amount for row in _adjusted(outcome.agreement, invoice.date))
        found.append(
            BlockRow(
                pk,
                outcome.agreement.number,
                pool_label(pools[0].period),
                outcome.agreement.application_units,
                granted,
                used,
            )
        )
    return sorted(found, key=lambda row: row.agreement)


def _adjusted(agreement: Agreement, through: date) -> QuerySet[Any]:
    return agreement.adjustments.filter(date__lte=through)
