"""Commitments: a term that is owed in full, unless it is taken back within the first days.

Licences bought for a year or three may be given back within the vendor's cancellation window (Microsoft's new commerce:
168 hours, seven calendar days). The days used are then charged and the rest is refunded (WE-14); afterwards the whole
term is owed. Each purchase and each renewal opens a window of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from counterfoil.core.calendar import Period, format_date
from counterfoil.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Commitment:
    """A term that binds.

    Attributes:
        term: its days, half-open.
        window_days: on how many days from its first it may be cancelled; 0: never.
    """

    term: Period
    window_days: int = 7

    @property
    def window_end(self) -> date:
        """The last day on which it may be cancelled; the day before the term when there is no window."""
        return self.term.start + timedelta(days=self.window_days - 1)

    def check_last_day(self, last_day: date, field: str | None = None) -> None:
        """Refuse to end it with ``last_day``, unless that lies in the window, or does not shorten the term.

        Raises:
            DomainError: ``committed``, with the day the term ends.
        """
        if last_day <= self.window_end or last_day >= self.term.inclusive_end:
            return
        until = format_date(self.term.inclusive_end)
        could = f" It could be cancelled until {format_date(self.window_end)}." if self.window_days else ""
        raise DomainError(
            "committed",
            f"It is committed until {until}; the whole term is owed.{could}",
            field=field,
            hint=f"End it with {until}, when the term does.",
        )
