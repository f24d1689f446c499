"""Pages: what vendors say that customers have, held against what is billed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.views.decorators.http import require_GET, require_POST

from counterfoil.agreements.models import Agreement, AgreementStatus
from counterfoil.agreements.queries import agreements
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.matching import names, reconciliation, statements, vendor_bills
from counterfoil.matching.fixing import fix_line
from counterfoil.matching.models import AliasKind, ExceptionStatus, MatchException, MatchKind, VendorStatement
from counterfoil.matching.reconciliation import ComparedRow
from counterfoil.platform.audit import trail_of
from counterfoil.platform.records import plain_number
from counterfoil.web.actions import actor_of, now
from counterfoil.web.forms import (
    ChoiceOf,
    CompanyField,
    DayField,
    Deed,
    PageForm,
    ProductField,
    form_page,
    may,
    posted,
    require,
    run_deed,
)
from counterfoil.web.lists import Chips, Column, ListSpec, page_of, search_of, show_list
from counterfoil.web.templatetags.counterfoil import period
from counterfoil.web.threads import TRAIL

#: So many names are asked for at once.
NAMES_SHOWN: Final = 50
#: Status of a compared line -> what it is called.
STATUSES: Final = (
    ("unbilled", "Unbilled"),
    ("under_billed", "Under-billed"),
    ("over_billed", "Over-billed"),
    ("orphaned", "Orphaned"),
    ("exact", "Agrees"),
)


# -- the list ----------------------------------------------------------------------------------------------------------


def _state(statement: VendorStatement) -> str:
    return "reconciled" if statement.reconciled_at else "not_reconciled"


def _period(statement: VendorStatement) -> str:
    return period(statement.period_start, statement.period_end)


STATEMENTS: Final = ListSpec(
    name="Vendor statements",
    columns=(
        Column("number", "Number", kind="key"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name", card="note"),
        Column("reference", "Reference", sort="reference"),
        Column("period", "Period", _period, sort="period_start", card="note"),
        Column("state", "State", _state, kind="state", card="note"),
        Column("lines", "Lines", "line_count", kind="quantity", sort="line_count"),
        Column("unknown", "Unknown names on", lambda each: getattr(each, "unknown_lines", 0) or None, kind="quantity"),
        Column("total", "Cost", "total", kind="money", sort="total", total="total", card="figure"),
        Column("imported", "Imported", "imported_at", kind="moment", sort="imported_at", note="imported_by"),
        Column("reconciled", "Reconciled", "reconciled_at", kind="moment", sort="reconciled_at"),
    ),
    chips=(
        Chips(
            "state",
            (("open", "Not reconciled"), ("reconciled", "Reconciled")),
            where={"open": Q(reconciled_at=None), "reconciled": Q(reconciled_at__isnull=False)},
        ),
    ),
    sort="-number",
    url=lambda each: reverse("web:vendor_statement", args=[each.pk]),
    placeholder="Number, reference or vendor",
)


@require_GET
def statement_list(request: HttpRequest) -> HttpResponse:
    """Every statement of a vendor that was imported."""
    context: dict[str, Any] = {"may": may(request, run=statements.import_statement)}
    rows = statements.statements(search=search_of(request))
    return show_list(request, STATEMENTS, rows, "web/match/statements.html", context)


# -- one statement -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A compared line as the page shows it, with its exception and where it is mended."""

    line: ComparedRow
    exception: MatchException | None
    fix_url: str

    @property
    def status(self) -> str:
        """How both sides compare; what the chips filter by."""
        return self.line.status

    @property
    def difference(self) -> Decimal:
        """Theirs less ours."""
        return self.line.their_quantity - self.line.our_quantity

    @property
    def accepted(self) -> str:
        """That somebody accepted the difference."""
        is_accepted = self.exception is not None and self.exception.status == ExceptionStatus.OVERRIDDEN
        return "accepted with a reason" if is_accepted else ""

    @property
    def url(self) -> str | None:
        """The page of its exception."""
        return reverse("web:match_exception", args=[self.exception.pk]) if self.exception else None


