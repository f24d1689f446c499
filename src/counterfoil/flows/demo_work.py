"""Work in the demo: a prepaid block and a block of hours a month, with the time that draws on them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from counterfoil.agreements.additions import change_addition
from counterfoil.agreements.commands import create_agreement
from counterfoil.agreements.models import Addition, Agreement, AgreementKind, AgreementType, ApplicationUnits
from counterfoil.billing.charges import bill_charges
from counterfoil.billing.commands import close_invoice, invoice_agreements_through
from counterfoil.billing.models import Invoice
from counterfoil.catalog.commands import create_expense_type, create_work_role, create_work_type
from counterfoil.catalog.models import ExpenseType, RateType, WorkRole, WorkType
from counterfoil.companies.models import Company
from counterfoil.core.calendar import add_months, month_end
from counterfoil.flows.haas_lease import People
from counterfoil.usage.commands import enter_expense, enter_time

#: (day of the month, hours, work type, member, ticket, what was done) for the customer with the prepaid block
PROJECT: Final = (
    (6, "6", "Regular", "Ravi", "T-1041", "Firewall rules and segmentation"),
    (13, "7.5", "Regular", "Ravi", "T-1041", "Server migration, file shares"),
    (21, "4", "After hours", "Mona", "T-1058", "Cut-over at night"),
)
#: the same for the customer with hours a month
SUPPORT: Final = (
    (3, "5", "Regular", "Mona", "T-1102", "New workstations in dispatch"),
    (11, "6.5", "Regular", "Ravi", "T-1107", "VPN for the drivers' tablets"),
    (18, "5", "Regular", "Mona", "T-1115", "Label printers"),
    (26, "4.25", "Regular", "Ravi", "T-1121", "Mailbox clean-up and training"),
)


@dataclass(frozen=True, slots=True)
class Work:
    """Who is worked for, and on which agreements."""

    block: Agreement
    support: Agreement
    engineer: WorkRole
    types: dict[str, WorkType]
    mileage: ExpenseType


def start_work(people: People, companies: dict[str, Company], start: date) -> Work:
    """Work roles and types, a block of 15,000.00 paid ahead, and 20 hours a month with overruns."""
    finance, sales = people.finance, people.sales
    engineer = create_work_role(actor=finance, name="Engineer", hourly_rate=Decimal(145), hourly_cost=Decimal(62))
    types = {
        "Regular": create_work_type(actor=finance, name="Regular", round_hours_to=Decimal("0.25")),
        "After hours": create_work_type(
            actor=finance, name="After hours", rate_type=RateType.MULTIPLIER, rate=Decimal("1.5"), hours_min=Decimal(1)
        ),
    }
    mileage = create_expense_type(actor=finance, name="Mileage")
    block = create_agreement(
        actor=sales,
        company_id=companies["Umbra"].pk,
        agreement_type_id=_type(AgreementKind.ONE_TIME_BLOCK),
        name="Prepaid engineering",
        start_date=start,
        end_date=add_months(start, 24) - timedelta(days=1),
        billing_amount=Decimal(15000),
        billing_amount_taxable=True,
        application_units=ApplicationUnits.AMOUNT,
        application_limit=Decimal(15000),
    )
    support = create_agreement(
        actor=sales,
        company_id=companies["Hooli"].pk,
        agreement_type_id=_type(AgreementKind.RECURRING_BLOCK),
        name="Support, 20 hours a month",
        start_date=start,
        billing_amount=Decimal(2600),
        billing_amount_taxable=True,
        application_limit=Decimal(20),
    )
    return Work(block, support, engineer, types, mileage)


def _type(kind: AgreementKind) -> int:
    return AgreementType.objects.filter(kind=kind).order_by("pk").values_list("pk", flat=True)[0]


def work_month(work: Work, people: People, month: date, until: date) -> None:
    """A month's time and a drive, on the agreements they draw on, as far as the month has come."""
    for agreement, entries in ((work.block, PROJECT), (work.support, SUPPORT)):
        for day, hours, kind, member, ticket, text in entries:
            if month + timedelta(days=day - 1) > until:
                continue
            enter_time(
                actor=people.finance,
                company_id=agreement.company_id,
                agreement_id=agreement.pk,
                on=month + timedelta(days=day - 1),
                hours=Decimal(hours),
                description=text,
                work_role_id=work.engineer.pk,
                work_type_id=work.types[kind].pk,
                member=member,
                ticket=ticket,
            )
    if month + timedelta(days=11) > until:
        return
    enter_expense(
        actor=people.finance,
        company_id=work.support.company_id,
        on=month + timedelta(days=11),
        expense_type_id=work.mileage.pk,
        quantity=Decimal(56),
        unit_price=Decimal("0.70"),
        description="Drive to Toledo and back, miles",
        member="Ravi",
        ticket="T-1107",
    )


def bill_work(work: Work, people: People, month: date, now: datetime) -> list[Invoice]:
    """Invoice the blocks that are due and the month's work, and close the invoices."""
    run = invoice_agreements_through(
        actor=people.finance, through=month, agreement_ids=[work.block.pk, work.support.pk]
    )
    last = month_end(month)
    charges = bill_charges(
        actor=people.finance, through=last, on=last, company_ids=[work.block.company_id, work.support.company_id]
    )
    return [
        close_invoice(actor=people.finance, invoice_id=invoice.pk, now=now)
        for invoice in (*run.invoices, *charges.invoices)
    ]


def add_users(people: People, on: date) -> None:
    """Three more users at a customer in the middle of a month: the next invoice has their part of it."""
    addition = Addition.objects.filter(product__identifier="MS-USER").order_by("pk")[0]
    change_addition(
        actor=people.sales, addition_id=addition.pk, on=on, quantity=addition.quantity + 3, reason="New dental office"
    )
