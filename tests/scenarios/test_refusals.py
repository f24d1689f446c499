"""What Counterfoil refuses: each with a code, a message that names the thing and how to mend it, and nothing half-done.

Whether anything was half-done is read from the whole database before and after. Where a constraint or a trigger guards
the same fact, the refusal is tried once more past the commands.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction
from tests.accounting.records import make_invoice
from tests.snapshot import changed, snapshot
from tests.trade import (
    JAN_5,
    JAN_10,
    JAN_15,
    JAN_31,
    NOW,
    D,
    bought,
    cable,
    leased_server,
    order_of,
    received,
    stock,
)
from tests.world import FINANCE, OWNER, PROCUREMENT, SALES, World

from counterfoil.accounting.commands import (
    create_batch,
    delete_batch,
    export_batch_iif,
    remove_from_batch,
    remove_mapping,
    set_mapping,
    transfer_batch,
)
from counterfoil.accounting.models import Batch, BatchExport, BatchItem, GLMapping
from counterfoil.agreements.commands import AdditionInput, add_addition, create_agreement, update_agreement
from counterfoil.assets.commands import post_depreciation
from counterfoil.assets.models import Asset, DepreciationLine
from counterfoil.billing.commands import (
    InvoicePayment,
    change_bill_to,
    close_invoice,
    delete_draft_invoice,
    invoice_agreement,
    invoice_sales_order,
    record_payment,
    update_invoice,
    update_invoice_line,
)
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax, Payment, PaymentApplication
from counterfoil.catalog.models import Product
from counterfoil.companies.commands import update_company
from counterfoil.companies.imports import import_companies
from counterfoil.core.errors import DomainError
from counterfoil.core.posting import GlRole
from counterfoil.flows.conversion import convert_to_agreement, convert_to_sales_order
from counterfoil.flows.haas_lease import LeaseOption, LeasePlan, People, run_lease
from counterfoil.inventory.commands import ReceiveLine, ShipLine, receive_purchase_order, ship_order
from counterfoil.inventory.models import (
    Receipt,
    ReceiptLine,
    SerialNumber,
    Shipment,
    ShipmentLine,
    StockBalance,
    StockMovement,
)
from counterfoil.ledger.commands import ManualLine, close_period, post_manual_entry, reverse_entry
from counterfoil.ledger.models import Account, AccountingPeriod, DefaultAccount, JournalEntry, JournalLine
from counterfoil.orders.commands import OrderLineInput, create_sales_order, update_sales_order
from counterfoil.platform.commands import refusal_of
from counterfoil.platform.models import AuditEntry
from counterfoil.procurement.commands import (
    PurchaseLine,
    delete_vendor_bill,
    pay_vendor_bill,
)
from counterfoil.procurement.models import (
    PurchaseOrderLine,
    VendorBill,
    VendorBillLine,
    VendorPayment,
    VendorPaymentApplication,
)
from counterfoil.quotes.commands import QuoteLineInput, create_opportunity, record_conversion, update_quote_line
from counterfoil.quotes.models import LineConversion, Opportunity, QuoteLine
from counterfoil.tax.models import TaxRemittance

JANUARY = date(2026, 1, 1)
FEBRUARY = date(2026, 2, 28)


def refused(deed: Callable[[], object], code: str, *said: str) -> DomainError:
    """The deed is refused with ``code``, in words that say each of ``said``; the database is as it was."""
    before = snapshot()
    with pytest.raises(DomainError) as caught:
        deed()
    refusal = caught.value
    text = f"{refusal.message} {refusal.hint or ''}"
    assert refusal.code == code, text
    missing = [each for each in said if each not in text]
    assert not missing, f"{missing} not in: {text}"
    assert changed(before) == []
    return refusal


def database_refuses(deed: Callable[[], object], *, code: str | None = None, constraint: str | None = None) -> None:
    """The database refuses the deed by itself, and a command would say so with ``code``."""
    before = snapshot()
    error = error_of(deed)
    assert error is not None, "the database took it"
    cause: Any = error.__cause__
    if constraint is not None:
        assert cause.diag.constraint_name == constraint, str(error)
    if code is not None:
        assert refusal_of(error).code == code
    assert changed(before) == []


def error_of(deed: Callable[[], object]) -> DatabaseError | models.ProtectedError | models.RestrictedError | None:
    """How the deed fails, deferred constraints and all; it is undone in any case."""
    try:
        with transaction.atomic():
            deed()
            sql("SET CONSTRAINTS ALL IMMEDIATE")()
            transaction.set_rollback(True)
    except (DatabaseError, models.ProtectedError, models.RestrictedError) as error:
        return error
    return None


def sql(statement: str, *values: object) -> Callable[[], object]:
    def run() -> object:
        with connection.cursor() as cursor:
            return cursor.execute(statement, values)

    return run


# --- billing My Company ----------------------------------------------------------------------------------------------


def test_my_company_is_never_billed(world: World) -> None:
    mine = world.my_company.pk
    lease = {"agreement_type_id": world.haas.pk, "name": "Lease", "start_date": JANUARY}
    line = OrderLineInput(world.server_noninventory.pk)
    opportunity = server_lease(world)
    server, agreement_line = opportunity.lines.order_by("position")
    agreement = create_agreement(actor=SALES, company_id=world.acme.pk, **lease)
    order = create_sales_order(actor=SALES, company_id=world.acme.pk, on=JAN_5, lines=[line])
    draft = invoice_sales_order(actor=FINANCE, order_id=order.pk, on=JAN_15)

    for deed in (
        lambda: create_agreement(actor=SALES, company_id=mine, **lease),
        lambda: create_agreement(actor=SALES, company_id=world.acme.pk, bill_to_id=mine, **lease),
        lambda: update_agreement(actor=SALES, agreement_id=agreement.pk, bill_to_id=mine),
        lambda: create_sales_order(actor=SALES, company_id=world.acme.pk, bill_to_id=mine, on=JAN_5, lines=[line]),
        lambda: update_sales_order(actor=SALES, order_id=order.pk, bill_to_id=mine),
        lambda: convert_to_agreement(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line_ids=[agreement_line.pk],
            agreement_type_id=world.haas.pk,
            on=JANUARY,
            bill_to_id=mine,
        ),
        lambda: convert_to_sales_order(
            actor=SALES, opportunity_id=opportunity.pk, line_ids=[server.pk], on=JANUARY, bill_to_id=mine
        ),
        lambda: change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=mine),
    ):
        refused(deed, "my_company_not_billable", "Northwind IT", "internal company")
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)
    refused(
        lambda: invoice_sales_order(actor=FINANCE, order_id=order.pk, on=JAN_15, bill_to_id=mine),
        "my_company_not_billable",
        "Northwind IT",
        "internal company",
    )


def test_my_company_stays_my_company(world: World) -> None:
    """As a customer or an internal company it could be billed after all."""
    for kind in ("customer", "internal", "vendor", "both"):
        refused(
            lambda kind=kind: update_company(actor=OWNER, company_id=world.my_company.pk, kind=kind),
            "conflict",
            "Northwind IT is My Company",
            "another company",
        )
    rows = b"identifier,name,kind\nNorthwindIT,Northwind IT,customer\n"
    refusal = refused(lambda: import_companies(actor=OWNER, content=rows), "import_rows_invalid")
    assert "My Company" in refusal.details[0]["message"]


def test_the_database_does_not_take_an_invoice_to_my_company(world: World) -> None:
    draft = make_invoice(world, on=JAN_15, closed=False)

    database_refuses(
        lambda: Invoice.objects.filter(pk=draft.pk).update(bill_to=world.my_company, bill_to_kind="my_company"),
        constraint="my_company_is_not_billed",
        code="my_company_not_billable",
    )


# --- a bundle as an addition -----------------------------------------------------------------------------------------


def test_a_bundle_is_no_addition(world: World) -> None:
    bundle = Product.objects.create(
        identifier="BDL-OFFICE", description="Office bundle", product_class="Bundle", accounting_type="Service",
        category=world.lease.category, price=D("99"), billing_cycle="month:1",
    )  # fmt: skip
    addition = AdditionInput(product_id=bundle.pk, unit_price=D("99"))
    agreement = create_agreement(
        actor=SALES, company_id=world.acme.pk, agreement_type_id=world.haas.pk, name="Lease", start_date=JANUARY
    )

    refused(
        lambda: create_agreement(
            actor=SALES,
            company_id=world.acme.pk,
            agreement_type_id=world.haas.pk,
            name="Office",
            start_date=JANUARY,
            additions=[AdditionInput(product_id=world.lease.pk), addition],
        ),
        "bundle_as_addition",
        "BDL-OFFICE",
        "products it is made of",
    )
    refused(
        lambda: add_addition(actor=SALES, agreement_id=agreement.pk, addition=addition),
        "bundle_as_addition",
        "BDL-OFFICE",
        "products it is made of",
    )


def test_a_bundle_on_a_quote_is_not_converted(world: World) -> None:
    bundle = Product.objects.create(
        identifier="BDL-OFFICE", description="Office bundle", product_class="Bundle", accounting_type="Service",
        category=world.lease.category, price=D("99"),
    )  # fmt: skip
    opportunity = create_opportunity(
        actor=SALES, company_id=world.acme.pk, name="Office", lines=[QuoteLineInput(bundle.pk)]
    )
    choice: dict[str, Any] = {
        "opportunity_id": opportunity.pk, "line_ids": [opportunity.lines.get().pk], "on": JANUARY
    }  # fmt: skip

    refused(
        lambda: convert_to_agreement(actor=SALES, agreement_type_id=world.haas.pk, **choice),
        "wrong_product_class",
        "Office bundle",
        "Bundle",
    )
    refused(lambda: convert_to_sales_order(actor=SALES, **choice), "wrong_product_class", "Office bundle", "made of")


# --- converting a line twice -----------------------------------------------------------------------------------------


def server_lease(world: World) -> Opportunity:
    return create_opportunity(
        actor=SALES,
        company_id=world.acme.pk,
        name="Server lease",
        lines=[
            QuoteLineInput(world.server_inventory.pk, unit_cost=D("3600"), unit_price=D("0")),
            QuoteLineInput(world.lease.pk, unit_price=D("150"), cycles=36),
        ],
    )


def test_a_line_is_converted_once(world: World) -> None:
    opportunity = server_lease(world)
    server, lease = opportunity.lines.order_by("position")
    agreement = convert_to_agreement(
        actor=SALES,
        opportunity_id=opportunity.pk,
        line_ids=[lease.pk],
        agreement_type_id=world.haas.pk,
        on=JANUARY,
    )
    order = convert_to_sales_order(actor=SALES, opportunity_id=opportunity.pk, line_ids=[server.pk], on=JANUARY)

    refused(
        lambda: convert_to_agreement(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line_ids=[lease.pk],
            agreement_type_id=world.haas.pk,
            on=JANUARY,
        ),
        "already_converted",
        "Server as a service",
        agreement.number,
    )
    refused(
        lambda: convert_to_sales_order(
            actor=SALES, opportunity_id=opportunity.pk, line_ids=[server.pk, server.pk], on=JANUARY
        ),
        "already_converted",
        "Rack server",
        order.number,
    )
    refused(
        lambda: record_conversion(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line_ids=[server.pk],
            target="sales_order",
            target_id=order.pk,
            target_number=order.number,
        ),
        "already_converted",
        "Rack server",
    )
    conversion = LineConversion.objects.get(line=server)
    conversion.pk = None
    database_refuses(
        lambda: conversion.save(force_insert=True),
        constraint="quotes_lineconversion_line_id_key",
        code="already_converted",
    )


# --- receiving -------------------------------------------------------------------------------------------------------


def receive(line: PurchaseOrderLine, *what: ReceiveLine) -> Callable[[], Receipt]:
    return lambda: receive_purchase_order(
        actor=PROCUREMENT, purchase_order_id=line.purchase_order_id, on=JAN_10, lines=what
    )


def purchase_of(world: World, product: Product, quantity: str, **fields: Any) -> PurchaseOrderLine:
    what = PurchaseLine(product_id=product.pk, quantity=D(quantity), unit_cost=D("10"), **fields)
    return bought(world, what).lines.get()


def test_more_than_ordered_is_not_received(world: World) -> None:
    line = purchase_of(world, cable(world), "5", bin_id=world.acme_bin.pk)

    refused(receive(line, ReceiveLine(line.pk, D("5.000001"))), "more_than_ordered", "CAB-6", "5")
    received(world, line, "3")
    refused(receive(line, ReceiveLine(line.pk, D("3"))), "more_than_ordered", "CAB-6", "2")
    refused(  # both parts fit alone, but not together
        receive(line, ReceiveLine(line.pk, D("1")), ReceiveLine(line.pk, D("2"))), "more_than_ordered", "CAB-6"
    )


def test_stock_is_not_received_into_no_bin(world: World) -> None:
    line = purchase_of(world, cable(world), "5")

    refused(receive(line, ReceiveLine(line.pk)), "bin_required", "CAB-6", "bin")
    receipt = received(world, line)
    database_refuses(
        lambda: ReceiptLine.objects.filter(receipt=receipt).update(bin=None), constraint="stock_lies_in_a_bin"
    )


def test_a_serialized_product_is_not_received_without_its_serials(world: World) -> None:
    line = purchase_of(world, world.server_inventory, "2", bin_id=world.acme_bin.pk)

    for serials in ((), ("SN-1",), ("SN-1", "SN-2", "SN-3"), ("SN-1", " ")):
        refused(receive(line, ReceiveLine(line.pk, serials=serials)), "serials_required", "SRV-INV", "2")
    refused(receive(line, ReceiveLine(line.pk, serials=("SN-1", "SN-1"))), "serials_required", "SN-1", "twice")


def test_a_serial_in_stock_is_not_received_again(world: World) -> None:
    stock(world, world.server_inventory, "1", "3600", serials=["SN-1"])
    line = purchase_of(world, world.server_inventory, "2", bin_id=world.acme_bin.pk)

    refused(
        receive(line, ReceiveLine(line.pk, serials=("SN-2", "SN-1"))), "serial_in_stock", "SN-1", str(world.acme_bin)
    )
    again = SerialNumber.objects.get(serial="SN-1")
    again.pk = None
    database_refuses(lambda: again.save(force_insert=True), constraint="serial_in_stock_once", code="serial_in_stock")


# --- shipping what is not there --------------------------------------------------------------------------------------


def test_what_is_not_there_is_not_shipped(world: World) -> None:
    product = cable(world)
    line = order_of(world, product, "5")
    ship = {"actor": PROCUREMENT, "order_id": line.order_id, "on": JAN_15}

    refused(lambda: ship_order(lines=[ShipLine(line.pk, D("1"))], **ship), "not_in_stock", "CAB-6")
    stock(world, product, "3", "4")
    refused(
        lambda: ship_order(lines=[ShipLine(line.pk, D("4"), bin_id=world.acme_bin.pk)], **ship),
        "not_in_stock",
        "CAB-6",
        "3",
        "4",
    )
    refused(lambda: ship_order(lines=[ShipLine(line.pk, D("6"))], **ship), "more_than_ordered", "CAB-6", "5")
    database_refuses(
        lambda: StockBalance.objects.filter(product=product).update(quantity=D("-1")), constraint="stock_not_negative"
    )


def test_a_serial_that_is_not_there_is_not_shipped(world: World) -> None:
    line = order_of(world, world.server_inventory)
    stock(world, world.server_inventory, "1", "3600", serials=["SN-1"])

    refused(
        lambda: ship_order(
            actor=PROCUREMENT,
            order_id=line.order_id,
            on=JAN_15,
            lines=[ShipLine(line.pk, serials=("SN-9",))],
        ),
        "not_in_stock",
        "SN-9",
    )


# --- the accounting interface ----------------------------------------------------------------------------------------


def test_nothing_is_transferred_with_a_missing_gl_mapping(world: World) -> None:
    line = order_of(world, world.server_noninventory)
    receipt = received(world, bought(world, PurchaseLine(order_line_id=line.pk)).lines.get())
    DefaultAccount.objects.filter(role=GlRole.COGS).delete()

    refused(
        lambda: create_batch(actor=FINANCE, receipt_ids=[receipt.pk]), "gl_mapping_missing", receipt.number, "Hardware"
    )
    cogs = Account.objects.get(code="5000")
    mapping = set_mapping(
        actor=FINANCE, role=GlRole.COGS, account_id=cogs.pk, category_id=world.server_noninventory.category_id
    )
    batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk])
    remove_mapping(actor=FINANCE, mapping_id=mapping.pk)
    refused(
        lambda: transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW),
        "gl_mapping_missing",
        receipt.number,
        "Hardware",
    )
    assert not GLMapping.objects.filter(role=GlRole.COGS, category=world.server_noninventory.category).exists()


def test_nothing_is_transferred_twice(world: World) -> None:
    receipt = stock(world, cable(world), "5", "4")
    batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk])

    refused(
        lambda: create_batch(actor=FINANCE, receipt_ids=[receipt.pk]), "already_batched", receipt.number, batch.number
    )
    transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    refused(lambda: transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW), "already_transferred", batch.number)
    refused(lambda: create_batch(actor=FINANCE, receipt_ids=[receipt.pk]), "already_transferred", receipt.number)
    refused(lambda: delete_batch(actor=FINANCE, batch_id=batch.pk), "already_transferred", batch.number)
    refused(
        lambda: remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="receipt", source_id=receipt.pk),
        "already_transferred",
        batch.number,
    )
    entry = JournalEntry.objects.get(source_type="receipt", source_id=receipt.pk)
    entry.pk, entry.number = None, "JE-9999"
    database_refuses(
        lambda: entry.save(force_insert=True),
        constraint="one_posting_per_document_and_step",
        code="already_transferred",
    )
    item = BatchItem.objects.get(source_type="receipt", source_id=receipt.pk)
    item.pk, item.batch = None, Batch.objects.create(number="B-9999", created_by="Finn")
    database_refuses(lambda: item.save(force_insert=True), constraint="in_one_batch_only", code="already_batched")


def test_a_batch_that_does_not_balance_is_not_transferred(world: World) -> None:
    good = make_invoice(world, on=JAN_10)
    bad = make_invoice(world, on=JAN_10, closed=False)
    batch_of = {"actor": FINANCE, "invoice_ids": [good.pk, bad.pk]}
    # A total that its lines do not add up to; no command writes one, and the constraint on the head does not see it.
    with connection.cursor() as cursor:  # the trigger does see it
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE billing_invoice DISABLE TRIGGER USER")
        Invoice.objects.filter(pk=bad.pk).update(
            subtotal=D("151"), total=D("160"), status="closed", number="INV-X", line_count=1, tax_count=1
        )
        cursor.execute("ALTER TABLE billing_invoice ENABLE TRIGGER USER")

    refused(lambda: create_batch(**batch_of), "unbalanced", "INV-X", "160.00", "159.00")
    batch = create_batch(actor=FINANCE, invoice_ids=[good.pk])
    BatchItem.objects.create(
        batch=batch, source_type="invoice", source_id=bad.pk, source_label="INV-X", date=JAN_10, amount=D("160")
    )
    refused(lambda: transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW), "unbalanced", "INV-X")


def test_the_database_takes_no_entry_that_does_not_balance(world: World) -> None:
    write_entry("10", "10", total="10", lines=2)
    JournalEntry.objects.get(number="JE-9999")  # one that balances is taken: the rest is refused for what it says

    for debit, credit, total, lines in (
        ("10", "9.9999", "10", 2),  # the sides differ
        ("10", "10", "11", 2),  # the seal differs
        ("10", "10", "10", 3),  # a line is missing
    ):
        database_refuses(
            lambda x=(debit, credit, total, lines): write_entry(*x, number="JE-9998", source_id=2), code="unbalanced"
        )
    database_refuses(lambda: write_head("JE-9998", 2, "10", 2), code="unbalanced")  # no lines at all


def write_entry(
    debit: str,
    credit: str,
    total: str,
    lines: int,
    *,
    number: str = "JE-9999",
    source_id: int = 1,
    on: date = JAN_10,
) -> None:
    """Lines first: the entry seals them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval(pg_get_serial_sequence('ledger_journalentry', 'id'))")
        (pk,) = cursor.fetchone()
    JournalLine.objects.bulk_create(
        [
            JournalLine(entry_id=pk, position=1, account=Account.objects.get(code="1000"), debit=D(debit)),
            JournalLine(entry_id=pk, position=2, account=Account.objects.get(code="4000"), credit=D(credit)),
        ]
    )
    write_head(number, source_id, total, lines, on=on, pk=pk)


