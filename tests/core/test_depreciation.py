from datetime import date
from decimal import Decimal as D
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from counterfoil.core.calendar import add_months
from counterfoil.core.depreciation import (
    Convention,
    DepreciationTerms,
    Method,
    macrs_percentages,
    mid_quarter_applies,
    schedule,
    tax_basis,
    units_depreciation,
    yearly,
)
from counterfoil.core.errors import DomainError

SL, DB150, DB200, SYD = (
    Method.STRAIGHT_LINE,
    Method.DECLINING_BALANCE_150,
    Method.DECLINING_BALANCE_200,
    Method.SUM_OF_YEARS,
)
FULL = Convention.FULL_MONTH


def terms(
    method: Method,
    cost: str,
    months: int,
    salvage: str = "0.00",
    convention: Convention = FULL,
    in_service: date = date(2026, 1, 1),
    switch: bool = True,
) -> DepreciationTerms:
    return DepreciationTerms(method, convention, D(cost), D(salvage), in_service, months, switch)


def figures(text: str) -> list[D]:
    return [D(figure) for figure in text.replace(",", "").split()]


def months_of(t: DepreciationTerms) -> list[D]:
    return [line.amount for line in schedule(t)]


def years_of(t: DepreciationTerms) -> list[D]:
    return [line.amount for line in yearly(schedule(t))]


def test_straight_line_by_the_month() -> None:
    lines = schedule(terms(SL, "3600.00", 36))
    assert [line.amount for line in lines] == [D("100.00")] * 36
    first, last = lines[0], lines[-1]
    assert (first.start, first.end, first.net_book_value) == (date(2026, 1, 1), date(2026, 2, 1), D("3500.00"))
    assert (last.start, last.accumulated, last.net_book_value) == (date(2028, 12, 1), D("3600.00"), D("0.00"))
    assert first.explanation == "3,600.00 over the life, month 1 of 36"


def test_straight_line_that_does_not_divide() -> None:
    amounts = months_of(terms(SL, "1000.00", 36))
    assert amounts[:3] == figures("27.78 27.78 27.77")
    assert sum(amounts) == D("1000.00")
    assert set(amounts) == {D("27.77"), D("27.78")}


def test_mid_month_takes_half_a_month_at_each_end() -> None:
    assert months_of(terms(SL, "3600.00", 36, convention=Convention.MID_MONTH)) == [
        D("50.00"),
        *[D("100.00")] * 35,
        D("50.00"),
    ]


def test_next_month_begins_a_month_later() -> None:
    lines = schedule(terms(SL, "3600.00", 36, convention=Convention.NEXT_MONTH, in_service=date(2026, 1, 31)))
    assert (len(lines), lines[0].start, lines[-1].start) == (36, date(2026, 2, 1), date(2029, 1, 1))


def test_half_year_charges_six_months_in_the_year_of_service() -> None:
    t = terms(SL, "3600.00", 36, convention=Convention.HALF_YEAR, in_service=date(2026, 10, 5))
    assert months_of(t)[:4] == figures("200 200 200 100")
    assert years_of(t) == figures("600 1200 1200 600")
    january = terms(SL, "3600.00", 36, convention=Convention.HALF_YEAR)
    assert (months_of(january)[0], years_of(january)) == (D("50.00"), figures("600 1200 1200 600"))


def test_daily_takes_the_days_of_the_first_and_last_month() -> None:
    amounts = months_of(terms(SL, "3600.00", 36, convention=Convention.DAILY, in_service=date(2026, 1, 15)))
    assert amounts[0] == D("54.84")  # 17 of 31 days
    assert (len(amounts), sum(amounts)) == (37, D("3600.00"))
    assert len(months_of(terms(SL, "900.00", 18, convention=Convention.DAILY))) == 18


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (terms(DB200, "3600.00", 60), "1,440.00 864.00 518.40 388.80 388.80"),
        (terms(DB150, "3600.00", 60), "1,080.00 756.00 588.00 588.00 588.00"),
        (terms(DB200, "3600.00", 36), "2,400.00 800.00 400.00"),
        (terms(DB200, "3600.00", 60, "360.00"), "1,440.00 864.00 518.40 311.04 106.56"),
        (terms(DB200, "3600.00", 60, switch=False), "1,440.00 864.00 518.40 311.04 186.62"),
        (terms(DB200, "10000.00", 60, "1000.00"), "4,000.00 2,400.00 1,440.00 864.00 296.00"),
        (terms(SYD, "3600.00", 60), "1,200.00 960.00 720.00 480.00 240.00"),
        (terms(SYD, "3600.00", 36, "600.00"), "1,500.00 1,000.00 500.00"),
    ],
)
def test_accelerated_methods_by_the_year(t: DepreciationTerms, expected: str) -> None:
    assert years_of(t) == figures(expected)


