"""What the whole database holds, so that a test can say that nothing has changed."""

from __future__ import annotations

from django.apps import apps
from django.db import connection


def snapshot() -> dict[str, tuple[int, str]]:
    """(rows, checksum of all columns) of every table of the product: numbers taken, audit trail and history too."""
    tables = sorted(
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model.__module__.startswith("counterfoil.") and model._meta.managed
    )
    queries = [
        f"SELECT '{table}', count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM {table} t"
        for table in tables
    ]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(queries))
        return {table: (count, checksum) for table, count, checksum in cursor.fetchall()}


def changed(before: dict[str, tuple[int, str]]) -> list[str]:
    """The tables that differ from what they were."""
    after = snapshot()
    return [table for table in sorted(before | after) if before.get(table) != after.get(table)]
