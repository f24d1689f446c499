"""Mailing invoices to customers: asked for by a command, handed over by a background job, never twice for one request.

A job takes a queued delivery (``sending``), commits that, and then talks to the mail server. What the server says comes
into the row; only what certainly was not taken goes back to ``queued`` for another try. A job that died while sending
leaves a delivery of which nobody knows: it becomes ``uncertain`` and is for a person to decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet
from procrastinate.contrib.django import app

from counterfoil.billing.documents import Document, invoice_document
from counterfoil.billing.models import Delivery, DeliveryStatus, Invoice, InvoiceStatus
from counterfoil.billing.paper import title_of
from counterfoil.billing.printing import PrintedInvoice, printed_invoice
from counterfoil.companies.models import Company, split_addresses
from counterfoil.companies.queries import msp_settings
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money
from counterfoil.platform import audit, mail
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.documents import Unprintable
from counterfoil.platform.identity import SYSTEM, Actor, Role
from counterfoil.platform.lookup import existing
from counterfoil.platform.records import check_fields

FINANCE = (Role.FINANCE,)
#: The task that :mod:`counterfoil.billing.tasks` declares.
TASK: Final = "counterfoil.billing.tasks.send_delivery"
#: Minutes until a delayed delivery is tried again; after the last it has failed.
WAITS: Final = (1, 5, 15, 60, 180, 360, 720)
#: A job that says nothing for so long is dead: the server has 20 seconds for each of its answers.
LONGEST: Final = timedelta(minutes=15)

refuse_as("billing_delivery_request_key_key", "conflict", "The same request is being carried out already.")


# -- asking ------------------------------------------------------------------------------------------------------------


@command(roles=FINANCE)
def deliver_invoice(
    *,
    actor: Actor,
    invoice_id: int,
    now: datetime,
    to: Sequence[str] = (),
    cc: Sequence[str] | None = None,
    message: str = "",
    request_key: str = "",
) -> Delivery:
    """Mail the PDF of a closed invoice or credit memo, in the background.

    Args:
        actor: who sends it.
        invoice_id: the invoice.
        now: aware.
        to: e-mail addresses; none means the bill-to's address for invoices, else those of its billing contacts.
        cc: who gets copies; ``None`` means the bill-to's.
        message: stands above the summary of the invoice.
        request_key: names this request: repeated with the same key it gives the same delivery, and one mail is sent.

    Raises:
        DomainError: ``not_found``; ``mail_not_configured``; ``wrong_state`` for a draft; ``required`` when there is no
            address; ``invalid`` for something that is no address; ``conflict`` for a key of another invoice.
    """
    invoice = existing(Invoice.objects.select_related("bill_to"), invoice_id)
    if request_key and (made := Delivery.objects.filter(request_key=request_key).first()):
        if made.invoice_id != invoice.pk:
            raise DomainError("conflict", "That request has mailed another invoice.", field="request_key")
        audit.record(actor, "billing.invoice.delivery_repeated", f"asked again to mail {invoice}", invoice)
        return made
    return _queue(actor, invoice, now=now, to=to, cc=cc, message=message, request_key=request_key)


@dataclass(frozen=True, slots=True)
class NotDelivered:
    """An invoice that was not mailed, and why."""

    invoice_id: int
    invoice: str
    reason: DomainError


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What a request for many invoices queued, and what it had to leave out."""

    queued: tuple[Delivery, ...]
    left_out: tuple[NotDelivered, ...]


@command(roles=FINANCE)
def deliver_invoices(
    *, actor: Actor, invoice_ids: Sequence[int], now: datetime, message: str = "", again: bool = False
) -> Deliveries:
    """Mail many invoices, each to its own customer, in the background. One that cannot be mailed is left out.

    Args:
        actor: who sends them.
        invoice_ids: the invoices.
        now: aware.
        message: stands above the summary of each invoice.
        again: whether those that were mailed before, or are on their way, are mailed once more.

    Raises:
        DomainError: ``mail_not_configured``; ``required`` without invoices.
    """
    mail.ensure_configured()
    if not invoice_ids:
        raise DomainError("required", "Choose the invoices that are to be mailed.", field="invoice_ids")
    found = Invoice.objects.select_related("bill_to").in_bulk(list(invoice_ids))
    mailed = set(_under_way(found).values_list("invoice_id", flat=True)) if not again else set()
    queued: list[Delivery] = []
    left_out: list[NotDelivered] = []
    for pk in dict.fromkeys(invoice_ids):
        try:
            queued.append(_queue_one_of_many(actor, pk, found.get(pk), pk in mailed, now=now, message=message))
        except DomainError as refusal:
            left_out.append(NotDelivered(pk, str(found.get(pk, pk)), refusal))
    text = f"asked to mail {len(queued)} of {len(queued) + len(left_out)} invoices"
    audit.record(actor, "billing.invoices.delivery_requested", text, left_out=[each.invoice for each in left_out])
    return Deliveries(tuple(queued), tuple(left_out))


