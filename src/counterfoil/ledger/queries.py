"""The statements of the ledger: trial balance, profit and loss, balance sheet, general ledger.

Balances are debit less credit. On statements an amount is shown on the side its account grows on, so revenue and
liabilities are positive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMonth

from counterfoil.core.calendar import add_months, month_start
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.core.posting import Accounts, GlRole, Key
from counterfoil.ledger.models import (
    DEBIT_TYPES,
    PROFIT_AND_LOSS_TYPES,
    Account,
    AccountingPeriod,
    AccountType,
    DefaultAccount,
    JournalEntry,
    JournalLine,
)

NET = Coalesce(Sum("debit") - Sum("credit"), ZERO)


def default_accounts() -> Accounts:
    """A resolver that knows the default account of each role; the key does not matter."""
    codes = dict(DefaultAccount.objects.values_list("role", "account__code"))

    def account(role: GlRole, key: Key) -> str:
        if role.value not in codes:
            raise missing_account(role, "no default account")
        return str(codes[role.value])

    return account


def missing_account(role: GlRole, why: str) -> DomainError:
    """The refusal when no account plays ``role``."""
    name = role.value.replace("_", " ")
    return DomainError(
        "gl_mapping_missing",
        f"No GL account for {name}: {why}.",
        field="account",
        hint=f"Map {name} under Books, GL mapping.",
    )


@dataclass(frozen=True, slots=True)
class TrialBalanceRow:
    """An account with the balance on its side at a date."""

    account_id: int
    code: str
    name: str
    type: str
    debit: Decimal
    credit: Decimal


def account_balances(*, through: date | None = None, since: date | None = None) -> dict[int, Decimal]:
    """Debit less credit by account id, of entries dated from ``since`` through ``through``, both inclusive."""
    lines = JournalLine.objects.all()
    if through is not None:
        lines = lines.filter(entry__date__lte=through)
    if since is not None:
        lines = lines.filter(entry__date__gte=since)
    return {row["account"]: row["net"] for row in lines.values("account").annotate(net=NET).order_by()}


def trial_balance(*, through: date) -> list[TrialBalanceRow]:
    """Every account with a balance at the end of ``through``. Debits and credits are equal."""
    balances = account_balances(through=through)
    return [
        TrialBalanceRow(a.pk, a.code, a.name, a.type, max(balances[a.pk], ZERO), max(-balances[a.pk], ZERO))
        for a in Account.objects.filter(pk__in=balances)
        if balances[a.pk]
    ]


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A line of a statement with months across: an account (``account_id``) or a total (``None``)."""

    label: str
    amounts: tuple[Decimal, ...]
    account_id: int | None = None
    code: str = ""
    section: str = ""

    @property
    def total(self) -> Decimal:
        """The sum over the months."""
        return sum_money(self.amounts)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement with months across. ``months`` are first days."""

    title: str
    months: tuple[date, ...]
    rows: tuple[StatementRow, ...]

    def row(self, label: str) -> StatementRow:
        """The row of that label; it must be there."""
        return next(row for row in self.rows if row.label == label)


def months_between(first: date, last: date) -> tuple[date, ...]:
    """First days of the months from that of ``first`` to that of ``last``."""
    start, count = month_start(first), (last.year - first.year) * 12 + last.month - first.month + 1
    return tuple(add_months(start, offset) for offset in range(max(count, 0)))


def monthly_movements(months: Sequence[date]) -> dict[int, dict[date, Decimal]]:
    """Debit less credit by account id and month (its first day), in one statement."""
    if not months:
        return {}
    rows = (
        JournalLine.objects.filter(entry__date__gte=months[0], entry__date__lt=add_months(months[-1], 1))
        .annotate(month=TruncMonth("entry__date"))
        .values("account", "month")
        .annotate(net=NET)
        .order_by()
    )
    movements: dict[int, dict[date, Decimal]] = {}
    for row in rows:
        movements.setdefault(row["account"], {})[row["month"]] = row["net"]
    return movements


_PROFIT_SECTIONS = (
    ("Revenue", (AccountType.INCOME,), -1),
    ("Cost of goods sold", (AccountType.COGS,), 1),
    ("Expenses", (AccountType.EXPENSE,), 1),
    ("Other income", (AccountType.OTHER_INCOME,), -1),
    ("Other expenses", (AccountType.OTHER_EXPENSE,), 1),
)


def profit_and_loss(*, first: date, last: date) -> Statement:
    """Profit and loss by month from the month of ``first`` to that of ``last``."""
    months = months_between(first, last)
    movements = monthly_movements(months)
    accounts = list(Account.objects.filter(type__in=PROFIT_AND_LOSS_TYPES, pk__in=movements))
    rows: list[StatementRow] = []
    totals: dict[str, tuple[Decimal, ...]] = {}
    for section, types, sign in _PROFIT_SECTIONS:
        mine = [
            StatementRow(a.name, tuple(sign * movements[a.pk].get(m, ZERO) for m in months), a.pk, a.code, section)
            for a in accounts
            if a.type in types
        ]
        totals[section] = _sum_columns(mine, len(months))
        if mine:
            rows += [*mine, StatementRow(f"Total {section.lower()}", totals[section], section=section)]
        if section == "Cost of goods sold":
            gross = _minus(totals["Revenue"], totals[section])
            rows.append(StatementRow("Gross profit", gross))
    net = _minus(_minus(gross, totals["Expenses"]), _minus(totals["Other expenses"], totals["Other income"]))
    rows.append(StatementRow("Net profit", net))
    return Statement("Profit and loss", months, tuple(rows))


_ASSET_TYPES = (
    AccountType.BANK,
    AccountType.RECEIVABLE,
    AccountType.CURRENT_ASSET,
    AccountType.INVENTORY,
    AccountType.FIXED_ASSET,
    AccountType.ACCUMULATED_DEPRECIATION,
)
_LIABILITY_TYPES = (
    AccountType.PAYABLE,
    AccountType.GRNI,
    AccountType.CURRENT_LIABILITY,
    AccountType.SALES_TAX,
    AccountType.DEFERRED_REVENUE,
    AccountType.LONG_TERM_LIABILITY,
)


_BALANCE_SECTIONS = (
    ("Assets", _ASSET_TYPES, 1),
    ("Liabilities", _LIABILITY_TYPES, -1),
    ("Equity", (AccountType.EQUITY,), -1),
)


def balance_sheet(*, first: date, last: date) -> Statement:
    """Balance sheet at each month end from the month of ``first`` to that of ``last``.

    Profit not yet closed into retained earnings stands as *Accumulated profit*: all of it, since the books began.
    """
    months = months_between(first, last)
    movements = monthly_movements(months)
    opening = account_balances(through=months[0] - _ONE_DAY) if months else {}
    balances = {
        account: _running(opening.get(account, ZERO), movements.get(account, {}), months)
        for account in {*movements, *opening}
    }
    accounts = list(Account.objects.filter(pk__in=balances))
    rows: list[StatementRow] = []
    totals: dict[str, tuple[Decimal, ...]] = {}
    sections = (
        ("Assets", _ASSET_TYPES, 1),
        ("Liabilities", _LIABILITY_TYPES, -1),
        ("Equity", (AccountType.EQUITY,), -1),
    )
    for section, types, sign in sections:
        mine = [
            StatementRow(a.name, tuple(sign * value for value in balances[a.pk]), a.pk, a.code, section)
            for a in accounts
            if a.type in types and any(balances[a.pk])
        ]
        if section == "Equity":
            profit = [balances[a.pk] for a in accounts if a.type in PROFIT_AND_LOSS_TYPES]
            earned = (
                tuple(-sum_money(values) for values in zip(*profit, strict=True)) if profit else (ZERO,) * len(months)
            )
            mine.append(StatementRow("Accumulated profit", earned, section=section))
        totals[section] = _sum_columns(mine, len(months))
        rows += [*mine, StatementRow(f"Total {section.lower()}", totals[section], section=section)]
    rows.append(StatementRow("Total liabilities and equity", _plus(totals["Liabilities"], totals["Equity"])))
    return Statement("Balance sheet", months, tuple(rows))


_ONE_DAY = timedelta(days=1)


def _running(opening: Decimal, movements: dict[date, Decimal], months: Sequence[date]) -> tuple[Decimal, ...]:
    """Balance at the end of each month."""
    balances, balance = [], opening
    for month in months:
        balance += movements.get(month, ZERO)
        balances.append(balance)
    return tuple(balances)


def _sum_columns(rows: Sequence[StatementRow], width: int) -> tuple[Decimal, ...]:
    return tuple(sum_money(row.amounts[i] for row in rows) for i in range(width))


def _minus(left: Sequence[Decimal], right: Sequence[Decimal]) -> tuple[Decimal, ...]:
    return tuple(a - b for a, b in zip(left, right, strict=True))


def _plus(left: Sequence[Decimal], right: Sequence[Decimal]) -> tuple[Decimal, ...]:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def general_ledger(
    *, first: date | None = None, last: date | None = None, account_id: int | None = None, company_id: int | None = None
) -> QuerySet[JournalLine]:
    """The journal lines of an account, a company or a time, in the order of the books."""
    wanted = Q()
    if first is not None:
        wanted &= Q(entry__date__gte=first)
    if last is not None:
        wanted &= Q(entry__date__lte=last)
    if account_id is not None:
        wanted &= Q(account=account_id)
    if company_id is not None:
        wanted &= Q(company=company_id)
    return (
        JournalLine.objects.filter(wanted)
        .select_related("entry", "account", "company")
        .order_by("entry__date", "entry_id", "position")
    )


def entries_of(source_type: str, source_id: int) -> QuerySet[JournalEntry]:
    """The journal entries that book a document, in order."""
    return (
        JournalEntry.objects.filter(source_type=source_type, source_id=source_id)
        .prefetch_related("lines__account")
        .order_by("id")
    )


def accounts_by_type(*types: str) -> QuerySet[Account]:
    """Active accounts of the given types, by code; all when none is given."""
    accounts = Account.objects.filter(active=True)
    return accounts.filter(type__in=types) if types else accounts


def balance_of_types(*types: str, through: date | None = None) -> Decimal:
    """Debit less credit over all accounts of the given types."""
    lines = JournalLine.objects.filter(account__type__in=types)
    if through is not None:
        lines = lines.filter(entry__date__lte=through)
    return Decimal(lines.aggregate(net=NET)["net"])


def natural_balance(account_type: str, net: Decimal) -> Decimal:
    """``net`` (debit less credit) on the side an account of that type grows on."""
    return net if account_type in DEBIT_TYPES else -net


def period_of(on: date) -> AccountingPeriod | None:
    """The period that holds ``on``, open or closed; ``None`` when there is none."""
    return AccountingPeriod.objects.filter(start__lte=on, end__gt=on).first()


def books_reach(on: date) -> bool:
    """Whether there is an accounting period of ``on`` or later."""
    return AccountingPeriod.objects.filter(end__gt=on).exists()
