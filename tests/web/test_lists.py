"""Lists: what is shown, in which order, page by page, and what an exported file holds."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import openpyxl
import pytest
from django.test import Client, RequestFactory
from tests.web.pages import sign_in, text_of
from tests.world import World

from counterfoil.catalog.models import Category, Product
from counterfoil.companies import queries as companies
from counterfoil.companies.models import Company, CompanyKind
from counterfoil.platform.identity import Role
from counterfoil.web.lists import Chips, Column, ListPage, ListSpec, as_csv, as_xlsx, page_of, search_of, show_list

PRODUCTS = ListSpec(
    name="Products",
    columns=(
        Column("identifier", "Product", kind="key"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name"),
        Column("cost", "Cost", kind="money", sort="cost", total="cost"),
    ),
    chips=(Chips("product_class", [("Agreement", "Agreement"), ("Service", "Service")]),),
    sort="identifier",
    placeholder="Product",
    per_page=2,
)


def ask(query: str = "") -> Any:
    return RequestFactory().get(f"/products/?{query}")


def products(*rows: tuple[str, str, str]) -> None:
    category = Category.objects.create(name="Test goods")
    for identifier, vendor, cost in rows:
        seller = Company.objects.get_or_create(identifier=vendor, name=vendor, kind="vendor")[0] if vendor else None
        Product.objects.create(
            identifier=identifier, description="=1+1", product_class="Service", accounting_type="Service",
            category=category, vendor=seller, cost=Decimal(cost),
        )  # fmt: skip


def names(page: ListPage) -> list[str]:
    return [row.identifier for row in page.rows]


FIVE = (("A", "Zeta", "5"), ("B", "", "4"), ("C", "Alpha", "3"), ("D", "", "3"), ("E", "Alpha", "1"))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", "ABCDE"),
        ("-identifier", "EDCBA"),
        ("cost", "ECDBA"),
        ("-cost", "ABDCE"),
        ("vendor", "CEABD"),  # without a vendor comes last
        ("-vendor", "DBAEC"),
    ],
)
def test_every_row_is_on_one_page_in_order_forward_and_back(sort: str, order: str) -> None:
    products(*FIVE)
    rows = Product.objects.select_related("vendor")
    page = page_of(ask(f"sort={sort}"), PRODUCTS, rows)
    seen = [names(page)]
    while page.next:
        page = page_of(ask(page.next.removeprefix("?")), PRODUCTS, rows)
        seen.append(names(page))
    assert [len(part) for part in seen] == [2, 2, 1]
    assert "".join("".join(part) for part in seen) == order
    back = [names(page)]
    while page.previous:
        page = page_of(ask(page.previous.removeprefix("?")), PRODUCTS, rows)
        back.append(names(page))
    assert back == seen[::-1]


@pytest.mark.django_db
def test_links_keep_the_search_and_the_chip() -> None:
    products(*FIVE)
    page = page_of(ask("q=x&product_class=Service"), PRODUCTS, Product.objects.all())
    kept = parse_qs(page.next.removeprefix("?"))
    assert kept["q"] == ["x"]
    assert kept["product_class"] == ["Service"]


@pytest.mark.django_db
@pytest.mark.parametrize("mark", ["nonsense", "WzFd", "eyJhIjogMX0", "WyJ4IiwgMV0"])
def test_a_mark_made_by_hand_shows_the_first_page(mark: str) -> None:
    products(*FIVE)
    assert names(page_of(ask(f"sort=cost&after={mark}"), PRODUCTS, Product.objects.all())) == ["E", "C"]


@pytest.mark.django_db
def test_count_and_totals_are_of_all_pages_and_of_the_chosen_chip(world: World) -> None:
    products(*FIVE)
    everything = page_of(ask(), PRODUCTS, Product.objects.all())
    assert (everything.count, everything.totals) == (8, {"cost": Decimal("7216")})
    services = page_of(ask("product_class=Service"), PRODUCTS, Product.objects.all())
    assert (services.count, services.totals) == (5, {"cost": Decimal("16")})
    assert [(chip.label, chip.count) for chip in services.chips[0]] == [("Agreement", 1), ("Service", 5)]


@pytest.mark.django_db
def test_chips_and_counts_hold_for_rows_that_are_summed_up_already(world: World) -> None:
    spec = ListSpec(
        name="Companies",
        columns=(Column("name", "Name", kind="key"), Column("sites", "Sites", "site_count", sort="site_count")),
        chips=(Chips("kind", CompanyKind.choices),),
        sort="-sites",
    )
    page = page_of(ask("kind=vendor"), spec, companies.companies())
    assert page.count == 2
    assert {chip.value: chip.count for chip in page.chips[0]}["customer"] == 2
    assert [row.name for row in page.rows] == ["Dell Direct", "Ingram Micro"]


@pytest.mark.django_db
def test_a_list_takes_six_queries_however_long_it_is(django_assert_num_queries: Any) -> None:
    products(*FIVE)
    with django_assert_num_queries(6):  # two ask whether what is remembered still holds
        page_of(ask("sort=vendor"), PRODUCTS, Product.objects.select_related("vendor"))


def test_rows_that_are_no_queryset_are_sorted_and_summed() -> None:
    rows = [Product(identifier=name, cost=Decimal(cost)) for name, cost in (("B", "2.5"), ("A", "4"), ("C", "1"))]
    page = page_of(ask("sort=-cost"), PRODUCTS, rows)
    assert names(page) == ["A", "B"]
    assert page.totals == {"cost": Decimal("7.5")}
    following = page_of(ask(f"{page.next.removeprefix('?')}"), PRODUCTS, rows)
    assert (names(following), following.next) == (["C"], "")
    assert names(page_of(ask(following.previous.removeprefix("?")), PRODUCTS, rows)) == ["A", "B"]


@pytest.mark.django_db
def test_the_exported_file_has_the_filtered_rows_of_all_pages() -> None:
    products(*FIVE)
    answer = show_list(ask("export=csv&sort=-cost&product_class=Service"), PRODUCTS, Product.objects.all())
    assert answer["Content-Disposition"] == 'attachment; filename="products.csv"'
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert lines[0] == ["Product", "Vendor", "Cost"]
    assert lines[1:3] == [["A", "Zeta", "5.00"], ["B", "", "4.00"]]
    assert len(lines) == 6


def test_a_cell_that_looks_like_a_formula_stays_text() -> None:
    spec = ListSpec(name="Products", columns=(Column("description", "Description"),))
    rows = [Product(description="=1+1"), Product(description="@SUM(A1)"), Product(description="plain")]
    lines = as_csv(spec, rows).content.decode("utf-8-sig").splitlines()
    assert lines[1:] == ["'=1+1", "'@SUM(A1)", "plain"]
    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx(spec, rows).content)).active
    assert sheet is not None
    assert (sheet["A2"].value, sheet["A2"].data_type) == ("=1+1", "s")


def test_a_search_for_what_no_text_can_hold_finds_what_is_beside_it(client: Client, world: World) -> None:
    assert search_of(ask("q=%00a%00b%20")) == "ab"
    sign_in(client, Role.VIEWER)
    assert "Acme" in text_of(client.get("/companies/?q=%00acme"))


def test_a_workbook_has_real_numbers_and_dates() -> None:
    spec = ListSpec(
        name="Bills",
        columns=(Column("date", "Date", kind="date"), Column("total", "Total", kind="money", total="total")),
    )

    class Bill:
        date = date(2026, 3, 15)
        total = Decimal("1234.5000")

    sheet = openpyxl.load_workbook(io.BytesIO(as_xlsx(spec, [Bill(), Bill()]).content)).active
    assert sheet is not None
    assert sheet["A2"].value.date() == date(2026, 3, 15)
    assert sheet["B3"].value == 1234.5
    assert sheet["B4"].value == "=SUBTOTAL(9,B2:B3)"
