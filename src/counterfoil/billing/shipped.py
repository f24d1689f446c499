"""Whether what an invoice takes out of inventory had left it: as many units, at that cost, by its date."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import sum_money
from counterfoil.inventory.models import ShipmentLine
from counterfoil.inventory.queries import Done, capitalised_of, unrelieved
from counterfoil.orders.models import SalesOrderLine
from counterfoil.platform.lookup import locked_all
from counterfoil.platform.records import plain_number as plain

#: Quantity and cost on a day.
Moved = tuple[date, Decimal, Decimal]


def check_shipped(invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
    """Refuse lines that take more out of inventory than was shipped, in all or by the date of the invoice.

    Raises:
        DomainError: ``not_shipped``.
    """
    relieving = {line.order_line_id: line for line in lines if line.relieves_stock and line.order_line_id is not None}
    sources = locked_all(SalesOrderLine.objects.all(), set(relieving))
    rest = unrelieved(sources.values())
    for pk, line in relieving.items():
        if rest[pk].quantity < 0 or rest[pk].cost < 0:
            raise DomainError(
                "not_shipped",
                f"{plain(line.quantity)} {line.product} are invoiced, but {plain(-rest[pk].quantity)} of them have not"
                " been shipped.",
                field="lines",
            )
    _check_date(invoice, relieving, sources.values())


def _check_date(invoice: Invoice, relieving: dict[int, InvoiceLine], sources: Iterable[SalesOrderLine]) -> None:
    """Refuse a date on which stock would leave inventory that was shipped later: then it may not have come yet."""
    gone = InvoiceLine.objects.filter(
        order_line__in=relieving, relieves_stock=True, invoice__status=InvoiceStatus.CLOSED
    )
    invoiced = _by_line(gone.values_list("order_line", "invoice__date", "quantity", "cost"))
    left = ShipmentLine.objects.filter(order_line__in=relieving)
    shipped = _by_line(left.values_list("order_line", "shipment__date", "quantity", "cost"))
    capitalised = capitalised_of(sources)
    for pk, line in relieving.items():
        later = {on for on, _, _ in invoiced[pk] if on > invoice.date}
        for on in {invoice.date, *later}:
            out, gone_by = _through(shipped[pk], on), _through(invoiced[pk], on)
            quantity = sum_money([gone_by.quantity, capitalised[pk].quantity, line.quantity])
            cost = sum_money([gone_by.cost, capitalised[pk].cost, line.cost])
            if out.quantity < quantity or out.cost < cost:
                last = max(shipped_on for shipped_on, _, _ in shipped[pk])
                raise DomainError(
                    "not_shipped",
                    f"{plain(line.quantity)} {line.product} are invoiced on {format_date(invoice.date)}, before they"
                    f" were shipped: the last of them left on {format_date(last)}.",
                    field="date",
                    hint=f"Date the invoice {format_date(last)} or later.",
                )


def _by_line(rows: Iterable[tuple[int | None, date, Decimal, Decimal]]) -> dict[int, list[Moved]]:
    moved: dict[int, list[Moved]] = defaultdict(list)
    for pk, on, quantity, cost in rows:
        moved[pk or 0].append((on, quantity, cost))
    return moved


def _through(moved: Iterable[Moved], on: date) -> Done:
    """What moved on or before a day."""
    rows = [row for row in moved if row[0] <= on]
    return Done(sum_money(quantity for _, quantity, _ in rows), sum_money(cost for _, _, cost in rows))
