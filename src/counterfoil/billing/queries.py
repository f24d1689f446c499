"""Invoices with what is open on them, and what customers owe by age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from operator import add
from typing import Any, Final

from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from counterfoil.agreements.models import Agreement
from counterfoil.billing.models import (
    BillingSettings,
    CreditApplication,
    Delivery,
    DeliveryStatus,
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    InvoiceTax,
    Payment,
    PaymentApplication,
    PaymentReversal,
)
from counterfoil.billing.recurring import UnbilledPeriod, unbilled_periods
from counterfoil.companies.models import Company
from counterfoil.core.money import ZERO, sum_money
from counterfoil.ledger.models import JournalEntry
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.tax.models import TaxRemittance

__all__ = ["UnbilledPeriod", "unbilled_periods"]

NOTHING = Decimal(0)


def invoices(
    *,
    status: str | None = None,
    type: str | None = None,
    company_id: int | None = None,
    agreement_id: int | None = None,
    order_id: int | None = None,
    search: str = "",
) -> QuerySet[Invoice]:
    """Invoices, newest first. ``company_id`` finds those of the company and those billed to it."""
    found = Invoice.objects.select_related("company", "bill_to", "agreement", "sales_order")
    if status:
        found = found.filter(status=status)
    if type:
        found = found.filter(type=type)
    if company_id is not None:
        found = found.filter(Q(company=company_id) | Q(bill_to=company_id))
    if agreement_id is not None:
        found = found.filter(agreement=agreement_id)
    if order_id is not None:
        found = found.filter(sales_order=order_id)
    if wanted := search.strip():
        found = found.filter(_said(wanted))
    return found.order_by("-date", "-id")


def _said(wanted: str) -> Q:
    """What names those words. The names of others are looked up among them, not in every invoice."""
    companies = Company.objects.filter(name__icontains=wanted).values_list("pk", flat=True)
    agreements = Agreement.objects.filter(number__icontains=wanted).values_list("pk", flat=True)
    orders = SalesOrder.objects.filter(number__icontains=wanted).values_list("pk", flat=True)
    said = Q(number__icontains=wanted) | Q(bill_to_name__icontains=wanted) | Q(customer_po__icontains=wanted)
    for name, ids in (("company", companies), ("agreement", agreements), ("sales_order", orders)):
        if found := list(ids):
            said |= Q(**{f"{name}__in": found})
    return said


def lines_of_invoice(invoice_id: int) -> QuerySet[InvoiceLine]:
    """The lines of an invoice with what they bill."""
    return InvoiceLine.objects.filter(invoice=invoice_id).select_related(
        "product", "addition", "order_line__order", "origin__opportunity"
    )


def open_invoices(*, company_id: int | None = None, as_of: date | None = None) -> QuerySet[Invoice]:
    """Closed invoices and credit memos with something open, the one due first in front.

    Each has ``open_amount``: its balance, or what was open of it at the end of the day ``as_of``.
    """
    found = Invoice.objects.filter(status=InvoiceStatus.CLOSED).select_related(
        "company", "bill_to", "agreement", "sales_order"
    )
    if company_id is not None:
        found = found.filter(bill_to=company_id)
    since = _settled_since(as_of, company_id) if as_of is not None else ()
    if as_of is not None:
        found = found.filter(date__lte=as_of)
    if as_of is None or not since:
        return found.filter(~Q(balance=0)).annotate(open_amount=F("balance")).order_by("due_date", "id")
    # Most invoices are settled for good: only what is open now, or was settled since, is looked at.
    found = found.filter(~Q(balance=0) | Q(pk__in=since)).annotate(open_amount=_open_at(as_of))
    return found.exclude(open_amount=0).order_by("due_date", "id")


#: The day a payment settled an invoice.
_APPLIED: Final = Coalesce("date", "payment__date")


def _paid_since(as_of: date) -> QuerySet[PaymentApplication]:
    """What settles something now and did not at the end of a day; nothing is applied before it came in."""
    later = Q(payment__date__gt=as_of) | Q(date__gt=as_of)
    return PaymentApplication.objects.filter(later, payment__reversal=None)


def _taken_back_since(as_of: date) -> QuerySet[PaymentApplication]:
    """What settled something at the end of a day and was taken back since."""
    before = Q(date=None) | Q(date__lte=as_of)
    return PaymentApplication.objects.filter(before, payment__date__lte=as_of, payment__reversal__date__gt=as_of)


def _settled_since(as_of: date, company_id: int | None) -> list[int]:
    """The invoices whose balance has moved since the end of a day."""
    ids: set[int] = set()
    applications = PaymentApplication.objects.order_by()
    credits = CreditApplication.objects.filter(date__gt=as_of).order_by()
    if company_id is not None:
        applications = applications.filter(payment__company=company_id)
        credits = credits.filter(invoice__bill_to=company_id)
    # One statement for each index that finds them.
    for later in (Q(payment__date__gt=as_of), Q(date__gt=as_of), Q(payment__reversal__date__gt=as_of)):
        ids.update(applications.filter(later).values_list("invoice", flat=True))
    for pair in credits.values_list("invoice", "credit_memo"):
        ids.update(pair)
    return sorted(ids)


def _open_at(as_of: date) -> Any:
    """What was open of the invoice of the outer query: its balance, and what has been settled since."""
    paid = _paid_since(as_of).filter(invoice=OuterRef("pk"))
    back = _taken_back_since(as_of).filter(invoice=OuterRef("pk"))
    credited = CreditApplication.objects.filter(invoice=OuterRef("pk"), date__gt=as_of)
    used = CreditApplication.objects.filter(credit_memo=OuterRef("pk"), date__gt=as_of)
    return (
        F("balance")
        + _total(paid.order_by().values("invoice"))
        - _total(back.order_by().values("invoice"))
        + _total(credited.order_by().values("invoice"))
        - _total(used.order_by().values("credit_memo"))
    )


def _total(grouped: Any) -> Coalesce:
    return Coalesce(Subquery(grouped.annotate(total=Sum("amount")).values("total")), ZERO)


def balances_of_invoices(rows: Iterable[Invoice]) -> dict[int, Decimal]:
    """What is open of each invoice now, by its id."""
    ids = [row.pk for row in rows]
    return dict(Invoice.objects.filter(pk__in=ids).order_by().values_list("pk", "balance"))


def invoiced_of(lines: Iterable[SalesOrderLine]) -> dict[int, Decimal]:
    """How many of each sales order line are invoiced, drafts included, by its id."""
    ids = [line.pk for line in lines]
    sums = InvoiceLine.objects.filter(order_line__in=ids).order_by().values_list("order_line")
    found = dict(sums.annotate(total=Sum("quantity")))
    return {pk: found.get(pk, NOTHING) for pk in ids}


@dataclass(frozen=True, slots=True)
class ReceivableRow:
    """What a customer owes at a date, by days past due."""

    company_id: int
    customer: str
    current: Decimal
    days_30: Decimal
    days_60: Decimal
    days_90: Decimal
    older: Decimal

    @property
    def total(self) -> Decimal:
        """All that is open."""
        return sum_money([self.current, self.days_30, self.days_60, self.days_90, self.older])


def receivables(*, as_of: date, company_id: int | None = None) -> list[ReceivableRow]:
    """Accounts receivable by bill-to at the end of ``as_of``: not due, 1-30, 31-60, 61-90 and more days past due.

    What is left of payments counts as current, below zero.

    Args:
        as_of: the day.
        company_id: of one bill-to.
    """
    buckets: dict[tuple[int, str], list[Decimal]] = defaultdict(lambda: [ZERO] * 5)
    first, *others = _moved_by_age(as_of, company_id)
    for pk, name, *amounts in first.union(*others, all=True):
        row = buckets[pk, name]
        row[:] = map(add, row, amounts)
    for payment in unapplied_payments(as_of=as_of, company_id=company_id):
        buckets[payment.company_id, payment.customer][0] -= payment.left
    owed = [ReceivableRow(pk, name, *amounts) for (pk, name), amounts in buckets.items() if any(amounts)]
    return sorted(owed, key=lambda row: row.customer)


def _moved_by_age(as_of: date, company_id: int | None) -> Iterable[QuerySet[Any]]:
    """What is open now of the invoices of that day, by bill-to and age; and what has been settled since, to add to it.

    Sums by bill-to, not invoice by invoice: a year back nearly all that was open then has been settled since.
    """
    credits = CreditApplication.objects.filter(date__gt=as_of)
    parts: tuple[tuple[QuerySet[Any], str, str, int], ...] = (
        (Invoice.objects.filter(~Q(balance=0), status=InvoiceStatus.CLOSED), "", "balance", 1),
        (_paid_since(as_of), "invoice__", "amount", 1),
        (_taken_back_since(as_of), "invoice__", "amount", -1),
        (credits, "invoice__", "amount", 1),
        (credits, "credit_memo__", "amount", -1),
    )
    for rows, of, amount, sign in parts:
        found = rows.filter(**{f"{of}date__lte": as_of})
        if company_id is not None:
            found = found.filter(**{f"{of}bill_to": company_id})
        sums = {f"age_{i}": sign * _total_if(amount, due) for i, due in enumerate(_due(f"{of}due_date", as_of))}
        yield found.order_by().values_list(f"{of}bill_to", f"{of}bill_to__name").annotate(**sums)


def _due(field: str, as_of: date) -> tuple[Q, ...]:
    """Not due, 1-30, 31-60, 61-90 and more days past due."""
    days = [as_of - timedelta(late) for late in (0, 30, 60, 90)]
    since = [Q(**{f"{field}__gte": day}) for day in days]
    before = [Q(**{f"{field}__lt": day}) for day in days]
    return (since[0], *(before[i] & since[i + 1] for i in range(3)), before[3])


def _total_if(amount: str, due: Q) -> Coalesce:
    return Coalesce(Sum(amount, filter=due), ZERO)


@dataclass(frozen=True, slots=True)
class UnappliedPayment:
    """A payment of which something is left to be applied."""

    payment_id: int
    number: str
    date: date
    company_id: int
    customer: str
    amount: Decimal
    left: Decimal
    reference: str


def unapplied_payments(*, company_id: int | None = None, as_of: date | None = None) -> list[UnappliedPayment]:
    """Payments with what is left of each, now or at the end of a day; the oldest first."""
    rows = Payment.objects.filter(company=company_id) if company_id is not None else Payment.objects.all()
    if as_of is None:
        rows = rows.filter(~Q(unapplied=0)).annotate(left=F("unapplied"))
    else:
        before = Q(date=None) | Q(date__lte=as_of)
        applied = PaymentApplication.objects.filter(before, payment=OuterRef("pk"))
        rows = rows.filter(~Q(unapplied=0) | Q(pk__in=_used_since(as_of)), date__lte=as_of)
        rows = rows.filter(Q(reversal=None) | Q(reversal__date__gt=as_of))
        rows = rows.annotate(left=F("amount") - _total(applied.order_by().values("payment"))).filter(left__gt=0)
    columns = ("pk", "number", "date", "company_id", "company__name", "amount", "left", "reference")
    return [UnappliedPayment(*values) for values in rows.order_by("date", "pk").values_list(*columns)]


def _used_since(as_of: date) -> list[int]:
    """Payments that were applied or taken back since the end of a day."""
    applied = PaymentApplication.objects.filter(date__gt=as_of).order_by().values_list("payment", flat=True)
    back = PaymentReversal.objects.filter(date__gt=as_of).values_list("payment", flat=True)
    return sorted({*applied, *back})


def payments(*, company_id: int | None = None, search: str = "") -> QuerySet[Payment]:
    """Customers' payments, newest first, with the invoices they settle, and whether they were taken back."""
    found = Payment.objects.select_related("company", "bank_account", "reversal")
    found = found.prefetch_related("applications__invoice")
    if company_id is not None:
        found = found.filter(company=company_id)
    if search.strip():
        wanted = search.strip()
        found = found.filter(
            Q(number__icontains=wanted) | Q(company__name__icontains=wanted) | Q(reference__icontains=wanted)
        )
    return found.order_by("-id")


