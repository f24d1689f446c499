"""Every list page: search, chips, sortable columns, totals in the foot, keyset pages, and the list as a file.

    ORDERS = ListSpec(
        name="Sales orders",
        columns=(
            Column("number", "Number", kind="key"),
            Column("company", "Company", "company.name", sort="company__name", card="note"),
            Column("total", "Total", kind="money", sort="total", total="total"),
        ),
        chips=(Chips("status", SalesOrderStatus.choices),),
        sort="-number",
        url=lambda order: reverse("web:sales_order", args=[order.pk]),
    )

    def sales_orders(request):
        rows = queries.sales_orders(search=search_of(request))
        return show_list(request, ORDERS, rows, "web/orders/list.html")

A queryset is filtered, sorted, summed and cut into pages by the database (four queries, however long it is). A page
begins after the last row of the page before (keyset), so the thousandth page costs what the first does. Rows that a
query has worked out (frozen rows) can be given as they are; they are sorted and summed here and shown on one page.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, Literal

import xlsxwriter
from django.core.exceptions import FieldError, ValidationError
from django.db.models import Count, F, Model, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify

from counterfoil.core.money import ZERO, round_money, sum_money
from counterfoil.web.remembered import remembered

Kind = Literal["text", "key", "state", "money", "price", "quantity", "percent", "date", "month", "moment", "yes"]
Card = Literal["", "title", "note", "figure", "wide"]

NUMERIC: Final = frozenset({"money", "price", "quantity", "percent"})
PER_PAGE: Final = 50

#: How a number or date looks in a spreadsheet.
XLSX_FORMATS: Final = {
    "money": "#,##0.00;(#,##0.00)",
    "price": "#,##0.00######;(#,##0.00######)",
    "quantity": "#,##0.######",
    "percent": "0.####%",
    "date": "d mmm yyyy",
    "month": "mmm yyyy",
    "moment": "d mmm yyyy hh:mm",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list.

    Attributes:
        key: its name in ``?sort=``.
        label: its head.
        value: dotted attributes of the row (``company.name``), or a function of the row; ``key`` when it is empty.
        kind: how it is written; ``key`` is text that links to the row, ``state`` a badge, ``yes`` a tick when true.
        sort: ORM path it is sorted by; without one (on a queryset) the column cannot be sorted.
        total: ORM path that is summed in the foot (for rows that are not a queryset: anything, the value is summed).
        note: like ``value``: a quiet second line.
        url: where the cell links to, instead of the row's own link.
        card: its place on the card that a row becomes on a phone; nothing hides it there.
        hidden: only in the exported files.
    """

    key: str
    label: str
    value: str | Callable[[Any], object] = ""
    kind: Kind = "text"
    sort: str = ""
    total: str = ""
    note: str | Callable[[Any], object] = ""
    url: Callable[[Any], str | None] | None = None
    card: Card = ""
    hidden: bool = False

    def of(self, row: object) -> Any:
        """The value of this column in ``row``."""
        return _read(row, self.value or self.key)

    @property
    def is_numeric(self) -> bool:
        """Whether it is aligned to the right."""
        return self.kind in NUMERIC

    @property
    def sort_name(self) -> str:
        """Its name in ``?sort=``; empty when it cannot be sorted by."""
        return self.key if self.sort_path else ""

    @property
    def sort_path(self) -> str:
        """The ORM path it is sorted by; a ``key`` column's is its own name."""
        return self.sort or (self.key if self.kind == "key" else "")

    @property
    def card_place(self) -> str:
        """Its place on the card of a phone: a ``key`` is the title."""
        return self.card or ("title" if self.kind == "key" else "")


@dataclass(frozen=True, slots=True)
class Chips:
    """Filters of which one is chosen at a time: ``?status=open``.

    Attributes:
        name: the parameter, and the field compared unless ``where`` says otherwise.
        options: (value, label).
        where: condition of each value, where it is more than ``name = value`` (querysets only).
    """

    name: str
    options: Sequence[tuple[str, Any]]
    where: dict[str, Q] | None = None

    def condition(self, value: str) -> Q:
        """What a row must fulfil for ``value``."""
        return self.where[value] if self.where else Q(**{self.name: value})


@dataclass(frozen=True, slots=True)
class ListSpec:
    """What a list shows and how it is read.

    Attributes:
        name: caption, and the name of the exported file.
        columns: from left to right.
        chips: groups of filters.
        sort: the order it opens in: a column's key, with ``-`` for descending; empty keeps the given order.
        url: a row's own page.
        placeholder: what can be searched for; empty for a list without a search.
        noun: what the rows are, for the foot (``12 sales orders``); the name in small letters when it is empty.
        prepare: given all rows that are shown, looks up at once what columns need of each.
    """

    name: str
    columns: tuple[Column, ...]
    chips: tuple[Chips, ...] = ()
    sort: str = ""
    url: Callable[[Any], str | None] | None = None
    placeholder: str = ""
    noun: str = ""
    per_page: int = PER_PAGE
    prepare: Callable[[list[Any]], None] | None = None


