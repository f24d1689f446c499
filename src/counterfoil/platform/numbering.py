"""Gapless numbers: taken in the transaction that uses them, so a refused command leaves no hole."""

from __future__ import annotations

from typing import Final

from counterfoil.core.errors import DomainError
from counterfoil.platform.models import NumberSequence

#: Document -> prefix. At most 11 characters with the number: QuickBooks Desktop takes no more.
PREFIXES: Final[dict[str, str]] = {
    "opportunity": "OPP-",
    "agreement": "AGR-",
    "sales_order": "SO-",
    "purchase_order": "PO-",
    "receipt": "RCV-",
    "shipment": "SHP-",
    "vendor_bill": "VB-",
    "invoice": "INV-",
    "journal_entry": "JE-",
    "manual_entry": "MJ-",
    "tax_remittance": "TAX-",
    "vendor_payment": "VP-",
    "batch": "BAT-",
    "asset": "FA-",
    "payment": "PAY-",
    "billing_run": "RUN-",
}


def take_numbers(document: str, count: int) -> list[str]:
    """The next ``count`` numbers of ``document``, in order; holds the sequence until the transaction ends."""
    NumberSequence.objects.get_or_create(name=document, defaults={"prefix": PREFIXES[document]})
    sequence = NumberSequence.objects.select_for_update().get(name=document)
    first = sequence.next_value
    sequence.next_value = first + count
    sequence.save(update_fields=["next_value"])
    numbers = [f"{sequence.prefix}{value:0{sequence.width}d}" for value in range(first, first + count)]
    if numbers and len(numbers[-1]) > 11:
        raise DomainError("invalid", f"{numbers[-1]} is longer than the 11 characters that accounting packages take.")
    return numbers


def take_number(document: str) -> str:
    """The next number of ``document`` (a key of :data:`PREFIXES`)."""
    return take_numbers(document, 1)[0]
