"""Invoices of every kind through the API, with a moving date: drafted, closed, paid, credited, stated."""

from __future__ import annotations

import pytest
from tests.api.client import MakeApi
from tests.usage.world import engineer
from tests.world import World, build_world

from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def test_from_a_down_payment_to_a_statement(make_api: MakeApi, msp: World) -> None:
    finance = make_api(Role.FINANCE)
    base = {"company_id": msp.acme.pk, "on": "2026-03-01"}
    advance = finance.post(
        "/invoices", base | {"type": "down_payment", "lines": [{"description": "Deposit", "unit_price": "400"}]}
    )
    finance.act(f"/invoices/{advance['id']}/close")
    draft = finance.post("/invoices", base | {"type": "miscellaneous", "terms_id": msp.net30.pk})
    at = f"/invoices/{draft['id']}"
    line = finance.post(f"{at}/lines", {"line": {"description": "Move", "unit_price": "900", "kind": "service"}})
    finance.patch(f"/invoice-lines/{line['id']}", {"unit_price": "1000"})
    [left] = finance.get(f"/down-payments?for_invoice_id={draft['id']}")
    assert (left["number"], left["remaining"]) == ("INV-0001", "400.00")
    finance.act(f"{at}/apply-down-payment", {"down_payment_id": advance["id"]})
    closing = finance.act("/invoices/close", {"invoice_ids": [draft["id"], advance["id"]]})
    assert closing["invoice_ids"] == [draft["id"]]
    assert closing["not_closed"][0]["reason"]["code"] == "wrong_state"
    closed = finance.get(at)
    assert (closed["number"], closed["subtotal"], closed["tax_total"], closed["balance"]) == (
        "INV-0002", "600.00", "36.00", "636.00",
    )  # fmt: skip

    paid = finance.post(
        "/payments", {"company_id": msp.acme.pk, "on": "2026-03-10", "amount": "1200", "leave_rest": True}
    )
    assert paid["unapplied"] == "140.00"
    memo = finance.post(
        f"{at}/credit", {"on": "2026-03-12", "reason": "Agreed", "lines": [{"line_id": line["id"], "amount": "100"}]}
    )
    assert (memo["type"], memo["total"], memo["credits"]) == ("credit_memo", "-106.00", "INV-0002")
    finance.act(f"/invoices/{memo['id']}/close")
    again = finance.post(
        "/invoices", base | {"type": "miscellaneous", "lines": [{"description": "x", "unit_price": "300"}]}
    )
    finance.act(f"/invoices/{again['id']}/close")
    used = finance.post(f"/invoices/{memo['id']}/apply-credit", {"invoice_id": again["id"], "on": "2026-03-15"})
    assert used["amount"] == "106.00"
    finance.act(f"/payments/{paid['id']}/apply", {"on": "2026-03-16"})
    assert finance.get("/payments/unapplied") == []
    finance.post(f"/payments/{paid['id']}/reverse", {"on": "2026-03-20", "reason": "No funds"})

    stated = finance.get(f"/companies/{msp.acme.pk}/statement?since=2026-03-02&until=2026-03-31")
    assert (stated["opening"], stated["closing"], stated["ages"]["current"]) == ("1378.00", "1272.00", "1272.00")
    assert [(row["kind"], row["balance"]) for row in stated["entries"]] == [
        ("payment", "178.00"), ("credit_memo", "72.00"), ("payment_reversal", "1272.00"),
    ]  # fmt: skip

    reversal = finance.post(f"/invoices/{again['id']}/reverse", {"on": "2026-03-31", "reason": "Wrong"})
    assert (reversal["status"], reversal["total"], reversal["reverses"]) == ("closed", "-318.00", "INV-0003")
    reissued = finance.post(f"/invoices/{again['id']}/reissue", {"on": "2026-04-01"})
    assert (reissued["reissues"], reissued["total"], reissued["due_date"]) == ("INV-0003", "318.00", "2026-05-01")


def test_work_is_billed_by_the_rule(make_api: MakeApi, msp: World) -> None:
    finance = make_api(Role.FINANCE)
    for ticket in ("T-1", "T-2"):
        finance.post(
            "/charges/time",
            {"company_id": msp.acme.pk, "on": "2026-03-05", "hours": "1.5", "description": "Fix", "ticket": ticket,
             "work_role_id": engineer().pk},
        )  # fmt: skip
    assert finance.patch("/billing-settings", {"grouping": "ticket"})["grouping"] == "ticket"
    rows = finance.get("/work-to-bill?through=2026-03-31")
    assert [(row["ticket"], row["amount"]) for row in rows] == [("T-1", "150.00"), ("T-2", "150.00")]
    made = finance.post("/work-to-bill/invoices", {"through": "2026-03-31", "on": "2026-03-31", "grouping": "company"})
    assert (len(made["invoice_ids"]), made["left_out"]) == (1, [])
    invoice = finance.get(f"/invoices/{made['invoice_ids'][0]}")
    assert [line["explanation"] for line in invoice["lines"]] == ["1.5 h × 100.00 = 150.00"] * 2
    assert finance.get("/work-to-bill?through=2026-03-31") == []
