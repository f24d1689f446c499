"""A server bought for 3,600.00 and leased for 150.00 a month: what the books say, month by month, for each option.

The figures are those of the worked table in docs/domain/lease.md: profit and loss and balance sheet of a lease of 36
months from January 2026 with 6 % sales tax; the vendor is paid on 10 February, the customer and the tax at month end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.core.calendar import add_months, month_end
from counterfoil.core.lease import LeaseTerms, lease_economics
from counterfoil.flows.haas_lease import Lease, LeaseOption, LeasePlan, People, run_lease
from counterfoil.flows.lease_books import lease_books
from counterfoil.ledger.models import AccountType, JournalEntry
from counterfoil.ledger.queries import balance_of_types, balance_sheet, entries_of, profit_and_loss

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
START = date(2026, 1, 1)
FEBRUARY = date(2026, 2, 28)
LAST = date(2028, 12, 31)
PEOPLE = People(sales=SALES, procurement=PROCUREMENT, finance=FINANCE)


def plan_of(world: World, option: LeaseOption, cost: str = "3600", price: str = "150", months: int = 36) -> LeasePlan:
    stocked = option.keeps_stock
    return LeasePlan(
        name="Server for Acme",
        option=option,
        customer_id=world.acme.pk,
        vendor_id=world.ingram.pk,
        internal_id=world.internal.pk,
        purchasing_product_id=(world.server_inventory if stocked else world.server_noninventory).pk,
        agreement_product_id=world.lease.pk,
        agreement_type_id=world.haas.pk,
        cost=Decimal(cost),
        price=Decimal(price),
        months=months,
        start=START,
        vendor_invoice_number="V-88213",
        asset_category_id=world.leased_hardware.pk,
        bin_id=world.acme_bin.pk if stocked else None,
        serials=("SN-1001",) if stocked else (),
    )


def run(world: World, option: LeaseOption, through: date = FEBRUARY, **amounts: str) -> Lease:
    return run_lease(plan_of(world, option, **amounts), PEOPLE, through=through, now=NOW)


def journal_of(source_type: str, source_id: int) -> list[tuple[str, str, str]]:
    """The lines that book a document, as (account, debit, credit)."""
    return [
        (line.account.name, f"{line.debit:.2f}", f"{line.credit:.2f}")
        for entry in entries_of(source_type, source_id)
        for line in entry.lines.all()
    ]


def books() -> dict[str, tuple[Decimal, ...]]:
    """The rows of the table, a column a month, from the posted entries alone."""
    profit, sheet = profit_and_loss(first=START, last=LAST), balance_sheet(first=START, last=LAST)
    rows = {row.label: row.amounts for row in (*profit.rows, *sheet.rows)}
    nothing = (Decimal(0),) * 36
    cost, accumulated = rows.get("Fixed Assets - HaaS", nothing), rows.get("Accumulated Depreciation - HaaS", nothing)
    return {
        "revenue": rows["HaaS Revenue"],
        "cogs": rows.get("COGS - Hardware", nothing),
        "depreciation": rows.get("Depreciation - HaaS", nothing),
        "profit": rows["Net profit"],
        "cash": rows["Operating Bank"],
        "payable": rows.get("Accounts Payable", nothing),
        "net book value": tuple(a + b for a, b in zip(cost, accumulated, strict=True)),
        "inventory": rows.get("Inventory", nothing),
        "equity": rows["Total equity"],
    }


#: row -> (January, February, year 2026, year 2027, year 2028, 36 months); a stock is read at the end of the time.
TABLE = {
    LeaseOption.NON_INVENTORY: {
        "revenue": (150, 150, 1800, 1800, 1800, 5400),
        "cogs": (3600, 0, 3600, 0, 0, 3600),
        "depreciation": (0, 0, 0, 0, 0, 0),
        "profit": (-3450, 150, -1800, 1800, 1800, 1800),
        "cash": (150, -3300, -1800, 0, 1800, 1800),
        "payable": (3600, 0, 0, 0, 0, 0),
        "net book value": (0, 0, 0, 0, 0, 0),
        "inventory": (0, 0, 0, 0, 0, 0),
        "equity": (-3450, -3300, -1800, 0, 1800, 1800),
    },
    LeaseOption.INVENTORY: {
        "revenue": (150, 150, 1800, 1800, 1800, 5400),
        "cogs": (0, 0, 0, 0, 0, 0),
        "depreciation": (100, 100, 1200, 1200, 1200, 3600),
        "profit": (50, 50, 600, 600, 600, 1800),
        "cash": (150, -3300, -1800, 0, 1800, 1800),
        "payable": (3600, 0, 0, 0, 0, 0),
        "net book value": (3500, 3400, 2400, 1200, 0, 0),
        "inventory": (0, 0, 0, 0, 0, 0),
        "equity": (50, 100, 600, 1200, 1800, 1800),
    },
}
TABLE[LeaseOption.DIRECT] = TABLE[LeaseOption.INVENTORY]
STOCKS = ("cash", "payable", "net book value", "inventory", "equity")


def read(name: str, months: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    if name in STOCKS:
        return (months[0], months[1], months[11], months[23], months[35], months[35])
    return (months[0], months[1], sum(months[:12]), sum(months[12:24]), sum(months[24:36]), sum(months))


@pytest.mark.slow
@pytest.mark.parametrize("option", list(LeaseOption))
def test_profit_and_balance_sheet_are_those_of_the_worked_table(world: World, option: LeaseOption) -> None:
    lease = run(world, option, through=LAST)

    assert {name: read(name, months) for name, months in books().items()} == TABLE[option]
    check_against_economics(option, cost="3600", price="150")
    check_each_month_is_invoiced(lease)


@pytest.mark.parametrize("option", list(LeaseOption))
def test_a_cheaper_server_at_half_the_price(world: World, option: LeaseOption) -> None:
    run(world, option, through=LAST, cost="1800", price="75")

    check_against_economics(option, cost="1800", price="75")


def check_against_economics(option: LeaseOption, cost: str, price: str) -> None:
    """The books say, month by month, what the lease economics foretold."""
    foretold = lease_economics(
        LeaseTerms(cost=Decimal(cost), price_per_month=Decimal(price), months=36, start=START, life_months=36)
    )
    side = foretold.option_2 if option.keeps_stock else foretold.option_1
    found = books()
    for index, month in enumerate(side.months):
        assert found["profit"][index] == month.profit, month
        assert found["net book value"][index] == month.net_book_value, month
        assert found["cash"][index] == month.cash, month
        assert found["equity"][index] == month.equity, month
    for index, (one, two) in enumerate(zip(foretold.option_1.months, foretold.option_2.months, strict=True)):
        assert two.equity - one.equity == two.net_book_value, index


def check_each_month_is_invoiced(lease: Lease) -> None:
    """One invoice a month with its tax, each in the books."""
    invoices = list(lease.agreement.invoices.order_by("period_start"))
    assert [invoice.period_start for invoice in invoices] == [add_months(START, n) for n in range(36)]
    assert {(invoice.subtotal, invoice.tax_total, invoice.total) for invoice in invoices} == {
        (Decimal(150), Decimal(9), Decimal(159))
    }
    assert journal_of("invoice", invoices[0].pk) == [
        ("Accounts Receivable", "159.00", "0.00"),
        ("HaaS Revenue", "0.00", "150.00"),
        ("Sales Tax Payable", "0.00", "9.00"),
    ]
    assert month_end(invoices[-1].period_start) == LAST


def test_option_1_puts_the_full_cost_into_cogs_when_the_purchase_order_is_transferred(world: World) -> None:
    lease = run(world, LeaseOption.NON_INVENTORY)

    assert journal_of("receipt", lease.receipt.pk) == [
        ("COGS - Hardware", "3600.00", "0.00"),
        ("Goods Received Not Invoiced", "0.00", "3600.00"),
    ]
    assert entries_of("receipt", lease.receipt.pk).get().date == lease.purchase_order.order_date
    assert journal_of("vendor_bill", lease.bill.pk) == [
        ("Goods Received Not Invoiced", "3600.00", "0.00"),
        ("Accounts Payable", "0.00", "3600.00"),
    ]
    for untouched in (AccountType.INVENTORY, AccountType.FIXED_ASSET, AccountType.ACCUMULATED_DEPRECIATION):
        assert not JournalEntry.objects.filter(lines__account__type=untouched).exists()


def test_option_2_goes_through_inventory_and_cogs_into_fixed_assets(world: World) -> None:
    lease = run(world, LeaseOption.INVENTORY)

    assert journal_of("receipt", lease.receipt.pk) == [
        ("Inventory", "3600.00", "0.00"),
        ("Goods Received Not Invoiced", "0.00", "3600.00"),
    ]
    cost_invoice = lease.order.invoices.get()
    assert (cost_invoice.total, cost_invoice.cost_total) == (0, 3600)
    assert cost_invoice.bill_to == world.internal
    assert not cost_invoice.taxes.exists()
    assert journal_of("invoice", cost_invoice.pk) == [
        ("COGS - Hardware", "3600.00", "0.00"),
        ("Inventory", "0.00", "3600.00"),
    ]
    assert lease.asset is not None
    assert journal_of("asset", lease.asset.pk)[:4] == [
        ("Fixed Assets - HaaS", "3600.00", "0.00"),
        ("COGS - Hardware", "0.00", "3600.00"),
        ("Depreciation - HaaS", "100.00", "0.00"),
        ("Accumulated Depreciation - HaaS", "0.00", "100.00"),
    ]
    invoiced = entries_of("invoice", cost_invoice.pk).get()
    capitalised = entries_of("asset", lease.asset.pk).filter(step="capitalisation").get()
    assert capitalised.date == invoiced.date
    assert balance_of_types(AccountType.INVENTORY) == 0


def test_the_direct_way_needs_neither_cogs_nor_the_internal_company(world: World) -> None:
    lease = run(world, LeaseOption.DIRECT)

    assert lease.asset is not None
    assert journal_of("asset", lease.asset.pk)[:2] == [
        ("Fixed Assets - HaaS", "3600.00", "0.00"),
        ("Inventory", "0.00", "3600.00"),
    ]
    assert not lease.order.invoices.exists()
    assert not JournalEntry.objects.filter(lines__account__name="COGS - Hardware").exists()
    assert balance_of_types(AccountType.INVENTORY) == 0


@pytest.mark.parametrize("option", list(LeaseOption))
def test_the_lease_can_be_read_back_from_its_real_postings(world: World, option: LeaseOption) -> None:
    lease = run(world, option)
    at_globex = replace(plan_of(world, option), customer_id=world.globex.pk, vendor_invoice_number="V-2")
    if option.keeps_stock:
        at_globex = replace(at_globex, serials=("SN-2",))
    run_lease(at_globex, PEOPLE, through=FEBRUARY, now=NOW)

    booked = lease_books(lease.agreement).months
    foretold = lease_economics(
        LeaseTerms(cost=Decimal(3600), price_per_month=Decimal(150), months=36, start=START, life_months=36)
    )
    assert booked == (foretold.option_2 if option.keeps_stock else foretold.option_1).months[:2]
