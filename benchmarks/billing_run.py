"""How fast agreements are billed: rated, numbered, closed and in the books, with two workers.

N agreements of five additions and a two-level tax, in mode transfer, on an embedded PostgreSQL that syncs to disk. In
the same run, the very same rows are written twice more into the same tables, emptied before, by as many connections, a
chunk a transaction, guarded by the same triggers: by COPY of their values through the same driver (``of_raw_copy``),
and by COPY of bytes that are ready beforehand (``of_ready_bytes``), which is the limit that no program can reach.

    python benchmarks/billing_run.py 1000 10000 50000

All of that is done several times (three, and more often where it takes little), the billing by the same workers and the
copying by others: the first time the caches of both are cold, as those of a command just typed, then warm, as those of
workers who live on. One line of JSON for each N: the medians, and what each run came to (a ratio is that of one run and
its own copies).

Figures a second vary with what else the machine does, unseen by its guests too: a fixed loop of Python is timed on all
workers at once before and after each run (``loop_ms``), and what was measured at other paces of it does not compare.
Milliseconds of CPU an invoice (of workers, planner and database together) vary with that pace alone.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from common import installation, loop_ms, report  # noqa: E402 - it lies beside this file

WORKERS = 2
START, INVOICED = date(2026, 1, 1), date(2026, 1, 31)
TABLES = (
    "billing_invoiceline", "billing_invoicetax", "billing_invoice", "ledger_journalline", "ledger_journalentry",
    "accounting_batchitem",
)  # fmt: skip


#: Rows by table.
Rows = dict[str, list[tuple[Any, ...]]]


# -- workers -----------------------------------------------------------------------------------------------------------


def serve() -> None:
    """A process that does what it is told, a line at a time, and answers with what it took."""
    import django

    django.setup()
    import psycopg
    from django.db import connection

    from counterfoil.flows.billing_work import work

    count = [0]
    copy = psycopg.Cursor.copy

    def counted_copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        return copy(self, *args, **kwargs)

    psycopg.Cursor.copy = counted_copy  # type: ignore[method-assign]

    loaded: list[Rows] = []
    connection.ensure_connection()
    with connection.execute_wrapper(counter(count)):
        print("ready", flush=True)
        for line in sys.stdin:
            deed, argument = line.split()
            count[0] = 0
            before = cpu()
            if deed == "work":
                work(int(argument))
            elif deed == "loop":
                print(json.dumps(loop_ms()), flush=True)
                continue
            elif deed == "load":
                loaded = load_rows(Path(argument))
            elif deed == "rows":
                write_rows(loaded)
            else:
                write_bytes(Path(argument))
            print(json.dumps({"cpu": cpu() - before, "peak_mb": peak_mb(), "statements": count[0]}), flush=True)


def counter(count: list[int]) -> Any:
    """A wrapper of statements that counts them."""

    def counted(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        count[0] += 1
        return execute(sql, params, many, context)

    return counted


def cpu() -> float:
    """CPU seconds of this process."""
    times = os.times()
    return times.user + times.system


def peak_mb() -> int:
    """The most memory this process has had, in MB. ``getrusage`` would count what its parent had when it was forked."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    raise RuntimeError("this system does not tell the peak of a process's memory")


