"""Five months of a managed service agreement: what changes is caught up on, what ends is given back, each once."""

from __future__ import annotations

from tests.scenarios.office import Office, lines, sums


def test_five_months(office: Office) -> None:
    api = office.api
    users, licence = office.product("User", "10"), office.product("Licence", "20")
    mailbox, firewall = office.product("Mailbox", "15"), office.product("Firewall", "22")
    server, address = office.product("Virtual server", "310"), office.product("Address", "31")
    managed = office.agreement(
        "Managed service",
        {"product_id": users, "quantity": 25, "less_included": 5},
        {"product_id": licence, "quantity": 10},
        kind="Managed service",
        billing_amount="500",
        billing_amount_taxable=True,
    )
    hosting = office.agreement(
        "Hosting", {"product_id": server}, {"product_id": address, "quantity": 2}, credits="credit_memo"
    )

    # January: 500.00 and (25 - 5) users at 10.00 are 700.00 (WE-18); licences beside them.
    january, hosted = office.bill("2026-01-01")
    assert lines(january) == [("Managed service", "1", "500.00"), ("User", "20", "200.00"), ("Licence", "10", "200.00")]
    assert sums(january) == ("2026-01-01", "900.00", "954.00")
    assert lines(hosted) == [("Virtual server", "1", "310.00"), ("Address", "2", "62.00")]

    office.on("2026-01-20")
    office.add(managed, mailbox, quantity=4, effective_date="2026-02-01")
    backup = office.agreement("Backup", start_date="2026-02-01", billing_amount="100", parent_id=managed["id"])

    # February: the mailboxes, and the child on its parent's invoice.
    office.on("2026-02-01")
    february, hosted = office.bill("2026-02-01")
    assert lines(february) == [
        ("Managed service", "1", "500.00"),
        ("User", "20", "200.00"),
        ("Licence", "10", "200.00"),
        ("Mailbox", "4", "60.00"),
        ("Backup", "1", "100.00"),
    ]
    assert february["lines"][-1]["agreement_id"] == backup["id"]
    assert sums(february) == ("2026-02-01", "1060.00", "1117.60")  # the child's amount is not taxable

    office.on("2026-03-01")
    march, hosted = office.bill("2026-03-01")
    assert sums(march)[1:] == sums(february)[1:]
    assert sums(hosted)[1] == "372.00"

    # A server less from 11 March on: given back at once, by a credit memo.
    office.on("2026-03-10")
    api.act(f"{office.addition(hosting, 'Virtual server')}/cancel", {"on": "2026-03-10", "reason": "moved"})
    office.on("2026-03-12")
    [memo] = office.bill("2026-03-12")
    assert (memo["type"], lines(memo)) == ("credit_memo", [("Virtual server", "-1", "-210.00")])  # 310.00 x 21/31
    assert sums(memo) == ("2026-03-12", "-210.00", "-222.60")

    # Two licences more on 17 March (WE-8), two firewalls that were there since 15 March (WE-2), a price from April on.
    office.on("2026-03-17")
    api.act(f"{office.addition(managed, 'Licence')}/change", {"on": "2026-03-17", "quantity": 12})
    office.on("2026-03-25")
    office.add(managed, firewall, quantity=2, effective_date="2026-03-15")
    api.act(f"{office.addition(managed, 'User')}/change", {"on": "2026-04-01", "unit_price": "11"})
    office.on("2026-04-01")
    april, hosted = office.bill("2026-04-01")
    assert lines(april) == [
        ("Managed service", "1", "500.00"),
        ("User", "20", "220.00"),
        ("Licence", "2", "19.35"),  # 20.00 x 15/31 for each
        ("Licence", "12", "240.00"),
        ("Mailbox", "4", "60.00"),
        ("Firewall", "2", "24.13"),  # 22.00 x 17/31 for each
        ("Firewall", "2", "44.00"),
        ("Backup", "1", "100.00"),
    ]
    caught_up = {line["description"]: line["explanation"] for line in reversed(april["lines"])}
    assert "15 Mar 2026" in caught_up["Firewall"]
    assert "17 of 31 days" in caught_up["Firewall"]
    assert sums(april) == ("2026-04-01", "1207.48", "1273.93")  # 6 % of 1,107.48 are 66.45
    assert lines(hosted) == [("Address", "2", "62.00")]

    # Mailboxes and the child end on 15 and 20 April: given back on the next invoice. Hosting is free in May.
    office.on("2026-04-15")
    api.act(f"{office.addition(managed, 'Mailbox')}/cancel", {"on": "2026-04-15"})
    office.on("2026-04-20")
    api.act(f"/agreements/{backup['id']}/cancel", {"on": "2026-04-20", "reason": "Done in house"})
    period = {"period_start": "2026-05-01", "reason": "Free while the address block is moved"}
    api.post(f"/agreements/{hosting['id']}/cancelled-periods", period)
    office.nothing_more("2026-04-30")
    office.on("2026-05-01")
    [may] = office.bill("2026-05-01")
    assert lines(may) == [
        ("Managed service", "1", "500.00"),
        ("User", "20", "220.00"),
        ("Licence", "12", "240.00"),
        ("Mailbox", "-4", "-30.00"),  # 16 to 30 April
        ("Firewall", "2", "44.00"),
        ("Backup", "-1", "-33.33"),  # 21 to 30 April
    ]
    assert sums(may) == ("2026-05-01", "940.67", "999.11")
    office.nothing_more("2026-05-31")
    june = api.get("/billing-preview?through=2026-06-01")["rows"]
    amounts = {row["agreement"]: row["amount"] for row in june}
    assert amounts == {managed["number"]: "1004.00", hosting["number"]: "62.00"}


def test_running_late_bills_the_same(office: Office) -> None:
    """Five months in one go, changed before: the same sums month by month as billed in time."""
    licence = office.product("Licence", "20")
    agreement = office.agreement("Licences", {"product_id": licence, "quantity": 10})
    office.on("2026-05-02")
    office.api.act(f"{office.addition(agreement, 'Licence')}/change", {"on": "2026-03-17", "quantity": 12})
    office.api.act(f"{office.addition(agreement, 'Licence')}/cancel", {"on": "2026-04-15"})
    made = office.bill("2026-05-31")
    assert [(sums(each)[:2], lines(each)) for each in made] == [
        (("2026-01-01", "200.00"), [("Licence", "10", "200.00")]),
        (("2026-02-01", "200.00"), [("Licence", "10", "200.00")]),
        (("2026-03-01", "219.35"), [("Licence", "10", "103.22"), ("Licence", "12", "116.13")]),
        (("2026-04-01", "120.00"), [("Licence", "12", "120.00")]),
    ]
    office.nothing_more("2026-05-31")
