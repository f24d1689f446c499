"""Invoices by hand, their lines, credits, down payments, work, accounts and ageing, as finance works with them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal

import pytest
from django.test import Client
from tests.web.deal import NOW
from tests.web.pages import done, errors_beside, lines, post, refused, sign_in, text_of
from tests.world import FINANCE, World

from counterfoil.billing import commands as billing
from counterfoil.billing.models import BillingSettings, Invoice, InvoiceType, Payment
from counterfoil.billing.special import NewLine
from counterfoil.catalog.commands import create_work_role
from counterfoil.platform.identity import Role
from counterfoil.usage.commands import enter_time
from counterfoil.web.views import credits, invoice_edit, invoices, payments, statements, to_bill

pytestmark = pytest.mark.django_db

MARCH_10 = date(2026, 3, 10)


@pytest.fixture(autouse=True)
def in_march(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is 10 March 2026."""
    for page in (invoices, invoice_edit, credits, payments, statements, to_bill):
        monkeypatch.setattr(page, "today", lambda: MARCH_10)


@pytest.fixture
def finance(client: Client) -> Client:
    sign_in(client, Role.FINANCE)
    return client


def billed(world: World, amount: str = "1000", *, type: InvoiceType = InvoiceType.MISCELLANEOUS) -> Invoice:
    """A closed invoice of Acme of 15 January, taxed with 6 %."""
    draft = billing.create_invoice(
        actor=FINANCE, type=type, company_id=world.acme.pk, on=date(2026, 1, 15),
        lines=[NewLine(description="Rack", quantity=Decimal(4), unit_price=Decimal(amount) / 4)],
    )  # fmt: skip
    return billing.close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def test_an_invoice_is_written_by_hand_and_its_lines_changed(world: World, finance: Client) -> None:
    bad = post(
        finance, "/invoices/new/", lines({"description": "Rack", "unit_price": "8oo", "kind": "product"}),
        company_id="Acme Corp", on="2026-03-10",
    )  # fmt: skip
    page = refused(bad, "is not a number")
    assert 'value="8oo"' in page

    there = done(
        post(
            finance, "/invoices/new/",
            lines(
                {"description": "Rack", "quantity": "2", "unit_price": "412.50", "kind": "product"},
                {"description": "Electrician", "unit_price": "900", "kind": "service", "taxable": "no"},
                {"kind": "product"},
            ),
            company_id="Acme Corp", on="2026-03-10", customer_po="PO 7", top_comment="As we said on the phone.",
        )
    )  # fmt: skip
    draft = Invoice.objects.get()
    assert there == f"/invoices/{draft.pk}/"
    assert (draft.subtotal, draft.tax_total, draft.total) == (1725, Decimal("49.50"), Decimal("1774.50"))
    text = text_of(finance.get(there))
    assert "As we said on the phone." in text
    assert "Michigan 6% of 825.00" in text

    done(post(finance, f"{there}lines/new/", lines({"product_id": "SRV-NI", "unit_price": "10", "quantity": "3"})))
    rack = draft.lines.get(description="Rack")
    done(
        post(
            finance, f"{there}lines/{rack.pk}/",
            description="Rack 42 U", quantity="1", unit_price="412.50", kind="product", taxable="on",
        )
    )  # fmt: skip
    electrician = draft.lines.get(description="Electrician")
    done(post(finance, f"{there}lines/{electrician.pk}/remove/"))
    draft.refresh_from_db()
    assert [(line.description, line.amount) for line in draft.lines.all()] == [
        ("Rack 42 U", Decimal("412.50")),
        ("Rack server", Decimal(30)),
    ]
    assert draft.subtotal == Decimal("442.50")


def test_lines_are_added_together_or_not_at_all(world: World, finance: Client) -> None:
    draft = billing.create_invoice(actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=MARCH_10)
    assert "an empty draft cannot be closed" in text_of(finance.get(f"/invoices/{draft.pk}/"))

    given = lines({"description": "Cable", "unit_price": "5"}, {"product_id": "SRV-INV"})
    page = refused(post(finance, f"/invoices/{draft.pk}/lines/new/", given), "is kept in stock")

    assert "is kept in stock" in errors_beside(page, "lines-1-product_id")
    assert not draft.lines.exists()


def test_a_part_is_credited_with_the_tax_of_the_invoice(world: World, finance: Client) -> None:
    invoice = billed(world)
    line = invoice.lines.get()
    address = f"/invoices/{invoice.pk}/credit/"
    assert "1,000.00" in text_of(finance.get(address))

    too_much = post(finance, address, {f"amount_{line.pk}": "1000.01"}, on="2026-03-10", reason="Broken")
    page = refused(too_much, "is left to credit")
    assert "1,000.00 of “Rack” is left to credit" in errors_beside(page, f"amount_{line.pk}")

    there = done(post(finance, address, {f"quantity_{line.pk}": "1"}, on="2026-03-10", reason="One was broken"))
    memo = Invoice.objects.get(type=InvoiceType.CREDIT_MEMO)
    assert there == f"/invoices/{memo.pk}/"
    assert memo.total == Decimal("-265.00")
    text = text_of(finance.get(there))
    assert f"It corrects {invoice.number}" in text
    assert "Credit to Acme Corp" in text
    assert "One was broken" in text

    done(post(finance, f"{there}close/"))
    done(post(finance, f"{there}apply/", other=str(invoice.pk), on="2026-03-10"))
    invoice.refresh_from_db()
    assert invoice.balance == 795
    assert "Credited in part by CM-0001" in text_of(finance.get(f"/invoices/{invoice.pk}/"))


