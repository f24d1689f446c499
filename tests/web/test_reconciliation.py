"""Vendors' statements through the pages: import, names, what differs, mending it, the vendor's bill."""

from __future__ import annotations

import base64
import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.matching.licences import SIMPLE, billed, csv_of, licence
from tests.matching.test_vendor_bills import HEADINGS, arrived, row
from tests.web.pages import done, errors_beside, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.agreements.models import Addition
from counterfoil.matching.column_mappings import MICROSOFT
from counterfoil.matching.models import ColumnMapping, MatchException, NameAlias, VendorStatement
from counterfoil.platform.identity import Role
from counterfoil.procurement.models import VendorBill

IMPORT = "/match/statements/import/"
MAPPINGS = "/match/statements/mappings/"
NAMES = "/match/statements/names/"
BILLS = "/vendor-bills/import/"
MARCH = {"vendor_id": "Ingram Micro", "period_start": "2026-03-01", "period_end": "2026-03-31"}


@pytest.fixture(autouse=True)
def finance(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)


def upload(content: bytes, name: str = "march.csv") -> dict[str, Any]:
    return {"file": SimpleUploadedFile(name, content, "text/csv")}


def carried(content: bytes) -> dict[str, Any]:
    return {"content": base64.b64encode(content).decode(), "filename": "march.csv"}


def imported(client: Client, content: bytes, **given: Any) -> str:
    """The statement's page, after importing and reconciling it."""
    return done(post(client, IMPORT, carried(content), {"compare": "on", "confirmed": "yes"} | MARCH | given))


def test_the_empty_list_says_what_to_do(client: Client) -> None:
    assert "No vendor's file yet" in text_of(client.get("/match/statements/"))


def test_a_file_is_looked_at_before_anything_is_written(client: Client, world: World) -> None:
    licence(world)
    content = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18), ("Nobody we know", "Business Premium", 3, 18))
    shown = post(client, IMPORT, upload(content), MARCH)
    text = text_of(shown)
    assert shown.status_code == 200, text
    assert "2 hold on the last day" in text
    assert "Nobody we know unknown here" in text
    assert "270.00" in text  # 15 licences at 18.00
    assert base64.b64encode(content).decode() in shown.content.decode()  # the file is carried along
    assert not VendorStatement.objects.exists()


def test_a_wrong_row_is_named_and_stops_the_whole_file(client: Client, world: World) -> None:
    licence(world)
    content = csv_of(SIMPLE, ("Acme Corp", "Business Premium", "twelve", 18), ("Acme Corp", "Business Premium", 3, 18))
    page = refused(post(client, IMPORT, upload(content), MARCH), "What is wrong", "Qty")
    assert "Import it" not in page
    refused(post(client, IMPORT, carried(content), MARCH | {"confirmed": "yes"}))
    assert not VendorStatement.objects.exists()


def test_what_was_typed_and_uploaded_survives_a_mistake(client: Client) -> None:
    content = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18))
    page = refused(post(client, IMPORT, upload(content), vendor_id="Nobody", reference="R-7"))
    assert "There is no such company" in errors_beside(page, "vendor_id")
    assert 'value="R-7"' in page
    assert base64.b64encode(content).decode() in page
    refused(post(client, IMPORT, MARCH), "Choose a file")


def test_an_imported_file_shows_every_difference_in_dollars(client: Client, world: World) -> None:
    licensed, backup = licence(world), licence(world, "Cloud backup")
    billed(world, licensed, 10)
    billed(world, backup, 4)
    where = imported(client, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18)))
    text = text_of(client.get(where))
    assert "Under-billed a month 44.00" in text
    assert "Orphaned a month 88.00 1 line: 88.00 billed for nothing" in text
    assert "every name is understood" in text
    assert text.index("Cloud backup") < text.index("Business Premium")  # the dearest difference first
    under = text_of(client.get(f"{where}?status=under_billed"))
    assert "Cloud backup" not in under
    listed = text_of(client.get("/match/statements/?state=reconciled"))
    assert VendorStatement.objects.get().number in listed
    as_file = client.get(f"{where}?export=csv").content.decode()
    assert "Business Premium" in as_file
    assert "(44.00)" not in as_file


