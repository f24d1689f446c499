"""The billing run: all agreements through a day, drafted, closed or taken to the books, by any number of workers.

1. *Plan.* The agreements that are due are cut into chunks, in the order of their ids.
2. *Rate.* Each chunk is rated by a worker: what cannot be billed is parked with its reason, what will be billed is
   counted and claimed, so that nobody changes it until it is written.
3. *Number.* One transaction numbers the run: every chunk gets its share of the sequences, in order. Numbers are
   without a gap and do not depend on how many workers there are or when they end.
4. *Write.* Each chunk is written in one transaction: invoices, lines, taxes, journal entries, the items of the batch,
   and how far its agreements are billed. Whoever has not rated it himself rates it once more.

Drafts have no numbers: their chunks are rated and written at once. A worker that is killed leaves its chunk as it was;
the next one takes it. See :mod:`counterfoil.flows.billing_work` for the workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import accumulate, pairwise
from typing import Final

from django.db import connection

from counterfoil.agreements.billing_state import let_go_released
from counterfoil.agreements.models import AgreementType, BillingState
from counterfoil.billing.agreement_invoices import invoice_agreements_through
from counterfoil.billing.breakage import agreements_giving_back, earn_lapsed
from counterfoil.billing.deposits import agreements_with_deposits
from counterfoil.billing.models import BillingRun, ChunkStatus, RunMode, RunStatus
from counterfoil.billing.recurring import refuse_beyond_the_books
from counterfoil.billing.runs import UNFINISHED, due_agreements
from counterfoil.companies.models import Company
from counterfoil.companies.queries import local_date
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.states import check_transition, words
from counterfoil.flows.billing_ledger import check_open
from counterfoil.flows.tasks import ask_for_help
from counterfoil.ledger.models import AccountingPeriod
from counterfoil.platform import audit
from counterfoil.platform.anyof import array_text
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, is_there, locked
from counterfoil.platform.numbering import take_number

FINANCE = (Role.FINANCE,)

#: Agreements of a chunk at most: enough that statements do not count, few enough that memory does not.
CHUNK: Final = 1000

#: A chunk is no more than this part of what is left: chunks become smaller, so that workers end together.
_PART: Final = 6

#: Agreements of a chunk at least, because statements count: of a long run, and of a short one.
_FEW, _FEW_OF_SHORT = 125, 500

#: Key of the lock under which runs are started: one at a time.
_START_LOCK: Final = 0x62696C6C


@command(roles=FINANCE)
def start_billing_run(
    *,
    actor: Actor,
    through: date,
    now: datetime,
    invoice_date: date | None = None,
    mode: RunMode = RunMode.DRAFT,
    agreement_type_id: int | None = None,
    company_id: int | None = None,
) -> BillingRun:
    """Begin to bill all agreements through a day. Workers do it; with nothing due the run is finished at once.

    Args:
        actor: who bills.
        through: every period that falls due by this day is billed.
        now: when.
        invoice_date: of all invoices; when it is not given, each has the day on which its period falls due.
        mode: ``draft`` makes drafts, ``close`` closed invoices, ``transfer`` takes them to the books as well. Where a
            paid deposit is taken off, or revenue that was earned is given back, it is always a draft, for somebody to
            look at.
        agreement_type_id: only agreements of this type.
        company_id: only agreements of this customer.

    Raises:
        DomainError: ``conflict`` while another run is not finished; ``period_missing`` when the books do not reach
            ``through``; with ``transfer``, ``period_closed`` and ``period_missing`` for the invoice date;
            ``not_found``.
    """
    periods = list(AccountingPeriod.objects.order_by("start"))
    refuse_beyond_the_books(through, periods)
    if mode == RunMode.TRANSFER and invoice_date is not None:
        check_open(periods, invoice_date)
    kind = existing(AgreementType.objects.all(), agreement_type_id, "agreement_type_id") if agreement_type_id else None
    company = existing(Company.objects.all(), company_id, "company_id") if company_id else None
    _one_at_a_time()
    let_go_released()
    ids = due_agreements(through=through, agreement_type_id=agreement_type_id, company_id=company_id)
    aside: list[int] = []
    if mode != RunMode.DRAFT and (aside := _to_be_looked_at(ids)):
        made = invoice_agreements_through(actor=actor, through=through, agreement_ids=aside, invoice_date=invoice_date)
        parked = {each.agreement_id for each in made.parked}  # the run says why
        aside = [pk for pk in aside if pk not in parked]
        ids = [pk for pk in ids if pk not in set(aside)]
    run = BillingRun.objects.create(
        number=take_number("billing_run"),
        mode=mode,
        through=through,
        invoice_date=invoice_date,
        agreement_type=kind,
        company=company,
        agreement_count=len(ids),
        started_at=now,
        started_by=actor.name,
        started_by_id_of_user=actor.user_id,
        status=RunStatus.RATING if ids else RunStatus.FINISHED,
        finished_at=None if ids else now,
    )
    if is_there("SELECT 1 FROM billing_billingsettings WHERE earn_lapsed"):
        earn_lapsed(actor=actor, on=min(through, local_date(now)), now=now)
    if ids:
        ask_for_help(run.pk, _cut(run.pk, ids))
    text = f"started {run.number} through {format_date(through)} ({RunMode(mode).label.lower()}): {len(ids)} agreements"
    if aside:
        text += f"; {len(aside)} with a deposit to take off, or something earned to give back, were drafted instead"
    audit.record(actor, "billing.run.started", text, run)
    return run


def _to_be_looked_at(ids: Sequence[int]) -> list[int]:
    """Agreements that a run does not close: what is paid down is taken off a draft, as is what was earned already."""
    return sorted({*agreements_with_deposits(ids), *agreements_giving_back(ids)})


#: Waits for whoever starts a run, then looks for one that is not finished.
_OTHER: Final = """
    SELECT pg_advisory_xact_lock(%s);
    SELECT number, through, status FROM billing_billingrun WHERE status = ANY(%s) LIMIT 1
