"""Posting depreciation for all assets at once: lines read as columns, posted and marked in chunks, in one transaction.

A month of many assets takes a few statements a chunk and no model instances.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import QuerySet

from counterfoil.assets.models import Asset, AssetCategory, AssetStatus, BookName, DepreciationLine
from counterfoil.core.calendar import format_date, format_month
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.core.posting import GlRole, JournalDraft, Key, post_depreciation
from counterfoil.ledger.commands import Chart, NetEntry, post_nets
from counterfoil.ledger.models import JournalEntry
from counterfoil.platform import audit
from counterfoil.platform.copying import take_ids, update_rows
from counterfoil.platform.identity import Actor
from counterfoil.platform.numbering import take_numbers

#: Lines posted by one set of statements: enough that their number does not matter, few enough to stay small in memory.
CHUNK = 2000
_DAY = timedelta(days=1)


class DueLine(NamedTuple):
    """A line of a schedule that is to be posted, on the last day of its period."""

    id: int
    start: date
    end: date
    amount: Decimal
    net_book_value: Decimal
    salvage: Decimal
    asset_id: int
    number: str
    category_id: int

    @property
    def on(self) -> date:
        """The day it is posted on."""
        return self.end - _DAY


#: Where the columns of :class:`DueLine` are, from a depreciation line.
_COLUMNS = (
    "id", "start", "end", "amount", "net_book_value", "book__salvage", "book__asset_id", "book__asset__number",
    "book__asset__category_id",
)  # fmt: skip


@dataclass(slots=True)
class _Posted:
    """What was posted of one asset, for its trail."""

    number: str
    first: date
    last: date
    amount: Decimal

    def __str__(self) -> str:
        first, last = format_month(self.first), format_month(self.last)
        return f"{self.number} for {first if first == last else f'{first} to {last}'}, {format_money(self.amount)}"


def due_lines(through: date) -> QuerySet[DepreciationLine]:
    """Lines of the books of assets in service whose period ends by ``through`` and that are not posted."""
    return DepreciationLine.objects.filter(
        book__name=BookName.BOOK,
        book__asset__status=AssetStatus.IN_SERVICE,
        entry=None,
        amount__gt=0,
        end__lte=min(through, date.max - _DAY) + _DAY,
    )


def post_due(*, actor: Actor, through: date, asset_ids: Iterable[int] | None) -> QuerySet[JournalEntry]:
    """Post what is due, oldest first, and say so on the trail of each asset.

    For the command of that name, in its transaction.

    Raises:
        DomainError: ``not_found`` for an unknown asset; what :func:`post_nets` refuses.
    """
    due = due_lines(through)
    assets = _lock(due, None if asset_ids is None else set(asset_ids))
    categories = AssetCategory.objects.select_related("accumulated_account", "expense_account").in_bulk()
    trail: dict[int, _Posted] = {}
    written_off: list[int] = []
    entry_ids: list[int] = []
    chart = Chart()
    for lines in _chunks(due if asset_ids is None else due.filter(book__asset__in=assets), assets):
        entry_ids += _post(lines, categories, actor, chart)
        for line in lines:
            if line.net_book_value <= line.salvage:
                written_off.append(line.asset_id)
            _note(trail, line)
    Asset.objects.filter(pk__in=written_off, status=AssetStatus.IN_SERVICE).update(status=AssetStatus.FULLY_DEPRECIATED)
    _record(actor, through, trail)
    return JournalEntry.objects.filter(pk__in=entry_ids)


def _lock(due: QuerySet[DepreciationLine], wanted: set[int] | None) -> set[int]:
    """Hold the assets against other changes, in one order whoever asks: those wanted, or all with lines due."""
    among: Any = due.values("book__asset_id") if wanted is None else wanted
    rows = Asset.objects.filter(pk__in=among).order_by("pk").select_for_update(no_key=True)
    found = set(rows.values_list("pk", flat=True))
    for pk in sorted((wanted or set()) - found):
        raise DomainError("not_found", f"There is no asset with the id {pk}.", field="asset_ids")
    return found


def _chunks(due: QuerySet[DepreciationLine], assets: set[int]) -> Iterator[list[DueLine]]:
    """What is due of the assets that are held, oldest first."""
    rows = due.order_by("end", "book__asset_id").values_list(*_COLUMNS).iterator(chunk_size=CHUNK)
    lines = (line for line in (DueLine._make(row) for row in rows) if line.asset_id in assets)
    while chunk := list(islice(lines, CHUNK)):
        yield chunk


def _post(lines: Sequence[DueLine], categories: dict[int, AssetCategory], actor: Actor, chart: Chart) -> list[int]:
    """Write the entries of a chunk and mark its lines as posted by them."""
    drafts: dict[tuple[int, date], JournalDraft] = {}  # assets of a category differ in who they are and how much it is
    entries = []
    for line in lines:
        on = line.on
        draft = drafts.get((line.category_id, on))
        if draft is None:
            draft = drafts[line.category_id, on] = _draft(line, categories[line.category_id])
        expense, accumulated = draft.lines
        nets = {expense.account: line.amount, accumulated.account: -line.amount}
        memo = f"{draft.memo}, {line.number}"
        entries.append(NetEntry(on, draft.source_type, line.asset_id, line.number, draft.step, memo, nets, {}))
    numbers = take_numbers("journal_entry", len(entries))
    entry_ids = take_ids(JournalEntry, len(entries))
    post_nets(entries, actor=actor, ids=entry_ids, numbers=numbers, chart=chart)
    update_rows(DepreciationLine, ["entry"], list(zip((line.id for line in lines), entry_ids, strict=True)))
    # What waits for the end of the transaction is checked now: PostgreSQL looks through all of it again for each row
    # whose history is kept, so marking many assets at the end would take longer than all the rest.
    connection.check_constraints()
    return entry_ids


def _draft(line: DueLine, category: AssetCategory) -> JournalDraft:
    """The entry of a line, as all of its category and month are."""

    def account(role: GlRole, key: Key) -> str:
        expense = role is GlRole.DEPRECIATION_EXPENSE
        return (category.expense_account if expense else category.accumulated_account).code

    draft = post_depreciation(
        accounts=account,
        on=line.on,
        source_id=line.asset_id,
        asset=line.asset_id,
        amount=line.amount,
        memo=f"Depreciation {format_month(line.on)}",
    )
    assert draft is not None  # lines of zero are not due
    return draft


def _note(trail: dict[int, _Posted], line: DueLine) -> None:
    posted = trail.get(line.asset_id)
    if posted is None:
        trail[line.asset_id] = _Posted(line.number, line.start, line.on, line.amount)
    else:
        posted.last, posted.amount = line.on, sum_money((posted.amount, line.amount))


def _record(actor: Actor, through: date, trail: dict[int, _Posted]) -> None:
    verb = "assets.depreciation.posted"
    if not trail:
        audit.record(actor, verb, f"posted depreciation through {format_date(through)}: nothing was due")
    audit.record_each(actor, verb, Asset, {pk: f"posted depreciation of {posted}" for pk, posted in trail.items()})
