"""Every report, the check of the books, the thread of a record, and what a lease does to them.

A lease is shown in both ways of accounting for it: planned, and as an agreement was really booked.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from django.apps import apps

from counterfoil.accounting import reports
from counterfoil.accounting.checks import Check
from counterfoil.accounting.tables import Cell, Kind, Table
from counterfoil.accounting.verification import verify
from counterfoil.agreements.models import Agreement
from counterfoil.api.area import Area
from counterfoil.api.fields import Money
from counterfoil.api.shapes import Out, answer, many, row
from counterfoil.companies.queries import local_date
from counterfoil.core import lease
from counterfoil.core.depreciation import Convention, Method
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, round_money
from counterfoil.flows.lease_books import lease_books
from counterfoil.flows.thread import Thread, follow
from counterfoil.platform.lookup import existing
from counterfoil.platform.records import plain_number

area = Area("Reports")


class ReportColumn(Out):
    """A column of a report."""

    key: str
    label: str
    kind: Literal["text", "date", "money", "quantity"]


class ReportRow(Out):
    """A row; its cells stand under the columns. Amounts are strings with cents."""

    cells: list[str | None]
    style: str
    link: tuple[str, int] | None


class ReportTable(Out):
    """A report as it was made."""

    name: str
    title: str
    heading: str
    columns: list[ReportColumn]
    rows: list[ReportRow]
    totals: ReportRow | None


class ReportParameter(Out):
    """What a report asks for."""

    name: str
    label: str
    kind: str
    required: bool


class ReportDescription(Out):
    """A report that can be made."""

    name: str
    title: str
    description: str
    parameters: list[ReportParameter]


def list_reports() -> list[reports.Report]:
    """The reports there are, and what each asks for."""
    return list(reports.REPORTS.values())


def as_json(table: Table) -> dict[str, Any]:
    """A report's table with its cells written out."""
    kinds = [column.kind for column in table.columns]

    def written(line: Any) -> dict[str, Any]:
        cells = [_cell(cell, kind) for cell, kind in zip(line.cells, kinds, strict=True)]
        return {"cells": cells, "style": line.style, "link": line.link}

    return {
        "name": table.name,
        "title": table.title,
        "heading": table.heading,
        "columns": [{"key": column.key, "label": column.label, "kind": column.kind.value} for column in table.columns],
        "rows": [written(line) for line in table.rows],
        "totals": written(table.totals) if table.totals else None,
    }


def _cell(cell: Cell, kind: Kind) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, Decimal):
        return str(round_money(cell)) if kind is Kind.MONEY else plain_number(cell)
    return cell.isoformat() if isinstance(cell, dt.date) else cell


def _today() -> dt.date:
    return local_date(dt.datetime.now(dt.UTC))


def _add_report(report: reports.Report) -> None:
    """A route for one report, asking for that report's parameters."""

    def make(**asked: Any) -> dict[str, Any]:
        given: Mapping[str, Any] = {name.removesuffix("_"): value for name, value in asked.items()}
        return as_json(reports.run(report.name, given, on=_today()))

    make.__name__ = report.title.lower().replace(" ", "_")
    make.__doc__ = report.description
    area.asked_report(
        f"/reports/{report.name}",
        ReportTable,
        make,
        {each.name: dt.date if each.kind == "date" else str for each in report.parameters},
    )


economics_row = row(lease.EconomicsRow, equity=Money)


lease_as_booked = answer(
    "LeaseBooks", "A lease as it is booked, month by month.", agreement=str, months=many(economics_row)
)


def lease_economics(
    *,
    cost: Decimal,
    price_per_month: Decimal,
    months: int,
    start: dt.date,
    life_months: int | None = None,
    method: Method = Method.STRAIGHT_LINE,
    convention: Convention = Convention.FULL_MONTH,
    salvage: Decimal = ZERO,
    tax_rate: Decimal = ZERO,
    vendor_paid_on: dt.date | None = None,
) -> lease.LeaseEconomics:
    """What a lease does to profit, cash and balance sheet, in both ways of accounting, month by month and by year."""
    terms = lease.LeaseTerms(
        cost=cost,
        price_per_month=price_per_month,
        months=months,
        start=start,
        life_months=months if life_months is None else life_months,
        method=method,
        convention=convention,
        salvage=salvage,
        tax_rate=tax_rate,
        vendor_paid_on=vendor_paid_on,
    )
    return lease.lease_economics(terms)


def agreement_economics(*, agreement_id: int) -> dict[str, Any]:
    """What the lease of an agreement did, from its real postings."""
    agreement = existing(Agreement.objects.all(), agreement_id)
    return {"agreement": agreement.number, "months": lease_books(agreement).months}


books_verified = answer("BooksVerified", "The result of deriving everything again.", ok=bool, checks=many(row(Check)))


def verify_books() -> dict[str, Any]:
    """Derive again whatever can be derived, and name what differs; takes a while on large books."""
    checks = verify()
    return {"ok": all(check.ok for check in checks), "checks": checks}


def thread_of_record(*, object_type: str, object_id: int) -> Thread:
    """What a record descends from and what became of it, from the quote to the journal, and how far it has come.

    `object_type` is such as `orders.salesorder`, as in the audit trail.
    """
    model = {
        known._meta.label_lower: known for known in apps.get_models() if known.__module__.startswith("counterfoil.")
    }
    if object_type not in model:
        raise DomainError("not_found", "There is no such type of record.", field="object_type")
    return follow(existing(model[object_type]._default_manager.all(), object_id, "object_id"))


area.report("/verify", books_verified, verify_books)
area.report("/thread", row(Thread), thread_of_record)
area.report("/reports", list[ReportDescription], list_reports)
for each in reports.REPORTS.values():
    _add_report(each)
area.report("/lease-economics", row(lease.LeaseEconomics), lease_economics)
area.report("/agreements/{agreement_id}/economics", lease_as_booked, agreement_economics)
