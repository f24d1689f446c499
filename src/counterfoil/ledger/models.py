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
from counterfoil.platform.guards import kept_while_used, references
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
        triggers = [kept_while_used(ledger_journalline="account_id")]

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
            kept_while_used(ledger_journalentry="period_id"),
        ]

    def __str__(self) -> str:
        return f"{self.start:%b %Y}"


# The guards of the journal look at all rows of a statement at once. Queries on tables that grow are planned at each run
# (EXECUTE): a plan that was kept from an empty table would be slow for ever.

#: Locks the periods first, shared: whoever closes one waits, or has closed it before it is looked at.
_ENTRIES_IN_OPEN_PERIODS = """
    PERFORM 1 FROM ledger_accountingperiod
    WHERE id IN (SELECT period_id FROM new_rows) ORDER BY id FOR SHARE;
    SELECT e.*, p.start AS period_start, p.status,
        CASE WHEN e.first < p.start THEN e.first ELSE e.last END AS outside
    INTO bad
    FROM (SELECT period_id, min(date) AS first, max(date) AS last FROM new_rows GROUP BY period_id) e
    LEFT JOIN ledger_accountingperiod p ON p.id = e.period_id
    WHERE p.id IS NULL OR p.status <> 'open' OR e.first < p.start OR e.last >= p."end"
    ORDER BY e.first LIMIT 1;
    IF bad.period_id IS NULL THEN
        RETURN NULL;
    ELSIF bad.status IS NULL THEN
        RAISE EXCEPTION 'counterfoil:period_missing: There is no accounting period with the id %.', bad.period_id;
    ELSIF bad.status <> 'open' THEN
        RAISE EXCEPTION 'counterfoil:period_closed: % is closed; nothing can be posted on %.',
            to_char(bad.period_start, 'FMMonth YYYY'), bad.first;
    END IF;
    RAISE EXCEPTION 'counterfoil:invalid: an entry is dated % but booked in the period from %',
        bad.outside, bad.period_start;
"""

#: LATERAL looks up the lines of each entry by their index, however many there are of others.
_ENTRIES_ARE_WHOLE = """
    EXECUTE $query$
        SELECT e.number, e.line_count, e.total, found.lines, found.debits, found.credits
        FROM new_rows e CROSS JOIN LATERAL (
            SELECT count(*) AS lines, coalesce(sum(debit), 0) AS debits, coalesce(sum(credit), 0) AS credits
            FROM ledger_journalline WHERE entry_id = e.id
        ) found
        WHERE found.lines <> e.line_count OR found.debits <> e.total OR found.credits <> e.total
        LIMIT 1
    $query$ INTO bad;
    IF bad.lines <> bad.line_count THEN
        RAISE EXCEPTION 'counterfoil:unbalanced: entry % has % lines instead of %',
            bad.number, bad.lines, bad.line_count;
    ELSIF bad.number IS NOT NULL THEN
        RAISE EXCEPTION 'counterfoil:unbalanced: entry % of % does not balance: debits %, credits %.',
            bad.number, bad.total, bad.debits, bad.credits;
    END IF;
    RETURN NULL;
"""

#: An entry that is there has all its lines. Keys lie together, so a range of the entries' index is all that is read.
_LINES_BEFORE_ENTRIES = """
    EXECUTE $query$
        SELECT e.number FROM ledger_journalentry e
        WHERE e.id BETWEEN (SELECT min(entry_id) FROM new_rows) AND (SELECT max(entry_id) FROM new_rows)
            AND e.id IN (SELECT entry_id FROM new_rows)
        LIMIT 1
    $query$ INTO late;
    IF late IS NOT NULL THEN
        RAISE EXCEPTION 'counterfoil:posted_is_locked: entry % is posted and takes no further lines.', late;
    END IF;
    RETURN NULL;
"""


def _once_a_statement(name: str, declare: list[tuple[str, str]], func: str) -> pgtrigger.Trigger:
    """A guard over all rows of an insert, which it finds in ``new_rows``."""
    return pgtrigger.Trigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.After,
        operation=pgtrigger.Insert,
        referencing=pgtrigger.Referencing(new="new_rows"),  # type: ignore[no-untyped-call]
        declare=declare,
        func=func,
    )


class JournalEntry(models.Model):
    """A posted journal entry, written after its lines: an entry that is there is whole.

    ``(source_type, source_id, step, version)`` is the business fact it books, once: version 2 follows after version 1
    was reversed. ``line_count`` and ``total`` (the sum of the debits) seal the entry: the database refuses lines that
    do not add up to them.
    """

    number = models.CharField(max_length=15)
    date = models.DateField(db_index=True)
    period = models.ForeignKey(
        AccountingPeriod,
        on_delete=models.PROTECT,
        related_name="entries",
        db_constraint=False,  # the guard of open periods sees that it is there
        db_index=False,  # its entries are found by their date
    )
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
            models.UniqueConstraint(fields=["number"], name="journal_number_once"),
            models.UniqueConstraint(
                fields=["source_type", "source_id", "step", "version"], name="one_posting_per_document_and_step"
            ),
            models.CheckConstraint(condition=Q(line_count__gte=2), name="entry_has_two_lines"),
            models.CheckConstraint(condition=Q(total__gt=0), name="entry_total_positive"),
        ]
        triggers = [
            pgtrigger.Protect(name="entry_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            _once_a_statement("entries_in_open_periods", [("bad", "RECORD")], _ENTRIES_IN_OPEN_PERIODS),
            _once_a_statement("entries_are_whole", [("bad", "RECORD")], _ENTRIES_ARE_WHOLE),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.memo}"


class JournalLine(models.Model):
    """One side of a journal entry on one account.

    Lines are written before their entry, whose key is taken in advance; the foreign key is looked at when all is
    committed. It is the only one: each costs more than writing the row, so accounts and companies are checked for all
    lines of a statement together.
    """

    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="lines", db_index=False)
    position = models.PositiveIntegerField()
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="lines", db_constraint=False)
    debit = money_field(default=0)
    credit = money_field(default=0)
    memo = models.CharField(max_length=200, blank=True)
    company = models.ForeignKey(
        "companies.Company",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="The customer or vendor, on receivables, payables and GRNI.",
    )
    source_line_id = models.BigIntegerField(null=True, help_text="The line of the source document, if one.")

    class Meta:
        ordering = ["entry_id", "position"]
        indexes = [models.Index(fields=["company"], condition=Q(company__isnull=False), name="lines_of_company")]
        constraints = [
            models.UniqueConstraint(fields=["entry", "position"], name="line_position_once_per_entry"),
            models.CheckConstraint(
                condition=(Q(debit__gt=0) & Q(credit=0)) | (Q(credit__gt=0) & Q(debit=0)), name="line_has_one_side"
            ),
        ]
        triggers = [
            pgtrigger.Protect(name="line_is_posted", operation=pgtrigger.Update | pgtrigger.Delete),
            _once_a_statement("lines_before_entries", [("late", "TEXT")], _LINES_BEFORE_ENTRIES),
            *references(account_id="ledger_account", company_id="companies_company"),
        ]