def write_head(
    number: str, source_id: int, total: str, lines: int, *, on: date = JAN_10, pk: int | None = None
) -> JournalEntry:
    return JournalEntry.objects.create(
        pk=pk, number=number, date=on, period=AccountingPeriod.objects.get(start=JANUARY), source_type="manual",
        source_id=source_id, source_label=number, step="entry", memo="by hand", line_count=lines, total=D(total),
        posted_by="nobody",
    )  # fmt: skip


# --- a closed period -------------------------------------------------------------------------------------------------


def close_january() -> None:
    close_period(actor=FINANCE, period_id=AccountingPeriod.objects.get(start=JANUARY).pk)


def test_nothing_is_posted_into_a_closed_period(world: World) -> None:
    lease = run_lease(lease_plan(world), PEOPLE, through=JAN_31, now=NOW)
    entry = post_manual_entry(
        actor=FINANCE,
        on=JAN_31,
        memo="Bank fee",
        lines=[ManualLine("6000", debit=D("5")), ManualLine("1000", credit=D("5"))],
    )
    second = create_agreement(
        actor=SALES,
        company_id=world.globex.pk,
        agreement_type_id=world.haas.pk,
        name="Managed services",
        start_date=JANUARY,
        additions=[AdditionInput(world.lease.pk)],
    )
    drafted = invoice_agreement(actor=FINANCE, agreement_id=second.pk)
    invoice = close_invoice(actor=FINANCE, invoice_id=drafted.pk, now=NOW)
    batch = create_batch(actor=FINANCE, invoice_ids=[invoice.pk])
    transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    receipt, waiting = stock(world, cable(world), "5", "4"), make_invoice(world, on=JAN_31)
    open_batch = create_batch(actor=FINANCE, invoice_ids=[waiting.pk])
    database_refuses(lambda: write_entry("10", "10", "10", 2, source_id=999, on=date(2026, 2, 1)), code="invalid")
    close_january()

    for deed in (
        lambda: transfer_batch(actor=FINANCE, batch_id=open_batch.pk, now=NOW),
        lambda: create_batch(actor=FINANCE, receipt_ids=[receipt.pk]),
        lambda: reverse_entry(actor=FINANCE, entry_id=entry.pk, on=JAN_31),
        lambda: pay_vendor_bill(actor=FINANCE, bill_id=lease.bill.pk, on=JAN_31),
        lambda: record_payment(
            actor=FINANCE,
            company_id=world.globex.pk,
            on=JAN_31,
            amount=D("159"),
            applications=[InvoicePayment(invoice.pk, D("159"))],
        ),
        lambda: post_manual_entry(
            actor=FINANCE,
            on=JAN_31,
            memo="Bank fee",
            lines=[ManualLine("6000", debit=D("5")), ManualLine("1000", credit=D("5"))],
        ),
    ):
        refused(deed, "period_closed", "January 2026", "reopen")
    database_refuses(lambda: write_entry("10", "10", "10", 2, source_id=999), code="period_closed")


