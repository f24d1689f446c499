"""Goods leave: at the cost they came in for, no more than is there, and what is in stock is known at any date."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.trade import (
    JAN_10,
    JAN_15,
    JAN_31,
    D,
    bought,
    cable,
    cost_invoice,
    leased_server,
    order_of,
    received,
    shipped,
    stock,
)
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.core.errors import DomainError
from counterfoil.inventory.commands import ShipLine, create_bin, ship_order
from counterfoil.inventory.models import SerialNumber, Shipment, StockBalance, StockMovement
from counterfoil.inventory.queries import (
    lines_to_ship,
    on_hand,
    serial_numbers,
    shipped_not_relieved,
    unrelieved,
    valuation,
)
from counterfoil.orders.commands import cancel_sales_order
from counterfoil.orders.models import SalesOrderLine
from counterfoil.procurement.commands import PurchaseLine

pytestmark = pytest.mark.django_db
JAN_12, JAN_20 = date(2026, 1, 12), date(2026, 1, 20)


@pytest.fixture
def world() -> World:
    return build_world()


def refusal(line: SalesOrderLine, quantity: str | None = None, **fields: object) -> DomainError:
    what = ShipLine(line.pk, None if quantity is None else D(quantity), **fields)  # type: ignore[arg-type]
    with pytest.raises(DomainError) as refused:
        ship_order(actor=PROCUREMENT, order_id=line.order_id, on=JAN_15, lines=[what])
    assert not Shipment.objects.exists()
    return refused.value


def test_the_oldest_stock_leaves_first_at_its_own_cost(world: World) -> None:
    product = cable(world)
    stock(world, product, "3", "4.00", on=JAN_10)
    stock(world, product, "5", "4.50", on=JAN_12)
    line = order_of(world, product, "5")

    first, second = shipped(line, "2"), shipped(line, "3", on=JAN_20)

    assert [each.lines.get().cost for each in (first, second)] == [D("8.00"), D("13.00")]
    assert [(move.quantity, move.value) for move in StockMovement.objects.filter(kind="shipment")] == [
        (D("-2"), D("-8.00")),
        (D("-1"), D("-4.00")),
        (D("-2"), D("-9.00")),
    ]
    balance = StockBalance.objects.get()
    assert (balance.quantity, balance.value) == (D("3"), D("13.50"))


def test_a_serialized_unit_leaves_at_what_it_cost_itself(world: World) -> None:
    stock(world, world.server_inventory, "1", "3600", serials=["OLD"])
    stock(world, world.server_inventory, "1", "3950", serials=["NEW"])
    line = order_of(world, world.server_inventory)

    shipment = shipped(line, serials=["NEW"])

    assert shipment.lines.get().cost == D("3950.00")
    (old, new) = sorted(serial_numbers(), key=lambda each: each.status, reverse=True)
    assert (old.serial, old.status, new.serial, new.status) == ("OLD", "in_stock", "NEW", "delivered")
    assert (new.bin, new.shipment_line) == (None, shipment.lines.get())


@pytest.mark.parametrize(
    ("serials", "code"),
    [([], "serials_required"), (["OTHER"], "not_in_stock"), (["A", "B"], "serials_required")],
)
def test_a_serialized_unit_leaves_by_its_serial(world: World, serials: list[str], code: str) -> None:
    stock(world, world.server_inventory, "2", "3600", serials=["A", "B"])
    line = order_of(world, world.server_inventory)

    assert refusal(line, serials=serials).code == code
    assert SerialNumber.objects.filter(status="in_stock").count() == 2


def test_what_is_not_there_cannot_leave_and_the_refusal_says_what_is_where(world: World) -> None:
    product = cable(world)
    line = order_of(world, product, "9")
    assert refusal(line).message == "There is no CAB-6 in stock."

    stock(world, product, "5", "4")
    error = refusal(line, "6")
    assert error.code == "not_in_stock"
    assert error.message == (
        "6 CAB-6 cannot leave Acme Corp / Acme rack: 5 that had arrived by 15 Jan 2026 are left there."
        " In stock now: 5 in Acme Corp / Acme rack."
    )


def test_goods_cannot_leave_before_they_arrived(world: World) -> None:
    product = cable(world)
    stock(world, product, "5", "4", on=JAN_20)

    assert refusal(order_of(world, product, "5")).code == "not_in_stock"


def test_no_more_than_ordered_leaves(world: World) -> None:
    product = cable(world)
    stock(world, product, "9", "4")
    line = order_of(world, product, "5")

    assert refusal(line, "6").code == "more_than_ordered"
    shipped(line)
    with pytest.raises(DomainError) as refused:
        shipped(line, "1")
    assert refused.value.message == "5 CAB-6 are ordered and 5 shipped; 1 more cannot be shipped."


def test_stock_in_several_bins_needs_a_choice(world: World) -> None:
    product = cable(world)
    stock(world, product, "5", "4")
    shelf = create_bin(actor=PROCUREMENT, warehouse_id=world.warehouse.pk, name="Shelf")
    order = bought(world, PurchaseLine(product_id=product.pk, quantity=D("2"), bin_id=shelf.pk))
    world.acme_bin = shelf
    received(world, order.lines.get())
    line = order_of(world, product, "2")

    error = refusal(line)
    assert error.code == "bin_required"
    assert "5 in Acme Corp / Acme rack, 2 in Acme Corp / Shelf" in error.message
    ship_order(actor=PROCUREMENT, order_id=line.order_id, on=JAN_15, lines=[ShipLine(line.pk, bin_id=shelf.pk)])
    assert [(row.bin.name, row.quantity) for row in on_hand()] == [("Acme rack", D("5"))]


def test_noninventory_ships_as_far_as_it_arrived_for_the_order(world: World) -> None:
    line = order_of(world, world.server_noninventory, "2")
    assert refusal(line, "1").code == "not_in_stock"
    order = bought(world, PurchaseLine(order_line_id=line.pk))
    received(world, order.lines.get(), "1")

    assert refusal(line, "2").message.startswith("1 SRV-NI have arrived for SO-0001 and 0 are shipped")
    shipment = shipped(line, "1")

    assert (shipment.lines.get().cost, shipment.lines.get().bin) == (D("0.00"), None)
    assert [(row.shipped, row.to_ship, row.on_hand) for row in lines_to_ship(line.order_id)] == [
        (D("1"), D("1"), D("0"))
    ]


def test_services_are_not_shipped_and_cancelled_orders_neither(world: World) -> None:
    labor = cable(world, identifier="LABOR", product_class="Service", accounting_type="Service")
    assert refusal(order_of(world, labor)).code == "wrong_product_class"

    line = order_of(world, cable(world))
    cancel_sales_order(actor=SALES, order_id=line.order_id, reason="Changed their mind")
    assert refusal(line).message == f"{line.order} is cancelled; nothing can be shipped on it."


def test_the_valuation_at_a_date_is_what_lay_there_then(world: World) -> None:
    product = cable(world)
    stock(world, product, "5", "4", on=JAN_10)
    stock(world, world.server_inventory, "1", "3600", on=JAN_12, serials=["SN-1"])
    shipped(order_of(world, product, "2"), on=JAN_20)

    def values(on: date) -> list[tuple[str, str, str, Decimal, Decimal]]:
        return [(row.warehouse, row.bin, row.product, row.quantity, row.value) for row in valuation(as_of=on)]

    place = ("Acme Corp", "Acme rack")
    assert values(date(2026, 1, 9)) == []
    assert values(JAN_10) == [(*place, "CAB-6", D("5"), D("20.00"))]
    assert values(JAN_15) == [
        (*place, "CAB-6", D("5"), D("20.00")),
        (*place, "SRV-INV", D("1"), D("3600.00")),
    ]
    assert values(JAN_31) == [
        (*place, "CAB-6", D("3"), D("12.00")),
        (*place, "SRV-INV", D("1"), D("3600.00")),
    ]


def test_what_is_shipped_stays_in_the_inventory_account_until_it_is_invoiced(world: World) -> None:
    line = leased_server(world)

    assert [(row.customer, row.quantity, row.value) for row in shipped_not_relieved()] == [
        ("Acme Corp", D("1"), D("3600.00"))
    ]
    cost_invoice(world, line.order)
    assert shipped_not_relieved() == []
    assert unrelieved([line])[line.pk].cost == D("0.00")


amounts = st.decimals(min_value=0, max_value=5000, places=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    arrivals=st.lists(st.tuples(st.integers(1, 9), amounts), min_size=1, max_size=4),
    parts=st.lists(st.integers(1, 5), min_size=1, max_size=8),
)
def test_no_cent_is_lost_between_what_came_in_and_what_went_out(
    world: World, arrivals: list[tuple[int, Decimal]], parts: list[int]
) -> None:
    product = cable(world, identifier=f"P{StockMovement.objects.count()}-{StockBalance.objects.count()}")
    for quantity, cost in arrivals:
        stock(world, product, str(quantity), str(cost))
    left = sum(quantity for quantity, _ in arrivals)
    line = order_of(world, product, str(left))
    for part in parts:
        if part <= left:
            shipped(line, str(part))
            left -= part

    balance = StockBalance.objects.get(product=product)
    moves = StockMovement.objects.filter(product=product)
    value = sum(move.value for move in moves)
    out = sum(each.cost for each in line.shipment_lines.all())
    came = sum(move.value for move in moves.filter(kind="receipt"))
    assert (balance.quantity, balance.value) == (left, value)
    assert came - out == value
    assert left or value == 0
