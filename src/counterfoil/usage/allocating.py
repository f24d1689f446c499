"""Deciding what agreements cover, for any number of them at once: load, decide in the core, compare, write.

    outcomes = decide(agreements)
    write(outcomes.values())

The loading takes a constant number of statements. :func:`refresh` does all of it for agreements that were changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, cast

from django.db import connection
from django.db.models import Q, prefetch_related_objects

from counterfoil.agreements.models import (
    Adjustment,
    Agreement,
    ApplicationUnits,
    BillingOption,
    CoverageItem,
    CoverageOrder,
)
from counterfoil.agreements.queries import last_day
from counterfoil.core import coverage
from counterfoil.core.calendar import Cycle, Period
from counterfoil.core.coverage import OPEN_END, Coverage, CoverageTerms, Draw, Entry, Reason
from counterfoil.core.money import round_to
from counterfoil.core.salestax import TaxableLine
from counterfoil.platform.lookup import locked_all
from counterfoil.platform.records import plain_number
from counterfoil.tax.queries import TaxTable, level_history, tax_table
from counterfoil.usage.models import Allocation, Charge, ChargeKind
from counterfoil.usage.rating import RateBook

_OPTIONS: Final = {
    BillingOption.BILLABLE.value: coverage.BillableOption.BILLABLE,
    BillingOption.DO_NOT_BILL.value: coverage.BillableOption.DO_NOT_BILL,
    BillingOption.NO_CHARGE.value: coverage.BillableOption.NO_CHARGE,
}
_TAX_KINDS: Final = {"time": "service", "expense": "expense", "product": "product"}
_NO_PERIOD: Final = Period(date.min, OPEN_END)
_RATE_PLACES: Final = 12
_EXPLANATION: Final = 600

#: What of an allocation decides what is billed; the words may change without it.
MATTERS: Final = (
    "agreement_id", "pool_start", "pool_end", "drawn", "overrun_drawn", "covered_quantity", "covered_amount",
    "covered_tax", "overage_quantity", "overage_price", "overage_amount", "overrun_quantity", "overrun_amount",
    "bill_from", "reason",
)  # fmt: skip
_WRITTEN: Final = (*MATTERS, "draws", "explanation")


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a charge: its allocation as it stands, if any, and as it should be."""

    charge: Charge
    old: Allocation | None
    new: Allocation

    @property
    def matters(self) -> bool:
        """Whether something else would be covered or billed than stands written."""
        return self.old is None or any(getattr(self.old, name) != getattr(self.new, name) for name in MATTERS)

    @property
    def differs(self) -> bool:
        """Whether anything is to be written."""
        return self.old is None or any(getattr(self.old, name) != getattr(self.new, name) for name in _WRITTEN)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an agreement covers, and its pools; ``decisions`` has every charge that is not written off, by date."""

    agreement: Agreement
    terms: CoverageTerms
    coverage: Coverage
    decisions: tuple[Decision, ...] = field(repr=False)


def refresh(agreement_ids: Iterable[int], *, since: Since | None = None) -> dict[int, Outcome]:
    """Decide anew what the agreements cover, and write it; they are locked until the transaction ends.

    Args:
        agreement_ids: which.
        since: the first charge that was entered, changed or taken out: what is decided before it stays as it is.
            Without, everything is decided anew that is not billed; do that when terms have changed.

    Raises:
        DomainError: ``not_found``; ``tax_code_not_in_effect`` where tax is drawn and the code does not hold on a day.
    """
    agreements = locked_all(Agreement.objects.all(), set(agreement_ids))
    outcomes: dict[int, Outcome] = {}
    for agreement in agreements.values():
        earlier = None if since is None else since.earlier(agreement)
        if earlier is None:
            continue
        rest = charges_of([agreement.pk], lock=True, where=~earlier)
        outcomes |= decide([agreement], charges=rest, settled=settled([agreement.pk], earlier))
    outcomes |= decide((each for each in agreements.values() if each.pk not in outcomes), lock=True)
    write(outcomes.values())
    return outcomes


@dataclass(frozen=True, slots=True)
class Since:
    """A charge that was entered, changed or taken out; ``on`` is the earlier of its dates."""

    charge_id: int
    on: date

    def earlier(self, agreement: Agreement) -> Q | None:
        """The charges that are decided before it, whatever becomes of it; None where that cannot be said."""
        if agreement.expire_when_zero or agreement.application_units == ApplicationUnits.INCIDENTS:
            return None
        return Q(pk__lt=self.charge_id) if agreement.coverage_order == CoverageOrder.AS_SAVED else Q(date__lt=self.on)


def decide(
    agreements: Iterable[Agreement],
    *,
    through: date | None = None,
    lock: bool = False,
    charges: dict[int, list[Charge]] | None = None,
    settled: dict[int, list[Entry]] | None = None,
) -> dict[int, Outcome]:
    """What the agreements cover, by id; nothing is written.

    Args:
        agreements: which.
        through: pools are given through this day at least; by default through the last charge.
        lock: whether the charges are held until the transaction ends.
        charges: by agreement, where they are known already.
        settled: what besides them has been drawn, as :func:`settled` gives it.
    """
    wanted = {agreement.pk: agreement for agreement in agreements}
    if charges is None:
        charges = charges_of(wanted, lock=lock)
    adjustments: dict[int, list[coverage.Adjustment]] = defaultdict(list)
    for row in Adjustment.objects.filter(agreement_id__in=wanted).order_by("agreement_id", "date", "id"):
        adjustments[row.agreement_id].append(coverage.Adjustment(row.date, row.amount, row.description))
    items: dict[int, list[CoverageItem]] = defaultdict(list)
    for item in CoverageItem.objects.filter(agreement_id__in=wanted):
        items[cast(int, item.agreement_id)].append(item)
    tables: dict[date, TaxTable] = {}
    outcomes = {}
    for pk, agreement in wanted.items():
        rates = _TaxRates(agreement, tables)
        terms = terms_of(agreement, items[pk], rates)
        mine = charges.get(pk, [])
        entries = [_entry(charge, terms, rates) for charge in mine if _counts(charge)]
        if settled:
            entries += settled.get(pk, [])
        until = max([through or terms.start, *(entry.on for entry in entries)])
        result = coverage.reallocate(terms, entries, adjustments[pk], through=until)
        outcomes[pk] = Outcome(agreement, terms, result, _decisions(agreement, mine, result))
    return outcomes


_SETTLED: Final = """
    WITH kept AS (
        SELECT a.agreement_id, a.pool_start, a.pool_end, a.drawn, a.overrun_drawn, a.draws, c.date
        FROM usage_allocation a JOIN usage_charge c ON c.id = a.charge_id WHERE a.charge_id IN ({charges})
    )
    SELECT agreement_id, pool_start, pool_end, NULL, false, 0, min(date), sum(drawn), sum(overrun_drawn)
    FROM kept GROUP BY 1, 2, 3
    UNION ALL
    SELECT agreement_id, pool_start, pool_end, d ->> 0, (d ->> 1)::boolean, sum((d ->> 2)::numeric), NULL, 0, 0
    FROM kept CROSS JOIN LATERAL jsonb_array_elements(draws) d GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3, 4 NULLS FIRST, 5
