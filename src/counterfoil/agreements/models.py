"""Agreement types, agreements, additions, and what changes them from a date on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import F, Q

from counterfoil.catalog.models import RateType, SeatsDown
from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history


class AgreementKind(models.TextChoices):
    """The usual kinds of agreement; they share one record and differ in its parameters."""

    ONE_TIME_BLOCK = "one_time_block", "One-time block"
    RECURRING_BLOCK = "recurring_block", "Recurring block"
    MANAGED_SERVICE = "managed_service", "Managed service"
    HOSTING = "hosting", "Hosting"
    USER_BASED = "user_based", "User-based"
    OTHER = "other", "Other"


class CycleBase(models.TextChoices):
    """From where cycles are counted."""

    CONTRACT = "contract", "From the first billing date"
    CALENDAR = "calendar", "Calendar"


class BillingTiming(models.TextChoices):
    """When a period is billed."""

    ADVANCE = "advance", "In advance"
    ARREARS = "arrears", "In arrears"


class Proration(models.TextChoices):
    """How a part of a period is priced; see :mod:`counterfoil.core.proration`."""

    ACTUAL_DAYS = "actual_days", "Days over actual days"
    WHOLE_MONTHS = "whole_months", "Whole months, by threshold"
    REMAINDER = "remainder", "Last part is the remainder"
    ANNIVERSARY_MONTHS = "anniversary_months", "Whole months to the anniversary"
    ANNIVERSARY_MONTHS_BEGUN = "anniversary_months_begun", "Months to the anniversary, the first counts whole"
    THIRTY_360 = "thirty_360", "30/360"


class Credits(models.TextChoices):
    """What becomes of time that is billed and then cancelled."""

    NONE = "none", "Not given back"
    NEXT_INVOICE = "next_invoice", "On the next invoice"
    CREDIT_MEMO = "credit_memo", "Credit memo at once"


class Changes(models.TextChoices):
    """When a change to a period that is billed already is billed."""

    NEXT_INVOICE = "next_invoice", "With the next invoice"
    IMMEDIATELY = "immediately", "With the next billing run"


class ApplicationUnits(models.TextChoices):
    """What an allocation counts."""

    AMOUNT = "amount", "Amount"
    HOURS = "hours", "Hours"
    INCIDENTS = "incidents", "Incidents"


class OverrunFrom(models.TextChoices):
    """Who pays for an overrun: a bill in arrears, or the next period's allocation."""

    ARREARS = "arrears", "Billed in arrears"
    NEXT_PERIOD = "next_period", "Taken from the next period"


class CoverageOrder(models.TextChoices):
    """In which order entries draw on the allocation."""

    BY_DATE = "by_date", "By date"
    AS_SAVED = "as_saved", "As saved"


class Selection(models.TextChoices):
    """Whether the listed work roles, work types, expense types and products are left out or alone let in."""

    ALL_BUT = "all_but", "All but those listed"
    ONLY = "only", "Only those listed"


class BillingOption(models.TextChoices):
    """Whether the customer is billed for something."""

    BILLABLE = "Billable", "Billable"
    DO_NOT_BILL = "DoNotBill", "Do not bill"
    NO_CHARGE = "NoCharge", "No charge"


