"""Goods arrive: into the right bin, with serial numbers, at cost, and never more than was ordered."""

from __future__ import annotations

from datetime import date

import pytest
from tests.trade import JAN_5, JAN_10, JAN_15, D, bought, cable, order_of, received, shipped, stock
from tests.world import FINANCE, PROCUREMENT, World, build_world

from counterfoil.core.errors import DomainError
from counterfoil.inventory.commands import ReceiveLine, create_bin, create_warehouse, receive_purchase_order
from counterfoil.inventory.models import Bin, Receipt, ReceiptLine, SerialNumber, StockBalance, StockMovement, Warehouse
from counterfoil.inventory.queries import receipts, serial_numbers
from counterfoil.platform.audit import trail_of
from counterfoil.procurement.commands import PurchaseLine
from counterfoil.procurement.models import PurchaseOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return build_world()


def servers(world: World, quantity: str = "2") -> PurchaseOrder:
    return bought(world, PurchaseLine(product_id=world.server_inventory.pk, quantity=D(quantity)))


def receive(order: PurchaseOrder, *lines: ReceiveLine, on: date = JAN_10) -> Receipt:
    return receive_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, on=on, lines=lines)


def refusal(order: PurchaseOrder, *lines: ReceiveLine, on: date = JAN_10) -> DomainError:
    """The refusal; and nothing of the receipt is left behind."""
    before = Receipt.objects.count(), StockMovement.objects.count(), SerialNumber.objects.count()
    with pytest.raises(DomainError) as refused:
        receive(order, *lines, on=on)
    assert (Receipt.objects.count(), StockMovement.objects.count(), SerialNumber.objects.count()) == before
    return refused.value


def test_a_full_receipt_fills_the_bin_and_closes_the_order(world: World) -> None:
    order = servers(world)
    receipt = received(world, order.lines.get(), serials=["SN-1", "SN-2"])

    balance = StockBalance.objects.get()
    order.refresh_from_db()
    assert (receipt.number, order.status) == ("RCV-0001", "closed")
    assert (balance.product, balance.bin, balance.quantity, balance.value) == (
        world.server_inventory, world.acme_bin, D("2"), D("7200.00"),
    )  # fmt: skip
    assert [(each.serial, each.status, each.bin) for each in serial_numbers()] == [
        ("SN-1", "in_stock", world.acme_bin),
        ("SN-2", "in_stock", world.acme_bin),
    ]
    assert [entry.sentence for entry in trail_of(receipt)] == [
        "received 2 of 2 SRV-INV on PO-0001 into Acme Corp / Acme rack"
    ]
    assert [row.cost for row in receipts(search="ingram")] == [D("7200.00")]


def test_the_parts_of_a_line_cost_together_what_the_line_costs(world: World) -> None:
    order = bought(world, PurchaseLine(product_id=cable(world).pk, quantity=D("3"), unit_cost=D("0.335")))
    line = order.lines.get()

    for day in (JAN_10, date(2026, 1, 11), date(2026, 1, 12)):
        received(world, line, "1", on=day)

    # Three times 0.335 is 1.005, which is 1.01; each alone would be 0.34, and 1.02 together.
    assert [row.cost for row in ReceiptLine.objects.order_by("id")] == [D("0.34"), D("0.33"), D("0.34")]
    assert StockBalance.objects.get().value == D("1.01")


def test_without_lines_all_that_is_awaited_arrives_in_the_bins_of_the_order(world: World) -> None:
    product = cable(world)
    order = bought(world, PurchaseLine(product_id=product.pk, quantity=D("5"), bin_id=world.acme_bin.pk))

    receive_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, on=JAN_10)

    assert StockBalance.objects.get(bin=world.acme_bin).quantity == D("5")


def test_more_than_was_ordered_is_refused(world: World) -> None:
    order = bought(world, PurchaseLine(product_id=cable(world).pk, quantity=D("10")))
    line, place = order.lines.get(), world.acme_bin.pk
    received(world, line, "4")

    error = refusal(order, ReceiveLine(line.pk, D("7"), place))
    assert (error.code, error.field) == ("more_than_ordered", "lines[0].quantity")
    assert error.message == "10 CAB-6 are on PO-0001, 6 still awaited; 7 cannot be received."

    split = refusal(order, ReceiveLine(line.pk, D("4"), place), ReceiveLine(line.pk, D("4"), place))
    assert (split.code, split.field) == ("more_than_ordered", "lines[1].quantity")

    received(world, line)
    assert refusal(order, ReceiveLine(line.pk, D("1"), place)).code == "more_than_ordered"


def test_an_inventory_product_needs_a_bin(world: World) -> None:
    order = servers(world, "1")

    error = refusal(order, ReceiveLine(order.lines.get().pk, serials=["SN-1"]))

    assert (error.code, error.field) == ("bin_required", "lines[0].bin")


