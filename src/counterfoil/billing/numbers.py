"""The numbers of invoices: gapless in each series, given when they are closed, at most 11 characters.

There is one series for invoices (INV-) and one for credit memos (CM-). The invoices of an agreement type that has a
prefix have a series of their own; types with the same prefix share it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from counterfoil.billing.models import Invoice
from counterfoil.platform.numbering import PREFIXES, take_numbers


class Series(NamedTuple):
    """A number sequence by name, and the prefix it is begun with."""

    name: str
    prefix: str


INVOICES = Series("invoice", PREFIXES["invoice"])
CREDIT_MEMOS = Series("credit_memo", PREFIXES["credit_memo"])


def series_of_type(invoice_prefix: str) -> Series:
    """The series of the agreement invoices of a type with that prefix; of all invoices when it is empty."""
    if invoice_prefix in ("", INVOICES.prefix):
        return INVOICES
    return (
        CREDIT_MEMOS if invoice_prefix == CREDIT_MEMOS.prefix else Series(f"invoice:{invoice_prefix}", invoice_prefix)
    )


def series_of(invoice: Invoice) -> Series:
    """The series an invoice takes its number from."""
    if invoice.is_credit_memo:
        return CREDIT_MEMOS
    return series_of_type(invoice.agreement.type.invoice_prefix if invoice.agreement else "")


def number_invoices(invoices: Iterable[Invoice]) -> None:
    """Number invoices in the order they come in; unsaved. The series are held until the transaction ends.

    Raises:
        DomainError: ``invalid`` when a number would be longer than accounting packages take.
    """
    by_series: dict[Series, list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        by_series[series_of(invoice)].append(invoice)
    for series in sorted(by_series):  # in one order whoever asks, so that two closings cannot deadlock
        rows = by_series[series]
        for invoice, number in zip(rows, take_numbers(series.name, len(rows), series.prefix), strict=True):
            invoice.number = number
