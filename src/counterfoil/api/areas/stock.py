"""Warehouses and bins, receipts, shipments, what is in stock and serial numbers."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.fields import Money
from counterfoil.api.shapes import row, shape
from counterfoil.inventory import commands, queries
from counterfoil.inventory.models import (
    Bin,
    Receipt,
    ReceiptLine,
    SerialNumber,
    Shipment,
    ShipmentLine,
    StockBalance,
    Warehouse,
)

area = Area("Stock")

bins = shape(Bin)
warehouses = shape(Warehouse, parts={"bins": bins})
balances = shape(StockBalance)
serial_numbers = shape(SerialNumber, without=("receipt_line", "shipment_line"))
receipt_lines = shape(ReceiptLine, without=("receipt",), parts={"serial_numbers": serial_numbers})
receipts = shape(Receipt, extra={"cost": Money}, parts={"lines": receipt_lines}, source=queries.receipts)
shipment_lines = shape(ShipmentLine, without=("shipment",), parts={"serial_numbers": serial_numbers})
shipments = shape(Shipment, extra={"cost": Money}, parts={"lines": shipment_lines}, source=queries.shipments)

area.records("/warehouses", warehouses, queries.warehouses)
area.post("/warehouses", commands.create_warehouse, warehouses)
area.detail("/warehouses/{warehouse_id}", warehouses)
area.records("/bins", bins, queries.bins)
area.post("/warehouses/{warehouse_id}/bins", commands.create_bin, bins)
area.detail("/bins/{bin_id}", bins)

area.records("/stock", balances, queries.on_hand)
area.records("/serial-numbers", serial_numbers, queries.serial_numbers)
area.rows(
    "/shipped-not-relieved", row(queries.ShippedRow), queries.shipped_not_relieved, key=lambda each: each.order_line_id
)

area.records("/receipts", receipts, queries.receipts)
area.detail("/receipts/{receipt_id}", receipts)
area.post("/sales-orders/{order_id}/ship", commands.ship_order, shipments)
area.records("/shipments", shipments, queries.shipments)
area.detail("/shipments/{shipment_id}", shipments)
