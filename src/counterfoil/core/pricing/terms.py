"""Terms and billing cycles of offers: which go together, and what they are called.

Both are codes of :class:`counterfoil.core.calendar.Cycle` (``year:1``); an empty term is any, an empty cycle is once.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

from counterfoil.core.calendar import Cycle, Unit, format_date
from counterfoil.core.errors import DomainError


def cycles_in(term: str, billing_cycle: str) -> int | None:
    """How many billing cycles a term has; None where it is no whole number of them.

    Raises:
        DomainError: ``invalid`` for a code that is no cycle.
    """
    whole, cycle = Cycle.parse(term), Cycle.parse(billing_cycle)
    if whole.months is not None and cycle.months is not None:
        count, rest = divmod(whole.months, cycle.months)
    elif whole.months is None and cycle.months is None:
        count, rest = divmod(_days(whole), _days(cycle))
    else:
        return None
    return None if rest else count


def ensure_whole_cycles(term: str, billing_cycle: str) -> None:
    """Refuse a term that is no whole number of billing cycles; equal is prepaid.

    Raises:
        DomainError: ``invalid``, with the field.
    """
    if not term or not billing_cycle:
        return
    if not cycles_in(term, billing_cycle):
        raise DomainError(
            "invalid",
            f"A term of {length_words(term)} is not a whole number of cycles billed {frequency_words(billing_cycle)}.",
            field="billing_cycle",
            hint="Choose a cycle that fits into the term, or the term itself for prepaid.",
        )


def length_words(code: str) -> str:
    """``1 year``, ``3 years``, ``1 month``."""
    cycle = Cycle.parse(code)
    if cycle.unit == "month" and cycle.count % 12 == 0:
        cycle = Cycle("year", cycle.count // 12)
    return f"{cycle.count} {cycle.unit}{'' if cycle.count == 1 else 's'}"


def frequency_words(code: str) -> str:
    """``monthly``, ``every 5 months``."""
    label = Cycle.parse(code).label
    return label[:1].lower() + label[1:]


def term_words(term: str, billing_cycle: str, start: date | None = None, end: date | None = None) -> str:
    """How something is sold or bought: ``1 year, billed monthly``; ``3 years, prepaid, from 1 Mar 2026``.

    Args:
        term: how long it is for; empty for any term, or none.
        billing_cycle: how often it is billed. The term itself is prepaid, but for a single month; empty is once.
        start: the first day of the term, if known.
        end: its last day, where that is not simply the end of the term.

    Returns:
        ``billed monthly`` without a term, ``3 years, paid once`` without a cycle, ``once`` without either.

    Raises:
        DomainError: ``invalid`` for what is no code of a cycle.
    """
    words = _sold(term, billing_cycle)
    if start or end:
        days = (f"from {format_date(start)}" if start else "", f"to {format_date(end)}" if end else "")
        words += ", " + " ".join(day for day in days if day)
    return words


def _sold(term: str, billing_cycle: str) -> str:
    if not billing_cycle:
        return f"{length_words(term)}, paid once" if term else "once"
    if not term:
        return f"billed {frequency_words(billing_cycle)}"
    if cycles_in(term, billing_cycle) == 1 and Cycle.parse(term).per_month != 1:
        return f"{length_words(term)}, prepaid"
    return f"{length_words(term)}, billed {frequency_words(billing_cycle)}"


def _days(cycle: Cycle) -> int:
    return cycle.count * (7 if cycle.unit == "week" else 1)


# -- as vendors write them ---------------------------------------------------------------------------------------------

_LENGTH: Final = re.compile(r"p?(\d{1,4})[\s-]*(years?|yrs?|y|months?|mos?|m|weeks?|wks?|w|days?|d)")
_UNITS: Final[dict[str, Unit]] = {"y": "year", "m": "month", "w": "week", "d": "day"}
_NAMED: Final = {"annual": "yearly", "annually": "yearly", "year": "yearly", "month": "monthly"}
_NO_TERM: Final = frozenset({"", "none", "n/a", "na", "any", "onetime", "one-time", "one time", "once", "perpetual"})
_UPFRONT: Final = frozenset({"upfront", "up front", "up-front", "prepaid", "pre-paid", "paid in full", "term"})


def read_length(text: str, field: str) -> str:
    """The code of a term or frequency as price lists write it: ``P1Y``, ``12 months``, ``Annual``; empty for none.

    Raises:
        DomainError: ``invalid`` for what is no length.
    """
    word = text.strip().lower()
    if word in _NO_TERM:
        return ""
    if found := _LENGTH.fullmatch(word):
        count, unit = int(found[1]), _UNITS[found[2][0]]
        if unit == "month" and count and count % 12 == 0:
            count, unit = count // 12, "year"
        return Cycle(unit, count).code
    try:
        return Cycle.parse(_NAMED.get(word, word)).code
    except DomainError as error:
        raise DomainError(
            "invalid", f"“{text.strip()[:40]}” is no term.", field=field, hint="Write 1 year, P1Y, monthly or month:1."
        ) from error


def read_frequency(text: str, term: str, field: str) -> str:
    """As :func:`read_length`; ``upfront`` and ``prepaid`` are the term itself.

    Raises:
        DomainError: ``invalid``.
    """
    return term if text.strip().lower() in _UPFRONT else read_length(text, field)
