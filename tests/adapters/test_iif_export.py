"""A batch as QuickBooks Desktop gets it: rows, refusals, and a file that books what the batch says."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.batches import (
    ACME,
    AGREEMENT,
    CHART,
    EVERY_KIND,
    INGRAM,
    MICHIGAN,
    SERVER,
    batch,
    bill,
    invoice,
    journal,
    sold,
)

from counterfoil.adapters.quickbooks_desktop import booked_entries, export_batch, ledger_entries, parse, write
from counterfoil.adapters.quickbooks_desktop.text import plain
from counterfoil.core.books import (
    AccountType,
    ExportAccount,
    ExportLine,
    IifBatch,
    IifBill,
    IifBillLine,
    IifCustomer,
    IifDocument,
    IifInvoice,
    IifInvoiceLine,
    IifJournal,
    IifTaxItem,
    IifTaxLine,
    IifVendor,
    ItemKind,
)
from counterfoil.core.errors import DomainError


def rows(content: bytes, start: str) -> list[str]:
    """The file's rows that begin so, with bars for tabs."""
    lines = content.decode("ascii").replace("\t", "|").split("\r\n")
    return [line for line in lines if line.startswith(start)]


class TestRows:
    def test_an_invoice_with_tax(self) -> None:
        content = write(batch(invoice("INV-1001", sold("150.00", memo="HaaS server, Jan 2026"), tax="9.00")))
        assert rows(content, "TRNS") == [
            (
                "TRNS||INVOICE|01/15/2026|Accounts Receivable|Acme Corp||159.00|INV-1001|msp:invoice:INV-1001|N|N|Y"
                "|Acme Corp|1 Main St|Detroit, MI 48226|||02/14/2026|Net 30|N"
            )
        ]
        assert rows(content, "SPL") == [
            (
                "SPL||INVOICE|01/15/2026|HaaS Agreement Revenue|||-150.00|INV-1001|HaaS server, Jan 2026|N|-1|150.00"
                "|HAAS-AGR|Y|N|NOTHING|01/15/2026|"
            ),
            (
                "SPL||INVOICE|01/15/2026|Sales Tax Payable|MI Dept of Treasury||-9.00|INV-1001||N||6.0%|MI 6%"
                "|N|N|NOTHING||AUTOSTAX"
            ),
        ]

    def test_an_invoice_to_the_internal_company_has_a_zero_tax_line(self) -> None:
        cost_only = IifInvoiceLine("4000", "HAAS-SRV-01", Decimal(1), Decimal(0), Decimal(0), "Server")
        content = write(batch(invoice("INV-1002", cost_only, customer="Northwind Internal")))
        first, tax = rows(content, "SPL")
        assert "|0.00|INV-1002|Server|N|-1|0.00|HAAS-SRV-01|N|" in first
        assert tax.endswith("|0.00|INV-1002||N||0.0%|Out of State|N|N|NOTHING||AUTOSTAX")

    def test_a_bill_and_a_vendor_credit(self) -> None:
        content = write(batch(bill("V-88213", "3600.00"), bill("VC-12", "-100.00", "5000")))
        assert [row.split("|")[2:8] for row in rows(content, "TRNS") + rows(content, "SPL")] == [
            ["BILL", "01/10/2026", "Accounts Payable", "Ingram Micro", "", "-3600.00"],
            ["BILL REFUND", "01/10/2026", "Accounts Payable", "Ingram Micro", "", "100.00"],
            ["BILL", "01/10/2026", "Received not invoiced", "", "", "3600.00"],
            ["BILL REFUND", "01/10/2026", "Cost of Goods Sold", "", "", "-100.00"],
        ]

    @pytest.mark.parametrize(
        ("line", "written"),
        [
            (sold("150.00"), "-150.00|INV-1||N|-1|150.00|"),
            (sold("7.50", "2.5", "3.00"), "-7.50|INV-1||N|-2.5|3.00|"),
            (sold("0.12", "1000", "0.00012"), "-0.12|INV-1||N|-1000|0.00012|"),
            (sold("10.00", "3", "3.3333"), "-10.00|INV-1|3 x 3.3333:|N|-1|10.00|"),
            (sold("0.01", "1000", "0.00001234"), "-0.01|INV-1|1000 x 0.00001234:|N|-1|0.01|"),
            (sold("-5.00", "1", "-5.00"), "5.00|INV-1||N|-1|-5.00|"),
            (sold("-5.00", "-1", "5.00"), "5.00|INV-1||N|-1|-5.00|"),
            (sold("0.00", "0", "9.00"), "0.00|INV-1||N|-1|0.00|"),
            (sold("-200.00", "-2", "100.00"), "200.00|INV-1||N|2|100.00|"),
        ],
    )
    def test_quantity_times_price_is_the_amount(self, line: IifInvoiceLine, written: str) -> None:
        """A credit memo counts up; what does not multiply exactly is one at the whole amount, told in the memo."""
        on_invoice = "|2|100" not in written
        lines = (replace(line, memo=""), sold("20.00")) if on_invoice else (replace(line, memo=""),)
        assert written in rows(write(batch(invoice("INV-1", *lines))), "SPL")[0]

    def test_lists_come_first_and_parents_before_their_children(self) -> None:
        content = write(batch())
        keywords = [line.split("|")[0] for line in rows(content, "")]
        assert keywords.index("!TRNS") > max(n for n, word in enumerate(keywords) if word in {"ACCNT", "VEND", "CUST"})
        names = [row.split("|")[1] for row in rows(content, "ACCNT")]
        assert names.index("HaaS Equipment") < names.index("HaaS Equipment:Accumulated Depreciation")

    def test_we_own_the_stock(self) -> None:
        """No item that QuickBooks would count, so it books no cost of its own."""
        types = {row.split("|")[2] for row in rows(write(batch()), "INVITEM")}
        assert types == {"SERV", "PART", "COMPTAX"}
        assert SERVER.kind is ItemKind.INVENTORY

    def test_an_account_is_nested_only_under_one_of_its_type(self) -> None:
        account = ExportAccount("1512", "Leased stock", AccountType.INVENTORY, parent="1510")
        content = write(batch(accounts=(*CHART, account)))
        assert "ACCNT|Leased stock|OCASSET||1512|" in rows(content, "ACCNT")


