"""Sales tax by agency, tax code, level and month: what was billed, credited and paid on, and what the books owe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth

from counterfoil.accounting.subledgers import transferred_invoices
from counterfoil.billing.models import InvoiceStatus, InvoiceTax, InvoiceType
from counterfoil.core.money import ZERO, sum_money
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import balance_of_types
from counterfoil.tax.models import TaxRemittance


@dataclass(frozen=True, slots=True)
class TaxReportRow:
    """The tax of a level of a tax code in a month; or, without a level, what an agency was paid in it.

    ``taxable`` and ``exempt`` are the sales behind what is billed or credited; ``owed`` is what the row adds to the
    books: billed, less credited, less remitted. ``unbooked`` is on closed invoices that are not in the books yet.
    """

    agency: str
    tax_code: str
    level: str
    month: date
    taxable: Decimal = ZERO
    exempt: Decimal = ZERO
    billed: Decimal = ZERO
    credited: Decimal = ZERO
    remitted: Decimal = ZERO
    unbooked: Decimal = ZERO

    @property
    def owed(self) -> Decimal:
        """What it adds to the sales tax payable."""
        return sum_money([self.billed, -self.credited, -self.remitted])


@dataclass(frozen=True, slots=True)
class TaxReport:
    """Sales tax of a period, inclusive. What agencies are owed before it, with its rows and others, is the balance."""

    first: date
    last: date
    opening: dict[str, Decimal]
    rows: tuple[TaxReportRow, ...]
    other: Decimal
    balance: Decimal


def tax_report(*, first: date, last: date) -> TaxReport:
    """The sales tax from ``first`` through ``last``.

    ``balance`` is the balance of the ledger's sales tax accounts on the last day. ``other`` is what of it no invoice,
    credit memo or remittance explains: nothing, as these accounts are left to their documents.
    """
    dated = Q(invoice__date__gte=first, invoice__date__lte=last)
    closed = InvoiceTax.objects.filter(invoice__status=InvoiceStatus.CLOSED)
    in_books = Q(invoice__in=transferred_invoices())
    found: dict[_Key, dict[str, Decimal]] = defaultdict(dict)
    for key, is_credit, taxable, exempt, amount in _by_level(closed.filter(dated, in_books)):
        row = found[key]
        row["taxable"] = row.get("taxable", ZERO) + taxable
        row["exempt"] = row.get("exempt", ZERO) + exempt
        if is_credit:
            row["credited"] = -amount
        else:
            row["billed"] = amount
    for key, _, _, _, amount in _by_level(closed.filter(dated).exclude(in_books)):
        found[key]["unbooked"] = found[key].get("unbooked", ZERO) + amount
    paid = TaxRemittance.objects.filter(date__gte=first, date__lte=last).order_by()
    for agency, month, amount in (
        paid.annotate(month=TruncMonth("date")).values_list("agency", "month").annotate(total=Sum("amount"))
    ):
        found[agency, "", "", month]["remitted"] = amount
    opening = _opening(closed.filter(in_books, invoice__date__lt=first), first)
    rows = tuple(_report_row(key, found[key]) for key in sorted(found, key=_order))
    balance = sum_money([-balance_of_types(AccountType.SALES_TAX, through=last)])
    known = sum_money([*opening.values(), *(row.owed for row in rows)])
    return TaxReport(first, last, opening, rows, sum_money([balance, -known]), balance)


#: Agency, tax code, level, first day of the month.
_Key = tuple[str, str, str, date]


def _report_row(key: _Key, amounts: dict[str, Decimal]) -> TaxReportRow:
    agency, code, level, month = key
    return TaxReportRow(agency=agency, tax_code=code, level=level, month=month, **amounts)


def _order(key: _Key) -> tuple[str, bool, str, str, date]:
    agency, code, level, month = key
    return agency, not level, code, level, month  # what was paid comes after what was billed


def _by_level(taxes: QuerySet[InvoiceTax]) -> Iterable[tuple[_Key, bool, Decimal, Decimal, Decimal]]:
    """Sums by agency, tax code, level, month and whether it is credited."""
    sums = (
        taxes.order_by()
        .annotate(month=TruncMonth("invoice__date"), code=F("invoice__tax_code__identifier"), kind=F("invoice__type"))
        .values_list("agency", "code", "level", "month", "kind")
        .annotate(a=Sum("taxable_amount"), b=Sum("exempt_amount"), c=Sum("amount"))
    )
    merged: dict[tuple[_Key, bool], list[Decimal]] = {}
    for agency, code, level, month, kind, *amounts in sums:
        which = (agency, code or "", level, month), kind == InvoiceType.CREDIT_MEMO
        merged[which] = [a + b for a, b in zip(merged.get(which, (ZERO,) * 3), amounts, strict=True)]
    for (key, is_credit), (taxable, exempt, amount) in merged.items():
        yield key, is_credit, taxable, exempt, amount


def _opening(earlier: QuerySet[InvoiceTax], first: date) -> dict[str, Decimal]:
    """What each agency was owed before the period."""
    owed: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for agency, amount in earlier.order_by().values_list("agency").annotate(total=Sum("amount")):
        owed[agency] += amount
    paid = TaxRemittance.objects.filter(date__lte=first - timedelta(days=1)).order_by()
    for agency, amount in paid.values_list("agency").annotate(total=Sum("amount")):
        owed[agency] -= amount
    return {agency: amount for agency, amount in sorted(owed.items()) if amount}
