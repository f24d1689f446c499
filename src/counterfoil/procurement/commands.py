"""Buying: purchase orders from the orders' demand, the vendors' bills, and paying them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db import models

from counterfoil.catalog.models import Offer
from counterfoil.companies.models import BillingTerms, Company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, extend, format_money, sum_money
from counterfoil.core.posting import post_vendor_payment
from counterfoil.core.states import check_transition, words
from counterfoil.ledger.banks import bank_account, paid_through
from counterfoil.ledger.commands import Posting, post_drafts
from counterfoil.ledger.models import JournalEntry
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount, check_price, check_quantity
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.holds import ensure_not_held
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked, locked_all
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import UNSET, Unset, change, values_of
from counterfoil.platform.records import plain_number as plain
from counterfoil.procurement.demand import parts_of
from counterfoil.procurement.lines import (
    PurchaseLine,
    check_addition,
    check_demand,
    check_line,
    demanding,
    demanding_additions,
    demanding_order_lines,
    line_of,
)
from counterfoil.procurement.models import (
    PurchaseOrder,
    PurchaseOrderLine,
    PurchaseOrderStatus,
    VendorBill,
    VendorBillLine,
    VendorPayment,
    VendorPaymentApplication,
)
from counterfoil.procurement.queries import balances_of_bills, billed_of, received_of

__all__ = [
    "BillLine",
    "BillPayment",
    "PurchaseLine",
    "add_purchase_order_lines",
    "cancel_purchase_order",
    "cancel_remainder",
    "close_when_complete",
    "create_purchase_order",
    "delete_vendor_bill",
    "enter_vendor_bill",
    "pay_vendor_bill",
    "record_vendor_payment",
    "remove_purchase_order_line",
    "send_purchase_order",
    "update_purchase_order",
    "update_purchase_order_line",
]

BUYERS = (Role.PROCUREMENT,)
BILL_CLERKS = (Role.PROCUREMENT, Role.FINANCE)
FINANCE = (Role.FINANCE,)

refuse_as("payment_applied_once_per_bill", "duplicate", "A bill is named twice; settle each with one amount.")
refuse_as("vendor_invoice_number_once", "duplicate", "That vendor invoice number has been entered for this vendor.")


@command(roles=BUYERS)
def create_purchase_order(
    *,
    actor: Actor,
    vendor_id: int,
    order_date: date,
    lines: Sequence[PurchaseLine] = (),
    terms_id: int | None = None,
    vendor_order_number: str = "",
    notes: str = "",
) -> PurchaseOrder:
    """Draft a purchase order. ``order_date`` (the PO date) decides the period of the cost.

    Raises:
        DomainError: ``not_found``; ``invalid`` when the company is no vendor; ``more_than_ordered`` when a sales order
            line or addition would be bought twice; ``wrong_state`` when its order or agreement has ended;
            ``wrong_product_class`` for a bundle.
    """
    vendor = existing(Company.objects.all(), vendor_id, "vendor")
    if not vendor.is_vendor:
        raise DomainError("invalid", f"{vendor.name} is not a vendor.", field="vendor")
    if terms_id is not None:
        existing(BillingTerms.objects.all(), terms_id, "terms")
    order = PurchaseOrder.objects.create(
        number=take_number("purchase_order"),
        vendor=vendor,
        order_date=order_date,
        terms_id=terms_id or vendor.terms_id,
        vendor_order_number=vendor_order_number.strip(),
        notes=notes.strip(),
    )
    written = _write_lines(order, lines, first_position=1)
    total = sum_money(extend(line.quantity, line.unit_cost) for line in written)
    audit.record(
        actor,
        "procurement.purchase_order.created",
        f"drafted {order.number} to {vendor.name} for {_spoken(written)}, {format_money(total)}, dated"
        f" {format_date(order_date)}",
        order,
    )
    return order


@command(roles=BUYERS)
def add_purchase_order_lines(
    *, actor: Actor, purchase_order_id: int, lines: Sequence[PurchaseLine]
) -> list[PurchaseOrderLine]:
    """Add lines to a draft purchase order.

    Raises:
        DomainError: ``wrong_state`` once it is sent, and what :func:`create_purchase_order` refuses.
    """
    order = _draft(purchase_order_id)
    last = order.lines.aggregate(last=models.Max("position"))["last"] or 0
    written = _write_lines(order, lines, first_position=last + 1)
    if not written:
        raise DomainError("required", "Choose at least one line to add.", field="lines")
    text = f"added {_spoken(written)} to {order.number}"
    audit.record(actor, "procurement.purchase_order.changed", text, order)
    return written


@command(roles=BUYERS)
def update_purchase_order_line(
    *,
    actor: Actor,
    line_id: int,
    quantity: Decimal | None = None,
    unit_cost: Decimal | None = None,
    bin_id: int | None = None,
    description: str | None = None,
    vendor_sku: str | None = None,
    offer_id: int | Unset | None = UNSET,
    term: str | Unset = UNSET,
    billing_cycle: str | Unset = UNSET,
    start_date: date | Unset | None = UNSET,
    end_date: date | Unset | None = UNSET,
) -> PurchaseOrderLine:
    """Change a line of a draft purchase order; what is not given (``None`` for the first five) stays.

    The offer says nothing here but which one is bought: term, billing and cost are given beside it.

    Raises:
        DomainError: ``wrong_state`` once the order is sent; ``more_than_ordered``; ``invalid``; ``not_found``.
    """
    line = existing(PurchaseOrderLine.objects.select_related("product"), line_id)
    order = _draft(line.purchase_order_id)
    before, former = _in_words(line), values_of(line)
    if quantity is not None:
        check_quantity(quantity, "quantity")
    _check_source(line, line.quantity if quantity is None else quantity)
    line.quantity = line.quantity if quantity is None else quantity
    line.unit_cost = line.unit_cost if unit_cost is None else unit_cost
    line.bin_id = line.bin_id if bin_id is None else bin_id
    line.description = line.description if description is None else description.strip()
    line.vendor_sku = line.vendor_sku if vendor_sku is None else vendor_sku.strip()
    if isinstance(offer_id, int):
        existing(Offer.objects.all(), offer_id, "offer_id")
    change(line, offer_id=offer_id, term=term, billing_cycle=billing_cycle, start_date=start_date, end_date=end_date)
    check_line(line, "line")
    if values_of(line) == former:
        audit.record_nothing()
        return line
    line.save()
    text = f"changed {line.product} on {order.number} from {before} to {_in_words(line)}"
    audit.record(actor, "procurement.purchase_order.changed", text, order)
    return line


def _check_source(line: PurchaseOrderLine, quantity: Decimal) -> None:
    """Refuse more than what the line is bought for demands."""
    if line.order_line_id is not None:
        (source,) = demanding_order_lines({line.order_line_id}).values()
        check_demand(source, quantity, besides=line)
    if line.addition_id is not None:
        (addition,) = demanding_additions({line.addition_id}).values()
        check_addition(addition, quantity, parts_of([addition], besides=line)[addition.pk])


def _in_words(line: PurchaseOrderLine) -> str:
    return f"{plain(line.quantity)} at {plain(line.unit_cost)}" + (f" ({line.terms})" if line.terms else "")


@command(roles=BUYERS)
def remove_purchase_order_line(*, actor: Actor, line_id: int) -> PurchaseOrder:
    """Take a line off a draft purchase order; what it covered is demand again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once the order is sent.
    """
    line = existing(PurchaseOrderLine.objects.select_related("product"), line_id)
    order = _draft(line.purchase_order_id)
    line.delete()
    text = f"took {plain(line.quantity)} {line.product} off {order.number}"
    audit.record(actor, "procurement.purchase_order.changed", text, order)
    return order


@command(roles=BUYERS)
def update_purchase_order(
    *,
    actor: Actor,
    purchase_order_id: int,
    order_date: date | None = None,
    terms_id: int | None = None,
    vendor_order_number: str | None = None,
    notes: str | None = None,
) -> PurchaseOrder:
    """Change the head of a purchase order; what is ``None`` stays. Date and terms are fixed once it is sent.

    Raises:
        DomainError: ``not_found``; ``wrong_state``.
    """
    order = locked(PurchaseOrder.objects.all(), purchase_order_id)
    former = values_of(order)
    if order_date is not None or terms_id is not None:
        _check_draft(order)
    if terms_id is not None:
        order.terms = existing(BillingTerms.objects.all(), terms_id, "terms")
    order.order_date = order_date or order.order_date
    order.vendor_order_number = (
        order.vendor_order_number if vendor_order_number is None else vendor_order_number.strip()
    )
    order.notes = order.notes if notes is None else notes.strip()
    if values_of(order) == former:
        audit.record_nothing()
        return order
    order.save(update_fields=["order_date", "terms", "vendor_order_number", "notes"])
    text = f"changed {order.number}, dated {format_date(order.order_date)}"
    audit.record(actor, "procurement.purchase_order.changed", text, order)
    return order


@command(roles=BUYERS)
def send_purchase_order(*, actor: Actor, purchase_order_id: int) -> PurchaseOrder:
    """Mark a draft as sent to the vendor: from now on it can be received, and its lines are fixed.

    Raises:
        DomainError: ``not_found``; ``wrong_state``; ``required`` when it has no lines; ``held``, with every reason.
    """
    order = locked(PurchaseOrder.objects.select_related("vendor"), purchase_order_id)
    check_transition("purchase_order", order.number, order.status, PurchaseOrderStatus.SENT)
    if not order.lines.exists():
        raise DomainError("required", f"{order.number} has no lines to buy.", field="lines")
    ensure_not_held(order, "sent")
    order.status = PurchaseOrderStatus.SENT
    order.save(update_fields=["status"])
    audit.record(actor, "procurement.purchase_order.sent", f"sent {order.number} to {order.vendor.name}", order)
    return order


@command(roles=BUYERS)
def cancel_purchase_order(*, actor: Actor, purchase_order_id: int, reason: str = "") -> PurchaseOrder:
    """Cancel a purchase order of which nothing has arrived; what it covered is demand again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when something has arrived.
    """
    order = locked(PurchaseOrder.objects.all(), purchase_order_id)
    check_transition("purchase_order", order.number, order.status, PurchaseOrderStatus.CANCELLED)
    if any(received_of(order.lines.all()).values()):
        raise DomainError(
            "wrong_state",
            f"Part of {order.number} has arrived; it cannot be cancelled.",
            hint="Cancel the remainder of its lines instead.",
        )
    order.status = PurchaseOrderStatus.CANCELLED
    order.save(update_fields=["status"])
    text = f"cancelled {order.number}" + (f": {reason.strip()}" if reason.strip() else "")
    audit.record(actor, "procurement.purchase_order.cancelled", text, order)
    return order


@command(roles=BUYERS)
def cancel_remainder(*, actor: Actor, line_id: int, reason: str = "") -> PurchaseOrderLine:
    """Cancel what has not arrived of a line; the order closes when nothing else is awaited.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when the order is not sent or nothing is awaited.
    """
    line = existing(PurchaseOrderLine.objects.select_related("product"), line_id)
    order = locked(PurchaseOrder.objects.all(), line.purchase_order_id)
    line.refresh_from_db()
    if order.status != PurchaseOrderStatus.SENT:
        raise DomainError("wrong_state", f"{order.number} is {words(order.status)}; nothing is awaited on it.")
    awaited = line.quantity - line.quantity_cancelled - received_of([line])[line.pk]
    if awaited <= 0:
        raise DomainError("wrong_state", f"All of {line.product} on {order.number} has arrived or is cancelled.")
    line.quantity_cancelled += awaited
    line.save(update_fields=["quantity_cancelled"])
    text = f"cancelled the remaining {plain(awaited)} {line.product} of {order.number}"
    text += f": {reason.strip()}" if reason.strip() else ""
    audit.record(actor, "procurement.purchase_order.remainder_cancelled", text, order)
    close_when_complete(order, actor=actor)
    return line


def close_when_complete(order: PurchaseOrder, *, actor: Actor) -> bool:
    """Close a sent order of which everything has arrived or is cancelled. For commands, inside their transaction.

    Returns:
        Whether it was closed.
    """
    lines = list(order.lines.all())
    received = received_of(lines)
    if any(received[line.pk] + line.quantity_cancelled < line.quantity for line in lines):
        return False
    order.status = PurchaseOrderStatus.CLOSED
    order.save(update_fields=["status"])
    text = f"closed {order.number}: everything has arrived or is cancelled"
    audit.record(actor, "procurement.purchase_order.closed", text, order)
    return True


def _spoken(lines: Sequence[PurchaseOrderLine]) -> str:
    return ", ".join(f"{plain(line.quantity)} {line.product}" for line in lines) or "nothing yet"


def _draft(purchase_order_id: int) -> PurchaseOrder:
    order = locked(PurchaseOrder.objects.select_related("vendor"), purchase_order_id)
    _check_draft(order)
    return order


def _check_draft(order: PurchaseOrder) -> None:
    if order.status != PurchaseOrderStatus.DRAFT:
        raise DomainError(
            "wrong_state",
            f"{order.number} is {words(order.status)}; only a draft can be changed.",
            hint="Cancel what has not arrived, and order the rest anew.",
        )


def _write_lines(
    order: PurchaseOrder, lines: Sequence[PurchaseLine], *, first_position: int
) -> list[PurchaseOrderLine]:
    """Write the lines one after the other, so that two of them cannot take the same demand."""
    sources = demanding(lines)
    written = []
    for offset, line in enumerate(lines):
        where = f"lines[{offset}]"
        row = line_of(line, sources, where)
        row.purchase_order, row.position = order, first_position + offset
        check_line(row, where)
        row.save()
        written.append(row)
    return written


@dataclass(frozen=True, slots=True)
class BillLine:
    """What the vendor bills of a purchase order line.

    Attributes:
        purchase_order_line_id: what was bought.
        quantity: ``None`` is all that has arrived and is not billed yet; of a subscription, all that is in force.
        unit_cost: ``None`` is the cost on the purchase order; another one becomes purchase price variance.
    """

    purchase_order_line_id: int
    quantity: Decimal | None = None
    unit_cost: Decimal | None = None


@command(roles=BILL_CLERKS)
def enter_vendor_bill(
    *,
    actor: Actor,
    vendor_id: int,
    vendor_invoice_number: str,
    date: date,
    lines: Sequence[BillLine],
    freight: Decimal = ZERO,
    tax: Decimal = ZERO,
    due_date: date | None = None,
) -> VendorBill:
    """Enter a vendor's invoice for what has arrived. It waits as unposted until it is transferred to the books.

    What the vendor bills in cycles (licences by the month) is billed again in each of them, as long as the term lasts.

    Args:
        actor: who enters it.
        vendor_id: the vendor of the purchase orders.
        vendor_invoice_number: as printed on it; entered once per vendor.
        date: the date printed on it.
        lines: what it bills.
        freight: freight charged on it.
        tax: sales tax the vendor charged on it.
        due_date: ``None`` reckons it from the terms of the purchase order, else the vendor's.

    Raises:
        DomainError: ``not_found``; ``required``; ``duplicate`` number; ``more_than_received``; ``invalid``.
    """
    vendor = existing(Company.objects.select_related("terms"), vendor_id, "vendor")
    number = vendor_invoice_number.strip()
    if not number:
        raise DomainError("required", "Enter the vendor's invoice number.", field="vendor_invoice_number")
    if len(number) > 20:
        raise DomainError("invalid", "At most 20 characters are kept of it.", field="vendor_invoice_number")
    former = VendorBill.objects.filter(vendor=vendor, vendor_invoice_number=number).first()
    if former is not None:
        raise DomainError(
            "duplicate",
            f"Invoice {number} of {vendor.name} is entered already, as {former}.",
            field="vendor_invoice_number",
        )
    if not lines:
        raise DomainError("required", "Choose at least one line that is billed.", field="lines")
    bought = locked_all(
        PurchaseOrderLine.objects.select_related("purchase_order__terms", "product"),
        {line.purchase_order_line_id for line in lines},
        "lines",
    )
    rows = _bill_rows(vendor, lines, bought)
    check_amount(freight, "freight", zero=True)
    check_amount(tax, "tax", zero=True)
    total = sum_money([*(row.amount for row in rows), freight, tax])
    if total <= 0:
        raise DomainError("invalid", "A bill of nothing cannot be entered.", field="lines")
    terms = bought[lines[0].purchase_order_line_id].purchase_order.terms or vendor.terms
    due = due_date or date + timedelta(days=terms.due_days if terms else 0)
    if due < date:
        raise DomainError("invalid", "A bill cannot be due before its date.", field="due_date")
    bill = VendorBill.objects.create(
        number=take_number("vendor_bill"),
        vendor=vendor,
        vendor_invoice_number=number,
        date=date,
        due_date=due,
        freight=freight,
        tax=tax,
        total=total,
    )
    for row in rows:
        row.bill = bill
    VendorBillLine.objects.bulk_create(rows)
    text = f"entered {bill}, invoice {number} of {vendor.name}, {format_money(total)}, due {format_date(due)}"
    audit.record(actor, "procurement.vendor_bill.entered", text, bill)
    return bill


def _bill_rows(
    vendor: Company, lines: Sequence[BillLine], bought: dict[int, PurchaseOrderLine]
) -> list[VendorBillLine]:
    received, billed = received_of(bought.values()), billed_of(bought.values())
    rows = []
    for index, line in enumerate(lines):
        source, where = bought[line.purchase_order_line_id], f"lines[{index}]"
        order = source.purchase_order
        if order.vendor_id != vendor.pk:
            raise DomainError("invalid", f"{order} was not sent to {vendor.name}.", field=where)
        open_quantity = source.to_bill(received[source.pk], billed[source.pk])
        quantity = open_quantity if line.quantity is None else line.quantity
        cost = source.unit_cost if line.unit_cost is None else line.unit_cost
        if line.quantity is not None:
            check_quantity(line.quantity, f"{where}.quantity")
        check_price(cost, f"{where}.unit_cost")
        if quantity > open_quantity or open_quantity <= 0:
            raise DomainError(
                "more_than_received",
                f"{plain(received[source.pk])} {source.product} of {order} have arrived and {plain(billed[source.pk])}"
                f" are billed; {plain(quantity)} more cannot be billed.",
                field=f"{where}.quantity",
                hint="Receive the goods first.",
            )
        billed[source.pk] += quantity
        amount = extend(quantity, cost)
        rows.append(
            VendorBillLine(
                position=index + 1, purchase_order_line=source, quantity=quantity, unit_cost=cost, amount=amount
            )
        )
    return rows


@command(roles=BILL_CLERKS)
def delete_vendor_bill(*, actor: Actor, bill_id: int) -> None:
    """Delete a vendor's bill that is neither in the books nor paid.

    Raises:
        DomainError: ``not_found``; ``posted_is_locked``; ``wrong_state`` when something is paid on it.
    """
    bill = locked(VendorBill.objects.select_related("vendor"), bill_id)
    if JournalEntry.objects.filter(source_type="vendor_bill", source_id=bill.pk).exists():
        raise DomainError("posted_is_locked", f"{bill} is in the books and cannot be deleted.")
    if bill.applications.exists():
        raise DomainError("wrong_state", f"{bill} has been paid in part or whole and cannot be deleted.")
    text = f"deleted {bill}, invoice {bill.vendor_invoice_number} of {bill.vendor.name}, {format_money(bill.total)}"
    audit.record(actor, "procurement.vendor_bill.deleted", text, bill)
    bill.delete()


@dataclass(frozen=True, slots=True)
class BillPayment:
    """What of a payment settles which bill."""

    bill_id: int
    amount: Decimal


@command(roles=FINANCE)
def pay_vendor_bill(
    *, actor: Actor, bill_id: int, on: date, bank_account_id: int | None = None, reference: str = ""
) -> VendorPayment:
    """Pay all that is open of one bill. See :func:`record_vendor_payment`.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when nothing is open; ``period_closed``; ``held``.
    """
    bill = locked(VendorBill.objects.all(), bill_id)
    balance = balances_of_bills([bill])[bill.pk]
    if balance <= 0:
        raise DomainError("wrong_state", f"{bill} is paid.")
    return record_vendor_payment(
        actor=actor,
        vendor_id=bill.vendor_id,
        on=on,
        applications=[BillPayment(bill.pk, balance)],
        bank_account_id=bank_account_id,
        reference=reference,
    )


@command(roles=FINANCE)
def record_vendor_payment(
    *,
    actor: Actor,
    vendor_id: int,
    on: date,
    applications: Sequence[BillPayment],
    bank_account_id: int | None = None,
    reference: str = "",
) -> VendorPayment:
    """Record money paid to a vendor on its bills, and book it: Dr accounts payable / Cr bank.

    Raises:
        DomainError: ``not_found``; ``invalid`` for more than a bill's balance, a bill of another vendor or an account
            that is no bank; ``held``, with every reason; ``period_closed``, ``period_missing``,
            ``gl_mapping_missing``.
    """
    vendor = existing(Company.objects.all(), vendor_id, "vendor")
    if not applications:
        raise DomainError("required", "Choose at least one bill that is paid.", field="applications")
    bills = locked_all(VendorBill.objects.all(), {each.bill_id for each in applications}, "applications")
    balances = balances_of_bills(bills.values())
    for index, each in enumerate(applications):
        bill, where = bills[each.bill_id], f"applications[{index}]"
        if bill.vendor_id != vendor.pk:
            raise DomainError("invalid", f"{bill} is not a bill of {vendor.name}.", field=where)
        check_amount(each.amount, f"{where}.amount")
        if each.amount > balances[bill.pk]:
            raise DomainError(
                "invalid",
                f"{format_money(each.amount)} is more than the {format_money(balances[bill.pk])} open on {bill}.",
                field=f"{where}.amount",
            )
        balances[bill.pk] -= each.amount
    for bill in bills.values():
        ensure_not_held(bill, "paid")
    bank = bank_account(bank_account_id)
    payment = VendorPayment.objects.create(
        number=take_number("vendor_payment"),
        vendor=vendor,
        date=on,
        amount=sum_money(each.amount for each in applications),
        bank_account=bank,
        reference=reference.strip(),
    )
    VendorPaymentApplication.objects.bulk_create(
        VendorPaymentApplication(payment=payment, bill=bills[each.bill_id], amount=each.amount) for each in applications
    )
    draft = post_vendor_payment(
        accounts=paid_through(bank),
        on=on,
        source_id=payment.pk,
        vendor=vendor.pk,
        amount=payment.amount,
        memo=f"Payment {payment} to {vendor.name}",
    )
    assert draft is not None  # a payment is above zero
    post_drafts([Posting(draft, source_label=payment.number)], actor=actor)
    paid = ", ".join(str(bills[each.bill_id]) for each in applications)
    text = f"paid {vendor.name} {format_money(payment.amount)} on {format_date(on)} for {paid}"
    audit.record(actor, "procurement.vendor_payment.recorded", text, payment)
    return payment
