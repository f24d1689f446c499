"""How long the three-way match takes: 100,000 threads of quoted line, addition, purchase order line and invoice line.

The alternative is a plain SQL join of the very same rows in the same run, that reads every value the match compares and
compares none. One in a hundred threads differs. ``rematch`` is one changed line, as the job and the inspector of a hold
do it.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal

from common import cpu_seconds, installation, median_seconds, report

THREADS = 100_000
ADDITIONS = 5
LINES_OF_AN_ORDER = 50
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MARCH = date(2026, 3, 1)
WRONG_IN = 100


def main(threads: int = THREADS) -> None:
    with installation():
        lines = prepare_threads(threads)
        joined = median_seconds(join_of_the_same_rows, runs=3)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cpu, started = cpu_seconds(), time.perf_counter()
        found = match()
        seconds, cpu = time.perf_counter() - started, cpu_seconds() - cpu
        again = median_seconds(match, runs=1, warm_up=0)
        rematch, rematch_cpu = rematch_of(lines[len(lines) // 2 + 1])
        report(
            benchmark="matching",
            threads=threads,
            exceptions=found,
            seconds=round(seconds, 2),
            threads_per_second=round(threads / seconds),
            seconds_again=round(again, 2),
            cpu_seconds=round(cpu, 2),
            join_seconds=round(joined, 2),
            times_join=round(seconds / joined, 1),
            rematch_ms=round(1000 * rematch, 1),
            rematch_cpu_ms=round(1000 * rematch_cpu, 1),
            peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            memory_before_mb=round(before / 1024),
        )


def match() -> int:
    from counterfoil.matching.commands import match_everything
    from counterfoil.platform.identity import SYSTEM

    return match_everything(actor=SYSTEM, now=NOW).opened


def rematch_of(line: int, runs: int = 40) -> tuple[float, float]:
    """Median seconds, and CPU seconds, of matching one line that was changed: each time it opens, or mends."""
    from counterfoil.matching.matching import match_lines
    from counterfoil.procurement.models import PurchaseOrderLine

    bought = PurchaseOrderLine.objects.filter(origin=line)
    times, cpu = [], []
    for run in range(runs):
        bought.update(unit_cost=Decimal(900) if run % 2 == 0 else Decimal(720))
        cpu_before, started = cpu_seconds(), time.perf_counter()
        matched = match_lines(origin_ids=[line], now=NOW)
        times.append(time.perf_counter() - started)
        cpu.append(cpu_seconds() - cpu_before)
        assert (matched.opened, matched.mended) == ((1, 0) if run % 2 == 0 else (0, 1))
    return statistics.median(times), sum(cpu) / runs


def join_of_the_same_rows() -> None:
    """Every value that the match compares, by one join, fetched and thrown away."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("""
            SELECT q.id, q.product_id, q.quantity, q.unit_price, q.unit_cost, q.term, q.billing_cycle, q.start_date,
                a.id, a.product_id, a.quantity, a.unit_price, a.term, a.effective_date, g.billing_cycle,
                p.id, p.product_id, p.quantity, p.unit_cost, p.term, p.billing_cycle, p.start_date, p.end_date,
                i.id, i.product_id, i.quantity, i.unit_price, i.period_start, i.service_start, i.service_end
            FROM quotes_quoteline q
            JOIN agreements_addition a ON a.origin_id = q.id
            JOIN agreements_agreement g ON g.id = a.agreement_id
            JOIN procurement_purchaseorderline p ON p.origin_id = q.id
            JOIN billing_invoiceline i ON i.origin_id = q.id
        """)
        while cursor.fetchmany(4000):
            pass


def prepare_threads(count: int) -> list[int]:
    """An MSP with so many accepted lines that were sold, bought and billed; one in a hundred was bought for a year."""
    from django.db import connection, transaction

    from counterfoil.agreements.models import Addition, Agreement, AgreementType
    from counterfoil.billing.models import Invoice, InvoiceLine
    from counterfoil.catalog.models import Category, Product
    from counterfoil.companies.models import Company
    from counterfoil.flows.setup import set_up_msp
    from counterfoil.platform.copying import copy_rows, take_ids
    from counterfoil.platform.identity import SYSTEM
    from counterfoil.procurement.models import PurchaseOrder, PurchaseOrderLine
    from counterfoil.quotes.models import LineConversion, Opportunity, QuoteLine

    set_up_msp(actor=SYSTEM, name="Northwind IT", identifier="NorthwindIT", on=MARCH)
    customer = Company.objects.create(identifier="Acme", name="Acme Corp", account_number="ACME")
    vendor = Company.objects.create(identifier="Pax8", name="Pax8", kind="vendor")
    product = Product.objects.create(
        identifier="M365-BP", description="Microsoft 365 Business Premium", product_class="NonInventory",
        accounting_type="NonInventoryPart", cost=720, price=792, category=Category.objects.get(name="SaaS"),
    )  # fmt: skip
    hosting = AgreementType.objects.order_by("pk").first()
    assert hosting is not None
    quantity, price, cost, term = Decimal(25), Decimal(792), Decimal(720), "year:3"
    heads, orders = count // ADDITIONS, max(1, count // LINES_OF_AN_ORDER)
    with transaction.atomic():
        lines, additions = take_ids(QuoteLine, count), take_ids(Addition, count)
        deals, agreements, invoices = take_ids(Opportunity, heads), take_ids(Agreement, heads), take_ids(Invoice, heads)
        bought = take_ids(PurchaseOrder, orders)

        def position(n: int) -> int:
            return n % ADDITIONS + 1

        copy_rows(
            Opportunity, ("id", "number", "name", "company", "status", "notes", "customer_po", "created_at"),
            ((pk, f"OPP-{pk}", "Licences", customer.pk, "won", "", "", NOW) for pk in deals),
        )  # fmt: skip
        copy_rows(
            QuoteLine,
            ("id", "opportunity", "position", "product", "description", "customer_text", "quantity", "unit_price",
             "unit_cost", "taxable", "term", "billing_cycle", "start_date", "cycles"),
            ((pk, deals[n // ADDITIONS], position(n), product.pk, "Microsoft 365", "", quantity, price, cost, True,
              term, term, MARCH, 1) for n, pk in enumerate(lines)),
        )  # fmt: skip
        copy_rows(
            LineConversion, ("line", "target", "target_id", "target_number", "converted_at", "converted_by"),
            ((pk, "agreement", agreements[n // ADDITIONS], "", NOW, "Benchmark") for n, pk in enumerate(lines)),
        )  # fmt: skip
        head = Agreement(
            name="Licences", type=hosting, company=customer, bill_to=customer, start_date=MARCH, bill_start_date=MARCH,
            billing_cycle=term, created_at=NOW,
        )  # fmt: skip
        columns = [field.attname for field in Agreement._meta.concrete_fields]
        copy_rows(
            Agreement, columns,
            (
                [pk if name == "id" else f"AGR-{pk}" if name == "number" else deals[n] if name == "opportunity_id"
                 else getattr(head, name) for name in columns]
                for n, pk in enumerate(agreements)
            ),
        )  # fmt: skip
        copy_rows(
            Addition,
            ("id", "agreement", "position", "product", "description", "invoice_text", "quantity", "less_included",
             "unit_price", "unit_cost", "billing_option", "taxable", "effective_date", "serial_number",
             "purchase_item", "term", "cancellation_days", "origin"),
            ((pk, agreements[n // ADDITIONS], position(n), product.pk, "Microsoft 365", "", quantity, Decimal(0), price,
              cost, "Billable", True, MARCH, "", True, term, 7, lines[n]) for n, pk in enumerate(additions)),
        )  # fmt: skip
        copy_rows(
            PurchaseOrder,
            ("id", "number", "vendor", "status", "order_date", "vendor_order_number", "notes", "created_at"),
            ((pk, f"PO-{pk}", vendor.pk, "draft", MARCH, "", "", NOW) for pk in bought),
        )  # fmt: skip
        copy_rows(
            PurchaseOrderLine,
            ("purchase_order", "position", "product", "description", "quantity", "quantity_cancelled",
             "vendor_sku", "addition", "unit_cost", "term", "billing_cycle", "start_date", "origin"),
            ((bought[n // LINES_OF_AN_ORDER % orders], n % LINES_OF_AN_ORDER + 1 + n // (LINES_OF_AN_ORDER * orders),
              product.pk, "Microsoft 365", quantity, Decimal(0), "", additions[n],
              *((cost / 3, "year:1", "year:1") if n % WRONG_IN == 0 else (cost, term, term)), MARCH, pk)
             for n, pk in enumerate(lines)),
        )  # fmt: skip
        total = quantity * price
        invoice_columns = ("id", "type", "status", "company", "bill_to", "bill_to_kind", "bill_to_name",
                           "bill_to_address", "attention", "date", "due_date", "terms_name", "agreement",
                           "period_start", "period_end", "revision", "is_adjustment", "ticket", "customer_po",
                           "reference", "top_comment", "bottom_comment", "subtotal", "tax_total", "total",
                           "cost_total", "balance", "line_count", "tax_count", "created_at")  # fmt: skip
        end = date(2029, 3, 1)
        copy_rows(
            Invoice, invoice_columns,
            ((pk, "agreement", "draft", customer.pk, customer.pk, "customer", "Acme Corp", "", "", MARCH, MARCH, "",
              agreements[n], MARCH, end, 0, False, "", "", "", "", "", total * ADDITIONS, Decimal(0),
              total * ADDITIONS, Decimal(0), Decimal(0), ADDITIONS, 0, NOW) for n, pk in enumerate(invoices)),
        )  # fmt: skip
        copy_rows(
            InvoiceLine,
            ("invoice", "position", "kind", "product", "description", "quantity", "unit_price", "amount", "cost",
             "taxable", "tax_amount", "explanation", "deferred", "agreement", "addition", "period_start",
             "period_end", "service_start", "service_end", "origin"),
            ((invoices[n // ADDITIONS], position(n), "product", product.pk, "Microsoft 365", quantity, price, total,
              Decimal(0), True, Decimal(0), "", False, agreements[n // ADDITIONS], additions[n], MARCH, end, MARCH,
              end, pk) for n, pk in enumerate(lines)),
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE matching_threadtomatch")
        cursor.execute("VACUUM ANALYZE")
    return lines


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
