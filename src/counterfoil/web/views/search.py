"""The search over everything, and what pickers offer while one types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import path

from counterfoil.agreements import queries as agreements
from counterfoil.agreements.models import AgreementStatus
from counterfoil.assets.models import Asset
from counterfoil.billing import queries as billing
from counterfoil.catalog import queries as catalog
from counterfoil.companies import queries as companies
from counterfoil.inventory import queries as inventory
from counterfoil.ledger.models import JournalEntry
from counterfoil.orders import queries as orders
from counterfoil.platform.records import plain_number
from counterfoil.procurement import queries as procurement
from counterfoil.quotes import queries as quotes
from counterfoil.web.forms import companies_to_pick
from counterfoil.web.lists import search_of
from counterfoil.web.threads import page_of_record

#: How many of each kind are shown, and offered by a picker.
SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found."""

    key: str
    title: str
    note: str
    url: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """What was found of one kind."""

    label: str
    icon: str
    hits: tuple[Hit, ...]


def _hits(rows: Iterable[Any], row: Callable[[Any], tuple[str, str, str, str]]) -> tuple[Hit, ...]:
    return tuple(
        Hit(key, title, note, page_of_record(record), state)
        for record in rows
        for key, title, note, state in [row(record)]
    )


def find(words: str) -> list[Group]:
    """What has ``words`` in its number, name or serial number, kind by kind; kinds without a hit are left out."""
    groups = [
        Group("Companies", "building", _hits(
            companies.companies(search=words)[:SHOWN], lambda c: (c.identifier, c.name, c.get_kind_display(), ""))),
        Group("Opportunities", "target", _hits(
            quotes.opportunities(search=words)[:SHOWN], lambda o: (o.number, o.name, o.company.name, o.status))),
        Group("Agreements", "contract", _hits(
            agreements.agreements(search=words).prefetch_related(None)[:SHOWN],
            lambda a: (a.number, a.name, a.company.name, a.status))),
        Group("Sales orders", "checklist", _hits(
            orders.sales_orders(search=words)[:SHOWN], lambda o: (o.number, o.company.name, o.customer_po, o.status))),
        Group("Purchase orders", "shopping-cart", _hits(
            procurement.purchase_orders(search=words)[:SHOWN],
            lambda o: (o.number, o.vendor.name, o.vendor_order_number, o.status))),
        Group("Receipts", "package-import", _hits(
            inventory.receipts(search=words)[:SHOWN],
            lambda r: (r.number, r.purchase_order.vendor.name, r.purchase_order.number, ""))),
        Group("Shipments", "truck-delivery", _hits(
            inventory.shipments(search=words)[:SHOWN],
            lambda s: (s.number, s.order.company.name, s.order.number, ""))),
        Group("Vendor bills", "receipt-2", _hits(
            procurement.bills(search=words)[:SHOWN],
            lambda b: (b.number, b.vendor.name, f"their {b.vendor_invoice_number}", ""))),
        Group("Invoices", "file-invoice", _hits(
            billing.invoices(search=words)[:SHOWN],
            lambda i: (str(i).capitalize() if not i.number else i.number, i.bill_to_name, "", i.status))),
        Group("Payments", "cash", _hits(
            billing.payments(search=words).prefetch_related(None)[:SHOWN],
            lambda p: (p.number, p.company.name, p.reference, ""))),
        Group("Products", "package", _hits(
            catalog.products(search=words)[:SHOWN],
            lambda p: (p.identifier, p.description, p.get_product_class_display(), ""))),
        Group("Serial numbers", "fingerprint", tuple(
            Hit(s.serial, s.product.identifier, _whereabouts(s), page_of_record(
                s.shipment_line.shipment if s.shipment_line else s.receipt_line.receipt), s.status)
            for s in inventory.serial_numbers(search=words)[:SHOWN])),
        Group("Assets", "server-2", _hits(
            Asset.objects.filter(number__icontains=words).select_related("company")[:SHOWN],
            lambda a: (a.number, a.description, a.company.name, a.status))),
        Group("Journal entries", "book", _hits(
            JournalEntry.objects.filter(number__icontains=words).order_by("-pk")[:SHOWN],
            lambda e: (e.number, e.memo, e.source_label, ""))),
    ]  # fmt: skip
    return [group for group in groups if group.hits]


def _whereabouts(serial: Any) -> str:
    if serial.shipment_line:
        return f"at {serial.shipment_line.shipment.order.company.name}"
    return f"in {serial.bin}" if serial.bin else ""


def search(request: HttpRequest) -> HttpResponse:
    """What was found; straight to it when it is the only one whose number was typed."""
    words = search_of(request)
    groups = find(words) if words else []
    exact = [hit for group in groups for hit in group.hits if hit.key.lower() == words.lower() and hit.url]
    if len(exact) == 1:
        return redirect(exact[0].url)
    context = {"groups": groups, "search_query": words, "count": sum(len(group.hits) for group in groups)}
    return render(request, "web/search.html", context)


def pick(request: HttpRequest, kind: str) -> JsonResponse:
    """What a picker offers for what was typed: ``value`` goes into the input, ``fill`` into the rest of its line."""
    words = search_of(request)
    if kind == "products":
        results = [
            {
                "value": product.identifier,
                "label": f"{product.description} · {product.get_product_class_display()}",
                "fill": {
                    "description": product.description,
                    "unit_price": plain_number(product.price),
                    "unit_cost": plain_number(product.cost),
                    "billing_cycle": product.billing_cycle,
                },
            }
            for product in catalog.products(search=words, active=True)[:SHOWN]
        ]
    elif kind == "offers":
        found_offers = catalog.offers(search=words.partition(":")[0], active=True)[:SHOWN]
        results = [
            {"value": catalog.offer_label(each), "label": f"{each.vendor_sku} {plain_number(each.price)}".strip()}
            for each in found_offers
        ]
    elif kind == "agreements":
        results = [
            {"value": each.number, "label": f"{each.name} · {each.company.name}"}
            for each in agreements.agreements(search=words, status=AgreementStatus.ACTIVE)[:SHOWN]
        ]
    elif kind in {"customers", "vendors", "companies"}:
        found = companies.companies(search=words).filter(pk__in=companies_to_pick(kind).values("pk"))[:SHOWN]
        results = [
            {"value": company.name, "label": f"{company.identifier} · {company.get_kind_display()}"}
            for company in found
        ]
    else:
        raise Http404
    return JsonResponse({"results": results})


urlpatterns = [path("search/", search, name="search"), path("pick/<slug:kind>/", pick, name="pick")]
