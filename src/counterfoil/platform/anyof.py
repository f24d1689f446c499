"""``filter(pk__any=ids)``: a list as one parameter, ``= ANY(...)``.

``__in`` makes a parameter of every value: with some hundred of them, writing and reading the statement takes longer
than the query.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, Final

from django.db import models
from django.db.models.fields.related import ForeignObject
from django.db.models.lookups import Lookup

#: ``column = {AMONG}`` in SQL, for ids that are given as ``of``, an :func:`array_text`. The planner takes them for one
#: value that it does not know: each id that it knows it looks up in its statistics, which takes longer than the query.
AMONG: Final = "ANY((SELECT %(of)s::bigint[])::bigint[])"


def array_text(values: Iterable[int | date | None]) -> str:
    """Whole numbers or days as the text of an array: ``{1,2,3}``."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


def array_of(values: Sequence[Any]) -> Any:
    """Values as the parameter of an array: as its text where that is plain; a list takes the driver far longer."""
    kinds = {type(value) for value in values}
    if kinds <= _BARE:
        return array_text(values)
    if kinds <= _QUOTED:
        return "{" + ",".join(map(_quoted, values)) + "}"
    return list(values)


_BARE: Final = {int, date, type(None)}
_QUOTED: Final = {str, datetime, type(None)}


def _quoted(value: object) -> str:
    if value is None:
        return "NULL"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@ForeignObject.register_lookup
@models.Field.register_lookup
class AnyOf(Lookup):
    """Whether a column has one of the values of a list."""

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """``column = ANY(list)``."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*parameters, array_of(list(self.rhs))]

    def get_db_prep_lookup(self, value: Any, connection: Any) -> Any:
        """The list as it is."""
        return "%s", [value]
