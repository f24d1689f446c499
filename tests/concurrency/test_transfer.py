"""Two people at once, or a process killed in the middle: every document is in the books exactly once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from django.db.models import Sum
from tests.accounting.records import JAN, NOW, make_bill, make_invoice, make_order, make_receipt
from tests.trade import JAN_15, cable, order_of, shipped, stock
from tests.world import FINANCE, OWNER, World

from counterfoil.accounting.commands import create_batch, set_mapping, transfer_batch
from counterfoil.accounting.models import Batch, BatchItem
from counterfoil.accounting.queries import unposted_counts
from counterfoil.accounting.verification import verify
from counterfoil.billing.commands import close_invoice, invoice_sales_order
from counterfoil.core.errors import DomainError
from counterfoil.inventory.models import Receipt
from counterfoil.ledger.commands import create_account
from counterfoil.ledger.models import AccountType, JournalEntry, JournalLine

ROOT = Path(__file__).parents[2]
FEB = date(2026, 2, 3)


def race(*deeds: Callable[[], object]) -> list[str]:
    """Do all at once, each over a connection of its own; the outcome of each: ``done`` or the refusal's code."""
    start, outcomes = threading.Barrier(len(deeds)), [""] * len(deeds)

    def run(index: int, deed: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            start.wait(timeout=10)
            deed()
            outcomes[index] = "done"
        except DomainError as refused:
            outcomes[index] = refused.code
        except Exception as error:
            outcomes[index] = repr(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index, deed)) for index, deed in enumerate(deeds)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return sorted(outcomes)


def transfer(batch: Batch) -> Callable[[], object]:
    return lambda: transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)


def test_same_batch_from_two_connections_is_booked_once(committed_world: World) -> None:
    invoices = [make_invoice(committed_world, on=JAN).pk for _ in range(10)]
    batch = create_batch(actor=FINANCE, invoice_ids=invoices)
    assert race(transfer(batch), transfer(batch)) == ["already_transferred", "done"]
    assert Counter(JournalEntry.objects.values_list("source_id", flat=True)) == Counter(invoices)


def test_two_batches_cannot_claim_one_document(committed_world: World) -> None:
    for _ in range(5):
        invoice = make_invoice(committed_world, on=JAN)

        def claim(invoice_id: int = invoice.pk) -> object:
            return create_batch(actor=FINANCE, invoice_ids=[invoice_id])

        assert race(claim, claim) == ["already_batched", "done"]
    assert BatchItem.objects.count() == 5
    assert list(Batch.objects.order_by("id").values_list("number", flat=True)) == [
        f"BAT-{n:04d}" for n in range(1, 6)
    ], "the refused ones left no hole"


def test_two_bills_of_one_line_in_two_batches_clear_it_once(committed_world: World) -> None:
    line = make_order(committed_world, committed_world.server_inventory, quantity="3", unit_cost="33.333333")
    receipt = make_receipt(line, cost="100.00", on=JAN)
    transfer(create_batch(actor=FINANCE, receipt_ids=[receipt.pk]))()
    bills = [make_bill([(line, quantity, amount)], on=FEB) for quantity, amount in (("1", "33.33"), ("2", "66.67"))]
    batches = [create_batch(actor=FINANCE, vendor_bill_ids=[bill.pk]) for bill in bills]
    assert race(*(transfer(batch) for batch in batches)) == ["done", "done"]
    grni = JournalLine.objects.filter(account__code="2050").aggregate(net=Sum("debit") - Sum("credit"))["net"]
    assert grni == 0


def test_two_invoices_of_one_line_in_two_batches_empty_both_inventory_accounts(committed_world: World) -> None:
    """Each of two cables came in to an account of its own; transferred at once, neither account is taken from twice."""
    world, line = committed_world, order_of(committed_world, cable(committed_world), "2", price="9")
    transfer_all(stock(world, line.product, "1", "10.01"))
    other = create_account(actor=OWNER, code="1310", name="Inventory - Cables", type=AccountType.INVENTORY)
    set_mapping(actor=FINANCE, role="inventory", product_id=line.product_id, account_id=other.pk)
    transfer_all(stock(world, line.product, "1", "12.34"))
    batches = []
    for _ in range(2):
        shipped(line, "1")
        invoice = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=JAN_15)
        close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
        batches.append(create_batch(actor=FINANCE, invoice_ids=[invoice.pk]))
    assert race(*(transfer(batch) for batch in batches)) == ["done", "done"]
    held = JournalLine.objects.filter(account__type=AccountType.INVENTORY).values_list("account__code")
    assert dict(held.annotate(net=Sum("debit") - Sum("credit"))) == {"1300": 0, "1310": 0}


def transfer_all(receipt: Receipt) -> None:
    transfer(create_batch(actor=FINANCE, receipt_ids=[receipt.pk]))()


@pytest.mark.slow
def test_killed_in_the_middle_of_200_documents_each_is_booked_once(committed_world: World) -> None:
    world = committed_world
    for _ in range(70):
        line = make_order(world, world.server_inventory)
        make_receipt(line, on=JAN)
        make_bill([(line, "1", "3600")], on=FEB)
    for _ in range(60):
        make_invoice(world, on=JAN)
    batch = create_batch(actor=FINANCE, through=FEB)
    assert batch.items.count() == 200

    caught_inside = 0
    for milliseconds in (0, 15, 40, 80, 120, 170, 230, 300, 400):
        process, backend = start_transferring(batch)
        tell(process)
        time.sleep(milliseconds / 1000)
        caught_inside += is_in_transaction(backend)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until_gone(backend)
        batch.refresh_from_db()
        booked = JournalEntry.objects.count()
        assert booked == (200 if batch.status == "transferred" else 0), "all or nothing"
    assert caught_inside >= 2, "no kill came while the transfer was at work"

    process, _ = start_transferring(batch)
    tell(process)
    assert process.stdout is not None
    said = process.stdout.read().strip()
    assert process.wait(timeout=60) == 0
    assert said in {"done", "already_transferred"}

    entries = Counter(JournalEntry.objects.values_list("source_type", "source_id"))
    assert len(entries) == 200
    assert set(entries.values()) == {1}
    assert unposted_counts().receipts + unposted_counts().vendor_bills + unposted_counts().invoices == 0
    sums = JournalLine.objects.aggregate(debits=Sum("debit"), credits=Sum("credit"))
    assert sums["debits"] == sums["credits"] == Decimal(70 * 3600 * 2 + 60 * 159)
    numbers = list(JournalEntry.objects.order_by("id").values_list("number", flat=True))
    assert numbers == [f"JE-{n:04d}" for n in range(1, 201)], "no number was lost"
    assert [(check.name, check.details) for check in verify() if not check.ok] == []


def start_transferring(batch: Batch) -> tuple[subprocess.Popen[str], int]:
    """A process that is ready to transfer, and its database backend."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.concurrency.transferring", connection.settings_dict["NAME"], str(batch.pk)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    word, backend = process.stdout.readline().split()
    assert word == "ready"
    return process, int(backend)


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def is_in_transaction(backend: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT xact_start IS NOT NULL FROM pg_stat_activity WHERE pid = %s", [backend])
        row = cursor.fetchone()
    return bool(row and row[0])


def until_gone(backend: int) -> None:
    """The server notices a dead client when its statement ends; until then its locks are held."""
    for _ in range(200):
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [backend])
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.05)
    raise AssertionError("the backend of the killed process is still there")
