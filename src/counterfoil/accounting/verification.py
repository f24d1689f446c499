"""``counterfoil verify``: derive again whatever can be derived, and name what differs.

The journal is checked against itself, every control account against its sub-ledger, every document against what it
booked, stock against its movements, and the audit trail against its chain of hashes. Nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from counterfoil.accounting import subledgers
from counterfoil.accounting.checks import Check, compare, no_faults
from counterfoil.accounting.documents import (
    DOCUMENTS,
    AnyDocument,
    booked_bills,
    load_invoices,
    load_receipts,
)
from counterfoil.accounting.invoice_checks import (
    balances_tie,
    deferred_revenue_is_not_overdrawn,
    invoices_add_up,
    payments_are_applied,
)
from counterfoil.accounting.models import BatchItem, BatchStatus
from counterfoil.assets.models import Asset, BookName, CapitalisedFrom, DepreciationBook, DepreciationLine
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax, Payment, PaymentReversal
from counterfoil.billing.numbers import CREDIT_MEMOS, INVOICES
from counterfoil.billing.runs import reserved_numbers, unfinished_run
from counterfoil.companies.models import Company
from counterfoil.core.calendar import format_date
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.core.posting import GlRole, Key
from counterfoil.inventory.models import (
    Receipt,
    ReceiptLine,
    SerialNumber,
    SerialStatus,
    ShipmentLine,
    StockBalance,
    StockMovement,
)
from counterfoil.ledger.models import AccountType, JournalEntry, JournalLine
from counterfoil.platform.audit import broken_links
from counterfoil.platform.database.snapshot import snapshot
from counterfoil.platform.models import AuditEntry, NumberSequence
from counterfoil.platform.numbering import number_text
from counterfoil.procurement.models import PurchaseOrderLine, VendorBill, VendorBillLine, VendorPayment
from counterfoil.quotes.models import Acceptance
from counterfoil.quotes.verification import broken_acceptances
from counterfoil.tax.models import TaxRemittance

NET: Final = Coalesce(Sum("debit") - Sum("credit"), ZERO)


def verify() -> list[Check]:
    """Run every check on one snapshot of the database, so that a system in use can be verified. Changes nothing."""
    if connection.in_atomic_block:
        return _run_all()
    with snapshot():
        return _run_all()


def _run_all() -> list[Check]:
    bills = booked_bills()
    return [
        journal_balances(),
        journal_is_sealed(),
        entries_lie_in_their_periods(),
        receivables_tie(),
        payables_tie(),
        goods_received_tie(bills),
        inventory_ties(),
        inventory_reconciles(),
        fixed_assets_tie(),
        accumulated_depreciation_ties(),
        sales_tax_ties(),
        documents_are_booked_as_derived(bills),
        direct_documents_are_booked(),
        batches_are_complete(),
        invoices_add_up(),
        vendor_bills_add_up(),
        payments_are_applied(),
        balances_tie(),
        deferred_revenue_is_not_overdrawn(),
        depreciation_adds_up(),
        stock_is_the_sum_of_its_movements(),
        movements_match_their_documents(),
        serials_match_stock(),
        numbers_have_no_gaps(),
        audit_trail_is_whole(),
        acceptances_hold(),
    ]


# The journal by itself


def journal_balances() -> Check:
    """Debits equal credits in each entry."""
    rows = JournalLine.objects.values_list("entry__number").annotate(d=Sum("debit"), c=Sum("credit")).order_by()
    debits, credits = {n: d for n, d, _ in rows}, {n: c for n, _, c in rows}
    return compare("journal", "Journal entries balance (debits, credits)", debits, credits, str)


def journal_is_sealed() -> Check:
    """Each entry has the lines and the total it was sealed with."""
    rows = JournalEntry.objects.annotate(found=Count("lines"), debits=Coalesce(Sum("lines__debit"), ZERO))
    faults = (
        f"{entry.number}: sealed with {entry.line_count} lines and {format_money(entry.total)},"
        f" holds {entry.found} lines and {format_money(entry.debits)}"
        for entry in rows.exclude(line_count=F("found"), total=F("debits")).order_by("id")
    )
    return no_faults("seals", "Journal entries are complete", JournalEntry.objects.count(), faults)


def entries_lie_in_their_periods() -> Check:
    """Each entry is dated in the period it is booked in."""
    outside = JournalEntry.objects.exclude(date__gte=F("period__start"), date__lt=F("period__end"))
    faults = (
        f"{entry.number} is dated {format_date(entry.date)}, but booked in {entry.period}"
        for entry in outside.select_related("period").order_by("id")
    )
    return no_faults("periods", "Journal entries lie in their periods", JournalEntry.objects.count(), faults)


# Control accounts against their sub-ledgers


def booked(*types: AccountType, by: tuple[str, ...], sign: int = 1) -> dict[Any, Decimal]:
    """What accounts of these types hold, debit less credit times ``sign``, by one or several fields of the lines."""
    rows = JournalLine.objects.filter(account__type__in=types).values_list(*by).annotate(net=NET).order_by()
    return {(row[0] if len(by) == 1 else tuple(row[:-1])): sign * row[-1] for row in rows}


def _names(model: Any, field: str) -> Callable[[Any], str]:
    """Names of records by id, looked up only when something differs."""
    found: dict[int | None, str] = {}

    def name(pk: int | None) -> str:
        if not found:
            found.update(model.objects.values_list("pk", field))
        return found.get(pk) or f"nobody ({pk})"

    return name


def document_name(key: tuple[str, int]) -> str:
    """``invoice INV-0001``, by the journal or by its id."""
    source_type, source_id = key
    entry = JournalEntry.objects.filter(source_type=source_type, source_id=source_id).first()
    return f"{source_type.replace('_', ' ')} {entry.source_label if entry else source_id}"


def receivables_tie() -> Check:
    """Per customer: invoices in the books less payments, against accounts receivable."""
    return compare(
        "receivables",
        "Accounts receivable: invoices less payments, per customer",
        subledgers.receivable_by_customer(),
        booked(AccountType.RECEIVABLE, by=("company",)),
        _names(Company, "name"),
    )


def payables_tie() -> Check:
    """Per vendor: bills in the books less payments, against accounts payable."""
    return compare(
        "payables",
        "Accounts payable: bills less payments, per vendor",
        subledgers.payable_by_vendor(),
        booked(AccountType.PAYABLE, by=("company",), sign=-1),
        _names(Company, "name"),
    )


def goods_received_tie(bills: Iterable[Any]) -> Check:
    """Per purchase order line: receipts less bills at the cost received, against goods received, not invoiced."""
    receipt_lines = dict(ReceiptLine.objects.values_list("pk", "purchase_order_line"))
    bill_lines = dict(VendorBillLine.objects.values_list("pk", "purchase_order_line"))
    lines_of = {"receipt": receipt_lines, "vendor_bill": bill_lines}
    found: dict[int | None, Decimal] = defaultdict(lambda: ZERO)
    for (source, line), net in booked(AccountType.GRNI, by=("entry__source_type", "source_line_id"), sign=-1).items():
        found[lines_of.get(source, {}).get(line)] += net
    names: dict[int | None, str] = {}

    def label(pk: int | None) -> str:
        if not names:
            rows = PurchaseOrderLine.objects.values_list("pk", "purchase_order__number", "position")
            names.update({pk: f"{number} line {position}" for pk, number, position in rows})
        return names.get(pk, "no purchase order line")

    return compare(
        "grni",
        "Goods received, not invoiced: receipts less bills, per purchase order line",
        subledgers.unbilled_by_purchase_order_line(bills=bills),
        found,
        label,
    )


def inventory_ties() -> Check:
    """Per document: stock received, relieved and capitalised, against the inventory accounts."""
    return compare(
        "inventory",
        "Inventory: receipts less what was sold and capitalised, per document",
        subledgers.inventory_by_document(),
        booked(AccountType.INVENTORY, by=("entry__source_type", "entry__source_id")),
        document_name,
    )


def inventory_reconciles() -> Check:
    """The inventory accounts, from what lies in stock.

    Stock on hand, and what was shipped but neither invoiced nor capitalised in the books, less receipts that are not
    transferred yet, is what the inventory accounts hold.
    """
    on_hand = _sum(StockBalance.objects.all(), "value")
    shipped = _sum(ShipmentLine.objects.filter(bin__isnull=False), "cost")
    relieved = _sum(
        InvoiceLine.objects.filter(invoice__in=subledgers.transferred_invoices(), relieves_stock=True), "cost"
    )
    capitalised = _sum(subledgers.capitalised_assets().filter(capitalised_from=CapitalisedFrom.INVENTORY), "cost")
    waiting = Receipt.objects.exclude(pk__in=subledgers.transferred_receipts().values("pk"))
    unposted = _sum(ReceiptLine.objects.filter(receipt__in=waiting, is_stocked=True), "cost")
    not_relieved = sum_money([shipped, -relieved, -capitalised])
    expected = sum_money([on_hand, not_relieved, -unposted])
    found = sum_money(booked(AccountType.INVENTORY, by=("account",)).values())
    sentence = (
        f"on hand {format_money(on_hand)}, shipped and not relieved {format_money(not_relieved)}, unposted receipts"
        f" {format_money(-unposted)}: together {format_money(expected)}, but the accounts hold {format_money(found)}"
    )
    ok = expected == found
    details = () if ok else (sentence,)
    return Check("inventory_valuation", "Inventory: the value of the stock", ok, expected, found, details)


def _sum(rows: Any, field: str) -> Decimal:
    return Decimal(rows.aggregate(total=Coalesce(Sum(field), ZERO))["total"])


def fixed_assets_tie() -> Check:
    """Per asset: its cost, against the fixed asset accounts."""
    return _compare_assets(
        "fixed_assets",
        "Fixed assets: cost, per asset",
        subledgers.asset_cost(),
        booked_by_asset(AccountType.FIXED_ASSET),
    )


def accumulated_depreciation_ties() -> Check:
    """Per asset: its posted depreciation, against the accumulated depreciation accounts."""
    return _compare_assets(
        "accumulated_depreciation",
        "Accumulated depreciation: posted schedule lines, per asset",
        subledgers.accumulated_by_asset(),
        booked_by_asset(AccountType.ACCUMULATED_DEPRECIATION, sign=-1),
    )


def booked_by_asset(account_type: AccountType, sign: int = 1) -> dict[int | None, Decimal]:
    """What the accounts of a type hold per asset; entries of anything else stand under ``None``."""
    found: dict[int | None, Decimal] = defaultdict(lambda: ZERO)
    for (source, pk), net in booked(account_type, by=("entry__source_type", "entry__source_id"), sign=sign).items():
        found[pk if source == "asset" else None] += net
    return found


def _compare_assets(name: str, title: str, expected: dict[int, Decimal], found: dict[int | None, Decimal]) -> Check:
    return compare(name, title, {**expected}, found, _names(Asset, "number"))


def sales_tax_ties() -> Check:
    """Per document, named with its agencies: tax invoiced and remitted, against sales tax payable."""

    def label(key: tuple[str, int]) -> str:
        source_type, source_id = key
        invoiced = InvoiceTax.objects.filter(invoice=source_id if source_type == "invoice" else 0)
        remitted = TaxRemittance.objects.filter(pk=source_id if source_type == "tax_remittance" else 0)
        agencies = sorted({*invoiced.values_list("agency", flat=True), *remitted.values_list("agency", flat=True)})
        return f"{document_name(key)} ({', '.join(agencies) or 'no agency'})"

    return compare(
        "sales_tax",
        "Sales tax payable: tax of invoices less remittances, per document",
        subledgers.sales_tax_by_document(),
        booked(AccountType.SALES_TAX, by=("entry__source_type", "entry__source_id"), sign=-1),
        label,
    )


# Documents against what they booked

#: The side of the books a role and an account type stand for: the mapping may change, this may not.
_SIDES: Final[dict[str, tuple[tuple[GlRole, ...], tuple[AccountType, ...]]]] = {
    "receivables": ((GlRole.ACCOUNTS_RECEIVABLE,), (AccountType.RECEIVABLE,)),
    "payables": ((GlRole.ACCOUNTS_PAYABLE,), (AccountType.PAYABLE,)),
    "goods received, not invoiced": ((GlRole.GRNI,), (AccountType.GRNI,)),
    "inventory": ((GlRole.INVENTORY,), (AccountType.INVENTORY,)),
    "sales tax": ((GlRole.SALES_TAX_PAYABLE,), (AccountType.SALES_TAX,)),
    "revenue": (
        (GlRole.AGREEMENT_REVENUE, GlRole.PRODUCT_REVENUE, GlRole.SERVICE_REVENUE, GlRole.EXPENSE_REVENUE),
        (AccountType.INCOME, AccountType.OTHER_INCOME),
    ),
    "deferred revenue": ((GlRole.DEFERRED_REVENUE,), (AccountType.DEFERRED_REVENUE,)),
    "cost": (
        (GlRole.COGS, GlRole.PURCHASE_PRICE_VARIANCE, GlRole.FREIGHT_IN, GlRole.PURCHASE_TAX),
        (AccountType.COGS, AccountType.EXPENSE, AccountType.OTHER_EXPENSE),
    ),
}
_SIDE_OF_ROLE: Final = {role.value: side for side, (roles, _) in _SIDES.items() for role in roles}
_SIDE_OF_TYPE: Final = {kind.value: side for side, (_, kinds) in _SIDES.items() for kind in kinds}


def _role_itself(role: GlRole, key: Key) -> str:
    """An account resolver that needs no mapping: the role stands for its account."""
    return role.value


def documents_are_booked_as_derived(bills: Iterable[Any]) -> Check:
    """Per document and side of the books: what the posting rules derive again, against what is booked."""
    documents: list[AnyDocument] = [
        *load_receipts(subledgers.transferred_receipts()),
        *bills,
        *load_invoices(subledgers.transferred_invoices()),
    ]
    expected: dict[tuple[str, int, str], Decimal] = defaultdict(lambda: ZERO)
    for document in documents:
        draft = document.draft(_role_itself)
        for line in draft.lines if draft else ():
            expected[document.source_type.value, document.source_id, _SIDE_OF_ROLE[line.account]] += line.net
    found: dict[tuple[str, int, str], Decimal] = defaultdict(lambda: ZERO)
    rows = JournalLine.objects.filter(entry__source_type__in=[kind.value for kind in DOCUMENTS])
    by = ("entry__source_type", "entry__source_id", "account__type")
    for source_type, source_id, kind, net in rows.values_list(*by).annotate(net=NET).order_by():
        found[source_type, source_id, _SIDE_OF_TYPE.get(kind, kind)] += net
    debits = {key: net for key, net in expected.items() if net}
    return compare(
        "documents",
        "Receipts, bills and invoices are booked as the posting rules derive them (net of debits and credits)",
        debits,
        {key: net for key, net in found.items() if net},
        lambda key: f"{document_name(key[:2])}, {key[2]}",
    )


_DIRECT: Final[tuple[tuple[str, Any], ...]] = (
    ("customer_payment", Payment),
    ("vendor_payment", VendorPayment),
    ("tax_remittance", TaxRemittance),
)


def direct_documents_are_booked() -> Check:
    """Payments, what of them was taken back, and remittances are booked, once, at their amount and on their day."""
    made = {
        (source_type, pk, False): (amount, on)
        for source_type, model in _DIRECT
        for pk, amount, on in model.objects.values_list("pk", "amount", "date")
    }
    for pk, amount, on in PaymentReversal.objects.values_list("payment", "payment__amount", "date"):
        made["customer_payment", pk, True] = amount, on
    found: dict[tuple[str, int, bool], Decimal] = defaultdict(lambda: ZERO)
    moved = []
    entries = JournalEntry.objects.filter(source_type__in=[source_type for source_type, _ in _DIRECT])
    for source_type, pk, step, total, on, number in entries.values_list(
        "source_type", "source_id", "step", "total", "date", "number"
    ):
        key = source_type, pk, step.endswith(":reversal")
        found[key] += total
        document_date = made[key][1] if key in made else on
        if document_date != on:
            moved.append(f"{number} is dated {format_date(on)}, its document {format_date(document_date)}")
    check = compare(
        "payments_booked",
        "Payments and remittances are booked once",
        {key: amount for key, (amount, _) in made.items()},
        found,
        lambda key: f"{document_name(key[:2])}{', taken back' if key[2] else ''}",
    )
    return Check(check.name, check.title, check.ok and not moved, check.expected, check.found, (*check.details, *moved))


def batches_are_complete() -> Check:
    """Every entry of a document came through a transferred batch, and no open batch holds what is booked.

    But for the batch that a billing run is filling: it is transferred when the run is finished.
    """
    run = unfinished_run()
    filling = run.batch_id if run else None
    held = {
        (source_type, pk): BatchStatus.TRANSFERRED.value if batch == filling else status
        for source_type, pk, status, batch in BatchItem.objects.values_list(
            "source_type", "source_id", "batch__status", "batch"
        )
    }
    entries = JournalEntry.objects.filter(source_type__in=[kind.value for kind in DOCUMENTS])
    faults = (
        f"{number} books {source_type.replace('_', ' ')} {label}, which came through no transferred batch"
        for number, source_type, pk, label in entries.order_by("id").values_list(
            "number", "source_type", "source_id", "source_label"
        )
        if held.get((source_type, pk)) != BatchStatus.TRANSFERRED
    )
    return no_faults("batches", "Documents came to the books through batches", entries.count(), faults)


# Documents by themselves


def vendor_bills_add_up() -> Check:
    """Lines, freight and tax of each vendor bill add up to its total."""
    rows = VendorBill.objects.annotate(parts=Coalesce(Sum("lines__amount"), ZERO) + F("freight") + F("tax"))
    return compare(
        "vendor_bills",
        "Vendor bills add up",
        dict(rows.values_list("number", "parts")),
        dict(rows.values_list("number", "total")),
        lambda number: f"Bill {number}",
    )


def depreciation_adds_up() -> Check:
    """Schedules accumulate without a gap, end at cost less salvage, and posted lines are booked at their amount."""

    def faults() -> Iterator[str]:
        for book in DepreciationBook.objects.select_related("asset").prefetch_related("lines__entry").order_by("id"):
            yield from _schedule_faults(book, list(book.lines.all()))

    return no_faults("depreciation", "Depreciation schedules add up", DepreciationLine.objects.count(), faults())


def _schedule_faults(book: DepreciationBook, lines: list[DepreciationLine]) -> Iterator[str]:
    asset, accumulated = book.asset, ZERO
    for line in lines:
        accumulated += line.amount
        where = f"{asset.number}, {book.get_name_display()}, {format_date(line.start)}"
        if line.accumulated != accumulated:
            yield f"{where}: {format_money(line.accumulated)} accumulated, the lines give {format_money(accumulated)}"
        if line.net_book_value != asset.cost - line.accumulated:
            yield f"{where}: the net book value is not cost less accumulated depreciation"
        if line.entry and line.entry.total != line.amount:
            booked_at = format_money(line.entry.total)
            yield f"{where}: {format_money(line.amount)}, booked as {booked_at} in {line.entry.number}"
    is_whole = asset.disposed_on is None and book.total_units is None and lines
    if is_whole and book.name == BookName.BOOK and accumulated != asset.cost - book.salvage:
        yield f"{asset.number}: depreciates {format_money(accumulated)} of {format_money(asset.cost - book.salvage)}"


# Stock


def stock_is_the_sum_of_its_movements() -> Check:
    """Quantity and value of each product in each bin, against its movements."""
    return compare(
        "stock",
        "Stock is the sum of its movements (quantity and value, per product and bin)",
        _stock(StockMovement.objects.all()),
        _stock(StockBalance.objects.all()),
        _place,
    )


def _stock(rows: Any) -> dict[tuple[str, str, str], Decimal]:
    sums = rows.values_list("product__identifier", "bin__warehouse__name", "bin__name")
    held: dict[tuple[str, str, str], Decimal] = {}
    for product, warehouse, bin_name, quantity, value in sums.annotate(q=Sum("quantity"), v=Sum("value")).order_by():
        held[product, f"{warehouse} / {bin_name}", "quantity"] = quantity
        held[product, f"{warehouse} / {bin_name}", "value"] = value
    return held


def _place(key: tuple[str, str, str]) -> str:
    product, where, what = key
    return f"{what} of {product} in {where}"


def movements_match_their_documents() -> Check:
    """Each stocked receipt and shipment line moved its quantity at its cost."""
    expected: dict[tuple[str, int, str], Decimal] = {}
    found: dict[tuple[str, int, str], Decimal] = {}
    sources: tuple[tuple[str, Any, str, int], ...] = (
        ("receipt", ReceiptLine.objects.filter(is_stocked=True), "receipt_line", 1),
        ("shipment", ShipmentLine.objects.filter(bin__isnull=False), "shipment_line", -1),
    )
    for kind, lines, field, sign in sources:
        for pk, quantity, cost in lines.values_list("pk", "quantity", "cost"):
            expected[kind, pk, "quantity"], expected[kind, pk, "cost"] = sign * quantity, sign * cost
        moved = StockMovement.objects.filter(**{f"{field}__isnull": False}).values_list(field)
        for pk, quantity, value in moved.annotate(q=Sum("quantity"), v=Sum("value")).order_by():
            found[kind, pk, "quantity"], found[kind, pk, "cost"] = quantity, value
    return compare(
        "movements",
        "Stock movements match receipts and shipments (quantity and cost, per line)",
        expected,
        found,
        _line_name,
    )


def _line_name(key: tuple[str, int, str]) -> str:
    kind, pk, what = key
    if kind == "receipt":
        row = ReceiptLine.objects.filter(pk=pk).values_list("receipt__number", "position").first()
    else:
        row = ShipmentLine.objects.filter(pk=pk).values_list("shipment__number", "position").first()
    number, position = row or (f"lost {kind} line", pk)
    return f"{what} of {number} line {position}"


def serials_match_stock() -> Check:
    """Of each serialized product, as many serial numbers are in a bin as there are units."""
    where = ("product__identifier", "bin__warehouse__name", "bin__name")
    held = StockBalance.objects.filter(product__serialized=True).values_list(*where).annotate(n=Sum("quantity"))
    known = SerialNumber.objects.filter(status=SerialStatus.IN_STOCK).values_list(*where).annotate(n=Count("id"))
    return compare(
        "serials",
        "Serial numbers in stock match the quantity of serialized products",
        {tuple(row[:3]): row[3] for row in held.order_by() if row[3]},
        {tuple(row[:3]): Decimal(row[3]) for row in known.order_by()},
        lambda key: f"{key[0]} in {key[1]} / {key[2]}",
    )


# Numbers and the trail

#: Documents that are never deleted, so their numbers run without a gap.
_NUMBERED: Final[tuple[tuple[str, Any], ...]] = (
    ("invoice", Invoice.objects.filter(~Q(number=None))),
    ("journal_entry", JournalEntry.objects.all()),
    ("receipt", Receipt.objects.all()),
    ("payment", Payment.objects.all()),
    ("vendor_payment", VendorPayment.objects.all()),
    ("tax_remittance", TaxRemittance.objects.all()),
    ("asset", Asset.objects.all()),
)


def numbers_have_no_gaps() -> Check:
    """Numbers of invoices, entries and other lasting documents run from 1 without a gap.

    Those that a billing run has reserved and not written yet are no gap.
    """
    sequences: dict[str, list[NumberSequence]] = defaultdict(list)
    for sequence in NumberSequence.objects.all():
        is_of_invoices = sequence.name == CREDIT_MEMOS.name or sequence.name.startswith(f"{INVOICES.name}:")
        sequences[INVOICES.name if is_of_invoices else sequence.name].append(sequence)
    faults, checked, reserved = [], 0, reserved_numbers()
    for name, rows in _NUMBERED:
        numbers = set(rows.all().values_list("number", flat=True))
        checked += len(numbers)
        due = {
            number_text(each.prefix, each.width, value)
            for each in sequences[name]
            for value in range(1, each.next_value)
        }
        words = name.replace("_", " ")
        faults += [f"{words} {number} is missing" for number in sorted(due - numbers - reserved)]
        faults += [f"{words} {number} is not a number that was given out" for number in sorted(numbers - due)]
    return no_faults("numbers", "Numbers run without a gap", checked, faults)


def audit_trail_is_whole() -> Check:
    """The chain of hashes of the audit trail holds."""
    return no_faults("audit", "The audit trail is whole", AuditEntry.objects.count(), broken_links())


def acceptances_hold() -> Check:
    """The records and signed PDFs of accepted quotes are those that the audit trail knows."""
    return no_faults("acceptances", "Accepted quotes are as signed", Acceptance.objects.count(), broken_acceptances())
