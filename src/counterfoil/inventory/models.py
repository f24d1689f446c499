"""Warehouses, bins, receipts, shipments, stock movements and serial numbers."""

from __future__ import annotations

import pgtrigger
from django.db import models
from django.db.models import Q

from counterfoil.platform.fields import money_field, price_field, quantity_field
from counterfoil.platform.guards import locked_once_posted
from counterfoil.platform.history import keep_history


@keep_history
class Warehouse(models.Model):
    """A warehouse. A *customer warehouse* holds what stands at or is bought for one customer."""

    name = models.CharField(max_length=50, unique=True)
    company = models.ForeignKey(
        "companies.Company",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="warehouses",
        help_text="The customer of a customer warehouse.",
    )
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


@keep_history
class Bin(models.Model):
    """A place in a warehouse. Stock always lies in a bin."""

    warehouse = models.ForeignKey(Warehouse, on_delete=models.PROTECT, related_name="bins")
    name = models.CharField(max_length=50)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["warehouse__name", "name"]
        constraints = [models.UniqueConstraint(fields=["warehouse", "name"], name="bin_once_per_warehouse")]

    def __str__(self) -> str:
        return f"{self.warehouse} / {self.name}"


class Receipt(models.Model):
    """Goods that arrived on a purchase order."""

    number = models.CharField(max_length=15, unique=True)
    purchase_order = models.ForeignKey("procurement.PurchaseOrder", on_delete=models.PROTECT, related_name="receipts")
    date = models.DateField()
    packing_slip = models.CharField(max_length=50, blank=True)
    received_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        triggers = [locked_once_posted("receipt", "receipt")]

    def __str__(self) -> str:
        return self.number


class ReceiptLine(models.Model):
    """What arrived of a purchase order line; ``cost`` is quantity x unit cost, rounded."""

    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    purchase_order_line = models.ForeignKey(
        "procurement.PurchaseOrderLine", on_delete=models.PROTECT, related_name="receipt_lines"
    )
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="+")
    quantity = quantity_field()
    unit_cost = price_field()
    cost = money_field()
    bin = models.ForeignKey(Bin, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    is_stocked = models.BooleanField(help_text="Whether it went into stock (inventory) or was expensed.")

    class Meta:
        ordering = ["receipt_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["receipt", "position"], name="receipt_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(cost__gte=0), name="receipt_line_amounts"),
            models.CheckConstraint(condition=Q(is_stocked=False) | Q(bin__isnull=False), name="stock_lies_in_a_bin"),
        ]
        triggers = [locked_once_posted("receipt", "receipt", key="receipt_id")]


class StockBalance(models.Model):
    """Quantity on hand and its value, per product and bin: the sum of the movements, and the lock of the place."""

    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="stock")
    bin = models.ForeignKey(Bin, on_delete=models.PROTECT, related_name="stock")
    quantity = quantity_field(default=0)
    value = money_field(default=0)

    class Meta:
        ordering = ["bin_id", "product_id"]
        constraints = [
            models.UniqueConstraint(fields=["product", "bin"], name="one_balance_per_product_and_bin"),
            models.CheckConstraint(condition=Q(quantity__gte=0) & Q(value__gte=0), name="stock_not_negative"),
        ]


class MovementKind(models.TextChoices):
    """Why stock moved."""

    RECEIPT = "receipt", "Receipt"
    SHIPMENT = "shipment", "Shipment"


class Shipment(models.Model):
    """Goods that left for the customer of a sales order."""

    number = models.CharField(max_length=15, unique=True)
    order = models.ForeignKey("orders.SalesOrder", on_delete=models.PROTECT, related_name="shipments")
    date = models.DateField()
    tracking_number = models.CharField(max_length=50, blank=True)
    shipped_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]
        triggers = [pgtrigger.Protect(name="shipment_is_final", operation=pgtrigger.Update | pgtrigger.Delete)]

    def __str__(self) -> str:
        return self.number


class ShipmentLine(models.Model):
    """What left of a sales order line. ``cost`` is what the shipped stock was worth (0 for what is not stocked)."""

    shipment = models.ForeignKey(Shipment, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    order_line = models.ForeignKey("orders.SalesOrderLine", on_delete=models.PROTECT, related_name="shipment_lines")
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="+")
    quantity = quantity_field()
    cost = money_field(default=0)
    bin = models.ForeignKey(Bin, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["shipment_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["shipment", "position"], name="shipment_line_position_once"),
            models.CheckConstraint(condition=Q(quantity__gt=0) & Q(cost__gte=0), name="shipment_line_amounts"),
        ]
        triggers = [pgtrigger.Protect(name="shipment_line_is_final", operation=pgtrigger.Update | pgtrigger.Delete)]


class StockMovement(models.Model):
    """One movement of stock. An outgoing one names the incoming one (the cost layer) it consumes."""

    kind = models.CharField(max_length=10, choices=MovementKind.choices)
    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="movements")
    bin = models.ForeignKey(Bin, on_delete=models.PROTECT, related_name="movements")
    date = models.DateField()
    quantity = quantity_field(help_text="Positive in, negative out.")
    value = money_field(help_text="Positive in, negative out.")
    receipt_line = models.ForeignKey(
        ReceiptLine, null=True, blank=True, on_delete=models.PROTECT, related_name="movements"
    )
    shipment_line = models.ForeignKey(
        ShipmentLine, null=True, blank=True, on_delete=models.PROTECT, related_name="movements"
    )
    layer = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="consumed_by")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="receipt", quantity__gt=0, receipt_line__isnull=False, layer__isnull=True)
                | Q(kind="shipment", quantity__lt=0, shipment_line__isnull=False, layer__isnull=False),
                name="movement_has_its_source",
            ),
        ]
        triggers = [pgtrigger.Protect(name="movement_is_final", operation=pgtrigger.Update | pgtrigger.Delete)]


class SerialStatus(models.TextChoices):
    """Where a serialized unit is."""

    IN_STOCK = "in_stock", "In stock"
    DELIVERED = "delivered", "Delivered"


@keep_history
class SerialNumber(models.Model):
    """A serialized unit we received; it can be in stock only once."""

    product = models.ForeignKey("catalog.Product", on_delete=models.PROTECT, related_name="serial_numbers")
    serial = models.CharField(max_length=50)
    status = models.CharField(max_length=10, choices=SerialStatus.choices, default=SerialStatus.IN_STOCK)
    bin = models.ForeignKey(Bin, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    receipt_line = models.ForeignKey(ReceiptLine, on_delete=models.PROTECT, related_name="serial_numbers")
    shipment_line = models.ForeignKey(
        ShipmentLine, null=True, blank=True, on_delete=models.PROTECT, related_name="serial_numbers"
    )

    class Meta:
        ordering = ["serial"]
        indexes = [models.Index(fields=["serial"], name="serial_lookup")]
        constraints = [
            models.UniqueConstraint(
                fields=["product", "serial"], condition=Q(status="in_stock"), name="serial_in_stock_once"
            ),
        ]

    def __str__(self) -> str:
        return self.serial
