"""Quoted for three years and prepaid, bought for one year, billed monthly: named in dollars before money leaks (WE-29).

The customer accepts on the page; agreement and demand follow by themselves. Then somebody buys the wrong term, and
somebody bills by hand in another rhythm. Neither the order nor the invoice goes out until it is mended.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.accepted import accepted as accepted_version
from tests.accepted import by, convert, m365, of
from tests.offers import NOW, TODAY
from tests.offers import Offer as Offered
from tests.world import FINANCE, OWNER, PROCUREMENT, SALES, World, build_world

from counterfoil.agreements.commands import change_addition
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.billing.agreement_invoices import invoice_agreement
from counterfoil.billing.closing import close_invoice
from counterfoil.billing.commands import delete_draft_invoice, invoice_sales_order
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.flows.acceptance import accept_quote
from counterfoil.matching.commands import match_changed, match_everything, match_order, override_exception
from counterfoil.matching.models import MatchException
from counterfoil.matching.queries import exceptions, thread_views
from counterfoil.orders.models import SalesOrder
from counterfoil.procurement.commands import (
    PurchaseLine,
    create_purchase_order,
    send_purchase_order,
    update_purchase_order_line,
)
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine
from counterfoil.procurement.queries import demand
from counterfoil.quotes.commands import NewLine, add_version_lines, create_quote, send_quote
from counterfoil.quotes.links import create_link
from counterfoil.quotes.models import QuoteLine

pytestmark = pytest.mark.django_db
D = Decimal


def sold(world: World) -> QuoteLine:
    """Twenty-five Microsoft 365 Business Premium for three years, prepaid; accepted by the customer on the page."""
    offer = m365(world)["three prepaid"]
    quote = create_quote(actor=SALES, name="Microsoft 365", on=TODAY, company_id=world.acme.pk)
    version = quote.versions.get()
    (line,) = add_version_lines(
        actor=SALES,
        version_id=version.pk,
        on=TODAY,
        lines=[NewLine(offer.product_id, D(25), offer_id=offer.pk, start_policy="fixed_date", start_date=TODAY)],
    )
    send_quote(actor=SALES, version_id=version.pk, on=TODAY, now=NOW)
    link = create_link(actor=SALES, quote_id=quote.pk, now=NOW)
    offered = Offered(version, link, {"licence": line})
    accept_quote(**offered.asked(offered.picks()))
    line.refresh_from_db()
    return line


def purchased(world: World, **mistake: Any) -> PurchaseOrder:
    """All that is to be bought, in one order; as sold, unless there is a mistake."""
    lines = [
        PurchaseLine(order_line_id=row.order_line_id, addition_id=row.addition_id, origin_id=row.origin_id, **mistake)
        for row in demand(on=TODAY)
    ]
    return create_purchase_order(actor=PROCUREMENT, vendor_id=world.ingram.pk, order_date=TODAY, lines=lines)


def said(**asked: Any) -> list[tuple[str, str, str, str, str]]:
    return [
        (row.code, row.actual_leg, row.expected, row.actual, format_money(row.over_term))
        for row in exceptions(status="open", **asked)
    ]


def test_quoted_for_three_years_bought_for_one_billed_monthly(world: World) -> None:
    line = sold(world)
    addition = Addition.objects.get(origin=line)
    assert match_everything(actor=FINANCE, now=NOW).opened == 0

    # Petra orders the year she always orders.
    order = purchased(world, term="year:1", billing_cycle="year:1", unit_cost=D(216))
    match_order(actor=PROCUREMENT, purchase_order_id=order.pk, now=NOW)
    assert said() == [("term", "purchase", "3 years", "1 year", "10,800.00")]  # two years of 25 x 216 to be bought yet
    with pytest.raises(DomainError) as held:
        send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)
    assert held.value.code == "held"
    assert "for 3 years" in held.value.message
    assert "buys 1 year" in held.value.message

    # The first invoice is drafted; then somebody sets the agreement, and the draft, to monthly.
    invoice = invoice_agreement(actor=FINANCE, agreement_id=addition.agreement_id)
    Agreement.objects.filter(pk=addition.agreement_id).update(billing_cycle="month:1")
    Addition.objects.filter(pk=addition.pk).update(unit_price=D(22))
    invoice.lines.update(unit_price=D(22), amount=D(550))
    match_changed(actor=FINANCE, now=NOW)
    assert said() == [
        ("billing_frequency", "agreement", "prepaid", "monthly", "19,250.00"),  # 19,800 now is 550 now
        ("term", "purchase", "3 years", "1 year", "10,800.00"),
    ]
    with pytest.raises(DomainError) as held:
        close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
    assert held.value.code == "held"
    assert "bills monthly" in held.value.message
    (view,) = thread_views([line.pk], on=TODAY)
    assert {row.label for row in view.rows if any(cell.differs for cell in row.cells)} == {"Term", "Billed"}

    # Both are mended, and both go out.
    update_purchase_order_line(
        actor=PROCUREMENT, line_id=order.lines.get().pk, term="year:3", billing_cycle="year:3", unit_cost=D(648)
    )
    assert send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk).status == "sent"
    delete_draft_invoice(actor=FINANCE, invoice_id=invoice.pk)
    with pytest.raises(DomainError, match="is held and cannot be billed"):
        invoice_agreement(actor=FINANCE, agreement_id=addition.agreement_id)
    Addition.objects.filter(pk=addition.pk).update(unit_price=D(792))
    Agreement.objects.filter(pk=addition.agreement_id).update(billing_cycle="year:3")
    invoice = invoice_agreement(actor=FINANCE, agreement_id=addition.agreement_id)
    assert close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW).subtotal == D("19800.00")
    match_changed(actor=FINANCE, now=NOW)
    assert said() == []
    mended = set(exceptions(status="mended").values_list("code", flat=True))
    assert mended >= {"billing_frequency", "term"}


def test_it_is_sent_all_the_same_when_somebody_says_why(world: World) -> None:
    sold(world)
    order = purchased(world, term="year:1", billing_cycle="year:1", unit_cost=D(216))
    match_order(actor=PROCUREMENT, purchase_order_id=order.pk, now=NOW)
    (term,) = exceptions(status="open")
    override_exception(
        actor=OWNER, exception_id=term.pk, reason="The vendor has no three years this month.", now=NOW
    )  # fmt: skip
    assert send_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk).status == "sent"
    assert said() == []


# -- any quote: untouched nothing, one change exactly its exception ----------------------------------------------------

OFFERS = ("monthly", "yearly", "billed monthly", "three", "three prepaid")
LINES = st.lists(st.tuples(st.sampled_from((*OFFERS, "hardware")), st.integers(1, 200)), min_size=1, max_size=5)


def everything_follows(world: World, picked: list[tuple[str, int]]) -> None:
    """The quote is accepted; all of it is bought and billed as it was sold."""
    offers = m365(world)
    lines = [
        of(world.server_noninventory, quantity, "4000")
        if name == "hardware"
        else by(offers[name], quantity, start_policy="fixed_date", start_date=TODAY)
        for name, quantity in picked
    ]
    convert(accepted_version(world, lines), on=TODAY)
    if demand(on=TODAY):
        purchased(world)
    for agreement in Agreement.objects.all():
        invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    for order in SalesOrder.objects.all():
        invoice_sales_order(actor=FINANCE, order_id=order.pk, on=TODAY)


@settings(
    max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(picked=LINES, which=st.integers(0, 100), change=st.sampled_from(["none", "cost", "quantity", "price", "seats"]))
def test_any_accepted_quote_matches_and_any_single_change_is_named(
    db: None, picked: list[tuple[str, int]], which: int, change: str
) -> None:
    from django.db import transaction

    with transaction.atomic():
        world = build_world()
        everything_follows(world, picked)
        match_everything(actor=FINANCE, now=NOW)
        assert said() == []
        expected = changed(which, change)
        match_changed(actor=FINANCE, now=NOW)
        assert [(code, leg) for code, leg, *_ in said()] == expected
        transaction.set_rollback(True)


def changed(which: int, change: str) -> list[tuple[str, str]]:
    """Make one change on one line; what has to be found of it."""
    bought = list(PurchaseOrderLine.objects.order_by("pk"))
    billed = list(InvoiceLine.objects.order_by("pk"))
    additions = list(Addition.objects.order_by("pk"))
    if change == "cost" and bought:
        line = bought[which % len(bought)]
        PurchaseOrderLine.objects.filter(pk=line.pk).update(unit_cost=line.unit_cost * 2 + 30)
        return [("unit_cost", "purchase")]
    if change == "quantity" and bought:
        line = bought[which % len(bought)]
        PurchaseOrderLine.objects.filter(pk=line.pk).update(quantity=line.quantity + 1)
        return [("quantity", "purchase")]
    if change == "price":
        line = billed[which % len(billed)]
        InvoiceLine.objects.filter(pk=line.pk).update(unit_price=line.unit_price / 2)
        return [("unit_price", "invoice")]
    if change == "seats" and additions:
        addition = additions[which % len(additions)]
        day = date(TODAY.year, TODAY.month + 1, 1)
        change_addition(actor=SALES, addition_id=addition.pk, on=day, quantity=addition.quantity + 1)
        is_bought = PurchaseOrderLine.objects.filter(addition=addition).exists()
        return sorted(
            [("changed_by_hand", "agreement"), *([("quantity", "purchase")] if is_bought else [])],
            key=lambda found: found[0] == "changed_by_hand",
        )
    return []


def test_what_stands_in_the_books_of_the_match_is_about_the_lines_themselves(world: World) -> None:
    line = sold(world)
    order = purchased(world, quantity=D(20))
    match_order(actor=PROCUREMENT, purchase_order_id=order.pk, now=NOW)
    found = MatchException.objects.get()
    assert (found.origin, found.purchase_order_line, found.company, found.vendor, found.product) == (
        line, order.lines.get(), world.acme, world.ingram, line.product,
    )  # fmt: skip
    assert not Invoice.objects.exists()