def test_depreciation_of_a_closed_month_is_refused_as_a_whole(world: World) -> None:
    plan = lease_plan(world)
    lease = run_lease(plan, PEOPLE, through=date(2025, 12, 31), now=NOW)  # bought and capitalised; no month is run yet
    assert lease.asset is not None
    close_january()

    refused(lambda: post_depreciation(actor=FINANCE, through=FEBRUARY), "period_closed", "January 2026", "reopen")
    assert not DepreciationLine.objects.filter(entry__isnull=False).exists()


# --- changing anything posted ----------------------------------------------------------------------------------------

PEOPLE = People(sales=SALES, procurement=PROCUREMENT, finance=FINANCE)


def lease_plan(world: World) -> LeasePlan:
    return LeasePlan(
        name="Server for Acme",
        option=LeaseOption.INVENTORY,
        customer_id=world.acme.pk,
        vendor_id=world.ingram.pk,
        internal_id=world.internal.pk,
        purchasing_product_id=world.server_inventory.pk,
        agreement_product_id=world.lease.pk,
        agreement_type_id=world.haas.pk,
        cost=D("3600"),
        price=D("150"),
        months=36,
        start=JANUARY,
        vendor_invoice_number="V-88213",
        asset_category_id=world.leased_hardware.pk,
        bin_id=world.acme_bin.pk,
        serials=("SN-1001",),
    )


