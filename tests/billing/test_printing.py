"""What stands on paper, read from real invoices: blocks and what is left of them, covered work, prorated additions."""

from __future__ import annotations

import io
from datetime import date

import pytest
from pypdf import PdfReader
from tests.agreements.records import make
from tests.billing.test_prepaid_blocks import billed, block, paid_ahead, worked
from tests.trade import NOW, D, order_of
from tests.usage.world import engineer
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.agreements.commands import AdditionInput, add_addition
from counterfoil.billing.commands import (
    close_invoice,
    invoice_agreement,
    invoice_sales_order,
    record_payment,
    reverse_invoice,
)
from counterfoil.billing.documents import invoice_document, statement_document
from counterfoil.billing.models import Invoice
from counterfoil.billing.paper import invoice_values
from counterfoil.billing.printing import Group, printed_invoice, printed_statement
from counterfoil.billing.queries import receivables
from counterfoil.companies.models import Site

pytestmark = pytest.mark.django_db

MAR_1_2019 = date(2019, 3, 1)
MAR_7, MAR_8, APR_30 = date(2026, 3, 7), date(2026, 3, 8), date(2026, 4, 30)


@pytest.fixture
def world() -> World:
    engineer()
    return build_world()


def sold(world: World, price: str = "150", on: date = MAR_7) -> Invoice:
    line = order_of(world, world.server_noninventory, price=price)
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=on)
    return close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)


def text_of(invoice: Invoice) -> str:
    pdf = invoice_document(invoice.pk, now=NOW).content
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def test_we_1_an_invoice_shows_what_is_left_of_the_block(world: World) -> None:
    agreement = block(world, application_units="hours", application_limit=D("10"))
    paid_ahead(agreement)
    worked(world, agreement, "3", on=MAR_7)
    first = billed(MAR_7)
    worked(world, agreement, "2", on=date(2026, 3, 15))
    worked(world, agreement, "1", on=date(2026, 3, 20))
    second = billed(date(2026, 3, 15))
    for invoice, left in ((first, "7"), (second, "5")):
        assert f"{left} of 10 hours of {agreement.number}" in text_of(invoice)


def test_covered_work_is_shown_with_its_split(world: World) -> None:
    agreement = block(world, application_units="hours", application_limit=D("4"))
    paid_ahead(agreement)
    worked(world, agreement, "3", on=MAR_7)
    worked(world, agreement, "2", on=MAR_8)
    invoice = billed(MAR_8)
    printed = printed_invoice(invoice.pk)
    assert [
        (line.group, line.unit, line.quantity, line.covered_quantity, line.covered_amount, line.amount, line.start)
        for line in printed.lines
    ] == [
        (Group.SERVICES, "h", 3, 3, 300, 0, MAR_7),
        (Group.SERVICES, "h", 2, 1, 100, 100, MAR_8),
    ]
    text = text_of(invoice)
    assert "Covered by your agreement" in text
    assert f"covered by {agreement.number}" in text


def test_the_site_is_the_ship_to_when_it_is_elsewhere(world: World) -> None:
    line = order_of(world, world.server_noninventory, price="150")
    draft = invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=MAR_7)
    assert printed_invoice(draft.pk).ship_to is None
    plant = Site.objects.create(company=world.acme, name="Plant", line1="99 Dock Rd", city="Toledo", state="OH")
    Invoice.objects.update(site=plant)
    ship_to = printed_invoice(draft.pk).ship_to
    assert ship_to is not None
    assert (ship_to.name, ship_to.lines) == ("Acme Corp, Plant", ("99 Dock Rd", "Toledo, OH"))


def test_a_credit_memo_names_what_it_takes_back(world: World) -> None:
    invoice = sold(world)
    memo = reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_8, reason="Wrong customer", now=NOW)
    text = text_of(memo)
    for words in ("Credit memo", f"for invoice {invoice.number}", "159.00 USD credited to your account", "(150.00)"):
        assert words in text, words
    copy = printed_invoice(invoice.pk, settled_on=MAR_8)
    assert [(part.words, part.amount) for part in copy.settlements] == [
        (f"Credit memo {memo.number}, 8 Mar 2026", D("159.00"))
    ]
    assert copy.balance == 0


def test_a_statement_ties_to_the_receivables(world: World) -> None:
    sold(world, "1000", on=date(2026, 1, 5))
    sold(world)
    record_payment(actor=FINANCE, company_id=world.acme.pk, on=MAR_8, amount=D("2000"), leave_rest=True)
    sold(world, "200", on=APR_30)
    for as_of in (date(2026, 1, 31), MAR_7, MAR_8, APR_30, date(2026, 8, 1)):
        printed = printed_statement(world.acme.pk, as_of=as_of)
        (owed,) = receivables(as_of=as_of, company_id=world.acme.pk)
        assert printed.ages == (owed.current, owed.days_30, owed.days_60, owed.days_90, owed.older)
        assert printed.balance == owed.total
    pdf = statement_document(world.acme.pk, as_of=APR_30, now=NOW)
    assert pdf.name == "Statement-Acme-Corp-30-Apr-2026.pdf"


def test_we_2_a_prorated_addition_says_so_below_its_line() -> None:
    world = build_world(date(2019, 1, 1))
    agreement = make(world, AdditionInput(world.lease.pk, D("2"), D("22"), description="Seat"), start_date=MAR_1_2019)
    invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    later = AdditionInput(world.lease.pk, D("2"), D("22"), description="Seat", effective_date=date(2019, 3, 15))
    add_addition(actor=SALES, agreement_id=agreement.pk, addition=later)
    april = invoice_agreement(actor=FINANCE, agreement_id=agreement.pk)
    (recurring,) = invoice_values(printed_invoice(april.pk))["groups"]
    rows = [(row["quantity"], row["price"], row["amount"], *row["notes"]) for row in recurring["lines"]]
    assert rows == [
        ("2", "22.00", "44.00", "2 × 22.00 for Apr 2019 = 44.00"),
        (
            "2", "12.0645", "24.13", "2 × 22.00 × 17 of 31 days (15–31 Mar 2019) = 24.13",
            "prorated with a start date of 15 Mar 2019",
        ),
        ("2", "22.00", "44.00", "2 × 22.00 for Apr 2019 = 44.00"),
    ]  # fmt: skip
