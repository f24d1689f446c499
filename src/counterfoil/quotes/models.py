"""Opportunities, quote lines and what became of them."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from counterfoil.core.states import allowed
from counterfoil.platform.fields import price_field, quantity_field
from counterfoil.platform.history import keep_history


class OpportunityStatus(models.TextChoices):
    """Where a deal stands."""

    OPEN = "open", "Open"
    WON = "won", "Won"
    LOST = "lost", "Lost"


@keep_history
class Opportunity(models.Model):
    """A deal with a customer: the lines quoted, and the records they are converted to."""

    number = models.CharField(max_length=15, unique=True)
    name = models.CharField(max_length=100)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="opportunities")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    contact = models.ForeignKey("companies.Contact", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    status = models.CharField(max_length=6, choices=OpportunityStatus.choices, default=OpportunityStatus.OPEN)
    expected_close = models.DateField(null=True, blank=True)
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    sales_rep = models.ForeignKey("platform.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "opportunities"
        triggers = [
            pgtrigger.FSM(name="opportunity_status", field="status", transitions=sorted(allowed("opportunity")))
        ]

    def __str__(self) -> str:
        return self.number


@keep_history
class QuoteLine(models.Model):
    """A line as it was quoted. Everything downstream (addition, order line, invoice line) names it as its ``origin``.

    ``unit_price`` and ``unit_cost`` are per unit and, for a recurring line, per billing cycle. A cost without a price
    is the *purchasing product* of a lease; a recurring price without a cost is its *agreement product*.
    """

    opportunity = models.ForeignKey(Opportunity, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="quote_lines")
    description = models.CharField(max_length=200)
    quantity = quantity_field(default=1)
    unit_price = price_field(default=0)
    unit_cost = price_field(default=0)
    taxable = models.BooleanField(default=True)
    billing_cycle = models.CharField(
        max_length=10, blank=True, help_text="Recurrence of a recurring line (month:1, year:1, ...); empty is one-time."
    )
    cycles = models.PositiveIntegerField(null=True, blank=True, help_text="How many cycles; empty is open-ended.")
    start_date = models.DateField(null=True, blank=True, help_text="First day billed, of a recurring line.")

    class Meta:
        ordering = ["opportunity_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["opportunity", "position"], name="quote_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="quote_line_quantity_positive"),
            models.CheckConstraint(
                condition=Q(unit_price__gte=0) & Q(unit_cost__gte=0), name="quote_line_amounts_not_negative"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="converted_line_is_locked",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT 1 FROM quotes_lineconversion WHERE line_id = OLD.id) THEN
                        RAISE EXCEPTION 'counterfoil:already_converted: The line has been converted and is locked.';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def is_recurring(self) -> bool:
        """Whether it is billed cycle after cycle."""
        return bool(self.billing_cycle)


class ConversionTarget(models.TextChoices):
    """What quote lines can be converted to."""

    AGREEMENT = "agreement", "Agreement"
    SALES_ORDER = "sales_order", "Sales order"


class LineConversion(models.Model):
    """That a quote line was converted, once, and to what. A converted line is locked."""

    line = models.OneToOneField(QuoteLine, on_delete=models.PROTECT, related_name="conversion")
    target = models.CharField(max_length=12, choices=ConversionTarget.choices)
    target_id = models.BigIntegerField()
    target_number = models.CharField(max_length=15)
    converted_at = models.DateTimeField()
    converted_by = models.CharField(max_length=200)

    class Meta:
        triggers = [pgtrigger.Protect(name="conversion_is_final", operation=pgtrigger.Update | pgtrigger.Delete)]
