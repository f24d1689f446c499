"""What the benchmarks share: a database of their own, and how figures are taken and printed."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PASSWORD = "benchmark-Northwind-2026"


@contextmanager
def installation() -> Iterator[None]:
    """An empty installation in a temporary folder, with its own embedded PostgreSQL that syncs to disk as usual."""
    data = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    os.environ["COUNTERFOIL_DATA"] = str(data)
    os.environ["DJANGO_SETTINGS_MODULE"] = "counterfoil.conf.settings"
    os.environ.pop("DATABASE_URL", None)
    try:
        import django

        django.setup()
        from counterfoil.platform.database.migrations import migrate

        migrate()
        yield
    finally:
        from django.db import connections

        from counterfoil.platform.database import EmbeddedServer

        connections.close_all()
        EmbeddedServer(data / "postgres").stop()
        shutil.rmtree(data, ignore_errors=True)


def median_seconds(deed: Callable[[], object], *, runs: int, warm_up: int = 1) -> float:
    """Median wall time of ``deed`` over ``runs``, after ``warm_up`` unmeasured ones."""
    for _ in range(warm_up):
        deed()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        deed()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def cpu_seconds() -> float:
    """CPU seconds spent so far by this process and by the whole database server, its background writers included."""
    import psutil
    from django.db import connection

    connection.ensure_connection()
    server = psutil.Process(connection.connection.info.backend_pid).parent()
    assert server is not None
    times = [process.cpu_times() for process in (server, *server.children())]
    return time.process_time() + sum(each.user + each.system for each in times) + gone(server)


def gone(server: Any) -> float:
    """CPU seconds of the server's processes that have ended."""
    times = server.cpu_times()
    return float(times.children_user + times.children_system)


def loop_ms() -> float:
    """Milliseconds of a fixed loop of plain Python: how fast this core is just now.

    On a machine that others share it may take half as long again from one minute to the next, and everything else with
    it; figures of different hours compare only where this is alike.
    """
    started = time.perf_counter()
    total = 0
    for number in range(300_000):
        total += number * number % 7
    return 1000 * (time.perf_counter() - started)


def report(**figures: object) -> None:
    """One line of JSON."""
    print(json.dumps(figures), flush=True)
