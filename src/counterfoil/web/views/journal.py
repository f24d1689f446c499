"""Pages: the journal, its entries, entries by hand and their reversal."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, sum_money
from counterfoil.ledger.chart import CONTROL_TYPES
from counterfoil.ledger.commands import ManualLine, post_manual_entry, reverse_entry
from counterfoil.ledger.models import Account, JournalEntry
from counterfoil.platform.lookup import existing
from counterfoil.web.actions import actor_of, today
from counterfoil.web.bookkeeping import posted as shown_entries
from counterfoil.web.bookkeeping import record_url
from counterfoil.web.forms import DayField, Deed, LineEditor, LineForm, MoneyField, PageForm, form_page, may, posted
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import side_of

#: Kinds of entries, as their source type says.
SOURCES: Final = (
    ("receipt", "Receipts"),
    ("vendor_bill", "Vendor bills"),
    ("invoice", "Invoices"),
    ("customer_payment", "Payments"),
    ("vendor_payment", "Vendor payments"),
    ("asset", "Assets"),
    ("tax_remittance", "Sales tax"),
    ("manual", "By hand"),
)

JOURNAL: Final = ListSpec(
    name="Journal",
    columns=(
        Column("number", "Number", kind="key"),
        Column("date", "Date", kind="date", sort="date", card="note"),
        Column("memo", "Memo", card="note"),
        Column("source", "Books", "source_label", sort="source_label", url=lambda e: source_url(e) or None),
        Column("posted_by", "Posted by", sort="posted_by"),
        Column("total", "Amount", kind="money", sort="total", total="total", card="figure"),
    ),
    chips=(Chips("source_type", SOURCES),),
    sort="-number",
    url=lambda entry: reverse("web:journal_entry", args=[entry.pk]),
    placeholder="Number, source or memo",
    noun="entries",
)


def source_url(entry: JournalEntry) -> str:
    """The page of the document an entry books; empty for an entry by hand."""
    return record_url(entry.source_type, entry.source_id) if entry.source_type != "manual" else ""


@require_GET
def journal(request: HttpRequest) -> HttpResponse:
    """All journal entries."""
    context = {"may": may(request, post=post_manual_entry)}
    return show_list(request, JOURNAL, _matching(search_of(request)), "web/books/journal.html", context)


def _matching(search: str) -> QuerySet[JournalEntry]:
    entries = JournalEntry.objects.all()
    if not search:
        return entries
    return entries.filter(Q(number__icontains=search) | Q(source_label__icontains=search) | Q(memo__icontains=search))


class ReversalForm(forms.Form):
    """The date of a reversal."""

    on = DayField(label="Date of the reversal")


@require_GET
def entry(request: HttpRequest, pk: int) -> HttpResponse:
    """An entry: its lines, what it books, its reversal."""
    return render(request, "web/books/entry.html", _entry_context(request, pk))


def _entry_context(request: HttpRequest, pk: int) -> dict[str, Any]:
    found = existing(
        JournalEntry.objects.select_related("period", "reverses", "reversed_by").prefetch_related(
            "lines__account", "lines__company"
        ),
        pk,
    )
    reversal = getattr(found, "reversed_by", None)
    is_reversible = found.source_type == "manual" and not found.reverses_id and reversal is None
    return {
        "entry": found,
        "entries": [replace(view, url="") for view in shown_entries([found])],
        "source_url": source_url(found),
        "kind": dict(SOURCES).get(found.source_type, found.source_type),
        "reversal": reversal,
        "may_reverse": is_reversible and may(request, reverse=reverse_entry)["reverse"],
        "form": ReversalForm(initial={"on": max(today(), found.date)}),
        **side_of(found),
    }


@require_POST
def reverse_it(request: HttpRequest, pk: int) -> HttpResponse:
    """Reverse an entry that was made by hand."""
    form = ReversalForm(request.POST)
    refusal = None
    if form.is_valid():
        try:
            reversal = reverse_entry(actor=actor_of(request), entry_id=pk, on=form.cleaned_data["on"])
        except DomainError as error:
            if error.status in (403, 404):
                raise
            if error.field in ("on", "date"):
                form.add_error("on", " ".join(part for part in (error.message, error.hint) if part))
            else:
                refusal = error
        else:
            messages.success(request, f"{reversal.number} reverses it.")
            return redirect("web:journal_entry", reversal.pk)
    context = {**_entry_context(request, pk), "form": form, "refusal": refusal}
    return render(request, "web/books/entry.html", context, status=422)


# -- by hand -----------------------------------------------------------------------------------------------------------


class EntryForm(PageForm):
    """Date and memo of an entry."""

    rows = (("on", "memo"),)

    on = DayField(label="Date")
    memo = forms.CharField(label="Memo", max_length=200, help_text="What the entry is for.")


class EntryLineForm(LineForm):
    """A line of an entry."""

    account = forms.ChoiceField(label="Account")
    memo = forms.CharField(label="Memo", required=False, max_length=200)
    debit = MoneyField(label="Debit", required=False)
    credit = MoneyField(label="Credit", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["account"].choices = [("", "Choose …"), *_accounts()]  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """A line has a debit or a credit."""
        given = super().clean() or {}
        if self.has_changed() and not self.errors and bool(given.get("debit")) == bool(given.get("credit")):
            self.add_error("debit", "Enter a debit or a credit.")
        return given


def _accounts() -> list[tuple[str, str]]:
    """Accounts that take entries by hand: all active ones but the control accounts."""
    found = Account.objects.filter(active=True).exclude(type__in=CONTROL_TYPES)
    return [(account.code, str(account)) for account in found]


def new_entry(request: HttpRequest) -> HttpResponse:
    """Post an entry by hand: its lines must balance."""
    form = EntryForm(posted(request), initial={"on": today()})
    lines = LineEditor(
        request,
        EntryLineForm,
        add="Add a line",
        blank=2,
        required=True,
        note="Receivables, payables, inventory, assets and sales tax follow their documents and cannot be chosen.",
    )
    deed = Deed(
        title="New journal entry",
        button="Post the entry",
        back=reverse("web:journal"),
        then=lambda done: reverse("web:journal_entry", args=[done.pk]),
        said=lambda done: f"{done.number} is in the books.",
        crumbs=(("Journal", reverse("web:journal")),),
    )
    return form_page(
        request,
        post_manual_entry,
        form,
        lambda: post_manual_entry(actor=actor_of(request), lines=_manual_lines(lines), **form.given()),
        deed,
        lines=lines,
        template="web/books/entry_form.html",
    )


def _manual_lines(lines: LineEditor) -> list[ManualLine]:
    """The lines that were entered.

    Raises:
        DomainError: ``unbalanced``, with the difference.
    """
    given = [ManualLine(**line) for line in lines.given()]
    debits, credits = sum_money(x.debit for x in given), sum_money(x.credit for x in given)
    if debits != credits:
        raise DomainError(
            "unbalanced",
            f"Debits are {debits:,.2f} and credits {credits:,.2f}: the entry does not balance.",
            hint=f"{_side(debits, credits)} of {abs(debits - credits):,.2f} is missing.",
        )
    return given


def _side(debits: Decimal, credits: Decimal) -> str:
    return "A credit" if sum_money([debits, -credits]) > ZERO else "A debit"


urlpatterns: list[URLPattern] = [
    path("journal/", journal, name="journal"),
    path("journal/new/", new_entry, name="journal_entry_new"),
    path("journal/<int:pk>/", entry, name="journal_entry"),
    path("journal/<int:pk>/reverse/", reverse_it, name="journal_entry_reverse"),
]
