"""Tax codes with their levels."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.fields import Number
from counterfoil.api.shapes import shape
from counterfoil.tax import commands, queries
from counterfoil.tax.models import TaxCode, TaxLevel

area = Area("Sales tax")

levels = shape(TaxLevel)
tax_codes = shape(TaxCode, extra={"combined_rate": Number}, parts={"levels": levels}, source=queries.tax_codes)

area.records("/tax-codes", tax_codes, queries.tax_codes)
area.post("/tax-codes", commands.create_tax_code, tax_codes)
area.detail("/tax-codes/{tax_code_id}", tax_codes)
area.patch("/tax-codes/{tax_code_id}", commands.update_tax_code, tax_codes)
