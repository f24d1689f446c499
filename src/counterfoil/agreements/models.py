"""Agreement types, agreements and additions."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history


@keep_history
class AgreementType(models.Model):
    """A template of agreements; GL accounts can be mapped to it."""

    name = models.CharField(max_length=50, unique=True)
    description = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class AgreementStatus(models.TextChoices):
    """Where an agreement stands."""

    ACTIVE = "active", "Active"
    CANCELLED = "cancelled", "Cancelled"
    ENDED = "ended", "Ended"


@keep_history
class Agreement(models.Model):
    """What a customer is billed for in every cycle: a billing amount and the additions.

    ``start_date`` to ``end_date`` is inclusive, as people write it; ``end_date`` empty means no ending date. Cycles are
    counted from ``bill_start_date`` (the first billing date).
    """

    number = models.CharField(max_length=15, unique=True)
    name = models.CharField(max_length=100, help_text="Prints on the invoice.")
    type = models.ForeignKey(AgreementType, on_delete=models.PROTECT, related_name="agreements")
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="agreements")
    bill_to = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    opportunity = models.ForeignKey(
        "quotes.Opportunity", null=True, blank=True, on_delete=models.PROTECT, related_name="agreements"
    )
    status = models.CharField(max_length=10, choices=AgreementStatus.choices, default=AgreementStatus.ACTIVE)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)
    billing_cycle = models.CharField(max_length=10, default="month:1")
    bill_start_date = models.DateField("first billing date")
    billing_amount = money_field(default=0, help_text="Billed every cycle beside the additions.")
    billing_amount_taxable = models.BooleanField(default=False)
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    terms = models.ForeignKey(
        "companies.BillingTerms", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    cancelled_on = models.DateField(null=True, blank=True)
    cancel_reason = models.CharField(max_length=100, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_date__isnull=True) | Q(end_date__gte=F("start_date")), name="agreement_ends_after_start"
            ),
            models.CheckConstraint(condition=Q(bill_start_date__gte=F("start_date")), name="billed_from_start_on"),
            models.CheckConstraint(condition=Q(billing_amount__gte=0), name="billing_amount_not_negative"),
        ]
        triggers = [pgtrigger.FSM(name="agreement_status", field="status", transitions=sorted(allowed("agreement")))]

    def __str__(self) -> str:
        return self.number


class BillingOption(models.TextChoices):
    """Whether the customer is billed for an addition."""

    BILLABLE = "Billable", "Billable"
    DO_NOT_BILL = "DoNotBill", "Do not bill"
    NO_CHARGE = "NoCharge", "No charge"


@keep_history
class Addition(models.Model):
    """A product billed with an agreement: (quantity - less included) x unit price in every cycle it is effective."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="additions")
    position = models.PositiveIntegerField()
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="additions")
    description = models.CharField(max_length=200)
    invoice_text = models.TextField(max_length=6000, blank=True)
    quantity = quantity_field(default=1)
    less_included = quantity_field(default=0)
    unit_price = price_field(default=0, help_text="Per unit and billing cycle.")
    unit_cost = price_field(default=0)
    billing_option = models.CharField(max_length=10, choices=BillingOption.choices, default=BillingOption.BILLABLE)
    taxable = models.BooleanField(default=True)
    effective_date = models.DateField()
    cancelled_date = models.DateField(null=True, blank=True, help_text="Last day it is billed for.")
    serial_number = models.CharField(max_length=50, blank=True)
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.PROTECT, related_name="additions"
    )

    class Meta:
        ordering = ["agreement_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "position"], name="addition_position_once"),
            models.CheckConstraint(
                condition=Q(quantity__gte=0) & Q(less_included__gte=0) & Q(unit_price__gte=0) & Q(unit_cost__gte=0),
                name="addition_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(cancelled_date__isnull=True) | Q(cancelled_date__gte=F("effective_date")),
                name="addition_cancelled_after_effective",
            ),
        ]

    def __str__(self) -> str:
        return self.description
