"""Time entries, expenses and products used for customers, and how much of each an agreement covers."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from counterfoil.agreements.models import BillingOption
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history


class ChargeKind(models.TextChoices):
    """What was used."""

    TIME = "time", "Time"
    EXPENSE = "expense", "Expense"
    PRODUCT = "product", "Product"


class OpenPart(models.TextChoices):
    """What of a charge that stands on an invoice is not billed yet, where it is billed in two parts."""

    NOTHING = "", "Nothing"
    OVERRUN = "overrun", "What rides on the agreement's invoice"
    BEYOND = "beyond", "What is beyond the overrun limit"


@keep_history
class Charge(models.Model):
    """A time entry, an expense, or a product used for a customer; billed by itself or covered by an agreement.

    ``quantity`` is what was used (hours, units), ``billed_quantity`` what of it counts after minimum, maximum and
    rounding of hours; ``amount`` = billed quantity x unit price, to the cent. ``billed`` says that it stands on an
    invoice, drafts included: from then on its allocation stays and it cannot be changed. Where an overrun limit cuts
    it, the part within rides on the agreement's invoice and the part beyond is billed by itself: ``open_part`` is the
    one that is not billed yet.
    """

    #: The part that an invoice being made bills of it, where it is not all; not stored.
    part: OpenPart = OpenPart.NOTHING

    kind = models.CharField(max_length=7, choices=ChargeKind.choices)
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="charges")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    agreement = models.ForeignKey(
        "agreements.Agreement", null=True, blank=True, on_delete=models.PROTECT, related_name="charges"
    )
    date = models.DateField()
    member = models.CharField(max_length=60, blank=True, help_text="Who worked or spent.")
    ticket = models.CharField(max_length=30, blank=True)
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    description = models.CharField(max_length=200)
    notes = models.TextField(max_length=6000, blank=True)
    work_role = models.ForeignKey("catalog.WorkRole", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    work_type = models.ForeignKey("catalog.WorkType", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    expense_type = models.ForeignKey(
        "catalog.ExpenseType", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    quantity = quantity_field()
    billed_quantity = quantity_field()
    rate_override = price_field(null=True, blank=True, help_text="Goes before every other rate.")
    unit_price = price_field()
    overage_price = price_field(null=True, blank=True, help_text="Of what no agreement covers; empty: the same.")
    rate_words = models.CharField(max_length=600, blank=True, help_text="Where the rate comes from.")
    amount = money_field()
    unit_cost = price_field(default=0)
    billing_option = models.CharField(max_length=10, choices=BillingOption.choices, default=BillingOption.BILLABLE)
    taxable = models.BooleanField(default=True)
    billed = models.BooleanField(default=False)
    open_part = models.CharField(max_length=7, choices=OpenPart.choices, blank=True, default="", db_default="")
    written_off_at = models.DateTimeField(null=True, blank=True)
    write_off_reason = models.CharField(max_length=200, blank=True)
    external_id = models.CharField(max_length=60, null=True, blank=True, unique=True, help_text="Its key elsewhere.")
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.PROTECT, related_name="charges"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-date", "-id"]
        indexes = [
            models.Index(
                fields=["company", "date"],
                name="charges_to_bill",
                condition=Q(billed=False, written_off_at__isnull=True),
            ),
            models.Index(fields=["agreement", "date"], name="charges_of_agreement"),
            models.Index(fields=["company", "date"], name="charges_billed_in_part", condition=~Q(open_part="")),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(quantity__gte=0) & Q(billed_quantity__gte=0) & Q(unit_price__gte=0) & Q(unit_cost__gte=0),
                name="charge_amounts_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(kind="time", product=None, expense_type=None)
                | Q(kind="expense", product=None, work_role=None, work_type=None)
                | Q(kind="product", product__isnull=False, work_role=None, work_type=None, expense_type=None),
                name="charge_names_what_was_used",
            ),
            models.CheckConstraint(
                condition=~Q(billed=True) | Q(written_off_at__isnull=True), name="billed_or_written_off"
            ),
        ]
        triggers = [
            pgtrigger.Protect(
                name="billed_charge_stays",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__billed=True),
            ),
        ]

    def __str__(self) -> str:
        return self.description


class Allocation(models.Model):
    """How much of a charge its agreement covers; the rest is overage. Decided anew until the charge is billed.

    ``drawn`` is what it takes from the allocation of ``pool_start`` (to ``pool_end``, half-open; empty for a one-time
    agreement without end), in the agreement's units; ``draws`` says from which lots; ``covered_tax`` is the sales tax
    within it, where the agreement covers tax. ``overage_amount`` is what is billed; ``overrun_amount`` is the part of
    it that was drawn beyond the allocation, and because of which it is billed in arrears: not before ``bill_from``.
    """

    charge = models.OneToOneField(Charge, primary_key=True, on_delete=models.CASCADE, related_name="allocation")
    agreement = models.ForeignKey("agreements.Agreement", on_delete=models.PROTECT, related_name="allocations")
    pool_start = models.DateField(null=True, blank=True)
    pool_end = models.DateField(null=True, blank=True)
    drawn = quantity_field(default=0)
    overrun_drawn = quantity_field(default=0)
    draws = models.JSONField(default=list, blank=True)
    covered_quantity = quantity_field(default=0)
    covered_amount = money_field(default=0)
    covered_tax = money_field(default=0)
    overage_quantity = quantity_field(default=0)
    overage_price = price_field(default=0)
    overage_amount = money_field(default=0)
    overrun_quantity = quantity_field(default=0)
    overrun_amount = money_field(default=0)
    bill_from = models.DateField(null=True, blank=True, help_text="Not billed before; empty: at any time.")
    reason = models.CharField(max_length=30, blank=True, help_text="Why something is not covered.")
    explanation = models.CharField(max_length=600, blank=True)

    class Meta:
        indexes = [models.Index(fields=["agreement", "pool_start"], name="allocations_of_pool")]
        constraints = [
            models.CheckConstraint(
                condition=Q(covered_quantity__gte=0)
                & Q(overage_quantity__gte=0)
                & Q(covered_amount__gte=0)
                & Q(overage_amount__gte=0)
                & Q(covered_tax__gte=0)
                & Q(overrun_quantity__gte=0, overrun_quantity__lte=F("overage_quantity"))
                & Q(overrun_amount__gte=0, overrun_amount__lte=F("overage_amount")),
                name="allocation_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(pool_start__isnull=True) | Q(pool_end__isnull=True) | Q(pool_end__gt=F("pool_start")),
                name="allocation_pool_order",
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="billed_allocation_stays",
                when=pgtrigger.Before,
                operation=pgtrigger.Update | pgtrigger.Delete,
                func="""
                    IF EXISTS (SELECT 1 FROM usage_charge WHERE id = OLD.charge_id AND billed) THEN
                        RAISE EXCEPTION 'counterfoil:posted_is_locked: It is billed; what covers it cannot be changed.';
                    END IF;
                    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
                    RETURN NEW;
                """,
            )
        ]
