"""Credit memos of invoices: in part and whole, with the tax that was charged; reversal, reissue, applying."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from tests.trade import NOW, D, cable, order_of, shipped, stock
from tests.usage.world import engineer, time
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements.commands import create_agreement
from counterfoil.agreements.models import BillingState
from counterfoil.billing.commands import (
    apply_credit,
    bill_charges,
    close_invoice,
    close_invoices,
    create_invoice,
    credit_invoice,
    delete_draft_invoice,
    invoice_agreement,
    invoice_sales_order,
    record_payment,
    reissue_invoice,
    reverse_invoice,
    update_invoice_line,
)
from counterfoil.billing.credits import CreditLine
from counterfoil.billing.models import CreditApplication, Invoice, InvoiceTax, InvoiceType
from counterfoil.billing.special import NewLine
from counterfoil.core.errors import DomainError
from counterfoil.core.money import sum_money
from counterfoil.tax.models import TaxLevel
from counterfoil.usage.models import Charge

pytestmark = pytest.mark.django_db

MAR_1, MAR_31 = date(2026, 3, 1), date(2026, 3, 31)


@pytest.fixture
def world() -> World:
    built = build_world()
    engineer()
    return built


def closed(world: World, *prices: str, quantity: str = "1") -> Invoice:
    lines = [
        NewLine(description=f"Part {i}", quantity=D(quantity), unit_price=D(price)) for i, price in enumerate(prices)
    ]
    draft = create_invoice(
        actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=MAR_1, lines=lines
    )
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def credit(invoice: Invoice, *lines: CreditLine) -> Invoice:
    return credit_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_31, reason="Agreed", lines=lines)


def close(invoice: Invoice) -> Invoice:
    return close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)


def reverse(invoice: Invoice) -> Invoice:
    return reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_31, reason="Wrong", now=NOW)


def refusal(command: Any, *args: Any, **fields: Any) -> DomainError:
    with pytest.raises(DomainError) as refused:
        command(*args, **fields)
    return refused.value


def balances(*invoices: Invoice) -> list[Any]:
    return [Invoice.objects.get(pk=invoice.pk).balance for invoice in invoices]


# -- in part


@pytest.mark.parametrize("parts", [("1", "1", "1"), ("2", "1"), ("0.5", "1.75", "0.75"), ("0.1",) * 30])
def test_partial_credits_add_up_to_the_cent_of_line_and_tax(world: World, parts: tuple[str, ...]) -> None:
    """3 at 33.37 with 4 + 2.25 + 1 %: however it is credited, all of it is what was billed."""
    TaxLevel.objects.all().delete()
    for position, rate in enumerate(("0.04", "0.0225", "0.01"), start=1):
        TaxLevel.objects.create(
            tax_code=world.tax6, position=position, name=f"Level {position}", rate=D(rate), agency="State"
        )
    invoice = closed(world, "33.37", quantity="3")
    line = invoice.lines.get()
    memos = [close(credit(invoice, CreditLine(line.pk, quantity=D(part)))) for part in parts]
    assert sum_money(memo.subtotal for memo in memos) == -invoice.subtotal
    assert sum_money(memo.tax_total for memo in memos) == -invoice.tax_total
    for tax in invoice.taxes.all():
        given = InvoiceTax.objects.filter(invoice__in=memos, level=tax.level)
        assert sum_money(row.amount for row in given) == -tax.amount
    assert refusal(credit, invoice, CreditLine(line.pk, amount=D("0.01"))).code == "wrong_state"


def test_drafts_of_credits_hold_what_they_credit_and_deleting_one_shifts_no_cent(world: World) -> None:
    invoice = closed(world, "33.37", quantity="3")
    line = invoice.lines.get()
    first, second, third = (credit(invoice, CreditLine(line.pk, quantity=D(1))) for _ in range(3))
    assert refusal(credit, invoice).code == "wrong_state"
    delete_draft_invoice(actor=FINANCE, invoice_id=first.pk)
    fourth = credit(invoice)
    done = close_invoices(actor=FINANCE, invoice_ids=[third.pk, fourth.pk, second.pk], now=NOW)
    assert sum_money(memo.total for memo in done.invoices) == -invoice.total


def test_an_amount_is_credited_of_one_line_with_its_tax(world: World) -> None:
    invoice = closed(world, "100", "50")
    first, second = invoice.lines.order_by("position")
    memo = credit(invoice, CreditLine(first.pk, amount=D("12.34")), CreditLine(second.pk))
    assert [(row.credited_line, row.amount, row.tax_amount) for row in memo.lines.order_by("position")] == [
        (first, D("-12.34"), D("-0.74")), (second, D("-50"), D("-3")),
    ]  # fmt: skip
    assert (memo.credits, memo.top_comment, memo.due_date) == (invoice, "Agreed", MAR_31)
    assert refusal(credit, invoice, CreditLine(first.pk, amount=D("87.67"))).field == "lines[0]"
    assert refusal(credit, invoice, CreditLine(second.pk, quantity=D(1))).field == "lines[0]"
    assert refusal(credit, invoice, CreditLine(0)).code == "not_found"


def test_a_credit_takes_the_rates_of_the_invoice_not_those_of_today(world: World) -> None:
    invoice = closed(world, "100")
    TaxLevel.objects.update(rate=D("0.08"))
    assert close(credit(invoice)).total == D("-106")


def test_a_line_of_a_credit_follows_its_invoice(world: World) -> None:
    memo = credit(closed(world, "100"))
    fields: Any = {"actor": FINANCE, "line_id": memo.lines.get().pk}
    assert refusal(update_invoice_line, unit_price=D(5), **fields).code == "wrong_state"
    update_invoice_line(description="Goodwill", **fields)
    assert Invoice.objects.get(pk=memo.pk).total == D("-106")


def test_drafts_and_credit_memos_are_not_credited(world: World) -> None:
    memo = credit(closed(world, "100"))
    assert refusal(credit, memo).code == "wrong_state"
    assert refusal(credit, close(memo)).code == "wrong_state"
    early: Any = {"on": date(2026, 2, 1), "reason": "x"}
    invoice = closed(world, "1")
    assert refusal(credit_invoice, actor=FINANCE, invoice_id=invoice.pk, **early).field == "on"


# -- applying


def test_a_credit_settles_invoices_of_the_same_bill_to_and_no_more_than_is_open(world: World) -> None:
    invoice, other = closed(world, "100"), closed(world, "50")
    memo = close(credit(invoice))
    fields: Any = {"actor": FINANCE, "credit_memo_id": memo.pk, "on": MAR_31}
    apply_credit(invoice_id=other.pk, **fields)
    assert balances(memo, other, invoice) == [D("-53"), 0, D("106")]
    assert refusal(apply_credit, invoice_id=invoice.pk, amount=D("53.01"), **fields).field == "amount"
    apply_credit(invoice_id=invoice.pk, amount=D("3"), **fields)
    assert balances(memo, invoice) == [D("-50"), D("103")]
    globex = create_invoice(
        actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.globex.pk, on=MAR_1,
        lines=[NewLine("x", unit_price=D(1))],
    )  # fmt: skip
    assert refusal(apply_credit, invoice_id=globex.pk, **fields).code == "wrong_state"
    assert refusal(apply_credit, invoice_id=close(globex).pk, **fields).code == "invalid"
    assert refusal(apply_credit, invoice_id=invoice.pk, **fields | {"on": MAR_1}).field == "on"


def test_the_database_holds_both_balances(world: World) -> None:
    invoice, other = closed(world, "100"), closed(world, "500")
    memo = close(credit(invoice))
    for amount, target in (("106.01", other), ("107", invoice)):
        with pytest.raises(IntegrityError, match="no_more_settled_than_owed"), transaction.atomic():
            CreditApplication.objects.create(credit_memo=memo, invoice=target, date=MAR_31, amount=D(amount))


# -- whole


def test_a_reversal_settles_what_is_open_and_keeps_what_was_paid(world: World) -> None:
    invoice = closed(world, "100")
    record_payment(actor=FINANCE, company_id=world.acme.pk, on=MAR_1, amount=D("60"))
    memo = reverse(invoice)
    assert (memo.number, memo.status, memo.reverses, memo.total) == ("CM-0001", "closed", invoice, D("-106"))
    assert balances(invoice, memo) == [0, D("-60")]
    assert refusal(reverse, invoice).message == "INV-0001 is reversed by CM-0001."
    assert refusal(credit, invoice).code == "wrong_state"


def test_what_is_credited_in_part_is_not_reversed(world: World) -> None:
    invoice = closed(world, "100")
    credit(invoice, CreditLine(invoice.lines.get().pk, amount=D(1)))
    assert refusal(reverse, invoice).hint == "Credit what is left of it."


def test_an_agreements_period_is_billed_again_after_a_reversal(world: World) -> None:
    agreement = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Care", start_date=MAR_1,
        billing_amount=D("500"), billing_amount_taxable=True,
    )  # fmt: skip
    march = close(invoice_agreement(actor=FINANCE, agreement_id=agreement.pk))
    april = close(invoice_agreement(actor=FINANCE, agreement_id=agreement.pk))
    state = BillingState.objects.get(agreement=agreement)
    assert (state.next_period, state.due_on) == (2, date(2026, 5, 1))
    reverse(march)
    state.refresh_from_db()
    assert (state.next_period, state.due_on) == (0, MAR_1)
    again = reissue_invoice(actor=FINANCE, invoice_id=march.pk, on=date(2026, 4, 2))
    assert (again.reissues, again.revision, again.period_start, again.total) == (march, 1, MAR_1, D("530"))
    assert (again.date, again.due_date, again.terms_name) == (date(2026, 4, 2), date(2026, 5, 2), "Net 30")
    error = refusal(reissue_invoice, actor=FINANCE, invoice_id=march.pk, on=MAR_31)
    assert error.message == f"{march} was invoiced again as {again}."
    delete_draft_invoice(actor=FINANCE, invoice_id=again.pk)
    anew = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert (anew.period_start, anew.total, anew.reissues) == (MAR_1, D("530"), march)
    assert refusal(reissue_invoice, actor=FINANCE, invoice_id=april.pk, on=MAR_31).code == "wrong_state"


def test_work_is_free_after_a_reversal_and_held_by_the_reissue(world: World) -> None:
    charge = time(world.acme, MAR_1, "2")
    (draft,) = bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31).invoices
    invoice = close(draft)
    reverse(invoice)
    assert not Charge.objects.get().billed
    again = reissue_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_31)
    assert (Charge.objects.get().billed, again.subtotal, again.lines.get().charge) == (True, D("200"), charge)
    delete_draft_invoice(actor=FINANCE, invoice_id=again.pk)
    (anew,) = bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31).invoices
    assert anew.subtotal == D("200")
    assert refusal(reissue_invoice, actor=FINANCE, invoice_id=invoice.pk, on=MAR_31).code == "already_invoiced"


def test_goods_of_a_reversed_invoice_are_shipped_and_not_yet_invoiced_again(world: World) -> None:
    product = cable(world)
    stock(world, product, "10", "4")
    line = order_of(world, product, "10", price="9")
    shipped(line, "6")
    invoice = close(invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=MAR_1))
    memo = reverse(invoice)
    assert [(row.quantity, row.cost, row.relieves_stock) for row in memo.lines.all()] == [(-6, D("-24"), True)]
    again = close(invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=MAR_31))
    assert [(row.quantity, row.cost) for row in again.lines.all()] == [(6, D("24"))]


def test_a_credit_of_goods_brings_no_stock_back(world: World) -> None:
    product = cable(world)
    stock(world, product, "10", "4")
    line = order_of(world, product, "10", price="9")
    shipped(line, "6")
    invoice = close(invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=MAR_1))
    memo = close(credit(invoice, CreditLine(invoice.lines.get().pk, quantity=D(2))))
    assert [(row.quantity, row.cost, row.relieves_stock) for row in memo.lines.all()] == [(-2, 0, False)]
    error = refusal(invoice_sales_order, actor=FINANCE, order_id=line.order_id, on=MAR_31)
    assert error.code == "not_shipped"
