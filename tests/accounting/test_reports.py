"""The reports of three leases, as tables and as files."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from tests.accounting.leases import MARCH, lease, three_leases
from tests.accounting.records import make_order, make_receipt
from tests.world import World

from counterfoil.accounting.reports import REPORTS, run
from counterfoil.accounting.tables import Column, Kind, Row, Table, as_dict, in_words, to_csv, to_json, to_xlsx
from counterfoil.core.errors import DomainError
from counterfoil.flows.haas_lease import LeaseOption

D = Decimal


def make(name: str, **parameters: Any) -> Table:
    return run(name, parameters, on=MARCH)


def amounts(table: Table, label: str) -> tuple[Any, ...]:
    """The numbers of the row that starts with ``label``."""
    return next(row.cells[1:] for row in table.rows if row.cells[0] == label and row.style != "section")


def test_lease_option_1_costs_in_january_option_2_month_by_month(world: World) -> None:
    three_leases(world)
    profit = run("profit-and-loss", {"from": "2026-01-01", "to": "2026-03-31"}, on=MARCH)
    assert [column.label for column in profit.columns] == ["Account", "Jan 2026", "Feb 2026", "Mar 2026", "Total"]
    assert amounts(profit, "4010 HaaS Revenue") == (D(450), D(450), D(450), D(1350))
    assert amounts(profit, "5000 COGS - Hardware") == (D(3600), D(0), D(0), D(3600))
    assert amounts(profit, "5200 Depreciation - HaaS") == (D(200), D(200), D(200), D(600))
    assert amounts(profit, "Net profit") == (D(-3350), D(250), D(250), D(-2850))
    assert profit.rows[0].style == "section"

    sheet = run("balance-sheet", {"from": "2026-01-01", "to": "2026-03-31"}, on=MARCH)
    assert [column.label for column in sheet.columns][1:] == ["31 Jan 2026", "28 Feb 2026", "31 Mar 2026"]
    assert amounts(sheet, "1500 Fixed Assets - HaaS") == (D(7200), D(7200), D(7200))
    assert amounts(sheet, "1590 Accumulated Depreciation - HaaS") == (D(-200), D(-400), D(-600))
    assert amounts(sheet, "Total assets") == amounts(sheet, "Total liabilities and equity")


def test_trial_balance_adds_up(world: World) -> None:
    lease(world, LeaseOption.INVENTORY)
    table = make("trial-balance")
    assert table.heading == "Northwind IT, as of 31 Mar 2026, USD"
    assert table.totals is not None
    assert table.totals.cells[3] == table.totals.cells[4] > 0
    assert all(row.link and row.link[0] == "account" for row in table.rows)


def test_general_ledger_runs_from_its_opening_balance(world: World) -> None:
    lease(world, LeaseOption.INVENTORY)
    table = run("general-ledger", {"from": "2026-02-01", "account": "1500", "to": "2026-02-28"}, on=MARCH)
    assert [row.cells[-1] for row in table.rows] == [D(3600)]
    assert table.rows[0].cells[5] == "Opening balance"
    table = run("general-ledger", {"from": "2026-02-01", "account": "1590", "to": "2026-03-31"}, on=MARCH)
    assert [row.cells[-1] for row in table.rows] == [D(-100), D(-200), D(-300)]
    everything = run("general-ledger", {"from": "2026-01-01"}, on=MARCH)
    assert everything.totals is not None
    assert everything.totals.cells[6] == everything.totals.cells[7]
    acme = run("general-ledger", {"from": "2026-01-01", "company": "acmecorp", "account": "1100"}, on=MARCH)
    assert [row.cells[-1] for row in acme.rows] == [D(159), D(0)] * 3


def test_inventory_valuation_by_bin_at_a_date(world: World) -> None:
    make_receipt(make_order(world, world.server_inventory, quantity="2"), on=date(2026, 3, 10))
    (row,) = make("inventory-valuation").records()
    assert row == {
        "warehouse": "Acme Corp",
        "customer": "Acme Corp",
        "bin": "Acme rack",
        "product": "SRV-INV",
        "description": "Rack server",
        "quantity": D(2),
        "value": D(7200),
    }
    assert make("inventory-valuation", as_of="2026-03-09").rows == ()
    assert make("inventory-valuation", warehouse="acme corp").totals is not None
    with pytest.raises(DomainError, match="no warehouse"):
        make("inventory-valuation", warehouse="nowhere")


def test_fixed_assets_and_their_schedules(world: World) -> None:
    three_leases(world)
    register = make("fixed-assets")
    assert [(r["cost"], r["accumulated"], r["net_book_value"]) for r in register.records()] == [
        (D(3600), D(300), D(3300)),
        (D(3600), D(300), D(3300)),
    ]
    schedule = make("depreciation-schedules", asset="FA-0001")
    assert len(schedule.rows) == 36
    assert [bool(r["entry"]) for r in schedule.records()] == [True] * 3 + [False] * 33
    assert schedule.records()[0]["to"] == date(2026, 1, 31), "periods are shown inclusive"
    assert schedule.totals is not None
    assert schedule.totals.cells[3] == D(3600)


def test_unposted_says_why(world: World) -> None:
    make_receipt(make_order(world, world.server_inventory, on=date(2020, 1, 1)), on=MARCH)
    (row,) = make("unposted").records()
    assert (row["source"], row["ready"]) == ("Receipt", "no")
    assert row["why"] == "There is no accounting period for 1 Jan 2020."


def test_receivables_by_customer(world: World) -> None:
    from tests.accounting.records import make_invoice

    make_invoice(world, on=date(2026, 1, 10))
    (row,) = make("receivables").records()
    assert (row["customer"], row["days_60"], row["total"]) == ("Acme Corp", D(159), D(159))


@pytest.mark.parametrize(
    ("name", "parameters", "code", "field"),
    [
        ("trial-ballance", {}, "not_found", "name"),
        ("trial-balance", {"as_of": "31/01/2026"}, "invalid", "as_of"),
        ("trial-balance", {"month": "2026-01"}, "invalid", "month"),
        ("profit-and-loss", {"from": "2026-03-01", "to": "2026-02-01"}, "invalid", "from"),
        ("profit-and-loss", {"from": "1900-01-01", "to": "2026-02-01"}, "invalid", "from"),
        ("general-ledger", {"account": "9999"}, "not_found", "account"),
        ("general-ledger", {"company": "nobody"}, "not_found", "company"),
        ("depreciation-schedules", {"asset": "FA-9999"}, "not_found", "asset"),
    ],
)
def test_refused_parameters(world: World, name: str, parameters: dict[str, str], code: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        run(name, parameters, on=MARCH)
    assert (refused.value.code, refused.value.field) == (code, field)


@pytest.mark.parametrize("name", REPORTS)
def test_every_report_makes_every_file_with_or_without_books(world: World, name: str) -> None:
    for with_books in (False, True):
        if with_books:
            lease(world, LeaseOption.INVENTORY, through=date(2026, 1, 31))
        table = make(name)
        rows = list(csv.reader(io.StringIO(to_csv(table).decode("utf-8-sig"))))
        assert rows[0] == [column.label for column in table.columns]
        assert len(rows) == 1 + len(table.rows) + bool(table.totals)
        assert json.loads(to_json(table))["report"] == name
        sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx(table))).worksheets[0]
        assert [cell.value for cell in sheet[4]] == [column.label for column in table.columns]
        assert sheet.max_row >= 4 + len(table.rows)


def sample() -> Table:
    columns = (
        Column("text", "Text"),
        Column("day", "Day", Kind.DATE),
        Column("money", "Money", Kind.MONEY),
        Column("count", "Count", Kind.QUANTITY),
    )
    row = Row(("=HYPERLINK(1)", date(2026, 3, 15), D("-1234.5000"), D("2.500000")))
    return Table("sample", "Sample", "Northwind IT", columns, (row,))


def test_files_hold_real_dates_and_numbers() -> None:
    assert to_csv(sample()).decode("utf-8-sig").splitlines()[1] == "'=HYPERLINK(1),2026-03-15,-1234.50,2.5"
    sheet = openpyxl.load_workbook(io.BytesIO(to_xlsx(sample()))).worksheets[0]
    assert [cell.value for cell in sheet[5]] == ["=HYPERLINK(1)", datetime(2026, 3, 15), -1234.5, 2.5]
    assert sheet["A5"].data_type == "s", "text stays text"
    assert as_dict(sample())["rows"][0] == {
        "text": "=HYPERLINK(1)",
        "day": "2026-03-15",
        "money": "-1234.50",
        "count": "2.5",
    }
    kinds = (Kind.TEXT, Kind.DATE, Kind.MONEY, Kind.QUANTITY)
    words = [in_words(cell, kind) for cell, kind in zip(sample().rows[0].cells, kinds, strict=True)]
    assert words == ["=HYPERLINK(1)", "15 Mar 2026", "(1,234.50)", "2.5"]


def test_the_same_table_gives_the_same_bytes() -> None:
    assert to_xlsx(sample()) == to_xlsx(sample())