def test_an_invoice_is_reversed_and_reissued(world: World, finance: Client) -> None:
    invoice = billed(world)

    refused(post(finance, f"/invoices/{invoice.pk}/reverse/", on="2026-03-10", reason=""), "required")
    done(post(finance, f"/invoices/{invoice.pk}/reverse/", on="2026-03-10", reason="Wrong customer PO"))

    text = text_of(finance.get(f"/invoices/{invoice.pk}/"))
    assert "Reversed by CM-0001" in text
    assert "Wrong customer PO" in text
    there = done(post(finance, f"/invoices/{invoice.pk}/reissue/", on="2026-03-10"))
    assert f"takes the place of {invoice.number}" in text_of(finance.get(there))
    assert re.search(r"is-plain\">Reversed<", finance.get("/invoices/").content.decode())


def test_a_down_payment_is_offered_on_drafts_and_applied(world: World, finance: Client) -> None:
    ahead = billed(world, "600", type=InvoiceType.DOWN_PAYMENT)
    draft = billing.create_invoice(
        actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=MARCH_10,
        lines=[NewLine(description="Server room", unit_price=Decimal(1000))],
    )  # fmt: skip
    here = f"/invoices/{draft.pk}/"
    assert f"600.00 of down payment {ahead.number} is left" in text_of(finance.get(here))

    page = refused(post(finance, f"{here}down-payment/", down_payment_id=str(ahead.pk), amount="601"), "is left")
    assert "600.00 is left" in errors_beside(page, "amount")
    done(post(finance, f"{here}down-payment/", down_payment_id=str(ahead.pk), amount=""))

    draft.refresh_from_db()
    assert (draft.subtotal, draft.tax_total, draft.total) == (400, 24, 424)
    assert "Down payments applied (600.00)" in text_of(finance.get(here))


def test_ticked_drafts_are_closed_and_what_cannot_says_why(world: World, finance: Client) -> None:
    full, empty = (
        billing.create_invoice(
            actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=MARCH_10, lines=given
        )
        for given in ([NewLine(description="Rack", unit_price=Decimal(10))], [])
    )

    answer = finance.post("/invoices/bulk/?state=draft", {"deed": "close", "invoice": [full.pk, empty.pk]}, follow=True)

    assert answer.redirect_chain == [("/invoices/?state=draft", 302)]
    assert "1 invoice was closed." in text_of(answer)
    assert "has no lines to bill" in text_of(answer)
    assert "Tick the invoices first." in text_of(finance.post("/invoices/bulk/", {"deed": "mail"}, follow=True))


def test_work_waits_as_the_invoices_it_becomes(world: World, finance: Client) -> None:
    engineer = create_work_role(actor=FINANCE, name="Engineer", hourly_rate=Decimal(120), hourly_cost=Decimal(50))
    for ticket in ("T-1", "T-2"):
        enter_time(
            actor=FINANCE, company_id=world.acme.pk, on=date(2026, 3, 2), hours=Decimal(2), description="Mail flow",
            work_role_id=engineer.pk, ticket=ticket,
        )  # fmt: skip

    assert "1 invoice to 1 customer" in text_of(finance.get("/invoices/to-bill/"))
    assert "2 invoices to 1 customer" in text_of(finance.get("/invoices/to-bill/?grouping=ticket"))
    assert finance.get("/invoices/to-bill/?grouping=nonsense&through=2026-13-40").status_code == 200
    refused(post(finance, "/invoices/to-bill/", through="2026-03-10", on="2026-03-10"), "Tick the customers")

    there = done(
        post(
            finance, "/invoices/to-bill/",
            through="2026-03-10", on="2026-03-10", grouping="ticket", company=[str(world.acme.pk)],
        )
    )  # fmt: skip

    assert there == "/invoices/?state=draft"
    assert [invoice.subtotal for invoice in Invoice.objects.all()] == [240, 240]
    assert "All work is billed" in text_of(finance.get("/invoices/to-bill/"))


