"""Verification is clean on real books, and finds a planted difference of one cent in each place it looks."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db import connection, transaction
from tests.accounting.leases import MARCH, lease, three_leases
from tests.accounting.records import NOW, make_bill, make_order, make_receipt
from tests.world import FINANCE, World

from counterfoil.accounting.checks import Check
from counterfoil.accounting.commands import create_batch, transfer_batch
from counterfoil.accounting.verification import verify
from counterfoil.billing.commands import reverse_payment
from counterfoil.billing.models import Payment
from counterfoil.flows.haas_lease import LeaseOption


def planted(*statements: str) -> dict[str, Check]:
    """The failed checks after ``statements`` went past the triggers that guard the tables."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in statements:
            table = statement.removeprefix("UPDATE ").removeprefix("DELETE FROM ").split()[0]
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(statement)
            assert cursor.rowcount, f"planted nothing: {statement}"
    return {check.name: check for check in verify() if not check.ok}


def test_clean_books_pass_every_check(world: World) -> None:
    three_leases(world)
    assert [(check.name, check.details) for check in verify() if not check.ok] == []


def test_empty_books_pass_every_check(world: World) -> None:
    assert [(check.name, check.details) for check in verify() if not check.ok] == []


def test_unposted_receipts_and_open_ends_pass(world: World) -> None:
    """Stock that is received but not transferred, and bills in parts, are no differences."""
    make_receipt(make_order(world, world.server_noninventory), on=date(2026, 1, 5))
    line = make_order(world, world.server_noninventory, quantity="3", unit_cost="33.333333")
    first, second = (make_receipt(line, quantity=q, cost=c, on=MARCH) for q, c in (("1", "33.34"), ("2", "66.66")))
    batch = create_batch(actor=FINANCE, receipt_ids=[second.pk])
    transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    bill = make_bill([(line, "1", "40.00")], on=MARCH)
    batch = create_batch(actor=FINANCE, vendor_bill_ids=[bill.pk])
    transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    batch = create_batch(actor=FINANCE, receipt_ids=[first.pk])
    transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
    assert [(check.name, check.details) for check in verify() if not check.ok] == []


def test_a_payment_that_was_taken_back_is_booked_and_so_is_its_reversal(world: World) -> None:
    three_leases(world)
    payment = Payment.objects.earliest("pk")
    reverse_payment(actor=FINANCE, payment_id=payment.pk, on=MARCH, reason="No funds")
    assert [(check.name, check.details) for check in verify() if not check.ok] == []
    failed = planted("DELETE FROM billing_paymentreversal WHERE TRUE")
    assert any("taken back" in detail for detail in failed["payments_booked"].details)


def cent_on(code: str, side: str) -> str:
    """A cent more on the first line of an account."""
    return (
        f"UPDATE ledger_journalline SET {side} = {side} + 0.01 WHERE id = (SELECT min(l.id) FROM ledger_journalline l"
        f" JOIN ledger_account a ON a.id = l.account_id WHERE a.code = '{code}' AND l.{side} > 0)"
    )


INVOICE_2 = "UPDATE billing_invoice SET total = total + 0.01, subtotal = subtotal + 0.01 WHERE number = 'INV-0002'"


def first(table: str, change: str, where: str = "true") -> str:
    """Change the first row of a table."""
    return f"UPDATE {table} SET {change} WHERE id = (SELECT min(id) FROM {table} WHERE {where})"


def last(table: str, where: str = "true") -> str:
    """Delete the last row of a table."""
    return f"DELETE FROM {table} WHERE id = (SELECT max(id) FROM {table} WHERE {where})"


