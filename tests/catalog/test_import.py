"""Products from CSV files: classes and types as the field writes them, categories on the fly, all or nothing."""

from __future__ import annotations

import csv
import io
import time
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.catalog import imports
from counterfoil.catalog.imports import columns, import_products, preview_products
from counterfoil.catalog.models import Category, Product, Subcategory
from counterfoil.core.errors import DomainError
from counterfoil.platform.imports import sample_csv
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def file(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def refused(content: bytes) -> list[tuple[str, str, str]]:
    before = (Product.objects.count(), Category.objects.count())
    with pytest.raises(DomainError) as refusal:
        import_products(actor=PROCUREMENT, content=content)
    assert refusal.value.code == "import_rows_invalid"
    assert (Product.objects.count(), Category.objects.count()) == before
    return [(error["row"], error["column"], error["message"]) for error in refusal.value.details]


def test_new_products_with_categories_on_the_fly(msp: World) -> None:
    content = file(
        "identifier,description,class,type,category,subcategory,cost,price,serialized,vendor,vendor_sku,billing_cycle",
        'FW-1,Firewall,Non-Inventory,,Security,Firewalls,"1,200.00",$1500,yes,ingram,F1,',
        "FW-1-HAAS,Firewall as a service,agreement,,HaaS,,,45,,,,Monthly",
        "SW-1,Switch,inventory,Inventory,security,firewalls,300,,,,,",
    )
    preview = preview_products(content=content)
    assert preview.errors == ()
    assert preview.in_words == "3 to create, 0 to update, 0 unchanged"
    assert preview.also == ("category Security", "subcategory Security / Firewalls")
    assert not Category.objects.filter(name="Security").exists()

    result = import_products(actor=PROCUREMENT, content=content)

    assert (result.created, result.also) == (3, preview.also)
    firewall, service, switch = (Product.objects.get(identifier=key) for key in ("FW-1", "FW-1-HAAS", "SW-1"))
    assert (firewall.product_class, firewall.accounting_type, firewall.serialized) == (
        "NonInventory",
        "NonInventoryPart",
        True,
    )
    assert (firewall.cost, firewall.price, firewall.vendor, str(firewall.subcategory)) == (
        Decimal(1200),
        Decimal(1500),
        msp.ingram,
        "Security / Firewalls",
    )
    assert (service.billing_cycle, service.accounting_type, service.price) == ("month:1", "Service", Decimal(45))
    assert (switch.product_class, switch.accounting_type) == ("Inventory", "InventoryPart")
    assert switch.subcategory == firewall.subcategory
    assert Subcategory.objects.count() == 1


def test_prices_are_updated_and_the_rest_stays(msp: World) -> None:
    content = file("identifier,description,class,category,cost", "srv-ni,Rack server,NonInventory,Hardware,3700")
    (row,) = preview_products(content=content).rows
    assert (row.deed, row.changes) == ("update", "cost from 3600 to 3700")
    import_products(actor=PROCUREMENT, content=content)
    msp.server_noninventory.refresh_from_db()
    assert (msp.server_noninventory.cost, msp.server_noninventory.vendor) == (Decimal(3700), msp.ingram)
    assert import_products(actor=PROCUREMENT, content=content).unchanged == 1


def test_every_mistake_is_named_and_nothing_is_written(msp: World) -> None:
    assert refused(
        file(
            "identifier,description,class,category,cost,serialized,vendor,billing_cycle,drop_ship,price",
            "P1,One,Gadget,Hardware,,,,,,",
            "P2,Two,Agreement,HaaS,,,,,,",
            "P3,Three,Service,Labor,,yes,,,,",
            "P4,Four,Inventory,Hardware,,,,,yes,",
            "P5,Five,NonInventory,Hardware,abc,,AcmeCorp,,,-1",
            "P6,Six,NonInventory,,,,,,,",
            "p1,One again,Service,Labor,,,,,,",
            "P7,Seven,Agreement,HaaS,,,,fortnightly,,",
            "P8,Eight,,Hardware,,,,,,",
            "P9,Nine,Service,Labor,,,,monthly,,",
        )
    ) == [
        ("2", "class", "“Gadget” is not known here."),
        ("3", "billing_cycle", "P2 is an agreement product: how often is it billed?"),
        ("4", "serialized", "P3 is of class Service; only goods have serial numbers."),
        ("5", "drop_ship", "P4 is kept in stock, so it cannot be drop-shipped."),
        ("6", "cost", "“abc” is not a number."),
        ("6", "price", "-1 is below zero."),
        ("6", "vendor", "Acme Corp is not a vendor."),
        ("7", "category", "Enter the category."),
        ("8", "identifier", "“p1” is in row 2 already."),
        ("9", "billing_cycle", "“fortnightly” is not a billing cycle."),
        ("10", "class", "Enter the class."),
        ("11", "billing_cycle", "P9 is of class Service; only agreement products have a billing cycle."),
    ]


def test_the_class_of_a_quoted_product_stays(msp: World) -> None:
    create_opportunity(
        actor=SALES, company_id=msp.acme.pk, name="Servers", lines=[QuoteLineInput(msp.server_noninventory.pk)]
    )
    assert refused(
        file(
            "identifier,description,class,category",
            "SRV-NI,Server,Inventory,Hardware",
            "SRV-INV,Server,Inventory,Hardware",
        )
    ) == [("2", "class", "SRV-NI is on documents already, so its class stays.")]


def test_the_sample_can_be_imported(msp: World) -> None:
    assert preview_products(content=sample_csv(columns()).encode()).errors == ()


def test_the_module_documents_its_columns() -> None:
    documented = [line.split()[0] for line in (imports.__doc__ or "").splitlines() if line.startswith("    ")]
    assert documented == [column.name for column in columns()]


def rows_of(count: int, cost: int) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["identifier", "description", "class", "category", "subcategory", "cost", "vendor"])
    for n in range(count):
        writer.writerow([f"P{n}", f"Product {n}", "NonInventory", f"Cat {n % 20}", f"Sub {n % 40}", cost, "Ingram"])
    return out.getvalue().encode()


@pytest.mark.slow
def test_ten_thousand_rows_take_seconds(msp: World) -> None:
    started = time.perf_counter()
    assert import_products(actor=PROCUREMENT, content=rows_of(10_000, 10)).created == 10_000
    created = time.perf_counter() - started
    started = time.perf_counter()
    assert import_products(actor=PROCUREMENT, content=rows_of(10_000, 11)).updated == 10_000
    updated = time.perf_counter() - started
    assert Product.objects.filter(cost=11).count() == 10_000
    print(f"10,000 products: created in {created:.1f} s, updated in {updated:.1f} s")
    assert max(created, updated) < 60


def test_the_number_of_statements_does_not_grow_with_the_rows(msp: World) -> None:
    counts = []
    for rows in (20, 200):
        with CaptureQueriesContext(connection) as queries:
            import_products(actor=PROCUREMENT, content=rows_of(rows, rows))
        counts.append(len(queries))
    assert counts[0] + 3 >= counts[1]
