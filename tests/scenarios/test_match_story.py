"""Quoted for three years and prepaid, bought for one year, billed monthly: named in dollars before money leaks (WE-29).

The customer accepts on the page; agreement and demand follow by themselves. Then somebody buys the wrong term, and
somebody bills by hand in another rhythm. Neither the order nor the invoice goes out until it is mended.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.accepted import accepted as accepted_version
from tests.accepted import by, convert, m365, of
from tests.offers import NOW, TODAY
from tests.offers import Offer as Offered
from tests.trade import received
from tests.world import FINANCE, OWNER, PROCUREMENT, SALES, World, build_world

from counterfoil.agreements.commands import change_addition
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.billing.agreement_invoices import invoice_agreement
from counterfoil.billing.closing import close_invoice
from counterfoil.billing.commands import delete_draft_invoice, invoice_sales_order
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.catalog.models import Category, Product
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.flows.acceptance import accept_quote
from counterfoil.inventory.models import ReceiptLine
from counterfoil.matching.commands import match_changed, match_everything, match_order, override_exception
from counterfoil.matching.models import MatchException
from counterfoil.matching.queries import exceptions, thread_views
from counterfoil.orders.models import SalesOrder, SalesOrderLine
from counterfoil.procurement.commands import (
    PurchaseLine,
    create_purchase_order,
    send_purchase_order,
    update_purchase_order_line,
)
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine, VendorBill, VendorBillLine
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
    """The quote is accepted; all of it is bought, received, billed by the vendor and invoiced as it was sold."""
    offers = m365(world)
    lines = [
        of(world.server_noninventory, quantity, "4000")
        if name == "hardware"
        else by(offers[name], quantity, start_policy="fixed_date", start_date=TODAY)
        for name, quantity in picked
    ]
    convert(accepted_version(world, lines), on=TODAY)
    bought = list(purchased(world).lines.order_by("pk")) if demand(on=TODAY) else []
    for agreement in Agreement.objects.all():
        invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    for order in SalesOrder.objects.all():
        invoice_sales_order(actor=FINANCE, order_id=order.pk, on=TODAY)
    if bought:
        send_purchase_order(actor=PROCUREMENT, purchase_order_id=bought[0].purchase_order_id)
        for line in bought:
            received(world, line, on=TODAY)
        bill(world, bought)


def bill(world: World, lines: list[PurchaseOrderLine]) -> None:
    """The vendor bills what was ordered, as it was."""
    number = VendorBill.objects.count() + 1
    made = VendorBill.objects.create(
        number=f"BILL-{number}",
        vendor=world.ingram,
        date=TODAY,
        due_date=TODAY,
        vendor_invoice_number=f"V-{number}",
        total=sum_money(line.quantity * line.unit_cost for line in lines),
    )
    for position, line in enumerate(lines, start=1):
        VendorBillLine.objects.create(
            bill=made, position=position, purchase_order_line=line, quantity=line.quantity, unit_cost=line.unit_cost,
            amount=line.quantity * line.unit_cost,
        )  # fmt: skip


Found = list[tuple[str, str]]
#: Where the line is, which lines there have it, what is changed of it, and what is found.
Change = tuple[Any, dict[str, Any], Callable[[Any], dict[str, Any]], str, str]

LICENCES = {"origin__billing_cycle__gt": ""}
OF_A_TERM = {**LICENCES, "origin__term__startswith": "year"}
FORTNIGHT = timedelta(days=14)
CHANGES: list[Change] = [
    (PurchaseOrderLine, {}, lambda line: {"unit_cost": line.unit_cost * 2 + 30}, "unit_cost", "purchase"),
    (PurchaseOrderLine, {}, lambda line: {"quantity": line.quantity + 1}, "quantity", "purchase"),
    (PurchaseOrderLine, {}, lambda line: {"product": other()}, "product", "purchase"),
    (PurchaseOrderLine, LICENCES, lambda line: {"term": "year:2"}, "term", "purchase"),
    (PurchaseOrderLine, LICENCES, lambda line: {"billing_cycle": "year:5"}, "billing_frequency", "purchase"),
    (PurchaseOrderLine, LICENCES, lambda line: {"start_date": TODAY + FORTNIGHT}, "start_date", "purchase"),
    (PurchaseOrderLine, LICENCES, lambda line: {"end_date": TODAY + FORTNIGHT}, "end_date", "purchase"),
    (Addition, {}, lambda line: {"quantity": line.quantity + 1}, "quantity", "agreement"),
    (Addition, {}, lambda line: {"unit_price": line.unit_price / 2}, "unit_price", "agreement"),
    (Addition, {}, lambda line: {"product": other()}, "product", "agreement"),
    (Addition, {}, lambda line: {"term": "year:2"}, "term", "agreement"),
    (Addition, {}, lambda line: {"effective_date": TODAY + FORTNIGHT}, "start_date", "agreement"),
    (Addition, OF_A_TERM, lambda line: {"cancelled_date": TODAY + FORTNIGHT}, "end_date", "agreement"),
    (SalesOrderLine, {}, lambda line: {"quantity": line.quantity + 1}, "quantity", "order"),
    (SalesOrderLine, {}, lambda line: {"unit_price": line.unit_price / 2}, "unit_price", "order"),
    (SalesOrderLine, {}, lambda line: {"product": other()}, "product", "order"),
    (InvoiceLine, {}, lambda line: {"unit_price": line.unit_price / 2}, "unit_price", "invoice"),
    (InvoiceLine, {}, lambda line: {"quantity": line.quantity + 1}, "quantity", "invoice"),
    (InvoiceLine, {}, lambda line: {"product": other()}, "product", "invoice"),
    (VendorBillLine, {}, lambda row: {"unit_cost": row.unit_cost * 4, "amount": row.amount * 4}, "unit_cost", "bill"),
    (VendorBillLine, {}, lambda line: {"amount": line.amount + 1}, "amount", "bill"),
]  # fmt: skip
#: What comes after a leg takes over what is wrong on it: it is changed before.
AFTER: dict[Any, tuple[Any, ...]] = {
    Addition: (InvoiceLine,), SalesOrderLine: (InvoiceLine,), PurchaseOrderLine: (VendorBillLine, ReceiptLine),
}  # fmt: skip


def other() -> Product:
    """Something else than is quoted."""
    return Product.objects.get_or_create(
        identifier="M365-BS", defaults={"description": "Microsoft 365 Business Standard",
        "product_class": "NonInventory", "accounting_type": "NonInventoryPart",
        "category": Category.objects.get(name="Software")},
    )[0]  # fmt: skip


def changed(change: Change, which: int) -> Found | None:
    """Make one change of a line; what is to be found then. Nothing where there is no such line."""
    model, has, values, code, leg = change
    lines = list(model.objects.filter(**has).order_by("pk"))
    if not lines:
        return None
    line = lines[which % len(lines)]
    for later in AFTER.get(model, ()):
        later.objects.all().delete()
    model.objects.filter(pk=line.pk).update(**values(line))
    return [(code, leg)]


def rhythm(which: int) -> Found | None:
    """An agreement bills in another rhythm."""
    InvoiceLine.objects.all().delete()
    if not (agreements := list(Agreement.objects.order_by("pk"))):
        return None
    agreement = agreements[which % len(agreements)]
    Agreement.objects.filter(pk=agreement.pk).update(billing_cycle="year:5")
    return [("billing_frequency", "agreement")] * agreement.additions.count()


def twice(model: Any, leg: str, which: int, has: dict[str, Any] | None = None) -> Found | None:
    """A line stands there once more."""
    if not (lines := list(model.objects.filter(**(has or {})).order_by("pk"))):
        return None
    line = lines[which % len(lines)]
    line.pk, line.position, line._state.adding = None, line.position + 100, True
    line.save()
    return [("duplicate", leg)]


def gone(which: int, *models: Any) -> Found | None:
    """A licence, or what goods were ordered, is not there any more: with what stands on it."""
    purchased_for = {"purchase_item": True} if models[-1] is Addition else LICENCES
    if not (lines := list(models[-1].objects.filter(**purchased_for).order_by("pk"))):
        return None
    origin = lines[which % len(lines)].origin_id
    for model in models:
        for later in AFTER.get(model, ()):
            later.objects.all().delete()
        model.objects.filter(origin=origin).delete()
    leg = {Addition: "agreement", PurchaseOrderLine: "purchase", InvoiceLine: "invoice"}[models[-1]]
    return [(f"missing_{leg}", leg)]


def changes_of_seats(which: int) -> Found | None:
    """Somebody adds a seat by hand, which was not bought."""
    if not (additions := list(Addition.objects.order_by("pk"))):
        return None
    addition = additions[which % len(additions)]
    day = date(TODAY.year, TODAY.month + 1, 1)
    change_addition(actor=SALES, addition_id=addition.pk, on=day, quantity=addition.quantity + 1)
    is_bought = PurchaseOrderLine.objects.filter(addition=addition).exists()
    return [("changed_by_hand", "agreement"), *([("quantity", "purchase")] if is_bought else [])]


DEEDS: dict[str, Callable[[int], Found | None]] = {
    "an agreement in another rhythm": rhythm,
    "an addition twice": lambda which: twice(Addition, "agreement", which),
    "a purchase twice": lambda which: twice(PurchaseOrderLine, "purchase", which),
    "a period billed twice": lambda which: twice(InvoiceLine, "invoice", which, LICENCES),
    "a bill twice": lambda which: twice(VendorBillLine, "bill", which),
    "no addition": lambda which: gone(which, InvoiceLine, PurchaseOrderLine, Addition),
    "no purchase": lambda which: gone(which, PurchaseOrderLine),
    "a seat more": changes_of_seats,
} | {
    f"{change[-1]}: {change[-2]}": functools.partial(changed, change) for change in CHANGES
}  # fmt: skip


@settings(
    max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(picked=LINES, which=st.integers(0, 100))
def test_any_accepted_quote_matches_and_any_single_change_is_named(
    db: None, picked: list[tuple[str, int]], which: int
) -> None:
    with transaction.atomic():
        everything_follows(build_world(), picked)
        match_everything(actor=FINANCE, now=NOW)
        assert said() == []
        found: dict[str, Found] = {}
        expected: dict[str, Found] = {}
        for name, deed in DEEDS.items():
            with transaction.atomic():
                expected[name] = sorted(deed(which) or [])
                match_changed(actor=FINANCE, now=NOW)
                found[name] = sorted((code, leg) for code, leg, *_ in said())
                transaction.set_rollback(True)
        overdue = gone(which, InvoiceLine)
        match_everything(actor=FINANCE, now=NOW + timedelta(days=36))
        assert [(code, leg) for code, leg, *_ in said()] == (overdue or [])
        transaction.set_rollback(True)
    assert found == expected


def test_what_stands_in_the_books_of_the_match_is_about_the_lines_themselves(world: World) -> None:
    line = sold(world)
    order = purchased(world, quantity=D(20))
    match_order(actor=PROCUREMENT, purchase_order_id=order.pk, now=NOW)
    found = MatchException.objects.get()
    assert (found.origin, found.purchase_order_line, found.company, found.vendor, found.product) == (
        line, order.lines.get(), world.acme, world.ingram, line.product,
    )  # fmt: skip
    assert not Invoice.objects.exists()
