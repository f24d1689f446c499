"""Write a batch as IIF: lists first, then bills, invoices and journal entries.

Amounts follow one rule, debit positive and credit negative, and each transaction adds up to 0.00.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from counterfoil.adapters.plain_text import exact_amount
from counterfoil.adapters.quickbooks_desktop import grammar
from counterfoil.adapters.quickbooks_desktop.names import Names, names_of, quickbooks_type, tax_items
from counterfoil.adapters.quickbooks_desktop.text import identifier, limited, plain
from counterfoil.core.books import (
    AccountType,
    ExportAccount,
    ExportEntry,
    ExportLine,
    IifBatch,
    IifBill,
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
from counterfoil.core.errors import DomainError

Row = dict[str, str]

#: QuickBooks must not count our stock, so an inventory product is a part (non-inventory) there.
_ITEM_TYPES: Final = {ItemKind.SERVICE: "SERV", ItemKind.PART: "PART", ItemKind.INVENTORY: "PART"}

_PRICE_DECIMALS: Final = 5


def write(batch: IifBatch) -> bytes:
    """The file's bytes: ASCII, tabs between fields, CRLF at the ends of lines.

    Raises:
        DomainError: for whatever QuickBooks would refuse, cut or misunderstand, naming the record and how to mend it.
    """
    names = names_of(batch)
    lines = [*_lists(batch, names), *_transactions(batch, names)]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


# Lists


def _lists(batch: IifBatch, names: Names) -> Iterator[str]:
    taxes = tax_items(batch)
    known = {vendor.name for vendor in batch.vendors}
    agencies = [IifVendor(agency) for agency in dict.fromkeys(tax.agency for tax in taxes) if agency not in known]
    # A parent's name is the beginning of its sub-account's, so this order puts parents first.
    accounts = sorted(batch.accounts, key=lambda account: names.accounts[account.code].split(":"))
    rows: dict[str, list[Row]] = {
        "ACCNT": [_account(account, names) for account in accounts],
        "VEND": [_vendor(vendor, names) for vendor in (*batch.vendors, *agencies)],
        "INVITEM": [*(_tax_item(tax, names) for tax in taxes), *(_item(item, names) for item in batch.items)],
        "CUST": [_customer(customer, names) for customer in batch.customers],
    }
    for keyword, columns in grammar.LISTS.items():
        if rows[keyword]:
            yield "\t".join((f"!{keyword}", *columns))
            yield from (_line(keyword, columns, row) for row in rows[keyword])


def _account(account: ExportAccount, names: Names) -> Row:
    return {
        "NAME": names.accounts[account.code],
        "ACCNTTYPE": quickbooks_type(account),
        "ACCNUM": names.account_numbers[account.code],
    }


def _vendor(vendor: IifVendor, names: Names) -> Row:
    name = names.vendors[vendor.name]
    company = _company_name(vendor.company_name or vendor.name, f"Vendor {name!r}")
    address = _address("ADDR", vendor.address, f"Vendor {name!r}")
    return {"NAME": name, "PRINTAS": company, "COMPANYNAME": company, "TERMS": _terms(vendor.terms, name), **address}


def _customer(customer: IifCustomer, names: Names) -> Row:
    name = names.customers[customer.name]
    return {
        "NAME": name,
        **_address("BADDR", customer.address, f"Customer {name!r}"),
        "EMAIL": plain(customer.email),
        "TERMS": _terms(customer.terms, name),
        "TAXABLE": _flag(customer.taxable),
        "SALESTAXCODE": "Tax" if customer.taxable else "Non",
        "TAXITEM": names.items[customer.tax_item.name] if customer.tax_item else "",
        "COMPANYNAME": _company_name(customer.company_name or customer.name, f"Customer {name!r}"),
    }


def _item(item: IifItem, names: Names) -> Row:
    where = f"Item {item.name!r}"
    mend = "Shorten the product's description."
    return {
        "NAME": names.items[item.name],
        "INVITEMTYPE": _ITEM_TYPES[ItemKind(item.kind)],
        "DESC": limited(item.description, grammar.LONG_TEXT, f"{where}: the description", mend),
        "ACCNT": names.account(item.income_account, where),
        "COGSACCNT": names.account(item.cogs_account, where) if item.cogs_account else "",
        "PRICE": _price(item.price, where),
        "COST": _price(item.cost, where) if item.cogs_account else "",
        "TAXABLE": _flag(item.taxable),
        "PREFVEND": names.vendor(item.vendor, where) if item.vendor else "",
    }


def _tax_item(tax: IifTaxItem, names: Names) -> Row:
    where = f"Tax item {tax.name!r}"
    return {
        "NAME": names.items[tax.name],
        "INVITEMTYPE": "COMPTAX",
        "DESC": plain(tax.name),
        "ACCNT": names.account(tax.account_code, where),
        "PRICE": _percent(tax.rate, where),
        "TAXABLE": "N",
        "TAXVEND": names.vendor(tax.agency, where),
    }


# Transactions


def _transactions(batch: IifBatch, names: Names) -> Iterator[str]:
    bills = [document for document in batch.documents if isinstance(document, IifBill)]
    invoices = [document for document in batch.documents if isinstance(document, IifInvoice)]
    journals = [document for document in batch.documents if isinstance(document, IifJournal)]
    _no_number_twice(bills, invoices, journals)
    yield from _section(grammar.BILL_TRNS, grammar.BILL_SPL, [_bill(bill, names) for bill in bills])
    yield from _section(
        grammar.INVOICE_TRNS, grammar.INVOICE_SPL, [_invoice(invoice, batch, names) for invoice in invoices]
    )
    yield from _section(grammar.JOURNAL_TRNS, grammar.JOURNAL_SPL, [_journal(journal, names) for journal in journals])


def _section(trns: tuple[str, ...], spl: tuple[str, ...], blocks: list[list[Row]]) -> Iterator[str]:
    if not blocks:
        return
    yield "\t".join(("!TRNS", *trns))
    yield "\t".join(("!SPL", *spl))
    yield "!ENDTRNS"
    for first, *splits in blocks:
        yield _line("TRNS", trns, first)
        yield from (_line("SPL", spl, split) for split in splits)
        yield "ENDTRNS"


def _no_number_twice(bills: list[IifBill], invoices: list[IifInvoice], journals: list[IifJournal]) -> None:
    keys = [
        *((f"Bill of {bill.vendor}", bill.number) for bill in bills),
        *(("Invoice", invoice.number) for invoice in invoices),
        *(("Journal entry", journal.number) for journal in journals),
    ]
    seen: set[tuple[str, str]] = set()
    for what, number in keys:
        if (what, number.casefold()) in seen:
            raise DomainError(
                "duplicate",
                f"{what}: number {number!r} is in the batch twice. QuickBooks would book both.",
                field="number",
                hint="Number them apart, for example with -2 at the end, or take one out of the batch.",
            )
        seen.add((what, number.casefold()))


def _bill(bill: IifBill, names: Names) -> list[Row]:
    where = f"Bill {bill.number} of {bill.vendor}"
    _lines_needed(bill.lines, 1, where)
    _typed(bill.payable_account, AccountType.ACCOUNTS_PAYABLE, names, where)
    total = bill.total
    common = _common("BILL" if total >= 0 else "BILL REFUND", bill, where)
    trns = common | {
        "ACCNT": names.account(bill.payable_account, where),
        "NAME": names.vendor(bill.vendor, where),
        "AMOUNT": exact_amount(-total, where),
        "MEMO": _memo(bill.memo, where),
        "TOPRINT": "N",
        "ADDR1": names.vendor(bill.vendor, where),
        "DUEDATE": _date(bill.due_date),
        "TERMS": _terms(bill.terms, where),
    }
    splits = [
        common
        | {
            "ACCNT": names.account(line.account_code, where),
            "AMOUNT": exact_amount(line.amount, where),
            "MEMO": _memo(line.memo, where),
        }
        for line in bill.lines
    ]
    return [trns, *splits]


def _invoice(invoice: IifInvoice, batch: IifBatch, names: Names) -> list[Row]:
    where = f"Invoice {invoice.number}"
    _lines_needed(invoice.lines, 1, where)
    _typed(invoice.receivable_account, AccountType.ACCOUNTS_RECEIVABLE, names, where)
    total = invoice.total
    common = _common("INVOICE" if total >= 0 else "CREDIT MEMO", invoice, where)
    customer = names.customer(invoice.customer, where)
    trns = common | {
        "ACCNT": names.account(invoice.receivable_account, where),
        "NAME": customer,
        "AMOUNT": exact_amount(total, where),
        "MEMO": _memo(invoice.memo, where),
        "TOPRINT": "N",
        "NAMEISTAXABLE": _flag(bool(invoice.taxes)),
        **_address("ADDR", invoice.address or (customer,), where),
        "DUEDATE": _date(invoice.due_date),
        "TERMS": _terms(invoice.terms, where),
        "PAID": "N",
    }
    items = [common | _sold(line, total >= 0, names, where) for line in invoice.lines]
    taxes = [common | _tax(line, names, where) for line in _tax_lines(invoice, batch)]
    return [trns, *items, *taxes]


def _sold(line: IifInvoiceLine, is_invoice: bool, names: Names, where: str) -> Row:
    quantity, price, note = _quantity_and_price(line, is_invoice)
    return {
        "ACCNT": names.account(line.account_code, where),
        "AMOUNT": exact_amount(-line.amount, where),
        "MEMO": _memo(f"{note}{line.memo}", where),
        "QNTY": _number(quantity),
        "PRICE": _price(price, where),
        "INVITEM": names.item(line.item, where),
        "TAXABLE": _flag(line.taxable),
        "VALADJ": "N",
        "REIMBEXP": "NOTHING",
        "SERVICEDATE": _date(line.service_date) if line.service_date else "",
    }


def _quantity_and_price(line: IifInvoiceLine, is_invoice: bool) -> tuple[Decimal, Decimal, str]:
    """Quantity and price as QuickBooks multiplies them: negative quantities on an invoice, positive on a credit memo.

    Where they do not multiply to the amount exactly (a rounded amount, a price with more decimals than QuickBooks
    has), the line says one at the whole amount, and the memo tells the real quantity and price.
    """
    sign = Decimal(-1 if is_invoice else 1)
    exact = line.quantity != 0 and line.quantity * line.price == line.amount
    if not exact or _decimals(line.quantity) > _PRICE_DECIMALS or _decimals(line.price) > _PRICE_DECIMALS:
        note = "" if line.quantity in (0, 1) else f"{_number(line.quantity)} x {_number(line.price)}: "
        return sign, -line.amount * sign, note
    quantity = sign * abs(line.quantity)
    return quantity, line.price if quantity == -line.quantity else -line.price, ""


def _tax_lines(invoice: IifInvoice, batch: IifBatch) -> tuple[IifTaxLine, ...]:
    """The invoice's taxes; without any, the zero tax line QuickBooks wants once sales tax is switched on."""
    if invoice.taxes:
        return invoice.taxes
    if batch.untaxed is None:
        raise DomainError(
            "required",
            f"Invoice {invoice.number} has no sales tax, and the batch names no tax item for untaxed sales.",
            field="untaxed",
            hint="Name the zero-rate tax item of the QuickBooks file, such as Out of State, in the settings.",
        )
    return (IifTaxLine(batch.untaxed, Decimal(0)),)


