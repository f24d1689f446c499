"""What covered work earns of revenue that was billed ahead under an agreement with prepayment.

A block is earned at what was paid for it, not at list price: of what was billed for an application period, the share
that has been drawn of the period's allocation. The shares are rounded cumulatively, so that a block that is used up has
earned exactly what was deferred for it (WE-5). What an adjustment grants was not paid for and earns nothing. What of a
period's value lapsed unused and was earned as breakage (see :mod:`~.breakage`) is not earned again by late work.

What is credited of a block has no more to earn. What of it was earned by then is taken back from revenue with the
credit, by a line of zero of its own (:func:`taken_back`); it is earned again where the block is billed again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from django.db.models import Max, Q, QuerySet, Sum

from counterfoil.agreements.models import Agreement
from counterfoil.billing.holds import standing
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, LineKind
from counterfoil.core.calendar import Period
from counterfoil.core.coverage import CoverageTerms, application_periods
from counterfoil.core.money import ZERO, format_money, round_money, sum_money
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
    so_far = InvoiceLine.objects.filter(counted, agreement=agreement_id).exclude(
        invoice__reversed_by=None, credited_line=None, charge__in=new
    )
    released = _released(so_far)
    starts = [*used, *(date.fromisoformat(lot) for row in rows for lot, _, _ in row.draws)]
    values = values_of(agreement_id, terms, max(starts, default=terms.start), counted)
    given_up = lapsed_of(agreement_id, values, terms)
    earned = {}
    for row in rows:
        _draw(used, row.draws)
        due = _due(used, values, terms, given_up)
        earned[row.charge_id] = sum_money([due, -released])
        released = due
    return earned


def drawn_of(allocations: QuerySet[Allocation]) -> dict[date, Fraction]:
    """How many units work has drawn of each application period's own allocation, by its first day."""
    used: dict[date, Fraction] = defaultdict(Fraction)
    for draws in allocations.values_list("draws", flat=True):
        _draw(used, draws)
    return used


def lapsed_of(agreement_id: int, values: Mapping[date, Fraction], terms: CoverageTerms) -> dict[date, Fraction]:
    """What of each application period's value was earned as breakage and still is, by the period's first day.

    Where a part of the value has been credited since, it is not more than the rest; none where the agreement has ended
    before the period.
    """
    rows = InvoiceLine.objects.filter(agreement=agreement_id, charge=None, service_start__isnull=False)
    sums = (
        rows.exclude(released_amount=0).order_by().values_list("service_start").annotate(total=Sum("released_amount"))
    )
    lost = {start: Fraction(total) for start, total in sums if start is not None}
    is_on = {start: terms.end is None or start < terms.end for start in lost}
    return {start: min(total, values.get(start, total)) for start, total in lost.items() if is_on[start]}


def _due(
    used: Mapping[date, Fraction],
    values: Mapping[date, Fraction],
    terms: CoverageTerms,
    given_up: Mapping[date, Fraction],
) -> Decimal:
    """What is earned in all: by so much use, and as breakage."""
    by_work = sum(earned_of(used, values, terms, given_up).values(), Fraction(0))
    return round_money(by_work + sum(given_up.values(), Fraction(0)))


def _released(lines: QuerySet[InvoiceLine]) -> Decimal:
    return lines.exclude(released_amount=0).aggregate(total=Sum("released_amount"))["total"] or ZERO


def _draw(used: dict[date, Fraction], draws: Iterable[tuple[str, bool, str]]) -> None:
    for lot, adjustment, units in draws:
        if not adjustment:
            used[date.fromisoformat(lot)] += Fraction(units)


