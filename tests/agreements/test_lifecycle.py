"""Agreements end, are copied, renewed, and billed with each other."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.agreements.records import bill, due, fresh, make, month, only, said
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements import queries
from counterfoil.agreements.commands import (
    AdditionInput,
    WorkRoleRateInput,
    attach_child,
    cancel_addition,
    cancel_agreement,
    change_addition,
    copy_agreement,
    create_agreement,
    detach_child,
    end_agreement,
    renew_agreement,
    set_work_role_rates,
    update_agreement,
)
from counterfoil.agreements.models import Agreement, AgreementType
from counterfoil.core.errors import DomainError

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def msp() -> World:
    return build_world()


def line(msp: World, words: str, price: str = "31", **more: Any) -> AdditionInput:
    return AdditionInput(msp.lease.pk, D(1), D(price), description=words, **more)


def refusal(deed: Any, **given: Any) -> tuple[str, str]:
    with pytest.raises(DomainError) as refused:
        deed(actor=SALES, **given)
    return refused.value.code, refused.value.message


# -- ending ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credits", "lines"),
    [("none", []), ("next_invoice", [("Support", "-1", "-15.00")]), ("credit_memo", [("Support", "-1", "-15.00")])],
)
def test_a_cancellation_within_billed_time(msp: World, credits: str, lines: list[tuple[str, str, str]]) -> None:
    agreement = make(msp, line(msp, "Support"), credits=credits)
    bill(agreement, month(2026, 1))
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 1, 16), reason="sold the company")
    assert due(agreement, date(2026, 12, 31)) == lines
    state = fresh(agreement).billing_state
    assert (state.due_on, state.changed_from) == (None, date(2026, 1, 16))
    assert said(agreement).endswith("with 16 Jan 2026 as its last day: sold the company")


def test_cancelled_altogether(msp: World) -> None:
    agreement = make(msp, line(msp, "Support"))
    bill(agreement, month(2026, 1))
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2025, 12, 31), reason="never begun")
    assert due(agreement, date(2026, 1, 31)) == [("Support", "-1", "-31.00")]
    assert queries.period_lines(fresh(agreement), month(2026, 1)) == ()
    early = {"agreement_id": make(msp).pk, "on": date(2025, 12, 30), "reason": "x"}
    assert refusal(cancel_agreement, **early)[0] == "invalid"


def test_an_agreement_comes_to_its_end(msp: World) -> None:
    agreement = make(msp, line(msp, "Support"), end_date=date(2026, 12, 31))
    assert refusal(end_agreement, agreement_id=agreement.pk, on=date(2027, 1, 31))[0] == "invalid"
    end_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 6, 30))
    found = fresh(agreement)
    assert (found.status, found.end_date) == ("ended", date(2026, 6, 30))
    code, message = refusal(end_agreement, agreement_id=agreement.pk, on=date(2026, 5, 31))
    assert (code, message) == ("wrong_state", f"{agreement.number} is ended; it cannot become ended.")


def test_states_that_pages_show_follow_from_the_dates(msp: World) -> None:
    dated = make(msp, end_date=date(2026, 12, 31))
    cancelled = make(msp, name="Cancelled")
    cancel_agreement(actor=SALES, agreement_id=cancelled.pk, on=date(2026, 3, 31), reason="x")
    for day, state in ((date(2025, 12, 31), "inactive"), (date(2026, 12, 31), "active"), (date(2027, 1, 1), "expired")):
        assert queries.shown_state(dated, on=day) == state
        assert list(queries.agreements(state=state, on=day)) == [dated]
        assert list(queries.agreements(state="cancelled", on=day)) == [cancelled]
    with pytest.raises(DomainError) as refused:
        queries.agreements(state="active")
    assert refused.value.field == "on"


def test_what_expires_soon_and_is_not_renewed(msp: World) -> None:
    soon = make(msp, end_date=date(2026, 3, 31))
    renewed = make(msp, end_date=date(2026, 3, 31))
    make(msp, end_date=date(2026, 12, 31))
    make(msp)
    renew_agreement(actor=SALES, agreement_id=renewed.pk)
    assert list(queries.expiring(on=date(2026, 1, 10), within_days=90)) == [soon]


# -- copies and renewals -----------------------------------------------------------------------------------------------


def test_a_copy_begins_anew(msp: World) -> None:
    agreement = make(
        msp,
        line(msp, "Support", serial_number="S1", invoice_text="Help desk"),
        line(msp, "Set-up", cancelled_date=date(2026, 1, 31)),
        billing_amount=D(500),
        internal_notes="they pay late",
        end_date=date(2026, 12, 31),
        covers_time=True,
        application_limit=D(100),
        billing_cycle="quarterly",
    )
    set_work_role_rates(actor=SALES, agreement_id=agreement.pk, rates=[WorkRoleRateInput(None, D(90))])
    change_addition(actor=SALES, addition_id=agreement.additions.first().pk, on=date(2026, 4, 1), unit_price=D(40))  # type: ignore[union-attr]
    copy = copy_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 5, 1), company_id=msp.globex.pk)
    found = fresh(copy)
    assert (found.company, found.bill_to, found.terms, found.tax_code) == (msp.globex, msp.globex, msp.net30, msp.tax6)
    assert (found.start_date, found.end_date, found.bill_start_date) == (date(2026, 5, 1), None, date(2026, 5, 1))
    assert (found.internal_notes, found.billing_cycle, found.application_limit) == ("", "month:3", 100)
    addition = only(copy)
    assert (addition.description, addition.unit_price, addition.serial_number) == ("Support", 40, "")
    assert (addition.invoice_text, addition.effective_date) == ("Help desk", date(2026, 5, 1))
    assert copy.work_role_rates.get().rate == 90
    assert (found.billing_state.next_period, found.billing_state.due_on) == (0, date(2026, 5, 1))
    assert said(copy) == f"copied {agreement.number} to {copy.number}, Server lease, for Globex Ltd from 1 May 2026"


def test_a_renewal_follows_without_a_gap_at_what_things_are_then(msp: World) -> None:
    agreement = make(
        msp,
        line(msp, "Support", "100", serial_number="S1"),
        line(msp, "Data", "0.00425", effective_date=date(2026, 3, 1)),
        line(msp, "Gone", cancelled_date=date(2026, 6, 30)),
        end_date=date(2026, 12, 31),
        billing_amount=D("99.99"),
    )
    change_addition(
        actor=SALES, addition_id=agreement.additions.get(description="Support").pk, on=date(2026, 7, 1), quantity=D(12)
    )
    renewed = renew_agreement(actor=SALES, agreement_id=agreement.pk, uplift_percent=D(5))
    found = fresh(renewed)
    assert (found.renews, found.start_date, found.end_date) == (agreement, date(2027, 1, 1), date(2027, 12, 31))
    assert found.billing_amount == D("104.99")
    rows = found.additions.order_by("position").values_list("description", "quantity", "unit_price", "serial_number")
    assert list(rows) == [("Support", 12, 105, "S1"), ("Data", 1, D("0.00446"), "")]  # 0.0044625 to its five places
    assert fresh(agreement).end_date == date(2026, 12, 31)
    assert said(renewed) == (
        f"renewed {agreement.number} as {renewed.number} from 1 Jan 2027 to 31 Dec 2027, prices raised by 5 %"
    )
    assert refusal(renew_agreement, agreement_id=agreement.pk)[0] == "duplicate"


@pytest.mark.parametrize(
    ("start", "end", "given", "new_end"),
    [
        (date(2026, 1, 1), date(2028, 12, 31), {}, date(2031, 12, 31)),
        (date(2026, 1, 31), date(2026, 2, 27), {}, date(2026, 3, 27)),
        (date(2026, 1, 1), date(2026, 1, 10), {}, date(2026, 1, 20)),
        (date(2026, 1, 1), date(2026, 12, 31), {"end_date": None}, None),
        (date(2026, 1, 1), date(2026, 12, 31), {"end_date": date(2027, 6, 30)}, date(2027, 6, 30)),
        (date(2026, 1, 1), None, {"last_day": date(2026, 4, 30)}, None),
    ],
)
def test_a_renewal_is_as_long_again(
    msp: World, start: date, end: date | None, given: dict[str, Any], new_end: date | None
) -> None:
    agreement = make(msp, start_date=start, end_date=end)
    assert renew_agreement(actor=SALES, agreement_id=agreement.pk, **given).end_date == new_end


def test_renewals_that_are_refused(msp: World) -> None:
    endless = make(msp)
    assert refusal(renew_agreement, agreement_id=endless.pk)[0] == "required"
    dated = make(msp, end_date=date(2026, 12, 31))
    for given in ({"uplift_percent": D(-100)}, {"last_day": date(2027, 1, 1)}, {"end_date": date(2026, 12, 31)}):
        assert refusal(renew_agreement, agreement_id=dated.pk, **given)[0] == "invalid"
    cancel_agreement(actor=SALES, agreement_id=dated.pk, on=date(2026, 3, 31), reason="x")
    assert refusal(renew_agreement, agreement_id=dated.pk)[0] == "wrong_state"
    assert Agreement.objects.count() == 2


# -- families ----------------------------------------------------------------------------------------------------------


def family(msp: World, **child: Any) -> tuple[Agreement, Agreement]:
    parent = make(msp, line(msp, "Support", "310"))
    kept = make(msp, line(msp, "Licences", "62"), name="Licences", parent_id=parent.pk, **child)
    return parent, kept


def test_a_child_is_billed_on_its_parents_invoice(msp: World) -> None:
    parent, child = family(msp, billing_amount=D(5), start_date=date(2026, 1, 17))
    assert due(parent, date(2026, 2, 1)) == [
        ("Support", "1", "310.00"),
        ("Licences", "1", "2.42"),  # 15 of 31 days of 5.00
        ("Licences", "1", "30.00"),
        ("Support", "1", "310.00"),
        ("Licences", "1", "5.00"),
        ("Licences", "1", "62.00"),
    ]
    assert fresh(child).billing_state.due_on is None
    assert "It is billed with" in queries.agreement_notes(fresh(child))[-1]
    assert said(child) == f"bills {child.number}, Licences, with {parent.number}"


def test_a_change_of_a_child_is_one_of_its_parent(msp: World) -> None:
    parent, child = family(msp)
    bill(parent, month(2026, 1))
    cancel_addition(actor=SALES, addition_id=only(child).pk, on=date(2026, 1, 16))
    assert fresh(parent).billing_state.changed_from == date(2026, 1, 16)
    assert fresh(child).billing_state.changed_from is None
    assert due(parent, date(2026, 2, 1)) == [("Support", "1", "310.00"), ("Licences", "-1", "-30.00")]


def test_families_that_cannot_be(msp: World) -> None:
    parent, child = family(msp)
    single = make(msp)
    for who, under, words in (
        (single, single, "its own parent"),
        (single, child, "is a child itself"),
        (parent, single, "has children itself"),
        (child, single, "detach it first"),
        (make(msp, billing_cycle="yearly", billing_timing="arrears"), parent, "differ in billing cycle and timing"),
        (make(msp, bill_to_id=msp.globex.pk), parent, "differ in bill-to"),
        (make(msp, agreement_type_id=AgreementType.objects.get(name="One-time block").pk, application_limit=D(10)),
         parent, "differ in one-time billing"),
    ):  # fmt: skip
        code, message = refusal(attach_child, agreement_id=who.pk, parent_id=under.pk)
        assert (code, words in message) == ("conflict", True), message
    assert refusal(cancel_agreement, agreement_id=parent.pk, on=date(2026, 3, 31), reason="x")[0] == "conflict"
    assert refusal(update_agreement, agreement_id=child.pk, billing_cycle="yearly")[0] == "conflict"


def test_a_child_that_is_refused_as_it_is_made_is_called_by_its_name(msp: World) -> None:
    """Its number never comes to be: the next agreement has it."""
    parent, child = family(msp)
    given = {
        "company_id": msp.acme.pk,
        "agreement_type_id": msp.haas.pk,
        "name": "Spare",
        "start_date": date(2026, 1, 1),
    }
    assert refusal(create_agreement, parent_id=parent.pk, billing_cycle="yearly", **given) == (
        "conflict",
        f"“Spare” and {parent.number} differ in billing cycle; what is billed on one invoice has to agree in that.",
    )
    code, message = refusal(create_agreement, parent_id=child.pk, **given)
    assert (code, message) == ("conflict", f"{child.number} is a child itself; there is one level.")
    late = line(msp, "Late", effective_date=date(2027, 1, 1))
    code, message = refusal(create_agreement, end_date=date(2026, 12, 31), additions=[late], **given)
    assert "AGR" not in message


def test_a_family_shares_what_its_parent_has(msp: World) -> None:
    parent, child = family(msp)
    update_agreement(actor=FINANCE, agreement_id=parent.pk, billing_cycle="quarterly", bill_to_id=msp.globex.pk)
    assert (fresh(child).billing_cycle, fresh(child).bill_to) == ("month:3", msp.globex)


def test_what_was_billed_by_itself_goes_on_with_its_parent(msp: World) -> None:
    parent, single = make(msp, line(msp, "Support", "310")), make(msp, line(msp, "Licences", "62"))
    bill(parent, month(2026, 1), month(2026, 2), month(2026, 3))
    bill(single, month(2026, 1))
    attach_child(actor=SALES, agreement_id=single.pk, parent_id=parent.pk)
    assert fresh(parent).billing_state.changed_from == date(2026, 2, 1)


def test_grids_that_differ_cannot_be_joined_once_billed(msp: World) -> None:
    parent, single = make(msp), make(msp, line(msp, "Licences"), start_date=date(2026, 1, 15))
    period = queries.next_periods(single)[0]
    bill(single, period)
    code, message = refusal(attach_child, agreement_id=single.pk, parent_id=parent.pk)
    assert (code, "is billed for a period from 15 Jan 2026" in message) == ("conflict", True)


def test_a_child_is_billed_by_itself_again_from_what_its_parent_has_not_billed(msp: World) -> None:
    parent, child = family(msp, start_date=date(2026, 2, 1))
    bill(parent, month(2026, 1), month(2026, 2))
    detach_child(actor=SALES, agreement_id=child.pk)
    state = fresh(child).billing_state
    assert (state.next_period, state.due_on) == (1, date(2026, 3, 1))
    assert due(child, date(2026, 3, 1)) == [("Licences", "1", "62.00")]
    assert refusal(detach_child, agreement_id=child.pk)[0] == "wrong_state"


def test_a_child_of_another_grid_stays(msp: World) -> None:
    parent, child = family(msp, start_date=date(2026, 1, 17))
    bill(parent, month(2026, 1))
    code, message = refusal(detach_child, agreement_id=child.pk)
    assert (code, "begin on other days" in message) == ("conflict", True)
    assert fresh(child).parent == parent


def test_a_family_is_renewed_together(msp: World) -> None:
    parent, child = family(msp)
    renewed = renew_agreement(actor=SALES, agreement_id=parent.pk, last_day=date(2026, 12, 31), uplift_percent=D(10))
    young = Agreement.objects.get(renews=child)
    assert (young.parent, young.start_date, only(young).unit_price) == (renewed, date(2027, 1, 1), D("68.20"))
    assert fresh(child).end_date == date(2026, 12, 31)
    assert young.billing_state.due_on is None
    assert due(renewed, date(2027, 1, 1)) == [("Support", "1", "341.00"), ("Licences", "1", "68.20")]
    assert due(parent, date(2027, 12, 31))[-1] == ("Licences", "1", "62.00")
