"""What agreements earn, and what the work on each was worth by it.

Billed is what stands on closed invoices of the period, credits taken off; its cost is that of the additions and of what
else is billed with the agreement. Hours are those worked, at the cost of their work role and type, by the day worked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db.models import F, QuerySet, Sum
from django.db.models.functions import Coalesce, TruncMonth

from counterfoil.agreements.models import Agreement, ApplicationUnits
from counterfoil.billing.models import InvoiceLine, InvoiceStatus
from counterfoil.core.money import ZERO, extend, round_money, sum_money
from counterfoil.core.profitability import Profitability, WorkRecord, profitability, write_down
from counterfoil.usage.models import Charge, ChargeKind


@dataclass(frozen=True, slots=True)
class ProfitRow:
    """What an agreement has earned in a period (WE-32)."""

    agreement_id: int
    agreement: str
    name: str
    customer: str
    earned: Profitability


def agreement_profit(*, first: date, last: date) -> tuple[ProfitRow, ...]:
    """The agreements that were billed or worked for from ``first`` through ``last``, the worst first (four queries)."""
    billed = {
        pk: (amount, cost)
        for pk, amount, cost in _lines(first, last)
        .values_list("of")
        .annotate(amount=Sum("amount"), spent=Sum("cost"))
        .values_list("of", "amount", "spent")
    }
    worked: dict[int, list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for pk, hours, cost in _time(first, last).values_list("agreement_id", "quantity", "unit_cost"):
        worked[pk].append((hours, extend(hours, cost)))
    spent: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for pk, quantity, cost in (
        Charge.objects.filter(date__gte=first, date__lte=last, agreement__isnull=False)
        .exclude(kind=ChargeKind.TIME)
        .order_by()
        .values_list("agreement_id", "quantity", "unit_cost")
    ):
        spent[pk] += extend(quantity, cost)
    agreements = Agreement.objects.filter(pk__in={*billed, *worked, *spent}).select_related("company")
    rows = [
        _profit_row(each, *billed.get(each.pk, (ZERO, ZERO)), spent[each.pk], worked[each.pk]) for each in agreements
    ]
    return tuple(sorted(rows, key=lambda row: (row.earned.profit, row.agreement)))


def _profit_row(
    agreement: Agreement, billed: Decimal, cost: Decimal, spent: Decimal, worked: list[tuple[Decimal, Decimal]]
) -> ProfitRow:
    return ProfitRow(
        agreement.pk,
        agreement.number,
        agreement.name,
        agreement.company.name,
        profitability(
            billed=billed,
            additions_cost=sum_money((cost, spent)),
            labour_cost=sum_money(cost for _, cost in worked),
            hours=sum((hours for hours, _ in worked), Decimal(0)),
        ),
    )


@dataclass(frozen=True, slots=True)
class WorkValueRow:
    """A time entry, what it is worth at the agreed rate, and its share of what its agreement bears (WE-4).

    ``effective_rate`` is what an hour of the month was worth, the same for all entries of an agreement and month.
    """

    charge_id: int
    agreement_id: int
    agreement: str
    customer: str
    month: date
    on: date
    member: str
    description: str
    hours: Decimal
    value: Decimal
    share: Decimal
    effective_rate: Decimal | None


def work_value(*, first: date, last: date) -> tuple[WorkValueRow, ...]:
    """Each time entry from ``first`` through ``last``, written down where a month's work exceeds what pays for it.

    What pays for a month's work is the allocation of an agreement that counts in amounts, else what was billed for the
    agreement in the month, less the cost of what was billed with it. Invoices are not changed by it.
    """
    paid = {
        (pk, month): max(sum_money((amount, -cost)), ZERO)
        for pk, month, amount, cost in _lines(first.replace(day=1), last)
        .annotate(month=TruncMonth("invoice__date"))
        .values_list("of", "month")
        .annotate(amount=Sum("amount"), spent=Sum("cost"))
        .values_list("of", "month", "amount", "spent")
    }
    groups: dict[tuple[int, date], list[Charge]] = defaultdict(list)
    for charge in _time(first, last).select_related("agreement__company").order_by("date", "id"):
        groups[charge.agreement_id or 0, charge.date.replace(day=1)].append(charge)
    rows: list[WorkValueRow] = []
    for (pk, month), charges in groups.items():
        rows += _written_down(charges, month, paid.get((pk, month), ZERO))
    return tuple(sorted(rows, key=lambda row: (row.customer, row.agreement, row.on, row.charge_id)))


def _written_down(charges: list[Charge], month: date, paid: Decimal) -> Iterable[WorkValueRow]:
    agreement = charges[0].agreement
    assert agreement is not None
    in_amounts = agreement.application_units == ApplicationUnits.AMOUNT and not agreement.application_unlimited
    limit = paid
    if in_amounts and agreement.application_limit is not None:
        limit = round_money(agreement.application_limit)
    found = write_down(limit, [WorkRecord(each.pk, each.quantity, each.amount) for each in charges])
    for charge, record in zip(charges, found.records, strict=True):
        yield WorkValueRow(
            charge_id=charge.pk,
            agreement_id=agreement.pk,
            agreement=agreement.number,
            customer=agreement.company.name,
            month=month,
            on=charge.date,
            member=charge.member,
            description=charge.description,
            hours=charge.quantity,
            value=charge.amount,
            share=record.amount,
            effective_rate=found.effective_rate,
        )


def _lines(first: date, last: date) -> Any:
    """Lines of closed invoices of the period that are about an agreement, ``of``."""
    return (
        InvoiceLine.objects.filter(
            invoice__status=InvoiceStatus.CLOSED, invoice__date__gte=first, invoice__date__lte=last
        )
        .annotate(of=Coalesce(F("agreement_id"), F("invoice__agreement_id")))
        .filter(of__isnull=False)
        .order_by()
    )


def _time(first: date, last: date) -> QuerySet[Charge]:
    """Time worked in the period for an agreement."""
    return Charge.objects.filter(
        kind=ChargeKind.TIME, date__gte=first, date__lte=last, agreement__isnull=False
    ).order_by()
