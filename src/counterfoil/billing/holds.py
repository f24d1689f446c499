"""What an invoice holds while it stands, and letting go of it: work that is billed, and an agreement's period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from django.db.models import QuerySet

from counterfoil.agreements import billing_state
from counterfoil.agreements.models import Agreement
from counterfoil.agreements.terms import head_of
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.usage import allocating
from counterfoil.usage.models import Charge


def hold_charges(charge_ids: Iterable[int]) -> None:
    """Mark work as billed: its coverage stays as it is."""
    Charge.objects.filter(pk__in=list(charge_ids)).update(billed=True)


def free_charges(charge_ids: Iterable[int | None]) -> None:
    """Let work be billed again that stands on no invoice any more; what covers it is decided anew."""
    ids = {pk for pk in charge_ids if pk is not None}
    if not ids:
        return
    held = standing().filter(charge__in=ids).values_list("charge", flat=True)
    free = Charge.objects.filter(pk__in=ids - set(held), billed=True)
    agreements = set(free.filter(agreement__isnull=False).values_list("agreement", flat=True))
    free.update(billed=False)
    allocating.refresh(pk for pk in agreements if pk is not None)


def standing() -> QuerySet[InvoiceLine]:
    """Lines that hold what they bill: of invoices that are not reversed, drafts included, and of no credit."""
    return InvoiceLine.objects.filter(invoice__reversed_by=None, credited_line=None).order_by()


def reopen_periods(invoice: Invoice, lines: Sequence[InvoiceLine]) -> None:
    """Let billing look again at the periods that the invoice (deleted or reversed) has billed.

    Raises:
        DomainError: ``conflict`` while a billing run is writing invoices of the agreement.
    """
    agreement = invoice.agreement
    recurring = [line for line in lines if line.period_start is not None and line.charge_id is None]
    if agreement is None or not (recurring or invoice.period_start):
        return
    own = None
    if invoice.period_start is not None and not invoice.is_adjustment and agreement.parent_id is None:
        index = billing_state.index_of(agreement, invoice.period_start)
        if index is not None:
            billing_state.back_to(agreement, index)
            own = invoice.period_start  # billed anew, or reissued
    ids = {line.agreement_id or agreement.pk for line in recurring}
    members = Agreement.objects.select_related("parent").in_bulk(ids)
    since: dict[int, date] = {}
    for line in recurring:
        member = members[line.agreement_id or agreement.pk]
        if line.period_start != own or head_of(member) != agreement:
            start = cast(date, line.period_start)
            since[member.pk] = min(start, since.get(member.pk, start))
    for pk in sorted(since):
        billing_state.touch(members[pk], since[pk])