"""


def settled(agreement_ids: Collection[int], where: Q | None = None) -> dict[int, list[Entry]]:
    """What has been drawn by charges whose allocations stay, summed up: an entry for each pool (one statement).

    Args:
        agreement_ids: of which agreements.
        where: which charges; all when it is not given.
    """
    if not agreement_ids:
        return {}
    chosen = Allocation.objects.filter(agreement_id__in=agreement_ids, pool_start__isnull=False)
    if where is not None:
        chosen = chosen.filter(charge_id__in=Charge.objects.filter(where).values("pk"))
    sql, parameters = chosen.order_by().values("pk").query.sql_with_params()
    entries: dict[int, list[Entry]] = defaultdict(list)
    with connection.cursor() as cursor:
        cursor.execute(_SETTLED.format(charges=sql), parameters)
        rows = cursor.fetchall()
    for (agreement_id, start, end), of_pool in groupby(rows, key=itemgetter(0, 1, 2)):
        (*_, first, drawn, overrun), *lots = of_pool
        draws = tuple(Draw(date.fromisoformat(row[3]), row[4], row[5]) for row in lots)
        entries[agreement_id].append(_settled_entry(Period(start, end or OPEN_END), first, drawn, overrun, draws))
    return entries


def _settled_entry(pool: Period, on: date, drawn: Decimal, overrun: Decimal, draws: tuple[Draw, ...]) -> Entry:
    nothing = Decimal(0)
    allocation = coverage.Allocation(
        key=pool,
        pool=pool,
        covered_quantity=nothing,
        covered_amount=nothing,
        covered_tax=nothing,
        overrun_quantity=nothing,
        overrun_amount=nothing,
        overage_quantity=nothing,
        overage_amount=nothing,
        drawn=drawn,
        overrun_drawn=overrun,
        draws=draws,
        reason=Reason.COVERED,
        explanation="",
    )
    return Entry(pool, on, 0, "time", nothing, nothing, nothing, pinned=allocation)


def charges_of(
    agreement_ids: Collection[int], *, lock: bool = False, where: Q | None = None
) -> dict[int, list[Charge]]:
    """The charges of agreements that are not written off, by agreement, in the order of date and entry."""
    rows = Charge.objects.filter(agreement_id__in=agreement_ids, written_off_at=None).order_by("date", "id")
    if where is not None:
        rows = rows.filter(where)
    rows = rows.select_related("product")
    if lock:
        rows = rows.select_for_update(of=("self",), no_key=True)
    found: dict[int, list[Charge]] = defaultdict(list)
    by_pk = {charge.pk: charge for charge in rows}
    allocations = Allocation.objects.filter(charge_id__in=by_pk).in_bulk()
    for charge in by_pk.values():
        # The reverse relation is told, so that looking at it asks the database nothing.
        charge._state.fields_cache["allocation"] = allocations.get(charge.pk)
        found[cast(int, charge.agreement_id)].append(charge)
    return found


def write(outcomes: Iterable[Outcome]) -> int:
    """Write the allocations that differ, in one statement; how many there were."""
    rows = [decision.new for outcome in outcomes for decision in outcome.decisions if decision.differs]
    if rows:
        Allocation.objects.bulk_create(rows, update_conflicts=True, unique_fields=["charge"], update_fields=_WRITTEN)
    return len(rows)


def terms_of(agreement: Agreement, items: Sequence[CoverageItem] = (), rates: _TaxRates | None = None) -> CoverageTerms:
    """The agreement's coverage as the core knows it."""
    last = last_day(agreement)
    block = rates.of_billing_amount() if rates is not None else ((agreement.start_date, Decimal(0)),)
    covers = {"time": agreement.covers_time, "expense": agreement.covers_expenses, "product": agreement.covers_products}
    return CoverageTerms(
        units=cast(Any, agreement.application_units),
        limit=agreement.application_limit,
        cycle=Cycle.parse(agreement.application_cycle),
        anchor=agreement.bill_start_date,
        start=agreement.start_date,
        end=None if last is None else max(last, agreement.start_date) + timedelta(days=1),
        unlimited=agreement.application_unlimited,
        base=cast(Any, agreement.application_base),
        one_time=agreement.application_one_time,
        covers=cast(Any, frozenset(kind for kind, covered in covers.items() if covered)),
        covers_sales_tax=agreement.covers_sales_tax,
        prepayment=agreement.prepayment,
        tax_rate=block[0][1],
        later_tax_rates=block[1:],
        carry_over=agreement.carry_over,
        carry_over_days=agreement.carry_over_days,
        allow_overruns=agreement.allow_overruns,
        overrun_limit=agreement.overrun_limit,
        overrun_from=cast(Any, agreement.overrun_from),
        expire_when_zero=agreement.expire_when_zero,
        selection=coverage.Selection(
            mode=cast(Any, agreement.selection),
            work_roles=_ids(items, "work_role_id"),
            work_types=_ids(items, "work_type_id"),
            expense_types=_ids(items, "expense_type_id"),
            products=_ids(items, "product_id"),
        ),
        order=cast(Any, agreement.coverage_order),
    )


