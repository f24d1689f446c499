"""Canonical JSON: the examples of RFC 8785, and what an amount may not be."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.canonical import LARGEST, canonical_json, sha256_of


def test_strings_as_rfc_8785_section_3_2_2_2_writes_them() -> None:
    written = json.loads(r'{"string": "\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/"}')

    assert canonical_json(written) == '{"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'.encode()


def test_keys_are_ordered_by_utf_16_code_units_as_in_section_3_2_3() -> None:
    written = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    assert list(json.loads(canonical_json(written)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",  # a pair of units from D83D, before FB33
        "Hebrew Letter Dalet With Dagesh",
    ]


def test_literals_and_nesting_as_in_section_3_2_4() -> None:
    assert canonical_json({"literals": [None, True, False], "a": {}, "b": []}) == (
        b'{"a":{},"b":[],"literals":[null,true,false]}'
    )


@pytest.mark.parametrize("value", [0.1, 1e30, Decimal("1.50"), date(2026, 1, 1), {1: "x"}, b"x", LARGEST + 1, "\ud800"])
def test_what_has_no_one_form_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"form|text|exactly|surrogate"):
        canonical_json({"amount": [value]})


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LARGEST, LARGEST)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_it_says_the_same_as_the_value_and_says_it_once(value: Any) -> None:
    written = canonical_json(value)

    assert json.loads(written) == value
    assert canonical_json(json.loads(written)) == written


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), st.integers(0, 9), max_size=6))
def test_the_order_in_which_a_mapping_was_made_plays_no_part(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_the_hash_is_that_of_public_tools() -> None:
    assert sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