#: What is posted, closed or final, and a change that somebody might try.
POSTED: tuple[tuple[type[models.Model], dict[str, object]], ...] = (
    (JournalEntry, {"memo": "other"}),
    (JournalEntry, {"date": date(2026, 1, 2)}),
    (JournalLine, {"memo": "other"}),
    (JournalLine, {"debit": D("1"), "credit": D("0")}),
    (Receipt, {"date": date(2026, 1, 2)}),
    (ReceiptLine, {"cost": D("1")}),
    (VendorBill, {"date": date(2026, 1, 2)}),
    (VendorBillLine, {"amount": D("1")}),
    (VendorPayment, {"reference": "other"}),
    (VendorPaymentApplication, {"amount": D("1")}),
    (Invoice, {"due_date": date(2027, 1, 1)}),
    (Invoice, {"status": "draft"}),
    (InvoiceLine, {"description": "other"}),
    (InvoiceTax, {"amount": D("1")}),
    (Payment, {"reference": "other"}),
    (PaymentApplication, {"amount": D("1")}),
    (TaxRemittance, {"reference": "other"}),
    (Batch, {"transferred_by": "other"}),
    (Batch, {"status": "open"}),
    (BatchItem, {"amount": D("1")}),
    (BatchExport, {"sha256": "0" * 64}),
    (Shipment, {"date": date(2026, 1, 2)}),
    (ShipmentLine, {"cost": D("1")}),
    (StockMovement, {"value": D("1")}),
    (Asset, {"cost": D("1")}),
    (DepreciationLine, {"amount": D("1")}),
    (LineConversion, {"target_id": 1}),
    (QuoteLine, {"unit_price": D("1")}),
    (AuditEntry, {"sentence": "other"}),
)

