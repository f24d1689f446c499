"""Quotes about what a customer has: renewals, changes and co-terms; drafted, accepted, and done."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from tests.accepted import accepted, by, convert, m365
from tests.agreements.records import bill, due, fresh, month
from tests.world import SALES, World

from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.agreements.queries import quantity_on
from counterfoil.catalog.models import CommitmentRule, Offer
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money
from counterfoil.flows.renewals import (
    ChangeInput,
    align_line,
    coterm_proposal,
    propose_change,
    propose_coterm,
    propose_renewal,
)
from counterfoil.quotes.commands import create_quote, send_quote, withdraw_quote
from counterfoil.quotes.line_changes import update_version_line
from counterfoil.quotes.lines import NewLine, add_version_lines
from counterfoil.quotes.models import Quote, QuoteLine, QuoteVersion

pytestmark = pytest.mark.django_db
D = Decimal
JAN_1, NEXT = date(2026, 1, 1), date(2027, 1, 1)
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
NOVEMBER = date(2026, 11, 20)


@pytest.fixture
def offers(world: World) -> dict[str, Offer]:
    return m365(world)


@pytest.fixture
def running(world: World, offers: dict[str, Offer]) -> Addition:
    """Ten licences at 23.10 a month for the year 2026."""
    (agreement,) = convert(accepted(world, [by(offers["billed monthly"], 10)]), JAN_1).agreements
    return agreement.additions.get()


def lines_of(quote: Quote) -> list[QuoteLine]:
    return list(quote.versions.get().lines.order_by("position"))


def agree(quote: Quote, on: date) -> None:
    """The customer takes all of it, on a day; how an acceptance is recorded is another matter."""
    version = quote.versions.get()
    send_quote(actor=SALES, version_id=version.pk, on=on, now=NOW)
    QuoteLine.objects.filter(version=version).update(opportunity=quote.opportunity)
    QuoteVersion.objects.filter(pk=version.pk).update(status="accepted")
    convert(version, on)


# -- renewal -----------------------------------------------------------------------------------------------------------


def test_a_renewal_is_quoted_with_todays_quantities_and_prices(
    world: World, offers: dict[str, Offer], running: Addition
) -> None:
    """WE-16: the price went up on the way; it holds from the renewal on."""
    Offer.objects.filter(pk=offers["billed monthly"].pk).update(price=D("24.26"), cost=D("19.85"))
    quote = propose_renewal(actor=SALES, agreement_id=running.agreement_id, on=NOVEMBER)
    (line,) = lines_of(quote)
    assert (quote.kind, quote.agreement, quote.opportunity.company) == ("renewal", running.agreement, world.acme)  # type: ignore[union-attr]
    assert quote.name == f"Renewal of {running.agreement.number}, 31 Dec 2026"
    assert (line.action, line.addition, line.start_date, line.term) == ("renew", running, NEXT, "year:1")
    assert (line.quantity, line.unit_price, line.unit_cost) == (10, D("24.26"), D("19.85"))

    agree(quote, NOVEMBER)
    running.refresh_from_db()
    assert (running.committed_through, running.unit_price) == (date(2027, 12, 31), D("24.26"))
    assert due(running.agreement, NEXT)[-1] == (running.description, "10", "242.60")
    assert due(running.agreement, date(2026, 12, 1))[-1] == (running.description, "10", "231.00")


def test_only_one_renewal_quote_is_under_way(running: Addition) -> None:
    first = propose_renewal(actor=SALES, addition_ids=[running.pk], on=NOVEMBER)
    with pytest.raises(DomainError, match=f"renewal quote {first.number} already") as refused:
        propose_renewal(actor=SALES, agreement_id=running.agreement_id, on=NOVEMBER)
    assert refused.value.code == "duplicate"
    withdraw_quote(actor=SALES, version_id=first.versions.get().pk, now=NOW)
    assert propose_renewal(actor=SALES, agreement_id=running.agreement_id, on=NOVEMBER).pk != first.pk


def test_a_lease_without_an_offer_is_renewed_for_as_many_cycles(world: World) -> None:
    lease = AdditionInput(world.lease.pk, D(1), D(140))
    agreement = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Lease", start_date=JAN_1,
        end_date=date(2028, 12, 31), additions=[lease],
    )  # fmt: skip
    (line,) = lines_of(propose_renewal(actor=SALES, agreement_id=agreement.pk, on=NOVEMBER))
    assert (line.cycles, line.start_date, line.unit_price) == (36, date(2029, 1, 1), D(150))


@pytest.mark.parametrize("named", ["agreement", "addition", "nothing"])
def test_what_goes_on_by_itself_needs_no_renewal(world: World, offers: dict[str, Offer], named: str) -> None:
    (agreement,) = convert(accepted(world, [by(offers["monthly"], 3, term="")]), JAN_1).agreements
    what: dict[str, Any] = {
        "agreement": {"agreement_id": agreement.pk},
        "addition": {"addition_ids": [agreement.additions.get().pk]},
        "nothing": {},
    }[named]
    with pytest.raises(DomainError) as refused:
        propose_renewal(actor=SALES, on=NOVEMBER, **what)
    assert refused.value.code == ("invalid" if named == "addition" else "required")


def test_a_quote_is_for_one_customer(world: World, offers: dict[str, Offer], running: Addition) -> None:
    (theirs,) = convert(accepted(world, [by(offers["three"])], company=world.globex), JAN_1).agreements
    with pytest.raises(DomainError, match="one customer"):
        propose_renewal(actor=SALES, addition_ids=[running.pk, theirs.additions.get().pk], on=NOVEMBER)


# -- change ------------------------------------------------------------------------------------------------------------


def changed(running: Addition, kind: Any, start: date, quantity: int | None = None, **more: Any) -> Quote:
    change = ChangeInput(running.pk, kind, None if quantity is None else D(quantity), **more)
    return propose_change(
        actor=SALES, agreement_id=running.agreement_id, changes=[change], start_date=start, on=date(2026, 1, 2)
    )


def test_more_seats_are_quoted_with_the_part_of_their_first_period_that_is_billed(running: Addition) -> None:
    """WE-8, WE-14: two more on 17 March, at the price there is, up to the end of the term."""
    bill(running.agreement, month(2026, 1), month(2026, 2), month(2026, 3))
    quote = changed(running, "increase", date(2026, 3, 17), 2)
    (line,) = lines_of(quote)
    assert (quote.kind, line.action, line.quantity, line.unit_price) == ("change", "increase", 2, D("23.10"))
    assert (line.align_to, line.cycles, line.first_amount) == (NEXT, 10, D("22.35"))
    assert "2 × 23.10 × 15 of 31 days (17–31 Mar 2026) = 22.35" in line.explanation

    agree(quote, date(2026, 1, 20))
    assert due(running.agreement, date(2026, 4, 1))[0] == (running.description, "2", f"{line.first_amount:.2f}")


def test_we_14_fewer_seats_are_quoted_within_the_window_alone(running: Addition) -> None:
    (line,) = lines_of(changed(running, "decrease", date(2026, 1, 4), 4))
    assert (line.action, line.quantity, line.first_amount) == ("decrease", 4, D("83.46"))  # 92.40 × 28/31
    for kind, quantity in (("decrease", 4), ("cancel", None)):
        with pytest.raises(DomainError, match="committed until 31 Dec 2026") as refused:
            changed(running, kind, date(2026, 1, 9), quantity)
        assert refused.value.code == "committed"


def test_a_swap_ends_the_old_and_begins_the_new_on_one_day(running: Addition, offers: dict[str, Offer]) -> None:
    quote = changed(running, "swap", date(2026, 1, 5), offer_id=offers["three"].pk)
    old, new = lines_of(quote)
    assert (old.action, old.quantity, new.action, new.quantity) == ("cancel", 10, "new", 10)
    agree(quote, date(2026, 1, 3))
    running.refresh_from_db()
    after = Addition.objects.get(origin=new)
    assert (running.cancelled_date, after.effective_date) == (date(2026, 1, 4), date(2026, 1, 5))
    assert (after.unit_price, after.committed_through) == (D(22), date(2029, 1, 4))


@pytest.mark.parametrize("day", [1, 2, 5, 7])
def test_a_swap_bills_the_old_through_the_day_before_and_the_new_from_the_day_on(
    running: Addition, offers: dict[str, Offer], day: int
) -> None:
    """Every day has ten of the one or ten of the other; on its own first day the old was never in force."""
    start = date(2026, 1, day)
    quote = changed(running, "swap", start, offer_id=offers["three"].pk)
    agree(quote, JAN_1)
    running.refresh_from_db()
    new = Addition.objects.exclude(pk=running.pk).get()
    assert running.never_in_force is (day == 1)
    for on in (JAN_1 + timedelta(days=n) for n in range(60)):
        assert [quantity_on(addition, on) for addition in (running, new)] == ([10, 0] if on < start else [0, 10])
    old = [(running.description, "10", str(round_money(Fraction(231 * (day - 1), 31))))] if day > 1 else []
    assert due(running.agreement, JAN_1) == old
    assert due(new.agreement, start) == [(new.description, "10", "220.00")]


@pytest.mark.parametrize(
    ("kind", "quantity", "code"),
    [
        ("increase", None, "required"),
        ("decrease", 10, "invalid"),
        ("decrease", None, "invalid"),
        ("swap", 1, "required"),
    ],
)
def test_a_change_that_says_too_little_is_refused(running: Addition, kind: str, quantity: int, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        changed(running, kind, date(2026, 1, 3), quantity)
    assert refused.value.code == code


def test_where_seats_go_down_at_renewal_alone_fewer_are_not_quoted_before(
    running: Addition, offers: dict[str, Offer]
) -> None:
    Addition.objects.filter(pk=running.pk).update(seats_down="renewal")
    for kind, quantity in (("decrease", 1), ("cancel", None)):
        with pytest.raises(DomainError, match="renewal alone, from 1 Jan 2027 on") as refused:
            changed(running, kind, date(2026, 1, 3), quantity)
        assert refused.value.code == "committed"
    with pytest.raises(DomainError, match="renewal alone"):
        changed(running, "swap", date(2026, 1, 3), offer_id=offers["three"].pk)
    changed(running, "increase", date(2026, 1, 3), 2)


def test_month_to_month_is_renewed_from_the_next_month_on(world: World, offers: dict[str, Offer]) -> None:
    (agreement,) = convert(accepted(world, [by(offers["monthly"], 3)]), JAN_1).agreements
    (line,) = lines_of(propose_renewal(actor=SALES, agreement_id=agreement.pk, on=NOVEMBER))
    assert (line.start_date, line.quantity) == (date(2026, 12, 1), 3)


# -- co-term -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def four(world: World) -> list[Addition]:
    """Four yearly subscriptions of Acme at 365.00 that renew on 15 Mar, 1 Jun, 22 Aug and 3 Nov 2026 (WE-15)."""
    made = []
    for start in (date(2025, 3, 15), date(2025, 6, 1), date(2025, 8, 22), date(2025, 11, 3)):
        end = date(start.year + 1, start.month, start.day)
        addition = AdditionInput(
            world.lease.pk,
            D(1),
            D(365),
            description=f"From {start}",
            committed_through=date.fromordinal(end.toordinal() - 1),
        )
        agreement = create_agreement(
            actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Licence", start_date=start,
            billing_cycle="year:1", additions=[addition],
        )  # fmt: skip
        made.append(agreement.additions.get())
    return made


def test_we_15_four_subscriptions_are_brought_to_1_january(four: list[Addition]) -> None:
    ids = [addition.pk for addition in four]
    proposal = coterm_proposal(addition_ids=ids, on=NOVEMBER, month=1)
    assert (proposal.end, proposal.total) == (NEXT, D("697.00"))

    quote = propose_coterm(actor=SALES, on=date(2026, 2, 1), addition_ids=ids, month=1)
    rows = [(line.action, line.start_date, line.align_to, line.first_amount) for line in lines_of(quote)]
    assert rows == [
        ("renew", date(2026, 3, 15), NEXT, D("292.00")),
        ("renew", date(2026, 6, 1), NEXT, D("214.00")),
        ("renew", date(2026, 8, 22), NEXT, D("132.00")),
        ("renew", date(2026, 11, 3), NEXT, D("59.00")),
    ]
    assert (quote.kind, quote.name, quote.agreement) == ("coterm", "One anniversary: 1 Jan 2027", None)

    agree(quote, date(2026, 2, 1))
    for addition, (_, start, _, amount) in zip(four, rows, strict=True):
        addition.refresh_from_db()
        assert addition.cancelled_date == date(2026, 12, 31)
        assert due(addition.agreement, date(2030, 1, 1))[-1][2] == f"{amount:.2f}", start


def test_nobody_is_cut_short(four: list[Addition]) -> None:
    with pytest.raises(DomainError, match="runs until 2 Nov 2026"):
        propose_coterm(
            actor=SALES, on=date(2026, 2, 1), addition_ids=[addition.pk for addition in four], end=date(2026, 8, 22)
        )


def test_what_ends_together_already_needs_no_quote(four: list[Addition]) -> None:
    with pytest.raises(DomainError, match="end then already"):
        propose_coterm(actor=SALES, on=date(2026, 2, 1), addition_ids=[four[0].pk])


# -- an anniversary for a line -----------------------------------------------------------------------------------------


def drafted(world: World, offer: Offer, agreement: Agreement | None = None) -> QuoteLine:
    quote = create_quote(
        actor=SALES, name="More", on=date(2026, 3, 1), company_id=world.acme.pk,
        agreement_id=agreement.pk if agreement else None,
    )  # fmt: skip
    (line,) = add_version_lines(
        actor=SALES, version_id=quote.versions.get().pk, on=date(2026, 3, 1),
        lines=[NewLine(offer.product_id, D(2), offer_id=offer.pk)],
    )  # fmt: skip
    return line


def test_a_line_is_aligned_to_an_addition_by_the_periods_of_its_agreement(
    world: World, offers: dict[str, Offer], running: Addition
) -> None:
    line = drafted(world, offers["billed monthly"], running.agreement)
    line = align_line(actor=SALES, line_id=line.pk, addition_id=running.pk, on=date(2026, 3, 17))
    assert (line.align_to, line.start_date, line.first_amount) == (NEXT, date(2026, 3, 17), D("22.35"))
    assert line.version is not None
    agree(line.version.quote, date(2026, 3, 17))
    addition = Addition.objects.get(origin=line)
    assert addition.agreement == running.agreement
    assert ("2", "22.35") in [row[1:] for row in due(fresh(addition.agreement), date(2026, 3, 31))]


def test_an_annual_line_is_not_aligned_to_a_monthly_one(world: World, offers: dict[str, Offer]) -> None:
    (agreement,) = convert(accepted(world, [by(offers["monthly"], 3)]), JAN_1).agreements
    line = drafted(world, offers["yearly"])
    monthly = agreement.additions.get()
    Addition.objects.filter(pk=monthly.pk).update(committed_through=date(2026, 6, 30))
    with pytest.raises(DomainError, match="bought by the month"):
        align_line(actor=SALES, line_id=line.pk, addition_id=monthly.pk, on=date(2026, 3, 17))
    with pytest.raises(DomainError, match="With what"):
        align_line(actor=SALES, line_id=line.pk, on=date(2026, 3, 17))
    line = align_line(actor=SALES, line_id=line.pk, end=date(2026, 7, 1), on=date(2026, 3, 17))
    assert (line.align_to, line.start_policy) == (date(2026, 7, 1), "aligned")


def test_what_may_have_no_coterm_is_not_aligned(world: World, offers: dict[str, Offer]) -> None:
    line = drafted(world, offers["yearly"])
    CommitmentRule.objects.update(may_coterm=False)
    with pytest.raises(DomainError, match="does not allow a co-term"):
        update_version_line(actor=SALES, line_id=line.pk, align_to=date(2026, 7, 1), on=date(2026, 3, 2))