def _tax(line: IifTaxLine, names: Names, where: str) -> Row:
    tax = line.tax_item
    return {
        "ACCNT": names.account(tax.account_code, where),
        "NAME": names.vendor(tax.agency, where),
        "AMOUNT": exact_amount(-line.amount, where),
        "PRICE": _percent(tax.rate, where),
        "INVITEM": names.item(tax.name, where),
        "TAXABLE": "N",
        "VALADJ": "N",
        "REIMBEXP": "NOTHING",
        "EXTRA": "AUTOSTAX",
    }


def _journal(journal: IifJournal, names: Names) -> list[Row]:
    where = f"Journal entry {journal.number}"
    _lines_needed(journal.lines, 2, where)
    difference = sum((line.signed for line in journal.lines), Decimal(0))
    if difference:
        raise DomainError(
            "unbalanced",
            f"{where}: debits and credits differ by {difference}.",
            hint="Mend the entry in the ledger; nothing was exported.",
        )
    _one_control_line(journal, names, where)
    common = {key: value for key, value in _common("GENERAL JOURNAL", journal, where).items() if key != "CLEAR"}
    return [
        common
        | {
            "ACCNT": names.account(line.account_code, where),
            "NAME": _journal_name(line, names, where),
            "AMOUNT": exact_amount(line.signed, where),
            "MEMO": _memo(line.memo or journal.memo, where),
        }
        for line in journal.lines
    ]


