"""Customers who accept at the same moment, and staff who take the quote away meanwhile: one acceptance or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.offers import NOW, TODAY, VISITOR, Offer, make_offer, signature
from tests.racing import at_once, refusals
from tests.world import SALES, World, build_world

from counterfoil.agreements.models import Agreement
from counterfoil.flows.acceptance import accept_quote
from counterfoil.orders.models import SalesOrder
from counterfoil.platform.audit import broken_links
from counterfoil.quotes import codes
from counterfoil.quotes.acceptance import Accepted, decline_quote
from counterfoil.quotes.links import create_link, customer_of, revoke_link
from counterfoil.quotes.models import Acceptance, QuoteVersion, VersionStatus
from counterfoil.quotes.versions import new_version

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def offer() -> Offer:
    msp: World = build_world()
    return make_offer(msp)


def accepting(offer: Offer, **changes: Any) -> Callable[[], Accepted]:
    asked = offer.asked(offer.picks("premium", seats=12), **changes)
    return lambda: accept_quote(**asked)


def made_once() -> bool:
    """One acceptance with what follows from it, and a whole audit trail."""
    counts = {model.objects.count() for model in (Acceptance, Agreement, SalesOrder)}
    return counts == {1} and not list(broken_links())


def test_of_several_people_one_accepts_and_the_others_read_who_did(offer: Offer) -> None:
    names = ("Jane Doe", "John Roe", "Ann Poe")
    results = at_once(*(accepting(offer, signature=signature(name=name, value=name)) for name in names))

    (done,) = (result for result in results if isinstance(result, Accepted))
    assert not done.repeated
    assert [refusal.code for refusal in refusals(results)] == ["already_accepted"] * 2
    assert all(done.acceptance.name in refusal.message for refusal in refusals(results))
    assert made_once()


def test_a_double_click_gives_the_same_acceptance_twice(offer: Offer) -> None:
    first, second = at_once(accepting(offer), accepting(offer))

    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert {first.repeated, second.repeated} == {True, False}
    assert bytes(first.acceptance.pdf) == bytes(second.acceptance.pdf)
    assert made_once()


def test_by_two_links_of_the_same_quote(offer: Offer) -> None:
    other = create_link(actor=SALES, quote_id=offer.version.quote_id, now=NOW, name="John Roe", email="j@acme.example")
    by_other = accepting(offer, link_id=other.pk, actor=customer_of(other), signature=signature(name="John Roe"))
    results = at_once(accepting(offer), by_other)

    assert [refusal.code for refusal in refusals(results)] == ["already_accepted"]
    assert made_once()


def test_accepted_or_declined_but_not_both(offer: Offer) -> None:
    def decline() -> QuoteVersion:
        return decline_quote(
            actor=customer_of(offer.link), link_id=offer.link.pk, version_id=offer.version.pk, reason="Too dear.",
            visitor=VISITOR, now=NOW,
        )  # fmt: skip

    results = at_once(accepting(offer), decline)

    assert len(refusals(results)) == 1
    status = QuoteVersion.objects.get(pk=offer.version.pk).status
    assert (status == VersionStatus.ACCEPTED) == made_once()
    assert (status == VersionStatus.DECLINED) == (not Acceptance.objects.exists())


def test_accepted_or_replaced_by_a_new_version_but_not_both(offer: Offer) -> None:
    def replace() -> QuoteVersion:
        return new_version(actor=SALES, version_id=offer.version.pk, on=TODAY, now=NOW)

    results = at_once(accepting(offer), replace)

    assert len(refusals(results)) == 1
    accepted = Acceptance.objects.exists()
    assert accepted == (QuoteVersion.objects.count() == 1)
    assert accepted == made_once()


def test_accepted_before_the_link_was_revoked_or_not_at_all(offer: Offer) -> None:
    accept = accepting(offer)
    results = at_once(accept, lambda: revoke_link(actor=SALES, link_id=offer.link.pk, now=NOW))

    assert {refusal.code for refusal in refusals(results)} <= {"link_revoked"}
    assert Acceptance.objects.exists() == (not refusals(results))
    assert Acceptance.objects.exists() == made_once()


def test_many_guesses_at_once_are_all_counted(offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codes.mail, "ensure_configured", lambda: None)
    mailed: list[str] = []
    monkeypatch.setattr(codes, "send_to_customer", lambda to, subject, body: mailed.append(subject[:6]))
    common = {
        "actor": customer_of(offer.link), "link_id": offer.link.pk, "version_id": offer.version.pk, "visitor": VISITOR,
        "now": NOW,
    }  # fmt: skip
    codes.send_code(email="", **common)
    wrong = [f"{(int(mailed[0]) + n) % 1_000_000:06d}" for n in range(1, 7)]

    results = at_once(*(lambda code=code: codes.try_code(code=code, **common) for code in wrong))  # type: ignore[misc]

    assert results == [False] * 6
    assert offer.link.codes.get().attempts == codes.ATTEMPTS
    assert not codes.try_code(code=mailed[0], **common)
