"""The vendor's bill: for what arrived, once, and paid no more than it says."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.trade import JAN_10, JAN_15, D, bought, cable, journal_of, received, transfer
from tests.world import FINANCE, PROCUREMENT, World, build_world

from counterfoil.core.errors import DomainError
from counterfoil.ledger.models import Account
from counterfoil.procurement.commands import (
    BillLine,
    BillPayment,
    PurchaseLine,
    delete_vendor_bill,
    enter_vendor_bill,
    pay_vendor_bill,
    record_vendor_payment,
)
from counterfoil.procurement.models import PurchaseOrderLine, VendorBill, VendorPayment
from counterfoil.procurement.queries import billable_lines, payables_total, vendor_bills

pytestmark = pytest.mark.django_db
FEB_10 = date(2026, 2, 10)


@pytest.fixture
def world() -> World:
    return build_world()


@pytest.fixture
def line(world: World) -> PurchaseOrderLine:
    """Ten cables at 4.00, of which six have arrived."""
    order = bought(world, PurchaseLine(product_id=cable(world).pk, quantity=D("10"), unit_cost=D("4")))
    received(world, order.lines.get(), "6")
    return order.lines.get()


def bill(world: World, line: PurchaseOrderLine, number: str = "V-1", **fields: object) -> VendorBill:
    given = {"quantity": None, "unit_cost": None, "freight": Decimal(0), "tax": Decimal(0), "due_date": None, **fields}
    return enter_vendor_bill(
        actor=PROCUREMENT,
        vendor_id=world.ingram.pk,
        vendor_invoice_number=number,
        date=JAN_10,
        lines=[BillLine(line.pk, given["quantity"], given["unit_cost"])],  # type: ignore[arg-type]
        freight=given["freight"],  # type: ignore[arg-type]
        tax=given["tax"],  # type: ignore[arg-type]
        due_date=given["due_date"],  # type: ignore[arg-type]
    )


def test_a_bill_covers_all_that_arrived_with_freight_and_tax_due_by_the_terms(
    world: World, line: PurchaseOrderLine
) -> None:
    entered = bill(world, line, freight=D("7.50"), tax=D("1.44"))

    assert (entered.number, entered.total, entered.due_date) == ("VB-0001", D("32.94"), date(2026, 2, 9))
    assert [(row.quantity, row.unit_cost, row.amount) for row in entered.lines.all()] == [(D("6"), D("4"), D("24.00"))]
    assert billable_lines(world.ingram.pk) == []


@pytest.mark.parametrize("quantity", ["6.000001", "7", "10"])
def test_more_than_arrived_is_not_billed(world: World, line: PurchaseOrderLine, quantity: str) -> None:
    with pytest.raises(DomainError) as refused:
        bill(world, line, quantity=D(quantity))

    assert (refused.value.code, refused.value.field) == ("more_than_received", "lines[0].quantity")
    assert not VendorBill.objects.exists()


def test_what_is_billed_is_not_billed_again(world: World, line: PurchaseOrderLine) -> None:
    bill(world, line, quantity=D("4"))
    assert [row.billed for row in billable_lines(world.ingram.pk)] == [D("4")]
    bill(world, line, "V-2")

    with pytest.raises(DomainError) as refused:
        bill(world, line, "V-3", quantity=D("1"))

    assert refused.value.message.startswith("6 CAB-6 of PO-0001 have arrived and 6 are billed")


def test_a_vendors_invoice_number_is_entered_once(world: World, line: PurchaseOrderLine) -> None:
    bill(world, line, "V-88213", quantity=D("1"))

    with pytest.raises(DomainError) as refused:
        bill(world, line, " V-88213 ")

    assert refused.value.code == "duplicate"
    assert refused.value.message == "Invoice V-88213 of Ingram Micro is entered already, as VB-0001."


def test_a_bill_of_another_vendors_order_is_refused(world: World, line: PurchaseOrderLine) -> None:
    with pytest.raises(DomainError) as refused:
        enter_vendor_bill(
            actor=PROCUREMENT,
            vendor_id=world.dell.pk,
            vendor_invoice_number="D-1",
            date=JAN_10,
            lines=[BillLine(line.pk)],
        )
    assert refused.value.message == "PO-0001 was not sent to Dell Direct."


def test_an_unposted_bill_can_be_deleted_and_a_posted_or_paid_one_cannot(world: World, line: PurchaseOrderLine) -> None:
    wrong = bill(world, line)
    delete_vendor_bill(actor=PROCUREMENT, bill_id=wrong.pk)
    right = bill(world, line)
    transfer()

    with pytest.raises(DomainError) as refused:
        delete_vendor_bill(actor=PROCUREMENT, bill_id=right.pk)
    assert refused.value.code == "posted_is_locked"

    received(world, line, "4", on=JAN_15)
    paid = bill(world, line, "V-2")
    pay_vendor_bill(actor=FINANCE, bill_id=paid.pk, on=FEB_10)
    with pytest.raises(DomainError) as refused:
        delete_vendor_bill(actor=PROCUREMENT, bill_id=paid.pk)
    assert refused.value.code == "wrong_state"


def test_paying_a_bill_books_payables_against_the_bank(world: World, line: PurchaseOrderLine) -> None:
    entered = bill(world, line)

    payment = pay_vendor_bill(actor=FINANCE, bill_id=entered.pk, on=FEB_10, reference="Check 17")

    assert (payment.number, payment.amount) == ("VP-0001", D("24.00"))
    assert journal_of("vendor_payment", payment.pk) == [
        ("10 Feb", "2000", "24.00", "0.00"),
        ("10 Feb", "1000", "0.00", "24.00"),
    ]
    assert [(row.balance, row.posted) for row in vendor_bills()] == [(D("0.00"), False)]
    assert vendor_bills(only_open=True) == []
    assert (payables_total(as_of=JAN_10), payables_total(as_of=FEB_10)) == (D("24.00"), D("0.00"))


def test_one_payment_settles_several_bills_in_part(world: World, line: PurchaseOrderLine) -> None:
    first, second = bill(world, line, "V-1", quantity=D("2")), bill(world, line, "V-2")
    applications = [BillPayment(first.pk, D("8.00")), BillPayment(second.pk, D("10.00"))]

    payment = record_vendor_payment(actor=FINANCE, vendor_id=world.ingram.pk, on=FEB_10, applications=applications)

    assert payment.amount == D("18.00")
    assert [(row.bill, row.balance) for row in vendor_bills(only_open=True)] == [(second, D("6.00"))]


@pytest.mark.parametrize("amount", ["24.01", "0", "-1", "1.005"])
def test_a_payment_is_above_zero_and_no_more_than_the_balance(
    world: World, line: PurchaseOrderLine, amount: str
) -> None:
    entered = bill(world, line)

    with pytest.raises(DomainError) as refused:
        record_vendor_payment(
            actor=FINANCE,
            vendor_id=world.ingram.pk,
            on=FEB_10,
            applications=[BillPayment(entered.pk, D(amount))],
        )

    assert refused.value.field == "applications[0].amount"
    assert not VendorPayment.objects.exists()


def test_one_bill_named_twice_in_a_payment_cannot_exceed_its_balance(world: World, line: PurchaseOrderLine) -> None:
    entered = bill(world, line)
    twice = [BillPayment(entered.pk, D("20.00")), BillPayment(entered.pk, D("20.00"))]

    with pytest.raises(DomainError):
        record_vendor_payment(actor=FINANCE, vendor_id=world.ingram.pk, on=FEB_10, applications=twice)

    assert not VendorPayment.objects.exists()


def test_money_is_paid_from_a_bank_account(world: World, line: PurchaseOrderLine) -> None:
    entered, receivable = bill(world, line), Account.objects.get(code="1100")

    with pytest.raises(DomainError) as refused:
        pay_vendor_bill(actor=FINANCE, bill_id=entered.pk, on=FEB_10, bank_account_id=receivable.pk)

    assert (refused.value.code, refused.value.field) == ("invalid", "bank_account")
