"""What the match has found, on its pages: the list, one exception with its thread, the leak board, held documents."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from tests.accepted import TODAY, accepted, by, convert, m365
from tests.offers import NOW
from tests.web.pages import sign_in, text_of
from tests.world import FINANCE, PROCUREMENT, World

from counterfoil.matching.commands import match_everything
from counterfoil.matching.models import MatchException
from counterfoil.platform.identity import Role
from counterfoil.procurement.commands import PurchaseLine, create_purchase_order
from counterfoil.procurement.models import PurchaseOrder
from counterfoil.procurement.queries import demand

pytestmark = pytest.mark.django_db


@pytest.fixture
def wrong_order(world: World) -> PurchaseOrder:
    """Quoted for three years prepaid, bought for one."""
    convert(accepted(world, [by(m365(world)["three prepaid"], 25)]))
    row = demand(on=TODAY)[0]
    line = PurchaseLine(addition_id=row.addition_id, origin_id=row.origin_id, term="year:1", billing_cycle="year:1")
    order = create_purchase_order(actor=PROCUREMENT, vendor_id=world.ingram.pk, order_date=TODAY, lines=[line])
    match_everything(actor=FINANCE, now=NOW)
    return order


def test_an_exception_shows_the_thread_side_by_side(client: Client, wrong_order: PurchaseOrder) -> None:
    sign_in(client, Role.PROCUREMENT)
    found = MatchException.objects.get(code="term")
    listed = text_of(client.get(reverse("web:match_exceptions"), {"status": "open"}))
    assert "Leaking over the terms" in listed
    assert found.message in listed

    page = client.get(reverse("web:match_exception", args=[found.pk]))
    said = text_of(page)
    assert f"Mend {wrong_order.number}" in said
    assert "3 years" in said
    assert "1 year differs" in said, "the cell that differs says so to those who do not see its colour"


def test_a_held_order_says_why_and_is_released_with_a_reason(client: Client, wrong_order: PurchaseOrder) -> None:
    sign_in(client, Role.PROCUREMENT)
    order_page = reverse("web:purchase_order", args=[wrong_order.pk])
    assert "Held until it is mended or accepted" in text_of(client.get(order_page))

    for found in MatchException.objects.filter(status="open", purchase_order_line__isnull=False):
        url = reverse("web:match_override", args=[found.pk])
        assert client.post(url, {"reason": ""}).status_code == 422
        assert client.post(url, {"reason": "The vendor has no three years any more."}).status_code == 302

    assert "Held until" not in text_of(client.get(order_page))
    again = MatchException.objects.filter(status="overridden").first()
    assert again is not None
    client.post(reverse("web:match_reopen", args=[again.pk]))
    assert "Held until" in text_of(client.get(order_page))


def test_the_match_of_a_document_is_looked_up_when_it_is_asked_for(client: Client, wrong_order: PurchaseOrder) -> None:
    sign_in(client, Role.VIEWER)
    url = reverse("web:document_match", args=["purchase", wrong_order.pk])
    assert url in client.get(reverse("web:purchase_order", args=[wrong_order.pk])).content.decode()
    assert "1 year differs" in text_of(client.get(url))
    assert client.get(reverse("web:document_match", args=["nonsense", 1])).status_code == 404


def test_the_leak_board_counts_dollars(client: Client, wrong_order: PurchaseOrder) -> None:
    sign_in(client, Role.VIEWER)
    found = MatchException.objects.get(code="term")
    said = text_of(client.get(reverse("web:leak_board")))
    assert f"{found.over_term:,.2f}" in said
    assert "Acme Corp" in said
    assert "No leaks found" in text_of(client.get(reverse("web:leak_board"), {"kind": "reconciliation"}))


def test_who_may_not_release_it_is_refused(client: Client, wrong_order: PurchaseOrder) -> None:
    sign_in(client, Role.SALES)
    found = MatchException.objects.get(code="term")
    assert "Accept with a reason" not in text_of(client.get(reverse("web:match_exception", args=[found.pk])))
    answer = client.post(reverse("web:match_override", args=[found.pk]), {"reason": "Because."})
    assert answer.status_code in (403, 422)
    found.refresh_from_db()
    assert found.status == "open"
