"""Agreements through the pages: made, added to, invoiced, cancelled."""

from __future__ import annotations

import html
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from tests.web import deal as deals
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import OWNER, World

from counterfoil.agreements import commands
from counterfoil.agreements.models import AdditionChange, Agreement, AgreementKind, AgreementType, BillingState
from counterfoil.agreements.parameters import COPIED
from counterfoil.billing.models import Invoice
from counterfoil.catalog import commands as catalog
from counterfoil.platform.identity import Role
from counterfoil.platform.models import AuditEntry


@pytest.fixture(autouse=True)
def owner(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)


def made(world: World, kind: str = AgreementKind.HOSTING, **terms: Any) -> Agreement:
    """An agreement of Acme from the start of the year."""
    commands.install_agreement_types(actor=OWNER)
    chosen = AgreementType.objects.filter(kind=kind).latest("pk")
    given = {"company_id": world.acme.pk, "name": "Support", "start_date": date(2026, 1, 1)} | terms
    return commands.create_agreement(actor=OWNER, agreement_type_id=chosen.pk, **given)


def test_an_agreement_is_made_with_additions_from_the_catalog(client: Client, world: World) -> None:
    where = done(
        post(
            client, "/agreements/new/", lines({"product_id": "HAAS-SRV", "quantity": "2"}),
            company_id="Acme Corp", agreement_type_id=world.haas.pk, name="Hardware as a service",
            start_date="2026-01-01", billing_cycle="month:1", billing_amount="",
        )
    )  # fmt: skip
    assert "300.00" in text_of(client.get(where))
    page = text_of(client.get(where + "upcoming/"))
    assert "1–31 Jan 2026" in page
    assert "1–28 Feb 2026" in page
    assert "Hardware as a service" in text_of(client.get("/agreements/"))


def test_the_next_period_is_invoiced_once_and_the_preview_moves_on(client: Client, world: World) -> None:
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    home = f"/agreements/{deal.agreement.pk}/"
    assert 'name="period" value="2026-01-01"' in client.get(home).content.decode()
    made = done(post(client, home + "invoice/", period="2026-01-01"))
    invoice = Invoice.objects.get()
    assert made == f"/invoices/{invoice.pk}/"
    assert (invoice.period_start, invoice.subtotal, invoice.total) == (date(2026, 1, 1), Decimal(150), Decimal(159))
    page = client.get(home).content.decode()
    assert "Invoice 1–28 Feb 2026?" in page
    twice = post(client, home + "invoice/", period="2026-01-01")
    assert twice.status_code == 409
    assert Invoice.objects.count() == 1
    assert post(client, home + "invoice/").status_code == 422
    assert post(client, home + "invoice/", period="2026-13-45").status_code == 422
    done(post(client, home + "invoice/", period="2026-02-01"))
    assert Invoice.objects.count() == 2


def test_additions_are_added_changed_and_cancelled(client: Client, world: World) -> None:
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    home = f"/agreements/{deal.agreement.pk}/"
    done(
        post(client, home + "additions/new/", product_id="HAAS-SRV", quantity="3", unit_price="10",
             effective_date="2026-02-01", billing_option="Billable")
    )  # fmt: skip
    added = deal.agreement.additions.get(position=2)
    change = {
        "description": "Backup", "quantity": "5", "less_included": "1", "unit_price": "10", "unit_cost": "0",
        "effective_date": "2026-02-01", "billing_option": "Billable",
    }  # fmt: skip
    done(post(client, home + f"additions/{added.pk}/", change))
    assert "(5 − 1 included) × 10.00 = 40.00" in text_of(client.get(home))
    done(post(client, home + f"additions/{added.pk}/cancel/", on="2026-03-31"))
    added.refresh_from_db()
    assert added.cancelled_date == date(2026, 3, 31)
    done(post(client, home + f"additions/{added.pk}/uncancel/"))
    added.refresh_from_db()
    assert added.cancelled_date is None


