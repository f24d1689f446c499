"""Pages: reports, the general ledger, verification."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET

from counterfoil.accounting import reports as books
from counterfoil.accounting.checks import Check
from counterfoil.accounting.exports import ledger_formats, write_ledger
from counterfoil.accounting.reports import Parameter, Report
from counterfoil.accounting.tables import Column as TableColumn
from counterfoil.accounting.tables import Kind, Row, Table, to_csv, to_xlsx
from counterfoil.accounting.verification import verify as run_checks
from counterfoil.assets.models import Asset
from counterfoil.companies.models import Company
from counterfoil.core.calendar import add_months, format_date, month_end, month_start
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.core.posting import GlRole
from counterfoil.inventory.models import Warehouse
from counterfoil.ledger.models import Account, DefaultAccount, JournalLine
from counterfoil.ledger.queries import general_ledger
from counterfoil.web.actions import shown_again, today
from counterfoil.web.bookkeeping import entries_url, record_url
from counterfoil.web.lists import Column, ListSpec, page_of, show_list, sorting_of

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

#: How many rows of a report a page shows; its files hold all of them, and the totals are those of all.
MOST_ROWS: Final = 500

#: Reports in the order of the index: what they answer, and the icon.
QUESTIONS: Final = {
    "profit-and-loss": ("What did we earn, and on what?", "chart-bar"),
    "balance-sheet": ("What do we own and owe at each month end?", "scale"),
    "trial-balance": ("Do the books balance, account by account?", "equal"),
    "general-ledger": ("Which entries make up a balance?", "book-2"),
    "receivables": ("Who owes us, and how late are they?", "file-dollar"),
    "agreement-profit": ("Which agreements earn, and which cost us?", "coin"),
    "work-value": ("What was an hour of work worth?", "clock"),
    "sales-tax": ("Which sales tax was billed, credited and paid, and what is owed?", "receipt-tax"),
    "inventory-valuation": ("What lies in which bin, and what did it cost?", "building-warehouse"),
    "fixed-assets": ("What are our assets worth in the books?", "server-2"),
    "depreciation-schedules": ("When is each asset written off?", "trending-down"),
    "unposted": ("What is not in the books yet, and why?", "hourglass"),
}
#: Reports with months or many columns across: the first column stays in sight.
WIDE: Final = frozenset({"profit-and-loss", "balance-sheet", "sales-tax", "agreement-profit"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A report on the index."""

    title: str
    question: str
    description: str
    icon: str
    url: str


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All reports, with the question each answers."""
    entries = [
        Entry(report.title, question, report.description, icon, reverse("web:report", args=[name]))
        for name, (question, icon) in QUESTIONS.items()
        if (report := books.REPORTS.get(name))
    ]
    formats = [(name, LEDGER_FILES.get(name, (name, name))[0]) for name in ledger_formats()]
    return render(request, "web/reports/index.html", {"entries": entries, "formats": formats, "today": today()})


#: Format of the ledger -> the program's name, and the ending of its files.
LEDGER_FILES: Final = {"beancount": ("Beancount", "beancount"), "hledger": ("hledger", "journal")}


@require_GET
def ledger_file(request: HttpRequest, format: str) -> StreamingHttpResponse:
    """The whole ledger through a day as a file of another program."""
    through = _date_of(request.GET, "through") or today()
    lines = write_ledger(format, through=through)
    response = StreamingHttpResponse(lines, content_type="text/plain; charset=utf-8")
    ending = LEDGER_FILES.get(format, (format, format))[1]
    response["Content-Disposition"] = f'attachment; filename="ledger-{through.isoformat()}.{ending}"'
    return response


# -- a report ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A figure or word of a report, with the entries or the record behind it."""

    value: Any
    kind: str
    url: str = ""
    indent: bool = False

    @property
    def is_number(self) -> bool:
        """Whether it stands on the right."""
        return self.kind in ("money", "quantity")


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of a report; ``style`` is empty, ``section`` or ``total``."""

    cells: tuple[ShownCell, ...]
    style: str


@require_GET
def report(request: HttpRequest, name: str) -> HttpResponse:
    """A report with its parameters; ``?format=csv`` or ``xlsx`` gives it as a file."""
    if name == "general-ledger":
        return ledger(request)
    asked = books.report_named(name)
    form = parameters_form(asked)(request.GET or None, initial=_initial(asked))
    try:
        table = books.run(name, _given(asked, request), on=today())
    except DomainError as refusal:
        return _refused(request, asked, form, refusal)
    if request.GET.get("format") in FILES:
        return _file(table, request.GET["format"])
    return render(request, "web/reports/report.html", _report_context(request, asked, form, table))


def _report_context(request: HttpRequest, asked: Report, form: forms.Form, table: Table) -> dict[str, Any]:
    link = _linker(table, _given(asked, request))
    return {
        "report": asked,
        "table": table,
        "form": form,
        "rows": [_shown(table, row, link) for row in table.rows[:MOST_ROWS]],
        "cut": max(len(table.rows) - MOST_ROWS, 0),
        "totals": _shown(table, table.totals, lambda *_: "") if table.totals else None,
        "wide": asked.name in WIDE,
        "presets": _presets(asked),
    }


def _refused(request: HttpRequest, asked: Report, form: forms.Form, refusal: DomainError) -> HttpResponse:
    """The parameters once more, with what is wrong beside the field."""
    form.is_valid()
    beside = refusal.field in form.fields
    if beside:
        form.add_error(refusal.field, " ".join(part for part in (refusal.message, refusal.hint) if part))
    context = {"report": asked, "form": form, "refusal": None if beside else refusal, "presets": _presets(asked)}
    return shown_again(request, "web/reports/report.html", context)


def _given(asked: Report, request: HttpRequest) -> dict[str, str]:
    return {p.name: request.GET[p.name] for p in asked.parameters if request.GET.get(p.name)}


def _initial(asked: Report) -> dict[str, Any]:
    """What the report takes where nothing was asked for."""
    return books.read_parameters(asked, {}, on=today())


CHOICES: Final[dict[str, Callable[[], list[tuple[str, str]]]]] = {
    "account": lambda: [(a.code, str(a)) for a in Account.objects.all()],
    "company": lambda: [
        (c.identifier, c.name) for c in Company.objects.filter(active=True).order_by("name").only("identifier", "name")
    ],
    "warehouse": lambda: [(w.name, w.name) for w in Warehouse.objects.order_by("name")],
    "asset": lambda: [(a.number, f"{a.number} {a.description}") for a in Asset.objects.order_by("number")],
}


def parameters_form(asked: Report) -> type[forms.Form]:
    """The form of a report's parameters."""
    return type("ParametersForm", (forms.Form,), {p.name: _field(p) for p in asked.parameters})


