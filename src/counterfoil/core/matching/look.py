"""What a look at a thread collects, and how values are compared on any of its billed legs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from counterfoil.core.calendar import Cycle
from counterfoil.core.matching import said
from counterfoil.core.matching.catalogue import what_to_do
from counterfoil.core.matching.dollars import for_days, in_cycle, months_of, over_time, quoted_cycle, quoted_months
from counterfoil.core.matching.legs import LEGS, AgreementLeg, Difference, InvoiceLeg, OrderLeg, QuoteLeg
from counterfoil.core.matching.tolerance import Measure, Tolerance, Tolerances
from counterfoil.core.money import ZERO, round_money

_NOTHING: Final = Decimal(0)


class Look:
    """One look at a thread: what differs is collected here."""

    __slots__ = ("found", "quote", "tolerances")

    def __init__(self, quote: QuoteLeg, tolerances: Tolerances) -> None:
        self.quote, self.tolerances = quote, tolerances
        self.found: list[Difference] = []

    def tolerance(self, measure: Measure, vendor_id: int | None = None) -> Tolerance:
        """The tolerance of a measure that holds for the line."""
        return self.tolerances.of(measure, vendor_id, self.quote.category_id, self.quote.company_id)

    def add(
        self,
        code: str,
        leg: str,
        where: str,
        expected: str,
        actual: str,
        message: str,
        dollars: tuple[Decimal, Decimal] = (ZERO, ZERO),
        line_id: int | None = None,
        expected_leg: str = "quote",
    ) -> None:
        """Note a difference on the document ``where``."""
        self.found.append(
            Difference(
                code, expected_leg, leg, expected, actual, message, what_to_do(code, where), *dollars, line_id=line_id
            )
        )


def compare_product(look: Look, leg: str, line: AgreementLeg | OrderLeg | InvoiceLeg) -> None:
    """Products are the same or they are not."""
    quote = look.quote
    if line.product_id != quote.product_id and line.product_id is not None:
        text = f"{quote.label} quotes {quote.product}; {line.label} has {line.product}."
        look.add("product", leg, line.label, quote.product, line.product, text, line_id=line.id)


def compare_quantity(
    look: Look, leg: str, label: str, line_id: int | None, expected: Decimal, actual: Decimal, of: str = "quote"
) -> None:
    """Fewer on a billed leg are not billed; more are billed beside the quote."""
    if actual == expected or look.tolerance("quantity").covers(expected, actual):
        return
    quote = look.quote
    text = f"{_source(look, of)} {said.number(expected)} {quote.product}; {label} bills {said.number(actual)}."
    dollars = over_time((expected - actual) * quote.unit_price, quote)
    look.add("quantity", leg, label, said.number(expected), said.number(actual), text, dollars, line_id, of)


def compare_price(
    look: Look,
    leg: str,
    label: str,
    line_id: int | None,
    quantity: Decimal,
    expected: Decimal,
    actual: Decimal,
    cycle: str,
    of: str = "quote",
) -> None:
    """``actual`` is for one ``cycle``; it is held against ``expected`` for the quoted one."""
    if actual == expected and (not cycle or cycle == look.quote.billing_cycle):
        return
    quote = look.quote
    here = in_cycle(actual, cycle, quoted_cycle(quote))
    if here == expected or look.tolerance("unit_price").covers(expected, here, quantity):
        return
    text = f"{_source(look, of)} {quote.product} at {said.price(expected)}; {label} bills {said.price(here)}."
    dollars = over_time((expected - here) * quantity, quote)
    look.add("unit_price", leg, label, said.price(expected), said.price(here), text, dollars, line_id, of)


def _source(look: Look, leg: str) -> str:
    return f"{look.quote.label} quotes" if leg == "quote" else f"The {LEGS[leg].lower()} has"


def compare_start(look: Look, leg: str, label: str, line_id: int, actual: date | None) -> None:
    """A billed leg that begins later than quoted is not billed for the days between."""
    quote = look.quote
    if quote.start is None or actual is None or actual == quote.start or days_match(look, quote.start, actual):
        return
    text = f"{quote.label} begins on {said.day(quote.start)}; {label} on {said.day(actual)}."
    amount = for_days(quote.unit_price * quote.quantity, quoted_cycle(quote), (actual - quote.start).days)
    look.add(
        "start_date", leg, label, said.day(quote.start), said.day(actual), text, (ZERO, amount), line_id
    )  # fmt: skip


def days_match(look: Look, expected: date, actual: date, vendor_id: int | None = None) -> bool:
    """Whether two days are as near as the tolerance allows; a percentage of a date means nothing."""
    tolerance = look.tolerance("days", vendor_id)
    return abs((actual - expected).days) <= (tolerance.amount or _NOTHING)


def compare_frequency(
    look: Look, leg: str, label: str, line_id: int, cycle: str, unit_price: Decimal, quantity: Decimal
) -> None:
    """How often it is billed.

    The dollars are those of the first bill where the money is the same; where it is the quoted price in another rhythm,
    which is no other price besides, they are what this comes to.
    """
    quote = look.quote
    wanted = quoted_cycle(quote)
    if not cycle or cycle == wanted or (wanted and months_of(cycle) == months_of(wanted)):
        return
    if not wanted and leg != "order":
        return  # an agreement may bill once as well
    expected, actual = said.frequency(quote.term, quote.billing_cycle), said.frequency("", cycle)
    dollars = ZERO, round_money(quote.quantity * quote.unit_price - quantity * unit_price)
    if unit_price == quote.unit_price:
        dollars = over_time((unit_price - in_cycle(unit_price, cycle, wanted)) * quantity, quote)
    text = f"{quote.label} quotes {in_words(quote)}; {label} bills {actual}."
    look.add("billing_frequency", leg, label, expected, actual, text, dollars, line_id)


def in_words(quote: QuoteLeg) -> str:
    """Product, term and billing frequency as quoted."""
    term = f"{said.term(quote.term)} " if quote.term else ""
    return f"{quote.product} {term}{said.frequency(quote.term, quote.billing_cycle)}"


def term_code(quote: QuoteLeg) -> str:
    """The term; of a line that is quoted for a number of cycles, as long as these."""
    if quote.term or not (quote.cycles and quote.billing_cycle):
        return quote.term
    cycle = Cycle.parse(quote.billing_cycle)
    return f"{cycle.unit}:{cycle.count * quote.cycles}"


def same_length(term: str, quote: QuoteLeg) -> bool:
    """Whether a term is as long as what the customer is committed to; without commitment, as long as one cycle."""
    months = quoted_months(quote)
    if months is None and quote.billing_cycle:
        months = months_of(quote.billing_cycle)
    return months_of(term) == months