def test_a_bundle_as_an_addition_is_refused_beside_the_product(client: Client, world: World) -> None:
    world.server_noninventory.product_class = "Bundle"
    world.server_noninventory.accounting_type = "OtherCharge"
    world.server_noninventory.save()
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    page = refused(
        post(client, f"/agreements/{deal.agreement.pk}/additions/new/", product_id="SRV-NI",
             effective_date="2026-02-01", billing_option="Billable"),
        "undle",
    )  # fmt: skip
    assert "undle" in errors_beside(page, "product_id")


def test_an_agreement_is_changed_and_cancelled(client: Client, world: World) -> None:
    deal = deals.convert(deals.quote(world))
    assert deal.agreement is not None
    home = f"/agreements/{deal.agreement.pk}/"
    done(
        post(client, home + "edit/", name="New name", billing_amount="25", bill_to_id=world.acme.pk,
             end_date="2028-12-31", tax_code_id=world.tax6.pk, terms_id=world.net30.pk)
    )  # fmt: skip
    assert "175.00" in text_of(client.get(home))
    refused(post(client, home + "cancel/", on="2026-06-30", reason=""), "This field is required")
    done(post(client, home + "cancel/", on="2026-06-30", reason="Moved away"))
    assert Agreement.objects.get().status == "cancelled"
    assert "Moved away" in text_of(client.get(home))


def test_my_company_cannot_be_chosen(client: Client, world: World) -> None:
    answer = post(
        client, "/agreements/new/", lines(), company_id="Northwind IT", agreement_type_id=world.haas.pk, name="x",
        start_date="2026-01-01", billing_cycle="month:1",
    )  # fmt: skip
    assert "There is no such company" in errors_beside(refused(answer), "company_id")


# -- terms -------------------------------------------------------------------------------------------------------------


