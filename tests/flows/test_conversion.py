"""Converting an opportunity: the agreement of what recurs, the sales order of what is bought, each line once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.agreements import queries as agreements
from counterfoil.agreements.models import Agreement
from counterfoil.core.errors import DomainError
from counterfoil.flows.conversion import convert_to_agreement, convert_to_sales_order
from counterfoil.orders import queries as orders
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.audit import broken_links, trail_of
from counterfoil.platform.commands import refusal_of
from counterfoil.quotes import queries as quotes
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity, lose_opportunity, remove_quote_line
from counterfoil.quotes.models import LineConversion, Opportunity

pytestmark = pytest.mark.django_db
TODAY = date(2026, 1, 5)


@pytest.fixture
def msp() -> World:
    return build_world()


def quote_lease(msp: World, *more: QuoteLineInput) -> Opportunity:
    """Server cost 3,600 without a price; 150 a month for 36 months without a cost."""
    return create_opportunity(
        actor=SALES,
        company_id=msp.acme.pk,
        name="Server lease",
        site_id=msp.acme.sites.get().pk,
        customer_po="4711",
        lines=[
            QuoteLineInput(msp.server_inventory.pk, unit_price=Decimal(0), unit_cost=Decimal(3600)),
            QuoteLineInput(
                msp.lease.pk, unit_price=Decimal(150), unit_cost=Decimal(0), cycles=36, start_date=date(2026, 1, 1)
            ),
            *more,
        ],
    )


def ids(opportunity: Opportunity) -> list[int]:
    return list(opportunity.lines.order_by("position").values_list("pk", flat=True))


def to_agreement(msp: World, opportunity: Opportunity, *line_ids: int, **options: object) -> Agreement:
    return convert_to_agreement(
        actor=SALES,
        opportunity_id=opportunity.pk,
        line_ids=line_ids,
        agreement_type_id=msp.haas.pk,
        on=TODAY,
        **options,  # type: ignore[arg-type]
    )


def to_order(opportunity: Opportunity, *line_ids: int) -> SalesOrder:
    return convert_to_sales_order(actor=SALES, opportunity_id=opportunity.pk, line_ids=line_ids, on=TODAY)


def test_a_lease_becomes_an_agreement_and_then_a_sales_order(msp: World) -> None:
    opportunity = quote_lease(msp)
    server, lease = ids(opportunity)

    agreement = to_agreement(msp, opportunity, lease)

    addition = agreement.additions.get()
    assert (agreement.name, agreement.billing_cycle, agreement.customer_po) == ("Server lease", "month:1", "4711")
    assert (agreement.bill_start_date, agreement.end_date) == (date(2026, 1, 1), date(2028, 12, 31))
    assert (agreement.tax_code, agreement.terms, agreement.bill_to) == (msp.tax6, msp.net30, msp.acme)
    assert (addition.quantity, addition.unit_price, addition.unit_cost) == (1, Decimal(150), 0)
    assert (addition.origin_id, addition.cancelled_date) == (lease, None)
    periods = agreements.periods(agreement, through=date(2040, 1, 1))
    assert len(periods) == 36
    assert {agreements.period_amount(agreement, period) for period in periods} == {Decimal("150.00")}

    opportunity.refresh_from_db()
    assert opportunity.status == "won"
    assert [line.pk for line in quotes.unconverted_lines(opportunity.pk)] == [server]

    order = to_order(opportunity, server)

    line = order.lines.get()
    assert (line.unit_price, line.unit_cost, line.origin_id) == (0, Decimal(3600), server)
    assert not quotes.unconverted_lines(opportunity.pk).exists()
    assert [row.conversion and row.conversion.target_number for row in quotes.line_rows(opportunity.pk)] == [
        order.number,
        agreement.number,
    ]
    assert [line.to_purchase for line in orders.demand()] == [1]
    assert f"converted Server as a service of {opportunity.number} to {agreement.number}" in [
        entry.sentence for entry in trail_of(opportunity)
    ]
    assert not list(broken_links())


def test_a_line_is_converted_once(msp: World) -> None:
    opportunity = quote_lease(msp)
    server, lease = ids(opportunity)
    agreement = to_agreement(msp, opportunity, lease)
    to_order(opportunity, server)

    with pytest.raises(DomainError, match=f"“Server as a service” \\(to {agreement.number}\\)") as refused:
        to_agreement(msp, opportunity, lease)
    assert refused.value.code == "already_converted"
    with pytest.raises(DomainError, match="converted once") as refused:
        to_order(opportunity, server)
    assert refused.value.code == "already_converted"
    assert (Agreement.objects.count(), SalesOrder.objects.count(), LineConversion.objects.count()) == (1, 1, 2)


def test_a_converted_line_is_locked(msp: World) -> None:
    opportunity = quote_lease(msp)
    _server, lease = ids(opportunity)
    to_agreement(msp, opportunity, lease)

    with pytest.raises(DomainError) as refused:
        remove_quote_line(actor=SALES, line_id=lease)
    assert refused.value.code == "already_converted"


@pytest.mark.parametrize(("chosen", "target"), [(0, "agreement"), (1, "order")])
def test_each_class_goes_where_it_belongs(msp: World, chosen: int, target: str) -> None:
    opportunity = quote_lease(msp)
    line_id = ids(opportunity)[chosen]

    with pytest.raises(DomainError) as refused:
        to_agreement(msp, opportunity, line_id) if target == "agreement" else to_order(opportunity, line_id)

    description = opportunity.lines.get(pk=line_id).description
    assert refused.value.code == "wrong_product_class"
    assert description in refused.value.message
    assert refused.value.hint
    assert not LineConversion.objects.exists()
    opportunity.refresh_from_db()
    assert opportunity.status == "open"


def test_an_empty_choice_is_refused(msp: World) -> None:
    opportunity = quote_lease(msp)
    for convert in (lambda: to_agreement(msp, opportunity), lambda: to_order(opportunity)):
        with pytest.raises(DomainError) as refused:
            convert()
        assert (refused.value.code, refused.value.field) == ("required", "line_ids")


def test_lines_of_another_opportunity_are_refused(msp: World) -> None:
    opportunity, other = quote_lease(msp), quote_lease(msp)
    with pytest.raises(DomainError) as refused:
        to_order(opportunity, ids(other)[0])
    assert refused.value.code == "not_found"


def test_a_lost_opportunity_is_not_converted(msp: World) -> None:
    opportunity = quote_lease(msp)
    lose_opportunity(actor=SALES, opportunity_id=opportunity.pk, reason="too dear")
    with pytest.raises(DomainError, match="is lost"):
        to_order(opportunity, ids(opportunity)[0])


def test_an_agreement_has_one_cycle(msp: World) -> None:
    yearly = QuoteLineInput(msp.lease.pk, description="Warranty", billing_cycle="yearly", cycles=3)
    opportunity = quote_lease(msp, yearly)
    _server, lease, warranty = ids(opportunity)

    with pytest.raises(DomainError, match="“Warranty” is billed yearly") as refused:
        to_agreement(msp, opportunity, lease, warranty)
    assert refused.value.code == "invalid"

    agreement = to_agreement(msp, opportunity, warranty, name="Warranty", start_date=date(2026, 3, 15))
    assert (agreement.billing_cycle, agreement.end_date) == ("year:1", date(2029, 3, 14))


def test_lines_of_different_terms_end_at_their_own_time(msp: World) -> None:
    short = QuoteLineInput(msp.lease.pk, description="Loaner", cycles=3, start_date=date(2026, 1, 1))
    opportunity = quote_lease(msp, short)
    agreement = to_agreement(msp, opportunity, *ids(opportunity)[1:])

    assert agreement.end_date == date(2028, 12, 31)
    assert [addition.cancelled_date for addition in agreement.additions.order_by("position")] == [
        None,
        date(2026, 3, 31),
    ]
    march, april = agreements.periods(agreement, through=date(2026, 4, 1))[2:]
    assert agreements.period_amount(agreement, march) == Decimal("300.00")
    assert agreements.period_amount(agreement, april) == Decimal("150.00")


def test_an_open_ended_line_makes_an_agreement_without_an_end(msp: World) -> None:
    forever = QuoteLineInput(msp.lease.pk, description="Monitoring")
    opportunity = quote_lease(msp, forever)
    agreement = to_agreement(msp, opportunity, *ids(opportunity)[1:])

    assert agreement.end_date is None
    assert [addition.cancelled_date for addition in agreement.additions.order_by("position")] == [
        date(2028, 12, 31),
        None,
    ]


def test_billing_may_begin_later_than_the_agreement_and_still_runs_its_cycles(msp: World) -> None:
    opportunity = quote_lease(msp)
    agreement = to_agreement(msp, opportunity, ids(opportunity)[1], first_billing_date=date(2026, 2, 1))

    assert (agreement.start_date, agreement.bill_start_date) == (date(2026, 1, 1), date(2026, 2, 1))
    assert agreement.end_date == date(2029, 1, 31)
    assert len(agreements.periods(agreement, through=date(2040, 1, 1))) == 36


def test_who_does_not_sell_does_not_convert(msp: World) -> None:
    opportunity = quote_lease(msp)
    with pytest.raises(DomainError) as refused:
        convert_to_sales_order(
            actor=PROCUREMENT, opportunity_id=opportunity.pk, line_ids=ids(opportunity)[:1], on=TODAY
        )
    assert refused.value.code == "role_required"


def test_the_database_itself_refuses_a_second_conversion(msp: World) -> None:
    """The unique constraint stands behind the lock; losing on it is told in the same words."""
    line = quote_lease(msp).lines.get(position=1)

    def convert_behind_the_back() -> None:
        LineConversion.objects.create(
            line=line,
            target="sales_order",
            target_id=1,
            target_number="SO-0001",
            converted_at=Now(),
            converted_by="Mallory",
        )

    convert_behind_the_back()
    with pytest.raises(DatabaseError) as lost, transaction.atomic():
        convert_behind_the_back()
    assert refusal_of(lost.value).code == "already_converted"
