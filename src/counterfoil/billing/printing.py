"""What stands on a printed invoice or statement, as plain values read from the records.

:mod:`counterfoil.billing.paper` puts these values into words and onto paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias

from counterfoil.agreements.models import ApplicationUnits
from counterfoil.billing.drafts import address_of
from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceStatus, InvoiceTax, LineKind, Payment
from counterfoil.billing.queries import lines_of_invoice, open_invoices, payments_of_invoice, unapplied_payments
from counterfoil.billing.statements import BlockRow, blocks_of_invoice
from counterfoil.companies.models import Company
from counterfoil.companies.queries import msp_settings, my_company
from counterfoil.core.calendar import Period, format_date
from counterfoil.core.money import ZERO, sum_money
from counterfoil.platform.lookup import existing
from counterfoil.usage.models import ChargeKind

Day: TypeAlias = date  # in classes that have a field called date


@dataclass(frozen=True, slots=True)
class Party:
    """A name and a postal address, line by line."""

    name: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sender:
    """The MSP as its documents show it.

    Attributes:
        name: its legal name.
        lines: address, phone, e-mail, website.
        logo: a picture of ``logo_type`` (``png``, ``jpg``, ``svg``); empty for none.
        colour: ``#rrggbb``.
        paper: ``us-letter`` or ``a4``.
        remit_to: how to pay.
        footer: stands at the foot of every page.
        currency: ISO code.
    """

    name: str
    lines: tuple[str, ...] = ()
    logo: bytes = b""
    logo_type: str = ""
    colour: str = "#0b5d66"
    paper: str = "us-letter"
    remit_to: str = ""
    footer: str = ""
    currency: str = "USD"


class Group(StrEnum):
    """Under which heading a line is printed; in this order."""

    RECURRING = "recurring"
    SERVICES = "services"
    PRODUCTS = "products"
    EXPENSES = "expenses"
    OTHER = "other"
    DOWN_PAYMENTS = "down_payments"
    COVERED = "covered"


@dataclass(frozen=True, slots=True)
class PrintedLine:
    """A line as it is printed.

    Attributes:
        group: its heading.
        description: first line.
        quantity: in ``unit``; what was delivered, covered or not.
        unit: ``h`` for hours, empty for pieces.
        unit_price: of one unit, before tax.
        amount: what is charged for it, before tax.
        taxable: whether sales tax is charged on it.
        explanation: how the amount came to be; printed small, line by line.
        detail: who did it, for which ticket, under which agreement.
        covered_quantity: what of ``quantity`` an agreement absorbed.
        covered_amount: what that was worth, before tax.
        start: first day of the service, if the line says it.
        end: first day after it; ``None`` for a single day.
    """

    group: Group
    description: str
    quantity: Decimal
    unit_price: Decimal
    amount: Decimal
    unit: str = ""
    taxable: bool = False
    explanation: str = ""
    detail: str = ""
    covered_quantity: Decimal = ZERO
    covered_amount: Decimal = ZERO
    start: date | None = None
    end: date | None = None

    @property
    def is_covered(self) -> bool:
        """Whether nothing of it is charged, because an agreement absorbed all of it."""
        return self.covered_quantity > 0 and self.covered_quantity == self.quantity and not self.amount


@dataclass(frozen=True, slots=True)
class PrintedTax:
    """A level of sales tax. ``rate`` 0.06 is 6 %."""

    level: str
    rate: Decimal
    taxable_amount: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Settlement:
    """A payment or credit that settles a part: ``amount`` is above zero."""

    words: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BlockBalance:
    """What is left of a one-time block at the invoice's date (WE-1); ``unit`` is ``hours``, say."""

    agreement: str
    granted: Decimal
    left: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class PrintedInvoice:
    """An invoice or credit memo as it is printed.

    Attributes:
        type: ``standard``, ``agreement``, ``progress``, ``down_payment``, ``miscellaneous`` or ``credit_memo``.
        number: ``None`` for a draft.
        ship_to: where it was delivered to, if that is not the bill-to.
        delivered_for: who it was delivered for, if that is another company than the bill-to.
        period: what time an agreement's invoice bills.
        corrects: number of the invoice that a credit memo corrects, or that this one takes the place of.
        settlements: what was paid or credited; empty on the record of a closed invoice.
        settled_on: the day the settlements are told through, ``None`` for the record.
        balance: what is open after the settlements.
        blocks: one-time blocks with what is left of them.
        account_number: the customer's, in our books.
    """

    type: str
    number: str | None
    sender: Sender
    bill_to: Party
    date: Day
    due_date: Day
    lines: tuple[PrintedLine, ...]
    subtotal: Decimal
    tax_total: Decimal
    total: Decimal
    balance: Decimal
    taxes: tuple[PrintedTax, ...] = ()
    tax_caption: str = "Sales tax"
    ship_to: Party | None = None
    delivered_for: str = ""
    terms: str = ""
    customer_po: str = ""
    agreement: str = ""
    sales_order: str = ""
    period: Period | None = None
    corrects: str = ""
    reference: str = ""
    text: str = ""
    closing_text: str = ""
    settlements: tuple[Settlement, ...] = ()
    settled_on: Day | None = None
    blocks: tuple[BlockBalance, ...] = ()
    account_number: str = ""
    is_draft: bool = False

    @property
    def is_credit(self) -> bool:
        """Whether it gives money back."""
        return self.type == "credit_memo"


