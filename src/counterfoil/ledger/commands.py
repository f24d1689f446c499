"""Posting to the journal, reversing, the chart of accounts, opening and closing periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from counterfoil.core.calendar import add_months, format_date, month_start
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO
from counterfoil.core.posting import GlRole, JournalDraft, Key, PostingLine
from counterfoil.core.states import check_transition
from counterfoil.ledger.chart import ACCOUNTS, CONTROL_TYPES, DEFAULTS, ROLE_TYPES
from counterfoil.ledger.models import (
    Account,
    AccountingPeriod,
    AccountType,
    DefaultAccount,
    JournalEntry,
    JournalLine,
    PeriodStatus,
)
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.copying import copy_rows, take_ids
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import take_number, take_numbers
from counterfoil.platform.records import UNSET, change

FINANCE = (Role.FINANCE,)

LINE_COLUMNS = ("entry", "position", "account", "debit", "credit", "memo", "company", "source_line_id")
ENTRY_COLUMNS = (
    "id", "number", "date", "period", "source_type", "source_id", "source_label", "step", "version", "memo",
    "line_count", "total", "reverses", "posted_by",
)  # fmt: skip

refuse_as(
    "one_posting_per_document_and_step", "already_transferred", "It is in the books already; nothing was posted twice."
)
refuse_as("ledger_account_code_key", "duplicate", "There is an account with that code already.")


@dataclass(frozen=True, slots=True)
class Posting:
    """A draft with what the journal says about its source.

    Attributes:
        draft: the balanced journal; its ``source_id``, ``company_key`` and ``source_line_key`` are primary keys.
        source_label: the source's number, as people know it.
        version: 1, or one more than the version that was reversed.
    """

    draft: JournalDraft
    source_label: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class ManualLine:
    """A line of a manual journal entry: an account's code and a debit or a credit."""

    account: str
    debit: Decimal = ZERO
    credit: Decimal = ZERO
    memo: str = ""


class Chart:
    """Accounts and periods by what postings call them, each looked up once, for those who post in many portions.

    The guards of the journal have the last word on both: an account that is gone, a period that was closed meanwhile.

    Args:
        known: periods that are loaded already; the only ones it looks at, if there are any.
        accounts: ids of active accounts that are known already, by code.
    """

    def __init__(self, known: Sequence[AccountingPeriod] = (), accounts: Mapping[str, int] | None = None) -> None:
        self._known = known
        self._periods: dict[date, int] = {}
        self._accounts = dict(accounts or {})

    def periods(self, dates: set[date]) -> dict[date, int]:
        """The open period of each date.

        Raises:
            DomainError: ``period_missing``, ``period_closed``.
        """
        if unknown := dates - self._periods.keys():
            self._periods |= {on: period.pk for on, period in _open_periods(unknown, self._known).items()}
        return self._periods

    def accounts(self, codes: set[str]) -> dict[str, int]:
        """The active accounts of ``codes``.

        Raises:
            DomainError: ``gl_mapping_missing``.
        """
        if unknown := codes - self._accounts.keys():
            self._accounts |= {code: account.pk for code, account in _accounts_by_code(unknown).items()}
        return self._accounts


def post_drafts(
    postings: Sequence[Posting], *, actor: Actor, reverses: dict[int, JournalEntry] | None = None
) -> list[JournalEntry]:
    """Write journal entries as :func:`post_many` does, and read them back: for documents whose entry is wanted."""
    ids = post_many(postings, actor=actor, reverses={index: entry.pk for index, entry in (reverses or {}).items()})
    entries = JournalEntry.objects.in_bulk(ids)
    return [entries[pk] for pk in ids]


