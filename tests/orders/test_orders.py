"""Sales orders: what they take, how far each line has come, and what must still be bought."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.world import SALES, VIEWER, World, build_world

from counterfoil.catalog.models import Category, Offer, Product
from counterfoil.core.errors import DomainError
from counterfoil.inventory.models import Receipt, ReceiptLine, Shipment, ShipmentLine
from counterfoil.orders import queries
from counterfoil.orders.commands import (
    OrderLineInput,
    add_order_line,
    cancel_sales_order,
    close_sales_order,
    create_sales_order,
    remove_order_line,
    reopen_sales_order,
    update_order_line,
    update_sales_order,
)
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.platform.audit import trail_of
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine
from counterfoil.procurement.queries import demand

pytestmark = pytest.mark.django_db
TODAY = date(2026, 1, 5)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def msp() -> World:
    return build_world()


def make(msp: World, *lines: OrderLineInput, **given: object) -> SalesOrder:
    fields: dict[str, object] = {"company_id": msp.acme.pk, "on": TODAY, "lines": lines}
    return create_sales_order(actor=SALES, **(fields | given))  # type: ignore[arg-type]


def buy(line: SalesOrderLine, quantity: int, cancelled: int = 0, status: str = "draft") -> PurchaseOrderLine:
    """A purchase order for a line; how it comes to be is procurement's matter."""
    number = f"PO-{PurchaseOrder.objects.count() + 1:04d}"
    order = PurchaseOrder.objects.create(
        number=number, vendor=line.product.vendor, order_date=TODAY, status=status
    )  # fmt: skip
    return PurchaseOrderLine.objects.create(
        purchase_order=order, position=1, product=line.product, description="x", quantity=quantity,
        quantity_cancelled=cancelled, unit_cost=line.unit_cost, order_line=line,
    )  # fmt: skip


def receive(bought: PurchaseOrderLine, quantity: int) -> None:
    number = f"RCV-{Receipt.objects.count() + 1:04d}"
    receipt = Receipt.objects.create(
        number=number, purchase_order=bought.purchase_order, date=TODAY, received_by="Petra"
    )  # fmt: skip
    ReceiptLine.objects.create(
        receipt=receipt, position=1, purchase_order_line=bought, product=bought.product, quantity=quantity,
        is_stocked=bought.product.is_stocked, unit_cost=bought.unit_cost, cost=bought.unit_cost * quantity,
    )  # fmt: skip


def ship(line: SalesOrderLine, quantity: int) -> None:
    number = f"SHP-{Shipment.objects.count() + 1:04d}"
    shipment = Shipment.objects.create(number=number, order=line.order, date=TODAY, shipped_by="Petra")
    ShipmentLine.objects.create(
        shipment=shipment, position=1, order_line=line, product=line.product, quantity=quantity, cost=0
    )  # fmt: skip


def test_it_takes_bill_to_terms_and_tax_code_from_the_company(msp: World) -> None:
    order = make(msp, OrderLineInput(msp.server_inventory.pk, Decimal(2)), customer_po="4711")
    assert (order.bill_to, order.terms, order.tax_code, order.order_date) == (msp.acme, msp.net30, msp.tax6, TODAY)
    (row,) = queries.order_lines(order.pk)
    assert (row.line.description, row.amount, row.cost) == ("Rack server", Decimal("0.00"), Decimal("7200.00"))
    assert queries.totals((row,)).margin == Decimal("-7200.00")
    assert trail_of(order)[0].sentence == f"ordered 2 × SRV-INV at 0.00 (cost 3,600.00) on {order.number}"


def test_what_recurs_or_is_a_bundle_is_not_ordered(msp: World) -> None:
    bundle = Product.objects.create(
        identifier="KIT", description="Office kit", product_class="Bundle", accounting_type="OtherCharge",
        category=Category.objects.get(name="Hardware"),
    )  # fmt: skip
    for product, hint in (
        (msp.lease, "Bill it with an agreement: it recurs."),
        (bundle, "Order the products it is made of."),
    ):
        with pytest.raises(DomainError) as refused:
            make(msp, OrderLineInput(msp.server_inventory.pk), OrderLineInput(product.pk))
        assert (refused.value.code, refused.value.field, refused.value.hint) == (
            "wrong_product_class",
            "lines[1].product_id",
            hint,
        )
    assert not SalesOrder.objects.exists()