def fields_of(page: str) -> dict[str, str]:
    """What a browser would send of the page's form, as it stands."""
    form = re.search(r'<form method="post" class="cf-form.*?</form>', page, re.S)
    assert form is not None
    body = re.sub(r"<template.*?</template>", "", form[0], flags=re.S)
    sent = {}
    for tag in re.findall(r"<input[^>]*>", body):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "disabled" in tag or not attributes.get("name") or attributes["name"] == "csrfmiddlewaretoken":
            continue
        if attributes.get("type") == "checkbox" and " checked" not in tag:
            continue
        sent[attributes["name"]] = html.unescape(
            attributes.get("value", "on" if attributes.get("type") == "checkbox" else "")
        )
    for name, options in re.findall(r'<select name="([^"]+)"(?![^>]*disabled)[^>]*>(.*?)</select>', body, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        sent[name] = html.unescape(chosen[1]) if chosen else ""
    for name, text in re.findall(r'<textarea name="([^"]+)"[^>]*>(.*?)</textarea>', body, re.S):
        sent[name] = html.unescape(text).strip()
    return sent


@pytest.mark.parametrize("kind", [kind for kind in AgreementKind if kind != AgreementKind.OTHER])
def test_a_new_agreement_has_the_terms_that_its_type_proposes(client: Client, world: World, kind: str) -> None:
    commands.install_agreement_types(actor=OWNER)
    chosen = AgreementType.objects.filter(kind=kind).latest("pk")
    page = client.get(f"/agreements/new/?agreement_type_id={chosen.pk}").content.decode()
    sent = fields_of(page) | {"company_id": "Acme Corp", "name": "As proposed", "application_limit": "10"}
    if chosen.application_unlimited:
        sent["application_limit"] = ""
    done(client.post("/agreements/new/", sent))
    agreement = Agreement.objects.get()
    same = [name for name in COPIED if name not in {"terms_id", "application_limit"}]
    assert {name: getattr(agreement, name) for name in same} == {name: getattr(chosen, name) for name in same}


def test_terms_of_one_type_are_not_saved_under_another(client: Client, world: World) -> None:
    commands.install_agreement_types(actor=OWNER)
    block = AgreementType.objects.get(name="Recurring block")
    page = client.get(f"/agreements/new/?agreement_type_id={block.pk}").content.decode()
    sent = fields_of(page) | {"company_id": "Acme Corp", "name": "x", "agreement_type_id": world.haas.pk}
    answer = client.post("/agreements/new/", sent)
    assert "those of another type" in errors_beside(refused(answer), "agreement_type_id")


def test_choosing_a_type_swaps_its_terms_in(client: Client, world: World) -> None:
    commands.install_agreement_types(actor=OWNER)
    block = AgreementType.objects.get(name="Recurring block")
    answer = client.get(f"/agreements/new/?agreement_type_id={block.pk}", headers={"HX-Target": "terms"})
    page = answer.content.decode()
    assert page.strip().startswith('<div id="terms">')
    assert '<option value="hours" selected' in page
    assert f'name="terms_of" value="{block.pk}"' in page


def test_only_the_sections_that_matter_stand_open(client: Client, world: World) -> None:
    commands.install_agreement_types(actor=OWNER)
    hosting = AgreementType.objects.get(name="Hosting")
    block = AgreementType.objects.get(name="One-time block")

    def opened(pk: int) -> set[str]:
        page = client.get(f"/agreements/new/?agreement_type_id={pk}").content.decode()
        return set(re.findall(r'id="section-(\w+)" open', page))

    assert "coverage" not in opened(hosting.pk)
    assert "coverage" in opened(block.pk)


def test_any_number_of_units_is_a_cycle(client: Client, world: World) -> None:
    agreement = made(world)
    address = f"/agreements/{agreement.pk}/edit/"
    sent = fields_of(client.get(address).content.decode())
    done(client.post(address, sent | {"billing_cycle_0": "6", "billing_cycle_1": "week"}))
    agreement.refresh_from_db()
    assert agreement.billing_cycle == "week:6"


def test_a_form_that_is_sent_as_it_stands_changes_nothing(client: Client, world: World) -> None:
    agreement = made(
        world, AgreementKind.RECURRING_BLOCK, billing_amount=Decimal(1200), application_limit=Decimal(10),
        carry_over=True, carry_over_days=31, allow_overruns=True, hourly_rate=Decimal("99.5"), invoice_text="Thank you",
    )  # fmt: skip
    before = {name: getattr(agreement, name) for name in COPIED}
    page = client.get(f"/agreements/{agreement.pk}/edit/").content.decode()
    done(client.post(f"/agreements/{agreement.pk}/edit/", fields_of(page)))
    agreement = Agreement.objects.get(pk=agreement.pk)
    assert {name: getattr(agreement, name) for name in COPIED} == before
    assert agreement.invoice_text == "Thank you"


def test_what_has_no_effect_is_said(client: Client, world: World) -> None:
    agreement = made(world, AgreementKind.HOSTING, covers_sales_tax=True)
    page = client.get(f"/agreements/{agreement.pk}/edit/").content.decode()
    assert "Without prepayment on the type covering sales tax has no effect." in page
    assert "Covering sales tax has no effect" in text_of(client.get(f"/agreements/{agreement.pk}/"))


def test_a_contradiction_stands_beside_its_field_in_a_section_that_opens(client: Client, world: World) -> None:
    agreement = made(world)
    address = f"/agreements/{agreement.pk}/edit/"
    sent = fields_of(client.get(address).content.decode()) | {"application_limit": "5", "application_unlimited": "on"}
    page = refused(client.post(address, sent))
    assert "unlimited or has a limit" in errors_beside(page, "application_limit")
    assert 'id="section-coverage" open' in page


# -- changes from a day on ---------------------------------------------------------------------------------------------


def test_a_quantity_changes_from_a_day_on_and_its_effect_is_seen_before(client: Client, world: World) -> None:
    agreement = made(world, additions=[commands.AdditionInput(product_id=world.lease.pk, quantity=Decimal(2))])
    addition = agreement.additions.get()
    address = f"/agreements/{agreement.pk}/additions/{addition.pk}/change/"
    before = AuditEntry.objects.count()
    preview = text_of(client.get(address + "preview/?on=2026-02-01&quantity=3"))
    assert "1–28 Feb 2026 300.00 450.00" in preview
    assert (AdditionChange.objects.count(), AuditEntry.objects.count()) == (0, before)
    done(post(client, address, on="2026-02-01", quantity="3", reason="Another rack"))
    page = text_of(client.get(f"/agreements/{agreement.pk}/"))
    assert "quantity 2 → 3 · Another rack" in page
    done(post(client, address + "remove/", on="2026-02-01"))
    assert "Another rack" not in text_of(client.get(f"/agreements/{agreement.pk}/")).split("Audit trail")[0]


def test_a_preview_of_what_is_refused_says_why(client: Client, world: World) -> None:
    agreement = made(world, additions=[commands.AdditionInput(product_id=world.lease.pk, quantity=Decimal(2))])
    address = f"/agreements/{agreement.pk}/additions/{agreement.additions.get().pk}/change/preview/"
    assert "Nothing would change" in text_of(client.get(address + "?on=2026-02-01&quantity=2"))
    assert "Fill in the day" in text_of(client.get(address + "?on=soon&quantity=2"))


def test_the_billing_amount_changes_from_a_day_on(client: Client, world: World) -> None:
    agreement = made(world, billing_amount=Decimal(100))
    address = f"/agreements/{agreement.pk}/amount/"
    assert "1–31 Mar 2026 100.00 120.00" in text_of(client.get(address + "preview/?on=2026-03-01&billing_amount=120"))
    done(post(client, address, on="2026-03-01", billing_amount="120"))
    assert "100.00 → 120.00" in text_of(client.get(f"/agreements/{agreement.pk}/"))


# -- its life ----------------------------------------------------------------------------------------------------------


def test_an_agreement_is_renewed_with_an_uplift_and_copied(client: Client, world: World) -> None:
    agreement = made(world, billing_amount=Decimal(100), end_date=date(2026, 12, 31))
    address = f"/agreements/{agreement.pk}/renew/"
    where = done(post(client, address, last_day="2026-12-31", uplift_percent="5 %", name="Second year"))
    successor = Agreement.objects.get(renews=agreement)
    assert where == f"/agreements/{successor.pk}/"
    assert (successor.billing_amount, successor.end_date) == (Decimal(105), date(2027, 12, 31))
    assert f"Renewed by {successor.number}" in text_of(client.get(f"/agreements/{agreement.pk}/"))
    done(post(client, f"/agreements/{agreement.pk}/copy/", company_id="Globex Ltd", name="For Globex", on="2026-05-01"))
    assert Agreement.objects.get(name="For Globex").company_id == world.globex.pk


def test_a_period_is_left_out_and_reopened(client: Client, world: World) -> None:
    agreement = made(world, billing_amount=Decimal(100))
    home = f"/agreements/{agreement.pk}/"
    done(post(client, home + "periods/cancel/", period_start="2026-02-01", reason="Moving house", write_off="on"))
    page = text_of(client.get(home))
    assert "1–28 Feb 2026 Moving house Written off" in page
    done(post(client, home + "periods/reopen/", period_start="2026-02-01"))
    assert not agreement.cancelled_periods.exists()


def test_a_child_is_attached_and_detached(client: Client, world: World) -> None:
    parent, child = made(world, billing_amount=Decimal(100)), made(world, name="Branch", billing_amount=Decimal(10))
    done(post(client, f"/agreements/{child.pk}/attach/", parent_id=parent.pk))
    assert "Branch" in text_of(client.get(f"/agreements/{parent.pk}/"))
    assert f"billed on the invoices of {parent.number}" in text_of(client.get(f"/agreements/{child.pk}/"))
    done(post(client, f"/agreements/{child.pk}/detach/"))
    child.refresh_from_db()
    assert child.parent_id is None


def test_an_agreement_is_ended(client: Client, world: World) -> None:
    agreement = made(world)
    done(post(client, f"/agreements/{agreement.pk}/end/", on="2026-06-30"))
    agreement.refresh_from_db()
    assert (agreement.status, agreement.end_date) == ("ended", date(2026, 6, 30))


def test_limits_and_renewals_show_what_somebody_should_look_at(client: Client, world: World) -> None:
    agreement = made(world, end_date=date.today() + timedelta(days=45))
    BillingState.objects.filter(agreement=agreement).update(
        parked_code="absurd_amount", parked_reason="A hundred times the last invoice.", parked_hint="Check it.",
        parked_at=datetime(2026, 1, 5, tzinfo=UTC), changed_from=date(2026, 1, 3),
    )  # fmt: skip
    page = text_of(client.get("/agreements/status/"))
    assert "A hundred times the last invoice." in page
    assert "3 Jan 2026" in page

    def ending(days: int) -> str:
        shown = text_of(client.get(f"/agreements/status/?days={days}"))
        return shown[shown.index("not renewed yet") : shown.index("Nearly used up 80 %")]

    assert agreement.number not in ending(30)
    assert agreement.number in ending(60)
    assert "It is mended" in page
    done(post(client, f"/agreements/{agreement.pk}/unpark/", back="status"))
    assert "No agreement is parked" in text_of(client.get("/agreements/status/"))


# -- types, rates and lists --------------------------------------------------------------------------------------------


def test_the_usual_types_are_added_and_one_is_changed(client: Client, world: World) -> None:
    done(post(client, "/agreement-types/usual/"))
    block = AgreementType.objects.get(name="Recurring block")
    address = f"/agreement-types/{block.pk}/edit/"
    sent = fields_of(client.get(address).content.decode())
    done(client.post(address, sent | {"invoice_prefix": "BLK", "hourly_rate": "125"}))
    block.refresh_from_db()
    assert (block.invoice_prefix, block.hourly_rate, block.prepayment) == ("BLK", Decimal(125), True)
    assert "Time: by hours" in text_of(client.get("/agreement-types/"))


def test_a_block_in_amounts_is_billed_once_and_its_limit_reads_as_money(client: Client, world: World) -> None:
    block = made(
        world, bill_one_time=True, billing_amount=Decimal(15000), application_limit=Decimal(15000),
        application_one_time=True, covers_time=True,
    )  # fmt: skip
    page = text_of(client.get(f"/agreements/{block.pk}/"))
    assert "Time: 15,000.00, for the whole term" in page
    assert "Limit 15,000.00" in page
    assert f"{block.number} {block.name} 15,000.00 1 Jan 2026 · once" in page


def test_rates_and_lists_are_set_line_by_line(client: Client, world: World) -> None:
    role = catalog.create_work_role(actor=OWNER, name="Engineer", hourly_rate=Decimal(120))
    agreement = made(world)
    home = f"/agreements/{agreement.pk}/rates/"
    done(post(client, home + "work-roles/", lines({"work_role_id": role.pk, "rate_type": "Custom", "rate": "110"})))
    done(post(client, home + "work-types/", lines({"rate_type": "Multiplier", "rate": "1.5", "hours_min": "1"})))
    done(post(client, home + "items/", lines({"work_role_id": role.pk})))
    page = text_of(client.get(f"/agreements/{agreement.pk}/"))
    assert "Engineer Custom rate 110.00" in page
    assert "All work types Multiplier 1.50 at least 1" in page
    assert "All but those listed: Engineer" in page
    wrong = post(client, home + "work-roles/", lines({"rate_type": "Custom", "rate": "-5"}))
    refused(wrong)
    assert client.get(home + "nothing/").status_code == 404
