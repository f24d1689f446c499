"""The PDFs of invoices and statements: a closed invoice's is made once and kept, a draft's and a copy are made anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256

from counterfoil.billing.models import Invoice, InvoiceDocument, InvoiceStatus
from counterfoil.billing.paper import invoice_pdf, statement_pdf, title_of
from counterfoil.billing.printing import printed_invoice, printed_statement
from counterfoil.core.calendar import format_date
from counterfoil.platform.lookup import existing


@dataclass(frozen=True, slots=True)
class Document:
    """A PDF with the name under which it is saved and its SHA-256. ``is_record``: it is kept and never changes."""

    name: str
    content: bytes
    sha256: str
    is_record: bool


def invoice_document(invoice_id: int, *, now: datetime) -> Document:
    """The invoice's PDF. That of a closed invoice is kept from the first time on and stays the same.

    It tells the instant the invoice was closed as the time it was made, so that it could be made again to the byte. A
    draft's carries a DRAFT mark and is not kept.

    Args:
        invoice_id: the invoice.
        now: aware; when it is asked for.

    Raises:
        DomainError: ``not_found``.
    """
    invoice = existing(Invoice.objects.only("number", "type", "status", "closed_at"), invoice_id)
    if invoice.status == InvoiceStatus.DRAFT or invoice.closed_at is None:
        return _made(f"Draft-{invoice.pk}", invoice_pdf(printed_invoice(invoice_id), timestamp=now))
    kept = InvoiceDocument.objects.filter(pk=invoice_id).first() or _keep(invoice, now)
    return Document(f"{_name(invoice)}.pdf", bytes(kept.content), kept.sha256, is_record=True)


def _keep(invoice: Invoice, now: datetime) -> InvoiceDocument:
    assert invoice.closed_at is not None
    content = invoice_pdf(printed_invoice(invoice.pk), timestamp=invoice.closed_at)
    row = InvoiceDocument(invoice_id=invoice.pk, content=content, sha256=sha256(content).hexdigest(), rendered_at=now)
    # Two who ask at once get what the first of them made.
    InvoiceDocument.objects.bulk_create([row], ignore_conflicts=True)
    return InvoiceDocument.objects.get(pk=invoice.pk)


def invoice_copy(invoice_id: int, *, settled_on: date, now: datetime) -> Document:
    """A copy of the invoice that tells what was paid and credited through a day; not kept.

    Raises:
        DomainError: ``not_found``.
    """
    printed = printed_invoice(invoice_id, settled_on=settled_on)
    name = f"{title_of(printed).replace(' ', '-')}-{printed.number or f'draft-{invoice_id}'}-{settled_on.isoformat()}"
    return _made(name, invoice_pdf(printed, timestamp=now))


def statement_document(company_id: int, *, as_of: date, now: datetime) -> Document:
    """What a customer owes at the end of a day, as PDF; not kept.

    Raises:
        DomainError: ``not_found``.
    """
    printed = printed_statement(company_id, as_of=as_of)
    name = f"Statement {printed.bill_to.name} {format_date(as_of)}"
    return _made(_file_name(name), statement_pdf(printed, timestamp=now))


def _made(name: str, content: bytes) -> Document:
    return Document(f"{name}.pdf", content, sha256(content).hexdigest(), is_record=False)


def _name(invoice: Invoice) -> str:
    return _file_name(f"{'Credit-memo' if invoice.is_credit_memo else 'Invoice'}-{invoice.number}")


def _file_name(text: str) -> str:
    """The text as a file name on every system."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in text)