def post_many(
    postings: Sequence[Posting],
    *,
    actor: Actor,
    reverses: dict[int, int] | None = None,
    numbers: Sequence[str] | None = None,
    chart: Chart | None = None,
) -> list[int]:
    """Write journal entries, all or none, in a constant number of statements.

    For commands of documents, inside their transaction; they record the audit statement.

    Args:
        postings: in the order in which the entries are numbered.
        actor: who posts.
        reverses: index in ``postings`` -> the key of the entry it reverses.
        numbers: those that were taken for the entries before; else the next ones.
        chart: accounts and periods that were looked up before.

    Returns:
        The keys of the entries, ascending, in the order of ``postings``.

    Raises:
        DomainError: ``period_missing``, ``period_closed``, ``gl_mapping_missing`` (unknown account),
            ``already_transferred`` (the document's step is in the books).
    """
    if not postings:
        return []
    chart = chart or Chart()
    periods = chart.periods({posting.draft.date for posting in postings})
    account_ids = chart.accounts({line.account for posting in postings for line in posting.draft.lines})
    numbers = numbers or take_numbers("journal_entry", len(postings))
    ids = take_ids(JournalEntry, len(postings))
    # Lines first: the guards of the journal look at whole entries, when the entries come.
    copy_rows(
        JournalLine,
        LINE_COLUMNS,
        (
            (
                entry_id,
                position,
                account_ids[line.account],
                line.debit,
                line.credit,
                line.memo[:200],
                line.company_key,
                line.source_line_key,
            )
            for entry_id, posting in zip(ids, postings, strict=True)
            for position, line in enumerate(posting.draft.lines, start=1)
        ),
    )
    reverses = reverses or {}
    copy_rows(
        JournalEntry,
        ENTRY_COLUMNS,
        (
            (
                ids[index],
                numbers[index],
                posting.draft.date,
                periods[posting.draft.date],
                posting.draft.source_type,
                primary_key(posting.draft.source_id),
                posting.source_label,
                posting.draft.step,
                posting.version,
                posting.draft.memo[:200],
                len(posting.draft.lines),
                posting.draft.total,
                reverses.get(index),
                actor.name,
            )
            for index, posting in enumerate(postings)
        ),
    )
    return ids


class NetEntry(NamedTuple):
    """An entry with one line an account, for those who post thousands: debit less credit of each, adding up to zero.

    ``companies`` are the customers or vendors of accounts that have one.
    """

    date: date
    source_type: str
    source_id: int
    source_label: str
    step: str
    memo: str
    nets: dict[str, Decimal]
    companies: dict[str, int]


def post_nets(
    entries: Sequence[NetEntry], *, actor: Actor, ids: Sequence[int], numbers: Sequence[str], chart: Chart
) -> None:
    """Write entries under ids and numbers that were taken for them; else as :func:`post_many`.

    Raises:
        DomainError: as :func:`post_many`; ``unbalanced`` when the sides of one differ.
    """
    if not entries:
        return
    periods = chart.periods({entry.date for entry in entries})
    account_ids = chart.accounts({account for entry in entries for account in entry.nets})
    for entry in entries:
        if sum(entry.nets.values()):
            raise DomainError("unbalanced", f"The journal entry “{entry.memo}” does not balance.", field="lines")
    copy_rows(
        JournalLine,
        LINE_COLUMNS[:-1],
        (
            (
                pk,
                position,
                account_ids[account],
                net if net > 0 else ZERO,
                -net if net < 0 else ZERO,
                entry.memo[:200],
                entry.companies.get(account),
            )
            for pk, entry in zip(ids, entries, strict=True)
            for position, (account, net) in enumerate(entry.nets.items(), start=1)
        ),
    )
    rows = zip(ids, numbers, entries, strict=True)
    copy_rows(
        JournalEntry,
        ENTRY_COLUMNS,
        (
            (
                pk,
                number,
                entry.date,
                periods[entry.date],
                entry.source_type,
                entry.source_id,
                entry.source_label,
                entry.step,
                1,
                entry.memo[:200],
                len(entry.nets),
                sum(net for net in entry.nets.values() if net > 0),
                None,
                actor.name,
            )
            for pk, number, entry in rows
        ),
    )


def primary_key(key: Key) -> int:
    """A posting's key as the primary key it must be."""
    if not isinstance(key, int):
        raise TypeError(f"not a primary key: {key!r}")
    return key


