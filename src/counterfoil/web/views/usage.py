"""Pages: time, expenses and products used for customers: the list, quick entry, one entry with what covers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from django import forms
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse, reverse_lazy
from django.views.decorators.http import require_POST

from counterfoil.agreements.models import Agreement, BillingOption
from counterfoil.catalog.models import WorkRole
from counterfoil.catalog.queries import expense_types, work_roles, work_types
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.usage import commands, queries
from counterfoil.usage.models import Allocation, Charge, ChargeKind
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    LineEditor,
    LineForm,
    PageForm,
    PriceField,
    ProductField,
    QuantityField,
    RecordField,
    asked_id,
    form_page,
    may,
    posted,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list

_OPEN: Final = Q(billed=False, written_off_at=None)

USAGE: Final = ListSpec(
    name="Time, expenses and products",
    columns=(
        Column("date", "Date", kind="date", sort="date", card="note"),
        Column("description", "What", kind="key", sort="description", note=lambda row: _who(row)),
        Column("company", "Customer", "company.name", sort="company__name", card="note"),
        Column("agreement", "Agreement", "agreement.number", sort="agreement__number", url=lambda row: _agreement(row)),
        Column("kind", "Kind", "get_kind_display", sort="kind"),
        Column("quantity", "Quantity", "billed_quantity", kind="quantity", sort="billed_quantity"),
        Column("price", "Rate", "unit_price", kind="price", sort="unit_price"),
        Column("amount", "Amount", kind="money", sort="amount", total="amount", card="figure"),
        Column("covered", "Covered", "allocation.covered_amount", kind="money", total="allocation__covered_amount"),
        Column("due", "Billable", "due_amount", kind="money", total="due_amount", card="figure"),
        Column("state", "State", lambda row: state_of(row), kind="state", card="note"),
    ),
    chips=(
        Chips(
            "status",
            (
                ("unbilled", "Unbilled"), ("covered", "Covered"), ("overage", "Overage"), ("billed", "Billed"),
                ("written_off", "Written off"),
            ),
            where={
                "unbilled": _OPEN,
                "covered": Q(allocation__covered_quantity__gt=0, written_off_at=None),
                "overage": Q(allocation__overage_amount__gt=0, written_off_at=None),
                "billed": Q(billed=True),
                "written_off": Q(written_off_at__isnull=False),
            },
        ),
        Chips("kind", ChargeKind.choices),
    ),
    sort="-date",
    url=lambda row: reverse("web:charge", args=[row.pk]),
    placeholder="Description, ticket, member or customer",
    noun="entries",
)  # fmt: skip


def state_of(charge: Charge) -> str:
    """Where a charge stands, in a word."""
    if charge.written_off_at is not None:
        return "written_off"
    if charge.billed:
        return "billed"
    if charge.billing_option != BillingOption.BILLABLE:
        return "no_charge" if charge.billing_option == BillingOption.NO_CHARGE else "do_not_bill"
    allocation = allocation_of(charge)
    if allocation is None or not allocation.covered_quantity:
        return "unbilled"
    return "partly_covered" if allocation.overage_quantity else "covered"


def allocation_of(charge: Charge) -> Allocation | None:
    """What its agreement covers of it, once that was decided."""
    return getattr(charge, "allocation", None)


def _who(charge: Charge) -> str:
    what = charge.work_role or charge.expense_type or charge.product
    return " · ".join(str(part) for part in (charge.member, what, charge.work_type, charge.ticket) if part)


def _agreement(charge: Charge) -> str | None:
    return reverse("web:agreement", args=[charge.agreement_id]) if charge.agreement_id else None


def usage(request: HttpRequest) -> HttpResponse:
    """Everything that was used for customers."""
    rows = queries.charges(
        search=search_of(request),
        company_id=asked_id(request, "company"),
        agreement_id=asked_id(request, "agreement"),
    )
    can = may(request, add=commands.enter_time)
    return show_list(request, USAGE, rows, "web/usage/list.html", {"may": can})


# -- entering ----------------------------------------------------------------------------------------------------------


class AgreementField(RecordField):
    """An agreement by its number."""

    noun = "agreement"
    source = reverse_lazy("web:pick", args=["agreements"])

    def among(self) -> QuerySet[Agreement]:
        """All of them; whether it is the customer's, the command says."""
        return Agreement.objects.all()

    def matching(self, text: str) -> Q:
        """By number."""
        return Q(number__iexact=text)


