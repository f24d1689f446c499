"""Invoices of agreements and sales orders, closing them, and what customers pay."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

from counterfoil.billing.agreement_invoices import (
    InvoicingRun,
    Parked,
    invoice_agreement,
    invoice_agreements_through,
)
from counterfoil.billing.charges import bill_charges
from counterfoil.billing.closing import Closing, close_invoice, close_invoices
from counterfoil.billing.credits import apply_credit, credit_invoice, reissue_invoice, reverse_invoice
from counterfoil.billing.deposits import take_deposits_off
from counterfoil.billing.down_payments import apply_down_payment
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
from counterfoil.billing.holds import free_charges, reopen_periods
from counterfoil.billing.models import BillingSettings, Grouping, Invoice, InvoiceLine, InvoiceType
from counterfoil.billing.payments import InvoicePayment, apply_payment, record_payment, reverse_payment
from counterfoil.billing.progress import invoice_progress, unbilled_of
from counterfoil.billing.queries import invoiced_of
from counterfoil.billing.special import (
    add_invoice_line,
    create_invoice,
    remove_invoice_line,
    reorder_invoice_lines,
    update_invoice_line,
)
from counterfoil.billing.taxing import reckon
from counterfoil.companies.models import BillingTerms, Company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, round_money
from counterfoil.inventory.queries import Done, received_for, unrelieved
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked, locked_all
from counterfoil.platform.records import UNSET, Unset, check_fields, fetch, values_of
from counterfoil.platform.records import plain_number as plain

__all__ = [
    "Closing",
    "InvoicePayment",
    "InvoicingRun",
    "Parked",
    "add_invoice_line",
    "apply_credit",
    "apply_down_payment",
    "apply_payment",
    "bill_charges",
    "change_bill_to",
    "close_invoice",
    "close_invoices",
    "create_invoice",
    "credit_invoice",
    "delete_draft_invoice",
    "invoice_agreement",
    "invoice_agreements_through",
    "invoice_progress",
    "invoice_sales_order",
    "record_payment",
    "reissue_invoice",
    "remove_invoice_line",
    "reorder_invoice_lines",
    "reverse_invoice",
    "reverse_payment",
    "update_billing_settings",
    "update_invoice",
    "update_invoice_line",
]

FINANCE = (Role.FINANCE,)

refuse_as("my_company_is_not_billed", "my_company_not_billable", "My Company can never be billed.")
refuse_as(
    "internal_company_at_zero_price",
    "price_on_internal_company",
    "An internal company is invoiced at zero price only.",
)


@command(roles=FINANCE)
def invoice_sales_order(*, actor: Actor, order_id: int, on: date, bill_to_id: int | None = None) -> Invoice:
    """Draft the invoice of what a sales order has to bill.

    Inventory products are billed as far as they were shipped and neither invoiced nor capitalised; their cost leaves
    inventory when the invoice is transferred. Everything else is billed as far as it was ordered and not invoiced; its
    cost is shown for information, since it was expensed when it was received.

    Args:
        actor: who invoices.
        order_id: the sales order.
        on: the invoice date.
        bill_to_id: who gets it; ``None`` is the order's bill-to, and what it has paid down is taken off.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a cancelled order; ``not_shipped`` or ``already_invoiced`` when
            there is nothing to bill; ``my_company_not_billable``; ``price_on_internal_company``.
    """
    order = locked(
        SalesOrder.objects.select_related(
            "company__tax_code", "bill_to__terms", "bill_to__tax_code", "site__tax_code", "terms", "tax_code"
        ),
        order_id,
    )
    if order.status == SalesOrderStatus.CANCELLED:
        raise DomainError("wrong_state", f"{order} is cancelled; nothing can be invoiced.")
    bill_to = order.bill_to
    if bill_to_id is not None:
        bill_to = existing(Company.objects.select_related("terms"), bill_to_id, "bill_to")
    check_billable(bill_to)
    ids = set(order.lines.values_list("pk", flat=True))
    ordered = locked_all(SalesOrderLine.objects.select_related("product"), ids)
    lines = _lines_to_bill(order, sorted(ordered.values(), key=lambda line: line.position))
    invoice = Invoice(
        type=InvoiceType.STANDARD,
        company=order.company,
        date=on,
        sales_order=order,
        site=order.site,
        customer_po=order.customer_po,
        tax_code=tax_code_of(order.tax_code, order.site, order.company),
    )
    set_bill_to(invoice, bill_to)
    invoice.attention = attention_of(bill_to)
    set_terms(invoice, terms_for(bill_to=bill_to, chosen=order.terms))
    write_draft(invoice, lines)
    text = f"drafted the invoice of {order} to {bill_to.name}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.drafted", text, invoice, order=order.number)
    take_deposits_off(actor, [invoice])
    return invoice


def _lines_to_bill(order: SalesOrder, ordered: Sequence[SalesOrderLine]) -> list[InvoiceLine]:
    rest, invoiced, received = unrelieved(ordered), invoiced_of(ordered), received_for(ordered)
    unbilled = unbilled_of([line for line in ordered if not line.product.is_stocked])
    lines = []
    for source in ordered:
        if source.product.is_stocked:
            quantity, cost = rest[source.pk].quantity, rest[source.pk].cost
            amount = extend(quantity, source.unit_price)
            why = f"{plain(quantity)} shipped and not yet invoiced"
        else:
            quantity, amount = unbilled[source.pk].quantity, unbilled[source.pk].amount
            cost = _cost_for_information(source, quantity, received[source.pk])
            why = f"{plain(quantity)} of {plain(source.quantity)} ordered"
        if quantity > 0:
            lines.append(
                InvoiceLine(
                    product=source.product,
                    description=source.description,
                    quantity=quantity,
                    unit_price=source.unit_price,
                    amount=amount,
                    cost=cost,
                    relieves_stock=source.product.is_stocked,
                    taxable=source.taxable,
                    explanation=why,
                    order_line=source,
                    origin_id=source.origin_id,
                )
            )
    if lines:
        return lines
    if any(line.product.is_stocked and invoiced[line.pk] < line.quantity for line in ordered):
        raise DomainError(
            "not_shipped",
            f"Nothing of {order} is shipped and not yet invoiced or capitalised.",
            hint="Ship the goods first.",
        )
    raise DomainError("already_invoiced", f"All of {order} is invoiced.")


def _cost_for_information(line: SalesOrderLine, quantity: Decimal, received: Done) -> Decimal:
    """What the billed quantity cost us: its share of what arrived for it, or the order's cost until it has arrived."""
    if received.quantity >= line.quantity:
        return round_money(Fraction(received.cost) * Fraction(quantity) / Fraction(received.quantity))
    return extend(quantity, line.unit_cost)


