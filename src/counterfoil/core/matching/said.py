"""Values as they are said in an exception."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from counterfoil.core.calendar import Cycle, format_date


def number(value: Decimal) -> str:
    """A quantity without idle zeros."""
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def price(value: Decimal) -> str:
    """A unit price with its cents, and further decimals only where there are any."""
    whole, _, decimals = f"{value:,f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def term(code: str) -> str:
    """``3 years``; ``no term``."""
    if not code:
        return "no term"
    length = Cycle.parse(code)
    return f"{length.count} {length.unit}" + ("s" if length.count != 1 else "")


def frequency(term_code: str, cycle: str) -> str:
    """``prepaid``, ``monthly``; ``once``."""
    if not cycle:
        return "prepaid" if term_code else "once"
    return "prepaid" if cycle == term_code else Cycle.parse(cycle).label.lower()


def day(value: date | None) -> str:
    """A day as people write it; ``open`` for none."""
    return format_date(value) if value else "open"
