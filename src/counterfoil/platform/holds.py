"""Holds: what keeps a document from going on until it is mended, or released by somebody who may.

Whoever finds a reason (the three-way match, say) places a hold on the document by its label and id; the commands of the
document's own context call :func:`ensure_not_held` before its deciding step, and know nothing of who holds it. An
*inspector* is asked right then, so that a hold is never decided by figures that are out of date.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import connection, models, transaction
from django.utils import timezone

from counterfoil.core.errors import DomainError
from counterfoil.platform.models import Hold

#: What is held and why: the label of its model, its id, and the key of the reason.
HoldKey = tuple[str, int, str]
#: Label of a model (``procurement.purchaseorder``) -> who looks again at some of its records, by their ids.
INSPECTORS: Final[dict[str, list[Callable[[list[int]], None]]]] = defaultdict(list)


def inspector(label: str) -> Callable[[Callable[[list[int]], None]], Callable[[list[int]], None]]:
    """Register a function that places and releases holds on records of ``label``, given their ids."""

    def register(function: Callable[[list[int]], None]) -> Callable[[list[int]], None]:
        INSPECTORS[label].append(function)
        return function

    return register


def inspect(label: str, ids: Iterable[int]) -> None:
    """Let every inspector of the label look again at the records."""
    wanted = list(ids)
    for look in INSPECTORS.get(label, ()):
        if wanted:
            look(wanted)


def ensure_not_held(record: models.Model, deed: str) -> None:
    """Refuse the deciding step of a document that is held, after its inspectors have looked again.

    Args:
        record: the document.
        deed: what is refused, as in ``"sent"``.

    Raises:
        DomainError: ``held``, with every reason.
    """
    label, pk = record._meta.label_lower, record.pk
    inspect(label, [pk])
    if found := held_among(label, [pk]).get(pk):
        raise held(str(record), deed, found)


class Held(DomainError):
    """The refusal of a document's deciding step, with every reason it is held for."""

    def __init__(self, name: str, deed: str, holds: Sequence[Hold]) -> None:
        super().__init__(
            "held",
            f"{name} is held and cannot be {deed}: {' '.join(hold.reason for hold in holds)}",
            hint=holds[0].hint or "Mend what differs, or release the hold with a reason.",
        )
        self._looked_at = (holds[0].label, holds[0].object_id)

    def keep(self) -> None:
        """Look again, once the refused step is undone: what the inspectors wrote went with it, and is to be seen."""
        label, pk = self._looked_at
        with transaction.atomic():
            inspect(label, [pk])


def held(name: str, deed: str, holds: Sequence[Hold]) -> Held:
    """The refusal of a document's deciding step."""
    return Held(name, deed, holds)


def held_among(label: str, ids: Iterable[int]) -> dict[int, list[Hold]]:
    """Which of the records are held and by what, with one query; inspectors are not asked."""
    rows = Hold.objects.filter(label=label, released_at=None, object_id__any=ids).order_by("id")
    found: dict[int, list[Hold]] = defaultdict(list)
    for hold in rows:
        found[hold.object_id].append(hold)
    return dict(found)


def set_holds(source: str, wanted: Mapping[HoldKey, Mapping[str, str]], among: Mapping[str, Iterable[int]]) -> None:
    """Make the open holds that ``source`` has on the records ``among`` be exactly those ``wanted``.

    A hold that is there already for its reason stays, in the words that are wanted now.

    Args:
        source: who holds, such as ``matching``.
        wanted: (label, record's id, key of the reason) -> ``reason``, and a ``hint`` where there is one.
        among: label of a model -> ids of its records that were looked at.
    """
    looked_at = [(label, pk) for label, ids in among.items() for pk in ids]
    if not looked_at:
        return
    placed = [(*key, words["reason"], words.get("hint", "")) for key, words in wanted.items()]
    asked: dict[str, Any] = {"source": source, "now": timezone.now()}
    asked |= dict(zip(("labels", "ids"), _columns(looked_at, 2), strict=True))
    asked |= dict(zip(("held_labels", "held_ids", "keys", "reasons", "hints"), _columns(placed, 5), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(_RELEASE, asked)
        if placed:
            cursor.execute(_PLACE, asked)


_RELEASE: Final = """
    UPDATE platform_hold h SET released_at = %(now)s
    FROM unnest(%(labels)s::text[], %(ids)s::bigint[]) looked_at(label, id)
    WHERE h.label = looked_at.label AND h.object_id = looked_at.id AND h.source = %(source)s AND h.released_at IS NULL
        AND (h.label, h.object_id, h.key) NOT IN (
            SELECT * FROM unnest(%(held_labels)s::text[], %(held_ids)s::bigint[], %(keys)s::text[])
        )
"""
_PLACE: Final = """
    INSERT INTO platform_hold (label, object_id, source, key, reason, hint, placed_at)
    SELECT label, id, %(source)s, key, reason, hint, %(now)s
    FROM unnest(
        %(held_labels)s::text[], %(held_ids)s::bigint[], %(keys)s::text[], %(reasons)s::text[], %(hints)s::text[]
    ) wanted(label, id, key, reason, hint)
    ON CONFLICT (label, object_id, source, key) WHERE released_at IS NULL
    DO UPDATE SET reason = excluded.reason, hint = excluded.hint
    WHERE (platform_hold.reason, platform_hold.hint) <> (excluded.reason, excluded.hint)
"""


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """The columns of a table that may be empty."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