def _open_periods(dates: set[date], known: Sequence[AccountingPeriod] = ()) -> dict[date, AccountingPeriod]:
    """The open period of each date, among those known or all there are."""
    # No lock here: the trigger on the journal takes it, shared, and has the last word against a period being closed.
    periods = known or list(AccountingPeriod.objects.filter(start__lte=max(dates), end__gt=min(dates)))
    found = {}
    for on in sorted(dates):
        period = next((p for p in periods if p.start <= on < p.end), None)
        if period is None:
            raise DomainError(
                "period_missing",
                f"There is no accounting period for {format_date(on)}.",
                field="date",
                hint=f"Open the periods of {on.year} under Books, Periods.",
            )
        if period.status == PeriodStatus.CLOSED:
            raise DomainError(
                "period_closed",
                f"{period.start:%B %Y} is closed; nothing can be posted on {format_date(on)}.",
                field="date",
                hint="Choose a date in an open period, or reopen the period.",
            )
        found[on] = period
    return found


def _accounts_by_code(codes: set[str]) -> dict[str, Account]:
    """The active accounts of ``codes``."""
    accounts = {account.code: account for account in Account.objects.filter(code__in=codes)}
    for code in sorted(codes):
        if code not in accounts:
            raise DomainError("gl_mapping_missing", f"There is no account {code} in the chart.", field="account")
        if not accounts[code].active:
            raise DomainError(
                "gl_mapping_missing",
                f"Account {accounts[code]} is inactive; nothing can be posted to it.",
                field="account",
            )
    return accounts


@command(roles=FINANCE)
def post_manual_entry(*, actor: Actor, on: date, memo: str, lines: Sequence[ManualLine]) -> JournalEntry:
    """Post a journal entry by hand.

    Control accounts (receivables, payables, GRNI, inventory, fixed assets, sales tax) are left to their documents: a
    manual entry there would part the account from its sub-ledger.

    Raises:
        DomainError: ``unbalanced``, ``invalid``, ``period_closed``, ``period_missing``, ``gl_mapping_missing``.
    """
    if not memo.strip():
        raise DomainError("required", "Say what the entry is for.", field="memo")
    accounts = _accounts_by_code({line.account for line in lines})
    for account in accounts.values():
        if account.type in CONTROL_TYPES:
            raise DomainError(
                "invalid",
                f"{account} is a control account: its balance is that of its documents.",
                field="account",
                hint="Enter the document instead (invoice, bill, receipt, asset, remittance).",
            )
    number = take_number("manual_entry")
    draft = JournalDraft(
        date=on,
        source_type="manual",
        source_id=int(number.removeprefix("MJ-")),
        step="entry",
        memo=memo.strip(),
        lines=tuple(PostingLine(line.account, line.debit, line.credit, line.memo) for line in lines),
    )
    (entry,) = post_drafts([Posting(draft, source_label=number)], actor=actor)
    audit.record(actor, "ledger.entry.posted", f"posted {entry.number}, {memo.strip()}, {draft.total:.2f}", entry)
    return entry


@command(roles=FINANCE)
def reverse_entry(*, actor: Actor, entry_id: int, on: date) -> JournalEntry:
    """Reverse a manual journal entry: the same lines with the sides exchanged, dated ``on``.

    Entries of documents are not reversed here: that would part the ledger from the document.

    Raises:
        DomainError: ``not_found``, ``wrong_state`` (reversed already, or not a manual entry), ``period_closed``.
    """
    entry = JournalEntry.objects.select_for_update().filter(pk=entry_id).first()
    if entry is None:
        raise DomainError("not_found", "There is no such journal entry.")
    if entry.source_type != "manual" or entry.reverses_id:
        raise DomainError(
            "wrong_state",
            f"{entry.number} books {entry.source_label}; reverse or credit that document instead.",
            field="entry",
        )
    if JournalEntry.objects.filter(reverses=entry).exists():
        raise DomainError("wrong_state", f"{entry.number} has been reversed already.", field="entry")
    if on < entry.date:
        raise DomainError("invalid", "A reversal cannot be dated before the entry it reverses.", field="on")
    (reversal,) = post_drafts([Posting(_reversed(entry, on), entry.source_label)], actor=actor, reverses={0: entry})
    audit.record(actor, "ledger.entry.reversed", f"reversed {entry.number} with {reversal.number}", entry)
    return reversal


