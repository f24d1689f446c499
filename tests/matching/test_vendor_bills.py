"""Vendors' bills from files: found among what has arrived, split over orders, the rest shown."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.matching.licences import MARCH, csv_of, imported, xlsx_of
from tests.trade import D, bought, cable, received
from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.catalog.models import Product
from counterfoil.core.errors import DomainError
from counterfoil.matching.vendor_bills import (
    bill_statement,
    import_vendor_bills,
    plan_statement_bill,
    preview_vendor_bills,
)
from counterfoil.procurement.commands import PurchaseLine, update_purchase_order
from counterfoil.procurement.models import PurchaseOrderLine, VendorBill

pytestmark = pytest.mark.django_db

HEADINGS = ("Invoice", "Invoice date", "PO number", "Part number", "Description", "Qty", "Unit price", "Line total")


def arrived(world: World, quantity: str = "10", cost: str = "4", order_number: str = "") -> PurchaseOrderLine:
    """Cables bought of Ingram, all of which have arrived."""
    product = Product.objects.filter(identifier="CAB-6").first() or cable(world, vendor_sku="C6-1")
    order = bought(world, PurchaseLine(product_id=product.pk, quantity=D(quantity), unit_cost=D(cost)))
    if order_number:
        update_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk, vendor_order_number=order_number)
    received(world, order.lines.get())
    return order.lines.get()


def row(quantity: object, *, order: str = "", sku: str = "C6-1", price: object = 4, name: str = "Patch cable cat 6",
        invoice: str = "V-1", total: object = "") -> tuple[object, ...]:  # fmt: skip
    return (invoice, "2026-01-20", order, sku, name, quantity, price, total)


def entered(world: World, *rows: tuple[object, ...], **given: object) -> list[VendorBill]:
    return import_vendor_bills(
        actor=FINANCE,
        vendor_id=world.ingram.pk,
        content=csv_of(HEADINGS, *rows),
        **given,  # type: ignore[arg-type]
    )


def lines(bill: VendorBill) -> list[tuple[str, Decimal, Decimal]]:
    return [
        (each.purchase_order_line.purchase_order.number, each.quantity, each.unit_cost)
        for each in bill.lines.select_related("purchase_order_line__purchase_order").order_by("position")
    ]


def test_a_line_is_split_over_the_orders_it_spans(world: World) -> None:
    first, second = arrived(world), arrived(world, "5")
    (bill,) = entered(world, row(12))
    assert lines(bill) == [(first.purchase_order.number, 10, 4), (second.purchase_order.number, 2, 4)]
    assert (bill.vendor_invoice_number, bill.date, bill.total) == ("V-1", date(2026, 1, 20), D("48"))


def test_many_lines_bill_one_order_line(world: World) -> None:
    line = arrived(world)
    (bill,) = entered(world, row(4), row(6, sku="", name="Patch cable"))
    assert lines(bill) == [(line.purchase_order.number, 4, 4), (line.purchase_order.number, 6, 4)]


def test_a_line_that_names_an_order_is_looked_for_there_alone(world: World) -> None:
    first, second = arrived(world), arrived(world, order_number="ING-77")
    (bill,) = entered(world, row(8), row(10, order="ing-77"))
    assert lines(bill) == [(first.purchase_order.number, 8, 4), (second.purchase_order.number, 10, 4)]
    with pytest.raises(DomainError) as refused:
        entered(world, row(2, order=second.purchase_order.number, invoice="V-2"))
    assert "PO-0002 has no Patch cable cat 6" in refused.value.details[0]["message"]


def test_the_order_at_the_same_cost_goes_first(world: World) -> None:
    arrived(world, cost="5")
    second = arrived(world, cost="4")
    (bill,) = entered(world, row(10))
    assert lines(bill) == [(second.purchase_order.number, 10, 4)]


def test_the_amount_decides_what_one_costs(world: World) -> None:
    line = arrived(world)
    (bill,) = entered(world, row(3, price="", total="10.00"))
    assert lines(bill) == [(line.purchase_order.number, 3, D("3.33333333"))]
    assert bill.total == D("10.00")


def test_freight_and_tax_stand_apart(world: World) -> None:
    arrived(world)
    freight = row(1, sku="", name="Freight", price="7.50")
    tax = row("", sku="", name="Sales tax", price="", total="2.40")
    (bill,) = entered(world, row(10), freight, tax)
    assert (bill.freight, bill.tax, bill.total) == (D("7.50"), D("2.40"), D("49.90"))


def test_a_bill_for_each_invoice_all_or_none(world: World) -> None:
    arrived(world)
    assert [bill.vendor_invoice_number for bill in entered(world, row(4), row(3, invoice="V-2"))] == ["V-1", "V-2"]
    with pytest.raises(DomainError, match="is entered already"):
        entered(world, row(1, invoice="V-3"), row(1, invoice="V-2"))
    assert VendorBill.objects.count() == 2


def test_what_is_found_nowhere_is_shown_and_left_out_only_when_told(world: World) -> None:
    line = arrived(world)
    rows = (row(12), row(1, sku="X-9", name="Antenna"), row(-2))
    preview = preview_vendor_bills(vendor_id=world.ingram.pk, content=csv_of(HEADINGS, *rows))
    (planned,) = preview.bills
    assert [(each.row.row, each.unmatched_quantity, each.why) for each in planned.rows] == [
        (2, 2, "More than has arrived of Patch cable cat 6 and is not billed."),
        (3, 1, "No Antenna has arrived that is not billed."),
        (4, -2, "A credit is not entered with a bill."),
    ]
    assert (planned.total, planned.unmatched) == (D(40), D(4))  # 8.00 and 4.00 more, a credit of 8.00
    with pytest.raises(DomainError) as refused:
        entered(world, *rows)
    assert [each["row"] for each in refused.value.details] == ["2", "3", "4"]
    assert not VendorBill.objects.exists()
    (bill,) = entered(world, *rows, leave_unmatched=True)
    assert lines(bill) == [(line.purchase_order.number, 10, 4)]


def test_what_the_file_does_not_say_is_given(world: World) -> None:
    arrived(world)
    content = xlsx_of(("SKU", "Quantity", "Unit cost"), ("C6-1", 2, 4.25))
    given = {"actor": FINANCE, "vendor_id": world.ingram.pk, "content": content}
    with pytest.raises(DomainError) as refused:
        import_vendor_bills(**given)  # type: ignore[arg-type]
    assert [each["column"] for each in refused.value.details] == ["invoice_number", "invoice_date"]
    (bill,) = import_vendor_bills(**given, vendor_invoice_number="V-9", bill_date=date(2026, 1, 21))  # type: ignore[arg-type]
    assert (bill.total, bill.date) == (D("8.50"), date(2026, 1, 21))
    with pytest.raises(DomainError, match="takes the role"):
        import_vendor_bills(actor=SALES, vendor_id=world.ingram.pk, content=content)


def test_a_statement_becomes_a_bill(world: World) -> None:
    line = arrived(world)
    headings = ("Customer", "Product", "SKU", "Qty", "Unit cost", "Invoice")
    statement = imported(world, csv_of(headings, ("Acme Corp", "Cable", "C6-1", 6, "4.10", "G-5")), period=MARCH)
    planned = plan_statement_bill(statement_id=statement.pk)
    assert (planned.vendor_invoice_number, planned.total, planned.unmatched) == ("G-5", D("24.60"), D(0))
    bill = bill_statement(actor=FINANCE, statement_id=statement.pk)
    assert (lines(bill), bill.date) == ([(line.purchase_order.number, 6, D("4.10"))], date(2026, 4, 1))
