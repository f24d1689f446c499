"""The tables of the page on pricing are what its rules give."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import cast

import pytest
from tests.docs.test_tables import amount, table

from counterfoil.catalog.commitment_rules import MICROSOFT, USUAL_RULES
from counterfoil.core.money import round_money
from counterfoil.core.pricing import KINDS, Tier, TierKind, TierModel, price_of
from counterfoil.core.pricing.bundle import Component, roll_up
from counterfoil.core.pricing.margin import Method, price_by_rule
from counterfoil.core.pricing.terms import cycles_in, term_words
from counterfoil.core.pricing.uplift import UpliftRow, in_effect, uplifted_price

PAGE = "pricing.md"


def model(row: dict[str, str]) -> TierModel:
    """``100: 0.10; 500: 0.08 + 5; beyond: 0.06``."""
    tiers = []
    for text in row["tiers"].split("; "):
        end, _, price = text.partition(": ")
        unit, _, flat = price.partition(" + ")
        tiers.append(Tier(None if end == "beyond" else Decimal(end), Decimal(unit), Decimal(flat or 0)))
    return TierModel(cast(TierKind, row["model"]), tuple(tiers))


@pytest.mark.parametrize("row", table(PAGE, "term"), ids=lambda row: row["in words"])
def test_terms_and_cycles(row: dict[str, str]) -> None:
    assert cycles_in(row["term"], row["billed"]) == int(row["cycles"])
    assert term_words(row["term"], row["billed"]) == row["in words"]


def test_we_16_the_usual_offers_of_the_rule_that_is_installed() -> None:
    (uplifts,) = (uplifts for fields, uplifts in USUAL_RULES if fields["name"] == MICROSOFT)
    rows = [UpliftRow(row.term, row.billing_cycle, row.percent, row.effective_from) for row in uplifts]
    made = {
        f"{row.term} / {row.billing_cycle}": (row.percent, uplifted_price(Decimal(22), row))
        for row in in_effect(rows, date(2026, 1, 1))
    }
    said = table(PAGE, "offer")
    assert {row["offer"] for row in said} == made.keys()
    for row in said:
        percent, price = made[row["offer"]]
        assert (Decimal(row["uplift %"]), row["made of"], amount(row["price"])) == (percent, price.words, price.price)


def test_every_kind_of_model_is_described() -> None:
    assert [row["kind"] for row in table(PAGE, "kind")] == list(KINDS)


@pytest.mark.parametrize("row", table(PAGE, "model"), ids=lambda row: f"{row['model']} {row['tiers']}")
def test_we_9_prices(row: dict[str, str]) -> None:
    assert price_of(model(row), Decimal(row["quantity"])).amount == amount(row["price"])


def test_we_9_the_explanation() -> None:
    last = table(PAGE, "model")[-1]
    explained = price_of(model(last), Decimal(last["quantity"])).explanation
    assert [row["explanation"] for row in table(PAGE, "seats")] == list(explained)


@pytest.mark.parametrize("row", table(PAGE, "method"), ids=lambda row: row["method"])
def test_breaks(row: dict[str, str]) -> None:
    found = price_by_rule(cast(Method, row["method"]), Decimal(row["value"]), price=Decimal(120), cost=Decimal(80))
    assert (amount(row["price"]), row["in words"]) == (found.price, found.words)


@pytest.mark.parametrize("row", table(PAGE, "bundles"), ids=lambda row: row["bundles"])
def test_bundles(row: dict[str, str]) -> None:
    parts = [
        Component(Decimal(1), Decimal(900), Decimal(700)),
        Component(Decimal(2), Decimal(200), Decimal(150)),
        Component(Decimal(1), Decimal(500), Decimal(400), fixed=True),
    ]
    count = Decimal(row["bundles"])
    rolled = roll_up(parts, count)
    assert (amount(row["price"]), amount(row["cost"])) == (rolled.price, rolled.cost)
    assert amount(row["price of one"]) == round_money(rolled.price / count)
