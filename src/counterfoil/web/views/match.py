"""Pages: what the match has found, a thread side by side, and the leak board."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, cast

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_POST

from counterfoil.core.calendar import format_month
from counterfoil.core.matching import CATALOGUE
from counterfoil.core.money import sum_money
from counterfoil.matching import commands, leaks, queries
from counterfoil.matching.models import ExceptionStatus, MatchException, MatchKind
from counterfoil.matching.reconciliation import latest_reconciled
from counterfoil.platform.audit import trail_of
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, now, today
from counterfoil.web.forms import Deed, PageForm, asked_id, form_page, may, posted, run_deed
from counterfoil.web.lists import Chips, Column, ListSpec, search_of, show_list
from counterfoil.web.threads import MATCHED, TRAIL, address_of

#: A leg of a thread -> label of its document's model.
DOCUMENTS: Final = {
    "agreement": "agreements.agreement",
    "order": "orders.salesorder",
    "purchase": "procurement.purchaseorder",
    "invoice": "billing.invoice",
}


def _document(exception: MatchException) -> str:
    """The number of the document where the actual value stands."""
    if exception.bill_line:
        return exception.bill_line.bill.number
    if exception.purchase_order_line:
        return exception.purchase_order_line.purchase_order.number
    if exception.invoice_line:
        return exception.invoice_line.invoice.number or "Draft"
    if exception.addition:
        return exception.addition.agreement.number
    return exception.order_line.order.number if exception.order_line else ""


EXCEPTIONS = ListSpec(
    name="Exceptions",
    columns=(
        Column("code", "What", lambda each: queries.label_of(each.code), kind="key", sort="code", card="note"),
        Column("message", "Difference", card="title"),
        Column("company", "Customer", "company.name", sort="company__name", card="note"),
        Column("vendor", "Vendor", "vendor.name", sort="vendor__name"),
        Column("document", "Document", _document),
        Column("status", "State", kind="state", sort="status"),
        Column("monthly", "A month", kind="money", sort="monthly", total="monthly", card="figure"),
        Column("over_term", "Over the term", kind="money", sort="over_term", total="over_term", card="figure"),
    ),
    chips=(Chips("status", ExceptionStatus.choices), Chips("kind", MatchKind.choices)),
    sort="-over_term",
    url=lambda each: reverse("web:match_exception", args=[each.pk]),
    placeholder="Customer, vendor, product or document",
)


@navigation.waiting
def match_waits() -> navigation.Waits:
    """Differences that nobody has mended or accepted."""
    return {"match_exceptions": MatchException.objects.filter(status=ExceptionStatus.OPEN)}


@require_GET
def exceptions(request: HttpRequest) -> HttpResponse:
    """Every difference between quote, purchase and invoice, in dollars."""
    code = request.GET.get("code", "")
    rows = queries.exceptions(
        search=search_of(request),
        code=code if code in CATALOGUE else "",
        company_id=asked_id(request, "company"),
        vendor_id=asked_id(request, "vendor"),
    )
    totals = queries.exception_totals()
    context = {
        "totals": totals[:4],
        "monthly": sum_money(row.monthly for row in totals),
        "over_term": sum_money(row.over_term for row in totals),
        "may": may(request, match=commands.match_everything),
        "code": queries.label_of(code) if code in CATALOGUE else "",
    }
    return show_list(request, EXCEPTIONS, rows, "web/match/exceptions.html", context)


@require_POST
def match_now(request: HttpRequest) -> HttpResponse:
    """Match everything again."""
    back = request.POST.get("back", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()})
    return run_deed(
        request,
        lambda: commands.match_everything(actor=actor_of(request), now=now()),
        then=back if safe else reverse("web:match_exceptions"),
        said=lambda done: f"{done.threads} threads were matched.",
    )


# -- one exception -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ColumnView:
    """A leg of a thread, and where its document stands."""

    label: str
    number: str
    url: str


@dataclass(frozen=True, slots=True)
class ThreadTable:
    """A thread side by side."""

    product: str
    columns: tuple[ColumnView, ...]
    rows: tuple[queries.ThreadRow, ...]
    differences: tuple[Any, ...]


def thread_tables(views: list[queries.ThreadView]) -> list[ThreadTable]:
    """Threads as the templates show them."""
    return [
        ThreadTable(
            view.product,
            tuple(
                ColumnView(each.document, each.label, address_of(DOCUMENTS.get(each.leg, ""), each.document_id))
                for each in view.columns
            ),
            view.rows,
            view.differences,
        )
        for view in views
    ]


def _find(pk: int) -> MatchException:
    found = queries.exceptions().filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


@require_GET
def exception(request: HttpRequest, pk: int) -> HttpResponse:
    """One difference: both values, its dollars, the thread around it, what to do."""
    found = _find(pk)
    views = queries.thread_views([found.origin_id], on=today()) if found.origin_id else []
    actor = actor_of(request)
    known = CATALOGUE.get(found.code)
    context = {
        "exception": found,
        "label": queries.label_of(found.code),
        "meaning": known.meaning if known else "",
        "document": _document(found),
        "document_url": _document_url(found),
        "fix_url": _fix_url(found),
        "quote_url": reverse("web:quote", args=[found.origin.version.quote_id])
        if found.origin and found.origin.version
        else "",
        "tables": thread_tables(views),
        "may_override": actor.may(*commands.who_overrides(found)),
        "trail": trail_of(found)[:TRAIL],
    }
    return render(request, "web/match/exception.html", context)


def _fix_url(found: MatchException) -> str:
    """Where a vendor's quantity is made ours in one step, or a name of theirs is confirmed."""
    if found.kind != MatchKind.RECONCILIATION or found.status != ExceptionStatus.OPEN:
        return ""
    latest = latest_reconciled(found.vendor_id) if found.vendor_id else None
    if latest is None:
        return ""
    if found.code.startswith("unknown_"):
        return reverse("web:vendor_statement", args=[latest.pk]) + "#names"
    return reverse("web:vendor_statement_fix", args=[latest.pk, found.pk])


