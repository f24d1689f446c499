"""What an agreement covers of the work, expenses and products applied to it, decided in date order.

An agreement grants an amount, hours or incidents each application period. What is granted lies in *lots*: one for each
period, one for each adjustment, each with the days on which it may be drawn. An entry draws from the lots of its date:
what lapses first is used first, and of equal ones the oldest. What no lot gives may be overrun, where the agreement
allows it, and what remains is overage, billed by itself.

Deciding is a function of all entries, so it can be run again at any time. What was billed keeps its allocation and
draws first, whatever is re-run.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from counterfoil.core.calendar import Period, format_date
from counterfoil.core.coverage_terms import (
    NONE,
    OPEN_END,
    Adjustment,
    Allocation,
    BillableOption,
    Coverage,
    CoverageTerms,
    Draw,
    Entry,
    Kind,
    Pool,
    Reason,
    Selection,
    Units,
    application_periods,
    check_cents,
    pool_label,
    with_tax,
)
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, extend, format_money, round_money, round_to, sum_money

__all__ = [
    "OPEN_END",
    "Adjustment",
    "Allocation",
    "BillableOption",
    "Coverage",
    "CoverageTerms",
    "Draw",
    "Entry",
    "Kind",
    "Pool",
    "Reason",
    "Selection",
    "application_periods",
    "pool_label",
    "reallocate",
]

_ONE: Final = Decimal(1)
_QUANTITY_PLACES: Final = 6


def reallocate(
    terms: CoverageTerms, entries: Iterable[Entry], adjustments: Iterable[Adjustment] = (), *, through: date
) -> Coverage:
    """Decide what the agreement covers.

    Billed entries draw first, each from the lots its allocation names. Adjustments that take away come next: they take
    from what is left on their date, before that period's unbilled work. Then the others, in the order of ``terms``.

    Args:
        terms: the agreement's.
        entries: everything applied to it, in any order.
        adjustments: all of them.
        through: pools are given through this day at least, and lots have lapsed by then or not.

    Raises:
        DomainError: ``conflict`` when two entries have one key; ``invalid`` for an adjustment in fractions of a cent.
    """
    given, adjusted = list(entries), sorted(adjustments, key=lambda adjustment: adjustment.on)
    if len({entry.key for entry in given}) < len(given):
        raise DomainError("conflict", "An entry is applied to the agreement twice.", field="entries")
    if terms.units == "amount":
        for adjustment in adjusted:
            check_cents(adjustment.amount)
    last = max((entry.on for entry in given), default=through)
    run = _Run(terms, application_periods(terms, max(through, last)), adjusted)
    by_date = sorted(given, key=lambda entry: (entry.on, entry.saved))
    allocations = [run.keep(entry, entry.pinned) for entry in by_date if entry.pinned]
    run.remove(adjusted)
    order = sorted(given, key=lambda entry: entry.saved) if terms.order == "as_saved" else by_date
    decided = [(entry, run.decide(entry)) for entry in order if not entry.pinned]
    allocations.extend(run.with_its_ticket(entry, allocation) for entry, allocation in decided)
    return Coverage(tuple(allocations), run.pools(through, adjusted))


class _Lot:
    """What one period or adjustment grants: ``rest`` of it is left, to be drawn from ``starts`` until ``lapses``."""

    __slots__ = ("adjustment", "amount", "drawn", "lapses", "rest", "starts")

    def __init__(self, starts: date, lapses: date, amount: Decimal, *, adjustment: bool) -> None:
        self.starts, self.lapses, self.adjustment = starts, lapses, adjustment
        self.amount = self.rest = amount
        self.drawn: list[tuple[date, Decimal]] = []

    def take(self, units: Decimal, on: date) -> Draw:
        self.rest -= units
        self.drawn.append((on, units))
        return Draw(self.starts, self.adjustment, units)

    def left_before(self, day: date) -> Decimal:
        return self.amount - sum_money(units for on, units in self.drawn if on < day)


class _Run:
    """One deciding: the lots and how much has been drawn of them so far."""

    def __init__(self, terms: CoverageTerms, periods: tuple[Period, ...], adjustments: Sequence[Adjustment]) -> None:
        self.terms = terms
        self.periods = periods
        self.used = dict.fromkeys(periods, NONE)
        self.overrun = dict.fromkeys(periods, NONE)
        self.own = {period: self._period_lot(period) for period in periods}
        self.ahead: dict[Period, _Lot] = {}
        if terms.allow_overruns and terms.overrun_from == "next_period" and not terms.one_time and periods:
            self._look_ahead()
        lots = list({id(lot): lot for lot in (*self.own.values(), *self.ahead.values())}.values())
        lots.extend(self._adjustment_lots(adjustments))
        self.lots = sorted(lots, key=lambda lot: (lot.lapses, lot.starts, lot.adjustment))
        self.named = {(lot.starts, lot.adjustment): lot for lot in self.lots}
        self.incidents: dict[Hashable, bool] = {}  # the ticket, and whether it was an overrun
        self.expired_on: date | None = None

    def _period_lot(self, period: Period) -> _Lot:
        lapses = period.end
        if self.terms.carry_over and not self.terms.one_time:
            days = self.terms.carry_over_days
            lapses = OPEN_END if days is None else period.end + timedelta(days=days)
        return _Lot(period.start, lapses, self.terms.allocation_on(period.start), adjustment=False)

    def _look_ahead(self) -> None:
        """Which lot each period may overrun into; the last one's has not begun yet."""
        for period, after in zip(self.periods, self.periods[1:], strict=False):
            self.ahead[period] = self.own[after]
        last = self.periods[-1]
        if self.terms.end is None or last.end < self.terms.end:
            after = next(p for p in application_periods(self.terms, last.end) if p.start == last.end)
            self.ahead[last] = self._period_lot(after)

    def _adjustment_lots(self, adjustments: Sequence[Adjustment]) -> Iterable[_Lot]:
        added: dict[date, Decimal] = {}
        for adjustment in adjustments:
            if adjustment.amount > 0:
                added[adjustment.on] = added.get(adjustment.on, NONE) + adjustment.amount
        for on, amount in added.items():
            lapses = (self.terms.end or OPEN_END) if self.terms.one_time else self.terms.cycle.after(on, 1)
            if on < lapses:
                yield _Lot(on, lapses, amount, adjustment=True)

    def period_of(self, on: date) -> Period | None:
        low, high = 0, len(self.periods)
        while low < high:
            middle = (low + high) // 2
            if self.periods[middle].end <= on:
                low = middle + 1
            else:
                high = middle
        return self.periods[low] if low < len(self.periods) and on in self.periods[low] else None

    # what was decided before

    def keep(self, entry: Entry, pinned: Allocation | None) -> Allocation:
        """Draw for a billed entry what it drew when it was billed, even where the terms would no longer allow it."""
        assert pinned is not None
        period = self.period_of(entry.on)
        if period is None or not pinned.drawn:
            return pinned
        wanted = pinned.drawn - pinned.overrun_drawn
        for draw in pinned.draws:
            lot = self.named.get((draw.lot, draw.adjustment))
            if lot is not None and (units := min(draw.units, lot.rest, wanted)) > 0:
                lot.take(units, entry.on)
                wanted -= units
                if lot is self.ahead.get(period):
                    self.overrun[period] += units
        if self.terms.unlimited:
            wanted = NONE
        wanted -= sum_money(draw.units for draw in self._take(entry.on, wanted))
        self.used[period] -= pinned.drawn
        self.overrun[period] += pinned.overrun_drawn + wanted
        if self.terms.units == "incidents":
            self.incidents[_ticket(entry)] = bool(pinned.overrun_drawn)
        self._expire(period, entry.on)
        return pinned

    def remove(self, adjustments: Sequence[Adjustment]) -> None:
        """Take away what negative adjustments say; what is not there any more counts as overrun."""
        for adjustment in adjustments:
            period = self.period_of(adjustment.on)
            if adjustment.amount < 0 and period is not None and not self.terms.unlimited:
                wanted = -adjustment.amount
                taken = sum_money(draw.units for draw in self._take(adjustment.on, wanted))
                self.overrun[period] += wanted - taken

    # what is decided now

    def decide(self, entry: Entry) -> Allocation:
        period = self.period_of(entry.on)
        reason = self._refusal(entry, period)
        if reason is not None or period is None:
            return _uncovered(entry, period, reason or Reason.OUTSIDE_DATES)
        if self.terms.units == "incidents":
            allocation = self._decide_incident(entry, period)
        else:
            allocation = self._decide_units(entry, period)
        self.used[period] -= allocation.drawn
        if allocation.drawn:
            self._expire(period, entry.on)
        return allocation

    def _refusal(self, entry: Entry, period: Period | None) -> Reason | None:
        if entry.option is not BillableOption.BILLABLE:
            return Reason(entry.option.value)
        if period is None:
            return Reason.OUTSIDE_DATES
        if entry.kind not in self.terms.covers:
            return Reason.KIND
        if self.terms.units == "hours" and entry.kind != "time":
            return Reason.TIME_ONLY
        if (refused := self.terms.selection.refuses(entry)) is not None:
            return refused
        if self.terms.limit is None and not self.terms.unlimited:
            return Reason.NO_LIMIT
        late = self.expired_on is not None and (self.terms.order == "as_saved" or entry.on >= self.expired_on)
        return Reason.EXPIRED if late else None

    def _decide_units(self, entry: Entry, period: Period) -> Allocation:
        terms, taxed = self.terms, self.terms.draws_tax
        gross = with_tax(entry.amount, entry.tax_rate) if taxed else entry.amount
        need = entry.quantity if terms.units == "hours" else gross
        draws = self._draw(entry.on, period, need)
        within = need if terms.unlimited else sum_money(draw.units for draw in draws)
        covered, tax = (within, NONE) if not taxed else _net_and_tax(within, entry, gross)
        whole = entry.quantity if terms.units == "hours" else entry.amount
        overrun = min(whole - covered, self._headroom(period)) if terms.overrun_from == "arrears" else NONE
        self.overrun[period] += overrun
        quantities, amounts = _split(entry, terms.units, covered, overrun, whole)
        return Allocation(
            key=entry.key,
            pool=period,
            covered_quantity=quantities[0],
            covered_amount=amounts[0],
            covered_tax=tax,
            overrun_quantity=quantities[1],
            overrun_amount=amounts[1],
            overage_quantity=quantities[2],
            overage_amount=amounts[2],
            drawn=within + overrun,
            overrun_drawn=overrun,
            draws=draws,
            reason=Reason.COVERED if covered + overrun == whole else Reason.USED_UP,
            explanation=self._explain(entry, period, draws, quantities, amounts, tax),
        )

    def with_its_ticket(self, entry: Entry, allocation: Allocation) -> Allocation:
        """An entry that found nothing left goes with its ticket all the same, if a later entry has drawn it."""
        if allocation.reason is not Reason.USED_UP or allocation.pool is None or _ticket(entry) not in self.incidents:
            return allocation
        return self._decide_incident(entry, allocation.pool)

    def _decide_incident(self, entry: Entry, period: Period) -> Allocation:
        """A ticket is drawn once, whole, by the first of its entries that finds something left; all go with it."""
        terms, ticket = self.terms, _ticket(entry)
        draws: tuple[Draw, ...] = ()
        drawn = NONE
        if ticket not in self.incidents:
            if not terms.unlimited and self._within(entry.on, period) >= 1:
                draws = self._draw(entry.on, period, _ONE)
            elif not terms.unlimited and terms.overrun_from == "arrears" and self._headroom(period) >= 1:
                self.overrun[period] += 1
                self.incidents[ticket] = True
            elif not terms.unlimited:
                return _uncovered(entry, period, Reason.USED_UP)
            drawn = _ONE
            self.incidents.setdefault(ticket, False)
        beyond = self.incidents[ticket]
        covered, overrun = (NONE, entry.quantity) if beyond else (entry.quantity, NONE)
        quantities = (covered, overrun, NONE)
        amounts = (NONE, _beyond(entry, overrun, entry.amount), ZERO) if beyond else (entry.amount, ZERO, ZERO)
        return Allocation(
            key=entry.key,
            pool=period,
            covered_quantity=quantities[0],
            covered_amount=amounts[0],
            covered_tax=NONE,
            overrun_quantity=quantities[1],
            overrun_amount=amounts[1],
            overage_quantity=quantities[2],
            overage_amount=amounts[2],
            drawn=drawn,
            overrun_drawn=drawn if beyond else NONE,
            draws=draws,
            reason=Reason.COVERED,
            explanation=self._explain(entry, period, draws, quantities, amounts, NONE),
        )

    # lots

    def _draw(self, on: date, period: Period, need: Decimal) -> tuple[Draw, ...]:
        """Draw ``need``, or what there is: from the lots of that day, then from the next period's where allowed."""
        if self.terms.unlimited:
            return ()
        draws = self._take(on, need)
        need -= sum_money(draw.units for draw in draws)
        ahead = self.ahead.get(period)
        if ahead is not None and (units := min(need, ahead.rest, self._headroom(period))) > 0:
            self.overrun[period] += units
            draws.append(ahead.take(units, on))
        return tuple(draws)

    def _take(self, on: date, need: Decimal) -> list[Draw]:
        draws: list[Draw] = []
        for lot in self.lots:
            if need <= 0:
                break
            if lot.rest > 0 and lot.starts <= on < lot.lapses:
                units = min(need, lot.rest)
                draws.append(lot.take(units, on))
                need -= units
        return draws

    def _left(self, on: date) -> Decimal:
        return sum_money(lot.rest for lot in self.lots if lot.starts <= on < lot.lapses)

    def _within(self, on: date, period: Period) -> Decimal:
        ahead = self.ahead.get(period)
        return self._left(on) + (min(ahead.rest, self._headroom(period)) if ahead is not None else NONE)

    def _headroom(self, period: Period) -> Decimal:
        """How much more this period may overrun."""
        if not self.terms.allow_overruns or self.terms.unlimited:
            return NONE
        if self.terms.overrun_limit is None:
            return Decimal("Infinity")
        return max(self.terms.overrun_limit - self.overrun[period], NONE)

    def _available(self, left: Decimal, period: Period) -> Decimal | None:
        if self.terms.unlimited:
            return None
        room = self._headroom(period)
        if self.terms.overrun_from == "next_period":
            ahead = self.ahead.get(period)
            room = min(room, ahead.rest) if ahead is not None else NONE
        return left + room if room.is_finite() else None

    def _expire(self, period: Period, on: date) -> None:
        if self.terms.expire_when_zero and self.expired_on is None and self._available(self._left(on), period) == 0:
            self.expired_on = on

    # the recap

    def pools(self, through: date, adjustments: Sequence[Adjustment]) -> tuple[Pool, ...]:
        return tuple(self._pool(period, through, adjustments) for period in self.periods)

    def _pool(self, period: Period, through: date, adjustments: Sequence[Adjustment]) -> Pool:
        own = self.own[period]
        earlier = [lot for lot in self.lots if lot.starts < period.start < lot.lapses]
        within = [lot for lot in self.lots if lot.starts in period and lot.adjustment]
        lapsed = [lot for lot in (*earlier, *within) if lot.lapses < period.end and lot.lapses <= through]
        expired = self.expired_on is not None and period.end > self.expired_on
        pool = Pool(
            period=period,
            starting=own.amount,
            carried_in=sum_money(lot.left_before(period.start) for lot in earlier)
            - sum_money(units for on, units in own.drawn if on < period.start),
            adjustments=sum_money(adjustment.amount for adjustment in adjustments if adjustment.on in period),
            used=self.used[period],
            lapsed=-sum_money(lot.rest for lot in lapsed),
            overrun=self.overrun[period],
            available=NONE,
            expired=expired,
        )
        left = max(pool.remaining + pool.overrun, NONE)
        return replace(pool, available=NONE if expired else self._available(left, period))

    # words

    def _explain(
        self,
        entry: Entry,
        period: Period,
        draws: Sequence[Draw],
        quantities: Sequence[Decimal],
        amounts: Sequence[Decimal],
        tax: Decimal,
    ) -> str:
        said = []
        if quantities[0] or amounts[0] or not (quantities[1] or quantities[2]):
            said.append(self._covered_words(entry, quantities[0], amounts[0], tax))
            said.extend(self._source(draw, period) for draw in draws)
        if quantities[1] or amounts[1]:
            said.append(
                f"{_priced(entry, quantities[1])} overrun: {format_money(amounts[1])} billed with the agreement"
            )
        if quantities[2] or amounts[2]:
            said.append(f"{_priced(entry, quantities[2])} not covered: {format_money(amounts[2])} billed")
        said.append(self._left_words(entry.on, period))
        return "; ".join(words for words in said if words) + "."

    def _covered_words(self, entry: Entry, quantity: Decimal, amount: Decimal, tax: Decimal) -> str:
        part = _quantity(entry, quantity)
        if quantity != entry.quantity:
            part = f"{quantity.normalize():f} of {_quantity(entry, entry.quantity)}"
        if self.terms.draws_tax and tax:
            total = format_money(amount + tax)
            return f"{part} covered: {total} drawn, {format_money(amount)} and {format_money(tax)} sales tax"
        return f"{part} covered" + (f": {format_money(amount)} drawn" if self.terms.units == "amount" else "")

    def _source(self, draw: Draw, period: Period) -> str:
        if draw.adjustment:
            return f"{self._units(draw.units)} from the adjustment of {format_date(draw.lot)}"
        if draw.lot < period.start:
            return f"{self._units(draw.units)} carried over from the period of {format_date(draw.lot)}"
        if draw.lot > period.start:
            return f"{self._units(draw.units)} in advance from the period of {format_date(draw.lot)}"
        return ""

    def _left_words(self, on: date, period: Period) -> str:
        if self.terms.unlimited:
            return "unlimited"
        return f"{self._units(self._left(on))} left of {pool_label(period)}"

    def _units(self, units: Decimal) -> str:
        if self.terms.units == "amount":
            return format_money(units)
        noun = "hour" if self.terms.units == "hours" else "incident"
        return f"{units.normalize():f} {noun}" + ("" if units == 1 else "s")


