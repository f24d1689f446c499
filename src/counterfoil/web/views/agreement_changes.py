"""Pages: what is done with an agreement: additions and their changes, its amount, its end, its periods, its family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from counterfoil.agreements import commands, queries
from counterfoil.agreements.models import Addition, Agreement, AgreementStatus, ApplicationUnits, BillingOption
from counterfoil.agreements.terms import billing_amount_on, values_on
from counterfoil.billing import commands as billing
from counterfoil.catalog.models import SeatsDown
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, parse_decimal
from counterfoil.flows.upcoming import Difference, next_invoices, what_if
from counterfoil.platform.lookup import load_related
from counterfoil.platform.records import UNSET
from counterfoil.web.actions import actor_of, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineForm,
    MoneyField,
    NumberField,
    PageForm,
    PriceField,
    QuantityField,
    form_page,
    posted,
    require,
    run_deed,
)
from counterfoil.web.views.agreement_edit import AdditionLine

#: How many periods to come can be left out.
_PERIODS: Final = 12


def find(pk: int) -> Agreement:
    """The agreement of a page."""
    rows = queries.agreements().select_related(None)
    found = rows.select_related("company", "bill_to", "type", "billing_state", "renewed_by").filter(pk=pk).first()
    if found is None:
        raise Http404
    load_related([found], "parent", "contact", "site", "opportunity", "tax_code", "terms")
    return found


def deed(agreement: Agreement, title: str, button: str, said: str, intro: str = "") -> Deed:
    """A form page about an agreement that leads back to it."""
    here = reverse("web:agreement", args=[agreement.pk])
    return Deed(
        title=title,
        button=button,
        back=here,
        then=lambda _: here,
        said=lambda _: f"{agreement.number} {said}.",
        crumbs=(("Agreements", reverse("web:agreements")), (agreement.number, here)),
        intro=intro,
    )


def _one_form(
    request: HttpRequest,
    pk: int,
    command: Callable[..., Any],
    form: PageForm,
    words: Deed,
    *,
    template: str = "web/form.html",
    context: dict[str, Any] | None = None,
) -> HttpResponse:
    """A form whose fields are the command's arguments besides the agreement."""
    return form_page(
        request,
        command,
        form,
        lambda: command(actor=actor_of(request), agreement_id=pk, **form.given()),
        words,
        template=template,
        context=context,
    )


# -- additions ---------------------------------------------------------------------------------------------------------


#: What stays as it is where nothing is entered.
_KEPT: Final = ("cancellation_days", "seats_down")


class AdditionForm(AdditionLine, PageForm):
    """An addition on a page of its own."""

    rows = (
        ("quantity", "less_included"),
        ("unit_price", "unit_cost"),
        ("effective_date", "cancelled_date"),
        ("billing_option", "serial_number"),
        ("committed_through", "cancellation_days", "seats_down"),
        ("taxable", "purchase_item"),
    )

    less_included = QuantityField(label="Less included", required=False, help_text="Not billed: part of the agreement.")
    cancelled_date = DayField(label="Last day billed", required=False)
    billing_option = forms.ChoiceField(label="Billing", choices=BillingOption.choices)
    serial_number = forms.CharField(label="Serial number", max_length=50, required=False)
    committed_through = DayField(
        label="Committed through", required=False, help_text="Owed to that day; empty: it may end any day."
    )
    cancellation_days = forms.IntegerField(
        label="Given back within, days",
        required=False,
        min_value=0,
        help_text="From its first day, although committed.",
    )
    seats_down = forms.ChoiceField(
        label="Fewer while committed", choices=SeatsDown.choices, initial=SeatsDown.WINDOW, required=False
    )
    taxable = forms.BooleanField(label="Taxable", required=False)
    purchase_item = forms.BooleanField(label="Bought for this agreement", required=False)
    invoice_text = forms.CharField(
        label="Text on the invoice", required=False, widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Instead of the description.",
    )  # fmt: skip


