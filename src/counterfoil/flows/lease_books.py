"""What the books say about one lease: its months from the posted entries, laid beside what the terms foretold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from counterfoil.agreements.models import Agreement
from counterfoil.agreements.queries import monthly_value
from counterfoil.assets.models import Asset, BookName, DepreciationBook
from counterfoil.billing.models import InvoiceLine, PaymentApplication
from counterfoil.core.calendar import Period, add_months, month_start, months_between
from counterfoil.core.depreciation import Convention, Method
from counterfoil.core.errors import DomainError
from counterfoil.core.lease import EconomicsRow, LeaseTerms
from counterfoil.core.money import ZERO, allocate, extend, sum_money
from counterfoil.inventory.models import ReceiptLine
from counterfoil.ledger.models import AccountType, JournalEntry, JournalLine
from counterfoil.procurement.models import PurchaseOrderLine, VendorBillLine, VendorPaymentApplication
from counterfoil.quotes.models import QuoteLine

Monthly = dict[date, Decimal]

#: What an asset category may name as its account of gain or loss on disposal.
RESULT_OF_DISPOSAL = (AccountType.OTHER_INCOME, AccountType.OTHER_EXPENSE, AccountType.INCOME, AccountType.EXPENSE)


@dataclass(frozen=True, slots=True)
class LeaseBooks:
    """A lease as it is booked. ``months`` run from the first posting to the last; empty when nothing is booked yet.

    In each row cash is what the customer paid, less its sales tax (which is passed on), less what the vendor was paid,
    and what an asset was sold for; accounts payable is what is still owed to the vendor. A loss on disposal stands with
    the depreciation, a gain is taken off it.
    """

    agreement: Agreement
    assets: tuple[Asset, ...]
    months: tuple[EconomicsRow, ...]


@dataclass(frozen=True, slots=True)
class _Thread:
    """The documents that descend from one opportunity."""

    invoice_ids: list[int]
    invoice_line_ids: list[int]
    receipt_line_ids: list[int]
    bill_line_ids: list[int]
    asset_ids: list[int]


def leases() -> QuerySet[Agreement]:
    """Agreements for which goods were bought or capitalised, newest first."""
    bought = PurchaseOrderLine.objects.filter(origin__opportunity=OuterRef("opportunity"), addition__isnull=True)
    capitalised = Asset.objects.filter(agreement=OuterRef("pk"))
    return (
        Agreement.objects.filter(Exists(bought) | Exists(capitalised)).select_related("company", "type").order_by("-pk")
    )


def promised_terms(books: LeaseBooks) -> LeaseTerms | None:
    """The lease as it was agreed, to lay beside its books: the goods' cost, the agreement's price and length.

    Depreciation is that of the assets; goods that were expensed are given the length of the agreement as their life.
    ``None`` when there is no such plan: the agreement is open-ended, the assets are depreciated in different ways or by
    use.
    """
    agreement = books.agreement
    if agreement.end_date is None:
        return None
    start = agreement.bill_start_date
    months = months_between(start, agreement.end_date + timedelta(days=1))
    how = DepreciationBook.objects.filter(asset__in=books.assets, name=BookName.BOOK)
    ways = {(each.method, each.convention, each.life_months) for each in how}
    if len(ways) > 1:
        return None
    method, convention, life = next(iter(ways), (Method.STRAIGHT_LINE, Convention.FULL_MONTH, months))
    cost = sum_money(asset.cost for asset in books.assets) if books.assets else _quoted_cost(agreement)
    try:
        return LeaseTerms(
            cost=cost,
            price_per_month=monthly_value(agreement, on=start),
            months=months,
            start=start,
            life_months=life,
            method=Method(method),
            convention=Convention(convention),
            salvage=sum_money(each.salvage for each in how),
        )
    except DomainError:  # units of use, or an agreement that is over before its first month
        return None


def _quoted_cost(agreement: Agreement) -> Decimal:
    """What the goods of the agreement's opportunity were to cost."""
    goods = QuoteLine.objects.filter(opportunity=agreement.opportunity_id, billing_cycle="")
    return sum_money(extend(line.quantity, line.unit_cost) for line in goods)


