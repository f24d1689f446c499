"""What waits for the books, why it may not go yet, and how a batch carries it there: all or none, once."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from tests.accounting.records import JAN, NOW, make_agreement, make_bill, make_invoice, make_order, make_receipt
from tests.world import FINANCE, OWNER, SALES, World

from counterfoil.accounting.commands import (
    create_batch,
    delete_batch,
    remove_from_batch,
    set_procurement_date,
    transfer_batch,
)
from counterfoil.accounting.models import Batch, BatchItem
from counterfoil.accounting.queries import (
    batch_entries,
    batches,
    unposted_counts,
    unposted_invoices,
    unposted_journal_entries,
    unposted_procurement,
)
from counterfoil.core.errors import DomainError
from counterfoil.ledger.commands import ManualLine, close_period, post_manual_entry
from counterfoil.ledger.models import AccountingPeriod, DefaultAccount, JournalEntry, JournalLine

FEB = date(2026, 2, 3)
D = Decimal


def booked(source_type: str) -> dict[str, Decimal]:
    """Debit less credit by account of all entries of a kind of document."""
    balances: dict[str, Decimal] = {}
    for line in JournalLine.objects.filter(entry__source_type=source_type).select_related("account"):
        balances[line.account.code] = balances.get(line.account.code, D(0)) + line.debit - line.credit
    return {code: amount for code, amount in balances.items() if amount}


def transfer(batch: Batch) -> Batch:
    return transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)


class TestUnposted:
    def test_receipt_waits_with_what_it_will_book(self, world: World) -> None:
        receipt = make_receipt(make_order(world, world.server_noninventory), on=FEB)
        (row,) = unposted_procurement()
        assert (row.source, row.number, row.company, row.amount) == (
            "Receipt",
            receipt.number,
            "Ingram Micro",
            D("3600"),
        )
        assert row.date == JAN, "the cost falls in the month of the purchase order"
        assert row.books == "3,600.00 to cost of goods sold"
        assert row.ready
        assert row.reasons == ()

    def test_receipt_date_is_used_when_chosen(self, world: World) -> None:
        make_receipt(make_order(world, world.server_noninventory), on=FEB)
        set_procurement_date(actor=FINANCE, procurement_date="receipt_date")
        assert unposted_procurement()[0].date == FEB

    def test_every_reason_is_named_with_where_to_mend_it(self, world: World) -> None:
        DefaultAccount.objects.filter(role__in=["cogs", "grni"]).delete()
        world.ingram.account_number = ""
        world.ingram.save()
        make_receipt(make_order(world, world.server_noninventory, on=date(2020, 5, 1)), on=FEB)
        (row,) = unposted_procurement()
        assert not row.ready
        assert [(r.code, r.target, r.blocks) for r in row.reasons] == [
            ("gl_mapping_missing", "gl_mapping", True),
            ("gl_mapping_missing", "gl_mapping", True),
            ("period_missing", "periods", True),
            ("account_number_missing", "company", False),
        ]
        assert "SRV-NI (category Hardware)" in row.reasons[0].text
        assert "Open the periods of 2020" in row.reasons[2].hint

    def test_closed_period_holds_it_back(self, world: World) -> None:
        make_invoice(world, on=JAN)
        close_period(actor=FINANCE, period_id=AccountingPeriod.objects.get(start=date(2026, 1, 1)).pk)
        (row,) = unposted_invoices()
        assert [r.code for r in row.reasons] == ["period_closed"]
        assert "January 2026 is closed" in row.reasons[0].text

    def test_bill_waits_for_its_receipt(self, world: World) -> None:
        line = make_order(world, world.server_inventory)
        receipt = make_receipt(line, on=JAN)
        make_bill([(line, "1", "3600")], on=FEB)
        _, bill = unposted_procurement()
        assert [(r.code, r.target, r.target_id) for r in bill.reasons] == [
            ("receipt_not_transferred", "receipt", receipt.pk)
        ]
        transfer(create_batch(actor=FINANCE, receipt_ids=[receipt.pk]))
        (bill,) = unposted_procurement()
        assert bill.ready

    def test_bill_of_goods_that_never_came(self, world: World) -> None:
        make_bill([(make_order(world, world.server_inventory), "1", "3600")], on=FEB)
        (row,) = unposted_procurement()
        assert [r.code for r in row.reasons] == ["more_than_received"]

    def test_drafts_do_not_wait_and_closed_invoices_do(self, world: World) -> None:
        make_invoice(world, on=JAN, closed=False)
        assert unposted_invoices() == []
        make_invoice(world, on=JAN, addition=make_agreement(world), product=world.lease)
        (row,) = unposted_invoices()
        assert (row.books, row.amount, row.ready) == ("150.00 revenue, 9.00 sales tax", D("159"), True)

    def test_direct_entries_wait_for_the_export_alone(self, world: World) -> None:
        lines = [ManualLine("6100", debit=D(5)), ManualLine("1000", credit=D(5))]
        entry = post_manual_entry(actor=FINANCE, on=JAN, memo="Rent", lines=lines)
        (row,) = unposted_journal_entries()
        assert (row.number, row.books, row.ready) == (entry.number, "manual entry: Rent", True)
        transfer(create_batch(actor=FINANCE, journal_entry_ids=[entry.pk]))
        assert unposted_journal_entries() == []
        assert JournalEntry.objects.count() == 1, "it was in the books already"

    def test_lists_take_the_same_statements_for_one_and_for_thirty(self, world: World) -> None:
        def statements() -> int:
            with CaptureQueriesContext(connection) as queries:
                unposted_procurement()
                unposted_invoices()
            return len(queries)

        def more() -> None:
            line = make_order(world, world.server_inventory)
            make_receipt(line, on=JAN)
            make_bill([(line, "1", "3600")], on=FEB)
            make_invoice(world, on=JAN)

        more()
        few = statements()
        for _ in range(29):
            more()
        assert len(unposted_procurement()) == 60
        assert statements() == few
        assert unposted_counts().vendor_bills == 30


class TestCreateBatch:
    def test_batched_record_names_its_batch(self, world: World) -> None:
        receipt = make_receipt(make_order(world, world.server_inventory), on=JAN)
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk])
        (row,) = unposted_procurement()
        assert (row.batch_number, row.ready) == (batch.number, False)
        with pytest.raises(DomainError) as refused:
            create_batch(actor=FINANCE, receipt_ids=[receipt.pk])
        assert refused.value.code == "already_batched"
        assert batch.number in refused.value.message

    def test_unready_is_refused_with_every_reason(self, world: World) -> None:
        DefaultAccount.objects.filter(role="cogs").delete()
        receipts = [make_receipt(make_order(world, world.server_noninventory), on=JAN) for _ in range(2)]
        with pytest.raises(DomainError) as refused:
            create_batch(actor=FINANCE, receipt_ids=[receipt.pk for receipt in receipts])
        assert refused.value.code == "gl_mapping_missing"
        assert [detail["record"] for detail in refused.value.details] == [receipt.number for receipt in receipts]
        assert Batch.objects.count() == 0

    def test_through_takes_what_is_ready_and_leaves_the_rest(self, world: World) -> None:
        line = make_order(world, world.server_inventory)
        make_receipt(line, on=JAN)
        make_bill([(line, "1", "3600")], on=FEB)
        make_bill([(make_order(world, world.server_inventory), "1", "3600")], on=FEB)  # nothing came
        make_receipt(make_order(world, world.server_inventory, on=date(2026, 3, 1)), on=date(2026, 3, 2))
        make_invoice(world, on=JAN)
        make_invoice(world, on=date(2026, 3, 2))
        batch = create_batch(actor=FINANCE, through=date(2026, 2, 28))
        assert [item.source_type for item in batch.items.all()] == ["receipt", "vendor_bill", "invoice"]
        assert create_batch(actor=FINANCE, through=date(2026, 12, 31), procurement=False).items.count() == 1

    def test_nothing_to_put_in(self, world: World) -> None:
        with pytest.raises(DomainError, match="at least one record"):
            create_batch(actor=FINANCE, through=JAN)

    @pytest.mark.parametrize("what", ["receipt_ids", "vendor_bill_ids", "invoice_ids", "journal_entry_ids"])
    def test_unknown_record(self, world: World, what: str) -> None:
        with pytest.raises(DomainError) as refused:
            create_batch(actor=FINANCE, **{what: [4711]})
        assert refused.value.code == "not_found"

    def test_entry_of_a_document_is_no_direct_entry(self, world: World) -> None:
        receipt = make_receipt(make_order(world, world.server_inventory), on=JAN)
        transfer(create_batch(actor=FINANCE, receipt_ids=[receipt.pk]))
        with pytest.raises(DomainError, match="made directly"):
            create_batch(actor=FINANCE, journal_entry_ids=[JournalEntry.objects.get().pk])

    def test_removed_and_deleted_records_wait_again(self, world: World) -> None:
        receipts = [make_receipt(make_order(world, world.server_inventory), on=JAN) for _ in range(2)]
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk for receipt in receipts])
        remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="receipt", source_id=receipts[0].pk)
        assert [row.ready for row in unposted_procurement()] == [True, False]
        with pytest.raises(DomainError, match="does not hold"):
            remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="receipt", source_id=receipts[0].pk)
        delete_batch(actor=FINANCE, batch_id=batch.pk)
        assert [row.ready for row in unposted_procurement()] == [True, True]
        assert BatchItem.objects.count() == 0

    def test_only_finance_batches(self, world: World) -> None:
        with pytest.raises(DomainError, match="takes the role"):
            create_batch(actor=SALES, through=JAN)


class TestTransfer:
    def test_preview_is_what_is_booked(self, world: World) -> None:
        line = make_order(world, world.server_inventory)
        receipt, bill = make_receipt(line, on=JAN), make_bill([(line, "1", "3700")], on=JAN, freight="25.50", tax="4")
        invoices = [
            make_invoice(world, on=JAN, addition=make_agreement(world), product=world.lease),
            make_invoice(
                world,
                on=JAN,
                product=world.server_inventory,
                amount="0",
                tax="0",
                cost="3600",
                relieves_stock=True,
                bill_to=world.internal,
            ),
        ]
        batch = create_batch(
            actor=FINANCE,
            receipt_ids=[receipt.pk],
            vendor_bill_ids=[bill.pk],
            invoice_ids=[invoice.pk for invoice in invoices],
        )
        preview = batch_entries(batch.pk)
        assert preview.ready
        assert [(entry.source_type, entry.total) for entry in preview.entries] == [
            ("receipt", D("3600")),
            ("vendor_bill", D("3729.50")),
            ("invoice", D("159")),
            ("invoice", D("3600")),
        ]
        totals = {total.code: total.debit - total.credit for total in preview.totals}
        assert totals == {
            "1100": D("159"),
            "1300": D("0"),
            "2000": D("-3729.50"),
            "2050": D("0"),
            "2200": D("-9"),
            "4010": D("-150"),
            "5000": D("3600"),
            "5090": D("100"),
            "5100": D("25.50"),
            "6300": D("4"),
        }
        assert JournalEntry.objects.count() == 0, "looking books nothing"

        transfer(batch)
        after = batch_entries(batch.pk)
        assert after.totals == preview.totals
        assert [entry.lines for entry in after.entries] == [entry.lines for entry in preview.entries]
        assert [entry.entry_number for entry in after.entries] == ["JE-0001", "JE-0002", "JE-0003", "JE-0004"]
        assert unposted_procurement() == []
        assert unposted_invoices() == []
        assert batches().get().item_count == 4

    def test_option_1_cost_at_the_receipt_option_2_at_the_invoice(self, world: World) -> None:
        one = make_receipt(make_order(world, world.server_noninventory), on=FEB)
        two = make_receipt(make_order(world, world.server_inventory), on=FEB)
        transfer(create_batch(actor=FINANCE, receipt_ids=[one.pk, two.pk]))
        assert booked("receipt") == {"5000": D("3600"), "1300": D("3600"), "2050": D("-7200")}
        assert {entry.date for entry in JournalEntry.objects.all()} == {JAN}
        invoices = [
            make_invoice(
                world,
                on=FEB,
                product=product,
                amount="0",
                tax="0",
                cost="3600",
                relieves_stock=product.is_stocked,
                bill_to=world.internal,
            )
            for product in (world.server_noninventory, world.server_inventory)
        ]
        transfer(create_batch(actor=FINANCE, invoice_ids=[invoice.pk for invoice in invoices]))
        assert booked("invoice") == {"5000": D("3600"), "1300": D("-3600")}

    def test_invoice_that_books_nothing_leaves_through_its_batch(self, world: World) -> None:
        invoice = make_invoice(world, on=JAN, product=world.server_noninventory, amount="0", tax="0", cost="3600")
        (row,) = unposted_invoices()
        assert (row.books, row.ready) == ("nothing to book", True)
        transfer(create_batch(actor=FINANCE, invoice_ids=[invoice.pk]))
        assert unposted_invoices() == []
        assert JournalEntry.objects.count() == 0

    @pytest.mark.parametrize(
        ("kind", "account"), [("agreement", "4010"), ("service", "4200"), ("product", "4100"), ("none", "4100")]
    )
    def test_revenue_goes_by_what_was_sold(self, world: World, kind: str, account: str) -> None:
        product = {"agreement": world.lease, "service": world.lease, "product": world.server_noninventory}.get(kind)
        if kind == "service":
            world.lease.product_class = "Service"
            world.lease.save()
        addition = make_agreement(world) if kind == "agreement" else None
        invoice = make_invoice(world, on=JAN, product=product, addition=addition)
        transfer(create_batch(actor=FINANCE, invoice_ids=[invoice.pk]))
        assert booked("invoice") == {"1100": D("159"), account: D("-150"), "2200": D("-9")}

    def test_second_time_is_refused(self, world: World) -> None:
        invoice = make_invoice(world, on=JAN)
        batch = transfer(create_batch(actor=FINANCE, invoice_ids=[invoice.pk]))
        for again in (
            lambda: transfer(batch),
            lambda: create_batch(actor=FINANCE, invoice_ids=[invoice.pk]),
            lambda: delete_batch(actor=FINANCE, batch_id=batch.pk),
            lambda: remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="invoice", source_id=invoice.pk),
        ):
            with pytest.raises(DomainError) as refused:
                again()
            assert refused.value.code == "already_transferred"
        assert JournalEntry.objects.count() == 1

    def test_nothing_is_half_done_when_one_record_is_not_ready_any_more(self, world: World) -> None:
        receipt = make_receipt(make_order(world, world.server_inventory), on=JAN)
        invoice = make_invoice(world, on=date(2026, 2, 5))
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk], invoice_ids=[invoice.pk])
        DefaultAccount.objects.filter(role="product_revenue").delete()
        close_period(actor=OWNER, period_id=AccountingPeriod.objects.get(start=date(2026, 1, 1)).pk)
        with pytest.raises(DomainError) as refused:
            transfer(batch)
        assert [(x["record"], x["code"]) for x in refused.value.details] == [
            (receipt.number, "period_closed"),
            (invoice.number, "gl_mapping_missing"),
        ]
        assert JournalEntry.objects.count() == 0
        assert Batch.objects.get().status == "open"

    def test_document_whose_total_its_lines_do_not_give_is_refused(self, world: World) -> None:
        invoice = make_invoice(world, on=JAN)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE billing_invoice DISABLE TRIGGER USER")
            cursor.execute("UPDATE billing_invoice SET total = total + 1, subtotal = subtotal + 1")
        with pytest.raises(DomainError) as refused:
            create_batch(actor=FINANCE, invoice_ids=[invoice.pk])
        assert refused.value.code == "unbalanced"
        assert "total is 160.00, but its parts add up to 159.00" in refused.value.message

    def test_bill_that_was_deleted_from_under_its_batch(self, world: World) -> None:
        line = make_order(world, world.server_inventory)
        receipt, bill = make_receipt(line, on=JAN), make_bill([(line, "1", "3600")], on=FEB)
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk], vendor_bill_ids=[bill.pk])
        number, pk = bill.number, bill.pk
        bill.delete()
        assert [entry.ready for entry in batch_entries(batch.pk).entries] == [True, False]
        with pytest.raises(DomainError, match=f"{number} cannot be booked"):
            transfer(batch)
        remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="vendor_bill", source_id=pk)
        assert transfer(batch).status == "transferred"

    def test_batch_that_was_emptied(self, world: World) -> None:
        invoice = make_invoice(world, on=JAN)
        batch = create_batch(actor=FINANCE, invoice_ids=[invoice.pk])
        remove_from_batch(actor=FINANCE, batch_id=batch.pk, source_type="invoice", source_id=invoice.pk)
        with pytest.raises(DomainError, match="is empty"):
            transfer(batch)

    def test_statements_do_not_grow_with_the_batch(self, world: World) -> None:
        def statements(count: int) -> int:
            for _ in range(count):
                line = make_order(world, world.server_inventory)
                make_receipt(line, on=JAN)
                make_bill([(line, "1", "3600")], on=FEB)
                make_invoice(world, on=JAN)
            batch = create_batch(actor=FINANCE, through=FEB)
            with CaptureQueriesContext(connection) as queries:
                transfer(batch)
            return len(queries)

        statements(1)  # the first one also makes the number sequences
        assert statements(2) == statements(20)

    def test_two_hundred_documents_take_less_than_a_second_of_our_own_time(self, world: World) -> None:
        for _ in range(100):
            make_receipt(make_order(world, world.server_inventory), on=JAN)
            make_invoice(world, on=JAN)
        batch = create_batch(actor=FINANCE, through=FEB)
        began = time.process_time()  # the clock on the wall also runs for whoever else is busy on the machine
        transfer(batch)
        assert time.process_time() - began < 1
        assert JournalEntry.objects.count() == 200


class TestGoodsReceivedNotInvoiced:
    """Billed in parts, at the cost it was received at, the line ends at exactly zero."""

    def clear(self, world: World, receipts: list[tuple[str, str]], bills: list[tuple[str, str]]) -> list[Decimal]:
        """GRNI after each bill, for receipts and bills given as (quantity, amount)."""
        line = make_order(world, world.server_inventory, quantity="7", unit_cost="14.285714")
        ids = [make_receipt(line, quantity=q, cost=c, on=JAN).pk for q, c in receipts]
        transfer(create_batch(actor=FINANCE, receipt_ids=ids))
        balances = []
        for quantity, amount in bills:
            bill = make_bill([(line, quantity, amount)], on=FEB)
            transfer(create_batch(actor=FINANCE, vendor_bill_ids=[bill.pk]))
            lines = JournalLine.objects.filter(account__code="2050")
            balances.append(-sum((x.debit - x.credit for x in lines), D(0)))
        return balances

    def test_odd_cents_one_receipt_three_bills(self, world: World) -> None:
        bills = [("1", "14.29"), ("2", "28.57"), ("4", "57.14")]
        assert self.clear(world, [("7", "100.00")], bills) == [D("85.71"), D("57.14"), D("0")]

    def test_bill_across_two_receipts_at_two_costs(self, world: World) -> None:
        receipts = [("3", "42.86"), ("4", "60.00")]
        assert self.clear(world, receipts, [("5", "80"), ("2", "1")]) == [D("30"), D("0")]

    def test_two_bills_of_one_line_in_one_batch(self, world: World) -> None:
        line = make_order(world, world.server_inventory, quantity="3", unit_cost="33.333333")
        make_receipt(line, cost="100.00", on=JAN)
        for amount in ("33.33", "33.33", "33.34"):
            make_bill([(line, "1", amount)], on=FEB)
        transfer(create_batch(actor=FINANCE, through=FEB))
        assert booked("vendor_bill") == {"2050": D("100"), "2000": D("-100")}

    def test_cheaper_and_dearer_go_to_the_variance(self, world: World) -> None:
        for billed, variance in (("3500", D("-100")), ("3700", D("100"))):
            line = make_order(world, world.server_inventory)
            make_receipt(line, on=JAN)
            make_bill([(line, "1", billed)], on=FEB)
            transfer(create_batch(actor=FINANCE, through=FEB))
            assert JournalLine.objects.filter(account__code="5090").latest("id").debit == max(variance, D(0))
        assert "2050" in booked("receipt")
        assert booked("vendor_bill")["2050"] == D("7200")
