"""Tax codes with their levels and exemptions, customers' certificates, and sales tax paid to agencies."""

from __future__ import annotations

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.fields import Number
from counterfoil.api.shapes import shape
from counterfoil.billing import remittances
from counterfoil.tax import commands, queries
from counterfoil.tax.models import (
    ExemptionCertificate,
    TaxCode,
    TaxExemption,
    TaxLevel,
    TaxRemittance,
    TaxSettings,
)

area = Area("Sales tax")

levels = shape(TaxLevel)
exemptions = shape(TaxExemption)
tax_codes = shape(
    TaxCode,
    extra={"combined_rate": Number},
    parts={"levels": levels, "exemptions": exemptions},
    source=queries.tax_codes,
)
tax_settings = shape(TaxSettings)
certificates = shape(ExemptionCertificate)
tax_remittances = shape(TaxRemittance)


def list_remittances(*, agency: str = "") -> QuerySet[TaxRemittance]:
    """Sales tax paid, to one agency or to all."""
    return TaxRemittance.objects.filter(agency=agency) if agency else TaxRemittance.objects.all()


area.records("/tax-codes", tax_codes, queries.tax_codes)
area.post("/tax-codes", commands.create_tax_code, tax_codes)
area.detail("/tax-codes/{tax_code_id}", tax_codes)
area.patch("/tax-codes/{tax_code_id}", commands.update_tax_code, tax_codes)
area.put("/tax-settings", commands.set_tax_basis, tax_settings)

area.records("/exemption-certificates", certificates, queries.certificates)
area.post("/exemption-certificates", commands.add_exemption_certificate, certificates)
area.detail("/exemption-certificates/{certificate_id}", certificates)
area.patch("/exemption-certificates/{certificate_id}", commands.update_exemption_certificate, certificates)

area.records("/tax-remittances", tax_remittances, list_remittances)
area.post("/tax-remittances", remittances.remit_sales_tax, tax_remittances)
area.detail("/tax-remittances/{remittance_id}", tax_remittances)
