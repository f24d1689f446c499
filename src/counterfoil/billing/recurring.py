"""What of an agreement is to be invoiced: which period, with which lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.agreements.models import Addition, Agreement, BillingOption
from counterfoil.agreements.queries import PeriodLine, all_periods, period_lines
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, format_money, sum_money
from counterfoil.ledger.queries import books_reach
from counterfoil.platform.records import plain_number as plain


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
    for period in all_periods(agreement):
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
    """The unsaved lines for one period: the billing amount, then one line for each addition in effect (WE-18)."""
    return [_line_of(line, period) for line in period_lines(agreement, period)]


def amount_of(lines: list[InvoiceLine]) -> Decimal:
    """What lines come to before tax."""
    return sum_money(line.amount for line in lines)


def _line_of(line: PeriodLine, period: Period) -> InvoiceLine:
    common = {
        "quantity": line.quantity,
        "unit_price": line.unit_price,
        "amount": line.amount,
        "taxable": line.taxable,
    }
    addition = line.addition
    if addition is None:
        explanation = f"Billing amount for {period.label}"
        return InvoiceLine(description=line.description[:200], explanation=explanation, **common)
    return InvoiceLine(
        product=addition.product,
        description=(addition.invoice_text.strip() or addition.description)[:200],
        cost=extend(addition.quantity, addition.unit_cost),
        explanation=_explanation(line, addition, period)[:300],
        addition=addition,
        origin_id=addition.origin_id,
        **common,
    )


def _explanation(line: PeriodLine, addition: Addition, period: Period) -> str:
    included = f" ({plain(addition.quantity)} less {plain(addition.less_included)} included)"
    return (
        f"{plain(line.quantity)}{included if addition.less_included else ''} × {plain(line.unit_price)}"
        f" for {period.label} = {format_money(line.amount)}"
        + (", no charge" if addition.billing_option == BillingOption.NO_CHARGE else "")
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
    for period in all_periods(agreement):
        if period.start > through:
            return
        yield period


def refuse_beyond_the_books(through: date) -> None:
    """Refuse to look for periods after the last accounting period: a slip of the year would bill decades.

    Raises:
        DomainError: ``period_missing``.
    """
    if not books_reach(through):
        raise DomainError(
            "period_missing",
            f"The books do not reach {format_date(through)}: there is no accounting period so late.",
            field="through",
            hint=f"Check the year, or open the periods of {through.year} under Books, Periods.",
        )
