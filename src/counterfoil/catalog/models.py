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
    price_from_components = models.BooleanField(default=False, help_text="A bundle costs what its components do.")
    cost_from_components = models.BooleanField(default=True, help_text="A bundle's cost is that of its components.")
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


# -- selling: how a product is priced ----------------------------------------------------------------------------------


class PriceModelKind(models.TextChoices):
    """How a price follows from a quantity (WE-9)."""

    PER_UNIT = "per_unit", "Per unit"
    VOLUME = "volume", "Volume: all units at the price of the tier reached"
    GRADUATED = "graduated", "Graduated: each tier's units at its own price"
    STAIR_STEP = "stair_step", "Stair-step: one amount for each tier"
    PACKAGE = "package", "Package: whole packages"
    PERCENTAGE = "percentage", "Percentage of an amount"


@keep_history
class PriceModel(models.Model):
    """A tier model that offers and quote lines may be priced with instead of a plain unit price."""

    name = models.CharField(max_length=60, unique=True)
    kind = models.CharField(max_length=10, choices=PriceModelKind.choices)
    minimum_quantity = quantity_field(default=0, help_text="Billed at least.")
    included_quantity = quantity_field(default=0, help_text="Not billed.")
    minimum_amount = price_field(default=0, help_text="The price is at least this much.")
    package_size = quantity_field(default=1, help_text="Units in a package.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(minimum_quantity__gte=0)
                & Q(included_quantity__gte=0)
                & Q(minimum_amount__gte=0)
                & Q(package_size__gt=0),
                name="price_model_amounts",
            )
        ]

    def __str__(self) -> str:
        return self.name


@keep_history
class PriceTier(models.Model):
    """A range of quantities, up to and with ``up_to``; the last one has no end."""

    model = models.ForeignKey(PriceModel, on_delete=models.CASCADE, related_name="tiers")
    up_to = quantity_field(null=True, blank=True, help_text="Up to and with; empty: no end.")
    unit_price = price_field(default=0, help_text="Per unit, per package, or the share of a percentage (0.02 is 2 %).")
    flat_amount = price_field(default=0, help_text="Once, when the tier is reached.")

    class Meta:
        ordering = ["model_id", models.F("up_to").asc(nulls_last=True)]
        constraints = [
            models.UniqueConstraint(fields=["model", "up_to"], nulls_distinct=False, name="price_tier_once"),
            models.CheckConstraint(
                condition=(Q(up_to__isnull=True) | Q(up_to__gt=0)) & Q(unit_price__gte=0) & Q(flat_amount__gte=0),
                name="price_tier_amounts",
            ),
        ]


class SeatsDown(models.TextChoices):
    """When the quantity of a committed licence may go down."""

    ANY_TIME = "any_time", "At any time"
    WINDOW = "window", "Within the cancellation window, and at renewal"
    RENEWAL = "renewal", "At renewal alone"


class Refund(models.TextChoices):
    """What is given back for a cancellation within the window."""

    PRORATED = "prorated", "The days that are left"
    FULL = "full", "Everything"
    NONE = "none", "Nothing"


@keep_history
class CommitmentRule(models.Model):
    """What a vendor's term binds to: the cancellation window, when seats may go down, and what may be co-termed."""

    name = models.CharField(max_length=60, unique=True)
    description = models.TextField(blank=True)
    cancellation_hours = models.PositiveIntegerField(default=168, help_text="From a purchase or renewal on; 0: never.")
    refund = models.CharField(max_length=8, choices=Refund.choices, default=Refund.PRORATED)
    seats_down = models.CharField(max_length=8, choices=SeatsDown.choices, default=SeatsDown.WINDOW)
    may_coterm = models.BooleanField(default=True, help_text="Its end can be aligned to another's.")
    notice_days = models.PositiveSmallIntegerField(default=1, help_text="Changes to a renewal: so many days before.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@keep_history
class Uplift(models.Model):
    """What a term and billing frequency cost more than the base price, in per cent, from a day on (WE-16)."""

    rule = models.ForeignKey(CommitmentRule, on_delete=models.CASCADE, related_name="uplifts")
    term = models.CharField(max_length=10, help_text="month:1, year:1, year:3")
    billing_cycle = models.CharField(max_length=10)
    percent = price_field(help_text="5 is 5 %.")
    effective_from = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["rule_id", "term", "billing_cycle", "effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "term", "billing_cycle", "effective_from"], nulls_distinct=False, name="uplift_once"
            )
        ]


