"""Commitments: a term that is owed in full, unless it is taken back within the first days.

Licences bought for a year or three may be given back within the vendor's cancellation window (Microsoft's new commerce:
168 hours, seven calendar days). The days used are then charged and the rest is refunded (WE-14); afterwards the whole
term is owed. Each purchase and each renewal opens a window of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from counterfoil.core.bills import amount_text
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, round_money
from counterfoil.core.proration import ProrationMethod, prorate


@dataclass(frozen=True, slots=True)
class Commitment:
    """A term that binds.

    Attributes:
        term: its days, half-open.
        window_days: on how many days from its first it may be cancelled; 0: never.
        renewal_days: where it may be less at renewal alone, on how many days from that.
    """

    term: Period
    window_days: int = 7
    renewal_days: int | None = None

    @property
    def window_end(self) -> date:
        """The last day on which it may be cancelled; the day before the term when there is no window."""
        return self.term.start + timedelta(days=self.window_days - 1)

    def check_last_day(self, last_day: date, field: str | None = None) -> None:
        """Refuse to end it with ``last_day``, unless that lies in the window, or does not shorten the term.

        The day before its first takes all of it back, which takes a window as well.

        Raises:
            DomainError: ``committed``, with the day the term ends.
        """
        if (self.window_days and last_day <= self.window_end) or last_day >= self.term.inclusive_end:
            return
        until = format_date(self.term.inclusive_end)
        could = f" It could be cancelled until {format_date(self.window_end)}." if self.window_days else ""
        if self.renewal_days is not None:
            could += f" There can be fewer of it at its renewal alone, from {format_date(self.term.end)} on"
            window = format_date(self.term.end + timedelta(days=self.renewal_days - 1))
            could += f", until {window}." if self.renewal_days else "."
        raise DomainError(
            "committed",
            f"It is committed until {until}; the whole term is owed.{could}",
            field=field,
            hint=f"End it with {until}, when the term does.",
        )


#: What is given back for a cancellation within the window: the days that are left, everything, or nothing.
Refund = Literal["prorated", "full", "none"]


def refund(
    paid: Decimal,
    period: Period,
    last_day: date,
    how: Refund = "prorated",
    method: ProrationMethod = ProrationMethod.ACTUAL_DAYS,
) -> tuple[Decimal, str]:
    """What is given back of an amount paid for a period that ends with ``last_day``, and how it comes about.

    WE-14: 1,200.00 paid for a year of 365 days and cancelled on day 3 gives 1,200.00 x 362 / 365 = 1,190.14 back.

    Raises:
        DomainError: ``invalid`` for a day before the period.
    """
    left = last_day + timedelta(days=1)
    if left < period.start:
        raise DomainError("invalid", f"{format_date(last_day)} lies before {period.label}.", field="on")
    if how == "full":
        return paid, f"{amount_text(paid)}, all of it"
    if how == "none" or left >= period.end:
        return ZERO, "nothing"
    share = prorate(method, period, Period(left, period.end))
    amount = round_money(Fraction(paid) * share.fraction)
    return amount, f"{amount_text(paid)} × {share.words} = {amount_text(amount)}"