def test_the_same_file_again_leads_to_what_it_is_already(client: Client, world: World) -> None:
    licence(world)
    content = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18))
    where = imported(client, content)
    assert "is VS-0001 already" in text_of(post(client, IMPORT, upload(content), MARCH)).replace(
        VendorStatement.objects.get().number, "VS-0001"
    )
    assert imported(client, content) == where


def test_a_name_is_confirmed_once_with_one_click(client: Client, world: World) -> None:
    billed(world, licence(world), 10)
    where = imported(client, csv_of(SIMPLE, ("Acme Corporation", "Bussiness Premium", 12, 18)))
    page = client.get(where).content.decode()
    assert re.search(rf'<option value="{world.acme.pk}">[^<]*\d+ % alike', page)
    form = f"{where}name/"
    done(post(client, form, kind="customer", text="Acme Corporation", meant=world.acme.pk, other=""))
    done(post(client, form, kind="product", text="Bussiness Premium", meant="", other="BUSINESS-PREMIUM"))
    assert NameAlias.objects.count() == 2
    text = text_of(client.get(where))
    assert "every name is understood" in text
    assert "Under-billed a month 44.00" in text


def test_a_name_needs_a_meaning(client: Client, world: World) -> None:
    licence(world)
    where = imported(client, csv_of(SIMPLE, ("Zzyzx", "Business Premium", 12, 18)))
    page = refused(post(client, f"{where}name/", kind="customer", text="Zzyzx", other=""))
    assert "required" in errors_beside(page, "other")
    page = refused(post(client, f"{where}name/", kind="customer", text="Zzyzx", other="Nobody"))
    assert "There is no such company" in errors_beside(page, "other")
    assert client.get(f"{where}name/?kind=planet&text=Mars").status_code == 404
    assert not NameAlias.objects.exists()


def test_a_line_is_fixed_from_a_day_on(client: Client, world: World) -> None:
    billed(world, licence(world), 10)
    where = imported(client, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18)))
    exception = MatchException.objects.get(status="open")
    page = client.get(where).content.decode()
    fix = f"{where}fix/{exception.pk}/"
    assert fix in page
    assert f"/match/exceptions/{exception.pk}/" in page
    assert 'value="2026-03-01"' in client.get(fix).content.decode()
    refused(post(client, fix, effective_date="2026-13-01"))
    assert done(post(client, fix, effective_date="2026-03-01")) == where
    exception.refresh_from_db()
    assert exception.status == "mended"
    change = Addition.objects.get().changes.get(effective_date=date(2026, 3, 1))
    assert change.quantity == Decimal(12)
    assert "Fix it" not in client.get(where).content.decode()


def test_what_is_not_billed_asks_which_agreement_bills_it(client: Client, world: World) -> None:
    premium, backup = licence(world), licence(world, "Cloud backup")
    billed(world, premium, 12)
    second = billed(world, premium, 3)
    where = imported(
        client, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 15, 18), ("Acme Corp", "Cloud backup", 2, 18))
    )  # fmt: skip
    exception = MatchException.objects.get(code="unbilled")
    fix = f"{where}fix/{exception.pk}/"
    page = refused(post(client, fix, effective_date="2026-03-01", agreement_id=""))
    assert "required" in errors_beside(page, "agreement_id")
    done(post(client, fix, effective_date="2026-03-01", agreement_id=second.pk))
    assert Addition.objects.get(product=backup).agreement == second


def test_procurement_sees_and_confirms_but_does_not_bill(client: Client, world: World) -> None:
    billed(world, licence(world), 10)
    where = imported(client, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18)))
    exception = MatchException.objects.get(status="open")
    sign_in(client, Role.PROCUREMENT)
    assert "Fix it" not in client.get(where).content.decode()
    assert client.get(f"{where}fix/{exception.pk}/").status_code == 403
    sign_in(client, Role.VIEWER)
    assert client.get(where).status_code == 200
    assert client.get(IMPORT).status_code == 403
    assert client.post(f"{where}reconcile/").status_code == 403


