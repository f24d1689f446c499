"""From COGS or from stock onto the balance sheet: the right account, the right month, once."""

from __future__ import annotations

from datetime import date

import pytest
from tests.trade import (
    JAN_10,
    JAN_15,
    JAN_31,
    NOW,
    D,
    bought,
    cable,
    cost_invoice,
    journal_of,
    leased_server,
    order_of,
    received,
    shipped,
    stock,
    transfer,
)
from tests.world import FINANCE, PROCUREMENT, World, build_world

from counterfoil.accounting.commands import set_mapping
from counterfoil.accounting.models import GLMapping
from counterfoil.assets.commands import MACRS_5, capitalise_from_invoice_line, capitalise_from_stock
from counterfoil.assets.models import Asset
from counterfoil.assets.queries import invoice_lines_to_capitalise, register, schedule_of
from counterfoil.billing.commands import close_invoice, invoice_sales_order
from counterfoil.billing.models import InvoiceLine
from counterfoil.core.errors import DomainError
from counterfoil.inventory.queries import shipped_not_relieved
from counterfoil.ledger.commands import close_period, create_account
from counterfoil.ledger.models import AccountingPeriod, AccountType
from counterfoil.ledger.queries import balance_of_types
from counterfoil.orders.models import SalesOrderLine
from counterfoil.platform.audit import trail_of
from counterfoil.procurement.commands import PurchaseLine

pytestmark = pytest.mark.django_db
FEB_1 = date(2026, 2, 1)


@pytest.fixture
def world() -> World:
    return build_world()


def from_cogs(world: World, line: InvoiceLine, **fields: object) -> Asset:
    given: dict[str, object] = {"actor": FINANCE, "category_id": world.leased_hardware.pk, **fields}
    return capitalise_from_invoice_line(invoice_line_id=line.pk, **given)  # type: ignore[arg-type]


def from_stock(world: World, line: SalesOrderLine, **fields: object) -> Asset:
    given: dict[str, object] = {"category_id": world.leased_hardware.pk, "on": JAN_15, **fields}
    return capitalise_from_stock(actor=FINANCE, order_line_id=line.pk, **given)  # type: ignore[arg-type]


def invoiced(world: World) -> InvoiceLine:
    """The line of the cost-only invoice of a leased server, transferred."""
    order_line = leased_server(world)
    transfer()
    line = cost_invoice(world, order_line.order).lines.get()
    transfer()
    return line


def test_the_cost_leaves_the_account_and_month_the_invoice_put_it_in(world: World) -> None:
    line = invoiced(world)
    assert list(invoice_lines_to_capitalise()) == [line]

    asset = from_cogs(world, line)

    assert journal_of("asset", asset.pk) == [
        ("15 Jan", "1500", "3600.00", "0.00"),
        ("15 Jan", "5000", "0.00", "3600.00"),
    ]
    assert (balance_of_types(AccountType.COGS), balance_of_types(AccountType.INVENTORY)) == (D("0"), D("0"))
    assert (asset.number, asset.company, asset.product, asset.serial_numbers) == (
        "FA-0001", world.acme, world.server_inventory, "SN-1",
    )  # fmt: skip
    assert (asset.in_service_date, asset.order_line, asset.origin) == (JAN_15, line.order_line, line.origin)
    assert trail_of(asset).get().sentence == (
        "capitalised FA-0001, Rack server at Acme Corp, 3,600.00 out of COGS, invoice INV-0001, with"
        " JE-0003, in service from 15 Jan 2026"
    )
    assert not invoice_lines_to_capitalise()


def test_a_product_with_its_own_cogs_account_is_credited_there(world: World) -> None:
    account = create_account(actor=FINANCE, code="5050", name="COGS - Leased", type="cost_of_goods_sold")
    set_mapping(actor=FINANCE, role="cogs", account_id=account.pk, product_id=world.server_inventory.pk)
    line = invoiced(world)
    GLMapping.objects.filter(product=world.server_inventory).delete()  # what is booked decides, not today's mapping

    asset = from_cogs(world, line)

    assert [row[1] for row in journal_of("asset", asset.pk)] == ["1500", "5050"]