def _field(parameter: Parameter) -> forms.Field:
    if parameter.kind == "date":
        widget: forms.Widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        return forms.CharField(label=parameter.label, widget=widget, required=parameter.required)
    choices = [("", f"All {_plural(parameter.label.lower())}"), *CHOICES[parameter.name]()]
    return forms.CharField(label=parameter.label, widget=forms.Select(choices=choices), required=False)


def _plural(word: str) -> str:
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"


@dataclass(frozen=True, slots=True)
class Preset:
    """A usual choice of parameters."""

    label: str
    query: str


def _presets(asked: Report) -> list[Preset]:
    """Usual dates: this year, the last twelve months; today, the last month's end."""
    on = today()
    first = month_start(on)
    before = first - timedelta(days=1)
    names = {parameter.name for parameter in asked.parameters}
    if "from" in names:
        spans = (
            ("This year", on.replace(month=1, day=1), on),
            ("Last 12 months", add_months(first, -11), on),
            ("Last year", date(on.year - 1, 1, 1), date(on.year - 1, 12, 31)),
        )
        return [Preset(label, urlencode({"from": a, "to": b})) for label, a, b in spans]
    if "as_of" in names:
        dates = (("Today", on), (format_date(before), before), (f"31 Dec {on.year - 1}", date(on.year - 1, 12, 31)))
        return [Preset(label, urlencode({"as_of": day})) for label, day in dates]
    return []


