"""Background jobs, on procrastinate: enqueued in our own transaction, done by ``counterfoil worker``."""

from __future__ import annotations

from procrastinate.contrib.django import app
from procrastinate.contrib.django.django_connector import DjangoConnector


def work(*, concurrency: int, wait: bool) -> None:
    """Do the jobs that wait; with ``wait``, go on until a signal ends it."""
    connector = app.connector
    if not isinstance(connector, DjangoConnector):
        raise RuntimeError("the jobs are not connected to Django's database")
    with app.replace_connector(connector.get_worker_connector()) as working:
        working.run_worker(concurrency=concurrency, wait=wait, delete_jobs="successful")
