"""Saving a record as it is: nothing is told of what nobody did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.agreements.records import make
from tests.trade import JAN_15, bought, cable, order_of
from tests.world import FINANCE, OWNER, PROCUREMENT, SALES, World

from counterfoil.accounting.commands import set_mapping
from counterfoil.agreements.commands import (
    AdditionInput,
    WorkRoleRateInput,
    add_addition,
    set_work_role_rates,
    update_addition,
    update_agreement,
    update_agreement_type,
)
from counterfoil.billing.commands import update_billing_settings, update_invoice
from counterfoil.billing.models import Invoice, InvoiceType
from counterfoil.billing.special import NewLine, create_invoice, update_invoice_line
from counterfoil.catalog.bundles import BundleComponentInput, set_bundle_components
from counterfoil.catalog.commands import update_product
from counterfoil.catalog.models import Product, WorkRole
from counterfoil.companies.commands import update_billing_terms, update_company, update_msp_settings, update_site
from counterfoil.ledger.commands import create_account, set_default_account, update_account
from counterfoil.ledger.models import Account, DefaultAccount
from counterfoil.matching.commands import set_hold_rule, set_tolerance
from counterfoil.orders.commands import update_order_line, update_sales_order
from counterfoil.platform.identity import Role
from counterfoil.platform.models import AuditEntry
from counterfoil.platform.users import change_user, create_first_owner, create_user
from counterfoil.procurement.commands import PurchaseLine, update_purchase_order, update_purchase_order_line
from counterfoil.quotes.opportunities import create_opportunity, update_opportunity
from counterfoil.quotes.routing import ConversionRuleInput, set_conversion_rules
from counterfoil.tax.commands import TaxLevelInput, set_tax_basis, update_tax_code
from counterfoil.tax.models import TaxBasis

pytestmark = pytest.mark.django_db

#: Makes the record, and says how it is saved as it stands and with a difference.
Prepared = tuple[Callable[..., Any], dict[str, Any], dict[str, Any]]


def company(world: World) -> Prepared:
    as_is = {"name": "Acme Corp", "terms_id": world.net30.pk}
    return update_company, {"actor": FINANCE, "company_id": world.acme.pk, **as_is}, {"name": "Acme Inc"}


def site(world: World) -> Prepared:
    main = world.acme.sites.get()
    return update_site, {"actor": SALES, "site_id": main.pk, "name": "Main", "city": "Detroit"}, {"city": "Flint"}


def terms(world: World) -> Prepared:
    return update_billing_terms, {"actor": FINANCE, "terms_id": world.net30.pk, "name": "Net 30"}, {"due_days": 31}


def msp_settings(world: World) -> Prepared:
    return update_msp_settings, {"actor": FINANCE, "invoice_footer": ""}, {"invoice_footer": "Thank you"}


def product(world: World) -> Prepared:
    as_is = {"description": "Rack server", "cost": Decimal("3600.00")}
    return update_product, {"actor": SALES, "product_id": world.server_inventory.pk, **as_is}, {"cost": Decimal(3700)}


def bundle(world: World) -> Prepared:
    made = Product.objects.create(
        identifier="DESK", description="Desk", product_class="Bundle", accounting_type="Service",
        category=world.lease.category,
    )  # fmt: skip
    cables = BundleComponentInput(cable(world).pk, quantity=Decimal(2))
    set_bundle_components(actor=SALES, product_id=made.pk, components=[cables])
    more = BundleComponentInput(cables.product_id, quantity=Decimal(3))
    as_is = {"product_id": made.pk, "components": [cables]}
    return set_bundle_components, {"actor": SALES, **as_is}, {"components": [more]}


def tax_code(world: World) -> Prepared:
    level = TaxLevelInput("Michigan", Decimal("0.06"), agency="MI Dept of Treasury")
    less = TaxLevelInput("Michigan", Decimal("0.05"), agency="MI Dept of Treasury")
    as_is = {"tax_code_id": world.tax6.pk, "levels": [level], "exemptions": []}
    return update_tax_code, {"actor": FINANCE, **as_is}, {"levels": [less]}


def tax_settings(world: World) -> Prepared:
    return set_tax_basis, {"actor": FINANCE, "basis": TaxBasis.INVOICE}, {"basis": TaxBasis.LINE}


def agreement(world: World) -> Prepared:
    made = make(world, AdditionInput(world.lease.pk))
    as_is = {"agreement_id": made.pk, "name": "Server lease", "start_date": date(2026, 1, 1)}
    return update_agreement, {"actor": SALES, **as_is}, {"name": "Server"}


def agreement_type(world: World) -> Prepared:
    return update_agreement_type, {"actor": SALES, "agreement_type_id": world.haas.pk, "name": "HaaS "}, {"name": "H"}


def addition(world: World) -> Prepared:
    made = make(world)
    added = add_addition(actor=SALES, agreement_id=made.pk, addition=AdditionInput(world.lease.pk, quantity=Decimal(2)))
    as_is = {"addition_id": added.pk, "quantity": Decimal("2.000000")}
    return update_addition, {"actor": SALES, **as_is}, {"quantity": Decimal(3)}


def sales_order(world: World) -> Prepared:
    order = order_of(world, world.server_inventory).order
    as_is = {"order_id": order.pk, "customer_po": order.customer_po}
    return update_sales_order, {"actor": SALES, **as_is}, {"customer_po": "4711"}


def order_line(world: World) -> Prepared:
    line = order_of(world, world.server_inventory)
    return update_order_line, {"actor": SALES, "line_id": line.pk, "quantity": Decimal(1)}, {"quantity": Decimal(2)}


def purchase_order(world: World) -> Prepared:
    order = bought(world, PurchaseLine(product_id=world.server_inventory.pk), sent=False)
    as_is = {"purchase_order_id": order.pk, "order_date": order.order_date, "notes": " "}
    return update_purchase_order, {"actor": PROCUREMENT, **as_is}, {"notes": "Urgent"}


def purchase_line(world: World) -> Prepared:
    order = bought(world, PurchaseLine(product_id=world.server_inventory.pk), sent=False)
    as_is = {"line_id": order.lines.get().pk, "quantity": Decimal("1.0"), "unit_cost": Decimal("3600.00")}
    return update_purchase_order_line, {"actor": PROCUREMENT, **as_is}, {"quantity": Decimal(2)}


def drafted(world: World) -> Invoice:
    line = NewLine("Server", unit_price=Decimal(100))
    return create_invoice(
        actor=FINANCE, company_id=world.acme.pk, on=JAN_15, type=InvoiceType.MISCELLANEOUS, lines=[line]
    )


def invoice(world: World) -> Prepared:
    draft = drafted(world)
    as_is = {"invoice_id": draft.pk, "date": draft.date, "due_date": draft.due_date, "customer_po": ""}
    return update_invoice, {"actor": FINANCE, **as_is}, {"customer_po": "4711"}


def invoice_line(world: World) -> Prepared:
    line = drafted(world).lines.get()
    as_is = {
        "line_id": line.pk,
        "description": line.description,
        "unit_price": line.unit_price,
        "taxable": line.taxable,
    }
    return update_invoice_line, {"actor": FINANCE, **as_is}, {"description": "Rack"}


def billing_settings(world: World) -> Prepared:
    return update_billing_settings, {"actor": FINANCE, "earn_lapsed": False}, {"earn_lapsed": True}


def opportunity(world: World) -> Prepared:
    made = create_opportunity(actor=SALES, company_id=world.acme.pk, name="Office move")
    return update_opportunity, {"actor": SALES, "opportunity_id": made.pk, "name": "Office move"}, {"name": "Move"}


def person(world: World) -> Prepared:
    create_first_owner(email="olivia@example.com", name="Olivia", password="long-enough-1")
    made = create_user(
        actor=OWNER, email="robin@example.com", name="Robin", roles=[Role.SALES], password="long-enough-1"
    )
    as_is = {"user_id": made.pk, "name": "Robin", "roles": [Role.SALES], "active": True}
    return change_user, {"actor": OWNER, **as_is}, {"roles": [Role.FINANCE]}


def rates(world: World) -> Prepared:
    made, role = make(world), WorkRole.objects.create(name="Architect", hourly_rate=Decimal(150))
    rate = WorkRoleRateInput(role.pk, Decimal("120.00"))
    set_work_role_rates(actor=SALES, agreement_id=made.pk, rates=[rate])
    as_is = {"agreement_id": made.pk, "rates": [rate]}
    return set_work_role_rates, {"actor": SALES, **as_is}, {"rates": []}


def conversion_rules(world: World) -> Prepared:
    rule = ConversionRuleInput("sales_order", recurring=False)
    set_conversion_rules(actor=SALES, rules=[rule])
    return set_conversion_rules, {"actor": SALES, "rules": [rule]}, {"rules": []}


def tolerance(world: World) -> Prepared:
    set_tolerance(actor=OWNER, measure="quantity", amount=Decimal(1), vendor_id=world.dell.pk)
    as_is = {"measure": "quantity", "amount": Decimal("1.00"), "vendor_id": world.dell.pk}
    return set_tolerance, {"actor": OWNER, **as_is}, {"amount": Decimal(2)}


def hold_rule(world: World) -> Prepared:
    as_is = {"code": "quantity", "holds_purchase_order": True, "holds_vendor_bill": False, "holds_invoice": True}
    set_hold_rule(actor=FINANCE, **as_is)  # type: ignore[arg-type]
    return set_hold_rule, {"actor": FINANCE, **as_is}, {"holds_invoice": False}


def account(world: World) -> Prepared:
    made = create_account(actor=FINANCE, code="4711", name="Cologne", type="income")
    as_is = {"account_id": made.pk, "name": " Cologne", "description": "", "active": True}
    return update_account, {"actor": FINANCE, **as_is}, {"active": False}


def default_account(world: World) -> Prepared:
    default = DefaultAccount.objects.get(role="product_revenue")
    other = create_account(actor=FINANCE, code="4711", name="Cologne", type="income")
    as_is = {"role": default.role, "account_id": default.account_id}
    return set_default_account, {"actor": FINANCE, **as_is}, {"account_id": other.pk}


def mapping(world: World) -> Prepared:
    first, second, *_ = Account.objects.filter(type="income").order_by("code").values_list("pk", flat=True)
    as_is = {"role": "product_revenue", "account_id": first, "product_id": world.server_inventory.pk}
    set_mapping(actor=FINANCE, **as_is)  # type: ignore[arg-type]
    return set_mapping, {"actor": FINANCE, **as_is}, {"account_id": second}


@pytest.mark.parametrize(
    "prepare",
    [
        company, site, terms, msp_settings, product, bundle, tax_code, tax_settings, agreement, agreement_type,
        addition, sales_order, order_line, purchase_order, purchase_line, invoice, invoice_line, billing_settings,
        opportunity, person, rates, conversion_rules, tolerance, hold_rule, account, default_account, mapping,
    ],
)  # fmt: skip
def test_saved_as_it_is_the_trail_tells_nothing(world: World, prepare: Callable[[World], Prepared]) -> None:
    save, as_it_is, otherwise = prepare(world)
    before = AuditEntry.objects.count()
    save(**as_it_is)
    assert list(AuditEntry.objects.order_by("seq")[before:].values_list("sentence", flat=True)) == []
    save(**as_it_is | otherwise)
    assert AuditEntry.objects.count() == before + 1
