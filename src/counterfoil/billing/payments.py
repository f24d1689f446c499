"""What customers pay: recorded, applied to invoices at once or later, and taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from counterfoil.billing.models import Invoice, InvoiceStatus, Payment, PaymentApplication, PaymentReversal
from counterfoil.billing.queries import balances_of_invoices, open_invoices
from counterfoil.companies.models import Company
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import format_money, sum_money
from counterfoil.core.posting import post_customer_payment
from counterfoil.core.posting import reverse as reversed_draft
from counterfoil.ledger.banks import bank_account, paid_through
from counterfoil.ledger.commands import Posting, post_drafts
from counterfoil.ledger.models import JournalEntry
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import existing, locked, locked_all
from counterfoil.platform.numbering import take_number

FINANCE = (Role.FINANCE,)

refuse_as("no_more_applied_than_paid", "invalid", "No more of a payment can be applied than is left of it.")


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
    leave_rest: bool = False,
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
        leave_rest: whether what is not applied stays on the payment, to be applied later; else it is refused.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a draft; ``invalid`` for more than a balance, an invoice of
            somebody else, parts that do not add up; ``period_closed``, ``period_missing``, ``gl_mapping_missing``.
    """
    company = existing(Company.objects.all(), company_id, "company")
    check_amount(amount, "amount")
    wanted = {each.invoice_id for each in applications} or {row.pk for row in open_invoices(company_id=company.pk)}
    invoices = locked_all(Invoice.objects.all(), wanted, "applications")
    balances = balances_of_invoices(invoices.values())
    applications = applications or _oldest_first(company, amount, invoices, balances, leave_rest)
    _check_applications(company, applications, invoices, balances)
    _check_sum(amount, applications, leave_rest)
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
    payment.refresh_from_db(fields=["unapplied"])
    settled = ", ".join(str(invoices[each.invoice_id]) for each in applications) or "no invoice yet"
    text = f"recorded {payment}, {format_money(amount)} from {company.name} on {format_date(on)} for {settled}"
    audit.record(actor, "billing.payment.recorded", text, payment)
    return payment


@command(roles=FINANCE)
def apply_payment(*, actor: Actor, payment_id: int, on: date, applications: Sequence[InvoicePayment] = ()) -> Payment:
    """Settle invoices with what is left of a payment; the books do not move.

    Args:
        actor: who applies it.
        payment_id: the payment.
        on: the day it is applied, not before it came in.
        applications: which invoices it settles; none settles the oldest first.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when it was taken back, nothing is left of it, or for a draft;
            ``invalid`` for more than is left of it or open on an invoice, or an invoice of somebody else.
    """
    payment = locked(Payment.objects.select_related("company"), payment_id)
    left = payment.unapplied
    if PaymentReversal.objects.filter(payment=payment).exists():
        raise DomainError("wrong_state", f"{payment} was taken back.")
    if not left:
        raise DomainError("wrong_state", f"All of {payment} is applied.")
    if on < payment.date:
        raise DomainError("invalid", f"{payment} came in on {format_date(payment.date)}.", field="on")
    company = payment.company
    wanted = {each.invoice_id for each in applications} or {row.pk for row in open_invoices(company_id=company.pk)}
    invoices = locked_all(Invoice.objects.all(), wanted, "applications")
    balances = balances_of_invoices(invoices.values())
    applications = applications or _oldest_first(company, left, invoices, balances, leave_rest=True)
    if not applications:
        raise DomainError("invalid", f"{company.name} owes nothing that {payment} could settle.", field="applications")
    _check_applications(company, applications, invoices, balances)
    total = sum_money(each.amount for each in applications)
    if total > left:
        raise DomainError(
            "invalid",
            f"{format_money(left)} is left of {payment}; {format_money(total)} cannot be applied.",
            field="amount",
        )
    PaymentApplication.objects.bulk_create(
        PaymentApplication(payment=payment, invoice=invoices[each.invoice_id], amount=each.amount, date=on)
        for each in applications
    )
    payment.refresh_from_db(fields=["unapplied"])
    settled = ", ".join(str(invoices[each.invoice_id]) for each in applications)
    text = f"applied {format_money(total)} of {payment} on {format_date(on)} to {settled}"
    audit.record(actor, "billing.payment.applied", text, payment)
    return payment


@command(roles=FINANCE)
def reverse_payment(*, actor: Actor, payment_id: int, on: date, reason: str) -> PaymentReversal:
    """Take a payment back, a check that bounced: what it settled is open again, and the books are reversed.

    Args:
        actor: who takes it back.
        payment_id: the payment.
        on: the day, not before it came in.
        reason: why.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` when it was taken back already; ``invalid`` for a day before;
            ``required`` without a reason; ``period_closed``, ``period_missing``.
    """
    payment = locked(Payment.objects.select_related("company", "bank_account"), payment_id)
    if PaymentReversal.objects.filter(payment=payment).exists():
        raise DomainError("wrong_state", f"{payment} was taken back already.")
    if on < payment.date:
        raise DomainError("invalid", f"{payment} came in on {format_date(payment.date)}.", field="on")
    if not reason.strip():
        raise DomainError("required", "Say why it is taken back.", field="reason")
    reversal = PaymentReversal.objects.create(payment=payment, date=on, reason=reason.strip())
    entry = JournalEntry.objects.filter(source_type="customer_payment", source_id=payment.pk, step="payment").first()
    draft = post_customer_payment(
        accounts=paid_through(payment.bank_account),
        on=payment.date,
        source_id=payment.pk,
        customer=payment.company_id,
        amount=payment.amount,
        memo=f"Payment {payment} from {payment.company.name}",
    )
    assert draft is not None  # a payment is above zero
    reverses = {0: entry} if entry is not None else None
    post_drafts([Posting(reversed_draft(draft, on), source_label=payment.number)], actor=actor, reverses=reverses)
    text = f"took back {payment}, {format_money(payment.amount)} from {payment.company.name}: {reason.strip()}"
    audit.record(actor, "billing.payment.reversed", text, payment)
    return reversal


def _oldest_first(
    company: Company,
    amount: Decimal,
    invoices: dict[int, Invoice],
    balances: dict[int, Decimal],
    leave_rest: bool = False,
) -> list[InvoicePayment]:
    """Settle the invoices that fell due first."""
    applications, left = [], amount
    for invoice in sorted(invoices.values(), key=lambda invoice: (invoice.due_date, invoice.pk)):
        if (part := min(left, balances[invoice.pk])) > 0:
            applications.append(InvoicePayment(invoice.pk, part))
            left -= part
    if left and not leave_rest:
        raise DomainError(
            "invalid",
            f"{format_money(amount)} is more than the {format_money(amount - left)} that {company.name} owes.",
            field="amount",
        )
    return applications


def _check_applications(
    company: Company,
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
    if len({each.invoice_id for each in applications}) < len(applications):
        raise DomainError("duplicate", "An invoice is named twice; settle each with one amount.")


def _check_sum(amount: Decimal, applications: Sequence[InvoicePayment], leave_rest: bool) -> None:
    applied = sum_money(each.amount for each in applications)
    if applied > amount or (applied < amount and not leave_rest):
        raise DomainError(
            "invalid", f"What is applied does not add up to the payment of {format_money(amount)}.", field="amount"
        )
