"""Demand, purchase orders, vendor bills and what vendors are paid."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.areas.stock import receipts
from counterfoil.api.fields import Money, Number
from counterfoil.api.shapes import answer, many, row, shape
from counterfoil.inventory.commands import receive_purchase_order
from counterfoil.platform.lookup import existing
from counterfoil.procurement import commands, queries
from counterfoil.procurement.models import (
    PurchaseOrder,
    PurchaseOrderLine,
    VendorBill,
    VendorBillLine,
    VendorPayment,
    VendorPaymentApplication,
)

area = Area("Procurement")

lines = shape(PurchaseOrderLine)
purchase_orders = shape(
    PurchaseOrder,
    extra={"line_count": int, "total": Money},
    parts={"lines": lines},
    source=queries.purchase_orders,
)
bill_lines = shape(VendorBillLine)
bills = shape(VendorBill, parts={"lines": bill_lines})
applications = shape(VendorPaymentApplication)
payments = shape(VendorPayment, parts={"applications": applications})


line_progress = answer(
    "PurchaseOrderProgress",
    "A purchase order line with what has arrived, is billed, is awaited and can be billed next.",
    line=lines.head,
    received=Number,
    billed=Number,
    awaited=Number,
    to_bill=Number,
    amount=Money,
)
open_bill = answer(
    "OpenBill",
    "A vendor bill with what is open on it, and whether it is in the books.",
    bill=bills.head,
    balance=Money,
    posted=bool,
)


def progress(*, purchase_order_id: int) -> Sequence[queries.PurchaseOrderLineRow]:
    """The lines with what has arrived, is billed and is awaited."""
    existing(PurchaseOrder.objects.all(), purchase_order_id)
    return queries.lines_of_purchase_order(purchase_order_id)


def vendor_payments(*, vendor_id: int | None = None) -> QuerySet[VendorPayment]:
    """Payments to vendors."""
    return queries.vendor_payments(vendor_id=vendor_id)


def _place(each: queries.DemandRow) -> tuple[bool, int, str]:
    """Order lines before additions, each by id; the parts of an addition by their first day."""
    return each.order_line_id is None, each.order_line_id or each.addition_id or 0, str(each.start_date or "")


area.rows("/demand", row(queries.DemandRow, key=str, terms=str), queries.demand, key=_place)

area.records("/purchase-orders", purchase_orders, queries.purchase_orders)
area.post("/purchase-orders", commands.create_purchase_order, purchase_orders)
area.detail("/purchase-orders/{purchase_order_id}", purchase_orders)
area.patch("/purchase-orders/{purchase_order_id}", commands.update_purchase_order, purchase_orders)
area.report("/purchase-orders/{purchase_order_id}/progress", many(line_progress), progress)
area.post(
    "/purchase-orders/{purchase_order_id}/lines",
    commands.add_purchase_order_lines,
    many(lines.head),
)
area.act("/purchase-orders/{purchase_order_id}/send", commands.send_purchase_order, purchase_orders)
area.act("/purchase-orders/{purchase_order_id}/cancel", commands.cancel_purchase_order, purchase_orders)
area.post("/purchase-orders/{purchase_order_id}/receive", receive_purchase_order, receipts)

area.detail("/purchase-order-lines/{line_id}", lines)
area.patch("/purchase-order-lines/{line_id}", commands.update_purchase_order_line, lines)
area.delete("/purchase-order-lines/{line_id}", commands.remove_purchase_order_line)
area.act("/purchase-order-lines/{line_id}/cancel-remainder", commands.cancel_remainder, lines)

area.rows("/vendor-bills", open_bill, queries.vendor_bills, key=lambda each: each.bill.pk)
area.post("/vendor-bills", commands.enter_vendor_bill, bills)
area.detail("/vendor-bills/{bill_id}", bills)
area.delete("/vendor-bills/{bill_id}", commands.delete_vendor_bill)
area.post("/vendor-bills/{bill_id}/pay", commands.pay_vendor_bill, payments)

area.records("/vendor-payments", payments, vendor_payments)
area.post("/vendor-payments", commands.record_vendor_payment, payments)
area.detail("/vendor-payments/{payment_id}", payments)
