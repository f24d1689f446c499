"""From a tax code, a day and a buyer to the tax of an invoice: dated levels, exemptions, certificates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from pytest_django import DjangoAssertNumQueries
from tests.world import FINANCE, SALES, World

from counterfoil.catalog.models import Category, ExpenseType, WorkRole
from counterfoil.core.errors import DomainError
from counterfoil.core.salestax import EVERYWHERE, TaxableLine, TaxResult
from counterfoil.platform.audit import trail_of
from counterfoil.tax import queries
from counterfoil.tax.commands import (
    TaxExemptionInput,
    TaxLevelInput,
    add_exemption_certificate,
    create_tax_code,
    set_tax_basis,
    update_exemption_certificate,
    update_tax_code,
)
from counterfoil.tax.models import TaxBasis, TaxCode, TaxLevel
from counterfoil.tax.queries import tax_table

pytestmark = pytest.mark.django_db

JAN_1, MAR_31, APR_1, JUL_1 = date(2026, 1, 1), date(2026, 3, 31), date(2026, 4, 1), date(2026, 7, 1)
STATE, CITY = TaxLevelInput("State", D("0.04"), "State Revenue"), TaxLevelInput("City", D("0.02"), "City Hall")
BUYER = 1


@pytest.fixture
def code() -> TaxCode:
    return create_tax_code(actor=FINANCE, identifier="TOWN", state="ny", levels=[STATE, CITY])


def taxed(code: TaxCode, on: date, *lines: TaxableLine, buyer: int = BUYER) -> TaxResult:
    return tax_table(on=on, buyer_ids=[buyer]).tax(code.pk, buyer, lines or [TaxableLine(1, D("100.00"))])


# -- rates that change -------------------------------------------------------------------------------------------------


def test_a_new_rate_holds_from_its_day_and_the_old_one_before(code: TaxCode) -> None:
    raised = TaxLevelInput("City", D("0.03"), "City Hall")
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=[STATE, raised], levels_from=APR_1)
    assert (taxed(code, MAR_31).total, taxed(code, APR_1).total) == (D("6.00"), D("7.00"))
    assert trail_of(code)[0].sentence == "changed the tax code TOWN: levels now State 4 % + City 3 % from 1 Apr 2026"
    assert [(x.name, x.valid_from, x.valid_to) for x in queries.level_history(code.pk)] == [
        ("State", None, None),
        ("City", None, APR_1),
        ("City", APR_1, None),
    ]


def test_a_level_that_is_dropped_or_added_has_its_days_too(code: TaxCode) -> None:
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=[STATE], levels_from=APR_1)
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=[STATE, CITY], levels_from=JUL_1)
    assert [taxed(code, day).total for day in (MAR_31, APR_1, date(2026, 6, 30), JUL_1)] == [
        D("6.00"),
        D("4.00"),
        D("4.00"),
        D("6.00"),
    ]


def test_a_planned_change_can_be_planned_anew(code: TaxCode) -> None:
    for rate, day in (("0.05", JUL_1), ("0.03", APR_1)):
        changed = TaxLevelInput("City", D(rate), "City Hall")
        update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=[STATE, changed], levels_from=day)
    assert [taxed(code, day).total for day in (MAR_31, APR_1, JUL_1)] == [D("6.00"), D("7.00"), D("7.00")]


def test_a_correction_without_a_day_leaves_what_is_over(code: TaxCode) -> None:
    raised, mended = (TaxLevelInput("City", D(rate), "City Hall") for rate in ("0.03", "0.035"))
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=[STATE, raised], levels_from=APR_1)
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, levels=[STATE, mended])
    assert (taxed(code, MAR_31).total, taxed(code, APR_1).total) == (D("6.00"), D("7.50"))


def test_two_levels_never_hold_at_one_place_on_one_day(code: TaxCode) -> None:
    from django.db import IntegrityError, transaction

    with pytest.raises(IntegrityError, match="tax_level_once_at_a_time"), transaction.atomic():
        TaxLevel.objects.create(tax_code=code, position=2, name="City", rate=D("0.01"), agency="x", valid_from=APR_1)
    TaxLevel.objects.filter(tax_code=code, position=2).update(valid_to=APR_1)
    TaxLevel.objects.create(tax_code=code, position=2, name="City", rate=D("0.01"), agency="x", valid_from=APR_1)


def test_nothing_is_billed_with_a_code_out_of_its_dates(code: TaxCode) -> None:
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, effective_date=JAN_1, cancel_date=APR_1)
    assert taxed(code, JAN_1).total == taxed(code, MAR_31).total == D("6.00")
    for day, said in ((date(2025, 12, 31), "not in effect before 1 Jan 2026"), (APR_1, "cancelled as of 1 Apr 2026")):
        with pytest.raises(DomainError) as refused:
            taxed(code, day)
        assert refused.value.code == "tax_code_not_in_effect"
        assert said in refused.value.message
    with pytest.raises(DomainError) as refused:
        update_tax_code(actor=FINANCE, tax_code_id=code.pk, cancel_date=JAN_1)
    assert refused.value.field == "cancel_date"


# -- kinds of levels ---------------------------------------------------------------------------------------------------


def test_we_17_caps_are_stored_and_applied() -> None:
    """WE-17: 7 % of 5,000, 2.5 % of the first 1,600, 2.75 % of the next 1,600."""
    code = create_tax_code(
        actor=FINANCE,
        identifier="TN",
        levels=[
            TaxLevelInput("Tennessee", D("0.07"), "TN Revenue"),
            TaxLevelInput("Local", D("0.025"), "TN Revenue", single_unit_maximum=D("1600")),
            TaxLevelInput(
                "Single article",
                D("0.0275"),
                "TN Revenue",
                single_unit_minimum=D("1600"),
                single_unit_maximum=D("3200"),
            ),
        ],
    )
    one, two = TaxableLine("one", D("5000.00")), TaxableLine("two", D("2000.00"), quantity=D(2))
    assert [x.amount for x in taxed(code, JAN_1, one).by_level] == [D("350.00"), D("40.00"), D("44.00")]
    assert [x.amount for x in taxed(code, JAN_1, two).by_level] == [D("140.00"), D("50.00"), D("0.00")]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (TaxLevelInput("A", D("0.01"), "x", compound_on=(2,)), "levels[1].compound_on"),
        (TaxLevelInput("A", D("0.01"), "x", taxable_max=D("-1")), "levels[1].taxable_max"),
        (
            TaxLevelInput("A", D("0.01"), "x", single_unit_minimum=D(9), single_unit_maximum=D(9)),
            "levels[1].single_unit_minimum",
        ),
    ],
)
def test_levels_that_make_no_sense_are_refused_where_they_stand(wrong: TaxLevelInput, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        create_tax_code(actor=FINANCE, identifier="X", levels=[STATE, wrong])
    assert refused.value.field == field
    with pytest.raises(DomainError) as refused:
        create_tax_code(actor=FINANCE, identifier="X", levels=[STATE] * 7)
    assert refused.value.field == "levels"


# -- exemptions --------------------------------------------------------------------------------------------------------


def test_categories_expense_types_and_work_roles_are_exempt_at_their_levels(code: TaxCode) -> None:
    software = Category.objects.create(name="Books")
    meals = ExpenseType.objects.create(name="Meals")
    trainer = WorkRole.objects.create(name="Trainer")
    update_tax_code(
        actor=FINANCE,
        tax_code_id=code.pk,
        exemptions=[
            TaxExemptionInput(category_id=software.pk),
            TaxExemptionInput(expense_type_id=meals.pk, positions=(2,)),
            TaxExemptionInput(work_role_id=trainer.pk, positions=(1,)),
        ],
    )
    result = taxed(
        code,
        JAN_1,
        TaxableLine("licence", D("100.00"), category_id=software.pk),
        TaxableLine("lunch", D("100.00"), kind="expense", expense_type_id=meals.pk),
        TaxableLine("course", D("100.00"), kind="service", work_role_id=trainer.pk),
        TaxableLine("server", D("100.00"), category_id=software.pk + 1),
    )
    assert result.by_line == {"licence": D("0.00"), "lunch": D("4.00"), "course": D("2.00"), "server": D("6.00")}
    assert [(x.name, x.taxable_amount, x.exempt_amount) for x in result.by_level] == [
        ("State", D("200.00"), D("200.00")),
        ("City", D("200.00"), D("200.00")),
    ]
    assert trail_of(code)[0].sentence == "changed the tax code TOWN: exempts Books, Meals, Trainer"
    update_tax_code(actor=FINANCE, tax_code_id=code.pk, exemptions=[])
    assert not queries.exemptions(code.pk).exists()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (TaxExemptionInput(), "exemptions[0].category_id"),
        (TaxExemptionInput(category_id=1, work_role_id=1), "exemptions[0].category_id"),
        (TaxExemptionInput(category_id=1, positions=(7,)), "exemptions[0].positions"),
        (TaxExemptionInput(category_id=999_999), "exemptions[0].category_id"),
    ],
)
def test_an_exemption_names_one_thing_that_is_there(code: TaxCode, wrong: TaxExemptionInput, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        update_tax_code(actor=FINANCE, tax_code_id=code.pk, exemptions=[wrong])
    assert refused.value.field == field


# -- certificates ------------------------------------------------------------------------------------------------------


def test_a_certificate_counts_through_its_last_day_and_for_its_buyer(code: TaxCode, world: World) -> None:
    certificate = add_exemption_certificate(
        actor=FINANCE,
        company_id=world.acme.pk,
        number="R-100",
        reason="Resale",
        valid_from=JAN_1,
        expires_on=MAR_31,
        tax_code_id=code.pk,
    )
    assert taxed(code, JAN_1, buyer=world.acme.pk).total == taxed(code, MAR_31, buyer=world.acme.pk).total == 0
    assert taxed(code, date(2025, 12, 31), buyer=world.acme.pk).total == D("6.00")
    assert taxed(code, APR_1, buyer=world.acme.pk).total == D("6.00")
    assert taxed(code, JAN_1, buyer=world.globex.pk).total == D("6.00")
    update_exemption_certificate(actor=FINANCE, certificate_id=certificate.pk, expires_on=None)
    assert taxed(code, APR_1, buyer=world.acme.pk).by_level[0].exempt_amount == D("100.00")
    assert trail_of(certificate)[0].sentence == (
        "changed the exemption certificate R-100 of Acme Corp: expires on from 31 Mar 2026 to none"
    )


@pytest.mark.parametrize(("state", "expected"), [("NY", "0.00"), ("ny", "0.00"), ("NJ", "6.00"), ("", "0.00")])
def test_a_certificate_for_a_state_or_for_all(code: TaxCode, world: World, state: str, expected: str) -> None:
    add_exemption_certificate(
        actor=FINANCE, company_id=world.acme.pk, number="S-1", reason="School", valid_from=JAN_1, state=state
    )
    assert taxed(code, JAN_1, buyer=world.acme.pk).total == D(expected)


def test_expiring_certificates_are_listed_the_soonest_first(world: World) -> None:
    for number, day in (("late", date(2026, 12, 31)), ("soon", APR_1), ("over", MAR_31), ("long over", JAN_1)):
        add_exemption_certificate(
            actor=FINANCE,
            company_id=world.acme.pk,
            number=number,
            reason="Resale",
            valid_from=date(2024, 1, 1),
            expires_on=day,
        )
    found = queries.certificates_expiring(on=APR_1)
    assert [each.number for each in found] == ["over", "soon"]
    assert [each.number for each in queries.certificates(on=APR_1).order_by("number")] == ["late", "soon"]


def test_certificates_are_checked(code: TaxCode, world: World) -> None:
    good = {"actor": FINANCE, "company_id": world.acme.pk, "number": "1", "reason": "Resale", "valid_from": JAN_1}
    wrong: list[tuple[dict[str, object], str, str | None]] = [
        ({"state": "NY", "tax_code_id": code.pk}, "invalid", "state"),
        ({"state": "New York"}, "invalid", "state"),
        ({"expires_on": date(2025, 12, 31)}, "invalid", "expires_on"),
        ({"number": " "}, "required", "number"),
        ({"company_id": 999_999}, "not_found", "company_id"),
        ({"actor": SALES}, "role_required", None),
    ]
    for change, refusal, field in wrong:
        with pytest.raises(DomainError) as refused:
            add_exemption_certificate(**(good | change))  # type: ignore[arg-type]
        assert (refused.value.code, refused.value.field) == (refusal, field)
    add_exemption_certificate(**good)  # type: ignore[arg-type]
    with pytest.raises(DomainError) as refused:
        add_exemption_certificate(**good)  # type: ignore[arg-type]
    assert refused.value.code == "duplicate"


# -- the table ---------------------------------------------------------------------------------------------------------


def test_the_msp_chooses_what_is_rounded(code: TaxCode) -> None:
    lines = [TaxableLine(i, D("0.24")) for i in range(4)]
    assert taxed(code, JAN_1, *lines).total == D("0.06")
    set_tax_basis(actor=FINANCE, basis=TaxBasis.LINE)
    assert taxed(code, JAN_1, *lines).total == D("0.04")


def test_a_table_takes_as_many_statements_for_one_invoice_as_for_all(
    code: TaxCode, world: World, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for i in range(20):
        create_tax_code(actor=FINANCE, identifier=f"T{i}", levels=[STATE, CITY])
    with django_assert_num_queries(3):
        table = tax_table(on=JAN_1)
        for pk in table.rules:
            assert table.tax(pk, world.acme.pk, [TaxableLine(1, D("100.00"))]).total == D("6.00")
    assert table.tax(None, world.acme.pk, [TaxableLine(1, D("100.00"))]).total == 0
    with pytest.raises(DomainError) as refused:
        table.tax(999_999, world.acme.pk, [])
    assert refused.value.code == "not_found"


def test_a_run_can_ask_for_the_exempt_levels_alone(code: TaxCode, world: World) -> None:
    software = Category.objects.create(name="Books")
    update_tax_code(
        actor=FINANCE, tax_code_id=code.pk, exemptions=[TaxExemptionInput(category_id=software.pk, positions=(2,))]
    )
    add_exemption_certificate(actor=FINANCE, company_id=world.acme.pk, number="R", reason="Resale", valid_from=JAN_1)
    table = tax_table(on=JAN_1)
    assert table.exempt(code.pk, world.globex.pk, category_id=software.pk) == {2}
    assert table.exempt(code.pk, world.acme.pk) == EVERYWHERE
    assert table.exempt(None, world.acme.pk) == frozenset()
