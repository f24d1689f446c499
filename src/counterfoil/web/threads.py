"""Where a record has its page, and the side of every document: thread, stations, audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.db import models
from django.urls import NoReverseMatch, reverse

from counterfoil.flows.thread import Step, ThreadEvent, follow
from counterfoil.platform.audit import trail_of
from counterfoil.platform.holds import held_among

#: Label of a model -> the URL name of its page.
ADDRESSES: Final[dict[str, str]] = {
    "accounting.batch": "web:batch",
    "agreements.agreement": "web:agreement",
    "assets.asset": "web:asset",
    "billing.invoice": "web:invoice",
    "billing.payment": "web:payment",
    "catalog.product": "web:product",
    "companies.company": "web:company",
    "inventory.receipt": "web:receipt",
    "inventory.shipment": "web:shipment",
    "ledger.journalentry": "web:journal_entry",
    "orders.salesorder": "web:sales_order",
    "procurement.purchaseorder": "web:purchase_order",
    "procurement.vendorbill": "web:vendor_bill",
    "quotes.opportunity": "web:opportunity",
    "quotes.quote": "web:quote",
}

#: Label of a model whose lines are held against each other -> its name in the address of the match.
MATCHED: Final[dict[str, str]] = {
    "agreements.agreement": "agreement",
    "billing.invoice": "invoice",
    "orders.salesorder": "order",
    "procurement.purchaseorder": "purchase",
    "procurement.vendorbill": "bill",
    "quotes.quote": "quote",
}

#: Icon of each kind of event.
ICONS: Final[dict[str, str]] = {
    "quote": "file-text",
    "opportunity": "target",
    "agreement": "contract",
    "sales_order": "checklist",
    "purchase_order": "shopping-cart",
    "receipt": "package-import",
    "shipment": "truck-delivery",
    "vendor_bill": "receipt-2",
    "invoice": "file-invoice",
    "journal_entry": "book",
    "asset": "server-2",
    "depreciation": "trending-down",
}

#: How many entries of the audit trail stand beside a document.
TRAIL = 12


def address_of(label: str, pk: int | None) -> str:
    """The page of the record ``pk`` of the model ``label``; empty when it has none."""
    name = ADDRESSES.get(label)
    if name is None or pk is None:
        return ""
    try:
        return reverse(name, args=[pk])
    except NoReverseMatch:
        return ""


def page_of_record(record: models.Model | None) -> str:
    """The page of a record; empty when it has none."""
    return address_of(record._meta.label_lower, record.pk) if record is not None else ""


@dataclass(frozen=True, slots=True)
class EventView:
    """An event of the thread, as ``<c-thread>`` shows it."""

    icon: str
    title: str
    url: str
    on: date | None
    amount: Decimal | None
    state: str
    note: str
    current: bool
    difference: str


@dataclass(frozen=True, slots=True)
class StepView:
    """A station, as ``<c-stepper>`` shows it."""

    label: str
    state: str
    url: str
    note: str


def side_of(obj: models.Model, *related: models.Model) -> dict[str, Any]:
    """Context of ``document.html``: ``events``, ``steps`` and ``trail`` of a document, its ``holds`` and its match.

    Args:
        obj: the document.
        related: further records whose audit trail belongs to it (its lines).
    """
    thread = follow(obj)
    return {
        "events": [event_view(event) for event in thread.events],
        "steps": [step_view(step) for step in thread.steps],
        "trail": trail_of(obj, *related)[:TRAIL],
        "holds": held_among(obj._meta.label_lower, [obj.pk]).get(obj.pk, ()),
        "match_url": _match_url(obj),
    }


def _match_url(obj: models.Model) -> str:
    name = MATCHED.get(obj._meta.label_lower)
    return reverse("web:document_match", args=[name, obj.pk]) if name else ""


def event_view(event: ThreadEvent) -> EventView:
    """An event with its icon and address."""
    return EventView(
        icon=ICONS[event.kind],
        title=event.title,
        url=address_of(event.model, event.pk),
        on=event.on,
        amount=event.amount,
        state=event.state,
        note=event.note,
        current=event.current,
        difference=event.difference,
    )


def step_view(step: Step) -> StepView:
    """A station with its address."""
    return StepView(step.label, step.state, address_of(step.model, step.pk), step.note)
