"""Setting up through the pages: companies, products, tax codes, imports."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from tests.web.pages import done, errors_beside, post, refused, sign_in, text_of
from tests.world import World

from counterfoil.catalog.models import Product, WorkRole
from counterfoil.companies.models import Company
from counterfoil.platform.identity import Role
from counterfoil.usage.models import Charge


@pytest.fixture(autouse=True)
def owner(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)


def test_a_company_is_made_with_site_and_contact_and_changed(client: Client, world: World) -> None:
    where = done(
        post(
            client, "/companies/new/", identifier="Initech", name="Initech Inc", kind="customer",
            terms_id=world.net30.pk, line1="1 Elm St", city="Austin", state="TX", postal_code="73301", contact="Bill L",
        )
    )  # fmt: skip
    page = text_of(client.get(where))
    assert "1 Elm St, Austin, TX 73301" in page
    assert "Bill L" in page
    made = Company.objects.get(identifier="Initech")
    change = {"identifier": "Initech", "name": "Initech LLC", "kind": "both", "bill_to_id": "Acme Corp"}
    done(post(client, where + "edit/", change))
    made.refresh_from_db()
    assert (made.name, made.kind, made.bill_to) == ("Initech LLC", "both", world.acme)
    done(post(client, where + "sites/new/", name="Branch", city="Dallas"))
    done(post(client, where + f"sites/{made.sites.get(name='Branch').pk}/", name="Branch office"))
    done(post(client, where + "contacts/new/", name="Ann", email="ann@initech.example"))
    done(post(client, where + f"contacts/{made.contacts.get(name='Ann').pk}/", name="Ann B"))
    done(post(client, where + "active/"))
    made.refresh_from_db()
    assert not made.active


def test_a_second_company_of_that_identifier_is_refused_beside_it(client: Client, world: World) -> None:
    page = refused(post(client, "/companies/new/", identifier="AcmeCorp", name="Other", kind="customer"))
    assert "already" in errors_beside(page, "identifier")


def test_a_product_is_made_and_changed(client: Client, world: World) -> None:
    category = world.lease.category_id
    form = {
        "identifier": "FW-1", "description": "Firewall", "product_class": "Inventory", "accounting_type": "",
        "category_id": category, "cost": "1,250.50", "price": "", "unit_of_measure": "each", "serialized": "on",
        "vendor_id": "Dell Direct",
    }  # fmt: skip
    where = done(post(client, "/products/new/", form))
    made = Product.objects.get(identifier="FW-1")
    assert (made.cost, made.price, made.accounting_type, made.serialized) == (
        Decimal("1250.50"), Decimal(0), "InventoryPart", True,
    )  # fmt: skip
    done(post(client, where, {**form, "accounting_type": "InventoryPart", "description": "Firewall M", "cost": "1300"}))
    made.refresh_from_db()
    assert (made.description, made.cost) == ("Firewall M", Decimal(1300))
    done(post(client, where + "active/"))
    made.refresh_from_db()
    assert not made.active


def test_an_agreement_product_needs_its_recurrence(client: Client, world: World) -> None:
    form = {
        "identifier": "A-1", "description": "Care", "product_class": "Agreement",
        "category_id": world.lease.category_id, "unit_of_measure": "each",
    }  # fmt: skip
    page = refused(post(client, "/products/new/", form))
    assert "how often" in errors_beside(page, "billing_cycle")


def test_who_may_not_change_a_product_sees_it(client: Client, world: World) -> None:
    sign_in(client, Role.VIEWER)
    page = client.get(f"/products/{world.lease.pk}/")
    assert "Server as a service" in text_of(page)
    assert '<form method="post" class="cf-form' not in page.content.decode()


def test_a_category_and_a_division_of_it_are_made(client: Client, world: World) -> None:
    done(post(client, "/products/categories/new/", name="Networking"))
    done(post(client, "/products/categories/new/", name="Switches", parent_id=world.lease.category_id))
    page = refused(post(client, "/products/categories/new/", name="Networking"))
    assert "already" in errors_beside(page, "name")


def upload(client: Client, kind: str, text: str) -> object:
    file = SimpleUploadedFile("file.csv", text.encode(), content_type="text/csv")
    return client.post(f"/imports/?kind={kind}", {"file": file})


def test_a_file_is_previewed_and_then_imported(client: Client, world: World) -> None:
    answer = upload(client, "companies", "identifier,name\nInitech,Initech Inc\nAcmeCorp,Acme Corporation\n")
    page = answer.content.decode()  # type: ignore[attr-defined]
    assert "1 to create, 1 to update" in page
    assert not Company.objects.filter(identifier="Initech").exists()
    content = re.findall(r'name="content" value="([^"]+)"', page)[0]
    sent = {"content": content, "filename": "file.csv", "confirmed": "yes"}
    assert done(client.post("/imports/?kind=companies", sent)) == "/companies/"
    assert Company.objects.get(identifier="AcmeCorp").name == "Acme Corporation"
    assert "1 new, 1 changed" in text_of(client.get("/companies/"))


def test_every_wrong_row_is_named_and_nothing_is_imported(client: Client, world: World) -> None:
    text = "identifier,description,class,category,cost\nX-1,One,Inventory,Hardware,abc\nX-2,Two,Nonsense,Hardware,1\n"
    page = refused(upload(client, "products", text), "abc", "Nonsense")
    assert 'name="confirmed"' not in page
    refused(upload(client, "products", "nonsense\n1\n"), "There is no column “nonsense”")
    assert not Product.objects.filter(identifier__startswith="X-").exists()


def test_work_is_previewed_and_then_imported(client: Client, world: World) -> None:
    WorkRole.objects.create(name="Engineer", hourly_rate=100)
    rows = "kind,date,company,quantity,description,work_role\ntime,3/15/2026,AcmeCorp,1.5,Firewall rules,Engineer\n"
    page = upload(client, "usage", rows).content.decode()  # type: ignore[attr-defined]
    assert "15 Mar 2026, Acme Corp: 1.5 hours Firewall rules, 150.00" in page
    content = re.findall(r'name="content" value="([^"]+)"', page)[0]
    sent = {"content": content, "filename": "file.csv", "confirmed": "yes"}
    assert done(client.post("/imports/?kind=usage", sent)) == "/usage/"
    assert Charge.objects.get().amount == 150
    refused(upload(client, "usage", rows.replace("Engineer", "Plumber")), "There is no work role “Plumber”")


def test_the_columns_are_documented_and_a_file_to_start_from_can_be_had(client: Client, world: World) -> None:
    page = text_of(client.get("/imports/?kind=products"))
    assert "Drives the GL accounts" in page
    sample = client.get("/imports/?kind=products&sample=1")
    assert sample["Content-Disposition"] == 'attachment; filename="products.csv"'
    assert sample.content.decode().startswith("identifier,")


def test_a_viewer_cannot_import(client: Client, world: World) -> None:
    sign_in(client, Role.VIEWER)
    refused(upload(client, "companies", "identifier,name\nI,I\n"), "it takes the role", status=403)
