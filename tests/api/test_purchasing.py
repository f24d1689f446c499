"""Buying through the API: what an agreement needs, for the term it was sold for."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal

import pytest
from tests.api.client import MakeApi
from tests.world import SALES, build_world

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.catalog.models import Offer, Product
from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db


def test_licences_of_an_agreement_from_demand_to_the_vendors_bills(make_api: MakeApi) -> None:
    world = build_world()
    licence = Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=world.lease.category, vendor=world.ingram, billing_cycle="month:1",
    )  # fmt: skip
    offer = Offer.objects.create(
        product=licence, term="year:1", billing_cycle="month:1", cost=Decimal("17.60"), vendor_sku="CFQ7-P1Y"
    )
    create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Licences",
        start_date=date(2026, 3, 1),
        additions=[AdditionInput(licence.pk, Decimal(10), purchase_item=True, offer_id=offer.pk, term="year:1")],
    )  # fmt: skip
    buyer = make_api(Role.PROCUREMENT)
    (row,) = buyer.get(f"/demand?vendor_id={world.ingram.pk}&on=2026-03-01")["items"]
    assert (row["order_line_id"], row["agreement_number"], row["to_buy"], row["unit_cost"]) == (
        None, "AGR-0001", "10", "17.6",
    )  # fmt: skip
    assert row["terms"] == "1 year, billed monthly, from 1 Mar 2026"

    head = {"vendor_id": world.ingram.pk, "order_date": "2026-02-20"}
    made = buyer.post("/purchase-orders", {**head, "lines": [{"addition_id": row["addition_id"]}]})
    (line,) = made["lines"]
    assert (line["offer_id"], line["term"], line["billing_cycle"], line["start_date"], line["vendor_sku"]) == (
        offer.pk, "year:1", "month:1", "2026-03-01", "CFQ7-P1Y",
    )  # fmt: skip
    assert buyer.get("/demand")["items"] == []
    wrong = buyer.send("PATCH", f"/purchase-order-lines/{line['id']}", {"end_date": "2026-02-01"})
    assert (wrong.status_code, json.loads(wrong.content)["field"]) == (422, "line.end_date")

    buyer.act(f"/purchase-orders/{made['id']}/send")
    buyer.post(f"/purchase-orders/{made['id']}/receive", {"on": "2026-03-01"})
    for month in (3, 4):
        bill = {
            "vendor_id": world.ingram.pk, "vendor_invoice_number": f"V-{month}", "date": f"2026-{month:02}-05",
            "lines": [{"purchase_order_line_id": line["id"]}],
        }  # fmt: skip
        assert buyer.post("/vendor-bills", bill)["total"] == "176.00"
    (progress,) = buyer.get(f"/purchase-orders/{made['id']}/progress")
    assert (progress["received"], progress["billed"], progress["to_bill"]) == ("10", "20", "10")
