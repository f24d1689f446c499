"""What of prepaid work lapses unused is earned as breakage: never twice, never more than is deferred."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.trade import NOW, D, journal_of, transfer
from tests.usage.world import engineer, time
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.accounting.invoice_checks import deferred_revenue_is_not_overdrawn
from counterfoil.accounting.verification import verify
from counterfoil.agreements.commands import cancel_agreement, create_agreement, create_agreement_type
from counterfoil.agreements.models import Agreement
from counterfoil.billing.breakage import Prepaid, agreements_giving_back, earn_lapsed, prepaid
from counterfoil.billing.commands import (
    bill_charges,
    close_invoice,
    invoice_agreement,
    reverse_invoice,
    update_billing_settings,
)
from counterfoil.billing.credits import CreditLine, credit_invoice, reissue_invoice
from counterfoil.billing.models import Invoice, RunMode
from counterfoil.core.errors import DomainError
from counterfoil.core.money import sum_money
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.platform.identity import Role

pytestmark = pytest.mark.django_db
JAN_1, JAN_31, FEB_1, MAR_1, APR_1 = (date(2026, *day) for day in ((1, 1), (1, 31), (2, 1), (3, 1), (4, 1)))


@pytest.fixture
def world() -> World:
    world = build_world()
    engineer()
    return world


def block(world: World, **terms: Any) -> Agreement:
    """Ten hours a month, prepaid with 900.00 each month, from January."""
    kind = create_agreement_type(actor=SALES, name=f"Block {Agreement.objects.count()}", prepayment=True)
    given = {
        "billing_amount": D("900"), "application_units": "hours", "application_limit": D("10"), "covers_time": True,
    } | terms  # fmt: skip
    return create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=kind.pk, name="Hours", start_date=JAN_1, **given
    )  # type: ignore[arg-type]


def bill(agreement: Agreement, months: int = 1) -> None:
    for _ in range(months):
        draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
        close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def worked(world: World, agreement: Agreement, hours: str, on: date, *, billed: bool = True) -> None:
    time(world.acme, on, hours, agreement)
    if billed:
        bill_work(on)


def bill_work(through: date) -> None:
    for draft in bill_charges(actor=FINANCE, through=through, on=through).invoices:
        close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def stands(agreement: Agreement, on: date) -> Prepaid:
    (row,) = prepaid(on=on, agreement_ids=[agreement.pk])
    return row


def figures(agreement: Agreement, on: date) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Earned by work, given up, deferred, and what of it lapsed."""
    row = stands(agreement, on)
    return row.earned, row.given_up, row.deferred, row.amount


def earn(on: date) -> list[Invoice]:
    return earn_lapsed(actor=FINANCE, on=on, now=NOW)


