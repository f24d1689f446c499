"""A block that expires when nothing is left is used up from the day on which nothing was; pages and API say so."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from tests.usage.world import adjust, covering, time
from tests.web.pages import sign_in, text_of
from tests.world import SALES, World, build_world

from counterfoil.agreements.commands import cancel_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.api.areas.agreements import standing
from counterfoil.platform.identity import Role
from counterfoil.usage.commands import reallocate_agreement
from counterfoil.usage.queries import used_up

pytestmark = pytest.mark.django_db
JAN, FEB_9, FEB_10, MAR_1 = date(2026, 1, 20), date(2026, 2, 9), date(2026, 2, 10), date(2026, 3, 1)


@pytest.fixture
def msp() -> World:
    return build_world()


def block(msp: World, **terms: Any) -> Agreement:
    return covering(msp, "hours", "10", **{"application_one_time": True, "expire_when_zero": True} | terms)


def test_it_is_used_up_once_nothing_is_left(msp: World) -> None:
    agreement, other = block(msp), block(msp)
    time(msp.acme, JAN, "9", agreement)
    time(msp.acme, JAN, "9.75", other)
    assert used_up(on=FEB_10) == frozenset()
    time(msp.acme, FEB_10, "1", agreement)
    assert used_up(on=FEB_10) == used_up(on=MAR_1) == {agreement.pk}
    assert used_up(on=FEB_10, agreement_ids=[other.pk]) == frozenset()


@pytest.mark.parametrize("terms", [{"expire_when_zero": False}, {"allow_overruns": True}, {"application_limit": None}])
def test_what_does_not_expire_or_may_be_overrun_is_not_used_up(msp: World, terms: dict[str, Any]) -> None:
    agreement = block(msp, **terms)
    time(msp.acme, JAN, "12", agreement)
    assert used_up(on=MAR_1) == frozenset()


def test_what_is_added_later_does_not_bring_it_back(msp: World) -> None:
    agreement = block(msp)
    time(msp.acme, JAN, "10", agreement)
    adjust(agreement, FEB_9, "5")
    reallocate_agreement(actor=SALES, agreement_id=agreement.pk)
    assert used_up(on=MAR_1) == {agreement.pk}
    assert time(msp.acme, FEB_10, "1", agreement).allocation.overage_quantity == 1


def test_what_was_taken_away_counts(msp: World) -> None:
    agreement = block(msp)
    adjust(agreement, date(2026, 1, 2), "-4")
    time(msp.acme, JAN, "6", agreement)
    assert used_up(on=MAR_1) == {agreement.pk}


def test_a_cancelled_one_is_cancelled(msp: World) -> None:
    agreement = block(msp)
    time(msp.acme, JAN, "10", agreement)
    cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=MAR_1, reason="sold")
    assert used_up(on=MAR_1) == frozenset()
    assert standing(agreement_id=agreement.pk, on=MAR_1).state == "cancelled"


def test_its_page_the_list_and_the_api_say_so(msp: World, client: Client) -> None:
    agreement = block(msp)
    sign_in(client, Role.SALES)
    assert "Used up" not in text_of(client.get("/agreements/"))
    time(msp.acme, JAN, "10", agreement)
    assert "Used up" in text_of(client.get("/agreements/"))
    page = text_of(client.get(f"/agreements/{agreement.pk}/"))
    assert "Used up" in page
    assert "Expired: nothing is left of it." in page
    assert standing(agreement_id=agreement.pk, on=MAR_1).state == "used_up"
    assert Agreement.objects.get(pk=agreement.pk).application_limit == Decimal(10)
