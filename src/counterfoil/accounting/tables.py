"""A report as a typed table, and its files: CSV, XLSX, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

import xlsxwriter

from counterfoil.core.calendar import format_date
from counterfoil.core.money import format_money, round_money, sum_money


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    DATE = "date"
    MONEY = "money"
    QUANTITY = "quantity"


Cell = str | date | Decimal | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``totalled`` tells whether adding its numbers up means something."""

    key: str
    label: str
    kind: Kind = Kind.TEXT
    totalled: bool = True

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers, which stand on the right."""
        return self.kind in (Kind.MONEY, Kind.QUANTITY)


@dataclass(frozen=True, slots=True)
class Row:
    """A row. ``style`` is empty, ``section`` (a heading) or ``total``; ``link`` is (kind of record, id)."""

    cells: tuple[Cell, ...]
    style: str = ""
    link: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A report that was made."""

    name: str
    title: str
    heading: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    totals: Row | None = None

    def records(self) -> list[dict[str, Cell]]:
        """The rows as dictionaries by column, without headings of sections."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row.cells, strict=True)) for row in self.rows if row.style != "section"]


def total_row(columns: Sequence[Column], rows: Sequence[Row]) -> Row | None:
    """The sums of the columns that can be totalled; ``None`` for an empty table or one without such columns."""
    wanted = [index for index, column in enumerate(columns) if column.kind == Kind.MONEY and column.totalled]
    if not rows or not wanted:
        return None
    cells: list[Cell] = ["Total", *([None] * (len(columns) - 1))]
    for index in wanted:
        amounts = [row.cells[index] for row in rows if not row.style]
        cells[index] = sum_money(amount for amount in amounts if isinstance(amount, Decimal))
    return Row(tuple(cells), style="total")


def in_words(cell: Cell, kind: Kind) -> str:
    """A cell as a person reads it: ``15 Mar 2026``, ``(1,234.50)``, ``2``."""
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return format_money(cell) if kind == Kind.MONEY else f"{cell.normalize():f}"
    if isinstance(cell, date):
        return format_date(cell)
    return cell


def plain(cell: Cell, kind: Kind) -> str:
    """A cell as a program reads it: ``2026-03-15``, ``-1234.50``, ``2``."""
    if cell is None:
        return ""
    if isinstance(cell, Decimal):
        return f"{round_money(cell):.2f}" if kind == Kind.MONEY else f"{cell.normalize():f}"
    if isinstance(cell, date):
        return cell.isoformat()
    return cell


def to_csv(table: Table) -> bytes:
    """The table as CSV (UTF-8 with a byte order mark, so that Excel reads it): ISO dates, plain numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([column.label for column in table.columns])
    for row in _all_rows(table):
        writer.writerow(
            [
                _harmless(plain(cell, column.kind)) if isinstance(cell, str) else plain(cell, column.kind)
                for cell, column in zip(row.cells, table.columns, strict=True)
            ]
        )
    return out.getvalue().encode("utf-8-sig")


def _harmless(text: str) -> str:
    """Text that a spreadsheet would take for a formula, marked as text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _all_rows(table: Table) -> tuple[Row, ...]:
    return (*table.rows, table.totals) if table.totals else table.rows


#: A file carries no moment of its own: the same books give the same bytes.
_CREATED: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - the format knows no time zones
_FORMATS: Final = {
    Kind.TEXT: {},
    Kind.DATE: {"num_format": "d mmm yyyy", "align": "left"},
    Kind.MONEY: {"num_format": "#,##0.00;(#,##0.00)"},
    Kind.QUANTITY: {"num_format": "#,##0.######"},
}
_STYLES: Final[dict[str, dict[str, Any]]] = {"": {}, "section": {"bold": True}, "total": {"bold": True, "top": 1}}


def to_xlsx(table: Table) -> bytes:
    """The table as a workbook: real dates and numbers, headings that stay in sight, filters."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": table.title, "created": _CREATED})
    sheet = book.add_worksheet(table.title[:31])
    formats = {
        (kind, style): book.add_format({**_FORMATS[kind], **_STYLES[style]}) for kind in Kind for style in _STYLES
    }
    sheet.write_string(0, 0, table.title, book.add_format({"bold": True, "font_size": 14}))
    sheet.write_string(1, 0, table.heading)
    head = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
    for index, column in enumerate(table.columns):
        sheet.write_string(3, index, column.label, head)
        sheet.set_column(index, index, _width(table, index))
    for number, row in enumerate(_all_rows(table), start=4):
        for index, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True)):
            _write(sheet, number, index, cell, formats[column.kind, row.style])
    sheet.freeze_panes(4, 1)
    if table.rows:
        sheet.autofilter(3, 0, 3 + len(table.rows), len(table.columns) - 1)
    book.close()
    return out.getvalue()


def _write(sheet: Any, row: int, column: int, cell: Cell, style: Any) -> None:
    if cell is None:
        sheet.write_blank(row, column, None, style)
    elif isinstance(cell, Decimal):
        sheet.write_number(row, column, cell, style)  # written digit by digit; it never becomes a float here
    elif isinstance(cell, date):
        sheet.write_datetime(row, column, cell, style)
    else:
        sheet.write_string(row, column, cell, style)


def _width(table: Table, index: int) -> int:
    column = table.columns[index]
    longest = max((len(in_words(row.cells[index], column.kind)) for row in _all_rows(table)), default=0)
    return min(max(longest, 10, *(len(word) for word in column.label.split())) + 2, 60)


def as_dict(table: Table) -> dict[str, Any]:
    """The table for programs: amounts as text with two decimals, dates as ISO text."""
    keys = [column.key for column in table.columns]

    def record(row: Row) -> dict[str, Any]:
        cells = zip(keys, row.cells, table.columns, strict=True)
        return {key: None if cell is None else plain(cell, column.kind) for key, cell, column in cells}

    return {
        "report": table.name,
        "title": table.title,
        "heading": table.heading,
        "columns": [{"key": c.key, "label": c.label, "kind": c.kind.value} for c in table.columns],
        "rows": [record(row) | ({"style": row.style} if row.style else {}) for row in table.rows],
        "totals": record(table.totals) if table.totals else None,
    }


def to_json(table: Table) -> str:
    """:func:`as_dict` as JSON."""
    return json.dumps(as_dict(table), indent=2, ensure_ascii=False)
