"""Agreements: what a period bills, when periods end, and what stays once it is billed."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.agreements.records import bill, due, make, month
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements import queries
from counterfoil.agreements.commands import (
    AdditionInput,
    add_addition,
    cancel_agreement,
    update_addition,
    update_agreement,
)
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.catalog.models import Category, Product
from counterfoil.companies.commands import update_company
from counterfoil.core.calendar import Period
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def test_it_takes_bill_to_terms_and_tax_code_from_the_company(msp: World) -> None:
    update_company(actor=FINANCE, company_id=msp.acme.pk, bill_to_id=msp.globex.pk)
    agreement = make(
        msp, AdditionInput(msp.lease.pk), first_billing_date=date(2026, 1, 15), end_date=date(2028, 12, 31)
    )
    assert (agreement.bill_to, agreement.terms, agreement.tax_code) == (msp.globex, msp.net30, msp.tax6)
    assert agreement.additions.get().effective_date == date(2026, 1, 1)
    assert trail_of(agreement)[1].sentence == (
        f"made agreement {agreement.number}, Server lease, for Acme Corp: monthly from 15 Jan 2026 to 31 Dec 2028"
    )


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"end_date": date(2025, 12, 31)}, "invalid", "end_date"),
        ({"first_billing_date": date(2025, 12, 31)}, "invalid", "first_billing_date"),
        ({"first_billing_date": date(2026, 3, 1), "end_date": date(2026, 2, 28)}, "invalid", "end_date"),
        ({"billing_cycle": "now and then"}, "invalid", "billing_cycle"),
        ({"billing_amount": Decimal(-1)}, "invalid", "billing_amount"),
        ({"name": ""}, "required", "name"),
        ({"agreement_type_id": 999_999}, "not_found", "agreement_type_id"),
        ({"company_id": 999_999}, "not_found", "company_id"),
    ],
)
def test_agreements_that_are_refused(msp: World, given: dict[str, object], code: str, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        make(msp, **given)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert not Agreement.objects.exists()


def test_my_company_has_no_agreement_and_an_internal_company_no_priced_one(msp: World) -> None:
    for given, code in (
        ({"company_id": msp.my_company.pk}, "my_company_not_billable"),
        ({"bill_to_id": msp.my_company.pk}, "my_company_not_billable"),
        ({"bill_to_id": msp.internal.pk}, "price_on_internal_company"),
        ({"bill_to_id": msp.internal.pk, "additions": (), "billing_amount": Decimal(5)}, "price_on_internal_company"),
    ):
        with pytest.raises(DomainError) as refused:
            make(msp, AdditionInput(msp.lease.pk), **given)
        assert refused.value.code == code
    assert not Agreement.objects.exists()
    free = make(msp, AdditionInput(msp.lease.pk, billing_option="NoCharge"), bill_to_id=msp.internal.pk)
    with pytest.raises(DomainError) as refused:
        update_addition(actor=SALES, addition_id=free.additions.get().pk, billing_option="Billable")
    assert refused.value.code == "price_on_internal_company"


def test_a_bundle_is_no_addition(msp: World) -> None:
    bundle = Product.objects.create(
        identifier="KIT", description="Office kit", product_class="Bundle", accounting_type="OtherCharge",
        category=Category.objects.get(name="Hardware"),
    )  # fmt: skip
    agreement = make(msp)
    for refuse in (
        lambda: add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(bundle.pk)),
        lambda: make(msp, AdditionInput(msp.lease.pk), AdditionInput(bundle.pk)),
    ):
        with pytest.raises(DomainError) as refused:
            refuse()
        assert refused.value.code == "bundle_as_addition"
        assert refused.value.hint == "Add the products it is made of."
    assert (Agreement.objects.count(), Addition.objects.count()) == (1, 0)


# -- periods -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "through", "labels"),
    [
        ({}, date(2026, 3, 1), ["Jan 2026", "Feb 2026", "Mar 2026"]),
        ({}, date(2026, 2, 28), ["Jan 2026", "Feb 2026"]),
        ({"end_date": date(2026, 2, 14)}, date(2026, 12, 1), ["Jan 2026", "1 Feb 2026 – 14 Feb 2026"]),
        ({"billing_cycle": "quarterly"}, date(2026, 4, 1), ["1 Jan 2026 – 31 Mar 2026", "1 Apr 2026 – 30 Jun 2026"]),
        (
            {"first_billing_date": date(2026, 1, 31)},
            date(2026, 3, 1),
            ["31 Jan 2026 – 27 Feb 2026", "28 Feb 2026 – 30 Mar 2026"],
        ),
    ],
)
def test_periods_count_from_the_first_billing_date(
    msp: World, given: dict[str, object], through: date, labels: list[str]
) -> None:
    agreement = make(msp, **given)
    assert [period.label for period in queries.periods(agreement, through=through)] == labels


def test_cancelling_ends_the_periods(msp: World) -> None:
    agreement = make(msp, AdditionInput(msp.lease.pk), end_date=date(2028, 12, 31))
    with pytest.raises(DomainError, match="Say why"):
        cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 2, 28), reason=" ")
    bill(agreement, month(2026, 1))

    cancelled = cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 2, 28), reason="moved away")

    assert [period.label for period in queries.periods(cancelled, through=date(2030, 1, 1))] == ["Jan 2026", "Feb 2026"]
    assert [period.label for period in queries.next_periods(cancelled, 12)] == ["Feb 2026"]
    for refuse in (
        lambda: cancel_agreement(actor=SALES, agreement_id=agreement.pk, on=date(2026, 3, 31), reason="again"),
        lambda: add_addition(actor=SALES, agreement_id=agreement.pk, addition=AdditionInput(msp.lease.pk)),
        lambda: update_agreement(actor=SALES, agreement_id=agreement.pk, name="X"),
    ):
        with pytest.raises(DomainError) as refused:
            refuse()
        assert refused.value.code == "wrong_state"


def test_the_next_periods_follow_what_is_billed(msp: World) -> None:
    agreement = make(msp, AdditionInput(msp.lease.pk), end_date=date(2026, 4, 10))
    assert [period.label for period in queries.next_periods(agreement)] == ["Jan 2026"]
    bill(agreement, month(2026, 1))
    bill(agreement, month(2026, 2))
    assert queries.billed_through(agreement) == date(2026, 2, 28)
    assert [period.label for period in queries.next_periods(agreement, 5)] == ["Mar 2026", "1 Apr 2026 – 10 Apr 2026"]


# -- amounts -----------------------------------------------------------------------------------------------------------


def test_what_a_period_bills(msp: World) -> None:
    agreement = make(
        msp,
        AdditionInput(msp.lease.pk, Decimal(10), unit_price=Decimal("22.005"), less_included=Decimal(3)),
        AdditionInput(msp.lease.pk, description="Set-up", cancelled_date=date(2026, 1, 31)),
        AdditionInput(msp.lease.pk, description="Gift", billing_option="NoCharge"),
        AdditionInput(msp.lease.pk, description="Tool", billing_option="DoNotBill", unit_cost=Decimal(9)),
        AdditionInput(msp.lease.pk, description="Later", effective_date=date(2026, 2, 15)),
        billing_amount=Decimal("99.50"),
    )
    january, february = (
        [
            (line.description, line.quantity, line.amount)
            for line in queries.period_lines(agreement, month(2026, number))
        ]
        for number in (1, 2)
    )
    always = [
        ("Server lease", 1, Decimal("99.50")),
        ("Server as a service", 7, Decimal("154.04")),  # 7 × 22.005 = 154.035, half up
    ]
    gift = ("Gift", 1, Decimal("0.00"))
    assert january == [*always, ("Set-up", 1, Decimal("150.00")), gift]
    assert february == [*always, gift, ("Later", 1, Decimal("75.00"))]  # 14 of 28 days
    assert queries.period_amount(agreement, month(2026, 1)) == Decimal("403.54")
    with pytest.raises(DomainError, match="No billing period"):
        queries.period_lines(agreement, Period(date(2026, 1, 2), date(2026, 2, 1)))


@pytest.mark.parametrize(
    ("cycle", "monthly"), [("monthly", "150.00"), ("quarterly", "50.00"), ("yearly", "12.50"), ("weekly", "652.22")]
)
def test_the_monthly_value(msp: World, cycle: str, monthly: str) -> None:
    agreement = make(msp, AdditionInput(msp.lease.pk), billing_cycle=cycle, end_date=date(2026, 12, 31))
    assert queries.monthly_value(agreement, on=date(2026, 6, 1)) == Decimal(monthly)
    for day in (date(2025, 12, 31), date(2027, 1, 1)):
        assert queries.monthly_value(agreement, on=day) == 0


# -- changing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"quantity": Decimal(-1)}, "quantity"),
        ({"less_included": Decimal(2)}, "less_included"),
        ({"unit_price": Decimal(-1)}, "unit_price"),
        ({"effective_date": date(2025, 12, 31)}, "effective_date"),
        ({"cancelled_date": date(2025, 12, 30)}, "cancelled_date"),
        ({"billing_option": "Maybe"}, "billing_option"),
        ({"description": ""}, "description"),
    ],
)
def test_additions_that_are_refused(msp: World, given: dict[str, object], field: str) -> None:
    agreement = make(msp, AdditionInput(msp.lease.pk))
    with pytest.raises(DomainError) as refused:
        update_addition(actor=SALES, addition_id=agreement.additions.get().pk, **given)  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == (
        "invalid" if given.get("description") != "" else "required",
        field,
    )


def test_a_new_last_day_is_caught_up_on_or_given_back(msp: World) -> None:
    agreement = make(msp, AdditionInput(msp.lease.pk), billing_amount=Decimal(31))
    bill(agreement, month(2026, 1))
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, end_date=date(2026, 1, 30), customer_po="4711")
    assert due(agreement, date(2026, 12, 31)) == [
        ("Server lease", "-1", "-1.00"),
        ("Server as a service", "-1", "-4.84"),
    ]
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, end_date=date(2026, 1, 31))
    assert due(agreement, date(2026, 12, 31)) == []
    update_agreement(actor=FINANCE, agreement_id=agreement.pk, end_date=None)
    assert [amount for _, _, amount in due(agreement, date(2026, 2, 1))] == ["31.00", "150.00"]


def test_the_list_takes_the_same_queries_however_long(msp: World) -> None:
    counts = []
    for _ in range(2):
        for _ in range(4):
            make(msp, AdditionInput(msp.lease.pk))
        with CaptureQueriesContext(connection) as captured:
            rows = queries.agreements(search="lease acme", status="active")
            for row in queries.with_cycle_value(rows, on=date(2026, 1, 1)):
                assert (row.addition_count, row.billing_state.next_period) == (1, 0)
                assert queries.monthly_value(row) == 150
        counts.append(len(captured))
    assert counts[0] == counts[1]
