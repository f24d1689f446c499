"""Writing a draft: its lines, to whom it goes, its terms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from counterfoil.agreements.models import Agreement
from counterfoil.billing.models import BillingSettings, Invoice, InvoiceLine, InvoiceStatus
from counterfoil.billing.taxing import reckon
from counterfoil.companies.models import BillingTerms, Company, Contact, Site
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.core.states import words
from counterfoil.platform.lookup import locked
from counterfoil.tax.models import TaxCode


def check_billable(bill_to: Company) -> None:
    """Refuse to bill My Company: what the MSP buys for itself goes to an internal company, at zero price.

    Raises:
        DomainError: ``my_company_not_billable``.
    """
    if bill_to.is_my_company:
        raise DomainError(
            "my_company_not_billable",
            f"{bill_to.name} is My Company and can never be billed.",
            field="bill_to",
            hint="Bill an internal company instead, at zero price.",
        )


def check_prices(bill_to: Company, lines: Sequence[InvoiceLine]) -> None:
    """Refuse a price on an invoice to an internal company: it is not revenue.

    Raises:
        DomainError: ``price_on_internal_company``, naming the line.
    """
    priced = next((line for line in lines if line.amount or line.unit_price), None)
    if bill_to.is_internal and priced is not None:
        raise DomainError(
            "price_on_internal_company",
            f"{bill_to.name} is an internal company: “{priced.description}” has a price of"
            f" {format_money(priced.unit_price)} and must have none.",
            field="bill_to",
            hint="Set the price to zero, or bill a customer.",
        )


def due_date(on: date, terms: BillingTerms | None) -> date:
    """When an invoice of that date falls due (WE-20); on its date without terms."""
    return on + timedelta(days=terms.due_days if terms else 0)


def default_terms() -> BillingTerms | None:
    """The terms of whoever has none of their own."""
    settings = BillingSettings.objects.select_related("default_terms").filter(pk=1).first()
    return settings.default_terms if settings else None


def terms_for(
    *, bill_to: Company, agreement: Agreement | None = None, chosen: BillingTerms | None = None
) -> BillingTerms | None:
    """The terms that hold: those of the document, else of the agreement, its type, the bill-to, the MSP."""
    of_agreement = (agreement.terms or agreement.type.terms) if agreement else None
    return chosen or of_agreement or bill_to.terms or default_terms()


def set_terms(invoice: Invoice, terms: BillingTerms | None) -> None:
    """Put the terms on the invoice, by their name as it is now, and the due date they give."""
    invoice.terms_name = terms.name if terms else ""
    invoice.due_date = due_date(invoice.date, terms)


def attention_of(bill_to: Company) -> str:
    """The contact for bills, if the company has one."""
    contact = Contact.objects.filter(company=bill_to, is_billing=True).first()
    return contact.name if contact else ""


def tax_code_of(chosen: TaxCode | None, site: Site | None, company: Company) -> TaxCode | None:
    """The tax code that applies: the one chosen, else that of the site, else that of the company."""
    if chosen is None and site is None:
        site = company.sites.filter(is_default=True).select_related("tax_code").first()
    return chosen or (site.tax_code if site else None) or company.tax_code


def address_of(company: Company) -> str:
    """The company's postal address (its default site, else its first one), one line under the other."""
    site = company.sites.first()
    return "\n".join(site.address_lines) if site else ""


def set_bill_to(invoice: Invoice, bill_to: Company) -> None:
    """Put the bill-to on the invoice, with its name and address as they are now."""
    invoice.bill_to = bill_to
    invoice.bill_to_kind = bill_to.kind
    invoice.bill_to_name = bill_to.name
    invoice.bill_to_address = address_of(bill_to)


def write_draft(invoice: Invoice, lines: Sequence[InvoiceLine]) -> Invoice:
    """Save a new draft with its lines, its tax and its totals.

    Raises:
        DomainError: ``price_on_internal_company``.
    """
    check_prices(invoice.bill_to, lines)
    invoice.save()
    for position, line in enumerate(lines, start=1):
        line.invoice, line.position = invoice, position
        line.taxable = line.taxable and not invoice.bill_to.is_internal
    InvoiceLine.objects.bulk_create(lines)
    return reckon(invoice)


def draft_of(invoice_id: int) -> Invoice:
    """A draft, held until the transaction ends.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed.
    """
    invoice = locked(
        Invoice.objects.select_related(
            "company", "bill_to__terms", "tax_code", "agreement__terms", "agreement__type__terms", "sales_order__terms"
        ),
        invoice_id,
    )
    if invoice.status != InvoiceStatus.DRAFT:
        raise DomainError("wrong_state", f"{invoice} is {words(invoice.status)}; only a draft can be changed.")
    return invoice


def amounts(invoice: Invoice) -> str:
    """Subtotal, tax and total, in words."""
    return (
        f"{format_money(invoice.subtotal)} and tax {format_money(invoice.tax_total)}, total"
        f" {format_money(invoice.total)}"
    )