def _reversed(entry: JournalEntry, on: date) -> JournalDraft:
    """The draft that undoes ``entry``."""
    return JournalDraft(
        date=on,
        source_type=entry.source_type,
        source_id=entry.source_id,
        step="reversal",
        memo=f"Reversal of {entry.number}: {entry.memo}"[:200],
        lines=tuple(
            PostingLine(
                account=line.account.code,
                debit=line.credit,
                credit=line.debit,
                memo=line.memo,
                company_key=line.company_id,
                source_line_key=line.source_line_id,
            )
            for line in entry.lines.select_related("account")
        ),
    )


@command(roles=FINANCE)
def install_chart(*, actor: Actor) -> list[Account]:
    """Install the chart of accounts an MSP starts with and the default account of each role; existing codes stay.

    Returns:
        The accounts that were added.
    """
    present = set(Account.objects.values_list("code", flat=True))
    added = Account.objects.bulk_create(
        Account(code=code, name=name, type=kind) for code, name, kind in ACCOUNTS if code not in present
    )
    accounts = {account.code: account for account in Account.objects.all()}
    held = set(DefaultAccount.objects.values_list("role", flat=True))
    DefaultAccount.objects.bulk_create(
        DefaultAccount(role=role.value, account=accounts[code])
        for role, code in DEFAULTS.items()
        if role.value not in held
    )
    audit.record(actor, "ledger.chart.installed", f"installed the chart of accounts ({len(added)} accounts added)")
    return added


@command(roles=FINANCE)
def create_account(*, actor: Actor, code: str, name: str, type: str, description: str = "") -> Account:
    """Add an account to the chart.

    Raises:
        DomainError: ``required``, ``invalid`` (unknown type), ``duplicate``.
    """
    if not code.strip() or not name.strip():
        raise DomainError(
            "required", "An account needs a code and a name.", field="code" if not code.strip() else "name"
        )
    if type not in AccountType.values:
        raise DomainError("invalid", f"{type!r} is not an account type.", field="type")
    if Account.objects.filter(code=code.strip()).exists():
        raise DomainError("duplicate", f"There is an account {code.strip()} already.", field="code")
    account = Account.objects.create(code=code.strip(), name=name.strip(), type=type, description=description.strip())
    audit.record(actor, "ledger.account.created", f"added account {account}", account)
    return account


@command(roles=FINANCE)
def update_account(
    *,
    actor: Actor,
    account_id: int,
    name: str | None = None,
    description: str | None = None,
    active: bool | None = None,
) -> Account:
    """Rename an account, describe it, or take it out of use. Its code and type stay: entries stand on them.

    Raises:
        DomainError: ``not_found``; ``conflict`` when it is a default account and would become inactive.
    """
    account = Account.objects.select_for_update().filter(pk=account_id).first()
    if account is None:
        raise DomainError("not_found", "There is no such account.")
    if active is False and account.default_for.exists():
        roles = ", ".join(default.role.replace("_", " ") for default in account.default_for.all())
        raise DomainError("conflict", f"{account} is the default account for {roles}; choose another one first.")
    before = str(account)
    changes = change(
        account,
        name=UNSET if name is None else name.strip(),
        description=UNSET if description is None else description.strip(),
        active=UNSET if active is None else active,
    )
    if not account.name:
        raise DomainError("required", "An account needs a name.", field="name")
    if not changes:
        audit.record_nothing()
        return account
    account.save(update_fields=["name", "description", "active"])
    audit.record(
        actor, "ledger.account.changed", f"changed account {before} to {account}", account, active=account.active
    )
    return account


