"""The ledger for other people's programs: every posted entry, and what the sub-ledgers say each balance must be.

The adapters that write the formats are named in the settings (``COUNTERFOIL_ADAPTERS``) and nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from django.conf import settings
from django.db.models import Prefetch
from django.utils.module_loading import import_string

from counterfoil.accounting import subledgers
from counterfoil.accounting.documents import booked_bills
from counterfoil.assets.models import Asset
from counterfoil.companies.models import MspSettings
from counterfoil.companies.queries import my_company
from counterfoil.core.books import (
    AccountType as BooksType,
)
from counterfoil.core.books import (
    BalanceAssertion,
    ExportAccount,
    ExportEntry,
    ExportFile,
    ExportLine,
    IifBatch,
    LedgerExport,
)
from counterfoil.core.calendar import add_months, month_start
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.ledger.chart import CONTROL_TYPES
from counterfoil.ledger.models import Account, AccountType, JournalEntry, JournalLine


class LedgerWriter(Protocol):
    """Writes a ledger in some format, line by line."""

    def __call__(self, export: LedgerExport) -> Iterator[str]:
        """The lines of the file, each with its line end."""
        ...


class BatchWriter(Protocol):
    """Writes a batch as a file for an accounting package."""

    def __call__(self, batch: IifBatch) -> ExportFile:
        """The finished file; the same batch gives the same bytes."""
        ...


#: Account types that other programs know by a more general name.
_TYPES: Final = {
    AccountType.GRNI: BooksType.OTHER_CURRENT_LIABILITY,
    AccountType.DEFERRED_REVENUE: BooksType.OTHER_CURRENT_LIABILITY,
}


def adapter(kind: str, name: str) -> Any:
    """The adapter that writes ``name`` (``beancount``) of a ``kind`` (``ledger``, ``batch``).

    Raises:
        DomainError: ``not_found``, naming the formats there are.
    """
    known = settings.COUNTERFOIL_ADAPTERS[kind]
    if name not in known:
        hint = f"Try {', '.join(sorted(known))}."
        raise DomainError("not_found", f"There is no {kind} format {name!r}.", field="format", hint=hint)
    return import_string(known[name])


def ledger_formats() -> list[str]:
    """The formats the ledger can be written in."""
    return sorted(settings.COUNTERFOIL_ADAPTERS["ledger"])


def write_ledger(format: str, *, through: date) -> Iterator[str]:
    """The ledger through a day, line by line, in a format of :func:`ledger_formats`.

    Raises:
        DomainError: ``not_found`` for an unknown format; what the format cannot hold.
    """
    writer: LedgerWriter = adapter("ledger", format)
    return writer(ledger_export(through=through))


def ledger_export(*, through: date) -> LedgerExport:
    """The whole ledger through a day. ``entries`` is a stream of the books, read once, in their order."""
    company, msp = my_company(), MspSettings.objects.filter(pk=1).first()
    return LedgerExport(
        company_name=company.name if company else "",
        currency=msp.currency if msp else "USD",
        accounts=tuple(export_account(account) for account in Account.objects.order_by("code")),
        entries=export_entries(through),
        assertions=tuple(assertions(through=through)),
    )


def export_account(account: Account) -> ExportAccount:
    """An account as other programs know it."""
    kind = AccountType(account.type)
    books_type = _TYPES.get(kind) or BooksType(kind.value)
    return ExportAccount(account.code, account.name, books_type, control=kind in CONTROL_TYPES)


def export_entries(through: date) -> Iterator[ExportEntry]:
    """Every entry through a day, by date and number, loaded a thousand at a time."""
    lines = JournalLine.objects.select_related("account", "company").order_by("position")
    entries = (
        JournalEntry.objects.filter(date__lte=through)
        .prefetch_related(Prefetch("lines", queryset=lines))
        .order_by("date", "id")
    )
    for entry in entries.iterator(chunk_size=1000):
        companies = {line.company.name for line in entry.lines.all() if line.company}
        yield ExportEntry(
            number=entry.number,
            date=entry.date,
            memo=entry.memo,
            source_type=entry.source_type,
            source_id=str(entry.source_id),
            source_label=entry.source_label,
            step=entry.step,
            company_name=companies.pop() if len(companies) == 1 else "",
            lines=tuple(export_line(line) for line in entry.lines.all()),
        )


def export_line(line: JournalLine) -> ExportLine:
    """A line of the journal for other programs."""
    company = line.company.name if line.company else ""
    return ExportLine(line.account.code, line.debit, line.credit, company, line.memo)


def assertions(*, through: date) -> Iterator[BalanceAssertion]:
    """What each control account must hold at every month end and on the last day, by its sub-ledger alone.

    A sub-ledger knows documents, not accounts. It is asserted where one account of its type is in use; assets know
    their accounts by their category, so theirs are asserted always.
    """
    used = _accounts_in_use(through)
    bills = booked_bills()
    for day in _days(through):
        owed = subledgers.unbilled_by_purchase_order_line(day, bills)
        for kind, origin, amounts, sign in (
            (AccountType.RECEIVABLE, "receivables", subledgers.receivable_by_customer(day), 1),
            (AccountType.PAYABLE, "payables", subledgers.payable_by_vendor(day), -1),
            (AccountType.GRNI, "goods received, not invoiced", owed, -1),
            (AccountType.INVENTORY, "inventory", subledgers.inventory_by_document(day), 1),
            (AccountType.SALES_TAX, "sales tax", subledgers.sales_tax_by_document(day), -1),
        ):
            if len(used[kind]) == 1:
                yield BalanceAssertion(used[kind][0], day, sign * _total(amounts.values()), origin)
        yield from _asset_assertions(day)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum_money(amounts)


def _accounts_in_use(through: date) -> dict[str, list[str]]:
    """Account type -> codes of the accounts of that type that anything is booked on."""
    used: dict[str, list[str]] = defaultdict(list)
    booked = JournalLine.objects.filter(entry__date__lte=through).values("account")
    for code, kind in Account.objects.filter(pk__in=booked).order_by("code").values_list("code", "type"):
        used[kind].append(code)
    return used


def _days(through: date) -> Iterator[date]:
    """Month ends from the first entry on, and the last day."""
    first = JournalEntry.objects.filter(date__lte=through).order_by("date").first()
    if first is None:
        return
    month = add_months(month_start(first.date), 1)
    while month <= through:
        yield month - timedelta(days=1)
        month = add_months(month, 1)
    yield through


def _asset_assertions(day: date) -> Iterator[BalanceAssertion]:
    """Cost and accumulated depreciation by the accounts of the assets' categories."""
    cost, accumulated = subledgers.asset_cost(day), subledgers.accumulated_by_asset(day)
    balances: dict[tuple[str, str], Decimal] = defaultdict(lambda: ZERO)
    rows = Asset.objects.filter(pk__in={**cost, **accumulated})
    for pk, asset_account, accumulated_account in rows.values_list(
        "pk", "category__asset_account__code", "category__accumulated_account__code"
    ):
        balances[asset_account, "fixed assets"] += cost.get(pk, ZERO)
        balances[accumulated_account, "accumulated depreciation"] -= accumulated.get(pk, ZERO)
    for (code, origin), balance in sorted(balances.items()):
        yield BalanceAssertion(code, day, balance, origin)
