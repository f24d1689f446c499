"""Pages: sales orders, how far each line has come, shipping and invoicing them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.billing import commands as billing
from counterfoil.billing import queries as invoices
from counterfoil.billing.deposits import deposits_of
from counterfoil.companies.queries import billing_terms, sellable_companies
from counterfoil.inventory import commands as inventory
from counterfoil.inventory import queries as stock
from counterfoil.orders import commands, queries
from counterfoil.orders.models import SalesOrder, SalesOrderStatus
from counterfoil.platform.records import plain_number
from counterfoil.procurement import commands as procurement
from counterfoil.tax.queries import tax_codes
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    PageForm,
    PriceField,
    ProductField,
    QuantityField,
    SerialsField,
    asked_id,
    form_page,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.terms import TermFields
from counterfoil.web.threads import side_of
from counterfoil.web.views.waiting import waits_of

ORDERS = ListSpec(
    name="Sales orders",
    columns=(
        Column("number", "Number", kind="key"),
        Column("company", "Company", "company.name", sort="company__name", card="note"),
        Column("order_date", "Date", kind="date", sort="order_date"),
        Column("customer_po", "Customer PO", sort="customer_po"),
        Column("status", "State", kind="state", sort="status", card="note"),
        Column("lines", "Lines", "line_count", kind="quantity", sort="line_count"),
        Column("cost", "Cost", kind="money", sort="cost", total="cost"),
        Column("price", "Price", kind="money", sort="price", total="price", card="figure"),
    ),
    chips=(Chips("status", SalesOrderStatus.choices),),
    sort="-number",
    url=lambda order: reverse("web:sales_order", args=[order.pk]),
    placeholder="Number, company or customer PO",
)


@navigation.waiting
def orders_wait() -> navigation.Waits:
    """Open orders of which something has been shipped (or needs no shipping) and not been invoiced."""
    return {"orders_to_invoice": queries.orders_to_invoice()}


class OrderForm(PageForm):
    """Who orders, and on which terms."""

    rows = (("company_id", "on"), ("bill_to_id", "customer_po"), ("tax_code_id", "terms_id"))

    company_id = CompanyField(label="Company")
    on = DayField(label="Order date")
    bill_to_id = ChoiceOf(label="Bill to", required=False, empty="The company's own bill-to")
    customer_po = forms.CharField(label="Customer PO", max_length=50, required=False)
    tax_code_id = ChoiceOf(label="Tax code", required=False, empty="That of the site or company")
    terms_id = ChoiceOf(label="Terms", required=False, empty="Those of the bill-to")

    def offer(self) -> None:
        """Fill the choices."""
        choices: dict[str, Sequence[Any]] = {
            "bill_to_id": list(sellable_companies()),
            "tax_code_id": list(tax_codes(active=True)),
            "terms_id": list(billing_terms()),
        }
        for name, records in choices.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]


class OrderLineForm(LineForm):
    """A product ordered; what is left empty comes from the catalog."""

    product_id = ProductField(label="Product")
    description = forms.CharField(
        label="Description",
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"data-fill": "description", "class": "is-words"}),
    )
    quantity = QuantityField(
        label="Quantity", required=False, widget=forms.TextInput(attrs={"placeholder": "1", "class": "is-short"})
    )
    unit_cost = PriceField(label="Unit cost", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_cost"}))
    unit_price = PriceField(
        label="Unit price", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_price"})
    )


class OneLineForm(TermFields, OrderLineForm, PageForm):
    """A line on a page of its own."""

    rows = (("quantity", "unit_cost", "unit_price"), ("term", "billing_cycle", "start_date"))
    field_order = ("product_id", "description", "quantity", "unit_cost", "unit_price")


def _crumbs(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Sales orders", reverse("web:sales_orders")), *more)


def sales_orders(request: HttpRequest) -> HttpResponse:
    """All sales orders."""
    rows = queries.with_amounts(queries.sales_orders(search=search_of(request)))
    return show_list(
        request, ORDERS, rows, "web/orders/list.html", {"may": may(request, add=commands.create_sales_order)}
    )


def new(request: HttpRequest) -> HttpResponse:
    """A new order with its lines."""
    form = OrderForm(posted(request), initial={"on": today(), "company_id": asked_id(request, "company")})
    form.offer()
    lines = LineEditor(
        request, OrderLineForm, blank=2, note="Cost and price come from the catalog unless you write others"
    )
    return form_page(
        request,
        commands.create_sales_order,
        form,
        lambda: commands.create_sales_order(
            actor=actor_of(request),
            lines=[commands.OrderLineInput(**line) for line in lines.given()],
            **form.given(),
        ),
        Deed(
            title="New sales order",
            button="Make the order",
            back=reverse("web:sales_orders"),
            then=lambda made: reverse("web:sales_order", args=[made.pk]),
            said=lambda made: f"{made.number} was made.",
            crumbs=_crumbs(),
        ),
        lines=lines,
    )


def _find(pk: int) -> SalesOrder:
    found = queries.sales_order(pk)
    if found is None:
        raise Http404
    return found


def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """An order: what of each line is bought, received, shipped, invoiced, capitalised."""
    order = _find(pk)
    rows = queries.order_lines(pk)
    can = may(
        request,
        edit=commands.update_sales_order,
        close=commands.close_sales_order,
        buy=procurement.create_purchase_order,
        ship=inventory.ship_order,
        invoice=billing.invoice_sales_order,
    )
    is_open = order.status == SalesOrderStatus.OPEN
    goods = [row for row in rows if row.line.product.product_class in queries.PURCHASED]
    able = {
        "buy": is_open and can["buy"] and any(row.to_purchase for row in rows),
        "ship": is_open and can["ship"] and any(row.to_ship for row in goods),
        "invoice": is_open and can["invoice"] and any(row.to_invoice for row in rows),
    }
    arrived = any(row.received > row.shipped for row in goods)
    wanted = ("ship", "buy", "invoice") if arrived else ("buy", "invoice", "ship")
    next_step = next((step for step in wanted if able[step]), "close")  # the primary button
    context = {
        "order": order,
        "rows": rows,
        "totals": queries.totals(rows),
        "invoices": list(invoices.invoices(order_id=pk)),
        "may": can,
        "able": able,
        "next": next_step,
        **(waits_of(request, order_id=pk) if order.opportunity_id else {}),
        "deposits": deposits_of(order=order),
        **side_of(order),
    }
    return render(request, "web/orders/order.html", context)


def _deed(order: SalesOrder, title: str, button: str, said: str) -> Deed:
    here = reverse("web:sales_order", args=[order.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: f"{order.number} {said}.",
        crumbs=_crumbs((order.number, here)),
    )


def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the head of an order."""
    order = _find(pk)
    names = ("bill_to_id", "customer_po", "tax_code_id", "terms_id")
    form = OrderForm(
        posted(request), initial={"on": order.order_date, **{name: getattr(order, name) for name in names}}
    )
    form.offer()
    del form.fields["company_id"]
    form.fields["bill_to_id"].required = True

    def change() -> SalesOrder:
        given = form.given()
        return commands.update_sales_order(actor=actor_of(request), order_id=pk, order_date=given.pop("on"), **given)

    return form_page(
        request,
        commands.update_sales_order,
        form,
        change,
        _deed(order, f"Change {order.number}", "Save", "was changed"),
    )


