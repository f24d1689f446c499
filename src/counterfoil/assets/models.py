"""Asset categories, assets, depreciation books and their schedules."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import F, Q

from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field, quantity_field
from counterfoil.platform.guards import references
from counterfoil.platform.history import keep_history


@keep_history
class AssetCategory(models.Model):
    """Assets that share accounts and the usual way of depreciating."""

    name = models.CharField(max_length=50, unique=True)
    asset_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    accumulated_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    expense_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    disposal_account = models.ForeignKey(
        "ledger.Account", on_delete=models.PROTECT, related_name="+", help_text="Gain or loss on disposal."
    )
    method = models.CharField(max_length=40, default="straight_line")
    convention = models.CharField(max_length=20, default="full_month")
    life_months = models.PositiveIntegerField(default=36)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "asset categories"

    def __str__(self) -> str:
        return self.name


class AssetStatus(models.TextChoices):
    """Where an asset stands."""

    IN_SERVICE = "in_service", "In service"
    FULLY_DEPRECIATED = "fully_depreciated", "Fully depreciated"
    DISPOSED = "disposed", "Disposed of"


class CapitalisedFrom(models.TextChoices):
    """Where the cost of an asset came from."""

    COGS = "cogs", "Cost of goods sold, after a cost-only invoice"
    INVENTORY = "inventory", "Inventory, directly"


@keep_history
class Asset(models.Model):
    """A fixed asset, such as a server leased to a customer. Its cost is on the books; it never changes."""

    number = models.CharField(max_length=15, unique=True)
    description = models.CharField(max_length=200)
    category = models.ForeignKey(AssetCategory, on_delete=models.PROTECT, related_name="assets")
    company = models.ForeignKey(
        "companies.Company", on_delete=models.PROTECT, related_name="assets", help_text="The customer it stands at."
    )
    agreement = models.ForeignKey(
        "agreements.Agreement",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="assets",
        help_text="The agreement that earns its cost back.",
    )
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="assets")
    quantity = quantity_field(default=1)
    serial_numbers = models.TextField(blank=True, help_text="One a line.")
    cost = money_field()
    in_service_date = models.DateField()
    status = models.CharField(max_length=20, choices=AssetStatus.choices, default=AssetStatus.IN_SERVICE)
    capitalised_from = models.CharField(max_length=10, choices=CapitalisedFrom.choices)
    invoice_line = models.OneToOneField(
        "billing.InvoiceLine", null=True, blank=True, on_delete=models.PROTECT, related_name="asset"
    )
    order_line = models.ForeignKey(
        "orders.SalesOrderLine", null=True, blank=True, on_delete=models.PROTECT, related_name="assets"
    )
    origin = models.ForeignKey(
        "quotes.QuoteLine", null=True, blank=True, on_delete=models.PROTECT, related_name="assets"
    )
    disposed_on = models.DateField(null=True, blank=True)
    proceeds = money_field(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=Q(cost__gt=0) & Q(quantity__gt=0), name="asset_has_a_cost"),
            models.CheckConstraint(
                condition=Q(capitalised_from="inventory") | Q(invoice_line__isnull=False),
                name="asset_from_cogs_names_its_invoice_line",
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="asset_status", field="status", transitions=sorted(allowed("asset"))),
            pgtrigger.Protect(
                name="asset_cost_is_posted",
                operation=pgtrigger.Update,
                condition=pgtrigger.AnyChange("cost", "quantity", "in_service_date", "capitalised_from"),
            ),
            pgtrigger.Protect(name="asset_is_kept", operation=pgtrigger.Delete),
        ]

    def __str__(self) -> str:
        return self.number


class BookName(models.TextChoices):
    """The books an asset is depreciated in; only ``book`` posts to the ledger."""

    BOOK = "book", "Books"
    TAX = "tax", "US tax"


@keep_history
class DepreciationBook(models.Model):
    """How an asset is depreciated in one set of books."""

    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, related_name="books")
    name = models.CharField(max_length=4, choices=BookName.choices)
    method = models.CharField(max_length=40)
    convention = models.CharField(max_length=20)
    life_months = models.PositiveIntegerField()
    salvage = money_field(default=0)
    total_units = quantity_field(null=True, blank=True, help_text="Expected units, for units of use.")

    class Meta:
        ordering = ["asset_id", "name"]
        constraints = [models.UniqueConstraint(fields=["asset", "name"], name="one_book_of_a_name_per_asset")]


class DepreciationLine(models.Model):
    """The depreciation of one period ``[start, end)``: planned, then posted with its entry."""

    book = models.ForeignKey(DepreciationBook, on_delete=models.PROTECT, related_name="lines", db_index=False)
    sequence = models.PositiveIntegerField()
    start = models.DateField()
    end = models.DateField()
    amount = money_field()
    accumulated = money_field()
    net_book_value = money_field()
    units = quantity_field(null=True, blank=True)
    explanation = models.CharField(max_length=200)
    entry = models.OneToOneField(
        "ledger.JournalEntry",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="depreciation_line",
        db_constraint=False,  # references() below; an entry is never deleted
    )

    class Meta:
        ordering = ["book_id", "sequence"]
        constraints = [
            models.UniqueConstraint(fields=["book", "sequence"], name="depreciation_sequence_once"),
            models.UniqueConstraint(fields=["book", "start"], name="depreciation_period_once"),
            models.CheckConstraint(condition=Q(end__gt=F("start")), name="depreciation_period_order"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="depreciation_not_negative"),
        ]
        triggers = [
            *references(updates=True, entry_id="ledger_journalentry"),
            pgtrigger.Protect(
                name="depreciation_is_posted",
                operation=pgtrigger.Update | pgtrigger.Delete,
                condition=pgtrigger.Q(old__entry__isnull=False),
            ),
        ]
