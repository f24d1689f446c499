"""How many lines of depreciation a second are posted: one month of 20,000 assets, in one transaction.

Each line becomes a journal entry of two lines, its schedule's line is marked as posted, and each asset gets a statement
on its hash-chained trail. The alternatives write the same records without the trail, in the same run, each for a month
of its own: Django's ``bulk_create`` and ``bulk_update``, and a loop that saves one record after the other.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from common import cpu_seconds, installation, report

ASSETS = 20_000
MONTHS = 6
#: A loop over all of them would take minutes; its rate does not depend on their number.
IN_LOOP = 500
COST = Decimal("3600.00")
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def main(assets: int = ASSETS) -> None:
    with installation():
        prepare(assets)
        runs = [measured(lambda month=month: post(month)) for month in (1, 2, 3)]
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bulk_seconds, _ = measured(lambda: post_in_bulk(4))
        loop_seconds, _ = measured(lambda: post_in_a_loop(5))
        statements = statements_of(lambda: post(6))
        seconds = median(seconds for seconds, _ in runs)
        report(
            benchmark="depreciation",
            assets=assets,
            lines_per_second=round(assets / seconds),
            lines_per_second_of_each_run=[round(assets / seconds) for seconds, _ in runs],
            bulk_create_per_second=round(assets / bulk_seconds),
            times_bulk_create=round(bulk_seconds / seconds, 1),
            orm_loop_per_second=round(IN_LOOP / loop_seconds),
            times_orm_loop=round(loop_seconds / IN_LOOP * assets / seconds, 1),
            cpu_ms_per_line=round(1000 * median(cpu for _, cpu in runs) / assets, 3),
            statements=statements,
            statements_per_line=round(statements / assets, 4),
            peak_memory_mb=round(memory / 1024),
        )


def measured(deed: Callable[[], object]) -> tuple[float, float]:
    """Wall time, and CPU time of this process and the whole database server, in seconds."""
    cpu, started = cpu_seconds(), time.perf_counter()
    deed()
    return time.perf_counter() - started, cpu_seconds() - cpu


def statements_of(deed: Callable[[], object]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as statements:
        deed()
    return len(statements)


def last_day(month: int) -> date:
    return date(2026, month + 1, 1) - timedelta(days=1)


def prepare(count: int) -> None:
    """An MSP with ``count`` servers leased to a customer, written off over six months; only posting is measured."""
    from django.db import connection, transaction

    from counterfoil.assets.models import Asset, AssetCategory, DepreciationBook, DepreciationLine
    from counterfoil.catalog.models import Category, Product
    from counterfoil.companies.models import Company
    from counterfoil.core.depreciation import Convention, DepreciationTerms, Method, schedule
    from counterfoil.core.money import ZERO
    from counterfoil.flows.setup import set_up_msp
    from counterfoil.platform.copying import copy_rows, take_ids
    from counterfoil.platform.identity import SYSTEM
    from counterfoil.platform.numbering import take_numbers

    start = date(2026, 1, 1)
    lines = schedule(DepreciationTerms(Method.STRAIGHT_LINE, Convention.FULL_MONTH, COST, ZERO, start, MONTHS))
    set_up_msp(actor=SYSTEM, name="Northwind IT", identifier="NorthwindIT", on=start)
    customer = Company.objects.create(identifier="Acme", name="Acme Corp", account_number="ACME")
    category = AssetCategory.objects.get(name="Leased hardware")
    product = Product.objects.create(
        identifier="SRV", description="Rack server", product_class="Inventory", accounting_type="InventoryPart",
        cost=COST, price=0, category=Category.objects.get(name="Hardware"),
    )  # fmt: skip
    with transaction.atomic():
        assets, books = take_ids(Asset, count), take_ids(DepreciationBook, count)
        copy_rows(
            Asset,
            ("id", "number", "description", "category", "company", "product", "quantity", "serial_numbers", "cost",
             "in_service_date", "status", "capitalised_from", "created_at"),
            ((pk, number, "Rack server", category.pk, customer.pk, product.pk, 1, "", COST, start, "in_service",
              "inventory", NOW) for pk, number in zip(assets, take_numbers("asset", count), strict=True)),
        )  # fmt: skip
        copy_rows(
            DepreciationBook,
            ("id", "asset", "name", "method", "convention", "life_months", "salvage"),
            (
                (book, pk, "book", "straight_line", "full_month", MONTHS, 0)
                for book, pk in zip(books, assets, strict=True)
            ),
        )
        copy_rows(
            DepreciationLine,
            ("book", "sequence", "start", "end", "amount", "accumulated", "net_book_value", "explanation"),
            (
                (book, line.sequence, line.start, line.end, line.amount, line.accumulated, line.net_book_value, "")
                for book in books
                for line in lines
            ),
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def post(month: int) -> None:
    """As the page, the API and the command line do."""
    from counterfoil.assets.commands import post_depreciation
    from counterfoil.platform.identity import SYSTEM

    post_depreciation(actor=SYSTEM, through=last_day(month))


def post_in_bulk(month: int) -> None:
    """The same records by the ORM's functions for many, in one transaction."""
    from django.db import transaction

    from counterfoil.ledger.models import JournalEntry, JournalLine

    with transaction.atomic():
        lines, entries, journal_lines = records(month)
        JournalLine.objects.bulk_create(journal_lines, batch_size=1000)
        JournalEntry.objects.bulk_create(entries, batch_size=1000)
        for line, entry in zip(lines, entries, strict=True):
            line.entry = entry
        type(lines[0]).objects.bulk_update(lines, ["entry"], batch_size=1000)


