"""Breakage: what was paid ahead for work and lapsed unused is earned, since nothing is owed for it any more.

A block's application period grants so many units, and what was billed ahead for it is deferred. What of it is not
drawn when the period, with what it carries over, is over (or the agreement is) can no longer be used. ASC 606-10-55-48
calls that breakage: revenue, once it is remote that the customer exercises its right. Work that was done in time and is
not billed yet still earns its share; what it has drawn does not lapse.

It is booked by an invoice of zero, closed at once: Dr deferred revenue / Cr revenue of the agreement. What is wrong is
taken back by reversing that invoice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from django.db import connection
from django.db.models import Sum

from counterfoil.agreements.models import Agreement
from counterfoil.billing.closing import close
from counterfoil.billing.drafts import check_billable, set_bill_to, set_terms, terms_for, write_draft
from counterfoil.billing.earned import CLOSED, drawn_of, earned_of, lapsed_of, values_of
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceType, LineKind
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.coverage import OPEN_END, CoverageTerms, application_periods
from counterfoil.core.coverage_terms import pool_label
from counterfoil.core.money import ZERO, format_money, round_money, sum_money
from counterfoil.platform import audit
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import is_there, locked_all
from counterfoil.platform.records import plain_number
from counterfoil.usage import allocating
from counterfoil.usage.models import Allocation

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Lapsed:
    """What of an application period lapsed unused and is not earned yet.

    ``unused`` of ``granted`` units were not drawn; ``amount`` is what of the ``value`` billed ahead for it they stand
    for. ``on`` is the first day on which it could no longer be used.
    """

    period: Period
    on: date
    granted: Decimal
    unused: Decimal
    value: Decimal
    amount: Decimal

    @property
    def label(self) -> str:
        """The period, as people write it."""
        return pool_label(self.period)


@dataclass(frozen=True, slots=True)
class Prepaid:
    """How an agreement with prepayment stands: billed ahead, earned by work, earned as breakage, lapsed, deferred."""

    agreement: Agreement
    billed: Decimal
    earned: Decimal
    given_up: Decimal
    lapsed: tuple[Lapsed, ...]

    @property
    def deferred(self) -> Decimal:
        """What is still deferred, what lapsed included."""
        return sum_money([self.billed, -self.earned, -self.given_up])

    @property
    def amount(self) -> Decimal:
        """What lapsed and can be earned."""
        return sum_money(row.amount for row in self.lapsed)


def prepaid(*, on: date, agreement_ids: Iterable[int] | None = None) -> list[Prepaid]:
    """How the agreements with prepayment stand on a day, by number; without those that nothing was billed ahead for.

    Args:
        on: what could no longer be used on that day has lapsed.
        agreement_ids: only these.
    """
    rows = Agreement.objects.filter(prepayment=True, application_limit__isnull=False, application_unlimited=False)
    if agreement_ids is not None:
        rows = rows.filter(pk__in=list(agreement_ids))
    agreements = list(rows.select_related("company", "bill_to", "type").order_by("number"))
    sums = _sums([agreement.pk for agreement in agreements])
    known = [agreement for agreement in agreements if agreement.pk in sums]
    outcomes = allocating.decide(known, through=on) if known else {}
    return [_prepaid(agreement, outcomes[agreement.pk].terms, sums[agreement.pk], on) for agreement in known]


#: Agreements of which something is earned, with a change since they or their parents were billed last.
_GIVING_BACK: Final = """
    SELECT DISTINCT coalesce(a.parent_id, a.id)
    FROM agreements_agreement a
        LEFT JOIN agreements_billingstate s ON s.agreement_id = a.id
        LEFT JOIN agreements_billingstate p ON p.agreement_id = a.parent_id
    WHERE a.prepayment AND (s.changed_from IS NOT NULL OR p.changed_from IS NOT NULL)
        AND EXISTS (SELECT 1 FROM billing_invoiceline l WHERE l.agreement_id = a.id AND l.released_amount <> 0)