@command(roles=FINANCE)
def change_bill_to(*, actor: Actor, invoice_id: int, company_id: int) -> Invoice:
    """Send a draft to another company. To an internal company it goes without prices, and nothing on it is taxed.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``my_company_not_billable``;
            ``price_on_internal_company`` when a line has a price.
    """
    invoice = draft_of(invoice_id)
    if invoice.credits_id is not None:
        raise DomainError("wrong_state", f"{invoice} credits {invoice.credits}; it goes to the same bill-to.")
    bill_to, before = existing(Company.objects.select_related("terms"), company_id, "bill_to"), invoice.bill_to
    check_billable(bill_to)
    lines = list(invoice.lines.select_related("order_line", "addition", "charge"))
    check_prices(bill_to, lines)
    if any(line.down_payment_id is not None for line in lines):
        raise DomainError("wrong_state", f"A down payment of {before.name} is applied to {invoice}; take it off first.")
    inherited = invoice.terms_name == _name(_terms_of(invoice))
    set_bill_to(invoice, bill_to)
    invoice.attention = attention_of(bill_to) if invoice.attention == attention_of(before) else invoice.attention
    for line in lines:
        line.taxable = not bill_to.is_internal and (
            line.taxable if not before.is_internal else _taxable_by_origin(line, invoice)
        )
    InvoiceLine.objects.bulk_update(lines, ["taxable"])
    if inherited:
        set_terms(invoice, _terms_of(invoice))
    reckon(invoice)
    text = f"changed the bill-to of {invoice} from {before.name} to {bill_to.name}: {amounts(invoice)}"
    audit.record(actor, "billing.invoice.bill_to_changed", text, invoice)
    return invoice


def _taxable_by_origin(line: InvoiceLine, invoice: Invoice) -> bool:
    """Whether a line is taxed when a customer pays it."""
    source = line.order_line or line.addition or line.charge
    if source is not None:
        return source.taxable
    return invoice.agreement is None or invoice.agreement.billing_amount_taxable


def _terms_of(invoice: Invoice) -> BillingTerms | None:
    """The terms it has when none are chosen for it."""
    order = invoice.sales_order
    return terms_for(bill_to=invoice.bill_to, agreement=invoice.agreement, chosen=order.terms if order else None)


def _name(terms: BillingTerms | None) -> str:
    return terms.name if terms else ""