def test_an_accelerated_year_is_spread_evenly_over_its_months() -> None:
    lines = schedule(terms(DB200, "3600.00", 60))
    assert [line.amount for line in lines[:13]] == [*[D("120.00")] * 12, D("72.00")]
    assert lines[0].explanation == "Year 1: 40.00 % of 3,600.00, month 1 of 12"
    assert lines[-1].explanation == "Year 5: straight line over the rest, month 12 of 12"
    assert schedule(terms(SYD, "3600.00", 60))[12].explanation == "Year 2: 4/15 of 3,600.00, month 1 of 12"


def test_declining_balance_without_the_switch_leaves_a_rest() -> None:
    assert sum(months_of(terms(DB200, "3600.00", 60, switch=False))) == D("3320.06")


def test_units_of_use() -> None:
    used = figures("3000 5000 4000")
    assert units_depreciation(D("3600.00"), D("0.00"), D(12000), used) == tuple(figures("900.00 1500.00 1200.00"))
    assert units_depreciation(D("3600.00"), D("600.00"), D(12000), figures("9000 9000 1")) == tuple(
        figures("2250.00 750.00 0.00")
    )


# Pub. 946, Tables.
PRINTED = {
    (3, 0): "33.33 44.45 14.81 7.41",
    (3, 1): "58.33 27.78 12.35 1.54",
    (3, 2): "41.67 38.89 14.14 5.30",
    (3, 3): "25.00 50.00 16.67 8.33",
    (3, 4): "8.33 61.11 20.37 10.19",
    (5, 0): "20.00 32.00 19.20 11.52 11.52 5.76",
    (5, 1): "35.00 26.00 15.60 11.01 11.01 1.38",
    (5, 2): "25.00 30.00 18.00 11.37 11.37 4.26",
    (5, 3): "15.00 34.00 20.40 12.24 11.30 7.06",
    (5, 4): "5.00 38.00 22.80 13.68 10.94 9.58",
    (7, 0): "14.29 24.49 17.49 12.49 8.93 8.92 8.93 4.46",
    (7, 1): "25.00 21.43 15.31 10.93 8.75 8.74 8.75 1.09",
    (7, 2): "17.85 23.47 16.76 11.97 8.87 8.87 8.87 3.34",
    (7, 3): "10.71 25.51 18.22 13.02 9.30 8.85 8.86 5.53",
    (7, 4): "3.57 27.55 19.68 14.06 10.04 8.73 8.73 7.64",
    (10, 0): "10.00 18.00 14.40 11.52 9.22 7.37 6.55 6.55 6.56 6.55 3.28",
    (10, 1): "17.50 16.50 13.20 10.56 8.45 6.76 6.55 6.55 6.56 6.55 0.82",
    (10, 3): "7.50 18.50 14.80 11.84 9.47 7.58 6.55 6.55 6.56 6.55 4.10",
    (15, 0): "5.00 9.50 8.55 7.70 6.93 6.23 5.90 5.90 5.91 5.90 5.91 5.90 5.91 5.90 5.91 2.95",
    (15, 1): "8.75 9.13 8.21 7.39 6.65 5.99 5.90 5.91 5.90 5.91 5.90 5.91 5.90 5.91 5.90 0.74",
    (15, 3): "3.75 9.63 8.66 7.80 7.02 6.31 5.90 5.90 5.91 5.90 5.91 5.90 5.91 5.90 5.91 3.69",
    (15, 4): "1.25 9.88 8.89 8.00 7.20 6.48 5.90 5.90 5.90 5.91 5.90 5.91 5.90 5.91 5.90 5.17",
    (20, 0): "3.750 7.219 6.677 6.177 5.713 5.285 4.888 4.522 4.462 4.461 4.462 4.461 4.462 4.461 4.462 4.461 4.462 "
    "4.461 4.462 4.461 2.231",
    (20, 3): "2.813 7.289 6.742 6.237 5.769 5.336 4.936 4.566 4.460 4.460 4.460 4.460 4.461 4.460 4.461 4.460 4.461 "
    "4.460 4.461 4.460 2.788",
}


