"""The strict IIF reader: it takes the published examples, and nothing that is off by a cent, a column or a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from tests.adapters.batches import batch, journal

from counterfoil.adapters.quickbooks_desktop import write
from counterfoil.adapters.quickbooks_desktop.iif_parser import IifRefused, Known, ledger_entries, parse

PUBLISHED = """\
!ACCNT|NAME|ACCNTTYPE|DESC|ACCNUM|EXTRA
ACCNT|HaaS Equipment|FIXASSET|Leased customer hardware|1510|
ACCNT|HaaS Equipment:Accumulated Depreciation|FIXASSET||1511|
!CUST|NAME|BADDR1|BADDR2|BADDR3|EMAIL|TERMS|TAXABLE|SALESTAXCODE|TAXITEM|COMPANYNAME
CUST|Acme Corp|Acme Corp|1 Main St|Detroit, MI 48226|ap@acme.test|Net 30|Y|Tax|MI 6%|Acme Corp
!VEND|NAME|PRINTAS|ADDR1|ADDR2|VTYPE|TERMS|TAXID|COMPANYNAME
VEND|Ingram Micro|Ingram Micro Inc|3351 Michelson Dr|Irvine, CA 92612||Net 30||Ingram Micro Inc
!INVITEM|NAME|INVITEMTYPE|DESC|PURCHASEDESC|ACCNT|ASSETACCNT|COGSACCNT|PRICE|COST|TAXABLE|PREFVEND
INVITEM|HAAS-SRV-01|INVENTORY|HaaS server|HaaS server|Product Sales|Inventory Asset|Cost of Goods Sold|0.00|3600.00|N|Ingram Micro
INVITEM|HAAS-SRV-NI|PART|HaaS server||Product Sales|||0.00||N|
INVITEM|HAAS-AGR|SERV|HaaS agreement||HaaS Agreement Revenue|||150.00||Y|
!TRNS|TRNSID|TRNSTYPE|DATE|ACCNT|NAME|CLASS|AMOUNT|DOCNUM|MEMO|CLEAR|TOPRINT|NAMEISTAXABLE|ADDR1|ADDR2|ADDR3|DUEDATE|TERMS|PAID
!SPL|SPLID|TRNSTYPE|DATE|ACCNT|NAME|CLASS|AMOUNT|DOCNUM|MEMO|CLEAR|QNTY|PRICE|INVITEM|TAXABLE|VALADJ|REIMBEXP|SERVICEDATE|EXTRA
!ENDTRNS
TRNS||INVOICE|01/15/2026|Accounts Receivable|Acme Corp|HaaS|159.00|INV-1001|msp:invoice:1001|N|N|Y|Acme Corp|1 Main St|Detroit, MI 48226|02/14/2026|Net 30|N
SPL||INVOICE|01/15/2026|HaaS Agreement Revenue||HaaS|-150.00|INV-1001|HaaS server Jan 2026|N|-1|150.00|HAAS-AGR|Y|N|NOTHING|01/15/2026|
SPL||INVOICE|01/15/2026|Sales Tax Payable|MI Dept of Treasury||-9.00|INV-1001||N||6.0%|MI 6%|N|N|NOTHING||AUTOSTAX
ENDTRNS
!TRNS|TRNSID|TRNSTYPE|DATE|ACCNT|NAME|CLASS|AMOUNT|DOCNUM|MEMO|CLEAR|TOPRINT|ADDR1|DUEDATE|TERMS
!SPL|SPLID|TRNSTYPE|DATE|ACCNT|NAME|CLASS|AMOUNT|DOCNUM|MEMO|CLEAR|QNTY|PRICE|INVITEM|REIMBEXP
!ENDTRNS
TRNS||BILL|01/10/2026|Accounts Payable|Ingram Micro|HaaS|-3600.00|V-88213|PO-77|N|N|Ingram Micro|02/09/2026|Net 30
SPL||BILL|01/10/2026|Cost of Goods Sold||HaaS|3600.00|V-88213|HaaS server|N||||
ENDTRNS
!TRNS|TRNSID|TRNSTYPE|DATE|ACCNT|NAME|CLASS|AMOUNT|DOCNUM|MEMO
!SPL|SPLID|TRNSTYPE|DATE|ACCNT|NAME|CLASS|AMOUNT|DOCNUM|MEMO
!ENDTRNS
TRNS||GENERAL JOURNAL|01/15/2026|HaaS Equipment||HaaS|3600.00|JE-1|Capitalise server
SPL||GENERAL JOURNAL|01/15/2026|Cost of Goods Sold||HaaS|-3600.00|JE-1|Capitalise server
ENDTRNS
"""  # noqa: E501 - rows of an IIF file are as long as they are

#: What the published rows take for granted: it is in the QuickBooks file already.
IN_QUICKBOOKS = Known(
    accounts={
        "Accounts Receivable": "AR",
        "Accounts Payable": "AP",
        "Sales Tax Payable": "OCLIAB",
        "Inventory Asset": "OCASSET",
        "Product Sales": "INC",
        "HaaS Agreement Revenue": "INC",
        "Cost of Goods Sold": "COGS",
    },
    vendors=frozenset({"MI Dept of Treasury"}),
    items={"MI 6%": "COMPTAX"},
    classes=frozenset({"HaaS"}),
)


def iif(text: str) -> bytes:
    """Rows written with bars, as the bytes of a file."""
    return text.replace("|", "\t").replace("\n", "\r\n").encode("latin-1")


def refusal(content: bytes, known: Known | None = None) -> IifRefused:
    with pytest.raises(IifRefused) as refused:
        parse(content, known)
    return refused.value


class TestPublishedRows:
    def test_are_read_with_what_they_take_for_granted(self) -> None:
        contents = parse(iif(PUBLISHED), IN_QUICKBOOKS)
        assert {keyword: len(rows) for keyword, rows in contents.lists.items()} == {
            "ACCNT": 2,
            "VEND": 1,
            "INVITEM": 3,
            "CUST": 1,
        }
        entries = [
            (
                e.number,
                e.date,
                e.source_type,
                e.company_name,
                [(line.account_code, str(line.signed)) for line in e.lines],
            )
            for e in ledger_entries(contents)
        ]
        assert entries == [
            (
                *("INV-1001", date(2026, 1, 15), "INVOICE", "Acme Corp"),
                [
                    ("Accounts Receivable", "159.00"),
                    ("HaaS Agreement Revenue", "-150.00"),
                    ("Sales Tax Payable", "-9.00"),
                ],
            ),
            (
                *("V-88213", date(2026, 1, 10), "BILL", "Ingram Micro"),
                [("Accounts Payable", "-3600.00"), ("Cost of Goods Sold", "3600.00")],
            ),
            (
                *("JE-1", date(2026, 1, 15), "GENERAL JOURNAL", ""),
                [("1510", "3600.00"), ("Cost of Goods Sold", "-3600.00")],
            ),
        ]

    def test_each_name_that_is_in_no_list_is_told(self) -> None:
        """Alone, the same rows would make QuickBooks create accounts, a vendor, a tax item and a class."""
        told = " ".join(problem.what for problem in refusal(iif(PUBLISHED)).problems)
        for name in (*IN_QUICKBOOKS.accounts, *IN_QUICKBOOKS.vendors, *IN_QUICKBOOKS.items, "HaaS"):
            assert repr(name) in told


class TestZeroSums:
    """WE-28: a block that does not add up to zero is refused."""

    @pytest.mark.parametrize(
        "amounts",
        [
            ("-0.79", "63.79", "-7.00", "-1.00", "-20.00", "-35.00"),
            ("10000.00", "1153.00", "-1500.00", "-1153.00", "-300.00", "-8200.00"),
        ],
    )
    def test_we_28(self, amounts: tuple[str, ...]) -> None:
        sides = [("6000", amount) for amount in amounts]
        content = write(batch(journal("JE-28", *sides)))
        booked = [line.signed for entry in ledger_entries(parse(content)) for line in entry.lines]
        assert booked == [Decimal(amount) for amount in amounts]
        for cent in ("0.01", "-0.01"):
            last = str(Decimal(amounts[-1]) + Decimal(cent))
            off = content.replace(f"\t{amounts[-1]}\t".encode(), f"\t{last}\t".encode())
            assert off != content
            assert f"adds up to {cent}, not 0.00" in refusal(off).problems[0].what


def replaced(old: str, new: str, count: int = 1) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new, count)

    return change


def line_dropped(pattern: str, count: int = 1) -> Callable[[str], str]:
    def change(text: str) -> str:
        changed, times = re.subn(rf"^{pattern}[^\n]*\n", "", text, count=count, flags=re.MULTILINE)
        assert times, pattern
        return changed

    return change


def signs_turned(kind: str) -> Callable[[str], str]:
    """Each amount of the first transaction of a kind with the opposite sign: it still adds up to zero."""

    def change(text: str) -> str:
        lines = text.split("\n")
        start = next(n for n, line in enumerate(lines) if line.startswith(f"TRNS||{kind}|"))
        end = lines.index("ENDTRNS", start)
        for n in range(start, end):
            values = lines[n].split("|")
            values[7] = values[7][1:] if values[7].startswith("-") else f"-{values[7]}"
            lines[n] = "|".join(values)
        return "\n".join(lines)

    return change


MUTATIONS: dict[str, tuple[Callable[[str], str], str]] = {
    # shape
    "cut short": (lambda text: text[:-20], "does not end with a line end"),
    "empty": (lambda text: "", "does not end with a line end"),
    "empty line": (replaced("ENDTRNS\n", "ENDTRNS\n\n"), "line is empty"),
    "unknown keyword": (replaced("!VEND|", "!VENDOR|"), "'!VENDOR' is not a line"),
    "employees": (lambda text: "!EMP|NAME\n" + text, "'!EMP' is not a line"),
    "header missing": (line_dropped("!ACCNT"), "ACCNT comes before !ACCNT"),
    "unknown column": (replaced("|CLASS|", "|KLASS|"), "unknown column 'KLASS'"),
    "column twice": (replaced("|PRINTAS|", "|NAME|"), "names a column twice"),
    "required column missing": (replaced("!TRNS|TRNSID|TRNSTYPE", "!TRNS|TRNSID|MEMO"), "lacks the column TRNSTYPE"),
    "tab in a memo": (replaced("HaaS server", "HaaS|server"), "values for"),
    "value missing": (replaced("|Net 30|N\n", "|Net 30\n"), "values for"),
    "no TRNS": (line_dropped(r"TRNS\|"), "SPL stands outside"),
    "no SPL": (line_dropped(r"SPL\|\|BILL\|"), "no SPL line"),
    "no ENDTRNS": (line_dropped("ENDTRNS"), "TRNS stands inside"),
    "ENDTRNS twice": (replaced("ENDTRNS\nTRNS", "ENDTRNS\nENDTRNS\nTRNS"), "ENDTRNS stands outside"),
    "last ENDTRNS missing": (lambda text: text.removesuffix("ENDTRNS\n"), "no ENDTRNS"),
    "header inside": (replaced("SPL||BILL|", "!ENDTRNS\nSPL||BILL|"), "!ENDTRNS stands inside"),
    "list after transactions": (lambda text: text + "ACCNT|Late|EXP||6999|\n", "comes after a transaction"),
    # characters
    "double quote": (replaced("Capitalise", '"Capitalise"'), "double quote"),
    "semicolon": (replaced("Capitalise", "Capitalise;"), "semicolon"),
    "accent": (replaced("Capitalise", "Capitalis\u00e9"), "not plain ASCII"),
    "bare line feed": (replaced("Capitalise", "Capitalise\v"), "not plain ASCII"),
    "space at the end": (replaced("Capitalise server", "Capitalise server "), "begins or ends with a space"),
    # values
    "thousands comma": (replaced("-3600.00", "-3,600.00"), "is not an amount"),
    "dollar sign": (replaced("|159.00|", "|$159.00|"), "is not an amount"),
    "one decimal": (replaced("|159.00|", "|159.0|"), "is not an amount"),
    "three decimals": (replaced("|159.00|", "|159.000|"), "is not an amount"),
    "plus sign": (replaced("|159.00|", "|+159.00|"), "is not an amount"),
    "minus zero": (replaced("|0.00|INV-1002|msp", "|-0.00|INV-1002|msp"), "is not an amount"),
    "no amount": (replaced("|159.00|INV", "||INV"), "AMOUNT is empty"),
    "no number": (replaced("|159.00|INV-1001|", "|159.00||"), "DOCNUM is empty"),
    "no account": (replaced("|Accounts Receivable|Acme", "||Acme"), "ACCNT is empty"),
    "ISO date": (replaced("01/15/2026", "2026-01-15"), "is not a date"),
    "day before month": (replaced("01/15/2026", "15/01/2026"), "is not a date"),
    "30 February": (replaced("02/14/2026", "02/30/2026"), "is not a date"),
    "two-digit year": (replaced("01/15/2026", "01/15/26"), "is not a date"),
    "flag": (replaced("|N|N|Y|Acme", "|N|N|yes|Acme"), "neither Y nor N"),
    "quantity": (replaced("|-1|150.00|", "|-1,0|150.00|"), "QNTY '-1,0' is not a number"),
    "price": (replaced("|-1|150.00|", "|-1|150 USD|"), "neither a number nor a rate"),
    "six decimals": (replaced("|-1|150.00|", "|-1|150.000001|"), "neither a number nor a rate"),
    # lengths
    "long document number": (replaced("INV-1001", "INV-20260115", 9), "DOCNUM 'INV-20260115' is 12 characters long"),
    "long customer": (replaced("Acme Corp", "A" * 42, 99), "42 characters long; QuickBooks takes 41"),
    "long item": (replaced("HAAS-AGR", "H" * 32, 99), "32 characters long; QuickBooks takes 31"),
    "long account": (replaced("Checking", "C" * 32, 99), "32 characters long; QuickBooks takes 31"),
    "long account number": (replaced("|1000|", "|10000000|"), "8 characters long; QuickBooks takes 7"),
    "long address": (replaced("1 Main St", "1" * 42), "42 characters long; QuickBooks takes 41"),
    # types
    "transaction type": (replaced("||BILL|", "||CHECK|", 2), "'CHECK' is no transaction"),
    "inventory adjustment": (replaced("||GENERAL JOURNAL|", "||INVADJ|", 2), "'INVADJ' is no transaction"),
    "account type": (replaced("|BANK|", "|CASH|"), "ACCNTTYPE 'CASH' is not known"),
    "item type": (replaced("|SERV|", "|SERVICE|"), "INVITEMTYPE 'SERVICE' is not known"),
    "counted stock without accounts": (replaced("|PART|", "|INVENTORY|"), "lacks ASSETACCNT or COGSACCNT"),
    "tax code": (replaced("|Y|Tax|", "|Y|Taxable|"), "SALESTAXCODE 'Taxable' is not known"),
    "extra": (replaced("|AUTOSTAX", "|AUTO"), "EXTRA 'AUTO' is not known"),
    # one block, one document
    "split of another type": (replaced("SPL||BILL|", "SPL||BILL REFUND|"), "TRNSTYPE differs"),
    "split of another day": (replaced("SPL||BILL|01/10", "SPL||BILL|01/11"), "DATE differs"),
    "split of another number": (replaced("|3600.00|V-88213|", "|3600.00|V-88214|"), "DOCNUM differs"),
    "same number twice": (replaced("INV-1002", "INV-1001", 9), "'INV-1001' is on line"),
    # sums and signs
    "a cent too much": (replaced("|159.00|INV", "|159.01|INV"), "adds up to 0.01, not 0.00"),
    "a cent of tax lost": (replaced("|-9.00|", "|-8.99|"), "adds up to 0.01, not 0.00"),
    "invoice turned": (signs_turned("INVOICE"), "amount of a INVOICE must be positive"),
    "bill turned": (signs_turned("BILL"), "amount of a BILL must be negative"),
    "credit memo turned": (signs_turned("CREDIT MEMO"), "amount of a CREDIT MEMO must be negative"),
    "vendor credit turned": (signs_turned("BILL REFUND"), "amount of a BILL REFUND must be positive"),
    "credit memo as invoice": (replaced("||CREDIT MEMO|", "||INVOICE|", 3), "amount of a INVOICE must be positive"),
    "quantity turned": (replaced("|-1|150.00|", "|1|-150.00|"), "quantity has the wrong sign"),
    "quantity times price": (replaced("|-1|150.00|", "|-1|149.99|"), "-1 times 149.99 is not -150.00"),
    "no quantity": (replaced("|-1|150.00|", "||150.00|"), "no quantity and price"),
    # tax lines
    "untaxed invoice without tax line": (line_dropped(r"SPL[^\n]*Out of State"), "the INVOICE has no tax line"),
    "tax line unmarked": (replaced("|AUTOSTAX", "|"), "the INVOICE has no tax line"),
    "tax without rate": (replaced("|6.0%|MI 6%|N", "|6.0|MI 6%|N"), "PRICE of a tax line is not a rate"),
    "tax with an item": (replaced("|6.0%|MI 6%|N", "|6.0%|HAAS-AGR|N"), "not a sales tax item"),
    "taxable tax": (replaced("|6.0%|MI 6%|N|N|", "|6.0%|MI 6%|Y|N|"), "taxable itself"),
    "tax without agency": (
        replaced("|Sales Tax Payable|MI Dept of Treasury|", "|Sales Tax Payable||"),
        "not a tax agency",
    ),
    "tax item without agency": (replaced("|6.0%||N||MI Dept of Treasury", "|6.0%||N||"), "has no agency"),
    "tax item without rate": (replaced("|6.0%||N|", "|||N|"), "has no rate"),
    # names that lead somewhere
    "unknown customer": (line_dropped(r"CUST\|Acme Corp"), "NAME 'Acme Corp' is in no list"),
    "unknown vendor": (line_dropped(r"VEND\|Ingram"), "NAME 'Ingram Micro' is in no list"),
    "unknown preferred vendor": (line_dropped(r"VEND\|Ingram"), "PREFVEND 'Ingram Micro' is in no list"),
    "unknown item": (line_dropped(r"INVITEM\|HAAS-AGR"), "INVITEM 'HAAS-AGR' is in no list"),
    "unknown tax item": (line_dropped(r"INVITEM\|MI 6%"), "TAXITEM 'MI 6%' is not a sales tax item"),
    "unknown account": (line_dropped(r"ACCNT\|HaaS Agreement"), "ACCNT 'HaaS Agreement Revenue' is in no list"),
    "account misspelt": (replaced("|Cost of Goods Sold|||3600", "|Cost of Good Sold|||3600"), "is in no list"),
    "unknown parent": (line_dropped(r"ACCNT\|HaaS Equipment\|"), "parent account 'HaaS Equipment' is not in the file"),
    "parent of another type": (replaced("HaaS Equipment|FIXASSET", "HaaS Equipment|OASSET"), "has another type"),
    "unknown class": (replaced("|Ingram Micro||-3600", "|Ingram Micro|HaaS|-3600"), "CLASS 'HaaS' is in no list"),
    "vendor on an invoice": (
        replaced("|Acme Corp||159.00", "|Ingram Micro||159.00"),
        "NAME 'Ingram Micro' is in no list",
    ),
    "invoice not on receivables": (replaced("|Accounts Receivable|Acme", "|Checking|Acme"), "not of type AR"),
    "customer and vendor of one name": (replaced("VEND|Ingram Micro", "VEND|ACME CORP"), "is on line"),
    "account twice": (replaced("ACCNT|Checking", "ACCNT|accounts payable"), "is on line"),
    "colon in a customer": (replaced("Acme Corp", "Acme:Corp", 99), "has a colon"),
    # receivables and payables in journals
    "receivable without a name": (
        replaced("|Accounts Receivable|Acme Corp||-159", "|Accounts Receivable|||-159"),
        "no NAME",
    ),
    "two control lines": (replaced("|Checking|||159", "|Accounts Receivable|Acme Corp||159"), "a second receivable"),
}


class TestMutations:
    """One change each to a good file of every kind of document."""

    good = write(batch()).decode("ascii").replace("\r\n", "\n").replace("\t", "|")

    def test_the_file_is_good_before(self) -> None:
        assert len(parse(iif(self.good)).transactions) == 10

    @pytest.mark.parametrize("name", MUTATIONS)
    def test_refused(self, name: str) -> None:
        change, expected = MUTATIONS[name]
        problems = refusal(iif(change(self.good))).problems
        assert expected in " / ".join(problem.what for problem in problems)
        assert all(problem.mend and problem.line > 0 for problem in problems)

    def test_line_ends_without_carriage_return(self) -> None:
        assert refusal(iif(self.good).replace(b"\r\n", b"\n")).problems

    def test_a_tax_line_on_a_bill(self) -> None:
        text = self.good.replace("|REIMBEXP\n", "|EXTRA\n").replace(
            "|3600.00|V-88213|HaaS server|N||||", "|3600.00|V-88213||N||||AUTOSTAX"
        )
        assert "a tax line on a BILL" in " ".join(p.what for p in refusal(iif(text)).problems)

    def test_the_refusal_names_line_fault_and_remedy(self) -> None:
        problem = refusal(iif(self.good.replace("|159.00|INV", "|159.01|INV")))
        line = self.good[: self.good.index("|159.00|INV")].count("\n") + 1
        assert problem.code == "invalid"
        assert problem.message == f"Line {line}: the transaction adds up to 0.01, not 0.00"
        assert problem.hint == "Mend the amounts."
        assert problem.details == (
            {"line": str(line), "message": "the transaction adds up to 0.01, not 0.00", "hint": "Mend the amounts."},
        )

    def test_any_lost_or_doubled_line_of_a_transaction_is_noticed(self) -> None:
        lines = self.good.splitlines(keepends=True)
        zero = {n for n, line in enumerate(lines) if line.startswith("SPL") and "|0.00|INV-1002|" in line}
        body = [n for n, line in enumerate(lines) if line.startswith(("TRNS", "SPL", "ENDTRNS")) and n not in zero]
        assert len(body) > 30
        for n in body:
            assert refusal(iif("".join(lines[:n] + lines[n + 1 :]))).problems
            assert refusal(iif("".join(lines[: n + 1] + lines[n:]))).problems
