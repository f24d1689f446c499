"""Threads in the database: loaded, matched in bulk and as they change, held, overridden, mended."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.matching.story import MARCH, NOW, D, Thread, agreed, as_quoted, bought, licence, quoted, the_example
from tests.trade import bought as ordered
from tests.trade import order_of, received
from tests.world import FINANCE, OWNER, PROCUREMENT, SALES, VIEWER, World

from counterfoil.agreements.commands import change_addition
from counterfoil.agreements.models import Addition
from counterfoil.billing.models import InvoiceLine
from counterfoil.core.errors import DomainError
from counterfoil.core.matching import CATALOGUE
from counterfoil.matching.commands import (
    match_changed,
    match_everything,
    match_purchase_orders,
    match_threads,
    override_exception,
    remove_tolerance,
    reopen_exception,
    set_hold_rule,
    set_tolerance,
)
from counterfoil.matching.matching import match_all
from counterfoil.matching.models import HoldRule, MatchException, MatchTolerance, ThreadToMatch
from counterfoil.matching.queries import exception_totals, exceptions, match_codes, thread_views
from counterfoil.platform.holds import ensure_not_held, held_among
from counterfoil.procurement.commands import PurchaseLine, send_purchase_order
from counterfoil.procurement.models import PurchaseOrderLine, VendorBill, VendorBillLine
from counterfoil.quotes.models import QuoteLine

pytestmark = pytest.mark.django_db


def match(*lines: QuoteLine) -> None:
    match_threads(actor=FINANCE, origin_ids=[line.pk for line in lines], now=NOW)


def open_codes() -> list[tuple[str, str]]:
    return sorted(exceptions(status="open").values_list("code", "actual_leg"))


def reasons(record: Any) -> list[str]:
    return [hold.reason for hold in held_among(record._meta.label_lower, [record.pk]).get(record.pk, [])]


# -- finding and mending -----------------------------------------------------------------------------------------------


def test_a_thread_as_quoted_has_no_exception(world: World) -> None:
    match(as_quoted(world).quote)
    assert not MatchException.objects.exists()


@pytest.mark.parametrize(
    ("leg", "change", "found"),
    [
        ("purchase", {"term": "year:1", "billing_cycle": "year:1", "unit_cost": D(240)}, ("term", "purchase")),
        ("purchase", {"unit_cost": D(740)}, ("unit_cost", "purchase")),
        ("purchase", {"quantity": D(20)}, ("quantity", "purchase")),
        ("purchase", {"start_date": date(2026, 4, 1)}, ("start_date", "purchase")),
        ("addition", {"unit_price": D(700)}, ("unit_price", "agreement")),
        ("addition", {"quantity": D(24)}, ("quantity", "agreement")),
        ("addition", {"effective_date": date(2026, 3, 15)}, ("start_date", "agreement")),
        ("addition", {"billing_option": "NoCharge"}, ("unit_price", "agreement")),
    ],
)
def test_each_change_of_a_leg_is_found_and_mends_by_itself(
    world: World, leg: str, change: dict[str, Any], found: tuple[str, str]
) -> None:
    thread = as_quoted(world)
    if leg == "addition":
        InvoiceLine.objects.all().delete()
    record: Any = getattr(thread, leg)
    before = {name: getattr(record, name) for name in change}
    type(record).objects.filter(pk=record.pk).update(**change)
    match(thread.quote)
    assert open_codes() == [found]
    type(record).objects.filter(pk=record.pk).update(**before)
    match(thread.quote)
    assert open_codes() == []
    assert exceptions(status="mended").count() == 1


def test_a_draft_line_whose_price_was_changed(world: World) -> None:
    thread = as_quoted(world)
    thread.invoice.lines.update(unit_price=D(700))
    match(thread.quote)
    (found,) = exceptions(status="open")
    assert (found.code, found.actual_leg, found.over_term) == ("unit_price", "invoice", D("2300.00"))
    assert found.invoice_line == thread.invoice.lines.get()
    assert found.addition == thread.addition


def test_another_product_is_bought(world: World) -> None:
    thread = as_quoted(world)
    thread.purchase.product = licence(identifier="M365-BS")
    thread.purchase.save()
    match(thread.quote)
    (found,) = exceptions(status="open")
    assert (found.code, found.expected, found.actual, found.vendor) == ("product", "M365-BP", "M365-BS", world.ingram)


def test_a_line_by_hand_beside_the_quoted_ones_is_unmatched(world: World) -> None:
    thread = as_quoted(world)
    PurchaseOrderLine.objects.create(
        purchase_order=thread.order, position=2, product=thread.quote.product, description="Spare", quantity=2,
        unit_cost=D(10),
    )  # fmt: skip
    Addition.objects.create(
        agreement=thread.addition.agreement, position=2, product=thread.quote.product, description="Backup",
        effective_date=MARCH,
    )  # fmt: skip
    match(thread.quote)
    assert open_codes() == [("unquoted", "agreement"), ("unquoted", "purchase")]
    assert not reasons(thread.order)
    Addition.objects.filter(origin=None).delete()
    match(thread.quote)
    assert open_codes() == [("unquoted", "purchase")]


def test_a_seat_more_by_hand_is_said_and_holds_nothing(world: World) -> None:
    line = quoted(world, term="year:1", billing_cycle="month:1", cycles=12, unit_price=D(22), unit_cost=D(18))
    addition = agreed(world, line)
    bought(world, line, addition)
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 4, 1), quantity=D(27))
    match(line)
    found = {row.code: row for row in exceptions(status="open")}
    assert set(found) == {"changed_by_hand", "quantity"}  # and two were not bought
    assert found["changed_by_hand"].monthly == D("-44.00")
    assert (found["quantity"].actual_leg, found["quantity"].monthly) == ("purchase", D("-36.00"))
    assert not reasons(addition.agreement)


def test_the_most_expensive_comes_first_and_totals_tell_losses_from_gains(world: World) -> None:
    thread = the_example(world)
    PurchaseOrderLine.objects.filter(pk=thread.purchase.pk).update(quantity=D(24))
    match(thread.quote)
    assert [row.code for row in exceptions(status="open")] == ["billing_frequency", "term", "quantity"]
    rows = {row.code: row for row in exception_totals()}
    assert (rows["billing_frequency"].over_term, rows["billing_frequency"].over_term_gain) == (D("19250"), 0)
    assert (rows["quantity"].over_term, rows["quantity"].over_term_gain) == (0, D("720.00"))
    assert exception_totals(company_id=world.globex.pk) == []
    assert [row.code for row in exceptions(search="acme po-0001 3 years")] == ["term"]


# -- WE-29 -------------------------------------------------------------------------------------------------------------


def test_we_29_holds_the_purchase_and_the_invoice(world: World) -> None:
    thread = the_example(world)
    match(thread.quote)
    assert open_codes() == [("billing_frequency", "agreement"), ("term", "purchase")]
    (bought_wrong,) = reasons(thread.order)
    assert bought_wrong.startswith(f"{thread.quote.opportunity} quotes M365-BP for 3 years; PO-0001 buys 1 year")
    (billed_wrong,) = reasons(thread.invoice)
    assert reasons(thread.addition.agreement) == [billed_wrong]
    assert "3 years prepaid" in billed_wrong
    assert "bills monthly" in billed_wrong
    assert bought_wrong.endswith("(12,000.00 over the term).")  # the two years nobody has promised: 25 x 480
    assert "over the term)." in billed_wrong


def test_what_is_held_for_follows_the_exception(world: World) -> None:
    thread = the_example(world)
    match(thread.quote)
    PurchaseOrderLine.objects.filter(pk=thread.purchase.pk).update(term="month:1", billing_cycle="month:1")
    match(thread.quote)
    said = " ".join(reasons(thread.order))
    assert "buys 1 month" in said
    assert "buys 1 year" not in said


def test_a_thread_beside_each_other_shows_where_it_differs(world: World) -> None:
    thread = the_example(world)
    (view,) = thread_views([thread.quote.pk], on=MARCH)
    assert [column.leg for column in view.columns] == ["quote", "agreement", "purchase", "invoice"]
    cells = {row.label: [(cell.text, cell.differs) for cell in row.cells] for row in view.rows}
    assert cells["Term"] == [("3 years", False), ("", False), ("1 year", True), ("", False)]
    assert cells["Billed"] == [("prepaid", False), ("monthly", True), ("prepaid", False), ("monthly", True)]
    assert cells["Quantity"] == [("25", False)] * 4


# -- holds and overrides -----------------------------------------------------------------------------------------------


@pytest.fixture
def example(world: World) -> Thread:
    thread = the_example(world)
    match(thread.quote)
    return thread


def the(code: str) -> MatchException:
    return MatchException.objects.get(code=code)


def test_an_override_releases_what_the_exception_held(example: Thread) -> None:
    override_exception(
        actor=PROCUREMENT, exception_id=the("term").pk, reason="Three years are not sold any more.", now=NOW
    )
    assert reasons(example.order) == []
    assert reasons(example.invoice) != []
    ensure_not_held(example.order, "sent")
    match(example.quote)
    assert (the("term").status, the("term").overridden_by) == ("overridden", PROCUREMENT.name)


def test_an_override_accepts_two_values_and_no_others(example: Thread) -> None:
    override_exception(actor=PROCUREMENT, exception_id=the("term").pk, reason="Agreed.", now=NOW)
    PurchaseOrderLine.objects.update(term="month:1", billing_cycle="month:1", unit_cost=D(20))
    match(example.quote)
    assert the("term").status == "open"
    assert reasons(example.order)


def test_an_override_can_be_taken_back(example: Thread) -> None:
    override_exception(actor=FINANCE, exception_id=the("billing_frequency").pk, reason="Agreed.", now=NOW)
    assert reasons(example.invoice) == []
    reopen_exception(actor=FINANCE, exception_id=the("billing_frequency").pk)
    assert reasons(example.invoice) != []


@pytest.mark.parametrize(
    ("code", "actor", "reason", "refusal"),
    [
        ("term", FINANCE, "Fine.", "role_required"),
        ("billing_frequency", PROCUREMENT, "Fine.", "role_required"),
        ("term", SALES, "Fine.", "role_required"),
        ("term", VIEWER, "Fine.", "role_required"),
        ("term", PROCUREMENT, "  ", "required"),
        ("term", OWNER, "x" * 2001, "invalid"),
    ],
)
def test_who_may_not_override(example: Thread, code: str, actor: Any, reason: str, refusal: str) -> None:
    with pytest.raises(DomainError) as refused:
        override_exception(actor=actor, exception_id=the(code).pk, reason=reason, now=NOW)
    assert refused.value.code == refusal
    assert the(code).status == "open"


def test_what_is_mended_is_not_overridden(example: Thread) -> None:
    MatchException.objects.filter(code="term").update(status="mended", settled_at=NOW)
    with pytest.raises(DomainError, match="is mended; it cannot become overridden"):
        override_exception(actor=OWNER, exception_id=the("term").pk, reason="Fine.", now=NOW)
    with pytest.raises(DomainError, match="only what was accepted reopens"):
        reopen_exception(actor=OWNER, exception_id=the("term").pk)


def test_an_inspection_decides_by_what_is_there_now(world: World) -> None:
    thread = the_example(world)  # nobody has matched it yet
    with pytest.raises(DomainError, match=r"PO-0001 is held and cannot be sent: .* 3 years; PO-0001 buys 1 year"):
        ensure_not_held(thread.order, "sent")
    with pytest.raises(DomainError, match="bills monthly"):
        ensure_not_held(thread.invoice, "closed")
    PurchaseOrderLine.objects.update(term="year:3", billing_cycle="year:3", unit_cost=D(720))
    ensure_not_held(thread.order, "sent")


def test_what_refuses_a_step_is_seen_afterwards_without_any_job(world: World) -> None:
    """The refusal undoes the step with what the inspection wrote; it is written once more."""
    thread = the_example(world)
    with pytest.raises(DomainError, match="is held and cannot be sent"):
        send_purchase_order(actor=PROCUREMENT, purchase_order_id=thread.order.pk)
    assert ("term", "purchase") in open_codes()
    assert reasons(thread.order)


def test_a_rule_decides_what_is_held(example: Thread) -> None:
    set_hold_rule(actor=FINANCE, code="term")
    assert reasons(example.order) == []
    set_hold_rule(actor=FINANCE, code="term", holds_purchase_order=True)
    assert reasons(example.order) != []
    with pytest.raises(DomainError, match="no code of the match"):
        set_hold_rule(actor=FINANCE, code="colour")
    with pytest.raises(DomainError) as refused:
        set_hold_rule(actor=PROCUREMENT, code="term")
    assert refused.value.code == "role_required"


def test_what_an_installation_begins_with(world: World) -> None:
    assert set(HoldRule.objects.values_list("code", flat=True)) == set(CATALOGUE)
    assert [row.code for row in match_codes()] == list(CATALOGUE)
    held = {row.code for row in match_codes() if row.holds_purchase_order}
    assert held == {
        "product", "quantity", "unit_cost", "term", "billing_frequency", "start_date", "end_date", "currency",
        "duplicate",
    }  # fmt: skip
    assert sorted(MatchTolerance.objects.values_list("measure", "percent", "amount")) == [
        ("quantity", None, 0), ("unit_cost", 2, 25), ("unit_price", None, 0),
    ]  # fmt: skip


# -- tolerances --------------------------------------------------------------------------------------------------------


def test_a_tolerance_of_the_vendor_lets_a_cost_pass(world: World) -> None:
    thread = as_quoted(world)
    PurchaseOrderLine.objects.update(unit_cost=D(740))
    match(thread.quote)
    assert open_codes() == [("unit_cost", "purchase")]
    tolerance = set_tolerance(actor=FINANCE, measure="unit_cost", percent=D(5), vendor_id=world.ingram.pk)
    match(thread.quote)
    assert open_codes() == []
    remove_tolerance(actor=FINANCE, tolerance_id=tolerance.pk)
    match(thread.quote)
    assert open_codes() == [("unit_cost", "purchase")]


def test_a_tolerance_is_set_once_for_the_same(world: World) -> None:
    first = set_tolerance(actor=FINANCE, measure="days", amount=D(3))
    again = set_tolerance(actor=FINANCE, measure="days", amount=D(5), bounds="narrower")
    assert (first.pk, again.amount, again.bounds) == (again.pk, 5, "narrower")


@pytest.mark.parametrize(
    ("given", "refusal", "field"),
    [
        ({"measure": "colour", "amount": D(1)}, "invalid", "measure"),
        ({"measure": "days"}, "required", "percent"),
        ({"measure": "days", "percent": D(1)}, "required", "amount"),
        ({"measure": "quantity", "percent": D(-1)}, "invalid", "percent"),
        ({"measure": "quantity", "percent": D(1), "bounds": "both"}, "invalid", "bounds"),
        ({"measure": "quantity", "percent": D(1), "vendor_id": 10**9}, "not_found", "vendor_id"),
    ],
)
def test_a_tolerance_that_makes_no_sense(world: World, given: dict[str, Any], refusal: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        set_tolerance(actor=FINANCE, **given)
    assert (refused.value.code, refused.value.field) == (refusal, field)


# -- purchase order, receipt and bill ----------------------------------------------------------------------------------


def billed(world: World, line: PurchaseOrderLine, quantity: str, cost: str) -> VendorBill:
    """A bill as it was written down, whatever the commands would have said."""
    amount = D(quantity) * D(cost)
    bill = VendorBill.objects.create(
        number=f"BILL-{VendorBill.objects.count() + 1:04}", vendor=world.ingram, date=MARCH, due_date=MARCH,
        vendor_invoice_number=f"V-{VendorBill.objects.count() + 1}", total=amount,
    )  # fmt: skip
    VendorBillLine.objects.create(
        bill=bill, position=1, purchase_order_line=line, quantity=D(quantity), unit_cost=D(cost), amount=amount
    )
    return bill


@pytest.fixture
def cables(world: World) -> PurchaseOrderLine:
    order = ordered(
        world, PurchaseLine(product_id=world.server_noninventory.pk, quantity=D(50), unit_cost=D(10))
    )  # fmt: skip
    line = order.lines.get()
    received(world, line, "47")
    return line


def test_a_bill_for_more_than_arrived_is_held(world: World, cables: PurchaseOrderLine) -> None:
    bill = billed(world, cables, "50", "10")
    match_purchase_orders(actor=PROCUREMENT, purchase_order_ids=[cables.purchase_order_id], now=NOW)
    (found,) = exceptions(kind="purchase")
    assert (found.code, found.expected, found.actual, found.over_term) == ("not_received", "47", "50", D("30.00"))
    assert found.bill_line == bill.lines.get()
    with pytest.raises(DomainError, match="is held and cannot be paid"):
        ensure_not_held(bill, "paid")
    received(world, cables, "3")
    ensure_not_held(bill, "paid")
    assert exceptions(kind="purchase", status="open").count() == 0


def test_a_bill_dearer_than_ordered_is_held_and_one_a_little_dearer_is_not(
    world: World, cables: PurchaseOrderLine
) -> None:
    billed(world, cables, "20", "11.20")  # $24 on the line
    bill = billed(world, cables, "20", "11.30")  # $26
    match_everything(actor=FINANCE, now=NOW)
    (found,) = exceptions(status="open")
    assert (found.code, found.bill_line, found.over_term) == ("unit_cost", bill.lines.get(), D("26.00"))


# -- by itself ---------------------------------------------------------------------------------------------------------


def noted() -> tuple[set[int], set[int]]:
    rows = list(ThreadToMatch.objects.values_list("origin_id", "purchase_order_id"))
    ThreadToMatch.objects.all().delete()
    return {o for o, _ in rows if o}, {p for _, p in rows if p}


def test_every_change_of_a_leg_notes_its_thread(world: World) -> None:
    thread = as_quoted(world)
    both = ({thread.quote.pk}, {thread.order.pk})
    line = {thread.quote.pk}, set[int]()
    assert noted() == both
    QuoteLine.objects.filter(version=None).count()
    assert noted() == (set(), set())
    PurchaseOrderLine.objects.update(unit_cost=D(1))
    assert noted() == both
    thread.order.status = "sent"
    thread.order.save()
    assert noted() == both
    Addition.objects.update(quantity=D(3))
    assert noted() == line
    change_addition(actor=SALES, addition_id=thread.addition.pk, on=date(2026, 4, 1), quantity=D(4))
    assert noted() == line
    InvoiceLine.objects.update(unit_price=D(3))
    assert noted() == line
    thread.invoice.lines.all().delete()
    assert noted() == line
    type(thread.addition.agreement).objects.update(billing_cycle="month:1")
    assert noted() == line
    type(thread.addition.agreement).objects.update(internal_notes="Nothing that matters.")
    assert noted() == (set(), set())


def test_a_receipt_and_a_bill_note_their_purchase_order(world: World, cables: PurchaseOrderLine) -> None:
    assert noted() == (set(), {cables.purchase_order_id})
    received(world, cables, "1")
    assert noted() == (set(), {cables.purchase_order_id})
    billed(world, cables, "10", "10")
    assert noted() == (set(), {cables.purchase_order_id})


def test_a_line_by_hand_notes_the_thread_beside_it(world: World) -> None:
    thread = as_quoted(world)
    noted()
    Addition.objects.create(
        agreement=thread.addition.agreement, position=2, product=thread.quote.product, description="Backup",
        effective_date=MARCH,
    )  # fmt: skip
    assert noted() == ({thread.quote.pk}, set())


def test_what_changed_is_matched_and_then_done(world: World) -> None:
    the_example(world)
    matched = match_changed(actor=FINANCE, now=NOW)
    assert (matched.threads, matched.purchase_lines, matched.opened) == (1, 1, 2)
    assert not ThreadToMatch.objects.exists()
    assert match_changed(actor=FINANCE, now=NOW).threads == 0


def test_everything_chunk_by_chunk_finds_the_same(world: World) -> None:
    product = licence()
    for _ in range(3):
        as_quoted(world, product=product)
    wrong = as_quoted(world, product=product)
    PurchaseOrderLine.objects.filter(pk=wrong.purchase.pk).update(quantity=D(26))
    matched = match_all(now=NOW, chunk=2)
    assert (matched.threads, matched.purchase_lines, matched.opened) == (4, 4, 1)
    assert exceptions(status="open").get().origin == wrong.quote


def test_a_period_is_matched_alone(world: World) -> None:
    the_example(world)
    nothing = match_everything(actor=FINANCE, now=NOW, since=date(2027, 1, 1), through=date(2027, 1, 31))
    assert (nothing.threads, nothing.purchase_lines) == (0, 0)
    march = match_everything(actor=FINANCE, now=NOW, since=MARCH, through=date(2026, 3, 31))
    assert (march.threads, march.opened) == (1, 2)
    with pytest.raises(DomainError, match="ends before it begins"):
        match_everything(actor=FINANCE, now=NOW, since=MARCH, through=date(2026, 2, 1))


def test_a_draft_has_no_thread(world: World) -> None:
    line = quoted(world)  # neither converted nor accepted
    bought(world, line, quantity=D(30))
    match(line)
    assert not MatchException.objects.exists()


def test_the_order_of_a_lease_matches(world: World) -> None:
    line = order_of(world, world.server_noninventory)
    order = ordered(world, PurchaseLine(order_line_id=line.pk))
    received(world, order.lines.get())
    assert match_everything(actor=FINANCE, now=NOW).opened == 0
