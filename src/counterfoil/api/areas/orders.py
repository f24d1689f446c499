"""Sales orders and their lines, with how far each line has come."""

from __future__ import annotations

from counterfoil.api.area import Area
from counterfoil.api.fields import Number
from counterfoil.api.shapes import shape
from counterfoil.orders import commands, queries
from counterfoil.orders.models import SalesOrder, SalesOrderLine

area = Area("Sales orders")

PROGRESS = ("on_purchase_orders", "received", "shipped", "invoiced", "capitalised")
lines = shape(SalesOrderLine, extra=dict.fromkeys(PROGRESS, Number), source=queries.lines)
orders = shape(SalesOrder, parts={"lines": lines})

area.records("/sales-orders", orders, queries.sales_orders)
area.post("/sales-orders", commands.create_sales_order, orders)
area.detail("/sales-orders/{order_id}", orders)
area.patch("/sales-orders/{order_id}", commands.update_sales_order, orders)
area.act("/sales-orders/{order_id}/close", commands.close_sales_order, orders)
area.act("/sales-orders/{order_id}/cancel", commands.cancel_sales_order, orders)
area.act("/sales-orders/{order_id}/reopen", commands.reopen_sales_order, orders)

area.post("/sales-orders/{order_id}/lines", commands.add_order_line, lines)
area.detail("/sales-order-lines/{line_id}", lines)
area.patch("/sales-order-lines/{line_id}", commands.update_order_line, lines)
area.delete("/sales-order-lines/{line_id}", commands.remove_order_line)
