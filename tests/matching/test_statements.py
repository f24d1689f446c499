"""Vendors' files become statements: whatever their headings, all lines or none, each file once."""

from __future__ import annotations

import zipfile
from datetime import date
from decimal import Decimal
from io import BytesIO

import pytest
from tests.matching.licences import DATED, MARCH, NOW, SIMPLE, csv_of, imported, licence, xlsx_of
from tests.world import FINANCE, OWNER, SALES, VIEWER, World

from counterfoil.core.errors import DomainError
from counterfoil.matching.column_mappings import (
    BUILT_IN,
    MICROSOFT,
    create_column_mapping,
    delete_column_mapping,
    install_column_mappings,
    mappings,
    suggest,
    update_column_mapping,
)
from counterfoil.matching.models import VendorStatement, VendorStatementLine
from counterfoil.matching.statements import delete_statement, import_statement, preview_statement, statements
from counterfoil.platform.audit import trail_of

pytestmark = pytest.mark.django_db
D = Decimal

#: The columns of Microsoft's new-commerce reconciliation file, in its order.
NEW_COMMERCE = (
    "PartnerId", "CustomerId", "CustomerName", "CustomerDomainName", "CustomerCountry", "InvoiceNumber", "MpnId",
    "ResellerMpnId", "OrderId", "OrderDate", "ProductId", "SkuId", "AvailabilityId", "SkuName", "ProductName",
    "ChargeType", "UnitPrice", "Quantity", "Subtotal", "TaxTotal", "Total", "Currency", "PriceAdjustmentDescription",
    "PublisherName", "PublisherId", "SubscriptionDescription", "SubscriptionId", "ChargeStartDate", "ChargeEndDate",
    "TermAndBillingCycle", "EffectiveUnitPrice", "UnitType", "AlternateId", "BillableQuantity", "BillingFrequency",
    "PricingCurrency", "PCToBCExchangeRate", "PCToBCExchangeRateDate", "MeterDescription", "ReservationOrderId",
    "CreditReasonCode", "SubscriptionStartDate", "SubscriptionEndDate", "ReferenceId", "ProductQualifiers",
    "PromotionId", "ProductCategory",
)  # fmt: skip


def microsoft_row(**cells: object) -> list[object]:
    row = {
        "CustomerId": "c139c4bf", "CustomerName": "Acme Corp", "InvoiceNumber": "G002297372",
        "ProductId": "CFQ7TTC0LCHC", "SkuId": "0002", "SkuName": "Microsoft 365 Business Premium",
        "ChargeType": "cycleCharge", "UnitPrice": "18", "EffectiveUnitPrice": "17.1", "Quantity": "25",
        "BillableQuantity": "25", "Subtotal": "427.50", "ChargeStartDate": "3/1/2026 0:00",
        "ChargeEndDate": "3/31/2026 23:59", "BillingFrequency": "Monthly", "SubscriptionId": "sub-1",
        "TermAndBillingCycle": "One-Year commitment for monthly/yearly billing",
    } | cells  # fmt: skip
    return [row.get(name, "") for name in NEW_COMMERCE]


def test_the_new_commerce_file_is_understood_by_its_headings(world: World) -> None:
    product = licence(world, vendor_sku="CFQ7TTC0LCHC:0002")
    statement = imported(world, csv_of(NEW_COMMERCE, microsoft_row()), period=None)
    line = statement.lines.get()
    assert (statement.reference, statement.period_start, statement.period_end) == (
        "G002297372", date(2026, 3, 1), date(2026, 4, 1),
    )  # fmt: skip
    assert (line.customer_name, line.company, line.company_match) == ("Acme Corp", world.acme, "exact")
    assert (line.vendor_sku, line.product, line.product_match) == ("CFQ7TTC0LCHC:0002", product, "exact")
    assert (line.quantity, line.unit_cost, line.amount) == (D(25), D(18), D("427.5"))
    assert (line.charge_start, line.charge_end) == (date(2026, 3, 1), date(2026, 4, 1))
    assert (line.term, line.billing_cycle, line.subscription) == ("year:1", "month:1", "sub-1")


