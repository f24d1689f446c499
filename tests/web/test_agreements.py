"""Agreements through the pages: made, added to, invoiced, cancelled."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from tests.web import deal as deals
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.agreements.models import Agreement
from counterfoil.billing.models import Invoice
from counterfoil.platform.identity import Role


@pytest.fixture(autouse=True)
def owner(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)


def test_an_agreement_is_made_with_additions_from_the_catalog(client: Client, world: World) -> None:
    where = done(
        post(
            client, "/agreements/new/", lines({"product_id": "HAAS-SRV", "quantity": "2"}),
            company_id="Acme Corp", agreement_type_id=world.haas.pk, name="Hardware as a service",
            start_date="2026-01-01", billing_cycle="month:1", billing_amount="",
        )
    )  # fmt: skip
    page = text_of(client.get(where))
    assert "300.00" in page
    assert "1–31 Jan 2026" in page
    assert "1–28 Feb 2026" in page
    assert "Hardware as a service" in text_of(client.get("/agreements/"))


def test_the_next_period_is_invoiced_once_and_the_preview_moves_on(client: Client, world: World) -> None:
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    home = f"/agreements/{deal.agreement.pk}/"
    assert 'name="period" value="2026-01-01"' in client.get(home).content.decode()
    made = done(post(client, home + "invoice/", period="2026-01-01"))
    invoice = Invoice.objects.get()
    assert made == f"/invoices/{invoice.pk}/"
    assert (invoice.period_start, invoice.subtotal, invoice.total) == (date(2026, 1, 1), Decimal(150), Decimal(159))
    page = client.get(home).content.decode()
    assert "Invoice 1–28 Feb 2026?" in page
    twice = post(client, home + "invoice/", period="2026-01-01")
    assert twice.status_code == 409
    assert Invoice.objects.count() == 1
    assert post(client, home + "invoice/").status_code == 422
    assert post(client, home + "invoice/", period="2026-13-45").status_code == 422
    done(post(client, home + "invoice/", period="2026-02-01"))
    assert Invoice.objects.count() == 2


def test_additions_are_added_changed_and_cancelled(client: Client, world: World) -> None:
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    home = f"/agreements/{deal.agreement.pk}/"
    done(
        post(client, home + "additions/new/", product_id="HAAS-SRV", quantity="3", unit_price="10",
             effective_date="2026-02-01", billing_option="Billable")
    )  # fmt: skip
    added = deal.agreement.additions.get(position=2)
    change = {
        "description": "Backup", "quantity": "5", "less_included": "1", "unit_price": "10", "unit_cost": "0",
        "effective_date": "2026-02-01", "billing_option": "Billable",
    }  # fmt: skip
    done(post(client, home + f"additions/{added.pk}/", change))
    assert "Backup: 4 × 10.00 = 40.00" in text_of(client.get(home))
    done(post(client, home + f"additions/{added.pk}/cancel/", on="2026-03-31"))
    added.refresh_from_db()
    assert added.cancelled_date == date(2026, 3, 31)


def test_a_bundle_as_an_addition_is_refused_beside_the_product(client: Client, world: World) -> None:
    world.server_noninventory.product_class = "Bundle"
    world.server_noninventory.accounting_type = "OtherCharge"
    world.server_noninventory.save()
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    page = refused(
        post(client, f"/agreements/{deal.agreement.pk}/additions/new/", product_id="SRV-NI",
             effective_date="2026-02-01", billing_option="Billable"),
        "undle",
    )  # fmt: skip
    assert "undle" in errors_beside(page, "product_id")


def test_an_agreement_is_changed_and_cancelled(client: Client, world: World) -> None:
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    home = f"/agreements/{deal.agreement.pk}/"
    done(
        post(client, home + "edit/", name="New name", billing_amount="25", bill_to_id=world.acme.pk,
             end_date="2028-12-31", tax_code_id=world.tax6.pk, terms_id=world.net30.pk)
    )  # fmt: skip
    assert "175.00" in text_of(client.get(home))
    refused(post(client, home + "cancel/", on="2026-06-30", reason=""), "This field is required")
    done(post(client, home + "cancel/", on="2026-06-30", reason="Moved away"))
    assert Agreement.objects.get().status == "cancelled"
    assert "Moved away" in text_of(client.get(home))


def test_my_company_cannot_be_chosen(client: Client, world: World) -> None:
    answer = post(
        client, "/agreements/new/", lines(), company_id="Northwind IT", agreement_type_id=world.haas.pk, name="x",
        start_date="2026-01-01", billing_cycle="month:1",
    )  # fmt: skip
    assert "There is no such company" in errors_beside(refused(answer), "company_id")
