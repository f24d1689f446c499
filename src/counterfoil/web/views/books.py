"""Pages: what waits for the books, and the batches that take it there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.db.models import Count, Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, re_path, reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from counterfoil.accounting.commands import (
    confirm_export,
    create_batch,
    delete_batch,
    export_batch_iif,
    mark_not_imported,
    remove_from_batch,
    transfer_batch,
)
from counterfoil.accounting.documents import unposted_bills, unposted_closed_invoices, unposted_receipts
from counterfoil.accounting.models import Batch, BatchExport, BatchStatus, SourceType
from counterfoil.accounting.queries import (
    BatchEntries,
    BatchEntry,
    UnpostedRow,
    batch_entries,
    batches,
    unbatched_entries,
    unposted_counts,
    unposted_invoices,
    unposted_procurement,
)
from counterfoil.accounting.readiness import Reason
from counterfoil.core.errors import DomainError
from counterfoil.core.money import sum_money
from counterfoil.ledger.models import JournalEntry
from counterfoil.platform.audit import trail_of
from counterfoil.platform.lookup import existing
from counterfoil.web import navigation
from counterfoil.web.actions import actor_of, now, shown_again, today
from counterfoil.web.bookkeeping import drafted, record_url
from counterfoil.web.forms import may, require, run_deed
from counterfoil.web.lists import Chips, Column, ListPage, ListSpec, page_of, search_of, show_list
from counterfoil.web.remembered import remembered

#: How many rows and entries a page shows; a batch through a date takes all of them.
MOST_ROWS: Final = 100
MOST_ENTRIES: Final = 40


@navigation.waiting
def books_wait() -> dict[str, int]:
    """What waits for a batch, and the batches that wait for their transfer."""
    waiting: list[QuerySet[Any]] = [
        unposted_receipts(),
        unposted_bills(),
        unposted_closed_invoices(),
        Batch.objects.filter(status=BatchStatus.OPEN),
    ]
    keys = ("unposted", "unposted", "unposted", "open_batches")
    counted = [
        rows.order_by().annotate(key=Value(key)).values("key").annotate(number=Count("pk")).values_list("key", "number")
        for key, rows in zip(keys, waiting, strict=True)
    ]
    counts = dict.fromkeys(keys, 0)
    for key, number in counted[0].union(*counted[1:], all=True):
        counts[key] += number
    return counts


# -- unposted ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mend:
    """Why a record may not go, with the way to where that is mended."""

    text: str
    hint: str
    url: str
    link: str
    blocks: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record in a queue. ``value`` is what its tick box sends."""

    source_type: str
    source_id: int
    number: str
    source: str
    date: Any
    company: str
    amount: Any
    books: str
    state: str
    mends: tuple[Mend, ...] = ()
    batch_id: int | None = None
    batch_number: str = ""

    @property
    def value(self) -> str:
        """What its tick box sends."""
        return f"{self.source_type}:{self.source_id}"

    @property
    def url(self) -> str:
        """The record's own page."""
        return record_url(self.source_type, self.source_id)

    @property
    def batch_url(self) -> str:
        """The page of the batch that holds it."""
        return record_url("batch", self.batch_id)

    @property
    def may_go(self) -> bool:
        """Whether it can be ticked: what only waits for its receipt can go along with it."""
        return self.state == "ready" or self.state == "with_receipt"

    @property
    def why(self) -> str:
        """All that keeps it out of the books, for the exported list."""
        return " ".join(mend.text for mend in self.mends if mend.blocks)


