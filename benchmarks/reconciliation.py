"""How long a vendor's file takes: 50,000 lines against 50,000 additions of 2,000 customers, with fuzzy names.

The file is read, its names are looked up, those that are not known are compared with ours by likeness, and quantities
are held against what is billed; one line in fifty differs. A fifth of the customers and of the products is written in
another way than ours; the likeliest suggestion of each is confirmed before the next month's file comes. The
alternative is a plain SQL join of the same rows, which compares quantities and knows no names.
"""

from __future__ import annotations

import csv
import io
import random
import resource
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from common import cpu_seconds, installation, median_seconds, report

LINES = 50_000
PRODUCTS = 25
NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
HEADINGS = ("Customer", "Product", "Quantity", "Unit cost", "Amount", "Start date", "End date", "Term")
WORDS = [
    "Alpine",
    "Beacon",
    "Cedar",
    "Delta",
    "Eagle",
    "Falcon",
    "Granite",
    "Harbor",
    "Iron",
    "Juniper",
    "Keystone",
    "Lakeside",
    "Maple",
    "Northern",
    "Oak",
    "Pioneer",
    "Quarry",
    "River",
    "Summit",
    "Timber",
    "Union",
    "Valley",
    "Western",
    "Yellow",
    "Zenith",
]
TRADES = [
    "Dental",
    "Legal",
    "Plumbing",
    "Logistics",
    "Bakery",
    "Robotics",
    "Clinic",
    "Motors",
    "Printing",
    "Foods",
    "Realty",
    "Textiles",
]


def main(lines: int = LINES) -> None:
    with installation():
        vendor, customers, products = prepare(lines)
        march, april = file_of(3, lines, customers, products), file_of(4, lines, customers, products)
        cpu, started = cpu_seconds(), time.perf_counter()
        first = take(vendor, march, 3)
        first_seconds, first_cpu = time.perf_counter() - started, cpu_seconds() - cpu
        confirmed, confirming = confirm_the_likeliest(vendor, first["statement"])
        cpu, started = cpu_seconds(), time.perf_counter()
        second = take(vendor, april, 4)
        seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
        joined = median_seconds(join_of_the_same_rows, runs=3)
        report(
            benchmark="reconciliation",
            lines=lines,
            additions=lines,
            customers=len(customers),
            unknown_names=first["unknown"],
            seconds_with_unknown_names=round(first_seconds, 2),
            cpu_seconds_with_unknown_names=round(first_cpu, 2),
            names_confirmed=confirmed,
            seconds_per_name_confirmed=round(confirming, 2),
            seconds=round(seconds, 2),
            import_seconds=round(second["import_seconds"], 2),
            reconcile_seconds=round(second["reconcile_seconds"], 2),
            cpu_seconds=round(cpu, 2),
            differences=second["differences"],
            join_seconds=round(joined, 2),
            reconcile_times_join=round(second["reconcile_seconds"] / joined, 1),
            peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        )


def take(vendor: int, content: bytes, month: int) -> dict[str, Any]:
    """Import a file and reconcile it."""
    from counterfoil.matching.reconciliation import reconcile_statement
    from counterfoil.matching.statements import import_statement
    from counterfoil.platform.identity import SYSTEM

    started = time.perf_counter()
    imported = import_statement(actor=SYSTEM, vendor_id=vendor, content=content, now=NOW).statement
    between = time.perf_counter()
    result = reconcile_statement(actor=SYSTEM, statement_id=imported.pk, now=NOW)
    return {
        "statement": imported.pk,
        "unknown": result.unknown,
        "differences": sum(count for status, count in result.counts.items() if status != "exact"),
        "import_seconds": between - started,
        "reconcile_seconds": time.perf_counter() - between,
    }


def confirm_the_likeliest(vendor: int, statement: int) -> tuple[int, float]:
    """Confirm what is suggested: a few by the command, which compares their lines again; the rest as rows."""
    from counterfoil.matching.models import NameAlias
    from counterfoil.matching.names import confirm_alias, fold, names_to_confirm
    from counterfoil.platform.identity import SYSTEM

    wanted = [each for each in names_to_confirm(statement) if each.suggestions]
    targets = [{"company_id" if each.kind == "customer" else "product_id": each.suggestions[0].pk} for each in wanted]
    by_command = min(10, len(wanted))
    started = time.perf_counter()
    for each, target in list(zip(wanted, targets, strict=True))[:by_command]:
        confirm_alias(actor=SYSTEM, vendor_id=vendor, kind=each.kind, text=each.text, now=NOW, **target)
    taken = (time.perf_counter() - started) / max(by_command, 1)
    NameAlias.objects.bulk_create(
        NameAlias(
            vendor_id=vendor, kind=each.kind, text=fold(each.text), confirmed_by="Ann", confirmed_at=NOW, **target
        )
        for each, target in list(zip(wanted, targets, strict=True))[by_command:]
    )
    return len(wanted), taken