def payments_of_invoice(invoice_id: int, *, as_of: date | None = None) -> QuerySet[PaymentApplication]:
    """What was paid on an invoice and not taken back, now or at the end of a day, in the order it came in."""
    found = PaymentApplication.objects.filter(invoice=invoice_id)
    if as_of is None:
        found = found.filter(payment__reversal=None)
    else:
        kept = Q(payment__reversal=None) | Q(payment__reversal__date__gt=as_of)
        found = found.annotate(on=_APPLIED).filter(kept, on__lte=as_of)
    return found.select_related("payment__bank_account").order_by("payment__date", "pk")


@dataclass(frozen=True, slots=True)
class TaxOwedRow:
    """Sales tax of one agency: in the books from invoices, paid on, and on closed invoices that are not booked yet."""

    agency: str
    booked: Decimal
    remitted: Decimal
    unbooked: Decimal

    @property
    def owed(self) -> Decimal:
        """What the books owe the agency."""
        return sum_money([self.booked, -self.remitted])


def tax_owed(*, through: date) -> list[TaxOwedRow]:
    """Sales tax by agency through a day: what the books owe, and what they do not know of yet."""
    outside = InvoiceTax.objects.filter(invoice__in=not_in_books(through=through)).order_by()
    is_due = Q(invoice__status=InvoiceStatus.CLOSED, invoice__date__lte=through)
    sums = outside.values_list("agency").annotate(all=Sum("amount"), due=Sum("amount", filter=is_due, default=ZERO))
    unbooked = list(sums)
    known = less_by_agency(by_agency(InvoiceTax.objects.all()), {agency: amount for agency, amount, _ in unbooked})
    unknown = {agency: due for agency, _, due in unbooked}
    remitted = by_agency(TaxRemittance.objects.filter(date__lte=through))
    rows = [
        TaxOwedRow(agency, *(part.get(agency, ZERO) for part in (known, remitted, unknown)))
        for agency in sorted({*known, *unknown, *remitted})
    ]
    return [row for row in rows if row.booked or row.remitted or row.unbooked]


