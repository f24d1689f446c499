"""Quotes that several people work on at the same moment, each with a connection of their own."""

from __future__ import annotations

import pytest
from tests.quotes.quoting import NOW, TODAY, D, add, draft_of, sent
from tests.racing import at_once, refusals
from tests.world import OWNER, SALES, World

from counterfoil.quotes import queries
from counterfoil.quotes.commands import (
    approve_quote,
    create_approval_rule,
    decline_version,
    new_version,
    submit_for_approval,
    update_version,
    update_version_line,
    withdraw_quote,
)
from counterfoil.quotes.content import content_hash
from counterfoil.quotes.models import QuoteVersion
from counterfoil.quotes.pricing import price_version

pytestmark = pytest.mark.django_db(transaction=True)


def fresh(version: QuoteVersion) -> QuoteVersion:
    found = queries.version(version.pk)
    assert found is not None
    return found


def test_two_people_change_two_lines_and_the_shares_of_the_discount_add_up(committed_world: World) -> None:
    version = draft_of(committed_world)
    lines = [add(version, committed_world.server_noninventory, "1", "100") for _ in range(3)]
    update_version(actor=SALES, version_id=version.pk, discount_kind="amount", discount_value=D("10"))
    results = at_once(
        *(
            lambda line=line, price=price: update_version_line(actor=SALES, line_id=line.pk, list_price=price, on=TODAY)
            for line, price in zip(lines, (D("70"), D("80"), D("90")), strict=True)
        )
    )
    assert not refusals(results)
    found = fresh(version)
    assert price_version(found).totals.one_time.price == D("230.00")
    assert sum(line.unit_price for line in found.lines.all()) == D("230")


def test_a_line_is_changed_while_the_quote_is_sent(committed_world: World) -> None:
    """Either it was changed before, and the change was sent, or it is refused: nothing changes afterwards."""
    version = draft_of(committed_world)
    line = add(version, committed_world.lease)
    results = at_once(
        lambda: update_version_line(actor=SALES, line_id=line.pk, quantity=D("7"), on=TODAY),
        lambda: sent(version),
    )
    found = fresh(version)
    refused = refusals(results)
    assert [refusal.code for refusal in refused] in ([], ["quote_is_sent"])
    assert found.lines.get().quantity == (1 if refused else 7)
    assert (found.status, found.content_sha256) == ("sent", content_hash(found))


def test_two_new_versions_at_once_follow_one_another(committed_world: World) -> None:
    version = draft_of(committed_world)
    add(version, committed_world.lease)
    sent(version)
    results = at_once(*[lambda: new_version(actor=SALES, version_id=version.pk, on=TODAY, now=NOW) for _ in range(3)])
    assert not refusals(results)
    statuses = list(version.quote.versions.order_by("number").values_list("number", "status"))
    assert statuses == [(1, "superseded"), (2, "superseded"), (3, "superseded"), (4, "draft")]


def test_declined_withdrawn_and_replaced_at_once_is_one_of_them(committed_world: World) -> None:
    version = draft_of(committed_world)
    add(version, committed_world.lease)
    sent(version)
    results = at_once(
        lambda: decline_version(actor=SALES, version_id=version.pk, now=NOW),
        lambda: withdraw_quote(actor=SALES, version_id=version.pk, now=NOW),
    )
    assert [refusal.code for refusal in refusals(results)] == ["wrong_state"]


def test_a_change_while_it_is_approved_never_leaves_other_content_approved(committed_world: World) -> None:
    create_approval_rule(actor=OWNER, name="All", measure="monthly", threshold=D("1"))
    version = draft_of(committed_world)
    line = add(version, committed_world.lease)
    submit_for_approval(actor=SALES, version_id=version.pk, now=NOW)
    (approval,) = queries.approvals(version_id=version.pk)
    at_once(
        lambda: approve_quote(actor=OWNER, approval_id=approval.pk, now=NOW),
        lambda: update_version_line(actor=SALES, line_id=line.pk, quantity=D("7"), on=TODAY),
    )
    approval.refresh_from_db()
    found = fresh(version)
    assert (approval.status, found.status, found.lines.get().quantity) == ("void", "draft", D("7"))
