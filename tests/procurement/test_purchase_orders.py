"""Buying what orders demand: what a purchase order takes, refuses, and gives back."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.trade import JAN_5, JAN_10, D, bought, cable, order_of, received, shipped, stock
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.procurement.commands import (
    PurchaseLine,
    add_purchase_order_lines,
    cancel_purchase_order,
    cancel_remainder,
    create_purchase_order,
    remove_purchase_order_line,
    send_purchase_order,
    update_purchase_order,
    update_purchase_order_line,
)
from counterfoil.procurement.models import PurchaseOrder
from counterfoil.procurement.queries import demand, lines_of_purchase_order, purchase_orders

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return build_world()


def test_an_order_from_demand_takes_product_cost_and_origin_from_the_order_line(world: World) -> None:
    line = order_of(world, world.server_inventory, "2", cost="3450")

    order = bought(world, PurchaseLine(order_line_id=line.pk, bin_id=world.acme_bin.pk))

    row = order.lines.get()
    assert (order.number, order.status, order.terms) == ("PO-0001", "sent", world.net30)
    assert (row.product, row.quantity, row.unit_cost) == (world.server_inventory, D("2"), D("3450"))
    assert (row.vendor_sku, row.order_line, row.bin) == ("SRV-9", line, world.acme_bin)
    assert demand() == []


def test_demand_is_what_nobody_bought_or_shipped_from_stock(world: World) -> None:
    cables = cable(world)
    line = order_of(world, cables, "10")
    stock(world, cables, "4", "4")
    shipped(line, "4")
    bought(world, PurchaseLine(order_line_id=line.pk, quantity=D("5")))

    (row,) = demand(order_id=line.order_id)

    # Five are on a purchase order, which covers the four that went out of stock as well.
    assert (row.ordered, row.bought, row.to_buy) == (D("10"), D("5"), D("5"))


def test_the_same_order_line_cannot_be_bought_twice(world: World) -> None:
    line = order_of(world, world.server_inventory)
    bought(world, PurchaseLine(order_line_id=line.pk))

    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(order_line_id=line.pk))

    assert refused.value.code == "more_than_ordered"
    assert "SO-0001 needs 1 SRV-INV; 1 of it bought or shipped already, 0 left to buy" in refused.value.message
    assert PurchaseOrder.objects.count() == 1


def test_two_lines_of_one_purchase_order_cannot_take_the_same_demand(world: World) -> None:
    line = order_of(world, world.server_inventory)

    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(order_line_id=line.pk), PurchaseLine(order_line_id=line.pk))

    assert (refused.value.code, refused.value.field) == ("more_than_ordered", "lines[1].quantity")
    assert not PurchaseOrder.objects.exists()


def test_a_cancelled_purchase_order_gives_its_demand_back(world: World) -> None:
    line = order_of(world, world.server_inventory)
    order = bought(world, PurchaseLine(order_line_id=line.pk))

    cancel_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, reason="Out of stock at the vendor")

    assert [row.to_buy for row in demand()] == [D("1")]
    assert bought(world, PurchaseLine(order_line_id=line.pk)).status == "sent"


def test_what_arrived_in_part_is_not_cancelled_but_its_remainder_is(world: World) -> None:
    cables = cable(world)
    line = order_of(world, cables, "10")
    order = bought(world, PurchaseLine(order_line_id=line.pk))
    received(world, order.lines.get(), "4")

    with pytest.raises(DomainError) as refused:
        cancel_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)
    assert refused.value.code == "wrong_state"

    cancel_remainder(actor=PROCUREMENT, line_id=order.lines.get().pk, reason="Discontinued")
    order.refresh_from_db()
    (row,) = lines_of_purchase_order(order.pk)
    assert (order.status, row.received, row.awaited, row.amount) == ("closed", D("4"), D("0"), D("16.00"))
    assert [each.to_buy for each in demand()] == [D("6")]


def test_a_draft_can_be_changed_and_a_sent_order_cannot(world: World) -> None:
    cables = cable(world)
    order = bought(world, PurchaseLine(product_id=cables.pk, quantity=D("5")), sent=False)
    line = order.lines.get()
    update_purchase_order_line(actor=PROCUREMENT, line_id=line.pk, quantity=D("8"), unit_cost=D("3.9"))
    added = add_purchase_order_lines(
        actor=PROCUREMENT, purchase_order_id=order.pk, lines=[PurchaseLine(product_id=world.server_noninventory.pk)]
    )
    remove_purchase_order_line(actor=PROCUREMENT, line_id=added[0].pk)
    update_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, order_date=JAN_10)
    send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)

    assert [(row.line.quantity, row.amount) for row in lines_of_purchase_order(order.pk)] == [(D("8"), D("31.20"))]
    assert [entry.sentence for entry in trail_of(order)][:2] == [
        "sent PO-0001 to Ingram Micro",
        "changed PO-0001, dated 10 Jan 2026",
    ]
    with pytest.raises(DomainError) as refused:
        update_purchase_order_line(actor=PROCUREMENT, line_id=line.pk, quantity=D("9"))
    assert refused.value.code == "wrong_state"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quantity": Decimal(0)}, "invalid"),
        ({"quantity": Decimal("-1")}, "invalid"),
        ({"quantity": Decimal("1.0000001")}, "invalid"),
        ({"quantity": Decimal("1e12")}, "invalid"),
        ({"quantity": Decimal("NaN")}, "invalid"),
        ({"unit_cost": Decimal("0.123456789")}, "invalid"),
        ({"unit_cost": Decimal("-1")}, "invalid"),
        ({"bin_id": 999_999}, "not_found"),
        ({"product_id": 999_999}, "not_found"),
        ({"product_id": None}, "required"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused(world: World, change: dict[str, object], code: str) -> None:
    fields: dict[str, object] = {"product_id": cable(world).pk, **change}

    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(**fields))  # type: ignore[arg-type]

    assert refused.value.code == code
    assert not PurchaseOrder.objects.exists()


def test_bundles_are_not_bought_and_noninventory_goes_into_no_bin(world: World) -> None:
    bundle = cable(world, identifier="SET", product_class="Bundle", accounting_type="NonInventoryPart")
    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(product_id=bundle.pk))
    assert refused.value.code == "wrong_product_class"

    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(product_id=world.server_noninventory.pk, bin_id=world.acme_bin.pk))
    assert refused.value.field == "lines[0].bin"


def test_only_vendors_are_bought_from_and_only_by_procurement(world: World) -> None:
    with pytest.raises(DomainError) as refused:
        bought(world, vendor_id=world.acme.pk, sent=False)
    assert refused.value.message == "Acme Corp is not a vendor."

    with pytest.raises(DomainError) as refused:
        create_purchase_order(actor=SALES, vendor_id=world.ingram.pk, order_date=JAN_5)
    assert refused.value.code == "role_required"


def test_an_order_without_lines_is_not_sent(world: World) -> None:
    order = bought(world, sent=False)

    with pytest.raises(DomainError) as refused:
        send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)

    assert refused.value.code == "required"


def test_the_list_finds_by_vendor_product_and_status(world: World) -> None:
    first = bought(world, PurchaseLine(product_id=cable(world).pk, quantity=D("5"), unit_cost=D("4.5")))
    second = bought(world, PurchaseLine(product_id=world.server_noninventory.pk), sent=False)

    assert [order.pk for order in purchase_orders()] == [second.pk, first.pk]
    assert [(order.pk, order.total) for order in purchase_orders(search="cab-6")] == [(first.pk, D("22.5"))]
    assert [order.pk for order in purchase_orders(status="draft", vendor_id=world.ingram.pk)] == [second.pk]
