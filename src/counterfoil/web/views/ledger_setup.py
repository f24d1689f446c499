"""Pages: chart of accounts, default accounts, GL mapping, accounting periods and settings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.accounting.commands import remove_mapping, set_mapping, set_procurement_date
from counterfoil.accounting.documents import procurement_date
from counterfoil.accounting.mapping import BY_AGREEMENT_TYPE, MAPPABLE, role_in_words
from counterfoil.accounting.models import GLMapping, ProcurementDate
from counterfoil.accounting.queries import mappings, unposted_invoices, unposted_procurement
from counterfoil.agreements.models import AgreementType
from counterfoil.catalog.models import Category, Subcategory
from counterfoil.core.calendar import add_months, format_month
from counterfoil.core.errors import DomainError
from counterfoil.core.posting import GlRole
from counterfoil.ledger.chart import ROLE_TYPES
from counterfoil.ledger.commands import (
    close_period,
    create_account,
    open_periods,
    reopen_period,
    set_default_account,
    update_account,
)
from counterfoil.ledger.models import Account, AccountingPeriod, AccountType, DefaultAccount, PeriodStatus
from counterfoil.ledger.queries import account_balances, natural_balance
from counterfoil.platform.lookup import existing
from counterfoil.web.actions import actor_of, today
from counterfoil.web.bookkeeping import entries_url
from counterfoil.web.forms import (
    ChoiceOf,
    Deed,
    PageForm,
    ProductField,
    form_page,
    may,
    parse_day,
    posted,
    require,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.remembered import remembered

# -- chart of accounts -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account with its balance today, on the side it grows on."""

    account: Account
    balance: Decimal
    roles: str

    @property
    def state(self) -> str:
        """Whether it takes entries."""
        return "active" if self.account.active else "inactive"

    @property
    def entries(self) -> str:
        """Its lines in the general ledger."""
        return entries_url(account=self.account.code)


CHART: Final = ListSpec(
    name="Chart of accounts",
    columns=(
        Column("code", "Code", "account.code", kind="key", sort="code"),
        Column("name", "Name", "account.name", sort="name", note="account.description", card="note"),
        Column("type", "Type", "account.get_type_display", sort="type", card="note"),
        Column("roles", "Default for"),
        Column("state", "State", kind="state", sort="state"),
        Column("balance", "Balance", kind="money", url=lambda row: row.entries, card="figure"),
    ),
    chips=(Chips("state", (("active", "Active"), ("inactive", "Inactive"))),),
    url=lambda row: reverse("web:account", args=[row.account.pk]),
    placeholder="Code or name",
    noun="accounts",
)


@require_GET
def accounts(request: HttpRequest) -> HttpResponse:
    """The chart of accounts with balances."""
    search = search_of(request)
    found = Account.objects.prefetch_related("default_for")
    if search:
        found = found.filter(Q(code__istartswith=search) | Q(name__icontains=search))
    balances = remembered("balances", lambda: account_balances(through=today()))
    rows = [
        AccountRow(
            account,
            natural_balance(account.type, balances.get(account.pk, Decimal(0))),
            ", ".join(_role_name(default.role) for default in account.default_for.all()),
        )
        for account in found
    ]
    return show_list(request, CHART, rows, "web/ledger_setup/accounts.html", {"may": _rights(request)})


def _rights(request: HttpRequest) -> dict[str, bool]:
    return may(
        request,
        create=create_account,
        edit=update_account,
        default=set_default_account,
        map=set_mapping,
        open=open_periods,
        close=close_period,
        reopen=reopen_period,
    )


def _role_name(role: str) -> str:
    return role_in_words(GlRole(role))


class NewAccountForm(PageForm):
    """A new account."""

    rows = (("code", "type"),)

    code = forms.CharField(label="Code", max_length=10)
    type = forms.ChoiceField(label="Type", choices=AccountType.choices)
    name = forms.CharField(label="Name", max_length=60)
    description = forms.CharField(label="Description", max_length=200, required=False)


class AccountForm(PageForm):
    """What of an account can be changed: entries stand on its code and type."""

    name = forms.CharField(label="Name", max_length=60)
    description = forms.CharField(label="Description", max_length=200, required=False)
    active = forms.BooleanField(label="Active: it takes entries", required=False)