def addition_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a product to an agreement."""
    agreement = find(pk)
    form = AdditionForm(posted(request), initial={"effective_date": max(today(), agreement.start_date)})
    del form.fields["taxable"]  # as the product says

    def add() -> Addition:
        return commands.add_addition(
            actor=actor_of(request), agreement_id=pk, addition=commands.AdditionInput(**LineForm.given(form))
        )

    words = deed(
        agreement, "Add an addition", "Add it", "has a new addition",
        "Days that are billed already are caught up on with the next invoice.",
    )  # fmt: skip
    return form_page(request, commands.add_addition, form, add, words)


def _addition(pk: int, addition_id: int) -> Addition:
    found = queries.additions(pk).prefetch_related("changes").filter(pk=addition_id).first()
    if found is None:
        raise Http404
    return found


def addition(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """Correct an addition; quantity and price only as long as it is neither billed nor changed."""
    agreement, found = find(pk), _addition(pk, addition_id)
    names = [name for name in AdditionForm.base_fields if name != "product_id"]
    form = AdditionForm(posted(request), initial={name: getattr(found, name) for name in names})
    del form.fields["product_id"]
    for name in ("description", "quantity", "less_included", "unit_price", "unit_cost", "effective_date"):
        form.fields[name].required = True
    is_fixed = found.changes.exists() or found.invoice_lines.exists()
    if is_fixed:
        for name in ("quantity", "less_included", "unit_price", "unit_cost", "billing_option"):
            del form.fields[name]
    words = deed(
        agreement, f"Correct {found.product.identifier}", "Save the addition", "was changed",
        "It has been billed or changed: quantity and price change from a day on." if is_fixed else "",
    )  # fmt: skip
    return form_page(
        request,
        commands.update_addition,
        form,
        lambda: commands.update_addition(
            actor=actor_of(request),
            addition_id=addition_id,
            **{name: value for name, value in form.given().items() if name not in _KEPT or value not in (None, "")},
        ),
        words,
    )


class ChangeForm(PageForm):
    """Quantity, price or cost from a day on."""

    rows = (("on", "quantity", "less_included"), ("unit_price", "unit_cost"), ("reason",))

    on = DayField(label="From", help_text="The first day it holds; a day that is billed is caught up on or given back.")
    quantity = QuantityField(label="Quantity", required=False, help_text="All units from then on, not the difference.")
    less_included = QuantityField(label="Less included", required=False)
    unit_price = PriceField(label="Price a cycle", required=False)
    unit_cost = PriceField(label="Cost a cycle", required=False)
    reason = forms.CharField(label="Reason", max_length=200, required=False, help_text="For the history.")

    def given(self) -> dict[str, Any]:
        """What was entered; what was left empty stays as it is."""
        return {name: UNSET if value is None else value for name, value in super().given().items()}


def addition_change(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """Change quantity or price from a day on, and see beforehand what the next invoices will show."""
    agreement, found = find(pk), _addition(pk, addition_id)
    on = max(today(), found.effective_date)
    now = values_on(found, on)
    names = ("quantity", "less_included", "unit_price", "unit_cost")
    form = ChangeForm(posted(request), initial={"on": on} | {name: getattr(now, name) for name in names})

    def change() -> Addition:
        return commands.change_addition(actor=actor_of(request), addition_id=addition_id, **form.given())

    context = {
        "addition": found,
        "preview_url": reverse("web:addition_change_preview", args=[pk, addition_id]),
        "changes": list(found.changes.order_by("effective_date")),
        "now": now,
        "amount": extend(now.billed_quantity, now.unit_price),
    }
    words = deed(agreement, f"Change {found.description}", "Change it", "was changed")
    return form_page(
        request, commands.change_addition, form, change, words, template="web/agreements/change.html", context=context
    )


def addition_change_preview(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """What the next invoices would be after the change that is being entered; nothing is written."""
    require(request, commands.change_addition)
    form = ChangeForm(request.GET)
    if not form.is_valid():
        return _previewed(request, [], None, unready=True)
    return _preview(
        request, pk, lambda: commands.change_addition(actor=actor_of(request), addition_id=addition_id, **form.given())
    )


def _preview(request: HttpRequest, pk: int, change: Callable[[], object]) -> HttpResponse:
    try:
        return _previewed(request, what_if(pk, change), None)
    except DomainError as refusal:
        return _previewed(request, [], refusal)


def _previewed(
    request: HttpRequest, differences: list[Difference], refusal: DomainError | None, *, unready: bool = False
) -> HttpResponse:
    context = {"differences": differences, "refusal": refusal, "unready": unready}
    return render(request, "web/agreements/preview.html", context)


@require_POST
def addition_change_remove(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """Take a change out of the history again."""
    on = _day(request, "on")
    return run_deed(
        request,
        lambda: commands.remove_addition_change(actor=actor_of(request), addition_id=addition_id, on=on),
        then=reverse("web:agreement", args=[pk]),
        said=f"The change of {format_date(on)} was taken out.",
    )


def _day(request: HttpRequest, name: str) -> date:
    try:
        return date.fromisoformat(request.POST.get(name, ""))
    except ValueError as error:
        raise DomainError("required", "Say which day is meant.", field=name) from error


class CancelAdditionForm(PageForm):
    """The last day it is billed for."""

    rows = (("on", "reason"),)

    on = DayField(label="Last day billed", help_text="The day before its first: it was never in force.")
    reason = forms.CharField(label="Reason", max_length=200, required=False)


def addition_cancel(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """It is billed no more."""
    agreement, found = find(pk), _addition(pk, addition_id)
    form = CancelAdditionForm(posted(request), initial={"on": max(today(), found.effective_date)})
    return form_page(
        request,
        commands.cancel_addition,
        form,
        lambda: commands.cancel_addition(actor=actor_of(request), addition_id=addition_id, **form.given()),
        deed(
            agreement, f"Cancel {found.description}", "Cancel the addition", "has one addition less",
            f"What is billed beyond that day: {agreement.get_credits_display().lower()}.",
        ),
    )  # fmt: skip


@require_POST
def addition_uncancel(request: HttpRequest, pk: int, addition_id: int) -> HttpResponse:
    """It is billed again, as if it had not been cancelled."""
    return run_deed(
        request,
        lambda: commands.uncancel_addition(actor=actor_of(request), addition_id=addition_id),
        then=reverse("web:agreement", args=[pk]),
        said=lambda made: f"{made.description} is billed again.",
    )


# -- the agreement's own amount, its end, its successor ----------------------------------------------------------------


class AmountForm(PageForm):
    """The billing amount from a day on."""

    rows = (("on", "billing_amount"),)

    on = DayField(label="From")
    billing_amount = MoneyField(label="Billing amount", help_text="Every cycle, beside the additions.")


def billing_amount(request: HttpRequest, pk: int) -> HttpResponse:
    """Bill another amount from a day on."""
    agreement = find(pk)
    on = max(today(), agreement.start_date)
    form = AmountForm(posted(request), initial={"on": on, "billing_amount": billing_amount_on(agreement, on)})
    context = {"preview_url": reverse("web:agreement_amount_preview", args=[pk])}
    words = deed(agreement, "Change the billing amount", "Change it", "has another billing amount")
    return _one_form(
        request, pk, commands.change_billing_amount, form, words,
        template="web/agreements/change.html", context=context,
    )  # fmt: skip


def billing_amount_preview(request: HttpRequest, pk: int) -> HttpResponse:
    """What the next invoices would be with another billing amount."""
    require(request, commands.change_billing_amount)
    form = AmountForm(request.GET)
    if not form.is_valid():
        return _previewed(request, [], None, unready=True)
    return _preview(
        request, pk, lambda: commands.change_billing_amount(actor=actor_of(request), agreement_id=pk, **form.given())
    )


@require_POST
def invoice(request: HttpRequest, pk: int) -> HttpResponse:
    """Invoice the period that the page showed; posting it twice does not bill the period after it."""
    try:
        start = date.fromisoformat(request.POST.get("period", ""))
    except ValueError as error:
        raise DomainError("required", "Say which period is to be invoiced.", field="period") from error
    made = billing.invoice_agreement(actor=actor_of(request), agreement_id=pk, period_start=start)
    messages.success(request, "A draft invoice of the next period was made.")
    return redirect("web:invoice", made.pk)


class CancelForm(PageForm):
    """The last day, and why."""

    rows = (("on", "reason"),)

    on = DayField(label="Last day")
    reason = forms.CharField(label="Reason", max_length=100)


def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """It ends before its last day."""
    agreement = find(pk)
    form = CancelForm(posted(request), initial={"on": today()})
    words = deed(
        agreement, f"Cancel {agreement.number}", "Cancel the agreement", "was cancelled",
        f"What is billed beyond that day: {agreement.get_credits_display().lower()}.",
    )  # fmt: skip
    return _one_form(request, pk, commands.cancel_agreement, form, words)


class EndForm(PageForm):
    """The last day."""

    on = DayField(label="Last day")


def end(request: HttpRequest, pk: int) -> HttpResponse:
    """It comes to its end and is not renewed."""
    agreement = find(pk)
    form = EndForm(posted(request), initial={"on": agreement.end_date or today()})
    words = deed(agreement, f"End {agreement.number}", "End the agreement", "was ended", "It will not be renewed.")
    return _one_form(request, pk, commands.end_agreement, form, words)


class UpliftField(NumberField):
    """A raise in per cent."""

    parse = staticmethod(lambda text, field: parse_decimal(text.strip().removesuffix("%"), field, places=4, digits=7))


class RenewForm(PageForm):
    """The successor."""

    rows = (("last_day", "end_date"), ("uplift_percent", "name"))

    last_day = DayField(label="Last day of this one", required=False)
    end_date = DayField(
        label="Last day of the new one", required=False, help_text="Empty: as long again as this one ran."
    )
    uplift_percent = UpliftField(
        label="Uplift", unit="%", required=False, help_text="How much more the amount and the additions cost."
    )
    name = forms.CharField(label="Name", max_length=100, required=False, help_text="Empty: the same.")

    def given(self) -> dict[str, Any]:
        """What was entered; no last day means as long again, no uplift none."""
        given = super().given()
        given["end_date"] = given["end_date"] or UNSET
        given["uplift_percent"] = given["uplift_percent"] or Decimal(0)
        return given


def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the agreement's successor."""
    agreement = find(pk)
    form = RenewForm(posted(request), initial={"last_day": agreement.end_date, "name": agreement.name})
    words = deed(
        agreement, f"Renew {agreement.number}", "Renew it", "was renewed",
        "A new agreement begins on the day after, with everything that runs then. Its children are renewed with it.",
    )  # fmt: skip
    then = replace(
        words,
        then=lambda made: reverse("web:agreement", args=[made.pk]),
        said=lambda made: f"{agreement.number} is renewed by {made.number}.",
    )
    return _one_form(request, pk, commands.renew_agreement, form, then)


