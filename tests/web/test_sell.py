"""Selling through the pages: the opportunity, its lines, what it is converted to."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from tests.web import deal as deals
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.agreements.models import Agreement
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.identity import Role
from counterfoil.quotes.models import Opportunity


@pytest.fixture(autouse=True)
def sales(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)


def test_an_opportunity_takes_price_cost_and_recurrence_from_the_catalog(client: Client) -> None:
    where = done(
        post(
            client,
            "/opportunities/new/",
            lines(
                {"product_id": "srv-inv", "quantity": "", "unit_price": "0"},
                {"product_id": "HAAS-SRV", "quantity": "2", "cycles": "36", "start_date": "2026-01-01"},
                {},
            ),
            company_id="acme corp",
            name="Server lease",
        )
    )
    made = Opportunity.objects.get()
    assert where == f"/opportunities/{made.pk}/"
    rows = [(x.product.identifier, x.quantity, x.unit_cost, x.unit_price, x.billing_cycle) for x in made.lines.all()]
    assert rows == [
        ("SRV-INV", Decimal(1), Decimal(3600), Decimal(0), ""),
        ("HAAS-SRV", Decimal(2), Decimal(0), Decimal(150), "month:1"),
    ]
    page = text_of(client.get(where))
    assert "10,800.00" in page  # 2 × 150.00 × 36
    assert "2 of 2 lines not converted yet: 0.00 once, 300.00 a month, 3,600.00 to buy" in page
    assert f"{made.number} was made." in page


def test_what_was_typed_stays_when_a_line_is_wrong(client: Client) -> None:
    page = refused(
        post(
            client,
            "/opportunities/new/",
            lines({"product_id": "HAAS-SRV", "quantity": "many"}, {"product_id": "no such thing"}),
            company_id="Acme Corp",
            name="Kept name",
        ),
        "“many” is not a number.",
        "There is no such product: “no such thing”.",
    )
    assert 'value="Kept name"' in page
    assert 'value="many"' in page
    assert not Opportunity.objects.exists()


def test_a_refusal_of_the_command_stands_beside_its_field(client: Client, world: World) -> None:
    answer = post(
        client,
        "/opportunities/new/",
        lines({"product_id": "HAAS-SRV"}, {}, {"product_id": "SRV-INV", "quantity": "-1"}),
        company_id="Acme Corp",
        name="Lease",
    )
    page = refused(answer, "above zero")
    assert "above zero" in errors_beside(page, "lines-2-quantity")
    refused(
        post(client, "/opportunities/new/", lines(), company_id="Northwind IT", name="x"), "There is no such company"
    )


def test_agreement_lines_are_ticked_and_others_say_why_not(client: Client, world: World) -> None:
    deal = deals.quote(world)
    page = client.get(f"/opportunities/{deal.opportunity.pk}/agreement/").content.decode()
    lease, server = (page[page.index(f'id="line-{x.pk}"') :][:120] for x in (deal.lease_line, deal.server_line))
    assert "checked" in lease
    assert "disabled" in server
    assert "Inventory: convert it to a sales order" in page


def test_a_quote_becomes_an_agreement_and_an_order_each_line_once(client: Client, world: World) -> None:
    deal = deals.quote(world)
    home = f"/opportunities/{deal.opportunity.pk}/"
    agreement_form = {
        "line_ids": deal.lease_line.pk,
        "agreement_type_id": world.haas.pk,
        "name": "Server lease",
        "start_date": "2026-01-01",
        "first_billing_date": "2026-01-01",
    }
    where = done(post(client, home + "agreement/", agreement_form))
    agreement = Agreement.objects.get()
    assert where == f"/agreements/{agreement.pk}/"
    assert "1 of 2 lines not converted yet" in text_of(client.get(home))
    refused(post(client, home + "agreement/", agreement_form), "converted")
    order_form = {"line_ids": deal.server_line.pk, "on": "2026-01-02"}
    assert done(post(client, home + "order/", order_form)) == f"/sales-orders/{SalesOrder.objects.get().pk}/"
    page = text_of(client.get(home))
    assert agreement.number in page
    assert "not converted yet" not in page


@pytest.mark.parametrize(
    ("target", "chosen", "said"),
    [
        ("agreement", "server_line", "An agreement takes lines of class Agreement only"),
        ("order", "lease_line", "A sales order takes lines of class"),
        ("agreement", None, "line"),
    ],
)
def test_a_wrong_choice_of_lines_is_refused(
    client: Client, world: World, target: str, chosen: str | None, said: str
) -> None:
    deal = deals.quote(world)
    form = {
        "agreement_type_id": world.haas.pk, "name": "x", "start_date": "2026-01-01",
        "first_billing_date": "2026-01-01", "on": "2026-01-01",
        **({"line_ids": getattr(deal, chosen).pk} if chosen else {}),
    }  # fmt: skip
    refused(post(client, f"/opportunities/{deal.opportunity.pk}/{target}/", form), said)
    assert not Agreement.objects.exists()
    assert not SalesOrder.objects.exists()


def test_lines_are_added_changed_and_removed(client: Client, world: World) -> None:
    deal = deals.quote(world)
    home = f"/opportunities/{deal.opportunity.pk}/"
    done(post(client, home + "lines/new/", product_id="SRV-NI", quantity="3"))
    added = deal.opportunity.lines.last()
    assert added is not None
    change = {"description": "Server", "quantity": "4", "unit_cost": "3,500.00", "unit_price": "0"}
    done(post(client, home + f"lines/{added.pk}/", change))
    added.refresh_from_db()
    assert (added.quantity, added.unit_cost) == (Decimal(4), Decimal(3500))
    done(post(client, home + f"lines/{added.pk}/remove/"))
    assert deal.opportunity.lines.count() == 2


def test_an_opportunity_is_won_lost_and_opened_again(client: Client, world: World) -> None:
    first, second = deals.quote(world).opportunity, deals.quote(world).opportunity
    done(post(client, f"/opportunities/{first.pk}/win/"))
    done(post(client, f"/opportunities/{second.pk}/lose/", reason="Price"))
    done(post(client, f"/opportunities/{second.pk}/reopen/"))
    assert [x.status for x in Opportunity.objects.order_by("pk")] == ["won", "open"]
    done(post(client, f"/opportunities/{second.pk}/edit/", name="Another name", customer_po="PO 7"))
    assert Opportunity.objects.get(pk=second.pk).name == "Another name"


def test_a_button_pressed_by_who_may_not_is_refused_on_a_page(client: Client, world: World) -> None:
    deal = deals.quote(world)
    sign_in(client, Role.VIEWER)
    page = client.get(f"/opportunities/{deal.opportunity.pk}/").content.decode()
    assert "/agreement/" not in page
    for address in ("win/", "agreement/", "order/", "edit/", "lines/new/"):
        refused(post(client, f"/opportunities/{deal.opportunity.pk}/{address}"), "it takes the role", status=403)
    assert Opportunity.objects.get().status == "open"
