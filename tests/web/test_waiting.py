"""What waits for goods that will not come: shown where one looks for it, and dealt with there."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from tests.accepted import accepted, convert, of
from tests.web.pages import done, post, refused, sign_in, text_of
from tests.world import SALES, World

from counterfoil.agreements.models import Agreement
from counterfoil.orders.commands import cancel_sales_order
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.identity import Role
from counterfoil.quotes.models import QuoteVersion

D = Decimal


@pytest.fixture
def version(client: Client, world: World) -> QuoteVersion:
    sign_in(client, Role.SALES)
    lease = of(world.lease, 1, "150", unit_cost=D(0), billing_cycle="month:1", cycles=36, start_policy="on_delivery")
    version = accepted(world, [of(world.server_inventory, 1), lease])
    convert(version)
    return version


def test_it_is_shown_on_its_order_its_opportunity_the_calendar_and_at_home(
    client: Client, version: QuoteVersion
) -> None:
    order = SalesOrder.objects.get()
    pages = (f"/sales-orders/{order.pk}/", f"/opportunities/{version.quote.opportunity_id}/", "/renewals/")
    for page in pages:
        assert "Not billed yet, begins on delivery: 1 × Server as a service" in text_of(client.get(page))
    cancel_sales_order(actor=SALES, order_id=order.pk, reason="Bought elsewhere")
    for page in pages:
        text = text_of(client.get(page))
        assert "Waits for goods that will not come, and is not billed: 1 × Server as a service" in text
        assert f"{order.number} was cancelled" in text
    assert "Line without a delivery to wait for" in text_of(client.get("/"))


def test_it_is_begun_from_its_page(client: Client, version: QuoteVersion) -> None:
    where = f"/renewals/waiting/{version.pk}/"
    assert "Server as a service, of Acme Corp." in text_of(client.get(where + "start/"))
    assert done(post(client, where + "start/", start_date="2026-03-01")) == f"/agreements/{Agreement.objects.get().pk}/"
    assert client.get(where + "start/").status_code == 404


def test_it_is_cancelled_with_a_reason(client: Client, version: QuoteVersion) -> None:
    where = f"/renewals/waiting/{version.pk}/cancel/"
    refused(post(client, where, reason=""))
    page = done(post(client, where, reason="The customer moved"))
    assert "nothing" in text_of(client.get(page))
    assert "Waits for goods" not in text_of(client.get("/renewals/"))
