"""The workers of a billing run: they take chunks as long as there are any. See :mod:`counterfoil.flows.billing_run`.

Whoever works on a chunk holds its row and, shared, that of the run; who dies gives both free and has written nothing.
So pausing, cancelling and numbering, which take the run for themselves, wait for chunks in work and never meet half of
one.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, Final, NamedTuple

from django.db import DatabaseError, OperationalError, connection, transaction

from counterfoil.accounting.models import BatchStatus
from counterfoil.agreements.models import BillingState
from counterfoil.billing.deposits import agreements_with_deposits, take_deposits_off_drafts
from counterfoil.billing.models import (
    BillingRun,
    BillingRunChunk,
    ChunkStatus,
    Invoice,
    ParkedInRun,
    RunMode,
    RunStatus,
)
from counterfoil.billing.numbers import CREDIT_MEMOS, Series, series_of_type
from counterfoil.billing.rated import Parked, RatedInvoice, Rating, StateAfter
from counterfoil.billing.rating import Asked, Reference, rate
from counterfoil.billing.writing import (
    MOVE_ON,
    Prepared,
    hold,
    move_on,
    moves,
    prepare,
    release,
    write_invoices,
    write_prepared,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.flows.billing_ledger import Books, put_into_batch
from counterfoil.ledger.commands import post_nets
from counterfoil.ledger.models import JournalEntry
from counterfoil.platform import audit
from counterfoil.platform.anyof import AMONG, array_of, array_text
from counterfoil.platform.commands import refusal_of
from counterfoil.platform.copying import copy_rows, take_ids_of, update_rows
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import PREFIXES, Numbers, reserve_several

log = logging.getLogger(__name__)

ENTRIES: Final = Series("journal_entry", "JE-")

#: Rated invoices that a worker keeps in memory, some 4 kB each; what is beyond is rated twice.
MOST_KEPT: Final = 30_000

#: A worker waits so often, and so many seconds each time, before it writes what somebody else has rated: rating it
#: again takes longer.
_WAITS: Final = 6
_WAIT: Final = 0.05  # not money

#: What a worker reports after each chunk: how many invoices there were on it.
Report = Callable[[int], None]

#: Takes a chunk. What is done need not be on the disk before work goes on: a server that dies loses the last of it
#: alone, which is done again, under the same numbers. The end of the run puts everything there.
_CLAIM: Final = """
    SELECT c.id, c.position, c.agreement_ids, c.numbers, set_config('synchronous_commit', 'off', true)
    FROM billing_billingrun r JOIN billing_billingrunchunk c ON c.run_id = r.id
    WHERE r.id = %s AND r.status = %s AND c.status = %s
    ORDER BY c.id = ANY(%s) DESC, c.position LIMIT 1
    FOR UPDATE OF c SKIP LOCKED FOR SHARE OF r
"""


#: Claims the agreements of a chunk that will be billed, and notes what they come to.
_RATED: Final = f"""
    WITH claimed AS (
        UPDATE agreements_billingstate SET run_id = %(run)s WHERE agreement_id = {AMONG}
    )
    UPDATE billing_billingrunchunk
    SET status = 'rated', invoice_count = %(count)s, total = %(total)s, numbers = %(numbers)s,
        rated_at = clock_timestamp()
    WHERE id = %(chunk)s
"""  # noqa: S608 - our own


#: Notes that a chunk is written, and how far its agreements are billed by it.
_WRITTEN: Final = f"""
    WITH moved AS ({MOVE_ON})
    UPDATE billing_billingrunchunk
    SET status = 'written', invoice_count = %s, total = %s, written_at = clock_timestamp() WHERE id = %s
"""  # noqa: S608 - our own


#: Takes a run for itself: how it stands then, and its chunks.
_TAKE: Final = """
    SELECT status, batch_id FROM billing_billingrun WHERE id = %(run)s FOR UPDATE;
    SELECT c.id, c.status, c.invoice_count, c.total, c.numbers,
        (SELECT count(*) FROM billing_parkedinrun p WHERE p.run_id = c.run_id)
    FROM billing_billingrunchunk c WHERE c.run_id = %(run)s ORDER BY c.position
