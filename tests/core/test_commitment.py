"""What a committed term owes when it is cancelled."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from counterfoil.core.calendar import YEARLY, Period
from counterfoil.core.commitment import Commitment
from counterfoil.core.errors import DomainError
from counterfoil.core.recurring import Booked, Charge, Step, Terms, bills_due

YEAR = Period(date(2026, 1, 1), date(2027, 1, 1))


def test_we_14_cancelled_on_day_3_the_paid_period_less_3_days_is_refunded() -> None:
    last_day = date(2026, 1, 3)
    Commitment(YEAR).check_last_day(last_day)
    licence = Charge("licence", (Step(YEAR.start, D(1), D("1200.00")),), YEAR.start, last_day)
    paid = Booked("licence", YEAR.start, D("1200.00"), D(0), D(1), D("1200.00"), YEAR.start, YEAR.end)
    terms = Terms(YEARLY, YEAR.start, credits="credit_memo")
    (refund,) = bills_due(terms, [licence], booked=[paid], through=last_day, billed={YEAR.start})
    assert (refund.kind, refund.amount) == ("credit_memo", D("-1190.14"))


@pytest.mark.parametrize("day", [date(2026, 1, 8), date(2026, 7, 1), date(2026, 12, 30)])
def test_we_14_from_day_8_on_the_full_term_is_owed(day: date) -> None:
    with pytest.raises(DomainError, match=r"committed until 31 Dec 2026.*until 7 Jan 2026") as refused:
        Commitment(YEAR).check_last_day(day)
    assert refused.value.code == "committed"


def test_the_last_day_of_the_window_and_that_of_the_term_are_free() -> None:
    Commitment(YEAR).check_last_day(date(2026, 1, 7))
    Commitment(YEAR).check_last_day(date(2026, 12, 31))


def test_without_a_window_nothing_shortens_the_term() -> None:
    for last_day in (date(2025, 12, 31), YEAR.start):
        with pytest.raises(DomainError, match=r"owed\.$"):
            Commitment(YEAR, window_days=0).check_last_day(last_day)


def test_within_the_window_all_of_it_is_given_back_from_its_first_day_on() -> None:
    last_day = date(2025, 12, 31)
    Commitment(YEAR).check_last_day(last_day)
    licence = Charge("licence", (Step(YEAR.start, D(1), D("1200.00")),), YEAR.start, last_day)
    paid = Booked("licence", YEAR.start, D("1200.00"), D(0), D(1), D("1200.00"), YEAR.start, YEAR.end)
    terms = Terms(YEARLY, YEAR.start, credits="credit_memo")
    (refund,) = bills_due(terms, [licence], booked=[paid], through=YEAR.start, billed={YEAR.start})
    assert (refund.kind, refund.amount) == ("credit_memo", D("-1200.00"))
