"""Pages: the register of fixed assets, capitalising, depreciation, disposal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET

from counterfoil.assets import commands, queries
from counterfoil.assets.models import Asset, AssetCategory, BookName, DepreciationBook, DepreciationLine
from counterfoil.assets.queries import DueRow, RegisterRow
from counterfoil.core.calendar import format_month, month_end, month_start
from counterfoil.core.depreciation import Convention, Method, ScheduleLine
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.core.states import words
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import accounts_by_type
from counterfoil.platform.lookup import existing
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    DayField,
    Deed,
    MoneyField,
    PageForm,
    QuantityField,
    form_page,
    may,
    posted,
    require,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import page_of_record, side_of

ASSETS_CRUMB: Final = ("Assets", "/assets/")

#: How a method or convention is called.
METHOD_NAMES: Final = {
    Method.STRAIGHT_LINE: "Straight line",
    Method.DECLINING_BALANCE_150: "150 % declining balance",
    Method.DECLINING_BALANCE_200: "200 % declining balance",
    Method.SUM_OF_YEARS: "Sum of years' digits",
    Method.UNITS_OF_USE: "Units of use",
    **{method: f"US MACRS, {method.macrs_years}-year" for method in Method if method.macrs_years},
}
CONVENTION_NAMES: Final = {
    Convention.FULL_MONTH: "Full month",
    Convention.NEXT_MONTH: "From the next month",
    Convention.MID_MONTH: "Mid-month",
    Convention.HALF_YEAR: "Half-year",
    Convention.MID_QUARTER: "Mid-quarter (MACRS)",
    Convention.DAILY: "By the day",
}


@navigation.waiting
def assets_wait() -> dict[str, int]:
    """Assets whose depreciation of past months is not posted."""
    due = DepreciationLine.objects.filter(
        book__name=BookName.BOOK, book__asset__status="in_service", entry=None, amount__gt=0, end__lte=today()
    )
    return {"depreciation_due": due.values("book__asset").distinct().count()}


# -- register ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """What the assets of a category or customer come to."""

    name: str
    count: int
    cost: Decimal
    accumulated: Decimal
    net_book_value: Decimal


def _register_spec() -> ListSpec:
    names = AssetCategory.objects.values_list("name", flat=True)
    return ListSpec(
        name="Fixed assets",
        columns=(
            Column("number", "Number", "asset.number", kind="key", sort="number"),
            Column("description", "Asset", "asset.description", sort="description", card="note"),
            Column("customer", "Stands at", "asset.company.name", sort="customer", card="note"),
            Column("category", "Category", "asset.category.name", sort="category"),
            Column("in_service", "In service", "asset.in_service_date", kind="date", sort="in_service"),
            Column("status", "State", "asset.status", kind="state", sort="status", card="note"),
            Column("cost", "Cost", kind="money", sort="cost", total="cost"),
            Column("accumulated", "Depreciation", kind="money", sort="accumulated", total="accumulated"),
            Column("net_book_value", "Net book value", kind="money", sort="net", total="net_book_value", card="figure"),
        ),
        chips=(Chips("asset.category.name", [(name, name) for name in names]),),
        sort="number",
        url=lambda row: reverse("web:asset", args=[row.asset.pk]),
        placeholder="Number, name, serial or customer",
        noun="assets",
    )


def register(request: HttpRequest) -> HttpResponse:
    """The register: cost, accumulated depreciation and net book value of each asset, by category and customer."""
    on = today()
    rows = queries.register(as_of=on, search=search_of(request))
    due = queries.due_depreciation(through=on)
    context = {
        "due": due,
        "due_total": sum_money(row.amount for row in due),
        "cost": sum_money(row.cost for row in rows),
        "accumulated": sum_money(row.accumulated for row in rows),
        "net_book_value": sum_money(row.net_book_value for row in rows),
        "candidates": queries.invoice_lines_to_capitalise().count(),
        "groups": [
            ("Category", _grouped(rows, lambda row: row.asset.category.name)),
            ("Customer", _grouped(rows, lambda row: row.asset.company.name)),
        ],
        "may": asset_rights(request),
    }
    return show_list(request, _register_spec(), rows, "web/assets/register.html", context)


def asset_rights(request: HttpRequest) -> dict[str, bool]:
    """What the signed-in person may do with assets, by name."""
    return may(
        request,
        capitalise=commands.capitalise_from_invoice_line,
        depreciate=commands.post_depreciation,
        dispose=commands.dispose_asset,
        record=commands.record_units,
        categorise=commands.create_asset_category,
    )


def _grouped(rows: Iterable[RegisterRow], name_of: Callable[[RegisterRow], str]) -> list[Group]:
    by_name: dict[str, list[RegisterRow]] = defaultdict(list)
    for row in rows:
        by_name[name_of(row)].append(row)
    return [
        Group(
            name,
            len(mine),
            sum_money(row.cost for row in mine),
            sum_money(row.accumulated for row in mine),
            sum_money(row.net_book_value for row in mine),
        )
        for name, mine in sorted(by_name.items())
    ]


# -- an asset ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Year:
    """A calendar year of a schedule."""

    year: int
    amount: Decimal
    lines: tuple[DepreciationLine, ...]


@require_GET
def asset(request: HttpRequest, pk: int) -> HttpResponse:
    """An asset with its schedule, thread and trail; ``?book=tax`` shows the schedule of the tax book."""
    record = existing(Asset.objects.select_related("category", "company", "agreement", "product"), pk)
    books = {book.name: book for book in record.books.all()}
    book = books.get(request.GET.get("book", ""), books[BookName.BOOK.value])
    lines = list(queries.schedule_of(pk, book.name))
    posted_lines = [line for line in lines if line.entry_id] if book.name == BookName.BOOK else []
    accumulated = sum_money(line.amount for line in posted_lines)
    last = month_end(month_start(today()) - timedelta(days=1))
    context = {
        "asset": record,
        "book": book,
        "books": list(books.values()),
        "method": METHOD_NAMES[Method(book.method)],
        "convention": CONVENTION_NAMES[Convention(book.convention)],
        "years": _years(lines),
        "accumulated": accumulated,
        "net_book_value": ZERO if record.status == "disposed" else sum_money([record.cost, -accumulated]),
        "is_due": any(line.entry_id is None and line.amount and line.end <= today() for line in lines),
        "last_month": last,
        "by_units": book.method == Method.UNITS_OF_USE,
        "serials": record.serial_numbers.splitlines(),
        "plot": plot_of(record.cost, lines) if lines else None,
        "agreement_url": page_of_record(record.agreement),
        "may": asset_rights(request),
        **side_of(record),
    }
    return render(request, "web/assets/asset.html", context)


def _years(lines: Iterable[DepreciationLine]) -> list[Year]:
    by_year: dict[int, list[DepreciationLine]] = defaultdict(list)
    for line in lines:
        by_year[line.start.year].append(line)
    return [Year(year, sum_money(line.amount for line in mine), tuple(mine)) for year, mine in by_year.items()]


def plot_of(cost: Decimal, lines: Sequence[DepreciationLine | ScheduleLine]) -> dict[str, Any]:
    """The net book value from the start to the end of a schedule; what is posted is drawn full, the rest dashed."""
    labels = ["Start", *(period_name(line) for line in lines)]
    values = [str(cost), *(str(line.net_book_value) for line in lines)]
    booked = [1, *(getattr(line, "entry_id", None) for line in lines)]
    so_far: list[str | None] = [value if entry else None for value, entry in zip(values, booked, strict=True)]
    series = [
        {"key": "planned", "label": "Planned", "values": values, "style": "dash", "colour": "plot-2"},
        {"key": "net_book_value", "label": "Net book value", "values": so_far, "style": "line", "colour": "plot-1"},
    ]
    return {"labels": labels, "kind": "line", "series": series if any(booked[1:]) else series[:1]}


def period_name(line: DepreciationLine | ScheduleLine) -> str:
    """The month, or the year of a tax schedule."""
    return format_month(line.start) if (line.end - line.start).days < 32 else str(line.start.year)


# -- depreciation, use, disposal ---------------------------------------------------------------------------------------


class ThroughForm(forms.Form):
    """Through which day depreciation is posted."""

    through = DayField(label="Through")


def depreciation(request: HttpRequest) -> HttpResponse:
    """What posting depreciation through a date will post (GET), and posting it (POST)."""
    require(request, commands.post_depreciation)
    default = month_start(today()) - timedelta(days=1)
    data = request.POST if request.method == "POST" else request.GET
    form = ThroughForm(data) if "through" in data else ThroughForm({"through": default.isoformat()})
    refusal = None
    if request.method == "POST" and form.is_valid():
        through = form.cleaned_data["through"]
        try:
            entries = commands.post_depreciation(actor=actor_of(request), through=through)
        except DomainError as error:
            refusal = error
        else:
            messages.success(request, _posted_in_words(list(entries)))
            return redirect("web:assets")
    rows: list[DueRow] = queries.due_depreciation(through=form.cleaned_data["through"]) if form.is_valid() else []
    context = {
        "form": form,
        "rows": rows,
        "total": sum_money(row.amount for row in rows),
        "periods": sum(row.periods for row in rows),
        "through": form.cleaned_data.get("through"),
        "refusal": refusal,
    }
    status = 422 if refusal or not form.is_valid() else 200
    return render(request, "web/assets/depreciation.html", context, status=status)


def _posted_in_words(entries: Sequence[Any]) -> str:
    if not entries:
        return "Nothing was due; nothing was posted."
    total = format_money(sum_money(entry.total for entry in entries))
    return f"Depreciation of {total} was posted with {len(entries)} {'entry' if len(entries) == 1 else 'entries'}."


class UnitsForm(PageForm):
    """The use of an asset in a month."""

    rows = (("month", "units"),)

    month = forms.DateField(
        label="Month",
        input_formats=["%Y-%m", "%Y-%m-%d"],
        widget=forms.DateInput(attrs={"type": "month"}, format="%Y-%m"),
    )
    units = QuantityField(label="Units used")


def units(request: HttpRequest, pk: int) -> HttpResponse:
    """Record the units an asset was used in a month."""
    record = existing(Asset.objects.all(), pk)
    last = DepreciationLine.objects.filter(book__asset=record, book__name=BookName.BOOK).order_by("sequence").last()
    form = UnitsForm(posted(request), initial={"month": last.end if last else month_start(record.in_service_date)})
    own = reverse("web:asset", args=[pk])
    deed = Deed(
        title=f"Units of {record}",
        button="Record the units",
        back=own,
        then=lambda _: own,
        said=lambda line: f"{format_month(line.start)}: {format_money(line.amount)} of depreciation, not posted yet.",
        crumbs=(ASSETS_CRUMB, (record.number, own)),
        intro="The month's depreciation follows the units; post it with the other assets.",
    )
    return form_page(
        request,
        commands.record_units,
        form,
        lambda: commands.record_units(actor=actor_of(request), asset_id=pk, **form.given()),
        deed,
    )


class DisposalForm(PageForm):
    """Sale or scrapping of an asset."""

    rows = (("on", "proceeds"),)

    on = DayField(label="Date")
    proceeds = MoneyField(label="Proceeds", required=False, help_text="Empty when it was scrapped.")
    bank_account_id = ChoiceOf(label="Paid into", required=False, empty="The default bank account")
    reason = forms.CharField(label="Reason", required=False, max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["bank_account_id"].offer(accounts_by_type(AccountType.BANK))  # type: ignore[attr-defined]

    def given(self) -> dict[str, Any]:
        """What was entered, by argument of the command."""
        return {**self.cleaned_data, "proceeds": self.cleaned_data["proceeds"] or ZERO}


def dispose(request: HttpRequest, pk: int) -> HttpResponse:
    """Sell or scrap an asset."""
    record = existing(Asset.objects.all(), pk)
    form = DisposalForm(posted(request), initial={"on": today()})
    own = reverse("web:asset", args=[pk])
    book = DepreciationBook.objects.get(asset=record, name=BookName.BOOK)
    accumulated = sum_money(book.lines.filter(entry__isnull=False).values_list("amount", flat=True))
    left = format_money(sum_money([record.cost, -accumulated]))
    deed = Deed(
        title=f"Dispose of {record}",
        button="Dispose of it",
        back=own,
        then=lambda _: own,
        said=lambda done: f"{done.number} has left the books.",
        crumbs=(ASSETS_CRUMB, (record.number, own)),
        intro=f"{record.description}: cost {format_money(record.cost)}, net book value {left}. What the proceeds "
        "differ from it is a gain or a loss. This cannot be undone.",
    )
    return form_page(
        request,
        commands.dispose_asset,
        form,
        lambda: commands.dispose_asset(actor=actor_of(request), asset_id=pk, **form.given()),
        deed,
    )


# -- categories --------------------------------------------------------------------------------------------------------

CATEGORIES: Final = ListSpec(
    name="Asset categories",
    columns=(
        Column("name", "Name", kind="key"),
        Column(
            "method",
            "Method",
            lambda c: METHOD_NAMES[Method(c.method)],
            note=lambda c: words(c.convention),
            card="note",
        ),
        Column("life_months", "Life, months", kind="quantity", sort="life_months", card="figure"),
        Column("asset_account", "Asset"),
        Column("accumulated_account", "Accumulated depreciation"),
        Column("expense_account", "Expense"),
        Column("disposal_account", "Gain or loss"),
    ),
    sort="name",
)


@require_GET
def categories(request: HttpRequest) -> HttpResponse:
    """Asset categories with their accounts."""
    return show_list(
        request, CATEGORIES, queries.categories(), "web/assets/categories.html", {"may": asset_rights(request)}
    )


class CategoryForm(PageForm):
    """An asset category: its accounts, and how its assets are usually depreciated."""

    rows = (
        ("asset_account_id", "accumulated_account_id"),
        ("expense_account_id", "disposal_account_id"),
        ("method", "convention", "life_months"),
    )

    name = forms.CharField(label="Name", max_length=50)
    asset_account_id = ChoiceOf(label="Asset account")
    accumulated_account_id = ChoiceOf(label="Accumulated depreciation account")
    expense_account_id = ChoiceOf(label="Depreciation expense account")
    disposal_account_id = ChoiceOf(label="Gain or loss account")
    method = forms.ChoiceField(label="Method", choices=[(m.value, name) for m, name in METHOD_NAMES.items()])
    convention = forms.ChoiceField(
        label="Convention", choices=[(c.value, name) for c, name in CONVENTION_NAMES.items()]
    )
    life_months = forms.IntegerField(label="Life in months", min_value=1, max_value=1200, initial=36)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = {
            "asset_account_id": (AccountType.FIXED_ASSET,),
            "accumulated_account_id": (AccountType.ACCUMULATED_DEPRECIATION,),
            "expense_account_id": (AccountType.COGS, AccountType.EXPENSE),
            "disposal_account_id": (AccountType.OTHER_INCOME, AccountType.OTHER_EXPENSE, AccountType.EXPENSE),
        }
        for name, wanted in types.items():
            self.fields[name].offer(accounts_by_type(*wanted))  # type: ignore[attr-defined]


def new_category(request: HttpRequest) -> HttpResponse:
    """Add an asset category."""
    form = CategoryForm(posted(request))
    listed = reverse("web:asset_categories")
    deed = Deed(
        title="New asset category",
        button="Add the category",
        back=listed,
        then=lambda _: listed,
        said=lambda made: f"{made} was added.",
        crumbs=(ASSETS_CRUMB, ("Categories", listed)),
    )
    return form_page(
        request,
        commands.create_asset_category,
        form,
        lambda: commands.create_asset_category(actor=actor_of(request), **form.given()),
        deed,
    )


urlpatterns: list[URLPattern] = [
    path("assets/", require_GET(register), name="assets"),
    path("assets/<int:pk>/", asset, name="asset"),
    path("assets/<int:pk>/units/", units, name="asset_units"),
    path("assets/<int:pk>/dispose/", dispose, name="asset_dispose"),
    path("assets/depreciation/", depreciation, name="depreciation"),
    path("assets/categories/", categories, name="asset_categories"),
    path("assets/categories/new/", new_category, name="asset_category_new"),
]
