"""The thread of a leased server: every document finds all the others, and the stations say what comes next."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.accepted import accepted, by, convert, m365, of
from tests.trade import cable
from tests.web import deal as deals
from tests.world import OWNER, SALES, World

from counterfoil.accounting.commands import create_batch, transfer_batch
from counterfoil.agreements.commands import AdditionInput, add_addition
from counterfoil.billing.agreement_invoices import invoice_agreement
from counterfoil.billing.closing import close_invoice
from counterfoil.flows.renewals import propose_renewal
from counterfoil.flows.thread import follow, steps_of, thread_of
from counterfoil.orders.commands import OrderLineInput, add_order_line, create_sales_order
from counterfoil.procurement import commands as procurement

QUERIES = 25
NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


def kinds(obj: Any) -> list[str]:
    return [event.kind for event in thread_of(obj)]


def stations(obj: Any) -> dict[str, str]:
    return {step.label: step.state for step in steps_of(obj)}


def test_a_quote_waits_to_be_agreed_and_ordered(world: World) -> None:
    deal = deals.quote(world)
    (event,) = thread_of(deal.opportunity)
    assert event.current
    assert event.note == "0 of 2 lines converted"
    assert event.amount == Decimal("5400.00")  # 36 × 150.00; the server has no price
    assert stations(deal.opportunity) == {
        "Quoted": "done", "Agreed": "current", "Ordered": "waiting", "Bought": "waiting", "Received": "waiting",
        "Shipped": "waiting", "Billed": "waiting", "Booked": "waiting",
    }  # fmt: skip


def test_the_station_after_the_last_thing_done_is_current(world: World) -> None:
    deal = deals.convert(deals.quote(world))
    now = [key for key, state in stations(deal.order).items() if state == "current"]
    assert now == ["Bought"]
    deals.buy(deal)
    assert [key for key, state in stations(deal.order).items() if state == "current"] == ["Received"]
    deals.receive(deal)
    assert [key for key, state in stations(deal.order).items() if state == "current"] == ["Shipped"]


@pytest.mark.parametrize("option", [1, 2])
def test_every_document_of_the_lease_shows_the_whole_way(world: World, option: int) -> None:
    deal = deals.whole(world, option)
    way = kinds(deal.opportunity)
    wanted = [
        "opportunity", "agreement", "sales_order", "purchase_order", "receipt", "journal_entry", "shipment",
        "vendor_bill", "journal_entry", "invoice", "journal_entry", "invoice",
    ]  # fmt: skip
    assert sorted(kind for kind in way if kind != "journal_entry") == sorted(k for k in wanted if k != "journal_entry")
    documents = (
        deal.opportunity, deal.agreement, deal.order, deal.purchase_order, deal.receipt, deal.shipment, deal.bill,
        deal.invoice, deal.rent,
    )  # fmt: skip
    for document in documents:
        events = thread_of(document)
        assert [event.kind for event in events] == way
        here = [event for event in events if event.current]
        assert [(event.model, event.pk) for event in here] == [(document._meta.label_lower, document.pk)]
    states = stations(deal.order)
    assert set(states.values()) == {"done"}, states


def test_entries_stand_behind_what_they_book(db: None) -> None:
    deal = deals.whole_at_once()
    events = thread_of(deal.receipt)
    at = [event.kind for event in events].index("receipt")
    assert events[at].state == "transferred"
    assert events[at + 1].kind == "journal_entry"
    assert events[at + 1].amount == Decimal("3600.00")


def test_a_journal_entry_shows_the_thread_of_its_document(db: None) -> None:
    deal = deals.whole_at_once()
    entry = next(event for event in thread_of(deal.invoice) if event.kind == "journal_entry")
    from counterfoil.ledger.models import JournalEntry

    events = thread_of(JournalEntry.objects.get(pk=entry.pk))
    assert [event.kind for event in events] == kinds(deal.invoice)
    assert [event.pk for event in events if event.current] == [entry.pk]


def test_the_asset_and_its_depreciation_end_the_thread(db: None) -> None:
    deal = deals.capitalise(deals.whole_at_once())
    events = thread_of(deal.asset)
    assert [event.kind for event in events][-3:] == ["asset", "journal_entry", "depreciation"]
    assert events[-1].note == "0 of 36 months booked"
    assert stations(deal.asset)["Depreciated"] == "current"


def test_a_dearer_purchase_and_a_dearer_bill_are_marked(world: World) -> None:
    deal = deals.convert(deals.quote(world, 1))
    assert deal.order is not None
    line = deal.order.lines.get()
    order = procurement.create_purchase_order(
        actor=OWNER, vendor_id=world.ingram.pk, order_date=deals.START,
        lines=[procurement.PurchaseLine(order_line_id=line.pk, unit_cost=Decimal(3700))],
    )  # fmt: skip
    (bought,) = (event for event in thread_of(order) if event.kind == "purchase_order")
    assert bought.difference == "100.00 more: ordered by the customer at 3,600.00"


@pytest.mark.parametrize(
    ("bought_for", "cost", "difference"),
    [
        ("year:3", "650", "50.00 more: ordered by the customer at 16,200.00"),
        ("year:3", "648", ""),
        ("year:1", "216", ""),  # another rhythm: the match says what that means
    ],
)
def test_licences_are_laid_beside_what_is_billed_in_the_same_rhythm(
    world: World, bought_for: str, cost: str, difference: str
) -> None:
    version = accepted(world, [by(m365(world)["three prepaid"], 25)])
    (agreement,) = convert(version).agreements
    order = procurement.create_purchase_order(
        actor=OWNER, vendor_id=world.ingram.pk, order_date=deals.START,
        lines=[
            procurement.PurchaseLine(
                addition_id=agreement.additions.get().pk, unit_cost=Decimal(cost), term=bought_for,
                billing_cycle=bought_for,
            )
        ],
    )  # fmt: skip
    events = {event.kind: event for event in thread_of(order)}
    assert events["purchase_order"].difference == difference
    assert events["quote"].amount == events["opportunity"].amount == Decimal("19800.00")  # 25 × 792.00, once in 3 years


def test_an_order_without_a_quote_has_a_thread_of_its_own(world: World) -> None:
    order = create_sales_order(
        actor=OWNER, company_id=world.acme.pk, on=deals.START,
        lines=[OrderLineInput(product_id=world.server_inventory.pk)],
    )  # fmt: skip
    assert kinds(order) == ["sales_order"]
    assert stations(order) == {
        "Ordered": "done", "Bought": "current", "Received": "waiting", "Shipped": "waiting", "Billed": "waiting",
        "Booked": "waiting",
    }  # fmt: skip


def test_what_has_no_thread_has_none(world: World) -> None:
    assert thread_of(world.acme) == []


def test_a_purchase_for_two_customers_shows_both_orders_and_no_more_of_their_deals(world: World) -> None:
    first = deals.convert(deals.quote(world, 1))
    second = deals.convert(deals.quote(world, 1, company_id=world.globex.pk, name="Globex server"))
    assert first.order is not None
    assert second.order is not None
    order = procurement.create_purchase_order(
        actor=OWNER, vendor_id=world.ingram.pk, order_date=deals.START,
        lines=[
            procurement.PurchaseLine(order_line_id=first.order.lines.get().pk),
            procurement.PurchaseLine(order_line_id=second.order.lines.get().pk),
        ],
    )  # fmt: skip
    assert kinds(order) == ["opportunity", "opportunity", "sales_order", "sales_order", "purchase_order"]


def test_the_number_of_queries_does_not_grow(world: World, django_assert_max_num_queries: Any) -> None:
    small = deals.whole(world, 1)
    with django_assert_max_num_queries(QUERIES):
        follow(small.order)
    large = deals.capitalise(deals.whole(world, 2))
    with django_assert_max_num_queries(QUERIES):
        follow(large.asset)


# -- quotes ------------------------------------------------------------------------------------------------------------


def test_the_signed_quote_is_the_head_of_the_thread_from_everywhere(world: World) -> None:
    offers = m365(world)
    version = accepted(world, [by(offers["three"], 25), of(cable(world), 40, "9")])
    done = convert(version)
    agreement, order = done.agreements[0], done.orders[0]
    for document in (version.quote, version, version.quote.opportunity, agreement, order, agreement.additions.get()):
        assert document is not None
        events = thread_of(document)
        assert [(event.kind, event.pk) for event in events] == [
            ("quote", version.quote_id),
            ("opportunity", version.quote.opportunity_id),
            ("agreement", agreement.pk),
            ("sales_order", order.pk),
        ], document
        assert (events[0].state, events[0].title) == ("accepted", f"{version.quote.number} version 1 Office move")
    assert [event.current for event in thread_of(version.quote)] == [True, False, False, False]
    assert [step.label for step in steps_of(agreement)][:3] == ["Accepted", "Agreed", "Ordered"]


def test_a_draft_shows_itself_and_the_agreement_it_would_change(world: World) -> None:
    (agreement,) = convert(accepted(world, [by(m365(world)["three"], 25)])).agreements
    quote = propose_renewal(actor=SALES, agreement_id=agreement.pk, on=date(2028, 11, 1))
    kinds = [(event.kind, event.pk, event.state) for event in thread_of(quote)]
    assert kinds == [("quote", quote.pk, "draft"), ("agreement", agreement.pk, "active")]
    assert [(step.label, step.state) for step in steps_of(quote)][:2] == [("Draft", "current"), ("Accepted", "waiting")]


def test_an_accepted_change_lies_on_the_thread_of_its_agreement(world: World) -> None:
    offers = m365(world)
    (agreement,) = convert(accepted(world, [by(offers["three"], 25)])).agreements
    more = by(offers["three"], 5, action="increase", addition=agreement.additions.get())
    change = accepted(world, [more], agreement=agreement)
    convert(change, date(2026, 3, 1))
    quotes = [event.pk for event in thread_of(agreement) if event.kind == "quote"]
    assert quotes[-1] == change.quote_id
    assert len(quotes) == 2
    assert ("agreement", agreement.pk) in [(event.kind, event.pk) for event in thread_of(change.quote)]


def test_what_was_entered_by_hand_beside_a_quote_says_so(world: World) -> None:
    version = accepted(world, [by(m365(world)["three"], 25), of(cable(world), 40, "9")])
    done = convert(version)
    add_addition(actor=SALES, agreement_id=done.agreements[0].pk, addition=AdditionInput(world.lease.pk))
    add_order_line(actor=SALES, order_id=done.orders[0].pk, line=OrderLineInput(world.server_noninventory.pk))
    notes = {event.kind: event.note for event in thread_of(done.orders[0])}
    assert "1 addition entered by hand" in notes["agreement"]
    assert "1 line entered by hand" in notes["sales_order"]


def test_invoices_that_are_not_shown_count_as_billed_and_booked(world: World) -> None:
    """Six months, of which the last three are shown; four are in the books."""
    (agreement,) = convert(accepted(world, [by(m365(world)["billed monthly"], 10)]), date(2026, 1, 1)).agreements
    invoices = [invoice_agreement(actor=OWNER, agreement_id=agreement.pk) for _ in range(6)]
    for invoice in invoices:
        close_invoice(actor=OWNER, invoice_id=invoice.pk, now=NOW)
    batch = create_batch(actor=OWNER, invoice_ids=[invoice.pk for invoice in invoices[:4]])
    transfer_batch(actor=OWNER, batch_id=batch.pk, now=NOW)
    notes = {step.label: step.note for step in steps_of(agreement)}
    assert (notes["Billed"], notes["Booked"]) == ("6 invoices", "4 of 6 documents")
    assert len([event for event in thread_of(agreement) if event.kind == "invoice"]) == 3
