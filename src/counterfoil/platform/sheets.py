"""Reading tables that others made, CSV or XLSX: whatever their headings, every cell as text.

Who reads says which heading means what; :mod:`counterfoil.platform.imports` reads files whose columns are ours.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from counterfoil.core.errors import DomainError
from counterfoil.platform.imports import decode_text, delimiter_of
from counterfoil.platform.records import plain_number

#: More rows than any statement has; what is beyond is no table.
_MOST_ROWS: Final = 500_000
#: A workbook that comes to more bytes than this is not unpacked: some bytes can stand for any number.
_MOST_UNPACKED: Final = 500_000_000
_ZIP: Final = b"PK\x03\x04"


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row of a table: its number as a spreadsheet counts (the headings are in row 1), and its cells by heading."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: its headings in order, as written, and its rows; empty rows are left out."""

    headings: tuple[str, ...]
    rows: tuple[SheetRow, ...]


def read_sheet(content: bytes) -> Sheet:
    """The first sheet of an XLSX file, or a CSV file in any usual encoding and separator.

    Raises:
        DomainError: ``import_rows_invalid`` when it is neither, is empty, or has two columns of one heading.
    """
    records = _xlsx(content) if content[:4] == _ZIP else _csv(content)
    while records and not any(records[0]):
        records.pop(0)
    if not records:
        raise _refused("The file is empty.", "Its first row names the columns.")
    headings = [cell.strip() for cell in records[0]]
    named = [heading for heading in headings if heading]
    if len(set(named)) < len(named):
        twice = next(heading for heading in named if named.count(heading) > 1)
        raise _refused(f"The column {twice} is there twice.", "Keep one of them.")
    rows = [
        SheetRow(number, {name: cell.strip() for name, cell in zip(headings, record, strict=False) if name})
        for number, record in enumerate(records[1:], start=2)
        if any(cell.strip() for cell in record)
    ]
    if not rows:
        raise _refused("There are no rows below the headings.")
    return Sheet(tuple(named), tuple(rows))


def _csv(content: bytes) -> list[list[str]]:
    text = decode_text(content)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True))
    except csv.Error as error:
        raise _refused(f"The file is not a CSV file: {error}.", "Save it as CSV from your spreadsheet.") from error


def _xlsx(content: bytes) -> list[list[str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            if sum(part.file_size for part in parts.infolist()) > _MOST_UNPACKED:
                raise _refused("The workbook is too large when it is unpacked.", "Save its first sheet as CSV.")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        rows = _texts(sheet.iter_rows(max_row=_MOST_ROWS, values_only=True))
        book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, IndexError, ValueError) as error:
        raise _refused("The file is not an Excel workbook.", "Save it as XLSX or CSV from your spreadsheet.") from error
    return rows


def _texts(rows: Iterable[Sequence[object]]) -> list[list[str]]:
    return [[_text(cell) for cell in row] for row in rows]


def _text(cell: object) -> str:
    """A cell as a person would write it: numbers without exponents, days without midnight."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == cell.time().min else cell.isoformat(" ")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, float):
        return plain_number(Decimal(repr(cell)))  # the shortest decimal that means the same: what was typed
    return str(cell)


def _refused(message: str, hint: str = "") -> DomainError:
    return DomainError("import_rows_invalid", message, field="file", hint=hint or None)
