"""Which price a customer gets: schedules before offers before the product, the most particular first."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.world import World, build_world

from counterfoil.catalog.models import (
    BundleComponent,
    Category,
    Offer,
    PriceModel,
    PricingBreak,
    PricingSchedule,
    PricingScheduleCompany,
    Product,
)
from counterfoil.catalog.queries import PriceAsk, offers_for, price_for, prices_for

pytestmark = pytest.mark.django_db

ON = date(2026, 3, 1)


@pytest.fixture
def msp() -> World:
    return build_world()


@pytest.fixture
def licence() -> Product:
    """Business Premium: 22.00 a month, and by the year in advance or month by month."""
    product = Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=Category.objects.get(name="SaaS"), billing_cycle="month:1",
        price=D("22"), cost=D("17.60"),
    )  # fmt: skip
    for term, cycle, price, cost in (
        ("year:1", "year:1", "264", "211.20"),
        ("year:1", "month:1", "23.10", "18.48"),
        ("month:1", "month:1", "26.40", "21.12"),
    ):
        Offer.objects.create(product=product, term=term, billing_cycle=cycle, price=D(price), cost=D(cost))
    return product


def schedule(msp: World | None, name: str = "Gold", **fields: object) -> PricingSchedule:
    """A schedule of Acme's, or for all."""
    made = PricingSchedule.objects.create(name=name, for_all_companies=msp is None, **fields)
    if msp is not None:
        PricingScheduleCompany.objects.create(schedule=made, company=msp.acme)
    return made


def rule(of: PricingSchedule, method: str, value: str, **fields: object) -> PricingBreak:
    return PricingBreak.objects.create(schedule=of, method=method, value=D(value), **fields)


def yearly(licence: Product) -> Offer:
    return licence.offers.get(billing_cycle="year:1")


def monthly(licence: Product) -> Offer:
    return licence.offers.get(term="year:1", billing_cycle="month:1")


def test_without_schedules_the_offer_goes_before_the_product(msp: World, licence: Product) -> None:
    own = price_for(licence, quantity=D(1), on=ON)
    assert (own.price, own.cost, own.source) == (D(22), D("17.60"), "the product's price")
    offered = price_for(licence, offer=monthly(licence), quantity=D(1), on=ON)
    assert (offered.price, offered.cost, offered.source) == (
        D("23.10"), D("18.48"), "offer 1 year, billed monthly",
    )  # fmt: skip


def test_the_companys_schedule_goes_before_that_for_all(msp: World, licence: Product) -> None:
    rule(schedule(None, "Everybody"), "discount", "5", product=licence)
    assert price_for(licence, quantity=D(1), company_id=msp.acme.pk, on=ON).price == D("20.90")
    rule(schedule(msp), "discount", "10", category=licence.category)
    found = price_for(licence, quantity=D(1), company_id=msp.acme.pk, on=ON)
    assert (found.price, found.source) == (D("19.80"), "Gold: 22.00 − 10 %")
    assert price_for(licence, quantity=D(1), company_id=msp.globex.pk, on=ON).price == D("20.90")
    assert price_for(licence, quantity=D(1), on=ON).price == D("20.90")


def test_the_most_particular_break_counts_then_the_highest_quantity_reached(msp: World, licence: Product) -> None:
    gold = schedule(msp)
    rule(gold, "discount", "1")
    rule(gold, "discount", "2", category=licence.category)
    rule(gold, "discount", "3", product=licence)
    rule(gold, "discount", "10", product=licence, from_quantity=D(10))
    rule(gold, "discount", "20", product=licence, from_quantity=D(50))
    rule(gold, "price", "250", offer=yearly(licence))
    prices = [price_for(licence, quantity=D(n), company_id=msp.acme.pk, on=ON).price for n in (1, 9, 10, 49, 50)]
    assert prices == [D("21.34"), D("21.34"), D("19.80"), D("19.80"), D("17.60")]
    by_offer = price_for(licence, offer=yearly(licence), quantity=D(60), company_id=msp.acme.pk, on=ON)
    assert (by_offer.price, by_offer.source) == (D(250), "Gold: 250.00")
    assert price_for(msp.server_inventory, quantity=D(1), company_id=msp.acme.pk, on=ON).source == "Gold: 0.00 − 1 %"


def test_an_amount_a_month_is_no_price_of_a_prepaid_year(msp: World, licence: Product) -> None:
    rule(schedule(msp), "price", "20", product=licence)
    ask = {"quantity": D(1), "company_id": msp.acme.pk, "on": ON}
    assert price_for(licence, **ask).price == 20  # type: ignore[arg-type]
    assert price_for(licence, offer=monthly(licence), **ask).price == 20  # type: ignore[arg-type]
    assert price_for(licence, offer=yearly(licence), **ask).price == 264  # type: ignore[arg-type]


