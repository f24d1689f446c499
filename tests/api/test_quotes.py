"""Quotes by API: built, approved, sent, compared; and what the customer's view does not hold."""

from __future__ import annotations

import json
from typing import Any

from tests.api.client import Api, MakeApi
from tests.world import World

from counterfoil.platform.identity import Role


def quote(api: Api, world: World) -> Any:
    return api.post("/quotes", {"company_id": world.acme.pk, "name": "Office move", "on": "2026-03-02"})


def test_a_quote_from_first_line_to_sent(owner: Api, world: World) -> None:
    made = quote(owner, world)
    (version,) = made["versions"]
    path = f"/quote-versions/{version['id']}"
    section = owner.post(f"{path}/sections", {"title": "Leases"})
    lines = owner.post(
        f"{path}/lines",
        {
            "on": "2026-03-02",
            "lines": [
                {"product_id": world.lease.pk, "quantity": 10, "section_id": section["id"], "list_price": "150.125"},
                {"product_id": world.server_noninventory.pk, "list_price": "3900", "optional": True, "selected": False},
            ],
        },
    )
    assert [line["list_price"] for line in lines] == ["150.125", "3900"]
    owner.patch(f"/quote-version-lines/{lines[0]['id']}", {"discount_kind": "percent", "discount_value": "10"})
    stale = {"description": "Lease", "seen": {"description": "Another"}}
    assert owner.patch(f"/quote-version-lines/{lines[0]['id']}", stale, status=409)["code"] == "conflict"
    stale = {"title": "Lease", "seen": {"title": "Another"}}
    assert owner.patch(f"/quote-sections/{section['id']}", stale, status=409)["code"] == "conflict"
    fresh = {"title": "Lease", "seen": {"title": "Leases"}}
    assert owner.patch(f"/quote-sections/{section['id']}", fresh)["title"] == "Lease"
    owner.patch(path, {"introduction": "Dear Jane", "deposit_kind": "percent", "deposit_value": "30"})
    priced = owner.get(f"{path}/prices?on=2026-03-02")
    assert priced["lines"][0]["unit_price"] == "135.1125"
    assert priced["totals"]["monthly"] == {
        "list": "1501.25", "price": "1351.13", "cost": "0.00", "discount": "150.12", "discount_percent": "10",
        "margin": "1351.13", "margin_percent": "100",
    }  # fmt: skip
    assert priced["with_options"]["one_time"]["price"] == "3900.00"
    assert priced["tax"] == {"one_time": "0.00", "recurring": "81.07"}
    sent = owner.act(f"{path}/send", {"on": "2026-03-02"})
    assert (sent["status"], len(sent["content_sha256"])) == ("sent", 64)
    assert owner.patch(path, {"introduction": "Hello"}, status=409)["code"] == "quote_is_sent"
    assert owner.patch(f"/quote-version-lines/{lines[0]['id']}", {"quantity": 1}, status=409)["code"] == "quote_is_sent"
    assert owner.get("/quotes?status=sent")["items"][0]["version_number"] == 1

    second = owner.post(f"{path}/new-version", {"on": "2026-03-03"})
    owner.patch(f"/quote-version-lines/{second['lines'][0]['id']}", {"quantity": "12"})
    compared = owner.get(f"/quote-versions/{second['id']}/comparison?other_id={version['id']}")
    assert compared["changed"][0]["differences"] == [{"name": "Quantity", "old": "12", "new": "10"}]
    order = [line["id"] for line in second["lines"]]
    moved = {"line_ids": order[::-1], "moved": [{"line_id": order[1], "section_id": second["sections"][0]["id"]}]}
    path = f"/quote-versions/{second['id']}/line-order"
    arranged = owner._checked("PUT", path, owner.send("PUT", path, moved), 200)
    assert sorted(line["position"] for line in arranged["lines"]) == [1, 2]
    owner.delete(f"/quote-version-lines/{order[1]}")
    owner.delete(f"/quote-versions/{second['id']}")


def test_approval_by_api(owner: Api, make_api: MakeApi, world: World) -> None:
    rule = {"name": "Deep discounts", "measure": "discount", "threshold": "15", "approver_role": "finance"}
    owner.post("/approval-rules", rule)
    sales, finance = make_api(Role.SALES), make_api(Role.FINANCE)
    assert sales.post("/approval-rules", {**rule, "name": "x"}, status=403)["code"] == "role_required"
    version = quote(sales, world)["versions"][0]["id"]
    path = f"/quote-versions/{version}"
    sales.post(f"{path}/lines", {"lines": [{"product_id": world.lease.pk}]})
    sales.patch(path, {"discount_kind": "percent", "discount_value": 20})
    (asked,) = sales.get(f"{path}/approvals-needed")
    assert asked == {"rule": "Deep discounts", "reason": "Discount of 20.0 %, more than 15 %"}
    assert sales.post(f"{path}/send", {"on": "2026-03-02"}, status=409)["code"] == "approval_required"
    (approval,) = sales.act(f"{path}/submit")["approvals"]
    assert sales.post(f"/approvals/{approval['id']}/approve", status=403)["code"] == "role_required"
    assert finance.post(f"/approvals/{approval['id']}/reject", {"comment": " "}, status=422)["field"] == "comment"
    assert finance.act(f"/approvals/{approval['id']}/approve", {"comment": "Fine"})["status"] == "approved"
    assert sales.act(f"{path}/send", {"on": "2026-03-02"})["status"] == "sent"


def test_the_customers_view_has_no_cost_and_no_margin(owner: Api, world: World) -> None:
    version = quote(owner, world)["versions"][0]["id"]
    line = {"product_id": world.server_noninventory.pk, "list_price": "3900", "unit_cost": "3611.17"}
    hidden = {"product_id": world.server_inventory.pk, "hidden": True, "list_price": "0", "description": "Spare part"}
    owner.post(f"/quote-versions/{version}/lines", {"lines": [line, hidden]})
    view = owner.get(f"/quote-versions/{version}/customer-view")
    said = json.dumps(view)
    assert view["totals"]["one_time"] == "3900.00"
    assert not any(word in said for word in ("cost", "margin", "3611", "Spare part", "288.83"))


def test_how_quotes_are_made(owner: Api, make_api: MakeApi, world: World) -> None:
    settings = owner.get("/quote-settings")
    assert settings["valid_days"] == 30
    given = {name: settings[name] for name in ("terms_and_conditions", "consent", "ask_code")} | {"valid_days": 14}
    changed = owner._checked("PUT", "/quote-settings", owner.send("PUT", "/quote-settings", given), 200)
    assert changed["valid_days"] == 14
    assert make_api(Role.FINANCE).send("PUT", "/quote-settings", given).status_code == 403
    assert quote(owner, world)["versions"][0]["expires_on"] == "2026-03-16"


def test_a_link_for_the_customer(owner: Api, world: World) -> None:
    made = quote(owner, world)
    link = owner.post(f"/quotes/{made['id']}/links", {"name": "Jane Doe", "email": "jane@acme.example"})
    assert link["address"].startswith("/q/")
    (listed,) = owner.get(f"/quote-links?quote_id={made['id']}")["items"]
    assert (listed["name"], listed["revoked_at"]) == ("Jane Doe", None)
    assert owner.act(f"/quote-links/{link['link']['id']}/revoke")["revoked_at"]
