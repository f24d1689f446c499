"""A small MSP for tests: Northwind IT, two customers, two vendors, an internal company, people and books."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tests.kept_rows import built_once

from counterfoil.agreements.models import AgreementType
from counterfoil.assets.models import AssetCategory
from counterfoil.catalog.models import Category, Product
from counterfoil.companies.models import BillingTerms, Company, Site
from counterfoil.flows.setup import set_up_msp
from counterfoil.inventory.models import Bin, Warehouse
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.models import AuditEntry
from counterfoil.tax.models import TaxCode, TaxLevel


def actor_of(*roles: Role, name: str | None = None) -> Actor:
    """A person holding ``roles``, without an account to sign in with."""
    return Actor(user_id=None, name=name or "/".join(roles), roles=frozenset(roles), channel="page")


OWNER = actor_of(Role.OWNER, name="Olivia Owner")
SALES = actor_of(Role.SALES, name="Sam Sales")
PROCUREMENT = actor_of(Role.PROCUREMENT, name="Petra Procurement")
FINANCE = actor_of(Role.FINANCE, name="Finn Finance")
VIEWER = actor_of(Role.VIEWER, name="Vic Viewer")


@dataclass(slots=True)
class World:
    """The MSP and its records by name."""

    my_company: Company
    internal: Company
    acme: Company
    globex: Company
    ingram: Company
    dell: Company
    net30: BillingTerms
    tax6: TaxCode
    server_noninventory: Product
    server_inventory: Product
    lease: Product
    warehouse: Warehouse
    acme_bin: Bin
    haas: AgreementType
    leased_hardware: AssetCategory


def build_world(on: date = date(2026, 1, 1)) -> World:
    """The MSP; the books open with the year of ``on``. Built by its commands once, then laid down as it was."""
    if Company.objects.exists() or AuditEntry.objects.exists():
        return _build(on)  # the test has begun without it
    return built_once(f"the MSP of {on.year}", lambda: _build(on))


def _build(on: date) -> World:
    my_company = set_up_msp(actor=OWNER, name="Northwind IT", identifier="NorthwindIT", on=on)
    net30 = BillingTerms.objects.get(name="Net 30")
    tax6 = TaxCode.objects.create(identifier="MI6", description="Michigan 6 %")
    TaxLevel.objects.create(
        tax_code=tax6, position=1, name="Michigan", rate=Decimal("0.06"), agency="MI Dept of Treasury"
    )
    acme = _company("AcmeCorp", "Acme Corp", "customer", terms=net30, tax_code=tax6)
    globex = _company("Globex", "Globex Ltd", "customer", terms=net30, tax_code=tax6)
    internal = _company("NorthwindHaaS", "Northwind HaaS", "internal", terms=net30)
    ingram = _company("Ingram", "Ingram Micro", "vendor", terms=net30)
    dell = _company("Dell", "Dell Direct", "vendor", terms=net30)
    hardware, haas_category = Category.objects.get(name="Hardware"), Category.objects.get(name="HaaS")
    common = {"vendor": ingram, "vendor_sku": "SRV-9", "cost": Decimal("3600"), "price": 0, "category": hardware}
    server_noninventory = Product.objects.create(
        identifier="SRV-NI", description="Rack server", product_class="NonInventory",
        accounting_type="NonInventoryPart", **common,
    )  # fmt: skip
    server_inventory = Product.objects.create(
        identifier="SRV-INV", description="Rack server", product_class="Inventory",
        accounting_type="InventoryPart", serialized=True, **common,
    )  # fmt: skip
    lease = Product.objects.create(
        identifier="HAAS-SRV", description="Server as a service", product_class="Agreement",
        accounting_type="Service", category=haas_category, price=Decimal("150"), billing_cycle="month:1",
    )  # fmt: skip
    warehouse = Warehouse.objects.create(name="Acme Corp", company=acme)
    return World(
        my_company=my_company,
        internal=internal,
        acme=acme,
        globex=globex,
        ingram=ingram,
        dell=dell,
        net30=net30,
        tax6=tax6,
        server_noninventory=server_noninventory,
        server_inventory=server_inventory,
        lease=lease,
        warehouse=warehouse,
        acme_bin=Bin.objects.create(warehouse=warehouse, name="Acme rack"),
        haas=AgreementType.objects.get(name="HaaS"),
        leased_hardware=AssetCategory.objects.get(name="Leased hardware"),
    )


def _company(identifier: str, name: str, kind: str, **extra: object) -> Company:
    company = Company.objects.create(
        identifier=identifier, name=name, kind=kind, account_number=identifier.upper(), **extra
    )
    Site.objects.create(
        company=company,
        name="Main",
        line1="1 Main St",
        city="Detroit",
        state="MI",
        postal_code="48226",
        is_default=True,
    )
    return company
