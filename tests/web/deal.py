"""A leased server from quote to asset, run through the commands: what the pages and the thread are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from tests.kept_rows import built_once
from tests.world import OWNER, World, build_world

from counterfoil.accounting import commands as accounting
from counterfoil.agreements.models import Agreement
from counterfoil.assets import commands as assets
from counterfoil.assets.models import Asset
from counterfoil.billing import commands as billing
from counterfoil.billing.models import Invoice
from counterfoil.flows import conversion
from counterfoil.inventory import commands as inventory
from counterfoil.inventory.models import Receipt, Shipment
from counterfoil.orders.models import SalesOrder
from counterfoil.procurement import commands as procurement
from counterfoil.procurement.models import PurchaseOrder, VendorBill
from counterfoil.quotes import commands as quotes
from counterfoil.quotes.models import Opportunity, QuoteLine

START = date(2026, 1, 1)
NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)


@dataclass(slots=True)
class Deal:
    """What the lease of a server has become so far."""

    world: World
    option: int
    opportunity: Opportunity
    server_line: QuoteLine
    lease_line: QuoteLine

    agreement: Agreement | None = None
    order: SalesOrder | None = None
    purchase_order: PurchaseOrder | None = None
    receipt: Receipt | None = None
    shipment: Shipment | None = None
    bill: VendorBill | None = None
    rent: Invoice | None = None
    invoice: Invoice | None = None
    asset: Asset | None = None


def quote(world: World, option: int = 2, *, company_id: int | None = None, name: str = "Rack server lease") -> Deal:
    """An opportunity: a server bought for 3,600.00, leased for 150.00 a month over 36 months."""
    server = world.server_inventory if option == 2 else world.server_noninventory
    opportunity = quotes.create_opportunity(
        actor=OWNER,
        company_id=company_id or world.acme.pk,
        name=name,
        lines=[
            quotes.QuoteLineInput(product_id=server.pk, unit_price=Decimal(0), unit_cost=Decimal(3600)),
            quotes.QuoteLineInput(
                product_id=world.lease.pk, unit_price=Decimal(150), unit_cost=Decimal(0), cycles=36, start_date=START
            ),
        ],
    )
    server_line, lease_line = opportunity.lines.order_by("position")
    return Deal(world, option, opportunity, server_line, lease_line)


def convert(deal: Deal) -> Deal:
    """The agreement of the lease line and the sales order of the server."""
    deal.agreement = conversion.convert_to_agreement(
        actor=OWNER,
        opportunity_id=deal.opportunity.pk,
        line_ids=[deal.lease_line.pk],
        agreement_type_id=deal.world.haas.pk,
        on=START,
    )
    deal.order = conversion.convert_to_sales_order(
        actor=OWNER, opportunity_id=deal.opportunity.pk, line_ids=[deal.server_line.pk], on=START
    )
    return deal


def buy(deal: Deal, *, send: bool = True) -> Deal:
    """The purchase order of the server."""
    assert deal.order is not None
    line = deal.order.lines.get()
    deal.purchase_order = procurement.create_purchase_order(
        actor=OWNER,
        vendor_id=deal.world.ingram.pk,
        order_date=date(2026, 1, 5),
        lines=[
            procurement.PurchaseLine(order_line_id=line.pk, bin_id=deal.world.acme_bin.pk if deal.option == 2 else None)
        ],
    )
    if send:
        procurement.send_purchase_order(actor=OWNER, purchase_order_id=deal.purchase_order.pk)
    return deal


def receive(deal: Deal, serial: str = "SN-0001") -> Deal:
    """The server arrives with its serial number, and the vendor bills it."""
    assert deal.purchase_order is not None
    line = deal.purchase_order.lines.get()
    deal.receipt = inventory.receive_purchase_order(
        actor=OWNER,
        purchase_order_id=deal.purchase_order.pk,
        on=date(2026, 1, 8),
        lines=[
            inventory.ReceiveLine(purchase_order_line_id=line.pk, serials=[serial] if line.product.serialized else [])
        ],
    )
    deal.bill = procurement.enter_vendor_bill(
        actor=OWNER,
        vendor_id=deal.world.ingram.pk,
        vendor_invoice_number=f"IM-{deal.purchase_order.pk}",
        date=date(2026, 1, 9),
        lines=[procurement.BillLine(purchase_order_line_id=line.pk)],
    )
    return deal


def ship(deal: Deal, serial: str = "SN-0001") -> Deal:
    """The server leaves for Acme."""
    assert deal.order is not None
    line = deal.order.lines.get()
    deal.shipment = inventory.ship_order(
        actor=OWNER,
        order_id=deal.order.pk,
        on=date(2026, 1, 10),
        lines=[inventory.ShipLine(order_line_id=line.pk, serials=[serial] if line.product.serialized else [])],
    )
    return deal


def deliver(deal: Deal, serial: str = "SN-0001") -> Deal:
    """It is shipped; the order is invoiced to the internal company at cost only, the first month of rent to Acme."""
    ship(deal, serial)
    assert deal.order is not None
    assert deal.agreement is not None
    deal.invoice = billing.invoice_sales_order(
        actor=OWNER, order_id=deal.order.pk, on=date(2026, 1, 11), bill_to_id=deal.world.internal.pk
    )
    deal.rent = billing.invoice_agreement(actor=OWNER, agreement_id=deal.agreement.pk)
    for invoice in (deal.invoice, deal.rent):
        billing.close_invoice(actor=OWNER, invoice_id=invoice.pk, now=NOW)
    return deal


def book(deal: Deal) -> Deal:
    """Everything is transferred to the books."""
    batch = accounting.create_batch(actor=OWNER, through=date(2026, 1, 31))
    accounting.transfer_batch(actor=OWNER, batch_id=batch.pk, now=NOW)
    return deal


def whole(world: World, option: int = 2) -> Deal:
    """The way up to the transfer of everything."""
    return book(deliver(receive(buy(convert(quote(world, option))))))


def whole_at_once() -> Deal:
    """The same with the MSP it takes, in an empty database, without the way being gone each time."""
    return built_once("a whole deal", lambda: whole(build_world()))


def whole_without_books(world: World) -> Deal:
    """A second server that stands in stock: received and billed, not shipped yet."""
    return receive(buy(convert(quote(world, 2, name="Second server"))), "SN-0002")


def capitalise(deal: Deal) -> Deal:
    """The server becomes a fixed asset."""
    assert deal.invoice is not None
    deal.asset = assets.capitalise_from_invoice_line(
        actor=OWNER,
        invoice_line_id=deal.invoice.lines.get().pk,
        category_id=deal.world.leased_hardware.pk,
    )
    return deal