_REASON_WORDS: Final = {
    Reason.DO_NOT_BILL: "Not to be billed, so it draws nothing.",
    Reason.NO_CHARGE: "Shown at no charge, so it draws nothing.",
    Reason.OUTSIDE_DATES: "Not covered: {on} is outside the agreement's dates. Billed: {amount}.",
    Reason.KIND: "Not covered: the agreement does not cover {kind}. Billed: {amount}.",
    Reason.TIME_ONLY: "Not covered: an agreement in hours covers time alone. Billed: {amount}.",
    Reason.WORK_ROLE: "Not covered: the agreement leaves out this work role. Billed: {amount}.",
    Reason.WORK_TYPE: "Not covered: the agreement leaves out this work type. Billed: {amount}.",
    Reason.EXPENSE_TYPE: "Not covered: the agreement leaves out this expense type. Billed: {amount}.",
    Reason.PRODUCT: "Not covered: the agreement leaves out this product. Billed: {amount}.",
    Reason.NO_LIMIT: "Not covered: the agreement has no application limit and is not unlimited. Billed: {amount}.",
    Reason.EXPIRED: "Not covered: the agreement expired when nothing was left of it. Billed: {amount}.",
    Reason.USED_UP: "Not covered: nothing is left of {period}. Billed: {amount}.",
}
_KIND_WORDS: Final = {"time": "time", "expense": "expenses", "product": "products"}


