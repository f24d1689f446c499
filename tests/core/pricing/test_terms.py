"""Terms and billing cycles that go together."""

from __future__ import annotations

from datetime import date

import pytest

from counterfoil.core.errors import DomainError
from counterfoil.core.pricing.terms import (
    cycles_in,
    ensure_whole_cycles,
    read_frequency,
    read_length,
    term_words,
)


@pytest.mark.parametrize(
    ("term", "cycle", "count", "words"),
    [
        ("year:1", "month:1", 12, "1 year, billed monthly"),
        ("year:1", "year:1", 1, "1 year, prepaid"),
        ("month:12", "year:1", 1, "1 year, prepaid"),
        ("year:3", "year:1", 3, "3 years, billed yearly"),
        ("year:3", "month:3", 12, "3 years, billed quarterly"),
        ("month:1", "month:1", 1, "1 month, billed monthly"),
        ("week:4", "day:7", 4, "4 weeks, billed every 7 days"),
    ],
)
def test_a_term_is_so_many_cycles(term: str, cycle: str, count: int, words: str) -> None:
    assert cycles_in(term, cycle) == count
    assert term_words(term, cycle) == words
    ensure_whole_cycles(term, cycle)


@pytest.mark.parametrize(("term", "cycle"), [("year:1", "month:5"), ("month:1", "year:1"), ("month:1", "week:1")])
def test_a_term_that_is_no_whole_number_of_cycles_is_refused(term: str, cycle: str) -> None:
    with pytest.raises(DomainError, match="not a whole number") as refused:
        ensure_whole_cycles(term, cycle)
    assert refused.value.field == "billing_cycle"


def test_any_term_and_no_cycle_say_so() -> None:
    assert term_words("", "month:1") == "billed monthly"
    assert term_words("year:3", "") == "3 years, paid once"
    assert term_words("", "") == "once"


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("P1Y", "year:1"),
        ("P1M", "month:1"),
        ("P3Y", "year:3"),
        ("1 Year", "year:1"),
        ("12 months", "year:1"),
        ("18-month", "month:18"),
        ("Annual", "year:1"),
        ("Triennial", "year:3"),
        ("monthly", "month:1"),
        ("month:3", "month:3"),
        ("OneTime", ""),
        ("", ""),
    ],
)
def test_terms_as_price_lists_write_them(written: str, code: str) -> None:
    assert read_length(written, "term") == code


def test_upfront_is_the_term_itself() -> None:
    assert read_frequency("Upfront", "year:3", "billing") == "year:3"
    assert read_frequency("Monthly", "year:3", "billing") == "month:1"
    for nonsense in ("soon", "P0Y", "-1 year"):
        with pytest.raises(DomainError):
            read_length(nonsense, "term")


@pytest.mark.parametrize(
    ("term", "billing_cycle", "words"),
    [
        ("year:3", "year:3", "3 years, prepaid"),
        ("year:1", "month:12", "1 year, prepaid"),
        ("year:1", "month:1", "1 year, billed monthly"),
        ("year:3", "year:1", "3 years, billed yearly"),
        ("month:1", "month:1", "1 month, billed monthly"),
        ("", "month:3", "billed quarterly"),
        ("year:3", "", "3 years, paid once"),
        ("month:18", "month:5", "18 months, billed every 5 months"),
        ("", "", "once"),
    ],
)
def test_terms_read_as_people_say_them(term: str, billing_cycle: str, words: str) -> None:
    assert term_words(term, billing_cycle) == words


def test_terms_say_from_when_and_a_co_termed_one_until_when() -> None:
    start, end = date(2026, 3, 1), date(2028, 10, 14)
    assert term_words("year:3", "year:3", start) == "3 years, prepaid, from 1 Mar 2026"
    assert term_words("year:1", "month:1", start, end) == "1 year, billed monthly, from 1 Mar 2026 to 14 Oct 2028"
    assert term_words("", "", start) == "once, from 1 Mar 2026"
    with pytest.raises(DomainError, match="billing cycle"):
        term_words("3 years", "")
