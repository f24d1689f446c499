"""Sales orders through the pages: made, shipped, invoiced, closed."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from tests.web import deal as deals
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.billing.models import Invoice
from counterfoil.inventory.models import Shipment
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.identity import Role


@pytest.fixture(autouse=True)
def owner(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)


def test_an_order_is_made_with_its_lines_and_changed(client: Client, world: World) -> None:
    where = done(
        post(
            client, "/sales-orders/new/", lines({"product_id": "SRV-INV", "unit_price": "4,000"}),
            company_id="Acme Corp", on="2026-01-05",
        )
    )  # fmt: skip
    order = SalesOrder.objects.get()
    done(post(client, where + "edit/", on="2026-01-06", bill_to_id=world.globex.pk, customer_po="PO 5"))
    done(post(client, where + "lines/new/", product_id="SRV-NI"))
    line = order.lines.get(position=2)
    done(post(client, where + f"lines/{line.pk}/", description="Rack", quantity="2", unit_cost="10", unit_price="20"))
    page = text_of(client.get(where))
    assert "4,040.00" in page
    assert "Globex Ltd" in page
    done(post(client, where + f"lines/{line.pk}/remove/"))
    assert order.lines.count() == 1


def test_shipping_offers_what_is_there_and_takes_serial_numbers(client: Client, world: World) -> None:
    deal = deals.receive(deals.buy(deals.convert(deals.quote(world))), "SN-77")
    assert deal.order is not None
    address = f"/sales-orders/{deal.order.pk}/ship/"
    assert "SN-77</textarea>" in client.get(address).content.decode()
    line = {"order_line_id": deal.order.lines.get().pk, "quantity": "1", "bin_id": world.acme_bin.pk}
    page = refused(post(client, address, lines({**line, "serials": "SN-1"}, initial=1), on="2026-01-10"), "SN-1")
    assert "SN-1" in errors_beside(page, "lines-0-serials")
    refused(post(client, address, lines({**line, "quantity": "0"}, initial=1), on="2026-01-10"), "at least one line")
    done(post(client, address, lines({**line, "serials": "SN-77"}, initial=1), on="2026-01-10", tracking_number="1Z"))
    shipment = Shipment.objects.get()
    page = text_of(client.get(f"/shipping/shipments/{shipment.pk}/"))
    assert "SN-77" in page
    assert "3,600.00" in page


def test_an_order_is_invoiced_to_the_internal_company_at_cost_only(client: Client, world: World) -> None:
    deal = deals.ship(deals.receive(deals.buy(deals.convert(deals.quote(world)))))
    assert deal.order is not None
    where = done(post(client, f"/sales-orders/{deal.order.pk}/invoice/", on="2026-01-11", bill_to_id=world.internal.pk))
    invoice = Invoice.objects.get()
    assert where == f"/invoices/{invoice.pk}/"
    assert (invoice.status, invoice.total, invoice.cost_total) == ("draft", Decimal(0), Decimal(3600))
    refused(post(client, f"/sales-orders/{deal.order.pk}/invoice/", on="2026-01-11"))


def test_a_price_on_an_internal_company_is_refused_beside_bill_to(client: Client, world: World) -> None:
    where = done(
        post(
            client, "/sales-orders/new/", lines({"product_id": "SRV-NI", "unit_price": "100"}),
            company_id="Acme Corp", on="2026-01-05",
        )
    )  # fmt: skip
    page = refused(
        post(client, where + "edit/", on="2026-01-05", bill_to_id=world.internal.pk), "is an internal company"
    )
    assert "zero price" in errors_beside(page, "bill_to_id")


def test_an_order_is_closed_opened_again_and_cancelled(client: Client, world: World) -> None:
    done(post(client, "/sales-orders/new/", lines({"product_id": "SRV-NI"}), company_id="Acme Corp", on="2026-01-05"))
    order = SalesOrder.objects.get()
    home = f"/sales-orders/{order.pk}/"
    done(post(client, home + "close/"))
    done(post(client, home + "reopen/"))
    refused(post(client, home + "cancel/", reason=""), "This field is required")
    done(post(client, home + "cancel/", reason="Changed their mind"))
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert "cancelled" in text_of(client.get(home)).lower()


def test_the_page_shows_how_far_each_line_has_come(client: Client, world: World) -> None:
    deal = deals.receive(deals.buy(deals.convert(deals.quote(world))))
    assert deal.order is not None
    page = client.get(f"/sales-orders/{deal.order.pk}/").content.decode()
    assert f'class="btn btn-primary" href="/sales-orders/{deal.order.pk}/ship/"' in page
    assert "/demand/?order=" not in page  # nothing is left to buy


def test_a_line_is_ordered_for_a_term(client: Client, world: World) -> None:
    done(post(client, "/sales-orders/new/", lines({"product_id": "SRV-NI"}), company_id="Acme Corp", on="2026-01-05"))
    home = f"/sales-orders/{SalesOrder.objects.get().pk}/"
    added = {"product_id": "SRV-NI", "term": "year:1", "billing_cycle": "month:1", "start_date": "2026-03-01"}
    done(post(client, home + "lines/new/", **added))
    assert "1 year, billed monthly, from 1 Mar 2026" in text_of(client.get(home))
    line = SalesOrder.objects.get().lines.get(position=2)
    given = {"description": "Rack", "quantity": "1", "unit_cost": "10", "unit_price": "20"}
    page = refused(post(client, home + f"lines/{line.pk}/", **given, term="a while"))
    assert errors_beside(page, "term")
    done(post(client, home + f"lines/{line.pk}/", **given, term="year:3", billing_cycle="year:3"))
    assert "3 years, prepaid" in text_of(client.get(home))
