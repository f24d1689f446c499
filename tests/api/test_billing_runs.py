"""Billing runs by API: previewed, started, watched, paused, resumed, cancelled."""

from __future__ import annotations

from tests.api.client import Api
from tests.fleet import seed
from tests.world import World

from counterfoil.flows.billing_work import Worker, work

JANUARY = {"through": "2026-01-31", "invoice_date": "2026-01-31"}


def test_a_run_from_its_preview_to_its_end(owner: Api, world: World) -> None:
    seed(3)
    preview = owner.get("/billing-preview?through=2026-01-31&mode=close&most_rows=2")
    assert (preview["agreements"], preview["invoices"], len(preview["rows"]), preview["parked"]) == (3, 3, 2, [])

    run = owner.post("/billing-runs", JANUARY | {"mode": "close"})
    assert (run["status"], run["agreement_count"], run["invoice_count"]) == ("rating", 3, 0)
    assert owner.post("/billing-runs", JANUARY, status=409)["code"] == "conflict"
    work(run["id"])

    done = owner.get(f"/billing-runs/{run['id']}")
    assert (done["status"], done["invoice_count"], done["total"]) == ("finished", 3, preview["total"])
    progress = owner.get(f"/billing-runs/{run['id']}/progress")
    assert (progress["percent"], progress["written"], progress["parked"]) == (100, 3, 0)
    assert owner.get("/parked-in-runs")["items"] == []
    assert [each["id"] for each in owner.get("/billing-runs?status=finished")["items"]] == [run["id"]]


def test_pausing_resuming_and_cancelling(owner: Api, world: World) -> None:
    seed(2)
    run = owner.post("/billing-runs", JANUARY | {"mode": "close"})
    assert owner.post(f"/billing-runs/{run['id']}/pause", {}, status=200)["status"] == "paused"
    assert Worker(run["id"]).step() is False
    assert owner.post(f"/billing-runs/{run['id']}/resume", {}, status=200)["status"] == "rating"
    assert owner.post(f"/billing-runs/{run['id']}/cancel", {}, status=200)["status"] == "cancelled"
    assert owner.post(f"/billing-runs/{run['id']}/resume", {}, status=409)["code"] == "wrong_state"
