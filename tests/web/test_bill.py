"""Invoices, payments and sales tax as finance works with them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from tests.web.deal import NOW, START, Deal, buy, convert, quote, receive, ship, whole
from tests.world import FINANCE, World

from counterfoil.accounting import commands as accounting
from counterfoil.billing import commands as billing
from counterfoil.billing.models import Invoice, Payment
from counterfoil.platform.models import User
from counterfoil.tax.models import TaxRemittance
from counterfoil.web.views import credits, invoice_edit, invoices, payments, remittances, statements, to_bill

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def in_march(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 10 March 2026."""
    for page in (invoices, invoice_edit, credits, payments, remittances, statements, to_bill):
        monkeypatch.setattr(page, "today", lambda: date(2026, 3, 10))


@pytest.fixture
def finance(client: Client) -> Client:
    client.force_login(User.objects.create_user("finn@northwind.example", name="Finn Books", roles=["finance"]))
    return client


@pytest.fixture
def sales(client: Client) -> Client:
    client.force_login(User.objects.create_user("sam@northwind.example", name="Sam Seller", roles=["sales"]))
    return client


def text(page: str | bytes) -> str:
    """What is read on a page, blanks made one."""
    return " ".join(re.sub(r"<[^>]+>", " ", page.decode() if isinstance(page, bytes) else page).split())


def leased(world: World) -> Deal:
    return convert(quote(world, 1))


def drafted(world: World, months: int = 1) -> Invoice:
    """The rent of January (and the months after), drafted; the first one."""
    deal = leased(world)
    assert deal.agreement is not None
    run = billing.invoice_agreements_through(actor=FINANCE, through=date(2026, months, 1))
    return run.invoices[0]


def closed(world: World, months: int = 1) -> list[Invoice]:
    drafted(world, months)
    return [
        billing.close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)
        for invoice in Invoice.objects.order_by("period_start")
    ]


def test_the_list_knows_drafts_unpaid_and_overdue_with_totals(world: World, finance: Client) -> None:
    closed(world, 2)
    billing.invoice_agreements_through(actor=FINANCE, through=date(2026, 3, 1))

    page = finance.get("/invoices/").content.decode()
    assert re.search(r"Draft<span class=\"cf-count\">1<", page)
    assert re.search(r"Unpaid<span class=\"cf-count\">2<", page)
    assert re.search(r"Overdue<span class=\"cf-count\">2<", page)  # due 31 January and 3 March
    assert "3 invoices" in text(page)
    assert "318.00" in text(page)  # open: the two closed ones; a draft owes nothing

    assert "INV-0001" not in finance.get("/invoices/?state=draft").content.decode()


def test_a_draft_shows_how_its_amounts_came_to_be(world: World, finance: Client) -> None:
    invoice = drafted(world)

    page = text(finance.get(f"/invoices/{invoice.pk}/").content)

    assert "Bill to Acme Corp 1 Main St Detroit, MI 48226" in page
    assert "1 × 150.00 for" in page
    assert "Michigan 6% of 150.00 9.00" in page
    assert "Total USD 159.00" in page


def test_a_line_is_changed_and_the_tax_follows(world: World, finance: Client) -> None:
    invoice = drafted(world)
    line = invoice.lines.get()
    address = f"/invoices/{invoice.pk}/lines/{line.pk}/"

    bad = finance.post(address, {"description": "Server", "unit_price": "12o", "taxable": "on"})
    assert bad.status_code == 422
    assert 'value="12o"' in bad.content.decode()
    assert "is not a number" in bad.content.decode()

    done = finance.post(address, {"description": "Server, January", "unit_price": "140", "taxable": "on"})
    assert done["Location"] == f"/invoices/{invoice.pk}/"
    invoice.refresh_from_db()
    assert (invoice.subtotal, invoice.tax_total, invoice.total) == (140, Decimal("8.40"), Decimal("148.40"))


