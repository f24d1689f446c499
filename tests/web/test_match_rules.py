"""The rules of the match and of approvals, through their pages."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client
from tests.web.pages import done, errors_beside, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.catalog.models import Category
from counterfoil.core.matching import CATALOGUE
from counterfoil.matching.models import HoldRule, MatchTolerance
from counterfoil.platform.identity import Role
from counterfoil.platform.models import User
from counterfoil.quotes.models import ApprovalRule

RULES = "/match/rules/"
NEW = "/match/rules/tolerances/new/"
APPROVAL = "/quotes/approval-rules/"


@pytest.fixture(autouse=True)
def finance(client: Client, world: World) -> User:
    return sign_in(client, Role.FINANCE)


def test_the_most_particular_tolerance_stands_first(client: Client, world: World) -> None:
    MatchTolerance.objects.all().delete()
    category = Category.objects.get(name="HaaS")
    cost = {"measure": "unit_cost", "bounds": "wider"}
    done(post(client, NEW, cost, percent="2", amount="25"))
    done(post(client, NEW, cost, percent="3", category_id=category.pk))
    done(post(client, NEW, cost, percent="4", vendor_id="Ingram Micro"))
    done(post(client, NEW, cost, percent="5", vendor_id="Ingram Micro", category_id=category.pk))
    page = client.get(RULES)
    assert [row.percent for row in page.context["tolerances"]] == [5, 4, 3, 2]
    assert "The wider of both" in text_of(page)


def test_a_tolerance_needs_a_bound(client: Client) -> None:
    page = refused(post(client, NEW, measure="unit_cost", bounds="wider"))
    assert "percentage, an amount, or both" in errors_beside(page, "percent")
    page = refused(post(client, NEW, measure="days", bounds="wider", percent="2"))
    assert "number of days" in errors_beside(page, "amount")
    page = refused(post(client, NEW, measure="unit_cost", bounds="wider", percent="2", vendor_id="Nobody"))
    assert "no such company" in errors_beside(page, "vendor_id")


def test_a_tolerance_is_changed_and_removed(client: Client, world: World) -> None:
    row = MatchTolerance.objects.create(measure="amount", percent=Decimal(2), vendor=world.ingram)
    address = f"/match/rules/tolerances/{row.pk}/"
    shown = client.get(address).content.decode()
    assert "Ingram Micro" in shown
    assert 'name="vendor_id"' not in shown
    done(post(client, address, percent="", amount="0.05", bounds="narrower"))
    row.refresh_from_db()
    assert (row.percent, row.amount, row.bounds, row.vendor) == (None, Decimal("0.05"), "narrower", world.ingram)
    done(client.post(f"{address}remove/"))
    assert not MatchTolerance.objects.filter(pk=row.pk).exists()
    assert client.get(address).status_code == 404


def test_every_code_says_what_it_means_and_what_it_holds(client: Client) -> None:
    text = text_of(client.get(RULES))
    for code in CATALOGUE.values():
        assert code.label in text
        assert code.meaning in text


def test_what_a_statement_shows_can_hold_invoices_alone(client: Client) -> None:
    page = client.get(RULES).content.decode()
    assert 'name="holds_invoice:under_billed"' in page
    assert 'name="holds_vendor_bill:under_billed"' not in page
    assert 'name="holds_vendor_bill:unit_cost"' in page


def test_only_what_was_changed_is_saved(client: Client) -> None:
    ticked = {
        f"{name}:{code.code}": "yes"
        for code in CATALOGUE.values()
        for name in ("holds_purchase_order", "holds_vendor_bill", "holds_invoice")
        if getattr(code, name)
    }
    HoldRule.objects.all().delete()
    done(post(client, f"{RULES}holds/", ticked))
    assert not HoldRule.objects.exists()
    del ticked["holds_invoice:unit_price"]
    done(post(client, f"{RULES}holds/", ticked))
    rule = HoldRule.objects.get()
    assert (rule.code, rule.holds_invoice) == ("unit_price", False)
    assert 'name="holds_invoice:unit_price" value="yes" aria-label' in client.get(RULES).content.decode()


def test_others_read_the_rules_and_change_none(client: Client) -> None:
    sign_in(client, Role.SALES)
    page = client.get(RULES)
    assert page.status_code == 200
    assert "Save what is held" not in text_of(page)
    assert client.get(NEW).status_code == 403
    assert client.post(f"{RULES}holds/", {"holds_vendor_bill:term": "yes"}).status_code == 403
    assert client.get(APPROVAL).status_code == 200
    assert client.get(f"{APPROVAL}new/").status_code == 403


def test_an_approval_rule_is_made_changed_and_switched_off(client: Client, finance: User) -> None:
    sign_in(client, Role.OWNER)
    assert "Nobody has to approve quotes" in text_of(client.get(APPROVAL))
    deep = {"name": "Deep discount", "measure": "discount", "threshold": "15"}
    done(post(client, f"{APPROVAL}new/", deep, approver_role="finance"))
    rule = ApprovalRule.objects.get()
    text = text_of(client.get(APPROVAL))
    assert "Deep discount Discount above, % of list 15 % Anybody of finance" in text
    done(post(client, f"{APPROVAL}{rule.pk}/", deep | {"threshold": "20"}, approver_id=finance.pk))
    rule.refresh_from_db()
    assert (rule.threshold, rule.approver, rule.approver_role, rule.active) == (Decimal(20), finance, "", False)
    page = refused(post(client, f"{APPROVAL}{rule.pk}/", deep, approver_id=finance.pk, approver_role="sales"))
    assert "not both" in errors_beside(page, "approver_role")
    page = refused(post(client, f"{APPROVAL}new/", deep))
    assert "already" in errors_beside(page, "name")
