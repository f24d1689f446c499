"""The match by several at once: each difference is one exception, and nothing that changed is forgotten."""

from __future__ import annotations

import pytest
from django.db import transaction
from tests.matching.story import NOW, D, Thread, as_quoted, licence, the_example
from tests.racing import at_once
from tests.world import FINANCE, World, build_world

from counterfoil.matching.commands import match_changed, match_threads
from counterfoil.matching.matching import Matched, drain
from counterfoil.matching.models import MatchException, ThreadToMatch
from counterfoil.platform.audit import broken_links
from counterfoil.platform.models import Hold
from counterfoil.procurement.models import PurchaseOrderLine

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def msp() -> World:
    with transaction.atomic():
        return build_world()


def test_several_workers_match_what_has_changed_once(msp: World) -> None:
    product = licence()
    threads = [as_quoted(msp, product=product) for _ in range(4)]
    PurchaseOrderLine.objects.update(quantity=D(26))

    results = at_once(*[lambda: drain(now=NOW)] * 4)

    assert all(isinstance(result, Matched) for result in results), results
    assert not ThreadToMatch.objects.exists()
    found = MatchException.objects.filter(status="open")
    assert sorted(found.values_list("origin", flat=True)) == sorted(thread.quote.pk for thread in threads)
    assert Hold.objects.filter(released_at=None, label="procurement.purchaseorder").count() == 4


def test_one_thread_matched_by_many_has_each_exception_once(msp: World) -> None:
    thread = the_example(msp)

    def match() -> object:
        return match_threads(actor=FINANCE, origin_ids=[thread.quote.pk], now=NOW)

    results = at_once(*[match] * 4)

    assert any(isinstance(result, Matched) for result in results)
    assert sorted(MatchException.objects.values_list("code", flat=True)) == ["billing_frequency", "term"]
    held = Hold.objects.filter(released_at=None).values_list("label", "object_id", "key")
    assert len(set(held)) == held.count()
    assert not list(broken_links())


def test_what_changes_while_it_is_matched_is_matched_again(msp: World) -> None:
    thread = as_quoted(msp)

    def mend_and_spoil(thread: Thread = thread) -> None:
        for quantity in (26, 25, 27):
            PurchaseOrderLine.objects.filter(pk=thread.purchase.pk).update(quantity=D(quantity))

    at_once(mend_and_spoil, lambda: drain(now=NOW), lambda: drain(now=NOW))
    match_changed(actor=FINANCE, now=NOW)

    (found,) = MatchException.objects.filter(status="open")
    assert (found.code, found.actual) == ("quantity", "27")
