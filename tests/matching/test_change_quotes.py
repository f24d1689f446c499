"""Accepted change quotes, and what people do beside them: the match tells one from the other."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.accepted import accepted, by, convert, monthly_m365
from tests.world import FINANCE, SALES, World

from counterfoil.agreements.commands import cancel_addition, change_addition, remove_addition_change
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.catalog.models import Offer
from counterfoil.core.money import format_money
from counterfoil.matching.commands import match_changed, match_everything
from counterfoil.matching.queries import exceptions, thread_views

pytestmark = pytest.mark.django_db
D = Decimal
JAN_1, MARCH_1, JUNE_30 = date(2026, 1, 1), date(2026, 3, 1), date(2026, 6, 30)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def offer(world: World) -> Offer:
    """A year at 23.10 a month, which the customer may leave at any time."""
    return monthly_m365(world)


@pytest.fixture
def running(world: World, offer: Offer) -> Addition:
    """Ten for the year 2026."""
    (agreement,) = convert(accepted(world, [by(offer, 10)]), JAN_1).agreements
    return agreement.additions.get()


def accept(world: World, running: Addition, action: str, quantity: int, on: date = MARCH_1, **more: Any) -> None:
    """The customer accepts a change quote."""
    line = by(running.offer, quantity, action=action, addition=running, start_date=on, **more)  # type: ignore[arg-type]
    convert(accepted(world, [line], agreement=running.agreement), on)
    running.refresh_from_db()


def found() -> list[tuple[str, str, str, str]]:
    """What is open: as found when it changed, and as found by looking at everything."""
    match_changed(actor=FINANCE, now=NOW)
    rows = [(row.code, row.expected, row.actual, format_money(row.over_term)) for row in exceptions(status="open")]
    assert match_everything(actor=FINANCE, now=NOW).opened == 0
    return rows


def test_two_change_quotes_for_one_day_match(world: World, running: Addition) -> None:
    accept(world, running, "increase", 2)
    accept(world, running, "increase", 3)
    assert (running.quantity, running.changes.count()) == (15, 2)
    assert found() == []
    accept(world, running, "decrease", 4)
    assert running.quantity == 11
    assert found() == []
    running.changes.filter(effective_date=MARCH_1).update(quantity=D(12))
    assert found() == [("quantity", "1", "2", "(277.20)")]  # one more than 2 + 3 - 4, for a year


def test_a_change_quote_and_a_hand_on_one_day(world: World, running: Addition) -> None:
    accept(world, running, "increase", 2)
    change_addition(actor=SALES, addition_id=running.pk, on=MARCH_1, quantity=D(13))
    assert found() == [("changed_by_hand", "12 at 23.10", "13 at 23.10", "(277.20)")]
    change_addition(actor=SALES, addition_id=running.pk, on=MARCH_1, quantity=D(12))
    assert found() == []
    remove_addition_change(actor=SALES, addition_id=running.pk, on=MARCH_1)
    assert found() == [("quantity", "2", "0", "554.40")]


def test_what_is_cancelled_by_hand_before_its_quoted_end_is_said(world: World, running: Addition) -> None:
    cancel_addition(actor=SALES, addition_id=running.pk, on=JUNE_30)
    assert found() == [("end_date", "31 Dec 2026", "30 Jun 2026", "1,397.39")]  # 184 days of 231.00 a month
    (view,) = thread_views([running.origin_id or 0], on=MARCH_1)
    assert [row.code for row in view.rows if any(cell.differs for cell in row.cells)] == ["end_date"]


@pytest.mark.parametrize(("action", "quantity"), [("cancel", 10), ("decrease", 10)])
def test_what_a_quote_cancels_is_not(world: World, running: Addition, action: str, quantity: int) -> None:
    accept(world, running, action, quantity)
    assert running.cancelled_date == date(2026, 2, 28)
    assert found() == []
    cancel_addition(actor=SALES, addition_id=running.pk, on=date(2026, 1, 31))
    assert found() == [("end_date", "28 Feb 2026", "31 Jan 2026", "212.65")]  # 28 days


def test_a_renewal_and_a_change_quote_of_its_first_day(world: World, running: Addition) -> None:
    next_year = date(2027, 1, 1)
    accept(world, running, "renew", 12, next_year)
    assert found() == []
    accept(world, running, "increase", 3, next_year)
    assert running.quantity == 15
    assert found() == []
    running.changes.filter(effective_date=next_year).update(quantity=D(14))
    assert found() == [("quantity", "5", "4", "277.20")]  # of the last line that was accepted for the day


def test_a_change_quote_and_a_renewal_from_its_first_day(world: World, running: Addition) -> None:
    next_year = date(2027, 1, 1)
    Addition.objects.filter(pk=running.pk).update(cancelled_date=None)
    Agreement.objects.filter(pk=running.agreement_id).update(end_date=None)
    accept(world, running, "increase", 3, next_year)
    assert found() == []
    accept(world, running, "renew", 12, next_year)
    assert running.quantity == 12
    assert found() == []


def test_by_hand_on_the_day_of_a_renewal_is_held_against_it(world: World, running: Addition) -> None:
    next_year = date(2027, 1, 1)
    accept(world, running, "renew", 12, next_year)
    change_addition(actor=SALES, addition_id=running.pk, on=next_year, quantity=D(13))
    assert found() == [("quantity", "2", "3", "(277.20)")]
    change_addition(actor=SALES, addition_id=running.pk, on=next_year, quantity=D(12), unit_price=D(20))
    assert found() == [("unit_price", "23.10", "20.00", "446.40")]
    change_addition(actor=SALES, addition_id=running.pk, on=next_year, unit_price=D("23.10"))
    assert found() == []


def test_a_swap_by_a_renewal_is_no_cancellation_by_hand(world: World, running: Addition) -> None:
    other = Offer.objects.get(product=running.product, term="year:3", billing_cycle="year:3")
    line = by(other, 12, action="renew", addition=running, start_date=date(2027, 1, 1))
    convert(accepted(world, [line], agreement=running.agreement), date(2027, 1, 1))
    assert Addition.objects.filter(origin__action="renew").get().quantity == 12
    assert found() == []


def test_more_at_another_price_is_an_addition_as_quoted(world: World, running: Addition) -> None:
    accept(world, running, "increase", 5, unit_price=D("24.26"))
    beside = Addition.objects.get(origin__action="increase")
    assert found() == []
    Addition.objects.filter(pk=beside.pk).update(quantity=D(4))
    assert found() == [("quantity", "5", "4", "291.12")]
