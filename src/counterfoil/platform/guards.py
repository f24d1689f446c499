"""Triggers that several contexts share: what is in the books is locked."""

from __future__ import annotations

import pgtrigger


def locked_once_posted(source_type: str, document: str, key: str = "id") -> pgtrigger.Trigger:
    """Refuse changes to a ``document`` row, and further lines of it, once a journal entry books it.

    Args:
        source_type: the entry's ``source_type``.
        document: its name in the message ("vendor bill").
        key: the column that holds the document's id (``id``, or the foreign key on its lines).
    """
    return pgtrigger.Trigger(
        name="locked_once_posted",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        func=f"""
            IF EXISTS (
                SELECT 1 FROM ledger_journalentry
                WHERE source_type = '{source_type}' AND source_id IN (OLD.{key}, NEW.{key})
            ) THEN
                RAISE EXCEPTION 'counterfoil:posted_is_locked: This {document} is in the books and cannot be changed.';
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,  # noqa: S608 - the names come from our own models, never from input
    )


def references(updates: bool = False, **tables: str) -> list[pgtrigger.Trigger]:
    """Foreign keys checked once a statement instead of once a row, for tables that take many rows at a time.

    PostgreSQL's own foreign keys cost some 5 us a row and column, more than all the rest of writing it. Use it for
    fields with ``db_constraint=False`` and keep the named tables whole with :func:`kept_while_used`.

    Args:
        updates: whether rows can be updated too (an update of many columns is checked like an insert).
        tables: column -> the table whose ``id`` it names (``account_id="ledger_account"``); empty columns are fine.

    Raises (in the database):
        ``not_found``: the first key that names nothing.
    """
    missing = " UNION ALL ".join(_missing(column, table) for column, table in tables.items())
    operations = {"references_hold": pgtrigger.Insert, "references_still_hold": pgtrigger.Update}
    return [
        pgtrigger.Trigger(
            name=name,
            level=pgtrigger.Statement,
            when=pgtrigger.After,
            operation=operation,
            referencing=pgtrigger.Referencing(new="new_rows"),  # type: ignore[no-untyped-call]
            declare=[("bad", "RECORD")],
            func=f"""
                EXECUTE $query${missing} LIMIT 1$query$ INTO bad;
                IF bad.id IS NOT NULL THEN
                    RAISE EXCEPTION 'counterfoil:not_found: There is no % with the id % (%).',
                        bad.what, bad.id, TG_TABLE_NAME;
                END IF;
                RETURN NULL;
            """,
        )
        for name, operation in operations.items()
        if updates or operation is pgtrigger.Insert
    ]


def _missing(column: str, table: str) -> str:
    """SQL for the keys in ``column`` of the new rows that name no row of ``table``."""
    what = column.removesuffix("_id").replace("_", " ")
    return f"""
        SELECT '{what}' AS what, named.id
        FROM (SELECT DISTINCT {column} AS id FROM new_rows WHERE {column} IS NOT NULL) named
        WHERE NOT EXISTS (SELECT 1 FROM {table} kept WHERE kept.id = named.id)
    """  # noqa: S608 - the names come from our own models, never from input


def kept_while_used(**columns: str | tuple[str, ...]) -> pgtrigger.Trigger:
    """Refuse to delete a row, or to change its id, while rows of other tables name it: the other half of a reference.

    It waits for those who write such rows at the moment and keeps others from it until it is decided, so the two halves
    cannot miss each other. Deleting what is named by so many rows is rare; writing them is not, and pays nothing.

    Args:
        columns: table -> the column that names the row (``ledger_journalline="account_id"``), or several.

    Raises (in the database):
        ``conflict``: it is in use.
    """
    used = " OR ".join(
        f"EXISTS (SELECT 1 FROM {table} WHERE {column} = OLD.id)"  # noqa: S608 - as above
        for table, names in columns.items()
        for column in ((names,) if isinstance(names, str) else names)
    )
    return pgtrigger.Trigger(
        name="kept_while_used",
        when=pgtrigger.Before,
        operation=pgtrigger.Delete | pgtrigger.UpdateOf("id"),  # type: ignore[no-untyped-call]
        func=f"""
            LOCK TABLE {", ".join(columns)} IN SHARE ROW EXCLUSIVE MODE;
            IF {used} THEN
                RAISE EXCEPTION 'counterfoil:conflict: It is in use and stays (% %).', TG_TABLE_NAME, OLD.id;
            END IF;
            IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
            RETURN NEW;
        """,
    )
