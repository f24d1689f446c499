"""The ledger takes what balances, in open periods, once, and never changes it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
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


def test_the_database_refuses_an_entry_that_does_not_balance(world: World) -> None:
    period = AccountingPeriod.objects.get(start=date(2026, 1, 1))
    accounts = list(Account.objects.filter(code__in=["1000", "6100"]))

    def insert(debit: str, credit: str, count: int) -> None:
        with transaction.atomic():
            entry = JournalEntry.objects.create(
                number="JE-X", date=JAN, period=period, source_type="manual", source_id=99, source_label="x",
                step="entry", memo="x", line_count=count, total=Decimal(debit), posted_by="x",
            )  # fmt: skip
            JournalLine.objects.bulk_create(
                [
                    JournalLine(entry=entry, position=1, account=accounts[0], debit=Decimal(debit)),
                    JournalLine(entry=entry, position=2, account=accounts[1], credit=Decimal(credit)),
                ]
            )

    with pytest.raises(DatabaseError, match="does not balance"):
        insert("5", "4.99", 2)
    with pytest.raises(DatabaseError, match="does not balance"):
        insert("5", "5", 3)
    insert("5", "5", 2)


def test_the_database_refuses_an_entry_without_lines(world: World) -> None:
    period = AccountingPeriod.objects.get(start=date(2026, 1, 1))

    def insert_and_commit() -> None:
        with transaction.atomic():
            JournalEntry.objects.create(
                number="JE-X", date=JAN, period=period, source_type="manual", source_id=99, source_label="x",
                step="entry", memo="x", line_count=2, total=Decimal("5"), posted_by="x",
            )  # fmt: skip
            connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")

    with pytest.raises(DatabaseError, match="has 0 lines instead of 2"):
        insert_and_commit()


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
