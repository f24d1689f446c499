"""Licences of Northwind IT's customers, and what their vendor's files say of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from openpyxl import Workbook
from tests.agreements.records import make
from tests.world import FINANCE, World

from counterfoil.agreements.commands import AdditionInput
from counterfoil.agreements.models import Agreement
from counterfoil.catalog.models import Category, Product
from counterfoil.matching.models import MatchException, VendorStatement
from counterfoil.matching.reconciliation import Reconciliation, reconcile_statement
from counterfoil.matching.statements import import_statement

D = Decimal
NOW = datetime(2026, 4, 2, 9, tzinfo=UTC)
MARCH = (date(2026, 3, 1), date(2026, 3, 31))
JAN_1 = date(2026, 1, 1)

SIMPLE = ("Customer", "Product", "Qty", "Unit cost")
DATED = (*SIMPLE, "Amount", "Charge type", "Start date", "End date", "Term")


def licence(world: World, name: str = "Business Premium", **fields: Any) -> Product:
    """A licence that Ingram sells for 18.00 and Northwind bills at 22.00 a month."""
    usual = {
        "identifier": name.upper().replace(" ", "-"), "product_class": "Agreement", "accounting_type": "Service",
        "billing_cycle": "month:1", "cost": D("18"), "price": D("22"), "vendor": world.ingram,
        "category": Category.objects.get(name="HaaS"),
    }  # fmt: skip
    return Product.objects.create(description=name, **(usual | fields))


def billed(world: World, product: Product, quantity: int, **fields: Any) -> Agreement:
    """An agreement of Acme that bills so many from 1 Jan 2026, at the product's price."""
    company = fields.pop("company", world.acme)
    added = AdditionInput(product.pk, D(quantity), **fields)
    return make(world, added, company_id=company.pk, name=f"{product} of {company}")


def csv_of(headings: Sequence[str], *rows: Sequence[object]) -> bytes:
    """A CSV file."""
    out = io.StringIO()
    csv.writer(out).writerows([headings, *rows])
    return out.getvalue().encode()


def xlsx_of(headings: Sequence[str], *rows: Sequence[object]) -> bytes:
    """The same as a workbook."""
    book, out = Workbook(), io.BytesIO()
    assert book.active is not None
    for row in (headings, *rows):
        book.active.append(list(row))
    book.save(out)
    return out.getvalue()


def imported(world: World, content: bytes, period: tuple[date, date] | None = MARCH, **given: Any) -> VendorStatement:
    """The file as a statement of Ingram for March."""
    start, end = period or (None, None)
    return import_statement(
        actor=FINANCE, vendor_id=world.ingram.pk, content=content, now=NOW, period_start=start, period_end=end, **given
    ).statement


def reconciled(world: World, content: bytes, **given: Any) -> Reconciliation:
    """The file, imported and reconciled."""
    return reconcile_statement(actor=FINANCE, statement_id=imported(world, content, **given).pk, now=NOW)


def differences() -> list[tuple[str, str, str, Decimal]]:
    """The open exceptions: code, theirs, ours, dollars a month."""
    return [
        (row.code, row.expected, row.actual, row.monthly)
        for row in MatchException.objects.filter(status="open").order_by("code", "key")
    ]
