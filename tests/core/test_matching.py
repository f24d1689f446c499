"""What differs between the legs of a thread: one change, one exception; none, none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from counterfoil.core.calendar import Cycle
from counterfoil.core.matching import (
    CATALOGUE,
    AgreementLeg,
    AskedLeg,
    BillLeg,
    ChangeLeg,
    Difference,
    InvoiceLeg,
    OrderLeg,
    PurchaseLeg,
    PurchaseThread,
    QuoteLeg,
    QuoteThread,
    ReceiptLeg,
    Tolerance,
    ToleranceRule,
    Tolerances,
    match_purchase,
    match_quote_thread,
)

D = Decimal
MARCH = date(2026, 3, 1)
#: What an installation begins with.
USUAL = Tolerances(
    [
        ToleranceRule("unit_cost", Tolerance(D(2), D(25))),
        ToleranceRule("quantity", Tolerance(None, D(0))),
        ToleranceRule("unit_price", Tolerance(None, D(0))),
    ]
)


def quote(**changes: Any) -> QuoteLeg:
    """Twenty-five licences for three years, prepaid: 792 each, for a cost of 720."""
    leg = QuoteLeg(
        id=1, label="Q-1042", product_id=7, product="M365-BP", product_class="NonInventory", category_id=3,
        company_id=5, quantity=D(25), unit_price=D(792), unit_cost=D(720), term="year:3", billing_cycle="year:3",
        cycles=1, is_usage=False, has_price_model=False, start=MARCH, align_to=None, currency="USD", action="new",
        converted="agreement",
    )  # fmt: skip
    return leg._replace(**changes)


def agreed(line: QuoteLeg, **changes: Any) -> AgreementLeg:
    leg = AgreementLeg(
        origin_id=line.id, id=11, label="AGR-0001", agreement_id=10, product_id=line.product_id, product=line.product,
        quantity=line.quantity, less_included=D(0), unit_price=line.unit_price, billing_option="Billable",
        term=line.term, billing_cycle=line.billing_cycle, in_arrears=False, start=line.start or MARCH, cancelled=None,
        ends=None, active=True, purchase_item=True,
    )  # fmt: skip
    return leg._replace(**changes)


def ordered(line: QuoteLeg, **changes: Any) -> OrderLeg:
    leg = OrderLeg(
        origin_id=line.id, id=21, label="SO-0001", order_id=20, product_id=line.product_id, product=line.product,
        quantity=line.quantity, unit_price=line.unit_price, term=line.term, billing_cycle=line.billing_cycle,
        start=line.start,
    )  # fmt: skip
    return leg._replace(**changes)


def bought(line: QuoteLeg, **changes: Any) -> PurchaseLeg:
    leg = PurchaseLeg(
        origin_id=line.id, id=31, label="PO-0003", purchase_order_id=30, vendor_id=8, product_id=line.product_id,
        product=line.product, product_class=line.product_class, category_id=line.category_id,
        company_id=line.company_id, quantity=line.quantity, unit_cost=line.unit_cost, term=line.term,
        billing_cycle=line.billing_cycle, start=line.start, end=None, status="draft",
    )  # fmt: skip
    return leg._replace(**changes)


def invoiced(line: QuoteLeg, **changes: Any) -> InvoiceLeg:
    start = line.start or MARCH
    end = Cycle.parse(line.billing_cycle).after(start, 1) if line.billing_cycle else None
    leg = InvoiceLeg(
        origin_id=line.id, id=41, label="INV-0009", invoice_id=40, addition_id=11 if line.billing_cycle else None,
        order_line_id=None if line.billing_cycle else 21, product_id=line.product_id, product=line.product,
        quantity=line.quantity, unit_price=line.unit_price, billing_cycle=line.billing_cycle, period_start=start,
        service_start=start, service_end=end, regular=True, whole=bool(line.billing_cycle),
    )  # fmt: skip
    return leg._replace(**changes)


def thread_of(line: QuoteLeg, **legs: Any) -> QuoteThread:
    """All legs as quoted."""
    parts: dict[str, Any] = {"purchases": (bought(line),), "invoices": (invoiced(line),)}
    parts |= {"agreements": (agreed(line),)} if line.billing_cycle else {"orders": (ordered(line),)}
    return QuoteThread(line, **parts | legs)


def found_in(thread: QuoteThread, tolerances: Tolerances = USUAL, on: date = MARCH) -> list[Difference]:
    return list(match_quote_thread(thread, tolerances, on=on))


def codes(found: list[Difference]) -> list[tuple[str, str]]:
    return [(each.code, each.actual_leg) for each in found]


# -- untouched, nothing; changed, exactly that -------------------------------------------------------------------------

RECURRING = st.builds(
    lambda quantity, cents, cost, term, cycle, start: quote(
        quantity=D(quantity), unit_price=D(cents).scaleb(-2), unit_cost=D(cost).scaleb(-2), term=term,
        billing_cycle=cycle if term else "month:1", cycles=None, start=start,
    ),
    st.integers(1, 500), st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from(["", "year:1", "year:3"]),
    st.sampled_from(["month:1", "year:1"]), st.dates(date(2024, 1, 1), date(2030, 1, 1)),
)  # fmt: skip
ONCE = st.builds(
    lambda line, converted: line._replace(term="", billing_cycle="", cycles=None, start=None, converted=converted),
    RECURRING,
    st.just("sales_order"),
)


@given(st.one_of(RECURRING, ONCE))
def test_an_untouched_thread_has_no_exception(line: QuoteLeg) -> None:
    assert found_in(thread_of(line)) == []


def _more(leg: Any) -> Any:
    return leg._replace(quantity=leg.quantity + 1)


def _fewer(leg: Any) -> Any:
    return leg._replace(quantity=leg.quantity / 2)


def _dearer(leg: Any) -> Any:
    return leg._replace(unit_cost=leg.unit_cost * 2 + 100)


def _cheaper(leg: Any) -> Any:
    return leg._replace(unit_price=leg.unit_price / 2)


def _free(leg: Any) -> Any:
    return leg._replace(billing_option="NoCharge")


def _other(leg: Any) -> Any:
    return leg._replace(product_id=8, product="M365-BS")


def _longer(leg: Any) -> Any:
    return leg._replace(term="year:2")


def _rarer(leg: Any) -> Any:
    """In another rhythm, at the number that was quoted."""
    return leg._replace(billing_cycle="year:5")


def _later(leg: Any) -> Any:
    return leg._replace(start=leg.start + timedelta(days=14))


def _shorter(leg: Any) -> Any:
    """Ended by hand, a fortnight after it has begun."""
    return leg._replace(ends=leg.start + timedelta(days=14), cancelled=leg.start + timedelta(days=14))


def _until(leg: Any) -> Any:
    """Bought until another day than the term ends."""
    return leg._replace(end=leg.start + timedelta(days=14))


#: leg, its change, the exception that it gives
CHANGES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("agreements", _more, "quantity"),
    ("agreements", _fewer, "quantity"),
    ("agreements", _cheaper, "unit_price"),
    ("agreements", _free, "unit_price"),
    ("agreements", _other, "product"),
    ("agreements", _longer, "term"),
    ("agreements", _rarer, "billing_frequency"),
    ("agreements", _later, "start_date"),
    ("purchases", _more, "quantity"),
    ("purchases", _fewer, "quantity"),
    ("purchases", _dearer, "unit_cost"),
    ("purchases", _other, "product"),
    ("purchases", _longer, "term"),
    ("purchases", _rarer, "billing_frequency"),
    ("purchases", _later, "start_date"),
    ("invoices", _more, "quantity"),
    ("invoices", _fewer, "quantity"),
    ("invoices", _cheaper, "unit_price"),
    ("invoices", _other, "product"),
]
#: The same of what has a term, which ends.
OF_A_TERM: list[tuple[str, Callable[[Any], Any], str]] = [
    ("agreements", _shorter, "end_date"),
    ("purchases", _until, "end_date"),
]
#: The same of what is sold once.
OF_GOODS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("orders", _more, "quantity"),
    ("orders", _fewer, "quantity"),
    ("orders", _cheaper, "unit_price"),
    ("orders", _other, "product"),
    ("orders", _longer, "term"),
    ("orders", _rarer, "billing_frequency"),
    ("purchases", _more, "quantity"),
    ("purchases", _dearer, "unit_cost"),
    ("purchases", _other, "product"),
    ("purchases", _longer, "term"),
    ("invoices", _more, "quantity"),
    ("invoices", _cheaper, "unit_price"),
    ("invoices", _other, "product"),
]
LEG = {"agreements": "agreement", "orders": "order", "purchases": "purchase", "invoices": "invoice"}


def named(changes: list[tuple[str, Callable[[Any], Any], str]]) -> pytest.MarkDecorator:
    """The rows of a table of changes, by leg and change."""
    ids = [f"{leg}{change.__name__} {code}" for leg, change, code in changes]
    return pytest.mark.parametrize(("leg", "change", "code"), changes, ids=ids)


def alone_is_found(line: QuoteLeg, leg: str, change: Callable[[Any], Any], code: str) -> None:
    """Nothing before the change, and after it exactly what it is."""
    thread = thread_of(line)
    legs = {"invoices": thread.invoices if leg in ("purchases", "invoices") else ()}  # as the line before them
    assert found_in(thread_of(line, **legs)) == []
    legs[leg] = (change(getattr(thread, leg)[0]),)
    assert codes(found_in(thread_of(line, **legs))) == [(code, LEG[leg])]


@named(CHANGES)
@given(line=RECURRING)
def test_one_change_gives_exactly_its_exception(
    line: QuoteLeg, leg: str, change: Callable[[Any], Any], code: str
) -> None:
    alone_is_found(line, leg, change, code)


@named(OF_A_TERM)
@given(line=RECURRING.filter(lambda line: bool(line.term)))
def test_one_change_of_the_end_of_a_term_gives_exactly_its_exception(
    line: QuoteLeg, leg: str, change: Callable[[Any], Any], code: str
) -> None:
    alone_is_found(line, leg, change, code)


@named(OF_GOODS)
@given(line=ONCE)
def test_one_change_of_what_is_sold_once_gives_exactly_its_exception(
    line: QuoteLeg, leg: str, change: Callable[[Any], Any], code: str
) -> None:
    alone_is_found(line, leg, change, code)


@given(line=RECURRING)
def test_a_leg_twice_gives_exactly_a_duplicate(line: QuoteLeg) -> None:
    for leg in ("agreements", "purchases", "invoices"):
        (once,) = getattr(thread_of(line), leg)
        twice = (once, once._replace(id=99, label="AGAIN"))
        assert codes(found_in(thread_of(line, **{leg: twice}))) == [("duplicate", LEG[leg])]


@given(line=ONCE)
def test_a_line_of_goods_twice_gives_exactly_a_duplicate(line: QuoteLeg) -> None:
    for leg in ("orders", "purchases"):
        (once,) = getattr(thread_of(line), leg)
        twice = (once, once._replace(id=99, label="AGAIN"))
        assert codes(found_in(thread_of(line, **{leg: twice}))) == [("duplicate", LEG[leg])]


@given(line=RECURRING)
def test_a_leg_that_is_missing_gives_exactly_that(line: QuoteLeg) -> None:
    late = (line.start or MARCH) + timedelta(days=36)
    sent = (bought(line, status="sent"),)
    rows: list[tuple[dict[str, Any], str, date]] = [
        ({"agreements": (), "purchases": (), "invoices": ()}, "missing_agreement", MARCH),
        ({"purchases": ()}, "missing_purchase", MARCH),
        ({"invoices": (), "purchases": sent}, "missing_invoice", late),
    ]
    for legs, code, on in rows:
        assert [each.code for each in found_in(thread_of(line, **legs), on=on)] == [code]


@given(line=ONCE)
def test_goods_that_stand_on_no_order_give_exactly_that(line: QuoteLeg) -> None:
    assert codes(found_in(thread_of(line, orders=(), purchases=(), invoices=()))) == [("missing_order", "order")]


@given(line=st.one_of(RECURRING, ONCE), units=st.sets(st.integers(1, 99), min_size=1, max_size=5))
def test_other_units_or_another_currency_give_exactly_that(line: QuoteLeg, units: set[int]) -> None:
    serials = frozenset(f"S{unit:02}" for unit in units)
    stray = serials ^ {min(serials), "S00"}
    assert found_in(thread_of(line, received_serials=serials, shipped_serials=serials)) == []
    found = found_in(thread_of(line, received_serials=serials, shipped_serials=stray))
    assert codes(found) == [("serials", "shipment")]
    abroad = line._replace(currency="EUR")
    assert {each.code for each in found_in(thread_of(abroad))} == {"currency"}


@given(line=ONCE, extra=st.integers(1, 100))
def test_goods_bought_beyond_the_quote_are_said(line: QuoteLeg, extra: int) -> None:
    thread = thread_of(line, purchases=(bought(line, quantity=line.quantity + extra),))
    assert codes(found_in(thread)) == [("quantity", "purchase")]
    (found,) = found_in(thread)
    assert (found.monthly, found.over_term) == (0, extra * line.unit_cost)


@given(line=ONCE)
def test_the_rest_of_goods_may_still_be_bought(line: QuoteLeg) -> None:
    parts = (bought(line, quantity=line.quantity / 2),)
    assert found_in(thread_of(line, purchases=parts)) == []


@given(line=RECURRING, cost=st.integers(1, 10**6))
def test_a_cost_within_the_tolerance_matches(line: QuoteLeg, cost: int) -> None:
    here = D(cost).scaleb(-2)
    found = found_in(thread_of(line, purchases=(bought(line, unit_cost=here),)))
    line_off = abs(here - line.unit_cost) * line.quantity
    is_off = line_off > max(D(25), line.unit_cost * line.quantity * D(2) / 100)
    assert codes(found) == ([("unit_cost", "purchase")] if is_off else [])


# -- the example -------------------------------------------------------------------------------------------------------


def test_we_29_three_years_prepaid_bought_for_a_year_billed_monthly() -> None:
    line = quote()
    thread = thread_of(
        line,
        agreements=(agreed(line, billing_cycle="month:1", unit_price=D(22), term=""),),
        purchases=(bought(line, term="year:1", billing_cycle="year:1", unit_cost=D(240)),),
        invoices=(invoiced(line, billing_cycle="month:1", unit_price=D(22)),),
    )
    frequency, term = found_in(thread)
    assert (frequency.code, frequency.actual_leg, frequency.expected, frequency.actual) == (
        "billing_frequency", "agreement", "prepaid", "monthly",
    )  # fmt: skip
    assert frequency.over_term == D("19250.00")  # 25 x 792 = 19,800 now, and not 25 x 22 = 550
    assert frequency.message == "Q-1042 quotes M365-BP 3 years prepaid; AGR-0001 bills monthly."
    assert (term.code, term.actual_leg, term.expected, term.actual) == ("term", "purchase", "3 years", "1 year")
    assert term.over_term == D("12000.00")  # two years of 25 x 240, which nobody has promised
    assert CATALOGUE["term"].holds_purchase_order
    assert CATALOGUE["billing_frequency"].holds_invoice


def test_a_prorated_part_of_a_period_has_its_own_price() -> None:
    line = quote(term="year:1", billing_cycle="month:1", unit_price=D(22), start=date(2026, 3, 15))
    part = invoiced(line, unit_price=D("12.06451613"), period_start=MARCH, whole=False)
    assert found_in(thread_of(line, invoices=(part,))) == []


def test_an_invoice_by_hand_is_held_against_the_quote_itself() -> None:
    line = quote()
    by_hand = invoiced(line, addition_id=None, billing_cycle="month:1", unit_price=D(22))
    assert codes(found_in(thread_of(line, invoices=(by_hand,)))) == [("billing_frequency", "invoice")]


def test_a_monthly_licence_may_be_bought_for_a_month() -> None:
    line = quote(term="", billing_cycle="month:1", cycles=None)
    assert found_in(thread_of(line, purchases=(bought(line, term="month:1"),))) == []


def test_a_year_is_bought_for_what_the_customer_may_leave_any_month() -> None:
    line = quote(term="", billing_cycle="month:1", cycles=None, unit_cost=D(20))
    (found,) = found_in(thread_of(line, purchases=(bought(line, term="year:1"),)))
    assert (found.code, found.over_term) == ("term", D("5500.00"))  # eleven months of 25 x 20 beyond the first


def test_an_annual_term_billed_monthly_by_the_vendor_is_another_frequency() -> None:
    line = quote(term="year:1", billing_cycle="year:1")
    (found,) = found_in(thread_of(line, purchases=(bought(line, billing_cycle="month:1", unit_cost=D(60)),)))
    assert (found.code, found.expected, found.actual) == ("billing_frequency", "prepaid", "monthly")


def test_a_co_term_that_the_purchase_lost_is_an_end_date() -> None:
    line = quote(term="year:1", billing_cycle="year:1", align_to=date(2026, 10, 1))
    (found,) = found_in(thread_of(line))
    assert (found.code, found.expected, found.actual) == ("end_date", "30 Sep 2026", "28 Feb 2027")
    assert found.over_term == D("7446.58")  # 151 days of 25 x 720 a year
    assert found_in(thread_of(line, purchases=(bought(line, end=date(2026, 9, 30)),))) == []


# -- what was changed since --------------------------------------------------------------------------------------------


def changed(line: QuoteLeg, day: date, quantity: int, origin: int | None = None, price: str = "22") -> ChangeLeg:
    return ChangeLeg(11, origin, day, D(quantity), D(0), D(price))


def asks(line: QuoteLeg, **changes: Any) -> AskedLeg:
    """What an accepted line of a change quote asks of the addition."""
    leg = AskedLeg(
        addition_id=11, id=line.id, action=line.action, quantity=line.quantity, unit_price=line.unit_price,
        start=line.start or MARCH, term=line.term, billing_cycle=line.billing_cycle, cycles=line.cycles,
        align_to=line.align_to, apart=False,
    )  # fmt: skip
    return leg._replace(**changes)


MONTHLY = quote(term="year:1", billing_cycle="month:1", cycles=12, unit_price=D(22), unit_cost=D(18))


def test_a_change_by_hand_is_said_and_billing_follows_it() -> None:
    line = MONTHLY
    thread = thread_of(
        line,
        agreements=(agreed(line, quantity=D(27)),),
        changes=(changed(line, MARCH, 25), changed(line, date(2026, 4, 1), 27)),
        purchases=(bought(line), bought(line, id=32, label="PO-0004", quantity=D(2), start=date(2026, 4, 1))),
        invoices=(invoiced(line), invoiced(line, id=42, quantity=D(27), period_start=date(2026, 4, 1),
                                           service_start=date(2026, 4, 1))),
    )  # fmt: skip
    (found,) = found_in(thread)
    assert (found.code, found.expected, found.actual) == ("changed_by_hand", "25 at 22.00", "27 at 22.00")
    assert (found.monthly, found.over_term) == (D("-44.00"), D("-528.00"))  # we bill more than was quoted


def test_a_change_by_a_change_quote_is_no_exception() -> None:
    line = MONTHLY
    thread = thread_of(
        line,
        agreements=(agreed(line, quantity=D(27)),),
        changes=(changed(line, MARCH, 25), changed(line, date(2026, 4, 1), 27, origin=2)),
    )
    assert found_in(thread) == []


APRIL = date(2026, 4, 1)
TWO_MORE = MONTHLY._replace(id=2, label="Q-1050", action="increase", quantity=D(2), start=APRIL, addition_id=11)
THREE_MORE = TWO_MORE._replace(id=3, label="Q-1051", quantity=D(3))
TWO_FEWER = TWO_MORE._replace(id=4, label="Q-1052", action="decrease")
ALL_GONE = TWO_MORE._replace(id=5, label="Q-1053", action="cancel", quantity=D(25))
BEGAN = changed(MONTHLY, MARCH, 25)


def of_change(line: QuoteLeg, *history: ChangeLeg, also: tuple[QuoteLeg, ...] = (), **addition: Any) -> QuoteThread:
    """The thread of a line of a change quote: the addition that it changes, as it is by its history."""
    now = history[-1].quantity if history else D(25)
    there = agreed(MONTHLY, **{"quantity": now, **addition})
    return QuoteThread(line, changed=there, history=history, asked=tuple(asks(each) for each in sorted({line, *also})))


def test_a_change_quote_makes_the_change_it_says() -> None:
    assert found_in(of_change(TWO_MORE, BEGAN, changed(MONTHLY, APRIL, 27, origin=2))) == []
    (found,) = found_in(of_change(TWO_MORE, BEGAN, changed(MONTHLY, APRIL, 26, origin=2)))
    assert (found.code, found.expected, found.actual, found.monthly) == ("quantity", "2", "1", D("22.00"))
    (found,) = found_in(of_change(TWO_FEWER, BEGAN, changed(MONTHLY, APRIL, 24, origin=4)))
    assert (found.code, found.expected, found.actual, found.monthly) == ("quantity", "-2", "-1", D("-22.00"))
    (found,) = found_in(of_change(TWO_MORE, BEGAN, changed(MONTHLY, APRIL, 27, origin=2, price="20")))
    assert (found.code, found.expected, found.actual) == ("unit_price", "22.00", "20.00")


def test_a_change_that_was_taken_back_is_missed() -> None:
    (found,) = found_in(of_change(TWO_MORE))
    assert (found.code, found.expected, found.actual, found.monthly) == ("quantity", "2", "0", D("44.00"))


def test_two_change_quotes_for_one_day_are_held_against_what_both_ask() -> None:
    """One change a day keeps one origin: that of the quote that was accepted last."""
    both = changed(MONTHLY, APRIL, 30, origin=3)
    assert found_in(of_change(TWO_MORE, BEGAN, both, also=(THREE_MORE,))) == []
    assert found_in(of_change(THREE_MORE, BEGAN, both, also=(TWO_MORE,))) == []
    (found,) = found_in(of_change(THREE_MORE, BEGAN, both._replace(quantity=D(29)), also=(TWO_MORE,)))
    assert (found.code, found.expected, found.actual, found.monthly) == ("quantity", "5", "4", D("22.00"))
    more_and_fewer = changed(MONTHLY, APRIL, 25, origin=4)
    assert found_in(of_change(TWO_FEWER, BEGAN, more_and_fewer, also=(TWO_MORE,))) == []


def of_addition(*history: ChangeLeg, asked: tuple[QuoteLeg, ...] = (), **addition: Any) -> QuoteThread:
    """The thread that the addition came of."""
    now = history[-1].quantity if history else D(25)
    there = agreed(MONTHLY, **{"quantity": now, **addition})
    return QuoteThread(
        MONTHLY, agreements=(there,), changes=history, asked=tuple(asks(each) for each in asked),
    )  # fmt: skip


def test_what_a_person_changed_on_the_day_of_a_quote_is_told_from_what_the_quote_asks() -> None:
    by_hand = changed(MONTHLY, APRIL, 28)  # two were quoted, and three more are billed
    (found,) = found_in(of_addition(BEGAN, by_hand, asked=(TWO_MORE,)))
    assert (found.code, found.expected, found.actual) == ("changed_by_hand", "27 at 22.00", "28 at 22.00")
    assert found_in(of_change(TWO_MORE, BEGAN, by_hand, origin_id=1)) == []


def test_a_quote_may_bring_back_what_was_changed_by_hand() -> None:
    history = (BEGAN, changed(MONTHLY, date(2026, 3, 15), 30), changed(MONTHLY, APRIL, 27, origin=2))
    assert found_in(of_addition(*history, asked=(TWO_MORE,))) == []
    assert found_in(of_change(TWO_MORE, *history)) == []
    upon = (*history[:2], changed(MONTHLY, APRIL, 32, origin=2))
    (found,) = found_in(of_addition(*upon, asked=(TWO_MORE,)))
    assert (found.code, found.expected, found.actual) == ("changed_by_hand", "27 at 22.00", "32 at 22.00")
    assert found_in(of_change(TWO_MORE, *upon)) == []


# -- how long it goes on -----------------------------------------------------------------------------------------------


def test_what_is_cancelled_by_hand_ends_otherwise_than_quoted() -> None:
    last = date(2026, 8, 31)
    (found,) = found_in(of_addition(ends=last, cancelled=last))
    assert (found.code, found.actual_leg, found.expected, found.actual) == (
        "end_date", "agreement", "28 Feb 2027", "31 Aug 2026",
    )  # fmt: skip
    assert found.over_term == D("3272.88")  # 181 days of 25 x 22.00 a month, of 365 / 12 days each
    (found,) = found_in(of_addition(ends=date(2026, 2, 28), cancelled=date(2026, 2, 28)))  # never in force
    assert (found.code, found.over_term) == ("end_date", D("6600.00"))


def test_what_a_quote_cancels_ends_as_it_says() -> None:
    last = date(2026, 3, 31)
    assert found_in(of_addition(ends=last, cancelled=last, asked=(ALL_GONE,))) == []
    assert found_in(of_change(ALL_GONE, ends=last, cancelled=last)) == []
    (found,) = found_in(of_addition(ends=MARCH, cancelled=MARCH, asked=(ALL_GONE,)))
    assert (found.code, found.expected, found.actual) == ("end_date", "31 Mar 2026", "1 Mar 2026")
    (found,) = found_in(of_change(ALL_GONE))  # somebody took it back
    assert (found.code, found.expected, found.actual, found.monthly) == (
        "end_date", "31 Mar 2026", "open", D("-550.00"),
    )  # fmt: skip


def test_some_taken_away_is_no_cancellation() -> None:
    last = date(2026, 3, 31)
    (found,) = found_in(of_addition(ends=last, cancelled=last, asked=(TWO_FEWER,)))
    assert (found.code, found.expected) == ("end_date", "28 Feb 2027")


def test_what_is_open_may_end_on_any_day_and_what_is_renewed_ends_later() -> None:
    monthly = quote(term="month:1", billing_cycle="month:1", unit_price=D(22), cycles=None)
    ended = agreed(monthly, ends=date(2026, 5, 31), cancelled=date(2026, 5, 31))
    assert found_in(QuoteThread(monthly, agreements=(ended,))) == []
    again = TWO_MORE._replace(action="renew", quantity=D(25), start=date(2027, 3, 1))
    through = date(2028, 2, 29)
    assert found_in(of_addition(BEGAN, ends=through, cancelled=through, asked=(again,))) == []
    (found,) = found_in(of_addition(BEGAN, ends=date(2027, 6, 30), asked=(again,)))
    assert (found.code, found.expected, found.actual) == ("end_date", "29 Feb 2028", "30 Jun 2027")


# -- twice, and not at all ---------------------------------------------------------------------------------------------


def test_a_line_bought_twice() -> None:
    again = bought(MONTHLY, id=32, label="PO-0004")
    (found,) = found_in(thread_of(MONTHLY, purchases=(bought(MONTHLY), again)))
    assert (found.code, found.line_id, found.monthly, found.over_term) == ("duplicate", 32, D("450.00"), D("5400.00"))


def test_a_monthly_licence_bought_anew_each_month_is_no_duplicate() -> None:
    line = quote(term="", billing_cycle="month:1", cycles=None)
    april = bought(line, id=32, term="month:1", start=date(2026, 4, 1))
    found = found_in(thread_of(line._replace(start=None), purchases=(bought(line, term="month:1"), april)))
    assert found == []


def test_a_period_billed_twice() -> None:
    (found,) = found_in(thread_of(MONTHLY, invoices=(invoiced(MONTHLY), invoiced(MONTHLY, id=42, label="INV-0010"))))
    assert (found.code, found.line_id) == ("duplicate", 42)


@pytest.mark.parametrize(
    ("line", "legs", "code", "over_term"),
    [
        (quote(), {}, "missing_agreement", "19800.00"),
        (quote(converted="sales_order", term="", billing_cycle="", cycles=None), {}, "missing_order", "19800.00"),
    ],
    ids=["addition gone", "order line gone"],
)
def test_what_nothing_has_come_of(line: QuoteLeg, legs: dict[str, Any], code: str, over_term: str) -> None:
    (found,) = found_in(QuoteThread(line, **legs))
    assert (found.code, found.over_term) == (code, D(over_term))


def test_billed_and_never_bought() -> None:
    (found,) = found_in(thread_of(MONTHLY, purchases=()))
    assert (found.code, found.monthly, found.over_term) == ("missing_purchase", D("450.00"), D("5400.00"))


def test_bought_and_not_billed_for_weeks() -> None:
    thread = thread_of(MONTHLY, purchases=(bought(MONTHLY, status="sent"),), invoices=())
    assert found_in(thread, on=date(2026, 4, 5)) == []
    (found,) = found_in(thread, on=date(2026, 4, 6))
    assert (found.code, found.monthly, found.over_term) == ("missing_invoice", D("550.00"), D("1100.00"))


def test_units_of_another_purchase_were_shipped() -> None:
    line = quote(product_class="Inventory", converted="sales_order", term="", billing_cycle="", cycles=None)
    thread = thread_of(line, received_serials=frozenset({"A1", "A2"}), shipped_serials=frozenset({"A1", "B7"}))
    (found,) = found_in(thread)
    assert (found.code, found.expected, found.actual) == ("serials", "A1, A2", "B7")


def test_a_quote_in_another_currency() -> None:
    """Who bills holds the invoice, who buys the purchase order: one exception for each."""
    found = found_in(thread_of(quote(currency="EUR")))
    assert [(each.code, each.actual_leg, each.line_id) for each in found] == [
        ("currency", "agreement", 11), ("currency", "purchase", 31),
    ]  # fmt: skip


# -- tolerances --------------------------------------------------------------------------------------------------------

TEN_PERCENT, THIRTY = Tolerance(percent=D(10)), Tolerance(amount=D(30))


@pytest.mark.parametrize(
    ("tolerance", "expected", "actual", "matches"),
    [
        (TEN_PERCENT, 100, 90, True),
        (TEN_PERCENT, 100, 95, True),
        (TEN_PERCENT, 100, 105, True),
        (TEN_PERCENT, 100, 110, True),
        (TEN_PERCENT, 100, 80, False),
        (TEN_PERCENT, 100, 120, False),
        (THIRTY, 200, 170, True),
        (THIRTY, 200, 180, True),
        (THIRTY, 200, 220, True),
        (THIRTY, 200, 230, True),
        (THIRTY, 200, 150, False),
        (THIRTY, 200, 260, False),
        (Tolerance(D(10), D(30)), 200, 230, True),
        (Tolerance(D(10), D(30)), 200, 231, False),
        (Tolerance(D(10), D(30), narrower=True), 200, 220, True),
        (Tolerance(D(10), D(30), narrower=True), 200, 221, False),
    ],
)
def test_we_10_match_tolerance(tolerance: Tolerance, expected: int, actual: int, matches: bool) -> None:
    assert tolerance.covers(D(expected), D(actual)) is matches


def test_the_most_particular_tolerance_holds() -> None:
    def rule(amount: int, **of: int) -> ToleranceRule:
        return ToleranceRule("quantity", Tolerance(amount=D(amount)), **of)

    tolerances = Tolerances(
        [
            rule(1), rule(2, category_id=3), rule(3, company_id=5), rule(4, vendor_id=8),
            rule(5, company_id=5, category_id=3), rule(6, vendor_id=9, category_id=3),
        ]
    )  # fmt: skip
    rows = [
        ((None, None, None), 1), ((None, 3, None), 2), ((None, 4, 5), 3), ((8, 4, 5), 4), ((8, 3, 5), 5),
        ((9, 3, 5), 6), ((9, 4, 6), 1),
    ]  # fmt: skip
    assert [tolerances.of("quantity", *of).amount for of, _ in rows] == [D(amount) for _, amount in rows]
    assert tolerances.of("days", 8, 3, 5) == Tolerance(amount=D(0))


# -- purchase order, receipt, vendor bill ------------------------------------------------------------------------------

HARDWARE = bought(
    quote(product="SRV-9", quantity=D(100), unit_cost=D(10), term="", billing_cycle="", start=None),
    product_class="Inventory",
)


def received(quantity: int, **changes: Any) -> ReceiptLeg:
    return ReceiptLeg(31, 51, "RCV-0002", HARDWARE.product_id, HARDWARE.product, D(quantity))._replace(**changes)


def billed(quantity: int, cost: str = "10", **changes: Any) -> BillLeg:
    amount = D(quantity) * D(cost)
    return BillLeg(31, 61, "VB-0004", 60, date(2026, 3, 20), D(quantity), D(cost), amount)._replace(**changes)


def test_we_10_ordered_received_and_billed_alike_passes() -> None:
    assert match_purchase(PurchaseThread(HARDWARE, (received(100),), (billed(100),)), USUAL) == ()


def test_we_10_forty_seven_of_fifty_arrived_and_all_are_billed() -> None:
    line = HARDWARE._replace(quantity=D(50))
    thread = PurchaseThread(line, (received(47),), (billed(50),))
    (found,) = match_purchase(thread, USUAL)
    assert (found.code, found.expected, found.actual, found.over_term) == ("not_received", "47", "50", D("30.00"))
    ten = Tolerances([ToleranceRule("quantity", Tolerance(percent=D(10)))])
    assert match_purchase(thread, ten) == ()


PURCHASES: list[tuple[str, tuple[ReceiptLeg, ...], tuple[BillLeg, ...], str, str]] = [
    ("dearer", (received(100),), (billed(100, "10.50"),), "unit_cost", "50.00"),
    ("too much arrived", (received(103),), (billed(100),), "over_received", "30.00"),
    ("too much billed", (received(100),), (billed(104),), "over_invoiced", "40.00"),
    ("nothing arrived", (), (billed(100),), "not_received", "1000.00"),
    ("billed twice", (received(100),), (billed(100), billed(100, id=62, bill_id=63)), "duplicate", "1000.00"),
    ("wrong sum", (received(100),), (billed(100, amount=D(1100)),), "amount", "100.00"),
    ("another product", (received(100, product_id=9, product="SRV-8"),), (), "product", "1000.00"),
]


@pytest.mark.parametrize(("receipts", "bills", "code", "dollars"), [row[1:] for row in PURCHASES],
                         ids=[row[0] for row in PURCHASES])  # fmt: skip
def test_one_deviation_of_a_purchase_gives_exactly_its_exception(
    receipts: tuple[ReceiptLeg, ...], bills: tuple[BillLeg, ...], code: str, dollars: str
) -> None:
    (found,) = match_purchase(PurchaseThread(HARDWARE, receipts, bills), USUAL)
    assert (found.code, found.over_term) == (code, D(dollars))


BILLS: list[tuple[str, Callable[[BillLeg], tuple[BillLeg, ...]]]] = [
    ("unit_cost", lambda bill: (bill._replace(unit_cost=bill.unit_cost * 26, amount=bill.amount * 26),)),
    ("over_invoiced", lambda bill: (bill._replace(quantity=bill.quantity + 1, amount=bill.amount + bill.unit_cost),)),
    ("amount", lambda bill: (bill._replace(amount=bill.amount + 1),)),
    ("duplicate", lambda bill: (bill, bill._replace(id=62, bill_id=63, label="VB-0005"))),
]  # fmt: skip
RECEIPTS: list[tuple[str, Callable[[ReceiptLeg], tuple[ReceiptLeg, ...]]]] = [
    ("over_received", lambda receipt: (receipt._replace(quantity=receipt.quantity + 1),)),
    ("not_received", lambda receipt: (receipt._replace(quantity=receipt.quantity - 1),)),
    ("not_received", lambda receipt: ()),
    ("product", lambda receipt: (receipt._replace(product_id=9, product="SRV-8"),)),
]


@given(line=ONCE, quantity=st.integers(1, 500), cents=st.integers(300, 10**6))
def test_any_single_change_of_a_bill_or_receipt_gives_exactly_its_exception(
    line: QuoteLeg, quantity: int, cents: int
) -> None:
    purchase = bought(line, quantity=D(quantity), unit_cost=D(cents).scaleb(-2))
    receipt = received(quantity, product_id=purchase.product_id, product=purchase.product)
    bill = billed(quantity, str(purchase.unit_cost))

    def found(receipts: tuple[ReceiptLeg, ...], bills: tuple[BillLeg, ...]) -> list[str]:
        return [each.code for each in match_purchase(PurchaseThread(purchase, receipts, bills), USUAL)]

    assert found((receipt,), (bill,)) == []
    for code, change in BILLS:
        assert found((receipt,), change(bill)) == [code]
    for code, deviation in RECEIPTS:
        assert found(deviation(receipt), (bill,)) == [code]


def test_services_are_matched_two_ways() -> None:
    line = HARDWARE._replace(product_class="Service")
    assert match_purchase(PurchaseThread(line, (), (billed(100),)), USUAL) == ()


def test_a_licence_is_billed_anew_each_month() -> None:
    line = HARDWARE._replace(product_class="NonInventory", term="year:1", billing_cycle="month:1")
    months = tuple(billed(100, id=60 + n, bill_id=70 + n, date=date(2026, n, 5)) for n in range(1, 13))
    assert match_purchase(PurchaseThread(line, (), months), USUAL) == ()
    twice = (months[0], months[0]._replace(id=99, bill_id=98))
    (found,) = match_purchase(PurchaseThread(line, (), twice), USUAL)
    assert found.code == "duplicate"


@pytest.mark.parametrize(
    ("term", "cycle", "days"),
    [
        ("year:1", "month:1", [date(2026, 3, 1), date(2026, 3, 8)]),
        ("year:1", "month:1", [date(2026, 2, 25), date(2026, 3, 31), date(2026, 4, 3)]),
        ("year:3", "year:3", [date(2026, 3, 1), date(2026, 4, 1)]),
        ("year:1", "", [date(2026, 3, 1), date(2027, 1, 15)]),
    ],
)
def test_a_licence_billed_once_more_than_it_has_periods_is_found(term: str, cycle: str, days: list[date]) -> None:
    line = HARDWARE._replace(product_class="NonInventory", term=term, billing_cycle=cycle, start=date(2026, 3, 1))
    bills = tuple(billed(100, id=60 + n, bill_id=70 + n, date=day) for n, day in enumerate(days))
    (found,) = match_purchase(PurchaseThread(line, (), bills), USUAL)
    assert (found.code, found.line_id, found.over_term) == ("duplicate", bills[-1].id, D(1000))


@pytest.mark.parametrize(
    "days",
    [
        [date(2026, 2, 27), date(2026, 3, 31), date(2026, 4, 30)],  # early
        [date(2026, 3, 22), date(2026, 4, 20), date(2026, 5, 22)],  # as it comes
        [date(2026, 4, 1), date(2026, 4, 30), date(2026, 6, 1)],  # in arrears
    ],
)
def test_bills_of_a_licence_come_when_they_come(days: list[date]) -> None:
    line = HARDWARE._replace(
        product_class="NonInventory", term="year:1", billing_cycle="month:1", start=date(2026, 3, 1)
    )
    bills = tuple(billed(100, id=60 + n, bill_id=70 + n, date=day) for n, day in enumerate(days))
    assert match_purchase(PurchaseThread(line, (), bills), USUAL) == ()


def test_a_bill_for_what_nobody_has_ordered() -> None:
    (found,) = match_purchase(PurchaseThread(None, (), (billed(3),)), USUAL)
    assert (found.code, found.over_term) == ("missing_purchase", D("30.00"))
