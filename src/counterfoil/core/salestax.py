"""Sales tax: levels combined, rounded once, then shared out so that the parts add up.

The rule is that of the Streamlined Sales and Use Tax Agreement, § 324: the tax is carried out exactly and rounded half
up, on each line or on the whole invoice (the seller chooses and keeps to it), on state and local rates together.
Rounding levels one by one, or a line twice, gives different cents: 33.37 at 4 + 2.25 + 1 % is 2.42, not 2.41.

What a level takes of a line: nothing when the line is not taxed, is of a kind the level does not tax, or is exempt
there. Else its rate of the line's amount, of which

1. the single-unit bounds leave the part of each unit's price that lies between them (Tennessee's single article),
2. the taxable maximum of the level leaves at most so much of the line,
3. and the tax of the levels named by ``compound_on`` on the same line is added (tax on tax; no cap holds for it).

A unit's price is what the customer pays for it: the amount, after discounts and coverage, over the quantity. A level of
type ``amount`` takes a fixed sum for each unit of the quantity instead, and nothing of a line that comes to 0.00.

Everything is reckoned in integers: exact like fractions, and quick enough for a billing run.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import Final, Literal, NamedTuple

from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, from_units, round_money, round_units, settle, settle_units, sum_money, units_of

#: Whether tax is rounded on each line or once on the whole invoice.
Basis = Literal["line", "invoice"]
#: What a line sells; a level may tax some of the three.
Kind = Literal["service", "expense", "product"]
RateType = Literal["percent", "amount"]

MAX_LEVELS: Final = 6
NOWHERE: Final[frozenset[int]] = frozenset()
#: Exempt from every level.
EVERYWHERE: Final = frozenset(range(1, MAX_LEVELS + 1))

# Decimals that columns keep: amounts 4, rates and prices 8, quantities 6.
_AMOUNT: Final = 4
_RATE: Final = 8
_QUANTITY: Final = 6
#: A price times a quantity; also the unit of a taxable base where there are caps.
_BASE: Final = _RATE + _QUANTITY


@dataclass(frozen=True, slots=True)
class TaxLevel:
    """A jurisdiction's part of the tax.

    Attributes:
        name: of the jurisdiction.
        rate: a fraction (``Decimal("0.06")`` is 6 %), or for type ``amount`` the tax on one unit of quantity.
        position: 1 to 6, by which exemptions and ``compound_on`` name it; 0 is its place among the levels given.
        rate_type: ``percent`` or ``amount``.
        taxes_services: whether lines of that kind are taxed; likewise ``taxes_expenses``, ``taxes_products``.
        taxable_max: no more than so much of a line is taxed.
        single_unit_minimum: of a unit's price, only the part above it is taxed.
        single_unit_maximum: of a unit's price, only the part up to it is taxed.
        compound_on: positions before its own whose tax is taxed as well.
        agency: whom it is paid to.
    """

    name: str
    rate: Decimal
    position: int = 0
    rate_type: RateType = "percent"
    taxes_services: bool = True
    taxes_expenses: bool = True
    taxes_products: bool = True
    taxable_max: Decimal | None = None
    single_unit_minimum: Decimal | None = None
    single_unit_maximum: Decimal | None = None
    compound_on: tuple[int, ...] = ()
    agency: str = ""

    def __post_init__(self) -> None:
        if self.rate_type == "percent" and not 0 <= self.rate <= 1:
            raise DomainError(
                "invalid",
                f"The rate of {self.name} must lie between 0 and 100 %.",
                field="rate",
                hint="6 % is written as 0.06.",
            )
        if self.rate_type == "amount" and self.rate < 0:
            raise DomainError("invalid", f"The tax of {self.name} on a unit cannot be negative.", field="rate")
        if self.rate_type == "amount" and (self.has_caps or self.compound_on):
            raise DomainError(
                "invalid",
                f"{self.name} takes a fixed amount a unit: no maximum, single-unit bound or tax on tax applies to it.",
                field="rate_type",
            )
        self._check_bounds()

    def _check_bounds(self) -> None:
        for name in ("taxable_max", "single_unit_minimum", "single_unit_maximum"):
            if (getattr(self, name) or 0) < 0:
                words = name.replace("_", " ")
                raise DomainError("invalid", f"The {words} of {self.name} cannot be negative.", field=name)
        low, high = self.single_unit_minimum, self.single_unit_maximum
        if low is not None and high is not None and low >= high:
            raise DomainError(
                "invalid",
                f"The single unit minimum of {self.name} must be below its maximum.",
                field="single_unit_minimum",
            )

    @property
    def has_caps(self) -> bool:
        """Whether less than the whole amount may be taxed."""
        return not self.taxable_max is self.single_unit_minimum is self.single_unit_maximum is None

    def taxes(self, kind: Kind) -> bool:
        """Whether it taxes lines of that kind."""
        if kind == "service":
            return self.taxes_services
        return self.taxes_expenses if kind == "expense" else self.taxes_products


class TaxableLine(NamedTuple):
    """A line as it is taxed.

    Attributes:
        key: names the line in the result.
        amount: what it comes to, after discount and coverage.
        taxable: whether it is taxed at all.
        kind: ``service``, ``expense`` or ``product``.
        quantity: how many units the amount is for; only single-unit bounds and amounts a unit ask for it.
        category_id: of the product; like ``expense_type_id`` and ``work_role_id`` what a tax code may exempt it by.
        exempt: positions of the levels that do not tax it; :data:`EVERYWHERE` for a customer with a certificate.
    """

    key: Hashable
    amount: Decimal
    taxable: bool = True
    kind: Kind = "product"
    quantity: Decimal = Decimal(1)
    category_id: int | None = None
    expense_type_id: int | None = None
    work_role_id: int | None = None
    exempt: frozenset[int] = NOWHERE


class LevelTax(NamedTuple):
    """What one level takes: ``rate`` of ``taxable_amount`` is ``amount``, give or take the cent that was shared out.

    The rate of a level that takes an amount a unit is 0. ``exempt_amount`` is what it would tax, were it not exempt:
    the taxable lines of kinds it taxes.
    """

    name: str
    rate: Decimal
    taxable_amount: Decimal
    amount: Decimal
    exempt_amount: Decimal = ZERO
    position: int = 0
    agency: str = ""
    rate_type: RateType = "percent"


class TaxResult(NamedTuple):
    """The invoice's tax. ``by_level`` and ``by_line`` both add up to ``total``; untaxed lines show 0.00."""

    total: Decimal
    by_level: tuple[LevelTax, ...]
    by_line: dict[Hashable, Decimal]


