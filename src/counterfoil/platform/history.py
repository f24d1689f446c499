"""Column history: what a row was before each update or delete, kept by triggers.

Beside it stands the audit trail (:mod:`counterfoil.platform.audit`): a statement of what somebody did. Triggers see
bulk updates and COPY; the audit trail sees intent. Both are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, TypeVar

import pghistory
from django.db import models
from django.utils import timezone

from counterfoil.core.calendar import format_date

ModelT = TypeVar("ModelT", bound=type[models.Model])


def keep_history(model: ModelT) -> ModelT:
    """Class decorator: keep the former row on every update and delete of ``model``."""
    track: Callable[[Any], Any] = pghistory.track(
        pghistory.UpdateEvent(row=pghistory.Old),
        pghistory.DeleteEvent(),
    )
    tracked: ModelT = track(model)
    return tracked


#: Never shown, whatever happens to them.
SECRET: Final = frozenset({"password", "key_sha256"})


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column of a row that was changed, in words: ``after`` is ``None`` when the row was deleted."""

    column: str
    before: str
    after: str | None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One update or delete of a row."""

    at: datetime
    deleted: bool
    columns: tuple[ColumnChange, ...]


def history_of(model: type[models.Model], pk: int, *, most: int = 200) -> list[RowChange]:
    """What was changed on a row, from what to what, newest first; at most the last ``most`` changes.

    Each kept row is how it was before a change, so a change leads from one kept row to the next, the last one to the
    row as it is now. Nothing for a model whose history is not kept.
    """
    events = _event_model(model)
    if events is None:
        return []
    kept = list(events._default_manager.filter(pgh_obj_id=pk).order_by("-pgh_id")[:most])
    fields = [field for field in model._meta.concrete_fields if not field.primary_key and field.name not in SECRET]
    steps: list[tuple[Any, Any, list[Any]]] = []
    after = model._default_manager.filter(pk=pk).first()
    for event in kept:
        changed = [f for f in fields if after is None or getattr(event, f.attname) != getattr(after, f.attname)]
        steps.append((event, after, changed))
        after = event
    names = _names(steps)
    return [
        RowChange(
            at=event.pgh_created_at,
            deleted=row is None,
            columns=tuple(
                ColumnChange(
                    str(field.verbose_name),
                    _shown(field, event, names),
                    None if row is None else _shown(field, row, names),
                )
                for field in changed
                if row is not None or getattr(event, field.attname) not in (None, "")
            ),
        )
        for event, row, changed in steps
        if changed
    ]


def _event_model(model: type[models.Model]) -> type[models.Model] | None:
    """The model of the kept rows."""
    for relation in model._meta.related_objects:
        if relation.field.name == "pgh_obj":
            found: type[models.Model] = relation.related_model
            return found
    return None


def _names(steps: Iterable[tuple[Any, Any, list[Any]]]) -> dict[tuple[type[models.Model], Any], str]:
    """What the records are called that changed columns refer to; one query for each kind."""
    wanted: dict[type[models.Model], set[Any]] = {}
    for event, after, changed in steps:
        for field in changed:
            if field.is_relation:
                ids = {getattr(row, field.attname) for row in (event, after) if row is not None} - {None}
                wanted.setdefault(field.related_model, set()).update(ids)
    return {
        (model, record.pk): str(record)
        for model, ids in wanted.items()
        for record in model._default_manager.filter(pk__in=ids)
    }


def _shown(field: Any, row: Any, names: dict[tuple[type[models.Model], Any], str]) -> str:
    value = getattr(row, field.attname)
    if value is None or value == "":
        return ""
    if field.is_relation:
        return names.get((field.related_model, value), str(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        local = timezone.localtime(value)
        return f"{format_date(local.date())}, {local:%H:%M:%S}"
    if isinstance(value, date):
        return format_date(value)
    if isinstance(field, models.DecimalField):
        return f"{value.normalize():f}"
    return str(dict(field.flatchoices).get(value, value))
