"""The jobs that wait, done by a worker within the test's own process."""

from __future__ import annotations

from django.db import connection

from counterfoil.platform.jobs import work


def do_jobs(*, concurrency: int = 1) -> None:
    """Do the jobs that are due, and close what the worker's threads opened.

    They end with their process; here they would keep the test database from being dropped. A vacuum that happens to be
    there is left alone: it gives way by itself, and only the server's administrator may end it.
    """
    work(concurrency=concurrency, wait=False)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