class TaxLevels(tuple[TaxLevel, ...]):
    """The levels of a tax code in order, checked and made ready once for any number of invoices.

    Raises:
        DomainError: ``invalid`` for more than six levels, two at one position, or tax on the tax of a level that does
            not come before.
    """

    rates: tuple[int, ...]
    is_plain: bool
    _applied: dict[tuple[Kind, frozenset[int]], tuple[int, tuple[int, ...], tuple[int, ...]]]

    def __new__(cls, levels: Iterable[TaxLevel] = ()) -> TaxLevels:
        """Put the levels in order of position and see what they ask for."""
        given = tuple(levels)
        placed = sorted(
            (level if level.position else _placed(level, i) for i, level in enumerate(given, start=1)),
            key=attrgetter("position"),
        )
        _check_positions(placed)
        made = super().__new__(cls, placed)
        made.rates = tuple(units_of(level.rate, _RATE) for level in placed)
        made.is_plain = all(x.rate_type == "percent" and not x.has_caps and not x.compound_on for x in placed)
        made._applied = {}
        return made

    def applied(self, kind: Kind, exempt: frozenset[int]) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        """For a line: the rates that apply together; which levels tax it; which would, were it not exempt."""
        try:
            return self._applied[kind, exempt]
        except KeyError:
            would = [i for i, level in enumerate(self) if level.taxes(kind)]
            do = tuple(i for i in would if self[i].position not in exempt)
            spared = tuple(i for i in would if self[i].position in exempt)
            found = self._applied[kind, exempt] = (sum(self.rates[i] for i in do), do, spared)
            return found


def _placed(level: TaxLevel, position: int) -> TaxLevel:
    return replace(level, position=position)


