"""Stock leaves inventory after it came in, and from the account it came in to."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.accounting.records import make_invoice
from tests.trade import JAN_5, JAN_10, JAN_15, JAN_31, NOW, D, cable, journal_of, order_of, shipped, stock, transfer
from tests.world import FINANCE, OWNER, World

from counterfoil.accounting.commands import (
    create_batch,
    remove_from_batch,
    set_mapping,
    set_procurement_date,
    transfer_batch,
)
from counterfoil.accounting.queries import batch_entries, unposted_invoices
from counterfoil.accounting.verification import verify
from counterfoil.assets.commands import capitalise_from_stock
from counterfoil.billing.commands import close_invoice, delete_draft_invoice, invoice_sales_order, update_invoice
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.catalog.models import Product
from counterfoil.core.errors import DomainError
from counterfoil.inventory.models import Receipt
from counterfoil.ledger.commands import create_account
from counterfoil.ledger.models import Account, AccountType, JournalEntry, JournalLine
from counterfoil.orders.models import SalesOrderLine

JAN_20 = date(2026, 1, 20)


def draft(line: SalesOrderLine, on: date = JAN_15) -> Invoice:
    return invoice_sales_order(actor=FINANCE, order_id=line.order_id, on=on)


def close(invoice: Invoice) -> Invoice:
    return close_invoice(actor=FINANCE, invoice_id=invoice.pk, now=NOW)


def book(*, receipts: tuple[Receipt, ...] = (), invoices: tuple[Invoice, ...] = ()) -> None:
    batch = create_batch(
        actor=FINANCE, receipt_ids=[x.pk for x in receipts], invoice_ids=[invoice.pk for invoice in invoices]
    )
    transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)


def second_account() -> Account:
    found = Account.objects.filter(code="1310").first()
    return found or create_account(actor=OWNER, code="1310", name="Inventory - Cables", type=AccountType.INVENTORY)


def remap(product: Product) -> None:
    """From now on the product is received to 1310."""
    set_mapping(actor=FINANCE, role="inventory", product_id=product.pk, account_id=second_account().pk)


def inventory() -> dict[str, Decimal]:
    """What the inventory accounts hold."""
    held: dict[str, Decimal] = {}
    for line in JournalLine.objects.filter(account__type=AccountType.INVENTORY).select_related("account"):
        held[line.account.code] = held.get(line.account.code, D("0")) + line.debit - line.credit
    return held


def relieved(invoice: Invoice) -> list[tuple[str, str, str]]:
    """(account, debit, credit) of what an invoice moved between inventory and cost."""
    rows = journal_of("invoice", invoice.pk)
    return [row[1:] for row in rows if row[1] in {"1300", "1310", "5000"}]


def faults() -> list[tuple[str, tuple[str, ...]]]:
    return [(check.name, check.details) for check in verify() if not check.ok]


def the_cable() -> Product:
    return Product.objects.get(identifier="CAB-6")


class TestWaiting:
    def test_invoice_waits_for_the_receipt_of_what_it_sells(self, world: World) -> None:
        line, receipt = (
            order_of(world, product := cable(world), "3", price="9"),
            stock(world, the_cable(), "3", "4"),
        )
        assert product.pk == the_cable().pk
        shipped(line)
        invoice = close(draft(line))
        (row,) = unposted_invoices()
        assert [(r.code, r.text, r.target, r.target_id) for r in row.reasons] == [
            (
                "receipt_not_transferred",
                f"Receipt {receipt.number}, whose goods it sells, is not in the books.",
                "receipt",
                receipt.pk,
            )
        ]
        with pytest.raises(DomainError) as refused:
            book(invoices=(invoice,))
        assert refused.value.code == "conflict"
        assert JournalEntry.objects.count() == 0
        book(receipts=(receipt,))
        (row,) = unposted_invoices()
        assert row.ready
        book(invoices=(invoice,))
        assert relieved(invoice) == [("5000", "12.00", "0.00"), ("1300", "0.00", "12.00")]
        assert faults() == []

    def test_both_go_in_one_batch_and_the_receipt_is_booked_first(self, world: World) -> None:
        line = order_of(world, cable(world), "3", price="9")
        receipt = stock(world, the_cable(), "3", "4")
        shipped(line)
        invoice = close(draft(line))
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk], invoice_ids=[invoice.pk])
        assert [(entry.source_type, entry.ready) for entry in batch_entries(batch.pk).entries] == [
            ("receipt", True),
            ("invoice", True),
        ]
        assert [r.code for r in unposted_invoices()[0].reasons] == ["in_batch"]
        transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
        assert inventory() == {"1300": D("0")}
        assert faults() == []

    def test_receipt_taken_out_of_the_batch_keeps_the_invoice_out_of_the_books(self, world: World) -> None:
        line = order_of(world, cable(world), "3", price="9")
        receipt = stock(world, the_cable(), "3", "4")
        shipped(line)
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk], invoice_ids=[close(draft(line)).pk])
        remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="receipt", source_id=receipt.pk)
        with pytest.raises(DomainError, match="is not in the books"):
            transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)

    def test_batch_through_a_date_takes_them_together(self, world: World) -> None:
        line = order_of(world, cable(world), "3", price="9")
        stock(world, the_cable(), "3", "4")
        shipped(line)
        close(draft(line))
        with pytest.raises(DomainError, match="at least one record"):
            create_batch(actor=FINANCE, through=JAN_31, procurement=False)
        batch = transfer(JAN_31)
        assert [item.source_type for item in batch.items.order_by("id")] == ["receipt", "invoice"]
        assert faults() == []

    def test_each_invoice_waits_for_its_own_units(self, world: World) -> None:
        line = order_of(world, cable(world), "5", price="9")
        first = stock(world, the_cable(), "2", "4")
        shipped(line, "2")
        one = close(draft(line))
        second = stock(world, the_cable(), "3", "5")
        shipped(line, "3")
        two = close(draft(line))
        waits = {row.source_id: [r.target_id for r in row.reasons] for row in unposted_invoices()}
        assert waits == {one.pk: [first.pk], two.pk: [second.pk]}

    def test_what_was_not_received_on_stock_waits_for_nothing(self, world: World) -> None:
        make_invoice(world, on=JAN_15)
        assert unposted_invoices()[0].ready

    def test_lists_and_batches_take_the_same_statements_for_one_and_for_ten(self, world: World) -> None:
        cable(world)

        def more() -> None:
            line = order_of(world, the_cable(), "1", price="9")
            stock(world, the_cable(), "1", "4")
            shipped(line)
            close(draft(line))

        def statements() -> int:
            with CaptureQueriesContext(connection) as queries:
                unposted_invoices()
            return len(queries)

        more()
        few = statements()
        for _ in range(9):
            more()
        assert len(unposted_invoices()) == 10
        assert statements() == few

        def transferring() -> int:
            batch = create_batch(actor=FINANCE, through=JAN_31)
            with CaptureQueriesContext(connection) as queries:
                transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)
            return len(queries)

        transferring()
        counts = []
        for number in (1, 6):
            for _ in range(number):
                more()
            counts.append(transferring())
        assert counts[0] == counts[1]
        assert faults() == []


class TestDates:
    @pytest.mark.parametrize("booked", [False, True])
    def test_receipt_booked_on_a_later_date_keeps_it_back(self, world: World, booked: bool) -> None:
        """Commands keep PO date, receipt, shipment and invoice in order, so the date is moved past them."""
        line = order_of(world, cable(world), "3", price="9")
        receipt = stock(world, the_cable(), "3", "4", on=JAN_10)
        shipped(line)
        close(draft(line))
        receipt.date = JAN_20
        receipt.save()
        assert [r.code for r in unposted_invoices()[0].reasons] == ["receipt_not_transferred"], "by the PO date"
        set_procurement_date(actor=FINANCE, procurement_date="receipt_date")
        if booked:
            book(receipts=(receipt,))
        (row,) = unposted_invoices()
        late = row.reasons[-1]
        assert not row.ready
        assert (late.code, late.target) == ("conflict", "receipt" if booked else "periods")
        assert late.text == (
            f"Receipt {receipt.number} is booked on 20 Jan 2026, after this invoice: inventory would be negative until"
            " then."
        )
        assert len(row.reasons) == (1 if booked else 2)
        with pytest.raises(DomainError, match="inventory would be negative"):
            book(receipts=() if booked else (receipt,), invoices=(Invoice.objects.get(),))

    def test_invoice_cannot_be_closed_on_a_date_before_the_shipment(self, world: World) -> None:
        line = order_of(world, cable(world), "3", price="9")
        stock(world, the_cable(), "3", "4")
        shipped(line, on=JAN_20)
        invoice = draft(line, JAN_15)
        with pytest.raises(DomainError) as refused:
            close(invoice)
        assert (refused.value.code, refused.value.field) == ("not_shipped", "date")
        assert refused.value.message == (
            "3 CAB-6 are invoiced on 15 Jan 2026, before they were shipped: the last of them left on 20 Jan 2026."
        )
        update_invoice(actor=FINANCE, invoice_id=invoice.pk, date=JAN_20)
        assert close(invoice).number

    def test_units_shipped_earlier_can_be_invoiced_once(self, world: World) -> None:
        line = order_of(world, cable(world), "4", price="9")
        stock(world, the_cable(), "4", "4")
        shipped(line, "2", on=JAN_10)
        one = draft(line, JAN_31)
        shipped(line, "2", on=JAN_20)
        two = draft(line, JAN_15)
        close(two)
        update_invoice(actor=FINANCE, invoice_id=one.pk, date=JAN_15)
        with pytest.raises(DomainError, match="before they were shipped"):
            close(one)
        update_invoice(actor=FINANCE, invoice_id=one.pk, date=JAN_20)
        close(one)
        transfer(JAN_31)
        assert inventory() == {"1300": D("0")}
        assert faults() == []


class TestAccounts:
    def test_goods_leave_the_account_they_came_in_to(self, world: World) -> None:
        line = order_of(world, cable(world), "3", price="9")
        receipt = stock(world, the_cable(), "3", "4")
        shipped(line)
        book(receipts=(receipt,))
        remap(the_cable())
        invoice = close(draft(line))
        book(invoices=(invoice,))
        assert relieved(invoice) == [("5000", "12.00", "0.00"), ("1300", "0.00", "12.00")]
        assert inventory() == {"1300": D("0")}
        assert faults() == []

    def test_in_one_batch_both_go_by_the_mapping_of_that_moment(self, world: World) -> None:
        line = order_of(world, cable(world), "3", price="9")
        stock(world, the_cable(), "3", "4")
        shipped(line)
        invoice = close(draft(line))
        remap(the_cable())
        transfer(JAN_31)
        assert relieved(invoice) == [("5000", "12.00", "0.00"), ("1310", "0.00", "12.00")]
        assert inventory() == {"1310": D("0")}

    def test_one_invoice_over_two_accounts_with_odd_cents(self, world: World) -> None:
        """Seven at 14.285714 and three at 33.333333, 100.00 each: two left of each receipt stay on its account."""
        line = order_of(world, cable(world), "8", price="50")
        first = stock(world, the_cable(), "7", "14.285714", on=JAN_5)
        book(receipts=(first,))
        remap(the_cable())
        second = stock(world, the_cable(), "3", "33.333333", on=JAN_10)
        book(receipts=(second,))
        shipped(line)
        invoice = close(draft(line))
        book(invoices=(invoice,))
        assert relieved(invoice) == [
            ("5000", "133.33", "0.00"),
            ("1300", "0.00", "100.00"),
            ("1310", "0.00", "33.33"),
        ]
        assert inventory() == {"1300": D("0"), "1310": D("66.67")}
        assert faults() == []

    def test_partial_shipments_over_two_receipts_on_two_accounts(self, world: World) -> None:
        line = order_of(world, cable(world), "10", price="50")
        first = stock(world, the_cable(), "7", "14.285714", on=JAN_5)
        book(receipts=(first,))
        remap(the_cable())
        second = stock(world, the_cable(), "3", "33.333333", on=JAN_10)
        invoices = []
        for quantity in ("5", "4", "1"):
            shipped(line, quantity)
            invoices.append(close(draft(line)))
        assert [[r.target_id for r in row.reasons] for row in unposted_invoices()] == [[], [second.pk], [second.pk]]
        book(receipts=(second,), invoices=tuple(invoices[1:]))
        book(invoices=(invoices[0],))
        assert [relieved(invoice)[1:] for invoice in invoices] == [
            [("1300", "0.00", "71.43")],
            [("1300", "0.00", "28.57"), ("1310", "0.00", "66.67")],
            [("1310", "0.00", "33.33")],
        ]
        assert inventory() == {"1300": D("0"), "1310": D("0")}
        assert faults() == []

    def test_deleted_draft_frees_its_units_for_a_later_invoice(self, world: World) -> None:
        line = order_of(world, cable(world), "2", price="50")
        first = stock(world, the_cable(), "1", "10", on=JAN_5)
        book(receipts=(first,))
        remap(the_cable())
        book(receipts=(stock(world, the_cable(), "1", "12", on=JAN_10),))
        shipped(line, "1")
        abandoned = draft(line)
        shipped(line, "1", on=JAN_20)
        two = close(draft(line, JAN_20))
        book(invoices=(two,))
        delete_draft_invoice(actor=FINANCE, invoice_id=abandoned.pk)
        three = close(draft(line, JAN_20))
        book(invoices=(three,))
        assert inventory() == {"1300": D("0"), "1310": D("0")}
        assert faults() == []

    def test_capitalised_units_and_invoiced_ones_empty_both_accounts(self, world: World) -> None:
        line = order_of(world, cable(world), "4", price="50")
        book(receipts=(stock(world, the_cable(), "1", "33.33", on=JAN_5),))
        remap(the_cable())
        book(receipts=(stock(world, the_cable(), "3", "33.333333", on=JAN_10),))
        shipped(line)
        capitalise_from_stock(
            actor=FINANCE,
            order_line_id=line.pk,
            category_id=world.leased_hardware.pk,
            on=JAN_20,
            quantity=D("2"),
        )
        invoice = close(draft(line, JAN_20))
        book(invoices=(invoice,))
        assert inventory() == {"1300": D("0"), "1310": D("0")}
        assert sum(line.cost for line in InvoiceLine.objects.filter(invoice=invoice)) == D("66.66")
        assert faults() == []

    def test_what_is_capitalised_after_an_invoice_leaves_the_account_that_still_has_it(self, world: World) -> None:
        line = order_of(world, cable(world), "2", price="50")
        book(receipts=(stock(world, the_cable(), "1", "10.01", on=JAN_5),))
        shipped(line, "1")
        book(invoices=(close(draft(line)),))
        remap(the_cable())
        book(receipts=(stock(world, the_cable(), "1", "12.34", on=JAN_10),))
        shipped(line, "1")
        asset = capitalise_from_stock(
            actor=FINANCE, order_line_id=line.pk, category_id=world.leased_hardware.pk, on=JAN_20
        )
        assert [row[1:] for row in journal_of("asset", asset.pk)] == [
            ("1500", "12.34", "0.00"),
            ("1310", "0.00", "12.34"),
        ]
        assert inventory() == {"1300": D("0"), "1310": D("0")}
        assert faults() == []