def _term(row: Row) -> str:
    unit, _, count = row.line.term.partition(":")
    return f"{count} {unit}{'' if count == '1' else 's'}" if unit else ""


ROWS: Final = ListSpec(
    name="Reconciliation",
    columns=(
        Column("company", "Customer", "line.company", sort="company", card="title"),
        Column("product", "Product", "line.product", sort="product", note=_term, card="note"),
        Column("theirs", "Vendor has", "line.their_quantity", kind="quantity", sort="theirs"),
        Column("ours", "We bill", "line.our_quantity", kind="quantity", sort="ours"),
        Column("difference", "Difference", kind="quantity", sort="difference", card="figure"),
        Column("monthly", "A month", "line.monthly", kind="money", sort="monthly", total="monthly", card="figure"),
        Column("status", "State", lambda row: row.status, kind="state", sort="status", note="accepted", card="note"),
        Column("mend", "Mend", lambda row: "Fix it" if row.fix_url else "", url=lambda row: row.fix_url, card="wide"),
    ),
    chips=(Chips("status", STATUSES),),
    url=lambda row: row.url,
    placeholder="Customer or product",
    noun="lines",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A state of the reconciliation in dollars a month."""

    status: str
    label: str
    amount: Decimal
    note: str
    tone: str


def _figures(rows: Iterable[ComparedRow]) -> list[Figure]:
    """What leaks in each state, as amounts above zero."""
    by_status: dict[str, list[ComparedRow]] = {status: [] for status, _ in STATUSES}
    for row in rows:
        by_status[row.status].append(row)
    return [
        Figure(
            status, label, sum_money(abs(row.monthly) for row in found), _note(status, found), "act" if found else ""
        )
        for status, label in STATUSES
        if status != "exact"
        for found in [by_status[status]]
    ]


def _note(status: str, rows: Sequence[ComparedRow]) -> str:
    counted = f"{len(rows)} line{'' if len(rows) == 1 else 's'}"
    if status != "orphaned" or not rows:
        return counted
    paid = sum_money(row.monthly for row in rows if row.monthly > 0)
    billed = -sum_money(row.monthly for row in rows if row.monthly < 0)
    said = [f"{format_money(paid)} paid for nobody"] if paid else []
    said += [f"{format_money(billed)} billed for nothing"] if billed else []
    return f"{counted}: {', '.join(said)}" if said else counted


@require_GET
def statement(request: HttpRequest, pk: int) -> HttpResponse:
    """A statement against what is billed: names to confirm first, then every line, the dearest difference on top."""
    found = _find(pk)
    compared = reconciliation.comparison(statement_id=pk)
    is_latest = _is_latest(found)
    able = may(
        request, reconcile=reconciliation.reconcile_statement, fix=fix_line, confirm=names.confirm_alias,
        bill=vendor_bills.bill_statement, delete=statements.delete_statement, see=statements.import_statement,
    )  # fmt: skip
    rows = _rows(found, compared, can_fix=is_latest and able["fix"])
    words = search_of(request).lower()
    if words:
        rows = [row for row in rows if words in row.line.company.lower() or words in row.line.product.lower()]
    if request.GET.get("export"):
        return show_list(request, ROWS, rows)
    unknown = names.names_to_confirm(pk)
    context = {
        "statement": found,
        "state": _state(found),
        "period": _period(found),
        "page": page_of(request, ROWS, rows),
        "figures": _figures(compared),
        "unknown": [_to_confirm(pk, name) for name in unknown[:NAMES_SHOWN]],
        "unknown_count": len(unknown),
        "any_suggested": any(each.suggestions for each in unknown),
        "more_unknown": max(len(unknown) - NAMES_SHOWN, 0),
        "is_latest": is_latest,
        "may": able,
        "trail": trail_of(found)[:TRAIL],
    }
    return render(request, "web/match/statement.html", context)


def _rows(found: VendorStatement, compared: Iterable[ComparedRow], *, can_fix: bool) -> list[Row]:
    """The lines, those that cost or bring the most first and those that agree last."""
    start = f"reconciliation:{found.vendor_id}:"
    of_vendor = MatchException.objects.filter(kind=MatchKind.RECONCILIATION, vendor=found.vendor_id)
    by_key = {
        each.key: each
        for each in of_vendor.exclude(status=ExceptionStatus.MENDED).only("pk", "key", "status")
        if each.key.startswith(start)
    }
    rows = []
    for line in compared:
        key = f"{start}{line.company_id}:{line.product_id}:{line.term}"
        exception = by_key.get(key) if line.status != "exact" else None
        mends = can_fix and exception is not None and not (line.status == "orphaned" and not line.our_quantity)
        fix_url = reverse("web:vendor_statement_fix", args=[found.pk, exception.pk]) if exception and mends else ""
        rows.append(Row(line, exception, fix_url))
    return sorted(rows, key=lambda row: (row.status == "exact", -abs(row.line.monthly), row.line.company))


def _is_latest(found: VendorStatement) -> bool:
    """Whether differences are those of this statement: exceptions are of a vendor's latest reconciled one."""
    latest = reconciliation.latest_reconciled(found.vendor_id)
    return latest is not None and latest.pk == found.pk


def _find(pk: int) -> VendorStatement:
    found = statements.statements().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


LINES: Final = ListSpec(
    name="Lines of the statement",
    columns=(
        Column("customer", "Customer there", "customer_name", sort="customer_name", card="title"),
        Column("company", "Here", "company.name", sort="company__name", note="company_match", card="note"),
        Column("product", "Product there", "product_name", sort="product_name", note="vendor_sku", card="note"),
        Column("means", "Here", "product.description", sort="product__description", note="product_match"),
        Column("position", "Line", kind="quantity", sort="position"),
        Column("quantity", "Quantity", kind="quantity", sort="quantity", card="figure"),
        Column("unit_cost", "Unit cost", kind="price", sort="unit_cost"),
        Column("amount", "Amount", kind="money", sort="amount", total="amount", card="figure"),
        Column("charge", "Charge", "charge_type", sort="charge_type"),
        Column("days", "Days", lambda line: period(line.charge_start, line.charge_end), sort="charge_start"),
        Column("subscription", "Subscription", hidden=True),
        Column("term", "Term", hidden=True),
        Column("billing_cycle", "Billed", hidden=True),
    ),
    sort="position",
    placeholder="Customer, product or SKU",
    noun="lines",
)


@require_GET
def statement_lines(request: HttpRequest, pk: int) -> HttpResponse:
    """The lines as the vendor wrote them, with what they are understood to mean."""
    rows = statements.statement_lines(pk, search=search_of(request))
    return show_list(request, LINES, rows, "web/match/statement_lines.html", {"statement": _find(pk)})


@require_POST
def reconcile(request: HttpRequest, pk: int) -> HttpResponse:
    """Hold it against what is billed, and keep what differs as exceptions."""
    return run_deed(
        request,
        lambda: reconciliation.reconcile_statement(actor=actor_of(request), statement_id=pk, now=now()),
        then=reverse("web:vendor_statement", args=[pk]),
        said=reconciled_words,
    )


def reconciled_words(done: reconciliation.Reconciliation) -> str:
    """What a reconciliation came to, for a toast."""
    off = sum(count for status, count in done.counts.items() if status != "exact")
    unknown = f"; {done.unknown} names wait for you" if done.unknown else ""
    return f"{done.number}: {done.counts.get('exact', 0)} lines agree, {off} differ{unknown}."


@require_POST
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a wrong file."""
    found = _find(pk)
    return run_deed(
        request,
        lambda: statements.delete_statement(actor=actor_of(request), statement_id=pk),
        then=reverse("web:vendor_statements"),
        said=f"{found.number} was deleted.",
    )


# -- names -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToConfirm:
    """A name that nobody has confirmed; ``key`` tells its form from the others on the page."""

    name: names.NameToConfirm
    key: str
    action: str


def _to_confirm(pk: int, name: names.NameToConfirm) -> ToConfirm:
    return ToConfirm(name, f"{name.kind}-{names.fold(name.text).replace(' ', '-')}", _names_url(pk))


def _names_url(pk: int) -> str:
    return reverse("web:vendor_statement_name", args=[pk])


class NameForm(PageForm):
    """What a vendor's name means: one that was suggested, or another."""

    meant = forms.TypedChoiceField(label="Means", coerce=int, empty_value=None, required=False)

    def __init__(self, kind: str, suggestions: Sequence[names.Suggestion], *args: Any) -> None:
        super().__init__(*args)
        is_customer = kind == AliasKind.CUSTOMER
        field = CompanyField if is_customer else ProductField
        label = "Another customer" if is_customer else "Another product"
        self.fields["other"] = field(label=label, required=False)
        choices = [(each.pk, f"{each.name} ({each.score} % alike)") for each in suggestions]
        self.fields["meant"].choices = [*choices, ("", "Another …")]  # type: ignore[attr-defined]
        if not suggestions:
            del self.fields["meant"]
            self.fields["other"].required = True

    def chosen(self) -> int | None:
        """The id that is meant; what was typed goes before what was suggested."""
        return self.cleaned_data.get("other") or self.cleaned_data.get("meant")


def confirm_name(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what a name means. Its lines on all statements of the vendor follow."""
    found = _find(pk)
    given = request.POST if request.method == "POST" else request.GET
    kind, text = given.get("kind", ""), given.get("text", "")
    if kind not in AliasKind.values or not text:
        raise Http404
    suggestions = next(
        (each.suggestions for each in names.names_to_confirm(pk) if (each.kind, each.text) == (kind, text)), ()
    )
    form = NameForm(kind, suggestions, posted(request))
    here = reverse("web:vendor_statement", args=[pk])

    def run() -> Any:
        target = "company_id" if kind == AliasKind.CUSTOMER else "product_id"
        try:
            return names.confirm_alias(
                actor=actor_of(request), vendor_id=found.vendor_id, kind=kind, text=text, now=now(),
                **{target: form.chosen()},
            )  # fmt: skip
        except DomainError as error:
            error.field = "other" if error.field == target else error.field
            raise

    return form_page(
        request, names.confirm_alias, form, run,
        Deed(
            title=f"What “{text}” means",
            button="Confirm",
            back=here,
            then=lambda _: here,
            said=lambda made: f"“{text}” is {made.company or made.product} from now on.",
            crumbs=(("Reconciliation", reverse("web:vendor_statements")), (found.number, here)),
            intro=f"{found.vendor.name} writes this {kind} so. It is asked once; later files are understood.",
        ),
        template="web/match/name.html", context={"kind": kind, "text": text},
    )  # fmt: skip


# -- mending -----------------------------------------------------------------------------------------------------------


class FixForm(PageForm):
    """From when on the vendor's quantity is billed."""

    rows = (("effective_date", "agreement_id"),)

    effective_date = DayField(
        label="From", help_text="First day the vendor's quantity holds. Days that are billed already are made up for."
    )
    agreement_id = ChoiceOf(label="Agreement that bills it", required=False)

    def __init__(self, choose_among: Sequence[Agreement], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if len(choose_among) < 2:
            del self.fields["agreement_id"]
        else:
            self.fields["agreement_id"].required = True
            self.fields["agreement_id"].offer(  # type: ignore[attr-defined]
                choose_among, lambda each: f"{each.number} {each.name}"
            )


def fix(request: HttpRequest, pk: int, exception_id: int) -> HttpResponse:
    """Bill what the vendor has, from a day on."""
    found = _find(pk)
    exceptions = MatchException.objects.filter(kind=MatchKind.RECONCILIATION, vendor=found.vendor_id)
    exception = exceptions.filter(pk=exception_id, company__isnull=False, product__isnull=False).first()
    if exception is None:
        raise Http404
    running: list[Agreement] = []
    if exception.addition_id is None:
        running = list(agreements(company_id=exception.company_id, status=AgreementStatus.ACTIVE).order_by("number"))
    form = FixForm(running, posted(request), initial={"effective_date": found.period_start})
    here = reverse("web:vendor_statement", args=[pk])
    return form_page(
        request,
        fix_line,
        form,
        lambda: fix_line(actor=actor_of(request), exception_id=exception_id, now=now(), **form.given()),
        Deed(
            title=_mending(exception),
            button="Fix it",
            back=here,
            then=lambda _: here,
            said=lambda done: f"{'; '.join(done.done)}." + ("" if done.status == "mended" else " It still differs."),
            crumbs=(("Reconciliation", reverse("web:vendor_statements")), (found.number, here)),
            intro=exception.message,
        ),
        template="web/match/fix.html",
        context={"exception": exception},
    )


def _mending(exception: MatchException) -> str:
    """What is going to be done."""
    product = exception.product.description if exception.product else ""
    wanted = Decimal(exception.expected)
    return f"Bill {plain_number(wanted)} {product}" if wanted else f"Bill no more {product}"


# -- the vendor's bill -------------------------------------------------------------------------------------------------


class BillForm(PageForm):
    """The statement as the vendor's bill."""

    rows = (("vendor_invoice_number", "bill_date"),)

    vendor_invoice_number = forms.CharField(label="Vendor's invoice number", max_length=20)
    bill_date = DayField(label="Date")
    leave_unmatched = forms.BooleanField(
        label="Leave out what is on no purchase order", required=False,
        help_text="Without it a line that was not ordered, or has not arrived, stops the whole bill.",
    )  # fmt: skip


def bill(request: HttpRequest, pk: int) -> HttpResponse:
    """Enter a statement as the vendor's bill, with the purchase order lines that it bills."""
    found = _find(pk)
    require(request, vendor_bills.bill_statement)
    start = {"vendor_invoice_number": found.reference[:20], "bill_date": found.period_end}
    form = BillForm(posted(request), initial=start)
    here = reverse("web:vendor_statement", args=[pk])
    context: dict[str, Any] = {"statement": found}
    try:
        context["bill"] = vendor_bills.plan_statement_bill(
            statement_id=pk, vendor_invoice_number=found.reference or found.number
        )
    except DomainError as error:
        messages.error(request, " ".join(part for part in (error.message, error.hint) if part))
        return redirect(here)
    return form_page(
        request,
        vendor_bills.bill_statement,
        form,
        lambda: vendor_bills.bill_statement(actor=actor_of(request), statement_id=pk, **form.given()),
        Deed(
            title=f"{found.number} as a vendor bill",
            button="Enter the bill",
            back=here,
            then=lambda made: reverse("web:vendor_bill", args=[made.pk]),
            said=lambda made: f"{made.number} was entered from {found.number}.",
            crumbs=(("Reconciliation", reverse("web:vendor_statements")), (found.number, here)),
        ),
        template="web/match/statement_bill.html",
        context=context,
    )


urlpatterns = [
    path("match/statements/", statement_list, name="vendor_statements"),
    path("match/statements/<int:pk>/", statement, name="vendor_statement"),
    path("match/statements/<int:pk>/lines/", statement_lines, name="vendor_statement_lines"),
    path("match/statements/<int:pk>/reconcile/", reconcile, name="vendor_statement_reconcile"),
    path("match/statements/<int:pk>/delete/", delete, name="vendor_statement_delete"),
    path("match/statements/<int:pk>/name/", confirm_name, name="vendor_statement_name"),
    path("match/statements/<int:pk>/fix/<int:exception_id>/", fix, name="vendor_statement_fix"),
    path("match/statements/<int:pk>/bill/", bill, name="vendor_statement_bill"),
]