def test_my_company_and_a_price_to_an_internal_company_are_refused_beside_the_field(
    world: World, finance: Client
) -> None:
    invoice = drafted(world)
    address = f"/invoices/{invoice.pk}/bill-to/"
    assert "To an internal company it goes without a price." in finance.get(address).content.decode()

    mine = finance.post(address, {"bill_to": "Northwind IT"})
    assert mine.status_code == 422
    assert re.search(r'id="id_bill_to_error".*?can never be billed', mine.content.decode(), re.S)

    internal = finance.post(address, {"bill_to": "NorthwindHaaS"})
    assert internal.status_code == 422
    assert re.search(r'id="id_bill_to_error".*?has a price of 150.00', internal.content.decode(), re.S)

    line = invoice.lines.get()
    finance.post(f"/invoices/{invoice.pk}/lines/{line.pk}/", {"description": "Server", "unit_price": "0"})
    assert finance.post(address, {"bill_to": "NorthwindHaaS"}).status_code == 302
    invoice.refresh_from_db()
    assert invoice.bill_to == world.internal
    assert "To an internal company: cost only." in finance.get(f"/invoices/{invoice.pk}/").content.decode()


def test_dates_follow_the_terms_and_a_due_date_before_the_date_is_refused(world: World, finance: Client) -> None:
    invoice = drafted(world)
    address = f"/invoices/{invoice.pk}/edit/"
    head = {"date": "2026-01-05", "due_date": str(invoice.due_date), "customer_po": "PO 7"}

    finance.post(address, head)
    invoice.refresh_from_db()
    assert (invoice.date, invoice.due_date, invoice.customer_po) == (date(2026, 1, 5), date(2026, 2, 4), "PO 7")

    refused = finance.post(address, {**head, "due_date": "2026-01-01"})
    assert refused.status_code == 422
    assert re.search(r'id="id_due_date_error".*?before its date', refused.content.decode(), re.S)


def test_closing_gives_the_number_and_locks(world: World, finance: Client) -> None:
    invoice = drafted(world)

    finance.post(f"/invoices/{invoice.pk}/close/")

    page = finance.get(f"/invoices/{invoice.pk}/").content.decode()
    assert "INV-0001" in page
    assert "data-print" in page
    again = finance.post(f"/invoices/{invoice.pk}/close/")
    assert again.status_code == 409
    assert "That was not done" in again.content.decode()
    assert finance.get(f"/invoices/{invoice.pk}/edit/").status_code == 409
    assert finance.post(f"/invoices/{invoice.pk}/delete/").status_code == 409


def test_a_draft_is_deleted_and_its_period_can_be_invoiced_again(world: World, finance: Client) -> None:
    invoice = drafted(world)

    assert finance.post(f"/invoices/{invoice.pk}/delete/")["Location"] == "/invoices/"
    assert not Invoice.objects.exists()
    assert billing.invoice_agreements_through(actor=FINANCE, through=START).invoices


def test_all_drafts_are_closed_but_for_those_that_cannot(world: World, finance: Client) -> None:
    deal = ship(receive(buy(convert(quote(world, 2)))))
    assert deal.order is not None
    billing.invoice_agreements_through(actor=FINANCE, through=date(2026, 2, 1))

    page = finance.post("/invoices/close/", follow=True).content.decode()

    assert "2 invoices were closed." in page
    assert not Invoice.objects.filter(status="draft").exists()


def test_sales_sees_an_invoice_but_may_not_touch_it(world: World, sales: Client) -> None:
    invoice = drafted(world)

    page = sales.get(f"/invoices/{invoice.pk}/").content.decode()
    assert "/close/" not in page
    refused = sales.post(f"/invoices/{invoice.pk}/close/")
    assert refused.status_code == 403
    assert "takes the role finance or owner" in refused.content.decode()


def test_ticked_agreements_are_invoiced_through_a_date(world: World, finance: Client) -> None:
    first, second = leased(world), convert(quote(world, 1, company_id=world.globex.pk, name="Globex lease"))
    assert first.agreement is not None
    assert second.agreement is not None

    page = text(finance.get("/invoices/agreements/?through=2026-02-15").content)
    assert "4 invoices of 2 agreements" in page
    assert "600.00" in page

    nothing = finance.post("/invoices/agreements/", {"through": "2026-02-15"})
    assert nothing.status_code == 422
    assert "Tick the agreements" in nothing.content.decode()

    done = finance.post("/invoices/agreements/", {"through": "2026-02-15", "agreement": [first.agreement.pk]})
    assert done["Location"] == "/invoices/?state=draft"
    assert Invoice.objects.filter(agreement=first.agreement).count() == 2
    assert not Invoice.objects.filter(agreement=second.agreement).exists()