class AgreementParameters(models.Model):
    """What a type proposes and an agreement has. A change to the type never reaches agreements that are there."""

    billing_cycle = models.CharField(max_length=10, default="month:1")
    cycle_base = models.CharField(max_length=8, choices=CycleBase.choices, default=CycleBase.CONTRACT)
    billing_timing = models.CharField(max_length=7, choices=BillingTiming.choices, default=BillingTiming.ADVANCE)
    bill_one_time = models.BooleanField(default=False, help_text="Billed once, in the first period.")
    billing_amount = money_field(default=0, help_text="Billed every cycle beside the additions.")
    billing_amount_taxable = models.BooleanField(default=False)
    prorate = models.BooleanField(default=True, help_text="A part of a period is billed as a part.")
    prorate_first_bill = models.BooleanField(default=True, help_text="So is a first period that is shorter.")
    proration = models.CharField(max_length=24, choices=Proration.choices, default=Proration.ACTUAL_DAYS)
    credits = models.CharField(max_length=12, choices=Credits.choices, default=Credits.NEXT_INVOICE)
    changes = models.CharField(max_length=12, choices=Changes.choices, default=Changes.NEXT_INVOICE)
    one_line_per_addition = models.BooleanField(
        default=False, help_text="A prorated part is shown on one line with the full period."
    )
    prepayment = models.BooleanField(default=False, help_text="What is billed is deferred and earned as it is used.")
    application_units = models.CharField(
        max_length=9, choices=ApplicationUnits.choices, default=ApplicationUnits.AMOUNT
    )
    application_limit = quantity_field(null=True, blank=True, help_text="Per application cycle; empty covers nothing.")
    application_unlimited = models.BooleanField(default=False)
    application_cycle = models.CharField(max_length=10, default="month:1")
    application_base = models.CharField(max_length=8, choices=CycleBase.choices, default=CycleBase.CONTRACT)
    application_one_time = models.BooleanField(default=False, help_text="One allocation for the whole term.")
    covers_time = models.BooleanField(default=False)
    covers_expenses = models.BooleanField(default=False)
    covers_products = models.BooleanField(default=False)
    covers_sales_tax = models.BooleanField(
        default=False, help_text="Amount units with prepayment alone: tax is drawn from the block."
    )
    carry_over = models.BooleanField(default=False, help_text="What is unused goes to the following cycles.")
    carry_over_days = models.PositiveIntegerField(null=True, blank=True, help_text="For so many days; empty: no limit.")
    expire_when_zero = models.BooleanField(default=False)
    allow_overruns = models.BooleanField(default=False)
    overrun_limit = quantity_field(null=True, blank=True, help_text="Empty: no limit.")
    overrun_from = models.CharField(max_length=11, choices=OverrunFrom.choices, default=OverrunFrom.ARREARS)
    coverage_order = models.CharField(max_length=8, choices=CoverageOrder.choices, default=CoverageOrder.BY_DATE)
    selection = models.CharField(max_length=7, choices=Selection.choices, default=Selection.ALL_BUT)
    hourly_rate = price_field(null=True, blank=True, help_text="Where no rate of a role or type says otherwise.")
    bill_time = models.CharField(max_length=10, choices=BillingOption.choices, default=BillingOption.BILLABLE)
    bill_expenses = models.CharField(max_length=10, choices=BillingOption.choices, default=BillingOption.BILLABLE)
    bill_products = models.CharField(max_length=10, choices=BillingOption.choices, default=BillingOption.BILLABLE)
    show_covered_time = models.BooleanField(default=True)
    show_covered_expenses = models.BooleanField(default=True)
    show_covered_products = models.BooleanField(default=True)
    terms = models.ForeignKey(
        "companies.BillingTerms", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        abstract = True


@keep_history
class AgreementType(AgreementParameters):
    """A template of agreements; GL accounts can be mapped to it."""

    name = models.CharField(max_length=50, unique=True)
    description = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=16, choices=AgreementKind.choices, default=AgreementKind.OTHER)
    invoice_prefix = models.CharField(
        max_length=5, blank=True, help_text="Its invoices have a number sequence of their own."
    )
    active = models.BooleanField(default=True)

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
class Agreement(AgreementParameters):
    """What a customer is billed for in every cycle: a billing amount and the additions; and what work it covers.

    ``start_date`` to ``end_date`` is inclusive, as people write it; ``end_date`` empty means no ending date. Cycles are
    counted from ``bill_start_date`` (the first billing date). A child shares the invoice of its ``parent``, and so its
    cycle, and keeps its own limits, rates and additions.
    """

    number = models.CharField(max_length=15, unique=True)
    name = models.CharField(max_length=100, help_text="Prints on the invoice.")
    type = models.ForeignKey(AgreementType, on_delete=models.PROTECT, related_name="agreements")
    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="agreements")
    contact = models.ForeignKey("companies.Contact", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    bill_to = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey("companies.Site", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    opportunity = models.ForeignKey(
        "quotes.Opportunity", null=True, blank=True, on_delete=models.PROTECT, related_name="agreements"
    )
    renews = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="renewed_by", help_text="Its predecessor."
    )
    status = models.CharField(max_length=10, choices=AgreementStatus.choices, default=AgreementStatus.ACTIVE)
    start_date = models.DateField()
    end_date = models.DateField(null=True, blank=True)
    bill_start_date = models.DateField("first billing date")
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    customer_po = models.CharField("customer PO", max_length=50, blank=True)
    invoice_text = models.TextField(max_length=6000, blank=True, help_text="Printed above the lines.")
    internal_notes = models.TextField(max_length=6000, blank=True)
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
            models.CheckConstraint(
                condition=Q(application_limit__isnull=True) | Q(application_limit__gte=0),
                name="application_limit_not_negative",
            ),
            models.CheckConstraint(condition=~Q(parent=F("id")), name="agreement_is_not_its_own_parent"),
        ]
        triggers = [pgtrigger.FSM(name="agreement_status", field="status", transitions=sorted(allowed("agreement")))]

    def __str__(self) -> str:
        return self.number


