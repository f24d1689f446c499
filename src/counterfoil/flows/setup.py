"""The first day: My Company, the chart of accounts, the periods, the usual terms, categories and agreement types."""

from __future__ import annotations

from datetime import date

from counterfoil.accounting.models import AccountingSettings, GLMapping
from counterfoil.agreements.commands import install_agreement_types
from counterfoil.agreements.models import AgreementType
from counterfoil.assets.models import AssetCategory
from counterfoil.catalog.commands import install_commitment_rules
from counterfoil.catalog.models import Category
from counterfoil.companies.models import BillingTerms, Company, CompanyKind, MspSettings, Site
from counterfoil.core.errors import DomainError
from counterfoil.core.posting import GlRole
from counterfoil.ledger.commands import install_chart, open_periods
from counterfoil.ledger.models import Account
from counterfoil.matching.column_mappings import install_column_mappings
from counterfoil.matching.commands import install_match_rules
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.quotes.models import ConversionRule
from counterfoil.quotes.routing import ConversionRuleInput, set_conversion_rules

TERMS = (("Due on receipt", 0), ("Net 10", 10), ("Net 15", 15), ("Net 30", 30), ("Net 45", 45), ("Net 60", 60))
CATEGORIES = ("Hardware", "Software", "HaaS", "SaaS", "Managed services", "Labor")
#: Beside the usual kinds: leases, with accounts of their own.
AGREEMENT_TYPES = ("HaaS", "SaaS")

#: (role, category or agreement type, account code)
CATEGORY_MAPPINGS = ((GlRole.COGS, "Software", "5010"), (GlRole.COGS, "SaaS", "5010"))
AGREEMENT_MAPPINGS = ((GlRole.AGREEMENT_REVENUE, "HaaS", "4010"), (GlRole.AGREEMENT_REVENUE, "SaaS", "4020"))


@command(roles=(Role.OWNER,))
def set_up_msp(*, actor: Actor, name: str, identifier: str, on: date, currency: str = "USD") -> Company:
    """Set an empty installation up; what is there already stays, so it can be run again.

    Periods are opened for the calendar year of ``on`` and the four after it.

    Args:
        name: the MSP's name, as it prints on invoices.
        identifier: its short key.
        on: a day of the first year of the books.
        currency: ISO code of the currency of all amounts.

    Raises:
        DomainError: ``required`` without a name.
    """
    if not name.strip():
        raise DomainError("required", "Give the MSP's name.", field="name")
    MspSettings.objects.get_or_create(id=1, defaults={"currency": currency})
    AccountingSettings.objects.get_or_create(id=1)
    company = Company.objects.filter(kind=CompanyKind.MY_COMPANY).first()
    if company is None:
        company = Company.objects.create(identifier=identifier, name=name.strip(), kind=CompanyKind.MY_COMPANY)
        Site.objects.create(company=company, name="Main", is_default=True)
    for term, days in TERMS:
        BillingTerms.objects.get_or_create(name=term, defaults={"due_days": days})
    install_chart(actor=actor)
    open_periods(actor=actor, first=date(on.year, 1, 1), months=60)
    install_agreement_types(actor=actor)
    install_commitment_rules(actor=actor)
    _install_categories()
    _install_conversion_rules(actor)
    install_match_rules(actor=actor)
    install_column_mappings(actor=actor)
    audit.record(actor, "setup.msp.set_up", f"set up {company.name} with its chart of accounts and periods", company)
    return company


def _install_categories() -> None:
    """Product categories, agreement types and the asset category of leased hardware, with their accounts."""
    accounts = {account.code: account for account in Account.objects.all()}
    for category in CATEGORIES:
        Category.objects.get_or_create(name=category)
    for agreement_type in AGREEMENT_TYPES:
        AgreementType.objects.get_or_create(name=agreement_type)
    for role, category, code in CATEGORY_MAPPINGS:
        GLMapping.objects.get_or_create(
            role=role.value, category=Category.objects.get(name=category), defaults={"account": accounts[code]}
        )
    for role, agreement_type, code in AGREEMENT_MAPPINGS:
        GLMapping.objects.get_or_create(
            role=role.value,
            agreement_type=AgreementType.objects.get(name=agreement_type),
            defaults={"account": accounts[code]},
        )
    AssetCategory.objects.get_or_create(
        name="Leased hardware",
        defaults={
            "asset_account": accounts["1500"],
            "accumulated_account": accounts["1590"],
            "expense_account": accounts["5200"],
            "disposal_account": accounts["7900"],
        },
    )


def _install_conversion_rules(actor: Actor) -> None:
    """What recurs is billed with an agreement (leases with theirs), goods are ordered, work is kept for a project."""
    if ConversionRule.objects.exists():
        return
    types = {kind.name: kind.pk for kind in AgreementType.objects.all()}
    leases = [
        ConversionRuleInput(
            "agreement",
            category_id=Category.objects.get(name=name).pk,
            recurring=True,
            agreement_type_id=types[name],
        )
        for name in AGREEMENT_TYPES
    ]
    rest = [
        ConversionRuleInput("agreement", recurring=True, agreement_type_id=types["Managed service"]),
        ConversionRuleInput("sales_order", product_class="Inventory"),
        ConversionRuleInput("sales_order", product_class="NonInventory"),
        ConversionRuleInput("later", product_class="Service", recurring=False),
    ]
    set_conversion_rules(actor=actor, rules=[*leases, *rest])
