"""Pages: customers' payments, settling invoices with them, and taking one back."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from counterfoil.billing import commands, queries
from counterfoil.billing.commands import InvoicePayment
from counterfoil.billing.models import Payment
from counterfoil.billing.remittances import remit_sales_tax
from counterfoil.companies.queries import company as find_company
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import accounts_by_type, entries_of
from counterfoil.platform.audit import trail_of
from counterfoil.web.actions import actor_of, today
from counterfoil.web.bookkeeping import posted as posted_entries
from counterfoil.web.forms import ChoiceOf, DayField, Deed, MoneyField, PageForm, asked_id, form_page, may, posted
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.remembered import remembered

PAYMENTS: Final = ListSpec(
    name="Payments",
    columns=(
        Column("number", "Number", kind="key"),
        Column("company", "Customer", "company.name", sort="company__name", card="note"),
        Column("date", "Date", kind="date", sort="date", card="note"),
        Column("reference", "Reference", sort="reference"),
        Column("bank", "Into", "bank_account.name", sort="bank_account__name"),
        Column("state", "State", lambda row: _state_of(row), kind="state", card="note"),
        Column("settles", "Settles", lambda row: ", ".join(str(each.invoice) for each in row.applications.all())),
        Column("amount", "Amount", kind="money", sort="amount", total="amount", card="figure"),
    ),
    chips=(
        Chips(
            "state",
            [("to_apply", "To apply"), ("taken_back", "Taken back")],
            where={"to_apply": ~Q(unapplied=0), "taken_back": Q(reversal__isnull=False)},
        ),
    ),
    sort="-date",
    url=lambda row: reverse("web:payment", args=[row.pk]),
    placeholder="Number, customer or reference",
)


def _state_of(payment: Any) -> str:
    """Whether it was taken back, or something of it is left to apply."""
    if hasattr(payment, "reversal"):
        return "taken_back"
    return "to_apply" if payment.unapplied else "applied"


def payments(request: HttpRequest) -> HttpResponse:
    """Money that came in."""
    rows = queries.payments(search=search_of(request), company_id=asked_id(request, "company"))
    owed = remembered("owed", lambda: sum_money(row.total for row in queries.receivables(as_of=today())))
    can = may(request, pay=commands.record_payment, remit=remit_sales_tax)
    return show_list(request, PAYMENTS, rows, "web/bill/payments.html", {"may": can, "owed": owed})


def _find(pk: int) -> Any:
    found = queries.payments().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def payment(request: HttpRequest, pk: int) -> HttpResponse:
    """A payment: what it settles, what is left of it, and how it is booked."""
    found = _find(pk)
    is_back = hasattr(found, "reversal")
    left = found.unapplied
    context = {
        "state": _state_of(found),
        "is_back": is_back,
        "left": left,
        "may": may(request, apply=commands.apply_payment, reverse=commands.reverse_payment),
        "can_apply": bool(left and not is_back),
        "payment": found,
        "applications": list(found.applications.all()),
        "entries": posted_entries(entries_of("customer_payment", pk).prefetch_related("lines__company")),
        "trail": trail_of(found),
    }
    return render(request, "web/bill/payment.html", context)


class SettlingForm(PageForm):
    """A form in which each open invoice has a field of its own for what of it is settled."""

    def __init__(self, data: Any, open_invoices: list[Any], **options: Any) -> None:
        super().__init__(data, **options)
        self.open_invoices = open_invoices
        for each in open_invoices:
            self.fields[f"invoice_{each.pk}"] = MoneyField(label=f"Of {each.number}", required=False)

    def layout(self) -> list[list[forms.BoundField]]:
        """The fields above the invoices."""
        return [row for row in super().layout() if not row[0].name.startswith("invoice_")]

    def invoice_rows(self) -> list[tuple[Any, forms.BoundField]]:
        """Each open invoice with its field."""
        return [(each, self[f"invoice_{each.pk}"]) for each in self.open_invoices]

    def applications(self) -> list[InvoicePayment]:
        """What is settled, as entered."""
        entered = [(each.pk, self.cleaned_data.get(f"invoice_{each.pk}")) for each in self.open_invoices]
        return [InvoicePayment(pk, amount) for pk, amount in entered if amount]

    def name_of(self, refusal: DomainError) -> str | None:
        """The field a refusal is about."""
        field = refusal.field or ""
        for index, each in enumerate(self.applications()):
            if field.startswith(f"applications[{index}]"):
                return f"invoice_{each.invoice_id}"
        return field or None


class PaymentForm(SettlingForm):
    """Money from a customer."""

    rows = (("on", "amount"), ("bank_account", "reference"))

    on = DayField(label="Received on")
    amount = MoneyField(label="Amount")
    bank_account = ChoiceOf(label="Into", required=False, empty="The default bank account")
    reference = forms.CharField(label="Reference", max_length=60, required=False, help_text="Check number or the like.")
    leave_rest = forms.BooleanField(label="Leave what is not applied on the payment, for later", required=False)

    def __init__(self, data: Any, open_invoices: list[Any], **options: Any) -> None:
        super().__init__(data, open_invoices, **options)
        self.fields["bank_account"].offer(accounts_by_type(AccountType.BANK))  # type: ignore[attr-defined]


def new_payment(request: HttpRequest) -> HttpResponse:
    """Record a payment: first who paid, then how much and for which invoices."""
    company_id = asked_id(request, "company")
    customer = find_company(company_id) if company_id else None
    if customer is None:
        rows = [row for row in queries.receivables(as_of=today()) if row.total > 0]
        return render(request, "web/bill/payment_from.html", {"rows": rows, "total": sum_money(r.total for r in rows)})
    owed: list[Any] = list(queries.open_invoices(company_id=customer.pk).filter(balance__gt=0))
    form = PaymentForm(posted(request), owed, initial={"on": today()})

    def record() -> Payment:
        given = form.cleaned_data
        try:
            return commands.record_payment(
                actor=actor_of(request),
                company_id=customer.pk,
                on=given["on"],
                amount=given["amount"],
                applications=form.applications(),
                bank_account_id=given["bank_account"],
                reference=given["reference"],
                leave_rest=given["leave_rest"],
            )
        except DomainError as refusal:
            refusal.field = form.name_of(refusal)
            raise

    deed = Deed(
        title=f"Payment from {customer.name}",
        button="Record the payment",
        back=reverse("web:payments"),
        then=lambda made: reverse("web:payment", args=[made.pk]),
        said=lambda made: f"{made.number} of {format_money(made.amount)} was recorded and booked.",
        crumbs=(("Payments", reverse("web:payments")),),
    )
    context = {"owed": sum_money(each.balance for each in owed), "today": today()}
    return form_page(
        request, commands.record_payment, form, record, deed, template="web/bill/payment_new.html", context=context
    )


class ApplyForm(SettlingForm):
    """Invoices that are settled with what is left of a payment."""

    on = DayField(label="On")


def _deed(found: Payment, title: str, button: str, said: str, intro: str) -> Deed:
    here = reverse("web:payment", args=[found.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: said,
        crumbs=(("Payments", reverse("web:payments")), (found.number, here)),
        intro=intro,
    )


def apply_rest(request: HttpRequest, pk: int) -> HttpResponse:
    """Settle invoices with what is left of a payment."""
    found = _find(pk)
    owed: list[Any] = list(queries.open_invoices(company_id=found.company_id).filter(balance__gt=0))
    form = ApplyForm(posted(request), owed, initial={"on": max(today(), found.date)})

    def run() -> Payment:
        try:
            return commands.apply_payment(
                actor=actor_of(request), payment_id=pk, on=form.cleaned_data["on"], applications=form.applications()
            )
        except DomainError as refusal:
            refusal.field = form.name_of(refusal)
            raise

    deed = _deed(
        found,
        f"Apply {found.number}",
        "Apply it",
        "The payment was applied.",
        f"{format_money(found.unapplied)} of {format_money(found.amount)} is left. The books do not move.",
    )
    context = {"owed": sum_money(each.balance for each in owed), "today": today()}
    return form_page(
        request, commands.apply_payment, form, run, deed, template="web/bill/payment_new.html", context=context
    )


class TakeBackForm(PageForm):
    """When and why."""

    rows = (("on", "reason"),)

    on = DayField(label="Taken back on")
    reason = forms.CharField(label="Reason", max_length=200, help_text="The check bounced, say.")


def take_back(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a payment back: what it settled is open again."""
    found = _find(pk)
    form = TakeBackForm(posted(request), initial={"on": max(today(), found.date)})
    return form_page(
        request,
        commands.reverse_payment,
        form,
        lambda: commands.reverse_payment(actor=actor_of(request), payment_id=pk, **form.given()),
        _deed(
            found,
            f"Take {found.number} back",
            "Take it back",
            f"{found.number} was taken back. What it settled is open again.",
            "What it settled is open again, and the books are reversed on that day.",
        ),
    )


urlpatterns: list[URLPattern] = [
    path("payments/", payments, name="payments"),
    path("payments/new/", new_payment, name="payment_new"),
    path("payments/<int:pk>/", payment, name="payment"),
    path("payments/<int:pk>/apply/", apply_rest, name="payment_apply"),
    path("payments/<int:pk>/take-back/", take_back, name="payment_take_back"),
]
