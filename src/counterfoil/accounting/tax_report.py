"""Sales tax by agency, tax code, level and month: what was billed, credited and paid on, and what the books owe."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import F, Q, QuerySet, Sum
from django.db.models.functions import TruncMonth

from counterfoil.billing.models import InvoiceStatus, InvoiceTax, InvoiceType
from counterfoil.billing.queries import by_agency, less_by_agency, not_in_books
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
    closed = InvoiceTax.objects.filter(dated, invoice__status=InvoiceStatus.CLOSED)
    outside = Q(invoice__in=not_in_books(through=last))
    found: dict[_Key, dict[str, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    _add(found, closed, 1)
    _add(found, closed.filter(outside), -1)
    paid = TaxRemittance.objects.filter(date__gte=first, date__lte=last).order_by()
    for agency, month, amount in (
        paid.annotate(month=TruncMonth("date")).values_list("agency", "month").annotate(total=Sum("amount"))
    ):
        found[agency, "", "", month]["remitted"] = amount
    opening = _opening(first)
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


def _add(found: dict[_Key, dict[str, Decimal]], taxes: QuerySet[InvoiceTax], sign: int) -> None:
    """Add what is closed to what is billed and credited; or take off what is not in the books, and tell it apart."""
    sums = (
        taxes.order_by()
        .annotate(month=TruncMonth("invoice__date"), code=F("invoice__tax_code__identifier"), kind=F("invoice__type"))
        .values_list("agency", "code", "level", "month", "kind")
        .annotate(a=Sum("taxable_amount"), b=Sum("exempt_amount"), c=Sum("amount"))
    )
    for agency, code, level, month, kind, taxable, exempt, amount in sums:
        row = found[agency, code or "", level, month]
        row["taxable"] += sign * taxable
        row["exempt"] += sign * exempt
        if kind == InvoiceType.CREDIT_MEMO:
            row["credited"] -= sign * amount
        else:
            row["billed"] += sign * amount
        if sign < 0:
            row["unbooked"] += amount


def _opening(first: date) -> dict[str, Decimal]:
    """What each agency was owed before the period: all there is, less what came later or is not in the books."""
    before = first - timedelta(days=1)
    taxes = InvoiceTax.objects.all()
    owed = less_by_agency(
        by_agency(taxes),
        by_agency(taxes.filter(invoice__date__gte=first)),
        by_agency(taxes.filter(invoice__date__lt=first, invoice__in=not_in_books(through=before))),
    )
    paid = by_agency(TaxRemittance.objects.filter(date__lte=before))
    left = less_by_agency(dict.fromkeys(paid, ZERO) | owed, paid)
    return {agency: amount for agency, amount in sorted(left.items()) if amount}