@command(roles=FINANCE)
def update_invoice(
    *,
    actor: Actor,
    invoice_id: int,
    date: date | None = None,
    due_date: date | None = None,
    terms_id: int | Unset | None = UNSET,
    customer_po: str | None = None,
    attention: str | None = None,
    reference: str | None = None,
    top_comment: str | None = None,
    bottom_comment: str | None = None,
) -> Invoice:
    """Change the head of a draft; what is ``None`` stays. A new date moves the due date by the terms.

    Args:
        actor: who changes it.
        invoice_id: the draft.
        date: the invoice date.
        due_date: when it falls due, whatever the terms say.
        terms_id: other terms, and the due date they give; ``None`` for due on its date.
        customer_po: the customer's order number.
        attention: whose attention it is for.
        reference: printed as it is.
        top_comment: printed above the lines.
        bottom_comment: printed below.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``invalid`` when due before its date, or a credit memo
            before its invoice; ``tax_code_not_in_effect``.
    """
    invoice = draft_of(invoice_id)
    former = values_of(invoice)
    terms: BillingTerms | None
    if not isinstance(terms_id, Unset):
        terms = fetch(BillingTerms, terms_id, field="terms_id") if terms_id is not None else None
    else:
        terms = BillingTerms.objects.filter(name=invoice.terms_name).first() if invoice.terms_name else None
        if terms is None and not invoice.terms_name and not invoice.is_credit_memo:
            terms = _terms_of(invoice)
    if date is not None:
        if invoice.credits is not None and date < invoice.credits.date:
            raise DomainError(
                "invalid", f"{invoice.credits} is dated {format_date(invoice.credits.date)}; not before.", field="date"
            )
        invoice.date = date
    if date is not None or not isinstance(terms_id, Unset):
        set_terms(invoice, terms)
    invoice.due_date = due_date or invoice.due_date
    for name, value in (
        ("customer_po", customer_po),
        ("attention", attention),
        ("reference", reference),
        ("top_comment", top_comment),
        ("bottom_comment", bottom_comment),
    ):
        if value is not None:
            setattr(invoice, name, value.strip())
    if invoice.due_date < invoice.date:
        raise DomainError("invalid", "An invoice cannot be due before its date.", field="due_date")
    check_fields(invoice, relations=False)
    reckon(invoice)
    if values_of(invoice) == former:
        audit.record_nothing()
        return invoice
    text = f"changed {invoice}: dated {format_date(invoice.date)}, due {format_date(invoice.due_date)}"
    audit.record(actor, "billing.invoice.changed", text, invoice)
    return invoice


@command(roles=FINANCE)
def delete_draft_invoice(*, actor: Actor, invoice_id: int) -> None:
    """Delete a draft; its period, or what it would have billed, can be invoiced again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``conflict`` while a billing run is writing invoices of
            the agreement.
    """
    invoice = draft_of(invoice_id)
    lines = list(invoice.lines.all())
    of = invoice.agreement or invoice.sales_order or invoice.company
    audit.record(actor, "billing.invoice.deleted", f"deleted {invoice} of {of}: {amounts(invoice)}", invoice)
    invoice.delete()
    free_charges([line.charge_id for line in lines])
    reopen_periods(invoice, lines)


@command(roles=FINANCE)
def update_billing_settings(
    *,
    actor: Actor,
    grouping: Grouping | Unset = UNSET,
    default_terms_id: int | Unset | None = UNSET,
    absurd_factor: int | Unset = UNSET,
    most_bills: int | Unset = UNSET,
    earn_lapsed: bool | Unset = UNSET,
) -> BillingSettings:
    """Say how invoices are made; what is not given stays.

    Args:
        actor: who says it.
        grouping: what makes an invoice of its own when work is billed, for companies without a rule of their own.
        default_terms_id: the terms of whoever has none.
        absurd_factor: a bill of so many times the last one parks its agreement.
        most_bills: more bills of one agreement in a run park it.
        earn_lapsed: whether billing runs earn what lapsed unused of prepaid work.

    Raises:
        DomainError: ``not_found``; ``invalid`` for a number below one.
    """
    BillingSettings.objects.get_or_create(pk=1)
    settings = BillingSettings.objects.select_for_update().get(pk=1)
    former = values_of(settings)
    given = {"grouping": grouping, "absurd_factor": absurd_factor, "most_bills": most_bills}
    for name, value in given.items():
        if isinstance(value, Unset):
            continue
        if isinstance(value, int) and value < 1:
            raise DomainError("invalid", "It must be one or more.", field=name)
        setattr(settings, name, value)
    if not isinstance(earn_lapsed, Unset):
        settings.earn_lapsed = earn_lapsed
    if not isinstance(default_terms_id, Unset):
        settings.default_terms = (
            fetch(BillingTerms, default_terms_id, field="default_terms_id") if default_terms_id is not None else None
        )
    settings.save()
    if values_of(settings) == former:
        audit.record_nothing()
    else:
        audit.record(actor, "billing.settings.changed", "changed how invoices are made", settings)
    return settings
