"""Purchase orders, vendor bills and vendor payments."""

from __future__ import annotations

from decimal import Decimal
from math import ceil

import pgtrigger
from django.db import models
from django.db.models import F, Q

from counterfoil.core.calendar import Cycle, periods_through
from counterfoil.core.pricing.terms import term_words
from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.guards import locked_once_posted
from counterfoil.platform.history import keep_history


class PurchaseOrderStatus(models.TextChoices):
    """Where a purchase order stands. It closes by itself when everything has been received or cancelled."""

    DRAFT = "draft", "Draft"
    SENT = "sent", "Sent"
    CLOSED = "closed", "Closed"
    CANCELLED = "cancelled", "Cancelled"


@keep_history
class PurchaseOrder(models.Model):
    """What is bought from a vendor. ``order_date`` (the PO date) decides the period of the cost."""

    number = models.CharField(max_length=15, unique=True)
    vendor = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="purchase_orders")
    status = models.CharField(max_length=10, choices=PurchaseOrderStatus.choices, default=PurchaseOrderStatus.DRAFT)
    order_date = models.DateField("PO date")
    terms = models.ForeignKey(
        "companies.BillingTerms", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    vendor_order_number = models.CharField(max_length=50, blank=True)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        triggers = [
            pgtrigger.FSM(name="purchase_order_status", field="status", transitions=sorted(allowed("purchase_order"))),
        ]

    def __str__(self) -> str:
        return self.number


@keep_history
class PurchaseOrderLine(models.Model):
    """A product bought; ``bin`` is where it will be received into (inventory products).

    ``term`` and ``billing_cycle`` are those of the vendor's offer: a cycle equal to the term is prepaid. ``unit_cost``
    is per unit and billing cycle.
    """

    purchase_order = models.ForeignKey(PurchaseOrder, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="purchase_order_lines")
    description = models.CharField(max_length=200)
    quantity = quantity_field()
    quantity_cancelled = quantity_field(default=0)
    unit_cost = price_field()
    vendor_sku = models.CharField("vendor SKU", max_length=80, blank=True)
    bin = models.ForeignKey("inventory.Bin", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    order_line = models.ForeignKey(
        "orders.SalesOrderLine", null=True, blank=True, on_delete=models.PROTECT, related_name="purchase_order_lines"
    )
    addition = models.ForeignKey(
        "agreements.Addition",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="purchase_order_lines",
        help_text="The addition it is bought for.",
    )
    offer = models.ForeignKey("catalog.Offer", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    term = models.CharField(max_length=10, blank=True, default="", db_default="", help_text="month:1, year:1, year:3")
    billing_cycle = models.CharField(
        max_length=10, blank=True, default="", db_default="", help_text="How often the vendor bills; once if empty."
    )
    start_date = models.DateField(null=True, blank=True, help_text="Of the term.")
    end_date = models.DateField(null=True, blank=True, help_text="Last day of the term, of a co-termed purchase.")
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.PROTECT, related_name="purchase_order_lines"
    )

    class Meta:
        ordering = ["purchase_order_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["purchase_order", "position"], name="purchase_order_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="purchase_order_line_quantity_positive"),
            models.CheckConstraint(condition=Q(unit_cost__gte=0), name="purchase_order_line_cost_not_negative"),
            models.CheckConstraint(
                condition=Q(quantity_cancelled__gte=0) & Q(quantity_cancelled__lte=F("quantity")),
                name="purchase_order_line_cancelled_within_ordered",
            ),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def terms(self) -> str:
        """``3 years, prepaid, from 1 Mar 2026``; empty for what is bought once."""
        if not (self.term or self.billing_cycle or self.start_date or self.end_date):
            return ""
        return term_words(self.term, self.billing_cycle, self.start_date, self.end_date)

    @property
    def recurs(self) -> bool:
        """Whether the vendor bills it again and again: a year billed monthly, or month by month without a term.

        Its receipt says only that it is in force; the cost is booked with each bill.
        """
        return bool(self.billing_cycle) and self.billing_cycle != self.term

    @property
    def billings(self) -> int | None:
        """How often the vendor bills it in its term; ``None`` without an end."""
        if not self.recurs:
            return 1
        cycle = Cycle.parse(self.billing_cycle)
        if self.start_date is not None and self.end_date is not None:
            return len(periods_through(self.start_date, cycle, self.end_date))
        if not self.term:
            return None
        return max(1, ceil(cycle.per_month / Cycle.parse(self.term).per_month))

    def to_bill(self, received: Decimal, billed: Decimal) -> Decimal:
        """How much of it the vendor can bill next: what has arrived, in each of its cycles once."""
        left = received * self.billings - billed if self.billings is not None else received
        return max(Decimal(0), min(received, left) if self.recurs else left)


@keep_history
class VendorBill(models.Model):
    """A vendor's invoice. One vendor invoice number is entered once per vendor."""

    number = models.CharField(max_length=15, unique=True)
    vendor = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="vendor_bills")
    vendor_invoice_number = models.CharField(max_length=20)
    date = models.DateField()
    due_date = models.DateField()
    freight = money_field(default=0)
    tax = money_field(default=0, help_text="Tax the vendor charged.")
    total = money_field()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["vendor", "vendor_invoice_number"], name="vendor_invoice_number_once"),
            models.CheckConstraint(
                condition=Q(freight__gte=0) & Q(tax__gte=0) & Q(total__gt=0), name="vendor_bill_amounts"
            ),
        ]
        triggers = [locked_once_posted("vendor_bill", "vendor bill")]

    def __str__(self) -> str:
        return self.number


@keep_history
class VendorBillLine(models.Model):
    """What a vendor bills of a purchase order line."""

    bill = models.ForeignKey(VendorBill, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    purchase_order_line = models.ForeignKey(PurchaseOrderLine, on_delete=models.PROTECT, related_name="bill_lines")
    quantity = quantity_field()
    unit_cost = price_field()
    amount = money_field()

    class Meta:
        ordering = ["bill_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["bill", "position"], name="vendor_bill_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(amount__gte=0), name="vendor_bill_line_amounts"),
        ]
        triggers = [locked_once_posted("vendor_bill", "vendor bill", key="bill_id")]


class VendorPayment(models.Model):
    """Money paid to a vendor."""

    number = models.CharField(max_length=15, unique=True)
    vendor = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="payments_made")
    date = models.DateField()
    amount = money_field()
    bank_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="vendor_payment_positive")]
        triggers = [pgtrigger.Protect(name="vendor_payment_is_posted", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.number


class VendorPaymentApplication(models.Model):
    """What of a payment settles which vendor bill."""

    payment = models.ForeignKey(VendorPayment, on_delete=models.PROTECT, related_name="applications")
    bill = models.ForeignKey(VendorBill, on_delete=models.PROTECT, related_name="applications")
    amount = money_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["payment", "bill"], name="payment_applied_once_per_bill"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="vendor_payment_application_positive"),
        ]
        triggers = [pgtrigger.Protect(name="application_is_posted", operation=pgtrigger.Update | pgtrigger.Delete)]
