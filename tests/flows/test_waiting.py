"""Lines that begin on delivery when nothing is delivered any more: in sight, begun from a day, or cancelled."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.accepted import TODAY, accepted, convert, of
from tests.world import FINANCE, PROCUREMENT, SALES, World

from counterfoil.agreements.models import Agreement
from counterfoil.core.errors import DomainError
from counterfoil.flows.accepted import start_delivered
from counterfoil.flows.waiting import cancel_waiting, start_waiting, stuck_lines, waiting
from counterfoil.orders.commands import cancel_sales_order, close_sales_order
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.audit import trail_of
from counterfoil.quotes import queries as quotes
from counterfoil.quotes.models import QuoteLine, QuoteVersion
from counterfoil.quotes.routing import ConversionRuleInput, set_conversion_rules

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def version(world: World) -> QuoteVersion:
    """A server, and its lease for 36 months that begins when it is delivered."""
    lease = of(world.lease, 1, "150", unit_cost=D(0), billing_cycle="month:1", cycles=36, start_policy="on_delivery")
    version = accepted(world, [of(world.server_inventory, 1), lease])
    convert(version)
    return version


def ids(version: QuoteVersion) -> list[int]:
    return list(version.lines.filter(start_policy="on_delivery").values_list("pk", flat=True))


def states() -> list[tuple[bool, str]]:
    return [(found.is_stuck, found.why) for found in waiting()]


def test_while_its_goods_are_on_the_way_it_waits(version: QuoteVersion) -> None:
    order = SalesOrder.objects.get()
    assert states() == [(False, f"Until the goods of {order.number} are delivered.")]
    assert not stuck_lines().exists()
    assert [found.lines for found in waiting(order_id=order.pk)] == [tuple(version.lines.filter(pk__in=ids(version)))]
    assert waiting(order_id=0) == waiting(agreement_id=0) == waiting(opportunity_id=0) == []


@pytest.mark.parametrize("deed", ["cancelled", "closed"])
def test_when_nothing_is_coming_any_more_it_says_so(version: QuoteVersion, deed: str) -> None:
    order = SalesOrder.objects.get()
    if deed == "cancelled":
        cancel_sales_order(actor=SALES, order_id=order.pk, reason="Bought elsewhere")
        said = "was cancelled: nothing more will be delivered."
    else:
        close_sales_order(actor=SALES, order_id=order.pk)
        said = "was closed before all was delivered: nothing more will be delivered."
    assert states() == [(True, f"{order.number} {said}")]
    assert [line.pk for line in stuck_lines()] == ids(version)
    assert start_delivered(actor=SALES, on=date(2026, 6, 1)) == []


def test_it_is_begun_from_the_day_that_is_named(version: QuoteVersion) -> None:
    cancel_sales_order(actor=SALES, order_id=SalesOrder.objects.get().pk, reason="Bought elsewhere")
    (agreement,) = start_waiting(
        actor=FINANCE, line_ids=ids(version), start_date=date(2026, 3, 1), reason="runs on their own server"
    )
    assert (agreement.start_date, agreement.end_date) == (date(2026, 3, 1), date(2029, 2, 28))
    assert agreement.additions.get().origin_id == ids(version)[0]
    assert trail_of(agreement)[0].actor_name == f"Counterfoil, for {FINANCE.name}"
    assert trail_of(version.quote)[0].sentence.endswith(": runs on their own server")
    assert waiting() == []
    assert not quotes.unconverted_lines(version.quote.opportunity_id or 0).exists()
    with pytest.raises(DomainError) as refused:
        start_waiting(actor=SALES, line_ids=ids(version), start_date=TODAY)
    assert refused.value.code == "already_converted"


def test_it_is_cancelled_and_the_signed_quote_stays(version: QuoteVersion) -> None:
    with pytest.raises(DomainError) as refused:
        cancel_waiting(actor=SALES, line_ids=ids(version), reason=" ")
    assert (refused.value.code, refused.value.field) == ("required", "reason")
    cancel_waiting(actor=SALES, line_ids=ids(version), reason="The customer moved")
    line = QuoteLine.objects.get(pk=ids(version)[0])
    assert (line.conversion.target, line.selected, line.opportunity_id) == (
        "nothing",
        True,
        version.quote.opportunity_id,
    )
    assert (waiting(), Agreement.objects.count(), stuck_lines().count()) == ([], 0, 0)
    assert start_delivered(actor=SALES, on=date(2026, 6, 1)) == []
    assert "The customer moved" in trail_of(version.quote)[0].sentence


def test_what_does_not_wait_is_refused(world: World, version: QuoteVersion) -> None:
    server = version.lines.get(start_policy="on_acceptance")
    other = accepted(world, [of(world.lease, 1, "9", billing_cycle="month:1")])
    for line_ids, code in (([], "required"), ([server.pk], "already_converted"), ([0], "not_found")):
        with pytest.raises(DomainError) as refused:
            start_waiting(actor=SALES, line_ids=line_ids, start_date=TODAY)
        assert (refused.value.code, refused.value.field) == (code, "line_ids")
    for line_ids in ([other.lines.get().pk], [*ids(version), other.lines.get().pk]):
        with pytest.raises(DomainError) as refused:
            cancel_waiting(actor=SALES, line_ids=line_ids, reason="x")
        assert refused.value.code == "wrong_state"
    with pytest.raises(DomainError) as refused:
        start_waiting(actor=PROCUREMENT, line_ids=ids(version), start_date=TODAY)
    assert refused.value.code == "role_required"


def test_what_no_rule_makes_part_of_an_agreement_is_not_begun(version: QuoteVersion) -> None:
    set_conversion_rules(actor=SALES, rules=[ConversionRuleInput(target="later")])
    with pytest.raises(DomainError, match="No conversion rule makes") as refused:
        start_waiting(actor=SALES, line_ids=ids(version), start_date=TODAY)
    assert (refused.value.code, Agreement.objects.count()) == ("wrong_state", 0)
