"""Tax codes with dated levels, what they exempt, customers' exemption certificates, and remittances."""

from __future__ import annotations

from typing import Any

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, BigIntegerRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q

from counterfoil.ledger.models import DateRange
from counterfoil.platform.fields import money_field, price_field
from counterfoil.platform.history import keep_history


class TaxBasis(models.TextChoices):
    """What is rounded to the cent: the tax on each line, or that on the whole invoice, once."""

    LINE = "line", "Each line"
    INVOICE = "invoice", "The invoice"


class LevelRateType(models.TextChoices):
    """Whether a level takes a share of the amount or a fixed sum for each unit."""

    PERCENT = "percent", "Percent"
    AMOUNT = "amount", "Amount a unit"


class TaxSettings(models.Model):
    """How sales tax is reckoned, in a single row. SSUTA § 324: the seller chooses the basis and keeps to it."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    basis = models.CharField(max_length=7, choices=TaxBasis.choices, default=TaxBasis.INVOICE)

    class Meta:
        verbose_name_plural = "tax settings"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="tax_settings_single_row")]


@keep_history
class TaxCode(models.Model):
    """A sales tax as it applies at a place: the sum of its levels.

    It is in effect from ``effective_date`` until the day before ``cancel_date``; nothing is billed with it on other
    days. A change does not touch invoices that are there.
    """

    identifier = models.CharField(max_length=12, unique=True)
    description = models.CharField(max_length=60, blank=True)
    caption = models.CharField(
        max_length=25, blank=True, help_text="What invoices call the tax where they do not show its levels."
    )
    shown = models.BooleanField(
        "shown on invoices", default=True, help_text="Whether invoices show each level, or one sum."
    )
    state = models.CharField(max_length=2, blank=True, help_text="Two letters; certificates can be for a state.")
    effective_date = models.DateField(null=True, blank=True, help_text="First day it can be billed; empty: any.")
    cancel_date = models.DateField(null=True, blank=True, help_text="First day it no longer can; empty: none.")
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["identifier"]
        constraints = [
            models.CheckConstraint(
                condition=Q(effective_date__isnull=True)
                | Q(cancel_date__isnull=True)
                | Q(cancel_date__gt=F("effective_date")),
                name="tax_code_dates_order",
            )
        ]

    def __str__(self) -> str:
        return self.identifier


class KeyRange(models.Func):
    """``int8range(key, key, '[]')``: keys compared as ranges, which needs no extension of PostgreSQL."""

    template = "INT8RANGE(%(expressions)s, %(expressions)s, '[]')"
    output_field = BigIntegerRangeField()


@keep_history
class TaxLevel(models.Model):
    """One level of a tax code (state, county, city, ...) as it holds for a time, half-open ``[valid_from, valid_to)``.

    ``rate`` 0.06 is 6 %; of type ``amount`` it is the tax on one unit of quantity. When a rate changes, the row ends
    and another follows it, so that what is dated before is taxed as it was. Positions 1 to 6 run from the widest
    jurisdiction to the narrowest.
    """

    tax_code = models.ForeignKey(TaxCode, on_delete=models.CASCADE, related_name="levels")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    rate_type = models.CharField(max_length=7, choices=LevelRateType.choices, default=LevelRateType.PERCENT)
    rate = price_field()
    agency = models.CharField(max_length=60, help_text="Whom it is paid to.")
    taxes_services = models.BooleanField(default=True)
    taxes_expenses = models.BooleanField(default=True)
    taxes_products = models.BooleanField(default=True)
    taxable_max = money_field(null=True, blank=True, help_text="No more of an invoice line is taxed.")
    single_unit_minimum = price_field(
        null=True, blank=True, help_text="Of a unit's price, only what is above it is taxed."
    )
    single_unit_maximum = price_field(
        null=True, blank=True, help_text="Of a unit's price, only what is up to it is taxed."
    )
    compound_on: ArrayField[Any, Any] = ArrayField(
        models.PositiveSmallIntegerField(),
        default=list,
        blank=True,
        help_text="Positions of levels before it whose tax it taxes as well.",
    )
    valid_from = models.DateField(null=True, blank=True, help_text="First day; empty: from the first.")
    valid_to = models.DateField(null=True, blank=True, help_text="First day it no longer holds; empty: until changed.")
    jurisdiction = models.CharField(
        max_length=12,
        blank=True,
        help_text="Its key in the rate files of the SST states: state, type and code of the jurisdiction (05-45-05).",
    )

    class Meta:
        ordering = ["tax_code_id", "position", F("valid_from").asc(nulls_first=True)]
        indexes = [models.Index(fields=["jurisdiction"], name="levels_of_jurisdiction", condition=~Q(jurisdiction=""))]
        constraints = [
            ExclusionConstraint(
                name="tax_level_once_at_a_time",
                expressions=[
                    (KeyRange("tax_code"), RangeOperators.OVERLAPS),
                    (KeyRange("position"), RangeOperators.OVERLAPS),
                    (DateRange("valid_from", "valid_to"), RangeOperators.OVERLAPS),
                ],
            ),
            models.CheckConstraint(condition=Q(position__gte=1) & Q(position__lte=6), name="six_tax_levels"),
            models.CheckConstraint(
                condition=Q(rate__gte=0) & (Q(rate__lt=1) | Q(rate_type="amount")), name="tax_rate_below_one"
            ),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True) | Q(valid_to__isnull=True) | Q(valid_to__gt=F("valid_from")),
                name="tax_level_dates_order",
            ),
            models.CheckConstraint(
                condition=Q(rate_type="percent")
                | Q(
                    taxable_max__isnull=True,
                    single_unit_minimum__isnull=True,
                    single_unit_maximum__isnull=True,
                    compound_on=[],
                ),
                name="amount_a_unit_has_no_caps",
            ),
        ]

    def __str__(self) -> str:
        return self.name


@keep_history
class TaxExemption(models.Model):
    """What a tax code does not tax: a product category, an expense type or a work role, at some levels or at all."""

    tax_code = models.ForeignKey(TaxCode, on_delete=models.CASCADE, related_name="exemptions")
    category = models.ForeignKey("catalog.Category", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    expense_type = models.ForeignKey(
        "catalog.ExpenseType", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    work_role = models.ForeignKey("catalog.WorkRole", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    positions: ArrayField[Any, Any] = ArrayField(
        models.PositiveSmallIntegerField(),
        default=list,
        blank=True,
        help_text="The levels it is exempt at; empty: all.",
    )

    class Meta:
        ordering = ["tax_code_id", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(category__isnull=False, expense_type__isnull=True, work_role__isnull=True)
                | Q(category__isnull=True, expense_type__isnull=False, work_role__isnull=True)
                | Q(category__isnull=True, expense_type__isnull=True, work_role__isnull=False),
                name="exemption_names_one_thing",
            ),
            *(
                models.UniqueConstraint(fields=["tax_code", what], name=f"exemption_of_{what}_once")
                for what in ("category", "expense_type", "work_role")
            ),
        ]

    def __str__(self) -> str:
        return str(self.category or self.expense_type or self.work_role)


@keep_history
class ExemptionCertificate(models.Model):
    """A customer's exemption from sales tax, for one tax code, for all of a state, or for all tax codes.

    It counts on invoices to the customer from ``valid_from`` through ``expires_on``.
    """

    company = models.ForeignKey("companies.Company", on_delete=models.PROTECT, related_name="exemption_certificates")
    tax_code = models.ForeignKey(TaxCode, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=2, blank=True, help_text="Two letters; empty: no matter where.")
    number = models.CharField(max_length=40)
    reason = models.CharField(max_length=60, help_text="Resale, government, non-profit, ...")
    valid_from = models.DateField()
    expires_on = models.DateField(null=True, blank=True, help_text="The last day it counts; empty: it does not expire.")
    notes = models.TextField(max_length=2000, blank=True)

    class Meta:
        ordering = ["company__name", "valid_from", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(tax_code__isnull=True) | Q(state=""), name="certificate_for_a_code_or_a_state"
            ),
            models.CheckConstraint(
                condition=Q(expires_on__isnull=True) | Q(expires_on__gte=F("valid_from")),
                name="certificate_dates_order",
            ),
            models.UniqueConstraint(
                fields=["company", "number", "tax_code", "state", "valid_from"],
                nulls_distinct=False,
                name="certificate_once",
            ),
        ]

    def __str__(self) -> str:
        return self.number


class TaxRemittance(models.Model):
    """Sales tax paid to an agency."""

    number = models.CharField(max_length=15, unique=True)
    agency = models.CharField(max_length=60)
    date = models.DateField()
    amount = money_field()
    bank_account = models.ForeignKey("ledger.Account", on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=60, blank=True)

    class Meta:
        ordering = ["-date", "-id"]
        constraints = [models.CheckConstraint(condition=Q(amount__gt=0), name="tax_remittance_positive")]
        triggers = [pgtrigger.Protect(name="remittance_is_posted", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.number
