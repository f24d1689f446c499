"""Two people convert the same quote line at the same moment: one gets the document, the other a clear refusal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.racing import at_once, refusals
from tests.world import SALES, World, build_world

from counterfoil.agreements.models import Agreement
from counterfoil.flows.conversion import convert_to_agreement, convert_to_sales_order
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.audit import broken_links
from counterfoil.platform.models import NumberSequence
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity
from counterfoil.quotes.models import LineConversion, Opportunity

pytestmark = pytest.mark.django_db(transaction=True)
TODAY = date(2026, 1, 5)


@pytest.fixture
def msp() -> World:
    return build_world()


@pytest.fixture
def opportunity(msp: World) -> Opportunity:
    return create_opportunity(
        actor=SALES,
        company_id=msp.acme.pk,
        name="Server lease",
        lines=[
            QuoteLineInput(msp.server_inventory.pk, unit_cost=Decimal(3600)),
            QuoteLineInput(msp.lease.pk, unit_price=Decimal(150), cycles=36),
        ],
    )


def test_one_sales_order_however_many_convert(opportunity: Opportunity) -> None:
    people = 5
    server = opportunity.lines.get(position=1)

    def convert() -> SalesOrder:
        return convert_to_sales_order(actor=SALES, opportunity_id=opportunity.pk, line_ids=[server.pk], on=TODAY)

    results = at_once(*[convert] * people)

    (order,) = (result for result in results if isinstance(result, SalesOrder))
    assert [refusal.code for refusal in refusals(results)] == ["already_converted"] * (people - 1)
    assert all(order.number in refusal.message for refusal in refusals(results))
    assert SalesOrder.objects.count() == LineConversion.objects.count() == 1
    assert NumberSequence.objects.get(name="sales_order").next_value == 2  # the losers left no hole
    assert not list(broken_links())


def test_one_agreement_of_two_overlapping_choices(msp: World, opportunity: Opportunity) -> None:
    lease = opportunity.lines.get(position=2)

    def convert() -> Agreement:
        return convert_to_agreement(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line_ids=[lease.pk],
            agreement_type_id=msp.haas.pk,
            on=TODAY,
        )

    results = at_once(convert, convert)

    assert [refusal.code for refusal in refusals(results)] == ["already_converted"]
    assert Agreement.objects.get().additions.count() == 1


def test_different_lines_at_once_both_go_through(msp: World, opportunity: Opportunity) -> None:
    server, lease = opportunity.lines.order_by("position")
    results = at_once(
        lambda: convert_to_sales_order(actor=SALES, opportunity_id=opportunity.pk, line_ids=[server.pk], on=TODAY),
        lambda: convert_to_agreement(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line_ids=[lease.pk],
            agreement_type_id=msp.haas.pk,
            on=TODAY,
        ),
    )
    assert not refusals(results)
    assert LineConversion.objects.count() == 2
