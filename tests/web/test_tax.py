"""Pages of tax codes, exemption certificates, rate files and the sales tax report."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.accounting.records import make_invoice
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import FINANCE, World, build_world

from counterfoil.catalog.models import WorkRole
from counterfoil.platform.identity import Role
from counterfoil.tax import queries
from counterfoil.tax.commands import add_exemption_certificate
from counterfoil.tax.models import ExemptionCertificate, TaxCode, TaxLevel
from counterfoil.web.actions import today

pytestmark = pytest.mark.django_db
STATE = {"name": "State", "rate": "4", "agency": "NYS"}
CITY = {"name": "City", "rate": "4.875%", "agency": "NYS"}


@pytest.fixture
def world(client: Client) -> World:
    world = build_world()
    sign_in(client, Role.FINANCE)
    return world


def test_a_tax_code_has_levels_in_per_cent(client: Client, world: World) -> None:
    done(post(client, "/tax-codes/new/", lines(STATE, CITY), identifier="NYC", description="New York"))
    made = TaxCode.objects.get(identifier="NYC")
    assert [level.rate for level in made.levels.all()] == [Decimal("0.04"), Decimal("0.04875")]
    assert "8.875%" in text_of(client.get("/tax-codes/"))
    assert "State 4% Everything NYS always" in text_of(client.get(f"/tax-codes/{made.pk}/"))
    page = client.get(f"/tax-codes/{made.pk}/edit/").content.decode()
    assert 'value="4.875"' in page
    done(post(client, f"/tax-codes/{made.pk}/edit/", lines(STATE, initial=1), identifier="NYC", active="on"))
    assert made.levels.count() == 1


def test_a_new_rate_from_a_day_keeps_the_old_one(client: Client, world: World) -> None:
    raised = {"name": "Michigan", "rate": "6.5", "agency": "MI Dept of Treasury", "rate_type": "percent"}
    address = f"/tax-codes/{world.tax6.pk}/edit/"
    sent = lines(raised, initial=1)
    done(post(client, address, sent, identifier="MI6", active="on", levels_from="2099-07-01"))
    said = text_of(client.get(f"/tax-codes/{world.tax6.pk}/"))
    assert "Michigan 6% Everything MI Dept of Treasury before 1 Jul 2099" in said
    assert "Michigan 6.5% from 1 Jul 2099" in said


def test_every_rule_of_a_level_can_be_entered_and_is_there_to_change(client: Client, world: World) -> None:
    article = {
        "name": "Single article", "rate": "2.75", "agency": "TN Revenue", "kinds": "products",
        "single_unit_minimum": "1,600", "single_unit_maximum": "3,200", "taxable_max": "9,000", "compound_on": "1",
        "jurisdiction": "47-45-47",
    }  # fmt: skip
    fee = {"name": "Fee", "rate": "1.50", "agency": "TN Revenue", "rate_type": "amount"}
    done(post(client, "/tax-codes/new/", lines(STATE, article, fee), identifier="TN", state="tn", shown="on"))
    code = TaxCode.objects.get(identifier="TN")
    level, amount = code.levels.get(position=2), code.levels.get(position=3)
    assert (level.rate, level.taxes_services, level.taxes_products) == (Decimal("0.0275"), False, True)
    assert (level.taxable_max, level.compound_on, code.state) == (Decimal(9000), [1], "TN")
    assert (amount.rate, amount.rate_type) == (Decimal("1.5"), "amount")
    said = text_of(client.get(f"/tax-codes/{code.pk}/"))
    assert (
        "a unit's price from 1,600.00 to 3,200.00; at most 9,000.00 of a line; also the tax of level 1;"
        " rates of 47-45-47 2.75% Products" in said
    )
    assert "1.50 a unit" in said
    before = list(TaxLevel.objects.values("name", "rate", "compound_on", "single_unit_maximum").order_by("position"))
    page = client.get(f"/tax-codes/{code.pk}/edit/").content.decode()
    entered = re.findall(r'name="(lines-\d-\w+)" value="([^"]*)"', page)
    chosen = re.findall(r'<select name="(lines-\d-\w+)".*?<option value="(\w*)" selected', page, re.S)
    sent = {"lines-TOTAL_FORMS": "3", "lines-INITIAL_FORMS": "3", **dict(entered), **dict(chosen)}
    done(post(client, f"/tax-codes/{code.pk}/edit/", sent, identifier="TN", active="on"))
    after = list(TaxLevel.objects.values("name", "rate", "compound_on", "single_unit_maximum").order_by("position"))
    assert after == before


def test_what_is_wrong_is_said_in_its_line(client: Client, world: World) -> None:
    page = refused(post(client, "/tax-codes/new/", lines(STATE, {**CITY, "rate": "600"}), identifier="X"))
    assert "must lie between 0 and 100 %" in errors_beside(page, "lines-1-rate")
    page = refused(post(client, "/tax-codes/new/", lines({**STATE, "compound_on": "1"}), identifier="X"))
    assert "levels before it" in errors_beside(page, "lines-0-compound_on")
    page = refused(post(client, "/tax-codes/new/", lines({**STATE, "compound_on": "seven"}), identifier="X"))
    assert "Write the numbers of levels" in errors_beside(page, "lines-0-compound_on")
    page = refused(post(client, "/tax-codes/new/", lines(STATE), identifier="X", effective_date="2026-02-01",
                        cancel_date="2026-01-01"))  # fmt: skip
    assert "cancelled after" in errors_beside(page, "cancel_date")


def test_what_a_code_exempts(client: Client, world: World) -> None:
    trainer = WorkRole.objects.create(name="Trainer")
    address = f"/tax-codes/{world.tax6.pk}/exemptions/"
    rows = lines({"work_role_id": trainer.pk, "positions": "1"}, {"category_id": world.lease.category_id})
    done(post(client, address, rows))
    assert [(str(x), x.positions) for x in queries.exemptions(world.tax6.pk)] == [("Trainer", [1]), ("HaaS", [])]
    said = text_of(client.get(f"/tax-codes/{world.tax6.pk}/"))
    assert "Trainer Work role 1" in said
    assert "HaaS Product category all" in said
    both = lines({"work_role_id": trainer.pk, "category_id": world.lease.category_id})
    page = refused(post(client, address, both))
    assert "names one thing" in errors_beside(page, "lines-0-category_id")


def test_what_is_rounded(client: Client, world: World) -> None:
    assert "rounded to the cent on the invoice" in text_of(client.get("/tax-codes/"))
    done(post(client, "/tax-codes/rounding/", basis="line"))
    assert queries.tax_basis() == "line"
    assert "rounded to the cent on each line" in text_of(client.get("/tax-codes/"))


def test_certificates_are_kept_and_those_that_expire_stand_above(client: Client, world: World) -> None:
    soon = today() + timedelta(days=10)
    given = {"company_id": "Acme Corp", "number": "R-1", "reason": "Resale", "valid_from": "2025-01-01"}
    done(post(client, "/tax-codes/certificates/new/", given, expires_on=soon.isoformat()))
    made = ExemptionCertificate.objects.get()
    said = text_of(client.get("/tax-codes/certificates/"))
    assert "Ask for new ones" in said
    assert "Acme Corp R-1 Resale All tax codes" in said
    assert "Nothing matches" in text_of(client.get("/tax-codes/certificates/?q=Globex"))
    assert "R-1" in text_of(client.get("/tax-codes/certificates/?q=acme"))
    done(post(client, f"/tax-codes/certificates/{made.pk}/", given, tax_code_id=world.tax6.pk, expires_on=""))
    made.refresh_from_db()
    assert (made.tax_code, made.expires_on) == (world.tax6, None)
    assert "Ask for new ones" not in text_of(client.get("/tax-codes/certificates/"))
    page = refused(post(client, "/tax-codes/certificates/new/", given, expires_on="2024-01-01"))
    assert "cannot expire before" in errors_beside(page, "expires_on")


def test_rates_come_from_a_file(client: Client, world: World) -> None:
    TaxLevel.objects.filter(tax_code=world.tax6).update(jurisdiction="26-45-26")
    file = SimpleUploadedFile("MIR.csv", b"26,45,26,0.0625,0.0625,0,0,20260401,29991231", content_type="text/csv")
    page = client.post("/imports/?kind=sst-rates", {"file": file}).content.decode()
    assert "6.25 % from 1 Apr 2026" in page
    content = re.findall(r'name="content" value="([^"]+)"', page)[0]
    sent = {"content": content, "filename": "MIR.csv", "confirmed": "yes"}
    assert done(client.post("/imports/?kind=sst-rates", sent)) == "/tax-codes/"
    assert queries.tax_levels(world.tax6.pk, on=date(2026, 4, 1))[0].rate == Decimal("0.0625")
    sample = client.get("/imports/?kind=sst-rates&sample=1").content.decode()
    assert sample.startswith("05,45,05,0.065")


def test_a_viewer_sees_and_changes_nothing(client: Client, world: World) -> None:
    add_exemption_certificate(
        actor=FINANCE, company_id=world.acme.pk, number="R", reason="Resale", valid_from=date(2026, 1, 1)
    )
    client.logout()
    sign_in(client, Role.VIEWER)
    for address in ("/tax-codes/", f"/tax-codes/{world.tax6.pk}/", "/tax-codes/certificates/"):
        page = client.get(address)
        assert page.status_code == 200
        assert not re.search(r'href="[^"]*/(new|edit|exemptions|rounding)/', page.content.decode())
    for address in ("new/", f"{world.tax6.pk}/edit/", f"{world.tax6.pk}/exemptions/", "rounding/", "certificates/new/"):
        assert client.get(f"/tax-codes/{address}").status_code == 403
    assert client.get("/tax-codes/999/").status_code == client.get("/tax-codes/certificates/999/").status_code == 404


def test_the_report_has_a_page_and_a_file(client: Client, world: World) -> None:
    make_invoice(world, on=date(2026, 1, 10), product=world.server_noninventory)
    assert "Which sales tax was billed" in text_of(client.get("/reports/"))
    address = "/reports/sales-tax/?from=2026-01-01&to=2026-01-31"
    said = text_of(client.get(address))
    assert "Not in the books yet" in said
    assert "MI Dept of Treasury MI6 Michigan Jan 2026" in said
    file = client.get(address + "&format=csv").content.decode("utf-8-sig")
    assert "MI Dept of Treasury,MI6,Michigan,Jan 2026,0.00,0.00,0.00,0.00,0.00,0.00,9.00" in file