LOCKED = {"posted_is_locked", "already_transferred", "already_converted", "wrong_state"}


def posted_row(model: type[models.Model]) -> models.Model:
    rows = model._default_manager.order_by("pk")
    if model is DepreciationLine:
        rows = rows.filter(entry__isnull=False)
    if model is InvoiceLine:
        rows = rows.filter(invoice__status="closed")
    row = rows.first()
    assert row is not None, f"the story left no {model.__name__}"
    return row


def ways_to_change(row: models.Model, change: dict[str, object]) -> dict[str, Callable[[], object]]:
    def save() -> None:
        for field, value in change.items():
            setattr(row, field, value)
        row.save()

    same = type(row)._default_manager.filter(pk=row.pk)
    table, key = row._meta.db_table, row._meta.pk.column  # type: ignore[union-attr]
    columns = ", ".join(f"{field} = %s" for field in change)
    return {
        "saved": save,
        "updated in bulk": lambda: same.update(**change),
        "updated in SQL": sql(f"UPDATE {table} SET {columns} WHERE {key} = %s", *change.values(), row.pk),
    }


def test_nothing_posted_can_be_changed(world: World) -> None:
    batch = export_everything(world)
    before, went_through = snapshot(), []

    for model, change in POSTED:
        for way, deed in ways_to_change(posted_row(model), change).items():
            error = error_of(deed)
            if not isinstance(error, DatabaseError) or refusal_of(error).code not in LOCKED:
                went_through.append(f"{model.__name__} {sorted(change)} {way}: {error}")

    assert went_through == []
    assert changed(before) == []
    refused(lambda: delete_batch(actor=FINANCE, batch_id=batch.pk), "already_transferred", batch.number)


