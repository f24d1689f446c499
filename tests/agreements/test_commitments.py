"""Additions that are committed for a term: given back within days of their purchase, or owed until its end (WE-14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.agreements.records import bill, due, fresh, make, month, only
from tests.world import SALES, World, build_world

from counterfoil.agreements.commands import (
    AdditionInput,
    cancel_addition,
    cancel_agreement,
    change_addition,
    end_agreement,
    remove_addition_change,
    renew_addition,
    renew_agreement,
    update_addition,
    update_agreement,
)
from counterfoil.agreements.commitments import term_through
from counterfoil.agreements.models import Addition, AdditionChange, Agreement
from counterfoil.catalog.models import SeatsDown
from counterfoil.core.calendar import MONTHLY
from counterfoil.core.errors import DomainError
from counterfoil.quotes.models import Opportunity, QuoteLine

pytestmark = pytest.mark.django_db
D = Decimal
JANUARY, YEAR_END, NEXT_YEAR = date(2026, 1, 1), date(2026, 12, 31), date(2027, 1, 1)


@pytest.fixture
def msp() -> World:
    return build_world()


def licences(msp: World, committed_through: date | None = YEAR_END, **more: Any) -> Agreement:
    """Ten licences at 20.00 a month, bought for a year, that may be given back within seven days."""
    bought = AdditionInput(msp.lease.pk, D(10), D(20), description="Licence", committed_through=committed_through)
    return make(msp, bought, **more)


def to(agreement: Agreement, quantity: int, on: date) -> Addition:
    return change_addition(actor=SALES, addition_id=only(agreement).pk, on=on, quantity=D(quantity))


def monthly(msp: World, **more: Any) -> Agreement:
    """Ten licences that are bought by the month from 1 January, unless another day is given."""
    start = more.get("start_date", JANUARY)
    bought = AdditionInput(
        msp.lease.pk, D(10), D(20), term="month:1", committed_through=MONTHLY.after(start, 1) - timedelta(days=1)
    )
    return make(msp, bought, **more)


def renewed(agreement: Agreement, on: date, through: date) -> Addition:
    """Renewed by a quote for ten more of the same term."""
    addition = only(agreement)
    renew_addition(
        actor=SALES, addition_id=addition.pk, on=on, quantity=D(10), unit_price=D(20), unit_cost=D(0), through=through
    )
    opportunity = Opportunity.objects.create(number="TO-1", name="Renewal", company=agreement.company)
    line = QuoteLine.objects.create(
        opportunity=opportunity, product=addition.product, position=1, quantity=D(10), action="renew", addition=addition
    )
    AdditionChange.objects.filter(addition=addition, effective_date=on).update(origin=line)
    return addition


def cancelled(agreement: Agreement, on: date) -> Addition:
    return cancel_addition(actor=SALES, addition_id=only(agreement).pk, on=on)


def refusal(deed: Callable[[], object]) -> DomainError:
    with pytest.raises(DomainError) as refused:
        deed()
    return refused.value


def test_we_14_within_the_window_licences_end_and_the_rest_is_given_back(msp: World) -> None:
    agreement = licences(msp)
    bill(agreement, month(2026, 1))
    cancelled(agreement, date(2026, 1, 3))
    assert due(agreement, date(2026, 2, 1)) == [("Licence", "-10", "-180.65")]  # 200.00 × 28/31


@pytest.mark.parametrize(
    ("deed", "field"),
    [
        (lambda agreement: cancelled(agreement, date(2026, 1, 8)), "on"),
        (lambda agreement: cancelled(agreement, date(2026, 6, 30)), "on"),
        (lambda agreement: to(agreement, 9, date(2026, 2, 1)), "on"),
        (
            lambda agreement: update_addition(
                actor=SALES, addition_id=only(agreement).pk, cancelled_date=date(2026, 6, 30)
            ),
            "cancelled_date",
        ),
        (
            lambda agreement: cancel_agreement(
                actor=SALES, agreement_id=agreement.pk, on=date(2026, 6, 30), reason="sold"
            ),
            "on",
        ),
        (lambda agreement: end_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 6, 30)), "on"),
        (
            lambda agreement: update_agreement(
                actor=SALES, agreement_id=agreement.pk, end_date=date(2026, 6, 30)
            ),
            "end_date",
        ),
    ],
)  # fmt: skip
def test_we_14_after_the_window_the_whole_term_is_owed(
    msp: World, deed: Callable[[Agreement], object], field: str
) -> None:
    agreement = licences(msp)
    refused = refusal(lambda: deed(agreement))
    assert (refused.code, refused.field) == ("committed", field)
    assert "committed until 31 Dec 2026" in refused.message
    assert "until 7 Jan 2026" in refused.message
    assert not AdditionChange.objects.exists()
    assert (only(agreement).cancelled_date, fresh(agreement).status) == (None, "active")


def test_more_licences_and_other_prices_are_free_at_any_time(msp: World) -> None:
    agreement = licences(msp)
    to(agreement, 12, date(2026, 3, 17))
    change_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 4, 1), unit_price=D(18))
    assert only(agreement).quantity == 12


def test_an_increase_has_a_window_of_its_own(msp: World) -> None:
    agreement = licences(msp)
    to(agreement, 12, date(2026, 3, 17))
    assert refusal(lambda: to(agreement, 10, date(2026, 3, 25))).code == "committed"
    assert refusal(lambda: to(agreement, 9, date(2026, 3, 20))).code == "committed"
    to(agreement, 10, date(2026, 3, 20))
    assert only(agreement).quantity == 10
    to(agreement, 11, date(2026, 5, 1))
    to(agreement, 10, date(2026, 5, 2))  # the two given back in March are not owed
    assert refusal(lambda: to(agreement, 9, date(2026, 6, 1))).code == "committed"


def test_after_the_term_and_without_one_everything_is_free(msp: World) -> None:
    cancelled(licences(msp), YEAR_END)
    cancelled(licences(msp), date(2027, 3, 31))
    to(licences(msp), 4, date(2027, 1, 1))
    cancelled(licences(msp, committed_through=None), date(2026, 6, 30))
    whole = licences(msp)
    cancel_agreement(actor=SALES, agreement_id=whole.pk, on=YEAR_END, reason="sold")
    assert fresh(whole).status == "cancelled"


def test_the_window_is_of_so_many_days_as_was_agreed(msp: World) -> None:
    agreement = licences(msp)
    update_addition(actor=SALES, addition_id=only(agreement).pk, cancellation_days=30)
    cancelled(agreement, date(2026, 1, 30))
    rigid = licences(msp)
    update_addition(actor=SALES, addition_id=only(rigid).pk, cancellation_days=0)
    refused = refusal(lambda: cancelled(rigid, JANUARY))
    assert refused.code == "committed"
    assert "could be" not in refused.message


def test_a_term_that_outlasts_its_agreement_goes_on_in_the_successor(msp: World) -> None:
    agreement = licences(msp, end_date=date(2026, 6, 30))
    successor = renew_agreement(actor=SALES, agreement_id=agreement.pk)
    assert (only(successor).committed_through, only(successor).cancellation_days) == (YEAR_END, 0)
    assert refusal(lambda: cancelled(successor, date(2026, 7, 3))).code == "committed"
    again = renew_agreement(actor=SALES, agreement_id=successor.pk)
    assert (only(again).committed_through, only(again).effective_date) == (None, date(2027, 1, 1))


def test_where_seats_go_down_at_renewal_alone_no_purchase_opens_a_window(msp: World) -> None:
    agreement = licences(msp)
    update_addition(actor=SALES, addition_id=only(agreement).pk, seats_down=SeatsDown.RENEWAL)
    to(agreement, 12, date(2026, 3, 17))
    for deed in (
        lambda: to(agreement, 11, date(2026, 3, 18)),
        lambda: to(agreement, 9, date(2026, 1, 3)),
        lambda: cancelled(agreement, date(2026, 1, 3)),
        lambda: cancelled(agreement, date(2025, 12, 31)),
    ):
        refused = refusal(deed)
        assert refused.code == "committed"
        assert refused.message.endswith("at its renewal alone, from 1 Jan 2027 on, until 7 Jan 2027.")
    to(agreement, 8, date(2027, 1, 1))
    assert only(agreement).quantity == 8


def test_a_renewal_has_a_window_where_seats_go_down_at_renewal_alone(msp: World) -> None:
    agreement = licences(msp)
    update_addition(actor=SALES, addition_id=only(agreement).pk, seats_down=SeatsDown.RENEWAL)
    renewed(agreement, NEXT_YEAR, date(2027, 12, 31))
    assert only(agreement).seats_down == "renewal"
    to(agreement, 14, date(2027, 1, 2))
    assert "from 1 Jan 2028 on" in refusal(lambda: to(agreement, 12, date(2027, 1, 4))).message  # the four are owed
    remove_addition_change(actor=SALES, addition_id=only(agreement).pk, on=date(2027, 1, 2))
    to(agreement, 7, date(2027, 1, 8))
    assert refusal(lambda: to(agreement, 6, date(2027, 1, 9))).code == "committed"


def test_at_any_time_is_any_time(msp: World) -> None:
    agreement = licences(msp)
    update_addition(actor=SALES, addition_id=only(agreement).pk, seats_down=SeatsDown.ANY_TIME)
    to(agreement, 4, date(2026, 5, 1))
    cancelled(agreement, date(2026, 5, 31))


@pytest.mark.parametrize(
    ("last", "refused_until"),
    [
        (date(2026, 2, 7), ""),  # every month has its window
        (date(2026, 2, 8), "28 Feb 2026"),
        (date(2026, 2, 28), ""),
        (date(2026, 6, 15), "30 Jun 2026"),
        (date(2026, 6, 30), ""),
    ],
)
def test_month_to_month_each_month_is_committed_for_itself(msp: World, last: date, refused_until: str) -> None:
    agreement = monthly(msp)
    if refused_until:
        refused = refusal(lambda: cancelled(agreement, last))
        assert f"committed until {refused_until}" in refused.message
        assert refusal(lambda: to(agreement, 9, last + timedelta(days=1))).code == "committed"
    else:
        to(agreement, 9, last + timedelta(days=1))
        cancelled(agreement, last)


def test_months_from_the_31st_do_not_drift(msp: World) -> None:
    addition = only(monthly(msp, start_date=date(2026, 1, 31)))
    days = [term_through(addition, date(2026, n, 15)) for n in range(2, 7)]
    assert days == [date(2026, 2, 27), *(date(2026, n, d) for n, d in ((3, 30), (4, 29), (5, 30), (6, 29)))]


def test_more_within_a_month_have_a_window_within_it(msp: World) -> None:
    agreement = monthly(msp)
    to(agreement, 12, date(2026, 4, 20))
    assert refusal(lambda: to(agreement, 9, date(2026, 4, 22))).code == "committed"
    to(agreement, 10, date(2026, 4, 22))
    to(agreement, 4, date(2026, 5, 1))


def test_month_to_month_goes_on_in_the_successor(msp: World) -> None:
    agreement = monthly(msp, end_date=date(2026, 6, 30))
    successor = renew_agreement(actor=SALES, agreement_id=agreement.pk)
    addition = only(successor)
    assert (addition.term, addition.committed_through, addition.cancellation_days) == ("month:1", date(2026, 7, 31), 7)
    assert refusal(lambda: cancelled(successor, date(2026, 9, 15))).code == "committed"


def test_a_term_does_not_end_before_it_begins(msp: World) -> None:
    refused = refusal(lambda: licences(msp, committed_through=date(2025, 12, 31)))
    assert (refused.code, refused.field) == ("invalid", "lines[0].committed_through")
