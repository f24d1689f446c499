"""Chart of accounts, accounting periods and the journal.

Guards that live in the database, so that a bug cannot pass them: an entry balances and is complete, it lies in an open
period, and nobody changes or deletes it. What was wrong is reversed by another entry.
"""

from __future__ import annotations

import pgtrigger
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateRangeField, RangeOperators
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from counterfoil.core.states import allowed
from counterfoil.platform.fields import money_field
from counterfoil.platform.history import keep_history


class AccountType(models.TextChoices):
    """What an account is; it decides the statement, the side it grows on, and the sub-ledger that must tie to it."""

    BANK = "bank", "Bank"
    RECEIVABLE = "accounts_receivable", "Accounts receivable"
    CURRENT_ASSET = "other_current_asset", "Other current asset"
    INVENTORY = "inventory", "Inventory"
    FIXED_ASSET = "fixed_asset", "Fixed asset"
    ACCUMULATED_DEPRECIATION = "accumulated_depreciation", "Accumulated depreciation"
    PAYABLE = "accounts_payable", "Accounts payable"
    GRNI = "goods_received_not_invoiced", "Goods received, not invoiced"
    CURRENT_LIABILITY = "other_current_liability", "Other current liability"
    SALES_TAX = "sales_tax_payable", "Sales tax payable"
    DEFERRED_REVENUE = "deferred_revenue", "Deferred revenue"
    LONG_TERM_LIABILITY = "long_term_liability", "Long-term liability"
    EQUITY = "equity", "Equity"
    INCOME = "income", "Income"
    COGS = "cost_of_goods_sold", "Cost of goods sold"
    EXPENSE = "expense", "Expense"
    OTHER_INCOME = "other_income", "Other income"
    OTHER_EXPENSE = "other_expense", "Other expense"


#: Account types of the profit and loss statement; all others stand on the balance sheet.
PROFIT_AND_LOSS_TYPES = frozenset(
    {
        AccountType.INCOME,
        AccountType.COGS,
        AccountType.EXPENSE,
        AccountType.OTHER_INCOME,
        AccountType.OTHER_EXPENSE,
    }
)

#: Account types that grow on the debit side (accumulated depreciation is an asset that grows on the credit side).
DEBIT_TYPES = frozenset(
    {
        AccountType.BANK,
        AccountType.RECEIVABLE,
        AccountType.CURRENT_ASSET,
        AccountType.INVENTORY,
        AccountType.FIXED_ASSET,
        AccountType.COGS,
        AccountType.EXPENSE,
        AccountType.OTHER_EXPENSE,
    }
)


@keep_history
class Account(models.Model):
    """An account of the chart."""

    code = models.CharField(max_length=10, unique=True)
    name = models.CharField(max_length=60)
    type = models.CharField(max_length=30, choices=AccountType.choices)
    description = models.CharField(max_length=200, blank=True)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ["code"]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


@keep_history
class DefaultAccount(models.Model):
    """The account of a role (receivables, COGS, ...) where no mapping says otherwise."""

    role = models.CharField(max_length=40, primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="default_for")

    def __str__(self) -> str:
        return f"{self.role}: {self.account}"


class PeriodStatus(models.TextChoices):
    """Whether a period takes entries."""

    OPEN = "open", "Open"
    CLOSED = "closed", "Closed"


class DateRange(models.Func):
    """``daterange(start, end)``: half-open, as all periods are."""

    function = "DATERANGE"
    output_field = DateRangeField()


@keep_history
class AccountingPeriod(models.Model):
    """A calendar month of the books, half-open ``[start, end)``. Periods never overlap."""

    start = models.DateField(unique=True)
    end = models.DateField()
    status = models.CharField(max_length=6, choices=PeriodStatus.choices, default=PeriodStatus.OPEN)

    class Meta:
        ordering = ["start"]
        constraints = [
            models.CheckConstraint(condition=Q(end__gt=F("start")), name="period_ends_after_start"),
            ExclusionConstraint(
                name="periods_do_not_overlap",
                expressions=[(DateRange("start", "end"), RangeOperators.OVERLAPS)],
            ),
        ]
        triggers = [
            pgtrigger.FSM(name="period_status", field="status", transitions=sorted(allowed("period"))),
        ]

    def __str__(self) -> str:
        return f"{self.start:%b %Y}"


