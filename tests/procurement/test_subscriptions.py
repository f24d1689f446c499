"""Licences and services that are bought: put into force by a receipt, billed by the vendor cycle by cycle."""

from __future__ import annotations

from datetime import date

import pytest
from tests.trade import D, bought, journal_of, received, transfer
from tests.world import PROCUREMENT, World, build_world

from counterfoil.accounting.verification import verify
from counterfoil.catalog.models import Product
from counterfoil.core.calendar import add_months
from counterfoil.core.errors import DomainError
from counterfoil.procurement.commands import BillLine, PurchaseLine, enter_vendor_bill
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine, VendorBill
from counterfoil.procurement.queries import billable_lines, lines_of_purchase_order

pytestmark = pytest.mark.django_db
JAN_5 = date(2026, 1, 5)


@pytest.fixture
def world() -> World:
    return build_world()


def licence(world: World, **changes: object) -> Product:
    fields: dict[str, object] = {
        "identifier": "M365-BP", "description": "Microsoft 365 Business Premium", "product_class": "Agreement",
        "accounting_type": "Service", "category": world.server_inventory.category, "vendor": world.ingram,
        "cost": D("17.60"), "billing_cycle": "month:1",
    }  # fmt: skip
    return Product.objects.create(**{**fields, **changes})


def licences(world: World, *, term: str, billing_cycle: str, cost: str, **days: date) -> PurchaseOrder:
    line = PurchaseLine(
        product_id=licence(world).pk, quantity=D("10"), unit_cost=D(cost), term=term, billing_cycle=billing_cycle,
        start_date=days.get("start_date", JAN_5), end_date=days.get("end_date"),
    )  # fmt: skip
    return bought(world, line)


def billed(order: PurchaseOrder, number: str, *, on: date, quantity: str | None = None) -> VendorBill:
    line = BillLine(order.lines.get().pk, None if quantity is None else D(quantity))
    return enter_vendor_bill(
        actor=PROCUREMENT, vendor_id=order.vendor_id, vendor_invoice_number=number, date=on, lines=[line]
    )


def test_prepaid_licences_are_expensed_as_they_come_into_force(world: World) -> None:
    """Three years for 594.00 a seat, of a product that is sold with agreements."""
    order = licences(world, term="year:3", billing_cycle="year:3", cost="594")
    receipt = received(world, order.lines.get())
    bill = billed(order, "P-1", on=date(2026, 1, 12))
    transfer()

    assert (receipt.lines.get().bin, receipt.lines.get().is_stocked) == (None, False)
    assert journal_of("receipt", receipt.pk) == [
        ("05 Jan", "5000", "5940.00", "0.00"), ("05 Jan", "2050", "0.00", "5940.00"),
    ]  # fmt: skip
    assert journal_of("vendor_bill", bill.pk) == [
        ("12 Jan", "2050", "5940.00", "0.00"), ("12 Jan", "2000", "0.00", "5940.00"),
    ]  # fmt: skip
    order.refresh_from_db()
    assert order.status == "closed"
    with pytest.raises(DomainError) as refused:
        billed(order, "P-2", on=date(2026, 2, 12))
    assert refused.value.code == "more_than_received"


def test_a_year_billed_monthly_is_cost_month_by_month(world: World) -> None:
    order = licences(world, term="year:1", billing_cycle="month:1", cost="17.60")
    receipt = received(world, order.lines.get())
    bills = [billed(order, f"M-{n}", on=add_months(date(2026, 1, 12), n)) for n in range(12)]
    transfer(date(2026, 3, 31))

    assert journal_of("receipt", receipt.pk) == []
    assert journal_of("vendor_bill", bills[0].pk) == [
        ("12 Jan", "5000", "176.00", "0.00"), ("12 Jan", "2000", "0.00", "176.00"),
    ]  # fmt: skip
    assert journal_of("vendor_bill", bills[2].pk) == [
        ("12 Mar", "5000", "176.00", "0.00"), ("12 Mar", "2000", "0.00", "176.00"),
    ]  # fmt: skip
    assert [check.name for check in verify() if not check.ok] == []

    with pytest.raises(DomainError) as refused:
        billed(order, "M-13", on=date(2027, 1, 12))
    assert refused.value.code == "more_than_received"
    assert billable_lines(world.ingram.pk) == []


def test_a_bill_is_for_no_more_than_is_in_force(world: World) -> None:
    order = licences(world, term="", billing_cycle="month:1", cost="20")
    with pytest.raises(DomainError, match="0 M365-BP of PO-0001 have arrived"):
        billed(order, "M-0", on=date(2026, 1, 12))
    received(world, order.lines.get(), "6")
    with pytest.raises(DomainError) as refused:
        billed(order, "M-1", on=date(2026, 1, 12), quantity="7")
    assert refused.value.code == "more_than_received"

    billed(order, "M-1", on=date(2026, 1, 12))
    received(world, order.lines.get(), on=date(2026, 1, 20))
    billed(order, "M-2", on=date(2026, 2, 12))

    (row,) = lines_of_purchase_order(order.pk)
    assert (row.received, row.billed, row.to_bill) == (D("10"), D("16"), D("10"))


@pytest.mark.parametrize(
    ("term", "cycle", "end", "billings"),
    [
        ("year:1", "month:1", None, 12),
        ("year:3", "year:1", None, 3),
        ("year:3", "year:3", None, 1),
        ("year:1", "month:5", None, 3),
        ("", "month:1", None, None),
        ("", "", None, 1),
        ("year:1", "month:1", date(2026, 7, 14), 7),  # ends with another
        ("", "month:1", date(2026, 3, 31), 3),
    ],
)
def test_how_often_the_vendor_bills(term: str, cycle: str, end: date | None, billings: int | None) -> None:
    line = PurchaseOrderLine(term=term, billing_cycle=cycle, start_date=JAN_5, end_date=end)
    assert line.billings == billings


def test_a_service_of_a_vendor_is_bought_and_billed_too(world: World) -> None:
    product = licence(world, identifier="FILTER", product_class="Service", billing_cycle="")
    order = bought(world, PurchaseLine(product_id=product.pk, quantity=D("2"), unit_cost=D("50")))
    received(world, order.lines.get())
    bill = billed(order, "S-1", on=date(2026, 1, 12))
    assert bill.total == D("100")