def test_what_is_not_used_of_a_month_lapses_with_it_and_is_earned(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    worked(world, agreement, "4", date(2026, 1, 20))
    assert figures(agreement, JAN_31) == (360, 0, 540, 0)
    assert earn(JAN_31) == []
    (lapsed,) = stands(agreement, FEB_1).lapsed
    assert (lapsed.label, lapsed.on, lapsed.granted, lapsed.unused, lapsed.value) == ("Jan 2026", FEB_1, 10, 6, 900)
    (invoice,) = earn(FEB_1)
    (line,) = invoice.lines.all()
    assert (invoice.status, invoice.total, line.released_amount, line.hidden) == ("closed", 0, 540, True)
    assert line.explanation == "6 of 10 not used by 31 Jan 2026: 540.00 of 900.00"
    assert figures(agreement, FEB_1) == (360, 540, 0, 0)
    assert earn(FEB_1) == earn(MAR_1) == []


def test_it_is_booked_from_deferred_revenue_to_revenue_and_the_books_hold(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    (invoice,) = earn(FEB_1)
    transfer(MAR_1)
    (deferred, revenue) = journal_of("invoice", invoice.pk)
    assert deferred == ("01 Feb", "2400", "900.00", "0.00")
    assert (revenue[0], revenue[1][0], *revenue[2:]) == ("01 Feb", "4", "0.00", "900.00")
    assert [check.name for check in verify() if not check.ok] == []


@pytest.mark.parametrize(("days", "lapses"), [(0, FEB_1), (28, MAR_1), (None, None)])
def test_what_is_carried_over_lapses_later_or_with_the_agreement(
    world: World, days: int | None, lapses: date | None
) -> None:
    agreement = block(world, carry_over=True, carry_over_days=days)
    bill(agreement)
    for on in (JAN_31, FEB_1, date(2026, 2, 28), MAR_1, date(2026, 12, 31)):
        assert stands(agreement, on).amount == (900 if lapses is not None and on >= lapses else 0)
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=JAN_31, reason="sold")
    assert stands(agreement, FEB_1).amount == 900


def test_a_one_time_block_lapses_with_its_agreement(world: World) -> None:
    agreement = block(
        world, bill_one_time=True, application_one_time=True, application_limit=D("3"), billing_amount=D("100"),
        end_date=date(2026, 3, 31),
    )  # fmt: skip
    bill(agreement)
    worked(world, agreement, "1", date(2026, 1, 20))
    assert figures(agreement, date(2026, 3, 31)) == (D("33.33"), 0, D("66.67"), 0)
    earn(APR_1)
    assert figures(agreement, APR_1) == (D("33.33"), D("66.67"), 0, 0)


def test_work_done_in_time_and_not_billed_yet_still_earns_its_share(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    worked(world, agreement, "4", date(2026, 1, 20), billed=False)
    earn(FEB_1)
    assert figures(agreement, FEB_1) == (0, 540, 360, 0)
    bill_work(FEB_1)
    assert figures(agreement, FEB_1) == (360, 540, 0, 0)


def test_work_entered_after_it_lapsed_earns_nothing_twice(world: World) -> None:
    agreement = block(world)
    bill(agreement, 2)
    earn(FEB_1)
    worked(world, agreement, "4", date(2026, 1, 20))
    assert figures(agreement, FEB_1) == (0, 900, 900, 0)
    worked(world, agreement, "5", date(2026, 2, 10))
    assert figures(agreement, FEB_1) == (450, 900, 450, 0)
    earn(MAR_1)
    assert figures(agreement, MAR_1) == (450, 1350, 0, 0)


def test_what_is_reversed_can_be_earned_again(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    (invoice,) = earn(FEB_1)
    reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=FEB_1, reason="Too early", now=NOW)
    assert figures(agreement, FEB_1) == (0, 0, 900, 900)
    assert len(earn(FEB_1)) == 1


def test_what_is_not_billed_or_only_a_draft_is_not_deferred_yet(world: World) -> None:
    agreement = block(world)
    assert prepaid(on=FEB_1) == []
    invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert (prepaid(on=FEB_1), earn(FEB_1)) == ([], [])


def run(through: date, on: date, mode: RunMode = RunMode.DRAFT) -> None:
    """A billing run on a day."""
    work(start_billing_run(actor=FINANCE, through=through, mode=mode, now=datetime.combine(on, NOW.timetz())).pk)


def test_a_billing_run_earns_it_where_it_is_set_to(world: World) -> None:
    agreement = block(world, bill_one_time=True)
    bill(agreement)
    run(MAR_1, MAR_1)
    assert stands(agreement, MAR_1).given_up == 0
    update_billing_settings(actor=FINANCE, earn_lapsed=True)
    run(APR_1, date(2026, 1, 15))
    assert stands(agreement, MAR_1).given_up == 0  # it has not lapsed on the day of the run
    run(APR_1, MAR_1)
    assert stands(agreement, MAR_1).given_up == 900


def test_finance_alone_earns_it(world: World) -> None:
    with pytest.raises(DomainError) as refused:
        earn_lapsed(actor=SALES, on=FEB_1, now=NOW)
    assert refused.value.code == "role_required"
    assert Role.FINANCE in earn_lapsed.roles  # type: ignore[attr-defined]


HOURS = st.lists(st.tuples(st.integers(1, 75), st.sampled_from(["1", "2.5", "3.3", "7"]), st.booleans()), max_size=4)


@given(amount=st.sampled_from(["100", "1000.01", "0.05"]), cycle=st.sampled_from(["month:1", "month:3"]), days=HOURS)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_that_was_billed_ahead_is_earned_in_the_end_and_never_more(
    world: World, amount: str, cycle: str, days: list[tuple[int, str, bool]]
) -> None:
    with transaction.atomic():
        agreement = block(
            world, billing_amount=D(amount), billing_cycle=cycle, application_limit=D("7"), end_date=date(2026, 3, 31)
        )
        bill(agreement, 3 if cycle == "month:1" else 1)
        for day, hours, late in sorted(days):
            on = JAN_1 + timedelta(days=day)
            worked(world, agreement, hours, on - timedelta(days=30 if late and day > 30 else 0))
            earn(on)
            row = stands(agreement, on)
            assert 0 <= row.deferred <= row.billed
        bill_work(APR_1)
        earn(APR_1)
        row = stands(agreement, APR_1)
        assert (row.deferred, row.amount) == (0, 0)
        assert sum_money([row.earned, row.given_up]) == row.billed
        transaction.set_rollback(True)


# -- what is credited after it was earned ------------------------------------------------------------------------------


def paid(agreement: Agreement) -> Invoice:
    """The block's own invoice that stands."""
    return Invoice.objects.get(agreement=agreement, type="agreement", reversed_by=None, status="closed")


def credit(invoice: Invoice, amount: str | None = None) -> Invoice:
    """A closed credit memo of the block's line, whole without an amount."""
    line = CreditLine(invoice.lines.get(deferred=True).pk, amount=None if amount is None else D(amount))
    memo = credit_invoice(actor=FINANCE, invoice_id=invoice.pk, on=FEB_1, reason="Goodwill", lines=[line])
    return close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)


def reverse(invoice: Invoice) -> Invoice:
    return reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=FEB_1, reason="Wrong", now=NOW)


