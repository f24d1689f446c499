"""Vendors' quantities against what is billed: found in dollars a month, and mended in one action."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agreements.records import bill, due, month, only
from tests.matching.licences import (
    DATED,
    NOW,
    SIMPLE,
    billed,
    csv_of,
    differences,
    imported,
    licence,
    reconciled,
)
from tests.world import FINANCE, PROCUREMENT, SALES, VIEWER, World

from counterfoil.agreements.commands import AdditionInput, add_addition, change_addition
from counterfoil.catalog.models import Offer
from counterfoil.core.errors import DomainError
from counterfoil.matching.commands import set_hold_rule
from counterfoil.matching.comparing import Ours, Theirs, compare
from counterfoil.matching.fixing import fix_line
from counterfoil.matching.models import MatchException
from counterfoil.matching.reconciliation import reconcile_statement
from counterfoil.platform.holds import ensure_not_held

D = Decimal
APR_1 = date(2026, 4, 1)


def charge(
    quantity: object, kind: str = "cycleCharge", *days: str, amount: object = "", **given: str
) -> tuple[object, ...]:
    """A dated line of Acme's Business Premium in March."""
    start, end = days or ("2026-03-01", "2026-03-31")
    money = amount if amount != "" else D(str(quantity)) * 18
    return ("Acme Corp", "Business Premium", quantity, 18, money, kind, start, end, given.get("term", ""))


def the(code: str) -> MatchException:
    return MatchException.objects.get(code=code)


# -- comparing ---------------------------------------------------------------------------------------------------------

amounts = st.integers(0, 50).map(Decimal)


@given(st.lists(amounts, max_size=4), st.lists(amounts, max_size=4))
def test_a_difference_is_found_exactly_when_the_totals_differ(theirs: list[Decimal], ours: list[Decimal]) -> None:
    found = compare(
        [Theirs(1, 1, "", quantity, Fraction(18), index) for index, quantity in enumerate(theirs)],
        [Ours(1, 1, "", each, each, Fraction(22), Fraction(18), index) for index, each in enumerate(ours)],
        customers=frozenset({1}),
    )
    difference = sum(theirs, D(0)) - sum(ours, D(0))
    assert [row.monthly for row in found if row.status != "exact"] == (
        [] if not difference else [difference * (22 if ours else 18)]
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("theirs", "ours", "status", "monthly"),
    [
        (680, 680, None, "0"),
        (712, 680, "under_billed", "704"),  # 32 x 22.00
        (660, 680, "over_billed", "-440"),
        (0, 680, "orphaned", "-14960"),
        (712, 0, "unbilled", "15664"),
    ],
)
def test_what_differs_is_worth_our_price_a_month(
    world: World, theirs: int, ours: int, status: str | None, monthly: str
) -> None:
    product, other = licence(world), licence(world, "Exchange")
    agreement = billed(world, other, 5)
    if ours:
        add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(product.pk, D(ours)))
    rows = [("Acme Corp", "Business Premium", theirs, 18)] if theirs else []
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Exchange", 5, 4), *rows))
    expected = [(status, str(theirs), str(ours), D(monthly))] if status else []
    assert differences() == expected


@pytest.mark.django_db
def test_we30_712_endpoints_and_680_billed(world: World) -> None:
    product = licence(world, "Endpoint security", price=D("18.50"))
    billed(world, product, 680)
    result = reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Endpoint security", 712, "4.05")))
    found = the("under_billed")
    assert (result.counts, result.unbilled) == ({"under_billed": 1}, D("592.00"))
    assert D(found.expected) - D(found.actual) == 32
    assert found.message == (
        "Acme Corp has 712 Endpoint security at Ingram Micro, and 680 are billed: 32 are not, 592.00 a month."
    )
    assert (found.company, found.vendor, found.product) == (world.acme, world.ingram, product)
    assert (found.monthly, found.over_term) == (D(592), D(592))  # month by month


