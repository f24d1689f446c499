"""Pages: crediting an invoice, taking it back whole, making it anew, and settling invoices with credit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse

from counterfoil.billing import commands, queries
from counterfoil.billing.credits import CreditLine, left_to_credit
from counterfoil.billing.models import InvoiceStatus, InvoiceType
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import ChoiceOf, DayField, Deed, MoneyField, PageForm, QuantityField, form_page, posted
from counterfoil.web.views.invoice_edit import deed_of
from counterfoil.web.views.invoices import find


class WhyForm(PageForm):
    """From when, and why."""

    rows = (("on", "reason"),)

    on = DayField(label="Date")
    reason = forms.CharField(label="Reason", max_length=200, help_text="Printed on the credit memo.")


class CreditForm(WhyForm):
    """What of each line is credited: a quantity or an amount."""

    def __init__(self, data: Any, rows: list[tuple[Any, Decimal]], **options: Any) -> None:
        super().__init__(data, **options)
        self.lines = rows
        for line, _ in rows:
            self.fields[f"quantity_{line.pk}"] = QuantityField(label=f"Quantity of {line.description}", required=False)
            self.fields[f"amount_{line.pk}"] = MoneyField(label=f"Amount of {line.description}", required=False)

    def layout(self) -> list[list[forms.BoundField]]:
        """The fields above the lines."""
        return [row for row in super().layout() if not row[0].name.startswith(("quantity_", "amount_"))]

    def line_rows(self) -> list[tuple[Any, Decimal, forms.BoundField, forms.BoundField]]:
        """Each line, what is left of it, and its two fields."""
        return [(line, left, self[f"quantity_{line.pk}"], self[f"amount_{line.pk}"]) for line, left in self.lines]

    def credited(self) -> list[CreditLine]:
        """What was entered."""
        given = self.cleaned_data
        entered = [
            (line.pk, given.get(f"quantity_{line.pk}"), given.get(f"amount_{line.pk}")) for line, _ in self.lines
        ]
        return [CreditLine(pk, quantity, amount) for pk, quantity, amount in entered if quantity or amount]

    def name_of(self, refusal: DomainError) -> str | None:
        """The field a refusal is about."""
        for index, each in enumerate(self.credited()):
            if (refusal.field or "").startswith(f"lines[{index}]"):
                return f"{'quantity' if each.quantity else 'amount'}_{each.line_id}"
        return refusal.field


def _closed(pk: int) -> Any:
    """The invoice to credit.

    Raises:
        DomainError: ``wrong_state`` for a draft or a credit memo.
    """
    found = find(pk)
    if found.status != InvoiceStatus.CLOSED:
        raise DomainError("wrong_state", f"{found} is a draft: change or delete it instead.")
    if found.is_credit_memo:
        raise DomainError("wrong_state", f"{found} is a credit memo; only an invoice can be credited.")
    return found


def credit(request: HttpRequest, pk: int) -> HttpResponse:
    """Draft a credit memo of a part of an invoice, or of all that is left of it."""
    found = _closed(pk)
    left = left_to_credit(found)
    rows = [(line, left[line.pk]) for line in queries.lines_of_invoice(pk) if left[line.pk]]
    form = CreditForm(posted(request), rows, initial={"on": max(today(), found.date)})

    def run() -> Any:
        given = form.cleaned_data
        try:
            return commands.credit_invoice(
                actor=actor_of(request), invoice_id=pk, on=given["on"], reason=given["reason"], lines=form.credited()
            )
        except DomainError as refusal:
            refusal.field = form.name_of(refusal)
            raise

    here = reverse("web:invoice", args=[pk])
    deed = Deed(
        title=f"Credit {found}",
        button="Make the credit memo",
        back=here,
        then=lambda made: reverse("web:invoice", args=[made.pk]),
        said=lambda made: f"A credit memo of {format_money(-made.total)} was drafted. Look it over, then close it.",
        crumbs=(("Invoices", reverse("web:invoices")), (str(found), here)),
        intro="With the rates and the rounding of the invoice. What is credited is not billed again; to bill it anew,"
        " reverse the invoice.",
    )
    return form_page(
        request, commands.credit_invoice, form, run, deed, template="web/bill/credit.html", context={"invoice": found}
    )


def reverse_whole(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an invoice back whole."""
    found = _closed(pk)
    form = WhyForm(posted(request), initial={"on": max(today(), found.date)})
    here = reverse("web:invoice", args=[pk])
    deed = Deed(
        title=f"Reverse {found}",
        button="Reverse it",
        back=here,
        then=lambda _: here,
        said=lambda memo: f"{found} was reversed by {memo}.",
        crumbs=(("Invoices", reverse("web:invoices")), (str(found), here)),
        intro="A credit memo takes it back whole, at once, and settles what is open of it. What it billed can be billed"
        " again: by reissuing it, or anew. What was paid stays on the credit memo, for another invoice.",
    )
    return form_page(
        request,
        commands.reverse_invoice,
        form,
        lambda: commands.reverse_invoice(actor=actor_of(request), invoice_id=pk, now=now(), **form.given()),
        deed,
    )


