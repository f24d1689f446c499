"""Lines of a draft: what comes from the catalog, what goes together, and prices that follow at once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.quotes.quoting import TODAY, D, add, draft_of, quote_of, sent, starter_kit
from tests.world import SALES, VIEWER, World

from counterfoil.catalog.commands import PriceTierInput, update_price_model
from counterfoil.catalog.models import Offer, PriceModel, PriceTier, Product
from counterfoil.core.bills import quantity_text
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of
from counterfoil.quotes.commands import (
    Moved,
    NewLine,
    add_section,
    add_version_lines,
    choose_offer,
    make_template,
    remove_section,
    remove_version_line,
    reorder_sections,
    reorder_version_lines,
    reprice_version,
    update_quote_line,
    update_section,
    update_version,
    update_version_line,
)
from counterfoil.quotes.models import QuoteLine, QuoteVersion
from counterfoil.quotes.pricing import lines_of, price_version

pytestmark = pytest.mark.django_db


@pytest.fixture
def draft(world: World) -> QuoteVersion:
    return draft_of(world)


def fresh(version: QuoteVersion) -> QuoteVersion:
    return QuoteVersion.objects.select_related("quote__opportunity__company").get(pk=version.pk)


def shown(version: QuoteVersion) -> list[tuple[str, str, str]]:
    """(description, quantity, unit price) of the lines as they are kept."""
    rows = QuoteLine.objects.filter(version=version).order_by("position")
    return [(line.description, quantity_text(line.quantity), quantity_text(line.unit_price)) for line in rows]


def license_of(world: World) -> Product:
    return Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=world.lease.category, price=D("24"), cost=D("20"), billing_cycle="month:1",
    )  # fmt: skip


def offer_of(product: Product, term: str, cycle: str, price: str, cost: str, **more: Any) -> Offer:
    return Offer.objects.create(product=product, term=term, billing_cycle=cycle, price=D(price), cost=D(cost), **more)


# -- from the catalog --------------------------------------------------------------------------------------------------


def test_what_is_not_given_comes_from_the_product(world: World, draft: QuoteVersion) -> None:
    line = add(draft, world.lease, "2")
    line.refresh_from_db()
    assert (line.description, line.billing_cycle, line.list_price, line.unit_price) == (
        "Server as a service", "month:1", D("150"), D("150"),
    )  # fmt: skip
    assert "quoted 2 × HAAS-SRV at 150.00 on " in trail_of(draft.quote)[0].sentence


def test_an_offer_brings_term_cycle_price_and_cost(world: World, draft: QuoteVersion) -> None:
    product = license_of(world)
    line = add(draft, product, "10", offer_id=offer_of(product, "year:3", "year:3", "760", "700").pk)
    assert (line.term, line.billing_cycle, line.is_prepaid, line.unit_cost) == ("year:3", "year:3", True, D("700"))
    assert price_version(fresh(draft)).totals.term.price == D("7600.00")
    monthly = offer_of(product, "year:1", "month:1", "23.10", "20.90")
    choose_offer(actor=SALES, line_id=line.pk, offer_id=monthly.pk, on=TODAY)
    totals = price_version(fresh(draft)).totals
    assert (totals.monthly.price, totals.term.price) == (D("231.00"), D("2772.00"))


def test_an_offer_that_has_ended_or_is_anothers_is_refused(world: World, draft: QuoteVersion) -> None:
    product = license_of(world)
    ended = offer_of(product, "year:1", "year:1", "250", "220", effective_to=TODAY.replace(day=1))
    with pytest.raises(DomainError, match="is not on offer now"):
        add(draft, product, offer_id=ended.pk)
    with pytest.raises(DomainError, match="is no offer of"):
        add(draft, world.lease, offer_id=ended.pk)


def test_a_tier_model_is_priced_anew_when_the_quantity_changes(world: World, draft: QuoteVersion) -> None:
    model = PriceModel.objects.create(name="Seats", kind="volume")
    PriceTier.objects.create(model=model, up_to=D("10"), unit_price=D("5"))
    PriceTier.objects.create(model=model, up_to=None, unit_price=D("4"))
    product = license_of(world)
    line = add(draft, product, "10", offer_id=offer_of(product, "", "month:1", "5", "2", price_model=model).pk)
    assert line.unit_price == D("5")
    update_version_line(actor=SALES, line_id=line.pk, quantity=D("11"), on=TODAY)
    line.refresh_from_db()
    assert (line.list_price, line.unit_price) == (D("4"), D("4"))


def test_a_price_model_that_prices_a_quote_stays_what_it_is(world: World, draft: QuoteVersion) -> None:
    model = PriceModel.objects.create(name="Seats", kind="volume")
    PriceTier.objects.create(model=model, up_to=None, unit_price=D("5"))
    dearer = [PriceTierInput(None, D("6"))]
    update_price_model(actor=SALES, price_model_id=model.pk, tiers=[PriceTierInput(None, D("4"))])
    product = license_of(world)
    add(draft, product, "10", offer_id=offer_of(product, "", "month:1", "5", "2", price_model=model).pk)
    for change in ({"tiers": dearer}, {"minimum_amount": D("99")}):
        with pytest.raises(DomainError, match="priced by Seats already") as refused:
            update_price_model(actor=SALES, price_model_id=model.pk, **change)  # type: ignore[arg-type]
        assert refused.value.code == "conflict"
    update_price_model(actor=SALES, price_model_id=model.pk, name="Seats until 2026", active=False)
    assert model.tiers.get().unit_price == D("4")


def test_the_catalogs_prices_are_taken_again(world: World, draft: QuoteVersion) -> None:
    line = add(draft, world.lease, "1", discount_kind="percent", discount_value=D("10"))
    Product.objects.filter(pk=world.lease.pk).update(price=D("200"))
    reprice_version(actor=SALES, version_id=draft.pk, on=TODAY)
    line.refresh_from_db()
    assert (line.list_price, line.unit_price) == (D("200"), D("180"))


# -- what goes together ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"quantity": D("0")}, "quantity"),
        ({"list_price": D("-1")}, "list_price"),
        ({"billing_cycle": "fortnightly-ish"}, "billing_cycle"),
        ({"term": "year:1", "billing_cycle": "month:5"}, "billing_cycle"),
        ({"term": "year:1", "cycles": 6}, "cycles"),
        ({"start_policy": "fixed_date"}, "start_date"),
        ({"start_policy": "aligned"}, "align_to"),
        ({"start_date": TODAY, "align_to": TODAY}, "align_to"),
        ({"proration": "moon"}, "proration"),
        ({"optional": True, "choice_group": "Backup"}, "optional"),
        ({"optional": True, "hidden": True}, "hidden"),
        ({"hidden": True}, "hidden"),
        ({"quantity_min": D("3")}, "quantity_min"),
        ({"quantity_max": D("0.5")}, "quantity_max"),
        ({"discount_value": D("5")}, "discount_kind"),
        ({"discount_kind": "percent", "discount_value": D("101")}, "discount_value"),
        ({"discount_kind": "amount", "discount_value": D("151")}, "discount_value"),
        ({"action": "increase"}, "addition_id"),
        ({"section_id": 0}, "section_id"),
        ({"after_id": 0}, "after_id"),
        ({"offer_id": 0}, "offer_id"),
        ({"price_model_id": 0}, "price_model_id"),
        ({"description": "x" * 201}, "description"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(
    world: World, draft: QuoteVersion, given: dict[str, Any], field: str
) -> None:
    with pytest.raises(DomainError) as refusal:
        add_version_lines(
            actor=SALES, version_id=draft.pk, on=TODAY, lines=[NewLine(world.lease.pk, **{"quantity": D("1"), **given})]
        )
    assert (refusal.value.field or "").removeprefix("lines[0].") == field
    assert not QuoteLine.objects.filter(version=draft).exists()


def test_only_agreement_products_recur(world: World, draft: QuoteVersion) -> None:
    with pytest.raises(DomainError, match="only agreement products recur"):
        add(draft, world.server_inventory, billing_cycle="month:1")
    with pytest.raises(DomainError, match="has no days it runs for"):
        add(draft, world.server_inventory, start_date=TODAY)


def test_of_a_choice_group_the_first_is_chosen_until_another_is(world: World, draft: QuoteVersion) -> None:
    first = add(draft, world.lease, price="10", choice_group="Backup")
    second = add(draft, world.lease, price="16", choice_group="Backup")
    assert price_version(fresh(draft)).totals.monthly.price == D("10.00")
    update_version_line(actor=SALES, line_id=second.pk, selected=True, on=TODAY)
    assert price_version(fresh(draft)).totals.monthly.price == D("16.00")
    remove_version_line(actor=SALES, line_id=second.pk)
    first.refresh_from_db()
    assert first.selected


def test_an_option_that_becomes_part_of_the_quote_counts(world: World, draft: QuoteVersion) -> None:
    line = add(draft, world.lease, optional=True, selected=False)
    assert price_version(fresh(draft)).totals.monthly.price == D("0.00")
    update_version_line(actor=SALES, line_id=line.pk, optional=False, on=TODAY)
    line.refresh_from_db()
    assert line.selected
    assert price_version(fresh(draft)).totals.monthly.price == D("150.00")


# -- bundles -----------------------------------------------------------------------------------------------------------


def test_a_bundle_brings_its_components_within_its_price(world: World, draft: QuoteVersion) -> None:
    bundle = add(draft, starter_kit(world), "3")
    assert shown(draft) == [("Starter kit", "3", "999"), ("Rack server", "6", "0"), ("Rack server", "1", "0")]
    totals = price_version(fresh(draft)).totals.one_time
    assert (totals.price, totals.cost) == (D("2997.00"), D("25200.00"))
    update_version_line(actor=SALES, line_id=bundle.pk, quantity=D("4"), on=TODAY)
    assert [quantity for _, quantity, _ in shown(draft)] == ["4", "8", "1"]


def test_a_bundle_priced_by_its_components(world: World, draft: QuoteVersion) -> None:
    bundle = add(draft, starter_kit(world, price_from_components=True), "1")
    assert shown(draft) == [("Starter kit", "1", "0"), ("Rack server", "2", "4000"), ("Rack server", "1", "100")]
    with pytest.raises(DomainError, match="follows from its bundle's"):
        update_version_line(actor=SALES, line_id=bundle.components.all()[0].pk, quantity=D("9"), on=TODAY)
    update_version_line(actor=SALES, line_id=bundle.components.all()[0].pk, bundle_quantity=D("5"), on=TODAY)
    assert price_version(fresh(draft)).totals.one_time.price == D("20100.00")
    remove_version_line(actor=SALES, line_id=bundle.pk)
    assert shown(draft) == []


# -- discounts, sections, order ----------------------------------------------------------------------------------------


def test_discounts_of_line_section_and_quote_reach_the_lines(world: World, draft: QuoteVersion) -> None:
    section = add_section(actor=SALES, version_id=draft.pk, title="Monthly")
    line = add(draft, world.lease, "2", price="100", section_id=section.pk, discount_kind="amount",
               discount_value=D("20"))  # fmt: skip
    other = add(draft, world.lease, "1", price="100")
    update_section(actor=SALES, section_id=section.pk, discount_kind="percent", discount_value=D("10"))
    update_version(actor=SALES, version_id=draft.pk, discount_kind="percent", discount_value=D("50"))
    line.refresh_from_db()
    other.refresh_from_db()
    assert (line.unit_price, other.unit_price) == (D("40.5"), D("50"))
    with pytest.raises(DomainError, match="is more than what the one-time lines of the quote"):
        update_version(actor=SALES, version_id=draft.pk, discount_kind="amount", discount_value=D("1"))
    remove_section(actor=SALES, section_id=section.pk)
    line.refresh_from_db()
    assert (line.section_id, line.unit_price) == (None, D("45"))


def test_lines_are_moved_within_and_between_sections(world: World, draft: QuoteVersion) -> None:
    a, b = (add_section(actor=SALES, version_id=draft.pk, title=title) for title in "AB")
    kit = add(draft, starter_kit(world), section_id=a.pk)
    lease = add(draft, world.lease, section_id=a.pk)
    parts = [part.pk for part in kit.components.all()]
    reorder_version_lines(
        actor=SALES, version_id=draft.pk, line_ids=[lease.pk, kit.pk, *parts], moved=[Moved(kit.pk, b.pk)]
    )
    rows = lines_of(fresh(draft))
    assert [(line.pk, line.section_id) for line in rows] == [(lease.pk, a.pk), *((pk, b.pk) for pk in (kit.pk, *parts))]
    with pytest.raises(DomainError, match="Name every line"):
        reorder_version_lines(actor=SALES, version_id=draft.pk, line_ids=[lease.pk])
    reorder_sections(actor=SALES, version_id=draft.pk, section_ids=[b.pk, a.pk])
    assert [section.title for section in draft.sections.all()] == ["B", "A"]
    with pytest.raises(DomainError, match="no such line or section"):
        reorder_version_lines(
            actor=SALES, version_id=draft.pk, line_ids=[line.pk for line in rows], moved=[Moved(lease.pk, 0)]
        )


def test_a_line_is_put_behind_another(world: World, draft: QuoteVersion) -> None:
    kit = add(draft, starter_kit(world))
    add(draft, world.lease)
    add(draft, world.lease, "7", after_id=kit.pk)
    assert [quantity for _, quantity, _ in shown(draft)] == ["1", "2", "1", "7", "1"]


# -- a co-term ---------------------------------------------------------------------------------------------------------


def test_the_shortened_first_period_follows_price_and_quantity(world: World, draft: QuoteVersion) -> None:
    """WE-15: 92 of 365 days of 264.00 a year are 66.54."""
    line = add(
        draft, license_of(world), "1", price="264", term="year:1", billing_cycle="year:1",
        start_date=date(2024, 7, 1), align_to=date(2024, 10, 1),
    )  # fmt: skip
    line.refresh_from_db()
    assert (line.first_amount, line.cycles) == (D("66.54"), 1)
    update_version_line(actor=SALES, line_id=line.pk, quantity=D("100"), on=TODAY)
    line.refresh_from_db()
    assert line.first_amount == D("6654.25")
    assert price_version(fresh(draft)).totals.first == D("6654.25")


# -- who may, and when -------------------------------------------------------------------------------------------------


def test_a_viewer_changes_nothing(world: World, draft: QuoteVersion) -> None:
    line = add(draft, world.lease)
    with pytest.raises(DomainError) as refusal:
        update_version_line(actor=VIEWER, line_id=line.pk, quantity=D("2"), on=TODAY)
    assert refusal.value.code == "role_required"


def test_what_was_sent_stands_still(world: World, draft: QuoteVersion) -> None:
    line = add(draft, world.lease)
    sent(draft)
    deeds: list[Any] = [
        lambda: update_version_line(actor=SALES, line_id=line.pk, quantity=D("2"), on=TODAY),
        lambda: remove_version_line(actor=SALES, line_id=line.pk),
        lambda: add(draft, world.lease),
        lambda: add_section(actor=SALES, version_id=draft.pk, title="More"),
        lambda: update_version(actor=SALES, version_id=draft.pk, introduction="Hello"),
    ]
    for deed in deeds:
        with pytest.raises(DomainError, match="what was sent stands still") as refusal:
            deed()
        assert refusal.value.code == "quote_is_sent"


def test_lines_of_versions_are_not_changed_as_those_of_opportunities(world: World, draft: QuoteVersion) -> None:
    line = add(draft, world.lease)
    with pytest.raises(DomainError, match="stands on Q-0001 version 1"):
        update_quote_line(actor=SALES, line_id=line.pk, quantity=Decimal(9))


def test_a_template_has_no_customers_changes(world: World) -> None:
    version = draft_of(world)
    add(version, world.lease, "2")
    template = make_template(actor=SALES, version_id=version.pk, name="Standard server")
    assert template.opportunity is None
    made = quote_of(world, template_id=template.pk).versions.get()
    assert shown(made) == [("Server as a service", "2", "150")]
