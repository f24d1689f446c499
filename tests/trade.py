"""The way of a product from order to invoice, in short calls for tests: everything runs the real commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal

from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.accounting.commands import create_batch, transfer_batch
from counterfoil.accounting.models import Batch
from counterfoil.billing.commands import change_bill_to, close_invoice, invoice_sales_order
from counterfoil.billing.models import Invoice
from counterfoil.catalog.models import Product
from counterfoil.inventory.commands import ReceiveLine, ShipLine, receive_purchase_order, ship_order
from counterfoil.inventory.models import Receipt, Shipment
from counterfoil.ledger.queries import entries_of
from counterfoil.orders.commands import OrderLineInput, create_sales_order
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.procurement.commands import PurchaseLine, create_purchase_order, send_purchase_order
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
JAN_5, JAN_10, JAN_15, JAN_31 = date(2026, 1, 5), date(2026, 1, 10), date(2026, 1, 15), date(2026, 1, 31)


def D(text: str) -> Decimal:
    return Decimal(text)


def cable(world: World, **changes: object) -> Product:
    """An inventory product without serial numbers."""
    fields: dict[str, object] = {
        "identifier": "CAB-6", "description": "Patch cable", "product_class": "Inventory",
        "accounting_type": "InventoryPart", "category": world.server_inventory.category, "vendor": world.ingram,
        "cost": D("4"), "price": D("9"),
    }  # fmt: skip
    return Product.objects.create(**{**fields, **changes})


def order_of(
    world: World, product: Product, quantity: str = "1", *, price: str = "0", cost: str | None = None
) -> SalesOrderLine:
    """A sales order of Acme with one line."""
    line = OrderLineInput(
        product.pk, quantity=D(quantity), unit_price=D(price), unit_cost=None if cost is None else D(cost)
    )
    order = create_sales_order(actor=SALES, company_id=world.acme.pk, on=JAN_5, lines=[line])
    return order.lines.get()


def bought(
    world: World, *lines: PurchaseLine, on: date = JAN_5, sent: bool = True, vendor_id: int | None = None
) -> PurchaseOrder:
    """A purchase order, sent to Ingram unless said otherwise."""
    order = create_purchase_order(actor=PROCUREMENT, vendor_id=vendor_id or world.ingram.pk, order_date=on, lines=lines)
    return send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk) if sent else order


def stock(
    world: World, product: Product, quantity: str, cost: str, *, on: date = JAN_10, serials: Sequence[str] = ()
) -> Receipt:
    """Buy a product for stock and receive it into Acme's bin."""
    order = bought(world, PurchaseLine(product_id=product.pk, quantity=D(quantity), unit_cost=D(cost)))
    return received(world, order.lines.get(), on=on, serials=serials)


def received(
    world: World,
    line: PurchaseOrderLine,
    quantity: str | None = None,
    *,
    on: date = JAN_10,
    serials: Sequence[str] = (),
) -> Receipt:
    """Receive a line, into Acme's bin when it is kept in stock."""
    what = ReceiveLine(
        line.pk,
        None if quantity is None else D(quantity),
        bin_id=world.acme_bin.pk if line.product.is_stocked else None,
        serials=serials,
    )
    return receive_purchase_order(actor=PROCUREMENT, purchase_order_id=line.purchase_order_id, on=on, lines=[what])


def shipped(
    line: SalesOrderLine, quantity: str | None = None, *, on: date = JAN_15, serials: Sequence[str] = ()
) -> Shipment:
    what = ShipLine(line.pk, None if quantity is None else D(quantity), serials=serials)
    return ship_order(actor=PROCUREMENT, order_id=line.order_id, on=on, lines=[what])


def leased_server(world: World, *, serial: str = "SN-1") -> SalesOrderLine:
    """A server that was ordered, bought, received and shipped; nothing is in the books yet."""
    line = order_of(world, world.server_inventory)
    order = bought(world, PurchaseLine(order_line_id=line.pk))
    received(world, order.lines.get(), serials=[serial])
    shipped(line, serials=[serial])
    return line


def cost_invoice(world: World, order: SalesOrder, *, on: date = JAN_15) -> Invoice:
    """The cost-only invoice of an order to the internal company, closed."""
    invoice = invoice_sales_order(actor=FINANCE, order_id=order.pk, on=on)
    change_bill_to(actor=FINANCE, invoice_id=invoice.pk, company_id=world.internal.pk)
    return close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)


def transfer(through: date = JAN_31) -> Batch:
    """Transfer all that is unposted through a date."""
    batch = create_batch(actor=FINANCE, through=through)
    return transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)


def journal_of(source_type: str, source_id: int) -> list[tuple[str, str, str, str]]:
    """(date, account, debit, credit) of all that books a document, in order."""
    return [
        (f"{entry.date:%d %b}", line.account.code, f"{line.debit:.2f}", f"{line.credit:.2f}")
        for entry in entries_of(source_type, source_id)
        for line in entry.lines.all()
    ]