def _one_control_line(journal: IifJournal, names: Names, where: str) -> None:
    """QuickBooks takes at most one receivable or payable line per journal entry."""
    controls = {AccountType.ACCOUNTS_RECEIVABLE, AccountType.ACCOUNTS_PAYABLE}
    lines = [line for line in journal.lines if names.account_types.get(line.account_code) in controls]
    if len(lines) > 1:
        raise DomainError(
            "invalid",
            f"{where} has {len(lines)} receivable or payable lines; QuickBooks Desktop takes one per entry.",
            field="lines",
            hint="Split it into one entry for each of these lines.",
        )


def _journal_name(line: ExportLine, names: Names, where: str) -> str:
    kind = names.account_types.get(line.account_code)
    if kind not in {AccountType.ACCOUNTS_RECEIVABLE, AccountType.ACCOUNTS_PAYABLE}:
        return names.company(line.company_name, where) if line.company_name else ""
    if not line.company_name:
        raise DomainError(
            "required",
            f"{where}: its line on account {line.account_code} names no company.",
            field="lines",
            hint="QuickBooks wants the customer on a receivable line, the vendor on a payable line.",
        )
    find = names.customer if kind == AccountType.ACCOUNTS_RECEIVABLE else names.vendor
    return find(line.company_name, where)


