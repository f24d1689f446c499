"""Renewals through the pages: the calendar, its feed, one anniversary; and the rules of conversion."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.test import Client
from django.utils import timezone
from tests.accepted import accepted, by, convert, m365, of
from tests.web.pages import done, lines, post, sign_in, text_of
from tests.world import World

from counterfoil.agreements.models import Addition
from counterfoil.core.calendar import add_months
from counterfoil.flows.renewal_calendar import calendar_secret, entries
from counterfoil.platform.identity import Role
from counterfoil.quotes.models import ConversionRule, Quote

D = Decimal


@pytest.fixture(autouse=True)
def sales(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)


@pytest.fixture
def running(world: World) -> Addition:
    """Ten licences for a year that has seven weeks left."""
    start = add_months(timezone.localdate() + timedelta(days=49), -12)
    (agreement,) = convert(accepted(world, [by(m365(world)["billed monthly"], 10)]), start).agreements
    return agreement.additions.get()


def test_the_calendar_tells_what_ends_and_what_to_do(client: Client, world: World, running: Addition) -> None:
    page = text_of(client.get("/renewals/"))
    assert f"Renewal: {running.agreement.number}" in page
    assert "10 × Microsoft 365 Business Premium" in page
    assert "Make the renewal quote: billing ends with" in page
    assert "Last day for changes" in page
    assert "231.00" in page
    assert "Nothing comes to its end" in text_of(client.get("/renewals/?from=2040-01-01"))


def test_one_click_makes_the_renewal_quote_and_the_calendar_knows_it(client: Client, running: Addition) -> None:
    where = done(post(client, "/renewals/quote/", addition=running.pk))
    quote = Quote.objects.get(kind="renewal")
    assert where == f"/quotes/{quote.pk}/"
    assert quote.number in text_of(client.get("/renewals/"))
    assert post(client, "/renewals/quote/", addition=running.pk).status_code == 409


def test_entries_of_an_agreement(world: World, running: Addition) -> None:
    end = running.committed_through
    assert end is not None
    rows = [(entry.kind, entry.day) for entry in entries(since=running.effective_date, until=end)]
    assert rows == [("window", running.effective_date + timedelta(days=6)), ("renewal", end), ("notice", end)]
    renewal = entries(since=end, until=end)[0]
    assert (renewal.monthly, renewal.addition_ids, renewal.company) == (D("231.00"), (running.pk,), "Acme Corp")
    assert entries(since=end, until=end, company_id=world.globex.pk) == []
    assert entries(since=end + timedelta(days=1), until=date(2090, 1, 1)) == []


def test_the_feed_is_read_by_whoever_knows_its_address_and_by_nobody_else(client: Client, running: Addition) -> None:
    outside = Client()
    assert outside.get("/calendar/.ics").status_code == 404
    assert outside.get("/calendar/guess.ics").status_code == 404
    done(post(client, "/renewals/address/"))
    address = f"/calendar/{calendar_secret()}.ics"
    answer = outside.get(address)
    text = answer.content.decode()
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    assert text.startswith("BEGIN:VCALENDAR\r\n")
    assert f"SUMMARY:Renewal: Acme Corp\\, {running.agreement.number}" in text
    assert f"DTSTART;VALUE=DATE:{running.committed_through:%Y%m%d}" in text
    assert "23.10" not in text

    done(post(client, "/renewals/address/"))
    assert outside.get(address).status_code == 404
    former = calendar_secret()
    done(post(client, "/renewals/address/close/"))
    assert outside.get(f"/calendar/{former}.ics").status_code == 404


def test_only_sellers_give_the_calendar_an_address(client: Client, running: Addition) -> None:
    sign_in(client, Role.VIEWER)
    assert "Make an address" not in client.get("/renewals/").content.decode()
    assert post(client, "/renewals/address/").status_code == 403


def test_what_waits_for_its_delivery_is_listed(client: Client, world: World) -> None:
    lease = of(world.lease, 1, "150", billing_cycle="month:1", cycles=36, start_policy="on_delivery")
    version = accepted(world, [of(world.server_inventory, 1), lease])
    convert(version)
    page = text_of(client.get("/renewals/"))
    assert "Wait for their delivery" in page
    assert version.quote.number in page
    where = done(post(client, "/renewals/start-delivered/"))
    assert "Nothing has been delivered since." in text_of(client.get(where))


def test_one_anniversary_shows_its_cost_and_makes_the_quote(client: Client, world: World, running: Addition) -> None:
    end = running.committed_through
    assert end is not None
    later = add_months(end + timedelta(days=1), 1)
    page = text_of(client.get(f"/renewals/one-anniversary/?addition={running.pk}&end={later}"))
    assert "231.00" in page
    done(post(client, "/renewals/one-anniversary/", addition=running.pk, end=later.isoformat()))
    assert Quote.objects.filter(kind="coterm").count() == 1
    early = f"/renewals/one-anniversary/?addition={running.pk}&end={end - timedelta(days=40)}"
    assert "Cannot come along" in text_of(client.get(early))


def test_conversion_rules_are_seen_and_changed(client: Client, world: World) -> None:
    page = text_of(client.get("/conversion-rules/"))
    assert "Managed service" in page
    done(
        post(
            client,
            "/conversion-rules/",
            lines(
                {"target": "agreement", "recurring": "yes", "agreement_type_id": str(world.haas.pk)},
                {"target": "sales_order", "product_class": "Inventory"},
                {"target": ""},
            ),
        )
    )
    rows = [(rule.target, rule.recurring, rule.product_class) for rule in ConversionRule.objects.all()]
    assert rows == [("agreement", True, ""), ("sales_order", None, "Inventory")]
    answer = post(client, "/conversion-rules/", lines({"target": "agreement"}))
    assert answer.status_code == 422
    assert "Choose the agreement" in text_of(answer)
    assert ConversionRule.objects.count() == 2
