"""Printed invoices and statements in words: what the Typst templates are filled with.

Amounts, quantities and dates are put into text here, so that the templates only lay out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from counterfoil.billing.printing import (
    AGES,
    BlockBalance,
    Group,
    OpenItem,
    Party,
    PrintedInvoice,
    PrintedLine,
    PrintedStatement,
    PrintedTax,
    Sender,
)
from counterfoil.core.calendar import Period, format_date, month_end
from counterfoil.core.money import ZERO, format_money, multiply, round_to, sum_money
from counterfoil.platform.documents import Template, as_svg, render_pdf, render_png
from counterfoil.platform.records import plain_number

TITLES: Final = {
    "progress": "Progress invoice",
    "down_payment": "Down payment invoice",
    "credit_memo": "Credit memo",
}
HEADINGS: Final = {
    Group.RECURRING: "Recurring services",
    Group.SERVICES: "Services",
    Group.PRODUCTS: "Products",
    Group.EXPENSES: "Expenses",
    Group.OTHER: "Other",
    Group.DOWN_PAYMENTS: "Down payments",
    Group.COVERED: "Covered by your agreement",
}
LOGO: Final = "logo.svg"

Values = dict[str, Any]


def invoice_pdf(printed: PrintedInvoice, *, timestamp: datetime) -> bytes:
    """The invoice as PDF/A-3b; the same values and instant give the same bytes."""
    return render_pdf(Template.INVOICE, invoice_values(printed), timestamp=timestamp, files=_pictures(printed.sender))


def statement_pdf(printed: PrintedStatement, *, timestamp: datetime) -> bytes:
    """The statement as PDF/A-3b; the same values and instant give the same bytes."""
    values = statement_values(printed)
    return render_pdf(Template.STATEMENT, values, timestamp=timestamp, files=_pictures(printed.sender))


def invoice_pages(printed: PrintedInvoice, *, timestamp: datetime, ppi: int = 110) -> list[bytes]:
    """The pages of the invoice as PNG pictures, for a preview."""
    files = _pictures(printed.sender)
    return render_png(Template.INVOICE, invoice_values(printed), timestamp=timestamp, files=files, ppi=ppi)


def title_of(printed: PrintedInvoice) -> str:
    """What kind of document it is, in large letters."""
    return TITLES.get(printed.type, "Invoice")


# -- invoice -----------------------------------------------------------------------------------------------------------


def invoice_values(printed: PrintedInvoice) -> Values:
    """What ``invoice.typ`` is filled with."""
    money = _credit_money if printed.is_credit else format_money
    groups = _groups(printed)
    mixed = _tax_is_mixed(printed)
    return {
        **_page(printed.sender),
        "title": title_of(printed),
        "number": printed.number or "Draft",
        "subtitle": _subtitle(printed),
        "mark": "DRAFT" if printed.is_draft else "",
        "keywords": [text for text in (printed.number, printed.customer_po, printed.agreement) if text],
        "bill_to": _party(printed.bill_to),
        "ship_to": _delivered_to(printed),
        "facts": _facts(printed),
        "ask": _ask(printed),
        "text": printed.text,
        "groups": [
            {
                "heading": HEADINGS[group] if len(groups) > 1 or group is Group.COVERED else "",
                "subtotal": format_money(sum_money(line.amount for line in lines))
                if len(groups) > 1 and group is not Group.COVERED and len(lines) > 1
                else "",
                "lines": [_line(line, marked=mixed) for line in lines],
            }
            for group, lines in groups.items()
        ],
        "remarks": _remarks(printed),
        "sums": [
            {"name": "Subtotal", "amount": money(printed.subtotal)},
            *({"name": _tax_words(tax, money), "amount": money(tax.amount)} for tax in printed.taxes),
            *([] if printed.taxes else [{"name": printed.tax_caption, "amount": money(printed.tax_total)}]),
        ],
        "total": {"name": "Total credit" if printed.is_credit else "Total", "amount": money(printed.total)},
        "settled": [{"name": part.words, "amount": f"({format_money(part.amount)})"} for part in printed.settlements],
        "balance": _balance(printed),
        "pay": _pay(printed),
    }


def _subtitle(printed: PrintedInvoice) -> str:
    if not printed.corrects:
        return ""
    return f"for invoice {printed.corrects}" if printed.is_credit else f"in place of {printed.corrects}"


def _groups(printed: PrintedInvoice) -> dict[Group, list[PrintedLine]]:
    """The lines by heading, those that an agreement covers whole under a heading of their own."""
    found: dict[Group, list[PrintedLine]] = {}
    for line in printed.lines:
        found.setdefault(Group.COVERED if line.is_covered else line.group, []).append(line)
    return {group: found[group] for group in Group if group in found}


def _tax_is_mixed(printed: PrintedInvoice) -> bool:
    """Whether some of what is charged is taxed and some is not; only then do the lines tell."""
    return len({line.taxable for line in printed.lines if not line.is_covered}) > 1


def _line(line: PrintedLine, *, marked: bool) -> Values:
    return {
        "description": line.description,
        "quantity": " ".join(filter(None, (_number(line.quantity), line.unit))),
        "price": _price(line.unit_price),
        "amount": format_money(line.amount),
        "taxable": marked and line.taxable and not line.is_covered,
        "covered": line.is_covered,
        "notes": list(_notes(line)),
    }


def _notes(line: PrintedLine) -> Iterable[str]:
    """The quiet lines under the description: when, how the amount came to be, what was covered."""
    explained = [part.strip() for part in re.split(r"\n|; ", line.explanation) if part.strip()]
    if not explained and (covered := _covered(line)):
        explained.append(covered)
    if line.start is not None:
        served = _days(Period(line.start, line.end)) if line.end else format_date(line.start)
        if served not in line.explanation:
            explained[:1] = [" · ".join([served, *explained[:1]])]
    return [*explained, line.detail] if line.detail else explained


def _days(period: Period) -> str:
    """``Apr 2026`` for a whole calendar month, ``15–31 Mar 2026`` within one, else ``20 Mar 2026 – 4 Apr 2026``."""
    start, last = period.start, period.inclusive_end
    whole_month = start.day == 1 and last == month_end(start)
    if whole_month or start == last or (start.year, start.month) != (last.year, last.month):
        return period.label
    return f"{start.day}–{format_date(last)}"


def _covered(line: PrintedLine) -> str:
    worth = format_money(line.covered_amount)
    if line.is_covered:
        return f"covered, worth {worth}"
    if not line.covered_quantity:
        return ""
    over = line.quantity - line.covered_quantity
    unit = f" {line.unit}" if line.unit else ""
    covered = f"{_number(line.covered_quantity)}{unit} covered by your agreement, worth {worth}"
    return f"{covered}; {_number(over)}{unit} beyond it"


def _facts(printed: PrintedInvoice) -> list[list[str]]:
    facts = [
        ("Date", format_date(printed.date)),
        ("Due", "" if printed.is_credit else format_date(printed.due_date)),
        ("Terms", "" if printed.is_credit else printed.terms),
        ("Your PO", printed.customer_po),
        ("Your account", printed.account_number),
        ("Reference", printed.reference),
        ("Agreement", printed.agreement),
        ("Period", _days(printed.period) if printed.period else ""),
        ("Sales order", printed.sales_order),
    ]
    return [[name, value] for name, value in facts if value]


def _delivered_to(printed: PrintedInvoice) -> Values | None:
    if printed.ship_to is not None:
        return {"heading": "Ship to", **_party(printed.ship_to)}
    if printed.delivered_for:
        return {"heading": "For", "name": printed.delivered_for, "lines": []}
    return None


def _ask(printed: PrintedInvoice) -> Values:
    """What the document asks of its reader, in one line."""
    amount, note = format_money(printed.balance), ""
    if printed.is_draft:
        words, note = f"when closed, due {format_date(printed.due_date)}", "Not an invoice yet"
    elif printed.is_credit:
        amount, words = _credit_money(printed.total), "credited to your account"
        note = "No payment is asked for"
    elif printed.settled_on is not None and not printed.balance:
        words = "Paid in full, thank you"
    elif not printed.total:
        words = "Nothing to pay"
    else:
        words = f"due by {format_date(printed.due_date)}"
    if printed.settled_on is not None and not printed.is_draft:
        note = f"Copy with payments through {format_date(printed.settled_on)}"
    return {"amount": amount, "words": words, "note": note}


def _remarks(printed: PrintedInvoice) -> list[Values]:
    remarks = [{"heading": "Left in your block", "text": _block(block, printed)} for block in printed.blocks]
    if _tax_is_mixed(printed):
        remarks.append({"heading": "Sales tax", "text": "T marks taxable lines."})
    if printed.is_credit and printed.corrects:
        remarks.append({"heading": "Corrects", "text": f"Invoice {printed.corrects}, at its rates of sales tax."})
    if printed.closing_text:
        remarks.append({"heading": "", "text": printed.closing_text})
    return remarks


def _block(block: BlockBalance, printed: PrintedInvoice) -> str:
    return (
        f"{_number(block.left)} of {_number(block.granted)} {block.unit} of {block.agreement}"
        f" on {format_date(printed.date)}"
    )


def _balance(printed: PrintedInvoice) -> Values | None:
    if printed.is_credit:
        return {"name": "Credit", "amount": _credit_money(printed.balance)}
    if printed.is_draft:
        return None
    return {"name": "Balance due", "amount": format_money(printed.balance)}


def _pay(printed: PrintedInvoice) -> Values | None:
    if not printed.sender.remit_to or printed.is_credit or printed.is_draft or printed.balance <= 0:
        return None
    facts = [
        ["Invoice", printed.number or ""],
        *([["Your account", printed.account_number]] if printed.account_number else []),
        ["Amount", f"{format_money(printed.balance)} {printed.sender.currency}"],
    ]
    return {"text": printed.sender.remit_to, "facts": facts}


def _tax_words(tax: PrintedTax, money: Callable[[Decimal], str]) -> str:
    rate = f" {_number(multiply(tax.rate, Decimal(100)))}%" if tax.rate else ""
    return f"{tax.level}{rate} of {money(tax.taxable_amount)}"


def _credit_money(amount: Decimal) -> str:
    """An amount of a credit memo: its lines are below zero, its sums are told as the credit they are."""
    return format_money(-amount if amount < 0 else amount)


# -- statement ---------------------------------------------------------------------------------------------------------


def statement_values(printed: PrintedStatement) -> Values:
    """What ``statement.typ`` is filled with."""
    facts = [
        ("Date", format_date(printed.as_of)),
        ("Your account", printed.account_number),
        ("Terms", printed.terms),
    ]
    ages = [*zip(AGES, printed.ages, strict=True), ("Balance due", printed.balance)]
    return {
        **_page(printed.sender),
        "title": "Statement",
        "number": format_date(printed.as_of),
        "subtitle": "",
        "mark": "",
        "keywords": [printed.bill_to.name],
        "bill_to": _party(printed.bill_to),
        "facts": [[name, value] for name, value in facts if value],
        "ages": [{"name": name, "amount": format_money(amount)} for name, amount in ages],
        "items": list(_items(printed.items)),
        "balance": format_money(printed.balance),
        "pay": {"text": printed.sender.remit_to} if printed.sender.remit_to and printed.balance > 0 else None,
    }


def _items(items: Iterable[OpenItem]) -> Iterable[Values]:
    running = ZERO
    for item in items:
        running = sum_money([running, item.open])
        days = item.days_late
        yield {
            "date": format_date(item.date),
            "number": item.number,
            "about": item.about,
            "notes": [f"Your PO {item.customer_po}"] if item.customer_po else [],
            "due": format_date(item.due_date),
            "late": f"{days} day{'s' if days > 1 else ''} late" if days > 0 and item.open > 0 else "",
            "amount": format_money(item.amount),
            "open": format_money(item.open),
            "balance": format_money(running),
        }


# -- both --------------------------------------------------------------------------------------------------------------


def _page(sender: Sender) -> Values:
    return {
        "sender": {"name": sender.name, "lines": list(sender.lines)},
        "brand": sender.colour,
        "paper": sender.paper,
        "logo": LOGO if sender.logo else "",
        "footer": sender.footer,
        "currency": sender.currency,
    }


def _pictures(sender: Sender) -> dict[str, bytes]:
    return {LOGO: as_svg(sender.logo, sender.logo_type)} if sender.logo else {}


def _party(party: Party) -> Values:
    return {"name": party.name, "lines": list(party.lines)}


def _number(value: Decimal) -> str:
    """A quantity with its thousands apart and no idle zeros; below zero in parentheses."""
    whole, _, decimals = plain_number(abs(value)).partition(".")
    text = f"{int(whole):,}" + (f".{decimals}" if decimals else "")
    return f"({text})" if value < 0 else text


def _price(value: Decimal) -> str:
    """A unit price: at least two decimals and those beyond that it has; four of a prorated one (12.0645)."""
    shown = round_to(abs(value), 4) if abs(value) >= 1 else abs(value)
    whole, _, decimals = plain_number(shown).partition(".")
    text = f"{int(whole):,}.{decimals.ljust(2, '0')}"
    return f"({text})" if value < 0 else text
