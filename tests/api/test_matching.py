"""The match through the API: what differs, in dollars; accepted, matched anew, by rules."""

from __future__ import annotations

import pytest
from tests.api.client import MakeApi
from tests.matching.story import D, the_example
from tests.world import build_world

from counterfoil.platform.identity import Role
from counterfoil.procurement.models import PurchaseOrderLine

pytestmark = pytest.mark.django_db


def test_the_example_from_the_match_to_the_mend(make_api: MakeApi) -> None:
    thread = the_example(build_world())
    buyer, finance = make_api(Role.PROCUREMENT), make_api(Role.FINANCE)
    matched = buyer.act(f"/purchase-orders/{thread.order.pk}/match")
    assert (matched["threads"], matched["opened"]) == (1, 2)
    term, frequency = sorted(buyer.get("/match-exceptions?status=open")["items"], key=lambda each: each["over_term"])
    assert (term["code"], term["expected"], term["actual"], term["over_term"]) == (
        "term", "3 years", "1 year", "12000.00",
    )  # fmt: skip
    assert (frequency["code"], frequency["over_term"]) == ("billing_frequency", "19250.00")
    totals = finance.get("/match-exceptions/totals")
    assert [(row["code"], row["over_term"]) for row in totals] == [
        ("billing_frequency", "19250.00"), ("term", "12000.00"),
    ]  # fmt: skip
    refused = buyer.send("POST", f"/purchase-orders/{thread.order.pk}/send")
    assert refused.status_code == 409
    assert "1 year" in refused.content.decode()
    (view,) = buyer.get(f"/quote-lines/{thread.quote.pk}/thread?on=2026-03-01")
    assert [column["leg"] for column in view["columns"]] == ["quote", "agreement", "purchase", "invoice"]
    accepted = finance.act(f"/match-exceptions/{frequency['id']}/override", {"reason": "They asked for it."})
    assert accepted["status"] == "overridden"
    assert finance.act(f"/match-exceptions/{frequency['id']}/reopen")["status"] == "open"
    PurchaseOrderLine.objects.update(term="year:3", billing_cycle="year:3", unit_cost=D(720))
    assert buyer.act("/match/changed")["mended"] == 1
    assert buyer.act(f"/purchase-orders/{thread.order.pk}/send")["status"] == "sent"
    assert finance.act("/match/everything", {"since": "2026-03-01", "through": "2026-03-31"})["threads"] == 1
    assert finance.act("/match/threads", {"origin_ids": [thread.quote.pk]})["threads"] == 1
    assert finance.act("/match/purchase-orders", {"purchase_order_ids": [thread.order.pk]})["purchase_lines"] == 1


def test_rules(make_api: MakeApi) -> None:
    build_world()
    finance, buyer = make_api(Role.FINANCE), make_api(Role.PROCUREMENT)
    tolerance = finance.send("PUT", "/match-tolerances", {"measure": "days", "amount": "3"})
    assert tolerance.status_code == 200
    rows = finance.get("/match-tolerances")["items"]
    (days,) = [row for row in rows if row["measure"] == "days"]
    assert (days["amount"], days["percent"]) == ("3", None)
    finance.delete(f"/match-tolerances/{days['id']}")
    assert buyer.send("PUT", "/match-tolerances", {"measure": "days", "amount": "3"}).status_code == 403
    assert finance.send("PUT", "/hold-rules", {"code": "serials", "holds_invoice": True}).status_code == 200
    codes = {row["code"]: row for row in finance.get("/match-codes")["items"]}
    assert codes["serials"]["holds_invoice"] is True
    assert codes["term"]["holds_purchase_order"] is True
