"""The sales tax report ties to the ledger: by agency, tax code, level and month."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.accounting.records import next_number
from tests.billing.test_payments import closed
from tests.kept_rows import built_once
from tests.trade import NOW, transfer
from tests.world import FINANCE, World, build_world

from counterfoil.accounting.reports import run
from counterfoil.accounting.tables import Table, in_words
from counterfoil.accounting.tax_report import tax_report
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax
from counterfoil.billing.remittances import remit_sales_tax
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import balance_of_types
from counterfoil.tax.commands import TaxLevelInput, update_tax_code

D = Decimal
JAN_1, JAN_20, JAN_31, FEB_10, FEB_28, MAR_1, MAR_31 = (
    date(2026, 1, 1), date(2026, 1, 20), date(2026, 1, 31), date(2026, 2, 10), date(2026, 2, 28), date(2026, 3, 1),
    date(2026, 3, 31),
)  # fmt: skip


@pytest.fixture
def two_levels(db: None) -> World:
    """Michigan 6 % and Detroit 1 %; January's invoices are in the books and paid on in part, March's are not booked."""
    return built_once("an MSP that owes taxes", taxed)


def taxed() -> World:
    world = build_world()
    levels = [
        TaxLevelInput("Michigan", D("0.06"), "MI Dept of Treasury"),
        TaxLevelInput("Detroit", D("0.01"), "City of Detroit"),
    ]
    update_tax_code(actor=FINANCE, tax_code_id=world.tax6.pk, levels=levels)
    closed(world, "100", JAN_1)
    closed(world, "250", JAN_20)
    closed(world, "1000", FEB_10)
    transfer(FEB_28)
    remit_sales_tax(actor=FINANCE, agency="MI Dept of Treasury", on=FEB_28, amount=D("21.00"))
    closed(world, "50", MAR_1)
    return world


def words(table: Table) -> list[list[str]]:
    return [[in_words(c, k.kind) for c, k in zip(row.cells, table.columns, strict=True)] for row in table.rows]


def test_by_agency_code_level_and_month(two_levels: World) -> None:
    table = run("sales-tax", {"from": "2026-01-01", "to": "2026-03-31"}, on=MAR_31)
    no = "0.00"
    assert words(table) == [
        ["City of Detroit", "MI6", "Detroit", "Jan 2026", "350.00", no, "3.50", no, no, "3.50", no],
        ["City of Detroit", "MI6", "Detroit", "Feb 2026", "1,000.00", no, "10.00", no, no, "10.00", no],
        ["City of Detroit", "MI6", "Detroit", "Mar 2026", no, no, no, no, no, no, "0.50"],
        ["MI Dept of Treasury", "MI6", "Michigan", "Jan 2026", "350.00", no, "21.00", no, no, "21.00", no],
        ["MI Dept of Treasury", "MI6", "Michigan", "Feb 2026", "1,000.00", no, "60.00", no, no, "60.00", no],
        ["MI Dept of Treasury", "MI6", "Michigan", "Mar 2026", no, no, no, no, no, no, "3.00"],
        ["MI Dept of Treasury", "", "Paid to the agency", "Feb 2026", no, no, no, no, "21.00", "(21.00)", no],
    ]
    assert table.totals is not None
    assert [in_words(cell, "money") for cell in table.totals.cells[6:]] == ["94.50", no, "21.00", "73.50", "3.50"]
    assert -balance_of_types(AccountType.SALES_TAX) == D("73.50")


def test_a_later_period_starts_with_what_was_owed(two_levels: World) -> None:
    table = run("sales-tax", {"from": "2026-02-01", "to": "2026-02-28"}, on=MAR_31)
    opening = [row for row in words(table) if row[3] == "Before 1 Feb 2026"]
    assert [(row[0], row[9]) for row in opening] == [("City of Detroit", "3.50"), ("MI Dept of Treasury", "21.00")]
    assert table.totals is not None
    assert table.totals.cells[9] == -balance_of_types(AccountType.SALES_TAX, through=FEB_28) == D("73.50")


@pytest.mark.parametrize("last", [JAN_1, JAN_20, JAN_31, FEB_10, FEB_28, MAR_31])
@pytest.mark.parametrize("first", [JAN_1, date(2026, 1, 15)])
def test_on_any_day_the_report_is_the_ledger(two_levels: World, first: date, last: date) -> None:
    if last < first:
        first = last
    found = tax_report(first=first, last=last)
    assert sum(found.opening.values()) + sum(row.owed for row in found.rows) == found.balance
    assert found.balance == -balance_of_types(AccountType.SALES_TAX, through=last)
    assert found.other == 0


def test_credited_tax_stands_apart(two_levels: World) -> None:
    """A closed credit memo, as it stands before it is in the books and after."""
    _credit_memo(two_levels, "-100.00", {"Michigan": "-6.00", "Detroit": "-1.00"})
    assert sum(row.unbooked for row in tax_report(first=JAN_1, last=MAR_31).rows) == D("-3.50")
    transfer(MAR_31)
    rows = {(row.level, row.month): row for row in tax_report(first=JAN_1, last=MAR_31).rows}
    michigan = rows["Michigan", MAR_1]
    assert (michigan.billed, michigan.credited, michigan.owed) == (D("3.00"), D("6.00"), D("-3.00"))
    assert michigan.taxable == D("-50.00")
    assert tax_report(first=JAN_1, last=MAR_31).other == 0


def test_a_ledger_that_says_otherwise_is_not_hidden(two_levels: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot be booked by hand; should it ever differ, the report still ends with the ledger and names the rest."""
    monkeypatch.setattr("counterfoil.accounting.tax_report.balance_of_types", lambda *_, **__: D("-73.00"))
    table = run("sales-tax", {"from": "2026-01-01", "to": "2026-03-31"}, on=MAR_31)
    assert (table.rows[-1].cells[0], table.rows[-1].cells[9]) == ("Difference to the ledger", D("-0.50"))
    assert table.totals is not None
    assert table.totals.cells[9] == D("73.00")


def _credit_memo(world: World, amount: str, taxes: dict[str, str]) -> Invoice:
    total = sum(map(D, taxes.values()), D(0))
    memo = Invoice.objects.create(
        type="credit_memo",
        company=world.acme,
        bill_to=world.acme,
        bill_to_kind=world.acme.kind,
        bill_to_name=world.acme.name,
        date=MAR_1,
        due_date=MAR_1,
        tax_code=world.tax6,
        subtotal=D(amount),
        tax_total=total,
        total=D(amount) + total,
    )
    InvoiceLine.objects.create(
        invoice=memo, position=1, description="Returned", quantity=1, unit_price=D(amount), amount=D(amount),
        tax_amount=total,
    )  # fmt: skip
    for position, (level, tax) in enumerate(taxes.items(), start=1):
        agency = {"Michigan": "MI Dept of Treasury", "Detroit": "City of Detroit"}[level]
        InvoiceTax.objects.create(
            invoice=memo, position=position, level=level, agency=agency, rate=0, taxable_amount=D(amount),
            amount=D(tax),
        )  # fmt: skip
    memo.status, memo.number, memo.closed_at = "closed", next_number("invoice"), NOW
    memo.line_count, memo.tax_count, memo.balance = 1, len(taxes), memo.total
    memo.save()
    return memo
