"""What a billing run would make: the rating of the run itself, with nothing written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from counterfoil.billing.models import InvoiceType, RunMode
from counterfoil.billing.rated import Parked, RatedInvoice
from counterfoil.billing.rating import Asked, Reference, rate
from counterfoil.billing.recurring import refuse_beyond_the_books
from counterfoil.billing.runs import due_agreements
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.money import ZERO, format_money, sum_money
from counterfoil.flows.billing_ledger import Books
from counterfoil.flows.billing_run import CHUNK


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What an agreement would be billed, beside what it was billed last, before tax; ``why`` they differ."""

    agreement_id: int
    agreement: str
    customer: str
    periods: str
    invoices: tuple[RatedInvoice, ...]
    last: Decimal | None
    amount: Decimal
    why: str

    @property
    def difference(self) -> Decimal:
        """How much more than last time, or less; all of it for an agreement that was never billed."""
        return self.amount - (self.last or ZERO)


@dataclass(slots=True)
class Preview:
    """All a run would make, largest change first, and what it would park.

    ``agreements`` are those that would be billed: not those looked at and found to owe nothing, nor those parked.
    """

    agreements: int = 0
    invoices: int = 0
    subtotal: Decimal = ZERO
    tax: Decimal = ZERO
    rows: list[PreviewRow] = field(default_factory=list)
    parked: list[Parked] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        """With tax."""
        return self.subtotal + self.tax


def preview_billing_run(
    *,
    through: date,
    invoice_date: date | None = None,
    mode: RunMode = RunMode.DRAFT,
    agreement_type_id: int | None = None,
    company_id: int | None = None,
    most_rows: int | None = None,
) -> Preview:
    """Rate everything that a run with the same arguments would, chunk by chunk, and write nothing.

    Args:
        through: every period that falls due by this day.
        invoice_date: as for the run.
        mode: with ``transfer`` it is also asked whether each invoice could be booked.
        agreement_type_id: only agreements of this type.
        company_id: only agreements of this customer.
        most_rows: keep the rows with the largest changes alone; the sums are of all.

    Raises:
        DomainError: ``period_missing`` when the books do not reach ``through``.
    """
    refuse_beyond_the_books(through)
    ids = due_agreements(through=through, agreement_type_id=agreement_type_id, company_id=company_id)
    reference, books = Reference(), Books() if mode == RunMode.TRANSFER else None
    found = Preview()
    for start in range(0, len(ids), CHUNK):
        part = ids[start : start + CHUNK]
        rating = rate(part, Asked(through, invoice_date), reference, books.examine if books else None)
        found.parked += rating.parked
        for invoices in _by_agreement(rating.invoices):
            last = rating.last.get(invoices[0].agreement_id)
            found.rows.append(_row(invoices, last.subtotal if last else None))
            found.agreements += 1
            found.invoices += len(invoices)
            found.subtotal += sum_money(invoice.subtotal for invoice in invoices)
            found.tax += sum_money(invoice.tax_total for invoice in invoices)
        if most_rows is not None:
            found.rows = _by_surprise(found.rows)[:most_rows]
    found.rows = _by_surprise(found.rows)
    return found


def _by_surprise(rows: Sequence[PreviewRow]) -> list[PreviewRow]:
    return sorted(rows, key=lambda row: (-abs(row.difference), row.agreement_id))


def _by_agreement(invoices: Sequence[RatedInvoice]) -> Iterator[tuple[RatedInvoice, ...]]:
    group: list[RatedInvoice] = []
    for invoice in invoices:
        if group and group[0].agreement_id != invoice.agreement_id:
            yield tuple(group)
            group = []
        group.append(invoice)
    if group:
        yield tuple(group)


def _row(invoices: tuple[RatedInvoice, ...], last: Decimal | None) -> PreviewRow:
    first, final = invoices[0], invoices[-1]
    return PreviewRow(
        agreement_id=first.agreement_id,
        agreement=first.agreement,
        customer=first.bill_to_name,
        periods=Period(min(i.period_start for i in invoices), max(i.period_end for i in invoices)).label,
        invoices=invoices,
        last=last,
        amount=sum_money(invoice.subtotal for invoice in invoices),
        why=_why(invoices, last, final),
    )


def _why(invoices: Sequence[RatedInvoice], last: Decimal | None, final: RatedInvoice) -> str:
    """In a few words why it is not what it was last time."""
    reasons = []
    if last is None:
        reasons.append(f"First invoice, from {format_date(invoices[0].period_start)}")
    regular = [i for i in invoices if not i.is_adjustment and i.type != InvoiceType.CREDIT_MEMO]
    if len(regular) > 1:
        reasons.append(f"{len(regular)} periods at once")
    late = [
        line.amount for i in invoices for line in i.lines
        if line.period_start < i.period_start or (line.addition_id and line.service_start > line.period_start)
    ]  # fmt: skip
    if late:
        reasons.append(f"{format_money(sum_money(late))} for parts of periods")
    work = [line.amount for i in invoices for line in i.lines if line.charge_id is not None]
    if any(work):
        reasons.append(f"{format_money(sum_money(work))} of overage")
    back = [i.subtotal for i in invoices if i.type == InvoiceType.CREDIT_MEMO]
    if back:
        reasons.append(f"{format_money(sum_money(back))} given back")
    if not reasons and last is not None and final.subtotal != last:
        reasons.append("Quantities or prices have changed")
    return "; ".join(reasons)
