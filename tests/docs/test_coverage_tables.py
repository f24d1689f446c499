"""The tables of the page on coverage are what the rules give."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from tests.docs.test_tables import amount, table

from counterfoil.core.calendar import MONTHLY
from counterfoil.core.coverage import Adjustment, CoverageTerms, Entry, reallocate
from counterfoil.core.rates import RateLevel, RateRow, RateType, resolve_rate

JAN_1 = date(2026, 1, 1)
HOURS = CoverageTerms(units="hours", limit=Decimal(20), cycle=MONTHLY, anchor=JAN_1, start=JAN_1)
BLOCK = replace(HOURS, units="amount", limit=Decimal(15000), one_time=True, tax_rate=Decimal("0.06"))


def hours(key: int, on: date, quantity: int) -> Entry:
    rate = Decimal(100)
    return Entry(key, on, key, "time", Decimal(quantity), rate, quantity * rate, tax_rate=Decimal("0.06"))


@pytest.mark.parametrize("row", table("coverage.md", "order"), ids=lambda row: row["order"])
def test_who_is_covered_first(row: dict[str, str]) -> None:
    terms = replace(HOURS, order="as_saved" if row["order"] == "as saved" else "by_date")
    entries = [hours(1, date(2026, 1, 20), 20), hours(2, date(2026, 1, 5), 5)]
    found = {x.key: x for x in reallocate(terms, entries, through=date(2026, 1, 31)).allocations}
    said = list(row.values())[1:]
    assert [amount(cell) for cell in said] == [
        found[1].covered_quantity,
        found[1].overage_amount,
        found[2].covered_quantity,
        found[2].overage_amount,
    ]


@pytest.mark.parametrize("row", table("coverage.md", "overruns"), ids=lambda row: row["overruns"])
def test_the_recap(row: dict[str, str]) -> None:
    """WE-26."""
    terms = replace(HOURS, allow_overruns=row["overruns"] == "allowed")
    result = reallocate(terms, [hours(1, JAN_1, 27)], [Adjustment(JAN_1, Decimal(5))], through=date(2026, 1, 31))
    (pool,), (entry,) = result.pools, result.allocations
    assert {name: amount(cell) for name, cell in row.items() if name != "overruns"} == {
        "starting": pool.starting,
        "adjustments": pool.adjustments,
        "used": pool.used,
        "remaining": pool.remaining,
        "overrun": pool.overrun,
        "overage billed": entry.overage_amount,
    }


@pytest.mark.parametrize("row", table("coverage.md", "agreement"), ids=lambda row: row["agreement"])
def test_taxed_agreements(row: dict[str, str]) -> None:
    """WE-5."""
    terms = replace(
        BLOCK,
        covers_sales_tax="does not" not in row["agreement"],
        prepayment="no prepayment" not in row["agreement"],
    )
    entries = [hours(n, JAN_1 + timedelta(days=n), 1) for n in range(1, 152)]
    result = reallocate(terms, entries, through=date(2026, 12, 31))
    first, last = result.allocations[0], result.allocations[-1]
    assert {name: amount(cell) for name, cell in row.items() if name != "agreement"} == {
        "limit": result.pools[0].starting,
        "an hour draws": first.drawn,
        "of which tax": first.covered_tax,
        "hours covered": sum(x.covered_quantity for x in result.allocations),
        "hour 151 is billed": last.overage_amount,
    }


@pytest.mark.parametrize("row", table("coverage.md", "level"), ids=lambda row: f"{row['type']} {row['rate']}")
def test_rates(row: dict[str, str]) -> None:
    """WE-3."""
    level = next(level for level in RateLevel if level.words == row["level"])
    rows = [
        RateRow(RateLevel.WORK_ROLE, amount(row["base"])),
        RateRow(level, Decimal(row["rate"]), RateType(row["type"])),
    ]
    assert resolve_rate(rows, on=JAN_1).rate == amount(row["gives"])
