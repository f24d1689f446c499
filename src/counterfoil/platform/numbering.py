"""Gapless numbers: taken in the transaction that uses them, so a refused command leaves no hole."""

from __future__ import annotations

from collections.abc import Mapping
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


#: Begins sequences or moves them on, in the order of their names; whoever comes next waits until the transaction ends.
_TAKE: Final = """
    INSERT INTO platform_numbersequence AS held (name, prefix, width, next_value)
    SELECT name, prefix, %s, taken + 1 FROM unnest(%s::text[], %s::text[], %s::bigint[]) wanted(name, prefix, taken)
    ORDER BY name
    ON CONFLICT (name) DO UPDATE SET next_value = held.next_value + excluded.next_value - 1
    RETURNING name, prefix, width, next_value
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
    return reserve_several({document: (count, PREFIXES[document] if prefix is None else prefix)})[document]


def reserve_several(wanted: Mapping[str, tuple[int, str]]) -> dict[str, Numbers]:
    """Take numbers of several documents at once: how many of each, and the prefix that a sequence is begun with.

    Raises:
        DomainError: as :func:`reserve_numbers`.
    """
    counts, prefixes = zip(*wanted.values(), strict=True)
    width = NumberSequence._meta.get_field("width").default
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, [width, list(wanted), list(prefixes), list(counts)])
        rows = cursor.fetchall()
    taken = {}
    for document, prefix, held_width, following in rows:
        count = wanted[document][0]
        taken[document] = Numbers(prefix, held_width, following - count)
        last = taken[document].nth(count - 1)
        if count and len(last) > 11:
            raise DomainError("invalid", f"{last} is longer than the 11 characters that accounting packages take.")
    return taken


def take_numbers(document: str, count: int, prefix: str | None = None) -> list[str]:
    """The next ``count`` numbers of ``document``, in order; as :func:`reserve_numbers`."""
    numbers = reserve_numbers(document, count, prefix)
    return [numbers.nth(index) for index in range(count)]


def take_number(document: str) -> str:
    """The next number of ``document`` (a key of :data:`PREFIXES`)."""
    return take_numbers(document, 1)[0]
