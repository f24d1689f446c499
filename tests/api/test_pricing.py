"""Offers, price models, schedules, bundles and price lists by API."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.client import Api, MakeApi
from tests.api.test_errors import upload
from tests.world import World

from counterfoil.catalog.models import CommitmentRule
from counterfoil.platform.identity import Role


def test_we_16_the_usual_offers_of_a_product(owner: Api, world: World) -> None:
    rule = CommitmentRule.objects.get(name="Microsoft new commerce")
    made = owner.post(
        f"/products/{world.lease.pk}/offers",
        {"commitment_rule_id": rule.pk, "unit_price": "22", "unit_cost": "17.60", "on": "2026-01-15"},
    )
    assert {(o["term"], o["billing_cycle"]): o["price"] for o in made}["year:1", "month:1"] == "23.1"
    assert len(owner.get(f"/offers?product_id={world.lease.pk}&active=true")["items"]) == 6
    yearly = next(o for o in made if o["billing_cycle"] == "year:3")
    assert (yearly["product"], yearly["commitment_rule"], yearly["price"]) == ("HAAS-SRV", rule.name, "792")
    assert owner.act(f"/offers/{yearly['id']}/deactivate")["active"] is False
    changed = owner.patch(f"/offers/{yearly['id']}", {"price": "800.125", "vendor_sku": "CFQ7"})
    assert (changed["price"], changed["vendor_sku"]) == ("800.125", "CFQ7")
    refused = owner.post(
        "/offers", {"product_id": world.lease.pk, "term": "year:1", "billing_cycle": "month:5"}, status=422
    )
    assert refused["field"] == "billing_cycle"
    assert owner.get(f"/commitment-rules/{rule.pk}")["uplifts"][0]["term"] == "month:1"


def test_we_9_a_price_model_and_what_17_cost(owner: Api, world: World) -> None:
    tiers = [{"up_to": 2, "unit_price": 250}, {"up_to": 5, "unit_price": 125}, {"up_to": 10, "unit_price": 90}]
    made = owner.post("/price-models", {"name": "Seats", "kind": "graduated", "tiers": [*tiers, {"unit_price": "75"}]})
    assert [tier["up_to"] for tier in made["tiers"]] == ["2", "5", "10", None]
    priced = owner.get(f"/price-models/{made['id']}/price?quantity=17")
    assert (priced["amount"], priced["unit_price"]) == ("1850", "108.82352941")
    assert priced["explanation"][-1] == "above 10: 7 × 75.00 = 525.00"
    offer = owner.post(
        "/offers", {"product_id": world.lease.pk, "billing_cycle": "month:1", "price_model_id": made["id"]}
    )
    costs = owner.get(f"/price?product_id={world.lease.pk}&offer_id={offer['id']}&quantity=17")
    assert (costs["amount"], costs["source"]) == ("1850.00", "offer billed monthly, by its price model")
    refused = owner.patch(f"/price-models/{made['id']}", {"tiers": []}, status=422)
    assert refused["field"] == "tiers"


def test_a_schedule_of_a_company(owner: Api, world: World) -> None:
    made = owner.post(
        "/pricing-schedules",
        {
            "name": "Gold",
            "company_ids": [world.acme.pk],
            "breaks": [
                {"method": "discount", "value": "12.5", "product_id": world.lease.pk, "from_quantity": 5},
                {"method": "markup", "value": "20", "category_id": world.server_inventory.category_id},
            ],
        },
    )
    assert [row["company"] for row in made["companies"]] == ["Acme Corp"]
    ask = f"/price?product_id={world.lease.pk}&company_id={world.acme.pk}"
    assert owner.get(f"{ask}&quantity=4")["unit_price"] == "150"
    found = owner.get(f"{ask}&quantity=5")
    assert (found["unit_price"], found["source"]) == ("131.25", "Gold, from 5: 150.00 − 12.5 %")
    refused = owner.patch(
        f"/pricing-schedules/{made['id']}", {"breaks": [{"method": "price", "value": "1"}]}, status=422
    )
    assert refused["field"] == "breaks[0].method"
    owner.patch(f"/pricing-schedules/{made['id']}", {"active": False})
    assert owner.get(f"{ask}&quantity=5")["unit_price"] == "150"


def put(api: Api, path: str, body: object, status: int = 200) -> Any:
    return api._checked("PUT", path, api.send("PUT", path, body), status)


def test_a_bundle(owner: Api, world: World) -> None:
    bundle = owner.post(
        "/products",
        {
            "identifier": "WORKPLACE",
            "description": "Workplace",
            "product_class": "Bundle",
            "category_id": world.lease.category_id,
        },
    )
    parts = [{"product_id": world.lease.pk, "quantity": 2}, {"product_id": world.server_inventory.pk, "shown": False}]
    path = f"/products/{bundle['id']}/components"
    made = put(owner, path, {"components": parts, "price_from_components": True})
    assert [(row["product"], row["quantity"], row["shown"]) for row in made["components"]] == [
        ("HAAS-SRV", "2", True),
        ("SRV-INV", "1", False),
    ]
    assert owner.get(f"/price?product_id={bundle['id']}")["unit_price"] == "300"
    assert put(owner, path, {"components": [{"product_id": bundle["id"]}]}, status=422)["code"] == "invalid"


@pytest.mark.parametrize("address", ["/offers", "/price-models", "/pricing-schedules", "/commitment-rules"])
def test_who_only_looks_changes_nothing(make_api: MakeApi, world: World, address: str) -> None:
    viewer = make_api(Role.VIEWER, scopes=("read",))
    assert "items" in viewer.get(address)
    given = {
        "/offers": {"product_id": world.lease.pk},
        "/price-models": {"name": "X", "kind": "volume", "tiers": [{}]},
    }.get(address, {"name": "X"})
    viewer.post(address, given, status=403)


def test_a_price_list_is_looked_at_and_taken_over(owner: Api, world: World) -> None:
    content = b"product,term,billing,cost,price\r\nHAAS-SRV,1 year,monthly,100,140\r\n"
    address = f"/imports/price-lists?vendor_id={world.ingram.pk}"
    looked = upload(owner, f"{address}&preview=true", content).json()
    assert (looked["preview"], looked["created"]) == (True, 1)
    assert looked["rows"][0]["changes"] == "cost 100.00, price 140.00"
    assert owner.get("/offers")["items"] == []
    assert upload(owner, address, content).json()["created"] == 1
    assert owner.get("/offers")["items"][0]["cost"] == "100"
    assert {column["name"] for column in owner.get("/imports/price-lists/columns")} >= {"vendor_sku", "cost"}