class Team:
    """Worker processes that are up and connected before anything is measured."""

    def __init__(self, count: int) -> None:
        self.members = [
            subprocess.Popen(
                [sys.executable, __file__, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for _ in range(count)
        ]
        for member in self.members:
            self._answer(member)

    def do(self, *lines: str) -> list[Any]:
        """Give each worker its line and wait for all."""
        for member, line in zip(self.members, lines, strict=True):
            assert member.stdin
            member.stdin.write(line + "\n")
            member.stdin.flush()
        return [json.loads(self._answer(member)) for member in self.members]

    def _answer(self, member: subprocess.Popen[str]) -> str:
        assert member.stdout
        answer = member.stdout.readline()
        if not answer:
            raise RuntimeError("a worker has died")
        return answer

    def end(self) -> None:
        """Let them go."""
        for member in self.members:
            assert member.stdin
            member.stdin.close()
            member.wait(timeout=60)


@contextmanager
def team(count: int) -> Iterator[Team]:
    """A team for the time of the block."""
    members = Team(count)
    try:
        yield members
    finally:
        members.end()


# -- the database ------------------------------------------------------------------------------------------------------


def database_cpu() -> float:
    """CPU seconds of all processes of the database server that are alive."""
    import psutil
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        server = psutil.Process(cursor.fetchone()[0]).parent()
    assert server is not None
    total = 0.0
    for process in [server, *server.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def execute(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of a statement, if it gives any."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall()) if cursor.description else []


def empty() -> None:
    """Take away what was there before; customers, agreements and invoices come anew for each N."""
    execute(
        "TRUNCATE billing_invoice, ledger_journalentry, accounting_batch, billing_billingrun, agreements_agreement,"
        " platform_numbersequence CASCADE"
    )


# -- the run -----------------------------------------------------------------------------------------------------------


def measure(count: int) -> None:
    """Bill ``count`` agreements, then write the same rows raw, several times; print what both took."""
    with team(WORKERS) as billers, team(WORKERS) as copiers:
        runs = [run_once(billers, copiers, count, f"N{count}R{number}") for number in range(max(3, 9_000 // count))]
    middle = {name: round(median(run[name] for run in runs), 4) for name in runs[0]}
    report(
        invoices=count,
        invoices_per_second=round(middle["per_second"]),
        of_raw_copy=round(middle["of_raw_copy"], 2),
        invoices_per_second_of_each_run=[round(run["per_second"]) for run in runs],
        of_raw_copy_of_each_run=[round(run["of_raw_copy"], 2) for run in runs],
        loop_ms_of_each_run=[round(run["loop_ms"], 1) for run in runs],
        raw_copy_per_second=round(middle["raw_per_second"]),
        of_ready_bytes=round(middle["of_ready_bytes"], 2),
        cpu_ms_per_invoice=round(middle["client_ms"] + middle["database_ms"], 3),
        client_ms=round(middle["client_ms"], 3),
        database_ms=round(middle["database_ms"], 3),
        raw_database_ms=round(middle["raw_database_ms"], 3),
        statements_per_invoice=middle["statements"],
        peak_mb_of_a_worker=max(run["peak_mb"] for run in runs),
        seconds_of_phases={name: round(middle[name], 2) for name in ("plan", "rate", "number_and_write")},
        workers=WORKERS,
    )


def run_once(billers: Team, copiers: Team, count: int, kind: str) -> dict[str, float]:
    """One run of a new fleet, and its rows once more."""
    from tests.fleet import seed

    empty()
    seed(count, start=START, kind=kind)
    execute("ANALYZE")
    loops = billers.do(*["loop -"] * WORKERS)
    billed = bill(billers, count)
    loops += billers.do(*["loop -"] * WORKERS)
    check(count)
    raw = copy_again(copiers, count)
    return {
        "per_second": count / billed["seconds"],
        "of_raw_copy": raw["seconds"] / billed["seconds"],
        "raw_per_second": count / raw["seconds"],
        "of_ready_bytes": raw["bytes_seconds"] / billed["seconds"],
        "loop_ms": sum(loops) / len(loops),
        "client_ms": 1000 * billed["client"] / count,
        "database_ms": 1000 * billed["database"] / count,
        "raw_database_ms": 1000 * raw["database"] / count,
        "statements": billed["statements"] / count,
        "peak_mb": billed["peak_mb"],
        **billed["phases"],
    }


def bill(members: Team, count: int) -> dict[str, Any]:
    """What a billing run took, from the command to the last entry."""
    from django.db import connection

    from counterfoil.billing.models import BillingRun
    from counterfoil.flows.billing_run import start_billing_run
    from counterfoil.platform.identity import SYSTEM

    statements = [0]
    before, own, started = database_cpu(), cpu(), time.perf_counter()
    with connection.execute_wrapper(counter(statements)):
        run = start_billing_run(
            actor=SYSTEM, through=INVOICED, invoice_date=INVOICED, mode="transfer", now=datetime.now(UTC)
        )
    planned = time.perf_counter()
    own = cpu() - own
    took = members.do(*[f"work {run.pk}"] * WORKERS)
    ended = time.perf_counter()
    run = BillingRun.objects.get(pk=run.pk)
    assert (run.status, run.invoice_count, run.parked_count) == ("finished", count, 0), run.problem
    rated = execute("SELECT max(rated_at) FROM billing_billingrunchunk WHERE run_id = %s", run.pk)[0][0]
    last = execute("SELECT max(written_at) FROM billing_billingrunchunk WHERE run_id = %s", run.pk)[0][0]
    return {
        "seconds": ended - started,
        "client": own + sum(each["cpu"] for each in took),
        "database": database_cpu() - before,
        "statements": statements[0] + sum(each["statements"] for each in took),
        "peak_mb": max(each["peak_mb"] for each in took),
        "phases": {
            "plan": planned - started,
            "rate": (rated - run.started_at).total_seconds() - (planned - started),
            "number_and_write": (last - rated).total_seconds(),
        },
    }


def check(count: int) -> None:
    """Everything is there once, numbered without a gap, balanced, and comes to what the prices say."""
    invoices, numbers, total = execute("SELECT count(*), count(DISTINCT number), sum(total) FROM billing_invoice")[0]
    assert invoices == numbers == count, (invoices, numbers)
    for table, prefix in (("billing_invoice", "INV-"), ("ledger_journalentry", "JE-")):
        ends = f"min(substr(number, {len(prefix) + 1})::bigint), max(substr(number, {len(prefix) + 1})::bigint)"
        assert execute(f"SELECT {ends} FROM {table}")[0] == (1, count), table
    assert execute("SELECT count(*) FROM accounting_batchitem")[0][0] == count
    assert execute("SELECT sum(debit) - sum(credit) FROM ledger_journalline")[0][0] == 0
    unbalanced = "SELECT 1 FROM ledger_journalline GROUP BY entry_id HAVING sum(debit) <> sum(credit) LIMIT 1"
    assert not execute(unbalanced)
    expected = execute(
        "SELECT sum(net + round(net * 0.075, 2)) FROM (SELECT sum(round(quantity * unit_price, 2)) AS net"
        " FROM agreements_addition GROUP BY agreement_id) a"
    )[0][0]
    assert total == expected, (total, expected)


# -- the same rows again -----------------------------------------------------------------------------------------------


def copy_again(members: Team, count: int) -> dict[str, Any]:
    """What it takes to COPY the rows of the run into the same tables, emptied before."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-rows-") as folder:
        parts = [Path(folder) / str(index) for index in range(WORKERS)]
        save(parts)
        execute("TRUNCATE billing_invoice, ledger_journalentry, accounting_batchitem CASCADE")
        started = time.perf_counter()
        members.do(*[f"bytes {part}" for part in parts])
        bytes_seconds = time.perf_counter() - started
        assert execute("SELECT count(*) FROM billing_invoice")[0][0] == count
        execute("TRUNCATE billing_invoice, ledger_journalentry, accounting_batchitem CASCADE")
        members.do(*[f"load {part}" for part in parts])
        before, started = database_cpu(), time.perf_counter()
        members.do(*["rows -"] * WORKERS)
        seconds = time.perf_counter() - started
        assert execute("SELECT count(*) FROM billing_invoice")[0][0] == count
        return {"seconds": seconds, "bytes_seconds": bytes_seconds, "database": database_cpu() - before}


def save(parts: list[Path]) -> None:
    """The rows of the run as COPY writes them, a folder for each worker, a file for each chunk and table."""
    from django.db import connection

    from counterfoil.accounting.models import Batch

    batch = Batch.objects.create(number="BAT-RAW", created_by="benchmark")
    columns = [column for column, in execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'accounting_batchitem'::regclass AND attnum > 0"
        " AND NOT attisdropped ORDER BY attnum"
    )]  # fmt: skip
    items = ", ".join(f"{batch.pk}::bigint" if column == "batch_id" else f"t.{column}" for column in columns)
    invoices = (
        "SELECT id FROM billing_invoice WHERE agreement_id = ANY("
        "(SELECT agreement_ids FROM billing_billingrunchunk WHERE id = %d)::bigint[])"
    )
    entries = "SELECT id FROM ledger_journalentry WHERE source_id IN (%s)"
    chunks = [pk for (pk,) in execute("SELECT id FROM billing_billingrunchunk ORDER BY position")]
    for part in parts:
        part.mkdir()
    for index, chunk in enumerate(chunks):
        own = invoices % chunk
        selections = {
            "billing_invoiceline": f"SELECT t.* FROM billing_invoiceline t WHERE invoice_id IN ({own})",
            "billing_invoicetax": f"SELECT t.* FROM billing_invoicetax t WHERE invoice_id IN ({own})",
            "billing_invoice": f"SELECT t.* FROM billing_invoice t WHERE id IN ({own})",
            "ledger_journalline": f"SELECT t.* FROM ledger_journalline t WHERE entry_id IN ({entries % own})",
            "ledger_journalentry": f"SELECT t.* FROM ledger_journalentry t WHERE id IN ({entries % own})",
            "accounting_batchitem": f"SELECT {items} FROM accounting_batchitem t WHERE source_id IN ({own})",
        }
        for table, selection in selections.items():
            target = parts[index % len(parts)] / f"{index:06d}.{table}"
            reading = f"COPY ({selection}) TO STDOUT (FORMAT BINARY)"
            with connection.cursor() as cursor, target.open("wb") as file, cursor.copy(reading) as copy:
                for block in copy:
                    file.write(block)
            target.with_suffix(f".{table}.values").write_bytes(pickle.dumps(execute(selection)))


def write_bytes(part: Path) -> None:
    """COPY the bytes in a folder, each chunk in a transaction."""
    from django.db import connection, transaction

    for first in sorted(part.glob(f"*.{TABLES[0]}")):
        with transaction.atomic(), connection.cursor() as cursor:
            for table in TABLES:
                with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                    copy.write(first.with_suffix(f".{table}").read_bytes())


def load_rows(part: Path) -> list[Rows]:
    """The rows in a folder as values, chunk by chunk."""
    firsts = sorted(part.glob(f"*.{TABLES[0]}"))
    return [
        {table: pickle.loads(first.with_suffix(f".{table}.values").read_bytes()) for table in TABLES}
        for first in firsts
    ]


def write_rows(chunks: list[Rows]) -> None:
    """COPY the values of each chunk in a transaction, through the driver."""
    from django.db import connection, transaction

    types = {table: [name for (name,) in execute(_TYPES, table)] for table in TABLES}
    for chunk in chunks:
        with transaction.atomic(), connection.cursor() as cursor:
            for table, rows in chunk.items():
                with cursor.copy(f"COPY {table} FROM STDIN (FORMAT BINARY)") as copy:
                    copy.set_types(types[table])
                    for row in rows:
                        copy.write_row(row)


_TYPES = (
    "SELECT t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
    " WHERE a.attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
)


def main(counts: list[int]) -> None:
    with installation():
        from counterfoil.flows.setup import set_up_msp
        from counterfoil.platform.identity import SYSTEM

        set_up_msp(actor=SYSTEM, name="Northwind IT", identifier="NorthwindIT", on=START)
        for count in counts:
            measure(count)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve()
    else:
        main([int(argument) for argument in sys.argv[1:]] or [1_000, 5_000, 10_000, 50_000])
