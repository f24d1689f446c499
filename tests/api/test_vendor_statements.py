"""Vendors' statements through the API: looked at, imported, names confirmed, reconciled, mended, on the board."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from tests.api.client import Api, MakeApi, documented
from tests.matching.licences import SIMPLE, billed, csv_of, licence
from tests.trade import D, bought, cable, received
from tests.world import build_world

from counterfoil.platform.identity import Role
from counterfoil.procurement.commands import PurchaseLine

pytestmark = pytest.mark.django_db


def upload(api: Api, path: str, content: bytes, status: int = 200) -> Any:
    file = SimpleUploadedFile("march.csv", content, content_type="text/csv")
    answer = api.client.post(f"/api/v1{path}", {"file": file}, headers=api.headers)
    assert answer.status_code == status, answer.content.decode()[:600]
    body = answer.json()
    for error in documented("POST", path.partition("?")[0], status).iter_errors(body):
        raise AssertionError(error.message[:500])
    return body


def test_from_a_file_to_a_mended_line(make_api: MakeApi) -> None:
    msp = build_world()
    finance, sales = make_api(Role.FINANCE), make_api(Role.SALES)
    product = licence(msp)
    agreement = billed(msp, product, 10)
    content = csv_of(SIMPLE, ("Acme Corp", "M365 BP", 12, 18), ("Globex", "Business Premium", 5, 18))
    address = f"/vendor-statements?vendor_id={msp.ingram.pk}&period_start=2026-03-01&period_end=2026-03-31"

    looked = upload(finance, f"{address}&preview=true", content)["plan"]
    assert (looked["line_count"], looked["total"], looked["products"]["unknown"]) == (2, "306.00", 1)
    assert [(line["company"], line["product"]) for line in looked["lines"]] == [
        ("Acme Corp", ""), ("Globex Ltd", "Business Premium"),
    ]  # fmt: skip
    taken = upload(finance, address, content)
    assert (taken["fresh"], upload(finance, address, content)["fresh"]) == (True, False)
    upload(sales, address, content, status=403)
    [listed] = finance.get("/vendor-statements")["items"]
    assert (listed["number"], listed["unknown_lines"]) == (taken["number"], 1)
    own = f"/vendor-statements/{taken['statement_id']}"
    assert finance.get(own)["line_count"] == 2
    assert len(finance.get(f"/vendor-statement-lines?statement_id={listed['id']}&unknown_only=true")["items"]) == 1

    result = finance.act(f"{own}/reconcile")
    assert (result["counts"], result["unknown"], result["orphaned"]) == ({"orphaned": 2}, 1, "90.00")
    [name] = finance.get(f"/vendor-names?statement_id={listed['id']}")["items"]
    assert (name["kind"], name["text"], name["lines"]) == ("product", "M365 BP", 1)
    alias = finance.post(
        "/vendor-aliases",
        {"vendor_id": msp.ingram.pk, "kind": "product", "text": "M365 BP", "product_id": product.pk},
    )
    assert [row["means"] for row in finance.get("/vendor-aliases")["items"]] == ["BUSINESS-PREMIUM"]
    again = {"vendor_id": msp.ingram.pk, "names": [{"kind": "product", "text": "M365 BP", "product_id": product.pk}]}
    assert [row["id"] for row in finance.post("/vendor-aliases/confirm", again)] == [alias["id"]]
    rows = finance.get(f"/vendor-statement-comparison?statement_id={listed['id']}")["items"]
    assert [(row["company"], row["status"], row["their_quantity"], row["our_quantity"]) for row in rows] == [
        ("Acme Corp", "under_billed", "12", "10"), ("Globex Ltd", "orphaned", "5", "0"),
    ]  # fmt: skip

    board = sales.get("/leaks")
    assert (board["open"]["count"], board["open"]["monthly"]) == (2, "134.00")  # 2 x 22.00 and 5 x 18.00
    assert [row["name"] for row in sales.get("/leaks/by?by=company")] == ["Globex Ltd", "Acme Corp"]
    exception = agreement.additions.get().match_exceptions.get(code="under_billed")
    fixed = sales.act(f"/match-exceptions/{exception.pk}/fix", {"effective_date": "2026-03-01"})
    assert (fixed["status"], fixed["done"]) == ("mended", ["Business Premium from 10 to 12"])
    assert sales.get("/leaks")["mended"]["monthly"] == "44.00"
    assert sales.get("/leaks/months?through=2026-12-31&months=2")[0].keys() >= {"month", "found", "open"}
    finance.delete(f"/vendor-aliases/{alias['id']}")
    finance.delete(own, status=409)


def test_mappings_and_bills(make_api: MakeApi) -> None:
    msp = build_world()
    finance = make_api(Role.FINANCE)
    made = finance.post("/column-mappings", {"name": "Ours", "columns": {"quantity": "Wieviel", "vendor_sku": "Was"}})
    columns = {"quantity": "Wieviel", "vendor_sku": "Was", "amount": "Betrag"}
    assert finance.patch(f"/column-mappings/{made['id']}", {"columns": columns})["columns"] == columns
    assert [row["built_in"] for row in finance.get("/column-mappings")["items"]] == [True, False]

    order = bought(msp, PurchaseLine(product_id=cable(msp, vendor_sku="C6").pk, quantity=D("10"), unit_cost=D("4")))
    received(msp, order.lines.get())
    content = csv_of(("Was", "Wieviel", "Betrag"), ("C6", 12, "48.00"))
    address = f"/vendor-bills/import?vendor_id={msp.ingram.pk}&mapping=Ours&vendor_invoice_number=V-1"
    address += "&bill_date=2026-01-20"
    plan = upload(finance, f"{address}&preview=true", content)["plan"]
    assert (plan["bills"][0]["total"], plan["bills"][0]["unmatched"]) == ("40.00", "8.00")
    assert plan["bills"][0]["rows"][0]["unmatched_quantity"] == "2"
    upload(finance, address, content, status=422)
    [bill] = upload(finance, f"{address}&leave_unmatched=true", content)["bills"]
    assert (bill["vendor_invoice_number"], bill["total"]) == ("V-1", "40.00")
    finance.delete(f"/column-mappings/{made['id']}")