def _queue_one_of_many(
    actor: Actor, pk: int, invoice: Invoice | None, was_mailed: bool, *, now: datetime, message: str
) -> Delivery:
    if invoice is None:
        raise DomainError("not_found", f"There is no invoice with the id {pk}.")
    if was_mailed:
        raise DomainError("duplicate", f"{invoice} was mailed already.", hint="Send it again from its own page.")
    return _queue(actor, invoice, now=now, to=(), cc=None, message=message, request_key="")


def _under_way(invoices: dict[int, Invoice]) -> QuerySet[Delivery]:
    return Delivery.objects.filter(invoice__in=invoices).exclude(status=DeliveryStatus.FAILED)


def _queue(
    actor: Actor,
    invoice: Invoice,
    *,
    now: datetime,
    to: Sequence[str],
    cc: Sequence[str] | None,
    message: str,
    request_key: str,
) -> Delivery:
    mail.ensure_configured()
    if invoice.status != InvoiceStatus.CLOSED:
        raise DomainError("wrong_state", "A draft is not mailed.", hint="Close the invoice first.")
    known_to, known_cc = addresses_of(invoice.bill_to)
    recipients = _checked(to or known_to, "to")
    if not recipients:
        raise DomainError(
            "required",
            f"{invoice.bill_to.name} has no e-mail address for invoices.",
            field="to",
            hint="Enter one, or put it on the company once and for all.",
        )
    copies = [address for address in _checked(known_cc if cc is None else cc, "cc") if address not in recipients]
    printed = printed_invoice(invoice.pk)
    row = Delivery(
        invoice=invoice,
        request_key=request_key or None,
        to=recipients,
        cc=copies,
        subject=_subject(printed),
        message="\n".join(message.strip().splitlines()),
        message_id=mail.new_message_id(),
        requested_at=now,
        requested_by=actor.name,
    )
    check_fields(row, relations=False)
    row.save()
    _enqueue(row.pk)
    text = f"asked to mail {invoice} to {', '.join(recipients)}"
    audit.record(actor, "billing.invoice.delivery_requested", text, invoice, cc=copies)
    return row


def addresses_of(company: Company) -> tuple[list[str], list[str]]:
    """Where the company's invoices are mailed to, and who gets copies."""
    to = [company.invoice_email] if company.invoice_email else []
    if not to:
        to = list(company.contacts.filter(is_billing=True).exclude(email="").values_list("email", flat=True))
    return to, split_addresses(company.invoice_cc)


def _checked(addresses: Sequence[str], field: str) -> list[str]:
    """The addresses, each once.

    Raises:
        DomainError: ``invalid``, naming the first that is none.
    """
    found = list(dict.fromkeys(address.strip() for address in addresses if address.strip()))
    for address in found:
        try:
            validate_email(address)
        except ValidationError as error:
            raise DomainError("invalid", f"“{address}” is no e-mail address.", field=field) from error
    return found


def _enqueue(delivery_id: int, at: datetime | None = None) -> None:
    app.configure_task(TASK, schedule_at=at, queue="mail").defer(delivery_id=delivery_id)


# -- sending -----------------------------------------------------------------------------------------------------------


def hand_over(delivery_id: int, *, now: datetime) -> DeliveryStatus | None:
    """Send a queued delivery; ``None`` when there is nothing to do, since another job has it or it is done.

    Not to be called within a transaction: what it does has to be known before the server is asked.
    """
    row = _take(delivery_id, now=now)
    if row is None:
        return None
    try:
        document = invoice_document(row.invoice_id, now=now)
        answer = mail.send(_message_of(row, document))
    except mail.MailDelayed as error:
        status, said = DeliveryStatus.QUEUED, str(error)
    except mail.MailUncertain as error:
        status, said = DeliveryStatus.UNCERTAIN, str(error)
    except (mail.MailRefused, Unprintable) as error:
        status, said = DeliveryStatus.FAILED, str(error)
    else:
        status, said = DeliveryStatus.SENT, answer
    return settle_delivery(actor=SYSTEM, delivery_id=delivery_id, status=status, said=said, now=now)


