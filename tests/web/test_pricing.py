"""Selling set up through the pages: offers, bundles, price models, schedules, commitment rules, price lists."""

from __future__ import annotations

import base64
from datetime import date
from decimal import Decimal as D

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import SALES, World

from counterfoil.catalog.commands import PriceTierInput, create_offer, create_price_model
from counterfoil.catalog.models import (
    BundleComponent,
    CommitmentRule,
    Offer,
    PriceModel,
    PriceModelKind,
    PricingSchedule,
    Product,
)
from counterfoil.platform.identity import Role


@pytest.fixture(autouse=True)
def owner(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)


def offer_of(world: World) -> Offer:
    return create_offer(
        actor=SALES, product_id=world.lease.pk, term="year:1", billing_cycle="month:1", price=D(140), cost=D(100)
    )


# -- offers ------------------------------------------------------------------------------------------------------------


def test_an_offer_is_made_changed_and_put_away(client: Client, world: World) -> None:
    product = f"/products/{world.lease.pk}/"
    assert "sold at its own price" in text_of(client.get(product))
    form = {"term": "year:1", "billing_cycle": "month:1", "price": "140", "cost": "100.50", "vendor_id": "Dell Direct"}
    assert done(post(client, product + "offers/new/", form)) == product
    made = Offer.objects.get()
    page = text_of(client.get(product))
    assert "1 year, billed monthly" in page
    assert "100.50" in page
    done(post(client, f"/offers/{made.pk}/", {**form, "price": "150", "effective_to": "2026-12-31"}))
    made.refresh_from_db()
    assert (made.price, made.effective_to, made.vendor) == (D(150), date(2026, 12, 31), world.dell)
    page = refused(post(client, f"/offers/{made.pk}/", {**form, "billing_cycle": "year:3"}))
    assert "whole number of cycles" in errors_beside(page, "billing_cycle")
    done(post(client, f"/offers/{made.pk}/active/"))
    assert "Put away" in text_of(client.get(product))
    assert "HAAS-SRV" in text_of(client.get("/offers/"))


def test_we_16_the_usual_offers_from_one_price(client: Client, world: World) -> None:
    rule = CommitmentRule.objects.get(name="Microsoft new commerce")
    where = f"/products/{world.lease.pk}/offers/usual/"
    assert "Microsoft new commerce" in text_of(client.get(where))
    done(post(client, where, commitment_rule_id=rule.pk, unit_price="22.00", unit_cost="17.60"))
    page = text_of(client.get(f"/products/{world.lease.pk}/"))
    for price in ("23.10", "26.40", "264.00"):
        assert price in page


def test_components_of_a_bundle(client: Client, world: World) -> None:
    bundle = Product.objects.create(
        identifier="WORKPLACE", description="Workplace", product_class="Bundle", accounting_type="OtherCharge",
        category=world.lease.category,
    )  # fmt: skip
    offer_of(world)
    where = f"/products/{bundle.pk}/components/"
    assert client.get(where).status_code == 200
    sent = lines(
        {"product_id": "HAAS-SRV", "quantity": "2", "offer_id": "HAAS-SRV: 1 year, billed monthly"},
        {"product_id": "SRV-INV", "fixed_quantity": "yes", "hidden": "yes", "own_price": "4000"},
        {},
    )
    done(post(client, where, sent, price_from_components="on", cost_from_components="on"))
    rows = list(BundleComponent.objects.values_list("product__identifier", "quantity", "fixed_quantity", "shown"))
    assert rows == [("HAAS-SRV", D(2), False, True), ("SRV-INV", D(1), True, False)]
    page = text_of(client.get(f"/products/{bundle.pk}/"))
    assert "one bundle sells for 4,280.00 and costs 3,800.00" in page
    assert "does not see it" in page
    wrong = lines({"product_id": "HAAS-SRV"}, {"product_id": "WORKPLACE"})
    refused(post(client, where, wrong), "A bundle cannot hold itself: WORKPLACE → WORKPLACE.")
    other = lines({"product_id": "SRV-INV", "offer_id": "HAAS-SRV: 1 year, billed monthly"})
    assert "no offer of SRV-INV" in errors_beside(refused(post(client, where, other)), "lines-0-offer_id")
    assert client.get(f"/products/{world.lease.pk}/components/").status_code == 404


def test_offers_are_found_while_one_types(client: Client, world: World) -> None:
    offer_of(world)
    found = client.get("/pick/offers/?q=haas-srv: 1").json()["results"]
    assert [row["value"] for row in found] == ["HAAS-SRV: 1 year, billed monthly"]


# -- price models ------------------------------------------------------------------------------------------------------

TIERS = (
    {"up_to": "2", "unit_price": "250"},
    {"up_to": "5", "unit_price": "125"},
    {"up_to": "10", "unit_price": "90"},
    {"unit_price": "75"},
)


def test_we_9_a_price_model_and_its_calculator(client: Client, world: World) -> None:
    where = done(post(client, "/price-models/new/", lines(*TIERS), name="Seats", kind="graduated"))
    page = text_of(client.get(where))
    assert "above 10: 7 × 75.00 = 525.00" in page
    answer = text_of(client.get(f"{where}price/?quantity=3"))
    assert "625.00" in answer
    assert "above 2 to 5: 1 × 125.00 = 125.00" in answer
    assert "is not a number" in text_of(client.get(f"{where}price/?quantity=many"))
    done(post(client, where, lines(*TIERS[:3], initial=4), name="Seats", kind="volume", active="on"))
    assert "11 are more than the 10" in text_of(client.get(f"{where}price/?quantity=11"))
    assert PriceModel.objects.get().tiers.count() == 3


