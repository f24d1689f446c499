"""Closing invoices: the checks, the numbers, and what is written for the last time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from counterfoil.billing.drafts import amounts, check_billable, check_prices, set_bill_to
from counterfoil.billing.earned import settle_earned, taken_back
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus
from counterfoil.billing.numbers import number_invoices
from counterfoil.billing.shipped import check_shipped
from counterfoil.billing.taxing import check_sign, reckon_credit
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.states import check_transition
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.holds import held, held_among, inspect
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked, locked_all
from counterfoil.platform.models import Hold

FINANCE = (Role.FINANCE,)


@command(roles=FINANCE)
def close_invoice(*, actor: Actor, invoice_id: int, now: datetime) -> Invoice:
    """Close a draft: it gets its number, keeps the bill-to's name and address as they are now, and never changes again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when closed already; ``required`` without lines; ``not_shipped``
            when a line bills stock that has not left, or had not by the invoice's date; ``my_company_not_billable``;
            ``price_on_internal_company``; ``invalid`` when a credit memo would give back more than was billed;
            ``held``, with every reason.
    """
    invoice = _drafts([invoice_id])[invoice_id]
    close([invoice], now)
    _say(actor, invoice)
    return invoice


@dataclass(frozen=True, slots=True)
class NotClosed:
    """A draft that could not be closed, and why."""

    invoice_id: int
    invoice: str
    reason: DomainError


@dataclass(frozen=True, slots=True)
class Closing:
    """The invoices that were closed, in the order of their numbers, and those that were not."""

    invoices: tuple[Invoice, ...]
    not_closed: tuple[NotClosed, ...]


@command(roles=FINANCE)
def close_invoices(*, actor: Actor, invoice_ids: Sequence[int], now: datetime) -> Closing:
    """Close drafts, numbered by date and then in the order they were made. One that cannot be closed is left out.

    Args:
        actor: who closes them.
        invoice_ids: the drafts.
        now: when.

    Raises:
        DomainError: ``not_found``.
    """
    rows = sorted(_drafts(invoice_ids).values(), key=lambda row: (row.date, row.pk))
    holds = _holds(rows)
    closed: list[Invoice] = []
    not_closed: list[NotClosed] = []
    ready: list[Invoice] = []
    for row in rows:
        if _follows_others(row):
            _finish(ready, now)
            ready = []
        try:
            with transaction.atomic():
                _prepare(row, holds.get(row.pk))
        except DomainError as reason:
            not_closed.append(NotClosed(row.pk, str(row), reason))
        else:
            ready.append(row)
            closed.append(row)
    _finish(ready, now)
    for row in closed:
        _say(actor, row)
    left = f", {len(not_closed)} left out" if not_closed else ""
    audit.record(actor, "billing.invoices.closed", f"closed {len(closed)} invoices{left}")
    return Closing(tuple(closed), tuple(not_closed))


def _follows_others(invoice: Invoice) -> bool:
    """Whether what closes before it decides on its amounts: credits of one invoice, work under one block."""
    if invoice.credits_id is not None:
        return True
    return invoice.lines.filter(charge__isnull=False, agreement__prepayment=True).exists()


def close(invoices: Sequence[Invoice], now: datetime) -> None:
    """Check drafts that do not depend on one another, number them in their order, and write them closed.

    Raises:
        DomainError: as :func:`close_invoice`.
    """
    holds = _holds(invoices)
    for invoice in invoices:
        _prepare(invoice, holds.get(invoice.pk))
    _finish(invoices, now)


def _drafts(invoice_ids: Iterable[int]) -> dict[int, Invoice]:
    rows = Invoice.objects.select_related("bill_to", "agreement__type", "credits")
    return locked_all(rows, set(invoice_ids), "invoice_ids")


def _holds(invoices: Sequence[Invoice]) -> dict[int, list[Hold]]:
    """What holds the drafts, after whoever may hold them has looked again at all of them together."""
    label, ids = Invoice._meta.label_lower, [invoice.pk for invoice in invoices]
    inspect(label, ids)
    return held_among(label, ids)


def _prepare(invoice: Invoice, holds: Sequence[Hold] | None) -> None:
    """What is checked and settled of a draft before it is closed; its lines may change for the last time."""
    check_transition("invoice", str(invoice), invoice.status, InvoiceStatus.CLOSED)
    if holds:
        raise held(str(invoice), "closed", holds)
    lines = list(invoice.lines.select_related("order_line", "product", "agreement"))
    if not lines:
        raise DomainError("required", f"{invoice} has no lines to bill.", field="lines")
    check_billable(invoice.bill_to)
    check_prices(invoice.bill_to, lines)
    check_shipped(invoice, [line for line in lines if line.quantity > 0])
    if invoice.credits_id is not None:
        locked(Invoice.objects.all(), invoice.credits_id)  # its credits follow one another
        reckon_credit(invoice, closing=True)
    check_sign(invoice)
    lines += _settle(invoice, lines)
    set_bill_to(invoice, invoice.bill_to)
    invoice.line_count, invoice.tax_count = len(lines), invoice.taxes.count()
    invoice.balance = invoice.total


def _settle(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[InvoiceLine]:
    """What its work earns; and the lines that are added, of what is taken back of what was earned."""
    before = [line.released_amount for line in lines]
    settle_earned(invoice, lines)
    changed = [line for line, then in zip(lines, before, strict=True) if line.released_amount != then]
    if changed:
        InvoiceLine.objects.bulk_update(changed, ["released_amount"])
    added = taken_back(invoice, lines)
    for position, line in enumerate(added, start=max(line.position for line in lines) + 1):
        line.position = position
    return InvoiceLine.objects.bulk_create(added) if added else []


def _finish(invoices: Sequence[Invoice], now: datetime) -> None:
    number_invoices(invoices)
    for invoice in invoices:
        invoice.status, invoice.closed_at = InvoiceStatus.CLOSED, now
    Invoice.objects.bulk_update(invoices, _WRITTEN, batch_size=500)


_WRITTEN = (
    "number", "status", "closed_at", "bill_to", "bill_to_kind", "bill_to_name", "bill_to_address", "line_count",
    "tax_count", "balance", "subtotal", "tax_total", "total", "cost_total",
)  # fmt: skip


def _say(actor: Actor, invoice: Invoice) -> None:
    text = f"closed {invoice.number} to {invoice.bill_to_name}: {amounts(invoice)}, due {format_date(invoice.due_date)}"
    audit.record(actor, "billing.invoice.closed", text, invoice)
