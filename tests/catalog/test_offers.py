"""Offers: one product sold for a month, a year and three years, and the rules their terms bind to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from tests.world import OWNER, SALES, VIEWER, World, build_world

from counterfoil.catalog.commands import (
    UpliftInput,
    create_commitment_rule,
    create_offer,
    deactivate_offer,
    install_commitment_rules,
    make_offers,
    reactivate_offer,
    update_commitment_rule,
    update_offer,
)
from counterfoil.catalog.models import CommitmentRule, Offer, Product
from counterfoil.catalog.queries import offers_for
from counterfoil.core.errors import DomainError
from counterfoil.flows.setup import set_up_msp
from counterfoil.platform.audit import trail_of
from counterfoil.quotes.models import Opportunity, QuoteLine

pytestmark = pytest.mark.django_db

ON = date(2026, 1, 15)


@pytest.fixture
def msp() -> World:
    return build_world()


@pytest.fixture
def microsoft(msp: World) -> CommitmentRule:
    return CommitmentRule.objects.get(name="Microsoft new commerce")


def offer(product: Product, **given: object) -> Offer:
    fields: dict[str, object] = {"term": "year:1", "billing_cycle": "monthly", "price": D("23.10"), "cost": D("18.48")}
    return create_offer(actor=SALES, product_id=product.pk, **(fields | given))  # type: ignore[arg-type]


def test_we_31_one_product_in_two_terms_is_two_offers(msp: World) -> None:
    yearly = offer(msp.lease, vendor_id=msp.ingram.pk, vendor_sku="CFQ7TTC0LCHC")
    monthly = offer(msp.lease, term="month:1", price=D("26.40"), vendor_id=msp.ingram.pk, vendor_sku="CFQ7TTC0LCHC")
    assert {(o.term, o.billing_cycle) for o in offers_for(msp.lease, ON)} == {
        ("year:1", "month:1"), ("month:1", "month:1"),
    }  # fmt: skip
    assert yearly.product_id == monthly.product_id
    assert "added an offer of HAAS-SRV: 1 year, billed monthly at 23.1, cost 18.48" in trail_of(yearly)[0].sentence


@pytest.mark.parametrize(
    ("given", "field", "code"),
    [
        ({"term": "year:1", "billing_cycle": "month:5"}, "billing_cycle", "invalid"),
        ({"term": "month:1", "billing_cycle": "year:1"}, "billing_cycle", "invalid"),
        ({"term": "annual", "billing_cycle": "monthly"}, "term", "invalid"),
        ({"billing_cycle": ""}, "billing_cycle", "required"),
        ({"price": D(-1)}, "price", "invalid"),
        ({"effective_from": date(2026, 2, 1), "effective_to": date(2026, 1, 31)}, "effective_to", "invalid"),
        ({"price_model_id": 999}, "price_model_id", "not_found"),
        ({"commitment_rule_id": 999}, "commitment_rule_id", "not_found"),
    ],
)
def test_offers_that_make_no_sense_are_refused(msp: World, given: dict[str, object], field: str, code: str) -> None:
    with pytest.raises(DomainError) as refused:
        offer(msp.lease, **given)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not Offer.objects.exists()


def test_who_and_whom(msp: World, microsoft: CommitmentRule) -> None:
    with pytest.raises(DomainError, match="is not a vendor"):
        offer(msp.lease, vendor_id=msp.acme.pk)
    with pytest.raises(DomainError, match="A commitment needs a term"):
        offer(msp.lease, term="", commitment_rule_id=microsoft.pk)
    with pytest.raises(DomainError, match="only agreement products and bundles are billed"):
        offer(msp.server_inventory)
    with pytest.raises(DomainError) as refused:
        create_offer(actor=VIEWER, product_id=msp.lease.pk)
    assert refused.value.code == "role_required"


def test_the_same_offer_is_made_once(msp: World) -> None:
    offer(msp.lease)
    with pytest.raises(DomainError) as refused:
        offer(msp.lease)
    assert refused.value.code == "duplicate"
    offer(msp.lease, effective_from=date(2026, 7, 1))


def test_an_offer_is_put_away_and_back(msp: World) -> None:
    made = offer(msp.lease)
    deactivate_offer(actor=SALES, offer_id=made.pk)
    assert not offers_for(msp.lease, ON)
    reactivate_offer(actor=SALES, offer_id=made.pk)
    assert offers_for(msp.lease, ON).get() == made


def test_the_term_of_an_offer_on_a_document_stays_and_its_price_does_not(msp: World) -> None:
    made = offer(msp.lease)
    assert update_offer(actor=SALES, offer_id=made.pk, term="year:3").term == "year:3"
    opportunity = Opportunity.objects.create(company=msp.acme, name="Licences", number="O-1")
    QuoteLine.objects.create(
        opportunity=opportunity, position=1, product=msp.lease, offer=made, description="Licence", term="year:3"
    )
    with pytest.raises(DomainError, match="on documents already, so its term stays"):
        update_offer(actor=SALES, offer_id=made.pk, term="year:1")
    assert update_offer(actor=SALES, offer_id=made.pk, price=D(24)).price == D(24)


# -- commitment rules --------------------------------------------------------------------------------------------------


def test_the_setup_installs_the_rules_and_leaves_what_people_changed(msp: World, microsoft: CommitmentRule) -> None:
    assert (microsoft.cancellation_hours, microsoft.refund, microsoft.seats_down) == (168, "prorated", "window")
    perpetual = CommitmentRule.objects.get(name="Microsoft perpetual software")
    assert (perpetual.cancellation_hours, perpetual.refund) == (720, "full")
    update_commitment_rule(
        actor=SALES, commitment_rule_id=microsoft.pk, cancellation_hours=72,
        uplifts=[UpliftInput("yearly", "monthly", D(7))],
    )  # fmt: skip
    set_up_msp(actor=OWNER, name="Northwind IT", identifier="NorthwindIT", on=ON)
    assert install_commitment_rules(actor=OWNER) == []
    microsoft.refresh_from_db()
    assert microsoft.cancellation_hours == 72
    assert [(row.term, row.percent) for row in microsoft.uplifts.all()] == [("year:1", 7)]
    assert CommitmentRule.objects.count() == 4


@pytest.mark.parametrize(
    ("uplift", "field"),
    [
        (UpliftInput("year:1", "month:5"), "uplifts[1].billing_cycle"),
        (UpliftInput("soon", "month:1"), "uplifts[1].term"),
        (UpliftInput("year:1", "year:1", D(-100)), "uplifts[1].percent"),
        (UpliftInput("yearly", "month:1"), "uplifts[1].billing_cycle"),
    ],
)
def test_uplifts_that_make_no_sense_are_refused(msp: World, uplift: UpliftInput, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        create_commitment_rule(actor=SALES, name="Other", uplifts=[UpliftInput("year:1", "month:1"), uplift])
    assert refused.value.field == field
    assert not CommitmentRule.objects.filter(name="Other").exists()


def test_we_16_the_usual_offers_from_one_base_price(msp: World, microsoft: CommitmentRule) -> None:
    made = make_offers(
        actor=SALES, product_id=msp.lease.pk, commitment_rule_id=microsoft.pk, unit_price=D("22.00"),
        unit_cost=D("17.60"), on=ON,
    )  # fmt: skip
    table = {(o.term, o.billing_cycle): (o.price, o.cost) for o in made}
    assert table == {
        ("month:1", "month:1"): (D("26.40"), D("21.12")),
        ("year:1", "month:1"): (D("23.10"), D("18.48")),
        ("year:1", "year:1"): (D("264.00"), D("211.20")),
        ("year:3", "month:1"): (D("22.00"), D("17.60")),
        ("year:3", "year:1"): (D("264.00"), D("211.20")),
        ("year:3", "year:3"): (D("792.00"), D("633.60")),
    }
    assert "1 year, billed monthly 22.00 + 5 %" in trail_of(msp.lease)[0].sentence


def test_we_16_before_april_2025_monthly_billing_cost_no_more(msp: World, microsoft: CommitmentRule) -> None:
    made = make_offers(
        actor=SALES, product_id=msp.lease.pk, commitment_rule_id=microsoft.pk, unit_price=D(22), on=date(2025, 3, 31)
    )
    assert {o.price for o in made if (o.term, o.billing_cycle) == ("year:1", "month:1")} == {D(22)}


def test_a_new_base_price_changes_the_offers_or_follows_them(msp: World, microsoft: CommitmentRule) -> None:
    ask = {"actor": SALES, "product_id": msp.lease.pk, "commitment_rule_id": microsoft.pk, "on": ON}
    make_offers(**ask, unit_price=D(22))  # type: ignore[arg-type]
    make_offers(**ask, unit_price=D(23))  # type: ignore[arg-type]
    assert Offer.objects.count() == 6
    july = date(2026, 7, 1)
    make_offers(**ask, unit_price=D(25), effective_from=july)  # type: ignore[arg-type]
    assert Offer.objects.count() == 12
    yearly = Offer.objects.filter(term="year:1", billing_cycle="month:1").order_by("pk")
    assert [(o.price, o.effective_from, o.effective_to) for o in yearly] == [
        (D("24.15"), None, date(2026, 6, 30)),
        (D("26.25"), july, None),
    ]
    assert offers_for(msp.lease, ON).count() == offers_for(msp.lease, july).count() == 6


def test_a_rule_without_uplifts_makes_no_offers(msp: World) -> None:
    rule = create_commitment_rule(actor=SALES, name="Bare")
    with pytest.raises(DomainError, match="names no term"):
        make_offers(actor=SALES, product_id=msp.lease.pk, commitment_rule_id=rule.pk, unit_price=D(1), on=ON)