"""


def _one_at_a_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_OTHER, [_START_LOCK, list(UNFINISHED)])
        cursor.nextset()
        other = cursor.fetchone()
    if other is not None:
        number, through, status = other
        raise DomainError(
            "conflict",
            f"{number} through {format_date(through)} is {words(status)}; one run is made at a time.",
            hint="Wait until it is finished; a paused run can be resumed or cancelled.",
        )


#: The chunks of a run from the texts of their arrays: as values of a list, ids take a hundred times as long.
_CUT: Final = """
    INSERT INTO billing_billingrunchunk (run_id, position, status, agreement_ids, invoice_count, total, numbers)
    SELECT %s, position, %s, ids::bigint[], 0, 0, '{}' FROM unnest(%s::text[]) WITH ORDINALITY part(ids, position)
"""


def _cut(run_id: int, ids: Sequence[int]) -> int:
    """Cut a run into chunks; how many there are."""
    parts = [array_text(ids[start:end]) for start, end in pairwise(accumulate(_sizes(len(ids)), initial=0))]
    with connection.cursor() as cursor:
        cursor.execute(_CUT, [run_id, ChunkStatus.WAITING.value, parts])
    return len(parts)


def _sizes(count: int) -> Iterator[int]:
    """How many agreements each chunk of a run has."""
    fewest, left = min(max(_FEW, 1_000_000 // max(count, 1)), _FEW_OF_SHORT), count
    while left:
        size = min(CHUNK, max(fewest, left // _PART), left)
        yield size
        left -= size


@command(roles=FINANCE)
def pause_billing_run(*, actor: Actor, run_id: int) -> BillingRun:
    """Stop a run after the chunks that are being worked on. Its agreements stay claimed until it is resumed.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` unless it is under way.
    """
    run = _locked(run_id)
    check_transition("billing_run", run.number, run.status, RunStatus.PAUSED)
    run.status, run.paused_in = RunStatus.PAUSED, run.status
    run.save(update_fields=["status", "paused_in"])
    audit.record(actor, "billing.run.paused", f"paused {run.number}", run)
    return run


@command(roles=FINANCE)
def resume_billing_run(*, actor: Actor, run_id: int) -> BillingRun:
    """Go on with a run that was paused, or that stopped at a problem which has been mended.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` unless it is paused.
    """
    run = _locked(run_id)
    if run.status != RunStatus.PAUSED:
        raise DomainError("wrong_state", f"{run.number} is {words(run.status)}; it is not paused.", field="status")
    run.status, run.paused_in, run.problem = run.paused_in, "", ""
    run.save(update_fields=["status", "paused_in", "problem"])
    ask_for_help(run.pk, run.chunks.exclude(status="written").count())
    audit.record(actor, "billing.run.resumed", f"resumed {run.number}", run)
    return run


@command(roles=FINANCE)
def cancel_billing_run(*, actor: Actor, run_id: int) -> BillingRun:
    """Give a run up before its invoices are numbered. Drafts that it has made stay, as do reasons for parking.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once it is numbered: its invoices have their numbers.
    """
    run = _locked(run_id)
    if RunStatus.NUMBERED in (run.status, run.paused_in):
        raise DomainError(
            "wrong_state",
            f"The invoices of {run.number} have their numbers already; it can be finished, and no longer cancelled.",
            field="status",
            hint="Resume it. What should not have been billed can be credited.",
        )
    check_transition("billing_run", run.number, run.status, RunStatus.CANCELLED)
    run.status, run.paused_in = RunStatus.CANCELLED, ""
    run.save(update_fields=["status", "paused_in"])
    BillingState.objects.filter(run_id=run.pk).update(run_id=None)
    audit.record(actor, "billing.run.cancelled", f"cancelled {run.number}", run)
    return run


def _locked(run_id: int) -> BillingRun:
    """The run, held: those who work on a chunk of it have come to an end."""
    return locked(BillingRun.objects.all(), run_id)
