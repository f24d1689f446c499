"""What agreements are worth a month: one statement for all of them says what each of them says."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.agreements.records import fresh, make, month
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements import queries
from counterfoil.agreements.commands import (
    AdditionInput,
    cancel_addition,
    cancel_agreement,
    change_addition,
    change_billing_amount,
    update_agreement,
)
from counterfoil.agreements.models import Agreement
from counterfoil.core.calendar import Cycle
from counterfoil.core.money import round_money

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def msp() -> World:
    return build_world()


def line(msp: World, quantity: int, price: str, **more: Any) -> AdditionInput:
    return AdditionInput(msp.lease.pk, D(quantity), D(price), **more)


def oracle(agreement: Agreement, on: date) -> Fraction:
    """The same, slowly: what is in effect on the day, of an agreement that runs on it."""
    last = queries.last_day(agreement)
    if agreement.bill_one_time or on < agreement.start_date or (last is not None and on > last):
        return Fraction(0)
    worth = Fraction(queries.billing_amount_on(agreement, on))
    for addition in agreement.additions.all():
        if addition.billing_option == "Billable" and queries.quantity_on(addition, on):
            values = queries.values_on(addition, on)
            worth += Fraction(values.billed_quantity) * Fraction(values.unit_price)
    return worth * Cycle.parse(agreement.billing_cycle).per_month


def test_all_agreements_in_one_statement(msp: World) -> None:
    plain = make(msp, line(msp, 10, "22.005", less_included=D(3)), billing_amount=D("99.50"))
    yearly = make(msp, line(msp, 1, "1000"), billing_cycle="yearly", start_date=date(2026, 2, 10))
    weekly = make(msp, line(msp, 3, "7"), billing_cycle="week:2", end_date=date(2026, 5, 31))
    make(msp, line(msp, 1, "500"), bill_one_time=True)
    free = make(msp, line(msp, 1, "80", billing_option="NoCharge"), line(msp, 1, "80", billing_option="DoNotBill"))
    cancel_agreement(actor=SALES, agreement_id=free.pk, on=date(2026, 8, 31), reason="x")
    addition = plain.additions.get()
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 3, 15), quantity=D(12))
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 6, 1), unit_price=D(30))
    change_billing_amount(actor=SALES, agreement_id=plain.pk, on=date(2026, 4, 10), billing_amount=D(120))
    cancel_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 9, 14))
    cancel_addition(actor=SALES, addition_id=weekly.additions.get().pk, on=date(2026, 5, 30))
    cancel_agreement(actor=SALES, agreement_id=yearly.pk, on=date(2026, 7, 31), reason="x")

    edges = [
        (1, 1), (2, 9), (2, 10), (3, 14), (3, 15), (4, 9), (4, 10), (5, 30), (5, 31), (6, 1), (7, 31), (8, 1), (9, 14),
        (9, 15),
    ]  # fmt: skip
    days = [date(2025, 12, 31), *(date(2026, *edge) for edge in reversed(edges)), date(2026, 3, 15)]
    agreements = [fresh(each) for each in Agreement.objects.all()]
    with CaptureQueriesContext(connection) as captured:
        totals = queries.total_monthly_values(days)
    assert len(captured) == 1
    for day, total in zip(days, totals, strict=True):
        assert total == round_money(sum((oracle(each, day) for each in agreements), Fraction(0))), day
        rows = queries.with_cycle_value(Agreement.objects.all(), on=day)
        assert {row.pk: queries.monthly_value(row) for row in rows} == {
            each.pk: round_money(oracle(each, day)) for each in agreements
        }
        assert queries.monthly_value(agreements[0], on=day) == round_money(oracle(agreements[0], day))
    assert queries.total_monthly_value(on=date(2026, 1, 1)) == totals[days.index(date(2026, 1, 1))]
    assert queries.total_monthly_values([]) == []


def test_a_day_before_the_first_row_of_the_billing_amount(msp: World) -> None:
    agreement = make(msp, billing_amount=D(50), first_billing_date=date(2026, 2, 1))
    change_billing_amount(actor=SALES, agreement_id=agreement.pk, on=date(2026, 3, 1), billing_amount=D(60))
    days = [date(2026, 1, 15), date(2026, 2, 1), date(2026, 3, 1)]
    assert queries.total_monthly_values(days) == [50, 50, 60]


def test_the_value_of_a_family_is_each_ones_own(msp: World) -> None:
    parent = make(msp, line(msp, 1, "10"))
    child = make(msp, line(msp, 1, "5"), parent_id=parent.pk)
    on = date(2026, 1, 1)
    assert [queries.monthly_value(each, on=on) for each in (parent, child)] == [10, 5]
    assert queries.total_monthly_value(on=on) == 15
    assert queries.period_amount(fresh(parent), month(2026, 1)) == 15


def test_a_changed_cycle_changes_the_month(msp: World) -> None:
    agreement = make(msp, line(msp, 1, "120"))
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, billing_cycle="yearly")
    assert queries.monthly_value(fresh(agreement), on=date(2026, 1, 1)) == 10
