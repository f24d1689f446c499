"""Who may be billed, and what a company may become."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from counterfoil.companies.models import Company, CompanyKind
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money

#: Relations of a company that only a customer has, and what they are called.
AS_CUSTOMER: Final = {
    "opportunities": "opportunities",
    "agreements": "agreements",
    "sales_orders": "sales orders",
    "invoices": "invoices",
    "billed_invoices": "invoices billed to it",
}
#: Relations that only a vendor has.
AS_VENDOR: Final = {
    "vendor_products": "products",
    "purchase_orders": "purchase orders",
    "vendor_bills": "vendor bills",
}


def ensure_billable(company: Company, bill_to: Company | None = None, *, price_total: Decimal = ZERO) -> None:
    """Refuse to bill My Company, or an internal company anything but zero.

    Args:
        company: whom it is for.
        bill_to: who gets the invoice; empty means the company itself.
        price_total: what would be billed, in the MSP's currency.

    Raises:
        DomainError: ``my_company_not_billable`` or ``price_on_internal_company``.
    """
    payer = bill_to or company
    for party, field in ((company, "company_id"), (payer, "bill_to_id")):
        if party.is_my_company:
            raise DomainError(
                "my_company_not_billable",
                f"{party.name} is My Company: nothing can be billed to it.",
                field=field,
                hint="Make an internal company and bill that at zero price.",
            )
    if payer.is_internal and price_total != 0:
        raise DomainError(
            "price_on_internal_company",
            f"{payer.name} is an internal company and is billed at zero price; {format_money(price_total)} is asked.",
            field="bill_to_id",
            hint="Set the prices to zero, or bill the customer.",
        )


def ensure_customer(company: Company) -> None:
    """Refuse to sell to My Company, to a vendor only, or to a company that is not active.

    Raises:
        DomainError: ``my_company_not_billable`` or ``invalid``.
    """
    ensure_billable(company)
    if company.kind == CompanyKind.VENDOR:
        raise DomainError(
            "invalid",
            f"{company.name} is a vendor only.",
            field="company_id",
            hint="Make it a customer and vendor first.",
        )
    ensure_active(company, "company_id")


def ensure_vendor(company: Company) -> None:
    """Refuse to buy from a company that is no vendor, or not active.

    Raises:
        DomainError: ``invalid``.
    """
    if not company.is_vendor:
        raise DomainError(
            "invalid",
            f"{company.name} is not a vendor.",
            field="vendor_id",
            hint="Choose a vendor, or change what kind of company it is.",
        )
    ensure_active(company, "vendor_id")


def ensure_active(company: Company, field: str) -> None:
    """Refuse new business with a deactivated company.

    Raises:
        DomainError: ``invalid``.
    """
    if not company.active:
        raise DomainError("invalid", f"{company.name} is not active.", field=field, hint="Reactivate it first.")


def ensure_kind_change(company: Company, kind: str) -> None:
    """Refuse a kind that the company's records contradict: My Company with invoices, a customer that is bought from.

    Raises:
        DomainError: ``conflict``.
    """
    if kind == company.kind:
        return
    if company.is_my_company:
        raise DomainError("conflict", stays_my_company(company.name), field="kind")
    lost = relations_lost(company, Company(kind=kind))
    if has := [words for relation, words in lost.items() if getattr(company, relation).exists()]:
        raise DomainError("conflict", stays(company.name, has, company), field="kind")


def relations_lost(old: Company, new: Company) -> dict[str, str]:
    """The relations a company of the ``old`` kind has and one of the ``new`` kind cannot have, with their names."""
    lost: dict[str, str] = {}
    if old.is_vendor and not new.is_vendor:
        lost |= AS_VENDOR
    if (old.is_customer and not new.is_customer) or (old.is_internal and not new.is_internal):
        lost |= AS_CUSTOMER
    return lost


def stays_my_company(name: str) -> str:
    """Why My Company keeps its kind."""
    return f"{name} is My Company and stays it, or it could be billed. Make another company for the other purpose."


def stays(name: str, has: list[str], old: Company) -> str:
    """Why a company keeps its kind."""
    return f"{name} has {' and '.join(has)}, so its kind stays {old.get_kind_display()}."


def ensure_no_open_business(company: Company) -> None:
    """Refuse to deactivate a company that is still dealt with.

    Raises:
        DomainError: ``conflict``, naming what is open.
    """
    if company.is_my_company:
        raise DomainError("conflict", "My Company is always active.", field="active")
    open_records = {
        "open opportunities": company.opportunities.filter(status="open"),
        "active agreements": company.agreements.filter(status="active"),
        "open sales orders": company.sales_orders.filter(status="open"),
        "open purchase orders": company.purchase_orders.filter(status__in=("draft", "sent")),
    }
    if still := [f"{count} {words}" for words, rows in open_records.items() if (count := rows.count())]:
        raise DomainError("conflict", f"{company.name} still has {' and '.join(still)}.", field="active")
