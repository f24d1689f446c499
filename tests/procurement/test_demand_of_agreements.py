"""What agreements need bought: the licences of a customer, as they were sold, and what was added since."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.trade import D, bought, order_of
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.agreements.additions import AdditionInput, add_addition, cancel_addition, change_addition
from counterfoil.agreements.commands import create_agreement
from counterfoil.agreements.lifecycle import cancel_agreement
from counterfoil.agreements.models import Addition
from counterfoil.catalog.models import Offer, Product
from counterfoil.core.errors import DomainError
from counterfoil.procurement.commands import (
    PurchaseLine,
    cancel_purchase_order,
    create_purchase_order,
    update_purchase_order_line,
)
from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine
from counterfoil.procurement.queries import demand, demand_count
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity
from counterfoil.quotes.models import QuoteLine

pytestmark = pytest.mark.django_db
MARCH, JULY = date(2026, 3, 1), date(2026, 7, 1)


@pytest.fixture
def world() -> World:
    return build_world()


@pytest.fixture
def licence(world: World) -> Product:
    return Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=world.lease.category, price=D("22"), cost=D("18"), billing_cycle="month:1",
        vendor=world.ingram, vendor_sku="CFQ7-P1M",
    )  # fmt: skip


@pytest.fixture
def prepaid(world: World, licence: Product) -> Offer:
    return Offer.objects.create(
        product=licence, term="year:3", billing_cycle="year:3", price=D("792"), cost=D("594"),
        vendor=world.dell, vendor_sku="CFQ7-P3Y",
    )  # fmt: skip


def signed(world: World, licence: Product, quantity: str, cost: str, **fields: object) -> QuoteLine:
    """A line that the customer signed."""
    given = QuoteLineInput(product_id=licence.pk, quantity=D(quantity), unit_cost=D(cost), unit_price=D("700"))
    opportunity = create_opportunity(actor=SALES, company_id=world.acme.pk, name="Licences", lines=[given])
    QuoteLine.objects.filter(opportunity=opportunity).update(**fields)
    return opportunity.lines.get()


def licensed(world: World, licence: Product, quantity: str = "10", **fields: object) -> Addition:
    """An agreement of Acme with so many licences, to be bought."""
    given = {"effective_date": MARCH, "purchase_item": True, **fields}
    addition = AdditionInput(licence.pk, D(quantity), **given)  # type: ignore[arg-type]
    agreement = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Licences", start_date=MARCH,
        additions=[addition],
    )  # fmt: skip
    return agreement.additions.get()


def test_demand_is_as_it_was_sold(world: World, licence: Product, prepaid: Offer) -> None:
    """Three years, prepaid, at the quoted cost, from the vendor of the offer."""
    line = signed(world, licence, "10", "590", offer=prepaid, term="year:3", billing_cycle="year:3", start_date=MARCH)
    addition = licensed(world, licence, origin_id=line.pk, offer_id=prepaid.pk, term="year:3")

    (row,) = demand()

    assert (row.addition_id, row.agreement_number, row.customer) == (addition.pk, "AGR-0001", "Acme Corp")
    assert (row.ordered, row.bought, row.to_buy, row.unit_cost) == (D("10"), D("0"), D("10"), D("590"))
    assert (row.vendor, row.vendor_sku, row.offer_id, row.origin_id) == (
        "Dell Direct", "CFQ7-P3Y", prepaid.pk, line.pk,
    )  # fmt: skip
    assert row.terms == "3 years, prepaid, from 1 Mar 2026"
    assert demand_count() == 1

    order = bought(world, PurchaseLine(addition_id=addition.pk), vendor_id=world.dell.pk)

    made = order.lines.get()
    assert (made.product, made.quantity, made.unit_cost, made.vendor_sku) == (licence, D("10"), D("590"), "CFQ7-P3Y")
    assert (made.addition, made.origin, made.offer) == (addition, line, prepaid)
    assert made.terms == "3 years, prepaid, from 1 Mar 2026"
    assert demand() == []
    assert demand_count() == 0


def test_without_a_quote_the_offer_says_it_and_without_an_offer_the_agreement(
    world: World, licence: Product, prepaid: Offer
) -> None:
    licensed(world, licence, offer_id=prepaid.pk, unit_cost=D("0"))
    licensed(world, licence, "4", unit_cost=D("17"))

    assert [(row.vendor, row.terms, row.unit_cost) for row in demand()] == [
        ("Dell Direct", "3 years, prepaid, from 1 Mar 2026", D("594")),
        ("Ingram Micro", "billed monthly, from 1 Mar 2026", D("17")),
    ]
    assert [row.to_buy for row in demand(vendor_id=world.ingram.pk)] == [D("4")]


def test_more_seats_are_bought_as_the_difference_for_the_line_that_signed_them(world: World, licence: Product) -> None:
    first = signed(world, licence, "10", "18", term="year:1", billing_cycle="month:1")
    addition = licensed(world, licence, origin_id=first.pk, term="year:1", committed_through=date(2027, 2, 28))
    bought(world, PurchaseLine(addition_id=addition.pk))
    more = signed(world, licence, "3", "19", term="year:1", billing_cycle="month:1", align_to=date(2027, 3, 1))
    change_addition(actor=SALES, addition_id=addition.pk, on=JULY, quantity=D("13"), origin_id=more.pk)
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 9, 1), quantity=D("15"), reason="By phone")

    rows = demand()

    assert [(row.to_buy, row.origin_id, row.unit_cost, row.terms) for row in rows] == [
        (D("3"), more.pk, D("19"), "1 year, billed monthly, from 1 Jul 2026 to 28 Feb 2027"),
        (D("2"), first.pk, D("18"), "1 year, billed monthly, from 1 Sep 2026 to 28 Feb 2027"),
    ]
    assert len({row.key for row in rows}) == 2

    bought(world, PurchaseLine(addition_id=addition.pk, origin_id=first.pk))

    assert [(row.to_buy, row.origin_id) for row in demand()] == [(D("3"), more.pk)]


def test_fewer_seats_demand_less_and_what_is_bought_already_stays(world: World, licence: Product) -> None:
    addition = licensed(world, licence)
    change_addition(actor=SALES, addition_id=addition.pk, on=JULY, quantity=D("14"))
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 8, 1), quantity=D("8"))
    assert [(row.ordered, row.start_date) for row in demand()] == [(D("8"), MARCH)]

    bought(world, PurchaseLine(addition_id=addition.pk))
    change_addition(actor=SALES, addition_id=addition.pk, on=date(2026, 9, 1), quantity=D("5"))

    assert demand() == []


def test_an_addition_is_not_bought_twice(world: World, licence: Product) -> None:
    addition = licensed(world, licence)
    order = bought(world, PurchaseLine(addition_id=addition.pk, quantity=D("6")), sent=False)

    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(addition_id=addition.pk, quantity=D("5")))
    assert (refused.value.code, refused.value.field) == ("more_than_ordered", "lines[0].quantity")
    assert "AGR-0001 has 10 M365-BP; 6 of it bought already, 4 left to buy" in refused.value.message

    line = order.lines.get()
    with pytest.raises(DomainError) as refused:
        update_purchase_order_line(actor=PROCUREMENT, line_id=line.pk, quantity=D("11"))
    assert refused.value.code == "more_than_ordered"
    update_purchase_order_line(actor=PROCUREMENT, line_id=line.pk, quantity=D("10"))
    assert demand() == []

    cancel_purchase_order(actor=PROCUREMENT, purchase_order_id=order.pk)
    assert [row.to_buy for row in demand()] == [D("10")]


def test_what_is_over_is_not_bought_any_more(world: World, licence: Product) -> None:
    kept, given_up = licensed(world, licence), licensed(world, licence)
    cancel_addition(actor=SALES, addition_id=kept.pk, on=date(2026, 12, 31))

    assert [row.addition_id for row in demand()] == [given_up.pk]
    assert {row.addition_id for row in demand(on=JULY)} == {kept.pk, given_up.pk}
    assert [row.addition_id for row in demand(on=date(2027, 1, 1))] == [given_up.pk]

    cancel_agreement(actor=SALES, agreement_id=given_up.agreement_id, on=JULY, reason="Left us")
    assert demand() == []
    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(addition_id=given_up.pk))
    assert refused.value.code == "wrong_state"


def test_what_is_not_bought_for_the_agreement_is_no_demand(world: World, licence: Product) -> None:
    licensed(world, licence, purchase_item=False)
    assert demand() == []


TERMS: list[tuple[dict[str, object], str, str]] = [
    ({"term": "3 years"}, "invalid", "lines[0].term"),
    ({"billing_cycle": "now and then"}, "invalid", "lines[0].billing_cycle"),
    ({"start_date": JULY, "end_date": MARCH}, "invalid", "lines[0].end_date"),
    ({"end_date": JULY, "product_id": True}, "required", "lines[0].start_date"),
    ({"offer_id": 4711}, "not_found", "lines[0].offer"),
    ({"order_line_id": True}, "invalid", "lines[0]"),
]


@pytest.mark.parametrize(("given", "code", "field"), TERMS)
def test_terms_that_make_no_sense_are_refused(
    world: World, licence: Product, given: dict[str, object], code: str, field: str
) -> None:
    source: dict[str, object] = {"addition_id": licensed(world, licence).pk}
    if given.get("product_id"):
        source, given = {}, {**given, "product_id": licence.pk}
    if given.get("order_line_id"):
        given = {"order_line_id": order_of(world, world.server_noninventory).pk}
    with pytest.raises(DomainError) as refused:
        bought(world, PurchaseLine(**{**source, **given}))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not PurchaseOrder.objects.exists()


def test_another_offer_brings_its_own_term_cost_and_sku(world: World, licence: Product, prepaid: Offer) -> None:
    yearly = Offer.objects.create(
        product=licence, term="year:1", billing_cycle="month:1", cost=D("17.60"), vendor_sku="CFQ7-P1Y"
    )
    addition = licensed(world, licence, offer_id=prepaid.pk)

    line = bought(world, PurchaseLine(addition_id=addition.pk, offer_id=yearly.pk), sent=False).lines.get()

    assert (line.terms, line.unit_cost, line.vendor_sku) == (
        "1 year, billed monthly, from 1 Mar 2026", D("17.60"), "CFQ7-P1Y",
    )  # fmt: skip
    stranger = Offer.objects.create(product=world.lease, term="year:1")
    with pytest.raises(DomainError, match="no offer of M365-BP"):
        update_purchase_order_line(actor=PROCUREMENT, line_id=line.pk, offer_id=stranger.pk)
    update_purchase_order_line(
        actor=PROCUREMENT, line_id=line.pk, offer_id=prepaid.pk, term="triennial", billing_cycle="triennial",
        start_date=JULY, end_date=date(2028, 12, 31), unit_cost=D("594"),
    )  # fmt: skip
    line.refresh_from_db()
    assert (line.term, line.offer) == ("year:3", prepaid)
    assert line.terms == "3 years, prepaid, from 1 Jul 2026 to 31 Dec 2028"


def test_demand_of_hundreds_takes_few_queries(world: World, licence: Product) -> None:
    addition = licensed(world, licence)
    for _ in range(30):
        add_addition(
            actor=SALES, agreement_id=addition.agreement_id,
            addition=AdditionInput(licence.pk, D("2"), effective_date=MARCH, purchase_item=True),
        )  # fmt: skip
    order = create_purchase_order(actor=PROCUREMENT, vendor_id=world.ingram.pk, order_date=MARCH)
    PurchaseOrderLine.objects.create(
        purchase_order=order, position=1, product=licence, description="", quantity=1, unit_cost=1, addition=addition
    )
    with CaptureQueriesContext(connection) as queries:
        assert len(demand()) == 31
    assert len(queries) <= 6
