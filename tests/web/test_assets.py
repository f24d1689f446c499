"""Pages of fixed assets: the register, capitalising with a preview, depreciation, use, disposal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from tests.web import deal as deals
from tests.web.deal import Deal
from tests.web.pages import sign_in
from tests.web.test_books import MOST_QUERIES, page_of
from tests.world import OWNER, World

from counterfoil.assets import commands as assets
from counterfoil.assets.models import Asset, AssetCategory, AssetStatus, DepreciationLine
from counterfoil.ledger.models import Account, JournalEntry
from counterfoil.platform.identity import Role
from counterfoil.web import navigation, remembered


@pytest.fixture
def deal(db: None) -> Deal:
    return deals.whole_at_once()


@pytest.fixture
def asset(deal: Deal) -> Asset:
    made = deals.capitalise(deal).asset
    assert made is not None
    return made


def terms(world: World, **changed: str) -> dict[str, str]:
    """The form of an asset as it is typed."""
    return {
        "category_id": str(world.leased_hardware.pk),
        "on": "2026-01-31",
        "in_service_date": "2026-01-11",
        "description": "Rack server at Acme",
        **changed,
    }


def test_the_register_adds_up_by_category_and_customer(
    client: Client, asset: Asset, django_assert_max_num_queries: Any
) -> None:
    sign_in(client, Role.VIEWER)
    assets.post_depreciation(actor=OWNER, through=date(2026, 2, 28))
    with django_assert_max_num_queries(MOST_QUERIES):
        page = page_of(client, "assets")
    assert asset.number in page
    assert "3,400.00" in page
    assert "By category" in page
    assert "By customer" in page
    assert "Nothing matches" in page_of(client, "assets", q="no such thing")
    assert reverse("web:depreciation") not in page


def test_an_asset_shows_its_schedule_with_what_is_posted(
    client: Client, asset: Asset, django_assert_max_num_queries: Any
) -> None:
    sign_in(client, Role.FINANCE)
    (entry,) = assets.post_depreciation(actor=OWNER, through=date(2026, 1, 31))
    with django_assert_max_num_queries(MOST_QUERIES):
        page = page_of(client, "asset", asset.pk)
    assert f'<a href="{reverse("web:journal_entry", args=[entry.pk])}">{entry.number}</a>' in page
    assert page.count(">planned<") == 35
    assert "3,500.00" in page
    assert "straight line" in page.lower()
    assert "SN-0001" in page


def test_a_cost_only_invoice_line_is_capitalised(client: Client, deal: Deal) -> None:
    sign_in(client, Role.FINANCE)
    assert deal.invoice
    line = deal.invoice.lines.get()
    address = reverse("web:capitalise_invoice_line", args=[line.pk])
    assert f'href="{address}"' in page_of(client, "assets_to_capitalise")
    assert "3,600.00" in page_of(client, "capitalise_invoice_line", line.pk)
    late = client.post(address, terms(deal.world, on="2026-02-15"))
    assert late.status_code == 422
    assert "Date the entry in Jan 2026" in late.content.decode()
    assert 'value="Rack server at Acme"' in late.content.decode()
    assert not Asset.objects.exists()
    answer = client.post(address, terms(deal.world, tax_book="on"), follow=True)
    made = Asset.objects.get()
    assert f"{made.number} is in the books with 3,600.00." in answer.content.decode()
    assert sorted(made.books.values_list("name", "method")) == [("book", "straight_line"), ("tax", "macrs_5")]
    assert "720.00" in page_of(client, "asset", made.pk, book="tax")  # 20 % of 3,600.00 in the first year
    again = client.post(address, terms(deal.world))
    assert again.status_code == 422
    assert "is capitalised already" in again.content.decode()


def test_shipped_stock_is_capitalised_without_an_invoice(client: Client, world: World) -> None:
    deal = deals.book(deals.ship(deals.receive(deals.buy(deals.convert(deals.quote(world, 2))))))
    sign_in(client, Role.FINANCE)
    assert deal.order
    line = deal.order.lines.get()
    address = reverse("web:capitalise_order_line", args=[line.pk])
    assert f'href="{address}"' in page_of(client, "assets_to_capitalise")
    too_many = client.post(address, terms(world, quantity="2"))
    assert too_many.status_code == 422
    assert "2 cannot be capitalised" in too_many.content.decode()
    client.post(address, terms(world, quantity="1", method="sum_of_years", life_months="60"))
    made = Asset.objects.get()
    assert (made.cost, made.capitalised_from, made.books.get().life_months) == (Decimal(3600), "inventory", 60)


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({}, ["2026", "1,200.00", "Straight line, full month, 36 months"]),
        ({"salvage": "600"}, ["1,000.00", "600.00 is left"]),
        ({"method": "macrs_5"}, ["720.00", "1,152.00", "207.36"]),  # 20 %, 32 %, and 5.76 % in the sixth year
        ({"salvage": "4000"}, ["salvage"]),
        ({"quantity": "0.5"}, ["600.00", "1,800.00"]),
        ({"quantity": "2"}, ["There are 1 to capitalise."]),
        ({"method": "units_of_use"}, ["each month follows the units you record"]),
        ({"life_months": "none"}, ["when the form is filled in"]),
    ],
)
def test_the_schedule_is_previewed_and_nothing_is_written(
    client: Client, deal: Deal, changed: dict[str, str], shown: list[str]
) -> None:
    sign_in(client, Role.FINANCE)
    page = page_of(client, "schedule_preview", **terms(deal.world, cost="3600.00", available="1", **changed))
    for text in shown:
        assert text in page
    assert not Asset.objects.exists()
    assert not DepreciationLine.objects.exists()


def test_depreciation_is_shown_before_it_is_posted_once(client: Client, asset: Asset) -> None:
    sign_in(client, Role.FINANCE)
    page = page_of(client, "depreciation", through="2026-03-31")
    assert "Post 300.00" in page
    assert asset.number in page
    before = JournalEntry.objects.count()
    answer = client.post(reverse("web:depreciation"), {"through": "2026-03-31"}, follow=True)
    assert "Depreciation of 300.00 was posted with 3 entries." in answer.content.decode()
    assert JournalEntry.objects.count() == before + 3
    assert "Nothing is due" in page_of(client, "depreciation", through="2026-03-31")
    answer = client.post(reverse("web:depreciation"), {"through": "2026-03-31"}, follow=True)
    assert "Nothing was due; nothing was posted." in answer.content.decode()
    assert client.post(reverse("web:depreciation"), {"through": "some day"}).status_code == 422


def test_depreciation_of_past_months_waits_in_the_navigation(asset: Asset, monkeypatch: Any) -> None:
    from counterfoil.web.views import assets as pages

    for on, waiting in ((date(2026, 1, 31), 0), (date(2026, 2, 1), 1)):
        monkeypatch.setattr(pages, "today", lambda on=on: on)
        monkeypatch.setattr(remembered, "today", lambda on=on: on)
        assert navigation.counts()["depreciation_due"] == waiting


def test_an_asset_is_disposed_of_once_its_depreciation_is_posted(client: Client, asset: Asset) -> None:
    sign_in(client, Role.FINANCE)
    address = reverse("web:asset_dispose", args=[asset.pk])
    sale = {"on": "2026-02-15", "proceeds": "3,000.00", "reason": "Sold to the customer"}
    early = client.post(address, sale)
    assert early.status_code == 422
    assert "is not posted yet" in early.content.decode()
    assert 'value="3,000.00"' in early.content.decode()
    assets.post_depreciation(actor=OWNER, through=date(2026, 1, 31))
    assert "has left the books." in client.post(address, sale, follow=True).content.decode()
    asset.refresh_from_db()
    assert (asset.status, asset.proceeds) == (AssetStatus.DISPOSED, Decimal(3000))
    page = page_of(client, "asset", asset.pk)
    assert address not in page
    assert "15 Feb 2026, for 3,000.00" in page


def test_units_of_use_are_recorded_month_by_month(client: Client, deal: Deal) -> None:
    sign_in(client, Role.FINANCE)
    assert deal.invoice
    address = reverse("web:capitalise_invoice_line", args=[deal.invoice.lines.get().pk])
    missing = client.post(address, terms(deal.world, method="units_of_use"))
    assert "Enter the units expected in all." in missing.content.decode()
    client.post(address, terms(deal.world, method="units_of_use", total_units="36,000"))
    made = Asset.objects.get()
    assert reverse("web:asset_units", args=[made.pk]) in page_of(client, "asset", made.pk)
    sent = {"month": "2026-01", "units": "1,500"}
    answer = client.post(reverse("web:asset_units", args=[made.pk]), sent, follow=True)
    assert "Jan 2026: 150.00 of depreciation, not posted yet." in answer.content.decode()
    again = client.post(reverse("web:asset_units", args=[made.pk]), sent)
    assert again.status_code == 422
    assert "can be recorded from Feb 2026 on" in again.content.decode()


def test_a_category_is_added(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    codes = {"asset": "1500", "accumulated": "1590", "expense": "5200", "disposal": "7900"}
    accounts = {f"{name}_account_id": Account.objects.get(code=code).pk for name, code in codes.items()}
    sent = {
        "name": "Office",
        "method": "declining_balance_200",
        "convention": "half_year",
        "life_months": "60",
        **accounts,
    }
    client.post(reverse("web:asset_category_new"), sent)
    made = AssetCategory.objects.get(name="Office")
    assert (made.method, made.life_months) == ("declining_balance_200", 60)
    assert "200 % declining balance" in page_of(client, "asset_categories")
    again = client.post(reverse("web:asset_category_new"), sent)
    assert again.status_code == 422
    assert "There is an asset category of that name already." in again.content.decode()


def test_a_viewer_changes_nothing(client: Client, asset: Asset, deal: Deal) -> None:
    sign_in(client, Role.VIEWER)
    assert deal.invoice
    page = page_of(client, "asset", asset.pk) + page_of(client, "assets") + page_of(client, "assets_to_capitalise")
    for name, args in (
        ("asset_dispose", [asset.pk]),
        ("asset_units", [asset.pk]),
        ("depreciation", []),
        ("capitalise_invoice_line", [deal.invoice.lines.get().pk]),
        ("asset_category_new", []),
    ):
        address = reverse(f"web:{name}", args=args)
        assert f'href="{address}"' not in page
        assert client.get(address).status_code == 403, name
        assert client.post(address, {}).status_code == 403, name