@dataclass(frozen=True, slots=True)
class OpenItem:
    """An invoice or credit with an open balance. ``days_late`` is zero or less when it is not due yet."""

    date: Day
    number: str
    about: str
    due_date: Day
    amount: Decimal
    open: Decimal
    days_late: int
    customer_po: str = ""
    kind: str = "invoice"


@dataclass(frozen=True, slots=True)
class PrintedStatement:
    """What a customer owes at the end of ``as_of``; ``items`` oldest first."""

    sender: Sender
    bill_to: Party
    as_of: Day
    items: tuple[OpenItem, ...]
    account_number: str = ""
    terms: str = ""
    ages: tuple[Decimal, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "ages", ages_of(self.items))

    @property
    def balance(self) -> Decimal:
        """All that is open."""
        return sum_money(item.open for item in self.items)


#: Days past due; :func:`ages_of` gives an amount for each.
AGES = ("Not due", "1–30 days", "31–60 days", "61–90 days", "Over 90 days")


def ages_of(items: Iterable[OpenItem]) -> tuple[Decimal, ...]:
    """What is open by days past due, in the order of :data:`AGES`."""
    buckets = [ZERO] * len(AGES)
    for item in items:
        bucket = 0 if item.days_late <= 0 else min((item.days_late + 29) // 30, 4)
        buckets[bucket] = sum_money([buckets[bucket], item.open])
    return tuple(buckets)


# -- reading -----------------------------------------------------------------------------------------------------------


def printed_invoice(invoice_id: int, *, settled_on: date | None = None) -> PrintedInvoice:
    """The invoice as it is printed.

    Args:
        invoice_id: the invoice.
        settled_on: tell what was paid through this day; ``None`` is the invoice as it was closed.

    Raises:
        DomainError: ``not_found``.
    """
    invoice = existing(
        Invoice.objects.select_related(
            "company", "bill_to", "site", "agreement", "sales_order", "credits", "reissues", "tax_code"
        ),
        invoice_id,
    )
    is_draft = invoice.status == InvoiceStatus.DRAFT
    settlements = () if is_draft or settled_on is None else _settlements(invoice, settled_on)
    settled = sum_money(part.amount for part in settlements)
    agreement, order = invoice.agreement, invoice.sales_order
    other = invoice.company if invoice.company_id != invoice.bill_to_id else None
    corrected = invoice.credits or invoice.reissues
    lines = list(lines_of_invoice(invoice.pk).filter(hidden=False).select_related("charge", "agreement"))
    attention = [f"Attn. {invoice.attention}"] if invoice.attention else []
    return PrintedInvoice(
        type=invoice.type,
        number=invoice.number,
        sender=sender(),
        bill_to=Party(invoice.bill_to_name, (*attention, *filter(None, invoice.bill_to_address.split("\n")))),
        ship_to=_ship_to(invoice),
        delivered_for=other.name if other else "",
        date=invoice.date,
        due_date=invoice.due_date,
        terms=invoice.terms_name,
        customer_po=invoice.customer_po,
        reference=" · ".join(filter(None, (invoice.reference, invoice.ticket and f"Ticket {invoice.ticket}"))),
        agreement=f"{agreement.number} {agreement.name}" if agreement else "",
        sales_order=order.number if order else "",
        period=period_of(invoice),
        corrects=(corrected.number or "") if corrected else "",
        text=invoice.top_comment,
        closing_text=invoice.bottom_comment,
        lines=tuple(_line(line, invoice) for line in lines),
        blocks=tuple(map(_block, blocks_of_invoice(invoice.pk))),
        taxes=tuple(PrintedTax(tax.level, tax.rate, tax.taxable_amount, tax.amount) for tax in _shown_taxes(invoice)),
        tax_caption=(invoice.tax_code.caption if invoice.tax_code else "") or "Sales tax",
        subtotal=invoice.subtotal,
        tax_total=invoice.tax_total,
        total=invoice.total,
        settlements=settlements,
        settled_on=None if is_draft else settled_on,
        balance=sum_money([invoice.total, settled if invoice.is_credit_memo else -settled]),
        account_number=invoice.bill_to.account_number,
        is_draft=is_draft,
    )


def _shown_taxes(invoice: Invoice) -> Iterable[InvoiceTax]:
    """The levels, unless the tax code shows one sum."""
    return invoice.taxes.all() if invoice.tax_code is None or invoice.tax_code.shown else ()


def period_of(invoice: Invoice) -> Period | None:
    """What time an agreement's invoice bills."""
    if invoice.period_start is None or invoice.period_end is None:
        return None
    return Period(invoice.period_start, invoice.period_end)


def printed_statement(company_id: int, *, as_of: date) -> PrintedStatement:
    """What a bill-to owes at the end of ``as_of``, item by item; what is left of its payments is among it.

    Raises:
        DomainError: ``not_found``.
    """
    company = existing(Company.objects.select_related("terms"), company_id)
    items = [
        OpenItem(
            date=row.date,
            number=row.number or "",
            about=_about(row),
            customer_po=row.customer_po,
            due_date=row.due_date,
            amount=row.total,
            open=row.open_amount,  # type: ignore[attr-defined]
            days_late=(as_of - row.due_date).days,
            kind=row.type,
        )
        for row in open_invoices(company_id=company_id, as_of=as_of)
    ]
    items += [
        OpenItem(
            date=payment.date,
            number=payment.number,
            about="Payment, not applied yet",
            due_date=payment.date,
            amount=-payment.amount,
            open=-payment.left,
            days_late=0,
            kind="payment",
        )
        for payment in unapplied_payments(company_id=company_id, as_of=as_of)
    ]
    return PrintedStatement(
        sender=sender(),
        bill_to=Party(company.name, tuple(filter(None, address_of(company).split("\n")))),
        as_of=as_of,
        items=tuple(sorted(items, key=lambda item: (item.date, item.number))),
        account_number=company.account_number,
        terms=company.terms.name if company.terms else "",
    )


def sender() -> Sender:
    """The MSP as its documents show it."""
    settings = msp_settings()
    company = my_company()
    lines: Sequence[str] = ()
    if company is not None:
        reach = " · ".join(filter(None, (company.phone, settings.reply_to, company.website)))
        lines = [*filter(None, address_of(company).split("\n")), *filter(None, [reach])]
    return Sender(
        name=settings.legal_name or (company.name if company else ""),
        lines=tuple(lines),
        logo=bytes(settings.logo or b""),
        logo_type=settings.logo_type,
        colour=settings.brand_colour,
        paper=settings.paper,
        remit_to=settings.remit_to,
        footer=settings.invoice_footer,
        currency=settings.currency,
    )


def _line(line: InvoiceLine, invoice: Invoice) -> PrintedLine:
    start, end = line.service_start, line.service_end
    if (start, end) == (invoice.period_start, invoice.period_end):
        start = end = None  # the invoice's own period stands above
    elif start is not None and end == start + timedelta(days=1):
        end = None
    charge = line.charge
    child = line.agreement if line.agreement and line.agreement_id != invoice.agreement_id else None
    detail = (
        charge.member if charge else "",
        f"Ticket {charge.ticket}" if charge and charge.ticket and charge.ticket != invoice.ticket else "",
        f"{child.number} {child.name}" if child and child.number not in line.explanation else "",
    )
    return PrintedLine(
        group=_group(line),
        description=line.description,
        quantity=line.quantity,
        unit="h" if charge and charge.kind == ChargeKind.TIME else "",
        unit_price=line.unit_price,
        amount=line.amount,
        taxable=line.taxable and bool(invoice.tax_total),
        explanation=line.explanation,
        detail=" · ".join(filter(None, detail)),
        covered_quantity=line.covered_quantity,
        covered_amount=line.covered_amount,
        start=start,
        end=end,
    )


def _group(line: InvoiceLine) -> Group:
    if line.down_payment_id is not None:
        return Group.DOWN_PAYMENTS
    if line.addition_id is not None or (line.period_start is not None and line.charge_id is None):
        return Group.RECURRING
    return {
        LineKind.SERVICE: Group.SERVICES,
        LineKind.EXPENSE: Group.EXPENSES,
        LineKind.PRODUCT: Group.PRODUCTS if line.product_id is not None else Group.OTHER,
    }[LineKind(line.kind)]


def _block(row: BlockRow) -> BlockBalance:
    is_amount = row.application_units == ApplicationUnits.AMOUNT
    unit = msp_settings().currency if is_amount else ApplicationUnits(row.application_units).label.lower()
    return BlockBalance(row.agreement, row.granted, row.remaining, unit)


def _ship_to(invoice: Invoice) -> Party | None:
    """Where it was delivered to, when that is not the address it is billed to."""
    site = invoice.site or (invoice.sales_order.site if invoice.sales_order else None)
    if site is None or "\n".join(site.address_lines) == invoice.bill_to_address:
        return None
    return Party(f"{invoice.company.name}, {site.name}", tuple(site.address_lines))


def _settlements(invoice: Invoice, through: date) -> tuple[Settlement, ...]:
    """What was paid and credited through a day, in that order; what was used of a credit memo."""
    payments = payments_of_invoice(invoice.pk, as_of=through)
    credits = invoice.credits_received.filter(date__lte=through).select_related("credit_memo").order_by("date", "pk")
    uses = invoice.credit_applications.filter(date__lte=through).select_related("invoice").order_by("date", "pk")
    return (
        *(Settlement(_words_of(row.payment), row.amount) for row in payments),
        *(Settlement(f"Credit memo {row.credit_memo.number}, {format_date(row.date)}", row.amount) for row in credits),
        *(Settlement(f"Applied to {row.invoice.number}, {format_date(row.date)}", row.amount) for row in uses),
    )


def _words_of(payment: Payment) -> str:
    return ", ".join(filter(None, (f"Paid {format_date(payment.date)}", payment.reference)))


def _about(invoice: Invoice) -> str:
    period = period_of(invoice)
    parts = (
        invoice.company.name if invoice.company_id != invoice.bill_to_id else "",
        invoice.agreement.name if invoice.agreement else "",
        f"Order {invoice.sales_order.number}" if invoice.sales_order else "",
        period.label if period else "",
    )
    return " · ".join(filter(None, parts)) or invoice.get_type_display()
