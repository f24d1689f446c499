"""What an agreement earns."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.errors import DomainError
from counterfoil.core.profitability import (
    WorkRecord,
    WrittenDown,
    labour_cost,
    profitability,
    target_hours,
    write_down,
)


def test_two_records_are_written_down_to_the_limit_by_their_shares() -> None:
    """WE-4: 200 and 600 against a limit of 500; the hour is worth 83.33."""
    records = [WorkRecord("first", D(2), D("200.00")), WorkRecord("second", D(4), D("600.00"))]
    assert write_down(D(500), records[:1]).records == (WrittenDown("first", D(200), D(0)),)
    result = write_down(D(500), records)
    assert result.records == (
        WrittenDown("first", D("125.00"), D("75.00")),
        WrittenDown("second", D("375.00"), D("225.00")),
    )
    assert (result.total, result.effective_rate) == (D("500.00"), D("83.33"))
    assert result.explanation == "800.00 is written down to 500.00, each record by its share."


cents = st.decimals(D(0), D(5000), places=2)


@given(limit=cents, values=st.lists(cents, max_size=12))
def test_the_shares_add_up_to_the_limit(limit: D, values: list[D]) -> None:
    result = write_down(limit, [WorkRecord(i, D(1), value) for i, value in enumerate(values)])
    assert result.total == min(limit, sum(values, D(0))) == sum((row.amount for row in result.records), D(0))
    assert all(row.amount + row.written_down == value for row, value in zip(result.records, values, strict=True))
    assert all(row.written_down >= 0 for row in result.records)


def test_profit_margin_effective_rate_and_contribution() -> None:
    """WE-32."""
    result = profitability(billed=D(5000), additions_cost=D(1200), labour_cost=D(1400), hours=D(40))
    assert (result.profit, result.margin) == (D("2400.00"), D("0.48"))
    assert (result.effective_rate, result.contribution) == (D("95.00"), D("60.00"))
    assert result.warning == ""


def test_a_year_billed_at_once_is_reckoned_by_the_month() -> None:
    result = profitability(billed=D(60000), additions_cost=D(14400), labour_cost=D(16800), hours=D(480), months=12)
    assert (result.billed, result.profit, result.hours) == (D("5000.00"), D("2400.00"), D(40))
    assert (result.margin, result.effective_rate) == (D("0.48"), D("95.00"))


def test_nothing_billed_or_worked_has_no_ratio() -> None:
    result = profitability(billed=D(0), additions_cost=D(10), labour_cost=D(0), hours=D(0))
    assert (result.profit, result.margin, result.effective_rate, result.contribution) == (D(-10), None, None, None)


def test_work_that_costs_nothing_is_pointed_out() -> None:
    result = profitability(billed=D(100), additions_cost=D(0), labour_cost=D(0), hours=D(3))
    assert result.warning == "The hours worked cost nothing: set the members' hourly cost."


def test_target_hours() -> None:
    """(52 % − 1,200 ÷ 5,000) × 5,000 ÷ 35 = 40."""
    told = {"billed": D(5000), "target_cost_ratio": D("0.52"), "hourly_cost": D(35)}
    assert target_hours(additions_cost=D(1200), **told) == 40
    assert target_hours(additions_cost=D(3000), **told) == 0


def test_labour_costs_the_burdened_hour_times_the_work_types_multiplier() -> None:
    assert labour_cost(D("1.5"), D(35)) == D("52.50")
    assert labour_cost(D("1.5"), D(35), D("1.25")) == D("65.63")


@pytest.mark.parametrize(
    "make",
    [
        lambda: labour_cost(D(1), D(35), D(0)),
        lambda: target_hours(billed=D(1), additions_cost=D(0), target_cost_ratio=D("0.5"), hourly_cost=D(0)),
        lambda: profitability(billed=D(1), additions_cost=D(0), labour_cost=D(0), hours=D(1), months=0),
        lambda: write_down(D("1.001"), []),
        lambda: write_down(D(1), [WorkRecord(1, D(1), D(-1))]),
    ],
)
def test_what_makes_no_sense_is_refused(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DomainError) as refusal:
        make()
    assert refusal.value.code == "invalid"
