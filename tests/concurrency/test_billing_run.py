"""Two runs at once, two people at one agreement, and workers killed at random moments: everything is billed once.

``KILLS=20 AGREEMENTS=2000 pytest tests/concurrency/test_billing_run.py -k killed`` kills more of them.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from django.db import connection
from tests.fleet import seed
from tests.racing import at_once, refusals
from tests.world import FINANCE, World

from counterfoil.accounting.verification import verify
from counterfoil.billing.commands import invoice_agreement, invoice_agreements_through
from counterfoil.billing.models import BillingRun, Invoice
from counterfoil.flows import billing_run as flow
from counterfoil.flows.billing_preview import preview_billing_run
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.ledger.models import JournalEntry

ROOT = Path(__file__).parents[2]
JAN_31 = date(2026, 1, 31)
NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)
KILLS, AGREEMENTS = int(os.environ.get("KILLS", "5")), int(os.environ.get("AGREEMENTS", "240"))


def started(mode: str) -> BillingRun:
    return start_billing_run(actor=FINANCE, through=JAN_31, mode=mode, now=NOW)  # type: ignore[arg-type]


def wrong() -> list[str]:
    return [f"{check.title}: {check.details}" for check in verify() if not check.ok]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "CHUNK", max(AGREEMENTS // 40, 6))


def test_two_runs_started_at_once_are_one(committed_world: World, small_chunks: None) -> None:
    seed(20)

    def whole() -> object:
        run = started("transfer")
        work(run.pk)
        return run

    results = at_once(whole, whole)
    assert [error.code for error in refusals(results)] in ([], ["conflict"])  # or the second came after the first
    assert Invoice.objects.count() == 20
    assert sorted(Invoice.objects.values_list("number", flat=True)) == [f"INV-{n:04d}" for n in range(1, 21)]
    assert wrong() == []


def test_workers_at_once_share_a_run(committed_world: World, small_chunks: None) -> None:
    ids = seed(60)
    for mode, through in (("draft", JAN_31), ("transfer", date(2026, 2, 28))):
        run = start_billing_run(actor=FINANCE, through=through, mode=mode, now=NOW)  # type: ignore[arg-type]
        assert refusals(at_once(*[lambda run=run: work(run.pk)] * 3)) == []
        run.refresh_from_db()
        assert (run.status, run.invoice_count) == ("finished", 60)
    numbered = Invoice.objects.filter(number__isnull=False).order_by("agreement_id")
    assert [(x.agreement_id, x.number) for x in numbered] == [(pk, f"INV-{n:04d}") for n, pk in enumerate(ids, start=1)]
    assert wrong() == []


def test_a_run_and_people_at_the_same_agreements_bill_them_once(committed_world: World, small_chunks: None) -> None:
    ids = seed(30)
    run = started("draft")
    at_once(
        lambda: work(run.pk),
        lambda: [invoice_agreement(actor=FINANCE, agreement_id=pk, period_start=date(2026, 1, 1)) for pk in ids[::-1]],
        lambda: invoice_agreements_through(actor=FINANCE, through=JAN_31),
    )
    work(run.pk)
    run.refresh_from_db()
    assert (run.status, run.parked_count) == ("finished", 0)
    assert sorted(Invoice.objects.values_list("agreement_id", flat=True)) == ids


# -- killed workers ----------------------------------------------------------------------------------------------------


class Workers:
    """Worker processes that are up and wait to be told to begin."""

    def __init__(self, run: BillingRun, count: int) -> None:
        name = str(connection.settings_dict["NAME"])
        command = [sys.executable, "-m", "tests.concurrency.billing_worker", name, str(run.pk)]
        self.waiting = [
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(count)
        ]

    def begin(self) -> subprocess.Popen[str]:
        worker = self.waiting.pop()
        assert worker.stdin
        assert worker.stdout
        assert worker.stdout.readline() == "ready\n"
        worker.stdin.write("\n")
        worker.stdin.flush()
        return worker

    def end(self) -> None:
        for worker in self.waiting:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize("mode", ["transfer"])
def test_killed_workers_leave_nothing_half_done(committed_world: World, small_chunks: None, mode: str) -> None:
    ids = seed(AGREEMENTS)
    expected = {row.agreement_id: row.amount for row in preview_billing_run(through=JAN_31, most=AGREEMENTS).rows}
    run = started(mode)
    dice = random.Random()
    killed = 0
    while killed < KILLS and BillingRun.objects.get(pk=run.pk).status != "finished":
        some = min(KILLS - killed, 8)
        workers = Workers(run, some + 2)
        try:
            working = [workers.begin(), workers.begin()]
            for _ in range(some):
                time.sleep(dice.uniform(0.02, 0.35))
                victim = working.pop(dice.randrange(2))
                killed += victim.poll() is None
                victim.kill()
                victim.wait()
                working.append(workers.begin())
            if killed < KILLS:
                for worker in working:
                    killed += worker.poll() is None
                    worker.kill()
            for worker in working:
                worker.wait(timeout=120)
        finally:
            workers.end()
    work(run.pk)

    run.refresh_from_db()
    assert (run.status, run.invoice_count, run.problem) == ("finished", AGREEMENTS, "")
    invoices = list(Invoice.objects.order_by("agreement_id").values_list("agreement_id", "number", "subtotal"))
    assert invoices == [(pk, f"INV-{n:04d}", expected[pk]) for n, pk in enumerate(ids, start=1)]
    assert JournalEntry.objects.filter(source_type="invoice").count() == AGREEMENTS
    assert wrong() == []
    print(f"{killed} workers killed")
