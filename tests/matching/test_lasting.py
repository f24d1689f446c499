"""What goes on when the other side has ended, and drafts that are older than what they bill."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from tests.accepted import accepted, by, convert, monthly_m365
from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.agreements.commands import cancel_addition, renew_agreement, uncancel_addition, update_agreement
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.billing.agreement_invoices import invoice_agreement
from counterfoil.billing.closing import close_invoice
from counterfoil.billing.commands import delete_draft_invoice
from counterfoil.billing.models import Invoice
from counterfoil.billing.special import update_invoice_line
from counterfoil.catalog.models import Offer
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.matching.commands import match_changed, match_everything, override_exception, set_hold_rule
from counterfoil.matching.leaks import Dollars, leaks_by
from counterfoil.matching.queries import exceptions
from counterfoil.procurement.commands import PurchaseLine, create_purchase_order, send_purchase_order
from counterfoil.procurement.models import PurchaseOrder
from counterfoil.procurement.queries import demand, demand_count

pytestmark = pytest.mark.django_db
D = Decimal
JAN_1, NEXT_YEAR = date(2026, 1, 1), date(2027, 1, 1)
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
def offer(world: World) -> Offer:
    """A year at 23.10 a month, for a cost of 18.90, which the customer may leave at any time."""
    return monthly_m365(world)


@pytest.fixture
def running(world: World, offer: Offer) -> Addition:
    """Ten for the year 2026, bought for that year."""
    (agreement,) = convert(accepted(world, [by(offer, 10)]), JAN_1).agreements
    buy(world)
    return agreement.additions.get()


def buy(world: World, *, on: date = JAN_1) -> PurchaseOrder:
    """All that is to be bought, ordered and sent."""
    lines = [PurchaseLine(addition_id=row.addition_id, origin_id=row.origin_id) for row in demand(on=on)]
    order = create_purchase_order(actor=PROCUREMENT, vendor_id=world.ingram.pk, order_date=on, lines=lines)
    return send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)


def accept(world: World, running: Addition, action: str, quantity: int, start: date, on: date = JAN_1) -> None:
    """The customer accepts a change quote."""
    line = by(running.offer, quantity, action=action, addition=running, start_date=start)  # type: ignore[arg-type]
    convert(accepted(world, [line], agreement=Agreement.objects.get(pk=running.agreement_id)), on)
    running.refresh_from_db()


def bill(agreement: Agreement, months: int = 1) -> Invoice:
    """The next months, each closed; the last of them."""
    for _ in range(months):
        invoice = draft(agreement)
        close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
    return invoice


def draft(agreement: Agreement) -> Invoice:
    return invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)


def found() -> list[tuple[str, str, str, str, str]]:
    """What is open: as found when it changed, and as found by looking at everything."""
    match_changed(actor=FINANCE, now=NOW)
    rows = [
        (row.code, row.actual_leg, row.expected, row.actual, format_money(row.over_term))
        for row in exceptions(status="open")
    ]
    assert match_everything(actor=FINANCE, now=NOW).opened == 0
    return rows


def test_a_draft_from_before_the_customer_left_is_held(world: World, running: Addition) -> None:
    bill(running.agreement, 2)
    march = draft(running.agreement)
    accept(world, running, "cancel", 10, date(2026, 3, 11))
    left = ("end_date", "purchase", "10 Mar 2026", "31 Dec 2026", "1,839.25")  # 296 days of 189.00 a month
    days = ("service_days", "invoice", "1 Mar 2026 to 10 Mar 2026", "1 Mar 2026 to 31 Mar 2026", "(156.48)")
    assert found() == [left, days]
    with pytest.raises(DomainError, match="ends on 10 Mar 2026; draft invoice"):
        close_invoice(actor=FINANCE, invoice_id=march.pk, now=NOW)
    delete_draft_invoice(actor=FINANCE, invoice_id=march.pk)
    assert bill(running.agreement).subtotal == D("74.52")  # 231.00 × 10/31, and no 156.48 more
    assert found() == [left]


def test_what_is_told_late_is_given_back_and_still_owed_to_the_vendor(world: World, running: Addition) -> None:
    bill(running.agreement, 3)
    accept(world, running, "decrease", 2, date(2026, 2, 1), date(2026, 3, 20))
    owed = ("quantity", "purchase", "8", "10", "415.08")  # 334 days of 37.80 a month
    assert found() == [owed]
    bill(running.agreement)
    assert found() == [owed]


def test_more_from_a_day_that_is_billed_is_caught_up_on(world: World, running: Addition) -> None:
    bill(running.agreement, 2)
    march = draft(running.agreement)
    accept(world, running, "increase", 2, date(2026, 2, 1), date(2026, 3, 5))
    buy(world, on=date(2026, 3, 5))
    assert found() == [("quantity", "invoice", "12", "10", "554.40")]
    delete_draft_invoice(actor=FINANCE, invoice_id=march.pk)
    assert bill(running.agreement).subtotal == D("323.40")  # 2 × 23.10 for February, 12 × 23.10 for March
    assert found() == []


def cheaper(agreement: Agreement, price: str) -> Invoice:
    """The next month as a draft, with a price that somebody has entered."""
    invoice = draft(agreement)
    update_invoice_line(actor=FINANCE, line_id=invoice.lines.get().pk, unit_price=D(price))
    return invoice


@pytest.mark.parametrize("released", ["the exception is overridden", "the rule holds nothing"])
def test_a_price_by_hand_is_still_named_when_its_invoice_is_closed(
    world: World, running: Addition, released: str
) -> None:
    january = cheaper(running.agreement, "22.10")
    leak = ("unit_price", "invoice", "23.10", "22.10", "120.00")
    assert found() == [leak]
    with pytest.raises(DomainError, match=r"23\.10; draft invoice \d+ bills 22\.10"):
        close_invoice(actor=FINANCE, invoice_id=january.pk, now=NOW)
    if is_overridden := released == "the exception is overridden":
        pk = exceptions(status="open").get().pk
        override_exception(actor=FINANCE, exception_id=pk, reason="Their first month is cheaper.", now=NOW)
    else:
        set_hold_rule(actor=FINANCE, code="unit_price", holds_invoice=False)
    close_invoice(actor=FINANCE, invoice_id=january.pk, now=NOW)
    assert found() == ([] if is_overridden else [leak])
    board = {row.name: row for row in leaks_by("code")}["unit_price"]
    assert board.found == Dollars(1, D("10.00"), D("120.00"))
    assert board.found == (board.overridden if is_overridden else board.open)
    bill(running.agreement)  # the next month is as agreed, and mends nothing
    assert board in leaks_by("code")


def test_billing_catches_up_on_a_price_by_hand_with_the_rest_of_its_period(world: World, running: Addition) -> None:
    set_hold_rule(actor=FINANCE, code="unit_price", holds_invoice=False)
    january = cheaper(running.agreement, "22.10")
    close_invoice(actor=FINANCE, invoice_id=january.pk, now=NOW)
    assert [row[0] for row in found()] == ["unit_price"]
    accept(world, running, "increase", 2, JAN_1)
    buy(world)
    assert bill(running.agreement).subtotal == D("333.40")  # 277.20 for February, and for January less 221.00
    assert found() == []


def test_a_year_that_is_billed_on_without_a_renewal_is_held(world: World, running: Addition) -> None:
    agreement = running.agreement
    update_agreement(actor=SALES, agreement_id=agreement.pk, end_date=None)
    assert found() == []
    bill(agreement, 12)
    assert found() == []
    thirteenth = draft(agreement)
    with pytest.raises(DomainError, match="nothing renews it"):
        close_invoice(actor=FINANCE, invoice_id=thirteenth.pk, now=NOW)
    assert found() == [("end_date", "agreement", "31 Dec 2026", "open", "(2,772.00)")]
    accept(world, running, "renew", 10, NEXT_YEAR)
    assert close_invoice(actor=FINANCE, invoice_id=thirteenth.pk, now=NOW).subtotal == D("231.00")
    assert found() == []


def test_a_renewed_term_is_bought_anew_as_it_was_signed(world: World, running: Addition) -> None:
    assert demand(on=JAN_1) == []
    accept(world, running, "increase", 2, date(2026, 7, 1))
    buy(world)
    accept(world, running, "renew", 11, NEXT_YEAR)
    (row,) = demand(on=JAN_1)
    assert (row.to_buy, row.term, row.start_date, row.end_date) == (11, "year:1", NEXT_YEAR, None)
    assert found() == []
    match_everything(actor=FINANCE, now=datetime(2027, 1, 2, 12, tzinfo=UTC))
    assert exceptions(status="open").get(code="missing_purchase").message == (
        "TQ-3 renews M365-BP from 1 Jan 2027 on, which was not ordered from a vendor anew."
    )
    match_everything(actor=FINANCE, now=NOW)
    buy(world)
    assert found() == []
    accept(world, running, "increase", 3, date(2027, 7, 1))
    accept(world, running, "decrease", 1, date(2027, 8, 1))
    assert [(row.to_buy, row.start_date) for row in demand(on=JAN_1)] == [(2, date(2027, 7, 1))]
    assert demand_count(on=JAN_1) == 1


def test_a_successor_is_a_renewal_that_is_bought_anew(world: World, running: Addition) -> None:
    bill(running.agreement, 12)
    successor = renew_agreement(actor=SALES, agreement_id=running.agreement_id)
    assert found() == []
    bill(successor)
    assert found() == [("missing_purchase", "purchase", "another term", "31 Dec 2026", "2,268.00")]
    buy(world, on=NEXT_YEAR)
    assert found() == []


def test_what_was_given_back_from_its_first_day_is_still_bought(world: World, running: Addition) -> None:
    accept(world, running, "cancel", 10, JAN_1)
    assert running.never_in_force
    assert found() == [("end_date", "purchase", "31 Dec 2025", "31 Dec 2026", "2,268.00")]
    uncancel_addition(actor=SALES, addition_id=running.pk)
    assert [row[:4] for row in found()] == [("end_date", "agreement", "31 Dec 2025", "31 Dec 2026")]


def test_an_addition_that_never_ran_and_its_replacement(world: World, running: Addition) -> None:
    cancel_addition(actor=SALES, addition_id=running.pk, on=date(2025, 12, 31))
    assert [row[:2] for row in found()] == [("end_date", "agreement")]
    Addition.objects.create(
        agreement=running.agreement, position=2, product=running.product, description="Again", quantity=D(10),
        unit_price=running.unit_price, unit_cost=running.unit_cost, effective_date=JAN_1, origin=running.origin,
        purchase_item=True, term=running.term,
    )  # fmt: skip
    assert found() == []