def test_a_workbook_is_read_like_the_same_csv(world: World) -> None:
    rows = (("Acme Corp", "Business Premium", 25, 18.05), ("Globex", "Business Premium", 10, 18.05))
    licence(world)
    as_csv, as_xlsx = imported(world, csv_of(SIMPLE, *rows)), imported(world, xlsx_of(SIMPLE, *rows))
    names = ("customer_name", "company", "product", "quantity", "unit_cost", "amount")
    assert list(as_csv.lines.values_list(*names)) == list(as_xlsx.lines.values_list(*names))
    assert as_csv.total == as_xlsx.total == D("631.75")


def test_the_same_file_is_imported_once(world: World) -> None:
    content = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 25, 18))
    first = imported(world, content)
    again = import_statement(actor=FINANCE, vendor_id=world.ingram.pk, content=content, now=NOW)
    assert (again.statement, again.fresh) == (first, False)
    other = import_statement(
        actor=FINANCE, vendor_id=world.dell.pk, content=content, now=NOW, period_start=MARCH[0], period_end=MARCH[1]
    )
    assert other.fresh
    assert VendorStatement.objects.count() == 2


def test_every_mistake_is_named_and_nothing_is_written(world: World) -> None:
    content = csv_of(
        DATED,
        ("Acme Corp", "Business Premium", "25", "18", "450", "new", "2026-03-01", "2026-03-31", "P1Y"),
        ("Acme Corp", "Business Premium", "a few", "18", "450", "new", "2026-03-01", "soon", "P1Y"),
        ("", "", "", "18", "450", "new", "2026-03-31", "2026-03-01", "P1Y"),
    )
    with pytest.raises(DomainError) as refused:
        imported(world, content)
    assert refused.value.code == "import_rows_invalid"
    assert [(each["row"], each["column"]) for each in refused.value.details] == [
        ("3", "Qty"), ("3", "End date"), ("4", "End date"), ("4", "Product"), ("4", "Customer"), ("4", "Qty"),
    ]  # fmt: skip
    assert not VendorStatement.objects.exists()
    preview = preview_statement(vendor_id=world.ingram.pk, content=content)
    assert (preview.line_count, len(preview.errors)) == (3, 6)


