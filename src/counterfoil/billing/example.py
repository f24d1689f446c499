"""An invoice of an invented customer, to see how one's own documents look."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from counterfoil.billing.printing import (
    BlockBalance,
    Group,
    Party,
    PrintedInvoice,
    PrintedLine,
    PrintedTax,
    Sender,
)
from counterfoil.core.calendar import Period, add_months, month_start
from counterfoil.core.money import multiply, round_money, sum_money

RATE = Decimal("0.06")


def example_invoice(sender: Sender, *, on: date) -> PrintedInvoice:
    """A month of managed services with a mid-month addition, covered work and hardware, dated on the month's first."""
    first = month_start(on)
    period = Period(first, add_months(first, 1))
    lines = _lines(first)
    subtotal = sum_money(line.amount for line in lines)
    taxable = sum_money(line.amount for line in lines if line.taxable)
    tax = round_money(multiply(taxable, RATE))
    total = sum_money([subtotal, tax])
    return PrintedInvoice(
        type="agreement",
        number="EXAMPLE-1",
        sender=sender,
        bill_to=Party("Example Customer Inc", ("500 Woodward Ave", "Detroit, MI 48226")),
        ship_to=Party("Example Customer Inc, Plant 2", ("99 Dock Rd", "Toledo, OH 43604")),
        date=first,
        due_date=add_months(first, 1),
        terms="Net 30",
        customer_po="4500-118",
        agreement="AGR-0007 Managed services",
        period=period,
        lines=lines,
        subtotal=subtotal,
        tax_total=tax,
        total=total,
        balance=total,
        taxes=(PrintedTax("Sales tax", RATE, taxable, tax),),
        blocks=(BlockBalance("AGR-0003 Block hours", Decimal(10), Decimal(7), "hours"),),
        account_number="EXAMPLE",
    )


def _lines(first: date) -> tuple[PrintedLine, ...]:
    before = add_months(first, -1)
    return (
        PrintedLine(
            Group.RECURRING, "Managed workstation", Decimal(30), Decimal("22.00"), Decimal("660.00"), taxable=True
        ),
        PrintedLine(
            Group.RECURRING, "Server monitoring, from the middle of last month", Decimal(2), Decimal("75.00"),
            Decimal("150.00"), taxable=True, explanation="prorated for the days it was there",
            start=before.replace(day=15), end=first,
        ),
        PrintedLine(
            Group.SERVICES, "Mail server migration", Decimal(5), Decimal("140.00"), Decimal("280.00"), unit="h",
            covered_quantity=Decimal(3), covered_amount=Decimal("420.00"), start=before.replace(day=12),
            detail="J. Miller · Ticket 20418",
        ),
        PrintedLine(
            Group.PRODUCTS, "Firewall, 8 ports", Decimal(1), Decimal("1250.00"), Decimal("1250.00"), taxable=True,
            explanation="Serial number FW8-00417",
        ),
        PrintedLine(
            Group.SERVICES, "Password reset", Decimal("0.5"), Decimal("140.00"), Decimal(0), unit="h",
            covered_quantity=Decimal("0.5"), covered_amount=Decimal("70.00"), start=before.replace(day=20),
        ),
    )  # fmt: skip
