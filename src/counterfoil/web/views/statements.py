"""Pages: a customer's account, who owes what by age, and how invoices are made."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from counterfoil.billing import commands, queries
from counterfoil.billing.models import Grouping
from counterfoil.billing.printing import AGES
from counterfoil.billing.queries import ReceivableRow
from counterfoil.billing.statements import statement as account_of
from counterfoil.companies.models import BillingTerms
from counterfoil.companies.queries import company as find_company
from counterfoil.core.calendar import add_months, month_start
from counterfoil.core.money import sum_money
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import ChoiceOf, Deed, PageForm, form_page, may, parse_day, posted
from counterfoil.web.lists import Column, ListSpec, search_of, show_list
from counterfoil.web.remembered import remembered

#: Months that a statement goes back, unless asked otherwise.
MONTHS: Final = 6
#: Entries of an account on one page.
PER_PAGE: Final = 100

#: What an entry of an account is called, and its page.
_ENTRIES: Final = {
    "invoice": ("Invoice", "web:invoice"),
    "credit_memo": ("Credit memo", "web:invoice"),
    "payment": ("Payment", "web:payment"),
    "payment_reversal": ("Payment taken back", "web:payment"),
}


def _buckets(row: ReceivableRow) -> tuple[Decimal, ...]:
    return (row.current, row.days_30, row.days_60, row.days_90, row.older)


def statement(request: HttpRequest, pk: int) -> HttpResponse:
    """A customer's account with a running balance, and what is open of it by age; of a long one, the latest page."""
    company = find_company(pk)
    if company is None:
        raise Http404
    until = parse_day(request.GET.get("until")) or today()
    since = parse_day(request.GET.get("since")) or month_start(add_months(until, -MONTHS))
    found = account_of(company_id=pk, since=since, until=max(since, until))
    ages = _buckets(found.ages)
    last = max(0, len(found.entries) - 1) // PER_PAGE + 1
    page = min(max(1, _number(request.GET.get("page"), last)), last)
    start = (page - 1) * PER_PAGE
    context = {
        "company": company,
        "statement": found,
        "entries": [
            (row, words, reverse(page, args=[row.record_id]))
            for row, (words, page) in ((row, _ENTRIES[row.kind]) for row in found.entries[start : start + PER_PAGE])
        ],
        "carried": found.entries[start - 1] if start else None,
        "older": _page_of(request, page - 1) if page > 1 else "",
        "newer": _page_of(request, page + 1) if page < last else "",
        "charged": sum_money(row.charge for row in found.entries),
        "credited": sum_money(row.credit for row in found.entries),
        "ages": list(zip(AGES, ages, strict=True)),
        "overdue": sum_money(ages[1:]),
        "may": may(request, pay=commands.record_payment),
    }
    return render(request, "web/bill/statement.html", context)


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 9 else otherwise


def _page_of(request: HttpRequest, number: int) -> str:
    asked = request.GET.copy()
    asked["page"] = str(number)
    return f"?{asked.urlencode()}"


# -- ageing ------------------------------------------------------------------------------------------------------------


def _ageing_list(as_of: date) -> ListSpec:
    names = ("current", "days_30", "days_60", "days_90", "older")
    return ListSpec(
        name="Who owes what",
        noun="customers",
        columns=(
            Column("customer", "Customer", kind="key"),
            *(
                Column(name, label, name, kind="money", sort=name, total=name, card="figure" if name == "older" else "")
                for name, label in zip(names, AGES, strict=True)
            ),
            Column("total", "Open", "total", kind="money", sort="total", total="total", card="figure"),
        ),
        sort="-total",
        url=lambda row: f"{reverse('web:statement', args=[row.company_id])}?until={as_of.isoformat()}",
        placeholder="Customer",
    )


def ageing(request: HttpRequest) -> HttpResponse:
    """What customers owe at the end of a day, by days past due: a picture and a table."""
    as_of = parse_day(request.GET.get("as_of")) or today()
    wanted = search_of(request).lower()
    owed = (
        remembered("receivables", lambda: queries.receivables(as_of=as_of))
        if as_of == today()
        else queries.receivables(as_of=as_of)
    )
    rows = [row for row in owed if any(_buckets(row)) and wanted in row.customer.lower()]
    sums = [sum_money(_buckets(row)[i] for row in rows) for i in range(len(AGES))]
    total = sum_money(sums)
    plot = {
        "labels": list(AGES),
        "kind": "bar",
        "series": [{"key": "open", "label": "Open", "values": [f"{value:f}" for value in sums], "style": "bar"}],
    }
    context = {
        "as_of": as_of,
        "plot": plot,
        "total": total,
        "overdue": sum_money(sums[1:]),
        "late": sum(1 for row in rows if any(_buckets(row)[1:])),
        "worst": sums[-1],
        "may": may(request, pay=commands.record_payment),
    }
    return show_list(request, _ageing_list(as_of), rows, "web/bill/ageing.html", context)


# -- settings ----------------------------------------------------------------------------------------------------------


class SettingsForm(PageForm):
    """How invoices are made, for everybody."""

    rows = (("grouping", "default_terms_id"), ("absurd_factor", "most_bills"), ("earn_lapsed",))

    grouping = forms.ChoiceField(
        label="Time, expenses and products come on", choices=Grouping.choices,
        help_text="A company can have a rule of its own. Work that is taxed differently is always apart.",
    )  # fmt: skip
    default_terms_id = ChoiceOf(
        label="Terms where nothing else says", required=False, empty="Due at once",
        help_text="The invoice's terms go first, then those of the agreement, its type, and the bill-to.",
    )  # fmt: skip
    absurd_factor = forms.IntegerField(
        label="Park a bill of more than … times the last", min_value=2, max_value=1000,
        help_text="A quantity with a zero too many is caught by this; a person looks at it first.",
    )  # fmt: skip
    most_bills = forms.IntegerField(
        label="Park an agreement with more than … bills in a run", min_value=1, max_value=1000,
        help_text="A start date ten years ago is caught by this.",
    )  # fmt: skip
    earn_lapsed = forms.BooleanField(
        label="Billing runs earn what lapsed unused of prepaid work", required=False,
        help_text="Otherwise somebody does it under Prepaid work.",
    )  # fmt: skip


def settings(request: HttpRequest) -> HttpResponse:
    """Grouping, default terms, and the bounds past which an agreement is parked instead of billed."""
    found = queries.billing_settings()
    form = SettingsForm(posted(request), initial={name: getattr(found, name) for name in SettingsForm.base_fields})
    form.fields["default_terms_id"].offer(BillingTerms.objects.all())  # type: ignore[attr-defined]
    here = reverse("web:billing_settings")
    return form_page(
        request,
        commands.update_billing_settings,
        form,
        lambda: _save(request, form),
        Deed(
            title="Billing",
            button="Save",
            back=here,
            then=lambda _: here,
            said=lambda _: "Invoices are made so from now on.",
            intro="How invoices are made. What is drafted or closed already stays as it is.",
        ),
    )


def _save(request: HttpRequest, form: SettingsForm) -> Any:
    given = form.given()
    return commands.update_billing_settings(actor=actor_of(request), grouping=Grouping(given.pop("grouping")), **given)


urlpatterns: list[URLPattern] = [
    path("invoices/ageing/<int:pk>/", statement, name="statement"),
    path("invoices/ageing/", ageing, name="ageing"),
    path("invoices/settings/", settings, name="billing_settings"),
]
