"""Receiving goods whose vendor's invoice lies in the box."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from counterfoil.inventory.commands import ReceiveLine, receive_purchase_order
from counterfoil.inventory.models import Receipt
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.procurement.commands import BillLine, enter_vendor_bill
from counterfoil.procurement.models import VendorBill


@command(roles=(Role.PROCUREMENT,))
def receive_and_bill(
    *,
    actor: Actor,
    purchase_order_id: int,
    on: date,
    lines: Sequence[ReceiveLine] | None = None,
    packing_slip: str = "",
    vendor_invoice_number: str,
    vendor_invoice_date: date | None = None,
) -> tuple[Receipt, VendorBill]:
    """Receive goods and enter the vendor's bill for exactly them, both or neither.

    Args:
        actor: who does.
        purchase_order_id: the purchase order.
        on: the day the goods arrived.
        lines: what arrived; ``None`` is all that is awaited.
        packing_slip: its number.
        vendor_invoice_number: as on the vendor's invoice.
        vendor_invoice_date: its date; ``on`` when it is not given.

    Raises:
        DomainError: as :func:`receive_purchase_order` and :func:`enter_vendor_bill` refuse.
    """
    receipt = receive_purchase_order(
        actor=actor, purchase_order_id=purchase_order_id, on=on, lines=lines, packing_slip=packing_slip
    )
    bill = enter_vendor_bill(
        actor=actor,
        vendor_id=receipt.purchase_order.vendor_id,
        vendor_invoice_number=vendor_invoice_number,
        date=vendor_invoice_date or on,
        lines=[
            BillLine(purchase_order_line_id=line.purchase_order_line_id, quantity=line.quantity)
            for line in receipt.lines.order_by("position")
        ],
    )
    return receipt, bill