def not_in_books(*, through: date) -> QuerySet[Invoice]:
    """Invoices, drafts included, that no journal entry dated through a day books.

    They are few: what is in the books is quickest found as all there is, less what these have.
    """
    entries = JournalEntry.objects.filter(source_type="invoice", source_id=OuterRef("pk"), date__lte=through)
    return Invoice.objects.filter(~Exists(entries)).order_by()


def by_agency(rows: QuerySet[InvoiceTax] | QuerySet[TaxRemittance]) -> dict[str, Decimal]:
    """The sums of ``amount`` by agency."""
    return dict(rows.order_by().values_list("agency").annotate(total=Sum("amount")))


def less_by_agency(amounts: Mapping[str, Decimal], *taken: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """What is left of ``amounts`` by agency, once what is ``taken`` is off."""
    return {
        agency: sum_money([amount, *(-part.get(agency, ZERO) for part in taken)]) for agency, amount in amounts.items()
    }


def deliveries(*, invoice_id: int | None = None, status: str | None = None) -> QuerySet[Delivery]:
    """Mailed invoices, newest first."""
    found = Delivery.objects.select_related("invoice")
    if invoice_id is not None:
        found = found.filter(invoice=invoice_id)
    if status:
        found = found.filter(status=status)
    return found.order_by("-id")


def not_mailed() -> QuerySet[Invoice]:
    """Closed invoices and credit memos that nobody has mailed, newest first; those that came to nothing left out."""
    mailed = Delivery.objects.filter(invoice=OuterRef("pk")).exclude(status=DeliveryStatus.FAILED)
    found = Invoice.objects.filter(~Exists(mailed), status=InvoiceStatus.CLOSED).exclude(total=0)
    return found.select_related("bill_to").order_by("-date", "-id")


def billing_settings() -> BillingSettings:
    """How invoices are made."""
    found = BillingSettings.objects.select_related("default_terms").filter(pk=1).first()
    return found or BillingSettings(pk=1)
