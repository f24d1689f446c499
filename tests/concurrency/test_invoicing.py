"""Two people at the same work, the same invoice, the same payment: everything is billed, credited and applied once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

from tests.racing import at_once, refusals
from tests.trade import NOW
from tests.usage.world import engineer, time
from tests.world import FINANCE, World

from counterfoil.billing.commands import (
    apply_payment,
    bill_charges,
    close_invoice,
    create_invoice,
    credit_invoice,
    record_payment,
)
from counterfoil.billing.models import Invoice, InvoiceType, Payment
from counterfoil.billing.payments import InvoicePayment
from counterfoil.billing.special import NewLine
from counterfoil.core.money import sum_money

MAR_31 = date(2026, 3, 31)


def closed(world: World, price: str) -> Invoice:
    draft = create_invoice(
        actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=MAR_31,
        lines=[NewLine("Setup", unit_price=D(price))],
    )  # fmt: skip
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def test_work_is_billed_once(committed_world: World) -> None:
    engineer()
    for _ in range(5):
        time(committed_world.acme, date(2026, 3, 5), "1")
    results = at_once(*[lambda: bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31)] * 3)
    assert [error.code for error in refusals(results)] in ([], ["conflict"], ["conflict"] * 2)
    assert [(row.subtotal, row.lines.count()) for row in Invoice.objects.all()] == [(D("500"), 5)]


def test_an_invoice_is_credited_whole_once(committed_world: World) -> None:
    invoice = closed(committed_world, "100")
    results = at_once(*[lambda: credit_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_31, reason="x")] * 3)
    assert [error.code for error in refusals(results)] == ["wrong_state"] * 2
    assert Invoice.objects.filter(credits=invoice).count() == 1


def test_what_is_left_of_a_payment_is_applied_once(committed_world: World) -> None:
    invoices = [closed(committed_world, "100") for _ in range(3)]
    payment = record_payment(
        actor=FINANCE, company_id=committed_world.acme.pk, on=MAR_31, amount=D("150"), leave_rest=True,
        applications=[InvoicePayment(invoices[0].pk, D("50"))],
    )  # fmt: skip

    def apply(invoice: Invoice) -> object:
        part = InvoicePayment(invoice.pk, D("60"))
        return apply_payment(actor=FINANCE, payment_id=payment.pk, on=MAR_31, applications=[part])

    results = at_once(*[lambda each=each: apply(each) for each in invoices[1:]])
    assert [error.code for error in refusals(results)] == ["invalid"]
    assert Payment.objects.get().unapplied == D("40")
    assert sum_money(row.balance for row in Invoice.objects.all()) == D("208")