class TimeSheetForm(PageForm):
    """What all lines have in common."""

    rows = (("member", "on"),)

    member = forms.CharField(label="Who worked", max_length=60, required=False)
    on = DayField(label="Date", help_text="Of the lines that have no date of their own.")


class TimeLine(LineForm):
    """Some hours."""

    company_id = CompanyField(label="Customer")
    agreement_id = AgreementField(label="Agreement", required=False)
    hours = QuantityField(label="Hours", widget=forms.TextInput(attrs={"class": "is-short", "placeholder": "1.5"}))
    description = forms.CharField(
        label="What was done", max_length=200, widget=forms.TextInput(attrs={"class": "is-words"})
    )
    work_role_id = ChoiceOf(label="Work role", empty="Choose")
    work_type_id = ChoiceOf(label="Work type", required=False, empty="None")
    ticket = forms.CharField(
        label="Ticket", max_length=30, required=False, widget=forms.TextInput(attrs={"class": "is-short"})
    )
    on = DayField(label="Other date", required=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["work_role_id"].offer(list(work_roles(active=True)))  # type: ignore[attr-defined]
        self.fields["work_type_id"].offer(list(work_types(active=True)))  # type: ignore[attr-defined]

    def is_wanted(self) -> bool:
        """A line of which only the role was chosen is none."""
        chosen = {"work_role_id", "work_type_id"}
        return any(value not in (None, "") for name, value in self.cleaned_data.items() if name not in chosen)

    def has_changed(self) -> bool:
        """Choosing a role alone enters nothing."""
        return any(name not in {"work_role_id", "work_type_id"} for name in self.changed_data)


def _deed(title: str, button: str, said: Callable[[Any], str], then: Callable[[Any], str] | None = None) -> Deed:
    back = reverse("web:usage")
    return Deed(
        title=title,
        button=button,
        back=back,
        then=then or (lambda _: back),
        said=said,
        crumbs=(("Time, expenses and products", back),),
    )


def time_new(request: HttpRequest) -> HttpResponse:
    """Several lines of time at once: all of them, or none."""
    person = request.user
    form = TimeSheetForm(posted(request), initial={"member": getattr(person, "name", ""), "on": today()})
    first = {"company_id": asked_id(request, "company"), "agreement_id": asked_id(request, "agreement")}
    lines = LineEditor(
        request, TimeLine, title="Hours", add="Add a line", required=True,
        blank=0 if any(first.values()) else 3, initial=[first] if any(first.values()) else (),
        note="Tab goes on; an empty line is left out",
    )  # fmt: skip

    def enter() -> Sequence[Charge]:
        common = form.cleaned_data
        return _all_or_none(
            lines.given(),
            lambda line: commands.enter_time(
                actor=actor_of(request), member=common["member"], **{"on": common["on"], **line}
            ),
        )

    words = _deed("Enter time", "Enter the time", lambda made: f"{len(made)} {_entries(len(made))} entered.")
    context = {"lacks_roles": not WorkRole.objects.filter(active=True).exists()}
    return form_page(
        request, commands.enter_time, form, enter, words, lines=lines, template="web/usage/time.html", context=context
    )


def _entries(count: int) -> str:
    return "entry was" if count == 1 else "entries were"


@transaction.atomic
def _all_or_none(lines: Sequence[dict[str, Any]], enter: Callable[[dict[str, Any]], Charge]) -> list[Charge]:
    made = []
    for index, line in enumerate(lines):
        try:
            made.append(enter(line))
        except DomainError as error:
            error.field = f"lines[{index}].{error.field or 'company_id'}"
            raise
    return made


class _UsedForm(PageForm):
    """What expenses and products have in common."""

    rows: tuple[tuple[str, ...], ...] = (
        ("company_id", "agreement_id"),
        ("on", "member", "ticket"),
        ("expense_type_id", "quantity", "unit_price"),
        ("product_id", "quantity", "unit_price"),
    )

    company_id = CompanyField(label="Customer")
    agreement_id = AgreementField(label="Agreement", required=False, help_text="Which one is to cover it.")
    on = DayField(label="Date")
    member = forms.CharField(label="Who", max_length=60, required=False)
    ticket = forms.CharField(label="Ticket", max_length=30, required=False)

    def given(self) -> dict[str, Any]:
        """What was entered; what was left empty is the command's default."""
        return {name: value for name, value in super().given().items() if value not in (None, "")}


class ExpenseForm(_UsedForm):
    """An expense."""

    expense_type_id = ChoiceOf(label="Expense type")
    quantity = QuantityField(label="Quantity", required=False, help_text="Miles, meals; empty: 1.")
    unit_price = PriceField(label="Billed for one")
    unit_cost = PriceField(label="Cost of one", required=False, help_text="Empty: the same.")
    description = forms.CharField(label="What for", max_length=200)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["expense_type_id"].offer(list(expense_types(active=True)))  # type: ignore[attr-defined]


class ProductUsedForm(_UsedForm):
    """A product."""

    product_id = ProductField(label="Product")
    quantity = QuantityField(label="Quantity", required=False, help_text="Empty: 1.")
    unit_price = PriceField(
        label="Price of one", required=False, help_text="Empty: the catalog's.",
        widget=forms.TextInput(attrs={"data-fill": "unit_price"}),
    )  # fmt: skip
    unit_cost = PriceField(
        label="Cost of one", required=False, widget=forms.TextInput(attrs={"data-fill": "unit_cost"})
    )
    description = forms.CharField(
        label="Description", max_length=200, required=False, widget=forms.TextInput(attrs={"data-fill": "description"})
    )


def _one_new(form_class: type[_UsedForm], command: Callable[..., Any], noun: str) -> Callable[..., HttpResponse]:
    def view(request: HttpRequest) -> HttpResponse:
        initial = {
            "on": today(),
            "company_id": asked_id(request, "company"),
            "agreement_id": asked_id(request, "agreement"),
        }
        form = form_class(posted(request), initial=initial)
        return form_page(
            request,
            command,
            form,
            lambda: command(actor=actor_of(request), **form.given()),
            _deed(
                f"Enter {noun}", f"Enter the {noun.split()[-1]}", lambda made: f"“{made.description}” was entered.",
                lambda made: reverse("web:charge", args=[made.pk]),
            ),
        )  # fmt: skip

    return view


expense_new = _one_new(ExpenseForm, commands.enter_expense, "an expense")
product_used_new = _one_new(ProductUsedForm, commands.enter_product, "a product")


# -- one entry ---------------------------------------------------------------------------------------------------------


def _charge(pk: int) -> Charge:
    found = queries.charge(pk)
    if found is None:
        raise Http404
    return found


def charge(request: HttpRequest, pk: int) -> HttpResponse:
    """An entry: its rate, and what its agreement covers of it."""
    found = _charge(pk)
    can = may(request, edit=commands.update_charge, write_off=commands.write_off_charge)
    is_open = not found.billed and found.written_off_at is None
    context = {
        "charge": found,
        "allocation": allocation_of(found),
        "state": state_of(found),
        "due": found.due_amount,  # type: ignore[attr-defined]  # annotated by the query
        "who": _who(found),
        "may_change": can["edit"] and is_open,
        "may_write_off": can["write_off"] and is_open,
        "may_restore": can["write_off"] and found.written_off_at is not None,
        "trail": trail_of(found)[:12],
    }
    return render(request, "web/usage/charge.html", context)


class ChargeForm(PageForm):
    """What may be changed of an entry."""

    rows = (
        ("on", "quantity", "rate", "unit_price", "unit_cost"),
        ("work_role_id", "work_type_id"),
        ("agreement_id", "ticket", "member"),
    )

    on = DayField(label="Date")
    quantity = QuantityField(label="Quantity")
    rate = PriceField(label="Rate of its own", required=False, help_text="Goes before every other rate.")
    unit_price = PriceField(label="Price of one")
    unit_cost = PriceField(label="Cost of one")
    description = forms.CharField(label="Description", max_length=200)
    work_role_id = ChoiceOf(label="Work role")
    work_type_id = ChoiceOf(label="Work type", required=False, empty="None")
    expense_type_id = ChoiceOf(label="Expense type")
    agreement_id = AgreementField(label="Agreement", required=False)
    ticket = forms.CharField(label="Ticket", max_length=30, required=False)
    member = forms.CharField(label="Who", max_length=60, required=False)
    billing_option = forms.ChoiceField(label="Billing", choices=BillingOption.choices)
    taxable = forms.BooleanField(label="Taxable", required=False)
    notes = forms.CharField(label="Notes", required=False, widget=forms.Textarea(attrs={"rows": 2}))


def charge_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change an entry that is not billed."""
    found = _charge(pk)
    names = [name for name in ChargeForm.base_fields if name not in {"on", "rate"}]
    initial = {name: getattr(found, name) for name in names} | {"on": found.date, "rate": found.rate_override}
    form = ChargeForm(posted(request), initial=initial)
    of_others = {
        ChargeKind.TIME: ("unit_price", "unit_cost", "expense_type_id"),
        ChargeKind.EXPENSE: ("rate", "work_role_id", "work_type_id"),
        ChargeKind.PRODUCT: ("rate", "work_role_id", "work_type_id", "expense_type_id"),
    }
    for name in of_others[ChargeKind(found.kind)]:
        del form.fields[name]
    for name, rows in (
        ("work_role_id", work_roles()), ("work_type_id", work_types()), ("expense_type_id", expense_types())
    ):  # fmt: skip
        if name in form.fields:
            form.fields[name].offer(list(rows))  # type: ignore[attr-defined]
    here = reverse("web:charge", args=[pk])
    words = Deed(
        title=f"Change “{found.description}”",
        button="Save",
        back=here,
        then=lambda _: here,
        said=lambda made: f"“{made.description}” was changed.",
        crumbs=(("Time, expenses and products", reverse("web:usage")), (found.description, here)),
    )
    return form_page(
        request,
        commands.update_charge,
        form,
        lambda: commands.update_charge(actor=actor_of(request), charge_id=pk, **form.given()),
        words,
    )


class WriteOffForm(PageForm):
    """Why it is never billed."""

    reason = forms.CharField(label="Reason", max_length=200)


def charge_write_off(request: HttpRequest, pk: int) -> HttpResponse:
    """Never bill it."""
    found = _charge(pk)
    form = WriteOffForm(posted(request))
    here = reverse("web:charge", args=[pk])
    words = Deed(
        title=f"Write off “{found.description}”",
        button="Write it off",
        back=here,
        then=lambda _: here,
        said=lambda made: f"“{made.description}” was written off.",
        crumbs=(("Time, expenses and products", reverse("web:usage")), (found.description, here)),
        intro="It stays on record, is never billed, and draws on no agreement any more.",
    )
    return form_page(
        request,
        commands.write_off_charge,
        form,
        lambda: commands.write_off_charge(actor=actor_of(request), charge_id=pk, now=now(), **form.given()),
        words,
    )


@require_POST
def charge_restore(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a write-off back."""
    return run_deed(
        request,
        lambda: commands.restore_charge(actor=actor_of(request), charge_id=pk),
        then=reverse("web:charge", args=[pk]),
        said=lambda made: f"“{made.description}” can be billed again.",
    )


@require_POST
def charge_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Take out what was entered by mistake."""
    return run_deed(
        request,
        lambda: commands.delete_charge(actor=actor_of(request), charge_id=pk),
        then=reverse("web:usage"),
        said="The entry was deleted.",
    )


urlpatterns = [
    path("usage/", usage, name="usage"),
    path("usage/time/new/", time_new, name="time_new"),
    path("usage/expenses/new/", expense_new, name="expense_new"),
    path("usage/products/new/", product_used_new, name="product_used_new"),
    path("usage/<int:pk>/", charge, name="charge"),
    path("usage/<int:pk>/edit/", charge_edit, name="charge_edit"),
    path("usage/<int:pk>/write-off/", charge_write_off, name="charge_write_off"),
    path("usage/<int:pk>/restore/", charge_restore, name="charge_restore"),
    path("usage/<int:pk>/delete/", charge_delete, name="charge_delete"),
]
