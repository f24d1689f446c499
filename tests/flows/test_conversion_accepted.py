"""What an accepted version becomes: agreements, an order, demand and a deposit, each line with its signed origin."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.accepted import TODAY, accepted, bundle, by, convert, m365, of
from tests.offers import NOW
from tests.trade import cable
from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.agreements.commands import AdditionInput, add_addition, create_agreement
from counterfoil.agreements.models import Addition, Agreement, AgreementType
from counterfoil.agreements.queries import charges_of, terms_of
from counterfoil.billing.models import Invoice
from counterfoil.catalog.models import Category, Product
from counterfoil.core.errors import DomainError
from counterfoil.core.recurring import bills_due
from counterfoil.flows.accepted import delivered_on, start_delivered, waiting_lines
from counterfoil.flows.conversion import convert_to_sales_order
from counterfoil.flows.tasks import start_what_was_delivered
from counterfoil.inventory.commands import ReceiveLine, ShipLine, receive_purchase_order, ship_order
from counterfoil.matching.commands import match_everything
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.audit import broken_links, trail_of
from counterfoil.procurement.commands import PurchaseLine, create_purchase_order, send_purchase_order
from counterfoil.quotes import queries as quotes
from counterfoil.quotes.models import ConversionRule, QuoteLine, QuoteVersion
from counterfoil.quotes.routing import ConversionRuleInput, set_conversion_rules

pytestmark = pytest.mark.django_db
D = Decimal


def lines_of(version: QuoteVersion) -> list[QuoteLine]:
    return list(version.lines.order_by("position"))


def billed(agreement: Agreement, through: date) -> list[tuple[str, str, str]]:
    """What billing would bill through a day: first day, description, amount."""
    agreement = Agreement.objects.get(pk=agreement.pk)
    names = {("addition", addition.pk): addition.description for addition in agreement.additions.all()}
    bills = bills_due(terms_of(agreement), charges_of(agreement), through=through)
    return [
        (item.service.start.isoformat(), names[item.key], str(item.amount)) for bill in bills for item in bill.items
    ]


def service(world: World) -> Product:
    return Product.objects.create(
        identifier="INST", description="Installation", product_class="Service", accounting_type="Service",
        category=Category.objects.get(name="Labor"), price=D(150), cost=D(60),
    )  # fmt: skip


def test_a_deal_becomes_agreement_order_demand_and_deposit(world: World) -> None:
    offers = m365(world)
    version = accepted(
        world,
        [by(offers["three"], 25), of(cable(world), 40, "9"), of(service(world), 8, "150")],
        deposit_kind="percent",
        deposit_value=D(50),
        terms=world.net30,
        tax_code=world.tax6,
    )
    licences, cables, work = lines_of(version)

    done = convert(version)

    (agreement,) = done.agreements
    assert (agreement.type.name, agreement.billing_cycle, agreement.name) == (
        "Managed service",
        "month:1",
        "Office move",
    )
    assert (agreement.start_date, agreement.bill_start_date, agreement.end_date) == (TODAY, TODAY, date(2029, 1, 4))
    assert (agreement.customer_po, agreement.terms, agreement.tax_code) == ("4711", world.net30, world.tax6)
    addition = agreement.additions.get()
    assert (addition.origin, addition.offer, addition.term) == (licences, offers["three"], "year:3")
    assert (addition.quantity, addition.unit_price, addition.unit_cost) == (25, D(22), D(18))
    assert (addition.effective_date, addition.committed_through) == (TODAY, date(2029, 1, 4))
    assert (addition.cancellation_days, addition.purchase_item) == (7, True)
    assert billed(agreement, date(2026, 2, 28)) == [
        ("2026-01-05", "Microsoft 365 Business Premium", "550.00"),
        ("2026-02-05", "Microsoft 365 Business Premium", "550.00"),
    ]

    (order,) = done.orders
    line = order.lines.get()
    assert (line.origin, line.quantity, line.unit_price, line.unit_cost) == (cables, 40, D(9), D(4))
    assert (order.order_date, order.customer_po, order.opportunity) == (TODAY, "4711", version.quote.opportunity)

    assert done.deposit is not None
    assert (done.deposit.type, done.deposit.status, done.deposit.sales_order) == ("down_payment", "draft", order)
    assert done.deposit.subtotal == D("780.00")  # half of 360.00 + 1,200.00
    assert done.kept == (work,)
    assert [kept.pk for kept in quotes.unconverted_lines(version.quote.opportunity_id or 0)] == [work.pk]
    assert not list(broken_links())


def test_it_is_done_as_counterfoil_for_whoever_accepted(world: World) -> None:
    version = accepted(world, [of(cable(world), 2, "9")])
    order = convert(version).orders[0]
    assert {entry.actor_name for entry in trail_of(order)} == {"Counterfoil, for Ann Acme"}
    assert trail_of(version)[0].sentence == f"converted {version} to {order.number}"


def test_converting_again_adds_nothing(world: World) -> None:
    version = accepted(
        world, [by(m365(world)["three"]), of(cable(world), 2, "9")], deposit_kind="amount", deposit_value=5
    )
    convert(version)
    again = convert(version)
    assert (again.agreements, again.orders, again.deposit) == ((), (), None)
    assert (Agreement.objects.count(), SalesOrder.objects.count(), Invoice.objects.count()) == (1, 1, 1)


def test_only_an_accepted_version_is_converted(world: World) -> None:
    version = accepted(world, [of(cable(world), 2, "9")])
    other = QuoteVersion.objects.create(quote=version.quote, number=2, status="superseded")
    with pytest.raises(DomainError, match="is superseded") as refused:
        convert(other)
    assert refused.value.code == "wrong_state"


def test_what_the_customer_left_becomes_nothing(world: World) -> None:
    version = accepted(world, [of(cable(world), 2, "9"), of(cable(world, identifier="CAB-7"), 3, "8")], left=[1])
    assert convert(version).orders[0].lines.get().origin == lines_of(version)[0]


def test_we_31_one_product_in_two_terms_is_two_lines_at_their_prices(world: World) -> None:
    offers = m365(world)
    done = convert(accepted(world, [by(offers["billed monthly"], 25), by(offers["monthly"], 10)]))
    (agreement,) = done.agreements
    rows = [(a.quantity, a.unit_price, a.term, a.cancelled_date) for a in agreement.additions.order_by("position")]
    assert rows == [(25, D("23.10"), "year:1", date(2027, 1, 4)), (10, D("26.40"), "month:1", None)]
    assert agreement.end_date is None
    assert {addition.product.identifier for addition in agreement.additions.all()} == {"M365-BP"}


def test_we_23_an_annual_term_billed_monthly_is_first_billed_from_its_purchase_on(world: World) -> None:
    version = accepted(world, [by(m365(world)["billed monthly"], 1)])
    (agreement,) = convert(version, date(2022, 2, 15)).agreements
    (item,) = bills_due(terms_of(agreement), charges_of(agreement), through=date(2022, 2, 15))[0].items
    assert item.service.label == "15 Feb 2022 – 14 Mar 2022"


def test_a_prepaid_term_is_billed_once(world: World) -> None:
    (agreement,) = convert(accepted(world, [by(m365(world)["three prepaid"], 25)])).agreements
    assert billed(agreement, date(2040, 1, 1)) == [("2026-01-05", "Microsoft 365 Business Premium", "19800.00")]


def test_each_billing_cycle_and_first_day_has_its_agreement(world: World) -> None:
    offers = m365(world)
    march = {"start_policy": "fixed_date", "start_date": date(2026, 3, 1)}
    done = convert(accepted(world, [by(offers["three"]), by(offers["yearly"]), by(offers["yearly"], **march)]))
    assert sorted((a.billing_cycle, a.start_date, a.end_date, a.name) for a in done.agreements) == [
        ("month:1", TODAY, date(2029, 1, 4), "Office move, monthly"),
        ("year:1", TODAY, date(2027, 1, 4), "Office move, yearly"),
        ("year:1", date(2026, 3, 1), date(2027, 2, 28), "Office move, yearly"),
    ]


def test_what_is_billed_by_use_has_no_units_yet(world: World) -> None:
    (agreement,) = convert(
        accepted(world, [of(world.lease, 100, "0.15", billing_cycle="month:1", is_usage=True)])
    ).agreements
    addition = agreement.additions.get()
    assert (addition.quantity, addition.unit_price, addition.term) == (0, D("0.15"), "")
    assert billed(agreement, date(2026, 3, 1)) == []


# -- aligned -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "proration", "first", "amount"),
    [
        ("yearly", "", "2026-07-01", "66.54"),
        ("yearly", "anniversary_months", "2026-07-01", "66.00"),
        ("yearly", "thirty_360", "2026-07-01", "66.00"),
        ("billed monthly", "", "2026-07-15", "12.67"),
    ],
)
def test_we_15_an_aligned_line_is_billed_first_what_was_quoted(
    world: World, offer: str, proration: str, first: str, amount: str
) -> None:
    """The signed first amount is what billing bills, by days and by months, of an agreement of its own."""
    start = date.fromisoformat(first)
    aligned = {
        "start_policy": "aligned", "start_date": start, "align_to": date(2026, 10, 1), "proration": proration,
        "first_amount": D(amount),
    }  # fmt: skip
    version = accepted(world, [by(m365(world)[offer], 1, **aligned)])
    (agreement,) = convert(version, start).agreements
    addition = agreement.additions.get()
    assert (addition.effective_date, addition.committed_through) == (start, date(2026, 9, 30))
    assert agreement.end_date == date(2026, 9, 30)
    assert billed(agreement, start)[0] == (first, addition.description, f"{lines_of(version)[0].first_amount:.2f}")
    through = billed(agreement, date(2030, 1, 1))
    assert through[1:] == ([] if offer == "yearly" else [
        ("2026-08-01", addition.description, "23.10"), ("2026-09-01", addition.description, "23.10"),
    ])  # fmt: skip


def test_an_aligned_line_joins_the_agreement_it_is_quoted_for(world: World) -> None:
    offers = m365(world)
    there = Agreement.objects.get(pk=convert(accepted(world, [by(offers["billed monthly"], 10)])).agreements[0].pk)
    aligned = {"start_policy": "aligned", "start_date": date(2026, 3, 17), "align_to": date(2027, 1, 5)}
    version = accepted(world, [by(offers["billed monthly"], 2, **aligned)], agreement=there)

    assert convert(version, date(2026, 3, 17)).agreements == (there,)
    addition = there.additions.get(origin__version=version)
    assert (addition.quantity, addition.committed_through) == (2, date(2027, 1, 4))
    assert [row for row in billed(there, date(2026, 4, 5)) if row[0] >= "2026-03-17" and row[2] != "231.00"] == [
        ("2026-03-17", addition.description, "28.32"),  # 2 × 23.10 × 19 of 31 days
        ("2026-04-05", addition.description, "46.20"),
    ]


def test_a_prepaid_line_joins_no_agreement_in_the_midst_of_its_period(world: World) -> None:
    offers = m365(world)
    there = convert(accepted(world, [by(offers["yearly"], 10)])).agreements[0]
    version = accepted(world, [by(offers["yearly"], 2)], agreement=there)
    (other,) = convert(version, date(2026, 3, 17)).agreements
    assert (other != there, billed(other, date(2026, 3, 17))[0][2]) == (True, "528.00")


# -- rules -------------------------------------------------------------------------------------------------------------


def test_rules_say_what_becomes_what(world: World) -> None:
    assert ConversionRule.objects.count() == 6  # as they are set up
    set_conversion_rules(
        actor=SALES,
        rules=[
            ConversionRuleInput("later", category_id=world.server_inventory.category_id, recurring=False),
            ConversionRuleInput("sales_order", product_class="Service"),
            ConversionRuleInput("agreement", agreement_type_id=world.haas.pk),
        ],
    )
    work = service(world)
    done = convert(accepted(world, [of(cable(world), 1, "9"), of(work, 1, "150"), by(m365(world)["three"])]))
    assert [line.description for line in done.kept] == ["Patch cable"]
    assert done.orders[0].lines.get().product == work
    assert done.agreements[0].type == world.haas


def test_a_line_joins_the_customers_running_agreement_where_the_rule_says_so(world: World) -> None:
    hosting = AgreementType.objects.get(name="Hosting")
    rule = ConversionRuleInput("agreement", agreement_type_id=hosting.pk, join_running=True)
    set_conversion_rules(actor=SALES, rules=[rule])
    fields = {"actor": SALES, "agreement_type_id": hosting.pk, "name": "Hosting", "start_date": date(2026, 1, 1)}
    elsewhere = create_agreement(company_id=world.globex.pk, **fields)  # type: ignore[arg-type]
    yearly = create_agreement(company_id=world.acme.pk, billing_cycle="year:1", **fields)  # type: ignore[arg-type]
    ending = create_agreement(company_id=world.acme.pk, end_date=date(2026, 12, 31), **fields)  # type: ignore[arg-type]
    running = create_agreement(company_id=world.acme.pk, **fields)  # type: ignore[arg-type]

    done = convert(accepted(world, [by(m365(world)["three"], 3)]))
    assert done.agreements == (running,)
    assert not Addition.objects.filter(agreement__in=[elsewhere, yearly, ending]).exists()


@pytest.mark.parametrize(
    ("rule", "code", "field"),
    [
        (ConversionRuleInput("agreement"), "required", "rules[0].agreement_type_id"),
        (ConversionRuleInput("agreement", recurring=False, agreement_type_id=1), "invalid", "rules[0].target"),
        (ConversionRuleInput("project"), "invalid", "rules[0].target"),
        (ConversionRuleInput("later", product_class="Toys"), "invalid", "rules[0].product_class"),
        (ConversionRuleInput("later", category_id=9_999_999), "not_found", "rules[0].category_id"),
        (ConversionRuleInput("agreement", agreement_type_id=9_999_999), "not_found", "rules[0].agreement_type_id"),
    ],
)
def test_rules_that_make_no_sense_are_refused(world: World, rule: ConversionRuleInput, code: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        set_conversion_rules(actor=SALES, rules=[rule])
    assert (refused.value.code, refused.value.field) == (code, field)
    assert ConversionRule.objects.count() == 6


# -- bundles -----------------------------------------------------------------------------------------------------------


def test_a_bundle_is_ordered_as_what_it_is_made_of(world: World) -> None:
    cables, work = cable(world), service(world)
    kit = bundle(world, cables, world.server_noninventory)
    version = accepted(
        world,
        [of(kit, 2), of(cables, 20, "9"), of(world.server_noninventory, 2, "4000")],
        components=[(0, 1), (0, 2)],
    )
    head, *components = lines_of(version)
    (order,) = convert(version).orders
    assert [(line.origin, line.unit_price) for line in order.lines.order_by("position")] == [
        (components[0], D(9)),
        (components[1], D(4000)),
    ]
    head.refresh_from_db()
    assert head.conversion.target_number == order.number
    assert not quotes.unconverted_lines(version.quote.opportunity_id or 0).exists()
    assert work.product_class == "Service"


def test_a_price_of_the_bundle_itself_is_shared_out_to_the_cent(world: World) -> None:
    cables = cable(world)
    version = accepted(
        world,
        [
            of(bundle(world, cables), 1, "100"),
            of(cables, 3, "0", list_price=D(9)),
            of(cable(world, identifier="CAB-7"), 7, "0", list_price=D(9)),
        ],
        components=[(0, 1), (0, 2)],
    )
    (order,) = convert(version).orders
    amounts = [line.quantity * line.unit_price for line in order.lines.order_by("position")]
    assert [round(amount, 2) for amount in amounts] == [D("30.00"), D("70.00")]
    assert match_everything(actor=FINANCE, now=NOW).opened == 0, "what was shared out is what was sold"


def test_what_was_offered_holds_though_the_catalog_has_changed(world: World) -> None:
    version = accepted(world, [by(m365(world)["monthly"], 10), of(world.server_noninventory, 1, "4000")])
    Product.objects.update(active=False)
    done = convert(version)
    assert (len(done.agreements), len(done.orders)) == (1, 1)


# -- on delivery -------------------------------------------------------------------------------------------------------


def test_what_begins_on_delivery_waits_for_the_goods(world: World) -> None:
    lease = of(world.lease, 1, "150", unit_cost=D(0), billing_cycle="month:1", cycles=36, start_policy="on_delivery")
    version = accepted(world, [of(world.server_inventory, 1), lease])
    done = convert(version)
    assert (done.agreements, [line.description for line in done.waiting]) == ((), ["Server as a service"])
    assert start_delivered(actor=SALES, on=date(2026, 2, 1)) == []
    assert waiting_lines(version.pk).count() == 1

    order_line = done.orders[0].lines.get()
    bought = create_purchase_order(
        actor=PROCUREMENT, vendor_id=world.ingram.pk, order_date=date(2026, 1, 6),
        lines=[PurchaseLine(order_line_id=order_line.pk, bin_id=world.acme_bin.pk)],
    )  # fmt: skip
    send_purchase_order(actor=PROCUREMENT, purchase_order_id=bought.pk)
    received = ReceiveLine(bought.lines.get().pk, serials=["S1"])
    receive_purchase_order(actor=PROCUREMENT, purchase_order_id=bought.pk, on=date(2026, 1, 12), lines=[received])
    assert delivered_on(version.pk) is None
    ship_order(
        actor=PROCUREMENT, order_id=done.orders[0].pk, on=date(2026, 1, 20),
        lines=[ShipLine(order_line.pk, bin_id=world.acme_bin.pk, serials=["S1"])],
    )  # fmt: skip
    assert delivered_on(version.pk) == date(2026, 1, 20)
    assert start_delivered(actor=SALES, on=date(2026, 1, 19)) == []

    (agreement,) = start_delivered(actor=PROCUREMENT, on=date(2026, 2, 3))
    assert (agreement.start_date, agreement.end_date) == (date(2026, 1, 20), date(2029, 1, 19))
    assert agreement.type == world.haas
    assert agreement.additions.get().origin == lines_of(version)[1]
    assert start_delivered(actor=SALES, on=date(2026, 3, 1)) == []


def test_converting_again_begins_nothing_before_its_delivery(world: World) -> None:
    lease = of(world.lease, 1, "150", unit_cost=D(0), billing_cycle="month:1", cycles=36, start_policy="on_delivery")
    version = accepted(world, [of(world.server_inventory, 1), lease])
    assert convert(version).waiting == convert(version).waiting == (lines_of(version)[1],)
    assert not Agreement.objects.exists()


def test_a_component_that_begins_on_delivery_has_its_share_of_the_bundles_price(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monthly = {"billing_cycle": "month:1", "cycles": 36}
    lease = of(world.lease, 1, "0", unit_cost=D(0), start_policy="on_delivery", **monthly)
    version = accepted(
        world,
        [of(world.server_inventory, 1), of(bundle(world, world.lease), 1, "99", **monthly), lease],
        components=[(1, 2)],
    )
    assert convert(version).agreements == ()
    monkeypatch.setattr("counterfoil.flows.accepted.delivered_on", lambda _: date(2026, 1, 20))
    (agreement,) = start_delivered(actor=SALES, on=date(2026, 2, 1))
    assert agreement.additions.get().unit_price == D(99)
    assert not quotes.unconverted_lines(version.quote.opportunity_id or 0).exists()


def test_a_component_kept_for_later_has_its_share_when_it_is_ordered(world: World) -> None:
    cables, work = cable(world), service(world)
    version = accepted(
        world,
        [of(bundle(world, cables, work), 1, "100"), of(cables, 1, "300"), of(work, 1, "100")],
        components=[(0, 1), (0, 2)],
    )
    done = convert(version)
    assert done.orders[0].lines.get().unit_price == D(375)
    order = convert_to_sales_order(
        actor=SALES, opportunity_id=version.quote.opportunity_id or 0, line_ids=[done.kept[0].pk], on=TODAY
    )
    assert order.lines.get().unit_price == D(125)
    assert match_everything(actor=FINANCE, now=NOW).opened == 0


def test_a_price_that_no_component_can_take_is_kept(world: World) -> None:
    cables = cable(world)
    kit = of(bundle(world, cables), 1, "20", billing_cycle="month:1")
    version = accepted(world, [kit, of(cables, 1, "9")], components=[(0, 1)])
    assert convert(version).kept == (lines_of(version)[0],)


def test_without_goods_there_is_nothing_to_wait_for(world: World) -> None:
    line = by(m365(world)["three"], start_policy="on_delivery")
    assert convert(accepted(world, [line])).agreements[0].start_date == TODAY


# -- by hand -----------------------------------------------------------------------------------------------------------


def test_entered_by_hand_beside_a_quote_has_no_origin(world: World) -> None:
    (agreement,) = convert(accepted(world, [by(m365(world)["three"])])).agreements
    by_hand = add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(world.lease.pk))
    assert by_hand.origin is None


def test_the_hourly_job_begins_what_was_delivered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = of(world.lease, 1, "150", unit_cost=D(0), billing_cycle="month:1", start_policy="on_delivery")
    version = accepted(world, [of(world.server_noninventory, 1), lease])
    convert(version)
    start_what_was_delivered(0)
    assert not Agreement.objects.exists()
    monkeypatch.setattr("counterfoil.flows.accepted.delivered_on", lambda pk: TODAY)
    start_what_was_delivered(0)
    agreement = Agreement.objects.get()
    assert (agreement.start_date, trail_of(agreement)[0].actor_name) == (TODAY, "Counterfoil")
