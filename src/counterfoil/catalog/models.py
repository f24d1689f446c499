"""Products, categories and subcategories."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from counterfoil.platform.fields import price_field, quantity_field
from counterfoil.platform.history import keep_history


class ProductClass(models.TextChoices):
    """How a product behaves here: what it can be converted to, whether stock is kept."""

    AGREEMENT = "Agreement", "Agreement"
    BUNDLE = "Bundle", "Bundle"
    INVENTORY = "Inventory", "Inventory"
    NON_INVENTORY = "NonInventory", "Non-inventory"
    SERVICE = "Service", "Service"


class AccountingType(models.TextChoices):
    """How the product behaves in the accounting package."""

    INVENTORY_PART = "InventoryPart", "Inventory part"
    NON_INVENTORY_PART = "NonInventoryPart", "Non-inventory part"
    OTHER_CHARGE = "OtherCharge", "Other charge"
    SERVICE = "Service", "Service"


@keep_history
class Category(models.Model):
    """A product category; GL accounts can be mapped to it."""

    name = models.CharField(max_length=50, unique=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


@keep_history
class Subcategory(models.Model):
    """A division of a category."""

    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="subcategories")
    name = models.CharField(max_length=50)

    class Meta:
        ordering = ["category__name", "name"]
        verbose_name_plural = "subcategories"
        constraints = [models.UniqueConstraint(fields=["category", "name"], name="subcategory_once_per_category")]

    def __str__(self) -> str:
        return f"{self.category} / {self.name}"


@keep_history
class Product(models.Model):
    """A product of the catalog. ``cost`` and ``price`` are defaults for lines, per unit of measure."""

    identifier = models.CharField(max_length=60, unique=True)
    description = models.CharField(max_length=100)
    customer_description = models.TextField(max_length=6000, blank=True, help_text="What the customer reads.")
    product_class = models.CharField("class", max_length=12, choices=ProductClass.choices)
    accounting_type = models.CharField("type", max_length=16, choices=AccountingType.choices)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    subcategory = models.ForeignKey(
        Subcategory, null=True, blank=True, on_delete=models.PROTECT, related_name="products"
    )
    unit_of_measure = models.CharField(max_length=20, default="each")
    cost = price_field(default=0)
    price = price_field(default=0)
    taxable = models.BooleanField(default=True)
    serialized = models.BooleanField(default=False)
    vendor = models.ForeignKey(
        "companies.Company", null=True, blank=True, on_delete=models.PROTECT, related_name="vendor_products"
    )
    vendor_sku = models.CharField("vendor SKU", max_length=50, blank=True)
    special_order = models.BooleanField(default=False, help_text="Buy the full quantity whatever is in stock.")
    drop_ship = models.BooleanField(default=False, help_text="The vendor ships to the customer; no stock is kept.")
    billing_cycle = models.CharField(
        max_length=10, blank=True, help_text="For agreement products: month:1, month:3, year:1, ..."
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["identifier"]
        constraints = [
            models.CheckConstraint(condition=Q(cost__gte=0) & Q(price__gte=0), name="product_amounts_not_negative"),
            models.CheckConstraint(
                condition=~Q(product_class="Inventory", drop_ship=True), name="stock_is_not_drop_shipped"
            ),
            models.CheckConstraint(
                condition=Q(product_class="Inventory", accounting_type="InventoryPart")
                | (~Q(product_class="Inventory") & ~Q(accounting_type="InventoryPart")),
                name="stock_here_is_stock_in_the_books",
            ),
        ]

    def __str__(self) -> str:
        return self.identifier

    @property
    def is_stocked(self) -> bool:
        """Whether it is an asset in stock until it is sold. Class and type agree: stock here is stock in the books."""
        return self.product_class == ProductClass.INVENTORY


class RateType(models.TextChoices):
    """How a rate changes the one beneath it: replaces it, is added to it, or multiplies it."""

    CUSTOM = "Custom", "Custom rate"
    ADJUST = "AdjAmount", "Amount added or taken off"
    MULTIPLIER = "Multiplier", "Multiplier"


@keep_history
class WorkRole(models.Model):
    """In which capacity somebody works (engineer, project manager); its hourly rate is the last resort."""

    name = models.CharField(max_length=50, unique=True)
    hourly_rate = price_field(default=0)
    hourly_cost = price_field(default=0, help_text="Fully burdened, for profitability.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(hourly_rate__gte=0) & Q(hourly_cost__gte=0), name="role_rates_positive")
        ]

    def __str__(self) -> str:
        return self.name


@keep_history
class WorkType(models.Model):
    """What kind of work it is (regular, after hours); it multiplies or adjusts the work role's rate."""

    name = models.CharField(max_length=50, unique=True)
    rate_type = models.CharField(max_length=10, choices=RateType.choices, default=RateType.MULTIPLIER)
    rate = price_field(default=1)
    cost_multiplier = price_field(default=1)
    hours_min = quantity_field(default=0, help_text="Billed at least, an entry.")
    hours_max = quantity_field(null=True, blank=True, help_text="Billed at most, an entry.")
    round_hours_to = quantity_field(default=0, help_text="Billed hours are rounded up to a multiple of this; 0: not.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@keep_history
class ExpenseType(models.Model):
    """What an expense was for (mileage, meals)."""

    name = models.CharField(max_length=50, unique=True)
    taxable = models.BooleanField(default=False)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