QUEUES: Final = (("procurement", "Procurement"), ("invoices", "Invoices"), ("entries", "Journal entries"))
STATES: Final = (
    ("ready", "Ready"),
    ("with_receipt", "Ready with its receipt"),
    ("blocked", "Not yet"),
    ("in_batch", "In a batch"),
)
_COLUMNS: Final = (
    Column("number", "Number", kind="key"),
    Column("source", "Record"),
    Column("date", "Booked on", kind="date", sort="date"),
    Column("company", "Company", sort="company"),
    Column("books", "Books"),
    Column("amount", "Amount", kind="money", sort="amount", total="amount"),
    Column("why", "Why not yet", hidden=True),
)
_DOCUMENTS: Final = {
    queue: ListSpec(
        name=f"Unposted {label.lower()}",
        columns=_COLUMNS,
        chips=(Chips("state", STATES),),
        placeholder="Number or company",
        noun="records",
    )
    for queue, label in QUEUES[:2]
}
_ENTRIES: Final = ListSpec(
    name="Journal entries without a batch",
    columns=(
        Column("number", "Number", kind="key"),
        Column("source", "Record", "source_label"),
        Column("date", "Booked on", kind="date", sort="date"),
        Column("memo", "Memo"),
        Column("amount", "Amount", "total", kind="money", sort="total", total="total"),
    ),
    sort="date",
    placeholder="Number or memo",
    noun="entries",
)
_MENDED_AT: Final = {"gl_mapping": ("web:gl_mappings", "Map it"), "periods": ("web:periods", "See the periods")}
_LINKS: Final = {
    "company": "Open the company",
    "batch": "Open the batch",
    "receipt": "Open the receipt",
    "vendor_bill": "Open the bill",
}


def unposted(request: HttpRequest, queue: str = "procurement") -> HttpResponse:
    """A queue of records that are not in the books: GET shows it, POST makes a batch of what is ticked or ready."""
    if request.method == "POST":
        return _make_batch(request, queue)
    if request.GET.get("export") and queue != "entries":
        return show_list(request, _DOCUMENTS[queue], _documents_in(queue, search_of(request)))
    if request.GET.get("export"):
        return show_list(request, _ENTRIES, _entries_matching(search_of(request)))
    return _queue_page(request, queue)


@dataclass(frozen=True, slots=True)
class Tab:
    """A queue, as its tab shows it."""

    label: str
    url: str
    count: int
    current: bool


def _queue_page(request: HttpRequest, queue: str, *, ticked: frozenset[str] = frozenset(), **more: Any) -> HttpResponse:
    page, rows = _page_of_queue(request, queue)
    counts = remembered("unposted", unposted_counts)
    number = {
        "procurement": counts.receipts + counts.vendor_bills,
        "invoices": counts.invoices,
        "entries": counts.journal_entries,
    }
    context = {
        "page": page,
        "rows": rows[:MOST_ROWS],
        "cut": max(len(rows) - MOST_ROWS, 0),
        "queue": queue,
        "tabs": [Tab(label, _queue_url(key), number[key], key == queue) for key, label in QUEUES],
        "ticked": ticked,
        "may_batch": may(request, batch=create_batch)["batch"],
        "through": more.get("through") or ThroughForm(initial={"through": today(), "scope": queue}),
        "refusal": more.get("refusal"),
    }
    refused = more.get("refusal") or more.get("through")
    template = "web/books/unposted.html"
    if refused:
        return shown_again(request, template, context)
    return render(request, template, context)


def _page_of_queue(request: HttpRequest, queue: str) -> tuple[ListPage, list[Waiting]]:
    if queue == "entries":
        page = page_of(request, _ENTRIES, _entries_matching(search_of(request)))
        return page, [_waiting_entry(entry) for entry in page.rows]
    page = page_of(request, _DOCUMENTS[queue], _documents_in(queue, search_of(request)))
    return page, page.rows


def _queue_url(queue: str) -> str:
    return reverse("web:unposted") if queue == "procurement" else reverse("web:unposted_queue", args=[queue])


def _documents_in(queue: str, search: str) -> list[Waiting]:
    rows = unposted_procurement() if queue == "procurement" else unposted_invoices()
    wanted = search.casefold()
    return [_waiting(row) for row in rows if wanted in f"{row.number} {row.company}".casefold()]


def _entries_matching(search: str) -> QuerySet[JournalEntry]:
    entries = unbatched_entries()
    return entries.filter(Q(number__icontains=search) | Q(memo__icontains=search)) if search else entries


