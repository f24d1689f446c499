"""The tables of the page on reconciliation are what the rules give."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from tests.docs.test_tables import amount, table
from tests.matching.licences import DATED, csv_of, imported, licence
from tests.world import World

from counterfoil.core.money import ZERO
from counterfoil.matching.column_mappings import BUILT_IN, MICROSOFT
from counterfoil.matching.comparing import Ours, Theirs, compare
from counterfoil.matching.names import Directory
from counterfoil.matching.reconciliation import compared_of
from counterfoil.matching.words import cycle_of, term_of

PAGE = "reconciliation.md"


def test_what_is_found() -> None:
    for row in table(PAGE, "vendor has"):
        has, bills = amount(row["vendor has"]), amount(row["we bill"])
        theirs = [Theirs(1, 1, "", has, Fraction("4.05"), 1)] if has else []
        price = Fraction("18.5")
        ours = [Ours(1, 1, "", bills, bills, price, Fraction("4.05"), 1)]
        (found,) = compare(theirs, ours, customers=frozenset({1}))
        said = (row["status"], amount(row["units"]), amount(row["dollars a month"]))
        assert (found.status, found.difference, found.monthly) == said


def test_one_sku_in_two_terms() -> None:
    rows = table(PAGE, "term")
    found = compare(
        [Theirs(1, 1, row["term"], amount(row["vendor seats"]), Fraction(18), 1) for row in rows],
        [
            Ours(1, 1, row["term"], amount(row["our seats"]), ZERO, Fraction(amount(row["price"])), Fraction(18), 1)
            for row in rows
        ],
        customers=frozenset({1}),
    )
    assert {(each.term, each.status, each.monthly) for each in found} == {
        (row["term"], row["status"], amount(row["dollars a month"])) for row in rows
    }


@pytest.mark.django_db
def test_what_the_vendor_has_on_the_last_day(world: World) -> None:
    licence(world)
    for number, row in enumerate(table(PAGE, "charges of March")):
        charges = re.findall(r"(\(?\d+\)?) of (\d+) to (\d+)", row["charges of March"])
        lines = [
            ("Acme Corp", "Business Premium", amount(units), 18, "", f"row {number}", f"2026-03-{int(first):02}",
             f"2026-03-{last}", "")
            for units, first, last in charges
        ]  # fmt: skip
        statement = imported(world, csv_of(DATED, *lines), reference="one and the same")
        total = sum((each.theirs for each in compared_of(statement)), ZERO)
        assert total == amount(row["on 31 Mar"]), row


def test_the_likeness_of_names() -> None:
    directory = Directory()
    for pk, name in enumerate(("Contoso Dental Group, Inc.", "Contoso Legal LLP", "Fabrikam Ltd", "Acme Corp"), 1):
        directory.add(pk, name, name)
    for row in table(PAGE, "the vendor writes"):
        best = directory.suggest(row["the vendor writes"], 1)
        assert [(each.name, str(each.score)) for each in best] == (
            [(row["is likeliest"], row["likeness"])] if row["likeness"] else []
        )


def test_microsofts_columns() -> None:
    said = {row["our field"]: row["Microsoft's column"].replace(" / ", " | ") for row in table(PAGE, "our field")}
    assert said == BUILT_IN[MICROSOFT]


def test_terms_and_cycles_in_words() -> None:
    for row in table(PAGE, "TermAndBillingCycle"):
        words, days = row["TermAndBillingCycle"], int(row["days"]) if row["days"] else None
        assert (term_of(words), cycle_of(words, row["BillingFrequency"], days)) == (row["term"], row["cycle"]), row
