"""Finding the record a command is about among the rows of a query, and holding it while the command runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import connection, models

from counterfoil.core.errors import DomainError

RecordT = TypeVar("RecordT", bound=models.Model)


def existing(records: models.QuerySet[RecordT], pk: int, field: str | None = None) -> RecordT:
    """The record of that key among ``records``.

    Raises:
        DomainError: ``not_found``, naming what was looked for.
    """
    record = records.filter(pk=pk).first()
    if record is None:
        raise DomainError("not_found", f"There is no {records.model._meta.verbose_name} with the id {pk}.", field=field)
    return record


def is_there(query: str) -> bool:
    """Whether a query in SQL, of our own words alone, finds anything: for what is asked often and hardly ever so."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT EXISTS ({query})")
        return bool(cursor.fetchone()[0])


def locked(records: models.QuerySet[RecordT], pk: int, field: str | None = None) -> RecordT:
    """The record of that key, held against other changes until the transaction ends.

    Others may refer to it meanwhile (by a foreign key), but not change or lock it.

    Raises:
        DomainError: ``not_found``.
    """
    return existing(records.select_for_update(of=("self",), no_key=True), pk, field)


def locked_all(records: models.QuerySet[RecordT], pks: set[int], field: str | None = None) -> dict[int, RecordT]:
    """The records of those keys by key, locked in one order whoever asks, so that two commands cannot deadlock.

    Raises:
        DomainError: ``not_found`` for the first that is missing.
    """
    rows = records.filter(pk__in=pks).order_by("pk").select_for_update(of=("self",), no_key=True)
    found = {row.pk: row for row in rows}
    for pk in sorted(pks - found.keys()):
        raise DomainError("not_found", f"There is no {records.model._meta.verbose_name} with the id {pk}.", field=field)
    return found


def load_related(records: Sequence[models.Model], *names: str) -> None:
    """Load what records refer to (``agreement``, ``charge__work_role``): a query for each that any of them has.

    For a page of few records with many seldom relations: joining all of them takes longer to plan than to answer.
    """
    models.prefetch_related_objects(
        records,
        *(name for name in names if any(getattr(each, f"{name.partition('__')[0]}_id") for each in records)),
    )
