"""A year of billing runs with a moving date: what agreements go through between two runs is on the next invoice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.trade import D
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.accounting.verification import verify
from counterfoil.agreements.commands import (
    AdditionInput,
    add_addition,
    cancel_addition,
    cancel_agreement,
    change_addition,
    create_agreement,
)
from counterfoil.agreements.models import Agreement
from counterfoil.agreements.terms import charges_of
from counterfoil.billing.asked import Asked, Reference
from counterfoil.billing.columns import load
from counterfoil.billing.commands import (
    close_invoice,
    delete_draft_invoice,
    reverse_invoice,
    update_invoice_line,
)
from counterfoil.billing.models import Invoice
from counterfoil.billing.rating import _Engine
from counterfoil.core.calendar import add_months, month_end
from counterfoil.core.money import sum_money
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work

pytestmark = pytest.mark.django_db
NOW = datetime(2019, 3, 1, 8, tzinfo=UTC)
MARCH = date(2019, 3, 1)


@pytest.fixture
def world() -> World:
    return build_world(on=date(2019, 1, 1))


def seats(world: World, quantity: str, price: str, since: date = MARCH, **fields: object) -> AdditionInput:
    return AdditionInput(
        product_id=world.lease.pk, quantity=D(quantity), unit_price=D(price), effective_date=since, **fields
    )  # type: ignore[arg-type]


def agreement_of(world: World, *additions: AdditionInput, **fields: object) -> Agreement:
    given: dict[str, object] = {
        "company_id": world.acme.pk, "agreement_type_id": world.haas.pk, "name": "Managed services",
        "start_date": MARCH, "additions": additions, "prorate": True, **fields,
    }  # fmt: skip
    return create_agreement(actor=SALES, **given)  # type: ignore[arg-type]


def bill(month: date, mode: str = "transfer") -> list[Invoice]:
    """The invoices of a run through the end of a month."""
    run = start_billing_run(actor=FINANCE, through=month_end(month), mode=mode, now=NOW)  # type: ignore[arg-type]
    work(run.pk)
    run.refresh_from_db()
    assert (run.status, run.parked_count) == ("finished", 0), [each.reason for each in run.parked.all()]
    assert [check.title for check in verify() if not check.ok] == []
    return list(run.invoices.order_by("pk"))


def amounts(invoice: Invoice) -> list[Decimal]:
    return [line.amount for line in invoice.lines.order_by("position")]


def test_we_2_an_addition_of_the_middle_of_a_month_that_is_billed(world: World) -> None:
    agreement = agreement_of(world, seats(world, "1", "100"))
    (march,) = bill(MARCH)
    assert march.subtotal == D("100.00")
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=seats(world, "1", "22.00", date(2019, 3, 15)))

    (april,) = bill(date(2019, 4, 1))

    assert amounts(april) == [D("100.00"), D("12.06"), D("22.00")]  # 12.06 + 22.00 = 34.06
    late = april.lines.order_by("position")[1]
    assert late.explanation == (
        "1 × 22.00 × 17 of 31 days (15–31 Mar 2019) = 12.06; prorated with a start date of 15 Mar 2019"
    )
    assert (late.period_start, late.service_start, late.service_end) == (MARCH, date(2019, 3, 15), date(2019, 4, 1))
    (may,) = bill(date(2019, 5, 1))
    assert amounts(may) == [D("100.00"), D("22.00")]


def test_we_8_a_change_of_quantity_that_is_dated_back(world: World) -> None:
    agreement = agreement_of(world, seats(world, "10", "20"))
    bill(MARCH)
    addition = agreement.additions.get()
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2019, 3, 17), quantity=D("12"))
    (april,) = bill(date(2019, 4, 1))
    assert amounts(april) == [D("19.35"), D("240.00")]


def test_a_cancellation_within_a_month_that_is_billed_is_given_back_once(world: World) -> None:
    agreement = agreement_of(world, seats(world, "1", "31"), seats(world, "1", "100"), credits="next_invoice")
    bill(MARCH)
    first = agreement.additions.order_by("position").first()
    assert first is not None
    cancel_addition(actor=SALES, addition_id=first.pk, on=date(2019, 3, 21))
    (april,) = bill(date(2019, 4, 1))
    assert amounts(april) == [D("-10.00"), D("100.00")]
    (may,) = bill(date(2019, 5, 1))
    assert amounts(may) == [D("100.00")]


def test_a_cancelled_agreement_is_credited_at_once_where_it_says_so(world: World) -> None:
    agreement = agreement_of(world, seats(world, "1", "310"), credits="credit_memo")
    bill(MARCH)
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2019, 3, 21), reason="Moved away")
    (memo,) = bill(MARCH)
    assert (memo.type, memo.number, memo.subtotal, memo.tax_total) == (
        "credit_memo", "CM-0001", D("-100.00"), D("-6.00"),
    )  # fmt: skip
    assert bill(date(2019, 12, 1)) == []


def test_in_arrears_the_month_is_billed_when_it_is_over(world: World) -> None:
    agreement_of(world, seats(world, "1", "10"), billing_timing="arrears")
    start = start_billing_run(actor=FINANCE, through=date(2019, 3, 30), mode="close", now=NOW)  # type: ignore[arg-type]
    assert start.agreement_count == 0
    (march,) = bill(MARCH)
    assert (march.period_start, march.date) == (MARCH, date(2019, 3, 31))


def test_a_deleted_draft_and_a_reversed_invoice_are_billed_again(world: World) -> None:
    agreement_of(world, seats(world, "1", "100"))
    (draft,) = bill(MARCH, "draft")
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)
    (march,) = bill(MARCH)
    reverse_invoice(actor=FINANCE, invoice_id=march.pk, on=date(2019, 3, 20), reason="Wrong PO", now=NOW)
    (again,) = bill(MARCH, "close")
    assert (again.subtotal, again.period_start, again.revision) == (D("100.00"), MARCH, 1)
    assert [invoice.subtotal for invoice in bill(date(2019, 4, 1), "close")] == [D("100.00")]


def test_a_price_entered_on_a_draft_holds_until_its_period_changes(world: World) -> None:
    agreement = agreement_of(world, seats(world, "10", "20"))
    (draft,) = bill(MARCH, "draft")
    update_invoice_line(actor=FINANCE, line_id=draft.lines.get().pk, unit_price=D("15"))
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    assert bill(MARCH) == []
    assert [amounts(invoice) for invoice in bill(date(2019, 4, 1))] == [[D("200.00")]]

    change_addition(actor=SALES, addition_id=agreement.additions.get().pk, on=date(2019, 3, 31), quantity=D(11))
    (may,) = bill(date(2019, 5, 1))  # March comes to 200.65, of which 150.00 is billed; April to 20.00 more
    *march, april, of_may = amounts(may)
    assert (sum_money(march), april, of_may) == (D("50.65"), D("20.00"), D("220.00"))


def test_a_year_of_runs_comes_to_a_year_of_the_agreement(world: World) -> None:
    agreement = agreement_of(
        world, seats(world, "3", "31.00"), seats(world, "1", "62.00", date(2019, 6, 16)), billing_amount=D("50")
    )
    for n in range(10):
        (invoice,) = bill(add_months(MARCH, n), "close")
        assert invoice.period_start == add_months(MARCH, n)
        assert bill(add_months(MARCH, n), "close") == []
    total = sum_money(invoice.subtotal for invoice in Invoice.objects.filter(agreement=agreement))
    assert total == 10 * D("143.00") + D("31.00") + 6 * D("62.00")  # 15 of the 30 days of June


def test_the_columns_of_a_run_are_the_charges_of_the_agreement(world: World) -> None:
    """The set-based twin and the agreement's own page reckon with the same charges."""
    parent = agreement_of(
        world,
        seats(world, "25", "10", less_included=D("5")),
        seats(world, "1", "7", billing_option="NoCharge"),
        seats(world, "1", "9", billing_option="DoNotBill"),
        seats(world, "2", "5", date(2019, 4, 3), cancelled_date=date(2019, 9, 9)),
        billing_amount=D("500"),
        end_date=date(2019, 12, 31),
    )
    child = agreement_of(world, seats(world, "4", "4"), parent_id=parent.pk)
    changed = parent.additions.order_by("position").first()
    assert changed is not None
    change_addition(actor=SALES, addition_id=changed.pk, on=date(2019, 5, 1), quantity=D("30"), unit_price=D("11"))
    asked = Asked(date(2019, 3, 31))
    engine = _Engine(load([parent.pk], through=asked.through), Reference(), asked, parent.pk)

    def plain(charge: object) -> tuple[object, ...]:
        steps = [(s.start, s.quantity, s.unit_price, s.unit_cost, s.units_of_cost) for s in charge.steps]  # type: ignore[attr-defined]
        return steps, charge.effective, charge.last_day  # type: ignore[attr-defined]

    known = charges_of(Agreement.objects.get(pk=parent.pk))
    ours = engine._charges()
    assert [plain(charge) for charge in ours] == [plain(charge) for charge in known]
    keys = {("amount", parent.pk): -parent.pk, ("amount", child.pk): -child.pk}
    assert [charge.key for charge in ours] == [keys.get(charge.key, charge.key[1]) for charge in known]  # type: ignore[call-overload, index]
