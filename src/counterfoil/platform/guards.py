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
