"""Pages: what is on hand, what is to be shipped, shipments, warehouses and bins."""

from __future__ import annotations

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse

from counterfoil.inventory import commands, queries
from counterfoil.inventory.models import SerialNumber, SerialStatus
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of
from counterfoil.web.forms import CompanyField, Deed, PageForm, form_page, may, posted
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import address_of, side_of

ON_HAND = ListSpec(
    name="On hand",
    columns=(
        Column(
            "product",
            "Product",
            "product.identifier",
            kind="key",
            sort="product__identifier",
            note="product.description",
        ),
        Column("warehouse", "Warehouse", "bin.warehouse.name", sort="bin__warehouse__name", card="note"),
        Column("bin", "Bin", "bin.name", sort="bin__name", card="note"),
        Column("quantity", "Quantity", kind="quantity", sort="quantity", total="quantity", card="figure"),
        Column("value", "Value", kind="money", sort="value", total="value", card="figure"),
    ),
    url=lambda balance: address_of("catalog.product", balance.product_id),
    placeholder="Product, warehouse or bin",
    noun="places",
)

SERIALS = ListSpec(
    name="Serial numbers",
    columns=(
        Column("serial", "Serial number", kind="key"),
        Column("product", "Product", "product.identifier", sort="product__identifier", card="note"),
        Column("status", "State", kind="state", sort="status", card="note"),
        Column("where", "Where", lambda serial: _where(serial), card="note"),
        Column("receipt", "Received", "receipt_line.receipt.number", sort="receipt_line__receipt__number"),
        Column("shipment", "Shipped", "shipment_line.shipment.number", sort="shipment_line__shipment__number"),
    ),
    chips=(Chips("status", SerialStatus.choices),),
    sort="serial",
    url=lambda serial: (
        address_of("inventory.shipment", serial.shipment_line.shipment_id)
        if serial.shipment_line
        else address_of("inventory.receipt", serial.receipt_line.receipt_id)
    ),
    placeholder="Part of a serial number",
)

SHIPPING = ListSpec(
    name="Shipping",
    columns=(
        Column("number", "Sales order", kind="key"),
        Column("company", "Customer", "company.name", sort="company__name", card="note"),
        Column("order_date", "Ordered", kind="date", sort="order_date", card="note"),
        Column("customer_po", "Customer PO", sort="customer_po"),
    ),
    sort="order_date",
    url=lambda order: reverse("web:sales_order_ship", args=[order.pk]),
    placeholder="Number or customer",
    noun="sales orders",
)

SHIPMENTS = ListSpec(
    name="Shipments",
    columns=(
        Column("number", "Shipment", kind="key"),
        Column("date", "Date", kind="date", sort="date", card="note"),
        Column("company", "Customer", "order.company.name", sort="order__company__name", card="note"),
        Column("order", "Sales order", "order.number", sort="order__number"),
        Column("tracking_number", "Tracking", sort="tracking_number"),
        Column("cost", "Cost", kind="money", sort="cost", total="cost", card="figure"),
    ),
    sort="-number",
    url=lambda shipment: reverse("web:shipment", args=[shipment.pk]),
    placeholder="Number or customer",
)

WAREHOUSES = ListSpec(
    name="Warehouses and bins",
    columns=(
        Column("name", "Warehouse", kind="key"),
        Column("company", "Customer", "company.name", sort="company__name", card="note"),
        Column("bins", "Bins", lambda warehouse: ", ".join(place.name for place in warehouse.bins.all()), card="wide"),
        Column("value", "Value", kind="money", sort="value", total="value", card="figure"),
    ),
    sort="name",
    url=lambda warehouse: reverse("web:stock") + f"?q={warehouse.name}",
    noun="warehouses",
)


@navigation.waiting
def shipping_waits() -> navigation.Waits:
    """Orders of which something can be shipped."""
    return {"to_ship": queries.orders_to_ship()}


