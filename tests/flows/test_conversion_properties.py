"""Whatever was signed: what comes of it says the same, line by line, and nothing is lost or made up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.accepted import TODAY, accepted, by, convert, m365, of
from tests.trade import cable
from tests.world import World

from counterfoil.agreements.models import Addition
from counterfoil.agreements.queries import charges_of, terms_of
from counterfoil.catalog.models import Offer, Product
from counterfoil.core.calendar import Cycle
from counterfoil.core.coterm import align
from counterfoil.core.money import extend
from counterfoil.core.proration import ProrationMethod
from counterfoil.core.recurring import bills_due
from counterfoil.orders.models import SalesOrderLine
from counterfoil.quotes.models import QuoteLine, QuoteVersion

pytestmark = pytest.mark.django_db
D = Decimal
OFFERS: Final = ("monthly", "yearly", "billed monthly", "three", "three prepaid")

quantities = st.decimals(D("0.5"), D(400), places=1)
prices = st.decimals(D(0), D(900), places=2)


@st.composite
def signed(draw: st.DrawFn) -> dict[str, Any]:
    """A line as a customer may have signed it."""
    line: dict[str, Any] = {
        "what": draw(st.sampled_from([*OFFERS, "cable", "server"])),
        "quantity": draw(quantities),
        "unit_price": draw(prices),
        "left": draw(st.booleans()),
    }
    if line["what"] in OFFERS:
        days = draw(st.integers(0, 40))
        start = draw(st.sampled_from(["on_acceptance", "fixed_date", "aligned"]))
        if start != "on_acceptance":
            line |= {"start_policy": start, "start_date": TODAY + timedelta(days=days)}
        if start == "aligned":
            method = draw(st.sampled_from(["", "thirty_360", "anniversary_months"]))
            line |= {"align_to": TODAY + timedelta(days=days + draw(st.integers(1, 360))), "proration": method}
    return line


def quoted(line: dict[str, Any], offers: dict[str, Offer], goods: dict[str, Product]) -> dict[str, Any]:
    fields = {name: value for name, value in line.items() if name not in ("what", "left", "quantity")}
    if line["what"] in offers:
        return by(offers[line["what"]], line["quantity"], **fields)
    return of(goods[line["what"]], line["quantity"], **fields | {"price": "0"})


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(signed(), min_size=1, max_size=5))
def test_what_comes_of_a_quote_is_what_was_signed(world: World, lines: Sequence[dict[str, Any]]) -> None:
    with transaction.atomic():
        offers = m365(world)
        goods = {"cable": cable(world), "server": world.server_noninventory}
        rows = [quoted(line, offers, goods) for line in lines]
        left = [index for index, line in enumerate(lines) if line["left"]]
        version = accepted(world, rows, left=left)
        done = convert(version)
        assert not done.kept
        assert not done.waiting
        check(version)
        transaction.set_rollback(True)


def check(version: QuoteVersion) -> None:
    """Every line that was taken has exactly one line downstream, and that says what was signed."""
    taken = list(version.lines.filter(opportunity__isnull=False).select_related("product"))
    additions = {addition.origin_id: addition for addition in Addition.objects.select_related("agreement")}
    ordered = {line.origin_id: line for line in SalesOrderLine.objects.all()}
    assert sorted([*additions, *ordered]) == sorted(line.pk for line in taken)  # type: ignore[type-var]
    for line in taken:
        below = additions.get(line.pk) or ordered[line.pk]
        names = ("product_id", "offer_id", "quantity", "unit_price", "unit_cost", "term", "description", "taxable")
        assert [getattr(below, name) for name in names] == [getattr(line, name) for name in names]
        if isinstance(below, Addition):
            check_addition(line, below)


def check_addition(line: QuoteLine, addition: Addition) -> None:
    """It begins and ends as signed, and billing bills at first what was quoted."""
    agreement, start = addition.agreement, line.start_date or TODAY
    assert (agreement.billing_cycle, addition.effective_date) == (line.billing_cycle, start)
    last = min(day for day in (addition.cancelled_date, agreement.end_date, date.max) if day is not None)
    if line.align_to is not None:
        assert last == line.align_to - timedelta(days=1)
    elif line.term != "month:1":
        assert last == Cycle.parse(line.term).after(start, 1) - timedelta(days=1)
    else:
        assert last == date.max
    first = extend(line.quantity, line.unit_price)
    if line.align_to is not None:
        first = align(
            start=start, end=line.align_to, cycle=Cycle.parse(line.billing_cycle), quantity=line.quantity,
            unit_price=line.unit_price, method=ProrationMethod(line.proration or "actual_days"),
        ).first_amount  # fmt: skip
    key = ("addition", addition.pk)
    items = [
        item for bill in bills_due(terms_of(agreement), charges_of(agreement), through=start) for item in bill.items
    ]
    assert sum((item.amount for item in items if item.key == key), D("0.00")) == first