class CopyForm(PageForm):
    """Another agreement like this one."""

    rows = (("company_id", "name"), ("on", "end_date"))

    company_id = CompanyField(label="Company")
    name = forms.CharField(label="Name", max_length=100)
    on = DayField(label="Start")
    end_date = DayField(label="Last day", required=False, help_text="Empty: no ending date.")


def copy(request: HttpRequest, pk: int) -> HttpResponse:
    """Make an agreement like this one, for the same company or another."""
    agreement = find(pk)
    initial = {"company_id": agreement.company_id, "name": agreement.name, "on": today()}
    form = CopyForm(posted(request), initial=initial)
    words = Deed(
        title=f"Copy {agreement.number}", button="Copy it", back=reverse("web:agreement", args=[pk]),
        then=lambda made: reverse("web:agreement", args=[made.pk]),
        said=lambda made: f"{agreement.number} was copied to {made.number}.",
        crumbs=deed(agreement, "", "", "").crumbs,
        intro="With its terms, additions, rates and lists; without serial numbers, notes and family.",
    )  # fmt: skip
    return _one_form(request, pk, commands.copy_agreement, form, words)


# -- periods -----------------------------------------------------------------------------------------------------------


class CancelPeriodForm(PageForm):
    """A period that is not billed, and why."""

    period_start = forms.TypedChoiceField(label="Period", coerce=date.fromisoformat)
    reason = forms.CharField(label="Reason", max_length=200)
    write_off = forms.BooleanField(
        label="Written off", required=False, help_text="It was owed and is given up; otherwise it was never intended."
    )


