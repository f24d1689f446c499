"""Agreements through the API: a type, an agreement of it, dated changes, periods, renewal."""

from __future__ import annotations

import pytest
from tests.api.client import MakeApi
from tests.world import World, build_world

from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def test_the_life_of_an_agreement(make_api: MakeApi, msp: World) -> None:
    sales, finance = make_api(Role.SALES), make_api(Role.FINANCE)
    kind = sales.post(
        "/agreement-types",
        {"name": "Block", "kind": "recurring_block", "application_units": "hours", "application_limit": "10",
         "covers_time": True, "covers_sales_tax": True, "billing_cycle": "quarterly"},
    )  # fmt: skip
    assert (kind["billing_cycle"], kind["application_limit"], kind["prepayment"]) == ("month:3", "10", False)
    role = sales.post("/work-roles", {"name": "Architect", "hourly_rate": "180"})
    rated = sales.send(
        "PUT",
        f"/agreement-types/{kind['id']}/work-role-rates",
        {"rates": [{"work_role_id": role["id"], "rate": "150", "effective_date": "2026-01-01"}]},
    )
    assert rated.status_code == 200
    made = sales.post(
        "/agreements",
        {"company_id": msp.acme.pk, "agreement_type_id": kind["id"], "name": "Licences", "start_date": "2026-01-01",
         "end_date": "2026-12-31", "billing_cycle": "month:1", "application_limit": "12.5",
         "additions": [{"product_id": msp.lease.pk, "quantity": "10", "unit_price": "20"}]},
    )  # fmt: skip
    at = f"/agreements/{made['id']}"
    assert (made["application_limit"], made["covers_time"], made["billing_cycle"]) == ("12.5", True, "month:1")
    assert [(rate["work_role"], rate["rate"]) for rate in made["work_role_rates"]] == [("Architect", "150")]

    addition = made["additions"][0]["id"]
    changed = sales.act(f"/additions/{addition}/change", {"on": "2026-03-17", "quantity": "12", "reason": "two more"})
    assert [(each["effective_date"], each["quantity"]) for each in changed["changes"]] == [
        ("2026-01-01", "10"),
        ("2026-03-17", "12"),
    ]
    [timeline] = sales.get(f"{at}/timeline?on=2026-04-01")
    assert (timeline["addition_id"], timeline["state"]) == (addition, "active")
    assert [(span["first"], span["last"], span["amount"]) for span in timeline["spans"]] == [
        ("2026-01-01", "2026-03-16", "200.00"),
        ("2026-03-17", "2026-12-31", "240.00"),
    ]
    sales.act(f"/additions/{addition}/cancel", {"on": "2026-06-30"})
    assert sales.act(f"/additions/{addition}/uncancel")["cancelled_date"] is None

    finance.post(f"{at}/cancelled-periods", {"period_start": "2026-01-01", "reason": "trial"})
    standing = sales.get(f"{at}/standing?on=2026-04-01")
    assert (standing["state"], standing["due_on"], standing["next_period"]) == ("active", "2026-02-01", "Feb 2026")
    assert (standing["monthly_value"], standing["next_amount"]) == ("240.00", "200.00")
    assert standing["notes"][0].startswith("Covering sales tax has no effect")
    finance.act(f"{at}/reopen-period", {"period_start": "2026-01-01"})
    given = sales.post(f"{at}/adjustments", {"on": "2026-02-01", "amount": "2.5", "description": "outage"})
    assert given["amount"] == "2.5"
    sales.delete(f"/adjustments/{given['id']}")
    sales.act(f"{at}/billing-amount", {"on": "2026-02-01", "billing_amount": "100"})

    assert [each["id"] for each in sales.get("/expiring-agreements?on=2026-11-01")["items"]] == [made["id"]]
    renewed = sales.post(f"{at}/renew", {"uplift_percent": "5"})
    assert (renewed["renews"], renewed["start_date"], renewed["end_date"]) == (
        made["number"], "2027-01-01", "2027-12-31"
    )  # fmt: skip
    assert (renewed["additions"][0]["quantity"], renewed["additions"][0]["unit_price"]) == ("12", "21")
    assert renewed["billing_amount"] == "105.00"
    assert sales.get("/expiring-agreements?on=2026-11-01")["items"] == []


def test_refusals_name_the_field_and_how_to_mend_it(make_api: MakeApi, msp: World) -> None:
    sales = make_api(Role.SALES)
    body = {"company_id": msp.acme.pk, "agreement_type_id": msp.haas.pk, "name": "X", "start_date": "2026-01-01"}
    hours = sales.post("/agreements", body | {"application_units": "hours", "covers_products": True}, status=422)
    assert (hours["field"], hours["hint"]) == (
        "covers_products",
        "Count the allocation as an amount, or cover time only.",
    )
    assert sales.post("/agreements", body | {"prepayment": True}, status=422)["field"] == "prepayment"
    assert sales.post("/agreements", body | {"billing_cycle": "lunar"}, status=422)["field"] == "billing_cycle"
    made = sales.post("/agreements", body)
    other = sales.post("/agreements", body | {"billing_cycle": "yearly"})
    family = sales.post(f"/agreements/{made['id']}/attach", {"parent_id": other["id"]}, status=409)
    assert (family["code"], family["field"]) == ("conflict", "parent_id")