class ReissueForm(PageForm):
    """When it is dated."""

    on = DayField(label="Invoice date")


def reissue(request: HttpRequest, pk: int) -> HttpResponse:
    """Draft the invoice that takes the place of one that was reversed."""
    found = _closed(pk)
    form = ReissueForm(posted(request), initial={"on": today()})
    here = reverse("web:invoice", args=[pk])
    deed = Deed(
        title=f"Reissue {found}",
        button="Make the draft",
        back=here,
        then=lambda made: reverse("web:invoice", args=[made.pk]),
        said=lambda _: "The draft was made with the same lines. Change it, then close it.",
        crumbs=(("Invoices", reverse("web:invoices")), (str(found), here)),
        intro="A draft with its lines. Work is billed with the coverage that holds now, and what was billed elsewhere"
        " meanwhile is left out.",
    )
    return form_page(
        request,
        commands.reissue_invoice,
        form,
        lambda: commands.reissue_invoice(actor=actor_of(request), invoice_id=pk, **form.given()),
        deed,
    )


class ApplyForm(PageForm):
    """Which credit settles which invoice, and by how much."""

    rows = (("other", "on", "amount"),)

    other = ChoiceOf(label="Invoice")
    on = DayField(label="On")
    amount = MoneyField(label="Amount", required=False, help_text="Left empty, as much as is open of both.")


def apply(request: HttpRequest, pk: int) -> HttpResponse:
    """Settle an invoice with a credit memo, from the page of either."""
    found = find(pk)
    if found.status != InvoiceStatus.CLOSED:
        raise Http404
    others = queries.open_invoices(company_id=found.bill_to_id)
    if found.is_credit_memo:
        others = others.exclude(type=InvoiceType.CREDIT_MEMO)
    else:
        others = others.filter(type=InvoiceType.CREDIT_MEMO)
    form = ApplyForm(posted(request), initial={"on": today()})
    form.fields["other"].label = "Invoice" if found.is_credit_memo else "Credit memo"
    form.fields["other"].offer(others, lambda row: f"{row.number}: {format_money(row.balance)} open")  # type: ignore[attr-defined]

    def run() -> Any:
        given = form.cleaned_data
        memo, invoice = (pk, given["other"]) if found.is_credit_memo else (given["other"], pk)
        try:
            return commands.apply_credit(
                actor=actor_of(request), credit_memo_id=memo, invoice_id=invoice, on=given["on"], amount=given["amount"]
            )
        except DomainError as refusal:
            if refusal.field in ("credit_memo_id", "invoice_id"):
                refusal.field = "other"
            raise

    return form_page(
        request,
        commands.apply_credit,
        form,
        run,
        deed_of(
            found,
            f"Apply {found}" if found.is_credit_memo else f"Apply credit to {found}",
            "The credit was applied.",
            "Credit and invoice settle each other; the books do not move.",
            button="Apply it",
        ),
    )


urlpatterns: list[URLPattern] = [
    path("invoices/<int:pk>/credit/", credit, name="invoice_credit"),
    path("invoices/<int:pk>/reverse/", reverse_whole, name="invoice_reverse"),
    path("invoices/<int:pk>/reissue/", reissue, name="invoice_reissue"),
    path("invoices/<int:pk>/apply/", apply, name="invoice_apply"),
]
