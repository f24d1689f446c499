"""What a route answers, read off the models and rows it comes from.

A record has its columns, with the reason for an amount where the model keeps one. Where it names another record there
is that one's id and, beside it, what people call it: ``"purchase_order_id": 7, "purchase_order": "PO-0007"``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Prefetch, QuerySet
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from counterfoil.api import fields

RecordT = TypeVar("RecordT", bound=models.Model)

#: Where the name of a record takes a further record to say.
_NAMED_BY: Final = {"inventory.Bin": "warehouse", "catalog.Subcategory": "category", "catalog.Offer": "product"}
_PLAIN: Final[Mapping[str, Any]] = {
    "DateField": dt.date,
    "DateTimeField": fields.Instant,
    "BooleanField": bool,
    "JSONField": Any,
}


class Out(BaseModel):
    """Read off the attributes of a record or row."""

    model_config = ConfigDict(from_attributes=True)


def answer(name: str, described: str | None, base: type[Out] = Out, /, **columns: Any) -> type[Out]:
    """A JSON type; a column is a type, or a type and its default (``...`` for none)."""
    fields_of: dict[str, Any] = {each: c if isinstance(c, tuple) else (c, ...) for each, c in columns.items()}
    make: Any = create_model
    made: type[Out] = make(name, __base__=base, __doc__=_first_lines(described), **fields_of)
    return made


def many(kind: Any) -> Any:
    """The type of a list of ``kind``, which is made while running."""
    return list[kind]


def _listed(value: Any) -> Any:
    return list(value.all()) if isinstance(value, models.Manager) else value


@dataclasses.dataclass(frozen=True)
class Shape(Generic[RecordT]):
    """How a model is shown: ``head`` in lists, ``full`` with its parts alone. ``prepare`` fetches all it takes."""

    model: type[RecordT]
    head: type[Out]
    full: type[Out]
    related: tuple[str, ...]
    parts: Mapping[str, Shape[Any]]
    source: Callable[[], QuerySet[RecordT]]

    def prepare(self, records: QuerySet[RecordT], *, parts: bool) -> QuerySet[RecordT]:
        """The records with whatever their JSON names, in a fixed number of queries."""
        records = records.select_related(*self.related) if self.related else records
        records = records.prefetch_related(None)
        if not parts:
            return records
        wanted = (Prefetch(name, shape.prepare(shape.source(), parts=True)) for name, shape in self.parts.items())
        return records.prefetch_related(*wanted)


def shape(
    model: type[RecordT],
    *,
    name: str = "",
    without: Collection[str] = (),
    extra: Mapping[str, Any] | None = None,
    parts: Mapping[str, Shape[Any]] | None = None,
    related: Collection[str] = (),
    source: Callable[[], QuerySet[RecordT]] | None = None,
) -> Shape[RecordT]:
    """The shape of ``model``.

    Args:
        model: whose columns are shown.
        name: of the JSON type; the model's when it is not given.
        without: columns that are not.
        extra: name -> type of attributes besides the columns (properties, annotations).
        parts: name -> shape of what belongs to it (lines), shown when the record is shown alone.
        related: further relations that ``extra`` reads.
        source: the query that annotates what ``extra`` names.
    """
    columns: dict[str, Any] = {}
    joined = list(related)
    for column in model._meta.concrete_fields:
        if column.name in without:
            continue
        columns |= _column(column)
        if column.is_relation:
            joined.append(column.name)
            further = _NAMED_BY.get(column.related_model._meta.label)  # type: ignore[union-attr]
            joined += [f"{column.name}__{further}"] if further else []
    for attribute, kind in (extra or {}).items():
        columns[attribute] = (kind, None if types.NoneType in get_args(kind) else ...)
    name = name or model.__name__
    head = answer(name, model.__doc__, **columns)
    full = head
    if parts:
        lists = {part: (Annotated[many(inner.full), BeforeValidator(_listed)], ...) for part, inner in parts.items()}
        full = answer(f"{name}Details", model.__doc__, head, **lists)
    if model._meta.label in _NAMED_BY:
        joined.append(_NAMED_BY[model._meta.label])
    return Shape(model, head, full, tuple(dict.fromkeys(joined)), parts or {}, source or model._default_manager.all)


def _column(column: Any) -> dict[str, Any]:
    described = Field(description=str(column.help_text) or None)
    nullable = column.null
    if column.is_relation:
        key: Any = int | None if nullable else int
        label: Any = fields.Name | None if nullable else fields.Name
        return {column.attname: (key, described), column.name: (label, ...)}
    kind = _kind(column)
    return {column.name: (kind | None if nullable else kind, described)}


def _kind(column: models.Field[Any, Any]) -> Any:
    if isinstance(column, models.DecimalField):
        return fields.Money if column.decimal_places == 4 else fields.Number
    if isinstance(column, ArrayField):
        return many(_kind(column.base_field))
    internal = column.get_internal_type()
    if column.choices and internal == "CharField":
        values = tuple(str(value) for value, _ in column.flatchoices) + (("",) if column.blank else ())
        return Literal[values]
    if internal in _PLAIN:
        return _PLAIN[internal]
    return int if "Integer" in internal or "AutoField" in internal else str


_rows: dict[tuple[type, str], type[Out]] = {}


def row(kind: type, name: str = "", **extra: Any) -> type[Out]:
    """The JSON form of a frozen row of a query; ``extra`` names properties that are shown, with their types."""
    key = (kind, name)
    if key not in _rows:
        hints = get_type_hints(kind)
        columns = {field.name: (_given_as(field.name, hints[field.name]), ...) for field in dataclasses.fields(kind)}
        columns |= {each: (type_, ...) for each, type_ in extra.items()}
        _rows[key] = answer(name or kind.__name__, kind.__doc__, **columns)
    return _rows[key]


def _given_as(name: str, hint: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(_given_as(name, each) for each in arguments)]  # noqa: UP007 - made while running
    if origin is tuple and arguments[-1] is not Ellipsis:
        return hint
    if origin is tuple or origin is list:
        return list[_given_as(name, arguments[0])]  # type: ignore[misc]
    if origin is not None:
        return hint
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return row(hint)
    if isinstance(hint, type) and issubclass(hint, models.Model):
        return fields.Name
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    return {Decimal: fields.decimal_out(name), dt.datetime: fields.Instant}.get(hint, hint)


def _first_lines(text: str | None) -> str | None:
    return " ".join((text or "").split("\n\n")[0].split()) or None
