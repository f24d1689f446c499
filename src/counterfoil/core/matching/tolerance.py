"""How far two values may be apart and still match."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, NamedTuple

#: What tolerances are for. Terms, billing frequencies, products and currencies have none.
Measure = Literal["quantity", "unit_cost", "unit_price", "amount", "days"]

_ONE: Final = Decimal(1)
_HUNDRED: Final = Decimal(100)


class Tolerance(NamedTuple):
    """A percentage of what was expected, an amount, or both; the wider of both bounds holds, or the narrower.

    Of a unit cost or unit price the amount is for the whole line (quantity x difference), since $25 a licence would let
    everything pass.
    """

    percent: Decimal | None = None
    amount: Decimal | None = None
    narrower: bool = False

    def bound(self, expected: Decimal) -> Decimal:
        """The largest difference from ``expected`` that still matches, in its own unit."""
        bounds = [] if self.amount is None else [self.amount]
        if self.percent is not None:
            bounds.append(abs(expected) * self.percent / _HUNDRED)
        if not bounds:
            return Decimal(0)
        return min(bounds) if self.narrower else max(bounds)

    def covers(self, expected: Decimal, actual: Decimal, quantity: Decimal = _ONE) -> bool:
        """Whether ``actual`` matches; a difference of exactly the bound does (WE-10).

        Args:
            expected: a quantity, a number of days, an amount; or a unit cost or price.
            actual: what it is held against.
            quantity: of a unit cost or price, how many units the line has.
        """
        return abs(actual - expected) * quantity <= self.bound(expected * quantity)


#: Where no tolerance is set, values are equal or they differ.
EXACT: Final = Tolerance(amount=Decimal(0))


class ToleranceRule(NamedTuple):
    """A tolerance of a measure, for a vendor, a category, a company, some of them, or for all."""

    measure: str
    tolerance: Tolerance
    vendor_id: int | None = None
    category_id: int | None = None
    company_id: int | None = None


class Tolerances:
    """All tolerances; of those that fit, the most particular holds.

    One that names more of vendor, company and category is more particular; among equals vendor comes before company,
    company before category.
    """

    def __init__(self, rules: Iterable[ToleranceRule] = ()) -> None:
        self._rules = tuple(rules)
        self._found: dict[tuple[str, int | None, int | None, int | None], Tolerance] = {}

    def of(self, measure: Measure, vendor_id: int | None, category_id: int | None, company_id: int | None) -> Tolerance:
        """The tolerance that holds for a line; :data:`EXACT` where none is set."""
        key = (measure, vendor_id, category_id, company_id)
        found = self._found.get(key)
        if found is None:
            fitting = [
                rule
                for rule in self._rules
                if rule.measure == measure
                and rule.vendor_id in (None, vendor_id)
                and rule.category_id in (None, category_id)
                and rule.company_id in (None, company_id)
            ]
            found = max(fitting, key=_particular).tolerance if fitting else EXACT
            self._found[key] = found
        return found


def _particular(rule: ToleranceRule) -> tuple[int, bool, bool]:
    vendor, company, category = rule.vendor_id is not None, rule.company_id is not None, rule.category_id is not None
    return vendor + company + category, vendor, company