# Fields


def _line(keyword: str, columns: Iterable[str], row: Row) -> str:
    return "\t".join((keyword, *(row.get(column, "") for column in columns)))


def _common(transaction_type: str, document: IifDocument, where: str) -> Row:
    number = _document_number(document, where)
    return {"TRNSTYPE": transaction_type, "DATE": _date(document.date), "DOCNUM": number, "CLEAR": "N"}


def _document_number(document: IifDocument, where: str) -> str:
    mend = "Number it with at most eleven plain characters."
    return identifier(document.number, grammar.DOCUMENT_NUMBER, f"{where}: the number", mend)


def _lines_needed(lines: tuple[object, ...], least: int, where: str) -> None:
    if len(lines) < least:
        raise DomainError(
            "required",
            f"{where} has {len(lines)} lines; QuickBooks needs at least {least}.",
            field="lines",
            hint="Take the document out of the batch, or add what is missing.",
        )


def _typed(code: str, kind: AccountType, names: Names, where: str) -> None:
    names.account(code, where)
    if names.account_types[code] != kind:
        raise DomainError(
            "invalid",
            f"{where}: account {code} is of type {names.account_types[code]}, not {kind}.",
            hint="Map the document to the right control account.",
        )


def _address(prefix: str, lines: tuple[str, ...], where: str) -> Row:
    filled = [line for line in lines if plain(line)]
    if len(filled) > grammar.ADDRESS_LINES:
        raise DomainError(
            "invalid",
            f"{where}: the address has {len(filled)} lines; QuickBooks Desktop takes {grammar.ADDRESS_LINES}.",
            field="address",
            hint="Join some of the lines.",
        )
    mend = "Break the address into shorter lines."
    return {
        f"{prefix}{number}": limited(line, grammar.ADDRESS_LINE, f"{where}: the address line", mend)
        for number, line in enumerate(filled, start=1)
    }


