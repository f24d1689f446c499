"""Vendors' price lists: what changes is seen first, then all of it is taken over, or nothing."""

from __future__ import annotations

import io
import json
import time
from datetime import date
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from tests.world import PROCUREMENT, World, build_world
from typer.testing import CliRunner

from counterfoil.catalog.commands import create_offer
from counterfoil.catalog.models import Offer, Product
from counterfoil.catalog.price_lists import PriceListPreview, columns, import_price_list, preview_price_list
from counterfoil.cli import app
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.platform.identity import SYSTEM, Role
from counterfoil.platform.imports import sample_csv
from counterfoil.platform.users import create_user

pytestmark = pytest.mark.django_db

ON = date(2026, 6, 15)
JULY = date(2026, 7, 1)


@pytest.fixture
def msp() -> World:
    return build_world()


@pytest.fixture
def premium(msp: World) -> Product:
    """Business Premium of Ingram, offered by the year and by the month."""
    product = Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=msp.lease.category, billing_cycle="month:1", vendor=msp.ingram,
        vendor_sku="CFQ7",
    )  # fmt: skip
    for term, price, cost in (("year:1", "23.10", "18.48"), ("month:1", "26.40", "21.12")):
        create_offer(
            actor=PROCUREMENT, product_id=product.pk, term=term, billing_cycle="month:1", price=D(price), cost=D(cost),
            vendor_sku="CFQ7", vendor_id=msp.ingram.pk,
        )  # fmt: skip
    return product