def test_nothing_posted_can_be_deleted(world: World) -> None:
    export_everything(world)
    before, went_through = snapshot(), []

    for model in dict.fromkeys(model for model, _ in POSTED):
        row = posted_row(model)
        table, key = row._meta.db_table, row._meta.pk.column  # type: ignore[union-attr]
        ways: dict[str, Callable[[], object]] = {
            "deleted": row.delete,
            "deleted in bulk": type(row)._default_manager.filter(pk=row.pk).delete,
            "deleted in SQL": sql(f"DELETE FROM {table} WHERE {key} = %s", row.pk),
        }
        for way, deed in ways.items():
            if error_of(deed) is None:
                went_through.append(f"{model.__name__} {way}")

    assert went_through == []
    assert changed(before) == []


def test_nothing_is_added_to_what_is_posted(world: World) -> None:
    """A line more on a closed invoice, a booked bill or receipt, a transferred batch would be money from nowhere."""
    export_everything(world)
    extra: dict[type[models.Model], dict[str, object]] = {
        JournalLine: {"position": 99},
        InvoiceLine: {"position": 99},
        InvoiceTax: {"position": 99},
        ReceiptLine: {"position": 99},
        VendorBillLine: {"position": 99},
        BatchItem: {"source_id": 9999},
    }
    before, went_through = snapshot(), []

    for model, fields in extra.items():
        row = posted_row(model)
        row.pk = None
        for field, value in fields.items():
            setattr(row, field, value)
        error = error_of(lambda row=row: row.save(force_insert=True))
        if not isinstance(error, DatabaseError) or refusal_of(error).code not in LOCKED | {"unbalanced"}:
            went_through.append(f"{model.__name__}: {error}")

    assert went_through == []
    assert changed(before) == []