# -- from a figure to its entries --------------------------------------------------------------------------------------

Linker = Callable[[Row, TableColumn], str]


def _shown(table: Table, row: Row, link: Linker) -> ShownRow:
    indent = not row.style and any(other.style == "section" for other in table.rows)
    cells = tuple(
        ShownCell(value, column.kind.value, link(row, column) if value is not None else "", indent and index == 0)
        for index, (value, column) in enumerate(zip(row.cells, table.columns, strict=True))
    )
    return ShownRow(cells, row.style)


def _linker(table: Table, given: Mapping[str, str]) -> Linker:
    """How the figures of a report lead to the entries behind them."""
    if table.name == "receivables":
        return _receivable_links(given)
    codes = dict(Account.objects.values_list("pk", "code"))
    months = [column.key for column in table.columns if column.kind == Kind.MONEY]

    def link(row: Row, column: TableColumn) -> str:
        if row.link is None:
            return ""
        kind, pk = row.link
        if kind != "account":
            return record_url(kind, pk) if column is table.columns[0] or kind == "journal_entry" else ""
        if not column.is_number:
            return entries_url(account=codes[pk]) if column is table.columns[0] else ""
        return entries_url(account=codes[pk], **_span(table.name, column.key, months, given))

    return link


def _span(name: str, key: str, months: list[str], given: Mapping[str, str]) -> dict[str, str]:
    """The days whose entries a figure of a statement sums up."""
    if name == "profit-and-loss":
        first, last = (months[0], months[-2]) if key == "total" else (key, key)
        return {"from": f"{first}-01", "to": month_end(date.fromisoformat(f"{last}-01")).isoformat()}
    if name == "balance-sheet":
        return {"to": key}
    return {"to": given.get("as_of", today().isoformat())}


def _receivable_links(given: Mapping[str, str]) -> Linker:
    """To the customer's entries on the receivables account."""
    default = DefaultAccount.objects.select_related("account").filter(role=GlRole.ACCOUNTS_RECEIVABLE).first()
    identifiers = dict(Company.objects.values_list("pk", "identifier"))

    def link(row: Row, column: TableColumn) -> str:
        if row.link is None:
            return ""
        if column.key == "customer":
            return record_url(*row.link)
        if column.key != "total" or default is None:
            return ""
        to = given.get("as_of", today().isoformat())
        return entries_url(account=default.account.code, company=identifiers[row.link[1]], to=to)

    return link


# -- files -------------------------------------------------------------------------------------------------------------

FILES: Final[dict[str, tuple[Callable[[Table], bytes], str]]] = {
    "csv": (to_csv, "text/csv; charset=utf-8"),
    "xlsx": (to_xlsx, XLSX),
}


