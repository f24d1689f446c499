"""The audit trail: who, when, what, in words, hash-chained.

Entries are collected while a command runs and appended at its very end, so that the lock on the chain is held for the
shortest time and always taken last (a fixed order of locks cannot deadlock).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final

from django.db import connection, models

from counterfoil.platform.anyof import array_of
from counterfoil.platform.identity import Actor
from counterfoil.platform.models import AuditEntry, AuditHead

GENESIS = "0" * 64

#: What an entry's hash covers, and all its columns.
HASHED = (
    "seq", "at", "actor_id", "actor_name", "channel", "verb", "sentence", "object_type", "object_id", "data",
    "previous_hash",
)  # fmt: skip
COLUMNS = (*HASHED, "hash")
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Statement:
    """One deed, before it has its place in the chain."""

    actor: Actor
    verb: str
    sentence: str
    object_type: str
    object_id: int | None
    data: dict[str, Any]


@dataclass(slots=True)
class Notebook:
    """What the running command has said so far.

    Attributes:
        statements: what was done.
        unchanged: that something asked for was so already.
    """

    statements: list[Statement] = field(default_factory=list)
    unchanged: bool = False


_open_notebook: ContextVar[Notebook | None] = ContextVar("open_audit_notebook", default=None)


def record(actor: Actor, verb: str, sentence: str, obj: models.Model | None = None, **data: Any) -> None:
    """Say what the running command did.

    Args:
        actor: who did it.
        verb: dotted name of the deed (``"inventory.receipt.recorded"``).
        sentence: what happened, for a person, with numbers and names, without the actor's name
            (``"received 1 of 1 SRV-01 on PO-0001 into HQ / Acme"``).
        obj: the record it is about; the trail of a record is found by it.
        data: further facts, kept as JSON (Decimals and dates become text).

    Raises:
        RuntimeError: when no command runs; only commands change things.
    """
    label = obj._meta.label_lower if obj is not None else ""
    _notebook().statements.append(
        Statement(
            actor, verb, sentence, label, obj.pk if obj is not None else None, json.loads(json.dumps(data, default=str))
        )
    )


def record_nothing() -> None:
    """Say that all is as the running command was to make it: where nothing is done, the trail has nothing to tell.

    Raises:
        RuntimeError: when no command runs.
    """
    _notebook().unchanged = True


def record_each(actor: Actor, verb: str, model: type[models.Model], sentences: Mapping[int, str]) -> None:
    """Say the same deed of many records.

    Args:
        actor: who did it.
        verb: dotted name of the deed.
        model: what the records are.
        sentences: primary key -> what happened to that record.

    Raises:
        RuntimeError: when no command runs.
    """
    label = model._meta.label_lower
    _notebook().statements.extend(Statement(actor, verb, text, label, pk, {}) for pk, text in sentences.items())


def _notebook() -> Notebook:
    book = _open_notebook.get()
    if book is None:
        raise RuntimeError("an audit statement outside a command")
    return book


#: Takes the lock of the chain. What the end of the transaction would check is checked before: nobody waits for that.
_LOCK: Final = """
    SET CONSTRAINTS ALL IMMEDIATE;
    SET CONSTRAINTS ALL DEFERRED;
    SELECT seq, hash FROM platform_audithead WHERE id = 1 FOR UPDATE
"""

#: Writes entries by columns and moves the head on.
_APPEND: Final = f"""
    WITH written AS (
        INSERT INTO platform_auditentry ({", ".join(COLUMNS)})
        SELECT * FROM unnest(
            %s::bigint[], %s::timestamptz[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
            %s::bigint[], %s::jsonb[], %s::text[], %s::text[]
        )
    )
    UPDATE platform_audithead SET seq = %s, hash = %s WHERE id = 1
"""  # noqa: S608 - our names


def append(statements: list[Statement], at: datetime) -> None:
    """Chain ``statements`` (one at least) to the trail; called once, at the end of the outermost command.

    Raises:
        IntegrityError: what the command has written does not hold together.
    """
    head = _locked_head()
    if head is None:
        AuditHead.objects.get_or_create(id=1)
        head = _locked_head()
    assert head is not None
    columns = [array_of(column) for column in zip(*_chained(head, statements, at), strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(_APPEND, [*columns, head.seq, head.hash])


def _locked_head() -> AuditHead | None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
        while cursor.nextset():
            pass
        row = cursor.fetchone()
    return None if row is None else AuditHead(1, *row)


def _chained(head: AuditHead, statements: Iterable[Statement], at: datetime) -> Iterator[tuple[Any, ...]]:
    """The rows of ``statements``, each with the hash of the one before; ``head`` moves on with them."""
    for statement in statements:
        row = (
            head.seq + 1,
            at,
            statement.actor.user_id,
            statement.actor.name,
            statement.actor.channel,
            statement.verb,
            statement.sentence,
            statement.object_type,
            statement.object_id,
            statement.data,
            head.hash,
        )
        head.seq, head.hash = head.seq + 1, _hash(row)
        *before, data, previous = row
        yield (*before, _CANONICAL.encode(data), previous, head.hash)


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 of the entry's canonical JSON (sorted keys, UTC, no spaces), the former hash included."""
    return _hash([getattr(entry, name) for name in HASHED])


def _hash(values: Sequence[Any]) -> str:
    content = dict(zip(HASHED, values, strict=True))
    content["at"] = content["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(_CANONICAL.encode(content).encode()).hexdigest()


def broken_links() -> Iterator[str]:
    """Walk the whole chain and name every link that does not hold; nothing when it is whole."""
    seq, previous = 0, GENESIS
    for entry in AuditEntry.objects.order_by("seq").iterator(chunk_size=2000):
        seq += 1
        if entry.seq != seq:
            yield f"audit entry {seq} is missing (the next one is {entry.seq})"
            seq = entry.seq
        if entry.previous_hash != previous:
            yield f"audit entry {entry.seq} does not follow the one before it"
        if entry_hash(entry) != entry.hash:
            yield f"audit entry {entry.seq} was changed after it was written: {entry.sentence!r}"
        previous = entry.hash
    head = AuditHead.objects.filter(id=1).first()
    if head is None and seq:
        yield "the head of the audit trail is missing: nobody can tell how many entries were written"
    if head is not None and (head.seq, head.hash) != (seq, previous):
        yield f"the audit trail ends at entry {seq}, but {head.seq} were written"


def trail_of(*objects: models.Model) -> models.QuerySet[AuditEntry]:
    """The audit trail of one or several records, newest first."""
    wanted = models.Q(pk__in=[])
    for obj in objects:
        wanted |= models.Q(object_type=obj._meta.label_lower, object_id=obj.pk)
    return AuditEntry.objects.filter(wanted).order_by("-seq")


def entries(
    *, search: str = "", verb: str = "", actor_name: str = "", since: date | None = None, until: date | None = None
) -> models.QuerySet[AuditEntry]:
    """The whole trail, newest first.

    Args:
        search: words of the sentence or the verb.
        verb: one deed (``billing.invoice.closed``), or the beginning of several (``billing.``).
        actor_name: who did it.
        since: first day, in the current time zone.
        until: last day.
    """
    found = AuditEntry.objects.order_by("-seq")
    for word in search.split():
        found = found.filter(models.Q(sentence__icontains=word) | models.Q(verb__icontains=word))
    if verb:
        found = found.filter(verb__startswith=verb) if verb.endswith(".") else found.filter(verb=verb)
    if actor_name:
        found = found.filter(actor_name=actor_name)
    if since is not None:
        found = found.filter(at__date__gte=since)
    if until is not None:
        found = found.filter(at__date__lte=until)
    return found
