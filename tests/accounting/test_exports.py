"""The ledger and its batches as files, checked by other people's programs and by our own strict reader."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.db import connection
from tests.accounting.leases import MARCH, lease, three_leases
from tests.accounting.records import JAN, make_bill, make_invoice, make_order, make_receipt
from tests.accounting.records import NOW as LATER
from tests.adapters.checkers import (
    bean_check,
    beancount_balances,
    export_both,
    hledger_balances,
    hledger_check,
)
from tests.world import FINANCE, SALES, World

from counterfoil.accounting.commands import (
    confirm_export,
    create_batch,
    export_batch_iif,
    mark_not_imported,
    transfer_batch,
)
from counterfoil.accounting.exports import ledger_export, ledger_formats, write_ledger
from counterfoil.accounting.models import Batch, BatchExport
from counterfoil.adapters.plain_text import account_names
from counterfoil.adapters.quickbooks_desktop import ledger_entries, parse
from counterfoil.core.books import LedgerExport
from counterfoil.core.errors import DomainError
from counterfoil.flows.haas_lease import LeaseOption
from counterfoil.ledger.models import JournalLine
from counterfoil.ledger.queries import trial_balance


def whole(export: LedgerExport) -> LedgerExport:
    """The export with its entries in memory, to be read twice."""
    return replace(export, entries=tuple(export.entries))


class TestLedger:
    def test_beancount_accepts_the_books_and_agrees_on_every_balance(self, world: World, tmp_path: Path) -> None:
        three_leases(world)
        export = whole(ledger_export(through=MARCH))
        bean, journal = export_both(export, tmp_path)
        assert bean_check(bean).said == ""
        names = account_names(export.accounts)
        expected = {names[row.code]: row.debit - row.credit for row in trial_balance(through=MARCH)}
        assert len(expected) == 6
        assert beancount_balances(bean) == expected
        assert hledger_check(journal).accepted, hledger_check(journal).said
        assert hledger_balances(journal) == expected

    def test_every_control_account_is_asserted_at_every_month_end(self, world: World) -> None:
        three_leases(world)
        asserted = {(x.account_code, x.date): x.balance for x in ledger_export(through=MARCH).assertions}
        assert {code for code, _ in asserted} == {"1100", "1300", "1500", "1590", "2000", "2050", "2200"}
        assert {day for _, day in asserted} == {date(2026, 1, 31), date(2026, 2, 28), MARCH}
        assert asserted["1500", MARCH] == Decimal(7200)
        assert asserted["1590", date(2026, 2, 28)] == Decimal(-400)
        assert asserted["2000", date(2026, 1, 31)] == Decimal(-10800)
        assert asserted["2000", MARCH] == 0

    def test_the_sub_ledger_and_not_the_journal_is_asserted(self, world: World, tmp_path: Path) -> None:
        """A cent that only the sub-ledger has is found by both programs."""
        lease(world, LeaseOption.INVENTORY)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE assets_asset DISABLE TRIGGER USER")
            cursor.execute("UPDATE assets_asset SET cost = cost + 0.01")
        bean, journal = export_both(whole(ledger_export(through=MARCH)), tmp_path)
        assert not bean_check(bean).accepted
        assert "1500" in bean_check(bean).said
        assert not hledger_check(journal).accepted

    def test_through_a_day_in_the_middle(self, world: World, tmp_path: Path) -> None:
        lease(world, LeaseOption.INVENTORY)
        day = date(2026, 2, 12)
        export = whole(ledger_export(through=day))
        assert max(entry.date for entry in export.entries) <= day
        bean, _ = export_both(export, tmp_path)
        assert bean_check(bean).said == ""
        names = account_names(export.accounts)
        assert beancount_balances(bean) == {
            names[row.code]: row.debit - row.credit for row in trial_balance(through=day)
        }

    def test_open_receipts_and_unpaid_invoices(self, world: World, tmp_path: Path) -> None:
        receipt = make_receipt(make_order(world, world.server_inventory), on=JAN)
        invoice = make_invoice(world, on=JAN)
        batch = create_batch(actor=FINANCE, receipt_ids=[receipt.pk], invoice_ids=[invoice.pk])
        transfer_batch(actor=FINANCE, batch_id=batch.pk, now=LATER)
        make_receipt(make_order(world, world.server_inventory), on=JAN)  # not transferred: not in the books
        bean, _ = export_both(whole(ledger_export(through=MARCH)), tmp_path)
        assert bean_check(bean).said == ""

    def test_formats_by_name(self, world: World) -> None:
        assert ledger_formats() == ["beancount", "hledger"]
        assert "".join(write_ledger("hledger", through=MARCH)).startswith("; Northwind IT")
        with pytest.raises(DomainError, match="no ledger format 'sage'"):
            list(write_ledger("sage", through=MARCH))


class TestIif:
    def batch(self, world: World, option: LeaseOption = LeaseOption.INVENTORY) -> Batch:
        """A lease's first month in transferred batches, of which this newest one takes the direct entries."""
        lease(world, option, through=date(2026, 1, 31))
        batch = create_batch(actor=FINANCE, through=date(2026, 1, 31))
        return transfer_batch(actor=FINANCE, batch_id=batch.pk, now=LATER)

    @pytest.mark.parametrize("option", LeaseOption)
    def test_every_batch_reads_back_as_what_is_in_the_books(self, world: World, option: LeaseOption) -> None:
        self.batch(world, option)
        found: dict[str, Decimal] = defaultdict(Decimal)
        for batch in Batch.objects.all():
            export = export_batch_iif(actor=FINANCE, batch_id=batch.pk)
            for entry in ledger_entries(parse(bytes(export.content))):
                for line in entry.lines:
                    found[line.account_code] += line.signed
        expected: dict[str, Decimal] = defaultdict(Decimal)
        for line in JournalLine.objects.select_related("account"):
            expected[line.account.code] += line.debit - line.credit
        assert {code: net for code, net in found.items() if net} == {code: net for code, net in expected.items() if net}

    def test_cost_only_invoice_goes_along_at_zero(self, world: World) -> None:
        self.batch(world)
        text = "".join(
            bytes(export_batch_iif(actor=FINANCE, batch_id=batch.pk).content).decode() for batch in Batch.objects.all()
        )
        invoices = [row for row in text.splitlines() if row.startswith("TRNS\t\tINVOICE")]
        assert len(invoices) == 2
        assert any("Northwind HaaS" in row and "\t0.00\t" in row for row in invoices)

    def test_frozen_until_somebody_says_what_became_of_it(self, world: World) -> None:
        batch = self.batch(world)
        first = export_batch_iif(actor=FINANCE, batch_id=batch.pk)
        assert first.filename.startswith(f"NorthwindIT-{batch.number}-")
        with pytest.raises(DomainError) as refused:
            export_batch_iif(actor=FINANCE, batch_id=batch.pk)
        assert refused.value.code == "export_not_confirmed"

        mark_not_imported(actor=FINANCE, batch_id=batch.pk)
        world.acme.name = "Acme Renamed"
        world.acme.save()
        again = export_batch_iif(actor=FINANCE, batch_id=batch.pk)
        assert bytes(again.content) == bytes(first.content)
        assert again.status == "exported"

        confirm_export(actor=FINANCE, batch_id=batch.pk)
        for refuse in (export_batch_iif, confirm_export, mark_not_imported):
            with pytest.raises(DomainError) as refused:
                refuse(actor=FINANCE, batch_id=batch.pk)
            assert refused.value.code == "wrong_state"
        assert BatchExport.objects.count() == 1

    def test_open_batch_and_unknown_batch(self, world: World) -> None:
        batch = create_batch(actor=FINANCE, invoice_ids=[make_invoice(world, on=JAN).pk])
        with pytest.raises(DomainError, match="not in the books"):
            export_batch_iif(actor=FINANCE, batch_id=batch.pk)
        with pytest.raises(DomainError, match="no such batch"):
            export_batch_iif(actor=FINANCE, batch_id=4711)
        with pytest.raises(DomainError, match="was not exported"):
            confirm_export(actor=FINANCE, batch_id=batch.pk)
        with pytest.raises(DomainError, match="takes the role"):
            export_batch_iif(actor=SALES, batch_id=batch.pk)

    def test_a_company_that_is_both_is_told_apart(self, world: World) -> None:
        world.ingram.kind = "both"
        world.ingram.save()
        invoice = make_invoice(world, on=JAN, bill_to=world.ingram)
        batch = create_batch(actor=FINANCE, invoice_ids=[invoice.pk])
        receipt = make_receipt(make_order(world, world.server_inventory), on=JAN)
        bill = make_bill([(receipt.lines.get().purchase_order_line, "1", "3600")], on=JAN)
        both = create_batch(actor=FINANCE, receipt_ids=[receipt.pk], vendor_bill_ids=[bill.pk])
        for each in (batch, both):
            transfer_batch(actor=FINANCE, batch_id=each.pk, now=LATER)
        assert b"Ingram Micro (V)" in bytes(export_batch_iif(actor=FINANCE, batch_id=both.pk).content)
