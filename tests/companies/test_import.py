"""Companies from CSV files as people make them: preview, mistakes by row and column, all or nothing."""

from __future__ import annotations

import csv
import io
import time

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.world import FINANCE, SALES, VIEWER, World, build_world

from counterfoil.companies import imports
from counterfoil.companies.imports import columns, import_companies, preview_companies
from counterfoil.companies.models import Company, Contact, Site
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import broken_links, trail_of
from counterfoil.platform.imports import sample_csv
from counterfoil.platform.models import AuditEntry
from counterfoil.quotes.commands import create_opportunity

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def file(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def refused(content: bytes) -> list[tuple[str, str, str]]:
    """(row, column, message) of every mistake the import is refused for."""
    before = Company.objects.count()
    with pytest.raises(DomainError) as refusal:
        import_companies(actor=FINANCE, content=content)
    assert refusal.value.code == "import_rows_invalid"
    assert Company.objects.count() == before
    return [(error["row"], error["column"], error["message"]) for error in refusal.value.details]


def test_new_companies_with_site_and_contact(msp: World) -> None:
    content = file(
        "identifier,name,kind,account_number,bill_to,terms,tax_code,invoice_email,site_name,address,city,state,"
        "postal_code,site_tax_code,contact_name,contact_email,contact_is_billing",
        'Initech,"Initech, Inc.",customer,INI01,InitechHQ,net 30,mi6,ap@initech.example,HQ,1 Elm St,Austin,TX,73301,'
        "MI6,Bill Lumbergh,bill@initech.example,yes",
        "InitechHQ,Initech Holding,Both,,,,,,,,,,,,,,",
    )
    preview = preview_companies(content=content)
    assert (preview.in_words, preview.errors) == ("2 to create, 0 to update, 0 unchanged", ())
    assert not Company.objects.filter(identifier="Initech").exists()

    result = import_companies(actor=SALES, content=content, filename="customers.csv")

    assert (result.created, result.updated, result.unchanged) == (2, 0, 0)
    initech = Company.objects.get(identifier="Initech")
    assert (initech.name, initech.account_number, initech.terms, initech.tax_code) == (
        "Initech, Inc.",
        "INI01",
        msp.net30,
        msp.tax6,
    )
    assert initech.bill_to == Company.objects.get(identifier="InitechHQ", kind="both")
    site, contact = initech.sites.get(), initech.contacts.get()
    assert (site.name, site.city, site.tax_code, site.country, site.is_default) == (
        "HQ",
        "Austin",
        msp.tax6,
        "US",
        True,
    )
    assert (contact.name, contact.is_billing, contact.is_default) == ("Bill Lumbergh", True, True)
    assert [entry.sentence for entry in trail_of(initech)] == ["imported: Initech, Initech, Inc."]
    assert "imported companies from customers.csv: 2 created, 0 updated, 0 unchanged" in [
        entry.sentence for entry in AuditEntry.objects.all()
    ]
    assert not list(broken_links())


def test_what_is_there_is_updated_and_what_is_not_in_the_file_stays(msp: World) -> None:
    content = file(
        "Identifier;Name;Phone;City", "ACMECORP;Acme Corporation;555-0100;Flint", "Globex;Globex Ltd;;Detroit"
    )

    preview = preview_companies(content=content)
    assert [(row.row, row.deed, row.identifier) for row in preview.rows] == [
        (2, "update", "AcmeCorp"),
        (3, "unchanged", "Globex"),
    ]
    assert "name from “Acme Corp” to “Acme Corporation”" in preview.rows[0].changes
    assert "site city from “Detroit” to “Flint”" in preview.rows[0].changes

    import_companies(actor=FINANCE, content=content)

    msp.acme.refresh_from_db()
    assert (msp.acme.name, msp.acme.phone, msp.acme.terms, msp.acme.kind) == (
        "Acme Corporation",
        "555-0100",
        msp.net30,
        "customer",
    )
    assert (msp.acme.sites.get().city, msp.acme.sites.get().line1) == ("Flint", "1 Main St")
    again = import_companies(actor=FINANCE, content=content)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 2)


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "Müller"), ("utf-8-sig", "Müller"), ("utf-16", "Müller"), ("cp1252", "Müller & Söhne")],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_of_spreadsheets(msp: World, encoding: str, name: str, separator: str) -> None:
    text = f"name{separator}IDENTIFIER\nMueller\n".replace("Mueller", f"{name}{separator}Mueller")
    import_companies(actor=FINANCE, content=text.encode(encoding))
    assert Company.objects.get(identifier="Mueller").name == name


