"""Additions change from a day on: one dated action, a history that loses nothing, and what of it is billed."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.agreements.records import bill, due, fresh, make, month, only, said
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements import queries
from counterfoil.agreements.commands import (
    AdditionInput,
    add_addition,
    cancel_addition,
    cancel_agreement,
    change_addition,
    change_billing_amount,
    remove_addition_change,
    uncancel_addition,
    update_addition,
    update_agreement,
)
from counterfoil.agreements.models import Addition, AdditionChange, Agreement, BillingAmountChange
from counterfoil.core.errors import DomainError

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def msp() -> World:
    return build_world(date(2019, 1, 1))


def licences(msp: World, quantity: int = 10, price: str = "20", **more: Any) -> Agreement:
    """Licences by the month, in advance, from 1 Jan 2026."""
    return make(msp, AdditionInput(msp.lease.pk, D(quantity), D(price), description="Licence", unit_cost=D(12)), **more)


def change(agreement: Agreement, on: date, **values: Any) -> Addition:
    return change_addition(actor=SALES, addition_id=only(agreement).pk, on=on, **values)


def spans(agreement: Agreement) -> list[tuple[str, str, str, str]]:
    """First day, quantity, price and reason of every span of its one addition."""
    (row,) = queries.timeline(agreement_id=agreement.pk, on=date(2026, 1, 1))
    return [(f"{x.first:%d %b}", f"{x.quantity:f}", f"{x.unit_price:.2f}", x.reason) for x in row.spans]


# -- worked examples ---------------------------------------------------------------------------------------------------


def test_we_2_an_addition_of_15_march_is_prorated_on_the_april_invoice(msp: World) -> None:
    start = date(2019, 3, 1)
    agreement = make(msp, AdditionInput(msp.lease.pk, D(2), D(22), description="Old"), start_date=start)
    bill(agreement, month(2019, 3))
    later = AdditionInput(msp.lease.pk, D(2), D(22), description="New", effective_date=date(2019, 3, 15))
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=later)
    assert due(agreement, date(2019, 4, 1)) == [
        ("Old", "2", "44.00"),
        ("New", "2", "24.13"),  # 22 × 17/31, twice: 15 to 31 March, both inclusive
        ("New", "2", "44.00"),
    ]


def test_we_8_two_licences_more_on_17_march(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, month(2026, 1), month(2026, 2), month(2026, 3))
    change(agreement, date(2026, 3, 17), quantity=D(12), reason="two new starters")
    assert due(agreement, date(2026, 4, 1)) == [("Licence", "2", "19.35"), ("Licence", "12", "240.00")]
    assert said(agreement) == (
        f"changed Licence on {agreement.number} from 17 Mar 2026: quantity from 10 to 12 (two new starters)"
    )


def test_we_8_april_is_billed_already(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, *(month(2026, n) for n in (1, 2, 3, 4)))
    change(agreement, date(2026, 3, 17), quantity=D(12))
    assert due(agreement, date(2026, 5, 1)) == [
        ("Licence", "2", "19.35"),
        ("Licence", "2", "40.00"),
        ("Licence", "12", "240.00"),
    ]


def test_we_18_amount_less_included_and_additions(msp: World) -> None:
    users = AdditionInput(msp.lease.pk, D(25), D(10), less_included=D(5))
    agreement = make(msp, users, billing_amount=D(500))
    assert queries.period_amount(agreement, month(2026, 1)) == D("700.00")


# -- the history -------------------------------------------------------------------------------------------------------


def test_the_first_change_keeps_what_held_before(msp: World) -> None:
    agreement = licences(msp)
    assert spans(agreement) == [("01 Jan", "10.000000", "20.00", "")]
    change(agreement, date(2026, 3, 17), quantity=D(12), reason="two more")
    change(agreement, date(2026, 6, 1), unit_price=D(22))
    assert spans(agreement) == [
        ("01 Jan", "10.000000", "20.00", ""),
        ("17 Mar", "12.000000", "20.00", "two more"),
        ("01 Jun", "12.000000", "22.00", ""),
    ]
    addition = only(agreement)
    assert (addition.quantity, addition.unit_price) == (12, 22)  # the latest
    days = (date(2025, 12, 31), date(2026, 3, 16), date(2026, 3, 17), date(2026, 8, 1))
    assert [queries.quantity_on(addition, day) for day in days] == [0, 10, 12, 12]


def test_the_same_day_again_replaces(msp: World) -> None:
    agreement = licences(msp)
    change(agreement, date(2026, 3, 17), quantity=D(12), reason="two more")
    change(agreement, date(2026, 3, 17), quantity=D(13), reason="no, three")
    assert spans(agreement)[1:] == [("17 Mar", "13.000000", "20.00", "no, three")]
    change(agreement, date(2026, 1, 1), quantity=D(9))
    assert spans(agreement) == [("01 Jan", "9.000000", "20.00", ""), ("17 Mar", "13.000000", "20.00", "no, three")]


def test_a_price_raised_for_february_holds_after_the_change_of_march(msp: World) -> None:
    agreement = licences(msp)
    change(agreement, date(2026, 3, 1), quantity=D(12))
    change(agreement, date(2026, 5, 1), unit_price=D(25))
    change(agreement, date(2026, 2, 1), unit_price=D(21), quantity=D(11))
    assert spans(agreement) == [
        ("01 Jan", "10.000000", "20.00", ""),
        ("01 Feb", "11.000000", "21.00", ""),
        ("01 Mar", "12.000000", "21.00", ""),
        ("01 May", "12.000000", "25.00", ""),
    ]
    assert said(agreement).endswith("unit price from 20 to 21, carried on to the change of 1 Mar 2026")


def test_so_many_more_are_also_more_after_later_changes(msp: World) -> None:
    agreement = licences(msp)
    change(agreement, date(2026, 5, 1), more=D(4))
    change(agreement, date(2026, 3, 1), more=D(-3), reason="two left, one lost")
    change(agreement, date(2026, 4, 1), unit_price=D(21))
    change(agreement, date(2026, 2, 1), more=D(1))
    assert spans(agreement) == [
        ("01 Jan", "10.000000", "20.00", ""),
        ("01 Feb", "11.000000", "20.00", ""),
        ("01 Mar", "8.000000", "20.00", "two left, one lost"),
        ("01 Apr", "8.000000", "21.00", ""),
        ("01 May", "12.000000", "21.00", ""),
    ]
    assert only(agreement).quantity == 12
    change(agreement, date(2026, 3, 15), more=D(-8))
    change(agreement, date(2026, 2, 15), quantity=D(30))  # all units from then on, until the next change
    assert [row[1] for row in spans(agreement)][2:4] == ["30.000000", "8.000000"]


@pytest.mark.parametrize(
    ("on", "values", "message"),
    [
        (date(2026, 2, 1), {"more": D(0)}, "Nothing would change"),
        (date(2026, 3, 1), {"more": D(-3)}, "cannot be negative"),
        (date(2026, 2, 1), {"more": D(-3)}, "there are 2 from 1 Mar 2026 on; 3 cannot be taken away"),
        (date(2026, 2, 1), {"more": D(1), "quantity": D(11)}, "not both"),
    ],
)
def test_so_many_more_that_make_no_sense(msp: World, on: date, values: dict[str, Decimal], message: str) -> None:
    agreement = licences(msp)
    change(agreement, date(2026, 3, 1), more=D(-8))
    with pytest.raises(DomainError, match=message) as refused:
        change(agreement, on, **values)
    assert refused.value.code == "invalid"
    assert only(agreement).changes.count() == 2


def test_a_change_is_taken_back(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, month(2026, 1), month(2026, 2), month(2026, 3))
    change(agreement, date(2026, 3, 17), quantity=D(12))
    change(agreement, date(2026, 5, 1), unit_price=D(25))
    addition = remove_addition_change(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 3, 17))
    assert queries.quantity_on(addition, date(2026, 4, 1)) == 10
    assert due(agreement, date(2026, 4, 1)) == [("Licence", "10", "200.00")]
    for day, code in ((date(2026, 3, 17), "not_found"), (date(2026, 1, 1), "invalid")):
        with pytest.raises(DomainError) as refused:
            remove_addition_change(actor=SALES, addition_id=addition.pk, on=day)
        assert (refused.value.code, refused.value.field) == (code, "on")


def test_the_only_change_taken_back_leaves_the_addition_as_it_was(msp: World) -> None:
    agreement = licences(msp)
    change(agreement, date(2026, 3, 17), quantity=D(12), unit_cost=D(13))
    remove_addition_change(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 3, 17))
    addition = only(agreement)
    assert (addition.quantity, addition.unit_cost) == (10, 12)
    assert not AdditionChange.objects.exists()


DAYS = st.integers(min_value=0, max_value=40).map(lambda n: date(2026, 1, 1) + timedelta(days=n))
AMOUNTS = st.integers(min_value=0, max_value=9).map(D)
NAMES = ("quantity", "unit_price", "unit_cost")
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), DAYS, st.dictionaries(st.sampled_from(NAMES), AMOUNTS, min_size=1)),
        st.tuples(st.just("remove"), DAYS, st.just({})),
    ),
    max_size=10,
)


@given(actions=ACTIONS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changes_never_lose_what_held_before(msp: World, actions: list[tuple[str, date, dict[str, Decimal]]]) -> None:
    """Before its day no change alters anything; on its day it says what it was told; later only what it carries on."""
    horizon = [date(2026, 1, 1) + timedelta(days=n) for n in range(45)]
    with transaction.atomic():
        agreement = licences(msp)
        addition = only(agreement)
        expected = {day: {"quantity": D(10), "unit_price": D(20), "unit_cost": D(12)} for day in horizon}
        for kind, on, values in actions:
            if not done(addition, kind, on, values):
                continue
            history = queries.history_of(Addition.objects.get(pk=addition.pk))
            now = {day: values_at(addition, day) for day in horizon}
            for day in horizon:
                if day < on:
                    assert now[day] == expected[day], (kind, on, day)
            for name, value in values.items():
                assert now[on][name] == value
            for name in NAMES:
                if name not in values and kind == "change":
                    assert [now[day][name] for day in horizon] == [expected[day][name] for day in horizon]
            if kind == "remove" and on > horizon[0]:
                assert now[on] == now[on - timedelta(days=1)]
            latest = Addition.objects.get(pk=addition.pk)
            assert tuple(getattr(latest, name) for name in NAMES) == tuple(getattr(history[-1], n) for n in NAMES)
            expected = now
        transaction.set_rollback(True)


def done(addition: Addition, kind: str, on: date, values: dict[str, Decimal]) -> bool:
    """Whether the change was made or taken back, and not refused as changing nothing."""
    try:
        if kind == "change":
            change_addition(actor=SALES, addition_id=addition.pk, on=on, **values)  # type: ignore[arg-type]
        else:
            remove_addition_change(actor=SALES, addition_id=addition.pk, on=on)
    except DomainError:
        return False
    return True


def values_at(addition: Addition, day: date) -> dict[str, Decimal]:
    values = queries.values_on(Addition.objects.get(pk=addition.pk), day)
    return {name: getattr(values, name) for name in NAMES}


# -- cancelled with effect from its first day -----------------------------------------------------------------------


def test_what_was_never_in_force_bills_nothing(msp: World) -> None:
    agreement = licences(msp)
    later = AdditionInput(msp.lease.pk, D(2), D(22), description="Not wanted", effective_date=date(2026, 1, 10))
    unwanted = add_addition(actor=SALES, agreement_id=agreement.pk, addition=later)
    cancel_addition(actor=SALES, addition_id=unwanted.pk, on=date(2026, 1, 9), reason="ordered twice")
    assert said(agreement) == f"cancelled Not wanted on {agreement.number} from its first day on: ordered twice"
    assert due(agreement, date(2026, 2, 1)) == [("Licence", "10", "200.00"), ("Licence", "10", "200.00")]
    unwanted.refresh_from_db()
    states = {queries.addition_state(unwanted, on=date(2026, 1, day)) for day in (5, 9, 10, 11)}
    assert (unwanted.never_in_force, states) == (True, {"cancelled"})
    assert queries.quantity_on(unwanted, date(2026, 1, 10)) == 0
    uncancel_addition(actor=SALES, addition_id=unwanted.pk)
    assert ("Not wanted", "2", "31.23") in due(agreement, date(2026, 2, 1))  # 44.00 × 22/31


def test_what_was_billed_of_it_is_given_back_to_the_last_cent(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, month(2026, 1))
    cancel_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2025, 12, 31))
    assert due(agreement, date(2026, 2, 1)) == [("Licence", "-10", "-200.00")]


def test_nothing_is_cancelled_before_that(msp: World) -> None:
    agreement = licences(msp)
    for deed in (
        lambda pk: cancel_addition(actor=SALES, addition_id=pk, on=date(2025, 12, 30)),
        lambda pk: update_addition(actor=SALES, addition_id=pk, cancelled_date=date(2025, 12, 30)),
    ):
        with pytest.raises(DomainError) as refused:
            deed(only(agreement).pk)
        assert refused.value.code == "invalid"
    update_addition(actor=SALES, addition_id=only(agreement).pk, cancelled_date=date(2025, 12, 31))
    assert only(agreement).never_in_force


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({}, "required", "quantity"),
        ({"quantity": D(10)}, "invalid", "on"),
        ({"quantity": D(-1)}, "invalid", "quantity"),
        ({"less_included": D(11)}, "invalid", "less_included"),
        ({"unit_price": D(-1)}, "invalid", "unit_price"),
        ({"quantity": D(11), "on": date(2025, 12, 31)}, "invalid", "on"),
        ({"quantity": D(11), "on": date(2027, 1, 1)}, "invalid", "on"),
    ],
)
def test_changes_that_are_refused(msp: World, given: dict[str, Any], code: str, field: str) -> None:
    agreement = licences(msp, end_date=date(2026, 12, 31))
    with pytest.raises(DomainError) as refused:
        change(agreement, **({"on": date(2026, 3, 1)} | given))
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not AdditionChange.objects.exists()


def test_an_internal_company_gets_no_price_by_a_change_either(msp: World) -> None:
    agreement = licences(msp, price="0", bill_to_id=msp.internal.pk)
    with pytest.raises(DomainError) as refused:
        change(agreement, date(2026, 3, 1), unit_price=D(1))
    assert refused.value.code == "price_on_internal_company"
    with pytest.raises(DomainError) as refused:
        change_billing_amount(actor=SALES, agreement_id=agreement.pk, on=date(2026, 3, 1), billing_amount=D(1))
    assert refused.value.code == "price_on_internal_company"
    assert only(agreement).unit_price == 0


def test_a_cancelled_agreement_can_still_change_until_its_last_day(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, month(2026, 1), month(2026, 2))
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 2, 28), reason="sold")
    change(agreement, date(2026, 2, 15), quantity=D(8))
    assert due(agreement, date(2026, 3, 1)) == [("Licence", "-2", "-20.00")]
    with pytest.raises(DomainError, match=r"last day of .* is 28 Feb 2026"):
        change(agreement, date(2026, 3, 1), quantity=D(7))


# -- correcting --------------------------------------------------------------------------------------------------------


def test_a_slip_is_corrected_until_it_is_billed(msp: World) -> None:
    agreement = licences(msp)
    addition = update_addition(
        actor=SALES, addition_id=only(agreement).pk, quantity=D(11), unit_price=D(21), description="Seat"
    )
    assert spans(agreement) == [("01 Jan", "11.000000", "21.00", "")]
    bill(agreement, month(2026, 1))
    slips: tuple[dict[str, Any], ...] = ({"quantity": D(12)}, {"unit_price": D(22)}, {"billing_option": "NoCharge"})
    for slip in slips:
        with pytest.raises(DomainError) as refused:
            update_addition(actor=SALES, addition_id=addition.pk, **slip)
        assert (refused.value.code, refused.value.field) == ("already_invoiced", next(iter(slip)))
    update_addition(actor=SALES, addition_id=addition.pk, invoice_text="Seats", taxable=False, serial_number="S1")
    assert only(agreement).invoice_text == "Seats"


def test_what_has_changes_is_not_corrected_behind_them(msp: World) -> None:
    agreement = licences(msp)
    change(agreement, date(2026, 3, 1), quantity=D(12))
    with pytest.raises(DomainError, match="has changes") as refused:
        update_addition(actor=SALES, addition_id=only(agreement).pk, quantity=D(13))
    assert refused.value.hint == "Change it from a day on; its history is kept."


def test_an_earlier_first_day_is_caught_up_on(msp: World) -> None:
    agreement = make(
        msp, AdditionInput(msp.lease.pk, D(2), D(31), description="Late", effective_date=date(2026, 1, 21))
    )
    bill(agreement, month(2026, 1))
    change_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 3, 1), quantity=D(3))
    update_addition(actor=SALES, addition_id=only(agreement).pk, effective_date=date(2026, 1, 11))
    assert due(agreement, date(2026, 2, 1))[0] == ("Late", "2", "20.00")
    assert spans(agreement)[0][0] == "11 Jan"
    with pytest.raises(DomainError, match="changes on 1 Mar 2026"):
        update_addition(actor=SALES, addition_id=only(agreement).pk, effective_date=date(2026, 3, 1))


# -- cancelling --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credits", "lines"),
    [
        ("next_invoice", [("Licence", "-10", "-96.77")]),  # 15 of 31 days
        ("credit_memo", [("Licence", "-10", "-96.77")]),
        ("none", []),
    ],
)
def test_billed_days_are_given_back_as_the_agreement_says(
    msp: World, credits: str, lines: list[tuple[str, str, str]]
) -> None:
    agreement = licences(msp, credits=credits)
    bill(agreement, month(2026, 1))
    cancel_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 1, 16), reason="too dear")
    assert due(agreement, date(2026, 2, 1)) == lines
    assert said(agreement) == (f"cancelled Licence on {agreement.number} with 16 Jan 2026 as its last day: too dear")


def test_a_cancelled_addition_goes_on_without_a_gap(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, month(2026, 1))
    addition = cancel_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 1, 16))
    with pytest.raises(DomainError, match="already"):
        cancel_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 1, 16))
    with pytest.raises(DomainError, match="is cancelled"):
        change(agreement, date(2026, 1, 20), quantity=D(1))
    uncancel_addition(actor=SALES, addition_id=addition.pk)
    assert due(agreement, date(2026, 2, 1)) == [("Licence", "10", "200.00")]
    with pytest.raises(DomainError) as refused:
        uncancel_addition(actor=SALES, addition_id=addition.pk)
    assert refused.value.code == "wrong_state"


# -- the billing amount ------------------------------------------------------------------------------------------------


def test_the_billing_amount_changes_from_a_day_on(msp: World) -> None:
    agreement = make(msp, billing_amount=D(310))
    bill(agreement, month(2026, 1))
    change_billing_amount(actor=SALES, agreement_id=agreement.pk, on=date(2026, 1, 22), billing_amount=D(620))
    assert due(agreement, date(2026, 2, 1)) == [("Server lease", "1", "100.00"), ("Server lease", "1", "620.00")]
    assert said(agreement) == (
        f"changed the billing amount of {agreement.number} from 310.00 to 620.00 from 22 Jan 2026"
    )
    change_billing_amount(actor=SALES, agreement_id=agreement.pk, on=date(2026, 1, 22), billing_amount=D(0))
    assert due(agreement, date(2026, 2, 1)) == [("Server lease", "-1", "-100.00")]
    with pytest.raises(DomainError, match="already"):
        change_billing_amount(actor=SALES, agreement_id=agreement.pk, on=date(2026, 3, 1), billing_amount=D(0))


def test_an_amount_without_a_day_holds_for_what_is_not_billed(msp: World) -> None:
    agreement = make(msp, billing_amount=D(310))
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, billing_amount=D(300))
    assert not BillingAmountChange.objects.exists()
    bill(agreement, month(2026, 1))
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, billing_amount=D(400))
    rows = BillingAmountChange.objects.values_list("effective_date", "billing_amount")
    assert list(rows) == [(date(2026, 1, 1), 300), (date(2026, 2, 1), 400)]
    assert fresh(agreement).billing_amount == 400
    assert due(agreement, date(2026, 2, 1)) == [("Server lease", "1", "400.00")]