def test_a_wrong_file_is_deleted_until_it_is_reconciled(client: Client, world: World) -> None:
    licence(world)
    first = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18))
    where = done(post(client, IMPORT, carried(first), MARCH | {"confirmed": "yes"}))
    assert "as things stand" in text_of(client.get(where))
    done(client.post(f"{where}delete/"))
    assert not VendorStatement.objects.exists()
    where = imported(client, first)
    assert client.post(f"{where}delete/").status_code == 409
    done(client.post(f"{where}reconcile/"))


# -- column mappings ---------------------------------------------------------------------------------------------------


def test_a_mapping_is_made_beside_the_headings_of_a_file(client: Client, world: World) -> None:
    licence(world)
    content = csv_of(("Kunde", "Artikel", "Menge", "Preis"), ("Acme Corp", "Business Premium", 12, 18))
    refused(post(client, IMPORT, upload(content), MARCH), "No column is chosen")
    shown = post(client, f"{MAPPINGS}new/", upload(content), read="yes", name="German", vendor_id="Ingram Micro")
    page = shown.content.decode()
    assert shown.status_code == 200
    assert "Business Premium" in text_of(shown)  # what the first row holds
    assert 'value="German"' in page
    sent = {"name": "German", "vendor_id": "Ingram Micro", "headings": "Kunde\tAcme Corp\nArtikel\t"}
    columns = {"column_customer_name": "Kunde", "column_product_name": "Artikel", "column_quantity": "Menge",
               "column_unit_cost": "Preis"}  # fmt: skip
    again = refused(post(client, f"{MAPPINGS}new/", sent | {"name": ""}, columns))
    assert "<code>Kunde</code>" in again  # still beside the fields
    done(post(client, f"{MAPPINGS}new/", sent, columns))
    assert ColumnMapping.objects.get(name="German").columns["quantity"] == "Menge"
    assert post(client, IMPORT, upload(content), MARCH).status_code == 200  # taken by itself: every heading is there


def test_mappings_are_listed_changed_and_deleted_but_ready_ones_stay(client: Client) -> None:
    done(post(client, f"{MAPPINGS}new/", name="Mine", column_quantity="Menge"))
    mine = ColumnMapping.objects.get(name="Mine")
    text = text_of(client.get(MAPPINGS))
    assert MICROSOFT in text
    assert "Mine" in text
    refused(post(client, f"{MAPPINGS}{mine.pk}/", name=MICROSOFT, column_quantity="Menge"), "ready mapping")
    done(post(client, f"{MAPPINGS}{mine.pk}/", name="Ours", column_quantity="Anzahl"))
    mine.refresh_from_db()
    assert (mine.name, mine.columns) == ("Ours", {"quantity": "Anzahl"})
    done(client.post(f"{MAPPINGS}{mine.pk}/delete/"))
    assert not ColumnMapping.objects.filter(pk=mine.pk).exists()


# -- vendors' bills ----------------------------------------------------------------------------------------------------


def test_a_file_of_bills_shows_what_it_bills_before_it_is_entered(client: Client, world: World) -> None:
    first, second = arrived(world), arrived(world, "5")
    content = csv_of(HEADINGS, row(12))
    text = text_of(post(client, BILLS, upload(content), vendor_id="Ingram Micro"))
    assert f"10 of {first.purchase_order.number}" in text
    assert f"2 of {second.purchase_order.number}" in text
    assert not VendorBill.objects.exists()
    where = done(post(client, BILLS, carried(content), vendor_id="Ingram Micro", confirmed="yes"))
    bill = VendorBill.objects.get()
    assert where == f"/vendor-bills/{bill.pk}/"
    assert (bill.vendor_invoice_number, bill.total) == ("V-1", Decimal(48))


def test_what_is_on_no_order_is_named_and_left_out_only_when_asked(client: Client, world: World) -> None:
    arrived(world)
    content = csv_of(HEADINGS, row(12))
    refused(
        post(client, BILLS, upload(content), vendor_id="Ingram Micro"),
        "2 found nowhere", "More than has arrived",
    )  # fmt: skip
    refused(post(client, BILLS, carried(content), vendor_id="Ingram Micro", confirmed="yes"))
    assert not VendorBill.objects.exists()
    done(post(client, BILLS, carried(content), vendor_id="Ingram Micro", confirmed="yes", leave_unmatched="on"))
    assert VendorBill.objects.get().total == Decimal(40)