def line_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a line."""
    order = _find(pk)
    form = OneLineForm(posted(request))

    def add() -> object:
        line = commands.OrderLineInput(**LineForm.given(form))
        return commands.add_order_line(actor=actor_of(request), order_id=pk, line=line)

    return form_page(
        request, commands.add_order_line, form, add, _deed(order, "Add a line", "Add the line", "has a new line")
    )


def line_edit(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Change a line."""
    order = _find(pk)
    line = queries.lines().filter(order_id=pk, pk=line_id).first()
    if line is None:
        raise Http404
    names = ("description", "quantity", "unit_cost", "unit_price")
    initial = {name: getattr(line, name) for name in (*names, "term", "billing_cycle", "start_date")}
    form = OneLineForm(posted(request), initial=initial)
    del form.fields["product_id"]
    for name in names:
        form.fields[name].required = True
    return form_page(
        request,
        commands.update_order_line,
        form,
        lambda: commands.update_order_line(actor=actor_of(request), line_id=line_id, **form.given()),
        _deed(order, f"Change {line.product.identifier}", "Save the line", "was changed"),
    )


@require_POST
def line_remove(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Take a line out."""
    return run_deed(
        request,
        lambda: commands.remove_order_line(actor=actor_of(request), line_id=line_id),
        then=reverse("web:sales_order", args=[pk]),
        said="The line was removed.",
    )


# -- ship --------------------------------------------------------------------------------------------------------------


class ShipForm(PageForm):
    """When it left, and how to follow it."""

    rows = (("on", "tracking_number"),)

    on = DayField(label="Shipped on")
    tracking_number = forms.CharField(label="Tracking number", max_length=50, required=False)


class ShipLineForm(LineForm):
    """What leaves of a line."""

    order_line_id = forms.IntegerField(widget=forms.HiddenInput)
    quantity = QuantityField(label="Quantity", required=False)
    bin_id = ChoiceOf(label="From", required=False)
    serials = SerialsField(label="Serial numbers")

    def is_wanted(self) -> bool:
        """A line without a quantity stays here."""
        return bool(self.cleaned_data.get("quantity"))


def ship(request: HttpRequest, pk: int) -> HttpResponse:
    """Ship what is there."""
    order = _find(pk)
    rows = [row for row in stock.lines_to_ship(pk) if row.to_ship > 0]
    form = ShipForm(posted(request), initial={"on": today()})
    lines = _ship_lines(request, rows)

    def send() -> object:
        return inventory.ship_order(
            actor=actor_of(request), order_id=pk, lines=[inventory.ShipLine(**x) for x in lines.given()], **form.given()
        )

    return form_page(
        request,
        inventory.ship_order,
        form,
        send,
        _deed(order, f"Ship {order.number}", "Ship", "was shipped"),
        lines=lines,
        template="web/orders/ship.html",
        context={"order": order},
    )


def _ship_lines(request: HttpRequest, rows: Sequence[stock.ShippableRow]) -> LineEditor:
    """A line for each that is not shipped in full: what is on hand of it, and its serial numbers, are filled in."""
    products = [row.line.product_id for row in rows]
    places, serials = stock.places_of(products), stock.serials_in_stock(products)
    ready = [max(min(row.to_ship, row.on_hand), Decimal(0)) for row in rows]
    initial = []
    for row, quantity in zip(rows, ready, strict=True):
        own = [s.serial for s in serials if s.receipt_line.purchase_order_line.order_line_id == row.line.pk]
        initial.append({"order_line_id": row.line.pk, "quantity": quantity, "serials": "\n".join(own[: int(quantity)])})
    lines = LineEditor(request, ShipLineForm, initial=initial, blank=0, required=True)
    for row, line in zip(rows, lines.formset, strict=False):
        held = places.get(row.line.product_id, [])
        line.row = row
        line.in_stock = [serial for serial in serials if serial.product_id == row.line.product_id]
        line.fields["bin_id"].choices = [
            *([("", "Choose …")] if len(held) > 1 else []),
            *((place.bin_id, f"{place.bin}: {plain_number(place.quantity)}") for place in held),
        ]
    return lines


# -- invoice, close, cancel --------------------------------------------------------------------------------------------


class InvoiceForm(PageForm):
    """When it is invoiced, and to whom."""

    rows = (("on", "bill_to_id"),)

    on = DayField(label="Invoice date")
    bill_to_id = ChoiceOf(
        label="Bill to", required=False, empty="As the order says",
        help_text="An internal company takes hardware you lease out: cost only, at zero price.",
    )  # fmt: skip


def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a draft invoice of what is not invoiced yet."""
    order = _find(pk)
    form = InvoiceForm(posted(request), initial={"on": today()})
    form.fields["bill_to_id"].offer(list(sellable_companies()))  # type: ignore[attr-defined]
    here = reverse("web:sales_order", args=[pk])
    deed = Deed(
        title=f"Invoice {order.number}",
        button="Make the draft invoice",
        back=here,
        then=lambda made: reverse("web:invoice", args=[made.pk]),
        said=lambda made: f"A draft invoice was made of {order.number}.",
        crumbs=_crumbs((order.number, here)),
        intro="The draft can still be changed or deleted. Closing it gives it its number.",
    )
    return form_page(
        request,
        billing.invoice_sales_order,
        form,
        lambda: billing.invoice_sales_order(actor=actor_of(request), order_id=pk, **form.given()),
        deed,
    )


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Nothing more is to be done for it."""
    return run_deed(
        request,
        lambda: commands.close_sales_order(actor=actor_of(request), order_id=pk),
        then=reverse("web:sales_order", args=[pk]),
        said=lambda order: f"{order.number} was closed.",
    )


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Something more is to be done for it."""
    return run_deed(
        request,
        lambda: commands.reopen_sales_order(actor=actor_of(request), order_id=pk),
        then=reverse("web:sales_order", args=[pk]),
        said=lambda order: f"{order.number} is open again.",
    )


class CancelForm(PageForm):
    """Why."""

    reason = forms.CharField(label="Reason", max_length=100)


def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """The customer does not want it any more."""
    order = _find(pk)
    form = CancelForm(posted(request))
    return form_page(
        request,
        commands.cancel_sales_order,
        form,
        lambda: commands.cancel_sales_order(actor=actor_of(request), order_id=pk, **form.given()),
        _deed(order, f"Cancel {order.number}", "Cancel the order", "was cancelled"),
    )


urlpatterns = [
    path("sales-orders/", sales_orders, name="sales_orders"),
    path("sales-orders/new/", new, name="sales_order_new"),
    path("sales-orders/<int:pk>/", detail, name="sales_order"),
    path("sales-orders/<int:pk>/edit/", edit, name="sales_order_edit"),
    path("sales-orders/<int:pk>/lines/new/", line_new, name="order_line_new"),
    path("sales-orders/<int:pk>/lines/<int:line_id>/", line_edit, name="order_line"),
    path("sales-orders/<int:pk>/lines/<int:line_id>/remove/", line_remove, name="order_line_remove"),
    path("sales-orders/<int:pk>/ship/", ship, name="sales_order_ship"),
    path("sales-orders/<int:pk>/invoice/", invoice, name="sales_order_invoice"),
    path("sales-orders/<int:pk>/close/", close, name="sales_order_close"),
    path("sales-orders/<int:pk>/reopen/", reopen, name="sales_order_reopen"),
    path("sales-orders/<int:pk>/cancel/", cancel, name="sales_order_cancel"),
]