def test_an_agreement_that_cannot_be_billed_is_parked_with_its_reason(world: World, finance: Client) -> None:
    good, bad = leased(world), convert(quote(world, 1, company_id=world.globex.pk, name="Globex lease"))
    assert good.agreement is not None
    assert bad.agreement is not None
    type(bad.agreement).objects.filter(pk=bad.agreement.pk).update(bill_to=world.internal)

    answer = finance.post(
        "/invoices/agreements/", {"through": "2026-01-31", "agreement": [good.agreement.pk, bad.agreement.pk]}
    )

    page = text(answer.content)
    assert answer.status_code == 200
    assert "1 invoice was drafted, 159.00 with tax. 1 is parked." in page
    assert "Parked: Northwind HaaS is an internal company" in page
    assert Invoice.objects.count() == 1


def test_a_payment_settles_what_was_entered_beside_each_invoice(world: World, finance: Client) -> None:
    first, second = closed(world, 2)
    address = f"/payments/new/?company={world.acme.pk}"
    assert "318.00" in text(finance.get("/payments/new/").content)
    assert "INV-0002" in finance.get(address).content.decode()

    given = {"on": "2026-03-01", "amount": "200", "reference": "check 12", f"invoice_{first.pk}": "160"}
    refused = finance.post(address, given)
    assert refused.status_code == 422
    assert re.search(
        rf'id="id_invoice_{first.pk}_error".*?160.00 is more than the 159.00 open', refused.content.decode(), re.S
    )
    assert 'value="160"' in refused.content.decode()

    apart = finance.post(address, {**given, f"invoice_{first.pk}": "159"})
    assert re.search(r'id="id_amount_error".*?does not add up', apart.content.decode(), re.S)

    done = finance.post(address, {**given, f"invoice_{first.pk}": "159", f"invoice_{second.pk}": "41"})
    payment = Payment.objects.get()
    assert done["Location"] == f"/payments/{payment.pk}/"
    page = text(finance.get(f"/payments/{payment.pk}/").content)
    assert "check 12" in page
    assert "1000" in page  # booked: bank and receivables
    assert text(finance.get(f"/invoices/{second.pk}/").content).count("118.00")


def test_a_payment_without_parts_settles_the_oldest_first(world: World, finance: Client) -> None:
    first, second = closed(world, 2)

    finance.post(f"/payments/new/?company={world.acme.pk}", {"on": "2026-03-01", "amount": "200"})

    parts = {each.invoice_id: each.amount for each in Payment.objects.get().applications.all()}
    assert parts == {first.pk: Decimal(159), second.pk: Decimal(41)}


def test_sales_tax_is_owed_once_it_is_booked_and_paid_to_its_agency(world: World, finance: Client) -> None:
    closed(world, 2)
    before = text(finance.get("/payments/sales-tax/").content)
    assert "18.00 is on closed invoices that are not in the books yet" in before

    batch = accounting.create_batch(actor=FINANCE, through=date(2026, 2, 28))
    accounting.transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    page = finance.get("/payments/sales-tax/").content.decode()
    assert "MI Dept of Treasury 18.00 0.00 18.00 0.00" in text(page)
    assert 'value="18.00"' in page

    given = {"agency": "MI Dept of Treasury", "on": "2026-03-05", "amount": "20"}
    refused = finance.post("/payments/sales-tax/", given)
    assert refused.status_code == 422
    assert re.search(r'id="id_amount_error".*?18.00 of sales tax is owed', refused.content.decode(), re.S)

    assert finance.post("/payments/sales-tax/", {**given, "amount": "18.00"}).status_code == 302
    assert TaxRemittance.objects.get().amount == 18
    assert "MI Dept of Treasury 18.00 18.00 0.00 0.00" in text(finance.get("/payments/sales-tax/").content)


def test_the_pages_need_few_queries(
    world: World, finance: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    deal = whole(world)
    assert deal.rent is not None
    for address, most in (
        ("/invoices/", 26),
        (f"/invoices/{deal.rent.pk}/", 55),
        ("/invoices/agreements/?through=2026-12-31", 80),  # the tax of each date that is billed,
        ("/payments/", 28),
        (f"/payments/new/?company={world.acme.pk}", 26),
        ("/payments/sales-tax/", 30),
    ):
        with django_assert_max_num_queries(most):
            assert finance.get(address).status_code == 200, address


def test_a_slip_of_the_year_is_said_instead_of_counted(world: World, finance: Client) -> None:
    answer = finance.get("/invoices/agreements/", {"through": "9026-03-01"})
    assert answer.status_code == 409
    assert "The books do not reach 1 Mar 9026" in answer.content.decode()
