"""The tables of the page on agreements are what the commands and queries give."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.agreements.records import make, only
from tests.docs.test_tables import amount, table
from tests.world import SALES, build_world

from counterfoil.agreements import queries
from counterfoil.agreements.commands import AdditionInput, change_addition

pytestmark = pytest.mark.django_db


def test_the_history_of_an_addition() -> None:
    msp = build_world()
    agreement = make(msp, AdditionInput(msp.lease.pk, Decimal(10), Decimal(20)))
    for row in table("agreements.md", "action"):
        given = {
            name: amount(row[column])
            for name, column in (("quantity", "quantity"), ("unit_price", "price"))
            if row[column]
        }
        on = date.fromisoformat(row["from"])
        change_addition(actor=SALES, addition_id=only(agreement).pk, on=on, **given)
    (history,) = (row.spans for row in queries.timeline(agreement_id=agreement.pk, on=date(2026, 1, 1)))
    assert [
        (date.fromisoformat(row["from day"]), amount(row["units"]), amount(row["each"]), amount(row["a cycle"]))
        for row in table("agreements.md", "from day")
    ] == [(span.first, span.quantity, span.unit_price, span.amount) for span in history]


def test_the_states_that_pages_show() -> None:
    assert [row["state"] for row in table("agreements.md", "state")] == [
        *(queries.STATES[state] for state in ("inactive", "active", "expired", "cancelled")),
        "Used up",  # counterfoil.usage.queries.used_up: by what it covered, not by its dates
    ]
