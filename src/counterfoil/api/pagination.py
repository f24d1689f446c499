"""Lists are read page by page: ``?limit=&cursor=`` gives ``{items, next_cursor}``, in the order of the ids.

A page begins after the last id of the one before (keyset), so the tenth thousand costs what the first did, and a
record that is added meanwhile shifts nothing. A cursor is signed, and holds for the list and the filters it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from pydantic import BaseModel, Field

from counterfoil.core.errors import DomainError

MAX_LIMIT = 200
ItemT = TypeVar("ItemT")
RecordT = TypeVar("RecordT", bound=Model)

Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="How many items a page has.")]
Cursor = Annotated[str, Field(max_length=200, description="`next_cursor` of the page before; empty for the first.")]


class Page(BaseModel, Generic[ItemT]):
    """Some of a list; `next_cursor` is null on the last page."""

    items: list[ItemT]
    next_cursor: str | None


def take(request: HttpRequest, records: QuerySet[RecordT], limit: int, cursor: str) -> tuple[list[RecordT], str | None]:
    """One page of ``records``, by id, and the cursor of the next.

    Raises:
        DomainError: ``invalid`` for a cursor that this list did not give.
    """
    if cursor:
        records = records.filter(pk__gt=_read(request, cursor))
    found = list(records.order_by("pk")[: limit + 1])
    return _cut(request, found, limit, lambda record: record.pk)


def take_rows(
    request: HttpRequest, rows: Iterable[ItemT], limit: int, cursor: str, key: Callable[[ItemT], Any]
) -> tuple[list[ItemT], str | None]:
    """One page of rows that are computed together, by ``key`` (unique among them), and the cursor of the next."""
    found = sorted(rows, key=key)
    if cursor:
        after = _read(request, cursor)
        found = [row for row in found if _comparable(key(row)) > _comparable(after)]
    return _cut(request, found, limit, key)


def _comparable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _cut(
    request: HttpRequest, found: Sequence[ItemT], limit: int, key: Callable[[ItemT], Any]
) -> tuple[list[ItemT], str | None]:
    items = list(found[:limit])
    more = len(found) > limit
    return items, _signer(request).sign_object(key(items[-1])) if more else None


def _read(request: HttpRequest, cursor: str) -> Any:
    try:
        return _signer(request).unsign_object(cursor)
    except (BadSignature, ValueError) as error:
        raise DomainError(
            "invalid",
            "This is not a cursor of this list.",
            field="cursor",
            hint="Take next_cursor from the page before, with the same filters; leave it out for the first page.",
        ) from error


def _signer(request: HttpRequest) -> Signer:
    filters = sorted((name, values) for name, values in request.GET.lists() if name not in {"cursor", "limit"})
    return Signer(salt=f"counterfoil.api.cursor {request.path} {filters}")
