"""What waits for the books, and what a batch will book or has booked."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import Case, Count, Exists, OuterRef, QuerySet, Sum, Value, When

from counterfoil.accounting.documents import (
    DOCUMENTS,
    AnyDocument,
    load_bills,
    load_receipts,
    load_unposted_invoices,
    unposted_bills,
    unposted_closed_invoices,
    unposted_receipts,
)
from counterfoil.accounting.mapping import MAPPABLE, role_in_words
from counterfoil.accounting.models import Batch, BatchItem, BatchStatus, GLMapping, SourceType
from counterfoil.accounting.readiness import Assessed, Reason, assess
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.core.posting import GlRole, JournalDraft
from counterfoil.ledger.models import Account, DefaultAccount, JournalEntry, JournalLine
from counterfoil.orders.models import SalesOrder
from counterfoil.procurement.models import PurchaseOrder

#: What an entry made directly books, in a word, by its source type.
_DIRECT = {
    "customer_payment": "payment received",
    "vendor_payment": "payment to a vendor",
    "tax_remittance": "sales tax paid",
    "manual": "manual entry",
    "asset": "fixed asset",
}


@dataclass(frozen=True, slots=True)
class UnpostedRow:
    """A record that waits for a batch.

    ``date`` is the date it is booked on. ``books`` says what it will book, in a word. ``batch_id`` is the open batch
    that holds it already, if any.
    """

    source_type: str
    source_id: int
    number: str
    date: dt.date
    company_id: int | None
    company: str
    amount: Decimal
    books: str
    reasons: tuple[Reason, ...] = ()
    batch_id: int | None = None
    batch_number: str = ""

    @property
    def ready(self) -> bool:
        """Whether it can be put into a batch and transferred as things stand."""
        return self.batch_id is None and not any(reason.blocks for reason in self.reasons)

    @property
    def source(self) -> str:
        """What it is, for people."""
        return str(SourceType(self.source_type).label)


def unposted_procurement() -> list[UnpostedRow]:
    """Receipts, then vendor bills, that are not in the books, with why each may not go yet."""
    batches = _open_batches(SourceType.RECEIPT, SourceType.VENDOR_BILL)
    groups = _receipts_beside(SourceType.VENDOR_BILL, batches)
    documents: list[AnyDocument] = [*load_receipts(unposted_receipts()), *load_bills(unposted_bills(), groups)]
    return [_row(item, batches) for item in assess(documents)]


def unposted_invoices() -> list[UnpostedRow]:
    """Closed invoices that are not in the books, with why each may not go yet."""
    batches = _open_batches(SourceType.RECEIPT, SourceType.INVOICE)
    groups = _receipts_beside(SourceType.INVOICE, batches)
    return [_row(item, batches) for item in assess(load_unposted_invoices(unposted_closed_invoices(), groups))]


def _receipts_beside(kind: SourceType, batches: Mapping[tuple[str, int], tuple[int, str]]) -> dict[int, set[int]]:
    """The receipts that are in the same open batch as each record of a kind, by its id."""
    receipts: dict[int, set[int]] = defaultdict(set)
    for (source_type, source_id), (batch_id, _) in batches.items():
        if source_type == SourceType.RECEIPT:
            receipts[batch_id].add(source_id)
    return {
        source_id: receipts[batch_id]
        for (source_type, source_id), (batch_id, _) in batches.items()
        if source_type == kind
    }


def unposted_journal_entries() -> list[UnpostedRow]:
    """Entries made directly (payments, assets, remittances, by hand) that no batch holds.

    They are in the books; a batch takes them along to the accounting package.
    """
    return [
        UnpostedRow(
            source_type=SourceType.JOURNAL_ENTRY.value,
            source_id=entry.pk,
            number=entry.number,
            date=entry.date,
            company_id=None,
            company="",
            amount=entry.total,
            books=f"{_DIRECT.get(entry.source_type, entry.source_type)}: {entry.memo}",
        )
        for entry in unbatched_entries()
    ]


def unbatched_entries() -> QuerySet[JournalEntry]:
    """Journal entries made directly that no batch holds, in the order of the books."""
    held = BatchItem.objects.filter(source_type=SourceType.JOURNAL_ENTRY, source_id=OuterRef("pk"))
    return (
        JournalEntry.objects.exclude(source_type__in=[kind.value for kind in DOCUMENTS])
        .filter(~Exists(held))
        .order_by("date", "id")
    )


@dataclass(frozen=True, slots=True)
class UnpostedCounts:
    """How many records wait, for the dashboard."""

    receipts: int
    vendor_bills: int
    invoices: int
    journal_entries: int


def unposted_counts() -> UnpostedCounts:
    """How many records wait to be transferred, without asking why."""
    return UnpostedCounts(
        receipts=unposted_receipts().count(),
        vendor_bills=unposted_bills().count(),
        invoices=unposted_closed_invoices().count(),
        journal_entries=unbatched_entries().count(),
    )


def _open_batches(*source_types: str) -> dict[tuple[str, int], tuple[int, str]]:
    rows = BatchItem.objects.filter(source_type__in=source_types, batch__status=BatchStatus.OPEN)
    return {
        (kind, source_id): (batch_id, number)
        for kind, source_id, batch_id, number in rows.values_list(
            "source_type", "source_id", "batch_id", "batch__number"
        )
    }


def _row(item: Assessed, batches: Mapping[tuple[str, int], tuple[int, str]]) -> UnpostedRow:
    document = item.document
    batch_id, number = batches.get((document.source_type, document.source_id), (None, ""))
    held = Reason(
        "in_batch", f"It is in batch {number}.", "Transfer the batch, or take it out.", "batch", batch_id, blocks=False
    )
    return UnpostedRow(
        source_type=document.source_type.value,
        source_id=document.source_id,
        number=document.number,
        date=document.date,
        company_id=document.company_id,
        company=document.company,
        amount=document.amount,
        books=document.books,
        reasons=(held, *item.reasons) if batch_id else item.reasons,
        batch_id=batch_id,
        batch_number=number,
    )


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One side of an entry of a batch."""

    account_code: str
    account_name: str
    debit: Decimal
    credit: Decimal
    memo: str