"""
_TAKE_IF_FREE: Final = _TAKE.replace("FOR UPDATE", "FOR UPDATE SKIP LOCKED")


#: Notes that a run is numbered, and which numbers each chunk has; begins the batch that takes it to the books, if any.
_NUMBERED: Final = """
    WITH chunks AS (
        UPDATE billing_billingrunchunk c SET numbers = given.numbers
        FROM unnest(%s::bigint[], %s::jsonb[]) given(id, numbers) WHERE c.id = given.id
    ), batch AS (
        INSERT INTO accounting_batch (number, status, created_at, created_by, transferred_by)
        SELECT number, 'open', clock_timestamp(), %s, '' FROM (VALUES (%s::text)) b(number) WHERE number IS NOT NULL
        RETURNING id
    )
    UPDATE billing_billingrun
    SET status = %s, invoice_count = %s, total = %s, batch_id = (SELECT id FROM batch) WHERE id = %s
    RETURNING batch_id, set_config('synchronous_commit', 'off', true)
"""


#: Notes that a run is finished, and that its batch is in the books.
_FINISHED: Final = """
    WITH batch AS (
        UPDATE accounting_batch SET status = %s, transferred_at = %s, transferred_by = %s WHERE id = %s
    )
    UPDATE billing_billingrun
    SET status = %s, finished_at = %s, problem = '', invoice_count = %s, total = %s, parked_count = %s WHERE id = %s
"""


class Stopped(Exception):
    """The run cannot go on before somebody mends what is wrong; its numbers stay reserved."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk that a worker has taken."""

    pk: int
    position: int
    agreement_ids: list[int]
    numbers: dict[str, Any]


class Standing(NamedTuple):
    """How a chunk stands; its numbers as :attr:`BillingRunChunk.numbers`."""

    pk: int
    status: str
    invoice_count: int
    total: Decimal
    numbers: dict[str, Any]


