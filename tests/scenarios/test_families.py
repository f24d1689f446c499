"""A child that comes to a parent, or leaves it, brings along what is billed of it: nothing is billed twice."""

from __future__ import annotations

from tests.scenarios.office import Office, lines


def test_a_child_that_was_billed_by_itself(office: Office) -> None:
    api = office.api
    parent = office.agreement("Parent", billing_amount="100")
    office.bill("2026-01-31")
    child = office.agreement("Child", billing_amount="50")
    for month in ("2026-01-01", "2026-02-01"):
        alone = api.post(f"/agreements/{child['id']}/invoice", {})
        assert (alone["period_start"], lines(alone)) == (month, [("Child", "1", "50.00")])
        api.act(f"/invoices/{alone['id']}/close")
    office.transfer("2026-02-28")
    api.act(f"/agreements/{child['id']}/attach", {"parent_id": parent["id"]})

    office.on("2026-02-01")
    [february] = office.bill("2026-02-28")
    assert lines(february) == [("Parent", "1", "100.00")]
    api.act(f"/agreements/{child['id']}/billing-amount", {"on": "2026-01-16", "billing_amount": "81"})
    office.on("2026-03-01")
    [march] = office.bill("2026-03-31")
    assert lines(march) == [
        ("Parent", "1", "100.00"),
        ("Child", "1", "16.00"),  # 31.00 more on 16 of 31 days
        ("Child", "1", "31.00"),
        ("Child", "1", "81.00"),
    ]
    office.nothing_more("2026-03-31")


def test_a_child_that_was_billed_by_its_parent(office: Office) -> None:
    api = office.api
    parent = office.agreement("Parent", billing_amount="100")
    child = office.agreement("Child", billing_amount="50", parent_id=parent["id"])
    [january] = office.bill("2026-01-31")
    assert lines(january) == [("Parent", "1", "100.00"), ("Child", "1", "50.00")]
    api.act(f"/agreements/{child['id']}/billing-amount", {"on": "2026-01-16", "billing_amount": "81"})
    api.act(f"/agreements/{child['id']}/detach")

    office.on("2026-02-01")
    made = office.bill("2026-02-28")
    assert [lines(each) for each in made] == [
        [("Parent", "1", "100.00")],
        [("Child", "1", "16.00"), ("Child", "1", "81.00")],
    ]
    office.nothing_more("2026-02-28")


def test_an_invoice_of_before_is_taken_back(office: Office) -> None:
    """Reversed on the child's own invoice, or on that of the parent it has left: billed again where it belongs now."""
    api = office.api
    parent = office.agreement("Parent", billing_amount="100")
    leaving = office.agreement("Leaving", billing_amount="30", parent_id=parent["id"])
    [january] = office.bill("2026-01-31")
    joining = office.agreement("Joining", billing_amount="50")
    alone = api.post(f"/agreements/{joining['id']}/invoice", {})
    api.act(f"/invoices/{alone['id']}/close")
    api.act(f"/agreements/{joining['id']}/attach", {"parent_id": parent["id"]})
    api.act(f"/agreements/{leaving['id']}/detach")
    for invoice in (january, alone):
        api.post(f"/invoices/{invoice['id']}/reverse", {"reason": "Wrong address"})
    office.transfer("2026-01-31")

    made = office.bill("2026-01-31")
    assert [lines(each) for each in made] == [
        [("Parent", "1", "100.00"), ("Joining", "1", "50.00")],
        [("Leaving", "1", "30.00")],
    ]
    office.nothing_more("2026-01-31")