def cancel_period(request: HttpRequest, pk: int) -> HttpResponse:
    """Leave one billing period out; the agreement goes on."""
    agreement = find(pk)
    form = CancelPeriodForm(posted(request))
    periods = next_invoices(pk, count=_PERIODS).periods
    choices = [(period.start.isoformat(), period.label) for period in periods]
    form.fields["period_start"].choices = choices  # type: ignore[attr-defined]
    words = deed(
        agreement, "Leave a period out", "Cancel the period", "has one period less to bill",
        "The agreement goes on, and the period can be reopened at any time.",
    )  # fmt: skip
    return _one_form(request, pk, commands.cancel_period, form, words)


@require_POST
def reopen_period(request: HttpRequest, pk: int) -> HttpResponse:
    """Bill a cancelled period after all."""
    start = _day(request, "period_start")
    return run_deed(
        request,
        lambda: commands.reopen_period(actor=actor_of(request), agreement_id=pk, period_start=start),
        then=reverse("web:agreement", args=[pk]),
        said="The period will be billed with the next run.",
    )


@require_POST
def unpark(request: HttpRequest, pk: int) -> HttpResponse:
    """It is mended: runs bill it again."""
    then = "web:agreement_status" if request.POST.get("back") == "status" else "web:agreement"
    return run_deed(
        request,
        lambda: commands.unpark_agreement(actor=actor_of(request), agreement_id=pk),
        then=reverse(then, args=[] if then == "web:agreement_status" else [pk]),
        said=lambda made: f"{made.number} will be billed by the next run.",
    )


# -- family ------------------------------------------------------------------------------------------------------------


class AttachForm(PageForm):
    """The agreement on whose invoices it is billed."""

    parent_id = ChoiceOf(label="Parent", help_text="Of the same billing cycle, timing and bill-to.")


