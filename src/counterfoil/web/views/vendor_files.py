"""Pages: vendors' files, looked at and taken over: statements, bills, and which column of them holds what."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.core.errors import DomainError
from counterfoil.matching import column_mappings, statements, vendor_bills
from counterfoil.matching.column_mappings import FIELDS, MappingRow, mappings, suggest
from counterfoil.matching.reconciliation import reconcile_statement
from counterfoil.platform.imports import RowError
from counterfoil.platform.sheets import read_sheet
from counterfoil.web.actions import actor_of, attempt, now
from counterfoil.web.forms import CompanyField, DayField, Deed, PageForm, form_page, may, posted, require, run_deed
from counterfoil.web.views.imports import uploaded
from counterfoil.web.views.reconciliation import reconciled_words


def spoken(name: str) -> str:
    """A field of ours as people say it."""
    return name.replace("_", " ").capitalize().replace("sku", "SKU")


# -- a file that is carried along while one looks at it ----------------------------------------------------------------


class FileForm(PageForm):
    """Whose file it is, and how its columns are understood."""

    vendor_id = CompanyField(label="Vendor", kind="vendors")
    mapping = forms.ChoiceField(
        label="Columns", required=False, help_text="By the headings: a mapping that fits is taken by itself."
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [(row.name, f"{row.name}{f' ({row.vendor})' if row.vendor else ''}") for row in mappings()]
        self.fields["mapping"].choices = [("", "By the headings"), *choices]  # type: ignore[attr-defined]


@dataclass(slots=True)
class Carried:
    """An uploaded file on a page: its name and bytes once there is one, the form, and what it would do."""

    form: FileForm
    title: str
    template: str
    filename: str = ""
    content: bytes = b""
    preview: Any = None
    refusal: DomainError | None = None
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def encoded(self) -> str:
        """The file as it is carried in the page."""
        return base64.b64encode(self.content).decode()

    @property
    def errors(self) -> Sequence[RowError]:
        """What is wrong in its rows."""
        return self.preview.errors if self.preview else ()

    @property
    def columns(self) -> list[tuple[str, str, str]]:
        """Our fields with their meaning and the vendor's heading, as the file was read."""
        taken: Mapping[str, str] = self.preview.columns if self.preview else {}
        return [(spoken(name), our.meaning, taken[name]) for name, our in FIELDS.items() if name in taken]

    @property
    def unread(self) -> list[str]:
        """Headings of the file that no field takes."""
        taken = {
            part for asked in self.preview.columns.values() for each in asked.split(" | ") for part in each.split(" + ")
        }
        return [heading for heading in self.preview.headings if heading not in taken]


def _look_and_do(
    request: HttpRequest, page: Carried, look: Callable[[bytes], Any], do: Callable[[str, bytes], str]
) -> HttpResponse:
    """Show the form; with a file, what it would do; once confirmed, do it and go where that leads."""
    if request.method != "POST":
        return _shown(request, page, 200)
    try:
        page.filename, page.content = uploaded(request)
    except DomainError as error:
        page.refusal = error
    is_valid = page.form.is_valid()
    if page.refusal or not is_valid:
        return _shown(request, page, 422)
    if "confirmed" in request.POST:
        address, refusal = attempt(page.form, lambda: do(page.filename, page.content))
        if address is not None:
            return redirect(address)
        page.refusal = refusal
    page.preview, unreadable = attempt(page.form, lambda: look(page.content))
    page.refusal = page.refusal or unreadable
    is_fine = page.preview is not None and not page.errors and not page.refusal and page.form.is_valid()
    return _shown(request, page, 200 if is_fine else 422)


def _shown(request: HttpRequest, page: Carried, status: int) -> HttpResponse:
    return render(request, page.template, {"page": page, "form": page.form, **page.more}, status=status)


# -- statements --------------------------------------------------------------------------------------------------------


class StatementForm(FileForm):
    """A vendor's statement, and the period it is for."""

    rows = (("vendor_id", "mapping"), ("period_start", "period_end", "reference"))

    period_start = DayField(label="From", required=False, help_text="Empty: the month that the file charges for.")
    period_end = DayField(label="Through", required=False)
    reference = forms.CharField(
        label="Vendor's invoice number", max_length=60, required=False, help_text="Empty: the one in the file."
    )
    compare = forms.BooleanField(label="Reconcile it at once", required=False, initial=True)