def _uncovered(entry: Entry, period: Period | None, reason: Reason) -> Allocation:
    """Nothing covered: all of it overage, unless it is not to be billed at all."""
    billed = entry.option is BillableOption.BILLABLE
    amount = _beyond(entry, entry.quantity, entry.amount) if billed else ZERO
    words = _REASON_WORDS[reason].format(
        on=format_date(entry.on),
        kind=_KIND_WORDS[entry.kind],
        amount=format_money(amount),
        period=pool_label(period) if period else "",
    )
    return Allocation(
        key=entry.key,
        pool=period,
        covered_quantity=NONE,
        covered_amount=ZERO,
        covered_tax=ZERO,
        overrun_quantity=NONE,
        overrun_amount=ZERO,
        overage_quantity=entry.quantity if billed else NONE,
        overage_amount=amount,
        drawn=NONE,
        overrun_drawn=NONE,
        draws=(),
        reason=reason,
        explanation=words,
    )


def _split(
    entry: Entry, units: Units, covered: Decimal, overrun: Decimal, whole: Decimal
) -> tuple[tuple[Decimal, Decimal, Decimal], tuple[Decimal, Decimal, Decimal]]:
    """Quantities and amounts of the covered, overrun and overage parts, from how much of ``whole`` each takes."""
    marks = (covered, covered + overrun)
    if units == "hours":
        quantities = _parts(entry.quantity, marks)
        amounts = _parts(entry.amount, tuple(_share(entry.amount, mark, whole, 2) for mark in marks))
    else:
        amounts = _parts(entry.amount, marks)
        quantities = _parts(
            entry.quantity, tuple(_share(entry.quantity, mark, whole, _QUANTITY_PLACES) for mark in marks)
        )
    return quantities, (
        amounts[0],
        _beyond(entry, quantities[1], amounts[1]),
        _beyond(entry, quantities[2], amounts[2]),
    )


