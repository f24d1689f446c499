"""The demo's reconciliation: what a distributor said last month that each customer has.

Three seats more than are billed, a customer that nobody bills, one that the distributor calls otherwise, and one that
is not known here.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company
from counterfoil.core.calendar import month_start
from counterfoil.flows.haas_lease import People
from counterfoil.matching.reconciliation import reconcile_statement
from counterfoil.matching.statements import import_statement

HEADINGS: Final = ("Customer", "SKU", "Product", "Quantity", "Unit cost", "Amount", "Start date", "End date")
#: (customer as the distributor writes it, product, how many)
SEATS: Final = (
    ("Acme Corp", "M365-BP", 36),
    ("Hooli Logistics", "M365-BP", 48),
    ("Hooli Logistics", "BKP-TB", 9),
    ("Umbra Dental Grp.", "M365-BP", 26),
    ("Umbra Dental Grp.", "BKP-TB", 4),
    ("Globex Manufacturing", "M365-BP", 5),
    ("Stark Veterinary", "M365-BP", 2),
)


def reconcile_last_month(
    people: People, companies: Mapping[str, Company], products: Mapping[str, Product], *, on: date, now: datetime
) -> None:
    """Import the distributor's file of the month before, and hold it against what is billed."""
    last = month_start(on) - timedelta(days=1)
    start = month_start(last)
    done = import_statement(
        actor=people.finance,
        vendor_id=companies["Pax8"].pk,
        content=_file(products, start, last),
        now=now,
        filename=f"pax8-{last:%Y-%m}.csv",
        period_start=start,
        period_end=last,
        reference=f"PX8-{last:%Y%m}",
    )
    reconcile_statement(actor=people.finance, statement_id=done.statement.pk, now=now)


def _file(products: Mapping[str, Product], start: date, last: date) -> bytes:
    out = io.StringIO()
    rows = csv.writer(out)
    rows.writerow(HEADINGS)
    for customer, identifier, quantity in SEATS:
        product = products[identifier]
        cost = Decimal(product.cost)
        rows.writerow((customer, product.vendor_sku, product.description, quantity, cost, cost * quantity, start, last))
    return out.getvalue().encode()
