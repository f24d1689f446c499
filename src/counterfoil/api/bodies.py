"""What a route takes, read off the signature of the command or query it runs.

A command's keywords become the fields of its JSON body, with the command's own defaults; what the client leaves out is
left to the command. Keywords that several commands share stand in a ``TypedDict`` (``**given: Unpack[Parameters]``).
``actor`` and ``now`` are never the client's; the day ``on`` which something happens is today, for the MSP, unless the
client says so.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, Unpack, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, create_model

from counterfoil.api import fields
from counterfoil.companies.queries import local_date
from counterfoil.platform.identity import Role
from counterfoil.platform.records import UNSET, Unset

#: Keywords that the server gives.
OURS: Final = frozenset({"actor", "now"})
MAX_ITEMS: Final = 1000

Command = Callable[..., Any]
_models: dict[type, type[Body]] = {}
_kinds: dict[type[BaseModel], type] = {}


class Body(BaseModel):
    """What a command takes. Fields that it does not know are refused."""

    model_config = ConfigDict(extra="forbid")


def body_of(command: Command, besides: Sequence[str] = ()) -> type[Body] | None:
    """The body of ``command``, without the keywords ``besides``; ``None`` when there is nothing to say.

    >>> body_of(close_period, ("period_id",)) is None
    True
    """
    taken = {name: field for name, field in _fields(command).items() if name not in OURS and name not in besides}
    if not taken:
        return None
    title = "".join(word.capitalize() for word in command.__name__.split("_"))
    return create_model(title, __base__=Body, **taken)


def roles_of(command: Command) -> frozenset[Role]:
    """The roles that may run ``command`` besides the owner."""
    roles: frozenset[Role] = command.roles  # type: ignore[attr-defined]
    return roles


@functools.cache
def keywords(command: Command) -> list[tuple[str, Any, Any]]:
    """Name, type and default of every keyword of a command or query, or of every field of an input dataclass."""
    hints = _hints(command)
    found: list[tuple[str, Any, Any]] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints.get(parameter.name)
        if shared := _shared(hint):
            found += [(name, each, UNSET) for name, each in get_type_hints(shared).items()]
        elif parameter.name in hints:
            found.append((parameter.name, hint, parameter.default))
    return found


@functools.cache
def _hints(command: Command) -> dict[str, Any]:
    plain = inspect.unwrap(command)
    if not isinstance(plain, types.FunctionType):
        return get_type_hints(plain)
    # What it returns may be known to type checkers alone.
    taken = {name: hint for name, hint in plain.__annotations__.items() if name != "return"}
    return get_type_hints(types.SimpleNamespace(__annotations__=taken), plain.__globals__)


def _shared(hint: Any) -> Any:
    """The TypedDict that ``**given: Unpack[...]`` takes its keywords from."""
    return get_args(hint)[0] if get_origin(hint) is Unpack else None


def _fields(taker: Command) -> dict[str, Any]:
    """The fields for the keywords of a command or input dataclass, with what its docstring says of each."""
    said = _arguments_in_words(taker.__doc__ or "")
    for shared in filter(None, map(_shared, _hints(taker).values())):
        said = _arguments_in_words(shared.__doc__ or "") | said
    return {
        name: _field(name, hint, default, said.get(name)) for name, hint, default in keywords(taker) if name not in OURS
    }


def _field(name: str, hint: Any, default: Any, said: str | None) -> Any:
    kind = taken_as(name, hint)
    if default is inspect.Parameter.empty and name == "on":
        return (kind | None, Field(default=None, description=f"{said or 'The day.'} Today, if it is not given."))
    if default is inspect.Parameter.empty:
        return (kind, Field(description=said))
    return (kind, Field(default=_shown(default), description=said))


def _arguments_in_words(text: str) -> dict[str, str]:
    """What a docstring says under ``Args`` or ``Attributes``, by name."""
    section = re.search(r"\n\n(?:Args|Attributes):\n(.*?)(?:\n\n|\Z)", inspect.cleandoc(text), re.DOTALL)
    if section is None:
        return {}
    found = re.findall(r"^    (\w+): (.*?)(?=^    \w+: |\Z)", section.group(1), re.DOTALL | re.MULTILINE)
    return {name: _sentence(" ".join(words.split()).replace("``", "`")) for name, words in found}


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _shown(default: Any) -> Any:
    """A default as the documentation shows it; it is never passed on (see :func:`arguments`)."""
    if isinstance(default, Enum):
        return None if isinstance(default, Unset) else default.value
    return list(default) if isinstance(default, tuple) else default


def taken_as(name: str, hint: Any) -> Any:
    """The JSON type for a keyword called ``name`` of the type ``hint``."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return taken_as(name, arguments[0])
    if origin in (Union, types.UnionType):
        known = tuple(taken_as(name, each) for each in arguments if each is not Unset)
        return Union[known]  # noqa: UP007 - made while running
    if origin is Literal:
        return hint
    if origin is Mapping:
        return Annotated[dict[fields.Text, taken_as(name, arguments[1])], Field(max_length=MAX_ITEMS)]  # type: ignore[misc]
    if origin is not None:
        return Annotated[list[taken_as(name, arguments[0])], Field(max_length=MAX_ITEMS)]  # type: ignore[misc]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _part(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if hint is int:
        return fields.Id if name.endswith(("_id", "_ids")) else fields.Count
    if hint is Decimal:
        return fields.decimal_in(name)
    simple = {date: fields.DateIn, datetime: fields.InstantIn, str: fields.Text, bool: bool, types.NoneType: None}
    return simple[hint]


def _part(kind: type) -> type[Body]:
    """The JSON form of an input dataclass, such as a line."""
    if kind not in _models:
        _models[kind] = create_model(kind.__name__, __base__=Body, **_fields(kind))
        _kinds[_models[kind]] = kind
    return _models[kind]


def arguments(command: Command, body: BaseModel | None) -> dict[str, Any]:
    """The keywords that the client gave, as ``command`` takes them."""
    hints = {name: hint for name, hint, _ in keywords(command)}
    given: dict[str, Any] = {}
    for name in body.model_fields_set if body else ():
        value = getattr(body, name)
        if value is not None or name != "on":
            given[name] = _as_taken(hints[name], value)
    return given


def _as_taken(hint: Any, value: Any) -> Any:
    if isinstance(value, Body):
        kind = _kinds[type(value)]
        hints = {name: hint for name, hint, _ in keywords(kind)}
        return kind(**{name: _as_taken(hints[name], getattr(value, name)) for name in value.model_fields_set})
    if isinstance(value, list):
        return tuple(_as_taken(hint, item) for item in value)
    return value


def ours(command: Command, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the server adds: the instant, and the day when the client gave none."""
    now = datetime.now(UTC)
    names = {name: default for name, _, default in keywords(command)}
    added: dict[str, Any] = {}
    if "now" in names:
        added["now"] = now
    if names.get("on", "") is inspect.Parameter.empty and "on" not in given:
        added["on"] = local_date(now)
    return added
