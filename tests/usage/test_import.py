"""Time, expenses and products from CSV files: priced and covered like those entered by hand, all or nothing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.usage.world import after_hours, bill, covering, engineer, mileage, time
from tests.world import SALES, VIEWER, World, build_world

from counterfoil.agreements.models import Agreement
from counterfoil.catalog.models import WorkRole
from counterfoil.core.errors import DomainError
from counterfoil.platform.imports import sample_csv
from counterfoil.platform.models import AuditEntry
from counterfoil.usage import queries
from counterfoil.usage.imports import columns, import_usage, preview_usage
from counterfoil.usage.models import Allocation, Charge

pytestmark = pytest.mark.django_db

HEAD = (
    "external_id,kind,date,company,agreement,quantity,description,work_role,work_type,expense_type,product,price,cost"
)


@pytest.fixture
def msp() -> World:
    engineer(), after_hours(), mileage()
    return build_world()


def file(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def run(*lines: str) -> tuple[int, int, int]:
    result = import_usage(actor=SALES, content=file(*lines), filename="usage.csv")
    return result.created, result.updated, result.unchanged


def refused(*lines: str) -> list[tuple[str, str, str]]:
    before = list(Charge.objects.order_by("pk").values())
    preview = preview_usage(content=file(*lines))
    with pytest.raises(DomainError) as refusal:
        import_usage(actor=SALES, content=file(*lines))
    assert refusal.value.code == "import_rows_invalid"
    assert list(Charge.objects.order_by("pk").values()) == before
    assert tuple(error.as_dict() for error in preview.errors) == refusal.value.details
    return [(error["row"], error["column"], error["message"]) for error in refusal.value.details]


def test_a_week_of_work(msp: World) -> None:
    agreement = covering(msp, limit="5")
    lines = [
        HEAD,
        f"T1,time,2026-01-20,AcmeCorp,{agreement.number},4,Firewall rules,Engineer,,,,,",
        f"T2,Time,1/5/2026,acmecorp,{agreement.number},1.3,Switch,engineer,After hours,,,,",
        "T3,expense,6 Jan 2026,Globex,,40,To the site,,,Mileage,,0.70,",
        ",product,2026-01-07,Globex,,2,Rack server,,,,SRV-NI,,",
    ]
    preview = preview_usage(content=file(*lines))
    assert preview.errors == ()
    assert [(row.deed, row.identifier, row.name) for row in preview.rows] == [
        ("create", "T1", "20 Jan 2026, Acme Corp: 4 hours Firewall rules, 400.00"),
        ("create", "T2", "5 Jan 2026, Acme Corp: 1.3 hours Switch, 225.00"),
        ("create", "T3", "6 Jan 2026, Globex Ltd: 40 x To the site, 28.00"),
        ("create", "", "7 Jan 2026, Globex Ltd: 2 x Rack server, 0.00"),
    ]
    assert not Charge.objects.exists()
    assert run(*lines) == (4, 0, 0)
    one, two, miles, server = queries.charges().order_by("pk")
    # T2 is dated before T1, so it is covered first, whatever the order of the rows.
    assert (two.billed_quantity, two.unit_price, two.allocation.covered_quantity) == (D("1.5"), 150, D("1.5"))
    assert (one.allocation.covered_quantity, one.due_amount) == (D("3.5"), 50)
    assert (miles.amount, miles.unit_cost, miles.taxable) == (28, D("0.7"), False)
    assert (server.unit_cost, server.taxable, server.product) == (3600, True, msp.server_noninventory)
    assert AuditEntry.objects.filter(verb__in=("usage.time.entered", "usage.imported")).count() == 3


def test_the_same_file_again_changes_nothing_even_after_the_rates_did(msp: World) -> None:
    agreement = covering(msp)
    lines = [HEAD, f"T1,time,2026-01-20,AcmeCorp,{agreement.number},4,Firewall rules,Engineer,,,,,"]
    run(*lines)
    WorkRole.objects.update(hourly_rate=D(120))
    bill(*Charge.objects.all())
    assert run(*lines) == (0, 0, 1)
    assert Charge.objects.get().amount == 400


def test_an_entry_is_corrected_and_covered_anew(msp: World) -> None:
    one, two = covering(msp), covering(msp)
    run(HEAD, f"T1,time,2026-01-20,AcmeCorp,{one.number},4,Firewall rules,Engineer,,,,,")
    lines = [HEAD, f"T1,time,2026-01-21,AcmeCorp,{two.number},5,Firewall rules,Engineer,,,,90,"]
    (row,) = preview_usage(content=file(*lines)).rows
    assert row.deed == "update"
    assert "quantity from 4 to 5" in row.changes
    assert "amount from 400 to 450" in row.changes
    assert run(*lines) == (0, 1, 0)
    assert Allocation.objects.get().agreement == two
    assert Charge.objects.get().rate_override == 90
    run(HEAD, "T1,time,2026-01-21,AcmeCorp,,5,Firewall rules,Engineer,,,,90,")
    assert not Allocation.objects.exists()


def test_columns_that_are_not_there_leave_what_is_there(msp: World) -> None:
    agreement = covering(msp)
    run(HEAD, f"T1,time,2026-01-20,AcmeCorp,{agreement.number},4,Firewall rules,Engineer,After hours,,,90,")
    head = "external_id,kind,date,company,quantity,description,work_role"
    assert run(head, "T1,time,2026-01-20,AcmeCorp,6,Firewall rules,Engineer") == (0, 1, 0)
    charge = Charge.objects.get()
    assert (charge.rate_override, charge.work_type, charge.agreement, charge.amount) == (
        90,
        after_hours(),
        agreement,
        540,
    )


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("T1,time,2026-01-20,Acme,,4,Rules,Engineer,,,,,", "company", "There is no company “Acme”."),
        ("T1,time,20.1.2026,AcmeCorp,,4,Rules,Engineer,,,,,", "date", "“20.1.2026” is not a date."),
        ("T1,time,,AcmeCorp,,4,Rules,Engineer,,,,,", "date", "Enter the date."),
        ("T1,time,1026-01-20,AcmeCorp,,4,Rules,Engineer,,,,,", "date", "1026-01-20 cannot be meant."),
        ("T1,time,2026-01-20,AcmeCorp,,0,Rules,Engineer,,,,,", "quantity", "0 is not above zero."),
        ("T1,time,2026-01-20,AcmeCorp,,x,Rules,Engineer,,,,,", "quantity", "“x” is not a number."),
        ("T1,time,2026-01-20,AcmeCorp,,4,,Engineer,,,,,", "description", "Enter the description."),
        ("T1,time,2026-01-20,AcmeCorp,,4,Rules,,,,,,", "work_role", "Enter the work role."),
        ("T1,time,2026-01-20,AcmeCorp,,4,Rules,Plumber,,,,,", "work_role", "There is no work role “Plumber”."),
        ("T1,time,2026-01-20,AcmeCorp,,4,Rules,Engineer,,Mileage,,,", "expense_type", "Time has no expense type."),
        ("T1,time,2026-01-20,AcmeCorp,,4,Rules,Engineer,,,,,5", "cost", "Time costs what the work role says."),
        ("T1,time,2026-01-20,AcmeCorp,NONE,4,Rules,Engineer,,,,,", "agreement", "There is no agreement “NONE”."),
        ("T1,time,2026-01-20,Dell,,4,Rules,Engineer,,,,,", "company", "Dell Direct is a vendor only."),
        ("T1,time,2026-01-20,NorthwindIT,,4,Rules,Engineer,,,,,", "company", None),
        ("T1,expense,2026-01-20,AcmeCorp,,4,Miles,,,Mileage,,,", "price", "Enter the price."),
        ("T1,product,2026-01-20,AcmeCorp,,4,Server,,,,SRV-INV,,", "product", None),
        ("T1,barter,2026-01-20,AcmeCorp,,4,Rules,Engineer,,,,,", "kind", "“barter” is not known here."),
    ],
)
def test_a_mistake_is_named_with_its_row_and_column(msp: World, line: str, column: str, message: str | None) -> None:
    good = "T9,time,2026-01-20,AcmeCorp,,4,Firewall rules,Engineer,,,,,"
    found = refused(HEAD, good, line)
    assert ("3", column) in [error[:2] for error in found]
    if message:
        assert ("3", column, message) in found


def test_of_a_kind_that_nobody_knows_nothing_else_is_said(msp: World) -> None:
    found = refused(HEAD, "T1,barter,2026-01-20,AcmeCorp,,4,Rules,Engineer,,,,,")
    assert [error[:2] for error in found] == [("2", "kind")]


def test_what_is_billed_or_twice_in_the_file_is_refused(msp: World) -> None:
    agreement = covering(msp)
    Agreement.objects.filter(pk=covering(msp).pk).update(company=msp.globex)
    line = f"T1,time,2026-01-20,AcmeCorp,{agreement.number},4,Firewall rules,Engineer,,,,,"
    assert [error[:2] for error in refused(HEAD, line, line)] == [("3", "external_id")]
    others = line.replace(agreement.number, Agreement.objects.get(company=msp.globex).number)
    assert [error[:2] for error in refused(HEAD, others)] == [("2", "agreement")]
    run(HEAD, line)
    assert [error[:2] for error in refused(HEAD, line.replace("time", "expense", 1))][:1] == [("2", "kind")]
    bill(*Charge.objects.all())
    assert refused(HEAD, line.replace(",4,", ",5,")) == [
        ("2", "", "“Firewall rules” is on an invoice and cannot be changed.")
    ]


def test_a_viewer_may_not(msp: World) -> None:
    with pytest.raises(DomainError) as refusal:
        import_usage(actor=VIEWER, content=b"")
    assert refusal.value.code == "role_required"


def test_the_sample_names_every_column(msp: World) -> None:
    header, row = sample_csv(columns()).splitlines()
    assert header.split(",")[:2] == ["external_id", "kind"]
    assert len(row.split(",")) == len(columns())


def test_many_rows_take_few_statements(msp: World) -> None:
    agreements = [covering(msp) for _ in range(3)]

    def statements(count: int, key: str) -> int:
        lines = [
            f"{key}{n},time,2026-01-{n % 28 + 1:02},AcmeCorp,{agreements[n % 3].number},1,Work,Engineer,,,,,"
            for n in range(count)
        ]
        with CaptureQueriesContext(connection) as seen:
            assert run(HEAD, *lines) == (count, 0, 0)
        return len(seen)

    statements(3, "A")
    assert statements(120, "B") == statements(30, "C") <= 30
    assert queries.recap(agreement_id=agreements[0].pk, on=date(2026, 1, 31))[0].used_units == -20
    assert time(msp.acme, date(2026, 1, 31), "1", agreements[0]).allocation.covered_quantity == 0
