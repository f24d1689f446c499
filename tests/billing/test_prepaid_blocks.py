"""Blocks that are paid for ahead: what is taxed, what work earns of them, what is left of them, what exceeds them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pytest
from tests.trade import NOW, D
from tests.usage.world import adjust, engineer, time
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements.commands import create_agreement, create_agreement_type
from counterfoil.agreements.models import Agreement
from counterfoil.billing.commands import (
    bill_charges,
    close_invoice,
    delete_draft_invoice,
    invoice_agreement,
    reverse_invoice,
)
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.billing.printing import printed_invoice
from counterfoil.billing.statements import blocks_of_invoice
from counterfoil.core.money import sum_money
from counterfoil.usage.models import Charge

pytestmark = pytest.mark.django_db

MAR_1, MAR_31, APR_30 = date(2026, 3, 1), date(2026, 3, 31), date(2026, 4, 30)


@pytest.fixture
def world() -> World:
    engineer()
    return build_world()


def block(world: World, *, prepayment: bool = True, **terms: Any) -> Agreement:
    """15,000.00 for work at 100.00 an hour, all in one block, taxed as it is billed."""
    kind = create_agreement_type(actor=SALES, name="Prepaid block", kind="one_time_block", prepayment=prepayment)
    given = {
        "billing_amount": D("15000"),
        "billing_amount_taxable": True,
        "bill_one_time": True,
        "application_units": "amount",
        "application_limit": D("15000"),
        "application_one_time": True,
        "covers_time": True,
    } | terms
    return create_agreement(
        actor=SALES,
        company_id=world.acme.pk,
        agreement_type_id=kind.pk,
        name="Support block",
        start_date=MAR_1,
        tax_code_id=world.tax6.pk,
        **given,  # type: ignore[arg-type]
    )


def paid_ahead(agreement: Agreement) -> Invoice:
    draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def worked(world: World, agreement: Agreement | None, *hours: str, on: date = date(2026, 3, 10)) -> list[Charge]:
    return [time(world.acme, on, each, agreement) for each in hours]


def billed(through: date = MAR_31) -> Invoice:
    (draft,) = bill_charges(actor=FINANCE, through=through, on=through).invoices
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def earned() -> object:
    lines: Sequence[Any] = InvoiceLine.objects.values_list("released_amount", flat=True)
    return sum_money(lines)


@pytest.mark.parametrize(("covers_sales_tax", "limit"), [(False, "15000.00"), (True, "15900.00")])
def test_we_5_both_blocks_last_150_hours_and_hour_151_is_billed_with_its_tax(
    world: World, covers_sales_tax: bool, limit: str
) -> None:
    agreement = block(world, covers_sales_tax=covers_sales_tax)
    invoice = paid_ahead(agreement)
    assert (invoice.subtotal, invoice.tax_total, invoice.total) == (D("15000"), D("900"), D("15900"))
    assert [line.deferred for line in invoice.lines.all()] == [True]

    charges = worked(world, agreement, "50", "50", "49.5", "0.5")
    allocations = [charge.allocation for charge in Charge.objects.filter(pk__in=[c.pk for c in charges])]
    assert sum_money(row.drawn for row in allocations) == D(limit)
    used_up = billed()
    assert (used_up.subtotal, used_up.tax_total, used_up.total) == (0, 0, 0)
    lines = used_up.lines.order_by("position")
    assert [(line.amount, line.covered_amount, line.released_amount) for line in lines] == [
        (0, D("5000"), D("5000")), (0, D("5000"), D("5000")), (0, D("4950"), D("4950")), (0, D("50"), D("50")),
    ]  # fmt: skip
    assert earned() == D("15000")

    worked(world, agreement, "1", on=date(2026, 4, 2))
    over = billed(APR_30)
    assert (over.subtotal, over.tax_total, over.total) == (D("100"), D("6"), D("106"))
    assert earned() == D("15000")


def test_we_5_without_prepayment_covering_sales_tax_changes_nothing(world: World) -> None:
    agreement = block(world, prepayment=False, covers_sales_tax=True)
    invoice = paid_ahead(agreement)
    assert (invoice.total, [line.deferred for line in invoice.lines.all()]) == (D("15900"), [False])
    worked(world, agreement, "150")
    assert Charge.objects.get().allocation.drawn == D("15000")
    assert earned() == 0


def test_an_hour_that_straddles_the_end_is_split(world: World) -> None:
    agreement = block(world, billing_amount=D("200"), application_limit=D("200"))
    paid_ahead(agreement)
    worked(world, agreement, "3")
    invoice = billed()
    (line,) = invoice.lines.all()
    assert (line.quantity, line.unit_price, line.amount, line.tax_amount) == (3, 100, D("100"), D("6"))
    assert (line.covered_quantity, line.covered_amount, line.released_amount) == (2, D("200"), D("200"))
    assert line.explanation == f"3 h × 100.00 = 300.00, 200.00 covered by {agreement}, 1 h overage"


def test_a_block_sold_at_a_discount_earns_what_was_paid(world: World) -> None:
    """Complaint P19: 100.00 is paid for 300.00 of work; three draws of 100.00 earn 33.33, 33.34 and 33.33."""
    agreement = block(world, billing_amount=D("100"), application_limit=D("300"))
    paid_ahead(agreement)
    worked(world, agreement, "1", "1", "1")
    released = [line.released_amount for line in billed().lines.order_by("position")]
    assert released == [D("33.33"), D("33.34"), D("33.33")]


def test_what_an_adjustment_grants_was_not_paid_for_and_earns_nothing(world: World) -> None:
    agreement = block(world, billing_amount=D("200"), application_limit=D("200"))
    paid_ahead(agreement)
    adjust(agreement, MAR_1, "100")
    worked(world, agreement, "3")
    invoice = billed()
    assert (invoice.total, earned()) == (0, D("200"))


def test_work_billed_before_the_block_is_paid_ahead_is_earned_with_the_next(world: World) -> None:
    agreement = block(world, billing_amount=D("300"), application_limit=D("300"))
    worked(world, agreement, "1")
    (draft,) = bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31).invoices
    assert Invoice.objects.get(pk=draft.pk).lines.get().released_amount == 0
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    paid_ahead(agreement)
    worked(world, agreement, "1", on=date(2026, 4, 2))
    assert billed(APR_30).lines.get().released_amount == D("200")


def test_without_a_limit_there_is_nothing_to_earn_by_and_nothing_is_deferred(world: World) -> None:
    agreement = block(world, application_limit=None, application_unlimited=True)
    assert [line.deferred for line in paid_ahead(agreement).lines.all()] == [False]
    worked(world, agreement, "3")
    assert (billed().total, earned()) == (0, 0)


def test_hidden_work_is_not_shown_but_earns(world: World) -> None:
    agreement = block(world, show_covered_time=False)
    paid_ahead(agreement)
    worked(world, agreement, "2")
    invoice = billed()
    assert [(line.hidden, line.amount, line.released_amount) for line in invoice.lines.all()] == [(True, 0, D("200"))]
    assert printed_invoice(invoice.pk).lines == ()


def test_hidden_work_without_prepayment_makes_no_invoice(world: World) -> None:
    agreement = block(world, prepayment=False, show_covered_time=False)
    worked(world, agreement, "2")
    assert bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31).invoices == ()
    worked(world, None, "1")
    (draft,) = bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31).invoices
    assert [(line.hidden, line.amount) for line in draft.lines.order_by("position")] == [(True, 0), (False, 100)]
    assert not Charge.objects.filter(billed=False).exists()


def test_a_deleted_draft_frees_the_work_and_what_it_earned(world: World) -> None:
    agreement = block(world)
    paid_ahead(agreement)
    worked(world, agreement, "2")
    (draft,) = bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31).invoices
    assert (Charge.objects.get().billed, earned()) == (True, D("200"))
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)
    assert (Charge.objects.get().billed, earned()) == (False, 0)
    assert billed().lines.get().released_amount == D("200")


def test_a_reversed_invoice_gives_back_what_its_work_earned(world: World) -> None:
    agreement = block(world)
    paid_ahead(agreement)
    worked(world, agreement, "2")
    invoice = billed()
    reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_31, reason="Wrong month", now=NOW)
    assert (Charge.objects.get().billed, earned()) == (False, 0)
    assert billed(APR_30).lines.get().released_amount == D("200")


def test_a_monthly_block_earns_each_month_out_of_what_was_billed_for_it(world: World) -> None:
    kind = create_agreement_type(actor=SALES, name="Monthly block", kind="recurring_block", prepayment=True)
    agreement = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=kind.pk, name="Ten hours", start_date=MAR_1,
        billing_amount=D("800"), application_units="hours", application_limit=D("10"), covers_time=True,
        carry_over=True,
    )  # fmt: skip
    paid_ahead(agreement)
    paid_ahead(agreement)
    worked(world, agreement, "4")
    assert billed().lines.get().released_amount == D("320")
    worked(world, agreement, "7", on=date(2026, 4, 3))
    april = billed(APR_30)
    assert april.lines.get().released_amount == D("560")  # 6 hours of March and 1 of April, at 80.00
    assert april.total == 0


def test_we_1_the_balance_of_a_block_of_hours_on_the_invoice(world: World) -> None:
    agreement = block(world, application_units="hours", application_limit=D("10"))
    paid_ahead(agreement)
    worked(world, agreement, "3", on=date(2026, 3, 7))
    first = billed(date(2026, 3, 7))
    assert [(row.granted, row.remaining) for row in blocks_of_invoice(first.pk)] == [(10, 7)]
    worked(world, agreement, "2", on=date(2026, 3, 15))
    worked(world, agreement, "1", on=date(2026, 3, 20))
    second = billed(date(2026, 3, 15))
    assert [(row.granted, row.remaining) for row in blocks_of_invoice(second.pk)] == [(10, 5)]
    assert [row.remaining for row in blocks_of_invoice(first.pk)] == [7]