def file(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def look(msp: World, content: bytes, **options: object) -> PriceListPreview:
    return preview_price_list(content=content, vendor_id=msp.ingram.pk, on=ON, **options)  # type: ignore[arg-type]


def take(msp: World, content: bytes, **options: object) -> tuple[int, int, int]:
    result = import_price_list(
        actor=PROCUREMENT,
        content=content,
        vendor_id=msp.ingram.pk,
        on=ON,
        **options,  # type: ignore[arg-type]
    )
    return result.created, result.updated, result.unchanged


def table(product: Product) -> list[tuple[str, D, D, date | None, date | None]]:
    rows = product.offers.order_by("term", "effective_from")
    return [(o.term, o.cost, o.price, o.effective_from, o.effective_to) for o in rows]


def mistakes(msp: World, content: bytes, **options: object) -> list[tuple[int, str, str]]:
    errors = [(error.row, error.column, error.message) for error in look(msp, content, **options).errors]
    before = list(Offer.objects.values_list("pk", "cost", "price").order_by("pk"))
    with pytest.raises(DomainError) as refused:
        take(msp, content, **options)
    assert refused.value.code == "import_rows_invalid"
    assert list(Offer.objects.values_list("pk", "cost", "price").order_by("pk")) == before
    return errors


def test_price_changes_are_shown_and_then_made(msp: World, premium: Product) -> None:
    content = file(
        "vendor sku,term,billing frequency,cost,price",
        "CFQ7,1 year,monthly,19.404,23.10",
        "cfq7,Monthly,monthly,21.12,",
    )
    preview = look(msp, content)
    assert preview.errors == ()
    assert [(line.deed, line.offer, line.in_words) for line in preview.lines] == [
        ("update", "1 year, billed monthly", "cost 18.48 → 19.404 (+5 %)"),
        ("unchanged", "1 month, billed monthly", ""),
    ]
    assert (preview.dearer, preview.cheaper) == (1, 0)
    assert table(premium)[1][1] == D("18.48")
    assert take(msp, content) == (0, 1, 1)
    assert table(premium) == [
        ("month:1", D("21.12"), D("26.40"), None, None),
        ("year:1", D("19.404"), D("23.10"), None, None),
    ]
    yearly = premium.offers.get(term="year:1")
    assert "cost 18.48 → 19.404 (+5 %)" in trail_of(yearly)[0].sentence
    assert take(msp, content) == (0, 0, 2)


def test_prices_of_a_later_day_follow_those_that_hold(msp: World, premium: Product) -> None:
    content = file(
        "product,term,billing_frequency,cost,price,effective_from",
        "M365-BP,P1Y,Monthly,20,25,2026-07-01",
        "M365-BP,P1M,Monthly,21.12,26.40,2026-07-01",
    )
    (line, same) = look(msp, content).lines
    assert line.in_words == "cost 18.48 → 20.00 (+8.2 %), price 23.10 → 25.00 (+8.2 %), from 1 Jul 2026"
    assert same.deed == "unchanged"
    assert take(msp, content) == (1, 0, 1)
    assert table(premium)[1:] == [
        ("year:1", D(20), D(25), JULY, None),
        ("year:1", D("18.48"), D("23.10"), None, date(2026, 6, 30)),
    ]
    assert take(msp, content) == (0, 0, 2)
    older = file("product,term,billing_frequency,cost,effective_from", "M365-BP,P1Y,Monthly,17,2026-06-01")
    assert mistakes(msp, older)[0][2] == "There are newer prices already, from 1 Jul 2026."


def test_new_terms_of_a_known_product_and_new_products(msp: World, premium: Product) -> None:
    content = file(
        "SkuId,SkuTitle,TermDuration,BillingPlan,UnitPrice,ERP Price,Segment",
        "CFQ7,Microsoft 365 Business Premium,P1Y,Annual,211.20,264,Commercial",
        "CFQ8,Microsoft 365 E3,P3Y,Triennial,1000,,Commercial",
        "CFQ8,Microsoft 365 E3,P1Y,Monthly,30,,Commercial",
        "DG7G,Windows Server 2025,,OneTime,800,,Commercial",
    )
    assert [(row, column) for row, column, _ in mistakes(msp, content)] == [
        (3, "vendor_sku"), (4, "vendor_sku"), (5, "vendor_sku"),
    ]  # fmt: skip
    options = {"create_products": True, "category_id": msp.lease.category_id, "markup": D(25)}
    preview = look(msp, content, **options)
    assert preview.also == ("product CFQ8", "product DG7G", "column Segment is not read")
    assert take(msp, content, **options) == (4, 0, 0)
    e3, server = Product.objects.get(identifier="CFQ8"), Product.objects.get(identifier="DG7G")
    assert (e3.product_class, e3.vendor, server.product_class) == ("Agreement", msp.ingram, "NonInventory")
    assert [(o.term, o.billing_cycle, o.price) for o in e3.offers.order_by("term", "billing_cycle")] == [
        ("year:1", "month:1", D("37.5")), ("year:3", "year:3", D(1250)),
    ]  # fmt: skip
    assert server.offers.get().price == 1000
    assert premium.offers.get(billing_cycle="year:1").price == 264


def test_offers_that_vanish_end_if_that_is_asked(msp: World, premium: Product) -> None:
    other = create_offer(actor=PROCUREMENT, product_id=msp.lease.pk, billing_cycle="month:1", vendor_id=msp.dell.pk)
    content = file("vendor_sku,term,billing_frequency,cost", "CFQ7,1 year,monthly,18.48")
    assert take(msp, content) == (0, 0, 1)
    preview = look(msp, content, end_missing=True)
    assert preview.also == ("ends M365-BP 1 month, billed monthly",)
    assert preview.ended == 1
    take(msp, content, end_missing=True)
    assert premium.offers.get(term="month:1").effective_to == date(2026, 6, 14)
    assert premium.offers.get(term="year:1").effective_to is None
    other.refresh_from_db()
    assert other.effective_to is None


def test_every_mistake_is_named_and_nothing_is_written(msp: World, premium: Product) -> None:
    content = file(
        "vendor_sku,product,term,billing_frequency,cost,price,effective_from",
        "CFQ7,,1 year,every 5 months,18,,",
        "CFQ7,,1 year,month:5,18,,",
        "CFQ7,,soon,monthly,18,,",
        "CFQ7,,1 year,monthly,,,",
        "CFQ7,,1 year,monthly,-1,free,tomorrow",
        ",,1 year,monthly,1,,",
        "X,NONE,1 year,monthly,1,,",
        "CFQ7,,1 month,monthly,21.12,,",
        "CFQ7,,P1M,monthly,22,,",
        "CFQ7,SRV-NI,1 year,monthly,22,,",
    )
    found = {(row, column) for row, column, _ in mistakes(msp, content)}
    assert found == {
        (2, "billing_frequency"), (3, "billing_frequency"), (4, "term"), (5, "cost"), (6, "cost"), (6, "price"),
        (6, "effective_from"), (7, "vendor_sku"), (8, "product"), (10, ""), (11, "billing_frequency"),
        (11, "vendor_sku"),
    }  # fmt: skip


def test_a_vendors_own_name_leaves_it_to_the_sku(msp: World, premium: Product) -> None:
    content = file(
        "vendor_sku,product,term,billing_frequency,cost,price",
        "CFQ7,Microsoft 365 Business Premium (NCE),1 year,monthly,19.404,23.10",
    )
    (line,) = look(msp, content, create_products=True, category_id=premium.category_id).lines
    assert (line.deed, line.product) == ("update", premium.identifier)
    assert take(msp, content) == (0, 1, 0)
    assert table(premium)[1][1] == D("19.404")


def test_a_sku_of_another_product_than_is_named_is_refused(msp: World, premium: Product) -> None:
    content = file(
        "vendor_sku,product,term,billing_frequency,cost,price",
        f"CFQ7,{msp.lease.identifier},1 year,monthly,18,",
    )
    said = f"The SKU CFQ7 is that of {premium.identifier}, not of {msp.lease.identifier}."
    assert mistakes(msp, content) == [(2, "vendor_sku", said)]


def test_a_sku_of_several_products_asks_for_ours(msp: World, premium: Product) -> None:
    msp.lease.offers.create(term="year:1", billing_cycle="month:1", price=D("1"), cost=D("1"), vendor=msp.ingram,
                            vendor_sku="CFQ7")  # fmt: skip
    content = file(
        "vendor_sku,product,term,billing_frequency,cost,price",
        "CFQ7,Microsoft 365,1 year,monthly,18,",
    )
    assert mistakes(msp, content) == [(2, "vendor_sku", "Several products have the SKU CFQ7.")]


def test_a_list_has_one_price_for_each_offer(msp: World, premium: Product) -> None:
    content = file(
        "sku,term,billing,cost,effective from", "CFQ7,P1Y,Monthly,19,2026-07-01", "CFQ7,P1Y,Monthly,20,2026-10-01"
    )
    assert mistakes(msp, content) == [(3, "", "The same offer is in row 2 already.")]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"sku,term\r\nA,monthly", "Call it cost"),
        (b"cost,term\r\n1,monthly", "Call it vendor_sku"),
        (b"PK\x03\x04 no workbook", "Save it as XLSX"),
    ],
)
def test_files_that_are_no_price_lists_are_refused(msp: World, content: bytes, hint: str) -> None:
    with pytest.raises(DomainError) as refused:
        look(msp, content)
    assert refused.value.code == "import_rows_invalid"
    assert (refused.value.hint or "").startswith(hint)


