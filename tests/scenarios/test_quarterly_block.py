"""Thirty hours a quarter, billed in arrears: what is unused is carried over, an overrun is billed with the quarter."""

from __future__ import annotations

from tests.scenarios.office import Office, lines, sums


def test_three_quarters_in_arrears(office: Office) -> None:
    api = office.api
    block = office.agreement(
        "Thirty hours",
        kind="Recurring block",
        billing_cycle="month:3",
        billing_timing="arrears",
        billing_amount="2700",
        application_units="hours",
        application_limit="30",
        application_cycle="month:3",
        covers_time=True,
        carry_over=True,
        carry_over_days=92,
        allow_overruns=True,
        overrun_limit="10",
        overrun_from="arrears",
    )

    # First quarter: 25 of 30 hours. Nothing is billed before it ends.
    office.on("2026-02-10")
    office.worked(block, "2026-02-10", "25")
    assert office.bill("2026-03-30", "close") == []
    office.on("2026-03-31")
    [first] = office.bill("2026-03-31")
    assert (sums(first), lines(first)) == (
        ("2026-03-31", "2700.00", "2700.00"),
        [("Thirty hours", "1", "2700.00")],
    )
    assert (first["period_start"], first["period_end"]) == ("2026-01-01", "2026-04-01")

    # Second quarter: 30 and the 5 left are used up, 10 more overrun; the last 2 are beyond the limit.
    office.on("2026-05-20")
    office.worked(block, "2026-05-04", "33")
    overrun = office.worked(block, "2026-05-20", "12")
    beyond = office.worked(block, "2026-05-21", "2")
    assert (overrun["due_amount"], beyond["due_amount"]) == ("1000.00", "200.00")
    office.on("2026-06-30")
    [second] = office.bill("2026-06-30")
    assert lines(second) == [("Thirty hours", "1", "2700.00"), ("Support on 2026-05-20", "12", "1000.00")]
    assert sums(second)[:2] == ("2026-06-30", "3700.00")
    work = office.bill_work("2026-06-30")
    assert [lines(each) for each in work] == [
        [
            ("Support on 2026-02-10", "25", "0.00"),
            ("Support on 2026-05-04", "33", "0.00"),
            ("Support on 2026-05-21", "2", "200.00"),
        ]
    ]
    office.nothing_more("2026-06-30")

    # Third quarter: nothing is carried; 8 hours are used, and nothing exceeds.
    office.on("2026-09-30")
    office.worked(block, "2026-07-07", "8")
    [third] = office.bill("2026-09-30")
    assert lines(third) == [("Thirty hours", "1", "2700.00")]
    assert [sums(each)[1] for each in office.bill_work("2026-09-30")] == ["0.00"]
    table = api.get(f"/agreements/{block['id']}/recap?on=2026-09-30")
    columns = ("starting_units", "carried_in_units", "used_units", "overrun_units", "remaining_units")
    assert [tuple(row[name] for name in columns) for row in table] == [
        ("30", "0", "-25", "0", "5"),
        ("30", "5", "-45", "10", "-10"),
        ("30", "0", "-8", "0", "22"),
    ]
    office.nothing_more("2026-12-30")
