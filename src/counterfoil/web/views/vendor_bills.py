"""Pages: vendors' bills and paying them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.ledger.models import Account, AccountType
from counterfoil.procurement import commands, queries
from counterfoil.procurement.models import VendorBill
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    MoneyField,
    PageForm,
    PriceField,
    QuantityField,
    asked_id,
    form_page,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import side_of

BILLS = ListSpec(
    name="Vendor bills",
    columns=(
        Column("number", "Number", kind="key"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", card="note"),
        Column("vendor_invoice_number", "Vendor's invoice", sort="vendor_invoice_number", card="note"),
        Column("date", "Date", kind="date", sort="date"),
        Column("due_date", "Due", kind="date", sort="due_date"),
        Column("state", "State", lambda bill: _bill_state(bill), kind="state", card="note"),
        Column("total", "Total", kind="money", sort="total", total="total", card="figure"),
        Column("balance", "Open", kind="money", sort="balance", total="balance", card="figure"),
    ),
    chips=(
        Chips(
            "show", (("open", "Open"), ("unposted", "Unposted"), ("paid", "Paid")),
            where={"open": Q(balance__gt=0), "unposted": Q(posted=False), "paid": Q(balance=0)},
        ),
    ),
    sort="-number",
    url=lambda bill: reverse("web:vendor_bill", args=[bill.pk]),
    placeholder="Number or vendor",
)  # fmt: skip


def _bill_state(bill: Any) -> str:
    if not bill.posted:
        return "unposted"
    return "paid" if not bill.balance else "posted"


def vendor_bills(request: HttpRequest) -> HttpResponse:
    """All bills of vendors, and whose deliveries wait for one."""
    context = {
        "may": may(request, add=commands.enter_vendor_bill),
        "waiting": queries.orders_to_bill()[:20],
    }
    return show_list(request, BILLS, queries.bills(search=search_of(request)), "web/buy/vendor_bills.html", context)


class BillForm(PageForm):
    """The vendor's paper."""

    rows = (("vendor_invoice_number", "date", "due_date"), ("freight", "tax"))

    vendor_invoice_number = forms.CharField(label="Vendor's invoice number", max_length=20)
    date = DayField(label="Date")
    due_date = DayField(label="Due", required=False, help_text="Empty: by the vendor's terms.")
    freight = MoneyField(label="Freight", required=False)
    tax = MoneyField(label="Tax", required=False)

    def given(self) -> dict[str, Any]:
        """What was entered; no freight or tax is none."""
        return {name: value for name, value in super().given().items() if value is not None}


class BillLineForm(LineForm):
    """What is billed of a line."""

    purchase_order_line_id = forms.IntegerField(widget=forms.HiddenInput)
    quantity = QuantityField(label="Quantity", required=False)
    unit_cost = PriceField(label="Unit cost", required=False)

    def is_wanted(self) -> bool:
        """A line without a quantity is not on the bill."""
        return bool(self.cleaned_data.get("quantity"))


class VendorForm(PageForm):
    """Whose bill it is."""

    vendor = CompanyField(label="Vendor", kind="vendors")


def bill_new(request: HttpRequest) -> HttpResponse:
    """Enter a vendor's bill of what has arrived (``?vendor=``)."""
    wanted = asked_id(request, "vendor")
    if wanted is None:
        return _choose_vendor(request)
    rows = queries.billable_lines(wanted)
    form = BillForm(posted(request), initial={"date": today()})
    initial = [
        {"purchase_order_line_id": row.line.pk, "quantity": row.to_bill, "unit_cost": row.line.unit_cost}
        for row in rows
    ]
    lines = LineEditor(request, BillLineForm, initial=initial, blank=0, required=True)
    for row, line in zip(rows, lines.formset, strict=False):
        line.row = row
    return form_page(
        request,
        commands.enter_vendor_bill,
        form,
        lambda: commands.enter_vendor_bill(
            actor=actor_of(request),
            vendor_id=wanted,
            lines=[commands.BillLine(**line) for line in lines.given()],
            **form.given(),
        ),
        Deed(
            title=f"Bill of {rows[0].line.purchase_order.vendor.name}" if rows else "Vendor bill",
            button="Enter the bill",
            back=reverse("web:vendor_bills"),
            then=lambda made: reverse("web:vendor_bill", args=[made.pk]),
            said=lambda made: f"{made.number} was entered.",
            crumbs=(("Buy", reverse("web:demand")), ("Vendor bills", reverse("web:vendor_bills"))),
        ),
        lines=lines,
        template="web/buy/bill_new.html",
    )


def _choose_vendor(request: HttpRequest) -> HttpResponse:
    form = VendorForm(request.GET or None) if "vendor" in request.GET else VendorForm()
    if form.is_bound and form.is_valid():
        return redirect(f"{reverse('web:vendor_bill_new')}?vendor={form.cleaned_data['vendor']}")
    return render(request, "web/buy/bill_vendor.html", {"form": form, "waiting": queries.orders_to_bill()[:20]})


def vendor_bill(request: HttpRequest, pk: int) -> HttpResponse:
    """A vendor's bill."""
    bill = queries.bills().filter(pk=pk).first()
    if bill is None:
        raise Http404
    context = {
        "bill": bill,
        "state": _bill_state(bill),
        "lines": queries.lines_of_bill(pk),
        "payments": bill.applications.select_related("payment__bank_account"),
        "may": may(request, delete=commands.delete_vendor_bill, pay=commands.pay_vendor_bill),
        **side_of(bill),
    }
    return render(request, "web/buy/vendor_bill.html", context)


@require_POST
def bill_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """It was entered by mistake."""
    return run_deed(
        request,
        lambda: commands.delete_vendor_bill(actor=actor_of(request), bill_id=pk),
        then=reverse("web:vendor_bills"),
        said="The bill was deleted.",
    )


class PayForm(PageForm):
    """How it is paid."""

    rows = (("on", "bank_account_id", "reference"),)

    on = DayField(label="Paid on")
    bank_account_id = ChoiceOf(label="From", required=False, empty="The default bank account")
    reference = forms.CharField(label="Reference", max_length=60, required=False, help_text="Such as the check number.")


def bill_pay(request: HttpRequest, pk: int) -> HttpResponse:
    """Pay what is open of a bill."""
    bill: VendorBill | None = queries.bills().filter(pk=pk).first()
    if bill is None:
        raise Http404
    form = PayForm(posted(request), initial={"on": today()})
    banks = list(Account.objects.filter(type=AccountType.BANK, active=True))
    form.fields["bank_account_id"].offer(banks)  # type: ignore[attr-defined]
    here = reverse("web:vendor_bill", args=[pk])
    return form_page(
        request,
        commands.pay_vendor_bill,
        form,
        lambda: commands.pay_vendor_bill(actor=actor_of(request), bill_id=pk, **form.given()),
        Deed(
            title=f"Pay {bill.number}",
            button="Pay",
            back=here,
            then=lambda _: here,
            said=lambda payment: f"{bill.number} was paid with {payment.number}.",
            crumbs=(("Vendor bills", reverse("web:vendor_bills")), (bill.number, here)),
        ),
    )


urlpatterns = [
    path("vendor-bills/", vendor_bills, name="vendor_bills"),
    path("vendor-bills/new/", bill_new, name="vendor_bill_new"),
    path("vendor-bills/<int:pk>/", vendor_bill, name="vendor_bill"),
    path("vendor-bills/<int:pk>/delete/", bill_delete, name="vendor_bill_delete"),
    path("vendor-bills/<int:pk>/pay/", bill_pay, name="vendor_bill_pay"),
]
