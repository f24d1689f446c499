"""The audit trail as a page: the whole, one record, its columns, and whether the chain holds."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from decimal import Decimal

import pgtrigger
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from tests.web.deal import convert, quote
from tests.world import FINANCE, World

from counterfoil.billing import commands as billing
from counterfoil.billing.models import Invoice
from counterfoil.companies.models import Company
from counterfoil.platform.history import history_of
from counterfoil.platform.models import AuditEntry, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(User.objects.create_user("vic@northwind.example", name="Vic Viewer", roles=["viewer"]))
    return client


def text(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.decode()).split())


def changed_invoice(world: World) -> Invoice:
    """A draft whose line was changed from 150.00 to 140.00, then sent to Globex."""
    convert(quote(world, 1))
    (invoice,) = billing.invoice_agreements_through(actor=FINANCE, through=date(2026, 1, 1)).invoices
    line = invoice.lines.get()
    billing.update_invoice_line(actor=FINANCE, line_id=line.pk, unit_price=Decimal(140))
    billing.change_bill_to(actor=FINANCE, invoice_id=invoice.pk, company_id=world.globex.pk)
    return invoice


def test_the_trail_is_searched_and_filtered(world: World, viewer: Client) -> None:
    changed_invoice(world)

    whole = text(viewer.get("/audit/").content)
    assert "changed the bill-to" in whole
    assert "opened OPP-0001" in whole
    assert "opened OPP-0001" not in text(viewer.get("/audit/?person=Finn+Finance").content)
    only = viewer.get("/audit/?verb=billing.invoice.bill_to_changed").content
    assert "1 entries" in text(only)
    assert "Nothing matches" in text(viewer.get("/audit/?until=2020-01-01").content)
    assert viewer.get("/audit/?since=never&until=2026-13-45").status_code == 200
    assert "1 entries" in text(viewer.get("/audit/?q=bill-to+globex").content)


def test_the_exported_trail_carries_the_hashes(world: World, viewer: Client) -> None:
    rows = list(csv.DictReader(io.StringIO(viewer.get("/audit/?export=csv").content.decode("utf-8-sig"))))

    assert len(rows) == AuditEntry.objects.count()
    assert rows[0]["Hash before"] == rows[1]["Hash"]


def test_the_trail_of_a_record_shows_what_changed_from_what_to_what(world: World, viewer: Client) -> None:
    invoice = changed_invoice(world)

    page = text(viewer.get(f"/audit/billing.invoice/{invoice.pk}/").content)

    assert "drafted the invoice" in page
    assert "Bill to Acme Corp Globex Ltd" in page
    assert "Subtotal 150 140" in page
    line = invoice.lines.get()
    assert "Unit price 150 140" in text(viewer.get(f"/audit/billing.invoiceline/{line.pk}/").content)


def test_what_was_deleted_is_still_told(world: World, viewer: Client) -> None:
    invoice = changed_invoice(world)
    pk = invoice.pk
    billing.delete_draft_invoice(actor=FINANCE, invoice_id=pk)

    page = text(viewer.get(f"/audit/billing.invoice/{pk}/").content)

    assert "which is deleted" in page
    assert "deleted draft" in page
    assert "Subtotal 140 gone" in page
    assert history_of(Invoice, pk)[0].deleted


def test_history_is_newest_first_and_bounded(world: World) -> None:
    company = Company.objects.get(pk=world.acme.pk)
    for name in ("Acme One", "Acme Two", "Acme Three"):
        company.name = name
        company.save()

    told = [[(c.column, c.before, c.after) for c in row.columns] for row in history_of(Company, company.pk)]

    assert told == [
        [("name", "Acme Two", "Acme Three")],
        [("name", "Acme One", "Acme Two")],
        [("name", "Acme Corp", "Acme One")],
    ]
    assert len(history_of(Company, company.pk, most=2)) == 2


@pytest.mark.parametrize("address", ["/audit/billing.invoice/99999/", "/audit/no.such/1/", "/audit/nothing/1/"])
def test_what_never_was_has_no_trail(viewer: Client, address: str) -> None:
    assert viewer.get(address).status_code == 404


def test_the_chain_is_checked_and_a_forged_entry_named(world: World, viewer: Client) -> None:
    assert "Every link of the chain holds." in text(viewer.post("/audit/check/").content)

    with pgtrigger.ignore("platform.AuditEntry:audit_append_only"):
        AuditEntry.objects.filter(seq=2).update(sentence="did nothing at all")

    page = text(viewer.post("/audit/check/").content)
    assert "The chain does not hold." in page
    assert "audit entry 2 was changed after it was written" in page
    assert viewer.get("/audit/check/").status_code == 405


def test_the_pages_need_few_queries(
    world: World, viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    invoice = changed_invoice(world)
    with django_assert_max_num_queries(26):
        viewer.get("/audit/")
    with django_assert_max_num_queries(26):
        viewer.get(f"/audit/billing.invoice/{invoice.pk}/")
