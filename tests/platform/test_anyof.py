"""Lists as one parameter: what is sent is what arrives, whatever stands in it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from counterfoil.companies.models import Company
from counterfoil.platform.anyof import array_of

AWKWARD = [
    "", "NULL", "null", '"', '""', "\\", '\\"', "{a,b}", ",", " ", "  Acme  ", "O'Brien & Sons", "line\nbreak\ttab",
    "100 %", "%s", "Überörtliche Straße", "日本", "\u2028", "'; DROP TABLE x; --",
]  # fmt: skip
TEXTS = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
INSTANTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC))


def returned(values: list[Any], kind: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT unnest(%s::{kind}[])", [array_of(values)])
        return [value for (value,) in cursor.fetchall()]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], "bigint"),
        ([], "text"),
        ([None], "bigint"),
        ([None, None], "text"),
        ([3, -1, None, 2**62], "bigint"),
        ([date(1, 1, 1), None, date(9999, 12, 31)], "date"),
        ([datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC), None], "timestamptz"),
        ([True, None, False], "boolean"),
        ([*AWKWARD, None], "text"),
    ],
)
def test_a_list_arrives_as_it_was_sent(values: list[Any], kind: str) -> None:
    assert returned(values, kind) == values


class Sent(TestCase):
    @given(st.lists(st.none() | TEXTS))
    def test_texts_arrive_as_they_were_sent(self, values: list[str | None]) -> None:
        assert returned(values, "text") == values

    @given(st.lists(st.none() | INSTANTS))
    def test_instants_arrive_as_they_were_sent(self, values: list[datetime | None]) -> None:
        assert returned(values, "timestamptz") == values


@pytest.mark.django_db
def test_an_instant_of_another_zone_is_the_same_instant() -> None:
    from zoneinfo import ZoneInfo

    there = datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("America/Chicago"))
    assert returned([there], "timestamptz") == [there]
    assert returned([there], "timestamptz")[0] - there == timedelta(0)


@pytest.mark.django_db
def test_companies_are_found_by_awkward_names() -> None:
    for number, name in enumerate(filter(str.strip, AWKWARD)):
        Company.objects.create(identifier=f"C{number}", name=name, account_number=f"C{number}")
    wanted = ["O'Brien & Sons", "NULL", '\\"', "nobody"]
    found = Company.objects.filter(name__any=wanted).order_by("name").values_list("name", flat=True)
    assert sorted(found) == sorted(wanted[:-1])