def statement_import(request: HttpRequest) -> HttpResponse:
    """Choose a vendor's file, look at how it is understood, import it."""
    require(request, statements.import_statement)
    form = StatementForm(posted(request))

    def asked() -> dict[str, Any]:
        return {name: value for name, value in form.given().items() if name != "compare" and value is not None}

    def do(filename: str, content: bytes) -> str:
        made = statements.import_statement(
            actor=actor_of(request), content=content, filename=filename, now=now(), **asked()
        )
        found = made.statement
        if not made.fresh:
            messages.info(request, f"The same file is {found.number} already; nothing was changed.")
        elif form.cleaned_data["compare"]:
            _compare(request, found.pk)
        else:
            messages.success(request, f"{found.number} was imported: {found.line_count} lines.")
        return reverse("web:vendor_statement", args=[found.pk])

    page = Carried(form, "Import a vendor's file", "web/match/statement_import.html")
    return _look_and_do(
        request, page, lambda content: statements.preview_statement(content=content, **asked()), do
    )  # fmt: skip


def _compare(request: HttpRequest, pk: int) -> None:
    """Reconcile what was just imported; why it cannot be does not undo the import."""
    try:
        done = reconcile_statement(actor=actor_of(request), statement_id=pk, now=now())
    except DomainError as refusal:
        messages.warning(request, " ".join(part for part in (refusal.message, refusal.hint) if part))
    else:
        messages.success(request, reconciled_words(done))


# -- bills -------------------------------------------------------------------------------------------------------------


class BillsForm(FileForm):
    """A vendor's bills in a file."""

    rows = (("vendor_id", "mapping"), ("vendor_invoice_number", "bill_date"))

    vendor_invoice_number = forms.CharField(
        label="Invoice number", max_length=20, required=False, help_text="Of rows that name none."
    )
    bill_date = DayField(label="Date", required=False, help_text="Of rows that name none.")
    leave_unmatched = forms.BooleanField(
        label="Leave out what is on no purchase order", required=False,
        help_text="Without it a row that was not ordered, or has not arrived, stops the import.",
    )  # fmt: skip


def vendor_bill_import(request: HttpRequest) -> HttpResponse:
    """Choose a vendor's bills as a file, look at the purchase order lines they bill, enter them."""
    require(request, vendor_bills.import_vendor_bills)
    form = BillsForm(posted(request))

    def do(filename: str, content: bytes) -> str:
        made = vendor_bills.import_vendor_bills(
            actor=actor_of(request), content=content, filename=filename, **form.given()
        )
        numbers = ", ".join(bill.number for bill in made)
        messages.success(request, f"{numbers} {'was' if len(made) == 1 else 'were'} entered.")
        return reverse("web:vendor_bill", args=[made[0].pk]) if len(made) == 1 else reverse("web:vendor_bills")

    page = Carried(form, "Import vendor bills", "web/buy/bill_import.html")
    return _look_and_do(
        request, page, lambda content: vendor_bills.preview_vendor_bills(content=content, **form.given()), do
    )  # fmt: skip


# -- column mappings ---------------------------------------------------------------------------------------------------


@require_GET
def mapping_list(request: HttpRequest) -> HttpResponse:
    """The saved mappings and the ready ones."""
    rows = [(row, ", ".join(spoken(name) for name in FIELDS if name in row.columns)) for row in mappings()]
    context = {"rows": rows, "may": may(request, change=column_mappings.create_column_mapping)}
    return render(request, "web/match/mappings.html", context)


class MappingForm(PageForm):
    """Which column holds what: a field for each of ours."""

    rows = (("name", "vendor_id"),)

    name = forms.CharField(label="Name", max_length=60)
    vendor_id = CompanyField(
        label="Vendor", kind="vendors", required=False, help_text="Whose files; empty: anybody's."
    )  # fmt: skip
    headings = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, our in FIELDS.items():
            self.fields[f"column_{name}"] = forms.CharField(
                label=spoken(name), help_text=our.meaning, required=False, max_length=200,
                widget=forms.TextInput(attrs={"list": "headings", "autocomplete": "off", "spellcheck": "false"}),
            )  # fmt: skip

    def main(self) -> list[list[forms.BoundField]]:
        """What stands above the columns."""
        return [row for row in self.layout() if not row[0].name.startswith("column_")]

    def columns(self) -> list[forms.BoundField]:
        """The fields for the vendor's headings."""
        return [self[f"column_{name}"] for name in FIELDS]

    def given(self) -> dict[str, Any]:
        """Name, vendor and the columns that were named."""
        entered = self.cleaned_data
        columns = {name: entered[f"column_{name}"] for name in FIELDS if entered.get(f"column_{name}")}
        return {"name": entered["name"], "vendor_id": entered["vendor_id"], "columns": columns}


