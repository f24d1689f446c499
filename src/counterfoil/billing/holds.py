"""What an invoice holds while it stands, and letting go of it: work that is billed, and an agreement's period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import cast

from django.db.models import Max, QuerySet, Sum

from counterfoil.agreements import billing_state
from counterfoil.agreements.models import Agreement
from counterfoil.agreements.terms import head_of
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.usage import allocating
from counterfoil.usage.models import Charge, OpenPart
from counterfoil.usage.queries import SPLIT


def hold_charges(charge_ids: Iterable[int]) -> None:
    """Mark work as billed, once its lines are written: its coverage stays as it is.

    Of what an overrun limit cuts in two, the part that stands on no invoice stays open.
    """
    ids = list(charge_ids)
    Charge.objects.filter(pk__in=ids).update(billed=True, open_part=OpenPart.NOTHING)
    split = {charge.pk: charge for charge in Charge.objects.filter(SPLIT, pk__in=ids)} if ids else {}
    rows = (
        standing().filter(charge__in=split).values_list("charge").annotate(n=Sum("quantity"), rides=Max("period_start"))
    )
    for pk, quantity, rides in rows if split else ():
        charge = split[pk or 0]
        if quantity < charge.billed_quantity:
            charge.open_part = OpenPart.OVERRUN if rides is None else OpenPart.BEYOND
            charge.save(update_fields=["open_part"])


def free_charges(charge_ids: Iterable[int | None]) -> None:
    """Let work be billed again that stands on no invoice any more; what covers it is decided anew."""
    ids = {pk for pk in charge_ids if pk is not None}
    if not ids:
        return
    held = {pk for pk in standing().filter(charge__in=ids).values_list("charge", flat=True) if pk is not None}
    hold_charges(held)
    free = Charge.objects.filter(pk__in=ids - held, billed=True)
    agreements = set(free.filter(agreement__isnull=False).values_list("agreement", flat=True))
    free.update(billed=False, open_part=OpenPart.NOTHING)
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
