"""What leasing goods to a customer does to profit, cash and balance sheet, in both ways of accounting for it.

Option 1 buys the goods as non-inventory: the whole cost is expensed in the month of purchase. Option 2 buys them as
inventory, moves them to fixed assets in the same month and depreciates them. Cash is the same in both, and so is what
is earned in the end; until then option 2's equity is the higher by exactly the net book value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from typing import Final, Literal

from counterfoil.core.calendar import MONTHLY, Period, add_months, calendar_month, months_between, nth_period
from counterfoil.core.depreciation import Convention, DepreciationTerms, Method, ScheduleLine, schedule
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, allocate, multiply, round_money, round_to, sum_money

#: ASC 842-10-55-2: what "the major part" of the life and "substantially all" of the fair value are commonly taken as.
MAJOR_PART: Final = Decimal("0.75")
SUBSTANTIALLY_ALL: Final = Decimal("0.90")


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Goods bought for ``cost`` and leased out for ``price_per_month`` over ``months``, from ``start``.

    The customer is billed at the beginning of each month of the agreement and pays, and sales tax is remitted, within
    the month. The vendor is paid on ``vendor_paid_on``, a month after the start unless another day is given.

    Raises:
        DomainError: ``invalid``, with the field, for terms that make no sense or cannot be depreciated.
    """

    cost: Decimal
    price_per_month: Decimal
    months: int
    start: date
    life_months: int
    method: Method = Method.STRAIGHT_LINE
    convention: Convention = Convention.FULL_MONTH
    salvage: Decimal = ZERO
    tax_rate: Decimal = ZERO
    vendor_paid_on: date | None = None
    switch_to_straight_line: bool = True

    def __post_init__(self) -> None:
        price = self.price_per_month
        if not price.is_finite() or price < 0 or round_money(price) != price:
            raise DomainError("invalid", "The price must be an amount in whole cents.", field="price_per_month")
        if not 0 < self.months <= 1200:
            raise DomainError("invalid", "The agreement must run for 1 to 1200 months.", field="months")
        if not 0 <= self.tax_rate <= 1:
            raise DomainError("invalid", "The tax rate must lie between 0 and 100 %.", field="tax_rate")
        if self.vendor_paid_on is not None and self.vendor_paid_on < self.start:
            raise DomainError("invalid", "The vendor cannot be paid before the start.", field="vendor_paid_on")
        if self.method is Method.UNITS_OF_USE:
            raise DomainError("invalid", "Units of use cannot be planned by the month.", field="method")
        _ = self.depreciation  # its own terms are checked here too

    @property
    def depreciation(self) -> DepreciationTerms:
        """The asset's terms under option 2."""
        return DepreciationTerms(
            self.method,
            self.convention,
            self.cost,
            self.salvage,
            self.start,
            self.life_months,
            self.switch_to_straight_line,
        )

    @property
    def sales_tax_per_month(self) -> Decimal:
        """Sales tax on one month's invoice; it never depends on the option."""
        return round_money(multiply(self.price_per_month, self.tax_rate))

    @property
    def invoice_total(self) -> Decimal:
        """What the customer is billed each month."""
        return sum_money((self.price_per_month, self.sales_tax_per_month))


@dataclass(frozen=True, slots=True)
class EconomicsRow:
    """A month or a year of one option: what happened in it, and where it ends.

    ``revenue``, ``cogs``, ``depreciation``, ``profit`` and ``cash_flow`` are of the period; ``cumulative_profit``,
    ``net_book_value``, ``cash`` and ``accounts_payable`` as they stand at its end.
    """

    period: Period
    revenue: Decimal
    cogs: Decimal
    depreciation: Decimal
    profit: Decimal
    cumulative_profit: Decimal
    net_book_value: Decimal
    cash_flow: Decimal
    cash: Decimal
    accounts_payable: Decimal

    @property
    def equity(self) -> Decimal:
        """Assets less liabilities: cash and net book value less what is owed to the vendor."""
        return sum_money((self.cash, self.net_book_value, -self.accounts_payable))


@dataclass(frozen=True, slots=True)
class OptionEconomics:
    """One option month by month, by calendar year, and in all."""

    option: Literal[1, 2]
    months: tuple[EconomicsRow, ...]
    years: tuple[EconomicsRow, ...]
    total: EconomicsRow