@pytest.mark.django_db
def test_we31_one_sku_in_two_terms_is_two_lines(world: World) -> None:
    product = licence(world)
    agreement = billed(world, product, 25, term="year:1", unit_price=D("22.00"))
    monthly = AdditionInput(product.pk, D(10), D("26.40"), term="month:1")
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=monthly)
    rows = [charge(25, term="P1Y"), charge(10, term="P1M")]
    assert reconciled(world, csv_of(DATED, *rows)).counts == {"exact": 2}
    rows = [charge(27, term="P1Y"), charge(8, term="P1M")]
    reconciled(world, csv_of(DATED, *rows))
    assert differences() == [("over_billed", "8", "10", D("-52.80")), ("under_billed", "27", "25", D("44.00"))]


@pytest.mark.django_db
def test_terms_are_not_told_apart_where_one_side_does_not_name_them(world: World) -> None:
    billed(world, licence(world), 35)
    assert reconciled(world, csv_of(DATED, charge(25, term="P1Y"), charge(10, term="P1M"))).counts == {"exact": 1}


@pytest.mark.django_db
def test_a_price_of_a_year_counts_a_twelfth_and_the_term_its_months(world: World) -> None:
    product = licence(world)
    agreement = billed(world, product, 10, unit_price=D("240.00"), committed_through=date(2026, 12, 31))
    agreement.billing_cycle = "year:1"
    agreement.save()
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 13, 18)))
    found = the("under_billed")
    assert (found.monthly, found.over_term) == (D(60), D(600))  # 3 x 20.00, March to December


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([charge(10)], 10),
        ([charge(10), charge(5, "addQuantity", "2026-03-12", "2026-03-31")], 15),
        (  # the whole is credited and charged anew
            [
                charge(10),
                charge(-10, "addQuantity", "2026-03-12", "2026-03-31"),
                charge(15, "addQuantity", "2026-03-12", "2026-03-31"),
            ],
            15,
        ),
        (  # a credit written with a positive quantity
            [
                charge(10),
                charge(10, "Cancel fee", "2026-03-20", "2026-03-31", amount=-70),
                charge(8, "prorate", "2026-03-20", "2026-03-31"),
            ],
            8,
        ),
        ([charge(10), charge(-10, "cancelImmediate", "2026-03-20", "2026-03-31"), charge(3, "new")], 3),
        ([charge(10), charge(10, "customerCredit", amount=-180)], 10),  # money alone
        ([charge(10, "cycleCharge", "2026-03-01", "2026-03-19"), charge(4, "new", "2026-03-20", "2026-04-19")], 4),
    ],
)
def test_what_is_left_at_the_end_of_the_period_counts(
    world: World, rows: list[tuple[object, ...]], expected: int
) -> None:
    agreement = billed(world, licence(world), expected)
    assert reconciled(world, csv_of(DATED, *rows)).counts == {"exact": 1}
    change_addition(actor=SALES, addition_id=only(agreement).pk, on=date(2026, 3, 1), quantity=D(expected + 1))
    assert reconciled(world, csv_of(DATED, *rows, ("Globex", "Other", 1, 1, 1, "new", "", "", ""))).counts == {
        "over_billed": 1
    }


@pytest.mark.django_db
def test_a_year_paid_at_once_counts_until_it_ends(world: World) -> None:
    product, other = licence(world), licence(world, "Exchange")
    billed(world, product, 10)
    january = (date(2026, 1, 1), date(2026, 1, 31))
    imported(world, csv_of(DATED, charge(10, "new", "2026-01-15", "2027-01-14")), period=january)
    billed(world, other, 5)
    exchange = ("Acme Corp", "Exchange", 5, 4, 20, "cycleCharge", "2026-03-01", "2026-03-31", "")
    assert reconciled(world, csv_of(DATED, exchange)).counts == {"exact": 2}


@pytest.mark.django_db
def test_a_later_file_of_the_same_invoice_replaces_the_earlier(world: World) -> None:
    billed(world, licence(world), 12)
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 10, 18)), reference="G1")
    assert [code for code, *_ in differences()] == ["over_billed"]
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 11, 18)), reference="G1")
    assert differences() == [("over_billed", "11", "12", D(-22))]
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 1, 18)), reference="G2")  # another invoice
    assert differences() == []
    assert the("over_billed").status == "mended"