def test_markup_and_margin_go_from_the_offers_cost(msp: World, licence: Product) -> None:
    gold = schedule(msp)
    rule(gold, "markup", "25", category=licence.category)
    found = price_for(licence, offer=monthly(licence), quantity=D(1), company_id=msp.acme.pk, on=ON)
    assert (found.price, found.source) == (D("23.10"), "Gold: cost 18.48 + 25 %")


@pytest.mark.parametrize(
    ("dates", "price"),
    [
        ({}, "19.80"),
        ({"start_date": date(2026, 3, 1), "end_date": date(2026, 3, 1)}, "19.80"),
        ({"start_date": date(2026, 3, 2)}, "22"),
        ({"end_date": date(2026, 2, 28)}, "22"),
    ],
)
def test_dates_of_schedules_and_breaks_hold_both_days(
    msp: World, licence: Product, dates: dict[str, date], price: str
) -> None:
    rule(schedule(msp), "discount", "10", product=licence, **dates)
    assert price_for(licence, quantity=D(1), company_id=msp.acme.pk, on=ON).price == D(price)
    PricingBreak.objects.all().delete()
    rule(schedule(msp, "Other", **dates), "discount", "10", product=licence)
    assert price_for(licence, quantity=D(1), company_id=msp.acme.pk, on=ON).price == D(price)


def test_a_schedule_that_is_put_away_is_not_looked_at(msp: World, licence: Product) -> None:
    rule(schedule(msp, active=False), "discount", "10", product=licence)
    assert price_for(licence, quantity=D(1), company_id=msp.acme.pk, on=ON).price == 22


def test_a_price_model_prices_by_quantity_and_explains(msp: World, licence: Product) -> None:
    model = PriceModel.objects.create(name="Seats", kind="graduated")
    for up_to, price in ((D(2), "250"), (D(5), "125"), (D(10), "90"), (None, "75")):
        model.tiers.create(up_to=up_to, unit_price=D(price))
    offer = Offer.objects.create(product=licence, billing_cycle="month:1", price_model=model, cost=D(60))
    found = price_for(licence, offer=offer, quantity=D(17), on=ON)
    assert found.price == D("108.82352941")
    assert found.tier_model is not None
    assert found.explanation[-1] == "above 10: 7 × 75.00 = 525.00"
    assert found.source == "offer billed monthly, by its price model"


def test_offers_of_a_day(msp: World, licence: Product) -> None:
    old, new = yearly(licence), monthly(licence)
    Offer.objects.filter(pk=old.pk).update(effective_to=date(2026, 2, 28))
    Offer.objects.filter(pk=new.pk).update(effective_from=date(2026, 3, 2))
    assert [offer.term for offer in offers_for(licence, ON)] == ["month:1"]
    assert offers_for(licence, date(2026, 2, 28)).count() == 2


@pytest.fixture
def workplace(msp: World, licence: Product) -> Product:
    """A bundle of a server for all, and two licences for each."""
    bundle = Product.objects.create(
        identifier="WORKPLACE", description="Workplace", product_class="Bundle", accounting_type="OtherCharge",
        category=licence.category, price=D(1000), cost=D(1), price_from_components=True,
    )  # fmt: skip
    BundleComponent.objects.create(bundle=bundle, position=1, product=licence, offer=monthly(licence), quantity=D(2))
    BundleComponent.objects.create(
        bundle=bundle, position=2, product=msp.server_inventory, fixed_quantity=True, unit_price=D(4000)
    )
    return bundle


def test_a_bundle_is_priced_by_its_components(msp: World, workplace: Product) -> None:
    one = price_for(workplace, quantity=D(1), on=ON)
    assert (one.price, one.cost) == (D("4046.20"), D("3636.96"))
    assert one.source == "the bundle's components"
    ten = price_for(workplace, quantity=D(10), on=ON)
    assert (ten.price, ten.cost) == (D("446.20"), D("396.96"))
    workplace.price_from_components, workplace.cost_from_components = False, False
    own = price_for(workplace, quantity=D(1), on=ON)
    assert (own.price, own.cost) == (D(1000), D(1))


def test_a_hundred_lines_take_as_many_queries_as_one(msp: World, licence: Product, workplace: Product) -> None:
    model = PriceModel.objects.create(name="Volume", kind="volume")
    model.tiers.create(up_to=None, unit_price=D(5))
    offer = Offer.objects.create(product=licence, billing_cycle="year:1", price_model=model)
    rule(schedule(msp), "discount", "10", product=licence)
    asks = [PriceAsk(workplace, D(1)), PriceAsk(licence, D(5), offer), PriceAsk(licence, D(7), monthly(licence))]
    with CaptureQueriesContext(
        connection,
    ) as few:
        prices_for(asks, company_id=msp.acme.pk, on=ON)
    with CaptureQueriesContext(connection) as many:
        found = prices_for(asks * 40, company_id=msp.acme.pk, on=ON)
    assert len(many) == len(few) == 4
    assert [row.price for row in found[:3]] == [D("4046.20"), D("4.5"), D("20.79")]
