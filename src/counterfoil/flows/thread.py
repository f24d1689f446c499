"""The thread of a document: where it came from and what came of it, from the quote to the journal.

Lines name the quote line they descend from (``origin``) and the line they were made of (an order line, a purchase order
line, an addition); journal entries name their source document. The thread follows both, up to the opportunity and down
again, in a fixed number of queries however long it is. It reads many contexts and changes nothing.

What shares a single opportunity is one deal and shown together: the leased server's order, purchase and depreciation
beside the agreement that earns its cost. A document that serves several deals (a purchase order for two customers)
shows its own lines' way only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, Literal

from django.db import models

from counterfoil.agreements.models import Addition, Agreement
from counterfoil.agreements.queries import period_amount
from counterfoil.assets.models import Asset
from counterfoil.billing.models import Invoice
from counterfoil.catalog.policies import GOODS
from counterfoil.companies.queries import local_date
from counterfoil.core.calendar import Cycle, nth_period
from counterfoil.core.money import ZERO, extend, format_money, multiply, round_money, sum_money
from counterfoil.core.states import words
from counterfoil.flows.lineage import Lineage, lineage_of
from counterfoil.inventory.models import ReceiptLine, ShipmentLine
from counterfoil.orders.models import SalesOrderLine
from counterfoil.procurement.models import PurchaseOrderLine, VendorBillLine
from counterfoil.quotes.models import Opportunity, QuoteVersion
from counterfoil.quotes.queries import totals_of

NOTHING: Final = Decimal(0)

Kind = Literal[
    "quote",
    "opportunity",
    "agreement",
    "sales_order",
    "purchase_order",
    "receipt",
    "shipment",
    "vendor_bill",
    "invoice",
    "journal_entry",
    "asset",
    "depreciation",
]


@dataclass(frozen=True, slots=True)
class ThreadEvent:
    """A document on the thread.

    Attributes:
        kind: what it is.
        title: number and name, as people say it.
        on: its date.
        amount: what of it belongs to this thread, in the MSP's currency, before tax.
        state: where it stands.
        note: a few more words.
        difference: in words, where it departs from what it came from.
        model: label of the record to link to (``orders.salesorder``), with its id ``pk``.
        current: whether the thread was asked for from here.
    """

    kind: Kind
    title: str
    on: date | None
    amount: Decimal | None
    state: str
    note: str
    model: str
    pk: int
    current: bool = False
    difference: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A station of the way: ``done``, ``current`` (what comes next), ``waiting`` or ``skipped`` (not needed).

    ``model`` and ``pk`` name the first document of the station, if there is one.
    """

    label: str
    state: str
    note: str = ""
    model: str = ""
    pk: int | None = None


@dataclass(frozen=True, slots=True)
class Thread:
    """The documents of a thread in the order of the way, and how far it has come."""

    events: tuple[ThreadEvent, ...]
    steps: tuple[Step, ...]


def thread_of(obj: models.Model) -> list[ThreadEvent]:
    """The documents before and after ``obj``, ``obj`` among them marked as current."""
    return list(follow(obj).events)


def steps_of(obj: models.Model) -> list[Step]:
    """The stations of the thread of ``obj`` and which comes next."""
    return list(follow(obj).steps)


def follow(obj: models.Model) -> Thread:
    """Thread and stations of a document (or one of its lines) at once; neither for what has no thread.

    Knows quotes and their versions, opportunities, agreements, sales orders, purchase orders, receipts, shipments,
    vendor bills, invoices, journal entries of those, assets, and the lines of all of them.
    """
    found = lineage_of(obj)
    if found is None:
        return Thread((), ())
    return Thread(tuple(_events(found)), tuple(_steps(found)))


# -- the events --------------------------------------------------------------------------------------------------------


