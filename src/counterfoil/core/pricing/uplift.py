"""What a term and billing frequency cost more than a base price.

A vendor states one price a month, for its usual term paid in advance, and what other ways of buying cost more. From
that follow the prices of all offers, each per its own billing cycle. WE-16: 22.00 a month by the year in advance is
264.00 a year; by the year, billed monthly, 5 % more: 23.10 a month; by the month, 20 % more: 26.40.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from counterfoil.core.bills import price_text, quantity_text
from counterfoil.core.calendar import Cycle
from counterfoil.core.errors import DomainError
from counterfoil.core.money import round_money
from counterfoil.core.pricing.terms import ensure_whole_cycles


@dataclass(frozen=True, slots=True)
class UpliftRow:
    """A term, how it is billed, and how many per cent that is more than the base (less: negative), from a day on."""

    term: str
    billing_cycle: str
    percent: Decimal
    effective_from: date | None = None

    def __post_init__(self) -> None:
        ensure_whole_cycles(self.term, self.billing_cycle)
        if self.percent <= -100:
            raise DomainError("invalid", "A price cannot be lowered by 100 % or more.", field="percent")


@dataclass(frozen=True, slots=True)
class UpliftedPrice:
    """The price of an offer per unit and billing cycle, to the minor unit: ``22.00 + 5 %``, ``12 × 22.00``."""

    term: str
    billing_cycle: str
    price: Decimal
    words: str


def in_effect(rows: Iterable[UpliftRow], on: date) -> list[UpliftRow]:
    """Of each term and billing cycle the row that took effect last, in the order given."""
    latest: dict[tuple[str, str], UpliftRow] = {}
    for row in rows:
        if row.effective_from is not None and row.effective_from > on:
            continue
        before = latest.get((row.term, row.billing_cycle))
        if before is None or (row.effective_from or date.min) >= (before.effective_from or date.min):
            latest[row.term, row.billing_cycle] = row
    return list(latest.values())


def uplifted_price(base_per_month: Decimal, row: UpliftRow, minor_units: int = 2) -> UpliftedPrice:
    """The price of an offer from the base price of a month. The uplifted month is rounded, then multiplied.

    Raises:
        DomainError: ``invalid`` for a billing cycle in days or weeks, which do not fit into months.
    """
    months = Cycle.parse(row.billing_cycle).months
    if months is None:
        raise DomainError("invalid", "A price a month does not say what days and weeks cost.", field="billing_cycle")
    monthly = round_money(Fraction(base_per_month) * (1 + Fraction(row.percent) / 100), minor_units)
    words = price_text(base_per_month)
    if row.percent:
        words += f" {'+' if row.percent > 0 else '−'} {quantity_text(abs(row.percent))} %"
    if months > 1:
        words = f"{months} × ({words})" if row.percent else f"{months} × {words}"
    return UpliftedPrice(row.term, row.billing_cycle, monthly * months, words)
