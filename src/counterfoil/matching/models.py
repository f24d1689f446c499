"""Tolerances, what is held, exceptions of the match, and vendors' statements with the names that stand in them."""

from __future__ import annotations

from typing import Final

import pgtrigger
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.history import keep_history


class Measure(models.TextChoices):
    """What a tolerance is for. Terms, frequencies and products have none."""

    QUANTITY = "quantity", "Quantity"
    UNIT_COST = "unit_cost", "Unit cost"
    UNIT_PRICE = "unit_price", "Unit price"
    AMOUNT = "amount", "Amount of a line"
    DAYS = "days", "Start and end date, in days"


class Bounds(models.TextChoices):
    """How a percentage and an amount go together."""

    WIDER = "wider", "The wider of both"
    NARROWER = "narrower", "The narrower of both"


@keep_history
class MatchTolerance(models.Model):
    """How far a measure may be off, for a vendor, a category, a company, or for all; the most particular one holds.

    A difference up to and with the bound matches (WE-10). Of vendor, category and company, a tolerance that names more
    of them is more particular; among equals vendor comes before company, company before category.
    """

    measure = models.CharField(max_length=10, choices=Measure.choices)
    vendor = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    category = models.ForeignKey("catalog.Category", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    company = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    percent = price_field(null=True, blank=True, help_text="2 is 2 % of what was expected.")
    amount = price_field(
        null=True, blank=True, help_text="In the measure's own unit; of unit cost and price: on the whole line."
    )
    bounds = models.CharField(max_length=8, choices=Bounds.choices, default=Bounds.WIDER)

    class Meta:
        ordering = ["measure", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["measure", "vendor", "category", "company"], nulls_distinct=False, name="match_tolerance_once"
            ),
            models.CheckConstraint(
                condition=(Q(percent__isnull=False) | Q(amount__isnull=False))
                & (Q(percent__isnull=True) | Q(percent__gte=0))
                & (Q(amount__isnull=True) | Q(amount__gte=0)),
                name="match_tolerance_amounts",
            ),
        ]


@keep_history
class HoldRule(models.Model):
    """What an exception of a code holds until it is mended or overridden."""

    code = models.CharField(max_length=40, unique=True)
    holds_purchase_order = models.BooleanField(default=False)
    holds_vendor_bill = models.BooleanField(default=False)
    holds_invoice = models.BooleanField(default=False)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return self.code


class MatchKind(models.TextChoices):
    """Which match found it."""

    QUOTE = "quote", "Quote, purchase order and invoice"
    PURCHASE = "purchase", "Purchase order, receipt and vendor bill"
    RECONCILIATION = "reconciliation", "Vendor's quantities and what we bill"


class ExceptionStatus(models.TextChoices):
    """Where an exception stands. Who overrides it accepts these two values; others open it again."""

    OPEN = "open", "Open"
    MENDED = "mended", "Mended"
    OVERRIDDEN = "overridden", "Overridden"


#: What an exception still asks somebody to look at.
UNSETTLED: Final = (ExceptionStatus.OPEN.value,)


