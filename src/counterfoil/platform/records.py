"""What commands do with records: fetch them or refuse, check fields, change what was given, say what changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError
from django.db import models

from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.identity import Actor
from counterfoil.platform.lookup import existing, locked

M = TypeVar("M", bound=models.Model)

#: Field -> (former value, new value).
Changes = dict[str, tuple[Any, Any]]


class Unset(Enum):
    """The type of :data:`UNSET`."""

    UNSET = "unset"


#: An argument that was not given: an update leaves the field as it is (``None`` would empty it).
UNSET: Final = Unset.UNSET


def fetch(model: type[M], pk: int, *, field: str | None = None, lock: bool = False) -> M:
    """The record with that id; with ``lock``, nobody else changes it until the transaction ends.

    Raises:
        DomainError: ``not_found``.
    """
    find = locked if lock else existing
    return find(model._default_manager.all(), pk, field)


def check_fields(record: models.Model, *, prefix: str = "", relations: bool = True) -> None:
    """Refuse a record whose fields are empty, too long, unknown choices or point nowhere.

    Args:
        record: not saved yet.
        prefix: put before the field's name in the refusal (``"lines[0]."``).
        relations: whether foreign keys are looked up (one query each).

    Raises:
        DomainError: ``required``, ``invalid`` or ``not_found``, with the field.
    """
    skipped = set() if relations else {f.name for f in record._meta.fields if f.is_relation}
    try:
        record.clean_fields(exclude=skipped)
    except ValidationError as error:
        raise _refusal(record, error, prefix) from error


def save_checked(record: models.Model) -> None:
    """Check the fields and their uniqueness, then save.

    Raises:
        DomainError: as :func:`check_fields`, or ``duplicate``.
    """
    check_fields(record)
    try:
        record.validate_unique()
    except ValidationError as error:
        raise _refusal(record, error, "") from error
    record.save()


def field_problems(record: models.Model) -> list[DomainError]:
    """Everything that is wrong with the fields of a record, foreign keys aside; no query is made."""
    try:
        record.clean_fields(exclude={f.name for f in record._meta.fields if f.is_relation})
    except ValidationError as error:
        return [_problem(record, name, problems[0], "") for name, problems in error.error_dict.items()]
    return []


def _refusal(record: models.Model, error: ValidationError, prefix: str) -> DomainError:
    name, problems = next(iter(error.error_dict.items()))
    return _problem(record, name, problems[0], prefix)


def _problem(record: models.Model, name: str, problem: ValidationError, prefix: str) -> DomainError:
    if name == "__all__":
        return DomainError("duplicate", problem.messages[0])
    field: Any = record._meta.get_field(name)
    label, where = field.verbose_name, prefix + field.attname
    if problem.code in {"blank", "null"}:
        return DomainError("required", f"Enter the {label}.", field=where)
    if problem.code in {"unique", "unique_together"}:
        value = getattr(record, field.attname)
        noun = str(record._meta.verbose_name)
        article = "an" if noun[:1] in "aeio" else "a"
        return DomainError("duplicate", f"There is {article} {noun} “{value}” already.", field=where)
    if field.is_relation:
        return DomainError("not_found", f"There is no {label} with the id {getattr(record, field.attname)}.", where)
    return DomainError("invalid", f"{label[:1].upper()}{label[1:]}: {problem.messages[0]}", field=where)


def refuse_negative(values: Mapping[str, Decimal], prefix: str = "") -> None:
    """Refuse amounts and quantities below zero.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    for name, value in values.items():
        if value < 0:
            raise DomainError(
                "invalid", f"The {name.replace('_', ' ')} cannot be negative ({value}).", field=prefix + name
            )


def refuse_not_positive(name: str, value: Decimal, prefix: str = "") -> None:
    """Refuse a quantity of zero or below.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    if value <= 0:
        raise DomainError("invalid", f"The {name.replace('_', ' ')} must be above zero.", field=prefix + name)


def change(record: models.Model, **values: object) -> Changes:
    """Set the ``values`` that were given (those not :data:`UNSET`); what differs from before is returned."""
    changes: Changes = {}
    for name, value in values.items():
        if value is UNSET or getattr(record, name) == value:
            continue
        changes[name] = (getattr(record, name), value)
        setattr(record, name, value)
    return changes


def changes_in_words(changes: Changes) -> str:
    """``name from “A” to “B”, cost from 1.00 to 2.00``; ``nothing`` when nothing changed."""
    said = [
        f"{name.removesuffix('_id').replace('_', ' ')} from {_spoken(old)} to {_spoken(new)}"
        for name, (old, new) in changes.items()
    ]
    return ", ".join(said) or "nothing"


@contextmanager
def named(number: str, name: str) -> Iterator[None]:
    """Let what refuses a record that is being made call it by its name: its number never comes to be.

    Raises:
        DomainError: as it is raised within, with the name in place of the number.
    """
    try:
        yield
    except DomainError as error:
        said = [text and text.replace(number, f"“{name}”") for text in (error.message, error.hint)]
        raise DomainError(error.code, said[0] or "", error.field, said[1], error.details) from error


def values_of(record: models.Model) -> dict[str, Any]:
    """The values of all fields, to be compared with what they become."""
    return {field.attname: getattr(record, field.attname) for field in record._meta.concrete_fields}


def contents_of(rows: Iterable[models.Model]) -> list[dict[str, Any]]:
    """What rows say, whatever their ids, in their order."""
    return [{name: value for name, value in values_of(row).items() if name != "id"} for row in rows]


def record_changes(
    actor: Actor, verb: str, deed: str, changes: Changes, obj: models.Model | None = None, *also: str
) -> None:
    """Say in the audit trail what a command changed: ``deed: name from “A” to “B”``; nothing where nothing differs.

    Args:
        actor: who did it.
        verb: dotted name of the deed.
        deed: what was changed (``changed PROD-1``), without the changes.
        changes: what differs, as :func:`change` returns it.
        obj: the record whose trail it belongs to.
        also: what else differs, each in words.
    """
    if said := [*([changes_in_words(changes)] if changes else []), *also]:
        audit.record(actor, verb, f"{deed}: {'; '.join(said)}", obj)
    else:
        audit.record_nothing()


def _spoken(value: object) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"“{value}”"
    if isinstance(value, Decimal):
        return plain_number(value)
    if hasattr(value, "isoformat") and hasattr(value, "day") and not hasattr(value, "hour"):
        return format_date(value)  # type: ignore[arg-type]
    return str(value)


def plain_number(value: Decimal) -> str:
    """A quantity or price without idle zeros: ``1``, ``0.5``, ``3600``."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
