"""How products are sold: offers, commitments, price models, pricing schedules, bundles; and what something costs."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

from counterfoil.api import fields
from counterfoil.api.area import Area
from counterfoil.api.shapes import answer, row, shape
from counterfoil.catalog import commands, queries
from counterfoil.catalog.models import (
    BundleComponent,
    CommitmentRule,
    Offer,
    PriceModel,
    PriceTier,
    PricingBreak,
    PricingSchedule,
    PricingScheduleCompany,
    Product,
    Uplift,
)
from counterfoil.catalog.prices import QuotedPrice
from counterfoil.companies.queries import local_date

area = Area("Offers and prices")

offers = shape(Offer)
rules = shape(CommitmentRule, parts={"uplifts": shape(Uplift, without=("rule",))})
price_models = shape(PriceModel, parts={"tiers": shape(PriceTier, without=("model",))})
schedules = shape(
    PricingSchedule,
    parts={
        "companies": shape(PricingScheduleCompany, without=("schedule",)),
        "breaks": shape(PricingBreak, without=("schedule",)),
    },
)
components = shape(BundleComponent, without=("bundle",))
bundles = shape(Product, name="Bundle", parts={"components": components})

tier_price = answer(
    "TierPrice",
    "What a quantity costs by a price model; the amount is exact, and the explanation says how it comes about.",
    amount=fields.Number,
    unit_price=fields.Number,
    explanation=list[str],
)


def what_it_costs(
    *,
    product_id: int,
    offer_id: int | None = None,
    company_id: int | None = None,
    quantity: Decimal = Decimal(1),
    on: date | None = None,
) -> QuotedPrice:
    """What a product costs a company: by its pricing schedules, that for all, the offer, or the product itself."""
    day = on or local_date(datetime.now(UTC))
    return queries.quoted_price(
        product_id=product_id, offer_id=offer_id, company_id=company_id, quantity=quantity, on=day
    )


area.report("/price", row(QuotedPrice), what_it_costs)

area.records("/offers", offers, queries.offers)
area.post("/offers", commands.create_offer, offers)
area.detail("/offers/{offer_id}", offers)
area.patch("/offers/{offer_id}", commands.update_offer, offers)
area.act("/offers/{offer_id}/deactivate", commands.deactivate_offer, offers)
area.act("/offers/{offer_id}/reactivate", commands.reactivate_offer, offers)
area.post("/products/{product_id}/offers", commands.make_offers, list[offers.full])  # type: ignore[name-defined]
area.put("/products/{product_id}/components", commands.set_bundle_components, bundles)

area.records("/commitment-rules", rules, queries.commitment_rules)
area.post("/commitment-rules", commands.create_commitment_rule, rules)
area.detail("/commitment-rules/{commitment_rule_id}", rules)
area.patch("/commitment-rules/{commitment_rule_id}", commands.update_commitment_rule, rules)

area.records("/price-models", price_models, queries.price_models)
area.post("/price-models", commands.create_price_model, price_models)
area.detail("/price-models/{price_model_id}", price_models)
area.patch("/price-models/{price_model_id}", commands.update_price_model, price_models)
area.report("/price-models/{price_model_id}/price", tier_price, queries.price_by_model)

area.records("/pricing-schedules", schedules, queries.pricing_schedules)
area.post("/pricing-schedules", commands.create_pricing_schedule, schedules)
area.detail("/pricing-schedules/{pricing_schedule_id}", schedules)
area.patch("/pricing-schedules/{pricing_schedule_id}", commands.update_pricing_schedule, schedules)
