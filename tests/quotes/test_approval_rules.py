"""What approval rules find on a quote that lets the customer choose, and whom they may name."""

from __future__ import annotations

import pytest
from tests.quotes.quoting import TODAY, D, add, draft_of
from tests.world import OWNER, World

from counterfoil.core.errors import DomainError
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.quotes import queries
from counterfoil.quotes.commands import create_approval_rule, update_approval_rule
from counterfoil.quotes.models import ApprovalRule, QuoteVersion

pytestmark = pytest.mark.django_db


def rule(measure: str, threshold: str) -> ApprovalRule:
    return create_approval_rule(actor=OWNER, name=f"{measure} {threshold}", measure=measure, threshold=D(threshold))


def reasons(version: QuoteVersion) -> list[str]:
    found = queries.editor(version.pk, on=TODAY)
    assert found is not None
    return [each.reason for each in found.asks]


def test_a_discount_on_an_option_asks_though_nobody_has_taken_it_yet(world: World) -> None:
    version = draft_of(world)
    add(version, world.lease, "2")
    rule("discount", "10")
    assert reasons(version) == []
    add(version, world.server_inventory, "1", "4000", optional=True, selected=False, discount_kind="percent",
        discount_value=D("60"))  # fmt: skip
    assert reasons(version) == ["A line is discounted by more than 10 %"]


def test_a_discount_on_the_other_choice_asks(world: World) -> None:
    version, group = draft_of(world), {"choice_group": "Server"}
    add(version, world.server_inventory, "1", "4000", **group)
    rule("discount", "10")
    assert reasons(version) == []
    add(version, world.server_inventory, "1", "4000", selected=False, discount_kind="percent", discount_value=D("11"),
        **group)  # fmt: skip
    assert reasons(version) == ["A line is discounted by more than 10 %"]


def test_options_that_take_the_margin_down_ask(world: World) -> None:
    """300 a month for a year without a cost; a server at its cost of 3,600 halves the margin."""
    version = draft_of(world)
    add(version, world.lease, "2", term="year:1")
    rule("margin", "60")
    assert reasons(version) == []
    add(version, world.server_inventory, "1", "3600", optional=True, selected=False)
    assert reasons(version) == ["With all options: margin of 50.0 %, less than 60 %"]


def test_who_is_named_may_decide(world: World) -> None:
    viewer = User.objects.create_user("vic@example.com", name="Vic Viewer", roles=[Role.VIEWER])
    made = rule("discount", "10")
    with pytest.raises(DomainError, match="Vic Viewer has no role that decides anything") as refused:
        update_approval_rule(actor=OWNER, rule_id=made.pk, approver_id=viewer.pk)
    assert refused.value.field == "approver_id"
    with pytest.raises(DomainError, match="Vic Viewer"):
        create_approval_rule(actor=OWNER, name="x", measure="margin", threshold=D("1"), approver_id=viewer.pk)
    made.refresh_from_db()
    assert made.approver is None
    seller = User.objects.create_user("sam@example.com", name="Sam Seller", roles=[Role.SALES])
    assert update_approval_rule(actor=OWNER, rule_id=made.pk, approver_id=seller.pk).approver == seller
