"""What is known about sales tax."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from counterfoil.core.salestax import TaxLevel as Level
from counterfoil.platform.aggregates import sum_of
from counterfoil.platform.fields import price_field
from counterfoil.tax.models import TaxCode, TaxLevel, TaxRemittance


def tax_codes(*, search: str = "", active: bool | None = None) -> QuerySet[TaxCode]:
    """Tax codes with their levels and ``combined_rate`` (0.06 is 6 %)."""
    rows = TaxCode.objects.prefetch_related("levels").annotate(
        combined_rate=sum_of(TaxCode, "levels__rate", price_field())
    )
    for word in search.split():
        rows = rows.filter(Q(identifier__icontains=word) | Q(description__icontains=word))
    return rows if active is None else rows.filter(active=active)


def tax_levels(tax_code_id: int | None) -> tuple[Level, ...]:
    """The levels of a tax code, as the core reckons with them; none for no code."""
    if tax_code_id is None:
        return ()
    return tuple(Level(level.name, level.rate) for level in level_rows(tax_code_id))


def level_rows(tax_code_id: int) -> QuerySet[TaxLevel]:
    """The levels as records, with the agencies they are paid to, in order."""
    return TaxLevel.objects.filter(tax_code_id=tax_code_id).order_by("position")


def remittances(*, agency: str = "") -> QuerySet[TaxRemittance]:
    """Sales tax paid to agencies, newest first."""
    found = TaxRemittance.objects.select_related("bank_account")
    return found.filter(agency=agency) if agency else found