@keep_history
class Offer(models.Model):
    """How a product is sold: for which term, billed how often, at which price and cost, by which vendor's SKU.

    ``term`` empty is any; ``billing_cycle`` equal to the term is prepaid (upfront). Price and cost are per unit and
    billing cycle. One product has as many offers as it takes: the same licence for a month, a year and three years is
    one product (WE-31).
    """

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="offers")
    name = models.CharField(max_length=100, blank=True, help_text="Where term and frequency do not say it.")
    term = models.CharField(max_length=10, blank=True, help_text="month:1, year:1, year:3; empty: any.")
    billing_cycle = models.CharField(max_length=10, blank=True, help_text="Empty: once.")
    price = price_field(default=0)
    cost = price_field(default=0)
    price_model = models.ForeignKey(PriceModel, null=True, blank=True, on_delete=models.PROTECT, related_name="offers")
    vendor = models.ForeignKey(
        "companies.Company", null=True, blank=True, on_delete=models.PROTECT, related_name="offers"
    )
    vendor_sku = models.CharField("vendor SKU", max_length=80, blank=True)
    commitment_rule = models.ForeignKey(
        CommitmentRule, null=True, blank=True, on_delete=models.PROTECT, related_name="offers"
    )
    effective_from = models.DateField(null=True, blank=True)
    effective_to = models.DateField(null=True, blank=True, help_text="Last day.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["product_id", "term", "billing_cycle", "effective_from", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["product", "term", "billing_cycle", "vendor", "vendor_sku", "effective_from"],
                nulls_distinct=False,
                name="offer_once",
            ),
            models.CheckConstraint(condition=Q(cost__gte=0) & Q(price__gte=0), name="offer_amounts_not_negative"),
            models.CheckConstraint(
                condition=Q(effective_to__isnull=True)
                | Q(effective_from__isnull=True)
                | Q(effective_to__gte=models.F("effective_from")),
                name="offer_ends_after_it_starts",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.product} {self.term} {self.billing_cycle}".strip()


class PriceMethod(models.TextChoices):
    """How a pricing schedule finds a price."""

    PRICE = "price", "This price"
    MARKUP = "markup", "Markup on cost, %"
    MARGIN = "margin", "Margin of price, %"
    DISCOUNT = "discount", "Discount off the price, %"
    AMOUNT_OFF = "amount_off", "Amount off the price"


@keep_history
class PricingSchedule(models.Model):
    """Prices that hold for the companies named (or for all), between dates."""

    name = models.CharField(max_length=60, unique=True)
    for_all_companies = models.BooleanField(default=False)
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True, help_text="Last day.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["for_all_companies"],
                condition=Q(for_all_companies=True, active=True),
                name="one_schedule_for_all_companies",
            )
        ]

    def __str__(self) -> str:
        return self.name


@keep_history
class PricingScheduleCompany(models.Model):
    """That a company buys by a schedule."""

    schedule = models.ForeignKey(PricingSchedule, on_delete=models.CASCADE, related_name="companies")
    company = models.ForeignKey("companies.Company", on_delete=models.CASCADE, related_name="pricing_schedules")

    class Meta:
        ordering = ["schedule_id", "company__name"]
        constraints = [models.UniqueConstraint(fields=["schedule", "company"], name="company_once_in_a_schedule")]


@keep_history
class PricingBreak(models.Model):
    """A price of a schedule: for an offer, a product, a category, or everything; from a quantity on, between dates."""

    schedule = models.ForeignKey(PricingSchedule, on_delete=models.CASCADE, related_name="breaks")
    offer = models.ForeignKey(Offer, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    product = models.ForeignKey(Product, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    category = models.ForeignKey(Category, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    from_quantity = quantity_field(default=0)
    method = models.CharField(max_length=10, choices=PriceMethod.choices)
    value = price_field(help_text="A price or amount, or per cent (5 is 5 %).")
    start_date = models.DateField(null=True, blank=True)
    end_date = models.DateField(null=True, blank=True, help_text="Last day.")

    class Meta:
        ordering = ["schedule_id", "id"]
        constraints = [
            models.CheckConstraint(condition=Q(from_quantity__gte=0) & Q(value__gte=0), name="pricing_break_amounts")
        ]


@keep_history
class BundleComponent(models.Model):
    """What a bundle is made of: so many for each bundle, or a fixed number however many bundles are sold."""

    bundle = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="components")
    position = models.PositiveIntegerField()
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="bundles")
    offer = models.ForeignKey(Offer, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    quantity = quantity_field(default=1)
    fixed_quantity = models.BooleanField(default=False, help_text="Not multiplied by the number of bundles.")
    shown = models.BooleanField(default=True, help_text="The customer sees it.")
    unit_price = price_field(null=True, blank=True, help_text="Within this bundle; empty: the catalog's.")

    class Meta:
        ordering = ["bundle_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["bundle", "position"], name="bundle_component_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="bundle_component_quantity_positive"),
            models.CheckConstraint(condition=~Q(bundle=models.F("product")), name="bundle_is_not_in_itself"),
        ]


# -- work --------------------------------------------------------------------------------------------------------------


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
