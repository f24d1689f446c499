"""Agreements of Northwind IT's customers, and invoices of them as billing keeps them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from tests.world import SALES, World

from counterfoil.agreements import billing_state, queries
from counterfoil.agreements.commands import AdditionInput, create_agreement
from counterfoil.agreements.models import Addition, Agreement
from counterfoil.billing.models import Invoice, InvoiceLine
from counterfoil.core.calendar import Period
from counterfoil.core.charges import Booked
from counterfoil.core.recurring import bills_due
from counterfoil.platform.audit import trail_of
from counterfoil.platform.records import plain_number

D = Decimal


def make(msp: World, *additions: AdditionInput, **given: object) -> Agreement:
    """A lease of Acme Corp from 1 Jan 2026, monthly."""
    fields: dict[str, object] = {
        "company_id": msp.acme.pk,
        "agreement_type_id": msp.haas.pk,
        "name": "Server lease",
        "start_date": date(2026, 1, 1),
        "additions": additions,
    }
    return create_agreement(actor=SALES, **(fields | given))  # type: ignore[arg-type]


def fresh(agreement: Agreement) -> Agreement:
    """The agreement as the database has it."""
    return Agreement.objects.get(pk=agreement.pk)


def only(agreement: Agreement) -> Addition:
    """Its one addition."""
    return agreement.additions.get()


def month(year: int, number: int) -> Period:
    """A calendar month."""
    return Period(date(year, number, 1), date(year + number // 12, number % 12 + 1, 1))


def bill(agreement: Agreement, *periods: Period) -> Invoice:
    """Invoices of the periods, the last of them; how they come to be is billing's matter."""
    for period in periods:
        lines = queries.period_lines(fresh(agreement), period)
        subtotal = sum((line.amount for line in lines), D(0))
        invoice = Invoice.objects.create(
            type="agreement", company=agreement.company, bill_to=agreement.bill_to,
            bill_to_kind=agreement.bill_to.kind, bill_to_name=agreement.bill_to.name, date=period.start,
            due_date=period.start, agreement=agreement, period_start=period.start, period_end=period.end,
            subtotal=subtotal, total=subtotal,
        )  # fmt: skip
        for position, line in enumerate(lines, start=1):
            InvoiceLine.objects.create(
                invoice=invoice, position=position, description=line.description, quantity=line.quantity,
                unit_price=line.unit_price, amount=line.amount, cost=line.cost, addition=line.addition,
                agreement=line.agreement, period_start=period.start, period_end=period.end,
                service_start=line.service.start, service_end=line.service.end,
            )  # fmt: skip
    billing_state.reckon_due(fresh(agreement))
    return invoice


def due(agreement: Agreement, through: date) -> list[tuple[str, Decimal, Decimal]]:
    """What a run through that day would bill: description, quantity and amount of every line, by the state it finds."""
    agreement = fresh(agreement)
    state = agreement.billing_state
    names: dict[object, str] = {}
    for member in (agreement, *agreement.children.all()):
        names |= {("amount", member.pk): member.name}
        names |= {("addition", each.pk): each.description for each in member.additions.all()}
    first = state.next_period
    while first and state.changed_from and billing_state.period_of(agreement, first).start > state.changed_from:
        first -= 1
    booked = [
        Booked(
            ("addition", line.addition_id) if line.addition_id else ("amount", line.agreement_id), line.period_start,
            line.amount, line.cost, line.quantity, line.unit_price, line.service_start, line.service_end,
        )
        for line in InvoiceLine.objects.filter(invoice__agreement=agreement)
        if line.period_start is not None and line.service_start is not None and line.service_end is not None
    ]  # fmt: skip
    bills = bills_due(
        queries.terms_of(agreement),
        queries.charges_of(agreement),
        booked=booked,
        through=through,
        billed=billing_state.invoiced_starts(agreement),
        cancelled=billing_state.cancelled_starts(agreement),
        first=first,
        changed_from=state.changed_from,
    )
    items = [item for bill in bills for item in bill.items]
    return [(names[item.key], plain_number(item.quantity), str(item.amount)) for item in items]


def said(record: Agreement) -> str:
    """The last that was said of it in the audit trail."""
    return trail_of(record)[0].sentence