@pytest.mark.parametrize(("years", "quarter"), PRINTED)
def test_macrs_percentages_are_those_printed_in_publication_946(years: int, quarter: int) -> None:
    convention = Convention.MID_QUARTER if quarter else Convention.HALF_YEAR
    assert list(macrs_percentages(years, convention, quarter)) == figures(PRINTED[years, quarter])


@pytest.mark.parametrize("years", [3, 5, 7, 10, 15, 20])
@pytest.mark.parametrize("quarter", [0, 1, 2, 3, 4])
def test_every_macrs_column_adds_up_to_100(years: int, quarter: int) -> None:
    convention = Convention.MID_QUARTER if quarter else Convention.HALF_YEAR
    column = macrs_percentages(years, convention, quarter)
    assert (sum(column), len(column)) == (100, years + 1)
    assert min(column) > 0


@pytest.mark.parametrize(
    ("in_service", "convention", "expected"),
    [
        (date(2026, 8, 9), Convention.HALF_YEAR, "720.00 1,152.00 691.20 414.72 414.72 207.36"),
        (date(2026, 3, 31), Convention.MID_QUARTER, "1,260.00 936.00 561.60 396.36 396.36 49.68"),
        (date(2026, 4, 1), Convention.MID_QUARTER, "900.00 1,080.00 648.00 409.32 409.32 153.36"),
        (date(2026, 9, 30), Convention.MID_QUARTER, "540.00 1,224.00 734.40 440.64 406.80 254.16"),
        (date(2026, 12, 1), Convention.MID_QUARTER, "180.00 1,368.00 820.80 492.48 393.84 344.88"),
    ],
)
def test_five_year_property_of_3600(in_service: date, convention: Convention, expected: str) -> None:
    lines = schedule(terms(Method.MACRS_5, "3600.00", 0, "500.00", convention, in_service))
    assert [line.amount for line in lines] == figures(expected)
    assert (lines[0].start, lines[0].end, lines[-1].net_book_value) == (date(2026, 1, 1), date(2027, 1, 1), D(0))


def test_macrs_takes_the_rounding_in_its_stride() -> None:
    amounts = months_of(terms(Method.MACRS_5, "3333.33", 0, convention=Convention.HALF_YEAR))
    assert sum(amounts) == D("3333.33")


def test_sixty_percent_bonus_and_macrs_on_the_rest() -> None:
    basis = tax_basis(D("3600.00"), bonus_rate=D("0.60"))
    assert (basis.bonus, basis.macrs) == (D("2160.00"), D("1440.00"))
    rest = terms(Method.MACRS_5, str(basis.macrs), 0, convention=Convention.HALF_YEAR)
    assert months_of(rest) == figures("288.00 460.80 276.48 165.89 165.89 82.94")


def test_section_179_comes_before_bonus() -> None:
    basis = tax_basis(D("3600.00"), section_179=D("1000.00"), bonus_rate=D("0.40"))
    assert (basis.section_179, basis.bonus, basis.macrs) == (D("1000.00"), D("1040.00"), D("1560.00"))
    with pytest.raises(DomainError):
        tax_basis(D("100.00"), section_179=D("100.01"))
    with pytest.raises(DomainError):
        tax_basis(D("100.00"), bonus_rate=D("60"))


