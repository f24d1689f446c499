"""Warehouses and bins, receiving what was bought, shipping what was sold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.catalog.models import Product, ProductClass
from counterfoil.companies.models import Company
from counterfoil.core.calendar import format_date
from counterfoil.core.costing import Issue, issue, issued_cost
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, extend, format_money, sum_money
from counterfoil.core.states import words
from counterfoil.inventory.models import (
    Bin,
    MovementKind,
    Receipt,
    ReceiptLine,
    SerialNumber,
    SerialStatus,
    Shipment,
    ShipmentLine,
    StockBalance,
    StockMovement,
    Warehouse,
)
from counterfoil.inventory.queries import layers_of, received_for, shipped_of, whereabouts
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_quantity
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked, locked_all
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import plain_number as plain
from counterfoil.procurement.commands import close_when_complete
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine, PurchaseOrderStatus
from counterfoil.procurement.queries import received_of

STOCK = (Role.PROCUREMENT,)

refuse_as("serial_in_stock_once", "serial_in_stock", "One of the serial numbers is in stock already.")
refuse_as("stock_not_negative", "not_in_stock", "There is not that much in stock.")
refuse_as("bin_once_per_warehouse", "duplicate", "The warehouse has a bin of that name.")


@command(roles=STOCK)
def create_warehouse(*, actor: Actor, name: str, company_id: int | None = None, first_bin: str = "") -> Warehouse:
    """Add a warehouse, with a first bin if one is named; with a company it is that customer's warehouse.

    Raises:
        DomainError: ``required``; ``duplicate``; ``not_found``.
    """
    name = _name(name)
    company = None if company_id is None else existing(Company.objects.all(), company_id, "company")
    if Warehouse.objects.filter(name__iexact=name).exists():
        raise DomainError("duplicate", f"There is a warehouse {name} already.", field="name")
    warehouse = Warehouse.objects.create(name=name, company=company)
    whose = f" for {company.name}" if company else ""
    audit.record(actor, "inventory.warehouse.created", f"added warehouse {name}{whose}", warehouse)
    if first_bin.strip():
        create_bin(actor=actor, warehouse_id=warehouse.pk, name=first_bin)
    return warehouse


@command(roles=STOCK)
def create_bin(*, actor: Actor, warehouse_id: int, name: str) -> Bin:
    """Add a bin to a warehouse.

    Raises:
        DomainError: ``required``; ``duplicate``; ``not_found``.
    """
    warehouse, name = existing(Warehouse.objects.all(), warehouse_id, "warehouse"), _name(name)
    if warehouse.bins.filter(name__iexact=name).exists():
        raise DomainError("duplicate", f"{warehouse} has a bin {name} already.", field="name")
    place = Bin.objects.create(warehouse=warehouse, name=name)
    audit.record(actor, "inventory.bin.created", f"added bin {place}", place)
    return place


def _name(name: str) -> str:
    name = name.strip()
    if not name:
        raise DomainError("required", "Enter a name.", field="name")
    if len(name) > 50:
        raise DomainError("invalid", "A name has at most 50 characters.", field="name")
    return name


@dataclass(frozen=True, slots=True)
class ReceiveLine:
    """What arrived of a purchase order line.

    Attributes:
        purchase_order_line_id: the line of the order.
        quantity: ``None`` is all that is awaited.
        bin_id: where it is put (inventory products); ``None`` is the bin on the purchase order line.
        serials: one for each unit of a serialized product.
    """

    purchase_order_line_id: int
    quantity: Decimal | None = None
    bin_id: int | None = None
    serials: Sequence[str] = ()


@command(roles=STOCK)
def receive_purchase_order(
    *,
    actor: Actor,
    purchase_order_id: int,
    on: date,
    lines: Sequence[ReceiveLine] | None = None,
    packing_slip: str = "",
) -> Receipt:
    """Receive goods of a sent purchase order: inventory products into a bin, the rest is expensed in the books.

    Of licences and services it says that they are in force. What the vendor bills again in every cycle is expensed
    with each bill, and costs nothing here.

    The receipt waits as unposted procurement. The order closes when all has arrived or is cancelled.

    Args:
        actor: who receives.
        purchase_order_id: the order.
        on: the day the goods arrived.
        lines: what arrived; ``None`` is all that is awaited, into the bins on the order's lines.
        packing_slip: the number on the vendor's packing slip.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when it is not sent; ``more_than_ordered``; ``bin_required``;
            ``serials_required``; ``serial_in_stock``; ``invalid``.
    """
    order = locked(PurchaseOrder.objects.select_related("vendor"), purchase_order_id)
    _check_receivable(order, on)
    bought = {line.pk: line for line in order.lines.select_related("product", "bin__warehouse")}
    received = received_of(bought.values())
    if lines is None:
        awaited = [line.pk for line in bought.values() if received[line.pk] + line.quantity_cancelled < line.quantity]
        lines = [ReceiveLine(pk) for pk in awaited]
    if not lines:
        raise DomainError("required", "Enter what has arrived.", field="lines")
    receipt = Receipt.objects.create(
        number=take_number("receipt"),
        purchase_order=order,
        date=on,
        packing_slip=packing_slip.strip(),
        received_by=actor.name,
    )
    arrived = []
    for position, line in enumerate(lines, start=1):
        source = bought.get(line.purchase_order_line_id)
        if source is None:
            raise DomainError("not_found", f"{order} has no such line.", field=f"lines[{position - 1}]")
        row = _receive_line(receipt, position, line, source, received[source.pk])
        received[source.pk] += row.quantity
        arrived.append(row)
    _put_into_stock([row for row in arrived if row.is_stocked], on)
    for row in arrived:
        text = (
            f"received {plain(row.quantity)} of {plain(row.purchase_order_line.quantity)} {row.product} on"
            f" {order.number}" + (f" into {row.bin}" if row.bin else "")
        )
        audit.record(actor, "inventory.receipt.recorded", text, receipt, purchase_order=order.number, cost=row.cost)
    close_when_complete(order, actor=actor)
    return receipt


def _check_receivable(order: PurchaseOrder, on: date) -> None:
    if order.status == PurchaseOrderStatus.CLOSED:
        raise DomainError(
            "more_than_ordered", f"Everything on {order} has arrived or is cancelled; nothing more is awaited."
        )
    if order.status != PurchaseOrderStatus.SENT:
        raise DomainError("wrong_state", f"{order} is {words(order.status)}; send it before goods can arrive on it.")
    if on < order.order_date:
        raise DomainError(
            "invalid", f"Goods of {order} cannot arrive before {format_date(order.order_date)}, its date.", field="on"
        )


def _receive_line(
    receipt: Receipt, position: int, line: ReceiveLine, source: PurchaseOrderLine, before: Decimal
) -> ReceiptLine:
    """Check and write one received line; ``before`` is what of the purchase order line had arrived by then."""
    where, product = f"lines[{position - 1}]", source.product
    awaited = source.quantity - source.quantity_cancelled - before
    quantity = awaited if line.quantity is None else line.quantity
    if line.quantity is not None:
        check_quantity(line.quantity, f"{where}.quantity")
    if quantity > awaited or awaited <= 0:
        raise DomainError(
            "more_than_ordered",
            f"{plain(source.quantity)} {product} are on {receipt.purchase_order}, {plain(max(awaited, Decimal(0)))}"
            f" still awaited; {plain(quantity)} cannot be received.",
            field=f"{where}.quantity",
        )
    place = _place(line, source, where)
    serials = _serials(product, quantity, line.serials, f"{where}.serials")
    # The cost of all that has arrived, less what was booked before: parts of a line never lose a cent.
    booked = sum_money(source.receipt_lines.values_list("cost", flat=True))
    row = ReceiptLine.objects.create(
        receipt=receipt,
        position=position,
        purchase_order_line=source,
        product=product,
        quantity=quantity,
        unit_cost=source.unit_cost,
        cost=ZERO if source.recurs else sum_money([extend(before + quantity, source.unit_cost), -booked]),
        bin=place,
        is_stocked=product.is_stocked,
    )
    _keep_serials(row, serials, f"{where}.serials")
    return row


def _place(line: ReceiveLine, source: PurchaseOrderLine, where: str) -> Bin | None:
    """The bin it goes into; none for what is not kept in stock (non-inventory, drop-shipped)."""
    product = source.product
    if not product.is_stocked:
        if line.bin_id is None:
            return None
        how = "shipped by the vendor to the customer" if product.drop_ship else "not kept in stock"
        raise DomainError("invalid", f"{product} is {how}; it goes into no bin.", field=f"{where}.bin")
    if line.bin_id is None and source.bin is None:
        raise DomainError(
            "bin_required",
            f"{product} is an inventory product: choose the warehouse and bin it goes into.",
            field=f"{where}.bin",
        )
    if line.bin_id is None:
        return source.bin
    return existing(Bin.objects.select_related("warehouse"), line.bin_id, f"{where}.bin")


def _serials(product: Product, quantity: Decimal, serials: Sequence[str], field: str) -> tuple[str, ...]:
    """The serial numbers, one for each unit of a serialized product; none for others."""
    given = tuple(serial.strip() for serial in serials if serial.strip())
    if not product.serialized:
        if given:
            raise DomainError("invalid", f"{product} is not serialized; leave the serial numbers out.", field=field)
        return ()
    if len(given) != quantity:
        raise DomainError(
            "serials_required",
            f"{product} is serialized: enter {plain(quantity)} serial numbers, one for each unit ({len(given)} given).",
            field=field,
        )
    twice = sorted({serial for serial in given if given.count(serial) > 1})
    if twice:
        raise DomainError("serials_required", f"Serial number {twice[0]} is entered twice.", field=field)
    if long := next((serial for serial in given if len(serial) > 50), None):
        raise DomainError("invalid", f"Serial number {long[:20]}… is longer than 50 characters.", field=field)
    return given


def _keep_serials(row: ReceiptLine, serials: Sequence[str], field: str) -> None:
    """Record the units that arrived. What is not kept in stock counts as delivered."""
    if not row.is_stocked:
        SerialNumber.objects.bulk_create(
            SerialNumber(product=row.product, serial=serial, status=SerialStatus.DELIVERED, receipt_line=row)
            for serial in serials
        )
        return
    held = SerialNumber.objects.filter(product=row.product, serial__in=serials, status=SerialStatus.IN_STOCK)
    if (known := held.select_related("bin__warehouse", "receipt_line__receipt").first()) is not None:
        raise DomainError(
            "serial_in_stock",
            f"Serial number {known} of {row.product} is in stock already: in {known.bin}, received with"
            f" {known.receipt_line.receipt}.",
            field=field,
        )
    SerialNumber.objects.bulk_create(
        SerialNumber(product=row.product, serial=serial, bin=row.bin, receipt_line=row) for serial in serials
    )


def _put_into_stock(rows: Sequence[ReceiptLine], on: date) -> None:
    """A layer of stock for each line, at its cost."""
    balances = _locked_balances((row.product_id, row.bin_id or 0) for row in rows)
    for row in rows:
        _add(balances[row.product_id, row.bin_id or 0], row.quantity, row.cost)
    StockMovement.objects.bulk_create(
        StockMovement(
            kind=MovementKind.RECEIPT,
            product=row.product,
            bin_id=row.bin_id or 0,
            date=on,
            quantity=row.quantity,
            value=row.cost,
            receipt_line=row,
        )
        for row in rows
    )


def _locked_balances(places: Iterable[tuple[int, int]]) -> dict[tuple[int, int], StockBalance]:
    """The balance of each product and bin, made where there is none, and held until the transaction ends.

    Whoever moves stock takes these locks first and in one order, so moves of the same stock follow one another.
    """
    balances = {}
    for product_id, bin_id in sorted(set(places)):
        StockBalance.objects.get_or_create(product_id=product_id, bin_id=bin_id)
        balances[product_id, bin_id] = StockBalance.objects.select_for_update().get(
            product_id=product_id, bin_id=bin_id
        )
    return balances


def _add(balance: StockBalance, quantity: Decimal, value: Decimal) -> None:
    balance.quantity += quantity
    balance.value += value
    balance.save(update_fields=["quantity", "value"])


@dataclass(frozen=True, slots=True)
class ShipLine:
    """What leaves for the customer of a sales order line.

    Attributes:
        order_line_id: the line of the sales order.
        quantity: ``None`` is all that is ordered and not shipped yet.
        bin_id: where it is taken from; ``None`` is the only bin that holds the product.
        serials: which units of a serialized product in stock leave.
    """

    order_line_id: int
    quantity: Decimal | None = None
    bin_id: int | None = None
    serials: Sequence[str] = ()


@command(roles=STOCK)
def ship_order(
    *,
    actor: Actor,
    order_id: int,
    on: date,
    lines: Sequence[ShipLine] | None = None,
    tracking_number: str = "",
) -> Shipment:
    """Ship lines of a sales order. Stock leaves at cost: first in, first out; serialized units at what they cost.

    The cost stays in the inventory account until the order is invoiced or the goods are capitalised. What is not kept
    in stock can be shipped as far as it was received for the order.

    Args:
        actor: who ships.
        order_id: the sales order.
        on: the day it left.
        lines: what leaves; ``None`` is all that is ordered and not shipped yet.
        tracking_number: the carrier's.

    Raises:
        DomainError: ``not_found``; ``wrong_state``; ``more_than_ordered``; ``not_in_stock``, saying what is on hand
            and where; ``bin_required``; ``serials_required``; ``wrong_product_class`` for services and the like.
    """
    order = locked(SalesOrder.objects.select_related("company"), order_id)
    wanted = {line.order_line_id for line in lines} if lines is not None else set(_goods(order))
    ordered = locked_all(SalesOrderLine.objects.filter(order=order).select_related("product"), wanted, "lines")
    if order.status != SalesOrderStatus.OPEN:
        raise DomainError("wrong_state", f"{order} is {words(order.status)}; nothing can be shipped on it.")
    shipped = shipped_of(ordered.values())
    if lines is None:
        lines = [ShipLine(pk) for pk, line in ordered.items() if shipped[pk] < line.quantity]
    if not lines:
        raise DomainError("not_in_stock", f"Nothing of {order} is left to ship.", field="lines")
    shipment = Shipment.objects.create(
        number=take_number("shipment"),
        order=order,
        date=on,
        tracking_number=tracking_number.strip(),
        shipped_by=actor.name,
    )
    quantities = [_shippable(ordered[line.order_line_id], line, shipped, f"lines[{i}]") for i, line in enumerate(lines)]
    places = _places(lines, ordered)
    balances = _locked_balances((ordered[lines[i].order_line_id].product_id, bin_id) for i, bin_id in places.items())
    for index, (line, quantity) in enumerate(zip(lines, quantities, strict=True)):
        source = ordered[line.order_line_id]
        if index in places:
            balance = balances[source.product_id, places[index]]
            row = _ship_stock(shipment, index, source, quantity, line.serials, balance)
        else:
            row = _ship_unstocked(shipment, index, source, quantity)
        text = (
            f"shipped {plain(quantity)} of {plain(source.quantity)} {source.product} on {order.number} to"
            f" {order.company.name}" + (f" from {row.bin}, cost {format_money(row.cost)}" if row.bin else "")
        )
        audit.record(actor, "inventory.shipment.recorded", text, shipment, order=order.number)
    return shipment


_SHIPPED_CLASSES = (ProductClass.INVENTORY, ProductClass.NON_INVENTORY)


def _goods(order: SalesOrder) -> Iterable[int]:
    """The lines of an order that are shipped, as services and agreements are not."""
    return order.lines.filter(product__product_class__in=_SHIPPED_CLASSES).values_list("pk", flat=True)


def _shippable(source: SalesOrderLine, line: ShipLine, shipped: dict[int, Decimal], where: str) -> Decimal:
    """How many leave, checked against what is ordered, and counted in ``shipped``."""
    if source.product.product_class not in _SHIPPED_CLASSES:
        raise DomainError(
            "wrong_product_class",
            f"{source.product} is of class {source.product.product_class}; it is not shipped.",
            field=where,
        )
    gone = shipped[source.pk]
    left = source.quantity - gone
    quantity = left if line.quantity is None else line.quantity
    if line.quantity is not None:
        check_quantity(line.quantity, f"{where}.quantity")
    if quantity > left or left <= 0:
        raise DomainError(
            "more_than_ordered",
            f"{plain(source.quantity)} {source.product} are ordered and {plain(gone)} shipped; {plain(quantity)}"
            " more cannot be shipped.",
            field=f"{where}.quantity",
        )
    shipped[source.pk] = gone + quantity
    return quantity


def _places(lines: Sequence[ShipLine], ordered: dict[int, SalesOrderLine]) -> dict[int, int]:
    """The bin each stocked line is taken from, by the line's index."""
    places = {}
    for index, line in enumerate(lines):
        product, where = ordered[line.order_line_id].product, f"lines[{index}].bin"
        if not product.is_stocked:
            continue
        if line.bin_id is not None:
            places[index] = existing(Bin.objects.all(), line.bin_id, where).pk
            continue
        holding = list(StockBalance.objects.filter(product=product, quantity__gt=0).values_list("bin_id", flat=True))
        if not holding:
            raise DomainError("not_in_stock", f"There is no {product} in stock.", field=where)
        if len(holding) > 1:
            raise DomainError(
                "bin_required", f"{product} lies in several bins ({whereabouts(product)}): choose one.", field=where
            )
        places[index] = holding[0]
    return places


