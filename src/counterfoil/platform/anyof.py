"""``filter(pk__any=ids)``: a list as one parameter, ``= ANY(...)``.

``__in`` makes a parameter of every value: with some hundred of them, writing and reading the statement takes longer
than the query.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.fields.related import ForeignObject
from django.db.models.lookups import Lookup


def array_text(values: Iterable[int | None]) -> str:
    """Whole numbers as the text of an array: ``{1,2,3}``."""
    return "{" + ",".join("NULL" if value is None else str(value) for value in values) + "}"


@ForeignObject.register_lookup
@models.Field.register_lookup
class AnyOf(Lookup):
    """Whether a column has one of the values of a list."""

    lookup_name = "any"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """``column = ANY(list)``."""
        column, parameters = self.process_lhs(compiler, connection)
        values = list(self.rhs)
        if all(type(value) is int for value in values):  # as PostgreSQL writes it: dumping a list takes far longer
            return f"{column} = ANY(%s)", [*parameters, array_text(values)]
        return f"{column} = ANY(%s)", [*parameters, values]

    def get_db_prep_lookup(self, value: Any, connection: Any) -> Any:
        """The list as it is."""
        return "%s", [value]
