"""Reading CSV files that people made: the usual encodings and separators, every mistake with its row and column.

The first row names the columns; their order, capitals, spaces and underscores do not matter. A column that is not in
the file leaves what is there as it is; an empty cell means the column's default.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, TypeVar

from django.db import models

from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_quantity, parse_unit_price
from counterfoil.platform.records import UNSET, Unset

T = TypeVar("T")

Deed = Literal["create", "update", "unchanged"]

_YES: Final = frozenset({"yes", "y", "true", "t", "1", "x"})
_DATE_FORMS: Final = ("%Y-%m-%d", "%m/%d/%Y", "%d %b %Y")
_NO: Final = frozenset({"no", "n", "false", "f", "0"})


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an import file, as it is documented."""

    name: str
    meaning: str
    required: bool = False
    default: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong in a row. Row 1 is the header, as a spreadsheet counts; no column where the whole row is meant."""

    row: int
    column: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """As it goes into :attr:`DomainError.details`."""
        return {"row": str(self.row), "column": self.column, "message": self.message, "hint": self.hint}


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """What an import does with a row. ``changes`` says in words what becomes different."""

    row: int
    deed: Deed
    identifier: str
    name: str
    changes: str = ""


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What an import would do, or what stands in its way. ``also`` names what it would add beside the rows."""

    rows: tuple[PlannedRow, ...]
    errors: tuple[RowError, ...]
    also: tuple[str, ...] = ()

    def count(self, deed: Deed) -> int:
        """How many rows are created, updated or unchanged."""
        return sum(row.deed == deed for row in self.rows)

    @property
    def in_words(self) -> str:
        """``12 to create, 3 to update, 1 unchanged``."""
        return (
            f"{self.count('create')} to create, {self.count('update')} to update, {self.count('unchanged')} unchanged"
        )


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What an import did."""

    created: int
    updated: int
    unchanged: int
    also: tuple[str, ...] = ()


@dataclass(slots=True)
class Cells:
    """A row of the file. Reading a cell that is wrong notes the mistake and gives the default, so all are found."""

    row: int
    values: Mapping[str, str]
    errors: list[RowError] = field(default_factory=list)

    def wrong(self, column: str, message: str, hint: str | None = None) -> None:
        """Note a mistake."""
        self.errors.append(RowError(self.row, column, message, hint or ""))

    def given(self, column: str) -> str:
        """The cell's text without blanks around it; empty when the column is not in the file."""
        return self.values.get(column, "").strip()

    def text(self, column: str, default: str = "") -> str | Unset:
        """The cell's text."""
        return self.given(column) or default if column in self.values else UNSET

    def flag(self, column: str, *, default: bool) -> bool | Unset:
        """Yes or no."""
        if column not in self.values:
            return UNSET
        word = self.given(column).lower()
        if word and word not in _YES | _NO:
            self.wrong(column, f"“{word}” is neither yes nor no.", "Write yes or no.")
        return word in _YES if word else default

    def amount(self, column: str) -> Decimal | Unset:
        """A price or cost, zero when empty, never negative."""
        if column not in self.values:
            return UNSET
        try:
            amount = parse_unit_price(self.given(column).removeprefix("$") or "0", column)
        except DomainError as error:
            self.wrong(column, error.message, error.hint)
            return Decimal(0)
        if amount < 0:
            self.wrong(column, f"{self.given(column)} is below zero.")
        return amount

    def quantity(self, column: str, default: Decimal) -> Decimal | Unset:
        """A quantity above zero."""
        if column not in self.values:
            return UNSET
        if not self.given(column):
            return default
        try:
            quantity = parse_quantity(self.given(column), column)
        except DomainError as error:
            self.wrong(column, error.message, error.hint)
            return default
        if quantity <= 0:
            self.wrong(column, f"{self.given(column)} is not above zero.")
        return quantity

    def day(self, column: str) -> date | Unset | None:
        """A date, as 2026-03-15, 3/15/2026 or 15 Mar 2026; ``None`` for an empty cell."""
        if column not in self.values:
            return UNSET
        if not (text := self.given(column)):
            return None
        for form in _DATE_FORMS:
            try:
                return datetime.strptime(text, form).date()  # noqa: DTZ007 - a plain date, no instant
            except ValueError:
                continue
        self.wrong(column, f"“{text}” is not a date.", "Write 2026-03-15.")
        return None

    def choice(self, column: str, choices: Mapping[str, str], default: str) -> str | Unset:
        """One of ``choices`` (words a person may write, as :func:`plain_key` -> what is stored)."""
        if column not in self.values:
            return UNSET
        word = self.given(column)
        if not word:
            return default
        if (value := choices.get(plain_key(word))) is None:
            self.wrong(column, f"“{word}” is not known here.", f"Write {' or '.join(dict.fromkeys(choices.values()))}.")
            return default
        return value

    def lookup(self, column: str, known: Mapping[str, T], what: str) -> T | Unset | None:
        """The record a cell names (``known`` by its casefolded name); ``None`` for an empty cell."""
        if column not in self.values:
            return UNSET
        name = self.given(column)
        if not name:
            return None
        if (found := known.get(name.casefold())) is None:
            close = difflib.get_close_matches(name.casefold(), known, n=1)
            self.wrong(
                column,
                f"There is no {what} “{name}”.",
                f"Did you mean “{close[0]}”?" if close else f"Add the {what} first, or leave the cell empty.",
            )
        return found


