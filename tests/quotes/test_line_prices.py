"""A price that is the catalog's follows the quantity from break to break; one that was set by hand stays."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.docs.test_tables import table
from tests.quotes.quoting import TODAY, D, add, draft_of, sent, starter_kit
from tests.world import OWNER, SALES, World

from counterfoil.catalog.commands import create_pricing_schedule
from counterfoil.catalog.models import Offer, PriceMethod, PriceModel, PriceTier, PricingBreak, PricingSchedule, Product
from counterfoil.catalog.pricing import PricingBreakInput
from counterfoil.core.errors import DomainError
from counterfoil.platform.models import AuditEntry
from counterfoil.quotes.commands import update_version_line
from counterfoil.quotes.customer import customer_view
from counterfoil.quotes.models import QuoteLine, QuoteVersion
from counterfoil.quotes.pricing import Picks
from counterfoil.quotes.seen import SeenLine

pytestmark = pytest.mark.django_db

BREAKS = ((D("10"), PriceMethod.PRICE, "90"), (D("50"), PriceMethod.DISCOUNT, "25"))


@pytest.fixture
def server(world: World) -> Product:
    """100.00 each; 90.00 from ten on; 25 % off from fifty on; for everybody."""
    product = world.server_noninventory
    Product.objects.filter(pk=product.pk).update(price=D("100"), cost=D("60"))
    product.refresh_from_db()
    schedule(product)
    return product


def schedule(product: Product, breaks: Any = BREAKS, **more: Any) -> None:
    create_pricing_schedule(
        actor=OWNER, name=more.pop("name", "Volume"), for_all_companies=True,
        breaks=[
            PricingBreakInput(product_id=product.pk, from_quantity=many, method=method, value=D(value))
            for many, method, value in breaks
        ],
        **more,
    )  # fmt: skip


def change(line: QuoteLine, on: date = TODAY, **values: Any) -> QuoteLine:
    update_version_line(actor=SALES, line_id=line.pk, on=on, **values)
    line.refresh_from_db()
    return line


def last_sentence() -> str:
    return AuditEntry.objects.latest("seq").sentence


def test_the_price_of_the_break_reached_is_taken_up_and_down(world: World, server: Product) -> None:
    line = add(draft_of(world), server, "9", discount_kind="percent", discount_value=D("10"))
    reached = [(many, change(line, quantity=D(many)).list_price) for many in ("10", "49", "50", "9", "12")]
    assert reached == [("10", D("90")), ("49", D("90")), ("50", D("75")), ("9", D("100")), ("12", D("90"))]
    assert (line.unit_price, line.unit_cost) == (D("81"), D("60"))  # its own discount stays
    assert last_sentence() == (
        "changed SRV-NI: quantity from 9 to 12, list price from 100 to 90; Price 90.00 (Volume, from 10: 90.00)"
        f" on {line.version}"
    )


@pytest.mark.parametrize("row", table("quoting.md", "quantity so far"), ids=lambda row: row["new quantity"])
def test_the_table_of_the_page_on_quotes(world: World, server: Product, row: dict[str, str]) -> None:
    line = add(draft_of(world), server, row["quantity so far"], row["list price so far"])
    assert change(line, quantity=D(row["new quantity"])).list_price == D(row["new list price"])


@pytest.mark.parametrize("price", ["95", "100.01", "0"])
def test_a_price_set_by_hand_stays_and_the_catalogs_is_named(world: World, server: Product, price: str) -> None:
    line = add(draft_of(world), server, "9")
    change(line, list_price=D(price))
    assert change(line, quantity=D("20")).list_price == D(price)
    assert "The price stays as it was set; the catalog's is 90.00 (Volume, from 10: 90.00)" in last_sentence()
    assert change(line, quantity=D("21")).list_price == D(price)
    assert "catalog's" not in last_sentence()  # no other break was reached


def test_whoever_types_the_catalogs_price_is_back_with_it(world: World, server: Product) -> None:
    line = add(draft_of(world), server, "20", "95")
    change(line, list_price=D("90"))
    assert change(line, quantity=D("5")).list_price == D("100")


def test_a_price_given_with_the_quantity_counts(world: World, server: Product) -> None:
    line = add(draft_of(world), server, "9")
    assert change(line, quantity=D("20"), list_price=D("100")).list_price == D("100")
    assert change(line, quantity=D("50")).list_price == D("100")


def test_the_schedules_of_the_day_hold(world: World, server: Product) -> None:
    PricingSchedule.objects.update(active=False)
    schedule(server, [(D("10"), PriceMethod.PRICE, "80")], name="Spring", end_date=date(2026, 3, 31))
    line = add(draft_of(world), server, "9")
    assert change(line, date(2026, 4, 1), quantity=D("10")).list_price == D("100")
    assert change(line, date(2026, 3, 31), quantity=D("11")).list_price == D("100"), "it is none of that day"
    change(line, date(2026, 3, 31), quantity=D("9"))
    assert change(line, date(2026, 3, 31), quantity=D("10")).list_price == D("80")


def test_a_schedule_takes_the_place_of_an_offers_tiers_and_gives_it_back(world: World) -> None:
    model = PriceModel.objects.create(name="Seats", kind="volume")
    PriceTier.objects.create(model=model, up_to=D("10"), unit_price=D("5"))
    PriceTier.objects.create(model=model, up_to=D("100"), unit_price=D("4"))
    seat = world.lease
    offer = Offer.objects.create(product=seat, billing_cycle="month:1", price=D("5"), price_model=model)
    schedule(seat, [(D("50"), PriceMethod.PRICE, "3")])
    line = add(draft_of(world), seat, "10", offer_id=offer.pk)
    found = [(change(line, quantity=D(many)).list_price, line.price_model) for many in ("11", "60", "20")]
    assert found == [(D("4"), model), (D("3"), None), (D("4"), model)]
    PricingBreak.objects.all().delete()
    with pytest.raises(DomainError, match="more than the 100"):
        change(line, quantity=D("101"))
    change(line, price_model_id=None, list_price=D("2"))
    assert change(line, quantity=D("101")).list_price == D("2"), "its price is no matter of the tiers"


def test_components_follow_the_quantity_of_their_bundle(world: World, server: Product) -> None:
    kit = starter_kit(world, price_from_components=True)
    kit.components.filter(product=server).update(unit_price=None)
    bundle = add(draft_of(world), kit, "4")
    component, other = bundle.components.order_by("position")
    assert (component.quantity, component.list_price) == (D("8"), D("100"))
    change(bundle, quantity=D("5"))
    component.refresh_from_db()
    other.refresh_from_db()
    assert (component.quantity, component.list_price, component.unit_price) == (D("10"), D("90"), D("90"))
    assert (bundle.list_price, other.list_price) == (D("0"), D("100"))
    change(component, bundle_quantity=D("1"))
    assert (component.quantity, component.list_price) == (D("5"), D("100"))


def test_what_is_about_an_addition_keeps_its_price(world: World, server: Product) -> None:
    line = add(draft_of(world), server, "9")
    QuoteLine.objects.filter(pk=line.pk).update(list_price=D("100"))
    version = QuoteVersion.objects.get(pk=line.version_id)
    from counterfoil.quotes.line_prices import breaks_reached

    former, new = {line.pk: D("9")}, {line.pk: D("10")}
    assert breaks_reached(version, [line], former, new, TODAY)[line.pk].price == D("90")
    line.action = "increase"
    assert breaks_reached(version, [line], former, new, TODAY) == {}


def test_what_was_sent_holds_for_every_quantity_the_customer_may_pick(world: World, server: Product) -> None:
    draft = draft_of(world)
    line = add(draft, server, "5", quantity_min=D("1"), quantity_max=D("60"))
    version = sent(draft)
    picked = customer_view(version, Picks(quantities={line.pk: D("50")}), on=TODAY)
    assert picked.totals.one_time == D("5000.00")


def test_what_others_have_changed_is_not_overwritten_unseen(world: World, server: Product) -> None:
    line = add(draft_of(world), server, "5")
    change(line, quantity=D("7"))

    def by_another(seen: dict[str, Any], **changes: Any) -> QuoteLine:
        return update_version_line(actor=SALES, line_id=line.pk, on=TODAY, seen=SeenLine(**seen), **changes)

    with pytest.raises(DomainError, match="quantity from 5 to 7") as refused:
        by_another({"quantity": Decimal(5), "unit_cost": D("60")}, quantity=D("6"), unit_cost=D("50"))
    assert (refused.value.code, refused.value.field) == ("conflict", "quantity")
    line.refresh_from_db()
    assert (line.quantity, line.unit_cost) == (7, 60)
    by_another({"quantity": Decimal(5)}, description="Server")  # another value of it
    by_another({"quantity": Decimal(5)}, quantity=D("7"))  # both want the same
    by_another({"quantity": Decimal(7)}, quantity=D("6"))
    line.refresh_from_db()
    assert (line.quantity, line.description) == (6, "Server")