# -- what the template sees --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as a row shows it."""

    column: Column
    value: Any
    note: Any = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A row: the record behind it, its cells and where it links to."""

    row: Any
    cells: tuple[Cell, ...]
    url: str | None


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter as it is shown, with how many rows it would leave."""

    name: str
    value: str
    label: str
    count: int


@dataclass(slots=True)
class ListPage:
    """One page of a list."""

    spec: ListSpec
    lines: list[Line]
    count: int
    totals: dict[str, Decimal]
    chips: list[list[Chip]] = field(default_factory=list)
    previous: str = ""
    next: str = ""
    filtered: bool = False

    @property
    def rows(self) -> list[Any]:
        """The records of this page."""
        return [line.row for line in self.lines]

    @property
    def columns(self) -> list[Column]:
        """The columns shown."""
        return [column for column in self.spec.columns if not column.hidden]

    @property
    def noun(self) -> str:
        """What the rows are called."""
        return self.spec.noun or self.spec.name.lower()

    @property
    def foot(self) -> list[tuple[Column, Decimal | None]]:
        """The cells of the foot after its first: the sums, and nothing under the other columns."""
        return [(column, self.totals.get(column.key)) for column in self.columns[1:]]


def search_of(request: HttpRequest) -> str:
    """What is searched for in the list; a NUL character, which no text here holds, is passed over."""
    return request.GET.get("q", "").replace("\0", "").strip()


