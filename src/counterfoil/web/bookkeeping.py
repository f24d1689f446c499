"""What the pages of the books share: where a record has its page, and journal entries as they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final
from urllib.parse import urlencode

from django.urls import reverse

from counterfoil.accounting.queries import BatchEntry
from counterfoil.core.money import sum_money
from counterfoil.ledger.models import JournalEntry
from counterfoil.web.threads import address_of

#: Kind of record (as journal entries, batches and reports name it) -> label of its model.
MODELS: Final[dict[str, str]] = {
    "agreement": "agreements.agreement",
    "asset": "assets.asset",
    "batch": "accounting.batch",
    "company": "companies.company",
    "customer_payment": "billing.payment",
    "invoice": "billing.invoice",
    "journal_entry": "ledger.journalentry",
    "purchase_order": "procurement.purchaseorder",
    "receipt": "inventory.receipt",
    "sales_order": "orders.salesorder",
    "vendor_bill": "procurement.vendorbill",
}


def record_url(kind: str, pk: int | None) -> str:
    """The address of a record's page; empty where it has none."""
    return address_of(MODELS.get(kind, ""), pk)


def entries_url(**parameters: str) -> str:
    """The general ledger with these parameters (``account``, ``company``, ``from``, ``to``)."""
    return f"{reverse('web:report', args=['general-ledger'])}?{urlencode(parameters)}"


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
                    entries_url(account=line.account.code),
                )
                for line in entry.lines.all()
            ),
            url=record_url("journal_entry", entry.pk),
        )
        for entry in entries
    ]