@dataclass(frozen=True, slots=True)
class Heading:
    """A column of an uploaded file: its heading and what its first row holds."""

    name: str
    sample: str


def mapping_new(request: HttpRequest) -> HttpResponse:
    """Say which column holds what, beside the headings of a file."""
    return _mapping_page(request, None)


def mapping(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a saved mapping."""
    found = next((row for row in mappings() if row.id == pk), None)
    if found is None or found.built_in:
        raise Http404
    return _mapping_page(request, found)


def _mapping_page(request: HttpRequest, found: MappingRow | None) -> HttpResponse:
    require(request, column_mappings.create_column_mapping)
    here = reverse("web:column_mappings")
    if "read" in request.POST:
        form, refusal = _with_headings(request)
    else:
        form, refusal = MappingForm(posted(request), initial=_stored(found)), None

    def run() -> Any:
        if found is None or found.id is None:
            return column_mappings.create_column_mapping(actor=actor_of(request), **form.given())
        return column_mappings.update_column_mapping(
            actor=actor_of(request), column_mapping_id=found.id, **form.given()
        )

    deed = Deed(
        title=f"Columns of {found.name}" if found else "New column mapping",
        button="Save the mapping",
        back=here,
        then=lambda _: here,
        said=lambda made: f"{made.name} was saved.",
        crumbs=(("Reconciliation", reverse("web:vendor_statements")), ("Column mappings", here)),
    )
    context: dict[str, Any] = {"headings": _headings_of(form)}
    if "read" in request.POST:
        shown = {"form": form, "deed": deed, "lines": None, "refusal": refusal, **context}
        return render(request, "web/match/mapping.html", shown, status=422 if refusal else 200)
    command = column_mappings.update_column_mapping if found else column_mappings.create_column_mapping
    return form_page(request, command, form, run, deed, template="web/match/mapping.html", context=context)


def _stored(found: MappingRow | None) -> dict[str, Any]:
    if found is None:
        return {}
    columns = {f"column_{name}": asked for name, asked in found.columns.items()}
    return {"name": found.name, "vendor_id": found.vendor_id, **columns}


def _with_headings(request: HttpRequest) -> tuple[MappingForm, DomainError | None]:
    """The form with the headings of a file beside it; what was typed stays, what is empty is suggested."""
    initial = {name: request.POST.get(name, "") for name in MappingForm().fields}
    try:
        _, content = uploaded(request)
        sheet = read_sheet(content)
    except DomainError as refusal:
        return MappingForm(initial=initial), refusal
    first = sheet.rows[0].cells
    initial["headings"] = "\n".join(f"{name}\t{first.get(name, '')[:60]}" for name in sheet.headings)
    for name, asked in suggest(sheet.headings).columns.items():
        initial[f"column_{name}"] = initial.get(f"column_{name}") or asked
    return MappingForm(initial=initial), None


def _headings_of(form: MappingForm) -> list[Heading]:
    """The headings of the file that was read, which the form carries along."""
    lines = str(form["headings"].value() or "").splitlines()
    return [Heading(*line.partition("\t")[::2]) for line in lines]


@require_POST
def mapping_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a saved mapping."""
    return run_deed(
        request,
        lambda: column_mappings.delete_column_mapping(actor=actor_of(request), column_mapping_id=pk),
        then=reverse("web:column_mappings"),
        said="The mapping was deleted; what was imported by it stays.",
    )


urlpatterns = [
    path("match/statements/import/", statement_import, name="vendor_statement_import"),
    path("match/statements/mappings/", mapping_list, name="column_mappings"),
    path("match/statements/mappings/new/", mapping_new, name="column_mapping_new"),
    path("match/statements/mappings/<int:pk>/", mapping, name="column_mapping"),
    path("match/statements/mappings/<int:pk>/delete/", mapping_delete, name="column_mapping_delete"),
    path("vendor-bills/import/", vendor_bill_import, name="vendor_bill_import"),
]