def _ship_stock(
    shipment: Shipment,
    index: int,
    source: SalesOrderLine,
    quantity: Decimal,
    serials: Sequence[str],
    balance: StockBalance,
) -> ShipmentLine:
    """Take a line out of its bin, layer by layer."""
    product, where = source.product, f"lines[{index}]"
    named = _serials(product, quantity, serials, f"{where}.serials")
    layers = layers_of(product, balance.bin_id, on=shipment.date)
    held = sum((layer.quantity for layer in layers), Decimal(0))
    if quantity > held:
        raise DomainError(
            "not_in_stock",
            f"{plain(quantity)} {product} cannot leave {balance.bin}: {plain(held)} that had arrived by"
            f" {format_date(shipment.date)} are left there. In stock now: {whereabouts(product)}.",
            field=f"{where}.quantity",
        )
    try:
        issues = issue("serial" if product.serialized else "fifo", layers, quantity, named)
    except DomainError as refusal:
        raise DomainError(refusal.code, refusal.message, f"{where}.{refusal.field}", refusal.hint) from refusal
    row = ShipmentLine.objects.create(
        shipment=shipment,
        position=index + 1,
        order_line=source,
        product=product,
        quantity=quantity,
        cost=issued_cost(issues),
        bin=balance.bin,
    )
    _take_from_layers(row, issues, balance, shipment.date)
    if named:
        SerialNumber.objects.filter(product=product, serial__in=named, status=SerialStatus.IN_STOCK).update(
            status=SerialStatus.DELIVERED, bin=None, shipment_line=row
        )
    return row