def show_list(
    request: HttpRequest,
    spec: ListSpec,
    rows: QuerySet[Any] | Sequence[Any],
    template: str = "web/list.html",
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """The list's page, or the list as a file when ``?export=csv`` or ``xlsx`` asks for it.

    Args:
        request: with ``q``, the chips' parameters, ``sort``, ``after`` or ``before``, ``export``.
        spec: what the list shows.
        rows: what is listed, search applied; a queryset where there can be many.
        template: extends ``web/list.html``.
        context: more for the template, which has the :class:`ListPage` as ``page``.
    """
    export = request.GET.get("export", "")
    if export in EXPORTS:
        ordered = _ordered(spec, _filtered(request, spec, rows), *sorting_of(request, spec))
        return EXPORTS[export](spec, _prepared(spec, ordered))
    return render(request, template, {**(context or {}), "page": page_of(request, spec, rows)})


def page_of(request: HttpRequest, spec: ListSpec, rows: QuerySet[Any] | Sequence[Any]) -> ListPage:
    """The page of the list that ``request`` asks for."""
    chips = _counts(spec, rows)
    chosen = _filtered(request, spec, rows)
    column, descending = sorting_of(request, spec)
    if isinstance(chosen, QuerySet):
        count, totals = _sums(spec, chosen)
        shown, previous, following = _cut(request, spec, chosen, column, descending)
    else:
        count = len(chosen)
        totals = {c.key: sum_money(c.of(row) or ZERO for row in chosen) for c in spec.columns if c.total}
        shown, previous, following = _slice(request, spec, _ordered(spec, chosen, column, descending))
    is_filtered = bool(search_of(request)) or any(request.GET.get(group.name) for group in spec.chips)
    lines = [_line(spec, row) for row in _prepared(spec, shown)]
    return ListPage(spec, lines, count, totals, chips, previous, following, is_filtered)


def _prepared(spec: ListSpec, rows: Any) -> Any:
    if spec.prepare is None:
        return rows
    found = list(rows)
    spec.prepare(found)
    return found


def sorting_of(request: HttpRequest, spec: ListSpec) -> tuple[Column | None, bool]:
    """The column the list is sorted by, and whether the greatest comes first."""
    for wanted in (request.GET.get("sort", ""), spec.sort):
        key = wanted.removeprefix("-")
        for column in spec.columns:
            if column.key == key:
                return column, wanted.startswith("-")
    return None, False


# -- filter, sort, sum -------------------------------------------------------------------------------------------------


def _filtered(request: HttpRequest, spec: ListSpec, rows: Any) -> Any:
    for group in spec.chips:
        value = request.GET.get(group.name, "")
        if value not in {str(option) for option, _ in group.options}:
            continue
        if isinstance(rows, QuerySet):
            rows = rows.filter(group.condition(value))
        else:
            rows = [row for row in rows if str(_read(row, group.name)) == value]
    return rows


def _counts(spec: ListSpec, rows: QuerySet[Any] | Sequence[Any]) -> list[list[Chip]]:
    """How many rows each chip would leave."""

    def count() -> list[list[Chip]]:
        return [_counted(group, rows) for group in spec.chips]

    return remembered(f"chips of {spec.name}: {rows.query}", count) if isinstance(rows, QuerySet) else count()


def _counted(group: Chips, rows: QuerySet[Any] | Sequence[Any]) -> list[Chip]:
    values = [(str(value), str(label)) for value, label in group.options]
    if isinstance(rows, QuerySet):
        wanted = {f"n{i}": Count("pk", filter=group.condition(value)) for i, (value, _) in enumerate(values)}
        numbers = list(rows.order_by().aggregate(**wanted).values())
    else:
        numbers = [sum(str(_read(row, group.name)) == value for row in rows) for value, _ in values]
    return [Chip(group.name, value, label, n) for (value, label), n in zip(values, numbers, strict=True)]


def _sums(spec: ListSpec, rows: QuerySet[Any]) -> tuple[int, dict[str, Decimal]]:
    sums = {f"sum_{column.key}": Sum(column.total) for column in spec.columns if column.total}
    plain = rows.order_by()
    found = dict(
        remembered(f"sums of {spec.name}: {plain.query}", lambda: plain.aggregate(row_count=Count("pk"), **sums))
    )
    return found.pop("row_count"), {key.removeprefix("sum_"): value or ZERO for key, value in found.items()}


def _ordered(spec: ListSpec, rows: Any, column: Column | None, descending: bool) -> Any:
    if column is None:
        return rows
    if isinstance(rows, QuerySet):
        return rows.order_by(*_order(column, descending)) if column.sort_path else rows
    known = [row for row in rows if column.of(row) is not None]
    return sorted(known, key=column.of, reverse=descending) + [row for row in rows if column.of(row) is None]


def _order(column: Column, descending: bool) -> tuple[Any, ...]:
    """Empty values come last when ascending and first when descending; the id decides between equals."""
    path = F(column.sort_path)
    return (path.desc(nulls_first=True), "-pk") if descending else (path.asc(nulls_last=True), "pk")


# -- keyset pages ------------------------------------------------------------------------------------------------------


def _cut(
    request: HttpRequest, spec: ListSpec, rows: QuerySet[Any], column: Column | None, descending: bool
) -> tuple[list[Any], str, str]:
    """The rows of one page, and the links to the pages before and after it."""
    by = column if column and column.sort_path else Column("pk", "", sort="pk")
    descending = descending if column else True
    backward = "before" in request.GET
    mark = _unmark(request.GET.get("before" if backward else "after", ""))
    keyed = rows.annotate(sort_key=F(by.sort_path))
    towards = descending != backward
    try:
        wanted = keyed if mark is None else keyed.filter(_beyond(*mark, downward=towards))
        found = _first(keyed, wanted.order_by(*_order(by, towards)), spec.per_page + 1)
    except (FieldError, ValidationError, ValueError):  # a mark made for another order, or by hand
        mark, backward = None, False
        found = _first(keyed, keyed.order_by(*_order(by, descending)), spec.per_page + 1)
    more = len(found) > spec.per_page
    shown = found[: spec.per_page]
    if backward:
        shown.reverse()
    if not shown:
        return [], "", ""
    has_previous = more if backward else mark is not None
    has_next = True if backward else more
    return (
        shown,
        _link(request, before=_mark(shown[0])) if has_previous else "",
        _link(request, after=_mark(shown[-1])) if has_next else "",
    )


def _slice(request: HttpRequest, spec: ListSpec, rows: Sequence[Any]) -> tuple[list[Any], str, str]:
    """The same of rows that are at hand already: the page after or before the row of that number."""
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    start = int(after) if after.isascii() and after.isdecimal() else 0
    if before.isascii() and before.isdecimal():
        start = max(int(before) - spec.per_page, 0)
    end = start + spec.per_page
    return (
        list(rows[start:end]),
        _link(request, before=str(start)) if start else "",
        _link(request, after=str(end)) if end < len(rows) else "",
    )


def _first(keyed: QuerySet[Any], ordered: QuerySet[Any], count: int) -> list[Any]:
    """The first rows of an order. Keys are sorted, since whole rows with all that is joined are slow to sort."""
    keys = list(ordered.values_list("pk", flat=True)[:count])
    rows = keyed.in_bulk(keys)
    return [rows[pk] for pk in keys]


def _beyond(value: str | None, pk: int, *, downward: bool) -> Q:
    """The rows after the marked one in the order of :func:`_order`."""
    if downward:
        if value is None:
            return Q(sort_key__isnull=True, pk__lt=pk) | Q(sort_key__isnull=False)
        return Q(sort_key__lt=value) | Q(sort_key=value, pk__lt=pk)
    if value is None:
        return Q(sort_key__isnull=True, pk__gt=pk)
    return Q(sort_key__gt=value) | Q(sort_key=value, pk__gt=pk) | Q(sort_key__isnull=True)


def _mark(row: Model) -> str:
    value = row.sort_key  # type: ignore[attr-defined]
    text = value.isoformat() if isinstance(value, date) else value if value is None else str(value)
    return base64.urlsafe_b64encode(json.dumps([text, row.pk]).encode()).decode().rstrip("=")


def _unmark(mark: str) -> tuple[str | None, int] | None:
    if not mark:
        return None
    try:
        value, pk = json.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        return (None if value is None else str(value)), int(pk)
    except (binascii.Error, ValueError, TypeError):
        return None


def _link(request: HttpRequest, **changes: str) -> str:
    query = request.GET.copy()
    for name in ("after", "before"):
        query.pop(name, None)
    for name, value in changes.items():
        query[name] = value
    return f"?{query.urlencode()}"


# -- rows --------------------------------------------------------------------------------------------------------------


def _read(row: object, path: str | Callable[[Any], object]) -> Any:
    if callable(path):
        return path(row)
    value: Any = row
    for name in path.split("."):
        value = getattr(value, name, None)
        if value is None:
            return None
        if callable(value):
            value = value()
    return value


def _line(spec: ListSpec, row: Any) -> Line:
    own = spec.url(row) if spec.url else None
    cells = tuple(
        Cell(
            column,
            column.of(row),
            _read(row, column.note) if column.note else "",
            column.url(row) if column.url else own if column.kind == "key" else None,
        )
        for column in spec.columns
        if not column.hidden
    )
    return Line(row, cells, own)


# -- files -------------------------------------------------------------------------------------------------------------


def as_csv(spec: ListSpec, rows: Iterable[Any]) -> HttpResponse:
    """The list as CSV for Excel (UTF-8 with a mark): ISO dates, plain numbers."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([column.label for column in spec.columns])
    writer.writerows([[_in_csv(column, row) for column in spec.columns] for row in rows])
    return _download(spec, "csv", "text/csv; charset=utf-8", text.getvalue().encode("utf-8-sig"))


def as_xlsx(spec: ListSpec, rows: Iterable[Any]) -> HttpResponse:
    """The list as an Excel workbook: real numbers and dates, a filter on the head, sums that Excel works out itself."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "remove_timezone": True, "strings_to_formulas": False})
    sheet = book.add_worksheet(spec.name[:31])
    bold = book.add_format({"bold": True, "bottom": 1})
    formats = {kind: book.add_format({"num_format": pattern}) for kind, pattern in XLSX_FORMATS.items()}
    at = 0
    for x, column in enumerate(spec.columns):
        sheet.write_string(0, x, column.label, bold)
        sheet.set_column(x, x, 14 if column.is_numeric or column.kind == "date" else 24)
    for at, row in enumerate(rows, start=1):
        for x, column in enumerate(spec.columns):
            _write_cell(sheet, at, x, column, column.of(row), formats.get(column.kind))
    if at:
        sheet.autofilter(0, 0, at, len(spec.columns) - 1)
        for x, column in enumerate(spec.columns):
            if column.total:
                letter = xlsxwriter.utility.xl_col_to_name(x)
                total = book.add_format(
                    {"num_format": XLSX_FORMATS.get(column.kind, "General"), "bold": True, "top": 1}
                )
                sheet.write_formula(at + 1, x, f"=SUBTOTAL(9,{letter}2:{letter}{at + 1})", total)
    sheet.freeze_panes(1, 0)
    book.close()
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return _download(spec, "xlsx", kind, buffer.getvalue())


EXPORTS: Final[dict[str, Callable[[ListSpec, Iterable[Any]], HttpResponse]]] = {"csv": as_csv, "xlsx": as_xlsx}


def _in_csv(column: Column, row: Any) -> str:
    value = column.of(row)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Decimal):
        return f"{round_money(value):f}" if column.kind == "money" else f"{value.normalize():f}"
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    # A cell that begins like a formula would be run by a spreadsheet; a quote in front makes it text.
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _write_cell(sheet: Any, y: int, x: int, column: Column, value: Any, style: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        sheet.write_string(y, x, "yes" if value else "no")
    elif isinstance(value, Decimal | int):
        sheet.write_number(y, x, round_money(Decimal(value)) if column.kind == "money" else value, style)
    elif isinstance(value, datetime | date):
        sheet.write_datetime(y, x, value, style)
    else:
        sheet.write_string(y, x, str(value))


def _download(spec: ListSpec, ending: str, content_type: str, content: bytes) -> HttpResponse:
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{slugify(spec.name)}.{ending}"'
    return response
