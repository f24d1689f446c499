"""Invoices written by hand: miscellaneous ones, down payments, credit memos of no invoice; and the lines of drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db.models import Max

from counterfoil.agreements.models import Agreement
from counterfoil.billing.drafts import (
    amounts,
    attention_of,
    check_billable,
    check_prices,
    draft_of,
    set_bill_to,
    set_terms,
    tax_code_of,
    terms_for,
    write_draft,
)
from counterfoil.billing.holds import free_charges
from counterfoil.billing.models import ENTERED_BY, Invoice, InvoiceLine, InvoiceType, LineKind
from counterfoil.billing.taxing import reckon
from counterfoil.catalog.models import Product
from counterfoil.companies.models import BillingTerms, Company
from counterfoil.companies.queries import bill_to_of, site_of
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, format_money
from counterfoil.core.states import words
from counterfoil.orders.models import SalesOrder
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_price, check_quantity
from counterfoil.platform.commands import command
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing
from counterfoil.platform.records import UNSET, Unset, check_fields, fetch, values_of
from counterfoil.platform.records import plain_number as plain
from counterfoil.tax.models import TaxCode

FINANCE = (Role.FINANCE,)

#: What can be written by hand. The others come from agreements, sales orders, and work.
BY_HAND = (InvoiceType.MISCELLANEOUS, InvoiceType.DOWN_PAYMENT, InvoiceType.CREDIT_MEMO)


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line to be put on a draft.

    Attributes:
        description: what the customer reads; the product's when it is empty.
        quantity: how many; below zero gives back.
        unit_price: of one, before tax; below zero gives back. The product's list price when it is not given.
        product_id: what is sold, if it is in the catalog.
        kind: ``service``, ``expense`` or ``product``; to which taxes it is subject.
        taxable: whether it is taxed; as the product says when it is not given.
    """

    description: str = ""
    quantity: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    product_id: int | None = None
    kind: LineKind | None = None
    taxable: bool | None = None


@command(roles=FINANCE)
def create_invoice(
    *,
    actor: Actor,
    type: InvoiceType,
    company_id: int,
    on: date,
    lines: Sequence[NewLine] = (),
    bill_to_id: int | None = None,
    site_id: int | None = None,
    agreement_id: int | None = None,
    order_id: int | None = None,
    ticket: str = "",
    terms_id: int | None = None,
    tax_code_id: int | None = None,
    attention: str = "",
    customer_po: str = "",
    reference: str = "",
    top_comment: str = "",
    bottom_comment: str = "",
) -> Invoice:
    """Draft a miscellaneous invoice, a down payment, or a credit memo; its type is fixed.

    What a down payment bills is deferred until it is applied to other invoices: to any of the same bill-to, or only to
    those of the agreement, the sales order or the ticket that it names. Lines of a credit memo stand below zero; to
    credit what was billed on an invoice, credit that invoice instead: it gives back the tax that was charged.

    Args:
        actor: who invoices.
        type: ``miscellaneous``, ``down_payment`` or ``credit_memo``.
        company_id: whom it is for.
        on: the invoice date.
        lines: more can be added while it is a draft.
        bill_to_id: who gets it; the bill-to of the agreement, the order or the company when it is not given.
        site_id: where it was delivered; its tax code goes before the company's.
        agreement_id: what a down payment is for, or what the invoice belongs to; likewise ``order_id``.
        order_id: the sales order.
        ticket: its key; likewise.
        terms_id: the terms; those of the agreement, its type, the bill-to or the MSP when they are not given.
        tax_code_id: the tax code; that of the agreement, the site or the company when it is not given.
        attention: whose attention it is for; the bill-to's contact for bills when it is empty.
        customer_po: the customer's order number.
        reference: printed as it is.
        top_comment: printed above the lines.
        bottom_comment: printed below.

    Raises:
        DomainError: ``invalid`` for another type, a total of the wrong sign, or an agreement or order of somebody else;
            ``not_found``; ``required``; ``my_company_not_billable``; ``price_on_internal_company``;
            ``tax_code_not_in_effect``.
    """
    if type not in BY_HAND:
        raise DomainError(
            "invalid",
            f"{InvoiceType(type).label} invoices are not written by hand.",
            field="type",
            hint="Invoice the agreement, the sales order, or the work itself.",
        )
    company = existing(Company.objects.select_related("bill_to", "tax_code"), company_id, "company_id")
    agreement = order = None
    if agreement_id is not None:
        agreements = Agreement.objects.select_related("bill_to", "terms", "type__terms", "tax_code")
        agreement = existing(agreements, agreement_id, "agreement_id")
        _check_owner(agreement, agreement.company_id, agreement.bill_to_id, company, "agreement_id")
    if order_id is not None:
        order = existing(SalesOrder.objects.select_related("bill_to", "terms", "tax_code"), order_id, "order_id")
        _check_owner(order, order.company_id, order.bill_to_id, company, "order_id")
    source = agreement or order
    bill_to = source.bill_to if source else bill_to_of(company)
    if bill_to_id is not None:
        bill_to = fetch(Company, bill_to_id, field="bill_to_id")
    check_billable(bill_to)
    site = site_of(company, site_id)
    chosen = fetch(TaxCode, tax_code_id, field="tax_code_id") if tax_code_id is not None else None
    inherited = (agreement.tax_code if agreement else None) or (order.tax_code if order else None)
    invoice = Invoice(
        type=type,
        company=company,
        date=on,
        agreement=agreement,
        sales_order=order,
        ticket=ticket.strip(),
        site=site,
        customer_po=customer_po.strip(),
        reference=reference.strip(),
        top_comment=top_comment.strip(),
        bottom_comment=bottom_comment.strip(),
        tax_code=tax_code_of(chosen or inherited, site, company),
    )
    set_bill_to(invoice, bill_to)
    invoice.attention = attention.strip() or attention_of(bill_to)
    terms = fetch(BillingTerms, terms_id, field="terms_id") if terms_id is not None else None
    set_terms(
        invoice, terms_for(bill_to=bill_to, agreement=agreement, chosen=terms or (order.terms if order else None))
    )
    check_fields(invoice, relations=False)
    write_draft(invoice, [_line(invoice, line, f"lines[{i}]") for i, line in enumerate(lines)])
    text = f"drafted {_a(invoice)} for {bill_to.name}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.drafted", text, invoice)
    return invoice


