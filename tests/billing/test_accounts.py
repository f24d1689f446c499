"""A customer's account: payments in part, later and taken back; statements; what is owed by age at any day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from tests.trade import NOW, D
from tests.world import FINANCE, World, build_world

from counterfoil.accounting.subledgers import receivable_by_customer
from counterfoil.billing.commands import (
    apply_credit,
    apply_payment,
    close_invoice,
    create_invoice,
    credit_invoice,
    record_payment,
    reverse_payment,
)
from counterfoil.billing.models import Invoice, InvoiceType, Payment, PaymentApplication
from counterfoil.billing.payments import InvoicePayment
from counterfoil.billing.queries import open_invoices, receivables, unapplied_payments
from counterfoil.billing.special import NewLine
from counterfoil.billing.statements import statement
from counterfoil.core.errors import DomainError
from counterfoil.ledger.models import JournalEntry

pytestmark = pytest.mark.django_db

MAR_1, MAR_10, MAR_20, MAR_31 = date(2026, 3, 1), date(2026, 3, 10), date(2026, 3, 20), date(2026, 3, 31)


@pytest.fixture
def world() -> World:
    return build_world()


def closed(world: World, price: str, on: date = MAR_1) -> Invoice:
    line = NewLine("Setup", unit_price=D(price), taxable=False)
    draft = create_invoice(actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=on, lines=[line])
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def pay(world: World, amount: str, *parts: tuple[Invoice, str], on: date = MAR_10, **fields: Any) -> Payment:
    applications = [InvoicePayment(invoice.pk, D(part)) for invoice, part in parts]
    return record_payment(
        actor=FINANCE, company_id=world.acme.pk, on=on, amount=D(amount), applications=applications, **fields
    )


def refusal(command: Any, **fields: Any) -> DomainError:
    with pytest.raises(DomainError) as refused:
        command(actor=FINANCE, **fields)
    return refused.value


def owed(on: date) -> list[Any]:
    return [row.total for row in receivables(as_of=on)]


# -- payments


def test_what_is_left_of_a_payment_is_applied_later(world: World) -> None:
    first = closed(world, "100")
    payment = pay(world, "250", leave_rest=True)
    assert payment.unapplied == D("150")
    later = closed(world, "500", MAR_20)
    apply_payment(actor=FINANCE, payment_id=payment.pk, on=MAR_31, applications=[InvoicePayment(later.pk, D("50"))])
    apply_payment(actor=FINANCE, payment_id=payment.pk, on=MAR_31)
    assert Invoice.objects.get(pk=first.pk).balance == 0
    assert Invoice.objects.get(pk=later.pk).balance == D("350")
    error = refusal(apply_payment, payment_id=payment.pk, on=MAR_31)
    assert error.message == f"All of {payment} is applied."
    assert JournalEntry.objects.filter(source_type="customer_payment").count() == 1


def test_money_on_account_counts_against_what_is_owed_on_every_day(world: World) -> None:
    closed(world, "100")
    payment = pay(world, "250", leave_rest=True)
    later = closed(world, "500", MAR_20)
    apply_payment(actor=FINANCE, payment_id=payment.pk, on=MAR_31)
    assert [owed(day) for day in (MAR_1, MAR_10, MAR_20, MAR_31)] == [[100], [-150], [350], [350]]
    assert [(row.number, row.left) for row in unapplied_payments(as_of=MAR_20)] == [(payment.number, D("150"))]
    assert unapplied_payments() == []
    at_20 = open_invoices(as_of=MAR_20)
    assert [(row.pk, row.open_amount) for row in at_20] == [(later.pk, D("500"))]  # type: ignore[attr-defined]


def test_no_more_is_applied_than_is_left(world: World) -> None:
    invoice = closed(world, "500")
    payment = pay(world, "100", (invoice, "60"), leave_rest=True)
    parts = [InvoicePayment(invoice.pk, D("40.01"))]
    error = refusal(apply_payment, payment_id=payment.pk, on=MAR_31, applications=parts)
    assert error.message == "40.00 is left of PAY-0001; 40.01 cannot be applied."
    assert refusal(apply_payment, payment_id=payment.pk, on=MAR_1).field == "on"
    with pytest.raises(DatabaseError, match="no_more_applied_than_paid"), transaction.atomic():
        PaymentApplication.objects.create(payment=payment, invoice=invoice, amount=D("40.01"))


def test_a_bounced_check_opens_its_invoices_and_reverses_the_books(world: World) -> None:
    invoice = closed(world, "100")
    payment = pay(world, "80")
    reverse_payment(actor=FINANCE, payment_id=payment.pk, on=MAR_20, reason="No funds")
    assert Invoice.objects.get(pk=invoice.pk).balance == D("100")
    assert [owed(day) for day in (MAR_1, MAR_10, MAR_20)] == [[100], [20], [100]]
    entry, back = JournalEntry.objects.filter(source_type="customer_payment").order_by("pk")
    assert (back.reverses, back.date, back.total) == (entry, MAR_20, D("80"))
    assert receivable_by_customer()[world.acme.pk] == 0  # the invoice is not transferred yet
    assert refusal(reverse_payment, payment_id=payment.pk, on=MAR_31, reason="x").code == "wrong_state"
    assert refusal(apply_payment, payment_id=payment.pk, on=MAR_31).code == "wrong_state"
    pay(world, "100", on=MAR_31)
    assert owed(MAR_31) == []


# -- statements


def test_a_statement_runs_from_its_opening_to_what_is_owed(world: World) -> None:
    first = closed(world, "100")
    payment = pay(world, "40")
    second = closed(world, "300", MAR_20)
    memo = credit_invoice(actor=FINANCE, invoice_id=second.pk, on=MAR_20, reason="Agreed")
    close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)
    apply_credit(actor=FINANCE, credit_memo_id=memo.pk, invoice_id=first.pk, on=MAR_31, amount=D("60"))
    reverse_payment(actor=FINANCE, payment_id=payment.pk, on=MAR_31, reason="No funds")

    found = statement(company_id=world.acme.pk, since=MAR_10, until=MAR_31)
    assert found.opening == D("100")
    assert [(row.date, row.kind, row.charge, row.credit, row.balance) for row in found.entries] == [
        (MAR_10, "payment", 0, D("40"), D("60")),
        (MAR_20, "invoice", D("300"), 0, D("360")),
        (MAR_20, "credit_memo", 0, D("300"), D("60")),
        (MAR_31, "payment_reversal", D("40"), 0, D("100")),
    ]
    assert (found.closing, found.ages.total) == (D("100"), D("100"))
    assert statement(company_id=world.globex.pk, since=MAR_10, until=MAR_31).closing == 0


@pytest.mark.parametrize(
    ("days", "bucket"), [(0, "current"), (30, "current"), (31, "days_30"), (60, "days_30"), (61, "days_60"),
                         (90, "days_60"), (91, "days_90"), (120, "days_90"), (121, "older")],
)  # fmt: skip
def test_what_is_owed_by_age(world: World, days: int, bucket: str) -> None:
    closed(world, "100")  # due on 31 March, 30 days on
    (row,) = receivables(as_of=date.fromordinal(MAR_1.toordinal() + days))
    assert (getattr(row, bucket), row.total) == (D("100"), D("100"))


def test_what_was_owed_on_any_day_is_what_its_invoices_had_open(world: World) -> None:
    first, second = closed(world, "100"), closed(world, "300", MAR_20)
    bounced = pay(world, "70", (first, "70"))
    pay(world, "500", (first, "30"), (second, "200"), on=MAR_31, leave_rest=True)
    memo = credit_invoice(actor=FINANCE, invoice_id=closed(world, "45", MAR_10).pk, on=MAR_20, reason="Agreed")
    close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)
    apply_credit(actor=FINANCE, credit_memo_id=memo.pk, invoice_id=second.pk, on=date(2026, 4, 20), amount=D("45"))
    reverse_payment(actor=FINANCE, payment_id=bounced.pk, on=MAR_20, reason="No funds")
    for days in (-1, 0, 8, 9, 18, 19, 29, 30, 31, 49, 50, 51, 61, 80, 91, 110, 121):
        on = date.fromordinal(MAR_1.toordinal() + days)
        ages = [D(0)] * 5
        for invoice in open_invoices(as_of=on):
            late = (on - invoice.due_date).days
            ages[max(0, min((late + 29) // 30, 4))] += invoice.open_amount
        ages[0] -= sum((payment.left for payment in unapplied_payments(as_of=on)), D(0))
        told = [[row.current, row.days_30, row.days_60, row.days_90, row.older] for row in receivables(as_of=on)]
        assert told == ([ages] if any(ages) else []), on