def _waiting(row: UnpostedRow) -> Waiting:
    return Waiting(
        source_type=row.source_type,
        source_id=row.source_id,
        number=row.number,
        source=row.source,
        date=row.date,
        company=row.company,
        amount=row.amount,
        books=row.books,
        state=_state(row),
        mends=tuple(_mend(reason) for reason in row.reasons if reason.code != "in_batch"),
        batch_id=row.batch_id,
        batch_number=row.batch_number,
    )


def _state(row: UnpostedRow) -> str:
    if row.batch_id:
        return "in_batch"
    blocking = {reason.code for reason in row.reasons if reason.blocks}
    if not blocking:
        return "ready"
    return "with_receipt" if blocking == {"receipt_not_transferred"} else "blocked"


def _mend(reason: Reason) -> Mend:
    if reason.target in _MENDED_AT:
        name, link = _MENDED_AT[reason.target]
        return Mend(reason.text, reason.hint, reverse(name), link, reason.blocks)
    url = record_url(reason.target, reason.target_id)
    return Mend(reason.text, reason.hint, url, _LINKS.get(reason.target, "") if url else "", reason.blocks)


def _waiting_entry(entry: JournalEntry) -> Waiting:
    return Waiting(
        source_type=SourceType.JOURNAL_ENTRY.value,
        source_id=entry.pk,
        number=entry.number,
        source=entry.source_label,
        date=entry.date,
        company="",
        amount=entry.total,
        books=entry.memo,
        state="ready",
    )


class ThroughForm(forms.Form):
    """A batch of everything that is ready through a date."""

    through = forms.DateField(
        label="Through", widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), input_formats=["%Y-%m-%d"]
    )
    scope = forms.ChoiceField(
        label="Of", choices=[("all", "all queues"), *((key, label.lower()) for key, label in QUEUES)]
    )


def _make_batch(request: HttpRequest, queue: str) -> HttpResponse:
    through = ThroughForm(request.POST) if "everything" in request.POST else None
    if through is not None and not through.is_valid():
        return _queue_page(request, queue, through=through)
    chosen = _chosen(request.POST.getlist("item")) if through is None else {}
    if queue == "invoices" and chosen:
        chosen["receipt"] = _receipts_of(chosen.get("invoice", ()))
    scope = through.cleaned_data["scope"] if through else ""
    try:
        batch = create_batch(
            actor=actor_of(request),
            receipt_ids=chosen.get("receipt", ()),
            vendor_bill_ids=chosen.get("vendor_bill", ()),
            invoice_ids=chosen.get("invoice", ()),
            journal_entry_ids=chosen.get("journal_entry", ()),
            through=through.cleaned_data["through"] if through else None,
            procurement=scope in ("all", "procurement"),
            invoices=scope in ("all", "invoices"),
            journal_entries=scope in ("all", "entries"),
        )
    except DomainError as error:
        if error.status == 403:
            raise
        refusal = _nothing_ready(error) if through else error
        return _queue_page(
            request, queue, ticked=frozenset(request.POST.getlist("item")), through=through, refusal=refusal
        )
    messages.success(request, f"Batch {batch.number} was made. Look at its entries, then transfer it.")
    return redirect("web:batch", batch.pk)


def _nothing_ready(error: DomainError) -> DomainError:
    """The refusal of an empty batch, in the words of somebody who asked for all that is ready."""
    if error.code != "required":
        return error
    return DomainError(
        "required", "Nothing is ready through that date.", hint="What keeps a record back stands in its row."
    )


def _chosen(values: list[str]) -> dict[str, list[int]]:
    """The ids behind the tick boxes, by kind of record."""
    chosen: dict[str, list[int]] = defaultdict(list)
    for value in values:
        kind, _, pk = value.partition(":")
        if kind in SourceType.values and pk.isascii() and pk.isdigit():
            chosen[kind].append(int(pk))
    return chosen