def _document_url(found: MatchException) -> str:
    if found.bill_line:
        return address_of("procurement.vendorbill", found.bill_line.bill_id)
    if found.purchase_order_line:
        return address_of("procurement.purchaseorder", found.purchase_order_line.purchase_order_id)
    if found.invoice_line:
        return address_of("billing.invoice", found.invoice_line.invoice_id)
    if found.addition:
        return address_of("agreements.agreement", found.addition.agreement_id)
    return address_of("orders.salesorder", found.order_line.order_id) if found.order_line else ""


class OverrideForm(PageForm):
    """Why a difference is accepted."""

    reason = forms.CharField(
        label="Why is it right?", max_length=2000, widget=forms.Textarea(attrs={"rows": 3}),
        help_text="It holds for these two values; other values open it again.",
    )  # fmt: skip


def override(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept a difference, with a reason."""
    found = _find(pk)
    here = reverse("web:match_exception", args=[pk])
    form = OverrideForm(posted(request))
    return form_page(
        request,
        commands.override_exception,
        form,
        lambda: commands.override_exception(actor=actor_of(request), exception_id=pk, now=now(), **form.given()),
        Deed(
            title="Accept the difference",
            button="Accept it",
            back=here,
            then=lambda _: here,
            said=lambda _: "The difference is accepted; it holds nothing any more.",
            crumbs=(("Match", reverse("web:match_exceptions")), (queries.label_of(found.code), here)),
            intro=found.message,
        ),
    )


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    """Take an acceptance back."""
    return run_deed(
        request,
        lambda: commands.reopen_exception(actor=actor_of(request), exception_id=pk),
        then=reverse("web:match_exception", args=[pk]),
        said="The difference is open again.",
    )


@require_GET
def document_match(request: HttpRequest, label: str, pk: int) -> HttpResponse:
    """The threads of a document side by side, fetched by its page when somebody wants to see them."""
    model = next((model for model, name in MATCHED.items() if name == label), None)
    if model is None:
        raise Http404
    views = queries.threads_of(model, pk, on=today())
    return render(request, "web/match/threads.html", {"tables": thread_tables(views)})


# -- the leak board ----------------------------------------------------------------------------------------------------

BY: Final = (("code", "Cause"), ("company", "Customer"), ("vendor", "Vendor"))


@require_GET
def leak_board(request: HttpRequest) -> HttpResponse:
    """Dollars found, mended and open: by cause, customer and vendor, and over months."""
    kind = request.GET.get("kind", "")
    kind = kind if kind in MatchKind.values else ""
    months = leaks.leaks_over_months(through=today(), months=12, kind=kind)
    boards = [
        (label, name, [_board_row(name, row) for row in leaks.leaks_by(cast(leaks.Cause, name), kind=kind, limit=8)])
        for name, label in BY
    ]
    context = {
        "totals": leaks.leak_totals(kind=kind),
        "boards": [{"label": label, "by": name, "rows": rows} for label, name, rows in boards],
        "kinds": MatchKind.choices,
        "plot": _plot(months),
        "months": months,
    }
    return render(request, "web/match/leaks.html", context)


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A line of the leak board with its bars in per cent of what was found."""

    name: str
    url: str
    row: leaks.LeakRow
    mended: int
    accepted: int
    open: int

    @property
    def start_of_open(self) -> int:
        """Where the open part of the bar begins."""
        return self.mended + self.accepted


def _board_row(by: str, row: leaks.LeakRow) -> BoardRow:
    whole = row.found.over_term or row.found.monthly
    by_term = bool(row.found.over_term)
    mended, accepted, left = (
        _percent(each.over_term if by_term else each.monthly, whole) for each in (row.mended, row.overridden, row.open)
    )
    query = f"?status=open&{by}={row.name if by == 'code' else row.pk}"
    name = queries.label_of(row.name) if by == "code" else row.name
    return BoardRow(name, reverse("web:match_exceptions") + query, row, mended, accepted, left)


def _percent(part: Decimal, whole: Decimal) -> int:
    return int(part * 100 / whole) if whole else 0


def _plot(months: list[leaks.LeakMonth]) -> dict[str, Any]:
    def series(key: str, label: str, style: str, colour: str, of: Any) -> dict[str, Any]:
        return {"key": key, "label": label, "style": style, "colour": colour, "values": [str(of(m)) for m in months]}

    return {
        "labels": [format_month(month.month) for month in months],
        "kind": "bar",
        "stacked": False,
        "series": [
            series("found", "Found", "bar", "plot-1", lambda month: month.found.over_term),
            series("mended", "Mended", "bar", "good", lambda month: month.mended.over_term),
            series("open", "Open at its end", "line", "act", lambda month: month.open.over_term),
        ],
    }


urlpatterns = [
    path("match/", exceptions, name="match_exceptions"),
    path("match/now/", match_now, name="match_now"),
    path("match/leaks/", leak_board, name="leak_board"),
    path("match/exceptions/<int:pk>/", exception, name="match_exception"),
    path("match/exceptions/<int:pk>/accept/", override, name="match_override"),
    path("match/exceptions/<int:pk>/reopen/", reopen, name="match_reopen"),
    path("match/threads/<slug:label>/<int:pk>/", document_match, name="document_match"),
]
