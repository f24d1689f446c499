"""One check of the verification: what was expected, what was found, and what differs, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterfoil.core.money import ZERO, format_money, sum_money

#: Of a check that fails in many places, this many are named.
MOST_DETAILS: Final = 50


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: short and stable: ``receivables``.
        title: what is checked, for people.
        ok: whether all agrees.
        expected: the sum, or the number of records, that the documents give.
        found: what the books (or the other side) hold.
        details: what differs, in words; at most :data:`MOST_DETAILS`.
    """

    name: str
    title: str
    ok: bool
    expected: Decimal
    found: Decimal
    details: tuple[str, ...] = ()

    @property
    def difference(self) -> Decimal:
        """Found less expected. It may be zero while the check fails: two errors can cancel out in the sum."""
        return self.found - self.expected

    def as_dict(self) -> dict[str, Any]:
        """For programs; amounts as text."""
        return {
            "name": self.name,
            "title": self.title,
            "ok": self.ok,
            "expected": f"{self.expected:f}",
            "found": f"{self.found:f}",
            "difference": f"{self.difference:f}",
            "details": list(self.details),
        }


def compare(
    name: str,
    title: str,
    expected: Mapping[Any, Decimal],
    found: Mapping[Any, Decimal],
    label: Callable[[Any], str],
) -> Check:
    """Check that two sides agree key by key; ``label`` names a key where they do not."""
    details = []
    for key in {**expected, **found}:
        due, held = expected.get(key, ZERO), found.get(key, ZERO)
        if due != held:
            difference = format_money(held - due)
            details.append(
                f"{label(key)}: expected {format_money(due)}, found {format_money(held)}, difference {difference}"
            )
    return Check(
        name,
        title,
        not details,
        sum_money(expected.values()) + ZERO,
        sum_money(found.values()) + ZERO,
        tuple(sorted(details)[:MOST_DETAILS]),
    )


def no_faults(name: str, title: str, checked: int, faults: Iterable[str]) -> Check:
    """Check that nothing is wrong with any of ``checked`` records; ``faults`` names what is."""
    named = list(faults)
    count = Decimal(checked)
    return Check(name, title, not named, count, count - len(named), tuple(named[:MOST_DETAILS]))
