"""The chart of accounts an MSP starts with. It can be edited; nothing here is read once it is installed."""

from __future__ import annotations

from typing import Final

from counterfoil.core.posting import GlRole
from counterfoil.ledger.models import AccountType

#: (code, name, type)
ACCOUNTS: Final[tuple[tuple[str, str, AccountType], ...]] = (
    ("1000", "Operating Bank", AccountType.BANK),
    ("1100", "Accounts Receivable", AccountType.RECEIVABLE),
    ("1300", "Inventory", AccountType.INVENTORY),
    ("1500", "Fixed Assets - HaaS", AccountType.FIXED_ASSET),
    ("1590", "Accumulated Depreciation - HaaS", AccountType.ACCUMULATED_DEPRECIATION),
    ("2000", "Accounts Payable", AccountType.PAYABLE),
    ("2050", "Goods Received Not Invoiced", AccountType.GRNI),
    ("2200", "Sales Tax Payable", AccountType.SALES_TAX),
    ("2400", "Deferred Revenue", AccountType.DEFERRED_REVENUE),
    ("2700", "Long-term Loans", AccountType.LONG_TERM_LIABILITY),
    ("3000", "Owner's Equity", AccountType.EQUITY),
    ("3900", "Retained Earnings", AccountType.EQUITY),
    ("4000", "Agreement Revenue", AccountType.INCOME),
    ("4010", "HaaS Revenue", AccountType.INCOME),
    ("4020", "SaaS Revenue", AccountType.INCOME),
    ("4100", "Product Revenue", AccountType.INCOME),
    ("4200", "Service Revenue", AccountType.INCOME),
    ("4300", "Expenses Billed", AccountType.INCOME),
    ("5000", "COGS - Hardware", AccountType.COGS),
    ("5010", "COGS - Software", AccountType.COGS),
    ("5090", "Purchase Price Variance", AccountType.COGS),
    ("5100", "Freight In", AccountType.COGS),
    ("5200", "Depreciation - HaaS", AccountType.COGS),
    ("6000", "Payroll", AccountType.EXPENSE),
    ("6100", "Rent and Utilities", AccountType.EXPENSE),
    ("6200", "Tools and Subscriptions", AccountType.EXPENSE),
    ("6300", "Tax on Purchases", AccountType.EXPENSE),
    ("7000", "Other Income", AccountType.OTHER_INCOME),
    ("7900", "Gain or Loss on Disposal", AccountType.OTHER_EXPENSE),
)

#: Role -> code of its default account.
DEFAULTS: Final[dict[GlRole, str]] = {
    GlRole.ACCOUNTS_RECEIVABLE: "1100",
    GlRole.AGREEMENT_REVENUE: "4000",
    GlRole.PRODUCT_REVENUE: "4100",
    GlRole.SERVICE_REVENUE: "4200",
    GlRole.EXPENSE_REVENUE: "4300",
    GlRole.SALES_TAX_PAYABLE: "2200",
    GlRole.DEFERRED_REVENUE: "2400",
    GlRole.COGS: "5000",
    GlRole.INVENTORY: "1300",
    GlRole.GRNI: "2050",
    GlRole.ACCOUNTS_PAYABLE: "2000",
    GlRole.PURCHASE_PRICE_VARIANCE: "5090",
    GlRole.FREIGHT_IN: "5100",
    GlRole.PURCHASE_TAX: "6300",
    GlRole.FIXED_ASSET: "1500",
    GlRole.ACCUMULATED_DEPRECIATION: "1590",
    GlRole.DEPRECIATION_EXPENSE: "5200",
    GlRole.GAIN_LOSS_ON_DISPOSAL: "7900",
    GlRole.BANK: "1000",
    GlRole.RETAINED_EARNINGS: "3900",
}

#: Roles whose account must be of one of these types: a sub-ledger ties to the type, so another one would break the tie.
ROLE_TYPES: Final[dict[GlRole, frozenset[AccountType]]] = {
    GlRole.ACCOUNTS_RECEIVABLE: frozenset({AccountType.RECEIVABLE}),
    GlRole.AGREEMENT_REVENUE: frozenset({AccountType.INCOME, AccountType.OTHER_INCOME}),
    GlRole.PRODUCT_REVENUE: frozenset({AccountType.INCOME, AccountType.OTHER_INCOME}),
    GlRole.SERVICE_REVENUE: frozenset({AccountType.INCOME, AccountType.OTHER_INCOME}),
    GlRole.EXPENSE_REVENUE: frozenset({AccountType.INCOME, AccountType.OTHER_INCOME}),
    GlRole.SALES_TAX_PAYABLE: frozenset({AccountType.SALES_TAX}),
    GlRole.DEFERRED_REVENUE: frozenset({AccountType.DEFERRED_REVENUE}),
    GlRole.COGS: frozenset({AccountType.COGS, AccountType.EXPENSE}),
    GlRole.INVENTORY: frozenset({AccountType.INVENTORY}),
    GlRole.GRNI: frozenset({AccountType.GRNI}),
    GlRole.ACCOUNTS_PAYABLE: frozenset({AccountType.PAYABLE}),
    GlRole.PURCHASE_PRICE_VARIANCE: frozenset({AccountType.COGS, AccountType.EXPENSE}),
    GlRole.FREIGHT_IN: frozenset({AccountType.COGS, AccountType.EXPENSE}),
    GlRole.PURCHASE_TAX: frozenset({AccountType.COGS, AccountType.EXPENSE}),
    GlRole.FIXED_ASSET: frozenset({AccountType.FIXED_ASSET}),
    GlRole.ACCUMULATED_DEPRECIATION: frozenset({AccountType.ACCUMULATED_DEPRECIATION}),
    GlRole.DEPRECIATION_EXPENSE: frozenset({AccountType.COGS, AccountType.EXPENSE}),
    GlRole.GAIN_LOSS_ON_DISPOSAL: frozenset(
        {AccountType.OTHER_INCOME, AccountType.OTHER_EXPENSE, AccountType.EXPENSE, AccountType.INCOME}
    ),
    GlRole.BANK: frozenset({AccountType.BANK}),
    GlRole.RETAINED_EARNINGS: frozenset({AccountType.EQUITY}),
}

#: Account types that only documents may post to: their balance is a sub-ledger's, and a manual entry would break it.
CONTROL_TYPES: Final[frozenset[AccountType]] = frozenset(
    {
        AccountType.RECEIVABLE,
        AccountType.INVENTORY,
        AccountType.FIXED_ASSET,
        AccountType.ACCUMULATED_DEPRECIATION,
        AccountType.PAYABLE,
        AccountType.GRNI,
        AccountType.SALES_TAX,
    }
)
