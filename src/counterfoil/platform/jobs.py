"""Background jobs, on procrastinate: enqueued in our own transaction, done by ``counterfoil worker``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector


def work(*, concurrency: int, wait: bool) -> None:
    """Do the jobs that wait; with ``wait``, go on until a signal ends it."""
    connector = app.connector
    if not isinstance(connector, DjangoConnector):
        raise RuntimeError("the jobs are not connected to Django's database")
    with app.replace_connector(connector.get_worker_connector()) as working:
        working.run_worker(concurrency=concurrency, wait=wait, delete_jobs="successful")


#: Tells a worker that it was started by a server, and ends when the server does.
_BESIDE: Final = "COUNTERFOIL_BESIDE_SERVER"


@contextmanager
def workers_beside(count: int) -> Iterator[None]:
    """Run ``count`` worker processes as long as the block lasts.

    Each holds the other end of a pipe from here: should this process be killed, the pipe closes and they end as well.
    """
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "counterfoil", "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | {_BESIDE: "1"},
            start_new_session=True,  # Ctrl-C is for the server, which ends them in its turn
        )
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=30)


def end_with_server() -> None:
    """In a worker that a server started: end when the server is gone."""
    if os.environ.get(_BESIDE):
        threading.Thread(target=_wait_for_server, daemon=True).start()


def _wait_for_server() -> None:
    while os.read(0, 1024):  # unbuffered: a buffer that is being read would disturb the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
