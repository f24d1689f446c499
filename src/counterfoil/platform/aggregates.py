"""Counts and sums of related rows as subqueries.

Joined, sums of two relations multiply each other, and the query groups by every column of the list. A subquery does
neither, keeps the list's order, and is reckoned for the rows of the page alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import connection, models
from django.db.models import Count, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce


def count_of(model: type[models.Model], relation: str, where: Q | None = None) -> Any:
    """How many rows ``relation`` of ``model`` reaches (those that fit ``where``, a filter on ``model``)."""
    counted = _own(model).annotate(total=Count(relation, filter=where)).values("total")
    return Coalesce(Subquery(counted), Value(0), output_field=models.IntegerField())


def sum_of(model: type[models.Model], path: str, field: models.Field[Any, Any], where: Q | None = None) -> Any:
    """The sum of what ``path`` reaches from ``model``, zero for none; ``field`` is the type of the result."""
    summed = _own(model).annotate(total=Sum(path, filter=where)).values("total")
    return Coalesce(Subquery(summed), Value(Decimal(0)), output_field=field)


def _own(model: type[models.Model]) -> models.QuerySet[Any, dict[str, Any]]:
    return model._default_manager.filter(pk=OuterRef("pk")).order_by().values("pk")


def count_together(waiting: Mapping[str, models.QuerySet[Any]]) -> dict[str, int]:
    """How many rows each of the querysets has, by its key: one statement for all of them."""
    if not waiting:
        return {}
    parts: list[str] = []
    parameters: list[Any] = []
    for rows in waiting.values():
        sql, given = rows.order_by().values("pk").query.sql_with_params()
        parts.append(f"(SELECT count(*) FROM ({sql}) counted)")  # noqa: S608 - the queryset's own
        parameters += given
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", parameters)
        return dict(zip(waiting, cursor.fetchone(), strict=True))
