"""Accounting batches for QuickBooks Desktop: a month of the leased server, and every kind of document."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

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
    IifItem,
    IifJournal,
    IifTaxItem,
    IifTaxLine,
    IifVendor,
    ItemKind,
)

CHART = (
    ExportAccount("1000", "Checking", AccountType.BANK),
    ExportAccount("1100", "Accounts Receivable", AccountType.ACCOUNTS_RECEIVABLE, control=True),
    ExportAccount("1300", "Inventory Asset", AccountType.INVENTORY, control=True),
    ExportAccount("1510", "HaaS Equipment", AccountType.FIXED_ASSET),
    ExportAccount("1511", "Accumulated Depreciation", AccountType.ACCUMULATED_DEPRECIATION, parent="1510"),
    ExportAccount("2000", "Accounts Payable", AccountType.ACCOUNTS_PAYABLE, control=True),
    ExportAccount("2100", "Received not invoiced", AccountType.OTHER_CURRENT_LIABILITY),
    ExportAccount("2200", "Sales Tax Payable", AccountType.SALES_TAX_PAYABLE),
    ExportAccount("4000", "HaaS Agreement Revenue", AccountType.INCOME),
    ExportAccount("5000", "Cost of Goods Sold", AccountType.COST_OF_GOODS_SOLD),
    ExportAccount("6000", "Depreciation Expense", AccountType.EXPENSE),
)

MICHIGAN = IifTaxItem("MI 6%", "MI Dept of Treasury", Decimal("6"), "2200")
UNTAXED = IifTaxItem("Out of State", "MI Dept of Treasury", Decimal(0), "2200")

ACME = IifCustomer(
    "Acme Corp",
    ("Acme Corp", "1 Main St", "Detroit, MI 48226"),
    email="ap@acme.test",
    terms="Net 30",
    tax_item=MICHIGAN,
)
INTERNAL = IifCustomer("Northwind Internal", ("Northwind MSP",), taxable=False)
INGRAM = IifVendor("Ingram Micro", ("3351 Michelson Dr", "Irvine, CA 92612"), terms="Net 30", company_name="Ingram Inc")

AGREEMENT = IifItem("HAAS-AGR", ItemKind.SERVICE, "HaaS agreement", "4000", price=Decimal("150.00"), taxable=True)
SERVER = IifItem(
    *("HAAS-SRV-01", ItemKind.INVENTORY, "HaaS server", "4000", "5000", "1300"),
    cost=Decimal("3600.00"),
    vendor="Ingram Micro",
)


def sold(amount: str, quantity: str = "1", price: str | None = None, memo: str = "HaaS server") -> IifInvoiceLine:
    """A line of the agreement; the price is the amount unless told."""
    return IifInvoiceLine(
        *("4000", "HAAS-AGR", Decimal(quantity), Decimal(price or amount), Decimal(amount), memo),
        taxable=True,
        service_date=date(2026, 1, 15),
    )


def invoice(number: str, *lines: IifInvoiceLine, tax: str | None = None, customer: str = "Acme Corp") -> IifInvoice:
    """An invoice of 15 Jan 2026, due in 30 days."""
    taxes = (IifTaxLine(MICHIGAN, Decimal(tax)),) if tax is not None else ()
    return IifInvoice(
        number,
        date(2026, 1, 15),
        date(2026, 2, 14),
        customer,
        "1100",
        lines,
        taxes,
        ACME.address if customer == "Acme Corp" else (),
        "Net 30",
        f"msp:invoice:{number}",
    )


def bill(number: str, amount: str, account: str = "2100") -> IifBill:
    """A bill of 10 Jan 2026 from Ingram Micro."""
    lines = (IifBillLine(account, Decimal(amount), "HaaS server"),)
    return IifBill(number, date(2026, 1, 10), date(2026, 2, 9), "Ingram Micro", "2000", lines, "Net 30", "PO-77")


def journal(number: str, *sides: tuple[str, str] | tuple[str, str, str], memo: str = "Capitalise server") -> IifJournal:
    """A journal entry from (account, signed amount, company?)."""
    lines = []
    for code, text, *company in sides:
        amount = Decimal(text)
        lines.append(ExportLine(code, max(amount, Decimal(0)), max(-amount, Decimal(0)), "".join(company)))
    return IifJournal(number, date(2026, 1, 15), memo, tuple(lines))


EVERY_KIND: tuple[IifDocument, ...] = (
    invoice("INV-1001", sold("150.00"), tax="9.00"),
    bill("V-88213", "3600.00"),
    journal("JE-1", ("1510", "3600.00"), ("5000", "-3600.00")),
    invoice(
        "INV-1002",
        IifInvoiceLine("4000", "HAAS-SRV-01", Decimal(1), Decimal(0), Decimal(0), "Server, cost only"),
        customer="Northwind Internal",
    ),
    invoice("CM-9", sold("-150.00", "-1", "150.00"), tax="-9.00"),
    bill("VC-12", "-100.00", "5000"),
    journal("JE-2", ("5000", "3600.00"), ("1300", "-3600.00"), memo="Cost of SO-1"),
    journal("JE-3", ("6000", "100.00"), ("1511", "-100.00"), memo="Depreciation Jan 2026"),
    journal("JE-4", ("1000", "159.00"), ("1100", "-159.00", "Acme Corp"), memo="Payment"),
    invoice(
        "INV-1003", sold("10.00", "3", "3.3333", "GB of backup"), sold("-5.00", "1", "-5.00", "Discount"), tax="0.30"
    ),
)


def batch(*documents: IifDocument, **changes: object) -> IifBatch:
    """A batch of the documents (every kind, when none are given) with all the lists they need."""
    fields: dict[str, object] = {
        "realm": "Northwind MSP, Inc.",
        "batch_number": "B-0007",
        "accounts": CHART,
        "customers": (ACME, INTERNAL),
        "vendors": (INGRAM,),
        "items": (AGREEMENT, SERVER),
        "documents": documents or EVERY_KIND,
        "untaxed": UNTAXED,
    }
    return IifBatch(**(fields | changes))  # type: ignore[arg-type]