def _file(table: Table, ending: str) -> HttpResponse:
    write, content_type = FILES[ending]
    response = HttpResponse(write(table), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{table.name}.{ending}"'
    return response


# -- general ledger ----------------------------------------------------------------------------------------------------

LEDGER: Final = ListSpec(
    name="General ledger",
    columns=(
        Column("date", "Date", "entry.date", kind="date", sort="entry__date"),
        Column("entry", "Entry", "entry.number", sort="entry__number"),
        Column("source", "Source", "entry.source_label"),
        Column("account", "Account", sort="account__code"),
        Column("company", "Company", "company.name", sort="company__name"),
        Column("memo", "Memo", lambda line: line.memo or line.entry.memo),
        Column("debit", "Debit", kind="money", sort="debit", total="debit"),
        Column("credit", "Credit", kind="money", sort="credit", total="credit"),
    ),
    sort="date",
    noun="lines",
)


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """A line of the journal, with the balance of the account after it where one account is looked at."""

    line: JournalLine
    url: str
    balance: Decimal | None


def ledger(request: HttpRequest) -> HttpResponse:
    """The lines of the journal by account, company and time, page by page."""
    asked = books.report_named("general-ledger")
    form = parameters_form(asked)(request.GET)
    for field in form.fields.values():
        field.required = False
    try:
        lines, account = _ledger_lines(request.GET)
    except DomainError as refusal:
        return _refused(request, asked, form, refusal)
    if request.GET.get("export"):
        return show_list(request, LEDGER, lines)
    page = page_of(request, LEDGER, lines)
    column, descending = sorting_of(request, LEDGER)
    in_order = column is not None and column.key == "date" and not descending
    balances = _balances(account, page.rows) if account and in_order and not request.GET.get("company") else {}
    rows = [LedgerLine(line, record_url("journal_entry", line.entry_id), balances.get(line.pk)) for line in page.rows]
    context = {
        "report": asked,
        "form": form,
        "page": page,
        "rows": rows,
        "account": account,
        "has_balance": bool(balances),
        "presets": _presets(asked),
        "net": sum_money([page.totals["debit"], -page.totals["credit"]]),
    }
    return render(request, "web/reports/general_ledger.html", context)


def _ledger_lines(given: Mapping[str, str]) -> tuple[QuerySet[JournalLine], Account | None]:
    first, last = _date_of(given, "from"), _date_of(given, "to")
    if first and last and first > last:
        raise DomainError("invalid", f"{format_date(first)} comes after {format_date(last)}.", field="from")
    account = company = None
    if given.get("account"):
        account = Account.objects.filter(code=given["account"]).first()
        if account is None:
            raise DomainError("not_found", "There is no such account.", field="account")
    if given.get("company"):
        company = Company.objects.filter(identifier__iexact=given["company"]).first()
        if company is None:
            raise DomainError("not_found", "There is no such company.", field="company")
    lines = general_ledger(
        first=first, last=last, account_id=account.pk if account else None, company_id=company.pk if company else None
    )
    return lines, account


def _date_of(given: Mapping[str, str], name: str) -> date | None:
    if not given.get(name):
        return None
    try:
        return date.fromisoformat(given[name])
    except ValueError:
        raise DomainError("invalid", "That is not a date.", field=name, hint="Write it as 2026-01-31.") from None


def _balances(account: Account, lines: list[JournalLine]) -> dict[int, Decimal]:
    """The balance of the account (debit less credit) after each of these lines, which are in the order of the books."""
    if not lines:
        return {}
    first = lines[0]
    of_account = JournalLine.objects.filter(account=account)
    before = of_account.filter(entry__date__lt=first.entry.date) | of_account.filter(
        entry__date=first.entry.date, pk__lt=first.pk
    )
    sums = before.aggregate(debit=Sum("debit", default=ZERO), credit=Sum("credit", default=ZERO))
    balance, found = sum_money([sums["debit"], -sums["credit"]]), {}
    for line in lines:
        balance = sum_money([balance, line.debit, -line.credit])
        found[line.pk] = balance
    return found


# -- verification ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownCheck:
    """A check; ``is_count`` when it counts records instead of adding up amounts."""

    check: Check
    is_count: bool


def _is_count(check: Check) -> bool:
    return not any(figure.as_tuple().exponent for figure in (check.expected, check.found))


@require_GET
def verify(request: HttpRequest) -> HttpResponse:
    """Every check of the books with what was expected and found; they run when asked for (``?run=yes``)."""
    checks = run_checks() if request.GET.get("run") else []
    context = {
        "checks": [ShownCheck(check, _is_count(check)) for check in checks],
        "wrong": sum(not check.ok for check in checks),
        "ran": bool(checks),
    }
    return render(request, "web/reports/verify.html", context)


urlpatterns: list[URLPattern] = [
    path("reports/", index, name="reports"),
    path("reports/verify/", verify, name="verify"),
    path("reports/ledger/<slug:format>/", ledger_file, name="ledger_file"),
    path("reports/<slug:name>/", report, name="report"),
]
