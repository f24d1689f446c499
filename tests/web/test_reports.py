"""Pages of reports: the figures of the leased server, each with the way to its entries."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from tests.kept_rows import built_once
from tests.web import deal as deals
from tests.web.deal import Deal
from tests.web.pages import sign_in
from tests.web.test_books import MOST_QUERIES, page_of
from tests.world import World

from counterfoil.accounting.reports import REPORTS
from counterfoil.platform.identity import Role
from counterfoil.web.views.reports import QUESTIONS


@pytest.fixture
def deal(db: None) -> Deal:
    return deals.whole_at_once()


@pytest.fixture
def capitalised(db: None) -> Deal:
    return built_once("a deal with its asset", lambda: deals.capitalise(deals.whole_at_once()))


def test_the_index_names_every_report(client: Client, world: World) -> None:
    sign_in(client, Role.VIEWER)
    page = page_of(client, "reports")
    assert set(QUESTIONS) == set(REPORTS)
    for name, report in REPORTS.items():
        assert f'href="{reverse("web:report", args=[name])}"' in page
        assert report.description in page


@pytest.mark.parametrize("name", list(REPORTS))
def test_a_report_opens_empty(client: Client, world: World, name: str) -> None:
    sign_in(client, Role.VIEWER)
    page_of(client, "report", name)


@pytest.mark.parametrize("name", list(REPORTS))
def test_a_report_opens_filled_in_few_queries(
    client: Client, capitalised: Deal, name: str, django_assert_max_num_queries: Any
) -> None:
    sign_in(client, Role.VIEWER)
    with django_assert_max_num_queries(MOST_QUERIES):
        page_of(client, "report", name)


def test_every_figure_of_profit_and_loss_opens_its_entries(client: Client, deal: Deal) -> None:
    sign_in(client, Role.VIEWER)
    page = page_of(client, "report", "profit-and-loss", **{"from": "2026-01-01", "to": "2026-02-28"})
    january = "/reports/general-ledger/?account=4010&amp;from=2026-01-01&amp;to=2026-01-31"
    both = "/reports/general-ledger/?account=4010&amp;from=2026-01-01&amp;to=2026-02-28"
    assert f'<a href="{january}">' in page
    assert f'<a href="{both}">' in page
    entries = page_of(
        client, "report", "general-ledger", **{"account": "4010", "from": "2026-01-01", "to": "2026-01-31"}
    )
    assert "150.00" in entries
    assert "1 lines" in entries


def test_a_balance_opens_everything_up_to_its_day(client: Client, deal: Deal) -> None:
    sign_in(client, Role.VIEWER)
    page = page_of(client, "report", "balance-sheet", **{"from": "2026-01-01", "to": "2026-01-31"})
    assert "/reports/general-ledger/?account=1100&amp;to=2026-01-31" in page
    page = page_of(client, "report", "trial-balance", as_of="2026-01-31")
    assert "/reports/general-ledger/?account=1100&amp;to=2026-01-31" in page
    page = page_of(client, "report", "receivables", as_of="2026-01-31")
    assert "account=1100&amp;company=AcmeCorp&amp;to=2026-01-31" in page
    assert "159.00" in page


def test_the_general_ledger_runs_a_balance_across_pages(client: Client, deal: Deal, monkeypatch: Any) -> None:
    from dataclasses import replace

    from counterfoil.web.views import reports

    monkeypatch.setattr(reports, "LEDGER", replace(reports.LEDGER, per_page=1))
    sign_in(client, Role.VIEWER)
    address = reverse("web:report", args=["general-ledger"])
    first = client.get(address, {"account": "2050"})
    (row,) = first.context["rows"]
    assert (row.line.credit, row.balance) == (3600, -3600)
    second = client.get(address + first.context["page"].next)
    (row,) = second.context["rows"]
    assert (row.line.debit, row.balance) == (3600, 0)
    assert second.context["page"].next == ""


def test_what_was_asked_for_wrongly_is_said_beside_the_field(client: Client, deal: Deal) -> None:
    sign_in(client, Role.VIEWER)
    for name, query, said in (
        ("trial-balance", {"as_of": "yesterday"}, "is not a date. Write it as 2026-01-31."),
        ("profit-and-loss", {"from": "2026-03-01", "to": "2026-01-31"}, "comes after"),
        ("general-ledger", {"account": "9999"}, "There is no such account."),
        ("general-ledger", {"from": "2026-03-01", "to": "2026-01-31"}, "comes after"),
    ):
        answer = client.get(reverse("web:report", args=[name]), query)
        assert answer.status_code == 422, name
        assert said in " ".join(answer.content.decode().split()), name
    assert client.get(reverse("web:report", args=["horoscope"])).status_code == 404


def test_a_report_as_a_file_holds_what_is_shown(client: Client, deal: Deal) -> None:
    sign_in(client, Role.VIEWER)
    address = reverse("web:report", args=["trial-balance"])
    answer = client.get(address, {"as_of": "2026-01-31", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["Account"]: (row["Debit"], row["Credit"]) for row in rows if row["Account"] in {"1100", "4010"}} == {
        "1100": ("159.00", "0.00"),
        "4010": ("0.00", "150.00"),
    }
    workbook = client.get(address, {"as_of": "2026-01-31", "format": "xlsx"})
    assert workbook.content.startswith(b"PK")
    assert workbook["Content-Disposition"] == 'attachment; filename="trial-balance.xlsx"'


def test_verification_runs_when_asked_and_names_what_differs(client: Client, deal: Deal) -> None:
    from django.db import connection

    sign_in(client, Role.VIEWER)
    assert "Agrees" not in page_of(client, "verify")
    assert "checks agree." in page_of(client, "verify", run="yes")
    with connection.cursor() as cursor:  # what no command can do
        cursor.execute("UPDATE inventory_stockbalance SET quantity = quantity + 5")
    page = page_of(client, "verify", run="yes")
    assert "found a difference." in page
    assert "Differs" in page


@pytest.mark.parametrize(("format", "ending"), [("beancount", "beancount"), ("hledger", "journal")])
def test_the_ledger_for_another_program(client: Client, deal: Deal, format: str, ending: str) -> None:
    sign_in(client, Role.VIEWER)
    answer = client.get(reverse("web:ledger_file", args=[format]), {"through": "2026-01-31"})
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert answer["Content-Disposition"] == f'attachment; filename="ledger-2026-01-31.{ending}"'
    assert "Accounts-Receivable" in text or "Accounts Receivable" in text
    assert client.get(reverse("web:ledger_file", args=["papyrus"])).status_code == 404
