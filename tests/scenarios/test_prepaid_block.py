"""WE-5: 15,000.00 paid ahead at 6 %, used at 100.00 an hour to hour 151, and the ledger of it."""

from __future__ import annotations

import pytest
from tests.scenarios.office import Office, sums

#: Codes of accounts. What is earned of a prepaid block is revenue of the service that earns it.
RECEIVABLE, TAX_PAYABLE, DEFERRED, BILLED_AHEAD, SERVICE = "1100", "2200", "2400", "4000", "4200"


@pytest.mark.parametrize(
    ("covers_sales_tax", "limit", "drawn_by_an_hour"), [(False, "15000", "100"), (True, "15900", "106")]
)
def test_we_5_a_taxed_block_to_hour_151(
    office: Office, covers_sales_tax: bool, limit: str, drawn_by_an_hour: str
) -> None:
    api = office.api
    api.post("/agreement-types", {"name": "Prepaid block", "kind": "one_time_block", "prepayment": True})
    block = office.agreement(
        "Support block",
        kind="Prepaid block",
        start_date="2026-03-01",
        bill_one_time=True,
        billing_amount="15000",
        billing_amount_taxable=True,
        application_units="amount",
        application_limit="15000",
        application_one_time=True,
        covers_time=True,
        covers_sales_tax=covers_sales_tax,
    )

    # Paid ahead: the tax is owed once, the rest is not earned yet.
    office.on("2026-03-01")
    [invoice] = office.bill("2026-03-01")
    assert sums(invoice) == ("2026-03-01", "15000.00", "15900.00")
    assert office.balances("2026-03-01") == {RECEIVABLE: "15900.00", DEFERRED: "-15000.00", TAX_PAYABLE: "-900.00"}
    office.nothing_more("2026-03-31")

    # A hundred hours in March are earned with the invoice that shows them, which is for nothing.
    office.on("2026-03-31")
    for hours in ("40", "40", "19", "1"):
        entry = office.worked(block, "2026-03-20", hours)
    assert entry["allocation"]["drawn"] == drawn_by_an_hour
    [shown] = office.bill_work("2026-03-31")
    assert sums(shown) == ("2026-03-31", "0.00", "0.00")
    assert [line["released_amount"] for line in shown["lines"]] == ["4000.00", "4000.00", "1900.00", "100.00"]
    assert office.balances("2026-03-31") == {
        RECEIVABLE: "15900.00", DEFERRED: "-5000.00", TAX_PAYABLE: "-900.00", SERVICE: "-10000.00",
    }  # fmt: skip
    [standing] = api.get(f"/agreements/{block['id']}/recap?on=2026-03-31")
    assert (standing["starting_units"], standing["available_units"]) == (limit, str(int(float(limit)) // 3))

    # The last fifty use it up.
    office.on("2026-04-30")
    office.worked(block, "2026-04-20", "50")
    [shown] = office.bill_work("2026-04-30")
    assert sums(shown) == ("2026-04-30", "0.00", "0.00")
    assert office.balances("2026-04-30") == {
        RECEIVABLE: "15900.00", TAX_PAYABLE: "-900.00", SERVICE: "-15000.00",
    }  # fmt: skip

    # Hour 151 is billed with its tax, in both.
    office.on("2026-05-31")
    office.worked(block, "2026-05-04", "1")
    [over] = office.bill_work("2026-05-31")
    assert sums(over) == ("2026-05-31", "100.00", "106.00")
    assert office.balances("2026-05-31") == {
        RECEIVABLE: "16006.00", TAX_PAYABLE: "-906.00", SERVICE: "-15100.00",
    }  # fmt: skip
    office.nothing_more("2026-12-31")


def test_we_5_without_prepayment_covering_sales_tax_changes_nothing(office: Office) -> None:
    block = office.agreement(
        "Support block",
        start_date="2026-03-01",
        bill_one_time=True,
        billing_amount="15000",
        billing_amount_taxable=True,
        application_units="amount",
        application_limit="15000",
        application_one_time=True,
        covers_time=True,
        covers_sales_tax=True,
    )
    office.on("2026-03-01")
    [invoice] = office.bill("2026-03-01")
    assert sums(invoice)[1:] == ("15000.00", "15900.00")
    assert office.balances("2026-03-01") == {RECEIVABLE: "15900.00", BILLED_AHEAD: "-15000.00", TAX_PAYABLE: "-900.00"}
    office.on("2026-03-31")
    entry = office.worked(block, "2026-03-20", "150")
    assert (entry["allocation"]["drawn"], entry["due_amount"]) == ("15000", "0.00")
    assert [sums(each)[2] for each in office.bill_work("2026-03-31")] == ["0.00"]
    office.nothing_more("2026-12-31")
