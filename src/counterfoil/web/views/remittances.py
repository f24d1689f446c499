"""Pages: sales tax that is owed to agencies, and paying it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from counterfoil.billing import queries
from counterfoil.billing.remittances import remit_sales_tax
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import accounts_by_type, balance_of_types
from counterfoil.tax.models import TaxRemittance
from counterfoil.tax.queries import remittances
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import ChoiceOf, DayField, Deed, MoneyField, PageForm, form_page, may, posted
from counterfoil.web.remembered import remembered


class RemitForm(PageForm):
    """A payment to an agency."""

    rows = (("agency", "amount"), ("on", "bank_account"))

    agency = forms.ChoiceField(label="Agency")
    amount = MoneyField(label="Amount")
    on = DayField(label="Paid on")
    bank_account = ChoiceOf(label="From", required=False, empty="The default bank account")
    reference = forms.CharField(label="Reference", max_length=60, required=False, help_text="Confirmation number.")


def sales_tax(request: HttpRequest) -> HttpResponse:
    """What is owed to each tax agency, and paying it."""
    rows = remembered("tax owed", lambda: queries.tax_owed(through=today()))
    form = RemitForm(posted(request), initial={"on": today(), **_suggested(request, rows)})
    form.fields["agency"].choices = [(row.agency, row.agency) for row in rows]  # type: ignore[attr-defined]
    form.fields["bank_account"].offer(accounts_by_type(AccountType.BANK))  # type: ignore[attr-defined]

    def remit() -> TaxRemittance:
        given = form.given()
        return remit_sales_tax(actor=actor_of(request), bank_account_id=given.pop("bank_account"), **given)

    can = may(request, remit=remit_sales_tax)
    context = {
        "rows": rows,
        "owed": sum_money(row.owed for row in rows),
        "unbooked": sum_money(row.unbooked for row in rows),
        "in_books": remembered(
            "tax in the books", lambda: sum_money([-balance_of_types(AccountType.SALES_TAX, through=today())])
        ),
        "remittances": remittances()[:12],
        "may": can,
        "today": today(),
    }
    if not can["remit"]:
        return render(request, "web/bill/sales_tax.html", context)
    here = reverse("web:tax_remittances")
    deed = Deed(
        title="Sales tax",
        button="Pay it",
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.number}: {format_money(made.amount)} was paid to {made.agency}.",
    )
    return form_page(request, remit_sales_tax, form, remit, deed, template="web/bill/sales_tax.html", context=context)


def _suggested(request: HttpRequest, rows: list[queries.TaxOwedRow]) -> dict[str, Any]:
    """The agency one came for, with all that is owed to it."""
    wanted = request.GET.get("agency")
    for row in rows:
        if row.owed > ZERO and wanted in (None, row.agency):
            return {"agency": row.agency, "amount": format_money(row.owed)}
    return {}


urlpatterns: list[URLPattern] = [path("payments/sales-tax/", sales_tax, name="tax_remittances")]