def _events(found: Lineage) -> Iterable[ThreadEvent]:
    yield from (_quote(found, version) for version in found.versions)
    yield from _opportunities(found)
    yield from (_agreement(found, agreement) for agreement in found.agreements)
    yield from (_order(found, lines) for lines in _grouped(found.order_lines, "order_id"))
    yield from (_purchase(found, lines) for lines in _grouped(found.purchase_lines, "purchase_order_id"))
    for received in _grouped(found.receipt_lines, "receipt_id"):
        yield _receipt(found, received)
        yield from _journal(found, "receipt", received[0].receipt_id)
    for sent in _grouped(found.shipment_lines, "shipment_id"):
        yield _shipment(found, sent)
    for billed in _grouped(found.bill_lines, "bill_id"):
        yield _bill(found, billed)
        yield from _journal(found, "vendor_bill", billed[0].bill_id)
    for invoice in found.invoices:
        yield _invoice(found, invoice)
        yield from _journal(found, "invoice", invoice.pk)
    for asset in found.assets:
        yield _asset(found, asset)
        yield from _journal(found, "asset", asset.pk)
        if asset.pk in found.depreciation:
            yield _depreciation(asset, found.depreciation[asset.pk])


def _grouped(lines: list[Any], head: str) -> list[list[Any]]:
    groups: dict[int, list[Any]] = defaultdict(list)
    for line in lines:
        groups[getattr(line, head)].append(line)
    return list(groups.values())


def _event(
    found: Lineage,
    kind: Kind,
    record: models.Model,
    *,
    title: str,
    on: date | None,
    amount: Decimal | None,
    state: str = "",
    note: str = "",
    difference: str = "",
) -> ThreadEvent:
    label = record._meta.label_lower
    return ThreadEvent(
        kind, title, on, amount, state, note, label, record.pk, found.is_start(record), difference=difference
    )


def _quote(found: Lineage, version: QuoteVersion) -> ThreadEvent:
    """The version as it was signed, or as it stands."""
    quote, signed = version.quote, getattr(version, "acceptance", None)
    lines = [line for line in found.quote_lines if line.version_id == version.pk]
    day = signed.accepted_at if signed is not None else version.sent_at or version.created_at
    label = quote._meta.label_lower
    return ThreadEvent(
        "quote",
        f"{quote.number} version {version.number} {quote.name}",
        local_date(day),
        totals_of(lines).revenue if lines else None,
        version.status,
        f"accepted by {signed.name}" if signed is not None else quote.get_kind_display().lower(),
        label,
        quote.pk,
        found.is_start(quote) or found.is_start(version),
    )


def _opportunities(found: Lineage) -> Iterable[ThreadEvent]:
    groups = _grouped(found.quote_lines, "opportunity_id")
    if not groups and isinstance(found.start, Opportunity):
        groups = [[]]
    for lines in groups:
        record: Any = lines[0].opportunity if lines else found.start
        converted = sum(hasattr(line, "conversion") for line in lines)
        yield _event(
            found,
            "opportunity",
            record,
            title=f"{record.number} {record.name}",
            on=local_date(record.created_at),
            amount=totals_of(lines).revenue if lines else None,
            state=record.status,
            note=f"{converted} of {len(lines)} lines converted" if lines else "no lines",
        )


def _agreement(found: Lineage, agreement: Agreement) -> ThreadEvent:
    cycle = Cycle.parse(agreement.billing_cycle)
    return _event(
        found,
        "agreement",
        agreement,
        title=f"{agreement.number} {agreement.name}",
        on=agreement.start_date,
        amount=period_amount(agreement, nth_period(agreement.bill_start_date, cycle, 0)),
        state=agreement.status,
        note=", ".join(
            [
                "once" if agreement.bill_one_time else cycle.label.lower(),
                *([_invoices(len(found.agreement_invoices))] if found.agreement_invoices else []),
                *_by_hand(found, agreement.additions.all(), "addition"),
            ]
        ),
    )


