"""A line that joins an agreement begins within one of that agreement's periods, which a higher context knows.

That context registers what finds it with :func:`first_periods`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from counterfoil.quotes.models import LineAction, QuoteLine, QuoteVersion, StartPolicy


@dataclass(frozen=True, slots=True)
class FirstPeriod:
    """How a line that ends with an anniversary is billed.

    Attributes:
        share: what its first period is of a whole one; ``None`` when it is whole.
        cycles: how many periods there are until the anniversary.
        explanation: how the first amount comes about; empty when it is whole.
    """

    share: Fraction | None
    cycles: int
    explanation: str


FirstPeriodOf = Callable[[int, QuoteLine], FirstPeriod | None]

_KNOWN: list[FirstPeriodOf] = []


def first_periods(find: FirstPeriodOf) -> FirstPeriodOf:
    """Register what finds the first period of a line by the id of the agreement it joins; ``None`` where the line is
    not billed by that agreement's periods.
    """
    _KNOWN.append(find)
    return find


def joins(version: QuoteVersion, line: QuoteLine) -> bool:
    """Whether a line is new, recurs, ends with an anniversary, and joins an agreement."""
    recurs = line.action == LineAction.NEW and bool(line.billing_cycle)
    return recurs and line.align_to is not None and version.quote.agreement_id is not None


def begin_on(line: QuoteLine, on: date) -> None:
    """What joins an agreement has a first day, from which its first period is measured: that day unless another."""
    if line.start_policy == StartPolicy.ON_DELIVERY:
        return  # nobody knows yet
    line.start_policy = StartPolicy.ALIGNED
    if line.start_date is None:
        line.start_date = on


def first_period(version: QuoteVersion, line: QuoteLine) -> FirstPeriod | None:
    """How a line that :func:`joins` begins, at the price and quantity it has.

    Raises:
        DomainError: ``invalid`` for an anniversary that cannot be.
    """
    agreement_id = version.quote.agreement_id
    assert agreement_id is not None  # it joins
    return next((found for find in _KNOWN if (found := find(agreement_id, line)) is not None), None)


def first_share(version: QuoteVersion, line: QuoteLine, share: Fraction | None = None) -> Fraction | None:
    """What the first period of a line that :func:`joins` is of a whole one; ``share`` where nobody can tell.

    How many periods there are, and the explanation, are set on the line.

    Raises:
        DomainError: as :func:`first_period`.
    """
    found = first_period(version, line)
    if found is None:
        return share
    line.cycles, line.explanation = found.cycles, found.explanation
    if found.share is None:
        line.first_amount = None
    return found.share
