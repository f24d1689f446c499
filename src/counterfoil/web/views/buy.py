"""Pages: demand, purchase orders and receiving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.catalog.models import Offer
from counterfoil.companies.queries import billing_terms
from counterfoil.core.pricing.terms import term_words
from counterfoil.flows.receiving import receive_and_bill
from counterfoil.inventory import commands as inventory
from counterfoil.inventory import queries as stock
from counterfoil.procurement import commands, queries
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderStatus
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
from counterfoil.web.terms import PurchaseTermFields
from counterfoil.web.threads import side_of


@navigation.waiting
def purchasing_waits() -> navigation.Waits:
    """Lines to buy, orders to receive, orders to bill."""
    return {
        "demand": queries.demand_count(on=today()),
        "to_receive": PurchaseOrder.objects.filter(status=PurchaseOrderStatus.SENT),
        "to_bill": queries.orders_to_bill(),
    }


# -- demand ------------------------------------------------------------------------------------------------------------


def demand(request: HttpRequest) -> HttpResponse:
    """What open orders and agreements need and nobody has bought, vendor by vendor."""
    order_id, agreement_id = asked_id(request, "order"), asked_id(request, "agreement")
    rows = queries.demand(order_id=order_id, agreement_id=agreement_id, on=today())
    groups: dict[int | None, list[queries.DemandRow]] = {}
    for row in rows:
        groups.setdefault(row.vendor_id, []).append(row)
    context = {
        "groups": list(groups.items()),
        "may": may(request, buy=commands.create_purchase_order),
        "count": len(rows),
        "is_part": order_id is not None or agreement_id is not None,
    }
    return render(request, "web/buy/demand.html", context)


# -- purchase orders ---------------------------------------------------------------------------------------------------

PURCHASE_ORDERS = ListSpec(
    name="Purchase orders",
    columns=(
        Column("number", "Number", kind="key"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", card="note"),
        Column("order_date", "PO date", kind="date", sort="order_date"),
        Column("vendor_order_number", "Vendor's number", sort="vendor_order_number"),
        Column("status", "State", kind="state", sort="status", card="note"),
        Column("lines", "Lines", "line_count", kind="quantity", sort="line_count"),
        Column("total", "Total", kind="money", sort="total", total="total", card="figure"),
    ),
    chips=(Chips("status", PurchaseOrderStatus.choices),),
    sort="-number",
    url=lambda order: reverse("web:purchase_order", args=[order.pk]),
    placeholder="Number, vendor or product",
)


class PurchaseForm(PageForm):
    """From whom, and when. The PO date decides the month of the cost."""

    rows = (("vendor_id", "order_date"), ("terms_id", "vendor_order_number"))

    vendor_id = CompanyField(label="Vendor", kind="vendors")
    order_date = DayField(label="PO date", help_text="Decides the month the cost is booked in.")
    terms_id = ChoiceOf(label="Terms", required=False, empty="The vendor's")
    vendor_order_number = forms.CharField(label="Vendor's order number", max_length=50, required=False)


class DemandLineForm(PurchaseTermFields, LineForm):
    """What an order or an agreement needs and is bought now, as it was sold unless one says otherwise."""

    order_line_id = forms.IntegerField(widget=forms.HiddenInput, required=False)
    addition_id = forms.IntegerField(widget=forms.HiddenInput, required=False)
    origin_id = forms.IntegerField(widget=forms.HiddenInput, required=False)
    offer_id = forms.IntegerField(widget=forms.HiddenInput, required=False)
    quantity = QuantityField(label="Quantity", required=False)
    unit_cost = PriceField(label="Unit cost", required=False)
    bin_id = ChoiceOf(label="Into bin", required=False, empty="No bin")

    def given(self) -> dict[str, Any]:
        """What was entered; no term, and billed once, are said as well."""
        return {**super().given(), **{name: self.cleaned_data[name] for name in ("term", "billing_cycle")}}

    def is_wanted(self) -> bool:
        """A line without a quantity is not bought now."""
        return bool(self.cleaned_data.get("quantity"))


class PurchaseLineForm(LineForm):
    """A product bought for stock."""

    product_id = ProductField(label="Product")
    quantity = QuantityField(label="Quantity")
    unit_cost = PriceField(label="Unit cost", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_cost"}))
    bin_id = ChoiceOf(label="Into bin", required=False, empty="No bin")


def _bins() -> list[tuple[Any, str]]:
    return [("", "No bin"), *((place.pk, str(place)) for place in stock.bins())]


def _crumbs(*more: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return (("Buy", reverse("web:demand")), ("Purchase orders", reverse("web:purchase_orders")), *more)


def purchase_orders(request: HttpRequest) -> HttpResponse:
    """All purchase orders."""
    rows = queries.purchase_orders(search=search_of(request))
    return show_list(
        request,
        PURCHASE_ORDERS,
        rows,
        "web/buy/purchase_orders.html",
        {"may": may(request, add=commands.create_purchase_order)},
    )


def purchase_new(request: HttpRequest) -> HttpResponse:
    """A new purchase order: of the ticked demand (``?line=`` with a row's key), or of products for stock."""
    chosen = set(request.GET.getlist("line"))
    rows = [row for row in queries.demand(on=today()) if row.key in chosen] if chosen else []
    vendor = next((row.vendor_id for row in rows if row.vendor_id), None)
    form = PurchaseForm(posted(request), initial={"vendor_id": vendor, "order_date": today()})
    form.fields["terms_id"].offer(list(billing_terms()))  # type: ignore[attr-defined]
    lines = _demand_lines(request, rows) if rows else LineEditor(request, PurchaseLineForm, blank=2, required=True)
    offered = _bins()
    for line in [*lines.formset, *([] if rows else [lines.formset.empty_form])]:
        line.fields["bin_id"].choices = offered
    return form_page(
        request,
        commands.create_purchase_order,
        form,
        lambda: commands.create_purchase_order(
            actor=actor_of(request), lines=[commands.PurchaseLine(**line) for line in lines.given()], **form.given()
        ),
        Deed(
            title="New purchase order",
            button="Make the draft",
            back=reverse("web:demand") if rows else reverse("web:purchase_orders"),
            then=lambda made: reverse("web:purchase_order", args=[made.pk]),
            said=lambda made: f"{made.number} was made. Send it when it is right.",
            crumbs=_crumbs(),
        ),
        lines=lines,
        template="web/buy/purchase_from_demand.html" if rows else "web/buy/purchase_new.html",
        context={"bins": len(offered) - 1},
    )


#: What of a row of demand the line of a purchase order has as well.
_COPIED = (
    "order_line_id", "addition_id", "origin_id", "offer_id", "unit_cost",
    "term", "billing_cycle", "start_date", "end_date",
)  # fmt: skip


def _demand_lines(request: HttpRequest, rows: Sequence[queries.DemandRow]) -> LineEditor:
    places = stock.bins_of_customers()
    initial = [
        {
            **{name: getattr(row, name) for name in _COPIED},
            "quantity": row.to_buy,
            "bin_id": places.get(row.customer) if row.product_class == "Inventory" else None,
        }
        for row in rows
    ]
    lines = LineEditor(request, DemandLineForm, initial=initial, blank=0, required=True)
    for row, line in zip(rows, lines.formset, strict=False):
        line.row = row
    return lines


def _find(pk: int) -> PurchaseOrder:
    found = queries.purchase_orders().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def purchase_order(request: HttpRequest, pk: int) -> HttpResponse:
    """A purchase order: what has arrived and is billed."""
    order = _find(pk)
    rows = queries.lines_of_purchase_order(pk)
    can = may(
        request,
        edit=commands.update_purchase_order,
        receive=inventory.receive_purchase_order,
        bill=commands.enter_vendor_bill,
    )
    context = {
        "order": order,
        "rows": rows,
        "receipts": list(stock.receipts(purchase_order_id=pk)),
        "may": can,
        "is_draft": order.status == PurchaseOrderStatus.DRAFT,
        "can_receive": can["receive"]
        and order.status == PurchaseOrderStatus.SENT
        and any(row.awaited > 0 for row in rows),
        "can_bill": can["bill"] and any(row.to_bill > 0 for row in rows),
        **side_of(order),
    }
    return render(request, "web/buy/purchase_order.html", context)


def _deed(order: PurchaseOrder, title: str, button: str, said: str) -> Deed:
    here = reverse("web:purchase_order", args=[order.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: f"{order.number} {said}.",
        crumbs=_crumbs((order.number, here)),
    )


def purchase_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the head of a purchase order."""
    order = _find(pk)
    names = ("order_date", "terms_id", "vendor_order_number")
    form = PurchaseForm(posted(request), initial={name: getattr(order, name) for name in names})
    del form.fields["vendor_id"]
    form.fields["terms_id"].offer(list(billing_terms()))  # type: ignore[attr-defined]
    return form_page(
        request,
        commands.update_purchase_order,
        form,
        lambda: commands.update_purchase_order(actor=actor_of(request), purchase_order_id=pk, **form.given()),
        _deed(order, f"Change {order.number}", "Save", "was changed"),
    )


class PurchaseLinePage(PurchaseTermFields, PurchaseLineForm, PageForm):
    """A line on a page of its own."""

    rows = (
        ("quantity", "unit_cost", "bin_id"),
        ("term", "billing_cycle", "start_date", "end_date"),
        ("description", "vendor_sku"),
    )
    field_order = ("product_id", "offer_id", "quantity", "unit_cost", "bin_id")

    offer_id = ChoiceOf(label="Offer", required=False, empty="None")
    description = forms.CharField(label="Description", max_length=200, required=False)
    vendor_sku = forms.CharField(label="Vendor SKU", max_length=80, required=False)


def _offer_words(offer: Offer) -> str:
    terms = term_words(offer.term, offer.billing_cycle)
    return ", ".join(part for part in (offer.name, terms, offer.vendor_sku) if part)


def purchase_line_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a line to a draft."""
    order = _find(pk)
    form = PurchaseLinePage(posted(request))
    del form.fields["offer_id"]  # which offers there are depends on the product
    form.fields["bin_id"].choices = _bins()  # type: ignore[attr-defined]

    def add() -> object:
        line = commands.PurchaseLine(**LineForm.given(form))
        return commands.add_purchase_order_lines(actor=actor_of(request), purchase_order_id=pk, lines=[line])

    return form_page(
        request,
        commands.add_purchase_order_lines,
        form,
        add,
        _deed(order, "Add a line", "Add the line", "has a new line"),
    )


def purchase_line(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Change a line."""
    order = _find(pk)
    line = next((row.line for row in queries.lines_of_purchase_order(pk) if row.line.pk == line_id), None)
    if line is None:
        raise Http404
    names = set(PurchaseLinePage.base_fields) - {"product_id"}
    form = PurchaseLinePage(posted(request), initial={name: getattr(line, name) for name in names})
    del form.fields["product_id"]
    form.fields["offer_id"].offer(list(line.product.offers.all()), label=_offer_words)  # type: ignore[attr-defined]
    form.fields["bin_id"].choices = _bins()  # type: ignore[attr-defined]
    return form_page(
        request,
        commands.update_purchase_order_line,
        form,
        lambda: commands.update_purchase_order_line(actor=actor_of(request), line_id=line_id, **form.given()),
        _deed(order, f"Change {line.product.identifier}", "Save the line", "was changed"),
    )


@require_POST
def purchase_line_remove(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """Take a line out of a draft; what it was for is demand again."""
    return run_deed(
        request,
        lambda: commands.remove_purchase_order_line(actor=actor_of(request), line_id=line_id),
        then=reverse("web:purchase_order", args=[pk]),
        said="The line was removed.",
    )


@require_POST
def purchase_line_cancel(request: HttpRequest, pk: int, line_id: int) -> HttpResponse:
    """What has not arrived of a line will not come."""
    return run_deed(
        request,
        lambda: commands.cancel_remainder(actor=actor_of(request), line_id=line_id),
        then=reverse("web:purchase_order", args=[pk]),
        said="What had not arrived was cancelled.",
    )


@require_POST
def purchase_send(request: HttpRequest, pk: int) -> HttpResponse:
    """The vendor has it."""
    return run_deed(
        request,
        lambda: commands.send_purchase_order(actor=actor_of(request), purchase_order_id=pk),
        then=reverse("web:purchase_order", args=[pk]),
        said=lambda order: f"{order.number} was sent.",
    )


class ReasonForm(PageForm):
    """Why."""

    reason = forms.CharField(label="Reason", max_length=100, required=False)


def purchase_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """It is not bought after all."""
    order = _find(pk)
    form = ReasonForm(posted(request))
    return form_page(
        request,
        commands.cancel_purchase_order,
        form,
        lambda: commands.cancel_purchase_order(actor=actor_of(request), purchase_order_id=pk, **form.given()),
        _deed(order, f"Cancel {order.number}", "Cancel the order", "was cancelled"),
    )


# -- receiving ---------------------------------------------------------------------------------------------------------

RECEIVING = ListSpec(
    name="Receiving",
    columns=(
        Column("number", "Purchase order", "number", kind="key", sort="number"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", card="note"),
        Column("order_date", "PO date", kind="date", sort="order_date", card="note"),
        Column("awaited", "Awaited", kind="quantity", sort="awaited", total="awaited", card="figure"),
        Column("total", "Ordered", kind="money", sort="total", total="total", card="figure"),
    ),
    sort="order_date",
    url=lambda order: reverse("web:receive", args=[order.pk]),
    placeholder="Number, vendor or product",
    noun="purchase orders",
)

RECEIPTS = ListSpec(
    name="Receipts",
    columns=(
        Column("number", "Receipt", kind="key"),
        Column("date", "Date", kind="date", sort="date", card="note"),
        Column("vendor", "Vendor", "purchase_order.vendor.name", sort="purchase_order__vendor__name", card="note"),
        Column("order", "Purchase order", "purchase_order.number", sort="purchase_order__number"),
        Column("packing_slip", "Packing slip", sort="packing_slip"),
        Column("cost", "Cost", kind="money", sort="cost", total="cost", card="figure"),
    ),
    sort="-number",
    url=lambda receipt: reverse("web:receipt", args=[receipt.pk]),
    placeholder="Number or vendor",
)


def receiving(request: HttpRequest) -> HttpResponse:
    """Purchase orders of which something is awaited."""
    return show_list(
        request,
        RECEIVING,
        queries.orders_to_receive(search=search_of(request)),
        "web/buy/receiving.html",
        {"tab": "awaited"},
    )


def receipts(request: HttpRequest) -> HttpResponse:
    """What has arrived."""
    return show_list(
        request, RECEIPTS, stock.receipts(search=search_of(request)), "web/buy/receiving.html", {"tab": "receipts"}
    )


class ReceiveForm(PageForm):
    """When it arrived, and the papers in the box."""

    rows = (("on", "packing_slip"), ("vendor_invoice_number", "vendor_invoice_date"))

    on = DayField(label="Arrived on")
    packing_slip = forms.CharField(label="Packing slip", max_length=50, required=False)
    vendor_invoice_number = forms.CharField(
        label="Vendor's invoice number", max_length=20, required=False,
        help_text="Enter it to bill what you receive here in one go.",
    )  # fmt: skip
    vendor_invoice_date = DayField(label="Vendor's invoice date", required=False)


class ReceiveLineForm(LineForm):
    """What arrived of a line."""

    purchase_order_line_id = forms.IntegerField(widget=forms.HiddenInput)
    quantity = QuantityField(label="Quantity", required=False)
    bin_id = ChoiceOf(label="Into bin", required=False, empty="Choose …")
    serials = SerialsField(label="Serial numbers")

    def is_wanted(self) -> bool:
        """A line of which nothing arrived does not count."""
        return bool(self.cleaned_data.get("quantity"))


def receive(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter what has arrived of a purchase order."""
    order = _find(pk)
    rows = [row for row in queries.lines_of_purchase_order(pk) if row.awaited > 0]
    form = ReceiveForm(posted(request), initial={"on": today()})
    initial = [
        {"purchase_order_line_id": row.line.pk, "quantity": row.awaited, "bin_id": row.line.bin_id} for row in rows
    ]
    lines = LineEditor(request, ReceiveLineForm, initial=initial, blank=0, required=True)
    offered = _bins()
    for row, line in zip(rows, lines.formset, strict=False):
        line.row = row
        line.fields["bin_id"].choices = offered

    def take() -> object:
        given = form.given()
        number, dated = given.pop("vendor_invoice_number"), given.pop("vendor_invoice_date")
        given["lines"] = [inventory.ReceiveLine(**line) for line in lines.given()]
        if not number:
            return inventory.receive_purchase_order(actor=actor_of(request), purchase_order_id=pk, **given)
        return receive_and_bill(
            actor=actor_of(request),
            purchase_order_id=pk,
            vendor_invoice_number=number,
            vendor_invoice_date=dated,
            **given,
        )

    return form_page(
        request,
        inventory.receive_purchase_order,
        form,
        take,
        _deed(order, f"Receive {order.number}", "Receive", "was received"),
        lines=lines,
        template="web/buy/receive.html",
        context={"order": order, "bins": len(offered) - 1},
    )


def receipt(request: HttpRequest, pk: int) -> HttpResponse:
    """What arrived at once."""
    found = stock.receipts().filter(pk=pk).first()
    if found is None:
        raise Http404
    lines = found.lines.select_related("product", "bin__warehouse").prefetch_related("serial_numbers")
    return render(request, "web/buy/receipt.html", {"receipt": found, "lines": lines, **side_of(found)})


urlpatterns = [
    path("demand/", demand, name="demand"),
    path("purchase-orders/", purchase_orders, name="purchase_orders"),
    path("purchase-orders/new/", purchase_new, name="purchase_order_new"),
    path("purchase-orders/<int:pk>/", purchase_order, name="purchase_order"),
    path("purchase-orders/<int:pk>/edit/", purchase_edit, name="purchase_order_edit"),
    path("purchase-orders/<int:pk>/send/", purchase_send, name="purchase_order_send"),
    path("purchase-orders/<int:pk>/cancel/", purchase_cancel, name="purchase_order_cancel"),
    path("purchase-orders/<int:pk>/lines/new/", purchase_line_new, name="purchase_line_new"),
    path("purchase-orders/<int:pk>/lines/<int:line_id>/", purchase_line, name="purchase_line"),
    path("purchase-orders/<int:pk>/lines/<int:line_id>/remove/", purchase_line_remove, name="purchase_line_remove"),
    path("purchase-orders/<int:pk>/lines/<int:line_id>/cancel/", purchase_line_cancel, name="purchase_line_cancel"),
    path("receiving/", receiving, name="receiving"),
    path("receiving/receipts/", receipts, name="receipts"),
    path("receiving/receipts/<int:pk>/", receipt, name="receipt"),
    path("receiving/<int:pk>/", receive, name="receive"),
]