def plain_key(text: str) -> str:
    """A name without capitals, blanks, hyphens and underscores: ``Non-Inventory`` is ``noninventory``."""
    return re.sub(r"[\s_-]+", "", text).casefold()


def read_table(content: bytes, columns: Sequence[Column]) -> list[Cells]:
    """The rows of a CSV file whose header names ``columns``; empty rows are left out.

    Raises:
        DomainError: ``import_rows_invalid`` when the file cannot be read as a whole: no text, no rows, a header with
            unknown, missing or repeated columns, or quotes that do not close.
    """
    text = decode_text(content)
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter_of(text), strict=True))
    except csv.Error as error:
        raise _unreadable(f"The file is not a CSV file: {error}.", "Save it as CSV from your spreadsheet.") from error
    if not records:
        raise _unreadable("The file is empty.", f"Its first row names the columns: {_names(columns)}.")
    header = _header(records[0], columns)
    rows = []
    for number, record in enumerate(records[1:], start=2):
        if not any(cell.strip() for cell in record):
            continue
        cells = Cells(number, dict(zip(header, record, strict=False)) | dict.fromkeys(header[len(record) :], ""))
        if any(cell.strip() for cell in record[len(header) :]):
            cells.wrong(
                "", f"The row has {len(record)} cells, the header {len(header)}.", "Put text with commas in quotes."
            )
        rows.append(cells)
    if not rows:
        raise _unreadable("There are no rows below the header.")
    return rows


def decode_text(content: bytes) -> str:
    """UTF-8 with or without a mark, UTF-16 with one, else what Excel on Windows writes."""
    encodings = ["utf-16"] if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _unreadable("The file is not text.", "Save it as CSV (UTF-8) from your spreadsheet.")


def delimiter_of(text: str) -> str:
    """The separator that the first line has most of."""
    header = text.lstrip("\r\n").split("\n", 1)[0]
    return max(",;\t|", key=header.count)


def _header(cells: Sequence[str], columns: Sequence[Column]) -> list[str]:
    by_key = {plain_key(column.name): column.name for column in columns}
    header = []
    for cell in cells:
        if not cell.strip():
            raise _unreadable("The header has an empty cell.", "Name every column, or delete the empty one.")
        if (name := by_key.get(plain_key(cell))) is None:
            close = difflib.get_close_matches(plain_key(cell), by_key, n=1)
            raise _unreadable(
                f"There is no column “{cell.strip()}”.",
                f"Did you mean {by_key[close[0]]}?" if close else f"The columns are {_names(columns)}.",
                cell.strip(),
            )
        if name in header:
            raise _unreadable(f"The column {name} is there twice.", "Keep one of them.", name)
        header.append(name)
    if missing := [column.name for column in columns if column.required and column.name not in header]:
        raise _unreadable(f"The column {missing[0]} is missing.", "Add it; every row needs it.", missing[0])
    return header


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(column.name for column in columns)


def _unreadable(message: str, hint: str = "", column: str = "") -> DomainError:
    error = RowError(1, column, message, hint)
    return DomainError("import_rows_invalid", message, field="file", hint=hint or None, details=(error.as_dict(),))


def refuse_errors(errors: Sequence[RowError], total: int) -> None:
    """Refuse the whole file when any row is wrong.

    Raises:
        DomainError: ``import_rows_invalid``, with every mistake in ``details``.
    """
    if not errors:
        return
    bad = len({error.row for error in errors})
    first = errors[0]
    where = f"row {first.row}" + (f", column {first.column}" if first.column else "")
    raise DomainError(
        "import_rows_invalid",
        f"{bad} of {total} rows cannot be imported, so none was. The first: {where}: {first.message}",
        field="file",
        hint=first.hint or None,
        details=tuple(error.as_dict() for error in errors),
    )


def write_over(rows: Sequence[models.Model]) -> None:
    """Update whole rows in one statement, by inserting over them: the keys are known, the order of rows is free."""
    if not rows:
        return
    model = type(rows[0])
    fields = [f.name for f in model._meta.concrete_fields if not f.primary_key and f.name != "created_at"]
    model._default_manager.bulk_create(rows, update_conflicts=True, unique_fields=["pk"], update_fields=fields)


def sample_csv(columns: Sequence[Column]) -> str:
    """A file with the header and an example row, to start from."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(column.name for column in columns)
    writer.writerow(column.example for column in columns)
    return out.getvalue()


def table_of(columns: Sequence[Column]) -> str:
    """The columns as a table for documents: name, what it means, what an empty cell means."""
    lines = ["| Column | Meaning | Empty means |", "| --- | --- | --- |"]
    for column in columns:
        lines.append(f"| {column.name} | {column.meaning} | {'refused' if column.required else column.default} |")
    return "\n".join(lines)
