"""What is paid down on a deal is taken off the next drafts of its order and agreements; no tax is charged twice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.trade import order_of
from tests.world import FINANCE, SALES, World

from counterfoil.accounting.invoice_checks import deferred_revenue_is_not_overdrawn
from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.billing.commands import (
    close_invoice,
    create_invoice,
    delete_draft_invoice,
    invoice_agreement,
    invoice_progress,
    invoice_sales_order,
    record_payment,
    remove_invoice_line,
)
from counterfoil.billing.credits import CreditLine, credit_invoice, reissue_invoice, reverse_invoice
from counterfoil.billing.deposits import agreements_with_deposits, deposits_of, used_on
from counterfoil.billing.down_payments import down_payments
from counterfoil.billing.models import Invoice, InvoiceType
from counterfoil.billing.payments import InvoicePayment
from counterfoil.billing.special import NewLine
from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company
from counterfoil.core.errors import DomainError
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.audit import trail_of
from counterfoil.quotes.models import Opportunity

pytestmark = pytest.mark.django_db
D = Decimal
JAN_1, NOW = date(2026, 1, 1), datetime(2026, 1, 1, 12, tzinfo=UTC)


def pay(invoice: Invoice) -> None:
    """All of it."""
    record_payment(
        actor=FINANCE, company_id=invoice.bill_to_id, on=JAN_1, amount=invoice.balance,
        applications=[InvoicePayment(invoice.pk, invoice.balance)],
    )  # fmt: skip


class Deal:
    """An order of 700.00 for a migration and an agreement of 250.00 a month, of one opportunity, both taxed at 6 %."""

    def __init__(self, world: World) -> None:
        Company.objects.filter(pk=world.acme.pk).update(tax_code=world.tax6)
        self.opportunity = Opportunity.objects.create(number="TO-1", name="Move", company=world.acme)
        work = Product.objects.create(
            identifier="PROJ", description="Migration", product_class="Service", accounting_type="Service",
            category=world.lease.category, price=D(700), taxable=True,
        )  # fmt: skip
        self.order: SalesOrder = order_of(world, work, "1", price="700").order
        SalesOrder.objects.filter(pk=self.order.pk).update(opportunity=self.opportunity, tax_code=world.tax6)
        self.agreement = create_agreement(
            actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Care", start_date=JAN_1,
            opportunity_id=self.opportunity.pk, tax_code_id=world.tax6.pk,
            additions=[AdditionInput(world.lease.pk, D(1), D(250), taxable=True)],
        )  # fmt: skip
        self.world = world

    def deposit(self, amount: str = "1000", *, paid: bool = True, taxable: bool = False, **of: Any) -> Invoice:
        invoice = create_invoice(
            actor=FINANCE, type=InvoiceType.DOWN_PAYMENT, company_id=self.world.acme.pk, on=JAN_1,
            lines=[NewLine("Deposit", unit_price=D(amount), taxable=taxable)], tax_code_id=self.world.tax6.pk,
            **(of or {"order_id": self.order.pk}),
        )  # fmt: skip
        close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
        invoice.refresh_from_db()
        if paid:
            pay(invoice)
        return invoice

    def bill_order(self) -> Invoice:
        return invoice_sales_order(actor=FINANCE, order_id=self.order.pk, on=JAN_1)

    def bill_month(self) -> Invoice:
        return invoice_agreement(actor=FINANCE, agreement_id=self.agreement.pk)


@pytest.fixture
def deal(world: World) -> Deal:
    return Deal(world)


def amounts(invoice: Invoice) -> tuple[str, str]:
    invoice.refresh_from_db()
    return f"{invoice.subtotal:.2f}", f"{invoice.tax_total:.2f}"


def test_a_paid_deposit_is_taken_off_the_order_and_then_the_agreement(deal: Deal) -> None:
    deposit = deal.deposit()
    drafts = [deal.bill_order(), deal.bill_month(), deal.bill_month()]
    assert [amounts(draft) for draft in drafts] == [("0.00", "42.00"), ("0.00", "15.00"), ("200.00", "15.00")]
    assert (used_on(deposit).remaining, [line.amount for line in used_on(deposit).lines]) == (0, [-700, -250, -50])
    assert [row.remaining for row in deposits_of(order=deal.order)] == [0]
    assert "applied 700.00 of down payment" in trail_of(drafts[0])[0].sentence


def test_tax_that_was_charged_on_it_is_taken_off_with_it(deal: Deal) -> None:
    deposit = deal.deposit("500", taxable=True)
    assert amounts(deposit) == ("500.00", "30.00")
    assert amounts(deal.bill_order()) == ("200.00", "12.00")  # 42.00 in all


def test_what_is_not_paid_is_offered_and_not_taken_off(deal: Deal) -> None:
    deposit = deal.deposit(paid=False)
    order = deal.bill_order()
    assert amounts(order) == ("700.00", "42.00")
    assert [row.invoice for row in down_payments(for_invoice_id=order.pk)] == [deposit]
    pay(deposit)
    assert amounts(deal.bill_month()) == ("0.00", "15.00")


def test_progress_takes_it_off_as_well(deal: Deal) -> None:
    deal.deposit("100")
    assert amounts(invoice_progress(actor=FINANCE, order_id=deal.order.pk, on=JAN_1, percent=D(50)))[0] == "250.00"
    assert amounts(deal.bill_order())[0] == "350.00"


def test_a_draft_that_is_deleted_or_the_line_taken_off_gives_it_back(deal: Deal) -> None:
    deposit = deal.deposit()
    order = deal.bill_order()
    remove_invoice_line(actor=FINANCE, line_id=order.lines.get(down_payment=deposit).pk)
    assert (amounts(order), used_on(deposit).remaining) == (("700.00", "42.00"), 1000)
    delete_draft_invoice(actor=FINANCE, invoice_id=order.pk)
    assert amounts(deal.bill_order())[0] == "0.00"


def test_what_is_for_something_else_or_for_anything_is_not_taken_off(deal: Deal, world: World) -> None:
    other = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Other", start_date=JAN_1,
        additions=[AdditionInput(world.lease.pk, D(1), D(10))],
    )  # fmt: skip
    deal.deposit("10", agreement_id=other.pk)
    deal.deposit("10", ticket="T-1")
    free = deal.deposit("10", site_id=None)
    order = deal.bill_order()
    assert amounts(order)[0] == "700.00"
    assert [row.invoice for row in down_payments(for_invoice_id=order.pk)] == [free]
    assert amounts(invoice_agreement(actor=FINANCE, agreement_id=other.pk))[0] == "0.00"


def test_the_older_is_taken_off_first(deal: Deal) -> None:
    first, second = deal.deposit("300"), deal.deposit("300", agreement_id=deal.agreement.pk)
    deal.bill_month()
    assert [used_on(each).remaining for each in (first, second)] == [50, 300]
    deal.bill_month()
    assert [used_on(each).remaining for each in (first, second)] == [0, 100]


@pytest.mark.parametrize("mode", ["draft", "close"])
def test_a_billing_run_leaves_a_draft_with_the_deposit_taken_off(deal: Deal, world: World, mode: Any) -> None:
    other = create_agreement(
        actor=SALES, company_id=world.globex.pk, agreement_type_id=world.haas.pk, name="Other", start_date=JAN_1,
        additions=[AdditionInput(world.lease.pk, D(1), D(10))],
    )  # fmt: skip
    deposit = deal.deposit("100", agreement_id=deal.agreement.pk)
    assert agreements_with_deposits(list(Agreement.objects.values_list("pk", flat=True))) == [deal.agreement.pk]
    run = start_billing_run(actor=FINANCE, through=JAN_1, now=NOW, mode=mode)
    work(run.pk)
    mine, theirs = (Invoice.objects.get(agreement=each, type="agreement") for each in (deal.agreement, other))
    assert (mine.status, *amounts(mine)) == ("draft", "150.00", "15.00")
    assert (theirs.status, theirs.subtotal) == ("draft" if mode == "draft" else "closed", 10)
    assert used_on(deposit).remaining == 0
    assert agreements_with_deposits([deal.agreement.pk]) == []


def test_what_was_taken_off_is_not_given_back_as_well(world: World) -> None:
    """700.00 of 1,000.00 stand on the order's invoice: 300.00 can be credited."""
    deal = Deal(world)
    deposit = deal.deposit()
    draft = invoice_sales_order(actor=FINANCE, order_id=deal.order.pk, on=JAN_1)
    line = CreditLine(deposit.lines.get().pk, amount=D(400))
    with pytest.raises(DomainError, match=r"^300.00 of “Deposit” is left to credit; 400.00 cannot be.$"):
        credit_invoice(actor=FINANCE, invoice_id=deposit.pk, on=JAN_1, reason="Too much", lines=[line])
    memo = credit_invoice(actor=FINANCE, invoice_id=deposit.pk, on=JAN_1, reason="Too much")
    assert memo.subtotal == -300
    with pytest.raises(DomainError, match=f"^Nothing is left of down payment {deposit}: it was taken off {draft}.$"):
        credit_invoice(actor=FINANCE, invoice_id=deposit.pk, on=JAN_1, reason="Too much")
    assert [(line.invoice, line.amount) for line in used_on(deposit).lines] == [(draft, -700), (memo, -300)]
    close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    assert not deferred_revenue_is_not_overdrawn().details


@pytest.mark.parametrize(("months", "again"), [(0, "700"), (1, "450"), (3, None)])
def test_a_reissue_takes_off_what_is_left_of_the_deposit(world: World, months: int, again: str | None) -> None:
    """The order's invoice had taken 700.00 off and is reversed; months of care take 250.00 each meanwhile."""
    deal = Deal(world)
    deposit = deal.deposit("700")
    invoice = invoice_sales_order(actor=FINANCE, order_id=deal.order.pk, on=JAN_1)
    close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
    reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=JAN_1, reason="Wrong PO", now=NOW)
    for _ in range(months):
        invoice_agreement(actor=FINANCE, agreement_id=deal.agreement.pk)
    reissued = reissue_invoice(actor=FINANCE, invoice_id=invoice.pk, on=JAN_1)
    taken = [-line.amount for line in reissued.lines.filter(down_payment=deposit)]
    assert taken == ([] if again is None else [D(again)])
    (row,) = deposits_of(order=deal.order)
    assert row.remaining == 0
    for draft in Invoice.objects.filter(status="draft"):
        close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    assert not deferred_revenue_is_not_overdrawn().details
