"""What additions bill on a day, for all of them at once: what vendors' quantities are held against."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import DecimalField, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from counterfoil.agreements.models import Addition, AdditionChange
from counterfoil.agreements.queries import running_on


@dataclass(frozen=True, slots=True)
class AdditionOn:
    """An addition on a day. ``later_quantity`` is what is entered for a later day, which may be the same.

    ``term`` is the addition's own, or its offer's. ``ends`` is the last day it is committed to or its agreement lasts,
    if there is one. Price and cost are per unit and ``billing_cycle``.
    """

    addition_id: int
    agreement_id: int
    company_id: int
    product_id: int
    term: str
    quantity: Decimal
    later_quantity: Decimal
    unit_price: Decimal
    unit_cost: Decimal
    billing_cycle: str
    bill_one_time: bool
    billing_option: str
    first_day: date
    ends: date | None


def additions_on(
    *,
    on: date,
    later: date,
    product_ids: Collection[int] | None = None,
    company_ids: Collection[int] | None = None,
) -> list[AdditionOn]:
    """The additions in effect on the day ``on`` or on the day ``later``, by agreement and position; one query.

    Args:
        on: the day.
        later: a day after it, on which what is entered already counts as ``later_quantity``.
        product_ids: of these products alone.
        company_ids: of these customers alone.
    """
    rows = Addition.objects.filter(
        Q(cancelled_date=None) | Q(cancelled_date__gte=on),
        effective_date__lte=later,
        agreement__in=running_on(on) | running_on(later),
    ).exclude(cancelled_date__lt=F("effective_date"))  # never in force
    if product_ids is not None:
        rows = rows.filter(product__in=product_ids)
    if company_ids is not None:
        rows = rows.filter(agreement__company__in=company_ids)
    rows = rows.annotate(
        quantity_then=_on("quantity", on),
        price_then=_on("unit_price", on),
        cost_then=_on("unit_cost", on),
        quantity_later=_on("quantity", later),
    ).order_by("agreement_id", "position")
    return [
        AdditionOn(
            addition_id=pk,
            agreement_id=agreement,
            company_id=company,
            product_id=product,
            term=term or offer_term or "",
            quantity=_within(then, on, first, last),
            later_quantity=_within(afterwards, later, first, last),
            unit_price=price,
            unit_cost=cost,
            billing_cycle=cycle,
            bill_one_time=once,
            billing_option=option,
            first_day=first,
            ends=max((day for day in (committed, end) if day is not None), default=None) if committed else end,
        )
        for (
            pk, agreement, company, product, term, offer_term, then, afterwards, price, cost, cycle, once, option,
            committed, first, last, end,
        ) in rows.values_list(
            "pk", "agreement_id", "agreement__company_id", "product_id", "term", "offer__term", "quantity_then",
            "quantity_later", "price_then", "cost_then", "agreement__billing_cycle", "agreement__bill_one_time",
            "billing_option", "committed_through", "effective_date", "cancelled_date", "agreement__end_date",
        )
    ]  # fmt: skip


def _within(quantity: Decimal, day: date, first: date, last: date | None) -> Decimal:
    """The quantity on a day, zero outside the addition's own days."""
    return quantity if first <= day and (last is None or day <= last) else Decimal(0)


def _on(name: str, day: date) -> Any:
    """What held on the day by the addition's changes; its own value where it was never changed."""
    changes = AdditionChange.objects.filter(addition=OuterRef("pk"))
    before = changes.filter(effective_date__lte=day).order_by("-effective_date").values(name)[:1]
    first = changes.order_by("effective_date").values(name)[:1]
    return Coalesce(Subquery(before), Subquery(first), name, output_field=DecimalField())