def test_tiers_that_contradict_are_refused_in_their_line(client: Client, world: World) -> None:
    wrong = lines({"up_to": "5", "unit_price": "2"}, {"up_to": "5", "unit_price": "1"})
    page = refused(post(client, "/price-models/new/", wrong, name="Seats", kind="graduated"))
    assert "not above 5" in errors_beside(page, "lines-1-up_to")
    refused(post(client, "/price-models/new/", lines({}), name="Seats", kind="graduated"), "Enter at least one line.")


def test_who_may_not_change_prices_still_reckons(client: Client, world: World) -> None:
    model = create_price_model(
        actor=SALES, name="Seats", kind=PriceModelKind.PER_UNIT, tiers=[PriceTierInput(None, D(9))]
    )
    sign_in(client, Role.VIEWER)
    assert "17 × 9.00 = 153.00" in text_of(client.get(f"/price-models/{model.pk}/"))
    assert client.get("/price-models/new/").status_code == 403
    assert "sold at its own price" in text_of(client.get(f"/products/{world.lease.pk}/"))


# -- schedules and rules -----------------------------------------------------------------------------------------------


def test_a_pricing_schedule_is_made_and_changed(client: Client, world: World) -> None:
    prices = lines(
        {"product_id": "HAAS-SRV", "method": "discount", "value": "10", "from_quantity": "5"},
        {"category_id": world.server_inventory.category_id, "method": "markup", "value": "25"},
    )
    done(post(client, "/pricing-schedules/new/", prices, name="Gold", company_ids=[world.acme.pk]))
    made = PricingSchedule.objects.get()
    page = text_of(client.get("/pricing-schedules/"))
    assert "HAAS-SRV: discount 10 %, from 5; Hardware: markup 25 %" in page
    assert "Acme Corp" in page
    where = f"/pricing-schedules/{made.pk}/"
    assert "HAAS-SRV" in client.get(where).content.decode()
    wrong = lines({"method": "price", "value": "5"}, initial=1)
    page = refused(post(client, where, wrong, name="Gold", active="on"))
    assert "One price for many products" in errors_beside(page, "lines-0-method")
    assert made.breaks.count() == 2
    done(post(client, where, lines(initial=0), name="Silver", active="on", for_all_companies="on"))
    made.refresh_from_db()
    assert (made.name, made.for_all_companies, made.breaks.count(), made.companies.count()) == ("Silver", True, 0, 0)


def test_a_commitment_rule_is_data(client: Client, world: World) -> None:
    assert "Microsoft new commerce" in text_of(client.get("/commitment-rules/"))
    rule = CommitmentRule.objects.get(name="Adobe VIP")
    form = {"name": "Adobe VIP", "cancellation_hours": "0", "refund": "none", "seats_down": "renewal", "active": "on"}
    uplift = lines({"term": "year:1", "billing_cycle": "year:1"}, {"term": "year:3", "billing_cycle": "year:1"})
    done(post(client, f"/commitment-rules/{rule.pk}/", uplift, **form, notice_days="30"))
    rule.refresh_from_db()
    assert (rule.cancellation_hours, rule.seats_down, rule.may_coterm, rule.uplifts.count()) == (0, "renewal", False, 2)
    done(post(client, "/commitment-rules/new/", lines({}), **{**form, "name": "Other"}, notice_days="1"))
    wrong = lines({"term": "year:1", "billing_cycle": "month:5"})
    page = refused(post(client, f"/commitment-rules/{rule.pk}/", wrong, **form, notice_days="30"))
    assert "whole number" in errors_beside(page, "lines-0-billing_cycle")


# -- price lists -------------------------------------------------------------------------------------------------------


def test_a_price_list_is_looked_at_and_taken_over(client: Client, world: World) -> None:
    offer = create_offer(
        actor=SALES, product_id=world.lease.pk, term="year:1", billing_cycle="month:1", price=D(140), cost=D(100),
        vendor_id=world.dell.pk,
    )  # fmt: skip
    content = b"product,term,billing,cost,price\r\nHAAS-SRV,1 year,monthly,110,140\r\n"
    file = SimpleUploadedFile("list.csv", content)
    looked = post(client, "/price-lists/", vendor_id="Dell Direct", file=file)
    assert looked.status_code == 200, text_of(looked)
    page = text_of(looked)
    assert "100.00 110.00 10.0" in page
    assert "Take it over" in page
    offer.refresh_from_db()
    assert offer.cost == 100
    carried = {"content": base64.b64encode(content).decode(), "filename": "list.csv", "confirmed": "yes"}
    assert done(post(client, "/price-lists/", carried, vendor_id="Dell Direct", create_products="False")) == "/offers/"
    offer.refresh_from_db()
    assert offer.cost == 110


def test_a_price_list_with_mistakes_says_where(client: Client, world: World) -> None:
    assert client.get("/price-lists/?sample=1").content.startswith(b"vendor_sku,")
    file = SimpleUploadedFile("list.csv", b"product,cost\r\nNONE,1\r\n")
    page = refused(post(client, "/price-lists/", vendor_id="Dell Direct", file=file), "There is no product “NONE”.")
    assert "Take it over" not in page
    file = SimpleUploadedFile("list.csv", b"product,cost\r\nNONE,1\r\n")
    page = refused(post(client, "/price-lists/", vendor_id="Dell Direct", file=file, create_products="on"))
    assert "category" in errors_beside(page, "category_id")
    refused(post(client, "/price-lists/", vendor_id="Dell Direct"), "Choose a file.")