@command(roles=FINANCE)
def set_default_account(*, actor: Actor, role: str, account_id: int) -> DefaultAccount:
    """Choose the account of a role where no GL mapping says otherwise.

    Raises:
        DomainError: ``not_found``; ``invalid`` when the account's type cannot play the role.
    """
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        raise DomainError("not_found", "There is no such account.", field="account")
    check_account_plays(role, account)
    if (default := DefaultAccount.objects.filter(role=role, account=account).first()) is not None:
        audit.record_nothing()
        return default
    default, _ = DefaultAccount.objects.update_or_create(role=role, defaults={"account": account})
    audit.record(
        actor, "ledger.default_account.set", f"made {account} the default for {role.replace('_', ' ')}", account
    )
    return default


def check_account_plays(role: str, account: Account) -> None:
    """Refuse an account whose type cannot play ``role``.

    Raises:
        DomainError: ``invalid``.
    """
    if role not in {known.value for known in GlRole}:
        raise DomainError("invalid", f"{role!r} is not a role of the general ledger.", field="role")
    if not account.active:
        raise DomainError("invalid", f"{account} is inactive.", field="account")
    types = ROLE_TYPES[GlRole(role)]
    if account.type not in types:
        wanted = " or ".join(sorted(AccountType(kind).label for kind in types))
        raise DomainError(
            "invalid",
            f"{account} is of type {account.get_type_display()}; {role.replace('_', ' ')} takes {wanted}.",
            field="account",
        )


@command(roles=FINANCE)
def open_periods(*, actor: Actor, first: date, months: int = 12) -> list[AccountingPeriod]:
    """Open calendar months from the month of ``first`` on; those that exist stay as they are.

    Returns:
        The periods that were added.

    Raises:
        DomainError: ``invalid`` when ``months`` is not from 1 to 240.
    """
    if not 1 <= months <= 240:
        raise DomainError("invalid", "Open between 1 and 240 months at once.", field="months")
    starts = [add_months(month_start(first), offset) for offset in range(months)]
    present = set(AccountingPeriod.objects.filter(start__in=starts).values_list("start", flat=True))
    added = AccountingPeriod.objects.bulk_create(
        AccountingPeriod(start=start, end=add_months(start, 1)) for start in starts if start not in present
    )
    audit.record(
        actor, "ledger.periods.opened", f"opened {len(added)} periods from {starts[0]:%b %Y} to {starts[-1]:%b %Y}"
    )
    return added


@command(roles=FINANCE)
def close_period(*, actor: Actor, period_id: int) -> AccountingPeriod:
    """Close a period: nothing can be posted in it. All earlier periods must be closed.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when closed already or when an earlier one is open.
    """
    period = _locked_period(period_id)
    check_transition("period", f"{period.start:%B %Y}", period.status, PeriodStatus.CLOSED)
    earlier = AccountingPeriod.objects.filter(start__lt=period.start, status=PeriodStatus.OPEN).first()
    if earlier is not None:
        raise DomainError("wrong_state", f"Close {earlier.start:%B %Y} first; periods are closed in order.")
    period.status = PeriodStatus.CLOSED
    period.save(update_fields=["status"])
    audit.record(actor, "ledger.period.closed", f"closed {period.start:%B %Y}", period)
    return period


@command(roles=(Role.OWNER,))
def reopen_period(*, actor: Actor, period_id: int) -> AccountingPeriod:
    """Reopen a closed period. All later periods must be open, and only the owner may.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when open already or when a later one is closed.
    """
    period = _locked_period(period_id)
    check_transition("period", f"{period.start:%B %Y}", period.status, PeriodStatus.OPEN)
    later = AccountingPeriod.objects.filter(start__gt=period.start, status=PeriodStatus.CLOSED).last()
    if later is not None:
        raise DomainError("wrong_state", f"Reopen {later.start:%B %Y} first; periods are reopened from the last one.")
    period.status = PeriodStatus.OPEN
    period.save(update_fields=["status"])
    audit.record(actor, "ledger.period.reopened", f"reopened {period.start:%B %Y}", period)
    return period


def _locked_period(period_id: int) -> AccountingPeriod:
    period = AccountingPeriod.objects.select_for_update().filter(pk=period_id).first()
    if period is None:
        raise DomainError("not_found", "There is no such accounting period.")
    return period