def lease_books(agreement: Agreement) -> LeaseBooks:
    """Read the lease of ``agreement`` from the ledger: everything that descends from its opportunity's lines."""
    thread = _thread_of(agreement)
    revenue = _revenue(thread)
    cogs = _by_month(_cost_lines(thread))
    depreciation = _by_month(
        _asset_lines(thread).filter(
            Q(entry__step__startswith="depreciation", debit__gt=0)
            | Q(entry__step="disposal", account__type__in=RESULT_OF_DISPOSAL)
        )
    )
    book_value = _by_month(
        _asset_lines(thread).filter(account__type__in=(AccountType.FIXED_ASSET, AccountType.ACCUMULATED_DEPRECIATION))
    )
    received = _customer_cash(thread)
    for month, proceeds in _by_month(_asset_lines(thread).filter(account__type=AccountType.BANK)).items():
        received[month] += proceeds
    paid, owed = _vendor_cash(thread)
    months = _months(revenue, cogs, depreciation, book_value, received, paid, owed)
    return LeaseBooks(
        agreement=agreement,
        assets=tuple(Asset.objects.filter(pk__in=thread.asset_ids).select_related("category").order_by("pk")),
        months=tuple(_rows(months, revenue, cogs, depreciation, book_value, received, paid, owed)),
    )


def _thread_of(agreement: Agreement) -> _Thread:
    """Ids of what descends from the agreement's opportunity, and of the agreement's own invoices."""
    origins = list(QuoteLine.objects.filter(opportunity=agreement.opportunity_id).values_list("pk", flat=True))
    invoice_lines = list(
        InvoiceLine.objects.filter(Q(invoice__agreement=agreement) | Q(origin__in=origins)).values_list(
            "pk", "invoice", "invoice__agreement"
        )
    )
    return _Thread(
        invoice_ids=sorted({invoice for _, invoice, of in invoice_lines if of == agreement.pk}),
        invoice_line_ids=[line for line, _, _ in invoice_lines],
        receipt_line_ids=_ids(ReceiptLine.objects.filter(purchase_order_line__origin__in=origins)),
        bill_line_ids=_ids(VendorBillLine.objects.filter(purchase_order_line__origin__in=origins)),
        asset_ids=_ids(Asset.objects.filter(Q(agreement=agreement) | Q(origin__in=origins))),
    )


def _revenue(thread: _Thread) -> Monthly:
    """What the lines of invoices in the books came to, by the month they were booked in: earned or billed ahead.

    Read from the lines, not the entries: those of a billing run have one line for each account.
    """
    booked = JournalEntry.objects.filter(source_type="invoice", source_id=OuterRef("invoice")).values("date")[:1]
    lines = InvoiceLine.objects.filter(pk__in=thread.invoice_line_ids).annotate(booked_on=Subquery(booked))
    amounts: Monthly = defaultdict(Decimal)
    for on, amount in lines.filter(booked_on__isnull=False).values_list("booked_on", "amount"):
        amounts[month_start(on)] += amount
    return amounts


def _ids(rows: QuerySet[Any]) -> list[int]:
    return list(rows.values_list("pk", flat=True))


def _cost_lines(thread: _Thread) -> QuerySet[JournalLine]:
    """What went into COGS and out of it again: receipts, price variances, cost-only invoices, capitalisation."""
    return JournalLine.objects.filter(
        Q(entry__source_type="receipt", source_line_id__in=thread.receipt_line_ids)
        | Q(entry__source_type="vendor_bill", source_line_id__in=thread.bill_line_ids)
        | Q(entry__source_type="invoice", source_line_id__in=thread.invoice_line_ids)
        | Q(entry__source_type="asset", entry__source_id__in=thread.asset_ids, entry__step="capitalisation"),
        account__type__in=(AccountType.COGS, AccountType.EXPENSE),
    )


