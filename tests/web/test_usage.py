"""Time, expenses and products through the pages, and what agreements cover of them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import OWNER, World

from counterfoil.agreements import commands as agreements
from counterfoil.agreements.models import Agreement, AgreementType
from counterfoil.catalog import commands as catalog
from counterfoil.catalog.models import WorkRole
from counterfoil.platform.identity import Role
from counterfoil.usage import commands
from counterfoil.usage.models import Charge


@pytest.fixture(autouse=True)
def owner(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)


@pytest.fixture
def engineer(world: World) -> WorkRole:
    return catalog.create_work_role(actor=OWNER, name="Engineer", hourly_rate=Decimal(120), hourly_cost=Decimal(50))


@pytest.fixture
def block(world: World, engineer: WorkRole) -> Agreement:
    """Ten hours a month for Acme."""
    agreements.install_agreement_types(actor=OWNER)
    return agreements.create_agreement(
        actor=OWNER,
        company_id=world.acme.pk,
        agreement_type_id=AgreementType.objects.get(name="Recurring block").pk,
        name="Ten hours",
        start_date=date(2026, 1, 1),
        application_limit=Decimal(10),
    )


def worked(world: World, engineer: WorkRole, block: Agreement | None, day: int, hours: str, **more: Any) -> Charge:
    return commands.enter_time(
        actor=OWNER, company_id=world.acme.pk, on=date(2026, 1, day), hours=Decimal(hours),
        description=f"Work of day {day}", work_role_id=engineer.pk, agreement_id=block.pk if block else None, **more,
    )  # fmt: skip


def test_several_lines_of_time_are_entered_at_once(
    client: Client, world: World, engineer: WorkRole, block: Agreement
) -> None:
    rows = lines(
        {"company_id": "Acme Corp", "agreement_id": block.number, "hours": "2.5", "description": "Printer",
         "work_role_id": engineer.pk, "ticket": "T-1"},
        {"company_id": "Globex Ltd", "hours": "1", "description": "VPN", "work_role_id": engineer.pk,
         "on": "2026-01-09"},
        {"work_role_id": engineer.pk},
    )  # fmt: skip
    done(post(client, "/usage/time/new/", rows, member="Jo Park", on="2026-01-08"))
    printer, vpn = Charge.objects.order_by("pk")
    assert (printer.date, printer.member, printer.amount) == (date(2026, 1, 8), "Jo Park", Decimal(300))
    assert (vpn.date, vpn.agreement_id) == (date(2026, 1, 9), None)
    page = text_of(client.get("/usage/"))
    assert "Covered" in page
    assert "Jo Park · Engineer · T-1" in page


def test_one_wrong_line_enters_none_and_is_marked(
    client: Client, world: World, engineer: WorkRole, block: Agreement
) -> None:
    rows = lines(
        {"company_id": "Acme Corp", "hours": "1", "description": "Good", "work_role_id": engineer.pk},
        {"company_id": "Globex Ltd", "agreement_id": block.number, "hours": "1", "description": "Not its agreement",
         "work_role_id": engineer.pk},
    )  # fmt: skip
    page = refused(post(client, "/usage/time/new/", rows, on="2026-01-08"))
    assert "is not one of Globex Ltd's" in errors_beside(page, "lines-1-agreement_id")
    assert not Charge.objects.exists()
    assert 'value="Not its agreement"' in page


def test_nothing_entered_is_refused(client: Client, world: World, engineer: WorkRole) -> None:
    refused(post(client, "/usage/time/new/", lines({}), on="2026-01-08"), "Enter at least one line.")


def test_expenses_and_products_are_entered(client: Client, world: World) -> None:
    mileage = catalog.create_expense_type(actor=OWNER, name="Mileage")
    done(
        post(client, "/usage/expenses/new/", company_id="Acme Corp", on="2026-01-08", expense_type_id=mileage.pk,
             quantity="42", unit_price="0.67", description="Drive")
    )  # fmt: skip
    where = done(post(client, "/usage/products/new/", company_id="Acme Corp", on="2026-01-08", product_id="SRV-NI"))
    assert Charge.objects.get(kind="expense").amount == Decimal("28.14")
    assert "It names no agreement" in text_of(client.get(where))
    stocked = post(client, "/usage/products/new/", company_id="Acme Corp", on="2026-01-08", product_id="SRV-INV")
    assert "cannot be entered as used" in errors_beside(refused(stocked), "product_id")


def test_an_entry_shows_why_it_is_covered_or_not(
    client: Client, world: World, engineer: WorkRole, block: Agreement
) -> None:
    worked(world, engineer, block, 5, "8")
    second = worked(world, engineer, block, 6, "4")
    page = text_of(client.get(f"/usage/{second.pk}/"))
    assert "Partly covered" in page
    assert "2 × 120.00 = 240.00" in page
    assert second.allocation.explanation in page


def test_the_filters_of_the_list(client: Client, world: World, engineer: WorkRole, block: Agreement) -> None:
    worked(world, engineer, block, 5, "8")
    worked(world, engineer, block, 6, "4")
    gone = worked(world, engineer, None, 7, "1")
    assert "Goodwill" in text_of(client.get(done(post(client, f"/usage/{gone.pk}/write-off/", reason="Goodwill"))))
    for status, days in {"covered": "56", "overage": "6", "unbilled": "56", "written_off": "7", "billed": ""}.items():
        page = text_of(client.get(f"/usage/?status={status}"))
        assert [day for day in "567" if f"Work of day {day}" in page] == list(days), status


def test_an_entry_is_changed_written_off_restored_and_deleted(client: Client, world: World, engineer: WorkRole) -> None:
    entry = worked(world, engineer, None, 5, "2")
    home = f"/usage/{entry.pk}/"
    sent = {
        "on": "2026-01-06", "quantity": "3", "rate": "100", "description": "Longer", "work_role_id": engineer.pk,
        "billing_option": "Billable", "taxable": "on",
    }  # fmt: skip
    done(post(client, home + "edit/", sent))
    entry.refresh_from_db()
    assert (entry.date, entry.amount, entry.description) == (date(2026, 1, 6), Decimal(300), "Longer")
    refused(post(client, home + "write-off/", reason=""))
    done(post(client, home + "write-off/", reason="Goodwill"))
    assert "Goodwill" in text_of(client.get(home))
    done(post(client, home + "restore/"))
    done(post(client, home + "delete/"))
    assert not Charge.objects.exists()


def test_coverage_lists_entries_by_date_with_what_is_left(
    client: Client, world: World, engineer: WorkRole, block: Agreement
) -> None:
    worked(world, engineer, block, 20, "8")
    worked(world, engineer, block, 5, "4")
    page = text_of(client.get(f"/agreements/{block.pk}/coverage/?period=2026-01-01"))
    first, second = page.index("Work of day 5"), page.index("Work of day 20")
    assert first < second
    assert "4 480.00 4 6 480.00" in page
    assert "8 960.00 6 0 720.00" in page
    assert "the allocation is used up" in page


def test_deciding_anew_is_looked_at_first(client: Client, world: World, engineer: WorkRole, block: Agreement) -> None:
    worked(world, engineer, block, 5, "12")
    address = f"/agreements/{block.pk}/coverage/"
    assert "Nothing would change" in text_of(client.get(address + "?again=1"))
    agreements.update_agreement(actor=OWNER, agreement_id=block.pk, application_limit=Decimal(11))
    page = text_of(client.get(address + "?again=1"))
    assert "1,200.00 1,320.00" in page
    assert "240.00 120.00" in page
    assert Charge.objects.get().allocation.overage_amount == Decimal(240)
    done(post(client, address + "decide/"))
    assert Charge.objects.get().allocation.overage_amount == Decimal(120)


def test_who_may_only_look_decides_nothing_and_enters_nothing(
    client: Client, world: World, engineer: WorkRole, block: Agreement
) -> None:
    entry = worked(world, engineer, block, 5, "12")
    sign_in(client, Role.VIEWER)
    page = client.get(f"/agreements/{block.pk}/coverage/").content.decode()
    assert "Decide anew" not in page
    assert client.get(f"/agreements/{block.pk}/coverage/?again=1").status_code == 403
    assert post(client, f"/agreements/{block.pk}/coverage/decide/").status_code == 403
    assert "edit/" not in client.get(f"/usage/{entry.pk}/").content.decode()


def test_the_recap_adds_up_on_the_agreement(client: Client, world: World, engineer: WorkRole) -> None:
    agreements.install_agreement_types(actor=OWNER)
    today = date.today()
    block = agreements.create_agreement(
        actor=OWNER, company_id=world.acme.pk, name="Ten hours", start_date=today.replace(day=1),
        agreement_type_id=AgreementType.objects.get(name="Recurring block").pk, application_limit=Decimal(10),
    )  # fmt: skip
    done(
        post(client, f"/agreements/{block.pk}/adjustments/new/", on=today.replace(day=1).isoformat(), amount="2",
             description="Goodwill")
    )  # fmt: skip
    commands.enter_time(
        actor=OWNER, company_id=world.acme.pk, on=today, hours=Decimal(11), description="Much",
        work_role_id=engineer.pk, agreement_id=block.pk,
    )  # fmt: skip
    page = text_of(client.get(f"/agreements/{block.pk}/"))
    assert "Starting 10 Adjustments 2 Used (11) Remaining 1 Available 1" in page
    assert "11 of 12 hours used" in page
    assert block.number in text_of(client.get("/agreements/status/")).split("Nearly used up")[-1]
    where = done(post(client, f"/agreements/{block.pk}/adjustments/{block.adjustments.get().pk}/remove/"))
    assert "1,320.00 1,200.00" in text_of(client.get(where))
    done(post(client, f"/agreements/{block.pk}/coverage/decide/"))
    assert "Remaining 0" in text_of(client.get(f"/agreements/{block.pk}/"))


@pytest.mark.parametrize(
    ("address", "sent", "shown"),
    [
        ("work-roles", {"name": "Architect", "hourly_rate": "200", "hourly_cost": ""}, "Architect 200.00"),
        ("work-types", {"name": "Night", "rate_type": "Multiplier", "rate": "1.5"}, "Night Multiplier"),
        ("expense-types", {"name": "Parking"}, "Parking"),
    ],
)  # fmt: skip
def test_roles_and_types_are_made_and_changed(
    client: Client, world: World, address: str, sent: dict[str, str], shown: str
) -> None:
    done(post(client, f"/{address}/new/", sent))
    page = client.get(f"/{address}/")
    assert shown in text_of(page)
    found = re.search(rf'href="(/{address}/\d+/)"', page.content.decode())
    assert found is not None
    done(post(client, found[1], sent | {"name": "Renamed", "active": "on"}))
    assert "Renamed" in text_of(client.get(f"/{address}/"))


def test_a_picker_offers_agreements(client: Client, world: World, block: Agreement) -> None:
    offered = client.get("/pick/agreements/?q=ten").json()["results"]
    assert offered == [{"value": block.number, "label": "Ten hours · Acme Corp"}]
