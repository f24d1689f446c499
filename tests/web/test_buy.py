"""Buying through the pages: demand, purchase orders, receiving, vendors' bills."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from tests.web import deal as deals
from tests.web.deal import Deal
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import SALES, World

from counterfoil.agreements.additions import AdditionInput
from counterfoil.agreements.commands import create_agreement
from counterfoil.agreements.models import Agreement
from counterfoil.catalog.models import Offer, Product
from counterfoil.inventory.models import Receipt, SerialNumber
from counterfoil.platform.identity import Role
from counterfoil.procurement.models import PurchaseOrder, VendorBill


@pytest.fixture(autouse=True)
def procurement(client: Client, world: World) -> None:
    sign_in(client, Role.PROCUREMENT)


@pytest.fixture
def ordered(world: World) -> Deal:
    return deals.convert(deals.quote(world))


@pytest.fixture
def sent(ordered: Deal) -> Deal:
    return deals.buy(ordered)


def receipt_line(deal: Deal, **given: Any) -> dict[str, Any]:
    assert deal.purchase_order is not None
    return lines(
        {
            "purchase_order_line_id": deal.purchase_order.lines.get().pk, "quantity": "1",
            "bin_id": deal.world.acme_bin.pk, "serials": "SN-9", **given,
        },
        initial=1,
    )  # fmt: skip


def test_demand_becomes_a_purchase_order_into_the_customers_bin(client: Client, ordered: Deal) -> None:
    assert ordered.order is not None
    line = ordered.order.lines.get()
    page = text_of(client.get("/demand/"))
    assert "Ingram Micro" in page
    assert ordered.order.number in page
    form = client.get(f"/purchase-orders/new/?line=order-{line.pk}").content.decode()
    assert 'value="Ingram Micro"' in form
    assert f'<option value="{ordered.world.acme_bin.pk}" selected>' in form
    where = done(
        post(
            client, f"/purchase-orders/new/?line=order-{line.pk}",
            lines({"order_line_id": line.pk, "quantity": "1", "unit_cost": "3,650.00",
                   "bin_id": ordered.world.acme_bin.pk}, initial=1),
            vendor_id="Ingram Micro", order_date="2026-01-05",
        )
    )  # fmt: skip
    made = PurchaseOrder.objects.get()
    assert where == f"/purchase-orders/{made.pk}/"
    assert made.lines.get().unit_cost == Decimal(3650)
    assert "50.00 more: ordered by the customer at 3,600.00" in text_of(client.get(where))
    assert "Nothing to buy" in text_of(client.get("/demand/"))


def test_more_than_is_needed_is_refused_in_its_line(client: Client, ordered: Deal) -> None:
    assert ordered.order is not None
    line = ordered.order.lines.get()
    page = refused(
        post(
            client, f"/purchase-orders/new/?line=order-{line.pk}",
            lines({"order_line_id": line.pk, "quantity": "5", "unit_cost": "1"}, initial=1),
            vendor_id="Ingram Micro", order_date="2026-01-05",
        )
    )  # fmt: skip
    assert errors_beside(page, "lines-0-quantity")
    assert not PurchaseOrder.objects.exists()


def test_a_draft_is_changed_sent_and_cancelled(client: Client, ordered: Deal) -> None:
    deals.buy(ordered, send=False)
    assert ordered.purchase_order is not None
    home = f"/purchase-orders/{ordered.purchase_order.pk}/"
    line = ordered.purchase_order.lines.get()
    done(
        post(client, home + f"lines/{line.pk}/", quantity="1", unit_cost="3600", bin_id=ordered.world.acme_bin.pk,
             description="Rack server, 2 U", vendor_sku="SRV-9")
    )  # fmt: skip
    done(post(client, home + "lines/new/", product_id="SRV-NI", quantity="2"))
    done(post(client, home + f"lines/{ordered.purchase_order.lines.get(position=2).pk}/remove/"))
    done(post(client, home + "edit/", order_date="2026-01-06", vendor_order_number="V-1"))
    assert "Send" in text_of(client.get(home))
    done(post(client, home + "send/"))
    refused(post(client, home + "send/"), "That was not done", status=409)
    done(post(client, home + "cancel/", reason="Too dear"))
    ordered.purchase_order.refresh_from_db()
    assert ordered.purchase_order.status == "cancelled"


def test_goods_are_received_with_their_serial_numbers(client: Client, sent: Deal) -> None:
    assert sent.purchase_order is not None
    assert sent.purchase_order.number in text_of(client.get("/receiving/"))
    home = f"/receiving/{sent.purchase_order.pk}/"
    page = refused(post(client, home, receipt_line(sent, serials=""), on="2026-01-08"), "serial number")
    assert "is serialized" in errors_beside(page, "lines-0-serials")
    done(post(client, home, receipt_line(sent), on="2026-01-08", packing_slip="PS-1"))
    receipt = Receipt.objects.get()
    assert "SN-9" in text_of(client.get(f"/receiving/receipts/{receipt.pk}/"))
    assert "Nothing is awaited" in text_of(client.get("/receiving/"))


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"quantity": "2", "serials": "A\nB"}, "quantity", "2 cannot be received"),
        ({"serials": "A\nB"}, "serials", "2 given"),
    ],
)
def test_what_cannot_be_received_is_said_in_its_line(
    client: Client, sent: Deal, given: dict[str, str], field: str, said: str
) -> None:
    assert sent.purchase_order is not None
    answer = post(client, f"/receiving/{sent.purchase_order.pk}/", receipt_line(sent, **given), on="2026-01-08")
    assert said in errors_beside(refused(answer), f"lines-0-{field}")
    assert not Receipt.objects.exists()


def test_receiving_with_the_vendors_invoice_enters_the_bill_too(client: Client, sent: Deal) -> None:
    assert sent.purchase_order is not None
    done(
        post(
            client, f"/receiving/{sent.purchase_order.pk}/", receipt_line(sent), on="2026-01-08",
            vendor_invoice_number="IM-100", vendor_invoice_date="2026-01-07",
        )
    )  # fmt: skip
    bill = VendorBill.objects.get()
    assert (bill.vendor_invoice_number, bill.date, bill.total) == ("IM-100", date(2026, 1, 7), Decimal(3600))


def test_a_refused_bill_leaves_no_receipt_behind(client: Client, world: World, sent: Deal) -> None:
    deals.receive(sent)
    other = deals.buy(deals.convert(deals.quote(world)))
    assert other.purchase_order is not None
    assert sent.bill is not None
    answer = post(
        client, f"/receiving/{other.purchase_order.pk}/", receipt_line(other), on="2026-01-08",
        vendor_invoice_number=sent.bill.vendor_invoice_number,
    )  # fmt: skip
    assert errors_beside(refused(answer), "vendor_invoice_number")
    assert Receipt.objects.count() == 1
    assert SerialNumber.objects.count() == 1


def test_a_bill_is_entered_held_while_it_is_too_dear_and_paid(client: Client, world: World, sent: Deal) -> None:
    deals.receive(sent)
    assert sent.bill is not None
    sent.bill.delete()
    assert "Received and not billed yet" in text_of(client.get("/vendor-bills/"))
    assert sent.purchase_order is not None
    address = f"/vendor-bills/new/?vendor={world.ingram.pk}"

    def entered(unit_cost: str) -> str:
        assert sent.purchase_order is not None
        line = {"purchase_order_line_id": sent.purchase_order.lines.get().pk, "quantity": "1", "unit_cost": unit_cost}
        given = {"vendor_invoice_number": "X-1", "date": "2026-01-09", "freight": "20"}
        return done(post(client, address, lines(line, initial=1), **given))

    where = entered("3700")
    page = text_of(client.get(where))
    assert "100.00 more: ordered at 3,600.00" in page
    assert "3,720.00" in page
    refused(post(client, where + "pay/", on="2026-02-01"), "it takes the role", status=403)
    sign_in(client, Role.FINANCE)
    refused(post(client, where + "pay/", on="2026-02-01"), "is held and cannot be paid")
    done(post(client, where + "delete/"))
    where = entered("3600")
    done(post(client, where + "pay/", on="2026-02-01", reference="Check 7"))
    assert "Check 7" in text_of(client.get(where))
    assert VendorBill.objects.get().applications.get().amount == Decimal(3620)


def test_a_bill_entered_by_mistake_is_deleted(client: Client, sent: Deal) -> None:
    deals.receive(sent)
    assert sent.bill is not None
    assert done(post(client, f"/vendor-bills/{sent.bill.pk}/delete/")) == "/vendor-bills/"
    assert not VendorBill.objects.exists()


@pytest.fixture
def licensed(world: World) -> Agreement:
    """Ten licences of Acme, sold for three years, prepaid, from March."""
    licence = Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="Agreement",
        accounting_type="Service", category=world.lease.category, vendor=world.ingram, billing_cycle="month:1",
    )  # fmt: skip
    offer = Offer.objects.create(
        product=licence, term="year:3", billing_cycle="year:3", cost=Decimal(594), vendor_sku="CFQ7-P3Y"
    )
    return create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Licences",
        start_date=date(2026, 3, 1), additions=[
            AdditionInput(licence.pk, Decimal(10), purchase_item=True, offer_id=offer.pk, term="year:3"),
        ],
    )  # fmt: skip


def test_licences_of_an_agreement_are_bought_as_they_were_sold(client: Client, licensed: Agreement) -> None:
    page = text_of(client.get("/demand/"))
    assert "3 years, prepaid, from 1 Mar 2026" in page
    assert licensed.number in page
    addition = licensed.additions.get()
    address = f"/purchase-orders/new/?line=addition-{addition.pk}-2026-03-01"
    form = client.get(address).content.decode()
    assert '<option value="year:3" selected>3 years</option>' in form
    given = {
        "addition_id": addition.pk, "offer_id": addition.offer_id, "quantity": "10", "unit_cost": "594",
        "term": "year:3", "billing_cycle": "year:3", "start_date": "2026-03-01",
    }  # fmt: skip
    where = done(
        post(client, address, lines(given, initial=1), vendor_id="Ingram Micro", order_date="2026-02-20"),
    )
    page = text_of(client.get(where))
    assert "3 years, prepaid, from 1 Mar 2026" in page
    assert licensed.number in page
    line = PurchaseOrder.objects.get().lines.get()
    assert (line.addition, line.vendor_sku) == (addition, "CFQ7-P3Y")

    page = client.get(f"{where}lines/{line.pk}/").content.decode()
    assert '<option value="year:3" selected>Triennial</option>' in page
    done(
        post(client, f"{where}lines/{line.pk}/", quantity="10", unit_cost="18", description="As yearly commitment",
             offer_id=str(addition.offer_id), term="year:1", billing_cycle="month:1", start_date="2026-03-01",
             vendor_sku="CFQ7-P1Y")
    )  # fmt: skip
    assert "1 year, billed monthly, from 1 Mar 2026" in text_of(client.get(where))
    assert "Nothing to buy" in text_of(client.get("/demand/"))


def test_a_term_that_ends_before_it_begins_is_said_in_its_field(client: Client, licensed: Agreement) -> None:
    addition = licensed.additions.get()
    given = {
        "addition_id": addition.pk, "quantity": "10", "term": "year:1", "billing_cycle": "month:1",
        "start_date": "2026-03-01", "end_date": "2026-02-01",
    }  # fmt: skip
    answer = post(
        client, f"/purchase-orders/new/?line=addition-{addition.pk}-2026-03-01", lines(given, initial=1),
        vendor_id="Ingram Micro", order_date="2026-02-20",
    )  # fmt: skip
    assert "cannot end before" in errors_beside(refused(answer), "lines-0-end_date")
