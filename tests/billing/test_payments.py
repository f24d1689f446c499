"""What customers pay, what they owe by age, and the sales tax that goes to the agency."""

from __future__ import annotations

from datetime import date

import pytest
from tests.trade import NOW, D, journal_of, order_of, transfer
from tests.world import FINANCE, World, build_world

from counterfoil.billing.commands import InvoicePayment, close_invoice, invoice_sales_order, record_payment
from counterfoil.billing.models import Invoice, Payment
from counterfoil.billing.queries import balances_of_invoices, open_invoices, receivables
from counterfoil.billing.remittances import remit_sales_tax
from counterfoil.core.errors import DomainError
from counterfoil.ledger.commands import close_period
from counterfoil.ledger.models import AccountingPeriod
from counterfoil.tax.models import TaxLevel, TaxRemittance

pytestmark = pytest.mark.django_db
JAN_1, JAN_31 = date(2026, 1, 1), date(2026, 1, 31)


@pytest.fixture
def world() -> World:
    return build_world()


def closed(world: World, price: str, on: date = JAN_1) -> Invoice:
    """A closed invoice to Acme, with 6 % tax, due after 30 days."""
    line = order_of(world, world.server_noninventory, price=price)
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=on)
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def pay(world: World, amount: str, *parts: tuple[Invoice, str], company_id: int | None = None) -> Payment:
    return record_payment(
        actor=FINANCE,
        company_id=company_id or world.acme.pk,
        on=JAN_31,
        amount=D(amount),
        applications=[InvoicePayment(invoice.pk, D(part)) for invoice, part in parts],
        reference="ACH 5",
    )


def test_a_payment_settles_an_invoice_and_is_booked(world: World) -> None:
    invoice = closed(world, "150")

    payment = pay(world, "159.00", (invoice, "159.00"))

    assert payment.number == "PAY-0001"
    assert balances_of_invoices([invoice]) == {invoice.pk: D("0.00")}
    assert journal_of("customer_payment", payment.pk) == [
        ("31 Jan", "1000", "159.00", "0.00"),
        ("31 Jan", "1100", "0.00", "159.00"),
    ]


def test_without_a_choice_the_oldest_invoices_are_settled_first(world: World) -> None:
    newer, older = closed(world, "100", date(2026, 1, 20)), closed(world, "100", JAN_1)

    pay(world, "150.00")

    assert balances_of_invoices([newer, older]) == {older.pk: D("0.00"), newer.pk: D("62.00")}
    assert [(row.pk, row.balance) for row in open_invoices(company_id=world.acme.pk)] == [(newer.pk, D("62.00"))]


def test_more_than_is_owed_is_refused(world: World) -> None:
    invoice = closed(world, "100")

    with pytest.raises(DomainError) as refused:
        pay(world, "106.01")
    assert refused.value.message == "106.01 is more than the 106.00 that Acme Corp owes."
    with pytest.raises(DomainError) as refused:
        pay(world, "106.01", (invoice, "106.01"))
    assert refused.value.message == "106.01 is more than the 106.00 open on INV-0001."
    with pytest.raises(DomainError) as refused:
        pay(world, "100.00", (invoice, "60.00"), (invoice, "60.00"))
    assert refused.value.field == "applications[1].amount"
    assert not Payment.objects.exists()


def test_parts_add_up_to_the_payment(world: World) -> None:
    invoice = closed(world, "100")
    with pytest.raises(DomainError) as refused:
        pay(world, "106.00", (invoice, "100.00"))
    assert refused.value.field == "amount"


def test_drafts_and_invoices_of_others_are_not_paid(world: World) -> None:
    line = order_of(world, world.server_noninventory, price="100")
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=JAN_1)
    with pytest.raises(DomainError) as refused:
        pay(world, "106.00", (draft, "106.00"))
    assert refused.value.code == "wrong_state"

    invoice = close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    with pytest.raises(DomainError) as refused:
        pay(world, "106.00", (invoice, "106.00"), company_id=world.globex.pk)
    assert refused.value.message == "INV-0001 was not billed to Globex Ltd."


def test_a_payment_into_a_closed_period_is_refused_and_nothing_stays(world: World) -> None:
    invoice = closed(world, "100")
    close_period(actor=FINANCE, period_id=AccountingPeriod.objects.get(start=JAN_1).pk)

    with pytest.raises(DomainError) as refused:
        pay(world, "106.00", (invoice, "106.00"))

    assert refused.value.code == "period_closed"
    assert not Payment.objects.exists()


def test_receivables_by_age(world: World) -> None:
    for on, price in (
        (date(2026, 6, 15), "100"),  # due 15 Jul: current
        (date(2026, 5, 31), "200"),  # due 30 Jun, the day itself: current
        (date(2026, 5, 30), "300"),  # one day late
        (date(2026, 5, 1), "400"),  # due 31 May: 30 days late
        (date(2026, 4, 30), "500"),  # due 30 May: 31 days late
        (date(2026, 3, 2), "600"),  # due 1 Apr: 90 days late
        (date(2026, 3, 1), "700"),  # due 31 Mar: 91 days late
        (date(2026, 7, 1), "800"),  # not yet
    ):
        closed(world, price, on)

    (row,) = receivables(as_of=date(2026, 6, 30))

    assert (row.customer, row.current, row.days_30, row.days_60, row.days_90, row.older, row.total) == (
        "Acme Corp", D("318.00"), D("742.00"), D("530.00"), D("636.00"), D("742.00"), D("2968.00"),
    )  # fmt: skip


def test_receivables_look_back_to_before_a_payment(world: World) -> None:
    invoice = closed(world, "100")
    pay(world, "106.00", (invoice, "106.00"))

    assert [row.total for row in receivables(as_of=date(2026, 1, 30))] == [D("106.00")]
    assert receivables(as_of=JAN_31) == []


def test_sales_tax_is_remitted_no_more_than_the_books_owe(world: World) -> None:
    closed(world, "150")

    def remit(amount: str, agency: str = "MI Dept of Treasury") -> TaxRemittance:
        return remit_sales_tax(actor=FINANCE, agency=agency, on=JAN_31, amount=D(amount))

    with pytest.raises(DomainError) as refused:
        remit("9.00")
    assert refused.value.message == (
        "0.00 of sales tax is owed to MI Dept of Treasury on 31 Jan 2026; 9.00 cannot be paid."
    )
    transfer()
    with pytest.raises(DomainError) as refused:
        remit("9.00", "Somebody")
    assert refused.value.code == "not_found"

    paid = remit("9.00")

    assert paid.number == "TAX-0001"
    assert journal_of("tax_remittance", paid.pk) == [
        ("31 Jan", "2200", "9.00", "0.00"),
        ("31 Jan", "1000", "0.00", "9.00"),
    ]
    with pytest.raises(DomainError):
        remit("0.01")


def test_an_agency_is_not_paid_what_is_owed_to_another(world: World) -> None:
    TaxLevel.objects.create(tax_code=world.tax6, position=2, name="City", rate=D("0.01"), agency="City of Detroit")
    closed(world, "100")
    transfer()

    with pytest.raises(DomainError, match=r"1\.00 of sales tax is owed to City of Detroit"):
        remit_sales_tax(actor=FINANCE, agency="City of Detroit", on=JAN_31, amount=D("6.00"))
    remit_sales_tax(actor=FINANCE, agency="City of Detroit", on=JAN_31, amount=D("1.00"))
