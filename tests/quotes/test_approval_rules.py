"""What approval rules find on a quote that lets the customer choose, and whom they may name."""

from __future__ import annotations

import pytest
from tests.quotes.quoting import NOW, TODAY, D, add, draft_of, sent
from tests.world import OWNER, SALES, World

from counterfoil.core.errors import DomainError
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.quotes import queries
from counterfoil.quotes.commands import create_approval_rule, submit_for_approval, update_approval_rule
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


def test_the_other_choice_of_a_group_may_be_dearer(world: World) -> None:
    version, group = draft_of(world), {"choice_group": "Server"}
    add(version, world.server_inventory, "1", "1000", **group)
    rule("one_time", "5000")
    assert reasons(version) == []
    add(version, world.server_inventory, "1", "9000", selected=False, **group)
    said = "With the dearest choices: one-time total of 9,000.00, more than 5,000.00"
    assert reasons(version) == [said]
    waiting = submit_for_approval(actor=SALES, version_id=version.pk, now=NOW)
    assert [asked.reason for asked in waiting.approvals.all()] == [said]
    with pytest.raises(DomainError, match=r"9,000\.00") as refused:
        sent(version)
    assert refused.value.code == "approval_required"


def test_as_many_as_the_customer_may_take_count(world: World) -> None:
    """Two at 150.00 a month; up to 40 make 6,000.00, of a term 72,000.00."""
    version = draft_of(world)
    add(version, world.lease, "2", "150", term="year:1", quantity_max=D("40"))
    rule("monthly", "6000")
    rule("term", "72000")
    assert reasons(version) == []
    rule("monthly", "5999")
    rule("term", "71999")
    assert reasons(version) == [
        "With the dearest choices: monthly total of 6,000.00, more than 5,999.00",
        "With the dearest choices: total over the term of 72,000.00, more than 71,999.00",
    ]


def test_the_choice_that_leaves_the_lowest_margin_asks(world: World) -> None:
    """The other server costs 3,600 as well; what brings the margin up may be left."""
    version, group = draft_of(world), {"choice_group": "Server"}
    add(version, world.server_inventory, "1", "6000", **group)
    rule("margin", "20")
    assert reasons(version) == []
    add(version, world.server_inventory, "1", "4500", selected=False, **group)
    assert reasons(version) == []
    add(version, world.server_inventory, "1", "4000", selected=False, **group)
    assert reasons(version) == ["With the least profitable choices: margin of 10.0 %, less than 20 %"]


def test_fewer_of_what_is_profitable_ask(world: World) -> None:
    """A year of ten at 150.00 costs nothing; of one of them, and a server at cost, 1,800 of 5,400 are left."""
    version = draft_of(world)
    add(version, world.lease, "10", "150", term="year:1", quantity_min=D("1"))
    add(version, world.server_inventory, "1", "3600")
    rule("margin", "40")
    assert reasons(version) == ["With the least profitable choices: margin of 33.3 %, less than 40 %"]


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
