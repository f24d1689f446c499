"""Drafts of agreements' invoices: of one period, or of everything that is due; the billing run does it by thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from counterfoil.agreements import billing_state
from counterfoil.agreements.models import Agreement
from counterfoil.billing.deposits import take_deposits_off
from counterfoil.billing.drafts import amounts
from counterfoil.billing.models import Invoice
from counterfoil.billing.rating import Asked, rate
from counterfoil.billing.recurring import period_to_bill, refuse_beyond_the_books
from counterfoil.billing.runs import due_agreements
from counterfoil.billing.writing import hold, move_on, write_invoices
from counterfoil.core.calendar import format_date
from counterfoil.core.errors import DomainError
from counterfoil.platform import audit
from counterfoil.platform.commands import command, refuse_as
from counterfoil.platform.identity import Actor, Role
from counterfoil.platform.lookup import locked

FINANCE = (Role.FINANCE,)

_ANY_DAY: Final = date(9999, 12, 30)

refuse_as(
    "one_invoice_per_agreement_and_period", "already_invoiced", "The agreement is invoiced for that period already."
)


@command(roles=FINANCE)
def invoice_agreement(
    *, actor: Actor, agreement_id: int, period_start: date | None = None, invoice_date: date | None = None
) -> Invoice:
    """Draft the invoice of an agreement for one period: its billing amount and the additions in effect, with tax.

    What has changed in periods billed before rides on it. A parked agreement can be billed so, if it can be billed.

    Args:
        actor: who invoices.
        agreement_id: the agreement; children are billed with their parent.
        period_start: first day of the period; ``None`` is the earliest period that is not invoiced.
        invoice_date: ``None`` is the day the period falls due: its first, in arrears its last.

    Raises:
        DomainError: ``not_found``; ``already_invoiced``; ``my_company_not_billable``; ``price_on_internal_company``;
            ``wrong_state`` when the agreement has ended before; ``invalid`` when no period starts then, nothing is to
            be billed, or it is a child; ``conflict`` while a billing run is writing its invoices.
    """
    agreement = locked(Agreement.objects.select_related("parent"), agreement_id)
    if agreement.parent is not None:
        raise DomainError(
            "invalid",
            f"{agreement} is billed with {agreement.parent}.",
            field="agreement_id",
            hint=f"Invoice {agreement.parent}.",
        )
    billing_state.lock(agreement)
    period = period_to_bill(agreement, period_start)
    hold([agreement.pk], _ANY_DAY)
    asked = Asked(_ANY_DAY, invoice_date, period_start=period.start, bounded=False, parked=True)
    rating = rate([agreement.pk], asked)
    for parked in rating.parked:
        raise parked.reason
    if not rating.invoices:
        raise DomainError(
            "invalid",
            f"{agreement} has nothing to bill for {period.label}: no billing amount and no addition in effect.",
            hint="Add an addition, or check its effective date.",
        )
    ids = write_invoices(rating.invoices, now=datetime.now(UTC))
    move_on(rating.states)
    made = Invoice.objects.in_bulk(ids)
    for invoice in made.values():
        text = f"drafted the invoice of {agreement} for {period.label}: {amounts(invoice)}"
        audit.record(actor, "billing.invoice.drafted", text, invoice, agreement=agreement.number)
    take_deposits_off(actor, [made[pk] for pk in ids])
    return made[ids[0]]


@dataclass(frozen=True, slots=True)
class Parked:
    """An agreement that could not be invoiced, and why."""

    agreement_id: int
    agreement: str
    reason: DomainError


@dataclass(frozen=True, slots=True)
class InvoicingRun:
    """What was drafted through a date, and what had to be left out."""

    invoices: tuple[Invoice, ...]
    parked: tuple[Parked, ...]


@command(roles=FINANCE)
def invoice_agreements_through(
    *, actor: Actor, through: date, agreement_ids: Sequence[int] | None = None, invoice_date: date | None = None
) -> InvoicingRun:
    """Draft the invoices of all that falls due by ``through`` and is not invoiced (WE-19).

    An agreement that cannot be billed is left out with its reason, and the others go on. Running it twice adds nothing.

    Args:
        actor: who invoices.
        through: the last due date: of a period's first day, in arrears its last.
        agreement_ids: only these agreements; ``None`` is all.
        invoice_date: one date for all; ``None`` dates each invoice on the day its period falls due.

    Raises:
        DomainError: ``period_missing`` when the books do not reach ``through``: a slip of the year would bill decades.
    """
    refuse_beyond_the_books(through)
    wanted = None if agreement_ids is None else set(agreement_ids)
    ids = [pk for pk in due_agreements(through=through) if wanted is None or pk in wanted]
    hold(ids, through)
    rating = rate(ids, Asked(through, invoice_date))
    written = write_invoices(rating.invoices, now=datetime.now(UTC))
    move_on(rating.states)
    parked = tuple(Parked(*each) for each in rating.parked)
    text = f"invoiced agreements through {format_date(through)}: {len(written)} drafted, {len(parked)} left out"
    audit.record(actor, "billing.agreements.invoiced", text, parked=[each.agreement for each in parked])
    made = Invoice.objects.select_related("agreement").in_bulk(written)
    drafted = {pk: f"drafted the invoice of {each.agreement}: {amounts(each)}" for pk, each in made.items()}
    audit.record_each(actor, "billing.invoice.drafted", Invoice, drafted)
    take_deposits_off(actor, [made[pk] for pk in written])
    return InvoicingRun(tuple(made[pk] for pk in written), parked)