class MatchException(models.Model):
    """A difference between two legs of a thread: what it is, both values, its dollars, and what to do.

    ``key`` names the finding (its code and the lines it is between), so that matching again finds it again.
    ``monthly`` is what it costs us a month (below zero: what we gain), ``over_term`` over the rest of the term or once.
    """

    key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=14, choices=MatchKind.choices)
    code = models.CharField(max_length=40)
    status = models.CharField(max_length=10, choices=ExceptionStatus.choices, default=ExceptionStatus.OPEN)
    expected_leg = models.CharField(max_length=20, help_text="Where the expected value stands.")
    actual_leg = models.CharField(max_length=20)
    expected = models.CharField(max_length=200, blank=True)
    actual = models.CharField(max_length=200, blank=True)
    message = models.CharField(max_length=400)
    what_to_do = models.CharField(max_length=400, blank=True)
    monthly = money_field(default=0)
    over_term = money_field(default=0)
    company = models.ForeignKey(
        "companies.Company", null=True, blank=True, on_delete=models.CASCADE, related_name="match_exceptions"
    )
    vendor = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.CASCADE, related_name="match_exceptions"
    )
    addition = models.ForeignKey(
        "agreements.Addition", null=True, blank=True, on_delete=models.CASCADE, related_name="match_exceptions"
    )
    order_line = models.ForeignKey(
        "orders.SalesOrderLine", null=True, blank=True, on_delete=models.CASCADE, related_name="match_exceptions"
    )
    purchase_order_line = models.ForeignKey(
        "procurement.PurchaseOrderLine",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="match_exceptions",
    )
    bill_line = models.ForeignKey(
        "procurement.VendorBillLine", null=True, blank=True, on_delete=models.CASCADE, related_name="match_exceptions"
    )
    invoice_line = models.ForeignKey(
        "billing.InvoiceLine", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    statement_line = models.ForeignKey(
        "matching.VendorStatementLine",
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="match_exceptions",
    )
    found_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True, blank=True, help_text="Mended or overridden.")
    overridden_by = models.CharField(max_length=200, blank=True)
    override_reason = models.TextField(max_length=2000, blank=True)

    class Meta:
        ordering = ["-over_term", "id"]
        indexes = [
            models.Index(fields=["status", "kind"], name="match_exceptions_by_status"),
            models.Index(fields=["found_at"], name="match_exceptions_by_day"),
        ]
        triggers = [
            pgtrigger.FSM(name="match_exception_status", field="status", transitions=sorted(allowed("match_exception")))
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ThreadToMatch(models.Model):
    """That a leg of a quoted line's thread, or a purchase order, has changed since it was matched.

    Triggers on the legs (:mod:`counterfoil.matching.watched`) add to it, once a statement; a thread may stand in it
    several times, so that those who write never wait for one another.
    """

    origin_id = models.BigIntegerField(null=True)
    purchase_order_id = models.BigIntegerField(null=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]


@keep_history
class ColumnMapping(models.Model):
    """Which column of a vendor's file holds what."""

    name = models.CharField(max_length=60, unique=True)
    vendor = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    columns = models.JSONField(help_text="Our field -> the heading of their column.")
    built_in = models.BooleanField(default=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@keep_history
class VendorStatement(models.Model):
    """What a vendor says that each customer has, and what it costs, for a period; held against what we bill."""

    number = models.CharField(max_length=15, unique=True)
    vendor = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="statements")
    reference = models.CharField(max_length=60, blank=True, help_text="The vendor's invoice number.")
    period_start = models.DateField()
    period_end = models.DateField(help_text="First day after the period.")
    file_name = models.CharField(max_length=200, blank=True)
    file_sha256 = models.CharField(max_length=64, blank=True)
    line_count = models.PositiveIntegerField(default=0)
    total = money_field(default=0)
    imported_at = models.DateTimeField()
    imported_by = models.CharField(max_length=200)
    reconciled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "file_sha256"], condition=~Q(file_sha256=""), name="vendor_file_imported_once"
            )
        ]

    def __str__(self) -> str:
        return self.number


class NameMatch(models.TextChoices):
    """How the vendor's name was understood."""

    EXACT = "exact", "Exact"
    ALIAS = "alias", "Known name"
    SUGGESTED = "suggested", "Suggested"
    UNKNOWN = "unknown", "Unknown"


class VendorStatementLine(models.Model):
    """A line of a vendor's statement, as it says, with the company and product that it was understood to mean."""

    statement = models.ForeignKey(VendorStatement, on_delete=models.CASCADE, related_name="lines")
    position = models.PositiveIntegerField()
    customer_name = models.CharField(max_length=200)
    customer_key = models.CharField(max_length=100, blank=True, help_text="The vendor's id of the customer.")
    product_name = models.CharField(max_length=200)
    vendor_sku = models.CharField("vendor SKU", max_length=120, blank=True)
    subscription = models.CharField(max_length=100, blank=True)
    quantity = quantity_field()
    unit_cost = price_field(default=0)
    amount = money_field(default=0)
    charge_type = models.CharField(max_length=60, blank=True)
    charge_start = models.DateField(null=True, blank=True)
    charge_end = models.DateField(null=True, blank=True, help_text="First day after.")
    term = models.CharField(max_length=10, blank=True)
    billing_cycle = models.CharField(max_length=10, blank=True)
    company = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    company_match = models.CharField(max_length=9, choices=NameMatch.choices, default=NameMatch.UNKNOWN)
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    product_match = models.CharField(max_length=9, choices=NameMatch.choices, default=NameMatch.UNKNOWN)

    class Meta:
        ordering = ["statement_id", "position"]
        constraints = [models.UniqueConstraint(fields=["statement", "position"], name="statement_line_position_once")]


class AliasKind(models.TextChoices):
    """Whose name it is."""

    CUSTOMER = "customer", "Customer"
    PRODUCT = "product", "Product"


@keep_history
class NameAlias(models.Model):
    """What a vendor calls a customer or a product of ours; confirmed once by a person."""

    vendor = models.ForeignKey("companies.Company", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8, choices=AliasKind.choices)
    text = models.CharField(max_length=200, help_text="Folded: lower case, single spaces.")
    company = models.ForeignKey("companies.Company", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    product = models.ForeignKey("catalog.Product", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    confirmed_by = models.CharField(max_length=200)
    confirmed_at = models.DateTimeField()

    class Meta:
        ordering = ["vendor_id", "kind", "text"]
        constraints = [
            models.UniqueConstraint(fields=["vendor", "kind", "text"], name="alias_once_for_a_vendor"),
            models.CheckConstraint(
                condition=Q(kind="customer", company__isnull=False, product__isnull=True)
                | Q(kind="product", company__isnull=True, product__isnull=False),
                name="alias_names_what_it_means",
            ),
        ]


# Django finds an app's models here; these only carry triggers.
from counterfoil.matching import watched  # noqa: E402, F401
