"""Pages of the books: unposted queues, batches, the file for QuickBooks Desktop, the journal."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from tests.kept_rows import built_once
from tests.web import deal as deals
from tests.web.deal import NOW, Deal
from tests.web.pages import sign_in
from tests.world import OWNER, World, build_world

from counterfoil.accounting import commands as accounting
from counterfoil.accounting.models import Batch, BatchStatus, ExportStatus
from counterfoil.ledger.models import DefaultAccount, JournalEntry
from counterfoil.platform.identity import Role
from counterfoil.web import navigation

#: Session, user, navigation with its counts and settings included.
MOST_QUERIES = 60


@pytest.fixture
def waiting(db: None) -> Deal:
    """A receipt, a vendor bill and two invoices that are not in the books."""

    def deal() -> Deal:
        return deals.deliver(deals.receive(deals.buy(deals.convert(deals.quote(build_world(), 2)))))

    return built_once("a deal that is not in the books", deal)


def page_of(client: Client, name: str, *args: Any, **query: str) -> str:
    answer = client.get(reverse(f"web:{name}", args=args), query)
    assert answer.status_code == 200, answer.content.decode()
    return " ".join(answer.content.decode().split())


def ticks(deal: Deal) -> list[str]:
    assert deal.receipt
    assert deal.bill
    assert deal.invoice
    assert deal.rent
    return [
        f"receipt:{deal.receipt.pk}",
        f"vendor_bill:{deal.bill.pk}",
        f"invoice:{deal.invoice.pk}",
        f"invoice:{deal.rent.pk}",
    ]


# -- unposted ----------------------------------------------------------------------------------------------------------


def test_the_queues_show_what_waits(client: Client, waiting: Deal, django_assert_max_num_queries: Any) -> None:
    sign_in(client, Role.FINANCE)
    assert waiting.receipt
    assert waiting.bill
    assert waiting.rent
    with django_assert_max_num_queries(MOST_QUERIES):
        procurement = page_of(client, "unposted")
    assert waiting.receipt.number in procurement
    assert waiting.bill.number in procurement
    assert "3,600.00 to inventory" in procurement
    assert f"Receipt {waiting.receipt.number}, which it bills, is not in the books." in procurement
    with django_assert_max_num_queries(MOST_QUERIES):
        invoices = page_of(client, "unposted_queue", "invoices")
    assert "150.00 revenue, 9.00 sales tax" in invoices
    assert navigation.counts()["unposted"] == 4


def test_a_queue_grows_without_more_queries(client: Client, world: World, django_assert_num_queries: Any) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    sign_in(client, Role.FINANCE)
    deals.whole_without_books(world)
    page_of(client, "unposted")

    def receive(number: int) -> None:
        deals.receive(deals.buy(deals.convert(deals.quote(world, 2, name=f"Server {number}"))), f"SN-000{number}")

    receive(3)  # what waits is counted anew after each deed, so both pages are asked for right after one
    with CaptureQueriesContext(connection) as few:
        page_of(client, "unposted")
    for number in range(4, 7):
        receive(number)
    with django_assert_num_queries(len(few)):
        page_of(client, "unposted")


def test_a_missing_account_is_named_with_the_way_to_map_it(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.FINANCE)
    DefaultAccount.objects.filter(role="inventory").delete()
    page = page_of(client, "unposted")
    assert "No GL account for inventory of SRV-INV (category Hardware)." in page
    assert f'<a href="{reverse("web:gl_mappings")}">Map it</a>' in page
    assert "Not yet" in page
    assert f'value="receipt:{waiting.receipt and waiting.receipt.pk}"' not in page
    assert "No GL account for inventory of SRV-INV" in page_of(client, "gl_mappings")


def test_what_is_ticked_becomes_a_batch(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.FINANCE)
    answer = client.post(reverse("web:unposted"), {"item": ticks(waiting)})
    batch = Batch.objects.get()
    assert answer["Location"] == reverse("web:batch", args=[batch.pk])
    assert batch.items.count() == 4
    assert f"In {batch.number}" in page_of(client, "unposted")
    assert navigation.counts()["open_batches"] == 1


def test_an_invoice_of_stock_takes_its_receipt_along(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.FINANCE)
    assert waiting.receipt
    assert waiting.invoice
    page = page_of(client, "unposted_queue", "invoices")
    assert "With its receipt" in page
    assert f"Receipt {waiting.receipt.number}, whose goods it sells, is not in the books." in page
    assert f'value="invoice:{waiting.invoice.pk}"' in page
    client.post(reverse("web:unposted_queue", args=["invoices"]), {"item": [f"invoice:{waiting.invoice.pk}"]})
    held = Batch.objects.get().items.values_list("source_type", "source_id").order_by("id")
    assert list(held) == [("receipt", waiting.receipt.pk), ("invoice", waiting.invoice.pk)]


def test_nothing_ticked_is_said_and_what_was_ticked_is_kept(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.FINANCE)
    answer = client.post(reverse("web:unposted"), {})
    assert answer.status_code == 422
    assert "Choose at least one record for the batch." in answer.content.decode()
    bill = ticks(waiting)[1]
    answer = client.post(reverse("web:unposted"), {"item": [bill]})
    page = " ".join(answer.content.decode().split())
    assert answer.status_code == 422
    assert "is not in the books" in page
    assert f'value="{bill}" aria-label="Vendor bill' in page
    assert page.count(" checked") == 1
    assert not Batch.objects.exists()


@pytest.mark.parametrize(("scope", "records"), [("all", 4), ("procurement", 2), ("invoices", 1)])
def test_everything_ready_through_a_date_becomes_a_batch(
    client: Client, waiting: Deal, scope: str, records: int
) -> None:
    sign_in(client, Role.FINANCE)
    client.post(reverse("web:unposted"), {"everything": "yes", "through": "2026-01-31", "scope": scope})
    assert Batch.objects.get().items.count() == records


def test_nothing_ready_through_a_date_is_said(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.FINANCE)
    for through, said in (("2025-12-31", "Nothing is ready through that date."), ("soon", "Enter a valid date.")):
        sent = {"everything": "yes", "through": through, "scope": "all"}
        answer = client.post(reverse("web:unposted"), sent)
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert f'value="{through}"' in answer.content.decode()


def test_a_viewer_sees_the_queue_and_may_not_batch(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.VIEWER)
    page = page_of(client, "unposted")
    assert "Batch the ticked" not in page
    assert 'type="checkbox"' not in page
    assert client.post(reverse("web:unposted"), {"item": ticks(waiting)}).status_code == 403
    assert not Batch.objects.exists()


def test_the_queue_as_a_file_says_why(client: Client, waiting: Deal) -> None:
    sign_in(client, Role.FINANCE)
    answer = client.get(reverse("web:unposted"), {"export": "csv"})
    assert answer["Content-Disposition"] == 'attachment; filename="unposted-procurement.csv"'
    assert "which it bills, is not in the books" in answer.content.decode("utf-8-sig")


# -- batches -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def batch(waiting: Deal) -> Batch:
    return accounting.create_batch(actor=OWNER, through=date(2026, 1, 31))


def test_a_batch_shows_its_entries_before_they_are_made(
    client: Client, batch: Batch, django_assert_max_num_queries: Any
) -> None:
    sign_in(client, Role.FINANCE)
    with django_assert_max_num_queries(MOST_QUERIES):
        page = page_of(client, "batch", batch.pk)
    assert "Entries it will make" in page
    assert "Goods Received Not Invoiced" in page
    assert "Totals by account" in page
    assert not JournalEntry.objects.exists()
    # receipt 3,600.00, bill 3,600.00, cost 3,600.00, rent 159.00
    assert "10,959.00" in page


def test_a_transferred_batch_says_what_happened_to_each(client: Client, batch: Batch) -> None:
    sign_in(client, Role.FINANCE)
    answer = client.post(reverse("web:batch_transfer", args=[batch.pk]), follow=True)
    page = " ".join(answer.content.decode().split())
    assert f"Batch {batch.number} is in the books." in page
    assert "What happened to each" in page
    for entry in JournalEntry.objects.all():
        assert f'<a href="{reverse("web:journal_entry", args=[entry.pk])}">{entry.number}</a>' in page
    assert JournalEntry.objects.count() == 4
    assert "Take out" not in page


def test_a_long_batch_is_shown_in_part_until_asked_for_in_full(
    client: Client, waiting: Deal, batch: Batch, monkeypatch: Any
) -> None:
    from counterfoil.web.views import books

    monkeypatch.setattr(books, "MOST_ROWS", 3)
    monkeypatch.setattr(books, "MOST_ENTRIES", 2)
    sign_in(client, Role.FINANCE)
    page = page_of(client, "batch", batch.pk)
    assert page.count("Take out</button>") == 3
    assert "Show all 4 records" in page
    assert "Show all 4 entries" in page
    assert "10,959.00" in page
    assert page_of(client, "batch", batch.pk, entries="all").count("Take out</button>") == 4
    monkeypatch.setattr(books, "MOST_ROWS", 1)
    assert "1 more wait." in page_of(client, "unposted")


def test_a_batch_is_not_transferred_twice(client: Client, batch: Batch) -> None:
    sign_in(client, Role.FINANCE)
    accounting.transfer_batch(actor=OWNER, batch_id=batch.pk, now=NOW)
    answer = client.post(reverse("web:batch_transfer", args=[batch.pk]))
    assert answer.status_code == 422
    assert "is in the books already; nothing was posted twice." in answer.content.decode()
    assert JournalEntry.objects.count() == 4


def test_a_batch_with_a_record_that_may_not_go_names_it(client: Client, batch: Batch) -> None:
    sign_in(client, Role.FINANCE)
    DefaultAccount.objects.filter(role="inventory").delete()
    page = page_of(client, "batch", batch.pk)
    assert "2 records cannot go yet." in page
    assert reverse("web:batch_transfer", args=[batch.pk]) not in page
    answer = client.post(reverse("web:batch_transfer", args=[batch.pk]))
    assert answer.status_code == 422
    assert "No GL account for inventory of SRV-INV" in answer.content.decode()
    assert Batch.objects.get().status == BatchStatus.OPEN


def test_a_record_is_taken_out_and_a_batch_deleted(client: Client, waiting: Deal, batch: Batch) -> None:
    sign_in(client, Role.FINANCE)
    assert waiting.rent
    client.post(reverse("web:batch_remove", args=[batch.pk]), {"item": f"invoice:{waiting.rent.pk}"})
    assert batch.items.count() == 3
    assert client.post(reverse("web:batch_remove", args=[batch.pk]), {"item": "nonsense"}).status_code == 404
    client.post(reverse("web:batch_delete", args=[batch.pk]))
    assert not Batch.objects.exists()
    assert navigation.counts()["unposted"] == 4


@pytest.mark.parametrize("deed", ["transfer", "remove", "delete", "iif"])
def test_a_viewer_may_do_nothing_with_a_batch(client: Client, waiting: Deal, batch: Batch, deed: str) -> None:
    sign_in(client, Role.VIEWER)
    address = reverse(f"web:batch_{deed}", args=[batch.pk])
    assert address not in page_of(client, "batch", batch.pk)
    assert client.post(address, {"item": ticks(waiting)[0]}).status_code == 403
    assert batch.items.count() == 4


def test_batches_are_listed(client: Client, batch: Batch, django_assert_max_num_queries: Any) -> None:
    sign_in(client, Role.VIEWER)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert batch.number in page_of(client, "batches", status="open")
    assert "Nothing matches" in page_of(client, "batches", status="transferred")


# -- the file for QuickBooks Desktop -----------------------------------------------------------------------------------


def test_the_file_is_given_once_until_somebody_says_what_became_of_it(client: Client, batch: Batch) -> None:
    sign_in(client, Role.FINANCE)
    accounting.transfer_batch(actor=OWNER, batch_id=batch.pk, now=NOW)
    make, fetch = reverse("web:batch_iif", args=[batch.pk]), reverse("web:batch_iif_file", args=[batch.pk])
    assert "Make the file" in page_of(client, "batch", batch.pk)
    page = client.post(make, follow=True).content.decode()
    assert "everything in it would be booked twice" in page
    first = client.get(fetch)
    assert first["Content-Disposition"].endswith('.iif"')
    assert first.content.startswith(b"!")
    assert client.get(fetch).status_code == 409  # fetched already
    again = client.post(make)
    assert again.status_code == 422
    assert "Imported twice, it would be booked twice." in again.content.decode()
    client.post(reverse("web:batch_iif_settle", args=[batch.pk, "not-imported"]))
    assert "Export again" in page_of(client, "batch", batch.pk)
    client.post(make)
    assert client.get(fetch).content == first.content
    client.post(reverse("web:batch_iif_settle", args=[batch.pk, "imported"]))
    assert batch.exports.get().status == ExportStatus.CONFIRMED
    assert "It was imported, and is not given out again." in page_of(client, "batch", batch.pk)
    assert client.get(fetch).status_code == 409


def test_a_viewer_cannot_fetch_the_file(client: Client, batch: Batch) -> None:
    accounting.transfer_batch(actor=OWNER, batch_id=batch.pk, now=NOW)
    accounting.export_batch_iif(actor=OWNER, batch_id=batch.pk)
    sign_in(client, Role.VIEWER)
    assert client.get(reverse("web:batch_iif_file", args=[batch.pk])).status_code == 403


# -- journal -----------------------------------------------------------------------------------------------------------


def typed(**changed: str) -> dict[str, str]:
    """A journal entry as it is typed: rent 1,200.00 paid from the bank."""
    return {
        "on": "2026-01-15",
        "memo": "Rent of January",
        "lines-TOTAL_FORMS": "2",
        "lines-INITIAL_FORMS": "0",
        "lines-0-account": "6100",
        "lines-0-debit": "1,200.00",
        "lines-1-account": "1000",
        "lines-1-credit": "1,200.00",
        **changed,
    }


def test_an_entry_by_hand_is_posted_and_reversed(client: Client, world: World) -> None:
    sign_in(client, Role.FINANCE)
    answer = client.post(reverse("web:journal_entry_new"), typed(), follow=True)
    entry = JournalEntry.objects.get()
    assert f"{entry.number} is in the books." in answer.content.decode()
    assert entry.total == Decimal(1200)
    reverse_it = reverse("web:journal_entry_reverse", args=[entry.pk])
    early = client.post(reverse_it, {"on": "2026-01-01"})
    assert early.status_code == 422
    assert "cannot be dated before the entry it reverses" in early.content.decode()
    answer = client.post(reverse_it, {"on": "2026-02-01"}, follow=True)
    reversal = JournalEntry.objects.get(reverses=entry)
    assert f"{reversal.number} reverses it." in answer.content.decode()
    page = page_of(client, "journal_entry", entry.pk)
    assert f'Reversed by <a href="{reverse("web:journal_entry", args=[reversal.pk])}">{reversal.number}</a>' in page
    assert reverse_it not in page
    assert client.post(reverse_it, {"on": "2026-02-01"}).status_code == 422


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lines-1-credit": "1,100.00"}, "A credit of 100.00 is missing."),
        ({"lines-0-debit": ""}, "Enter a debit or a credit."),
        ({"lines-0-debit": "much"}, "much"),
        ({"memo": ""}, "This field is required."),
        ({"lines-0-account": "1300"}, "Select a valid choice."),  # a control account
        ({"on": "2019-01-01"}, "There is no accounting period for"),
    ],
)
def test_an_entry_that_cannot_be_posted_is_refused_beside_the_field(
    client: Client, world: World, changed: dict[str, str], said: str
) -> None:
    sign_in(client, Role.FINANCE)
    answer = client.post(reverse("web:journal_entry_new"), typed(**changed))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert 'value="1,200.00"' in page  # nothing typed is lost
    assert not JournalEntry.objects.exists()


def test_the_journal_leads_from_an_entry_to_its_document_and_back(
    client: Client, db: None, django_assert_max_num_queries: Any
) -> None:
    deal = deals.whole_at_once()
    sign_in(client, Role.VIEWER)
    assert deal.receipt
    entry = JournalEntry.objects.get(source_type="receipt")
    with django_assert_max_num_queries(MOST_QUERIES):
        listed = page_of(client, "journal", source_type="receipt")
    assert entry.number in listed
    assert JournalEntry.objects.get(source_type="vendor_bill").number not in listed
    with django_assert_max_num_queries(MOST_QUERIES):
        page = page_of(client, "journal_entry", entry.pk)
    assert f'<a href="{reverse("web:receipt", args=[deal.receipt.pk])}">{deal.receipt.number}</a>' in page
    assert "Reverse the entry" not in page
    assert client.get(reverse("web:journal_entry_new")).status_code == 403


def test_an_entry_of_a_document_is_not_reversed_by_hand(client: Client, db: None) -> None:
    deals.whole_at_once()
    sign_in(client, Role.FINANCE)
    entry = JournalEntry.objects.get(source_type="receipt")
    answer = client.post(reverse("web:journal_entry_reverse", args=[entry.pk]), {"on": "2026-02-01"})
    assert answer.status_code == 422
    assert "reverse or credit that document instead" in answer.content.decode()
