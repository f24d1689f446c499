"""Time, expenses and products on invoices: by which rule they are grouped, what is shown of what is covered."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.trade import NOW, D
from tests.usage.world import covering, engineer, expense, mileage, time
from tests.world import FINANCE, World, build_world

from counterfoil.billing.charges import charges_to_bill
from counterfoil.billing.commands import bill_charges, close_invoices, remove_invoice_line, update_billing_settings
from counterfoil.billing.models import Grouping, Invoice
from counterfoil.companies.models import BillingTerms, Company, Site
from counterfoil.tax.models import TaxCode, TaxLevel
from counterfoil.usage.models import Charge

pytestmark = pytest.mark.django_db

MAR_5, MAR_31 = date(2026, 3, 5), date(2026, 3, 31)


@pytest.fixture
def world() -> World:
    engineer(), mileage()
    return build_world()


def billed(**fields: Any) -> list[Invoice]:
    return list(bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31, **fields).invoices)


def shown(invoice: Invoice) -> list[tuple[Any, ...]]:
    rows = invoice.lines.order_by("position")
    return [(row.kind, row.quantity, row.unit_price, row.covered_amount, row.amount, row.explanation) for row in rows]


def test_one_invoice_a_company_oldest_first_and_a_second_run_adds_nothing(world: World) -> None:
    time(world.acme, date(2026, 3, 9), "2", ticket="T-2")
    expense(world.acme, MAR_5, "30", ticket="T-1")
    time(world.globex, MAR_5, "1", ticket="T-3")
    time(world.acme, date(2026, 4, 1), "8")
    assert [(group.company.name, group.amount) for group in charges_to_bill(through=MAR_31)] == [
        ("Acme Corp", D("230")), ("Globex Ltd", D("100")),
    ]  # fmt: skip
    acme, globex = billed()
    assert shown(acme) == [
        ("expense", 1, 30, 0, D("30"), "1 × 30.00 = 30.00"), ("service", 2, 100, 0, D("200"), "2 h × 100.00 = 200.00"),
    ]  # fmt: skip
    assert (acme.type, acme.tax_total, acme.ticket) == ("standard", D("12"), "")
    assert (globex.subtotal, globex.ticket, globex.terms_name) == (D("100"), "T-3", "Net 30")
    assert billed() == []


@pytest.mark.parametrize(("rule", "count"), [("company", 1), ("customer_po", 2), ("ticket", 3), ("site", 1)])
def test_the_rule_says_what_makes_an_invoice_of_its_own(world: World, rule: str, count: int) -> None:
    for ticket, po in (("T-1", "PO-1"), ("T-2", "PO-1"), ("T-3", "PO-2"), ("T-3", "PO-2")):
        time(world.acme, MAR_5, "1", ticket=ticket, customer_po=po)
    assert len(billed(grouping=Grouping(rule))) == count


def test_the_companys_rule_goes_before_the_msps(world: World) -> None:
    update_billing_settings(actor=FINANCE, grouping=Grouping.TICKET)
    Company.objects.filter(pk=world.globex.pk).update(invoice_grouping="company")
    for company in (world.acme, world.globex):
        time(company, MAR_5, "1", ticket="T-1")
        time(company, MAR_5, "1", ticket="T-2")
    assert [(invoice.company.name, invoice.ticket) for invoice in billed()] == [
        ("Acme Corp", "T-1"), ("Acme Corp", "T-2"), ("Globex Ltd", ""),
    ]  # fmt: skip


def test_p7_sites_with_one_tax_code_are_together_and_apart_where_they_are_taxed_apart(world: World) -> None:
    ohio = TaxCode.objects.create(identifier="OH", description="Ohio")
    TaxLevel.objects.create(tax_code=ohio, position=1, name="Ohio", rate=D("0.05"), agency="OH")
    same = Site.objects.create(company=world.acme, name="Flint")
    other = Site.objects.create(company=world.acme, name="Toledo", tax_code=ohio)
    for site in (None, same, other):
        time(world.acme, MAR_5, "1", site_id=site and site.pk)
    assert sorted((invoice.subtotal, invoice.tax_total) for invoice in billed()) == [
        (D("100"), D("5")), (D("200"), D("12")),
    ]  # fmt: skip


def test_what_is_not_to_be_billed_is_left_and_no_charge_is_shown(world: World) -> None:
    time(world.acme, MAR_5, "1", billing_option="DoNotBill")
    time(world.acme, MAR_5, "2", billing_option="NoCharge")
    (invoice,) = billed()
    assert shown(invoice) == [("service", 2, 0, 0, 0, "2 h, no charge")]
    assert Charge.objects.filter(billed=False).count() == 1


def test_covered_and_overage_on_one_line_and_only_the_excess_is_taxed(world: World) -> None:
    agreement = covering(world, limit="2")
    time(world.acme, MAR_5, "3", agreement)
    (invoice,) = billed()
    words = f"3 h × 100.00 = 300.00, 200.00 covered by {agreement}, 1 h overage"
    assert shown(invoice) == [("service", 3, 100, D("200"), D("100"), words)]
    assert (invoice.tax_total, invoice.lines.get().released_amount) == (D("6"), 0)


def test_an_overage_price_of_its_own_makes_a_second_line(world: World) -> None:
    agreement = covering(world, limit="2")
    charge = time(world.acme, MAR_5, "3", agreement)
    Charge.objects.filter(pk=charge.pk).update(overage_price=D("150"))
    (invoice,) = billed()
    assert shown(invoice) == [
        ("service", 2, 100, D("200"), 0, f"3 h × 100.00 = 300.00, 200.00 covered by {agreement}, 1 h overage"),
        ("service", 1, 150, 0, D("150"), f"1 h × 150.00 = 150.00, overage of {agreement}"),
    ]  # fmt: skip
    assert invoice.cost_total == D("105")
    remove_invoice_line(actor=FINANCE, line_id=invoice.lines.get(position=2).pk)
    assert (invoice.lines.count(), Charge.objects.get().billed) == (0, False)


def test_the_terms_of_the_agreement_hold_where_all_work_is_under_it(world: World) -> None:
    net10 = BillingTerms.objects.create(name="Net 10 days", due_days=10)
    agreement = covering(world, terms=net10)
    time(world.acme, MAR_5, "1", agreement)
    assert billed()[0].terms_name == "Net 10 days"


def test_a_company_that_cannot_be_billed_is_left_out_and_the_others_are_billed(world: World) -> None:
    time(world.acme, MAR_5, "1")
    time(world.globex, MAR_5, "1")
    TaxCode.objects.filter(pk=world.tax6.pk).update(cancel_date=date(2026, 3, 1))
    free = TaxCode.objects.create(identifier="NONE", description="No tax")
    Company.objects.filter(pk=world.globex.pk).update(tax_code=free)
    result = bill_charges(actor=FINANCE, through=MAR_31, on=MAR_31)
    assert [invoice.company.name for invoice in result.invoices] == ["Globex Ltd"]
    assert [(row.company, row.reason.code) for row in result.left_out] == [("Acme Corp", "tax_code_not_in_effect")]
    assert Charge.objects.get(company=world.acme).billed is False


def test_invoices_of_work_are_closed_together(world: World) -> None:
    for company in (world.acme, world.globex):
        time(company, MAR_5, "1")
    done = close_invoices(actor=FINANCE, invoice_ids=[row.pk for row in billed()], now=NOW)
    assert [row.number for row in done.invoices] == ["INV-0001", "INV-0002"]
