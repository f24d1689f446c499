"""Whether a document may go to the books yet, and if not, why and where to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from counterfoil.accounting.documents import AnyDocument, BillDocument, InvoiceDocument
from counterfoil.accounting.mapping import CollectingAccounts, load_accounts
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.core.posting import JournalDraft
from counterfoil.ledger.models import AccountingPeriod, PeriodStatus


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a record may not go to the books yet, or with ``blocks`` false, what to mind.

    Attributes:
        code: a code of :data:`counterfoil.core.errors.CODES`, or ``receipt_not_transferred``, or that of a note:
            ``in_batch``, ``account_number_missing``.
        text: what is wrong, in a sentence.
        hint: how to mend it.
        target: where: ``gl_mapping``, ``periods``, ``company``, ``batch``, ``receipt``, ``vendor_bill``, or empty.
        target_id: the record's id there, if it is one.
        blocks: whether it keeps the record out of the books.
    """

    code: str
    text: str
    hint: str = ""
    target: str = ""
    target_id: int | None = None
    blocks: bool = True


@dataclass(frozen=True, slots=True)
class Assessed:
    """A document with the journal it will make (``None``: nothing to book, or not possible yet) and what hinders it."""

    document: AnyDocument
    draft: JournalDraft | None
    reasons: tuple[Reason, ...]

    @property
    def ready(self) -> bool:
        """Whether it may go."""
        return not any(reason.blocks for reason in self.reasons)


def assess(documents: Sequence[AnyDocument]) -> list[Assessed]:
    """Draft the journals of the documents and collect what hinders each: a constant number of statements."""
    accounts = load_accounts(set().union(*(document.product_ids for document in documents)) if documents else set())
    periods = list(AccountingPeriod.objects.order_by("start"))
    assessed = []
    for document in documents:
        collecting = CollectingAccounts(accounts)
        draft, failures = None, []
        try:
            draft = document.draft(collecting)
        except DomainError as error:
            failures.append(Reason(error.code, error.message, error.hint or ""))
        if collecting.missing:
            draft = None
        reasons = (
            *(Reason(x.code, x.message, x.hint or "", "gl_mapping") for x in collecting.missing),
            *failures,
            *_total_reasons(document),
            *(_period_reasons(document.date, periods) if draft or collecting.missing else ()),
            *(_receipt_reasons(document) if isinstance(document, BillDocument) else ()),
            *(_goods_reasons(document) if isinstance(document, InvoiceDocument) else ()),
            *_company_notes(document),
        )
        assessed.append(Assessed(document, draft, reasons))
    return assessed


def _total_reasons(document: AnyDocument) -> Iterable[Reason]:
    if document.parts != document.amount:
        yield Reason(
            "unbalanced",
            f"Its total is {format_money(document.amount)}, but its parts add up to {format_money(document.parts)}.",
            "Run counterfoil verify: something changed it past the guards of the database.",
            document.source_type.value,
            document.source_id,
        )


def _period_reasons(on: date, periods: Sequence[AccountingPeriod]) -> Iterable[Reason]:
    period = next((p for p in periods if p.start <= on < p.end), None)
    if period is None:
        yield Reason(
            "period_missing",
            f"There is no accounting period for {format_date(on)}.",
            f"Open the periods of {on.year} under Books, Periods.",
            "periods",
        )
    elif period.status == PeriodStatus.CLOSED:
        yield Reason(
            "period_closed",
            f"{period.start:%B %Y} is closed; nothing can be posted on {format_date(on)}.",
            "Ask the owner to reopen the period.",
            "periods",
            period.pk,
        )


def _receipt_reasons(bill: BillDocument) -> Iterable[Reason]:
    for receipt_id, number in bill.waits_for:
        yield Reason(
            "receipt_not_transferred",
            f"Receipt {number}, which it bills, is not in the books.",
            "Transfer the receipt first, or put both in one batch.",
            "receipt",
            receipt_id,
        )
    for memo in bill.not_received:
        yield Reason(
            "more_than_received",
            f"It bills more of {memo} than was received.",
            "Receive the goods first, or correct the bill.",
            "vendor_bill",
            bill.source_id,
        )


def _goods_reasons(invoice: InvoiceDocument) -> Iterable[Reason]:
    for receipt_id, number in invoice.waits_for:
        yield Reason(
            "receipt_not_transferred",
            f"Receipt {number}, whose goods it sells, is not in the books.",
            "Transfer the receipt first, or put both in one batch.",
            "receipt",
            receipt_id,
        )
    for part in invoice.booked_later:
        yield Reason(
            "conflict",
            f"Receipt {part.number} is booked on {format_date(part.booked_on)}, after this invoice: inventory would be"
            " negative until then.",
            "Both are final, so the invoice stays out of the books."
            if part.account
            else "Have receipts booked on their earlier date (PO date or day received) under Books, Periods, before it"
            " is transferred.",
            "receipt" if part.account else "periods",
            part.receipt_id if part.account else None,
        )


def _company_notes(document: AnyDocument) -> Iterable[Reason]:
    if not document.account_number:
        yield Reason(
            "account_number_missing",
            f"{document.company} has no account number.",
            "Enter it at the company if the accounting package knows it by another name.",
            "company",
            document.company_id,
            blocks=False,
        )