def _ids(items: Sequence[CoverageItem], name: str) -> frozenset[Any]:
    return frozenset(pk for item in items if (pk := getattr(item, name)) is not None)


class _TaxRates:
    """What things are taxed at under an agreement, as shares of their amounts; looked up only where tax is drawn."""

    def __init__(self, agreement: Agreement, tables: dict[date, TaxTable]) -> None:
        self.agreement, self.tables = agreement, tables

    def of_billing_amount(self) -> tuple[tuple[date, Decimal], ...]:
        """The rate on the block itself, as it is billed first and from each day on which the tax code changes."""
        agreement, code = self.agreement, self.agreement.tax_code_id
        first, amount = agreement.bill_start_date, agreement.application_limit
        if not self._drawn or code is None or not agreement.billing_amount_taxable or not amount:
            return ((first, Decimal(0)),)
        block = TaxableLine(0, amount, kind="service")
        days = {day for level in level_history(code) for day in (level.valid_from, level.valid_to) if day is not None}
        changed = [(day, self._rate(day, block)) for day in sorted(days) if day > first and self._holds(day)]
        return ((first, self._rate(first, block)), *changed)

    def of(self, charge: Charge) -> Decimal:
        """The rate on a charge, with its exemptions and caps, on its date."""
        if not self._drawn or not charge.taxable or not charge.amount:
            return Decimal(0)
        line = TaxableLine(
            charge.pk,
            charge.amount,
            kind=cast(Any, _TAX_KINDS[charge.kind]),
            quantity=charge.billed_quantity or Decimal(1),
            category_id=charge.product.category_id if charge.product else None,
            expense_type_id=charge.expense_type_id,
            work_role_id=charge.work_role_id,
        )
        return self._rate(charge.date, line)

    @property
    def _drawn(self) -> bool:
        agreement = self.agreement
        return bool(
            agreement.covers_sales_tax
            and agreement.prepayment
            and agreement.application_units == ApplicationUnits.AMOUNT
            and agreement.tax_code_id
        )

    def _holds(self, on: date) -> bool:
        rules = self._table(on).rules.get(self.agreement.tax_code_id or 0)
        return rules is not None and not rules.problem

    def _rate(self, on: date, line: TaxableLine) -> Decimal:
        tax = self._table(on).tax(self.agreement.tax_code_id, self.agreement.bill_to_id, [line]).total
        return round_to(Fraction(tax) / Fraction(line.amount), _RATE_PLACES)

    def _table(self, on: date) -> TaxTable:
        if on not in self.tables:
            self.tables[on] = tax_table(on=on)
        return self.tables[on]


