"""Time, expenses and coverage through the API: entered, covered, adjusted, decided anew."""

from __future__ import annotations

import pytest
from tests.api.client import MakeApi
from tests.usage.world import adjust, covering, engineer
from tests.world import build_world

from counterfoil.agreements.models import Agreement
from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db


def test_a_month_of_support(make_api: MakeApi) -> None:
    msp = build_world()
    sales, finance = make_api(Role.SALES), make_api(Role.FINANCE)
    agreement = covering(msp)
    role = sales.post("/work-roles", {"name": "Architect", "hourly_rate": "180"})
    kind = sales.post("/work-types", {"name": "On site", "rate_type": "AdjAmount", "rate": "20", "hours_min": "0.5"})
    meals = sales.post("/expense-types", {"name": "Meals"})
    body = {"company_id": msp.acme.pk, "agreement_id": agreement.pk, "on": "2026-01-20", "description": "Design"}
    late = sales.post(
        "/charges/time", body | {"hours": "19.75", "work_role_id": role["id"], "work_type_id": kind["id"]}
    )
    assert (late["unit_price"], late["amount"], late["due_amount"]) == ("200", "3950.00", "0.00")
    assert late["allocation"]["explanation"] == "19.75 hours covered; 0.25 hours left of Jan 2026."
    early = sales.post("/charges/time", body | {"hours": "5", "work_role_id": engineer().pk, "on": "2026-01-05"})
    assert early["allocation"]["covered_quantity"] == "5"
    assert sales.get(f"/charges/{late['id']}")["due_amount"] == "950.00"
    meal = sales.post(
        "/charges/expenses",
        {"company_id": msp.acme.pk, "on": "2026-01-20", "expense_type_id": meals["id"], "unit_price": "12.50",
         "description": "Lunch"},
    )  # fmt: skip
    assert (meal["allocation"], meal["due_amount"]) == (None, "12.50")
    used = sales.post("/charges/products", {"company_id": msp.acme.pk, "on": "2026-01-20", "unit_price": "40",
                                            "product_id": msp.server_noninventory.pk})  # fmt: skip
    assert used["kind"] == "product"

    [recap] = sales.get(f"/agreements/{agreement.pk}/recap?on=2026-01-31")
    assert (recap["starting_units"], recap["used_units"], recap["available_units"]) == ("20", "-20", "0")
    adjust(agreement, agreement.start_date, "3.125")
    rows = sales.get(f"/agreements/{agreement.pk}/reallocation")
    assert [(row["changes"], row["old_covered_quantity"], row["new_covered_quantity"]) for row in rows] == [
        (False, "5", "5"),
        (True, "15", "18.125"),
    ]
    done = finance.act(f"/agreements/{agreement.pk}/reallocate")
    assert (done["agreement"], done["changed"], done["overage_amount"]) == (agreement.number, 1, "325.00")
    assert sales.get(f"/charges/{late['id']}")["due_amount"] == "325.00"

    [waiting] = sales.get("/unbilled?through=2026-01-31")["items"]
    assert (waiting["company"], waiting["charges"], waiting["due_amount"]) == ("Acme Corp", 4, "377.50")
    written = finance.act(f"/charges/{late['id']}/write-off", {"reason": "Goodwill"})
    assert (written["allocation"], written["write_off_reason"]) == (None, "Goodwill")
    assert finance.act(f"/charges/{late['id']}/restore")["due_amount"] == "325.00"
    changed = sales.patch(f"/charges/{early['id']}", {"quantity": "2"})
    assert changed["amount"] == "200.00"
    sales.delete(f"/charges/{meal['id']}")
    found = sales.get("/charges?status=open&kind=time")["items"]
    assert [(each["id"], each["due_amount"]) for each in found] == [(late["id"], "0.00"), (early["id"], "0.00")]


def test_refusals_name_the_field(make_api: MakeApi) -> None:
    msp = build_world()
    sales = make_api(Role.SALES)
    body = {"company_id": msp.acme.pk, "hours": "1", "description": "x", "work_role_id": engineer().pk}
    Agreement.objects.filter(pk=(other := covering(msp)).pk).update(company=msp.globex)
    assert sales.post("/charges/time", body | {"agreement_id": other.pk}, status=422)["field"] == "agreement_id"
    assert sales.post("/charges/time", body | {"hours": "0"}, status=422)["field"] == "hours"
    assert sales.post("/work-types", {"name": "x", "cost_multiplier": "0"}, status=422)["field"] == "cost_multiplier"
