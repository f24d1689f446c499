"""Pages: chart of accounts, default accounts, GL mapping, accounting periods."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from tests.web import deal as deals
from tests.web.pages import sign_in
from tests.web.test_books import MOST_QUERIES, page_of
from tests.world import World

from counterfoil.accounting.documents import procurement_date
from counterfoil.accounting.models import GLMapping
from counterfoil.catalog.models import Category
from counterfoil.ledger.models import Account, AccountingPeriod, DefaultAccount
from counterfoil.platform.identity import Role


@pytest.mark.parametrize("name", ["accounts", "default_accounts", "gl_mappings", "periods"])
def test_setup_opens_in_few_queries_and_offers_a_viewer_nothing(
    client: Client, db: None, name: str, django_assert_max_num_queries: Any
) -> None:
    deals.whole_at_once()
    sign_in(client, Role.VIEWER)
    with django_assert_max_num_queries(MOST_QUERIES):
        page = page_of(client, name)
    # The only form that is sent is the one that signs out.
    assert page.count('method="post"') == 1
    assert "/set/" not in page
    assert "/new/" not in page


def test_the_chart_shows_balances_that_open_their_entries(client: Client, db: None) -> None:
    deals.whole_at_once()
    sign_in(client, Role.VIEWER)
    page = page_of(client, "accounts", q="11")
    assert '<a href="/reports/general-ledger/?account=1100">' in page
    assert "159.00" in page
    assert "Operating Bank" not in page


def test_an_account_is_added_renamed_and_taken_out_of_use(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    sent = {"code": "6400", "name": "Travel", "type": "expense"}
    client.post(reverse("web:account_new"), sent)
    account = Account.objects.get(code="6400")
    again = client.post(reverse("web:account_new"), sent)
    assert again.status_code == 422
    assert "There is an account 6400 already." in again.content.decode()
    client.post(reverse("web:account", args=[account.pk]), {"name": "Travel and meals"})
    account.refresh_from_db()
    assert (account.name, account.active) == ("Travel and meals", False)
    assert "Travel and meals" in page_of(client, "accounts", state="inactive")


def test_a_default_account_stays_in_use(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    bank = Account.objects.get(code="1000")
    answer = client.post(reverse("web:account", args=[bank.pk]), {"name": "Bank"})
    assert answer.status_code == 422
    assert "is the default account for bank; choose another one first." in answer.content.decode()


def test_a_default_account_is_chosen(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    software = Account.objects.get(code="5010")
    address = reverse("web:default_accounts")
    client.post(address, {"role": "cogs", "account_id": software.pk})
    assert DefaultAccount.objects.get(role="cogs").account == software
    wrong = client.post(address, {"role": "cogs", "account_id": Account.objects.get(code="1000").pk})
    assert wrong.status_code == 422
    assert "cogs takes" in wrong.content.decode()
    assert client.post(address, {"role": "cogs", "account_id": ""}).status_code == 422


def test_a_category_is_mapped_and_the_mapping_removed(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    hardware, software = Category.objects.get(name="Hardware"), Account.objects.get(code="5010")
    link = f"{reverse('web:gl_mapping_set')}?role=cogs&amp;category_id={hardware.pk}"
    assert link in page_of(client, "gl_mappings")
    assert f'<option value="{hardware.pk}" selected>' in page_of(
        client, "gl_mapping_set", role="cogs", category_id=str(hardware.pk)
    )
    sent = {"role": "cogs", "account_id": software.pk, "category_id": hardware.pk}
    client.post(reverse("web:gl_mapping_set"), sent)
    mapping = GLMapping.objects.get(role="cogs", category=hardware)
    assert mapping.account == software
    assert reverse("web:gl_mapping_remove", args=[mapping.pk]) in page_of(client, "gl_mappings")
    client.post(reverse("web:gl_mapping_remove", args=[mapping.pk]))
    assert not GLMapping.objects.filter(role="cogs", category=hardware).exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"category_id": ""}, "Name one product, subcategory, category or agreement type."),
        ({"account_id": ""}, "This field is required."),
        ({"role": "inventory"}, "inventory takes Inventory."),
        ({"product_id": "no such product"}, "There is no such product"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_beside_the_field(
    client: Client, world: World, changed: dict[str, str], said: str
) -> None:
    sign_in(client, Role.FINANCE)
    hardware, software = Category.objects.get(name="Hardware"), Account.objects.get(code="5010")
    before = GLMapping.objects.count()
    sent = {"role": "cogs", "account_id": str(software.pk), "category_id": str(hardware.pk), **changed}
    answer = client.post(reverse("web:gl_mapping_set"), sent)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert GLMapping.objects.count() == before


def test_periods_are_closed_in_order_and_reopened_by_the_owner(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    january, february = AccountingPeriod.objects.order_by("start")[:2]
    page = page_of(client, "periods")
    assert reverse("web:period_close", args=[january.pk]) in page
    assert reverse("web:period_close", args=[february.pk]) not in page
    assert client.post(reverse("web:period_close", args=[february.pk])).status_code == 409
    answer = client.post(reverse("web:period_close", args=[january.pk]), follow=True)
    assert "Jan 2026 is closed." in answer.content.decode()
    reopen = reverse("web:period_reopen", args=[january.pk])
    assert reopen not in answer.content.decode()
    assert client.post(reopen).status_code == 403
    sign_in(client, Role.OWNER)
    assert reopen in page_of(client, "periods")
    assert "Jan 2026 is open again." in client.post(reopen, follow=True).content.decode()


def test_the_next_year_is_opened(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    before = AccountingPeriod.objects.count()
    client.post(reverse("web:periods_open"))
    assert AccountingPeriod.objects.count() == before + 12
    starts = list(AccountingPeriod.objects.order_by("start"))
    assert all(a.end == b.start for a, b in itertools.pairwise(starts))


def test_the_date_receipts_are_booked_on_is_chosen(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    client.post(reverse("web:procurement_date"), {"procurement_date": "receipt_date"})
    assert procurement_date() == "receipt_date"
    assert client.post(reverse("web:procurement_date"), {"procurement_date": "someday"}).status_code == 422


def test_a_viewer_changes_nothing(client: Client, world: World) -> None:
    sign_in(client, Role.VIEWER)
    account, period = Account.objects.get(code="1000"), AccountingPeriod.objects.order_by("start")[0]
    mapping = GLMapping.objects.first()
    assert mapping is not None
    for name, args in (
        ("account_new", []),
        ("account", [account.pk]),
        ("default_accounts", []),
        ("gl_mapping_set", []),
        ("gl_mapping_remove", [mapping.pk]),
        ("periods_open", []),
        ("period_close", [period.pk]),
        ("procurement_date", []),
    ):
        assert client.post(reverse(f"web:{name}", args=args), {"role": "bank"}).status_code == 403, name
