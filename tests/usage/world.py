"""Agreements that cover work, and the work, for tests of the usage context."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D
from typing import Any

from tests.world import FINANCE, SALES, World

from counterfoil.agreements.commands import create_agreement
from counterfoil.agreements.models import Adjustment, Agreement
from counterfoil.catalog.models import ExpenseType, WorkRole, WorkType
from counterfoil.companies.models import Company
from counterfoil.usage.commands import enter_expense, enter_time
from counterfoil.usage.models import Charge


def engineer() -> WorkRole:
    return WorkRole.objects.get_or_create(name="Engineer", defaults={"hourly_rate": D(100), "hourly_cost": D(35)})[0]


def after_hours() -> WorkType:
    return WorkType.objects.get_or_create(
        name="After hours", defaults={"rate": D("1.5"), "hours_min": D(1), "round_hours_to": D("0.25")}
    )[0]


def mileage() -> ExpenseType:
    return ExpenseType.objects.get_or_create(name="Mileage")[0]


def covering(msp: World, units: str = "hours", limit: str | None = "20", **terms: Any) -> Agreement:
    """An agreement of Acme from 1 January 2026 that covers time, and whatever ``terms`` say."""
    made = create_agreement(
        actor=SALES,
        company_id=msp.acme.pk,
        agreement_type_id=msp.haas.pk,
        name="Support",
        start_date=date(2026, 1, 1),
    )
    told = {"application_units": units, "application_limit": limit and D(limit), "covers_time": True} | terms
    Agreement.objects.filter(pk=made.pk).update(**told)
    return Agreement.objects.get(pk=made.pk)


def time(
    company: Company,
    on: date,
    hours: str,
    agreement: Agreement | None = None,
    description: str = "Support",
    **more: Any,
) -> Charge:
    return enter_time(
        actor=SALES,
        company_id=company.pk,
        on=on,
        hours=D(hours),
        description=description,
        work_role_id=more.pop("work_role_id", None) or engineer().pk,
        agreement_id=agreement and agreement.pk,
        **more,
    )


def expense(company: Company, on: date, price: str, agreement: Agreement | None = None, **more: Any) -> Charge:
    return enter_expense(
        actor=SALES,
        company_id=company.pk,
        on=on,
        expense_type_id=mileage().pk,
        unit_price=D(price),
        description="To the site",
        agreement_id=agreement and agreement.pk,
        **more,
    )


def adjust(agreement: Agreement, on: date, amount: str) -> Adjustment:
    return Adjustment.objects.create(agreement=agreement, date=on, amount=D(amount), description="Goodwill")


def bill(*charges: Charge) -> None:
    """As an invoice does."""
    Charge.objects.filter(pk__in=[charge.pk for charge in charges]).update(billed=True)


__all__ = ["FINANCE", "SALES", "adjust", "after_hours", "bill", "covering", "engineer", "expense", "mileage", "time"]
