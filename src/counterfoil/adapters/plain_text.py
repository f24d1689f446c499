"""What the plain-text ledgers (Beancount, hledger) share: account names and exact amounts."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from counterfoil.core.books import AccountType, ExportAccount
from counterfoil.core.errors import DomainError

#: Root and group of each kind of account. The five roots are the ones both programs know without being told.
_GROUPS: Final[dict[AccountType, str]] = {
    AccountType.BANK: "Assets:Bank",
    AccountType.ACCOUNTS_RECEIVABLE: "Assets:Receivable",
    AccountType.OTHER_CURRENT_ASSET: "Assets:Current",
    AccountType.INVENTORY: "Assets:Inventory",
    AccountType.FIXED_ASSET: "Assets:Fixed",
    AccountType.ACCUMULATED_DEPRECIATION: "Assets:Depreciation",
    AccountType.ACCOUNTS_PAYABLE: "Liabilities:Payable",
    AccountType.OTHER_CURRENT_LIABILITY: "Liabilities:Current",
    AccountType.SALES_TAX_PAYABLE: "Liabilities:SalesTax",
    AccountType.LONG_TERM_LIABILITY: "Liabilities:LongTerm",
    AccountType.EQUITY: "Equity:Equity",
    AccountType.INCOME: "Income:Sales",
    AccountType.COST_OF_GOODS_SOLD: "Expenses:CostOfGoodsSold",
    AccountType.EXPENSE: "Expenses:Operating",
    AccountType.OTHER_INCOME: "Income:Other",
    AccountType.OTHER_EXPENSE: "Expenses:Other",
}

_CURRENCY: Final = re.compile(r"[A-Z]{3}")


def account_names(accounts: Iterable[ExportAccount]) -> dict[str, str]:
    """Account code to a name both programs accept, such as ``Assets:Fixed:1510-Leased-equipment``.

    Names are ASCII. All lie at the same depth, so no account contains another: Beancount's balance assertions
    count sub-accounts in. Two accounts that would read the same get a mark made from their codes.

    Raises:
        DomainError: ``duplicate`` when two accounts have one code.
    """
    wanted: dict[str, str] = {}
    for account in accounts:
        if account.code in wanted:
            raise DomainError(
                "duplicate",
                f"Two accounts have the code {account.code!r}.",
                field="accounts",
                hint="Give each account a code of its own.",
            )
        group = _GROUPS[AccountType(account.type)]
        wanted[account.code] = f"{group}:{_component(f'{account.code} {account.name}')}"
    return _told_apart(wanted)


def _told_apart(wanted: dict[str, str]) -> dict[str, str]:
    """Mark the names that several codes claim, with as much of the code's digest as it takes."""
    names = dict(wanted)
    length = 6
    while clashes := {name for name, claims in Counter(names.values()).items() if claims > 1}:
        for code, name in names.items():
            if name in clashes:
                digest = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
                names[code] = f"{wanted[code]}-{digest[:length]}"
        length += 2
    return names


def _component(text: str) -> str:
    """One part of an account name: letters, digits and hyphens, beginning with a capital or a digit."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^A-Za-z0-9]+", "-", ascii_text).strip("-")
    words = words[:1].upper() + words[1:]
    return words or "X"


def exact_amount(amount: Decimal, where: str) -> str:
    """The amount with two decimals, without rounding.

    Raises:
        DomainError: ``invalid`` when it has fractions of a cent, which a checker would let pass unseen.
    """
    text = f"{amount:.2f}" if amount.is_finite() else "?"
    if text == "?" or Decimal(text) != amount:
        raise DomainError(
            "invalid",
            f"{where}: the amount {amount} is not a whole number of cents.",
            field="amount",
            hint="Round the amount where the document is made; exports never round.",
        )
    return "0.00" if amount == 0 else text


def currency_code(currency: str) -> str:
    """The currency, checked to be an ISO 4217 code such as ``USD``."""
    if not _CURRENCY.fullmatch(currency):
        raise DomainError(
            "invalid",
            f"{currency!r} is not a currency code.",
            field="currency",
            hint="Use the three capital letters of ISO 4217, such as USD.",
        )
    return currency


def known_account(names: dict[str, str], code: str, where: str) -> str:
    """The name of an account by its code.

    Raises:
        DomainError: ``not_found`` when the chart that is exported does not have it.
    """
    try:
        return names[code]
    except KeyError:
        raise DomainError(
            "not_found",
            f"{where}: there is no account {code!r} in the chart that is exported.",
            field="account_code",
            hint="Export the whole chart of accounts, inactive accounts too.",
        ) from None


def one_line(text: str) -> str:
    """The text without line ends, control characters and lone surrogates, which no line-based file can carry."""
    cleaned = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"} else c for c in text)
    return " ".join(cleaned.split())
