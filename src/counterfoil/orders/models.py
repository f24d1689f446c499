"""Sales orders and their lines."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from counterfoil.core.pricing.terms import term_words
from counterfoil.core.states import allowed
from counterfoil.platform.fields import price_field, quantity_field
from counterfoil.platform.history import keep_history


class SalesOrderStatus(models.TextChoices):
    """Where an order stands."""

    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"
    CANCELLED = "cancelled", "Cancelled"


@keep_history
class SalesOrder(models.Model):
    """What a customer ordered once."""

    number = models.CharField(max_length=15, unique=True)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="sales_orders")
    bill_to = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opportunity = models.ForeignKey(
        "quotes.Opportunity", null=True, blank=True, on_delete=models.PROTECT, related_name="sales_orders"
    )
    status = models.CharField(max_length=10, choices=SalesOrderStatus.choices, default=SalesOrderStatus.OPEN)
    order_date = models.DateField()
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    terms = models.ForeignKey(
        "companies.BillingTerms", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        triggers = [
            pgtrigger.FSM(name="sales_order_status", field="status", transitions=sorted(allowed("sales_order")))
        ]

    def __str__(self) -> str:
        return self.number


@keep_history
class SalesOrderLine(models.Model):
    """A product ordered. What of it must be bought is *demand* until a purchase order line takes it."""

    order = models.ForeignKey(SalesOrder, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="order_lines")
    description = models.CharField(max_length=200)
    quantity = quantity_field(default=1)
    unit_price = price_field(default=0)
    unit_cost = price_field(default=0)
    taxable = models.BooleanField(default=True)
    offer = models.ForeignKey("catalog.Offer", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    term = models.CharField(max_length=10, blank=True, default="", db_default="", help_text="month:1, year:1, year:3")
    billing_cycle = models.CharField(
        max_length=10, blank=True, default="", db_default="", help_text="Of what is bought for a term; once if empty."
    )
    start_date = models.DateField(null=True, blank=True, help_text="Of the term.")
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.PROTECT, related_name="order_lines"
    )

    class Meta:
        ordering = ["order_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="order_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="order_line_quantity_positive"),
            models.CheckConstraint(
                condition=Q(unit_price__gte=0) & Q(unit_cost__gte=0), name="order_line_amounts_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def terms(self) -> str:
        """``3 years, prepaid, from 1 Mar 2026``; empty for what is ordered for good."""
        if not (self.term or self.billing_cycle or self.start_date):
            return ""
        return term_words(self.term, self.billing_cycle, self.start_date)
