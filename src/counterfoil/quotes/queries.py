"""What is known about opportunities (their lines, what is left to convert, what they are worth) and quotes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from django.db.models import Q, QuerySet

from counterfoil.core.calendar import Cycle
from counterfoil.core.money import ZERO, extend, multiply, round_money, round_to, sum_money
from counterfoil.core.pricing.terms import cycles_in
from counterfoil.platform.aggregates import count_of
from counterfoil.quotes.models import LineAction, LineConversion, Opportunity, QuoteLine
from counterfoil.quotes.version_queries import (
    ChangedLine,
    Comparison,
    Editor,
    EditorRow,
    EditorSection,
    QuoteRow,
    VersionDifference,
    amounts_of,
    approval_rules,
    approvals,
    compare_versions,
    editor,
    editor_of,
    is_of_newest,
    newest_version,
    newest_version_id,
    quote_rows,
    quote_settings,
    quotes,
    version,
    versions,
    waiting_approvals,
)

__all__ = [
    "ChangedLine",
    "Comparison",
    "Editor",
    "EditorRow",
    "EditorSection",
    "QuoteLineRow",
    "QuoteRow",
    "Totals",
    "VersionDifference",
    "amounts_of",
    "approval_rules",
    "approvals",
    "compare_versions",
    "editor",
    "editor_of",
    "is_of_newest",
    "line_rows",
    "lines",
    "newest_version",
    "newest_version_id",
    "opportunities",
    "opportunity",
    "quote_rows",
    "quote_settings",
    "quotes",
    "totals",
    "totals_of",
    "unconverted_lines",
    "version",
    "versions",
    "waiting_approvals",
]


def opportunities(*, search: str = "", status: str = "", company_id: int | None = None) -> QuerySet[Opportunity]:
    """Opportunities, newest first, with ``line_count`` and ``unconverted_count``; by words, status, company."""
    rows = Opportunity.objects.select_related("company", "site", "contact", "sales_rep").annotate(
        line_count=count_of(Opportunity, "lines"),
        unconverted_count=count_of(Opportunity, "lines", Q(lines__conversion__isnull=True)),
    )
    for word in search.split():
        rows = rows.filter(Q(number__icontains=word) | Q(name__icontains=word) | Q(company__name__icontains=word))
    if status:
        rows = rows.filter(status=status)
    return rows if company_id is None else rows.filter(company_id=company_id)


def opportunity(opportunity_id: int) -> Opportunity | None:
    """One opportunity with company, site, contact and sales rep."""
    return opportunities().filter(pk=opportunity_id).first()


def lines(opportunity_id: int) -> QuerySet[QuoteLine]:
    """The lines of an opportunity, in order, with product and conversion."""
    rows = QuoteLine.objects.filter(opportunity_id=opportunity_id)
    return rows.select_related("product", "conversion").order_by("position")


def unconverted_lines(opportunity_id: int) -> QuerySet[QuoteLine]:
    """What has not been converted yet, in order."""
    return lines(opportunity_id).filter(conversion__isnull=True)


@dataclass(frozen=True, slots=True)
class QuoteLineRow:
    """A quote line with its amounts for one cycle (or once), before tax, and what it became."""

    line: QuoteLine
    amount: Decimal
    cost: Decimal
    recurrence: str
    conversion: LineConversion | None


def line_rows(opportunity_id: int) -> tuple[QuoteLineRow, ...]:
    """The lines of an opportunity for its page, in order (one query)."""
    return tuple(
        QuoteLineRow(
            line,
            extend(line.quantity, line.unit_price),
            extend(line.quantity, line.unit_cost),
            _recurrence(line),
            getattr(line, "conversion", None),
        )
        for line in lines(opportunity_id)
    )


def _recurrence(line: QuoteLine) -> str:
    """``Once``, ``Monthly × 36``, ``Monthly, open-ended``."""
    if not line.is_recurring:
        return "Once"
    label = Cycle.parse(line.billing_cycle).label
    return f"{label} × {line.cycles}" if line.cycles else f"{label}, open-ended"


@dataclass(frozen=True, slots=True)
class Totals:
    """What lines are worth, before tax, in the MSP's currency.

    One-time and monthly amounts are never added up blindly: ``term_*`` is what the recurring lines with an end come to
    over all their cycles, and ``revenue``, ``cost`` and ``profit`` are one-time plus term. Open-ended lines count in
    the monthly amounts alone; ``open_ended`` says that there are some.
    """

    one_time_revenue: Decimal = ZERO
    one_time_cost: Decimal = ZERO
    monthly_revenue: Decimal = ZERO
    monthly_cost: Decimal = ZERO
    term_revenue: Decimal = ZERO
    term_cost: Decimal = ZERO
    open_ended: bool = False

    @property
    def revenue(self) -> Decimal:
        """What the customer pays, once and over the term."""
        return self.one_time_revenue + self.term_revenue

    @property
    def cost(self) -> Decimal:
        """What it costs, once and over the term."""
        return self.one_time_cost + self.term_cost

    @property
    def profit(self) -> Decimal:
        """WE-27: revenue 11,000 less cost 6,300 is 4,700."""
        return self.revenue - self.cost

    @property
    def margin(self) -> Decimal | None:
        """Profit in per cent of revenue, to one decimal; ``None`` without revenue."""
        return round_to(Fraction(self.profit) / Fraction(self.revenue) * 100, 1) if self.revenue else None


def totals(opportunity_id: int) -> Totals:
    """What all lines of an opportunity are worth."""
    return totals_of(QuoteLine.objects.filter(opportunity_id=opportunity_id))


def totals_of(quoted: Iterable[QuoteLine]) -> Totals:
    """What the given lines are worth. Each cycle is rounded as it is billed; a month is rounded once.

    What takes away from an addition counts below zero; the estimates of usage lines do not count.
    """
    all_lines = [line for line in quoted if not line.is_usage]
    once = [line for line in all_lines if not line.is_recurring]
    recurring = [line for line in all_lines if line.is_recurring]
    ending = [(line, count) for line in recurring if (count := _cycles(line))]
    return Totals(
        one_time_revenue=sum_money(_worth(line, line.unit_price) for line in once),
        one_time_cost=sum_money(_worth(line, line.unit_cost) for line in once),
        monthly_revenue=_monthly((line, line.unit_price) for line in recurring),
        monthly_cost=_monthly((line, line.unit_cost) for line in recurring),
        term_revenue=sum_money(_worth(line, line.unit_price) * count for line, count in ending),
        term_cost=sum_money(_worth(line, line.unit_cost) * count for line, count in ending),
        open_ended=len(ending) < len(recurring),
    )


def _sign(line: QuoteLine) -> int:
    return -1 if line.action in (LineAction.DECREASE, LineAction.CANCEL) else 1


def _worth(line: QuoteLine, price: Decimal) -> Decimal:
    return extend(line.quantity, price) * _sign(line)


def _cycles(line: QuoteLine) -> int | None:
    """How many it is billed: as said, or as many as its term holds; ``None`` without an end."""
    return line.cycles or (cycles_in(line.term, line.billing_cycle) if line.term else None)


def _monthly(priced: Iterable[tuple[QuoteLine, Decimal]]) -> Decimal:
    exact = Fraction(0)
    for line, price in priced:
        exact += _sign(line) * Fraction(multiply(line.quantity, price)) * Cycle.parse(line.billing_cycle).per_month
    return round_money(exact)
