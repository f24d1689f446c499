"""What is found is opened, what is found no more is mended, what somebody accepted stays accepted until it changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db.models import Q

from counterfoil.matching.exceptions import Finding, Settled, settle
from counterfoil.matching.models import ExceptionStatus, MatchException, MatchKind

pytestmark = pytest.mark.django_db

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
TUESDAY = datetime(2026, 3, 3, 9, tzinfo=UTC)
SHORT = Finding(
    key="short",
    code="quantity",
    expected_leg="statement",
    actual_leg="addition",
    message="712 here, 680 there.",
    expected="712",
    actual="680",
    monthly=Decimal("592.00"),
)
DEAR = replace(SHORT, key="dear", code="unit_cost", expected="4.05", actual="4.50", message="Dearer than agreed.")
KIND = MatchKind.RECONCILIATION


def the(key: str) -> MatchException:
    return MatchException.objects.get(key=key)


def test_what_is_found_is_opened_once() -> None:
    assert settle(KIND, Q(), [SHORT, DEAR], now=MONDAY) == Settled(opened=2, changed=0, mended=0)
    assert settle(KIND, Q(), [SHORT, DEAR], now=TUESDAY) == Settled(0, 0, 0)
    row = the("short")
    assert (row.status, row.found_at, row.monthly) == ("open", MONDAY, Decimal("592"))


def test_other_dollars_of_the_same_difference_change_it() -> None:
    settle(KIND, Q(), [SHORT], now=MONDAY)
    assert settle(KIND, Q(), [replace(SHORT, monthly=Decimal("600"))], now=TUESDAY) == Settled(0, 1, 0)
    assert (the("short").monthly, the("short").found_at) == (Decimal("600"), MONDAY)


def test_what_is_gone_is_mended_and_opens_again_when_it_is_back() -> None:
    settle(KIND, Q(), [SHORT, DEAR], now=MONDAY)
    assert settle(KIND, Q(), [DEAR], now=TUESDAY) == Settled(0, 0, 1)
    assert (the("short").status, the("short").settled_at) == ("mended", TUESDAY)
    assert settle(KIND, Q(), [SHORT, DEAR], now=TUESDAY) == Settled(1, 0, 0)
    assert (the("short").status, the("short").settled_at, the("short").found_at) == ("open", None, TUESDAY)


def test_only_what_was_looked_at_is_mended() -> None:
    settle(KIND, Q(), [SHORT, DEAR], now=MONDAY)
    settle(KIND, Q(code="quantity"), [], now=TUESDAY)
    settle(MatchKind.QUOTE, Q(), [], now=TUESDAY)
    assert (the("short").status, the("dear").status) == ("mended", "open")


def test_what_was_overridden_stays_so_until_a_value_changes() -> None:
    settle(KIND, Q(), [SHORT], now=MONDAY)
    override = {"status": ExceptionStatus.OVERRIDDEN, "settled_at": MONDAY, "override_reason": "Agreed with Contoso."}
    MatchException.objects.update(**override)
    settle(KIND, Q(), [replace(SHORT, monthly=Decimal("1"))], now=TUESDAY)
    assert (the("short").status, the("short").override_reason) == ("overridden", "Agreed with Contoso.")
    assert settle(KIND, Q(), [replace(SHORT, expected="720")], now=TUESDAY) == Settled(1, 0, 0)
    assert (the("short").status, the("short").override_reason, the("short").found_at) == ("open", "", MONDAY)


def test_what_was_overridden_is_mended_when_it_is_gone() -> None:
    settle(KIND, Q(), [SHORT], now=MONDAY)
    MatchException.objects.update(status=ExceptionStatus.OVERRIDDEN, settled_at=MONDAY)
    assert settle(KIND, Q(), [], now=TUESDAY) == Settled(0, 0, 1)


def test_long_names_are_cut() -> None:
    settle(KIND, Q(), [replace(SHORT, expected="x" * 300)], now=MONDAY)
    assert len(the("short").expected) == 200
    assert settle(KIND, Q(), [replace(SHORT, expected="x" * 300)], now=MONDAY) == Settled(0, 0, 0)