def _receipts_of(invoice_ids: Collection[int]) -> list[int]:
    """The receipts that ticked invoices wait for: they stand in another queue, so they go along unasked."""
    waited = {
        reason.target_id
        for row in unposted_invoices()
        if row.source_id in invoice_ids
        for reason in row.reasons
        if reason.code == "receipt_not_transferred" and reason.target_id is not None
    }
    return sorted(waited)


# -- batches -----------------------------------------------------------------------------------------------------------

BATCHES: Final = ListSpec(
    name="Batches",
    columns=(
        Column("number", "Number", kind="key"),
        Column("status", "State", kind="state", card="note"),
        Column("item_count", "Records", kind="quantity", sort="item_count"),
        Column("item_total", "Amount", kind="money", sort="item_total", card="figure"),
        Column("created_at", "Made", kind="moment", sort="created_at", note="created_by"),
        Column(
            "transferred_at", "Transferred", kind="moment", sort="transferred_at", note="transferred_by", card="note"
        ),
    ),
    chips=(Chips("status", BatchStatus.choices),),
    sort="-created_at",
    url=lambda batch: reverse("web:batch", args=[batch.pk]),
    placeholder="Batch number",
)


def batch_list(request: HttpRequest) -> HttpResponse:
    """All batches, newest first."""
    rows = batches()
    search = search_of(request)
    if search:
        rows = rows.filter(Q(number__icontains=search) | Q(created_by__icontains=search))
    return show_list(
        request, BATCHES, rows, "web/books/batches.html", {"may_batch": may(request, batch=create_batch)["batch"]}
    )


@dataclass(frozen=True, slots=True)
class Item:
    """A record of a batch: what it books, or what became of it."""

    entry: BatchEntry
    url: str
    entry_url: str
    mends: tuple[Mend, ...]

    @property
    def source(self) -> str:
        """What it is, for people."""
        return str(SourceType(self.entry.source_type).label)


def batch(request: HttpRequest, pk: int) -> HttpResponse:
    """A batch: its records and the entries they make, or have made."""
    return render(request, "web/books/batch.html", _batch_context(request, pk))


def _batch_context(request: HttpRequest, pk: int) -> dict[str, Any]:
    record = existing(batches(), pk)
    shown = None if request.GET.get("entries") == "all" else MOST_ENTRIES
    found = batch_entries(pk, most=MOST_ROWS if shown else None)
    is_open = record.status == BatchStatus.OPEN
    entries = [drafted(entry) for entry in found.entries if entry.lines]
    return {
        "batch": record,
        "items": [_item(entry) for entry in found.entries[: MOST_ROWS if shown else None]],
        "found": found,
        "entries": entries[:shown],
        "entry_count": found.count,
        "hindered": sum(not entry.ready for entry in found.entries),
        "is_open": is_open,
        "may_change": is_open and may(request, transfer=transfer_batch)["transfer"],
        "export": record.exports.filter(format="iif").defer("content").first() if not is_open else None,
        "may_export": not is_open and may(request, export=export_batch_iif)["export"],
        "may_download": _download_key(pk) in request.session,
        "trail": trail_of(record)[:20],
        "totals": _totals(found),
    }


def _totals(found: BatchEntries) -> tuple[Any, Any]:
    return sum_money(t.debit for t in found.totals), sum_money(t.credit for t in found.totals)


def _item(entry: BatchEntry) -> Item:
    return Item(
        entry=entry,
        url=record_url(entry.source_type, entry.source_id),
        entry_url=record_url("journal_entry", entry.entry_id),
        mends=tuple(_mend(reason) for reason in entry.reasons),
    )


@require_POST
def transfer(request: HttpRequest, pk: int) -> HttpResponse:
    """Book the batch."""
    try:
        done = transfer_batch(actor=actor_of(request), batch_id=pk, now=now())
    except DomainError as error:
        return _batch_refused(request, pk, error)
    messages.success(request, f"Batch {done.number} is in the books.")
    return redirect("web:batch", pk)