def join_of_the_same_rows() -> None:
    """What SQL alone says of the last statement: sums by customer and product on both sides, joined."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT company_id, product_id, sum(quantity) AS has FROM matching_vendorstatementline
                WHERE statement_id = (SELECT max(id) FROM matching_vendorstatement) GROUP BY 1, 2
            ) theirs FULL JOIN (
                SELECT a.company_id, d.product_id, sum(d.quantity) AS bills
                FROM agreements_addition d JOIN agreements_agreement a ON a.id = d.agreement_id GROUP BY 1, 2
            ) ours ON ours.company_id = theirs.company_id AND ours.product_id = theirs.product_id
            WHERE has IS DISTINCT FROM bills
            """
        )
        cursor.fetchone()


# -- the data ----------------------------------------------------------------------------------------------------------


def prepare(lines: int) -> tuple[int, list[str], list[str]]:
    """An MSP whose customers have an agreement each, with an addition for every product of a vendor."""
    from counterfoil.agreements.models import Addition, Agreement, AgreementType
    from counterfoil.catalog.models import Category, Product
    from counterfoil.companies.models import Company
    from counterfoil.flows.setup import set_up_msp
    from counterfoil.platform.identity import SYSTEM

    set_up_msp(actor=SYSTEM, name="Northwind IT", identifier="NorthwindIT", on=date(2026, 1, 1))
    vendor = Company.objects.create(identifier="Vendor", name="Cloud Vendor", kind="vendor")
    drawn = random.Random(7)
    names: dict[str, None] = {}
    while len(names) < lines // PRODUCTS:
        names.setdefault(
            f"{drawn.choice(WORDS)} {drawn.choice(WORDS)} {drawn.choice(TRADES)} {drawn.randrange(10, 99)}"
        )
    customers = Company.objects.bulk_create(
        Company(identifier=f"C{n}", name=f"{name} Inc", kind="customer") for n, name in enumerate(names)
    )
    category = Category.objects.order_by("pk").first()
    products = Product.objects.bulk_create(
        Product(
            identifier=f"LIC-{n}", description=f"{WORDS[n]} Cloud Suite Plan {n}", product_class="Agreement",
            accounting_type="Service", category=category, vendor=vendor, billing_cycle="month:1",
            price=Decimal(20), cost=Decimal(16),
        )
        for n in range(PRODUCTS)
    )  # fmt: skip
    kind = AgreementType.objects.order_by("pk").first()
    agreements = Agreement.objects.bulk_create(
        Agreement(
            number=f"B-{n}", name="Licences", type=kind, company=company, bill_to=company,
            start_date=date(2026, 1, 1), bill_start_date=date(2026, 1, 1),
        )
        for n, company in enumerate(customers)
    )  # fmt: skip
    Addition.objects.bulk_create(
        (
            Addition(
                agreement=agreement, position=n + 1, product=product, description=product.description, quantity=10,
                unit_price=Decimal(20), unit_cost=Decimal(16), effective_date=date(2026, 1, 1), term="year:1",
            )
            for agreement in agreements
            for n, product in enumerate(products)
        ),
        batch_size=2000,
    )  # fmt: skip
    return vendor.pk, [each.name for each in customers], [each.description for each in products]


def file_of(month: int, lines: int, customers: list[str], products: list[str]) -> bytes:
    """The vendor's file of a month: every fifth name written its own way, every fiftieth line one licence more."""
    from calendar import monthrange

    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADINGS)
    days = (date(2026, month, 1), date(2026, month, monthrange(2026, month)[1]))
    for n in range(lines):
        customer, product = customers[n // PRODUCTS], products[n % PRODUCTS]
        if n // PRODUCTS % 5 == 0:
            customer = " ".join(reversed(customer.removesuffix(" Inc").split())) + ", Incorporated"
        if n % PRODUCTS % 5 == 0:
            product = product.replace("Suite", "Suit")
        quantity = 11 if n % 50 == 0 else 10
        writer.writerow((customer, product, quantity, 16, 16 * quantity, *days, "P1Y"))
    return out.getvalue().encode()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
