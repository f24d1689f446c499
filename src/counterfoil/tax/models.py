"""Tax codes, tax levels and remittances."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from counterfoil.platform.fields import money_field, price_field
from counterfoil.platform.history import keep_history


@keep_history
class TaxCode(models.Model):
    """A sales tax as it applies at a place: the sum of its levels."""

    identifier = models.CharField(max_length=12, unique=True)
    description = models.CharField(max_length=60, blank=True)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["identifier"]

    def __str__(self) -> str:
        return self.identifier


@keep_history
class TaxLevel(models.Model):
    """One level of a tax code (state, county, city, ...). ``rate`` 0.06 is 6 %."""

    tax_code = models.ForeignKey(TaxCode, on_delete=models.CASCADE, related_name="levels")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=40)
    rate = price_field()
    agency = models.CharField(max_length=60, help_text="Whom it is paid to.")

    class Meta:
        ordering = ["tax_code_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["tax_code", "position"], name="tax_level_once_per_code"),
            models.CheckConstraint(condition=Q(rate__gte=0) & Q(rate__lt=1), name="tax_rate_below_one"),
        ]

    def __str__(self) -> str:
        return self.name


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