def _take_from_layers(row: ShipmentLine, issues: Sequence[Issue], balance: StockBalance, on: date) -> None:
    StockMovement.objects.bulk_create(
        StockMovement(
            kind=MovementKind.SHIPMENT,
            product=row.product,
            bin_id=balance.bin_id,
            date=on,
            quantity=-each.quantity,
            value=-each.cost,
            shipment_line=row,
            layer_id=each.key,
        )
        for each in issues
    )
    _add(balance, -row.quantity, -row.cost)


def _ship_unstocked(shipment: Shipment, index: int, source: SalesOrderLine, quantity: Decimal) -> ShipmentLine:
    """Ship what went past the stock: no more of it than arrived for the order."""
    arrived, gone = received_for([source])[source.pk].quantity, shipped_of([source])[source.pk]
    if gone + quantity > arrived:
        raise DomainError(
            "not_in_stock",
            f"{plain(arrived)} {source.product} have arrived for {shipment.order} and {plain(gone)} are shipped;"
            f" {plain(quantity)} more cannot be shipped.",
            field=f"lines[{index}].quantity",
            hint="Receive it on its purchase order first.",
        )
    return ShipmentLine.objects.create(
        shipment=shipment,
        position=index + 1,
        order_line=source,
        product=source.product,
        quantity=quantity,
        cost=ZERO,
    )
