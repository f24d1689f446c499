"""Stock through the pages: on hand, serial numbers, warehouses and bins."""

from __future__ import annotations

import pytest
from django.test import Client
from tests.web import deal as deals
from tests.web.pages import done, errors_beside, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.inventory.models import Warehouse
from counterfoil.platform.identity import Role


@pytest.fixture(autouse=True)
def procurement(client: Client, world: World) -> None:
    sign_in(client, Role.PROCUREMENT)


def test_stock_is_shown_bin_by_bin_with_its_value_until_it_is_shipped(client: Client, world: World) -> None:
    deal = deals.receive(deals.buy(deals.convert(deals.quote(world))))
    page = text_of(client.get("/stock/"))
    assert "SRV-INV" in page
    assert "Acme rack" in page
    assert "3,600.00" in page
    assert deal.order is not None
    assert deal.order.number in text_of(client.get("/shipping/"))
    deals.ship(deal)
    assert "Nothing is on hand" in text_of(client.get("/stock/"))
    assert "Nothing to ship" in text_of(client.get("/shipping/"))


def test_a_serial_number_says_where_the_unit_is(client: Client, world: World) -> None:
    deal = deals.receive(deals.buy(deals.convert(deals.quote(world))), "SN-4711")
    assert "Acme Corp / Acme rack" in text_of(client.get("/stock/serials/?q=471"))
    deals.ship(deal, "SN-4711")
    page = text_of(client.get("/stock/serials/?q=4711&status=delivered"))
    assert "SN-4711" in page
    assert "Delivered" in page


def test_a_warehouse_is_made_with_its_first_bin(client: Client, world: World) -> None:
    done(post(client, "/warehouses/new/", name="Globex", company_id="Globex Ltd", first_bin="Closet"))
    made = Warehouse.objects.get(name="Globex")
    assert made.company == world.globex
    done(post(client, f"/warehouses/{made.pk}/bins/new/", name="Shelf"))
    page = refused(post(client, f"/warehouses/{made.pk}/bins/new/", name="shelf"), "has a bin shelf already")
    assert errors_beside(page, "name")
    assert "Closet, Shelf" in text_of(client.get("/warehouses/"))
