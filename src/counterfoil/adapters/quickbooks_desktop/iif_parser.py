"""Read an IIF file strictly, and say line by line what is wrong with it.

QuickBooks itself is lax: it shifts columns at a stray tab, cuts long names, and creates whatever name it does not know.
Nothing here is forgiven, so a file that passes books exactly what it says.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from counterfoil.adapters.quickbooks_desktop import grammar
from counterfoil.core.books import ExportEntry, ExportLine
from counterfoil.core.errors import DomainError


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong on a line (the first is 1), and how to mend it."""

    line: int
    what: str
    mend: str


class IifRefused(DomainError):
    """The file is not one that may be imported. ``problems`` has all that was found, in the order of lines."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first, more = problems[0], len(problems) - 1
        others = f" ({more} more)" if more else ""
        super().__init__(
            "invalid",
            f"Line {first.line}: {first.what}{others}",
            hint=first.mend,
            details=tuple({"line": str(p.line), "message": p.what, "hint": p.mend} for p in problems),
        )
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Known:
    """What the QuickBooks file already has, so that a file need not bring it: accounts and items with their types."""

    accounts: dict[str, str] = field(default_factory=dict)
    customers: frozenset[str] = frozenset()
    vendors: frozenset[str] = frozenset()
    items: dict[str, str] = field(default_factory=dict)
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Row:
    """One data row: its line number, keyword and values by column."""

    line: int
    keyword: str
    values: dict[str, str]

    def get(self, column: str) -> str:
        """The value, or nothing when the column was not declared."""
        return self.values.get(column, "")


@dataclass(frozen=True, slots=True)
class Transaction:
    """A TRNS row and the SPL rows up to its ENDTRNS."""

    rows: tuple[Row, ...]

    @property
    def first(self) -> Row:
        """The TRNS row."""
        return self.rows[0]

    @property
    def type(self) -> str:
        """The TRNSTYPE."""
        return self.first.get("TRNSTYPE")


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything in the file."""

    lists: dict[str, tuple[Row, ...]]
    transactions: tuple[Transaction, ...]


def parse(content: bytes, known: Known | None = None) -> Contents:
    """Read the file.

    Raises:
        IifRefused: with every problem found.
    """
    reader = _Reader()
    reader.read(content)
    contents = Contents({k: tuple(rows) for k, rows in reader.lists.items()}, tuple(reader.transactions))
    problems = reader.problems
    if not problems:
        problems = [*_Checker(contents, known or Known()).problems()]
    if problems:
        raise IifRefused(tuple(sorted(problems, key=lambda problem: problem.line)))
    return contents


def ledger_entries(contents: Contents) -> tuple[ExportEntry, ...]:
    """What the file books, entry by entry. Lines of zero and the memos of single lines are left out.

    An account is called by its number where the file gives one, otherwise by its full name.
    """
    numbers = {row.get("NAME"): row.get("ACCNUM") for row in contents.lists["ACCNT"]}
    return tuple(_entry(transaction, numbers) for transaction in contents.transactions)


def _entry(transaction: Transaction, numbers: dict[str, str]) -> ExportEntry:
    first = transaction.first
    zero = Decimal(0)
    lines = tuple(
        ExportLine(
            numbers.get(row.get("ACCNT")) or row.get("ACCNT"),
            debit=max(Decimal(row.get("AMOUNT")), zero),
            credit=max(-Decimal(row.get("AMOUNT")), zero),
            company_name=row.get("NAME"),
        )
        for row in transaction.rows
        if Decimal(row.get("AMOUNT"))
    )
    company = "" if transaction.type == "GENERAL JOURNAL" else first.get("NAME")
    number = first.get("DOCNUM")
    day = _day(first.get("DATE"))
    assert day is not None
    return ExportEntry(number, day, first.get("MEMO"), transaction.type, number, "", "", company, lines)


def _day(text: str) -> dt.date | None:
    match = re.fullmatch(r"(\d\d)/(\d\d)/(\d{4})", text)
    if not match:
        return None
    month, day, year = map(int, match.groups())
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