def is_within(agreement: Agreement) -> None:
    """What is earned of an agreement is never less than nothing nor more than was billed ahead."""
    rows = prepaid(on=MAR_1, agreement_ids=[agreement.pk])
    for row in rows:
        assert (row.earned >= 0, row.given_up >= 0, row.deferred >= 0, row.amount >= 0) == (True,) * 4, row
    assert not deferred_revenue_is_not_overdrawn().details


@pytest.mark.parametrize("whole", [credit, reverse])
def test_a_block_is_credited_after_its_breakage_was_earned_and_revenue_goes_back_with_it(
    world: World, whole: Callable[[Invoice], Invoice]
) -> None:
    """Four of ten hours were worked and six lapsed: all 900.00 is earned when the customer is given them back."""
    agreement = block(world)
    bill(agreement)
    worked(world, agreement, "4", date(2026, 1, 20))
    earn(FEB_1)
    assert figures(agreement, FEB_1) == (360, 540, 0, 0)
    memo = whole(paid(agreement))
    (line,) = memo.lines.filter(deferred=False)
    assert (line.hidden, line.amount, line.released_amount) == (True, 0, -900)
    assert line.description == f"Taken back of what was earned of {agreement.number}"
    assert (memo.total, figures(agreement, FEB_1)) == (-900, (0, 0, 0, 0))
    transfer(MAR_1)
    booked = {(account[0], debit, credit) for _, account, debit, credit in journal_of("invoice", memo.pk)}
    assert booked == {
        ("1", "0.00", "900.00"), ("2", "900.00", "0.00"), ("2", "0.00", "900.00"), ("4", "900.00", "0.00"),
    }  # fmt: skip
    assert [check.name for check in verify() if not check.ok] == []


@pytest.mark.parametrize(
    ("hours", "lapsed", "credited", "taken", "then"),
    [
        ("4", False, "450", "-180", (180, 0, 270, 270)),  # 10 hours for 450.00, of which 4 are worked
        ("4", True, "450", "-450", (0, 450, 0, 0)),
        ("4", True, "100", "-100", (260, 540, 0, 0)),
        ("10", False, "450", "-450", (450, 0, 0, 0)),
        (None, False, "450", None, (0, 0, 450, 450)),
        (None, True, "450", "-450", (0, 450, 0, 0)),
    ],
)
def test_a_credit_in_part_takes_back_what_of_it_was_earned(
    world: World, hours: str | None, lapsed: bool, credited: str, taken: str | None, then: tuple[int, ...]
) -> None:
    agreement = block(world)
    bill(agreement)
    if hours is not None:
        worked(world, agreement, hours, date(2026, 1, 20))
    if lapsed:
        earn(FEB_1)
    memo = credit(paid(agreement), credited)
    assert [line.released_amount for line in memo.lines.filter(deferred=False)] == ([] if taken is None else [D(taken)])
    assert figures(agreement, FEB_1) == then
    is_within(agreement)


