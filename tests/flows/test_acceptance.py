"""An acceptance and what follows from it: all of it, or nothing."""

from __future__ import annotations

import json

import pytest
from tests.offers import make_offer
from tests.snapshot import changed, snapshot
from tests.world import World

from counterfoil.core.errors import DomainError
from counterfoil.flows.acceptance import accept_quote
from counterfoil.quotes.models import Acceptance, OpportunityStatus

pytestmark = pytest.mark.django_db


def test_a_conversion_that_fails_at_its_end_leaves_no_acceptance(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = make_offer(world)
    before = snapshot()

    def fail(*given: object) -> None:
        raise DomainError("wrong_state", "Something is in the way.")

    with monkeypatch.context() as patched:
        patched.setattr("counterfoil.flows.accepted._say", fail)
        with pytest.raises(DomainError, match="in the way"):
            accept_quote(**offer.asked(offer.picks("basic")))
    assert changed(before) == []

    made = accept_quote(**offer.asked(offer.picks("basic"))).acceptance
    assert Acceptance.objects.get() == made
    assert json.loads(bytes(made.record))["quote"]
    opportunity = made.version.quote.opportunity
    assert opportunity is not None
    opportunity.refresh_from_db()
    assert opportunity.status == OpportunityStatus.WON
