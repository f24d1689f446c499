"""The lease as its real postings say, to its very end: sold or scrapped, its rows are those of the books."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from tests.accounting.leases import NOW, PEOPLE, lease
from tests.world import FINANCE, SALES, World

from counterfoil.accounting.commands import create_batch, set_mapping, transfer_batch
from counterfoil.accounting.iif import iif_batch
from counterfoil.accounting.models import Batch
from counterfoil.agreements.additions import add_addition
from counterfoil.agreements.commands import AdditionInput
from counterfoil.assets.commands import dispose_asset
from counterfoil.billing.models import Invoice, RunMode
from counterfoil.catalog.models import Product
from counterfoil.core.books import IifInvoice
from counterfoil.flows.billing_run import start_billing_run
from counterfoil.flows.billing_work import work
from counterfoil.flows.haas_lease import Lease, LeaseOption, bill_month
from counterfoil.flows.lease_books import lease_books
from counterfoil.ledger.models import Account, JournalLine
from counterfoil.ledger.queries import balance_sheet

JANUARY, APRIL = date(2026, 1, 1), date(2026, 4, 30)


@pytest.mark.parametrize(
    ("proceeds", "april"),
    [
        ("1000", ("-2300.00", "0.00", "-2150.00", "-2150.00")),  # a loss of 2,300.00 on 3,300.00
        ("3500", ("200.00", "0.00", "350.00", "350.00")),  # a gain of 200.00
        ("0", ("-3300.00", "0.00", "-3150.00", "-3150.00")),
    ],
)
def test_a_leased_server_is_sold_before_its_term(world: World, proceeds: str, april: tuple[str, ...]) -> None:
    """Three months at 150.00 with 100.00 of depreciation each; in April nothing is billed and the server goes."""
    made = lease(world, LeaseOption.DIRECT)
    assert made.asset is not None
    dispose_asset(actor=FINANCE, asset_id=made.asset.pk, on=date(2026, 4, 15), proceeds=Decimal(proceeds))

    rows = lease_books(made.agreement).months

    last = rows[-1]
    assert tuple(f"{x:.2f}" for x in (last.profit, last.net_book_value, last.cash, last.equity)) == april
    sheet = {row.label: row.amounts for row in balance_sheet(first=JANUARY, last=APRIL).rows}
    assert [row.equity for row in rows] == list(sheet["Total equity"])
    assert [row.cash for row in rows] == list(sheet["Operating Bank"])


MONTHS = [(date(2026, month, 1), date(2026, month, last)) for month, last in ((1, 31), (2, 28), (3, 31))]


def account(code: str) -> int:
    return Account.objects.get(code=code).pk


def monitored_lease(world: World, monitoring: Product, bill: str) -> Lease:
    """A server leased from January, not billed yet, with two units of monitoring beside it."""
    made = lease(world, LeaseOption.NON_INVENTORY, through=date(2025, 12, 31), bill=bill)
    watched = AdditionInput(product_id=monitoring.pk, effective_date=JANUARY, quantity=Decimal(2))
    add_addition(actor=SALES, agreement_id=made.agreement.pk, addition=watched)
    return made


def by_batch(made: Lease) -> None:
    for first, last in MONTHS:
        bill_month(made, PEOPLE, month=first, now=NOW)
        batch = create_batch(actor=FINANCE, through=last)
        transfer_batch(actor=FINANCE, batch_id=batch.pk, now=NOW)


def by_runs() -> None:
    for _, last in MONTHS:
        work(start_billing_run(actor=FINANCE, through=last, mode=RunMode.TRANSFER, now=NOW).pk)


def exported(made: Lease) -> list[tuple[object, ...]]:
    """What QuickBooks would get of the lease's invoices: item, account and amount of every line."""
    numbers = set(Invoice.objects.filter(agreement=made.agreement).values_list("number", flat=True))
    invoices = [
        document
        for batch in Batch.objects.order_by("pk")
        for document in iif_batch(batch).documents
        if isinstance(document, IifInvoice) and document.number in numbers
    ]
    return [
        (one.date, one.receivable_account, one.total, *((x.item, x.account_code, x.amount) for x in one.lines))
        for one in invoices
    ]


def test_a_lease_billed_by_runs_says_what_one_billed_by_batches_says(world: World) -> None:
    """A run's entries have one line an account; books and exports tell the lines apart all the same."""
    monitoring = Product.objects.create(
        identifier="MON", description="Monitoring", product_class="Agreement", accounting_type="Service",
        category=world.lease.category, price=Decimal("12.50"), billing_cycle="month:1",
    )  # fmt: skip
    set_mapping(actor=FINANCE, role="agreement_revenue", account_id=account("4020"), product_id=monitoring.pk)
    ran = monitored_lease(world, monitoring, bill="V-1")
    by_runs()
    batched = monitored_lease(world, monitoring, bill="V-2")
    by_batch(batched)

    named = JournalLine.objects.filter(account__type="income", source_line_id__isnull=False)
    assert named.filter(entry__source_id__in=batched.agreement.invoices.values("pk")).count() == 6
    assert not named.filter(entry__source_id__in=ran.agreement.invoices.values("pk")).exists()
    mine, others = (lease_books(each.agreement).months for each in (ran, batched))
    assert [row.revenue for row in mine] == [Decimal("175.00")] * 3
    assert mine == others

    set_mapping(actor=FINANCE, role="agreement_revenue", account_id=account("4000"), product_id=monitoring.pk)
    set_mapping(actor=FINANCE, role="agreement_revenue", account_id=account("4020"), product_id=world.lease.pk)
    lines = exported(ran)
    assert lines == exported(batched)
    assert [line[3:] for line in lines] == [
        (("HAAS-SRV", "4010", Decimal(150)), ("MON", "4020", Decimal(25))),
    ] * 3  # as it was booked, whatever the mapping says since
