"""GL mapping, batches and their transfer to the books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from django.db.models import QuerySet

from counterfoil.accounting.documents import (
    DOCUMENTS,
    AnyDocument,
    load_bills,
    load_receipts,
    load_unposted_invoices,
    refuse_unknown,
    unposted_bills,
    unposted_closed_invoices,
    unposted_receipts,
)
from counterfoil.accounting.exports import BatchWriter, adapter
from counterfoil.accounting.iif import iif_batch
from counterfoil.accounting.mapping import BY_AGREEMENT_TYPE, MAPPABLE, role_in_words
from counterfoil.accounting.models import (
    AccountingSettings,
    Batch,
    BatchExport,
    BatchItem,
    BatchStatus,
    ExportStatus,
    GLMapping,
    ProcurementDate,
    SourceType,
)
from counterfoil.accounting.queries import assess_items, unbatched_entries
from counterfoil.accounting.readiness import Assessed, assess
from counterfoil.agreements.models import AgreementType
from counterfoil.billing.runs import unfinished_run
from counterfoil.catalog.models import Category, Product, Subcategory
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.core.posting import GlRole
from counterfoil.core.states import check_transition
from counterfoil.ledger.commands import Posting, check_account_plays, post_drafts
from counterfoil.ledger.models import Account, JournalEntry
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.numbering import take_number

FINANCE = (Role.FINANCE,)

_TRANSFERRED = "is in the books already; nothing was posted twice."

refuse_as(
    "in_one_batch_only",
    "already_batched",
    "One of the records is in another batch meanwhile. Reload the unposted list.",
)
refuse_as("one_mapping_per_role_and_record", "conflict", "Somebody else mapped the same record just now. Reload.")


@command(roles=FINANCE)
def set_mapping(
    *,
    actor: Actor,
    role: str,
    account_id: int,
    product_id: int | None = None,
    subcategory_id: int | None = None,
    category_id: int | None = None,
    agreement_type_id: int | None = None,
) -> GLMapping:
    """Map a role to an account for one product, subcategory, category or agreement type; a former mapping is replaced.

    What is in the books stays as it was booked.

    Raises:
        DomainError: ``invalid`` when not exactly one record is named, the role cannot be mapped by it, or the account's
            type cannot play the role; ``not_found``.
    """
    record = _mapped_record(product_id, subcategory_id, category_id, agreement_type_id)
    account = Account.objects.filter(pk=account_id).first()
    if account is None:
        raise DomainError("not_found", "There is no such account.", field="account")
    check_account_plays(role, account)
    _check_mappable(GlRole(role), by_agreement_type=agreement_type_id is not None)
    key: dict[str, Any] = {
        "product_id": product_id,
        "subcategory_id": subcategory_id,
        "category_id": category_id,
        "agreement_type_id": agreement_type_id,
    }
    standing = GLMapping.objects.filter(role=role, **key).first()
    if standing is not None and standing.account_id == account.pk:
        audit.record_nothing()
        return standing
    mapping, _ = GLMapping.objects.update_or_create(role=role, **key, defaults={"account": account})
    audit.record(
        actor,
        "accounting.mapping.set",
        f"mapped {role_in_words(GlRole(role))} of {record} to {account}",
        mapping,
    )
    return mapping


def _mapped_record(
    product_id: int | None, subcategory_id: int | None, category_id: int | None, agreement_type_id: int | None
) -> Product | Subcategory | Category | AgreementType:
    wanted: dict[str, tuple[Any, int | None]] = {
        "product": (Product, product_id),
        "subcategory": (Subcategory, subcategory_id),
        "category": (Category, category_id),
        "agreement_type": (AgreementType, agreement_type_id),
    }
    named = {name: pair for name, pair in wanted.items() if pair[1] is not None}
    if len(named) != 1:
        raise DomainError(
            "invalid",
            "Name one product, subcategory, category or agreement type.",
            field="product",
            hint="The account of a role for everything else is its default account.",
        )
    ((name, (model, pk)),) = named.items()
    record: Product | Subcategory | Category | AgreementType | None = model.objects.filter(pk=pk).first()
    if record is None:
        raise DomainError("not_found", f"There is no such {name.replace('_', ' ')}.", field=name)
    return record


def _check_mappable(role: GlRole, *, by_agreement_type: bool) -> None:
    if role not in MAPPABLE:
        raise DomainError(
            "invalid",
            f"{role_in_words(role).capitalize()} has its default account alone.",
            field="role",
            hint="Change the default account under Books, Chart of accounts.",
        )
    if by_agreement_type and role not in BY_AGREEMENT_TYPE:
        raise DomainError(
            "invalid", f"{role_in_words(role).capitalize()} cannot be mapped by agreement type.", field="agreement_type"
        )


@command(roles=FINANCE)
def remove_mapping(*, actor: Actor, mapping_id: int) -> None:
    """Remove a mapping: the next more general one holds again.

    Raises:
        DomainError: ``not_found``.
    """
    mapping = (
        GLMapping.objects.select_for_update(of=("self",))
        .select_related("product", "subcategory__category", "category", "agreement_type", "account")
        .filter(pk=mapping_id)
        .first()
    )
    if mapping is None:
        raise DomainError("not_found", "There is no such mapping.")
    record = mapping.product or mapping.subcategory or mapping.category or mapping.agreement_type
    audit.record(
        actor,
        "accounting.mapping.removed",
        f"removed the mapping of {role_in_words(GlRole(mapping.role))} of {record} to {mapping.account}",
        mapping,
    )
    mapping.delete()


@command(roles=FINANCE)
def set_procurement_date(*, actor: Actor, procurement_date: str) -> AccountingSettings:
    """Choose which date receipts are booked on: that of the purchase order (``po_date``) or of the receipt.

    Raises:
        DomainError: ``invalid``.
    """
    if procurement_date not in ProcurementDate.values:
        raise DomainError(
            "invalid",
            f"{procurement_date!r} is not a date of a receipt.",
            field="procurement_date",
            hint=f"Choose one of {', '.join(ProcurementDate.values)}.",
        )
    row, _ = AccountingSettings.objects.update_or_create(id=1, defaults={"procurement_date": procurement_date})
    label = ProcurementDate(procurement_date).label.lower()
    audit.record(actor, "accounting.procurement_date.set", f"had receipts booked on the {label}", row)
    return row


@command(roles=FINANCE)
def create_batch(
    *,
    actor: Actor,
    receipt_ids: Sequence[int] = (),
    vendor_bill_ids: Sequence[int] = (),
    invoice_ids: Sequence[int] = (),
    journal_entry_ids: Sequence[int] = (),
    through: date | None = None,
    procurement: bool = True,
    invoices: bool = True,
    journal_entries: bool = True,
) -> Batch:
    """Put unposted records into a batch.

    Args:
        actor: who.
        receipt_ids: receipts that were chosen; likewise the other ids. What is chosen must be ready.
        vendor_bill_ids: a bill is ready when its receipts are in the books or in the same batch.
        invoice_ids: closed invoices; one that sells stock is ready as a bill is.
        journal_entry_ids: entries made directly, which go along to the accounting package.
        through: takes besides everything that is ready and dated through this day; what is not ready stays.
        procurement: whether ``through`` takes receipts and vendor bills.
        invoices: whether ``through`` takes invoices.
        journal_entries: whether ``through`` takes entries made directly.

    Raises:
        DomainError: ``required`` when there is nothing to put in; ``already_batched``; ``not_found``; and the first
            reason why a chosen record is not ready, with all of them as details.
    """
    chosen = {
        SourceType.RECEIPT: set(receipt_ids),
        SourceType.VENDOR_BILL: set(vendor_bill_ids),
        SourceType.INVOICE: set(invoice_ids),
        SourceType.JOURNAL_ENTRY: set(journal_entry_ids),
    }
    _refuse_batched(chosen)
    wanted = {kind: set(ids) for kind, ids in chosen.items()}
    if through is not None:
        kinds = [
            *((SourceType.RECEIPT, SourceType.VENDOR_BILL) if procurement else ()),
            *((SourceType.INVOICE,) if invoices else ()),
        ]
        for kind, ids in _ready_through(through, kinds, wanted[SourceType.RECEIPT]).items():
            wanted[kind] |= ids
        if journal_entries:
            wanted[SourceType.JOURNAL_ENTRY] |= set(
                unbatched_entries().filter(date__lte=through).values_list("pk", flat=True)
            )
    documents = _load(wanted)
    for kind in (SourceType.RECEIPT, SourceType.VENDOR_BILL, SourceType.INVOICE):
        refuse_unknown(kind.label.lower(), chosen[kind], [x for x in documents if x.source_type == kind])
    entries = list(unbatched_entries().filter(pk__in=wanted[SourceType.JOURNAL_ENTRY]))
    _refuse_unknown_entries(chosen[SourceType.JOURNAL_ENTRY], entries)
    if not documents and not entries:
        raise DomainError("required", "Choose at least one record for the batch.", field="items")
    _refuse_unready(assess(documents))
    batch = Batch.objects.create(number=take_number("batch"), created_by=actor.name)
    BatchItem.objects.bulk_create([*(_item(batch, x) for x in documents), *(_entry_item(batch, x) for x in entries)])
    count = len(documents) + len(entries)
    audit.record(actor, "accounting.batch.created", f"made batch {batch.number} of {count} records", batch)
    return batch


def _refuse_batched(chosen: dict[SourceType, set[int]]) -> None:
    """Refuse what is in a batch already, by name. The constraint ``in_one_batch_only`` has the last word."""
    for kind, ids in chosen.items():
        held = BatchItem.objects.filter(source_type=kind, source_id__in=ids).select_related("batch").first()
        if held is None:
            continue
        if held.batch.status == BatchStatus.TRANSFERRED:
            raise DomainError("already_transferred", f"{held.source_label} {_TRANSFERRED}", field="items")
        raise DomainError(
            "already_batched",
            f"{held.source_label} is in batch {held.batch.number}.",
            field="items",
            hint=f"Transfer {held.batch.number}, or take {held.source_label} out of it.",
        )


def _ready_through(through: date, kinds: Sequence[SourceType], chosen_receipts: set[int]) -> dict[SourceType, set[int]]:
    """What is ready, in no batch, and booked by ``through``; bills and invoices may count on receipts taken as well."""

    def ready(documents: Sequence[AnyDocument]) -> set[int]:
        return {x.document.source_id for x in assess(documents) if x.ready and x.document.date <= through}

    found: dict[SourceType, set[int]] = {}
    together = chosen_receipts
    if SourceType.RECEIPT in kinds:
        found[SourceType.RECEIPT] = ready(
            load_receipts(unposted_receipts().exclude(pk__in=_batched(SourceType.RECEIPT)))
        )
        together = found[SourceType.RECEIPT] | chosen_receipts
        bills = unposted_bills().exclude(pk__in=_batched(SourceType.VENDOR_BILL))
        groups = dict.fromkeys(bills.values_list("pk", flat=True), together)
        found[SourceType.VENDOR_BILL] = ready(load_bills(bills, groups))
    if SourceType.INVOICE in kinds:
        closed = unposted_closed_invoices().exclude(pk__in=_batched(SourceType.INVOICE))
        groups = dict.fromkeys(closed.values_list("pk", flat=True), together)
        found[SourceType.INVOICE] = ready(load_unposted_invoices(closed, groups))
    return found


def _batched(kind: SourceType) -> QuerySet[BatchItem, int]:
    """Ids of the records of a kind that are in a batch."""
    return BatchItem.objects.filter(source_type=kind).values_list("source_id", flat=True)


def _load(wanted: dict[SourceType, set[int]]) -> list[AnyDocument]:
    receipts, bills, closed = (wanted[kind] for kind in DOCUMENTS)
    return [
        *load_receipts(unposted_receipts().filter(pk__in=receipts)),
        *load_bills(unposted_bills().filter(pk__in=bills), dict.fromkeys(bills, receipts)),
        *load_unposted_invoices(unposted_closed_invoices().filter(pk__in=closed), dict.fromkeys(closed, receipts)),
    ]


def _refuse_unknown_entries(wanted: set[int], found: Sequence[JournalEntry]) -> None:
    missing = sorted(wanted - {entry.pk for entry in found})
    if missing:
        raise DomainError(
            "not_found",
            f"There is no journal entry made directly with the id {', '.join(map(str, missing))}.",
            hint="The entry of a document goes with the document.",
        )


def _refuse_unready(assessed: Sequence[Assessed]) -> None:
    """Refuse with every reason named.

    Raises:
        DomainError: the first reason's code; all reasons of all records are in its details.
    """
    hindered = [(x.document, reason) for x in assessed for reason in x.reasons if reason.blocks]
    if not hindered:
        return
    details = tuple(
        {"record": document.number, "code": reason.code, "message": reason.text, "hint": reason.hint}
        for document, reason in hindered
    )
    document, first = hindered[0]
    others = f" ({len(hindered) - 1} more)" if len(hindered) > 1 else ""
    code = "conflict" if first.code == "receipt_not_transferred" else first.code
    raise DomainError(code, f"{document.number}: {first.text}{others}", field="items", hint=first.hint, details=details)


def _item(batch: Batch, document: AnyDocument) -> BatchItem:
    return BatchItem(
        batch=batch,
        source_type=document.source_type,
        source_id=document.source_id,
        source_label=document.number,
        description=f"{document.company}: {document.books}"[:200],
        date=document.date,
        amount=document.amount,
    )


def _entry_item(batch: Batch, entry: JournalEntry) -> BatchItem:
    return BatchItem(
        batch=batch,
        source_type=SourceType.JOURNAL_ENTRY,
        source_id=entry.pk,
        source_label=entry.number,
        description=entry.memo[:200],
        date=entry.date,
        amount=entry.total,
    )


@command(roles=FINANCE)
def remove_from_batch(*, actor: Actor, batch_id: int, source_type: str, source_id: int) -> Batch:
    """Take one record out of an open batch; it is unposted again.

    Raises:
        DomainError: ``not_found``; ``already_transferred``.
    """
    batch = _locked_batch(batch_id)
    item = batch.items.filter(source_type=source_type, source_id=source_id).first()
    if item is None:
        raise DomainError("not_found", f"Batch {batch.number} does not hold that record.")
    item.delete()
    audit.record(actor, "accounting.batch.changed", f"took {item.source_label} out of batch {batch.number}", batch)
    return batch


@command(roles=FINANCE)
def delete_batch(*, actor: Actor, batch_id: int) -> None:
    """Delete an open batch; its records are unposted again.

    Raises:
        DomainError: ``not_found``; ``already_transferred``.
    """
    batch = _locked_batch(batch_id)
    count = batch.items.count()
    audit.record(actor, "accounting.batch.deleted", f"deleted batch {batch.number} and released {count} records", batch)
    batch.delete()


@command(roles=FINANCE)
def transfer_batch(*, actor: Actor, batch_id: int, now: datetime) -> Batch:
    """Book everything in a batch: receipts, then vendor bills, then invoices, all or none.

    Entries made directly are in the books already and go along. A record that books nothing (a zero invoice without
    stock) is transferred without an entry.

    Raises:
        DomainError: ``not_found``; ``already_transferred``; ``required`` when the batch is empty; and the first reason
            why a record is not ready, with all of them as details.
    """
    batch = _locked_batch(batch_id)
    items = list(batch.items.order_by("id"))
    if not items:
        raise DomainError("required", f"Batch {batch.number} is empty.", hint="Delete it, or put records into it.")
    assessed = assess_items(items, lock=True)
    _refuse_gone(batch, items, assessed)
    _refuse_unready(assessed)
    postings = [Posting(x.draft, x.document.number) for x in assessed if x.draft]
    entries = post_drafts(postings, actor=actor)
    batch.status = BatchStatus.TRANSFERRED
    batch.transferred_at = now
    batch.transferred_by = actor.name
    batch.save(update_fields=["status", "transferred_at", "transferred_by"])
    total = format_money(sum_money(entry.total for entry in entries))
    audit.record(
        actor,
        "accounting.batch.transferred",
        f"transferred batch {batch.number}: {len(items)} records, {len(entries)} entries, {total}",
        batch,
        entries=[entry.number for entry in entries],
    )
    return batch


def _refuse_gone(batch: Batch, items: Sequence[BatchItem], assessed: Sequence[Assessed]) -> None:
    there = {(x.document.source_type.value, x.document.source_id) for x in assessed}
    gone = [
        item.source_label
        for item in items
        if item.source_type != SourceType.JOURNAL_ENTRY and (item.source_type, item.source_id) not in there
    ]
    if gone:
        raise DomainError(
            "conflict",
            f"Batch {batch.number}: {', '.join(gone)} cannot be booked, because it was changed or booked meanwhile.",
            hint="Take it out of the batch.",
        )


def _locked_batch(batch_id: int) -> Batch:
    """The open batch, locked.

    Raises:
        DomainError: ``not_found``; ``already_transferred``; ``conflict`` while a billing run fills it.
    """
    batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
    if batch is None:
        raise DomainError("not_found", "There is no such batch.")
    if batch.status == BatchStatus.TRANSFERRED:
        raise DomainError("already_transferred", f"Batch {batch.number} {_TRANSFERRED}")
    run = unfinished_run()
    if run is not None and run.batch_id == batch.pk:
        raise DomainError(
            "conflict",
            f"Batch {batch.number} is being filled by the billing run {run.number}.",
            hint="It is transferred when the run is finished.",
        )
    return batch


@command(roles=FINANCE)
def export_batch_iif(*, actor: Actor, batch_id: int) -> BatchExport:
    """Make the QuickBooks Desktop file of a transferred batch, once; its bytes are frozen.

    QuickBooks Desktop imports a file twice without a word. So the file is given again only after a person has said, by
    :func:`mark_not_imported`, that it did not get there; then it is the same file, byte for byte.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` while the batch is open, or once the file was imported;
            ``export_not_confirmed`` while nobody said what became of the former file; what the format cannot hold.
    """
    batch = Batch.objects.select_for_update().filter(pk=batch_id).first()
    if batch is None:
        raise DomainError("not_found", "There is no such batch.")
    if batch.status != BatchStatus.TRANSFERRED:
        raise DomainError(
            "wrong_state", f"Batch {batch.number} is not in the books yet.", hint="Transfer it, then export it."
        )
    export = batch.exports.filter(format="iif").first()
    if export is None:
        return _new_export(actor, batch)
    if export.status == ExportStatus.EXPORTED:
        raise DomainError(
            "export_not_confirmed",
            f"{export.filename} was exported by {export.exported_by}. Imported twice, it would be booked twice.",
            hint="Say first what became of it: imported, or not imported.",
        )
    check_transition("export", export.filename, export.status, ExportStatus.EXPORTED)
    export.status = ExportStatus.EXPORTED
    export.save(update_fields=["status"])
    audit.record(actor, "accounting.batch.exported", f"exported batch {batch.number} again, {export.filename}", batch)
    return export


def _new_export(actor: Actor, batch: Batch) -> BatchExport:
    writer: BatchWriter = adapter("batch", "iif")
    file = writer(iif_batch(batch))
    export = BatchExport.objects.create(
        batch=batch,
        format="iif",
        filename=file.name,
        content=file.content,
        sha256=file.sha256,
        exported_by=actor.name,
    )
    audit.record(
        actor,
        "accounting.batch.exported",
        f"exported batch {batch.number} for QuickBooks Desktop, {file.name}",
        batch,
        sha256=file.sha256,
    )
    return export


@command(roles=FINANCE)
def confirm_export(*, actor: Actor, batch_id: int) -> BatchExport:
    """Say that the exported file was imported; it is not given out again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` unless it is exported and unconfirmed.
    """
    return _settle_export(actor, batch_id, ExportStatus.CONFIRMED, "was imported")


@command(roles=FINANCE)
def mark_not_imported(*, actor: Actor, batch_id: int) -> BatchExport:
    """Say that the exported file was not imported, so that the same file may be exported again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` unless it is exported and unconfirmed.
    """
    return _settle_export(actor, batch_id, ExportStatus.NOT_IMPORTED, "was not imported")


def _settle_export(actor: Actor, batch_id: int, status: ExportStatus, said: str) -> BatchExport:
    export = BatchExport.objects.select_for_update(of=("self",)).filter(batch=batch_id, format="iif").first()
    if export is None:
        raise DomainError("not_found", "The batch was not exported.")
    check_transition("export", export.filename, export.status, status)
    export.status = status
    export.save(update_fields=["status"])
    audit.record(actor, f"accounting.export.{status.value}", f"said that {export.filename} {said}", export.batch)
    return export
