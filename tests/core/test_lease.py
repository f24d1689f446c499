from datetime import date
from decimal import Decimal as D

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from counterfoil.core.depreciation import Convention, Method
from counterfoil.core.errors import DomainError
from counterfoil.core.lease import EconomicsRow, LeaseTerms, lease_classification, lease_economics

JAN = date(2026, 1, 1)


def server(**changes: object) -> LeaseTerms:
    terms: dict[str, object] = {
        "cost": D("3600.00"),
        "price_per_month": D("150.00"),
        "months": 36,
        "start": JAN,
        "life_months": 36,
        "tax_rate": D("0.06"),
        "vendor_paid_on": date(2026, 2, 10),
    }
    return LeaseTerms(**(terms | changes))  # type: ignore[arg-type]


def figures(row: EconomicsRow) -> str:
    """Revenue, COGS, depreciation, profit, cash, payable, net book value, equity."""
    amounts = (
        row.revenue, row.cogs, row.depreciation, row.profit, row.cash, row.accounts_payable, row.net_book_value,
        row.equity,
    )  # fmt: skip
    return " ".join(f"{amount:,.0f}" if amount == int(amount) else f"{amount:,}" for amount in amounts)


def test_a_server_of_3600_leased_for_150_a_month() -> None:
    economics = lease_economics(server())
    one, two = economics.option_1, economics.option_2
    assert [figures(row) for row in one.months[:2]] == [
        "150 3,600 0 -3,450 150 3,600 0 -3,450",
        "150 0 0 150 -3,300 0 0 -3,300",
    ]
    assert [figures(row) for row in two.months[:2]] == [
        "150 0 100 50 150 3,600 3,500 50",
        "150 0 100 50 -3,300 0 3,400 100",
    ]
    assert [figures(row) for row in one.years] == [
        "1,800 3,600 0 -1,800 -1,800 0 0 -1,800",
        "1,800 0 0 1,800 0 0 0 0",
        "1,800 0 0 1,800 1,800 0 0 1,800",
    ]
    assert [figures(row) for row in two.years] == [
        "1,800 0 1,200 600 -1,800 0 2,400 600",
        "1,800 0 1,200 600 0 0 1,200 1,200",
        "1,800 0 1,200 600 1,800 0 0 1,800",
    ]
    assert figures(one.total) == "5,400 3,600 0 1,800 1,800 0 0 1,800"
    assert figures(two.total) == "5,400 0 3,600 1,800 1,800 0 0 1,800"
    assert (len(one.months), two.months[-1].period.label) == (36, "Dec 2028")
    assert [year.period.start.year for year in one.years] == [2026, 2027, 2028]


def test_a_device_of_1800_leased_for_75_a_month() -> None:
    """WE-6."""
    economics = lease_economics(server(cost=D("1800.00"), price_per_month=D("75.00")))
    assert figures(economics.option_1.months[0]) == "75 1,800 0 -1,725 75 1,800 0 -1,725"
    assert figures(economics.option_2.months[0]) == "75 0 50 25 75 1,800 1,750 25"
    assert economics.option_1.total.profit == economics.option_2.total.profit == D("900.00")


def test_sales_tax_is_the_same_in_both_options_and_no_part_of_profit_or_cash() -> None:
    assert (server().sales_tax_per_month, server().invoice_total) == (D("9.00"), D("159.00"))
    taxed, untaxed = lease_economics(server()), lease_economics(server(tax_rate=D("0")))
    assert taxed.option_1.months == untaxed.option_1.months
    assert taxed.option_2.months == untaxed.option_2.months


def test_depreciation_runs_on_after_a_shorter_agreement() -> None:
    economics = lease_economics(server(months=24))
    two = economics.option_2
    assert len(two.months) == 36
    assert figures(two.months[23]).endswith(" 0 0 1,200 1,200")
    assert figures(two.months[24]) == "0 0 100 -100 0 0 1,100 1,100"
    assert economics.remaining_book_value == 0


def test_an_agreement_that_outlives_the_asset_earns_in_full() -> None:
    two = lease_economics(server(months=48)).option_2
    assert figures(two.months[36]) == "150 0 0 150 1,950 0 0 1,950"


def test_salvage_stays_on_the_balance_sheet() -> None:
    economics = lease_economics(server(salvage=D("360.00")))
    assert economics.remaining_book_value == D("360.00")
    assert economics.option_2.total.profit - economics.option_1.total.profit == D("360.00")


def test_the_vendor_is_paid_a_month_later_unless_told_otherwise() -> None:
    paid = [row.cash_flow for row in lease_economics(server(vendor_paid_on=None)).option_1.months[:3]]
    assert paid == [D("150.00"), D("-3450.00"), D("150.00")]


def test_a_start_on_the_31st_bills_every_month_once() -> None:
    rows = lease_economics(server(start=date(2026, 1, 31))).option_1.months
    assert [row.revenue for row in rows] == [D("150.00")] * 36


