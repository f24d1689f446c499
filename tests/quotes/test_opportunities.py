"""Opportunities: what is quoted, what it is worth, and what can no longer be changed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.world import PROCUREMENT, SALES, World, build_world

from counterfoil.catalog.models import Category, Product
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.quotes import queries
from counterfoil.quotes.commands import (
    QuoteLineInput,
    add_quote_line,
    create_opportunity,
    lose_opportunity,
    remove_quote_line,
    reopen_opportunity,
    reorder_quote_lines,
    update_opportunity,
    update_quote_line,
    win_opportunity,
)
from counterfoil.quotes.models import Opportunity

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


@pytest.fixture
def opportunity(msp: World) -> Opportunity:
    return create_opportunity(actor=SALES, company_id=msp.acme.pk, name="Server lease")


def money(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(amount) for amount in amounts)


def test_a_line_takes_what_is_not_given_from_the_product(msp: World, opportunity: Opportunity) -> None:
    server = add_quote_line(
        actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.server_inventory.pk, Decimal(2))
    )
    lease = add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk))
    assert (server.description, server.unit_cost, server.unit_price, server.billing_cycle) == (
        "Rack server",
        Decimal(3600),
        0,
        "",
    )
    assert (lease.unit_price, lease.billing_cycle, lease.is_recurring) == (Decimal(150), "month:1", True)
    assert [(row.amount, row.cost, row.recurrence) for row in queries.line_rows(opportunity.pk)] == [
        (*money("0.00", "7200.00"), "Once"),
        (*money("150.00", "0.00"), "Monthly, open-ended"),
    ]
    assert f"quoted 2 × SRV-INV at 0.00 (cost 3,600.00) on {opportunity.number}" in [
        entry.sentence for entry in trail_of(opportunity)
    ]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"quantity": Decimal(0)}, "lines[0].quantity"),
        ({"quantity": Decimal(-1)}, "lines[0].quantity"),
        ({"unit_price": Decimal(-1)}, "lines[0].unit_price"),
        ({"unit_cost": Decimal("-0.01")}, "lines[0].unit_cost"),
        ({"unit_cost": Decimal("0.000000001")}, "lines[0].unit_cost"),
        ({"description": " "}, "lines[0].description"),
        ({"billing_cycle": "month:1"}, "lines[0].billing_cycle"),
        ({"cycles": 36}, "lines[0].billing_cycle"),
        ({"product_id": 999_999}, "lines[0].product_id"),
    ],
)
def test_lines_that_are_refused(msp: World, opportunity: Opportunity, given: dict[str, object], field: str) -> None:
    fields: dict[str, object] = {"product_id": msp.server_inventory.pk} | given
    with pytest.raises(DomainError) as refused:
        add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(**fields))  # type: ignore[arg-type]
    assert refused.value.field == field
    assert not opportunity.lines.exists()


def test_a_recurring_line_runs_for_whole_cycles(msp: World, opportunity: Opportunity) -> None:
    for given, field in (({"cycles": 0}, "cycles"), ({"billing_cycle": "often"}, "billing_cycle")):
        with pytest.raises(DomainError) as refused:
            add_quote_line(
                actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk, **given)  # type: ignore[arg-type]
            )  # fmt: skip
        assert refused.value.field == f"lines[0].{field}"


@pytest.mark.parametrize("customer", ["my_company", "ingram"])
def test_nothing_is_sold_to_my_company_or_a_vendor(msp: World, customer: str) -> None:
    with pytest.raises(DomainError) as refused:
        create_opportunity(actor=SALES, company_id=getattr(msp, customer).pk, name="Servers")
    assert refused.value.code == {"my_company": "my_company_not_billable", "ingram": "invalid"}[customer]
    assert not Opportunity.objects.exists()


def test_an_internal_company_is_quoted_at_zero_price_only(msp: World) -> None:
    inside = create_opportunity(actor=SALES, company_id=msp.internal.pk, name="Spare server")
    with pytest.raises(DomainError) as refused:
        add_quote_line(actor=SALES, opportunity_id=inside.pk, line=QuoteLineInput(msp.lease.pk))
    assert refused.value.code == "price_on_internal_company"
    add_quote_line(actor=SALES, opportunity_id=inside.pk, line=QuoteLineInput(msp.server_inventory.pk))


def test_the_site_and_contact_are_the_customers_own(msp: World) -> None:
    for field in ("site_id", "contact_id"):
        with pytest.raises(DomainError) as refused:
            create_opportunity(
                actor=SALES, company_id=msp.acme.pk, name="Servers", **{field: msp.globex.sites.get().pk}  # type: ignore[arg-type]
            )  # fmt: skip
        assert (refused.value.code, refused.value.field) == ("not_found", field)


def test_lines_change_and_go_while_the_opportunity_is_open(msp: World, opportunity: Opportunity) -> None:
    first, second, third = (
        add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk, description=name))
        for name in ("First", "Second", "Third")
    )
    update_quote_line(actor=SALES, line_id=first.pk, quantity=Decimal(3), cycles=36, start_date=date(2026, 1, 1))
    reorder_quote_lines(actor=SALES, opportunity_id=opportunity.pk, line_ids=[third.pk, first.pk, second.pk])
    remove_quote_line(actor=SALES, line_id=second.pk)
    assert [(line.description, line.quantity) for line in queries.lines(opportunity.pk)] == [("Third", 1), ("First", 3)]
    with pytest.raises(DomainError, match="every line"):
        reorder_quote_lines(actor=SALES, opportunity_id=opportunity.pk, line_ids=[third.pk])
    added = add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk))
    assert added.position == 3
    assert "quantity from 1 to 3, cycles from none to 36, start date from none to 1 Jan 2026" in (
        trail_of(opportunity).get(verb="quotes.line.changed").sentence
    )


def test_a_deal_is_won_or_lost_and_a_lost_one_can_be_taken_up_again(msp: World, opportunity: Opportunity) -> None:
    with pytest.raises(DomainError, match="nothing was sold"):
        win_opportunity(actor=SALES, opportunity_id=opportunity.pk)
    line = add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk))

    lose_opportunity(actor=SALES, opportunity_id=opportunity.pk, reason="too dear")
    with pytest.raises(DomainError) as refused:
        update_quote_line(actor=SALES, line_id=line.pk, quantity=Decimal(2))
    assert (refused.value.code, refused.value.hint) == ("wrong_state", "Reopen it first.")
    with pytest.raises(DomainError) as refused:
        win_opportunity(actor=SALES, opportunity_id=opportunity.pk)
    assert refused.value.message == f"{opportunity.number} is lost; it cannot become won."

    reopen_opportunity(actor=SALES, opportunity_id=opportunity.pk)
    update_quote_line(actor=SALES, line_id=line.pk, quantity=Decimal(2))
    win_opportunity(actor=SALES, opportunity_id=opportunity.pk)
    for deed in (
        lambda: update_quote_line(actor=SALES, line_id=line.pk, quantity=Decimal(1)),
        lambda: remove_quote_line(actor=SALES, line_id=line.pk),
        lambda: add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk)),
        lambda: lose_opportunity(actor=SALES, opportunity_id=opportunity.pk),
    ):
        with pytest.raises(DomainError) as refused:
            deed()
        assert refused.value.code == "wrong_state"
    update_opportunity(actor=SALES, opportunity_id=opportunity.pk, notes="Signed on paper")


def test_who_buys_does_not_quote(msp: World, opportunity: Opportunity) -> None:
    with pytest.raises(DomainError) as refused:
        add_quote_line(actor=PROCUREMENT, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk))
    assert refused.value.code == "role_required"


# -- what it is worth --------------------------------------------------------------------------------------------------


def test_we_27_forecast_of_revenue_cost_and_profit(msp: World, opportunity: Opportunity) -> None:
    """WE-27: cost 6,300, revenue 11,000, profit 4,700."""
    labor = Product.objects.create(
        identifier="LAB", description="Installation", product_class="Service", accounting_type="Service",
        category=Category.objects.get(name="Labor"),
    )  # fmt: skip
    for product, price, cost in ((msp.server_noninventory, "6500", "4200"), (labor, "4500", "2100")):
        add_quote_line(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line=QuoteLineInput(product.pk, unit_price=Decimal(price), unit_cost=Decimal(cost)),
        )
    totals = queries.totals(opportunity.pk)
    assert (totals.cost, totals.revenue, totals.profit) == money("6300.00", "11000.00", "4700.00")
    assert totals.margin == Decimal("42.7")


def test_a_lease_is_worth_its_months_less_its_server(msp: World, opportunity: Opportunity) -> None:
    for line in (
        QuoteLineInput(msp.server_inventory.pk),
        QuoteLineInput(msp.lease.pk, cycles=36),
        QuoteLineInput(msp.lease.pk, unit_price=Decimal(100), unit_cost=Decimal(40), billing_cycle="quarterly"),
        QuoteLineInput(msp.lease.pk, unit_price=Decimal(120), billing_cycle="yearly", cycles=3),
    ):
        add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=line)
    totals = queries.totals(opportunity.pk)
    assert (totals.one_time_revenue, totals.one_time_cost) == money("0.00", "3600.00")
    assert (totals.monthly_revenue, totals.monthly_cost) == money("193.33", "13.33")  # 150 + 100/3 + 120/12
    assert (totals.term_revenue, totals.term_cost) == money("5760.00", "0.00")  # 36 × 150 + 3 × 120
    assert (totals.revenue, totals.cost, totals.profit, totals.open_ended) == (
        *money("5760.00", "3600.00", "2160.00"),
        True,
    )


def test_weeks_are_reckoned_with_the_mean_month(msp: World, opportunity: Opportunity) -> None:
    line = QuoteLineInput(msp.lease.pk, unit_price=Decimal(7), billing_cycle="weekly")
    add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=line)
    assert queries.totals(opportunity.pk).monthly_revenue == Decimal("30.44")  # 365.2425 / 12 days


def test_nothing_quoted_is_worth_nothing(opportunity: Opportunity) -> None:
    totals = queries.totals(opportunity.pk)
    assert (totals.revenue, totals.margin) == (0, None)


def test_the_list_counts_lines_and_what_is_left_in_one_query(msp: World, opportunity: Opportunity) -> None:
    add_quote_line(actor=SALES, opportunity_id=opportunity.pk, line=QuoteLineInput(msp.lease.pk))
    create_opportunity(actor=SALES, company_id=msp.globex.pk, name="Switches")
    with CaptureQueriesContext(connection) as captured:
        rows = [(row.name, row.company.name, row.line_count, row.unconverted_count) for row in queries.opportunities()]
    assert rows == [("Switches", "Globex Ltd", 0, 0), ("Server lease", "Acme Corp", 1, 1)]
    assert len(captured) == 1
    assert [row.name for row in queries.opportunities(search="acme lease")] == ["Server lease"]
    assert not queries.opportunities(status="won").exists()
