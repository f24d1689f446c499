"""How fast a batch is transferred to the books, and what it costs against transferring its documents one by one.

N closed agreement invoices of one line with a tax are put into one batch, which is transferred; the alternative, in the
same run, transfers as many invoices in batches of one.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import Decimal

from common import installation, report

ON = date(2026, 1, 15)
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def main() -> None:
    with installation():
        prepare()
        alternative = one_by_one(100)
        for count in (200, 2000):
            together(count, alternative)


def prepare() -> None:
    """An MSP with one customer and one agreement a month; its owner does everything here."""
    from counterfoil.flows.setup import set_up_msp
    from counterfoil.platform.identity import SYSTEM

    set_up_msp(actor=SYSTEM, name="Northwind IT", identifier="NorthwindIT", on=ON)


def closed_invoices(count: int) -> list[int]:
    """``count`` closed invoices of 150.00 plus 9.00, written in bulk: only their transfer is measured."""
    from django.db import transaction

    from counterfoil.billing.models import Invoice, InvoiceLine, InvoiceTax
    from counterfoil.companies.models import Company
    from counterfoil.platform.numbering import take_numbers

    customer, _ = Company.objects.get_or_create(
        identifier="Acme", defaults={"name": "Acme Corp", "account_number": "ACME"}
    )
    with transaction.atomic():
        drafts = Invoice.objects.bulk_create(
            Invoice(
                number=number, type="standard", status="draft", company=customer, bill_to=customer,
                bill_to_kind="customer", bill_to_name=customer.name, date=ON, due_date=ON,
                subtotal=Decimal(150), tax_total=Decimal(9), total=Decimal(159), closed_at=NOW,
            )
            for number in take_numbers("invoice", count)
        )  # fmt: skip
        InvoiceLine.objects.bulk_create(
            InvoiceLine(
                invoice=draft, position=1, description="Server as a service", quantity=1, unit_price=150,
                amount=Decimal(150), tax_amount=Decimal(9),
            )
            for draft in drafts
        )  # fmt: skip
        InvoiceTax.objects.bulk_create(
            InvoiceTax(
                invoice=draft, position=1, level="Michigan", agency="Michigan Treasury", rate=Decimal("0.06"),
                taxable_amount=Decimal(150), amount=Decimal(9),
            )
            for draft in drafts
        )  # fmt: skip
        Invoice.objects.filter(pk__in=[draft.pk for draft in drafts]).update(
            status="closed", line_count=1, tax_count=1, balance=Decimal(159)
        )
    return [draft.pk for draft in drafts]


def transfer(invoice_ids: list[int]) -> float:
    """Seconds to transfer the invoices as one batch."""
    from counterfoil.accounting.commands import create_batch, transfer_batch
    from counterfoil.platform.identity import SYSTEM

    batch = create_batch(actor=SYSTEM, invoice_ids=invoice_ids)
    started = time.perf_counter()
    transfer_batch(actor=SYSTEM, batch_id=batch.pk, now=NOW)
    return time.perf_counter() - started


def one_by_one(count: int) -> float:
    """Invoices a second in batches of one."""
    return count / sum(transfer([invoice]) for invoice in closed_invoices(count))


def together(count: int, alternative: float) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    rates = sorted(count / transfer(closed_invoices(count)) for _ in range(3))
    with CaptureQueriesContext(connection) as statements:
        transfer(closed_invoices(count))
    report(
        invoices=count,
        per_second=round(rates[1]),
        times_one_by_one=round(rates[1] / alternative, 1),
        one_by_one_per_second=round(alternative),
        statements_with_preparation=len(statements),
    )


if __name__ == "__main__":
    main()