def test_a_line_is_not_moved_into_a_closed_invoice(world: World) -> None:
    closed, draft = make_invoice(world, on=JAN_10), make_invoice(world, on=JAN_15, closed=False)

    for model in (InvoiceLine, InvoiceTax):
        database_refuses(
            lambda model=model: model.objects.filter(invoice=draft).update(invoice=closed, position=99),
            code="posted_is_locked",
        )


def export_everything(world: World) -> Batch:
    """A lease through February, every kind of document posted, and the IIF file of its last batch."""
    run_lease(lease_plan(world), PEOPLE, through=FEBRUARY, now=NOW)
    batch = Batch.objects.order_by("pk").last()
    assert batch is not None
    export_batch_iif(actor=FINANCE, batch_id=batch.pk)
    return batch


def test_commands_refuse_to_change_what_is_posted(world: World) -> None:
    lease = run_lease(lease_plan(world), PEOPLE, through=JAN_31, now=NOW)
    invoice = lease.agreement.invoices.get()
    line = invoice.lines.get()
    quote_line = lease.opportunity.lines.first()
    assert quote_line is not None

    for deed, code, *said in (
        (lambda: update_invoice(actor=FINANCE, invoice_id=invoice.pk, date=JAN_5), "wrong_state", invoice.number),
        (lambda: update_invoice_line(actor=FINANCE, line_id=line.pk, unit_price=D("1")), "wrong_state", invoice.number),
        (lambda: delete_draft_invoice(actor=FINANCE, invoice_id=invoice.pk), "wrong_state", invoice.number),
        (lambda: close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW), "wrong_state", invoice.number),
        (
            lambda: change_bill_to(actor=FINANCE, invoice_id=invoice.pk, company_id=world.globex.pk),
            "wrong_state",
            invoice.number,
        ),
        (
            lambda: delete_vendor_bill(actor=PROCUREMENT, bill_id=lease.bill.pk),
            "posted_is_locked",
            str(lease.bill),
        ),
        (
            lambda: update_quote_line(actor=SALES, line_id=quote_line.pk, unit_cost=D("1")),
            "already_converted",
            quote_line.description,
        ),
    ):
        refused(deed, code, *said)


