"""The product catalog: what fits together in a product and what stays once it is used."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.catalog import queries
from counterfoil.catalog.commands import (
    create_category,
    create_product,
    create_subcategory,
    deactivate_product,
    update_product,
)
from counterfoil.catalog.models import Category, Product
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def make(msp: World, **given: object) -> Product:
    hardware = Category.objects.get(name="Hardware")
    fields: dict[str, object] = {
        "identifier": "FW-1",
        "description": "Firewall",
        "product_class": "NonInventory",
        "category_id": hardware.pk,
    }
    return create_product(actor=PROCUREMENT, **(fields | given))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("product_class", "more", "accounting_type"),
    [
        ("Agreement", {"billing_cycle": "monthly"}, "Service"),
        ("Bundle", {}, "OtherCharge"),
        ("Inventory", {"serialized": True}, "InventoryPart"),
        ("NonInventory", {"serialized": True, "drop_ship": True}, "NonInventoryPart"),
        ("Service", {}, "Service"),
        ("Service", {"accounting_type": "OtherCharge"}, "OtherCharge"),
    ],
)
def test_the_accounting_type_follows_the_class(
    msp: World, product_class: str, more: dict[str, object], accounting_type: str
) -> None:
    assert make(msp, product_class=product_class, **more).accounting_type == accounting_type


def test_a_cycle_is_kept_in_one_form(msp: World) -> None:
    assert make(msp, product_class="Agreement", billing_cycle="quarterly").billing_cycle == "month:3"


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"identifier": ""}, "required", "identifier"),
        ({"identifier": "srv-ni"}, "duplicate", "identifier"),
        ({"product_class": "Gadget"}, "invalid", "product_class"),
        ({"product_class": "Agreement"}, "required", "billing_cycle"),
        ({"product_class": "Agreement", "billing_cycle": "sometimes"}, "invalid", "billing_cycle"),
        ({"billing_cycle": "monthly"}, "invalid", "billing_cycle"),
        ({"product_class": "Service", "serialized": True}, "invalid", "serialized"),
        ({"product_class": "Inventory", "drop_ship": True}, "invalid", "drop_ship"),
        ({"product_class": "Inventory", "accounting_type": "NonInventoryPart"}, "invalid", "accounting_type"),
        ({"accounting_type": "InventoryPart"}, "invalid", "accounting_type"),
        ({"cost": Decimal(-1)}, "invalid", "cost"),
        ({"price": Decimal("0.123456789")}, "invalid", "price"),
        ({"category_id": 999_999}, "not_found", "category_id"),
        ({"vendor_id": 999_999}, "not_found", "vendor_id"),
    ],
)
def test_what_a_product_cannot_be(msp: World, given: dict[str, object], code: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        make(msp, **given)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_customer_is_no_vendor_of_products(msp: World) -> None:
    with pytest.raises(DomainError, match="Acme Corp is not a vendor"):
        make(msp, vendor_id=msp.acme.pk)


def test_a_subcategory_belongs_to_its_category(msp: World) -> None:
    security = create_category(actor=PROCUREMENT, name="Security")
    firewalls = create_subcategory(actor=PROCUREMENT, category_id=security.pk, name="Firewalls")
    with pytest.raises(DomainError) as refused:
        make(msp, subcategory_id=firewalls.pk)
    assert refused.value.field == "subcategory_id"
    assert str(make(msp, category_id=security.pk, subcategory_id=firewalls.pk).subcategory) == "Security / Firewalls"
    for again in (
        lambda: create_category(actor=PROCUREMENT, name="security"),
        lambda: create_subcategory(actor=PROCUREMENT, category_id=security.pk, name="firewalls"),
    ):
        with pytest.raises(DomainError) as refused:
            again()
        assert refused.value.code == "duplicate"


def test_prices_change_at_any_time_but_the_class_stays_once_quoted(msp: World) -> None:
    product = make(msp)
    update_product(actor=PROCUREMENT, product_id=product.pk, product_class="Inventory")
    product.refresh_from_db()
    assert product.accounting_type == "InventoryPart"

    create_opportunity(actor=SALES, company_id=msp.acme.pk, name="Firewall", lines=[QuoteLineInput(product.pk)])
    update_product(actor=PROCUREMENT, product_id=product.pk, cost=Decimal(100), price=Decimal("149.5"))
    assert trail_of(product)[0].sentence == "changed FW-1: cost from 0 to 100, price from 0 to 149.5"
    for given in ({"product_class": "NonInventory"}, {"serialized": True}, {"unit_of_measure": "box"}):
        with pytest.raises(DomainError, match="on documents already") as refused:
            update_product(actor=PROCUREMENT, product_id=product.pk, **given)  # type: ignore[arg-type]
        assert refused.value.code == "conflict"


def test_a_deactivated_product_is_not_quoted_any_more(msp: World) -> None:
    deactivate_product(actor=PROCUREMENT, product_id=msp.server_noninventory.pk)
    with pytest.raises(DomainError, match="no longer on the catalog"):
        create_opportunity(
            actor=SALES, company_id=msp.acme.pk, name="Server", lines=[QuoteLineInput(msp.server_noninventory.pk)]
        )
    assert msp.server_noninventory not in queries.products(active=True)


def test_products_are_found_by_words_class_and_vendor(msp: World) -> None:
    assert {product.identifier for product in queries.products(search="rack server")} == {"SRV-NI", "SRV-INV"}
    assert {product.identifier for product in queries.products(product_class="Agreement")} == {"HAAS-SRV"}
    assert {product.identifier for product in queries.products(vendor_id=msp.ingram.pk)} == {"SRV-NI", "SRV-INV"}
