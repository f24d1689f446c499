"""Invoices of agreements and sales orders, closing them, and what customers pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from counterfoil.agreements.models import Agreement
from counterfoil.billing.drafts import (
    check_billable,
    check_prices,
    due_date,
    reckon,
    set_bill_to,
    tax_code_of,
    write_draft,
)
from counterfoil.billing.models import (
    Invoice,
    InvoiceLine,
    InvoiceStatus,
    InvoiceType,
    Payment,
    PaymentApplication,
)
from counterfoil.billing.queries import balances_of_invoices, invoiced_of, open_invoices
from counterfoil.billing.recurring import lines_of, period_to_bill, refuse_beyond_the_books, unbilled_periods
from counterfoil.billing.shipped import check_shipped
from counterfoil.companies.models import BillingTerms, Company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import extend, format_money, round_money, sum_money
from counterfoil.core.posting import post_customer_payment
from counterfoil.core.states import check_transition, words
from counterfoil.inventory.queries import Done, received_for, unrelieved
from counterfoil.ledger.banks import bank_account, paid_through
from counterfoil.ledger.commands import Posting, post_drafts
from counterfoil.orders.models import SalesOrder, SalesOrderLine, SalesOrderStatus
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount, check_price
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked, locked_all
from counterfoil.platform.numbering import take_number
from counterfoil.platform.records import plain_number as plain

FINANCE = (Role.FINANCE,)

refuse_as(
    "one_invoice_per_agreement_and_period", "already_invoiced", "The agreement is invoiced for that period already."
)
refuse_as("payment_applied_once_per_invoice", "duplicate", "An invoice is named twice; settle each with one amount.")
refuse_as("my_company_is_not_billed", "my_company_not_billable", "My Company can never be billed.")
refuse_as(
    "internal_company_at_zero_price",
    "price_on_internal_company",
    "An internal company is invoiced at zero price only.",
)


@command(roles=FINANCE)
def invoice_agreement(
    *, actor: Actor, agreement_id: int, period_start: date | None = None, invoice_date: date | None = None
) -> Invoice:
    """Draft the invoice of an agreement for one period: its billing amount and the additions in effect, with tax.

    Args:
        actor: who invoices.
        agreement_id: the agreement.
        period_start: first day of the period; ``None`` is the earliest period that is not invoiced.
        invoice_date: ``None`` is the first day of the period.

    Raises:
        DomainError: ``not_found``; ``already_invoiced``; ``my_company_not_billable``; ``price_on_internal_company``;
            ``wrong_state`` when the agreement has ended before; ``invalid`` when no period starts then or nothing is
            to be billed.
    """
    agreement = locked(
        Agreement.objects.select_related(
            "company__tax_code", "bill_to__terms", "bill_to__tax_code", "site__tax_code", "terms", "tax_code"
        ),
        agreement_id,
    )
    check_billable(agreement.bill_to)
    period = period_to_bill(agreement, period_start)
    lines = lines_of(agreement, period)
    if not lines:
        raise DomainError(
            "invalid",
            f"{agreement} has nothing to bill for {period.label}: no billing amount and no addition in effect.",
            hint="Add an addition, or check its effective date.",
        )
    on = invoice_date or period.start
    invoice = Invoice(
        type=InvoiceType.AGREEMENT,
        company=agreement.company,
        date=on,
        due_date=due_date(on, agreement.terms or agreement.bill_to.terms),
        agreement=agreement,
        period_start=period.start,
        period_end=period.end,
        customer_po=agreement.customer_po,
        tax_code=tax_code_of(agreement.tax_code, agreement.site, agreement.company),
    )
    set_bill_to(invoice, agreement.bill_to)
    write_draft(invoice, lines)
    text = f"drafted the invoice of {agreement} for {period.label}: {_amounts(invoice)}"
    audit.record(actor, "billing.invoice.drafted", text, invoice, agreement=agreement.number)
    return invoice


@dataclass(frozen=True, slots=True)
class Parked:
    """A period that could not be invoiced, and why."""

    agreement_id: int
    agreement: str
    period_start: date
    reason: DomainError


@dataclass(frozen=True, slots=True)
class InvoicingRun:
    """What a run through a date drafted, and what it had to leave out."""

    invoices: tuple[Invoice, ...]
    parked: tuple[Parked, ...]


@command(roles=FINANCE)
def invoice_agreements_through(
    *, actor: Actor, through: date, agreement_ids: Sequence[int] | None = None, invoice_date: date | None = None
) -> InvoicingRun:
    """Draft the invoice of every period that has begun by ``through`` and is not invoiced (WE-19).

    An agreement that cannot be billed is left out with its reason, and the others go on. Running it twice adds nothing.

    Args:
        actor: who invoices.
        through: the last first day of a period that is billed.
        agreement_ids: only these agreements; ``None`` is all.
        invoice_date: one date for all; ``None`` dates each invoice on the first day of its period.

    Raises:
        DomainError: ``period_missing`` when the books do not reach ``through``: a slip of the year would bill decades.
    """
    refuse_beyond_the_books(through)
    invoices: list[Invoice] = []
    parked: dict[int, Parked] = {}
    for row in unbilled_periods(through=through):
        if row.agreement_id in parked or (agreement_ids is not None and row.agreement_id not in agreement_ids):
            continue
        try:
            invoices.append(
                invoice_agreement(
                    actor=actor,
                    agreement_id=row.agreement_id,
                    period_start=row.period.start,
                    invoice_date=invoice_date,
                )
            )
        except DomainError as reason:
            parked[row.agreement_id] = Parked(row.agreement_id, row.agreement, row.period.start, reason)
    text = f"invoiced agreements through {format_date(through)}: {len(invoices)} drafted, {len(parked)} left out"
    audit.record(actor, "billing.agreements.invoiced", text, parked=[row.agreement for row in parked.values()])
    return InvoicingRun(tuple(invoices), tuple(parked.values()))


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
        bill_to_id: who gets it; ``None`` is the order's bill-to.

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
        due_date=due_date(on, order.terms or bill_to.terms),
        sales_order=order,
        customer_po=order.customer_po,
        tax_code=tax_code_of(order.tax_code, order.site, order.company),
    )
    set_bill_to(invoice, bill_to)
    write_draft(invoice, lines)
    text = f"drafted the invoice of {order} to {bill_to.name}: {_amounts(invoice)}"
    audit.record(actor, "billing.invoice.drafted", text, invoice, order=order.number)
    return invoice


def _lines_to_bill(order: SalesOrder, ordered: Sequence[SalesOrderLine]) -> list[InvoiceLine]:
    rest, invoiced, received = unrelieved(ordered), invoiced_of(ordered), received_for(ordered)
    lines = []
    for source in ordered:
        if source.product.is_stocked:
            quantity, cost = rest[source.pk].quantity, rest[source.pk].cost
            why = f"{plain(quantity)} shipped and not yet invoiced"
        else:
            quantity = source.quantity - invoiced[source.pk]
            cost = _cost_for_information(source, quantity, received[source.pk])
            why = f"{plain(quantity)} of {plain(source.quantity)} ordered"
        if quantity > 0:
            lines.append(
                InvoiceLine(
                    product=source.product,
                    description=source.description,
                    quantity=quantity,
                    unit_price=source.unit_price,
                    amount=extend(quantity, source.unit_price),
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
    invoice = _draft(invoice_id)
    bill_to, before = existing(Company.objects.select_related("terms"), company_id, "bill_to"), invoice.bill_to_name
    check_billable(bill_to)
    lines = list(invoice.lines.select_related("order_line", "addition"))
    check_prices(bill_to, lines)
    set_bill_to(invoice, bill_to)
    for line in lines:
        line.taxable = not bill_to.is_internal and _taxable_by_origin(line, invoice)
    InvoiceLine.objects.bulk_update(lines, ["taxable"])
    invoice.due_date = due_date(invoice.date, _terms_of(invoice))
    reckon(invoice)
    text = f"changed the bill-to of {invoice} from {before} to {bill_to.name}: {_amounts(invoice)}"
    audit.record(actor, "billing.invoice.bill_to_changed", text, invoice)
    return invoice


def _taxable_by_origin(line: InvoiceLine, invoice: Invoice) -> bool:
    """Whether a line is taxed when a customer pays it."""
    if line.order_line is not None:
        return line.order_line.taxable
    if line.addition is not None:
        return line.addition.taxable
    return invoice.agreement is not None and invoice.agreement.billing_amount_taxable


def _terms_of(invoice: Invoice) -> BillingTerms | None:
    source = invoice.agreement or invoice.sales_order
    return (source.terms if source else None) or invoice.bill_to.terms


@command(roles=FINANCE)
def update_invoice(
    *,
    actor: Actor,
    invoice_id: int,
    date: date | None = None,
    due_date: date | None = None,
    customer_po: str | None = None,
) -> Invoice:
    """Change the head of a draft; what is ``None`` stays. A new date moves the due date by the terms.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``invalid`` when due before its date.
    """
    invoice = _draft(invoice_id)
    if date is not None:
        invoice.date = date
        invoice.due_date = _due(date, _terms_of(invoice))
    invoice.due_date = due_date or invoice.due_date
    invoice.customer_po = invoice.customer_po if customer_po is None else customer_po.strip()
    if invoice.due_date < invoice.date:
        raise DomainError("invalid", "An invoice cannot be due before its date.", field="due_date")
    invoice.save()
    text = f"changed {invoice}: dated {format_date(invoice.date)}, due {format_date(invoice.due_date)}"
    audit.record(actor, "billing.invoice.changed", text, invoice)
    return invoice


_due = due_date  # the arguments of update_invoice have the names of the fields


@command(roles=FINANCE)
def update_invoice_line(
    *,
    actor: Actor,
    line_id: int,
    description: str | None = None,
    unit_price: Decimal | None = None,
    taxable: bool | None = None,
) -> InvoiceLine:
    """Change a line of a draft; what is ``None`` stays. Quantity and cost are those of what was delivered.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed; ``price_on_internal_company``; ``invalid``.
    """
    line = existing(InvoiceLine.objects.all(), line_id)
    invoice = _draft(line.invoice_id)
    before = f"{plain(line.unit_price)}{' taxable' if line.taxable else ''}"
    line.description = line.description if description is None else description.strip()
    line.taxable = line.taxable if taxable is None else taxable
    if not line.description:
        raise DomainError("required", "A line needs a description.", field="description")
    if unit_price is not None:
        check_price(unit_price, "unit_price")
        line.unit_price, line.amount = unit_price, extend(line.quantity, unit_price)
        line.explanation = f"{plain(line.quantity)} × {plain(unit_price)}, entered by {actor.name}"[:300]
    if invoice.bill_to.is_internal and line.taxable:
        raise DomainError(
            "invalid", f"{invoice.bill_to_name} is an internal company; nothing on it is taxed.", field="taxable"
        )
    check_prices(invoice.bill_to, [line])
    line.save()
    reckon(invoice)
    after = f"{plain(line.unit_price)}{' taxable' if line.taxable else ''}"
    text = f"changed “{line.description}” on {invoice} from {before} to {after}: {_amounts(invoice)}"
    audit.record(actor, "billing.invoice.changed", text, invoice)
    return line


@command(roles=FINANCE)
def delete_draft_invoice(*, actor: Actor, invoice_id: int) -> None:
    """Delete a draft; its period, or what it would have billed, can be invoiced again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` once closed.
    """
    invoice = _draft(invoice_id)
    of = invoice.agreement or invoice.sales_order
    audit.record(actor, "billing.invoice.deleted", f"deleted {invoice} of {of}: {_amounts(invoice)}", invoice)
    invoice.delete()


@command(roles=FINANCE)
def close_invoice(*, actor: Actor, invoice_id: int, now: datetime) -> Invoice:
    """Close a draft: it gets its number, keeps the bill-to's name and address as they are now, and never changes again.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when closed already; ``required`` without lines; ``not_shipped``
            when a line bills stock that has not left, or had not by the invoice's date; ``my_company_not_billable``;
            ``price_on_internal_company``.
    """
    invoice = locked(Invoice.objects.select_related("bill_to"), invoice_id)
    check_transition("invoice", str(invoice), invoice.status, InvoiceStatus.CLOSED)
    lines = list(invoice.lines.select_related("order_line", "product"))
    if not lines:
        raise DomainError("required", f"{invoice} has no lines to bill.", field="lines")
    check_billable(invoice.bill_to)
    check_prices(invoice.bill_to, lines)
    check_shipped(invoice, lines)
    set_bill_to(invoice, invoice.bill_to)
    invoice.number = take_number("invoice")
    invoice.line_count, invoice.tax_count = len(lines), invoice.taxes.count()
    invoice.balance = invoice.total
    invoice.status, invoice.closed_at = InvoiceStatus.CLOSED, now
    invoice.save()
    text = (
        f"closed {invoice.number} to {invoice.bill_to_name}: {_amounts(invoice)}, due {format_date(invoice.due_date)}"
    )
    audit.record(actor, "billing.invoice.closed", text, invoice)
    return invoice


def _draft(invoice_id: int) -> Invoice:
    invoice = locked(
        Invoice.objects.select_related("bill_to__terms", "tax_code", "agreement__terms", "sales_order__terms"),
        invoice_id,
    )
    if invoice.status != InvoiceStatus.DRAFT:
        raise DomainError("wrong_state", f"{invoice} is {words(invoice.status)}; only a draft can be changed.")
    return invoice


def _amounts(invoice: Invoice) -> str:
    return (
        f"{format_money(invoice.subtotal)} and tax {format_money(invoice.tax_total)}, total"
        f" {format_money(invoice.total)}"
    )


@dataclass(frozen=True, slots=True)
class InvoicePayment:
    """What of a payment settles which invoice."""

    invoice_id: int
    amount: Decimal


@command(roles=FINANCE)
def record_payment(
    *,
    actor: Actor,
    company_id: int,
    on: date,
    amount: Decimal,
    applications: Sequence[InvoicePayment] = (),
    bank_account_id: int | None = None,
    reference: str = "",
) -> Payment:
    """Record money from a customer, settle invoices with it, and book it: Dr bank / Cr accounts receivable.

    Args:
        actor: who records it.
        company_id: who paid: the bill-to of the invoices.
        on: the day the money came in.
        amount: how much.
        applications: which invoices it settles; they add up to ``amount``. None settles the oldest first.
        bank_account_id: where it went; ``None`` is the default bank account.
        reference: the check's number or the like.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a draft; ``invalid`` for more than a balance, an invoice of
            somebody else, parts that do not add up; ``period_closed``, ``period_missing``, ``gl_mapping_missing``.
    """
    company = existing(Company.objects.all(), company_id, "company")
    check_amount(amount, "amount")
    wanted = {each.invoice_id for each in applications} or {row.pk for row in open_invoices(company_id=company.pk)}
    invoices = locked_all(Invoice.objects.all(), wanted, "applications")
    balances = balances_of_invoices(invoices.values())
    applications = applications or _oldest_first(company, amount, invoices, balances)
    _check_applications(company, amount, applications, invoices, balances)
    bank = bank_account(bank_account_id)
    payment = Payment.objects.create(
        number=take_number("payment"),
        company=company,
        date=on,
        amount=amount,
        bank_account=bank,
        reference=reference.strip(),
    )
    PaymentApplication.objects.bulk_create(
        PaymentApplication(payment=payment, invoice=invoices[each.invoice_id], amount=each.amount)
        for each in applications
    )
    draft = post_customer_payment(
        accounts=paid_through(bank),
        on=on,
        source_id=payment.pk,
        customer=company.pk,
        amount=amount,
        memo=f"Payment {payment} from {company.name}",
    )
    assert draft is not None  # a payment is above zero
    post_drafts([Posting(draft, source_label=payment.number)], actor=actor)
    settled = ", ".join(str(invoices[each.invoice_id]) for each in applications)
    text = f"recorded {payment}, {format_money(amount)} from {company.name} on {format_date(on)} for {settled}"
    audit.record(actor, "billing.payment.recorded", text, payment)
    return payment


def _oldest_first(
    company: Company, amount: Decimal, invoices: dict[int, Invoice], balances: dict[int, Decimal]
) -> list[InvoicePayment]:
    """Settle the invoices that fell due first."""
    applications, left = [], amount
    for invoice in sorted(invoices.values(), key=lambda invoice: (invoice.due_date, invoice.pk)):
        if (part := min(left, balances[invoice.pk])) > 0:
            applications.append(InvoicePayment(invoice.pk, part))
            left -= part
    if left:
        raise DomainError(
            "invalid",
            f"{format_money(amount)} is more than the {format_money(amount - left)} that {company.name} owes.",
            field="amount",
        )
    return applications


def _check_applications(
    company: Company,
    amount: Decimal,
    applications: Sequence[InvoicePayment],
    invoices: dict[int, Invoice],
    balances: dict[int, Decimal],
) -> None:
    left = dict(balances)
    for index, each in enumerate(applications):
        invoice, where = invoices[each.invoice_id], f"applications[{index}]"
        if invoice.status != InvoiceStatus.CLOSED:
            raise DomainError("wrong_state", f"{invoice} is not closed; it cannot be paid.", field=where)
        if invoice.bill_to_id != company.pk:
            raise DomainError("invalid", f"{invoice} was not billed to {company.name}.", field=where)
        check_amount(each.amount, f"{where}.amount")
        if each.amount > left[invoice.pk]:
            raise DomainError(
                "invalid",
                f"{format_money(each.amount)} is more than the {format_money(left[invoice.pk])} open on {invoice}.",
                field=f"{where}.amount",
            )
        left[invoice.pk] -= each.amount
    if sum_money(each.amount for each in applications) != amount:
        raise DomainError(
            "invalid", f"What is applied does not add up to the payment of {format_money(amount)}.", field="amount"
        )
