"""Two runs at once, two people at one agreement, and workers killed at random moments: everything is billed once.

``KILLS=20 AGREEMENTS=2000 pytest tests/concurrency/test_billing_run.py -k killed`` kills more of them.
"""

from __future__ import annotations

import os
import random
import time
from contextlib import suppress
from datetime import UTC, date, datetime
from multiprocessing import get_context
from multiprocessing.process import BaseProcess

import pytest
from django.db import connections
from tests.fleet import seed
from tests.racing import at_once, refusals
from tests.worker import do_jobs
from tests.world import FINANCE, World

from counterfoil.accounting.verification import verify
from counterfoil.billing.commands import invoice_agreement, invoice_agreements_through
from counterfoil.billing.models import BillingRun, Invoice
from counterfoil.core.errors import DomainError
from counterfoil.flows import billing_run as flow
from counterfoil.flows.billing_preview import preview_billing_run
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.ledger.models import JournalEntry

JAN_31 = date(2026, 1, 31)
NOW = datetime(2026, 2, 1, 8, tzinfo=UTC)
KILLS, AGREEMENTS = int(os.environ.get("KILLS", "6")), int(os.environ.get("AGREEMENTS", "240"))
#: A worker is killed after at most so many seconds.
PACE = float(os.environ.get("PACE", "0.4"))


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


def test_workers_of_the_job_queue_do_it(committed_world: World, small_chunks: None) -> None:
    seed(15)
    run = started("transfer")
    do_jobs(concurrency=2)
    run.refresh_from_db()
    assert (run.status, run.invoice_count) == ("finished", 15)
    assert wrong() == []


# -- killed workers ----------------------------------------------------------------------------------------------------


def begin(run: BillingRun) -> BaseProcess:
    """A worker in a process of its own: a fork of this one, with a connection of its own."""
    connections.close_all()  # or the two would talk over the same one
    process = get_context("fork").Process(target=work, args=(run.pk,))
    process.start()
    return process


def kill(worker: BaseProcess) -> bool:
    """End a worker at once; says whether it was still working."""
    was_working = worker.is_alive()
    worker.kill()
    worker.join(30)
    return was_working


def test_killed_workers_leave_nothing_half_done(committed_world: World, small_chunks: None) -> None:
    ids = seed(AGREEMENTS)
    expected = {row.agreement_id: row.amount for row in preview_billing_run(through=JAN_31).rows}
    run = started("transfer")
    dice, killed, statuses = random.Random(), 0, set()
    workers = [begin(run), begin(run)]
    while killed < KILLS and (status := BillingRun.objects.get(pk=run.pk).status) != "finished":
        if killed >= KILLS // 2 and status == "rating":  # half of them while it is written
            time.sleep(0.01)
            continue
        statuses.add(status)
        time.sleep(dice.uniform(0.0, PACE))
        killed += kill(workers.pop(dice.randrange(2)))
        workers.append(begin(run))
    for worker in workers:
        worker.join(120)
    work(run.pk)

    run.refresh_from_db()
    assert (run.status, run.invoice_count, run.problem) == ("finished", AGREEMENTS, "")
    invoices = list(Invoice.objects.order_by("agreement_id").values_list("agreement_id", "number", "subtotal"))
    assert invoices == [(pk, f"INV-{n:04d}", expected[pk]) for n, pk in enumerate(ids, start=1)]
    assert JournalEntry.objects.filter(source_type="invoice").count() == AGREEMENTS
    assert wrong() == []
    print(f"{killed} workers killed while {' and '.join(sorted(statuses))}")


def unsettle(run: BillingRun, workers: list[BaseProcess], dice: random.Random) -> None:
    """Kill a worker, pause and resume the run, or cancel it, as long as it can be."""
    deed = dice.choice(("kill", "kill", "pause", "pause", "cancel"))
    with suppress(DomainError):
        if deed == "kill":
            kill(workers.pop())
        elif deed == "pause":
            flow.pause_billing_run(actor=FINANCE, run_id=run.pk)
            flow.resume_billing_run(actor=FINANCE, run_id=run.pk)
        elif dice.random() < 0.2:
            flow.cancel_billing_run(actor=FINANCE, run_id=run.pk)


@pytest.mark.parametrize("mode", ["transfer", "close", "draft"])
def test_whatever_happens_to_a_run_it_bills_once_or_not_at_all(
    committed_world: World, small_chunks: None, mode: str
) -> None:
    ids = seed(90)
    run = started(mode)
    dice, workers, moments = random.Random(), [begin(run), begin(run)], 0
    while BillingRun.objects.get(pk=run.pk).status not in ("finished", "cancelled"):
        time.sleep(dice.uniform(0.0, 0.06))
        moments += 1
        if moments <= 8:
            unsettle(run, workers, dice)
        workers = [*(worker for worker in workers[-3:] if worker.is_alive()), begin(run)]
    for worker in workers:
        worker.join(60)
        assert not worker.is_alive()

    run.refresh_from_db()
    billed = len(ids) if run.status == "finished" else 0
    numbers = sorted(Invoice.objects.exclude(number=None).values_list("number", flat=True))
    closed = 0 if mode == "draft" else billed
    assert numbers == [f"INV-{n:04d}" for n in range(1, closed + 1)]
    if billed or mode != "draft":  # drafts that a cancelled run has made stay
        assert Invoice.objects.count() == billed
    assert Invoice.objects.values("agreement").distinct().count() == Invoice.objects.count()
    assert (run.problem, wrong()) == ("", [])