def test_my_company_orders_nothing_and_an_internal_company_at_zero_price(msp: World) -> None:
    with pytest.raises(DomainError) as refused:
        make(msp, company_id=msp.my_company.pk)
    assert refused.value.code == "my_company_not_billable"
    order = make(msp, OrderLineInput(msp.server_inventory.pk), bill_to_id=msp.internal.pk)
    line = order.lines.get()
    for refuse in (
        lambda: update_order_line(actor=SALES, line_id=line.pk, unit_price=Decimal(1)),
        lambda: add_order_line(
            actor=SALES, order_id=order.pk, line=OrderLineInput(msp.server_inventory.pk, unit_price=Decimal(1))
        ),
    ):
        with pytest.raises(DomainError) as refused:
            refuse()
        assert refused.value.code == "price_on_internal_company"
    update_sales_order(actor=SALES, order_id=order.pk, bill_to_id=msp.acme.pk)
    update_order_line(actor=SALES, line_id=line.pk, unit_price=Decimal(1))
    with pytest.raises(DomainError) as refused:
        update_sales_order(actor=SALES, order_id=order.pk, bill_to_id=msp.internal.pk)
    assert refused.value.code == "price_on_internal_company"


def test_how_far_a_line_has_come(msp: World) -> None:
    """Sums side by side do not multiply each other: two purchase orders, three receipts, two shipments."""
    order = make(msp, OrderLineInput(msp.server_noninventory.pk, Decimal(10)), OrderLineInput(msp.server_inventory.pk))
    line = order.lines.get(position=1)
    first, second = buy(line, 4), buy(line, 3, cancelled=1)
    buy(line, 2, status="cancelled")
    for bought, quantity in ((first, 1), (first, 2), (second, 1)):
        receive(bought, quantity)
    ship(line, 2)
    ship(line, 1)

    with CaptureQueriesContext(connection) as captured:
        row, other = queries.order_lines(order.pk)
    assert len(captured) == 1
    assert (row.on_purchase_orders, row.received, row.shipped, row.invoiced, row.capitalised) == (6, 4, 3, 0, 0)
    assert (row.to_purchase, row.to_ship, row.to_invoice) == (4, 7, 10)
    assert (other.on_purchase_orders, other.to_purchase) == (0, 1)


def test_demand_is_what_is_neither_bought_nor_shipped_from_stock(msp: World) -> None:
    service = Product.objects.create(
        identifier="LAB", description="Installation", product_class="Service", accounting_type="Service",
        category=Category.objects.get(name="Labor"),
    )  # fmt: skip
    unknown = Product.objects.create(
        identifier="MISC", description="Cable", product_class="NonInventory", accounting_type="NonInventoryPart",
        category=Category.objects.get(name="Hardware"), cost=Decimal(2),
    )  # fmt: skip
    order = make(
        msp,
        OrderLineInput(msp.server_inventory.pk, Decimal(3)),
        OrderLineInput(service.pk),
        OrderLineInput(unknown.pk, Decimal(5)),
        OrderLineInput(msp.server_noninventory.pk, Decimal(2)),
    )
    servers, _service, _cable, others = order.lines.order_by("position")
    buy(servers, 2)
    ship(others, 1)
    assert [(line.product.identifier, line.to_purchase) for line in queries.demand()] == [
        ("SRV-INV", 1),
        ("SRV-NI", 1),
        ("MISC", 5),
    ]
    assert [line.pk for line in queries.demand(vendor_id=msp.ingram.pk)] == [servers.pk, others.pk]

    buy(servers, 1)
    close_sales_order(actor=SALES, order_id=order.pk)
    assert not queries.demand().exists()
    reopen_sales_order(actor=SALES, order_id=order.pk)
    assert len(queries.demand(order_id=order.pk)) == 2


def test_less_than_what_is_bought_cannot_be_ordered(msp: World) -> None:
    order = make(msp, OrderLineInput(msp.server_noninventory.pk, Decimal(5)))
    line = order.lines.get()
    buy(line, 3)
    with pytest.raises(DomainError, match="3 of Rack server are on purchase orders already") as refused:
        update_order_line(actor=SALES, line_id=line.pk, quantity=Decimal(2))
    assert (refused.value.code, refused.value.field) == ("conflict", "quantity")
    update_order_line(actor=SALES, line_id=line.pk, quantity=Decimal(3), description="Server")
    line.refresh_from_db()
    assert (line.quantity, line.description) == (3, "Server")
    for refuse in (
        lambda: remove_order_line(actor=SALES, line_id=line.pk),
        lambda: cancel_sales_order(actor=SALES, order_id=order.pk, reason="changed their mind"),
    ):
        with pytest.raises(DomainError) as refused:
            refuse()
        assert refused.value.code == "conflict"


