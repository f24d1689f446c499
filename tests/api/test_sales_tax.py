"""Sales tax by API: codes with dated levels, exemptions, certificates, rate files, the report."""

from __future__ import annotations

from tests.api.client import Api
from tests.api.test_errors import upload
from tests.world import World

TENNESSEE = [
    {"name": "Tennessee", "rate": "0.07", "agency": "TN Revenue", "jurisdiction": "47-45-47"},
    {"name": "Local", "rate": "0.025", "agency": "TN Revenue", "single_unit_maximum": "1600"},
    {
        "name": "Single article",
        "rate": "0.0275",
        "agency": "TN Revenue",
        "single_unit_minimum": "1600",
        "single_unit_maximum": "3200",
    },
]


def test_a_tax_code_with_all_its_rules(owner: Api, world: World) -> None:
    category = world.server_inventory.category_id
    code = owner.post(
        "/tax-codes",
        {
            "identifier": "TN",
            "state": "TN",
            "levels": TENNESSEE,
            "exemptions": [{"category_id": category, "positions": [2, 3]}],
        },
    )
    assert [(x["name"], x["single_unit_maximum"], x["compound_on"]) for x in code["levels"]] == [
        ("Tennessee", None, []),
        ("Local", "1600", []),
        ("Single article", "3200", []),
    ]
    assert [(x["category"], x["positions"]) for x in code["exemptions"]] == [("Hardware", [2, 3])]
    assert code["combined_rate"] == "0.1225"
    fee = {"name": "Fee", "rate": "1.5", "agency": "TN Revenue", "rate_type": "amount"}
    changed = owner.patch(f"/tax-codes/{code['id']}", {"levels": [TENNESSEE[0], fee], "levels_from": "2026-07-01"})
    assert [(x["name"], x["valid_from"], x["valid_to"]) for x in changed["levels"]] == [
        ("Tennessee", None, None),
        ("Local", None, "2026-07-01"),
        ("Fee", "2026-07-01", None),
        ("Single article", None, "2026-07-01"),
    ]
    assert owner.get("/tax-codes?on=2026-06-30&search=TN")["items"][0]["combined_rate"] == "0.1225"
    assert owner.get("/tax-codes?on=2026-07-01&search=TN")["items"][0]["combined_rate"] == "0.07"


def test_certificates(owner: Api, world: World) -> None:
    given = {"company_id": world.acme.pk, "number": "R-1", "reason": "Resale", "valid_from": "2026-01-01"}
    made = owner.post("/exemption-certificates", given | {"state": "mi"})
    assert (made["company"], made["state"], made["expires_on"]) == ("Acme Corp", "MI", None)
    renewed = owner.patch(f"/exemption-certificates/{made['id']}", {"expires_on": "2026-12-31"})
    assert renewed["expires_on"] == "2026-12-31"
    assert len(owner.get("/exemption-certificates?on=2026-12-31")["items"]) == 1
    assert owner.get("/exemption-certificates?on=2027-01-01")["items"] == []
    owner.post("/exemption-certificates", given | {"state": "MI"}, status=409)
    owner.post("/exemption-certificates", given | {"expires_on": "2025-01-01"}, status=422)


def test_what_is_rounded(owner: Api) -> None:
    answer = owner._checked("PUT", "/tax-settings", owner.send("PUT", "/tax-settings", {"basis": "line"}), 200)
    assert answer == {"id": 1, "basis": "line"}
    owner._checked("PUT", "/tax-settings", owner.send("PUT", "/tax-settings", {"basis": "level"}), 422)


def test_rate_files(owner: Api) -> None:
    code = owner.post("/tax-codes", {"identifier": "TN", "levels": TENNESSEE})
    content = b"47,45,47,0.0725,0.0725,0.04,0.04,20260401,29991231\n"
    looked = upload(owner, "/imports/sst-rates?preview=true", content).json()
    assert [row["changes"] for row in looked["rows"]] == ["7.25 % from 1 Apr 2026"]
    assert owner.get(f"/tax-codes/{code['id']}")["levels"][0]["rate"] == "0.07"
    assert upload(owner, "/imports/sst-rates", content).json()["updated"] == 1
    assert [x["rate"] for x in owner.get(f"/tax-codes/{code['id']}")["levels"][:2]] == ["0.07", "0.0725"]


def test_the_report(owner: Api, world: World) -> None:
    found = owner.get("/reports/sales-tax?from=2026-01-01&to=2026-01-31")
    assert (found["title"], found["rows"]) == ("Sales tax", [])
