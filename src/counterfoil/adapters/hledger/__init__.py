"""The ledger as an hledger journal, for a second and independent check of our books.

The journal is plain text made here; hledger is only ever run on it as a program::

    hledger -f ledger.journal check -s
    hledger -f ledger.journal bal --no-total -O csv

hledger has no way to escape characters. Where its grammar would read meaning into a text (a semicolon begins a
comment, ``date:`` in a comment moves the posting to another day) the character is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator

from counterfoil.adapters.plain_text import account_names, currency_code, exact_amount, known_account, one_line
from counterfoil.core.books import BalanceAssertion, ExportEntry, LedgerExport


def export_lines(export: LedgerExport) -> Iterator[str]:
    """The journal line by line, each with its line end: declarations, entries in the order given, assertions.

    hledger reads entries of one day in file order, so an assertion for the end of a day carries that day and stands
    after all entries.

    Raises:
        DomainError: ``duplicate`` account codes, ``not_found`` accounts, ``invalid`` amounts or currency.
    """
    names = account_names(export.accounts)
    currency = currency_code(export.currency)
    yield f"; {_comment(export.company_name)}\n"
    yield f"commodity 1000.00 {currency}\n\n"
    for account in export.accounts:
        # Two spaces before the comment, else it would be part of the account's name.
        yield f"account {names[account.code]}  ; {_comment(f'{account.code} {account.name}')}\n"
    for entry in export.entries:
        yield "\n"
        yield from _transaction(entry, names, currency)
    for assertion in export.assertions:
        yield "\n"
        yield from _assertion(assertion, names, currency)


def _transaction(entry: ExportEntry, names: dict[str, str], currency: str) -> Iterator[str]:
    where = f"Entry {entry.number}"
    payee = f"{_description(entry.company_name).replace('|', '/')} | " if entry.company_name else ""
    yield f"{entry.date.isoformat()} * ({_code(entry.number)}) {payee}{_description(entry.memo)}\n"
    source = f"{entry.source_type} {entry.source_id} {entry.step}"
    yield f"    ; source: {_comment(source)}\n"
    if entry.source_label:
        yield f"    ; document: {_comment(entry.source_label)}\n"
    for line in entry.lines:
        account = known_account(names, line.account_code, where)
        note = " - ".join(text for text in (_comment(line.company_name), _comment(line.memo)) if text)
        # Two spaces before the amount, else it would be part of the account's name.
        amount = f"{account}  {exact_amount(line.signed, where)} {currency}"
        yield f"    {amount}  ; {note}\n" if note else f"    {amount}\n"


def _assertion(assertion: BalanceAssertion, names: dict[str, str], currency: str) -> Iterator[str]:
    where = f"Balance of {assertion.origin}"
    account = known_account(names, assertion.account_code, where)
    yield f"{assertion.date.isoformat()} * Balance by {_description(assertion.origin)}\n"
    yield f"    {account}  0.00 {currency} == {exact_amount(assertion.balance, where)} {currency}\n"


def _description(text: str) -> str:
    return one_line(text).replace(";", ",")


def _code(text: str) -> str:
    return one_line(text).replace("(", "[").replace(")", "]").replace(";", ",")


def _comment(text: str) -> str:
    """A comment that holds no tag (``name:``) and no bracketed date."""
    return one_line(text).replace(":", " -").replace("[", "(").replace("]", ")")
