"""Writing many rows by PostgreSQL's COPY, changing many, and taking keys in advance.

COPY writes rows several times as fast as ``bulk_create``: no model instances, no SQL text, one round trip. It runs in
the transaction of Django's connection, and triggers, constraints and defaults see its rows like any others. What Django
does in Python (field defaults, ``pre_save``, signals) it does not do: columns left out take the database's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, NamedTuple

from django.db import connection, models
from psycopg.copy import Copy, FileWriter

from counterfoil.platform.anyof import array_of


def copy_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write ``rows`` to the table of ``model`` in one statement.

    Args:
        model: whose table.
        columns: names of fields or columns (``"entry"`` and ``"entry_id"`` are the same), in the order of the values.
        rows: values as the columns hold them: keys for foreign keys, ``Decimal``, aware datetimes, dicts for JSON.

    Returns:
        How many were written.

    Raises:
        DatabaseError: as any insert does; nothing is written then.
    """
    target = _target(model, tuple(columns))
    # The cursor wraps no errors of its copy(): what the database refuses must reach commands as Django's errors.
    with connection.wrap_database_errors, connection.cursor() as cursor:
        with cursor.copy(target.statement) as copy:
            _write(copy, target, rows)
        return int(cursor.rowcount)


class Encoded(NamedTuple):
    """Rows as COPY takes them, a fraction of the size of their values: what waits can wait so."""

    statement: str
    data: bytes


def encode_rows(model: type[models.Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Encoded:
    """Make ``rows`` ready to be written by :func:`copy_encoded`; arguments as those of :func:`copy_rows`."""
    target, buffer = _target(model, tuple(columns)), BytesIO()
    writer = FileWriter(buffer)
    with connection.cursor() as cursor, Copy(cursor.cursor, binary=not target.is_text, writer=writer) as copy:
        _write(copy, target, rows)
    return Encoded(target.statement, buffer.getvalue())


def copy_encoded(rows: Encoded) -> int:
    """Write rows that were made ready; as :func:`copy_rows`."""
    with connection.wrap_database_errors, connection.cursor() as cursor:
        with cursor.copy(rows.statement) as copy:
            copy.write(rows.data)
        return int(cursor.rowcount)


class _Target(NamedTuple):
    """Some columns of a table, and how COPY writes them."""

    statement: str
    types: list[str]
    is_text: bool


#: Nanoseconds that the driver takes for a value as text, less what it takes in binary; the server hardly minds.
_DEARER_AS_TEXT: Final = {"numeric": -450, "date": 190, "timestamp with time zone": 900}
_ANY_OTHER: Final = 20


@lru_cache(maxsize=256)
def _target(model: type[models.Model], columns: tuple[str, ...]) -> _Target:
    fields = [_field(model, name) for name in columns]
    types = [_type_name(field) for field in fields]
    is_text = sum(_DEARER_AS_TEXT.get(name, _ANY_OTHER) for name in types) < 0
    quoted = connection.ops.quote_name
    table, names = quoted(model._meta.db_table), ", ".join(quoted(str(field.column)) for field in fields)
    statement = f"COPY {table} ({names}) FROM STDIN (FORMAT {'TEXT' if is_text else 'BINARY'})"
    return _Target(statement, types, is_text)


def _write(copy: Any, target: _Target, rows: Iterable[Sequence[Any]]) -> None:
    copy.set_types(target.types)
    write = copy.write_row
    for row in rows:
        write(row)


def update_rows(model: type[models.Model], columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
    """Give each of many rows its own values in ``columns``, in one statement.

    Args:
        model: whose table.
        columns: names of fields or columns.
        rows: the primary key of each row, then its values.

    Returns:
        How many rows there were.
    """
    key = model._meta.pk
    assert key is not None
    quoted = connection.ops.quote_name
    fields = [key, *(_field(model, name) for name in columns)]
    names = [quoted(str(field.column)) for field in fields]
    table, arrays = quoted(model._meta.db_table), ", ".join(f"%s::{_type_name(field)}[]" for field in fields)
    changes = ", ".join(f"{name} = given.{name}" for name in names[1:])
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {changes} FROM unnest({arrays}) AS given({', '.join(names)})"  # noqa: S608 - our names
            f" WHERE {table}.{names[0]} = given.{names[0]}",
            [array_of(column) for column in zip(*rows, strict=True)] or [[] for _ in fields],
        )
        return int(cursor.rowcount)


def take_ids(model: type[models.Model], count: int) -> list[int]:
    """The next ``count`` primary keys of ``model``, ascending, from its sequence: nobody else gets them.

    They need not be consecutive when others insert at the same time. Keys that are not used are lost, as always.
    """
    return take_ids_of({model: count})[model]


def take_ids_of(counts: Mapping[type[models.Model], int]) -> dict[type[models.Model], list[int]]:
    """As :func:`take_ids`, of several models in one statement."""
    taken: dict[type[models.Model], list[int]] = {model: [] for model in counts}
    places: list[int | str] = []
    for place, (model, count) in enumerate(counts.items()):
        key = model._meta.pk
        assert key is not None
        places += [place, connection.ops.quote_name(model._meta.db_table), str(key.column), count]
    wanted = ", ".join(["(%s, pg_get_serial_sequence(%s, %s)::regclass, %s)"] * len(counts))
    with connection.cursor() as cursor:
        # Each sequence is looked up once, not once a key.
        cursor.execute(
            f"WITH wanted(place, source, amount) AS MATERIALIZED (VALUES {wanted})"  # noqa: S608 - placeholders
            " SELECT place, nextval(source) FROM wanted, generate_series(1, amount)",
            places,
        )
        rows = cursor.fetchall()
    every = list(counts)
    for place, key_value in rows:
        taken[every[place]].append(key_value)
    return {model: sorted(keys) for model, keys in taken.items()}


def _field(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    for field in model._meta.concrete_fields:
        if name in (field.name, field.attname):
            return field
    raise LookupError(f"{model.__name__} has no column {name}")


def _type_name(field: models.Field[Any, Any]) -> str:
    """The name of the column's type without its size: binary COPY takes no text for a number."""
    kind = field.rel_db_type(connection) if field.is_relation else field.db_type(connection)
    if kind is None:
        raise LookupError(f"{field} has no column type")
    name, _, rest = kind.partition("(")
    return name.strip() + ("[]" if rest.endswith("[]") else "")
