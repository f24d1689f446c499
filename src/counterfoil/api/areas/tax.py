"""Tax codes with their levels, and sales tax paid to agencies."""

from __future__ import annotations

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.fields import Number
from counterfoil.api.shapes import shape
from counterfoil.billing import remittances
from counterfoil.tax import commands, queries
from counterfoil.tax.models import TaxCode, TaxLevel, TaxRemittance

area = Area("Sales tax")

levels = shape(TaxLevel)
tax_codes = shape(TaxCode, extra={"combined_rate": Number}, parts={"levels": levels}, source=queries.tax_codes)
tax_remittances = shape(TaxRemittance)


def list_remittances(*, agency: str = "") -> QuerySet[TaxRemittance]:
    """Sales tax paid, to one agency or to all."""
    return TaxRemittance.objects.filter(agency=agency) if agency else TaxRemittance.objects.all()


area.records("/tax-codes", tax_codes, queries.tax_codes)
area.post("/tax-codes", commands.create_tax_code, tax_codes)
area.detail("/tax-codes/{tax_code_id}", tax_codes)
area.patch("/tax-codes/{tax_code_id}", commands.update_tax_code, tax_codes)

area.records("/tax-remittances", tax_remittances, list_remittances)
area.post("/tax-remittances", remittances.remit_sales_tax, tax_remittances)
area.detail("/tax-remittances/{remittance_id}", tax_remittances)