def test_the_invoice_must_be_in_the_books_first(world: World) -> None:
    order_line = leased_server(world)
    line = cost_invoice(world, order_line.order).lines.get()

    with pytest.raises(DomainError) as refused:
        from_cogs(world, line)

    assert (refused.value.code, refused.value.hint) == (
        "wrong_state",
        "Transfer it under Finance, Unposted invoices, then capitalise.",
    )


def test_a_line_is_capitalised_once(world: World) -> None:
    line = invoiced(world)
    from_cogs(world, line)

    with pytest.raises(DomainError) as refused:
        from_cogs(world, line)

    assert (refused.value.code, refused.value.message) == (
        "duplicate",
        "“Rack server” is capitalised already, as FA-0001.",
    )


@pytest.mark.parametrize("on", [date(2025, 12, 31), FEB_1])
def test_the_entry_stays_in_the_month_of_the_invoice(world: World, on: date) -> None:
    line = invoiced(world)

    with pytest.raises(DomainError) as refused:
        from_cogs(world, line, on=on)

    assert refused.value.message.startswith("Date the entry in Jan 2026, where the cost of INV-0001 is booked")
    assert from_cogs(world, line, on=JAN_31).number == "FA-0001"


def test_what_a_customer_bought_or_what_was_expensed_is_no_asset(world: World) -> None:
    sold = leased_server(world)
    draft = invoice_sales_order(actor=FINANCE, order_id=sold.order_id, on=JAN_15)
    invoice = close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    with pytest.raises(DomainError) as refused:
        from_cogs(world, invoice.lines.get())
    assert refused.value.message == "INV-0001 was billed to Acme Corp: what is sold is no asset of ours."

    expensed = order_of(world, world.server_noninventory)
    with pytest.raises(DomainError) as refused:
        from_cogs(world, cost_invoice(world, expensed.order).lines.get())
    assert refused.value.hint == "Only inventory products are capitalised."
    with pytest.raises(DomainError) as refused:
        from_stock(world, expensed)
    assert refused.value.code == "wrong_product_class"


def test_straight_from_stock_there_is_no_detour_through_cogs(world: World) -> None:
    line = leased_server(world)
    transfer()

    asset = from_stock(world, line)

    assert journal_of("asset", asset.pk) == [
        ("15 Jan", "1500", "3600.00", "0.00"),
        ("15 Jan", "1300", "0.00", "3600.00"),
    ]
    assert balance_of_types(AccountType.INVENTORY) == D("0")
    assert (asset.capitalised_from, asset.serial_numbers) == ("inventory", "SN-1")
    assert shipped_not_relieved() == []


def test_what_is_capitalised_cannot_be_invoiced_and_the_other_way_round(world: World) -> None:
    first = leased_server(world, serial="SN-1")
    transfer()
    from_stock(world, first)
    with pytest.raises(DomainError) as refused:
        invoice_sales_order(actor=FINANCE, order_id=first.order_id, on=JAN_15)
    assert refused.value.code == "not_shipped"
    with pytest.raises(DomainError) as refused:
        from_stock(world, first)
    assert refused.value.code == "not_shipped"

    second = leased_server(world, serial="SN-2")
    transfer()
    invoice_sales_order(actor=FINANCE, order_id=second.order_id, on=JAN_15)
    with pytest.raises(DomainError) as refused:
        from_stock(world, second)
    assert refused.value.hint == "Ship them first, or delete the draft invoice that bills them."


def test_the_receipt_must_be_in_the_books_and_not_after_the_asset(world: World) -> None:
    line = leased_server(world)
    with pytest.raises(DomainError) as refused:
        from_stock(world, line)
    assert refused.value.message.startswith("Receipt RCV-0001 is not in the books yet")

    transfer()
    with pytest.raises(DomainError) as refused:
        from_stock(world, line, on=date(2026, 1, 4))
    assert refused.value.field == "on"


def test_parts_take_their_share_and_the_rest_takes_what_is_left(world: World) -> None:
    product = cable(world)
    stock(world, product, "3", "3.335")
    line = order_of(world, product, "3")
    shipped(line)
    transfer()

    costs = [from_stock(world, line, quantity=D("1")).cost for _ in range(3)]

    assert sum(costs) == D("10.01")
    assert sorted(costs) == [D("3.33"), D("3.34"), D("3.34")]
    assert balance_of_types(AccountType.INVENTORY) == D("0")