def _order(found: Lineage, lines: list[SalesOrderLine]) -> ThreadEvent:
    order = lines[0].order
    price = sum_money(extend(line.quantity, line.unit_price) for line in lines)
    cost = sum_money(extend(line.quantity, line.unit_cost) for line in lines)
    return _event(
        found,
        "sales_order",
        order,
        title=order.number,
        on=order.order_date,
        amount=price,
        state=order.status,
        note=", ".join([*([] if price else [f"cost {format_money(cost)}"]), *_by_hand(found, lines, "line")]),
    )


def _purchase(found: Lineage, lines: list[PurchaseOrderLine]) -> ThreadEvent:
    order = lines[0].purchase_order
    amount = sum_money(_cost(line.quantity - line.quantity_cancelled, line.unit_cost) for line in lines)
    quoted = sum_money(_cost(line.quantity - line.quantity_cancelled, _sold_at_cost(found, line)) for line in lines)
    return _event(
        found,
        "purchase_order",
        order,
        title=order.number,
        on=order.order_date,
        amount=amount,
        state=order.status,
        note=", ".join([order.vendor.name, *_by_hand(found, lines, "line")]),
        difference=_against("ordered by the customer at", quoted, amount),
    )


def _sold_at_cost(found: Lineage, line: PurchaseOrderLine) -> Decimal:
    """What it was expected to cost when it was sold; its own cost where the two cannot be laid beside each other.

    An addition's cost is that of its agreement's billing cycle; what is bought in another one, the match compares.
    """
    sold: SalesOrderLine | Addition | None = line.order_line or line.addition
    cycles = {agreement.pk: agreement.billing_cycle for agreement in found.agreements}
    if isinstance(sold, Addition) and cycles.get(sold.agreement_id) != line.billing_cycle:
        sold = None
    cost: Decimal = line.unit_cost if sold is None else sold.unit_cost
    return cost


def _by_hand(found: Lineage, lines: Iterable[Any], noun: str) -> list[str]:
    """How many stand beside a quote without having come from it."""
    if not found.versions:
        return []
    count = sum(line.origin_id is None for line in lines)
    return [f"{count} {noun}{'s' if count != 1 else ''} entered by hand"] if count else []


def _receipt(found: Lineage, lines: list[ReceiptLine]) -> ThreadEvent:
    receipt = lines[0].receipt
    return _event(
        found,
        "receipt",
        receipt,
        title=receipt.number,
        on=receipt.date,
        amount=sum_money(line.cost for line in lines),
        state=_book_state(found, "receipt", receipt.pk),
        note="received",
    )


def _shipment(found: Lineage, lines: list[ShipmentLine]) -> ThreadEvent:
    shipment = lines[0].shipment
    return _event(
        found,
        "shipment",
        shipment,
        title=shipment.number,
        on=shipment.date,
        amount=sum_money(line.cost for line in lines) or None,
        state="shipped",
        note=shipment.tracking_number,
    )


def _bill(found: Lineage, lines: list[VendorBillLine]) -> ThreadEvent:
    bill = lines[0].bill
    amount = sum_money(line.amount for line in lines)
    ordered = sum_money(_cost(line.quantity, line.purchase_order_line.unit_cost) for line in lines)
    return _event(
        found,
        "vendor_bill",
        bill,
        title=bill.number,
        on=bill.date,
        amount=amount,
        state=_book_state(found, "vendor_bill", bill.pk),
        note=f"their {bill.vendor_invoice_number}",
        difference=_against("ordered at", ordered, amount),
    )


def _invoice(found: Lineage, invoice: Invoice) -> ThreadEvent:
    in_books = invoice.status == "closed"
    kind = words(invoice.type)
    if invoice.type not in ("credit_memo", "down_payment"):
        kind += " invoice"
    notes = [f"to {invoice.bill_to_name}" if invoice.sales_order_id else kind]
    if not invoice.subtotal and invoice.cost_total:
        notes.append(f"cost {format_money(invoice.cost_total)}")
    return _event(
        found,
        "invoice",
        invoice,
        title=str(invoice).capitalize() if not invoice.number else invoice.number,
        on=invoice.date,
        amount=invoice.subtotal,
        state=_book_state(found, "invoice", invoice.pk) if in_books else invoice.status,
        note=", ".join(notes),
    )


