"""What the pages of the books share: who may, where a record has its page, journal entries as they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from counterfoil.accounting.queries import BatchEntry
from counterfoil.core.money import sum_money
from counterfoil.ledger.models import JournalEntry
from counterfoil.web.actions import actor_of

#: Kind of record (as journal entries, batches and reports name it) -> the page it has.
PAGES: Final[dict[str, str]] = {
    "account": "web:account",
    "agreement": "web:agreement",
    "asset": "web:asset",
    "batch": "web:batch",
    "company": "web:company",
    "customer_payment": "web:payment",
    "invoice": "web:invoice",
    "journal_entry": "web:journal_entry",
    "manual": "web:journal_entry",
    "purchase_order": "web:purchase_order",
    "receipt": "web:receipt",
    "sales_order": "web:sales_order",
    "vendor_bill": "web:vendor_bill",
}


def may(request: HttpRequest, *commands: Callable[..., Any]) -> bool:
    """Whether the signed-in person's roles allow all of these commands."""
    actor = actor_of(request)
    return all(actor.may(*command.roles) for command in commands)  # type: ignore[attr-defined]


def record_url(kind: str, pk: int | None) -> str:
    """The address of a record's page; empty where it has none."""
    if kind not in PAGES or pk is None:
        return ""
    try:
        return reverse(PAGES[kind], args=[pk])
    except NoReverseMatch:
        return ""


@dataclass(frozen=True, slots=True)
class LineView:
    """One side of an entry, as ``<c-journal>`` shows it."""

    account_number: str
    account_name: str
    memo: str
    debit: Decimal
    credit: Decimal
    url: str = ""


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry, as ``<c-journal>`` shows it."""

    number: str
    on: date
    memo: str
    lines: tuple[LineView, ...]
    url: str = ""

    @property
    def debit(self) -> Decimal:
        """The sum of the debits."""
        return sum_money(line.debit for line in self.lines)

    @property
    def credit(self) -> Decimal:
        """The sum of the credits."""
        return sum_money(line.credit for line in self.lines)


def drafted(entry: BatchEntry) -> EntryView:
    """What a record of a batch books, or has booked."""
    return EntryView(
        number=entry.entry_number or entry.number,
        on=entry.date,
        memo=f"{entry.number} · {entry.description}" if entry.entry_number else entry.description,
        lines=tuple(LineView(x.account_code, x.account_name, x.memo, x.debit, x.credit) for x in entry.lines),
        url=record_url("journal_entry", entry.entry_id) or record_url(entry.source_type, entry.source_id),
    )


def posted(entries: Iterable[JournalEntry]) -> list[EntryView]:
    """Entries of the journal; their lines and accounts are loaded."""
    return [
        EntryView(
            number=entry.number,
            on=entry.date,
            memo=entry.memo,
            lines=tuple(
                LineView(
                    line.account.code,
                    line.account.name,
                    " · ".join(part for part in (line.company.name if line.company else "", line.memo) if part),
                    line.debit,
                    line.credit,
                    record_url("account", line.account_id),
                )
                for line in entry.lines.all()
            ),
            url=record_url("journal_entry", entry.pk),
        )
        for entry in entries
    ]