def test_a_workbook_reads_as_the_same_file_in_csv(msp: World, premium: Product) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["SkuId", "TermDuration", "BillingPlan", "UnitPrice", "EffectiveStartDate"])
    sheet.append(["CFQ7", "P1Y", "Monthly", 19.404, date(2026, 7, 1)])
    out = io.BytesIO()
    book.save(out)
    (line,) = look(msp, out.getvalue()).lines
    assert line.in_words == "cost 18.48 → 19.404 (+5 %), from 1 Jul 2026"


def test_the_file_to_start_from_can_be_taken_over(msp: World, premium: Product) -> None:
    (line,) = look(msp, sample_csv(columns()).encode(), create_products=True, category_id=msp.lease.category_id).lines
    assert line.product == "M365-BP"


def test_the_command_line_previews_and_takes_over(msp: World, premium: Product, tmp_path: Path) -> None:
    create_user(
        actor=SYSTEM, email="olivia@example.com", name="Olivia", password="correct horse battery staple",
        roles=[Role.OWNER],
    )  # fmt: skip
    list_file = tmp_path / "july.csv"
    list_file.write_bytes(file("sku,title,term,billing,cost", "CFQ7,,1 year,monthly,20", "NEW-1,New,P1Y,monthly,10"))
    options = ["import", "price-list", str(list_file), "--vendor", "ingram", "--json", "--new-products", "saas"]

    def run(*more: str) -> Any:
        done = CliRunner().invoke(app, [*options, "--markup", "25", *more])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert [row["changes"] for row in run("--preview")["rows"]] == [
        "cost 18.48 → 20.00 (+8.2 %)", "cost 10.00, price 12.50",
    ]  # fmt: skip
    assert run() == {"created": 1, "updated": 1, "unchanged": 0, "also": ["product NEW-1"]}
    assert Offer.objects.get(product__identifier="NEW-1").price == D("12.50")
    nobody = CliRunner().invoke(app, [*options[:3], "--vendor", "Nobody"])
    assert nobody.exit_code == 1


def test_ten_thousand_rows_take_seconds(msp: World) -> None:
    lines = [f"SKU{n // 2},Licence {n // 2},{'P1Y' if n % 2 else 'P1M'},Monthly,{n}.25,{n + 5}" for n in range(10_000)]
    content = file("sku,title,term,billing,cost,price", *lines)
    options = {"create_products": True, "category_id": msp.lease.category_id}
    began = time.monotonic()
    assert take(msp, content, **options) == (10_000, 0, 0)
    assert Product.objects.filter(identifier__startswith="SKU").count() == 5_000
    assert time.monotonic() - began < 30
    dearer = look(msp, content.replace(b".25,", b".50,"))
    assert dearer.dearer == 10_000
