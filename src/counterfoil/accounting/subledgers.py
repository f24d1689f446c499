"""What the control accounts must hold, worked out from the documents and not from the journal.

Each function gives amounts by key (a customer, a purchase order line, a document), on the side the account grows on:
what customers owe, what we owe, what stock and assets are worth. ``through`` is the last day that counts; without it
all days do. Only what is in the books counts. Verification lays these amounts beside the journal, and the ledger's
export carries them as assertions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Exists, F, Max, OuterRef, Q, QuerySet, Subquery, Sum

from counterfoil.accounting.documents import BillDocument, booked_bills, is_transferred
from counterfoil.accounting.models import SourceType
from counterfoil.assets.models import Asset, BookName, CapitalisedFrom, DepreciationLine
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceTax, Payment, PaymentReversal
from counterfoil.core.money import ZERO
from counterfoil.inventory.models import Receipt, ReceiptLine
from counterfoil.ledger.models import JournalEntry
from counterfoil.procurement.models import VendorBill, VendorPayment
from counterfoil.tax.models import TaxRemittance

#: A document: (source type, id).
DocumentKey = tuple[str, int]


def receivable_by_customer(through: date | None = None) -> dict[int, Decimal]:
    """Invoices in the books less payments that were not taken back, by bill-to."""
    invoices = _dated(transferred_invoices(), "date", through).values_list("bill_to")
    payments = _dated(Payment.objects.all(), "date", through).values_list("company")
    back = _dated(PaymentReversal.objects.all(), "date", through).values_list("payment__company")
    return _less(_sums(invoices, "total"), _less(_sums(payments, "amount"), _sums(back, "payment__amount")))


def payable_by_vendor(through: date | None = None) -> dict[int, Decimal]:
    """Vendors' bills in the books less what was paid, by vendor."""
    bills = _dated(VendorBill.objects.filter(is_transferred(SourceType.VENDOR_BILL)), "date", through)
    payments = _dated(VendorPayment.objects.all(), "date", through)
    return _less(_sums(bills.values_list("vendor"), "total"), _sums(payments.values_list("vendor"), "amount"))


def unbilled_by_purchase_order_line(
    through: date | None = None, bills: Iterable[BillDocument] | None = None
) -> dict[int, Decimal]:
    """Goods received, not invoiced: receipts in the books less what the bills in the books cleared of them.

    ``bills`` are those of :func:`counterfoil.accounting.documents.booked_bills`, if they are at hand.
    """
    received = _dated(_booked_receipt_lines(), "booked_on", through).values_list("purchase_order_line")
    cleared: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for bill in booked_bills() if bills is None else bills:
        if through is None or bill.date <= through:
            for line in bill.lines:
                cleared[line.purchase_order_line_id] += line.received_cost
    return _less(_sums(received, "cost"), cleared)


def inventory_by_document(through: date | None = None) -> dict[DocumentKey, Decimal]:
    """Stock that came in with receipts, less what invoices relieved and what was capitalised out of stock."""
    received = _dated(_booked_receipt_lines().filter(is_stocked=True), "booked_on", through)
    relieved = InvoiceLine.objects.filter(
        invoice__in=_dated(transferred_invoices(), "date", through), relieves_stock=True
    )
    capitalised = _dated(capitalised_assets().filter(capitalised_from=CapitalisedFrom.INVENTORY), "booked_on", through)
    amounts = {("receipt", pk): cost for pk, cost in _sums(received.values_list("receipt"), "cost").items()}
    amounts |= {("invoice", pk): -cost for pk, cost in _sums(relieved.values_list("invoice"), "cost").items()}
    amounts |= {("asset", pk): -cost for pk, cost in capitalised.values_list("pk", "cost")}
    return amounts


def asset_cost(through: date | None = None) -> dict[int, Decimal]:
    """Cost of each asset that is capitalised and not disposed of."""
    assets = _dated(capitalised_assets(), "booked_on", through).exclude(_gone("", through))
    return dict(assets.values_list("pk", "cost"))


def accumulated_by_asset(through: date | None = None) -> dict[int, Decimal]:
    """Posted depreciation of each asset that is not disposed of."""
    lines = DepreciationLine.objects.filter(book__name=BookName.BOOK, entry__isnull=False).exclude(
        _gone("book__asset__", through)
    )
    if through is not None:
        lines = lines.filter(end__lte=through + timedelta(days=1))
    return _sums(lines.values_list("book__asset"), "amount")


def sales_tax_by_document(through: date | None = None) -> dict[DocumentKey, Decimal]:
    """Tax of invoices in the books, less remittances."""
    taxes = InvoiceTax.objects.filter(invoice__in=_dated(transferred_invoices(), "date", through))
    remitted = _dated(TaxRemittance.objects.all(), "date", through)
    amounts = {("invoice", pk): tax for pk, tax in _sums(taxes.values_list("invoice"), "amount").items()}
    return amounts | {("tax_remittance", pk): -amount for pk, amount in remitted.values_list("pk", "amount")}


def tax_owed_by_agency(through: date | None = None) -> dict[str, Decimal]:
    """What is owed to each tax agency."""
    taxes = InvoiceTax.objects.filter(invoice__in=_dated(transferred_invoices(), "date", through))
    remitted = _dated(TaxRemittance.objects.all(), "date", through)
    return _less(_sums(taxes.values_list("agency"), "amount"), _sums(remitted.values_list("agency"), "amount"))


def transferred_invoices() -> QuerySet[Invoice]:
    """Closed invoices that are in the books."""
    return Invoice.objects.filter(is_transferred(SourceType.INVOICE), status=InvoiceStatus.CLOSED)


def transferred_receipts() -> QuerySet[Receipt]:
    """Receipts that are in the books."""
    return Receipt.objects.filter(is_transferred(SourceType.RECEIPT))


def capitalised_assets() -> QuerySet[Asset]:
    """Assets in the books, with the date they were ``booked_on``."""
    entries = JournalEntry.objects.filter(source_type="asset", source_id=OuterRef("pk"), step="capitalisation")
    return Asset.objects.filter(Exists(entries)).annotate(booked_on=Subquery(entries.values("date")[:1]))


def _booked_receipt_lines() -> QuerySet[ReceiptLine]:
    """Lines of receipts in the books. A receipt is dated by the setting of its day, so its date is its entry's."""
    entries = JournalEntry.objects.filter(source_type="receipt", source_id=OuterRef("receipt")).order_by()
    dates = entries.values("source_id").annotate(on=Max("date")).values("on")
    return ReceiptLine.objects.filter(Exists(entries)).annotate(booked_on=Subquery(dates))


def _dated(rows: Any, field: str, through: date | None) -> Any:
    return rows if through is None else rows.filter(**{f"{field}__lte": through})


def _gone(prefix: str, through: date | None) -> Q:
    """Assets disposed of by ``through``."""
    if through is None:
        return Q(**{f"{prefix}status": "disposed"})
    return Q(**{f"{prefix}disposed_on__lte": through})


def _sums(keys: Any, field: str) -> dict[Any, Decimal]:
    """Sums of ``field`` by the key of a ``values_list``."""
    return dict(keys.order_by().annotate(sum_of_field=Sum(F(field))))


def _less(left: dict[Any, Decimal], right: dict[Any, Decimal]) -> dict[Any, Decimal]:
    return {key: left.get(key, ZERO) - right.get(key, ZERO) for key in {**left, **right}}
