"""Refusals have one form whatever went wrong: ``{code, message, field, hint}`` with the right status."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from tests.api.client import Api
from tests.world import World

from counterfoil.api.areas import companies as companies_area
from counterfoil.catalog import queries as catalog_queries

pytestmark = pytest.mark.django_db


def product(world: World, **more: Any) -> dict[str, Any]:
    return {
        "identifier": "X-1", "description": "A thing", "product_class": "NonInventory",
        "category_id": world.server_inventory.category_id, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ("{not json", 400, "malformed", None),
        ('{"name": NaN}', 400, "malformed", None),
        ('{"name": "a\\u0000b"}', 400, "malformed", None),
        ('{"name": "\\ud800"}', 400, "malformed", None),
        (b"\xff\xfe", 400, "malformed", None),
        ("[]", 422, "invalid", None),
        ("{}", 422, "required", "name"),
        ('{"name": 5}', 422, "invalid", "name"),
        ('{"name": ""}', 422, "required", "name"),
        ('{"name": "Hardware", "colour": "red"}', 422, "invalid", "colour"),
    ],
)
def test_bodies_that_cannot_be_taken(owner: Api, body: str | bytes, status: int, code: str, field: str | None) -> None:
    refused = owner.post("/categories", body, status=status)
    assert set(refused) >= {"code", "message", "field", "hint"}
    assert (refused["code"], refused["field"]) == (code, field)


@pytest.mark.parametrize(
    "cost", ["abc", "1e5", "NaN", "Infinity", True, [], {"a": 1}, "1.123456789", 10**16, "1,000", 1e300, None]
)
def test_numbers_that_are_none(owner: Api, world: World, cost: Any) -> None:
    refused = owner.post("/products", product(world, cost=cost), status=422)
    assert (refused["code"], refused["field"]) == ("invalid", "cost")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ('"0.085"', "0.085"),
        ("0.1", "0.1"),
        ("0.30000000", "0.3"),
        ("12345678.12345678", "12345678.12345678"),
        ("3600", "3600"),
    ],
)
def test_numbers_never_pass_through_a_float(owner: Api, world: World, written: str, kept: str) -> None:
    body = product(world)
    text = "{" + ", ".join(f'"{name}": "{value}"' for name, value in body.items() if name != "category_id")
    text += f', "category_id": {body["category_id"]}, "cost": {written}}}'
    assert owner.post("/products", text)["cost"] == kept


@pytest.mark.parametrize(
    "day", ["2026-02-30", "01/02/2026", 1767225600, "2026-01-01T00:00:00", "9999-12-31", "0001-01-01"]
)
def test_days_that_are_none(owner: Api, world: World, day: Any) -> None:
    refused = owner.post("/periods", {"first": day}, status=422)
    assert (refused["code"], refused["field"]) == ("invalid", "first")


def test_a_bad_line_is_named_by_its_place(owner: Api, world: World) -> None:
    lines = [{"product_id": world.lease.pk}, {"product_id": world.lease.pk, "quantity": "many"}]
    body = {"company_id": world.acme.pk, "name": "Deal", "lines": lines}
    assert owner.post("/opportunities", body, status=422)["field"] == "lines[1].quantity"
    lines[1] = {"product_id": 999_999}
    refused = owner.post("/opportunities", body, status=404)
    assert (refused["code"], refused["field"]) == ("not_found", "lines[1].product_id")


def test_what_a_command_refuses_keeps_its_code_and_hint(owner: Api, world: World) -> None:
    refused = owner.post("/companies", {"identifier": "AcmeCorp", "name": "Again"}, status=409)
    assert refused["code"] == "duplicate"
    refused = owner.post("/sales-orders", {"company_id": world.my_company.pk, "on": "2026-01-01"}, status=409)
    assert refused["code"] == "my_company_not_billable"


def test_addresses_that_nobody_answers(owner: Api) -> None:
    for path in ("/nothing", "/companies/1/nothing", "/companies/abc", ""):
        assert owner.get(path, status=404)["code"] == "not_found"
    assert owner.get("/companies/424242", status=404)["message"].startswith("There is no company")
    assert owner.get("/companies/99999999999999999999", status=422)["code"] == "invalid"
    other = Client().get("/api/v2/companies")
    assert (other.status_code, other.json()["code"]) == (404, "not_found")
    assert Client(enforce_csrf_checks=True).post("/api/elsewhere").status_code == 404


def test_a_method_that_a_route_does_not_know(owner: Api) -> None:
    response = owner.send("PUT", "/companies", {})
    assert response.status_code == 405
    assert response.json()["code"] == "method_not_allowed"
    assert response["Cache-Control"] == "no-store"
    assert "POST" in response["Allow"]


def test_a_fault_of_ours_tells_nothing_of_the_inside(owner: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret of the inside")

    monkeypatch.setattr(type(companies_area.companies), "prepare", fail)
    response = owner.send("GET", "/companies")
    assert response.status_code == 500
    assert response.json()["code"] == "internal"
    assert b"secret" not in response.content


def test_query_parameters_are_checked_alike(owner: Api) -> None:
    assert owner.get("/products?category_id=x", status=422)["field"] == "category_id"
    assert owner.get("/depreciation-due", status=422)["code"] == "required"
    assert owner.get("/reports/trial-balance?as_of=yesterday", status=422)["field"] == "as_of"
    assert owner.get("/products?search=%00", status=422)["code"] == "invalid"
    assert catalog_queries.products(search="").count() == 0


def test_bad_rows_of_an_import_are_all_named(owner: Api, world: World) -> None:
    rows = b"identifier,name,kind\nNewCo,New Co,customer\nBad!,,customer\nWorse,Worse,nonsense\n"
    refused = upload(owner, "/imports/companies", rows)
    assert refused.status_code == 422
    body = refused.json()
    assert body["code"] == "import_rows_invalid"
    assert {detail["row"] for detail in body["details"]} == {"3", "4"}
    assert owner.get("/companies?search=NewCo")["items"] == []


def test_an_import_is_looked_at_and_then_taken_in(owner: Api, world: World) -> None:
    rows = b"identifier,name\nNewCo,New Co\nAcmeCorp,Acme Corporation\n"
    looked = upload(owner, "/imports/companies?preview=true", rows).json()
    assert (looked["preview"], looked["created"], looked["updated"]) == (True, 1, 1)
    assert owner.get("/companies?search=NewCo")["items"] == []
    done = upload(owner, "/imports/companies", rows, **{"Idempotency-Key": "import-1"})
    assert done.status_code == 200, done.content
    assert done.json()["created"] == 1
    again = upload(owner, "/imports/companies", rows, **{"Idempotency-Key": "import-1"})
    assert (again["Idempotent-Replay"], again.content) == ("true", done.content)
    assert [c["name"] for c in owner.get("/companies?search=NewCo")["items"]] == ["New Co"]


def upload(api: Api, path: str, content: bytes, **headers: str) -> Any:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("companies.csv", content, content_type="text/csv")
    return api.client.post(f"/api/v1{path}", {"file": file}, headers=api.headers | headers)
