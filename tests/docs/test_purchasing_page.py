"""The tables of the page on buying are what the rules give."""

from __future__ import annotations

import re
from decimal import Decimal

from tests.docs.test_tables import table

from counterfoil.core.money import extend, format_money
from counterfoil.core.pricing.terms import term_words
from counterfoil.procurement.models import PurchaseOrderLine


def test_terms_as_they_are_shown() -> None:
    rows = table("purchasing.md", "term")
    assert len(rows) == 5
    for row in rows:
        assert term_words(row["term"], row["billing"]) == row["as it is shown"]


def test_when_licences_are_cost() -> None:
    rows = table("purchasing.md", "ten licences")
    assert len(rows) == 2
    for row in rows:
        words = row["ten licences"].split()
        cycle = words[0] if words[1] == "prepaid" else words[2]
        line = PurchaseOrderLine(term=words[0], billing_cycle=cycle, unit_cost=Decimal(words[-1]))
        assert line.billings == int(row["bills"])
        assert (row["receipt"] == "nothing") == line.recurs
        amount = format_money(extend(Decimal(10), line.unit_cost)).removesuffix(".00")
        for cell in (row["receipt"], row["each vendor bill"]):
            assert set(re.findall(r"\d[\d,]*", cell)) <= {amount}
