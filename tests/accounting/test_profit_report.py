"""What agreements earn and what work was worth by them, from invoices and time entries."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from tests.trade import NOW
from tests.usage.world import covering, engineer, time
from tests.world import FINANCE, SALES, World

from counterfoil.accounting.profit_report import agreement_profit, work_value
from counterfoil.accounting.reports import run
from counterfoil.agreements.additions import AdditionInput
from counterfoil.agreements.commands import add_addition
from counterfoil.agreements.models import Agreement
from counterfoil.billing.commands import close_invoice, invoice_agreement
from counterfoil.catalog.models import WorkRole

pytestmark = pytest.mark.django_db

JAN_1, JAN_31 = date(2026, 1, 1), date(2026, 1, 31)


def managed(world: World, price: str, cost: str) -> Agreement:
    """An agreement that covers time without limit and bills one addition on 1 January."""
    agreement = covering(world, application_unlimited=True)
    add_addition(
        actor=SALES,
        agreement_id=agreement.pk,
        addition=AdditionInput(product_id=world.lease.pk, unit_price=D(price), unit_cost=D(cost), effective_date=JAN_1),
    )
    draft = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    return agreement


def test_we_32_profit_margin_and_effective_rate(world: World) -> None:
    agreement = managed(world, "5000", "1200")
    engineer()
    for day in range(5, 10):
        time(world.acme, date(2026, 1, day), "8", agreement)

    (row,) = agreement_profit(first=JAN_1, last=JAN_31)

    earned = row.earned
    assert (earned.billed, earned.additions_cost, earned.hours) == (D(5000), D(1200), D(40))
    assert (earned.labour_cost, earned.profit, earned.margin) == (D(1400), D(2400), D("0.48"))
    assert (earned.effective_rate, earned.contribution) == (D(95), D(60))
    assert agreement_profit(first=date(2026, 2, 1), last=date(2026, 2, 28)) == ()


def test_we_4_work_beyond_the_limit_is_written_down_by_its_share(world: World) -> None:
    agreement = covering(world, "amount", "500")
    engineer()
    time(world.acme, date(2026, 1, 5), "2", agreement)
    time(world.acme, date(2026, 1, 6), "4", agreement, rate=D(150))

    rows = work_value(first=JAN_1, last=JAN_31)

    assert [(row.value, row.share, row.effective_rate) for row in rows] == [
        (D(200), D(125), D("83.33")),
        (D(600), D(375), D("83.33")),
    ]


def test_hours_without_a_cost_are_said_to_be_doubtful(world: World) -> None:
    agreement = managed(world, "100", "0")
    WorkRole.objects.create(name="Engineer", hourly_rate=D(100))
    time(world.acme, date(2026, 1, 5), "1", agreement)

    table = run("agreement-profit", {"from": "2026-01-01", "to": "2026-01-31"}, on=JAN_31)

    assert "hourly cost" in str(table.rows[0].cells[-1])
    assert table.totals is not None
    assert table.totals.cells[3] == D(100)