@pytest.mark.parametrize(
    ("serials", "message"),
    [
        ([], "SRV-INV is serialized: enter 2 serial numbers, one for each unit (0 given)."),
        (["SN-1"], "SRV-INV is serialized: enter 2 serial numbers, one for each unit (1 given)."),
        (["SN-1", " "], "SRV-INV is serialized: enter 2 serial numbers, one for each unit (1 given)."),
        (["SN-1", "SN-1 "], "Serial number SN-1 is entered twice."),
        (["SN-1", "SN-2", "SN-3"], "SRV-INV is serialized: enter 2 serial numbers, one for each unit (3 given)."),
    ],
)
def test_a_serialized_product_needs_one_serial_for_each_unit(world: World, serials: list[str], message: str) -> None:
    order = servers(world)

    error = refusal(order, ReceiveLine(order.lines.get().pk, None, world.acme_bin.pk, serials))

    assert (error.code, error.field, error.message) == ("serials_required", "lines[0].serials", message)


def test_a_part_of_a_serialized_unit_cannot_arrive(world: World) -> None:
    order = servers(world)
    line = ReceiveLine(order.lines.get().pk, D("1.5"), world.acme_bin.pk, ["SN-1"])
    assert refusal(order, line).code == "serials_required"


def test_a_serial_that_is_in_stock_cannot_arrive_again_until_it_has_left(world: World) -> None:
    stock(world, world.server_inventory, "1", "3600", serials=["SN-1"])
    second = servers(world, "1")
    again = ReceiveLine(second.lines.get().pk, None, world.acme_bin.pk, ["SN-1"])

    error = refusal(second, again)
    assert error.code == "serial_in_stock"
    assert error.message == (
        "Serial number SN-1 of SRV-INV is in stock already: in Acme Corp / Acme rack, received with RCV-0001."
    )

    shipped(order_of(world, world.server_inventory), serials=["SN-1"])
    receive(second, again, on=JAN_15)
    assert SerialNumber.objects.filter(serial="SN-1").count() == 2


def test_noninventory_is_expensed_not_stocked(world: World) -> None:
    line = order_of(world, world.server_noninventory)
    order = bought(world, PurchaseLine(order_line_id=line.pk))

    receipt = received(world, order.lines.get())

    (row,) = receipt.lines.all()
    assert (row.cost, row.is_stocked, row.bin) == (D("3600.00"), False, None)
    assert not StockMovement.objects.exists()
    assert not StockBalance.objects.exists()


def test_a_drop_shipped_product_goes_into_no_bin(world: World) -> None:
    product = cable(
        world, identifier="DROP", product_class="NonInventory", accounting_type="NonInventoryPart", drop_ship=True
    )
    order = bought(world, PurchaseLine(product_id=product.pk))

    error = refusal(order, ReceiveLine(order.lines.get().pk, None, world.acme_bin.pk))

    assert error.message == "DROP is shipped by the vendor to the customer; it goes into no bin."
    assert received(world, order.lines.get()).lines.get().bin is None


def test_only_a_sent_order_is_received_and_not_before_its_date(world: World) -> None:
    draft = bought(world, PurchaseLine(product_id=cable(world).pk), sent=False)
    error = refusal(draft, ReceiveLine(draft.lines.get().pk, None, world.acme_bin.pk))
    assert (error.code, error.message) == (
        "wrong_state",
        "PO-0001 is draft; send it before goods can arrive on it.",
    )

    sent = servers(world, "1")
    early = ReceiveLine(sent.lines.get().pk, None, world.acme_bin.pk, ["SN-1"])
    assert refusal(sent, early, on=date(2026, 1, 4)).field == "on"
    assert receive(sent, early, on=JAN_5).date == JAN_5


def test_a_line_of_another_order_and_an_unknown_bin_are_refused(world: World) -> None:
    order, other = servers(world, "1"), servers(world, "1")
    place = world.acme_bin.pk

    assert refusal(order, ReceiveLine(other.lines.get().pk, None, place, ["SN-1"])).code == "not_found"
    assert refusal(order, ReceiveLine(order.lines.get().pk, None, place + 999, ["SN-1"])).field == "lines[0].bin"


def test_warehouses_and_bins_are_named_once(world: World) -> None:
    warehouse = create_warehouse(actor=PROCUREMENT, name=" Globex ", company_id=world.globex.pk)
    place = create_bin(actor=PROCUREMENT, warehouse_id=warehouse.pk, name="Rack 1")
    assert str(place) == "Globex / Rack 1"

    for make in (
        lambda: create_warehouse(actor=PROCUREMENT, name="globex"),
        lambda: create_bin(actor=PROCUREMENT, warehouse_id=warehouse.pk, name="rack 1"),
    ):
        with pytest.raises(DomainError) as refused:
            make()
        assert refused.value.code == "duplicate"
    with pytest.raises(DomainError) as refused:
        create_warehouse(actor=FINANCE, name="HQ")
    assert refused.value.code == "role_required"
    assert (Warehouse.objects.count(), Bin.objects.count()) == (2, 2)
