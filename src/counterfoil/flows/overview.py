"""How the MSP stands today: money this month, recurring revenue, profit, agreements that end, first steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Count, Q, QuerySet, Sum

from counterfoil.agreements.models import Agreement
from counterfoil.agreements.queries import expiring, total_monthly_values
from counterfoil.billing.models import Invoice, InvoiceStatus, Payment
from counterfoil.billing.queries import open_invoices
from counterfoil.billing.recurring import unbilled
from counterfoil.catalog.models import Product
from counterfoil.companies.models import Company, CompanyKind, Site
from counterfoil.companies.queries import my_company
from counterfoil.core.calendar import add_months, month_end, month_start
from counterfoil.core.money import ZERO, sum_money
from counterfoil.ledger.queries import profit_and_loss
from counterfoil.matching.leaks import leak_totals
from counterfoil.quotes.models import Opportunity, OpportunityStatus


@dataclass(frozen=True, slots=True)
class Money:
    """The month so far. ``billed`` and ``unbilled`` are before tax; ``collected`` and ``overdue`` with it.

    ``leaking`` is what open exceptions of the match cost over the terms, ``leaking_monthly`` a month of it.
    """

    billed: Decimal
    invoices: int
    collected: Decimal
    payments: int
    overdue: Decimal
    late_invoices: int
    late_customers: int
    unbilled: Decimal
    unbilled_agreements: int
    leaking: Decimal
    leaking_monthly: Decimal
    leaks: int


def money_this_month(on: date) -> Money:
    """What was billed and collected in the month of ``on``, what is overdue and what is not billed on that day."""
    this_month = Q(date__gte=month_start(on), date__lte=month_end(on))
    billed = Invoice.objects.filter(this_month, status=InvoiceStatus.CLOSED).aggregate(
        n=Count("pk"), sum=Sum("subtotal")
    )
    collected = Payment.objects.filter(this_month).aggregate(n=Count("pk"), sum=Sum("amount"))
    late = list(open_invoices().filter(due_date__lt=on).values_list("bill_to_id", "balance"))
    waiting = unbilled(through=on)
    leaks = leak_totals().open
    return Money(
        billed=billed["sum"] or ZERO,
        invoices=billed["n"],
        collected=collected["sum"] or ZERO,
        payments=collected["n"],
        overdue=sum_money(balance for _, balance in late),
        late_invoices=len(late),
        late_customers=len({customer for customer, _ in late}),
        unbilled=waiting.amount,
        unbilled_agreements=waiting.agreements,
        leaking=leaks.over_term,
        leaking_monthly=leaks.monthly,
        leaks=leaks.count,
    )


def recurring_by_month(on: date, months: int = 12) -> list[tuple[date, Decimal]]:
    """Monthly recurring revenue at the end of each of the last ``months`` months, the current one as of ``on``."""
    first = add_months(month_start(on), 1 - months)
    days = [min(on, month_end(add_months(first, n))) for n in range(months)]
    return list(zip(map(month_start, days), total_monthly_values(days), strict=True))


@dataclass(frozen=True, slots=True)
class ProfitMonth:
    """A month of the books."""

    month: date
    revenue: Decimal
    profit: Decimal


def profit_by_month(on: date, months: int = 12) -> list[ProfitMonth]:
    """Revenue and net profit of the last ``months`` months, from the books."""
    statement = profit_and_loss(first=add_months(month_start(on), 1 - months), last=on)
    rows = {row.label: row.amounts for row in statement.rows}
    nothing = (ZERO,) * months
    figures = zip(statement.months, rows.get("Total revenue", nothing), rows["Net profit"], strict=True)
    return [ProfitMonth(*each) for each in figures]


def ending_agreements(on: date, days: int = 90) -> QuerySet[Agreement]:
    """Active agreements whose last day is within ``days`` of ``on``, and that are not renewed yet."""
    return expiring(on=on, within_days=days)


def open_opportunities() -> int:
    """Opportunities that are neither won nor lost."""
    return Opportunity.objects.filter(status=OpportunityStatus.OPEN).count()


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What a new installation has already; ``my_company_id`` is whose details come first."""

    my_company_id: int | None
    address: bool
    products: bool
    companies: bool
    opportunity: bool

    @property
    def done(self) -> int:
        """How many of them are done."""
        return sum((self.address, self.products, self.companies, self.opportunity))


def first_steps() -> FirstSteps | None:
    """How far a new installation has come; ``None`` as soon as it has an agreement or an invoice."""
    if Agreement.objects.exists() or Invoice.objects.exists():
        return None
    mine = my_company()
    return FirstSteps(
        my_company_id=mine.pk if mine else None,
        address=Site.objects.filter(company=mine).exclude(line1="").exists(),
        products=Product.objects.exists(),
        companies=Company.objects.exclude(kind=CompanyKind.MY_COMPANY).exists(),
        opportunity=Opportunity.objects.exists(),
    )
