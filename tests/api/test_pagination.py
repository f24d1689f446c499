"""Lists page by page, whole and in a fixed number of queries."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.api.client import Api
from tests.world import World

from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company

pytestmark = pytest.mark.django_db


def all_pages(api: Api, path: str, limit: int) -> list[list[Any]]:
    pages, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{path}{'&' if '?' in path else '?'}limit={limit}&cursor={cursor}")
        pages.append(page["items"])
        cursor = page["next_cursor"]
    return pages


def add_products(world: World, count: int) -> None:
    Product.objects.bulk_create(
        Product(
            identifier=f"P-{number:04}", description="Thing", product_class="NonInventory",
            accounting_type="NonInventoryPart", category_id=world.lease.category_id, vendor=world.dell,
        )
        for number in range(count, 0, -1)
    )  # fmt: skip


@pytest.mark.parametrize("limit", [1, 4, 7, 200])
def test_pages_hold_each_record_once_in_the_order_of_the_ids(owner: Api, world: World, limit: int) -> None:
    add_products(world, 25)
    pages = all_pages(owner, "/products", limit)
    ids = [item["id"] for page in pages for item in page]
    assert ids == sorted(Product.objects.values_list("pk", flat=True))
    assert all(len(page) == limit for page in pages[:-1])


def test_a_record_added_meanwhile_shifts_nothing(owner: Api, world: World) -> None:
    add_products(world, 6)
    first = owner.get("/products?limit=5")
    Product.objects.filter(pk=first["items"][0]["id"]).delete()
    second = owner.get(f"/products?limit=200&cursor={first['next_cursor']}")
    assert second["items"][0]["id"] > first["items"][-1]["id"]
    assert len(first["items"]) + len(second["items"]) == 9


def test_a_cursor_holds_for_its_list_and_filters_only(owner: Api, world: World) -> None:
    cursor = owner.get("/companies?limit=2&search=")["next_cursor"]
    owner.get(f"/companies?limit=3&search=&cursor={cursor}")
    for path in (
        f"/companies?limit=2&search=acme&cursor={cursor}",
        f"/products?limit=2&search=&cursor={cursor}",
        f"/companies?limit=2&search=&cursor={cursor[:-3]}abc",
        "/companies?cursor=5",
    ):
        assert owner.get(path, status=422)["field"] == "cursor"


@pytest.mark.parametrize("limit", ["0", "-1", "201", "x", "1.5"])
def test_limits_that_are_none(owner: Api, limit: str) -> None:
    assert owner.get(f"/companies?limit={limit}", status=422)["field"] == "limit"


def test_rows_that_are_computed_are_paged_alike(owner: Api, world: World) -> None:
    with connection.cursor() as cursor:  # ids of six digits, then of seven
        cursor.execute("SELECT setval(pg_get_serial_sequence('orders_salesorderline', 'id'), 999996)")
    lines = [{"product_id": world.server_inventory.pk, "quantity": n} for n in range(1, 8)]
    owner.post("/sales-orders", {"company_id": world.acme.pk, "on": "2026-01-01", "lines": lines})
    pages = all_pages(owner, "/demand", 3)
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [row["to_buy"] for page in pages for row in page] == ["1", "2", "3", "4", "5", "6", "7"]


def test_a_long_list_takes_as_many_queries_as_a_short_one(
    owner: Api, world: World, django_assert_max_num_queries: Any
) -> None:
    add_products(world, 150)
    with django_assert_max_num_queries(4):  # time zone, token, its last use, the page
        page = owner.get("/products?limit=150")
    assert len(page["items"]) == 150
    assert {item["vendor"] for item in page["items"]} >= {"Dell Direct"}
    Company.objects.bulk_create(Company(identifier=f"C{n}", name=f"C {n}", bill_to=world.acme) for n in range(60))
    with django_assert_max_num_queries(4):
        owner.get("/companies?limit=100")


def test_a_record_with_lines_takes_a_fixed_number_of_queries(owner: Api, world: World) -> None:
    counts = []
    for count in (1, 12):
        lines = [{"product_id": world.lease.pk, "unit_price": 5}] * count
        deal = owner.post("/opportunities", {"company_id": world.acme.pk, "name": "Deal", "lines": lines})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert len(owner.get(f"/opportunities/{deal['id']}")["lines"]) == count
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 4
