"""Writing a draft: its lines, the tax on them, its totals, and to whom it goes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import cast

from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax
from counterfoil.companies.models import BillingTerms, Company, Site
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.core.salestax import Kind
from counterfoil.tax.models import TaxCode
from counterfoil.tax.queries import SoldLine, tax_table


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


def reckon(invoice: Invoice) -> Invoice:
    """Compute tax and totals of a draft anew from its lines, and save them."""
    lines = list(invoice.lines.select_related("product", "charge"))
    codes = [invoice.tax_code_id] if invoice.tax_code_id else []
    table = tax_table(on=invoice.date, buyer_ids=[invoice.bill_to_id], tax_code_ids=codes)
    result = table.tax(invoice.tax_code_id, invoice.bill_to_id, [_sold(line) for line in lines])
    for line in lines:
        line.tax_amount = result.by_line[line.pk]
    InvoiceLine.objects.bulk_update(lines, ["tax_amount"])
    invoice.taxes.all().delete()
    InvoiceTax.objects.bulk_create(
        InvoiceTax(
            invoice=invoice,
            position=tax.position,
            level=tax.name,
            agency=tax.agency,
            rate=tax.rate,
            taxable_amount=tax.taxable_amount,
            exempt_amount=tax.exempt_amount,
            amount=tax.amount,
        )
        for tax in result.by_level
        if tax.taxable_amount or tax.exempt_amount or tax.amount
    )
    invoice.subtotal = sum_money(line.amount for line in lines)
    invoice.tax_total = result.total if lines else ZERO
    invoice.total = sum_money([invoice.subtotal, invoice.tax_total])
    invoice.cost_total = sum_money(line.cost for line in lines)
    invoice.save()
    return invoice


def _sold(line: InvoiceLine) -> SoldLine:
    """The line as it is taxed: what an agreement covers of it is not."""
    return SoldLine(
        key=line.pk,
        amount=line.amount,
        taxable=line.taxable,
        kind=cast(Kind, line.kind),
        quantity=(line.quantity - line.covered_quantity) or line.quantity,
        category_id=line.product.category_id if line.product else None,
        expense_type_id=line.charge.expense_type_id if line.charge else None,
        work_role_id=line.charge.work_role_id if line.charge else None,
    )