def _a(invoice: Invoice) -> str:
    return f"a {words(invoice.type)}" + ("" if invoice.type in BY_HAND[1:] else " invoice")


def _check_owner(
    record: Agreement | SalesOrder, company_id: int, bill_to_id: int, company: Company, field: str
) -> None:
    if company.pk not in (company_id, bill_to_id):
        raise DomainError("invalid", f"{record} is not one of {company.name}'s.", field=field)


def _line(invoice: Invoice, new: NewLine, where: str) -> InvoiceLine:
    product = fetch(Product, new.product_id, field=f"{where}.product_id") if new.product_id is not None else None
    if product is not None and product.is_stocked and not invoice.is_credit_memo:
        raise DomainError(
            "wrong_product_class",
            f"{product} is kept in stock; an invoice written by hand does not take it out.",
            field=f"{where}.product_id",
            hint="Sell it by a sales order: that ships it and bills what was shipped.",
        )
    price = new.unit_price if new.unit_price is not None else product.price if product else None
    if price is None:
        raise DomainError("required", "A line needs a unit price.", field=f"{where}.unit_price")
    description = new.description.strip() or (product.description if product else "")
    if not description:
        raise DomainError("required", "A line needs a description.", field=f"{where}.description")
    check_quantity(abs(new.quantity), f"{where}.quantity")
    check_price(abs(price), f"{where}.unit_price")
    taxable = new.taxable if new.taxable is not None else product.taxable if product else True
    line = InvoiceLine(
        kind=new.kind or LineKind.PRODUCT,
        product=product,
        description=description[:200],
        quantity=new.quantity,
        unit_price=price,
        amount=extend(new.quantity, price),
        taxable=taxable,
        deferred=invoice.type == InvoiceType.DOWN_PAYMENT,
        agreement=invoice.agreement,
    )
    if invoice.type == InvoiceType.DOWN_PAYMENT and line.amount < 0:
        raise DomainError("invalid", "A line of a down payment cannot be below zero.", field=f"{where}.unit_price")
    return line


# -- the lines of a draft ----------------------------------------------------------------------------------------------


@command(roles=FINANCE)
def add_invoice_line(*, actor: Actor, invoice_id: int, line: NewLine) -> InvoiceLine:
    """Add a line to a draft, below the others.

    Args:
        actor: who changes the draft.
        invoice_id: the draft; a credit memo that corrects an invoice takes no other lines.
        line: what to add.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed, or for a credit memo of an invoice; ``invalid``,
            ``required``; ``price_on_internal_company``.
    """
    invoice = draft_of(invoice_id)
    if invoice.credits_id is not None:
        raise DomainError("wrong_state", f"{invoice} credits {invoice.credits}; it takes no other lines.")
    added = _line(invoice, line, "line")
    added.invoice = invoice
    added.position = (invoice.lines.aggregate(last=Max("position"))["last"] or 0) + 1
    added.taxable = added.taxable and not invoice.bill_to.is_internal
    check_prices(invoice.bill_to, [added])
    added.save()
    reckon(invoice)
    added.refresh_from_db()
    text = f"added “{added.description}”, {format_money(added.amount)}, to {invoice}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.changed", text, invoice)
    return added


