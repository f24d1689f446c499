"""The leak board: what was found, mended, accepted and is open, by customer, vendor, cause and month."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.matching.licences import SIMPLE, billed, csv_of, licence, reconciled
from tests.world import SALES, World

from counterfoil.core.money import ZERO
from counterfoil.matching.fixing import fix_line
from counterfoil.matching.leaks import Dollars, leak_totals, leaks_by, leaks_over_months
from counterfoil.matching.models import MatchException

pytestmark = pytest.mark.django_db
D = Decimal

#: Customer, vendor, cause, dollars a month, over the term, status, found in, settled in.
BOARD = (
    ("acme", "ingram", "under_billed", 100, 1200, "open", 1, None),
    ("acme", "ingram", "under_billed", 50, 50, "mended", 1, 3),
    ("globex", "ingram", "term", 0, 600, "overridden", 2, 2),
    ("globex", "dell", "unit_cost", 30, 360, "open", 3, None),
    ("acme", "dell", "over_billed", -40, -40, "open", 2, None),
    ("acme", "dell", "purchase_order_missing", 0, 0, "open", 2, None),
)


@pytest.fixture
def board(world: World) -> World:
    for index, (company, vendor, code, monthly, over_term, status, found, settled) in enumerate(BOARD):
        MatchException.objects.create(
            key=str(index), kind="reconciliation" if "billed" in code else "quote", code=code, status=status,
            company=getattr(world, company), vendor=getattr(world, vendor), monthly=monthly, over_term=over_term,
            message="-", found_at=day(found), settled_at=day(settled) if settled else None,
        )  # fmt: skip
    return world


def day(month: int) -> datetime:
    return datetime(2026, month, 20, 12, tzinfo=UTC)


def of(count: int, monthly: int, over_term: int) -> Dollars:
    return Dollars(count, D(monthly), D(over_term))


def test_what_was_found_is_open_mended_or_overridden(board: World) -> None:
    totals = leak_totals()
    assert totals.found == of(4, 180, 2210)
    assert (totals.open, totals.mended, totals.overridden) == (of(2, 130, 1560), of(1, 50, 50), of(1, 0, 600))
    assert totals.overcharged == of(1, 40, 40)
    assert leak_totals(kind="quote").found == of(2, 30, 960)
    assert leak_totals(since=date(2026, 2, 1), through=date(2026, 2, 28)).found == of(1, 0, 600)
    assert leak_totals(company_id=board.acme.pk, vendor_id=board.ingram.pk).found == of(2, 150, 1250)


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (
            "company",
            [("Acme Corp", of(2, 150, 1250), of(1, 100, 1200)), ("Globex Ltd", of(2, 30, 960), of(1, 30, 360))],
        ),
        (
            "vendor",
            [("Ingram Micro", of(3, 150, 1850), of(1, 100, 1200)), ("Dell Direct", of(1, 30, 360), of(1, 30, 360))],
        ),
        (
            "code",
            [
                ("under_billed", of(2, 150, 1250), of(1, 100, 1200)),
                ("unit_cost", of(1, 30, 360), of(1, 30, 360)),
                ("term", of(1, 0, 600), Dollars(0, ZERO, ZERO)),
            ],
        ),
        ("kind", [("reconciliation", of(2, 150, 1250), of(1, 100, 1200)), ("quote", of(2, 30, 960), of(1, 30, 360))]),
    ],
)  # fmt: skip
def test_by_customer_vendor_and_cause(board: World, by: Any, expected: list[tuple[str, Dollars, Dollars]]) -> None:
    assert [(row.name, row.found, row.open) for row in leaks_by(by)] == expected
    assert [row.name for row in leaks_by(by, limit=1)] == [expected[0][0]]


def test_over_months_what_is_open_at_each_end(board: World) -> None:
    months = leaks_over_months(through=date(2026, 4, 5), months=5)
    assert [(row.month, row.found, row.mended, row.overridden, row.open) for row in months] == [
        (date(2025, 12, 1), of(0, 0, 0), of(0, 0, 0), of(0, 0, 0), of(0, 0, 0)),
        (date(2026, 1, 1), of(2, 150, 1250), of(0, 0, 0), of(0, 0, 0), of(2, 150, 1250)),
        (date(2026, 2, 1), of(1, 0, 600), of(0, 0, 0), of(1, 0, 600), of(2, 150, 1250)),
        (date(2026, 3, 1), of(1, 30, 360), of(1, 50, 50), of(0, 0, 0), of(2, 130, 1560)),
        (date(2026, 4, 1), of(0, 0, 0), of(0, 0, 0), of(0, 0, 0), of(2, 130, 1560)),
    ]
    assert leaks_over_months(through=date(2026, 4, 5), months=2) == months[-2:]
    assert leaks_over_months(through=date(2026, 4, 5))[-1].open == leak_totals().open


def test_a_reconciliation_stands_on_the_board_until_it_is_mended(world: World) -> None:
    billed(world, licence(world), 10)
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 12, 18)))
    assert leak_totals().open == of(1, 44, 44)
    exception = MatchException.objects.get()
    mended = datetime(2026, 4, 3, tzinfo=UTC)
    fix_line(actor=SALES, exception_id=exception.pk, effective_date=date(2026, 3, 1), now=mended)
    assert (leak_totals().open, leak_totals().mended) == (of(0, 0, 0), of(1, 44, 44))


def test_what_is_found_in_the_evening_counts_on_that_day(world: World) -> None:
    """Half past nine in New York on the last of March is April in UTC."""
    evening = datetime(2026, 4, 1, 1, 30, tzinfo=UTC)
    MatchException.objects.create(
        key="evening", kind="quote", code="term", monthly=10, over_term=120, message="-", found_at=evening
    )
    (march,) = leaks_over_months(through=date(2026, 3, 31), months=1)
    assert march.found == march.open == of(1, 10, 120)
    assert leak_totals(since=date(2026, 4, 1)).found == of(0, 0, 0)
