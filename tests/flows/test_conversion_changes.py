"""Accepted change and renewal quotes: dated changes of what runs, with their origin, under the commitment rules."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.accepted import TODAY, accepted, by, convert, m365
from tests.agreements.records import bill, due, fresh, month
from tests.world import SALES, World

from counterfoil.agreements.commands import (
    AdditionInput,
    add_addition,
    cancel_addition,
    change_addition,
    remove_addition_change,
)
from counterfoil.agreements.commitments import term_through
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.catalog.models import CommitmentRule, Offer, PriceModel, PriceTier
from counterfoil.core.errors import DomainError
from counterfoil.flows.changes import renewal_day
from counterfoil.flows.lineage import lineage_of
from counterfoil.quotes.models import QuoteVersion

pytestmark = pytest.mark.django_db
D = Decimal
JAN_1 = date(2026, 1, 1)


@pytest.fixture
def offers(world: World) -> dict[str, Offer]:
    return m365(world)


@pytest.fixture
def running(world: World, offers: dict[str, Offer]) -> Addition:
    """Ten licences at 23.10 a month for the year 2026."""
    (agreement,) = convert(accepted(world, [by(offers["billed monthly"], 10)]), JAN_1).agreements
    return agreement.additions.get()


def change(world: World, running: Addition, action: str, quantity: int, on: date, **more: Any) -> QuoteVersion:
    offer = more.pop("offer", running.offer)
    price = more.pop("unit_price", running.unit_price if action != "renew" else offer.price)
    line = by(offer, quantity, **{"action": action, "addition": running, "unit_price": price, "start_date": on, **more})
    version = accepted(world, [line], agreement=Agreement.objects.get(pk=running.agreement_id))
    convert(version, on)
    running.refresh_from_db()
    return version


def test_more_seats_are_a_dated_change_with_their_origin(world: World, running: Addition) -> None:
    """WE-8: two more on 17 March; what is billed already is caught up on."""
    bill(running.agreement, month(2026, 1), month(2026, 2), month(2026, 3))
    version = change(world, running, "increase", 2, date(2026, 3, 17))
    first, change_ = running.changes.order_by("effective_date")
    assert (running.quantity, first.quantity, change_.effective_date) == (12, 10, date(2026, 3, 17))
    assert (first.origin, change_.origin) == (None, version.lines.get())
    assert version.lines.get().conversion.target_number == running.agreement.number
    assert due(running.agreement, date(2026, 4, 1)) == [
        (running.description, "2", "22.35"),  # 2 × 23.10 × 15/31
        (running.description, "12", "277.20"),
    ]


def test_more_seats_at_another_price_stand_beside_it_and_end_with_it(world: World, running: Addition) -> None:
    """WE-16: the price of what was bought stays until renewal; what is bought later has its own."""
    version = change(world, running, "increase", 5, date(2026, 6, 1), unit_price=D("24.26"))
    beside = Addition.objects.get(origin__version=version)
    assert (running.quantity, running.unit_price) == (10, D("23.10"))
    assert (beside.agreement, beside.quantity, beside.unit_price) == (running.agreement, 5, D("24.26"))
    assert beside.committed_through == running.committed_through == date(2026, 12, 31)


def test_more_seats_of_a_price_model_are_priced_by_it(world: World, offers: dict[str, Offer]) -> None:
    model = PriceModel.objects.create(name="Volume", kind="volume")
    PriceTier.objects.create(model=model, up_to=D(10), unit_price=D("23.10"))
    PriceTier.objects.create(model=model, unit_price=D("20"))
    (agreement,) = convert(accepted(world, [by(offers["billed monthly"], 10, price_model=model)]), JAN_1).agreements
    addition = agreement.additions.get()
    change(world, addition, "increase", 2, date(2026, 3, 1), unit_price=D(20))
    assert (addition.quantity, addition.unit_price) == (12, D(20))
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 3, 2), quantity=D(10))
    addition.refresh_from_db()
    assert (addition.quantity, addition.unit_price) == (10, D("23.10"))


def test_we_14_fewer_seats_within_the_window_alone(world: World, running: Addition) -> None:
    bill(running.agreement, month(2026, 1))
    version = change(world, running, "decrease", 4, date(2026, 1, 4))
    assert (running.quantity, running.changes.last().origin) == (6, version.lines.get())  # type: ignore[union-attr]
    assert due(running.agreement, date(2026, 2, 1))[0] == (running.description, "-4", "-83.46")  # 92.40 × 28/31


def test_we_14_on_day_8_the_whole_term_is_owed(world: World, running: Addition) -> None:
    for action, quantity in (("decrease", 1), ("cancel", 10)):
        with pytest.raises(DomainError, match="committed until 31 Dec 2026") as refused:
            change(world, running, action, quantity, date(2026, 1, 9))
        assert refused.value.code == "committed"
    running.refresh_from_db()
    assert (running.quantity, running.cancelled_date) == (10, None)


@pytest.mark.parametrize(("action", "quantity"), [("decrease", 1), ("cancel", 10)])
def test_we_14_what_was_quoted_in_the_window_is_not_given_back_after_it(
    world: World, running: Addition, action: str, quantity: int
) -> None:
    """Quoted for 4 January, accepted on the 15th: the vendor takes nothing back any more."""
    line = by(running.offer, quantity, action=action, addition=running, unit_price=running.unit_price,
              start_date=date(2026, 1, 4))  # fmt: skip
    version = accepted(world, [line], agreement=Agreement.objects.get(pk=running.agreement_id))
    with pytest.raises(DomainError, match="committed until 31 Dec 2026") as refused:
        convert(version, date(2026, 1, 15))
    assert refused.value.code == "committed"
    running.refresh_from_db()
    assert (running.quantity, running.cancelled_date) == (10, None)
    convert(version, date(2026, 1, 6))  # in time
    running.refresh_from_db()
    assert (running.quantity, running.cancelled_date) in [(9, None), (10, date(2026, 1, 3))]


def test_we_14_a_cancelled_year_gives_back_the_days_that_are_left(world: World, offers: dict[str, Offer]) -> None:
    line = by(offers["yearly"], 1, unit_price=D(1200))
    (agreement,) = convert(accepted(world, [line]), JAN_1).agreements
    addition = agreement.additions.get()
    bill(agreement, type(month(2026, 1))(JAN_1, date(2027, 1, 1)))
    change(world, addition, "cancel", 1, date(2026, 1, 4))
    assert addition.cancelled_date == date(2026, 1, 3)
    assert due(agreement, date(2026, 2, 1)) == [(addition.description, "-1", "-1190.14")]


def test_more_than_there_is_cannot_be_taken_away(world: World, running: Addition) -> None:
    with pytest.raises(DomainError, match=r"there are 10 on 3 Jan 2026; 50 cannot be taken away"):
        change(world, running, "decrease", 50, date(2026, 1, 3))
    running.refresh_from_db()
    assert (running.quantity, running.cancelled_date) == (10, None)


def test_all_taken_away_is_a_cancellation(world: World, running: Addition) -> None:
    change(world, running, "decrease", 10, date(2026, 1, 4))
    assert (running.quantity, running.cancelled_date) == (10, date(2026, 1, 3))


@pytest.mark.parametrize(("action", "start"), [("cancel", JAN_1), ("decrease", JAN_1), ("cancel", date(2025, 12, 20))])
def test_all_taken_away_from_its_first_day_on_was_never_in_force(
    world: World, running: Addition, action: str, start: date
) -> None:
    bill(running.agreement, month(2026, 1))
    change(world, running, action, 10, start)
    assert (running.cancelled_date, running.never_in_force) == (date(2025, 12, 31), True)
    assert due(running.agreement, date(2026, 2, 1)) == [(running.description, "-10", "-231.00")]


def test_a_cancellation_accepted_late_does_not_bill_on_what_has_ended(world: World, running: Addition) -> None:
    cancel_addition(actor=SALES, addition_id=running.pk, on=date(2026, 1, 3))
    change(world, running, "cancel", 10, date(2026, 6, 1))
    assert running.cancelled_date == date(2026, 1, 3)


# -- renewal -----------------------------------------------------------------------------------------------------------


def test_a_renewal_goes_on_for_another_term_at_the_new_price(world: World, running: Addition) -> None:
    """WE-16: the uplift holds from the renewal on."""
    assert renewal_day(running) == date(2027, 1, 1)
    version = change(world, running, "renew", 12, date(2027, 1, 1), unit_price=D("24.26"))
    agreement = fresh(running.agreement)
    assert (running.quantity, running.unit_price, running.committed_through) == (12, D("24.26"), date(2027, 12, 31))
    assert (agreement.end_date, running.cancelled_date) == (date(2027, 12, 31), date(2027, 12, 31))
    assert running.changes.get(origin__version=version).effective_date == date(2027, 1, 1)
    months = due(agreement, date(2027, 2, 1))[-3:]
    assert months == [
        (running.description, "10", "231.00"),
        (running.description, "12", "291.12"),
        (running.description, "12", "291.12"),
    ]


def test_a_renewal_opens_a_window_of_its_own(world: World, running: Addition) -> None:
    change(world, running, "renew", 10, date(2027, 1, 1))
    with pytest.raises(DomainError, match="committed until 31 Dec 2027"):
        change_addition(actor=SALES, addition_id=running.pk, on=date(2027, 1, 9), quantity=D(4))
    with pytest.raises(DomainError, match="committed"):
        cancel_addition(actor=SALES, addition_id=running.pk, on=date(2026, 6, 30))
    change_addition(actor=SALES, addition_id=running.pk, on=date(2027, 1, 8), quantity=D(4))
    cancel_addition(actor=SALES, addition_id=running.pk, on=date(2027, 1, 7))


@pytest.mark.parametrize("by_hand", [False, True])
def test_more_on_the_day_of_a_renewal_leaves_it_a_renewal(world: World, running: Addition, *, by_hand: bool) -> None:
    new_year = date(2027, 1, 1)
    change(world, running, "increase", 10, date(2026, 3, 1))
    renewal = change(world, running, "renew", 12, new_year)
    if by_hand:
        change_addition(actor=SALES, addition_id=running.pk, on=new_year, quantity=D(15))
    else:
        change(world, running, "increase", 3, new_year)
    assert running.changes.get(origin__version=renewal).quantity == 15
    assert term_through(running, new_year) == date(2027, 12, 31)
    with pytest.raises(DomainError, match="is renewed from 1 Jan 2027 on"):
        remove_addition_change(actor=SALES, addition_id=running.pk, on=new_year)
    with pytest.raises(DomainError, match="committed until 31 Dec 2027"):
        change_addition(actor=SALES, addition_id=running.pk, on=date(2027, 1, 9), quantity=D(14))
    change_addition(actor=SALES, addition_id=running.pk, on=date(2027, 1, 8), quantity=D(4))  # not of the 20 before


def test_quotes_that_are_accepted_in_another_order_than_they_take_effect(world: World, running: Addition) -> None:
    change(world, running, "increase", 4, date(2026, 5, 1))
    change(world, running, "renew", 12, date(2027, 1, 1))
    change(world, running, "increase", 3, date(2026, 3, 17))
    assert [(row.effective_date, row.quantity) for row in running.changes.order_by("effective_date")] == [
        (JAN_1, 10),
        (date(2026, 3, 17), 13),
        (date(2026, 5, 1), 17),
        (date(2027, 1, 1), 12),  # as it was signed
    ]
    assert running.quantity == 12


def test_a_renewal_from_the_day_of_an_increase_begins_a_term(world: World, running: Addition) -> None:
    new_year = date(2027, 1, 1)
    Addition.objects.filter(pk=running.pk).update(cancelled_date=None)
    Agreement.objects.filter(pk=running.agreement_id).update(end_date=None)
    more = change(world, running, "increase", 3, new_year)
    renewal = change(world, running, "renew", 12, new_year)
    assert running.changes.get(effective_date=new_year).origin == renewal.lines.get()
    assert running.quantity == 12
    found = lineage_of(running)
    assert found is not None
    assert {version.pk for version in found.versions} >= {more.pk, renewal.pk}
    change_addition(actor=SALES, addition_id=running.pk, on=date(2027, 1, 8), quantity=D(4))


def test_a_month_that_is_renewed_is_committed_again(world: World, offers: dict[str, Offer]) -> None:
    (agreement,) = convert(accepted(world, [by(offers["monthly"], 10)]), JAN_1).agreements
    addition = agreement.additions.get()
    assert (addition.committed_through, renewal_day(addition, date(2026, 5, 4))) == (
        date(2026, 1, 31),
        date(2026, 6, 1),
    )
    change(world, addition, "renew", 8, date(2026, 6, 1), offer=offers["monthly"])
    assert (addition.committed_through, addition.cancelled_date) == (date(2026, 6, 30), None)
    assert fresh(agreement).end_date is None
    with pytest.raises(DomainError, match="committed until 31 Jul 2026"):
        cancel_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 7, 20))
    cancel_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 7, 31))


def test_seats_go_down_at_renewal_alone_where_the_rule_says_so(world: World, offers: dict[str, Offer]) -> None:
    CommitmentRule.objects.update(seats_down="renewal")
    line = by(Offer.objects.get(pk=offers["billed monthly"].pk), 10)
    (agreement,) = convert(accepted(world, [line]), JAN_1).agreements
    addition = agreement.additions.get()
    assert (addition.cancellation_days, addition.seats_down) == (7, "renewal")
    for action, quantity in (("decrease", 1), ("cancel", 10)):
        with pytest.raises(DomainError, match=r"at its renewal alone, from 1 Jan 2027 on, until 7 Jan 2027") as refused:
            change(world, addition, action, quantity, date(2026, 1, 3))
        assert refused.value.code == "committed"
    change(world, addition, "renew", 8, date(2027, 1, 1), offer=line["offer"])
    change(world, addition, "decrease", 2, date(2027, 1, 8))
    assert (addition.quantity, addition.committed_through) == (6, date(2027, 12, 31))
    with pytest.raises(DomainError, match="from 1 Jan 2028 on"):
        change(world, addition, "decrease", 1, date(2027, 1, 9))


def test_what_is_not_renewed_ends_when_it_would_have(world: World, running: Addition) -> None:
    agreement = running.agreement
    other = add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(world.lease.pk))
    change(world, running, "renew", 10, date(2027, 1, 1))
    other.refresh_from_db()
    assert (other.cancelled_date, fresh(agreement).end_date) == (date(2026, 12, 31), date(2027, 12, 31))


@pytest.mark.parametrize(
    ("on", "said"), [(date(2026, 12, 1), "has a term until 31 Dec 2026"), (date(2027, 2, 1), "there would be a gap")]
)
def test_a_renewal_follows_its_term(world: World, running: Addition, on: date, said: str) -> None:
    with pytest.raises(DomainError, match=said):
        change(world, running, "renew", 10, on)


def test_a_renewal_billed_differently_goes_on_with_another_agreement(
    world: World, running: Addition, offers: dict[str, Offer]
) -> None:
    version = change(world, running, "renew", 12, date(2027, 1, 1), offer=offers["three prepaid"])
    after = Addition.objects.get(origin__version=version)
    assert after.agreement != running.agreement
    assert (after.agreement.billing_cycle, after.effective_date) == ("year:3", date(2027, 1, 1))
    assert (after.quantity, after.committed_through) == (12, date(2029, 12, 31))
    assert fresh(running.agreement).end_date == date(2026, 12, 31)


def test_a_renewal_may_be_aligned(world: World, running: Addition) -> None:
    change(world, running, "renew", 10, date(2027, 1, 1), start_policy="aligned", align_to=date(2027, 4, 1))
    assert (running.committed_through, fresh(running.agreement).end_date) == (date(2027, 3, 31), date(2027, 3, 31))
    assert date(2027, 3, 31) > TODAY
