"""Invoices of sales orders: what is billed, to whom, at what cost; closed, and never changed again."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import DatabaseError, transaction
from tests.trade import (
    JAN_15,
    NOW,
    D,
    bought,
    cable,
    cost_invoice,
    leased_server,
    order_of,
    received,
    shipped,
    stock,
)
from tests.world import FINANCE, SALES, World, build_world

from counterfoil.billing.commands import (
    change_bill_to,
    close_invoice,
    delete_draft_invoice,
    invoice_sales_order,
    update_invoice,
    update_invoice_line,
)
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.billing.queries import invoices, lines_of_invoice
from counterfoil.core.errors import DomainError
from counterfoil.orders.models import SalesOrderLine
from counterfoil.procurement.commands import PurchaseLine

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return build_world()


def invoiced(line: SalesOrderLine, **fields: object) -> Invoice:
    return invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=JAN_15, **fields)  # type: ignore[arg-type]


def refusal(line: SalesOrderLine, **fields: object) -> DomainError:
    with pytest.raises(DomainError) as refused:
        invoiced(line, **fields)
    return refused.value


def test_the_cost_only_invoice_of_a_lease_takes_the_server_out_of_stock(world: World) -> None:
    line = leased_server(world)
    draft = invoiced(line)
    change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=world.internal.pk)
    invoice = close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)

    assert (invoice.number, invoice.status, invoice.closed_at) == ("INV-0001", "closed", NOW)
    assert (invoice.bill_to_kind, invoice.bill_to_name) == ("internal", "Northwind HaaS")
    assert invoice.bill_to_address == "1 Main St\nDetroit, MI 48226"
    assert (invoice.total, invoice.tax_total, invoice.cost_total) == (D("0.00"), D("0.00"), D("3600.00"))
    (row,) = lines_of_invoice(invoice.pk)
    assert (row.relieves_stock, row.taxable, row.cost, row.order_line, row.origin) == (
        True, False, D("3600.00"), line, line.origin,
    )  # fmt: skip


def test_noninventory_is_billed_as_ordered_with_its_cost_for_information(world: World) -> None:
    line = order_of(world, world.server_noninventory, cost="3500")
    draft = invoiced(line)
    assert [(row.cost, row.relieves_stock) for row in draft.lines.all()] == [(D("3500.00"), False)]
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)

    order = bought(world, PurchaseLine(order_line_id=line.pk, unit_cost=D("3600")))
    received(world, order.lines.get())
    assert invoiced(line).cost_total == D("3600.00")


def test_stock_is_billed_as_far_as_it_is_shipped(world: World) -> None:
    product = cable(world)
    stock(world, product, "10", "4")
    line = order_of(world, product, "10", price="9")
    error = refusal(line)
    assert (error.code, error.hint) == ("not_shipped", "Ship the goods first.")

    shipped(line, "4")
    first = invoiced(line)
    assert (first.subtotal, first.tax_total, first.cost_total) == (D("36.00"), D("2.16"), D("16.00"))
    assert refusal(line).code == "not_shipped"

    shipped(line, "6")
    second = invoiced(line)
    assert [(row.quantity, row.cost) for row in second.lines.all()] == [(D("6"), D("24.00"))]
    assert refusal(line).code == "already_invoiced"


def test_a_deleted_draft_gives_back_what_it_billed(world: World) -> None:
    line = leased_server(world)
    draft = invoiced(line)
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)
    assert invoiced(line).cost_total == D("3600.00")


def test_my_company_is_never_billed(world: World) -> None:
    line = leased_server(world)
    assert refusal(line, bill_to_id=world.my_company.pk).code == "my_company_not_billable"

    draft = invoiced(line)
    with pytest.raises(DomainError) as refused:
        change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=world.my_company.pk)
    assert refused.value.message == "Northwind IT is My Company and can never be billed."


def test_a_price_on_an_internal_company_is_refused_however_it_comes(world: World) -> None:
    product = cable(world)
    stock(world, product, "1", "4")
    line = order_of(world, product, price="9")
    shipped(line)
    assert refusal(line, bill_to_id=world.internal.pk).code == "price_on_internal_company"

    draft = invoiced(line)
    with pytest.raises(DomainError) as refused:
        change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=world.internal.pk)
    assert refused.value.message == (
        "Northwind HaaS is an internal company: “Patch cable” has a price of 9.00 and must have none."
    )

    row = draft.lines.get()
    update_invoice_line(actor=FINANCE, line_id=row.pk, unit_price=D("0"))
    change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=world.internal.pk)
    with pytest.raises(DomainError) as refused:
        update_invoice_line(actor=FINANCE, line_id=row.pk, unit_price=D("9"))
    assert refused.value.code == "price_on_internal_company"


def test_going_back_to_a_customer_taxes_the_lines_again(world: World) -> None:
    draft = invoiced(leased_server(world), bill_to_id=world.internal.pk)
    assert [row.taxable for row in draft.lines.all()] == [False]

    change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=world.globex.pk)
    update_invoice_line(actor=FINANCE, line_id=draft.lines.get().pk, unit_price=D("100"))

    draft.refresh_from_db()
    assert (draft.bill_to_name, draft.tax_total, draft.total) == ("Globex Ltd", D("6.00"), D("106.00"))


def test_a_line_made_untaxable_leaves_the_tax(world: World) -> None:
    product = cable(world)
    stock(world, product, "2", "4")
    line = order_of(world, product, "2", price="9")
    shipped(line)
    draft = invoiced(line)

    update_invoice_line(actor=FINANCE, line_id=draft.lines.get().pk, taxable=False, description="Cables")

    draft.refresh_from_db()
    assert (draft.tax_total, draft.total, draft.taxes.count()) == (D("0.00"), D("18.00"), 0)
    assert draft.lines.get().description == "Cables"


def test_a_new_date_moves_the_due_date(world: World) -> None:
    draft = invoiced(leased_server(world))

    changed = update_invoice(actor=FINANCE, invoice_id=draft.pk, date=date(2026, 1, 20), customer_po="PO 7")

    assert (changed.due_date, changed.customer_po) == (date(2026, 2, 19), "PO 7")
    with pytest.raises(DomainError) as refused:
        update_invoice(actor=FINANCE, invoice_id=draft.pk, due_date=date(2026, 1, 19))
    assert refused.value.field == "due_date"


def test_a_closed_invoice_never_changes(world: World) -> None:
    line = leased_server(world)
    invoice = cost_invoice(world, line.order)
    row = invoice.lines.get()

    for deed in (
        lambda: change_bill_to(actor=FINANCE, invoice_id=invoice.pk, company_id=world.acme.pk),
        lambda: update_invoice(actor=FINANCE, invoice_id=invoice.pk, customer_po="x"),
        lambda: update_invoice_line(actor=FINANCE, line_id=row.pk, description="x"),
        lambda: delete_draft_invoice(actor=FINANCE, invoice_id=invoice.pk),
        lambda: close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW),
    ):
        with pytest.raises(DomainError) as refused:
            deed()
        assert refused.value.code == "wrong_state"

    # And what a bug would try, the database refuses.
    for statement in (
        lambda: Invoice.objects.filter(pk=invoice.pk).update(total=1, subtotal=1),
        lambda: InvoiceLine.objects.filter(pk=row.pk).update(cost=1),
        lambda: row.delete(),
        lambda: InvoiceLine.objects.create(
            invoice=invoice, position=2, description="x", quantity=1, unit_price=0, amount=0
        ),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            statement()


def test_an_invoice_without_lines_or_beyond_what_shipped_is_not_closed(world: World) -> None:
    line = leased_server(world)
    draft = invoiced(line)
    InvoiceLine.objects.filter(invoice=draft).update(quantity=2)
    with pytest.raises(DomainError) as refused:
        close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    assert refused.value.code == "not_shipped"

    draft.lines.all().delete()
    with pytest.raises(DomainError) as refused:
        close_invoice(actor=FINANCE, invoice_id=draft.pk, now=NOW)
    assert refused.value.code == "required"


def test_the_invoice_list_searches_and_filters(world: World) -> None:
    line = leased_server(world)
    closed = cost_invoice(world, line.order)
    draft = invoiced(order_of(world, world.server_noninventory))

    assert [each.pk for each in invoices(status="draft")] == [draft.pk]
    assert [each.pk for each in invoices(search=line.order.number)] == [closed.pk]
    assert [(each.pk, each.balance) for each in invoices(company_id=world.internal.pk)] == [(closed.pk, D("0.00"))]


def test_only_finance_invoices(world: World) -> None:
    line = leased_server(world)
    with pytest.raises(DomainError) as refused:
        invoice_sales_order(actor=SALES, order_id=line.order_id, on=JAN_15)
    assert refused.value.code == "role_required"