def test_an_order_is_cancelled_with_a_reason_while_nothing_has_happened(msp: World) -> None:
    order = make(msp, OrderLineInput(msp.server_noninventory.pk), OrderLineInput(msp.server_inventory.pk))
    remove_order_line(actor=SALES, line_id=order.lines.get(position=1).pk)
    with pytest.raises(DomainError, match="Say why"):
        cancel_sales_order(actor=SALES, order_id=order.pk, reason="")
    cancel_sales_order(actor=SALES, order_id=order.pk, reason="changed their mind")
    assert trail_of(order)[0].sentence == f"cancelled sales order {order.number}: changed their mind"
    assert not queries.demand().exists()
    for refuse in (
        lambda: reopen_sales_order(actor=SALES, order_id=order.pk),
        lambda: update_sales_order(actor=SALES, order_id=order.pk, customer_po="1"),
        lambda: add_order_line(actor=SALES, order_id=order.pk, line=OrderLineInput(msp.server_inventory.pk)),
    ):
        with pytest.raises(DomainError) as refused:
            refuse()
        assert refused.value.code == "wrong_state"


def test_the_list_finds_by_number_company_and_po(msp: World) -> None:
    first = make(msp, OrderLineInput(msp.server_inventory.pk), customer_po="4711")
    make(msp, company_id=msp.globex.pk)
    assert [(order.number, order.line_count) for order in queries.sales_orders(search="acme 4711")] == [
        (first.number, 1)
    ]
    assert queries.sales_orders(status="open", company_id=msp.globex.pk).count() == 1


def test_a_viewer_orders_nothing(msp: World) -> None:
    with pytest.raises(DomainError) as refused:
        create_sales_order(actor=VIEWER, company_id=msp.acme.pk, on=TODAY)
    assert refused.value.code == "role_required"


def test_a_subscription_is_ordered_for_a_term_as_offered(msp: World) -> None:
    """Antivirus is no agreement product here: ordered once, bought for a year, billed to us monthly."""
    product = Product.objects.create(
        identifier="AV", description="Antivirus", product_class="NonInventory", accounting_type="Service",
        category=msp.server_noninventory.category, price=Decimal(40), cost=Decimal(30), vendor=msp.ingram,
    )  # fmt: skip
    offer = Offer.objects.create(
        product=product, term="year:1", billing_cycle="month:1", price=Decimal(4), cost=Decimal(3), vendor=msp.dell
    )
    order = make(msp, OrderLineInput(product.pk, Decimal(5), offer_id=offer.pk, start_date=date(2026, 3, 1)))
    line = order.lines.get()
    assert (line.unit_price, line.unit_cost, line.terms) == (
        Decimal(4), Decimal(3), "1 year, billed monthly, from 1 Mar 2026",
    )  # fmt: skip
    (row,) = demand(order_id=order.pk)
    assert (row.vendor, row.offer_id, row.terms) == ("Dell Direct", offer.pk, line.terms)

    update_order_line(actor=SALES, line_id=line.pk, term="triennial", billing_cycle="year:3", start_date=None)
    line.refresh_from_db()
    assert (line.term, line.terms) == ("year:3", "3 years, prepaid")


@pytest.mark.parametrize(
    ("given", "field"), [({"term": "a while"}, "term"), ({"billing_cycle": "month:0"}, "billing_cycle")]
)
def test_a_term_that_is_none_is_refused(msp: World, given: dict[str, str], field: str) -> None:
    with pytest.raises(DomainError) as refused:
        make(msp, OrderLineInput(msp.server_noninventory.pk, **given))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == ("invalid", f"lines[0].{field}")


def test_an_offer_of_another_product_is_refused(msp: World) -> None:
    offer = Offer.objects.create(product=msp.lease, term="year:1")
    with pytest.raises(DomainError, match="another product"):
        make(msp, OrderLineInput(msp.server_noninventory.pk, offer_id=offer.pk))
    line = make(msp, OrderLineInput(msp.server_noninventory.pk)).lines.get()
    with pytest.raises(DomainError, match="another product"):
        update_order_line(actor=SALES, line_id=line.pk, offer_id=offer.pk)