@dataclass(frozen=True, slots=True)
class BatchEntry:
    """What one record of a batch books: lines, or none where it moves no money.

    ``entry_number`` is empty until it is in the books. ``reasons`` tell why it may not go.
    """

    source_type: str
    source_id: int
    number: str
    description: str
    date: dt.date
    lines: tuple[BatchLine, ...]
    entry_id: int | None = None
    entry_number: str = ""
    reasons: tuple[Reason, ...] = ()

    @property
    def total(self) -> Decimal:
        """The sum of the debits."""
        return sum_money(line.debit for line in self.lines)

    @property
    def ready(self) -> bool:
        """Whether it may go."""
        return not any(reason.blocks for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class AccountTotal:
    """What a batch moves on one account."""

    code: str
    name: str
    debit: Decimal
    credit: Decimal


@dataclass(frozen=True, slots=True)
class BatchEntries:
    """Entries of a batch, with totals by account in the order of the chart.

    ``count`` is how many records book something; ``entries`` may be the first of them only, the totals are of all.
    """

    entries: tuple[BatchEntry, ...]
    totals: tuple[AccountTotal, ...]
    count: int

    @property
    def ready(self) -> bool:
        """Whether every record may go."""
        return all(entry.ready for entry in self.entries)

    @property
    def total(self) -> Decimal:
        """The sum of the debits."""
        return sum_money(total.debit for total in self.totals)


def batches() -> QuerySet[Batch]:
    """All batches, newest first, with ``item_count`` and ``item_total``."""
    return Batch.objects.annotate(item_count=Count("items"), item_total=Sum("items__amount", default=ZERO))


def batch_entries(batch_id: int, *, most: int | None = None) -> BatchEntries:
    """What a batch will book, made as the transfer makes it; of a transferred batch, what is in the books.

    Args:
        batch_id: the batch.
        most: of a transferred batch, how many entries are wanted; ``None`` is all of them.

    Raises:
        DomainError: ``not_found``.
    """
    batch = Batch.objects.filter(pk=batch_id).first()
    if batch is None:
        raise DomainError("not_found", "There is no such batch.")
    if batch.status == BatchStatus.TRANSFERRED:
        return _transferred(batch, most)
    items = list(batch.items.order_by("id"))
    names = dict(Account.objects.values_list("code", "name"))
    entries = tuple(sorted(_drafted_entries(items, names), key=_booking_order))
    return BatchEntries(entries, _totals(entries), sum(1 for entry in entries if entry.lines))


#: What a transferred batch moved, by account, and its entries: from its items, however many there are besides.
_BOOKED: Final = """
    WITH entries AS MATERIALIZED (
        SELECT e.id FROM accounting_batchitem i
        JOIN ledger_journalentry e ON e.source_type = i.source_type AND e.source_id = i.source_id
        WHERE i.batch_id = %(batch)s AND i.source_type <> 'journal_entry'
        UNION ALL
        SELECT source_id FROM accounting_batchitem WHERE batch_id = %(batch)s AND source_type = 'journal_entry'
    ), moved AS (
        SELECT l.account_id, sum(l.debit) AS debit, sum(l.credit) AS credit
        FROM entries e JOIN ledger_journalline l ON l.entry_id = e.id
        GROUP BY l.account_id
    )
    SELECT a.code, a.name, m.debit, m.credit, (SELECT count(*) FROM entries)
    FROM moved m JOIN ledger_account a ON a.id = m.account_id
    ORDER BY a.code
"""


def _transferred(batch: Batch, most: int | None) -> BatchEntries:
    """By the ledger."""
    order = Case(*(When(source_type=kind, then=Value(n)) for n, kind in enumerate(SourceType)))
    items = list(batch.items.order_by(order, "source_id")[:most])
    with connection.cursor() as cursor:
        cursor.execute(_BOOKED, {"batch": batch.pk})
        rows = cursor.fetchall()
    totals = tuple(AccountTotal(*row[:4]) for row in rows)
    return BatchEntries(tuple(_booked_entries(items)), totals, rows[0][4] if rows else 0)


def _booking_order(entry: BatchEntry) -> tuple[int, int]:
    return list(SourceType).index(SourceType(entry.source_type)), entry.source_id


def assess_items(items: Sequence[BatchItem], *, lock: bool = False) -> list[Assessed]:
    """The documents of a batch in booking order (receipts, vendor bills, invoices), each by id, with their drafts.

    With ``lock`` nobody else changes them until the transaction ends. What is not there any more, or in the books
    already, is left out: compare with ``items``.
    """
    ids = {kind: [item.source_id for item in items if item.source_type == kind] for kind in DOCUMENTS}
    receipts = unposted_receipts().filter(pk__in=ids[SourceType.RECEIPT])
    bills = unposted_bills().filter(pk__in=ids[SourceType.VENDOR_BILL])
    invoices = unposted_closed_invoices().filter(pk__in=ids[SourceType.INVOICE])
    if lock:
        # The purchase orders too: two bills of one line must not both clear what was received of it.
        orders = PurchaseOrder.objects.filter(lines__bill_lines__bill__in=ids[SourceType.VENDOR_BILL])
        # The sales orders: two invoices of one line must not both take the same units out of inventory.
        sold = SalesOrder.objects.filter(invoices__in=ids[SourceType.INVOICE])
        parents: tuple[QuerySet[Any], ...] = (
            SalesOrder.objects.filter(pk__in=sold.values("pk")),
            PurchaseOrder.objects.filter(pk__in=orders.values("pk")),
        )
        for rows in (*parents, receipts, bills, invoices):
            list(rows.order_by("pk").select_for_update(of=("self",), no_key=True).values_list("pk", flat=True))
    together = {kind: dict.fromkeys(ids[kind], ids[SourceType.RECEIPT]) for kind in DOCUMENTS}
    return assess(
        [
            *load_receipts(receipts),
            *load_bills(bills, together[SourceType.VENDOR_BILL]),
            *load_unposted_invoices(invoices, together[SourceType.INVOICE]),
        ]
    )


def _drafted_entries(items: Sequence[BatchItem], names: Mapping[str, str]) -> list[BatchEntry]:
    assessed = {(x.document.source_type, x.document.source_id): x for x in assess_items(items)}
    entries = []
    for item in items:
        if item.source_type == SourceType.JOURNAL_ENTRY:
            continue
        found = assessed.get((SourceType(item.source_type), item.source_id))
        gone = Reason("not_found", f"{item.source_label} is not there any more.", "Take it out of the batch.")
        entries.append(
            BatchEntry(
                source_type=item.source_type,
                source_id=item.source_id,
                number=item.source_label,
                description=item.description,
                date=found.document.date if found else item.date,
                lines=_draft_lines(found.draft if found else None, names),
                reasons=found.reasons if found else (gone,),
            )
        )
    return [*entries, *_booked_entries([item for item in items if item.source_type == SourceType.JOURNAL_ENTRY])]


def _draft_lines(draft: JournalDraft | None, names: Mapping[str, str]) -> tuple[BatchLine, ...]:
    lines = draft.lines if draft else ()
    return tuple(BatchLine(x.account, names.get(x.account, ""), x.debit, x.credit, x.memo) for x in lines)


def _booked_entries(items: Sequence[BatchItem]) -> list[BatchEntry]:
    """The entries of items that are in the books, by the ledger."""
    entries = entries_of_items(items)
    lines: dict[int, list[BatchLine]] = defaultdict(list)
    rows = JournalLine.objects.filter(entry__in=entries.values()).order_by("entry_id", "position")
    for pk, *values in rows.values_list("entry_id", "account__code", "account__name", "debit", "credit", "memo"):
        lines[pk].append(BatchLine(*values))
    booked = []
    for item in items:
        entry = entries.get((item.source_type, item.source_id))
        booked.append(
            BatchEntry(
                source_type=item.source_type,
                source_id=item.source_id,
                number=item.source_label,
                description=item.description,
                date=entry.date if entry else item.date,
                lines=tuple(lines[entry.pk]) if entry else (),
                entry_id=entry.pk if entry else None,
                entry_number=entry.number if entry else "",
            )
        )
    return booked


def entries_of_items(items: Iterable[BatchItem]) -> dict[tuple[str, int], JournalEntry]:
    """(source type, source id) of batch items -> the entry that books it; what books nothing is left out."""
    ids: dict[str, list[int]] = defaultdict(list)
    for item in items:
        ids[item.source_type].append(item.source_id)
    found: dict[tuple[str, int], JournalEntry] = {}
    for entry in JournalEntry.objects.filter(pk__in=ids.pop(SourceType.JOURNAL_ENTRY.value, [])):
        found[SourceType.JOURNAL_ENTRY.value, entry.pk] = entry
    for source_type, source_ids in ids.items():
        for entry in JournalEntry.objects.filter(source_type=source_type, source_id__in=source_ids):
            found[source_type, entry.source_id] = entry
    return found


def _totals(entries: Collection[BatchEntry]) -> tuple[AccountTotal, ...]:
    debits: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    credits: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    for entry in entries:
        for line in entry.lines:
            key = (line.account_code, line.account_name)
            debits[key] += line.debit
            credits[key] += line.credit
    return tuple(AccountTotal(*key, debits[key], credits[key]) for key in sorted({*debits, *credits}))


def mappings() -> QuerySet[GLMapping]:
    """All GL mappings, with their records and accounts."""
    return GLMapping.objects.select_related("product", "subcategory__category", "category", "agreement_type", "account")


@dataclass(frozen=True, slots=True)
class MappableRole:
    """A role that can be mapped by record, with its default account."""

    role: str
    label: str
    default_code: str
    default_name: str


def mappable_roles() -> list[MappableRole]:
    """The roles whose account may differ by record."""
    defaults = {row.role: row.account for row in DefaultAccount.objects.select_related("account")}
    return [
        MappableRole(
            role.value,
            role_in_words(role),
            defaults[role.value].code if role.value in defaults else "",
            defaults[role.value].name if role.value in defaults else "",
        )
        for role in map(GlRole, MAPPABLE)
    ]
