"""How far an agreement is billed: kept right by every command, and nobody's while a run writes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.agreements.records import bill, due, fresh, make, month, only, said
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements import billing_state, commands, queries
from counterfoil.agreements.commands import (
    AdditionInput,
    add_addition,
    cancel_period,
    change_addition,
    reopen_period,
    unpark_agreement,
    update_agreement,
)
from counterfoil.agreements.models import Agreement, BillingState
from counterfoil.core.errors import DomainError

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def msp() -> World:
    return build_world()


def support(msp: World, **more: Any) -> Agreement:
    return make(msp, AdditionInput(msp.lease.pk, D(1), D(31), description="Support"), **more)


def state(agreement: Agreement) -> tuple[int, date | None, date | None]:
    found = fresh(agreement).billing_state
    return found.next_period, found.due_on, found.changed_from


# -- due -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "due_on"),
    [
        ({}, date(2026, 1, 1)),
        ({"billing_timing": "arrears"}, date(2026, 1, 31)),
        ({"first_billing_date": date(2026, 2, 15)}, date(2026, 2, 15)),
        ({"billing_timing": "arrears", "cycle_base": "calendar", "billing_cycle": "quarterly",
          "start_date": date(2026, 2, 15)}, date(2026, 3, 31)),
        ({"billing_timing": "arrears", "end_date": date(2026, 1, 10)}, date(2026, 1, 10)),
    ],
)  # fmt: skip
def test_the_first_period_falls_due(msp: World, given: dict[str, Any], due_on: date) -> None:
    assert state(support(msp, **given)) == (0, due_on, None)


def test_a_change_ahead_of_what_is_billed_needs_no_second_look(msp: World) -> None:
    agreement = support(msp)
    bill(agreement, month(2026, 1))
    change_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 2, 10), quantity=D(2))
    assert state(agreement) == (1, date(2026, 2, 1), None)
    change_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 1, 20), quantity=D(3))
    assert state(agreement) == (1, date(2026, 2, 1), date(2026, 1, 20))
    late = AdditionInput(msp.lease.pk, effective_date=date(2026, 1, 10))
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=late)
    change_addition(actor=SALES, addition_id=agreement.additions.first().pk, on=date(2026, 1, 15), quantity=D(4))  # type: ignore[union-attr]
    assert state(agreement)[2] == date(2026, 1, 10)
    assert list(queries.changed_since_billed()) == [agreement]


def test_a_run_takes_what_is_due_or_changed_and_not_parked(msp: World) -> None:
    one, two, parked = (support(msp) for _ in range(3))
    BillingState.objects.filter(agreement=parked).update(parked_at=datetime.now(UTC), parked_code="invalid")
    bill(two, month(2026, 1))
    assert list(queries.agreements_to_invoice(through=date(2026, 1, 1))) == [one]
    change_addition(actor=SALES, addition_id=only(two).pk, on=date(2026, 1, 20), quantity=D(3))
    assert set(queries.agreements_to_invoice(through=date(2026, 1, 1))) == {one, two}


def test_a_new_last_day_moves_what_is_due(msp: World) -> None:
    agreement = support(msp)
    bill(agreement, month(2026, 1), month(2026, 2))
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, end_date=date(2026, 2, 28))
    assert state(agreement)[:2] == (2, None)
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, end_date=date(2026, 3, 31))
    assert state(agreement)[:2] == (2, date(2026, 3, 1))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"billing_cycle": "quarterly"}, "billing_cycle"),
        ({"cycle_base": "calendar"}, "cycle_base"),
        ({"first_billing_date": date(2026, 2, 1)}, "first_billing_date"),
        ({"prorate": False}, "prorate"),
        ({"proration": "thirty_360"}, "proration"),
        ({"bill_one_time": True}, "bill_one_time"),
    ],
)
def test_what_the_billed_periods_were_reckoned_by_stays(msp: World, given: dict[str, Any], field: str) -> None:
    free, billed = support(msp), support(msp)
    update_agreement(actor=FINANCE, agreement_id=free.pk, **given)
    bill(billed, month(2026, 1))
    with pytest.raises(DomainError) as refused:
        update_agreement(actor=FINANCE, agreement_id=billed.pk, **given)
    assert (refused.value.code, refused.value.field) == ("already_invoiced", field)
    update_agreement(actor=FINANCE, agreement_id=billed.pk, billing_timing="arrears", credits="none")
    assert state(billed) == (1, date(2026, 2, 28), None)


def test_no_command_changes_what_a_run_is_writing(msp: World) -> None:
    agreement = support(msp, billing_amount=D(5), end_date=date(2026, 12, 31))
    other = support(msp)
    addition = only(agreement)
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(msp.lease.pk))
    commands.cancel_addition(actor=SALES, addition_id=agreement.additions.last().pk, on=date(2026, 6, 30))  # type: ignore[union-attr]
    cancel_period(actor=FINANCE, agreement_id=agreement.pk, period_start=date(2026, 5, 1), reason="closed")
    BillingState.objects.filter(agreement=agreement).update(run_id=7)
    one = {"agreement_id": agreement.pk}
    deeds: list[tuple[Any, dict[str, Any]]] = [
        (commands.update_agreement, one | {"end_date": date(2026, 6, 30)}),
        (commands.change_billing_amount, one | {"on": date(2026, 3, 1), "billing_amount": D(6)}),
        (commands.cancel_agreement, one | {"on": date(2026, 3, 31), "reason": "x"}),
        (commands.end_agreement, one | {"on": date(2026, 3, 31)}),
        (commands.renew_agreement, one | {"last_day": date(2026, 3, 31)}),
        (commands.attach_child, one | {"parent_id": other.pk}),
        (commands.attach_child, {"agreement_id": other.pk, "parent_id": agreement.pk}),
        (commands.add_addition, one | {"addition": AdditionInput(msp.lease.pk)}),
        (commands.update_addition, {"addition_id": addition.pk, "description": "x"}),
        (commands.change_addition, {"addition_id": addition.pk, "on": date(2026, 3, 1), "quantity": D(2)}),
        (commands.cancel_addition, {"addition_id": addition.pk, "on": date(2026, 3, 31)}),
        (commands.uncancel_addition, {"addition_id": agreement.additions.last().pk}),  # type: ignore[union-attr]
        (commands.cancel_period, one | {"period_start": date(2026, 6, 1), "reason": "x"}),
        (commands.reopen_period, one | {"period_start": date(2026, 5, 1)}),
        (commands.unpark_agreement, one),
    ]
    for deed, given in deeds:
        with pytest.raises(DomainError, match="is being billed by a run; try again in a moment") as refused:
            deed(actor=FINANCE, **given)
        assert refused.value.code == "conflict", deed.__name__
    assert fresh(agreement).end_date == date(2026, 12, 31)


# -- periods -----------------------------------------------------------------------------------------------------------


def test_a_period_is_left_out_and_billed_after_all(msp: World) -> None:
    agreement = support(msp)
    bill(agreement, month(2026, 1))
    cancel_period(actor=FINANCE, agreement_id=agreement.pk, period_start=date(2026, 2, 1), reason="closed for works")
    assert said(agreement) == f"cancelled Feb 2026 of {agreement.number}: closed for works"
    assert state(agreement) == (2, date(2026, 3, 1), None)
    assert [period.label for period in queries.next_periods(fresh(agreement), 2)] == ["Mar 2026", "Apr 2026"]
    bill(agreement, month(2026, 3))
    reopen_period(actor=FINANCE, agreement_id=agreement.pk, period_start=date(2026, 2, 1))
    assert state(agreement) == (1, date(2026, 2, 1), None)
    assert due(agreement, date(2026, 3, 31)) == [("Support", "1", "31.00")]
    bill(agreement, month(2026, 2))
    assert state(agreement) == (3, date(2026, 4, 1), None)


def test_a_period_to_come_is_written_off(msp: World) -> None:
    agreement = support(msp)
    cancelled = cancel_period(
        actor=FINANCE, agreement_id=agreement.pk, period_start=date(2026, 3, 1), reason="goodwill", write_off=True
    )
    assert (cancelled.written_off, cancelled.period_end) == (True, date(2026, 4, 1))
    assert said(agreement) == f"wrote off Mar 2026 of {agreement.number}: goodwill"
    assert [amount for *_, amount in due(agreement, date(2026, 4, 1))] == ["31.00"] * 3


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"reason": " "}, "required"),
        ({"period_start": date(2026, 2, 2)}, "invalid"),
        ({"period_start": date(2027, 1, 1)}, "invalid"),
        ({"period_start": date(2026, 1, 1)}, "already_invoiced"),
        ({"period_start": date(2026, 3, 1)}, "duplicate"),
    ],
)
def test_periods_that_cannot_be_cancelled(msp: World, given: dict[str, Any], code: str) -> None:
    agreement = support(msp, end_date=date(2026, 12, 31))
    bill(agreement, month(2026, 1))
    usual: dict[str, Any] = {"agreement_id": agreement.pk, "period_start": date(2026, 3, 1), "reason": "x"}
    cancel_period(actor=FINANCE, **usual)
    with pytest.raises(DomainError) as refused:
        cancel_period(actor=FINANCE, **(usual | given))
    assert refused.value.code == code


def test_a_child_has_no_periods_of_its_own(msp: World) -> None:
    parent = support(msp)
    child = support(msp, parent_id=parent.pk)
    with pytest.raises(DomainError, match=f"billed with {parent.number}"):
        cancel_period(actor=FINANCE, agreement_id=child.pk, period_start=date(2026, 1, 1), reason="x")
    with pytest.raises(DomainError) as refused:
        reopen_period(actor=FINANCE, agreement_id=parent.pk, period_start=date(2026, 1, 1))
    assert refused.value.code == "not_found"


def test_a_parked_agreement_is_mended(msp: World) -> None:
    agreement = support(msp)
    with pytest.raises(DomainError, match="is not parked"):
        unpark_agreement(actor=FINANCE, agreement_id=agreement.pk)
    BillingState.objects.filter(agreement=agreement).update(
        parked_at=datetime.now(UTC), parked_code="gl_mapping_missing", parked_reason="There is no account."
    )
    assert list(queries.parked()) == list(queries.agreements(parked=True)) == [agreement]
    unpark_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert not queries.parked().exists()
    found = fresh(agreement).billing_state
    assert (found.parked_code, found.parked_reason) == ("gl_mapping_missing", "")  # until it is billed
    assert said(agreement) == f"lets {agreement.number} be billed again; it was parked: There is no account."


def test_an_agreement_without_a_state_gets_one(msp: World) -> None:
    agreement = support(msp, billing_timing="arrears")
    BillingState.objects.all().delete()
    billing_state.touch(fresh(agreement), date(2026, 1, 1))
    assert state(agreement) == (0, date(2026, 1, 31), None)
