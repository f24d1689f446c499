"""The ledger as a Beancount file, so that somebody else's program can check our books.

The file is plain text made here; Beancount itself is never imported, only run on the file by whoever wants to check::

    bean-check -C ledger.beancount
    bean-query ledger.beancount "SELECT account, sum(position) GROUP BY account"

Beancount forgives half a cent per transaction and a whole cent per balance unless told not to. So the file sets the
tolerance multiplier to zero and writes every balance with an explicit tolerance, ``~ 0``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from counterfoil.adapters.plain_text import account_names, currency_code, exact_amount, known_account
from counterfoil.core.books import BalanceAssertion, ExportAccount, ExportEntry, ExportLine, LedgerExport

#: Accounts are open from here on: before any entry a ledger of ours can hold, so entries can be streamed.
OPENED: Final = "1900-01-01"

_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def export_lines(export: LedgerExport) -> Iterator[str]:
    """The file line by line, each with its line end: options, accounts, entries in the order given, balances.

    Raises:
        DomainError: ``duplicate`` account codes, ``not_found`` accounts, ``invalid`` amounts or currency.
    """
    names = account_names(export.accounts)
    currency = currency_code(export.currency)
    yield f'option "title" {_quoted(export.company_name)}\n'
    yield f'option "operating_currency" "{currency}"\n'
    yield 'option "tolerance_multiplier" "0"\n'
    yield "\n"
    for account in export.accounts:
        yield from _open(account, names, currency)
    for entry in export.entries:
        yield "\n"
        yield from _transaction(entry, names, currency)
    for assertion in export.assertions:
        yield "\n"
        yield from _balance(assertion, names, currency)


def _open(account: ExportAccount, names: dict[str, str], currency: str) -> Iterator[str]:
    yield f"{OPENED} open {names[account.code]} {currency}\n"
    yield f"  code: {_quoted(account.code)}\n"
    yield f"  name: {_quoted(account.name)}\n"
    yield f"  type: {_quoted(account.type)}\n"
    if account.parent:
        yield f"  parent: {_quoted(account.parent)}\n"
    if account.control:
        yield "  control: TRUE\n"


def _transaction(entry: ExportEntry, names: dict[str, str], currency: str) -> Iterator[str]:
    payee = f"{_quoted(entry.company_name)} " if entry.company_name else ""
    yield f"{entry.date.isoformat()} * {payee}{_quoted(entry.memo)}\n"
    yield f"  entry: {_quoted(entry.number)}\n"
    yield f"  source: {_quoted(f'{entry.source_type}:{entry.source_id}')}\n"
    if entry.source_label:
        yield f"  document: {_quoted(entry.source_label)}\n"
    yield f"  step: {_quoted(entry.step)}\n"
    for line in entry.lines:
        yield from _posting(entry, line, names, currency)


def _posting(entry: ExportEntry, line: ExportLine, names: dict[str, str], currency: str) -> Iterator[str]:
    where = f"Entry {entry.number}"
    account = known_account(names, line.account_code, where)
    yield f"  {account}  {exact_amount(line.signed, where)} {currency}\n"
    if line.company_name:
        yield f"    company: {_quoted(line.company_name)}\n"
    if line.memo:
        yield f"    memo: {_quoted(line.memo)}\n"


def _balance(assertion: BalanceAssertion, names: dict[str, str], currency: str) -> Iterator[str]:
    """Beancount checks at the start of a day, so the end of a day is written as the day after."""
    where = f"Balance of {assertion.origin}"
    account = known_account(names, assertion.account_code, where)
    day = (assertion.date + timedelta(days=1)).isoformat()
    yield f"{day} balance {account}  {exact_amount(assertion.balance, where)} ~ 0 {currency}\n"
    yield f"  origin: {_quoted(assertion.origin)}\n"


def _quoted(text: str) -> str:
    """A Beancount string. Control characters and lone surrogates, which a file cannot hold, become a space."""
    return '"' + "".join(_ESCAPES.get(c) or _printable(c) for c in text) + '"'


def _printable(character: str) -> str:
    return " " if unicodedata.category(character) in {"Cc", "Cs"} else character
