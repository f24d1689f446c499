"""Price models, pricing schedules and bundles as people set them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from tests.world import SALES, World, build_world

from counterfoil.catalog.commands import (
    BundleComponentInput,
    PriceTierInput,
    PricingBreakInput,
    create_offer,
    create_price_model,
    create_pricing_schedule,
    create_product,
    set_bundle_components,
    update_price_model,
    update_pricing_schedule,
)
from counterfoil.catalog.models import (
    BundleComponent,
    PriceMethod,
    PriceModel,
    PriceModelKind,
    PricingSchedule,
    Product,
)
from counterfoil.catalog.queries import price_for, tier_model
from counterfoil.core.errors import DomainError
from counterfoil.core.pricing import price_of
from counterfoil.platform.audit import trail_of

pytestmark = pytest.mark.django_db

ON = date(2026, 3, 1)
SEATS = [
    PriceTierInput(D(2), D(250)),
    PriceTierInput(D(5), D(125)),
    PriceTierInput(D(10), D(90)),
    PriceTierInput(None, D(75)),
]


@pytest.fixture
def msp() -> World:
    return build_world()


def seats() -> PriceModel:
    return create_price_model(actor=SALES, name="Seats", kind=PriceModelKind.GRADUATED, tiers=SEATS)


# -- price models ------------------------------------------------------------------------------------------------------


def test_we_9_a_price_model_is_kept_and_prices(msp: World) -> None:
    made = seats()
    assert price_of(tier_model(PriceModel.objects.get(pk=made.pk)), D(17)).amount == 1850
    assert "up to 2 250.00, up to 5 125.00, up to 10 90.00, beyond 75.00" in trail_of(made)[0].sentence


def test_tiers_are_set_as_a_whole_and_kept_when_they_are_not_given(msp: World) -> None:
    made = seats()
    update_price_model(actor=SALES, price_model_id=made.pk, minimum_amount=D(600))
    assert price_of(tier_model(made), D(1)).amount == 250
    made.refresh_from_db()
    assert price_of(tier_model(made), D(1)).amount == 600
    update_price_model(
        actor=SALES, price_model_id=made.pk, kind=PriceModelKind.VOLUME, tiers=[PriceTierInput(None, D(9))]
    )
    assert price_of(tier_model(PriceModel.objects.get()), D(100)).amount == 900


def test_a_change_that_makes_no_model_changes_nothing(msp: World) -> None:
    made = seats()
    with pytest.raises(DomainError) as refused:
        update_price_model(actor=SALES, price_model_id=made.pk, kind=PriceModelKind.PACKAGE)
    assert refused.value.field == "tiers"
    with pytest.raises(DomainError) as refused:
        update_price_model(actor=SALES, price_model_id=made.pk, tiers=[PriceTierInput(D(5)), PriceTierInput(D(5))])
    assert refused.value.field == "tiers[1].up_to"
    with pytest.raises(DomainError, match="“seats” already"):
        create_price_model(actor=SALES, name="seats", kind=PriceModelKind.VOLUME, tiers=SEATS)
    assert PriceModel.objects.get().tiers.count() == 4


# -- schedules ---------------------------------------------------------------------------------------------------------


def test_a_schedule_for_a_company_is_made_and_changed(msp: World) -> None:
    made = create_pricing_schedule(
        actor=SALES, name="Gold", company_ids=[msp.acme.pk, msp.acme.pk],
        breaks=[PricingBreakInput(PriceMethod.DISCOUNT, D(10), product_id=msp.lease.pk)],
    )  # fmt: skip
    ask = {"company_id": msp.acme.pk, "quantity": D(1), "on": ON}
    assert price_for(msp.lease, **ask).price == 135  # type: ignore[arg-type]
    assert "for 1 companies: HAAS-SRV: discount 10 %" in trail_of(made)[0].sentence
    update_pricing_schedule(
        actor=SALES, pricing_schedule_id=made.pk, company_ids=[msp.globex.pk],
        breaks=[PricingBreakInput(PriceMethod.AMOUNT_OFF, D(50), product_id=msp.lease.pk)],
    )  # fmt: skip
    assert price_for(msp.lease, **ask).price == 150  # type: ignore[arg-type]
    assert price_for(msp.lease, **(ask | {"company_id": msp.globex.pk})).price == 100  # type: ignore[arg-type]


def test_there_is_one_schedule_for_all(msp: World) -> None:
    create_pricing_schedule(actor=SALES, name="List", for_all_companies=True)
    with pytest.raises(DomainError, match="List is the schedule for all companies already"):
        create_pricing_schedule(actor=SALES, name="List 2", for_all_companies=True)
    with pytest.raises(DomainError, match="not both"):
        create_pricing_schedule(actor=SALES, name="List 3", for_all_companies=True, company_ids=[msp.acme.pk])


def test_breaks_that_make_no_sense_are_refused(msp: World) -> None:
    lease, category = msp.lease.pk, msp.lease.category_id
    for wrong, field in [
        (PricingBreakInput(PriceMethod.PRICE, D(5)), "method"),
        (PricingBreakInput(PriceMethod.PRICE, D(5), category_id=category), "method"),
        (PricingBreakInput(PriceMethod.MARGIN, D(100), product_id=lease), "value"),
        (PricingBreakInput(PriceMethod.DISCOUNT, D(101), product_id=lease), "value"),
        (PricingBreakInput(PriceMethod.MARKUP, D(-1), product_id=lease), "value"),
        (PricingBreakInput(PriceMethod.MARKUP, D(1), product_id=lease, category_id=category), "category_id"),
        (PricingBreakInput(PriceMethod.MARKUP, D(1), product_id=99999), "product_id"),
        (PricingBreakInput(PriceMethod.MARKUP, D(1), offer_id=99999), "offer_id"),
        (
            PricingBreakInput(PriceMethod.MARKUP, D(1), start_date=date(2026, 2, 1), end_date=date(2026, 1, 1)),
            "end_date",
        ),
    ]:
        with pytest.raises(DomainError) as refused:
            create_pricing_schedule(actor=SALES, name="Wrong", breaks=[wrong])
        assert refused.value.field == f"breaks[0].{field}"
    with pytest.raises(DomainError) as refused:
        create_pricing_schedule(actor=SALES, name="Wrong", company_ids=[99999])
    assert refused.value.field == "company_ids[0]"
    assert not PricingSchedule.objects.exists()


# -- bundles -----------------------------------------------------------------------------------------------------------


def bundle(msp: World, identifier: str) -> Product:
    return create_product(
        actor=SALES, identifier=identifier, description=identifier, product_class="Bundle",
        category_id=msp.lease.category_id, price=D(99),
    )  # fmt: skip


def test_a_bundle_is_set_as_a_whole(msp: World) -> None:
    workplace = bundle(msp, "WORKPLACE")
    offer = create_offer(actor=SALES, product_id=msp.lease.pk, term="year:1", billing_cycle="month:1", price=D(140))
    set_bundle_components(
        actor=SALES, product_id=workplace.pk, price_from_components=True,
        components=[
            BundleComponentInput(msp.lease.pk, D(2), offer_id=offer.pk),
            BundleComponentInput(msp.server_inventory.pk, fixed_quantity=True, shown=False, unit_price=D(4000)),
        ],
    )  # fmt: skip
    workplace.refresh_from_db()
    assert price_for(workplace, quantity=D(10), on=ON).price == D(680)
    assert "2 HAAS-SRV, 1 SRV-INV in all (hidden)" in trail_of(workplace)[0].sentence
    set_bundle_components(
        actor=SALES, product_id=workplace.pk, price_from_components=False,
        components=[BundleComponentInput(msp.lease.pk)],
    )  # fmt: skip
    workplace.refresh_from_db()
    assert price_for(workplace, quantity=D(10), on=ON).price == D(99)
    assert BundleComponent.objects.get().position == 1


def test_a_bundle_cannot_come_round_to_itself(msp: World) -> None:
    outer, inner = bundle(msp, "OUTER"), bundle(msp, "INNER")
    set_bundle_components(actor=SALES, product_id=outer.pk, components=[BundleComponentInput(inner.pk)])
    with pytest.raises(DomainError, match="INNER → OUTER → INNER"):
        set_bundle_components(actor=SALES, product_id=inner.pk, components=[BundleComponentInput(outer.pk)])
    with pytest.raises(DomainError, match="INNER → INNER"):
        set_bundle_components(actor=SALES, product_id=inner.pk, components=[BundleComponentInput(inner.pk)])
    assert not inner.components.exists()


def test_components_that_do_not_fit_are_refused(msp: World) -> None:
    workplace = bundle(msp, "WORKPLACE")
    offer = create_offer(actor=SALES, product_id=msp.lease.pk, term="year:1", billing_cycle="month:1")
    for wrong, field in [
        (BundleComponentInput(99999), "product_id"),
        (BundleComponentInput(msp.lease.pk, D(0)), "quantity"),
        (BundleComponentInput(msp.lease.pk, unit_price=D(-1)), "unit_price"),
        (BundleComponentInput(msp.server_inventory.pk, offer_id=offer.pk), "offer_id"),
    ]:
        with pytest.raises(DomainError) as refused:
            set_bundle_components(actor=SALES, product_id=workplace.pk, components=[wrong])
        assert refused.value.field == f"components[0].{field}"
    with pytest.raises(DomainError, match="only bundles have components"):
        set_bundle_components(actor=SALES, product_id=msp.lease.pk, components=[])