def test_every_mistake_is_named_and_nothing_is_written(msp: World) -> None:
    assert refused(
        file(
            "identifier,name,kind,terms,bill_to,invoice_email,contact_email,contact_is_billing,account_number",
            "Initech,Initech,customer,,,,,,",
            ",No key,customer,,,,,,",
            "Hooli,,customer,,,,,,",
            "initech,Initech again,customer,,,,,,",
            "Bad_Key,Bad key,customer,,,,,,",
            "K1,One,competitor,Net 31,,,,,",
            "K2,Two,,,Nobody,no-address,,,",
            "K3,Three,,,,,x@y.example,maybe,",
            "K4,Four,my_company,,NorthwindIT,,,,",
            "K5,Five,,,,,,,ACMECORP",
        )
    ) == [
        ("3", "identifier", "Enter the identifier."),
        ("4", "name", "Enter the name."),
        ("5", "identifier", "“initech” is in row 2 already."),
        ("6", "identifier", "Identifier: Letters, digits, spaces and + only."),
        ("7", "kind", "“competitor” is not known here."),
        ("7", "terms", "There is no billing terms “Net 31”."),
        ("8", "invoice_email", "Invoice email: Enter a valid email address."),
        ("8", "bill_to", "There is no company “Nobody”."),
        ("9", "contact_name", "Whose are the contact's details?"),
        ("10", "kind", "There can be one My Company only."),
        ("10", "bill_to", "Northwind IT is My Company: nothing can be billed to it."),
        ("11", "account_number", "Acme Corp has the account number ACMECORP already."),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty."),
        (b"identifier,name\n", "There are no rows below the header."),
        (b"identifier,name,colour\nA,B,red\n", "There is no column “colour”."),
        (b"identifier,name,name\nA,B,C\n", "The column name is there twice."),
        (b"identifier\nA\n", "The column name is missing."),
        (b'identifier,name\nA,"B\n', "The file is not a CSV file: unexpected end of data."),
        (b"\x89PNG\r\n\x1a\n\0\0", "The file is not text."),
    ],
)
def test_files_that_cannot_be_read(content: bytes, message: str) -> None:
    assert [error[2] for error in refused(content)] == [message]


def test_a_row_with_too_many_cells(msp: World) -> None:
    assert refused(file("identifier,name", "Initech,Initech, Inc.")) == [
        ("2", "", "The row has 3 cells, the header 2.")
    ]


def test_a_customer_with_business_stays_a_customer(msp: World) -> None:
    create_opportunity(actor=SALES, company_id=msp.acme.pk, name="Servers")
    assert refused(file("identifier,name,kind", "AcmeCorp,Acme,vendor", "Globex,Globex,vendor")) == [
        ("2", "kind", "Acme has opportunities, so its kind stays Customer.")
    ]


def test_a_viewer_does_not_import() -> None:
    with pytest.raises(DomainError) as refusal:
        import_companies(actor=VIEWER, content=b"")
    assert refusal.value.code == "role_required"


def test_the_sample_can_be_imported(msp: World) -> None:
    content = sample_csv(columns()).encode()
    assert preview_companies(content=content).errors == ()


def test_the_module_documents_its_columns() -> None:
    documented = [line.split()[0] for line in (imports.__doc__ or "").splitlines() if line.startswith("    ")]
    assert documented == [column.name for column in columns()]


def rows_of(count: int, city: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["identifier", "name", "terms", "city", "contact_name", "account_number", "bill_to"])
    for n in range(count):
        writer.writerow([f"C{n}", f"Company {n}", "Net 30", city, f"Person {n}", f"A{n}", f"C{(n + 1) % count}"])
    return out.getvalue().encode()


@pytest.mark.slow
def test_ten_thousand_rows_take_seconds(msp: World) -> None:
    started = time.perf_counter()
    result = import_companies(actor=FINANCE, content=rows_of(10_000, "Flint"))
    created = time.perf_counter() - started
    assert result.created == 10_000
    assert (Site.objects.filter(city="Flint").count(), Contact.objects.count()) == (10_000, 10_000)

    started = time.perf_counter()
    result = import_companies(actor=FINANCE, content=rows_of(10_000, "Lansing"))
    updated = time.perf_counter() - started
    assert (result.updated, Site.objects.filter(city="Lansing").count()) == (10_000, 10_000)
    print(f"10,000 companies with sites and contacts: created in {created:.1f} s, updated in {updated:.1f} s")
    assert max(created, updated) < 60


def test_the_number_of_statements_does_not_grow_with_the_rows(msp: World) -> None:
    counts = []
    for rows in (20, 200):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            import_companies(actor=FINANCE, content=rows_of(rows, f"City {rows}"))
        counts.append(len(queries))
    assert counts[0] + 3 >= counts[1]
