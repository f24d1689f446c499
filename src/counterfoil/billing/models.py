"""Invoices with their lines and taxes, and what customers paid.

An invoice is a draft until it is closed. A closed invoice has its number, copies the bill-to's name and address, and
never changes: triggers refuse it.
"""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from counterfoil.companies.models import CompanyKind
from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history


class InvoiceType(models.TextChoices):
    """What an invoice bills."""

    STANDARD = "standard", "Standard"
    AGREEMENT = "agreement", "Agreement"


class InvoiceStatus(models.TextChoices):
    """A draft can be changed or deleted; a closed invoice cannot."""

    DRAFT = "draft", "Draft"
    CLOSED = "closed", "Closed"


def part_of_closed_invoice(operation: pgtrigger.Operation, row: str) -> pgtrigger.Trigger:
    """Refuse to ``operation`` a part (line, tax) of a closed invoice."""
    return pgtrigger.Trigger(
        name=f"closed_invoice_{row.lower()}",
        when=pgtrigger.Before,
        operation=operation,
        func=f"""
            IF EXISTS (SELECT 1 FROM billing_invoice WHERE id = {row}.invoice_id AND status = 'closed') THEN
                RAISE EXCEPTION 'counterfoil:posted_is_locked: The invoice is closed; its lines cannot be changed.';
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,  # noqa: S608 - the row is OLD or NEW, never input
    )


@keep_history
class Invoice(models.Model):
    """A customer invoice.

    An internal company is invoiced at zero price only; My Company never. One agreement and period is invoiced once.
    """

    number = models.CharField(max_length=15, unique=True, null=True, blank=True, help_text="Given when it is closed.")
    type = models.CharField(max_length=10, choices=InvoiceType.choices)
    status = models.CharField(max_length=6, choices=InvoiceStatus.choices, default=InvoiceStatus.DRAFT)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="invoices")
    bill_to = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="billed_invoices")
    bill_to_kind = models.CharField(max_length=12, choices=CompanyKind.choices)
    bill_to_name = models.CharField(max_length=100)
    bill_to_address = models.TextField(blank=True)
    date = models.DateField()
    due_date = models.DateField()
    agreement = models.ForeignKey(
        "agreements.Agreement", null=True, blank=True, on_delete=models.PROTECT, related_name="invoices"
    )
    period_start = models.DateField(null=True, blank=True)
    period_end = models.DateField(null=True, blank=True, help_text="First day after the period.")
    sales_order = models.ForeignKey(
        "orders.SalesOrder", null=True, blank=True, on_delete=models.PROTECT, related_name="invoices"
    )
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    subtotal = money_field(default=0)
    tax_total = money_field(default=0)
    total = money_field(default=0)
    cost_total = money_field(default=0)
    closed_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-date", "-id"]
        indexes = [models.Index(fields=["bill_to", "date"], name="invoices_of_bill_to")]
        constraints = [
            models.UniqueConstraint(
                fields=["agreement", "period_start"],
                condition=Q(agreement__isnull=False),
                name="one_invoice_per_agreement_and_period",
            ),
            models.CheckConstraint(
                condition=Q(total=F("subtotal") + F("tax_total")), name="invoice_total_is_subtotal_and_tax"
            ),
            models.CheckConstraint(condition=~Q(bill_to_kind="my_company"), name="my_company_is_not_billed"),
            models.CheckConstraint(
                condition=~Q(bill_to_kind="internal") | Q(total=0, subtotal=0), name="internal_company_at_zero_price"
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(number__isnull=False), name="closed_invoice_has_its_number"
            ),
            models.CheckConstraint(condition=Q(due_date__gte=F("date")), name="due_on_or_after_invoice_date"),
            models.CheckConstraint(
                condition=Q(period_end__isnull=True) | Q(period_end__gt=F("period_start")), name="invoice_period_order"
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="invoice_status", field="status", transitions=sorted(allowed("invoice"))),
            pgtrigger.Protect(
                name="invoice_is_closed",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__status="closed"),
            ),
        ]

    def __str__(self) -> str:
        return self.number or f"draft {self.pk}"


@keep_history
class InvoiceLine(models.Model):
    """A line of an invoice. ``amount`` is before tax; ``cost`` is what the line costs us, in total.

    ``relieves_stock`` marks a shipped inventory product: its ``cost`` leaves inventory for COGS when the invoice is
    transferred to the books.
    """

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    product = models.ForeignKey(
        "catalog.Product", null=True, blank=True, on_delete=models.PROTECT, related_name="invoice_lines"
    )
    description = models.CharField(max_length=200)
    quantity = quantity_field()
    unit_price = price_field()
    amount = money_field()
    cost = money_field(default=0)
    relieves_stock = models.BooleanField(default=False)
    taxable = models.BooleanField(default=True)
    tax_amount = money_field(default=0)
    explanation = models.CharField(max_length=300, blank=True, help_text="How the amount came to be, in words.")
    addition = models.ForeignKey(
        "agreements.Addition", null=True, blank=True, on_delete=models.PROTECT, related_name="invoice_lines"
    )
    order_line = models.ForeignKey(
        "orders.SalesOrderLine", null=True, blank=True, on_delete=models.PROTECT, related_name="invoice_lines"
    )
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.PROTECT, related_name="invoice_lines"
    )

    class Meta:
        ordering = ["invoice_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["invoice", "position"], name="invoice_line_position_once"),
            models.CheckConstraint(condition=Q(cost__gte=0), name="invoice_line_cost_not_negative"),
        ]
        triggers = [
            part_of_closed_invoice(pgtrigger.Insert | pgtrigger.Update, "NEW"),
            part_of_closed_invoice(pgtrigger.Update | pgtrigger.Delete, "OLD"),
        ]

    def __str__(self) -> str:
        return self.description


class InvoiceTax(models.Model):
    """One level of sales tax on an invoice. The amounts of all levels add up to the invoice's ``tax_total``."""

    invoice = models.ForeignKey(Invoice, on_delete=models.CASCADE, related_name="taxes")
    position = models.PositiveSmallIntegerField()
    level = models.CharField(max_length=40)
    agency = models.CharField(max_length=60)
    rate = price_field()
    taxable_amount = money_field()
    amount = money_field()

    class Meta:
        ordering = ["invoice_id", "position"]
        constraints = [models.UniqueConstraint(fields=["invoice", "position"], name="invoice_tax_position_once")]
        triggers = [
            part_of_closed_invoice(pgtrigger.Insert | pgtrigger.Update, "NEW"),
            part_of_closed_invoice(pgtrigger.Update | pgtrigger.Delete, "OLD"),
        ]


class Payment(models.Model):
    """Money received from a customer; booked when it is recorded."""

    number = models.CharField(max_length=15, unique=True)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="payments")
    date = models.DateField()
    amount = money_field()
    bank_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="payment_positive")]
        triggers = [pgtrigger.Protect(name="payment_is_posted", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.number


class PaymentApplication(models.Model):
    """What of a payment settles which invoice."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="applications")
    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="applications")
    amount = money_field()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["payment", "invoice"], name="payment_applied_once_per_invoice"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_application_positive"),
        ]
        triggers = [
            pgtrigger.Protect(name="payment_application_is_posted", operation=pgtrigger.Update | pgtrigger.Delete)
        ]
