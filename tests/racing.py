"""Deeds done at the same moment, each in a thread and a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from counterfoil.core.errors import DomainError


def at_once(*deeds: Callable[[], object]) -> list[object]:
    """Run the deeds, all starting together; what each returned, or the refusal it got. Anything else is raised."""
    start = Barrier(len(deeds))

    def run(deed: Callable[[], object]) -> object:
        try:
            connection.ensure_connection()
            start.wait(timeout=20)
            return deed()
        except DomainError as refusal:
            return refusal
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(run, deeds))


def refusals(results: Sequence[object]) -> list[DomainError]:
    """The refusals among the results."""
    return [result for result in results if isinstance(result, DomainError)]
