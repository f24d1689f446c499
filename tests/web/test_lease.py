"""Lease economics as a page: any lease, and a real one beside what its terms foretold."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from tests.scenarios.test_lease_story import PEOPLE, plan_of
from tests.world import World

from counterfoil.flows.haas_lease import Lease, LeaseOption, bill_month, run_lease, start_lease, transfer_unposted
from counterfoil.platform.models import User

pytestmark = pytest.mark.django_db

PAGE = "/lease-economics/"
SERVER = {"cost": "3600", "price": "150", "months": "36", "life": "36", "start": "2026-01-01", "tax": "6"}
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(User.objects.create_user("vic@northwind.example", name="Vic Viewer", roles=["viewer"]))
    return client


def text(page: str) -> str:
    """What is read on a page, blanks made one."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def plot_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script id="lease-data" type="application/json">(.*?)</script>', page, re.S)
    assert found
    plot: dict[str, Any] = json.loads(found[1])
    return plot


def series(page: str, key: str) -> list[Decimal | None]:
    values = next(each["values"] for each in plot_of(page)["series"] if each["key"] == key)
    return [None if value is None else Decimal(value) for value in values]


def test_the_server_of_3600_at_150_a_month_is_the_worked_table(viewer: Client) -> None:
    page = viewer.get(PAGE, SERVER).content.decode()

    one, two = series(page, "option1"), series(page, "option2")
    assert (len(one), one[0], one[1], one[11], one[23], one[35]) == (36, -3450, -3300, -1800, 0, 1800)
    assert (two[0], two[1], two[11], two[23], two[35]) == (50, 100, 600, 1200, 1800)
    assert series(page, "net_book_value")[:2] == [3500, 3400]
    assert series(page, "cash")[:2] == [150, -3300]
    shown = text(page)
    assert "The customer is billed 159.00 a month: 150.00 and 9.00 of sales tax" in shown
    assert "Dec 2027" in shown
    assert "month 24 of 36" in shown
    assert "By these tests it looks like one" in shown
    assert "4,786.77" in shown


def test_at_every_month_end_the_difference_is_the_net_book_value(viewer: Client) -> None:
    page = viewer.get(PAGE, {**SERVER, "method": "declining_balance_200", "life": "48"}).content.decode()

    one, two, book = (series(page, key) for key in ("option1", "option2", "net_book_value"))
    assert len(one) == 48
    assert [b - a for a, b in zip(one, two, strict=True) if a is not None and b is not None] == book


def test_macrs_takes_its_own_convention_unless_another_is_asked_for(viewer: Client) -> None:
    usual = viewer.get(PAGE, {**SERVER, "method": "macrs_5"})
    assert usual.status_code == 200
    assert series(usual.content.decode(), "net_book_value")[11] == Decimal("2880.00")

    wrong = viewer.get(PAGE, {**SERVER, "method": "macrs_5", "convention": "full_month"})
    assert wrong.status_code == 422
    assert "MACRS uses the half-year or the mid-quarter convention." in error_beside(
        "convention", wrong.content.decode()
    )


def error_beside(field: str, page: str) -> str:
    found = re.search(rf'id="id_{field}_error"[^>]*>(.*?)</div>\s*(?:</div>|<)', page, re.S)
    assert found
    return text(found[1])


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cost", "lots", "is not a number"),
        ("cost", "-1", "not below zero"),
        ("price", "", "required"),
        ("months", "0", "greater than or equal to 1"),
        ("salvage", "9999", "more than the cost"),
        ("tax", "120", "between 0 and 100"),
        ("rate", "x", "is not a number"),
        ("start", "someday", "valid date"),
    ],
)
def test_bad_input_is_said_beside_its_field_and_the_last_result_stays(
    viewer: Client, field: str, value: str, said: str
) -> None:
    changed = viewer.get(PAGE, {**SERVER, field: value}, headers={"HX-Request": "true"})

    assert changed.status_code == 422
    assert changed.headers["HX-Reswap"] == "none"
    assert changed.headers["HX-Replace-Url"] == "false"
    page = changed.content.decode()
    assert said in error_beside(field, page)
    assert "lease-data" not in page

    whole = viewer.get(PAGE, {**SERVER, field: value})
    assert whole.status_code == 422
    assert said in error_beside(field, whole.content.decode())
    assert "the usual lease is shown" in text(whole.content.decode())


