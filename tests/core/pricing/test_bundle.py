"""Bundles from their components."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.bundle import Component, refuse_cycle, roll_up

WORKPLACE = [
    Component(D(1), unit_price=D(900), unit_cost=D(700)),
    Component(D(2), unit_price=D(200), unit_cost=D(150)),
    Component(D(1), unit_price=D(500), unit_cost=D(400), fixed=True),
]


def test_multiplied_components_follow_the_number_of_bundles_and_fixed_ones_do_not() -> None:
    one, ten = roll_up(WORKPLACE), roll_up(WORKPLACE, D(10))
    assert (one.price, one.cost) == (D(1800), D(1400))
    assert (ten.price, ten.cost) == (D(13500), D(10400))


def test_a_bundle_that_comes_round_to_itself_is_refused_and_the_way_is_named() -> None:
    names = {1: "OFFICE", 2: "DESK", 3: "SCREENS", 4: "ARM"}
    refuse_cycle(1, {1: [2, 3, 4], 2: [3], 3: [4]}, names)
    with pytest.raises(DomainError, match="OFFICE → DESK → SCREENS → OFFICE"):
        refuse_cycle(1, {1: [2], 2: [3], 3: [4, 1]}, names)
    with pytest.raises(DomainError, match="DESK → DESK"):
        refuse_cycle(2, {2: [2]}, names)
