"""What a charge is billed at: the rows that say an hour's rate, gathered from entry, agreement, company and set-up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, TypeVar

from counterfoil.agreements.models import BillingOption, WorkRoleRate, WorkTypeRate
from counterfoil.catalog.models import RateType
from counterfoil.core import rates
from counterfoil.core.money import extend, multiply, round_to
from counterfoil.core.rates import RateLevel, RateRow, bill_hours, resolve_rate
from counterfoil.usage.models import Charge, ChargeKind

RateT = TypeVar("RateT", WorkRoleRate, WorkTypeRate)

_TYPES: Final = {
    RateType.CUSTOM.value: rates.RateType.CUSTOM,
    RateType.ADJUST.value: rates.RateType.ADJUSTMENT,
    RateType.MULTIPLIER.value: rates.RateType.MULTIPLIER,
}
_NEUTRAL: Final = {(RateType.MULTIPLIER.value, Decimal(1)), (RateType.ADJUST.value, Decimal(0))}
_PRICE_PLACES: Final = 8


class RateBook:
    """The dated rates of some agreements, loaded at once (two statements, none without agreements)."""

    def __init__(self, agreement_ids: Iterable[int | None]) -> None:
        ids = {pk for pk in agreement_ids if pk is not None}
        self._roles: dict[int, list[WorkRoleRate]] = defaultdict(list)
        self._types: dict[int, list[WorkTypeRate]] = defaultdict(list)
        if not ids:
            return
        for role in WorkRoleRate.objects.filter(agreement_id__in=ids).select_related("work_role"):
            self._roles[role.agreement_id or 0].append(role)
        for kind in WorkTypeRate.objects.filter(agreement_id__in=ids).select_related("work_type"):
            self._types[kind.agreement_id or 0].append(kind)

    def price(self, charge: Charge) -> None:
        """Set what the charge is billed at: rate, billed hours, amount, and how that came about. Cost, for time.

        Raises:
            DomainError: ``required`` when nothing says a rate.
        """
        if charge.kind != ChargeKind.TIME:
            charge.billed_quantity = charge.quantity
            charge.amount = extend(charge.billed_quantity, charge.unit_price)
            return
        rate = resolve_rate(self._rows(charge), on=charge.date, rounding="up")
        billed = bill_hours(charge.quantity, rate.hours)
        charge.billed_quantity = billed.hours
        charge.unit_price = rate.rate
        charge.overage_price = rate.overage_rate if rate.overage_rate != rate.rate else None
        charge.rate_words = f"{rate.explanation} {billed.explanation}".strip()
        charge.amount = extend(billed.hours, rate.rate)
        charge.unit_cost = self._hourly_cost(charge)

    def option(self, charge: Charge) -> str:
        """Whether such work, expenses or products are billed, where the entry itself does not say."""
        if charge.company.is_internal:
            return BillingOption.DO_NOT_BILL
        agreement = charge.agreement
        if agreement is None:
            return BillingOption.BILLABLE
        if charge.kind == ChargeKind.EXPENSE:
            return agreement.bill_expenses
        if charge.kind == ChargeKind.PRODUCT:
            return agreement.bill_products
        of_type = [row for row in self._of_type(charge) if row.bill_time]
        return of_type[-1].bill_time if of_type else agreement.bill_time

    def _rows(self, charge: Charge) -> list[RateRow]:
        agreement, role, kind = charge.agreement, charge.work_role, charge.work_type
        rows = []
        if charge.rate_override is not None:
            rows.append(RateRow(RateLevel.ENTRY, charge.rate_override))
        rows += [_of_work_type(row) for row in self._of_type(charge)]
        rows += [
            RateRow(
                RateLevel.AGREEMENT_WORK_ROLE,
                row.rate,
                _TYPES[row.rate_type],
                row.work_role.name if row.work_role else "",
                row.effective_date,
                _day_after(row.ending_date),
            )
            for row in _that_hold(
                self._roles[charge.agreement_id or 0], "work_role_id", charge.work_role_id, charge.date
            )
        ]
        if agreement is not None and agreement.hourly_rate is not None:
            rows.append(RateRow(RateLevel.AGREEMENT, agreement.hourly_rate))
        if charge.company.hourly_rate is not None:
            rows.append(RateRow(RateLevel.COMPANY, charge.company.hourly_rate, name=charge.company.name))
        if kind is not None:
            says_rate = (kind.rate_type, kind.rate) not in _NEUTRAL
            rows.append(
                RateRow(
                    RateLevel.WORK_TYPE,
                    kind.rate if says_rate else None,
                    _TYPES[kind.rate_type],
                    kind.name,
                    minimum=kind.hours_min or None,
                    maximum=kind.hours_max,
                    increment=kind.round_hours_to or None,
                )
            )
        if role is not None:
            rows.append(RateRow(RateLevel.WORK_ROLE, role.hourly_rate, name=role.name))
        return rows

    def _of_type(self, charge: Charge) -> list[WorkTypeRate]:
        rows = _that_hold(self._types[charge.agreement_id or 0], "work_type_id", charge.work_type_id, charge.date)
        return sorted(rows, key=lambda row: row.effective_date or date.min)

    @staticmethod
    def _hourly_cost(charge: Charge) -> Decimal:
        cost = charge.work_role.hourly_cost if charge.work_role else Decimal(0)
        return round_to(
            multiply(cost, charge.work_type.cost_multiplier if charge.work_type else Decimal(1)), _PRICE_PLACES
        )


def _of_work_type(row: WorkTypeRate) -> RateRow:
    return RateRow(
        RateLevel.AGREEMENT_WORK_TYPE,
        row.rate,
        _TYPES[row.rate_type],
        row.work_type.name if row.work_type else "",
        row.effective_date,
        _day_after(row.ending_date),
        overage_rate=row.overage_rate,
        overage_type=_TYPES[row.overage_rate_type or RateType.CUSTOM.value],
        minimum=row.hours_min,
        maximum=row.hours_max,
        increment=row.round_hours_to or None,
    )


def _that_hold(rows: Sequence[RateT], field: str, pk: int | None, on: date) -> list[RateT]:
    """The rows that hold on a day: those of the very role or type, or else those of all."""
    holding = [
        row
        for row in rows
        if (row.effective_date is None or row.effective_date <= on)
        and (row.ending_date is None or on <= row.ending_date)
    ]
    own = [row for row in holding if pk is not None and getattr(row, field) == pk]
    return own or [row for row in holding if getattr(row, field) is None]


def _day_after(day: date | None) -> date | None:
    return None if day is None else day + timedelta(days=1)