def earned_of(
    used: Mapping[date, Fraction],
    values: Mapping[date, Fraction],
    terms: CoverageTerms,
    given_up: Mapping[date, Fraction],
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
                earned[lot] = min(earned[lot], value - given_up[lot])
    return earned


def values_of(agreement_id: int, terms: CoverageTerms, through: date, counted: Q) -> dict[date, Fraction]:
    """What was billed ahead for each application period, by its first day: by days where billing cycles differ.

    What was billed for days after the agreement has ended is a part of what its own days cost, or, where all of them
    are, of what its last period did: together they are worth all that was billed.
    """
    billed = InvoiceLine.objects.filter(
        counted, agreement=agreement_id, deferred=True, down_payment=None, period_start__isnull=False
    ).order_by()
    lines = list(billed.values_list("period_start", "period_end").annotate(total=Sum("amount")))
    periods = application_periods(terms, through)
    if terms.one_time:
        return {period.start: Fraction(sum_money(total for _, _, total in lines)) for period in periods}
    values: dict[date, Fraction] = {}
    for period in periods:
        parts = (Fraction(total) * _share(Period(start, end), period, terms.end or end) for start, end, total in lines)
        values[period.start] = sum(parts, Fraction(0))
    return values


def _share(billed: Period, granted: Period, end: date) -> Fraction:
    """What of a billed period falls into one that grants an allocation, of an agreement that ended before ``end``."""
    last = min(billed.end, end)
    if last <= billed.start:
        return Fraction(granted.end == end)
    days = (min(last, granted.end) - max(billed.start, granted.start)).days
    return Fraction(max(days, 0), (last - billed.start).days)


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


def taken_back(invoice: Invoice, lines: Sequence[InvoiceLine]) -> list[InvoiceLine]:
    """As an invoice is closed: lines of zero that take back what was earned of what is credited now. Unsaved.

    The customer has that back, so it is no revenue any more. What was taken back is earned again as far as it is billed
    again, or as what had earned it is itself reversed.
    """
    moving = [line for line in lines if line.agreement and _moves(line)]
    agreements = {line.agreement_id: line.agreement for line in moving if line.agreement}
    before = _taken_back_before(pk for pk in agreements if pk is not None)
    falling = {line.agreement_id for line in moving if line.amount < 0 or line.released_amount < 0}
    touched = [each for pk, each in agreements.items() if pk in falling or before.get(pk or 0)]
    outcomes = allocating.decide(touched) if touched else {}
    made = []
    for agreement in touched:
        taken = before.get(agreement.pk, ZERO)
        excess = _too_much_earned(invoice, agreement, outcomes[agreement.pk].terms, taken)
        if excess != -taken:
            made.append(_correction(invoice, agreement, sum_money([-excess, -taken])))
    return made


def _moves(line: InvoiceLine) -> bool:
    """Whether it changes what is billed ahead for work, or what of it is earned."""
    is_ahead = line.deferred and line.period_start is not None and line.down_payment_id is None
    return is_ahead or bool(line.released_amount)


#: Lines that take back what was earned, or earn it again: of no work and no application period.
_TAKEN_BACK = Q(charge=None, service_start=None, deferred=False)


def _taken_back_before(agreement_ids: Iterable[int]) -> dict[int, Decimal]:
    """What was taken back, by agreement: below zero."""
    rows = InvoiceLine.objects.filter(_TAKEN_BACK, CLOSED, agreement__in=list(agreement_ids)).exclude(released_amount=0)
    sums = rows.order_by().values_list("agreement").annotate(total=Sum("released_amount"))
    return {pk: total for pk, total in sums if pk is not None}


def _too_much_earned(invoice: Invoice, agreement: Agreement, terms: CoverageTerms, taken: Decimal) -> Decimal:
    """What is earned, but for what was ``taken`` back, beyond what is due with the invoice; never below zero."""
    counted = CLOSED | Q(invoice=invoice)
    lines = InvoiceLine.objects.filter(counted, agreement=agreement)
    earned = sum_money([_released(lines), -taken])
    billed = lines.filter(deferred=True, down_payment=None, period_start__isnull=False)
    ahead = billed.aggregate(total=Sum("amount"))["total"] or ZERO
    due = ahead
    if terms.allocation_on(terms.start):  # else there is nothing to measure the use by any more
        work = standing().filter(counted, charge__agreement=agreement).values("charge")
        used = drawn_of(Allocation.objects.filter(agreement=agreement, charge__in=work))
        through = billed.aggregate(last=Max("period_start"))["last"]
        values = values_of(agreement.pk, terms, max([*used, through or terms.start]), counted)
        due = min(ahead, _due(used, values, terms, lapsed_of(agreement.pk, values, terms)))
    return max(sum_money([earned, -due]), ZERO)


def _correction(invoice: Invoice, agreement: Agreement, amount: Decimal) -> InvoiceLine:
    """A line at nothing due, not shown to the customer; below zero it takes back."""
    what = "Taken back of what was earned" if amount < 0 else "Earned again"
    why = (
        "what was billed ahead for it is credited"
        if amount < 0
        else "it is billed again, or what earned it is reversed"
    )
    return InvoiceLine(
        invoice=invoice,
        kind=LineKind.SERVICE,
        description=f"{what} of {agreement.number}",
        quantity=Decimal(1),
        unit_price=Decimal(0),
        amount=ZERO,
        taxable=False,
        hidden=True,
        released_amount=amount,
        agreement=agreement,
        explanation=f"{what}, {format_money(abs(amount))}: {why}",
    )
