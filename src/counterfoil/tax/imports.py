"""Rates from the rate files of the Streamlined Sales Tax states: preview, then all or nothing.

The states publish a file each quarter, one row for each jurisdiction and span of time, without a header:

    1  state             two digits (FIPS), 05 is Arkansas
    2  jurisdiction type 45 a state, 00 a county, 01 a city, others special districts
    3  jurisdiction code the state's own code in two digits, of counties three, of cities five
    4  general rate of sales within the state, 0.065 is 6.5 %
    5  general rate of sales from another state
    6  rate on food and drugs within the state (not used)
    7  rate on food and drugs from another state (not used)
    8  first day, 20260101
    9  last day, 29991231 when none is set

A level of a tax code takes part when it names its jurisdiction (``05-45-05``: state, type and code). From the first day
the file speaks of a jurisdiction its rates are those of the file; what held before stays, so invoices dated before are
taxed as they were. Caps, kinds and agencies of a level stay as they are.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from typing import Final

from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import parse_unit_price
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.imports import (
    Column,
    Deed,
    ImportPreview,
    ImportResult,
    PlannedRow,
    RowError,
    refuse_errors,
)
from counterfoil.platform.records import plain_number
from counterfoil.tax.models import TaxCode, TaxLevel

_COLUMNS: Final = (
    Column("state", "FIPS code of the state", required=True, example="05"),
    Column("type", "Jurisdiction type: 45 state, 00 county, 01 city, ...", required=True, example="45"),
    Column("jurisdiction", "FIPS code of the jurisdiction", required=True, example="05"),
    Column("general_intrastate", "Rate of sales within the state", required=True, example="0.065"),
    Column("general_interstate", "Rate of sales from another state", required=True, example="0.065"),
    Column("food_intrastate", "Rate on food and drugs within the state; not used", example="0.065"),
    Column("food_interstate", "Rate on food and drugs from another state; not used", example="0.065"),
    Column("begin", "First day", required=True, example="20260101"),
    Column("end", "Last day; 29991231: none is set", required=True, example="29991231"),
)
#: FIPS codes of the states that publish such files.
STATES: Final = {
    "05": "AR", "13": "GA", "18": "IN", "19": "IA", "20": "KS", "21": "KY", "26": "MI", "27": "MN", "31": "NE",
    "32": "NV", "34": "NJ", "37": "NC", "38": "ND", "39": "OH", "40": "OK", "44": "RI", "46": "SD", "47": "TN",
    "49": "UT", "50": "VT", "53": "WA", "54": "WV", "55": "WI", "56": "WY",
}  # fmt: skip
_NO_END: Final = date(2999, 12, 31)
_DAY: Final = timedelta(days=1)


def columns() -> tuple[Column, ...]:
    """The columns of the file in their order; it has no header."""
    return _COLUMNS


def preview_sst_rates(*, content: bytes, state: str = "", interstate: bool = False) -> ImportPreview:
    """What importing the file would do; nothing is written.

    Args:
        content: of the file.
        state: two letters: the state it should be of; empty takes any.
        interstate: whether the rates of sales from another state are meant.

    Raises:
        DomainError: ``import_rows_invalid`` when the file as a whole cannot be read; ``invalid`` for an unknown state.
    """
    return _plan(content, state, interstate).preview()


@command(roles=(Role.FINANCE,))
def import_sst_rates(
    *, actor: Actor, content: bytes, filename: str = "", state: str = "", interstate: bool = False
) -> ImportResult:
    """Give the levels that name a jurisdiction of the file its rates, all or none. Invoices that are there stay.

    Args:
        actor: who imports.
        content: of the file.
        filename: for the audit trail.
        state: two letters: the state it should be of; empty takes any.
        interstate: whether the rates of sales from another state are meant.

    Raises:
        DomainError: ``import_rows_invalid``, with every mistake in ``details``; ``invalid`` for an unknown state.
    """
    plan = _plan(content, state, interstate, lock=True)
    refuse_errors(plan.errors, plan.row_count)
    changed = [timeline for timeline in plan.timelines if timeline.deed == "update"]
    TaxLevel.objects.filter(pk__in=[row.pk for timeline in changed for row in timeline.former]).delete()
    TaxLevel.objects.bulk_create(row for timeline in changed for row in timeline.rows)
    for timeline in changed:
        audit.record(
            actor,
            "tax.code.changed",
            f"changed the tax code {timeline.code}: {timeline.name} {timeline.words}, by import",
            timeline.code,
        )
    preview = plan.preview()
    result = ImportResult(0, preview.count("update"), preview.count("unchanged"), preview.also)
    audit.record(
        actor,
        "tax.rates.imported",
        f"imported sales tax rates from {filename or 'a file'}: {result.updated} levels updated,"
        f" {result.unchanged} unchanged",
        sha256=sha256(content).hexdigest(),
    )
    return result


# -- the file ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rate:
    """A row of the file: half-open, without an end when none is set."""

    row: int
    jurisdiction: str
    rate: Decimal
    start: date
    end: date | None


def _read(content: bytes, state: str, interstate: bool) -> tuple[list[_Rate], list[RowError], int]:
    wanted = state.strip().upper()
    if wanted and wanted not in STATES.values():
        raise DomainError(
            "invalid",
            f"“{state}” publishes no rate file of that kind.",
            field="state",
            hint=f"Choose one of {', '.join(STATES.values())}.",
        )
    try:
        text = content.decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"The file is not a rate file: {error}."
        raise DomainError(
            "import_rows_invalid", message, field="file", details=(RowError(1, "", message).as_dict(),)
        ) from error
    rates: list[_Rate] = []
    errors: list[RowError] = []
    count = 0
    for number, record in enumerate(records, start=1):
        if not any(cell.strip() for cell in record):
            continue
        count += 1
        found = _row(number, [cell.strip() for cell in record], wanted, interstate, errors)
        if found:
            rates.append(found)
    if not count:
        message = "The file is empty."
        raise DomainError("import_rows_invalid", message, "file", None, (RowError(1, "", message).as_dict(),))
    errors += _overlaps(rates)
    return rates, errors, count


def _row(number: int, cells: list[str], wanted: str, interstate: bool, errors: list[RowError]) -> _Rate | None:
    if len(cells) != len(_COLUMNS):
        hint = "Take the rate file of the state as it is, not its boundary file."
        errors.append(RowError(number, "", f"The row has {len(cells)} cells, a rate file has {len(_COLUMNS)}.", hint))
        return None
    fips, kind, code = cells[:3]
    before = len(errors)
    if fips not in STATES:
        errors.append(RowError(number, "state", f"“{fips}” is not the code of a state that publishes such files."))
    elif wanted and STATES[fips] != wanted:
        errors.append(RowError(number, "state", f"The row is of {STATES[fips]}, not of {wanted}."))
    for name, cell in (("type", kind), ("jurisdiction", code)):
        if not (cell.isascii() and cell.isalnum() and len(cell) <= 5):
            errors.append(RowError(number, name, f"“{cell}” is not a code."))
    rate = _rate(number, cells[4 if interstate else 3], _COLUMNS[4 if interstate else 3].name, errors)
    start, last = _day(number, cells[7], "begin", errors), _day(number, cells[8], "end", errors)
    if len(errors) > before or rate is None or start is None or last is None:
        return None
    if last < start:
        errors.append(RowError(number, "end", f"The rate ends on {format_date(last)}, before it begins."))
        return None
    return _Rate(number, f"{fips}-{kind}-{code}", rate, start, None if last >= _NO_END else last + _DAY)


def _rate(number: int, cell: str, column: str, errors: list[RowError]) -> Decimal | None:
    try:
        rate = parse_unit_price(cell, column)
    except DomainError as error:
        errors.append(RowError(number, column, error.message, error.hint or ""))
        return None
    if not 0 <= rate < 1:
        errors.append(RowError(number, column, f"{cell} does not lie between 0 and 100 %.", "6.5 % is 0.065."))
        return None
    return rate


def _day(number: int, cell: str, column: str, errors: list[RowError]) -> date | None:
    try:
        if len(cell) == 8 and cell.isascii() and cell.isdigit():
            return date(int(cell[:4]), int(cell[4:6]), int(cell[6:]))
    except ValueError:
        pass
    errors.append(RowError(number, column, f"“{cell}” is not a day.", "It is written like 20260101."))
    return None


def _overlaps(rates: Sequence[_Rate]) -> list[RowError]:
    """Rows that give a jurisdiction two rates on one day."""
    ordered = sorted(rates, key=lambda each: (each.jurisdiction, each.start, each.row))
    return [
        RowError(later.row, "begin", f"{later.jurisdiction} has another rate on that day, in row {earlier.row}.")
        for earlier, later in pairwise(ordered)
        if earlier.jurisdiction == later.jurisdiction and (earlier.end is None or earlier.end > later.start)
    ]


# -- the plan ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Timeline:
    """A level of a tax code through time: the rows there were, and those that take their place."""

    code: TaxCode
    row_number: int
    former: list[TaxLevel]
    rows: list[TaxLevel]
    deed: Deed = "unchanged"

    @property
    def name(self) -> str:
        return self.former[-1].name

    @property
    def words(self) -> str:
        """What becomes different: ``6.5 % from 1 Jan 2026``."""
        had = {(row.valid_from, row.rate) for row in self.former}
        new = [row for row in self.rows if (row.valid_from, row.rate) not in had]
        said = [
            f"{plain_number(row.rate * 100)} % from {format_date(row.valid_from) if row.valid_from else 'the first'}"
            for row in new
        ]
        last = self.rows[-1].valid_to if self.rows else None
        if last and last != self.former[-1].valid_to:
            said.append(f"none from {format_date(last)}")
        return ", ".join(said) or "with other dates"


@dataclass(slots=True)
class _Plan:
    timelines: list[_Timeline]
    errors: list[RowError]
    row_count: int
    unused: int

    def preview(self) -> ImportPreview:
        rows = (
            PlannedRow(
                each.row_number,
                each.deed,
                each.code.identifier,
                f"{each.name} ({each.former[-1].jurisdiction})",
                each.words if each.deed == "update" else "",
            )
            for each in self.timelines
        )
        said = f"Left out, as no tax code names them: {self.unused} of the file's jurisdictions."
        return ImportPreview(tuple(rows), tuple(self.errors), (said,) if self.unused else ())


def _plan(content: bytes, state: str, interstate: bool, *, lock: bool = False) -> _Plan:
    rates, errors, count = _read(content, state, interstate)
    of_place: dict[str, list[_Rate]] = defaultdict(list)
    for rate in sorted(rates, key=lambda each: each.start):
        of_place[rate.jurisdiction].append(rate)
    used = TaxLevel.objects.filter(jurisdiction__in=of_place)
    ids = sorted(set(used.values_list("tax_code_id", flat=True)))
    codes = TaxCode.objects.filter(pk__in=ids).order_by("pk")
    if lock:
        codes = codes.select_for_update(no_key=True)
    by_id = {code.pk: code for code in codes}
    levels: dict[tuple[int, int], list[TaxLevel]] = defaultdict(list)
    for row in TaxLevel.objects.filter(tax_code_id__in=ids).order_by("tax_code__identifier", "position", "valid_from"):
        levels[row.tax_code_id, row.position].append(row)
    timelines, named = [], set()
    for (code_id, _), former in levels.items():
        former.sort(key=lambda row: row.valid_from or date.min)
        place = former[-1].jurisdiction  # the last one says whose rate it is today
        if former[-1].rate_type != "percent" or place not in of_place:
            continue
        named.add(place)
        rows = _overlay(former, of_place[place])
        timeline = _Timeline(by_id[code_id], of_place[place][0].row, former, rows)
        timeline.deed = "unchanged" if _spans(rows) == _spans(former) else "update"
        timelines.append(timeline)
    return _Plan(timelines, errors, count, len(of_place.keys() - named))


def _overlay(former: Sequence[TaxLevel], rates: Sequence[_Rate]) -> list[TaxLevel]:
    """The level's rows with the rates of the file from its first day on; caps, kinds and agency as they were."""
    first = rates[0].start
    rows = [
        _copy(row, row.rate, row.valid_from, min(row.valid_to or date.max, first))
        for row in former
        if (row.valid_from or date.min) < first
    ]
    turns = {row.valid_from for row in former if row.valid_from} | {row.valid_to for row in former if row.valid_to}
    for rate in rates:
        end = rate.end or date.max
        inside = sorted(turn for turn in turns if rate.start < turn < end)
        for start, stop in pairwise([rate.start, *inside, end]):
            rows.append(_copy(_at(former, start), rate.rate, start, stop))
    merged: list[TaxLevel] = []
    for row in rows:
        if merged and merged[-1].valid_to == row.valid_from and _features(merged[-1]) == _features(row):
            merged[-1].valid_to = row.valid_to
        else:
            merged.append(row)
    return merged


def _at(rows: Sequence[TaxLevel], on: date) -> TaxLevel:
    """The row that holds on a day; the last one before it, else the first."""
    before = [row for row in rows if (row.valid_from or date.min) <= on]
    return before[-1] if before else rows[0]


_FEATURES: Final = [
    each.attname for each in TaxLevel._meta.concrete_fields if each.name not in ("id", "valid_from", "valid_to")
]


def _features(row: TaxLevel) -> list[object]:
    return [getattr(row, name) for name in _FEATURES]


def _copy(row: TaxLevel, rate: Decimal, start: date | None, end: date) -> TaxLevel:
    made = TaxLevel(**{name: getattr(row, name) for name in _FEATURES})
    made.rate, made.valid_from, made.valid_to = rate, start, None if end == date.max else end
    return made


def _spans(rows: Sequence[TaxLevel]) -> list[tuple[object, ...]]:
    return [(row.valid_from, row.valid_to, *_features(row)) for row in rows]