class TestFile:
    def test_name_and_digest(self) -> None:
        file = export_batch(batch())
        assert file.sha256 == hashlib.sha256(file.content).hexdigest()
        assert file.name == f"Northwind-MSP-Inc-B-0007-{file.sha256[:8]}.iif"

    def test_the_same_batch_gives_the_same_bytes(self) -> None:
        assert export_batch(batch()) == export_batch(batch())

    def test_another_cent_gives_another_name(self) -> None:
        one = export_batch(batch(bill("V-1", "100.00")))
        other = export_batch(batch(bill("V-1", "100.01")))
        assert one.name != other.name

    def test_only_plain_text_with_dos_line_ends(self) -> None:
        content = export_batch(batch()).content
        assert re.fullmatch(rb"([\t -~]+\r\n)+", content)
        assert b'"' not in content
        assert b";" not in content

    def test_reading_it_back_gives_the_entries_of_the_batch(self) -> None:
        entries = ledger_entries(parse(export_batch(batch()).content))
        assert entries == booked_entries(batch())
        by_number = {e.number: [(line.account_code, line.signed) for line in e.lines] for e in entries}
        assert len(by_number) == len(EVERY_KIND)
        assert by_number["INV-1001"] == [("1100", Decimal(159)), ("4000", Decimal(-150)), ("2200", Decimal(-9))]
        assert by_number["INV-1002"] == []
        assert by_number["V-88213"] == [("2000", Decimal(-3600)), ("2100", Decimal(3600))]
        assert by_number["JE-1"] == [("1510", Decimal(3600)), ("5000", Decimal(-3600))]

    def test_a_file_that_would_book_something_else_is_not_given_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Were the writer to swap an account, reading the file back would tell."""
        swapped = write(batch()).replace(b"\tDepreciation Expense\t\t", b"\tCost of Goods Sold\t\t")
        assert parse(swapped)
        monkeypatch.setattr("counterfoil.adapters.quickbooks_desktop.write", lambda _: swapped)
        with pytest.raises(DomainError) as refusal:
            export_batch(batch())
        assert refusal.value.code == "conflict"


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("Tab\there\r\nand there", "Tab here and there"),
            ('19" rack; two posts', "19' rack, two posts"),
            (
                "Zo\u00eb\u2019s caf\u00e9 \u2013 \u201cM\u00fcller & S\u00f6hne\u201d \u2026",
                "Zoe's cafe - 'Muller & Sohne' ...",
            ),
            ("Stra\u00dfe 5 \u00d7 \u20ac20", "Strasse 5 x EUR 20"),
            ("\u00bd rack\u00a0unit\u200b\u2122", "1/2 rack unitTM"),
            ("\u682a\u5f0f \U0001f680", "?? ?"),
            ("  \x00\x07 ", ""),
        ],
    )
    def test_are_made_plain(self, text: str, written: str) -> None:
        assert plain(text) == written
        content = write(batch(bill("V-1", "1.00"), replace(journal("JE-1", ("1000", "1"), ("6000", "-1")), memo=text)))
        assert rows(content, "TRNS||GENERAL")[0].endswith(f"|JE-1|{written}")

    def test_a_colon_in_a_company_would_nest_it(self) -> None:
        customer = replace(ACME, name="Acme: East")
        document = replace(invoice("INV-1", sold("1.00")), customer="Acme: East")
        assert rows(write(batch(document, customers=(customer,))), "CUST")[0].startswith("CUST|Acme- East|")


def _with(document: IifDocument, **changes: object) -> IifBatch:
    return batch(replace(document, **changes))  # type: ignore[arg-type]


INVOICE = invoice("INV-1", sold("150.00"), tax="9.00")

REFUSALS: dict[str, tuple[IifBatch, str, str]] = {
    "long invoice number": (_with(INVOICE, number="INV-20260115"), "invalid", "'INV-20260115' has 12 characters"),
    "long bill number": (batch(bill("123456789012", "1.00")), "invalid", "takes at most 11"),
    "no number": (_with(INVOICE, number=" "), "required", "the number ' ' is empty"),
    "long customer": (batch(customers=(replace(ACME, name="A" * 42),)), "invalid", "has 42 characters"),
    "long vendor": (batch(vendors=(replace(INGRAM, name="I" * 42),)), "invalid", "takes at most 41"),
    "long item": (batch(items=(replace(AGREEMENT, name="H" * 32),)), "invalid", "takes at most 31"),
    "long account": (batch(accounts=(ExportAccount("1", "A" * 32, AccountType.BANK),)), "invalid", "takes at most 31"),
    "long account number": (
        batch(accounts=(*CHART, ExportAccount("12345678", "Till", AccountType.BANK))),
        *("invalid", "takes at most 7"),
    ),
    "long address line": (batch(customers=(replace(ACME, address=("1" * 42,)),)), "invalid", "takes at most 41"),
    "six address lines": (batch(customers=(replace(ACME, address=tuple("123456")),)), "invalid", "has 6 lines"),
    "name of no plain letters": (batch(customers=(replace(ACME, name="\u682a\u5f0f"),)), "invalid", "cannot read"),
    "two customers that read the same": (
        batch(customers=(replace(ACME, name="M\u00fcller"), replace(ACME, name="MULLER"))),
        *("duplicate", "for one record"),
    ),
    "customer and vendor of one name": (batch(vendors=(IifVendor("acme corp"),)), "duplicate", "for one record"),
    "customer twice": (batch(customers=(ACME, ACME)), "duplicate", "is in the batch twice"),
    "item twice": (batch(items=(SERVER, SERVER)), "duplicate", "is in the batch twice"),
    "item named as a tax": (batch(items=(replace(AGREEMENT, name="MI 6%"),)), "duplicate", "is in the batch twice"),
    "account twice": (batch(accounts=(*CHART, CHART[0])), "duplicate", "is in the batch twice"),
    "one tax item at two rates": (
        batch(INVOICE, customers=(replace(ACME, tax_item=replace(MICHIGAN, rate=Decimal(7))),)),
        *("duplicate", "'MI 6%' appears with two rates"),
    ),
    "number twice": (batch(INVOICE, INVOICE), "duplicate", "number 'INV-1' is in the batch twice"),
    "unknown customer": (_with(INVOICE, customer="Globex"), "not_found", "customer 'Globex'"),
    "unknown vendor": (_with(bill("V-1", "1.00"), vendor="Globex"), "not_found", "vendor 'Globex'"),
    "unknown item": (_with(INVOICE, lines=(replace(sold("1"), item="X-1"),)), "not_found", "item 'X-1'"),
    "unknown account": (batch(bill("V-1", "1.00", "7777")), "not_found", "account '7777'"),
    "unknown parent": (
        batch(accounts=(*CHART, ExportAccount("1600", "Vans", AccountType.FIXED_ASSET, parent="1599"))),
        *("not_found", "parent account '1599'"),
    ),
    "accounts that are each other's parents": (
        batch(
            accounts=(
                ExportAccount("1", "One", AccountType.BANK, parent="2"),
                ExportAccount("2", "Two", AccountType.BANK, parent="1"),
            )
        ),
        *("not_found", "lies below it"),
    ),
    "bill not on payables": (_with(bill("V-1", "1.00"), payable_account="1100"), "invalid", "not accounts_payable"),
    "invoice not on receivables": (_with(INVOICE, receivable_account="1000"), "invalid", "not accounts_receivable"),
    "fraction of a cent": (batch(bill("V-1", "0.005")), "invalid", "not a whole number of cents"),
    "no lines": (_with(INVOICE, lines=(), taxes=()), "required", "has 0 lines"),
    "journal of one line": (batch(journal("JE-1", ("1000", "0.00"))), "required", "needs at least 2"),
    "unbalanced": (batch(journal("JE-1", ("1000", "1.00"), ("6000", "-0.99"))), "unbalanced", "differ by 0.01"),
    "receivable without a customer": (
        batch(journal("JE-1", ("1000", "1.00"), ("1100", "-1.00"))),
        *("required", "account 1100 names no company"),
    ),
    "payable in a customer's name": (
        batch(journal("JE-1", ("1000", "-1.00"), ("2000", "1.00", "Acme Corp"))),
        *("not_found", "vendor 'Acme Corp'"),
    ),
    "two receivable lines": (
        batch(journal("JE-1", ("1100", "1.00", "Acme Corp"), ("1100", "-1.00", "Northwind Internal"))),
        *("invalid", "2 receivable or payable lines"),
    ),
    "no tax item for untaxed sales": (
        batch(invoice("INV-1", sold("1.00")), untaxed=None),
        *("required", "Invoice INV-1 has no sales tax"),
    ),
    "price of six decimals": (
        batch(items=(replace(AGREEMENT, price=Decimal("0.000001")),)),
        "invalid",
        "five decimals",
    ),
    "negative tax rate": (batch(untaxed=IifTaxItem("X", "MI", Decimal(-1), "2200")), "invalid", "is not a tax rate"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_with_the_record_and_the_remedy(name: str) -> None:
    sent, code, expected = REFUSALS[name]
    with pytest.raises(DomainError) as refusal:
        export_batch(sent)
    assert (refusal.value.code, expected in refusal.value.message) == (code, True), refusal.value.message
    assert refusal.value.hint


texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ['19" rack; tall', "a\tb", "\r\nENDTRNS\r\nTRNS", "!TRNS", "\u00fcber", "\x00", "  ", "=1+1", "\u2028"]
    ),
)
letters = st.text(st.sampled_from("AbZ z09.,&'-#\"\t;:()\u00e9\u00df\u00f8\u2019"), max_size=15)
cents = st.integers(-10_000_000, 10_000_000).map(lambda n: Decimal(n).scaleb(-2))
positive = st.integers(0, 10_000_000).map(lambda n: Decimal(n).scaleb(-2))
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
plain_accounts = st.sampled_from(["1000", "1300", "1510", "1511", "2100", "4000", "5000", "6000"])


@st.composite
def batches(draw: st.DrawFn) -> IifBatch:
    customers = tuple(
        IifCustomer(f"C{n} {draw(letters)}", tuple(draw(st.lists(letters, max_size=5))), taxable=draw(st.booleans()))
        for n in range(3)
    )
    vendors = tuple(IifVendor(f"V{n} {draw(letters)}", (draw(letters),)) for n in range(2))
    documents: list[IifDocument] = []
    for n in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from([invoices, bills, journals]))
        documents.append(draw(kind(f"N-{n}", customers, vendors)))
    return batch(*documents, customers=customers, vendors=(*vendors, INGRAM))


@st.composite
def invoices(
    draw: st.DrawFn, number: str, customers: tuple[IifCustomer, ...], vendors: tuple[IifVendor, ...]
) -> IifInvoice:
    sign = draw(st.sampled_from([1, -1]))
    lines = []
    for _ in range(draw(st.integers(1, 4))):
        quantity = draw(st.integers(-100, 1000).map(lambda q: Decimal(q) / 4))
        price = draw(positive)
        exact = quantity * price
        amount = exact if exact == Decimal(f"{exact:.2f}") and draw(st.booleans()) else draw(cents)
        lines.append(IifInvoiceLine("4000", "HAAS-AGR", quantity, price, amount, draw(texts), draw(st.booleans())))
    net = sum((line.amount for line in lines), Decimal(0))
    # Tax goes the way of the sale, and does not turn an invoice into a credit memo.
    sign = -1 if net < 0 else 1
    taxes = (IifTaxLine(MICHIGAN, sign * draw(positive)),) if draw(st.booleans()) else ()
    customer = draw(st.sampled_from(customers)).name
    return IifInvoice(number, draw(days), draw(days), customer, "1100", tuple(lines), taxes, memo=draw(texts))


@st.composite
def bills(draw: st.DrawFn, number: str, customers: tuple[IifCustomer, ...], vendors: tuple[IifVendor, ...]) -> IifBill:
    count = draw(st.integers(1, 4))
    lines = tuple(IifBillLine(draw(plain_accounts), draw(cents), draw(texts)) for _ in range(count))
    vendor = draw(st.sampled_from(vendors)).name
    return IifBill(number, draw(days), draw(days), vendor, "2000", lines, memo=draw(texts))


@st.composite
def journals(
    draw: st.DrawFn, number: str, customers: tuple[IifCustomer, ...], vendors: tuple[IifVendor, ...]
) -> IifJournal:
    amounts = draw(st.lists(cents, min_size=1, max_size=4))
    amounts.append(-sum(amounts, Decimal(0)))
    lines = [
        ExportLine(draw(plain_accounts), max(n, Decimal(0)), max(-n, Decimal(0)), memo=draw(texts)) for n in amounts
    ]
    if draw(st.booleans()):
        lines[0] = replace(lines[0], account_code="1100", company_name=draw(st.sampled_from(customers)).name)
    return IifJournal(number, draw(days), draw(texts), tuple(lines))


def movements(sent: IifBatch) -> dict[str, Decimal]:
    """What the batch moves, added up from its documents."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for document in sent.documents:
        if isinstance(document, IifInvoice):
            for line in document.lines:
                totals[line.account_code] -= line.amount
                totals["1100"] += line.amount
            for tax in document.taxes:
                totals["2200"] -= tax.amount
                totals["1100"] += tax.amount
        elif isinstance(document, IifBill):
            for paid in document.lines:
                totals[paid.account_code] += paid.amount
                totals["2000"] -= paid.amount
        else:
            for side in document.lines:
                totals[side.account_code] += side.debit - side.credit
    return {code: total for code, total in totals.items() if total}


@settings(max_examples=150, deadline=None)
@given(sent=batches())
def test_any_batch_comes_back_as_the_same_entries(sent: IifBatch) -> None:
    file = export_batch(sent)
    entries = ledger_entries(parse(file.content))
    assert len(entries) == len(sent.documents)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        assert sum(line.signed for line in entry.lines) == 0
        for line in entry.lines:
            totals[line.account_code] += line.signed
    assert {code: total for code, total in totals.items() if total} == movements(sent)
    by_number = {entry.number: entry.date for entry in entries}
    assert by_number == {document.number: document.date for document in sent.documents}
    assert export_batch(sent) == file