def test_a_change_sends_the_result_alone_and_lifts_old_errors(viewer: Client) -> None:
    page = viewer.get(
        PAGE, {**SERVER, "cost": "1,800.00", "price": "75"}, headers={"HX-Request": "true"}
    ).content.decode()

    assert "<html" not in page
    assert series(page, "option1")[35] == 900
    assert re.search(r'id="id_cost_error"[^>]*hx-swap-oob="true"></div>', page)


def test_the_table_is_downloaded_with_the_same_figures(viewer: Client) -> None:
    answer = viewer.get(PAGE, {**SERVER, "export": "csv"})

    assert answer["Content-Disposition"] == 'attachment; filename="lease-economics.csv"'
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert rows[0][0] == "Month"
    assert len(rows) == 37
    january = dict(zip(rows[0], rows[1], strict=True))
    assert january["Option 1: profit"] == "-3450.00"
    assert january["Option 2: net book value"] == "3500.00"


def run(world: World, option: LeaseOption, months: int) -> Lease:
    return run_lease(plan_of(world, option), PEOPLE, through=date(2026, months, 1), now=NOW)


@pytest.mark.parametrize(
    ("option", "booked_as"), [(LeaseOption.NON_INVENTORY, "Option 1"), (LeaseOption.DIRECT, "Option 2")]
)
def test_a_real_lease_is_as_foretold(world: World, viewer: Client, option: LeaseOption, booked_as: str) -> None:
    lease = run(world, option, 3)

    page = viewer.get(f"{PAGE}agreements/{lease.agreement.pk}/").content.decode()

    assert booked_as in text(page)
    assert "All 3 booked months are exactly what the terms foretold." in text(page)
    assert "is-diff" not in page
    key, first = ("option1", -3450) if booked_as == "Option 1" else ("option2", 50)
    assert series(page, key)[0] == first
    assert series(page, key)[3:] == [None] * 33
    assert len(series(page, "foretold")) == 36


def test_what_differs_from_the_terms_is_marked(world: World, viewer: Client) -> None:
    lease = run(world, LeaseOption.DIRECT, 2)
    bill_month(lease, PEOPLE, month=date(2026, 3, 1), now=NOW)
    transfer_unposted(through=date(2026, 3, 31), people=PEOPLE, now=NOW)

    page = viewer.get(f"{PAGE}agreements/{lease.agreement.pk}/").content.decode()

    assert "1 of 3 booked months differs from what the terms foretold" in text(page)
    assert page.count("is-diff") == 4  # profit, profit so far, net book value, cash: not depreciated, not paid


def test_nothing_booked_is_said_so_and_others_are_no_leases(world: World, viewer: Client) -> None:
    lease = start_lease(plan_of(world, LeaseOption.NON_INVENTORY), PEOPLE)
    assert (
        "Nothing of this lease is in the books yet"
        in viewer.get(f"{PAGE}agreements/{lease.agreement.pk}/").content.decode()
    )
    assert viewer.get(f"{PAGE}agreements/999999/").status_code == 404
    assert viewer.get(PAGE, {"agreement": lease.agreement.pk})["Location"] == f"{PAGE}agreements/{lease.agreement.pk}/"


def test_the_pages_need_few_queries(
    world: World, viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    lease = run(world, LeaseOption.INVENTORY, 3)
    with django_assert_max_num_queries(30):
        viewer.get(PAGE, SERVER)
    with django_assert_max_num_queries(48):
        viewer.get(f"{PAGE}agreements/{lease.agreement.pk}/")
