"""The general ledger: accounts, periods and journal entries."""

from __future__ import annotations

from datetime import date

from django.db.models import QuerySet

from counterfoil.api.area import Area
from counterfoil.api.shapes import many, shape
from counterfoil.ledger import commands
from counterfoil.ledger.models import Account, AccountingPeriod, DefaultAccount, JournalEntry, JournalLine

area = Area("Books")

accounts = shape(Account)
default_accounts = shape(DefaultAccount)
periods = shape(AccountingPeriod)
lines = shape(JournalLine, without=("entry",))
entries = shape(JournalEntry, parts={"lines": lines})


def list_accounts(*, type: str = "", active: bool | None = None) -> QuerySet[Account]:
    """The chart of accounts."""
    found = Account.objects.filter(type=type) if type else Account.objects.all()
    return found if active is None else found.filter(active=active)


def list_periods(*, status: str = "") -> QuerySet[AccountingPeriod]:
    """Accounting periods."""
    return AccountingPeriod.objects.filter(status=status) if status else AccountingPeriod.objects.all()


def list_entries(
    *, source_type: str = "", source_id: int | None = None, first: date | None = None, last: date | None = None
) -> QuerySet[JournalEntry]:
    """Journal entries, of a source document or between two days."""
    found = JournalEntry.objects.filter(source_type=source_type) if source_type else JournalEntry.objects.all()
    found = found if source_id is None else found.filter(source_id=source_id)
    found = found if first is None else found.filter(date__gte=first)
    return found if last is None else found.filter(date__lte=last)


area.records("/accounts", accounts, list_accounts)
area.post("/accounts", commands.create_account, accounts)
area.detail("/accounts/{account_id}", accounts)
area.patch("/accounts/{account_id}", commands.update_account, accounts)
area.put("/default-accounts", commands.set_default_account, default_accounts)

area.records("/periods", periods, list_periods)
area.post("/periods", commands.open_periods, many(periods.head))
area.detail("/periods/{period_id}", periods)
area.act("/periods/{period_id}/close", commands.close_period, periods)
area.act("/periods/{period_id}/reopen", commands.reopen_period, periods)

area.records("/journal-entries", entries, list_entries)
area.post("/journal-entries", commands.post_manual_entry, entries)
area.detail("/journal-entries/{entry_id}", entries)
area.post("/journal-entries/{entry_id}/reverse", commands.reverse_entry, entries)
