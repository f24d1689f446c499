"""Time, expenses and products: what they are billed at, what an agreement covers of them, and what may be changed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal as D
from random import Random
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.utils import DatabaseError
from django.test.utils import CaptureQueriesContext
from tests.usage.world import adjust, after_hours, bill, covering, engineer, expense, mileage, time
from tests.world import FINANCE, SALES, VIEWER, World, build_world

from counterfoil.agreements.models import Agreement, CoverageItem, WorkRoleRate, WorkTypeRate
from counterfoil.catalog.models import WorkRole
from counterfoil.core.errors import DomainError
from counterfoil.platform.models import AuditEntry
from counterfoil.tax.models import TaxLevel
from counterfoil.usage import allocating, queries
from counterfoil.usage.commands import (
    delete_charge,
    enter_product,
    enter_time,
    reallocate_agreement,
    restore_charge,
    update_charge,
    write_off_charge,
)
from counterfoil.usage.models import Allocation, Charge

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)


@pytest.fixture
def msp() -> World:
    return build_world()


def day(month: int, number: int) -> date:
    return date(2026, month, number)


def covered(*charges: Charge) -> list[D]:
    """Hours or units covered, as they stand now."""
    found = Allocation.objects.in_bulk([charge.pk for charge in charges])
    return [found[charge.pk].covered_quantity for charge in charges]


def due(*charges: Charge) -> list[D]:
    found = queries.charges().in_bulk([charge.pk for charge in charges])
    return [found[charge.pk].due_amount for charge in charges]


def refused(code: str, field: str | None, **given: Any) -> None:
    deed = given.pop("deed", enter_time)
    with pytest.raises(DomainError) as refusal:
        deed(actor=given.pop("actor", SALES), **given)
    assert (refusal.value.code, refusal.value.field) == (code, field)


# what it is billed at


def test_an_hour_has_the_rate_of_the_work_role(msp: World) -> None:
    charge = time(msp.acme, day(1, 5), "2.5", member="Ann")
    assert (charge.unit_price, charge.billed_quantity, charge.amount) == (100, D("2.5"), 250)
    assert charge.unit_cost == 35
    assert charge.rate_words == "100.00 an hour: 100.00 of the work role Engineer."
    assert due(charge) == [250]
    assert not Allocation.objects.exists()


def test_after_hours_has_a_surcharge_a_minimum_and_is_rounded_up(msp: World) -> None:
    short, long = (time(msp.acme, day(1, 5), hours, work_type_id=after_hours().pk) for hours in ("0.4", "1.3"))
    assert (short.billed_quantity, short.unit_price, short.amount) == (1, 150, 150)
    assert (long.billed_quantity, long.amount) == (D("1.5"), 225)
    assert long.rate_words.endswith("1.5 hours for 1.3 hours worked: rounded up to the next 0.25 hours.")


@pytest.mark.parametrize(
    ("kind", "rate", "gives"),
    [("Custom", "200", "200"), ("AdjAmount", "25", "125"), ("Multiplier", "1.5", "150"), ("Multiplier", "0.9", "90")],
)
def test_an_agreement_changes_the_rate(msp: World, kind: str, rate: str, gives: str) -> None:
    """WE-3."""
    agreement = covering(msp)
    WorkRoleRate.objects.create(agreement=agreement, work_role=engineer(), rate_type=kind, rate=D(rate))
    assert time(msp.acme, day(1, 5), "1", agreement).unit_price == D(gives)


def test_the_rate_said_first_counts(msp: World) -> None:
    agreement = covering(msp)
    said = []
    msp.acme.hourly_rate = D(110)
    msp.acme.save()
    said.append(time(msp.acme, day(2, 5), "1", agreement))
    Agreement.objects.update(hourly_rate=D(120))
    said.append(time(msp.acme, day(2, 5), "1", agreement))
    WorkRoleRate.objects.create(agreement=agreement, rate=D(125))  # of all work roles
    said.append(time(msp.acme, day(2, 5), "1", agreement))
    WorkRoleRate.objects.create(agreement=agreement, work_role=engineer(), rate=D(130))
    said.append(time(msp.acme, day(2, 5), "1", agreement))
    WorkTypeRate.objects.create(agreement=agreement, rate_type="Custom", rate=D(140))
    said.append(time(msp.acme, day(2, 5), "1", agreement))
    said.append(time(msp.acme, day(2, 5), "1", agreement, rate=D(150)))
    assert [charge.unit_price for charge in said] == [110, 120, 125, 130, 140, 150]


def test_a_rate_counts_from_its_effective_date_through_its_ending_date(msp: World) -> None:
    agreement = covering(msp)
    WorkRoleRate.objects.create(agreement=agreement, rate=D(120), effective_date=day(2, 1), ending_date=day(2, 28))
    dates = [day(1, 31), day(2, 1), day(2, 28), day(3, 1)]
    assert [time(msp.acme, on, "1", agreement).unit_price for on in dates] == [100, 120, 120, 100]


def test_what_is_beyond_the_agreement_can_have_its_own_rate(msp: World) -> None:
    agreement = covering(msp, limit="2")
    WorkTypeRate.objects.create(agreement=agreement, overage_rate_type="Custom", overage_rate=D(80))
    charge = time(msp.acme, day(1, 5), "3", agreement)
    assert (charge.unit_price, charge.overage_price, charge.amount) == (100, 80, 300)
    assert (charge.allocation.covered_amount, charge.allocation.overage_price) == (200, 80)
    assert due(charge) == [80]


def test_the_agreement_says_whether_work_is_billed_unless_the_entry_does(msp: World) -> None:
    agreement = covering(msp, bill_time="NoCharge")
    assert time(msp.acme, day(1, 5), "1", agreement).billing_option == "NoCharge"
    assert time(msp.acme, day(1, 5), "1", agreement, billing_option="Billable").billing_option == "Billable"
    WorkTypeRate.objects.create(agreement=agreement, work_type=after_hours(), bill_time="DoNotBill")
    charge = time(msp.acme, day(1, 5), "1", agreement, work_type_id=after_hours().pk)
    assert charge.billing_option == "DoNotBill"
    assert due(charge) == [0]


def test_an_expense_and_a_product(msp: World) -> None:
    miles = expense(msp.acme, day(1, 5), "0.70", quantity=D(40))
    assert (miles.amount, miles.unit_cost, miles.taxable) == (28, D("0.70"), False)
    part = enter_product(
        actor=SALES, company_id=msp.acme.pk, on=day(1, 5), product_id=msp.server_noninventory.pk, unit_price=D(4000)
    )
    assert (part.amount, part.unit_cost, part.description, part.taxable) == (4000, 3600, "Rack server", True)


# what is covered


def test_twenty_hours_a_month(msp: World) -> None:
    agreement = covering(msp)
    first, second, third = (
        time(msp.acme, on, hours, agreement) for on, hours in ((day(1, 5), "15"), (day(1, 20), "8"), (day(2, 2), "3"))
    )
    assert covered(first, second, third) == [15, 5, 3]
    assert due(first, second, third) == [0, 300, 0]
    assert (second.allocation.pool_start, second.allocation.pool_end) == (day(1, 1), day(2, 1))
    assert second.allocation.reason == "used_up"
    assert second.allocation.explanation == (
        "5 of 8 hours covered; 3 hours at 100.00 not covered: 300.00 billed; 0 hours left of Jan 2026."
    )


def test_back_dated_work_is_covered_by_its_date(msp: World) -> None:
    """Whoever is entered late loses nothing, unless the agreement is to work as the field does."""
    agreement = covering(msp)
    late = time(msp.acme, day(1, 20), "20", agreement)
    back_dated = time(msp.acme, day(1, 5), "5", agreement)
    assert covered(late, back_dated) == [15, 5]
    Agreement.objects.update(coverage_order="as_saved")
    reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert covered(late, back_dated) == [20, 0]


def test_what_was_billed_stays_whatever_is_entered_later(msp: World) -> None:
    agreement = covering(msp)
    late = time(msp.acme, day(1, 20), "20", agreement)
    bill(late)
    back_dated = time(msp.acme, day(1, 5), "5", agreement)
    assert covered(late, back_dated) == [20, 0]
    Agreement.objects.update(application_limit=D(22))
    reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert covered(late, back_dated) == [20, 2]


def test_the_database_keeps_what_covers_a_billed_charge(msp: World) -> None:
    charge = time(msp.acme, day(1, 5), "1", covering(msp))
    bill(charge)
    for deed in (lambda: charge.allocation.delete(), lambda: Allocation.objects.update(covered_amount=0)):
        with pytest.raises(DatabaseError, match="posted_is_locked"), transaction.atomic():
            deed()
    with pytest.raises(DatabaseError), transaction.atomic():
        Charge.objects.filter(pk=charge.pk).delete()


@pytest.mark.parametrize(
    ("covers_tax", "prepayment", "limit", "drawn", "tax"),
    [
        pytest.param(False, True, 15000, 100, 0, id="scenario 1"),
        pytest.param(True, True, 15900, 106, 6, id="scenario 2"),
        pytest.param(True, False, 15000, 100, 0, id="no prepayment, no effect"),
    ],
)
def test_a_taxed_block_lasts_150_hours(
    msp: World, covers_tax: bool, prepayment: bool, limit: int, drawn: int, tax: int
) -> None:
    """WE-5: 15,000.00 at 6 %; hour 151 is billed at 100.00, and taxed there."""
    agreement = covering(
        msp, "amount", "15000", billing_amount=D(15000), billing_amount_taxable=True, application_one_time=True,
        covers_sales_tax=covers_tax, prepayment=prepayment,
    )  # fmt: skip
    hours = [time(msp.acme, day(1, 1 + n), "30", agreement) for n in range(5)]
    last = time(msp.acme, day(2, 1), "1", agreement)
    (row,) = queries.recap(agreement_id=agreement.pk, on=day(2, 1))
    assert (row.starting_units, row.remaining_units, row.period_end) == (limit, 0, None)
    assert {(x.allocation.drawn, x.allocation.covered_tax) for x in hours[:1]} == {(30 * drawn, 30 * tax)}
    assert covered(*hours, last) == [30, 30, 30, 30, 30, 0]
    assert due(last) == [100]


def test_a_block_follows_the_tax_code(msp: World) -> None:
    """A rate that rises in July raises what July's invoice pays for, and what July's work draws."""
    agreement = covering(
        msp,
        "amount",
        "1000",
        billing_amount=D(1000),
        billing_amount_taxable=True,
        covers_sales_tax=True,
        prepayment=True,
    )
    TaxLevel.objects.update(valid_to=day(7, 1))
    TaxLevel.objects.create(
        tax_code=msp.tax6, position=1, name="Michigan", rate=D("0.07"), agency="MI", valid_from=day(7, 1)
    )
    june, july = (time(msp.acme, on, "1", agreement) for on in (day(6, 30), day(7, 1)))
    assert (june.allocation.drawn, july.allocation.drawn) == (106, 107)
    assert [row.starting_units for row in queries.recap(agreement_id=agreement.pk, on=day(7, 1))][5:] == [1060, 1070]


def test_exempt_work_draws_no_tax(msp: World) -> None:
    agreement = covering(
        msp,
        "amount",
        "15000",
        billing_amount_taxable=True,
        covers_sales_tax=True,
        prepayment=True,
        covers_expenses=True,
    )
    assert expense(msp.acme, day(1, 5), "50", agreement).allocation.drawn == 50  # mileage is not taxable
    assert time(msp.acme, day(1, 5), "1", agreement, taxable=False).allocation.drawn == 100
    assert time(msp.acme, day(1, 5), "1", agreement).allocation.drawn == 106


def test_a_ticket_is_one_incident(msp: World) -> None:
    agreement = covering(msp, "incidents", "1")
    first, again, other = (time(msp.acme, day(1, 5), "1", agreement, ticket=key) for key in ("T1", "T1", "T2"))
    assert [charge.allocation.drawn for charge in (first, again, other)] == [1, 0, 0]
    assert due(first, again, other) == [0, 0, 100]


def test_excluded_roles_and_listed_ones(msp: World) -> None:
    agreement = covering(msp)
    CoverageItem.objects.create(agreement=agreement, work_role=engineer())
    boss = WorkRole.objects.create(name="Architect", hourly_rate=D(180))
    engineers, architects = (time(msp.acme, day(1, 5), "1", agreement, work_role_id=r.pk) for r in (engineer(), boss))
    assert covered(engineers, architects) == [0, 1]
    Agreement.objects.update(selection="only")
    reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert covered(engineers, architects) == [1, 0]
    assert Allocation.objects.get(charge=architects).reason == "work_role"


def test_overruns_are_billed_in_arrears(msp: World) -> None:
    """WE-26: they wait for the end of their period."""
    agreement = covering(msp, allow_overruns=True)
    adjust(agreement, day(1, 1), "5")
    charge = time(msp.acme, day(1, 5), "27", agreement)
    x = charge.allocation
    assert (x.covered_quantity, x.overrun_quantity, x.overage_quantity, x.overage_amount) == (25, 2, 2, 200)
    assert x.bill_from == day(2, 1)
    assert not queries.charges_to_bill(through=day(1, 30)).exists()
    assert [row.due_amount for row in queries.charges_to_bill(through=day(1, 31))] == [200]
    (row,) = queries.recap(agreement_id=agreement.pk, on=day(1, 31))
    assert (row.starting_units, row.adjustment_units, row.used_units, row.remaining_units, row.overrun_units) == (
        20, 5, -27, -2, 2,
    )  # fmt: skip


def test_the_recap_by_period(msp: World) -> None:
    agreement = covering(msp, carry_over=True)
    time(msp.acme, day(1, 5), "15", agreement)
    rows = queries.recap(agreement_id=agreement.pk, on=day(2, 10))
    assert [(row.label, row.carried_in_units, row.remaining_units, row.is_current) for row in rows] == [
        ("Jan 2026", 0, 5, False),
        ("Feb 2026", 5, 25, True),
    ]
    assert rows[0].period_end == day(1, 31)
    assert queries.current_recaps(on=day(2, 10)) == {agreement.pk: rows[1]}


def test_a_cancelled_agreement_covers_through_its_last_day(msp: World) -> None:
    agreement = covering(msp, cancelled_on=day(1, 10))
    last, later = (time(msp.acme, on, "1", agreement) for on in (day(1, 10), day(1, 11)))
    assert covered(last, later) == [1, 0]
    assert later.allocation.reason == "outside_dates"


# deciding anew


def test_a_reallocation_is_previewed_and_then_run(msp: World) -> None:
    agreement = covering(msp)
    billed = time(msp.acme, day(1, 3), "5", agreement)
    bill(billed)
    time(msp.acme, day(1, 5), "20", agreement)
    Agreement.objects.update(application_limit=D(30))
    rows = queries.preview_reallocation(agreement_id=agreement.pk)
    assert [(r.billed, r.changes, r.old_covered_quantity, r.new_covered_quantity) for r in rows] == [
        (True, False, 5, 5),
        (False, True, 15, 20),
    ]
    assert (rows[1].old_overage_amount, rows[1].new_overage_amount) == (500, 0)
    assert rows[1].explanation == "20 hours covered; 5 hours left of Jan 2026."
    assert queries.preview_reallocation(agreement_id=agreement.pk) == rows  # a preview writes nothing
    done = reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert (done.charges, done.changed, done.overage_amount) == (1, 1, 0)
    assert reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk).changed == 0


def test_rates_are_updated_only_when_asked_for(msp: World) -> None:
    agreement = covering(msp, "amount", "150")
    billed, open_one = (time(msp.acme, day(1, n), "1", agreement) for n in (3, 4))
    bill(billed)
    WorkRole.objects.update(hourly_rate=D(120))
    reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk)
    assert due(open_one) == [50]
    (_, row) = queries.preview_reallocation(agreement_id=agreement.pk, update_rates=True)
    assert (row.amount, row.new_overage_amount) == (120, 70)
    assert Charge.objects.get(pk=open_one.pk).amount == 100
    reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk, update_rates=True)
    assert [charge.amount for charge in Charge.objects.order_by("pk")] == [100, 120]
    assert due(open_one) == [70]


def test_many_agreements_are_decided_with_a_constant_number_of_statements(msp: World) -> None:
    agreements = [covering(msp) for _ in range(6)]
    for agreement in agreements:
        time(msp.acme, day(1, 5), "25", agreement)

    def statements(count: int) -> int:
        Allocation.objects.all().delete()
        with transaction.atomic(), CaptureQueriesContext(connection) as seen:
            allocating.refresh([agreement.pk for agreement in agreements[:count]])
        assert Allocation.objects.count() == count
        return len(seen)

    assert statements(6) == statements(2) <= 8


TERMS: list[dict[str, Any]] = [
    {"units": "hours", "limit": "20"},
    {"units": "hours", "limit": "20", "coverage_order": "as_saved"},
    {"units": "hours", "limit": "8", "carry_over": True, "carry_over_days": 40},
    {"units": "amount", "limit": "900", "carry_over": True, "covers_sales_tax": True, "prepayment": True},
    {"units": "hours", "limit": "15", "allow_overruns": True, "overrun_limit": D(6)},
    {"units": "hours", "limit": "15", "allow_overruns": True, "overrun_from": "next_period"},
    {"units": "incidents", "limit": "3"},
    {"units": "hours", "limit": "50", "application_one_time": True, "expire_when_zero": True},
]


@pytest.mark.parametrize("terms", TERMS, ids=lambda terms: " ".join(map(str, terms.values())))
def test_deciding_from_an_entry_on_is_the_same_as_deciding_all(msp: World, terms: dict[str, Any]) -> None:
    """Whatever is entered, changed, billed and taken out in whatever order, all decided anew gives nothing new."""
    random = Random(7)
    agreement = covering(msp, **terms)
    for on, amount in ((day(1, 10), "4"), (day(2, 3), "-3"), (day(2, 20), "30")):
        adjust(agreement, on, amount)
    made: list[Charge] = []
    for step in range(30):
        on, hours = date(2026, random.randint(1, 4), random.randint(1, 28)), D(random.randint(1, 40)) / 4
        deed = random.choice(["enter", "enter", "enter", "update", "delete", "bill"])
        charge = random.choice(made) if made else None
        if deed == "enter" or charge is None:
            made.append(time(msp.acme, on, str(hours), agreement, ticket=f"T{step % 7}"))
        elif deed == "bill":
            bill(charge)
            made.remove(charge)
        elif deed == "delete":
            delete_charge(actor=SALES, charge_id=charge.pk)
            made.remove(charge)
        else:
            update_charge(actor=SALES, charge_id=charge.pk, on=on, quantity=hours)
    assert [row for row in queries.preview_reallocation(agreement_id=agreement.pk) if row.changes] == []
    whole = allocating.decide([agreement], through=day(4, 30))[agreement.pk]
    standing = queries.recap(agreement_id=agreement.pk, on=day(4, 30))
    assert [(row.remaining_units, row.carried_in_units, row.used_units, row.overrun_units) for row in standing] == [
        (pool.remaining, pool.carried_in, pool.used, pool.overrun) for pool in whole.coverage.pools
    ]


# changing


def test_a_change_decides_both_agreements_anew(msp: World) -> None:
    one, two = covering(msp), covering(msp)
    first, second = (time(msp.acme, day(1, n), "15", one) for n in (5, 6))
    assert covered(first, second) == [15, 5]
    moved = update_charge(actor=SALES, charge_id=first.pk, agreement_id=two.pk, quantity=D(16))
    assert (moved.amount, moved.allocation.agreement) == (1600, two)
    assert covered(first, second) == [16, 15]
    update_charge(actor=SALES, charge_id=first.pk, agreement_id=None)
    assert not Allocation.objects.filter(charge=first).exists()
    assert due(first) == [1600]


def test_a_deleted_entry_gives_back_what_it_drew(msp: World) -> None:
    agreement = covering(msp)
    first, second = (time(msp.acme, day(1, n), "15", agreement) for n in (5, 6))
    delete_charge(actor=SALES, charge_id=first.pk)
    assert covered(second) == [15]
    assert not Charge.objects.filter(pk=first.pk).exists()


def test_a_write_off_draws_nothing_and_can_be_taken_back(msp: World) -> None:
    agreement = covering(msp)
    first, second = (time(msp.acme, day(1, n), "15", agreement) for n in (5, 6))
    written = write_off_charge(actor=FINANCE, charge_id=first.pk, reason="Our mistake", now=NOW)
    assert (written.written_off_at, written.write_off_reason) == (NOW, "Our mistake")
    assert covered(second) == [15]
    assert list(queries.charges(status="written_off")) == [first]
    assert list(queries.charges_to_bill(through=day(1, 31))) == [second]
    refused("wrong_state", None, deed=update_charge, charge_id=first.pk, notes="x")
    restore_charge(actor=FINANCE, charge_id=first.pk)
    assert covered(first, second) == [15, 5]
    refused("wrong_state", None, deed=restore_charge, actor=FINANCE, charge_id=first.pk)


def test_what_is_billed_is_not_changed(msp: World) -> None:
    charge = time(msp.acme, day(1, 5), "1", covering(msp))
    bill(charge)
    refused("already_invoiced", None, deed=update_charge, charge_id=charge.pk, notes="x")
    refused("already_invoiced", None, deed=delete_charge, charge_id=charge.pk)
    refused("already_invoiced", None, deed=write_off_charge, actor=FINANCE, charge_id=charge.pk, reason="x", now=NOW)


def test_every_deed_is_in_the_audit_trail(msp: World) -> None:
    agreement = covering(msp)
    charge = time(msp.acme, day(1, 5), "1.5", agreement, description="Firewall rules")
    update_charge(actor=SALES, charge_id=charge.pk, quantity=D(2))
    reallocate_agreement(actor=FINANCE, agreement_id=agreement.pk)
    delete_charge(actor=SALES, charge_id=charge.pk)
    said = list(AuditEntry.objects.filter(verb__startswith="usage.").order_by("seq").values_list("sentence", flat=True))
    assert said == [
        "entered 1.5 hours of 5 Jan 2026 for Acme Corp: Firewall rules",
        "changed 2 hours of 5 Jan 2026 for Acme Corp: Firewall rules: quantity from 1.5 to 2",
        f"decided anew what {agreement.number} covers: 0 of 1 entries not billed changed, 0.00 is beyond it",
        "deleted 2 hours of 5 Jan 2026 for Acme Corp: Firewall rules",
    ]


# refusals


def test_what_cannot_be_entered(msp: World) -> None:
    role = engineer()
    good = {
        "company_id": msp.acme.pk, "on": day(1, 5), "hours": D(1), "description": "Support", "work_role_id": role.pk,
    }  # fmt: skip
    other = covering(msp)
    Agreement.objects.filter(pk=other.pk).update(company=msp.globex)
    refused("invalid", "agreement_id", **good | {"agreement_id": other.pk})
    refused("not_found", "agreement_id", **good | {"agreement_id": 999})
    refused("invalid", "hours", **good | {"hours": D(0)})
    refused("invalid", "hours", **good | {"hours": D(1001)})
    refused("invalid", "on", **good | {"on": date(1026, 1, 5)})
    refused("invalid", "rate", **good | {"rate": D(-1)})
    refused("required", "description", **good | {"description": " "})
    refused("not_found", "work_role_id", **good | {"work_role_id": 999})
    refused("not_found", "site_id", **good | {"site_id": msp.globex.sites.get().pk})
    refused("my_company_not_billable", "company_id", **good | {"company_id": msp.my_company.pk})
    refused("invalid", "company_id", **good | {"company_id": msp.dell.pk})
    refused("role_required", None, **good | {"actor": VIEWER})
    enter_time(actor=SALES, **good, external_id="T-1")
    refused("duplicate", "external_id", **good | {"external_id": "T-1"})
    WorkRole.objects.update(active=False)
    refused("invalid", "work_role_id", **good)
    assert Charge.objects.count() == 1


def test_internal_work_is_not_billed(msp: World) -> None:
    assert time(msp.internal, day(1, 5), "1").billing_option == "DoNotBill"
    with pytest.raises(DomainError) as refusal:
        time(msp.internal, day(1, 5), "1", billing_option="Billable")
    assert refusal.value.code == "price_on_internal_company"


@pytest.mark.parametrize("name", ["server_inventory", "lease"])
def test_stock_and_agreement_products_are_sold_elsewhere(msp: World, name: str) -> None:
    refused(
        "wrong_product_class", "product_id", deed=enter_product, company_id=msp.acme.pk, on=day(1, 5),
        product_id=getattr(msp, name).pk,
    )  # fmt: skip


def test_a_change_must_fit_the_kind(msp: World) -> None:
    hours, miles = time(msp.acme, day(1, 5), "1"), expense(msp.acme, day(1, 5), "5")
    refused("invalid", "unit_price", deed=update_charge, charge_id=hours.pk, unit_price=D(5))
    refused("invalid", "rate", deed=update_charge, charge_id=miles.pk, rate=D(5))
    refused("invalid", "expense_type_id", deed=update_charge, charge_id=hours.pk, expense_type_id=mileage().pk)
    refused("not_found", "work_role_id", deed=update_charge, charge_id=hours.pk, work_role_id=999)
    refused("not_found", "agreement_id", deed=update_charge, charge_id=hours.pk, agreement_id=999)
    assert update_charge(actor=SALES, charge_id=hours.pk, rate=D(90)).amount == 90
    assert update_charge(actor=SALES, charge_id=hours.pk, rate=None).amount == 100
    assert update_charge(actor=SALES, charge_id=miles.pk, unit_price=D(6)).amount == 6


# what waits to be billed


def test_what_waits_to_be_billed_by_customer(msp: World) -> None:
    agreement = covering(msp, limit="1")
    time(msp.acme, day(1, 5), "3", agreement)
    time(msp.acme, day(1, 6), "1", billing_option="DoNotBill")
    time(msp.globex, day(1, 7), "1")
    later = time(msp.globex, day(2, 7), "1")
    bill(later)
    acme, globex = queries.unbilled(through=day(1, 31))
    assert (acme.company, acme.charges, acme.covered_amount, acme.due_amount) == ("Acme Corp", 1, 100, 200)
    assert (globex.company, globex.first_date, globex.last_date, globex.due_amount) == (
        "Globex Ltd", day(1, 7), day(1, 7), 100,
    )  # fmt: skip


def test_finding_entries(msp: World) -> None:
    ann = time(msp.acme, day(1, 5), "1", description="Firewall rules", member="Ann", ticket="T7")
    bob = time(msp.globex, day(2, 5), "1", member="Bob")
    for asked, found in (
        ({"search": "ann acme"}, [ann]),
        ({"ticket": "T7"}, [ann]),
        ({"company_id": msp.globex.pk}, [bob]),
        ({"since": day(1, 6)}, [bob]),
        ({"through": day(1, 5)}, [ann]),
        ({"kind": "expense"}, []),
        ({"status": "open"}, [bob, ann]),
        ({"status": "billed"}, []),
    ):
        assert list(queries.charges(**asked)) == found, asked
    assert queries.charge(ann.pk) == ann
    assert queries.charge(0) is None