#: (what, the statement, the checks that must fail)
PLANTED = [
    ("a debit", cent_on("5200", "debit"), {"journal", "seals"}),
    ("a sealed total", first("ledger_journalentry", "total = total + 0.01"), {"seals"}),
    ("a lost line", last("ledger_journalline"), {"journal", "seals"}),
    ("a date out of its period", first("ledger_journalentry", "date = date + 60"), {"periods"}),
    ("receivables in the books", cent_on("1100", "debit"), {"receivables", "documents"}),
    ("an invoice", INVOICE_2, {"receivables", "invoices"}),
    (
        "a payment",
        first("billing_payment", "amount = amount + 0.01"),
        {"receivables", "payments_booked"},
    ),
    ("an application", first("billing_paymentapplication", "amount = amount + 0.01"), {"applications", "balances"}),
    ("a balance", first("billing_invoice", "balance = balance + 0.01"), {"balances"}),
    (
        "deferred revenue",
        first("billing_invoiceline", "released_amount = released_amount + 0.01"),
        {"deferred", "documents"},
    ),
    ("payables in the books", cent_on("2000", "credit"), {"payables", "documents"}),
    ("a vendor bill", first("procurement_vendorbill", "total = total + 0.01"), {"payables", "vendor_bills"}),
    ("a bill's line", first("procurement_vendorbillline", "amount = amount + 0.01"), {"vendor_bills", "documents"}),
    ("goods received in the books", cent_on("2050", "credit"), {"grni", "documents"}),
    (
        "the cost of a receipt into stock",
        first("inventory_receiptline", "cost = cost + 0.01", "is_stocked"),
        {"inventory", "movements", "documents"},
    ),
    (
        "the cost of a receipt that was expensed",
        first("inventory_receiptline", "cost = cost + 0.01", "NOT is_stocked"),
        {"documents"},
    ),
    ("inventory in the books", cent_on("1300", "debit"), {"inventory", "inventory_valuation", "documents"}),
    (
        "the cost of an invoice line",
        first("billing_invoiceline", "cost = cost + 0.01", "relieves_stock"),
        {"inventory", "inventory_valuation", "documents", "invoices"},
    ),
    (
        "the value of stock",
        first("inventory_stockbalance", "value = value + 0.01"),
        {"stock", "inventory_valuation"},
    ),
    ("the quantity of stock", first("inventory_stockbalance", "quantity = quantity + 1"), {"stock", "serials"}),
    (
        "a movement",
        first("inventory_stockmovement", "value = value + 0.01", "kind = 'receipt'"),
        {"stock", "movements"},
    ),
    (
        "a serial number",
        first("inventory_serialnumber", "status = 'in_stock', bin_id = (SELECT min(id) FROM inventory_bin)"),
        {"serials"},
    ),
    ("fixed assets in the books", cent_on("1500", "debit"), {"fixed_assets"}),
    (
        "the cost of an asset",
        first("assets_asset", "cost = cost + 0.01", "capitalised_from = 'inventory'"),
        {"fixed_assets", "depreciation", "inventory"},
    ),
    ("depreciation in the books", cent_on("1590", "credit"), {"accumulated_depreciation"}),
    (
        "a schedule line",
        first("assets_depreciationline", "amount = amount + 0.01"),
        {"accumulated_depreciation", "depreciation"},
    ),
    ("sales tax in the books", cent_on("2200", "credit"), {"sales_tax", "documents"}),
    (
        "sales tax of an invoice",
        first("billing_invoicetax", "amount = amount + 0.01"),
        {"sales_tax", "documents", "invoices"},
    ),
    (
        "a remittance",
        first("tax_taxremittance", "amount = amount + 0.01"),
        {"sales_tax", "payments_booked"},
    ),
    (
        "tax shared out to a line",
        first("billing_invoiceline", "tax_amount = tax_amount + 0.01", "tax_amount > 0"),
        {"invoices"},
    ),
    ("revenue in the books", cent_on("4010", "credit"), {"documents", "journal"}),
    (
        "an invoice line",
        first("billing_invoiceline", "amount = amount + 0.01", "tax_amount > 0"),
        {"invoices", "documents"},
    ),
    (
        "a batch that forgot a document",
        last("accounting_batchitem", "source_type = 'invoice' AND description NOT LIKE '%nothing%'"),
        {"batches"},
    ),
    ("an invoice number", first("billing_invoice", "number = 'INV-0099'"), {"numbers"}),
    ("an entry number", first("ledger_journalentry", "number = 'JE-9999'"), {"numbers"}),
    (
        "an audit entry",
        "UPDATE platform_auditentry SET sentence = sentence || '!' WHERE seq = 5",
        {"audit"},
    ),
    (
        "a lost audit entry",
        "DELETE FROM platform_auditentry WHERE seq = (SELECT max(seq) FROM platform_auditentry)",
        {"audit"},
    ),
]


def test_each_planted_cent_is_found_and_named(world: World) -> None:
    """One ledger, one planted difference at a time, each taken back before the next."""
    three_leases(world)
    missed = []
    for what, statement, names in PLANTED:
        point = transaction.savepoint()
        failed = planted(statement)
        transaction.savepoint_rollback(point)
        if not names <= failed.keys():
            missed.append((what, sorted(names - failed.keys()), sorted(failed)))
        assert all(check.details for check in failed.values()), what
    assert missed == []
    assert [check.name for check in verify() if not check.ok] == []
    elsewhere = {"acceptances"}  # tests/quotes/test_acceptance.py
    assert {name for _, _, names in PLANTED for name in names} | elsewhere == {check.name for check in verify()}


def test_the_difference_is_named_with_its_amount(world: World) -> None:
    lease(world, LeaseOption.INVENTORY)
    failed = planted(INVOICE_2)
    assert failed["receivables"].details == ("Acme Corp: expected 0.01, found 0.00, difference (0.01)",)
    assert failed["receivables"].difference == Decimal("-0.01")
    assert Decimal(failed["receivables"].as_dict()["difference"]) == Decimal("-0.01")
    assert failed["invoices"].details == (
        "Invoice INV-0002: subtotal is 150.01, its parts give 150.00",
        "Invoice INV-0002: total is 159.01, its parts give 159.00",
    )


def test_two_errors_that_cancel_out_are_both_found(world: World) -> None:
    three_leases(world)
    failed = planted(
        "UPDATE assets_asset SET cost = cost + 0.01 WHERE number = 'FA-0001'",
        "UPDATE assets_asset SET cost = cost - 0.01 WHERE number = 'FA-0002'",
    )
    assert failed["fixed_assets"].difference == 0
    assert len(failed["fixed_assets"].details) == 2