def test_what_was_taken_back_is_earned_again_with_the_reissue(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    worked(world, agreement, "4", date(2026, 1, 20))
    earn(FEB_1)
    first = paid(agreement)
    reverse(first)
    again = reissue_invoice(actor=FINANCE, invoice_id=first.pk, on=FEB_1)
    again = close_invoice(actor=FINANCE, invoice_id=again.pk, now=NOW)
    (line,) = again.lines.filter(deferred=False)
    assert (line.hidden, line.released_amount, line.description) == (True, 900, f"Earned again of {agreement.number}")
    assert figures(agreement, FEB_1) == (360, 540, 0, 0)


def test_breakage_that_is_reversed_after_the_block_was_credited_takes_nothing_twice(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    (breakage,) = earn(FEB_1)
    credit(paid(agreement))
    memo = reverse(breakage)
    assert sum_money(line.released_amount for line in memo.lines.all()) == 0
    assert figures(agreement, FEB_1) == (0, 0, 0, 0)
    assert earn(FEB_1) == []


def test_a_draft_credit_memo_that_waited_for_the_breakage_takes_it_back_as_it_is_closed(world: World) -> None:
    agreement = block(world)
    bill(agreement)
    memo = credit_invoice(actor=FINANCE, invoice_id=paid(agreement).pk, on=FEB_1, reason="Goodwill")
    earn(FEB_1)
    close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)
    assert sum_money(line.released_amount for line in memo.lines.all()) == -900
    is_within(agreement)


def test_a_credit_of_one_month_leaves_the_other_deferred(world: World) -> None:
    agreement = block(world)
    bill(agreement, 2)
    earn(FEB_1)
    january = Invoice.objects.get(agreement=agreement, period_start=JAN_1)
    credit(january)
    assert figures(agreement, FEB_1) == (0, 0, 900, 0)
    earn(MAR_1)
    assert figures(agreement, MAR_1) == (0, 900, 0, 0)


@pytest.mark.parametrize("mode", list(RunMode))
def test_an_agreement_that_is_cancelled_within_what_was_earned_is_worth_what_is_left_of_it(
    world: World, mode: RunMode
) -> None:
    """900.00 were billed for a quarter and two months had lapsed when it ends after half a month: 150.00 stay.

    Whatever the run does with the others, its credit memo is a draft: it is closed by somebody who looks at it.
    """
    agreement = block(world, billing_cycle="month:3")
    bill(agreement)
    earn(MAR_1)
    assert figures(agreement, MAR_1) == (0, 590, 310, 0)
    assert agreements_giving_back([agreement.pk]) == []
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 1, 15), reason="sold")
    assert agreements_giving_back([agreement.pk]) == [agreement.pk]
    run(MAR_1, MAR_1, mode)
    memo = Invoice.objects.get(type="credit_memo")
    close_invoice(actor=FINANCE, invoice_id=memo.pk, now=NOW)
    assert [(line.amount, line.released_amount) for line in memo.lines.order_by("position")] == [(-750, 0), (0, -440)]
    assert figures(agreement, MAR_1) == (0, 150, 0, 0)
    is_within(agreement)


def test_what_was_billed_for_days_after_the_end_lapses_with_the_last_period(world: World) -> None:
    """Nothing is given back: all that was billed is earned in the end."""
    agreement = block(world, credits="none")
    bill(agreement, 3)
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 2, 15), reason="sold")
    assert stands(agreement, MAR_1).amount == 2700
    earn(MAR_1)
    assert figures(agreement, MAR_1) == (0, 2700, 0, 0)


DEEDS = st.lists(
    st.sampled_from(["bill", "work", "bill work", "earn", "credit", "credit part", "reverse", "reissue"]),
    min_size=4,
    max_size=9,
)


@given(deeds=DEEDS, which=st.lists(st.integers(0, 5), min_size=9, max_size=9))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate]
)
def test_in_whatever_order_the_books_hold(world: World, deeds: list[str], which: list[int]) -> None:
    with transaction.atomic():
        agreement = block(world, billing_amount=D("100"), application_limit=D("7"))
        bill(agreement)
        for deed, index in zip(deeds, which, strict=False):
            with contextlib.suppress(DomainError):  # what is refused changes nothing
                do(deed, index, world, agreement)
            is_within(agreement)
        transaction.set_rollback(True)


def do(deed: str, index: int, world: World, agreement: Agreement) -> None:
    closed = Invoice.objects.filter(status="closed").exclude(type="credit_memo").order_by("pk")
    if deed.startswith("credit"):
        closed = closed.filter(type="agreement")
    chosen = closed[index % len(closed)]
    if deed == "bill":
        bill(agreement)
    elif deed == "work":
        worked(world, agreement, "2.5", date(2026, 1, 10 + index), billed=index > 2)
    elif deed == "bill work":
        bill_work(FEB_1)
    elif deed == "earn":
        earn(FEB_1)
    elif deed == "credit":
        credit(chosen)
    elif deed == "credit part":
        credit(chosen, "33.33")
    elif deed == "reverse":
        reverse(chosen)
    else:
        again = reissue_invoice(actor=FINANCE, invoice_id=chosen.pk, on=FEB_1)
        close_invoice(actor=FINANCE, invoice_id=again.pk, now=NOW)