@command(roles=FINANCE)
def update_invoice_line(
    *,
    actor: Actor,
    line_id: int,
    description: str | None = None,
    quantity: Decimal | None = None,
    unit_price: Decimal | None = None,
    taxable: bool | None = None,
    kind: LineKind | Unset = UNSET,
) -> InvoiceLine:
    """Change a line of a draft; what is ``None`` stays.

    The quantity of what was delivered, worked or agreed stays, and so does what an agreement covers of it. Of a line
    that credits another, or applies a down payment, the description alone can be changed.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``price_on_internal_company``; ``invalid``.
    """
    line = existing(InvoiceLine.objects.all(), line_id)
    invoice = draft_of(line.invoice_id)
    former = values_of(line)
    quantity = None if quantity == line.quantity else quantity
    unit_price = None if unit_price == line.unit_price else unit_price
    before = f"{plain(line.unit_price)}{' taxable' if line.taxable else ''}"
    line.description = line.description if description is None else description.strip()
    if not line.description:
        raise DomainError("required", "A line needs a description.", field="description")
    _check_changeable(line, quantity=quantity, unit_price=unit_price, taxable=taxable)
    line.taxable = line.taxable if taxable is None else taxable
    line.kind = line.kind if kind is UNSET else kind
    if quantity is not None:
        check_quantity(abs(quantity), "quantity")
        line.quantity = quantity
    if unit_price is not None:
        check_price(abs(unit_price) if _is_by_hand(line) else unit_price, "unit_price")
        line.unit_price = unit_price
    if quantity is not None or unit_price is not None:
        line.amount = extend(line.quantity, line.unit_price)
        line.explanation = f"{plain(line.quantity)} × {plain(line.unit_price)}{ENTERED_BY}{actor.name}"[:300]
    if invoice.bill_to.is_internal and line.taxable:
        raise DomainError(
            "invalid", f"{invoice.bill_to_name} is an internal company; nothing on it is taxed.", field="taxable"
        )
    check_prices(invoice.bill_to, [line])
    if values_of(line) == former:
        audit.record_nothing()
        return line
    line.save()
    reckon(invoice)
    after = f"{plain(line.unit_price)}{' taxable' if line.taxable else ''}"
    text = f"changed “{line.description}” on {invoice} from {before} to {after}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.changed", text, invoice)
    return line


def _is_by_hand(line: InvoiceLine) -> bool:
    sources = (line.order_line_id, line.addition_id, line.charge_id, line.credited_line_id, line.down_payment_id)
    return all(source is None for source in sources) and line.period_start is None


def _check_changeable(
    line: InvoiceLine, *, quantity: Decimal | None, unit_price: Decimal | None, taxable: bool | None
) -> None:
    if line.credited_line_id is not None or line.down_payment_id is not None:
        if any(value is not None for value in (quantity, unit_price, taxable)):
            raise DomainError(
                "wrong_state",
                f"“{line.description}” follows from another invoice; its amount and tax cannot be changed here.",
                hint="Remove the line and enter it anew.",
            )
    elif quantity is not None and not _is_by_hand(line):
        raise DomainError(
            "wrong_state",
            f"The quantity of “{line.description}” is what was delivered or agreed; it cannot be changed here.",
            field="quantity",
        )
    elif unit_price is not None and line.covered_amount:
        raise DomainError(
            "wrong_state",
            f"An agreement covers a part of “{line.description}”; its price cannot be changed here.",
            field="unit_price",
            hint="Remove the line, change the entry, and bill it again.",
        )


@command(roles=FINANCE)
def remove_invoice_line(*, actor: Actor, line_id: int) -> None:
    """Take a line off a draft; the work, expense or product it bills can be billed again.

    Lines of an agreement's period stay: change the agreement instead, or delete the draft.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed, or for a line of an agreement's period.
    """
    line = existing(InvoiceLine.objects.select_related("charge"), line_id)
    invoice = draft_of(line.invoice_id)
    if line.period_start is not None and line.credited_line_id is None:
        raise DomainError(
            "wrong_state",
            f"“{line.description}” is a part of the agreement's bill.",
            hint="Change the agreement, or delete the draft; then bill it again.",
        )
    lines = [line] if line.charge_id is None else list(invoice.lines.filter(charge=line.charge_id))
    InvoiceLine.objects.filter(pk__in=[each.pk for each in lines]).delete()
    free_charges([each.charge_id for each in lines])
    reckon(invoice)
    text = f"took “{line.description}” off {invoice}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.changed", text, invoice)


@command(roles=FINANCE)
def reorder_invoice_lines(*, actor: Actor, invoice_id: int, line_ids: Sequence[int]) -> Invoice:
    """Put the lines of a draft in another order.

    Args:
        actor: who changes the draft.
        invoice_id: the draft.
        line_ids: all its lines, in the order they are to have.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``invalid`` when it does not name each line once.
    """
    invoice = draft_of(invoice_id)
    lines = {line.pk: line for line in invoice.lines.all()}
    if sorted(line_ids) != sorted(lines):
        raise DomainError("invalid", "Name each line of the draft once.", field="line_ids")
    first = max((line.position for line in lines.values()), default=0) + 1
    for shift in (first, 1):  # positions are unique: out of the way first
        for position, pk in enumerate(line_ids, start=shift):
            lines[pk].position = position
        InvoiceLine.objects.bulk_update(lines.values(), ["position"])
    text = f"put the lines of {invoice} in order"
    audit.record(actor, "billing.invoice.changed", text, invoice)
    return invoice
