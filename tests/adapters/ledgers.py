"""Ledgers to export: the leased server, bought into stock and capitalised."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from counterfoil.core.books import (
    AccountType,
    BalanceAssertion,
    ExportAccount,
    ExportEntry,
    ExportLine,
    LedgerExport,
)

CHART = (
    ExportAccount("1000", "Checking", AccountType.BANK),
    ExportAccount("1100", "Accounts receivable", AccountType.ACCOUNTS_RECEIVABLE, control=True),
    ExportAccount("1300", "Inventory", AccountType.INVENTORY, control=True),
    ExportAccount("1500", "Fixed assets", AccountType.FIXED_ASSET),
    ExportAccount("1510", "Leased equipment", AccountType.FIXED_ASSET, parent="1500", control=True),
    ExportAccount(
        "1511", "Accumulated depreciation", AccountType.ACCUMULATED_DEPRECIATION, parent="1500", control=True
    ),
    ExportAccount("2000", "Accounts payable", AccountType.ACCOUNTS_PAYABLE, control=True),
    ExportAccount("2100", "Goods received not invoiced", AccountType.OTHER_CURRENT_LIABILITY, control=True),
    ExportAccount("2200", "Sales tax payable", AccountType.SALES_TAX_PAYABLE),
    ExportAccount("3000", "Owner's equity", AccountType.EQUITY),
    ExportAccount("4000", "HaaS revenue", AccountType.INCOME),
    ExportAccount("5000", "Cost of goods sold", AccountType.COST_OF_GOODS_SOLD),
    ExportAccount("6000", "Depreciation", AccountType.EXPENSE),
)


def entry(number: str, day: date, memo: str, *sides: tuple[str, str]) -> ExportEntry:
    """An entry from (account, signed amount) pairs; a debit is positive."""
    amounts = ((account, Decimal(text)) for account, text in sides)
    lines = tuple(ExportLine(a, debit=max(n, Decimal(0)), credit=max(-n, Decimal(0))) for a, n in amounts)
    return ExportEntry(number, day, memo, "document", number, memo, "post", "Acme Corp", lines)


def leased_server() -> LedgerExport:
    """Server cost 3,600.00 through stock, capitalised, depreciated over 36 months; 150.00 a month and 6 % tax."""
    entries = [
        entry("R-1", date(2026, 1, 10), "Server received", ("1300", "3600.00"), ("2100", "-3600.00")),
        entry("B-1", date(2026, 1, 10), "Vendor bill V-88213", ("2100", "3600.00"), ("2000", "-3600.00")),
        entry("S-1", date(2026, 1, 15), "Cost of order SO-1", ("5000", "3600.00"), ("1300", "-3600.00")),
        entry("JE-1", date(2026, 1, 15), "Capitalise server", ("1510", "3600.00"), ("5000", "-3600.00")),
        entry("P-1", date(2026, 2, 10), "Vendor paid", ("2000", "3600.00"), ("1000", "-3600.00")),
    ]
    assertions = []
    for month in range(36):
        year, index = 2026 + month // 12, month % 12 + 1
        last = date(year + index // 12, index % 12 + 1, 1) - timedelta(days=1)
        entries += [
            entry(
                f"INV-{month}",
                last.replace(day=1),
                f"HaaS {index}/{year}",
                ("1100", "159"),
                ("4000", "-150"),
                ("2200", "-9"),
            ),
            entry(f"D-{month}", last, "Depreciation", ("6000", "100"), ("1511", "-100")),
            entry(f"C-{month}", last, "Acme pays", ("1000", "159.00"), ("1100", "-159.00")),
        ]
        assertions += [
            BalanceAssertion("1511", last, Decimal(-100) * (month + 1), "fixed-asset register"),
            BalanceAssertion("1510", last, Decimal(3600), "fixed-asset register"),
            BalanceAssertion("1300", last, Decimal(0), "inventory valuation"),
            BalanceAssertion("1100", last, Decimal(0), "receivables by customer"),
        ]
    return LedgerExport("Northwind MSP", "USD", CHART, tuple(entries), tuple(assertions))


def trial_balance(export: LedgerExport, names: dict[str, str]) -> dict[str, Decimal]:
    """Balances by exported account name, added up from the entries, zeros left out."""
    totals: dict[str, Decimal] = {}
    for line in (line for e in export.entries for line in e.lines):
        name = names[line.account_code]
        totals[name] = totals.get(name, Decimal(0)) + line.signed
    return {name: amount for name, amount in totals.items() if amount}


def with_entries(export: LedgerExport, entries: Iterable[ExportEntry]) -> LedgerExport:
    return replace(export, entries=tuple(entries))
