"""How single values are written in JSON.

Amounts are strings with their cents (``"150.00"``), prices and quantities strings without idle zeros (``"0.085"``),
dates ISO. Numbers are taken as strings or JSON numbers, and never pass through a float.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, cast

from django.http import HttpRequest
from ninja.errors import HttpError
from ninja.parser import Parser
from ninja.types import DictStrAny
from pydantic import AwareDatetime, BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema

from counterfoil.core.money import round_money
from counterfoil.platform.records import plain_number

_PLAIN_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", re.ASCII)
_FIRST_DAY, _LAST_DAY = date(1950, 1, 1), date(2199, 12, 31)
_MAX_ID: Final = 2**63 - 1


def read_number(value: object) -> Decimal:
    """A number out of JSON: a string or an exact number, in plain digits.

    Raises:
        ValueError: it is anything else, or has too many digits.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("Write a number, like 150 or “150.00”.")
    text = value if isinstance(value, str) else f"{value:f}"
    if not _PLAIN_NUMBER.fullmatch(text):
        raise ValueError("Write a plain number of at most 15 digits, like 150 or “150.00”.")
    return Decimal(text)


def _read_date(value: object) -> date:
    """A date as ``2026-01-31``; not a number of seconds, which is what pydantic would take as well."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
        day = date.fromisoformat(value)
        if _FIRST_DAY <= day <= _LAST_DAY:
            return day
        raise ValueError(f"The date must lie between {_FIRST_DAY} and {_LAST_DAY}.")
    raise ValueError("Write a date as 2026-01-31.")


def _number(places: int, digits: int) -> Any:
    text = rf"^-?[0-9]{{1,{digits}}}(\.[0-9]{{1,{places}}})?$"
    number = {"type": "number", "exclusiveMinimum": -(10**digits), "exclusiveMaximum": 10**digits}
    schema = {"anyOf": [{"type": "string", "pattern": text}, number], "examples": ["150.00"]}
    return Annotated[
        Decimal,
        BeforeValidator(read_number),
        Field(max_digits=digits + places, decimal_places=places),
        WithJsonSchema(schema),
    ]


#: Taken in: an amount in cents, a unit price or rate, a quantity.
MoneyIn = _number(2, 15)
PriceIn = _number(8, 12)
QuantityIn = _number(6, 12)
DateIn = Annotated[
    date, BeforeValidator(_read_date), WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]})
]
InstantIn = AwareDatetime
Id = Annotated[int, Field(ge=1, le=_MAX_ID)]
Count = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
LongText = Annotated[str, StringConstraints(max_length=10_000_000)]


def _written(write: Any, pattern: str) -> Any:
    schema = {"type": "string", "pattern": pattern}
    return Annotated[Decimal, PlainSerializer(write, return_type=str), WithJsonSchema(schema, mode="serialization")]


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


#: Given out: an amount with its cents; a unit price, rate or quantity without idle zeros; a record by its name.
Money = _written(lambda value: str(round_money(value)), r"^-?[0-9]+\.[0-9]{2}$")
Number = _written(plain_number, r"^-?[0-9]+(\.[0-9]+)?$")
Instant = Annotated[
    datetime, PlainSerializer(_instant, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
Name = Annotated[str, BeforeValidator(str)]

#: What decimals that are not amounts are called.
_QUANTITIES = re.compile(
    r"quantity|units|hours|included|on_hand|to_buy|to_ship|awaited|ordered|bought|shipped|received$|^up_to$|package_size"
)
_PRICES = re.compile(r"^unit_|rate$|_rate|^cost$|^price$|^list_price$|ratio$|^value$|_value$|^threshold$")


def decimal_in(name: str) -> Any:
    """The type of an input number, by what it is called in a command."""
    if _QUANTITIES.search(name):
        return QuantityIn
    return PriceIn if _PRICES.search(name) else MoneyIn


def decimal_out(name: str) -> Any:
    """The type of a computed number, by what it is called in a row. ``cost`` and ``price`` of a row are amounts."""
    other = _QUANTITIES.search(name) or name.startswith(("unit_", "list_price")) or name.endswith(("rate", "ratio"))
    return Number if other else Money


class ExactParser(Parser):
    """Reads JSON without floats, and refuses what no JSON and no database knows (NaN, NUL, half a character)."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        """The request's JSON.

        Raises:
            HttpError: 400.
        """
        try:
            data = json.loads(request.body, parse_float=_exact, parse_constant=_no_constant)
            refuse_unstorable(data)
        except (ValueError, RecursionError) as error:
            raise HttpError(400, f"The body is not valid JSON: {str(error)[:200]}") from error
        return cast(DictStrAny, data)


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text) if len(text) <= 40 and abs(Decimal(text).adjusted()) <= 30 else Decimal("1e31")
    except InvalidOperation as error:
        raise ValueError(f"{text} is not a number") from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def refuse_unstorable(value: object) -> None:
    """Refuse text that PostgreSQL cannot keep.

    Raises:
        ValueError: it holds a NUL or half a surrogate pair.
    """
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
                raise ValueError("a text holds a character that cannot be stored")
        case dict():
            for key, item in value.items():
                refuse_unstorable(key)
                refuse_unstorable(item)
        case list():
            for item in value:
                refuse_unstorable(item)