def _where(serial: SerialNumber) -> str:
    if serial.shipment_line:
        return serial.shipment_line.shipment.order.company.name
    return str(serial.bin or "")


def on_hand(request: HttpRequest) -> HttpResponse:
    """Quantity and value by warehouse, bin and product."""
    rows = queries.on_hand(search=search_of(request))
    return show_list(request, ON_HAND, rows, "web/stock/list.html", {"tab": "stock"})


def serials(request: HttpRequest) -> HttpResponse:
    """Serialized units, where they came from and went to."""
    rows = queries.serial_numbers(search=search_of(request))
    return show_list(request, SERIALS, rows, "web/stock/list.html", {"tab": "serials"})


def shipping(request: HttpRequest) -> HttpResponse:
    """Orders of which something can be shipped now."""
    rows = queries.orders_to_ship(search=search_of(request))
    return show_list(request, SHIPPING, rows, "web/stock/shipping.html", {"tab": "shipping"})


def shipments(request: HttpRequest) -> HttpResponse:
    """What has left."""
    rows = queries.shipments(search=search_of(request))
    return show_list(request, SHIPMENTS, rows, "web/stock/shipping.html", {"tab": "shipments"})


def shipment(request: HttpRequest, pk: int) -> HttpResponse:
    """What left at once."""
    found = queries.shipments().filter(pk=pk).first()
    if found is None:
        raise Http404
    lines = found.lines.select_related("product", "bin__warehouse").prefetch_related("serial_numbers")
    return render(request, "web/stock/shipment.html", {"shipment": found, "lines": lines, **side_of(found)})


def warehouses(request: HttpRequest) -> HttpResponse:
    """Where stock can lie."""
    can = may(request, add=commands.create_warehouse)
    return show_list(request, WAREHOUSES, queries.warehouses_with_value(), "web/stock/warehouses.html", {"may": can})


class WarehouseForm(PageForm):
    """A warehouse with its first bin."""

    name = forms.CharField(label="Name", max_length=50)
    company_id = CompanyField(
        label="Customer",
        required=False,
        help_text="For a customer warehouse: what stands at, or is bought for, one customer.",
    )
    first_bin = forms.CharField(
        label="First bin", max_length=50, required=False, help_text="Stock always lies in a bin."
    )


def warehouse_new(request: HttpRequest) -> HttpResponse:
    """A new warehouse."""
    form = WarehouseForm(posted(request))
    return form_page(
        request,
        commands.create_warehouse,
        form,
        lambda: commands.create_warehouse(actor=actor_of(request), **form.given()),
        _deed("New warehouse", "Make the warehouse"),
    )


class BinForm(PageForm):
    """A place in a warehouse."""

    name = forms.CharField(label="Bin", max_length=50)


def bin_new(request: HttpRequest, pk: int) -> HttpResponse:
    """A new bin."""
    warehouse = queries.warehouses(only_active=False).filter(pk=pk).first()
    if warehouse is None:
        raise Http404
    form = BinForm(posted(request))
    return form_page(
        request,
        commands.create_bin,
        form,
        lambda: commands.create_bin(actor=actor_of(request), warehouse_id=pk, **form.given()),
        _deed(f"New bin in {warehouse.name}", "Make the bin"),
    )


def _deed(title: str, button: str) -> Deed:
    here = reverse("web:warehouses")
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made} was made.",
        crumbs=(("Stock", reverse("web:stock")), ("Warehouses and bins", here)),
    )


urlpatterns = [
    path("stock/", on_hand, name="stock"),
    path("stock/serials/", serials, name="serials"),
    path("shipping/", shipping, name="shipping"),
    path("shipping/shipments/", shipments, name="shipments"),
    path("shipping/shipments/<int:pk>/", shipment, name="shipment"),
    path("warehouses/", warehouses, name="warehouses"),
    path("warehouses/new/", warehouse_new, name="warehouse_new"),
    path("warehouses/<int:pk>/bins/new/", bin_new, name="bin_new"),
]