def test_a_payment_can_wait_be_applied_later_and_be_taken_back(world: World, finance: Client) -> None:
    invoice = billed(world)
    done(
        post(
            finance, f"/payments/new/?company={world.acme.pk}", {f"invoice_{invoice.pk}": "60"},
            on="2026-03-01", amount="500", leave_rest="on",
        )
    )  # fmt: skip
    payment = Payment.objects.get()
    here = f"/payments/{payment.pk}/"
    assert "Not applied 440.00" in text_of(finance.get(here))

    page = refused(
        post(finance, f"{here}apply/", {f"invoice_{invoice.pk}": "1000.01"}, on="2026-03-10"), "is more than"
    )
    assert "open on" in errors_beside(page, f"invoice_{invoice.pk}")
    done(post(finance, f"{here}apply/", on="2026-03-10"))
    invoice.refresh_from_db()
    assert invoice.balance == 560

    done(post(finance, f"{here}take-back/", on="2026-03-10", reason="The check bounced"))
    invoice.refresh_from_db()
    assert invoice.balance == 1060
    assert "The check bounced" in text_of(finance.get(here))


def test_the_account_and_the_ages_agree(world: World, finance: Client) -> None:
    billed(world)  # due 14 February, 24 days before
    billing.record_payment(
        actor=FINANCE, company_id=world.acme.pk, on=date(2026, 3, 1), amount=Decimal(100), reference="check 9"
    )

    account = text_of(finance.get(f"/invoices/ageing/{world.acme.pk}/"))
    assert "Owed on 10 Mar 2026 1,060.00 100.00 960.00" in account
    assert "check 9" in account
    ages = text_of(finance.get("/invoices/ageing/"))
    assert "Acme Corp 0.00 960.00 0.00 0.00 0.00 960.00" in ages
    assert "Acme Corp 1,060.00" in text_of(finance.get("/invoices/ageing/?as_of=2026-02-14"))
    csv = finance.get("/invoices/ageing/?export=csv").content.decode()
    assert "Acme Corp,0.00,960.00" in csv
    assert "Before 2 Mar 2026" in text_of(finance.get(f"/invoices/ageing/{world.acme.pk}/?since=2026-03-02"))


def test_a_long_account_has_pages_and_begins_with_the_latest(
    world: World, finance: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterfoil.web.views.statements.PER_PAGE", 2)
    invoice = billed(world)
    for day in (1, 2, 3):
        billing.record_payment(actor=FINANCE, company_id=world.acme.pk, on=date(2026, 3, day), amount=Decimal(100))
    here = f"/invoices/ageing/{world.acme.pk}/"

    latest = finance.get(here).content.decode()
    assert "Brought forward, with PAY-0001" in latest
    assert "960.00" in latest
    assert invoice.number not in latest
    assert 'rel="prev" href="?page=1"' in latest
    assert 'rel="next"' not in latest
    assert (latest.count('data-label="Paid"'), latest.count('data-label="Charged"')) == (2, 0)
    first = text_of(finance.get(f"{here}?page=1"))
    assert invoice.number in first
    assert "2 of 4 shown" in first
    assert "Owed on 10 Mar 2026 1,060.00 300.00 760.00" in first  # of all of it, on either page
    for odd in ("0", "99", "x", "-1", "²", "9" * 30):
        assert finance.get(here, {"page": odd}).status_code == 200, odd


def test_billing_settings_are_kept_within_reason(world: World, finance: Client) -> None:
    given = {"grouping": "ticket", "default_terms_id": str(world.net30.pk), "absurd_factor": "1", "most_bills": "12"}
    refused(post(finance, "/invoices/settings/", given), "greater than or equal to 2")

    done(post(finance, "/invoices/settings/", {**given, "absurd_factor": "10"}))

    found = BillingSettings.objects.get()
    assert (found.grouping, found.default_terms, found.absurd_factor) == ("ticket", world.net30, 10)


NEW = ("/invoices/new/", "/invoices/new/?type=down_payment", "/invoices/new/?type=progress", "/invoices/settings/")


def test_who_may_only_look_is_offered_nothing_and_may_do_nothing(world: World, client: Client) -> None:
    invoice = billed(world)
    sign_in(client, Role.VIEWER)

    for address in (*NEW, *(f"/invoices/{invoice.pk}/{deed}/" for deed in ("credit", "reverse", "reissue", "apply"))):
        assert client.get(address).status_code == 403, address
    page = client.get(f"/invoices/{invoice.pk}/").content.decode()
    for word in ("/credit/", "/reverse/", "/payments/new/"):
        assert word not in page
    assert client.post("/invoices/bulk/", {"deed": "close", "invoice": [invoice.pk]}).status_code == 403
    for address in ("/invoices/", "/invoices/to-bill/", "/invoices/ageing/", f"/invoices/ageing/{world.acme.pk}/"):
        assert client.get(address).status_code == 200, address


def test_the_list_is_narrowed_by_links(world: World, finance: Client) -> None:
    invoice = billed(world)
    assert "Of Acme Corp" in text_of(finance.get(f"/invoices/?company={world.acme.pk}"))
    assert invoice.number in text_of(finance.get(f"/invoices/?company={world.acme.pk}&type=miscellaneous"))
    assert "No invoices match" in text_of(finance.get("/invoices/?type=agreement"))
    assert finance.get("/invoices/?company=" + "9" * 40).status_code == 200
    assert finance.get("/invoices/999999/").status_code == 404
