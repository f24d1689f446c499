"""The tables of the page on quotes are what is reckoned."""

from __future__ import annotations

from decimal import Decimal

from tests.docs.test_tables import table

from counterfoil.core.quoting import Discount, Picks, QuotedLine, QuotedSection, price_quote
from counterfoil.core.states import allowed, words

PAGE = "quoting.md"
amount = Decimal


def test_discounts_are_taken_one_after_another() -> None:
    for row in table(PAGE, "line %"):
        line, section, quote = (Discount("percent", amount(row[f"{name} %"])) for name in ("line", "section", "quote"))
        (priced,) = price_quote(
            [QuotedLine(1, amount(row["quantity"]), amount(row["list price"]), discount=line, section=1)],
            [QuotedSection(1, section)],
            quote,
        ).lines
        assert (priced.unit_price, priced.amount, priced.discount_amount) == tuple(
            amount(row[name]) for name in ("unit price", "amount", "taken off")
        )


def test_a_discount_by_amount_is_shared_out() -> None:
    rows = table(PAGE, "discounted line")
    lines = [
        QuotedLine(
            key, Decimal(1), amount(row["list"]), billing_cycle="month:1" if row["how often"] == "monthly" else ""
        )
        for key, row in enumerate(rows)
    ]
    priced = price_quote(lines, discount=Discount("amount", Decimal(10))).lines
    assert [(done.discount_amount, done.amount) for done in priced] == [
        (amount(row["part"]), amount(row["net"])) for row in rows
    ]


def test_totals() -> None:
    for row in table(PAGE, "billed"):
        totals = price_quote(
            [
                QuotedLine(
                    1, amount(row["quantity"]), amount(row["price"]), amount(row["cost"]), billing_cycle=row["billed"],
                    term=row["term"],
                )
            ]
        ).totals  # fmt: skip
        assert [totals.one_time.price, totals.monthly.price, totals.yearly.price, totals.term.price] == [
            amount(row[name]) for name in ("one-time", "monthly", "yearly", "over the term")
        ]


def test_what_the_customer_picks() -> None:
    lines = [
        QuotedLine(1, Decimal(1), Decimal(100)),
        QuotedLine(2, Decimal(1), Decimal(30), optional=True, selected=False),
        QuotedLine(3, Decimal(1), Decimal(50), billing_cycle="month:1", choice_group="Backup"),
        QuotedLine(4, Decimal(1), Decimal(80), billing_cycle="month:1", choice_group="Backup", selected=False),
    ]
    keys = {"Option": 2, "Backup A": 3, "Backup B": 4}
    for row in table(PAGE, "taken"):
        picks = Picks(frozenset(keys[name] for name in row["taken"].split(", ")))
        totals = price_quote(lines, picks=picks).totals
        assert (totals.one_time.price, totals.monthly.price) == (amount(row["once"]), amount(row["a month"]))


def test_the_life_of_a_version() -> None:
    said = {(row["from"], to) for row in table(PAGE, "from") for to in row["to"].split(", ")}
    assert said == {(words(old), words(new)) for old, new in allowed("quote_version")}
