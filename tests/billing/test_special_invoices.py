"""Invoices by hand, down payments, progress: their lines, terms, tax, and what is left of them."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from tests.trade import NOW, D, cable, order_of, shipped, stock
from tests.world import FINANCE, World, build_world

from counterfoil.billing.commands import (
    add_invoice_line,
    apply_down_payment,
    change_bill_to,
    close_invoice,
    close_invoices,
    create_invoice,
    credit_invoice,
    delete_draft_invoice,
    invoice_progress,
    invoice_sales_order,
    remove_invoice_line,
    reorder_invoice_lines,
    reverse_invoice,
    update_billing_settings,
    update_invoice,
    update_invoice_line,
)
from counterfoil.billing.credits import CreditLine
from counterfoil.billing.down_payments import down_payments
from counterfoil.billing.models import Invoice, InvoiceType
from counterfoil.billing.special import NewLine
from counterfoil.catalog.models import Product
from counterfoil.companies.models import BillingTerms, Contact, Site
from counterfoil.core.errors import DomainError
from counterfoil.tax.models import TaxCode, TaxLevel

pytestmark = pytest.mark.django_db

MAR_1, MAR_31 = date(2026, 3, 1), date(2026, 3, 31)


@pytest.fixture
def world() -> World:
    return build_world()


def line(price: str, quantity: str = "1", **fields: Any) -> NewLine:
    return NewLine(description=fields.pop("description", "Setup"), quantity=D(quantity), unit_price=D(price), **fields)


def draft(world: World, *lines: NewLine, type: str = "miscellaneous", **fields: Any) -> Invoice:
    return create_invoice(
        actor=FINANCE, type=InvoiceType(type), company_id=world.acme.pk, on=MAR_1, lines=lines, **fields
    )


def closed(invoice: Invoice) -> Invoice:
    return close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)


def amounts(invoice: Invoice) -> tuple[Any, ...]:
    fresh = Invoice.objects.get(pk=invoice.pk)
    return fresh.subtotal, fresh.tax_total, fresh.total


def refusal(command: Any, **fields: Any) -> DomainError:
    with pytest.raises(DomainError) as refused:
        command(actor=FINANCE, **fields)
    return refused.value


# -- by hand


def test_a_flat_charge_with_a_discount_is_taxed_as_a_whole(world: World) -> None:
    invoice = closed(draft(world, line("250", kind="service"), line("-50", description="Discount")))
    assert amounts(invoice) == (D("200"), D("12"), D("212"))
    assert (invoice.number, invoice.terms_name, invoice.due_date) == ("INV-0001", "Net 30", MAR_31)


def test_we_20_terms_count_from_the_invoice_date_and_the_nearest_hold(world: World) -> None:
    net10 = BillingTerms.objects.create(name="Net 10 days", due_days=10)
    net45 = BillingTerms.objects.create(name="Net 45 days", due_days=45)
    update_billing_settings(actor=FINANCE, default_terms_id=net45.pk)
    assert draft(world, line("1")).terms_name == "Net 30"
    world.acme.terms = None
    world.acme.save()
    usual = draft(world, line("1"))
    assert usual.terms_name == "Net 45 days"
    assert draft(world, line("1"), terms_id=net10.pk).due_date == date(2026, 3, 11)

    update_invoice(actor=FINANCE, invoice_id=usual.pk, terms_id=net10.pk)
    moved = update_invoice(actor=FINANCE, invoice_id=usual.pk, date=date(2026, 4, 20))
    assert (moved.terms_name, moved.due_date) == ("Net 10 days", date(2026, 4, 30))
    net10.name = "Ten days"
    net10.save()
    assert Invoice.objects.get(pk=usual.pk).terms_name == "Net 10 days"


def test_the_site_decides_the_tax_and_the_contact_for_bills_the_attention(world: World) -> None:
    ohio = TaxCode.objects.create(identifier="OH", description="Ohio")
    TaxLevel.objects.create(tax_code=ohio, position=1, name="Ohio", rate=D("0.0575"), agency="OH")
    site = Site.objects.create(company=world.acme, name="Toledo", tax_code=ohio)
    Contact.objects.create(company=world.acme, name="Ann Payable", is_billing=True)
    invoice = draft(world, line("100"), site_id=site.pk)
    assert (invoice.tax_total, invoice.site, invoice.attention) == (D("5.75"), site, "Ann Payable")
    assert draft(world, line("100"), attention="Bob").attention == "Bob"


def test_lines_are_added_changed_moved_and_removed(world: World) -> None:
    invoice = draft(world, line("100"))
    second = add_invoice_line(actor=FINANCE, invoice_id=invoice.pk, line=line("10", "3", description="Cables"))
    assert (second.position, second.amount, second.tax_amount) == (2, D("30"), D("1.80"))
    update_invoice_line(actor=FINANCE, line_id=second.pk, quantity=D("2"), unit_price=D("15.5"))
    assert amounts(invoice) == (D("131"), D("7.86"), D("138.86"))
    first = invoice.lines.get(position=1)
    reorder_invoice_lines(actor=FINANCE, invoice_id=invoice.pk, line_ids=[second.pk, first.pk])
    assert list(invoice.lines.order_by("position").values_list("description", flat=True)) == ["Cables", "Setup"]
    assert refusal(reorder_invoice_lines, invoice_id=invoice.pk, line_ids=[first.pk]).code == "invalid"
    remove_invoice_line(actor=FINANCE, line_id=first.pk)
    assert amounts(invoice) == (D("31"), D("1.86"), D("32.86"))
    closed(invoice)
    assert refusal(remove_invoice_line, line_id=second.pk).code == "wrong_state"


def test_types_that_come_from_elsewhere_are_not_written_by_hand(world: World) -> None:
    for type in ("standard", "agreement", "progress"):
        error = refusal(create_invoice, type=InvoiceType(type), company_id=world.acme.pk, on=MAR_1)
        assert (error.code, error.field) == ("invalid", "type")


def test_an_invoice_is_not_below_zero_and_a_credit_memo_not_above(world: World) -> None:
    with pytest.raises(DomainError, match="cannot come to less than zero"):
        draft(world, line("-5"))
    with pytest.raises(DomainError, match="gives money back"):
        draft(world, line("5"), type="credit_memo")
    memo = closed(draft(world, line("-100"), type="credit_memo"))
    assert (memo.number, memo.total, memo.balance) == ("CM-0001", D("-106"), D("-106"))


def test_stock_is_sold_by_sales_order_alone(world: World) -> None:
    error = refusal(
        create_invoice, type=InvoiceType.MISCELLANEOUS, company_id=world.acme.pk, on=MAR_1,
        lines=[NewLine(product_id=world.server_inventory.pk)],
    )  # fmt: skip
    assert (error.code, error.field) == ("wrong_product_class", "lines[0].product_id")


def test_an_internal_company_is_billed_at_zero_price_alone(world: World) -> None:
    fields: Any = {"type": InvoiceType.MISCELLANEOUS, "company_id": world.internal.pk, "on": MAR_1}
    assert refusal(create_invoice, lines=[line("5")], **fields).code == "price_on_internal_company"
    assert create_invoice(actor=FINANCE, lines=[line("0")], **fields).total == 0
    fields["company_id"] = world.my_company.pk
    assert refusal(create_invoice, lines=[line("0")], **fields).code == "my_company_not_billable"


def test_many_are_closed_together_in_the_order_of_their_dates(world: World) -> None:
    late = draft(world, line("1"))
    update_invoice(actor=FINANCE, invoice_id=late.pk, date=date(2026, 3, 5))
    empty, early = draft(world), draft(world, line("2"))
    memo = draft(world, line("-1"), type="credit_memo")
    done = close_invoices(actor=FINANCE, invoice_ids=[late.pk, empty.pk, early.pk, memo.pk], now=NOW)
    assert [(row.number, row.pk) for row in done.invoices] == [
        ("INV-0001", early.pk), ("CM-0001", memo.pk), ("INV-0002", late.pk),
    ]  # fmt: skip
    assert [(row.invoice_id, row.reason.code) for row in done.not_closed] == [(empty.pk, "required")]
    assert Invoice.objects.get(pk=late.pk).balance == D("1.06")


# -- down payments


def down_payment(world: World, *lines: NewLine, **fields: Any) -> Invoice:
    return closed(draft(world, *lines, type="down_payment", **fields))


def test_a_taxed_down_payment_is_never_taxed_twice(world: World) -> None:
    paid = down_payment(world, line("400"))
    assert (amounts(paid), [row.deferred for row in paid.lines.all()]) == ((D("400"), D("24"), D("424")), [True])
    invoice = draft(world, line("1000"))
    apply_down_payment(actor=FINANCE, invoice_id=invoice.pk, down_payment_id=paid.pk)
    assert amounts(invoice) == (D("600"), D("36"), D("636"))  # 60.00 of tax in all
    applied = invoice.lines.get(down_payment=paid)
    assert (applied.amount, applied.deferred, applied.taxable) == (D("-400"), True, True)
    assert down_payments(company_id=world.acme.pk) == []


def test_an_untaxed_down_payment_leaves_the_tax_to_the_invoice(world: World) -> None:
    paid = down_payment(world, line("400", taxable=False))
    invoice = draft(world, line("1000"))
    apply_down_payment(actor=FINANCE, invoice_id=invoice.pk, down_payment_id=paid.pk)
    assert amounts(invoice) == (D("600"), D("60"), D("660"))


def test_a_down_payment_of_both_kinds_is_applied_in_proportion(world: World) -> None:
    paid = down_payment(world, line("300"), line("100", taxable=False))
    invoice = draft(world, line("1000"))
    apply_down_payment(actor=FINANCE, invoice_id=invoice.pk, down_payment_id=paid.pk, amount=D("200"))
    assert amounts(invoice) == (D("800"), D("51"), D("851"))  # 150.00 were taxed
    (left,) = down_payments(company_id=world.acme.pk)
    assert (left.used, left.remaining) == (D("200"), D("200"))


def test_no_more_is_applied_than_is_left_or_than_the_invoice_comes_to(world: World) -> None:
    paid = down_payment(world, line("400"))
    invoice = draft(world, line("300"))
    error = refusal(apply_down_payment, invoice_id=invoice.pk, down_payment_id=paid.pk, amount=D("300.01"))
    assert error.message.endswith("comes to 300.00 before tax.")
    apply_down_payment(actor=FINANCE, invoice_id=invoice.pk, down_payment_id=paid.pk)
    assert amounts(invoice) == (0, 0, 0)
    other = draft(world, line("300"))
    error = refusal(apply_down_payment, invoice_id=other.pk, down_payment_id=paid.pk, amount=D("100.01"))
    assert error.message == f"100.00 is left of {paid}."
    apply_down_payment(actor=FINANCE, invoice_id=other.pk, down_payment_id=paid.pk)
    assert amounts(other)[0] == D("200")
    assert refusal(apply_down_payment, invoice_id=other.pk, down_payment_id=paid.pk).code == "wrong_state"
    delete_draft_invoice(actor=FINANCE, invoice_id=other.pk)
    assert [row.remaining for row in down_payments(company_id=world.acme.pk)] == [D("100")]


def test_a_down_payment_stays_with_what_it_is_for(world: World) -> None:
    for_ticket = down_payment(world, line("10"), ticket="T-1")
    other, same = draft(world, line("100")), draft(world, line("100"), ticket="T-1")
    assert refusal(apply_down_payment, invoice_id=other.pk, down_payment_id=for_ticket.pk).code == "invalid"
    assert [row.invoice for row in down_payments(for_invoice_id=same.pk)] == [for_ticket]
    assert down_payments(for_invoice_id=other.pk) == []
    apply_down_payment(actor=FINANCE, invoice_id=same.pk, down_payment_id=for_ticket.pk)
    globex = create_invoice(
        actor=FINANCE, type=InvoiceType.MISCELLANEOUS, company_id=world.globex.pk, on=MAR_1, lines=[line("5")]
    )
    free = down_payment(world, line("10"))
    assert refusal(apply_down_payment, invoice_id=globex.pk, down_payment_id=free.pk).code == "invalid"
    assert refusal(apply_down_payment, invoice_id=other.pk, down_payment_id=same.pk).code == "wrong_state"
    assert refusal(change_bill_to, invoice_id=same.pk, company_id=world.globex.pk).code == "wrong_state"


def test_a_reversed_invoice_gives_its_down_payment_back(world: World) -> None:
    paid = down_payment(world, line("400"))
    invoice = draft(world, line("1000"))
    apply_down_payment(actor=FINANCE, invoice_id=invoice.pk, down_payment_id=paid.pk)
    closed(invoice)
    assert refusal(reverse_invoice, invoice_id=paid.pk, on=MAR_1, reason="x", now=NOW).code == "wrong_state"
    reverse_invoice(actor=FINANCE, invoice_id=invoice.pk, on=MAR_1, reason="Wrong", now=NOW)
    assert [row.remaining for row in down_payments(company_id=world.acme.pk)] == [D("400")]
    reverse_invoice(actor=FINANCE, invoice_id=paid.pk, on=MAR_1, reason="Given back", now=NOW)
    assert down_payments(company_id=world.acme.pk) == []


def test_what_of_a_down_payment_is_credited_cannot_be_applied(world: World) -> None:
    paid = down_payment(world, line("400"))
    source = paid.lines.get()
    memo = credit_invoice(
        actor=FINANCE, invoice_id=paid.pk, on=MAR_1, reason="Less to do", lines=[CreditLine(source.pk, amount=D("150"))]
    )
    assert (memo.total, memo.lines.get().deferred) == (D("-159"), True)
    assert [row.remaining for row in down_payments(company_id=world.acme.pk)] == [D("250")]


# -- progress


def project(world: World, price: str = "1000.01", quantity: str = "1") -> Any:
    service = Product.objects.create(
        identifier="PROJ", description="Migration", product_class="Service", accounting_type="Service",
        category=world.lease.category, price=D(price),
    )  # fmt: skip
    return order_of(world, service, quantity, price=price)


def test_progress_bills_a_third_each_time_and_the_rest_at_the_end(world: World) -> None:
    ordered = project(world)
    third = D("33.333333")
    parts = [
        invoice_progress(actor=FINANCE, order_id=ordered.order_id, on=MAR_1, percent=third).subtotal for _ in range(2)
    ]
    rest = invoice_sales_order(actor=FINANCE, order_id=ordered.order_id, on=MAR_1)
    assert (*parts, rest.subtotal) == (D("333.34"), D("333.34"), D("333.33"))
    assert sum(row.quantity for invoice in Invoice.objects.all() for row in invoice.lines.all()) == 1
    assert refusal(invoice_progress, order_id=ordered.order_id, on=MAR_1, percent=D(1)).code == "already_invoiced"


def test_progress_by_amount_never_exceeds_what_is_left(world: World) -> None:
    ordered = project(world, "30000")
    fields: Any = {"order_id": ordered.order_id, "on": MAR_1}
    first = invoice_progress(actor=FINANCE, amount=D("10000"), **fields)
    assert (first.type, first.subtotal, first.lines.get().explanation) == (
        "progress", D("10000"), "33.33 % of 30,000.00; 20,000.00 is left",
    )  # fmt: skip
    assert refusal(invoice_progress, amount=D("20000.01"), **fields).code == "invalid"
    assert refusal(invoice_progress, percent=D(80), **fields).field == "percent"
    assert refusal(invoice_progress, **fields).code == "invalid"
    assert invoice_sales_order(actor=FINANCE, **fields).subtotal == D("20000")
    delete_draft_invoice(actor=FINANCE, invoice_id=first.pk)
    assert invoice_progress(actor=FINANCE, percent=D(10), **fields).subtotal == D("3000")


def test_goods_are_billed_as_they_are_shipped_not_by_progress(world: World) -> None:
    product = cable(world)
    stock(world, product, "10", "4")
    ordered = order_of(world, product, "10", price="9")
    shipped(ordered, "10")
    assert refusal(invoice_progress, order_id=ordered.order_id, on=MAR_1, percent=D(50)).code == "already_invoiced"
