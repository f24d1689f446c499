"""The words of an IIF file: its columns, its types and its limits, as QuickBooks Desktop knows them."""

from __future__ import annotations

from typing import Final

from counterfoil.core.books import AccountType

ADDRESS_LINES: Final = 5

LISTS: Final[dict[str, tuple[str, ...]]] = {
    "ACCNT": ("NAME", "ACCNTTYPE", "DESC", "ACCNUM", "EXTRA"),
    "VEND": ("NAME", "PRINTAS", "ADDR1", "ADDR2", "ADDR3", "ADDR4", "ADDR5", "VTYPE", "TERMS", "TAXID", "COMPANYNAME"),
    "INVITEM": (
        *("NAME", "INVITEMTYPE", "DESC", "PURCHASEDESC", "ACCNT", "ASSETACCNT", "COGSACCNT"),
        *("PRICE", "COST", "TAXABLE", "PREFVEND", "TAXVEND"),
    ),
    "CUST": (
        *("NAME", "BADDR1", "BADDR2", "BADDR3", "BADDR4", "BADDR5", "EMAIL", "TERMS"),
        *("TAXABLE", "SALESTAXCODE", "TAXITEM", "COMPANYNAME"),
    ),
}
"""Lists in the order they are written: whatever a row refers to stands above it."""

_TRNS: Final = ("TRNSID", "TRNSTYPE", "DATE", "ACCNT", "NAME", "CLASS", "AMOUNT", "DOCNUM", "MEMO")
_SPL: Final = ("SPLID", *_TRNS[1:])

INVOICE_TRNS: Final = (
    *(*_TRNS, "CLEAR", "TOPRINT", "NAMEISTAXABLE"),
    *("ADDR1", "ADDR2", "ADDR3", "ADDR4", "ADDR5", "DUEDATE", "TERMS", "PAID"),
)
INVOICE_SPL: Final = (
    *(*_SPL, "CLEAR", "QNTY", "PRICE", "INVITEM", "TAXABLE", "VALADJ", "REIMBEXP", "SERVICEDATE", "EXTRA"),
)
BILL_TRNS: Final = (*_TRNS, "CLEAR", "TOPRINT", "ADDR1", "DUEDATE", "TERMS")
BILL_SPL: Final = (*_SPL, "CLEAR", "QNTY", "PRICE", "INVITEM", "REIMBEXP")
JOURNAL_TRNS: Final = _TRNS
JOURNAL_SPL: Final = _SPL

KNOWN_COLUMNS: Final[dict[str, frozenset[str]]] = {
    **{keyword: frozenset(columns) for keyword, columns in LISTS.items()},
    "TRNS": frozenset({*INVOICE_TRNS, *BILL_TRNS}),
    "SPL": frozenset({*INVOICE_SPL, *BILL_SPL}),
    "ENDTRNS": frozenset(),
}

REQUIRED_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "ACCNT": ("NAME", "ACCNTTYPE"),
    "VEND": ("NAME",),
    "INVITEM": ("NAME", "INVITEMTYPE", "ACCNT"),
    "CUST": ("NAME",),
    "TRNS": ("TRNSTYPE", "DATE", "ACCNT", "AMOUNT", "DOCNUM"),
    "SPL": ("TRNSTYPE", "DATE", "ACCNT", "AMOUNT", "DOCNUM"),
    "ENDTRNS": (),
}
"""Columns that must be declared, and filled on every row."""

ACCOUNT_TYPES: Final[dict[AccountType, str]] = {
    AccountType.BANK: "BANK",
    AccountType.ACCOUNTS_RECEIVABLE: "AR",
    AccountType.OTHER_CURRENT_ASSET: "OCASSET",
    AccountType.INVENTORY: "OCASSET",
    AccountType.FIXED_ASSET: "FIXASSET",
    AccountType.ACCUMULATED_DEPRECIATION: "FIXASSET",
    AccountType.ACCOUNTS_PAYABLE: "AP",
    AccountType.OTHER_CURRENT_LIABILITY: "OCLIAB",
    AccountType.SALES_TAX_PAYABLE: "OCLIAB",
    AccountType.LONG_TERM_LIABILITY: "LTLIAB",
    AccountType.EQUITY: "EQUITY",
    AccountType.INCOME: "INC",
    AccountType.COST_OF_GOODS_SOLD: "COGS",
    AccountType.EXPENSE: "EXP",
    AccountType.OTHER_INCOME: "EXINC",
    AccountType.OTHER_EXPENSE: "EXEXP",
}

IIF_ACCOUNT_TYPES: Final = frozenset({*ACCOUNT_TYPES.values(), "OASSET", "CCARD", "NONPOSTING"})
ITEM_TYPES: Final = frozenset({"SERV", "PART", "INVENTORY", "OTHC", "SUBT", "GRP", "DISC", "PMT", "COMPTAX", "STAX"})
TAX_ITEM_TYPES: Final = frozenset({"COMPTAX", "STAX"})

TRANSACTION_SIGNS: Final[dict[str, tuple[str, int] | None]] = {
    "INVOICE": ("AR", +1),
    "CREDIT MEMO": ("AR", -1),
    "BILL": ("AP", -1),
    "BILL REFUND": ("AP", +1),
    "GENERAL JOURNAL": None,
}
"""The transactions we exchange, and what account type and sign (debit +1) their first row has."""

SALES: Final = frozenset({"INVOICE", "CREDIT MEMO"})

DOCUMENT_NUMBER: Final = 11
COMPANY_NAME: Final = 41
ITEM_NAME: Final = 31
ACCOUNT_NAME: Final = 31
"""For each level of a sub-account's name."""
ACCOUNT_NUMBER: Final = 7
ADDRESS_LINE: Final = 41
TERMS: Final = 31
LONG_TEXT: Final = 4095

LIMITS: Final[dict[str, int]] = {
    "DOCNUM": DOCUMENT_NUMBER,
    "ACCNUM": ACCOUNT_NUMBER,
    "TERMS": TERMS,
    "MEMO": LONG_TEXT,
    "DESC": LONG_TEXT,
    "PURCHASEDESC": LONG_TEXT,
    "COMPANYNAME": COMPANY_NAME,
    "PRINTAS": COMPANY_NAME,
    **{f"{prefix}{n}": ADDRESS_LINE for prefix in ("ADDR", "BADDR") for n in range(1, ADDRESS_LINES + 1)},
}
"""Longest value of a column, whatever row it is on."""