class JournalEntry(models.Model):
    """A posted journal entry.

    ``(source_type, source_id, step, version)`` is the business fact it books, once: version 2 follows after version 1
    was reversed. ``line_count`` and ``total`` (the sum of the debits) seal the entry: the database refuses lines that
    do not add up to them.
    """

    number = models.CharField(max_length=15, unique=True)
    date = models.DateField(db_index=True)
    period = models.ForeignKey(AccountingPeriod, on_delete=models.PROTECT, related_name="entries")
    source_type = models.CharField(max_length=30, help_text="What it books: invoice, receipt, vendor_bill, asset, ...")
    source_id = models.BigIntegerField()
    source_label = models.CharField(max_length=60, help_text="The source's number, as people know it.")
    step = models.CharField(max_length=30)
    version = models.PositiveSmallIntegerField(default=1)
    memo = models.CharField(max_length=200)
    line_count = models.PositiveIntegerField()
    total = money_field()
    reverses = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="reversed_by")
    posted_at = models.DateTimeField(db_default=Now())
    posted_by = models.CharField(max_length=200)

    class Meta:
        ordering = ["date", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["source_type", "source_id", "step", "version"], name="one_posting_per_document_and_step"
            ),
            models.CheckConstraint(condition=Q(line_count__gte=2), name="entry_has_two_lines"),
            models.CheckConstraint(condition=Q(total__gt=0), name="entry_total_positive"),
        ]
        triggers = [
            pgtrigger.Protect(name="entry_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="entry_in_open_period",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("period_row", "RECORD")],
                func="""
                    SELECT * INTO period_row FROM ledger_accountingperiod WHERE id = NEW.period_id FOR SHARE;
                    IF NEW.date < period_row.start OR NEW.date >= period_row."end" THEN
                        RAISE EXCEPTION 'counterfoil:invalid: entry % is dated % but booked in the period from %',
                            NEW.number, NEW.date, period_row.start;
                    END IF;
                    IF period_row.status <> 'open' THEN
                        RAISE EXCEPTION 'counterfoil:period_closed: % is closed; nothing can be posted on %.',
                            to_char(period_row.start, 'FMMonth YYYY'), NEW.date;
                    END IF;
                    RETURN NEW;
                """,
            ),
            pgtrigger.Trigger(
                name="entry_is_complete",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                declare=[("found", "INTEGER")],
                func="""
                    SELECT count(*) INTO found FROM ledger_journalline WHERE entry_id = NEW.id;
                    IF found <> NEW.line_count THEN
                        RAISE EXCEPTION 'counterfoil:unbalanced: entry % has % lines instead of %',
                            NEW.number, found, NEW.line_count;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.memo}"


class JournalLine(models.Model):
    """One side of a journal entry on one account."""

    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="lines")
    debit = money_field(default=0)
    credit = money_field(default=0)
    memo = models.CharField(max_length=200, blank=True)
    company = models.ForeignKey(
        "companies.Company",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="The customer or vendor, on receivables, payables and GRNI.",
    )
    source_line_id = models.BigIntegerField(null=True, help_text="The line of the source document, if one.")

    class Meta:
        ordering = ["entry_id", "position"]
        constraints = [
            models.UniqueConstraint(fields=["entry", "position"], name="line_position_once_per_entry"),
            models.CheckConstraint(
                condition=(Q(debit__gt=0) & Q(credit=0)) | (Q(credit__gt=0) & Q(debit=0)), name="line_has_one_side"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="line_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="lines_balance",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="new_lines"),  # type: ignore[no-untyped-call]
                declare=[("bad", "RECORD")],
                func="""
                    SELECT e.number, sum(l.debit) AS debits, sum(l.credit) AS credits INTO bad
                    FROM ledger_journalentry e JOIN ledger_journalline l ON l.entry_id = e.id
                    WHERE e.id IN (SELECT DISTINCT entry_id FROM new_lines)
                    GROUP BY e.id, e.number, e.total, e.line_count
                    HAVING sum(l.debit) <> sum(l.credit) OR sum(l.debit) <> e.total OR count(*) <> e.line_count
                    LIMIT 1;
                    IF FOUND THEN
                        RAISE EXCEPTION 'counterfoil:unbalanced: entry % does not balance: debits %, credits %.',
                            bad.number, bad.debits, bad.credits;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]
