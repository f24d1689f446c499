"""What goes wrong and is put right: an invoice that is taken back and reissued; an agreement that is parked."""

from __future__ import annotations

from tests.scenarios.office import Office, lines, sums


def test_credit_and_reissue_of_a_closed_agreement_invoice(office: Office) -> None:
    api = office.api
    licence = office.product("Licence", "20")
    agreement = office.agreement("Licences", {"product_id": licence, "quantity": 10}, customer_po="PO-7")
    [january] = office.bill("2026-01-31")
    office.on("2026-01-20")
    payment = {"company_id": office.acme, "amount": "100", "reference": "4711",
               "applications": [{"invoice_id": january["id"], "amount": "100"}]}  # fmt: skip
    api.post("/payments", payment)
    office.on("2026-02-01")
    [february] = office.bill("2026-02-28")

    # In part: two of ten licences of January were not there. With the tax of the invoice.
    office.on("2026-02-05")
    body = {"reason": "Two too many", "lines": [{"line_id": january["lines"][0]["id"], "quantity": 2}]}
    memo = api.post(f"/invoices/{january['id']}/credit", body)
    memo = api.act(f"/invoices/{memo['id']}/close")
    assert sums(memo) == ("2026-02-05", "-40.00", "-42.40")
    applied = api.post(f"/invoices/{memo['id']}/apply-credit", {"invoice_id": january["id"]})
    assert (applied["amount"], api.get(f"/invoices/{january['id']}")["balance"]) == ("42.40", "69.60")

    # Whole: February is taken back, and reissued at another price.
    office.on("2026-02-10")
    back = api.post(f"/invoices/{february['id']}/reverse", {"reason": "Wrong price"})
    assert (back["type"], back["total"], back["balance"]) == ("credit_memo", "-212.00", "0.00")
    assert api.get(f"/invoices/{february['id']}")["balance"] == "0.00"
    assert api.post(f"/invoices/{february['id']}/reverse", {"reason": "Again"}, status=409)["code"] == "wrong_state"
    again = api.post(f"/invoices/{february['id']}/reissue", {})
    assert (again["status"], again["reissues_id"], lines(again)) == (
        "draft", february["id"], [("Licence", "10", "200.00")],
    )  # fmt: skip
    assert api.post(f"/invoices/{february['id']}/reissue", {}, status=409)["code"] == "already_invoiced"
    api.patch(f"/invoice-lines/{again['lines'][0]['id']}", {"unit_price": "18"})
    again = api.act(f"/invoices/{again['id']}/close")
    assert sums(again) == ("2026-02-10", "180.00", "190.80")
    office.transfer("2026-02-28")

    statement = api.get(f"/companies/{office.acme}/statement?since=2026-01-01&until=2026-03-31")
    columns = ("date", "kind", "charge", "credit", "balance")
    assert [tuple(row[name] for name in columns) for row in statement["entries"]] == [
        ("2026-01-01", "invoice", "212.00", "0.00", "212.00"),
        ("2026-01-20", "payment", "0.00", "100.00", "112.00"),
        ("2026-02-01", "invoice", "212.00", "0.00", "324.00"),
        ("2026-02-05", "credit_memo", "0.00", "42.40", "281.60"),
        ("2026-02-10", "invoice", "190.80", "0.00", "472.40"),
        ("2026-02-10", "credit_memo", "0.00", "212.00", "260.40"),
    ]  # fmt: skip
    # On 31 March the rest of January (due 31 January) is 59 days late, the reissue (due 12 March) 19.
    assert statement["ages"] == {
        "current": "0.00", "days_30": "190.80", "days_60": "69.60", "days_90": "0.00", "older": "0.00",
        "total": "260.40",
    }  # fmt: skip
    office.nothing_more("2026-02-28")
    assert office.standing(agreement["id"])["billed_through"] == "2026-02-28"


def test_changes_around_a_reissue_are_caught_up_on(office: Office) -> None:
    """Before the reversal, between it and the reissue, and after: each is billed once; the price by hand stays."""
    api = office.api
    licence = office.product("Licence", "20")
    agreement = office.agreement("Licences", {"product_id": licence, "quantity": 10})
    january, _ = office.bill("2026-02-01")
    change = f"{office.addition(agreement, 'Licence')}/change"
    office.on("2026-02-20")
    api.post(f"/invoices/{january['id']}/reverse", {"reason": "Wrong price"})
    api.act(change, {"on": "2026-02-15", "quantity": 12})
    again = api.post(f"/invoices/{january['id']}/reissue", {})
    api.patch(f"/invoice-lines/{again['lines'][0]['id']}", {"unit_price": "18"})
    again = api.act(f"/invoices/{again['id']}/close")
    assert lines(again) == [("Licence", "10", "180.00")]
    api.act(change, {"on": "2026-02-22", "quantity": 13})
    office.transfer("2026-02-28")
    office.on("2026-03-01")
    [march] = office.bill("2026-03-01")
    assert lines(march) == [
        ("Licence", "2", "10.00"),  # 15 to 21 February: 7 of 28 days
        ("Licence", "3", "15.00"),  # 22 to 28 February
        ("Licence", "13", "260.00"),
    ]
    office.nothing_more("2026-03-31")


def test_a_parked_agreement_is_seen_mended_unparked_and_billed(office: Office) -> None:
    api = office.api
    licence = office.product("Licence", "20")
    agreement = office.agreement("Licences", {"product_id": licence, "quantity": 10})
    other = office.agreement("Hosting", billing_amount="50")
    assert len(office.bill("2026-01-31")) == 2

    # 1,200 licences for 12: the bill would be 120 times the last.
    office.on("2026-02-01")
    change = f"{office.addition(agreement, 'Licence')}/change"
    api.act(change, {"on": "2026-02-01", "quantity": 1200})
    [seen] = api.get("/billing-preview?through=2026-02-28")["parked"]
    assert (seen["agreement_id"], seen["reason"]["code"]) == (agreement["id"], "absurd_amount")
    [hosting] = office.bill("2026-02-28", parked=1)
    assert (hosting["agreement_id"], lines(hosting)) == (other["id"], [("Hosting", "1", "50.00")])
    [left_out] = api.get("/parked-in-runs")["items"]
    assert (left_out["agreement_id"], left_out["code"]) == (agreement["id"], "absurd_amount")
    assert "24,000.00" in left_out["reason"]
    assert left_out["hint"]
    assert office.parked() == [agreement["id"]]
    assert office.bill("2026-02-28") == []  # it waits until somebody has mended it

    api.act(change, {"on": "2026-02-01", "quantity": 12})
    api.act(f"/agreements/{agreement['id']}/unpark")
    [february] = office.bill("2026-02-28")
    assert (sums(february)[1], lines(february)) == ("240.00", [("Licence", "12", "240.00")])
    office.nothing_more("2026-02-28")
