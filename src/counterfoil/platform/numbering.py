"""Gapless numbers: taken in the transaction that uses them, so a refused command leaves no hole."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.db import connection

from counterfoil.core.errors import DomainError
from counterfoil.platform.models import NumberSequence

#: Document -> prefix. At most 11 characters with the number: QuickBooks Desktop takes no more.
PREFIXES: Final[dict[str, str]] = {
    "opportunity": "OPP-",
    "quote": "Q-",
    "agreement": "AGR-",
    "sales_order": "SO-",
    "purchase_order": "PO-",
    "receipt": "RCV-",
    "shipment": "SHP-",
    "vendor_bill": "VB-",
    "vendor_statement": "VST-",
    "invoice": "INV-",
    "credit_memo": "CM-",
    "journal_entry": "JE-",
    "manual_entry": "MJ-",
    "tax_remittance": "TAX-",
    "vendor_payment": "VP-",
    "batch": "BAT-",
    "asset": "FA-",
    "payment": "PAY-",
    "billing_run": "RUN-",
}


#: Begins a sequence or moves it on; whoever comes next waits until the transaction ends.
_TAKE: Final = """
    INSERT INTO platform_numbersequence AS held (name, prefix, width, next_value) VALUES (%s, %s, %s, %s)
    ON CONFLICT (name) DO UPDATE SET next_value = held.next_value + %s
    RETURNING prefix, width, next_value
"""


class Numbers(NamedTuple):
    """Consecutive numbers that were taken together; they can be given out later."""

    prefix: str
    width: int
    first: int

    def nth(self, index: int) -> str:
        """The number at a place among them (the first is at 0)."""
        return number_text(self.prefix, self.width, self.first + index)


def number_text(prefix: str, width: int, value: int) -> str:
    """A number as it is written: ``INV-0042``."""
    return f"{prefix}{value:0{width}d}"


def reserve_numbers(document: str, count: int, prefix: str | None = None) -> Numbers:
    """Take the next ``count`` numbers of ``document``; holds the sequence until the transaction ends.

    A sequence that is not among :data:`PREFIXES` is begun with ``prefix``.

    Raises:
        DomainError: ``invalid`` when a number would be longer than accounting packages take.
    """
    begun_with = PREFIXES[document] if prefix is None else prefix
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [document, begun_with, NumberSequence._meta.get_field("width").default, count + 1, count])
        held_prefix, width, following = cursor.fetchone()
    first = following - count
    last = number_text(held_prefix, width, first + count - 1)
    if count and len(last) > 11:
        raise DomainError("invalid", f"{last} is longer than the 11 characters that accounting packages take.")
    return Numbers(held_prefix, width, first)


def take_numbers(document: str, count: int, prefix: str | None = None) -> list[str]:
    """The next ``count`` numbers of ``document``, in order; as :func:`reserve_numbers`."""
    numbers = reserve_numbers(document, count, prefix)
    return [numbers.nth(index) for index in range(count)]


def take_number(document: str) -> str:
    """The next number of ``document`` (a key of :data:`PREFIXES`)."""
    return take_numbers(document, 1)[0]
