"""Work partly beyond an overrun limit: what is within rides on the agreement's invoice, what is beyond does not."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.trade import NOW, D
from tests.usage.world import engineer, time
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements.commands import create_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.billing.charges import charges_to_bill
from counterfoil.billing.commands import (
    bill_charges,
    close_invoice,
    delete_draft_invoice,
    invoice_agreements_through,
    reissue_invoice,
    reverse_invoice,
)
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.core.money import extend, sum_money
from counterfoil.usage.models import Charge
from counterfoil.usage.queries import unbilled

pytestmark = pytest.mark.django_db
JAN_1, JAN_20, JAN_31, FEB_1, FEB_28 = (date(2026, *day) for day in ((1, 1), (1, 20), (1, 31), (2, 1), (2, 28)))


@pytest.fixture
def world() -> World:
    world = build_world()
    engineer()
    return world


def support(world: World, **terms: Any) -> Agreement:
    """Five hours a month for 500.00 in arrears; three hours more may be overrun."""
    given = {
        "billing_amount": D("500"), "billing_timing": "arrears", "application_units": "hours",
        "application_limit": D("5"), "covers_time": True, "allow_overruns": True, "overrun_limit": D("3"),
    } | terms  # fmt: skip
    return create_agreement(
        actor=SALES,
        company_id=world.acme.pk,
        agreement_type_id=world.haas.pk,
        name="Support",
        start_date=JAN_1,
        **given,
    )  # type: ignore[arg-type]


def bill_agreements(through: date = JAN_31) -> list[Invoice]:
    return list(invoice_agreements_through(actor=FINANCE, through=through).invoices)


def bill_work(through: date = JAN_31) -> list[Invoice]:
    return list(bill_charges(actor=FINANCE, through=through, on=through).invoices)


def lines(invoices: list[Invoice]) -> list[tuple[str, str, str]]:
    """Quantity, amount and covered quantity of the lines of work."""
    rows = InvoiceLine.objects.filter(invoice__in=invoices, charge__isnull=False).order_by("invoice_id", "position")
    return [
        (f"{row.quantity.normalize():f}", f"{row.amount:.2f}", f"{row.covered_quantity.normalize():f}") for row in rows
    ]


def open_part(charge: Charge) -> tuple[bool, str]:
    charge.refresh_from_db()
    return charge.billed, charge.open_part


@pytest.mark.parametrize("agreement_first", [True, False])
def test_both_parts_come_to_the_whole_whichever_is_billed_first(world: World, agreement_first: bool) -> None:
    agreement = support(world)
    work = time(world.acme, JAN_20, "10", agreement)
    first, second = (bill_agreements, bill_work) if agreement_first else (bill_work, bill_agreements)
    within, beyond = ("8", "300.00", "5"), ("2", "200.00", "0")
    assert lines(first()) == [within if agreement_first else beyond]
    assert open_part(work) == (True, "beyond" if agreement_first else "overrun")
    assert lines(second()) == [beyond if agreement_first else within]
    assert open_part(work) == (True, "")
    assert (bill_agreements(), bill_work()) == ([], [])
    rows = InvoiceLine.objects.filter(charge=work)
    assert (sum_money(row.amount for row in rows), sum_money(row.quantity for row in rows)) == (500, 10)
    assert sum_money(row.cost for row in rows) == extend(work.quantity, work.unit_cost)


def test_what_is_beyond_does_not_wait_for_the_end_of_the_period(world: World) -> None:
    work = time(world.acme, JAN_20, "10", support(world))
    (group,) = charges_to_bill(through=JAN_20)
    assert (group.amount, unbilled(through=JAN_20)[0].due_amount) == (200, 200)
    assert lines(bill_work(JAN_20)) == [("2", "200.00", "0")]
    assert charges_to_bill(through=FEB_28) == []
    assert lines(bill_agreements()) == [("8", "300.00", "5")]
    assert open_part(work) == (True, "")


def test_its_lines_say_what_they_bill(world: World) -> None:
    agreement = support(world)
    time(world.acme, JAN_20, "10", agreement)
    bill_agreements()
    bill_work()
    within, beyond = InvoiceLine.objects.filter(charge__isnull=False).order_by("invoice_id")
    assert within.explanation == f"8 h × 100.00 = 800.00, 500.00 covered by {agreement}, 3 h overage"
    assert beyond.explanation == f"2 h × 100.00 = 200.00, beyond the limit of {agreement}"


def test_a_draft_that_is_deleted_opens_its_part_alone(world: World) -> None:
    work = time(world.acme, JAN_20, "10", support(world))
    (agreement_draft,), (work_draft,) = bill_agreements(), bill_work()
    delete_draft_invoice(actor=FINANCE, invoice_id=work_draft.pk)
    assert open_part(work) == (True, "beyond")
    delete_draft_invoice(actor=FINANCE, invoice_id=agreement_draft.pk)
    assert open_part(work) == (False, "")
    assert lines(bill_agreements()) == [("8", "300.00", "5")]
    assert lines(bill_work()) == [("2", "200.00", "0")]


@pytest.mark.parametrize("which", ["agreement", "work"])
def test_a_part_that_is_reversed_is_reissued_or_billed_again(world: World, which: str) -> None:
    work = time(world.acme, JAN_20, "10", support(world))
    made = {"agreement": bill_agreements(), "work": bill_work()}
    for invoice in (*made["agreement"], *made["work"]):
        close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
    before = lines(made[which])
    reverse_invoice(actor=FINANCE, invoice_id=made[which][0].pk, on=FEB_1, reason="Wrong", now=NOW)
    assert open_part(work) == (True, "overrun" if which == "agreement" else "beyond")
    again = reissue_invoice(actor=FINANCE, invoice_id=made[which][0].pk, on=FEB_1)
    assert lines([again]) == before
    assert open_part(work) == (True, "")


def test_without_a_next_invoice_of_the_agreement_all_of_it_is_billed_by_itself(world: World) -> None:
    agreement = support(world)
    work = time(world.acme, JAN_20, "10", agreement)
    Agreement.objects.filter(pk=agreement.pk).update(status="ended")
    assert lines(bill_work(FEB_1)) == [("10", "500.00", "5")]
    assert open_part(work) == (True, "")


def test_a_part_that_waited_for_an_invoice_that_will_not_come_is_billed_by_itself(world: World) -> None:
    agreement = support(world)
    work = time(world.acme, JAN_20, "10", agreement)
    assert lines(bill_work(JAN_20)) == [("2", "200.00", "0")]
    Agreement.objects.filter(pk=agreement.pk).update(status="ended")
    assert lines(bill_work(FEB_1)) == [("8", "300.00", "5")]
    assert open_part(work) == (True, "")


def test_what_is_within_the_limit_is_not_cut(world: World) -> None:
    agreement = support(world)
    work = time(world.acme, JAN_20, "8", agreement)
    more = time(world.acme, date(2026, 1, 21), "1", agreement)
    assert lines(bill_agreements()) == [("8", "300.00", "5")]
    assert lines(bill_work()) == [("1", "100.00", "0")]
    assert (open_part(work), open_part(more)) == ((True, ""), (True, ""))


HOURS = st.decimals(min_value="0.25", max_value="9", places=2)


@given(hours=st.lists(HOURS, min_size=1, max_size=4), limit=HOURS, work_first=st.booleans())
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_to_the_cent_and_once(world: World, hours: list[Decimal], limit: Decimal, work_first: bool) -> None:
    with transaction.atomic():
        agreement = support(world, overrun_limit=limit, application_limit=D("2.50"))
        made = [time(world.acme, JAN_1 + timedelta(days=n), str(each), agreement) for n, each in enumerate(hours)]
        for bill in (bill_work, bill_agreements, bill_work) if work_first else (bill_agreements, bill_work):
            bill()
        for work in made:
            rows = list(InvoiceLine.objects.filter(charge=work))
            allocation = Charge.objects.get(pk=work.pk).allocation
            assert sum_money(row.amount for row in rows) == allocation.overage_amount
            assert sum_money(row.quantity for row in rows) == work.billed_quantity
            assert sum_money(row.cost for row in rows) == extend(work.quantity, work.unit_cost)
            assert open_part(work) == (True, "")
        transaction.set_rollback(True)
