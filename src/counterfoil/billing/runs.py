"""What is known about billing runs: what they would take, how far they are, what they left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection
from django.db.models import Count, Max, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce

from counterfoil.billing.columns import OVERAGES_DUE
from counterfoil.billing.models import BillingRun, BillingRunChunk, ChunkStatus, ParkedInRun, RunMode, RunStatus
from counterfoil.core.money import ZERO
from counterfoil.platform.lookup import existing
from counterfoil.platform.numbering import number_text

UNFINISHED = (RunStatus.RATING.value, RunStatus.NUMBERED.value, RunStatus.PAUSED.value)


_DUE: Final = f"""
    SELECT s.agreement_id FROM agreements_billingstate s JOIN agreements_agreement a ON a.id = s.agreement_id
    WHERE a.parent_id IS NULL AND s.parked_at IS NULL AND s.run_id IS NULL
        AND (s.due_on <= %s OR s.changed_from IS NOT NULL OR s.agreement_id IN (
            SELECT coalesce(g.parent_id, g.id)
            FROM ({OVERAGES_DUE}) due JOIN agreements_agreement g ON g.id = due.agreement_id
        ))
        AND a.type_id = coalesce(%s, a.type_id) AND a.company_id = coalesce(%s, a.company_id)
    ORDER BY s.agreement_id
"""  # noqa: S608 - our own


def due_agreements(*, through: date, agreement_type_id: int | None = None, company_id: int | None = None) -> list[int]:
    """Agreements that may have something to bill through a day, in the order in which they are billed.

    Those with a period that is due, with a change since they were billed last, or with an overrun to be billed in
    arrears; not those that are parked, being billed by a run, or billed with their parent.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, [through, through + timedelta(days=1), agreement_type_id, company_id])
        return [pk for (pk,) in cursor.fetchall()]


def billing_runs(*, status: str = "", mode: str = "") -> QuerySet[BillingRun]:
    """Billing runs, newest first."""
    found = BillingRun.objects.select_related("agreement_type", "company")
    if status:
        found = found.filter(status=status)
    return found.filter(mode=mode) if mode else found


def unfinished_run() -> BillingRun | None:
    """The run that is under way, if any: there is one at a time."""
    return BillingRun.objects.filter(status__in=UNFINISHED).first()


def parked_in_run(run_id: int | None = None) -> QuerySet[ParkedInRun]:
    """The agreements that a run (or any) left out, with their reasons."""
    found = ParkedInRun.objects.select_related("agreement__company").order_by("agreement_id")
    return found if run_id is None else found.filter(run=run_id)


def reserved_numbers() -> set[str]:
    """Numbers of invoices and entries that a run has taken for chunks which are not written yet."""
    waiting = BillingRunChunk.objects.filter(run__status__in=UNFINISHED, status=ChunkStatus.RATED)
    return {
        number_text(taken["prefix"], taken["width"], taken["first"] + index)
        for numbers in waiting.values_list("numbers", flat=True)
        for taken in numbers.values()
        if "first" in taken
        for index in range(taken["count"])
    }


@dataclass(frozen=True, slots=True)
class RunProgress:
    """How far a run is.

    ``done`` and ``of`` count chunks, each of them twice where invoices are numbered: rated, then written. ``invoices``
    and ``total`` are what has been rated so far, ``written`` what of it is written. ``per_second`` is the pace of the
    invoices written (or rated, while nothing is written), ``seconds_left`` what it will take by it, if it can be told.
    """

    run_id: int
    number: str
    status: str
    phase: str
    done: int
    of: int
    agreements: int
    invoices: int
    written: int
    parked: int
    total: Decimal
    per_second: int
    seconds_left: int | None
    problem: str

    @property
    def percent(self) -> int:
        """From 0 to 100."""
        return 100 * self.done // self.of if self.of else 100


_PHASES = {"rating": "Rating", "numbered": "Writing", "paused": "Paused", "finished": "Done", "cancelled": "Cancelled"}


def run_progress(run_id: int) -> RunProgress:
    """How far a run is (three statements).

    Raises:
        DomainError: ``not_found``.
    """
    run = existing(BillingRun.objects.all(), run_id)
    is_written, is_rated = Q(status=ChunkStatus.WRITTEN), Q(status__in=(ChunkStatus.RATED, ChunkStatus.WRITTEN))
    seen = BillingRunChunk.objects.filter(run=run).aggregate(
        chunks=Count("pk"),
        rated=Count("pk", filter=is_rated),
        done=Count("pk", filter=is_written),
        invoices=Coalesce(Sum("invoice_count"), 0),
        written=Coalesce(Sum("invoice_count", filter=is_written), 0),
        amount=Coalesce(Sum("total"), ZERO),
        first=Min("rated_at"),
        last=Max("rated_at"),
        first_written=Min("written_at"),
        last_written=Max("written_at"),
    )
    twice = run.mode != RunMode.DRAFT
    of = seen["chunks"] * (2 if twice else 1)
    done = of if run.status == RunStatus.FINISHED else seen["done"] + (seen["rated"] if twice else 0)
    started = seen["last"] if twice and run.status == RunStatus.NUMBERED else run.started_at
    last = seen["last_written"] or seen["last"]
    count = seen["written"] or seen["invoices"]
    seconds = (last - (started or last)).total_seconds() if last else 0
    pace = int(count / seconds) if seconds > 0 else 0
    return RunProgress(
        run_id=run.pk,
        number=run.number,
        status=run.status,
        phase=_PHASES[run.status],
        done=done,
        of=of,
        agreements=run.agreement_count,
        invoices=seen["invoices"],
        written=seen["written"],
        parked=ParkedInRun.objects.filter(run=run).count(),
        total=seen["amount"],
        per_second=pace,
        seconds_left=_left(run, of - done, done, last),
        problem=run.problem,
    )


def _left(run: BillingRun, rest: int, done: int, last: datetime | None) -> int | None:
    if run.status not in (RunStatus.RATING, RunStatus.NUMBERED) or not done or last is None:
        return None
    spent = last - run.started_at
    return int((spent / timedelta(seconds=1)) * rest / done)