def test_mid_quarter_needs_more_than_forty_percent_in_the_last() -> None:
    assert not mid_quarter_applies(figures("60 0 0 40"))
    assert mid_quarter_applies(figures("60 0 0 40.01"))
    assert not mid_quarter_applies(figures("0 0 0 0"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"salvage": "3600.01"}, "salvage"),
        ({"salvage": "-0.01"}, "salvage"),
        ({"cost": "-1.00"}, "cost"),
        ({"cost": "1.001"}, "cost"),
        ({"cost": "NaN"}, "cost"),
        ({"months": 0}, "life_months"),
        ({"months": -36}, "life_months"),
        ({"months": 100_000}, "life_months"),
        ({"convention": Convention.MID_QUARTER}, "convention"),
        ({"method": Method.MACRS_5}, "convention"),
    ],
)
def test_impossible_terms_are_refused(change: dict[str, object], field: str) -> None:
    arguments: dict[str, object] = {"method": SL, "cost": "3600.00", "months": 36} | change
    with pytest.raises(DomainError) as refusal:
        terms(**arguments)  # type: ignore[arg-type]
    assert (refusal.value.code, refusal.value.field) == ("invalid", field)


def test_units_of_use_refuses_what_makes_no_sense() -> None:
    with pytest.raises(DomainError) as refusal:
        schedule(terms(Method.UNITS_OF_USE, "3600.00", 36))
    assert refusal.value.field == "method"
    with pytest.raises(DomainError):
        units_depreciation(D("1.00"), D("0.00"), D(0), [D(1)])
    with pytest.raises(DomainError):
        units_depreciation(D("1.00"), D("0.00"), D(10), [D(-1)])


cents = st.integers(0, 10**8)
book_conventions = st.sampled_from([c for c in Convention if c is not Convention.MID_QUARTER])
service_days = st.dates(date(2020, 1, 1), date(2030, 12, 31))


@given(
    method=st.sampled_from([SL, DB150, DB200, SYD]),
    convention=book_conventions,
    amounts=st.tuples(cents, cents).map(sorted),
    in_service=service_days,
    months=st.integers(1, 130),
    switch=st.booleans(),
)
@settings(max_examples=150)
def test_book_schedules_lose_no_cent(
    method: Method, convention: Convention, amounts: list[int], in_service: date, months: int, switch: bool
) -> None:
    salvage, cost = (D(n).scaleb(-2) for n in amounts)
    lines = schedule(DepreciationTerms(method, convention, cost, salvage, in_service, months, switch))
    assert all(line.amount >= 0 for line in lines)
    assert all(line.net_book_value >= salvage for line in lines)
    assert all(line.net_book_value == cost - line.accumulated for line in lines)
    assert [line.sequence for line in lines] == list(range(1, len(lines) + 1))
    assert all(a.end == b.start and a.accumulated <= b.accumulated for a, b in pairwise(lines))
    assert all(b.accumulated - a.accumulated == b.amount for a, b in pairwise(lines))
    began = 1 if convention is Convention.NEXT_MONTH else 0
    assert lines[0].start == add_months(in_service.replace(day=1), began)
    if switch or method in (SL, SYD):
        assert sum(line.amount for line in lines) == cost - salvage
    assert sum(year.amount for year in yearly(lines)) == lines[-1].accumulated


@given(
    years=st.sampled_from([3, 5, 7, 10, 15, 20]),
    convention=st.sampled_from([Convention.HALF_YEAR, Convention.MID_QUARTER]),
    cost=cents,
    in_service=service_days,
)
def test_macrs_writes_off_the_whole_cost(years: int, convention: Convention, cost: int, in_service: date) -> None:
    amount = D(cost).scaleb(-2)
    lines = schedule(DepreciationTerms(Method(f"macrs_{years}"), convention, amount, amount, in_service, 0))
    assert sum(line.amount for line in lines) == amount
    assert all(line.amount >= 0 for line in lines)
    assert [line.start.year for line in lines] == [in_service.year + n for n in range(years + 1)]


@given(cost=cents, usage=st.lists(st.integers(0, 5000), max_size=12), total=st.integers(1, 20000))
def test_units_never_write_off_more_than_there_is(cost: int, usage: list[int], total: int) -> None:
    amounts = units_depreciation(D(cost).scaleb(-2), D(0), D(total), [D(u) for u in usage])
    share = min(Fraction(sum(usage), total), Fraction(1)) * cost / 100
    assert abs(Fraction(sum(amounts)) - share) <= Fraction(1, 200)
    assert all(amount >= 0 for amount in amounts)