def test_a_preview_says_what_is_understood_and_writes_nothing(world: World) -> None:
    licence(world)
    content = csv_of(
        DATED,
        ("Acme Corp", "Business Premium", 25, 18, 450, "new", "2026-03-01", "2026-03-31", "P1Y"),
        ("Globex Limited", "Busines Premium", 5, 18, 90, "new", "2026-02-01", "2026-02-28", "P1Y"),
        ("Wayne Enterprises", "Business Premium", 5, 18, 90, "new", "2026-03-01", "2026-03-31", "P1Y"),
    )
    preview = preview_statement(vendor_id=world.ingram.pk, content=content)
    assert (preview.period_start, preview.period_end) == (date(2026, 3, 1), date(2026, 4, 1))
    assert (preview.line_count, preview.in_effect, preview.total) == (3, 2, D(630))
    assert preview.customers == {"exact": 1, "alias": 0, "suggested": 1, "unknown": 1}
    assert preview.products == {"exact": 1, "alias": 0, "suggested": 1, "unknown": 0}
    assert preview.columns["customer_name"] == "Customer"
    assert not VendorStatementLine.objects.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"Customer,Qty\nAcme,5\n", "No column is chosen for product name or vendor sku"),
        (b"Customer,Product,Qty\n", "There are no rows"),
        (b"Customer,Customer,Qty\nA,B,5\n", "The column Customer is there twice"),
        (b"PK\x03\x04 nothing", "not an Excel workbook"),
        (b"\x00\x01\x02", "not text"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(world: World, content: bytes, message: str) -> None:
    with pytest.raises(DomainError, match=message) as refused:
        imported(world, content)
    assert refused.value.code == "import_rows_invalid"


def test_a_workbook_that_swells_is_not_unpacked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("counterfoil.platform.sheets._MOST_UNPACKED", 1_000_000)
    swollen = BytesIO()
    with zipfile.ZipFile(swollen, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("xl/sharedStrings.xml", bytes(1_000_001))
    with pytest.raises(DomainError, match="too large when it is unpacked"):
        preview_statement(vendor_id=world.ingram.pk, content=swollen.getvalue())


def test_a_file_without_days_needs_its_period(world: World) -> None:
    with pytest.raises(DomainError, match="which period"):
        imported(world, csv_of(SIMPLE, ("Acme Corp", "X", 1, 1)), period=None)
    with pytest.raises(DomainError, match="ends before it starts"):
        imported(world, csv_of(SIMPLE, ("Acme Corp", "X", 1, 1)), period=(MARCH[1], MARCH[0]))


def test_who_may_import_and_from_whom(world: World) -> None:
    content = csv_of(SIMPLE, ("Acme Corp", "X", 1, 1))
    for actor in (SALES, VIEWER):
        with pytest.raises(DomainError, match="takes the role"):
            import_statement(actor=actor, vendor_id=world.ingram.pk, content=content, now=NOW)
    with pytest.raises(DomainError, match="is not a vendor"):
        import_statement(actor=FINANCE, vendor_id=world.acme.pk, content=content, now=NOW)


def test_a_wrong_file_is_deleted(world: World) -> None:
    statement = imported(world, csv_of(SIMPLE, ("Acme Corp", "X", 1, 1)))
    assert [row.unknown_lines for row in statements()] == [1]
    delete_statement(actor=FINANCE, statement_id=statement.pk)
    assert not VendorStatementLine.objects.exists()


# -- mappings ----------------------------------------------------------------------------------------------------------


def test_a_saved_mapping_reads_headings_nobody_could_guess(world: World) -> None:
    licence(world)
    create_column_mapping(
        actor=FINANCE, name="Ingram usage", vendor_id=world.ingram.pk,
        columns={"customer_name": "Wer", "product_name": "Was", "quantity": "Neu | Wieviel", "unit_cost": ""},
    )  # fmt: skip
    content = csv_of(("Wer", "Was", "Wieviel"), ("Acme Corp", "Business Premium", 25))
    assert imported(world, content, mapping="ingram USAGE").lines.get().quantity == 25
    preview = preview_statement(vendor_id=world.ingram.pk, content=content)
    assert preview.mapping == "Ingram usage"  # all its columns are there
    with pytest.raises(DomainError, match="There is no column mapping “Other”"):
        imported(world, content + b"\n", mapping="Other")
    with pytest.raises(DomainError, match="The column Wer is not in the file"):
        imported(world, csv_of(("A", "Was", "Wieviel"), ("Acme Corp", "X", 2)), mapping="Ingram usage")


def test_mappings_are_kept_changed_and_deleted(world: World) -> None:
    made = create_column_mapping(actor=FINANCE, name="Ours", columns={"quantity": "Qty"})
    update_column_mapping(actor=FINANCE, column_mapping_id=made.pk, columns={"quantity": "Seats"}, name="Mine")
    made.refresh_from_db()
    assert (made.name, made.columns) == ("Mine", {"quantity": "Seats"})
    assert "Mine" in trail_of(made)[0].sentence
    with pytest.raises(DomainError, match="There is no field colour"):
        create_column_mapping(actor=FINANCE, name="X", columns={"colour": "Qty"})
    with pytest.raises(DomainError, match="Choose the column"):
        create_column_mapping(actor=FINANCE, name="X", columns={"quantity": " "})
    with pytest.raises(DomainError, match="of that name already"):
        create_column_mapping(actor=FINANCE, name="Mine", columns={"quantity": "Qty"})
    delete_column_mapping(actor=FINANCE, column_mapping_id=made.pk)
    assert [row.name for row in mappings()] == [MICROSOFT]


def test_the_ready_mapping_stays_as_it_is(world: World) -> None:
    (installed,) = install_column_mappings(actor=OWNER)
    assert install_column_mappings(actor=OWNER) == [installed]
    with pytest.raises(DomainError, match="comes with Counterfoil"):
        delete_column_mapping(actor=FINANCE, column_mapping_id=installed.pk)
    with pytest.raises(DomainError, match="is the name of a ready mapping"):
        create_column_mapping(actor=FINANCE, name=MICROSOFT.upper(), columns={"quantity": "Qty"})
    assert suggest(NEW_COMMERCE).mapping == MICROSOFT
    assert set(BUILT_IN[MICROSOFT]) == set(suggest(NEW_COMMERCE).columns)


def test_headings_are_understood_by_likeness(world: World) -> None:
    found = suggest(("Client", "Item description", "Part number", "Licences", "Unit Price", "Line total")).columns
    assert found == {
        "customer_name": "Client", "product_name": "Item description", "vendor_sku": "Part number",
        "quantity": "Licences", "unit_cost": "Unit Price", "amount": "Line total",
    }  # fmt: skip