# -- to the core and back ----------------------------------------------------------------------------------------------


def _counts(charge: Charge) -> bool:
    """What was billed without an allocation draws nothing; the rest is decided, or stays as it was."""
    return not charge.billed or charge._state.fields_cache["allocation"] is not None


def _entry(charge: Charge, terms: CoverageTerms, rates: _TaxRates) -> Entry:
    old: Allocation | None = charge._state.fields_cache["allocation"]
    pinned = _as_core(old) if charge.billed and old is not None else None
    return Entry(
        key=charge.pk,
        on=charge.date,
        saved=charge.pk,
        kind=cast(Any, charge.kind),
        quantity=charge.billed_quantity,
        rate=charge.unit_price,
        amount=charge.amount,
        tax_rate=rates.of(charge) if terms.draws_tax and pinned is None else Decimal(0),
        work_role=charge.work_role_id,
        work_type=charge.work_type_id,
        item=charge.product_id if charge.kind == ChargeKind.PRODUCT else charge.expense_type_id,
        option=_OPTIONS[charge.billing_option],
        incident=charge.ticket or None,
        overage_rate=charge.overage_price,
        pinned=pinned,
    )


def _as_core(row: Allocation) -> coverage.Allocation:
    """A written allocation, as it was decided."""
    pool = None if row.pool_start is None else Period(row.pool_start, row.pool_end or OPEN_END)
    return coverage.Allocation(
        key=row.charge_id,
        pool=pool,
        covered_quantity=row.covered_quantity,
        covered_amount=row.covered_amount,
        covered_tax=row.covered_tax,
        overrun_quantity=row.overrun_quantity,
        overrun_amount=row.overrun_amount,
        overage_quantity=row.overage_quantity - row.overrun_quantity,
        overage_amount=row.overage_amount - row.overrun_amount,
        drawn=row.drawn,
        overrun_drawn=row.overrun_drawn,
        draws=tuple(
            Draw(date.fromisoformat(lot), bool(adjustment), Decimal(units)) for lot, adjustment, units in row.draws
        ),
        reason=Reason(row.reason or Reason.COVERED),
        explanation=row.explanation,
    )