def _check_positions(levels: Sequence[TaxLevel]) -> None:
    positions = [level.position for level in levels]
    if not EVERYWHERE.issuperset(positions):
        raise DomainError("invalid", f"A tax code has at most {MAX_LEVELS} levels, at the positions 1 to 6.", "levels")
    if len(set(positions)) != len(positions):
        raise DomainError("invalid", "Two levels have the same position.", field="levels")
    for level in levels:
        if any(not 0 < other < level.position for other in level.compound_on):
            raise DomainError(
                "invalid",
                f"{level.name} can be a tax on the tax of levels before it only.",
                field="compound_on",
                hint="Name positions below its own.",
            )


def compute_tax(lines: Sequence[TaxableLine], levels: Sequence[TaxLevel], basis: Basis = "invoice") -> TaxResult:
    """The sales tax of an invoice. Negative amounts mirror positive ones.

    With basis ``line`` each line's combined tax is rounded; with ``invoice`` their exact sum is, once. The rounded
    total is then shared out to the levels, and with basis ``invoice`` to the lines, by largest remainder.

    Args:
        lines: of the invoice.
        levels: of its tax code; a :class:`TaxLevels` that is kept saves making one for each invoice.
        basis: what is rounded.

    Raises:
        DomainError: ``invalid`` for an unknown basis, two lines with one key, or levels that do not go together.
    """
    if basis not in ("line", "invoice"):
        raise DomainError("invalid", f"“{basis}” is not a tax basis.", field="basis", hint="Choose line or invoice.")
    ready = levels if isinstance(levels, TaxLevels) else TaxLevels(levels)
    exact = _of_plain(lines, ready) if ready.is_plain else _of_any(lines, ready)
    if basis == "line":
        by_line = [round_units(tax, exact.per_cent) for tax in exact.by_line]
        total = sum(by_line)
    else:
        total = round_units(sum(exact.by_line), exact.per_cent)
        by_line = settle_units(total, exact.by_line, exact.per_cent)
    result = {line.key: from_units(tax) for line, tax in zip(lines, by_line, strict=True)}
    if len(result) != len(lines):
        raise DomainError("invalid", "Two lines have the same key.", field="lines")
    amounts = _share_out(total, exact.by_level, exact.per_cent, ready.rates)
    return TaxResult(
        total=from_units(total),
        by_level=tuple(
            LevelTax(
                level.name,
                level.rate if level.rate_type == "percent" else _NO_RATE,
                from_units(round_units(taxable, exact.base_per_cent)),
                from_units(amount),
                from_units(round_units(spared, 100)) if spared else ZERO,
                level.position,
                level.agency,
                level.rate_type,
            )
            for level, amount, taxable, spared in zip(ready, amounts, exact.taxable, exact.spared, strict=True)
        ),
        by_line=result,
    )


@dataclass(slots=True)
class _Exact:
    """The tax before it is rounded, ``per_cent`` units to a cent; bases ``base_per_cent`` units to a cent."""

    by_line: list[int]
    by_level: list[int]
    taxable: list[int]
    spared: list[int]
    per_cent: int
    base_per_cent: int


_NO_RATE: Final = Decimal(0)
_PLAIN_PER_CENT: Final = 10 ** (_AMOUNT + _RATE - 2)
_AMOUNT_PER_CENT: Final = 10 ** (_AMOUNT - 2)


def _of_plain(lines: Sequence[TaxableLine], levels: TaxLevels) -> _Exact:
    """Percentages of whole amounts."""
    by_line = []
    taxed, spared = [0] * len(levels), [0] * len(levels)
    for line in lines:
        if not line.taxable:
            by_line.append(0)
            continue
        units = units_of(line.amount, _AMOUNT)
        rates, do, would = levels.applied(line.kind, line.exempt)
        by_line.append(units * rates)
        for i in do:
            taxed[i] += units
        for i in would:
            spared[i] += units
    by_level = [units * rate for units, rate in zip(taxed, levels.rates, strict=True)]
    return _Exact(by_line, by_level, taxed, spared, _PLAIN_PER_CENT, _AMOUNT_PER_CENT)


