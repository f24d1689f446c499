"""Every page of the way opens, in few queries and for everybody; deeds are for those whose role allows them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from tests.kept_rows import built_once
from tests.web import deal as deals
from tests.web.deal import Deal
from tests.web.pages import post, refused, sign_in
from tests.world import World

from counterfoil.core.errors import DomainError
from counterfoil.platform.identity import Role
from counterfoil.web.actions import MENDS, mend_of

#: Session, user, navigation with its counts and settings included.
MOST_QUERIES = 48

LISTS = (
    "opportunities", "agreements", "sales_orders", "demand", "purchase_orders", "receiving", "receipts", "vendor_bills",
    "stock", "serials", "shipping", "shipments", "warehouses", "companies", "products", "imports", "tax_codes",
    "tax_certificates", "search", "invoices", "ageing",
)  # fmt: skip

FORMS = (
    "opportunity_new", "agreement_new", "sales_order_new", "purchase_order_new", "vendor_bill_new", "warehouse_new",
    "company_new", "product_new", "category_new", "tax_code_new", "tax_certificate_new", "invoice_new",
)  # fmt: skip


@pytest.fixture
def deal(db: None) -> Deal:
    return deals.whole_at_once()


@pytest.fixture
def two_deals(db: None) -> Deal:
    """A deal that is done and one under way."""

    def both() -> Deal:
        deal = deals.whole_at_once()
        deals.whole_without_books(deal.world)
        return deal

    return built_once("two deals", both)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_opens_empty(client: Client, world: World, name: str) -> None:
    sign_in(client, Role.OWNER)
    assert client.get(reverse(f"web:{name}")).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_a_list_opens_filled(client: Client, two_deals: Deal, name: str, django_assert_max_num_queries: Any) -> None:
    sign_in(client, Role.OWNER)
    with django_assert_max_num_queries(MOST_QUERIES):
        assert client.get(reverse(f"web:{name}") + "?q=e").status_code == 200


@pytest.mark.parametrize("name", FORMS)
def test_a_form_opens_and_refuses_nothing_entered_without_losing_it(client: Client, world: World, name: str) -> None:
    sign_in(client, Role.OWNER)
    address = reverse(f"web:{name}")
    assert client.get(address).status_code == 200
    if name == "vendor_bill_new":
        return
    sent = {"name": "typed and kept", "lines-TOTAL_FORMS": "1", "lines-INITIAL_FORMS": "0"}
    answer = client.post(address, sent)
    assert answer.status_code in {422, 302}
    if answer.status_code == 422 and 'name="name"' in answer.content.decode():
        assert "typed and kept" in answer.content.decode()


def test_every_document_opens_in_few_queries(client: Client, deal: Deal, django_assert_max_num_queries: Any) -> None:
    sign_in(client, Role.OWNER)
    documents = {
        "opportunity": deal.opportunity, "agreement": deal.agreement, "sales_order": deal.order,
        "purchase_order": deal.purchase_order, "receipt": deal.receipt, "shipment": deal.shipment,
        "vendor_bill": deal.bill, "company": deal.world.acme, "product": deal.world.lease, "tax_code": deal.world.tax6,
    }  # fmt: skip
    for name, record in documents.items():
        assert record is not None
        with django_assert_max_num_queries(MOST_QUERIES):
            answer = client.get(reverse(f"web:{name}", args=[record.pk]))
        assert answer.status_code == 200, name


def test_what_does_not_exist_is_a_404(client: Client, world: World) -> None:
    sign_in(client, Role.OWNER)
    for name in ("opportunity", "agreement", "sales_order", "purchase_order", "receipt", "shipment", "vendor_bill"):
        assert client.get(reverse(f"web:{name}", args=[999])).status_code == 404, name


def test_who_is_not_signed_in_is_asked_to(client: Client, world: World) -> None:
    for name in LISTS:
        answer = client.get(reverse(f"web:{name}"))
        assert answer.status_code == 302, name
        assert answer["Location"].startswith("/accounts/login/")


@pytest.mark.parametrize("name", FORMS)
def test_a_viewer_may_make_nothing(client: Client, world: World, name: str) -> None:
    sign_in(client, Role.VIEWER)
    answer = client.get(reverse(f"web:{name}"))
    if name == "vendor_bill_new":  # choosing a vendor changes nothing
        answer = client.get(reverse(f"web:{name}") + f"?vendor={world.ingram.pk}")
    assert answer.status_code == 403
    assert "it takes the role" in answer.content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_a_viewer_is_offered_no_deed(client: Client, deal: Deal, name: str) -> None:
    sign_in(client, Role.VIEWER)
    page = client.get(reverse(f"web:{name}")).content.decode()
    assert "/new/" not in page


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("name", [name for name in LISTS if name not in {"demand", "imports", "search"}])
def test_a_list_comes_as_a_file(client: Client, deal: Deal, name: str, kind: str) -> None:
    sign_in(client, Role.VIEWER)
    answer = client.get(reverse(f"web:{name}") + f"?export={kind}")
    assert answer.status_code == 200
    assert answer["Content-Disposition"].startswith("attachment")


def test_what_waits_is_counted(world: World, client: Client) -> None:
    from counterfoil.web.navigation import counts

    deal = deals.convert(deals.quote(world))
    assert counts()["demand"] == 1
    deals.buy(deal)
    assert (counts()["demand"], counts()["to_receive"], counts()["to_ship"]) == (0, 1, 0)
    deals.receive(deal)
    assert (counts()["to_receive"], counts()["to_ship"], counts()["orders_to_invoice"]) == (0, 1, 0)
    deals.ship(deal)
    assert (counts()["to_ship"], counts()["orders_to_invoice"]) == (0, 1)


@pytest.mark.parametrize(
    ("words", "found"),
    [("SN-0001", "SN-0001"), ("Acme", "Acme Corp"), ("server lease", "Rack server lease"), ("IM-", "their IM-")],
)
def test_the_search_finds_numbers_names_and_serials(client: Client, deal: Deal, words: str, found: str) -> None:
    sign_in(client, Role.VIEWER)
    answer = client.get(reverse("web:search"), {"q": words}, follow=True)
    assert found in answer.content.decode()


def test_a_number_typed_in_full_goes_straight_there(client: Client, deal: Deal) -> None:
    sign_in(client, Role.VIEWER)
    assert deal.order is not None
    answer = client.get(reverse("web:search"), {"q": deal.order.number.lower()})
    assert answer["Location"] == reverse("web:sales_order", args=[deal.order.pk])


def test_a_picker_offers_products_with_what_the_catalog_says(client: Client, world: World) -> None:
    sign_in(client, Role.SALES)
    (offered,) = client.get(reverse("web:pick", args=["products"]), {"q": "HAAS"}).json()["results"]
    assert offered["value"] == "HAAS-SRV"
    assert offered["fill"]["unit_price"] == "150"
    assert offered["fill"]["billing_cycle"] == "month:1"
    names = [row["value"] for row in client.get(reverse("web:pick", args=["customers"])).json()["results"]]
    assert "Northwind IT" not in names  # My Company is never sold to


@pytest.mark.parametrize("code", sorted(MENDS))
def test_what_can_be_mended_elsewhere_links_there(code: str) -> None:
    mend = mend_of(DomainError(code, "No."))
    assert mend["mend_url"].startswith("/")
    assert mend["mend_link"]


def test_a_refusal_links_to_the_page_where_it_is_mended(client: Client, world: World) -> None:
    deal = deals.receive(deals.buy(deals.convert(deals.quote(world))))
    sign_in(client, Role.OWNER)
    assert deal.bill is not None
    page = refused(post(client, reverse("web:vendor_bill_pay", args=[deal.bill.pk]), on="2031-01-01"), "2031")
    assert f'href="{reverse("web:periods")}"' in page[page.index("<main") :]


@pytest.mark.parametrize("name", ["opportunity_new", "agreement_new", "sales_order_new"])
def test_a_form_opened_from_a_company_names_it(client: Client, world: World, name: str) -> None:
    sign_in(client, Role.OWNER)
    page = client.get(reverse(f"web:{name}"), {"company": world.acme.pk}).content.decode()
    assert 'value="Acme Corp"' in page
    assert client.get(reverse(f"web:{name}"), {"company": "9" * 40}).status_code == 200
    assert client.get(reverse(f"web:{name}"), {"company": "x"}).status_code == 200