def _decisions(agreement: Agreement, charges: Sequence[Charge], result: Coverage) -> tuple[Decision, ...]:
    decided = {allocation.key: allocation for allocation in result.allocations}
    made = []
    for charge in charges:
        old = charge._state.fields_cache["allocation"]
        if charge.billed:
            if old is not None:
                made.append(Decision(charge, old, old))
            continue
        made.append(Decision(charge, old, _as_row(agreement, charge, decided[charge.pk])))
    return tuple(made)


def _as_row(agreement: Agreement, charge: Charge, x: coverage.Allocation) -> Allocation:
    pool = x.pool or _NO_PERIOD
    in_arrears = bool(x.overrun_quantity or x.overrun_amount) and pool.end != OPEN_END
    return Allocation(
        charge=charge,
        agreement=agreement,
        pool_start=x.pool.start if x.pool else None,
        pool_end=pool.end if pool.end != OPEN_END else None,
        drawn=x.drawn,
        overrun_drawn=x.overrun_drawn,
        draws=[[draw.lot.isoformat(), draw.adjustment, plain_number(draw.units)] for draw in x.draws],
        covered_quantity=x.covered_quantity,
        covered_amount=x.covered_amount,
        covered_tax=x.covered_tax,
        overage_quantity=x.overage_quantity + x.overrun_quantity,
        overage_price=charge.unit_price if charge.overage_price is None else charge.overage_price,
        overage_amount=x.overage_amount + x.overrun_amount,
        overrun_quantity=x.overrun_quantity,
        overrun_amount=x.overrun_amount,
        bill_from=pool.end if in_arrears else None,
        reason="" if x.reason is Reason.COVERED else x.reason.value,
        explanation=x.explanation if len(x.explanation) <= _EXPLANATION else f"{x.explanation[: _EXPLANATION - 1]}…",
    )


# -- rates -------------------------------------------------------------------------------------------------------------

#: What re-rating may change of a charge.
RATED: Final = ("billed_quantity", "unit_price", "overage_price", "rate_words", "amount", "unit_cost")


def rerate(charges: Sequence[Charge]) -> list[Charge]:
    """Give work that is not billed the rates that hold now; those that changed are returned, not saved.

    Raises:
        DomainError: ``required`` when nothing says a rate any more.
    """
    open_work = [charge for charge in charges if charge.kind == ChargeKind.TIME and not charge.billed]
    book = RateBook(charge.agreement_id for charge in open_work)
    prefetch_related_objects(open_work, "company", "agreement", "work_role", "work_type")
    changed = []
    for charge in open_work:
        before = [getattr(charge, name) for name in RATED]
        book.price(charge)
        if [getattr(charge, name) for name in RATED] != before:
            changed.append(charge)
    return changed