def _company_name(name: str, where: str) -> str:
    return limited(name, grammar.COMPANY_NAME, f"{where}: the company name", "Shorten the company's name.")


def _terms(terms: str, where: str) -> str:
    return limited(terms, grammar.TERMS, f"{where}: the terms", "Give the terms a shorter name.")


def _memo(text: str, where: str) -> str:
    return limited(text, grammar.LONG_TEXT, f"{where}: the memo", "Shorten the memo.")


def _date(day: dt.date) -> str:
    return f"{day.month:02}/{day.day:02}/{day.year:04}"


def _flag(value: bool) -> str:
    return "Y" if value else "N"


def _decimals(value: Decimal) -> int:
    """Decimal places that count: 2.50 has one."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _number(value: Decimal) -> str:
    """Without needless zeros: 2.50 is 2.5 and 100 stays 100."""
    return f"{value.normalize():f}" if value else "0"


def _price(value: Decimal, where: str) -> str:
    """At least two decimals, at most five."""
    if _decimals(value) <= 2:
        return exact_amount(value, where)
    if _decimals(value) > _PRICE_DECIMALS:
        raise DomainError(
            "invalid",
            f"{where}: the price {value} has more than five decimals, which QuickBooks Desktop cannot hold.",
            field="price",
            hint="Price a larger unit, for example per thousand.",
        )
    return _number(value)


def _percent(rate: Decimal, where: str) -> str:
    if rate < 0 or _decimals(rate) > _PRICE_DECIMALS:
        raise DomainError(
            "invalid", f"{where}: {rate} % is not a tax rate.", field="rate", hint="Use 0 to 5 decimals, 0 or more."
        )
    text = _number(rate)
    return f"{text}%" if "." in text else f"{text}.0%"


# What the file will book


def booked_entries(batch: IifBatch) -> tuple[ExportEntry, ...]:
    """The ledger entries the batch stands for, worked out from its documents and not from the file.

    They come in the file's order (bills, invoices, journals), named as QuickBooks will name them. Lines of zero and
    the memos of single lines are left out: they book nothing.
    """
    names = names_of(batch)
    kinds: tuple[type[IifDocument], ...] = (IifBill, IifInvoice, IifJournal)
    return tuple(_booked(d, names) for kind in kinds for d in batch.documents if isinstance(d, kind))


def _booked(document: IifDocument, names: Names) -> ExportEntry:
    where = f"Document {document.number}"
    company, memo = "", document.memo
    match document:
        case IifBill():
            kind, company = "BILL" if document.total >= 0 else "BILL REFUND", names.vendor(document.vendor, where)
            sides = [(document.payable_account, -document.total, company)]
            sides += [(line.account_code, line.amount, "") for line in document.lines]
        case IifInvoice():
            kind = "INVOICE" if document.total >= 0 else "CREDIT MEMO"
            company = names.customer(document.customer, where)
            sides = [(document.receivable_account, document.total, company)]
            sides += [(line.account_code, -line.amount, "") for line in document.lines]
            sides += [
                (tax.tax_item.account_code, -tax.amount, names.vendor(tax.tax_item.agency, where))
                for tax in document.taxes
            ]
        case IifJournal():
            kind, memo = "GENERAL JOURNAL", document.lines[0].memo or document.memo
            sides = [
                (line.account_code, line.signed, names.company(line.company_name, where) if line.company_name else "")
                for line in document.lines
            ]
    zero = Decimal(0)
    lines = tuple(
        ExportLine(names.account_numbers[code], max(amount, zero), max(-amount, zero), name)
        for code, amount, name in sides
        if amount
    )
    number = _document_number(document, where)
    return ExportEntry(number, document.date, plain(memo), kind, number, "", "", company, lines)