def test_macrs_years_are_spread_over_their_months() -> None:
    terms = server(method=Method.MACRS_5, convention=Convention.HALF_YEAR, start=date(2026, 7, 15), vendor_paid_on=None)
    two = lease_economics(terms).option_2
    assert [row.depreciation for row in two.months[:7]] == [*[D("120.00")] * 6, D("96.00")]
    assert [row.depreciation for row in two.years] == [
        D("720.00"), D("1152.00"), D("691.20"), D("414.72"), D("414.72"), D("207.36")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_per_month": D("-1.00")}, "price_per_month"),
        ({"price_per_month": D("1.001")}, "price_per_month"),
        ({"months": 0}, "months"),
        ({"life_months": 0}, "life_months"),
        ({"salvage": D("3600.01")}, "salvage"),
        ({"cost": D("-1.00")}, "cost"),
        ({"tax_rate": D("6")}, "tax_rate"),
        ({"vendor_paid_on": date(2025, 12, 31)}, "vendor_paid_on"),
        ({"method": Method.UNITS_OF_USE}, "method"),
    ],
)
def test_impossible_leases_are_refused(change: dict[str, object], field: str) -> None:
    with pytest.raises(DomainError) as refusal:
        server(**change)
    assert (refusal.value.code, refusal.value.field) == ("invalid", field)


cents = st.integers(0, 10**7).map(lambda n: D(n).scaleb(-2))
BOOK = [m for m in Method if m is not Method.UNITS_OF_USE]


@given(
    cost=cents,
    price=cents,
    months=st.integers(1, 72),
    life=st.integers(1, 72),
    start=st.dates(date(2020, 1, 1), date(2035, 12, 31)),
    method=st.sampled_from(BOOK),
    convention=st.sampled_from(list(Convention)),
    pays_after=st.integers(0, 120),
    switch=st.booleans(),
)
def test_options_differ_by_the_net_book_value_and_by_nothing_in_the_end(
    cost: D,
    price: D,
    months: int,
    life: int,
    start: date,
    method: Method,
    convention: Convention,
    pays_after: int,
    switch: bool,
) -> None:
    macrs_conventions = (Convention.HALF_YEAR, Convention.MID_QUARTER)
    if method.macrs_years:
        assume(convention in macrs_conventions)
    else:
        assume(convention is not Convention.MID_QUARTER)
    paid_on = date.fromordinal(start.toordinal() + pays_after)
    economics = lease_economics(
        LeaseTerms(
            cost, price, months, start, life, method, convention, vendor_paid_on=paid_on, switch_to_straight_line=switch
        )
    )
    one, two = economics.option_1, economics.option_2
    for first, second in zip(one.months, two.months, strict=True):
        assert first.equity == first.cumulative_profit
        assert second.equity == second.cumulative_profit
        assert second.equity - first.equity == second.net_book_value
        assert (first.cash, first.accounts_payable, first.revenue) == (
            second.cash,
            second.accounts_payable,
            second.revenue,
        )
        assert first.net_book_value == 0
        assert second.cogs == 0
    assert one.total.revenue == price * months
    assert one.total.cash == two.total.cash == price * months - cost
    assert one.total.profit == one.total.cash
    assert two.total.profit == one.total.profit + economics.remaining_book_value
    if switch or method not in (Method.DECLINING_BALANCE_150, Method.DECLINING_BALANCE_200):
        assert economics.remaining_book_value == 0
        assert two.total.depreciation == cost
    for option in (one, two):
        assert sum(year.profit for year in option.years) == option.total.profit
        assert option.years[-1].cash == option.total.cash


def test_the_example_lease_fails_the_90_percent_test() -> None:
    facts = lease_classification(server(), D("0.08"), economic_life_months=60)
    assert (facts.term_ratio, facts.is_major_part) == (D("0.6000"), False)
    assert (facts.present_value, facts.value_ratio) == (D("4786.77"), D("1.3297"))
    assert facts.is_substantially_all
    assert facts.looks_sales_type
    assert facts.implicit_monthly_rate is not None
    assert abs(facts.implicit_monthly_rate - D("0.0238")) < D("0.000005")
    assert facts.interest_by_year == ((2026, D("918.66")), (2027, D("631.24")), (2028, D("250.10")))


def test_with_100_of_the_150_for_the_hardware_it_is_an_operating_lease() -> None:
    facts = lease_classification(server(price_per_month=D("100.00")), D("0.08"), economic_life_months=60)
    assert (facts.present_value, facts.value_ratio) == (D("3191.18"), D("0.8864"))
    assert not facts.looks_sales_type
    assert facts.implicit_monthly_rate is None  # 36 x 100 is just the cost
    assert facts.interest_by_year == ()


def test_a_lease_for_three_quarters_of_the_life_is_its_major_part() -> None:
    price = {"price_per_month": D("50.00")}
    assert lease_classification(server(**price), D("0.08"), economic_life_months=48).is_major_part
    assert not lease_classification(server(**price), D("0.08"), economic_life_months=49).is_major_part
    assert lease_classification(server(**price), D("0.08")).term_ratio == 1


def test_no_discount_and_no_cost() -> None:
    assert lease_classification(server(), D("0")).present_value == D("5400.00")
    assert lease_classification(server(cost=D("0.00")), D("0.08")).value_ratio is None


@pytest.mark.parametrize(("rate", "life"), [("-0.01", 60), ("8", 60), ("0.08", 0)])
def test_impossible_benchmarks_are_refused(rate: str, life: int) -> None:
    with pytest.raises(DomainError):
        lease_classification(server(), D(rate), economic_life_months=life)


@given(cost=st.integers(1, 10**7), price=st.integers(1, 10**6), months=st.integers(1, 120))
def test_interest_is_what_the_payments_exceed_the_cost_by(cost: int, price: int, months: int) -> None:
    assume(price * months > cost)
    terms = LeaseTerms(D(cost).scaleb(-2), D(price).scaleb(-2), months, JAN, 36)
    facts = lease_classification(terms, D("0.08"))
    assert sum(amount for _, amount in facts.interest_by_year) == D(price * months - cost).scaleb(-2)
