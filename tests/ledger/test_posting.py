"""The ledger takes what balances, in open periods, once, and never changes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError, IntegrityError
from tests.world import FINANCE, OWNER, VIEWER, World

from counterfoil.core.errors import DomainError
from counterfoil.ledger.commands import (
    ManualLine,
    close_period,
    create_account,
    open_periods,
    post_manual_entry,
    reopen_period,
    reverse_entry,
    set_default_account,
    update_account,
)
from counterfoil.ledger.models import Account, AccountingPeriod, JournalEntry, JournalLine
from counterfoil.ledger.queries import balance_sheet, profit_and_loss, trial_balance
from counterfoil.platform.copying import copy_rows, take_ids

RENT = (ManualLine("6100", debit=Decimal("500")), ManualLine("1000", credit=Decimal("500")))
JAN = date(2026, 1, 31)
INSERT_LINES = "INSERT INTO ledger_journalline (entry_id, position, account_id, debit, credit, memo)"


def test_manual_entry_is_posted_and_shows_on_the_statements(world: World) -> None:
    entry = post_manual_entry(actor=FINANCE, on=JAN, memo="Rent January", lines=RENT)

    assert entry.number == "JE-0001"
    assert [(r.code, r.debit, r.credit) for r in trial_balance(through=JAN)] == [
        ("1000", Decimal("0"), Decimal("500")),
        ("6100", Decimal("500"), Decimal("0")),
    ]
    profit = profit_and_loss(first=JAN, last=date(2026, 2, 28))
    assert profit.row("Net profit").amounts == (Decimal("-500"), Decimal("0"))
    sheet = balance_sheet(first=JAN, last=date(2026, 2, 28))
    assert sheet.row("Total assets").amounts == (Decimal("-500"), Decimal("-500"))
    assert sheet.row("Total liabilities and equity").amounts == (Decimal("-500"), Decimal("-500"))


def test_reversal_undoes_the_entry_once(world: World) -> None:
    entry = post_manual_entry(actor=FINANCE, on=JAN, memo="Rent January", lines=RENT)
    reversal = reverse_entry(actor=FINANCE, entry_id=entry.pk, on=date(2026, 2, 1))

    assert reversal.reverses == entry
    assert trial_balance(through=date(2026, 2, 1)) == []
    with pytest.raises(DomainError, match="reversed already"):
        reverse_entry(actor=FINANCE, entry_id=entry.pk, on=date(2026, 2, 1))


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ((ManualLine("6100", debit=Decimal("5")), ManualLine("1000", credit=Decimal("4"))), "unbalanced", "4.00"),
        (
            (ManualLine("9999", debit=Decimal("5")), ManualLine("1000", credit=Decimal("5"))),
            "gl_mapping_missing",
            "9999",
        ),
        (
            (ManualLine("1100", debit=Decimal("5")), ManualLine("1000", credit=Decimal("5"))),
            "invalid",
            "control account",
        ),
        ((), "unbalanced", "no amounts"),
        (
            (ManualLine("6100", debit=Decimal("5.001")), ManualLine("1000", credit=Decimal("5.001"))),
            "invalid",
            "a cent",
        ),
    ],
)
def test_bad_manual_entries_are_refused(world: World, lines: tuple[ManualLine, ...], code: str, words: str) -> None:
    with pytest.raises(DomainError, match=words) as refusal:
        post_manual_entry(actor=FINANCE, on=JAN, memo="Bad", lines=lines)
    assert refusal.value.code == code
    assert not JournalEntry.objects.exists()


def test_only_finance_posts(world: World) -> None:
    with pytest.raises(DomainError, match="role finance or owner") as refusal:
        post_manual_entry(actor=VIEWER, on=JAN, memo="Rent", lines=RENT)
    assert refusal.value.code == "role_required"


def test_a_closed_period_takes_nothing_until_the_owner_reopens_it(world: World) -> None:
    january = AccountingPeriod.objects.get(start=date(2026, 1, 1))
    close_period(actor=FINANCE, period_id=january.pk)
    with pytest.raises(DomainError, match="January 2026 is closed"):
        post_manual_entry(actor=FINANCE, on=JAN, memo="Rent", lines=RENT)
    with pytest.raises(DomainError) as refusal:
        reopen_period(actor=FINANCE, period_id=january.pk)
    assert refusal.value.code == "role_required"

    reopen_period(actor=OWNER, period_id=january.pk)
    post_manual_entry(actor=FINANCE, on=JAN, memo="Rent", lines=RENT)


def test_periods_close_in_order_and_dates_without_period_are_refused(world: World) -> None:
    february = AccountingPeriod.objects.get(start=date(2026, 2, 1))
    with pytest.raises(DomainError, match="Close January 2026 first"):
        close_period(actor=FINANCE, period_id=february.pk)
    with pytest.raises(DomainError) as refusal:
        post_manual_entry(actor=FINANCE, on=date(2040, 1, 1), memo="Far", lines=RENT)
    assert refusal.value.code == "period_missing"
    open_periods(actor=FINANCE, first=date(2040, 1, 15), months=1)
    post_manual_entry(actor=FINANCE, on=date(2040, 1, 1), memo="Far", lines=RENT)


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE ledger_journalentry SET memo = 'other'",
        "DELETE FROM ledger_journalentry",
        "UPDATE ledger_journalline SET debit = debit + 1 WHERE debit > 0",
        "DELETE FROM ledger_journalline",
        f"{INSERT_LINES} SELECT entry_id, 9, account_id, 1, 0, '' FROM ledger_journalline LIMIT 1",
        f"{INSERT_LINES} SELECT entry_id, position + 10, account_id, debit, credit, memo FROM ledger_journalline",
    ],
)
def test_the_database_refuses_to_change_what_is_posted(world: World, sql: str) -> None:
    post_manual_entry(actor=FINANCE, on=JAN, memo="Rent", lines=RENT)
    with pytest.raises(DatabaseError), transaction.atomic():
        connection.cursor().execute(sql)


@dataclass(slots=True)
class Draft:
    """An entry to be written past all commands, as a bug would."""

    world: World
    lines: Sequence[tuple[str, str, str]] = (("1000", "5", "0"), ("6100", "0", "5"))
    total: str = "5"
    count: int = 2
    on: date = JAN
    period: date = date(2026, 1, 1)
    source_id: int = 99
    id: int = field(default_factory=lambda: take_ids(JournalEntry, 1)[0])

    def write_lines(self, *, first: int = 1) -> None:
        accounts = {account.code: account for account in Account.objects.all()}
        JournalLine.objects.bulk_create(
            JournalLine(
                entry_id=self.id,
                position=position,
                account=accounts[code],
                debit=Decimal(debit),
                credit=Decimal(credit),
            )
            for position, (code, debit, credit) in enumerate(self.lines, start=first)
        )

    def entry(self) -> JournalEntry:
        return JournalEntry(
            id=self.id, number=f"JE-X{self.id}", date=self.on, period=AccountingPeriod.objects.get(start=self.period),
            source_type="manual", source_id=self.source_id, source_label="x", step="entry", memo="x",
            line_count=self.count, total=Decimal(self.total), posted_by="x",
        )  # fmt: skip

    def write(self) -> None:
        self.write_lines()
        JournalEntry.objects.bulk_create([self.entry()])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"lines": [("1000", "5", "0"), ("6100", "0", "4.99")]}, "does not balance: debits 5.0000, credits 4.9900"),
        ({"total": "6"}, "of 6.0000 does not balance: debits 5.0000, credits 5.0000"),
        ({"count": 3}, "has 2 lines instead of 3"),
        ({"lines": []}, "has 0 lines instead of 2"),
        ({"on": date(2026, 2, 1)}, "dated 2026-02-01 but booked in the period from 2026-01-01"),
        ({"on": date(2025, 12, 31)}, "dated 2025-12-31 but booked in the period from 2026-01-01"),
    ],
)
def test_the_database_refuses_a_wrong_entry(world: World, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(DatabaseError, match=said), transaction.atomic():
        Draft(world, **wrong).write()
    Draft(world).write()


def test_the_database_sees_the_wrong_entry_among_many(world: World) -> None:
    drafts = [Draft(world, source_id=n) for n in range(200)]
    drafts[137].count = 3
    for draft in drafts:
        draft.write_lines()
    with pytest.raises(DatabaseError, match=f"JE-X{drafts[137].id} has 2 lines instead of 3"), transaction.atomic():
        JournalEntry.objects.bulk_create(draft.entry() for draft in drafts)

    drafts[137].count, drafts[44].on = 2, date(2026, 2, 28)
    with pytest.raises(DatabaseError, match="dated 2026-02-28"), transaction.atomic():
        JournalEntry.objects.bulk_create(draft.entry() for draft in drafts)
    drafts[44].on = JAN
    JournalEntry.objects.bulk_create(draft.entry() for draft in drafts)


def test_the_database_refuses_a_closed_and_an_unknown_period(world: World) -> None:
    draft = Draft(world, on=date(2026, 1, 5))
    stray = draft.entry()
    stray.period_id = 0
    with transaction.atomic():
        draft.write_lines()
        with pytest.raises(DatabaseError, match="no accounting period with the id 0"), transaction.atomic():
            JournalEntry.objects.bulk_create([stray])
        transaction.set_rollback(True)

    close_period(actor=FINANCE, period_id=AccountingPeriod.objects.get(start=date(2026, 1, 1)).pk)
    draft.write_lines()
    with pytest.raises(DatabaseError, match="January 2026 is closed; nothing can be posted on 2026-01-05"):
        JournalEntry.objects.bulk_create([draft.entry()])


def test_the_database_refuses_further_lines_of_an_entry_even_if_they_balance(world: World) -> None:
    draft = Draft(world)
    draft.write()
    with pytest.raises(DatabaseError, match=f"JE-X{draft.id} is posted and takes no further lines"):
        draft.write_lines(first=3)


def test_the_database_refuses_lines_whose_entry_never_comes(world: World) -> None:
    Draft(world).write_lines()
    with pytest.raises(IntegrityError, match="entry_id"):
        connection.check_constraints()
    transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("column", "said"), [("account_id", "no account with the id 0"), ("company_id", "no company with the id 0")]
)
def test_the_database_refuses_lines_on_what_is_not_there(world: World, column: str, said: str) -> None:
    bank = Account.objects.get(code="1000").pk
    row = {"entry_id": 1, "position": 1, "account_id": bank, "debit": 1, "credit": 0, "memo": "", "company_id": None}
    with pytest.raises(DatabaseError, match=said):
        copy_rows(JournalLine, list(row), [row.values(), {**row, "position": 2, column: 0}.values()])


def test_what_the_journal_names_stays(world: World) -> None:
    post_manual_entry(actor=FINANCE, on=JAN, memo="Rent", lines=RENT)
    spare = create_account(actor=FINANCE, code="6150", name="Telephone", type="expense")
    for sql in (
        "DELETE FROM ledger_account WHERE code = '6100'",
        "UPDATE ledger_account SET id = id + 1000 WHERE code = '6100'",
        "DELETE FROM ledger_accountingperiod WHERE start = '2026-01-01'",
    ):
        with pytest.raises(DatabaseError, match="It is in use"), transaction.atomic():
            connection.cursor().execute(sql)
    spare.delete()
    AccountingPeriod.objects.get(start=date(2026, 12, 1)).delete()


def test_the_chart_can_be_edited_within_reason(world: World) -> None:
    phone = create_account(actor=FINANCE, code="6150", name="Telephone", type="expense")
    update_account(actor=FINANCE, account_id=phone.pk, name="Telephone and internet", active=False)
    with pytest.raises(DomainError, match="6150"):
        create_account(actor=FINANCE, code="6150", name="Again", type="expense")
    with pytest.raises(DomainError, match="inactive"):
        post_manual_entry(
            actor=FINANCE, on=JAN, memo="Phone",
            lines=(ManualLine("6150", debit=Decimal("5")), ManualLine("1000", credit=Decimal("5"))),
        )  # fmt: skip
    bank = Account.objects.get(code="1000")
    with pytest.raises(DomainError, match="default account for bank"):
        update_account(actor=FINANCE, account_id=bank.pk, active=False)
    with pytest.raises(DomainError, match="takes Accounts receivable"):
        set_default_account(actor=FINANCE, role="accounts_receivable", account_id=bank.pk)