def attach(request: HttpRequest, pk: int) -> HttpResponse:
    """Bill it on the invoice of another agreement."""
    agreement = find(pk)
    form = AttachForm(posted(request))
    offered = queries.agreements(status=AgreementStatus.ACTIVE).filter(
        bill_to_id=agreement.bill_to_id, billing_cycle=agreement.billing_cycle, parent=None
    )
    form.fields["parent_id"].offer(  # type: ignore[attr-defined]
        list(offered.exclude(pk=pk)[:200]), lambda each: f"{each.number} · {each.name}"
    )
    words = deed(
        agreement, f"Bill {agreement.number} with another agreement", "Bill it there", "is billed with its parent",
        "It keeps its own limits, rates and additions; one invoice bills both.",
    )  # fmt: skip
    return _one_form(request, pk, commands.attach_child, form, words)


@require_POST
def detach(request: HttpRequest, pk: int) -> HttpResponse:
    """Bill a child by itself again."""
    return run_deed(
        request,
        lambda: commands.detach_child(actor=actor_of(request), agreement_id=pk),
        then=reverse("web:agreement", args=[pk]),
        said=lambda made: f"{made.number} is billed by itself again.",
    )


# -- adjustments -------------------------------------------------------------------------------------------------------


class AdjustmentForm(PageForm):
    """Something given to an allocation, or taken away."""

    rows = (("on", "amount"), ("description",))

    on = DayField(label="From", help_text="It lives one application period from that day.")
    amount = QuantityField(label="Amount", help_text="Above zero adds, below takes away: -2.")
    description = forms.CharField(label="Why", max_length=200)


_AGAIN: Final = "What is not billed follows when coverage is decided anew: you see what would change next."


def _deciding(pk: int) -> str:
    """Where one sees what deciding anew would change."""
    return reverse("web:agreement_coverage", args=[pk]) + "?again=1"


def adjustment_new(request: HttpRequest, pk: int) -> HttpResponse:
    """Adjust the allocation."""
    agreement = find(pk)
    form = AdjustmentForm(posted(request), initial={"on": max(today(), agreement.start_date)})
    if agreement.application_units != ApplicationUnits.AMOUNT:
        form.fields["amount"].unit = agreement.application_units  # type: ignore[attr-defined]
    words = deed(agreement, "Adjust the allocation", "Adjust it", "has another adjustment", _AGAIN)
    return _one_form(request, pk, commands.add_adjustment, form, replace(words, then=lambda _: _deciding(pk)))


@require_POST
def adjustment_remove(request: HttpRequest, pk: int, adjustment_id: int) -> HttpResponse:
    """Take an adjustment back."""
    if not find(pk).adjustments.filter(pk=adjustment_id).exists():
        raise Http404
    return run_deed(
        request,
        lambda: commands.remove_adjustment(actor=actor_of(request), adjustment_id=adjustment_id),
        then=_deciding(pk),
        said="The adjustment was taken back.",
    )


_AT: Final = "agreements/<int:pk>/"
_OF: Final = "agreements/<int:pk>/additions/<int:addition_id>/"

urlpatterns = [
    path(f"{_AT}invoice/", invoice, name="agreement_invoice"),
    path(f"{_AT}amount/", billing_amount, name="agreement_amount"),
    path(f"{_AT}amount/preview/", billing_amount_preview, name="agreement_amount_preview"),
    path(f"{_AT}cancel/", cancel, name="agreement_cancel"),
    path(f"{_AT}end/", end, name="agreement_end"),
    path(f"{_AT}renew/", renew, name="agreement_renew"),
    path(f"{_AT}copy/", copy, name="agreement_copy"),
    path(f"{_AT}periods/cancel/", cancel_period, name="period_cancel"),
    path(f"{_AT}periods/reopen/", reopen_period, name="period_reopen"),
    path(f"{_AT}unpark/", unpark, name="agreement_unpark"),
    path(f"{_AT}attach/", attach, name="agreement_attach"),
    path(f"{_AT}detach/", detach, name="agreement_detach"),
    path(f"{_AT}adjustments/new/", adjustment_new, name="adjustment_new"),
    path(f"{_AT}adjustments/<int:adjustment_id>/remove/", adjustment_remove, name="adjustment_remove"),
    path(f"{_AT}additions/new/", addition_new, name="addition_new"),
    path(_OF, addition, name="addition"),
    path(f"{_OF}change/", addition_change, name="addition_change"),
    path(f"{_OF}change/preview/", addition_change_preview, name="addition_change_preview"),
    path(f"{_OF}change/remove/", addition_change_remove, name="addition_change_remove"),
    path(f"{_OF}cancel/", addition_cancel, name="addition_cancel"),
    path(f"{_OF}uncancel/", addition_uncancel, name="addition_uncancel"),
]
