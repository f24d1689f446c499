"""Leases nobody thought of: whatever the amounts, dates, taxes and methods, the books are whole and no cent is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.accounting.verification import verify
from counterfoil.assets.commands import dispose_asset, post_depreciation
from counterfoil.assets.models import AssetStatus
from counterfoil.companies.models import Company
from counterfoil.core.calendar import add_months
from counterfoil.core.depreciation import Convention, Method
from counterfoil.core.lease import LeaseTerms, lease_economics
from counterfoil.core.money import sum_money
from counterfoil.flows.haas_lease import Lease, LeaseOption, LeasePlan, People, run_lease
from counterfoil.flows.lease_books import lease_books
from counterfoil.ledger.models import AccountType
from counterfoil.ledger.queries import balance_of_types, profit_and_loss, trial_balance
from counterfoil.tax.models import TaxCode, TaxLevel

FIRST, LAST = date(2026, 1, 1), date(2030, 12, 31)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
PEOPLE = People(sales=SALES, procurement=PROCUREMENT, finance=FINANCE)


@dataclass(frozen=True)
class Deal:
    """One made-up lease; ``keeper`` is the option that capitalises, laid beside the one that expenses."""

    cost: Decimal
    price: Decimal
    months: int
    start: date
    method: Method
    convention: Convention
    life_months: int
    salvage: Decimal
    tax_rates: tuple[Decimal, ...]
    keeper: LeaseOption


def amounts(low: str, high: str) -> st.SearchStrategy[Decimal]:
    return st.decimals(Decimal(low), Decimal(high), places=2)


@st.composite
def deals(draw: st.DrawFn) -> Deal:
    cost = draw(amounts("0.01", "99999.99"))
    return Deal(
        cost=cost,
        price=draw(amounts("0.01", "4999.99")),
        months=draw(st.integers(2, 4)),
        start=add_months(FIRST, draw(st.integers(0, 30))),
        method=draw(
            st.sampled_from(
                (
                    Method.STRAIGHT_LINE,
                    Method.DECLINING_BALANCE_150,
                    Method.DECLINING_BALANCE_200,
                    Method.SUM_OF_YEARS,
                )
            )
        ),
        convention=draw(
            st.sampled_from((Convention.FULL_MONTH, Convention.NEXT_MONTH, Convention.MID_MONTH, Convention.HALF_YEAR))
        ),
        life_months=draw(st.integers(1, 14)),
        salvage=draw(st.one_of(st.just(Decimal(0)), st.decimals(Decimal(0), cost, places=2))),
        tax_rates=tuple(draw(st.lists(st.decimals("0.0001", "0.0999", places=5), max_size=3))),
        keeper=draw(st.sampled_from((LeaseOption.INVENTORY, LeaseOption.DIRECT))),
    )


@settings(
    max_examples=6,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failure is printed with its deal; shrinking takes minutes
    suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow),
)
@given(deal=deals())
def test_any_lease_leaves_whole_books_and_both_options_end_alike(world: World, deal: Deal) -> None:
    note(str(deal))
    with transaction.atomic():
        check(world, deal)
        transaction.set_rollback(True)


def check(world: World, deal: Deal) -> None:
    tax_everybody(deal.tax_rates)
    expensed = lease(world, deal, world.acme, LeaseOption.NON_INVENTORY)
    profit_1, cash_1 = net_profit(), balance_of_types(AccountType.BANK)
    capitalised = lease(world, deal, world.globex, deal.keeper)

    check_books_are_those_foretold(deal, expensed, capitalised)
    check_depreciation(deal, capitalised)
    write_off_the_rest(capitalised)

    assert net_profit() - profit_1 == profit_1 == deal.price * deal.months - deal.cost
    assert balance_of_types(AccountType.BANK) - cash_1 == cash_1 == profit_1
    check_books_are_whole()


def tax_everybody(rates: tuple[Decimal, ...]) -> None:
    code = TaxCode.objects.create(identifier="ODD")
    for position, rate in enumerate(rates, 1):
        TaxLevel.objects.create(tax_code=code, position=position, name=f"Level {position}", rate=rate, agency="State")
    Company.objects.filter(kind="customer").update(tax_code=code)


def lease(world: World, deal: Deal, customer: Company, option: LeaseOption) -> Lease:
    """The lease to its last month, and the depreciation to its end."""
    stocked = option.keeps_stock
    plan = LeasePlan(
        name=f"Server for {customer}",
        option=option,
        customer_id=customer.pk,
        vendor_id=world.ingram.pk,
        internal_id=world.internal.pk,
        purchasing_product_id=(world.server_inventory if stocked else world.server_noninventory).pk,
        agreement_product_id=world.lease.pk,
        agreement_type_id=world.haas.pk,
        cost=deal.cost,
        price=deal.price,
        months=deal.months,
        start=deal.start,
        vendor_invoice_number=f"V-{option.value}"[:20],
        asset_category_id=world.leased_hardware.pk,
        bin_id=world.acme_bin.pk if stocked else None,
        serials=("SN-1",) if stocked else (),
        method=deal.method,
        convention=deal.convention,
        life_months=deal.life_months,
        salvage=deal.salvage,
    )
    made = run_lease(plan, PEOPLE, through=LAST, now=NOW)
    if stocked and deal.salvage < deal.cost:
        post_depreciation(actor=FINANCE, through=LAST)
    return made


def terms_of(deal: Deal) -> LeaseTerms:
    return LeaseTerms(
        cost=deal.cost,
        price_per_month=deal.price,
        months=deal.months,
        start=deal.start,
        life_months=deal.life_months,
        method=deal.method,
        convention=deal.convention,
        salvage=deal.salvage,
        tax_rate=sum(deal.tax_rates, Decimal(0)),
    )


def check_books_are_those_foretold(deal: Deal, expensed: Lease, capitalised: Lease) -> None:
    """Month by month the books say what the lease economics foretold, as far as anything was booked."""
    if deal.method.macrs_years:
        return  # the economics spread a tax year over its months; the books take it at the year's end
    foretold = lease_economics(terms_of(deal))
    for made, option in ((expensed, foretold.option_1), (capitalised, foretold.option_2)):
        booked = lease_books(made.agreement).months
        assert booked == option.months[: len(booked)]
        quiet = option.months[len(booked) :]
        assert all(row.profit == row.cash_flow == 0 for row in quiet)


def check_depreciation(deal: Deal, made: Lease) -> None:
    assert made.asset is not None
    lines = made.asset.books.get().lines.all()
    assert all(line.entry_id for line in lines if line.amount)  # a month of nothing books nothing
    assert sum_money(line.amount for line in lines) == deal.cost - deal.salvage


def write_off_the_rest(made: Lease) -> None:
    """Scrapped for nothing: what salvage was left becomes a loss, so that the options can be compared."""
    assert made.asset is not None
    disposed = dispose_asset(actor=FINANCE, asset_id=made.asset.pk, on=LAST)
    assert disposed.status == AssetStatus.DISPOSED
    assert balance_of_types(AccountType.FIXED_ASSET, AccountType.ACCUMULATED_DEPRECIATION, AccountType.INVENTORY) == 0


def net_profit() -> Decimal:
    rows = {row.label: row.amounts for row in profit_and_loss(first=FIRST, last=LAST).rows}
    return sum_money(rows["Net profit"])


def check_books_are_whole() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    balances = trial_balance(through=LAST)
    assert sum_money(row.debit for row in balances) == sum_money(row.credit for row in balances) > 0
    assert [(check.name, check.details) for check in verify() if not check.ok] == []


def test_a_lease_depreciated_by_the_us_tax_tables(world: World) -> None:
    """MACRS is booked by the tax year, over four of them, for the full cost."""
    deal = Deal(
        cost=Decimal("1234.57"),
        price=Decimal("33.33"),
        months=2,
        start=FIRST,
        method=Method.MACRS_3,
        convention=Convention.HALF_YEAR,
        life_months=36,
        salvage=Decimal(0),
        tax_rates=(Decimal("0.05750"), Decimal("0.02000")),
        keeper=LeaseOption.DIRECT,
    )
    check(world, deal)
