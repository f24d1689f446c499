"""What covered work earns of revenue that was billed ahead under an agreement with prepayment.

A block is earned at what was paid for it, not at list price: of what was billed for an application period, the share
that has been drawn of the period's allocation. The shares are rounded cumulatively, so that a block that is used up has
earned exactly what was deferred for it (WE-5). What an adjustment grants was not paid for and earns nothing. What of a
period's value lapsed unused and was earned as breakage (see :mod:`~.breakage`) is not earned again by late work.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from django.db.models import Q, QuerySet, Sum

from counterfoil.billing.holds import standing
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus
from counterfoil.core.calendar import Period
from counterfoil.core.coverage import CoverageTerms, application_periods
from counterfoil.core.money import ZERO, round_money, sum_money
from counterfoil.usage import allocating
from counterfoil.usage.models import Allocation
from counterfoil.usage.queries import is_split

CLOSED = Q(invoice__status=InvoiceStatus.CLOSED)


def earned_by(
    charge_ids: Sequence[int], terms: Mapping[int, CoverageTerms], *, closed_only: bool = False
) -> dict[int, Decimal]:
    """What each charge earns of what was deferred, by its id; they are taken in that order, after all others billed.

    Args:
        charge_ids: covered work that is being billed.
        terms: of the agreements with prepayment that cover it, by id; others earn nothing.
        closed_only: leave drafts out of account, as when an invoice is closed.
    """
    drawn = {
        row.charge_id: row
        for row in Allocation.objects.filter(charge__in=charge_ids, agreement__in=terms).only(
            "charge_id", "agreement_id", "draws"
        )
    }
    earned = dict.fromkeys(charge_ids, ZERO)
    by_agreement: dict[int, list[Allocation]] = defaultdict(list)
    for pk in charge_ids:
        if pk in drawn:
            by_agreement[drawn[pk].agreement_id].append(drawn[pk])
    for agreement_id, rows in by_agreement.items():
        earned |= _earned_under(agreement_id, terms[agreement_id], rows, closed_only)
    return earned


def _earned_under(
    agreement_id: int, terms: CoverageTerms, rows: Sequence[Allocation], closed_only: bool
) -> dict[int, Decimal]:
    counted = CLOSED if closed_only else Q()
    new = [row.charge_id for row in rows]
    billed = standing().filter(counted, charge__agreement=agreement_id).exclude(charge__in=new).values("charge")
    used = drawn_of(Allocation.objects.filter(agreement=agreement_id, charge__in=billed))
    given_up = lapsed_of(agreement_id)
    so_far = InvoiceLine.objects.filter(counted, agreement=agreement_id, charge__isnull=False).exclude(
        invoice__reversed_by=None, credited_line=None, charge__in=new
    )
    released = so_far.aggregate(total=Sum("released_amount"))["total"] or ZERO
    starts = [*used, *(date.fromisoformat(lot) for row in rows for lot, _, _ in row.draws)]
    values = values_of(agreement_id, terms, max(starts, default=terms.start), counted)
    earned = {}
    for row in rows:
        _draw(used, row.draws)
        due = round_money(sum(earned_of(used, values, terms, given_up).values(), Fraction(0)))
        earned[row.charge_id] = sum_money([due, -released])
        released = due
    return earned


def drawn_of(allocations: QuerySet[Allocation]) -> dict[date, Fraction]:
    """How many units work has drawn of each application period's own allocation, by its first day."""
    used: dict[date, Fraction] = defaultdict(Fraction)
    for draws in allocations.values_list("draws", flat=True):
        _draw(used, draws)
    return used


def lapsed_of(agreement_id: int) -> dict[date, Decimal]:
    """What of each application period's value was earned as breakage, by the period's first day."""
    rows = InvoiceLine.objects.filter(agreement=agreement_id, charge=None).exclude(released_amount=0).order_by()
    sums = rows.values_list("service_start").annotate(total=Sum("released_amount"))
    return {start: total for start, total in sums if start is not None}


def _draw(used: dict[date, Fraction], draws: Iterable[tuple[str, bool, str]]) -> None:
    for lot, adjustment, units in draws:
        if not adjustment:
            used[date.fromisoformat(lot)] += Fraction(units)


def earned_of(
    used: Mapping[date, Fraction],
    values: Mapping[date, Fraction],
    terms: CoverageTerms,
    given_up: Mapping[date, Decimal],
) -> dict[date, Fraction]:
    """What so much use has earned: of each period's value, the share of its allocation that is drawn, exact.

    Never what was given up of it, as breakage.
    """
    earned: dict[date, Fraction] = {}
    for lot, units in used.items():
        if granted := Fraction(terms.allocation_on(lot)):
            value = values.get(lot, Fraction(0))
            earned[lot] = value * min(units / granted, Fraction(1))
            if lot in given_up:
                earned[lot] = min(earned[lot], value - Fraction(given_up[lot]))
    return earned


def values_of(agreement_id: int, terms: CoverageTerms, through: date, counted: Q) -> dict[date, Fraction]:
    """What was billed ahead for each application period, by its first day: by days where billing cycles differ."""
    billed = InvoiceLine.objects.filter(
        counted, agreement=agreement_id, deferred=True, down_payment=None, period_start__isnull=False
    ).order_by()
    lines = list(billed.values_list("period_start", "period_end").annotate(total=Sum("amount")))
    periods = application_periods(terms, through)
    if terms.one_time:
        return {period.start: Fraction(sum_money(total for _, _, total in lines)) for period in periods}
    values: dict[date, Fraction] = {}
    for period in periods:
        parts = (Fraction(total) * _share(Period(start, end), period) for start, end, total in lines)
        values[period.start] = sum(parts, Fraction(0))
    return values


def _share(billed: Period, granted: Period) -> Fraction:
    days = (min(billed.end, granted.end) - max(billed.start, granted.start)).days
    return Fraction(max(days, 0), (billed.end - billed.start).days)


def settle_earned(invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
    """As an invoice is closed: what its covered work earns, drafts left out of account. Unsaved."""
    covered = [line for line in lines if line.charge_id is not None and line.credited_line_id is None]
    covered = [line for line in covered if not _is_beyond_the_limit(line)]
    agreements = {line.agreement for line in covered if line.agreement is not None and line.agreement.prepayment}
    if not agreements:
        return
    outcomes = allocating.decide(agreements)
    ids = list(dict.fromkeys(line.charge_id for line in covered if line.charge_id is not None))
    earned = earned_by(ids, {pk: outcome.terms for pk, outcome in outcomes.items()}, closed_only=True)
    for line in covered:  # the first line of a charge has it
        line.released_amount = earned.pop(line.charge_id or 0, ZERO)


def _is_beyond_the_limit(line: InvoiceLine) -> bool:
    """Whether it bills what of a charge is beyond an overrun limit: what is covered of it stands on another invoice."""
    if line.period_start is not None or line.covered_quantity or line.covered_amount:
        return False
    charge = line.charge
    return charge is not None and is_split(charge) and line.quantity < charge.billed_quantity
