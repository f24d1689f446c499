"""Rows that one test has built and later ones lay down as they are: a COPY a table instead of a command a record.

And the other way: what a test has committed is taken away, table by table.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connection, transaction
from psycopg.errors import DeadlockDetected

Built = TypeVar("Built")

#: Tables that are not the product's own.
_OTHERS = ("django_", "auth_", "procrastinate")
#: Tables with rows that belong to the schema.
_MADE_BY_MIGRATIONS = ("django_migrations", "django_content_type", "auth_permission")


@dataclass(frozen=True, slots=True)
class Rows:
    """Table -> its rows as COPY writes them; sequence of ids -> the last one taken."""

    tables: dict[str, bytes]
    sequences: dict[str, int]


#: Name -> the rows of what was built, and the records that ``build`` gave.
_KEPT: dict[str, tuple[Rows, bytes]] = {}


def built_once(name: str, build: Callable[[], Built]) -> Built:
    """What ``build`` makes in an empty database: by its commands the first time, then laid down as it was."""
    if name in _KEPT:
        rows, pickled = _KEPT[name]
        lay_down(rows)
        laid: Built = pickle.loads(pickled)
        return laid
    others = rows_now().tables
    built = build()
    if not others:  # what the test has begun with is none of it
        _KEPT[name] = rows_now(), pickle.dumps(built)
    return built


def rows_now() -> Rows:
    """What is in the database, as this transaction sees it."""
    connection.ensure_connection()
    tables, sequences = {}, {}
    with connection.connection.cursor() as cursor:
        for table in _tables_with_rows(cursor):
            with cursor.copy(f'COPY "{table}" TO STDOUT') as copy:
                tables[table] = b"".join(bytes(block) for block in copy)
            if sequence := _sequence_of(cursor, table):
                sequences[sequence] = cursor.execute(f'SELECT max(id) FROM "{table}"').fetchone()[0]
    return Rows(tables, sequences)


def lay_down(rows: Rows) -> None:
    """Put the rows into tables that are empty. References are looked at when the transaction ends, as always."""
    connection.ensure_connection()
    with transaction.atomic(), connection.connection.cursor() as cursor:
        _ignore_guards(cursor, locally=True)
        for table, content in rows.tables.items():
            with cursor.copy(f'COPY "{table}" FROM STDIN') as copy:
                copy.write(content)
        cursor.execute("SELECT set_config('pgtrigger.ignore', '{}', true)")
        # A test that begins its ids anew would take those of the rows again.
        cursor.execute(
            "; ".join(
                f"SELECT setval('{name}', {last}) FROM {name} WHERE last_value <= {last}"
                for name, last in rows.sequences.items()
            )
        )


def clear() -> None:
    """Empty the tables that have rows; Django's flush empties all 300 and makes triggers and permissions anew."""
    for _ in range(3):
        try:
            return _clear()
        except DeadlockDetected:
            continue  # a request of a browser that is on its way out holds what we want, and wants what we hold
    return _clear()


def _clear() -> None:
    connection.ensure_connection()
    with transaction.atomic(), connection.connection.cursor() as cursor:
        # Who is still writing finishes first.
        if found := _tables_with_rows(cursor, but=_MADE_BY_MIGRATIONS):
            cursor.execute("LOCK TABLE " + ", ".join(f'"{name}"' for name in found))
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
        _ignore_guards(cursor, locally=False)
        for table in _tables_with_rows(cursor, but=_MADE_BY_MIGRATIONS):
            cursor.execute(f'DELETE FROM "{table}"')
    with connection.connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pgtrigger.ignore', '{}', false)")


def _ignore_guards(cursor: Any, *, locally: bool) -> None:
    """Guards look at what people do."""
    cursor.execute(
        "SELECT set_config('pgtrigger.ignore', array_agg(DISTINCT tgname::text)::text, %s)"
        " FROM pg_trigger WHERE NOT tgisinternal",
        [locally],
    )


def _tables_with_rows(cursor: Any, but: tuple[str, ...] = _OTHERS) -> list[str]:
    names = [name for name in connection.introspection.table_names() if not name.startswith(but)]
    asked = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT 1 FROM \"{name}\")" for name in names)
    return [row[0] for row in cursor.execute(asked)]


def _sequence_of(cursor: Any, table: str) -> str | None:
    has_id = cursor.execute(
        "SELECT 1 FROM information_schema.columns WHERE table_name = %s AND column_name = 'id'", [table]
    ).fetchone()
    if not has_id:
        return None
    name: str | None = cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [f'"{table}"']).fetchone()[0]
    return name