def test_goods_received_to_two_accounts_leave_both(world: World) -> None:
    product = cable(world)
    line = order_of(world, product, "2")
    order = bought(world, PurchaseLine(order_line_id=line.pk, unit_cost=D("100")))
    received(world, order.lines.get(), "1")
    transfer()
    account = create_account(actor=FINANCE, code="1310", name="Inventory - Leases", type="inventory")
    set_mapping(actor=FINANCE, role="inventory", account_id=account.pk, product_id=product.pk)
    received(world, order.lines.get(), "1")
    transfer()
    shipped(line)

    asset = from_stock(world, line)

    assert [(row[1], row[2], row[3]) for row in journal_of("asset", asset.pk)] == [
        ("1500", "100.00", "0.00"),
        ("1300", "0.00", "100.00"),
        ("1500", "100.00", "0.00"),
        ("1310", "0.00", "100.00"),
    ]


def test_the_books_and_the_tax_return_have_a_schedule_each(world: World) -> None:
    line = leased_server(world)
    transfer()

    asset = from_stock(world, line, salvage=D("360"), life_months=24, tax_book=MACRS_5)

    book, tax = list(schedule_of(asset.pk)), list(schedule_of(asset.pk, "tax"))
    assert (len(book), book[0].amount, book[-1].accumulated, book[-1].net_book_value) == (
        24, D("135.00"), D("3240.00"), D("360.00"),
    )  # fmt: skip
    assert [row.amount for row in tax] == [
        D("720.00"), D("1152.00"), D("691.20"), D("414.72"), D("414.72"), D("207.36"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"method": "guess"}, "method"),
        ({"convention": "whenever"}, "convention"),
        ({"convention": "mid_quarter"}, "convention"),
        ({"life_months": 0}, "life_months"),
        ({"salvage": D("3600.01")}, "salvage"),
        ({"salvage": D("-1")}, "salvage"),
        ({"method": "units_of_use"}, "total_units"),
        ({"quantity": D("0")}, "quantity"),
        ({"quantity": D("2")}, "quantity"),
        ({"category_id": 999_999}, "category"),
        ({"agreement_id": 999_999}, "agreement"),
    ],
)
def test_impossible_terms_are_refused_and_nothing_stays(world: World, fields: dict[str, object], field: str) -> None:
    line = leased_server(world)
    transfer()

    with pytest.raises(DomainError) as refused:
        from_stock(world, line, **fields)

    assert refused.value.field == field
    assert not Asset.objects.exists()
    assert balance_of_types(AccountType.FIXED_ASSET) == D("0")


def test_a_closed_month_takes_no_asset(world: World) -> None:
    line = leased_server(world)
    transfer()
    close_period(actor=FINANCE, period_id=AccountingPeriod.objects.get(start=date(2026, 1, 1)).pk)

    with pytest.raises(DomainError) as refused:
        from_stock(world, line)
    assert refused.value.code == "period_closed"
    assert not Asset.objects.exists()

    with pytest.raises(DomainError, match="depreciation would be booked before it") as refused:
        from_stock(world, line, on=FEB_1, in_service_date=JAN_15)
    assert refused.value.field == "in_service_date"
    assert from_stock(world, line, on=FEB_1).in_service_date == FEB_1


def test_only_finance_capitalises(world: World) -> None:
    line = leased_server(world)
    with pytest.raises(DomainError) as refused:
        capitalise_from_stock(actor=PROCUREMENT, order_line_id=line.pk, category_id=world.leased_hardware.pk, on=JAN_10)
    assert refused.value.code == "role_required"


def test_the_register_shows_what_the_books_hold_at_a_date(world: World) -> None:
    line = leased_server(world)
    transfer()
    asset = from_stock(world, line)

    assert register(as_of=date(2026, 1, 14)) == []
    (row,) = register(as_of=JAN_15)
    assert (row.asset, row.method, row.cost, row.accumulated, row.net_book_value) == (
        asset, "straight_line", D("3600.00"), D("0.00"), D("3600.00"),
    )  # fmt: skip
    assert [each.asset for each in register(as_of=JAN_31, search="sn-1")] == [asset]
    assert register(as_of=JAN_31, company_id=world.globex.pk) == []