@pytest.mark.django_db
def test_a_customer_without_an_agreement_costs_what_the_vendor_takes(world: World) -> None:
    licence(world)
    result = reconciled(world, csv_of(SIMPLE, ("Globex", "Business Premium", 7, 18)))
    assert differences() == [("orphaned", "7", "0", D(126))]
    assert result.orphaned == 126
    with pytest.raises(DomainError, match="no agreement that runs"):
        fix_line(actor=SALES, exception_id=the("orphaned").pk, effective_date=APR_1, now=NOW)


@pytest.mark.django_db
def test_an_older_statement_is_not_reconciled_over_a_newer(world: World) -> None:
    february = imported(world, csv_of(SIMPLE, ("Acme Corp", "X", 2, 1)), period=(date(2026, 2, 1), date(2026, 2, 28)))
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "X", 1, 1)))
    with pytest.raises(DomainError, match="is for a later period"):
        reconcile_statement(actor=FINANCE, statement_id=february.pk, now=NOW)
    with pytest.raises(DomainError, match="takes the role"):
        reconcile_statement(actor=VIEWER, statement_id=february.pk, now=NOW)


# -- mending -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_one_action_bills_the_missing_from_their_day_on_prorated(world: World) -> None:
    product = licence(world, "Endpoint security", price=D("31.00"))
    agreement = billed(world, product, 680)
    bill(agreement, month(2026, 1), month(2026, 2), month(2026, 3))
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Endpoint security", 712, "4.05")))
    fixed = fix_line(actor=SALES, exception_id=the("under_billed").pk, effective_date=date(2026, 3, 16), now=NOW)
    assert (fixed.status, fixed.done) == ("mended", ("Endpoint security from 680 to 712",))
    assert only(agreement).quantity == 712
    assert differences() == []
    assert due(agreement, APR_1) == [
        ("Endpoint security", "32", "512.00"),  # 32 x 31.00 x 16 of 31 days of March
        ("Endpoint security", "712", "22072.00"),
    ]


@pytest.mark.django_db
def test_a_change_for_the_next_month_mends_as_well_and_stays_mended(world: World) -> None:
    agreement = billed(world, licence(world), 12)
    content = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 10, 18))
    result = reconciled(world, content)
    fixed = fix_line(actor=FINANCE, exception_id=the("over_billed").pk, effective_date=APR_1, now=NOW)
    assert fixed.status == "mended"
    assert only(agreement).quantity == 10
    again = reconcile_statement(actor=FINANCE, statement_id=result.statement_id, now=NOW)
    assert again.counts == {"exact": 1}
    with pytest.raises(DomainError, match="mended already"):
        fix_line(actor=FINANCE, exception_id=the("over_billed").pk, effective_date=APR_1, now=NOW)


@pytest.mark.django_db
def test_fewer_are_taken_from_the_largest_first(world: World) -> None:
    product = licence(world)
    agreement = billed(world, product, 6)
    for quantity in (10, 3):
        add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(product.pk, D(quantity)))
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 7, 18)))
    fix_line(actor=SALES, exception_id=the("over_billed").pk, effective_date=APR_1, now=NOW)
    assert [row.quantity for row in agreement.additions.order_by("position")] == [4, 0, 3]


@pytest.mark.django_db
def test_what_the_vendor_does_not_have_ends(world: World) -> None:
    product, other = licence(world), licence(world, "Exchange")
    agreement = billed(world, product, 6)
    billed(world, other, 1)
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Exchange", 1, 4)))
    fixed = fix_line(actor=SALES, exception_id=the("orphaned").pk, effective_date=APR_1, now=NOW)
    assert (fixed.status, only(agreement).cancelled_date) == ("mended", date(2026, 3, 31))