class BillingState(models.Model):
    """How far an agreement is billed; kept apart so that a billing run does not touch the agreement itself.

    ``next_period`` counts the periods of the grid from the first billing date (0 is the first); all before it are
    billed or cancelled. ``due_on`` is the day the next period falls due, empty when none is left; a child has none,
    since it is billed with its parent. ``changed_from`` is the earliest day from which something that may be billed
    already was changed and not yet looked at by a run. A parked agreement (``parked_at``) is left out by runs until it
    is mended; ``parked_code`` then stays until it is billed, so that what somebody has approved is not held up again.
    """

    agreement = models.OneToOneField(
        Agreement, primary_key=True, on_delete=models.CASCADE, related_name="billing_state"
    )
    next_period = models.PositiveIntegerField(default=0)
    due_on = models.DateField(null=True, blank=True)
    changed_from = models.DateField(null=True, blank=True)
    parked_code = models.CharField(max_length=40, blank=True)
    parked_reason = models.TextField(blank=True)
    parked_hint = models.TextField(blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)
    run_id = models.BigIntegerField(
        null=True, blank=True, help_text="The billing run that has numbered its invoices and is writing them."
    )

    class Meta:
        indexes = [
            models.Index(fields=["due_on"], name="agreements_due"),
            models.Index(fields=["changed_from"], name="agreements_changed", condition=Q(changed_from__isnull=False)),
            models.Index(fields=["agreement"], name="agreements_parked", condition=Q(parked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.agreement}: period {self.next_period}"


@keep_history
class BillingAmountChange(models.Model):
    """The billing amount from a day on. Without any, the agreement's own has always held."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="billing_amounts")
    effective_date = models.DateField()
    billing_amount = money_field()

    class Meta:
        ordering = ["agreement_id", "effective_date"]
        constraints = [
            models.UniqueConstraint(fields=["agreement", "effective_date"], name="one_billing_amount_a_day"),
            models.CheckConstraint(condition=Q(billing_amount__gte=0), name="changed_billing_amount_not_negative"),
        ]


@keep_history
class CancelledPeriod(models.Model):
    """A billing period that is not billed, while the agreement goes on: cancelled, or written off."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="cancelled_periods")
    period_start = models.DateField()
    period_end = models.DateField(help_text="First day after the period.")
    written_off = models.BooleanField(default=False)
    reason = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["agreement_id", "period_start"]
        constraints = [models.UniqueConstraint(fields=["agreement", "period_start"], name="period_cancelled_once")]


@keep_history
class Adjustment(models.Model):
    """Something given to (or taken from) an allocation, in its units. It lives one application cycle from its date."""

    agreement = models.ForeignKey(Agreement, on_delete=models.CASCADE, related_name="adjustments")
    date = models.DateField()
    amount = quantity_field(help_text="Above zero adds, below takes away.")
    description = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["agreement_id", "date", "id"]
        constraints = [models.CheckConstraint(condition=~Q(amount=0), name="adjustment_not_zero")]


def of_agreement_or_type(name: str) -> Any:
    """A row that belongs to an agreement or to a type."""
    return models.CheckConstraint(
        condition=Q(agreement__isnull=False, agreement_type__isnull=True)
        | Q(agreement__isnull=True, agreement_type__isnull=False),
        name=name,
    )


@keep_history
class WorkRoleRate(models.Model):
    """The rate of a work role (of all, when none is named) under an agreement, from a day on."""

    agreement = models.ForeignKey(
        Agreement, null=True, blank=True, on_delete=models.CASCADE, related_name="work_role_rates"
    )
    agreement_type = models.ForeignKey(
        AgreementType, null=True, blank=True, on_delete=models.CASCADE, related_name="work_role_rates"
    )
    work_role = models.ForeignKey("catalog.WorkRole", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    rate_type = models.CharField(max_length=10, choices=RateType.choices, default=RateType.CUSTOM)
    rate = price_field()
    effective_date = models.DateField(null=True, blank=True)
    ending_date = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [of_agreement_or_type("work_role_rate_has_one_owner")]


@keep_history
class WorkTypeRate(models.Model):
    """How a work type (or all) is billed under an agreement, from a day on: rate, hours, and the rate of an overage."""

    agreement = models.ForeignKey(
        Agreement, null=True, blank=True, on_delete=models.CASCADE, related_name="work_type_rates"
    )
    agreement_type = models.ForeignKey(
        AgreementType, null=True, blank=True, on_delete=models.CASCADE, related_name="work_type_rates"
    )
    work_type = models.ForeignKey("catalog.WorkType", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    rate_type = models.CharField(max_length=10, choices=RateType.choices, default=RateType.MULTIPLIER)
    rate = price_field(default=1)
    bill_time = models.CharField(max_length=10, choices=BillingOption.choices, blank=True)
    hours_min = quantity_field(null=True, blank=True)
    hours_max = quantity_field(null=True, blank=True)
    round_hours_to = quantity_field(null=True, blank=True)
    overage_rate_type = models.CharField(max_length=10, choices=RateType.choices, blank=True)
    overage_rate = price_field(null=True, blank=True)
    effective_date = models.DateField(null=True, blank=True)
    ending_date = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [of_agreement_or_type("work_type_rate_has_one_owner")]


@keep_history
class CoverageItem(models.Model):
    """A work role, work type, expense type or product that an agreement leaves out, or alone lets in (selection)."""

    agreement = models.ForeignKey(
        Agreement, null=True, blank=True, on_delete=models.CASCADE, related_name="coverage_items"
    )
    agreement_type = models.ForeignKey(
        AgreementType, null=True, blank=True, on_delete=models.CASCADE, related_name="coverage_items"
    )
    work_role = models.ForeignKey("catalog.WorkRole", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    work_type = models.ForeignKey("catalog.WorkType", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    expense_type = models.ForeignKey(
        "catalog.ExpenseType", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["id"]
        constraints = [
            of_agreement_or_type("coverage_item_has_one_owner"),
            models.UniqueConstraint(
                fields=["agreement", "agreement_type", "work_role", "work_type", "expense_type", "product"],
                nulls_distinct=False,
                name="coverage_item_once",
            ),
        ]


@keep_history
class Addition(models.Model):
    """A product billed with an agreement: (quantity - less included) x unit price in every cycle it is effective.

    Quantity, price and cost are those of the latest change; :class:`AdditionChange` keeps from when each has held.
    """

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
    cancelled_date = models.DateField(
        null=True, blank=True, help_text="Last day it is billed for; the day before its first: never in force."
    )
    serial_number = models.CharField(max_length=50, blank=True)
    purchase_item = models.BooleanField(default=False, help_text="Bought for this agreement.")
    offer = models.ForeignKey("catalog.Offer", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    term = models.CharField(max_length=10, blank=True, default="", db_default="", help_text="month:1, year:1, year:3")
    price_model = models.ForeignKey(
        "catalog.PriceModel",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Prices a changed quantity.",
    )
    committed_through = models.DateField(
        null=True, blank=True, help_text="Owed until this day, unless it is given back in time."
    )
    cancellation_days = models.PositiveSmallIntegerField(
        default=7, help_text="A purchase may be given back on so many days, from its first."
    )
    seats_down = models.CharField(
        max_length=8, choices=SeatsDown.choices, default=SeatsDown.WINDOW, db_default=SeatsDown.WINDOW.value,
        help_text="When there may be fewer of it, where it is committed.",
    )  # fmt: skip
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
                condition=Q(cancelled_date__isnull=True)
                | Q(cancelled_date__gte=F("effective_date") - timedelta(days=1)),
                name="addition_cancelled_after_effective",
            ),
            models.CheckConstraint(
                condition=Q(committed_through__isnull=True) | Q(committed_through__gte=F("effective_date")),
                name="addition_committed_after_effective",
            ),
        ]

    def __str__(self) -> str:
        return self.description

    @property
    def never_in_force(self) -> bool:
        """Whether it was cancelled with effect from its first day: nothing of it is billed."""
        return self.cancelled_date is not None and self.cancelled_date < self.effective_date


@keep_history
class AdditionChange(models.Model):
    """Quantity, price and cost of an addition from a day on.

    An addition that was never changed has none; the first change keeps what held before as well, so that the changes
    are the whole history, oldest first.
    """

    addition = models.ForeignKey(Addition, on_delete=models.CASCADE, related_name="changes")
    effective_date = models.DateField()
    quantity = quantity_field()
    less_included = quantity_field(default=0)
    unit_price = price_field()
    unit_cost = price_field(default=0)
    reason = models.CharField(max_length=200, blank=True)
    origin = models.ForeignKey(
        "quotes.QuoteLine",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="addition_changes",
        help_text="The line of a change quote it comes from.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["addition_id", "effective_date"]
        constraints = [
            models.UniqueConstraint(fields=["addition", "effective_date"], name="one_addition_change_a_day"),
            models.CheckConstraint(
                condition=Q(quantity__gte=0)
                & Q(less_included__gte=0)
                & Q(less_included__lte=F("quantity"))
                & Q(unit_price__gte=0)
                & Q(unit_cost__gte=0),
                name="addition_change_amounts_not_negative",
            ),
        ]
