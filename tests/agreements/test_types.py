"""Agreement types as templates: what an agreement takes from its type, what fits together, what has no effect."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.agreements.records import fresh, make
from tests.world import FINANCE, OWNER, PROCUREMENT, SALES, World, build_world

from counterfoil.agreements import queries
from counterfoil.agreements.commands import (
    CoverageItemInput,
    WorkRoleRateInput,
    WorkTypeRateInput,
    add_adjustment,
    create_agreement_type,
    install_agreement_types,
    remove_adjustment,
    set_coverage_items,
    set_type_coverage_items,
    set_type_work_role_rates,
    set_type_work_type_rates,
    set_work_role_rates,
    set_work_type_rates,
    update_agreement,
    update_agreement_type,
)
from counterfoil.agreements.models import AgreementType
from counterfoil.catalog.models import ExpenseType, WorkRole, WorkType
from counterfoil.companies.models import BillingTerms
from counterfoil.core.errors import DomainError
from counterfoil.platform.audit import trail_of

pytestmark = pytest.mark.django_db
D = Decimal


@pytest.fixture
def msp() -> World:
    return build_world()


def block(**more: Any) -> AgreementType:
    """Ten hours a quarter, what is left goes on for 90 days, prepaid."""
    given: dict[str, Any] = {
        "billing_cycle": "quarterly",
        "billing_timing": "arrears",
        "application_units": "hours",
        "application_limit": D(10),
        "application_cycle": "month:3",
        "covers_time": True,
        "carry_over": True,
        "carry_over_days": 90,
        "prepayment": True,
    }
    return create_agreement_type(actor=FINANCE, name="Quarter block", kind="recurring_block", **(given | more))


def test_a_new_installation_has_the_usual_kinds(msp: World) -> None:
    kinds = dict(AgreementType.objects.values_list("name", "kind"))
    assert kinds == {
        "HaaS": "other",
        "Hosting": "hosting",
        "Managed service": "managed_service",
        "One-time block": "one_time_block",
        "Recurring block": "recurring_block",
        "SaaS": "other",
        "User-based": "user_based",
    }
    once = AgreementType.objects.get(name="One-time block")
    assert (once.bill_one_time, once.application_one_time, once.prepayment, once.covers_time) == (True,) * 4
    AgreementType.objects.filter(name="Hosting").delete()
    update_agreement_type(actor=FINANCE, agreement_type_id=once.pk, covers_products=False, description="Ours")
    assert [made.name for made in install_agreement_types(actor=OWNER)] == ["Hosting"]
    assert AgreementType.objects.get(pk=once.pk).description == "Ours"


def test_an_agreement_starts_with_what_its_type_is_at_that_moment(msp: World) -> None:
    kind = block()
    agreement = make(msp, agreement_type_id=kind.pk, application_limit=D(12))
    update_agreement_type(
        actor=FINANCE, agreement_type_id=kind.pk, application_limit=D(20), billing_cycle="year:1", prepayment=False
    )
    found = fresh(agreement)
    assert (found.billing_cycle, found.billing_timing, found.application_cycle) == ("month:3", "arrears", "month:3")
    assert (found.application_limit, found.carry_over_days, found.prepayment) == (12, 90, True)
    later = make(msp, agreement_type_id=kind.pk)
    assert (later.billing_cycle, later.application_limit, later.prepayment) == ("year:1", 20, False)


def test_terms_come_from_the_agreement_its_type_the_bill_to_and_the_company(msp: World) -> None:
    net10, net60 = (BillingTerms.objects.get(name=name) for name in ("Net 10", "Net 60"))
    kind = create_agreement_type(actor=FINANCE, name="Quick", terms_id=net10.pk)
    assert make(msp).terms == msp.net30
    assert make(msp, agreement_type_id=kind.pk).terms == net10
    assert make(msp, agreement_type_id=kind.pk, terms_id=net60.pk).terms == net60


@pytest.mark.parametrize(
    ("cycle", "code"),
    [
        ("week:6", "week:6"),
        ("month:18", "month:18"),
        ("year:3", "year:3"),
        ("triennial", "year:3"),
        ("weekly", "week:1"),
    ],
)
def test_any_number_of_weeks_months_or_years(msp: World, cycle: str, code: str) -> None:
    agreement = make(msp, billing_cycle=cycle)
    assert agreement.billing_cycle == code


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"billing_cycle": "fortnight"}, "invalid", "billing_cycle"),
        ({"application_cycle": "month:0"}, "invalid", "application_cycle"),
        ({"billing_timing": "sometime"}, "invalid", "billing_timing"),
        ({"application_limit": D(-1)}, "invalid", "application_limit"),
        ({"application_limit": D("1.005"), "application_units": "amount"}, "invalid", "application_limit"),
        ({"application_limit": D("1.5"), "application_units": "incidents"}, "invalid", "application_limit"),
        ({"application_limit": D(5), "application_unlimited": True}, "invalid", "application_limit"),
        ({"covers_expenses": True}, "invalid", "covers_expenses"),
        ({"covers_products": True}, "invalid", "covers_products"),
        ({"application_one_time": True, "application_limit": None}, "required", "application_limit"),
        ({"overrun_limit": D(-1)}, "invalid", "overrun_limit"),
        ({"hourly_rate": D(-1)}, "invalid", "hourly_rate"),
        ({"terms_id": 999_999}, "not_found", "terms_id"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(msp: World, given: dict[str, Any], code: str, field: str) -> None:
    kind = block()
    agreement = make(msp, agreement_type_id=kind.pk)
    for refuse in (
        lambda: make(msp, agreement_type_id=kind.pk, **given),
        lambda: update_agreement(actor=FINANCE, agreement_id=agreement.pk, **given),
    ):
        with pytest.raises(DomainError) as refused:
            refuse()
        assert (refused.value.code, refused.value.field) == (code, field)
    assert fresh(agreement).application_limit == 10


def test_a_limit_ends_unlimited_and_the_other_way_about(msp: World) -> None:
    managed = AgreementType.objects.get(name="Managed service")
    agreement = make(msp, agreement_type_id=managed.pk)
    assert agreement.application_unlimited
    limited = update_agreement(actor=FINANCE, agreement_id=agreement.pk, application_limit=D(500))
    assert (limited.application_unlimited, limited.application_limit) == (False, 500)
    again = update_agreement(actor=FINANCE, agreement_id=agreement.pk, application_unlimited=True)
    assert (again.application_unlimited, again.application_limit) == (True, None)


def test_the_page_says_what_has_no_effect(msp: World) -> None:
    def notes(**given: Any) -> tuple[str, ...]:
        return queries.agreement_notes(make(msp, **given))

    amount: dict[str, Any] = {"covers_time": True, "application_limit": D(15_000), "application_units": "amount"}
    assert notes(**amount) == ()
    (said,) = notes(**amount, covers_sales_tax=True)
    assert said.startswith("Covering sales tax has no effect: the agreement's type is not prepaid, so tax is neither")
    kind = block()
    assert notes(agreement_type_id=kind.pk, covers_sales_tax=True) == (
        "Covering sales tax has no effect: the allocation is counted in hours, not amounts.",
    )
    assert notes(agreement_type_id=kind.pk, covers_sales_tax=True, application_units="amount") == ()
    assert notes(covers_time=True) == ("Nothing is covered: there is neither a limit nor is it unlimited.",)
    assert notes(application_unlimited=True) == ("Nothing is covered: none of time, expenses and products is ticked.",)
    assert len(notes(**amount, carry_over_days=5, overrun_limit=D(5), expire_when_zero=True)) == 3


def test_names_and_roles_of_types(msp: World) -> None:
    block()
    with pytest.raises(DomainError) as refused:
        block()
    assert refused.value.code == "duplicate"
    with pytest.raises(DomainError) as refused:
        create_agreement_type(actor=PROCUREMENT, name="Other")
    assert refused.value.code == "role_required"
    with pytest.raises(DomainError) as refused:
        create_agreement_type(actor=FINANCE, name=" ")
    assert (refused.value.code, refused.value.field) == ("required", "name")


# -- rates, lists, adjustments -----------------------------------------------------------------------------------------


def test_rates_and_lists_of_the_type_are_copied_once(msp: World) -> None:
    kind = block()
    engineer, travel = WorkRole.objects.create(name="Engineer X"), WorkType.objects.create(name="Travel X")
    meals = ExpenseType.objects.create(name="Meals X")
    set_type_work_role_rates(actor=SALES, agreement_type_id=kind.pk, rates=[WorkRoleRateInput(engineer.pk, D(120))])
    set_type_work_type_rates(
        actor=SALES, agreement_type_id=kind.pk,
        rates=[
            WorkTypeRateInput(
                travel.pk, D("0.5"), hours_min=D("0.25"), overage_rate_type="Custom", overage_rate=D(90)
            )
        ],
    )  # fmt: skip
    set_type_coverage_items(actor=SALES, agreement_type_id=kind.pk, items=[CoverageItemInput(expense_type_id=meals.pk)])
    agreement = make(msp, agreement_type_id=kind.pk)
    set_type_work_role_rates(actor=SALES, agreement_type_id=kind.pk, rates=[])
    assert agreement.work_role_rates.get().rate == 120
    found = agreement.work_type_rates.get()
    assert (found.rate, found.hours_min, found.overage_rate) == (D("0.5"), D("0.25"), 90)
    assert agreement.coverage_items.get().expense_type == meals
    assert not kind.work_role_rates.exists()


def test_a_list_replaces_the_one_before(msp: World) -> None:
    agreement = make(msp)
    one, two = (WorkRole.objects.create(name=f"Role {n}") for n in (1, 2))
    set_work_role_rates(actor=SALES, agreement_id=agreement.pk, rates=[WorkRoleRateInput(one.pk, D(100))])
    set_work_role_rates(
        actor=SALES, agreement_id=agreement.pk,
        rates=[
            WorkRoleRateInput(two.pk, D(90), ending_date=date(2026, 6, 30)),
            WorkRoleRateInput(two.pk, D(95), effective_date=date(2026, 7, 1)),
            WorkRoleRateInput(None, D(-5), rate_type="AdjAmount"),
        ],
    )  # fmt: skip
    rows = agreement.work_role_rates.values_list("work_role__name", "rate")
    assert list(rows) == [("Role 2", 90), ("Role 2", 95), (None, -5)]
    assert trail_of(agreement)[0].sentence == f"set 3 work role rates of {agreement.number}"


@pytest.mark.parametrize(
    ("rate", "code", "field"),
    [
        ({"rate": D(-1)}, "invalid", "rates[0].rate"),
        ({"rate_type": "Guess"}, "invalid", "rates[0].rate_type"),
        ({"work_type_id": 999_999}, "not_found", "rates[0].work_type_id"),
        ({"hours_min": D(2), "hours_max": D(1)}, "invalid", "rates[0].hours_max"),
        ({"round_hours_to": D(-1)}, "invalid", "rates[0].round_hours_to"),
        ({"overage_rate": D(1)}, "required", "rates[0].overage_rate_type"),
        ({"overage_rate_type": "Custom"}, "required", "rates[0].overage_rate"),
        ({"effective_date": date(2026, 2, 1), "ending_date": date(2026, 1, 1)}, "invalid", "rates[0].ending_date"),
    ],
)
def test_rates_that_are_refused(msp: World, rate: dict[str, Any], code: str, field: str) -> None:
    agreement = make(msp)
    given = WorkTypeRateInput(**({"work_type_id": None} | rate))
    with pytest.raises(DomainError) as refused:
        set_work_type_rates(actor=SALES, agreement_id=agreement.pk, rates=[given])
    assert (refused.value.code, refused.value.field) == (code, field)


def test_two_rates_on_one_day_leave_open_which_holds(msp: World) -> None:
    agreement = make(msp)
    rates = [WorkRoleRateInput(None, D(90)), WorkRoleRateInput(None, D(95), effective_date=date(2026, 7, 1))]
    with pytest.raises(DomainError) as refused:
        set_work_role_rates(actor=SALES, agreement_id=agreement.pk, rates=rates)
    assert refused.value.field == "rates[1].effective_date"


def test_a_coverage_item_names_one_thing_once(msp: World) -> None:
    agreement = make(msp)
    travel = WorkType.objects.create(name="Travel X")
    twice = [CoverageItemInput(work_type_id=travel.pk)] * 2
    for items, code in ((twice, "duplicate"), ([CoverageItemInput()], "invalid")):
        with pytest.raises(DomainError) as refused:
            set_coverage_items(actor=SALES, agreement_id=agreement.pk, items=items)
        assert refused.value.code == code
    set_coverage_items(actor=SALES, agreement_id=agreement.pk, items=twice[:1])
    assert trail_of(agreement)[0].sentence == f"{agreement.number} leaves out 1 thing"


def test_adjustments_are_in_the_units_of_the_allocation(msp: World) -> None:
    agreement = make(msp, agreement_type_id=block().pk)
    given = add_adjustment(
        actor=SALES, agreement_id=agreement.pk, on=date(2026, 3, 1), amount=D(5), description="for the outage"
    )
    assert trail_of(agreement)[0].sentence == (
        f"adjusted {agreement.number} by 5 hours from 1 Mar 2026: for the outage"
    )
    remove_adjustment(actor=SALES, adjustment_id=given.pk)
    assert not agreement.adjustments.exists()
    for amount, words, code in ((D(0), "x", "invalid"), (D(1), " ", "required")):
        with pytest.raises(DomainError) as refused:
            add_adjustment(
                actor=SALES, agreement_id=agreement.pk, on=date(2026, 3, 1), amount=amount, description=words
            )
        assert refused.value.code == code
