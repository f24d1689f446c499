"""Credit memos of invoices: in part, whole, reversed and reissued; and what credits settle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import cast

from django.db.models import Max, Q

from counterfoil.agreements import billing_state
from counterfoil.billing.charges import lines_of_charge
from counterfoil.billing.closing import close
from counterfoil.billing.down_payments import apply_to_draft, refusal, remaining_of
from counterfoil.billing.drafts import amounts, due_date, set_bill_to
from counterfoil.billing.earned import earned_by
from counterfoil.billing.holds import free_charges, hold_charges, reopen_periods, standing
from counterfoil.billing.models import CreditApplication, Invoice, InvoiceLine, InvoiceStatus, InvoiceType
from counterfoil.billing.taxing import credited_of, reckon, reckon_credit
from counterfoil.companies.models import BillingTerms
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.core.money import ZERO, format_money, round_money, sum_money
from counterfoil.core.states import words
from counterfoil.platform import audit
from counterfoil.platform.amounts import check_amount, check_quantity
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked, locked_all
from counterfoil.usage import allocating
from counterfoil.usage.models import Charge, OpenPart
from counterfoil.usage.queries import is_split

FINANCE = (Role.FINANCE,)

refuse_as(
    "no_more_settled_than_owed", "invalid", "More would be settled than is open. Reload and look at the balance again."
)


@dataclass(frozen=True, slots=True)
class CreditLine:
    """What of a line is credited: a quantity, or an amount before tax; all that is left of it without either.

    Attributes:
        line_id: the line of the invoice.
        quantity: how much of what was billed.
        amount: or how much money, above zero.
    """

    line_id: int
    quantity: Decimal | None = None
    amount: Decimal | None = None


@command(roles=FINANCE)
def credit_invoice(
    *, actor: Actor, invoice_id: int, on: date, reason: str, lines: Sequence[CreditLine] = ()
) -> Invoice:
    """Draft a credit memo of a closed invoice, with the rates and the rounding of that invoice.

    Any number of credit memos can be made of an invoice; together they never give back more of a line, or of its tax,
    than was billed, and once all is credited they give back exactly that. Goods do not come back by a credit memo, and
    what was ordered, worked or agreed is not billed again; to bill it anew, reverse the invoice.

    Args:
        actor: who credits.
        invoice_id: the closed invoice.
        on: the date of the credit memo.
        reason: printed above its lines.
        lines: what is credited; all that is left of the whole invoice when none are given.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a draft, a credit memo, or one that is credited whole already;
            ``invalid`` for more than is left, a date before the invoice's, or a down payment that has been applied.
    """
    invoice = _closed(invoice_id)
    _check_date(invoice, on)
    if not reason.strip():
        raise DomainError("required", "Say why it is credited.", field="reason")
    billed = {line.pk: line for line in invoice.lines.select_related("agreement")}
    credited, left = credited_of(invoice), left_to_credit(invoice)
    if not any(left.values()):
        raise _nothing_left(invoice)
    wanted = lines or [CreditLine(pk) for pk, amount in left.items() if amount]
    made = []
    for index, each in enumerate(wanted):
        where = f"lines[{index}]"
        if each.line_id not in billed:
            raise DomainError("not_found", f"{invoice} has no line with the id {each.line_id}.", field=where)
        line = billed[each.line_id]
        made.append(_credit_of(line, each, left[line.pk], credited.quantities.get(line.pk, Decimal(0)), where))
        left[line.pk] = sum_money([left[line.pk], made[-1].amount])
        credited.quantities[line.pk] = credited.quantities.get(line.pk, Decimal(0)) - made[-1].quantity
    memo = _memo(invoice, on, reason)
    _write(memo, made)
    text = f"drafted a credit memo of {invoice}: {amounts(memo)}; {reason.strip()}"
    audit.record(actor, "billing.invoice.credited", text, memo, credits=invoice.number)
    return memo


def left_to_credit(invoice: Invoice) -> dict[int, Decimal]:
    """What of each line can still be credited, drafts of credit memos out of it; with the sign of what was billed.

    What of a down payment was taken off invoices is not given back as well.
    """
    if invoice.type == InvoiceType.DOWN_PAYMENT:
        return remaining_of([invoice])[invoice.pk]
    credited = credited_of(invoice).amounts
    return {line.pk: sum_money([line.amount, -credited.get(line.pk, ZERO)]) for line in invoice.lines.all()}


def _nothing_left(invoice: Invoice) -> DomainError:
    applied = InvoiceLine.objects.filter(down_payment=invoice).order_by("-pk").select_related("invoice").first()
    if applied is None:
        return DomainError("wrong_state", f"{invoice} is credited whole already.")
    return DomainError(
        "wrong_state",
        f"Nothing is left of down payment {invoice}: it was taken off {applied.invoice}.",
        hint="Reverse that invoice, or take the line off the draft, first.",
    )


def _closed(invoice_id: int) -> Invoice:
    """A closed invoice, held: its credits are made one after the other."""
    invoice = locked(Invoice.objects.select_related("bill_to", "company", "agreement", "tax_code", "site"), invoice_id)
    if invoice.status != InvoiceStatus.CLOSED:
        raise DomainError("wrong_state", f"{invoice} is a draft: change or delete it instead.")
    if invoice.is_credit_memo:
        raise DomainError("wrong_state", f"{invoice} is a credit memo; only an invoice can be credited.")
    return invoice


def _check_date(invoice: Invoice, on: date) -> None:
    if on < invoice.date:
        raise DomainError(
            "invalid", f"{invoice} is dated {format_date(invoice.date)}; it cannot be credited before.", field="on"
        )


def _memo(invoice: Invoice, on: date, reason: str) -> Invoice:
    memo = Invoice(
        type=InvoiceType.CREDIT_MEMO,
        company=invoice.company,
        date=on,
        due_date=on,
        agreement=invoice.agreement,
        sales_order=invoice.sales_order,
        site=invoice.site,
        ticket=invoice.ticket,
        customer_po=invoice.customer_po,
        tax_code=invoice.tax_code,
        attention=invoice.attention,
        credits=invoice,
        top_comment=reason.strip(),
    )
    set_bill_to(memo, invoice.bill_to)
    return memo


def _credit_of(
    line: InvoiceLine, wanted: CreditLine, left: Decimal, quantity_before: Decimal, where: str
) -> InvoiceLine:
    if wanted.quantity is not None and wanted.amount is not None:
        raise DomainError("invalid", "Credit a quantity or an amount, not both.", field=where)
    if wanted.quantity is not None:
        quantity, price = wanted.quantity, line.unit_price
        check_quantity(quantity, f"{where}.quantity")
        after, whole = Fraction(quantity_before + quantity), Fraction(line.quantity)
        billed = Fraction(line.amount)
        amount = round_money(billed * after / whole) - round_money(billed * Fraction(quantity_before) / whole)
    elif wanted.amount is not None:
        check_amount(wanted.amount, f"{where}.amount")
        amount = wanted.amount if line.amount >= 0 else -wanted.amount
        quantity, price = Decimal(1), amount
    else:
        amount = left
        quantity, price = (line.quantity, line.unit_price) if left == line.amount else (Decimal(1), left)
    if not amount or abs(amount) > abs(left) or (amount < 0) != (left < 0):
        raise DomainError(
            "invalid",
            f"{format_money(left)} of “{line.description}” is left to credit; {format_money(amount)} cannot be.",
            field=where,
        )
    return _mirrored(line, quantity=-quantity, unit_price=price, amount=-amount)


def _mirrored(line: InvoiceLine, *, quantity: Decimal, unit_price: Decimal, amount: Decimal) -> InvoiceLine:
    """A line that gives back (a part of) another; what it is about stays."""
    return InvoiceLine(
        kind=line.kind,
        product_id=line.product_id,
        description=line.description,
        quantity=quantity,
        unit_price=unit_price,
        amount=amount,
        taxable=line.taxable,
        deferred=line.deferred,
        agreement_id=line.agreement_id,
        period_start=line.period_start,
        period_end=line.period_end,
        service_start=line.service_start,
        service_end=line.service_end,
        credited_line=line,
        explanation=f"Credit of {format_money(-amount)} of {format_money(line.amount)}"[:300],
    )


def _write(memo: Invoice, lines: Sequence[InvoiceLine]) -> None:
    memo.save()
    for position, line in enumerate(lines, start=1):
        line.invoice, line.position = memo, position
    InvoiceLine.objects.bulk_create(lines)
    reckon_credit(memo)


# -- reversing and reissuing -------------------------------------------------------------------------------------------


@command(roles=FINANCE)
def reverse_invoice(*, actor: Actor, invoice_id: int, on: date, reason: str, now: datetime) -> Invoice:
    """Take a closed invoice back whole: a credit memo that is closed at once and settles what is open of the invoice.

    What it billed can be billed again: work, expenses and products; what of the sales order it billed, with the cost of
    stock that had left; the agreement's period. Reissue it to start from its lines, or bill anew. What had been paid
    stays on the credit memo, to be applied to another invoice.

    Args:
        actor: who reverses.
        invoice_id: the closed invoice.
        on: the date of the credit memo.
        reason: printed on it.
        now: when it is closed.

    Returns:
        The credit memo.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a draft, a credit memo, one that is reversed or credited in
            part, or a down payment that has been applied; ``invalid`` for a date before the invoice's; ``required``
            without a reason; ``conflict`` while a billing run is writing invoices of the agreement.
    """
    invoice = _closed(invoice_id)
    _check_date(invoice, on)
    _check_reversible(invoice)
    if not reason.strip():
        raise DomainError("required", "Say why it is reversed.", field="reason")
    lines = list(invoice.lines.select_related("charge"))
    memo = _memo(invoice, on, reason)
    memo.reverses = invoice
    made = []
    for line in lines:
        back = _mirrored(line, quantity=-line.quantity, unit_price=line.unit_price, amount=-line.amount)
        back.cost, back.relieves_stock = -line.cost, line.relieves_stock
        back.covered_quantity, back.covered_amount = -line.covered_quantity, -line.covered_amount
        back.released_amount, back.hidden = -line.released_amount, line.hidden
        back.charge_id, back.order_line_id, back.addition_id = line.charge_id, line.order_line_id, line.addition_id
        back.down_payment_id, back.origin_id = line.down_payment_id, line.origin_id
        back.explanation = f"Reversal of {invoice.number}"
        made.append(back)
    _write(memo, made)
    close([memo], now)
    if invoice.balance:
        CreditApplication.objects.create(credit_memo=memo, invoice=invoice, date=on, amount=invoice.balance)
    free_charges([line.charge_id for line in lines])
    reopen_periods(invoice, lines)
    memo.refresh_from_db()
    text = f"reversed {invoice} with {memo.number}: {amounts(memo)}; {reason.strip()}"
    audit.record(actor, "billing.invoice.reversed", text, invoice, credit_memo=memo.number)
    return memo


def _check_reversible(invoice: Invoice) -> None:
    memo = invoice.credit_memos.order_by("pk").first()
    if memo is not None:
        done = "reversed by" if memo.reverses_id else "credited in part by"
        raise DomainError(
            "wrong_state",
            f"{invoice} is {done} {memo}.",
            hint="Credit what is left of it." if not memo.reverses_id else "",
        )
    applied = (
        InvoiceLine.objects.filter(down_payment=invoice, credited_line=None, invoice__reversed_by=None)
        .select_related("invoice")
        .first()
    )
    if applied is not None:
        raise DomainError(
            "wrong_state",
            f"Down payment {invoice} is applied to {applied.invoice}.",
            hint="Reverse that invoice, or take the line off the draft, first.",
        )


@command(roles=FINANCE)
def reissue_invoice(*, actor: Actor, invoice_id: int, on: date) -> Invoice:
    """Draft the invoice that takes the place of one that was reversed: its lines, to be changed before it is closed.

    Work is billed with the coverage that holds now. What has been billed elsewhere meanwhile is left out; so is what of
    a down payment has been taken off elsewhere.

    Args:
        actor: who reissues.
        invoice_id: the reversed invoice.
        on: the new invoice date.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` unless it is reversed and not reissued; ``already_invoiced`` when
            the agreement's period, or all of what it billed, has been billed again meanwhile; ``conflict`` while a
            billing run is writing invoices of the agreement.
    """
    invoice = locked(
        Invoice.objects.select_related("company", "bill_to", "agreement", "sales_order", "site", "tax_code"), invoice_id
    )
    if not Invoice.objects.filter(reverses=invoice).exists():
        raise DomainError("wrong_state", f"{invoice} is not reversed; reverse it first.")
    again = Invoice.objects.filter(reissues=invoice).first() or _period_again(invoice)
    if again is not None:
        raise DomainError("already_invoiced", f"{invoice} was invoiced again as {again}.")
    draft = Invoice(
        **{name: getattr(invoice, name) for name in _KEPT},
        date=on,
        reissues=invoice,
        revision=_next_revision(invoice),
    )
    set_bill_to(draft, invoice.bill_to)
    terms = BillingTerms.objects.filter(name=invoice.terms_name).first()
    days = invoice.due_date - invoice.date
    draft.due_date = due_date(on, terms) if terms else on + days
    lines = _lines_again(invoice)
    if not lines:
        raise DomainError("already_invoiced", f"All of {invoice} has been billed again.")
    draft.save()
    for position, line in enumerate(lines, start=1):
        line.invoice, line.position = draft, position
    InvoiceLine.objects.bulk_create(lines)
    hold_charges(line.charge_id for line in lines if line.charge_id is not None)
    reckon(draft)
    _take_off_again(actor, invoice, draft)
    if draft.agreement is not None and draft.period_start is not None:
        billing_state.reckon_due(draft.agreement)
    text = f"reissued {invoice} as a draft: {amounts(draft)}"
    audit.record(actor, "billing.invoice.reissued", text, draft, reissues=invoice.number)
    return draft


_KEPT = (
    "type", "company", "agreement", "period_start", "period_end", "is_adjustment", "sales_order", "site", "ticket",
    "customer_po", "reference", "top_comment", "bottom_comment", "tax_code", "attention", "terms_name",
)  # fmt: skip


def _period_again(invoice: Invoice) -> Invoice | None:
    """The invoice that has billed the agreement's period since."""
    if invoice.agreement_id is None or invoice.period_start is None or invoice.is_adjustment:
        return None
    of_period = Invoice.objects.filter(
        agreement=invoice.agreement, period_start=invoice.period_start, is_adjustment=False, reversed_by=None
    )
    return of_period.exclude(type=InvoiceType.CREDIT_MEMO).first()


def _next_revision(invoice: Invoice) -> int:
    if invoice.agreement_id is None or invoice.period_start is None:
        return invoice.revision + 1
    found = Invoice.objects.filter(agreement=invoice.agreement, period_start=invoice.period_start)
    return cast(int, found.aggregate(last=Max("revision"))["last"]) + 1


_COPIED = (
    "kind", "product_id", "description", "quantity", "unit_price", "amount", "cost", "relieves_stock", "taxable",
    "explanation", "deferred", "agreement_id", "addition_id", "period_start", "period_end", "service_start",
    "service_end", "order_line_id", "origin_id",
)  # fmt: skip


def _lines_again(invoice: Invoice) -> list[InvoiceLine]:
    """The lines once more; work with the coverage that holds now, and only what stands on no other invoice.

    Without what was earned of a block, and without down payments: what is left of those is taken off anew.
    """
    lines = list(invoice.lines.order_by("position"))
    ids = [line.charge_id for line in lines if line.charge_id is not None]
    charges = {
        charge.pk: charge
        for charge in Charge.objects.filter(
            Q(billed=False) | ~Q(open_part=OpenPart.NOTHING), pk__in=ids, written_off_at=None
        ).select_related("allocation__agreement", "agreement", "product")
        if _has_open(charge, lines)
    }
    agreements = {charge.agreement for charge in charges.values() if charge.agreement and charge.agreement.prepayment}
    terms = {pk: outcome.terms for pk, outcome in allocating.decide(agreements).items()} if agreements else {}
    earned = earned_by([pk for pk, charge in charges.items() if charge.part != OpenPart.BEYOND], terms)
    taken = _ordered_again(invoice, lines)
    made: list[InvoiceLine] = []
    for line in lines:
        if line.charge_id is not None:
            if (charge := charges.pop(line.charge_id, None)) is not None:
                again = lines_of_charge(charge, earned.get(charge.pk, ZERO))
                for each in again if charge.part == OpenPart.OVERRUN else ():
                    each.period_start, each.period_end = line.period_start, line.period_end
                made += again
        elif line.order_line_id not in taken and not line.released_amount and line.down_payment_id is None:
            made.append(InvoiceLine(**{name: getattr(line, name) for name in _COPIED}))
    return made


def _take_off_again(actor: Actor, invoice: Invoice, draft: Invoice) -> None:
    """Down payments that the reversed invoice took off, as far as they are left."""
    taken: dict[int, Decimal] = {}
    for line in invoice.lines.filter(down_payment__isnull=False).order_by("position"):
        pk = cast(int, line.down_payment_id)
        taken[pk] = sum_money([taken.get(pk, ZERO), -line.amount])
    found = Invoice.objects.select_related("agreement", "sales_order").in_bulk(taken)
    for pk, amount in taken.items():
        left = sum_money(remaining_of([found[pk]])[pk].values())
        again = min(amount, left, draft.subtotal)
        if again > 0 and not refusal(found[pk], draft):
            apply_to_draft(actor, draft, found[pk], again)


def _has_open(charge: Charge, lines: Sequence[InvoiceLine]) -> bool:
    """Whether what an invoice had billed of a charge is open again; notes the part, where an overrun limit cuts it."""
    if not is_split(charge):
        return not charge.billed
    mine = [line for line in lines if line.charge_id == charge.pk]
    if sum(line.quantity for line in mine) < charge.billed_quantity:
        charge.part = OpenPart.BEYOND if mine[0].period_start is None else OpenPart.OVERRUN
        return charge.open_part in (OpenPart.NOTHING, charge.part)
    return not charge.billed


def _ordered_again(invoice: Invoice, lines: Sequence[InvoiceLine]) -> set[int]:
    """Lines of sales orders that were invoiced again since the reversal."""
    ids = [line.order_line_id for line in lines if line.order_line_id is not None]
    since = standing().filter(order_line__in=ids, invoice__pk__gt=invoice.pk).exclude(invoice=invoice)
    return {pk for pk in since.values_list("order_line", flat=True) if pk is not None}


# -- applying ----------------------------------------------------------------------------------------------------------


@command(roles=FINANCE)
def apply_credit(
    *, actor: Actor, credit_memo_id: int, invoice_id: int, on: date, amount: Decimal | None = None
) -> CreditApplication:
    """Settle an invoice with a credit memo of the same bill-to; the books do not move.

    Args:
        actor: who applies it.
        credit_memo_id: a closed credit memo.
        invoice_id: a closed invoice.
        on: the day it is applied, not before either of them.
        amount: as much as is open of both when it is not given.

    Raises:
        DomainError: ``not_found``; ``wrong_state`` for a draft; ``invalid`` for more than is open of either, for two
            bill-tos, for a day before either, or for a document that is no credit memo or no invoice.
    """
    rows = locked_all(Invoice.objects.all(), {credit_memo_id, invoice_id})
    memo, invoice = rows[credit_memo_id], rows[invoice_id]
    if not memo.is_credit_memo or invoice.is_credit_memo:
        raise DomainError("invalid", "A credit memo is applied to an invoice.", field="invoice_id")
    for each, where in ((memo, "credit_memo_id"), (invoice, "invoice_id")):
        if each.status != InvoiceStatus.CLOSED:
            raise DomainError("wrong_state", f"{each} is {words(each.status)}; close it first.", field=where)
    if memo.bill_to_id != invoice.bill_to_id:
        raise DomainError("invalid", f"{invoice} was not billed to {memo.bill_to_name}.", field="invoice_id")
    if on < max(memo.date, invoice.date):
        raise DomainError(
            "invalid", f"It can be applied from {format_date(max(memo.date, invoice.date))} on.", field="on"
        )
    most = min(-memo.balance, invoice.balance)
    amount = most if amount is None else amount
    if not most:
        raise DomainError("invalid", f"Nothing is open of {memo if not memo.balance else invoice}.", field="amount")
    check_amount(amount, "amount")
    if amount > most:
        raise DomainError(
            "invalid",
            f"{format_money(-memo.balance)} is open of {memo}, and {format_money(invoice.balance)} of {invoice}.",
            field="amount",
        )
    applied = CreditApplication.objects.create(credit_memo=memo, invoice=invoice, date=on, amount=amount)
    text = f"applied {format_money(amount)} of {memo} to {invoice} on {format_date(on)}"
    audit.record(actor, "billing.credit.applied", text, memo, invoice=invoice.number)
    return applied