def _of_any(lines: Sequence[TaxableLine], levels: TaxLevels) -> _Exact:
    """The same with caps, amounts a unit and tax on tax; each link of tax on tax takes eight decimals more."""
    deeper = 10 ** (_RATE * len(levels))
    exact = _Exact(
        [],
        [0] * len(levels),
        [0] * len(levels),
        [0] * len(levels),
        per_cent=10 ** (_BASE + _RATE - 2) * deeper,
        base_per_cent=10 ** (_BASE - 2) * deeper,
    )
    for line in lines:
        of_line = 0
        if line.taxable:
            _, do, spared = levels.applied(line.kind, line.exempt)
            taxes: dict[int, int] = {}  # by position
            for i in do:
                base, tax = _of_level(line, levels[i], levels.rates[i], taxes, deeper)
                taxes[levels[i].position] = tax
                exact.taxable[i] += base
                exact.by_level[i] += tax
                of_line += tax
            for i in spared:
                exact.spared[i] += units_of(line.amount, _AMOUNT)
        exact.by_line.append(of_line)
    return exact


def _of_level(line: TaxableLine, level: TaxLevel, rate: int, taxes: dict[int, int], deeper: int) -> tuple[int, int]:
    """The taxable base and the tax of a line at a level, given the tax at the levels before it."""
    if level.rate_type == "amount":
        if not line.amount:
            return 0, 0
        tax = rate * abs(units_of(line.quantity, _QUANTITY)) * 10**_RATE * deeper
        return units_of(line.amount, _BASE) * deeper, tax if line.amount > 0 else -tax
    # The tax before is a multiple of 10**_RATE as long as a link is left, so nothing is lost here.
    base = _capped(line, level) * deeper + sum(taxes.get(p, 0) for p in level.compound_on) // 10**_RATE
    return base, base * rate


def _capped(line: TaxableLine, level: TaxLevel) -> int:
    """What of a line's amount the level taxes; a quantity of zero counts as one unit."""
    amount = abs(units_of(line.amount, _BASE))
    quantity = abs(units_of(line.quantity, _QUANTITY)) or 10**_QUANTITY
    if level.single_unit_maximum is not None:
        amount = min(amount, units_of(level.single_unit_maximum, _RATE) * quantity)
    if level.single_unit_minimum is not None:
        amount = max(amount - units_of(level.single_unit_minimum, _RATE) * quantity, 0)
    if level.taxable_max is not None:
        amount = min(amount, units_of(level.taxable_max, _BASE))
    return amount if line.amount > 0 else -amount


def _share_out(total: int, exact: Sequence[int], per_cent: int, rates: Sequence[int]) -> list[int]:
    """Cents of ``total`` for each level: its exact tax and its share of what rounding added, by largest remainder.

    What rounding added is shared as the levels' taxes stand to each other; by their rates when the lines cancel out.
    """
    added = total * per_cent - sum(exact)
    if not added:
        return settle_units(total, exact, per_cent)
    weights = [abs(part) for part in exact]
    whole = sum(weights)
    if not whole:
        weights, whole = list(rates), sum(rates)
    return settle_units(
        total, [part * whole + added * weight for part, weight in zip(exact, weights, strict=True)], per_cent * whole
    )


# -- credits -----------------------------------------------------------------------------------------------------------


class BookedLine(NamedTuple):
    """A line of an invoice as it was billed, and what of it was credited before.

    Attributes:
        key: names the line.
        amount: billed.
        tax: billed on it.
        credited: amount credited by earlier credit memos, with the sign of ``amount``.
        levels: positions of the levels that taxed it, or would have, were it not exempt; ``None`` is all of them.
    """

    key: Hashable
    amount: Decimal
    tax: Decimal
    credited: Decimal = ZERO
    levels: frozenset[int] | None = None


class BookedLevel(NamedTuple):
    """A level of an invoice as it was billed."""

    name: str
    rate: Decimal
    amount: Decimal
    position: int
    agency: str = ""
    rate_type: RateType = "percent"