@dataclass(frozen=True, slots=True)
class LeaseEconomics:
    """Both options over the same months, which run until the agreement, the depreciation and the payment are done.

    ``remaining_book_value`` is what is never written off (salvage, or declining balance without the switch): it is
    the one thing by which the options' total profits differ.
    """

    terms: LeaseTerms
    option_1: OptionEconomics
    option_2: OptionEconomics
    remaining_book_value: Decimal


def lease_economics(terms: LeaseTerms) -> LeaseEconomics:
    """Both options of the lease, month by month."""
    depreciation = _by_month(schedule(terms.depreciation), terms.start)
    billed = [calendar_month(nth_period(terms.start, MONTHLY, n).start) for n in range(terms.months)]
    bought, paid = calendar_month(terms.start), calendar_month(terms.vendor_paid_on or add_months(terms.start, 1))
    last = max([*billed, *depreciation, paid])
    months = [calendar_month(add_months(bought.start, n)) for n in range(months_between(bought.start, last.start) + 1)]
    revenue = dict.fromkeys(billed, terms.price_per_month)
    expensed = _option(1, months, terms.cost, paid, revenue, cogs={bought: terms.cost}, depreciation={})
    capitalised = _option(2, months, terms.cost, paid, revenue, cogs={}, depreciation=depreciation)
    return LeaseEconomics(terms, expensed, capitalised, capitalised.total.net_book_value)


def _option(
    option: Literal[1, 2],
    months: Sequence[Period],
    cost: Decimal,
    paid: Period,
    revenue: dict[Period, Decimal],
    cogs: dict[Period, Decimal],
    depreciation: dict[Period, Decimal],
) -> OptionEconomics:
    rows: list[EconomicsRow] = []
    profit_to_date, cash = ZERO, ZERO
    net_book_value = ZERO if cogs else cost
    for month in months:
        earned, sold, written_off = (x.get(month, ZERO) for x in (revenue, cogs, depreciation))
        profit = sum_money((earned, -sold, -written_off))
        flow = sum_money((earned, -cost if month == paid else ZERO))
        profit_to_date, cash = sum_money((profit_to_date, profit)), sum_money((cash, flow))
        net_book_value = sum_money((net_book_value, -written_off))
        owed = cost if month < paid else ZERO
        rows.append(
            EconomicsRow(month, earned, sold, written_off, profit, profit_to_date, net_book_value, flow, cash, owed)
        )
    by_year: dict[int, list[EconomicsRow]] = {}
    for row in rows:
        by_year.setdefault(row.period.start.year, []).append(row)
    years = tuple(_together(year) for year in by_year.values())
    return OptionEconomics(option, tuple(rows), years, _together(rows))


def _together(rows: Sequence[EconomicsRow]) -> EconomicsRow:
    """Several months as one: flows added up, balances as at the end."""
    last = rows[-1]
    return EconomicsRow(
        period=Period(rows[0].period.start, last.period.end),
        revenue=sum_money(row.revenue for row in rows),
        cogs=sum_money(row.cogs for row in rows),
        depreciation=sum_money(row.depreciation for row in rows),
        profit=sum_money(row.profit for row in rows),
        cumulative_profit=last.cumulative_profit,
        net_book_value=last.net_book_value,
        cash_flow=sum_money(row.cash_flow for row in rows),
        cash=last.cash,
        accounts_payable=last.accounts_payable,
    )


def _by_month(lines: Iterable[ScheduleLine], in_service: date) -> dict[Period, Decimal]:
    """The schedule by calendar month; a MACRS year is spread evenly over its months in service."""
    amounts: dict[Period, Decimal] = {}
    first = calendar_month(in_service).start
    for line in lines:
        start = max(line.start, first)
        count = months_between(start, line.end)
        for n, amount in enumerate(allocate(line.amount, [Decimal(1)] * count)):
            amounts[calendar_month(add_months(start, n))] = amount
    return amounts