def _take(delivery_id: int, *, now: datetime) -> Delivery | None:
    """Mark a queued delivery as being sent, for nobody else to take."""
    with transaction.atomic(durable=True):
        queued = Delivery.objects.filter(pk=delivery_id, status=DeliveryStatus.QUEUED)
        row = queued.select_for_update(skip_locked=True).first()
        if row is None:
            return None
        row.status, row.attempted_at, row.retry_at = DeliveryStatus.SENDING, now, None
        row.attempts += 1
        row.save(update_fields=["status", "attempted_at", "retry_at", "attempts"])
        return row


@command(roles=FINANCE)
def settle_delivery(
    *, actor: Actor, delivery_id: int, status: DeliveryStatus, said: str, now: datetime
) -> DeliveryStatus:
    """Write down what became of an attempt; a delayed one is tried again later, and fails after the last try.

    Raises:
        DomainError: ``not_found``.
    """
    row = existing(Delivery.objects.select_for_update(of=("self",)).select_related("invoice"), delivery_id)
    if status == DeliveryStatus.QUEUED and row.attempts > len(WAITS):
        status = DeliveryStatus.FAILED
    row.status, row.error = status, "" if status == DeliveryStatus.SENT else said
    if status == DeliveryStatus.SENT:
        row.sent_at = now
    if status == DeliveryStatus.QUEUED:
        row.retry_at = now + timedelta(minutes=WAITS[row.attempts - 1])
        _enqueue(row.pk, row.retry_at)
    row.save(update_fields=["status", "error", "sent_at", "retry_at"])
    whom = ", ".join(row.to)
    words = {
        DeliveryStatus.SENT: f"mailed {row.invoice} to {whom}",
        DeliveryStatus.QUEUED: f"could not mail {row.invoice} to {whom} yet: {said}",
        DeliveryStatus.FAILED: f"could not mail {row.invoice} to {whom}: {said}",
        DeliveryStatus.UNCERTAIN: f"does not know whether {row.invoice} reached {whom}: {said}",
    }[status]
    audit.record(actor, f"billing.invoice.delivery_{status.value}", words, row.invoice, message_id=row.message_id)
    return status


def look_after_deliveries(*, now: datetime) -> None:
    """Take up what a dead job left: one that was sending is uncertain now; one whose job is lost gets another."""
    stuck = Delivery.objects.filter(status=DeliveryStatus.SENDING, attempted_at__lt=now - LONGEST)
    for pk in stuck.values_list("pk", flat=True):
        said = "The job stopped while it was handing the message over; it may have arrived."
        settle_delivery(actor=SYSTEM, delivery_id=pk, status=DeliveryStatus.UNCERTAIN, said=said, now=now)
    late = Q(retry_at__lt=now - LONGEST) | Q(retry_at__isnull=True, requested_at__lt=now - LONGEST)
    for pk in Delivery.objects.filter(late, status=DeliveryStatus.QUEUED).values_list("pk", flat=True):
        _enqueue(pk)


# -- the message -------------------------------------------------------------------------------------------------------


def _subject(printed: PrintedInvoice) -> str:
    return f"{title_of(printed)} {printed.number} from {printed.sender.name}"[:200]


def _message_of(row: Delivery, document: Document) -> EmailMessage:
    printed = printed_invoice(row.invoice_id)
    reply_to = msp_settings().reply_to
    message = EmailMessage(
        subject=row.subject,
        body=_body(row, printed),
        from_email=mail.sender_address(printed.sender.name),
        to=row.to,
        cc=row.cc,
        reply_to=[reply_to] if reply_to else None,
        headers={"Message-ID": row.message_id, "Auto-Submitted": "auto-generated"},
    )
    message.attach(document.name, document.content, "application/pdf")
    return message


def _body(row: Delivery, printed: PrintedInvoice) -> str:
    currency = printed.sender.currency
    title = title_of(printed)
    facts = [(title, printed.number or ""), ("Date", format_date(printed.date))]
    if printed.is_credit:
        facts.append(("Credit", f"{format_money(-printed.total)} {currency}"))
    else:
        facts += [("Amount", f"{format_money(printed.total)} {currency}"), ("Due", format_date(printed.due_date))]
    if printed.customer_po:
        facts.append(("Your PO", printed.customer_po))
    if printed.period:
        facts.append(("Period", printed.period.label))
    opening = row.message or f"Please find attached {title.lower()} {printed.number}."
    pay = ["How to pay:", printed.sender.remit_to, ""] if printed.sender.remit_to and printed.total > 0 else []
    parts = [
        opening,
        "",
        *(f"{name}: {value}" for name, value in facts),
        "",
        *pay,
        printed.sender.name,
        *printed.sender.lines,
    ]
    return "\n".join(parts) + "\n"