def work(run_id: int, report: Report | None = None) -> None:
    """Work on a run, if there is one, until nothing is left to do, it is paused, or it stops at a problem."""
    try:
        worker = Worker(run_id, report)
    except BillingRun.DoesNotExist:
        return
    with _patient_collector():
        while worker.step():
            pass


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Look for garbage seldom: rated invoices are many small values without cycles, and each look sees all of them."""
    before = gc.get_threshold()
    gc.set_threshold(100_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@dataclass(slots=True)
class Kept:
    """What a chunk comes to; once it is ready to be written, with the ids of its invoices and their entries."""

    invoices: list[RatedInvoice]
    states: list[StateAfter]
    prepared: Prepared | None = None
    entry_ids: Sequence[int] = ()


class Worker:
    """Somebody who takes one chunk after another. What all chunks need is loaded once.

    What a worker has rated it keeps, up to :data:`MOST_KEPT` invoices, and writes it itself when the run is numbered;
    the agreements are claimed, so it is what rating them again would give. The last of it is made ready to be written
    while others still rate, or number the run.
    """

    def __init__(self, run_id: int, report: Report | None = None) -> None:
        self.run = BillingRun.objects.get(pk=run_id)
        self.report = report
        self._kept: dict[int, Kept] = {}
        self._careful: set[int] = set()
        self._waits_left = _WAITS
        self.actor = Actor(self.run.started_by_id_of_user, self.run.started_by, frozenset({Role.FINANCE}), "job")

    @cached_property
    def reference(self) -> Reference:
        """Settings, terms and taxes."""
        return Reference(self.run.through)

    @cached_property
    def books(self) -> Books | None:
        """Accounts and periods, where the run goes to the books."""
        return Books() if self.run.mode == RunMode.TRANSFER else None

    def step(self) -> bool:
        """Take a chunk, or bring the run on; says whether there may be more to do."""
        if self.run.status not in (RunStatus.RATING, RunStatus.NUMBERED):
            return False
        chunk: Chunk | None = None
        try:
            with transaction.atomic():
                chunk = self._claim()
                is_others = chunk is not None and self._is_of_others(chunk)
                if chunk is not None and not is_others:
                    count = self._do(chunk)
            if chunk is None:
                return self._advance()
            if is_others:
                time.sleep(_WAIT)
                self._waits_left -= 1
                return True
        except Stopped as stopped:
            self._stop(str(stopped))
            return False
        except OperationalError as error:
            if _sqlstate(error) not in {"40001", "40P01"}:
                raise
            log.info("chunk of %s is tried again: %s", self.run.number, error)
            if chunk is not None:
                self._kept.pop(chunk.pk, None)
            return True
        except Exception as error:
            if chunk is None:
                raise
            self._kept.pop(chunk.pk, None)
            log.exception("chunk %s of %s failed", chunk.position, self.run.number)
            if self.run.status == RunStatus.NUMBERED or chunk.pk in self._careful:
                self._stop(_unexpected(error).message)
                return False
            self._careful.add(chunk.pk)  # it is done agreement by agreement
            return True
        if self.report:
            self.report(count)
        return True

    def _is_of_others(self, chunk: Chunk) -> bool:
        """Whether somebody else has rated it, and may be about to write it; after some time, all are anybody's."""
        is_writing = self.run.status == RunStatus.NUMBERED
        return is_writing and chunk.pk not in self._kept and self._waits_left > 0

    def _claim(self) -> Chunk | None:
        is_writing = self.run.status == RunStatus.NUMBERED
        wanted = ChunkStatus.RATED if is_writing else ChunkStatus.WAITING
        with connection.cursor() as cursor:
            cursor.execute(_CLAIM, [self.run.pk, self.run.status, wanted.value, array_text(self._kept)])
            row = cursor.fetchone()
        if row is None:
            return None
        return Chunk(row[0], row[1], row[2], json.loads(row[3]))

    def _do(self, chunk: Chunk) -> int:
        if self.run.status == RunStatus.NUMBERED:
            return self._write(chunk)
        has_overages = self.reference.has_overages(self.run.through)
        hold(chunk.agreement_ids, self.run.through, with_overages=has_overages)
        return self._draft(chunk) if self.run.mode == RunMode.DRAFT else self._rate(chunk)

    # -- rating --------------------------------------------------------------------------------------------------------

    def _rate(self, chunk: Chunk) -> int:
        """What the chunk will be: counted, claimed, parked. Nothing else is written."""
        rating = self._rated(chunk)
        self._park(rating.parked)
        billed = {invoice.agreement_id for invoice in rating.invoices}
        move_on([state for state in rating.states if state.agreement_id not in billed])
        numbers = {name: {"count": count, "prefix": prefix} for (name, prefix), count in self._counted(rating.invoices)}
        count = len(rating.invoices)
        total = sum_money(invoice.total for invoice in rating.invoices)
        claimed: dict[str, Any] = {"run": self.run.pk, "chunk": chunk.pk, "of": array_text(billed)}
        with connection.cursor() as cursor:
            cursor.execute(_RATED, {**claimed, "count": count, "total": total, "numbers": json.dumps(numbers)})
        self._make_ready()
        if sum(len(kept.invoices) for kept in self._kept.values()) + count <= MOST_KEPT:
            states = [state for state in rating.states if state.agreement_id in billed]
            self._kept[chunk.pk] = Kept(rating.invoices, states)
        return count

    def _make_ready(self) -> None:
        """Make what is kept ready to be written; it takes less memory then."""
        for kept in self._kept.values():
            if kept.prepared is None:
                self._prepare(kept)

    def _prepare(self, kept: Kept) -> Prepared:
        entries = sum(1 for invoice in kept.invoices if self.books and self.books.nets(invoice))
        ids = take_ids_of({Invoice: len(kept.invoices), JournalEntry: entries})
        kept.prepared, kept.entry_ids = prepare(kept.invoices, ids[Invoice]), ids[JournalEntry]
        return kept.prepared

    def _rated(self, chunk: Chunk) -> Rating:
        """What the chunk comes to; one by one, where rating them together has failed for no reason of theirs."""
        asked = self._asked()
        if chunk.pk not in self._careful:
            return self._rate_together(chunk.agreement_ids, asked)
        rating = Rating()
        for pk in chunk.agreement_ids:
            try:
                with transaction.atomic():
                    one = self._rate_together([pk], asked)
            except OperationalError:
                raise
            except Exception as error:
                rating.parked.append(Parked(pk, str(pk), _unexpected(error)))
            else:
                rating.invoices += one.invoices
                rating.states += one.states
                rating.parked += one.parked
        return rating

    def _rate_together(self, agreement_ids: Sequence[int], asked: Asked) -> Rating:
        return rate(agreement_ids, asked, self.reference, self.books.examine if self.books else None)

    def _asked(self, *, claimed: bool = False) -> Asked:
        run = self.run
        return Asked(run.through, run.invoice_date, bounded=not claimed, run_id=run.pk, claimed=claimed)

    def _counted(self, invoices: Iterable[RatedInvoice]) -> Iterable[tuple[Series, int]]:
        """How many numbers of each sequence the invoices and their entries take."""
        counts: dict[Series, int] = {}
        for invoice in invoices:
            series = series_of(invoice)
            counts[series] = counts.get(series, 0) + 1
            if self.books and self.books.nets(invoice):
                counts[ENTRIES] = counts.get(ENTRIES, 0) + 1
        return counts.items()

    # -- drafts --------------------------------------------------------------------------------------------------------

    def _draft(self, chunk: Chunk) -> int:
        rating = self._rated(chunk)
        if chunk.pk in self._careful:
            rating = self._draft_one_by_one(rating)
        else:
            self._write_drafts(rating)
        self._park(rating.parked)
        total, now = sum_money(invoice.total for invoice in rating.invoices), datetime.now(UTC)
        BillingRunChunk.objects.filter(pk=chunk.pk).update(
            status=ChunkStatus.WRITTEN, invoice_count=len(rating.invoices), total=total, rated_at=now, written_at=now
        )
        if rating.invoices:
            self._say(f"drafted {len(rating.invoices)} invoices in {self.run.number}, {format_money(total)} with tax")
        return len(rating.invoices)

    def _write_drafts(self, rating: Rating) -> None:
        ids = write_invoices(rating.invoices, now=datetime.now(UTC), run_id=self.run.pk)
        move_on(rating.states)
        if taking := set(agreements_with_deposits([state.agreement_id for state in rating.states])):
            drafts = Invoice.objects.filter(pk__in=ids, agreement__in=taking).values_list("pk", flat=True)
            take_deposits_off_drafts(actor=self.actor, invoice_ids=list(drafts))

    def _draft_one_by_one(self, rating: Rating) -> Rating:
        done = Rating(parked=list(rating.parked))
        for state in rating.states:
            invoices = [invoice for invoice in rating.invoices if invoice.agreement_id == state.agreement_id]
            one = Rating(invoices, [state])
            try:
                with transaction.atomic():
                    self._write_drafts(one)
            except OperationalError:
                raise
            except DatabaseError as error:
                name = invoices[0].agreement if invoices else str(state.agreement_id)
                done.parked.append(Parked(state.agreement_id, name, _unexpected(error)))
            else:
                done.invoices += invoices
                done.states.append(state)
        return done

    # -- writing -------------------------------------------------------------------------------------------------------

    def _write(self, chunk: Chunk) -> int:
        """Write a chunk whose numbers are reserved, as it was planned."""
        kept = self._kept.pop(chunk.pk, None)
        if kept is None:
            rating = self._rate_together(chunk.agreement_ids, self._asked(claimed=True))
            _refuse_parked(rating)
            kept = Kept(rating.invoices, rating.states)
        invoices = kept.invoices
        self._compare(chunk, invoices)
        numbers, entry_numbers = self._numbered(chunk, invoices)
        prepared = kept.prepared or self._prepare(kept)
        ids = write_prepared(prepared, now=datetime.now(UTC), numbers=numbers, run_id=self.run.pk)
        if self.books:
            self._post(self.books, kept, ids, numbers, entry_numbers)
        total = sum_money(invoice.total for invoice in invoices)
        with connection.cursor() as cursor:
            cursor.execute(_WRITTEN, [*moves(kept.states), len(ids), total, chunk.pk])
        release(kept.states)
        if ids:
            self._say(
                f"closed {numbers[0]} to {numbers[-1]} in {self.run.number}: {len(ids)} invoices, {format_money(total)}"
            )
        return len(ids)

    def _compare(self, chunk: Chunk, invoices: Sequence[RatedInvoice]) -> None:
        """Stop when what is there now is not what was planned: a number would be missing, or two would be needed."""
        counts = {series.name: count for series, count in self._counted(invoices)}
        for name in sorted({*counts, *chunk.numbers}):
            planned, found = chunk.numbers.get(name, {}).get("count", 0), counts.get(name, 0)
            if planned != found:
                what = "journal entries" if name == ENTRIES.name else "invoices"
                raise Stopped(
                    f"Chunk {chunk.position} comes to {found} {what}, and {planned} were numbered: an agreement, its"
                    " company or a tax code was changed meanwhile. Undo the change, then resume the run."
                )

    def _numbered(self, chunk: Chunk, invoices: Sequence[RatedInvoice]) -> tuple[list[str], list[str]]:
        ranges = {
            name: Numbers(taken["prefix"], taken["width"], taken["first"]) for name, taken in chunk.numbers.items()
        }
        given = dict.fromkeys(ranges, 0)
        numbers = []
        for invoice in invoices:
            name = series_of(invoice).name
            numbers.append(ranges[name].nth(given[name]))
            given[name] += 1
        entries = ranges.get(ENTRIES.name)
        count = chunk.numbers[ENTRIES.name]["count"] if entries else 0
        return numbers, [entries.nth(index) for index in range(count)] if entries else []

    def _post(
        self, books: Books, kept: Kept, ids: Sequence[int], numbers: Sequence[str], entry_numbers: Sequence[str]
    ) -> None:
        entries = [
            entry
            for invoice, pk, number in zip(kept.invoices, ids, numbers, strict=True)
            if (entry := books.entry(invoice, pk, number)) is not None
        ]
        post_nets(entries, actor=self.actor, ids=kept.entry_ids, numbers=entry_numbers, chart=books.chart)
        if self.run.batch_id is None:
            raise RuntimeError(f"{self.run.number} is numbered and has no batch")
        put_into_batch(self.run.batch_id, kept.invoices, ids, numbers)

    # -- the run -------------------------------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """No chunk was free: number or finish the run, if all are done; says whether there is more to do."""
        with transaction.atomic():
            before = self.run.status
            standing = self._take(waiting=all(kept.prepared for kept in self._kept.values()))
            if standing is not None:
                return self._go_on(before, *standing)
        self._make_ready()  # others still rate, or one of them numbers the run
        self._look_again()
        return True

    def _go_on(self, before: str, chunks: Sequence[Standing], parked: int) -> bool:
        """Number or finish the run, which is held."""
        if self.run.status not in (RunStatus.RATING, RunStatus.NUMBERED):
            return False
        if self.run.status != before:
            return True
        left = {chunk.status for chunk in chunks}
        if ChunkStatus.WAITING in left or (self.run.status == RunStatus.NUMBERED and ChunkStatus.RATED in left):
            return True  # somebody gave one back
        if self.run.status == RunStatus.RATING and ChunkStatus.RATED in left and self._number(chunks):
            return True
        self._finish(chunks, parked)
        return False

    def _look_again(self) -> None:
        """How the run stands once nobody numbers it. Who waited to take it then would wait for all who write."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT status, batch_id FROM billing_billingrun WHERE id = %s FOR SHARE", [self.run.pk])
            self.run.status, self.run.batch_id = cursor.fetchone()

    def _take(self, *, waiting: bool = True) -> tuple[list[Standing], int] | None:
        """Take the run: how all its chunks stand, in their order, and how many agreements are parked.

        Without ``waiting`` it may be somebody else's: ``None``.
        """
        with connection.cursor() as cursor:
            cursor.execute(_TAKE if waiting else _TAKE_IF_FREE, {"run": self.run.pk})
            row = cursor.fetchone()
            if row is None:
                return None
            self.run.status, self.run.batch_id = row
            cursor.nextset()
            rows = cursor.fetchall()
        return [Standing._make((*row[:-2], json.loads(row[-2]))) for row in rows], rows[0][-1]

    def _number(self, chunks: Sequence[Standing]) -> bool:
        """Number everything that was rated, in the order of the chunks; says whether there was anything."""
        run = self.run
        counts: dict[tuple[str, str], int] = {}
        for chunk in chunks:
            for name, taken in chunk.numbers.items():
                key = (name, taken["prefix"])
                counts[key] = counts.get(key, 0) + taken["count"]
        if not counts:
            return False
        wanted = {name: (count, prefix) for (name, prefix), count in counts.items()}
        if self.books:
            wanted["batch"] = (1, PREFIXES["batch"])
        taken_now = reserve_several(wanted)
        given = dict.fromkeys(taken_now, 0)
        for chunk in chunks:
            for name, taken in chunk.numbers.items():
                numbers = taken_now[name]
                taken |= {"prefix": numbers.prefix, "width": numbers.width, "first": numbers.first + given[name]}
                given[name] += taken["count"]
        batch = taken_now["batch"].nth(0) if self.books else None
        run.status = RunStatus.NUMBERED.value
        run.invoice_count = sum(chunk.invoice_count for chunk in chunks)
        run.total = sum_money(chunk.total for chunk in chunks)
        ids, numbered = zip(*((chunk.pk, json.dumps(chunk.numbers)) for chunk in chunks), strict=True)
        with connection.cursor() as cursor:
            cursor.execute(
                _NUMBERED,
                [
                    array_of(ids), array_of(numbered), self.actor.name, batch,
                    run.status, run.invoice_count, run.total, run.pk,
                ],
            )  # fmt: skip
            run.batch_id, _ = cursor.fetchone()
        self._say(f"numbered {run.invoice_count} invoices of {run.number}, {format_money(run.total)} with tax")
        return True

    def _finish(self, chunks: Sequence[Standing], parked: int) -> None:
        run, now = self.run, datetime.now(UTC)
        run.invoice_count = sum(chunk.invoice_count for chunk in chunks)
        run.total = sum_money(chunk.total for chunk in chunks)
        run.status, run.finished_at, run.problem, run.parked_count = RunStatus.FINISHED.value, now, "", parked
        with connection.cursor() as cursor:
            cursor.execute(
                _FINISHED,
                [
                    BatchStatus.TRANSFERRED.value, now, self.actor.name, run.batch_id,
                    run.status, now, run.invoice_count, run.total, parked, run.pk,
                ],
            )  # fmt: skip
        left = f", {_agreements(parked)} parked" if parked else ""
        self._say(f"finished {run.number}: {run.invoice_count} invoices, {format_money(run.total)} with tax{left}")

    def _stop(self, problem: str) -> None:
        with transaction.atomic():
            run = BillingRun.objects.select_for_update().get(pk=self.run.pk)
            if run.status in (RunStatus.RATING, RunStatus.NUMBERED):
                run.status, run.paused_in, run.problem = RunStatus.PAUSED.value, run.status, problem
                run.save(update_fields=["status", "paused_in", "problem"])
                self._say(f"stopped {run.number}: {problem}")

    def _park(self, parked: Sequence[Parked]) -> None:
        if parked:
            park(parked, run=self.run, now=datetime.now(UTC))
            names = ", ".join(each.agreement for each in parked[:10])
            more = f" and {len(parked) - 10} more" if len(parked) > 10 else ""
            self._say(f"parked {_agreements(len(parked))} in {self.run.number}: {names}{more}")

    def _say(self, sentence: str) -> None:
        data: dict[str, Any] = {}
        label = BillingRun._meta.label_lower
        statement = audit.Statement(
            self.actor, f"billing.run.{sentence.split()[0]}", sentence, label, self.run.pk, data
        )
        audit.append([statement], at=datetime.now(UTC))


def _refuse_parked(rating: Rating) -> None:
    """Stop when something can no longer be billed that was numbered."""
    for parked in rating.parked:
        reason = parked.reason
        raise Stopped(f"{parked.agreement}: {reason.message}" + (f" {reason.hint}" if reason.hint else ""))


def series_of(invoice: RatedInvoice) -> Series:
    """The sequence a rated invoice takes its number from."""
    return CREDIT_MEMOS if invoice.type == "credit_memo" else series_of_type(invoice.prefix)


def park(parked: Sequence[Parked], *, run: BillingRun, now: datetime) -> None:
    """Leave agreements out of this run and of those to come, until somebody has mended and released them."""
    rows = [(p.agreement_id, p.reason.code, p.reason.message, p.reason.hint or "", now) for p in parked]
    update_rows(BillingState, ("parked_code", "parked_reason", "parked_hint", "parked_at"), rows)
    copy_rows(
        ParkedInRun,
        ("run", "agreement", "code", "reason", "hint"),
        [(run.pk, pk, code, reason, hint) for pk, code, reason, hint, _ in rows],
    )


def _agreements(count: int) -> str:
    return "1 agreement" if count == 1 else f"{count} agreements"


def _unexpected(error: Exception) -> DomainError:
    """What to say of a failure that nobody foresaw."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, DatabaseError):
        try:
            return refusal_of(error)
        except DatabaseError:
            pass
    message = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return DomainError("conflict", message, hint="This is a fault of the program; please report it with this message.")


def _sqlstate(error: DatabaseError) -> str:
    return getattr(error.__cause__, "sqlstate", None) or ""