def _journal(found: Lineage, source_type: str, source_id: int) -> Iterable[ThreadEvent]:
    for entry in found.entries.get((source_type, source_id), ()):
        yield _event(
            found,
            "journal_entry",
            entry,
            title=entry.number,
            on=entry.date,
            amount=entry.total,
            state="posted",
            note=entry.memo,
        )


def _asset(found: Lineage, asset: Asset) -> ThreadEvent:
    return _event(
        found,
        "asset",
        asset,
        title=f"{asset.number} {asset.description}",
        on=asset.in_service_date,
        amount=asset.cost,
        state=asset.status,
    )


def _depreciation(asset: Asset, row: dict[str, Any]) -> ThreadEvent:
    return ThreadEvent(
        "depreciation",
        "Depreciation",
        row["last"],
        row["amount"] or ZERO,
        "done" if row["booked"] == row["months"] else "",
        f"{row['booked']} of {row['months']} months booked",
        asset._meta.label_lower,
        asset.pk,
    )


def _cost(quantity: Decimal, unit_cost: Decimal) -> Decimal:
    return round_money(multiply(quantity, unit_cost))


def _against(words: str, expected: Decimal, actual: Decimal) -> str:
    if expected == actual:
        return ""
    way = "more" if actual > expected else "less"
    return f"{format_money(abs(actual - expected))} {way}: {words} {format_money(expected)}"


def _book_state(found: Lineage, source_type: str, source_id: int) -> str:
    """``unposted``, ``in batch`` or ``transferred``."""
    if (source_type, source_id) not in found.transferred:
        return "unposted"
    return "transferred" if found.transferred[source_type, source_id] else "in_batch"


# -- the stations ------------------------------------------------------------------------------------------------------


def _steps(found: Lineage) -> Iterable[Step]:
    """``done`` while everything so far is; the first that is not is ``current``, those after it ``waiting``."""
    current_is_taken = False
    for label, done, wanted, record, note in _stations(found):
        if not wanted:
            yield Step(label, "skipped", note)
            continue
        is_done = done >= wanted
        state = "done" if is_done else "waiting" if current_is_taken else "current"
        current_is_taken = current_is_taken or not is_done
        yield Step(
            label, state, note, record._meta.label_lower if record is not None else "", record.pk if record else None
        )


Station = tuple[str, Decimal, Decimal, models.Model | None, str]


def _stations(found: Lineage) -> Iterable[Station]:
    """Each station: what is done of what there is to do, and its first document."""
    quote = found.quote_lines[0].opportunity if found.quote_lines else None
    if isinstance(found.start, Opportunity):
        quote = found.start
    if found.versions:
        accepted = any(version.status == "accepted" for version in found.versions)
        if not accepted:  # where it stands: nobody takes what comes next for what was done
            yield words(found.versions[-1].status).capitalize(), NOTHING, Decimal(1), found.versions[-1].quote, ""
        yield "Accepted", Decimal(accepted), Decimal(1), found.versions[0].quote, ""
    elif quote is not None:
        yield "Quoted", Decimal(1), Decimal(1), quote, ""
    yield from _promised(found)
    goods = [line for line in found.order_lines if line.product.product_class in GOODS]
    to_order = [line for line in found.quote_lines if line.product.product_class in GOODS]
    if goods or to_order or found.purchase_lines:
        yield from _logistics(found, goods, bool(to_order))
    yield from _money(found)