def tax_of_credit(
    lines: Sequence[BookedLine], levels: Sequence[BookedLevel], credits: Mapping[Hashable, Decimal]
) -> TaxResult:
    """The tax of a credit memo, out of the tax that was billed: neither today's rates nor a rounding of its own.

    Each line gives back as much of its billed tax as of its amount, reckoned on all that was credited of it so far, so
    that credits which together give back a line give back exactly its tax, and those of all lines that of each level.

    Args:
        lines: all lines of the invoice.
        levels: all its levels.
        credits: by line, the amount to credit, with the sign of the billed amount.

    Returns:
        The tax of the credit memo, with the opposite sign of the invoice's; ``by_line`` has the credited lines.

    Raises:
        DomainError: ``not_found`` for a line the invoice does not have; ``invalid`` when more of it would be credited
            than was billed.
    """
    known = {line.key for line in lines}
    for key in credits:
        if key not in known:
            raise DomainError("not_found", f"The invoice has no line {key}.", field="lines")
    before = [line.credited for line in lines]
    after = [line.credited + credits.get(line.key, ZERO) for line in lines]
    for line, credited in zip(lines, after, strict=True):
        if not (0 <= credited <= line.amount if line.amount >= 0 else line.amount <= credited <= 0):
            raise DomainError(
                "invalid",
                f"Of {line.amount} billed, {line.credited} is credited already; {credits.get(line.key)} is too much.",
                field="lines",
            )
    lines_before, levels_before = _given_back(lines, levels, before)
    lines_after, levels_after = _given_back(lines, levels, after)
    back = {
        line.key: sum_money([then, -now])
        for line, now, then in zip(lines, lines_after, lines_before, strict=True)
        if line.key in credits
    }
    return TaxResult(
        total=sum_money(back.values()),
        by_level=tuple(
            LevelTax(
                name=level.name,
                rate=level.rate,
                taxable_amount=_taken_back(lines, level, credits, taxed=True),
                amount=sum_money([then, -now]),
                exempt_amount=_taken_back(lines, level, credits, taxed=False),
                position=level.position,
                agency=level.agency,
                rate_type=level.rate_type,
            )
            for level, now, then in zip(levels, levels_after, levels_before, strict=True)
        ),
        by_line=back,
    )


def _taken_back(
    lines: Sequence[BookedLine], level: BookedLevel, credits: Mapping[Hashable, Decimal], *, taxed: bool
) -> Decimal:
    """What is credited of the lines of a level, those that bore tax or those that were exempt."""
    return sum_money(-credits.get(x.key, ZERO) for x in lines if _bears(x, level) and bool(x.tax) == taxed)


def _bears(line: BookedLine, level: BookedLevel) -> bool:
    return line.levels is None or level.position in line.levels


def _given_back(
    lines: Sequence[BookedLine], levels: Sequence[BookedLevel], credited: Sequence[Decimal]
) -> tuple[list[Decimal], list[Decimal]]:
    """The tax given back by line and by level once so much of the lines is credited; all of it when all is."""
    by_line = [
        round_money(Fraction(line.tax) * Fraction(part) / Fraction(line.amount)) if part else ZERO
        for line, part in zip(lines, credited, strict=True)
    ]
    due = _spread(lines, levels, by_line)
    whole = _spread(lines, levels, [line.tax for line in lines])
    # By line and by level, the billed tax was rounded apart; the cent between them goes along with what is credited.
    billed = sum(abs(line.amount) for line in lines)
    share = Fraction(sum(abs(part) for part in credited)) / Fraction(billed) if billed else Fraction(0)
    parts = [
        part + (Fraction(level.amount) - of_all) * share for part, of_all, level in zip(due, whole, levels, strict=True)
    ]
    return by_line, settle(sum_money(by_line), parts) if levels else []


def _spread(lines: Sequence[BookedLine], levels: Sequence[BookedLevel], taxes: Sequence[Decimal]) -> list[Fraction]:
    """The taxes of the lines by level, unrounded: by what each level billed on the lines it taxed."""
    rates = []
    for level in levels:
        taxed = sum(abs(line.amount) for line in lines if _bears(line, level))
        rates.append(Fraction(abs(level.amount)) / Fraction(taxed) if taxed else Fraction(0))
    by_level = [Fraction(0)] * len(levels)
    for line, tax in zip(lines, taxes, strict=True):
        weights = [rate if _bears(line, level) else Fraction(0) for rate, level in zip(rates, levels, strict=True)]
        if not any(weights):
            weights = [Fraction(level.rate) for level in levels]
        whole = sum(weights)
        for i, weight in enumerate(weights):
            by_level[i] += Fraction(tax) * weight / whole if whole else 0
    return by_level