def _batch_refused(request: HttpRequest, pk: int, error: DomainError) -> HttpResponse:
    """The batch once more, with why it was not done."""
    if error.status in (403, 404):
        raise error
    return shown_again(request, "web/books/batch.html", {**_batch_context(request, pk), "refusal": error})


@require_POST
def remove_item(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a record out of the batch."""
    ((kind, ids),) = _chosen([request.POST.get("item", "")]).items() or (("", [0]),)
    remove_from_batch(actor=actor_of(request), batch_id=pk, source_type=kind, source_id=ids[0])
    messages.success(request, "It was taken out of the batch and waits under Unposted again.")
    return redirect("web:batch", pk)


@require_POST
def remove_batch(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete an open batch."""
    record = existing(Batch.objects.all(), pk)
    delete_batch(actor=actor_of(request), batch_id=pk)
    messages.success(request, f"Batch {record.number} was deleted; its records wait under Unposted again.")
    return redirect("web:batches")


# -- the file for QuickBooks Desktop -----------------------------------------------------------------------------------


def _download_key(pk: int) -> str:
    return f"batch-{pk}-iif"


@require_POST
def export_iif(request: HttpRequest, pk: int) -> HttpResponse:
    """Make the file of a batch, or give it out again after it was not imported; whoever asked may fetch it once."""
    try:
        export = export_batch_iif(actor=actor_of(request), batch_id=pk)
    except DomainError as error:
        return _batch_refused(request, pk, error)
    request.session[_download_key(pk)] = export.sha256
    messages.success(request, f"{export.filename} is ready: download it, import it, then say what became of it.")
    return redirect("web:batch", pk)


@require_GET
def download_iif(request: HttpRequest, pk: int) -> HttpResponse:
    """The exported file, once for each export: imported twice, it would be booked twice.

    Raises:
        DomainError: ``export_not_confirmed`` when it was fetched already.
    """
    require(request, export_batch_iif)
    export = BatchExport.objects.filter(batch=pk, format="iif").first()
    if export is None or request.session.pop(_download_key(pk), "") != export.sha256:
        raise DomainError(
            "export_not_confirmed",
            "The file was downloaded already. Imported twice, it would be booked twice.",
            hint="If it did not get there, say so at the batch and export it again: it is the same file.",
        )
    response = HttpResponse(bytes(export.content), content_type="application/octet-stream")
    response["Content-Disposition"] = f'attachment; filename="{export.filename}"'
    return response


@require_POST
def settle_export(request: HttpRequest, pk: int, outcome: str) -> HttpResponse:
    """Say what became of the exported file."""
    request.session.pop(_download_key(pk), None)
    command, said = {
        "imported": (confirm_export, "Noted: it was imported. The file is not given out again."),
        "not-imported": (mark_not_imported, "Noted: it was not imported. It can be exported again."),
    }[outcome]
    return run_deed(
        request,
        lambda: command(actor=actor_of(request), batch_id=pk),
        then=reverse("web:batch", args=[pk]),
        said=said,
    )


urlpatterns: list[URLPattern] = [
    path("unposted/", require_http_methods(["GET", "HEAD", "POST"])(unposted), name="unposted"),
    re_path(
        "^unposted/(?P<queue>invoices|entries)/$",
        require_http_methods(["GET", "HEAD", "POST"])(unposted),
        name="unposted_queue",
    ),
    path("batches/", require_GET(batch_list), name="batches"),
    path("batches/<int:pk>/", require_GET(batch), name="batch"),
    path("batches/<int:pk>/transfer/", transfer, name="batch_transfer"),
    path("batches/<int:pk>/remove/", remove_item, name="batch_remove"),
    path("batches/<int:pk>/delete/", remove_batch, name="batch_delete"),
    path("batches/<int:pk>/iif/", export_iif, name="batch_iif"),
    path("batches/<int:pk>/iif/file/", download_iif, name="batch_iif_file"),
    re_path("^batches/(?P<pk>[0-9]+)/iif/(?P<outcome>imported|not-imported)/$", settle_export, name="batch_iif_settle"),
]
