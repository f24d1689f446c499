"""What goes on when the other side has ended, and drafts that are older than what they bill."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.core.test_matching import (
    APRIL,
    BEGAN,
    MARCH,
    MONTHLY,
    TWO_MORE,
    agreed,
    asks,
    bought,
    changed,
    codes,
    found_in,
    invoiced,
    of_change,
    thread_of,
)

from counterfoil.core.calendar import Cycle
from counterfoil.core.matching import InvoiceLeg, QuoteLeg, QuoteThread

D = Decimal
YEAR_END, SECOND_YEAR = date(2027, 2, 28), date(2027, 3, 1)
RENEWED = TWO_MORE._replace(action="renew", quantity=D(25), start=SECOND_YEAR)
LEFT = TWO_MORE._replace(action="cancel", quantity=D(25), start=date(2026, 9, 1))
FEWER = TWO_MORE._replace(action="decrease", start=date(2026, 9, 1))
BY_THE_MONTH = MONTHLY._replace(term="", cycles=None)


def billed_from(day: date, **changes: Any) -> InvoiceLeg:
    """The invoice of a month."""
    end = Cycle.parse("month:1").after(day, 1)
    return invoiced(MONTHLY, period_start=day, service_start=day, service_end=end, **changes)


@pytest.mark.parametrize(
    ("line", "addition", "purchase", "asked", "billed", "found"),
    [
        # The year is over, and its thirteenth month is billed.
        (MONTHLY, {}, {}, (), SECOND_YEAR, [("end_date", "agreement", "28 Feb 2027", "open", "-550.00", "-6600.00")]),
        (MONTHLY, {"ends": date(2027, 4, 30)}, {}, (), SECOND_YEAR,
         [("end_date", "agreement", "28 Feb 2027", "30 Apr 2027", "0.00", "-1103.01")]),  # 61 days
        (MONTHLY, {}, {}, (), date(2027, 2, 1), []),  # its last month
        (MONTHLY, {"ends": YEAR_END}, {}, (), date(2027, 2, 1), []),
        # Renewed by a quote, and bought with that.
        (MONTHLY, {}, {}, (RENEWED,), SECOND_YEAR, []),
        (MONTHLY, {}, {}, (RENEWED,), date(2028, 3, 1),
         [("end_date", "agreement", "29 Feb 2028", "open", "-550.00", "-6600.00")]),
        # By the month: that it was bought for a year is said of its term.
        (BY_THE_MONTH, {}, {}, (), SECOND_YEAR, [("term", "purchase")]),
        (BY_THE_MONTH, {}, {"term": "month:1"}, (), SECOND_YEAR, []),
        (BY_THE_MONTH, {}, {"term": ""}, (), SECOND_YEAR, []),
        (BY_THE_MONTH, {"ends": date(2026, 8, 31)}, {"term": "month:1"}, (), MARCH, []),
        # The customer leaves after half a year; the vendor gets the other half.
        (MONTHLY, {"ends": date(2026, 8, 31)}, {}, (LEFT,), MARCH,
         [("end_date", "purchase", "31 Aug 2026", "28 Feb 2027", "0.00", "2677.81")]),  # 181 days of 450.00 a month
        # Two of them leave: the vendor gets 181 days of 36.00 a month for nobody.
        (MONTHLY, {"quantity": D(23)}, {}, (FEWER,), MARCH,
         [("quantity", "purchase", "23", "25", "0.00", "214.22")]),
        (MONTHLY, {"quantity": D(23)}, {"quantity": D(23)}, (FEWER,), MARCH, []),
        (MONTHLY, {"quantity": D(23)}, {"term": "month:1"}, (FEWER,), MARCH, [("term", "purchase")]),
        (MONTHLY, {"quantity": D(23)}, {}, (FEWER._replace(start=SECOND_YEAR),), MARCH, []),  # the year is over
        # Given back before its first day: nothing is billed, and all of it is bought.
        (MONTHLY, {"ends": date(2026, 2, 28)}, {}, (LEFT._replace(start=MARCH),), None,
         [("end_date", "purchase", "28 Feb 2026", "28 Feb 2027", "0.00", "5400.00")]),
        # Ended by hand: that alone is said.
        (MONTHLY, {"ends": date(2026, 8, 31)}, {}, (), MARCH, [("end_date", "agreement")]),
    ],
)  # fmt: skip
def test_what_goes_on_beyond_its_end(
    line: QuoteLeg,
    addition: dict[str, Any],
    purchase: dict[str, Any],
    asked: tuple[QuoteLeg, ...],
    billed: date | None,
    found: list[tuple[str, ...]],
) -> None:
    now = addition.get("quantity", D(25))
    history = [changed(line, each.start or MARCH, int(now), each.id) for each in asked if each.action == "decrease"]
    thread = QuoteThread(
        line,
        agreements=(agreed(line, **addition),),
        changes=(BEGAN, *history) if history else (),
        asked=tuple(asks(each) for each in asked),
        purchases=(bought(line, **{"term": "year:1", "billing_cycle": "month:1", **purchase}),),
        invoices=() if billed is None else (billed_from(billed),),
    )
    rows = [
        (each.code, each.actual_leg, each.expected, each.actual, str(each.monthly), str(each.over_term))
        for each in found_in(thread)
    ]
    assert [row[: len(wanted)] for row, wanted in zip(rows, found, strict=True)] == found


def test_more_of_what_runs_is_bought_no_longer_than_that_is_billed() -> None:
    two = (bought(TWO_MORE, term="year:1", end=YEAR_END),)
    grown = (BEGAN, changed(MONTHLY, APRIL, 27, origin=2))
    thread = of_change(TWO_MORE, *grown, also=(LEFT,), ends=date(2026, 8, 31), cancelled=date(2026, 8, 31))
    (found,) = found_in(replace(thread, purchases=two))
    assert (found.code, found.actual_leg, found.expected, found.actual) == (
        "end_date", "purchase", "31 Aug 2026", "28 Feb 2027",
    )  # fmt: skip
    assert found.over_term == D("214.22")  # 181 days of 36.00 a month
    ends_with_its_agreement = of_change(TWO_MORE, *grown, ends=date(2026, 8, 31))
    assert found_in(replace(ends_with_its_agreement, purchases=two)) == []


def test_the_successor_of_an_agreement_renews_and_is_bought_anew() -> None:
    first = agreed(MONTHLY, ends=YEAR_END)
    second = agreed(MONTHLY, id=12, agreement_id=11, label="AGR-0002", start=SECOND_YEAR)
    year = bought(MONTHLY, status="sent")
    thread = thread_of(
        MONTHLY,
        agreements=(first, second),
        purchases=(year,),
        invoices=(billed_from(date(2027, 2, 1)), billed_from(SECOND_YEAR, id=42, addition_id=12)),
    )
    (found,) = found_in(thread)
    assert (found.code, found.actual_leg, found.expected, found.actual) == (
        "missing_purchase", "purchase", "another term", "28 Feb 2027",
    )  # fmt: skip
    assert (found.monthly, found.over_term) == (D("450.00"), D("5400.00"))
    again = bought(MONTHLY, id=32, label="PO-0004", start=SECOND_YEAR)
    assert found_in(replace(thread, purchases=(year, again))) == []


def test_a_term_that_was_renewed_and_not_bought_anew() -> None:
    line = RENEWED._replace(converted="agreement")
    thread = of_change(line, BEGAN, changed(MONTHLY, SECOND_YEAR, 25, origin=2), ends=date(2028, 2, 29))
    assert found_in(thread, on=YEAR_END) == []
    (found,) = found_in(thread, on=SECOND_YEAR)
    assert (found.code, found.monthly, found.over_term) == ("missing_purchase", D("450.00"), D("5400.00"))
    assert found_in(replace(thread, purchases=(bought(line, term="year:1"),)), on=SECOND_YEAR) == []
    for change in ({"purchase_item": False}, {"active": False}):
        assert thread.changed is not None
        assert found_in(replace(thread, changed=thread.changed._replace(**change)), on=SECOND_YEAR) == []


def test_a_successor_has_what_there_was_and_all_of_it_is_bought_anew() -> None:
    """Ten, and two more by a change quote: the successor has twelve, and twelve are bought for it."""
    first, second = (
        agreed(MONTHLY, quantity=D(27), ends=YEAR_END),
        agreed(MONTHLY, id=12, label="AGR-0002", quantity=D(27), start=SECOND_YEAR),
    )
    again = bought(MONTHLY, id=32, label="PO-0004", start=SECOND_YEAR, quantity=D(27))
    thread = QuoteThread(
        MONTHLY,
        agreements=(first, second),
        changes=(BEGAN, changed(MONTHLY, APRIL, 27, origin=2)),
        asked=(asks(TWO_MORE),),
        purchases=(bought(MONTHLY), again),
    )
    assert found_in(thread) == []
    (found,) = found_in(replace(thread, purchases=(bought(MONTHLY), again._replace(quantity=D(25)))))
    assert (found.code, found.actual_leg, found.expected, found.actual, found.monthly) == (
        "quantity", "purchase", "27", "25", D("-36.00"),
    )  # fmt: skip


def test_more_for_a_month_may_have_been_bought_before() -> None:
    line = TWO_MORE._replace(term="month:1", cycles=None)
    thread = of_change(line, BEGAN, changed(MONTHLY, APRIL, 27, origin=2))
    for quantity, expected in ((1, []), (2, []), (3, [("quantity", "purchase")])):
        assert codes(found_in(replace(thread, purchases=(bought(line, quantity=D(quantity)),)))) == expected


@pytest.mark.parametrize(
    ("addition", "days", "actual", "over_term"),
    [
        ({}, "", "", ""),
        ({"ends": date(2026, 3, 31)}, "", "", ""),
        ({"ends": date(2026, 3, 10)}, "1 Mar 2026 to 10 Mar 2026", "1 Mar 2026 to 31 Mar 2026", "-372.58"),
        ({"ends": date(2026, 2, 28)}, "none", "1 Mar 2026 to 31 Mar 2026", "-550.00"),
        ({"start": date(2026, 3, 10)}, "10 Mar 2026 to 31 Mar 2026", "1 Mar 2026 to 31 Mar 2026", "-159.68"),
        ({"start": date(2026, 4, 1)}, "none", "1 Mar 2026 to 31 Mar 2026", "-550.00"),
        ({"ends": date(2026, 3, 10), "in_whole_periods": True}, "", "", ""),
        ({"ends": date(2026, 2, 28), "in_whole_periods": True}, "none", "1 Mar 2026 to 31 Mar 2026", "-550.00"),
    ],
)
def test_a_draft_older_than_what_it_bills(addition: dict[str, Any], days: str, actual: str, over_term: str) -> None:
    """Of 550.00 for thirty-one days."""
    line = BY_THE_MONTH._replace(start=None)
    draft = billed_from(MARCH)
    thread = QuoteThread(line, agreements=(agreed(line, **addition),), invoices=(draft,))
    found = [
        (each.expected, each.actual, str(each.over_term)) for each in found_in(thread) if each.code == "service_days"
    ]
    assert found == ([(days, actual, over_term)] if days else [])
    assert "service_days" not in [
        each.code for each in found_in(replace(thread, invoices=(draft._replace(closed=True),)))
    ]


def test_a_closed_invoice_is_caught_up_on() -> None:
    """Two more from the first of March on, accepted when March was billed: the next run bills them."""
    line = MONTHLY._replace(start=date(2026, 2, 1))
    march, april = billed_from(MARCH), billed_from(APRIL, id=42, quantity=D(27))
    thread = QuoteThread(
        line,
        agreements=(agreed(line, quantity=D(27)),),
        changes=(changed(line, date(2026, 2, 1), 25), changed(line, MARCH, 27, origin=2)),
        asked=(asks(TWO_MORE, start=MARCH),),
        purchases=(bought(line),),
        invoices=(march._replace(closed=True), april),
    )
    assert found_in(thread) == []
    (found,) = found_in(replace(thread, invoices=(march, april)))  # a draft is made anew
    assert (found.code, found.expected, found.actual, found.line_id) == ("quantity", "27", "25", 41)


BY_HAND, CLOSED = {"priced_by_hand": True}, {"closed": True}


@pytest.mark.parametrize(
    ("line", "price", "found"),
    [
        (BY_HAND, 20, ("50.00", "600.00")),
        (BY_HAND, 24, ("-50.00", "-600.00")),
        (BY_HAND, 22, None),
        (BY_HAND | CLOSED, 20, ("50.00", "600.00")),
        (BY_HAND | CLOSED, 24, ("-50.00", "-600.00")),
        (BY_HAND | CLOSED, 22, None),
        (BY_HAND | CLOSED | {"whole": False}, 20, None),  # a part of a month
        (BY_HAND | CLOSED | {"regular": False}, 20, None),  # what was caught up on
        ({}, 20, ("50.00", "600.00")),
        (CLOSED, 20, None),  # the engine's: the agreement has changed since
        (CLOSED, 24, None),
    ],
)
def test_a_price_that_was_entered_by_hand(line: dict[str, Any], price: int, found: tuple[str, str] | None) -> None:
    """Twenty-five at 22.00 for a month of twelve."""
    invoice = billed_from(MARCH, unit_price=D(price), **line)
    thread = QuoteThread(MONTHLY, agreements=(agreed(MONTHLY),), purchases=(bought(MONTHLY),), invoices=(invoice,))
    expected = [("unit_price", "invoice", "22.00", f"{price}.00", *found, 41)] if found else []
    assert [
        (each.code, each.actual_leg, each.expected, each.actual, str(each.monthly), str(each.over_term), each.line_id)
        for each in found_in(thread)
    ] == expected


def test_the_quantity_of_a_closed_line_is_caught_up_on_whoever_priced_it() -> None:
    march = billed_from(MARCH, quantity=D(24), closed=True, priced_by_hand=True)
    thread = QuoteThread(MONTHLY, agreements=(agreed(MONTHLY),), purchases=(bought(MONTHLY),), invoices=(march,))
    assert found_in(thread) == []


def test_a_price_by_hand_is_settled_when_billing_looks_at_its_period_again() -> None:
    """Two more from the middle of March on: the next invoice bills what March comes to, less what was billed."""
    march = billed_from(MARCH, unit_price=D(20), closed=True, priced_by_hand=True)
    rest = billed_from(MARCH, id=42, quantity=D(1), unit_price=D("73.87"), regular=False)
    thread = QuoteThread(MONTHLY, agreements=(agreed(MONTHLY),), purchases=(bought(MONTHLY),), invoices=(march, rest))
    assert found_in(thread) == []
    other = billed_from(APRIL, id=42, quantity=D(1), unit_price=D("73.87"), regular=False)
    for lines in ((march, other), (march, rest._replace(id=40)), (march, rest._replace(addition_id=12))):
        assert ("unit_price", "invoice") in codes(found_in(replace(thread, invoices=lines)))


def test_a_change_quote_for_the_first_day_changes_what_it_begins_with() -> None:
    fewer = asks(FEWER, start=MARCH)
    thread = QuoteThread(
        MONTHLY,
        agreements=(agreed(MONTHLY, quantity=D(23)),),
        changes=(changed(MONTHLY, MARCH, 23, origin=2),),
        asked=(fewer,),
    )
    assert found_in(thread) == []
    for quantity, expected in ((23, []), (24, [("quantity", "purchase")])):
        order = bought(MONTHLY, quantity=D(quantity))
        assert codes(found_in(replace(thread, purchases=(order,)))) == expected
    (found,) = found_in(replace(thread, asked=()))  # by hand
    assert (found.code, found.expected, found.actual) == ("quantity", "25", "23")


def test_a_renewal_that_the_customer_cancels_before_it_begins() -> None:
    gone = {"ends": date(2026, 8, 31), "cancelled": date(2026, 8, 31)}
    asked = (asks(RENEWED), asks(LEFT._replace(id=5)))
    assert found_in(QuoteThread(MONTHLY, agreements=(agreed(MONTHLY, **gone),), asked=asked)) == []
    thread = QuoteThread(RENEWED._replace(converted="agreement"), changed=agreed(MONTHLY, **gone), asked=asked)
    assert found_in(thread) == []
    (found,) = found_in(replace(thread, asked=asked[:1]))  # by hand, and so not to go on
    assert found.code == "missing_agreement"


def test_what_never_ran_says_nothing_beside_its_replacement() -> None:
    wrong = agreed(MONTHLY, quantity=D(52), ends=date(2026, 2, 28), cancelled=date(2026, 2, 28))
    right = agreed(MONTHLY, id=12, label="AGR-0001 again")
    assert found_in(QuoteThread(MONTHLY, agreements=(wrong, right))) == []
    later = right._replace(start=date(2026, 3, 15))  # other than quoted, and nothing else
    assert codes(found_in(QuoteThread(MONTHLY, agreements=(wrong, later)))) == [("start_date", "agreement")]
    before = wrong._replace(start=date(2026, 3, 15), ends=date(2026, 3, 14), cancelled=date(2026, 3, 14))
    assert found_in(QuoteThread(MONTHLY, agreements=(before, right))) == []
    sent = (bought(MONTHLY, status="sent"),)
    alone = QuoteThread(MONTHLY, agreements=(wrong._replace(quantity=D(25)),), purchases=sent)
    assert codes(found_in(alone, on=date(2026, 6, 1))) == [("end_date", "agreement")]
