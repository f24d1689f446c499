"""Pages: what waits to be invoiced outside a billing run: agreements one by one, and work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse

from counterfoil.billing import commands, queries
from counterfoil.billing.charges import Group, allocation_of, charges_to_bill, due_of
from counterfoil.billing.commands import InvoicingRun, Parked
from counterfoil.billing.models import Grouping, Invoice
from counterfoil.billing.queries import billing_settings
from counterfoil.billing.recurring import refuse_beyond_the_books
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.usage.models import Charge
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import DayField, PageForm, may, parse_day, posted

# -- agreements --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unbilled:
    """An agreement with its periods that are not invoiced."""

    periods: tuple[queries.UnbilledPeriod, ...]
    parked: Parked | None = None

    @property
    def first(self) -> queries.UnbilledPeriod:
        """The earliest of them."""
        return self.periods[0]

    @property
    def amount(self) -> Decimal:
        """All of them, before tax."""
        return sum_money(row.amount for row in self.periods)


class RunForm(PageForm):
    """Which agreements, and how the invoices are dated."""

    through = DayField()
    agreement = forms.TypedMultipleChoiceField(
        coerce=int, error_messages={"required": "Tick the agreements that are to be invoiced."}
    )
    invoice_date = DayField(required=False)


def invoice_agreements(request: HttpRequest) -> HttpResponse:
    """What agreements have not been invoiced through a date; draft the invoices of those that are ticked."""
    through = parse_day(request.POST.get("through") or request.GET.get("through")) or today()
    rows = _unbilled(through)
    form, run, refusal = RunForm(posted(request)), None, None
    form.fields["agreement"].choices = [(row.first.agreement_id, row.first.agreement) for row in rows]  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        try:
            run = commands.invoice_agreements_through(
                actor=actor_of(request),
                through=form.cleaned_data["through"],
                agreement_ids=form.cleaned_data["agreement"],
                invoice_date=form.cleaned_data["invoice_date"],
            )
        except DomainError as error:
            refusal = error
        else:
            if not run.parked:
                messages.success(request, _drafted(run.invoices))
                return redirect(f"{reverse('web:invoices')}?state=draft")
            rows = _unbilled(through, run)
    context = {
        "through": through,
        "rows": sorted(rows, key=lambda row: row.parked is None),
        "total": sum_money(row.amount for row in rows),
        "count": sum(len(row.periods) for row in rows),
        "form": form,
        "run": run,
        "said": _drafted(run.invoices) if run else "",
        "refusal": refusal,
        "ticked": set(request.POST.getlist("agreement")) if request.method == "POST" and not run else None,
        "may": may(request, run=commands.invoice_agreements_through),
    }
    status = 422 if request.method == "POST" and not run else 200
    return render(request, "web/bill/agreements.html", context, status=status)


def _unbilled(through: date, run: InvoicingRun | None = None) -> list[Unbilled]:
    refuse_beyond_the_books(through)
    parked = {each.agreement_id: each for each in run.parked} if run else {}
    rows = sorted(queries.unbilled_periods(through=through), key=lambda row: row.agreement_id)
    return [
        Unbilled(tuple(periods), parked.get(agreement_id))
        for agreement_id, periods in groupby(rows, key=lambda row: row.agreement_id)
    ]


def _drafted(invoices: Sequence[Invoice]) -> str:
    total = format_money(sum_money(each.total for each in invoices))
    return f"{len(invoices)} invoice{'s were' if len(invoices) != 1 else ' was'} drafted, {total} with tax."


# -- work --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkRow:
    """An entry that waits, as it would be billed."""

    charge: Charge
    due: Decimal
    covered: Decimal
    explanation: str


@dataclass(frozen=True, slots=True)
class WorkInvoice:
    """An invoice that would be made."""

    group: Group
    rows: tuple[WorkRow, ...]

    @property
    def what(self) -> str:
        """What makes it an invoice of its own."""
        parts = (
            f"PO {self.group.customer_po}" if self.group.customer_po else "",
            f"ticket {self.group.ticket}" if self.group.ticket else "",
            self.group.site.name if self.group.site else "",
            f"tax code {self.group.tax_code.identifier}" if self.group.tax_code else "no tax code",
        )
        return " · ".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class WorkOf:
    """What waits of one customer."""

    company_id: int
    company: str
    rule: str
    invoices: tuple[WorkInvoice, ...]
    reason: DomainError | None = None

    @property
    def amount(self) -> Decimal:
        """All of it before tax."""
        return sum_money(each.group.amount for each in self.invoices)

    @property
    def covered(self) -> Decimal:
        """What agreements cover of it."""
        return sum_money(each.group.covered_amount for each in self.invoices)

    @property
    def count(self) -> int:
        """How many entries."""
        return sum(len(each.rows) for each in self.invoices)

    @property
    def first_date(self) -> date:
        """The day of the oldest."""
        return min(each.group.first_date for each in self.invoices)


class WorkForm(PageForm):
    """Whose work, and how the invoices are dated and split."""

    through = DayField(label="Through")
    on = DayField(label="Invoice date")
    company = forms.TypedMultipleChoiceField(
        coerce=int, error_messages={"required": "Tick the customers whose work is to be invoiced."}
    )


def work(request: HttpRequest) -> HttpResponse:
    """Time, expenses and products that wait, as the invoices they would become; draft those that are ticked."""
    given = request.POST if request.method == "POST" else request.GET
    through = parse_day(given.get("through")) or today()
    grouping = Grouping(given["grouping"]) if given.get("grouping") in Grouping.values else None
    rows = _work(through, grouping)
    form, refusal, left = WorkForm(posted(request), initial={"on": today()}), None, None
    form.fields["company"].choices = [(row.company_id, row.company) for row in rows]  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        try:
            done = commands.bill_charges(
                actor=actor_of(request),
                through=through,
                on=form.cleaned_data["on"],
                company_ids=form.cleaned_data["company"],
                grouping=grouping,
            )
        except DomainError as error:
            refusal = error
        else:
            if done.invoices:
                messages.success(request, _drafted(done.invoices))
            if not done.left_out:
                return redirect(f"{reverse('web:invoices')}?state=draft")
            left = {each.company_id: each.reason for each in done.left_out}
            rows = _work(through, grouping, left)
    context = {
        "through": through,
        "grouping": grouping or "",
        "groupings": Grouping.choices,
        "usual": Grouping(billing_settings().grouping).label,
        "rows": sorted(rows, key=lambda row: row.reason is None),
        "total": sum_money(row.amount for row in rows),
        "covered": sum_money(row.covered for row in rows),
        "invoice_count": sum(len(row.invoices) for row in rows),
        "form": form,
        "refusal": refusal,
        "left": left,
        "ticked": set(request.POST.getlist("company")) if request.method == "POST" and not left else None,
        "may": may(request, bill=commands.bill_charges),
    }
    status = 422 if request.method == "POST" and not left else 200
    return render(request, "web/bill/work.html", context, status=status)


def _work(through: date, grouping: Grouping | None, left: dict[int, DomainError] | None = None) -> list[WorkOf]:
    groups = charges_to_bill(through=through, grouping=grouping)
    usual = billing_settings().grouping
    return [
        WorkOf(
            company_id,
            of_company[0].company.name,
            Grouping(grouping or of_company[0].company.invoice_grouping or usual).label,
            tuple(WorkInvoice(group, tuple(map(_work_row, group.charges))) for group in of_company),
            (left or {}).get(company_id),
        )
        for company_id, of_company in ((pk, list(found)) for pk, found in groupby(groups, key=_company_of))
    ]


def _company_of(group: Group) -> int:
    return group.company.pk


def _work_row(charge: Charge) -> WorkRow:
    covered = allocation_of(charge)
    return WorkRow(
        charge,
        due_of(charge),
        covered.covered_amount if covered else Decimal(0),
        (covered.explanation if covered else "") or charge.rate_words,
    )


urlpatterns: list[URLPattern] = [
    path("invoices/agreements/", invoice_agreements, name="invoice_agreements"),
    path("invoices/to-bill/", work, name="invoice_work"),
]