def _asset_lines(thread: _Thread) -> QuerySet[JournalLine]:
    return JournalLine.objects.filter(entry__source_type="asset", entry__source_id__in=thread.asset_ids)


def _by_month(lines: QuerySet[JournalLine], *, sign: int = 1) -> Monthly:
    """Debit less credit by month, times ``sign``."""
    amounts: Monthly = defaultdict(Decimal)
    for on, debit, credit in lines.values_list("entry__date", "debit", "credit"):
        amounts[month_start(on)] += sign * (debit - credit)
    return amounts


def _customer_cash(thread: _Thread) -> Monthly:
    """Customer payments of the agreement's invoices, without the sales tax in them."""
    cash: Monthly = defaultdict(Decimal)
    applications = PaymentApplication.objects.filter(invoice__in=thread.invoice_ids).values_list(
        "payment__date", "amount", "invoice__subtotal", "invoice__tax_total"
    )
    for on, amount, subtotal, tax in applications:
        cash[month_start(on)] += allocate(amount, [subtotal, tax])[0] if tax else amount
    return cash


def _vendor_cash(thread: _Thread) -> tuple[Monthly, Monthly]:
    """(what was paid, what became owed) to the vendor by month: the lease's share of each booked bill."""
    lines = VendorBillLine.objects.filter(pk__in=thread.bill_line_ids).values_list("bill", "bill__total", "amount")
    share: dict[int, tuple[Decimal, Decimal]] = {}
    for bill, total, amount in lines:
        share[bill] = (sum_money((share.get(bill, (ZERO, ZERO))[0], amount)), total)
    paid: Monthly = defaultdict(Decimal)
    for bill, on, amount in VendorPaymentApplication.objects.filter(bill__in=share).values_list(
        "bill", "payment__date", "amount"
    ):
        mine, total = share[bill]
        paid[month_start(on)] += allocate(amount, [mine, total - mine])[0] if total != mine else amount
    owed: Monthly = defaultdict(Decimal)
    booked = JournalLine.objects.filter(
        entry__source_type="vendor_bill", entry__source_id__in=share, account__type=AccountType.PAYABLE
    ).values_list("entry__source_id", "entry__date")
    for bill, on in set(booked):
        owed[month_start(on)] += share[bill][0]
    return paid, owed


def _months(*amounts: Monthly) -> list[date]:
    """First days of the months from the first amount to the last."""
    days = [month for series in amounts for month in series]
    if not days:
        return []
    months = [min(days)]
    while months[-1] < max(days):
        months.append(add_months(months[-1], 1))
    return months


def _rows(
    months: Iterable[date],
    revenue: Monthly,
    cogs: Monthly,
    depreciation: Monthly,
    book_value: Monthly,
    received: Monthly,
    paid: Monthly,
    owed: Monthly,
) -> Iterable[EconomicsRow]:
    """The series as rows, with the running balances."""
    profit_to_date = net_book_value = cash = payable = ZERO
    for month in months:
        earned, sold, written_off = (x.get(month, ZERO) for x in (revenue, cogs, depreciation))
        profit = sum_money((earned, -sold, -written_off))
        flow = sum_money((received.get(month, ZERO), -paid.get(month, ZERO)))
        profit_to_date = sum_money((profit_to_date, profit))
        net_book_value = sum_money((net_book_value, book_value.get(month, ZERO)))
        cash = sum_money((cash, flow))
        payable = sum_money((payable, owed.get(month, ZERO), -paid.get(month, ZERO)))
        yield EconomicsRow(
            period=Period(month, add_months(month, 1)),
            revenue=earned,
            cogs=sold,
            depreciation=written_off,
            profit=profit,
            cumulative_profit=profit_to_date,
            net_book_value=net_book_value,
            cash_flow=flow,
            cash=cash,
            accounts_payable=payable,
        )
