"""People at once: the same goods received, shipped, billed, invoiced or capitalised. One does, the others read why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest
from tests.racing import at_once, refusals
from tests.trade import (
    JAN_5,
    JAN_10,
    JAN_15,
    JAN_31,
    NOW,
    D,
    bought,
    cable,
    leased_server,
    order_of,
    received,
    stock,
    transfer,
)
from tests.world import FINANCE, PROCUREMENT, SALES, World, build_world

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.assets.commands import capitalise_from_stock, post_depreciation
from counterfoil.assets.models import Asset
from counterfoil.billing.commands import (
    InvoicePayment,
    close_invoice,
    invoice_agreement,
    invoice_sales_order,
    record_payment,
)
from counterfoil.billing.models import Invoice, Payment
from counterfoil.inventory.commands import ReceiveLine, ShipLine, receive_purchase_order, ship_order
from counterfoil.inventory.models import Receipt, SerialNumber, Shipment, StockBalance, StockMovement
from counterfoil.ledger.models import AccountType, JournalEntry
from counterfoil.ledger.queries import balance_of_types
from counterfoil.platform.audit import broken_links
from counterfoil.platform.models import NumberSequence
from counterfoil.procurement.commands import BillLine, PurchaseLine, create_purchase_order, enter_vendor_bill
from counterfoil.procurement.models import PurchaseOrder, VendorBill
from counterfoil.procurement.queries import demand

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 4


@pytest.fixture
def world() -> World:
    return build_world()


def race(deed: Callable[[], object], code: str) -> None:
    """Four people do it at once; three are refused with ``code``, and the audit trail is whole."""
    results = at_once(*[deed] * PEOPLE)
    assert [refusal.code for refusal in refusals(results)] == [code] * (PEOPLE - 1), results
    assert list(broken_links()) == []


def in_stock() -> tuple[str, str]:
    balance = StockBalance.objects.get()
    moves = StockMovement.objects.all()
    assert (balance.quantity, balance.value) == (sum(m.quantity for m in moves), sum(m.value for m in moves))
    return f"{balance.quantity:.0f}", f"{balance.value:.2f}"


def test_the_same_purchase_order_is_received_once(world: World) -> None:
    order = bought(world, PurchaseLine(product_id=world.server_inventory.pk))
    line = ReceiveLine(order.lines.get().pk, None, world.acme_bin.pk, ["SN-1"])

    race(
        lambda: receive_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, on=JAN_10, lines=[line]),
        "more_than_ordered",
    )

    order.refresh_from_db()
    assert (Receipt.objects.count(), SerialNumber.objects.count(), order.status) == (1, 1, "closed")
    assert in_stock() == ("1", "3600.00")
    assert NumberSequence.objects.get(name="receipt").next_value == 2  # refusals leave no hole in the numbers


def test_parts_of_a_line_received_together_are_no_more_than_the_line(world: World) -> None:
    order = bought(world, PurchaseLine(product_id=cable(world).pk, quantity=D("10"), unit_cost=D("0.335")))
    part = ReceiveLine(order.lines.get().pk, D("4"), world.acme_bin.pk)

    results = at_once(
        *[lambda: receive_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, on=JAN_10, lines=[part])] * 4
    )

    assert [refusal.code for refusal in refusals(results)] == ["more_than_ordered"] * 2
    assert in_stock() == ("8", "2.68")


def test_one_serial_arriving_on_two_orders_is_taken_into_stock_once(world: World) -> None:
    orders = [bought(world, PurchaseLine(product_id=world.server_inventory.pk)) for _ in range(2)]

    def receive(order: PurchaseOrder) -> Receipt:
        line = ReceiveLine(order.lines.get().pk, None, world.acme_bin.pk, ["SN-1"])
        return receive_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, on=JAN_10, lines=[line])

    results = at_once(*[lambda order=order: receive(order) for order in orders])  # type: ignore[misc]

    assert [refusal.code for refusal in refusals(results)] == ["serial_in_stock"]
    assert in_stock() == ("1", "3600.00")


def test_the_same_units_are_shipped_once(world: World) -> None:
    stock(world, world.server_inventory, "1", "3600", serials=["SN-1"])
    line = order_of(world, world.server_inventory)
    what = ShipLine(line.pk, serials=["SN-1"])

    race(
        lambda: ship_order(actor=PROCUREMENT, order_id=line.order_id, on=JAN_15, lines=[what]),
        "more_than_ordered",
    )

    assert Shipment.objects.count() == 1
    assert in_stock() == ("0", "0.00")


def test_two_orders_for_the_last_unit_ship_it_once(world: World) -> None:
    product = cable(world)
    stock(world, product, "5", "4")
    lines = [order_of(world, product, "3") for _ in range(3)]

    def ship(order_id: int, line_id: int) -> Shipment:
        what = ShipLine(line_id, bin_id=world.acme_bin.pk)
        return ship_order(actor=PROCUREMENT, order_id=order_id, on=JAN_15, lines=[what])

    results = at_once(*[lambda line=line: ship(line.order_id, line.pk) for line in lines])  # type: ignore[misc]

    assert [refusal.code for refusal in refusals(results)] == ["not_in_stock"] * 2
    assert in_stock() == ("2", "8.00")


def test_goods_moving_in_and_out_of_two_bins_at_once_do_not_block_each_other_forever(world: World) -> None:
    first, second = cable(world), cable(world, identifier="CAB-7")
    for product in (first, second):
        stock(world, product, "20", "4")
    deeds: list[Callable[[], object]] = []
    for products in ((first, second), (second, first)) * 3:
        order = bought(world, *[PurchaseLine(product_id=each.pk, quantity=D("2")) for each in products])
        lines = [ReceiveLine(row.pk, None, world.acme_bin.pk) for row in order.lines.all()]
        deeds.append(
            lambda order=order, lines=lines: receive_purchase_order(  # type: ignore[misc]
                actor=PROCUREMENT, purchase_order_id=order.pk, on=JAN_10, lines=lines
            )
        )
        sold = order_of(world, products[0], "2")
        deeds.append(
            lambda sold=sold: ship_order(  # type: ignore[misc]
                actor=PROCUREMENT, order_id=sold.order_id, on=JAN_15, lines=[ShipLine(sold.pk)]
            )
        )

    assert refusals(at_once(*deeds)) == []

    assert [row.quantity for row in StockBalance.objects.order_by("product")] == [D("26"), D("26")]
    assert list(broken_links()) == []


def test_one_order_line_is_bought_once(world: World) -> None:
    line = order_of(world, world.server_inventory)

    race(
        lambda: create_purchase_order(
            actor=PROCUREMENT,
            vendor_id=world.ingram.pk,
            order_date=JAN_5,
            lines=[PurchaseLine(order_line_id=line.pk)],
        ),
        "more_than_ordered",
    )

    assert PurchaseOrder.objects.count() == 1
    assert demand() == []


def test_what_arrived_is_billed_once_under_one_number(world: World) -> None:
    order = bought(world, PurchaseLine(product_id=cable(world).pk, quantity=D("10")))
    received(world, order.lines.get())
    numbers = iter(["V-1", "V-1", "V-2", "V-3"])

    def enter(number: str) -> VendorBill:
        return enter_vendor_bill(
            actor=PROCUREMENT,
            vendor_id=world.ingram.pk,
            vendor_invoice_number=number,
            date=JAN_10,
            lines=[BillLine(order.lines.get().pk)],
        )

    results = at_once(*[lambda number=number: enter(number) for number in numbers])  # type: ignore[misc]

    assert {refusal.code for refusal in refusals(results)} <= {"duplicate", "more_than_received"}
    assert VendorBill.objects.get().total == D("40.00")


def test_the_same_period_of_an_agreement_is_invoiced_once(world: World) -> None:
    agreement = create_agreement(
        actor=SALES,
        company_id=world.acme.pk,
        agreement_type_id=world.haas.pk,
        name="Server lease",
        start_date=date(2026, 1, 1),
        additions=[AdditionInput(world.lease.pk, effective_date=date(2026, 1, 1), unit_price=D("150"))],
    )

    race(
        lambda: invoice_agreement(actor=FINANCE, agreement_id=agreement.pk, period_start=date(2026, 1, 1)),
        "already_invoiced",
    )

    assert Invoice.objects.get().total == D("159.00")


def test_the_same_goods_are_invoiced_once_or_capitalised_once(world: World) -> None:
    line = leased_server(world)
    transfer()

    def invoice() -> Invoice:
        return invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=JAN_15)

    def capitalise() -> Asset:
        return capitalise_from_stock(
            actor=FINANCE, order_line_id=line.pk, category_id=world.leased_hardware.pk, on=JAN_15
        )

    results = at_once(invoice, capitalise, invoice, capitalise)

    assert len(refusals(results)) == 3
    assert {refusal.code for refusal in refusals(results)} <= {"not_shipped", "already_invoiced"}
    assert Invoice.objects.count() + Asset.objects.count() == 1


def test_a_month_is_depreciated_once(world: World) -> None:
    line = leased_server(world)
    transfer()
    capitalise_from_stock(actor=FINANCE, order_line_id=line.pk, category_id=world.leased_hardware.pk, on=JAN_15)

    results = at_once(*[lambda: post_depreciation(actor=FINANCE, through=JAN_31)] * PEOPLE)

    assert refusals(results) == []
    assert JournalEntry.objects.filter(step="depreciation:2026-01").count() == 1
    assert balance_of_types(AccountType.ACCUMULATED_DEPRECIATION) == D("-100.00")


def test_an_invoice_is_closed_once_and_paid_once(world: World) -> None:
    line = order_of(world, world.server_noninventory, price="150")
    invoice = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=JAN_15)
    race(lambda: close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW), "wrong_state")
    assert NumberSequence.objects.get(name="invoice").next_value == 2

    parts = [InvoicePayment(invoice.pk, D("159.00"))]
    race(
        lambda: record_payment(
            actor=FINANCE, company_id=world.acme.pk, on=JAN_31, amount=D("159.00"), applications=parts
        ),
        "invalid",
    )
    assert Payment.objects.count() == 1