def post_in_a_loop(month: int) -> None:
    """The same records one by one, in one transaction."""
    from django.db import transaction

    with transaction.atomic():
        lines, entries, journal_lines = records(month, IN_LOOP)
        for index, (line, entry) in enumerate(zip(lines, entries, strict=True)):
            for journal_line in journal_lines[2 * index : 2 * index + 2]:
                journal_line.save()
            entry.save(force_insert=True)
            line.entry = entry
            line.save(update_fields=["entry"])


def records(month: int, count: int | None = None) -> tuple[list[Any], list[Any], list[Any]]:
    """The schedules' lines of a month, and the journal entries and lines that book them, not yet written."""
    from counterfoil.assets.models import DepreciationLine
    from counterfoil.ledger.models import AccountingPeriod, JournalEntry, JournalLine
    from counterfoil.platform.copying import take_ids
    from counterfoil.platform.numbering import take_numbers

    on = last_day(month)
    period = AccountingPeriod.objects.get(start=on.replace(day=1))
    category = "book__asset__category__"
    due = DepreciationLine.objects.filter(end=on + timedelta(days=1), entry=None).order_by("book__asset")
    lines = list(due.select_related(f"{category}expense_account", f"{category}accumulated_account")[:count])
    ids, numbers = take_ids(JournalEntry, len(lines)), take_numbers("journal_entry", len(lines))
    entries, journal_lines = [], []
    for pk, number, line in zip(ids, numbers, lines, strict=True):
        asset = line.book.asset
        entries.append(
            JournalEntry(
                id=pk, number=number, date=on, period=period, source_type="asset", source_id=asset.pk,
                source_label=asset.number, step=f"depreciation:{on:%Y-%m}", memo=f"Depreciation {asset}",
                line_count=2, total=line.amount, posted_by="Benchmark",
            )
        )  # fmt: skip
        accounts = asset.category.expense_account, asset.category.accumulated_account
        journal_lines += [
            JournalLine(entry_id=pk, position=1, account=accounts[0], debit=line.amount, memo=entries[-1].memo),
            JournalLine(entry_id=pk, position=2, account=accounts[1], credit=line.amount, memo=entries[-1].memo),
        ]
    return lines, entries, journal_lines


if __name__ == "__main__":
    main()