@pytest.mark.django_db
def test_what_is_not_billed_is_added_at_the_offers_price(world: World) -> None:
    product, other = licence(world), licence(world, "Exchange")
    offer = Offer.objects.create(product=product, term="year:1", billing_cycle="year:1", price=D("252"), cost=D("216"))
    agreement = billed(world, other, 1)
    exchange = ("Acme Corp", "Exchange", 1, 4, 4, "cycleCharge", "2026-03-01", "2026-03-31", "")
    reconciled(world, csv_of(DATED, exchange, charge(25, term="P1Y")))
    assert differences() == [("unbilled", "25", "0", D(525))]  # 25 x 252 / 12
    fixed = fix_line(actor=SALES, exception_id=the("unbilled").pk, effective_date=date(2026, 3, 1), now=NOW)
    added = agreement.additions.get(product=product)
    assert (added.quantity, added.unit_price, added.term, added.offer) == (25, D(21), "year:1", offer)
    assert (fixed.status, added.effective_date) == ("mended", date(2026, 3, 1))


@pytest.mark.django_db
def test_with_several_agreements_one_has_to_be_named(world: World) -> None:
    licence(world)
    first, second = (billed(world, licence(world, name), 1) for name in ("Exchange", "Backup"))
    rows = [("Acme Corp", name, 1, 4) for name in ("Exchange", "Backup", "Business Premium")]
    reconciled(world, csv_of(SIMPLE, *rows))
    mend = {"actor": SALES, "exception_id": the("unbilled").pk, "effective_date": APR_1, "now": NOW}
    with pytest.raises(DomainError, match="several agreements") as refused:
        fix_line(**mend)
    assert first.number in str(refused.value.hint)
    assert fix_line(**mend, agreement_id=second.pk).status == "mended"
    assert second.additions.count() == 2


@pytest.mark.django_db
def test_what_is_committed_is_not_lowered(world: World) -> None:
    billed(world, licence(world), 12, committed_through=date(2026, 12, 31), cancellation_days=0)
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 10, 18)))
    with pytest.raises(DomainError) as refused:
        fix_line(actor=SALES, exception_id=the("over_billed").pk, effective_date=APR_1, now=NOW)
    assert refused.value.code == "committed"
    assert the("over_billed").status == "open"


@pytest.mark.django_db
def test_what_cannot_be_mended_so(world: World) -> None:
    billed(world, licence(world), 12)
    reconciled(world, csv_of(SIMPLE, ("Acme Corp", "Business Premium", 10, 18), ("Nobody", "Business Premium", 1, 18)))
    with pytest.raises(DomainError, match="is not known here"):
        fix_line(actor=SALES, exception_id=the("unknown_customer").pk, effective_date=APR_1, now=NOW)
    with pytest.raises(DomainError, match="takes the role"):
        fix_line(actor=PROCUREMENT, exception_id=the("over_billed").pk, effective_date=APR_1, now=NOW)


# -- holding -----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_rule_may_hold_what_a_statement_shows_to_be_billed_wrong(world: World) -> None:
    agreement = billed(world, licence(world), 25)
    statement = csv_of(SIMPLE, ("Acme Corp", "Business Premium", 27, 18))
    reconciled(world, statement)
    ensure_not_held(agreement, "billed")  # nothing is held unless somebody says so
    set_hold_rule(actor=FINANCE, code="under_billed", holds_invoice=True)
    with pytest.raises(DomainError, match="27 Business Premium at Ingram Micro, and 25 are billed"):
        ensure_not_held(agreement, "billed")
    fix_line(actor=SALES, exception_id=the("under_billed").pk, effective_date=APR_1, now=NOW)
    ensure_not_held(agreement, "billed")


@pytest.mark.django_db
def test_what_a_statement_shows_is_about_what_we_bill(world: World) -> None:
    for document in ("holds_purchase_order", "holds_vendor_bill"):
        with pytest.raises(DomainError, match="can hold invoices alone") as refused:
            set_hold_rule(actor=FINANCE, code="unbilled", **{document: True})  # type: ignore[arg-type]
        assert (refused.value.code, refused.value.field) == ("invalid", document)
