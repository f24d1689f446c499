"""The most particular mapping wins, and what is not mapped is named."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.world import FINANCE, SALES, World

from counterfoil.accounting.commands import remove_mapping, set_mapping, set_procurement_date
from counterfoil.accounting.mapping import agreement_key, load_accounts
from counterfoil.accounting.models import AccountingSettings, GLMapping
from counterfoil.accounting.queries import mappable_roles
from counterfoil.catalog.models import Product, Subcategory
from counterfoil.core.errors import DomainError
from counterfoil.core.posting import GlRole
from counterfoil.ledger.models import Account, DefaultAccount


def account(code: str) -> int:
    return Account.objects.get(code=code).pk


@pytest.fixture
def switch(world: World) -> Product:
    """A product with a subcategory."""
    product = world.server_noninventory
    product.subcategory = Subcategory.objects.create(category=product.category, name="Switches")
    product.save()
    return product


def cogs_of(product: Product) -> str:
    return load_accounts({product.pk})(GlRole.COGS, product.pk)


def test_product_goes_before_subcategory_before_category_before_default(switch: Product) -> None:
    steps = [
        ({}, "5000"),
        ({"category_id": switch.category_id}, "5100"),
        ({"subcategory_id": switch.subcategory_id}, "6100"),
        ({"product_id": switch.pk}, "6200"),
    ]
    for record, code in steps:
        if record:
            set_mapping(actor=FINANCE, role="cogs", account_id=account(code), **record)
        assert cogs_of(switch) == code


def test_agreement_revenue_goes_by_product_then_type_then_category(world: World) -> None:
    lease, haas = world.lease, world.haas
    GLMapping.objects.filter(role="agreement_revenue").delete()
    key = agreement_key(lease.pk, haas.pk)
    steps = [
        ({}, "4000"),
        ({"category_id": lease.category_id}, "4100"),
        ({"agreement_type_id": haas.pk}, "4010"),
        ({"product_id": lease.pk}, "4020"),
    ]
    for record, code in steps:
        if record:
            set_mapping(actor=FINANCE, role="agreement_revenue", account_id=account(code), **record)
        assert load_accounts({lease.pk})(GlRole.AGREEMENT_REVENUE, key) == code
    assert load_accounts(set())(GlRole.AGREEMENT_REVENUE, agreement_key(None, haas.pk)) == "4010"


def test_mapping_again_replaces_and_removing_falls_back(switch: Product) -> None:
    set_mapping(actor=FINANCE, role="cogs", account_id=account("5010"), category_id=switch.category_id)
    mapping = set_mapping(actor=FINANCE, role="cogs", account_id=account("5100"), category_id=switch.category_id)
    assert cogs_of(switch) == "5100"
    remove_mapping(actor=FINANCE, mapping_id=mapping.pk)
    assert cogs_of(switch) == "5000"
    with pytest.raises(DomainError, match="no such mapping"):
        remove_mapping(actor=FINANCE, mapping_id=mapping.pk)


def test_missing_account_names_product_category_role_and_what_to_map(switch: Product) -> None:
    DefaultAccount.objects.filter(role="cogs").delete()
    with pytest.raises(DomainError) as refused:
        cogs_of(switch)
    assert refused.value.code == "gl_mapping_missing"
    assert refused.value.message == "No GL account for cost of goods sold of SRV-NI (category Hardware)."
    assert refused.value.hint == "Map cost of goods sold for the category Hardware under Books, GL mapping."


def test_inactive_account_counts_as_missing(switch: Product) -> None:
    set_mapping(actor=FINANCE, role="cogs", account_id=account("5010"), category_id=switch.category_id)
    Account.objects.filter(code="5010").update(active=False)
    with pytest.raises(DomainError, match="mapped to 5010 COGS - Software, which is inactive"):
        cogs_of(switch)


def test_mapping_is_loaded_once_whatever_the_number_of_lines(world: World) -> None:
    products = {world.server_inventory.pk, world.server_noninventory.pk, world.lease.pk}
    with CaptureQueriesContext(connection) as queries:
        accounts = load_accounts(products)
        for product in products:
            for role in (GlRole.COGS, GlRole.INVENTORY, GlRole.GRNI, GlRole.PRODUCT_REVENUE):
                accounts(role, product)
    assert len(queries) == 2


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"role": "cogs", "account": "1300"}, "invalid"),  # an asset cannot be a cost
        ({"role": "nonsense", "account": "5000"}, "invalid"),
        ({"role": "accounts_receivable", "account": "1100"}, "invalid"),  # by default account alone
        ({"role": "cogs", "account": "5000", "agreement_type": True}, "invalid"),
        ({"role": "cogs", "account": "5000", "nothing": True}, "invalid"),
        ({"role": "cogs", "account": "5000", "both": True}, "invalid"),
        ({"role": "cogs", "account": "5000", "unknown": True}, "not_found"),
    ],
)
def test_refused_mappings(world: World, given: dict[str, object], code: str) -> None:
    record: dict[str, int] = {"category_id": world.lease.category_id}
    if given.get("agreement_type"):
        record = {"agreement_type_id": world.haas.pk}
    if given.get("nothing"):
        record = {}
    if given.get("both"):
        record["product_id"] = world.lease.pk
    if given.get("unknown"):
        record = {"category_id": 99999}
    before = GLMapping.objects.count()
    with pytest.raises(DomainError) as refused:
        set_mapping(actor=FINANCE, role=str(given["role"]), account_id=account(str(given["account"])), **record)
    assert refused.value.code == code
    assert GLMapping.objects.count() == before


def test_only_finance_maps(world: World) -> None:
    with pytest.raises(DomainError, match="takes the role"):
        set_mapping(actor=SALES, role="cogs", account_id=account("5000"), product_id=world.lease.pk)


def test_procurement_date_is_one_of_two(world: World) -> None:
    assert set_procurement_date(actor=FINANCE, procurement_date="receipt_date").procurement_date == "receipt_date"
    with pytest.raises(DomainError, match="not a date of a receipt"):
        set_procurement_date(actor=FINANCE, procurement_date="someday")
    assert AccountingSettings.objects.get().procurement_date == "receipt_date"


def test_roles_to_map_show_their_default(world: World) -> None:
    roles = {role.role: role for role in mappable_roles()}
    assert roles["cogs"].label == "cost of goods sold"
    assert roles["cogs"].default_code == "5000"
    assert {role for role in roles if role.endswith("revenue")} == {
        "agreement_revenue",
        "product_revenue",
        "service_revenue",
        "expense_revenue",
        "deferred_revenue",
    }
    assert len(roles) == 9
