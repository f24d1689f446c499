"""Where the cost of an asset lies before it is capitalised: in COGS after a cost-only invoice, or in inventory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from django.db.models import Sum

from counterfoil.billing.models import InvoiceLine
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.inventory.models import MovementKind, SerialNumber, StockMovement
from counterfoil.ledger.models import AccountType, JournalEntry, JournalLine
from counterfoil.orders.models import SalesOrderLine


@dataclass(frozen=True, slots=True)
class CostSource:
    """An account the cost stands on, with how much of it, and the newest date it was booked there."""

    account: str
    amount: Decimal
    booked_on: date


def cost_in_cogs(line: InvoiceLine) -> CostSource:
    """Where the transfer of its invoice has put the cost of an invoice line.

    Raises:
        DomainError: ``wrong_state`` while the invoice is not transferred.
    """
    entry = (
        JournalEntry.objects.filter(
            source_type="invoice", source_id=line.invoice_id, reverses=None, reversed_by__isnull=True
        )
        .order_by("-version")
        .first()
    )
    if entry is None:
        raise DomainError(
            "wrong_state",
            f"{line.invoice} is not in the books yet, so its cost has not reached cost of goods sold.",
            field="invoice_line",
            hint="Transfer it under Finance, Unposted invoices, then capitalise.",
        )
    booked = entry.lines.filter(source_line_id=line.pk, account__type=AccountType.COGS, debit__gt=0)
    rows = list(booked.select_related("account"))
    if not rows:
        raise DomainError(
            "wrong_state", f"{entry.number} booked no cost for “{line.description}”.", field="invoice_line"
        )
    return CostSource(rows[0].account.code, sum_money(row.debit for row in rows), entry.date)


def cost_in_inventory(line: SalesOrderLine) -> list[CostSource]:
    """The inventory accounts the shipped stock of a sales order line was received to, with what of it each still has.

    Raises:
        DomainError: ``wrong_state`` while one of its receipts is not transferred.
    """
    moves = StockMovement.objects.filter(kind=MovementKind.SHIPMENT, shipment_line__order_line=line).select_related(
        "layer__receipt_line__receipt"
    )
    shipped: dict[int, Decimal] = {}
    numbers: dict[int, str] = {}
    for move in moves:
        received = move.layer.receipt_line if move.layer else None
        if received is not None:
            shipped[received.pk] = sum_money([shipped.get(received.pk, ZERO), -move.value])
            numbers[received.pk] = received.receipt.number
    booked = inventory_debits(set(shipped))
    sources: dict[str, CostSource] = {}
    for key, value in shipped.items():
        if key not in booked:
            raise DomainError(
                "wrong_state",
                f"Receipt {numbers[key]} is not in the books yet, so its cost has not reached inventory.",
                field="order_line",
                hint="Transfer it under Finance, Unposted procurement, then capitalise.",
            )
        account, on = booked[key]
        former = sources.get(account, CostSource(account, ZERO, on))
        sources[account] = CostSource(account, sum_money([former.amount, value]), max(former.booked_on, on))
    taken = _taken_out(line)
    left = [replace(x, amount=sum_money([x.amount, -taken.get(x.account, ZERO)])) for x in sources.values()]
    return [source for source in left if source.amount > 0] or list(sources.values())


def _taken_out(line: SalesOrderLine) -> dict[str, Decimal]:
    """What invoices and assets in the books took of a sales order line out of inventory, by account."""
    invoiced = set(line.invoice_lines.filter(relieves_stock=True).values_list("pk", flat=True))
    assets = set(line.assets.values_list("pk", flat=True))
    taken: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for parts in (
        *inventory_credits("invoice", "source_line_id", invoiced).values(),
        *inventory_credits("asset", "entry__source_id", assets).values(),
    ):
        for account, (amount, _) in parts.items():
            taken[account] += amount
    return taken


def inventory_debits(receipt_line_ids: set[int]) -> dict[int, tuple[str, date]]:
    """Account code and date of the inventory debit of each receipt line that is in the books."""
    rows = JournalLine.objects.filter(
        entry__source_type="receipt",
        entry__reverses=None,
        entry__reversed_by__isnull=True,
        source_line_id__in=receipt_line_ids,
        account__type=AccountType.INVENTORY,
        debit__gt=0,
    ).values_list("source_line_id", "account__code", "entry__date")
    return {key: (code, on) for key, code, on in rows if key is not None}


def inventory_credits(
    source_type: str, key: str, keys: Collection[int]
) -> Mapping[int, dict[str, tuple[Decimal, date]]]:
    """What documents took out of inventory, and when, by the field ``key`` of their lines and the account's code."""
    rows = (
        JournalLine.objects.filter(
            entry__source_type=source_type, account__type=AccountType.INVENTORY, **{f"{key}__in": keys}
        )
        .order_by()
        .values_list(key, "account__code", "entry__date")
        .annotate(net=Sum("credit") - Sum("debit"))
    )
    credits: dict[int, dict[str, tuple[Decimal, date]]] = defaultdict(dict)
    for row, account, on, net in rows:
        if net > 0:
            credits[row or 0][account] = (net, on)
    return credits


def serials_left(line: SalesOrderLine, quantity: Decimal) -> str:
    """Serial numbers of shipped units of a sales order line that stand on no asset yet, one a line."""
    taken = {serial for text in line.assets.values_list("serial_numbers", flat=True) for serial in text.splitlines()}
    shipped = SerialNumber.objects.filter(shipment_line__order_line=line).order_by("shipment_line_id", "serial")
    left = [serial for serial in shipped.values_list("serial", flat=True) if serial not in taken]
    return "\n".join(left[: int(quantity)])
