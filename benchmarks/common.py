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


def report(**figures: object) -> None:
    """One line of JSON."""
    print(json.dumps(figures), flush=True)
