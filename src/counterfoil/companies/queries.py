"""What is known about companies, for pages, API and reports."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet

from counterfoil.companies.models import BillingTerms, Company, CompanyKind, MspSettings, Site
from counterfoil.core.errors import DomainError
from counterfoil.platform.aggregates import count_of


def companies(
    *, search: str = "", kind: str = "", vendors: bool | None = None, active: bool | None = None
) -> QuerySet[Company]:
    """Companies by name, with ``site_count``; filtered by words, kind, being a vendor, being active."""
    rows = Company.objects.select_related("terms", "tax_code", "bill_to").annotate(
        site_count=count_of(Company, "sites")
    )
    for word in search.split():
        rows = rows.filter(Q(name__icontains=word) | Q(identifier__icontains=word) | Q(account_number__icontains=word))
    if kind:
        rows = rows.filter(kind=kind)
    if vendors is not None:
        are_vendors = Q(kind__in=(CompanyKind.VENDOR, CompanyKind.BOTH))
        rows = rows.filter(are_vendors if vendors else ~are_vendors)
    if active is not None:
        rows = rows.filter(active=active)
    return rows


def sellable_companies() -> QuerySet[Company]:
    """Whom something can be sold to: active customers and internal companies, never My Company."""
    return Company.objects.filter(
        active=True, kind__in=(CompanyKind.CUSTOMER, CompanyKind.BOTH, CompanyKind.INTERNAL)
    ).select_related("terms", "tax_code", "bill_to")


def vendors() -> QuerySet[Company]:
    """Whom something can be bought from."""
    return Company.objects.filter(active=True, kind__in=(CompanyKind.VENDOR, CompanyKind.BOTH))


def company(company_id: int) -> Company | None:
    """One company with terms, tax code, bill-to, sites and contacts."""
    rows = Company.objects.select_related("terms", "tax_code", "bill_to").prefetch_related("sites", "contacts")
    return rows.filter(pk=company_id).first()


def billing_terms() -> QuerySet[BillingTerms]:
    """All terms, shortest first."""
    return BillingTerms.objects.all()


def bill_to_of(company: Company) -> Company:
    """Who gets the company's invoices: its bill-to, or itself."""
    return company.bill_to or company


def tax_code_id_of(company: Company, site: Site | None = None) -> int | None:
    """The tax code that applies: the site's goes before the company's."""
    if site is not None and site.tax_code_id is not None:
        return site.tax_code_id
    return company.tax_code_id


def site_of(company: Company, site_id: int | None) -> Site | None:
    """The company's site with that id; ``None`` for ``None``.

    Raises:
        DomainError: ``not_found`` when it is another company's or none.
    """
    if site_id is None:
        return None
    if (site := company.sites.filter(pk=site_id).first()) is None:
        raise DomainError("not_found", f"{company.name} has no site with the id {site_id}.", field="site_id")
    return site


def my_company() -> Company | None:
    """The MSP itself, if it has been entered."""
    return Company.objects.filter(kind=CompanyKind.MY_COMPANY).first()


def internal_companies() -> QuerySet[Company]:
    """Bill-tos for what the MSP buys for itself."""
    return Company.objects.filter(kind=CompanyKind.INTERNAL, active=True)


def msp_settings() -> MspSettings:
    """What holds for the whole MSP; as it is at first when nothing was set."""
    return MspSettings.objects.filter(pk=1).first() or MspSettings()


def currency() -> str:
    """ISO code of the currency of all amounts."""
    return msp_settings().currency


def local_date(now: datetime) -> date:
    """What day it is for the MSP at the instant ``now`` (aware)."""
    return now.astimezone(time_zone()).date()


def time_zone() -> ZoneInfo:
    """The MSP's, which decides what day it is."""
    return ZoneInfo(msp_settings().time_zone)
