"""What an agreement bills: its periods, and the lines of one period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

from counterfoil.agreements.models import Addition, Agreement, BillingOption
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.core.calendar import Cycle, Period, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, extend, format_money, sum_money
from counterfoil.platform.records import plain_number as plain


def periods_of(agreement: Agreement) -> Iterator[Period]:
    """The billing periods from the first billing date on, the last one cut at the end; endless without an end."""
    cycle, anchor, end = Cycle.parse(agreement.billing_cycle), agreement.bill_start_date, end_of(agreement)
    for n in count():
        start, stop = cycle.after(anchor, n), cycle.after(anchor, n + 1)
        if end is not None and start >= end:
            return
        yield Period(start, stop if end is None else min(stop, end))


def end_of(agreement: Agreement) -> date | None:
    """The first day that is no longer covered: the day after the end date or the cancellation, the earlier one."""
    last_days = [day for day in (agreement.end_date, agreement.cancelled_on) if day is not None]
    return min(last_days) + timedelta(days=1) if last_days else None


def billed_starts(agreement: Agreement) -> set[date]:
    """First days of the periods that are invoiced, drafts included."""
    starts = Invoice.objects.filter(agreement=agreement).values_list("period_start", flat=True)
    return {start for start in starts if start is not None}


def period_to_bill(agreement: Agreement, period_start: date | None) -> Period:
    """The period that starts on ``period_start``; without one the earliest that is not invoiced.

    Raises:
        DomainError: ``already_invoiced``; ``invalid`` when no period starts then; ``wrong_state`` when the agreement
            has no period left.
    """
    billed = billed_starts(agreement)
    for period in periods_of(agreement):
        if period_start is None and period.start not in billed:
            return period
        if period.start == period_start:
            if period.start in billed:
                raise DomainError("already_invoiced", f"{agreement} is invoiced for {period.label} already.")
            return period
        if period_start is not None and period.start > period_start:
            break
    if period_start is None:
        raise DomainError("wrong_state", f"{agreement} is invoiced to its end; nothing is left to bill.")
    raise DomainError(
        "invalid",
        f"No billing period of {agreement} starts on {format_date(period_start)}.",
        field="period_start",
        hint=f"Its periods are counted from {format_date(agreement.bill_start_date)}.",
    )


def lines_of(agreement: Agreement, period: Period) -> list[InvoiceLine]:
    """The unsaved lines for one period: the billing amount, then one line for each addition in effect (WE-18).

    Additions marked *do not bill* carry cost alone and stay off the invoice; *no charge* ones are shown at zero.
    """
    lines = []
    if agreement.billing_amount:
        lines.append(
            InvoiceLine(
                description=agreement.name[:200],
                quantity=Decimal(1),
                unit_price=agreement.billing_amount,
                amount=extend(Decimal(1), agreement.billing_amount),
                taxable=agreement.billing_amount_taxable,
                explanation=f"Billing amount for {period.label}",
            )
        )
    lines += [_line_of(each, period) for each in agreement.additions.all() if _in_effect(each, period)]
    return lines


def amount_of(lines: list[InvoiceLine]) -> Decimal:
    """What lines come to before tax."""
    return sum_money(line.amount for line in lines)


def _in_effect(addition: Addition, period: Period) -> bool:
    if addition.billing_option == BillingOption.DO_NOT_BILL or addition.effective_date >= period.end:
        return False
    return addition.cancelled_date is None or addition.cancelled_date >= period.start


def _line_of(addition: Addition, period: Period) -> InvoiceLine:
    billed = max(addition.quantity - addition.less_included, Decimal(0))
    free = addition.billing_option == BillingOption.NO_CHARGE
    price = ZERO if free else addition.unit_price
    amount = extend(billed, price)
    included = f" ({plain(addition.quantity)} less {plain(addition.less_included)} included)"
    why = (
        f"{plain(billed)}{included if addition.less_included else ''} × {plain(price)} for {period.label}"
        f" = {format_money(amount)}" + (", no charge" if free else "")
    )
    return InvoiceLine(
        product=addition.product,
        description=(addition.invoice_text.strip() or addition.description)[:200],
        quantity=billed,
        unit_price=price,
        amount=amount,
        cost=extend(addition.quantity, addition.unit_cost),
        taxable=addition.taxable,
        explanation=why[:300],
        addition=addition,
        origin_id=addition.origin_id,
    )


@dataclass(frozen=True, slots=True)
class UnbilledPeriod:
    """A period that has begun and is not invoiced, and what it comes to before tax."""

    agreement_id: int
    agreement: str
    name: str
    company_id: int
    customer: str
    period: Period
    amount: Decimal


def unbilled_periods(
    *, through: date, agreement_id: int | None = None, company_id: int | None = None
) -> list[UnbilledPeriod]:
    """Every period that has begun by ``through`` (WE-19) and is not invoiced, oldest first."""
    agreements = Agreement.objects.filter(bill_start_date__lte=through).select_related("company")
    if agreement_id is not None:
        agreements = agreements.filter(pk=agreement_id)
    if company_id is not None:
        agreements = agreements.filter(company=company_id)
    billed: dict[int | None, set[date | None]] = {}
    invoiced = Invoice.objects.filter(agreement__in=agreements).order_by().values_list("agreement_id", "period_start")
    for pk, start in invoiced:
        billed.setdefault(pk, set()).add(start)
    rows = [
        UnbilledPeriod(
            agreement_id=agreement.pk,
            agreement=agreement.number,
            name=agreement.name,
            company_id=agreement.company_id,
            customer=agreement.company.name,
            period=period,
            amount=amount_of(lines),
        )
        for agreement in agreements.prefetch_related("additions__product")
        for period in _through(agreement, through)
        if period.start not in billed.get(agreement.pk, ()) and (lines := lines_of(agreement, period))
    ]
    return sorted(rows, key=lambda row: (row.period.start, row.agreement_id))


def _through(agreement: Agreement, through: date) -> Iterator[Period]:
    for period in periods_of(agreement):
        if period.start > through:
            return
        yield period