def _promised(found: Lineage) -> Iterable[Station]:
    """Agreed and ordered: what of the quote has been converted, or that it exists without a quote."""
    agreement_lines = [line for line in found.quote_lines if line.product.product_class == "Agreement"]
    order_lines = [line for line in found.quote_lines if line.product.product_class != "Agreement"]
    for label, quoted, record in (
        ("Agreed", agreement_lines, found.agreements[0] if found.agreements else None),
        ("Ordered", order_lines, found.order_lines[0].order if found.order_lines else None),
    ):
        converted = sum(hasattr(line, "conversion") for line in quoted)
        if quoted:
            note = _part(Decimal(converted), Decimal(len(quoted)), "lines") if converted else ""
            yield label, Decimal(converted), Decimal(len(quoted)), record, note
        elif record is not None:
            yield label, Decimal(1), Decimal(1), record, ""


def _logistics(found: Lineage, goods: list[SalesOrderLine], expected: bool) -> Iterable[Station]:
    """Bought, received and shipped, by quantity."""
    alive = [line for line in found.purchase_lines if line.purchase_order.status != "cancelled"]
    ordered = _total(line.quantity for line in goods)
    bought = _total(line.quantity - line.quantity_cancelled for line in alive)
    received = _total(line.quantity for line in found.receipt_lines)
    shipped = _total(line.quantity for line in found.shipment_lines)
    # What was shipped from stock without being bought needs no buying.
    need = ordered - max(shipped - received, NOTHING) if goods else bought
    unknown = Decimal(1) if expected and not goods else NOTHING
    purchase = alive[0].purchase_order if alive else None
    receipt = found.receipt_lines[0].receipt if found.receipt_lines else None
    shipment = found.shipment_lines[0].shipment if found.shipment_lines else None
    yield "Bought", bought, max(need, unknown), purchase, _part(bought, need)
    yield "Received", received, max(bought, need, unknown), receipt, _part(received, bought)
    if goods or expected:
        yield "Shipped", shipped, max(ordered, unknown), shipment, _part(shipped, ordered)


def _all_invoices(found: Lineage) -> set[int]:
    """Those of the thread, and those of its agreements that are not shown."""
    return {invoice.pk for invoice in found.invoices} | found.agreement_invoices


def _money(found: Lineage) -> Iterable[Station]:
    """Billed (closed invoices), booked (transferred documents), depreciated."""
    first = found.invoices[0] if found.invoices else None
    if found.order_lines or found.agreements or found.quote_lines:
        ordered = _total(line.quantity for line in found.order_lines)
        invoiced = found.invoiced
        drafts = sum(invoice.status == "draft" for invoice in found.invoices)
        missing_agreement = bool(found.agreements) and not found.agreement_closed
        is_done = bool(first) and invoiced >= ordered and not drafts and not missing_agreement
        count = len(_all_invoices(found))
        note = _invoices(count) if count else ""
        yield "Billed", Decimal(is_done), Decimal(1), first, note + (", draft" if drafts and count == 1 else "")
    documents = [
        *(("receipt", pk) for pk in {line.receipt_id for line in found.receipt_lines}),
        *(("vendor_bill", pk) for pk in {line.bill_id for line in found.bill_lines}),
        *(("invoice", pk) for pk in _all_invoices(found)),
    ]
    booked = sum(found.transferred.get(document, False) for document in documents)
    entry = next((entries[0] for entries in found.entries.values()), None)
    note = _part(Decimal(booked), Decimal(len(documents)), "documents")
    yield "Booked", Decimal(booked), Decimal(len(documents) or 1), entry, note
    if found.assets:
        months = sum(row["months"] for row in found.depreciation.values())
        posted = sum(row["booked"] for row in found.depreciation.values())
        note = _part(Decimal(posted), Decimal(months), "months")
        yield "Depreciated", Decimal(posted), Decimal(months or 1), found.assets[0], note


def _invoices(count: int) -> str:
    return f"{count} invoice{'s' if count != 1 else ''}"


def _total(quantities: Iterable[Decimal]) -> Decimal:
    return sum(quantities, NOTHING)


def _part(done: Decimal, wanted: Decimal, unit: str = "") -> str:
    """``2 of 5``; nothing at the start and at the end of the way."""
    if not done or done >= wanted:
        return ""
    return f"{done.normalize():f} of {wanted.normalize():f} {unit}".strip()