@dataclass(frozen=True, slots=True)
class LeaseClassification:
    """Facts for judging whether a lease of these goods is a sales-type lease (ASC 842-10-25-2), from the lessor's side.

    ``term_ratio`` is the agreement's share of the economic life, ``value_ratio`` the present value of the payments as
    a share of the cost, ``implicit_monthly_rate`` the rate at which the two are equal (None when the payments do not
    exceed the cost). ``interest_by_year`` is what a sales-type lease would show as interest, by calendar year.
    """

    term_ratio: Decimal
    is_major_part: bool
    present_value: Decimal
    value_ratio: Decimal | None
    is_substantially_all: bool
    implicit_monthly_rate: Decimal | None
    interest_by_year: tuple[tuple[int, Decimal], ...]

    @property
    def looks_sales_type(self) -> bool:
        """Whether either benchmark is met. Title, purchase options and special goods are for people to judge."""
        return self.is_major_part or self.is_substantially_all


def lease_classification(
    terms: LeaseTerms, annual_discount_rate: Decimal, economic_life_months: int | None = None
) -> LeaseClassification:
    """Hold the lease against the 75 % and 90 % benchmarks.

    The payments are discounted from the end of each month at a twelfth of the annual rate (an ordinary annuity):
    36 payments of 150.00 at 8 % are worth 4,786.77.

    Args:
        terms: the lease; if only part of the price is for the goods, give that part as the price.
        annual_discount_rate: as a fraction, ``Decimal("0.08")``.
        economic_life_months: how long the goods are of use; the depreciation life when it is not given.

    Raises:
        DomainError: ``invalid`` for a rate below zero or above 100 %, or a life of no months.
    """
    life = terms.life_months if economic_life_months is None else economic_life_months
    if life <= 0:
        raise DomainError("invalid", "The economic life must be at least a month.", field="economic_life_months")
    if not 0 <= annual_discount_rate <= 1:
        raise DomainError("invalid", "The rate must lie between 0 and 100 %.", field="annual_discount_rate")
    with localcontext(Context(prec=50)):
        present_value = round_money(terms.price_per_month * _annuity(annual_discount_rate / 12, terms.months))
    term_ratio = Fraction(terms.months, life)
    value_ratio = Fraction(present_value) / Fraction(terms.cost) if terms.cost else None
    rate = _implicit_rate(terms)
    return LeaseClassification(
        term_ratio=round_to(term_ratio, 4),
        is_major_part=term_ratio >= Fraction(MAJOR_PART),
        present_value=present_value,
        value_ratio=None if value_ratio is None else round_to(value_ratio, 4),
        is_substantially_all=value_ratio is not None and value_ratio >= Fraction(SUBSTANTIALLY_ALL),
        implicit_monthly_rate=None if rate is None else round_to(rate, 8),
        interest_by_year=() if rate is None else _interest_by_year(terms, rate),
    )


def _annuity(rate: Decimal, months: int) -> Decimal:
    """What 1 at the end of each month is worth now."""
    return (1 - (1 + rate) ** -months) / rate if rate else Decimal(months)


def _implicit_rate(terms: LeaseTerms) -> Decimal | None:
    """The monthly rate at which the payments are worth the cost, by bisection."""
    price, cost = terms.price_per_month, terms.cost
    if cost <= 0 or price * terms.months <= cost:
        return None
    with localcontext(Context(prec=50)):
        low, high = Decimal(0), price / cost  # at this rate even payments without end would be worth no more
        for _ in range(120):
            middle = (low + high) / 2
            if price * _annuity(middle, terms.months) > cost:
                low = middle
            else:
                high = middle
        return (low + high) / 2


def _interest_by_year(terms: LeaseTerms, rate: Decimal) -> tuple[tuple[int, Decimal], ...]:
    """Interest on the net investment, rounded cumulatively so that it adds up to the payments less the cost."""
    years: dict[int, Decimal] = {}
    price, booked = terms.price_per_month, ZERO
    with localcontext(Context(prec=50)):
        for n in range(1, terms.months + 1):
            left = price * _annuity(rate, terms.months - n)
            earned = round_money(price * n + left - terms.cost)
            year = add_months(terms.start, n - 1).year
            years[year] = years.get(year, ZERO) + earned - booked
            booked = earned
    return tuple(years.items())
