"""Sales tax: levels combined, rounded once, then shared out so that the parts add up.

The rule is that of the Streamlined Sales and Use Tax Agreement, § 324: the tax is carried out exactly and rounded half
up, on each line or on the whole invoice (the seller chooses and keeps to it), on state and local rates together.
Rounding levels one by one, or a line twice, gives different cents: 33.37 at 4 + 2.25 + 1 % is 2.42, not 2.41.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, round_money, settle, sum_money

#: Whether tax is rounded on each line or once on the whole invoice.
Basis = Literal["line", "invoice"]


@dataclass(frozen=True, slots=True)
class TaxLevel:
    """A jurisdiction's part of the tax. ``rate`` is a fraction: ``Decimal("0.06")`` is 6 %."""

    name: str
    rate: Decimal

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise DomainError("invalid", f"The rate of {self.name} must lie between 0 and 100 %.", field="rate")


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """An invoice line's extended amount, to the cent, and whether it is taxed at all."""

    key: Hashable
    amount: Decimal
    taxable: bool = True


@dataclass(frozen=True, slots=True)
class LevelTax:
    """What one level takes: ``rate`` of ``taxable_amount`` is ``amount``, give or take the cent that was shared out."""

    name: str
    rate: Decimal
    taxable_amount: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class TaxResult:
    """The invoice's tax. ``by_level`` and ``by_line`` both add up to ``total``; untaxed lines show 0.00."""

    total: Decimal
    by_level: tuple[LevelTax, ...]
    by_line: dict[Hashable, Decimal]


def compute_tax(lines: Sequence[TaxableLine], levels: Sequence[TaxLevel], basis: Basis = "invoice") -> TaxResult:
    """The sales tax of an invoice. Negative amounts mirror positive ones.

    With basis ``line`` each line's combined tax is rounded; with ``invoice`` their exact sum is, once. The rounded
    total is then shared out to the levels, and with basis ``invoice`` to the lines, by largest remainder.

    Raises:
        DomainError: ``invalid`` for an unknown basis, two lines with one key, or a rate outside 0 to 100 %.
    """
    if basis not in ("line", "invoice"):
        raise DomainError("invalid", f"“{basis}” is not a tax basis.", field="basis", hint="Choose line or invoice.")
    if len({line.key for line in lines}) != len(lines):
        raise DomainError("invalid", "Two lines have the same key.", field="lines")
    # exact[i][j] is what level j takes of line i; later rules (caps, exemptions, tax on tax) change this table alone.
    exact = [[_bare_tax(line, level) for level in levels] for line in lines]
    line_taxes = [sum(row, Fraction(0)) for row in exact]
    if basis == "line":
        by_line = [round_money(tax) for tax in line_taxes]
        total = sum_money(by_line)
    else:
        total = round_money(sum(line_taxes, Fraction(0)))
        by_line = settle(total, line_taxes)
    columns = [sum((row[j] for row in exact), Fraction(0)) for j in range(len(levels))]
    taxable = sum_money(line.amount for line in lines if line.taxable)
    return TaxResult(
        total=total,
        by_level=tuple(
            LevelTax(level.name, level.rate, taxable, amount)
            for level, amount in zip(levels, _level_amounts(total, levels, columns), strict=True)
        ),
        by_line={line.key: tax for line, tax in zip(lines, by_line, strict=True)},
    )


def _bare_tax(line: TaxableLine, level: TaxLevel) -> Fraction:
    return Fraction(line.amount) * Fraction(level.rate) if line.taxable else Fraction(0)


def _level_amounts(total: Decimal, levels: Sequence[TaxLevel], columns: Sequence[Fraction]) -> list[Decimal]:
    """Share ``total`` out as the levels' exact taxes stand to each other; by their rates when the lines cancel out."""
    weights = columns if sum(columns) else [Fraction(level.rate) for level in levels]
    whole = sum(weights)
    if not whole:
        return [ZERO] * len(levels)
    return settle(total, [weight * Fraction(total) / whole for weight in weights])
