"""A vendor's quantities against ours, by customer, product and term: plain values in, plain values out.

How a difference is priced, a month:

    unbilled, under_billed    (theirs - ours) x our price       what we do not earn
    over_billed               (theirs - ours) x our price       below zero: the customer pays for what is not there
    orphaned, ours            -ours x our price                 below zero: likewise, the vendor has none at all
    orphaned, theirs          theirs x the vendor's cost        what we pay, for a customer without an agreement

Terms are told apart where both sides name them (WE-31); where one does not, the totals are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal, NamedTuple

from counterfoil.core.money import round_money

Status = Literal["exact", "unbilled", "under_billed", "over_billed", "orphaned"]

NOTHING: Final = Decimal(0)


class Theirs(NamedTuple):
    """What the vendor says a customer has. ``unit_cost`` is a month; a quantity below zero takes away."""

    company_id: int
    product_id: int
    term: str
    quantity: Decimal
    unit_cost: Fraction
    line_id: int
    charged_days: int = 0


class Ours(NamedTuple):
    """What an addition bills. Price and cost are a month; ``later_quantity`` is what is entered for afterwards."""

    company_id: int
    product_id: int
    term: str
    quantity: Decimal
    later_quantity: Decimal
    unit_price: Fraction
    unit_cost: Fraction
    addition_id: int
    ends: date | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """A customer, product and term on both sides. ``term`` is empty where terms were not told apart.

    ``unit_price`` and ``unit_cost`` are a month; ``addition_id`` is the largest of ours, which a change goes to.
    """

    company_id: int
    product_id: int
    term: str
    status: Status
    theirs: Decimal
    ours: Decimal
    unit_price: Fraction
    unit_cost: Fraction
    addition_id: int | None
    line_id: int | None
    ends: date | None

    @property
    def difference(self) -> Decimal:
        """Theirs less ours."""
        return self.theirs - self.ours

    @property
    def monthly(self) -> Decimal:
        """Dollars a month, to the cent; below zero where we bill what the vendor does not have."""
        return round_money(Fraction(self.difference) * (self.unit_price or self.unit_cost))


def compare(theirs: Iterable[Theirs], ours: Iterable[Ours], *, customers: frozenset[int]) -> list[Compared]:
    """Both sides, grouped and held against each other, in the order of company, product and term.

    Args:
        theirs: the vendor's lines, of known companies and products.
        ours: the additions.
        customers: companies that have an agreement; others' licences are orphaned.
    """
    pairs: dict[tuple[int, int], tuple[list[Theirs], list[Ours]]] = defaultdict(lambda: ([], []))
    for line in theirs:
        pairs[line.company_id, line.product_id][0].append(line)
    for addition in ours:
        pairs[addition.company_id, addition.product_id][1].append(addition)
    found: list[Compared] = []
    for (company, product), (lines, additions) in sorted(pairs.items()):
        by_term = all(line.term for line in lines) and all(addition.term for addition in additions)
        told = {line.term for line in lines} | {addition.term for addition in additions}
        terms = sorted(told) if by_term else [""]
        for term in terms:
            compared = _compared(
                company,
                product,
                term,
                [line for line in lines if not term or line.term == term],
                [addition for addition in additions if not term or addition.term == term],
                has_agreement=company in customers,
            )
            if compared is not None:
                found.append(compared)
    return found


def _compared(
    company: int, product: int, term: str, lines: list[Theirs], additions: list[Ours], *, has_agreement: bool
) -> Compared | None:
    """One group; nothing where neither side has anything."""
    has = max(sum((line.quantity for line in lines), NOTHING), NOTHING)
    bills = sum((addition.quantity for addition in additions), NOTHING)
    later = sum((addition.later_quantity for addition in additions), NOTHING)
    if not has and not bills:
        return None
    if has == later:  # a change that is entered mends it, from its day on
        bills = later
    first = max(lines, key=lambda line: (line.quantity > 0, line.charged_days, -line.line_id), default=None)
    largest = max(additions, key=lambda each: (each.quantity, each.later_quantity, -each.addition_id), default=None)
    return Compared(
        company_id=company,
        product_id=product,
        term=term,
        status=_status(has, bills, has_agreement=has_agreement),
        theirs=has,
        ours=bills,
        unit_price=largest.unit_price if largest else Fraction(0),
        unit_cost=first.unit_cost if first else largest.unit_cost if largest else Fraction(0),
        addition_id=largest.addition_id if largest else None,
        line_id=first.line_id if first else None,
        ends=largest.ends if largest else None,
    )


def _status(has: Decimal, bills: Decimal, *, has_agreement: bool) -> Status:
    if has == bills:
        return "exact"
    if not has:
        return "orphaned"
    if not bills:
        return "unbilled" if has_agreement else "orphaned"
    return "under_billed" if has > bills else "over_billed"
