"""The lease as its real postings say, to its very end: sold or scrapped, its rows are those of the books."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.accounting.leases import FINANCE, lease
from tests.world import World

from counterfoil.assets.commands import dispose_asset
from counterfoil.flows.haas_lease import LeaseOption
from counterfoil.flows.lease_books import lease_books
from counterfoil.ledger.queries import balance_sheet

JANUARY, APRIL = date(2026, 1, 1), date(2026, 4, 30)


@pytest.mark.parametrize(
    ("proceeds", "april"),
    [
        ("1000", ("-2300.00", "0.00", "-2150.00", "-2150.00")),  # a loss of 2,300.00 on 3,300.00
        ("3500", ("200.00", "0.00", "350.00", "350.00")),  # a gain of 200.00
        ("0", ("-3300.00", "0.00", "-3150.00", "-3150.00")),
    ],
)
def test_a_leased_server_is_sold_before_its_term(world: World, proceeds: str, april: tuple[str, ...]) -> None:
    """Three months at 150.00 with 100.00 of depreciation each; in April nothing is billed and the server goes."""
    made = lease(world, LeaseOption.DIRECT)
    assert made.asset is not None
    dispose_asset(actor=FINANCE, asset_id=made.asset.pk, on=date(2026, 4, 15), proceeds=Decimal(proceeds))

    rows = lease_books(made.agreement).months

    last = rows[-1]
    assert tuple(f"{x:.2f}" for x in (last.profit, last.net_book_value, last.cash, last.equity)) == april
    sheet = {row.label: row.amounts for row in balance_sheet(first=JANUARY, last=APRIL).rows}
    assert [row.equity for row in rows] == list(sheet["Total equity"])
    assert [row.cash for row in rows] == list(sheet["Operating Bank"])
