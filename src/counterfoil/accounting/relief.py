"""What invoices take out of inventory: the cost of the units they sell, by the receipts those units came with.

The units of a sales order line leave in the order they were shipped, to invoices in the order of their dates. So each
invoice knows which receipts must be in the books before it, and which inventory accounts the cost stands on: those the
receipts were booked to, whatever the GL mapping says by now.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from counterfoil.assets.models import Asset, CapitalisedFrom
from counterfoil.assets.sources import inventory_credits, inventory_debits
from counterfoil.billing.models import InvoiceLine, InvoiceStatus
from counterfoil.core.money import ZERO, sum_money
from counterfoil.inventory.models import MovementKind, StockMovement


@dataclass(frozen=True, slots=True)
class Taken:
    """What an invoice line takes of the goods of one receipt.

    ``account`` is the inventory account the receipt was booked to on ``booked_on``; while it is not in the books,
    ``account`` is empty and ``booked_on`` the date it would be booked on.
    """

    receipt_id: int
    number: str
    account: str
    booked_on: date
    cost: Decimal


@dataclass(slots=True)
class _Shipped:
    """Units that left together, with their cost that nothing has taken yet."""

    receipt_id: int
    number: str
    account: str
    booked_on: date
    left: Decimal


@dataclass(slots=True)
class _Draw:
    """What takes cost out of inventory; ``booked`` says from which accounts, once it is in the books."""

    on: date
    key: int
    invoice_line: int | None
    cost: Decimal
    booked: dict[str, Decimal] = field(default_factory=dict)


def relief_of(order_line_ids: Collection[int], *, by_po_date: bool) -> dict[int, tuple[Taken, ...]]:
    """What each closed invoice line of these sales order lines takes, by its id; a constant number of statements.

    Args:
        order_line_ids: sales order lines of stocked products.
        by_po_date: whether receipts will be booked on the date of their purchase order, or of their arrival.
    """
    shipped, draws = _shipped(order_line_ids, by_po_date), _draws(order_line_ids)
    taken: dict[int, tuple[Taken, ...]] = {}
    for order_line, takers in draws.items():
        taken |= _share_out(shipped.get(order_line, []), sorted(takers, key=lambda draw: (draw.on, draw.key)))
    return taken


def _share_out(units: list[_Shipped], draws: list[_Draw]) -> dict[int, tuple[Taken, ...]]:
    """Give each draw its units. What is booked has taken from its accounts; the others share what that leaves there."""
    free: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for unit in units:
        free[unit.account] += unit.left
    for draw in draws:
        for account, cost in draw.booked.items():
            free[account] -= cost
    taken = {}
    for draw in draws:
        may_take = dict(draw.booked) if draw.booked else free
        parts = _take(units, draw.cost, may_take)
        if draw.invoice_line is not None:
            taken[draw.invoice_line] = parts
    return taken


def _take(units: list[_Shipped], cost: Decimal, may_take: dict[str, Decimal]) -> tuple[Taken, ...]:
    """Take ``cost`` from the first units whose accounts allow it; both are lowered by what was taken."""
    parts = []
    for unit in units:
        part = min(unit.left, cost, may_take.get(unit.account, ZERO))
        if part > 0:
            unit.left -= part
            may_take[unit.account] -= part
            cost -= part
            parts.append(Taken(unit.receipt_id, unit.number, unit.account, unit.booked_on, part))
    return tuple(parts)


def _shipped(order_line_ids: Collection[int], by_po_date: bool) -> dict[int, list[_Shipped]]:
    """The stock shipped of each sales order line, in the order it left."""
    line = "layer__receipt_line"
    rows = list(
        StockMovement.objects.filter(kind=MovementKind.SHIPMENT, shipment_line__order_line__in=order_line_ids)
        .order_by("date", "id")
        .values(
            "value",
            "shipment_line__order_line",
            line,
            f"{line}__receipt",
            f"{line}__receipt__number",
            f"{line}__receipt__date",
            f"{line}__receipt__purchase_order__order_date",
        )
    )
    booked = inventory_debits({row[line] for row in rows})
    shipped: dict[int, list[_Shipped]] = defaultdict(list)
    planned = f"{line}__receipt__purchase_order__order_date" if by_po_date else f"{line}__receipt__date"
    for row in rows:
        account, on = booked.get(row[line], ("", row[planned]))
        unit = _Shipped(row[f"{line}__receipt"], row[f"{line}__receipt__number"], account, on, -row["value"])
        shipped[row["shipment_line__order_line"]].append(unit)
    return shipped


def _draws(order_line_ids: Collection[int]) -> dict[int, list[_Draw]]:
    """Closed invoice lines and assets that take the cost of these sales order lines out of inventory."""
    draws: dict[int, list[_Draw]] = defaultdict(list)
    lines = InvoiceLine.objects.filter(
        order_line__in=order_line_ids, relieves_stock=True, invoice__status=InvoiceStatus.CLOSED
    )
    rows = list(lines.values_list("pk", "order_line", "invoice__date", "cost"))
    booked = inventory_credits("invoice", "source_line_id", {pk for pk, *_ in rows})
    for pk, order_line, on, cost in rows:
        draws[order_line or 0].append(_Draw(on, pk, pk, cost, {a: part for a, (part, _) in booked[pk].items()}))
    assets = Asset.objects.filter(order_line__in=order_line_ids, capitalised_from=CapitalisedFrom.INVENTORY)
    capitalised = dict(assets.values_list("pk", "order_line"))
    for pk, accounts in inventory_credits("asset", "entry__source_id", set(capitalised)).items():
        parts = {account: part for account, (part, _) in accounts.items()}
        on = max(on for _, on in accounts.values())
        draws[capitalised[pk] or 0].append(_Draw(on, pk, None, sum_money(parts.values()), parts))
    return draws
