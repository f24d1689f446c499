"""Companies, sites, contacts and billing terms."""

from __future__ import annotations

import re

from django.core.validators import EmailValidator, RegexValidator
from django.db import models

from counterfoil.platform.fields import price_field
from counterfoil.platform.guards import kept_while_used
from counterfoil.platform.history import keep_history


def split_addresses(text: str) -> list[str]:
    """The e-mail addresses of a text in which commas, semicolons or line breaks separate them."""
    return [part.strip() for part in re.split(r"[,;\n]", text) if part.strip()]


def validate_addresses(text: str) -> None:
    """Refuse a text in which not every part is an e-mail address.

    Raises:
        ValidationError: naming the first that is none.
    """
    for address in split_addresses(text):
        EmailValidator(f"“{address}” is no e-mail address.")(address)


class CompanyKind(models.TextChoices):
    """What a company is to the MSP."""

    CUSTOMER = "customer", "Customer"
    VENDOR = "vendor", "Vendor"
    BOTH = "both", "Customer and vendor"
    INTERNAL = "internal", "Internal company"
    MY_COMPANY = "my_company", "My Company"


@keep_history
class BillingTerms(models.Model):
    """When an invoice falls due: ``due_days`` after the invoice date (WE-20)."""

    name = models.CharField(max_length=40, unique=True)
    due_days = models.PositiveSmallIntegerField(default=30)

    class Meta:
        ordering = ["due_days", "name"]

    def __str__(self) -> str:
        return self.name


@keep_history
class Company(models.Model):
    """A company the MSP deals with.

    *My Company* is the MSP itself: it can never be billed. An *internal company* is a bill-to of its own, for what the
    MSP buys for itself (hardware it leases out): it can be billed at zero price only.
    """

    identifier = models.CharField(
        max_length=30,
        unique=True,
        validators=[RegexValidator(r"^[A-Za-z0-9 +]+$", "Letters, digits, spaces and + only.")],
        help_text="Short unique key: letters, digits, spaces and +.",
    )
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=12, choices=CompanyKind.choices, default=CompanyKind.CUSTOMER)
    active = models.BooleanField(default=True)
    account_number = models.CharField(
        max_length=40, blank=True, help_text="The customer's or vendor's key in the accounting package."
    )
    bill_to = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="billed_for",
        help_text="Who gets the invoices; empty means this company.",
    )
    terms = models.ForeignKey(BillingTerms, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    invoice_email = models.EmailField(blank=True)
    invoice_cc = models.CharField(
        "copies of invoices",
        max_length=500,
        blank=True,
        validators=[validate_addresses],
        help_text="Who else gets the invoices by e-mail; several addresses with commas between them.",
    )
    invoice_grouping = models.CharField(
        max_length=11, blank=True, help_text="company, site, customer_po or ticket; empty: as the MSP does."
    )
    hourly_rate = price_field(null=True, blank=True, help_text="Where no agreement says otherwise.")
    phone = models.CharField(max_length=40, blank=True)
    website = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(kind=CompanyKind.MY_COMPANY), name="one_my_company"
            ),
            models.UniqueConstraint(
                fields=["account_number"], condition=~models.Q(account_number=""), name="account_number_once"
            ),
            models.CheckConstraint(condition=~models.Q(bill_to=models.F("id")), name="bill_to_is_another_company"),
        ]
        triggers = [kept_while_used(ledger_journalline="company_id")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_vendor(self) -> bool:
        """Whether something can be bought from it."""
        return self.kind in (CompanyKind.VENDOR, CompanyKind.BOTH)

    @property
    def is_customer(self) -> bool:
        """Whether it is an outside customer."""
        return self.kind in (CompanyKind.CUSTOMER, CompanyKind.BOTH)

    @property
    def is_internal(self) -> bool:
        """Whether it is an internal company: billed at zero price only."""
        return self.kind == CompanyKind.INTERNAL

    @property
    def is_my_company(self) -> bool:
        """Whether it is the MSP itself: never billed."""
        return self.kind == CompanyKind.MY_COMPANY


@keep_history
class Site(models.Model):
    """A place of a company; its tax code goes before the company's."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="sites")
    name = models.CharField(max_length=60)
    line1 = models.CharField("address", max_length=100, blank=True)
    line2 = models.CharField("address, second line", max_length=100, blank=True)
    city = models.CharField(max_length=60, blank=True)
    state = models.CharField(max_length=40, blank=True)
    postal_code = models.CharField(max_length=15, blank=True)
    country = models.CharField(max_length=2, default="US")
    tax_code = models.ForeignKey("tax.TaxCode", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_default = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_default", "name"]
        constraints = [
            models.UniqueConstraint(fields=["company", "name"], name="site_name_once_per_company"),
            models.UniqueConstraint(
                fields=["company"], condition=models.Q(is_default=True), name="one_default_site_per_company"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def address_lines(self) -> list[str]:
        """The postal address as it is printed, without empty lines."""
        town = " ".join(part for part in (self.state, self.postal_code) if part)
        return [line for line in (self.line1, self.line2, ", ".join(p for p in (self.city, town) if p)) if line]


@keep_history
class Contact(models.Model):
    """A person at a company."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="contacts")
    site = models.ForeignKey(Site, null=True, blank=True, on_delete=models.SET_NULL, related_name="contacts")
    name = models.CharField(max_length=100)
    title = models.CharField(max_length=60, blank=True)
    email = models.EmailField(blank=True)
    phone = models.CharField(max_length=40, blank=True)
    is_default = models.BooleanField(default=False)
    is_billing = models.BooleanField(default=False)

    class Meta:
        ordering = ["-is_default", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["company"], condition=models.Q(is_default=True), name="one_default_contact_per_company"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class LogoType(models.TextChoices):
    """What kind of picture a logo is; the value is its ending."""

    PNG = "png", "PNG"
    JPEG = "jpg", "JPEG"
    SVG = "svg", "SVG"


class Paper(models.TextChoices):
    """What invoices and statements are printed on."""

    LETTER = "us-letter", "US Letter"
    A4 = "a4", "A4"


class MspSettings(models.Model):
    """What holds for the whole MSP, in a single row: its money, its time, and how its documents look."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    currency = models.CharField(max_length=3, default="USD")
    time_zone = models.CharField(max_length=60, default="America/New_York")
    legal_name = models.CharField(max_length=100, blank=True, help_text="As documents name you; empty is My Company's.")
    logo = models.BinaryField(default=b"", blank=True)
    logo_type = models.CharField(max_length=3, choices=LogoType.choices, blank=True)
    brand_colour = models.CharField(
        max_length=7, default="#0b5d66", validators=[RegexValidator(r"^#[0-9a-fA-F]{6}$", "Write it as #0b5d66.")]
    )
    paper = models.CharField(max_length=9, choices=Paper.choices, default=Paper.LETTER)
    remit_to = models.TextField(
        max_length=600, blank=True, help_text="How to pay you: bank account, address for checks, link."
    )
    invoice_footer = models.TextField(max_length=400, blank=True, help_text="Stands at the foot of every page.")
    reply_to = models.EmailField(blank=True, help_text="Where a customer's answer to a mailed invoice goes.")

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="msp_settings_single_row")]
