"""Companies: who is what, who may be billed, main sites and contacts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.world import FINANCE, SALES, VIEWER, World, build_world

from counterfoil.companies import queries
from counterfoil.companies.commands import (
    ContactInput,
    SiteInput,
    add_contact,
    add_site,
    create_billing_terms,
    create_company,
    deactivate_company,
    reactivate_company,
    update_company,
    update_contact,
    update_site,
)
from counterfoil.companies.models import Company
from counterfoil.companies.policies import ensure_billable, ensure_vendor
from counterfoil.core.errors import DomainError
from counterfoil.orders.commands import create_sales_order
from counterfoil.platform.audit import trail_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def msp() -> World:
    return build_world()


def test_a_customer_with_its_main_site_and_contact(msp: World) -> None:
    company = create_company(
        actor=SALES,
        identifier=" Initech ",
        name="Initech",
        terms_id=msp.net30.pk,
        tax_code_id=msp.tax6.pk,
        site=SiteInput(line1="1 Elm St", city="Austin", state="TX", postal_code="73301"),
        contact=ContactInput("Bill Lumbergh", email="bill@initech.example", is_billing=True),
    )
    found = queries.company(company.pk)
    assert found is not None
    assert (found.identifier, found.kind) == ("Initech", "customer")
    assert found.sites.get().address_lines == ["1 Elm St", "Austin, TX 73301"]
    assert found.sites.get().is_default
    assert found.contacts.get().is_default
    assert [entry.sentence for entry in trail_of(company)] == [
        "added Bill Lumbergh to Initech",
        "added the site Main to Initech",
        "added Customer Initech, Initech",
    ]


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"identifier": ""}, "required", "identifier"),
        ({"identifier": "Bad_Key"}, "invalid", "identifier"),
        ({"identifier": "acmecorp"}, "duplicate", "identifier"),
        ({"identifier": "x" * 31}, "invalid", "identifier"),
        ({"name": " "}, "required", "name"),
        ({"kind": "competitor"}, "invalid", "kind"),
        ({"kind": "my_company"}, "duplicate", "kind"),
        ({"account_number": "ACMECORP"}, "duplicate", "account_number"),
        ({"invoice_email": "nobody"}, "invalid", "invoice_email"),
        ({"terms_id": 999_999}, "not_found", "terms_id"),
        ({"tax_code_id": 999_999}, "not_found", "tax_code_id"),
        ({"bill_to_id": 999_999}, "not_found", "bill_to_id"),
    ],
)
def test_what_a_company_cannot_be(msp: World, given: dict[str, object], code: str, field: str) -> None:
    before = Company.objects.count()
    with pytest.raises(DomainError) as refused:
        create_company(actor=FINANCE, **({"identifier": "Initech", "name": "Initech"} | given))  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.field) == (code, field)
    assert Company.objects.count() == before


def test_my_company_is_nobodys_bill_to(msp: World) -> None:
    with pytest.raises(DomainError) as refused:
        update_company(actor=FINANCE, company_id=msp.acme.pk, bill_to_id=msp.my_company.pk)
    assert refused.value.code == "my_company_not_billable"


def test_my_company_can_never_be_billed_and_an_internal_company_at_zero_only(msp: World) -> None:
    for company, bill_to in ((msp.my_company, None), (msp.acme, msp.my_company), (msp.my_company, msp.internal)):
        with pytest.raises(DomainError) as refused:
            ensure_billable(company, bill_to)
        assert refused.value.code == "my_company_not_billable"
    ensure_billable(msp.acme, msp.internal, price_total=Decimal(0))
    with pytest.raises(DomainError, match=r"0\.01 is asked") as refused:
        ensure_billable(msp.acme, msp.internal, price_total=Decimal("0.01"))
    assert refused.value.code == "price_on_internal_company"
    ensure_billable(msp.acme, price_total=Decimal(150))


def test_only_active_vendors_are_bought_from(msp: World) -> None:
    ensure_vendor(msp.ingram)
    deactivate_company(actor=FINANCE, company_id=msp.dell.pk)
    msp.dell.refresh_from_db()
    for company in (msp.acme, msp.dell):
        with pytest.raises(DomainError) as refused:
            ensure_vendor(company)
        assert refused.value.field == "vendor_id"
    assert set(queries.vendors()) == {msp.ingram}


def test_an_update_changes_what_is_given_alone(msp: World) -> None:
    update_company(actor=SALES, company_id=msp.acme.pk, name="Acme Corporation", terms_id=None)
    msp.acme.refresh_from_db()
    assert (msp.acme.name, msp.acme.terms, msp.acme.tax_code) == ("Acme Corporation", None, msp.tax6)
    assert trail_of(msp.acme)[0].sentence == (
        f"changed AcmeCorp: name from “Acme Corp” to “Acme Corporation”, terms from {msp.net30.pk} to none"
    )


def test_a_customer_with_an_order_does_not_turn_into_a_vendor(msp: World) -> None:
    create_sales_order(actor=SALES, company_id=msp.acme.pk, on=msp.acme.created_at.date())
    with pytest.raises(DomainError, match="sales orders") as refused:
        update_company(actor=SALES, company_id=msp.acme.pk, kind="vendor")
    assert refused.value.code == "conflict"
    update_company(actor=SALES, company_id=msp.acme.pk, kind="both")
    update_company(actor=SALES, company_id=msp.globex.pk, kind="vendor")


def test_a_company_with_open_business_stays_active(msp: World) -> None:
    create_sales_order(actor=SALES, company_id=msp.acme.pk, on=msp.acme.created_at.date())
    with pytest.raises(DomainError, match="1 open sales orders"):
        deactivate_company(actor=FINANCE, company_id=msp.acme.pk)
    with pytest.raises(DomainError, match="My Company"):
        deactivate_company(actor=FINANCE, company_id=msp.my_company.pk)
    deactivate_company(actor=FINANCE, company_id=msp.globex.pk)
    assert msp.globex not in queries.sellable_companies()
    with pytest.raises(DomainError, match="not active"):
        create_sales_order(actor=SALES, company_id=msp.globex.pk, on=msp.acme.created_at.date())
    reactivate_company(actor=FINANCE, company_id=msp.globex.pk)
    assert msp.globex in queries.sellable_companies()


def test_one_default_site_and_contact_at_a_time(msp: World) -> None:
    branch = add_site(actor=SALES, company_id=msp.acme.pk, site=SiteInput("Branch", tax_code_id=msp.tax6.pk))
    assert not branch.is_default
    update_site(actor=SALES, site_id=branch.pk, is_default=True, city="Flint")
    assert [(site.name, site.is_default) for site in msp.acme.sites.all()] == [("Branch", True), ("Main", False)]
    with pytest.raises(DomainError, match="default site"):
        update_site(actor=SALES, site_id=branch.pk, is_default=False)
    with pytest.raises(DomainError) as refused:
        add_site(actor=SALES, company_id=msp.acme.pk, site=SiteInput("Branch"))
    assert refused.value.code == "duplicate"

    first = add_contact(actor=SALES, company_id=msp.acme.pk, contact=ContactInput("Pat"), site_id=branch.pk)
    second = add_contact(actor=SALES, company_id=msp.acme.pk, contact=ContactInput("Kim"), is_default=True)
    first.refresh_from_db()
    assert (first.is_default, second.is_default) == (False, True)
    update_contact(actor=SALES, contact_id=first.pk, is_default=True, email="pat@acme.example")
    second.refresh_from_db()
    assert not second.is_default
    with pytest.raises(DomainError) as refused:
        update_contact(actor=SALES, contact_id=first.pk, site_id=msp.globex.sites.get().pk)
    assert (refused.value.code, refused.value.field) == ("not_found", "site_id")


def test_terms_are_the_accountants(msp: World) -> None:
    assert create_billing_terms(actor=FINANCE, name="Net 21", due_days=21).due_days == 21
    for actor, name, code in ((SALES, "Net 7", "role_required"), (FINANCE, "Net 21", "duplicate")):
        with pytest.raises(DomainError) as refused:
            create_billing_terms(actor=actor, name=name, due_days=7)
        assert refused.value.code == code


def test_a_viewer_changes_nothing(msp: World) -> None:
    with pytest.raises(DomainError) as refused:
        update_company(actor=VIEWER, company_id=msp.acme.pk, name="X")
    assert refused.value.code == "role_required"


def test_companies_are_found_by_words_kind_and_account_number(msp: World) -> None:
    assert [company.name for company in queries.companies(search="acme corp")] == ["Acme Corp"]
    assert [company.name for company in queries.companies(search="GLOBEX")] == ["Globex Ltd"]
    assert {company.name for company in queries.companies(vendors=True)} == {"Ingram Micro", "Dell Direct"}
    assert queries.my_company() == msp.my_company
    assert list(queries.internal_companies()) == [msp.internal]
