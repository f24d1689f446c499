"""What vendors write in their files, in our terms: terms and billing cycles, kinds of charges, days, numbers.

Written after Microsoft's documentation of the new-commerce reconciliation file and its samples; other vendors use the
same words. What is not understood stays empty: no term is better than a wrong one.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_decimal, round_to
from counterfoil.platform.imports import plain_key

_COUNTS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "a": 1, "an": 1}
_LENGTH: Final = re.compile(r"\b(?:(\d+|one|two|three|four|five|an?)[\s-]+)?(?:\d+\s+)?(day|week|month|year)s?\b")
_ISO: Final = re.compile(r"^p(\d+)([dwmy])$")
_CODE: Final = re.compile(r"^(day|week|month|year):(\d+)$")
_ADVERBS: Final = {
    "monthly": "month:1", "month-to-month": "month:1", "quarterly": "month:3", "semi-annual": "month:6",
    "yearly": "year:1", "annually": "year:1", "annual": "year:1", "triennial": "year:3", "triennially": "year:3",
}  # fmt: skip
_ADVERB: Final = re.compile(r"\b(" + "|".join(_ADVERBS) + r")\b")
_ISO_UNITS: Final = {"d": "day", "w": "week", "m": "month", "y": "year"}

#: Charges that are money alone: they say nothing about how many licences there are.
_MONEY_ALONE: Final = frozenset({
    "adjustment", "manualadjustment", "customercredit", "credit", "partnercredit", "partnerearnedcredit", "discount",
    "promotion", "tax", "taxadjustment", "rounding", "roundingadjustment", "activationfee", "setupfee", "latefee",
    "freight", "shipping",
})  # fmt: skip
_TAKES_AWAY: Final = ("remove", "cancel", "refund", "return", "decrease")

_DAY: Final = re.compile(r"^(?:(\d{4}-\d\d-\d\d)|(\d{1,2}/\d{1,2}/\d{4})|(\d{1,2} [A-Za-z]{3} \d{4}))(?:[T ].*)?$")
_DAY_FORMS: Final = ("%Y-%m-%d", "%m/%d/%Y", "%d %b %Y")


@lru_cache(maxsize=8192)  # a file says the same few things in every row
def term_of(text: str) -> str:
    """The code of a term: ``year:1`` for *One-Year commitment for monthly/yearly billing*, *1 year* or *P1Y*.

    Empty when nothing tells it.
    """
    words = text.strip().lower()
    if code := _CODE.match(words):
        return _code(int(code[2]), code[1])
    if iso := _ISO.match(words):
        return _code(int(iso[1]), _ISO_UNITS[iso[2]])
    head = re.split(r"commitment|,|\bfor\b|\bbilled\b", words, maxsplit=1)[0] or words
    found = _LENGTH.search(head)
    adverb = _ADVERB.search(head)
    if found and found[1]:
        count = _COUNTS.get(found[1])
        return _code(int(found[1]) if count is None else count, found[2])
    if adverb:
        return _ADVERBS[adverb[1]]
    return _code(1, found[2]) if found else ""


@lru_cache(maxsize=8192)  # a file says the same few things in every row
def cycle_of(text: str, frequency: str = "", days: int | None = None) -> str:
    """The code of a billing cycle.

    A frequency of its own decides. Else it is what follows the term (*1 year, monthly*; *... for yearly billing*).
    Where several are named (*monthly/yearly*) and the frequency says nothing, it is the shortest of them that is at
    least as long as the days charged; without days the longest.

    Args:
        text: term and cycle in one.
        frequency: the vendor's column for the cycle alone, such as Microsoft's BillingFrequency, which may be empty.
        days: length of the charge.
    """
    behind = re.split(r"commitment for|,|\bbilled\b", text.lower(), maxsplit=1)[1:]
    for words in (frequency.strip().lower(), *behind):
        named = _cycles_in(words)
        if len(named) == 1:
            return named[0]
        if named:
            long_enough = [code for code in named if days is not None and _days_of(code) + 3 >= days]
            return long_enough[0] if long_enough else named[-1]
    return ""


def _cycles_in(words: str) -> list[str]:
    """The cycles that are named, shortest first."""
    if code := _CODE.match(words):
        return [_code(int(code[2]), code[1])]
    if iso := _ISO.match(words):
        return [_code(int(iso[1]), _ISO_UNITS[iso[2]])]
    codes = {_ADVERBS[match[1]] for match in _ADVERB.finditer(words)}
    codes |= {_code(int(match[1]), match[2]) for match in _LENGTH.finditer(words) if (match[1] or "").isdigit()}
    if not codes and (bare := _LENGTH.fullmatch(words)):
        codes = {_code(1, bare[2])}
    return sorted(codes - {""}, key=_days_of)


def _code(count: int, unit: str) -> str:
    """12 months are a year, wherever they are written."""
    if unit == "month" and count % 12 == 0 and count:
        count, unit = count // 12, "year"
    return f"{unit}:{count}" if 0 < count <= 1200 else ""


def _days_of(code: str) -> int:
    unit, _, count = code.partition(":")
    return {"day": 1, "week": 7, "month": 30, "year": 365}[unit] * int(count)


@lru_cache(maxsize=8192)  # a file says the same few things in every row
def is_seats(charge_type: str) -> bool:
    """Whether a charge tells how many there are; credits, adjustments and taxes are money alone."""
    return plain_key(charge_type) not in _MONEY_ALONE


@lru_cache(maxsize=8192)
def _says_less(charge_type: str) -> bool:
    return plain_key(charge_type).startswith(_TAKES_AWAY)


def signed(quantity: Decimal, amount: Decimal, charge_type: str) -> Decimal:
    """The quantity with its direction: a credit takes away what it credits, however the vendor writes it.

    Some write -10, some write 10 at a negative amount; where there is no amount, the kind of the charge tells.
    """
    if quantity < 0:
        return quantity
    takes_away = amount < 0 or (not amount and _says_less(charge_type))
    return -quantity if takes_away else quantity


@lru_cache(maxsize=8192)  # a file says the same few things in every row
def read_day(text: str, field: str) -> date | None:
    """A day, whatever time of day stands beside it: 2026-03-15T00:00:00Z, 3/15/2026 23:59, 15 Mar 2026.

    Raises:
        DomainError: ``invalid``.
    """
    words = text.strip().lstrip("'")
    if not words:
        return None
    if found := _DAY.match(words):
        for part, form in zip(found.groups(), _DAY_FORMS, strict=True):
            if part:
                try:
                    return datetime.strptime(part, form).date()  # noqa: DTZ007 - a plain date, no instant
                except ValueError:
                    break
    raise DomainError("invalid", f"“{text}” is not a date.", field=field, hint="Write 2026-03-15.")


@lru_cache(maxsize=8192)  # a file says the same few things in every row
def read_number(text: str, field: str, *, places: int) -> Decimal:
    """A number, zero when empty; a leading apostrophe or dollar sign and decimals beyond ``places`` do not matter.

    Raises:
        DomainError: ``invalid``.
    """
    words = re.sub(r"^'?\s*(-?)\s*\$?\s*", r"\1", text.strip())
    if not words:
        return Decimal(0)
    return round_to(parse_decimal(words, field, places=20, digits=12), places)


def month_of(day: date) -> tuple[date, date]:
    """The month of a day, half-open."""
    first = day.replace(day=1)
    return first, (first + timedelta(days=31)).replace(day=1)