def _parts(whole: Decimal, marks: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    return marks[0], marks[1] - marks[0], whole - marks[1]


def _share(total: Decimal, part: Decimal, whole: Decimal, places: int) -> Decimal:
    if part == whole:  # all of it, and all of nothing
        return total
    return round_to(Fraction(total) * Fraction(part) / Fraction(whole), places)


def _beyond(entry: Entry, quantity: Decimal, amount: Decimal) -> Decimal:
    """What a part that is not covered is billed at."""
    return amount if entry.overage_rate is None else extend(quantity, entry.overage_rate)


def _net_and_tax(drawn: Decimal, entry: Entry, gross: Decimal) -> tuple[Decimal, Decimal]:
    """The amount and the tax that were drawn together. A part of an entry uses the block up to the cent."""
    if drawn == gross:
        return entry.amount, gross - entry.amount
    net = min(round_money(Fraction(drawn) / (1 + Fraction(entry.tax_rate))), entry.amount)
    return net, drawn - net


def _ticket(entry: Entry) -> Hashable:
    return (entry.key,) if entry.incident is None else entry.incident


def _quantity(entry: Entry, quantity: Decimal) -> str:
    number = f"{quantity.normalize():f}"
    if entry.kind != "time":
        return number
    return f"{number} {'hour' if quantity == 1 else 'hours'}"


def _priced(entry: Entry, quantity: Decimal) -> str:
    rate = entry.rate if entry.overage_rate is None else entry.overage_rate
    return f"{_quantity(entry, quantity)} at {format_money(rate)}"