def _account_deed(title: str, button: str, said: str) -> Deed:
    listed = reverse("web:accounts")
    return Deed(
        title=title,
        button=button,
        back=listed,
        then=lambda _: listed,
        said=lambda account: said.format(account),
        crumbs=(("Chart of accounts", listed),),
    )


def new_account(request: HttpRequest) -> HttpResponse:
    """Add an account."""
    form = NewAccountForm(posted(request))
    return form_page(
        request,
        create_account,
        form,
        lambda: create_account(actor=actor_of(request), **form.given()),
        _account_deed("New account", "Add the account", "{} was added."),
    )


def account(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an account."""
    record = existing(Account.objects.all(), pk)
    initial = {"name": record.name, "description": record.description, "active": record.active}
    form = AccountForm(posted(request), initial=initial)
    return form_page(
        request,
        update_account,
        form,
        lambda: update_account(actor=actor_of(request), account_id=pk, **form.given()),
        _account_deed(f"{record}", "Save", "{} was saved."),
        template="web/ledger_setup/account.html",
        context={"account": record, "entries": entries_url(account=record.code)},
    )


# -- default accounts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role of the general ledger, its default account and those that could play it."""

    role: str
    name: str
    account: Account | None
    choices: tuple[Account, ...]
    error: str = ""


def defaults(request: HttpRequest) -> HttpResponse:
    """The default account of each role; POST changes one."""
    refused: dict[str, str] = {}
    if request.method == "POST":
        role = request.POST.get("role", "")
        try:
            done = set_default_account(
                actor=actor_of(request), role=role, account_id=_id(request.POST.get("account_id", ""))
            )
        except DomainError as error:
            if error.status == 403:
                raise
            refused[role] = error.message
        else:
            messages.success(request, f"{done.account} is the default for {_role_name(role)}.")
            return redirect("web:default_accounts")
    held = {row.role: row.account for row in DefaultAccount.objects.select_related("account")}
    active = list(Account.objects.filter(active=True))
    rows = [
        RoleRow(
            role.value,
            role_in_words(role),
            held.get(role.value),
            tuple(each for each in active if each.type in ROLE_TYPES[role]),
            refused.get(role.value, ""),
        )
        for role in GlRole
    ]
    context = {"rows": rows, "may": _rights(request)}
    return render(request, "web/ledger_setup/defaults.html", context, status=422 if refused else 200)


def _id(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


# -- GL mapping --------------------------------------------------------------------------------------------------------

#: What can be mapped, from the most particular to the most general: field of the mapping, and how it is called.
KINDS: Final = (
    ("product", "Product"),
    ("agreement_type", "Agreement type"),
    ("subcategory", "Subcategory"),
    ("category", "Category"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """The account of a role for a record: its own mapping, or what it falls back to."""

    role: str
    mapping: GLMapping | None
    fallback: str
    takes: bool


@dataclass(frozen=True, slots=True)
class RecordRow:
    """A record with its account for each role."""

    name: str
    kind: str
    kind_name: str
    pk: int
    cells: tuple[Cell, ...]


@require_GET
def gl_mappings(request: HttpRequest) -> HttpResponse:
    """The matrix of roles and records; what is missing is pointed out at the top."""
    held = list(mappings())
    defaults_by_role = {row.role: str(row.account) for row in DefaultAccount.objects.select_related("account")}
    context = {
        "roles": [(role.value, role_in_words(role), defaults_by_role.get(role.value, "")) for role in MAPPABLE],
        "rows": _mapping_rows(held, defaults_by_role),
        "missing": _missing(),
        "undefined": [role_in_words(role) for role in MAPPABLE if role.value not in defaults_by_role],
        "may": _rights(request),
    }
    return render(request, "web/ledger_setup/mappings.html", context)


def _mapping_rows(held: Iterable[GLMapping], defaults_by_role: dict[str, str]) -> list[RecordRow]:
    """Categories and agreement types, all of them; subcategories and products only where they are mapped."""
    by_record: dict[tuple[str, int], dict[str, GLMapping]] = defaultdict(dict)
    named: dict[tuple[str, int], Any] = {("category", c.pk): c for c in Category.objects.order_by("name")}
    named |= {("agreement_type", t.pk): t for t in AgreementType.objects.order_by("name")}
    for mapping in held:
        kind = next(name for name, _ in KINDS if getattr(mapping, f"{name}_id") is not None)
        key = (kind, getattr(mapping, f"{kind}_id"))
        by_record[key][mapping.role] = mapping
        named.setdefault(key, getattr(mapping, kind))
    order = ["category", "subcategory", "agreement_type", "product"]
    rows = []
    for (kind, pk), record in sorted(named.items(), key=lambda item: (order.index(item[0][0]), str(item[1]))):
        cells = tuple(
            Cell(
                role.value,
                by_record[kind, pk].get(role.value),
                defaults_by_role.get(role.value, ""),
                kind != "agreement_type" or role in BY_AGREEMENT_TYPE,
            )
            for role in MAPPABLE
        )
        rows.append(RecordRow(str(record), kind, dict(KINDS)[kind], pk, cells))
    return rows


def _missing() -> list[str]:
    """What keeps unposted records out of the books for want of an account, once each."""
    waiting = remembered("unposted documents", lambda: [*unposted_procurement(), *unposted_invoices()])
    return list(dict.fromkeys(r.text for row in waiting for r in row.reasons if r.target == "gl_mapping"))


class MappingForm(PageForm):
    """An account for a role of one product, subcategory, category or agreement type."""

    rows = (("role", "account_id"), ("category_id", "subcategory_id"), ("agreement_type_id", "product_id"))

    role = forms.ChoiceField(
        label="Role", choices=[(role.value, role_in_words(role).capitalize()) for role in MAPPABLE]
    )
    account_id = ChoiceOf(label="Account")
    category_id = ChoiceOf(label="Category", required=False, empty="–")
    subcategory_id = ChoiceOf(label="Subcategory", required=False, empty="–")
    agreement_type_id = ChoiceOf(
        label="Agreement type", required=False, empty="–", help_text="For revenue of agreements only."
    )
    product_id = ProductField(label="Product", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        types = {kind for role in MAPPABLE for kind in ROLE_TYPES[role]}
        offers: dict[str, Any] = {
            "account_id": Account.objects.filter(active=True, type__in=types),
            "category_id": Category.objects.order_by("name"),
            "subcategory_id": Subcategory.objects.select_related("category").order_by("category__name", "name"),
            "agreement_type_id": AgreementType.objects.order_by("name"),
        }
        for name, records in offers.items():
            self.fields[name].offer(records)  # type: ignore[attr-defined]


def set_a_mapping(request: HttpRequest) -> HttpResponse:
    """Map a role to an account for one record; ``?role=…&category_id=…`` fills the form in."""
    known = {role.value for role in MAPPABLE}
    initial: dict[str, Any] = {
        name: _id(request.GET[name]) for name in MappingForm.base_fields if request.GET.get(name)
    }
    initial["role"] = request.GET["role"] if request.GET.get("role") in known else MAPPABLE[0].value
    initial.setdefault("account_id", None)
    if request.method == "POST":
        initial["account_id"] = _account_by_now(initial) or initial["account_id"]
    form = MappingForm(posted(request), initial=initial)
    listed = reverse("web:gl_mappings")
    deed = Deed(
        title="Map an account",
        button="Map it",
        back=listed,
        then=lambda _: listed,
        said=lambda done: f"{_role_name(done.role).capitalize()} goes to {done.account}.",
        crumbs=(("GL mapping", listed),),
        intro="Name one record. A mapping that is there is replaced; what is in the books stays as it was booked.",
    )

    def run() -> GLMapping:
        try:
            return set_mapping(actor=actor_of(request), **form.given())
        except DomainError as error:
            # The command speaks of the record, the form of its id.
            named = f"{error.field}_id" if f"{error.field}_id" in form.fields else error.field
            raise DomainError(error.code, error.message, named, error.hint, error.details) from error

    return form_page(request, set_mapping, form, run, deed)


def _account_by_now(asked: dict[str, Any]) -> int | None:
    """The account that somebody else may have mapped meanwhile to what the address asks for, which had none."""
    record = {f"{name}_id": asked[f"{name}_id"] for name, _ in KINDS if asked.get(f"{name}_id")}
    found = mappings().filter(role=asked["role"], **record).first() if record else None
    return found.account_id if found else None


@require_POST
def remove_a_mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove a mapping."""
    return run_deed(
        request,
        lambda: remove_mapping(actor=actor_of(request), mapping_id=pk),
        then=reverse("web:gl_mappings"),
        said="The mapping was removed; the next more general one holds again.",
    )


# -- periods and settings ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """A period, with whether it is the one that can be closed or reopened next."""

    period: AccountingPeriod
    entries: int
    is_current: bool
    can_close: bool
    can_reopen: bool


@dataclass(frozen=True, slots=True)
class YearRow:
    """A calendar year of periods."""

    year: int
    periods: tuple[PeriodRow, ...]

    @property
    def is_open(self) -> bool:
        """Whether its months are shown at once: this year, and one in which a month can be closed or reopened."""
        return any(row.is_current or row.can_close or row.can_reopen for row in self.periods)

    @property
    def said(self) -> str:
        """How many of its months are open, and how many entries it has."""
        still_open = sum(row.period.status == PeriodStatus.OPEN for row in self.periods)
        return f"{still_open} of {len(self.periods)} months open, {sum(row.entries for row in self.periods)} entries"


@require_GET
def periods(request: HttpRequest) -> HttpResponse:
    """Accounting periods by year, and the date that receipts are booked on."""
    found = list(AccountingPeriod.objects.annotate(entry_count=Count("entries")).order_by("start"))
    first_open = next((p.pk for p in found if p.status == PeriodStatus.OPEN), None)
    last_closed = next((p.pk for p in reversed(found) if p.status == PeriodStatus.CLOSED), None)
    on, by_year = today(), defaultdict(list)
    for each in found:
        by_year[each.start.year].append(
            PeriodRow(
                each, each.entry_count, each.start <= on < each.end, each.pk == first_open, each.pk == last_closed
            )
        )
    context = {
        "years": [YearRow(year, tuple(rows)) for year, rows in sorted(by_year.items(), reverse=True)],
        "next_year": _next_year(found),
        "dates": ProcurementDate.choices,
        "chosen": procurement_date(),
        "may": {**_rights(request), **may(request, settings=set_procurement_date)},
    }
    return render(request, "web/ledger_setup/periods.html", context)


def _next_year(found: Sequence[AccountingPeriod]) -> date:
    """The first month that has no period yet."""
    return found[-1].end if found else today().replace(month=1, day=1)


@require_POST
def open_next(request: HttpRequest) -> HttpResponse:
    """Open the next twelve months."""
    require(request, open_periods)
    following = _next_year(list(AccountingPeriod.objects.order_by("start")))
    # Those that the page showed: sent twice, it does not open the twelve after them.
    first = min(parse_day(request.POST.get("first")) or following, following)
    last = add_months(first, 11)
    return run_deed(
        request,
        lambda: open_periods(actor=actor_of(request), first=first, months=12),
        then=reverse("web:periods"),
        said=f"{format_month(first)} to {format_month(last)} are open.",
    )


@require_POST
def close(request: HttpRequest, pk: int) -> HttpResponse:
    """Close a period."""
    return run_deed(
        request,
        lambda: close_period(actor=actor_of(request), period_id=pk),
        then=reverse("web:periods"),
        said=lambda period: f"{format_month(period.start)} is closed.",
    )


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Reopen a period."""
    return run_deed(
        request,
        lambda: reopen_period(actor=actor_of(request), period_id=pk),
        then=reverse("web:periods"),
        said=lambda period: f"{format_month(period.start)} is open again.",
    )


@require_POST
def choose_procurement_date(request: HttpRequest) -> HttpResponse:
    """Choose which date receipts are booked on."""
    wanted = request.POST.get("procurement_date", "")
    return run_deed(
        request,
        lambda: set_procurement_date(actor=actor_of(request), procurement_date=wanted),
        then=reverse("web:periods"),
        said="Receipts that are transferred from now on are booked on that date.",
    )


urlpatterns: list[URLPattern] = [
    path("chart-of-accounts/", accounts, name="accounts"),
    path("chart-of-accounts/new/", new_account, name="account_new"),
    path("chart-of-accounts/defaults/", defaults, name="default_accounts"),
    path("chart-of-accounts/<int:pk>/", account, name="account"),
    path("gl-mapping/", gl_mappings, name="gl_mappings"),
    path("gl-mapping/set/", set_a_mapping, name="gl_mapping_set"),
    path("gl-mapping/<int:pk>/remove/", remove_a_mapping, name="gl_mapping_remove"),
    path("periods/", periods, name="periods"),
    path("periods/open/", open_next, name="periods_open"),
    path("periods/<int:pk>/close/", close, name="period_close"),
    path("periods/<int:pk>/reopen/", reopen, name="period_reopen"),
    path("periods/procurement-date/", choose_procurement_date, name="procurement_date"),
]