def test_a_statement_becomes_the_vendors_bill(client: Client, world: World) -> None:
    line = arrived(world)
    content = csv_of((*SIMPLE, "Invoice number"), ("Acme Corp", "Patch cable", 10, 4, "ING-3"))
    where = imported(client, content)
    assert f"10 of {line.purchase_order.number}" in text_of(client.get(f"{where}bill/"))
    to = done(post(client, f"{where}bill/", vendor_invoice_number="ING-3", bill_date="2026-04-01"))
    bill = VendorBill.objects.get()
    assert to == f"/vendor-bills/{bill.pk}/"
    assert (bill.vendor_invoice_number, bill.total) == ("ING-3", Decimal(40))


def test_what_is_suggested_is_confirmed_at_once(client: Client, world: World) -> None:
    billed(world, licence(world), 10)
    rows = [("Acme Corporation", "Business Premium", 12, 18), ("Globex Inc.", "Bussiness Premium", 3, 18)]
    where = imported(client, csv_of(SIMPLE, *rows, ("Wayne Ltd", "Business Premium", 1, 18)))
    assert f"{where}names/" in client.get(where).content.decode()
    page = client.get(f"{where}names/").content.decode()
    sent = dict(re.findall(r'name="((?:kind|text)-\d+)" value="([^"]*)"', page))
    sent |= dict(re.findall(r'name="(meant-\d+)"[^>]*><option value="(\d+)"', page))
    ticked = re.findall(r'name="(confirm-\d+)" value="yes" checked', page)
    assert sorted(sent[f"text-{name.removeprefix('confirm-')}"] for name in ticked) == [
        "Acme Corporation", "Bussiness Premium", "Globex Inc.",
    ]  # fmt: skip
    assert "Wayne" not in page
    refused(post(client, f"{where}names/", **sent), "Choose the names to confirm")
    assert not NameAlias.objects.exists()
    assert done(post(client, f"{where}names/", sent | dict.fromkeys(ticked, "yes"))) == where
    assert NameAlias.objects.count() == 3
    text = text_of(client.get(where))
    assert "Under-billed a month 44.00" in text
    assert "Orphaned a month 54.00" in text
    assert "Nothing is suggested" in text_of(client.get(f"{where}names/"))


def test_confirmed_names_are_listed_changed_and_forgotten(client: Client, world: World) -> None:
    billed(world, licence(world), 10)
    where = imported(client, csv_of(SIMPLE, ("Acme Corporation", "Business Premium", 12, 18)))
    assert "No name is confirmed yet" in text_of(client.get(NAMES))
    done(post(client, f"{where}name/", kind="customer", text="Acme Corporation", other="Globex"))
    listed = text_of(client.get(f"{NAMES}?q=ACME&kind=customer"))
    assert "acme corporation" in listed
    assert "Globex" in listed
    assert "acme" not in text_of(client.get(f"{NAMES}?kind=product")).lower().split("names", 2)[-1]
    one = f"{NAMES}{NameAlias.objects.get().pk}/"
    assert 'value="Globex' in client.get(one).content.decode()
    assert done(post(client, one, means="Acme Corp")) == NAMES
    assert NameAlias.objects.get().company == world.acme
    assert "Under-billed a month 44.00" in text_of(client.get(where))
    assert done(post(client, f"{one}forget/")) == NAMES
    assert not NameAlias.objects.exists()
    assert "Acme Corp (100 % alike)" in text_of(client.get(where))


def test_who_may_only_look_confirms_no_names(client: Client, world: World) -> None:
    licence(world)
    where = imported(client, csv_of(SIMPLE, ("Acme Corporation", "Business Premium", 12, 18)))
    done(post(client, f"{where}name/", kind="customer", text="Acme Corporation", meant=world.acme.pk))
    one = f"{NAMES}{NameAlias.objects.get().pk}/"
    sign_in(client, Role.VIEWER)
    assert "acme corporation" in text_of(client.get(NAMES))
    for address in (f"{where}names/", one):
        assert client.get(address).status_code == 403
    for address in (f"{where}names/", one, f"{one}forget/"):
        assert post(client, address).status_code == 403
    assert NameAlias.objects.count() == 1