"""


def agreements_giving_back(agreement_ids: Sequence[int]) -> list[int]:
    """Those of the agreements whose next invoice may give back what is earned already, in order; few statements.

    What is given back of it is taken back from revenue as the invoice is closed by itself (see :mod:`~.earned`).
    """
    if not is_there("SELECT 1 FROM agreements_billingstate WHERE changed_from IS NOT NULL"):
        return []
    with connection.cursor() as cursor:
        cursor.execute(_GIVING_BACK)
        found = {pk for (pk,) in cursor.fetchall()}
    return sorted(found.intersection(agreement_ids))


def _sums(agreement_ids: Sequence[int]) -> dict[int, tuple[Decimal, Decimal]]:
    """Billed ahead, and earned of it in all, of closed invoices, by agreement."""
    lines = InvoiceLine.objects.filter(CLOSED, agreement__in=agreement_ids).order_by()
    ahead = lines.filter(deferred=True, down_payment=None, period_start__isnull=False)
    billed = dict(ahead.values_list("agreement").annotate(total=Sum("amount")))
    earned = dict(lines.exclude(released_amount=0).values_list("agreement").annotate(total=Sum("released_amount")))
    return {pk: (amount, earned.get(pk, ZERO)) for pk, amount in billed.items()}


def _prepaid(agreement: Agreement, terms: CoverageTerms, sums: tuple[Decimal, Decimal], on: date) -> Prepaid:
    billed, earned = sums
    values = values_of(agreement.pk, terms, on, CLOSED)
    lost = lapsed_of(agreement.pk, values, terms)
    given_up = round_money(sum(lost.values(), Fraction(0)))
    found: list[Lapsed] = []
    rest = sum_money([billed, -earned])
    for row in _lapsed(agreement.pk, terms, on, values, lost):
        amount = min(row.amount, rest)  # never more than is deferred
        if amount > 0:
            found.append(Lapsed(row.period, row.on, row.granted, row.unused, row.value, amount))
            rest = sum_money([rest, -amount])
    return Prepaid(agreement, billed, sum_money([earned, -given_up]), given_up, tuple(found))


def _lapsed(
    agreement_id: int,
    terms: CoverageTerms,
    on: date,
    values: Mapping[date, Fraction],
    given_up: Mapping[date, Fraction],
) -> Iterator[Lapsed]:
    """What lapsed of each period, rounded cumulatively with what work has earned, so that all of it comes to the whole.

    Work that is not billed yet counts as if it were: it will earn its share.
    """
    used = drawn_of(Allocation.objects.filter(agreement=agreement_id))
    earning = earned_of(used, values, terms, given_up)
    exact = sum(earning.values(), Fraction(0))
    so_far = round_money(exact)
    for period in application_periods(terms, on):
        lapses = lapses_on(terms, period)
        value, granted = values.get(period.start, Fraction(0)), terms.allocation_on(period.start)
        if lapses is None or lapses > on or not value:
            continue
        used_of_it, lost = earning.get(period.start, Fraction(0)), given_up.get(period.start, Fraction(0))
        exact += max(value - used_of_it - lost, Fraction(0))
        amount = sum_money([round_money(exact), -so_far])
        so_far = round_money(exact)
        unused = max(granted - _units(used.get(period.start, Fraction(0))), Decimal(0))
        yield Lapsed(period, lapses, granted, unused, round_money(value), amount)


def _units(units: Fraction) -> Decimal:
    return Decimal(units.numerator) / Decimal(units.denominator)


def lapses_on(terms: CoverageTerms, period: Period) -> date | None:
    """The first day on which nothing of a period's own allocation can be used any more, if there is one."""
    day = period.end
    if terms.carry_over and not terms.one_time:
        day = OPEN_END if terms.carry_over_days is None else period.end + timedelta(days=terms.carry_over_days)
    day = min(day, terms.end or OPEN_END)
    return None if day == OPEN_END else day


@command(roles=(Role.FINANCE,))
def earn_lapsed(*, actor: Actor, on: date, now: datetime, agreement_ids: Sequence[int] | None = None) -> list[Invoice]:
    """Earn what of prepaid work lapsed unused through a day: one closed invoice of zero for each agreement.

    Running it twice earns nothing twice. It is never more than is deferred.

    Args:
        actor: who earns it.
        on: the day: what could no longer be used then has lapsed; also the date of the invoices.
        now: when they are closed.
        agreement_ids: only these agreements; all with prepayment when they are not given.

    Returns:
        The invoices, by the agreement's number; none where nothing lapsed.

    Raises:
        DomainError: ``not_found`` for an agreement that is not there; ``held``, ``my_company_not_billable``.
    """
    if agreement_ids is not None:
        locked_all(Agreement.objects.all(), set(agreement_ids), "agreement_ids")
    due = [row.agreement.pk for row in prepaid(on=on, agreement_ids=agreement_ids) if row.lapsed]
    allocating.refresh(due)  # what covers the work is decided anew, and the agreements are held
    made = [_earn(actor, row, on, now) for row in prepaid(on=on, agreement_ids=due) if row.lapsed]
    total = sum_money(sum_money(line.released_amount for line in invoice.lines.all()) for invoice in made)
    text = f"earned what lapsed unused through {format_date(on)}: {format_money(total)} of {len(made)} agreements"
    audit.record(actor, "billing.lapsed.earned", text, invoices=[invoice.number for invoice in made])
    return made


def _earn(actor: Actor, row: Prepaid, on: date, now: datetime) -> Invoice:
    agreement = row.agreement
    check_billable(agreement.bill_to)
    invoice = Invoice(type=InvoiceType.STANDARD, company=agreement.company, date=on, reference=agreement.number)
    set_bill_to(invoice, agreement.bill_to)
    set_terms(invoice, terms_for(bill_to=agreement.bill_to, agreement=agreement))
    write_draft(invoice, [_line(agreement, lapsed) for lapsed in row.lapsed])
    close([invoice], now)
    text = f"earned {format_money(row.amount)} of {agreement.number} that lapsed unused, on {invoice.number}"
    audit.record(actor, "billing.lapsed.earned", text, agreement, invoice=invoice.number)
    return invoice


def _line(agreement: Agreement, lapsed: Lapsed) -> InvoiceLine:
    """A line at nothing due, not shown to the customer, that earns what was deferred."""
    last = min(lapsed.period.end, lapsed.on)
    words = f"{plain_number(lapsed.unused)} of {plain_number(lapsed.granted)} not used by {format_date(last - _DAY)}"
    return InvoiceLine(
        kind=LineKind.SERVICE,
        description=f"Lapsed unused of {agreement.number}, {lapsed.label}"[:200],
        quantity=Decimal(1),
        unit_price=Decimal(0),
        amount=ZERO,
        taxable=False,
        hidden=True,
        released_amount=lapsed.amount,
        agreement=agreement,
        service_start=lapsed.period.start,
        service_end=max(last, lapsed.period.start + _DAY),
        explanation=f"{words}: {format_money(lapsed.amount)} of {format_money(lapsed.value)}"[:300],
    )
