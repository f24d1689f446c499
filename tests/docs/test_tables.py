"""The tables of the domain pages are what the rules give."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from counterfoil.core.depreciation import Convention, DepreciationTerms, Method, schedule, yearly
from counterfoil.core.lease import EconomicsRow, LeaseTerms, lease_classification, lease_economics
from counterfoil.core.money import parse_money

DOCS = Path(__file__).resolve().parents[2] / "docs" / "domain"


def table(page: str, heading: str) -> list[dict[str, str]]:
    """The rows of the table whose head begins with ``heading``, by column."""
    lines = (DOCS / page).read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    head = [cell.strip() for cell in lines[start].strip("|").split("|")]
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(dict(zip(head, (cell.strip() for cell in line.strip("|").split("|")), strict=True)))
    return rows


def amount(text: str) -> Decimal:
    negative = text.startswith("(")
    value = parse_money(text.strip("()"), "amount")
    return -value if negative else value


LEASE = LeaseTerms(cost=Decimal(3600), price_per_month=Decimal(150), months=36, start=date(2026, 1, 1), life_months=36)


def periods(index: int) -> list[EconomicsRow]:
    option = lease_economics(LEASE).option_1 if index == 1 else lease_economics(LEASE).option_2
    return [option.months[0], option.months[1], *option.years, option.total]


def test_the_lease_page_says_what_the_economics_give() -> None:
    rows = table("lease.md", "period")
    assert [row["period"] for row in rows] == ["Jan 2026", "Feb 2026", "2026", "2027", "2028", "36 months"]
    for row, one, two in zip(rows, periods(1), periods(2), strict=True):
        said = {name: amount(text) for name, text in row.items() if name != "period"}
        assert said == {
            "revenue": one.revenue,
            "COGS 1": one.cogs,
            "profit 1": one.profit,
            "depreciation 2": two.depreciation,
            "profit 2": two.profit,
            "cash": two.cash,
            "payable": two.accounts_payable,
            "book value 2": two.net_book_value,
            "equity 1": one.equity,
            "equity 2": two.equity,
        }
        assert one.cash == two.cash


def test_the_lease_page_classifies_as_the_rule_does() -> None:
    facts = lease_classification(LEASE, Decimal("0.08"))
    text = (DOCS / "lease.md").read_text()
    assert f"{facts.present_value:,.2f}" in text
    assert facts.value_ratio is not None
    assert f"{facts.value_ratio:.0%}".replace("%", " %") in text


METHODS = {
    "straight line": Method.STRAIGHT_LINE,
    "200 % declining balance, with the switch": Method.DECLINING_BALANCE_200,
    "150 % declining balance, with the switch": Method.DECLINING_BALANCE_150,
    "MACRS 5-year, half-year": Method.MACRS_5,
    "MACRS 5-year, mid-quarter, fourth quarter": Method.MACRS_5,
}


@pytest.mark.parametrize("row", table("depreciation.md", "method"), ids=lambda row: f"{row['method']}: {row['terms']}")
def test_the_depreciation_page_says_what_the_schedules_give(row: dict[str, str]) -> None:
    method = METHODS[row["method"]]
    quarter = "mid-quarter" in row["method"]
    convention = Convention.MID_QUARTER if quarter else Convention.HALF_YEAR
    amounts = [amount(text) for text in re.findall(r"[\d,]+\.\d\d", row["terms"])]
    months = re.search(r"over (\d+) months", row["terms"])
    terms = DepreciationTerms(
        method=method,
        convention=Convention.FULL_MONTH if months else convention,
        cost=amounts[0],
        salvage=amounts[1] if len(amounts) > 1 else Decimal(0),
        in_service=date(2026, 11, 1) if quarter else date(2026, 1, 1),
        life_months=int(months[1]) if months else 60,
    )
    assert [f"{year.amount:,.2f}" for year in yearly(schedule(terms))] == row["amounts by year"].split()
