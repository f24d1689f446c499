"""Additions that are committed for a term: given back within days of their purchase, or owed until its end (WE-14)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
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
    renew_agreement,
    update_addition,
    update_agreement,
)
from counterfoil.agreements.models import Addition, AdditionChange, Agreement
from counterfoil.core.errors import DomainError

pytestmark = pytest.mark.django_db
D = Decimal
JANUARY, YEAR_END = date(2026, 1, 1), date(2026, 12, 31)


@pytest.fixture
def msp() -> World:
    return build_world()


def licences(msp: World, committed_through: date | None = YEAR_END, **more: Any) -> Agreement:
    """Ten licences at 20.00 a month, bought for a year, that may be given back within seven days."""
    bought = AdditionInput(msp.lease.pk, D(10), D(20), description="Licence", committed_through=committed_through)
    return make(msp, bought, **more)


def to(agreement: Agreement, quantity: int, on: date) -> Addition:
    return change_addition(actor=SALES, addition_id=only(agreement).pk, on=on, quantity=D(quantity))


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


def test_a_term_does_not_end_before_it_begins(msp: World) -> None:
    refused = refusal(lambda: licences(msp, committed_through=date(2025, 12, 31)))
    assert (refused.code, refused.field) == ("invalid", "lines[0].committed_through")