class _Reader:
    """Lines to rows and blocks: the shape of the file, before the meaning of its values."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.lists: dict[str, list[Row]] = {keyword: [] for keyword in grammar.LISTS}
        self.transactions: list[Transaction] = []
        self._columns: dict[str, tuple[str, ...]] = {}
        self._block: list[Row] | None = None
        self._line = 0

    def read(self, content: bytes) -> None:
        text = content.decode("latin-1")
        lines = text.split("\r\n")
        if lines.pop() != "" or not lines:
            self._line = len(lines) + 1
            self._refuse("the file does not end with a line end", "Write the file again; it was cut short.")
            return
        for self._line, line in enumerate(lines, start=1):
            if self._clean(line):
                self._take(line.split("\t"))
        if self._block is not None:
            self._refuse("the last transaction has no ENDTRNS", "Close the transaction with an ENDTRNS line.")

    def _refuse(self, what: str, mend: str) -> None:
        self.problems.append(Problem(self._line, what, mend))

    def _clean(self, line: str) -> bool:
        strange = sorted({character for character in line if not (" " <= character <= "~" or character == "\t")})
        if strange:
            self._refuse(f"characters {strange} are not plain ASCII", "Replace them; end lines with CR LF only.")
        elif '"' in line or ";" in line:
            self._refuse("a double quote or semicolon may move columns", "Replace it with ' or a comma.")
        elif not line.strip():
            self._refuse("the line is empty", "Take the line out.")
        elif any(value != value.strip() for value in line.split("\t")):
            self._refuse("a value begins or ends with a space", "Take the space away.")
        else:
            return True
        return False

    def _take(self, values: list[str]) -> None:
        keyword = values[0].removeprefix("!")
        if keyword not in grammar.KNOWN_COLUMNS:
            self._refuse(f"{values[0]!r} is not a line this file may have", "Use ACCNT, VEND, INVITEM, CUST or TRNS.")
        elif values[0].startswith("!"):
            self._declare(keyword, tuple(values[1:]))
        elif keyword not in self._columns:
            self._refuse(f"{keyword} comes before !{keyword}", f"Declare the columns in a !{keyword} line first.")
        elif len(values) - 1 != len(self._columns[keyword]):
            self._refuse(
                f"{keyword} has {len(values) - 1} values for {len(self._columns[keyword])} columns",
                "Give each column a value, empty or not; look for a tab inside a value.",
            )
        else:
            self._place(Row(self._line, keyword, dict(zip(self._columns[keyword], values[1:], strict=True))))

    def _declare(self, keyword: str, columns: tuple[str, ...]) -> None:
        if self._block is not None:
            self._refuse(f"!{keyword} stands inside a transaction", "End the transaction first.")
        for column in columns:
            if column not in grammar.KNOWN_COLUMNS[keyword]:
                self._refuse(f"!{keyword} has an unknown column {column!r}", "Take the column out.")
        if len(set(columns)) != len(columns):
            self._refuse(f"!{keyword} names a column twice", "Name each column once.")
        for column in grammar.REQUIRED_COLUMNS[keyword]:
            if column not in columns:
                self._refuse(f"!{keyword} lacks the column {column}", "Add the column.")
        self._columns[keyword] = columns

    def _place(self, row: Row) -> None:
        if row.keyword in grammar.LISTS:
            self._list_row(row)
        elif row.keyword == "TRNS":
            if self._block is not None:
                self._refuse("TRNS stands inside a transaction", "End the transaction before it with ENDTRNS.")
            self._block = [row]
        elif self._block is None:
            self._refuse(f"{row.keyword} stands outside a transaction", "Begin the transaction with a TRNS line.")
        elif row.keyword == "SPL":
            self._block.append(row)
        else:
            self._end(self._block)

    def _list_row(self, row: Row) -> None:
        if self._block is not None or self.transactions:
            self._refuse(f"{row.keyword} comes after a transaction", "Put all lists before the first transaction.")
        self.lists[row.keyword].append(row)

    def _end(self, block: list[Row]) -> None:
        if len(block) < 2:
            self._refuse("the transaction has no SPL line", "Give it at least one SPL line.")
        self.transactions.append(Transaction(tuple(block)))
        self._block = None


_AMOUNT: Final = re.compile(r"-?\d{1,13}\.\d\d")
_NUMBER: Final = re.compile(r"-?\d{1,13}(\.\d{1,5})?")
_PERCENT: Final = re.compile(r"\d{1,3}\.\d{1,5}%")
_FLAGS: Final = frozenset({"CLEAR", "TOPRINT", "NAMEISTAXABLE", "TAXABLE", "VALADJ", "PAID"})
_DATES: Final = frozenset({"DATE", "DUEDATE", "SERVICEDATE"})


class _Checker:
    """The meaning of the values: patterns, types, signs, sums, and names that lead somewhere."""

    def __init__(self, contents: Contents, known: Known) -> None:
        self._contents = contents
        lists = contents.lists
        self._accounts = known.accounts | {row.get("NAME"): row.get("ACCNTTYPE") for row in lists["ACCNT"]}
        self._customers = known.customers | {row.get("NAME") for row in lists["CUST"]}
        self._vendors = known.vendors | {row.get("NAME") for row in lists["VEND"]}
        self._items = known.items | {row.get("NAME"): row.get("INVITEMTYPE") for row in lists["INVITEM"]}
        self._classes = known.classes

    def problems(self) -> Iterator[Problem]:
        rows = [row for rows in self._contents.lists.values() for row in rows]
        rows += [row for transaction in self._contents.transactions for row in transaction.rows]
        values = [problem for row in rows for problem in _values(row)]
        yield from values
        yield from self._lists()
        if not values:  # sums and signs of values that cannot be read say nothing
            yield from self._documents()

    # Lists

    def _lists(self) -> Iterator[Problem]:
        yield from self._names_apart()
        for row in self._contents.lists["ACCNT"]:
            yield from _one_of(row, "ACCNTTYPE", grammar.IIF_ACCOUNT_TYPES)
            yield from self._sub_account(row)
        for row in self._contents.lists["INVITEM"]:
            yield from self._item(row)
        for row in self._contents.lists["CUST"]:
            yield from _one_of(row, "SALESTAXCODE", frozenset({"", "Tax", "Non"}))
            tax = row.get("TAXITEM")
            if tax and self._items.get(tax) not in grammar.TAX_ITEM_TYPES:
                yield Problem(row.line, f"TAXITEM {tax!r} is not a sales tax item", "Add it to the items as COMPTAX.")

    def _names_apart(self) -> Iterator[Problem]:
        """QuickBooks keeps one name space for companies, and reads capitals and small letters as the same."""
        spaces = {"ACCNT": "account", "VEND": "company", "CUST": "company", "INVITEM": "item"}
        seen: dict[tuple[str, str], int] = {}
        for keyword, space in spaces.items():
            for row in self._contents.lists[keyword]:
                key = (space, row.get("NAME").casefold())
                if key in seen:
                    name = row.get("NAME")
                    yield Problem(row.line, f"{name!r} is on line {seen[key]} already", "Rename one of the two.")
                seen.setdefault(key, row.line)

    def _sub_account(self, row: Row) -> Iterator[Problem]:
        parent, nested, _ = row.get("NAME").rpartition(":")
        if nested and parent not in self._accounts:
            yield Problem(row.line, f"parent account {parent!r} is not in the file", "Put its ACCNT line above.")
        elif nested and self._accounts[parent] != row.get("ACCNTTYPE"):
            yield Problem(row.line, f"parent account {parent!r} has another type", "Nest only accounts of one type.")

    def _item(self, row: Row) -> Iterator[Problem]:
        yield from _one_of(row, "INVITEMTYPE", grammar.ITEM_TYPES)
        for column in ("ACCNT", "ASSETACCNT", "COGSACCNT"):
            yield from _leads_somewhere(row, column, self._accounts)
        for column in ("PREFVEND", "TAXVEND"):
            yield from _leads_somewhere(row, column, self._vendors)
        is_tax = row.get("INVITEMTYPE") == "COMPTAX"
        if is_tax and not _PERCENT.fullmatch(row.get("PRICE")):
            yield Problem(row.line, "a sales tax item has no rate", "Write the rate in PRICE, such as 6.0%.")
        if is_tax and not row.get("TAXVEND"):
            yield Problem(row.line, "a sales tax item has no agency", "Name the agency in TAXVEND.")
        if not is_tax and row.get("PRICE").endswith("%"):
            yield Problem(row.line, "the price of an item is a percentage", "Write an amount.")
        if row.get("INVITEMTYPE") == "INVENTORY" and not (row.get("ASSETACCNT") and row.get("COGSACCNT")):
            yield Problem(row.line, "an inventory item lacks ASSETACCNT or COGSACCNT", "Name both accounts.")

    # Transactions

    def _documents(self) -> Iterator[Problem]:
        seen: dict[tuple[str, str, str], int] = {}
        for transaction in self._contents.transactions:
            first = transaction.first
            company = first.get("NAME") if transaction.type.startswith("BILL") else ""
            key = (transaction.type, first.get("DOCNUM").casefold(), company)
            if key in seen:
                what = f"{transaction.type} {first.get('DOCNUM')!r} is on line {seen[key]} already"
                yield Problem(first.line, what, "QuickBooks would book both. Take one out.")
            seen.setdefault(key, first.line)
            yield from self._document(transaction)

    def _document(self, transaction: Transaction) -> Iterator[Problem]:
        first = transaction.first
        if transaction.type not in grammar.TRANSACTION_SIGNS:
            allowed = ", ".join(sorted(grammar.TRANSACTION_SIGNS))
            yield Problem(first.line, f"{transaction.type!r} is no transaction we exchange", f"Use one of {allowed}.")
            return
        for row in transaction.rows:
            yield from self._references(row)
            for column in ("TRNSTYPE", "DATE", "DOCNUM"):
                if row.get(column) != first.get(column):
                    yield Problem(row.line, f"{column} differs from its TRNS line", "Make them the same.")
        total = sum((Decimal(row.get("AMOUNT")) for row in transaction.rows), Decimal(0))
        if total:
            yield Problem(first.line, f"the transaction adds up to {total}, not 0.00", "Mend the amounts.")
        yield from self._first_row(transaction)
        yield from self._control_lines(transaction)
        yield from self._tax_lines(transaction)
        for row in transaction.rows[1:]:
            yield from self._split(transaction, row)

    def _references(self, row: Row) -> Iterator[Problem]:
        yield from _leads_somewhere(row, "ACCNT", self._accounts)
        yield from _leads_somewhere(row, "INVITEM", self._items)
        yield from _leads_somewhere(row, "CLASS", self._classes)
        kind = self._accounts.get(row.get("ACCNT"))
        by_kind = {"AR": self._customers, "AP": self._vendors}
        yield from _leads_somewhere(row, "NAME", by_kind.get(kind or "", self._customers | self._vendors))

    def _first_row(self, transaction: Transaction) -> Iterator[Problem]:
        expected = grammar.TRANSACTION_SIGNS[transaction.type]
        if expected is None:
            return
        first, (kind, sign) = transaction.first, expected
        if self._accounts.get(first.get("ACCNT")) != kind:
            yield Problem(first.line, f"the account of this {transaction.type} is not of type {kind}", "Correct ACCNT.")
        if Decimal(first.get("AMOUNT")) * sign < 0:
            what = f"the amount of a {transaction.type} must be {'positive' if sign > 0 else 'negative'}"
            yield Problem(first.line, what, "Turn the signs round, or use the opposite transaction type.")

    def _control_lines(self, transaction: Transaction) -> Iterator[Problem]:
        controls = [row for row in transaction.rows if self._accounts.get(row.get("ACCNT")) in {"AR", "AP"}]
        for row in controls:
            if not row.get("NAME"):
                yield Problem(row.line, "a receivable or payable line has no NAME", "Name the customer or vendor.")
        for row in controls[1:]:
            what = "a second receivable or payable line in one transaction"
            yield Problem(row.line, what, "Split the transaction: QuickBooks takes one.")

    def _tax_lines(self, transaction: Transaction) -> Iterator[Problem]:
        taxes = [row for row in transaction.rows if row.get("EXTRA") == "AUTOSTAX"]
        if transaction.type in grammar.SALES and not taxes:
            mend = "Add a tax line with EXTRA AUTOSTAX, of 0.00 if nothing is taxable."
            yield Problem(transaction.first.line, f"the {transaction.type} has no tax line", mend)
        if transaction.type not in grammar.SALES:
            for row in taxes:
                yield Problem(row.line, f"a tax line on a {transaction.type}", "Only sales carry tax lines.")
        for row in taxes:
            if self._items.get(row.get("INVITEM")) not in grammar.TAX_ITEM_TYPES:
                yield Problem(row.line, "INVITEM of a tax line is not a sales tax item", "Name a COMPTAX item.")
            if row.get("NAME") not in self._vendors:
                yield Problem(row.line, "NAME of a tax line is not a tax agency", "Name the agency, a vendor.")
            if not _PERCENT.fullmatch(row.get("PRICE")):
                yield Problem(row.line, "PRICE of a tax line is not a rate", "Write the rate, such as 6.0%.")
            if row.get("TAXABLE") != "N":
                yield Problem(row.line, "a tax line is taxable itself", "Set TAXABLE to N.")

    def _split(self, transaction: Transaction, row: Row) -> Iterator[Problem]:
        amount = Decimal(row.get("AMOUNT"))
        if row.get("EXTRA") not in {"", "AUTOSTAX"}:
            yield Problem(row.line, f"EXTRA {row.get('EXTRA')!r} is not known", "Leave it empty, or use AUTOSTAX.")
        if transaction.type in grammar.SALES:
            sign = -1 if transaction.type == "INVOICE" else 1
            if row.get("EXTRA") == "AUTOSTAX":
                if amount * sign < 0:
                    yield Problem(row.line, "the tax has the wrong sign", "Tax has the sign of the income.")
            else:
                yield from self._sold(row, amount, sign)

    def _sold(self, row: Row, amount: Decimal, sign: int) -> Iterator[Problem]:
        if not row.get("INVITEM"):
            yield Problem(row.line, "a sold line names no item", "Fill INVITEM.")
        elif self._items.get(row.get("INVITEM")) in grammar.TAX_ITEM_TYPES:
            yield Problem(row.line, "a tax item without AUTOSTAX in EXTRA", "Set EXTRA to AUTOSTAX.")
        if not row.get("QNTY") or not row.get("PRICE") or row.get("PRICE").endswith("%"):
            yield Problem(row.line, "a sold line has no quantity and price", "Fill QNTY and PRICE.")
            return
        quantity, price = Decimal(row.get("QNTY")), Decimal(row.get("PRICE"))
        if quantity * sign < 0:
            yield Problem(
                row.line, "the quantity has the wrong sign", "Negative on invoices, positive on credit memos."
            )
        if quantity * price != amount:
            what = f"{quantity} times {price} is not {amount}"
            yield Problem(row.line, what, "Make QNTY times PRICE the AMOUNT, or use a quantity of one.")


def _values(row: Row) -> Iterator[Problem]:
    """Each value by its column alone."""
    for column in grammar.REQUIRED_COLUMNS[row.keyword]:
        if not row.get(column):
            yield Problem(row.line, f"{column} is empty", "Fill it.")
    for column, value in row.values.items():
        if value:
            yield from _value(row, column, value)


def _value(row: Row, column: str, value: str) -> Iterator[Problem]:
    if column == "AMOUNT" and (not _AMOUNT.fullmatch(value) or value == "-0.00"):
        yield Problem(row.line, f"{value!r} is not an amount", "Two decimals, a point, no sign but minus.")
    if column in {"QNTY", "COST"} and not _NUMBER.fullmatch(value):
        yield Problem(row.line, f"{column} {value!r} is not a number", "At most five decimals, no comma.")
    if column == "PRICE" and not (_NUMBER.fullmatch(value) or _PERCENT.fullmatch(value)):
        yield Problem(row.line, f"PRICE {value!r} is neither a number nor a rate", "Such as 150.00 or 6.0%.")
    if column in _DATES and _day(value) is None:
        yield Problem(row.line, f"{column} {value!r} is not a date", "Write MM/DD/YYYY.")
    if column in _FLAGS and value not in {"Y", "N"}:
        yield Problem(row.line, f"{column} {value!r} is neither Y nor N", "Write Y or N.")
    longest, size = _room(row.keyword, column, value)
    if longest > size:
        what = f"{column} {value!r} is {longest} characters long; QuickBooks takes {size}"
        yield Problem(row.line, what, "Shorten it in the record it comes from.")
    if column == "NAME" and row.keyword == "ACCNT":
        if not all(part == part.strip() != "" for part in value.split(":")):
            yield Problem(row.line, f"account name {value!r} has an empty part", "Name each level.")
    elif column == "NAME" and ":" in value:
        yield Problem(row.line, f"{value!r} has a colon, which would nest it", "Replace the colon with a hyphen.")


def _room(keyword: str, column: str, value: str) -> tuple[int, int]:
    """How long the value is, or its longest part, and how long it may be."""
    if column in {"ACCNT", "ASSETACCNT", "COGSACCNT"} or (keyword, column) == ("ACCNT", "NAME"):
        return max(len(part) for part in value.split(":")), grammar.ACCOUNT_NAME
    if column in {"INVITEM", "TAXITEM"} or (keyword, column) == ("INVITEM", "NAME"):
        return len(value), grammar.ITEM_NAME
    if column in {"NAME", "PREFVEND", "TAXVEND"}:
        return len(value), grammar.COMPANY_NAME
    return len(value), grammar.LIMITS.get(column, grammar.LONG_TEXT)


def _one_of(row: Row, column: str, allowed: frozenset[str]) -> Iterator[Problem]:
    if row.get(column) not in allowed:
        mend = f"Use one of {', '.join(sorted(allowed))}."
        yield Problem(row.line, f"{column} {row.get(column)!r} is not known", mend)


def _leads_somewhere(row: Row, column: str, names: frozenset[str] | set[str] | dict[str, str]) -> Iterator[Problem]:
    """A name that is in no list: QuickBooks would make a new record of it without asking."""
    value = row.get(column)
    if value and value not in names:
        yield Problem(row.line, f"{column} {value!r} is in no list of this file", "Put its list row above.")
