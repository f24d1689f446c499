"""The first page, who may open pages at all, and what a refusal looks like."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from tests.web.deal import convert, quote, whole
from tests.world import FINANCE, World

from counterfoil.billing import commands as billing
from counterfoil.companies.models import MspSettings
from counterfoil.core.calendar import add_months, month_start
from counterfoil.flows import overview
from counterfoil.platform.models import AuditEntry, User

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """What one test's installation left in the cache is no other's."""
    yield
    cache.clear()


def sign_in(client: Client, *roles: str) -> Client:
    client.force_login(User.objects.create_user(f"{roles[0]}@northwind.example", name="Dana Reyes", roles=list(roles)))
    return client


def text(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.decode()).split())


def waiting(page: bytes) -> list[str]:
    found = re.search(r'<ul class="cf-waiting">(.*?)</ul>', page.decode(), re.S)
    return [text(item.encode()) for item in re.findall(r"<li>(.*?)</li>", found[1], re.S)] if found else []


def test_a_new_installation_shows_the_first_steps(world: World, client: Client) -> None:
    page = sign_in(client, "owner").get("/").content

    assert "First steps 2 of 4 done" in text(page)  # the world has products and companies
    assert "New opportunity" in text(page)
    assert "My Company" in text(page)


def test_each_role_sees_the_work_that_is_its_own(world: World, client: Client) -> None:
    convert(quote(world, 2))

    assert waiting(sign_in(Client(), "procurement").get("/").content) == ["Line to buy 1"]
    finance = waiting(sign_in(Client(), "finance").get("/").content)
    assert "Agreement to invoice 1" in finance
    assert not any("to buy" in each for each in finance)
    assert waiting(sign_in(Client(), "sales").get("/").content) == []  # the opportunity was won
    assert "Line to buy 1" in waiting(sign_in(Client(), "viewer").get("/").content)


def test_money_of_the_month_is_counted_once(world: World) -> None:
    deal = convert(quote(world, 1))
    assert deal.agreement is not None
    on = date(2026, 3, 10)
    run = billing.invoice_agreements_through(actor=FINANCE, through=date(2026, 2, 1))
    for invoice in run.invoices:
        billing.close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=timezone.now())
    billing.record_payment(actor=FINANCE, company_id=world.acme.pk, on=date(2026, 3, 2), amount=run.invoices[0].total)

    money = overview.money_this_month(on)

    assert (money.billed, money.collected, money.payments) == (0, 159, 1)
    assert (money.overdue, money.late_invoices, money.late_customers) == (159, 1, 1)  # February, due on 3 March
    assert (money.unbilled, money.unbilled_agreements) == (150, 1)  # March
    assert overview.money_this_month(date(2026, 2, 3)).billed == 150


def test_recurring_revenue_begins_with_the_agreement(world: World) -> None:
    convert(quote(world, 1))

    months = dict(overview.recurring_by_month(date(2026, 3, 10)))

    assert len(months) == 12
    assert months[date(2025, 12, 1)] == 0
    assert [months[date(2026, month, 1)] for month in (1, 2, 3)] == [150, 150, 150]


def test_profit_by_month_is_that_of_the_books(world: World) -> None:
    whole(world, 1)  # the cost of 3,600.00 was expensed, and 150.00 of rent booked, in January

    rows = {row.month: (row.revenue, row.profit) for row in overview.profit_by_month(date(2026, 3, 10))}

    assert rows[date(2026, 1, 1)] == (150, -3450)
    assert rows[date(2026, 2, 1)] == (0, 0)


def test_the_plots_carry_twelve_months(world: World, client: Client) -> None:
    convert(quote(world, 1))
    page = sign_in(client, "owner").get("/").content.decode()

    for block in ("mrr-data", "profit-data"):
        found = re.search(rf'<script id="{block}" type="application/json">(.*?)</script>', page, re.S)
        assert found
        plot: dict[str, Any] = json.loads(found[1])
        assert len(plot["labels"]) == 12
        assert all(len(series["values"]) == 12 for series in plot["series"])
    today = timezone.now().date()
    first = add_months(month_start(today), -11)
    assert f"{first:%b} {first.year}" in page


def test_home_needs_few_queries(
    world: World, client: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    whole(world)
    sign_in(client, "owner")
    client.get("/")
    with django_assert_max_num_queries(40):
        assert client.get("/").status_code == 200


# -- for every page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/", "/invoices/", "/lease-economics/", "/audit/", "/people/", "/api-tokens/"])
def test_pages_are_for_people_who_are_signed_in(client: Client, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=")

    part = client.get(address, headers={"HX-Request": "true"})
    assert part.headers["HX-Redirect"].startswith("/accounts/login/")


def test_instants_are_shown_where_the_msp_is(world: World, client: Client) -> None:
    sign_in(client, "owner")
    MspSettings.objects.update_or_create(id=1, defaults={"time_zone": "Asia/Tokyo"})
    client.get("/audit/")
    MspSettings.objects.get().save()  # what was kept of the old zone is forgotten
    entry = client.get("/audit/").content.decode()
    at = AuditEntry.objects.order_by("-seq")[0].at
    assert f"{timezone.localtime(at, timezone.get_fixed_timezone(9 * 60)):%H:%M}" in entry


def test_a_refusal_nobody_caught_is_a_page_with_its_status(world: World, client: Client) -> None:
    sign_in(client, "sales")
    refused = client.get("/people/", headers={"Referer": "http://testserver/audit/"})
    assert refused.status_code == 403
    assert "That was not done" in refused.content.decode()
    assert 'href="http://testserver/audit/"' in refused.content.decode()
    elsewhere = client.get("/people/", headers={"Referer": "https://elsewhere.example/"})
    assert "elsewhere.example" not in elsewhere.content.decode()

    part = client.get("/people/", headers={"HX-Request": "true"})
    assert part.status_code == 403
    assert "takes the role owner" in json.loads(part.headers["HX-Trigger"])["counterfoil:toast"]["text"]
