"""Renewals through the API: the calendar, the quotes, one anniversary, the rules of conversion."""

from __future__ import annotations

from datetime import date

import pytest
from tests.accepted import accepted, by, convert, m365
from tests.api.client import MakeApi
from tests.world import World, build_world

from counterfoil.agreements.models import Addition
from counterfoil.catalog.models import Offer
from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


@pytest.fixture
def offers(msp: World) -> dict[str, Offer]:
    return m365(msp)


@pytest.fixture
def running(msp: World, offers: dict[str, Offer]) -> Addition:
    (agreement,) = convert(accepted(msp, [by(offers["billed monthly"], 10)]), date(2026, 1, 1)).agreements
    return agreement.additions.get()


def test_the_calendar_and_the_renewal_quote(make_api: MakeApi, running: Addition) -> None:
    sales = make_api(Role.SALES)
    listed = sales.get("/renewal-calendar?since=2026-01-01&until=2026-12-31")["items"]
    assert [(entry["day"], entry["label"], entry["monthly"]) for entry in listed] == [
        ("2026-01-07", "Window closes", "231.00"),
        ("2026-12-31", "Last day for changes", "231.00"),
        ("2026-12-31", "Renewal", "231.00"),
    ]
    quote = sales.post("/renewal-quotes", {"agreement_id": running.agreement_id})
    assert (quote["kind"], quote["name"]) == ("renewal", f"Renewal of {running.agreement}, 31 Dec 2026")
    again = sales.send("POST", "/renewal-quotes", {"addition_ids": [running.pk]})
    assert again.status_code == 409


def test_a_change_quote(make_api: MakeApi, running: Addition) -> None:
    sales = make_api(Role.SALES)
    at = f"/agreements/{running.agreement_id}/change-quotes"
    more = {"addition_id": running.pk, "kind": "increase", "quantity": "2"}
    quote = sales.post(at, {"changes": [more], "start_date": "2026-03-17"})
    assert (quote["kind"], quote["name"]) == ("change", f"Change of {running.agreement} from 17 Mar 2026")
    fewer = {"addition_id": running.pk, "kind": "decrease", "quantity": "2"}
    refused = sales.send("POST", at, {"changes": [fewer], "start_date": "2026-03-17"})
    assert (refused.status_code, refused.json()["code"]) == (409, "committed")


def test_one_anniversary_for_all_a_customer_has(make_api: MakeApi, msp: World, offers: dict[str, Offer]) -> None:
    for start in (date(2025, 3, 15), date(2025, 6, 1)):
        convert(accepted(msp, [by(offers["yearly"])]), start)
    sales = make_api(Role.SALES)
    found = sales.get(f"/companies/{msp.acme.pk}/coterm-proposal?month=1")
    assert (found["end"], found["total"]) == ("2027-01-01", "365.98")  # 264.00 × 292/365 + 264.00 × 214/365
    assert [(line["start_date"], line["part"]) for line in found["lines"]] == [
        ("2026-03-15", "292 of 365 days"),
        ("2026-06-01", "214 of 365 days"),
    ]
    ids = [line["addition_id"] for line in found["lines"]]
    assert sales.post("/coterm-quotes", {"addition_ids": ids, "month": 1})["kind"] == "coterm"


def test_a_quoted_line_is_aligned(make_api: MakeApi, msp: World, offers: dict[str, Offer]) -> None:
    (agreement,) = convert(accepted(msp, [by(offers["three"])]), date(2026, 1, 1)).agreements
    sales = make_api(Role.SALES)
    more = {"addition_id": agreement.additions.get().pk, "kind": "increase", "quantity": "2"}
    at = f"/agreements/{agreement.pk}/change-quotes"
    quote = sales.post(at, {"changes": [more], "start_date": "2026-03-17"})
    line = {"product_id": offers["three"].product_id, "quantity": "2", "offer_id": offers["three"].pk}
    (made,) = sales.post(f"/quote-versions/{quote['version_id']}/lines", {"lines": [line], "on": "2026-03-17"})
    asked = {"end": "2028-06-01", "on": "2026-03-17"}
    aligned = sales.post(f"/quote-version-lines/{made['id']}/align", asked, status=200)
    assert (aligned["align_to"], aligned["first_amount"]) == ("2028-06-01", "21.29")  # 44.00 x 15/31

    # The same by changing the line, and by adding it: its first period is by the agreement's, too.
    at = f"/quote-version-lines/{made['id']}"
    loose = sales.patch(at, {"align_to": None, "start_policy": "on_acceptance"})
    assert (loose["first_amount"], loose["explanation"]) == (None, "")
    again = sales.patch(at, {"align_to": "2028-06-01", "on": "2026-03-17"})
    shown = ("align_to", "start_date", "start_policy", "first_amount", "cycles", "explanation")
    assert [again[name] for name in shown] == [aligned[name] for name in shown]
    more = sales.patch(at, {"quantity": "3"})
    assert more["first_amount"] == "31.94"
    assert more["explanation"].startswith("3 × 22.00 × 15 of 31 days (17–31 Mar 2026) = 31.94")
    line |= {"align_to": "2028-06-01", "start_policy": "aligned"}
    (added,) = sales.post(f"/quote-versions/{quote['version_id']}/lines", {"lines": [line], "on": "2026-03-17"})
    assert [added[name] for name in shown] == [aligned[name] for name in shown]


def test_conversion_rules(make_api: MakeApi, msp: World) -> None:
    sales = make_api(Role.SALES)
    assert len(sales.get("/conversion-rules")["items"]) == 6
    rule = {"target": "agreement", "agreement_type_id": msp.haas.pk, "recurring": True, "join_running": True}
    written = sales.send("PUT", "/conversion-rules", {"rules": [rule, {"target": "sales_order"}]})
    assert written.status_code == 200
    assert [row["target"] for row in sales.get("/conversion-rules")["items"]] == ["agreement", "sales_order"]
    assert sales.act("/delivered/start") == []