# --- a price on an internal company's invoice ------------------------------------------------------------------------


def test_an_internal_company_is_invoiced_at_zero_price_only(world: World) -> None:
    leased = leased_server(world)
    priced = order_of(world, world.server_noninventory, price="10")
    draft = invoice_sales_order(actor=FINANCE, order_id=priced.order_id, on=JAN_15)
    costs_only = invoice_sales_order(actor=FINANCE, order_id=leased.order_id, on=JAN_15, bill_to_id=world.internal.pk)
    line = costs_only.lines.get()
    internal = {"bill_to_id": world.internal.pk}
    opportunity = server_lease(world)
    lease_line = opportunity.lines.get(position=2)

    for deed in (
        lambda: change_bill_to(actor=FINANCE, invoice_id=draft.pk, company_id=world.internal.pk),
        lambda: update_invoice_line(actor=FINANCE, line_id=line.pk, unit_price=D("0.01")),
        lambda: create_sales_order(
            actor=SALES,
            company_id=world.acme.pk,
            on=JAN_5,
            lines=[OrderLineInput(world.server_noninventory.pk, unit_price=D("10"))],
            **internal,
        ),
        lambda: update_sales_order(actor=SALES, order_id=priced.order_id, **internal),
        lambda: create_agreement(
            actor=SALES,
            company_id=world.acme.pk,
            agreement_type_id=world.haas.pk,
            name="Lease",
            start_date=JANUARY,
            additions=[AdditionInput(world.lease.pk, unit_price=D("150"))],
            **internal,
        ),
        lambda: convert_to_agreement(
            actor=SALES,
            opportunity_id=opportunity.pk,
            line_ids=[lease_line.pk],
            agreement_type_id=world.haas.pk,
            on=JANUARY,
            **internal,
        ),
    ):
        refused(deed, "price_on_internal_company", "Northwind HaaS", "price", "zero")
    delete_draft_invoice(actor=FINANCE, invoice_id=draft.pk)
    refused(
        lambda: invoice_sales_order(actor=FINANCE, order_id=priced.order_id, on=JAN_15, **internal),
        "price_on_internal_company",
        "Northwind HaaS",
        "Set the price to zero",
    )


def test_the_database_takes_no_price_on_an_internal_company(world: World) -> None:
    invoice = cost_invoice_draft(world)

    for change in ({"subtotal": D("1"), "total": D("1")}, {"subtotal": D("-1"), "total": D("-1")}):
        database_refuses(
            lambda change=change: Invoice.objects.filter(pk=invoice.pk).update(**change),
            constraint="internal_company_at_zero_price",
            code="price_on_internal_company",
        )
    database_refuses(
        sql("UPDATE billing_invoice SET subtotal = 5, tax_total = 0, total = 5 WHERE id = %s", invoice.pk),
        constraint="internal_company_at_zero_price",
        code="price_on_internal_company",
    )


def test_prices_that_cancel_out_are_prices_all_the_same(world: World) -> None:
    """Two lines of 10.00 and -10.00 make a total of zero; an internal company does not get them either."""
    invoice = cost_invoice_draft(world)
    line = invoice.lines.get()
    for position, amount in ((2, "10"), (3, "-10")):
        InvoiceLine.objects.create(
            invoice=invoice, position=position, description="Swap", quantity=1, unit_price=D(amount), amount=D(amount)
        )
    assert line.amount == 0

    refused(
        lambda: close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW),
        "price_on_internal_company",
        "Northwind HaaS",
    )


def cost_invoice_draft(world: World) -> Invoice:
    order = leased_server(world).order
    return invoice_sales_order(actor=FINANCE, order_id=order.pk, on=JAN_15, bill_to_id=world.internal.pk)
