"""The tables of the sales tax page are what the rules give."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.core.test_salestax import TENNESSEE, booked
from tests.docs.test_tables import amount, table

from counterfoil.core.money import parse_decimal
from counterfoil.core.salestax import TaxableLine, TaxLevel, compute_tax, tax_of_credit

PAGE = "sales-tax.md"
SIX = [TaxLevel("State", Decimal("0.06"))]


def level(text: str, name: str = "State") -> TaxLevel:
    """A level of ``6 %``."""
    return TaxLevel(name, Decimal(text.removesuffix("%").strip()) / 100)


def exact(text: str) -> Fraction:
    return Fraction(parse_decimal(text, "exact", places=6, digits=6))


@pytest.mark.parametrize("row", table(PAGE, "amount | rate"), ids=lambda row: row["amount"])
def test_rounded_once(row: dict[str, str]) -> None:
    rate = level(row["rate"])
    assert exact(row["exact"]) == Fraction(amount(row["amount"])) * Fraction(rate.rate)
    assert compute_tax([TaxableLine(1, amount(row["amount"]))], [rate]).total == amount(row["tax"])


@pytest.mark.parametrize("row", table(PAGE, "lines | rate"), ids=lambda row: row["lines"])
def test_each_line_or_the_invoice(row: dict[str, str]) -> None:
    count, price = re.split(" × ", row["lines"])
    lines = [TaxableLine(i, amount(price)) for i in range(int(count))]
    assert compute_tax(lines, [level(row["rate"])], "line").total == amount(row["each line rounded"])
    assert compute_tax(lines, [level(row["rate"])], "invoice").total == amount(row["the invoice rounded"])


def test_levels_add_up() -> None:
    *rows, together = table(PAGE, "level | rate")
    result = compute_tax([TaxableLine(1, Decimal("33.37"))], [level(row["rate"], row["level"]) for row in rows])
    assert [(x.name, x.amount) for x in result.by_level] == [(row["level"], amount(row["amount"])) for row in rows]
    assert result.total == amount(together["amount"])
    for row in (*rows, together):
        assert exact(row["exact"]) == Fraction("33.37") * Fraction(level(row["rate"]).rate)


@pytest.mark.parametrize("row", table(PAGE, "amount | quantity"), ids=lambda row: row["amount"])
def test_we_17_single_articles(row: dict[str, str]) -> None:
    result = compute_tax([TaxableLine(1, amount(row["amount"]), quantity=Decimal(row["quantity"]))], TENNESSEE)
    said = [amount(row[name]) for name in ("state", "local", "single article", "total")]
    assert [*(x.amount for x in result.by_level), result.total] == said


@pytest.mark.parametrize("row", table(PAGE, "invoiced"), ids=lambda row: row["invoiced"])
def test_we_5_what_an_agreement_covers_bears_no_tax(row: dict[str, str]) -> None:
    remains = amount(row["amount"]) - amount(row["covered"])
    assert compute_tax([TaxableLine(1, remains, kind="service")], SIX).total == amount(row["tax"])


@pytest.mark.parametrize("row", table(PAGE, "credited"), ids=lambda row: row["credited"])
def test_credits_give_back_what_was_billed(row: dict[str, str]) -> None:
    lines, levels = booked(
        [TaxableLine(i, Decimal("0.99")) for i in range(7)], [TaxLevel("All", Decimal("0.0825"))], "invoice"
    )
    which = {"the first line": [0], "another line": [3], "all seven": range(7)}[row["credited"]]
    result = tax_of_credit(lines, levels, {i: Decimal("0.99") for i in which})
    assert (result.total, result.by_level[0].taxable_amount) == (amount(row["tax"]), amount(row["amount"]))
